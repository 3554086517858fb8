#!/usr/bin/env bash
# root.sh: lays out the root of an image with Debian 12's PostgreSQL. Tries it, and prints as its last line the directory.
# What it is made from names the directory; Debian's versions are those of the day when it is made.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
cd "$(dirname "$0")"
. ../debian.sh
hash=$(cat root.sh ../debian.sh | sha256sum | cut -c1-16)
final=$SEALROOM_CACHE/postgres/root-$hash
mkdir -p "$SEALROOM_CACHE/postgres"
exec 9>"$SEALROOM_CACHE/postgres/lock"
flock 9
if [ -d "$final" ]; then echo "$final"; exit 0; fi

work=$(mktemp -d "$SEALROOM_CACHE/postgres/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
# initdb starts the server through a shell.
debian_root "$work" bookworm postgresql-15 dash
cat "$work/versions"
# What compiles queries, which small ones never are.
rm -rf "$root"/usr/lib/x86_64-linux-gnu/libLLVM* "$root"/usr/lib/llvm* "$root"/usr/lib/postgresql/15/lib/{llvmjit*,bitcode}
find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name postgresql ! -name zoneinfo -exec rm -rf {} +
find "$root/usr/bin" -mindepth 1 ! -name dash ! -name sh -delete
debian_trim "$root"
chroot --userspec=65532:65532 "$root" /usr/lib/postgresql/15/bin/postgres --version

rm -rf "$SEALROOM_CACHE/postgres"/root-*
mv "$root" "$final"
echo "$final"
