# cilium.sh: Cilium's agent as a plain process of the node. Sourced by node.sh.
# shellcheck shell=bash disable=SC2154

out=$(dirname "$(command -v cilium-agent)")
mkdir -p /var/lib/cilium /run/cilium
cp -r "$out/bpf" /var/lib/cilium/bpf
install -m 755 "$out/cilium-cni" /opt/cni/bin/cilium-cni
if [ "$INDEX" = 1 ]; then
  export KUBECONFIG=$PKI/admin.conf
  kubectl apply --server-side -f "$out/crds" -f "$BED_SRC/manifests/cilium-rbac.yaml" >/dev/null
  export KUBECONFIG=$PKI/$NODE.conf
  mark cilium-crds
fi
. "$BED_SRC/cilium-flags.sh"
svc cilium-agent env K8S_NODE_NAME="$NODE" CILIUM_K8S_NAMESPACE=kube-system cilium-agent \
  --k8s-kubeconfig-path="$PKI/cilium.conf" "${CILIUM_FLAGS[@]}"
announce_cni /etc/cni/net.d/05-cilium.conflist
