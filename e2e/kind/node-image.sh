#!/usr/bin/env bash
# node-image.sh name    prints the name of the node image: it carries the hash of everything that the image is made of.
# node-image.sh build   writes it as a tar to standard output: kind's own files on Debian's packages, the programs
#                       of the bed, and the control plane's images where containerd finds them.
set -euo pipefail
. "$(dirname "$0")/env.sh"
node_root=$("$KIND_SRC/node-root.sh")
program() { readlink -f "$SEALROOM_CACHE/go/$1"; } # family/program
families=(etcd kubernetes kubeadm kind containerd runc coredns pause)

name() {
  local key f
  key=$({
    basename "$node_root"
    for f in "${families[@]}"; do basename "$(program "$f")"; done
    cat "$KIND_SRC"/{node-image,preload,guard}.sh "$BED_SRC"/../images/{control-plane,program}/Dockerfile "$BED_SRC/manifests/storage.yaml"
  } | sha256sum | cut -c1-16)
  echo "sealroom.local/kind-node:$key"
}

# The steps of kind's images/base/Dockerfile, in the directory $R.
base() {
  local files unit wanted
  files=$(program kind/base)
  cp -r "$files"/{etc,kind,usr} "$R/"
  chmod -R u=rwX,go=rX "$R/kind" "$R"/etc/{systemd/system,containerd,default,sysctl.d,crictl.yaml}
  chmod 755 "$R"/kind/bin/* "$R"/usr/local/bin/*
  wanted=$R/lib/systemd/system
  rm -f "$wanted/sysinit.target.wants/systemd-tmpfiles-setup.service" "$wanted"/{multi-user,local-fs,basic}.target.wants/* \
    "$wanted"/sockets.target.wants/*{udev,initctl}* "$R"/etc/systemd/system/*.wants/*
  echo "ReadKMsg=no" >>"$R/etc/systemd/journald.conf"
  [ -e "$R/sbin/init" ] || ln -s /usr/lib/systemd/systemd "$R/sbin/init"
  mkdir -p "$R/etc/systemd/system/multi-user.target.wants" "$R/etc/kubernetes/manifests" "$R/opt/cni/bin"
  for unit in kubelet containerd undo-mount-hacks; do
    ln -sf "/etc/systemd/system/$unit.service" "$R/etc/systemd/system/multi-user.target.wants/$unit.service"
  done
  ln -sf /dev/null "$R/etc/systemd/system/systemd-binfmt.service"
  # Of the settings of sysctl only kind's stay: they are the node's network's. The others are the whole machine's.
  rm -f "$R"/usr/lib/sysctl.d/*.conf "$R/etc/sysctl.conf" "$R/etc/sysctl.d/99-sysctl.conf"
}

programs() {
  local p
  for p in containerd containerd-shim-runc-v2 ctr; do cp "$(program "containerd/$p")" "$R/usr/local/bin/"; done
  cp "$(program runc/runc)" "$R/usr/local/sbin/"
  for p in kubelet kubectl; do cp "$(program "kubernetes/$p")" "$R/usr/bin/"; done
  cp "$(program kubeadm/kubeadm)" "$R/usr/bin/"
  for p in host-local loopback ptp portmap; do cp "$(program "containerd/$p")" "$R/opt/cni/bin/"; done
  "$(program containerd/ctr)" oci spec |
    jq '.hooks.createContainer = [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' >"$R/etc/containerd/cri-base.json"
  "$(program kubernetes/kubectl)" version --client -o json | jq -rj .clientVersion.gitVersion >"$R/kind/version"
  mkdir -p "$R/kind/manifests"
  cp "$BED_SRC/manifests/storage.yaml" "$R/kind/manifests/default-storage.yaml"
  install -m 755 "$KIND_SRC/guard.sh" "$R/usr/local/bin/guard.sh"
}

# The images come into containerd's store and are unpacked when they are first used.
images() {
  local archive pid i ctr
  ctr=("$(program containerd/ctr)" --address "$work/containerd.sock" --namespace k8s.io)
  "$KIND_SRC/preload.sh" "$work/archives" >&2
  cat >"$work/containerd.toml" <<T
version = 3
root = "$R/var/lib/containerd"
state = "$work/state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
[grpc]
address = "$work/containerd.sock"
[ttrpc]
address = "$work/ttrpc.sock"
T
  "$(program containerd/containerd)" --config "$work/containerd.toml" >"$ENGINE_DIR/preload.log" 2>&1 &
  pid=$!
  for ((i = 0; i < 100; i++)); do
    if "${ctr[@]}" version >/dev/null 2>&1; then break; fi
    sleep 0.1
  done
  for archive in "$work"/archives/*.tar; do
    "${ctr[@]}" images import --label=io.cri-containerd.pinned=pinned --all-platforms --no-unpack "$archive" >&2
  done
  kill $pid
  wait $pid || true
}

build() {
  work=$(mktemp -d "$ENGINE_DIR/.node-image.XXXXXX")
  trap 'umount "$work/root" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
  R=$work/root
  mkdir "$work"/{root,upper,scratch}
  # What is changed lies above the root, which stays as it is for the next image.
  mount -t overlay -o "lowerdir=$node_root,upperdir=$work/upper,workdir=$work/scratch" overlay "$R"
  base
  programs
  images
  tar -C "$R" --numeric-owner -c .
}

case ${1:-} in
  name) name ;;
  build)
    # Its mounts are seen by nobody else.
    if [ -z "${ALONE:-}" ]; then ALONE=1 exec unshare --mount --propagation private "$0" build; fi
    build
    ;;
  *) die "usage: node-image.sh name|build" ;;
esac
