"""`cloudspan mirror … linux` as the scenarios call it: each machine of the laboratory has its own
state folder, and what the command says and changes is looked at."""
import functools
import json
import os
import re
import signal
import subprocess

import mirror_lab
from lab import Failed, need

DONE, FAILED, MISUSED, UNHEALTHY = 0, 1, 2, 4
CHANGES = 2  # plan --detailed-exitcode
KILLED = -signal.SIGKILL


class Answer:
    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def rows(self, kind=None):
        rows = [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]
        return [row for row in rows if kind in (None, row.get("type"))]

    def must(self, *codes):
        if self.code not in codes:
            raise Failed(f"{self.said()}\nnot {' or '.join(map(str, codes))}")
        return self

    def said(self):
        return f"{' '.join(self.command)}: {self.code}\n{self.out}{self.err}"


def kill_before_commit(number):
    """Runs a program until its journal is about to be written for the time `number`, from 0: SQLite
    ends each transaction by removing a file."""
    return [need("strace"), "-qq", "-o", "/dev/null", "-e", "trace=unlink", "-e",
            f"inject=unlink:signal=KILL:when={number + 1}"]


class Mirror:
    """One mirror of a machine. `to` is what --to says; `more` are further options of plan and
    apply."""

    def __init__(self, net, to, *more, number=101, name="lab", device=None, ns=None, machine=None):
        self.net, self.lab = net, net.lab
        self.ns = ns or net.mon
        self.name = name
        self.place = ["ip", "netns", "exec", self.ns.name]  # where the command is called
        self.state = self.lab.folder(f"{self.ns.name}.state")
        self.wish = ["--interface", device or net.device, "--to", to, *more]
        if number is not None:
            self.wish += ["--id", str(number)]
        if machine:
            self.wish += ["--machine", machine]

    def command(self, verb, *arguments, prefix=()):
        """`prefix`: another user, another namespace."""
        words = [*self.place, *prefix, self.lab.cloudspan, "mirror", verb, "linux", "--name",
                 self.name]
        if verb in ("plan", "apply"):
            words += self.wish
        return [*words, *arguments]

    def environment(self):
        return {**os.environ, "CLOUDSPAN_STATE": self.state}

    def call(self, verb, *arguments, prefix=(), kill_at=None):
        command = self.command(verb, *arguments, prefix=prefix)
        if kill_at is not None:
            command = kill_before_commit(kill_at) + command
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=120,
                              env=self.environment())
        return Answer(command[len(self.place):], done.returncode, done.stdout, done.stderr)

    def plan(self, *arguments):
        return self.call("plan", *arguments).must(DONE)

    def apply(self, *arguments):
        return self.call("apply", "--yes", *arguments).must(DONE)

    def remove(self, *arguments):
        return self.call("remove", "--yes", *arguments).must(DONE)

    def status(self, *codes):
        return self.call("status", "--json").must(*(codes or (DONE,)))

    def counters(self):
        """{what is counted: packets mirrored so far}, of a mirror that is well."""
        rows = {row["what"]: row["mirrored"] for row in self.status().rows("counters")}
        if not rows:
            raise Failed(f"{self.name}: status has no counters")
        return rows

    def must_have_nothing_to_do(self):
        """A plan with nothing in it, and an apply that changes nothing on the machine."""
        before = mirror_lab.host_state(self.ns)
        self.call("plan", "--detailed-exitcode").must(DONE)
        answer = self.apply()
        if "nothing to do" not in answer.out or re.search(r"^  [+~-] ", answer.out, re.M):
            raise Failed(f"a second apply has something to do:\n{answer.said()}")
        mirror_lab.same_state("apply once more", before, mirror_lab.host_state(self.ns))

    def must_refuse(self, says, verb="apply", codes=(FAILED, MISUSED), **how):
        """One sentence that names what is wrong and what to do, and nothing is changed."""
        before = mirror_lab.host_state(self.ns)
        answer = self.call(verb, *(["--yes"] if verb in ("apply", "remove") else []), **how)
        answer.must(*codes)
        # After its sentence a misuse says where help is.
        lines = [line for line in answer.err.splitlines() if not line.startswith(("usage: ", "Try "))]
        if len(lines) != 1 or not lines[0].startswith("cloudspan") or \
                not re.search(says, lines[0], re.I):
            raise Failed(f"not one line that says /{says}/:\n{answer.said()}")
        mirror_lab.same_state(f"refused ({says})", before, mirror_lab.host_state(self.ns))
        return answer


def target_of(net, kind, v6=False):
    if kind == "interface":
        return f"interface:{net.out}"
    return f"{kind}:[{net.collector6}]" if v6 else f"{kind}:{net.collector}"


# The devices that kinds of --to need: the feature's name in --list-methods, and how to try it by hand.
DEVICES = {
    "vxlan": ("vxlan", ("vxlan", "id", "1", "remote", "192.0.2.1", "dstport", "4789")),
    "geneve": ("geneve", ("geneve", "id", "1", "remote", "192.0.2.1")),
    "gre": ("gretap", ("gretap", "key", "1", "local", "192.0.2.2", "remote", "192.0.2.1")),
    "erspan1": ("erspan1", ("erspan", "key", "1", "local", "192.0.2.2", "remote", "192.0.2.1",
                            "erspan_ver", "0")),
    "erspan2": ("erspan2", ("erspan", "seq", "key", "1", "local", "192.0.2.2", "remote", "192.0.2.1",
                            "erspan_ver", "1")),
    "erspan3": ("erspan3", ("erspan", "seq", "key", "1", "local", "192.0.2.2", "remote", "192.0.2.1",
                            "erspan_ver", "2")),
}


def list_methods(lab):
    """({method: whether this kernel has it}, {feature: its row})"""
    done = subprocess.run([lab.cloudspan, "mirror", "plan", "linux", "--list-methods", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"--list-methods: {done.returncode}\n{done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return ({row["name"]: row["available"] for row in rows if row["type"] == "method"},
            {row["name"]: row for row in rows if row["type"] == "feature"})


@functools.lru_cache(maxsize=None)
def has_feature(lab, name):
    return list_methods(lab)[1][name]["answer"] == "yes"


@functools.lru_cache(maxsize=None)
def kinds_of(lab, method):
    """The kinds of --to that the method has on this kernel."""
    available, features = list_methods(lab)
    if not available[method]:
        return []
    if method == "user":
        return ["vxlan", "geneve"]
    # By hand, too: a module that is not loaded is tried here, before there is a machine to mirror.
    return [kind for kind, (feature, device) in DEVICES.items()
            if mirror_lab.has_link(device) and features[feature]["answer"] != "no"] + ["interface"]
