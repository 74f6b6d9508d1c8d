#!/usr/bin/env python3
"""Counts the results in meson's testlog.json.

usage: count_tests.py [--failed | --skipped] TESTLOG

Prints "PASSED FAILED SKIPPED", or the names of the tests that failed or were skipped, with what each
failed one complained of, and the last line that each skipped one wrote: its reason.
"""
import json
import re
import sys

MAX_SHOWN = 12
MAX_LINES = 6  # of a failed one
GOOD = {"OK", "EXPECTEDFAIL"}


def said_by(test):
    return ((test.get("stdout") or "") + "\n" + (test.get("stderr") or "")).strip().splitlines()


def complaints(test):
    """The lines that say what was wrong, or else the last ones."""
    lines = said_by(test)
    first = next((i for i, line in enumerate(lines)
                  if re.search(r"FAILED|Error|ERROR|not ok|\[  ERROR", line)), len(lines) - MAX_LINES)
    return [line[:200] for line in lines[max(first, 0):][:MAX_LINES]]


def main():
    arguments = sys.argv[1:]
    mode = arguments.pop(0) if arguments and arguments[0].startswith("--") else ""
    with open(arguments[0], encoding="utf-8") as f:
        tests = [json.loads(line) for line in f if line.strip()]
    skipped = [t for t in tests if t["result"] == "SKIP"]
    failed = [t for t in tests if t["result"] not in GOOD and t["result"] != "SKIP"]
    if mode == "--failed":
        for t in failed[:MAX_SHOWN]:
            print(f"{t['name']}: {t['result'].lower()}")
            for line in complaints(t):
                print("    " + line)
        if len(failed) > MAX_SHOWN:
            print(f"and {len(failed) - MAX_SHOWN} more")
    elif mode == "--skipped":
        for t in skipped:
            print(f"{t['name']}: {(said_by(t) or ['gave no reason'])[-1]}")
    else:
        print(len(tests) - len(failed) - len(skipped), len(failed), len(skipped))


if __name__ == "__main__":
    main()
