"""A hypervisor in a network namespace, and the machines on its bridge:

    guest (QEMU) -- vnetN |br0|    hv eth1 10.9.0.1 -- 10.9.0.2 eth0 col

libvirtd is the real one, and so are its machines: QEMU without a disk, whose network boot asks for
an address (DHCP) and routers (IPv6) for as long as it runs. Nothing but the laboratory's own folders
is used: /etc/libvirt and its kin are hidden under empty ones before the daemon starts."""
import ctypes
import json
import os
import re
import signal
import subprocess
import sys

from lab import ROOM, Failed, Skip, need, wait_until

DONE, FAILED, MISUSED, UNHEALTHY = 0, 1, 2, 4
COLLECTOR = "10.9.0.2"
HOOKS = "/etc/libvirt/hooks"

CONFIGURATION = {
    "libvirtd.conf": 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n',
    # Without control groups, namespaces and another user: what an ordinary container has not.
    "qemu.conf": 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\n'
                 'cgroup_controllers = []\nnamespaces = []\nstdio_handler = "file"\n'
                 "remember_owner = 0\n",
}

INTERFACES = {
    "bridge": "<interface type='bridge'><source bridge='br0'/>",
    "macvtap": "<interface type='direct'><source dev='up0' mode='bridge'/>",
    "user": "<interface type='user'>",
}


def hide(folder, files=()):
    """An empty folder in the place of the machine's own; in this laboratory only."""
    if not os.path.isdir(folder):
        raise Skip(f"there is no {folder}")
    place = os.path.join(ROOM, "hidden" + folder)
    os.makedirs(place, exist_ok=True)
    for name, text in dict(files).items():
        with open(os.path.join(place, name), "w", encoding="utf-8") as file:
            file.write(text)
    subprocess.run(["mount", "--bind", place, folder], check=True)


class Hypervisor:
    """The namespaces and the bridge; no machine yet."""

    def __init__(self, lab):
        self.lab = lab
        self.hv, self.col = lab.ns("hv"), lab.ns("col")
        lab.cable(self.hv, "eth1", self.col, "eth0", offload=False)
        self.hv.address("eth1", "10.9.0.1/24")
        self.col.address("eth0", COLLECTOR + "/24")
        self.hv.ip("link", "add", "br0", "type", "bridge")
        self.hv.ip("link", "set", "br0", "up")

    def tap(self, name, bridge="br0"):
        """One that nobody holds open, as `ip tuntap` makes it."""
        self.hv.ip("tuntap", "add", "dev", name, "mode", "tap")
        self.hv.ip("link", "set", name, "master", bridge, "up")

    def has_link(self, name):
        return f" {name}: " in self.hv.ip("-o", "link").replace("@", ": ")

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
        files = sorted(os.path.join(folder, name) for place in (HOOKS, "/etc/systemd/system",
                                                                "/run/cloudspan")
                       for folder, _, names in os.walk(place) for name in names + [""])
        return {"links": known, "filters": filters, "files": files,
                "qdiscs": sorted(re.sub(r"vnet\d+", "vnetN", line)
                                 for line in self.hv.tc("qdisc").splitlines()
                                 if not re.search(r"noqueue .*(vnet|macvtap)\d", line))}


class Libvirt(Hypervisor):
    def __init__(self, lab):
        for program in ("libvirtd", "virsh", "qemu-system-x86_64"):
            need(program)
        if not os.path.exists("/dev/net/tun"):
            raise Skip("taps need /dev/net/tun")
        super().__init__(lab)
        hide("/etc/libvirt", CONFIGURATION)
        os.makedirs(HOOKS)
        for folder in ("/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"):
            hide(folder)
        self.daemon = None
        self.start_daemon()

    def start_daemon(self):
        self.daemon = self.hv.start("libvirtd", sys.executable, "-B", __file__, need("libvirtd"),
                                    "-f", "/etc/libvirt/libvirtd.conf")
        wait_until(lambda: self.daemon.must_run() and
                   self.virsh("version", check=False)[0] == 0, "libvirtd does not answer")

    def virsh(self, *arguments, check=True):
        done = subprocess.run([need("virsh"), "-c", "qemu:///system", *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=120)
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
        self.state = self.lab.folder("state")
        self.which = [word for pair in zip(wish, wish[1:]) if pair[0] in ("--name", "--pve")
                      for word in pair]
        self.wish = [*wish, "--to", to, "--id", str(number)]

    def call(self, verb, *arguments, codes=(DONE,), wish=True, before=()):
        command = ["ip", "netns", "exec", self.on.hv.name, *before, self.lab.cloudspan, "mirror",
                   verb, "vm", *(self.wish if wish and verb in ("plan", "apply") else ()),
                   *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=120,
                              env={**os.environ, "CLOUDSPAN_STATE": self.state})
        answer = Answer(command[4 + len(before):], done.returncode, done.stdout, done.stderr)
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
