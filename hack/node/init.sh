#!/usr/bin/env bash
# The first process of a node, in namespaces of its own: see run.sh. When it ends, so does everything else in them.
# Whatever the node writes goes into memory, except for logs.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
images=()
while [ "$1" != -- ]; do images+=("$(realpath "$1")"); shift; done
shift

readonly address=10.250.0.1 service_address=10.96.0.1 pods=10.244.0.0/24
readonly state=/run/node logs=$root/bin/node/logs
export PATH=$root/bin/controlplane:$PATH KUBECONFIG=$state/kubeconfig NODE_AUDIT_LOG=$logs/audit.log
trap 'exit 130' INT TERM HUP
trap 'echo "node: line $LINENO of init.sh has failed" >&2' ERR

declare -A pids

# start NAME COMMAND...: runs it with a log of its own.
start() {
  local name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1 </dev/null &
  pids[$name]=$!
}

# await NAME COMMAND...: waits until the command succeeds, which needs the program NAME to run.
await() {
  local name=$1 deadline=$((SECONDS + 90)) # seconds; measured: 1 to 8
  shift
  until "$@" >"$logs/await.log" 2>&1; do
    if ! kill -0 "${pids[$name]}" 2>/dev/null; then give_up "$name" "has ended"; fi
    if [ $SECONDS -ge $deadline ]; then give_up "$name" "is not ready after 90 s: $(tail -n 1 "$logs/await.log")"; fi
    sleep 0.1
  done
}

give_up() {
  printf 'node: %s %s; the end of its log:\n%s\n' "$1" "$2" "$(tail -n 20 "$logs/$1.log")" >&2
  exit 1
}

mount_cgroups() {
  if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    # The hierarchy from our own cgroup on, and it cannot be mounted over itself.
    umount --lazy /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    sed 's/[^ ]*/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
    return
  fi
  local id controllers name
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  while IFS=: read -r id controllers _; do
    if [ "$id" = 0 ]; then continue; fi
    name=${controllers#name=}
    mkdir "/sys/fs/cgroup/$name"
    mount -t cgroup -o "${controllers/#name=/none,name=}" cgroup "/sys/fs/cgroup/$name"
    case $name in *,*) for link in ${name//,/ }; do ln -s "$name" "/sys/fs/cgroup/$link"; done ;; esac
  done </proc/self/cgroup
}

# protect_machine gives the kubelet files to write to instead of those settings of the kernel that all namespaces share.
protect_machine() {
  local setting file
  mkdir "$state/sysctl"
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$state/sysctl/${setting//\//_}
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
  done
}

mount_files() {
  mount -t tmpfs -o mode=755 node /run
  mkdir -p "$state/var/upper" "$state/var/work"
  mount -t overlay -o "lowerdir=/var,upperdir=$state/var/upper,workdir=$state/var/work" var /var
  mkdir -p "$state/kubelet" "$state/containerd" "$state/cni" "$state/pki"
  mount --make-rshared / # volumes reach containers that run already
}

# start_network gives the node its address and that of the Service kubernetes, so that the API server needs no proxy.
start_network() {
  ip link set lo up
  ip address add "$address/32" dev lo
  ip address add "$service_address/32" dev lo
  cat >"$state/cni/pods.conflist" <<C
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
  "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}
}]}
C
}

start_control_plane() {
  local token
  token=$(openssl rand -hex 16)
  openssl genrsa -out "$state/pki/service-accounts.key" 2048 2>/dev/null
  echo "$token,admin,admin,system:masters" >"$state/pki/tokens.csv"
  cat >"$KUBECONFIG" <<C
apiVersion: v1
kind: Config
clusters:
- name: node
  cluster: {server: "https://$address", certificate-authority: $state/pki/apiserver.crt}
users:
- name: admin
  user: {token: "$token"}
contexts:
- name: node
  context: {cluster: node, user: admin}
current-context: node
C
  start etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync
  await etcd bash -c '</dev/tcp/127.0.0.1/2379'
  # The audit log is written before a request is answered, rather than in batches, and never rotated away from under its reader.
  start kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 --cert-dir "$state/pki" \
    --secure-port 443 --advertise-address "$address" --service-cluster-ip-range "${service_address%.*}.0/24" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$state/pki/service-accounts.key" \
    --service-account-signing-key-file "$state/pki/service-accounts.key" --token-auth-file "$state/pki/tokens.csv" \
    --authorization-mode RBAC --allow-privileged --kubelet-preferred-address-types InternalIP \
    --audit-policy-file "$here/audit-policy.yaml" --audit-log-path "$NODE_AUDIT_LOG" --audit-log-mode blocking --audit-log-maxsize 10000
  await kube-apiserver kubectl get --raw /readyz
  start kube-controller-manager kube-controller-manager --kubeconfig "$KUBECONFIG" --leader-elect=false --secure-port 0 \
    --service-account-private-key-file "$state/pki/service-accounts.key" --root-ca-file "$state/pki/apiserver.crt"
  start kube-scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false --secure-port 0
}

start_containerd() {
  local plugins image
  for plugins in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
    if [ -x "$plugins/bridge" ]; then break; fi
  done
  [ -x "$plugins/bridge" ] || { echo "node: there are no CNI plugins: install them" >&2; exit 1; }
  cat >"$state/containerd.toml" <<C
version = 2
root = "$state/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/kubersafe/pause:1"
  restrict_oom_score_adj = true # root in a container may lack CAP_SYS_RESOURCE
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$plugins"
    conf_dir = "$state/cni"
C
  start containerd containerd --config "$state/containerd.toml"
  await containerd ctr version
  for image in "${images[@]}"; do ctr --namespace k8s.io images import "$image" >"$logs/import.log"; done
}

start_kubelet() {
  # Nobody but the node and its Pods reaches the kubelet.
  cat >"$state/kubelet.yaml" <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100 # no registry could give an image back
resolvConf: ""
C
  start kubelet kubelet --config "$state/kubelet.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$state/kubelet" \
    --hostname-override node --node-ip "$address"
  await kubelet kubectl get node node
  await kubelet kubectl wait node node --for=condition=Ready --timeout=1s
  await kube-controller-manager kubectl get serviceaccount default --namespace default
}

rm -rf "$logs"
mkdir -p "$logs"
hostname node
mount_cgroups
mount_files
protect_machine
start_network
start_control_plane
start_containerd
start_kubelet
echo "node: ready after $SECONDS s: Kubernetes $(kubectl get node node -o jsonpath='{.status.nodeInfo.kubeletVersion}')"
trap - ERR
code=0
"$@" || code=$?
exit "$code"
