# env.sh: where everything is that is built, and caches of one run alone. Sourced from the repository's root.
# shellcheck shell=bash disable=SC2034

: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
cold_dir=
last=$SEALROOM_CACHE/last

places() {
  : "${CARGO_TARGET_DIR:=$SEALROOM_CACHE/target}"
  export SEALROOM_CACHE CARGO_TARGET_DIR
  built=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu
  e2e=$built/e2e/sealroom-e2e
  bin=$SEALROOM_CACHE/bin
  go=$SEALROOM_CACHE/go
}
places

# cold: with COLD=1 begins with empty caches of the project, Go, cargo and pip. Whoever calls it calls cold_end at the
# end, whichever way that comes; nobody else begins any, since nobody else would remove them. Reports stay where they
# always are.
cold() {
  [ -n "${COLD:-}" ] || return 0
  unset COLD
  # A cluster of the usual cache has the same cgroup and addresses, and is not found from the new one.
  e2e/bed/down.sh --quiet
  if [ "${PROVIDER:-}" = kind ]; then e2e/kind/down.sh --quiet; fi
  mkdir -p "$SEALROOM_CACHE"
  cold_dir=$(mktemp -d "$SEALROOM_CACHE/cold.XXXXXX")
  local home=${CARGO_HOME:-$HOME/.cargo}
  export SEALROOM_CACHE=$cold_dir CARGO_TARGET_DIR=$cold_dir/target CARGO_HOME=$cold_dir/cargo
  export GOCACHE=$cold_dir/gocache GOMODCACHE=$cold_dir/gomod PIP_NO_CACHE_DIR=1
  unset BED_DIR
  mkdir -p "$CARGO_HOME"
  # Settings of this machine, such as a mirror, are no cache.
  for f in config.toml config credentials.toml; do
    if [ -e "$home/$f" ]; then cp "$home/$f" "$CARGO_HOME/"; fi
  done
  places # the scripts that are called share them
}

cold_end() {
  [ -n "$cold_dir" ] || return 0
  e2e/bed/down.sh --quiet || true
  e2e/kind/down.sh --quiet || true
  chmod -R u+w "$cold_dir" # Go makes its modules read-only
  rm -rf --one-file-system "$cold_dir"
  cold_dir=
}
