#!/usr/bin/env bash
# node.sh <index>: PID 1 of a node, in network, mount, PID, UTS and IPC namespaces of its own.
# Builds the node's root, enters it and supervises the node's programs. When it ends, all of them end.
set -euo pipefail
. "$(dirname "$0")/env.sh"
INDEX=$1 NODE=node$1
N=$BED_DIR/$NODE
# shellcheck disable=SC2034 # read by the parts below
read -r NODE4 NODE6 <<<"$(node_addresses "$INDEX")"

mark() { echo "$(date +%s.%N) $NODE $*" >>"$BED_DIR/timeline"; }

# svc <name> <command...>: runs a program for as long as the node lives.
svc() {
  local name=$1
  shift
  (
    set +e
    while :; do
      "$@" >>"$N/log/$name.log" 2>&1
      mark "$name ended with $?"
      sleep 1
    done
  ) &
}

# wait_for <seconds> <what> <command...>
wait_for() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || { mark "gave up waiting for $what"; die "$NODE: $what did not come"; }
    sleep 0.1
  done
  mark "$what"
}

# announce_cni <file>: waits for a network configuration and makes containerd read it. containerd reloads on
# writes, not on the renames by which such a file appears, and now and then misses the only one.
announce_cni() {
  (
    wait_for 180 cni-file test -e "$1"
    for i in 1 2 3 4 5; do
      echo "$i" >/etc/cni/net.d/announced
      sleep 1
    done
  ) &
}

hostname "$NODE"
. "$BED_SRC/node-root.sh"
. "$BED_SRC/node-storage.sh"
export PATH=$BED_PATH:/usr/lib/llvm-19/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root KUBECONFIG=$PKI/$NODE.conf

if [ "$INDEX" = 1 ]; then . "$BED_SRC/control-plane.sh"; fi
. "$BED_SRC/node-runtime.sh"
# shellcheck source=cilium.sh
. "$BED_SRC/$CNI.sh"
if [ "$INDEX" = 1 ]; then . "$BED_SRC/addons.sh"; fi
mark started
trap 'exit 0' TERM
while :; do wait -n || true; sleep 0.2; done
