#!/usr/bin/env bash
# buildah.sh <arguments...>: buildah with a store of the project's own, without daemon, overlay or runc.
set -euo pipefail
. "$(dirname "$0")/env.sh"
store=$SEALROOM_CACHE/buildah
mkdir -p "$store"
export BUILDAH_ISOLATION=chroot
# Debian ships no policy file with a minimal install; what is built here is our own.
if [ ! -e "$store/policy.json" ]; then echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$store/policy.json"; fi
policy=()
case ${1:-} in bud | build | push | pull | from) policy=(--signature-policy "$store/policy.json") ;; esac
command=$1
shift
exec buildah --storage-driver vfs --root "$store/root" --runroot "$store/run" "$command" "${policy[@]}" "$@"
