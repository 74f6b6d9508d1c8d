#!/usr/bin/env python3
"""RITA's rows of a log folder, by the description of its version 5: slow, simple, and sharing
nothing with the program, which is compared with it.

usage: rita_model.py [--shipped] [--inbound] [--feed FILE] [--strobe N] DIR

Prints one JSON object a row. Without --shipped, the modifiers have the values of RITA's code
(prevalence and rare signatures 0); with it, those of its shipped configuration.
"""
import argparse
import collections
import gzip
import ipaddress
import json
import math
import os

DAY = 86400
MANDATORY = ["0.0.0.0/32", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
             "::1/128", "::/128", "fe80::/10", "ff00::/8", "ff02::2/128"]
INTERNAL = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]
# Of the text types, those that are met; "" where no extension is right.
EXTENSIONS = {
    "text/html": ["html", "htm"], "text/plain": ["txt", "text"], "text/css": ["css"],
    "text/javascript": ["js", "mjs", "es"], "text/csv": ["csv"], "text/xml": ["xml"],
    "text/calendar": ["ics", "ifb"], "text/t140": [""], "text/vcard": ["vcf", "vcard"],
}


# ---- reading ----

def records(folder, log):
    out = []
    for name in sorted(os.listdir(folder)):
        if not (name == log + ".log" or name.startswith(log + ".")):
            continue
        path = os.path.join(folder, name)
        opened = gzip.open(path, "rt") if name.endswith(".gz") else open(path)
        with opened as lines:
            fields = None
            for line in lines:
                line = line.rstrip("\n")
                if line.startswith("#fields"):
                    fields = line.split("\t")[1:]
                elif line.startswith("{"):
                    out.append(json.loads(line))
                elif line and not line.startswith("#"):
                    out.append({k: None if v in ("-", "(empty)") else v
                                for k, v in zip(fields, line.split("\t"))})
    return out


def number(record, field):
    value = record.get(field)
    return float(value) if value is not None else 0.0


def seconds(record):
    return math.floor(float(record["ts"]))


def mime_types(record):
    value = record.get("resp_mime_types")
    if value is None:
        return []
    return value if isinstance(value, list) else value.split(",")


# ---- what is looked at ----

class Scope:
    def __init__(self, inbound, internal=()):
        self.inbound = inbound
        self.never = [ipaddress.ip_network(n) for n in MANDATORY]
        self.internal = [ipaddress.ip_network(n) for n in INTERNAL + list(internal)]
        self.known = {}

    def kind(self, text):
        if text not in self.known:
            addr = ipaddress.ip_address(text)
            never = any(addr.version == n.version and addr in n for n in self.never)
            ours = any(addr.version == n.version and addr in n for n in self.internal)
            self.known[text] = (never, ours)
        return self.known[text]

    def ours(self, text):
        return self.kind(text)[1]

    def keeps(self, src, dst, dns=False):
        (src_never, src_ours), (dst_never, dst_ours) = self.kind(src), self.kind(dst)
        if src_never or dst_never:
            return False
        if src_ours and dst_ours:
            return dns
        if not src_ours and not dst_ours:
            return False
        return src_ours or self.inbound

    def keeps_proxied(self, src, proxy, host):
        if self.kind(src)[0]:
            return False
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return True
        return not self.ours(proxy) or self.keeps(src, host)


# ---- scores ----

def round3(value):
    return math.copysign(math.floor(abs(value) * 1000 + 0.5) / 1000, value)


def ceil3(value):
    return math.ceil(value * 1000) / 1000


def median(values):
    n = len(values)
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2


def statistical(values, default):
    values = sorted(values)
    n = len(values)
    half = n // 2
    q1, q2, q3 = median(values[:half]), median(values), median(values[n - half:])
    skew = 0.0
    if q3 - q1 >= 10 and q2 != q1 and q2 != q3:
        skew = (q1 + q3 - 2 * q2) / (q3 - q1)
    mad = median(sorted(abs(v - q2) for v in values))
    mad_score = (q2 - mad) / q2 if q2 >= 1 else default
    return round3((1 - abs(skew) + max(mad_score, 0)) / 2)


def histogram(times, first, last):
    counts = [0] * 24
    for t in times:
        k = 0
        while k < 23 and (t - first) * 24 >= (k + 1) * (last - first):
            k += 1
        counts[k] += 1
    return counts


def beacon(times, sizes, first, last):
    times = sorted(times)
    gaps = [b - a for a, b in zip(times, times[1:]) if b > a]
    ts = statistical(gaps, 1)
    ds = statistical(sizes, 0)
    counts = histogram(times, first, last)
    bars = sum(1 for c in counts if c)
    run = longest = 0
    for c in counts + counts:
        run = run + 1 if c else 0
        longest = max(longest, run)
    longest = min(longest, 24)
    mean = sum(counts) / 24
    variation = math.sqrt(sum((c - mean) ** 2 for c in counts) / 24) / mean
    even = round3(1 - variation) if variation <= 1 else 0
    bimodal = 0
    if bars >= 11:
        size = math.ceil(max(counts) * 0.05)
        groups = collections.Counter(c // size * size for c in counts if c)
        bimodal = min(1, round3(sum(sorted(groups.values())[-2:]) / max(bars - 1, 1)))
    hist = max(even, bimodal)
    duration = 0
    if bars >= 6:
        coverage = min(1, ceil3((times[-1] - times[0]) / (last - first)))
        duration = max(coverage, min(1, ceil3(longest / 12)))
    score = round3(0.25 * ts + 0.25 * ds + 0.25 * duration + 0.25 * hist)
    return {"score": score, "ts": ts, "ds": ds, "dur": duration, "hist": hist}


def bucket(value, base, low, medium, high):
    if value < base:
        return 0.0
    if value >= high:
        return 0.8
    for at, bottom, top in ((0.2, base, low), (0.4, low, medium), (0.6, medium, high)):
        if value < top:
            return at + 0.2 * (value - bottom) / (top - bottom)
    raise AssertionError


def extension(uri):
    path = uri.split("?")[0].split("#")[0]
    segment = path.split("/")[-1]
    if "." not in segment or path.endswith("."):
        return ""
    return segment.split(".")[-1]


def cut(name):
    labels = name.split(".")
    if len(labels) > 2 and labels[-2] in ("com", "net", "org", "co", "gov", "edu"):
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])


# ---- rows ----

class Group:
    """The ended and the open connections of one pair, by address or by name."""
    def __init__(self):
        self.conns = {}  # by uid and kind
        self.opens = {}
        self.proxied = set()
        self.hosts = set()  # internal ones at either end

    def closed(self, floor):
        return [c for c in self.conns.values() if seconds(c) >= floor]


def port_of(c):
    if c["proto"] == "icmp":
        return "icmp:%s/%s" % (c["id.orig_p"], c["id.resp_p"])
    return "%s:%s:%s" % (c["id.resp_p"], c["proto"], c.get("service") or "")


def total(c):
    return int(number(c, "orig_ip_bytes")) + int(number(c, "resp_ip_bytes"))


def newest_opens(list_of_opens):
    """The last import has one record of each uid: the longest."""
    out = {}
    for c in list_of_opens:
        before = out.get(c["uid"])
        if before is None or number(c, "duration") >= number(before, "duration"):
            out[c["uid"]] = c
    return out


class Model:
    def __init__(self, folder, shipped=False, inbound=False, feed=(), strobe=DAY, internal=()):
        self.scope = Scope(inbound, internal)
        self.shipped, self.feed, self.strobe = shipped, set(feed), strobe
        self.logs = {log: records(folder, log) for log in
                     ("conn", "open_conn", "http", "open_http", "ssl", "open_ssl", "dns")}
        self.conn = {c["uid"]: c for c in self.logs["conn"]}
        self.open = newest_opens(self.logs["open_conn"])
        for uid in self.conn:
            self.open.pop(uid, None)
        self.pairs = collections.defaultdict(Group)
        self.names = collections.defaultdict(Group)
        self.missing = collections.defaultdict(list)  # (src, dst): times
        self.signatures = collections.defaultdict(list)  # (src, text): (to, dst, time)
        self.mismatches = collections.defaultdict(list)  # (src, name): times
        self.asked = collections.defaultdict(set)  # name: (time, host)
        self.queries = []
        self.find_all()

    # Which uid belongs to which pair, and to which names.

    def find_all(self):
        for uid, c in self.conn.items():
            if self.scope.keeps(c["id.orig_h"], c["id.resp_h"]):
                self.pairs[c["id.orig_h"], c["id.resp_h"]].conns[uid] = c
        for uid, c in self.open.items():
            if self.scope.keeps(c["id.orig_h"], c["id.resp_h"]):
                self.pairs[c["id.orig_h"], c["id.resp_h"]].opens[uid] = c
        for log, conns in (("http", self.conn), ("open_http", self.open)):
            by_uid = collections.defaultdict(list)
            for h in self.logs[log]:
                if h["uid"] in conns and self.keeps_http(h):
                    by_uid[h["uid"]].append(h)
            for uid, requests in by_uid.items():
                requests.sort(key=lambda h: float(h["ts"]), reverse=True)
                self.take_requests(conns[uid], requests[:20], log == "http")
        for log, conns in (("ssl", self.conn), ("open_ssl", self.open)):
            for s in self.logs[log]:
                if s["uid"] in conns:
                    self.take_tls(conns[s["uid"]], s, log == "ssl")
        for d in self.logs["dns"]:
            name = d.get("query")
            if name and "." in name and self.scope.keeps(d["id.orig_h"], d["id.resp_h"], True):
                self.queries.append((seconds(d), name.lower(), d))
                for host in (d["id.orig_h"], d["id.resp_h"]):
                    if self.scope.ours(host):
                        self.asked[name.lower()].add((seconds(d), host))

    def keeps_http(self, h):
        src, dst, host = h["id.orig_h"], h["id.resp_h"], h.get("host")
        if h.get("method") == "CONNECT" and host:
            return self.scope.keeps_proxied(src, dst, host)
        return self.scope.keeps(src, dst) and (not host or self.scope.ours(src))

    def take_requests(self, conn, requests, ended):
        """Newest first: only that one carries the connection."""
        for k, h in enumerate(requests):
            src, dst, host = h["id.orig_h"], h["id.resp_h"], (h.get("host") or "").lower()
            agent = h.get("user_agent")
            if not host:
                self.missing[src, dst].append(seconds(conn))
                if ended and agent:
                    self.signatures[src, agent].append((("dst", dst), dst, seconds(conn)))
                continue
            group = self.names[src, host]
            if k == 0:
                (group.conns if ended else group.opens)[conn["uid"]] = conn
            else:
                (group.conns if ended else group.opens).setdefault("-" + conn["uid"], None)
            if h.get("method") == "CONNECT":
                group.proxied.add(conn["uid"])
            for end in (src, dst):
                if self.scope.ours(end):
                    self.asked[host].add((seconds(conn) if ended else math.inf, end))
            if not ended:
                continue
            if agent:
                self.signatures[src, agent].append((("name", host), dst, seconds(conn)))
            for kind in mime_types(h)[:1]:
                uri = h.get("uri")
                if kind in EXTENSIONS and uri and uri != "/" and \
                        extension(uri).lower() not in EXTENSIONS[kind]:
                    self.mismatches[src, host].append(seconds(conn))

    def take_tls(self, conn, s, ended):
        src, dst, name = s["id.orig_h"], s["id.resp_h"], (s.get("server_name") or "").lower()
        if not name or not self.scope.keeps(src, dst) or not self.scope.ours(src):
            return
        group = self.names[src, name]
        (group.conns if ended else group.opens)[conn["uid"]] = conn
        self.asked[name].add((seconds(conn) if ended else math.inf, src))
        if ended and s.get("ja3"):
            self.signatures[src, s["ja3"]].append((("name", name), dst, seconds(conn)))

    # The rows.

    def window(self):
        ended = [seconds(c) for g in self.pairs.values() for c in g.conns.values()]
        ended += [seconds(g.conns[u]) for g in self.names.values() for u in g.proxied
                  if g.conns.get(u)]
        every = ended + [seconds(c) for c in self.open.values()] + [t for t, _, _ in self.queries]
        every += [seconds(r) for log in ("http", "ssl", "conn") for r in self.logs[log]]
        if ended:
            self.last = max(ended)
            self.first = max(min(ended), self.last - DAY)
            self.floor = self.first // 3600 * 3600
        else:
            self.first = self.last = None
            self.floor = -math.inf
        self.floor_all = (max(every) - DAY) // 3600 * 3600 if every else -math.inf

    def indicators(self, group):
        """What would make a row of it."""
        conns = [c for c in group.closed_list(self.floor)]
        opens = [c for c in group.opens.values() if c]
        times = [seconds(c) for c in conns]
        row = {
            "count": len(conns), "open": len(opens),
            "bytes": sum(map(total, conns + opens)),
            "duration": sum(number(c, "duration") for c in conns + opens),
            "closed_duration": sum(number(c, "duration") for c in conns),
            "strobe": len(conns) >= self.strobe, "beacon": None, "beacon_threat": 0.0, "long": 0.0,
            "ports": sorted(set(map(port_of, conns + opens))), "subdomains": 0, "dns": 0.0,
            "first": min(times + [seconds(c) for c in opens], default=None),
        }
        row["is_beacon"] = len(set(times)) >= 4 and len(conns) < self.strobe
        if row["is_beacon"]:
            row["beacon"] = beacon(times, [int(number(c, "orig_ip_bytes")) for c in conns],
                                   self.first, self.last)
            low = 70 if self.shipped else 75
            row["beacon_threat"] = bucket(row["beacon"]["score"] * 100, 50, low, 90, 100)
        row["is_long"] = row["duration"] >= 3600
        if row["is_long"]:
            row["long"] = bucket(row["duration"], 3600, 14400, 28800, 43200)
        row["fires"] = row["is_beacon"] or row["is_long"] or row["strobe"]
        return row

    def rows(self):
        self.window()
        out, taken = [], set()
        for (src, name), group in self.names.items():
            row = self.indicators(group)
            if row["is_beacon"] or row["closed_duration"] >= 3600:
                taken |= {uid.lstrip("-") for uid in group.conns}
            taken |= {uid.lstrip("-") for uid in group.opens}
            if row["fires"]:
                out.append(dict(row, type="sni", src=src, dst="::", name=name))
        for (src, dst), group in self.pairs.items():
            if taken & (set(group.conns) | set(group.opens)):
                continue
            row = self.indicators(group)
            if row["fires"]:
                out.append(dict(row, type="ip", src=src, dst=dst, name=""))
        out += self.domain_rows()
        known = self.known_hosts()
        for row in out:
            self.modify(row, known)
        out.sort(key=lambda r: (-r["final"], not r["strobe"],
                                -(r["beacon"]["score"] if r["beacon"] else 0)))
        return out

    def domain_rows(self):
        names = collections.defaultdict(set)
        for t, name, _ in self.queries:
            if t >= self.floor_all and not name.endswith((".arpa", ".local")):
                domain = cut(name)
                while len(name) >= len(domain):
                    names[domain].add(name)
                    name = name.partition(".")[2]
        return [{"type": "dns", "src": "::", "dst": "::", "name": domain, "count": 0, "open": 0,
                 "bytes": 0, "duration": 0.0, "strobe": False, "beacon": None,
                 "beacon_threat": 0.0, "long": 0.0, "ports": [], "subdomains": len(below),
                 "dns": bucket(len(below), 100, 500, 800, 1000)}
                for domain, below in names.items() if len(below) >= 100]

    def recent(self, group):
        return any(seconds(c) >= self.floor for c in group.conns.values()) or group.opens

    def known_hosts(self):
        hosts = set()
        for ends, group in self.pairs.items():
            if self.recent(group):
                hosts |= {h for h in ends if self.scope.ours(h)}
        for seen in self.asked.values():
            hosts |= {h for t, h in seen if t >= self.floor_all}
        return hosts

    def who_knows(self, row):
        if row["type"] == "ip":
            other = row["dst"] if self.scope.ours(row["src"]) else row["src"]
            return {a if b == other else b for (a, b), g in self.pairs.items()
                    if other in (a, b) and self.recent(g)}
        if row["type"] == "sni":
            return {h for t, h in self.asked[row["name"]] if t >= self.floor_all}
        return {h for name, seen in self.asked.items() if cut(name.split(":")[0]) == row["name"]
                for t, h in seen if t >= self.floor_all}

    def rare(self, row):
        mine = ("name", row["name"]) if row["type"] == "sni" else ("dst", row["dst"])
        out = []
        for (src, text), uses in self.signatures.items():
            uses = [u for u in uses if u[2] >= self.floor_all]
            if src != row["src"] or mine not in {u[0] for u in uses}:
                continue
            if mine[0] == "name":
                alone = len({u[0] for u in uses if u[0][0] == "name"}) == 1
            else:
                alone = len({u[1] for u in uses}) == 1
            if alone:
                out.append(text)
        return sorted(out)

    def no_direct(self, row):
        mine = [(n, d) for t, n, d in self.queries if t >= self.floor_all and cut(n) == row["name"]]
        queriers = {d["id.orig_h"] for _, d in mine}
        answers = {a for _, d in mine for a in (d.get("answers") or "").split(",")
                   if a.count(".") == 3 and a.replace(".", "").isdigit()}
        others = {src for (src, dst), g in self.pairs.items() if dst in answers and self.recent(g)}
        return not others - queriers

    def on_feed(self, row):
        if row["type"] == "ip":
            return (row["dst"] if self.scope.ours(row["src"]) else row["src"]) in self.feed
        if row["type"] == "sni":
            return row["name"] in self.feed
        return any(cut(f) == row["name"] for f in self.feed)

    def modify(self, row, known):
        knows = self.who_knows(row)
        row["prevalence_n"], row["prevalence_of"] = len(knows), len(known)
        share = len(knows) / len(known)
        row["missing"] = 0
        row["rare"], row["mismatches"] = [], 0
        if row["type"] == "ip":
            row["missing"] = sum(t >= self.floor for t in self.missing[row["src"], row["dst"]])
        if row["type"] != "dns":
            row["rare"] = self.rare(row)
        if row["type"] == "sni":
            row["mismatches"] = sum(t >= self.floor_all
                                    for t in self.mismatches[row["src"], row["name"]])
        row["intel"] = self.on_feed(row)
        added = 0
        if self.shipped:
            added += 0.15 if share <= 0.02 else -0.15 if share >= 0.5 else 0
            added += 0.15 if row["rare"] else 0
        added += 0.10 if row["missing"] else 0
        added += 0.15 if row["mismatches"] else 0
        added += 0.15 if row["intel"] and row["bytes"] >= 25000000 else 0
        row["no_direct"] = row["type"] == "dns" and self.no_direct(row)
        added += 0.15 if row["no_direct"] else 0
        row["final"] = max(row["beacon_threat"], row["long"], row["dns"],
                           0.8 if row["strobe"] else 0, 0.8 if row["intel"] else 0) + added


def closed_list(group, floor):
    return [c for c in group.conns.values() if c and seconds(c) >= floor]


Group.closed_list = closed_list


def severity(final):
    if final > 0.8:
        return "Critical"
    return "High" if final >= 0.6 else "Medium" if final >= 0.4 else "Low" if final >= 0.2 else "None"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--inbound", action="store_true")
    parser.add_argument("--feed")
    parser.add_argument("--strobe", type=int, default=DAY)
    parser.add_argument("folder")
    given = parser.parse_args()
    feed = [line.strip() for line in open(given.feed)] if given.feed else []
    model = Model(given.folder, given.shipped, given.inbound, feed, given.strobe)
    for row in model.rows():
        print(json.dumps(dict(row, severity=severity(row["final"]))))


if __name__ == "__main__":
    main()
