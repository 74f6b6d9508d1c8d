"""How fast packets may come before receivers lose some: in steps, all receivers in turn.

Each step is a few seconds at one rate with a receiver started for it. What arrived at the far end
of the wire is compared with what the receiver got, and with what it says that was dropped.
"""

import statistics

from base import Unavailable, find_program
from live_bed import BUFFER_MIB, RING_BLOCKS, Bare, Suricata, Watch

LOSS_FREE = 1e-4  # of what arrived
UDP_PORT = "4789"


class Step:
    """One rate, one receiver."""

    def __init__(self, receiver, sent, arrived, result):
        self.kpps = sent["sent"] / sent["seconds"] / 1000
        self.gbit = sent["bytes"] * 8 / sent["seconds"] / 1e9
        self.sent = sent["sent"]
        self.arrived = arrived
        self.received = result["received"]
        self.dropped = result["dropped"]
        self.cpu_ns = 1e9 * receiver.cpu / max(self.received, 1)

    @property
    def loss(self):
        return max(0, self.arrived - self.received) / max(self.arrived, 1)

    @property
    def taken_kpps(self):
        return self.kpps * self.received / max(self.sent, 1)

    @property
    def unexplained(self):
        """Packets that arrived, were not received, and that nobody counted as dropped."""
        return self.arrived - self.received - self.dropped


def step(bed, tools, capture, receiver, kpps, seconds):
    receiver.start()
    before = bed.arrived()
    sent = bed.send(tools, capture, kpps=kpps, seconds=seconds)
    arrived = bed.arrived() - before
    return Step(receiver, sent, arrived, receiver.finish(arrived))


class Search:
    """The highest rate without loss, for one receiver: a step as fast as can be sent, then halves of
    what is left between loss and no loss. Where nothing is lost at full speed the sender is the
    limit, and what it sends is measured a few times."""

    def __init__(self, receiver, n_full):
        self.receiver = receiver
        self.n_full = n_full
        self.full = []  # steps as fast as it goes
        self.low, self.high = None, None  # of the others, and the first of these if it had loss
        self.steps = []

    def next_kpps(self):
        """None: as fast as it goes."""
        if not self.high:
            return None
        # What it took under overload is where to look, at first a little below.
        below = self.full[0].taken_kpps * 0.9 if self.high is self.full[0] else self.high.kpps * 0.7
        return (self.low.kpps + self.high.kpps) / 2 if self.low else below

    @property
    def sender_limited(self):
        return bool(self.full) and not self.high

    @property
    def done(self):
        if not self.high:
            return len(self.full) >= self.n_full
        return bool(self.low) and self.high.kpps - self.low.kpps < 0.03 * self.high.kpps

    def take(self, one):
        is_full = not self.high
        self.steps.append(one)
        if is_full:
            self.full.append(one)
        if one.loss > LOSS_FREE:
            if not self.high or one.kpps < self.high.kpps:
                self.high = one
            if self.low and self.low.kpps >= self.high.kpps:
                self.low = None  # noise: the lower rate with loss is believed
        elif not is_full and (not self.low or one.kpps > self.low.kpps):
            self.low = one

    @property
    def best(self):
        """kpps and Gbit/s without loss."""
        if self.sender_limited:
            return (statistics.median(s.kpps for s in self.full),
                    statistics.median(s.gbit for s in self.full))
        return (self.low.kpps, self.low.gbit) if self.low else (0.0, 0.0)


class Rate:
    """The searches of a receiver, one a round."""

    def __init__(self, name):
        self.name = name
        self.free, self.taken, self.full, self.gbit = [], [], [], []
        self.limited = 0  # rounds in which the sender was the limit
        self.unexplained = []
        self.cpu_ns = []
        self.cpu_loss = []

    def add(self, search):
        kpps, gbit = search.best
        self.free.append(kpps)
        self.gbit.append(gbit)
        self.full.append(statistics.median(s.kpps for s in search.full))
        self.taken.append(statistics.median(s.taken_kpps for s in search.full))
        self.limited += search.sender_limited
        self.unexplained += [(s.unexplained, s.arrived) for s in search.steps]


def receivers(bed, tools, jobs):
    """The ones that are measured, by the names that the goals use."""
    ring, udp = ("ring", "csl1", str(RING_BLOCKS)), ("udp", UDP_PORT, str(BUFFER_MIB))
    listen = ("-l", "udp::0.0.0.0:4789:vxlan")
    found = [
        Bare(bed, tools, "bare ring", *ring, climbs=False),
        Bare(bed, tools, "bare ring, spinning", *ring, "spin", climbs=False),
        *(Watch(bed, tools, f"cloudspan -i -j{n}", "-i", "csl1", climbs=False, n_workers=n)
          for n in jobs),
        Bare(bed, tools, "bare UDP", *udp, climbs=True),
        Bare(bed, tools, "bare UDP, spinning", *udp, "spin", climbs=True),
        *(Watch(bed, tools, f"cloudspan -l -j{n}", *listen, climbs=True, n_workers=n)
          for n in jobs),
        Bare(bed, tools, "bare UDP, unprivileged", *udp, climbs=True, as_nobody=True),
        Watch(bed, tools, "cloudspan -l, unprivileged", *listen, climbs=True, n_workers=1,
              as_nobody=True),
    ]
    if find_program("suricata"):
        found.append(Suricata(bed, tools))
    return found


def search_all(bed, tools, capture, found, rounds, seconds, n_steps, n_full, say, between):
    """{name: Rate} of those that could be measured."""
    rates = {r.name: Rate(r.name) for r in found}
    for turn in range(rounds):
        searches = [Search(r, n_full) for r in found if r.name in rates]
        for number in range(n_steps):
            for s in searches:
                if s.done or s.receiver.name not in rates:
                    continue
                kpps = s.next_kpps()
                try:
                    one = step(bed, tools, capture, s.receiver, kpps, seconds)
                except (Unavailable, OSError, ValueError) as e:
                    say(f"  failed, left out: {s.receiver.name}: {e}")
                    del rates[s.receiver.name]
                    continue
                s.take(one)
                say(f"  round {turn + 1} step {number + 1} {s.receiver.name:27} "
                    f"{one.kpps:7.0f} kpps  lost {100 * one.loss:7.3f} %  "
                    f"counted {one.dropped:8}  unexplained {one.unexplained:6}  "
                    f"cpu {one.cpu_ns:6.0f} ns/packet")
            between()
        for s in searches:
            if s.receiver.name in rates:
                rates[s.receiver.name].add(s)
    return rates


def measure_cpu(bed, tools, capture, found, rates, rounds, seconds, kpps, say):
    """cpu for a packet at a rate that all of them take."""
    for _ in range(rounds):
        for r in found:
            if r.name not in rates:
                continue
            try:
                one = step(bed, tools, capture, r, kpps, seconds)
            except (Unavailable, OSError, ValueError) as e:
                say(f"  failed: {r.name}: {e}")
                continue
            rates[r.name].cpu_ns.append(one.cpu_ns)
            rates[r.name].cpu_loss.append(one.loss)
            rates[r.name].unexplained.append((one.unexplained, one.arrived))
            say(f"  cpu {r.name:27} {one.kpps:7.0f} kpps  lost {100 * one.loss:7.3f} %  "
                f"{one.cpu_ns:6.0f} ns/packet")


def ratio(a, b):
    """Round by round, in percent: (median, lowest, highest); None: one is missing."""
    if not a or not b:
        return None
    pairs = [100 * x / max(y, 0.001) for x, y in zip(a.free, b.free)]
    return (statistics.median(pairs), min(pairs), max(pairs)) if pairs else None
