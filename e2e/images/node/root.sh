#!/usr/bin/env bash
# root.sh: lays out the root of an image of Node.js with npm, for servers to be built on: the Node.js of the clients' image
# on Debian 12, with BusyBox and curl. It asks the registry of packages that this machine asks, and trusts whom it trusts.
# Tries it, and prints as its last line the directory.
# What it is made from names the directory; Debian's versions are those of the day when it is made.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
cd "$(dirname "$0")"
. ../debian.sh
authorities=/etc/ssl/certs/ca-certificates.crt
runtime=$(readlink -f "$(../../node.sh .)/node")
runtime=${runtime%/bin/node}
registry=$("$runtime/bin/node" "$runtime/lib/node_modules/npm/bin/npm-cli.js" config get registry)
hash=$( (echo "$runtime $registry"; cat root.sh ../debian.sh "$authorities") | sha256sum | cut -c1-16)
final=$SEALROOM_CACHE/node-image/root-$hash
mkdir -p "$SEALROOM_CACHE/node-image"
exec 9>"$SEALROOM_CACHE/node-image/lock"
flock 9
if [ -d "$final" ]; then echo "$final"; exit 0; fi

work=$(mktemp -d "$SEALROOM_CACHE/node-image/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
debian_root "$work" bookworm busybox curl libstdc++6
cat "$work/versions"
rm -rf "${root:?}/usr/share"
find "$root/usr/bin" -mindepth 1 ! -name busybox ! -name curl -delete
debian_trim "$root"
for name in $("$root/usr/bin/busybox" --list); do
  [ "$name" = busybox ] || ln -s busybox "$root/usr/bin/$name"
done

cp "$runtime/bin/node" "$root/usr/bin/node"
strip --strip-unneeded "$root/usr/bin/node"
mkdir -p "$root"/{root,etc/ssl/certs,usr/lib/node_modules}
cp -r "$runtime/lib/node_modules/npm" "$root/usr/lib/node_modules/"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/bin/npm"
cp "$authorities" "$root/etc/ssl/certs/"
echo 'root:x:0:0:root:/root:/bin/sh' >>"$root/etc/passwd"
echo "registry=$registry" >"$root/root/.npmrc"
chroot --userspec=65532:65532 "$root" /usr/bin/env HOME=/tmp sh -c 'node --version && npm --version && curl --version | head -n 1'
rm -rf "$root/tmp/"*

rm -rf "$SEALROOM_CACHE/node-image"/root-*
mv "$root" "$final"
echo "$final"
