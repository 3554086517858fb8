#!/usr/bin/env bash
# deps.sh: what is linked is used (cargo-machete) and may be linked (cargo-deny). The tools are built once into the
# cache; cargo-deny runs when what it reads has changed since it was content.
set -euo pipefail
cd "$(dirname "$0")/.."
. e2e/env.sh
TOOLS=(cargo-deny:0.20.2 cargo-machete:0.9.2)
tools=$SEALROOM_CACHE/tools
mkdir -p "$tools"

for tool in "${TOOLS[@]}"; do
  name=${tool%:*} version=${tool#*:}
  if ! grep -qsF "\"$name $version " "$tools/.crates.toml"; then
    # Elsewhere, because our settings of target and flags are not meant for them.
    (cd "$tools" && CARGO_TARGET_DIR=$tools-target cargo install --debug --locked --root "$tools" --version "=$version" "$name")
  fi
done
rm -rf "$tools-target"

"$tools/bin/cargo-machete"

inputs=$(cat Cargo.lock Cargo.toml e2e/Cargo.toml deny.toml e2e/deps.sh | sha256sum)
if [ "$(cat "$tools/deny.ok" 2>/dev/null)" = "$inputs" ]; then
  echo "deps: cargo-deny was content with the same files"
else
  # The advisories need a database that is fetched over git; see deny.toml.
  "$tools/bin/cargo-deny" --locked check --hide-inclusion-graph bans licenses sources
  echo "$inputs" >"$tools/deny.ok"
fi
