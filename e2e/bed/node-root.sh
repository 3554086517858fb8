# node-root.sh: the node's own root, on a tmpfs: programs of the machine read-only, everything that a
# node writes in directories of the bed. No directory of the machine is made or changed.
# Sourced by node.sh.
# shellcheck shell=bash disable=SC2154

R=$N/root
mkdir -p "$R" "$N"/{log,var,sysctl}
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=256m sealroom-root "$R"
mkdir -p "$R"/{dev,etc,opt/cni/bin,proc,root,run,sys,tmp,usr,var,old}
chmod 1777 "$R/tmp"
for d in bin sbin lib lib64; do ln -s "usr/$d" "$R/$d"; done

mount --bind /usr "$R/usr"
mount -o remount,bind,ro "$R/usr"
mount --rbind /dev "$R/dev"
mount --bind "$N/var" "$R/var"
mkdir -p "$R"/var/{lib,log,tmp,local}
ln -s /run "$R/var/run"
for d in "$SEALROOM_CACHE/go" "$BED_SRC" "$BED_DIR"; do
  mkdir -p "$R$d"
  mount --bind "$d" "$R$d"
done

mkdir -p "$R"/etc/{cni/net.d,kubernetes,ssl}
for f in passwd group nsswitch.conf protocols services ld.so.cache ld.so.conf ld.so.conf.d alternatives iproute2 os-release xtables; do
  if [ -e "/etc/$f" ]; then cp -a "/etc/$f" "$R/etc/"; fi
done
cp -rL /etc/ssl/certs "$R/etc/ssl/" 2>/dev/null || true
# Two nodes with one machine id would be one to whoever counts them.
tr -d - </proc/sys/kernel/random/uuid >"$R/etc/machine-id"
echo "nameserver $FABRIC4.1" >"$R/etc/resolv.conf" # nobody answers there: no way out by DNS
printf '127.0.0.1 localhost\n::1 localhost\n%s %s\n%s registry.internal\n' "$NODE4" "$NODE" "$REGISTRY4" >"$R/etc/hosts"
cp "$PKI/ca.crt" "$R/etc/kubernetes/ca.crt"

mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys" # this network namespace's view of class/net
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount --bind /sys/fs/cgroup "$R/sys/fs/cgroup"
else
  mount --rbind /sys/fs/cgroup "$R/sys/fs/cgroup"
fi
mount -t bpf bpf "$R/sys/fs/bpf"
mount -t tmpfs -o mode=755 sealroom-run "$R/run"
mkdir -p "$R"/run/{lock,netns,cilium/cgroupv2}
mount --bind "$(unified_root)/$CGROUP/$NODE" "$R/run/cilium/cgroupv2"

# The kubelet and Cilium write sysctls of the whole machine: they get files to throw away.
for s in vm/overcommit_memory:1 vm/panic_on_oom:0 kernel/panic:10 kernel/panic_on_oops:1 \
  kernel/unprivileged_bpf_disabled:1 kernel/timer_migration:0 net/core/bpf_jit_enable:1; do
  p=$R/proc/sys/${s%:*} f=$N/sysctl/${s//[\/:]/.}
  if [ -e "$p" ]; then echo "${s#*:}" >"$f" && mount --bind "$f" "$p"; fi
done

cd "$R" || exit
pivot_root . old
cd /
umount -l /old
mount --make-rshared /

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
# A pod's side of the link is used at once: without this its gateway is being checked for duplicates.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
for i in all default eth0; do echo 0 >"/proc/sys/net/ipv4/conf/$i/rp_filter"; done
mark root
