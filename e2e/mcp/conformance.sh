#!/usr/bin/env bash
# The conformance suite of MCP (npm, @modelcontextprotocol/conformance) against its own fixture: directly over HTTP, behind
# gate and bridge over HTTP, and over stdio, where the gate speaks both eras itself. Prints a table in Markdown.
#
#   SEALROOM=…/sealroom FIXTURE=…/everything-server.ts e2e/mcp/conformance.sh
#
# FIXTURE is examples/servers/typescript/everything-server.ts of github.com/modelcontextprotocol/conformance: it is not on
# npm. Node 22 or later, npm and curl are on PATH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/sealroom/mcp}
suite=$work/node_modules/@modelcontextprotocol/conformance/dist/index.js
mkdir -p "$work"
cp "$here/package.json" "$here/stdio-modern.mjs" "$work/"
[[ -e $suite ]] || (cd "$work" && npm install --silent)
cp "$FIXTURE" "$work/everything-server.ts"
# The same tools, resources and prompts without the web server around them.
{
  sed '/^const app = createMcpExpressApp/,$d' "$FIXTURE"
  cat <<'END'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
await createMcpServer().connect(new StdioServerTransport());
END
} >"$work/stdio-legacy.ts"

# shellcheck source=behind.sh
. "$here/behind.sh"
trap 'kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
cd "$work"

# scores URL REVISION: a line for each scenario, "name passed failed"
scores() {
  { node "$suite" server --url "$1" --requirements "$2" 2>&1 || true; } | sed -nE 's/^[✓✗] ([a-z0-9-]+): ([0-9]+) passed, ([0-9]+) failed$/\1 \2 \3/p'
}

node=$(command -v node)
PORT=$port "$node" --import tsx everything-server.ts >/dev/null 2>&1 &
pids+=($!)
sleep 4
urls=("http://localhost:$port/mcp")
inner=$((port + 1500))
PORT=$inner behind http --mcp Http --mcp-port $inner -- --lock Streams --http-port $inner -- "$node" --import tsx everything-server.ts
urls+=("http://localhost:$port/mcp")
behind legacy --mcp Stdio --mcp-max-children 64 -- --lock Kernel --max-children 64 -- "$node" --import tsx stdio-legacy.ts
urls+=("http://localhost:$port/mcp")
behind modern --mcp Stdio --mcp-max-children 64 -- --lock Kernel --max-children 64 -- "$node" --import tsx stdio-modern.mjs
urls+=("http://localhost:$port/mcp")

for revision in 2025-11-25 2026-07-28; do
  columns=()
  for at in "${!urls[@]}"; do
    scores "${urls[$at]}" "$revision" | sort >"$work/scores.$at"
    columns+=("$work/scores.$at")
  done
  printf '\n### %s\n\n| scenario | direct | behind, HTTP | behind, stdio, sessions | behind, stdio, stateless |\n|---|---|---|---|---|\n' "$revision"
  while read -r name passed failed; do
    printf '| %s | %s/%s' "$name" "$passed" "$((passed + failed))"
    for at in 1 2 3; do
      awk -v name="$name" '$1 == name { printf " | %s/%s", $2, $2 + $3; f = 1 } END { if (!f) printf " | –" }' "${columns[$at]}"
    done
    printf ' |\n'
  done <"${columns[0]}"
done
