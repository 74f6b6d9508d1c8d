"""Where live receivers are measured: two network namespaces with a wire between them, a sender in
the one, a receiver in the other, each on cores of its own.

Everything here is made by this run and taken away by it. Processes are stopped by the ids of those
we started.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time

from base import Unavailable, find_program

HERE = os.path.dirname(os.path.abspath(__file__))
PRIORITY = "-15"  # of senders and receivers: others on this machine are not what is measured
TARGET = "172.31.100.7"  # the mirror's target in corpus_mix.c
TARGET_MAC = "02:00:5e:00:00:01"
OTHER_MAC = "02:00:5e:00:00:99"
NOBODY = 65534
RING_BLOCKS = 64  # of 1 MiB: cloudspan's own default
BUFFER_MIB = 32  # of a socket: the same
READY_S = 30
SETTLE_S = 6
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def run(*argv):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True).stdout


class Tools:
    """The programs: built by meson, or here and now."""

    def __init__(self, build, names=(("send", "live_send"), ("bare", "live_bare"))):
        self.cloudspan = os.path.join(build, "cloudspan")
        for attribute, name in names:
            setattr(self, attribute, self.find(build, name))

    @staticmethod
    def find(build, name):
        built = os.path.join(build, "bench", "bench-" + name.replace("_", "-"))
        if os.access(built, os.X_OK):
            return built
        made = os.path.join(build, "bench-" + name.replace("_", "-"))
        os.makedirs(build, exist_ok=True)
        run(os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", made,
            os.path.join(HERE, name + ".c"))
        return made


class Bed:
    """The namespaces and the wire. `senders`, `receivers`: numbers of cores."""

    def __init__(self, scratch, senders, receivers):
        self.scratch = scratch
        self.senders = senders
        self.receivers = receivers
        self.near = f"cslive-s{os.getpid()}"
        self.far = f"cslive-r{os.getpid()}"
        self.made = []
        self.processes = []
        others = [c for c in sorted(os.sched_getaffinity(0)) if c not in senders + receivers]
        self.flood_core = others[0] if others else senders[0]

    def __enter__(self):
        for program in ("ip", "nice", "taskset", "setpriv", "sysctl"):
            if not find_program(program):
                raise Unavailable(f"there is no {program}")
        try:
            for name in (self.near, self.far):
                run("ip", "netns", "add", name)
                self.made.append(name)
            n = max(len(self.senders), len(self.receivers))
            run("ip", "link", "add", "csl0", "netns", self.near, "mtu", "3000", "numtxqueues",
                str(n), "numrxqueues", str(n), "type", "veth", "peer", "name", "csl1", "netns",
                self.far, "mtu", "3000", "numtxqueues", str(n), "numrxqueues", str(n))
            for ns, device in ((self.near, "csl0"), (self.far, "csl1")):
                run("ip", "netns", "exec", ns, "sysctl", "-qw",
                    "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
                    "net.ipv4.conf.all.rp_filter=0", f"net.ipv4.conf.{device}.rp_filter=0")
                run("ip", "-n", ns, "link", "set", "lo", "up")
                run("ip", "-n", ns, "link", "set", device, "arp", "off", "up")
            # A host may be asked for its addresses: on a capture interface it has that of the
            # mirror's target elsewhere.
            run("ip", "-n", self.far, "addr", "add", TARGET + "/32", "dev", "lo")
        except (subprocess.CalledProcessError, OSError) as e:
            self.close()
            raise Unavailable((getattr(e, "stderr", "") or str(e)).strip()) from e
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                process.wait()
        for ns in self.made:
            subprocess.run(["ip", "netns", "del", ns], check=False, stderr=subprocess.DEVNULL)
        self.made = []

    def climbs(self, climbs):
        """Whether frames go up to sockets, or are somebody else's and only captured."""
        run("ip", "-n", self.far, "link", "set", "csl1", "address",
            TARGET_MAC if climbs else OTHER_MAC)

    def arrived(self):
        """Frames that the far end of the wire has had."""
        text = run("ip", "-n", self.far, "-s", "-j", "link", "show", "csl1")
        return json.loads(text)[0]["stats64"]["rx"]["packets"]

    def start(self, ns, cores, *argv, as_nobody=False, priority=PRIORITY, **options):
        command = ["ip", "netns", "exec", ns, "nice", "-n", priority, "taskset", "-c",
                   ",".join(map(str, cores))]
        if as_nobody:
            command += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        process = subprocess.Popen([*command, *argv], **options)
        self.processes.append(process)
        return process

    def sender(self, tools, capture, core, **settings):
        return self.start(self.near, [core], tools.send, "csl0", capture,
                          *(f"{k}={v}" for k, v in settings.items() if v is not None),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def send(self, tools, capture, kpps=None, **settings):
        """One sender on each of its cores; what all of them sent."""
        n = len(self.senders)
        share = kpps / n if kpps else None
        senders = [self.sender(tools, capture, core, kpps=share, part=f"{i}/{n}" if n > 1 else None,
                               **settings) for i, core in enumerate(self.senders)]
        return sent_by(senders)


def sent_by(senders):
    """Waits for them; the sum of what they say."""
    total = {"sent": 0, "bytes": 0, "seconds": 0.0, "of": []}
    for process in senders:
        out, _ = process.communicate()
        if process.returncode != 0:
            raise Unavailable(f"the sender ended with exit code {process.returncode}")
        said = json.loads(out)
        total["sent"] += said["sent"]
        total["bytes"] += said["bytes"]
        total["seconds"] = max(total["seconds"], said["seconds"])
        total["of"] = [a + b for a, b in zip(total["of"] or [0] * len(said["of"]), said["of"])]
    return total


def others_share(seconds=0.5):
    """How much of all cores is used while nothing of ours runs: other people, and what the host of
    a virtual machine takes."""
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            fields = [int(n) for n in f.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    total, idle = read()
    time.sleep(seconds)
    total_then, idle_then = read()
    return 1 - (idle_then - idle) / max(total_then - total, 1)


# --- receivers

def cpu_of_tree(pid):
    """User and system seconds so far, of a process and all it has started."""
    total = 0.0
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[11:15])) / TICKS_PER_S
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = f.read().split()
    except (OSError, IndexError):
        return total
    return total + sum(cpu_of_tree(int(child)) for child in children)


class Receiver:
    """One that is measured. `climbs`: it needs frames to go up to sockets."""

    name = None
    climbs = False

    def __init__(self, bed, tools):
        self.bed = bed
        self.tools = tools
        self.process = None
        self.before = 0.0
        self.cpu = 0.0  # s, since it was ready, until it had all packets
        self.cpu_end = 0.0  # s, from then on: connections that are ended, files that are packed

    def start(self):
        self.bed.climbs(self.climbs)
        self.launch()
        self.before = cpu_of_tree(self.process.pid)

    def finish(self, n_arrived):
        """Stops it. What it received of these, and what it or the kernel counted as dropped."""
        self.settle(n_arrived)
        settled = cpu_of_tree(self.process.pid)
        result = self.stop()
        self.cpu, self.cpu_end = settled - self.before, max(0.0, self.cpu - settled)
        return result

    def settle(self, n_arrived):
        """Waits until it has these."""
        time.sleep(0.3)

    def wait(self):
        deadline = time.monotonic() + READY_S
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.process.kill()
            time.sleep(0.02)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        if self.process.returncode != 0:
            raise Unavailable(f"{self.name} ended with exit code {self.process.returncode}")

    def launch(self):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError


class Bare(Receiver):
    """Counts, and nothing else."""

    def __init__(self, bed, tools, name, *argv, climbs, as_nobody=False):
        super().__init__(bed, tools)
        self.name = name
        self.argv = argv
        self.climbs = climbs
        self.as_nobody = as_nobody

    def launch(self):
        self.process = self.bed.start(self.bed.far, self.bed.receivers[:1], self.tools.bare,
                                      *self.argv, as_nobody=self.as_nobody, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Unavailable(f"{self.name} does not start")

    def stop(self):
        self.process.stdin.close()
        text = self.process.stdout.read()
        self.wait()
        said = json.loads(text)
        return {"received": said["received"], "dropped": said["dropped"]}


class Watch(Receiver):
    """cloudspan watch, with all logs."""

    def __init__(self, bed, tools, name, *argv, climbs, n_workers=1, as_nobody=False, config=None,
                 cores=None, priority=PRIORITY):
        super().__init__(bed, tools)
        self.name = name
        self.argv = argv
        self.climbs = climbs
        self.n_workers = n_workers
        self.as_nobody = as_nobody
        self.config = config
        self.cores = cores or bed.receivers[:n_workers]
        self.priority = priority
        self.folder = os.path.join(bed.scratch, "watch")
        self.snapshot = None  # the last that it gave

    def launch(self):
        self.snapshot = None
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        os.chown(self.folder, NOBODY, NOBODY)
        self.socket = os.path.join(self.folder, "socket")
        self.errors = os.path.join(self.folder, "stderr")
        config = os.path.join(self.folder, "cloudspan.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write((self.config or "") + "metrics: off\n")
        with open(self.errors, "wb") as err:
            self.process = self.bed.start(
                self.bed.far, self.cores, self.tools.cloudspan, "watch", "-c", config, "-j",
                str(self.n_workers), "-d", os.path.join(self.folder, "logs"), "--socket",
                self.socket, *self.argv, as_nobody=self.as_nobody, priority=self.priority,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        deadline = time.monotonic() + READY_S
        while True:
            snapshot = self.ask()
            if snapshot and snapshot["inputs"] and all(i["ok"] for i in snapshot["inputs"]):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{self.name} does not start: {self.said()}")
            time.sleep(0.05)

    def said(self):
        with open(self.errors, encoding="utf-8", errors="replace") as f:
            return " ".join(f.read().split()[-40:])

    def ask(self):
        """The snapshot of once a second; None: there is none yet."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(self.socket)
                s.sendall(b"snapshot\n")
                parts = []
                while part := s.recv(1 << 20):
                    parts.append(part)
            answer = json.loads(b"".join(parts))
        except (OSError, ValueError):
            return None
        return answer if answer.get("cloudspan") == "snapshot" else None

    def settle(self, n_arrived):
        """Waits for the snapshot that has all, or for the one after which nothing changes."""
        deadline = time.monotonic() + SETTLE_S
        last, same_since = None, time.monotonic()
        while time.monotonic() < deadline:
            snapshot = self.ask()
            if not snapshot:
                break
            self.snapshot = snapshot
            now = totals(snapshot)
            if now != last:
                last, same_since = now, time.monotonic()
            if sum(now) >= n_arrived or time.monotonic() - same_since > 2.5:
                break
            time.sleep(0.1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        if not self.snapshot:
            raise Unavailable(f"{self.name} does not answer")
        received, dropped = totals(self.snapshot)
        return {"received": received, "dropped": dropped}


# Where packets are lost that an input had: on the way to another worker, and to serve all alike.
LATER = ("queue", "budget")


def totals(snapshot):
    """(packets that it handled, packets that it counted as dropped)."""
    taken = sum(i["packets"] for i in snapshot["inputs"])
    dropped = sum(i["dropped"] for i in snapshot["inputs"])
    later = sum(d["n"] for d in snapshot["drops"] if d["is_loss"] and d["stage"] in LATER)
    return taken - later, dropped + later


SURICATA_INTERFACE = """
af-packet:
  - interface: csl1
    threads: {threads}
    cluster-id: 99
    cluster-type: cluster_flow
    defrag: yes
    use-mmap: yes
    mmap-locked: no
    tpacket-v3: yes
    ring-size: {ring}
    block-size: 1048576
    checksum-checks: no
"""


class Suricata(Receiver):
    """Suricata by AF_PACKET: no rules; flow, dns, http and tls records."""

    name = "suricata"

    def launch(self):
        self.folder = os.path.join(self.bed.scratch, "suricata")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        with open(os.path.join(HERE, "suricata.yaml"), encoding="utf-8") as f:
            text = f.read().replace("default-log-level: warning", "default-log-level: notice")
        # ring-size: packets a thread; so that it has as much memory as the others.
        text += SURICATA_INTERFACE.format(threads=1, ring=RING_BLOCKS * (1 << 20) // 2048)
        config = os.path.join(self.folder, "suricata.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(text)
        self.log = os.path.join(self.folder, "said")
        with open(self.log, "wb") as log:
            self.process = self.bed.start(
                self.bed.far, self.bed.receivers[:1], "suricata", "-c", config, "-S", "/dev/null",
                "-k", "none", "--af-packet=csl1", "--runmode", "single", "-l", self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while "ngine started" not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"suricata does not start: {self.said()[-300:]}")
            time.sleep(0.1)
        time.sleep(0.3)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.wait()
        for line in self.said().splitlines():
            if "packets:" in line and "drops:" in line:
                words = line.replace(",", " ").split()
                packets = int(words[words.index("packets:") + 1])
                dropped = int(words[words.index("drops:") + 1])
                shutil.rmtree(self.folder, ignore_errors=True)
                return {"received": packets - dropped, "dropped": dropped}
        raise Unavailable("suricata does not say what it received")
