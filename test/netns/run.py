#!/usr/bin/env python3
"""Runs one scenario of the laboratory: mirrors by real kernels and switches, received by watch.

usage: run.py CLOUDSPAN SCENARIO
       run.py --list

Exit code 77: it cannot run here (the reason is printed). CLOUDSPAN_LAB_KEEP=DIR copies the
scenario's files (captures, logs, what was said) to DIR/SCENARIO."""
import os
import sys
import time
import traceback

# The packets and messages of the other tests; stand-ins for clouds.
for folder in ("..", "../cloud"):
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder))

import lab  # noqa: E402
import scenario  # noqa: E402

for name in sorted(os.listdir(os.path.dirname(os.path.abspath(__file__)))):
    if name.startswith("scenarios_") and name.endswith(".py"):
        __import__(name[:-3])


def main():
    if sys.argv[1:] == ["--list"]:
        for name, (function, _) in scenario.ALL.items():
            print(f"{name:24} {function.__doc__.splitlines()[0]}")
        return 0
    if len(sys.argv) != 3 or sys.argv[2] not in scenario.ALL:
        sys.exit(__doc__)
    function, needs = scenario.ALL[sys.argv[2]]
    begin = time.monotonic()
    try:
        for program in needs:
            lab.need(program)
        lab.enter()
    except lab.Skip as reason:
        print(f"skipped: {reason}")
        return lab.SKIPPED
    here = lab.Lab(sys.argv[1], sys.argv[2])
    code = 1
    try:
        function(here)
        code = 0
    except lab.Skip as reason:
        print(f"skipped: {reason}")
        code = lab.SKIPPED
    except lab.Failed as failure:
        print(f"FAILED after {time.monotonic() - begin:.1f} s: {failure}")
    except Exception:  # a mistake in the scenario itself: shown, and the laboratory cleared
        traceback.print_exc()
    finally:
        here.close(failed=code == 1)
    if code == 0:
        print(f"ok, {time.monotonic() - begin:.1f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
