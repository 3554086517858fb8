# How each family of Go programs is built. Sourced by build.sh, which runs a function in a copy of
# the family's pins with OUT set. What a function says is part of the cache key.
# shellcheck shell=bash

# What a cluster is made of. The engine of the tests, ollama, what only a kind cluster has (kubeadm, kind), and the
# oldest Kubernetes that is supported (kubernetes-1.33) are built when they are named.
# So are traefik, through which people outside the cluster ask, and prometheus with prometheus-adapter, by which the
# tests scale; prometheus brings promtool, and with dashboard the chart's alerts and dashboard are checked.
# shellcheck disable=SC2034 # read by build.sh
FAMILIES=(etcd kubernetes containerd runc coredns pause cilium helm)

build_etcd() {
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/etcd" go.etcd.io/etcd/server/v3
}

build_kubernetes() {
  # Without these the programs call themselves v0.0.0, and clients refuse to talk to them.
  local version="-X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $version" -o "$OUT/" \
    k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
    k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubelet \
    k8s.io/kubernetes/cmd/kube-proxy k8s.io/kubernetes/cmd/kubectl
}

build_kubeadm() {
  local version="-X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $version" -o "$OUT/" k8s.io/kubernetes/cmd/kubeadm
}

build_kubernetes-1.33() {
  local version="-X k8s.io/component-base/version.gitVersion=v1.33.13 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=33"
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $version" -o "$OUT/" \
    k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
    k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubelet \
    k8s.io/kubernetes/cmd/kube-proxy k8s.io/kubernetes/cmd/kubectl
}

build_kind() {
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/kind" sigs.k8s.io/kind
  # What its node images are made with.
  cp -r "$(go list -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files" "$OUT/base"
  chmod -R u+w "$OUT"
}

build_containerd() {
  CGO_ENABLED=0 go build -trimpath -tags no_btrfs,no_devmapper,no_zfs -ldflags "-s -w" -o "$OUT/" tool
}

build_runc() {
  # Without the seccomp tag no pod starts: the kubelet asks for RuntimeDefault.
  CGO_ENABLED=1 go build -trimpath -tags seccomp -ldflags "-s -w" -o "$OUT/runc" github.com/opencontainers/runc
}

build_coredns() {
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w" -o "$OUT/coredns" .
}

build_pause() {
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/pause" .
}

build_cilium() {
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w" -o "$OUT/cilium-agent" github.com/cilium/cilium/daemon
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w" -o "$OUT/cilium-cni" github.com/cilium/cilium/plugins/cilium-cni
  # The agent compiles its eBPF at run time and reads its CRDs' schemas from the cluster.
  local module
  module=$(go list -mod=mod -m -f '{{.Dir}}' github.com/cilium/cilium)
  cp -r "$module/bpf" "$OUT/bpf"
  mkdir "$OUT/crds"
  cp "$module"/pkg/k8s/apis/cilium.io/client/crds/v2*/*.yaml "$OUT/crds/"
  chmod -R u+w "$OUT"
}

build_helm() {
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/helm" helm.sh/helm/v4/cmd/helm
}

build_ollama() {
  # The module's archive has no directories named vendor, so three libraries of headers are missing: two come from
  # Debian, this one from another module. Static, so that an image needs nothing beside the program.
  local module
  mkdir -p include/miniaudio
  go mod download github.com/gen2brain/malgo
  module=$(go list -m -f '{{.Dir}}' github.com/gen2brain/malgo)
  cp "$module/miniaudio.h" include/miniaudio/
  CGO_ENABLED=1 CGO_CPPFLAGS="-I$PWD/include" go build -trimpath -tags netgo,osusergo \
    -ldflags "-s -w -X github.com/ollama/ollama/version.Version=0.17.4 -X github.com/ollama/ollama/server.mode=release -linkmode external -extldflags=-static" \
    -o "$OUT/ollama" github.com/ollama/ollama
}

build_traefik() {
  # lego's DNS providers are hundreds of modules, some of which no proxy has: in their place is a stub.
  local lego
  lego=$(go mod download -json github.com/go-acme/lego/v5 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  cp -r "$lego" lego
  chmod -R u+w lego
  rm -rf lego/providers/dns/*
  cp stub-dns/dns.go lego/providers/dns/
  go mod edit -replace github.com/go-acme/lego/v5=./lego
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=3.7.13" \
    -o "$OUT/traefik" github.com/traefik/traefik/v3/cmd/traefik
}

build_prometheus() {
  # Of the service discoveries only that of Kubernetes: the others are the SDKs of many clouds.
  CGO_ENABLED=0 go build -trimpath -tags "netgo,remove_all_sd,enable_kubernetes_sd" -ldflags "-s -w" \
    -o "$OUT/" github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool
}

build_dashboard() {
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/dashboard" .
}

build_prometheus-adapter() {
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$OUT/adapter" sigs.k8s.io/prometheus-adapter/cmd/adapter
}
