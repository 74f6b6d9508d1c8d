"""The order of things of bench/mirror, and what is said at its end: text, JSON, a table for the
manual."""

import json
import os
import statistics
import subprocess
import sys
import time

from base import Unavailable
from live_bed import Tools, others_share
from live_report import QUIET
from mirror_bed import AROUND, HEADERS, PEER, VOID, Net, busy_of, started, ways

NONE_EVERY = 4  # ways between two looks at no mirror
SETTLE_S = 0.3
ACCOUNTED = ("flood", "paced", "bulk")


def say(line):
    print(line, file=sys.stderr, flush=True)


class Load:
    """What passes the monitored interface, and what is seen meanwhile. All of it runs on one core,
    so that whatever a mirror takes there is missing here; who copies in a process has another."""

    def __init__(self, tools, core, seconds):
        self.tools = tools
        self.core = core
        self.seconds = seconds
        self.paced_kpps = None
        self.processes = []

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.processes = []

    def begin(self, ns, *argv):
        process = started(ns, self.core, self.tools.load, *argv, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    @staticmethod
    def end(process):
        out, _ = process.communicate()
        if process.returncode != 0:
            raise Unavailable(f"the load ended with exit code {process.returncode}")
        return json.loads(out.splitlines()[-1])

    def send(self, way, *argv):
        """(what the sender said, cpu seconds by the core's and by the processes' account, the
        counters' growth, what the mirror told meanwhile)"""
        told = way.told()
        before, copier, busy = way.net.counters(), way.cpu(), busy_of(self.core)
        sent = self.end(self.begin(way.net.mon, *argv))
        busy = busy_of(self.core) - busy
        time.sleep(SETTLE_S)
        copier = way.cpu() - copier
        grown = [a - b for a, b in zip(way.net.counters(), before)]
        told_then = way.told()
        told = [a - b for a, b in zip(told_then, told)] if told else None
        return sent, busy + copier, sent["cpu"] + copier, grown, told

    def flood(self, way, kpps=None):
        sent, by_core, by_processes, grown, told = self.send(
            way, "flood", VOID, str(self.seconds), *([str(kpps)] if kpps else []))
        n = max(sent["sent"], 1)
        found = {"kpps": n / sent["seconds"] / 1000, "cpu_ns": 1e9 * by_core / n,
                 "own_ns": 1e9 * by_processes / n, "sent": n}
        if told:
            arrived = grown[2] if way.makes_copies else told[0]
            # One that only reads says itself what it got.
            found |= {"arrived": arrived, "share": arrived / n, "told_sent": told[0],
                      "told_lost": told[1], "unexplained": n - arrived - told[1]}
        return found

    def paced(self, way):
        return self.flood(way, self.paced_kpps)

    def bulk(self, way):
        other = self.begin(way.net.peer, "sink")
        other.stdout.readline()
        sent, by_core, by_processes, grown, told = self.send(way, "bulk", PEER, str(self.seconds))
        taken = self.end(other)
        mib = taken["bytes"] / (1 << 20)
        found = {"mbit": 8e-6 * taken["bytes"] / sent["seconds"], "cpu_us": 1e6 * by_core / mib,
                 "own_us": 1e6 * (by_processes + taken["cpu"]) / mib, "bytes": taken["bytes"]}
        if way.makes_copies:
            # Super-frames may arrive whole or cut up: what they carry is the same.
            share = (grown[3] - grown[2] * (HEADERS + AROUND[way.to])) / taken["bytes"]
            found |= {"share": share, "arrived": grown[2], "told_sent": told[0],
                      "told_lost": told[1], "unexplained": int(share < 0.9999 and not told[1])}
        return found

    def ping(self, way):
        other = self.begin(way.net.mon, "pong")
        other.stdout.readline()
        said = self.end(self.begin(way.net.peer, "ping", "10.1.0.1", str(self.seconds)))
        other.stdin.close()
        other.wait()
        return {"p50_us": said["p50"], "p99_us": said["p99"], "trips": said["trips"],
                "unanswered": said["lost"]}

    def all(self, way):
        try:
            return {"flood": self.flood(way), "paced": self.paced(way), "bulk": self.bulk(way),
                    "ping": self.ping(way)}
        finally:
            self.close()


class Cost:
    """Of one way to copy: a figure a round, each relative to no mirror in the same round."""

    KEYS = ("flood", "cpu", "own", "cpu_more_ns", "bulk", "p50_more", "p99_more", "share_flood",
            "share_paced", "share_bulk")

    def __init__(self, name, is_ours):
        self.name = name
        self.is_ours = is_ours
        self.samples = []
        self.figures = {key: [] for key in self.KEYS}

    def add(self, sample, none):
        """`none`: samples without a mirror, of the same round."""
        def usual(load, key):
            return statistics.median(n[load][key] for n in none)

        def times(load, key):
            return sample[load][key] / max(usual(load, key), 1e-9)

        self.samples.append(sample)
        f = self.figures
        f["flood"].append(100 * times("flood", "kpps"))
        f["cpu"].append(times("paced", "cpu_ns"))
        f["own"].append(times("paced", "own_ns"))
        f["cpu_more_ns"].append(sample["paced"]["own_ns"] - usual("paced", "own_ns"))
        f["bulk"].append(100 * times("bulk", "mbit"))
        f["p50_more"].append(sample["ping"]["p50_us"] - usual("ping", "p50_us"))
        f["p99_more"].append(sample["ping"]["p99_us"] - usual("ping", "p99_us"))
        for load in ("flood", "paced", "bulk"):
            if "share" in sample[load]:
                f["share_" + load].append(100 * sample[load]["share"])

    def text(self, key, digits=0):
        values = self.figures[key]
        if not values:
            return "-"
        middle, low, high = (f"{v:.{digits}f}" for v in
                             (statistics.median(values), min(values), max(values)))
        return middle if low == high else f"{middle} ({low}..{high})"

    def summary(self):
        return {key: {"median": statistics.median(v), "low": min(v), "high": max(v)}
                for key, v in self.figures.items() if v}


def one_round(load, found, number, busy):
    """{name: sample}, and {net: samples without a mirror}."""
    # Another order each time, so that nobody is always behind the same one.
    shift = (number * 5) % len(found)
    order = found[shift:] + found[:shift]
    bases = [w for w in found if not w.makes_copies and w.name.startswith("none")]
    samples, none = {}, {base.net: [] for base in bases}

    def look_at_none():
        for base in bases:
            none[base.net].append(load.all(base))
        busy.append(others_share())

    look_at_none()
    for i, way in enumerate([w for w in order if w not in bases]):
        try:
            way.start()
            try:
                samples[way.name] = load.all(way)
            finally:
                way.stop()
        except (Unavailable, OSError, ValueError, subprocess.CalledProcessError) as e:
            say(f"  failed, left out: {way.name}: {e}")
            found.remove(way)
            continue
        s = samples[way.name]
        say(f"  round {number + 1} {way.name:25} {s['flood']['kpps']:6.0f} kpps  "
            f"{s['paced']['own_ns']:6.0f} ns/packet  {s['bulk']['mbit']:7.0f} Mbit/s  "
            f"{s['ping']['p50_us']:6.1f} us  arrived "
            + " ".join(f"{100 * s[k]['share']:.2f}" for k in ("flood", "paced", "bulk")
                       if "share" in s[k]) + " %"
            + f"  unexplained {[s[k].get('unexplained', 0) for k in ACCOUNTED]}")
        if i % NONE_EVERY == NONE_EVERY - 1:
            look_at_none()
    return samples, none


def account_goal(report, costs):
    runs = [(c.name, s[load]["unexplained"]) for c in costs.values() for s in c.samples
            for load in ACCOUNTED if "unexplained" in s[load] and c.is_ours]
    wrong = [(name, n) for name, n in runs if n]
    what = "account: packets = copies that arrived + counted as lost"
    if not runs:
        report.goal(what, "-", "exact", "", None)
        return
    for name, n in wrong:
        report.line(f"  {name}: {n} packets that have no explanation")
    report.goal(what, f"{len(runs)} runs exact" if not wrong else
                f"{len(wrong)} of {len(runs)} runs wrong", "exact", "", not wrong)


def arrival_goal(report, costs):
    for c in costs.values():
        values = c.figures["share_paced"]
        if values and c.is_ours:
            value = statistics.median(values)
            report.goal(f"a quarter of the packets: {c.name}: copies that arrive",
                        f"{value:.2f} %", ">= 99.9 %", "100 %", value >= 99.9, value == 100)


def table(report, costs, none, cpu_key, kpps):
    report.line("  relative to no mirror in the same round: median (lowest..highest)")
    report.line(f"  {'':25} {'UDP sent %':>16} {'cpu x':>19} {'more ns':>20} {'TCP %':>16} "
                f"{'p50 +us':>20} {'p99 +us':>20}")
    for c in costs.values():
        report.line(f"  {c.name:25} {c.text('flood'):>16} {c.text(cpu_key, 2):>19} "
                    f"{c.text('cpu_more_ns'):>20} {c.text('bulk'):>16} {c.text('p50_more', 1):>20} "
                    f"{c.text('p99_more', 1):>20}")
    report.line()
    report.line(f"  {'copies that arrive, %':25} {'at full speed':>23} "
                f"{f'at {kpps:.0f} kpps':>23} {'TCP':>23}")
    for c in costs.values():
        if c.figures["share_flood"]:
            report.line(f"  {c.name:25} {c.text('share_flood', 2):>23} "
                        f"{c.text('share_paced', 2):>23} {c.text('share_bulk', 2):>23}")
    report.line()
    for net, samples in none.items():
        def usual(load, key, of=samples):
            values = [s[load][key] for s in of]
            return f"{statistics.median(values):.1f} ({min(values):.1f}..{max(values):.1f})"
        report.line(f"  no mirror{', one interface' if net.is_one else ''}: "
                    f"{usual('flood', 'kpps')} kpps; {usual('paced', 'own_ns')} ns a packet; "
                    f"{usual('bulk', 'mbit')} Mbit/s; p50 {usual('ping', 'p50_us')} us, "
                    f"p99 {usual('ping', 'p99_us')} us")
    report.line()


def mdoc(costs, cpu_key, rounds):
    """A section of the manual."""
    def middle(c, key, digits=0):
        values = c.figures[key]
        return f"{statistics.median(values):.{digits}f}" if values else "-"

    lines = [
        f"Measured on Linux {'.'.join(os.uname().release.split('.')[:2])} with {os.cpu_count()} "
        "cores" + (", which others used as well;" if cpu_key == "own" else ";"),
        f"medians of {rounds} rounds, and in parentheses the lowest and highest, within which",
        "differences mean nothing:",
        ".Bl -column \"tc, one interface\" \"packets %   \" \"1.96 (1.90-2.00)\" \"100 (100-100)\" "
        "\"delay\" \"UDP\" \"TCP\"",
        ".It Ta packets % Ta CPU Ta TCP % Ta delay Ta UDP Ta TCP"]
    last = None
    # Those that share an interface stand with their like.
    for c in sorted(costs.values(), key=lambda c: " interface" in c.name and "," not in c.name):
        name, _, to = c.name.partition(" ")
        kind, comma, more = to.partition(", ")
        if kind != last and kind:
            lines.append(f".It To Cm {kind} : Ta Ta Ta Ta Ta Ta")
        last = kind
        label = f".It Cm {name}" if kind else f".It Xr {name} 1"
        label += f" , No {more}" if comma else ""
        cells = [c.text(key, digits).replace("..", "-") for key, digits in
                 (("flood", 0), (cpu_key, 2), ("bulk", 0))]
        cells += [middle(c, "p50_more", 1), middle(c, "share_flood"), middle(c, "share_bulk")]
        lines.append(label + " Ta " + " Ta ".join(cells))
    lines += [
        ".El", ".Pp",
        "All is relative to the same machine without a mirror: how many frames of",
        "64 bytes one core still sends, how much work such a frame is at a quarter of",
        "that rate (1: as much), how much goes through a TCP connection, how many",
        "microseconds later the answer to a small question comes; and how many percent",
        "of the copies reach the collector, of each.",
        "The kernel's methods work where the packet passes: the machine sends less, and",
        "no copy is lost;",
        ".Cm user",
        "and other programs that capture work on another core, and what that core cannot",
        "do is lost, which",
        ".Cm status",
        "counts."]
    return "\n".join(lines) + "\n"


def measure(report, scratch, build, rounds, quick, core, copier_core):
    """Fills in the report; what JSON and the manual need."""
    if os.geteuid() != 0:
        raise Unavailable("namespaces need root")
    tools = Tools(build, [("load", "mirror_load")])
    if not os.access(tools.cloudspan, os.X_OK):
        raise Unavailable(f"there is no {tools.cloudspan}")
    busy = [others_share()]
    load = Load(tools, core, 0.5 if quick else 1.0)
    with Net("a", False) as two, Net("b", True) as one:
        found = ways(two, one, tools, scratch, copier_core)
        costs = {w.name: Cost(w.name, w.makes_copies) for w in found
                 if not w.name.startswith("none")}
        all_none = {two: [], one: []}
        load.paced_kpps = load.flood(found[0])["kpps"] / 4
        report.line(f"mirror: load on core {core}, processes that copy on {copier_core}; {rounds} "
                    f"rounds in turn of {load.seconds} s each, load at the start "
                    f"{os.getloadavg()[0]:.1f}")
        report.line()
        for number in range(rounds):
            samples, none = one_round(load, found, number, busy)
            for net, some in none.items():
                all_none[net] += some
            nets = {w.name: w.net for w in found}
            for name, sample in samples.items():
                costs[name].add(sample, none[nets[name]])
        costs = {name: c for name, c in costs.items() if c.samples}
    share = statistics.median(busy)
    # With others about, a core's account is theirs as well.
    cpu_key = "own" if share > QUIET else "cpu"
    table(report, costs, all_none, cpu_key, load.paced_kpps)
    report.line("  cpu: a packet's at that rate, of the "
                + ("processes, as others were busy" if cpu_key == "own"
                   else "core (/proc/stat) and of the process that copies"))
    report.line(f"  others used {100 * share:.0f} % of all cores ({100 * min(busy):.0f}-"
                f"{100 * max(busy):.0f} %)"
                + (": TOO MUCH; repeat it on a quiet machine" if share > QUIET else ""))
    report.line()
    account_goal(report, costs)
    arrival_goal(report, costs)
    return {"kernel": os.uname().release, "rounds": rounds, "others_share": busy,
            "paced_kpps": load.paced_kpps, "cpu": cpu_key,
            "none": {"one interface" if net.is_one else "two interfaces": some
                     for net, some in all_none.items()},
            "ways": {name: {"summary": c.summary(), "samples": c.samples}
                     for name, c in costs.items()}}, mdoc(costs, cpu_key, rounds)
