"""Mirrors of virtual machines: real ones of libvirt and QEMU, and the files of Proxmox VE."""
import os
import re
import socket
import struct
import time

from collector import Capture, Watch
from hypervisor import (COLLECTOR, DONE, FAILED, UNHEALTHY, Libvirt, Mirror, Proxmox, same_state)
from lab import Failed, wait_until
from scenario import scenario

REAL = ("libvirtd", "virsh", "qemu-system-x86_64", "tc", "tcpdump")
FILES = ("tc", "tcpdump")


# --- What came ------------------------------------------------------------------------------------

def frames_of(file):
    """Of a capture with nanoseconds."""
    with open(file, "rb") as capture:
        data = capture.read()
    frames, at = [], 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return frames


def copies_of(file):
    """{VNI: the frames} of the VXLAN packets to the collector."""
    copies = {}
    for frame in frames_of(file):
        if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\x12\xb5":
            copies.setdefault(int.from_bytes(frame[46:49], "big"), []).append(frame[50:])
    return copies


def without_proof(frames):
    return [frame for frame in frames if frame[12:14] != b"\x88\xb5"]


def is_of_machine(frame):
    return frame[6:9] == b"\x52\x54\x00"


def speak(on, n=5):
    """The bridge's side sends to all its machines."""
    if "10.50.0.1" not in on.hv.ip("addr", "show", "br0"):
        on.hv.address("br0", "10.50.0.1/24")
        on.hv.run("ethtool", "-K", "br0", "tx", "off")
    with on.hv.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for i in range(n):
            sock.sendto(b"from the bridge %d" % i, ("10.50.0.255", 9))


def must_mirror(on, tap, vni, boots=True):
    """A while of a machine's traffic: all that passes its tap, in both directions, comes to the
    collector once. `boots`: it is the card that the machine asks for addresses by."""
    at_collector = Capture(on.lab, on.col, on.far, name=f"collector-{on.hv.name}-{tap}")
    at_tap = Capture(on.lab, on.hv, tap, name=f"tap-{on.hv.name}-{tap}", direction="inout")
    sent = on.hv.counters(tap)["rx"]["packets"]
    speak(on)
    wait_until(lambda: not boots or on.hv.counters(tap)["rx"]["packets"] >= sent + 2,
               f"the machine at {tap} sends nothing", limit=120, every=0.2)
    # What passes just now is in one of the two alone: the tap's ends first.
    at_tap.process.stop()
    at_collector.settle()
    at_collector.process.stop()
    original = without_proof(frames_of(at_tap.file))
    copied = without_proof(copies_of(at_collector.file).get(vni, []))
    while copied and copied[0] not in original:
        copied.pop(0)  # of before the capture at the tap began
    theirs = sum(map(is_of_machine, copied))
    lost = [frame for frame in original if copied.count(frame) < original.count(frame)]
    strange = [frame for frame in copied[:len(original)] if frame not in original]
    if lost or strange or len(copied) - theirs < 5 or (boots and theirs < 2):
        raise Failed(f"VNI {vni} of {tap}: {len(original)} frames, {len(copied)} copies ({theirs} of "
                     f"the machine's own), {len(lost)} lost, {len(strange)} strange")


# --- libvirt --------------------------------------------------------------------------------------

@scenario("vm-libvirt", *REAL)
def vm_libvirt(lab):
    """A machine by its name; it is stopped and started, and its mirror comes back by itself."""
    on = Libvirt(lab)
    on.define("web-1", ("bridge", 1))
    before = on.state()
    mirror = Mirror(on, "--domain", "web-1")
    mirror.must_refuse(r"--domain: libvirt has no machine 'web-2'.*did you mean 'web-1'\?",
                       "--domain", "web-2", "--to", "vxlan:" + COLLECTOR, "--id", "1", wish=False)
    on.virsh("start", "web-1")
    mirror.apply()
    mirror.must_have_nothing_to_do()
    watch = Watch(lab, on.col, "-l", "vxlan", config=mirror.config().split("\n", 2)[2])
    first, = on.taps("web-1")
    must_mirror(on, first, 200)
    watch.wait_state("web-1", {"ok", "quiet"})

    for stop, start in ((("destroy", "web-1"), ("start", "web-1")),
                        (("save", "web-1", lab.path("saved")), ("restore", lab.path("saved")))):
        on.virsh(*stop)
        wait_until(lambda: vxlan_devices(on) == 0,
                   "the tunnel's device stays when the machine has gone", every=0.2)
        if "not running" not in mirror.status().out:
            raise Failed(mirror.status().said())
        on.virsh(*start)
        tap, = on.taps("web-1")
        if tap == first:
            raise Failed("the machine has its old tap again: nothing was tried")
        first = tap
        mirror.wait_well(f"after {stop[0]} and {start[0]}")
        must_mirror(on, tap, 200)
    watch.settle()
    machine = watch.machine("web-1")
    if machine["packets"] < 20 or "0.0.0.0" not in watch.stop()["conn"].column("id.orig_h"):
        raise Failed(f"watch does not know the machine's traffic: {machine}")

    mirror.remove()
    same_state("remove", before, on.state())
    on.virsh("destroy", "web-1")
    on.virsh("start", "web-1")
    time.sleep(2)
    same_state("a start after remove", before, on.state())


@scenario("vm-libvirt-off", *REAL)
def vm_libvirt_off(lab):
    """Machines that are off are mirrored when they start; their cards keep their ids."""
    on = Libvirt(lab)
    on.define("web-1", ("bridge", 1), ("user", 2), ("bridge", 3))
    on.define("db 2's", ("bridge", 4))
    before = on.state()
    mirror = Mirror(on, "--domain", "web-1", "--domain", "db 2's", "--name", "both")
    Mirror(on, "--domain", "web-1", "--no-hook").must_refuse("web-1 is not running, and there is no "
                                                            "hook")
    mirror.apply()
    mirror.must_have_nothing_to_do()
    must_have_ids(mirror, {"web-1 52:54:00:00:00:01": 200, "web-1 52:54:00:00:00:03": 201,
                           "db 2's 52:54:00:00:00:04": 202})
    on.virsh("start", "db 2's")
    mirror.wait_well("the second machine has started")
    must_mirror(on, on.taps("db 2's")[0], 202)
    on.virsh("start", "web-1")
    mirror.wait_well("the first machine has started")
    tap, none, second = on.taps("web-1")
    if none != "-":
        raise Failed("the user's card has a tap")
    must_mirror(on, second, 201, boots=False)
    must_mirror(on, tap, 200)

    # Its first card is taken away: the others keep their ids.
    on.virsh("destroy", "web-1")
    on.virsh("undefine", "web-1")
    on.define("web-1", ("bridge", 3), ("bridge", 5))
    on.virsh("start", "web-1")
    mirror.wait_well("with other cards")
    must_have_ids(mirror, {"web-1 52:54:00:00:00:03": 201, "web-1 52:54:00:00:00:05": 200,
                           "db 2's 52:54:00:00:00:04": 202})
    must_mirror(on, on.taps("web-1")[0], 201)

    # The journal is lost: by the marks, nothing stays.
    for name in os.listdir(mirror.state):
        if name.startswith("mirror.db"):
            os.unlink(os.path.join(mirror.state, name))
    if mirror.status("--name", "both", codes=(UNHEALTHY,)).rows("status")[0]["state"] != "UNRECORDED":
        raise Failed("a mirror without a journal is not seen")
    mirror.remove()
    same_state("remove without the journal", before, on.state())


def must_have_ids(mirror, ids):
    rows = mirror.call("plan", "--json", "--verbose").rows("step")
    got = {row["key"]: int(re.search(r"id (\d+)", row["what"])[1]) for row in rows
           if row["kind"] == "nic" and row["action"] == "keep"}
    if got != ids:
        raise Failed(f"the ids are {got}, not {ids}")


@scenario("vm-directions", *REAL)
def vm_directions(lab):
    """What a machine receives is what its tap sends, but what its macvtap receives."""
    on = Libvirt(lab)
    lab.cable(on.hv, "up0", on.col, "far0", offload=False)
    on.col.set_sysctl("net/ipv6/conf/far0/disable_ipv6", 0)
    on.define("web-1", ("bridge", 1))
    on.define("db-2", ("macvtap", 2))
    for name in ("web-1", "db-2"):
        on.virsh("start", name)
    taps = on.taps("web-1") + on.taps("db-2")
    for direction, own in (("out", True), ("in", False)):
        mirror = Mirror(on, "--domain", "web-1", "--domain", "db-2", "--direction", direction)
        mirror.apply()
        at_collector = Capture(lab, on.col, "eth0", name="collector-" + direction)
        sent = [own_frames(on, tap) for tap in taps]
        speak(on)
        on.col.run("ping", "-c", "3", "-i", "0.2", "ff02::1%far0", check=False)
        wait_until(lambda: all(own_frames(on, tap) > n + 1 for tap, n in zip(taps, sent)),
                   "a machine sends nothing", limit=120, every=0.2)
        at_collector.settle()
        at_collector.process.stop()
        for vni in (200, 201):
            copies = without_proof(copies_of(at_collector.file).get(vni, []))
            ours = [is_of_machine(frame) for frame in copies]
            if not ours or not all(mine == own for mine in ours):
                raise Failed(f"--direction {direction}, VNI {vni}: {sum(ours)} of {len(ours)} copies "
                             "were sent by the machine")
        mirror.remove()


def own_frames(on, tap):
    """What the machine has sent."""
    return on.hv.counters(tap)["rx" if tap.startswith("vnet") else "tx"]["packets"]


@scenario("vm-migrate", *REAL)
def vm_migrate(lab):
    """A running machine moves to another hypervisor, and so does its mirror."""
    here = Libvirt(lab)
    there = Libvirt(lab, other=here)
    lab.cable(here.hv, "eth2", there.hv, "eth2")
    here.hv.address("eth2", "10.8.0.1/24")
    there.hv.address("eth2", "10.8.0.2/24")
    here.define("web-1", ("bridge", 1))
    here.virsh("start", "web-1")
    before = [here.state(), there.state()]
    mirrors = [Mirror(on, "--domain", "web-1", "--migrates") for on in (here, there)]
    if "web-1 is not here: it is mirrored when it comes" not in mirrors[1].apply().out:
        raise Failed(mirrors[1].plan().said())
    mirrors[0].apply()
    must_mirror(here, here.taps("web-1")[0], 200)
    for source, target, to in ((0, 1, "10.8.0.2"), (1, 0, "10.8.0.1")):
        on = (here, there)[source], (here, there)[target]
        on[0].virsh("migrate", "--live", "--persistent", "--undefinesource", "web-1",
                    f"qemu+unix:///system?socket={on[1].room}/run/libvirt/libvirt-sock",
                    "--migrateuri", f"tcp://{to}")
        for mirror in mirrors:
            mirror.wait_well(f"migrated to {to}")
        wait_until(lambda: vxlan_devices(on[0]) == 0 and vxlan_devices(on[1]) == 1,
                   lambda: f"migrated to {to}: {on[0].state()['links']} {on[1].state()['links']}",
                   every=0.5)
        must_mirror(on[1], on[1].taps("web-1")[0], 200)
    for mirror, on, state in zip(mirrors, (here, there), before):
        mirror.remove()
        same_state("remove", state, on.state())


def vxlan_devices(on):
    return sum(kind == "vxlan" for *_, kind in on.state()["links"])


@scenario("vm-no-virsh", *REAL)
def vm_no_virsh(lab):
    """Without virsh, by libvirt's files; and when libvirt is not there at all."""
    on = Libvirt(lab)
    on.define("web-1", ("bridge", 1))
    on.define("db-2", ("bridge", 2))
    on.virsh("start", "web-1")
    mirror = Mirror(on, "--domain", "web-1", "--domain", "db-2")
    path = ["env", "PATH=/usr/sbin:/sbin"]
    for how in (path, []):
        out = mirror.call("plan", before=how).out
        if "copies what vnet0 receives" not in out or "db-2 is not running" not in out:
            raise Failed(f"{how}: {out}")
    Mirror(on, "--domain", "web-3").must_refuse("libvirt has no machine 'web-3'", before=path)
    Mirror(on, "--domain", "web-1", "--nic", "1").must_refuse(
        "--nic: web-1 has no network card 1", before=path)
    # An older one: its hook has to be called by the user's own.
    old = lab.folder("old", 0o755)
    with open(f"{old}/virsh", "w", encoding="ascii") as file:
        file.write('#!/bin/sh\n[ "$1" = --version ] && echo 6.0.0 && exit\nexec /usr/bin/virsh "$@"\n')
    os.chmod(f"{old}/virsh", 0o755)
    out = mirror.call("plan", before=["env", f"PATH={old}:{os.environ['PATH']}"]).out
    if 'libvirt 6.0 calls no hooks in /etc/libvirt/hooks/qemu.d' not in out:
        raise Failed(out)
    # Somebody's file in our place.
    os.makedirs(f"{on.hooks}/qemu.d")
    with open(f"{on.hooks}/qemu.d/cloudspan-web-1", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
    mirror.must_refuse("cloudspan-web-1 is there, and not ours")


# --- Proxmox VE -----------------------------------------------------------------------------------

WEB = ("agent: 1\nname: web-1\nnet0: virtio=BC:24:11:00:00:01,bridge=br0,firewall=1\n"
       "net1: e1000=BC:24:11:00:00:02,bridge=br0\n\n[before-the-update]\n"
       "name: old-name\nnet2: virtio=BC:24:11:00:00:09,bridge=br0\n")
CONTAINER = "arch: amd64\nhostname: db-2\nnet0: name=eth0,bridge=br0,hwaddr=BC:24:11:00:00:03,ip=dhcp\n"


@scenario("vm-proxmox", *FILES)
def vm_proxmox(lab):
    """Machines and containers by name and number; the hookscript; somebody else's hookscript."""
    on = Proxmox(lab)
    on.write(105, WEB)
    on.write(106, CONTAINER, "lxc")
    on.write(107, "name: twin\nnet0: virtio=BC:24:11:00:00:07,bridge=br0\n")
    on.write(108, "name: twin\nhookscript: local:snippets/theirs\n"
                  "net0: virtio=BC:24:11:00:00:08,bridge=br0\n")
    lab.folder("pve/nodes/pve2/qemu-server")
    with open(f"{on.folder}/nodes/pve2/qemu-server/200.conf", "w", encoding="ascii") as file:
        file.write("name: far\n")
    before = on.state()
    start(on, 105, 2)
    ct = lab.ns("ct")
    on.hv.ip("link", "add", "veth106i0", "type", "veth", "peer", "name", "eth0", "netns", "ct")
    on.hv.ip("link", "set", "veth106i0", "master", "br0", "up")
    ct.address("eth0", "10.50.0.6/24")

    where = ("--pve", on.folder)
    for name, says in (("twin", "both 10[78] and 10[78] are called 'twin'"),
                       ("200", "200 is on the node pve2"),
                       ("old-name", "this node has no machine 'old-name'"),
                       ("300", "this node has no machine '300'")):
        Mirror(on, "--domain", name, *where).must_refuse("--domain: " + says)
    Mirror(on, "--domain", "105", "--domain", "web-1", *where).must_refuse("are the same machine")

    mirror = Mirror(on, "--domain", "web-1", "--domain", "106", "--domain", "108", *where)
    out = mirror.apply().out
    if "108 has a hookscript already, which is left as it is (local:snippets/theirs)" not in out:
        raise Failed(out)
    mirror.must_have_nothing_to_do()
    must_have_ids(mirror, {"105 bc:24:11:00:00:01": 200, "105 bc:24:11:00:00:02": 201,
                           "106 bc:24:11:00:00:03": 202, "108 bc:24:11:00:00:08": 203})
    config = mirror.config()
    if "web-1" not in config or "bc:24:11:00:00:02" not in config or "db-2" not in config:
        raise Failed(config)

    # A container's own traffic, both ways.
    watch = Watch(lab, on.col, "-l", "vxlan", config=config.split("\n", 2)[2])
    on.hv.address("br0", "10.50.0.1/24")
    ct.run("ping", "-c", "3", "-i", "0.2", "10.50.0.1")
    watch.settle(6)
    if watch.machine("db-2").get("packets", 0) < 6:
        raise Failed(f"watch has not seen the container: {watch.snapshot().get('sources')}")

    # Stop and start.
    stop(on, 105, 2)
    on.calls("105", "post-stop")
    wait_until(lambda: vxlan_devices(on) == 1, "devices stay when the machine has gone", every=0.5)
    if "hookscript: local:snippets/theirs" not in on.read(108):
        raise Failed("somebody else's hookscript was replaced")
    start(on, 105, 2)
    on.calls("105", "pre-start")
    time.sleep(1)
    if vxlan_devices(on) != 1:
        raise Failed("the hook works in a phase that is none of its")
    on.calls("105", "post-start")
    mirror.wait_well("after the hookscript was called")

    # In user space: its process ends with the machine, and starts with it.
    mirror.wish += ["--method", "user"]
    mirror.apply()
    mirror.must_have_nothing_to_do()
    stop(on, 105, 2)
    on.calls("105", "post-stop")
    wait_until(lambda: carriers() == ["mirror-.web-1@veth106i0.carry"],
               lambda: f"processes stay: {carriers()}", every=0.5)
    start(on, 105, 2)
    on.calls("105", "post-start")
    mirror.wait_well("in user space")
    if len(carriers()) != 3:
        raise Failed(f"processes are {carriers()}")
    watch.stop()

    # It is on another node: without its hookscript it would not start there.
    os.rename(f"{on.folder}/qemu-server/105.conf", f"{on.folder}/nodes/pve2/qemu-server/105.conf")
    answer = mirror.remove(codes=(0, 1, 2, 3))
    if answer.code == DONE or "105, now on the node pve2, has this hookscript" not in answer.err:
        raise Failed(answer.said())
    os.rename(f"{on.folder}/nodes/pve2/qemu-server/105.conf", f"{on.folder}/qemu-server/105.conf")
    mirror.remove()
    if any("cloudspan" in on.read(number, kind) for number, kind in (
            (105, "qemu-server"), (106, "lxc"), (108, "qemu-server"))):
        raise Failed("a hookscript was left")
    if on.read(105) != WEB or os.listdir(f"{on.storage}/snippets"):
        raise Failed(f"something was left: {on.read(105)} {os.listdir(f'{on.storage}/snippets')}")
    stop(on, 105, 2)
    on.hv.ip("link", "del", "veth106i0")
    same_state("remove", before, on.state())


def carriers():
    folder = "/run/cloudspan"
    return sorted(name for name in os.listdir(folder) if name.endswith(".carry"))


def start(on, number, n_cards):
    for i in range(n_cards):
        on.tap(f"tap{number}i{i}")
        on.held.append(on.hold(f"tap{number}i{i}"))


def stop(on, number, n_cards):
    for i in range(n_cards):
        os.close(on.held.pop())
        on.hv.ip("link", "del", f"tap{number}i{i}")


@scenario("vm-tap", *FILES)
def vm_tap(lab):
    """A tap by its own name, where no hypervisor is known; ids; wrong wishes."""
    on = Proxmox(lab)  # of which nothing is used
    before = on.state()
    on.tap("mytap0")
    mirror = Mirror(on, "--domain", "mytap0", "--machine", "old-box")
    out = mirror.apply().out
    if "no hypervisor is known" not in out or "+ hook of" in out:
        raise Failed(out)
    mirror.must_have_nothing_to_do()
    script = mirror.call("plan", "--print").out
    if "ip link add cs-" not in script or "tc filter add dev mytap0 ingress" not in script:
        raise Failed(script)
    if '"old-box"' not in mirror.config() or "vxlan:200@10.9.0.1" not in mirror.config():
        raise Failed(mirror.config())
    for wish, says in (
            (("--domain", "mytap0", "--method", "tee"), "tee copies what passes this host's IP layer"),
            (("--domain", "mytap0", "--domain", "x", "--machine", "y"), "cannot have one name"),
            (("--domain", "mytap0", "--domain", "mytap0"), "is there twice"),
            (("--domain", "a/b"), "is no name of a machine"),
            (("--domain", "mytap0", "--name", "n" * 31), "too long"),
            (("--domain", "mytap0", "--name", "other"), "200 is the id of cs-.*, of the mirror mytap0"),
            (("--domain", "nothing"), "--domain: .*'nothing'"),
            ((), "which machine")):
        Mirror(on, *wish).must_refuse(says)
    Mirror(on, "--domain", "mytap0", number=1 << 24).must_refuse("--id: 16777216 is too large")
    mirror.remove()
    on.hv.ip("link", "del", "mytap0")
    same_state("remove", before, on.state())


@scenario("vm-same-bridge", *FILES)
def vm_same_bridge(lab):
    """The collector is on the machine's own bridge, which sends its copies to the machine as well."""
    on = Proxmox(lab)
    near = lab.ns("near")
    lab.cable(on.hv, "p-near", near, "eth0", offload=False)
    on.hv.ip("link", "set", "p-near", "master", "br0")
    on.hv.ip("link", "set", "dev", "p-near", "type", "bridge_slave", "learning", "off")
    near.address("eth0", "10.50.0.2/24")
    on.tap("mytap0")
    tap = on.hold("mytap0")
    speak(on, 0)
    mirror = Mirror(on, "--domain", "mytap0", to="vxlan:10.50.0.2")
    said = mirror.call("plan").out
    mirror.apply()
    if "but never the copies themselves" not in said:
        raise Failed("copies that pass the mirrored tap are not left out:\n" + said)
    on.hv.run("bridge", "fdb", "flush", "dev", "p-near", check=False)
    at_collector = Capture(lab, near, "eth0", name="near")
    drain(tap)
    speak(on, 7)
    at_collector.settle()
    at_collector.process.stop()
    received = drain(tap)
    own = sum(b"from the bridge" in frame and frame[36:38] != b"\x12\xb5" for frame in received)
    flooded = sum(frame[36:38] == b"\x12\xb5" for frame in received)
    copies = without_proof(copies_of(at_collector.file).get(200, []))
    n = sum(b"from the bridge" in frame for frame in copies)
    if own != 7 or flooded < 7 or n != 7:
        raise Failed(f"{own} frames and {flooded} copies came to the machine, {n} to the collector")
    os.close(tap)


def drain(fd):
    frames = []
    while True:
        try:
            frames.append(os.read(fd, 65536))
        except BlockingIOError:
            return frames


@scenario("vm-kill", "strace", *FILES)
def vm_kill(lab):
    """SIGKILL at every write to the journal and every change of a hook, in apply and in remove."""
    on = Proxmox(lab)
    on.write(105, WEB)
    start(on, 105, 2)
    before = on.state()
    mirror = Mirror(on, "--domain", "web-1", "--pve", on.folder)

    def killed(verb, n):
        # One unlink ends each write to the journal: before it, that write has never been.
        return mirror.call(verb, *(["--yes"] if verb == "apply" else ["--yes", "--all"]),
                           before=["strace", "-qq", "-f", "-o", "/dev/null", "-e",
                                   f"inject=unlink,rename:signal=KILL:when={n}"],
                           codes=()).code not in (DONE, FAILED)

    n = 0
    while killed("apply", n := n + 1):
        if n % 2:
            mirror.apply()
            mirror.must_have_nothing_to_do()
        mirror.remove(codes=(DONE,))
        clean(on, before, f"apply was killed at {n}")
    if n < 15:
        raise Failed(f"apply was killed only {n} times")
    for n in range(1, 100):
        mirror.apply()
        if not killed("remove", n):
            break
        if n % 2:
            mirror.apply()
            mirror.must_have_nothing_to_do()
        mirror.remove()
        clean(on, before, f"remove was killed at {n}")
    if n < 15:
        raise Failed(f"remove was killed only {n} times")


def clean(on, before, what):
    same_state(what, before, on.state())
    left = [name for folder, _, names in os.walk(on.storage) for name in names]
    if left or on.read(105) != WEB:
        raise Failed(f"{what}: left are {left}\n{on.read(105)}")
