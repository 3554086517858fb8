# debian.sh: a directory with Debian packages unpacked, for the root of an image. Sourced by the images' root.sh.
# The machine's own apt sources and package lists stay untouched.
# shellcheck shell=bash
: "${DEBIAN_MIRROR:=http://deb.debian.org/debian}"

# debian_root <work> <suite> <package>...: unpacks the packages and what they depend on into <work>/root, and writes
# "name version" of each to <work>/versions.
debian_root() {
  local work=$1 suite=$2 apt closure deb d
  shift 2
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs,root}
  : >"$work/state/status" # as if nothing were installed
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $DEBIAN_MIRROR $suite main" >"$work/sources.list"
  apt=(-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" -o Dir::Cache="$work/cache"
    -o APT::Get::List-Cleanup=0 -o APT::Install-Recommends=0 -o Acquire::Languages=none -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" -q update >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; return 1; }

  # The closure is apt's own answer to "install this on an empty system", less what such an image never runs.
  closure=$(apt-get "${apt[@]}" -q -s install "$@" | awk '$1 == "Inst" { print $2 }' |
    grep -Ev '^(debconf|dpkg|tar|perl.*|sensible-utils|ucf|init-system-helpers|cdebconf|adduser|passwd|coreutils|.*-doc|.*-common-data)$')
  # shellcheck disable=SC2086 # a list of names
  (cd "$work/debs" && apt-get "${apt[@]}" -q download $closure >"$work/log" 2>&1) || { tail -n 15 "$work/log" >&2; return 1; }
  # libc's packages expect the merged /usr that an installed system has.
  mkdir -p "$work/root/usr/"{bin,lib,lib64,sbin}
  for d in bin lib lib64 sbin; do ln -s "usr/$d" "$work/root/$d"; done
  for deb in "$work"/debs/*.deb; do
    # Through tar, which keeps the links of the merged /usr where dpkg-deb -x would replace them.
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$work/root"
    echo "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version)"
  done >"$work/versions"
}

# debian_trim <root>: takes away what no program of an image reads, and makes what every image has.
debian_trim() {
  local root=$1
  rm -rf "$root"/{etc,var,usr/sbin,usr/lib/systemd,usr/lib/udev,usr/include,usr/games}
  mkdir -p "$root"/{tmp,etc,proc,dev}
  chmod 1777 "$root/tmp"
  printf 'nobody:x:65532:65532:nobody:/:/sbin/nologin\n' >"$root/etc/passwd"
}
