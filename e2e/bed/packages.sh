#!/usr/bin/env bash
# packages.sh: installs the Debian packages that the bed and the images need, only when some are missing.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# name of the package, and a file that is there when it is installed
PACKAGES=(
  buildah:/usr/bin/buildah docker-registry:/usr/bin/docker-registry
  socat:/usr/bin/socat iproute2:/usr/sbin/ip nftables:/usr/sbin/nft iptables:/usr/sbin/iptables
  conntrack:/usr/sbin/conntrack apache2-utils:/usr/bin/htpasswd openssl:/usr/bin/openssl jq:/usr/bin/jq
  clang-19:/usr/lib/llvm-19/bin/clang llvm-19:/usr/lib/llvm-19/bin/llc
  libseccomp-dev:/usr/include/seccomp.h pkg-config:/usr/bin/pkg-config gcc:/usr/bin/gcc
  cmake:/usr/bin/cmake make:/usr/bin/make ca-certificates:/usr/sbin/update-ca-certificates
  python3-pip:/usr/bin/pip3 shellcheck:/usr/bin/shellcheck
  nlohmann-json3-dev:/usr/include/nlohmann/json.hpp libstb-dev:/usr/include/stb/stb_image.h
)

missing=()
for p in "${PACKAGES[@]}"; do
  [ -e "${p#*:}" ] || missing+=("${p%%:*}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

[ "$(id -u)" = 0 ] || die "missing packages, install them as root: ${missing[*]}"
say "installing ${missing[*]}"
# docker-registry would start a service of the machine's own; the bed runs its own in a namespace.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
