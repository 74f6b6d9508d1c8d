"""The laboratory of `cloudspan mirror … aws`: a VPC in the stand-in for AWS, with the collector in it,
and the command that is called with it."""
import os
import re
import signal
import subprocess
import time

import aws_metadata
import aws_standin
from aws_state import MARK, Cloud
from lab import Failed
from mirror_command import DONE, FAILED, MISUSED, Answer

PARTIAL = 3  # some of it could not be done
KEY, OTHER = "AKIACLOUDSPANTEST001", "AKIASOMEBODYELSE0001"
IMDS = "169.254.169.254"
SESSION, TARGET, FILTER, RULE = ("traffic-mirror-session", "traffic-mirror-target",
                                 "traffic-mirror-filter", "traffic-mirror-filter-rule")
MUTATING = re.compile(r"(Create|Delete|Modify|Attach|Detach|Authorize|Revoke)")

try:
    import aws_model as referee
except ImportError:
    referee = None  # python3-botocore is not installed: requests are not compared


def world(cloud):
    """A VPC of two zones: web-1, web-2 with two interfaces, db-1; a Lambda's interface; the
    collector."""
    vpc = cloud.vpc("10.0.0.0/16", {"Name": "prod"})
    a = cloud.subnet(vpc.id, "10.0.1.0/24", "a", {"Name": "front"})
    b = cloud.subnet(vpc.id, "10.0.2.0/24", "b", {"Name": "back"})
    group = cloud.group(vpc.id, "collector")
    cloud.rule(group.id, "udp", 4789, 4789, cidr="10.0.0.0/16")
    cloud.instance(a.id, "web-1", tags={"role": "web", "env": "prod"})
    web = cloud.instance(a.id, "web-2", tags={"role": "web", "env": "prod"})
    cloud.interface(b.id, web.id, 1)
    cloud.instance(b.id, "db-1", tags={"role": "db", "env": "prod"})
    cloud.interface(a.id, kind="lambda", description="AWS Lambda VPC ENI")
    cloud.instance(a.id, "collector", groups=[group.id])
    return vpc


class Aws:
    """One cloud with one client, whose state folder lasts."""
    number = 0

    def __init__(self, lab, make=world, own_metadata=True):
        Aws.number += 1
        self.lab = lab
        self.cloud = Cloud()
        self.vpc = make(self.cloud)
        self.url = aws_standin.serve(self.cloud)
        self.state = lab.folder(f"aws-{Aws.number}.state")
        self.home = lab.folder(f"aws-{Aws.number}.home")
        self.name = "lab"
        self.victim = None
        if self.has("collector"):
            aws_metadata.be(self.cloud, self.machine("collector").id)
        who = self.cloud.who[KEY]
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": self.home, "CLOUDSPAN_STATE": self.state,
            "AWS_ENDPOINT_URL": self.url, "AWS_REGION": self.cloud.region,
            "AWS_ACCESS_KEY_ID": who.key, "AWS_SECRET_ACCESS_KEY": who.secret, "LC_ALL": "C.UTF-8"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        if own_metadata:
            self.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = self.url
        self.wish = ["--vpc", self.vpc.id, "--to", self.sink()]
        self.before = self.cloud.state()

    # --- the world ---

    def has(self, name):
        return any(one.tags.get("Name") == name for one in self.cloud.all("instance"))

    def machine(self, name):
        return next(one for one in self.cloud.all("instance") if one.tags.get("Name") == name)

    def interface(self, name, index=0):
        return self.cloud.interfaces_of(self.machine(name).id)[index]

    def sink(self):
        """The collector's interface, where it has one."""
        return self.interface("collector").id if self.has("collector") else "self"

    def sessions(self):
        """{(machine's name, index of its interface): session}, of those with our mark."""
        found = {}
        for session in self.cloud.all(SESSION):
            eni = self.cloud.things.get(session.interface)
            if not any(key.startswith(MARK) for key in session.tags):
                continue
            link = eni.attachment if eni else None
            machine = self.cloud.things[link["instanceId"]] if link else None
            key = (machine.tags.get("Name") if machine else None,
                   link["deviceIndex"] if link else session.interface)
            if key in found:
                raise Failed(f"{key} has two sessions of ours: {found[key].id}, {session.id}")
            found[key] = session
        return found

    def must_mirror(self, *names):
        """Those, and no others: "web-2" or "web-2/1"."""
        wanted = {(name.partition("/")[0], int(name.partition("/")[2] or 0)) for name in names}
        if set(self.sessions()) != wanted:
            raise Failed(f"{sorted(self.sessions())} are mirrored, not {sorted(wanted)}")
        vnis = [session.vni for session in self.sessions().values()]
        if len(set(vnis)) != len(vnis):
            raise Failed(f"two sessions have one VNI: {vnis}")

    def must_be_whole(self):
        self.must_mirror("web-1", "web-2", "web-2/1", "db-1")
        if [len(self.cloud.all(kind)) for kind in (TARGET, FILTER)] != [1, 1]:
            raise Failed(f"not one target and one filter: {self.ours()}")

    def ours(self):
        """What has our mark, or was made by us."""
        return sorted(thing.id for thing in self.cloud.things.values()
                      if not thing.gone and (thing.own or thing.marked))

    def must_be_as_before(self, before=None):
        now, before = self.cloud.state(), before or self.before
        different = [f"{name}: {before.get(name)}\nnow {now.get(name)}"
                     for name in sorted(set(now) | set(before)) if now.get(name) != before.get(name)]
        if different:
            raise Failed("the cloud is not as it was:\n" + "\n".join(different[:5]))

    # --- the command ---

    def command(self, verb, *arguments):
        """A wish and a name where the verb takes them."""
        words = [self.lab.cloudspan, "mirror", verb, "aws"]
        if verb in ("plan", "apply"):
            words += self.wish
        if verb in ("plan", "apply", "status", "remove", "follow") and self.name:
            words += ["--name", self.name]
        if verb in ("apply", "remove"):
            words.append("--yes")
        return [*words, *arguments]

    def call(self, verb, *arguments, limit=120, unset=(), **environment):
        command = self.command(verb, *arguments)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=self.put(unset, environment)) \
                as process:
            self.victim = process.pid
            try:
                out, err = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failed(f"{' '.join(command)} does not end") from None
            finally:
                self.victim = None
        answer = Answer(command, process.returncode, out, err)
        self.must_be_discreet(answer)
        return answer

    def put(self, unset, environment):
        return {name: value for name, value in {**self.environment, **environment}.items()
                if name not in unset}

    def must_be_discreet(self, answer):
        """No secret in what is said or kept."""
        secrets = [who.secret for who in self.cloud.who.values()] + \
                  [who.token for who in self.cloud.who.values() if who.token]
        said = answer.out + answer.err
        for folder in (self.state,):
            for base, _, names in os.walk(folder):
                for name in names:
                    with open(os.path.join(base, name), "rb") as file:
                        said += file.read().decode("latin-1")
        for secret in secrets:
            if secret in said:
                raise Failed(f"a secret is in what {' '.join(answer.command[1:4])} says or keeps")

    def plan(self, *arguments, **how):
        return self.call("plan", *arguments, **how).must(DONE)

    def apply(self, *arguments, codes=(DONE,), **how):
        return self.call("apply", *arguments, **how).must(*codes)

    def remove(self, *arguments, codes=(DONE,), **how):
        answer = self.call("remove", *arguments, **how).must(*codes)
        kept = [name for name in os.listdir(self.state) if name.startswith(f"aws-{self.name}.")]
        if codes == (DONE,) and kept:
            raise Failed(f"after remove there is still {kept}")
        return answer

    def status(self, *arguments, **how):
        return self.call("status", "--json", *arguments, **how)

    def coverage(self, answer=None):
        """{(machine, interface): (mirrored, wanted, reason)}"""
        rows = (answer or self.status()).rows("coverage")
        return {(row["machine"], row["interface"]): (row["mirrored"], row["wanted"], row["reason"])
                for row in rows}

    def must_have_nothing_to_do(self):
        before, calls = self.cloud.state(), len(self.cloud.log)
        self.call("plan", "--detailed-exitcode").must(DONE)
        answer = self.apply()
        if "nothing to do" not in answer.out:
            raise Failed(f"a second apply has something to do:\n{answer.said()}")
        self.must_be_as_before(before)
        changes = [row["action"] for row in self.cloud.log[calls:]
                   if MUTATING.match(row.get("action", ""))]
        if changes:
            raise Failed(f"nothing was to be done, but {changes} were called")

    def must_refuse(self, says, verb="plan", *arguments, codes=(FAILED, MISUSED), **how):
        """One sentence that says what is wrong, and nothing is changed."""
        before = self.cloud.state()
        answer = self.call(verb, *arguments, **how).must(*codes)
        lines = [line for line in answer.err.splitlines() if not line.startswith(("usage:", "Try "))]
        if len(lines) != 1 or not re.search(says, lines[0], re.I):
            raise Failed(f"not one line that says /{says}/:\n{answer.said()}")
        self.must_be_as_before(before)
        return answer

    # --- to be killed ---

    def changes(self):
        """Actions that change something, in the order of the calls."""
        return [row["action"] for row in self.cloud.log if MUTATING.match(row.get("action", ""))]

    def kill_at(self, n, when):
        """The n-th changing call, from 0, ends the program before or after it is carried out."""
        seen = [0]

        def hook(number, at, action):
            if not MUTATING.match(action) or at != when:
                return
            seen[0] += 1
            if seen[0] == n + 1:
                limit = time.monotonic() + 10
                while self.victim is None and time.monotonic() < limit:
                    time.sleep(0.001)
                os.kill(self.victim, signal.SIGKILL)
        self.cloud.hook = hook

    # --- the end ---

    def judge(self, quiet=False):
        """Nobody's things were touched, and all requests are as botocore makes them."""
        if self.cloud.violations:
            raise Failed("not ours to change:\n" + "\n".join(self.cloud.violations))
        if referee is None:
            print("  (botocore is not installed: requests are not compared)")
            return
        seen = {}
        for row in self.cloud.log:
            # A request that was refused on purpose is one of ours all the same.
            if row.get("who") and not self.cloud.who[row["who"]].own:
                continue
            wrong = referee.judge(self.cloud, row)
            if wrong:
                raise Failed("a request is not as botocore makes it:\n" + "\n".join(wrong))
            seen[row.get("action")] = seen.get(row.get("action"), 0) + 1
        if not quiet:
            print("  calls: " + ", ".join(f"{n} {action}" for action, n in sorted(seen.items())))


def by_other(cloud, action, **parameters):
    """Somebody else calls the cloud, by hand."""
    work, _ = aws_standin.ACTIONS["ec2"][action]
    with cloud.lock:
        return work(cloud, cloud.who[OTHER], action, parameters)


def foreign_mirror(aws, name, index=0, number=1, sink=None):
    """A session that was made by hand, with its own target and filter; the session's id."""
    cloud = aws.cloud
    if sink is None:
        subnet = aws.interface(name).subnet
        host = cloud.instance(subnet, "their-collector")
        sink = cloud.interfaces_of(host.id)[0].id
    target = next((one for one in cloud.all(TARGET) if one.interface == sink), None)
    if target is None:
        by_other(cloud, "CreateTrafficMirrorTarget", NetworkInterfaceId=sink)
        target = cloud.all(TARGET)[-1]
    by_other(cloud, "CreateTrafficMirrorFilter")
    one = cloud.all(FILTER)[-1]
    for way in ("ingress", "egress"):
        by_other(cloud, "CreateTrafficMirrorFilterRule", TrafficMirrorFilterId=one.id,
                 TrafficDirection=way, RuleNumber=1, RuleAction="accept",
                 DestinationCidrBlock="0.0.0.0/0", SourceCidrBlock="0.0.0.0/0")
    by_other(cloud, "CreateTrafficMirrorSession", NetworkInterfaceId=aws.interface(name, index).id,
             TrafficMirrorTargetId=target.id, TrafficMirrorFilterId=one.id, SessionNumber=number)
    return cloud.all(SESSION)[-1].id
