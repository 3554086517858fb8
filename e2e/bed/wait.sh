#!/usr/bin/env bash
# wait.sh: waits until the cluster can be used: nodes Ready, routes of the fabric, DNS, the first service account.
set -euo pipefail
. "$(dirname "$0")/env.sh"
. "$BED_SRC/until.sh"
export KUBECONFIG=$BED_DIR/kubeconfig
PATH=$SEALROOM_CACHE/go/kubernetes:$PATH

alive() {
  local n
  for ((n = 1; n <= NODES; n++)); do
    grep -q . "$(unified_root)/$CGROUP/node$n/system/cgroup.procs" || return 1
  done
}
node_ready() {
  kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True
}
pod_cidrs() { kubectl get node "$1" -o 'jsonpath={.spec.podCIDRs[*]}' | grep ' '; }
rollout() { kubectl -n kube-system get deployment coredns -o 'jsonpath={.status.readyReplicas}' | grep -q 1; }
service_account() { kubectl -n default get serviceaccount default; }

for ((i = 1; i <= NODES; i++)); do
  until_true 180 "node$i-cidrs" pod_cidrs "node$i"
  # The fabric knows the way back to every pod.
  read -r v4 v6 <<<"$(node_addresses "$i")"
  read -r cidr4 cidr6 <<<"$(pod_cidrs "node$i")"
  in_ns fabric ip route add "$cidr4" via "$v4"
  in_ns fabric ip -6 route add "$cidr6" via "$v6"
  if [ "$CNI" = ptp ]; then
    for ((o = 1; o <= NODES; o++)); do
      if [ "$o" != "$i" ]; then
        in_ns "node$o" ip route add "$cidr4" via "$v4"
        in_ns "node$o" ip -6 route add "$cidr6" via "$v6"
      fi
    done
  fi
done
for ((i = 1; i <= NODES; i++)); do until_true 180 "node$i-ready" node_ready "node$i"; done
until_true 180 service-account service_account
until_true 180 addons grep -q "node1 addons" "$BED_DIR/timeline"
until_true 180 dns-ready rollout
