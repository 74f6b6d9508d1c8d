"""Runs chosen tests of a build, several at a time: in the guest of `check-vm`, where no build
system is needed for it and python starts slowly enough for once.

usage: guest.py --list BUILD PATTERN...
       guest.py [--slower FACTOR] [--jobs N] [--log FOLDER] BUILD PATTERN...

Names are meson's, with * and ? as in the shell. A line for each test that ends. FOLDER, which
guests share, gets what each test said (NAME.txt); its folder "claims" says which tests a guest has
begun, so that no other does; "running-NAME" is there as long as a test runs; and "counts-GUEST" is
the number of this guest's passed, failed and skipped tests."""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77
# Tests that make no sense elsewhere; what they say is shown even when they pass.
OWN = [{"name": "guest/kernel", "cmd": [os.path.join(HERE, "offers")], "env": {}, "workdir": None,
        "timeout": 60}]


def chosen(build, patterns):
    """The tests that the patterns name, in the patterns' order, each once."""
    with open(os.path.join(build, "meson-info", "intro-tests.json"), encoding="utf-8") as file:
        tests = {test["name"]: test for test in OWN + json.load(file)}
    names = {}
    for pattern in patterns:
        matching = fnmatch.filter(tests, pattern)
        if not matching:
            sys.exit(f"no test is called {pattern}: meson test -C {build} --list names them")
        names.update(dict.fromkeys(matching))
    return [tests[name] for name in names]


def command_of(test):
    """The system's python: another one may be a script that looks for yet another."""
    program, *arguments = test["cmd"]
    if os.path.basename(program).startswith("python3") and os.path.exists("/usr/bin/python3"):
        program = "/usr/bin/python3"
    return [program, *arguments]


def run(test, build, slower, path):
    """The exit status, None when it hung; what it said is in the file."""
    with open(path, "wb") as out:
        popen = subprocess.Popen(command_of(test), cwd=test["workdir"] or build,
                                 env={**os.environ, "CLOUDSPAN_GUEST": "1", **test["env"]}, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return popen.wait(test["timeout"] * slower)
        except subprocess.TimeoutExpired:
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
            return None


def last_lines(path, n):
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line.rstrip() for line in file.readlines()[-n:]]


def say(text):
    print(text, flush=True)


def one(test, options):
    """Runs it and tells how it went: the word for its result; none when another guest has it."""
    name, begin = test["name"], time.monotonic()
    file_name = name.replace("/", "-").replace(" ", "-")
    path = os.path.join(options.log, file_name + ".txt")
    started = os.path.join(options.log, "running-" + file_name)
    try:
        os.mkdir(os.path.join(options.log, "claims", file_name))
    except FileExistsError:
        return None
    with open(started, "w", encoding="ascii"):
        pass
    status = run(test, options.build, options.slower, path)
    os.unlink(started)
    seconds = f"{time.monotonic() - begin:.0f} s"
    if status == 0:
        own = last_lines(path, 40) if test in OWN else []
        say("\n".join([f"{name:<28} ok: {seconds}", *("    | " + line for line in own)]))
        return "passed"
    said = last_lines(path, 40)
    if status == SKIPPED:
        reason = next((line for line in reversed(said) if line), "it does not say why")
        say(f"{name:<28} skipped: {reason.removeprefix('skipped: ')}")
        return "skipped"
    how = f"hung for {seconds}" if status is None else f"status {status}, {seconds}"
    say(f"{name:<28} FAILED: {how}\n" + "\n".join("    | " + line for line in said))
    return "failed"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--slower", type=float, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--log", default=".")
    parser.add_argument("build")
    parser.add_argument("patterns", nargs="+")
    options = parser.parse_args()
    tests = chosen(options.build, options.patterns)
    if options.list:
        for test in tests:
            print(test["name"])
        return 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda test: one(test, options), tests))
    counts = os.path.join(options.log, "counts-" + os.environ["guest"])
    with open(counts, "w", encoding="ascii") as file:
        print(*(results.count(word) for word in ("passed", "failed", "skipped")), file=file)
    return int("failed" in results)


if __name__ == "__main__":
    sys.exit(main())
