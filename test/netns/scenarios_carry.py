"""The mirror in user space: what an interface sees comes to the collector as the wire has it, once,
and in the logs of a watch there as in those of a capture on the monitored machine."""
import os
import socket
import time

import logs
import senders
import traffic
from carrier import Carrier, Copies, frames_in, is_chatter, must_be_the_same
from collector import Capture, Watch
from lab import Failed, need, text_of, wait_until
from lan import Lan
from scenario import scenario
from scenarios_receive import SOURCE_COLUMNS, Net

UDP_SEGMENT = 103
# What depends on how many frames a capture makes of a super-frame.
PER_FRAME = ("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes")


def vlan(ns, device, tag, *addresses):
    name = f"{device}.{tag}"
    ns.ip("link", "add", "link", device, "name", name, "type", "vlan", "id", str(tag))
    ns.ip("link", "set", name, "up")
    ns.address(name, *addresses)


def has_vlan(lab):
    ns = lab.ns("try-vlan")
    ns.ip("link", "add", "try0", "type", "veth", "peer", "name", "try1")
    out = ns.ip("link", "add", "link", "try0", "name", "try0.5", "type", "vlan", "id", "5", check=False)
    ns.remove()
    return not out.strip()


def tagged(lab, net):
    """Tagged traffic between mon and peer; where the kernel has no VLAN devices, frames by hand."""
    if has_vlan(lab):
        vlan(net.mon, "eth0", 5, "10.5.0.1/24")
        vlan(net.peer, "eth0", 5, "10.5.0.2/24")
        traffic.servers(lab, net.peer, "10.5.0.2")
        return lambda turn: traffic.exchange(net.mon, "10.5.0.2", turn)
    return by_hand(net)


def by_hand(net):
    from packets import ether
    from scenarios_receive import packets_of

    def send(turn):
        packets = packets_of(sport=30000 + 10 * turn, src=f"10.5.0.{turn + 1}", dst="10.5.0.200")
        frames = [ether(packet, tags=[(0x8100, 5)]) for packet in packets]
        senders.send_frames(net.mon, "eth0", frames, per_second=500)
        return {"http": 1, "dns": 1}
    return send


def large(net, address):
    """TCP in super-frames, both ways; large UDP, fragments of both families, and ARP again."""
    net.mon.ip("neigh", "flush", "dev", "eth0")
    for size in (100000, 400000):
        got = traffic.http_get(net.mon, address, f"/bytes/{size}")
        if got < size:
            raise Failed(f"{got} of {size} bytes came")
    traffic.ping(net.mon, address, 2, size=5000)
    return {"http": 2}


# --- Logs --------------------------------------------------------------------------------------


def through_watch(lab, to, listener, offload, *collector_addresses):
    net = Net(lab, offload=offload)
    for address in collector_addresses:
        mon, col = address
        net.mon.address("eth1", mon)
        net.col.address("eth0", col)
    watch = Watch(lab, net.col, "-l", listener)
    beside = Capture(lab, net.mon, "eth0", direction="inout")
    # Addresses that are given early say hello in IPv6; both begin after that.
    time.sleep(0.2)
    carrier = Carrier(lab, net.mon, "eth0", to)
    tag_talk = tagged(lab, net)
    counts = [net.talk(), large(net, "10.1.0.2"), large(net, "fd01::2")]
    counts += [tag_talk(turn) for turn in range(2)]
    beside.settle()
    got = carrier.must_be_whole()
    if offload and not got["segmented"]:
        raise Failed(f"no super-frame was tried: {got}")
    watch.settle(at_least=got["sent"])
    carrier.stop()
    live = watch.stop()
    offline = logs.read_offline(lab, beside.stop(), mirror=None)
    logs.must_have(offline, traffic.sum_of(*counts), "the capture on the monitored machine")
    # The carrier is a process: when it gets its turn is the machine's business.
    logs.must_be_equal(live, offline, tolerance=1,
                       leave_out=SOURCE_COLUMNS + (PER_FRAME if offload else ()))


@scenario("carry", "tcpdump", "openssl")
def carry(lab):
    """The mirror in user space, VXLAN: the logs of watch are those of the machine itself."""
    through_watch(lab, "vxlan:10.9.0.2", "vxlan", True)


@scenario("carry-plain", "tcpdump", "openssl", "ethtool")
def carry_plain(lab):
    """The same without offloads: packets are counted alike, too."""
    through_watch(lab, "vxlan:10.9.0.2:4789", "vxlan", False)


@scenario("carry-geneve", "tcpdump", "openssl")
def carry_geneve(lab):
    """The same in GENEVE, to a collector's IPv6 address."""
    through_watch(lab, "geneve:[fd09::2]", "geneve:6081", True, ("fd09::1/64", "fd09::2/64"))


# --- Frames ------------------------------------------------------------------------------------


def kernel():
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


def send_segments(ns, address, port=9999):
    """UDP that the card is to cut: several datagrams in one frame."""
    with traffic.udp_socket(ns, "::" if ":" in address else "0.0.0.0") as sock:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
        for size in (1200, 5000, 40000):
            sock.sendto(bytes(i % 251 for i in range(size)), (address, port))


@scenario("carry-wire", "tcpdump", "openssl", "ethtool")
def carry_wire(lab):
    """Super-frames of the monitored machine come as the frames that the kernel itself makes of them
    for a card without offloads, byte for byte: TCP and UDP, IPv4 and IPv6, tagged, in overlays."""
    lan = Lan(lab, offload=True)
    mon, peer = lan.add("mon", 11), lan.add("peer", 12)
    for ns, device in ((peer, "eth0"), (lan.switch, "p-peer")):
        ns.run(need("ethtool"), "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    mon.address("eth0", "fd01::1/64")
    peer.address("eth0", "fd01::2/64")
    lab.cable(mon, "eth1", lan.col, "eth1")
    for ns, address in ((mon, "10.9.0.1/24"), (lan.col, "10.9.0.2/24")):
        ns.ip("link", "set", "eth1", "mtu", "9000")
        ns.address("eth1", address)
    # The monitored machine serves, so that it sends the large frames.
    traffic.servers(lab, mon, mon.lan_address, "fd01::1")
    vlans = has_vlan(lab)
    if vlans:
        vlan(mon, "eth0", 5, "10.5.0.1/24")
        vlan(peer, "eth0", 5, "10.5.0.2/24")
        traffic.http_server(lab, mon, "10.5.0.1")
    # Overlays of the machine's own: the card would have to cut what is in them.
    overlays = []
    for number, (local, remote) in enumerate((("10.1.0.11", "10.1.0.12"), ("fd01::1", "fd01::2"))):
        for ns, a, b, end in ((mon, local, remote, 1), (peer, remote, local, 2)):
            senders.vxlan_device(ns, f"vx{number}", 9, a, b, "eth0", port=4799)
            ns.address(f"vx{number}", f"10.8.{number}.{end}/24", f"fd08:{number}::{end}/64")
        overlays += [f"10.8.{number}.1", f"fd08:{number}::1"]
        traffic.servers(lab, mon, *overlays[-2:])
    talkers = [mon.lan_address, "fd01::1", *overlays] + (["10.5.0.1"] if vlans else [])
    for address in talkers:
        traffic.ping(peer, address, 1)  # who is where is known
    copies = Copies(lab, lan.col, "10.9.0.2")
    wire = Capture(lab, lan.switch, "p-peer", direction="inout")
    carrier = Carrier(lab, mon, "eth0", "vxlan:10.9.0.2")
    for address in talkers:
        for size in (100, 3000, 70000, 150000):
            traffic.http_get(peer, address, f"/bytes/{size}")
    traffic.exchange(peer, mon.lan_address)
    for address in (mon.lan_address, "fd01::1"):
        traffic.ping(peer, address, 2, size=5000)
    # Before, nobody is told how these were to be cut.
    if kernel() >= (6, 2):
        for other in (peer.lan_address, "fd01::2", "10.8.0.2", "fd08:1::2"):
            send_segments(mon, other)
    wire.settle()
    got = carrier.must_be_whole()
    if got["segmented"] < 10 or got["segments"] < 4 * got["segmented"] or got["finished"] < 10:
        raise Failed(f"that was no trial of super-frames: {got}")
    _, frames = copies.all_of(carrier)
    carrier.stop()
    must_be_the_same(frames, frames_in(wire.stop()), "with offloads")
    if len(copies.senders) < 2:
        raise Failed("all connections come from one port, so that nothing could spread them")


@scenario("carry-first")
def carry_first(lab):
    """The collector's hardware address is not known when the first burst comes, and the kernel keeps
    few packets until it is: all copies arrive."""
    net = Net(lab)
    copies = Copies(lab, net.col, "10.9.0.2")
    net.mon.ip("neigh", "del", "10.9.0.2", "dev", "eth1")
    net.mon.set_sysctl("net/ipv4/neigh/eth1/unres_qlen_bytes", 4000)
    net.mon.set_sysctl("net/ipv4/neigh/eth1/retrans_time_ms", 20)
    net.mon.set_sysctl("net/ipv4/neigh/eth1/mcast_solicit", 1000)
    net.col.set_sysctl("net/ipv4/conf/eth0/arp_ignore", 8)  # it does not answer
    carrier = Carrier(lab, net.mon, "eth0", "vxlan:10.9.0.2")
    senders.send_frames(net.mon, "eth0", [bytes(12) + b"\x88\xb5" + bytes(1000)] * 300, 100000)
    time.sleep(0.02)
    net.col.set_sysctl("net/ipv4/conf/eth0/arp_ignore", 0)
    carrier.must_be_whole()
    copies.all_of(carrier)
    carrier.stop()


def without_own(capture, name, collector, port=4789):
    """Frames of a capture on the mirrored interface, without the mirror's own packets."""
    if ":" in collector:
        own = f"(ip6 host {collector} and (udp dst port {port} or ip6 proto 44 or icmp6[0] < 128))"
    else:
        own = f"(dst host {collector} and (udp dst port {port} or " \
              f"(ip proto 17 and ip[6:2] & 0x1fff != 0))) or (icmp[0] == 3 and icmp[1] == 3)"
    return frames_in(capture.only(f"not ({own}) and not (vlan and ({own}))", name))


def same_interface(lab, name, to, collector, prepare=None):
    lan = Lan(lab, offload=True)
    mon, peer = lan.add("mon", 11), lan.add("peer", 12)
    for number, ns in ((1, mon), (2, lan.col), (3, peer)):
        ns.address("eth0", f"fd01::{number}/64")
    if prepare:
        prepare(lan, mon)
    traffic.servers(lab, peer, peer.lan_address)
    traffic.servers(lab, lan.col, lan.col.lan_address)  # other traffic with the collector
    for address in (peer.lan_address, lan.col.lan_address, collector):
        traffic.ping(mon, address, 1)
    copies = Copies(lab, lan.col, collector)
    beside = Capture(lab, mon, "eth0", name=f"{name}-beside", direction="inout")
    carrier = Carrier(lab, mon, "eth0", to, name=name)
    traffic.exchange(mon, peer.lan_address)
    traffic.ping(mon, peer.lan_address, 3, size=1472)  # whose copies do not fit the MTU
    traffic.ping(mon, peer.lan_address, 3, size=5000)
    traffic.exchange(mon, lan.col.lan_address)
    beside.settle()
    carrier.must_be_whole()
    _, frames = copies.all_of(carrier)
    if not any(len(frame) >= 1514 for frame in frames):
        raise Failed("no copy was larger than the MTU")
    # Nobody listens any more: the answers to the copies are not copied, either.
    copies.closed = True
    wait_until(lambda: "4789" not in lan.col.run("ss", "-uln"), "the socket stays open")
    traffic.ping(mon, peer.lan_address, 20)
    beside.settle()
    got = carrier.must_be_whole()
    if not got["answers"]:
        raise Failed(f"the collector did not answer: {got}")
    beside.stop()
    others = without_own(beside, f"{name}-others", collector)
    chatter = sum(map(is_chatter, others))
    if not len(others) - chatter <= got["seen"] <= len(others):
        raise Failed(f"the mirror saw {got['seen']} frames, and there were {len(others)} of others, "
                     f"with {chatter} that may have come before: {got}")
    carrier.stop()


@scenario("carry-same-interface", "tcpdump", "openssl", "ss")
def carry_same_interface(lab):
    """The copies leave by the interface that is mirrored: none of a copy, of its fragments, or of
    an answer to it."""
    same_interface(lab, "same", "vxlan:10.1.0.2", "10.1.0.2")


@scenario("carry-same-interface-ipv6", "tcpdump", "openssl", "ss")
def carry_same_interface_ipv6(lab):
    """The same to an IPv6 address."""
    same_interface(lab, "same6", "vxlan:[fd01::2]", "fd01::2")


@scenario("carry-same-interface-vlan", "tcpdump", "openssl", "ss")
def carry_same_interface_vlan(lab):
    """The same where the way to the collector is a VLAN of the mirrored interface."""
    if not has_vlan(lab):
        from lab import Skip
        raise Skip("this kernel has no VLAN devices")

    def prepare(lan, mon):
        vlan(mon, "eth0", 7, "10.7.0.1/24")
        vlan(lan.col, "eth0", 7, "10.7.0.2/24")
    same_interface(lab, "samev", "vxlan:10.7.0.2", "10.7.0.2", prepare)


@scenario("carry-through-tunnel", "tcpdump", "openssl")
def carry_through_tunnel(lab):
    """The way to the collector is a tunnel over the mirrored interface: the kernel's filter cannot
    know these packets, so they are recognised, counted, and copied no further."""
    net = Net(lab)
    # 10.8.0.2 is behind the peer, by a VXLAN on another port.
    for ns, local, remote, address in ((net.mon, "10.1.0.1", "10.1.0.2", "10.8.0.1/24"),
                                       (net.peer, "10.1.0.2", "10.1.0.1", "10.8.0.2/24")):
        senders.vxlan_device(ns, "vx9", 9, local, remote, "eth0", port=4799)
        ns.address("vx9", address)
    traffic.ping(net.mon, "10.8.0.2", 1)
    copies = Copies(lab, net.peer, "10.8.0.2")
    carrier = Carrier(lab, net.mon, "eth0", "vxlan:10.8.0.2")
    net.talk(1)
    traffic.ping(net.mon, "10.1.0.2", 3, size=1472)
    carrier.settle()
    got, _ = copies.all_of(carrier)
    # Each copy was seen once more; of those that came in two pieces the second is a packet of its
    # own, whose copy is small.
    if not got["own"] or got["sent"] > 2 * (got["seen"] - got["own"]) or \
            got["own"] > got["sent"] or got["lost"]:
        raise Failed(f"copies of copies: {got}")
    carrier.stop()


@scenario("carry-two", "tcpdump", "openssl")
def carry_two(lab):
    """Two mirrors of one interface to two collectors, both leaving by it: each sees the other's
    copies as traffic, and it comes to an end all the same."""
    lan = Lan(lab)
    mon, peer, other = lan.add("mon", 11), lan.add("peer", 12), lan.add("other", 13)
    for address in (peer.lan_address, lan.col.lan_address, other.lan_address):
        traffic.ping(mon, address, 1)
    collectors = [Copies(lab, lan.col, lan.col.lan_address), Copies(lab, other, other.lan_address)]
    carriers = [Carrier(lab, mon, "eth0", f"vxlan:{address}", name=f"to-{address}")
                for address in (lan.col.lan_address, other.lan_address)]
    traffic.ping(mon, peer.lan_address, 10)
    traffic.ping(mon, peer.lan_address, 10, size=1472)
    n_frames = 40 + 4  # and ARP, perhaps
    for carrier, copies in zip(carriers, collectors):
        got = carrier.settle()
        if not got["own"] or got["sent"] > 8 * n_frames or got["lost"]:
            raise Failed(f"two mirrors: {got}")
        copies.all_of(carrier)
        carrier.stop()


# --- Options -----------------------------------------------------------------------------------


def frames_of_talk(lab, name, tcpdump, *arguments, snap=None):
    """What a mirror with these arguments brings, and what tcpdump sees with those."""
    net = Net(lab, prefix=name, offload=False)
    net.col.ip("link", "set", "eth0", "mtu", "9000")
    net.mon.ip("link", "set", "eth1", "mtu", "9000")
    tag_talk = tagged(lab, net)
    time.sleep(0.2)
    copies = Copies(lab, net.col, "10.9.0.2")
    beside = Capture(lab, net.mon, "eth0", name=f"{name}-all", direction=tcpdump[0])
    # The witness of the filter is tcpdump, live: it sees tags as the kernel keeps them.
    only = lab.path(f"{name}-only.pcap")
    witness = net.mon.start(f"{name}-only", need("tcpdump"), "-i", "eth0", "-n", "-s", "0", "-p", "-Q",
                            tcpdump[0], "-U", "--immediate-mode", "-Z", "root", "-w", only,
                            *tcpdump[1:])
    wait_until(lambda: witness.must_run() and "listening on" in witness.said(), "no tcpdump")
    carrier = Carrier(lab, net.mon, "eth0", "vxlan:10.9.0.2", *arguments, name=name)
    net.talk(1)
    tag_talk(0)
    beside.settle()
    carrier.must_be_whole()
    got, frames = copies.all_of(carrier)
    wait_until(lambda: len(frames_in(only)) >= len(frames), "tcpdump sees less than the mirror")
    carrier.stop()
    witness.stop()
    expected = [frame[:snap] for frame in frames_in(only)]
    if not 10 < len(expected) <= len(frames_in(beside.stop())):
        raise Failed(f"{name}: only {len(expected)} frames: no trial")
    must_be_the_same(frames, expected, name)
    return got, frames


@scenario("carry-options", "tcpdump", "openssl", "ethtool")
def carry_options(lab):
    """--direction, --snap and --filter: the frames are exactly those that tcpdump -i takes."""
    frames_of_talk(lab, "in", ["in"], "--direction", "in")
    frames_of_talk(lab, "out", ["out"], "--direction", "out")
    got, frames = frames_of_talk(lab, "snap", ["inout"], "--snap", "70", snap=70)
    if got["snapped"] != sum(len(frame) == 70 for frame in frames):
        raise Failed(f"the cut frames are not counted: {got}")
    for name, expression in (("web", "tcp port 80 or arp"), ("tag", "vlan 5"),
                             ("ip6", "ip6 and not tcp port 443")):
        frames_of_talk(lab, name, ["inout", expression], "--filter", expression)
    frames_of_talk(lab, "ins", ["in", "tcp"], "--filter", "inbound and tcp")
    frames_of_talk(lab, "all", ["in", "tcp"], "--direction", "in", "--snap", "96", "--filter", "tcp",
                   snap=96)


@scenario("carry-rate", "iperf3")
def carry_rate(lab):
    """--rate-limit: no more than that leaves, and the rest is counted."""
    net = Net(lab)
    rate = 2000000
    copies = Copies(lab, net.col, "10.9.0.2")
    carrier = Carrier(lab, net.mon, "eth0", "vxlan:10.9.0.2", "--rate-limit", str(rate))
    lab.start("iperf-server", "ip", "netns", "exec", "peer", need("iperf3"), "-s", "-1")
    begin = time.monotonic()
    wait_until(lambda: "connected" in net.mon.run(need("iperf3"), "-c", "10.1.0.2", "-t", "4", "-b", "100M",
                                                  check=False), "iperf3 does not connect")
    carrier.must_be_whole()
    got, frames = copies.all_of(carrier)
    passed = time.monotonic() - begin
    if not 0.7 * rate * 4 < got["bytes_sent"] < rate * passed + rate / 10 + 65536:
        raise Failed(f"{got['bytes_sent']} bytes in {passed:.1f} s at a limit of {rate}: {got}")
    if got["over_limit"] < 1000 or sum(map(len, frames)) != got["bytes_sent"]:
        raise Failed(f"what is over the limit is not counted: {got}")
    carrier.stop()


# --- Life --------------------------------------------------------------------------------------


@scenario("carry-life", "nft", "openssl")
def carry_life(lab):
    """Killed and started again; the interface goes and comes; the collector cannot be reached for a
    while; and nothing is left in the end."""
    net = Net(lab)
    before = net.mon.run("ip", "-br", "link") + net.mon.run("tc", "qdisc", "show")
    watch = Watch(lab, net.col, "-l", "vxlan")
    carrier = Carrier(lab, net.mon, "eth0", "vxlan:10.9.0.2")
    pid = carrier.status()["pid"]
    counts = [traffic.exchange(net.mon, "10.1.0.2", 0)]
    carrier.settle()
    os.kill(pid, 9)
    wait_until(lambda: not carrier.status()["alive"], "a killed mirror is said to live")
    carrier.start()
    if carrier.status()["pid"] == pid or not carrier.status()["alive"]:
        raise Failed(f"it was not started again: {carrier.status()}")
    counts.append(traffic.exchange(net.mon, "10.1.0.2", 1))

    for device_state, state in (("down", 2), ("up", 1)):
        net.mon.ip("link", "set", "eth0", device_state)
        wait_until(lambda: carrier.status()["state"] == state,
                   lambda: f"eth0 is {device_state}: {carrier.status()}")
    if carrier.status()["interface_losses"] != 1:
        raise Failed(f"one loss was to be counted: {carrier.status()}")
    wait_until(lambda: traffic.ping(net.mon, "10.1.0.2", 1, check=False), "eth0 has no way")
    counts.append(traffic.exchange(net.mon, "10.1.0.2", 2))
    carrier.must_be_whole()
    n_before = carrier.status()["sent"]

    # No way: counted. A way again, from another address: goes on.
    net.mon.ip("addr", "del", "10.9.0.1/24", "dev", "eth1")
    traffic.ping(net.mon, "10.1.0.2", 5)
    got = carrier.settle()
    # One or two of before may be among them.
    if got["unreachable"] < 9 or got["sent"] > n_before + 2 or "no way" not in got["trouble"]:
        raise Failed(f"there was no way, and it is not said so: {got}")
    net.mon.address("eth1", "10.9.0.7/24")
    net.mon.ip("neigh", "replace", "10.9.0.2", "lladdr", net.col.mac("eth0"), "dev", "eth1")

    def comes_again():
        traffic.ping(net.mon, "10.1.0.2", 1)
        return carrier.status()["sent"] > n_before
    wait_until(comes_again, lambda: f"it never goes on: {carrier.status()}", every=0.3)
    lost = carrier.settle()["unreachable"]
    counts.append(traffic.exchange(net.mon, "10.1.0.2", 3))
    if carrier.settle()["unreachable"] != lost:
        raise Failed(f"packets are still lost: {carrier.status()}")
    watch.settle()
    logs.must_have(watch.stop(), traffic.sum_of(*counts), "watch")

    # A firewall of the machine's own.
    net.mon.nft("""table inet f {
        chain o { type filter hook output priority 0; udp dport 4789 drop; }
    }""")
    traffic.ping(net.mon, "10.1.0.2", 5)
    got = carrier.settle()
    if got["denied"] < 10 or "firewall" not in got["trouble"]:
        raise Failed(f"a firewall dropped the copies, and it is not said so: {got}")
    net.mon.run("nft", "flush", "ruleset")
    carrier.stop()
    after = net.mon.run("ip", "-br", "link") + net.mon.run("tc", "qdisc", "show")
    # Ended, though nobody may have asked how.
    left = text_of(f"/proc/{got['pid']}/stat").rpartition(")")[2].split()
    if before != after or (left and left[0] != "Z"):
        raise Failed(f"something is left:\n{before}\n{after}")
