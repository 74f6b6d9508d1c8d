"""Every way in, and every encapsulation that can be produced here: what was received live gives the
logs that `cloudspan read --mirror` gives of a capture taken beside it."""
import signal
import subprocess
import time

import logs
import packets as p
import senders
import traffic
from collector import NOBODY, Capture, Watch, count_frames, udp_port_is_taken
from lab import Failed, wait_until
from scenario import scenario
from vswitch import KINDS, Vswitch

MIRROR_PORTS = (4789, 6081, 4790, 4754, 37008, 5555)
# The mirror's own packets, and the later fragments of them (also those inside IPv6).
OF_THE_MIRROR = "(" + " or ".join(f"udp dst port {port}" for port in MIRROR_PORTS) + \
    ") or ip proto 47 or (ip[6:2] & 0x1fff != 0)"


# Whence a row came: where `read` knows no interface, or the rows are compared with those of a capture
# before the mirror.
SOURCE_COLUMNS = ("source", "agent_hostname", "agent_uuid", "id.ctx.vxlan_vni",
                  "id.ctx.geneve_vni")


class Net:
    """Scenarios let watch and tcpdump begin before the mirror does, so that both have seen the same.

    peer 10.1.0.2 -- 10.1.0.1 mon 10.9.0.1 -- 10.9.0.2 col, with servers at the peer."""

    def __init__(self, lab, prefix="", col_address="10.9.0.2/24", offload=True):
        self.lab = lab
        self.peer, self.mon, self.col = (lab.ns(prefix + name) for name in ("peer", "mon", "col"))
        lab.cable(self.mon, "eth0", self.peer, "eth0", offload)
        lab.cable(self.mon, "eth1", self.col, "eth0", offload)
        self.mon.address("eth0", "10.1.0.1/24", "fd01::1/64")
        self.peer.address("eth0", "10.1.0.2/24", "fd01::2/64")
        self.mon.address("eth1", "10.9.0.1/24")
        self.col.address("eth0", *([col_address] if col_address else []))
        self.mon.ip("neigh", "add", "10.9.0.2", "lladdr", self.col.mac("eth0"), "dev", "eth1")
        traffic.servers(lab, self.peer, "10.1.0.2", "fd01::2")

    def vxlan(self, vni=4242):
        senders.vxlan_device(self.mon, "vx0", vni, "10.9.0.1", "10.9.0.2", "eth1")
        senders.tc_mirror(self.mon, "eth0", "vx0")

    def talk(self, turns=2):
        """Over IPv4 and IPv6; a full frame too, which its VXLAN does not fit in one packet."""
        counts = []
        for turn in range(turns):
            counts.append(traffic.exchange(self.mon, "10.1.0.2", 2 * turn))
            counts.append(traffic.exchange(self.mon, "fd01::2", 2 * turn + 1))
        traffic.ping(self.mon, "10.1.0.2", 1, size=1472)
        return traffic.sum_of(*counts)


def check(lab, watches, beside, counts, expression=None, mirror="--mirror", **how):
    """Ends the watches and tcpdump, and compares. `expression`: the part of the wire that these
    watches can see. Gives the logs of the capture."""
    beside.settle()
    for watch in watches:
        watch.settle()
    live = [watch.stop() for watch in watches]
    file = beside.stop()
    if expression:
        file = beside.only(expression, f"part-{watches[0].process.name}")
    offline = logs.read_offline(lab, file, mirror=mirror)
    logs.must_have(offline, counts, "the capture beside")
    for watch, got in zip(watches, live):
        try:
            logs.must_be_equal(got, offline, **how)
        except Failed as failure:
            raise Failed(f"{' '.join(watch.process.command)}\n{failure}") from None
    return offline


@scenario("udp-unprivileged", "tcpdump", "setpriv", "openssl")
def udp_unprivileged(lab):
    """UDP listeners of a user without any privilege: the kernel's VXLAN, in outer fragments too."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", prefix=NOBODY)
    beside = Capture(lab, net.col, "eth0")
    net.vxlan()
    counts = net.talk()
    beside.settle()
    if count_frames(beside.only("ip[6:2] & 0x1fff != 0", "fragments")) == 0:
        raise Failed("nothing came in outer fragments, so they were not tried")
    check(lab, [watch], beside, counts, OF_THE_MIRROR)


@scenario("ring-no-address", "tcpdump", "openssl")
def ring_no_address(lab):
    """The ring on an interface without any address, where no UDP socket would get a packet."""
    net = Net(lab, col_address=None)
    watch = Watch(lab, net.col, config="listen: [{interface: eth0, encapsulation: vxlan}]\n")
    beside = Capture(lab, net.col, "eth0")
    net.vxlan()
    check(lab, [watch], beside, net.talk(), OF_THE_MIRROR)


@scenario("ring-with-address", "tcpdump", "openssl")
def ring_with_address(lab):
    """The ring on the interface that the mirror is addressed to; the collector answers nothing."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-i", "eth0", "-l", "vxlan")
    beside = Capture(lab, net.col, "eth0")
    answers = Capture(lab, net.mon, "eth1", name="answers")
    net.vxlan()  # the port is held before the first packet comes
    counts = net.talk()
    answers.stop()  # before watch lets go of the port
    check(lab, [watch], beside, counts, OF_THE_MIRROR)
    if logs.rows_of(logs.read_offline(lab, answers.file, mirror=None), "conn"):
        raise Failed("the collector sent something to the mirrored machine")


@scenario("ring-and-udp", "tcpdump", "openssl")
def ring_and_udp(lab):
    """What comes in by both the ring and the UDP socket is counted once."""
    net = Net(lab)
    both = Watch(lab, net.col, "-i", "eth0", "-l", "vxlan", name="both")
    beside = Capture(lab, net.col, "eth0")
    net.vxlan()
    counts = net.talk()

    def counts_agree():
        sent = count_frames(beside.only("udp dst port 4789", "packets"))
        return sent > 0 and both.packets() == sent
    beside.settle()
    wait_until(counts_agree, lambda: f"{both.packets()} packets are counted", every=1)
    check(lab, [both], beside, counts, OF_THE_MIRROR)


@scenario("by-hand", "tcpdump", "setpriv")
def by_hand(lab):
    """Encapsulations that no program here can send, made by hand, to UDP listeners of nobody's."""
    net = Net(lab)
    beside = Capture(lab, net.col, "eth0")
    watch = Watch(lab, net.col, "-l", "vxlan", "-l", "geneve:6081", "-l", "udp::10.9.0.2:4790:vxlan-gpe",
                  "-l", "udp::10.9.0.2:4754:gre-udp", "-l", "udp::10.9.0.2:37008:tzsp",
                  "-l", "udp::10.9.0.2:5555:raw", prefix=NOBODY)
    n = 0
    for name, (port, wrap) in sorted(senders.BY_HAND.items()):
        datagrams = [wrap(packet) for packet in packets_of(sport=40000 + 10 * n)]
        senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", port, datagrams, per_second=500)
        n += 1
    check(lab, [watch], beside, {"conn": 2 * n, "http": n, "dns": n}, OF_THE_MIRROR)


@scenario("aws-gwlb", "tcpdump", "setpriv")
def aws_gwlb(lab):
    """AWS's mirror through a Gateway Load Balancer: GENEVE around IP around VXLAN, both taken off."""
    through_balancer(lab, "geneve+vxlan")


@scenario("aws-gwlb-unnamed", "tcpdump", "setpriv")
def aws_gwlb_unnamed(lab):
    """The same to a listener for GENEVE: the balancer's option says what is inside."""
    through_balancer(lab, "geneve")


def through_balancer(lab, listener):
    net = Net(lab)
    beside = Capture(lab, net.col, "eth0")
    watch = Watch(lab, net.col, "-l", listener, prefix=NOBODY)
    senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", 6081, map(senders.aws_gwlb, packets_of()), 500)
    offline = check(lab, [watch], beside, {"conn": 2, "http": 1, "dns": 1}, OF_THE_MIRROR,
                    mirror="--mirror=geneve+vxlan")
    if set(offline["conn"].column("id.ctx.vxlan_vni")) != {"77"}:
        raise Failed("the VNI is not that of AWS's session")


def packets_of(sport=40000, src="10.0.0.1", dst="10.0.0.2"):
    """One DNS question with its answer, one HTTP talk: two connections."""
    import make_captures
    tape = p.Tape(bytes)
    make_captures.dns_talk(tape, src, "10.0.0.53", sport + 1, sport)
    make_captures.http_talk(tape, src, dst, sport)
    return [packet for _, packet in tape.frames]


@scenario("raw-udp", "tcpdump")
def raw_udp(lab):
    """Bare Ethernet frames, one a datagram, on a port that is said to be raw."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "udp::10.9.0.2:5555:raw")
    packets = packets_of()
    senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", 5555, map(p.ether, packets), per_second=500)
    watch.settle()
    live = watch.stop()
    # What the frames are when nothing wraps them.
    plain = lab.path("plain.pcap")
    now = time.time_ns()
    with open(plain, "wb") as file:
        file.write(p.pcap([(now + 2_000_000 * i, p.ether(packet)) for i, packet in enumerate(packets)],
                          nano=True))
    logs.must_be_equal(live, logs.read_offline(lab, plain, mirror=None),
                       leave_out=("source", "agent_hostname", "agent_uuid"), tolerance=60)


@scenario("gre-by-hand", "tcpdump")
def gre_by_hand(lab):
    """Plain GRE with bare IP, ERSPAN type I, keyless and with checksum: the raw socket."""
    net = Net(lab)
    senders.hush(net.col)
    beside = Capture(lab, net.col, "eth0")
    watch = Watch(lab, net.col, "-l", "gre")
    ways = [
        lambda packet: senders.gre_header(p.ethertype_of(packet)) + packet,
        lambda packet: senders.gre_header(0x88BE) + p.ether(packet),
        lambda packet: senders.gre_header(0x6558, csum_over=p.ether(packet)) + p.ether(packet),
        lambda packet: senders.gre_header(0x6558, key=7, csum_over=p.ether(packet)) + p.ether(packet),
    ]
    for i, wrap in enumerate(ways):
        senders.send_ip(net.mon, "10.9.0.1", "10.9.0.2", 47,
                        [wrap(packet) for packet in packets_of(41000 + 10 * i)], per_second=500)
    check(lab, [watch], beside, {"conn": 2 * len(ways), "http": len(ways), "dns": len(ways)},
          OF_THE_MIRROR)


@scenario("openvswitch", "tcpdump", "ovs-vswitchd", "ovsdb-server", "ethtool", "openssl")
def openvswitch(lab):
    """Open vSwitch's mirrors through all of its tunnels, to sockets and to the ring at once."""
    host, collector = lab.ns("host"), lab.ns("col")
    switch = Vswitch(lab, host, collector)
    senders.hush(collector)
    traffic.servers(lab, switch.machines[1], "10.50.0.2", "fd50::2")
    beside = Capture(lab, collector, "eth0")
    sockets = Watch(lab, collector, "-l", "vxlan", "-l", "geneve", "-l", "gre",
                    "-l", "udp::0.0.0.0:4790:vxlan-gpe", name="sockets")
    ring = Watch(lab, collector, "-i", "eth0", name="ring")
    counts = []
    for turn, kind in enumerate(KINDS):
        client, _ = switch.mirror(kind)
        counts.append(traffic.exchange(client, "10.50.0.2", 2 * turn))
        counts.append(traffic.exchange(client, "fd50::2", 2 * turn + 1))
    offline = check(lab, [sockets, ring], beside, traffic.sum_of(*counts), OF_THE_MIRROR)
    ids = {int(row["source"].rsplit("/", 1)[1]) for row in offline["http"].dicts()
           if "/" in row["source"]}
    expected = {number for _, _, number in KINDS.values() if number is not None}
    if ids != expected:
        raise Failed(f"the tunnels' ids in http.log are {sorted(ids)}, not {sorted(expected)}")


@scenario("truncated", "tcpdump", "ovs-vswitchd", "ovsdb-server", "ethtool", "openssl")
def truncated(lab):
    """Open vSwitch's snaplen cuts the outer packet: the ring sees it, sockets of UDP never do."""
    host, collector = lab.ns("host"), lab.ns("col")
    switch = Vswitch(lab, host, collector)
    senders.hush(collector)
    traffic.servers(lab, switch.machines[1], "10.50.0.2")
    beside = Capture(lab, collector, "eth0")
    ring = Watch(lab, collector, "-i", "eth0", name="ring")
    client, _ = switch.mirror("vxlan", snaplen=128)
    traffic.exchange(client, "10.50.0.2")
    beside.settle()
    ring.settle()
    rows = ring.snapshot()["sources"]
    offline = check(lab, [ring], beside, {"dns": 1}, OF_THE_MIRROR)
    conns = [row for row in offline["conn"].dicts() if row["proto"] == "tcp"]
    if not any(int(row["resp_bytes"]) > 4000 for row in conns):
        raise Failed("the bytes of cut packets were not counted as they were sent")
    if not any(row["cut"] > 0 for row in rows):
        raise Failed(f"no source is said to be truncated: {rows}")


@scenario("pcap-over-ip", "tcpdump", "setpriv", "openssl")
def pcap_over_ip(lab):
    """A capture read from a TCP port; its sender gone, it is connected to again."""
    net = Net(lab)
    net.vxlan()
    taken = Capture(lab, net.col, "eth0")
    counts = net.talk()
    file = taken.stop()
    with open(file, "rb") as capture:
        senders.serve_pcap(lab, net.mon, "10.9.0.1", 57012, capture.read())
    watch = Watch(lab, net.col, "-j", "1", "-l", "pcap-over-ip:10.9.0.1:57012", prefix=NOBODY)
    watch.settle(at_least=1)
    live = watch.stop()
    offline = logs.read_offline(lab, file)
    logs.must_have(offline, counts, "the capture")
    same_times(live, offline)


@scenario("standard-input", "tcpdump", "openssl")
def standard_input(lab):
    """A capture on the standard input: watch ends with it."""
    from_standard_input(lab, "1")


@scenario("stream-workers", "tcpdump", "openssl")
def stream_workers(lab):
    """A capture that four workers share comes out with the times of its packets, too."""
    for turn in range(4):
        from_standard_input(lab, "4", f"turn{turn}-")


def from_standard_input(lab, workers, prefix=""):
    net = Net(lab, prefix)
    net.vxlan()
    taken = Capture(lab, net.col, "eth0", name=prefix + "beside")
    counts = net.talk()
    file = taken.stop()
    with open(file, "rb") as capture:
        watch = Watch(lab, net.col, "-j", workers, "-l", "-", stdin=capture, ready=False,
                      name=prefix + "watch")
        code = watch.process.wait()
    if code != 0:
        raise Failed(f"watch -l - ended with {code}:\n{watch.said()}")
    offline = logs.read_offline(lab, file)
    logs.must_have(offline, counts, "the capture")
    same_times(watch.logs(), offline)


def same_times(live, offline):
    """The packets bring their times along. Of a certificate that several connections show at once the
    first to be worked on is logged, which depends on the workers."""
    logs.must_be_equal(live, offline, tolerance=0, logs_left_out={"x509"})
    logs.must_have(live, {"x509": len(logs.rows_of(offline, "x509"))}, "live")


@scenario("unencapsulated", "tcpdump", "nft", "openssl")
def unencapsulated(lab):
    """nftables' dup of whole frames: the ring sees them bare, super-frames of segmentation too."""
    net = Net(lab, col_address=None)
    watch = Watch(lab, net.col, "-i", "eth0")
    beside = Capture(lab, net.col, "eth0")
    senders.nft_mirror(net.mon, "eth0", "eth1")
    check(lab, [watch], beside, net.talk(), leave_out=SOURCE_COLUMNS)


@scenario("bare-ip", "tcpdump", "nft", "openssl")
def bare_ip(lab):
    """The IP layer's dup, which TEE is too: packets for others, addressed to the collector."""
    net = Net(lab)
    senders.hush(net.col)
    watch = Watch(lab, net.col, "-i", "eth0")
    beside = Capture(lab, net.col, "eth0")
    senders.nft_mirror_ip(net.mon, "eth0", "10.9.0.2", "eth1")
    counts = traffic.sum_of(*[traffic.exchange(net.mon, "10.1.0.2", turn) for turn in range(2)])
    check(lab, [watch], beside, counts, leave_out=SOURCE_COLUMNS)


@scenario("port-taken", "tcpdump", "openssl")
def port_taken(lab):
    """The port belongs to a VXLAN device of the kernel: the ring serves, and a line says whose."""
    net = Net(lab)
    senders.vxlan_device(net.col, "vxold", 99, "10.9.0.2", "10.9.0.1", "eth0")
    watch = Watch(lab, net.col, "-l", "vxlan", "-i", "eth0", partial=True)
    watch.must_say(r"4789.*vxold|vxold.*4789")
    beside = Capture(lab, net.col, "eth0")
    net.vxlan()
    check(lab, [watch], beside, net.talk(), OF_THE_MIRROR)


@scenario("late-interface", "tcpdump", "openssl")
def late_interface(lab):
    """An interface that appears, goes down and up while watch runs."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-i", "eth9", partial=True)
    lab.cable(net.mon, "eth9", net.col, "eth9")
    net.col.address("eth9", "10.8.0.2/24")
    net.mon.address("eth9", "10.8.0.1/24")
    net.mon.ip("neigh", "add", "10.8.0.2", "lladdr", net.col.mac("eth9"), "dev", "eth9")
    senders.vxlan_device(net.mon, "vx9", 9, "10.8.0.1", "10.8.0.2", "eth9")
    senders.tc_mirror(net.mon, "eth0", "vx9")

    def heard(minimum=1):
        traffic.ping(net.mon, "10.1.0.2", 1)
        return watch.packets() >= minimum
    wait_until(heard, "nothing is heard by the interface that came later", every=0.2)
    net.col.ip("link", "set", "eth9", "down")
    net.col.ip("link", "set", "eth9", "up")
    watch.must_say("(?s)eth9: listening.*eth9: listening")
    watch.settle()
    before = watch.packets()
    wait_until(lambda: heard(before + 2), "nothing is heard after the interface went down and up",
               every=0.2)
    beside = Capture(lab, net.col, "eth9")
    counts = net.talk()
    beside.settle()
    watch.settle()
    live = watch.stop()
    offline = logs.read_offline(lab, beside.stop())
    logs.must_have(offline, counts, "the capture beside")
    for name, n in counts.items():
        if len(logs.rows_of(live, name)) != n:
            raise Failed(f"{name}.log has {len(logs.rows_of(live, name))} rows live, not {n}")


@scenario("unprivileged", "tcpdump", "setpriv", "openssl")
def unprivileged(lab):
    """No arguments, no privileges: UDP works, and each thing that is not to be had is said."""
    net = Net(lab)
    watch = Watch(lab, net.col, prefix=NOBODY, partial=True)
    beside = Capture(lab, net.col, "eth0")
    wait_until(lambda: udp_port_is_taken(net.col, 4789) and udp_port_is_taken(net.col, 6081),
               "the listeners of the default")
    watch.must_say(r"(?i)gre|cap_net_raw")
    net.vxlan()
    check(lab, [watch], beside, net.talk(), OF_THE_MIRROR)


@scenario("clean-end", "tcpdump")
def clean_end(lab):
    """Ctrl-C under load: the end is clean at once, and what was received is logged or counted."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "vxlan")
    sending = lab.serve(flood, net, 20000)
    wait_until(lambda: watch.packets() > 1000, "no packets")
    begin = time.monotonic()
    live = watch.stop(signal.SIGINT)
    if time.monotonic() - begin > 30:
        raise Failed("the end took more than 30 s")
    sending.join()
    if not logs.rows_of(live, "conn"):
        raise Failed("no connection was logged")
    second = Watch(lab, net.col, "-l", "vxlan", name="second")
    second.stop(signal.SIGTERM)


def flood(net, n):
    frames = [senders.vxlan_header(5) + p.ether(packet)
              for i in range(n // 12) for packet in packets_of(10000 + 2 * i, f"10.7.{i // 250}.9")]
    senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", 4789, frames, per_second=5000)
