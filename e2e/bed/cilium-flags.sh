# cilium-flags.sh: how Cilium's agent is set, in the bed and in the nodes of kind. Sourced.
# No masquerading: the fabric routes pod addresses, so that a packet outside the cluster is its pod's own.
# No jitter and no grace for identities: otherwise a relabelled pod waits many seconds for its new policy.
# shellcheck shell=bash disable=SC2034,SC2154

CILIUM_FLAGS=(
  --k8s-namespace=kube-system --cluster-name=bed
  --identity-allocation-mode=crd --identity-change-grace-period=0s --identity-max-jitter=0s
  --ipam=kubernetes --enable-ipv4=true --k8s-require-ipv4-pod-cidr=true
  --enable-ipv6=true --k8s-require-ipv6-pod-cidr=true
  --routing-mode=native --auto-direct-node-routes=true --devices=eth0 --direct-routing-device=eth0
  --ipv4-native-routing-cidr="$PODS4" --ipv6-native-routing-cidr="$PODS6"
  --enable-ipv4-masquerade=false --enable-ipv6-masquerade=false
  --kube-proxy-replacement=false --enable-policy=default --enable-l7-proxy=false --enable-hubble=false
  --enable-health-checking=false --enable-endpoint-health-checking=false --enable-gops=false
  --cgroup-root=/run/cilium/cgroupv2 --bpf-root=/sys/fs/bpf --lib-dir=/var/lib/cilium --state-dir=/run/cilium
  --cni-exclusive=true --write-cni-conf-when-ready=/etc/cni/net.d/05-cilium.conflist
  --preallocate-bpf-maps=false --bpf-ct-global-tcp-max=65536 --bpf-ct-global-any-max=32768
  --bpf-nat-global-max=65536 --bpf-policy-map-max=4096
)
