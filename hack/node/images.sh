#!/usr/bin/env bash
# Builds the images that a node starts with: the operator's, from the repository's Dockerfile, into bin/node/operator.tar, and
# pause into bin/node/pause.tar. With docker, the operator's is what a release is. Without, buildah builds it, and no registry need be
# reached: the Go of this machine, with its caches, takes the place of the image golang, and the binary stands on nothing at all.
# Usage: images.sh REFERENCE   (which names the operator's image)
set -euo pipefail
reference=${1:?usage: images.sh REFERENCE}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/bin/node
pause=docker.io/kubersafe/pause:1

CGO_ENABLED=0 go -C "$root" build -trimpath -ldflags '-s -w' -o "$out/pause/pause" ./hack/node/pause

if docker info >/dev/null 2>&1; then
  docker build --target kubersafe --build-arg VERSION=e2e -t "$reference" "$root"
  docker build -f "$here/pause/Dockerfile" -t "$pause" "$out/pause"
  docker save -o "$out/operator.tar" "$reference"
  docker save -o "$out/pause.tar" "$pause"
  exit
fi

# With mounts of its own, so that none outlives this script.
if [ "${WITH_PACKAGES:-}" != true ]; then
  export WITH_PACKAGES=true
  exec unshare --mount bash "$here/with-packages.sh" bash "${BASH_SOURCE[0]}" "$reference"
fi
scratch=$(mktemp -d "$out/buildah.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tmp"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$scratch/policy.json" # images are made here, so nobody has signed them
export TMPDIR=$scratch/tmp BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
run() {
  local command=$1
  shift
  buildah --root "$scratch/storage" --runroot "$scratch/run" "$command" --signature-policy "$scratch/policy.json" "$@"
}
container=$(run from scratch)
buildah --root "$scratch/storage" --runroot "$scratch/run" config \
  --env PATH="$(go env GOROOT)/bin:/usr/bin:/bin" --env GOPROXY="$(go env GOPROXY)" --env GOTOOLCHAIN=local \
  --env GOCACHE=/cache/build --env GOMODCACHE=/cache/mod --env TMPDIR=/cache "$container"
golang=$(sed -n 's/^FROM .*\(golang:[^ ]*\) AS source$/\1/p' "$root/Dockerfile")
run commit --quiet --rm "$container" "docker.io/library/$golang" >/dev/null
volumes=(--volume "$(go env GOCACHE):/cache/build" --volume "$(go env GOMODCACHE):/cache/mod")
for dir in /usr /bin /lib /lib64 /etc/ssl "$(go env GOROOT)"; do
  [ ! -d "$dir" ] || volumes+=(--volume "$dir:$dir:ro")
done
run build --quiet --pull-never --layers=false --network host --target kubersafe "${volumes[@]}" \
  --build-arg BASE=scratch --build-arg VERSION=e2e --build-arg TARGETOS=linux --build-arg TARGETARCH="$(go env GOARCH)" \
  -t "$reference" "$root" >"$out/build.log" 2>&1 || { cat "$out/build.log" >&2; exit 1; }
run build --quiet --pull-never --layers=false -f "$here/pause/Dockerfile" -t "$pause" "$out/pause" >/dev/null
rm -f "$out/operator.tar" "$out/pause.tar"
run push --quiet "$reference" "docker-archive:$out/operator.tar:$reference"
run push --quiet "$pause" "docker-archive:$out/pause.tar:$pause"
