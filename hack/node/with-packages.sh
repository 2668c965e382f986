#!/usr/bin/env bash
# Runs a command for which what packages.sh has unpacked looks as if it were installed. It must have a mount namespace of its own:
# unshare --mount with-packages.sh COMMAND...
set -euo pipefail
packages=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/bin/node/packages
mount -t overlay -o "ro,lowerdir=$packages/usr:/usr" packages /usr
exec "$@"
