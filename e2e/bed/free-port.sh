#!/usr/bin/env bash
# free-port.sh <first>: prints the first port from there that nothing listens on.
set -euo pipefail
for ((port = $1; port < $1 + 200; port++)); do
  if ! ss -Hltn "sport = :$port" | grep -q .; then echo "$port" && exit 0; fi
done
echo "no free port from $1 on" >&2
exit 1
