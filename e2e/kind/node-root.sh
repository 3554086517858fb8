#!/usr/bin/env bash
# node-root.sh: the root of a node, from Debian's packages: what kind's own base image installs, and the compiler that
# Cilium's agent runs. Prints the directory.
set -euo pipefail
. "$(dirname "$0")/env.sh"
: "${DEBIAN_MIRROR:=http://deb.debian.org/debian}"
packages=(systemd systemd-sysv dbus conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2
  pigz e2fsprogs bash ca-certificates curl jq procps ebtables socat openssl)
packages+=(clang-19 llvm-19)
suite=bookworm

join() { local IFS=,; echo "$*"; }
key=$({ echo "$suite ${packages[*]}"; tail -n +3 "$0"; } | sha256sum | cut -c1-16)
root=$ENGINE_DIR/node-root-$key
mkdir -p "$ENGINE_DIR"
exec 9>"$ENGINE_DIR/node-root.lock"
flock 9
if [ ! -d "$root" ]; then
  tools=$("$KIND_SRC/engine-root.sh")
  work=$(mktemp -d "$ENGINE_DIR/.node-root.XXXXXX")
  trap 'rm -rf --one-file-system "$work"' EXIT
  chmod 755 "$work"
  # Its mounts are seen by nobody else.
  DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap unshare --mount --propagation private \
    sh "$tools/usr/sbin/debootstrap" --variant=minbase --include="$(join "${packages[@]}")" "$suite" "$work/root" \
    "$DEBIAN_MIRROR" >"$ENGINE_DIR/node-root.log" 2>&1 ||
    { tail -n 15 "$ENGINE_DIR/node-root.log" >&2; die "failed to make the node's root"; }
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/* "$work"/root/var/log/*
  rm -rf "$work"/root/usr/share/{doc,man,locale,info}
  find "$ENGINE_DIR" -maxdepth 1 -name 'node-root-*' -type d -exec rm -rf --one-file-system {} +
  mv "$work/root" "$root"
fi
echo "$root"
