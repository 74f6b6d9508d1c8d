"""Those who send mirrored traffic: the kernel's own means (tc, nft), and encapsulations that no
program at hand can produce, made by us and sent through ordinary sockets."""
import socket
import struct
import time

import packets as p
from lab import need
from traffic import udp_socket


# --- The kernel -----------------------------------------------------------------------------------


def vxlan_device(ns, name, vni, local, remote, device, port=4789):
    ns.ip("link", "add", name, "type", "vxlan", "id", str(vni), "local", local, "remote", remote,
          "dev", device, "dstport", str(port))
    ns.ip("link", "set", name, "up")


def tc_mirror(ns, device, target, leave_out=None):
    """All of the device's traffic, both directions, to the target. `leave_out`: (collector's
    address, port) where the copies leave by the same device."""
    ns.tc("qdisc", "add", "dev", device, "clsact")
    if leave_out:
        address, port = leave_out
        ns.tc("filter", "add", "dev", device, "egress", "protocol", "ip", "prio", "1", "u32",
              "match", "ip", "protocol", "17", "0xff", "match", "ip", "dst", address + "/32",
              "match", "ip", "dport", str(port), "0xffff", "flowid", "1:1")
    for direction in ("ingress", "egress"):
        ns.tc("filter", "add", "dev", device, direction, "protocol", "all", "prio", "10", "u32",
              "match", "u32", "0", "0", "action", "mirred", "egress", "mirror", "dev", target)


def tc_mirror_off(ns, device):
    ns.tc("qdisc", "del", "dev", device, "clsact")


def nft_mirror(ns, device, target):
    """By nftables' dup in the netdev hooks: whole frames, as the device sees them."""
    ns.nft(f"""table netdev mirror_{device} {{
        chain in {{ type filter hook ingress device "{device}" priority -500; dup to "{target}"; }}
        chain out {{ type filter hook egress device "{device}" priority -500; dup to "{target}"; }}
    }}""")


def nft_mirror_ip(ns, device, gateway, target, family="ip"):
    """By the IP layer's dup: what TEE of iptables does. Packets without their Ethernet header."""
    ns.nft(f"""table {family} mirror_{device} {{
        chain pre {{ type filter hook prerouting priority -300;
                     iif "{device}" dup to {gateway} device "{target}"; }}
        chain post {{ type filter hook postrouting priority 300;
                      oif "{device}" dup to {gateway} device "{target}"; }}
    }}""")


# --- Made by hand ---------------------------------------------------------------------------------


def geneve_option(kind_class, kind, data):
    return struct.pack("!HBB", kind_class, kind, len(data) // 4) + data


def geneve_header(protocol, vni=0, options=b""):
    return struct.pack("!BBHI", len(options) // 4, 0, protocol, vni << 8) + options


def vxlan_header(vni):
    return struct.pack("!II", 0x08000000, vni << 8)


def aws_gwlb(packet, vni=77):
    """AWS's mirror to a Gateway Load Balancer: GENEVE around IP, UDP, VXLAN, Ethernet."""
    options = geneve_option(0x0108, 1, bytes(range(8))) + \
        geneve_option(0x0108, 2, bytes(range(8, 16))) + geneve_option(0x0108, 3, b"\x12\x34\x56\x78")
    return geneve_header(0x0800, 0, options) + p.vxlan(p.ether(packet), vni, "172.31.0.9",
                                                       "172.31.0.100", 50001)


def google_nsi(packet, cookie=0xABCDEF, egress=False):
    """Google's Network Security Integration: bare IP, the network and the direction in an option."""
    options = geneve_option(0x0132, 1, struct.pack("!I", cookie << 4 | (1 if egress else 0))) + \
        geneve_option(0x0132, 2, b"endpoint") + geneve_option(0x0132, 3, bytes(8))
    return geneve_header(p.ethertype_of(packet), 0, options) + packet


def tzsp(packet):
    return struct.pack("!BBHB", 1, 0, 1, 1) + p.ether(packet)


def gre_header(protocol, key=None, seq=None, csum_over=None):
    flags = (0x2000 if key is not None else 0) | (0x1000 if seq is not None else 0)
    if csum_over is not None:
        flags |= 0x8000
    head = struct.pack("!HH", flags, protocol)
    rest = b"".join(struct.pack("!I", field) for field in (key, seq) if field is not None)
    if csum_over is None:
        return head + rest
    value = p.checksum(head + b"\0\0\0\0" + rest + csum_over)
    return head + struct.pack("!HH", value, 0) + rest


def vxlan_gpe(packet, vni=0x1095):
    """With P set and the next protocol Ethernet."""
    return struct.pack("!II", 0x0C000003, vni << 8) + p.ether(packet)


# name: (UDP port, how a packet is wrapped)
BY_HAND = {
    "vxlan": (4789, lambda packet: vxlan_header(11) + p.ether(packet)),
    "geneve": (6081, lambda packet: geneve_header(0x6558, 12) + p.ether(packet)),
    "google": (6081, google_nsi),
    "vxlan-gpe": (4790, vxlan_gpe),
    "gre-udp": (4754, lambda packet: gre_header(0x6558, key=13) + p.ether(packet)),
    "tzsp": (37008, tzsp),
}


class Pace:
    """So many packets a second, evenly, so that two cores keep up with sender and receivers."""

    def __init__(self, per_second):
        self.step = 1 / per_second
        self.due = time.monotonic()

    def next(self):
        self.due += self.step
        late = self.due - time.monotonic()
        if late > 0.002:
            time.sleep(late)


def send_udp(ns, source, target, port, datagrams, per_second=2000):
    pace = Pace(per_second)
    with udp_socket(ns, source) as sock:
        for datagram in datagrams:
            sock.sendto(datagram, (target, port))
            pace.next()


def send_ip(ns, source, target, protocol, payloads, per_second=2000):
    pace = Pace(per_second)
    with ns.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    with sock:
        sock.bind((source, 0))
        for payload in payloads:
            sock.sendto(payload, (target, 0))
            pace.next()


def send_frames(ns, device, frames, per_second=2000):
    pace = Pace(per_second)
    with ns.inside():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with sock:
        sock.bind((device, 0))
        for frame in frames:
            sock.send(frame)
            pace.next()


def serve_pcap(lab, ns, address, port, data):
    """PCAP-over-IP: whoever connects gets the capture, and the connection stays open for a while
    longer than it lasts."""
    with ns.inside():
        sock = socket.create_server((address, port))

    def loop():
        while True:
            client, _ = sock.accept()
            client.sendall(data)
            held.append(client)
    held = []
    lab.serve(loop)


def hush(ns):
    """The collector's kernel never answers mirrored packets that nobody listens for."""
    ns.nft("""table inet hush {
        chain out { type filter hook output priority 0;
                    icmp type destination-unreachable drop;
                    icmpv6 type destination-unreachable drop; }
    }""")


def no_offload(ns, device):
    ns.run(need("ethtool"), "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
