"""What runs at the collector: `cloudspan watch` itself, and a tcpdump beside it as the witness."""
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

import logs
from lab import Failed, need, wait_until

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Capture:
    """tcpdump on an interface: everything that comes in, whole, with nanoseconds."""

    def __init__(self, lab, ns, device, name="beside", direction="in", snap=0, buffer=65536,
                 immediate=True):
        """`snap`: tcpdump's ring has places of this size, so the smaller it is, the more there are;
        `buffer`: KiB for all of them. Not `immediate`: frames lie close together in the ring, so that
        far more of them find room, and come up to a second later."""
        self.lab, self.ns, self.device = lab, ns, device
        self.file = lab.path(f"{name}.pcap")
        self.process = ns.start(name, need("tcpdump"), "-i", device, "-n", "-s", str(snap),
                                "-B", str(buffer), "-Q", direction, "-U",
                                *(["--immediate-mode"] if immediate else []),
                                "--time-stamp-precision", "nano", "-Z", "root", "-w", self.file)
        wait_until(lambda: self.process.must_run() and "listening on" in self.process.said(),
                   "tcpdump does not listen")
        self.start = self.received()

    def received(self):
        return self.ns.counters(self.device)["rx"]["packets"]

    def count(self):
        return count_frames(self.file)

    def settle(self):
        """Until the wire is silent and all that came is in the file. Gives the number of frames."""
        def quiet():
            before = self.received()
            time.sleep(0.2)  # longer than a frame takes over a cable and an overlay
            return before == self.received() and self.count() >= before - self.start
        wait_until(quiet, lambda: f"tcpdump has {self.count()} frames of "
                                  f"{self.received() - self.start}")
        return self.count()

    def stop(self):
        self.settle()
        self.process.stop(signal.SIGINT)
        match = re.search(r"(\d+) packets dropped by kernel", self.process.said())
        if not match or match[1] != "0":
            raise Failed("tcpdump lost packets, so it is no witness:\n" + self.process.said())
        return self.file

    def only(self, expression, name):
        """The part of the stopped capture that a filter lets through."""
        out = self.lab.path(f"{name}.pcap")
        subprocess.run([need("tcpdump"), "-n", "-r", self.file, "--time-stamp-precision", "nano",
                        "-w", out, expression], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return out


def count_frames(file):
    """Whole frames in a capture file that may still be written."""
    try:
        with open(file, "rb") as capture:
            data = capture.read()
    except FileNotFoundError:
        return 0
    n, at = 0, 24
    while at + 16 <= len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        n += at <= len(data)
    return n


class Watch:
    """`cloudspan watch` in a namespace, with a folder and a socket of its own."""

    def __init__(self, lab, ns, *arguments, name="watch", config=None, folder=None, prefix=(),
                 metrics=0, ready=True, partial=False, **more):
        self.lab, self.ns = lab, ns
        self.folder = folder or lab.folder(f"{name}.logs")
        # A folder of its own, that an unprivileged watch may make the socket in.
        self.socket = os.path.join(lab.folder(f"{name}.run"), "control.sock")
        self.metrics_port = metrics
        self.partial = partial  # some of what it listens on is not to be had
        command = [*prefix, lab.cloudspan, "watch", "-d", self.folder, "--socket", self.socket,
                   "--page", "off", "--metrics", f"127.0.0.1:{metrics}" if metrics else "off"]
        if config is not None:
            path = lab.path(f"{name}.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config)
            os.chmod(path, 0o644)
            self.config = path
            command += ["-c", path]
        self.process = ns.start(name, *command, *arguments, **more)
        if ready:
            self.wait_ready()

    def wait_ready(self):
        """Until it answers and all that it listens on is open."""
        def listens():
            self.process.must_run()
            inputs = self.snapshot().get("inputs")
            return inputs and (self.partial or all(row["ok"] for row in inputs))
        wait_until(listens, lambda: f"watch does not listen: {self.snapshot().get('inputs')}\n"
                                    f"{self.said()[-2000:]}")

    def snapshot(self):
        """All that watch knows of itself; {} if it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(30)
                sock.connect(self.socket)
                sock.sendall(b"snapshot\n")
                answer = b""
                while piece := sock.recv(65536):
                    answer += piece
            return json.loads(answer)
        except (OSError, ValueError):
            return {}

    def sources(self):
        """(exit code, the objects that `cloudspan sources` prints: machines and refused senders)"""
        done = subprocess.run(["nsenter", "--net=" + self.ns.file, self.lab.cloudspan, "sources",
                               "--json", "--socket", self.socket], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def machine(self, name):
        for row in self.snapshot().get("sources", ()):
            if row["source"] == name:
                return row
        return {}

    def wait_state(self, name, states, limit=180):
        """Gives (the machine, the seconds that it took)."""
        states = {states} if isinstance(states, str) else set(states)
        begin = time.monotonic()
        seen = []

        def there():
            machine = self.machine(name)
            state = machine.get("state")
            if not seen or seen[-1] != state:
                seen.append(state)
            return machine if state in states else None
        machine = wait_until(there, lambda: f"{name} is {seen}, never {sorted(states)}: "
                                            f"{self.machine(name)}\n{self.process.said()[-1500:]}",
                             limit, every=0.1)
        return machine, time.monotonic() - begin

    def packets(self):
        """Mirrored packets so far."""
        return self.snapshot().get("packets", 0)

    def settle(self, at_least=0):
        """Until it has worked on all that came in: two snapshots in a row have the same numbers."""
        seen = []

        def still():
            now = self.snapshot()
            if not now or (seen and seen[-1]["now"] == now["now"]):
                return False
            seen.append(now)
            return len(seen) > 1 and now["packets"] >= at_least and numbers(now) == numbers(seen[-2])

        def numbers(snapshot):
            return (snapshot["packets"], snapshot["lost"], snapshot["refused_packets"],
                    [row["packets"] for row in snapshot["inputs"]],
                    [row["n"] for row in snapshot["drops"]])
        wait_until(still, lambda: f"watch is never done: {seen and numbers(seen[-1])}, {at_least} "
                                  "expected", every=0.1)

    def scrape(self):
        """{metric with its labels: value}"""
        with self.ns.inside():
            sock = socket.create_connection(("127.0.0.1", self.metrics_port), 30)
        sock.settimeout(30)
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port)
        connection.sock = sock
        connection.request("GET", "/metrics")
        body = connection.getresponse().read().decode()
        connection.close()
        values = {}
        for line in body.splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                values[key] = float(value)
        return values

    def total(self, metric):
        """The sum over all labels."""
        return sum(value for key, value in self.scrape().items()
                   if key == metric or key.startswith(metric + "{"))

    def stop(self, number=signal.SIGINT, codes=(0,)):
        """The clean end."""
        code = self.process.stop(number)
        if code not in codes:
            raise Failed(f"watch ended with {code} upon signal {number}:\n"
                         f"{self.process.said()[-3000:]}")
        return self.logs()

    def said(self):
        return self.process.said() + self.process.printed()

    def logs(self):
        return logs.read_folder(self.folder)

    def must_say(self, pattern, limit=30):
        return wait_until(lambda: re.search(pattern, self.said()),
                          lambda: f"watch never says /{pattern}/:\n{self.said()[-3000:]}", limit)


def udp_port_is_taken(ns, port):
    """Whether a program in the namespace listens there."""
    out = ns.run("cat", "/proc/net/udp", "/proc/net/udp6")
    return any(line.split()[1].endswith(f":{port:04X}") for line in out.splitlines()
               if ":" in line and line.split()[0].endswith(":"))
