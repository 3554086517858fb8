#!/usr/bin/env bash
# products.sh <what...>: builds programs without their tests, and keeps the product under a name of its own, since
# its builds overwrite each other in cargo's directory:
#   unlocked   $SEALROOM_CACHE/bin/sealroom-unlocked  with the kernel lock made optional, for packet tests
#   programs   $SEALROOM_CACHE/bin/sealroom-locked    for tests, and sealroom-e2e in cargo's directory
#   shipped    $SEALROOM_CACHE/bin/sealroom-shipped   as it is released
# In this order: tests run the product from cargo's directory, which must not end with the unlocked one.
set -euo pipefail
cd "$(dirname "$0")/.."
. e2e/env.sh

# --workspace and --examples (there are none) are there for the features of the dependencies: those of all packages
# and of the dev-dependencies, as in `--all-targets`. Without them all dependencies are built once more.
build() { cargo build --profile e2e --workspace --examples --locked "$@"; }

keep() { # file, name: by one rename, since the old one may be running; without symbols, since pods copy it
  mkdir -p "$bin"
  strip --strip-all -o "$bin/.$2.$$" "$1"
  mv -f "$bin/.$2.$$" "$bin/$2"
}

[ $# -gt 0 ] || { echo "usage: products.sh unlocked|programs|shipped..." >&2; exit 2; }
for what in "$@"; do
  case $what in
    unlocked)
      build --bin sealroom --features sealroom/kernel-lock-off
      keep "$built/e2e/sealroom" sealroom-unlocked
      ;;
    programs)
      build --bins
      keep "$built/e2e/sealroom" sealroom-locked
      ;;
    shipped)
      cargo build --release --locked --package sealroom
      keep "$built/release/sealroom" sealroom-shipped
      ;;
    *) echo "unknown program $what, one of: unlocked programs shipped" >&2; exit 2 ;;
  esac
done
