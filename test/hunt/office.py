#!/usr/bin/env python3
"""Threats put into a made-up day of a small office are found, each by its hunt, with the right ends,
before everything else; and the same day without them gives nothing grave.

usage: office.py CLOUDSPAN [WORD]...        WORD: only the checks whose name has it
"""
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_logs  # noqa: E402

LEVELS = ("none", "low", "medium", "high", "critical")
SEEDS = (1, 2, 3)

# What an office's day has that a hunter cannot tell from a threat without more days: medium at most.
EXPECTED = (
    # The backup server sends gigabytes to a place that nobody else knows. After a week it is known.
    ("exfiltration", make_logs.BACKUP),
)
# Low ones that a clean day may have. Each desktop has three: its chat is open all day, it looks for
# mail every ten minutes, and somebody watches it every quarter of an hour.
MOST_LOW = 100


def hunt(cloudspan, *args):
    """Findings as dictionaries, the worst first."""
    done = subprocess.run([cloudspan, "hunt", "--json", "--no-state", "-c", os.devnull, *args],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr}"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [finding for finding in found if "hunt" in finding]


def level(finding):
    return LEVELS.index(finding["severity"])


def words(finding):
    return (f"{finding['hunt']} {finding['severity']} {finding['score']:.2f} {finding['src']} ->"
            f" {finding['dst']} {finding['name']}: {finding['title']}")


def is_expected(finding):
    return (finding["hunt"], finding["src"]) in EXPECTED and level(finding) <= 2


def fits(finding, want):
    """The planted one: its hunt, its ends, its port."""
    if finding["hunt"] != want["hunt"] or finding["src"] != want["src"]:
        return False
    if want["dst"] or want["name"]:
        name = (finding["name"] or "").rstrip(".")
        if not (finding["dst"] == want["dst"] and want["dst"]) and \
                not (want["name"] and (name == want["name"] or name.endswith("." + want["name"]))):
            return False
    if want["port"] and not any(port.startswith(f"{want['port']}:") for port in finding["ports"]):
        return False
    return True


def check_found(found, want):
    """The planted one is graver than all that others do, and what others do is as on a clean day."""
    planted = [finding for finding in found if fits(finding, want)]
    assert planted, f"not found: {want}\n" + "\n".join(map(words, found[:8]))
    best = planted[0]
    assert level(best) >= 2, f"found, but {words(best)}"
    for finding in found:
        if finding["src"] == want["src"] or finding["src"] in want["others"]:
            continue
        assert level(finding) < 2 or is_expected(finding), f"nobody planted {words(finding)}"
        assert finding["score"] < best["score"] or is_expected(finding), \
            f"{words(finding)}\nis before {words(best)}"
    return words(best)


def check_clean(found):
    for finding in found:
        assert level(finding) < 2 or is_expected(finding), f"nobody planted {words(finding)}"
    n_low = sum(level(finding) == 1 for finding in found)
    assert n_low <= MOST_LOW, f"{n_low} low ones: " + "\n".join(map(words, found[:20]))
    return f"{len(found)} findings, {n_low} low, {len(found) - n_low} medium"


def main():
    cloudspan, only = sys.argv[1], sys.argv[2:]
    n_done = n_failed = 0

    def check(name, what, *args):
        nonlocal n_done, n_failed
        try:
            print(f"{name}: {what(*args)}", flush=True)
        except AssertionError as failure:
            n_failed += 1
            print(f"{name}: FAILED: {failure}", flush=True)
        n_done += 1

    def wanted(name):
        return not only or any(word in name for word in only)

    with tempfile.TemporaryDirectory() as scratch:
        past = os.path.join(scratch, "past")
        if wanted("past"):
            make_logs.Office(0, 8, quiet=True).write(past)
        for seed in SEEDS:
            office = make_logs.Office(seed)
            office.ready()
            if wanted("clean"):
                at = os.path.join(scratch, f"clean{seed}")
                office.write(at)
                check(f"clean {seed}", lambda: check_clean(hunt(cloudspan, at)))
            for name in make_logs.THREATS:
                if not wanted(name):
                    continue
                # Each threat once; over the seeds, every third one of them in turn.
                if list(make_logs.THREATS).index(name) % len(SEEDS) != seed % len(SEEDS) and not only:
                    continue
                at = os.path.join(scratch, f"{name}{seed}")
                threatened, wants = office.with_threats([name])
                threatened.write(at, as_json=seed == 2)
                check(f"{name} {seed}", lambda: check_found(hunt(cloudspan, at), wants[0]))
            if seed != SEEDS[0] or not wanted("past"):
                continue
            # With a week behind it: the backup is usual; a first connection says more.
            for name in (None, "exfiltration", "lateral-chain"):
                at = os.path.join(scratch, f"past-{name}")
                threatened, wants = office.with_threats([name] if name else [])
                threatened.write(at)
                found = hunt(cloudspan, past, at)
                grave = [finding for finding in found if level(finding) >= 2 and
                         finding["src"] == make_logs.BACKUP]
                check(f"past {name}", lambda: check_found(found, wants[0]) if name else
                      check_clean(found))
                check(f"past {name}, backup", lambda: str(not grave))
                n_failed += bool(grave)
        if wanted("all at once"):
            # All threats in one day: none hides another.
            at = os.path.join(scratch, "all")
            threatened, wants = office.with_threats(list(make_logs.THREATS))
            threatened.write(at)
            found = hunt(cloudspan, at)
            for want, name in zip(wants, make_logs.THREATS):
                def check_one(want=want):
                    fitting = [finding for finding in found if fits(finding, want)]
                    assert fitting and level(fitting[0]) >= 2, f"not found: {want}"
                    return f"rank {found.index(fitting[0]) + 1} of {len(found)}"
                check(f"all at once: {name}", check_one)
    print(f"{n_done} checks, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
