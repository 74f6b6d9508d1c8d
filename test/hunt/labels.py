#!/usr/bin/env python3
"""Recorded and labelled traffic: what must be found in it is found, with its ends; what must not is
not. A row for each label.

usage: labels.py CLOUDSPAN [WORD]...      WORD: only the rows whose set or label has it

The sets (dns-tunnel, ndpi, otrf-apt29, slips) are in the folder data/hunt beside the one that
CLOUDSPAN_CONFORMANCE names; without it the test is skipped. Captures are read by `cloudspan read`
first, so that the hunts see our own logs. What each set is, and who published it: doc/hunts.md.
"""
import json
import os
import subprocess
import sys
import tempfile

SKIPPED = 77
TOR_JA3S = "e7d705a3286e19ea42f587b344ee6865"  # Tor's server side, a published fingerprint


def matching(found, hunt, src=None, dst=None, name=None, port=None, least=0.2):
    """Findings that say so; `dst` may be the beginning of an address."""
    return [f for f in found if f["hunt"] == hunt and f["score"] >= least
            and (src is None or f["src"] == src)
            and (dst is None or (f["dst"] or "").startswith(dst))
            and (name is None or f["name"] == name)
            and (port is None or any(p.startswith(f"{port}:") for p in f["ports"]))]


def has(hunt, **ends):
    """The label is met when there is such a finding."""
    def check(found):
        fitting = matching(found, hunt, **ends)
        assert fitting, f"no {hunt} with {ends}"
        return f"{fitting[0]['severity']} {fitting[0]['score']:.2f}: {fitting[0]['title']}"
    return check


def lacks(hunt, **ends):
    def check(found):
        fitting = matching(found, hunt, **ends)
        assert not fitting, f"{fitting[0]['title']} ({fitting[0]['src']} {fitting[0]['name']})"
        return "none"
    return check


def nothing_else_above(score, src, name):
    """Only findings with these ends are above the score."""
    def check(found):
        for f in found:
            assert f["score"] <= score or (f["src"], f["name"]) == (src, name), \
                f"{f['hunt']} {f['score']:.2f} {f['src']} {f['dst']}: {f['title']}"
        return "none"
    return check


def client_is_named(domain, src):
    """A tunnel names the machine that digs it, not only the domain, and nobody else."""
    def check(found):
        fitting = matching(found, "dns-tunnel", name=domain, least=0.6)
        assert fitting, "no tunnel"
        assert {f["src"] for f in fitting} == {src}, f"by {[f['src'] for f in fitting]}"
        return f"{fitting[0]['severity']} {fitting[0]['score']:.2f}: {fitting[0]['title']}"
    return check


def beacon_of(src, name, port, low, high):
    """A beacon between these, whose period (s) is in the range."""
    def check(found):
        fitting = matching(found, "beacon", src=src, name=name, port=port, least=0.4)
        assert fitting, "no beacon"
        periods = [f["numbers"].get("period_s", 0) for f in fitting]
        assert any(low <= period <= high for period in periods), f"periods {periods}"
        return f"{fitting[0]['severity']} {fitting[0]['score']:.2f}: {fitting[0]['title']}"
    return check


def noticed(src, dst):
    """Some hunt has a finding about the pair."""
    def check(found):
        fitting = [f for f in found if f["src"] == src and f["dst"] == dst]
        assert fitting, "nothing"
        return "; ".join(f"{f['hunt']} {f['score']:.2f}: {f['title']}" for f in fitting[:3])
    return check


# Folder or capture, label, options (a dictionary is a configuration, a list a feed), what is asked.
LABELS = (
    # To two addresses, 141.193.213.20 and .21, of one name.
    ("slips/test-cc/test-cc-capture-1.pcap", "beacon every 2 s",
     {"internal": ["147.32.80.37/32"]}, beacon_of("147.32.80.37", "testing.com", 443, 1.5, 2.5)),
    ("slips/test-cc/test-cc-capture-1.pcap", "nothing else above 0.8",
     {"internal": ["147.32.80.37/32"]}, nothing_else_above(0.8, "147.32.80.37", "testing.com")),

    ("slips/test9-mixed-zeek-dir", "server fingerprint of Tor, by a feed",
     [TOR_JA3S], has("intel", src="10.0.2.15")),
    ("slips/test9-mixed-zeek-dir", "no HTTP on port 80",
     None, has("wrong-port", src="10.0.2.15", dst="194.132.197.198", port=80)),

    ("slips/test10-mixed-zeek-dir", "text answers of high entropy", None, has("dns-tunnel")),
    ("slips/test10-mixed-zeek-dir", "no TLS on port 443", None, has("wrong-port", port=443)),

    # Its smtp.log is of another capture, by a clock that is 52 years ahead of the others'.
    ("slips/test14-malicious-zeek-dir/smtp.log", "logins at a mail server, 3 in 10 s",
     None, has("mail-logins", src="10.1.11.101", dst="80.75.42.226", port=25)),
    ("slips/test14-malicious-zeek-dir", "GRE tunnel",
     None, has("tunnel", src="10.0.2.15", dst="115.112.11.30", least=0.4)),
    ("slips/test14-malicious-zeek-dir", "odd user agent",
     None, has("client", src="10.0.2.15", least=0.6)),

    ("slips/port-scans/horizontal", "scan of port 80",
     None, has("scan", src="10.0.2.112", port=80, least=0.4)),
    ("slips/port-scans/horizontal", "no beacon", None, lacks("beacon")),

    ("dns-tunnel/dnscat2-txt_00001_20230903183304.pcap", "tunnel, and its client",
     None, client_is_named("ggy666.tk", "192.168.68.62")),
    ("dns-tunnel/iodine-cname.pcap", "tunnel of low entropy, and its client",
     None, client_is_named("ggy666.tk", "192.168.117.128")),
    ("ndpi/dns-tunnel-iodine.pcap", "tunnel of 222 queries in 24 s",
     None, client_is_named("pirate.sea", "10.0.2.30")),
    ("dns-tunnel/normal_00000_20230805150331.pcap", "no tunnel", None, lacks("dns-tunnel")),
    ("dns-tunnel/normal_00067_20230806152800.pcap", "no tunnel", None, lacks("dns-tunnel")),

    ("otrf-apt29/day1", "376 connections in 240 s are noticed",
     {"internal": ["10.0.0.0/8"]}, noticed("10.0.1.6", "192.168.0.4")),
    ("otrf-apt29/day1", "long connection to 192.168.0.5:443",
     {"internal": ["10.0.0.0/8"]},
     has("long-connection", src="10.0.1.4", dst="192.168.0.5", port=443)),
    ("otrf-apt29/day1", "few connections to 192.168.0.5:1234",
     {"internal": ["10.0.0.0/8"]}, noticed("10.0.1.4", "192.168.0.5")),
    ("otrf-apt29/day1", "WinRM and PsExec from one desktop to the other",
     {"internal": ["10.0.0.0/8"]}, has("lateral-movement", src="10.0.1.4", dst="10.0.1.6")),
)


def run(*args):
    done = subprocess.run(args, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{' '.join(args)}: exit code {done.returncode}: {done.stderr}"
    return done.stdout


class Sets:
    """Logs of each set, made once; findings of each set and options, found once."""

    def __init__(self, cloudspan, data, scratch):
        self.cloudspan, self.data, self.scratch = cloudspan, data, scratch
        self.found = {}

    def logs(self, name):
        if not name.endswith(".pcap"):
            return os.path.join(self.data, name)
        folder = os.path.join(self.scratch, os.path.basename(name))
        if not os.path.isdir(folder):
            os.mkdir(folder)
            run(self.cloudspan, "read", "-q", "-d", folder, os.path.join(self.data, name))
        return folder

    def findings(self, name, options):
        key = name + json.dumps(options)
        if key in self.found:
            return self.found[key]
        args = [self.cloudspan, "hunt", "--json", "--no-state", "-c"]
        config = os.path.join(self.scratch, "config.yaml")
        with open(config, "w", encoding="utf-8") as out:
            json.dump({"hunts": options} if isinstance(options, dict) else {}, out)
        args.append(config)
        if isinstance(options, list):
            feed = os.path.join(self.scratch, "feed.txt")
            with open(feed, "w", encoding="utf-8") as out:
                out.write("\n".join(options) + "\n")
            args += ["--feed", feed]
        out = run(*args, self.logs(name))
        self.found[key] = [f for f in map(json.loads, out.splitlines()) if "hunt" in f]
        return self.found[key]


def main():
    cloudspan, only = sys.argv[1], sys.argv[2:]
    conformance = os.environ.get("CLOUDSPAN_CONFORMANCE")
    data = os.path.join(conformance, "..", "data", "hunt") if conformance else ""
    if not os.path.isdir(data):
        print("skipped: CLOUDSPAN_CONFORMANCE does not name a folder with labelled traffic beside it")
        return SKIPPED
    n_done = n_failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        sets = Sets(cloudspan, data, scratch)
        for name, label, options, check in LABELS:
            if only and not any(word in name or word in label for word in only):
                continue
            n_done += 1
            try:
                print(f"{name}: {label}: {check(sets.findings(name, options))}", flush=True)
            except AssertionError as failure:
                n_failed += 1
                print(f"{name}: {label}: FAILED: {failure}", flush=True)
    print(f"{n_done} labels, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
