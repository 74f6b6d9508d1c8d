#!/usr/bin/env python3
"""Counts the results in meson's testlog.json.

usage: count_tests.py [--failed | --skipped] TESTLOG

Prints "PASSED FAILED SKIPPED", or the names of the tests that failed or were skipped, with the last
line that each skipped one wrote: its reason.
"""
import json
import sys

MAX_SHOWN = 12
GOOD = {"OK", "EXPECTEDFAIL"}


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
        if len(failed) > MAX_SHOWN:
            print(f"and {len(failed) - MAX_SHOWN} more")
    elif mode == "--skipped":
        for t in skipped:
            said = ((t.get("stdout") or "") + "\n" + (t.get("stderr") or "")).strip()
            print(f"{t['name']}: {said.splitlines()[-1] if said else 'gave no reason'}")
    else:
        print(len(tests) - len(failed) - len(skipped), len(failed), len(skipped))


if __name__ == "__main__":
    main()
