#!/usr/bin/env python3
"""Does the check count as it should? A small build with tests that pass, fail once, fail always, hang
and are skipped, and a virtual machine that only says that it ran some."""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

BUILD = """
project('toy')
test('good', find_program('good.sh'), suite: 'few')
test('once', find_program('once.sh'), suite: 'few', args: 'once-few')
test('never', find_program('never.sh'), suite: 'few', args: 'never-few')
test('hangs', find_program('hangs.sh'), suite: 'few', timeout: 1)
test('not here', find_program('skipped.sh'), suite: 'few')
test('once: good', find_program('good.sh'), suite: 'other')
test('once', find_program('once.sh'), suite: 'other', args: 'once-other')
foreach n : ['1', '2', '3', '4', '5', '6']
  test('many ' + n, find_program('never.sh'), suite: 'many', args: n)
endforeach
"""
COUNT = 'n=$(cat "$1" 2>/dev/null); echo $((n + 1)) >"$1"; cd "$(dirname "$0")"; echo "FAILED: run ${n:-0} of $1"'
PROGRAMS = {
    "good.sh": "exit 0",
    "once.sh": COUNT + '; [ -n "$n" ]',
    "never.sh": COUNT + "; exit 1",
    "hangs.sh": 'echo "FAILED: waits"; exec sleep 100',
    "skipped.sh": 'echo "it lacks a thing"; exit 77',
    # Runs once with all, and again with those that failed.
    "tool/check-vm.sh": """
mkdir -p build/vm/out
if [ $# = 0 ]; then
    echo "guest/kernel                 ok: 3 s"
    echo "    | FAILED: is no complaint here"
    echo "netns/one                    FAILED: status 1, 2 s"
    echo "    | FAILED: the first complaint"
    echo "netns/two                    FAILED: hung for 180 s"
    echo "    | FAILED: the first of two"
    echo "netns/three                  skipped: no vlan"
    echo "virtual machine              FAILED: Linux 6.1, 2 guests, 9 s"
    echo "1 passed, 2 failed, 1 skipped"
else
    echo "called: $*" >&2
    echo "netns/one                    ok: 2 s"
    echo "netns/two                    FAILED: hung for 180 s"
    echo "    | FAILED: the second of two"
    echo "virtual machine              FAILED: Linux 6.1, 1 guests, 9 s"
    echo "1 passed, 1 failed, 0 skipped"
fi
""",
}
DRIVER = """
log=. jobs=1 passed=0 failed=0 skipped=0
. tool/steps.sh
suites "few tests" build 1 --suite few
suites "other tests" build 1 --suite other
suites "many tests" build 1 --suite many
suites "no tests" build 1 --suite none
guests
echo "$passed passed, $failed failed, $skipped skipped"
"""
EXPECTED = """
few tests                    FAILED: 2 of 4, see ./few-tests.log
    | toy:few / never: fail
    |     FAILED: run 1 of never-few
    | toy:few / hangs: timeout
    |     FAILED: waits
    | unsteady: toy:few / once: failed, and passed when it ran alone:
    |     FAILED: run 0 of once-few
    | toy:few / not here: it lacks a thing
other tests                  ok: 2 passed, 1 of them unsteady, N s
    | unsteady: toy:other / once: failed, and passed when it ran alone:
    |     FAILED: run 0 of once-other
many tests                   FAILED: 6 of 6, see ./many-tests.log
    | toy:many / many 1: fail
    |     FAILED: run 0 of 1
    | toy:many / many 2: fail
    |     FAILED: run 0 of 2
    | toy:many / many 3: fail
    |     FAILED: run 0 of 3
    | toy:many / many 4: fail
    |     FAILED: run 0 of 4
    | toy:many / many 5: fail
    |     FAILED: run 0 of 5
    | toy:many / many 6: fail
    |     FAILED: run 0 of 6
no tests                     skipped: there are no tests in this build (is libcmocka-dev installed?)
virtual machine              FAILED: 1 of 3, see ./vm.log; Linux 6.1, 2 guests, 9 s
    | netns/two: failed: hung for 180 s
    |     FAILED: the second of two
    | unsteady: netns/one: failed, and passed when it ran alone:
    |     FAILED: the first complaint
    | netns/three: no vlan
6 passed, 9 failed, 3 skipped
"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)


def main():
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "tool"))
        for name in ("steps.sh", "count_tests.py"):
            shutil.copy(os.path.join(TOP, "tool", name), os.path.join(root, "tool"))
        for name, text in PROGRAMS.items():
            write(os.path.join(root, name), "#!/bin/bash\n" + text + "\n")
        write(os.path.join(root, "meson.build"), BUILD)
        subprocess.run(["meson", "setup", "build"], cwd=root, check=True, stdout=subprocess.DEVNULL)
        run = subprocess.run(["bash", "-u", "-c", DRIVER], cwd=root, capture_output=True, text=True)
        with open(os.path.join(root, "vm-again.log"), encoding="utf-8") as file:
            called = file.readline()
    got = [line if "unsteady, " not in line else line[:line.rindex("unsteady, ")] + "unsteady, N s"
           for line in run.stdout.splitlines()]
    if got != EXPECTED.strip().splitlines() or run.stderr:
        print(run.stdout, run.stderr, "is not:", EXPECTED, sep="\n")
        return 1
    if called != "called: --guests 1 --jobs 1 --limit 600 netns/one netns/two\n":
        print("the guest was " + called)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
