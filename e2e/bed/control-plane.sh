# control-plane.sh: etcd, API server, controller manager and scheduler. Sourced by node.sh on the first node.
# shellcheck shell=bash disable=SC2154

svc etcd etcd --name=bed --data-dir=/var/lib/etcd --listen-client-urls=http://127.0.0.1:2379 \
  --advertise-client-urls=http://127.0.0.1:2379 --listen-peer-urls=http://127.0.0.1:2380 --unsafe-no-fsync

svc kube-apiserver kube-apiserver --advertise-address="$NODE4" --secure-port=6443 \
  --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range="$SERVICES" \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
  --kubelet-client-certificate="$PKI/kubelet-client.crt" --kubelet-client-key="$PKI/kubelet-client.key" \
  --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
  --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP,Hostname \
  --audit-policy-file="$BED_SRC/manifests/audit-policy.yaml" --audit-log-path="$BED_DIR/audit.log" \
  --audit-log-maxsize=2048 --profiling=false

apiserver_ready() { KUBECONFIG=$PKI/admin.conf kubectl get --raw /readyz; }
(
  wait_for 120 apiserver-ready apiserver_ready
  svc kube-controller-manager kube-controller-manager --kubeconfig="$PKI/controller-manager.conf" \
    --authentication-kubeconfig="$PKI/controller-manager.conf" --authorization-kubeconfig="$PKI/controller-manager.conf" \
    --allocate-node-cidrs=true --cluster-cidr="$PODS4,$PODS6" --node-cidr-mask-size-ipv6=64 \
    --service-cluster-ip-range="$SERVICES" --service-account-private-key-file="$PKI/sa.key" \
    --root-ca-file="$PKI/ca.crt" --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --use-service-account-credentials=true --leader-elect=false --horizontal-pod-autoscaler-sync-period=5s \
    --flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins
  svc kube-scheduler kube-scheduler --kubeconfig="$PKI/scheduler.conf" \
    --authentication-kubeconfig="$PKI/scheduler.conf" --authorization-kubeconfig="$PKI/scheduler.conf" --leader-elect=false
  wait
) &
