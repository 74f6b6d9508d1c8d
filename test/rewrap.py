#!/usr/bin/env python3
"""Rewrites a capture as a mirror would have sent it, to prove that plain, wrapped and doubly wrapped
captures give the same logs.

usage: rewrap.py IN OUT --encap vxlan|geneve|gre|erspan2|erspan3 [--vni N] [--mtu N]
                 [--both-ends [--router] [--seed N]]

IN is pcap or pcapng, plain or gzipped; OUT is pcap with nanoseconds. Run it on its own output to nest.

--both-ends gives each packet twice, as both machines mirror it: with two ids (N and N+1) and two outer
addresses. The sender's end shows it first, at its own time; the other's copy comes 0.1 to 8 ms later,
so copies and packets overtake each other. --router puts a router between the ends: the later copy has
other MAC addresses, a TTL that is one less, and the checksum that goes with it.
--mtu sends what is larger as IPv4 fragments.
"""
import argparse
import gzip
import heapq
import random
import struct
import sys
import zlib

from packets import checksum

ETHERNET, NULL, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = 1, 0, 101, 108, 113, 228, 229, 276
BARE_IP = {RAW: 0, IPV4: 0, IPV6: 0, 12: 0, 14: 0, NULL: 4, LOOP: 4, SLL: 16, SLL2: 20}

UDP_PORT = {"vxlan": 4789, "geneve": 6081}
ENDS = (bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)))
COLLECTOR = bytes((192, 0, 2, 100))
OUTER_MACS = bytes.fromhex("02c000000064" "02c000000001")
ROUTER_MACS = bytes.fromhex("02c0000000aa" "02c0000000bb")

IP_TYPES = {4: 0x0800, 6: 0x86DD}


class Frame:
    """A frame as captured: time in ns, bytes, the size on the wire, the link type."""

    def __init__(self, ts, data, wire, link):
        self.ts, self.data, self.wire, self.link = ts, data, max(wire, len(data)), link


def read_pcap(data):
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    to_ns = 1 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, size, wire = struct.unpack_from(order + "IIII", data, at)
        at += 16
        if at + size > len(data):
            return
        yield Frame(seconds * 10**9 + fraction * to_ns, data[at:at + size], wire, link)
        at += size


def read_pcapng(data):
    order, interfaces, at = "<", [], 0
    while at + 12 <= len(data):
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or at + size > len(data):
            return
        body = data[at + 8:at + size - 4]
        at += size
        if kind == 1:
            interfaces.append(read_interface(body, order))
        elif kind == 6:
            number, high, low, size, wire = struct.unpack_from(order + "IIIII", body)
            link, ticks = interfaces[number]
            ts = (high << 32 | low) * 10**9 // ticks
            yield Frame(ts, body[20:20 + size], wire, link)
        elif kind == 3:
            wire = struct.unpack_from(order + "I", body)[0]
            yield Frame(0, body[4:4 + wire], wire, interfaces[0][0])


def read_interface(body, order):
    """Gives the link type and the ticks of a second."""
    link, ticks, at = struct.unpack_from(order + "H", body)[0], 10**6, 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        if code == 9:
            value = body[at + 4]
            ticks = 2 ** (value & 0x7F) if value & 0x80 else 10**value
        if code == 0:
            break
        at += 4 + (size + 3) // 4 * 4
    return link, ticks


def read_capture(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return read_pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else read_pcap(data)


def bare_ip(frame):
    """The frame without the link header of a type that only carries IP, or None."""
    skip = BARE_IP.get(frame.link)
    if skip is None or len(frame.data) <= skip:
        return None
    data = frame.data[skip:]
    return data if data[0] >> 4 in IP_TYPES else None


def ip_offset(data):
    """Where the IP header of an Ethernet frame begins, tags passed over; None: there is none."""
    at = 12
    while data[at:at + 2] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
        at += 4
    return at + 2 if data[at:at + 2] in (b"\x08\x00", b"\x86\xdd") else None


class Mirror:
    """One machine that mirrors: its address and its id."""

    def __init__(self, encap, number, vni, mtu):
        self.encap, self.vni, self.mtu = encap, vni, mtu
        self.src, self.seq, self.ident = ENDS[number], 0, 0

    def header(self, ethertype):
        """What is between the outer IP or UDP header and the inner frame; 0x6558: an Ethernet frame."""
        self.seq += 1
        is_ethernet = ethertype == 0x6558
        if self.encap == "vxlan":
            return struct.pack("!II", 0x08000000, self.vni << 8)
        if self.encap == "geneve":
            return struct.pack("!BBHI", 0, 0, ethertype, self.vni << 8)
        if self.encap == "gre":
            return struct.pack("!HHI", 0x2000, ethertype, self.vni)
        if self.encap == "erspan2":
            return struct.pack("!HHIHHI", 0x1000, 0x88BE, self.seq, 0x1000, self.vni & 0x3FF, 0)
        frame_type = 0 if is_ethernet else 2
        return struct.pack("!HHIHHIHH", 0x1000, 0x22EB, self.seq, 0x2000, self.vni & 0x3FF, 0, 0,
                           frame_type << 10)

    def wrap(self, frame):
        """Gives (bytes, size on the wire) of each outer frame; none when it cannot be wrapped."""
        data, ethertype = frame.data, 0x6558
        missing = frame.wire - len(data)
        if frame.link != ETHERNET:
            data = bare_ip(frame)
            if data is None:
                return []
            ethertype = IP_TYPES[data[0] >> 4]
            if self.encap in ("vxlan", "erspan2"):  # these carry nothing else than Ethernet
                data = OUTER_MACS + struct.pack("!H", ethertype) + data
        payload = self.header(ethertype) + data
        if self.encap in UDP_PORT:
            sport = 49152 + (zlib.crc32(data[14:54]) & 0x3FFF)
            payload = struct.pack("!HHHH", sport, UDP_PORT[self.encap],
                                  8 + len(payload) + missing & 0xFFFF, 0) + payload
        if len(payload) + missing > 65515:
            return []
        return list(self.outer(payload, missing, 17 if self.encap in UDP_PORT else 47))

    def outer(self, payload, missing, proto):
        self.ident = self.ident % 65535 + 1
        room = (self.mtu - 20) // 8 * 8 if self.mtu else 65535
        total = len(payload) + missing
        for at in range(0, total, room):
            part = payload[at:at + room]
            size = min(room, total - at)
            more = at + size < total
            yield self.ip(part, size, proto, more << 13 | at // 8), 34 + size

    def ip(self, part, size, proto, fragment):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, self.ident, fragment, 64, proto, 0) + \
            self.src + COLLECTOR
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return OUTER_MACS + b"\x08\x00" + head + part


def routed(frame):
    """The frame behind a router."""
    data = bytearray(frame.data)
    at = ip_offset(data) if frame.link == ETHERNET else BARE_IP.get(frame.link)
    if at is None or len(data) < at + 20:
        return frame
    if frame.link == ETHERNET:
        data[:12] = ROUTER_MACS
    version = data[at] >> 4
    if version == 4 and data[at + 8] > 1:
        data[at + 8] -= 1
        total = struct.unpack_from("!H", data, at + 10)[0] + 0x0100
        struct.pack_into("!H", data, at + 10, (total & 0xFFFF) + (total >> 16))
    elif version == 6 and data[at + 7] > 1:
        data[at + 7] -= 1
    return Frame(frame.ts, bytes(data), frame.wire, frame.link)


def sender(frame):
    """Which end sends: 0 or 1, one for each direction of a conversation."""
    data = frame.data if frame.link == ETHERNET else bare_ip(frame) or b""
    at = ip_offset(data) if frame.link == ETHERNET else 0
    if at is None or len(data) < at + 20:
        return None
    if data[at] >> 4 == 6:
        return int(data[at + 8:at + 24] > data[at + 24:at + 40])
    return int(data[at + 12:at + 16] > data[at + 16:at + 20])


class Output:
    def __init__(self, file):
        self.file, self.n, self.n_refused = file, 0, 0
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, ETHERNET))

    def write(self, frame, mirror):
        parts = mirror.wrap(frame)
        self.n_refused += not parts
        for data, wire in parts:
            self.n += 1
            self.file.write(struct.pack("<IIII", frame.ts // 10**9, frame.ts % 10**9, len(data), wire))
            self.file.write(data)


def both_ends(frames, mirrors, out, router, seed):
    chance = random.Random(seed)
    late, order = [], 0  # copies that are on their way: (time, order, frame, end)

    def until(ts):
        while late and (ts is None or late[0][0] <= ts):
            _, _, frame, end = heapq.heappop(late)
            out.write(frame, mirrors[end])

    for frame in frames:
        until(frame.ts)
        end = sender(frame)
        out.write(frame, mirrors[end or 0])
        if end is None:
            continue  # not IP: such frames do not leave their network
        order += 1
        copy = routed(frame) if router else frame
        ts = frame.ts + chance.randrange(100_000, 8_000_000)
        heapq.heappush(late, (ts, order, Frame(ts, copy.data, copy.wire, copy.link), 1 - end))
    until(None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT")
    parser.add_argument("--encap", required=True,
                        choices=["vxlan", "geneve", "gre", "erspan2", "erspan3"])
    parser.add_argument("--vni", type=int, default=100)
    parser.add_argument("--mtu", type=int, default=0)
    parser.add_argument("--both-ends", action="store_true")
    parser.add_argument("--router", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    mirrors = [Mirror(args.encap, end, args.vni + end, args.mtu) for end in (0, 1)]
    frames = read_capture(args.input)
    with open(args.output, "wb") as file:
        out = Output(file)
        if args.both_ends:
            both_ends(frames, mirrors, out, args.router, args.seed)
        else:
            for frame in frames:
                out.write(frame, mirrors[0])
    if out.n_refused:
        print(f"rewrap: {out.n_refused} packets cannot be wrapped and were left out", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
