#!/usr/bin/env python3
"""RITA's rows of made-up logs, from the program and from a model that shares nothing with it.

usage: rita_random.py PROGRAM [SEED]...

Each seed makes a folder of logs: connections of all ways, beacons and what is none, http with and
without Host and by proxy, TLS, DNS with tunnels, connections that are still open. Every row and
every column must be the same to a thousandth.
"""
import csv
import io
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rita_model  # noqa: E402

SEEDS = [1, 2, 3, 4, 5, 6]
BEGIN = 1741046400 + 5 * 3600 + 1234  # in the middle of an hour
ENDS = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p".split()
FIELDS = {
    "conn": ENDS + "proto service duration orig_bytes resp_bytes conn_state missed_bytes history"
                   " orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes".split(),
    "http": ENDS + "trans_depth method host uri user_agent status_code resp_mime_types".split(),
    "ssl": ENDS + "version server_name established ja3".split(),
    "dns": ENDS + "proto query qtype_name rcode_name answers".split(),
}
AGENTS = ["curl/7.58.0", "Mozilla/5.0 (X11; Linux)", "Wget/1.21", "Modzilla/-2.0 (Atari 7800)",
          "python-requests/2.31", None]
TYPES = ["text/html", "text/plain", "text/css", "text/javascript", "image/png", "text/t140", None]
URIS = ["/", "/index.html", "/a/b.css?x=1.js", "/app.js", "/rpc.flow", "/dir.d/", "/x.", "/notes.txt",
        "/q"]


class Maker:
    def __init__(self, seed, hours):
        self.random = random.Random(seed)
        self.end = BEGIN + hours * 3600
        self.out = {log: [] for log in FIELDS}
        self.open = {log: [] for log in FIELDS}
        self.n = 0
        self.inside = ["10.1.0.%d" % i for i in range(2, 22)] + ["fd00::%x" % i for i in range(1, 4)]
        self.outside = ["198.51.100.%d" % i for i in range(1, 120)] + \
                       ["2001:db8::%x" % i for i in range(1, 6)]
        self.names = ["host%d.example.com" % i for i in range(60)] + \
                     ["www.shop%d.co.uk" % i for i in range(5)]
        self.ja3 = ["%032x" % i for i in range(1, 6)]

    def conn(self, t, src, dst, port=443, service=None, proto="tcp", duration=None, up=None,
             down=None, is_open=False, sport=None):
        r = self.random
        self.n += 1
        ts = "%.6f" % t
        row = {"ts": ts, "uid": "C%07d" % self.n, "id.orig_h": src,
               "id.orig_p": sport if sport is not None else r.randrange(1024, 65536),
               "id.resp_h": dst, "id.resp_p": port, "proto": proto, "service": service,
               "duration": "%.6f" % (r.expovariate(0.5) if duration is None else duration),
               "orig_bytes": 10, "resp_bytes": 10,
               "conn_state": r.choice(["SF", "SF", "SF", "S0", "RSTO"]),
               "missed_bytes": 0, "history": "Sh", "orig_pkts": 3,
               "orig_ip_bytes": r.choice([52, 60, 1500, r.randrange(40, 3000)]) if up is None
               else up, "resp_pkts": 3,
               "resp_ip_bytes": r.randrange(40, 9000) if down is None else down}
        (self.open if is_open else self.out)["conn"].append(row)
        return row

    def more(self, log, conn, is_open=False, later=0.0, **values):
        row = {field: conn[field] for field in ENDS}
        row["ts"] = "%.6f" % (float(conn["ts"]) + later)
        row.update(values)
        (self.open if is_open else self.out)[log].append(row)

    def times(self):
        """When a pair talks: a timer, chance, a burst, now and then, in a part of the time."""
        r = self.random
        begin, end = float(BEGIN), float(self.end)
        if r.random() < 0.3:
            begin = r.uniform(BEGIN, self.end)
            end = min(self.end, begin + r.choice([3, 7, 14]) * 3600)
        kind = r.choice(["timer", "timer", "chance", "burst", "few", "same"])
        period, jitter = r.choice([120, 600, 1800, 3600]), r.choice([0, 0.1, 0.5, 0.9])
        t, out = begin, []
        if kind == "few":
            return sorted(r.uniform(begin, end) for _ in range(r.randrange(1, 6)))
        if kind == "same":
            return [begin + r.choice([0, 0.2, 1]) for _ in range(r.randrange(3, 9))]
        if kind == "burst":
            at = r.uniform(begin, end)
            return sorted(min(at + r.expovariate(0.1), end) for _ in range(r.randrange(4, 40)))
        while t < end and len(out) < 400:
            out.append(t)
            t += r.expovariate(1 / period) if kind == "chance" else period * (1 - jitter *
                                                                              r.random())
        return out

    def by_address(self):
        r = self.random
        for _ in range(70):
            src, dst = r.choice(self.inside), r.choice(self.outside)
            way = r.random()
            if way < 0.15:
                src, dst = dst, src
            elif way < 0.25:
                dst = r.choice(self.inside)
            elif way < 0.3:
                dst = r.choice(["224.0.0.251", "169.254.1.1", "ff02::fb", "255.255.255.255"])
            up = r.choice([None, 52, 600])
            for t in self.times():
                if r.random() < 0.05:
                    self.conn(t, src, dst, 0, None, "icmp", up=up, sport=r.choice([8, 3]))
                else:
                    self.conn(t, src, dst, r.choice([443, 443, 8080, 53, 123]),
                              r.choice([None, "dns"]), r.choice(["tcp", "udp"]), up=up)
        for _ in range(8):
            self.conn(r.uniform(BEGIN, self.end), r.choice(self.inside), r.choice(self.outside),
                      duration=r.uniform(1000, 50000), up=r.choice([500, 3 * 10**7]))

    def by_name(self):
        r = self.random
        for _ in range(60):
            src, name = r.choice(self.inside), r.choice(self.names)
            servers = r.sample(self.outside, r.choice([1, 1, 2, 4]))
            agent, ja3 = r.choice(AGENTS), r.choice(self.ja3)
            kind = r.choice(["http", "http", "ssl", "ssl", "proxy", "missing", "both"])
            up = r.choice([None, 300])
            for t in self.times()[:120]:
                self.request(kind, t, src, name, r.choice(servers), agent, ja3, up)

    def request(self, kind, t, src, name, dst, agent, ja3, up, is_open=False):
        r = self.random
        if kind == "proxy":
            conn = self.conn(t, src, "10.1.0.250", 3128, "http", up=up, is_open=is_open)
            self.more("http", conn, is_open, method="CONNECT", host=name + ":443",
                      uri=name + ":443", user_agent=agent, trans_depth=1)
            return
        if kind == "ssl" or (kind == "both" and r.random() < 0.5):
            conn = self.conn(t, src, dst, 443, "ssl", up=up, is_open=is_open,
                             duration=r.choice([None, None, 400]) if kind == "ssl" else None)
            self.more("ssl", conn, is_open, server_name=name if r.random() < 0.95 else None,
                      ja3=ja3, version="TLSv12", established="T")
            return
        conn = self.conn(t, src, dst, 80, "http", up=up, is_open=is_open)
        for k in range(r.choice([1, 1, 1, 3])):
            host = None if kind == "missing" else name if k == 0 else r.choice([name, name + ":80"])
            self.more("http", conn, is_open, later=0.001 * k, method="GET", host=host,
                      uri=r.choice(URIS), user_agent=agent, trans_depth=k + 1,
                      resp_mime_types=r.choice(TYPES))

    def dns(self):
        r = self.random
        for domain, n in (("tunnel.example", 1300), ("half.co.uk", 560), ("few.example", 99),
                          ("cdn.example", 120), ("4.3.10.in-addr.arpa", 150)):
            client = r.choice(self.inside[:20])
            for i in range(n):
                self.query(r.uniform(BEGIN, self.end), client, "n%d.%s" % (i, domain),
                           "198.51.100.7" if domain.startswith("cdn") else None)
        for i in range(150):
            self.query(r.uniform(BEGIN, self.end), client, "a%d.z%d.deep.example" % (i, i % 7),
                       "198.51.100.9")
        for _ in range(300):
            self.query(r.uniform(BEGIN, self.end), r.choice(self.inside), r.choice(
                self.names + ["nodot", "printer.local", "WWW.Mixed.example"]),
                r.choice(self.outside[:100]))

    def query(self, t, src, name, answer):
        r = self.random
        dst = r.choice(["10.1.0.53", "8.8.8.8", "8.8.4.4"])
        if ":" in src:
            dst = "2001:4860:4860::8888"
        self.n += 1
        self.out["dns"].append({
            "ts": "%.6f" % t, "uid": "D%07d" % self.n, "id.orig_h": src, "id.orig_p": 5353,
            "id.resp_h": dst, "id.resp_p": 53, "proto": "udp", "query": name, "qtype_name": "A",
            "rcode_name": "NOERROR", "answers": answer})

    def opened(self):
        """Snapshots: what is open at the end, some of it reported twice, some closed by now."""
        r = self.random
        for _ in range(25):
            t = r.uniform(BEGIN, self.end - 3600)
            src, dst = r.choice(self.inside[:20]), r.choice(self.outside)
            kind = r.choice(["address", "address", "http", "ssl", "proxy"])
            if kind == "address":
                conn = self.conn(t, src, dst, is_open=True, duration=self.end - t)
            else:
                self.request(kind, t, src, r.choice(self.names), dst, AGENTS[0], self.ja3[0], None,
                             True)
                conn = self.open["conn"][-1]
                conn["duration"] = "%.6f" % (self.end - t)
            if r.random() < 0.3:
                earlier = dict(conn, duration="%.6f" % ((self.end - t) / 2), orig_ip_bytes=1,
                               resp_ip_bytes=1)
                self.open["conn"].insert(0, earlier)
            if r.random() < 0.2 and kind == "address":
                self.out["conn"].append(dict(conn, duration="%.6f" % (self.end - t + 5)))

    def strobe(self):
        for i in range(86400 + 50):
            self.conn(BEGIN + i * 0.7, "10.1.0.2", "203.0.113.9", up=60, down=60, duration=0.01)

    def write(self, folder):
        for prefix, logs in (("", self.out), ("open_", self.open)):
            for log, rows in logs.items():
                if not rows:
                    continue
                with open(os.path.join(folder, prefix + log + ".log"), "w") as out:
                    out.write("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n"
                              "#unset_field\t-\n#path\t%s\n#fields\t%s\n"
                              % (prefix + log, "\t".join(FIELDS[log])))
                    for row in rows:
                        out.write("\t".join("-" if row.get(f) is None else str(row[f])
                                            for f in FIELDS[log]) + "\n")


def near(a, b):
    return abs(float(a) - float(b)) < 0.001 * max(1, abs(float(b)) * 1e-6)


def compare(told, row, hours, internal):
    """What differs, as texts."""
    prevalence = row["prevalence_n"] / row["prevalence_of"]
    checks = [
        ("Beacon Score", row["beacon"]["score"] if row["beacon"] else 0),
        ("Total Duration", row["duration"]), ("Long Connection Score", row["long"]),
        ("Subdomains", row["subdomains"]), ("C2 Over DNS Score", row["dns"]),
        ("Connection Count", row["count"]), ("Total Bytes", row["bytes"])]
    # A name that is asked of one of our own servers, without DNS, counts for us and not for RITA.
    if not internal:
        checks.append(("Prevalence", prevalence))
    out = ["%s %s instead of %s" % (name, told[name], value)
           for name, value in checks if not near(told[name], value)]
    for name, value in (("Strobe", row["strobe"]), ("Threat Intel", row["intel"]),
                        ("Missing Host Header", row["missing"] > 0)):
        if told[name] != ("true" if value else "false"):
            out.append("%s %s" % (name, told[name]))
    edge = min(abs(row["final"] - at) for at in (0.2, 0.4, 0.6, 0.8))
    if told["Severity"] != rita_model.severity(row["final"]) and edge > 1e-6 and not internal:
        out.append("Severity %s instead of %s (%f)" % (
            told["Severity"], rita_model.severity(row["final"]), row["final"]))
    ports = set(told["Port:Proto:Service"].split(",")) - {""}
    # Ports have no times: the first day's may be older than the window, and those of our own
    # servers are of the same name.
    exact = hours <= 24 and not internal
    if not set(row["ports"]) <= ports or (exact and ports != set(row["ports"])):
        if len(row["ports"]) < 20:
            out.append("ports %s instead of %s" % (sorted(ports), row["ports"]))
    modifiers = told["Modifiers"]
    for rare in row["rare"][:1]:
        if "rare_signature:" not in modifiers:
            out.append("no rare %s" % rare)
    if not row["rare"] and "rare_signature" in modifiers:
        out.append(modifiers)
    mime = "mime_type_mismatch:%d" % row["mismatches"]
    if (row["mismatches"] > 0) != ("mime_type" in modifiers) or \
            (row["mismatches"] and mime not in modifiers.split(",")):
        out.append("%s instead of %s" % (modifiers, mime))
    if row["no_direct"] != ("c2_over_dns_direct_conns" in modifiers):
        out.append("%s: no direct connections: %s" % (modifiers, row["no_direct"]))
    return out


def run(program, folder, inbound, feed, internal, config):
    command = [program, "hunt", folder, "--scores", "rita", "--csv", "--no-state", "-q", "-c", config]
    if inbound:
        command.append("--include-inbound")
    for network in internal:
        command += ["--internal", network]
    if feed:
        command += ["--feed", feed]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    return {(r["Source IP"], r["Destination IP"], r["FQDN"]): r
            for r in csv.DictReader(io.StringIO(text))}


def check(program, seed):
    hours = [24, 50, 6][seed % 3]
    inbound = seed % 2 == 0
    internal = ["198.51.100.64/27", "2001:db8::/64"] if seed % 3 == 2 else []
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "logs")
        os.mkdir(folder)
        maker = Maker(seed, hours)
        maker.by_address()
        maker.by_name()
        maker.dns()
        if seed % 2:
            maker.opened()
        if seed % 5 == 0:
            maker.strobe()
        maker.write(folder)
        feed = os.path.join(top, "feed.txt")
        entries = ["198.51.100.3", "198.51.100.4", "host1.example.com", "half.co.uk"]
        with open(feed, "w") as out:
            out.write("\n".join(entries) + "\n")
        shipped = seed % 4 < 2
        config = os.path.join(top, "cloudspan.yaml")
        with open(config, "w") as out:
            out.write("hunts: {rita: {config: shipped}}\n" if shipped else "hunts: {}\n")
        model = rita_model.Model(folder, shipped, inbound, entries, internal=internal).rows()
        told = run(program, folder, inbound, feed, internal, config)
    wrong = 0
    for row in model:
        key = row["src"], row["dst"], row["name"]
        found = told.pop(key, None)
        differs = compare(found, row, hours, internal) if found else ["is not told: %s" % row]
        if differs:
            wrong += 1
            print("seed %d: %s: %s" % (seed, " ".join(key), "; ".join(differs)))
    for key in told:
        wrong += 1
        print("seed %d: %s: is told, and is none: %s" % (seed, " ".join(key), told[key]))
    kinds = {kind: sum(r["type"] == kind for r in model) for kind in ("ip", "sni", "dns")}
    print("seed %d: %d h, %d lines, %d rows (%s), %d differ" % (
        seed, hours, maker.n, len(model), ", ".join("%d %s" % (n, k) for k, n in kinds.items()),
        wrong))
    if min(kinds.values()) < 2:
        sys.exit("seed %d: there is too little to compare" % seed)
    return wrong


def main():
    seeds = [int(s) for s in sys.argv[2:]] or SEEDS
    sys.exit(1 if sum(check(sys.argv[1], seed) for seed in seeds) else 0)


if __name__ == "__main__":
    main()
