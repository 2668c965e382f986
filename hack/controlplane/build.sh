#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl from the pinned Go modules beside this file; with `node` also
# kube-scheduler and kubelet.
# Usage: build.sh DIR [node]   (nothing is rebuilt while the go.mod files, the Go version and this script stay the same)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh DIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)

binaries="etcd kube-apiserver kube-controller-manager kubectl"
of_nodes="kube-scheduler kubelet"
stamp=$(cat "$here"/*/go.mod "$here/build.sh" <(go version) | sha256sum | cut -d' ' -f1)
if [ "$(cat "$out/.stamp" 2>/dev/null)" != "$stamp" ]; then
  for b in $binaries $of_nodes; do rm -f "$out/$b"; done
  echo "$stamp" > "$out/.stamp"
fi
if [ "${2:-}" = node ]; then binaries+=" $of_nodes"; fi
missing=$(for b in $binaries; do [ -x "$out/$b" ] || echo "$b"; done)
if [ -z "$missing" ]; then exit 0; fi

# Runs "$@" and says every 15 seconds that it is still at it: a cold build takes minutes.
step() {
  local what=$1 start=$SECONDS
  shift
  echo "controlplane: building $what…"
  "$@" &
  local pid=$! waited=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    if [ $((waited % 15)) -eq 0 ]; then echo "controlplane: still building $what (${waited} s)"; fi
  done
  wait "$pid" || { echo "controlplane: building $what failed" >&2; return 1; }
  echo "controlplane: built $what in $((SECONDS - start)) s"
}

export CGO_ENABLED=0
version=$(cd "$here/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitTreeState=archive -X $package.gitCommit=$version"
done
echo "controlplane: building a Kubernetes $version control plane from source into $out; once, about 5 minutes on 2 cores"
for b in $missing; do
  # An interrupted build leaves no program behind that would pass for a whole one.
  if [ "$b" = etcd ]; then
    step etcd go -C "$here/etcd" build -trimpath -ldflags "-s -w" -o "$out/.new" go.etcd.io/etcd/server/v3
  else
    step "$b" go -C "$here/kubernetes" build -trimpath -ldflags "$flags" -o "$out/.new" "k8s.io/kubernetes/cmd/$b"
  fi
  mv "$out/.new" "$out/$b"
done
