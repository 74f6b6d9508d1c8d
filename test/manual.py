#!/usr/bin/env python3
"""Holds a manual page against mandoc and against the program.

usage: manual.py lint PAGE
       manual.py options PAGE PROGRAM [SUBCOMMAND]    the same options in the page and in --help
       manual.py examples PAGE PROGRAM CAPTURES       the page's examples run
       manual.py keys PAGE CONFIG_FILE                the same keys in the page and in the table; its
                                                      example (.Bd … .Ed) is a configuration
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Whether other programs' pages are installed here says nothing about ours.
NOT_OURS = re.compile(r"referenced manual not found|mandoc\.db")


def lint(page):
    if not shutil.which("mandoc"):
        print("mandoc is not installed")
        return 77
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], capture_output=True, text=True)
    said = [line for line in (run.stdout + run.stderr).splitlines() if not NOT_OURS.search(line)]
    for line in said:
        print(line)
    return 1 if said else 0


def options_of_page(page):
    """Those that have an entry (.It Fl …), and those of the synopsis."""
    found = set()
    for line in open(page, encoding="utf-8"):
        if line.startswith(".It Fl"):
            found |= {"-" + name for name in re.findall(r"Fl (-?[\w-]+)", line)}
    return found


def options_of_help(text):
    found = set()
    for line in text.splitlines():
        match = re.match(r"\s{1,8}(-[-\w].*)", line)
        if match:
            # "-h, --help   text": the names end where two spaces begin the text.
            names = re.split(r"\s{2,}", match.group(1))[0]
            found |= set(re.findall(r"(?:^|[\s,])(--?[A-Za-z][\w-]*)", names))
    return found


def options(page, program, *subcommand):
    run = subprocess.run([program, *subcommand, "--help"], capture_output=True, text=True)
    if run.returncode:
        print(f"--help ends with {run.returncode}: {run.stderr}")
        return 1
    in_page, in_help = options_of_page(page), options_of_help(run.stdout)
    for name in sorted(in_help - in_page):
        print(f"{os.path.basename(page)} lacks {name}")
    for name in sorted(in_page - in_help):
        print(f"--help lacks {name}, which {os.path.basename(page)} has")
    if not in_help:
        print("--help shows no options")
    return 0 if in_page == in_help and in_help else 1


def examples(page, program, captures):
    failed = 0
    for line in open(page, encoding="utf-8"):
        if not line.startswith(".Dl $ "):
            continue
        example = line[6:].strip()
        with tempfile.TemporaryDirectory(prefix="example.") as folder:
            os.mkdir(os.path.join(folder, "hour"))
            for source, name in (("http.pcap", "capture.pcap"), ("in-vxlan.pcap", "hour/1.pcap"),
                                 ("plain.pcap.zst", "day.pcap.zst")):
                shutil.copy(os.path.join(captures, source), os.path.join(folder, name))
            os.symlink(os.path.abspath(program), os.path.join(folder, "cloudspan"))
            script = 'PATH=$PWD:$PATH; set -o pipefail; ssh() { shift; "$@"; }; ' + example
            run = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)
            print(f"$ {example}\n{run.stdout}{run.stderr}", end="")
            if run.returncode:
                print(f"ends with {run.returncode}")
                failed += 1
    return 1 if failed else 0


def keys_of_page(page):
    """Entries (.It Cm …) with the subsection (.Ss …) that they stand in, and those themselves."""
    found, prefix = set(), ""
    for line in open(page, encoding="utf-8"):
        words = line.split()
        if line.startswith(".Sh"):
            prefix = ""
        elif line.startswith(".Ss"):
            prefix = words[1] + "."
            found.add(words[1])
        elif line.startswith(".It Cm"):
            found.add(prefix + words[2])
    return found


def keys(page, config_file):
    run = subprocess.run([config_file, "keys"], capture_output=True, text=True, check=True)
    in_page, in_table = keys_of_page(page), set(run.stdout.split())
    for name in sorted(in_table - in_page):
        print(f"{os.path.basename(page)} lacks {name}")
    for name in sorted(in_page - in_table):
        print(f"{os.path.basename(page)} has {name}, which is no key")
    examples = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", open(page, encoding="utf-8").read(),
                          re.M | re.S)
    failed = 0 if examples else 1
    for example in examples:
        with tempfile.NamedTemporaryFile("w", prefix="example.", suffix=".yaml") as f:
            f.write(example)
            f.flush()
            failed += subprocess.run([config_file, "load", f.name]).returncode != 0
    return 0 if in_page == in_table and in_table and not failed else 1


def main():
    checks = {"lint": lint, "options": options, "examples": examples, "keys": keys}
    if len(sys.argv) < 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    return checks[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
