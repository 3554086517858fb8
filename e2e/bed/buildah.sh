#!/usr/bin/env bash
# buildah.sh <arguments...>: buildah with a store of the project's own, without daemon, overlay or runc. Where there is
# none, the Docker engine that answers does the few things that are asked of it.
set -euo pipefail
. "$(dirname "$0")/env.sh"
if ! command -v buildah >/dev/null; then exec "$BED_SRC/../kind/docker-build.sh" "$@"; fi
store=$SEALROOM_CACHE/buildah
mkdir -p "$store"
export BUILDAH_ISOLATION=chroot
# Debian ships no policy file with a minimal install; what is built here is our own.
if [ ! -e "$store/policy.json" ]; then echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$store/policy.json"; fi
# It would make /etc/cni for networks that nothing here has.
if [ ! -e "$store/containers.conf" ]; then printf '[network]\nnetwork_config_dir = "%s/net"\n' "$store" >"$store/containers.conf"; fi
export CONTAINERS_CONF=$store/containers.conf
policy=()
case ${1:-} in bud | build | push | pull | from) policy=(--signature-policy "$store/policy.json") ;; esac
command=$1
shift
# This isolation leaves the machine's network, whatever the build is told.
alone=()
case " $* " in *' --network=none '*) alone=(unshare --net) ;; esac
exec "${alone[@]}" buildah --storage-driver vfs --root "$store/root" --runroot "$store/run" "$command" "${policy[@]}" "$@"
