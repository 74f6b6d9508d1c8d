"""Several machines and several mirrors: copies, real repetitions, loops, gateways, many workers,
and who is admitted."""
import os
import random
import re
import signal
import struct


import logs
import packets as p
import senders
import traffic
from collector import Capture, Watch
from lab import Failed, wait_until
from lan import WEB, Lan
from scenario import scenario
from scenarios_receive import OF_THE_MIRROR, SOURCE_COLUMNS, Net, check, packets_of

def same_as_at_home(lab, offline, home, what):
    """The logs must be those of a capture taken on the machine itself, before any mirror."""
    file = home.only("not udp port 4789 and not arp", "home-only")
    try:
        logs.must_be_equal(offline, logs.read_offline(lab, file, mirror=None),
                           leave_out=SOURCE_COLUMNS, logs_left_out={"weird"})
    except Failed as failure:
        raise Failed(f"{what}: not as it was on the machine itself ('capture')\n{failure}") from None


@scenario("two-mirrors", "tcpdump", "openssl")
def two_mirrors(lab):
    """Both ends of a connection are mirrored, with two VNIs: it is logged once, with its bytes."""
    lan = Lan(lab)
    web, db = lan.pair(mirrored=False)
    home = Capture(lab, db, "eth0", name="home", direction="inout")
    watch = Watch(lab, lan.col, "-l", "vxlan")
    beside = Capture(lab, lan.col, "eth0")
    lan.mirror_pair()
    counts = traffic.sum_of(*[traffic.exchange(db, web.lan_address, turn) for turn in range(3)])
    offline = check(lab, [watch], beside, counts, OF_THE_MIRROR)
    home.process.stop(signal.SIGINT)
    same_as_at_home(lab, offline, home, "two mirrors")


@scenario("retransmission", "tcpdump", "nft")
def retransmission(lab):
    """A real repetition, seen by two mirrors, stays: T in the history, and both packets counted."""
    lan = Lan(lab)
    web, db = lan.pair(mirrored=False)
    home = Capture(lab, db, "eth0", name="home", direction="inout")
    watch = Watch(lab, lan.col, "-l", "vxlan")
    beside = Capture(lab, lan.col, "eth0")
    lan.mirror_pair()
    sock = traffic.connect(db, web.lan_address, 80)
    # Its data is lost behind the place where web's mirror sees it.
    web.nft("""table ip lossy {
        chain in { type filter hook input priority 0; tcp dport 80 tcp flags & psh == psh drop; }
    }""")
    sock.sendall(b"GET /bytes/100 HTTP/1.1\r\nHost: www.example.net\r\n\r\n")
    wait_until(lambda: retransmits(sock) >= 2, "nothing is sent again")
    web.nft("delete table ip lossy")
    while sock.recv(4096):
        pass
    sock.close()
    offline = check(lab, [watch], beside, {"http": 1}, OF_THE_MIRROR)
    home.process.stop(signal.SIGINT)
    rows = [row for row in offline["conn"].dicts() if row["id.resp_p"] == "80"]
    if len(rows) != 1 or "T" not in rows[0]["history"]:
        raise Failed(f"not one connection with T in its history: {rows}")
    same_as_at_home(lab, offline, home, "a retransmission")


def retransmits(sock):
    """tcpi_total_retrans of struct tcp_info."""
    info = sock.getsockopt(6, 11, 256)
    return struct.unpack_from("=I", info, 100)[0]


@scenario("loop", "tcpdump", "openssl")
def loop(lab):
    """A mirror that mirrors itself: said once, with the command that ends it; no copy is logged."""
    lan = Lan(lab)
    web, db = lan.add("web", 11), lan.add("db", 12)
    traffic.servers(lab, web, web.lan_address)
    watch = Watch(lab, lan.col, "-l", "vxlan")
    home = Capture(lab, web, "eth0", name="home", direction="inout")
    lan.mirror(web, 101, leave_out=False)
    counts = traffic.exchange(db, web.lan_address)
    watch.must_say(r"tc filter add|cloudspan mirror")
    counts = traffic.sum_of(counts, traffic.exchange(db, web.lan_address, 1))
    watch.settle()
    said = [line for line in watch.said().splitlines() if re.search("tc filter add|cloudspan mirror", line)]
    if len(said) != 1:
        raise Failed("the loop is not reported once:\n" + "\n".join(said))
    left_out = [row for row in watch.snapshot()["drops"] if not row["is_loss"] and row["n"] > 0]
    if not left_out:
        raise Failed("the copies of copies are left out, but nobody counted them")
    live = watch.stop()
    logs.must_have(live, counts, "watch")
    home.process.stop(signal.SIGINT)
    # Of the machine itself: what came by no tunnel.
    same_as_at_home(lab, live, home, "a loop")


@scenario("gateway", "tcpdump", "nft", "openssl")
def gateway(lab):
    """A gateway's two sides, with address translation between: two connections for each."""
    net = Net(lab)
    inside = lab.ns("inside")
    lab.cable(inside, "eth0", net.mon, "eth2")
    inside.address("eth0", "10.2.0.5/24")
    net.mon.address("eth2", "10.2.0.1/24")
    inside.ip("route", "add", "default", "via", "10.2.0.1")
    net.mon.set_sysctl("net/ipv4/ip_forward", 1)
    net.mon.nft("""table ip nat {
        chain post { type nat hook postrouting priority 100; oif "eth0" masquerade; }
    }""")
    watch = Watch(lab, net.col, "-l", "vxlan")
    beside = Capture(lab, net.col, "eth0")
    net.vxlan()
    senders.tc_mirror(net.mon, "eth2", "vx0")
    traffic.exchange(inside, "10.1.0.2", 1)
    offline = check(lab, [watch], beside, {"http": 4, "ssl": 2, "dns": 2}, OF_THE_MIRROR)
    who = {row["id.orig_h"] for row in offline["conn"].dicts() if "." in row["id.orig_h"]}
    if who != {"10.2.0.5", "10.1.0.1"}:
        raise Failed(f"the originators are {who}, not both sides of the gateway")


@scenario("leaked-tag", "tcpdump")
def leaked_tag(lab):
    """OpenStack's taps leak the VLAN tag of the host: taken off where the configuration says so."""
    net = Net(lab, col_address=None)
    beside = Capture(lab, net.col, "eth0")
    kept, dropped = lab.folder("kept"), lab.folder("dropped")
    watches = []
    for name, folder, more in (("keeps", kept, ""), ("drops", dropped, ", drop-vlan: true")):
        watches.append(Watch(lab, net.col, "--pcap", folder, name=name,
                             config=f"listen: [{{interface: eth0{more}}}]\n"))
    packets = packets_of()
    senders.send_frames(net.mon, "eth1", [p.ether(packet, [(0x8100, 1)]) for packet in packets], 500)
    offline = check(lab, watches, beside, {"http": 1, "dns": 1, "conn": 2},
                    leave_out=SOURCE_COLUMNS)
    del offline
    for folder, expected in ((kept, len(packets)), (dropped, 0)):
        got = sum(tagged(frame) for frame in frames_below(folder))
        if got != expected or not frames_below(folder):
            raise Failed(f"{folder}: {got} of {len(frames_below(folder))} frames have a tag, "
                         f"not {expected}")


def tagged(frame):
    return frame[12:14] == b"\x81\x00"


def frames_below(folder):
    """All frames of all pcapng (or pcap) files in the folder."""
    frames = []
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            with open(os.path.join(path, name), "rb") as file:
                frames += frames_of(file.read())
    return frames


def frames_of(data):
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        at = 0
        while at + 12 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            if kind == 6:
                length = struct.unpack_from("<I", data, at + 20)[0]
                yield data[at + 28:at + 28 + length]
            at += max(size, 12)
        return
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + size]
        at += 16 + size


# --- Many workers -------------------------------------------------------------------------------


def many_flows(n, seed):
    """The packets of n connections, mixed up among each other but each in its own order."""
    rng = random.Random(seed)
    talks = []
    for i in range(n):
        tape = p.Tape(bytes)
        src = f"10.{rng.randint(1, 4)}.{rng.randint(0, 20)}.{rng.randint(1, 250)}"
        dst = f"10.{rng.randint(5, 8)}.0.{rng.randint(1, 9)}"
        if i % 3 == 0:
            sport = 1024 + i
            tape.add(p.udp(src, dst, sport, 9000, b"ask %d" % i))
            tape.add(p.udp(dst, src, 9000, sport, b"answer"))
        else:
            talk = p.Tcp(tape, src, dst, 1024 + i, rng.choice((80, 8080, 22, 5000))).open()
            talk.say(0, b"question %d\n" % i).say(1, b"x" * rng.randint(1, 1200)).close(rng.randint(0, 1))
        talks.append([packet for _, packet in tape.frames])
    waiting, order = list(range(n)), []
    active = []
    while waiting or active:
        while waiting and len(active) < 200:
            active.append(waiting.pop(0))
        pick = rng.randrange(len(active))
        talk = talks[active[pick]]
        order.append(talk.pop(0))
        if not talk:
            active[pick] = active[-1]
            active.pop()
    return order


@scenario("steering", "tcpdump")
def steering(lab):
    """Four workers, outer ports at random, two outer addresses: no connection is split."""
    net = Net(lab)
    net.mon.address("eth1", "10.9.0.3/24")
    check_steering(lab, net, lambda packet: (packet[15] ^ packet[19]) % 2)


@scenario("two-ways", "tcpdump")
def two_ways(lab):
    """The same, and the two directions of a connection come by different encapsulations."""
    net = Net(lab)
    net.mon.address("eth1", "10.9.0.3/24")
    check_steering(lab, net, lambda packet: packet[15] % 2, n=600, pace=1000)


def check_steering(lab, net, is_vxlan, n=3000, pace=4000):
    # Places for super-frames would be full in some hundredths of a second.
    beside = Capture(lab, net.col, "eth0", snap=2000)
    watches = [Watch(lab, net.col, "-j", "4", "-l", "vxlan", "-l", "geneve", name="sockets"),
               Watch(lab, net.col, "-j", "4", "-i", "eth0", name="ring")]
    rng = random.Random(7)
    ports = [traffic.udp_socket(net.mon, f"10.9.0.{rng.choice((1, 3))}") for _ in range(64)]
    even = senders.Pace(pace)
    for packet in many_flows(n, 7):
        if is_vxlan(packet):
            rng.choice(ports).sendto(senders.vxlan_header(5) + p.ether(packet), ("10.9.0.2", 4789))
        else:
            rng.choice(ports).sendto(senders.geneve_header(0x6558, 6) + p.ether(packet),
                                     ("10.9.0.2", 6081))
        even.next()
    check(lab, watches, beside, {"conn": n}, OF_THE_MIRROR, leave_out=SOURCE_COLUMNS, tolerance=0.5)


# --- Admission ----------------------------------------------------------------------------------


@scenario("admission", "tcpdump", "openssl")
def admission(lab):
    """With one source configured another sender is refused, and shown with what would admit it;
    that, put into the configuration, admits it while watch runs."""
    lan = Lan(lab)
    web, db = lan.pair()
    other = lan.add("other", 13)
    traffic.servers(lab, other, other.lan_address)
    lan.mirror(other, 103)
    watch = Watch(lab, lan.col, "-l", "vxlan", config="canary: {enabled: false}\nsources:\n" + WEB)
    traffic.exchange(db, web.lan_address, 1)
    traffic.exchange(web, other.lan_address, 2)

    def refused():
        rows = {row["id"]: row for row in watch.sources()[1] if row.get("refused")}
        return rows if set(rows) >= {102, 103} else None
    row = wait_until(refused, "the refused senders are not shown", every=0.1)[103]
    if row["packets"] == 0 or "vxlan:103@10.1.0.13" not in row["admit"]:
        raise Failed(f"no line that would admit it: {row}")
    watch.settle()
    # As it is said, but for a name of our own.
    folder = lab.folder("conf.d", 0o755)
    with open(os.path.join(folder, "other.yaml"), "w", encoding="utf-8") as file:
        file.write(row["admit"].replace("NAME", "other") + "\n")
    watch.process.tell(signal.SIGHUP)
    wait_until(lambda: watch.machine("other"), "the new source is not known after SIGHUP")
    traffic.exchange(db, other.lan_address, 3)
    watch.settle()
    live = watch.stop()
    uris = set(live["http"].column("uri"))
    # Turn 2 was between web, which is admitted, and other; turn 3 was other's alone, of those admitted.
    if not {"/turn/1/bytes", "/turn/2/bytes", "/turn/3/bytes"} <= uris:
        raise Failed(f"http.log has {uris}")
    sources = set(live["conn"].column("source"))
    if sources != {"web", "other"}:
        raise Failed(f"the sources in conn.log are {sources}")


@scenario("overlap", "tcpdump")
def overlap(lab):
    """Two networks with the same addresses, at the same time: two connections."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", config="""
networks:
  blue: {channels: ["vxlan:1"]}
  red: {channels: ["vxlan:2"]}
""")
    beside = Capture(lab, net.col, "eth0")
    datagrams = []
    for packet in packets_of():
        for vni in (1, 2):
            datagrams.append(senders.vxlan_header(vni) + p.ether(packet))
    senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", 4789, datagrams, 500)
    beside.settle()
    watch.settle()
    live = watch.stop()
    offline = logs.read_offline(lab, beside.stop(), "--network", "blue=vxlan:1", "--network",
                                "red=vxlan:2")
    logs.must_have(offline, {"http": 2, "conn": 4}, "the capture beside")
    logs.must_be_equal(live, offline)



