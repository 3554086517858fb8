#!/usr/bin/env bash
# hosts.sh <namespace> <port>: the hosts beside the cluster, and two doors on the machine's loopback: the API server,
# which answers on that port of 127.0.0.1 in that network namespace, and the registry.
set -euo pipefail
. "$(dirname "$0")/env.sh"

mkdir -p "$BED_DIR/registry"
"$BED_SRC/registry-config.sh" >"$BED_DIR/registry.yaml"
"$BED_SRC/spawn.sh" registry docker-registry serve "$BED_DIR/registry.yaml"
"$BED_SRC/spawn.sh" outside "$E2E_BIN" outside --log "$BED_DIR/outside.jsonl"
"$BED_SRC/spawn.sh" metadata "$E2E_BIN" tool listen 80

door() { # port on loopback, namespace, port there: no route leads from the machine into the bed
  "$BED_SRC/spawn.sh" machine socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr,max-children=256" \
    "EXEC:nsenter --net=$NETNS/$2 socat STDIO TCP\:127.0.0.1\:$3"
}
door "$(cat "$BED_DIR/api-port")" "$1" "$2"
door "$(cat "$BED_DIR/registry-port")" registry 5000
