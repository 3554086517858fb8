#!/usr/bin/env bash
# docker-build.sh bud|push|rmi <arguments...>: what the end-to-end program asks of buildah, by the Docker engine that
# answers: an image from a Dockerfile, as an OCI layout in a directory. Docker has written layouts since version 25.
set -euo pipefail
command=${1:-}
shift
arguments=()
file=
while [ $# -gt 0 ]; do
  case $1 in
    --file | -f) file=$2 && shift ;;
    --timestamp | --format) shift ;; # the layout's own
    --quiet | -q | --disable-compression) ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
case $command in
  bud) docker build --quiet --provenance=false --file "$file" "${arguments[@]}" ;;
  push)
    layout=${arguments[1]#oci:}
    mkdir -p "$layout"
    docker save "${arguments[0]}" | tar -x -C "$layout"
    [ -e "$layout/index.json" ] || { echo "this Docker writes no OCI layout, version 25 does" >&2; exit 1; }
    ;;
  rmi) docker rmi "${arguments[@]}" >/dev/null ;;
  *) echo "docker-build.sh knows bud, push and rmi, not $command" >&2; exit 2 ;;
esac
