#!/usr/bin/env bash
# The conformance suite of MCP (npm, @modelcontextprotocol/conformance) against its own fixture: directly over HTTP, behind
# gate and bridge over HTTP, and over stdio, where the gate speaks both eras itself. Writes the tables of
# docs/mcp-conformance.md. Ends with 1 where a result behind the gate differs from the direct one and
# conformance-differences does not say so and why, or says one that is not there.
#
#   SEALROOM=…/sealroom e2e/mcp/conformance.sh   with CHECK=1 the page stays as it is, and a scenario or result that is not
#                                                there, or there alone, ends it with 1: one that is skipped everywhere too
set -euo pipefail
export LC_ALL=C # one order for sort and join
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
here=$PWD/e2e/mcp page=$PWD/docs/mcp-conformance.md explained=$PWD/e2e/mcp/conformance-differences
root=$(e2e/node.sh e2e/mcp)
node=$root/node suite=$root/node_modules/@modelcontextprotocol/conformance/dist/index.js
work=$SEALROOM_CACHE/mcp
mkdir -p "$work"
rm -rf "$work"/run.* "$work/results"
# Beside the fixture, since that is where modules are looked for.
ln -sfn "$root/node_modules" "$work/node_modules"
cp "$here/package.json" "$here/stdio-modern.mjs" "$here/fixture/everything-server.ts" "$work/"
# The same tools, resources and prompts without the web server around them.
{
  sed '/^const app = createMcpExpressApp/,$d' "$here/fixture/everything-server.ts"
  cat <<'END'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
await createMcpServer().connect(new StdioServerTransport());
END
} >"$work/stdio-legacy.ts"

# shellcheck source=behind.sh
. "$here/behind.sh"
trap 'kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
cd "$work"

PORT=$port "$node" --import tsx everything-server.ts >/dev/null 2>&1 &
pids+=($!)
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  kill -0 "${pids[0]}" || { echo "the fixture does not start" >&2; exit 1; }
  sleep 0.2
done
urls=("http://localhost:$port/mcp")
inner=$((port + 1500))
PORT=$inner behind http --mcp Http --mcp-port $inner -- --lock Streams --http-port $inner -- "$node" --import tsx everything-server.ts
urls+=("http://localhost:$port/mcp")
behind legacy --mcp Stdio --mcp-max-children 64 -- --lock Kernel --max-children 64 -- "$node" --import tsx stdio-legacy.ts
urls+=("http://localhost:$port/mcp")
behind modern --mcp Stdio --mcp-max-children 64 -- --lock Kernel --max-children 64 -- "$node" --import tsx stdio-modern.mjs
urls+=("http://localhost:$port/mcp")

# scores AT REVISION: a line for each scenario, "name passed made". The suite fails where any check does, and the fixture
# itself fails some; what counts is what it printed, and there has to be enough of it.
scores() {
  local log=$work/results/$2.$1.log
  "$node" "$suite" server --url "${urls[$1]}" --requirements "$2" --output-dir "$work/results/$2.$1" >"$log" 2>&1 || true
  sed -nE 's/^(✓|✗) ([a-z0-9-]+): ([0-9]+) passed, ([0-9]+) failed$/\2 \3 \4/p' "$log" | awk '{ print $1, $2 "/" $2 + $3 }' | sort >"$work/scores.$1"
  [[ $(wc -l <"$work/scores.$1") -ge 25 ]] || { echo "the suite did not run: $log" >&2; return 1; }
}

mkdir -p "$work/results"
version=$(sed -n 's/.*"@modelcontextprotocol\/conformance": "\(.*\)".*/\1/p' package.json)
printf '\nMeasured on %s with %s %s and Node %s.\n' "$(date +%F)" @modelcontextprotocol/conformance "$version" "$("$node" --version)" >"$work/tables"
: >"$work/differences"
for revision in 2025-11-25 2026-07-28; do
  for at in "${!urls[@]}"; do scores "$at" "$revision"; done
  printf '\n### %s\n\n| scenario | direct | behind, HTTP | behind, stdio, sessions | behind, stdio, stateless |\n|---|---|---|---|---|\n' "$revision" >>"$work/tables"
  # A scenario that one of them lacks is a difference as well.
  join -a 1 -a 2 -e – -o 0,1.2,2.2 "$work/scores.0" "$work/scores.1" | join -a 1 -a 2 -e – -o 0,1.2,1.3,2.2 - "$work/scores.2" |
    join -a 1 -a 2 -e – -o 0,1.2,1.3,1.4,2.2 - "$work/scores.3" >"$work/scores"
  awk '{ printf "| %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5 }' "$work/scores" >>"$work/tables"
  awk -v revision="$revision" '$3 != $2 || $4 != $2 || $5 != $2 { print revision, $0 }' "$work/scores" >>"$work/differences"
done

awk -v tables="$work/tables" '/^<!-- \/results -->$/ { skip = 0 } !skip
  /^<!-- results -->$/ { skip = 1; while ((getline line < tables) > 0) print line; print "" }' "$page" >"$work/page"
[[ -n ${CHECK:-} ]] || cp "$work/page" "$page"

# What is explained, without its reason, is what there is.
sed -E '/^(#|$)/d; s/ *#.*//' "$explained" | tr -s ' ' >"$work/explained"
if ! diff -U 0 --label "$explained" --label "this run" "$work/explained" "$work/differences" | tail -n +3; then
  echo "conformance: results differ from what is explained; details in $work/results" >&2
  exit 1
fi
# rows PAGE: its tables. That it has none is no agreement.
rows() {
  sed -n '/^<!-- results -->$/,/^<!-- \/results -->$/p' "$1" | grep -E '^(###|\|) ' ||
    { echo "conformance: no results in $1" >&2; return 1; }
}
if [[ -n ${CHECK:-} ]]; then
  rows "$page" >"$work/rows.page"
  rows "$work/page" >"$work/rows"
  if ! diff -U 0 --label "$page" --label "this run" "$work/rows.page" "$work/rows" | tail -n +3; then
    echo "conformance: not the scenarios and results of the page; details in $work/results. make conformance writes it" >&2
    exit 1
  fi
fi
echo "conformance: $(grep -cE '^\| [a-z0-9-]+ \| [0-9–]' "$work/tables") results, $(wc -l <"$work/differences") explained differences, no other"
