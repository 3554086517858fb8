#!/usr/bin/env bash
# which.sh: prints `user` where a Docker daemon answers, and `own` where one has to be started.
set -euo pipefail
. "$(dirname "$0")/env.sh"
echo "$KIND_ENGINE"
