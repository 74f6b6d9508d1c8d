#!/usr/bin/env bash
# Writes test/expected/ anew from what the program now does: for the named cases of test/cases.txt,
# or all. Read the change (git diff test/expected) like code before you commit it.
#
# usage: tool/update-expected.sh [NAME...]
set -eu
cd "$(dirname "$0")/.."
ninja -C build >/dev/null
[ $# -gt 0 ] || set -- all
python3 test/golden.py --update build/cloudspan build/test/captures test/expected test/cases.txt "$@"
if [ "$1" = all ]; then
    # Cases that are no more.
    for folder in test/expected/*/; do
        grep -q "^$(basename "$folder") " test/cases.txt || rm -r "$folder"
    done
fi
git --no-pager diff --stat -- test/expected
git status --short -- test/expected | grep '^??' || true
