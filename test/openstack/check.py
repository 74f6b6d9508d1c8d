#!/usr/bin/env python3
"""Runs one scenario with a real OpenStack, in the laboratory of test/netns: see tool/check-openstack.sh.

usage: check.py CLOUDSPAN SCENARIO
       check.py --list

Exit code 77: it cannot run here (the reason is printed). CLOUDSPAN_LAB_KEEP=DIR copies the
scenario's files to DIR/SCENARIO."""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(here, "..", "netns"))

import run  # noqa: E402
import scenario  # noqa: E402

scenario.ALL.clear()
for name in sorted(os.listdir(here)):
    if name.startswith("scenarios_") and name.endswith(".py"):
        __import__(name[:-3])

if __name__ == "__main__":
    sys.exit(run.main())
