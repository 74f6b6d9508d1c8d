#!/usr/bin/env python3
"""Checks what a reviewer should not have to: who includes whom, and a few habits of the code.

usage: layers.py [--cc CC] [ROOT]

- A folder of src/ includes only the folders the table below gives it, and names the folder.
- Every header compiles alone, and has a guard (list.h has none: it is included for its lines).
- Every file begins with a comment that says what it is for, and has fewer than 600 lines.
- No function of src/base/banned.h is called; only cmd/ and base/note.c print.
- Decoders and analyzers call neither malloc nor free.
- Tests (foo_test.c, and what only they use) may include anything and allocate.
- Every .c file of src/ is in its folder's meson.build, so that nothing is forgotten silently.

Prints one line for each finding, FILE:LINE: what, and the count. Exit code 1 when there are any.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

MAX_LINES = 600

# What each folder may include besides itself and the system.
MAY_INCLUDE = {
    "base": "",
    "net": "base",
    "capture": "base net",
    "tunnel": "base net",
    "source": "base net tunnel",
    "log": "base net",
    "flow": "base net log",  # the flow layer writes conn.log and weird.log
    "sink": "base net",
    "proto": "base net flow log",
    "sensor": "base net capture tunnel source flow log sink proto linux web hunt",
    "linux": "base net",
    "carry": "base net capture sink linux",
    "cloud": "base",
    "mirror": "base net linux carry cloud",
    "hunt": "base net log",
    "web": "base log hunt",
    "cmd": "base net capture tunnel source flow log sink proto sensor linux carry cloud mirror hunt web",
}

NO_MALLOC = {"tunnel", "proto"}
# Made once for a run or a worker, before packets come.
MALLOC_AT_START = {"tunnel/stack.c"}
MAY_PRINT = {"base/note.c"}

ALLOC = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|"
                   r"posix_memalign|asprintf|vasprintf)\s*\(")
PRINT = re.compile(r"(?<![\w.>])(printf|vprintf|puts|putchar|perror|dprintf|vdprintf)\s*\("
                   r"|\bfprintf\s*\(\s*std(out|err)\b|\bfputs\s*\([^;]*\bstd(out|err)\b")
BANNED_LINE = re.compile(r'^BANNED(_IN_PROGRAM)?\((\w+),\s*"([^"]*)"\)', re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Comments and literals, in one pass so that neither is looked for inside the other.
TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text, keep_strings):
    """The text with comments (and the insides of literals) blanked, and its lines where they were."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + token[0]
        return re.sub(r"[^\n]", " ", token)
    return TOKENS.sub(blank, text)


class Checker:
    def __init__(self, root, cc):
        self.root = root
        self.src = os.path.join(root, "src")
        self.cc = cc
        self.findings = []
        self.n_files = 0
        self.meson = {folder: self.read_meson(folder) for folder in os.listdir(self.src)}
        self.test_support = {f"{folder}/{name}" for folder, text in self.meson.items()
                             for block in re.findall(r"_test_support \+= files\((.*?)\)", text, re.S)
                             for name in re.findall(r"'([^']+)'", block)}
        banned = open(os.path.join(self.src, "base/banned.h"), encoding="utf-8").read()
        self.banned = {name: instead for _, name, instead in BANNED_LINE.findall(banned)}
        self.tests_may = {name for mark, name, _ in BANNED_LINE.findall(banned) if mark}
        self.banned_call = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(self.banned))

    def read_meson(self, folder):
        path = os.path.join(self.src, folder, "meson.build")
        return open(path, encoding="utf-8").read() if os.path.exists(path) else ""

    def say(self, name, line, what):
        self.findings.append(f"{name}:{line}: {what}")

    def is_test(self, name):
        return name.endswith("_test.c") or name in self.test_support

    def find_test_headers(self, names):
        """Headers that only tests include, and those headers, are theirs."""
        users = {}
        for name in names:
            text = open(os.path.join(self.src, name), encoding="utf-8").read()
            for line in text.split("\n"):
                match = INCLUDE.match(line)
                if match:
                    users.setdefault(match.group(2), []).append(name)
        known = None
        while known != len(self.test_support):
            known = len(self.test_support)
            self.test_support |= {header for header, by in users.items()
                                  if all(self.is_test(name) for name in by)}

    def check_includes(self, name, folder, code):
        for number, line in enumerate(code.split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, target = match.groups()
            if kind == "<":
                if target.split("/")[0] in MAY_INCLUDE and os.path.exists(os.path.join(self.src, target)):
                    self.say(name, number, f"<{target}> is our own header: write \"{target}\"")
                continue
            if "/" not in target or target.startswith("."):
                self.say(name, number, f'include "{target}" does not name its folder')
                continue
            other = target.split("/")[0]
            if not os.path.exists(os.path.join(self.src, target)):
                self.say(name, number, f'include "{target}": there is no src/{target}')
            elif self.is_test(name):
                continue  # tests are linked with everything
            elif other != folder and other not in MAY_INCLUDE[folder].split():
                self.say(name, number, f"{folder}/ may not include {other}/ (it may: "
                                       f"{MAY_INCLUDE[folder] or 'nothing'})")

    def check_calls(self, name, folder, code, text):
        original = text.split("\n")
        is_test = self.is_test(name)
        for number, line in enumerate(code.split("\n"), 1):
            if "allowed:" in original[number - 1]:
                continue
            for match in self.banned_call.finditer(line):
                called = match.group(1)
                if not (is_test and called in self.tests_may):
                    self.say(name, number, f"{called} is banned: use {self.banned[called]}")
            if is_test:
                continue
            match = ALLOC.search(line)
            if match and folder in NO_MALLOC and name not in MALLOC_AT_START:
                self.say(name, number, f"{match.group(1)}: {folder}/ takes memory from the pool only")
            if PRINT.search(line) and folder != "cmd" and name not in MAY_PRINT:
                self.say(name, number, "prints: only cmd/ and base/note.c do")

    def check_file(self, name):
        folder = name.split("/")[0]
        text = open(os.path.join(self.src, name), encoding="utf-8").read()
        self.n_files += 1
        if folder not in MAY_INCLUDE or "/" not in name:
            self.say(name, 1, "is in no folder of the table in tool/layers.py")
            return
        n_lines = text.count("\n")
        if n_lines >= MAX_LINES:
            self.say(name, n_lines, f"has {n_lines} lines; files stay under {MAX_LINES}")
        has_comment = text.startswith("/*") or text.startswith("//")
        if not has_comment and name not in self.test_support:  # whose headers have it
            self.say(name, 1, "does not begin with a comment that says what it is for")
        self.check_includes(name, folder, without_comments(text, keep_strings=True))
        if name == "base/banned.h":
            return
        code = without_comments(text, keep_strings=False)
        self.check_calls(name, folder, code, text)
        is_list = os.path.basename(name) == "list.h"
        if name.endswith(".h") and not is_list:
            guard = re.sub(r"\W", "_", name).upper()
            if f"#ifndef {guard}\n#define {guard}\n" not in code:
                self.say(name, 1, f"has no include guard {guard}")

    def check_headers_alone(self, headers):
        """Each header in a translation unit of its own; one compiler run for all of them."""
        with tempfile.TemporaryDirectory() as folder:
            units = []
            for i, name in enumerate(headers):
                unit = os.path.join(folder, f"alone_{i}.c")
                with open(unit, "w", encoding="utf-8") as f:
                    f.write(f'#include "{name}"\n#include "{name}"\nextern int unused_{i};\n')
                units.append(unit)
            if not units:
                return
            run = subprocess.run([*self.cc, "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only",
                                  "-Werror=implicit-function-declaration",
                                  "-I", self.src, *units], capture_output=True, text=True)
            if run.returncode == 0:
                return
            for line in run.stderr.split("\n"):
                match = re.match(r"(.*?):(\d+):\d+: (?:fatal )?error: (.*)", line)
                if match:
                    where = os.path.relpath(match.group(1), self.src)
                    self.say(where, match.group(2), f"does not compile alone: {match.group(3)}")

    def check_listed(self, sources):
        for name in sources:
            folder, base = name.split("/", 1)
            if name == "cmd/main.c":
                continue
            wanted = base[:-len("_test.c")] if base.endswith("_test.c") else base
            if not re.search(r"'%s'" % re.escape(wanted), self.meson[folder]):
                self.say(name, 1, f"is not in src/{folder}/meson.build")

    def run(self):
        names = []
        for where, _, files in os.walk(self.src):
            names += [os.path.relpath(os.path.join(where, f), self.src)
                      for f in files if f.endswith((".c", ".h"))]
        names.sort()
        self.find_test_headers(names)
        for name in names:
            self.check_file(name)
        self.check_headers_alone([n for n in names if n.endswith(".h")
                                  and os.path.basename(n) != "list.h"])
        self.check_listed([n for n in names if n.endswith(".c")])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", default=os.path.join(os.path.dirname(__file__), ".."))
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"))
    args = parser.parse_args()
    checker = Checker(os.path.abspath(args.root), args.cc.split())
    checker.run()
    for finding in checker.findings:
        print("src/" + finding)
    print(f"layers: {checker.n_files} files, {len(checker.findings)} findings")
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
