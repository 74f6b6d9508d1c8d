#!/usr/bin/env python3
"""Counts the results of tests: in meson's testlog.json, or in what check-vm.sh printed.

usage: count_tests.py [--failed | --unsteady | --skipped | --again] LOG [SECOND]

SECOND is the log of another run, of those that failed. What passed in it counts as passed, and is
unsteady; of the others, what they complained of there is what is shown.

Prints "PASSED FAILED SKIPPED UNSTEADY", or the names of the tests that failed or were unsteady, with
what each complained of, or the last line that each skipped one wrote: its reason. --again: the
names with which the failed ones are called again, one a line; none where too many failed for that to
be by chance."""
import json
import os
import re
import sys

MAX_AGAIN = 5
MAX_SHOWN = 12
MAX_LINES = 10  # of a failed one
GOOD = {"OK", "EXPECTEDFAIL"}
PRINTED = re.compile(r"(\S.*?) +(ok|FAILED|skipped): ?(.*)")


def read_meson(file):
    """Its names are "project:suite / name"; they are called "project:name"."""
    for test in map(json.loads, filter(str.strip, file)):
        project, _, name = test["name"].partition(" / ")
        yield {**test, "call": f"{project.partition(':')[0]}:{name}",
               "said": ((test.get("stdout") or "") + "\n" + (test.get("stderr") or "")).strip()}


def read_printed(file):
    """Of a guest: "name  RESULT: how", and what it said behind bars."""
    test = None
    for line in file:
        if match := PRINTED.match(line):
            if test:
                yield test
            name, result, how = match.groups()
            said = how if result == "skipped" else ""
            test = {"name": name, "call": name, "said": said,
                    "result": {"ok": "OK", "skipped": "SKIP"}.get(result, "failed: " + how)}
        elif test and line.startswith("    | "):
            test["said"] += line.removeprefix("    | ")
    if test:
        yield test


def read(path):
    """The tests of a log; none of one that was not written."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        is_meson = file.read(1) == "{"
        file.seek(0)
        tests = list((read_meson if is_meson else read_printed)(file))
    return [test for test in tests if test["name"] != "virtual machine"]


def has_failed(test):
    return test["result"] not in GOOD and test["result"] != "SKIP"


def complaints(test):
    """The lines that say what was wrong, or else the last ones."""
    lines = test["said"].splitlines()
    first = next((i for i, line in enumerate(lines)
                  if re.search(r"FAILED|Error|ERROR|not ok|\[  ERROR", line)), len(lines) - MAX_LINES)
    return ["    " + line[:200] for line in lines[max(first, 0):][:MAX_LINES]]


def main():
    arguments = sys.argv[1:]
    mode = arguments.pop(0) if arguments and arguments[0].startswith("--") else ""
    tests = read(arguments[0])
    second = {test["name"]: test for path in arguments[1:] for test in read(path)}
    skipped = [t for t in tests if t["result"] == "SKIP"]
    failed = [t for t in tests if has_failed(t)]
    unsteady = [t for t in failed if second.get(t["name"], {}).get("result") in GOOD]
    failed = [t for t in failed if t not in unsteady]
    if mode == "--failed":
        for t in failed[:MAX_SHOWN]:
            last = second.get(t["name"], t)
            print(f"{t['name']}: {last['result'].lower()}", *complaints(last), sep="\n")
        if len(failed) > MAX_SHOWN:
            print(f"and {len(failed) - MAX_SHOWN} more")
    elif mode == "--unsteady":
        for t in unsteady:
            print(f"unsteady: {t['name']}: failed, and passed when it ran alone:", *complaints(t),
                  sep="\n")
    elif mode == "--again":
        for t in failed if len(failed) <= MAX_AGAIN else ():
            print(t["call"])
    elif mode == "--skipped":
        for t in skipped:
            print(f"{t['name']}: {(t['said'].splitlines() or ['gave no reason'])[-1]}")
    else:
        print(len(tests) - len(failed) - len(skipped), len(failed), len(skipped), len(unsteady))


if __name__ == "__main__":
    main()
