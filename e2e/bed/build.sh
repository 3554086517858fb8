#!/usr/bin/env bash
# build.sh [family...]: builds the Go programs of the bed from their pins, each once.
# Prints one line per family: `build <family> <seconds>s cached|built <directory>`.
# The directory is named by the hash of pins, flags and Go version, and appears by one rename.
set -euo pipefail
. "$(dirname "$0")/env.sh"
. "$BED_SRC/families.sh"

hash_of() {
  local family=$1
  { go env GOVERSION; declare -f "build_$family"; cd "$BED_SRC/pins/$family"; find . -type f | LC_ALL=C sort | xargs sha256sum; } |
    sha256sum | cut -c1-16
}

build() {
  local family=$1 dir began=$SECONDS state=cached
  dir=$SEALROOM_CACHE/go/$family-$(hash_of "$family")
  if [ ! -d "$dir" ]; then
    state=built
    local work log
    work=$(mktemp -d "$SEALROOM_CACHE/go/.$family.XXXXXX") log=$SEALROOM_CACHE/go/$family.log
    # A copy, because -mod=mod may write go.mod and go.sum, and a build must not change its own key.
    cp -r "$BED_SRC/pins/$family" "$work/src"
    mkdir "$work/out"
    # shellcheck disable=SC2034 # read by the family's function
    if ! (cd "$work/src" && OUT=$work/out && "build_$family") >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      chmod -R u+w "$work"; rm -rf "$work"
      die "failed to build $family, log in $log"
    fi
    mv -T "$work/out" "$dir" 2>/dev/null || [ -d "$dir" ] # somebody else was first
    chmod -R u+w "$work"; rm -rf "$work"
  fi
  ln -sfn "$(basename "$dir")" "$SEALROOM_CACHE/go/$family"
  echo "build $family $((SECONDS - began))s $state $dir"
}

mkdir -p "$SEALROOM_CACHE/go"
[ $# -gt 0 ] || set -- "${FAMILIES[@]}"
for family in "$@"; do
  declare -f "build_$family" >/dev/null || die "unknown family $family, one of: ${FAMILIES[*]} ollama traefik kubeadm kind kubernetes-1.33 prometheus prometheus-adapter dashboard"
  # One builder a family: a second one waits and then finds the result.
  exec 9>"$SEALROOM_CACHE/go/$family.lock"
  flock 9
  build "$family"
  exec 9>&-
done
