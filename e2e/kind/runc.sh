#!/usr/bin/env bash
# runc.sh <runc's arguments>: Debian's runc, which asks for no more capabilities than this machine's root has: Docker
# asks for all of them on --privileged, and the kernel refuses what is not there.
set -euo pipefail
arguments=("$@") file=
for ((i = 0; i < $#; i++)); do
  case ${arguments[i]} in
    --bundle | -b) file=${arguments[i + 1]}/config.json ;;
    --bundle=*) file=${arguments[i]#*=}/config.json ;;
    --process | -p) file=${arguments[i + 1]} ;;
    --process=*) file=${arguments[i]#*=} ;;
  esac
done
if [ -f "$file" ]; then
  # CAP_SYS_RESOURCE is bit 24 of the mask.
  if (((0x$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status) & 1 << 24) == 0)); then
    less=$(jq -c 'walk(if type == "object" and has("capabilities") and (.capabilities | type == "object")
      then .capabilities |= map_values(if type == "array" then . - ["CAP_SYS_RESOURCE"] else . end) else . end)' "$file")
    printf '%s' "$less" >"$file"
  fi
fi
exec runc "$@"
