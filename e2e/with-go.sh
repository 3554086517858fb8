#!/usr/bin/env bash
# with-go.sh "<family...>" <command...>: builds families of the bed's Go programs, all that the provider needs when
# none is named, while the command runs. Fails when either does. On the user's own Docker nothing is built from Go.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra families <<<"$1"
shift
if [ "${PROVIDER:-}" = kind ]; then
  if [ "$(e2e/kind/which.sh)" = user ]; then exec "$@"; fi
  if [ ${#families[@]} = 0 ]; then families=(etcd kubernetes kubeadm kind containerd runc coredns pause cilium helm); fi
fi
e2e/bed/packages.sh >&2
set -m # a process group of its own, so that it ends as a whole
nice -n 10 e2e/bed/build.sh "${families[@]}" </dev/null >&2 &
builds=$!
set +m
trap 'kill -- "-$builds" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
"$@"
wait "$builds"
