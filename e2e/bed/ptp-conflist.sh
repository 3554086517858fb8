#!/usr/bin/env bash
# ptp-conflist.sh <IPv4 range> <IPv6 range>: prints the configuration of the plain ptp plug-in for a node's pods.
set -euo pipefail
cat <<JSON
{"cniVersion":"1.0.0","name":"bed","plugins":[{"type":"ptp","ipMasq":false,"ipam":{"type":"host-local",
"ranges":[[{"subnet":"$1"}],[{"subnet":"$2"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}]}
JSON
