#!/usr/bin/env bash
# leftovers.sh: prints what a bed could leave behind on a machine: processes, mounts, cgroups, interfaces,
# network namespaces, directories, machine-wide settings. Before `up` and after `down` it prints the same.
set -euo pipefail
. "$(dirname "$0")/env.sh"
echo "# processes of the bed"
for p in /proc/[0-9]*; do
  # A process that has ended and is not reaped yet has no executable any more.
  exe=$(readlink "$p/exe" 2>/dev/null) || continue
  case $exe in
    "$SEALROOM_CACHE/go/"* | */docker-registry | */socat) echo "$exe" ;;
  esac
done | sort
echo "# mounts"
awk '{ print $5 }' /proc/self/mountinfo | sort
echo "# cgroups of the bed"
find /sys/fs/cgroup -maxdepth 2 -name "$CGROUP"
echo "# interfaces, routes, rules"
ip -br link | awk '{ print $1 }'
ip route
ip -6 route
nft list tables
echo "# directories"
ls -d /run/netns /var/lib/{kubelet,containerd,etcd,cni,cilium} /etc/{cni,kubernetes,containerd} /opt/cni /run/{containerd,cilium} "$BED_DIR" 2>/dev/null || true
echo "# settings"
for s in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/unprivileged_bpf_disabled \
  kernel/timer_migration net/core/bpf_jit_enable net/ipv4/ip_forward net/ipv6/conf/all/forwarding; do
  echo "$s $(cat "/proc/sys/$s" 2>/dev/null || true)"
done
