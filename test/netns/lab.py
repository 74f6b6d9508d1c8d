"""A laboratory: network namespaces with cables between them, programs that run in them, and nothing
left behind.

The test program starts itself anew as the first process of namespaces of its own (of processes, of
mounts, of the network), with an own /run in memory. All it makes, named network namespaces,
interfaces, programs, files, lives in there: when the first process ends, for whatever reason, the
kernel ends all the others and takes everything away. Names are therefore free to choose, and two
tests that run at the same time do not see each other.
"""
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import losses

MARK = "CLOUDSPAN_LAB"
ROOM = "/run/lab"  # the folder of the test's files
SKIPPED = 77
CLONE_NEWNET = 0x40000000

UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
           "--propagation", "private"]

libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """The test cannot run here; the text says why."""


class Failed(Exception):
    """What was expected did not happen; the text says what did."""


def need(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{program} is not installed")
    return path


def enter():
    """Returns in the laboratory's first process; in the process that called it never returns."""
    if os.environ.get(MARK) == "inside" and os.getpid() == 1:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run"], check=True)
        os.makedirs("/run/netns")
        os.makedirs(ROOM)
        os.chmod(ROOM, 0o755)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # The first process of a namespace is not ended by a signal that it has no handler for.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda got, frame: sys.exit(128 + got))
        return
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    for program in ("unshare", "nsenter", "ip", "mount"):
        need(program)
    trial = subprocess.run(UNSHARE + ["ip", "link", "add", "one0", "type", "veth", "peer",
                                      "name", "two0"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if trial.returncode != 0:
        raise Skip("namespaces cannot be made here: " + trial.stdout.strip())
    os.environ[MARK] = "inside"
    losses.keep_statistics()
    os.execvp(UNSHARE[0], UNSHARE + [sys.executable, "-B"] + sys.argv)


def wait_until(condition, what, limit=60, every=0.02):
    """Asks again and again; the result as soon as it is true. The limit is generous on purpose: it
    only ends tests that hang."""
    end = time.monotonic() + limit
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            what = what() if callable(what) else what
            raise Failed(f"waited {limit} s in vain: {what}")
        time.sleep(every)


def text_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Process:
    """A program that runs beside the test. What it says is in the files .out and .err."""

    def __init__(self, lab, name, command, **more):
        self.name = name
        self.out = lab.path(name + ".out")
        self.err = lab.path(name + ".err")
        self.command = command
        more.setdefault("stdin", subprocess.DEVNULL)
        with open(self.err, "wb") as err:
            if "stdout" in more:
                self.popen = subprocess.Popen(command, stderr=err, **more)
            else:
                with open(self.out, "wb") as out:
                    self.popen = subprocess.Popen(command, stdout=out, stderr=err, **more)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def said(self):
        return text_of(self.err)

    def printed(self):
        return text_of(self.out)

    def tell(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, limit=60):
        try:
            return self.popen.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end:\n{self.said()[-2000:]}") from None

    def stop(self, number=signal.SIGINT, limit=60):
        self.tell(number)
        return self.wait(limit)

    def kill(self):
        self.tell(signal.SIGKILL)
        self.popen.wait()

    def must_run(self):
        if not self.running():
            raise Failed(f"{self.name} ended with {self.popen.returncode}: {' '.join(self.command)}\n"
                         f"{self.said()[-2000:]}")
        return True


class Ns:
    """A network namespace: a machine of the laboratory."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.file = "/run/netns/" + name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip("link", "set", "lo", "up")
        # No router solicitations and the like: only what the tests send is on the cables. An
        # address that is given by hand switches it on again.
        self.set_sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        self.set_sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.set_sysctl("net/ipv4/conf/all/rp_filter", 0)
        self.set_sysctl("net/ipv4/conf/default/rp_filter", 0)

    def run(self, *command, check=True, limit=60, **more):
        """Runs it to the end; gives what it printed, both streams together."""
        done = subprocess.run(["nsenter", "--net=" + self.file, *command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=limit, **more)
        if check and done.returncode != 0:
            raise Failed(f"in {self.name}: {' '.join(command)}: {done.returncode}\n{done.stdout}")
        return done.stdout

    def start(self, name, *command, **more):
        """Like `ip netns exec` does, with the /sys of the namespace."""
        return self.lab.start(name, "ip", "netns", "exec", self.name, *command, **more)

    def ip(self, *arguments, check=True):
        done = subprocess.run(["ip", "-n", self.name, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode != 0:
            raise Failed(f"ip -n {self.name} {' '.join(arguments)}: {done.stdout}")
        return done.stdout

    def tc(self, *arguments, check=True):
        done = subprocess.run(["tc", "-n", self.name, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode != 0:
            raise Failed(f"tc -n {self.name} {' '.join(arguments)}: {done.stdout}")
        return done.stdout

    def nft(self, rules):
        return self.run(need("nft"), "-f", "-", input=rules)

    def set_sysctl(self, key, value):
        with self.inside(), open("/proc/sys/" + key, "w", encoding="ascii") as file:
            file.write(str(value))

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in the namespace: sockets that it makes stay there for good."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(self.file, "rb") as here:
            enter_net(here)
            try:
                yield self
            finally:
                enter_net(home)

    def address(self, device, *addresses):
        for address in addresses:
            if ":" in address:
                self.set_sysctl(f"net/ipv6/conf/{device}/disable_ipv6", 0)
                self.ip("addr", "add", address, "dev", device, "nodad")
            else:
                self.ip("addr", "add", address, "dev", device)
        self.ip("link", "set", device, "up")

    def counters(self, device):
        return json.loads(self.ip("-j", "-s", "link", "show", "dev", device))[0]["stats64"]

    def mac(self, device):
        return json.loads(self.ip("-j", "link", "show", "dev", device))[0]["address"]

    def remove(self):
        """As if the machine were switched off: its interfaces go with it."""
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def enter_net(file):
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Lab:
    def __init__(self, cloudspan, name):
        self.name = name
        self.processes = []
        self.hidden = []  # threads with servers in them: they end with us
        # A copy, so that a user who may not enter the build folder can run it.
        self.cloudspan = self.path("cloudspan")
        shutil.copy(cloudspan, self.cloudspan)
        os.chmod(self.cloudspan, 0o755)

    def path(self, name):
        return os.path.join(ROOM, name)

    def folder(self, name, mode=0o777):
        path = self.path(name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return path

    def ns(self, name):
        return Ns(self, name)

    def cable(self, a, device_a, b, device_b, offload=True):
        """A veth pair. Without offload every frame has its checksums and fits the MTU."""
        subprocess.run(["ip", "link", "add", device_a, "netns", a.name, "type", "veth", "peer",
                        "name", device_b, "netns", b.name], check=True)
        for ns, device in ((a, device_a), (b, device_b)):
            if not offload:
                ns.run(need("ethtool"), "-K", device, "tx", "off", "tso", "off", "gso", "off",
                       "gro", "off")
            ns.ip("link", "set", device, "up")

    def start(self, name, *command, **more):
        taken = {process.name for process in self.processes}
        unique, n = name, 1
        while unique in taken:
            n += 1
            unique = f"{name}-{n}"
        process = Process(self, unique, list(command), **more)
        self.processes.append(process)
        return process

    def serve(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        self.hidden.append(thread)
        return thread

    def close(self, failed):
        for process in reversed(self.processes):
            process.tell(signal.SIGTERM)
        for process in reversed(self.processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(5)
            process.kill()
        keep = os.environ.get("CLOUDSPAN_LAB_KEEP")
        if failed:
            for process in self.processes:
                said = process.said().strip()
                if said:
                    print(f"--- {process.name}: {' '.join(process.command)}\n{said[-3000:]}")
        if keep:
            os.unlink(self.cloudspan)
            shutil.copytree(ROOM, os.path.join(keep, self.name), dirs_exist_ok=True, symlinks=True,
                            ignore=lambda folder, names: [n for n in names if n.endswith(".sock")])
