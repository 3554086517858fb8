#!/usr/bin/env bash
# root.sh [NAME PACKAGE...]: lays out the root of the llama.cpp image from Debian sid's packages, and tries it.
# Prints the versions, and as its last line the directory. With a name it is another root beside the image's,
# with further packages: see fit.sh.
# Versions are resolved when it runs, because the pool of sid keeps no old ones; what was resolved is
# kept in the cache for 30 days.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
: "${DEBIAN_MIRROR:=http://deb.debian.org/debian}"
export SEALROOM_CACHE DEBIAN_MIRROR
# It takes root and apt: without them, a container of Debian's on the Docker engine that answers has both.
DEBIAN_IMAGE=debian:bookworm-slim@sha256:4724b8cc51e33e398f0e2e15e18d5ec2851ff0c2280647e1310bc1642182655d
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  mkdir -p "$SEALROOM_CACHE"
  exec docker run --rm --env SEALROOM_CACHE --env DEBIAN_MIRROR --volume "$SEALROOM_CACHE:$SEALROOM_CACHE" \
    --volume "$(cd "$(dirname "$0")/.." && pwd):/images:ro" "$DEBIAN_IMAGE" /images/llama/root.sh "$@"
fi
. "$(dirname "$0")/../debian.sh"
name=${1:-root}
[ $# = 0 ] || shift
final=$SEALROOM_CACHE/llama/$name
versions=$SEALROOM_CACHE/llama/versions
if [ "$name" != root ]; then versions+=-$name; fi
mkdir -p "$SEALROOM_CACHE/llama"
exec 9>"$SEALROOM_CACHE/llama/lock"
flock 9

finish() { cat "$versions"; echo "$final"; exit 0; }
if [ -d "$final" ] && [ -n "$(find "$versions" -mtime -30)" ]; then finish; fi

work=$(mktemp -d "$SEALROOM_CACHE/llama/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
debian_root "$work" sid llama.cpp-tools "$@"

# Only what the server needs: its programs, libraries and backends.
rm -rf "$work/root/usr/share"
find "$work/root/usr/bin" -type f ! -name 'llama*' -delete
find "$work/root/usr/bin" -type l ! -exec test -e {} \; -delete
debian_trim "$work/root"

# It must start from that root and load a backend for this processor, before anybody pulls it. Without a
# backend it stops before it opens the file; with one, the missing file is what it complains about.
tried=$(timeout 60 chroot --userspec=65532:65532 "$work/root" /usr/bin/llama-server -m /missing.gguf --host /tmp/tried.sock --offline 2>&1) || true
if ! grep -q 'failed to open GGUF file' <<<"$tried" || grep -q 'no backends are loaded' <<<"$tried"; then
  echo "failed to start llama-server with a backend: $tried" >&2
  exit 1
fi
rm -rf "$work/root/tmp/"*

rm -rf "$final"
mv "$work/root" "$final"
mv "$work/versions" "$versions"
touch "$versions"
finish
