# Settings shared by the scripts of the kind provider. Sourced, never run.
# They are those of the bed with other names: its own directory and its own cgroup, so that a bed may run beside it.
# KIND_ENGINE is `user` where a Docker daemon answers, and `own` elsewhere: then one is started in namespaces.
# shellcheck shell=bash disable=SC2034

: "${SEALROOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/sealroom}"
BED_DIR=${KIND_DIR:-$SEALROOM_CACHE/kind}
CGROUP=sealroom-kind
export BED_DIR CGROUP
KIND_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../bed/env.sh
. "$KIND_SRC/../bed/env.sh"

CLUSTER=sealroom
REGISTRY_NAME=sealroom-registry
# Where the nodes are, on the bridge of our engine.
KIND4=172.30.0 KIND6=fd30

# What is pulled where a Docker daemon of the user answers. The node image is the one that kind v0.33.0 was released
# with; its own CNI, kindnet, enforces NetworkPolicies.
USER_NODE_IMAGE=kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5
USER_REGISTRY_IMAGE=registry:2.8.3@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373

if [ -z "${KIND_ENGINE:-}" ]; then
  KIND_ENGINE=own
  if command -v docker >/dev/null && timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
    KIND_ENGINE=user
  fi
fi
export KIND_ENGINE

# Our engine: its programs are Debian's, its images stay in the cache, and its socket lies beside its state.
ENGINE_DIR=$SEALROOM_CACHE/kind-engine
SOCKET=$BED_DIR/docker.sock

# engine <command...>: runs a command where the engine is, with the programs of the cluster's version on its PATH.
# Settings of this machine's network, such as a proxy, mean nothing in there.
engine() {
  if [ "$KIND_ENGINE" = user ]; then "$@"; return; fi
  local pid
  pid=$(cat "$BED_DIR/engine.pid")
  env -u HTTP_PROXY -u HTTPS_PROXY -u NO_PROXY -u http_proxy -u https_proxy -u no_proxy \
    DOCKER_HOST="unix://$SOCKET" HOME="$BED_DIR/home" PATH="$ENGINE_PATH:$PATH" \
    nsenter -t "$pid" --mount --net --pid --uts --ipc "$@"
}
