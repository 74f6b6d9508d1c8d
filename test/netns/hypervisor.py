"""A hypervisor in a network namespace, and the machines on its bridge:

    guest (QEMU) -- vnetN |br0|    hv eth1 10.9.0.1 -- 10.9.0.2 eth0 col

libvirtd is the real one, and so are its machines: QEMU without a disk, whose network boot asks for
an address (DHCP) and routers (IPv6) for as long as it runs. Each libvirtd has a mount namespace with
folders of its own in the place of /etc/libvirt, /run and their kin, so there may be two of them."""
import ctypes
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import uuid

from lab import Failed, Skip, need, wait_until

DONE, FAILED, MISUSED, UNHEALTHY = 0, 1, 2, 4
COLLECTOR = "10.9.0.2"

# Without control groups, namespaces and another user: what an ordinary container has not.
CONFIGURATION = {
    "libvirtd.conf": 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
                     'host_uuid = "HOST"\n',  # without, both would be the same host
    "qemu.conf": 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\n'
                 'cgroup_controllers = []\nnamespaces = []\nstdio_handler = "file"\n'
                 "remember_owner = 0\n",
}
HIDDEN = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt",
          "cache": "/var/cache/libvirt", "run": "/run"}

INTERFACES = {
    "bridge": "<interface type='bridge'><source bridge='br0'/>",
    "macvtap": "<interface type='direct'><source dev='up0' mode='bridge'/>",
    "user": "<interface type='user'>",
}


class Hypervisor:
    """The namespaces and the bridge; no machine yet. `other`: who has the collector already."""

    def __init__(self, lab, other=None):
        self.lab = lab
        self.held = []  # descriptors of taps
        self.hooks, self.runs = "/etc/libvirt/hooks", "/run/cloudspan"
        self.far = "eth1" if other else "eth0"  # the collector's card that its copies come by
        if other:
            self.hv, self.col = lab.ns("hv2"), other.col
            lab.cable(self.hv, "eth1", self.col, "eth1", offload=False)
            self.hv.address("eth1", "10.9.1.1/24")
            self.col.address("eth1", "10.9.1.2/24")
            self.hv.ip("route", "add", COLLECTOR, "via", "10.9.1.2")
        else:
            self.hv, self.col = lab.ns("hv"), lab.ns("col")
            lab.cable(self.hv, "eth1", self.col, "eth0", offload=False)
            self.hv.address("eth1", "10.9.0.1/24")
            self.col.address("eth0", COLLECTOR + "/24")
        self.place = ["ip", "netns", "exec", self.hv.name]  # what runs there, runs by this
        self.hv.ip("link", "add", "br0", "type", "bridge")
        self.hv.ip("link", "set", "br0", "up")

    def tap(self, name, bridge="br0"):
        """One that nobody holds open, as `ip tuntap` makes it."""
        self.hv.ip("tuntap", "add", "dev", name, "mode", "tap")
        self.hv.ip("link", "set", name, "master", bridge, "up")

    def hold(self, name):
        """Opens a tap as QEMU does: now there is somebody at its other end. Gives the descriptor."""
        TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000
        with self.hv.inside():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        return fd

    def state(self):
        """Everything that a mirror may touch: what is there before is there afterwards."""
        links = json.loads(self.hv.ip("-d", "-j", "link"))
        # Taps are new at each start; what a bridge has learned, and clocks, change by themselves.
        known = sorted((link["ifname"], link.get("ifalias", ""), link.get("qdisc"),
                        link.get("linkinfo", {}).get("info_kind")) for link in links
                       if not re.match(r"(vnet|macvtap)\d", link["ifname"]))
        filters = [line for link in links for hook in ("ingress", "egress")
                   for line in self.hv.tc("filter", "show", "dev", link["ifname"], hook,
                                          check=False).splitlines()]
        files = sorted(os.path.join(folder, name) for place in (self.hooks, self.runs,
                                                                "/etc/systemd/system")
                       for folder, _, names in os.walk(place)
                       for name in names + [""] * (place == self.hooks))
        return {"links": known, "filters": filters, "files": files,
                "qdiscs": sorted(re.sub(r"vnet\d+", "vnetN", line)
                                 for line in self.hv.tc("qdisc").splitlines()
                                 if not re.search(r"noqueue .*(vnet|macvtap)\d", line))}


class Libvirt(Hypervisor):
    def __init__(self, lab, other=None):
        for program in ("libvirtd", "virsh", "qemu-system-x86_64"):
            need(program)
        if not os.path.exists("/dev/net/tun"):
            raise Skip("taps need /dev/net/tun")
        for folder in HIDDEN.values():
            if not os.path.isdir(folder):
                raise Skip(f"there is no {folder}")
        super().__init__(lab, other)
        self.enter_folders()
        self.start_daemon()

    def enter_folders(self):
        """A process that does nothing but have the namespaces."""
        self.room = self.lab.folder(self.hv.name, 0o755)
        for name in ("etc/hooks", "lib", "log", "cache", "run/lab", "run/netns"):
            self.lab.folder(f"{self.hv.name}/{name}", 0o755)
        for name, text in CONFIGURATION.items():
            with open(f"{self.room}/etc/{name}", "w", encoding="ascii") as file:
                file.write(text.replace("HOST", str(uuid.uuid4())))
        script = [f"hostname {self.hv.name}", f"mount --rbind /run/lab {self.room}/run/lab",
                  f"mount --rbind /run/netns {self.room}/run/netns"]
        script += [f"mount --rbind {self.room}/{name} {folder}" for name, folder in HIDDEN.items()]
        script += ["touch /run/lab/" + self.hv.name + ".there", "exec sleep infinity"]
        holder = self.hv.start("folders-" + self.hv.name, "unshare", "--mount", "--uts", "sh", "-ec",
                               "\n".join(script))
        wait_until(lambda: holder.must_run() and
                   os.path.exists(self.lab.path(self.hv.name + ".there")), "no mount namespace")
        self.hooks, self.runs = f"{self.room}/etc/hooks", f"{self.room}/run/cloudspan"
        self.place = ["nsenter", "--target", str(holder.pid), "--net", "--mount", "--uts"]

    def start_daemon(self):
        self.daemon = self.lab.start("libvirtd", *self.place, sys.executable, "-B", __file__,
                                     need("libvirtd"), "-f", "/etc/libvirt/libvirtd.conf")
        wait_until(lambda: self.daemon.must_run() and
                   self.virsh("version", check=False)[0] == 0, "libvirtd does not answer")

    def virsh(self, *arguments, check=True):
        done = subprocess.run([*self.place, need("virsh"), "-c", "qemu:///system", *arguments],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, timeout=120)
        if check and done.returncode != 0:
            raise Failed(f"virsh {' '.join(arguments)}: {done.stdout}\n{self.daemon.said()[-2000:]}")
        return done.returncode, done.stdout

    def define(self, name, *cards):
        """A machine with these cards: (kind, the last byte of its MAC address)."""
        interfaces = "".join(f"{INTERFACES[kind]}<mac address='52:54:00:00:00:{last:02x}'/>"
                             "<model type='e1000'/></interface>" for kind, last in cards)
        path = self.lab.path("domain.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>48</memory>"
                       "<vcpu>1</vcpu><os><type arch='x86_64'>hvm</type><boot dev='network'/>"
                       "<bios rebootTimeout='0'/></os>"
                       f"<devices><emulator>{need('qemu-system-x86_64')}</emulator>{interfaces}"
                       "<memballoon model='none'/></devices></domain>")
        self.virsh("define", path)

    def taps(self, name):
        """Of a running machine, in the order of its cards: "-" where one has none."""
        rows = [line.split() for line in self.virsh("domiflist", name)[1].splitlines()[2:]]
        return [row[0] for row in rows if row]


class Proxmox(Hypervisor):
    """Its files, and the interfaces that it would make. `qm` and `pct` are ours, and do to the files
    what they do."""

    def __init__(self, lab):
        super().__init__(lab)
        self.folder = lab.folder("pve", 0o755)
        self.storage = lab.folder("storage", 0o755)
        for name in ("qemu-server", "lxc"):
            lab.folder(f"pve/{name}", 0o755)
        with open(f"{self.folder}/storage.cfg", "w", encoding="ascii") as file:
            file.write("lvmthin: fast\n\tthinpool data\n\tcontent images\n\n"
                       f"dir: local\n\tpath {self.storage}\n\tcontent iso,snippets\n")
        programs = lab.folder("programs", 0o755)
        for program, kind in (("qm", "qemu-server"), ("pct", "lxc")):
            path = f"{programs}/{program}"
            with open(path, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\nset -e\n"
                           f"echo \"{program} $*\" >>{lab.path('calls')}\n"
                           f"file={self.folder}/{kind}/$2.conf\n"
                           "[ \"$1\" = set ] && [ -e \"$file\" ]\n"
                           "sed -i '/^hookscript:/d' \"$file\"\n"
                           "[ \"$3\" = --delete ] || sed -i \"1i hookscript: $4\" \"$file\"\n")
            os.chmod(path, 0o755)
        os.environ["PATH"] = programs + ":" + os.environ["PATH"]

    def write(self, number, text, kind="qemu-server"):
        with open(f"{self.folder}/{kind}/{number}.conf", "w", encoding="ascii") as file:
            file.write(text)

    def read(self, number, kind="qemu-server"):
        with open(f"{self.folder}/{kind}/{number}.conf", encoding="ascii") as file:
            return file.read()

    def calls(self, number, phase, kind="qemu-server"):
        """Proxmox VE calls the machine's hookscript, as it does after the start and the stop."""
        match = re.search(r"^hookscript: local:(.*)$", self.read(number, kind), re.M)
        if not match:
            raise Failed(f"{number} has no hookscript")
        return self.hv.run(f"{self.storage}/{match[1]}", number, phase)


class Answer:
    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def rows(self, kind):
        rows = [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]
        return [row for row in rows if row["type"] == kind]

    def said(self):
        return f"{' '.join(self.command)}: {self.code}\n{self.out}{self.err}"


class Mirror:
    """`cloudspan mirror … vm` on the hypervisor."""

    def __init__(self, hypervisor, *wish, to="vxlan:" + COLLECTOR, number=200):
        self.on = hypervisor
        self.lab = hypervisor.lab
        self.state = self.lab.folder(f"state-{hypervisor.hv.name}")
        self.wish = [*wish, "--to", to, "--id", str(number)]

    def call(self, verb, *arguments, codes=(DONE,), wish=True, before=()):
        command = [*self.on.place, *before, self.lab.cloudspan, "mirror", verb, "vm",
                   *(self.wish if wish and verb in ("plan", "apply") else ()), *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=120,
                              env={**os.environ, "CLOUDSPAN_STATE": self.state})
        answer = Answer(command[len(self.on.place) + len(before):], done.returncode, done.stdout, done.stderr)
        if codes and answer.code not in codes:
            raise Failed(f"{answer.said()}\nnot {codes}")
        return answer

    def apply(self, *arguments, **how):
        return self.call("apply", "--yes", *arguments, **how)

    def plan(self):
        return self.call("plan")

    def remove(self, *arguments, **how):
        return self.call("remove", "--yes", *(arguments or ("--all",)), **how)

    def status(self, *arguments, **how):
        return self.call("status", "--json", *arguments, **how)

    def is_well(self):
        """Nothing is missing, nothing would be changed, and there is a mirror."""
        answer = self.status(codes=())
        return answer.code == DONE and len(answer.rows("status")) == 1

    def wait_well(self, what):
        """Asked now and then: while it is answered, the hook's own process has to wait."""
        wait_until(self.is_well, lambda: f"{what}: {self.status(codes=()).said()}\n"
                                         f"{self.plan().said()}", every=0.5)

    def must_have_nothing_to_do(self):
        before = self.on.state()
        answer = self.apply()
        if "nothing to do" not in answer.out:
            raise Failed(f"a second apply has something to do:\n{answer.said()}")
        same_state("a second apply", before, self.on.state())

    def must_refuse(self, says, *arguments, verb="apply", codes=(FAILED, MISUSED), **how):
        before = self.on.state()
        answer = self.call(verb, *(["--yes"] if verb == "apply" else []), *arguments, codes=codes,
                           **how)
        lines = [line for line in answer.err.splitlines() if not line.startswith(("usage:", "Try "))]
        if len(lines) != 1 or not re.search(says, lines[0]) or answer.out.strip():
            raise Failed(f"not one sentence that says /{says}/:\n{answer.said()}")
        same_state(f"refused ({says})", before, self.on.state())

    def config(self):
        """What watch at the collector reads of it."""
        folder = os.path.join(self.state, "sources")
        return "".join(open(os.path.join(folder, name), encoding="utf-8").read()
                       for name in sorted(os.listdir(folder)))


def reap(command):
    """Runs a daemon, and collects the processes that it has left to themselves, as the first process
    of a machine does: libvirt waits until they are wholly gone."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    daemon = os.spawnv(os.P_NOWAIT, command[0], command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, frame: os.kill(daemon, got))
    while True:
        pid, status = os.wait()
        if pid == daemon:
            return os.waitstatus_to_exitcode(status)


def same_state(what, before, after):
    different = [f"{name}:\n  before {before[name]}\n  after  {after[name]}" for name in before
                 if before[name] != after[name]]
    if different:
        raise Failed(f"{what}: the host is not as before\n" + "\n".join(different))


if __name__ == "__main__":
    sys.exit(reap(sys.argv[1:]))
