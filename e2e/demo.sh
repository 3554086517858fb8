#!/usr/bin/env bash
# demo.sh: builds what the demo needs and shows it. COLD=1 begins with empty caches, KEEP=1 leaves the cluster up.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${COLD:-}" ] && [ -n "${KEEP:-}" ]; then
  echo "COLD=1 removes what it built, KEEP=1 keeps it running: choose one" >&2
  exit 2
fi
. e2e/env.sh
finish() {
  local status=$?
  if [ -n "$cold_dir" ]; then
    mkdir -p "$last"
    cp "$cold_dir/last/demo.json" "$last/" 2>/dev/null || true
    cold_end
  fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM
cold
rm -f "$last/demo.json" # of a demo that fails there is none

e2e/with-go.sh "" e2e/products.sh programs shipped
echo "demo build ${SECONDS}s the cluster's programs, the product as it is shipped, the end-to-end program"
"$e2e" demo --operator "$bin/sealroom-shipped"
