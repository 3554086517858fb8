#!/usr/bin/env bash
# up.sh: creates the kind cluster and its registry. NODES=1|2; CNI=cilium|ptp where the engine is ours, since a node
# image of ours has no CNI; KIND_IP_FAMILY=ipv4 for a Docker of the user's without IPv6. Says so and does nothing when
# it runs; cleans first what a dead one left.
set -euo pipefail
. "$(dirname "$0")/env.sh"
# shellcheck disable=SC2153 # set by env.sh
[[ $NODES =~ ^[12]$ ]] || die "NODES is 1 or 2, not $NODES"
[[ $CNI =~ ^(cilium|ptp)$ ]] || die "CNI is cilium or ptp, not $CNI"

mkdir -p "$SEALROOM_CACHE"
exec 8>"$BED_DIR.lock"
flock -n 8 || die "somebody else is bringing the kind cluster up or down"
shape="ENGINE=$KIND_ENGINE NODES=$NODES"
if [ "$KIND_ENGINE" = own ]; then shape+=" CNI=$CNI"; fi
if "$KIND_SRC/status.sh" >/dev/null 2>&1; then
  [ "$(cat "$BED_DIR/shape")" = "$shape" ] ||
    die "a cluster with $(cat "$BED_DIR/shape") is up, not with $shape: make bed-down PROVIDER=kind"
  say "already up with $shape, nothing to do ($BED_DIR)"
  exit 0
fi
BED_LOCKED=1 "$KIND_SRC/down.sh" --quiet

# What differs: prepare, begin, networking, node, patches and finish.
# shellcheck source=own.sh
. "$KIND_SRC/$KIND_ENGINE.sh"
prepare

fail() {
  [ ! -e "$BED_DIR/ready" ] || return 0
  say "failed, the ends of the logs:" >&2
  tail -qn 8 "$BED_DIR"/kind.log "$BED_DIR"/log/*.log >&2 2>/dev/null || true
  mkdir -p "$SEALROOM_CACHE/last"
  rm -rf "$SEALROOM_CACHE/last/kind-logs"
  mkdir "$SEALROOM_CACHE/last/kind-logs"
  cp -r "$BED_DIR"/kind.log "$BED_DIR"/log "$SEALROOM_CACHE/last/kind-logs/" 2>/dev/null || true
  BED_LOCKED=1 "$KIND_SRC/down.sh" --quiet
}
trap fail EXIT
trap 'exit 130' INT TERM

began=$(date +%s)
mkdir -p "$BED_DIR"/{log,home,share,certs.d,registry,audit}
chmod 755 "$BED_DIR"
touch "$BED_DIR/.sealroom-bed"
echo "$KIND_ENGINE" >"$BED_DIR/engine"
echo "$shape" >"$BED_DIR/shape"
"$BED_SRC/free-port.sh" 26443 >"$BED_DIR/api-port"
"$BED_SRC/free-port.sh" 25000 >"$BED_DIR/registry-port"
"$BED_SRC/registry-config.sh" >"$BED_DIR/registry.yaml"
begin

config() {
  local i role=control-plane
  cat <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  apiServerAddress: 127.0.0.1
  apiServerPort: $(cat "$BED_DIR/api-port")
  ipFamily: ${KIND_IP_FAMILY:-dual}
$(networking)
containerdConfigPatches:
- |-
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
$(patches)
nodes:
YAML
  for ((i = 1; i <= NODES; i++)); do
    echo "- role: $role"
    echo "  extraMounts:"
    echo "  - {hostPath: $BED_DIR/certs.d, containerPath: /etc/containerd/certs.d, readOnly: true}"
    node "$role"
    role=worker
  done
}
config >"$BED_DIR/kind.yaml"
engine "$KIND" create cluster --name "$CLUSTER" --image "$NODE_IMAGE" --config "$BED_DIR/kind.yaml" \
  --kubeconfig "$BED_DIR/kubeconfig" --retain >"$BED_DIR/kind.log" 2>&1
finish
cat >"$BED_DIR/environment" <<T
KUBECONFIG=$BED_DIR/kubeconfig
REGISTRY=$REGISTRY_HOST
REGISTRY_ADDRESSES=$REGISTRY_ADDRESSES
REGISTRY_PORT=$(cat "$BED_DIR/registry-port")
REGISTRY_CA=$PKI/registry-ca.crt
REGISTRY_AUTH=$PKI/registry-auth.json
AUDIT_LOG=${AUDIT_LOG:-}
CANARY_URL=${CANARY_URL:-}
KUBECTL=$KUBECTL
HELM=$HELM
T
touch "$BED_DIR/ready"
say "kind is up after $(($(date +%s) - began)) s with $NODES node(s), $CNI_NAME, on $ENGINE_NAME"
