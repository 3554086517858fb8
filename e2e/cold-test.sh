#!/usr/bin/env bash
# cold-test.sh: COLD=1 is for `make demo` and `make test`; every other target says so, and no script that they share
# with it begins caches that nobody would remove.
set -euo pipefail
cd "$(dirname "$0")/.."
unset COLD MAKEFLAGS MAKELEVEL
targets=$(make help | awk '$1 == "make" { print $2 }')
grep -qx bench <<<"$targets" # or there is nothing to try
for target in $targets; do
  said=$(COLD=1 make --dry-run "$target" 2>&1) && status=0 || status=$?
  case $target in
    help | demo | test) wanted=0 ;;
    *) wanted=2 ;;
  esac
  if [ "$status" != "$wanted" ] || { [ $wanted = 2 ] && ! grep -q 'COLD=1 is for' <<<"$said"; }; then
    echo "COLD=1 make $target: expected status $wanted, got $status: $said" >&2
    exit 1
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for script in deps fit products; do
  grep -qx '. e2e/env.sh' "e2e/$script.sh" # or they are not what is tried here
done
# Beginning cold takes a cluster down: should it do so here, then none of somebody's.
# shellcheck disable=SC2016 # for the other shell
COLD=1 PROVIDER=bed CGROUP=sealroom-cold-test BED_DIR=$work/bed SEALROOM_CACHE=$work/cache bash -euo pipefail -c '. e2e/env.sh; [ "$bin" = "$SEALROOM_CACHE/bin" ]'
[ ! -e "$work/cache" ] || { echo "COLD=1 and e2e/env.sh alone made $(find "$work/cache")" >&2; exit 1; }
