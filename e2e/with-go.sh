#!/usr/bin/env bash
# with-go.sh "<family...>" <command...>: builds families of the bed's Go programs, all when none is named, while the
# command runs. Fails when either does.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra families <<<"$1"
shift
e2e/bed/packages.sh >&2
set -m # a process group of its own, so that it ends as a whole
nice -n 10 e2e/bed/build.sh "${families[@]}" </dev/null >&2 &
builds=$!
set +m
trap 'kill -- "-$builds" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
"$@"
wait "$builds"
