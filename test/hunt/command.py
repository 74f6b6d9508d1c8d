#!/usr/bin/env python3
"""Runs `cloudspan hunt` as a user would, on small folders of logs that it makes itself: what is found
and how it is shown, what is refused and in which words, what is kept from run to run.

usage: command.py PROGRAM [NAME ...]
"""
import csv
import gzip
import html.parser
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

BEGIN = 1795132800  # 2026-11-20 00:00 UTC
HOUR = 3600
SEVERITIES = ["none", "low", "medium", "high", "critical"]
KEYS = ["id", "hunt", "severity", "score", "confidence", "title", "src", "src_machine", "src_network",
        "dst", "dst_machine", "name", "ports", "first", "last", "count", "bytes_up", "bytes_down",
        "reasons", "numbers", "hidden_by"]
HOSTILE = "evil\x1b[2J<b>&\"'.example"


class Logs:
    """A folder of JSON logs: an implant, a long connection, and people who browse."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.conn, self.ssl = [], []

    def connect(self, ts, src, dst, port=443, up=600, down=2000, duration=0.4, machine=None,
                name=None, service="ssl"):
        uid = f"C{len(self.conn)}"
        ends = {"uid": uid, "id.orig_h": src, "id.orig_p": 40000 + len(self.conn) % 20000,
                "id.resp_h": dst, "id.resp_p": port}
        record = {"ts": round(ts, 6), **ends, "proto": "tcp", "service": service,
                  "duration": duration, "orig_bytes": up, "resp_bytes": down, "conn_state": "SF",
                  "missed_bytes": 0, "history": "ShADadFf", "orig_pkts": 8,
                  "orig_ip_bytes": up + 400, "resp_pkts": 8, "resp_ip_bytes": down + 400}
        if machine:
            record["source"] = machine
        self.conn.append(record)
        if name:
            self.ssl.append({"ts": round(ts + .01, 6), **ends, "version": "TLSv12",
                             "server_name": name, "established": True})

    def implant(self, src="10.0.0.5", dst="203.0.113.7", begin=0, end=24 * HOUR, period=60,
                jitter=.2, **more):
        ts = BEGIN + begin + 10
        while ts < BEGIN + end:
            self.connect(ts, src, dst, **more)
            ts += period * self.random.uniform(1 - jitter, 1 + jitter)

    def people(self, n=300, hours=24):
        for _ in range(n):
            self.connect(BEGIN + self.random.uniform(0, hours * HOUR),
                         f"10.0.0.{self.random.randint(5, 40)}",
                         f"198.18.0.{self.random.randint(1, 200)}",
                         up=self.random.randint(300, 9000), down=self.random.randint(1000, 90000))

    def write(self, folder, day=None, pack=False):
        where = os.path.join(folder, day) if day else folder
        os.makedirs(where, exist_ok=True)
        for name, records in (("conn", self.conn), ("ssl", self.ssl)):
            text = "".join(json.dumps(r) + "\n" for r in sorted(records, key=lambda r: r["ts"]))
            path = os.path.join(where, name + ".log" + (".gz" if pack else ""))
            with (gzip.open if pack else open)(path, "wt") as f:
                f.write(text)
        return folder


def usual(folder):
    logs = Logs()
    logs.implant(machine="web-1", name="updates.evil.example")
    logs.connect(BEGIN + 100, "10.0.0.9", "192.0.2.200", port=22, duration=50000, up=1000000,
                 down=40000000, service="ssh", machine="bastion")
    logs.people()
    return logs.write(folder)


class Failed(Exception):
    pass


def check(true, what):
    if not true:
        raise Failed(what)


class Runner:
    def __init__(self, program, folder):
        self.program, self.folder = os.path.abspath(program), folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "TZ": "UTC", "COLUMNS": "80",
                            "LC_ALL": "C.UTF-8", "CLOUDSPAN_STATE": os.path.join(folder, "state")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def start(self, *args, **more):
        return subprocess.Popen([self.program, "hunt", *args], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.folder, env=self.environment, **more)

    def run(self, *args, code=0, environment=None, stdin=None):
        run = subprocess.run([self.program, "hunt", *args], capture_output=True, cwd=self.folder,
                             env={**self.environment, **(environment or {})}, input=stdin, timeout=60)
        out, err = run.stdout.decode(), run.stderr.decode()
        check(run.returncode == code,
              f"hunt {' '.join(args)} ends with {run.returncode}, not {code}\n{out}{err}")
        return out, err

    def objects(self, *args, **more):
        out, _ = self.run("--json", *args, **more)
        return [json.loads(line) for line in out.splitlines()]

    def refused(self, says, *args, code=1):
        out, err = self.run(*args, code=code)
        check(out == "", f"{args}: prints {out!r}")
        check(re.search(says, err), f"{args}: {err!r} does not say {says!r}")
        check(len(err.strip().splitlines()) <= 3, f"{args}: says too much: {err}")


def plain(text):
    """No byte that a terminal would obey."""
    return all(c == "\n" or (c >= " " and c != "\x7f") for c in text)


# ---- what is found, and how it is shown ----

def test_table(r):
    usual(r.folder + "/logs")
    out, _ = r.run("--no-state", "logs")
    lines = out.splitlines()
    check(lines[0].split() == ["SEVERITY", "SCORE", "WHO", "WHOM", "WHEN", "ID"], lines[0])
    check(all(len(line) <= 80 for line in lines), "a line has more than 80 columns")
    check("\033" not in out, "colours without a terminal")
    beacon = [i for i, line in enumerate(lines) if "updates.evil.example" in line]
    check(beacon and "web-1" in lines[beacon[0]], f"the implant is not named:\n{out}")
    check(lines[beacon[0] + 1].startswith("  beacon: every 60 s"), lines[beacon[0] + 1])
    check(re.search("[▁▂▃▄▅▆▇█]{12}", lines[beacon[0]]), "there is no line of the day")
    scores = [float(line.split()[1]) for line in lines[1:] if re.match(r"\w+ +\d\.\d\d ", line)]
    check(len(scores) >= 2 and scores == sorted(scores, reverse=True), f"not by score: {scores}")
    out, _ = r.run("--no-state", "logs", environment={"COLUMNS": "160", "LC_ALL": "C"})
    check("WHAT" in out.splitlines()[0], "a wide terminal has one line a row")
    check(all(ord(c) < 128 for c in out), "there are blocks where the locale has none")
    out, _ = r.run("--no-state", "--color", "always", "logs")
    check("\033[1;31mcritical" in out, "there are no colours")


def test_json(r):
    usual(r.folder + "/logs")
    found = r.objects("--no-state", "logs")
    check([f["score"] for f in found] == sorted((f["score"] for f in found), reverse=True), "order")
    for f in found:
        check(list(f) == KEYS, f"keys: {list(f)}")
        check(re.fullmatch("[0-9a-f]{16}", f["id"]), f["id"])
        check(f["severity"] in SEVERITIES and 0 <= f["score"] <= 1 and 0 <= f["confidence"] <= 1, f)
        check(isinstance(f["reasons"], list) and f["reasons"], "no reasons")
        check(f["first"] <= f["last"], "times")
    beacon = [f for f in found if f["hunt"] == "beacon"]
    check(len(beacon) == 1, f"{len(beacon)} beacons")
    beacon = beacon[0]
    check(beacon["src"] == "10.0.0.5" and beacon["src_machine"] == "web-1", beacon)
    check(beacon["name"] == "updates.evil.example" and beacon["ports"] == ["443:tcp:ssl"], beacon)
    check(abs(beacon["numbers"]["period_s"] - 60) < 2, beacon["numbers"])
    check(BEGIN <= beacon["first"] < BEGIN + 60 < beacon["last"] <= BEGIN + 24 * HOUR, "times")
    again = r.objects("--no-state", "logs")
    check([f["id"] for f in again] == [f["id"] for f in found], "ids differ from run to run")


def test_csv(r):
    usual(r.folder + "/logs")
    out, _ = r.run("--no-state", "--csv", "logs")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    check([row["id"] for row in rows] == [f["id"] for f in r.objects("--no-state", "logs")], "ids")
    check(all(None not in row and None not in row.values() for row in rows), "fields")
    check(any(row["name"] == "updates.evil.example" for row in rows), "names")


def test_explain(r):
    usual(r.folder + "/logs")
    beacon = [f for f in r.objects("--no-state", "logs") if f["hunt"] == "beacon"][0]
    out, _ = r.run("--no-state", "--explain", beacon["id"][:8], "logs")
    for wanted in (beacon["id"], "web-1", "10.0.0.5", "updates.evil.example", "443:tcp:ssl", "Why",
                   "Numbers", "period_s", "RITA's beacon score", "When", "Time from one to the next",
                   "Bytes sent in each", "Minutes of each hour", "Safelist",
                   "hunt:beacon 10.0.0.5 updates.evil.example", "Lines of the logs"):
        check(wanted in out, f"--explain lacks {wanted!r}:\n{out}")
    check(len(re.findall(r"^  \d\d:00 [·░▒▓█]{60}$", out, re.M)) == 24, "the raster of a day")
    check(sum(int(n) for n in re.findall(r" s █+ (\d+)$", out, re.M)) == beacon["count"] - 1,
          "the intervals of the histogram")
    check(all(len(line) <= 80 for line in out.split("Lines of the logs")[0].splitlines()), "width")
    command = out.split("Lines of the logs\n")[1].strip()
    lines = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=r.folder)
    check(len(lines.stdout.splitlines()) == beacon["count"], f"{command} finds other lines")
    r.refused("no such finding", "--no-state", "--explain", "0123456789", "logs")
    r.refused("is no id", "--no-state", "--explain", "xyz", "logs", code=2)
    shown = r.objects("--no-state", "--explain", beacon["id"], "logs")
    check(shown == [beacon], "--explain --json")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "path", "rect", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        check(self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}")
        self.open.pop()


def test_html(r):
    logs = Logs()
    logs.implant(name=HOSTILE)
    logs.implant(src="10.0.0.6", dst="203.0.113.8", period=300, machine="db-2")
    logs.people()
    logs.write(r.folder + "/logs")
    out, _ = r.run("--no-state", "--html", "report.html", "logs")
    check("SEVERITY" in out, "the table is printed as well")
    text = open(r.folder + "/report.html", encoding="utf-8").read()
    page = Page(text)
    check(page.open == [], f"not closed: {page.open}")
    names = [tag for tag, _ in page.tags]
    found = r.objects("--no-state", "logs")
    check(names.count("tbody") == len(found), "a body for each finding")
    check(names.count("script") == 1 and names.count("b") == 0, "a tag from the wire")
    for picture in ("line", "bars", "raster"):
        check(any(tag == "svg" and picture in a.get("class", "") for tag, a in page.tags), picture)
    check(not re.search(r"""(src|href)\s*=|url\(|@import|https?:""", text), "something is fetched")
    check("\x1b" not in text, "a control character")
    check(oct(os.stat(r.folder + "/report.html").st_mode & 0o7) == "0o0", "others may read it")
    check(not os.path.exists(r.folder + "/report.html.part"), "a part is left")
    # What is no file is written to, and stays. (A link, so that a mistake here takes nothing away.)
    os.symlink("/dev/full", r.folder + "/full.html")
    r.refused("--html full.html: No space left", "--no-state", "--html", "full.html", "logs")
    check(os.path.islink(r.folder + "/full.html"), "the device's name is taken away")
    r.refused("--html none/report.html: No such file", "--no-state", "--html", "none/report.html",
              "logs")


def test_full_disk(r):
    usual(r.folder + "/logs")
    with open(r.folder + "/report.html", "w", encoding="utf-8") as f:
        f.write("the last one")
    limit = ("import resource, signal, os, sys; "
             "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); os.execv(sys.argv[1], sys.argv[1:])")
    run = subprocess.run([sys.executable, "-c", limit, r.program, "hunt", "--no-state", "--html",
                          "report.html", "logs"], capture_output=True, text=True, cwd=r.folder,
                         env=r.environment)
    check(run.returncode == 1 and "report.html: File too large" in run.stderr, run.stderr)
    check(open(r.folder + "/report.html", encoding="utf-8").read() == "the last one", "it is gone")
    with open("/dev/full", "w", encoding="utf-8") as full:
        run = subprocess.run([r.program, "hunt", "--no-state", "logs"], stdout=full, cwd=r.folder,
                             stderr=subprocess.PIPE, text=True, env=r.environment)
    check(run.returncode == 1 and "standard output: No space" in run.stderr, run.stderr)


def test_rita(r):
    usual(r.folder + "/logs")
    out, _ = r.run("--no-state", "--scores", "rita", "--csv", "logs")
    rows = list(csv.DictReader(io.StringIO(out)))
    check(list(rows[0])[:5] == ["Severity", "Source IP", "Destination IP", "FQDN", "Beacon Score"],
          list(rows[0]))
    row = [row for row in rows if row["FQDN"] == "updates.evil.example"][0]
    check(row["Source IP"] == "10.0.0.5" and float(row["Beacon Score"]) > .9, row)
    out, _ = r.run("--no-state", "--scores", "rita", "logs")
    check(out.splitlines()[0].split()[:3] == ["Severity", "Source", "Destination"], out)
    r.refused("--scores rita", "--scores", "rita", "--json", "logs", code=2)

    def fits(words):
        out, _ = r.run("--no-state", "--scores", "rita", "--csv", "--filter", words, "logs")
        return list(csv.DictReader(io.StringIO(out)))
    for words, wanted in (
            ("fqdn:updates.evil.example", lambda row: row["FQDN"] == "updates.evil.example"),
            ("-fqdn:*.evil.example", lambda row: not row["FQDN"].endswith("evil.example")),
            ("src:10.0.0.5", lambda row: row["Source IP"] == "10.0.0.5"),
            ("beacon:>90", lambda row: float(row["Beacon Score"]) > .9),
            ("beacon:0 duration:>1h", lambda row: float(row["Beacon Score"]) == 0 and
             float(row["Total Duration"]) > 3600),
            ("count:>=100", lambda row: int(row["Connection Count"]) >= 100),
            ("severity:>=high", lambda row: row["Severity"] in ("High", "Critical")),
            ("threat_intel:true", lambda row: False),
            ("port:443", lambda row: "443:tcp" in row["Port:Proto:Service"])):
        check(fits(words) == [row for row in rows if wanted(row)], f"rita, --filter {words}")
    counts = [int(row["Connection Count"]) for row in fits("sort:count-asc")]
    check(counts == sorted(counts) and len(counts) == len(rows), counts)
    for words, said in (("hunt:beacon", "'hunt:'"), ("src:10.0.0.5 -machine:web-1", "'machine:'"),
                        ("sort:period", "'sort:period'")):
        r.refused(f"no column for {said}", "--scores", "rita", "--filter", words, "logs", code=2)


# ---- what is shown of it ----

def test_filter(r):
    usual(r.folder + "/logs")
    everything = r.objects("--no-state", "logs")
    for words, fits in (
            ("hunt:beacon", lambda f: f["hunt"] == "beacon"),
            ("-hunt:beacon", lambda f: f["hunt"] != "beacon"),
            ("severity:critical src:10.0.0.0/8", lambda f: f["severity"] == "critical"),
            ("machine:web-1", lambda f: f["src_machine"] == "web-1"),
            ("count:>100", lambda f: f["count"] > 100),
            ("src:192.168.0.0/16", lambda f: False)):
        found = r.objects("--no-state", "--filter", words, "logs")
        check(found == [f for f in everything if fits(f)], f"--filter {words}: {len(found)}")
    found = r.objects("--no-state", "--filter", "sort:count-desc", "-n", "2", "logs")
    check([f["count"] for f in found] == sorted((f["count"] for f in everything), reverse=True)[:2],
          "sort and limit")
    r.refused("did you mean 'severity'", "--filter", "severty:high", "logs", code=2)
    out, _ = r.run("--no-state", "--minimum", "critical", "--filter", "src:192.168.0.1", "logs")
    n = sum(f["severity"] == "critical" for f in everything)
    check(re.fullmatch(rf"Nothing to show: (\d+ findings? \w+ below --minimum, )?{n} findings? \w+ not what the "
                       r"filter asks for\.\n", out), out)


def test_safelist(r):
    usual(r.folder + "/logs")
    everything = r.objects("--no-state", "logs")
    with open(r.folder + "/known", "w", encoding="utf-8") as f:
        f.write("# ours\n10.0.0.5 *.evil.example   # a test\n")
    found = r.objects("--no-state", "--safelist", "known", "logs")
    hidden = [f for f in everything if f["name"] == "updates.evil.example"]
    check(hidden and found == [f for f in everything if f not in hidden], "what is hidden")
    _, err = r.run("--no-state", "-v", "--safelist", "known", "logs")
    check(f", {len(hidden)} hidden by the safelist" in err, err)
    out, _ = r.run("--no-state", "--safelist", "known", "logs")
    check(out.endswith(f"\n{len(hidden)} hidden by a safelist: --show-safelisted\n"), out)
    out, _ = r.run("--no-state", "--safelist", "known", "--show-safelisted", "logs")
    check("--show-safelisted" not in out, out)
    shown = r.objects("--no-state", "--safelist", "known", "--show-safelisted", "logs")
    check([f["id"] for f in shown] == [f["id"] for f in everything], "--show-safelisted")
    check({f["hidden_by"] for f in shown} == {None, "known:2: 10.0.0.5 *.evil.example"}, "by what")
    with open(r.folder + "/known", "a", encoding="utf-8") as f:
        f.write("10.0.0.500\n")
    r.refused(r"known:3: '10.0.0.500' is no address", "--no-state", "--safelist", "known", "logs")
    r.refused("safelist: nowhere: No such file", "--no-state", "--safelist", "nowhere", "logs")


def test_hostile(r):
    logs = Logs()
    logs.implant(name=HOSTILE, machine=HOSTILE, service=HOSTILE)
    logs.people()
    logs.write(r.folder + "/logs")
    found = r.objects("--no-state", "logs")
    check(found, "nothing is found")
    for args in ([], ["--csv"], ["--explain", found[0]["id"]], ["-v"]):
        out, err = r.run("--no-state", *args, "logs")
        check(plain(out.replace("\r\n", "\n")) and plain(err), f"{args}: a control character")


def test_broken(r):
    folder = usual(r.folder + "/logs")
    with open(folder + "/conn.log", "a", encoding="utf-8") as f:
        f.write("{\n\x00\x01\x02\nnonsense\n" + "x" * 100000 + "\n")
        f.write('{"ts":9999999999999,"id.orig_h":"10.0.0.1"}\n')
    found, err = r.run("--no-state", "-v", "logs")
    check("beacon: every 60 s" in found, "the implant is not found among broken lines")
    check(re.search(r"conn\.log", err) and len(err.splitlines()) < 8, err)
    check(re.search(r", \d+ lines? not understood", err), err)


# ---- what is refused ----

def test_refused(r):
    os.mkdir(r.folder + "/empty")
    with open(r.folder + "/letter.txt", "w", encoding="utf-8") as f:
        f.write("Dear reader,\n")
    usual(r.folder + "/logs")
    r.refused("nowhere: .*No such file", "--no-state", "nowhere")
    r.refused("empty: there are no Zeek logs", "--no-state", "empty")
    r.refused("no folder with logs is given", code=2)
    r.refused("yesterday", "--since", "yesterday", "logs", code=2)
    r.refused("not later", "--since", "2026-11-20", "--until", "2026-11-19", "logs", code=2)
    r.refused("10.0.0.0/33", "--internal", "10.0.0.0/33", "logs", code=2)
    r.refused("sceores", "--sceores", "rita", "logs", code=2)
    r.refused("at least 64M", "--memory", "1M", "logs", code=2)
    r.refused("nowhere", "--no-state", "--feed", "nowhere", "logs")
    r.refused("nowhere.yaml", "--no-state", "-c", "nowhere.yaml", "logs")
    r.refused("--on-alert: ./nothing: No such file", "--no-state", "--on-alert", "./nothing", "logs")
    _, err = r.run("--no-state", "letter.txt", code=1)
    check("letter.txt: " in err and "nothing of it could be read" in err, err)
    if os.geteuid() != 0:
        os.chmod(r.folder + "/logs/conn.log", 0)
        _, err = r.run("--no-state", "logs", code=3)
        check("conn.log: " in err and "Permission denied" in err, err)


def test_config(r):
    usual(r.folder + "/logs")
    with open(r.folder + "/known", "w", encoding="utf-8") as f:
        f.write("name\n")
    path = r.folder + "/cloudspan.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write("hunts:\n  off: [beacon]\n  safelists: [known]\n  window: 26h\n")
    found = r.objects("--no-state", "-c", path, "logs")
    check(found and all(f["hunt"] != "beacon" for f in found), "off: [beacon]")
    for text, says in (("hunts: {off: [becon]}", "did you mean 'beacon'"),
                       ("hunts: {of: [beacon]}", "did you mean 'off'"),
                       ("hunts: {internal: [ten]}", "'ten' is no address or network"),
                       ("hunts: {beacon: {nonsense: 1}}", "unknown key 'nonsense'")):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")
        r.refused(says, "--no-state", "-c", path, "logs")


# ---- spans, exit codes, alerts, what is kept ----

def test_since(r):
    logs = Logs()
    logs.implant(end=12 * HOUR)
    logs.implant(src="10.0.0.6", dst="203.0.113.8", begin=12 * HOUR, period=120)
    logs.people()
    logs.write(r.folder + "/logs")

    def sources(*args):
        return {f["src"] for f in r.objects("--no-state", "--filter", "hunt:beacon", *args, "logs")}
    check(sources() == {"10.0.0.5", "10.0.0.6"}, sources())
    check(sources("--since", "11h") == {"10.0.0.6"}, sources("--since", "11h"))
    check(sources("--since", "2026-11-20T12:00") == {"10.0.0.6"}, "a time")
    check(sources("--until", "2026-11-20T11:00", "--since", "11h") == {"10.0.0.5"}, "until")
    # What a run with --since keeps is whole: the next one finds what was before.

    def kept(*args):
        return {f["src"] for f in r.objects("--filter", "hunt:beacon", *args, "logs")}
    check(kept("--since", "2026-11-20T12:00") == {"10.0.0.6"}, "a time, and an archive")
    check(kept() == {"10.0.0.5", "10.0.0.6"}, "what was before it is lost")
    # Of a time after the last record nothing is told, and that there is none.
    for args in (("--no-state",), ()):
        out, err = r.run(*args, "--since", "2026-12-24", "logs")
        check(out == "Nothing was found.\n", out)
        check("no record is as new as what is judged" in err, err)
        out, err = r.run(*args, "--until", "2024-01-01", "logs")
        check(out == "Nothing was found.\n", out)
        check("no record is as old as what is judged" in err and "2026-11-20" in err, err)


def test_exit_code(r):
    usual(r.folder + "/logs")
    r.run("--no-state", "-q", "logs")
    r.run("--no-state", "--exit-code", "logs", code=4)
    r.run("--no-state", "--exit-code", "--minimum", "critical", "--filter", "severity:low", "logs")
    r.run("--no-state", "--help")
    out, _ = r.run("--version")
    check(out.startswith("cloudspan "), out)


def test_alert(r):
    usual(r.folder + "/logs")
    hook = r.folder + "/hook"
    with open(hook, "w", encoding="utf-8") as f:
        f.write('#!/bin/sh\n{ cat; echo "$1 $CLOUDSPAN_HUNT $CLOUDSPAN_SRC $HOME"; } >> '
                f'"{r.folder}/told"\n')
    os.chmod(hook, 0o755)
    out, _ = r.run("--no-state", "--alert", "--on-alert", f"{hook} word", "logs")
    lines = [json.loads(line) for line in out.splitlines()]
    check(lines and all(line["alert"] == "new" for line in lines), out)
    told = open(r.folder + "/told", encoding="utf-8").read().splitlines()
    check([json.loads(line) for line in told[::2]] == lines, "the hook's standard input")
    check(all(re.fullmatch(r"word [\w-]+ 10\.0\.0\.\d+ ", line) for line in told[1::2]), told[1::2])
    with open(hook, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nexit 3\n")
    _, err = r.run("--no-state", "--alert", "--on-alert", hook, "logs")
    check("ended with 3" in err, err)


def test_follow(r):
    folder = r.folder + "/logs"
    logs = Logs()
    logs.people()
    logs.write(folder)
    process = r.start("--no-state", "--follow=1s", "logs")
    try:
        time.sleep(1.5)
        implant = Logs()
        implant.implant(name="updates.evil.example")
        with open(folder + "/conn.log", "a", encoding="utf-8") as f:
            f.write("".join(json.dumps({**c, "uid": "I" + c["uid"]}) + "\n" for c in implant.conn))
        line = process.stdout.readline()
        told = json.loads(line)
        check(told["alert"] == "new" and told["src"] == "10.0.0.5", line)
        time.sleep(2.5)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=20)
    finally:
        process.kill()
    check(process.returncode == 130, f"ends with {process.returncode}: {err}")
    check(not any(json.loads(x)["id"] == told["id"] for x in rest.splitlines()), "it is told twice")


def test_state(r):
    folder = r.folder + "/logs"
    usual(folder)
    first = r.objects("logs")
    kept = [name for name in os.listdir(r.folder + "/state/hunts") if name.endswith(".db")]
    check(len(kept) == 1 and kept[0].startswith("logs-"), kept)
    again, err = r.run("--json", "-v", "logs")
    again = [json.loads(line) for line in again.splitlines()]

    def same(a):
        return {(f["id"], f["severity"], f["count"]) for f in a}
    check(same(again) == same(first), "another result from what was kept")
    check("read before" in err, err)
    out, _ = r.run("--alert", "logs")
    check(out, "nothing is told")
    out, _ = r.run("--alert", "logs")
    check(out == "", f"it is told again: {out}")
    # What comes is added to what was kept.
    late = Logs(3)
    late.implant(src="10.0.0.7", dst="203.0.113.9", machine="new-1")
    with open(folder + "/conn.log", "a", encoding="utf-8") as f:
        f.write("".join(json.dumps({**c, "uid": "L" + c["uid"]}) + "\n" for c in late.conn))
    found = r.objects("logs")
    check(any(f["src"] == "10.0.0.7" for f in found), "what is new is not found")
    check(any(f["src"] == "10.0.0.5" for f in found), "what was kept is gone")
    # A broken file is put aside, and said.
    path = os.path.join(r.folder, "state/hunts", kept[0])
    with open(path, "wb") as f:
        f.write(b"no database at all" * 1000)
    out, err = r.run("logs")
    check("updates.evil.example" in out, "nothing is found without the archive")
    check(kept[0] in err, err)


def test_week(r):
    """Days in folders of their own, packed: a slow implant shows over several of them, and what was
    read of a day that is over is not read again."""
    implant = Logs(5)
    implant.implant(end=72 * HOUR, period=7200, jitter=.1, machine="slow-1")
    for day in range(3):
        logs = Logs(day)
        logs.people(100)
        for record in logs.conn:
            record["ts"] += day * 24 * HOUR
            record["uid"] += f"d{day}"
        logs.conn += [c for c in implant.conn if day * 24 <= (c["ts"] - BEGIN) / HOUR < day * 24 + 24]
        logs.write(r.folder + "/logs", f"2026-11-{20 + day}", pack=True)

    def beacons(*args):
        return [f for f in r.objects("--filter", "hunt:beacon", *args, "logs")]
    found = beacons("--since", "3d")
    check([f["src_machine"] for f in found] == ["slow-1"], found)
    check(30 <= found[0]["count"] <= 40, found[0]["count"])
    far = beacons("--no-state", "--since", "2026-11-20T00:00")
    check([f["count"] for f in far] == [found[0]["count"]], "a time three days ago")
    again = beacons("--since", "3d")
    check([f["count"] for f in again] == [found[0]["count"]], "another number from what was kept")
    _, err = r.run("-v", "--since", "3d", "logs")
    check(" 0 new connections of 3 days" in err, err)
    check("files were read before" in err, err)


def test_interrupt(r):
    logs = Logs()
    logs.implant()
    logs.people(5000)
    folder = r.folder + "/logs"
    logs.write(folder, "2026-11-20")
    for copy in range(10):
        for name in ("conn", "ssl"):
            with open(f"{folder}/2026-11-20/{name}.{copy:02}:00:00-{copy + 1:02}:00:00.log", "w",
                      encoding="utf-8") as f, open(f"{folder}/2026-11-20/{name}.log",
                                                   encoding="utf-8") as of:
                f.write(of.read().replace('"uid": "C', f'"uid": "D{copy}'))
    process = r.start("-j", "1", "logs")
    # Its archive is opened after it is ready for signals, and before it reads.
    for _ in range(1000):
        if os.path.isdir(r.folder + "/state/hunts") and os.listdir(r.folder + "/state/hunts"):
            break
        time.sleep(.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    if process.returncode != 0:  # else it was faster than the signal
        check(process.returncode == 130, f"ends with {process.returncode}: {err}")
        check(b"interrupted" in err, err)
        check(out == b"", "half a result")
    found = r.objects("--filter", "hunt:beacon", "logs")
    whole = r.objects("--no-state", "--filter", "hunt:beacon", "logs")
    check([(f["src"], f["count"]) for f in found] == [(f["src"], f["count"]) for f in whole],
          "another result after it")


def main(tests=None):
    program = sys.argv[1]
    tests = {name[5:]: test for name, test in (tests or globals()).items()
             if name.startswith("test_")}
    names = sys.argv[2:] or list(tests)
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="hunt.") as folder:
            begun = time.monotonic()
            try:
                tests[name](Runner(program, folder))
                said = "ok"
            except Failed as failure:
                said = f"FAILED: {failure}"
                failed += 1
            except Exception as failure:  # the test goes on with the others
                said = f"FAILED: {type(failure).__name__}: {failure}"
                failed += 1
        print(f"{name}: {said} ({time.monotonic() - begun:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
