#!/usr/bin/env bash
# fit.sh [MODEL.gguf...]: asks llama-fit-params for the memory of generated headers, and of the models that are
# named or in the cache, and compares: docs/memory.md. SEALROOM_BLESS=1 records what the tool says.
set -euo pipefail
cd "$(dirname "$0")/.."
. e2e/env.sh
root=$(e2e/images/llama/root.sh fit llama.cpp-tools-extra libggml0-backend-rpc | tail -n 1)
grep -E '^(llama.cpp-tools-extra|libggml0(-backend-rpc)?) ' "$SEALROOM_CACHE/llama/versions-fit"
if [ $# = 0 ]; then
  shopt -s nullglob
  set -- "$SEALROOM_CACHE"/models/*.gguf
fi
SEALROOM_FIT_MODELS=$(IFS=:; echo "$*")
if [ $# = 0 ]; then unset SEALROOM_FIT_MODELS; else export SEALROOM_FIT_MODELS; fi
SEALROOM_FIT_ROOT=$root cargo test --profile e2e --workspace --all-targets --locked -- \
  --nocapture --test-threads 1 gguf::oracle_tests | grep -E '^(fit: |test |failures|thread|  )'
