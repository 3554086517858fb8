# own.sh: the kind cluster on an engine of ours, in namespaces without a link to the machine's own network: the
# fabric, the registry and the outside host are the bed's. Sourced by up.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154

# shellcheck source=../bed/until.sh
. "$BED_SRC/until.sh"

prepare() {
  [ "$(id -u)" = 0 ] || die "no Docker daemon answers, and an engine of our own needs root"
  [ -x "${E2E_BIN:-}" ] || die "E2E_BIN is not the end-to-end program"
  local families=(etcd kubernetes kubeadm kind containerd runc coredns pause helm)
  if [ "$CNI" = cilium ]; then families+=(cilium); fi
  "$BED_SRC/packages.sh"
  "$BED_SRC/build.sh" "${families[@]}"
  ENGINE_ROOT=$("$KIND_SRC/engine-root.sh")
  ENGINE_PATH=$ENGINE_ROOT/usr/bin:$(readlink -f "$SEALROOM_CACHE/go/kubernetes")
  KIND=$(readlink -f "$SEALROOM_CACHE/go/kind/kind")
  KUBECTL=$SEALROOM_CACHE/go/kubernetes/kubectl
  HELM=$SEALROOM_CACHE/go/helm/helm
  NODE_IMAGE=$("$KIND_SRC/node-image.sh" name)
  REGISTRY_ADDRESSES=$REGISTRY4,$REGISTRY6
  AUDIT_LOG=$BED_DIR/audit/audit.log
  CANARY_URL=http://$OUTSIDE4:9000
  CNI_NAME=$CNI ENGINE_NAME="an engine of its own"
}

# started: finds the engine's first process, as this machine numbers it.
started() {
  local p
  while read -r p; do
    if awk '/^NSpid:/ { exit !($NF == 1 && NF == 3) }' "/proc/$p/status" 2>/dev/null; then
      echo "$p" >"$BED_DIR/engine.pid"
      return 0
    fi
  done <"$(unified_root)/$CGROUP/hosts/cgroup.procs"
  return 1
}
answers() { engine docker version; }
alive() { [ ! -e "$BED_DIR/engine.pid" ] || [ -d "/proc/$(cat "$BED_DIR/engine.pid")" ]; }

begin() {
  "$BED_SRC/pki.sh" registry "$REGISTRY4" "$REGISTRY6"
  NODES=0 "$BED_SRC/cgroups.sh"
  NODES=0 "$BED_SRC/net.sh"
  "$BED_SRC/hosts.sh" fabric "$(cat "$BED_DIR/api-port")"
  # Nobody answers there: no way out by DNS.
  echo "nameserver $FABRIC4.1" >"$BED_DIR/resolv.conf"
  "$BED_SRC/spawn.sh" fabric unshare --mount --uts --ipc --pid --fork --mount-proc --kill-child --propagation private \
    bash "$KIND_SRC/engine.sh" "$ENGINE_ROOT"
  until_true 60 "the engine" started
  until_true 180 "the engine's answer" answers
  engine docker network create --driver bridge --subnet "$KIND4.0/24" --ipv6 --subnet "$KIND6::/64" kind >/dev/null
  # Docker lets in what was asked for; the outside host may ask too.
  in_ns fabric iptables -I DOCKER-USER -j ACCEPT
  if ! engine docker image inspect "$NODE_IMAGE" >/dev/null 2>&1; then
    say "making the node image $NODE_IMAGE"
    engine docker image ls --quiet "${NODE_IMAGE%:*}" | sort -u | while read -r old; do engine docker rmi --force "$old" >/dev/null; done
    "$KIND_SRC/node-image.sh" build |
      engine docker import --change 'ENTRYPOINT ["/usr/local/bin/guard.sh", "/sbin/init"]' --change 'ENV container=docker' - "$NODE_IMAGE" >/dev/null
  fi
  mkdir -p "$BED_DIR/certs.d/$REGISTRY_HOST"
  cp "$PKI/registry-ca.crt" "$BED_DIR/certs.d/$REGISTRY_HOST/ca.crt"
  cat >"$BED_DIR/certs.d/$REGISTRY_HOST/hosts.toml" <<T
server = "https://$REGISTRY_HOST"
[host."https://$REGISTRY4:5000"]
  capabilities = ["pull", "resolve"]
  ca = "/etc/containerd/certs.d/$REGISTRY_HOST/ca.crt"
T
}

networking() {
  cat <<YAML
  disableDefaultCNI: true
  kubeProxyMode: nftables
  podSubnet: $PODS4,$PODS6
  serviceSubnet: $SERVICES
YAML
}

# The kubelet refuses a machine with cgroup v1 unless it is told; without CAP_SYS_RESOURCE nobody lowers a score.
patches() {
  cat <<YAML
- |-
  [plugins."io.containerd.grpc.v1.cri"]
    restrict_oom_score_adj = true
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
  serializeImagePulls: false
  maxParallelImagePulls: 4
  maxPods: 200
- |
  kind: ClusterConfiguration
  apiServer:
    extraArgs:
    - {name: audit-policy-file, value: /opt/sealroom/bed/manifests/audit-policy.yaml}
    - {name: audit-log-path, value: /var/log/sealroom/audit.log}
    - {name: audit-log-maxsize, value: "2048"}
    extraVolumes:
    - {name: audit-policy, hostPath: /opt/sealroom, mountPath: /opt/sealroom, readOnly: true, pathType: Directory}
    - {name: audit-log, hostPath: /var/log/sealroom, mountPath: /var/log/sealroom, readOnly: false, pathType: Directory}
YAML
}

node() { # role
  echo "  - {hostPath: $(dirname "$KIND_SRC"), containerPath: /opt/sealroom, readOnly: true}"
  echo "  - {hostPath: $BED_DIR/share, containerPath: /opt/share, readOnly: true}"
  if [ "$CNI" = cilium ]; then
    echo "  - {hostPath: $(readlink -f "$SEALROOM_CACHE/go/cilium"), containerPath: /opt/cilium, readOnly: true}"
  fi
  if [ "$1" = control-plane ]; then echo "  - {hostPath: $BED_DIR/audit, containerPath: /var/log/sealroom}"; fi
}

kubectl() { KUBECONFIG=$BED_DIR/kubeconfig "$KUBECTL" "$@"; }
inside() { engine docker exec "$@"; }
pod_cidrs() { kubectl get node "$1" -o 'jsonpath={.spec.podCIDRs[*]}' | grep ' '; }
addresses() { kubectl get node "$1" -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}' | grep ' '; }
service_account() { kubectl -n default get serviceaccount default; }
dns_ready() { kubectl -n kube-system get deployment coredns -o 'jsonpath={.status.readyReplicas}' | grep -q '[12]'; }
node_ready() {
  # containerd reloads on writes, not on the renames by which a CNI's file appears.
  inside "$1" sh -c 'ls /etc/cni/net.d/*.conflist && date >/etc/cni/net.d/announced'
  kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True
}

finish() {
  local node other nodes cidr4 cidr6 v4 v6
  nodes=("$CLUSTER-control-plane")
  if [ "$NODES" = 2 ]; then nodes+=("$CLUSTER-worker"); fi
  # For what runs in the nodes: the agent of Cilium, and the recycling of volumes.
  engine "$KIND" get kubeconfig --internal --name "$CLUSTER" >"$BED_DIR/share/admin.conf"
  if [ "$CNI" = cilium ]; then kubectl apply --server-side -f "$SEALROOM_CACHE/go/cilium/crds" >/dev/null; fi
  for node in "${nodes[@]}"; do
    until_true 180 "$node-cidrs" pod_cidrs "$node"
    read -r cidr4 cidr6 <<<"$(pod_cidrs "$node")"
    read -r v4 v6 <<<"$(addresses "$node")"
    # The fabric knows the way back to every pod, and nothing masquerades on it.
    in_ns fabric ip route add "$cidr4" via "$v4"
    in_ns fabric ip -6 route add "$cidr6" via "$v6"
    if [ "$CNI" = ptp ]; then
      "$BED_SRC/ptp-conflist.sh" "$cidr4" "$cidr6" | inside -i "$node" sh -c 'cat >/etc/cni/net.d/10-ptp.conflist'
      for other in "${nodes[@]}"; do
        if [ "$other" = "$node" ]; then continue; fi
        inside "$other" ip route add "$cidr4" via "$v4"
        inside "$other" ip -6 route add "$cidr6" via "$v6"
      done
    fi
    inside "$node" bash /opt/sealroom/kind/node.sh "$node" "$CNI"
  done
  "$BED_SRC/volumes.sh" "${nodes[@]}" | kubectl apply --server-side -f - >/dev/null
  for node in "${nodes[@]}"; do until_true 180 "$node-ready" node_ready "$node"; done
  until_true 180 service-account service_account
  until_true 180 dns-ready dns_ready
}
