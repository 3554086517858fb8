#!/usr/bin/env bash
# Checks of the chart that need Helm and no cluster. Prints one line per check, ends with 1 if any failed.
#
#   HELM=/path/to/helm charts/sealroom/tests/render.sh        UPDATE=1 writes tests/golden anew
#
# With PROMTOOL and DASHBOARD, which e2e/bed/build.sh builds (prometheus, dashboard), also alerts and dashboard.
set -euo pipefail

helm=${HELM:-helm}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
chart=$(dirname "$here")
root=$(cd "$chart/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 passed=0

pass() { passed=$((passed + 1)); printf 'ok      %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'FAILED  %s\n' "$1"; [[ -z ${2:-} ]] || sed 's/^/        /' "$2" | head -20; }

# check TEXT COMMAND...: the command must succeed; its output shows when it does not.
check() {
  local text=$1
  shift
  if "$@" >"$work/out" 2>&1; then pass "$text"; else fail "$text" "$work/out"; fi
}

# absent TEXT PATTERN FILE: no line may match; the lines that do are shown.
absent() {
  if grep -nE "$2" "$3" >"$work/out"; then fail "$1" "$work/out"; else pass "$1"; fi
}

# count PATTERN FILE: how many lines match.
count() { grep -cE -- "$1" "$2" || true; }

render() { "$helm" template sealroom "$chart" --namespace sealroom-system "$@"; }

# documents FILE KIND [NAME]: the documents of one kind, and of one name if given.
documents() {
  awk -v kind="kind: $2" -v name="  name: ${3:-}" -v any="${3:+no}" '
    function flush() { if (k && (any == "" || n)) printf "%s", doc; doc = ""; k = 0; n = 0 }
    /^---/ { flush(); next }
    { doc = doc $0 "\n" }
    $0 == kind { k = 1 }
    $0 == name { n = 1 }
    END { flush() }' "$1"
}

for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  out=$work/$name.yaml
  check "$name: lint" "$helm" lint --strict --quiet "$chart" --values "$values"
  render --values "$values" --set crds.install=false >"$out" 2>"$work/err" || fail "$name: renders" "$work/err"
  render --values "$values" --set crds.install=false >"$work/again" 2>&1 || true
  check "$name: rendering twice gives the same bytes" cmp "$out" "$work/again"

  if [[ -n ${UPDATE:-} ]]; then cp "$out" "$here/golden/$name.yaml"; fi
  check "$name: renders what tests/golden/$name.yaml says" diff -u "$here/golden/$name.yaml" "$out"

  documents "$out" ClusterRole >"$work/roles"
  documents "$out" Role >>"$work/roles"
  absent "$name: no role has a wildcard" '["'\'' \[]\*' "$work/roles"
  absent "$name: no role reaches exec, attach, port forwarding, proxying, tokens, roles or other users" \
    'pods/(exec|attach|portforward|proxy|ephemeralcontainers)|services/proxy|nodes/|serviceaccounts|rbac.authorization.k8s.io\]|impersonate|escalate|[[ ]bind[],]' "$work/roles"
  # Who can proxy to a node can exec in its pods, and who writes nodes can move them: one rule, and it reads.
  printf '    resources: [nodes]\n    verbs: [get, list, watch]\n' >"$work/nodes"
  grep -wA1 nodes "$work/roles" | diff -u "$work/nodes" - >"$work/nodes-differ" || true
  check "$name: nodes are read, and nothing else" test ! -s "$work/nodes-differ"
  documents "$out" ClusterRole >"$work/operator-roles"
  documents "$out" Role sealroom-operator-self >>"$work/operator-roles"
  absent "$name: the operator has no right on Secrets" 'secrets' "$work/operator-roles"

  documents "$out" Deployment >"$work/pods"
  documents "$out" Job >>"$work/pods"
  containers=$(count '^ +image: ' "$work/pods")
  check "$name: the operator's and the canaries' pods are there" test "$containers" -ge 2
  for line in 'allowPrivilegeEscalation: false' 'readOnlyRootFilesystem: true' 'drop: \[ALL\]' 'runAsNonRoot: true' \
    'type: RuntimeDefault' 'enableServiceLinks: false' 'limits:' 'image: [^ ]+@sha256:[a-f0-9]{64}$'; do
    check "$name: $containers of $containers pods have $line" test "$(count "^ +$line" "$work/pods")" -eq "$containers"
  done
  documents "$out" Deployment sealroom-canary >"$work/canary"
  check "$name: the canary has no token" grep -qx '      automountServiceAccountToken: false' "$work/canary"
  absent "$name: the canary mounts no Secret" 'secret' "$work/canary"
done

# The key: made by the hook unless the user gives one.
documents "$work/default.yaml" Role sealroom-key >"$work/key"
check "hook: its role may do one thing" test "$(sed -n '/^rules:/,$p' "$work/key")" = \
  "$(printf 'rules:\n  - apiGroups: [""]\n    resources: [secrets]\n    verbs: [create]')"
for kind in ServiceAccount Role RoleBinding Job; do
  documents "$work/default.yaml" "$kind" sealroom-key >"$work/key"
  check "hook: its $kind goes when it has succeeded" \
    grep -qx '    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded' "$work/key"
done
absent "hook: there is none when the user gives a Secret" 'helm.sh/hook|sealroom-key$|sealroom-seal-key' "$work/full.yaml"
check "hook: the user's Secret is mounted" grep -qx '            secretName: our-seal-key' "$work/full.yaml"

# A change of the configuration rolls the operator, and another value does not.
hash() { render --values "$chart/ci/default-values.yaml" --set crds.install=false "$@" | grep -o 'sealroom.dev/config-hash: .*'; }
check "configuration: its hash changes with it" test "$(hash)" != "$(hash --set seal.roundSeconds=31)"
check "configuration: its hash changes with nothing else" test "$(hash)" = "$(hash --set canary.replicas=3)"

# The guard: whole or not at all, and it does not fail open.
documents "$work/default.yaml" ValidatingAdmissionPolicy >"$work/policies"
documents "$work/default.yaml" ValidatingAdmissionPolicyBinding >"$work/bindings"
policies=$(count '^kind: ' "$work/policies")
bindings=$(count '^kind: ' "$work/bindings")
check "guard: it has policies and bindings" test "$policies" -ge 8 -a "$bindings" -ge "$policies"
check "guard: all $policies policies fail closed and ask nobody who may repair" test \
  "$(count '^  failurePolicy: Fail$' "$work/policies")/$(count '^    - name: not-exempt$' "$work/policies")" = "$policies/$policies"
check "guard: all $bindings bindings deny" test "$(count '^  validationActions: \[Deny, Audit\]$' "$work/bindings")" -eq "$bindings"
operators() { render --values "$chart/ci/default-values.yaml" --namespace "$1" | count "system:serviceaccount:$1:sealroom-operator" /dev/stdin; }
check "guard: the operator's user follows the namespace of the release" test \
  "$(operators elsewhere)" -ge 5 -a "$(operators elsewhere)" -eq "$(operators sealroom-system)"
render --values "$chart/ci/default-values.yaml" --set guard.enabled=false >"$work/unguarded"
absent "guard: nothing of it is there when it is off" '^kind: ValidatingAdmissionPolicy' "$work/unguarded"

# The CRDs: equal to those of the repository, all there, all kept.
check "crds: the chart's copies are those of crds/" diff -r "$root/crds" "$chart/crd-files"
render --values "$chart/ci/default-values.yaml" >"$work/with-crds"
documents "$work/with-crds" CustomResourceDefinition >"$work/crds"
files=$(find "$chart/crd-files" -name '*.yaml' | wc -l)
check "crds: there are at least two" test "$files" -ge 2
check "crds: all $files are rendered" test "$(count '^kind: CustomResourceDefinition$' "$work/crds")" -eq "$files"
check "crds: all $files are kept when the release goes" test "$(count '^    helm.sh/resource-policy: keep$' "$work/crds")" -eq "$files"
check "crds: each has one metadata and one set of annotations" test \
  "$(count '^metadata:$' "$work/crds")/$(count '^  annotations:$' "$work/crds")" = "$files/$files"

# Alerts and dashboard, by the programs that know what Prometheus and Grafana take.
if [[ -n ${PROMTOOL:-}${DASHBOARD:-} ]]; then
  # rules FILE: promtool takes all of its rules, and there are some.
  rules() { "$PROMTOOL" check rules --lint=all --lint-fatal "$1" && test "$(count '(alert|record):' "$1")" -ge 5; }
  not() { ! "$@"; }
  documents "$work/full.yaml" PrometheusRule | sed -n '/^spec:$/,$p' | sed '1d; s/^  //' >"$work/alerts.yaml"
  check "alerts: promtool takes them" rules "$work/alerts.yaml"
  documents "$work/full.yaml" ConfigMap sealroom-dashboard | sed -n '/^  sealroom.json: |$/,$p' | sed '1d; /^ *$/d; s/^    //' >"$work/board.json"
  check "dashboard: what is rendered is the chart's file" diff "$chart/dashboards/sealroom.json" "$work/board.json"
  check "dashboard: it is as Grafana's types say" "$DASHBOARD" "$work/board.json"
  "$DASHBOARD" "$work/board.json" >"$work/panels.yaml" 2>"$work/err" || true
  check "dashboard: promtool takes its expressions" rules "$work/panels.yaml"
  # Both can say no.
  sed 's/max by (/max by ((/' "$work/alerts.yaml" >"$work/bad.yaml"
  check "alerts: promtool refuses one with a bracket too many" not "$PROMTOOL" check rules "$work/bad.yaml"
  sed 's/"gridPos"/"gridpos"/' "$work/board.json" >"$work/bad.json"
  check "dashboard: a field that Grafana does not know is refused" not "$DASHBOARD" "$work/bad.json"
else
  echo 'note    alerts and dashboard are not checked: PROMTOOL and DASHBOARD are not set'
fi

# The example's values, with their placeholders filled in.
digest=sha256:$(printf '%064d' 0)
sed -e "s|\${SEALROOM_IMAGE}|registry.internal:5000/sealroom@$digest|" -e "s|\${REGISTRY_ADDRESS}|192.0.2.10|" \
  -e "s|\${LLAMA_CPP_IMAGE}|registry.internal:5000/llama.cpp@$digest|" "$root/examples/platform/values.yaml" >"$work/platform.yaml"
printf -- '-----BEGIN CERTIFICATE-----\n' >"$work/ca.crt"
check "examples/platform: renders" render --values "$work/platform.yaml" --set-file "registries[0].ca=$work/ca.crt"

# What must be refused, with words that help.
for values in "$here"/bad/*.yaml; do
  want=$(sed -n '1s/^# //p' "$values")
  if render --values "$chart/ci/default-values.yaml" --values "$values" >"$work/out" 2>&1; then
    fail "refused: $(basename "$values" .yaml)"
  elif grep -qF -- "$want" "$work/out"; then
    pass "refused: $(basename "$values" .yaml)"
  else
    fail "refused: $(basename "$values" .yaml), but without the words '$want'" "$work/out"
  fi
done

printf 'chart: %d passed, %d failed\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
