#!/usr/bin/env bash
# debian.sh <package>: unpacks a Debian package of this machine's release into the cache, without installing it: its
# service would start with the machine. Prints the directory, named by the package and its version.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
package=$1 debs=$SEALROOM_CACHE/debian
mkdir -p "$debs"
exec 9>"$debs/lock"
flock 9
candidate() { apt-cache policy "$package" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }
fetch() { (cd "$work" && apt-get download -q "$package") >"$work/log" 2>&1; }

version=$(candidate)
final=$debs/$package-$version
if [ -z "$version" ] || [ ! -d "$final" ]; then
  work=$(mktemp -d "$debs/.work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Lists may be missing, or older than the archive.
  if [ -z "$version" ] || ! fetch; then
    apt-get update -q >"$work/log" 2>&1
    version=$(candidate)
    final=$debs/$package-$version
    fetch || { tail -n 15 "$work/log" >&2; exit 1; }
  fi
  dpkg-deb -x "$work/$package"_*.deb "$work/root"
  rm -rf "$final"
  mv "$work/root" "$final"
fi
echo "$final"
