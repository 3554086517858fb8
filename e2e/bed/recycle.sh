#!/usr/bin/env bash
# recycle.sh <node>: empties the node's released volumes and offers them again, so that a day of tests
# does not use up the pool. Runs on the node, as one watch.
set -euo pipefail
kubectl get pv -w -o 'jsonpath={.metadata.name} {.status.phase} {.spec.local.path}{"\n"}' |
  while read -r name phase path; do
    if [ "$phase" != Released ] || [[ $name != *-"$1"-* ]]; then continue; fi
    # The event may be old: a volume that has a new claim by now is left alone.
    if [ "$(kubectl get pv "$name" -o 'jsonpath={.status.phase}')" != Released ]; then continue; fi
    # Its claim is gone, and with it every pod that used it.
    find "$path" -mindepth 1 -delete
    chown 65532:65532 "$path"
    kubectl patch pv "$name" --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]' || true
  done
