#!/bin/bash
# guard.sh <command...>: the first program of a node: it puts files to throw away over the settings of the whole
# machine that systemd, the kubelet and Cilium's agent would change, and goes on with kind's own entrypoint.
set -o errexit -o nounset -o pipefail
mkdir -p /run/guard
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/pid_max \
  kernel/core_pattern kernel/keys/root_maxkeys kernel/keys/root_maxbytes kernel/unprivileged_bpf_disabled \
  kernel/timer_migration net/core/bpf_jit_enable fs/nr_open fs/file-max; do
  if [ ! -e "/proc/sys/$setting" ]; then continue; fi
  file=/run/guard/${setting//\//.}
  cat "/proc/sys/$setting" >"$file"
  mount --bind "$file" "/proc/sys/$setting"
done
exec /usr/local/bin/entrypoint "$@"
