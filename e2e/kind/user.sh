# user.sh: the kind cluster on the Docker engine that answers, with the node image that kind was released with, its CNI
# and its storage, and the stock registry beside it. Without root, and without anything that is built from Go.
# Sourced by up.sh.
# shellcheck shell=bash disable=SC2034,SC2154

prepare() {
  local missing=() pair
  for pair in kind:"kind v0.33 or newer" kubectl:kubectl helm:helm openssl:openssl ss:iproute2 flock:util-linux \
    htpasswd:"apache2-utils, or httpd-tools on Fedora"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} = 0 ] || die "not on PATH, install them: $(IFS=';'; echo "${missing[*]}")"
  # An older one writes a configuration that the kubeadm of this node image does not read.
  printf '0.33.0\n%s\n' "$(kind version -q)" | sort -VC || die "kind $(kind version -q) is too old, install 0.33 or newer"
  KIND=kind KUBECTL=$(command -v kubectl) HELM=$(command -v helm)
  NODE_IMAGE=$USER_NODE_IMAGE
  CNI_NAME=kindnet ENGINE_NAME="the Docker engine that answers"
}

# The nodes find the registry by Docker's own DNS.
begin() {
  "$BED_SRC/pki.sh" registry 127.0.0.1
  mkdir -p "$BED_DIR/certs.d/$REGISTRY_HOST"
  cp "$PKI/registry-ca.crt" "$BED_DIR/certs.d/$REGISTRY_HOST/ca.crt"
  cat >"$BED_DIR/certs.d/$REGISTRY_HOST/hosts.toml" <<T
server = "https://$REGISTRY_HOST"
[host."https://$REGISTRY_HOST"]
  capabilities = ["pull", "resolve"]
  ca = "/etc/containerd/certs.d/$REGISTRY_HOST/ca.crt"
T
}

networking() { :; }
patches() { :; }
node() { :; }

finish() {
  local addresses
  docker run --detach --name "$REGISTRY_NAME" --network kind --network-alias "${REGISTRY_HOST%:*}" \
    --user "$(id -u):$(id -g)" --publish "127.0.0.1:$(cat "$BED_DIR/registry-port"):5000" \
    --volume "$PKI:$PKI:ro" --volume "$BED_DIR/registry:$BED_DIR/registry" \
    --volume "$BED_DIR/registry.yaml:/etc/docker/registry/config.yml:ro" "$USER_REGISTRY_IMAGE" >/dev/null
  addresses=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}' "$REGISTRY_NAME")
  read -ra addresses <<<"$addresses"
  REGISTRY_ADDRESSES=$(IFS=,; echo "${addresses[*]}")
  "$KUBECTL" --kubeconfig "$BED_DIR/kubeconfig" wait --for=condition=Ready node --all --timeout=180s >/dev/null
  "$KUBECTL" --kubeconfig "$BED_DIR/kubeconfig" -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null
}
