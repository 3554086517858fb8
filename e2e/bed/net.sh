#!/usr/bin/env bash
# net.sh: the fabric, a router of its own, and the hosts beside the cluster. Nothing of it touches the
# machine's own network: every link lies between two namespaces of the bed.
set -euo pipefail
. "$(dirname "$0")/env.sh"

namespace() { # name: a network namespace held by a file
  : >"$NETNS/$1"
  unshare --net="$NETNS/$1" true
  in_ns "$1" ip link set lo up
}

host() { # name, IPv4 address and its router, IPv6 address and its router
  namespace "$1"
  in_ns "$1" ip link add eth0 type veth peer name "$1" netns "$NETNS/fabric"
  in_ns "$1" ip addr add "$2/24" dev eth0
  # nodad: an address that is still being checked for duplicates cannot be used.
  in_ns "$1" ip addr add "$4/64" dev eth0 nodad
  in_ns "$1" ip link set eth0 up
  in_ns fabric ip addr add "$3/24" dev "$1"
  in_ns fabric ip addr add "$5/64" dev "$1" nodad
  in_ns fabric ip link set "$1" up
  in_ns "$1" ip route add default via "$3"
  in_ns "$1" ip -6 route add default via "$5"
}

node() { # index
  local v4 v6
  read -r v4 v6 <<<"$(node_addresses "$1")"
  namespace "node$1"
  in_ns "node$1" ip link add eth0 type veth peer name "node$1" netns "$NETNS/fabric"
  in_ns fabric ip link set "node$1" master br0 up
  in_ns "node$1" ip addr add "$v4/24" dev eth0
  in_ns "node$1" ip addr add "$v6/64" dev eth0 nodad
  in_ns "node$1" ip link set eth0 up
  in_ns "node$1" ip route add default via "$FABRIC4.1"
  in_ns "node$1" ip -6 route add default via "$FABRIC6::1"
}

mkdir -p "$NETNS"
namespace fabric
in_ns fabric ip link add br0 type bridge
in_ns fabric ip addr add "$FABRIC4.1/24" dev br0
in_ns fabric ip addr add "$FABRIC6::1/64" dev br0 nodad
in_ns fabric ip link set br0 up
in_ns fabric sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'

host registry "$REGISTRY4" 172.31.8.1 "$REGISTRY6" fd31:8::1
host outside "$OUTSIDE4" 172.31.9.1 "$OUTSIDE6" fd31:9::1
for a in $OUTSIDE_EXTRA; do
  in_ns outside ip addr add "172.31.9.$a/24" dev eth0
  # Deprecated at once, so that what the host sends comes from its first address, as with IPv4.
  in_ns outside ip addr add "fd31:9::$a/64" dev eth0 nodad preferred_lft 0
done
in_ns outside nft -f "$BED_SRC/outside.nft"
# Where clouds serve metadata. A host of its own, since gates probe it: what a test that opens everything lets them reach
# is none of the packets that arrive outside.
host metadata 169.254.169.254 169.254.169.1 fd00:ec2::254 fd00:ec2::1
for ((i = 1; i <= NODES; i++)); do node "$i"; done
