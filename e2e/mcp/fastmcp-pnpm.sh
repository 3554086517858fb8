#!/usr/bin/env bash
# fastmcp-pnpm.sh: the server of examples/fastmcp-pnpm as a user has it. Its Dockerfile's commands build it, without a
# network after the first; bridge, gate and a real model run around it on loopback; curl asks as its README says, the
# Inspector's command line and mcp-remote (npm) ask it too.
#
#   SEALROOM=…/sealroom e2e/mcp/fastmcp-pnpm.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
: "${SEALROOM:=$SEALROOM_CACHE/bin/sealroom-locked}"
example=$here/../../examples/fastmcp-pnpm
pnpm=$("$here/../node.sh" "$here/pnpm")
clients=$("$here/../node.sh" "$here/clients")
llama=$("$here/../images/llama/root.sh" | tail -n 1)
model=$(find "$SEALROOM_CACHE/models" -name 'SmolLM2-135M-Instruct*.gguf' | head -n 1)
[[ -n $model ]] || { echo "there is no model in $SEALROOM_CACHE/models: the tests on the cluster fetch it" >&2; exit 1; }
work=$(mktemp -d)
# shellcheck source=behind.sh
. "$here/behind.sh"
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# The model, which answers some seconds later.
api=$((port + 100))
# shellcheck disable=SC2016 # the inner shell's
unshare --mount bash -c 'mount --bind "$1" "$2/tmp" && exec chroot "$2" /usr/bin/llama-server -m "/tmp/$3" "${@:4}"' - \
  "$(dirname "$model")" "$llama" "$(basename "$model")" --host 127.0.0.1 --port $api --ctx-size 1024 --threads 1 \
  --parallel 1 --api-key k --offline >"$work/llama.log" 2>&1 &
pids+=($!)

# The image's build, by the commands that its Dockerfile runs. The store of the packages stays in the cache.
cp -r "$example/server" "$work/app"
export PATH=$pnpm:$pnpm/node_modules/.bin:$PATH CI=true XDG_DATA_HOME=$SEALROOM_CACHE/pnpm
cd "$work/app"
mapfile -t runs < <(sed -nE 's/^RUN //p' Dockerfile)
version=$(sed -nE 's/^npm install --global pnpm@//p' <<<"${runs[0]}")
[[ $(pnpm --version) == "$version" ]]
[[ ${runs[1]} == "pnpm fetch" && ${#runs[@]} -ge 3 ]]
pnpm fetch >"$work/fetch.log" 2>&1 || { tail -n 15 "$work/fetch.log" >&2; exit 1; }
for run in "${runs[@]:2}"; do
  [[ $run == "--network=none "* ]]
  unshare --net bash -euc "${run#--network=none }" >"$work/build.log" 2>&1 || { tail -n 15 "$work/build.log" >&2; exit 1; }
done
[[ ! -d node_modules/typescript && -f dist/server.js ]]
echo "mcp example  built with pnpm $version, without a network after pnpm fetch"

# Around it what a pod has: the gate's port for the model, the placeholder for its key, a lock that leaves that port.
answers "http://127.0.0.1:$api/health"
mkdir "$work/keys"
printf 'a-key' >"$work/keys/agent"
printf 'k' >"$work/model-key"
export OPENAI_BASE_URL=http://127.0.0.1:$((api + 1))/v1 OPENAI_API_KEY=sealroom LLM_MODEL=assistant
behind ask --mcp Stdio --api-keys-dir "$work/keys" \
  --mcp-model "name=assistant,port=$((api + 1)),url=http://127.0.0.1:$api/v1,key=$work/model-key" \
  -- --lock Streams --connect-port $((api + 1)) -- "$pnpm/node" "$work/app/dist/server.js"

# The README's commands, word by word, with this endpoint and this key.
# shellcheck disable=SC2016 # of Markdown
sed -n '/^```sh ask$/,/^```$/{/^```/!p}' "$example/README.md" >"$work/ask.sh"
TMPDIR=$work MCP=http://127.0.0.1:$port/mcp KEY=a-key bash -eu "$work/ask.sh" >"$work/asked"
for part in '"serverInfo":{"name":"ask"' '"tools":[{"description":"Asks' Paris; do
  grep -qF "$part" "$work/asked" || { echo "expected $part, got:" >&2; cat "$work/asked" >&2; exit 1; }
done
echo "mcp example  curl: initialize, tools/list and tools/call answer"

# It keeps a catalogue in HOME.
inspect() {
  HOME=$work "$clients/node" "$clients/node_modules/.bin/mcp-inspector" --cli "http://127.0.0.1:$port/mcp" \
    --transport http --header "Authorization: Bearer $1" "${@:2}"
}
inspect a-key --method tools/list | grep '"name": "ask"'
inspect a-key --method tools/call --tool-name ask --tool-arg 'question=What is the capital of France?' | grep Paris
if inspect wrong --method tools/list >"$work/wrong" 2>&1; then
  echo "expected a refusal of the wrong key" >&2
  exit 1
fi
grep -qF '"code":"auth_required"' "$work/wrong" || { echo "expected a refusal, got:" >&2; cat "$work/wrong" >&2; exit 1; }
echo "mcp example  the Inspector's command line: tools/list and tools/call answer, a wrong key is refused"

# A client that only starts programs: its standard input, and what it reads.
mkfifo "$work/input"
# shellcheck disable=SC2016 # mcp-remote puts it in
ASK_AUTH='Bearer a-key' HOME=$work "$clients/node" "$clients/node_modules/.bin/mcp-remote" "http://127.0.0.1:$port/mcp" \
  --transport http-only --header 'Authorization:${ASK_AUTH}' <"$work/input" >"$work/remote" 2>"$work/remote.log" &
pids+=($!)
exec 3>"$work/input"
# heard TEXT: waits until it has come
heard() {
  for _ in $(seq 150); do
    if grep -qF "$1" "$work/remote"; then return; fi
    sleep 0.2
  done
  echo "expected $1 of mcp-remote, got:" >&2
  cat "$work/remote" "$work/remote.log" >&2
  return 1
}
echo >&3 '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"e2e","version":"1"}}}'
heard '"serverInfo":{"name":"ask"'
echo >&3 '{"jsonrpc":"2.0","method":"notifications/initialized"}'
echo >&3 '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"ask","arguments":{"question":"What is the capital of France?"}}}'
heard Paris
exec 3>&-
echo "mcp example  mcp-remote: tools/call answers"

audited=$(cat "$work"/run.*/audit.log | grep -c '"rpc":"tools/call","tool":"ask"')
[[ $audited == 3 ]] || { echo "expected three calls in the audit, got $audited" >&2; exit 1; }
