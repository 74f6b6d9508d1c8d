# The steps of check.sh, which reads this file: what it says of each, and those that are many tests.
# A test that failed runs once more when no other does: one that passes then is unsteady, which is
# shown, and has passed. Where more than a few failed that is not by chance, and they are left at it.
#
# They use, of check.sh: $log, the folder of the full output; $jobs, how many tests run at the same
# time; and the sums $passed, $failed and $skipped.
# shellcheck shell=bash

again_seconds=600 # for all of a step's tests that run once more

# line NAME RESULT [DETAIL]
line() {
    printf '%-28s %s\n' "$1" "$2${3:+: $3}"
}
pass() {
    passed=$((passed + 1))
    line "$1" ok "${2:-}"
}
skip() {
    skipped=$((skipped + 1))
    line "$1" skipped "$2"
}
# fail NAME LOG [N_LINES]: with the complaints of a compiler in the log, or else its end, so that the
# screen says why.
fail() {
    local complaints
    failed=$((failed + 1))
    line "$1" FAILED "see $2"
    complaints=$(grep -E '\b(error|warning|ERROR):|undefined reference' "$2" |
        grep -vE '^cc1:|: -W' | head -n "${3:-15}")
    [ -n "$complaints" ] || complaints=$(tail -n "${3:-15}" "$2")
    printf '%s\n' "$complaints" | sed 's/^/    | /'
}

# step NAME LOG COMMAND...: one pass or failure.
step() {
    local name=$1 out=$2 start=$SECONDS
    shift 2
    if "$@" >"$out" 2>&1 </dev/null; then
        pass "$name" "$((SECONDS - start)) s"
    else
        fail "$name" "$out"
        return 1
    fi
}

# closing NAME LOG: the numbers of the last line that a tool printed, in $p, $f and $s; where there are
# none it has failed.
closing() {
    read -r p _ f _ s _ < <(tail -n 1 "$2")
    case "$p$f$s" in '' | *[!0-9]*)
        fail "$1" "$2"
        return 1
        ;;
    esac
}
# count LOG [SECOND]: adds its tests to the sums; they are in $p, $f, $s and $u (unsteady), too.
count() {
    read -r p f s u < <(python3 -B tool/count_tests.py "$@")
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}
# detail SECONDS: of what count counted.
detail() {
    echo "$p passed$([ "$u" -gt 0 ] && echo ", $u of them unsteady")$([ "$s" -gt 0 ] &&
        echo ", $s skipped"), $1"
}
# show KIND LOG [SECOND]: the tests that failed, were unsteady, were skipped.
show() {
    python3 -B tool/count_tests.py "--$1" "${@:2}" | sed 's/^/    | /'
}

# suites NAME DIR MULTIPLIER OPTIONS...: the tests of a build that meson's options choose, each counted.
suites() {
    local name=$1 dir=$2 start=$SECONDS p f s u again=()
    local out=$log/$(tr -cs 'a-z\n' '-' <<<"$name" | sed 's/-$//').log logs=$dir/meson-logs
    local json=$logs/testlog.json first=$logs/testlog-first.json
    local meson=(meson test -C "$dir" --no-rebuild --print-errorlogs -t "$3"
        --num-processes "$jobs" "${@:4}")
    rm -f "$json" "$first"
    "${meson[@]}" >"$out" 2>&1 </dev/null
    local rc=$?
    if [ ! -s "$json" ]; then
        if grep -q 'No tests defined\|No suitable tests' "$out"; then
            skip "$name" "there are no tests in this build (is libcmocka-dev installed?)"
        else
            fail "$name" "$out"
        fi
        return
    fi
    mv "$json" "$first"
    mapfile -t again < <(python3 -B tool/count_tests.py --again "$first")
    if [ ${#again[@]} -gt 0 ]; then
        mv "$logs/testlog.txt" "$logs/testlog-first.txt"
        timeout --foreground -s INT "$again_seconds" "${meson[@]}" --num-processes 1 "${again[@]}" \
            >"${out%.log}-again.log" 2>&1 </dev/null
        rc=0 # what failed the first time is counted
    fi
    count "$first" "$json"
    if [ "$f" -eq 0 ] && [ "$rc" -eq 0 ]; then
        line "$name" ok "$(detail "$((SECONDS - start)) s")"
    else
        [ "$f" -gt 0 ] || failed=$((failed + 1))
        line "$name" FAILED "$f of $((p + f)), see $out"
        show failed "$first" "$json"
    fi
    show unsteady "$first" "$json"
    show skipped "$first"
}

# guests: the tests whose kernel this machine may not have, in virtual machines.
guests() {
    local out=$log/vm.log second=$log/vm-again.log p f s u=0 reason again=()
    rm -f "$second"
    tool/check-vm.sh >"$out" 2>&1 </dev/null
    closing "virtual machine" "$out" || return
    reason=$(sed -n 's/^virtual machine  *[a-zA-Z]*: //p' "$out")
    case $reason in Linux*) # it came to its end
        mapfile -t again < <(python3 -B tool/count_tests.py --again "$out")
        if [ ${#again[@]} -gt 0 ]; then
            rm -rf build/vm/out-first
            mv build/vm/out build/vm/out-first
            tool/check-vm.sh --guests 1 --jobs 1 --limit "$again_seconds" "${again[@]}" \
                >"$second" 2>&1 </dev/null
        fi
        count "$out" "$second"
        ;;
    *) passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)) ;;
    esac
    if [ "$f" -gt 0 ]; then
        line "virtual machine" FAILED "$f of $((p + f)), see $out; $reason"
        case $reason in
        Linux*) show failed "$out" "$second" ;;
        *) grep -A 20 '^virtual machine .* FAILED: ' "$out" | sed -n 's/^  *|/    |/p' ;;
        esac
    elif [ "$p" -gt 0 ]; then
        line "virtual machine" ok "$(detail "$reason")"
    else
        line "virtual machine" skipped "$reason"
    fi
    show unsteady "$out" "$second"
    [ "$p" = 0 ] || show skipped "$out"
}
