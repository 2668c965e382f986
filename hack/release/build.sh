#!/usr/bin/env bash
# Makes what is attached to a release, in the folder OUT: the archives of the command for all platforms, the manifest for krew, the
# manifests to install with the images pinned to their digests, and SHA256SUMS of all of it. The same source makes the same bytes.
#
# usage: hack/release/build.sh VERSION OUT [IMAGE@DIGEST...]
set -euo pipefail
version=${1:?usage: $0 VERSION OUT [IMAGE@DIGEST...]} out=$(realpath -m "${2:?usage: $0 VERSION OUT [IMAGE@DIGEST...]}")
shift 2
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "error: a version must be like v1.2.3 or v1.2.3-rc.1, not \"$version\"" >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p "$out"
[ -z "$(ls -A "$out")" ] || { echo "error: \"$out\" is not empty" >&2; exit 2; }

plugin=$(sed "/^#/d; s/\${VERSION}/$version/g" config/krew/kubersafe.yaml)
date=$(git log -1 --format=@%ct)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
for platform in darwin/amd64 darwin/arm64 linux/amd64 linux/arm64 windows/amd64; do
  os=${platform%/*} arch=${platform#*/} name=kubersafe
  [ "$os" = windows ] && name=kubersafe.exe
  echo "kubersafe $version for $platform" >&2
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$stage/$name" .
  archive=kubersafe_${os}_$arch.tar.gz
  tar --sort=name --mtime="$date" --owner=0 --group=0 --numeric-owner -C "$stage" -c "$name" -C "$PWD" LICENSE | gzip -n9 > "$out/$archive"
  rm "$stage/$name"
  sum=$(sha256sum "$out/$archive" | cut -d' ' -f1)
  plugin=${plugin//"\${SHA256_${os^^}_${arch^^}}"/$sum}
done
case $plugin in
*'${'*) echo "error: config/krew/kubersafe.yaml has a variable that nothing replaces" >&2; exit 1 ;;
esac
printf '%s\n' "$plugin" > "$out/kubersafe.yaml"

cp dist/*.yaml "$out/"
for pinned in "$@"; do
  image=${pinned%@*}
  [[ $pinned =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]] || { echo "error: an image must be like name@sha256:…, not \"$pinned\"" >&2; exit 2; }
  grep -q "image: $image:$version\$" "$out"/*.yaml || { echo "error: dist/ has no image $image:$version: set the version in config/ first" >&2; exit 1; }
  sed -i "s|image: $image:$version\$|&@${pinned#*@}|" "$out"/*.yaml
done
(cd "$out" && sha256sum -- * > SHA256SUMS)
