#!/usr/bin/env python3
"""A watch whose `hunts:` and `canary:` change while it runs: after SIGHUP it hunts by the new feeds,
safelists and hunts that are off, in what it had seen before, too; what it cannot take is said.

usage: reload.py PROGRAM
"""
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import packets  # noqa: E402

US, THEM, OTHER = "10.1.0.11", "203.0.113.9", "203.0.113.10"
SECONDS = 60  # of waiting in vain


class Watch:
    """A watch of what this test sends to a port of this host."""

    def __init__(self, program, folder):
        self.folder = folder
        self.config = folder / "watch.yaml"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.said, self.part = [], ""
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.command = [program, "watch", "-c", str(self.config), "--socket",
                        str(folder / "control.sock")]
        self.process = None
        self.n_sent = 0

    def configure(self, hunts, more=""):
        self.config.write_text(f"""
listen: ["vxlan:{self.port}"]
outputs: {{logs: {{folder: "{self.folder}/logs"}}}}
hunts: {{every: 1s, alert: low, off: [beacon], {hunts}}}
{more}""", encoding="utf-8")
        if self.process:
            self.process.send_signal(signal.SIGHUP)
            self.wait("the configuration was read again")

    def start(self):
        # Leaks cannot be looked for from within the sandbox.
        environment = dict(os.environ, CLOUDSPAN_STATE=str(self.folder / "state"),
                           LSAN_OPTIONS="detect_leaks=0")
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                        env=environment)
        self.wait("files outside its folders", "packets are parsed")

    def lines(self):
        while select.select([self.process.stderr], [], [], 0.05)[0]:
            part = os.read(self.process.stderr.fileno(), 65536)
            if not part:
                break
            *whole, self.part = (self.part + part.decode()).split("\n")
            self.said += whole
        return self.said

    def wait(self, *parts, seconds=SECONDS):
        """Until a line has one of them; what was said up to it is forgotten."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for i, line in enumerate(self.lines()):
                if any(part in line for part in parts):
                    del self.said[:i + 1]
                    return line
            if self.process.poll() is not None:
                break
        fail(f"never said: {parts}; but: {self.said}")
        return None

    def connect(self, far):
        """A connection with some bytes both ways, closed, as a mirror shows it."""
        self.n_sent += 1
        sport = 30000 + self.n_sent
        begin = [(US, far, sport, 8443, 100, 0, packets.SYN, b""),
                 (far, US, 8443, sport, 500, 101, packets.SYN | packets.ACK, b""),
                 (US, far, sport, 8443, 101, 501, packets.ACK | packets.PSH, b"hello"),
                 (far, US, 8443, sport, 501, 106, packets.ACK | packets.PSH, b"order"),
                 (US, far, sport, 8443, 106, 506, packets.ACK | packets.RST, b"")]
        for part in begin:
            frame = packets.ether(packets.tcp(*part))
            self.sock.sendto(b"\x08\0\0\0" + (7).to_bytes(3, "big") + b"\0" + frame,
                             ("127.0.0.1", self.port))
            time.sleep(0.01)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(SECONDS)


def fail(text):
    raise SystemExit(f"reload.py: {text}")


def main(program):
    with tempfile.TemporaryDirectory(prefix="cloudspan-reload-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        feeds = folder / "feeds"
        feeds.mkdir(mode=0o700)  # not for the user who parses packets
        feed = feeds / "bad.txt"
        feed.write_text(f"{OTHER} old\n", encoding="utf-8")
        safe = folder / "safe"
        safe.write_text(f"{OTHER}\n", encoding="utf-8")
        safe.chmod(0o600)
        watch = Watch(program, folder)
        watch.configure(f"feeds: [{feeds}]", "canary: {enabled: false}\n")
        try:
            run(watch, feeds, feed, safe)
        finally:
            watch.stop()


def run(watch, feeds, feed, safe):
    watch.start()
    time.sleep(0.3)
    watch.connect(THEM)
    watch.connect(OTHER)
    line = watch.wait(f"{OTHER}: ")
    if "intel" not in line or "bad.txt: old" not in line:
        fail(f"not by the feed: {line}")

    # The same file with more in it: by what was seen before.
    time.sleep(1.5)
    if any(THEM in line for line in watch.lines()):
        fail(f"found without a reason: {watch.said}")
    new = feed.with_suffix(".new")
    new.write_text(f"{OTHER} old\n{THEM} new\n", encoding="utf-8")
    new.rename(feed)
    watch.configure(f"feeds: [{feeds}]", "canary: {enabled: true, ports: [7777]}\n")
    line = watch.wait(f"{THEM}: ")
    if "bad.txt: new" not in line:
        fail(f"not by the new feed: {line}")

    # What is wrong leaves all as it was.
    watch.configure(f"feeds: [{feeds}], safelists: [{safe}.none]")
    line = watch.wait("stay in force")
    if "safe.none" not in line:
        fail(f"does not say what is wrong: {line}")
    watch.configure(f"feeds: [{feeds}], days: 9, memory: 80M, live: false")
    watch.wait("hunts: live, days and memory are taken at the next start")
    watch.configure(f"feeds: [{feeds}], safelists: [{safe}], days: 9, memory: 80M, live: false")
    if any("next start" in line for line in watch.lines()):
        fail(f"says again what did not change: {watch.said}")
    watch.stop()
    if watch.process.returncode != 0:
        fail(f"ended with {watch.process.returncode}: {watch.lines()}")


if __name__ == "__main__":
    main(sys.argv[1])
