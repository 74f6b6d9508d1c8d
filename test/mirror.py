#!/usr/bin/env python3
"""Asks `cloudspan mirror` on its command line: what is said, and the exit code. What needs root is
done in a network and mount namespace of its own.

usage: mirror.py PROGRAM
"""
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

NOBODY = 65534
VERBS = ("plan", "apply", "status", "remove", "follow")
WISH = ["linux", "-i", "e0", "--to", "vxlan:10.9.0.2", "--id", "7"]
STAGE = """
set -e
mount --make-rprivate / 2>/dev/null || true
for folder in /run /var/lib /etc/systemd/system; do
    if [ -d $folder ]; then mount -t tmpfs none $folder; fi
done
ip link set lo up
ip link add e0 type veth peer name e1
ip link add m0 type veth peer name m1
ip addr add 10.1.0.1/24 dev e0
ip addr add 10.9.0.1/24 dev m0
for name in e0 e1 m0 m1; do ip link set $name up; done
ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev m0 nud permanent
"""


class Test:
    def __init__(self, program):
        self.program = os.path.abspath(program)
        self.failures = []
        self.env = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LANG": "C.UTF-8", "TERM": "xterm"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def check(self, what, good, *seen):
        if not good:
            self.failures.append(what)
            print("FAILED:", what, *seen, sep="\n")

    def run(self, *args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, as_nobody=False, **env):
        command = [self.program, "mirror", *args]
        if as_nobody and os.geteuid() == 0:
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        return subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True,
                              env={**self.env, **env}, timeout=120)

    def misused(self, *args, says, **more):
        run = self.run(*args, **more)
        self.check(f"wrong usage: {args}", run.returncode == 2 and not run.stdout and says in run.stderr
                   and run.stderr.startswith("cloudspan mirror: "), run.stdout, run.stderr)

    def objects(self, run):
        """Of --json: one object a line, with what all of them have."""
        found = [json.loads(line) for line in run.stdout.splitlines()]
        self.check("objects with a type", all(isinstance(one, dict) and one["type"] for one in found),
                   run.stdout)
        self.check("ASCII", run.stdout.isascii(), run.stdout)
        return found

    # ---- without root ----

    def usage(self):
        run = self.run("--help")
        providers = re.findall(r"^  (\w+) +[A-Z]", run.stdout, re.M)
        self.check("providers are listed", run.returncode == 0 and "linux" in providers, run.stdout)
        for code in ("0 done", "1 failed", "2 wrong usage", "3 apply, follow", "3 status", "4 status", "130"):
            self.check(f"--help tells of exit code {code}", code in " ".join(run.stdout.split()), run.stdout)
        for verb in VERBS:
            more = self.run(verb, "--help")
            self.check(f"{verb} --help", more.returncode == 0 and more.stdout == run.stdout, more.stdout)
        for provider in providers:
            texts = {self.run(*words, "--help").stdout
                     for words in ([provider], *([verb, provider] for verb in VERBS))}
            text = next(iter(texts))
            self.check(f"{provider} --help", len(texts) == 1 and text.startswith("usage: cloudspan mirror ")
                       and " --to " in text, *texts)
            self.check(f"{provider} --help fits", max(map(len, text.splitlines())) <= 120, text)
        self.check("--version", re.fullmatch(r"cloudspan [\d.]+\n", self.run("plan", "--version").stdout))

        self.misused(says="plan, apply, status, remove or follow?")
        self.misused("aply", "linux", says="did you mean 'apply'?")
        self.misused("nonsense", says="'nonsense' is none of plan, apply, status, remove, follow\n")
        self.misused("plan", says="which provider?")
        self.misused("apply", "--yes", says="which provider?")
        self.misused("apply", "--yes", "linus", "-i", "e0", says="there is no provider 'linus'")
        self.misused("apply", "-y", "--json", "linux", "-i", "e0", says="where to? --to vxlan:ADDR")
        self.misused("plan", "linus", says="there is no provider 'linus'; did you mean 'linux'?")
        self.misused("plan", "cisco", says="there is no provider 'cisco' (see --help)")
        self.misused("linux", says="plan, apply, status, remove or follow?")
        self.misused("plan", "linux", "--interfac", "e0", says="did you mean --interface?")
        self.misused("plan", "linux", "--bridge", "br0", says="unknown option --bridge")
        self.misused("status", "--to", "vxlan:10.9.0.2", says="unknown option --to")
        self.misused("plan", *WISH, "more", says="'more' is no option")
        self.misused("plan", *WISH, "-Z", says="unknown option -Z")
        self.misused("plan", *WISH[:-1], says="--id needs a value: N")
        self.misused("plan", *WISH, "--yes=1", says="--yes takes no value")
        self.misused("plan", "linux", says="which interface? --interface eth0")
        self.misused("plan", "linux", "-i", "e0", says="where to? --to vxlan:ADDR")
        self.misused("plan", *WISH, "--id", "16777216", says="--id: 16777216 is too large")
        self.misused("plan", *WISH, "--name", "a b", says="is no name for a mirror")
        self.misused("plan", *WISH, "--name", "x" * 32, says="is no name for a mirror")
        self.misused("plan", *WISH, "--name=../x", says="is no name for a mirror")
        self.misused("plan", *WISH, "--machine", 'a"b', says="--machine: 'a\"b' is no such name")
        self.misused("plan", *WISH, "--network=", says="--network: '' is no such name")
        self.misused("plan", *WISH, "--color", "blue", says="is none of auto, always, never")
        self.misused("plan", *WISH, "--print=html", says="is none of commands, cloud-init, systemd")
        self.misused("plan", *WISH, "--filter", "(", says="can't parse")
        # What only another verb heeds is not passed over.
        self.misused("apply", *WISH, "--yes", "--print", says="--print is of plan")
        self.misused("remove", "--all", "--yes", "--print", says="--print is of plan")
        self.misused("apply", *WISH, "--yes", "--detailed-exitcode", says="--detailed-exitcode is of plan")
        self.misused("status", "--retry", says="--retry is of plan and apply")
        self.misused("apply", *WISH, "--yes", "--all", says="--all is of remove")
        self.misused("plan", *WISH, "--once", says="--once is of follow, not of plan")
        self.misused("status", "--interval", "3", says="--interval is of follow, not of status")
        self.misused("follow", "--all", "--interval", "0", says="is no number of seconds")
        self.misused("follow", "--all", "--interval", "3", "--once", says="--once has no --interval")
        run = self.run("follow")
        self.check("follow what?", run.returncode == 2 and "--name, or --all" in run.stderr, run.stderr)
        run = self.run("remove", "--yes")
        self.check("remove of what?", run.returncode == 2 and "--name, or --all" in run.stderr, run.stderr)

    def unprivileged(self, folder):
        """Each verb says in a sentence what it takes, and leaves nothing behind."""
        home = {"HOME": folder, "as_nobody": True}
        for verb, args in (("plan", WISH), ("apply", [*WISH, "--yes"]), ("linux", ["--list-methods"])):
            run = self.run(verb, *args, **home)
            self.check(f"{verb} of nobody", run.returncode == 1 and not run.stdout
                       and len(run.stderr.splitlines()) == 1 and "root" in run.stderr, run.stdout, run.stderr)
        for verb, args in (("status", []), ("remove", ["--all", "--yes"])):
            run = self.run(verb, *args, **home)
            self.check(f"{verb} of nobody does not say that there is nothing",
                       run.returncode == 3 and not run.stdout and "root" in run.stderr
                       if shutil.which("nft", path=self.env["PATH"]) else run.returncode in (0, 3),
                       run.stdout, run.stderr)
        run = self.run("apply", *WISH, "--yes", as_nobody=True, HOME="relative")
        self.check("no HOME", run.returncode == 1 and "--state" in run.stderr, run.stderr)
        run = self.run("apply", *WISH, "--yes", as_nobody=True, CLOUDSPAN_STATE="/proc/none")
        self.check("a folder that cannot be made", run.returncode == 1 and "/proc/none" in run.stderr
                   and "--state" in run.stderr, run.stderr)

    # ---- with root, in a namespace ----

    def on_terminal(self, answer, *args):
        """What is printed on a terminal where that is typed, and the exit code."""
        master, slave = pty.openpty()
        run = subprocess.Popen([self.program, "mirror", *args], stdin=slave, stdout=slave, stderr=slave,
                               env=self.env)
        os.close(slave)
        out = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            out += part
            if answer is not None and b"[y/N] " in out:
                os.write(master, answer)
                answer = None
        os.close(master)
        return out.decode().replace("\r\n", "\n"), run.wait()

    def nothing_there(self, what):
        links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
        qdiscs = subprocess.run(["tc", "qdisc", "show"], capture_output=True, text=True).stdout
        self.check(f"{what}: nothing is left", "cs-" not in links and "clsact" not in qdiscs, links, qdiscs)

    def verbs(self):
        run = self.run("status")
        self.check("nobody there", run.returncode == 0 and run.stdout == "there is no mirror of ours here\n",
                   run.stdout)
        run = self.run("status", "--json")
        self.check("nobody there, as objects", run.returncode == 0 and run.stdout == "", run.stdout)
        run = self.run("remove", "--all")
        self.check("nothing to take away", run.returncode == 0
                   and run.stdout == "there is nothing of ours to take away\n", run.stdout, run.stderr)
        run = self.run("status", "linux", "--name", "none")
        self.check("what is asked for by name and is not there is not well", run.returncode == 4, run.stdout)

        run = self.run("plan", *WISH)
        self.check("plan", run.returncode == 0 and re.search(r"^  \+ vxlan device cs-e0 ", run.stdout, re.M)
                   and re.search(r"^\d to make, 0 to change, 0 to take away$", run.stdout, re.M), run.stdout,
                   run.stderr)
        self.check("plan -q", (run := self.run("plan", *WISH, "-q")).returncode == 0 and not run.stdout)
        run = self.run("plan", *WISH, "--detailed-exitcode", "-q")
        self.check("plan --detailed-exitcode", run.returncode == 2 and not run.stdout, run.stdout)
        run = self.run("apply", *WISH)
        self.check("apply without a terminal", run.returncode == 1 and not run.stdout
                   and "give it --yes" in run.stderr, run.stdout, run.stderr)
        self.nothing_there("plan, and apply that was not")

        out, code = self.on_terminal(b"n\n", "apply", *WISH)
        self.check("no is no", code == 1 and "nothing was changed" in out and "cs-e0" in out, out)
        out, code = self.on_terminal(b"\x04", "apply", *WISH)
        self.check("no answer is no", code == 1 and "nothing was changed" in out, out)
        self.nothing_there("no")
        out, code = self.on_terminal(b"y\n", "apply", *WISH)
        self.check("yes", code == 0 and "\x1b[" in out and out.count("vxlan device cs-e0") == 2, out)
        self.check("a plan that has nothing to do", "all is as it should be" in self.run("plan", *WISH).stdout)
        run = self.run("plan", *WISH, "--detailed-exitcode")
        self.check("--detailed-exitcode of nothing", run.returncode == 0, run.stdout)
        run = self.run("apply", *WISH)
        self.check("apply of nothing needs no answer", run.returncode == 0, run.stdout, run.stderr)

        long = "x" * 31
        self.run("apply", *WISH[:-1], "8", "--name", long, "--yes")
        run = self.run("status")
        self.check("the whole name", re.search(f"^{long} linux ", run.stdout, re.M), run.stdout)
        self.run("remove", "--name", long, "--yes")
        run = self.run("status")
        self.check("status", run.returncode == 0 and re.search(r"^e0 +linux +\S+ +ok$", run.stdout, re.M),
                   run.stdout)
        self.check("status -q", (run := self.run("status", "-q")).returncode == 0 and not run.stdout)
        subprocess.run(["tc", "filter", "del", "dev", "e0", "egress"], check=True)
        run = self.run("status")
        self.check("something is missing", run.returncode == 4 and "BROKEN" in run.stdout
                   and "missing: tc filter" in run.stdout, run.stdout)
        self.check("and -q", self.run("status", "-q").returncode == 4)
        run = self.run("remove")
        self.check("remove of what?", run.returncode == 2, run.stderr)
        run = self.run("remove", "--all")
        self.check("remove without a terminal", run.returncode == 1 and "give it --yes" in run.stderr, run.stderr)
        out, code = self.on_terminal(b"n\n", "remove", "--name", "e0")
        self.check("remove asks", code == 1 and "Take away e0 (linux)? [y/N]" in out
                   and "nothing was changed" in out, out)
        out, code = self.on_terminal(b"y\n", "remove", "linux", "-i", "e0")
        self.check("remove", code == 0 and "taken away: " in out, out)
        self.nothing_there("remove")

    def follows(self):
        """Once, as a timer does; and until a signal ends it: what is taken away comes back, what cannot
        be is said once, and nothing is held between two looks."""
        def break_it():
            subprocess.run(["tc", "qdisc", "del", "dev", "e0", "clsact"], check=True)

        def wait_for(what, ask):
            end = time.monotonic() + 20
            while not ask() and time.monotonic() < end:
                time.sleep(0.1)
            self.check(what, ask(), out())

        def out():
            with open(log.name) as file:
                return file.read()

        run = self.run("follow", "--all", "--once")
        self.check("nothing to follow", (run.returncode, run.stdout, run.stderr) == (0, "", ""), run.stderr)
        run = self.run("follow", "--name", "e0", "--once")
        self.check("one that is missed", run.returncode == 1 and "no mirror e0" in run.stderr, run.stderr)
        record = json.loads(self.run("apply", *WISH, "--yes", "--json").stdout.splitlines()[-1])["record"]
        run = self.run("follow", "linux", "--once")
        self.check("all is in step", (run.returncode, run.stdout, run.stderr) == (0, "", ""), run.stdout, run.stderr)
        break_it()
        os.unlink(record)
        run = self.run("follow", "linux", "--once")
        self.check("brought in step", run.returncode == 0 and "e0 + clsact qdisc of e0\n" in run.stdout
                   and f"e0 = recorded for watch: {record}" in run.stdout and os.path.exists(record),
                   run.stdout, run.stderr)
        self.check("it is", self.run("status").returncode == 0)
        with tempfile.NamedTemporaryFile("w") as log:
            follow = subprocess.Popen([self.program, "mirror", "follow", "--all", "--interval", "1"],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
            time.sleep(1.5)
            self.check("nothing is said of nothing", "+" not in out(), out())
            break_it()
            wait_for("follow makes it again", lambda: "e0 + clsact qdisc of e0" in out())
            run = self.run("apply", *WISH, "--yes")
            self.check("others may apply meanwhile", run.returncode == 0, run.stderr)
            subprocess.run(["ip", "link", "set", "e0", "name", "e9"], check=True)
            wait_for("what cannot be is said", lambda: "no interface e0 here" in out())
            subprocess.run(["ip", "link", "set", "e9", "name", "e0"], check=True)
            wait_for("and that it can be again", lambda: "it works again" in out())
            self.check("said once", out().count("no interface e0") == 1, out())
            follow.terminate()
            self.check("a clean end", follow.wait(20) == 0, out())
        subprocess.run(["ip", "link", "set", "e0", "up"], check=True)
        subprocess.run(["ip", "link", "del", "cs-e0"], capture_output=True)
        self.check("remove", self.run("remove", "--all", "--yes").returncode == 0)
        self.nothing_there("follow")

    def as_objects(self):
        run = self.run("plan", *WISH, "--json")
        found = self.objects(run)
        self.check("plan --json", run.returncode == 0 and found[-1]["type"] == "plan"
                   and found[-1]["changes"] == sum(one["type"] == "step" for one in found) > 2, run.stdout)
        run = self.run("apply", *WISH, "--yes", "--json", "--machine", "w\u00e9b\U0001f600")
        made = self.objects(run)
        self.check("apply --json", run.returncode == 0 and not run.stderr and made[-1]["type"] == "apply"
                   and made[-1]["machine"] == "w\u00e9b\U0001f600" and made[-1]["collector"] == "10.9.0.2"
                   and "once" in made[-1]["proof"]
                   and [one["what"] for one in made if one["type"] == "step"]
                   == [one["what"] for one in found if one["type"] == "step"], run.stdout, run.stderr)
        self.check("the record is there", os.path.exists(made[-1]["record"]), made[-1])
        run = self.run("apply", *WISH, "--yes", "--json", "--machine", "w\u00e9b\U0001f600")
        self.check("apply --json of nothing", run.returncode == 0
                   and self.objects(run)[-1]["changes"] == 0, run.stdout)
        run = self.run("status", "--json")
        found = self.objects(run)
        self.check("status --json", run.returncode == 0 and found[-1]["type"] == "status"
                   and found[-1]["state"] == "ok"
                   and any(one["type"] == "counters" and one["mirrored"] for one in found), run.stdout)
        run = self.run("remove", "--all", "--yes", "--json")
        found = self.objects(run)
        self.check("remove --json", run.returncode == 0 and found[-1] == {
            "type": "remove", "mirrors": 1, "objects": len(found) - 1}, run.stdout)
        self.check("the record is gone", not os.path.exists(made[-1]["record"]))
        run = self.run("linux", "--list-methods", "--json")
        found = self.objects(run)
        self.check("--list-methods --json", run.returncode == 0
                   and {"method", "feature"} == {one["type"] for one in found}, run.stdout)

    def streams(self):
        """Standard output that takes nothing is an error, and nothing is written elsewhere for it."""
        self.run("apply", *WISH, "--yes")
        for args in (["plan", *WISH], ["apply", *WISH, "--yes"], ["apply", *WISH, "--id", "8", "--yes"],
                     ["status"], ["status", "--json"], ["plan", *WISH, "--print"],
                     ["remove", "--all", "--yes", "--json"]):
            for what, redirect in (("full", ">/dev/full"), ("closed", ">&-"), ("all closed", "<&- >&- 2>&-")):
                run = subprocess.run(["sh", "-c", f'exec "$@" {redirect}', "sh", self.program, "mirror", *args],
                                     stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.env)
                self.check(f"{args}, standard output {what}", run.returncode == 1
                           and ("standard output" in run.stderr or "2>" in redirect), run.returncode, run.stderr)
        with open("/var/lib/cloudspan/mirror.lock", "rb") as lock:
            self.check("nothing was written to the lock", lock.read() == b"")
        self.check("remove", self.run("remove", "--all", "--yes").returncode == 0)
        self.nothing_there("streams")

    def interrupted(self):
        """A signal between two steps: its output blocks where the first step is told, so that it
        comes at that place. A pipe of one page is filled but for what is said before."""
        before = self.run("apply", *WISH, "--yes").stdout.split("  + ")[0].encode()
        self.run("remove", "--all", "--yes")
        reader, writer = os.pipe()
        size = fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
        os.write(writer, b"x" * (size - len(before)))
        run = subprocess.Popen([self.program, "mirror", "apply", *WISH, "--yes"], stdout=writer,
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self.env)
        os.close(writer)
        end = time.monotonic() + 30
        while not os.path.exists("/sys/class/net/cs-e0") and time.monotonic() < end \
                and subprocess.run(["ip", "link", "show", "cs-e0"], capture_output=True).returncode:
            time.sleep(0.05)
        time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        time.sleep(0.2)
        out = b""
        while part := os.read(reader, 4096):
            out += part
        os.close(reader)
        err = run.stderr.read()
        self.check("interrupted", run.wait() == 130 and "interrupted; what was made is taken away" in err,
                   run.returncode, out.decode().lstrip("x"), err)
        self.nothing_there("interrupted")

    def scripts(self, folder):
        """--print: what a shell, cloud-init and systemd take."""

        def is_script(what, text):
            run = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
            self.check(f"{what} is a script", run.returncode == 0 and text, text, run.stderr)

        def is_unit(what, text, script=None):
            path = os.path.join(folder, "mirror-e0.service")
            if script:
                with open(os.path.join(folder, "mirror-e0"), "w") as file:
                    file.write(script)
                os.chmod(file.name, 0o755)
                text = text.replace("/usr/local/sbin/mirror-e0", file.name)
            with open(path, "w") as file:
                file.write(text)
            if not shutil.which("systemd-analyze"):
                print("no systemd-analyze to hold units against")
                return
            run = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
            said = [line for line in run.stderr.splitlines() if "mirror-e0" in line]
            self.check(f"{what} is a unit", not said, text, *said)

        for more in ([], ["--method", "nft"], ["--method", "nft-ip"], ["--method", "tee"],
                     ["--filter", "tcp port 80 or (udp and not host 10.1.0.7)"], ["--rate-limit", "1M"],
                     ["--direction", "out", "--name", "a.b_c-d"]):
            plan = self.run("plan", *WISH, *more)
            if plan.returncode:
                print("not here:", *more, plan.stderr.strip())
                continue
            run = self.run("plan", *WISH, *more, "--print")
            is_script(f"--print {more}", run.stdout)
            lines = run.stdout.splitlines()
            away = lines.index("# To take it away again:")
            is_script(f"the way back of {more}", "\n".join(line[2:] for line in lines[away + 1:]))
            is_script(f"--print=systemd {more}", self.run("plan", *WISH, *more, "--print=systemd").stdout)
        text = self.run("plan", *WISH, "--print=cloud-init").stdout
        self.check("cloud-init's head", text.startswith("#cloud-config\n"), text)
        try:
            import yaml
        except ImportError:
            print("no python3-yaml to read cloud-init with")
            return
        cloud = yaml.safe_load(text)
        script, unit = (one["content"] for one in cloud["write_files"])
        self.check("cloud-init", [one["path"] for one in cloud["write_files"]]
                   == ["/usr/local/sbin/mirror-e0", "/etc/systemd/system/mirror-e0.service"]
                   and cloud["runcmd"][1] == "systemctl enable --now mirror-e0", text)
        is_script("cloud-init's script", script)
        is_unit("cloud-init's unit", unit, script)

        if not os.path.isdir("/etc/systemd/system"):
            return
        odd = 'tcp port 80\nor host 10.1.0.7 and not (udp[0:2] & 1 != 0)'
        run = self.run("apply", *WISH, "--yes", "--persist", "--filter", odd, "--state", folder)
        self.check("--persist", run.returncode == 0, run.stdout, run.stderr)
        with open("/etc/systemd/system/cloudspan-mirror-linux-e0.service") as file:
            text = file.read()
        is_unit("the unit of --persist", text)
        start = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        self.check("its words", len(start) == 1 and '"--filter=tcp port 80\\x0aor host' in start[0]
                   and f'"--state={folder}"' in start[0] and " --yes" in start[0], text)
        run = self.run("plan", *WISH, "--persist", "--filter", odd, "--state", folder, "--detailed-exitcode")
        self.check("it is as it should be", run.returncode == 0, run.stdout)
        run = self.run("remove", "--all", "--yes", "--state", folder)
        self.run("apply", *WISH, "--yes", "--persist", "--filter", odd, CLOUDSPAN_STATE=folder)
        with open("/etc/systemd/system/cloudspan-mirror-linux-e0.service") as file:
            self.check("--persist with $CLOUDSPAN_STATE", file.read() == text, text)
        run = self.run("remove", "--all", "--yes", "--state", folder)
        self.check("it is gone", run.returncode == 0
                   and not os.path.exists("/etc/systemd/system/cloudspan-mirror-linux-e0.service"), run.stdout)
        self.nothing_there("scripts")


def main():
    test = Test(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="mirror.") as folder:
        if len(sys.argv) > 2:  # within the namespace
            subprocess.run(["sh", "-c", STAGE], check=True, env=test.env)
            test.verbs()
            test.follows()
            test.as_objects()
            test.streams()
            test.interrupted()
            test.scripts(folder)
        else:
            test.usage()
            os.chmod(folder, 0o777)
            test.unprivileged(folder)
            if os.geteuid() != 0 or subprocess.run(["unshare", "-nm", "true"]).returncode:
                print("the rest takes root")
            elif subprocess.run(["unshare", "-nm", sys.executable, "-B", __file__, sys.argv[1],
                                 "within"]).returncode:
                test.failures.append("within the namespace")
    return 1 if test.failures else 0


if __name__ == "__main__":
    sys.exit(main())
