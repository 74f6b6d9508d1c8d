#!/usr/bin/env python3
"""Asks `cloudspan sources` of watches that are made up here: what is printed, and the exit code.

usage: sources.py PROGRAM
"""
import json
import os
import pty
import re
import socket
import subprocess
import sys
import tempfile
import threading

NOW = 1795317165


def machine(name, state, reason="", **more):
    return {"source": name, "network": "default", "configured": True, "encapsulation": "vxlan",
            "id": 101, "direction": "both", "outer": "10.0.1.11", "interface": "", "channels": 1,
            "state": state, "reason": reason, "last_packet": NOW - 0.25, "packets": 12,
            "packets_per_second": 88000, "in_bits_per_second": 410.2e6,
            "out_bits_per_second": 212.9e6, "copies_share": 0.125, **more}


def snapshot(machines, **more):
    return json.dumps({"cloudspan": "snapshot", "version": "0.1.0", "now": NOW, "started": NOW - 60,
                       "sources": machines, **more}) + "\n"


WELL = [machine("web-1", "ok"), machine("web-2", "quiet")]
ILL = [machine("old-7", "SILENT", "usually 12 Mb/s; no packet and no canary for 4m03s",
               last_packet=NOW - 243)] + WELL
REFUSED = [{"encapsulation": "vxlan", "id": 77, "outer": "10.9.8.7", "packets": 312,
            "last_packet": NOW - 2, "admit": "- name: NAME\n  channels: [\"vxlan:77\"]"}]
HOSTILE = [machine("\x1b[2J\x07\u202eevil", "ok"), machine("\u4e2d\u6587", "ok")]


class Watch:
    """Answers one request with the text; None: hangs up."""

    def __init__(self, folder, answer):
        self.path = os.path.join(folder, "watch.sock")
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return  # nobody asks any more
        self.asked = client.makefile().readline()
        try:
            if self.answer is not None:
                client.sendall(self.answer.encode())
        except OSError:
            pass
        client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        os.unlink(self.path)


def on_terminal(program, args, columns, env):
    """What the program prints on a terminal of that width, and its exit code."""
    master, slave = pty.openpty()
    run = subprocess.Popen(["sh", "-c", f'stty cols {columns} rows 24; exec "$@"', "sh", program, *args],
                           stdin=slave, stdout=slave, stderr=slave, env=env)
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
    os.close(master)
    return out.decode().replace("\r\n", "\n"), run.wait()


def main():
    program = os.path.abspath(sys.argv[1])
    failures = []
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]

    def check(what, good, *seen):
        if not good:
            failures.append(what)
            print("FAILED:", what, *seen, sep="\n")

    with tempfile.TemporaryDirectory(prefix="sources.") as folder:

        def ask(answer, *args, columns=None, **more):
            with Watch(folder, answer) as watch:
                args = ["sources", "--socket", watch.path, *args]
                if columns:
                    return (*on_terminal(program, args, columns, {**env, **more}), "")
                run = subprocess.run([program, *args], capture_output=True, text=True,
                                     env={**env, **more})
                return run.stdout, run.returncode, run.stderr

        out, code, err = ask(snapshot(WELL))
        check("all is well", code == 0 and not err and out.splitlines()[0].startswith("SOURCE"), out, err)
        check("rates", re.search(r"web-1 .* 410M +213M +88\.0k +12\.5 +0\.2s +ok$", out, re.M), out)
        out, code, _ = ask(snapshot(ILL, refused=REFUSED))
        check("a silent machine is 4", code == 4, out)
        check("first and with its reason", re.match(
            r"old-7 .* 4m03s +SILENT +usually 12 Mb/s; no packet and no canary for 4m03s$",
            out.splitlines()[1]), out)
        check("who is refused", "refused: vxlan 77 from 10.9.8.7, 312 packets, the last 2.0s ago\n"
              "  admit it:  - name: NAME\n               channels: [\"vxlan:77\"]\n" in out, out)
        out, code, _ = ask(snapshot(ILL), "-q")
        check("-q says it by its code only", code == 4 and not out, out)
        for state in ("UNKNOWN", "A-STATE-TO-COME"):
            out, code, _ = ask(snapshot([machine("x", state, "stopped", bad=True)]))
            check("bad is what the watch says", code == 4 and "stopped" in out, out)
        out, code, _ = ask(snapshot([]))
        check("nobody", code == 0 and out == "no machine was heard yet\n", out)

        out, code, _ = ask(snapshot(ILL, refused=REFUSED), "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        check("--json", code == 4 and [r["refused"] for r in rows] == [False] * 3 + [True], out)
        check("--json values", rows[0]["source"] == "old-7" and rows[0]["bad"] is True
              and rows[0]["last_packet"] == NOW - 243 and rows[1]["id"] == 101
              and rows[3]["admit"] == REFUSED[0]["admit"], out)

        for args, columns in (([], 80), ([], 40), ([], 132), (["--color=never"], 80)):
            out, code, _ = ask(snapshot(ILL, refused=REFUSED), *args, columns=columns)
            plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
            check(f"{columns} columns", code == 4
                  and max(map(len, plain.splitlines())) <= columns and "SILENT" in plain, out)
            check("the whole reason is there", ILL[0]["reason"] in " ".join(plain.split()), out)
            check("colour on a terminal", ("\x1b[" in out) == (not args), out)
        out, _, _ = ask(snapshot(ILL), columns=80, NO_COLOR="1")
        check("NO_COLOR", "\x1b" not in out, out)
        out, _, _ = ask(snapshot(ILL), "--color=always")
        check("--color=always", "\x1b[1;31m" in out, out)
        for columns in (None, 80, 30):
            out, _, _ = ask(snapshot(HOSTILE), "--color=never", columns=columns)
            check("names are made safe", "\x1b" not in out and "\x07" not in out
                  and "\u202e" not in out and "\\x1b[" in out, out)
        out, _, _ = ask(snapshot(HOSTILE), LANG="C")
        check("ASCII where the locale is not UTF-8", out.isascii() and "\\xe4\\xb8" in out, out)
        out, _, _ = ask(snapshot(HOSTILE), "--json")
        check("--json is ASCII", out.isascii() and json.loads(out.splitlines()[0])["source"]
              == HOSTILE[0]["source"], out)

        for what, answer in (("nothing", ""), ("none", None), ("nonsense", "hello\n"),
                             ("cut", snapshot(ILL)[:200]), ("an error", '{"error":"\x1b[2Jbusy"}\n'),
                             ("deep", "[" * 100000 + "\n"), ("another thing", "{}\n")):
            out, code, err = ask(answer)
            check(f"{what} is no answer", code == 1 and not out and err.startswith("cloudspan: error: ")
                  and "\x1b" not in err, out, err)

        run = subprocess.run([program, "sources"], capture_output=True, text=True, cwd=folder,
                             env={**env, "XDG_RUNTIME_DIR": folder})
        check("no watch", run.returncode == 1 and "no cloudspan watch is running" in run.stderr, run.stderr)
        for args in (["--color=x"], ["more"], ["--socket"], ["--nonsense"]):
            run = subprocess.run([program, "sources", *args], capture_output=True, text=True, env=env)
            check(f"wrong usage: {args}", run.returncode == 2 and not run.stdout, run.stderr)
        with Watch(folder, snapshot(ILL)) as watch, open("/dev/full", "w") as full:
            run = subprocess.run([program, "sources", "--socket", watch.path], stdout=full,
                                 stderr=subprocess.PIPE, text=True, env=env)
            check("a full disk is said", run.returncode == 1 and "standard output" in run.stderr, run.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
