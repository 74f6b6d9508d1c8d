"""Mirrors that `cloudspan mirror` makes on a Linux machine: what arrives at the collector is what was
on the machine's interface."""
import time

import mirror_talk
import traffic
from lab import Failed
from mirror_command import DEVICES, UNHEALTHY, Mirror, has_feature, kinds_of, list_methods, target_of
from mirror_lab import (BY_HAND, BridgePort, Net, OneInterface, Trial, VlanLower, furnish, has_link,
                        host_state, same_frames, same_state)
from mirror_wire import Wire, frames_in, nested
from scenario import scenario

NEEDS = ("tcpdump", "tc", "nft", "ethtool", "openssl")

# How watch listens for each kind of --to.
LISTEN = {
    "vxlan": ("-l", "vxlan"),
    "geneve": ("-l", "geneve"),
    "gre": ("-l", "gre"),
    "erspan1": ("-l", "gre"),
    "erspan2": ("-l", "gre"),
    "erspan3": ("-l", "gre"),
    "interface": ("-i", "eth0"),
}
WITHOUT_ID = {"interface", "erspan1"}
OF_PACKETS = {"nft-ip", "tee"}  # methods that copy packets of the IP layer, not frames


@scenario("mirror-lab", *NEEDS, "iptables")
def mirror_lab_itself(lab):
    """Mirrors made by hand bring what they should, and the laboratory notices where they do not."""
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    before = host_state(net.mon)
    # By hand a machine's own broadcasts are mirrored a second time, without their heads.
    of_the_link = [kind for kind in mirror_talk.OF_THE_LINK if kind is not mirror_talk.to_all]
    for name, (on, off, listen, whole) in BY_HAND.items():
        trial = Trial(net, *listen, whole_frames=whole)
        on(net)
        trial.talk(mirror_talk.OF_IP, of_the_link if whole else ())
        trial.compare(name)
        must_fail(lambda: same_state("on", before, host_state(net.mon)), "the machine is not as it was")
        off(net)
        same_state(name, before, host_state(net.mon))
    trial = Trial(net, *LISTEN["vxlan"])
    BY_HAND["tc vxlan"][0](net)
    net.mon.tc("filter", "del", "dev", "eth0", "egress")
    trial.talk(mirror_talk.SHORT)
    must_fail(lambda: trial.compare("one direction"), "is not what was on the machine itself")
    must_fail(lambda: same_frames("one direction", trial.copied_frames(), frames_in(trial.file)),
              "did not arrive")
    # An exclusion by its port alone lets the later fragments of the copies be copied.
    net = OneInterface(lab, offload=False, prefix="one-")
    mirror_talk.serve(net)
    trial = Trial(net, *LISTEN["vxlan"], whole_frames=True)
    BY_HAND["tc vxlan"][0](net)
    trial.talk((mirror_talk.fragments,))
    must_fail(lambda: trial.compare("one interface"), "arrived that were none")


def must_fail(check, says):
    try:
        check()
    except Failed as failure:
        if says in str(failure):
            return
        raise
    raise Failed(f"nothing was noticed, though '{says}' is so")


@scenario("mirror-methods", "ip")
def mirror_methods(lab):
    """--list-methods knows what the kernel has: what can be made by hand, it says can be made."""
    available, features = list_methods(lab)
    if set(available) != {"tc", "nft", "user", "nft-ip", "tee"}:
        raise Failed(f"the methods are {sorted(available)}")
    for kind, (feature, device) in DEVICES.items():
        row = features[feature]
        if row["answer"] == "untried" and has_link(device):
            row = list_methods(lab)[1][feature]
        if (row["answer"] == "yes") != has_link(device):
            raise Failed(f"{kind}: ip link says {has_link(device)}, --list-methods {row}")
        if row["answer"] != "yes" and not row["why"]:
            raise Failed(f"{row}: it is not said why")
    # A kernel that was chosen because it has everything.
    lacks = [name for name, can in available.items() if not can] + \
        [name for name, row in features.items() if row["answer"] == "no"]
    if lacks and mirror_talk.IN_GUEST:
        raise Failed(f"in the guest nothing may be left out, but there is no {', '.join(lacks)}")
    print("not on this kernel: " + (", ".join(lacks) or "nothing"))


# --- Each method, to each target ------------------------------------------------------------------


def cycle(net, kind, *options, method="auto", groups=None, v6=False, furnished=False):
    """apply, traffic, status, apply again, remove: all must be right."""
    what = f"{type(net).__name__}, offloads {'on' if net.offload else 'off'}: {method} to {kind}"
    of_frames = method not in OF_PACKETS
    begin = time.monotonic()
    if groups is None:
        groups = (mirror_talk.OF_IP, mirror_talk.OF_THE_LINK if of_frames else ())
    before = host_state(net.mon)
    mirror = Mirror(net, target_of(net, kind, v6), "--method", method, *options,
                    number=None if kind in WITHOUT_ID else 101)
    trial = Trial(net, *LISTEN[kind], whole_frames=of_frames and not net.offload)
    mirror.apply()
    counted = mirror.counters()
    trial.talk(*groups)
    trial.compare(what)
    numbers = {copy.number for copy in trial.wire().copies}
    if numbers != {"interface": set(), "erspan1": {None}}.get(kind, {101}):
        raise Failed(f"{what}: the copies' ids are {numbers}")
    still = [name for name, n in mirror.counters().items() if n <= counted[name]]
    if still:
        raise Failed(f"{what}: the counters of {still} did not rise")
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same_state(what, before, host_state(net.mon))
    mirror.status(UNHEALTHY)
    print(f"{what}: {time.monotonic() - begin:.1f} s", flush=True)


def each_target(lab, method):
    """The targets that this kernel has for the method."""
    kinds = kinds_of(lab, method)
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    for kind in kinds:
        if kind == "interface" and method in OF_PACKETS:
            to_neighbours(net, method)
        else:
            cycle(net, kind, method=method)
    if "vxlan" in kinds:
        cycle(net, "vxlan", method=method, v6=True, groups=(mirror_talk.SHORT,))
    # Super-frames, whose copies are cut, or carried in one piece.
    net = Net(lab, offload=True, prefix="super-")
    mirror_talk.serve(net)
    for kind in kinds:
        # In the guest only what this machine may not have.
        if (kind != "interface" or method not in OF_PACKETS) and \
                not (mirror_talk.IN_GUEST and (kind in ("vxlan", "interface") or method != "tc")):
            cycle(net, kind, method=method, groups=(mirror_talk.SUPER,))


def to_neighbours(net, method):
    """Packets of the IP layer leave to a neighbour, who is of one family."""
    ends = (net.mon_addresses, net.peer_addresses)
    for i, gateway in enumerate((net.collector, net.collector6)):
        net.mon_addresses, net.peer_addresses = ends[0][i:i + 1], ends[1][i:i + 1]
        cycle(net, "interface", "--gateway", gateway, method=method)
    net.mon_addresses, net.peer_addresses = ends


for method, needs, doc in (
        ("tc", (), "tc's mirred, to every device that this kernel has."),
        ("nft", (), "nftables' dup in the hooks of the interface."),
        ("nft-ip", (), "nftables' dup in the hooks of the routing: packets, not frames."),
        ("tee", ("iptables",), "iptables' TEE: packets, not frames."),
        ("user", (), "A process that reads the interface and wraps what it reads.")):
    def one_method(lab, method=method):
        each_target(lab, method)
    one_method.__doc__ = doc
    scenario(f"mirror-{method}", *NEEDS, *needs)(one_method)


@scenario("mirror-devices", *NEEDS)
def mirror_devices(lab):
    """Every device that copies can leave by, with a little traffic: what the guest is for."""
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    kinds = kinds_of(lab, "tc")
    if mirror_talk.IN_GUEST and set(kinds) != set(LISTEN):
        raise Failed(f"in the guest nothing may be left out, but there is only {', '.join(kinds)}")
    for kind in kinds:
        # In the guest, which is slow, what this machine has too is left to it.
        if not (mirror_talk.IN_GUEST and kind == "interface"):
            link = mirror_talk.OF_THE_LINK if kind == "gre" or not mirror_talk.IN_GUEST else ()
            cycle(net, kind, method="tc", groups=(mirror_talk.SHORT, link))


# --- Other places on the way ----------------------------------------------------------------------


def methods_for(lab, kind):
    return [method for method in ("tc", "nft", "nft-ip", "tee", "user") if kind in kinds_of(lab, method)]


@scenario("mirror-one-interface", *NEEDS)
def mirror_one_interface(lab):
    """The copies leave by the interface that is mirrored: none is copied again."""
    methods = [(method, kind) for kind in LISTEN if kind != "interface"
               for method in methods_for(lab, kind)]
    net = OneInterface(lab, offload=False)
    mirror_talk.serve(net)
    seen = set()
    for method, kind in methods:
        # All kinds by one method, and all methods for one kind.
        if method not in seen or method == "tc":
            cycle(net, kind, method=method, groups=(mirror_talk.OF_IP,))
        seen.add(method)


@scenario("mirror-closed-port", *NEEDS)
def mirror_closed_port(lab):
    """Nobody listens at the collector, and it says so by ICMP for each copy: that is not copied."""
    net = OneInterface(lab, offload=False)
    mirror_talk.serve(net)
    net.col.set_sysctl("net/ipv4/icmp_ratelimit", 0)
    net.col.set_sysctl("net/ipv6/icmp/ratelimit", 0)
    # Over IPv6 the kernel cuts no packets, and full frames have no copies.
    for address, kinds in ((net.collector, (*mirror_talk.SHORT, mirror_talk.fragments)),
                           (net.collector6, mirror_talk.SHORT)):
        for method in methods_for(lab, "vxlan"):
            mirror = Mirror(net, f"vxlan:[{address}]", "--method", method)
            mirror.apply()
            name = f"{method}-{len(lab.processes)}"
            home, beside = net.capture(f"home-{name}"), net.tcpdump(net.col, "eth0", f"col-{name}")
            mirror_talk.run(net, kinds)
            beside.stop()
            home.stop()
            answers = home.only("icmp[0] == 3 or icmp6[0] == 1", "answers")
            if not frames_in(answers):
                raise Failed("the collector did not answer, so nothing was tried")
            copies = Wire(beside.file).copies
            if method not in OF_PACKETS:
                same_frames(f"{method} to a closed port", [copy.frame for copy in copies],
                            frames_in(net.at_home(home)))
            about = [copy for copy in copies if collector_is_in(net, copy.frame)]
            if nested(copies) or about or not copies:
                raise Failed(f"{method}: of {len(copies)} copies {len(nested(copies))} are of copies, "
                             f"{len(about)} of the answers to them")
            mirror.remove()


def collector_is_in(net, frame):
    import packets as p
    return p.ip4(net.collector) in frame[26:34] or p.ip6(net.collector6) in frame[22:54]


@scenario("mirror-shapes", *NEEDS)
def mirror_shapes(lab):
    """The mirrored interface is a bridge's port, and carries VLANs; others use its hooks, too."""
    shapes = [BridgePort] + ([VlanLower] if has_link("vlan", "link", "lo", "id", "10") else [])
    for shape in shapes:
        net = shape(lab, offload=False, prefix=shape.__name__.lower()[:4] + "-")
        mirror_talk.serve(net)
        cycle(net, "vxlan")
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    furnish(net.mon)
    for method in methods_for(lab, "vxlan"):
        cycle(net, "vxlan", method=method, groups=(mirror_talk.SHORT,))


@scenario("mirror-both-ends", *NEEDS)
def mirror_both_ends(lab):
    """Both ends of the connections are mirrored: each is logged once, with its packets."""
    net = OneInterface(lab, offload=False)
    mirror_talk.serve(net)
    trial = Trial(net, *LISTEN["vxlan"])
    mirrors = [Mirror(net, target_of(net, "vxlan"), ns=ns, number=number)
               for ns, number in ((net.mon, 101), (net.peer, 102))]
    for mirror in mirrors:
        mirror.apply()
    trial.talk(mirror_talk.OF_IP)
    trial.compare("both ends")
    if {copy.number for copy in trial.wire().copies} != {101, 102}:
        raise Failed("not both ends were mirrored")
    for mirror in mirrors:
        mirror.remove()


# --- What may be asked for ------------------------------------------------------------------------


@scenario("mirror-options", *NEEDS)
def mirror_options(lab):
    """Filter, direction, snap length and limit, by each method that can; the others refuse."""
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    for method in methods_for(lab, "vxlan"):
        for option in (filtered, one_way, cut, limited):
            option(net, method)


CAN = {  # as the manual has it
    "--filter": {"tc", "tee", "user"},
    "--snap": {"user"},
    "--rate-limit": {"tc", "nft", "nft-ip", "user"},
}


def with_option(net, method, option, value):
    mirror = Mirror(net, target_of(net, "vxlan"), "--method", method, option, value)
    if method not in CAN[option]:
        mirror.must_refuse(f"{option}: .*{method}")
        return None
    if (method, option) == ("tc", "--rate-limit") and not has_feature(net.lab, "police"):
        mirror.must_refuse("lacks")
        return None
    return mirror


def filtered(net, method):
    mirror = with_option(net, method, "--filter", "tcp port 80 or icmp6")
    if mirror:
        trial = Trial(net, *LISTEN["vxlan"], whole_frames=method not in OF_PACKETS)
        mirror.apply()
        counts = trial.talk(mirror_talk.SHORT)
        trial.counts = {"http": counts["http"]}
        trial.compare(f"{method}, filtered", only="tcp port 80 or icmp6")
        mirror.remove()


def one_way(net, method):
    for direction in ("in", "out"):
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method, "--direction", direction)
        trial = Trial(net, *LISTEN["vxlan"], whole_frames=method not in OF_PACKETS)
        mirror.apply()
        trial.home = net.tcpdump(net.mon, net.device, f"{direction}-{method}", direction)
        trial.beside = net.tcpdump(net.col, "eth0", f"beside-{direction}-{method}")
        trial.talk(mirror_talk.SHORT)
        trial.counts = {}
        trial.compare(f"{method}, only {direction}")
        mirror.remove()


def cut(net, method):
    """The logs count bytes as they were sent."""
    mirror = with_option(net, method, "--snap", "96")
    if mirror:
        trial = Trial(net, *LISTEN["vxlan"])
        mirror.apply()
        trial.talk((mirror_talk.pings, mirror_talk.large))
        trial.stop()
        same_frames(f"{method}, snap length", trial.copied_frames(),
                    [frame[:96] for frame in frames_in(trial.file)])
        mirror.remove()


def limited(net, method):
    """What is above the limit has no copy, but arrives itself."""
    limit = 100_000
    mirror = with_option(net, method, "--rate-limit", str(limit))
    if mirror:
        trial = Trial(net, *LISTEN["vxlan"])
        mirror.apply()
        trial.talk((mirror_talk.large,))
        trial.stop()
        copied = sum(map(len, trial.copied_frames()))
        passed = sum(map(len, frames_in(trial.file)))
        if not 0 < copied < passed / 2:
            raise Failed(f"{method}, limit of {limit}: of {passed} bytes {copied} were copied")
        mirror.remove()


@scenario("mirror-netns", *NEEDS)
def mirror_netns(lab):
    """A machine in a namespace is mirrored from outside of it, by name and by process."""
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    inhabitant = net.mon.start("inhabitant", "sleep", "1000")
    before = host_state(net.mon)
    for i, method in enumerate(methods_for(lab, "vxlan")):
        place = ("mon", str(inhabitant.pid))[i % 2]
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method, "--netns", place)
        mirror.place = []
        trial = Trial(net, *LISTEN["vxlan"], whole_frames=method not in OF_PACKETS)
        mirror.apply()
        trial.talk(mirror_talk.SHORT)
        trial.compare(f"{method} --netns {place}")
        mirror.status()
        mirror.must_have_nothing_to_do()
        mirror.remove()
        same_state(f"{method} --netns {place}", before, host_state(net.mon))
    traffic.ping(net.mon, net.peer_addresses[0], 1)
