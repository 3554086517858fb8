#!/usr/bin/env bash
# calls-home.sh: whether an engine calls home. Both run as in a pod, with the arguments that the operator writes and the
# variables that launch hands on, but without any lock, and in a network that answers every name and sees every packet
# (catcher.py). They load a model, chat, and are asked what the gate does not offer: no packet may come. Then they are made
# to call, with one of our settings taken away or by a route that has no other purpose: these calls have to be seen.
#
#   SEALROOM=…/sealroom e2e/engines/calls-home.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
: "${SEALROOM:=$SEALROOM_CACHE/bin/sealroom-locked}"
export SEALROOM_CACHE SEALROOM
if [ $# = 0 ]; then
  llama=$(e2e/images/llama/root.sh | tail -n 1)
  e2e/bed/build.sh ollama
  model=$(find "$SEALROOM_CACHE/models" -name 'SmolLM2-135M-Instruct*.gguf' | head -n 1)
  [ -n "$model" ] || { echo "no model in $SEALROOM_CACHE/models: sealroom-e2e model puts it there" >&2; exit 1; }
  # Networks, mounts and processes of its own: whichever way this ends, nothing of it stays.
  exec unshare --net --mount --pid --fork --kill-child --mount-proc \
    "e2e/engines/${0##*/}" "$llama" "$SEALROOM_CACHE/go/ollama" "$model"
fi
llama=$1 ollama=$2 model=$3
trap 'exit 130' INT TERM
mount -t tmpfs run /run

near4=10.9.0.2 far4=10.9.0.1 near6=fd09::2 far6=fd09::1
quiet=5 # seconds, after everything has been asked
socket=/run/sealroom/runtime/runtime.sock

# The environment of an image that wants its engine to call, as far as the engines know how.
hostile=(
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  HTTPS_PROXY=http://proxy.example:3128 HTTP_PROXY=http://proxy.example:3128
  LLAMA_ARG_HF_REPO=example/model LLAMA_ARG_MODEL_URL=http://models.example/model.gguf
  OLLAMA_NO_CLOUD=0 OLLAMA_REMOTES="ollama.com,models.example" OLLAMA_HOST=0.0.0.0 OLLAMA_NOPRUNE=0
)

die() {
  echo "calls home  $*" >&2
  tail -n 20 /run/log >&2 || true
  exit 1
}
within() { # seconds, command...: until it succeeds
  for _ in $(seq $(($1 * 10))); do
    if "${@:2}" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  die "expected within $1 s: ${*:2}"
}

# The network: one link with the catcher at its other end, and every route over it.
unshare --net python3 e2e/engines/catcher.py $far4 $far6 >/run/heard &
catcher=$!
far() { nsenter --net="/proc/$catcher/ns/net" ip "$@"; }
within 10 grep -q listening /run/heard
ip link set lo up
ip link add near type veth peer name far netns "$catcher"
ip address add $near4/24 dev near
ip address add $near6/64 dev near nodad
far address add $far4/24 dev far
far address add $far6/64 dev far nodad
far link set lo up
far link set far up
ip link set near up
far -4 route add local default dev lo table main
far -6 route add local default dev lo table main
ip -4 route add default via $far4
ip -6 route add default via $far6

: >/run/all
# heard: what has come since the last time, each once. That the catcher sees what comes now is part of it.
seen=0 marks=0
heard() {
  marks=$((marks + 1))
  echo "$marks" >"/dev/udp/$far4/9"
  within 5 grep -qx "mark $marks" /run/heard
  tail -n +$((seen + 1)) /run/heard | { grep -v '^mark ' || true; } | sort -u >/run/since
  seen=$(wc -l </run/heard)
}
nothing() { # what was done
  heard
  [ ! -s /run/since ] || die "expected no packet of $1, got: $(paste -sd ';' /run/since)"
}
asks_for() { # name, of whom: seen, and dialled too
  for _ in $(seq 50); do
    heard
    cat /run/since >>/run/all
    if grep -qx "name $1" /run/all && grep -q '^tcp ' /run/all; then
      : >/run/all
      return
    fi
    sleep 0.2
  done
  die "expected $2 to ask for $1, the catcher saw: $(paste -sd ';' /run/all)"
}

# What a pod has: the claim with the record of its pull, and volumes.
mkdir -p /run/models /run/sealroom/gate /run/sealroom/runtime /run/sealroom/store
chown 65532:65532 /run/sealroom/*
touch /run/models/model.gguf
mount --bind "$model" /run/models/model.gguf
bytes=$(stat -c %s "$model") digest=sha256:$(sha256sum <"$model" | cut -d ' ' -f 1)
cat >/run/models/sealroom.json <<END
{"v":1,"reference":"registry.internal:5000/models/smollm2@$digest","layout":"LlamaCpp",
 "artifact":{"digest":"$digest","format":"GGUF","files":1,"filesDigest":"$digest","bytes":$bytes,"license":null,
  "architecture":"llama","quantization":null,"entry":"model.gguf"},
 "files":[{"path":"model.gguf","bytes":$bytes,"digest":"$digest"}]}
END
container() { # root: what a container has beside its image; its resolver is one that answers
  mkdir -p "$1"/{dev,etc,models,opt/sealroom,proc,run/sealroom,sys,tmp}
  chmod 1777 "$1/tmp"
  chown 65532:65532 "$1/opt/sealroom"
  mount --rbind /dev "$1/dev"
  mount --rbind /sys "$1/sys"
  mount -t proc proc "$1/proc"
  mount --rbind /run/models "$1/models"
  mount --bind /run/sealroom "$1/run/sealroom"
  echo "nameserver $far4" >"$1/etc/resolv.conf"
  # As the kubelet writes it: without it Ollama asks the resolver where localhost is.
  printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$1/etc/hosts"
  cp "$SEALROOM" "$1/sealroom"
}
mkdir -p /run/llama/usr /run/ollama/usr/bin
mount --bind "$llama/usr" /run/llama/usr
cp -a "$llama"/{bin,lib,lib64,etc} /run/llama
cp "$ollama/ollama" /run/ollama/usr/bin
container /run/llama
container /run/ollama

# words GOLDEN KEY: of the pod that the operator makes there, the first list under that key, each of its words a line
words() {
  awk -v key="$2" '$0 == "      - " key ":" { on = 1; next }
    on && /^        (env|image):/ { exit }
    on && !/- >-$/ { sub(/^ *(- )?/, ""); gsub(/^"|"$/, ""); gsub(/\$\$/, "$"); print }' "tests/golden/$1/out.yaml"
}
settings() { # golden: the variables of its first container that has some
  awk '/^        env:$/ { on = 1; next }
    on && /^        image:/ { exit }
    on && $2 == "name:" { name = $3 }
    on && $1 == "value:" { gsub(/"/, "", $2); print name "=" $2 }' "tests/golden/$1/out.yaml"
}

# handed_on ENGINE VARIABLE...: into `variables` what launch hands on to an engine, here to a program that keeps it. The gate
# is there for the lease.
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl ec -pubout >/run/key.pem 2>/dev/null
handed_on() {
  local gate launch
  rm -f /run/environ
  "$SEALROOM" gate --unsealed --pod-uid pod --model assistant --engine "$1" --verify-keys "$(</run/key.pem)" >/run/log 2>&1 &
  gate=$!
  env -i "${hostile[@]}" "${@:2}" "$SEALROOM" "${before[@]}" -- cp /proc/self/environ /run/environ >>/run/log 2>&1 &
  launch=$!
  within 20 test -s /run/environ
  kill -KILL $gate $launch
  wait $gate $launch 2>/dev/null || true
  mapfile -d '' -t variables </run/environ
}
# starts ROOT COMMAND...: into `engine` its process, with these variables alone
starts() {
  rm -f $socket
  env -i "${variables[@]}" chroot --userspec=65532:65532 "$@" >/run/log 2>&1 &
  engine=$!
}
ends() {
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  heard # what it still sent is not the next one's
}
# command_of GOLDEN: into `before` what is launch's of the runtime's command, into `after` what is the engine's
command_of() {
  local all i
  mapfile -t all < <(words "$1" command)
  for i in "${!all[@]}"; do
    if [ "${all[i]}" = -- ]; then break; fi
  done
  before=("${all[@]:1:i-1}") after=("${all[@]:i+1}")
}
question='{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"What is the capital of France?"}'
chat="\"temperature\":0,\"max_tokens\":24,\"messages\":[$question]"
picture='{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://pictures.example/a.png"}}]}'
asked=0
also() { # path, data...: a request that gets any answer
  ask "$@" >/dev/null || die "expected an answer of $1"
  asked=$((asked + 1))
}

llama_cpp() {
  local path
  command_of assistant
  handed_on LlamaCpp
  ask() { curl -s --max-time 20 --unix-socket $socket "http://engine$1" "${@:2}"; }
  starts /run/llama "${after[@]}"
  within 30 ask /health -f
  ask /v1/chat/completions -d "{$chat}" | grep -q Paris || die "LlamaCpp did not answer"
  nothing "LlamaCpp, its start and a chat"
  for path in / /props /slots /models /v1/models /lora-adapters /tools '/cors-proxy?url=http://away.example/'; do
    also "$path"
  done
  for path in /models/load /v1/messages /v1/responses /infill /tools /v1/chat/completions; do
    also "$path" -d "{\"model\":\"example/model\",\"max_tokens\":4,\"messages\":[$picture]}"
  done
  sleep $quiet
  within 5 ask /health -f
  nothing "LlamaCpp, $asked other requests and $quiet s of quiet"
  ends

  # The image's own variables, which launch hands on none of: --offline alone holds them, and without it they call.
  variables=("${hostile[@]}" HOME=/tmp)
  starts /run/llama "${after[@]}"
  within 30 ask /health -f
  nothing "LlamaCpp with the image's variables and --offline"
  ends
  mapfile -t after < <(printf '%s\n' "${after[@]}" | grep -vx -e --offline)
  starts /run/llama "${after[@]}"
  asks_for huggingface.co "LlamaCpp with the image's variables, without --offline"
  ends
  echo "calls home  LlamaCpp: no packet at its start, by a chat, by $asked other requests, in $quiet s of quiet." \
    "Without --offline and with an image's variables it asks for huggingface.co"
}

keep() { # config, where: a model without layers into Ollama's store
  local digest
  digest=$(printf %s "$1" | sha256sum | cut -d ' ' -f 1)
  printf %s "$1" >"/run/sealroom/store/blobs/sha256-$digest"
  mkdir -p "/run/sealroom/store/manifests/registry.ollama.ai/library/${2%/*}"
  printf '{"schemaVersion":2,"config":{"digest":"sha256:%s","size":%d},"layers":[]}' "$digest" ${#1} \
    >"/run/sealroom/store/manifests/registry.ollama.ai/library/$2"
}
ollama() {
  local path name model body cloud=gpt-oss:120b-cloud at=http://127.0.0.1:11434
  command_of ollama
  mapfile -t pod < <(settings ollama)
  handed_on Ollama "${pod[@]}"
  mapfile -t install < <(words ollama args)
  chroot --userspec=65532:65532 /run/ollama /sealroom "${install[@]}" >/run/log 2>&1 || die "there is no store"
  name=$(grep -oP '"name":"\K[^"]*' <<<"${install[*]}")
  # Beside ours what a pull keeps of a model that is in the cloud.
  keep '{"remote_host":"https://ollama.com:443","remote_model":"gpt-oss:120b","capabilities":["completion"]}' ${cloud/:/\/}
  asked=0
  ask() { curl -s --max-time 20 "$at$1" "${@:2}"; }
  starts /run/ollama "${after[@]}"
  within 30 ask /api/version -f
  ask /v1/chat/completions -d "{\"model\":\"$name\",$chat}" | grep -q '"completion_tokens":[1-9]' ||
    die "Ollama did not answer"
  nothing "Ollama, its start and a chat"
  for path in / /api/status /api/tags /api/ps /v1/models "/v1/models/$cloud"; do also "$path"; done
  body="\"prompt\":\"Hello\",\"input\":\"Hello\",\"query\":\"Hello\",\"stream\":false,\"options\":{\"num_predict\":4},$chat"
  for path in /v1/chat/completions /v1/completions /v1/embeddings /v1/responses \
    /api/show /api/chat /api/generate /api/embed /api/web_search /api/web_fetch; do
    for model in "$name" $cloud kimi-k2:cloud; do also "$path" -d "{\"model\":\"$model\",$body}"; done
  done
  for model in "$name" $cloud; do
    also /v1/messages -d "{\"model\":\"$model\",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],$chat}"
  done
  sleep $quiet
  within 5 ask /api/version -f
  nothing "Ollama, $asked other requests and $quiet s of quiet"

  # No setting takes these two routes away, the gate does; and without one setting a model of the cloud is asked there.
  ask /api/pull -d '{"model":"llama3.2","stream":false}' >/dev/null || true
  asks_for registry.ollama.ai "/api/pull of Ollama"
  ask /api/me -d '' >/dev/null || true
  asks_for ollama.com "/api/me of Ollama"
  ends
  variables+=(OLLAMA_NO_CLOUD=)
  starts /run/ollama "${after[@]}"
  within 30 ask /api/version -f
  ask /v1/chat/completions -d "{\"model\":\"$cloud\",$chat}" >/dev/null || true
  asks_for ollama.com "Ollama without OLLAMA_NO_CLOUD"
  ends
  echo "calls home  Ollama: no packet at its start, by a chat, by $asked other requests, in $quiet s of quiet." \
    "/api/pull asks for registry.ollama.ai, /api/me and a model of the cloud without OLLAMA_NO_CLOUD for ollama.com"
}

llama_cpp
ollama
