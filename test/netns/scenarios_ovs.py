"""Mirrors that `cloudspan mirror` makes in a real Open vSwitch, with its datapath in user space."""
import json
import os
import random
import signal
import struct
import subprocess
import time

import logs
import packets as p
import senders
import traffic
from collector import Capture, Watch, count_frames
from lab import Failed, need, wait_until
from scenario import scenario
from scenarios_receive import SOURCE_COLUMNS
from vswitch import Vswitch

NEEDS = ("tcpdump", "ovs-vswitchd", "ovsdb-server", "ethtool", "openssl")
COLLECTOR = "10.9.0.2"

# name: (--to, what else, what watch listens to)
TUNNELS = {
    "gre": (f"gre:{COLLECTOR}", ("--id", "101"), "gre"),
    "gre-csum": (f"gre:{COLLECTOR}", ("--csum",), "gre"),
    "erspan2": (f"erspan2:{COLLECTOR}", ("--id", "102"), "gre"),
    "erspan3": (f"erspan3:{COLLECTOR}", ("--id", "1023"), "gre"),
    "vxlan": (f"vxlan:{COLLECTOR}", ("--id", "104"), "vxlan"),
    "vxlan-port": (f"vxlan:{COLLECTOR}:8472", ("--id", "105", "--csum"), "vxlan:8472"),
    "geneve": (f"geneve:{COLLECTOR}", ("--id", "106"), "geneve"),
    "vxlan-ipv6": ("vxlan:[fd09::2]", ("--id", "107"), "vxlan"),
}


class Bench(Vswitch):
    """The switch, `cloudspan mirror` beside it, and a collector that full frames get through to."""

    def __init__(self, lab):
        super().__init__(lab, lab.ns("host"), lab.ns("col"))
        senders.hush(self.collector)
        self.state = lab.folder("state", 0o700)
        self.environment = dict(os.environ, OVS_RUNDIR=self.room)
        self.host.ip("link", "set", "p-phy", "mtu", "1700")
        self.collector.ip("link", "set", "eth0", "mtu", "1700")
        self.vsctl("set", "Interface", "br-phy", "mtu_request=1700")
        self.host.address("br-phy", "fd09::1/64")
        self.collector.address("eth0", "fd09::2/64")
        traffic.ping(self.host, "fd09::2", 1)

    def start_switch(self):
        self.switch = self.host.start("ovs-vswitchd", need("ovs-vswitchd"), "unix:" + self.socket,
                                      "--no-chdir", env=self.environment | {
                                          "OVS_LOGDIR": self.room, "OVS_DBDIR": self.room})

    def command(self, *arguments):
        return ["ip", "netns", "exec", self.host.name, self.lab.cloudspan, "mirror", *arguments,
                "--state", self.state]

    def mirror_raw(self, *arguments, limit=60):
        done = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=limit,
                              env=self.environment)
        return done.returncode, done.stdout

    def run(self, *arguments, code=0):
        got, said = self.mirror_raw(*arguments)
        if got != code:
            raise Failed(f"mirror {' '.join(arguments)}: {got}, not {code}\n{said}")
        return said

    def apply(self, *arguments, code=0):
        return self.run("apply", "ovs", "--bridge", "br-int", *arguments, "--yes", code=code)

    def remove(self, name="p-a"):
        return self.run("remove", "ovs", "--name", name, "--yes")

    def status(self):
        """(exit code, state, the counters)"""
        code, said = self.mirror_raw("status", "ovs", "--json")
        rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        states = [row for row in rows if row["type"] == "status"]
        counters = [row for row in rows if row["type"] == "counters"]
        return code, states[0] if states else {}, counters[0] if counters else {}

    def must_be(self, code, state, trouble=""):
        """`trouble`: what its counters say, in part."""
        got, row, counters = self.status()
        if got != code or row.get("state") != state or trouble not in counters.get("trouble", ""):
            raise Failed(f"status is {got}, {row}, {counters}; not {code}, {state}, '{trouble}'")
        return counters

    def rows(self, table, *columns):
        """[{column: value}] of the database, sorted by name."""
        said = self.host.run(need("ovs-vsctl"), "--timeout=60", "--db=unix:" + self.socket,
                             "--format=json", "--columns=" + ",".join(("name",) + columns), "list",
                             table)
        answer = json.loads(said)
        rows = [dict(zip(answer["headings"], row)) for row in answer["data"]]
        return sorted(rows, key=lambda row: row["name"])

    def shape(self):
        """All that the switch was told, without counters, and what others' rows are called."""
        return (self.rows("Bridge", "_uuid", "ports", "mirrors", "external_ids", "flood_vlans"),
                self.rows("Port", "_uuid", "interfaces", "tag", "external_ids", "other_config"),
                self.rows("Interface", "_uuid", "type", "options", "external_ids"),
                self.rows("Mirror", "_uuid", "select_all", "select_src_port", "select_dst_port",
                          "select_vlan", "output_port", "output_vlan", "snaplen", "external_ids"))

    def shell(self, lines):
        """Printed commands, with this switch's database."""
        self.host.run("sh", "-ec", lines.replace("ovs-vsctl", f"ovs-vsctl --db=unix:{self.socket}"))

    def count(self, name):
        said = self.vsctl("get", "Mirror", name, "statistics:tx_packets")
        return int(said)


def talk(bench, tags):
    """Of all kinds of packets between the two machines. Gives the rows that logs get of it."""
    a, b = bench.machines
    b_mac = b.mac("eth0")
    a.ip("neigh", "flush", "dev", "eth0")  # ARP and neighbour discovery, too
    traffic.ping(a, "10.50.0.2", 1, check=False)  # a switch that was just told something new
    counts = [traffic.exchange(a, "10.50.0.2", 1), traffic.exchange(a, "fd50::2", 2)]
    traffic.http_get(a, "10.50.0.2", "/bytes/200000")
    traffic.ping(a, "10.50.0.2", 1, size=1472)
    traffic.ping(a, "10.50.0.2", 1, size=4000)  # in fragments
    tagged = [p.ether(p.udp("10.50.0.1", "10.50.0.2", 4000 + i, 4001, b"tagged"), [(0x8100, 77)],
                      src=bytes.fromhex(a.mac("eth0").replace(":", "")),
                      dst=bytes.fromhex(b_mac.replace(":", ""))) for i in range(3)]
    if tags:
        senders.send_frames(a, "eth0", tagged, 500)
    counts.append({"http": 1})
    return traffic.sum_of(*counts)


def counts_of(home, watch, there):
    """(frames that the machine had, those that came), at a moment when nothing is on its way: machines
    speak of themselves now and then. `there`: a capture where frames come as they are, since a ring
    gives `watch` fragments put together; else None."""
    seen = []

    def still():
        home.settle()
        watch.settle()
        seen.append((home.count(), there.settle() if there else watch.packets()))
        return len(seen) > 1 and seen[-1] == seen[-2]
    wait_until(still, lambda: f"never still: {seen}", every=0.3)
    return seen[-1]


def compare(bench, name, listen, apply, watching=None, tags=True):
    """Mirrors the first machine's port, and compares what arrives with what its own interface had:
    packets, and logs. The mirror stays."""
    lab, a = bench.lab, bench.machines[0]
    watch = Watch(lab, watching or bench.collector, *listen, name="watch-" + name)
    bench.apply(*apply)
    home = Capture(lab, a, "eth0", name="home-" + name, direction="inout")
    there = Capture(lab, watching, "eth0", name="there-" + name) if watching else None
    before = counts_of(home, watch, there)
    counts = talk(bench, tags)
    after = counts_of(home, watch, there)
    n_home, n_there = after[0] - before[0], after[1] - before[1]
    if n_there != n_home or n_home < 100:
        raise Failed(f"{name}: the machine had {n_home} frames, {n_there} came")
    live = watch.stop()
    offline = logs.read_offline(lab, home.stop(), mirror=None)
    logs.must_have(offline, counts, name + ": the capture on the machine")
    try:
        # The switch is a process: what the two sides sent at nearly the same time may pass it in
        # another order than the machine's interface, and the history shows the order.
        logs.must_be_equal(live, offline, leave_out=SOURCE_COLUMNS + ("history",),
                           logs_left_out={"weird"}, tolerance=0.5)
    except Failed as failure:
        raise Failed(f"{name}: {failure}") from None


def index_on_the_wire(file):
    """(session, index) of the first ERSPAN II packet of a capture."""
    with open(file, "rb") as capture:
        data = capture.read()
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16:at + 16 + size]
        at += 16 + size
        if frame[12:14] == b"\x08\x00" and frame[23] == 47 and frame[36:38] == b"\x88\xbe":
            _, session, index = struct.unpack_from("!HHI", frame, 42)
            return session & 0x3FF, index & 0xFFFFF
    return None


@scenario("ovs-tunnels", *NEEDS)
def ovs_tunnels(lab):
    """mirror ovs through every tunnel: what arrives is what the machine had, packet for packet."""
    bench = Bench(lab)
    traffic.servers(lab, bench.machines[1], "10.50.0.2", "fd50::2")
    before = bench.shape()
    for name, (to, more, listen) in TUNNELS.items():
        # The last ones are access ports: the switch has a tag that the machines never see.
        tags = name not in ("geneve", "vxlan-ipv6")
        if not tags:
            bench.vsctl("set", "Port", "p-a", "tag=7", "--", "set", "Port", "p-b", "tag=7")
            before = bench.shape()
        beside = Capture(lab, bench.collector, "eth0", name="col-" + name)
        apply = ("--ports", "p-a", "--to", to, *more)
        compare(bench, name, ("-l", listen), apply, tags=tags)
        bench.must_be(0, "ok")
        if "nothing to do" not in bench.apply(*apply):
            raise Failed(f"{name}: the second apply changes something")
        file = beside.stop()
        if name == "erspan2" and index_on_the_wire(file) != (102, 102):
            raise Failed(f"session and index are {index_on_the_wire(file)}, not 102 and 102")
        bench.remove()
        if bench.shape() != before:
            raise Failed(f"{name}: the switch is not as it was:\n{before}\n{bench.shape()}")
        # The printed commands make the same, and unmake it.
        said = bench.run("plan", "ovs", "--bridge", "br-int", *apply, "--print")
        make, undo = said.split("# To take it away again:")
        bench.shell(make)
        said = bench.run("plan", "ovs", "--bridge", "br-int", *apply, "--detailed-exitcode")
        bench.shell(undo.replace("# ", ""))
        if bench.shape() != before:
            raise Failed(f"{name}: not undone:\n{before}\n{bench.shape()}")


@scenario("ovs-ports", *NEEDS)
def ovs_ports(lab):
    """mirror ovs to a port and to a VLAN, of ports, directions and VLANs; changed in place."""
    bench = Bench(lab)
    traffic.servers(lab, bench.machines[1], "10.50.0.2", "fd50::2")
    watchers = []
    for name, port, tag in (("vmc", "p-c", ""), ("vmr", "p-r", "tag=500")):
        machine = lab.ns(name)
        lab.cable(machine, "eth0", bench.host, port, offload=False)
        bench.vsctl("add-port", "br-int", port, *([tag] if tag else []))
        watchers.append(machine)
    before = bench.shape()
    steady = bench.machines[0].start("steady", need("ping"), "-i", "0.05", "10.50.0.2")
    for name, to, machine in (("port", "port:p-c", watchers[0]), ("vlan", "vlan:500", watchers[1])):
        # A flow that goes on all the time is mirrored as soon as apply ends, and no longer as soon
        # as remove does: the switch would go on with what it had computed before.
        counted = Capture(lab, machine, "eth0", name="steady-" + name)
        bench.apply("--ports", "p-a", "--to", to)
        n = counted.count()
        wait_until(lambda: counted.count() > n + 10, f"{name}: the flow that was there is not mirrored",
                   limit=5)
        bench.must_be(0, "ok")
        bench.remove()
        time.sleep(0.3)
        n = counted.received()  # tcpdump writes down when it gets its turn
        time.sleep(1)
        if counted.received() > n + 2:
            raise Failed(f"{name}: after remove {counted.received() - n} more copies")
        if bench.shape() != before:
            raise Failed(f"{name}: the switch is not as it was:\n{before}\n{bench.shape()}")
    steady.stop()
    compare(bench, "port", ("-i", "eth0"), ("--ports", "p-a", "--to", "port:p-c"), watchers[0])
    directions(bench, watchers[0])
    bench.remove()
    if bench.shape() != before:
        raise Failed(f"the switch is not as it was:\n{before}\n{bench.shape()}")


def directions(bench, machine):
    """The mirror is changed in place: in, out, one VLAN, all ports."""
    a = bench.machines[0]
    senders.hush(machine)
    pings = 20
    for more, wanted in ((("--ports", "p-a", "--direction", "out"), pings),
                         (("--ports", "p-a", "--direction", "in"), pings),
                         (("--ports", "p-a,p-b", "--direction", "out"), 2 * pings),
                         (("--ports", "p-a", "--direction", "both"), 2 * pings),
                         (("--all-ports", "--name", "p-a"), 2 * pings),
                         (("--vlan", "0", "--name", "p-a"), 2 * pings),
                         (("--vlan", "78", "--name", "p-a"), 0)):
        traffic.ping(a, "10.50.0.2", 1)  # who is who
        bench.apply(*more, "--to", "port:p-c")
        counted = Capture(bench.lab, machine, "eth0", name="direction-" + "-".join(more)[2:])
        traffic.ping(a, "10.50.0.2", pings)
        counted.settle()
        counted.stop()
        got = count_frames(counted.only("icmp", "icmp-" + "-".join(more)[2:]))
        if got != wanted:
            raise Failed(f"{more}: {got} packets, not {wanted}")
        if len(bench.rows("Mirror")) != 1:
            raise Failed(f"{more}: {bench.rows('Mirror')}")


@scenario("ovs-others", *NEEDS)
def ovs_others(lab):
    """Another's mirror on the same bridge works on and is not touched; nor are its names taken."""
    bench = Bench(lab)
    a, _ = bench.machines
    bench.vsctl("add-port", "br-int", "theirs", "--", "set", "Interface", "theirs", "type=gre",
                "options:remote_ip=" + COLLECTOR, "options:key=999", "--", "--id=@p", "get", "Port",
                "p-b", "--", "--id=@o", "get", "Port", "theirs", "--", "--id=@m", "create", "Mirror",
                "name=theirs", "select_src_port=@p", "select_dst_port=@p", "output_port=@o", "--",
                "add", "Bridge", "br-int", "mirrors", "@m")
    before = bench.shape()

    def theirs_work(n):
        counted = Capture(lab, bench.collector, "eth0", name=f"theirs-{n}")
        traffic.ping(a, "10.50.0.2", 10)
        counted.settle()
        counted.stop()
        # The key of GRE, behind 20 bytes of IP.
        got = count_frames(counted.only("ip proto 47 and ip[24:4] = 999", f"theirs-only-{n}"))
        if got < 20:
            raise Failed(f"their mirror brings {got} of 20 packets ({n})")
    theirs_work(0)
    bench.apply("--ports", "p-a", "--to", f"erspan2:{COLLECTOR}", "--id", "7")
    theirs_work(1)
    bench.apply("--ports", "p-a,p-b", "--to", f"geneve:{COLLECTOR}", "--id", "8")
    theirs_work(2)
    # The same tunnel, and names that are taken.
    for more, says in ((("--to", f"gre:{COLLECTOR}", "--id", "999"), "theirs is such a tunnel"),
                       (("--to", "port:theirs",), None)):
        said = bench.mirror_raw("plan", "ovs", "--bridge", "br-int", "--ports", "p-b", *more)[1]
        if says and says not in said:
            raise Failed(f"{more}: {said}")
    bench.vsctl("add-port", "br-int", "cs-x", "--", "set", "Interface", "cs-x", "type=internal")
    said = bench.apply("--name", "x", "--ports", "p-b", "--to", f"gre:{COLLECTOR}", code=1)
    if "there is a port cs-x already, which is not ours" not in said:
        raise Failed(said)
    bench.vsctl("del-port", "cs-x")
    bench.remove()
    theirs_work(3)
    if bench.shape() != before:
        raise Failed(f"the switch is not as it was:\n{before}\n{bench.shape()}")


@scenario("ovs-kill", *NEEDS)
def ovs_kill(lab):
    """apply and remove killed at any moment, and run again: one mirror, or none."""
    bench = Bench(lab)
    clean = bench.shape()
    rng = random.Random(5)
    steady = bench.machines[0].start("steady", need("ping"), "-i", "0.05", "10.50.0.2")
    machine = lab.ns("vmc")
    lab.cable(machine, "eth0", bench.host, "p-c", offload=False)
    bench.vsctl("add-port", "br-int", "p-c")
    with_port = bench.shape()
    seen = set()

    def came_between():
        return len({state for state in seen if state[0] == "apply"}) > 1
    for turn in range(70):
        if turn >= 40 and came_between():
            break
        # On a machine so slow that all came before the first change, later ones.
        longest = 0.15 * 2 ** max(0, turn // 4 - 9)
        to = (("--to", f"vxlan:{COLLECTOR}", "--id", "5"), ("--to", "port:p-c"))[turn % 2]
        arguments = ("apply", "ovs", "--bridge", "br-int", "--ports", "p-a", *to, "--yes")
        for words in (arguments, ("remove", "ovs", "--name", "p-a", "--yes")):
            process = subprocess.Popen(bench.command(*words), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=bench.environment)
            time.sleep(rng.uniform(0, longest))
            process.send_signal(signal.SIGKILL)
            process.wait()
            mirrors, ports = bench.rows("Mirror"), [row["name"] for row in bench.rows("Port")]
            seen.add((words[0], len(mirrors), len([port for port in ports if "cs" in port])))
            if len(mirrors) > 1:
                raise Failed(f"turn {turn}: {mirrors}")
            if turn % 8 == 7 and words[0] == "apply":  # without a journal, by the marks alone
                subprocess.run(["rm", "-rf", bench.state], check=True)
        bench.run("remove", "ovs", "--name", "p-a", "--yes")
        if bench.shape() != with_port:
            raise Failed(f"turn {turn}: the switch is not as it was:\n{with_port}\n{bench.shape()}")
    steady.stop()
    print(f"states that the kills of {turn} turns left: {sorted(seen)}")
    if not came_between():
        raise Failed("no kill came in between")
    # Killed, and gone on with.
    for to in (("--to", f"vxlan:{COLLECTOR}", "--id", "5"), ("--to", "port:p-c")):
        process = subprocess.Popen(bench.command("apply", "ovs", "--bridge", "br-int", "--ports",
                                                 "p-a", *to, "--yes"), env=bench.environment)
        wait_until(lambda: bench.rows("Mirror"), "no mirror")
        process.send_signal(signal.SIGKILL)
        process.wait()
        bench.apply("--ports", "p-a", *to)
        bench.must_be(0, "ok")
        bench.run("remove", "ovs", "--all", "--yes")
    bench.vsctl("del-port", "p-c")
    if bench.shape() != clean:
        raise Failed(f"the switch is not as it was:\n{clean}\n{bench.shape()}")


@scenario("ovs-state", *NEEDS)
def ovs_state(lab):
    """status sees what is wrong: a dead mirror, lost ports, a stopped switch; apply mends it."""
    bench = Bench(lab)
    a, _ = bench.machines
    arguments = ("--ports", "p-a,p-b", "--name", "two", "--to", f"erspan3:{COLLECTOR}", "--id", "9")
    steady = a.start("steady", need("ping"), "-i", "0.05", "10.50.0.2")
    bench.apply(*arguments)
    bench.must_be(0, "ok")

    # A machine starts anew, and its port with it: it is in no mirror any more.
    bench.vsctl("del-port", "p-b", "--", "add-port", "br-int", "p-b")
    bench.must_be(4, "BROKEN")
    bench.apply(*arguments)
    bench.must_be(0, "ok")

    # Somebody takes the tunnel away, or the mirror, or breaks its way.
    bench.vsctl("del-port", "cs-two")
    bench.must_be(4, "BROKEN", "its output port is gone")
    bench.apply(*arguments)
    bench.vsctl("clear", "Bridge", "br-int", "mirrors")
    bench.must_be(4, "BROKEN", "the mirror is gone")
    bench.apply(*arguments)
    bench.vsctl("set", "Interface", "cs-two", "options:erspan_idx=100000", "options:erspan_ver=1")
    wait_until(lambda: "cannot use the port" in bench.status()[2].get("trouble", ""),
               lambda: f"the tunnel's error is not seen: {bench.status()}", limit=10)
    bench.apply(*arguments)
    bench.must_be(0, "ok")

    # The switch starts anew: its database has the mirror, and the mirror works.
    bench.switch.stop(signal.SIGTERM)
    bench.must_be(4, "TROUBLE", "ovs-vswitchd is not running")
    said = bench.mirror_raw("apply", "ovs", "--bridge", "br-int", "--ports", "p-a", "--to",
                            f"gre:{COLLECTOR}", "--name", "other", "--yes")[1]
    if "ovs-vswitchd is not running, so nothing would be mirrored" not in said:
        raise Failed(said)
    bench.start_switch()
    wait_until(lambda: bench.count("cs-two") > 20, "the mirror does not come back", limit=30)
    bench.must_be(0, "ok")

    # One that does not answer: nothing half made stays.
    bench.switch.tell(signal.SIGSTOP)
    before = bench.shape()
    said = bench.apply("--ports", "p-a", "--to", f"gre:{COLLECTOR}", "--name", "other", code=1)
    if "has not taken the change over" not in said or bench.shape() != before:
        raise Failed(f"{said}\n{before}\n{bench.shape()}")
    bench.must_be(4, "TROUBLE", "has not taken the last change over")
    bench.switch.tell(signal.SIGCONT)
    wait_until(lambda: bench.status()[0] == 0, lambda: f"still {bench.status()}", limit=20)

    # The bridge is removed, with all that was on it, and made anew.
    bench.bridge()
    bench.must_be(4, "GONE")
    bench.apply(*arguments)
    bench.must_be(0, "ok")
    bench.run("remove", "ovs", "--name", "two", "--yes")

    # Made by hand on ports that are there, while a flow goes on: it is there, and does not send.
    said = bench.run("plan", "ovs", "--bridge", "br-int", "--ports", "p-a", "--to", "port:p-d",
                     "--print", code=1)
    if "has no port 'p-d'" not in said:
        raise Failed(said)
    dead = lab.ns("vmd")
    lab.cable(dead, "eth0", bench.host, "p-d", offload=False)
    bench.vsctl("add-port", "br-int", "p-d")
    time.sleep(1)
    said = bench.run("plan", "ovs", "--bridge", "br-int", "--ports", "p-a", "--to", "port:p-d",
                     "--print")
    bench.shell(said.splitlines()[0])
    bench.must_be(4, "UNRECORDED", "configured, but not sending")
    # All of its commands, and it works.
    bench.shell("\n".join(said.splitlines()[1:3]))
    n = bench.count("cs-p-a")
    wait_until(lambda: bench.count("cs-p-a") > n + 10, "the printed commands do not mend it", limit=20)
    undo = said[said.index("# To take it away"):].replace("# ", "").splitlines()[1:]
    bench.shell("\n".join(undo))
    if bench.rows("Mirror"):
        raise Failed(f"the printed commands leave {bench.rows('Mirror')}")
    steady.stop()


@scenario("ovs-watch", *NEEDS)
def ovs_watch(lab):
    """What apply records is what watch sees: a machine by its channel, several by their addresses;
    --snap cuts what is sent."""
    bench = Bench(lab)
    a, b = bench.machines
    traffic.servers(lab, b, "10.50.0.2")
    bench.vsctl("set", "Interface", "p-a", "external_ids:attached-mac=" + a.mac("eth0"), "--", "set",
                "Interface", "p-b", "external_ids:attached-mac=" + b.mac("eth0"))
    for ports, name, machines in (("p-a", "web", {"web"}), ("p-a,p-b", None, {"p-a", "p-b"})):
        bench.apply("--ports", ports, "--to", f"erspan2:{COLLECTOR}", "--id", "101", "--name", "m",
                    *(["--machine", name] if name else []))
        with open(os.path.join(bench.state, "sources", "ovs-m.yaml"), encoding="utf-8") as file:
            sources = file.read()
        watch = Watch(lab, bench.collector, name="watch-" + ports,
                      config=sources + "listen: [gre]\nadmit: configured\n")
        traffic.exchange(a, "10.50.0.2", 1)
        watch.settle(at_least=20)
        rows = [row for row in watch.snapshot()["sources"] if row["packets"] > 0]
        if {row["source"] for row in rows} != machines or any(row["refused"] for row in rows):
            raise Failed(f"{ports}: {rows}\n{sources}")
        watch.stop()
    bench.remove("m")
    if os.path.exists(os.path.join(bench.state, "sources", "ovs-m.yaml")):
        raise Failed("remove leaves the record")

    said = bench.apply("--ports", "p-a", "--to", f"vxlan:{COLLECTOR}", "--id", "5", "--snap", "200")
    if "sockets at the collector never see it" not in said:
        raise Failed(said)
    out = Capture(lab, bench.collector, "eth0", name="out")
    traffic.ping(a, "10.50.0.2", 3, size=1000)
    out.stop()
    with open(out.only("udp dst port 4789", "cut"), "rb") as file:
        sizes = [struct.unpack_from("<I", piece)[0] for piece in pieces_of(file.read())]
    if len(sizes) < 6 or max(sizes) != 200:
        raise Failed(f"--snap 200 sends frames of {sorted(sizes)} bytes")
    bench.remove()


def pieces_of(data):
    """From the captured size on, of each packet of a capture."""
    at = 24
    while at + 16 <= len(data):
        yield data[at + 8:at + 12]
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]


@scenario("ovs-loop", *NEEDS)
def ovs_loop(lab):
    """Copies that leave by the mirrored bridge itself: what would loop is refused, what is not
    does not."""
    bench = Bench(lab)
    a, _ = bench.machines
    traffic.servers(lab, bench.machines[1], "10.50.0.2", "fd50::2")
    # One bridge for the machines, the host's address and the cable.
    bench.vsctl("del-br", "br-int", "--", "add-port", "br-phy", "p-a", "--", "add-port", "br-phy",
                "p-b")
    traffic.ping(a, "10.50.0.2", 1)
    to = ("--to", f"vxlan:{COLLECTOR}", "--id", "5")

    def refused(*arguments, says):
        code, said = bench.mirror_raw("plan", "ovs", "--bridge", "br-phy", *arguments)
        if code != 1 or says not in said:
            raise Failed(f"{arguments}: {code} {said}")
    refused("--all-ports", *to, says="all of its ports would copy them again and again")
    refused("--vlan", "0", *to, says="all of its ports would copy them again and again")
    refused("--ports", "br-phy", *to, says="leave this machine by br-phy")
    refused("--ports", "p-phy", *to, says="--uplink PORT")
    refused("--ports", "p-a", *to, says="--uplink PORT")
    refused("--ports", "p-phy", "--uplink", "p-phy", *to, says="pass p-phy")
    refused("--ports", "p-a", "--uplink", "p-x", *to, says="'p-x' is no port of br-phy")
    refused("--ports", "p-a", "--to", "port:br-phy", says="the bridge's own port")

    # Through a patch port, to a bridge where the machines are.
    bench.vsctl("add-br", "br-two", "--", "set", "Bridge", "br-two", "datapath_type=netdev", "--",
                "add-port", "br-two", "to-phy", "--", "set", "Interface", "to-phy", "type=patch",
                "options:peer=to-two", "--", "add-port", "br-phy", "to-two", "--", "set",
                "Interface", "to-two", "type=patch", "options:peer=to-phy")
    for more, says in ((("--all-ports",), "which is connected with this"),
                       (("--ports", "to-phy"), "pass to-phy")):
        code, said = bench.mirror_raw("plan", "ovs", "--bridge", "br-two", *more, *to)
        if code != 1 or says not in said:
            raise Failed(f"{more}: {code} {said}")
    bench.run("plan", "ovs", "--bridge", "br-two", "--all-ports", "--uplink", "p-phy", *to)
    bench.vsctl("del-br", "br-two", "--", "del-port", "to-two")

    # What is said to be safe is so.
    bench.run("apply", "ovs", "--bridge", "br-phy", "--ports", "p-a", "--uplink", "p-phy", *to,
              "--yes")
    home = Capture(lab, a, "eth0", name="home", direction="inout")
    out = Capture(lab, bench.collector, "eth0", name="out")
    traffic.http_get(a, "10.50.0.2", "/bytes/100000")
    traffic.ping(a, "10.50.0.2", 10)
    home.settle()
    out.settle()
    out.stop()
    n = count_frames(out.only("udp dst port 4789", "out-only"))
    if n != home.count() or n < 50:
        raise Failed(f"the machine had {home.count()} frames, the collector {n}")
    bench.run("remove", "ovs", "--name", "p-a", "--yes")


@scenario("ovs-wrong", *NEEDS)
def ovs_wrong(lab):
    """Wrong input: one sentence that says what to do, and nothing half made."""
    bench = Bench(lab)
    before = bench.shape()
    base = {"--bridge": "br-int", "--ports": "p-a", "--to": f"erspan2:{COLLECTOR}", "--id": "7"}
    for change, code, says in (
            ({"--bridge": "br-x"}, 1, "Open vSwitch has no bridge 'br-x'; it has br-int, br-phy"),
            ({"--bridge": None}, 2, "which bridge?"),
            ({"--ports": "p-x"}, 1, "the bridge br-int has no port 'p-x'; it has"),
            ({"--ports": "p-phy"}, 1, "is on the bridge br-phy, not on br-int"),
            ({"--ports": None}, 2, "what is to be mirrored?"),
            ({"--ports": "p-a,,p-b"}, 2, "is no list of ports"),
            ({"--all-ports": ""}, 2, "leave --ports out"),
            ({"--ports": None, "--vlan": "5", "--direction": "in"}, 2, "--direction needs --ports"),
            ({"--vlan": "4095"}, 2, "is no VLAN (0 to 4094)"),
            ({"--direction": "up"}, 2, "is none of in, out, both"),
            ({"--to": None}, 2, "where to?"),
            ({"--to": "erspan1:10.9.0.2"}, 2, "begins with none of"),
            ({"--to": "erspan2:10.8.0.2"}, 1, "cannot be reached"),
            ({"--to": "erspan2:10.9.0.1"}, 1, "is this machine's own address"),
            ({"--id": None}, 2, "--id: erspan2 needs one (0 to 1023)"),
            ({"--id": "1024"}, 2, "erspan2 has 0 to 1023"),
            ({"--id": "x"}, 2, "is no number"),
            ({"--to": f"vxlan:{COLLECTOR}", "--id": "16777216"}, 2, "vxlan has 0 to 16777215"),
            ({"--to": "port:p-a", "--id": None}, 1, "the port p-a is mirrored itself"),
            ({"--to": "port:p-z", "--id": None}, 1, "--to port: the bridge br-int has no port 'p-z'"),
            ({"--to": "port:br-int", "--id": None}, 1, "the bridge's own port"),
            ({"--to": "port:p-b"}, 2, "carry no id"),
            ({"--to": "vlan:5", "--vlan": "5", "--id": None}, 2, "VLAN 5 is mirrored itself"),
            ({"--to": "vlan:4095", "--id": None}, 2, "is no VLAN"),
            ({"--snap": "13"}, 2, "14 to 65535"),
            ({"--csum": ""}, 2, "have no such checksum"),
            ({"--db": "tcp:127.0.0.1:1"}, 1, "is ovsdb-server running?"),
            ({"--db": "ssl:127.0.0.1:1"}, 1, "TLS is not spoken here"),
            ({"--db": "unix:/nowhere"}, 1, "is ovsdb-server running?")):
        words = []
        for option, value in {**base, **change}.items():
            if value is not None:
                words += [option] + ([value] if value else [])
        got, said = bench.mirror_raw("apply", "ovs", *words, "--yes")
        if got != code or says not in said:
            raise Failed(f"{change}: {got}, not {code}: {said}")
        if bench.shape() != before:
            raise Failed(f"{change}: something was made")
    # A collector that full frames do not reach is warned of.
    bench.vsctl("set", "Interface", "br-phy", "mtu_request=1500")
    said = bench.run("plan", "ovs", "--bridge", "br-int", "--ports", "p-a", "--to",
                     f"erspan2:{COLLECTOR}", "--id", "7")
    if "packets of more than 1450 bytes are not mirrored" not in said:
        raise Failed(said)
