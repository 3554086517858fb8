#!/usr/bin/env bash
# status.sh: one line; exit 0 only when the bed is up and its first node's PID 1 lives.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ -e "$BED_DIR/ready" ] || { echo "bed: down"; exit 1; }
for n in "$BED_DIR"/node*/; do
  procs=$(unified_root)/$CGROUP/$(basename "$n")/system/cgroup.procs
  grep -q . "$procs" 2>/dev/null || { echo "bed: dead (its $(basename "$n") has no process)"; exit 1; }
done
echo "bed: up, $(cat "$BED_DIR/shape"), $BED_DIR"
