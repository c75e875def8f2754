# Sourced by the shell tests: a site of its own on a temporary state folder, ended at exit; expectations that count.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
top=$PWD
holdfast=$top/build/release/holdfast
[ -x "$holdfast" ] || { echo "build/release/holdfast is not built: run scripts/build release"; exit 1; }
work=$(mktemp -d)
state=$work/state
failures=0 checks=0

finish() {
  "$holdfast" down --state "$state" >/dev/null 2>&1
  rm -rf "$work"
}
trap finish EXIT

start_site() {  # start_site [OPTION...]
  "$holdfast" up --state "$state" "$@" >"$work/up.out" 2>&1 || { cat "$work/up.out"; echo "the site did not start"; exit 1; }
  export HOLDFAST_STATE=$state
  eval "$("$holdfast" env --state "$state")"
}

ok() {  # ok NAME COMMAND...: must succeed
  local name=$1; shift
  checks=$((checks + 1))
  if ! "$@" >"$work/out" 2>"$work/err"; then
    failures=$((failures + 1))
    echo "FAILED: $name"; tail -n 5 "$work/out" "$work/err" | sed 's/^/    /'
  fi
}
fails() {  # fails NAME 'TEXT' COMMAND...: must not succeed, and must say TEXT (extended regular expression)
  local name=$1 text=$2; shift 2
  checks=$((checks + 1))
  if "$@" >"$work/out" 2>"$work/err"; then
    failures=$((failures + 1)); echo "FAILED: $name: it succeeded"
  elif ! cat "$work/out" "$work/err" | grep -qE -- "$text"; then
    failures=$((failures + 1)); echo "FAILED: $name: expected '$text' in:"; tail -n 5 "$work/out" "$work/err" | sed 's/^/    /'
  fi
}
same() {  # same NAME EXPECTED FOUND
  checks=$((checks + 1))
  [ "$2" = "$3" ] || { failures=$((failures + 1)); echo "FAILED: $1: expected '$2', found '$3'"; }
}
alive() {  # the site still answers
  ok "$1: the site lives" curl -sf --max-time 10 "$HOLDFAST_HTTP_ENDPOINT/health"
}
done_testing() {
  echo "$((checks - failures)) passed, $failures failed"
  [ "$failures" = 0 ] && [ "$checks" -gt 0 ]
  exit
}
