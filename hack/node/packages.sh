#!/usr/bin/env bash
# Sees to the programs that a node needs and Go does not build: containerd, runc, CNI plugins and, where there is no docker,
# buildah. Those that are not installed are unpacked from Debian's packages into bin/node/packages; with-packages.sh finds them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=bin/node/packages

fail() { echo "node: $*" >&2; exit 1; }

packages=(containerd runc containernetworking-plugins)
docker info >/dev/null 2>&1 || packages+=(buildah)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "${packages[*]}" ]; then exit 0; fi

rm -rf "$out"
mkdir -p "$out/debs/partial" "$out/usr"
if command -v apt-get >/dev/null; then
  # What is installed is not downloaded, and neither is what an installed package needs.
  download=(apt-get install --yes --download-only --no-install-recommends -o Dir::Cache::archives="$PWD/$out/debs" "${packages[@]}")
  "${download[@]}" >"$out/apt.log" 2>&1 || { apt-get update && "${download[@]}"; } >"$out/apt.log" 2>&1 ||
    fail "apt-get cannot download ${packages[*]}: $(tail -n 1 "$out/apt.log")"
  for deb in "$out"/debs/*.deb; do
    [ ! -e "$deb" ] || dpkg-deb -x "$deb" "$out"
  done
  # Where /lib is /usr/lib, a package may still name the former.
  [ ! -d "$out/lib" ] || cp -a "$out/lib" "$out/usr/"
else
  for program in containerd runc; do
    command -v "$program" >/dev/null || fail "there is no $program: install it"
  done
  docker info >/dev/null 2>&1 || command -v buildah >/dev/null || fail "there is neither docker nor buildah: install one of them"
fi
echo "${packages[*]}" >"$out/.stamp"
