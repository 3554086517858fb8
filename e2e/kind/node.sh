#!/usr/bin/env bash
# node.sh <node> <CNI>: what the bed's nodes have and kind's have not. Runs in a node.
set -euo pipefail
export HOME=/root
. "$(dirname "$0")/../bed/env.sh"
node=$1

# unit <name> <command...>: a program that runs for as long as the node does.
unit() {
  local name=$1
  shift
  systemd-run --quiet --unit="$name" --property=Restart=always --property=RestartSec=1 --setenv=HOME=/root \
    --setenv=KUBECONFIG=/opt/share/admin.conf --setenv=K8S_NODE_NAME="$node" "$@"
}

for i in all default eth0; do echo 0 >"/proc/sys/net/ipv4/conf/$i/rp_filter"; done
# A pod's side of the link is used at once: without this its gateway is being checked for duplicates.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad

# shellcheck source=../bed/node-storage.sh
. "$BED_SRC/node-storage.sh"
unit recycle bash "$BED_SRC/recycle.sh" "$node"
if [ "$2" = cilium ]; then unit cilium-agent bash "$(dirname "$0")/cilium.sh"; fi
