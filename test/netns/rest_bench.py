"""`cloudspan mirror` against a stand-in for a cloud: each verb as a user calls it, killed where asked,
and what every cloud's mirror has to hold: nothing of others is touched, no secret is shown."""
import json
import os
import shutil
import signal
import subprocess

from lab import Failed, wait_until

DONE, FAILED, MISUSED, LACKING, UNHEALTHY, CHANGES = 0, 1, 2, 3, 4, 2
KILLED = -signal.SIGKILL


class Bench:
    """`name`: the mirror's; `wish`: the options of plan and apply; `some`: those of status and
    remove."""

    def __init__(self, lab, cloud, provider, name, wish, some, environment, secrets):
        self.lab, self.cloud, self.provider, self.name = lab, cloud, provider, name
        self.wish, self.some, self.secrets = list(wish), list(some), list(secrets)
        self.state = lab.folder(f"state-{provider}", 0o700)
        self.home = lab.folder("home", 0o700)
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.home, "no_proxy": "*",
                            **environment}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.process = None

    def words(self, verb, *arguments):
        words = [self.lab.cloudspan, "mirror", verb, self.provider, "--state", self.state]
        words += self.wish if verb in ("plan", "apply") else self.some
        words += ["--name", self.name] if verb == "remove" else []
        return words + (["--yes"] if verb in ("apply", "remove") else []) + list(arguments)

    def start(self, verb, *arguments):
        return subprocess.Popen(self.words(verb, *arguments), env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def call(self, verb, *arguments, codes=(DONE,), limit=120):
        """What it said; its exit code must be one of `codes`."""
        self.process = self.start(verb, *arguments)
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            raise Failed(f"mirror {verb}: no end after {limit} s") from late
        code = self.process.returncode
        said = f"{' '.join(self.words(verb, *arguments)[1:])}: {code}\n{out}{err}"
        if code not in codes:
            raise Failed(f"{said}\nnot {codes}; calls: {self.recent()}")
        self.must_be_clean(said)
        return said

    def recent(self):
        return "\n".join(f"  {call.method} {call.path}" for call in self.cloud.calls[-12:])

    def must_be_clean(self, said=""):
        if self.cloud.violations:
            raise Failed(f"against the rules: {self.cloud.violations}\n{said}")
        texts = [said]
        for folder, _, files in os.walk(self.state):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    texts.append(file.read().decode("latin-1"))
        for secret in self.secrets + list(self.cloud.tokens) + ["secret-token"]:
            if any(secret in text for text in texts):
                raise Failed(f"the secret '{secret[:12]}…' is shown or written down\n{said}")

    # ---- verbs ----

    def plan(self, *arguments, codes=(DONE,)):
        return self.call("plan", *arguments, codes=codes)

    def apply(self, *arguments, codes=(DONE,)):
        return self.call("apply", *arguments, codes=codes)

    def remove(self, *arguments, codes=(DONE,)):
        return self.call("remove", *arguments, codes=codes)

    def status(self, *codes):
        """Its JSON rows, by type."""
        said = self.call("status", "--json", codes=codes or (DONE,))
        rows = {}
        for line in said.splitlines():
            if line.startswith("{"):
                row = json.loads(line)
                rows.setdefault(row["type"], []).append(row)
        return rows

    def must_have_nothing_to_do(self):
        before = self.cloud.state()
        self.plan("--detailed-exitcode")
        self.apply()
        if self.cloud.state() != before:
            raise Failed("a second apply changed something")

    def must_say(self, said, *parts):
        for part in parts:
            if part.lower() not in said.lower():
                raise Failed(f"does not say '{part}':\n{said}")

    def lose_journal(self):
        """From here on only marks tell what there is."""
        shutil.rmtree(self.state)
        os.mkdir(self.state, 0o700)
        self.must_say(self.call("status", codes=(DONE, UNHEALTHY)), self.name)

    # ---- killed between any two calls, and inside any ----

    def kill(self):
        wait_until(lambda: self.process, "it did not start")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def killed_at(self, verb, number, phase):
        """True: it was killed there; False: it had come to its end before."""
        self.cloud.count_from_now()
        self.process = None
        self.cloud.kill_at = (number, phase, self.kill)  # before it starts: it may be quick
        self.process = self.start(verb)
        out, err = self.process.communicate(timeout=120)
        self.cloud.kill_at = None
        if self.process.returncode not in (DONE, KILLED):
            raise Failed(f"{verb}: {self.process.returncode}\n{out}{err}")
        self.must_be_clean(out + err)
        return self.process.returncode == KILLED


def same(what, wanted, got):
    if wanted != got:
        raise Failed(f"{what}: {json.dumps(got, indent=1, default=str)[:3000]}\nnot "
                     f"{json.dumps(wanted, indent=1, default=str)[:3000]}")
