#!/usr/bin/env bash
# fastmcp-pnpm.sh: the server of examples/fastmcp-pnpm and clients that are programs of their own. It comes from the image
# that the tests on the cluster built from its Dockerfile; bridge, gate and a real model run around it on loopback; the
# Inspector's command line and mcp-remote (npm) ask it.
#
#   SEALROOM=…/sealroom e2e/mcp/fastmcp-pnpm.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
: "${SEALROOM:=$SEALROOM_CACHE/bin/sealroom-locked}"
clients=$("$here/../node.sh" "$here/clients")
llama=$("$here/../images/llama/root.sh" | tail -n 1)
model=$(find "$SEALROOM_CACHE/models" -name 'SmolLM2-135M-Instruct*.gguf' | head -n 1)
image=$(find "$SEALROOM_CACHE/images" -maxdepth 1 -name 'ask-*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
[[ -n $model && -n $image ]] || { echo "no model or no image in $SEALROOM_CACHE: the tests on the cluster put them there" >&2; exit 1; }
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

# What is in the image, layer by layer.
mapfile -t layers < <(python3 -c '
import json, sys
def blob(of): return sys.argv[1] + "/blobs/" + of["digest"].replace(":", "/")
manifest = json.load(open(blob(json.load(open(sys.argv[1] + "/index.json"))["manifests"][0])))
print(*map(blob, manifest["layers"]), sep="\n")' "$image")
mkdir "$work/image"
for layer in "${layers[@]}"; do tar -xf "$layer" -C "$work/image"; done
server=$work/image/app
[[ -f $server/dist/server.js && ! -d $server/src && ! -d $server/node_modules/typescript ]]
echo "mcp example  the server of $(basename "$image"), without its sources and what it was built with"

# Around it what a pod has: the gate's port for the model, the placeholder for its key, a lock that leaves that port.
answers "http://127.0.0.1:$api/health"
mkdir "$work/keys"
printf 'a-key' >"$work/keys/agent"
printf 'k' >"$work/model-key"
export OPENAI_BASE_URL=http://127.0.0.1:$((api + 1))/v1 OPENAI_API_KEY=sealroom LLM_MODEL=assistant
behind ask --mcp Stdio --api-keys-dir "$work/keys" \
  --mcp-model "name=assistant,port=$((api + 1)),url=http://127.0.0.1:$api/v1,key=$work/model-key" \
  -- --lock Streams --connect-port $((api + 1)) -- "$clients/node" "$server/dist/server.js"

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
[[ $audited == 2 ]] || { echo "expected two calls in the audit, got $audited" >&2; exit 1; }
