"""`cloudspan mirror … openstack` as the scenarios call it, with the credentials of a user of the test's
cloud, and no secret in anything that it says or writes."""
import os
import subprocess
import time

from lab import Failed
from mirror_command import Answer
from stack import PASSWORD

DONE, FAILED, CHANGES, PARTIAL, UNHEALTHY = 0, 1, 2, 3, 4
SECRETS = {"alice": "alice-s3cret", "bob": "bob-s3cret", "admin": PASSWORD}


class Mirror:
    """`wish`: the options of plan and apply."""

    def __init__(self, stack, *wish, name="web", user="alice", project="shop", front=None):
        self.stack, self.lab, self.front = stack, stack.lab, front
        self.wish, self.name = list(wish), name
        self.state = self.lab.folder(f"state-{user}", 0o700)
        self.home = self.lab.folder(f"home-{user}", 0o700)
        self.credentials = {
            "OS_AUTH_URL": stack.url, "OS_USERNAME": user, "OS_PASSWORD": SECRETS.get(user, ""),
            "OS_PROJECT_NAME": project, "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default"}

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": self.home, "CLOUDSPAN_STATE": self.state,
                **self.credentials}

    def command(self, verb, *arguments):
        words = ["ip", "netns", "exec", self.stack.ns.name, self.lab.cloudspan, "mirror", verb,
                 "openstack", *(["--name", self.name] if self.name else [])]
        return [*words, *(self.wish if verb in ("plan", "apply") else []), *arguments]

    def start(self, verb, *arguments):
        return subprocess.Popen(self.command(verb, *arguments), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment())

    def end(self, process, limit=120):
        out, err = process.communicate(timeout=limit)
        answer = Answer(process.args[4:], process.returncode, out, err)
        self.must_keep_secrets(out + err, "what it says")
        return answer

    def call(self, verb, *arguments):
        begin = time.monotonic()
        answer = self.end(self.start(verb, *arguments))
        if os.environ.get("CLOUDSPAN_OPENSTACK_DEBUG"):
            print(f"{time.monotonic() - begin:.1f} s, {answer.said()}", flush=True)
        return answer

    def plan(self, *arguments):
        return self.call("plan", *arguments).must(DONE)

    def apply(self, *arguments):
        return self.call("apply", "--yes", *arguments).must(DONE)

    def remove(self, *arguments):
        return self.call("remove", "--yes", *arguments).must(DONE)

    def status(self, *codes):
        return self.call("status", "--json").must(*(codes or (DONE,)))

    def must_refuse(self, says, verb="apply", *arguments):
        """One sentence with these words in it, and nothing is changed."""
        before = self.stack.shape()
        answer = self.call(verb, *(["--yes"] if verb in ("apply", "remove") else []), *arguments)
        if answer.code not in (1, 2) or not all(word in answer.err for word in says):
            raise Failed(f"not refused with {says}:\n{answer.said()}")
        same(f"refused ({says})", before, self.stack.shape())
        return answer

    def must_have_nothing_to_do(self):
        before = self.stack.shape()
        self.call("plan", "--detailed-exitcode").must(DONE)
        answer = self.apply()
        if "nothing to do" not in answer.out:
            raise Failed(f"a second apply has something to do:\n{answer.said()}")
        same("apply once more", before, self.stack.shape())

    def must_keep_secrets(self, text, where):
        secrets = set(SECRETS.values()) | {"application-s3cret"}
        if self.front:
            secrets |= {call.token for call in self.front.calls if call.token}
        for secret in secrets:
            if secret in text:
                raise Failed(f"a password or a token is in {where}:\n{text[-3000:]}")

    def must_have_written_no_secret(self):
        for folder, _, names in os.walk(self.state):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    self.must_keep_secrets(file.read().decode("latin-1"), path)


def same(what, before, after):
    for key in sorted(set(before) | set(after)):
        if before.get(key) != after.get(key):
            raise Failed(f"{what}: {key} are not as before:\n{before.get(key)}\n{after.get(key)}")
