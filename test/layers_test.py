#!/usr/bin/env python3
"""Does tool/layers.py find what it is there to find? A small tree with one fault in each file."""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
COMMENT = "/* Says what it is for. */\n"

# File, text, and a part of what must be said about it; None: nothing.
FILES = [
    ("base/good.h", COMMENT + "#ifndef BASE_GOOD_H\n#define BASE_GOOD_H\nint good(void);\n#endif\n", None),
    ("net/good.c", COMMENT + '#include "base/good.h"\nint good(void)\n{\n    return 0;\n}\n', None),
    ("tunnel/upward.c", COMMENT + '#include "flow/here.h"\n', "tunnel/ may not include flow/"),
    ("flow/here.h", COMMENT + "#ifndef FLOW_HERE_H\n#define FLOW_HERE_H\n#endif\n", None),
    ("net/nameless.c", COMMENT + '#include "good.h"\n', "does not name its folder"),
    ("net/nowhere.c", COMMENT + '#include "base/nowhere.h"\n', "there is no src/base/nowhere.h"),
    ("net/angle.c", COMMENT + "#include <base/good.h>\n", "is our own header"),
    ("net/silent.c", "int silent;\n", "does not begin with a comment"),
    ("net/long.c", COMMENT + "\n" * 700, "lines; files stay under"),
    ("net/alone.h", COMMENT + "#ifndef NET_ALONE_H\n#define NET_ALONE_H\nuint8_t x;\n#endif\n",
     "does not compile alone"),
    ("net/guard.h", COMMENT + "int guard(void);\n", "no include guard NET_GUARD_H"),
    ("net/banned.c", COMMENT + "void f(char *a, const char *b)\n{\n    strcpy(a, b);\n}\n",
     "strcpy is banned"),
    ("net/excused.c", COMMENT + "void f(char *a)\n{\n    strcpy(a, a); /* allowed: a test */\n}\n", None),
    ("net/said.c", COMMENT + 'const char *f = "strcpy(a, b)"; /* strcpy(a, b) */\n', None),
    ("proto/malloc.c", COMMENT + "void *f(void)\n{\n    return malloc(4);\n}\n", "from the pool only"),
    ("proto/malloc_test.c", COMMENT + "void *f(void)\n{\n    return malloc(4);\n}\n", None),
    ("proto/prints.c", COMMENT + 'void f(void)\n{\n    printf("x");\n}\n', "prints: only cmd/"),
    ("cmd/prints.c", COMMENT + 'void f(void)\n{\n    printf("x");\n}\n', None),
    ("net/unlisted.c", COMMENT, "is not in src/net/meson.build"),
    ("other/file.c", COMMENT, "in no folder of the table"),
]


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "src/base"))
        shutil.copy(os.path.join(TOP, "src/base/banned.h"), os.path.join(root, "src/base"))
        lists = {}
        for name, text, _ in FILES:
            folder, base = name.split("/")
            os.makedirs(os.path.join(root, "src", folder), exist_ok=True)
            with open(os.path.join(root, "src", name), "w", encoding="utf-8") as f:
                f.write(text)
            if "unlisted" not in name:
                lists.setdefault(folder, []).append(f"'{base.replace('_test.c', '')}'")
        for folder, names in lists.items():
            with open(os.path.join(root, "src", folder, "meson.build"), "w", encoding="utf-8") as f:
                f.write("\n".join(names))
        run = subprocess.run([sys.executable, "-B", os.path.join(TOP, "tool/layers.py"), root],
                             capture_output=True, text=True)
    said = run.stdout.splitlines()[:-1]
    for name, _, wanted in FILES:
        about = [line for line in said if line.startswith(f"src/{name}:")]
        if wanted is None and about or wanted and not any(wanted in line for line in about):
            print(f"{name}: wanted {wanted!r}, found {about}")
            failed += 1
    if run.returncode != 1:
        print(f"exit code {run.returncode}: {run.stderr}")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
