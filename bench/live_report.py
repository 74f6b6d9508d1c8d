"""The order of things of bench/live, and what is said at its end."""

import os
import statistics
import sys

from base import Unavailable
from live_bed import Bed, Tools, others_share
from live_fair import N_KNOWN, SKEW, flood, overload, starved, watches
from live_rate import measure_cpu, ratio, receivers, search_all

ALL_PARTS = ("rates", "cpu", "fair")
QUIET = 0.1  # of all cores may be used by others


def say(line):
    print(line, file=sys.stderr, flush=True)


def choose_cores(jobs, senders, receivers):
    """Senders and receivers do not share a core, unless there is only one."""
    have = sorted(os.sched_getaffinity(0))
    most = max(jobs)
    if not senders:
        senders = have[:max(1, min(most, len(have) - most))]
    if not receivers:
        receivers = [c for c in have if c not in senders][:most] or have[:1]
    return senders, receivers


def medians(values):
    return statistics.median(values) if values else 0.0


def span(values):
    return f"{min(values):.0f}-{max(values):.0f}" if len(values) > 1 else ""


def rate_table(report, rates):
    report.line(f"  {'':27} {'loss-free kpps':>14} {'(rounds)':>13} {'Gbit/s':>7} "
                f"{'sent at most':>12} {'taken then':>10}")
    for r in rates.values():
        mark = " sender's limit" if r.limited == len(r.free) else ""
        report.line(f"  {r.name:27} {medians(r.free):14.0f} {span(r.free):>13} "
                    f"{medians(r.gbit):7.2f} {medians(r.full):12.0f} {medians(r.taken):10.0f}{mark}")
    report.line()


def cpu_table(report, rates, kpps):
    report.line(f"  cpu of the receiver at {kpps:.0f} kpps, in ns a packet (its own process; the "
                "kernel's part of the wire runs on the sender's core)")
    for r in rates.values():
        if r.cpu_ns:
            lost = 100 * max(r.cpu_loss)
            report.line(f"  {r.name:27} {medians(r.cpu_ns):8.0f} {span(r.cpu_ns):>13}"
                        + (f"   lost up to {lost:.2f} %" if lost > 0.01 else ""))
    report.line()


def percent_goal(report, what, figures, must, aim, note=""):
    """`figures` in percent: (median, lowest, highest) or None."""
    if figures is None:
        report.goal(what, "-", f">= {must} %", f">= {aim} %" if aim else "", None)
        return
    median, low, high = figures
    report.goal(what, f"{median:.0f} % ({low:.0f}-{high:.0f}){note}", f">= {must} %",
                f">= {aim} %" if aim else "", median >= must, bool(aim) and median >= aim)


def compare(report, rates, what, mine, other, must, aim):
    """Our rate of theirs. Where the sender is our limit, of theirs with a core as busy: cores that
    are threads of one slow each other, and a receiver that works is no worse for it."""
    a, b = rates.get(mine), rates.get(other)
    busy = rates.get(other + ", spinning")
    note = ""
    if a and b and busy and a.limited * 2 > len(a.free):
        slowed = medians(busy.free) < medians(b.free)
        note = f" sender's limit; of one asleep {ratio(a, b)[0]:.0f} %" if slowed else \
            " sender's limit"
        b = busy if slowed else b
    percent_goal(report, what, ratio(a, b), must, aim, note)


def rate_goals(report, rates, jobs):
    n = jobs[0]
    ring = rates.get(f"cloudspan -i -j{n}")
    compare(report, rates, "ring: loss-free rate, of a bare TPACKET_V3 ring's",
            f"cloudspan -i -j{n}", "bare ring", 80, 95)
    compare(report, rates, "UDP: loss-free rate, of a bare UDP receiver's", f"cloudspan -l -j{n}",
            "bare UDP", 60, 80)
    compare(report, rates, "UDP, unprivileged: the same", "cloudspan -l, unprivileged",
            "bare UDP, unprivileged", 60, 80)
    percent_goal(report, "ring: loss-free rate, of Suricata's on the same interface",
                 ratio(ring, rates.get("suricata")), 100, None)
    for name in ("cloudspan -i", "cloudspan -l"):
        for more in jobs[1:]:
            percent_goal(report, f"{name}: loss-free rate of {more} workers, of one's",
                         ratio(rates.get(f"{name} -j{more}"), rates.get(f"{name} -j{n}")), 100, None)


def account_goal(report, rates):
    """What our own counters do not explain, of all that arrived in all steps."""
    ours = [u for r in rates.values() if r.name.startswith("cloudspan") for u in r.unexplained]
    what = "account: arrived = received + counted as dropped"
    if not ours:
        report.goal(what, "-", "exact", "", None)
        return
    wrong = [u for u, _ in ours if u != 0]
    report.goal(what, f"{len(ours)} runs exact" if not wrong else
                f"{len(wrong)} of {len(ours)} runs wrong, by up to {max(map(abs, wrong))}", "exact",
                "", not wrong)


def measure_rates(report, bed, tools, capture, options, parts, busy):
    found = receivers(bed, tools, options["jobs"])
    rounds, quick = options["rounds"], options["quick"]
    seconds = 2 if quick else 3
    say("rates: the highest without loss")
    rates = search_all(bed, tools, capture, found, rounds, seconds, 5 if quick else 7,
                       2 if quick else 3, say,
                       between=lambda: busy.append(others_share()))
    rate_table(report, rates)
    rate_goals(report, rates, options["jobs"])
    if "cpu" in parts:
        # The buffers of the unprivileged are too small to compare anything with.
        fair = [r for r in found if r.name in rates and "," not in r.name
                and r.name != "suricata"]
        kpps = max(50.0, 0.5 * min((medians(rates[r.name].free) for r in fair), default=0.0))
        say(f"cpu: at {kpps:.0f} kpps")
        also = [r for r in found if r.name == "suricata"]
        measure_cpu(bed, tools, capture, fair + also, rates, rounds, seconds + 1, kpps, say)
        cpu_table(report, rates, kpps)
    account_goal(report, rates)
    return rates


def measure_flood(report, bed, tools, capture, rounds, seconds, kpps):
    report.line(f"  {N_KNOWN} known machines at {kpps:.0f} kpps together, and an unknown sender as "
                "fast as it goes")
    for watch in watches(bed, tools):
        lost, alone = [], []
        what = f"flood: {watch.name}: packets of known machines lost"
        for _ in range(rounds):
            try:
                quiet = flood(bed, tools, capture, watch, kpps, seconds, with_flood=False)
                one = flood(bed, tools, capture, watch, kpps, seconds)
            except (Unavailable, OSError, ValueError) as e:
                say(f"  failed: {watch.name}: {e}")
                continue
            lost.append(100 * one.lost)
            alone.append(100 * quiet.lost)
            line = (f"  {watch.name:14} known {one.known_kpps:4.0f} kpps, flood "
                    f"{one.flood_kpps:4.0f} kpps: known lose {100 * one.lost:.3f} % (without the "
                    f"flood {100 * quiet.lost:.3f} %); {one.refused} refused, "
                    f"{one.unseen} in the kernel, {one.dropped} dropped; "
                    f"{100 * one.cpu_share:.0f} % of a core")
            say(line)
            report.line(line)
        value = medians(lost) if lost else None
        report.at_most(what, f"{value or 0:.2f} %", value, 5, 0.01, " %")
    report.line()


def measure_overload(report, bed, tools, capture, rounds, seconds):
    report.line(f"  {N_KNOWN} known machines as fast as they go, the receiver with a small part of "
                "the senders' core: what is kept of each")
    for skew in (1, SKEW):
        for watch in starved(bed, tools):
            worst = []
            for _ in range(rounds):
                try:
                    one = overload(bed, tools, capture, watch, seconds, skew)
                except (Unavailable, OSError, ValueError) as e:
                    say(f"  failed: {watch.name}: {e}")
                    continue
                line = (f"  {watch.name:14} {one.kpps:4.0f} kpps"
                        + (f", known-1 {skew} times the others" if skew > 1 else "")
                        + f": lost {100 * one.loss:.1f} %, kept "
                        + " ".join(f"{100 * s:.1f}" for s in one.shares) + " %")
                say(line)
                report.line(line)
                if one.loss > 0.01:
                    worst.append(100 * min(one.shares) / max(max(one.shares), 1e-9))
            if skew == 1:
                figures = (medians(worst), min(worst), max(worst)) if worst else None
                percent_goal(report, f"overload: {watch.name}: the worst-served of equal machines, "
                             "of the best", figures, 80, 95)
    report.line()


def measure_fair(report, bed, tools, capture, options, rates):
    seconds = 3 if options["quick"] else 4
    free = [medians(r.free) for r in (rates or {}).values() if r.name.startswith("cloudspan")
            and not r.name.endswith("unprivileged")]
    # A rate that is fine, also where the senders share a core with the flood.
    kpps = min(100.0, 0.3 * min(free)) if free else 60.0
    say("fair: a flood, and overload")
    measure_flood(report, bed, tools, capture, options["rounds"], seconds, kpps)
    measure_overload(report, bed, tools, capture, options["rounds"], seconds)


def measure(report, scratch, build, capture, rounds=3, quick=False, jobs=(1,), senders=None,
            receivers=None, parts=None):
    """Fills in the report. Unavailable: nothing of it can be measured here."""
    if os.geteuid() != 0:
        raise Unavailable("namespaces need root")
    if not os.path.exists(capture):
        raise Unavailable(f"there is no {capture}: bench/run --only corpus makes it")
    tools = Tools(build)
    if not os.access(tools.cloudspan, os.X_OK):
        raise Unavailable(f"there is no {tools.cloudspan}")
    os.chmod(scratch, 0o755)  # the packet process is another user's
    parts = parts or ALL_PARTS
    senders, receivers = choose_cores(jobs, senders, receivers)
    options = {"rounds": rounds, "quick": quick, "jobs": jobs}
    busy = [others_share()]
    with Bed(scratch, senders, receivers) as bed:
        report.line(f"live: {os.path.basename(capture)}; senders on core "
                    f"{','.join(map(str, senders))}, receivers on {','.join(map(str, receivers))}; "
                    f"{rounds} rounds in turn, load at the start {os.getloadavg()[0]:.1f}; logs in "
                    f"{scratch}")
        report.line()
        if len(receivers) < max(jobs):
            report.line(f"  {max(jobs)} workers share {len(receivers)} core(s): no growth to be "
                        "seen")
        rates = None
        if "rates" in parts or "cpu" in parts:
            rates = measure_rates(report, bed, tools, capture, options, parts, busy)
            busy.append(others_share())
        if "fair" in parts:
            measure_fair(report, bed, tools, capture, options, rates)
        busy.append(others_share())
        report.line(f"  others used {100 * statistics.median(busy):.0f} % of all cores "
                    f"({span([100 * b for b in busy])} %)"
                    + (": TOO MUCH; repeat it on a quiet machine" if max(busy) > QUIET else ""))
        report.line()
