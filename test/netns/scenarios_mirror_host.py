"""What `cloudspan mirror` does to the machine it works on: it can be killed, asked for the impossible
and deprived of its journal, and leaves the machine as it was."""
import itertools
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import mirror_talk
import traffic
from lab import Failed
from mirror_command import (DEVICES, DONE, FAILED, KILLED, UNHEALTHY, Mirror, list_methods,
                            target_of)
from mirror_lab import (UNITS, BridgePort, Net, OneInterface, Trial, furnish, hide, host_state, processes_of,
                        same_state)
from mirror_wire import Wire, nested
from scenario import scenario
from scenarios_mirror import LISTEN, NEEDS, OF_PACKETS, WITHOUT_ID, methods_for

# --- Killed between any two steps -----------------------------------------------------------------


@scenario("mirror-kill", *NEEDS)
def mirror_kill(lab):
    """SIGKILL at each step of apply and of remove; then again; then the machine is as it was."""
    net = OneInterface(lab, offload=False)
    net.open_port()
    before = host_state(net.mon)
    for turn, method in enumerate(methods_for(lab, "vxlan")):
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method, "--persist")
        steps = killed_at_each(mirror, "apply", turn, again=(
            lambda m: (m.apply(), must_mirror(m), m.remove()),
            lambda m: m.remove(),
            lambda m: (forget(m), m.remove()),
        ), after=lambda: same_state(f"{method}: apply was killed", before, host_state(net.mon)))
        if steps < 4:
            raise Failed(f"{method}: only {steps} steps of apply were killed")
        killed_at_each(mirror, "remove", turn, begin=Mirror.apply,
                       again=(lambda m: m.remove(), lambda m: (m.apply(), must_mirror(m), m.remove())),
                       after=lambda: same_state(f"{method}: remove was killed", before,
                                                host_state(net.mon)))


def killed_at_each(mirror, verb, turn, again, after, begin=None):
    """Gives the number of steps that there are. After each the next of the ways `again` is gone;
    `turn`, another one for each method, is where this begins. The first method is killed at every
    step, the others, which have most steps in common with it, at every third."""
    for n in itertools.count(turn % 3, 3 if turn else 1):
        if begin:
            begin(mirror)
        answer = mirror.call(verb, "--yes", kill_at=n)
        if answer.code == DONE:
            mirror.remove()
            return n
        answer.must(KILLED)
        again[(n + turn) % len(again)](mirror)
        after()
    return None


def must_mirror(mirror):
    """Its counters rise with traffic."""
    before = mirror.counters()
    for address in mirror.net.peer_addresses:
        traffic.ping(mirror.net.mon, address, 1)
    still = [name for name, n in mirror.counters().items() if n <= before[name]]
    if still:
        raise Failed(f"the counters of {still} did not rise")


def forget(mirror):
    """The journal is lost, and all else that is kept in files of the state folder."""
    shutil.rmtree(mirror.state)
    os.mkdir(mirror.state)


# --- Behind our back ------------------------------------------------------------------------------


@scenario("mirror-marks", *NEEDS)
def mirror_marks(lab):
    """The journal is lost: status knows what is there, and remove finds all of it by its marks."""
    net = OneInterface(lab, offload=False)
    net.open_port()
    before = host_state(net.mon)
    for method in methods_for(lab, "vxlan"):
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method)
        mirror.apply()
        forget(mirror)
        if "UNRECORDED" not in mirror.status(UNHEALTHY).out:
            raise Failed(f"{method}: status does not say that it is unrecorded")
        mirror.remove()
        same_state(f"{method}: without journal", before, host_state(net.mon))


@scenario("mirror-repair", *NEEDS)
def mirror_repair(lab):
    """A part is taken away by others: status says which, and apply puts back only that."""
    net = OneInterface(lab, offload=False)
    net.open_port()
    before = host_state(net.mon)
    for method in methods_for(lab, "vxlan"):
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method)
        mirror.apply()
        whole = host_state(net.mon)
        for damage in DAMAGES[method]:
            if callable(damage):
                damage(net)
            else:
                net.mon.run("sh", "-c", damage)
            missing = [row for row in mirror.status(UNHEALTHY).rows("step") if row["action"] != "keep"]
            if not missing:
                raise Failed(f"{method}: after {damage} status names nothing that is missing")
            answer = mirror.apply("--json")
            made = {(row["kind"], row["key"]) for row in answer.rows("step")}
            if made != {(row["kind"], row["key"]) for row in missing}:
                raise Failed(f"{method}: after {damage} apply made {made}, status said {missing}")
            must_mirror(mirror)
            same_state(f"{method}: repaired after {damage}", unnumbered(whole),
                       unnumbered(host_state(net.mon)))
        mirror.remove()
        same_state(f"{method}: damaged, repaired, removed", before, host_state(net.mon))


def unnumbered(state):
    """What was made anew has other numbers and addresses, and another place in the lists. (And nft
    shows iptables' rules of one protocol with the addresses of the other.)"""
    passing = re.compile(r"(?m)^\d+: |[0-9a-f]{2}(:[0-9a-f]{2}){5}|index \d+|dup to \S+")
    return {name: "\n".join(sorted(passing.sub("", text).splitlines()))
            for name, text in state.items()}


def kill_carrier(net):
    for pid, words in processes_of(net.mon):
        if "carry" in words:
            os.kill(pid, signal.SIGKILL)


DAMAGES = {
    "tc": ("tc filter del dev eth0 egress", "tc filter del dev eth0 ingress",
           "tc qdisc del dev eth0 clsact", "ip link del $(ip -br link show type vxlan | cut -d' ' -f1)"),
    "nft": ("nft delete table netdev cloudspan_lab",
            "ip link del $(ip -br link show type vxlan | cut -d' ' -f1)"),
    "nft-ip": ("nft delete table ip cloudspan_lab", "nft delete table ip6 cloudspan_lab",
               "ip link del $(ip -br link show type vxlan | cut -d' ' -f1)"),
    "tee": ("iptables -w -t mangle -F POSTROUTING", "iptables -w -t mangle -F",),
    "user": (kill_carrier,),
}


# --- Loops ----------------------------------------------------------------------------------------


@scenario("mirror-loops", *NEEDS)
def mirror_loops(lab):
    """Mirrors that would mirror themselves are refused."""
    net = BridgePort(lab, offload=False)
    net.mon.ip("link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
    for device in ("tap0", "tap1"):
        net.mon.ip("link", "set", device, "up")
    net.mon.ip("link", "set", "tap0", "master", "br0")

    def mirror(device, to, **more):
        return Mirror(net, f"interface:{to}", device=device, number=None, **more)
    for device, to in (("eth0", "eth0"), ("eth0", "tap0"), ("eth0", "br0"), ("br0", "eth0"),
                       ("br0", "tap0"), ("eth0", "tap1"), ("eth1", "lo")):
        mirror(device, to).must_refuse(to)
        mirror(device, to).must_refuse(to, verb="plan")
    first = mirror("eth0", "eth1", name="first")
    first.apply()
    for to in ("eth0", "tap1"):
        mirror("eth1", to, name="second").must_refuse("eth0|first", verb="plan")
        mirror("eth1", to, name="second").must_refuse("eth0|first")
    first.remove()


@scenario("mirror-loop-by-hand", *NEEDS)
def mirror_loop_by_hand(lab):
    """Somebody takes the exclusion away, or adds a filter of his own: status says it, and so does
    watch; when it is gone all is well."""
    net = OneInterface(lab, offload=False)
    mirror_talk.serve(net)
    mirror = Mirror(net, target_of(net, "vxlan"), "--method", "tc")
    watch = net.watch(*LISTEN["vxlan"])
    mirror.apply()
    device = re.search(r"\bcs-\S+?(?=[:@])", net.mon.ip("link")).group()
    for hook in ("ingress", "egress"):
        net.mon.tc("filter", "add", "dev", "eth0", hook, "protocol", "all", "prio", "7", "u32", "match",
                   "u32", "0", "0", "action", "mirred", "egress", "mirror", "dev", device)
    traffic.exchange(net.mon, net.peer_addresses[0])
    watch.must_say("(?i)loop|itself|again")
    answer = mirror.status(UNHEALTHY)
    if not re.search("(?i)loop|itself|again|not ours|someone|other", answer.out):
        raise Failed(f"status says nothing of the loop:\n{answer.said()}")
    for hook in ("ingress", "egress"):
        net.mon.tc("filter", "del", "dev", "eth0", hook, "prio", "7")
    mirror.status()
    mirror.remove()


# --- Wrong input ----------------------------------------------------------------------------------

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@scenario("mirror-wrong", *NEEDS, "setpriv")
def mirror_wrong(lab):
    """One sentence that says what to do, and nothing is changed."""
    net = Net(lab, offload=False)
    to = target_of(net, "vxlan")
    table = [
        # (--to, options, what differs from Mirror's own, what is said)
        (to, (), {"device": "eth7"}, "eth7"),
        (to, (), {"number": 1 << 24}, "16777215|24 bit"),
        (to, (), {"number": "x"}, "--id"),
        (f"erspan2:{net.collector}", (), {"number": 1024}, "1023"),
        (to, ("--method", "magic"), {}, "magic"),
        (to, ("--filter", "tcp prot 80"), {}, "--filter|syntax"),
        (to, ("--direction", "up"), {}, "up"),
        (to, ("--snap", "12"), {}, "--snap"),
        (to, ("--rate-limit", "fast"), {}, "--rate-limit"),
        (to, ("--netns", "nowhere"), {}, "nowhere"),
        (to, ("--via", "eth7"), {}, "eth7"),
        ("vxlan:10.9.0.2:70000", (), {}, "70000"),
        ("vxlan:collector.example", (), {}, "collector.example"),
        ("vxlan:203.0.113.5", (), {}, "203.0.113.5"),        # no route leads there
        ("vxlan:10.9.0.77", (), {}, "10.9.0.77"),            # nobody answers ARP
        (f"vxlan:{net.own}", (), {}, f"{net.own}|itself"),   # the host itself
        ("vxlan:127.0.0.1", (), {}, "127.0.0.1|itself"),
        ("interface:eth7", (), {"number": None}, "eth7"),
        ("pigeon:10.9.0.2", (), {}, "pigeon"),
    ]
    for wrong, options, more, says in table:
        Mirror(net, wrong, *options, **more).must_refuse(says)
    for wrong, options, more, says in table[:1] + table[-2:]:
        Mirror(net, wrong, *options, **more).must_refuse(says, verb="plan")
    missing = Mirror(net, to)
    missing.wish = missing.wish[2:]
    missing.must_refuse("--interface")
    # Whoever may not.
    for method in methods_for(lab, "vxlan"):
        mirror = Mirror(net, to, "--method", method)
        mirror.must_refuse("root|sudo", prefix=NOBODY)
        mirror.state = lab.folder(f"{method}.nobody")  # in a folder of his own
        mirror.must_refuse("root|sudo|CAP_", prefix=NOBODY)
    available, features = list_methods(lab)
    for name, can in available.items():
        if not can:
            Mirror(net, to, "--method", name).must_refuse(f"{name}.*lacks")
    for kind, (feature, _) in DEVICES.items():
        if features[feature]["answer"] == "no":
            Mirror(net, target_of(net, kind), "--method", "tc",
                   number=None if kind in WITHOUT_ID else 101).must_refuse("lacks|kernel")
    Mirror(net, to, name="not/a/name").must_refuse("--name")


# --- Asking ---------------------------------------------------------------------------------------


@scenario("mirror-ask", *NEEDS)
def mirror_ask(lab):
    """Without a terminal --yes is needed; on one it asks; Ctrl-C leaves nothing half-made."""
    net = Net(lab, offload=False)
    net.open_port()
    before = host_state(net.mon)
    mirror = Mirror(net, target_of(net, "vxlan"))
    answer = mirror.call("apply").must(FAILED)
    if "--yes" not in answer.err:
        raise Failed(f"no --yes, and it is not said:\n{answer.said()}")
    same_state("apply without a terminal", before, host_state(net.mon))
    for reply, codes in ((b"n\n", (FAILED,)), (b"\n", (FAILED,)), (b"\x03", (-signal.SIGINT, 130))):
        code, said = on_terminal(mirror, "apply", reply)
        if code not in codes or "[y/N]" not in said:
            raise Failed(f"apply, answered {reply}: {code}\n{said}")
        same_state(f"apply, answered {reply}", before, host_state(net.mon))
    code, said = on_terminal(mirror, "apply", b"y\n")
    if code != DONE:
        raise Failed(f"apply, answered y: {code}\n{said}")
    mirror.status()
    made = host_state(net.mon)
    answer = mirror.call("remove").must(FAILED)
    code, said = on_terminal(mirror, "remove", b"n\n")
    same_state("remove, answered n", made, host_state(net.mon))
    code, said = on_terminal(mirror, "remove", b"y\n")
    if code != DONE:
        raise Failed(f"remove, answered y: {code}\n{said}")
    same_state("removed", before, host_state(net.mon))
    interrupted(net, mirror, before)


def on_terminal(mirror, verb, reply):
    """(exit code, what was on the terminal)"""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            command = mirror.command(verb)
            os.execvpe(command[0], command, mirror.environment())
        finally:
            os._exit(99)
    said = b""
    try:
        while piece := os.read(terminal, 65536):
            said += piece
            if b"[y/N]" in said and reply:
                os.write(terminal, reply)
                reply = b""
    except OSError:  # the other end is closed
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), said.decode()


def interrupted(net, mirror, before):
    """Signals at many moments: what was made is taken away again, or it is all there."""
    codes = set()
    begin = time.monotonic()
    mirror.apply()
    whole = time.monotonic() - begin
    mirror.remove()

    def interrupt(number, wait):
        process = subprocess.Popen(mirror.command("apply", "--yes"), env=mirror.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(number)
        codes.add(process.wait(60))
        if process.returncode == DONE:
            mirror.status()
            mirror.remove()
        same_state(f"signal {number} after {wait:.3f} s", before, host_state(net.mon))
    for number in (signal.SIGINT, signal.SIGTERM):
        for wait in (whole * i / 6 for i in range(10)):
            interrupt(number, wait)
    # The machine may have got slower since the first one.
    while DONE not in codes and wait < 30:
        wait *= 2
        interrupt(signal.SIGTERM, wait)
    if DONE not in codes or len(codes) < 2:
        raise Failed(f"signals came too late, or too early: {codes}")


# --- Printed commands -----------------------------------------------------------------------------


@scenario("mirror-print", *NEEDS)
def mirror_print(lab):
    """The printed commands make the same mirror on another machine, and its undo takes it away."""
    net = Net(lab, offload=False)
    other = Net(lab, offload=False, prefix="other-")
    mirror_talk.serve(other)
    before, untouched = host_state(other.mon), host_state(net.mon)
    for method in methods_for(lab, "vxlan"):
        if method == "user":
            continue  # a process of ours
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method)
        printed = mirror.plan("--print").out
        same_state("plan --print", untouched, host_state(net.mon))
        make, _, unmake = printed.partition("# To take it away again:\n")
        unmake = re.sub("(?m)^# ", "", unmake)
        trial = Trial(other, *LISTEN["vxlan"], whole_frames=method not in OF_PACKETS)
        other.mon.run("sh", "-e", input=make)
        trial.talk(mirror_talk.SHORT)
        trial.compare(f"{method}, by the printed commands")
        other.mon.run("sh", "-e", input=unmake)
        if method == "tee":
            clear_of_empty_tables(other.mon)
        same_state(f"{method}: undone by the printed commands", before, host_state(other.mon))
        by_unit(other, mirror, method, before)


def clear_of_empty_tables(ns):
    """iptables leaves those that it made for its rules."""
    for command, family in (("iptables", "ip"), ("ip6tables", "ip6")):
        if "-A" in ns.run(command + "-save", "-t", "mangle"):
            raise Failed(f"{command}: rules are left:\n" + ns.run(command + "-save"))
        ns.run("nft", "delete", "table", family, "mangle", check=False)


def by_unit(other, mirror, method, before):
    """The form for systemd: the unit's own commands, since no systemd runs here."""
    hide("/usr/local/sbin")
    script = mirror.plan("--print=systemd").out
    fake = other.lab.folder("fake")
    with open(os.path.join(fake, "systemctl"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
        os.fchmod(file.fileno(), 0o755)
    other.mon.run("sh", "-e", input=f"PATH={fake}:$PATH\n{script}")
    units = [name for name in os.listdir(UNITS) if name.endswith(".service")]
    with open(os.path.join(UNITS, units[0]), encoding="utf-8") as file:
        unit = dict(line.split("=", 1) for line in file.read().splitlines() if "=" in line)
    other.mon.run("sh", "-ec", unit["ExecStart"])
    traffic.ping(other.mon, other.peer_addresses[0], 1)
    other.mon.run("sh", "-ec", unit["ExecStop"])
    if method == "tee":
        clear_of_empty_tables(other.mon)
    os.unlink(os.path.join(UNITS, units[0]))
    same_state("the printed unit stopped", before, host_state(other.mon))
    if "#cloud-config" not in mirror.plan("--print=cloud-init").out:
        raise Failed("no cloud-config")


# --- Other promises -------------------------------------------------------------------------------


@scenario("mirror-persist", *NEEDS)
def mirror_persist(lab):
    """The unit makes the mirror again when the machine starts, and is gone after remove."""
    net = Net(lab, offload=False)
    net.open_port()
    before = host_state(net.mon)
    mirror = Mirror(net, target_of(net, "vxlan"), "--persist")
    mirror.apply()
    units = os.listdir(UNITS)
    if not units:
        raise Failed("there is no unit")
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same_state("removed with its unit", before, host_state(net.mon))


@scenario("mirror-quiet", *NEEDS)
def mirror_quiet(lab):
    """A mirror sends nothing of its own but the frame that proves it, which comes once; and the
    machine's own traffic is as it was without it."""
    for shape in (Net, OneInterface):
        net = shape(lab, offload=False, quiet=False, prefix=shape.__name__.lower() + "-")
        for method in methods_for(lab, "vxlan"):
            mirror = Mirror(net, target_of(net, "vxlan"), "--method", method)
            beside = net.tcpdump(net.col, "eth0", f"beside-{method}-{shape.__name__}")
            answer = mirror.apply()
            time.sleep(2)  # in which an interface of the kernel's would have asked for routers
            beside.stop()
            copies = [copy for copy in Wire(beside.file).copies if not of_the_kernel(copy.frame)]
            if len(copies) != 1 or nested(copies):
                raise Failed(f"{method}: {len(copies)} copies came, not the marked frame once:\n"
                             + "\n".join(copy.frame.hex() for copy in copies) + answer.out)
            mirror.remove()


def of_the_kernel(frame):
    """What the mirrored interface itself says of the groups it is in."""
    return frame[:2] == b"\x33\x33" or frame[:6] == b"\x01\0\x5e\0\0\x16"


@scenario("mirror-mtu", *NEEDS)
def mirror_mtu(lab):
    """What does not fit the way to the collector is said; where there is room, all comes whole."""
    net = Net(lab, offload=False)
    mirror_talk.serve(net)
    mirror = Mirror(net, target_of(net, "vxlan"))
    if not re.search(r"(?i)mtu", mirror.plan().out):
        raise Failed("plan does not say that the copies of full frames are fragmented")
    for ns, device in ((net.mon, "eth1"), (net.col, "eth0")):
        ns.ip("link", "set", device, "mtu", "1600")
    if re.search(r"(?i)mtu", mirror.plan().out):
        raise Failed("plan warns of an MTU that is large enough")
    trial = Trial(net, *LISTEN["vxlan"], whole_frames=True)
    mirror.apply()
    trial.talk((mirror_talk.large, mirror_talk.fragments))
    trial.compare("room for full frames")
    if "mtu" in net.mon.ip("-6", "route", "show", "cache"):
        raise Failed("the mirror made the machine send smaller packets:\n" +
                     net.mon.ip("-6", "route", "show", "cache"))
    mirror.remove()


@scenario("mirror-user-data", *NEEDS)
def mirror_user_data(lab):
    """Clouds without a mirror service: the user data, run as cloud-init would, mirrors what there is,
    also by the interface that is mirrored; and its stop takes it away."""
    for kind, prefix in ((Net, ""), (OneInterface, "one-")):
        net = kind(lab, offload=False, prefix=prefix)
        mirror_talk.serve(net)
        furnish(net.mon)
        before = host_state(net.mon)
        said = subprocess.run([lab.cloudspan, "mirror", "plan", "hetzner", "--to",
                               target_of(net, "vxlan"), "--id", "101", "--interface", net.device],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        if not said.startswith("#cloud-config\n"):
            raise Failed(said)
        script = re.search(r"(?ms)content: \|\n(      #!.*?)^  - path", said).group(1)
        script = re.sub("(?m)^      ", "", script)
        place = lab.path(prefix + "user-data")
        with open(place, "w", encoding="ascii") as file:
            file.write(script)
        trial = Trial(net, *LISTEN["vxlan"], whole_frames=True)
        net.mon.run("sh", place, "start")
        net.mon.run("sh", place, "start")
        trial.talk(mirror_talk.SHORT)
        trial.compare("by user data")
        net.mon.run("sh", place, "stop")
        net.mon.run("sh", place, "stop")
        # Its modules' own devices come when somebody else on this machine loads them.
        after = host_state(net.mon)
        for name in ("traffic control", "nft"):
            same_state("stopped", {name: before[name]}, {name: after[name]})
        if "cs-mirror" in after["links"]:
            raise Failed("the device outlives the stop")
