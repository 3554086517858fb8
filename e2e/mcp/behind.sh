# behind.sh: gate and bridge as processes on loopback, without a proof. Sourced; needs SEALROOM, the program, and work, a
# directory. What it starts is in pids, to be killed by whoever sources it.
# shellcheck shell=bash
: "${SEALROOM:?}" "${work:?}"
pids=()
port=$((20000 + RANDOM % 10000))
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl ec -pubout 2>/dev/null >"$work/key.pem"

# behind NAME GATE-FLAGS -- BRIDGE-FLAGS -- COMMAND: gate and bridge; the endpoint's port is $port afterwards
behind() {
  local name=$1 dir gate=() bridge=()
  shift
  dir=$(mktemp -d "$work/run.XXXXXX")
  while [[ $1 != -- ]]; do gate+=("$1"); shift; done
  shift
  while [[ $1 != -- ]]; do bridge+=("$1"); shift; done
  shift
  port=$((port + 3))
  "$SEALROOM" gate --unsealed --pod-uid "$name" --verify-keys "$(<"$work/key.pem")" --listen "127.0.0.1:$port" \
    --admin "127.0.0.1:$((port + 1))" --metrics "127.0.0.1:$((port + 2))" --lease-socket "$dir/lease.sock" \
    --runtime-socket "$dir/runtime.sock" "${gate[@]}" >"$dir/audit.log" 2>"$dir/gate.log" &
  pids+=($!)
  "$SEALROOM" bridge --lease-socket "$dir/lease.sock" --socket "$dir/runtime.sock" "${bridge[@]}" -- "$@" \
    >/dev/null 2>"$dir/bridge.log" &
  pids+=($!)
  answers "http://127.0.0.1:$((port + 1))/readyz" || { echo "$name does not become ready; see $dir" >&2; return 1; }
}

# answers URL: waits for it to answer with success, for a minute
answers() {
  for _ in $(seq 300); do
    if curl -sf "$1" >/dev/null; then return; fi
    sleep 0.2
  done
  return 1
}
