# node-runtime.sh: containerd with the preloaded images, kubelet and kube-proxy. Sourced by node.sh.
# shellcheck shell=bash disable=SC2154

cp "$(dirname "$(command -v loopback)")"/{loopback,ptp,host-local,portmap} /opt/cni/bin/

certs=/etc/containerd/certs.d/$REGISTRY_HOST
mkdir -p "$certs"
cat >"$certs/hosts.toml" <<T
server = "https://$REGISTRY_HOST"
[host."https://$REGISTRY_HOST"]
  capabilities = ["pull", "resolve"]
  ca = "$PKI/registry-ca.crt"
T

cat >/etc/containerd/config.toml <<T
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "sealroom.local/pause:1"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true # no profile of the bed is loaded into the machine's kernel
  restrict_oom_score_adj = true # the bed may run without CAP_SYS_RESOURCE
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    BinaryName = "$(command -v runc)"
    SystemdCgroup = false
T
svc containerd containerd --config /etc/containerd/config.toml

cat >"$N/kubelet.yaml" <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$NODE
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volumeplugins
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/$NODE.crt
tlsPrivateKeyFile: $PKI/$NODE.key
clusterDNS: [$DNS4]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
failSwapOn: false
# A changed Secret is in a pod's volume after the next of these; a minute is the default.
syncFrequency: 15s
serializeImagePulls: false
maxParallelImagePulls: 4
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%", memory.available: "200Mi"}
nodeStatusUpdateFrequency: 10s
maxPods: 200
registerNode: true
T

cat >"$N/kube-proxy.yaml" <<T
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $PKI/proxy.conf}
mode: nftables
clusterCIDR: $PODS4,$PODS6
hostnameOverride: $NODE
nodePortAddresses: [primary]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
T

wait_for 60 containerd ctr version
for image in "$BED_DIR"/preload/*.tar; do ctr -n k8s.io images import "$image"; done
mark images
wait_for 180 api kubectl get --raw /readyz
svc kubelet kubelet --config="$N/kubelet.yaml" --kubeconfig="$PKI/$NODE.conf" --hostname-override="$NODE" \
  --node-ip="$NODE4,$NODE6" --v=2
svc kube-proxy kube-proxy --config="$N/kube-proxy.yaml"
svc recycle env KUBECONFIG="$PKI/admin.conf" bash "$BED_SRC/recycle.sh" "$NODE"
