#!/usr/bin/env bash
# preload.sh: the two images that a node needs before it can pull any, from the programs of the bed.
set -euo pipefail
. "$(dirname "$0")/env.sh"

image() { # name, program
  local dir tar
  dir=$(readlink -f "$SEALROOM_CACHE/go/$1")
  tar=$SEALROOM_CACHE/images/$(basename "$dir").tar
  if [ ! -e "$tar" ]; then
    mkdir -p "$SEALROOM_CACHE/images"
    local id
    id=$("$BED_SRC/buildah.sh" bud -q --build-arg "PROGRAM=$1" -f "$BED_SRC/../images/program/Dockerfile" "$dir")
    rm -f "$tar.part"
    "$BED_SRC/buildah.sh" push -q "$id" "docker-archive:$tar.part:sealroom.local/$1:1"
    mv "$tar.part" "$tar"
  fi
  cp "$tar" "$BED_DIR/preload/$1.tar"
}

mkdir -p "$BED_DIR/preload"
image pause
image coredns
