#!/usr/bin/env bash
# cgroups.sh: the bed's cgroups in every hierarchy: one for the hosts beside the cluster, one per node.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# controllers <directory>: hands the controllers that are there on to the children (cgroup v2).
controllers() {
  local c
  for c in cpu cpuset memory pids io hugetlb; do
    if grep -qw "$c" "$1/cgroup.controllers"; then echo "+$c" >"$1/cgroup.subtree_control" 2>/dev/null || true; fi
  done
}

# processors <root> <directory>: in cgroup v1 a new cpuset is empty and takes no process.
processors() {
  local f
  for f in cpuset.cpus cpuset.mems; do
    if [ -e "$1/$f" ] && [ ! -e "$1/cgroup.controllers" ]; then cat "$1/$f" >"$2/$f"; fi
  done
}

cgroup_roots | while read -r root; do
  mkdir -p "$root/$CGROUP"
  processors "$root" "$root/$CGROUP"
  mkdir -p "$root/$CGROUP/hosts"
  if [ -e "$root/cgroup.controllers" ]; then
    controllers "$root"
    controllers "$root/$CGROUP"
  fi
  for ((i = 1; i <= NODES; i++)); do
    node=$root/$CGROUP/node$i
    mkdir -p "$node"
    processors "$root" "$node"
    if [ -e "$node/cgroup.controllers" ]; then controllers "$node"; fi
    mkdir -p "$node/system"
  done
done
