"""Hunts in a running watch: an implant on a mirrored machine is named, and nobody else is."""
import contextlib
import json
import os
import random
import threading
import time

import traffic
from collector import Watch
from lab import Failed, wait_until
from lan import DB, WEB, Lan
from scenario import scenario

SERVER, SHOP = "203.0.113.9", "198.51.100.7"  # outside: the implant's own, and one that all use
PERIOD = 5.0                                  # a minute of the implant's clock
JITTER = 0.2
CHECK_INS = 20


class Office:
    """web and db, both mirrored, in a network of their own, and two servers outside."""

    def __init__(self, lab, more=""):
        self.lab = lab
        self.lan = Lan(lab)
        self.web, self.db = self.lan.pair()
        self.outside = self.lan.add("outside", 200)
        for address in (SERVER, SHOP):
            self.outside.ip("addr", "add", f"{address}/32", "dev", "eth0")
            traffic.http_server(lab, self.outside, address)
        for machine in (self.web, self.db):
            for address in (SERVER, SHOP):
                machine.ip("route", "add", f"{address}/32", "dev", "eth0")
        self.folder = lab.folder("office.logs")
        self.config = f"hunts: {{every: 1s}}\n{more}sources:\n{WEB + DB}"
        self.stopping = threading.Event()
        self.n_check_ins = 0
        self.threads = []

    def watch(self, name="watch"):
        return Watch(self.lab, self.lan.col, "-l", "vxlan", config=self.config, name=name,
                     folder=self.folder, metrics=9464)

    def loop(self, act, wait):
        """`act` for ever, after pauses that `wait` gives."""
        def body():
            while not self.stopping.wait(wait()):
                with contextlib.suppress(OSError):
                    act()
        self.threads.append(self.lab.serve(body))

    def people(self, seed=7):
        """What people and services do: at random, in bursts, among themselves and outside."""
        dice = random.Random(seed)
        self.loop(lambda: traffic.http_get(self.db, SHOP, f"/shop/{dice.random()}"),
                  lambda: dice.expovariate(1 / 3.0))
        self.loop(lambda: [traffic.http_get(self.web, SHOP, f"/page/{i}")
                           for i in range(dice.randint(1, 5))],
                  lambda: dice.lognormvariate(1.0, 1.0))
        self.loop(lambda: traffic.dns_ask(self.db, self.web.lan_address, "www.example.net",
                                          dice.randrange(65536)),
                  lambda: dice.expovariate(1.0))

    def implant(self, seed=11):
        dice = random.Random(seed)

        def check_in():
            traffic.http_get(self.web, SERVER, "/check-in", host="cdn.example.org")
            self.n_check_ins += 1
        self.loop(check_in, lambda: PERIOD * (1 + JITTER * dice.uniform(-1, 1)))

    def calm(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def findings(watch, least=("critical", "high")):
    return [row for row in watch.snapshot().get("findings", ()) if row["severity"] in least]


def notices(live):
    rows = live["notice"].dicts() if "notice" in live else []
    return [row for row in rows if row["note"].startswith("Hunt::")]


@scenario("hunt-implant")
def hunt_implant(lab):
    """An implant that checks in each minute, more or less (its clock runs faster here), is named
    within 20 check-ins: by the machine's name, in the notices, to the hook; and nothing else is."""
    told = lab.path("told")
    hook = lab.path("hook.sh")
    with open(hook, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\ncat >> {told}\nprintf '\\n' >> {told}\n")
    os.chmod(hook, 0o755)
    office = Office(lab, more=f"on-alarm: [{hook}]\n")
    watch = office.watch()
    office.people()
    office.implant()
    found = wait_until(lambda: findings(watch), lambda: "nobody was named after "
                       f"{office.n_check_ins} check-ins: {watch.snapshot()}\n"
                       f"{watch.said()[-2000:]}", limit=200, every=0.2)
    if office.n_check_ins > CHECK_INS:
        raise Failed(f"named after {office.n_check_ins} check-ins: {found}")
    print(f"named after {office.n_check_ins} check-ins: {found[0]['title']}")
    row = found[0]
    if row["hunt"] != "beacon" or row["source"] != "web":
        raise Failed(f"this is not the implant: {row}")
    # It goes on: others have time to be named wrongly.
    time.sleep(6 * PERIOD)
    others = [row for row in findings(watch) if row["source"] != "web" or row["hunt"] != "beacon"]
    if others:
        raise Failed(f"others were named: {others}")
    metrics = watch.scrape()
    n = sum(metrics.get(f'cloudspan_findings{{severity="{s}"}}', 0) for s in ("critical", "high"))
    if n != len(findings(watch)) or metrics["cloudspan_hunt_lines_total"] < office.n_check_ins / 2:
        raise Failed(f"the metrics say otherwise: {n} findings, {metrics}")
    office.calm()
    live = watch.stop()
    rows = notices(live)
    if not rows or len(rows) > 2 or any(row["src"] != office.web.lan_address or
                                        row["note"] != "Hunt::Beacon" for row in rows):
        raise Failed(f"notice.log: {rows}")
    if not any(row["dst"] == SERVER or "cdn.example.org" in row["msg"] for row in rows):
        raise Failed(f"notice.log does not say whom: {rows}")
    with open(told, encoding="utf-8") as file:
        said = [json.loads(line) for line in file if line.strip()]
    said = [row for row in said if "beacon" in row["text"]]
    if len(said) != len(rows) or said[0]["machine"] != "web":
        raise Failed(f"the hook was told {said}")


@scenario("hunt-restart")
def hunt_restart(lab):
    """A watch that is started again goes on where the one before ended, and tells nothing twice."""
    office = Office(lab)
    watch = office.watch()
    office.implant()
    wait_until(lambda: findings(watch), "nobody was named", limit=200, every=0.2)
    row = findings(watch)[0]
    n_first = len(notices(watch.stop()))
    again = office.watch("again")
    wait_until(lambda: any(other["id"] == row["id"] for other in findings(again)),
               lambda: f"after the restart nothing is found: {again.snapshot().get('findings')}\n"
                       f"{again.said()[-2000:]}", limit=90, every=0.2)
    now = next(other for other in findings(again) if other["id"] == row["id"])
    if now["first"] > row["first"] + 1:
        raise Failed(f"what was before is forgotten: {row}, {now}")
    office.calm()
    n_all = len(notices(again.stop()))
    if n_first < 1 or n_all > n_first + 1:  # its level may have risen
        raise Failed(f"{n_first} notices before the restart, {n_all} after it")
