#!/usr/bin/env bash
# test.sh: everything that is tested, in stages. Each prints its budget and what it took; all of them are in
# $SEALROOM_CACHE/last/test.json. The last line counts what passed, failed and was skipped.
# COLD=1 begins with empty caches of the project, Go, cargo and pip, and removes them afterwards.
# shellcheck disable=SC2317 # stages call the functions by name
set -euo pipefail
cd "$(dirname "$0")/.."
# Everything is everything, whatever is set for the other targets; and a cluster that stays would be a leftover.
unset FILTER KEEP POLICY_SAMPLES
export PROVIDER=${PROVIDER:-bed} NODES=2 CNI=cilium
. e2e/env.sh
. e2e/stages.sh
trap finish EXIT
trap 'exit 130' INT TERM
cold
mkdir -p "$last" "$go"
export KUBE_APISERVER_BIN=$go/kubernetes/kube-apiserver ETCD_BIN=$go/etcd/etcd SEALROOM_REQUIRE_APISERVER=1
export HELM=$go/helm/helm PROMTOOL=$go/prometheus/promtool DASHBOARD=$go/dashboard/dashboard
# Also beside a Docker of the user's: what is tested has to be the same everywhere.
export KIND_ENGINE=own

# One selection of packages and targets everywhere: another one has other features, and builds all of its
# dependencies again.
cargo=(--profile e2e --workspace --all-targets --locked)

shipped() { # the size, no way around the kernel lock, and the memory of an idle gate
  e2e/products.sh shipped
  "$e2e" images --no-push --without-llama --without-ollama --product "$bin/sealroom-shipped" --shipped
  "$bin/sealroom-unlocked" launch --help | grep -e --no-kernel-lock # or the next line would show nothing
  if "$bin/sealroom-shipped" launch --help | grep -e --no-kernel-lock; then return 1; fi
  if grep -ac no-kernel-lock "$bin/sealroom-shipped"; then return 1; fi
  # The test passes where no program is named: its line says that this one was measured.
  SEALROOM_SHIPPED=$bin/sealroom-shipped cargo test "${cargo[@]}" -- --nocapture bench::gate::idle_tests | grep 'idle gate: '
}
unchanged() { # a command, and the machine is afterwards what it was
  e2e/bed/leftovers.sh >"$last/before"
  "$@"
  e2e/bed/leftovers.sh >"$last/after"
  diff "$last/before" "$last/after"
}
cluster() { unchanged "$e2e" test --operator "$bin/sealroom-locked" --unlocked "$bin/sealroom-unlocked"; }
conformance() { # the suite's own client waits 600 ms for some answers, so that a busy machine has two tries
  local run=(env CHECK=1 SEALROOM="$bin/sealroom-locked" e2e/mcp/conformance.sh)
  "${run[@]}" || "${run[@]}"
}
# What a user does on a laptop: create, install, one sealed answer, holes and recoveries, delete.
kind() { PROVIDER=kind NODES=1 unchanged "$e2e" demo --operator "$bin/sealroom-shipped"; }

setup packages 180 e2e/bed/packages.sh
# The tests with an API server wait for the first two; everything else waits behind them for the same locks.
background go-apiserver 1500 e2e/bed/build.sh etcd kubernetes
background go 2700 nice -n 10 bash -c 'e2e/bed/build.sh && e2e/bed/build.sh ollama traefik prometheus prometheus-adapter dashboard kubeadm kind && e2e/kind/node-root.sh'
check format 30 cargo fmt --all --check
check shell 60 e2e/shell-lint.sh
check docs 10 docs/check.sh
check cold 10 e2e/cold-test.sh
setup build 1200 cargo build "${cargo[@]}"
check clippy 480 cargo clippy "${cargo[@]}" -- -D warnings
setup products 240 e2e/products.sh unlocked programs
join go-apiserver
tests unit 480 cargo test "${cargo[@]}"
check fit 180 e2e/fit.sh
check shipped 480 shipped
check deps 360 e2e/deps.sh
join go
check calls-home 120 e2e/engines/calls-home.sh
check conformance 180 conformance
tests chart 30 charts/sealroom/tests/render.sh
if [ "$PROVIDER" = bed ]; then
  bed_is_ours=1
  e2e/bed/down.sh --quiet # a cluster that somebody left would not be this one
  check bed-killed 120 e2e/bed/killed-test.sh "$e2e" bed
  tests e2e 1200 cluster
  kind_is_ours=1
  e2e/kind/down.sh --quiet
  check kind 300 kind
elif [ "$PROVIDER" = kind ]; then
  kind_is_ours=1
  e2e/kind/down.sh --quiet
  check kind-killed 180 e2e/bed/killed-test.sh "$e2e" kind
  tests e2e 1800 cluster
else
  echo "PROVIDER is bed or kind for all tests, not $PROVIDER" >&2
  exit 2
fi
# Last: the model and the image that it needs are in the cache by now.
check mcp-example 90 e2e/mcp/fastmcp-pnpm.sh
