"""The laboratory of `cloudspan mirror … linux`: a monitored machine between its peer and a
collector; what a mirror must bring there; and the monitored machine's state, which must be the same
before and after."""
import hashlib
import json
import os
import re
import subprocess
from collections import Counter

import logs
import mirror_talk
import senders
from collector import Capture, Watch
from lab import Failed, need
from mirror_wire import Wire, frames_in, nested
from scenarios_receive import SOURCE_COLUMNS

UNITS = "/etc/systemd/system"

# Super-frames are cut at other places of the way in a copy than in the original.
PACKET_COUNTS = ("orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes")


class Net:
    """peer 10.1.0.2 -- eth0 10.1.0.1 mon 10.9.0.1 eth1 -- 10.9.0.2 col

    All neighbours are known for good, so that nothing is on the cables but what is sent."""
    device = mon_device = "eth0"  # the mirrored one; the one with the addresses
    out = "eth1"                  # by which a mirror leaves
    peer_device = peer_wire = "eth0"
    collector = "10.9.0.2"
    collector6 = "fd09::2"
    own = "10.9.0.1"

    def __init__(self, lab, offload=True, prefix="", quiet=True):
        self.lab, self.offload = lab, offload
        hide(UNITS)
        self.mon_addresses = ("10.1.0.1", "fd01::1")
        self.peer_addresses = ("10.1.0.2", "fd01::2")
        self.mon, self.peer, self.col = (lab.ns(prefix + name) for name in ("mon", "peer", "col"))
        if not quiet:
            # As on a machine whose interfaces all have IPv6 by themselves.
            self.mon.set_sysctl("net/ipv6/conf/default/disable_ipv6", 0)
        for ns in (self.mon, self.peer, self.col):
            # No router is asked for.
            ns.set_sysctl("net/ipv6/conf/default/router_solicitations", 0)
        self.wire()
        self.acquaint(self.mon, self.mon_device, self.peer, self.peer_device, self.peer_addresses)
        self.acquaint(self.peer, self.peer_device, self.mon, self.mon_device, self.mon_addresses)

    def wire(self):
        self.lab.cable(self.mon, "eth0", self.peer, "eth0", self.offload)
        self.cable_collector()
        self.mon.address("eth0", "10.1.0.1/24", "fd01::1/64")
        self.peer.address("eth0", "10.1.0.2/24", "fd01::2/64")

    def cable_collector(self):
        self.lab.cable(self.mon, "eth1", self.col, "eth0", self.offload)
        self.mon.address("eth1", "10.9.0.1/24", "fd09::1/64")
        self.col.address("eth0", "10.9.0.2/24", "fd09::2/64")
        self.acquaint(self.mon, "eth1", self.col, "eth0", ("10.9.0.2", "fd09::2"))

    def acquaint(self, ns, device, other, other_device, addresses):
        for address in addresses:
            ns.ip("neigh", "replace", address, "lladdr", other.mac(other_device), "dev", device)

    def capture(self, name="home"):
        """What the monitored interface itself sends and receives."""
        return Capture(self.lab, self.mon, self.device, name=name, direction="inout")

    def at_home(self, home):
        """The stopped capture, without the copies that are on their way."""
        return home.file

    def watch(self, *arguments, **more):
        return Watch(self.lab, self.col, *arguments, **more)


class OneInterface(Net):
    """peer 10.1.0.2, mon 10.1.0.1 and col 10.1.0.3 on one switch: the mirror leaves by eth0, which is
    mirrored."""
    out = "eth0"
    collector = "10.1.0.3"
    collector6 = "fd01::3"
    own = "10.1.0.1"

    def wire(self):
        self.switch = self.lab.ns("switch")
        self.switch.ip("link", "add", "br0", "type", "bridge")
        self.switch.ip("link", "set", "br0", "up")
        for number, ns in ((1, self.mon), (2, self.peer), (3, self.col)):
            self.lab.cable(ns, "eth0", self.switch, f"p{number}", self.offload)
            self.switch.ip("link", "set", f"p{number}", "master", "br0")
            ns.address("eth0", f"10.1.0.{number}/24", f"fd01::{number}/64")
        self.acquaint(self.mon, "eth0", self.col, "eth0", ("10.1.0.3", "fd01::3"))
        # Its traffic with the collector, if it answers the copies, is traffic like any other.
        self.acquaint(self.col, "eth0", self.mon, "eth0", self.mon_addresses)

    def at_home(self, home):
        return home.only(f"not host {self.collector} and not host {self.collector6}",
                         f"{home.process.name}-only")


class BridgePort(Net):
    """As Net; the monitored interface is a port of a bridge that has the addresses."""
    mon_device = "br0"

    def wire(self):
        self.lab.cable(self.mon, "eth0", self.peer, "eth0", self.offload)
        self.cable_collector()
        self.mon.ip("link", "add", "br0", "type", "bridge")
        self.mon.ip("link", "set", "eth0", "master", "br0")
        self.mon.address("br0", "10.1.0.1/24", "fd01::1/64")
        self.peer.address("eth0", "10.1.0.2/24", "fd01::2/64")


class VlanLower(Net):
    """As Net; the addresses are those of a VLAN on the monitored interface, so all its frames have a
    tag."""
    mon_device = "eth0.10"
    peer_device = "eth0.10"

    def wire(self):
        self.lab.cable(self.mon, "eth0", self.peer, "eth0", self.offload)
        self.cable_collector()
        for ns, number in ((self.mon, 1), (self.peer, 2)):
            ns.ip("link", "add", "link", "eth0", "name", "eth0.10", "type", "vlan", "id", "10")
            ns.address("eth0.10", f"10.1.0.{number}/24", f"fd01::{number}/64")


def has_link(kind, *more):
    """Whether this kernel makes such interfaces: tried in the laboratory's own first namespace."""
    made = subprocess.run(["ip", "link", "add", "trial0", *more, "type", kind[0], *kind[1:]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if made.returncode == 0:
        subprocess.run(["ip", "link", "del", "trial0"], check=True)
    return made.returncode == 0


def hide(folder):
    """An empty one in its place, for this laboratory."""
    if os.path.isdir(folder) and not os.path.ismount(folder):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", folder], check=True)


# --- What must arrive -----------------------------------------------------------------------------


class Trial:
    """One mirror tried: the traffic, seen by tcpdump on the monitored interface and by watch at the
    collector.

        trial = Trial(net, "-l", "vxlan")      the collector listens
        (the mirror is made)
        counts = trial.talk(mirror_talk.OF_IP)
        trial.compare()"""

    def __init__(self, net, *listen, whole_frames=False, config=None):
        self.net = net
        self.number = len(net.lab.processes)
        self.whole_frames = whole_frames
        self.is_bare = "-i" in listen  # copies come without a tunnel
        self.watch = net.watch(*listen, config=config, name=f"watch{self.number}")
        self.home = self.beside = None

    def talk(self, *groups):
        """The capture begins when the mirror is there, because nothing says what came before it."""
        if not self.home:
            self.home = self.net.capture(f"home{self.number}")
            self.beside = Capture(self.net.lab, self.net.col, "eth0", name=f"beside{self.number}")
        self.counts = mirror_talk.run(self.net, [kind for group in groups for kind in group])
        return self.counts

    def stop(self):
        self.beside.stop()
        self.live = self.watch.stop()
        self.home.stop()
        self.file = self.net.at_home(self.home)
        return self.live

    def compare(self, what, leave_out=(), only=None):
        """`only`: the part of the capture that such a mirror can bring."""
        live = self.stop()
        file = self.file
        if only:
            file = self.home.only(only, f"{self.home.process.name}-part")
        offline = logs.read_offline(self.net.lab, file, mirror=None)
        logs.must_have(offline, self.counts, f"{what}: the capture on the machine itself")
        leave_out = (*SOURCE_COLUMNS, *leave_out)
        if self.net.offload:
            leave_out += PACKET_COUNTS
        told = logs.differences(untimed(live), untimed(offline), leave_out=leave_out, tolerance=0.5,
                                logs_left_out={"weird"})
        if told:
            raise Failed(f"{what}: what watch logs ('live') is not what was on the machine itself "
                         "('capture'):\n" + "\n".join(told))
        again = nested(self.wire().copies)
        if again:
            raise Failed(f"{what}: {len(again)} copies are copies of copies")
        if self.whole_frames:
            same_frames(what, self.copied_frames(), frames_in(file))
        return offline

    def wire(self):
        """The stopped capture at the collector."""
        return Wire(self.beside.file)

    def copied_frames(self):
        if self.is_bare:
            return frames_in(self.beside.file)
        return [copy.frame for copy in self.wire().copies]


def untimed(some):
    """A refusal comes microseconds after the question, and a cable stamps some packets when they are
    put on it, others when they are taken off: the two may seem to come at once, or the other way
    round. Then there is no duration, and without it there are no bytes."""
    for log in (some["conn"],) if "conn" in some else ():
        columns = [log.fields.index(name) for name in ("duration", "orig_bytes", "resp_bytes")]
        history = log.fields.index("history")
        for row in log.rows:
            if row[history] == "Sr" and row[columns[1]] in ("0", "-"):
                for column in columns:
                    row[column] = "-"
    return some


REPORT_OF_GROUPS = bytes.fromhex("333300000016")  # a machine's own, whenever it likes


def same_frames(what, live, home):
    """Each frame as often, with its addresses and tags. Of the order nothing is said: the two taps
    are at different places of the way."""
    live, home = (Counter(frame for frame in frames if frame[:6] != REPORT_OF_GROUPS)
                  for frames in (live, home))
    more, less = live - home, home - live
    if more or less:
        raise Failed(f"{what}: of {home.total()} frames {less.total()} did not arrive, and "
                     f"{more.total()} arrived that were none:\n" +
                     "\n".join(f"  {name}: {frame[:60].hex()} ({len(frame)} bytes)"
                               for name, frames in (("lacks", less), ("has", more))
                               for frame in list(frames)[:4]))


# --- The monitored machine ------------------------------------------------------------------------

COUNTERS = re.compile(r"\[\d+:\d+\]|counter packets \d+ bytes \d+")
# Whose values pass by themselves.
PASSING = re.compile(r" (?:valid_lft|preferred_lft|age|expires) \S+| (?:hard header len|gc_timer|"
                     r"hello_timer|tcn_timer|topology_change_timer)\s+\S+")


def host_state(ns):
    """{what was asked: the answer}, counters aside."""
    state = {}

    def ask(name, *command):
        done = subprocess.run(["ip", "netns", "exec", ns.name, *command], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False, timeout=60)
        lines = [PASSING.sub("", COUNTERS.sub("[]", line)) for line in done.stdout.splitlines()
                 if not line.startswith("#")]
        state[name] = "\n".join(lines)

    ask("qdiscs", need("tc"), "qdisc", "show")
    devices = [row["ifname"] for row in json.loads(ns.ip("-j", "link", "show"))]
    for device in devices:
        for hook in ("ingress", "egress"):
            ask(f"filters {device} {hook}", need("tc"), "filter", "show", "dev", device, hook)
        ask(f"offloads {device}", need("ethtool"), "-k", device)
    ask("nft", need("nft"), "-s", "list", "ruleset")
    for command in ("iptables", "ip6tables"):
        for kind in ("nft", "legacy"):
            ask(f"{command} {kind}", need(f"{command}-{kind}-save"))
    ask("links", "ip", "-d", "link")
    ask("addresses", "ip", "addr")
    for family in ("-4", "-6"):
        ask(f"routes {family}", "ip", family, "route", "show", "table", "all")
        ask(f"rules {family}", "ip", family, "rule")
    ask("neighbours", "ip", "neigh", "show", "nud", "permanent")
    ask("forwarding", "bridge", "fdb", "show")
    ask("settings", "sysctl", "net.ipv4.ip_forward", "net.ipv4.conf", "net.ipv6.conf")
    state["files"] = "\n".join(files_below(UNITS, "/run/systemd/system", "/run/cloudspan",
                                            "/etc/cloudspan"))
    state["processes"] = "\n".join(processes_of(ns))
    return state


def files_below(*folders):
    for folder in folders:
        for path, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                file = os.path.join(path, name)
                if os.path.islink(file):
                    yield f"{file} -> {os.readlink(file)}"
                    continue
                with open(file, "rb") as content:
                    yield f"{file} {hashlib.sha256(content.read()).hexdigest()}"


def processes_of(ns):
    """Those of cloudspan that live in the namespace or were started for it."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            if b"cloudspan" in words[0] and os.path.samefile(f"/proc/{pid}/ns/net", ns.file):
                found.append(b" ".join(words).decode().strip())
        except OSError:
            continue
    return sorted(found)


def same_state(what, before, after):
    told = []
    for name in sorted(set(before) | set(after)):
        a, b = (state.get(name, "") for state in (before, after))
        if a != b:
            lines_a, lines_b = a.splitlines(), b.splitlines()
            told += [f"  {name}: - {line}" for line in lines_a if line not in lines_b]
            told += [f"  {name}: + {line}" for line in lines_b if line not in lines_a]
            if set(lines_a) == set(lines_b):
                told.append(f"  {name}: in another order, or another time")
    if told:
        raise Failed(f"{what}: the machine is not as it was:\n" + "\n".join(told[:20]))


# --- Somebody else's things -----------------------------------------------------------------------


def furnish(ns):
    """What others have set up on the machine: it is used where it has to be, and left."""
    ns.tc("qdisc", "add", "dev", "eth0", "clsact")
    for hook in ("ingress", "egress"):
        ns.tc("filter", "add", "dev", "eth0", hook, "protocol", "ip", "prio", "49152", "u32", "match",
              "ip", "dport", "9999", "0xffff", "flowid", "1:1")
    ns.nft("""
        table netdev others { chain in { type filter hook ingress device "eth0" priority 0;
                                         counter; }; }
        table inet others { chain in { type filter hook input priority 0; tcp dport 9998 drop; }; }
        table ip others { chain pre { type filter hook prerouting priority -300; counter; }; }
    """)
    for command in ("iptables", "ip6tables"):
        for kind in ("nft", "legacy"):
            ns.run(need(f"{command}-{kind}"), "-w", "-t", "mangle", "-A", "PREROUTING", "-p", "tcp",
                   "--dport", "9997", "-j", "DROP")


# --- Mirrors by hand: the laboratory must be right before a command is tried in it -----------------


def by_hand_tc(net):
    senders.vxlan_device(net.mon, "vx0", 101, net.own, net.collector, net.out)
    leave_out = (net.collector, 4789) if net.out == net.device else None
    senders.tc_mirror(net.mon, net.device, "vx0", leave_out)


def by_hand_tc_off(net):
    senders.tc_mirror_off(net.mon, net.device)
    net.mon.ip("link", "del", "vx0")


def by_hand_nft(net):
    senders.nft_mirror(net.mon, net.device, net.out)


def by_hand_nft_off(net):
    net.mon.nft(f"delete table netdev mirror_{net.device}")


def by_hand_nft_ip(net):
    for family, gateway in (("ip", net.collector), ("ip6", net.collector6)):
        senders.nft_mirror_ip(net.mon, net.mon_device, gateway, net.out, family)


def by_hand_nft_ip_off(net):
    for family in ("ip", "ip6"):
        net.mon.nft(f"delete table {family} mirror_{net.mon_device}")


def by_hand_tee(net, flag="-I"):
    for command, gateway in (("iptables", net.collector), ("ip6tables", net.collector6)):
        for chain, way in (("PREROUTING", "-i"), ("POSTROUTING", "-o")):
            net.mon.run(need(command), "-w", "-t", "mangle", flag, chain, way, net.mon_device, "-j",
                        "TEE", "--gateway", gateway)


def by_hand_tee_off(net):
    by_hand_tee(net, "-D")
    for family in ("ip", "ip6"):
        net.mon.run(need("nft"), "delete", "table", family, "mangle")


# name: (on, off, how watch listens, whether it is of whole frames)
BY_HAND = {
    "tc vxlan": (by_hand_tc, by_hand_tc_off, ("-l", "vxlan"), True),
    "nft interface": (by_hand_nft, by_hand_nft_off, ("-i", "eth0"), True),
    "nft ip": (by_hand_nft_ip, by_hand_nft_ip_off, ("-i", "eth0"), False),
    "tee": (by_hand_tee, by_hand_tee_off, ("-i", "eth0"), False),
}
