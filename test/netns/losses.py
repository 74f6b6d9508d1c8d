"""Where the kernel itself may have lost packets on their way through the laboratory: what to print
when some did not come."""
import collections
import json
import os
import subprocess

STATISTICS = "CLOUDSPAN_LAB_STATISTICS"
# Of a network device, what is no loss.
USUAL = {"packets", "bytes", "multicast", "carrier_changes"}


def keep_statistics():
    """Some numbers are shown to the machine's first network namespace only: their folder stays open
    for the laboratory, which is called with it."""
    try:
        folder = os.open("/proc/net/stat", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # not every kernel has it
        return
    os.set_inheritable(folder, True)
    os.environ[STATISTICS] = str(folder)


def rows_of(table):
    """The counters of each processor."""
    try:
        file = os.open(table, os.O_RDONLY, dir_fd=int(os.environ[STATISTICS]))
    except (KeyError, OSError):
        return []
    with open(file, encoding="ascii") as lines:
        names, *rows = [line.split() for line in lines]
    return [{name: int(value, 16) for name, value in zip(names, row)} for row in rows]


def kernel_counters():
    """{counter: number} of what belongs to no namespace, of those that are not zero: the backlogs of
    the processors, and the neighbours whose address had to be asked for first."""
    counters = collections.Counter()
    with open("/proc/net/softnet_stat", encoding="ascii") as file:
        rows = [line.split() for line in file]
    counters["backlog dropped"] = sum(int(row[1], 16) for row in rows)
    for table in ("arp_cache", "ndisc_cache"):
        for row in rows_of(table):
            for name in ("unresolved_discards", "res_failed", "table_fulls", "forced_gc_runs"):
                counters[f"{table} {name}"] += row.get(name, 0)
    return {name: n for name, n in counters.items() if n}


def since(before):
    """What was counted since then."""
    now = kernel_counters()
    return {name: n - before.get(name, 0) for name, n in now.items() if n != before.get(name, 0)}


def ask(name, *arguments):
    done = subprocess.run(["ip", "-n", name, "-j", "-s", "-s", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def of_namespace(name):
    """Lines: the devices that lost something, and all neighbours."""
    for link in ask(name, "link"):
        lost = {f"{way} {what}": n for way, counts in link.get("stats64", {}).items()
                for what, n in counts.items() if n and what not in USUAL}
        if lost:
            yield f"{name} {link['ifname']}: {lost}"
    for entry in ask(name, "neigh"):
        yield f"{name} {entry.get('dev')}: neighbour {entry.get('dst')} {entry.get('lladdr', '-')} " \
              f"{'/'.join(entry.get('state', []))} used {entry.get('used')} s ago, " \
              f"confirmed {entry.get('confirmed')}, updated {entry.get('updated')}, " \
              f"{entry.get('probes')} probes"


def text(before):
    """All of it, since kernel_counters() said `before`, and in all namespaces of the laboratory."""
    lines = [f"the kernel counted {since(before)}"]
    for name in sorted(os.listdir("/run/netns")):
        lines += of_namespace(name)
    return "\n".join(lines)
