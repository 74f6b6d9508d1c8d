#!/usr/bin/env python3
"""Writes what the hunts say of their settings into man/cloudspan.yaml.5, between its two marks.

usage: update-hunts-manual.py PROGRAM

Each hunt describes its keys once, in its own file; `PROGRAM watch --help-config` prints them. Run it
when a hunt, or a key of one, was added or changed: the test of the page says when that is needed.
"""
import os
import re
import subprocess
import sys
import textwrap

PAGE = os.path.join(os.path.dirname(__file__), "../man/cloudspan.yaml.5")
BEGIN = '.\\" What hunts say of their settings: tool/update-hunts-manual.py writes it.\n'
END = '.\\" End of what hunts say.\n'


def sections(program):
    """(hunt, what it is for, [(key, value, default, help)]) of the reference."""
    text = subprocess.run([program, "watch", "--help-config"], capture_output=True, text=True,
                          check=True).stdout
    lines = text[text.index("\nhunts:") + 1:].splitlines()[1:]
    found, section, key = [], None, None
    for line in lines:
        if line and not line.startswith(" "):
            break
        head = re.match(r"^(  |    )([a-z][a-z0-9-]*):(?: (.*?))?(?:  \((.*)\))?$", line)
        if head and head.group(1) == "  ":
            section = key = None
            if head.group(3) is None:
                section = (head.group(2), [], [])
                found.append(section)
        elif head and section:
            key = (head.group(2), head.group(3), head.group(4), [])
            section[2].append(key)
        elif section:
            (key[3] if key else section[1]).append(line.strip())
    return found


def sentence(words):
    text = " ".join(words)
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def roff(text):
    """Each sentence begins a line, none is too long, nothing is taken for a macro."""
    text = text.replace("\\", "\\e")
    lines = []
    for part in re.split(r"(?<=[a-z0-9%)]\.) (?=[A-Z])", text):
        lines += textwrap.wrap(part, 78, break_long_words=False, break_on_hyphens=False)
    return "".join(("\\&" if line[0] in ".'" else "") + line + "\n" for line in lines)


def page(program):
    out = BEGIN
    for name, help_lines, keys in sections(program):
        out += f".Ss hunts.{name}\n" + roff(sentence(help_lines)) + ".Bl -tag -width Ds\n"
        for key, _, default, lines in keys:
            out += f".It Cm {key}\n" + roff(sentence(lines))
            if default:
                out += f"The default is\n.Cm {default} .\n"
        out += ".El\n"
    return out + END


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(before + page(sys.argv[1]) + after)


if __name__ == "__main__":
    main()
