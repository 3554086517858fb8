#!/usr/bin/env bash
# hosts.sh: the hosts beside the cluster, and two doors on the machine's loopback: the API server and the registry.
set -euo pipefail
. "$(dirname "$0")/env.sh"

mkdir -p "$BED_DIR/registry"
cat >"$BED_DIR/registry.yaml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: false}}
storage:
  filesystem: {rootdirectory: $BED_DIR/registry}
  delete: {enabled: true}
http:
  addr: :5000
  tls: {certificate: $PKI/registry.crt, key: $PKI/registry.key}
auth: {htpasswd: {realm: sealroom-bed, path: $PKI/registry.htpasswd}}
YAML
"$BED_SRC/spawn.sh" registry docker-registry serve "$BED_DIR/registry.yaml"
"$BED_SRC/spawn.sh" outside "$E2E_BIN" outside --log "$BED_DIR/outside.jsonl"

door() { # port on loopback, namespace, port there: no route leads from the machine into the bed
  "$BED_SRC/spawn.sh" machine socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr,max-children=256" \
    "EXEC:nsenter --net=$NETNS/$2 socat STDIO TCP\:127.0.0.1\:$3"
}
door "$(cat "$BED_DIR/api-port")" node1 6443
door "$(cat "$BED_DIR/registry-port")" registry 5000
