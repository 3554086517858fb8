#!/usr/bin/env bash
# engine-root.sh: Debian's docker.io, containerd and runc, unpacked and not installed: nothing of this machine changes.
# Prints the directory.
set -euo pipefail
. "$(dirname "$0")/env.sh"
packages=(docker.io containerd runc libdevmapper1.02.1 debootstrap)

mkdir -p "$ENGINE_DIR"
exec 9>"$ENGINE_DIR/root.lock"
flock 9
# What is there is used again for 30 days: a security update comes by then.
root=$ENGINE_DIR/root
if [ -z "$(find "$root/versions" -mtime -30 2>/dev/null)" ]; then
  work=$(mktemp -d "$ENGINE_DIR/.root.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/debs" "$work/root"
  chmod 755 "$work" "$work/debs"
  fetch() { (cd "$work/debs" && apt-get -o APT::Sandbox::User=root -q download "${packages[@]}"); }
  # The lists may be older than the archive.
  fetch >"$work/log" 2>&1 || { apt-get -q update && fetch; } >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; exit 1; }
  for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/root"
    echo "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version)" >>"$work/root/versions"
  done
  # A running engine holds the old one's files, not its name.
  rm -rf "$root"
  mv "$work/root" "$root"
fi
echo "$root"
