"""Who is alive: mirrors that are taken away in whole or in part, machines that are gone, and what
must not be called silence. Times are measured from the act to the verdict."""
import contextlib
import re
import threading

import logs
import traffic
from collector import Watch
from lab import Failed, wait_until
from lan import COLLECTOR, DB, WEB, Lan
from scenario import scenario

ALIVE = ("ok", "quiet")
# Seconds until a busy one's silence is told: 10, as the unit test of health has it, and what a
# collector takes longer that shares its processors with other tests.
BUSY = 20
BAD = {"SILENT", "MUTED", "ONE-SIDED", "TRUNCATED", "DROPPING"}


class Clinic:
    """web and db, both mirrored, both configured, and a watch that looks after them."""

    def __init__(self, lab, canary="{interval: 1s}", sources=WEB + DB):
        self.lab = lab
        self.names = [name for name in ("web", "db") if f"name: {name}" in sources]
        self.lan = Lan(lab)
        self.web, self.db = self.lan.pair()
        self.watch = Watch(lab, self.lan.col, "-l", "vxlan", metrics=9464,
                           config=f"canary: {canary}\nsources:\n{sources}")
        self.stopping = threading.Event()
        self.busy_thread = None

    def busy(self, services=("http", "dns")):
        """Talk between db and web until the end, some ten exchanges a second."""
        def loop():
            turn = 0
            while not self.stopping.is_set():
                turn += 1
                with contextlib.suppress(OSError):
                    if "http" in services:
                        traffic.http_get(self.db, self.web.lan_address, f"/busy/{turn}/x")
                    if "dns" in services:
                        traffic.dns_ask(self.db, self.web.lan_address, "busy.example.net",
                                        turn & 0xFFFF)
                self.stopping.wait(0.05)
        self.busy_thread = self.lab.serve(loop)

    def calm(self):
        self.stopping.set()
        if self.busy_thread:
            self.busy_thread.join()

    def all_well(self):
        """Each source of the configuration is heard, and well, and its mirror is known to show
        canaries: busy machines get some, too, or else their silence would prove nothing later."""
        for name in self.names:
            self.watch.wait_state(name, ALIVE, limit=240)
            wait_until(lambda n=name: self.watch.machine(n).get("canaries_back"),
                       f"no canary came back through the mirror of {name}", every=0.1)

    def end(self):
        """The clean end; and the canary is in no log."""
        self.calm()
        live = self.watch.stop()
        no_canary(live)
        return live


def no_canary(live):
    for name, log in live.items():
        if name in logs.OWN:
            continue
        for row in log.dicts():
            if COLLECTOR in (row.get("id.orig_h"), row.get("id.resp_h")):
                raise Failed(f"the canary is in {name}.log: {row}")


def must_match(machine, pattern):
    if not re.search(pattern, machine.get("reason", ""), re.I):
        raise Failed(f"{machine['source']} is {machine['state']} because of '{machine.get('reason')}', "
                     f"which does not say /{pattern}/")


def must_alarm(live, machine, state):
    """notice.log has the alarm, and the all-clear after it."""
    rows = [" ".join(str(value) for value in row.values()) for row in live["notice"].dicts()] \
        if "notice" in live else []
    mine = [row for row in rows if machine in row]
    if not any(state in row for row in mine):
        raise Failed(f"notice.log has no alarm that {machine} is {state}: {rows}")
    return mine


@scenario("silent-idle")
def silent_idle(lab):
    """root takes the mirror of an idle machine away: SILENT, the reason says that the host lives."""
    silent(lab, "{interval: 1s}", busy=False, limit=60)


@scenario("silent-idle-defaults")
def silent_idle_defaults(lab):
    """The same with the default canary, within two minutes."""
    silent(lab, "{}", busy=False, limit=120)


@scenario("silent-busy")
def silent_busy(lab):
    """root takes the mirror of a busy machine away: SILENT at once, with the defaults."""
    silent(lab, "{}", busy=True, limit=BUSY)


@scenario("silent-to-peers")
def silent_to_peers(lab):
    """The same of a machine that others who are mirrored talk to: they bear witness, too."""
    silent(lab, "{}", busy=True, limit=BUSY, sources=WEB + DB, states=("SILENT", "MUTED"))


def silent(lab, canary, busy, limit, sources=WEB, states=("SILENT",)):
    clinic = Clinic(lab, canary, sources)
    watch = clinic.watch
    if busy:
        clinic.busy()
    clinic.all_well()
    if watch.sources()[0] != 0:
        raise Failed(f"all is well, but `sources` ends with {watch.sources()}")
    if busy:
        # So long that it is known as a busy one.
        wait_until(lambda: age_of(watch.machine("web")) > 45, "the machine is not heard",
                   limit=120, every=0.5)
    clinic.lan.mirror_off(clinic.web)
    machine, seconds = watch.wait_state("web", states)
    print(f"{machine['state']} after {seconds:.1f} s: {machine['reason']}")
    if seconds > limit:
        raise Failed(f"it took {seconds:.1f} s, not {limit}")
    # That it lives is known with the next canary that it answers.
    alive = r"alive|answer|hides"
    with contextlib.suppress(Failed):
        wait_until(lambda: re.search(alive, watch.machine("web").get("reason", ""), re.I), "",
                   limit=10, every=0.5)
    must_match(watch.machine("web"), alive)
    if watch.sources()[0] != 4:
        raise Failed(f"a machine is silent, but `sources` ends with {watch.sources()[0]}")
    if watch.machine("db").get("state") in BAD:
        raise Failed(f"db is not at fault: {watch.machine('db')}")
    clinic.lan.mirror(clinic.web, 101)
    watch.wait_state("web", ALIVE)
    live = clinic.end()
    must_alarm(live, "web", machine["state"])


@scenario("muted-port")
def muted_port(lab):
    """One port is left out of the mirror: MUTED, and the port is named."""
    muted(lab, [["match", "ip", "protocol", "6", "0xff", "match", "ip", "sport", "80", "0xffff"],
                ["match", "ip", "protocol", "6", "0xff", "match", "ip", "dport", "80", "0xffff"]],
          r"\b80\b|http")


@scenario("muted-but-icmp")
def muted_but_icmp(lab):
    """Everything but ICMP is left out of the mirror, so that a ping would still be mirrored: MUTED."""
    muted(lab, [["match", "ip", "protocol", str(proto), "0xff"] for proto in (6, 17)], r"db|10\.1\.0\.12")


def muted(lab, left_out, pattern):
    clinic = Clinic(lab)
    clinic.busy()
    clinic.all_well()
    wait_until(lambda: clinic.watch.machine("web").get("packets", 0) > 500, "too little traffic")
    for direction in ("ingress", "egress"):
        for prio, match in enumerate(left_out, 3):
            clinic.web.tc("filter", "add", "dev", "eth0", direction, "protocol", "ip", "prio",
                          str(prio), "u32", *match, "flowid", "1:1")
    machine, seconds = clinic.watch.wait_state("web", "MUTED")
    print(f"MUTED after {seconds:.1f} s: {machine['reason']}")
    must_match(machine, pattern)
    state = clinic.watch.machine("db").get("state")
    if state in BAD:
        raise Failed(f"db shows all it says, but is {state}: {clinic.watch.machine('db')}")
    live = clinic.end()
    must_alarm(live, "web", "MUTED")


@scenario("host-down")
def host_down(lab):
    """A machine is switched off: told apart from one whose mirror was taken away."""
    clinic = Clinic(lab)
    clinic.busy()
    clinic.all_well()
    wait_until(lambda: clinic.watch.machine("web").get("packets", 0) > 200, "too little traffic")
    clinic.web.ip("link", "set", "eth0", "down")
    machine, seconds = clinic.watch.wait_state("web", {"SILENT", "UNKNOWN"})
    machine = wait_until(lambda: says(clinic.watch.machine("web"), "host down"),
                         lambda: f"the host is down, but: {clinic.watch.machine('web')}", every=0.2)
    print(f"{machine['state']} after {seconds:.1f} s: {machine['reason']}")
    clinic.web.ip("link", "set", "eth0", "up")
    clinic.watch.wait_state("web", ALIVE)
    clinic.end()


def age_of(machine):
    """Seconds since it was first heard, at the last time that it was."""
    return machine["last_packet"] - machine["first_packet"]


def says(machine, pattern):
    return machine if re.search(pattern, machine.get("reason", ""), re.I) else None


@scenario("canary-blocked", "nft")
def canary_blocked(lab):
    """A firewall lets no canary through to an idle machine: UNKNOWN, never SILENT."""
    clinic = Clinic(lab, "{interval: 1s}", WEB)
    clinic.lan.switch.nft("""table netdev wall {
        chain out { type filter hook ingress device "p-col" priority 0;
                    ip daddr 10.1.0.11 drop; }
    }""")
    # It says something once, so it is known, and then nothing: no ARP either.
    for one, other in ((clinic.web, clinic.lan.col), (clinic.lan.col, clinic.web)):
        one.ip("neigh", "replace", other.lan_address, "lladdr", other.mac("eth0"), "dev", "eth0")
    traffic.ping(clinic.db, clinic.web.lan_address)
    machine, _ = clinic.watch.wait_state("web", "UNKNOWN")
    sent = machine.get("canaries_sent", 0)
    seen = set()

    def many_more():
        now = clinic.watch.machine("web")
        seen.add(now.get("state"))
        return now.get("canaries_sent", 0) >= sent + 15
    wait_until(many_more, "no canaries are sent", every=0.1)
    if seen & BAD:
        raise Failed(f"nothing is proven, but web was {seen}")
    clinic.end()


@scenario("never-mirrored")
def never_mirrored(lab):
    """A machine of the configuration that was never mirrored, and answers: it is not called well."""
    clinic = Clinic(lab, sources=WEB + DB + """  - name: naked
    channel: "vxlan:109@10.1.0.19"
    addresses: [10.1.0.19]
""")
    clinic.lan.add("naked", 19)
    machine, seconds = clinic.watch.wait_state("naked", {"SILENT", "UNKNOWN"})
    machine = wait_until(lambda: says(clinic.watch.machine("naked"), "answers"),
                         lambda: f"naked answers, but: {clinic.watch.machine('naked')}", every=0.2)
    print(f"{machine['state']} after {seconds:.1f} s: {machine['reason']}")
    clinic.end()


@scenario("one-direction")
def one_direction(lab):
    """The mirror shows one direction only: ONE-SIDED."""
    clinic = Clinic(lab)
    clinic.busy()
    clinic.all_well()
    clinic.web.tc("filter", "del", "dev", "eth0", "egress")
    machine, seconds = clinic.watch.wait_state("web", {"ONE-SIDED", "MUTED"})
    print(f"{machine['state']} after {seconds:.1f} s: {machine['reason']}")
    clinic.end()


@scenario("quiet-is-well")
def quiet_is_well(lab):
    """Idle machines whose mirrors work raise no alarm over dozens of canaries."""
    clinic = Clinic(lab, "{interval: 1s}")
    clinic.all_well()
    begin = clinic.watch.machine("web").get("canaries_sent", 0)
    seen = set()

    def long_enough():
        for name in ("web", "db"):
            seen.add(clinic.watch.machine(name).get("state"))
        return clinic.watch.machine("web").get("canaries_sent", 0) >= begin + 30
    wait_until(long_enough, "no canaries are sent", every=0.2)
    if seen & BAD or "UNKNOWN" in seen:
        raise Failed(f"idle machines were {seen}")
    live = clinic.end()
    if logs.rows_of(live, "notice"):
        raise Failed(f"notice.log has {live['notice'].rows}")


