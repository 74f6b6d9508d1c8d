"""`cloudspan mirror follow` of a cloud's mirror: what comes and goes, what fails, and its ends. The
cloud is the stand-in for NSX."""
import os
import re
import signal
import subprocess
import time

import aws_lab
from aws_lab import Aws
from lab import Failed, wait_until
from scenario import scenario
from scenarios_nsx import BINDING, FROM, WISH, Bench, must


class Follower:
    """One that runs; what it says is in a file."""

    def __init__(self, bench, *arguments):
        self.path = os.path.join(bench.state, "follow.log")
        with open(self.path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [bench.lab.cloudspan, "mirror", "follow", *arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=bench.environment)

    def said(self):
        with open(self.path, encoding="utf-8") as log:
            text = log.read()
        for secret in ("secret", "YWRtaW46c2VjcmV0"):
            if secret in text:
                raise Failed(f"it shows credentials: {text}")
        return text

    def wait(self, words, n=1):
        wait_until(lambda: self.said().count(words) >= n or self.process.poll() is not None,
                   lambda: f"{words}: {self.said()}")
        must(self.said().count(words) >= n, f"{words}: {self.said()}")

    def end(self, number=signal.SIGTERM, code=0):
        begin = time.monotonic()
        self.process.send_signal(number)
        got = self.process.wait(timeout=60)
        must(got == code, f"{got}: {self.said()}")
        return time.monotonic() - begin


def record_of(bench):
    with open(os.path.join(bench.state, "sources", "nsx-hunt.yaml"), encoding="utf-8") as file:
        return file.read()


@scenario("mirror-follow")
def mirror_follow(lab):
    """Machines come and go; somebody takes things away; the cloud refuses, and hangs."""
    bench = Bench(lab)
    nsx = bench.nsx
    bench.call("apply", *WISH, "--yes")
    follower = Follower(bench, "nsx", "--interval", "1", "-v")
    follower.wait("GET http://127.0.0.1:", 4)
    n_calls = len(nsx.calls)
    follower.wait("GET http://127.0.0.1:", 20)
    must(all(call[0] == "GET" for call in nsx.calls[n_calls:]), nsx.calls[n_calls:])
    must(re.search(r"^cloudspan: GET http://\S+: 200, \d+ ms$", follower.said(), re.M),
         follower.said())

    with nsx.lock:
        new = nsx.add_machine("api", "00:50:56:00:00:06", ["10.1.0.6"], [("env", "prod")])
    follower.wait("hunt ~ ")
    must(new in nsx.objects[FROM]["expression"][0]["external_ids"], nsx.objects[FROM])
    wait_until(lambda: "10.1.0.6" in record_of(bench), lambda: record_of(bench))
    with nsx.lock:
        del nsx.objects[BINDING]
    follower.wait("hunt + ")
    must(BINDING in nsx.objects, nsx.objects)

    # While it follows, others may work; what they take away it does not make again.
    must("nothing to do" in bench.call("apply", *WISH, "--yes"), "follow left something to do")
    with nsx.lock:
        nsx.user = ("admin", "another")
    follower.wait("credentials")
    time.sleep(2.5)
    # Once; or twice, when it was in the midst of a look: then it met them at another call.
    told = [line for line in follower.said().splitlines() if "it is tried again" in line]
    must(len(told) <= 2 and len(set(told)) == len(told), follower.said())
    with nsx.lock:
        nsx.user = ("admin", "secret")
    follower.wait("it works again")
    bench.call("remove", "--name", "hunt", "--yes")
    bench.must_be_clean()
    time.sleep(2.5)
    bench.must_be_clean()
    must(follower.end() < 5, "it does not end")

    # It ends while the cloud says nothing, and changes nothing any more.
    bench.call("apply", *WISH, "--yes")
    with nsx.lock:
        follower = Follower(bench, "--name", "hunt", "--interval", "1")
        time.sleep(1.5)
        took = follower.end(signal.SIGINT)
    must(took < 5, f"it took {took} s to end")
    must("error" not in follower.said(), follower.said())
    bench.call("plan", *WISH, "--detailed-exitcode")
    bench.must_be_lawful()


@scenario("mirror-follow-once")
def mirror_follow_once(lab):
    """As a timer does it: exit codes, killed between any two calls; and the unit that is printed."""
    bench = Bench(lab)
    nsx = bench.nsx
    must(bench.call("follow", "--once") == "", "something is said of no mirror")
    bench.call("follow", "--once", "--name", "hunt", codes=(1,))
    bench.call("apply", *WISH, "--yes")
    must(bench.call("follow", "--once") == "", "something is said where all is in step")

    at = 0
    while True:
        with nsx.lock:
            nsx.objects.pop(BINDING, None)
            number = len(nsx.calls) + at // 2
            nsx.kill = (number, at % 2 == 1)
        started = []  # its first call may come before `start` is back

        def end_client(started=started):
            wait_until(lambda: started, "it did not start")
            started[0].kill()
            started[0].wait()
        nsx.end_client = end_client
        process = bench.start("follow", "--once")
        started.append(process)
        said = process.communicate(timeout=120)[0]
        nsx.kill = None
        bench.call("follow", "--once")
        must(BINDING in nsx.objects, nsx.objects)
        bench.call("plan", *WISH, "--detailed-exitcode")
        if process.returncode == 0:
            break
        must(process.returncode == -signal.SIGKILL, f"{process.returncode}: {said}")
        at += 1
    must(at > 8, f"only {at} places to be killed at")

    # All of them fail: 1. One of two: 3.
    other = ("--name", "other", "--to", "gre:10.9.0.2", "--id", "78", "--tag", "env=dev")
    bench.call("apply", *other, "--yes")
    nsx.user = ("admin", "another")
    bench.call("follow", "--once", codes=(1,))
    nsx.user = ("admin", "secret")
    nsx.machines["5000-0003"]["tags"] = []
    said = bench.call("follow", "--once", codes=(3,))
    must(said.count("error") == 1, said)
    nsx.machines["5000-0003"]["tags"] = [{"scope": "env", "tag": "dev"}]
    bench.call("follow", "--once")

    script = bench.call("plan", *WISH, "--print=systemd")
    run = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    must(run.returncode == 0, f"{script}\n{run.stderr}")
    must(f" mirror follow nsx --name=hunt --state={bench.state}\n" in script and
         "Type=notify" in script, script)
    for name in ("hunt", "other"):
        bench.call("remove", "--name", name, "--yes")
    bench.must_be_clean()


def crowd(cloud):
    """Seven machines beside those of the usual world."""
    vpc = aws_lab.world(cloud)
    for number in range(7):
        cloud.instance(cloud.all("subnet")[0].id, f"many-{number}", tags={"role": "web"})
    return vpc


@scenario("mirror-follow-doubt")
def mirror_follow_doubt(lab):
    """A cloud that forgets most of its machines for a moment costs none of them its mirror."""
    aws = Aws(lab, crowd)
    aws.wish += ["--tag", "role=web"]
    aws.apply()
    many = [aws.machine(f"many-{number}") for number in range(7)]
    before = set(aws.sessions())
    must(len(before) == 7 + 3, before)

    def turn(tag):
        with aws.cloud.lock:
            for machine in many:
                machine.tags["role"] = tag

    turn("none")
    process = lab.start("once", *aws.command("follow", "--once"), env=aws.environment)
    wait_until(lambda: "7 of 10 sessions would be" in process.printed(), lambda: process.printed() + process.said())
    turn("web")
    code = process.wait()
    must(code == 0, f"{code}: {process.said()}")
    must(set(aws.sessions()) == before, "sessions were taken away")
    # But when it stays so, they go.
    turn("none")
    answer = aws.call("follow", "--once").must(0)
    must("looked at once more" in answer.out and len(aws.sessions()) == 3, answer.said())
    # What the cloud refuses is told, and the others are mirrored; for a while it is not tried again.
    turn("web")
    fault = aws.cloud.fault("CreateTrafficMirrorSession",
                            "TrafficMirrorSourcesPerTargetLimitExceeded", times=2)
    answer = aws.call("follow", "--once", "--json").must(3)
    must(len(aws.sessions()) == 8 and len(answer.rows("lack")) == 2, answer.said())
    fault.first, fault.times = fault.seen + 1, 1000
    n_calls = len(aws.cloud.log)
    process = lab.start("follow", *aws.command("follow", "--interval", "1"), env=aws.environment)
    wait_until(lambda: len(aws.cloud.log) > n_calls + 60 and process.must_run(),
               lambda: f"{len(aws.cloud.log)}: {process.said()}")
    must(process.stop() == 0, process.said())
    tried = [row for row in aws.cloud.log[n_calls:]
             if row.get("action") == "CreateTrafficMirrorSession"]
    must(len(tried) == 2 and process.printed().count("not made") == 2,
         lambda: f"{len(tried)} attempts\n{process.printed()}")
    aws.cloud.faults.remove(fault)
    aws.call("follow", "--once").must(0)
    must(set(aws.sessions()) == before, "not all are mirrored in the end")
    aws.judge()
