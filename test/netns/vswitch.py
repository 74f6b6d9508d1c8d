"""Open vSwitch with its datapath in user space, as a hypervisor with two virtual machines:

    vma eth0 -- p-a |br-int|  |br-phy| p-phy -- eth0 of the collector
    vmb eth0 -- p-b |      |  10.9.0.1          10.9.0.2

The mirror ports are tunnels to the collector, of all kinds that Open vSwitch has."""
import glob
import os

import traffic
from lab import Skip, need, wait_until
from senders import no_offload

# name: (type, options, id of the tunnel)
KINDS = {
    "gre": ("gre", "options:key=101", 101),
    "gre-nokey": ("gre", "", None),
    "gre-csum": ("gre", "options:key=102 options:csum=true", 102),
    "gre-seq": ("gre", "options:key=103 options:seq=true", 103),
    "erspan2": ("erspan", "options:key=104 options:erspan_ver=1 options:erspan_idx=104", 104),
    "erspan3": ("erspan", "options:key=105 options:erspan_ver=2 options:erspan_dir=1 "
                          "options:erspan_hwid=4", 105),
    "vxlan": ("vxlan", "options:key=106", 106),
    "vxlan-csum": ("vxlan", "options:key=107 options:csum=true", 107),
    "vxlan-gpe": ("vxlan", "options:key=108 options:dst_port=4790 options:exts=gpe", 108),
    "geneve": ("geneve", "options:key=109", 109),
}


class Vswitch:
    def __init__(self, lab, host, collector, collector_address="10.9.0.2"):
        for program in ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ethtool"):
            need(program)
        if not os.path.exists("/dev/net/tun"):
            raise Skip("Open vSwitch in user space needs /dev/net/tun")
        self.lab, self.host, self.collector = lab, host, collector
        self.collector_address = collector_address
        self.room = lab.folder("ovs", 0o755)
        self.socket = os.path.join(self.room, "db.sock")
        schema = next(iter(glob.glob("/usr/share/openvswitch/vswitch.ovsschema")), None)
        if not schema:
            raise Skip("there is no vswitch.ovsschema")
        environment = dict(os.environ, OVS_RUNDIR=self.room, OVS_LOGDIR=self.room,
                           OVS_DBDIR=self.room)
        database = os.path.join(self.room, "conf.db")
        host.run(need("ovsdb-tool"), "create", database, schema)
        self.server = host.start("ovsdb-server", need("ovsdb-server"), database, "--no-chdir",
                                 "--remote=punix:" + self.socket, env=environment)
        wait_until(lambda: self.server.must_run() and os.path.exists(self.socket), "ovsdb-server")
        self.vsctl("--no-wait", "init")
        self.switch = host.start("ovs-vswitchd", need("ovs-vswitchd"), "unix:" + self.socket,
                                 "--no-chdir", env=environment)

        lab.cable(host, "p-phy", collector, "eth0", offload=False)
        self.vsctl("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev",
                   "--", "add-port", "br-phy", "p-phy")
        host.address("br-phy", "10.9.0.1/24")
        collector.address("eth0", collector_address + "/24")
        traffic.ping(host, collector_address, 1)  # so that the switch learns the way

        self.machines = []
        for name, port, address in (("vma", "p-a", "10.50.0.1"), ("vmb", "p-b", "10.50.0.2")):
            machine = lab.ns(name)
            lab.cable(machine, "eth0", host, port, offload=False)
            machine.address("eth0", address + "/24", address.replace("10.50.0.", "fd50::") + "/64")
            no_offload(machine, "eth0")
            self.machines.append(machine)
        self.bridge()

    def vsctl(self, *arguments):
        return self.host.run(need("ovs-vsctl"), "--timeout=60", "--db=unix:" + self.socket,
                             *arguments, limit=120)

    def bridge(self):
        """A new br-int, without the flows of the old one: what flowed already would go on without a
        mirror that is new."""
        self.vsctl("--if-exists", "del-br", "br-int")
        self.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "--",
                   "add-port", "br-int", "p-a", "--", "add-port", "br-int", "p-b")

    def mirror(self, kind, options="", snaplen=0):
        """Mirrors the first machine's port through a tunnel of the kind, and nothing else."""
        tunnel, more, _ = KINDS[kind]
        self.bridge()
        self.vsctl("add-port", "br-int", "tun0", "--", "set", "interface", "tun0",
                   f"type={tunnel}", f"options:remote_ip={self.collector_address}",
                   *more.split(), *options.split())
        self.vsctl("--", "--id=@p", "get", "port", "p-a", "--", "--id=@t", "get", "port", "tun0",
                   "--", "--id=@m", "create", "mirror", "name=cs0", "select-src-port=@p",
                   "select-dst-port=@p", "output-port=@t",
                   *([f"snaplen={snaplen}"] if snaplen else []),
                   "--", "add", "bridge", "br-int", "mirrors", "@m")
        a, b = self.machines
        before = self.collector.counters("eth0")["rx"]["packets"]

        def works():
            return traffic.ping(a, "10.50.0.2", 1, check=False) and \
                self.collector.counters("eth0")["rx"]["packets"] > before + 1
        wait_until(works, f"the mirror by {kind} brings nothing", every=0.1)
        return a, b
