"""The mirror in user space by itself, the collector that keeps its copies, and how they are compared
with what was on the wire."""
import json
import os
import shutil
import socket
import struct
import sys
from collections import Counter

import losses
import traffic
from lab import Failed, wait_until


class Carrier:
    """A mirror in the background, started, watched and stopped as a provider does it."""

    def __init__(self, lab, ns, interface, to, *arguments, vni=101, name="mirror"):
        self.ns = ns
        self.status_file = lab.path(f"{name}.status")
        self.program = lab.path("carrier")
        if not os.path.exists(self.program):
            built = os.path.join(os.path.dirname(os.path.abspath(sys.argv[1])), "test", "carrier")
            shutil.copy(built, self.program)
            os.chmod(self.program, 0o755)
        self.arguments = ["--interface", interface, "--to", to, "--id", str(vni), "--name", name,
                          "--status", self.status_file, *arguments]
        self.start()

    def start(self):
        self.ns.run(self.program, "start", *self.arguments)

    def status(self):
        return json.loads(self.ns.run(self.program, "status", self.status_file))

    def stop(self):
        self.ns.run(self.program, "stop", self.status_file)
        if os.path.exists(self.status_file):
            raise Failed("the status file outlives its mirror")

    def settle(self):
        """Until the numbers stand still. Gives them."""
        seen = []

        def still():
            seen.append(self.status())
            return len(seen) > 5 and seen[-1] == seen[-5]
        wait_until(still, lambda: f"the mirror never comes to rest: {seen[-1]}", every=0.05)
        return seen[-1]

    def must_be_whole(self, **expected):
        """Nothing was lost; and these counters are so."""
        seen = []

        def adds_up():  # not while it waits for a processor with a frame in its hands
            got = self.settle()
            seen.append(got)
            to_send = got["seen"] - got["own"] - got["not_cut"] - got["segmented"] + got["segments"]
            reasons = ("over_limit", "full", "denied", "unreachable", "too_large", "error")
            return to_send == got["sent"] + sum(got[name] for name in reasons) and got
        got = wait_until(adds_up, lambda: f"the numbers do not add up: {seen[-1]}")
        expected = {"lost": 0, "own": 0, **expected}
        if any(got[name] != value for name, value in expected.items()):
            raise Failed(f"{expected} was expected: {got}")
        return got


class Copies:
    """A collector that only keeps the frames: a UDP socket, for which the kernel puts fragments of
    the outer datagrams together."""

    def __init__(self, lab, ns, address, port=4789, vni=101):
        self.ns = ns
        self.sock = traffic.udp_socket(ns, address, port)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.sock.settimeout(0.1)
        self.closed = False
        self.head = struct.pack("!II", 0x08000000, vni << 8)
        self.frames, self.senders, self.wrong = [], set(), []
        self.before = losses.kernel_counters()
        lab.serve(self.loop)

    def loop(self):
        while not self.closed:
            try:
                data, sender = self.sock.recvfrom(70000)
            except TimeoutError:
                continue
            self.senders.add(sender)
            if data[:8] == self.head:
                self.frames.append(data[8:])
            else:
                self.wrong.append(data[:8])
        self.sock.close()

    def losses(self):
        """Where the kernel itself may have dropped some."""
        lines = self.ns.run("cat", "/proc/net/snmp").splitlines()
        return "; ".join(line for line in lines if line.startswith(("Udp: ", "Ip: "))) + \
            "\n" + losses.text(self.before)

    def all_of(self, carrier):
        """(the mirror's numbers, the copies): all that it has sent has come, and no more. Machines
        say things by themselves, so both are asked until they agree."""
        def agree():
            frames = list(self.frames)
            got = carrier.status()
            return len(frames) == got["sent"] and (got, frames)
        got, frames = wait_until(agree, lambda: f"{len(self.frames)} of {carrier.status()['sent']} "
                                                f"copies came; {self.losses()}")
        if self.wrong:
            raise Failed(f"copies with other heads came: {self.wrong[:3]}")
        return got, frames


def frames_in(file):
    """Of a capture of tcpdump's: whole Ethernet frames, with their tags."""
    with open(file, "rb") as capture:
        data = capture.read()
    frames, at = [], 24
    while at + 16 <= len(data):
        size, wire_size = struct.unpack_from("<II", data, at + 8)
        if size != wire_size:
            raise Failed(f"{file}: a frame is cut")
        frames.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return frames


def is_chatter(frame):
    """What machines say by themselves, for some seconds after they got an IPv6 address, and to
    neighbours that they have not heard of for a while: it may come between the starts of a capture and
    of the mirror, or between their ends."""
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    kind = frame[at - 2:at]
    if kind == b"\x08\x06":
        return frame[0] & 1 == 0  # ARP to one machine
    return kind == b"\x86\xdd" and \
        (frame[at + 8:at + 10] == b"\xfe\x80" or frame[at + 8:at + 24] == bytes(16) or
         frame[0] & 1 == 0 and frame[at + 6] == 58 and frame[at + 40] in (135, 136)) or \
        any(b"\x33\x33\0\0\0" + last in frame[:100] for last in (b"\x02", b"\x16"))  # in overlays


def must_be_the_same(copies, wire, what):
    copies = [frame for frame in copies if not is_chatter(frame)]
    wire = [frame for frame in wire if not is_chatter(frame)]
    missing, more = Counter(wire) - Counter(copies), Counter(copies) - Counter(wire)
    if missing or more:
        def show(frames):
            return "\n".join(f"  {len(frame)} bytes: {frame[:80].hex()}" for frame in
                             list(frames.elements())[:4])
        raise Failed(f"{what}: of {len(wire)} frames {sum(missing.values())} did not come as they "
                     f"were, {sum(more.values())} copies are of none:\nmissing:\n{show(missing)}\n"
                     f"more:\n{show(more)}")
