"""`cloudspan mirror … aws` with the stand-in: a VPC is covered, kept in step, and left as it was."""
import os
import re
import subprocess
import time

import aws_lab
import aws_metadata
import aws_standin
from aws_lab import FILTER, PARTIAL, SESSION, TARGET, Aws, by_other, foreign_mirror
from lab import Failed, wait_until
from mirror_command import CHANGES, DONE, FAILED, UNHEALTHY
from scenario import scenario


def must(condition, what):
    if not condition:
        raise Failed(what() if callable(what) else what)


def real_metadata(lab, aws):
    """The metadata service where an instance has it."""
    subprocess.run(["ip", "addr", "add", aws_lab.IMDS + "/32", "dev", "lo"], check=True)
    aws_standin.serve(aws.cloud, aws_lab.IMDS, 80)


@scenario("aws-plan")
def plan(lab):
    """A plan names each interface that is mirrored and each that is not, and changes nothing."""
    aws = Aws(lab)
    answer = aws.plan("--json")
    steps = answer.rows("step")
    kinds = [step["kind"] for step in steps]
    must(kinds.count("session") == 4 and kinds.count("target") == 1 and kinds.count("filter") == 1 and
         kinds.count("rule") == 4, f"not what a mirror is made of: {kinds}\n{answer.said()}")
    must(all(step["action"] == "make" for step in steps), answer.said())
    must(answer.rows("plan")[0]["changes"] == len(steps), answer.said())
    must(not aws.changes(), lambda: f"a plan calls {aws.changes()}")
    must("lambda" in aws.plan().out, "the interface that can't be mirrored is not named")
    aws.call("plan", "--detailed-exitcode").must(CHANGES)
    aws.must_be_as_before()
    # In which order options and environment are taken, and what lacks is said.
    aws.must_refuse(r"credential", unset=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
                    AWS_EC2_METADATA_DISABLED="true")
    aws.must_refuse(r"region", unset=("AWS_REGION",), AWS_EC2_METADATA_DISABLED="true")
    aws.must_refuse(r"not able to validate|credential", AWS_ACCESS_KEY_ID="AKIANOBODY")
    aws.must_refuse(r"signature", AWS_SECRET_ACCESS_KEY="wrong")
    aws.wish = ["--vpc", "vpc-0", "--to", aws.sink()]
    aws.must_refuse(r"vpc-0")
    aws.judge()


@scenario("aws-apply")
def apply(lab):
    """The whole VPC is mirrored: each interface once, to the collector, with an id of its own."""
    aws = Aws(lab)
    answer = aws.apply()
    aws.must_be_whole()
    target, one = aws.cloud.all(TARGET)[0], aws.cloud.all(FILTER)[0]
    must(target.interface == aws.sink(), "another target")
    must(one.services == ["amazon-dns"], "without Amazon's DNS")
    rules = [(rule.way, rule.action, rule.source, rule.to) for rule in aws.cloud.all(aws_lab.RULE)]
    must(sorted(rules) == sorted((way, "accept", net, net) for way in ("ingress", "egress")
                                 for net in ("0.0.0.0/0", "::/0")), f"rules {rules}")
    for session in aws.sessions().values():
        must(session.target == target.id and session.filter == one.id and session.length is None,
             f"{session.__dict__}")
    must("recorded for watch" in answer.out, answer.said())
    answer = aws.status()
    must(answer.rows("status")[0]["state"] == "ok" and answer.code == DONE, answer.said())
    covered = aws.coverage(answer)
    must(sum(mirrored for mirrored, _, _ in covered.values()) == 4, covered)
    must(any("lambda" in reason for _, _, reason in covered.values()), covered)
    aws.must_have_nothing_to_do()
    aws.remove()
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-unfit")
def unfit(lab):
    """Types that AWS does not mirror are tried once, and what it answers is said; all others are
    mirrored. They are tried again when the type is another one, or on request."""
    def with_old(cloud):
        vpc = aws_lab.world(cloud)
        cloud.instance(cloud.all("subnet")[0].id, "old", "t2.micro")
        cloud.instance(cloud.all("subnet")[0].id, "new", "m8g.large")
        return vpc
    aws = Aws(lab, with_old)
    said = aws.plan().out
    must("t2.micro" in said and "m8g.large" in said, f"the types are not named:\n{said}")

    whole = ["web-1", "web-2", "web-2/1", "db-1"]

    def refuse(*options):
        answer = aws.call("apply", *options).must(PARTIAL)
        must("NetworkInterfaceNotSupported" in answer.out + answer.err, answer.said())
        aws.must_mirror(*whole)
    refuse()
    said = aws.call("plan", "--detailed-exitcode").must(DONE).out
    must("NetworkInterfaceNotSupported" in said and "m8g.large" in said, f"not said any more:\n{said}")
    answer = aws.status().must(DONE)
    covered = {machine: (mirrored, wanted, reason) for (machine, _), (mirrored, wanted, reason)
               in aws.coverage(answer).items()}
    must(not any(covered["old"][:2]) and "t2.micro" in covered["old"][2], covered)
    must(not any(covered["new"][:2]) and "m8g.large" in covered["new"][2] and
         "NetworkInterfaceNotSupported" in covered["new"][2], covered)
    aws.call("follow", "--once").must(DONE)
    # A further machine changes nothing about it; being asked does.
    with aws.cloud.lock:
        three = aws.cloud.instance(aws.machine("web-1").subnet, "web-3")
    aws.apply()
    whole.append("web-3")
    aws.call("plan", "--detailed-exitcode").must(DONE)
    refuse("--retry")
    aws.call("plan", "--detailed-exitcode").must(DONE)
    aws.call("plan", "--detailed-exitcode", "--retry").must(CHANGES)
    with aws.cloud.lock:
        aws.machine("new").type = "m6i.large"
    aws.call("plan", "--detailed-exitcode").must(CHANGES)
    aws.apply()
    aws.must_mirror(*whole, "new")
    aws.must_have_nothing_to_do()
    with aws.cloud.lock:
        aws.machine("new").type = "m8g.large"
        for one in (three, *aws.cloud.interfaces_of(three.id)):
            aws.before[one.id] = aws.cloud.state()[one.id]
    aws.remove()
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-again")
def again(lab):
    """Machines come and go, and a VNI stays with its interface, also when all is made anew."""
    aws = Aws(lab)
    aws.apply()
    vnis = {key: session.vni for key, session in aws.sessions().items()}
    ids = {key: session.id for key, session in aws.sessions().items()}
    with aws.cloud.lock:
        aws.cloud.instance(aws.machine("web-1").subnet, "web-3")
        aws.cloud.terminate(aws.machine("db-1").id)
    aws.call("plan", "--detailed-exitcode").must(CHANGES)
    must(aws.status().code == UNHEALTHY, "drift is not seen")
    aws.apply()
    aws.must_mirror("web-1", "web-2", "web-2/1", "web-3")
    must(all(aws.sessions()[key].id == ids[key] for key in ids if key[0] != "db-1"),
         "sessions that could stay were made anew")
    aws.must_have_nothing_to_do()
    aws.remove()
    must(not aws.ours(), lambda: f"left over: {aws.ours()}")
    aws.apply()
    must(all(aws.sessions()[key].vni == vni for key, vni in vnis.items() if key[0] != "db-1"),
         "other VNIs than before")
    # Without the journal all is known by its tags.
    for name in os.listdir(aws.state):
        path = os.path.join(aws.state, name)
        if os.path.isfile(path):
            os.unlink(path)
    aws.must_have_nothing_to_do()
    must(all(aws.sessions()[key].vni == vni for key, vni in vnis.items() if key[0] != "db-1"),
         "other VNIs without the journal")
    # Other options change what is there in place.
    aws.wish += ["--length", "256"]
    ids = {key: session.id for key, session in aws.sessions().items()}
    aws.apply()
    must(all(session.length == 256 and session.id == ids[key]
             for key, session in aws.sessions().items()), "the length is not changed in place")
    aws.must_have_nothing_to_do()
    aws.remove()
    must(not aws.ours(), lambda: f"left over: {aws.ours()}")
    aws.judge()


@scenario("aws-select")
def select(lab):
    """Tags, subnets, names and zones choose, excludes take out."""
    aws = Aws(lab)
    for options, wanted in (
            (["--tag", "role=web"], ("web-1", "web-2", "web-2/1")),
            (["--tag", "env=prod and not role=db", "--exclude", "Name=web-1"], ("web-2", "web-2/1")),
            (["--subnet", "back"], ("web-2/1", "db-1")),
            (["--instance", "web-*"], ("web-1", "web-2", "web-2/1")),
            (["--zone", "eu-west-1b"], ("web-2/1", "db-1"))):
        aws.wish = ["--vpc", aws.vpc.id, "--to", aws.sink(), *options]
        aws.apply()
        aws.must_mirror(*wanted)
        aws.must_have_nothing_to_do()
    aws.remove()
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-remove")
def remove(lab):
    """Removal leaves nothing, knows what is gone already, and touches nobody else's."""
    aws = Aws(lab)
    aws.apply()
    with aws.cloud.lock:
        for session in list(aws.sessions().values())[:2]:
            aws.cloud.behind_our_back(session.id)
    aws.remove()
    aws.must_be_as_before()
    aws.remove(codes=(DONE, FAILED))
    aws.must_be_as_before()
    # A foreign session on our target keeps it there until it is gone.
    aws.apply()
    target, one = aws.cloud.all(TARGET)[0], aws.cloud.all(FILTER)[0]
    by_other(aws.cloud, "CreateTrafficMirrorSession", NetworkInterfaceId=aws.interface("web-1").id,
             TrafficMirrorTargetId=target.id, TrafficMirrorFilterId=one.id, SessionNumber=99)
    theirs = aws.cloud.all(SESSION)[-1]
    answer = aws.call("remove").must(PARTIAL)
    must(theirs.id in aws.cloud.things and theirs.id not in answer.out.replace("in use", ""),
         "a foreign session is gone")
    must(target.id in aws.cloud.things and one.id in aws.cloud.things, "what was in use is gone")
    by_other(aws.cloud, "DeleteTrafficMirrorSession", TrafficMirrorSessionId=theirs.id)
    aws.remove("--all")
    aws.must_be_as_before()
    # By marks alone, all of them.
    with aws.cloud.lock:
        second = aws.cloud.interface(aws.interface("collector").subnet, aws.machine("collector").id, 1)
    aws.before = aws.cloud.state()
    for name, machine, sink in (("one", "web-1", aws.sink()), ("two", "db-1", second.id)):
        aws.name = name
        aws.wish = ["--vpc", aws.vpc.id, "--to", sink, "--instance", machine]
        aws.apply()
    subprocess.run(["rm", "-rf", aws.state], check=True)
    os.mkdir(aws.state)
    aws.name = None
    aws.remove("--all")
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-limits")
def limits(lab):
    """What AWS limits is said in the plan; several targets share the sources."""
    def many(cloud):
        vpc = aws_lab.world(cloud)
        subnet = cloud.all("subnet")[0].id
        for n in range(20):
            cloud.instance(subnet, f"m{n:02}")
        for n in (2, 3):
            cloud.instance(subnet, f"collector-{n}")
        return vpc
    aws = Aws(lab, many)
    exclude = ["--exclude", "Name=collector*"]
    aws.wish += exclude
    answer = aws.call("plan")
    must(re.search(r"\b10\b", answer.out + answer.err), f"the limit is not said:\n{answer.said()}")
    for n in (2, 3):
        aws.wish += ["--to", aws.interface(f"collector-{n}").id]
    aws.apply()
    sessions = aws.sessions()
    must(len(sessions) == 24, lambda: f"{len(sessions)} of 24 are mirrored")
    by_target = {}
    for session in sessions.values():
        by_target.setdefault(session.target, []).append(session)
    must(len(by_target) == 3 and all(len(rows) <= 10 for rows in by_target.values()), by_target)
    # Each collector gets to know which machines are packed to it.
    folder = os.path.join(aws.state, "sources")
    text = open(os.path.join(folder, os.listdir(folder)[0]), encoding="utf-8").read()
    first = re.search(r'^collector: "(.*)"$', text, re.M)[1]
    recorded = {}
    for source in text.split("  - name: ")[1:]:
        collector = re.search(r'^    collector: "(.*)"$', source, re.M)
        for vni in re.findall(r"vxlan:(\d+)@", source):
            recorded[int(vni)] = collector[1] if collector else first
    targets = {target.id: aws.cloud.things[target.interface].addresses[0]
               for target in aws.cloud.all(TARGET)}
    must(recorded == {session.vni: targets[session.target] for session in sessions.values()},
         f"{recorded}\n{text}")
    aws.must_have_nothing_to_do()
    aws.remove()
    aws.must_be_as_before()
    # A large type takes 100.
    aws.wish = ["--vpc", aws.vpc.id, "--to", aws.sink(), *exclude]
    aws.machine("collector").type = "m5.24xlarge"
    aws.before = aws.cloud.state()
    aws.apply()
    must(len(aws.sessions()) == 24, "the large one takes more")
    aws.remove()
    # An interface with three sessions of others has no place.
    for number in (1, 2, 3):
        foreign_mirror(aws, "web-1", number=number, sink=aws.interface("collector-2").id)
    answer = aws.plan()
    must(re.search(r"web-1.*(3|three) ", answer.out), f"no place is not said:\n{answer.said()}")
    aws.call("apply").must(DONE, PARTIAL)
    must(("web-1", 0) not in aws.sessions() and len(aws.sessions()) == 23, "23 of 24")
    must(any(machine == "web-1" and wanted and not mirrored for (machine, _), (mirrored, wanted, _)
             in aws.coverage().items()), "status does not say that web-1 is not mirrored")
    aws.judge()


@scenario("aws-foreign")
def foreign(lab):
    """Others' sessions are untouched; ours get numbers behind theirs."""
    aws = Aws(lab)
    theirs = [foreign_mirror(aws, "web-1", number=1), foreign_mirror(aws, "web-2", number=5)]
    aws.before = before = aws.cloud.state()
    aws.apply()
    aws.must_mirror("web-1", "web-2", "web-2/1", "db-1")
    numbers = {key: session.number for key, session in aws.sessions().items()}
    must(numbers[("web-1", 0)] > 1 and numbers[("web-2", 0)] != 5, numbers)
    now = aws.cloud.state()
    must(all(now[name] == before[name] for name in before), "something of others was changed")
    aws.must_have_nothing_to_do()
    aws.remove()
    aws.must_be_as_before()
    must(all(name in aws.cloud.things for name in theirs), "theirs are gone")
    aws.judge()


@scenario("aws-adopt")
def adopt(lab):
    """A session that was made by hand becomes ours when the user says so."""
    aws = Aws(lab)
    theirs = foreign_mirror(aws, "web-1", number=7, sink=aws.sink())
    session = aws.cloud.things[theirs]
    aws.cloud.permitted |= {theirs, session.target, session.filter}
    answer = aws.call("adopt", theirs, "--name", "lab", "--yes")
    answer.must(DONE)
    must(session.tags.get("cloudspan:mirror") == "lab", f"no mark: {session.tags}\n{answer.said()}")
    vni = session.vni
    aws.apply()
    aws.must_mirror("web-1", "web-2", "web-2/1", "db-1")
    must(aws.sessions()[("web-1", 0)].id == theirs and session.vni == vni,
         "it was made anew, or has another VNI")
    aws.must_have_nothing_to_do()
    aws.must_refuse(r"tms-0", "adopt", "tms-0", "--name", "lab", "--yes")
    aws.judge()


@scenario("aws-target")
def target(lab):
    """An interface of its own as target, that is moved from one collector to another while mirrors
    run."""
    def two(cloud):
        vpc = aws_lab.world(cloud)
        cloud.instance(cloud.all("subnet")[0].id, "collector-2", groups=[
            group.id for group in cloud.all("security-group") if group.name == "collector"])
        return vpc
    aws = Aws(lab, two)
    aws.cloud.transit = 2
    subnet = aws.interface("collector").subnet
    answer = aws.call("target", "create", subnet, "--yes").must(DONE)
    made = [eni for eni in aws.cloud.all("network-interface") if eni.own]
    must(len(made) == 1 and made[0].id in answer.out, answer.said())
    for name in ("collector", "collector-2"):
        verb = "attach" if name == "collector" else "move"
        aws.call("target", verb, made[0].id, aws.machine(name).id, "--yes").must(DONE)
        must(made[0].attachment and made[0].attachment["instanceId"] == aws.machine(name).id,
             f"not attached to {name}")
        if name == "collector":
            aws.wish = ["--vpc", aws.vpc.id, "--to", made[0].id, "--exclude", "Name=collector*"]
            aws.apply()
            ids = sorted(session.id for session in aws.sessions().values())
    must(ids == sorted(session.id for session in aws.sessions().values()), "other sessions")
    said = aws.plan().out
    must(not re.search(r"  ! .*(4789|security group .*copies)", said), f"copies are kept out:\n{said}")
    aws.must_have_nothing_to_do()
    aws.remove()
    aws.call("target", "delete", made[0].id, "--yes").must(DONE)
    aws.must_be_as_before()
    theirs = aws.cloud.interface(subnet)
    aws.must_refuse(theirs.id, "target", "delete", theirs.id, "--yes")
    aws.judge()


@scenario("aws-follow")
def follow(lab):
    """`follow` keeps step: a machine that comes is mirrored, one that goes is forgotten."""
    aws = Aws(lab)
    aws.apply()
    # As a timer calls it.
    with aws.cloud.lock:
        aws.cloud.instance(aws.machine("web-1").subnet, "web-3")
    aws.call("follow", "--once").must(DONE)
    aws.must_mirror("web-1", "web-2", "web-2/1", "db-1", "web-3")
    process = lab.start("follow", *aws.command("follow", "--interval", "1"), env=aws.environment)
    with aws.cloud.lock:
        aws.cloud.instance(aws.machine("web-1").subnet, "web-4")
        aws.cloud.terminate(aws.machine("web-1").id)
    wait_until(lambda: process.must_run() and set(aws.sessions()) == {
        ("web-2", 0), ("web-2", 1), ("db-1", 0), ("web-3", 0), ("web-4", 0)},
        lambda: f"{sorted(aws.sessions())}\n{process.said()}{process.printed()}", limit=60, every=0.2)
    # A cloud that is away for a while.
    fault = aws.cloud.fault("*", "ServiceUnavailable", status=503, times=3)
    time.sleep(2)
    aws.cloud.faults.remove(fault)
    with aws.cloud.lock:
        aws.cloud.behind_our_back(aws.sessions()[("web-3", 0)].id)
    wait_until(lambda: process.must_run() and ("web-3", 0) in aws.sessions(),
               lambda: f"web-3 is not mirrored again\n{process.said()}", limit=120, every=0.2)
    must(process.stop() == 0, "follow ended with an error")
    aws.must_have_nothing_to_do()
    aws.judge()


@scenario("aws-nlb")
def balancer(lab):
    """A load balancer as target: what it lacks is said, and sessions have its packet length."""
    aws = Aws(lab)
    subnet = aws.interface("collector").subnet
    nlb = aws.cloud.balancer("nlb", [subnet], listener=False, target=aws.machine("collector").id)
    aws.before = aws.cloud.state()
    aws.wish = ["--vpc", aws.vpc.id, "--to", "nlb:" + nlb.id, "--exclude", "Name=collector"]
    said = aws.plan().out
    must(re.search(r"listener", said, re.I), f"the missing listener is not said:\n{said}")
    aws.cloud.listener(nlb.id)
    aws.before = aws.cloud.state()
    must(not re.search(r"  ! .*listener", aws.plan().out, re.I), "a listener that is there")
    aws.apply()
    must(len(aws.sessions()) == 4 and all(session.length == 8500
                                          for session in aws.sessions().values()), "8500 bytes")
    aws.must_have_nothing_to_do()
    aws.remove()
    aws.must_be_as_before()
    # A gateway load balancer's endpoint.
    gate = aws.cloud.endpoint(subnet)
    aws.before = aws.cloud.state()
    aws.wish = ["--vpc", aws.vpc.id, "--to", "gwlbe:" + gate.id, "--exclude", "Name=collector"]
    aws.apply()
    must(aws.cloud.all(TARGET)[0].endpoint == gate.id, "another target")
    aws.must_have_nothing_to_do()
    aws.remove()
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-self")
def own_interface(lab):
    """On an instance: its own interface is found by the metadata service, which has the credentials,
    too."""
    aws = Aws(lab, own_metadata=False)
    real_metadata(lab, aws)
    aws.wish = ["--vpc", aws.vpc.id, "--to", "self"]
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    aws.apply(unset=keys)
    aws.must_be_whole()
    must(aws.cloud.all(TARGET)[0].interface == aws.interface("collector").id, "another target")
    asked = {row["headers"].get("x-amz-security-token") for row in aws.cloud.log}
    must(None not in asked, "calls without the role's token")
    # Credentials that end soon are fetched anew; those that do not come because of the hop limit are
    # explained.
    aws_metadata.be(aws.cloud, aws.machine("collector").id, lasts=2)
    aws.plan(unset=keys)
    aws.cloud.hop_limit = True
    aws.must_refuse(r"hop", unset=keys)
    aws.cloud.hop_limit = False
    aws.remove(unset=keys)
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-checks")
def checks(lab):
    """Why nothing would arrive is said before: security group, route, the other VPC."""
    aws = Aws(lab)
    group = next(one for one in aws.cloud.all("security-group") if one.name == "collector")
    rule = next(one for one in aws.cloud.all("security-group-rule")
                if one.group == group.id and not one.egress)
    aws.cloud.drop(rule)
    aws.before = aws.cloud.state()
    said = aws.plan().out
    must(group.id in said and "4789" in said, f"the security group is not said:\n{said}")
    aws.must_be_as_before()
    aws.cloud.permitted.add(group.id)
    aws.apply("--open-security-group")
    made = [one for one in aws.cloud.all("security-group-rule") if one.own]
    must(made and all(one.first == one.last == 4789 and one.protocol == "udp" for one in made), made)
    aws.remove()
    aws.must_be_as_before()
    # The collector in another VPC, without a way there, and with one.
    other = aws.cloud.vpc("10.9.0.0/16")
    subnet = aws.cloud.subnet(other.id, "10.9.1.0/24")
    far = aws.cloud.group(other.id, "far")
    aws.cloud.rule(far.id, "udp", 4789, 4789, cidr="0.0.0.0/0")
    aws.cloud.instance(subnet.id, "far", groups=[far.id])
    aws.wish = ["--vpc", aws.vpc.id, "--to", aws.interface("far").id]
    said = aws.plan().out
    must(re.search(r"  ! .*(route|peering)", said), f"no way is not said:\n{said}")
    aws.cloud.peer(aws.vpc.id, other.id)
    said = aws.plan().out
    must(not re.search(r"  ! .*no route", said), f"there is a way:\n{said}")
    aws.judge()


@scenario("aws-pages")
def pages(lab):
    """A VPC with 2500 interfaces: how long it takes, and how many calls."""
    def large(cloud):
        vpc = cloud.vpc("10.0.0.0/8")
        subnet = cloud.subnet(vpc.id, "10.1.0.0/16")
        for n in range(2500):
            cloud.instance(subnet.id, f"m{n:04}")
        cloud.instance(subnet.id, "collector")
        cloud.balancer("nlb", [subnet.id], target="i-x")
        return vpc
    aws = Aws(lab, large)
    nlb = aws.cloud.all("load-balancer")[0].id
    aws.wish = ["--vpc", aws.vpc.id, "--to", "nlb:" + nlb, "--exclude", "Name=collector"]
    aws.cloud.empty_pages = True
    for verb, most in (("plan", 60), ("apply", 2560), ("plan", 80), ("remove", 2560)):
        calls, begin = len(aws.cloud.log), time.monotonic()
        aws.call(verb, limit=400).must(DONE)
        calls = len(aws.cloud.log) - calls
        print(f"  {verb}: {time.monotonic() - begin:.1f} s, {calls} calls")
        must(calls <= most, f"{verb}: {calls} calls")
        if verb == "apply":
            must(len(aws.sessions()) == 2500, lambda: f"{len(aws.sessions())} are mirrored")
            vnis = {session.vni for session in aws.sessions().values()}
            must(len(vnis) == 2500, f"{len(vnis)} VNIs")
    aws.must_be_as_before()
    aws.cloud.log = aws.cloud.log[::50]  # the comparison of thousands of like requests takes long
    aws.judge()
