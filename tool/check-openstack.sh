#!/usr/bin/env bash
# Runs `cloudspan mirror openstack` against a real OpenStack that the tests set up by themselves in
# namespaces of their own: Keystone, Neutron with Tap as a Service, RabbitMQ, Open vSwitch with its
# datapath in user space. `./bootstrap check-openstack` calls it, with the packages in place. It needs
# root; nothing of it stays, and no service of this machine is touched.
#
# usage: tool/check-openstack.sh [OPTIONS] [NAME...]
#   NAME...          the scenarios to run, with * and ? (all; --list names them)
#   --list           say which there are
#   --build DIR      the build whose program it is (build)
#   --jobs N         how many run at the same time (one for each processor here, at most 3)
#   --limit SECONDS  after this time a scenario hangs, and is ended (900)
#
# The last line is always of the form "N passed, N failed, N skipped"; the exit code is 1 when
# something failed. What each scenario said is in DIR/openstack/NAME.log; of one that failed, all logs
# of its services are in DIR/openstack/NAME.
set -u

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
build=$top/build jobs='' limit=900 patterns=()

wrong() {
    echo "check-openstack: $*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --list) exec python3 -B "$top/test/openstack/check.py" --list ;;
    --build)
        build=$(cd "${2:-}" 2>/dev/null && pwd) || wrong "there is no folder ${2:-}"
        shift
        ;;
    --jobs | --limit)
        case ${2:-} in '' | 0* | *[!0-9]*) wrong "$1 needs a number" ;; esac
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    -*) wrong "unknown option $1 (see the first lines of tool/check-openstack.sh)" ;;
    *) patterns+=("$1") ;;
    esac
    shift
done

room=$build/openstack passed=0 failed=0 skipped=0
if [ -z "$jobs" ]; then
    jobs=$(nproc 2>/dev/null || echo 1)
    [ "$jobs" -le 3 ] || jobs=3
fi

line() {
    printf '%-28s %s\n' "$1" "$2${3:+: $3}"
}
finish() {
    trap - EXIT
    # The first process of each laboratory takes all of it along.
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
trap 'failed=$((failed + 1)); echo "check-openstack: interrupted"; finish' INT TERM
trap finish EXIT

[ -x "$build/cloudspan" ] || wrong "there is no $build/cloudspan"
names=()
while read -r name _; do
    [ ${#patterns[@]} -gt 0 ] || { names+=("$name") && continue; }
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2254
        case $name in $pattern) names+=("$name") && break ;; esac
    done
done < <(python3 -B "$top/test/openstack/check.py" --list)
[ ${#names[@]} -gt 0 ] || wrong "no scenario is called ${patterns[*]} (--list names them)"
mkdir -p "$room" || wrong "cannot make $room"

# run NAME: its exit code and its seconds end up in NAME.end.
run() {
    local start=$SECONDS
    rm -rf "${room:?}/$1" "$room/$1.log" "$room/$1.end"
    CLOUDSPAN_LAB_KEEP=$room timeout --kill-after=20 "$limit" \
        python3 -B "$top/test/openstack/check.py" "$build/cloudspan" "$1" \
        >"$room/$1.log" 2>&1 </dev/null &
    wait $!
    echo "$? $((SECONDS - start))" >"$room/$1.end"
}

# say NAME: counts it, and says how it went.
say() {
    local code seconds log=$room/$1.log
    read -r code seconds <"$room/$1.end"
    case $code in
    0)
        passed=$((passed + 1))
        rm -rf "${room:?}/$1"
        line "$1" ok "$seconds s$(sed -n 's/^note: /, /p' "$log")"
        ;;
    77)
        skipped=$((skipped + 1))
        rm -rf "${room:?}/$1"
        line "$1" skipped "$(sed -n 's/^skipped: //p' "$log")"
        ;;
    124 | 137)
        failed=$((failed + 1))
        line "$1" FAILED "not done after $seconds s; see $log"
        ;;
    *)
        failed=$((failed + 1))
        line "$1" FAILED "$seconds s; see $log"
        sed '/^--- /,$d' "$log" | cut -c1-400 | tail -n 30 | sed 's/^/    | /'
        ;;
    esac
}

running=0
for name in "${names[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n
        running=$((running - 1))
    fi
    run "$name" &
    running=$((running + 1))
done
wait
for name in "${names[@]}"; do
    say "$name"
done
finish
