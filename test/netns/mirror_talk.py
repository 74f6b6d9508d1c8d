"""Traffic of every kind between a monitored machine and its peer, in both directions. What can be
counted comes back as the number of rows that each log gets of it.

`net` is a laboratory of mirror_lab.py: `mon` and `peer` are the two ends, `device` is the monitored
interface of the one and `peer_device` that of the other."""
import contextlib
import os
import socket
import ssl

import messages as m
import packets as p
import traffic

HALF_OPEN_PORT = 7777
ECHO_PORT = 7007
CLOSED_PORT = 9

# The guest of check-vm is emulated, and slow; what is asked of the kernel there is the same.
IN_GUEST = "CLOUDSPAN_GUEST" in os.environ
LARGE = 100_000 if IN_GUEST else 1_000_000
MANY = 5 if IN_GUEST else 40


@contextlib.contextmanager
def one_core():
    """All that is sent and answered runs on one core of the machine. A cable has a queue for each:
    copies of what one core sends would overtake those of what another receives, and the collector
    would hear of answers before the questions."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def serve(net):
    """What the two ends answer: HTTP, TLS, DNS and an echo of datagrams, on all their addresses."""
    with one_core():
        serve_all(net)


def serve_all(net):
    for ns, addresses in ((net.mon, net.mon_addresses), (net.peer, net.peer_addresses)):
        traffic.servers(net.lab, ns, *addresses)
        for address in addresses:
            net.lab.serve(echo, traffic.udp_socket(ns, address, ECHO_PORT))
        # A port from which nothing comes back, not even a refusal.
        ns.nft(f"""table inet deaf {{ chain in {{ type filter hook input priority 0;
                                                 tcp dport {HALF_OPEN_PORT} drop; }}; }}""")


def echo(sock):
    while True:
        data, who = sock.recvfrom(65536)
        with contextlib.suppress(OSError):
            sock.sendto(data, who)


def both_ways(net):
    """(who asks, the address that is asked), each end by each family of addresses."""
    for address in net.peer_addresses:
        yield net.mon, address
    for address in net.mon_addresses:
        yield net.peer, address


# --- Kinds of traffic, for every method of mirroring ----------------------------------------------


def small(net):
    """HTTP of a few packets."""
    for ns, address in both_ways(net):
        traffic.http_get(ns, address, "/small")
    return {"http": len(list(both_ways(net)))}


def large(net):
    """Downloads in both directions: super-frames, where the interfaces have offloads."""
    asked = list(both_ways(net))
    for ns, address in asked:
        with traffic.connect(ns, address, 80) as sock:
            # A window's packets and their copies must all find room in a cable's queue.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(m.http_request("GET", f"/bytes/{LARGE}", host="www.example.net"))
            n = 0
            while piece := sock.recv(65536):
                n += len(piece)
        if n < LARGE:
            raise OSError(f"the download from {address} ended early")
    return {"http": len(asked)}


def many(net):
    """Short connections, one after the other."""
    for i in range(MANY):
        traffic.http_get(net.mon, net.peer_addresses[0], f"/many/{i}")
    return {"http": MANY}


def tls(net):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        traffic.tls_get(net.mon, net.peer_addresses[0], version=version)
    return {"ssl": 2}


def dns(net):
    n = 0
    for ns, address in both_ways(net):
        traffic.dns_ask(ns, address, f"name{n}.example.net", 0x2000 + n)
        n += 1
    return {"dns": n}


def fragments(net):
    """Datagrams and pings larger than the MTU."""
    for ns, address in both_ways(net):
        with traffic.udp_socket(ns, "::" if ":" in address else "0.0.0.0") as sock:
            sock.settimeout(10)
            sock.connect((address, ECHO_PORT))
            sock.send(b"a datagram in pieces. " * 200)
            sock.recv(65536)
        traffic.ping(ns, address, 1, size=4000)
    return {}


def pings(net):
    for ns, address in both_ways(net):
        traffic.ping(ns, address)
    return {}


def refused(net):
    """RST of a closed port of TCP, and ICMP's unreachable of one of UDP."""
    for ns, address in both_ways(net):
        with contextlib.suppress(ConnectionRefusedError):
            traffic.connect(ns, address, CLOSED_PORT).close()
        with traffic.udp_socket(ns, "::" if ":" in address else "0.0.0.0") as sock:
            sock.settimeout(10)
            sock.connect((address, CLOSED_PORT))
            sock.send(b"anybody there?")
            with contextlib.suppress(ConnectionRefusedError):
                sock.recv(1)
    return {}


def half_open(net):
    """A SYN that nobody answers."""
    for ns, address in both_ways(net):
        with ns.inside():
            sock = socket.socket(traffic.family(address), socket.SOCK_STREAM)
        with sock:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect((address, HALF_OPEN_PORT))
    return {}


def to_all(net):
    """Broadcast and multicast datagrams."""
    for ns, device, address in ((net.mon, net.mon_device, net.mon_addresses[0]),
                                (net.peer, net.peer_device, net.peer_addresses[0])):
        with traffic.udp_socket(ns, address) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            sock.sendto(b"to all of the link", (address.rsplit(".", 1)[0] + ".255", 6999))
            sock.sendto(b"to a group", ("239.1.2.3", 6998))
    return {}


# --- Frames that only a mirror of the link sees ---------------------------------------------------


def arp(net):
    """The kernel's own question and answer, after it forgot the neighbour."""
    mac = net.peer.mac(net.peer_device)
    net.mon.ip("neigh", "del", net.peer_addresses[0], "dev", net.mon_device)
    traffic.ping(net.mon, net.peer_addresses[0], 1)
    net.mon.ip("neigh", "replace", net.peer_addresses[0], "lladdr", mac, "dev", net.mon_device)
    return {}


def tagged(net):
    """DNS and HTTP in a VLAN, and in a VLAN within another."""
    talk(net, 40000, [(0x8100, 100)])
    talk(net, 40010, [(0x88A8, 200), (0x8100, 300)])
    return {"dns": 2, "http": 2}


def strange(net):
    """IPv6 behind options of the destination, an unknown EtherType, a SYN alone, RSTs alone."""
    a, b = "2001:db8::1", "2001:db8::53"
    for from_mon, (src, dst) in ((True, (a, b)), (False, (b, a))):
        datagram = p.udp_datagram(src, dst, 41002, 41002, b"behind options")
        options = bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([17, 0, 1, 4, 0, 0, 0, 0])
        wire(net, [(from_mon, p.ether(p.ipv6(src, dst, 0, options + datagram))),
                   (from_mon, p.ether(b"a protocol of our own" * 9, ethertype=0x88B5)),
                   (from_mon, p.ether(p.tcp("10.77.0.1", "10.77.0.2", 5000 + from_mon, 80, 1, 0,
                                            p.SYN))),
                   (from_mon, p.ether(p.tcp("10.77.0.1", "10.77.0.2", 5010 + from_mon, 80, 1, 0,
                                            p.RST)))])
    return {}


def talk(net, sport, tags):
    """A conversation made by hand: its originator is beside the monitored machine, its responder
    beside the peer."""
    import make_captures
    tape = p.Tape(bytes)
    make_captures.dns_talk(tape, "10.76.0.1", "10.76.0.53", sport + 1, sport)
    make_captures.http_talk(tape, "10.76.0.1", "10.76.0.2", sport)
    wire(net, [(packet[12:16] == p.ip4("10.76.0.1"), p.ether(packet, tags))
               for _, packet in tape.frames])


def wire(net, frames):
    """[(whether the monitored machine sends it, the frame)]"""
    ends = []
    for ns, device in ((net.peer, net.peer_wire), (net.mon, net.device)):
        with ns.inside():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind((device, 0))
        ends.append(sock)
    for from_mon, frame in frames:
        ends[from_mon].send(frame)
    for sock in ends:
        sock.close()


OF_IP = (small, large, many, tls, dns, fragments, pings, refused, half_open)
# The IP layer sees its own broadcasts more than once.
OF_THE_LINK = (to_all, arp, tagged, strange)
SHORT = (small, dns, pings)
SUPER = (large, fragments, tls, dns)


def run(net, kinds):
    with one_core():
        return traffic.sum_of(*[kind(net) for kind in kinds])

