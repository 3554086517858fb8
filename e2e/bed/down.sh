#!/usr/bin/env bash
# down.sh [--quiet]: ends every process of the bed and removes its mounts, namespaces, cgroups and files.
# Works from fixed names alone, so also after a failed or killed up.sh.
set -euo pipefail
. "$(dirname "$0")/env.sh"
if [ -z "${BED_LOCKED:-}" ]; then
  mkdir -p "$SEALROOM_CACHE"
  exec 8>"$BED_DIR.lock"
  flock -w 30 8 || die "somebody else is bringing the bed up or down"
fi

top=$(unified_root)/$CGROUP
if [ -d "$top" ]; then
  echo 1 >"$top/cgroup.kill"
  for ((i = 0; i < 300; i++)); do
    if grep -q '^populated 0' "$top/cgroup.events"; then break; fi
    sleep 0.1
  done
  grep -q '^populated 0' "$top/cgroup.events" || die "processes remain in $top"
fi

# Namespaces are held by these mounts alone; whatever is on top is unmounted first.
awk -v dir="$BED_DIR/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done

cgroup_roots | while read -r root; do
  [ -d "$root/$CGROUP" ] || continue
  # A cgroup of a process that has just ended is busy for a moment.
  for ((i = 0; i < 100; i++)); do
    find "$root/$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    if [ ! -d "$root/$CGROUP" ]; then break; fi
    sleep 0.05
  done
  [ ! -d "$root/$CGROUP" ] || die "failed to remove $root/$CGROUP"
done

if [ -d "$BED_DIR" ]; then
  [ -e "$BED_DIR/.sealroom-bed" ] || die "$BED_DIR is not a bed's directory, leaving it alone"
  rm -rf --one-file-system "$BED_DIR"
fi
[ "${1:-}" = --quiet ] || say "down, nothing left"
