#!/usr/bin/env bash
# cilium.sh: Cilium's agent as a service of a node of kind. It compiles its eBPF with the clang of the node's image.
set -euo pipefail
. "$(dirname "$0")/../bed/env.sh"
# shellcheck source=../bed/cilium-flags.sh
. "$BED_SRC/cilium-flags.sh"
export PATH=/usr/lib/llvm-19/bin:$PATH CILIUM_K8S_NAMESPACE=kube-system

mkdir -p /var/lib/cilium /run/cilium/cgroupv2
if ! mountpoint -q /sys/fs/bpf; then mount -t bpf bpf /sys/fs/bpf; fi
# The node's own part of the tree: what is above it belongs to the machine.
if ! mountpoint -q /run/cilium/cgroupv2; then mount -t cgroup2 none /run/cilium/cgroupv2; fi
cp -r /opt/cilium/bpf /var/lib/cilium/
install -m 755 /opt/cilium/cilium-cni /opt/cni/bin/cilium-cni
exec /opt/cilium/cilium-agent --k8s-kubeconfig-path="$KUBECONFIG" "${CILIUM_FLAGS[@]}"
