#!/usr/bin/env bash
# Boots a Kubernetes node, runs a command beside it, and removes the node. Etcd, the control plane, containerd and the kubelet have
# namespaces and cgroups of their own, and nothing is left of them, however this script ends; logs are in bin/node/logs.
# The command runs in the same namespaces, with KUBECONFIG and NODE_AUDIT_LOG set, and its exit code is returned.
# It needs root on Linux, the programs of packages.sh, and those of hack/controlplane/build.sh in bin/controlplane.
# Usage: run.sh IMAGE.tar... -- COMMAND...
#        run.sh --check   says whether this machine can run a node, as far as that can be said without its programs
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "node: $*" >&2; exit 1; }

[ "$(uname)" = Linux ] || fail "needs Linux, and this is $(uname)"
[ "$(id -u)" = 0 ] || fail "needs root, to make namespaces and cgroups"
for program in unshare ip openssl; do
  command -v "$program" >/dev/null || fail "there is no $program: install it"
done

# Everything that runs for the node is in these cgroups: one, or with cgroup v1 one in each hierarchy.
cgroups=()
leaf=      # with v2, where the first processes are: only leaves may have any
enabled=() # controllers that have been enabled for the node

# Kubelets need these controllers of cgroup v2. Only the root cgroup may have processes and give controllers to others.
make_cgroup() {
  local root=/sys/fs/cgroup controller
  for controller in cpu cpuset memory pids; do
    if grep -qw "$controller" "$root/cgroup.subtree_control"; then continue; fi
    echo "+$controller" 2>/dev/null >"$root/cgroup.subtree_control" ||
      fail "the cgroup controller $controller cannot be enabled: $root has processes, as in a container, or another user of it"
    enabled+=("$controller")
  done
  mkdir "$root/kubersafe-node-$$"
  cgroups=("$root/kubersafe-node-$$")
  leaf=$root/kubersafe-node-$$/init
  mkdir "$leaf"
}

# With v1 the node's cgroups are below our own, in each hierarchy.
make_cgroups() {
  local id controllers path parent
  while IFS=: read -r id controllers path; do
    if [ "$id" = 0 ]; then continue; fi # v2 beside v1
    parent=${controllers#name=}
    parent=/sys/fs/cgroup/${parent%%,*}
    # In a container the hierarchy is mounted from our own cgroup on.
    if [ -d "$parent$path" ]; then parent=$parent${path%/}; fi
    [ -d "$parent" ] || fail "the cgroup hierarchy of $controllers is not mounted at $parent"
    mkdir "$parent/kubersafe-node-$$"
    cgroups+=("$parent/kubersafe-node-$$")
    if [ -e "$parent/cpuset.cpus" ]; then
      cat "$parent/cpuset.cpus" >"$parent/kubersafe-node-$$/cpuset.cpus"
      cat "$parent/cpuset.mems" >"$parent/kubersafe-node-$$/cpuset.mems"
    fi
  done </proc/self/cgroup
}

# remove_cgroups kills what is in them, containers too.
remove_cgroups() {
  local pids controller
  if [ ${#cgroups[@]} -gt 0 ]; then
    for _ in $(seq 100); do
      pids=$(find "${cgroups[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
      [ -n "$pids" ] || break
      # shellcheck disable=SC2086 # a word each
      kill -s KILL $pids 2>/dev/null || true
      sleep 0.1
    done
    find "${cgroups[@]}" -depth -type d -exec rmdir {} +
  fi
  for controller in "${enabled[@]}"; do
    echo "-$controller" 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control || true # another needs it by now
  done
}

# guard cleans up when this script has ended, in whatever way: then nobody holds the other end of its pipe.
guard() {
  trap '' INT TERM HUP
  read -r || true
  remove_cgroups
}

trap remove_cgroups EXIT # until there is a guard
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then make_cgroup; else make_cgroups; fi
exec {alive}> >(guard)
guard=$!
trap - EXIT

command=(bash "$here/with-packages.sh" bash "$here/init.sh" "$@")
if [ "${1:-}" = --check ]; then command=(true); fi
code=0
(
  exec {alive}>&-
  for cgroup in "${cgroups[@]}"; do echo "$BASHPID" >"$cgroup/cgroup.procs"; done
  # The namespace of cgroups begins where it is made; so whoever waits for the node goes to the leaf after that.
  # shellcheck disable=SC2016 # the inner shell's
  exec unshare --cgroup bash -c '
    if [ -n "$1" ]; then echo $$ >"$1/cgroup.procs"; fi
    exec unshare --mount --pid --fork --kill-child --mount-proc --net --ipc --uts "${@:2}"
  ' bash "$leaf" "${command[@]}"
) || code=$?
exec {alive}>&-
wait "$guard" || fail "the node's cgroups could not be removed: ${cgroups[*]}"
exit "$code"
