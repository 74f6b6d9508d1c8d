#!/usr/bin/env python3
"""What `cloudspan hunt` may believe: feeds that were understood, names that DNS led to, files that
were written once.

usage: belief.py CLOUDSPAN [TEST]...
"""
import json
import os
import sys

from command import BEGIN, Logs, check, main, usual


def test_feed(r):
    usual(r.folder + "/logs")

    def hits(text, *args, name="feed.txt"):
        with open(f"{r.folder}/{name}", "wb") as f:
            f.write(text)
        out, err = r.run("--no-state", "--json", "--filter", "hunt:intel", "--feed", name, *args, "logs")
        return out.count('"hunt":"intel"'), err
    # As a spreadsheet of Windows saves it, with the first line no less than the others.
    check(hits(b"203.0.113.7\n") == (1, ""), "a plain feed")
    check(hits(b"\xef\xbb\xbf203.0.113.7\r\n") == (1, ""), "a mark of the byte order")
    n, err = hits(b"\x1f\x8b packed\n")
    check(n == 0 and "0 entries of 1 feed" in err and "1 lines of feeds are no address" in err, err)
    os.mkdir(r.folder + "/none")
    out, err = r.run("--no-state", "--feed", "none", "logs")
    check("0 entries of 0 feeds" in err, err)
    with open(r.folder + "/safe.txt", "wb") as f:
        f.write(b"\xef\xbb\xbf10.0.0.5\r\n")
    check(not r.objects("--no-state", "--safelist", "safe.txt", "--filter", "src:10.0.0.5", "logs"),
          "a safelist with a mark of the byte order")


def test_pretended(r):
    """A name that an implant writes into its handshake is no reason to believe it."""
    def judged(answer):
        logs = Logs()
        logs.implant(name="update.microsoft.com")
        logs.connect(BEGIN + 50, "10.0.0.5", "203.0.113.7", port=443, duration=50000,
                     name="update.microsoft.com")
        logs.people()
        logs.write(r.folder + "/logs")
        with open(r.folder + "/logs/dns.log", "w", encoding="utf-8") as f:
            for i in range(20):
                f.write(json.dumps({
                    "ts": BEGIN + i, "uid": f"D{i}", "id.orig_h": f"10.0.0.{5 + i}",
                    "id.orig_p": 5353, "id.resp_h": "10.0.0.1", "id.resp_p": 53, "proto": "udp",
                    "query": "update.microsoft.com", "qtype": 1, "qtype_name": "A", "rcode": 0,
                    "answers": [answer], "TTLs": [60]}) + "\n")
        found = r.objects("--no-state", "--minimum", "none", "--filter", "src:10.0.0.5", "logs")
        return {f["hunt"]: f for f in found}
    told = judged("198.51.100.7")
    for hunt in "beacon", "long-connection":
        check(told[hunt]["score"] >= .7, told[hunt])
        check(any("name is its own word" in reason for reason in told[hunt]["reasons"]), told[hunt])
    # The same, to where DNS led it.
    told = judged("203.0.113.7")
    for hunt in "beacon", "long-connection":
        check(hunt not in told or told[hunt]["score"] < .6, told)


def test_again(r):
    """A capture that is read into the same folder again counts once."""
    def make(seed, kept=False):
        logs = Logs(seed)
        logs.implant(period=300)
        logs.people(50)
        logs.write(r.folder + "/logs", "2026-11-20" if kept else None)

    def beacons():
        out, err = r.run("--json", "--filter", "hunt:beacon src:10.0.0.5", "logs")
        return [json.loads(line)["count"] for line in out.splitlines()], err
    make(1)
    first, _ = beacons()
    make(2)
    again, err = beacons()
    check(abs(again[0] - first[0]) < 20 and len(again) == 1, f"{first}, then {again}: {err}")
    check(beacons()[0] == again, "not kept so")
    # What the archive alone has is not lost by that: it is said instead.
    os.makedirs(r.folder + "/logs/2026-11-19")
    os.rename(r.folder + "/logs/conn.log", r.folder + "/logs/2026-11-19/conn.log")
    make(3)
    beacons()
    os.remove(r.folder + "/logs/2026-11-19/conn.log")
    make(4)
    _, err = beacons()
    check("were written anew" in err and ".db" in err, err)


if __name__ == "__main__":
    sys.exit(main(dict(globals())))
