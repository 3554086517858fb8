#!/usr/bin/env bash
# killed-test.sh <end-to-end program> bed|kind: kills the up.sh of that provider at several moments and shows that its
# down.sh leaves nothing.
set -euo pipefail
cd "$(dirname "$0")/../$2"
. ./env.sh
export E2E_BIN=$1 CNI=cilium NODES=1
before=$(mktemp) after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT
"$BED_SRC/leftovers.sh" >"$before"
for moment in 1 4 12; do
  ./up.sh &
  up=$!
  # From its first file on, which is written when everything is built.
  until [ -e "$BED_DIR/timeline" ]; do
    kill -0 $up || die "up.sh ended by itself"
    sleep 0.1
  done
  sleep $moment
  kill -9 $up
  wait $up || true
  ./down.sh
  "$BED_SRC/leftovers.sh" >"$after"
  diff "$before" "$after" || die "something is left after a kill at ${moment}s"
  say "killed after ${moment}s: nothing left"
done
