"""Where mirrors are measured: a monitored machine between its peer and a collector, each a network
namespace, and the ways to copy what passes the monitored interface.

    peer 10.1.0.2 -- eth0 10.1.0.1 mon 10.9.0.1 eth1 -- 10.9.0.2 col        two interfaces
    peer 10.1.0.2, mon 10.1.0.1 and col 10.1.0.3 on one switch              one

Everything here is made by this run and taken away by it. Processes are stopped by the ids of those
we started; the mirror's own process is ended by the command that started it.
"""

import json
import os
import re
import signal
import subprocess
import time

from base import Unavailable, find_program
from live_bed import PRIORITY, TICKS_PER_S, run

# Frames to somebody else are thrown away where they arrive, at the least cost: what is measured is
# the monitored machine, and not who listens to it.
NOBODYS_MAC = "02:00:5e:00:00:99"
VOID = "10.1.0.66"  # where the flood goes: on the peer's wire
PEER = "10.1.0.2"
ID = 101
MTU = 1600  # so that copies of whole frames are not cut in two
AROUND = {"vxlan": 50, "interface": 0}  # bytes around the copied frame
HEADERS = 14 + 20 + 32  # of a TCP segment with a time stamp


class Net:
    """The namespaces and what is between them."""

    def __init__(self, tag, is_one):
        self.is_one = is_one
        self.made = []
        self.mon, self.peer, self.col, self.switch = (
            f"csmir-{tag}{role}{os.getpid()}" for role in ("mon", "peer", "col", "sw"))
        self.via = "eth0" if is_one else "eth1"
        self.collector = "10.1.0.3" if is_one else "10.9.0.2"

    def __enter__(self):
        try:
            for ns in (self.mon, self.peer, self.col) + ((self.switch,) if self.is_one else ()):
                run("ip", "netns", "add", ns)
                self.made.append(ns)
                run("ip", "netns", "exec", ns, "sysctl", "-qw",
                    "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
                    "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
                run("ip", "-n", ns, "link", "set", "lo", "up")
            if self.is_one:
                self.wire_switch()
            else:
                self.wire_two()
            self.know_each_other()
        except (subprocess.CalledProcessError, OSError) as e:
            self.close()
            raise Unavailable((getattr(e, "stderr", "") or str(e)).strip()) from e
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for ns in self.made:
            subprocess.run(["ip", "netns", "del", ns], check=False, stderr=subprocess.DEVNULL)
        self.made = []

    def cable(self, ns_a, device_a, ns_b, device_b):
        run("ip", "link", "add", device_a, "netns", ns_a, "mtu", str(MTU), "type", "veth", "peer",
            "name", device_b, "netns", ns_b, "mtu", str(MTU))
        run("ip", "-n", ns_a, "link", "set", device_a, "up")
        run("ip", "-n", ns_b, "link", "set", device_b, "up")

    def wire_two(self):
        self.cable(self.mon, "eth0", self.peer, "eth0")
        self.cable(self.mon, "eth1", self.col, "eth0")
        run("ip", "-n", self.mon, "addr", "add", "10.9.0.1/24", "dev", "eth1")
        run("ip", "-n", self.col, "addr", "add", "10.9.0.2/24", "dev", "eth0")

    def wire_switch(self):
        run("ip", "-n", self.switch, "link", "add", "br0", "mtu", str(MTU), "type", "bridge")
        for number, ns in enumerate((self.mon, self.peer, self.col)):
            self.cable(ns, "eth0", self.switch, f"p{number}")
            run("ip", "-n", self.switch, "link", "set", f"p{number}", "master", "br0")
        run("ip", "-n", self.switch, "link", "set", "br0", "up")
        run("ip", "-n", self.col, "addr", "add", "10.1.0.3/24", "dev", "eth0")
        # The switch has learnt where the two are that do not speak.
        for mac, port in ((NOBODYS_MAC, "p1"), (NOBODYS_MAC[:-1] + "8", "p2")):
            run("bridge", "-n", self.switch, "fdb", "add", mac, "dev", port, "master", "static")

    def know_each_other(self):
        """For good, so that nothing is on the wires but what is sent."""
        run("ip", "-n", self.mon, "addr", "add", "10.1.0.1/24", "dev", "eth0")
        run("ip", "-n", self.peer, "addr", "add", PEER + "/24", "dev", "eth0")
        for ns, address, mac, device in (
                (self.mon, PEER, self.mac(self.peer), "eth0"),
                (self.peer, "10.1.0.1", self.mac(self.mon), "eth0"),
                (self.mon, VOID, NOBODYS_MAC, "eth0"),
                (self.mon, self.collector, NOBODYS_MAC[:-1] + "8", self.via)):
            run("ip", "-n", ns, "neigh", "replace", address, "lladdr", mac, "dev", device)

    @staticmethod
    def link(ns, device="eth0"):
        return json.loads(run("ip", "-n", ns, "-s", "-j", "link", "show", device))[0]

    def mac(self, ns):
        return self.link(ns)["address"]

    def counters(self):
        """(packets that the monitored interface sent, those it received, packets and bytes that
        the collector had)"""
        mon, col = self.link(self.mon)["stats64"], self.link(self.col)["stats64"]["rx"]
        return [mon["tx"]["packets"], mon["rx"]["packets"], col["packets"], col["bytes"]]


def started(ns, core, *argv, **options):
    process = subprocess.Popen(["ip", "netns", "exec", ns, "nice", "-n", PRIORITY, "taskset", "-c",
                                str(core), *argv], start_new_session=True, **options)
    prefer(process.pid)
    return process


def prefer(pid):
    """Where the kernel shares the cores among sessions, a process's priority counts only in its
    own."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
            f.write(PRIORITY)
    except OSError:
        pass  # such a kernel does not


def cpu_of(pid):
    """User and system seconds of a process so far, as the scheduler has counted them."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9
    except (OSError, ValueError):
        pass
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / TICKS_PER_S


def busy_of(core):
    """Seconds that a core has worked so far, for whomever."""
    with open("/proc/stat", encoding="ascii") as f:
        for line in f:
            name, *times = line.split()
            if name == f"cpu{core}":
                return sum(int(times[i]) for i in (0, 1, 2, 5, 6)) / TICKS_PER_S
    raise Unavailable(f"/proc/stat has no core {core}")


# --- the ways to copy

class Nothing:
    """No mirror, and what all of them have."""

    lost = 0  # copies that it says it has not sent
    makes_copies = False

    def __init__(self, net, name="none"):
        self.net = net
        self.name = name
        self.to = None

    def start(self):
        pass

    def stop(self):
        pass

    def cpu(self):
        """Seconds of the process that copies, where one does."""
        return 0.0

    def told(self):
        """(copies that it counts as sent, as lost) so far; None: it does not count."""
        return None


class Tcpdump(Nothing):
    """The yardstick: it reads the interface and throws away what it read."""

    def __init__(self, net, core):
        super().__init__(net, "tcpdump")
        self.core = core
        self.process = None
        self.errors = None

    def start(self):
        self.process = started(self.net.mon, self.core, find_program("tcpdump"), "-i", "eth0", "-n",
                               "-w", "/dev/null", stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "listening on" in line:
                return
        raise Unavailable("tcpdump does not start")

    def stop(self):
        self.process.terminate()
        self.process.communicate()

    def cpu(self):
        return cpu_of(self.process.pid)

    def told(self):
        """What it read, and what was dropped; the kernel hands it what came within a second."""
        time.sleep(1.2)
        self.process.send_signal(signal.SIGUSR1)
        numbers = re.findall(r"(\d+) packets? (captured|dropped by kernel)",
                             self.process.stderr.readline())
        said = {what: int(n) for n, what in numbers}
        return said["captured"], said["dropped by kernel"]


class Mirror(Nothing):
    """By cloudspan."""

    makes_copies = True

    def __init__(self, net, tools, scratch, core, method, to, name):
        super().__init__(net, name)
        self.tools = tools
        self.core = core
        self.method = method
        self.to = to
        self.environment = {**os.environ, "CLOUDSPAN_STATE": os.path.join(scratch, "state")}
        self.carrier = None

    def command(self, verb, *arguments):
        done = subprocess.run(
            ["ip", "netns", "exec", self.net.mon, "nice", "-n", PRIORITY, "taskset", "-c",
             str(self.core), self.tools.cloudspan, "mirror", verb, "linux", *arguments],
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
        if done.returncode not in ((0, 4) if verb == "status" else (0,)):
            raise Unavailable(f"{self.name}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    def start(self):
        to = ["--to", f"vxlan:{self.net.collector}", "--id", str(ID)] if self.to == "vxlan" else \
            ["--to", f"interface:{self.net.via}"] + (
                ["--gateway", self.net.collector] if self.method in ("nft-ip", "tee") else [])
        self.command("apply", "-y", "-q", "-i", "eth0", "--method", self.method, *to)
        if self.method == "user":
            self.carrier = self.find_carrier()
            prefer(self.carrier)

    def stop(self):
        self.carrier = None
        self.command("remove", "-y", "-q", "--all")

    def find_carrier(self):
        """The process that copies is the only one that stays in the namespace."""
        pids = run("ip", "netns", "pids", self.net.mon).split()
        for pid in pids:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"carry" in f.read().split(b"\0"):
                    return int(pid)
        raise Unavailable(f"{self.name}: there is no process that copies")

    def cpu(self):
        return cpu_of(self.carrier) if self.carrier else 0.0

    def told(self):
        """The part that copies says how many it handed on, a tunnel how many left it."""
        if self.carrier:
            time.sleep(0.3)  # it writes its counters now and then
        counts = [json.loads(line) for line in self.command("status", "--json").splitlines()]
        counts = [c for c in counts if c["type"] == "counters"]
        copied = [c for c in counts if not c["what"].startswith("tunnel")]
        return (sum(c["mirrored"] or 0 for c in copied), sum(c["lost"] or 0 for c in counts))


def ways(two, one, tools, scratch, core):
    """All that is measured, by their order in the table."""
    found = [Nothing(two)]
    if find_program("tcpdump"):
        found.append(Tcpdump(two, core))
    for to in ("vxlan", "interface"):
        found += [Mirror(two, tools, scratch, core, method, to, f"{method} {to}")
                  for method in ("tc", "nft", "nft-ip", "tee", "user")
                  if method != "user" or to == "vxlan"]
    found += [Nothing(one, "none, one interface"),
              Mirror(one, tools, scratch, core, "tc", "vxlan", "tc vxlan, one interface")]
    return found
