#!/usr/bin/env bash
# spawn.sh <where> <command...>: starts a long-running process of the bed: in the bed's cgroup, so that
# it is found again without a pid file; in a session of its own; in the network namespace of that name.
# where is node1, node2, registry, outside, metadata, or machine for the machine's own network (loopback only).
set -euo pipefail
. "$(dirname "$0")/env.sh"
where=$1
shift
case $where in
  node*) group=$where/system namespace=(nsenter --net="$NETNS/$where") log=$where ;;
  machine) group=hosts namespace=() log=machine ;;
  *) group=hosts namespace=(nsenter --net="$NETNS/$where") log=$where ;;
esac
# shellcheck disable=SC2016 # expanded by the inner shell
setsid bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' _ \
  "$(unified_root)/$CGROUP/$group" "${namespace[@]}" "$@" </dev/null >>"$BED_DIR/log/$log.log" 2>&1 8>&- 9>&- &
