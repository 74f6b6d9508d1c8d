"""Copies of real packets: machines that Neutron's agent has plugged into Open vSwitch, a tap service
and its flows that `cloudspan mirror` made, and `cloudspan watch` at the collector's port."""
import os

import logs
import senders
import traffic
from collector import Capture, Watch
from front import Front, server
from lab import Failed, wait_until
from mirror import CHANGES, DONE, Mirror, same
from scenario import scenario
from scenarios_receive import SOURCE_COLUMNS
from stack import Stack

NEEDS = ("tcpdump", "ovs-vswitchd", "ovsdb-server", "ethtool", "openssl", "erl")

class Machines:
    """Two machines that talk, and a third one where the collector is."""

    def __init__(self, lab):
        self.lab = lab
        self.stack = stack = Stack(lab, lab.ns("cloud"), agent=True)
        self.front = Front(stack)
        self.front.start_nova()
        self.network, self.subnet = stack.network("shop-net", "10.60.0.0/24")
        self.ns, self.ports = {}, {}
        for name, address in (("web", "10.60.0.11"), ("db", "10.60.0.12"), ("sensor", "10.60.0.13")):
            row = server(name, stack.projects["shop"], tags=["role=" + name])
            self.front.servers.append(row)
            self.ports[name] = stack.port(name + "-eth0", self.network, address, machine=row["id"],
                                          **({"port_security_enabled": False}
                                             if name == "sensor" else {}))
            self.ns[name] = lab.ns(name)
            stack.plug(self.ns[name], self.ports[name])
        stack.wait_active(*self.ports.values())
        senders.hush(self.ns["sensor"])
        for ns in self.ns.values():
            senders.no_offload(ns, "eth0")


def copies_arrive(machines, beside):
    """Whether a ping from the machine brings copies."""
    before = beside.count()
    traffic.ping(machines.ns["web"], "10.60.0.12", 2)
    beside.settle()
    return beside.count() > before


@scenario("os-flow", *NEEDS)
def os_flow(lab):
    """From Neutron to the log: what a machine sends and receives is in watch under its name, as a
    capture on the machine has it; after remove nothing comes."""
    machines = Machines(lab)
    stack = machines.stack
    try:
        flow(lab, machines)
    finally:
        stack.stop()


def flow(lab, machines):
    stack = machines.stack
    web, db, sensor = (machines.ns[name] for name in ("web", "db", "sensor"))
    traffic.servers(lab, db, "10.60.0.12")
    before = stack.shape()
    mirror = Mirror(stack, "--instance", "web", "--to", f"port:{machines.ports['sensor']['id']}",
                    front=machines.front)
    mirror.call("plan", "--detailed-exitcode").must(CHANGES)
    same("plan", before, stack.shape())
    mirror.apply()
    for kind in ("tap_services", "tap_flows"):
        rows = stack.taas()[kind]
        if [row["status"] for row in rows] != ["ACTIVE"]:
            raise Failed(f"{kind}: {rows}")
    mirror.must_have_nothing_to_do()
    mirror.status(DONE)

    with open(os.path.join(mirror.state, "sources", "openstack-web.yaml"), encoding="utf-8") as file:
        sources = file.read()
    # No canaries: watch leaves its own out, the capture beside has them.
    watch = Watch(lab, sensor, config=sources + "listen: [{interface: eth0}]\ncanary: {enabled: no}\n")
    home = Capture(lab, web, "eth0", name="home", direction="inout")
    there = Capture(lab, sensor, "eth0", name="there")
    traffic.ping(web, "10.60.0.12", 1)
    counts = [traffic.exchange(web, "10.60.0.12", turn) for turn in range(3)]
    traffic.http_get(web, "10.60.0.12", "/bytes/300000")
    counts.append({"http": 1})
    home.settle()
    there.settle()
    watch.settle(at_least=100)
    rows = [row for row in watch.snapshot()["sources"] if row["packets"] > 0]
    if {row["source"] for row in rows} != {"web"}:
        raise Failed(f"not web's alone: {rows}\n{sources}")
    live = watch.stop()
    # The switch copies what goes to the machine by its address: what goes to all is not among it.
    home.stop()
    offline = logs.read_offline(lab, home.only("not (arp or broadcast or multicast)", "unicast"),
                                mirror=None)
    logs.must_have(offline, traffic.sum_of(*counts), "the capture on the machine")
    logs.must_be_equal(live, offline, leave_out=SOURCE_COLUMNS + ("history",),
                       logs_left_out={"weird"}, tolerance=0.5)
    there.stop()

    mirror.remove()
    wait_until(lambda: not stack.taas()["tap_services"], "the tap service stays", 120, 0.2)
    same("remove", before, stack.shape())
    # Neutron forgets a service before its agent has taken the flows of the switch away.
    beside = Capture(lab, sensor, "eth0", name="after")
    wait_until(lambda: not copies_arrive(machines, beside), "copies come after remove")
    beside.stop()
    mirror.must_have_written_no_secret()
