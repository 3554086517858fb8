# Settings shared by the scripts of the bed. Sourced, never run.
# Everything that varies can be set from outside: SEALROOM_CACHE, BED_DIR, NODES, CNI, KUBERNETES.
# shellcheck shell=bash disable=SC2034

: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
: "${BED_DIR:=$SEALROOM_CACHE/bed}"
: "${NODES:=1}"
: "${CNI:=cilium}"
: "${KUBERNETES:=1.37}"
export SEALROOM_CACHE BED_DIR NODES CNI KUBERNETES

BED_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PKI=$BED_DIR/pki
NETNS=$BED_DIR/netns

# The cgroup that holds every process of the bed, below each hierarchy of the machine.
# Its name is fixed, so that what is left of a bed is found without any file that describes it. The kind provider
# has another one.
: "${CGROUP:=sealroom-bed}"
export CGROUP

# One fabric, routed, without a link to the machine's own network. Both families everywhere.
FABRIC4=172.31.0 FABRIC6=fd31
REGISTRY4=172.31.8.10 REGISTRY6=fd31:8::10
OUTSIDE4=172.31.9.10 OUTSIDE6=fd31:9::10
# Further addresses of the outside host, which nothing probes unless a test says so.
OUTSIDE_EXTRA="21 22 23 24 25 26"
PODS4=10.244.0.0/16 PODS6=fd10:244::/56
SERVICES=10.96.0.0/16,fd10:96::/112
DNS4=10.96.0.10
REGISTRY_HOST=registry.internal:5000

# node_addresses <index>: prints the two addresses of node 1 or 2.
node_addresses() { echo "$FABRIC4.1$1" "$FABRIC6::1$1"; }

# in_ns <namespace> <command...>: runs a command in a network namespace of the bed.
in_ns() { local ns=$1; shift; nsenter --net="$NETNS/$ns" "$@"; }

# cgroup_roots: prints the root of every cgroup hierarchy of the machine, one a line.
# One line on a machine with cgroup v2 alone, several with v1 (and "unified" beside them).
cgroup_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; return; fi
  local d
  for d in /sys/fs/cgroup/*/; do
    if [ -e "$d/cgroup.procs" ]; then echo "${d%/}"; fi
  done
}

# unified_root: prints the root of the cgroup v2 hierarchy, where the bed keeps its processes.
unified_root() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/unified; fi
}

say() { echo "bed: $*"; }
die() { echo "bed: $*" >&2; exit 1; }
