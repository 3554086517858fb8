# stages.sh: runs stages, keeps their logs, counts their tests and reports. Sourced by test.sh.
# A stage that fails ends the run; one that is over its budget is reported and does not.
# shellcheck shell=bash disable=SC2154

passed=0 failed=0 skipped=0 rows=()
declare -A joined_pid joined_budget

# cold: caches of this run alone, which it removes.
cold() {
  local keep=$SEALROOM_CACHE
  mkdir -p "$keep"
  SEALROOM_CACHE=$(mktemp -d "$keep/cold.XXXXXX")
  export SEALROOM_CACHE GOCACHE=$SEALROOM_CACHE/gocache GOMODCACHE=$SEALROOM_CACHE/gomod PIP_NO_CACHE_DIR=1
  export CARGO_TARGET_DIR=$SEALROOM_CACHE/target
  local home=${CARGO_HOME:-$HOME/.cargo}
  export CARGO_HOME=$SEALROOM_CACHE/cargo
  mkdir -p "$CARGO_HOME"
  # Settings of this machine, such as a mirror, are no cache.
  for f in config.toml config credentials.toml; do
    if [ -e "$home/$f" ]; then cp "$home/$f" "$CARGO_HOME/"; fi
  done
  # shellcheck disable=SC2064 # the directory of now
  trap "e2e/bed/down.sh --quiet || true; chmod -R u+w '$SEALROOM_CACHE'; rm -rf '$SEALROOM_CACHE'" EXIT
}

# count <log>: adds what cargo's test harness says, or one for a stage without it.
count() {
  local p f s
  read -r p f s < <(awk '/^test result:/ { p += $4; f += $6; s += $8 } END { print p + 0, f + 0, s + 0 }' "$1")
  if [ $((p + f + s)) = 0 ]; then p=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

report() { # name, seconds, budget, status, log
  local cached=true over=""
  if grep -qE '^ *(Compiling|Checking) |s built ' "$5"; then cached=false; fi
  if [ "$2" -gt "$3" ]; then over=", OVER BUDGET"; fi
  rows+=("{\"stage\":\"$1\",\"seconds\":$2,\"budget\":$3,\"cached\":$cached}")
  (IFS=,; echo "[${rows[*]}]" >"$last/test.json")
  if [ "$4" = 0 ]; then
    count "$5"
    echo "test $1 $2s of $3s$over"
  else
    count "$5"
    failed=$((failed > 0 ? failed : 1))
    tail -n 40 "$5"
    echo "test $1 FAILED after $2s, log in $5"
    finish
  fi
}

stage() { # name, budget in seconds, command...
  local name=$1 budget=$2 began=$SECONDS status=0
  shift 2
  echo "test $name ... (budget ${budget}s)"
  # A subshell of its own, so that `set -e` holds in functions too.
  set +e
  (set -e; "$@") >"$last/$name.log" 2>&1
  status=$?
  set -e
  report "$name" $((SECONDS - began)) "$budget" $status "$last/$name.log"
}

background() { # name, budget, command...
  local name=$1
  joined_budget[$name]=$2
  shift 2
  echo "test $name ... in the background (budget ${joined_budget[$name]}s)"
  (
    began=$SECONDS status=0
    set +e
    (set -e; "$@") >"$last/$name.log" 2>&1
    status=$?
    echo $((SECONDS - began)) >"$last/$name.seconds"
    exit $status
  ) &
  joined_pid[$name]=$!
}

join() { # name
  local status=0
  wait "${joined_pid[$1]}" || status=$?
  report "$1" "$(cat "$last/$1.seconds")" "${joined_budget[$1]}" $status "$last/$1.log"
}

finish() {
  local pid
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
  # Nothing is skipped without a reason, and no stage has one.
  if [ "$skipped" -gt 0 ]; then failed=$((failed > 0 ? failed : 1)); fi
  echo "sealroom: $passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] || exit 1
  exit 0
}
