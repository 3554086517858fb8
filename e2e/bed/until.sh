# until.sh: waiting with an end. Sourced; who sources it defines `alive`, which fails when waiting has no sense.
# shellcheck shell=bash disable=SC2154

until_true() { # seconds, what, command...
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || die "gave up waiting for $what"
    [ -d "/proc/$PPID" ] || die "whoever waited for $what is gone"
    alive || die "died while waiting for $what"
    sleep 0.25
  done
  echo "$(date +%s.%N) bed $what" >>"$BED_DIR/timeline"
}
