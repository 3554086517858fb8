#!/usr/bin/env bash
# status.sh: one line; exit 0 only when the kind cluster is up and its first node runs.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ -e "$BED_DIR/ready" ] || { echo "kind: down"; exit 1; }
export KIND_ENGINE ENGINE_PATH=$ENGINE_DIR/root/usr/bin
KIND_ENGINE=$(cat "$BED_DIR/engine")
running=$(engine docker inspect --format '{{.State.Running}}' "$CLUSTER-control-plane" 2>/dev/null) || running=
[ "$running" = true ] || { echo "kind: dead (its first node does not run)"; exit 1; }
echo "kind: up, $(cat "$BED_DIR/shape"), $BED_DIR"
