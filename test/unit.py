#!/usr/bin/env python3
"""Holds the service's unit against systemd's own judgement.

usage: unit.py verify|security|sysusers|names UNIT SYSUSERS

verify     systemd-analyze finds nothing to say about it
security   its exposure is not above what is written here
sysusers   the user's line is one that systemd-sysusers takes
names      the user, the folders and the commands are the same in all places
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
EXPOSURE_MAX = 4.0  # of 10; what is left is that it starts as root, and uses the network


def tool(name):
    path = shutil.which(name)
    if not path:
        print(f"{name} is not installed")
        sys.exit(SKIP)
    return path


def with_commands_that_exist(text, folder):
    """The unit as it would be installed, with a program in place of ours and its user known."""
    stand_in = os.path.join(folder, "cloudspan")
    shutil.copy("/bin/true", stand_in)
    text = re.sub(r"^ExecStart=!\S+", f"ExecStart=!{stand_in}", text, flags=re.M)
    return re.sub(r"^User=.*", "User=daemon", text, flags=re.M)


def analyze(unit, *words):
    with tempfile.TemporaryDirectory(prefix="unit.") as folder:
        path = os.path.join(folder, "cloudspan.service")
        text = open(unit, encoding="utf-8").read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(with_commands_that_exist(text, folder))
        return subprocess.run([tool("systemd-analyze"), *words, path], capture_output=True,
                              text=True)


def verify(unit, _):
    run = analyze(unit, "verify", "--man=no")
    # Other units of this machine are loaded too; what is said of them is not about ours.
    said = [line for line in run.stderr.splitlines() if "cloudspan" in line]
    print("\n".join(said))
    return 1 if said else 0


def security(unit, _):
    run = analyze(unit, "security", "--offline=yes", "--no-pager")
    print(run.stdout + run.stderr)
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", run.stdout)
    if not match:
        print("this systemd cannot judge a unit that is not loaded")
        return SKIP
    return 0 if float(match.group(1)) <= EXPOSURE_MAX else 1


def sysusers(_, conf):
    with tempfile.TemporaryDirectory(prefix="unit.") as root:
        os.mkdir(os.path.join(root, "etc"))
        run = subprocess.run([tool("systemd-sysusers"), f"--root={root}", os.path.abspath(conf)],
                             capture_output=True, text=True)
        print(run.stdout + run.stderr)
        if run.returncode:
            return 1
        users = open(os.path.join(root, "etc/passwd"), encoding="utf-8").read()
        return 0 if re.search(r"^cloudspan:x:\d+:\d+:", users, re.M) else 1


def names(unit, conf):
    text = open(unit, encoding="utf-8").read()
    user = re.search(r"^User=(.*)", text, re.M).group(1)
    wanted = [f"u {user} " in open(conf, encoding="utf-8").read(),
              f"LogsDirectory={user}\n" in text, f" -d /var/log/{user}\n" in text,
              "Type=notify\n" in text, "@" not in re.sub(r"#.*|SystemCallFilter=.*", "", text),
              "ExecReload=/bin/kill -HUP $MAINPID\n" in text]
    print(wanted)
    return 0 if all(wanted) else 1


def main():
    checks = {"verify": verify, "security": security, "sysusers": sysusers, "names": names}
    if len(sys.argv) != 4 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    return checks[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
