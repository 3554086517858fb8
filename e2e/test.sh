#!/usr/bin/env bash
# test.sh: everything that is tested, in stages. Each prints its budget and what it took; all of them are in
# $SEALROOM_CACHE/last/test.json. The last line counts what passed, failed and was skipped.
# COLD=1 begins with empty caches of the project, Go, cargo and pip, and removes them afterwards.
# shellcheck disable=SC2317 # stages call the functions by name
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
last=$SEALROOM_CACHE/last
export SEALROOM_CACHE
. e2e/stages.sh
if [ -n "${COLD:-}" ]; then cold; fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$SEALROOM_CACHE/target}
mkdir -p "$last" "$SEALROOM_CACHE/go"

cargo=(--profile e2e --workspace --all-targets --locked)
e2e=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/e2e/sealroom-e2e

go_builds() { nice -n 10 e2e/bed/build.sh; }
shell_lint() { shellcheck -x -P SCRIPTDIR .ci/run e2e/*.sh e2e/bed/*.sh e2e/images/*/*.sh; }
images() { "$e2e" images --no-push; }
cluster() { # CNI, nodes: boots it, checks it, takes it down, and compares the machine with what it was
  e2e/bed/leftovers.sh >"$last/before"
  CNI=$1 NODES=$2 "$e2e" bed up
  CNI=$1 NODES=$2 "$e2e" smoke
  "$e2e" bed down
  e2e/bed/leftovers.sh >"$last/after"
  diff "$last/before" "$last/after"
}

stage packages 180 e2e/bed/packages.sh
background go 2700 go_builds
stage format 30 cargo fmt --all --check
stage build 1500 cargo build "${cargo[@]}"
stage clippy 900 cargo clippy "${cargo[@]}" -- -D warnings
stage unit 900 cargo test "${cargo[@]}"
stage shell 60 shell_lint
stage images 300 images
join go
"$e2e" bed down >/dev/null 2>&1 || true # a cluster that somebody left would not be this one
stage bed-killed 120 e2e/bed/killed-test.sh "$e2e"
stage bed-ptp 180 cluster ptp 1
stage bed-cilium 240 cluster cilium 2
finish
