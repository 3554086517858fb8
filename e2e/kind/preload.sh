#!/usr/bin/env bash
# preload.sh <directory>: the images that kubeadm starts a control plane from, of the bed's programs and under the
# names that kubeadm gives them. One archive each.
set -euo pipefail
. "$(dirname "$0")/env.sh"
to=$1
node_root=$("$KIND_SRC/node-root.sh")
program() { readlink -f "$SEALROOM_CACHE/go/$1"; } # family/program
work=$(mktemp -d "$ENGINE_DIR/.preload.XXXXXX")
trap 'rm -rf "$work"' EXIT

archive() { # name of the image, its Dockerfile, arguments of the build...
  local name=$1 dockerfile=$2 id
  shift 2
  id=$("$BED_SRC/buildah.sh" bud -q "$@" -f "$BED_SRC/../images/$dockerfile/Dockerfile" "$work/context")
  "$BED_SRC/buildah.sh" push -q "$id" "docker-archive:$to/$(basename "${name%%:*}").tar:$name"
  "$BED_SRC/buildah.sh" rmi "$id" >/dev/null
}

fresh() {
  rm -rf "$work/context"
  mkdir -p "$work/context/root/usr/local/bin"
}

put() { cp "$1" "$work/context/root/usr/local/bin/$(basename "$1")"; }

# kube-proxy calls nft, which needs its libraries.
nft() {
  local file
  mkdir -p "$work/context/root/usr/sbin"
  cp "$node_root/usr/sbin/nft" "$work/context/root/usr/sbin/"
  chroot "$node_root" ldd /usr/sbin/nft | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r file; do
    mkdir -p "$work/context/root$(dirname "$file")"
    cp -L "$node_root$file" "$work/context/root$file"
  done
}

mkdir -p "$to"
version=$("$(program kubernetes/kubectl)" version --client -o json | jq -r .clientVersion.gitVersion)
"$(program kubeadm/kubeadm)" config images list --kubernetes-version "$version" | while read -r name; do
  fresh
  case $name in
    */kube-proxy:*) put "$(program kubernetes/kube-proxy)" && nft && archive "$name" control-plane ;;
    */kube-*) part=$(basename "${name%%:*}") && put "$(program "kubernetes/$part")" && archive "$name" control-plane ;;
    */etcd:*) put "$(program etcd/etcd)" && archive "$name" control-plane ;;
    */coredns:*) cp "$(program coredns/coredns)" "$work/context/" && archive "$name" program --build-arg PROGRAM=coredns ;;
    */pause:*) ;; # kind's containerd names another version
    *) die "kubeadm names an image that nobody makes: $name" ;;
  esac
done
fresh
cp "$(program pause/pause)" "$work/context/"
pause=$(sed -n 's/.*sandbox_image = "\(.*\)"/\1/p' "$(program kind/base)/etc/containerd/config.toml")
archive "$pause" program --build-arg PROGRAM=pause
