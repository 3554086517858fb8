#!/usr/bin/env bash
# sweep.sh: takes containers, volumes and networks out of our engine's data while it does not run, and leaves the
# images: the engine was killed, and would start them all again.
set -euo pipefail
. "$(dirname "$0")/env.sh"
# What a build of a node image left that was broken off long ago.
find "$ENGINE_DIR" -maxdepth 1 -name '.*' -mmin +120 -exec rm -rf --one-file-system {} + 2>/dev/null || true
data=$ENGINE_DIR/data
[ -d "$data" ] || exit 0
shopt -s nullglob
for container in "$data"/image/overlay2/layerdb/mounts/*; do
  for layer in "$container"/{mount-id,init-id}; do
    if [ -s "$layer" ]; then rm -rf --one-file-system "$data/overlay2/$(cat "$layer")"; fi
  done
  rm -rf "$container"
done
find "$data/overlay2/l" -xtype l -delete 2>/dev/null || true
rm -rf --one-file-system "$data"/{containers,volumes,network,runtimes,tmp,swarm,buildkit}
