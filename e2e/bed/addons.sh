# addons.sh: DNS and storage of the cluster. Sourced by node.sh on the first node.
# shellcheck shell=bash disable=SC2153,SC2154

export KUBECONFIG=$PKI/admin.conf
sed -e "s/@REGISTRY4@/$REGISTRY4/; s/@REGISTRY6@/$REGISTRY6/; s/@OUTSIDE4@/$OUTSIDE4/; s/@OUTSIDE6@/$OUTSIDE6/; s/@DNS4@/$DNS4/" \
  "$BED_SRC/manifests/coredns.yaml" | kubectl apply --server-side -f - >/dev/null
nodes=()
for ((n = 1; n <= NODES; n++)); do nodes+=("node$n"); done
"$BED_SRC/volumes.sh" "${nodes[@]}" >"$N/storage.yaml"
kubectl apply --server-side -f "$N/storage.yaml" >/dev/null
mark addons
