#!/usr/bin/env bash
# leftovers.sh: prints what a bed or a kind cluster could leave behind on a machine: processes, mounts, cgroups,
# interfaces, network namespaces, directories, every setting. Before `up` and after `down` it prints the same.
set -euo pipefail
. "$(dirname "$0")/env.sh"
echo "# processes of the bed"
for p in /proc/[0-9]*; do
  # A process that has ended and is not reaped yet has no executable any more.
  exe=$(readlink "$p/exe" 2>/dev/null) || continue
  case $exe in
    "$SEALROOM_CACHE/go/"* | "$SEALROOM_CACHE/kind-engine/"*) echo "$exe" ;;
    */docker-registry | */socat | */dockerd | */containerd | */kubelet | */kube-*) echo "$exe" ;;
  esac
done | sort
echo "# mounts"
awk '{ print $5 }' /proc/self/mountinfo | sort
echo "# cgroups"
cgroup_roots | while read -r root; do find "$root" -mindepth 1 -maxdepth 1 -type d; done | sort
echo "# interfaces, routes, rules"
ip -br link | awk '{ print $1 }'
ip route
ip -6 route
nft list tables
echo "# directories"
ls -d /run/netns /var/lib/{kubelet,containerd,etcd,cni,cilium} /etc/{cni,kubernetes,containerd} /opt/cni /run/{containerd,cilium,docker} \
  /var/lib/docker /lib/modules "$BED_DIR" "$SEALROOM_CACHE/kind" 2>/dev/null || true
echo "# settings"
# All of them but those that count what the machine does.
(cd /proc/sys && find . -type f -perm -u=r | grep -Ev \
  '^\./(fs/(dentry-state|file-nr|inode-|quota/|aio-nr)|kernel/(ns_last_pid|random/|pty/nr|perf_)|net/netfilter/nf_conntrack_count|vm/stat_refresh)' |
  LC_ALL=C sort | xargs grep -H '' 2>/dev/null) || true
