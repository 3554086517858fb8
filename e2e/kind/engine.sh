#!/usr/bin/env bash
# engine.sh: a Docker engine in mount, PID, UTS and IPC namespaces of its own, in the network namespace that it is
# started in. When its first process ends, everything ends that it ever started.
set -euo pipefail
. "$(dirname "$0")/env.sh"
root=$1

mount --make-rprivate /
ip link set lo up
# This network namespace's view of the network, with the machine's cgroups in it.
mkdir -p "$BED_DIR/cgroup"
mount --rbind /sys/fs/cgroup "$BED_DIR/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$BED_DIR/cgroup" /sys/fs/cgroup
umount -l "$BED_DIR/cgroup"
# kind mounts /lib/modules into its nodes, and Docker would make it where it is missing.
lib=$(readlink -f /lib)
if [ ! -d "$lib/modules" ]; then
  mkdir "$BED_DIR"/{lib,lib-work}
  mkdir "$BED_DIR/lib/modules"
  mount -t overlay -o "lowerdir=$lib,upperdir=$BED_DIR/lib,workdir=$BED_DIR/lib-work" overlay "$lib"
fi
mount -t tmpfs -o mode=755 sealroom-run /run
mkdir -p /run/netns /run/lock
resolv=$(readlink -f /etc/resolv.conf)
mkdir -p "$(dirname "$resolv")"
[ -e "$resolv" ] || : >"$resolv"
mount --bind "$BED_DIR/resolv.conf" "$resolv"
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding

export PATH=$root/usr/sbin:$root/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LD_LIBRARY_PATH=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
exec dockerd --host "unix://$SOCKET" --data-root "$ENGINE_DIR/data" --exec-root /run/docker --pidfile /run/docker.pid \
  --cgroup-parent="/$CGROUP" --oom-score-adjust=0 --userland-proxy=false --containerd "" --storage-driver overlay2 \
  --add-runtime "guarded=$KIND_SRC/runc.sh" --default-runtime guarded
