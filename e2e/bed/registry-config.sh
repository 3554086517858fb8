#!/usr/bin/env bash
# registry-config.sh: prints the registry's configuration. Its files lie where they are named, also in a container.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cat <<YAML
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
