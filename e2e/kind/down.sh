#!/usr/bin/env bash
# down.sh [--quiet]: removes the kind cluster, its registry and, where the engine is ours, the engine and everything
# that it holds but its images. Works from fixed names alone, so also after a failed or killed up.sh.
set -euo pipefail
. "$(dirname "$0")/env.sh"
if [ -z "${BED_LOCKED:-}" ]; then
  mkdir -p "$SEALROOM_CACHE"
  exec 8>"$BED_DIR.lock"
  flock -w 30 8 || die "somebody else is bringing the kind cluster up or down"
fi

if [ "$KIND_ENGINE" = user ]; then
  if command -v kind >/dev/null; then kind delete cluster --name "$CLUSTER" >/dev/null 2>&1; fi
  docker rm --force --volumes "$REGISTRY_NAME" >/dev/null 2>&1 || true
  if [ -d "$BED_DIR" ]; then
    [ -e "$BED_DIR/.sealroom-bed" ] || die "$BED_DIR is not a bed's directory, leaving it alone"
    rm -rf --one-file-system "$BED_DIR"
  fi
else
  BED_LOCKED=1 "$BED_SRC/down.sh" --quiet
  "$KIND_SRC/sweep.sh"
fi
[ "${1:-}" = --quiet ] || say "kind is down, nothing left"
