"""Who loses packets when there are too many: known machines beside a flood from an unknown sender,
and known machines among themselves."""

from live_bed import Watch, sent_by

N_KNOWN = 4
SKEW = 8
KNOWN = {"machines": N_KNOWN, "outer": "10.77.0.1", "vni": 7001}
FLOOD = {"machines": 1, "outer": "10.99.0.1", "vni": 9001}
CONFIG = "sources:\n" + "".join(
    f"  - {{name: known-{i + 1}, channel: \"vxlan:{KNOWN['vni'] + i}@10.77.0.{i + 1}\", "
    "canary: no}\n" for i in range(N_KNOWN))


def watches(bed, tools, **options):
    return [Watch(bed, tools, "cloudspan -i", "-i", "csl1", climbs=False, config=CONFIG, **options),
            Watch(bed, tools, "cloudspan -l", "-l", "udp::0.0.0.0:4789:vxlan", climbs=True,
                  config=CONFIG, **options)]


def starved(bed, tools):
    """Receivers that are always too slow: on the senders' core, where they have the lesser part."""
    return watches(bed, tools, cores=bed.senders[:1], priority="-6")


def kept(sent, watch):
    """For each known machine, the share of its packets that its counter has."""
    got = {m["source"]: m["packets"] for m in watch.snapshot["sources"]}
    return [got.get(f"known-{i + 1}", 0) / max(n, 1) for i, n in enumerate(sent["of"])]


class Flooded:
    """Known machines at a rate that is fine, and an unknown sender."""

    def __init__(self, watch, known, flood, shares, seconds, result, arrived):
        self.name = watch.name
        self.known_kpps = known["sent"] / known["seconds"] / 1000
        self.flood_kpps = flood["sent"] / flood["seconds"] / 1000 if flood else 0.0
        self.lost = 1 - sum(s * n for s, n in zip(shares, known["of"])) / max(known["sent"], 1)
        self.refused = watch.snapshot["refused_packets"]
        self.dropped = result["dropped"]
        self.unseen = arrived - result["received"] - result["dropped"]  # refused by the kernel
        self.cpu_share = watch.cpu / seconds


def flood(bed, tools, capture, watch, kpps, seconds, with_flood=True):
    """The flood comes from another core where there is one, else from the same."""
    core = bed.flood_core
    watch.start()
    before = bed.arrived()
    beginning = [bed.sender(tools, capture, core, seconds=seconds + 0.5, **FLOOD)] \
        if with_flood else []
    known = bed.send(tools, capture, kpps=kpps, seconds=seconds, **KNOWN)
    flooded = sent_by(beginning) if with_flood else None
    arrived = bed.arrived() - before
    result = watch.finish(arrived)
    return Flooded(watch, known, flooded, kept(known, watch), seconds, result, arrived)


class Shared:
    """Known machines that send more than can be taken."""

    def __init__(self, watch, sent, arrived, result, shares, skew):
        self.name = watch.name
        self.skew = skew
        self.kpps = sent["sent"] / sent["seconds"] / 1000
        self.loss = max(0, arrived - result["received"]) / max(arrived, 1)
        self.shares = shares


def overload(bed, tools, capture, watch, seconds, skew):
    watch.start()
    before = bed.arrived()
    sent = bed.send(tools, capture, seconds=seconds, skew=skew, **KNOWN)
    arrived = bed.arrived() - before
    result = watch.finish(arrived)
    return Shared(watch, sent, arrived, result, kept(sent, watch), skew)
