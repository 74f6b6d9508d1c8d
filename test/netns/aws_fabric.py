"""AWS's network, for a VPC of the stand-in: its machines on a switch, and mirroring that does what the
sessions of the moment say: VXLAN from the source's primary address, or GENEVE around it by a Gateway
Load Balancer's endpoint."""
import contextlib
import ipaddress
import socket
import struct
import threading

import packets as p
import senders
from aws_lab import RULE, SESSION

VXLAN, GENEVE = 4789, 6081
OUTGOING = 4  # the kernel's PACKET_OUTGOING
ALL = 3       # ETH_P_ALL
GATEWAY = "10.0.250.1"


class Fabric:
    def __init__(self, lab, aws, *names):
        self.lab, self.aws = lab, aws
        self.switch = lab.ns("switch")
        self.switch.ip("link", "add", "br0", "type", "bridge")
        self.switch.ip("link", "set", "br0", "up")
        self.machines = {name: self.add(name) for name in names}
        self.col = self.add("collector")
        self.gateway = None
        self.sent = {}  # interface: copies
        self.ended = threading.Event()
        for name in names:
            self.tap(name)

    def add(self, name):
        eni = self.aws.interface(name)
        machine = self.lab.ns(name)
        self.plug(machine, "eth0", eni)
        machine.eni = eni
        machine.lan_address = eni.addresses[0]
        return machine

    def plug(self, machine, device, eni):
        port = "p" + eni.id[-8:]
        self.lab.cable(machine, device, self.switch, port, offload=False)
        self.switch.ip("link", "set", port, "master", "br0")
        machine.ip("link", "set", device, "address", eni.mac)
        machine.address(device, eni.addresses[0] + "/16")

    def move(self, device, eni, a, b):
        """The interface from one machine to another."""
        a.ip("link", "set", device, "netns", b.name)
        b.address(device, eni.addresses[0] + "/16")

    def add_gateway(self):
        """Where a Gateway Load Balancer's packets come from."""
        self.gateway = self.lab.ns("gateway")
        self.lab.cable(self.gateway, "eth0", self.switch, "pgateway", offload=False)
        self.switch.ip("link", "set", "pgateway", "master", "br0")
        self.gateway.address("eth0", GATEWAY + "/16")

    def session_of(self, eni, outgoing, frame):
        """(VNI, packet length, target) of the session with the lowest number whose filter accepts it."""
        cloud = self.aws.cloud
        with cloud.lock:
            mine = sorted((one for one in cloud.all(SESSION) if one.interface == eni.id),
                          key=lambda one: one.number)
            for session in mine:
                rules = sorted((rule for rule in cloud.all(RULE) if rule.filter == session.filter and
                                rule.way == ("egress" if outgoing else "ingress")),
                               key=lambda rule: rule.number)
                for rule in rules:
                    if fits(rule, frame):
                        if rule.action == "accept":
                            return session.vni, session.length, cloud.things[session.target]
                        break
        return None

    def tap(self, name):
        """The hypervisor's side of the machine's card."""
        machine = self.machines[name]
        with machine.inside():
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
            out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tap.bind(("eth0", ALL))
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        out.bind((machine.lan_address, 0))
        tap.settimeout(0.2)
        self.lab.serve(self.mirror, machine, tap, out)

    def mirror(self, machine, tap, out):
        eni = machine.eni
        while not self.ended.is_set():
            try:
                frame, where = tap.recvfrom(65536)
            except TimeoutError:
                continue
            if never_mirrored(frame):
                continue
            found = self.session_of(eni, where[2] == OUTGOING, frame)
            if found is None:
                continue
            vni, length, target = found
            frame = frame[:length] if length else frame
            self.sent[eni.id] = self.sent.get(eni.id, 0) + 1
            with contextlib.suppress(OSError):
                if target.endpoint:
                    self.by_gateway(eni, vni, frame)
                else:
                    sink = self.aws.cloud.things[target.interface]
                    out.sendto(senders.vxlan_header(vni) + frame, (sink.addresses[0], VXLAN))

    def by_gateway(self, eni, vni, frame):
        if not hasattr(self, "gateway_socket"):
            with self.gateway.inside():
                self.gateway_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.gateway_socket.bind((GATEWAY, 0))
        options = senders.geneve_option(0x0108, 1, struct.pack("!Q", 7)) + \
            senders.geneve_option(0x0108, 2, struct.pack("!Q", 8)) + \
            senders.geneve_option(0x0108, 3, struct.pack("!I", 9))
        inner = p.vxlan(frame, vni, eni.addresses[0], GATEWAY, 50001)
        self.gateway_socket.sendto(senders.geneve_header(0x0800, 0, options) + inner,
                                   (self.col.lan_address, GENEVE))

    def close(self):
        self.ended.set()


def never_mirrored(frame):
    """ARP, and copies themselves."""
    if len(frame) < 34 or frame[12:14] not in (b"\x08\x00", b"\x86\xdd"):
        return True
    return frame[12:14] == b"\x08\x00" and frame[23] == 17 and \
        struct.unpack_from("!H", frame, 36)[0] in (VXLAN, GENEVE)


def fits(rule, frame):
    v4 = frame[12:14] == b"\x08\x00"
    at, size = (26, 4) if v4 else (22, 16)
    ends = [ipaddress.ip_address(frame[at + n * size:at + (n + 1) * size]) for n in range(2)]
    nets = [ipaddress.ip_network(rule.source), ipaddress.ip_network(rule.to)]
    protocol = frame[23] if v4 else frame[20]
    return rule.protocol in (None, protocol) and \
        all(end.version == net.version and end in net for end, net in zip(ends, nets))
