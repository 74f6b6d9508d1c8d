"""The laboratory of `cloudspan mirror … linux`: a monitored machine between its peer and a
collector; what a mirror must bring there; and the monitored machine's state, which must be the same
before and after."""
import array
import fcntl
import glob
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
from collections import Counter

import logs
import mirror_talk
import senders
import traffic
from collector import Capture, Watch
from lab import Failed, need, wait_until
from mirror_wire import Wire, frames_in, nested
from scenarios_receive import SOURCE_COLUMNS

UNITS = "/etc/systemd/system"
CARRIERS = "/run/cloudspan"  # what processes that copy say of themselves

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
        for ns in (self.mon, self.peer, self.col):
            # No router is asked for.
            ns.set_sysctl("net/ipv6/conf/default/router_solicitations", 0)
            ns.set_sysctl("net/ipv6/conf/default/disable_ipv6", 0)
        self.wire()
        wait_until(self.is_settled, "the interfaces are not up")
        if quiet:
            # From now on: what a mirror makes. Elsewhere an interface has IPv6 by itself.
            self.mon.set_sysctl("net/ipv6/conf/default/disable_ipv6", 1)

    def wire(self):
        self.cable(self.mon, "eth0", self.peer, "eth0")
        self.cable_collector()
        self.addresses(self.mon, "eth0", 1, self.peer, "eth0", 2)

    def is_settled(self):
        """A bridge takes a moment before it says that it is up."""
        routes = self.mon.ip("-6", "route")
        return all(f"fe80::/64 dev {device} " in routes for device in {self.mon_device, self.out})

    def cable_collector(self):
        self.cable(self.mon, "eth1", self.col, "eth0")
        self.addresses(self.mon, "eth1", 1, self.col, "eth0", 2, "10.9.0.", "fd09::")

    def cable(self, a, device_a, b, device_b):
        """As Lab's, by few programs: they take long in the guest of an emulation."""
        batch(None, f"link add {device_a} netns {a.name} type veth peer name {device_b} netns {b.name}")
        for ns, device in ((a, device_a), (b, device_b)):
            if not self.offload:
                switch_off_offloads(ns, device)
            batch(ns, f"link set {device} up")

    def addresses(self, a, device_a, number_a, b, device_b, number_b, v4="10.1.0.", v6="fd01::"):
        """They know each other for good."""
        for ns, device, number, other, other_device, other_number in (
                (a, device_a, number_a, b, device_b, number_b),
                (b, device_b, number_b, a, device_a, number_a)):
            mac = mac_of(other, other_device)
            batch(ns, f"addr replace {v4}{number}/24 brd + dev {device}",
                  f"addr replace {v6}{number}/64 dev {device} nodad", f"link set {device} up",
                  *[f"neigh replace {prefix}{other_number} lladdr {mac} dev {device}"
                    for prefix in (v4, v6)])

    def capture(self, name="home"):
        """What the monitored interface itself sends and receives."""
        return self.tcpdump(self.mon, self.device, name, "inout")

    def tcpdump(self, ns, device, name, direction="in"):
        # Places for super-frames would be too few for the many small frames of a busy machine.
        room = {"snap": 66000, "buffer": 131072, "immediate": False} if self.offload else {"snap": 2000}
        return Capture(self.lab, ns, device, name, direction, **room)

    def at_home(self, home):
        """The stopped capture, without the copies that are on their way."""
        return home.file

    def open_port(self, port=4789):
        """Somebody listens at the collector, where no watch does, and nothing is refused."""
        self.listener = traffic.udp_socket(self.col, "0.0.0.0", port)

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
        self.switch = self.lab.ns("switch-" + self.mon.name)
        batch(self.switch, "link add br0 type bridge", "link set br0 up")
        machines = ((1, self.mon), (2, self.peer), (3, self.col))
        for number, ns in machines:
            self.cable(ns, "eth0", self.switch, f"p{number}")
            batch(self.switch, f"link set p{number} master br0")
        for number, ns in machines:
            for other_number, other in machines:
                if number < other_number:
                    self.addresses(ns, "eth0", number, other, "eth0", other_number)

    def at_home(self, home):
        return home.only(f"not host {self.collector} and not host {self.collector6}",
                         f"{home.process.name}-only")


class BridgePort(Net):
    """As Net; the monitored interface is a port of a bridge that has the addresses."""
    mon_device = "br0"

    def wire(self):
        self.cable(self.mon, "eth0", self.peer, "eth0")
        self.cable_collector()
        batch(self.mon, "link add br0 type bridge", "link set eth0 master br0")
        self.addresses(self.mon, "br0", 1, self.peer, "eth0", 2)


class VlanLower(Net):
    """As Net; the addresses are those of a VLAN on the monitored interface, so all its frames have a
    tag."""
    mon_device = "eth0.10"
    peer_device = "eth0.10"

    def wire(self):
        self.cable(self.mon, "eth0", self.peer, "eth0")
        self.cable_collector()
        for ns in (self.mon, self.peer):
            batch(ns, "link add link eth0 name eth0.10 type vlan id 10")
        self.addresses(self.mon, "eth0.10", 1, self.peer, "eth0.10", 2)


def batch(ns, *lines):
    """Commands of ip, all by one process."""
    place = ["-n", ns.name] if ns else []
    done = subprocess.run(["ip", *place, "-batch", "-"], input="\n".join(lines), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Failed(f"ip {' '.join(place)}: {done.stdout}\n" + "\n".join(lines))


SIOCETHTOOL = 0x8946
# Of <linux/ethtool.h>: number to ask, number to set.
OFFLOADS = {"tx": (0x16, 0x17), "sg": (0x18, 0x19), "tso": (0x1e, 0x1f), "gso": (0x23, 0x24),
            "gro": (0x2b, 0x2c)}


def ethtool(ns, device, command, value=0):
    """An ioctl with one number, as `ethtool -k` and -K make it."""
    data = array.array("I", [command, value])
    request = struct.pack("16sP16x", device.encode(), data.buffer_info()[0])
    with ns.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)
    return data[1]


def switch_off_offloads(ns, device):
    for name in ("tso", "tx", "gso", "gro"):
        ethtool(ns, device, OFFLOADS[name][1], 0)


def mac_of(ns, device):
    with ns.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, 0x8927, struct.pack("16s24x", device.encode()))  # SIOCGIFHWADDR
    return answer[18:24].hex(":")


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
            self.beside = self.net.tcpdump(self.net.col, "eth0", f"beside{self.number}")
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
        leave_out_proof(live)
        agree_on_instants(live, offline)
        told = logs.differences(live, offline, leave_out=leave_out, tolerance=0.5,
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


def leave_out_proof(live):
    """By which apply finds out whether a mirror of the IP layer works; others are in no log."""
    for log in (live["conn"],) if "conn" in live else ():
        log.rows = [row for row, column in zip(log.rows, log.dicts())
                    if (column["id.resp_h"], column["id.resp_p"]) != ("192.0.2.1", "9")]


def agree_on_instants(live, offline):
    """A refusal comes microseconds after the question, and a cable stamps some packets when they are
    put on it, others when they are taken off: the two may seem to come at once, or the other way
    round. Then there is no duration, and without it there are no bytes."""
    rows = [log["conn"].dicts() if "conn" in log else [] for log in (live, offline)]
    instants = [{name_of(row) for row in some if row["duration"] == "-"} for some in rows]
    short = [{name_of(row) for row in some if row["duration"] == "-" or float(row["duration"]) < 0.3}
             for some in rows]
    of_both = (instants[0] & short[1]) | (instants[1] & short[0])
    for log in (live, offline):
        for row in log["conn"].rows if "conn" in log else []:
            if name_of(dict(zip(log["conn"].fields, row))) in of_both:
                for column in ("duration", "orig_bytes", "resp_bytes"):
                    row[log["conn"].fields.index(column)] = "-"


def name_of(row):
    return tuple(row[field] for field in ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"))


# A machine's own, whenever it likes: reports of groups; and questions for the documentation's address,
# which a kernel asks again a second after the proof of a mirror was sent there.
REPORTS_OF_GROUPS = bytes.fromhex("333300000016"), bytes.fromhex("01005e000016")
NOBODY = bytes.fromhex("c0000201")


def is_by_the_way(frame):
    return frame[:6] in REPORTS_OF_GROUPS or (frame[12:14] == b"\x08\x06" and frame[38:42] == NOBODY)


def same_frames(what, live, home):
    """Each frame as often, with its addresses and tags. Of the order nothing is said: the two taps
    are at different places of the way."""
    live, home = (Counter(frame for frame in frames if not is_by_the_way(frame))
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
PASSING = re.compile(r" (?:valid_lft|preferred_lft|age|expires) \S+| \w+_timer\s+\S+")
# What the kernel says of a link's carrier up to a second late; that it is to be up stays.
LINK_STATE = re.compile(r"NO-CARRIER,|,LOWER_UP|,M-DOWN| state \S+")


def host_state(ns):
    """{what was asked: the answer}, counters aside."""
    state = {}

    def ask(name, *command, asked=None):
        done = subprocess.run(["ip", "netns", "exec", ns.name, *command], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False, timeout=60,
                              input=asked)
        lines = [PASSING.sub("", COUNTERS.sub("[]", line)) for line in done.stdout.splitlines()
                 if not line.startswith("#")]
        state[name] = "\n".join(lines)

    with ns.inside():
        devices = [name for _, name in socket.if_nameindex()]
    ask("traffic control", need("tc"), "-batch", "-", asked="\n".join(
        ["qdisc show", *[f"filter show dev {device} {hook}" for device in devices
                         for hook in ("ingress", "egress")]]))
    ask("links", "ip", "-d", "link")
    state["links"] = LINK_STATE.sub("", state["links"])
    for family in ("-4", "-6"):
        ask(f"addresses, routes {family}", "ip", family, "-batch", "-", asked="addr\nrule\n"
            "route show table all\nneigh show nud permanent")
    for family in ("-4", "-6"):
        # The kernel lists them as its tables of hashes have them, which loaded modules change.
        name = f"addresses, routes {family}"
        state[name] = "\n".join(sorted(state[name].splitlines()))
    ask("forwarding", "bridge", "fdb", "show")
    state["forwarding"] = "\n".join(line for line in state["forwarding"].splitlines()
                                    if "permanent" in line)  # others are learned
    ask("nft", need("nft"), "-s", "list", "ruleset")
    for command in ("iptables", "ip6tables"):
        for kind in ("nft", "legacy"):
            if shutil.which(f"{command}-{kind}-save"):
                ask(f"{command} {kind}", f"{command}-{kind}-save")
    state["offloads"] = "\n".join(f"{device} {name} {ethtool(ns, device, numbers[0])}"
                                  for device in devices for name, numbers in OFFLOADS.items())
    with ns.inside():
        state["settings"] = "\n".join(settings())
    state["files"] = "\n".join(files_below(UNITS, "/run/systemd/system", "/etc/cloudspan",
                                            CARRIERS))
    state["processes"] = "\n".join(sorted(" ".join(words) for _, words in processes_of(ns)))
    return state


def settings():
    """Those of the calling thread's namespace."""
    for path in ["/proc/sys/net/ipv4/ip_forward",
                 *sorted(glob.glob("/proc/sys/net/ipv[46]/conf/*/*"))]:
        if not path.endswith("stable_secret"):
            with open(path, encoding="ascii") as file:
                yield f"{path} {file.read().strip()}"


def files_below(*folders):
    for folder in folders:
        for path, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                file = os.path.join(path, name)
                if os.path.islink(file) or folder == CARRIERS:  # with counters in them
                    yield f"{file} {os.path.islink(file) and os.readlink(file)}"
                    continue
                with open(file, "rb") as content:
                    yield f"{file} {hashlib.sha256(content.read()).hexdigest()}"


def processes_of(ns):
    """[(pid, words of its command line)] of cloudspan's in the namespace."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                words = file.read().rstrip("\0").split("\0")
            if "cloudspan" in words[0] and os.path.samefile(f"/proc/{pid}/ns/net", ns.file):
                found.append((int(pid), words))
        except OSError:
            continue
    return found


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
