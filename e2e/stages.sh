# stages.sh: runs stages, keeps their logs, counts their tests and reports. Sourced by test.sh.
# A stage that fails ends the run; one that is over its budget is reported and does not.
# shellcheck shell=bash disable=SC2154

passed=0 failed=0 skipped=0 excused=0 rows=() bed_is_ours="" kind_is_ours=""
declare -A background_pid background_budget

# Three sorts of stage. Each takes a name, a budget in seconds and a command.
setup() { run 0 "$@"; } # counts as nothing
check() { run 1 "$@"; } # counts as one
tests() { run counted "$@"; } # counts as its output says, which has to say something

# skip <name> <reason>: a stage that this machine cannot have.
skip() {
  skipped=$((skipped + 1)) excused=$((excused + 1))
  echo "test $1 skipped: $2"
}

# tally <log>: passed, failed and skipped by cargo's test harness, the chart's checks and the end-to-end tests.
tally() {
  awk '/^test result: / { p += $4; f += $6; s += $8 }
    /^(chart|e2e): [0-9]+ passed, [0-9]+ failed/ { p += $2; f += $4; s += $6 }
    END { print p + 0, f + 0, s + 0 }' "$1"
}

report() { # how it counts, name, seconds, budget, status
  local counts=$1 name=$2 seconds=$3 budget=$4 status=$5 log=$last/$2.log cached=true over="" p f s
  if grep -qE '^ *(Compiling|Checking) |s built ' "$log"; then cached=false; fi
  if [ "$seconds" -gt "$budget" ]; then over=", OVER BUDGET"; fi
  rows+=("{\"stage\":\"$name\",\"seconds\":$seconds,\"budget\":$budget,\"cached\":$cached}")
  (IFS=,; echo "[${rows[*]}]" >"$last/test.json")

  p=0 f=0 s=0
  if [ "$counts" = counted ]; then
    read -r p f s < <(tally "$log")
    if [ "$status" = 0 ] && [ $((p + f)) = 0 ]; then
      echo "no test ran" >>"$log"
      status=1
    fi
  elif [ "$status" = 0 ]; then
    p=$counts
  fi
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))

  if [ "$f" = 0 ]; then
    echo "test $name ${seconds}s of ${budget}s$over"
  else
    tail -n 40 "$log"
    # Last, since some see only the end.
    grep -E '^(e2e FAILED |FAILED  |test .* \.\.\. FAILED)' "$log" || true
    echo "test $name FAILED after ${seconds}s, log in $log"
    exit 1
  fi
}

run() { # how it counts, name, budget, command...
  local counts=$1 name=$2 budget=$3 began=$SECONDS status=0
  shift 3
  echo "test $name ... (budget ${budget}s)"
  # A subshell of its own, so that `set -e` holds in functions too.
  set +e
  (set -e; "$@") </dev/null >"$last/$name.log" 2>&1
  status=$?
  set -e
  report "$counts" "$name" $((SECONDS - began)) "$budget" $status
}

background() { # name, budget, command...: begins a set-up, which `join` ends
  local name=$1
  background_budget[$name]=$2
  shift 2
  rm -f "$last/$name.seconds"
  echo "test $name ... in the background (budget ${background_budget[$name]}s)"
  set -m # a process group of its own, so that it ends as a whole
  (
    began=$SECONDS status=0
    set +e
    (set -e; "$@") </dev/null >"$last/$name.log" 2>&1
    status=$?
    echo $((SECONDS - began)) >"$last/$name.seconds"
    exit $status
  ) &
  set +m
  background_pid[$name]=$!
}

join() { # name
  local status=0
  wait "${background_pid[$1]}" || status=$?
  unset "background_pid[$1]"
  report 0 "$1" "$(cat "$last/$1.seconds")" "${background_budget[$1]}" $status
}

# finish: the end of every run, also of one that was broken off. Nothing follows its last line.
finish() {
  local status=$? pid
  trap - EXIT
  trap '' INT TERM
  for pid in "${background_pid[@]}"; do
    kill -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  # A run that did not come as far as the cluster leaves somebody else's alone.
  if [ -n "$bed_is_ours" ] && ! e2e/bed/down.sh --quiet; then status=1; fi
  if [ -n "$kind_is_ours" ] && ! e2e/kind/down.sh --quiet; then status=1; fi
  cold_end || true
  # Nothing is skipped without a reason.
  if [ "$skipped" -gt "$excused" ]; then status=1; fi
  if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  echo "test all ${SECONDS}s; budget 1500s, with empty caches 4800s"
  echo "sealroom: $passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] || exit 1
  exit 0
}
