"""Mirrored packets taken out of a capture made at the collector, by a reader of our own: what watch
makes of them is held against it."""
import struct
from collections import namedtuple

from scenarios_machines import frames_of

# `kind` as in --to; `number`: VNI, key or session, None without one; `outer`: (from, to)
Copy = namedtuple("Copy", "kind number frame outer")

UDP_KINDS = {4789: "vxlan", 6081: "geneve"}


def frames_in(path):
    with open(path, "rb") as file:
        return list(frames_of(file.read()))


class Wire:
    """What a capture holds: `copies`, and `others`, the frames that are no copies. `ports`: {UDP
    port: kind} beside the standard ones."""

    def __init__(self, path, ports=()):
        self.copies, self.others = [], []
        self.ports = {**UDP_KINDS, **dict(ports)}
        self.pieces = {}
        for frame in frames_in(path):
            copy = self.unwrap(frame)
            if copy:
                self.copies.append(copy)
            elif copy is None:
                self.others.append(frame)

    def unwrap(self, frame):
        """None: not a copy; False: a piece of one that is not whole yet."""
        packet = whole_packet(frame, self.pieces)
        if not packet:
            return packet
        outer, protocol, data = packet
        if protocol == 17 and len(data) > 8:
            return of_udp(outer, self.ports.get(struct.unpack_from("!H", data, 2)[0]), data[8:])
        if protocol == 47:
            return of_gre(outer, data)
        return None


def whole_packet(frame, pieces):
    """((from, to), protocol, payload) of the IP packet in the frame, put together of fragments."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        head = 4 * (frame[14] & 15)
        size, ident, where = struct.unpack_from("!HHH", frame, 16)
        outer, protocol = (frame[26:30], frame[30:34]), frame[23]
        data = frame[14 + head:14 + size]
        offset, more = 8 * (where & 0x1FFF), where & 0x2000
    elif kind == b"\x86\xdd":
        size, protocol = struct.unpack_from("!HB", frame, 18)
        outer, data = (frame[22:38], frame[38:54]), frame[54:54 + size]
        ident = offset = more = 0
        if protocol == 44:
            protocol, where, ident = data[0], *struct.unpack_from("!HI", data, 2)
            offset, more, data = where & 0xFFF8, where & 1, data[8:]
    else:
        return None
    if not offset and not more:
        return outer, protocol, data
    parts = pieces.setdefault((outer, protocol, ident), {})
    parts[offset] = (data, more)
    at, whole = 0, b""
    while at in parts:
        data, more = parts[at]
        whole += data
        at += len(data)
        if not more:
            del pieces[(outer, protocol, ident)]
            return outer, protocol, whole
    return False


def of_udp(outer, kind, data):
    if kind == "vxlan":
        return Copy(kind, struct.unpack_from("!I", data, 4)[0] >> 8, data[8:], outer)
    if kind == "geneve" and data[2:4] == b"\x65\x58":
        return Copy(kind, struct.unpack_from("!I", data, 4)[0] >> 8, data[8 + 4 * (data[0] & 63):],
                    outer)
    return None


def of_gre(outer, data):
    flags, protocol = struct.unpack_from("!HH", data)
    at, fields = 4, {}
    for name, bit in (("checksum", 0x8000), ("key", 0x2000), ("sequence", 0x1000)):
        if flags & bit:
            fields[name] = struct.unpack_from("!I", data, at)[0]
            at += 4
    data = data[at:]
    if protocol == 0x6558:
        return Copy("gre", fields.get("key"), data, outer)
    if protocol == 0x88BE and "sequence" not in fields:
        return Copy("erspan1", None, data, outer)
    if protocol in (0x88BE, 0x22EB):
        session = struct.unpack_from("!H", data, 2)[0] & 0x3FF
        head = 8 if protocol == 0x88BE else 20 if data[11] & 1 else 12
        return Copy("erspan2" if protocol == 0x88BE else "erspan3", session, data[head:], outer)
    return None


def nested(copies, ports=()):
    """The copies that hold a copy themselves."""
    inside = Wire.__new__(Wire)
    inside.ports, inside.pieces = {**UDP_KINDS, **dict(ports)}, {}
    return [copy for copy in copies if inside.unwrap(copy.frame)]
