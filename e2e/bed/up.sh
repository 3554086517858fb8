#!/usr/bin/env bash
# up.sh: boots the cluster. NODES=1|2, CNI=cilium|ptp, KUBERNETES=1.37|1.33. Says so and does nothing when one is running;
# cleans first what a dead one left.
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ "$(id -u)" = 0 ] || die "needs root: the bed is made of namespaces and cgroups"
[[ $NODES =~ ^[12]$ ]] || die "NODES is 1 or 2, not $NODES"
[[ $CNI =~ ^(cilium|ptp)$ ]] || die "CNI is cilium or ptp, not $CNI"
kubernetes=kubernetes shape="NODES=$NODES CNI=$CNI"
case $KUBERNETES in
  1.37) ;;
  1.33) kubernetes=kubernetes-1.33 shape+=" KUBERNETES=1.33" ;;
  *) die "KUBERNETES is 1.37 or 1.33, not $KUBERNETES" ;;
esac
[ -x "${E2E_BIN:-}" ] || die "E2E_BIN is not the end-to-end program"

mkdir -p "$SEALROOM_CACHE"
exec 8>"$BED_DIR.lock"
flock -n 8 || die "somebody else is bringing the bed up or down"
if "$BED_SRC/status.sh" >/dev/null 2>&1; then
  [ "$(cat "$BED_DIR/shape")" = "$shape" ] ||
    die "a cluster with $(cat "$BED_DIR/shape") is up, not with $shape: make bed-down"
  say "already up with $(cat "$BED_DIR/shape"), nothing to do ($BED_DIR)"
  exit 0
fi
BED_LOCKED=1 "$BED_SRC/down.sh" --quiet

"$BED_SRC/packages.sh"
families=(etcd "$kubernetes" containerd runc coredns pause)
if [ "$CNI" = cilium ]; then families+=(cilium); fi
"$BED_SRC/build.sh" "${families[@]}"

fail() {
  say "failed, the ends of the logs:" >&2
  tail -qn 4 "$BED_DIR"/timeline "$BED_DIR"/log/*.log "$BED_DIR"/node*/log/*.log >&2 2>/dev/null || true
  mkdir -p "$SEALROOM_CACHE/last"
  rm -rf "$SEALROOM_CACHE/last/bed-logs"
  mkdir "$SEALROOM_CACHE/last/bed-logs"
  for d in "$BED_DIR"/node*; do cp -r "$d/log" "$SEALROOM_CACHE/last/bed-logs/$(basename "$d")" 2>/dev/null || true; done
  cp -r "$BED_DIR"/log "$BED_DIR/timeline" "$SEALROOM_CACHE/last/bed-logs/" 2>/dev/null || true
  BED_LOCKED=1 "$BED_SRC/down.sh" --quiet
}
trap fail ERR
trap 'fail; exit 130' INT TERM

began=$(date +%s)
mkdir -p "$BED_DIR/log"
chmod 755 "$BED_DIR"
touch "$BED_DIR/.sealroom-bed"
echo "$shape" >"$BED_DIR/shape"
echo "$(date +%s.%N) up" >"$BED_DIR/timeline"
"$BED_SRC/free-port.sh" 16443 >"$BED_DIR/api-port"
"$BED_SRC/free-port.sh" 15000 >"$BED_DIR/registry-port"
BED_PATH=
for f in "${families[@]}"; do BED_PATH+=$(readlink -f "$SEALROOM_CACHE/go/$f"):; done
export BED_PATH=${BED_PATH%:}
"$BED_SRC/preload.sh"
"$BED_SRC/pki.sh"
"$BED_SRC/cgroups.sh"
"$BED_SRC/net.sh"
"$BED_SRC/hosts.sh" node1 6443
for ((i = 1; i <= NODES; i++)); do
  "$BED_SRC/spawn.sh" "node$i" unshare --mount --uts --ipc --pid --fork --mount-proc --kill-child --propagation private \
    bash "$BED_SRC/node.sh" "$i"
done
"$BED_SRC/wait.sh"
touch "$BED_DIR/ready"
say "up after $(($(date +%s) - began)) s with $NODES node(s), $CNI"
