#!/usr/bin/env bash
# root.sh [NAME PACKAGE...]: lays out the root of the llama.cpp image from Debian sid's packages, and tries it.
# Prints the versions, and as its last line the directory. With a name it is another root beside the image's,
# with further packages: see fit.sh.
# Versions are resolved when it runs, because the pool of sid keeps no old ones; what was resolved is
# kept in the cache for 30 days. The machine's own apt sources and package lists stay untouched.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
: "${DEBIAN_MIRROR:=http://deb.debian.org/debian}"
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
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs,root}
: >"$work/state/status" # as if nothing were installed
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $DEBIAN_MIRROR sid main" >"$work/sources.list"
apt=(-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" -o Dir::Cache="$work/cache"
  -o APT::Get::List-Cleanup=0 -o APT::Install-Recommends=0 -o Acquire::Languages=none -o APT::Sandbox::User=root)
apt-get "${apt[@]}" -q update >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; exit 1; }

# The closure is apt's own answer to "install this on an empty system", less what a server never runs.
closure=$(apt-get "${apt[@]}" -q -s install llama.cpp-tools "$@" | awk '$1 == "Inst" { print $2 }' |
  grep -Ev '^(debconf|dpkg|tar|perl.*|sensible-utils|ucf|init-system-helpers|cdebconf|adduser|passwd|coreutils|.*-doc|.*-common-data)$')
# shellcheck disable=SC2086 # a list of names
(cd "$work/debs" && apt-get "${apt[@]}" -q download $closure >"$work/log" 2>&1) || { tail -n 15 "$work/log" >&2; exit 1; }
# libc's packages expect the merged /usr that an installed system has.
mkdir -p "$work/root/usr/"{bin,lib,lib64,sbin}
for d in bin lib lib64 sbin; do ln -s "usr/$d" "$work/root/$d"; done
for deb in "$work"/debs/*.deb; do
  # Through tar, which keeps the links of the merged /usr where dpkg-deb -x would replace them.
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$work/root"
  echo "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version)"
done >"$work/versions"

# Only what the server needs: its programs, libraries and backends.
rm -rf "$work/root"/{etc,var,usr/share,usr/sbin,usr/lib/systemd,usr/lib/udev,usr/include,usr/games}
find "$work/root/usr/bin" -type f ! -name 'llama*' -delete
find "$work/root/usr/bin" -type l ! -exec test -e {} \; -delete
mkdir -p "$work/root"/{tmp,etc,proc,dev}
chmod 1777 "$work/root/tmp"
printf 'nobody:x:65532:65532:nobody:/:/sbin/nologin\n' >"$work/root/etc/passwd"

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
