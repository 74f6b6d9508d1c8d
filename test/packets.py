"""Building blocks for the test captures: headers, conversations, certificates, capture files.

Everything is bytes made here, with fixed times and addresses, so that the same capture comes out on
every machine. Nothing but python3 is needed.
"""
import gzip
import struct
import zlib

T0 = 1_700_000_000_000_000_000  # ns: 2023-11-14 22:13:20 UTC
MS = 1_000_000

MAC_A = bytes.fromhex("02000a000001")
MAC_B = bytes.fromhex("02000a000002")

ETHERNET, RAW, SLL, SLL2, NULL = 1, 101, 113, 276, 0


def ip4(text):
    return bytes(int(part) for part in text.split("."))


def ip6(text):
    head, _, tail = text.partition("::")
    left = [int(h, 16) for h in head.split(":") if h]
    right = [int(h, 16) for h in tail.split(":") if h]
    middle = [0] * (8 - len(left) - len(right)) if "::" in text else []
    return struct.pack("!8H", *left, *middle, *right)


def address(text):
    return ip6(text) if ":" in text else ip4(text)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# --- Network headers ----------------------------------------------------------------------------


def ipv4(src, dst, proto, payload, ident=1, ttl=64, flags=2, offset=0, options=b""):
    """`flags`: 2 is don't fragment, 1 more fragments; `offset` in bytes."""
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, 4 * words + len(payload), ident,
                       flags << 13 | offset // 8, ttl, proto, 0) + address(src) + address(dst)
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, proto, payload, hops=64):
    return struct.pack("!IHBB", 0x60000000, len(payload), proto, hops) + address(src) + \
        address(dst) + payload


def ip(src, dst, proto, payload, ident=1):
    if ":" in src:
        return ipv6(src, dst, proto, payload)
    return ipv4(src, dst, proto, payload, ident)


def with_checksum(src, dst, proto, segment, at):
    """The pseudo header's checksum written at offset `at`."""
    pseudo = address(src) + address(dst) + struct.pack("!II", len(segment), proto)
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack("!H", value) + segment[at + 2:]


def udp_datagram(src, dst, sport, dport, payload):
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    return with_checksum(src, dst, 17, head + payload, 6)


def udp(src, dst, sport, dport, payload, ident=1):
    return ip(src, dst, 17, udp_datagram(src, dst, sport, dport, payload), ident)


FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def tcp(src, dst, sport, dport, seq, ack, flags, payload=b"", options=b"", window=64240, ident=1):
    options += b"\1" * (-len(options) % 4)
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       (5 + len(options) // 4) << 4, flags, window, 0, 0) + options
    return ip(src, dst, 6, with_checksum(src, dst, 6, head + payload, 16), ident)


def icmp(src, dst, kind, code, rest):
    body = struct.pack("!BBH", kind, code, 0) + rest
    if ":" in src:
        return ipv6(src, dst, 58, with_checksum(src, dst, 58, body, 2))
    return ipv4(src, dst, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def fragments4(packet, size, ident=77):
    """The IPv4 packet in pieces of `size` payload bytes (a multiple of 8)."""
    src, dst = packet[12:16], packet[16:20]
    payload = packet[20:]
    for at in range(0, len(payload), size):
        more = 1 if at + size < len(payload) else 0
        yield ipv4(".".join(map(str, src)), ".".join(map(str, dst)), packet[9],
                   payload[at:at + size], ident=ident, flags=more, offset=at)


def fragments6(src, dst, proto, payload, size, ident=77):
    for at in range(0, len(payload), size):
        more = 1 if at + size < len(payload) else 0
        head = struct.pack("!BBHI", proto, 0, at | more, ident)
        yield ipv6(src, dst, 44, head + payload[at:at + size])


# --- Link headers -------------------------------------------------------------------------------


def ethertype_of(packet):
    return 0x86DD if packet[0] >> 4 == 6 else 0x0800


def ether(packet, tags=(), src=MAC_A, dst=MAC_B, ethertype=None):
    """`tags`: (TPID, VLAN id), outermost first."""
    head = dst + src
    for tpid, vlan in tags:
        head += struct.pack("!HH", tpid, vlan)
    frame = head + struct.pack("!H", ethertype or ethertype_of(packet)) + packet
    return frame + b"\0" * max(0, 60 - len(frame))


def sll(packet):
    return struct.pack("!HHH", 0, 1, 6) + MAC_A + b"\0\0" + \
        struct.pack("!H", ethertype_of(packet)) + packet


def sll2(packet):
    return struct.pack("!HHIHBB", ethertype_of(packet), 0, 2, 1, 0, 6) + MAC_A + b"\0\0" + packet


def null(packet):
    return struct.pack("<I", 24 if packet[0] >> 4 == 6 else 2) + packet


# --- Tunnels ------------------------------------------------------------------------------------

OUTER_A, OUTER_B = "198.51.100.1", "198.51.100.2"


def vxlan(frame, vni=42, src=OUTER_A, dst=OUTER_B, sport=54321):
    head = struct.pack("!II", 0x08000000, vni << 8)
    return udp(src, dst, sport, 4789, head + frame)


def geneve(frame, vni=43, options=b"", src=OUTER_A, dst=OUTER_B, protocol=0x6558):
    head = struct.pack("!BBHI", len(options) // 4, 0, protocol, vni << 8) + options
    return udp(src, dst, 54322, 6081, head + frame)


def gre(payload, protocol, key=None, seq=None, src=OUTER_A, dst=OUTER_B):
    flags = (0x2000 if key is not None else 0) | (0x1000 if seq is not None else 0)
    head = struct.pack("!HH", flags, protocol)
    for field in (key, seq):
        if field is not None:
            head += struct.pack("!I", field)
    return ipv4(src, dst, 47, head + payload)


def erspan2(frame, session=7, seq=1, index=5):
    head = struct.pack("!HHI", 0x1000, session, index)
    return gre(head + frame, 0x88BE, seq=seq)


def erspan3(frame, session=7, seq=1):
    head = struct.pack("!HHIHH", 0x2000, session, 0x12345678, 0, 0)
    return gre(head + frame, 0x22EB, seq=seq)


def gtpu(packet, teid=0x1234, src=OUTER_A, dst=OUTER_B):
    return udp(src, dst, 2152, 2152, struct.pack("!BBHI", 0x30, 0xFF, len(packet), teid) + packet)


# --- Conversations ------------------------------------------------------------------------------


class Tape:
    """Packets with their times. `wrap` turns an IP packet into a frame of the capture's link."""

    def __init__(self, wrap=ether, start=T0):
        self.wrap = wrap
        self.now = start
        self.frames = []  # (ns, bytes)

    def add(self, packet, after=MS, wrap=None):
        self.now += after
        self.frames.append((self.now, (wrap or self.wrap)(packet)))

    def raw(self, frame, after=MS):
        self.now += after
        self.frames.append((self.now, frame))


class Tcp:
    """One TCP connection on a tape; sequence numbers kept, every data segment acknowledged."""

    def __init__(self, tape, src="10.0.0.1", dst="10.0.0.2", sport=40000, dport=80, mss=1400):
        self.tape = tape
        self.ends = ((src, sport), (dst, dport))
        self.seq = [1000 + sport, 5000 + dport]
        self.mss = mss
        self.ident = 100

    def segment(self, side, flags, payload=b"", options=b"", seq=None, keep=False):
        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        seq = self.seq[side] if seq is None else seq
        ack = self.seq[1 - side] if flags & ACK else 0
        self.ident += 1
        packet = tcp(src, dst, sport, dport, seq, ack, flags, payload, options, ident=self.ident)
        if not keep:
            self.seq[side] += len(payload) + (1 if flags & (SYN | FIN) else 0)
        return packet

    def send(self, side, flags, payload=b"", options=b"", **how):
        self.tape.add(self.segment(side, flags, payload, options, **how))

    def open(self):
        mss = struct.pack("!BBH", 2, 4, self.mss) + b"\1\3\3\7"
        self.send(0, SYN, options=mss)
        self.send(1, SYN | ACK, options=mss)
        self.send(0, ACK)
        return self

    def say(self, side, data):
        for at in range(0, len(data), self.mss):
            piece = data[at:at + self.mss]
            self.send(side, ACK | (PSH if at + self.mss >= len(data) else 0), piece)
            self.send(1 - side, ACK)
        return self

    def close(self, first=0):
        self.send(first, FIN | ACK)
        self.send(1 - first, FIN | ACK)
        self.send(first, ACK)
        return self


# --- Capture files ------------------------------------------------------------------------------


def pcap(frames, link=ETHERNET, order="<", nano=False, snap=262144):
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for ns, frame in frames:
        part = ns % 1_000_000_000
        out.append(struct.pack(order + "IIII", ns // 1_000_000_000, part if nano else part // 1000,
                               min(len(frame), snap), len(frame)) + frame[:snap])
    return b"".join(out)


def pcapng_block(kind, body, order="<"):
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def pcapng_option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng_section(order="<"):
    return pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) +
                        pcapng_option(4, b"test", order) + pcapng_option(0, b"", order), order)


def pcapng_interface(link=ETHERNET, order="<", tsresol=6, snap=0):
    options = pcapng_option(2, b"eth0", order)
    if tsresol != 6:
        options += pcapng_option(9, bytes([tsresol]), order)
    return pcapng_block(1, struct.pack(order + "HHI", link, 0, snap) + options +
                        pcapng_option(0, b"", order), order)


def pcapng_packet(interface, ns, frame, order="<", tsresol=6):
    if tsresol & 0x80:
        ticks = (ns << (tsresol & 0x7F)) // 1_000_000_000
    else:
        ticks = ns * 10 ** tsresol // 1_000_000_000
    return pcapng_block(6, struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF,
                                       len(frame), len(frame)) + frame, order)


def pcapng(frames, link=ETHERNET, order="<", tsresol=6):
    return pcapng_section(order) + pcapng_interface(link, order, tsresol) + b"".join(
        pcapng_packet(0, ns, frame, order, tsresol) for ns, frame in frames)


def gzipped(data):
    return gzip.compress(data, mtime=0)


def zstd_stored(data):
    """A zstd frame (RFC 8878) whose blocks are stored as they are: any decoder reads it."""
    out = [struct.pack("<IBB", 0xFD2FB528, 0x00, 0x58)]  # window of 2 MiB, size not told
    pieces = [data[at:at + 100_000] for at in range(0, len(data), 100_000)] or [b""]
    for i, piece in enumerate(pieces):
        last = 1 if i == len(pieces) - 1 else 0
        out.append(struct.pack("<I", len(piece) << 3 | last)[:3] + piece)
    return b"".join(out)


def deflated(data):
    return zlib.compress(data, 6)
