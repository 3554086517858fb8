#!/usr/bin/env bash
# pki.sh [registry [address...]]: one CA and the leaves of the cluster, kubeconfigs, and the registry's own CA,
# certificate and password. Or the registry's alone, for these addresses of it.
set -euo pipefail
. "$(dirname "$0")/env.sh"
mkdir -p "$PKI"
chmod 700 "$PKI"
cd "$PKI"

authority() { # name, common name
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 3650 -out "$1.crt" \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
}

leaf() { # authority, name, subject, alternative names
  openssl ecparam -name prime256v1 -genkey -noout -out "$2.key"
  openssl req -new -key "$2.key" -subj "$3" -out "$2.csr"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=serverAuth,clientAuth"
    if [ -n "${4:-}" ]; then echo "subjectAltName=$4"; fi
  } >"$2.ext"
  openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days 3650 \
    -extfile "$2.ext" -out "$2.crt" 2>/dev/null
  rm "$2.csr" "$2.ext"
}

kubeconfig() { # client, file, server
  cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: bed, cluster: {server: "$3", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: bed, context: {cluster: bed, user: $1}}]
current-context: bed
YAML
}

cluster() {
  local first4 first6 server c i v4 v6
  read -r first4 first6 <<<"$(node_addresses 1)"
  server=https://$first4:6443
  authority ca sealroom-bed
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  leaf ca apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:10.96.0.1,IP:fd10:96::1,IP:$first4,IP:$first6,IP:127.0.0.1"
  leaf ca kubelet-client /O=system:masters/CN=apiserver-kubelet-client
  for c in controller-manager scheduler proxy; do
    leaf ca "$c" "/CN=system:kube-$c"
    kubeconfig "$c" "$c.conf" "$server"
  done
  leaf ca cilium /CN=cilium
  kubeconfig cilium cilium.conf "$server"
  leaf ca admin /O=system:masters/CN=admin
  kubeconfig admin admin.conf "$server"
  kubeconfig admin "$BED_DIR/kubeconfig" "https://127.0.0.1:$(cat "$BED_DIR/api-port")"
  for ((i = 1; i <= NODES; i++)); do
    read -r v4 v6 <<<"$(node_addresses "$i")"
    leaf ca "node$i" "/O=system:nodes/CN=system:node:node$i" "DNS:node$i,IP:$v4,IP:$v6"
    kubeconfig "node$i" "node$i.conf" "$server"
  done
}

# Behind the API server are others that answer for parts of the API: by this certificate they know that it asks.
authority front-proxy-ca sealroom-bed-front-proxy
leaf front-proxy-ca front-proxy /CN=front-proxy

# The registry is somebody else's machine: a CA of its own, and a password.
registry() { # address...
  local names="DNS:registry.internal,DNS:localhost,IP:127.0.0.1,IP:::1" password auth address
  for address in "$@"; do names+=",IP:$address"; done
  authority registry-ca sealroom-bed-registry
  leaf registry-ca registry /CN=registry.internal "$names"
  password=$(openssl rand -hex 16)
  htpasswd -Bbn -C 5 sealroom "$password" >registry.htpasswd
  auth=$(printf 'sealroom:%s' "$password" | base64 -w0)
  printf '{"auths":{"%s":{"auth":"%s"},"%s:5000":{"auth":"%s"}}}\n' "$REGISTRY_HOST" "$auth" "$1" "$auth" >registry-auth.json
}

if [ "${1:-}" = registry ]; then
  shift
  registry "$@"
else
  cluster
  registry "$REGISTRY4" "$REGISTRY6"
fi
