# ptp.sh: the plain ptp plug-in. Pods reach everything; a NetworkPolicy exists and nothing enforces it.
# Sourced by node.sh.
# shellcheck shell=bash disable=SC2154

pod_cidrs() { kubectl get node "$1" -o jsonpath='{.spec.podCIDRs[*]}' | grep ' '; }
wait_for 120 pod-cidrs pod_cidrs "$NODE"
read -r cidr4 cidr6 <<<"$(pod_cidrs "$NODE")"
# Written aside and moved: containerd watches the directory and would read half a file.
"$BED_SRC/ptp-conflist.sh" "$cidr4" "$cidr6" >/etc/cni/net.d/.ptp
mv /etc/cni/net.d/.ptp /etc/cni/net.d/10-ptp.conflist
announce_cni /etc/cni/net.d/10-ptp.conflist
