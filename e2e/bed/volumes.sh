#!/usr/bin/env bash
# volumes.sh <node...>: prints the storage classes and the local volumes of these nodes, as node-storage.sh made them.
set -euo pipefail
. "$(dirname "$0")/env.sh"

volume() { # class, capacity, node, number
  # ReadWriteOncePod stands alone: a volume that offers it offers nothing else.
  local modes="ReadWriteOnce, ReadOnlyMany"
  if [ "$4" -ge 56 ]; then modes=ReadWriteOncePod; fi
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1-$3-$4}
spec:
  capacity: {storage: $2}
  accessModes: [$modes]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: $1
  local: {path: /var/local/sealroom/$1/$4}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$3]}]}]}}
YAML
}

cat "$BED_SRC/manifests/storage.yaml"
for node in "$@"; do
  for ((i = 0; i < 64; i++)); do volume fast 20Gi "$node" "$i"; done
  for ((i = 0; i < 3; i++)); do
    volume small 48Mi "$node" "$i"
    volume short 20Gi "$node" "$i"
  done
done
