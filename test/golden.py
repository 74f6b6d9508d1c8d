#!/usr/bin/env python3
"""Same capture, same logs, byte for byte: runs one case of cases.txt and compares.

usage: golden.py [--update] PROGRAM CAPTURES EXPECTED CASES NAME...

The program runs with one worker, and its logs must be equal to those in EXPECTED/NAME but for the
times of the run (#open, #close). Then with three workers, where the rows must be the same and only
their order may differ. --update writes what came out instead (tool/update-expected.sh does that).
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

TIMES = re.compile(rb"^#(open|close)\t[^\n]*\n", re.M)
TIMEOUT = 60


def read_cases(path):
    cases = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words:
                if words[0] in cases:
                    sys.exit(f"{path}: case {words[0]} is there twice")
                cases[words[0]] = words[1:]
    return cases


def run(program, captures, arguments, workers):
    """The files of a run by name: the logs, stderr where something is said, status."""
    argv, stdin = [program, "read"], subprocess.DEVNULL
    for word in arguments:
        if word.startswith("@"):
            argv.append(os.path.join(captures, word[1:]))
        elif word.startswith("<"):
            stdin = open(os.path.join(captures, word[1:]), "rb")
        else:
            argv.append(word)
    with tempfile.TemporaryDirectory(prefix="golden.") as out:
        argv[2:2] = ["-j", str(workers), "-d", out]
        done = subprocess.run(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=TIMEOUT, env={**os.environ, "TZ": "UTC", "NO_COLOR": "1"})
        files = {}
        for name in sorted(os.listdir(out)):
            with open(os.path.join(out, name), "rb") as f:
                files[name] = TIMES.sub(b"", f.read())
        said = (done.stdout + done.stderr).replace(captures.encode() + b"/", b"")
        if said:
            files["stderr"] = said.replace(out.encode(), b"DIR")
        files["status"] = b"%d\n" % done.returncode
        return files


def read_expected(folder):
    files = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), "rb") as f:
            files[name] = f.read()
    return files


def differences(expected, found, what):
    lines = []
    for name in sorted(set(expected) | set(found)):
        a, b = expected.get(name), found.get(name)
        if a == b:
            continue
        if a is None or b is None:
            lines.append(f"{what}: {name} is {'not expected' if a is None else 'missing'}")
        lines += difflib.unified_diff(
            (a or b"").decode(errors="replace").splitlines(),
            (b or b"").decode(errors="replace").splitlines(), f"expected {name}", f"{what} {name}",
            lineterm="", n=1)
    return lines


def sorted_rows(files):
    return {name: b"\n".join(sorted(data.splitlines())) for name, data in files.items()}


def main():
    arguments = sys.argv[1:]
    update = arguments[:1] == ["--update"]
    if update:
        arguments.pop(0)
    if len(arguments) < 5:
        sys.exit(__doc__)
    program, captures, expected_folder, cases_file, *names = arguments
    captures = os.path.abspath(captures)
    cases = read_cases(cases_file)
    failed = 0
    for name in names if names != ["all"] else list(cases):
        folder = os.path.join(expected_folder, name)
        found = run(program, captures, cases[name], 1)
        if update:
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            for file, data in found.items():
                with open(os.path.join(folder, file), "wb") as f:
                    f.write(data)
            continue
        expected = read_expected(folder)
        if not os.path.isdir(folder):
            print(f"{name}: there is no {folder}")
            failed += 1
            continue
        lines = differences(expected, found, "found")
        if not lines:
            lines = differences(sorted_rows(expected),
                                sorted_rows(run(program, captures, cases[name], 3)),
                                "with three workers")
        if lines:
            failed += 1
            print(f"{name}: read {' '.join(cases[name])}")
            print("\n".join(lines[:60]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
