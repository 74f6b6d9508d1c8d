"""A switch with machines on it, each with one card; the collector is one of them. The mirror of a
machine leaves by the card that is mirrored, as in a cloud."""
import senders
import traffic

PREFIX = "10.1.0."
COLLECTOR = PREFIX + "2"


class Lan:
    def __init__(self, lab, offload=False):
        self.lab, self.offload = lab, offload
        self.web = self.db = None
        self.switch = lab.ns("switch")
        # One that looks into multicast joins groups of its own, and tells so when it likes.
        self.switch.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.switch.ip("link", "set", "br0", "up")
        self.col = self.add("col", 2)

    def add(self, name, number):
        """The machine 10.1.0.NUMBER; its card is eth0, its port of the switch p-NAME."""
        machine = self.lab.ns(name)
        self.lab.cable(machine, "eth0", self.switch, "p-" + name, self.offload)
        self.switch.ip("link", "set", "p-" + name, "master", "br0")
        machine.address("eth0", f"{PREFIX}{number}/24")
        machine.lan_address = f"{PREFIX}{number}"
        return machine

    def mirror(self, machine, vni, leave_out=True):
        if "vx0" not in machine.ip("-br", "link"):
            senders.vxlan_device(machine, "vx0", vni, machine.lan_address, COLLECTOR, "eth0")
        senders.tc_mirror(machine, "eth0", "vx0", (COLLECTOR, 4789) if leave_out else None)

    def mirror_off(self, machine):
        senders.tc_mirror_off(machine, "eth0")

    def pair(self, mirrored=True):
        """web (VNI 101), which has the servers, and db (VNI 102)."""
        self.web, self.db = self.add("web", 11), self.add("db", 12)
        traffic.servers(self.lab, self.web, self.web.lan_address)
        if mirrored:
            self.mirror_pair()
        return self.web, self.db

    def mirror_pair(self):
        self.mirror(self.web, 101)
        self.mirror(self.db, 102)


def source(name, vni, number):
    return f"""  - name: {name}
    channel: "vxlan:{vni}@{PREFIX}{number}"
    addresses: [{PREFIX}{number}]
"""


WEB = source("web", 101, 11)
DB = source("db", 102, 12)
