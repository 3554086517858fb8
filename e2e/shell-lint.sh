#!/usr/bin/env bash
# shell-lint.sh: every script of the repository, by shellcheck.
set -euo pipefail
cd "$(dirname "$0")/.."
exec shellcheck -x -P SCRIPTDIR .ci/run e2e/*.sh e2e/bed/*.sh e2e/kind/*.sh e2e/images/*/*.sh e2e/engines/*.sh e2e/mcp/*.sh docs/*.sh charts/*/tests/*.sh
