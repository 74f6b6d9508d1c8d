#!/usr/bin/env bash
# Runs every test suite and prints one line for each step: `./bootstrap check` calls it, with the
# packages in place. Full output goes to build/*.log. The last line is always of the form
# "N passed, N failed, N skipped", summed over the suites; the exit code is 1 when something failed.
# A test that failed runs once more, alone (tool/steps.sh); one that passes then counts as passed, and
# is shown as unsteady: it is to be mended all the same.
#
# usage: tool/check.sh [--quick | --thorough] [--fuzz MINUTES] [--soak MINUTES]
#   --quick          layers, and the tests of the release build; no other compiler, no sanitizers,
#                    no soak, no virtual machine, no OpenStack
#   --thorough       gcc with sanitizers and clang without them, too
#   --fuzz MINUTES   run each fuzzer that long instead of a few seconds
#   --soak MINUTES   keep watch under mixed load that long instead of two minutes
set -u

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$top" || exit 1

fuzz_seconds=6
soak_minutes=2
quick=0
thorough=0
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --thorough) thorough=1 ;;
    --fuzz | --soak)
        case ${2:-} in
        '' | *[!0-9]*)
            echo "check: $1 needs a number of minutes" >&2
            exit 2
            ;;
        esac
        if [ "$1" = --fuzz ]; then fuzz_seconds=$((10#$2 * 60)); else soak_minutes=$((10#$2)); fi
        shift
        ;;
    *)
        echo "check: unknown option $1 (there are --quick, --thorough, --fuzz MINUTES and --soak MINUTES)" >&2
        exit 2
        ;;
    esac
    shift
done

passed=0 failed=0 skipped=0
jobs=$(nproc 2>/dev/null || echo 1)
case ${CI:-} in true | 1) werror=true ;; *) werror=false ;; esac
# What a sanitizer finds ends the test, and says where.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
log=build
mkdir -p "$log"

finish() {
    trap - EXIT
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
trap 'failed=$((failed + 1)); echo "check: interrupted"; finish' INT TERM
trap finish EXIT

. tool/steps.sh

# build DIR OPTIONS...
build() {
    local dir=$1
    shift
    if [ -f "$dir/build.ninja" ]; then
        meson configure "$dir" "$@" || return 1
    else
        meson setup "$dir" "$@" || return 1
    fi
    ninja -C "$dir" -j "$jobs" -k 20
}

# fuzz_one TARGET DIR: a found input stays in the corpus for the next run, a crash in build/crashes.
fuzz_one() {
    local target=$1 name=${1##*/} seeds
    seeds=$2/fuzz/seeds/$name
    [ -d "$seeds" ] || seeds=
    mkdir -p "build/corpus/$name"
    rm -f "$log/$name.ok"
    "$target" -max_total_time="$fuzz_seconds" -rss_limit_mb=2048 -timeout=10 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="build/crashes/$name-" \
        "build/corpus/$name" ${seeds:+"$seeds"} >"$log/$name.log" 2>&1 </dev/null &&
        : >"$log/$name.ok"
}

# fuzz DIR: its fuzzers, as many at once as there are jobs.
fuzz() {
    local dir=$1 target name crash n=0
    mkdir -p build/crashes
    for target in "$dir"/fuzz/fuzz_*; do
        [ -f "$target" ] && [ -x "$target" ] || continue
        n=$((n + 1))
        [ "$n" -le "$jobs" ] || wait -n
        fuzz_one "$target" "$dir" &
    done
    wait
    for target in "$dir"/fuzz/fuzz_*; do
        [ -f "$target" ] && [ -x "$target" ] || continue
        name=${target##*/}
        if [ -e "$log/$name.ok" ]; then
            pass "${name/_/ }" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log/$name.log") inputs"
        else
            crash=$(sed -n 's/.*Test unit written to //p' "$log/$name.log" | tail -1)
            fail "${name/_/ }" "$log/$name.log" 25
            [ -z "$crash" ] || echo "    | to see it again: $target $crash"
        fi
        rm -f "$log/$name.ok"
    done
    [ "$n" -gt 0 ] || skip "fuzzers" "this build has none"
}

# clouds: `mirror openstack` with a real OpenStack, which the tests set up.
clouds() {
    local out=$log/openstack.log p f s u=0 start=$SECONDS
    tool/check-openstack.sh >"$out" 2>&1 </dev/null
    closing "OpenStack" "$out" || return
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ]; then
        line "OpenStack" FAILED "$f of $((p + f)), see $out"
        awk '/^[^ ]/ { shown = / FAILED: / } shown' "$out" | sed 's/^\([^ ]\)/    | \1/' | head -n 60
    elif [ "$p" -gt 0 ]; then
        line "OpenStack" ok "$(detail "$((SECONDS - start)) s")"
    else
        line "OpenStack" skipped "$(sed -n 's/^os-[a-z]*  *skipped: //p' "$out" | sort -u | head -n 1)"
    fi
    [ "$p" = 0 ] || grep ' skipped: ' "$out" | sed 's/^/    | /'
}

[ "$quick" = 0 ] || soak_minutes=0
export CLOUDSPAN_SOAK=$soak_minutes

# Those that look at the program, and so differ from build to build. Namespaces are once a check:
# they take minutes, and what they try is the kernel and the program as it is installed.
code=(--no-suite layers --no-suite man --no-suite netns)

step "layers" "$log/layers.log" python3 -B tool/layers.py

if step "build (gcc)" "$log/build.log" build build -Dwerror="$werror"; then
    suites "tests (gcc)" build 2 "${code[@]}"
    suites "manual pages" build 2 --suite man
    suites "network namespaces" build $((2 + soak_minutes / 5)) --suite netns \
        --num-processes $((2 * jobs)) # most of them wait for seconds to pass
    if [ "$quick" = 1 ]; then skip "OpenStack" "--quick"; else clouds; fi
    step "layers' own test" "$log/layers-test.log" python3 -B test/layers_test.py
    step "this check's own test" "$log/check-test.log" python3 -B test/check_test.py
else
    skip "tests (gcc)" "nothing was built"
fi

if [ "$quick" = 1 ]; then
    skip "other compiler, sanitizers" "--quick"
    skip "fuzzers" "--quick"
else
    if [ "$thorough" = 0 ]; then
        : # clang's, below, find what they find, nearly always
    elif step "build (gcc, sanitizers)" "$log/build-gcc-asan.log" build build/check-gcc-asan \
        -Db_sanitize=address,undefined -Db_ndebug=false -Doptimization=1; then
        suites "tests (gcc, sanitizers)" build/check-gcc-asan 6 "${code[@]}"
    else
        skip "tests (gcc, sanitizers)" "nothing was built"
    fi

    if command -v clang >/dev/null; then
        export CC=clang
        if [ "$thorough" = 0 ]; then
            : # what it warns of, and what its code does, is seen below
        elif step "build (clang)" "$log/build-clang.log" build build/check-clang -Dwerror=true; then
            suites "tests (clang)" build/check-clang 2 "${code[@]}"
        else
            skip "tests (clang)" "nothing was built"
        fi
        if step "build (clang, sanitizers)" "$log/build-clang-asan.log" build build/check-clang-asan \
            -Db_sanitize=address,undefined -Db_lundef=false -Db_ndebug=false -Doptimization=1 \
            -Dfuzz=true -Dwerror=true; then
            # What goes through many logs takes minutes there, and finds what fuzzers find.
            [ "$thorough" = 1 ] || code+=(--no-suite hunt-data)
            suites "tests (clang, sanitizers)" build/check-clang-asan 6 "${code[@]}"
            fuzz build/check-clang-asan
        else
            skip "tests (clang, sanitizers)" "nothing was built"
            skip "fuzzers" "nothing was built"
        fi
        unset CC
    else
        skip "clang" "it is not installed"
        skip "fuzzers" "they need clang"
    fi
fi

if [ -z "${CLOUDSPAN_CONFORMANCE:-}" ]; then
    skip "conformance" "CLOUDSPAN_CONFORMANCE names no folder of reference logs"
elif [ ! -x "$CLOUDSPAN_CONFORMANCE/run" ]; then
    skip "conformance" "$CLOUDSPAN_CONFORMANCE/run is not there"
elif [ ! -x build/cloudspan ]; then
    skip "conformance" "build/cloudspan is not there"
else
    step "conformance" "$log/conformance.log" "$CLOUDSPAN_CONFORMANCE/run" \
        --program 'build/cloudspan read' --jobs "$jobs" \
        --services dns,http,ssl,dtls,vxlan,geneve,gtpv1,teredo,ayiya \
        --logs conn,dns,http,ssl,x509,files,tunnel \
        --expect conn=95,dns=97,http=95,ssl=95,x509=90,files=95,tunnel=85
fi

if [ "$quick" = 1 ]; then
    skip "virtual machine" "--quick"
elif [ ! -x build/cloudspan ]; then
    skip "virtual machine" "nothing was built"
else
    guests
fi
finish
