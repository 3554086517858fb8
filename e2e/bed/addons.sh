# addons.sh: DNS and storage of the cluster. Sourced by node.sh on the first node.
# shellcheck shell=bash disable=SC2154

volume() { # class, capacity, node, number
  # ReadWriteOncePod stands alone: a volume that offers it offers nothing else.
  local modes="ReadWriteOnce, ReadOnlyMany"
  if [ "$4" -ge 56 ]; then modes=ReadWriteOncePod; fi
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1-node$3-$4}
spec:
  capacity: {storage: $2}
  accessModes: [$modes]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: $1
  local: {path: /var/local/sealroom/$1/$4}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node$3]}]}]}}
YAML
}

export KUBECONFIG=$PKI/admin.conf
sed -e "s/@REGISTRY4@/$REGISTRY4/; s/@REGISTRY6@/$REGISTRY6/; s/@OUTSIDE4@/$OUTSIDE4/; s/@OUTSIDE6@/$OUTSIDE6/; s/@DNS4@/$DNS4/" \
  "$BED_SRC/manifests/coredns.yaml" | kubectl apply --server-side -f - >/dev/null
{
  cat "$BED_SRC/manifests/storage.yaml"
  for ((n = 1; n <= NODES; n++)); do
    for ((i = 0; i < 64; i++)); do volume fast 20Gi "$n" "$i"; done
    for ((i = 0; i < 3; i++)); do
      volume small 48Mi "$n" "$i"
      volume short 20Gi "$n" "$i"
    done
  done
} >"$N/storage.yaml"
kubectl apply --server-side -f "$N/storage.yaml" >/dev/null
mark addons
