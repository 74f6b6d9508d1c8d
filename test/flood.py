#!/usr/bin/env python3
"""A flood from an unknown sender costs the known one less than 5 %, and one machine that sends too
much gives way to those that send little.

usage: flood.py CLOUDSPAN FLOOD-SENDER [SECONDS]

Two network namespaces of its own, a veth pair between them: mirrors send VXLAN on one side,
`cloudspan watch` listens on the other, by its UDP port and by a ring on the interface. What the
senders sent is compared with what the watch says of each machine.

Exit code 77 (skipped) where there is no right to make a namespace or a veth pair.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CLONE_NEWNET = 0x40000000
SKIP = 77
TIMEOUT = 60  # of waiting for something that must come; a test that hangs fails
US, KNOWN, LIGHT = "10.9.0.1", "10.9.0.2", "10.9.0.3"

SOURCES = f"""
sources:
  - {{name: known, channel: "vxlan:7@{KNOWN}", canary: no, filtered: yes}}
  - {{name: light, channel: "vxlan:8@{LIGHT}/32", canary: no, filtered: yes}}
"""
# The same two, of which nobody knows in the kernel where they send from.
ANYWHERE = SOURCES.replace(f"@{KNOWN}", "").replace(f"@{LIGHT}/32", "")


def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        skip(f"{' '.join(command)}: {done.stderr.strip()}")


def enter_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        skip("no network namespace: " + os.strerror(ctypes.get_errno()))


class Mirrors:
    """The other namespace, where the mirrors are; a process holds it."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; read line"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        pid = str(self.holder.pid)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "in0", "type", "veth", "peer", "name", "out0", "netns", pid)
        run("ip", "address", "add", US + "/16", "dev", "in0")
        run("ip", "link", "set", "in0", "up")
        self.run("ip", "link", "set", "out0", "up")
        for last in (2, 3, 66):
            self.run("ip", "address", "add", f"10.9.0.{last}/16", "dev", "out0")

    def run(self, *command):
        run("nsenter", "-t", str(self.holder.pid), "-n", *command)

    def send(self, *arguments):
        return subprocess.Popen(["nsenter", "-t", str(self.holder.pid), "-n", SENDER,
                                 *map(str, arguments)], stdout=subprocess.PIPE, text=True)

    def end(self):
        self.holder.stdin.close()
        self.holder.wait()


class Watch:
    def __init__(self, folder, listener, config, *arguments):
        self.path = os.path.join(folder, "watch.sock")
        path = os.path.join(folder, "cloudspan.yaml")
        with open(path, "w", encoding="utf8") as out:
            out.write(config)
        self.said = open(os.path.join(folder, "said"), "w+", encoding="utf8")
        self.process = subprocess.Popen(
            [PROGRAM, "watch", "-c", path, "-d", os.path.join(folder, "logs"), "--socket", self.path,
             "--plain", "-Z", "root", *listener, *arguments],
            stdout=self.said, stderr=subprocess.STDOUT, cwd=folder)
        self.wait(lambda s: any(i["ok"] for i in s.get("inputs", [])), "a listener")

    def ask(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(self.path)
            client.sendall(b"snapshot\n")
            return json.loads(client.makefile().read())

    def wait(self, holds, what):
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                answer = self.ask()
                if holds(answer):
                    return answer
            except (OSError, ValueError):
                if self.process.poll() is not None:
                    self.say_all()
                    sys.exit(f"FAILED: the watch has ended: {self.process.returncode}")
            if time.monotonic() > end:
                self.say_all()
                sys.exit(f"FAILED: {what} has not come")
            time.sleep(0.2)

    def settled(self):
        """What it says when all that was on its way has come: three times the same."""
        before = []

        def same(answer):
            key = [m["packets"] + m["dropped"] for m in answer["sources"]]
            key += [answer["refused_packets"], answer["now"]]
            if not before or before[-1][:-1] != key[:-1]:
                before.clear()
            if not before or before[-1][-1] != key[-1]:
                before.append(key)
            return len(before) >= 3

        return self.wait(same, "an end of the packets")

    def say_all(self):
        self.said.flush()
        self.said.seek(0)
        print(self.said.read()[-4000:])

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(TIMEOUT)
        self.said.close()


def machine(answer, name):
    return next((m for m in answer["sources"] if m["source"] == name), {"packets": 0, "dropped": 0})


def drops(answer):
    return {f"{d['stage']}/{d['reason']}": d["n"] for d in answer.get("drops", [])}


def scene(mirrors, title, listener, config, senders, *arguments):
    """Gives what was sent by each sender, what the watch knew at the end, and what it said."""
    with tempfile.TemporaryDirectory(prefix="flood.") as folder:
        watch = Watch(folder, listener, config, *arguments)
        running = [mirrors.send(*s) for s in senders]
        sent = [int(r.communicate()[0] or 0) for r in running]
        answer = watch.settled()
        watch.end()
        with open(os.path.join(folder, "said"), encoding="utf8") as f:
            said = f.read()
    print(f"{title}: sent {sent}")
    for m in answer["sources"]:
        print(f"  {m['source']}: {m['packets']} packets, {m['dropped']} left out, {m['state']} "
              f"{m['reason']}")
    for r in answer.get("refused", [])[:2]:
        print(f"  refused {r['outer']}: {r['packets']}{' (estimated)' if r['estimated'] else ''}; "
              f"{r['admit']}")
    print(f"  lost or left out: {drops(answer)}", flush=True)
    return sent, answer, said


def main():
    failures = []
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 10

    def check(what, good):
        if not good:
            failures.append(what)
            print("FAILED:", what, flush=True)

    enter_namespace()
    for tool in ("ip", "unshare", "nsenter"):
        if not shutil.which(tool):
            skip("there is no " + tool)
    mirrors = Mirrors()
    # With little room every moment counts in which a worker has no processor.
    small = "listen: [{udp: '0.0.0.0:4789', encapsulation: vxlan, buffer: 256K}]\n"
    known = (KNOWN, US, 7, 2000, 100, seconds)
    flood = ("10.9.0.66", US, 77, 0, 5000, seconds)
    spoofed = ("10.9.128.0/17", US, 77, 0, 5000, seconds)
    try:
        for name, listener in (("udp", ("-l", "vxlan")), ("ring", ("-i", "in0"))):
            for what, sender in (("a flood", flood), ("a flood from 32768 addresses", spoofed)):
                sent, answer, said = scene(mirrors, f"{name}, {what}", listener, SOURCES,
                                           (known, sender))
                lost = 1 - machine(answer, "known")["packets"] / sent[0]
                estimate = answer["refused_packets"] / sent[1]
                print(f"  the known sender loses {100 * lost:.2f} %; of {sent[1]} unknown packets "
                      f"{100 * estimate:.1f} % are counted")
                check(f"{name}, {what}: the known sender loses {100 * lost:.2f} %", lost < 0.05)
                check(f"{name}, {what}: the kernel refuses", "the kernel refuses" in said)
                refused = answer.get("refused", [])
                check(f"{name}, {what}: it is shown, with the line that admits it",
                      refused and "vxlan:77@10.9." in refused[0]["admit"])
        # Somebody of whom too much was refused is admitted by SIGHUP, and all of it comes.
        with tempfile.TemporaryDirectory(prefix="flood.") as folder:
            watch = Watch(folder, ("-l", "vxlan"), SOURCES)
            mirrors.send(*flood[:-1], 3).communicate()
            watch.wait(lambda s: s["refused"] and s["refused"][0]["estimated"], "an estimate")
            with open(os.path.join(folder, "cloudspan.yaml"), "a", encoding="utf8") as out:
                out.write('  - {name: new, channel: "vxlan:77@10.9.0.66", canary: no}\n')
            watch.process.send_signal(signal.SIGHUP)
            watch.wait(lambda s: machine(s, "new").get("configured"), "the machine")
            sent = int(mirrors.send("10.9.0.66", US, 77, 2000, 20, 3).communicate()[0])
            n = machine(watch.settled(), "new")["packets"]
            watch.end()
        print(f"admitted by SIGHUP: {n} of {sent} packets")
        check("all comes of who is admitted", n == sent)

        few = ("10.9.0.66", US, 77, 50, 5, 3)
        sent, answer, said = scene(mirrors, "udp, few", ("-l", "vxlan"), SOURCES, (few,))
        check("few unknown packets are counted one by one",
              answer["refused_packets"] == sent[0] and not answer["refused"][0]["estimated"])
        check("and nothing is said", "the kernel refuses" not in said)

        heavy = (KNOWN, US, 7, 0, 5000, 2 * seconds)
        light = (LIGHT, US, 8, 500, 50, 2 * seconds)
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(processors)})  # senders and the watch share it: too little
        sent, answer, said = scene(mirrors, "a machine that sends too much", (),
                                   small + SOURCES, (heavy, light), "-j", "1")
        os.sched_setaffinity(0, processors)
        lost = 1 - machine(answer, "light")["packets"] / sent[1]
        print(f"  the light one loses {100 * lost:.2f} %")
        check("the light machine is never left out", machine(answer, "light")["dropped"] == 0)
        accounted = (machine(answer, "known")["packets"] + machine(answer, "known")["dropped"] +
                     machine(answer, "light")["packets"] +
                     drops(answer).get("socket/full", 0)) / sum(sent)
        print(f"  accounted for: {100 * accounted:.2f} %")
        check("every packet is counted somewhere", 0.99 < accounted < 1.01)
        if machine(answer, "known")["dropped"]:
            check("it is said that connections are left out", "DROPPING: known: sampled" in said)
            check("and why", "this collector is overloaded" in said)

        config = SOURCES + "limits: {rate-per-source: 1000}\n"
        over = (KNOWN, US, 7, 4000, 2000, 2 * seconds)
        sent, answer, said = scene(mirrors, "a limit of 1000 a second", ("-l", "vxlan"), config,
                                   (over, light))
        m = machine(answer, "known")
        check("the limit holds", m["packets"] / (2 * seconds) < 1600)
        check("what is left out is counted", m["packets"] + m["dropped"] == sent[0])
        check("whoever sends less loses nothing", machine(answer, "light")["packets"] == sent[1])
        check("it is said", m["state"] == "DROPPING" and "limits.rate-per-source" in said)

        # Only to be read: what is lost here is the machine's, and what else it does at the time.
        for title, config in (("little room", SOURCES), ("little room, nobody refused", ANYWHERE)):
            sent, answer, said = scene(mirrors, title, (), small + config, (known, flood))
            lost = 1 - machine(answer, "known")["packets"] / sent[0]
            print(f"  the known sender loses {100 * lost:.2f} %")
    finally:
        mirrors.end()
    print("failures:", failures or "none")
    return 1 if failures else 0


PROGRAM, SENDER = map(os.path.abspath, sys.argv[1:3])
sys.exit(main())
