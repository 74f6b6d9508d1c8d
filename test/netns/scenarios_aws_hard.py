"""`cloudspan mirror … aws` where the cloud, or the program, does not do what it should: all of AWS's
refusals, lost answers, kills, wrong clocks, credentials that end."""
import os
import re
import time

from aws_lab import FILTER, PARTIAL, SESSION, TARGET, Aws
from lab import Failed
from mirror_command import DONE, FAILED, KILLED, UNHEALTHY
from scenario import scenario
from scenarios_aws import must

# Action, code, HTTP status: refusals that last. What was made until then may stay; the next apply,
# when nothing is refused any more, goes on from there.
LASTING = [
    ("CreateTrafficMirrorSession", "TrafficMirrorSessionsPerInterfaceLimitExceeded", 400),
    ("CreateTrafficMirrorSession", "TrafficMirrorSourcesPerTargetLimitExceeded", 400),
    ("CreateTrafficMirrorSession", "TrafficMirrorSessionsPerTargetLimitExceeded", 400),
    ("CreateTrafficMirrorSession", "TrafficMirrorSessionLimitExceeded", 400),
    ("CreateTrafficMirrorSession", "NetworkInterfaceNotSupported", 400),
    ("CreateTrafficMirrorSession", "InvalidParameterValue", 400),
    ("CreateTrafficMirrorSession", "UnauthorizedOperation", 403),
    ("CreateTrafficMirrorSession", "IncorrectInstanceState", 400),
    ("CreateTrafficMirrorTarget", "TrafficMirrorTargetLimitExceeded", 400),
    ("CreateTrafficMirrorTarget", "UnauthorizedOperation", 403),
    ("CreateTrafficMirrorFilter", "TrafficMirrorFilterLimitExceeded", 400),
    ("CreateTrafficMirrorFilterRule", "TrafficMirrorFilterRuleLimitExceeded", 400),
    ("ModifyTrafficMirrorFilterNetworkServices", "UnauthorizedOperation", 403),
    ("DescribeNetworkInterfaces", "UnauthorizedOperation", 403),
    ("DescribeTrafficMirrorSessions", "OptInRequired", 403),
    ("DescribeTrafficMirrorSessions", "AuthFailure", 401),
    ("DescribeTrafficMirrorFilters", "SignatureDoesNotMatch", 403),
    ("DescribeTrafficMirrorTargets", "RequestExpired", 400),
]
# Those that pass: the program asks again by itself.
PASSING = [
    ("DescribeNetworkInterfaces", "RequestLimitExceeded", 503),
    ("CreateTrafficMirrorSession", "RequestLimitExceeded", 503),
    ("CreateTrafficMirrorSession", "InternalError", 500),
    ("CreateTrafficMirrorTarget", "Unavailable", 503),
    ("CreateTrafficMirrorFilter", "ServiceUnavailable", 503),
    ("CreateTrafficMirrorFilterRule", "InternalError", 500),
    ("CreateTrafficMirrorSession", "InvalidTrafficMirrorTargetId.NotFound", 400),
    ("CreateTrafficMirrorSession", "InvalidTrafficMirrorFilterId.NotFound", 400),
    ("CreateTrafficMirrorFilterRule", "InvalidTrafficMirrorFilterId.NotFound", 400),
]
REMOVING = [
    ("DeleteTrafficMirrorFilter", "TrafficMirrorFilterInUse", 400),
    ("DeleteTrafficMirrorTarget", "TrafficMirrorTargetInUseException", 400),
    ("DeleteTrafficMirrorSession", "UnauthorizedOperation", 403),
]


@scenario("aws-faults")
def faults(lab):
    """Each of AWS's refusals is explained in its own words, and the next apply goes on from there."""
    for action, code, status in LASTING:
        aws = Aws(lab)
        fault = aws.cloud.fault(action, code, status=status, times=1000,
                                message=f"AWS says {code} of this")
        answer = aws.call("apply").must(FAILED, PARTIAL)
        said = answer.out + answer.err
        must(code in said, f"{action}: {code} is not said:\n{answer.said()}")
        if code == "UnauthorizedOperation":
            must(f"ec2:{action}" in said, f"the right that lacks is not said:\n{answer.said()}")
        elif status in (401, 403):
            must("IAM action" not in said, f"no right lacks:\n{answer.said()}")
        aws.cloud.faults.remove(fault)
        # That of an interface for what it is is believed, until somebody asks.
        converge(aws, f"{action}: {code}", *["--retry"] * code.endswith("NotSupported"))
    # A rule that is said to be there may be ours, made by a call whose answer was lost: no failure,
    # but the next apply looks again.
    aws = Aws(lab)
    aws.cloud.fault("CreateTrafficMirrorFilterRule", "TrafficMirrorFilterRuleAlreadyExists", first=2)
    aws.call("apply").must(DONE, FAILED, PARTIAL)
    converge(aws, "TrafficMirrorFilterRuleAlreadyExists")
    for action, code, status in PASSING:
        aws = Aws(lab)
        aws.cloud.fault(action, code, status=status, times=2)
        aws.apply()
        aws.must_be_whole()
        aws.cloud.faults.clear()
        converge(aws, f"{action}: {code}")
    aws = Aws(lab)
    aws.apply()
    aws.cloud.fault("DeleteTrafficMirrorTarget", "DependencyViolation", times=2)
    aws.remove()
    aws.must_be_as_before()
    for action, code, status in REMOVING:
        aws = Aws(lab)
        aws.apply()
        fault = aws.cloud.fault(action, code, status=status, times=1000)
        answer = aws.call("remove").must(FAILED, PARTIAL)
        must(code in answer.out + answer.err or "in use" in answer.out + answer.err,
             f"{action}: {code} is not said:\n{answer.said()}")
        aws.cloud.faults.remove(fault)
        aws.remove("--all")
        aws.must_be_as_before()
        aws.judge(quiet=True)


def converge(aws, what, *options):
    """Apply, and all is there once; apply again, and nothing is to do; remove, and nothing is left."""
    try:
        aws.apply(*options)
        aws.must_be_whole()
        aws.must_have_nothing_to_do()
        aws.remove()
        aws.must_be_as_before()
        aws.judge(quiet=True)
    except Failed as failed:
        raise Failed(f"after {what}: {failed}") from None


@scenario("aws-lost")
def lost(lab):
    """An answer that is lost after the call was carried out makes nothing twice."""
    for action in ("CreateTrafficMirrorTarget", "CreateTrafficMirrorFilter",
                   "CreateTrafficMirrorFilterRule", "CreateTrafficMirrorSession",
                   "ModifyTrafficMirrorFilterNetworkServices"):
        for after in (False, True):
            aws = Aws(lab)
            aws.cloud.fault(action, close=True, after=after)
            aws.apply()
            aws.must_be_whole()
            aws.cloud.faults.clear()
            converge(aws, f"{action} whose answer was lost")
    aws = Aws(lab)
    aws.apply()
    for action in ("DeleteTrafficMirrorSession", "DeleteTrafficMirrorTarget",
                   "DeleteTrafficMirrorFilter"):
        aws.cloud.fault(action, close=True, after=True)
    aws.remove()
    aws.must_be_as_before()
    aws.judge(quiet=True)


@scenario("aws-kill")
def kill(lab):
    """The program is killed before or after any call that changes something, and goes on later."""
    killed(lab, ())


@scenario("aws-kill-openings")
def kill_openings(lab):
    """The same of the rules of security groups, where they are part of the mirror."""
    killed(lab, ("--open-security-group", "--allow-canary=7"), "SecurityGroup")


def bed(lab, options):
    """With `options` the copies are kept out of the collector, and the canary of the machines."""
    aws = Aws(lab)
    if options:
        group = next(one for one in aws.cloud.all("security-group") if one.name == "collector")
        for rule in aws.cloud.all("security-group-rule"):
            if rule.group == group.id and not rule.egress:
                aws.cloud.drop(rule)
        aws.cloud.permitted |= {one.id for one in aws.cloud.all("security-group")}
        aws.wish += options
        aws.before = aws.cloud.state()
    return aws


def killed(lab, options, of=""):
    """`of`: a part of the names of actions that it is killed at."""
    calm = bed(lab, options)
    calm.apply()
    making = calm.changes()
    calm.remove()
    unmaking = calm.changes()[len(making):]
    print(f"  {len(making)} changes to apply, {len(unmaking)} to remove")
    must(any(of in action for action in making), f"there is no {of} in {making}")
    for n in (n for n, action in enumerate(making) if of in action):
        for when in ("before", "after"):
            aws = bed(lab, options)
            aws.kill_at(n, when)
            aws.call("apply").must(KILLED)
            aws.cloud.hook = None
            # Each second time without waiting for an apply.
            if (n + (when == "after")) % 2:
                converge(aws, f"a kill {when} change {n} of apply")
            else:
                aws.remove("--all")
                must(not aws.ours(), lambda: f"killed {when} change {n} and removed, but there are "
                                             f"{aws.ours()}")
                aws.must_be_as_before()
                aws.judge(quiet=True)
    for n in (n for n, action in enumerate(unmaking) if of in action):
        for when in ("before", "after"):
            aws = bed(lab, options)
            aws.apply()
            aws.cloud.log.clear()
            aws.kill_at(n, when)
            aws.call("remove").must(KILLED)
            aws.cloud.hook = None
            aws.remove("--all")
            aws.must_be_as_before()
            aws.judge(quiet=True)


@scenario("aws-consistent")
def consistent(lab):
    """A cloud that is late: what was made is not there yet, what was deleted is there still."""
    for lag, ghosts, lag_ms in ((1, 0, 0), (2, 2, 0), (0, 0, 1500)):
        aws = Aws(lab)
        aws.cloud.lag, aws.cloud.ghosts, aws.cloud.lag_ms = lag, ghosts, lag_ms
        aws.apply()
        aws.must_be_whole()
        aws.apply()
        aws.must_be_whole()
        aws.cloud.lag = aws.cloud.lag_ms = 0
        time.sleep(lag_ms / 1000)
        aws.remove()
        aws.cloud.ghosts = 0
        for thing in list(aws.cloud.things.values()):
            if thing.gone:
                aws.cloud.forget(thing)
        aws.must_be_as_before()
        aws.judge(quiet=True)


@scenario("aws-skew")
def skew(lab):
    """Our clock is wrong: by AWS's own, all works."""
    for seconds in (-1200, 1200):
        aws = Aws(lab)
        aws.cloud.skew = seconds
        aws.apply()
        aws.must_be_whole()
        aws.remove()
        aws.must_be_as_before()
        must(not aws.cloud.violations, aws.cloud.violations)


@scenario("aws-expired")
def expired(lab):
    """Credentials that end in the midst of it are fetched anew, or it is said that they have ended."""
    aws = Aws(lab)
    who = aws.cloud.session_for("arn:aws:sts::123456789012:assumed-role/x/y", seconds=-10)
    given = {"AWS_ACCESS_KEY_ID": who.key, "AWS_SECRET_ACCESS_KEY": who.secret,
             "AWS_SESSION_TOKEN": who.token}
    aws.must_refuse(r"expired", **given)
    # Of a role: the program fetches new ones when AWS says that these have ended.
    role = "arn:aws:iam::123456789012:role/mirror"
    aws.cloud.roles[role] = 0
    calls = [0]

    def end(number, when, action):
        """The role's credentials end in the midst of apply."""
        calls[0] += when == "after" and action == "CreateTrafficMirrorSession"
        if calls[0] == 2 and when == "after":
            calls[0] += 1
            for person in aws.cloud.who.values():
                if person.token:
                    person.expires = time.time() - 1
    aws.cloud.hook = end
    aws.apply("--role", role)
    aws.cloud.hook = None
    aws.must_be_whole()
    must(sum(row.get("action") == "AssumeRole" for row in aws.cloud.log) >= 2, "assumed once only")
    aws.remove()
    aws.must_be_as_before()
    aws.judge(quiet=True)


@scenario("aws-503")
def unavailable(lab):
    """A cloud that throttles: it takes longer, and works; one that is away is waited for, then said."""
    aws = Aws(lab)
    aws.cloud.throttle("Create*", 2, 4)
    aws.cloud.throttle("Describe*", 4, 8)
    begin = time.monotonic()
    aws.apply()
    aws.must_be_whole()
    refused = sum(row.get("code") == "RequestLimitExceeded" for row in aws.cloud.log)
    print(f"  {time.monotonic() - begin:.1f} s, {len(aws.cloud.log)} calls, {refused} throttled")
    must(refused, "nothing was throttled")
    must(refused < len(aws.cloud.log) / 2, "more refused than not: it does not slow down")
    aws.cloud.rates.clear()
    before = aws.cloud.state()
    aws.cloud.fault("*", "Unavailable", status=503, times=1000)
    begin = time.monotonic()
    answer = aws.call("plan", limit=300).must(FAILED)
    print(f"  away: given up after {time.monotonic() - begin:.1f} s")
    must(re.search("Unavailable", answer.err), answer.said())
    aws.must_be_as_before(before)
    aws.cloud.faults.clear()
    aws.remove()
    aws.must_be_as_before()
    aws.judge(quiet=True)


@scenario("aws-behind")
def behind(lab):
    """A session that was deleted behind our back: status says which, by whom, and when."""
    aws = Aws(lab)
    aws.apply()
    gone = aws.sessions()[("web-1", 0)].id
    with aws.cloud.lock:
        aws.cloud.behind_our_back(gone)
    answer = aws.status().must(UNHEALTHY)
    said = [row["text"] for row in answer.rows("blame")]
    must(any(gone in text and "mallory" in text for text in said), f"{said}\n{answer.said()}")
    plain = aws.call("status").out
    must("mallory" in plain and "web-1" in plain, plain)
    # Where CloudTrail may not be asked, status works without it.
    aws.cloud.fault("LookupEvents", "AccessDeniedException", status=400, times=1000)
    answer = aws.status().must(UNHEALTHY)
    must(answer.rows("status")[0]["missing"] == 1, answer.said())
    aws.cloud.faults.clear()
    aws.apply()
    aws.must_be_whole()
    # A filter, with all that stands on it.
    with aws.cloud.lock:
        for session in aws.cloud.all(SESSION):
            aws.cloud.behind_our_back(session.id)
        aws.cloud.behind_our_back(aws.cloud.all(FILTER)[0].id)
        aws.cloud.behind_our_back(aws.cloud.all(TARGET)[0].id)
    aws.status().must(UNHEALTHY)
    converge(aws, "all was deleted behind our back")


@scenario("aws-vanish")
def vanish(lab):
    """An interface, or a machine, vanishes while it is being mirrored."""
    for name in ("web-1", "db-1"):
        aws = Aws(lab)
        aws.cloud.fault("CreateTrafficMirrorSession", first=2,
                        do=lambda cloud, name=name, aws=aws: aws.has(name) and cloud.terminate(
                            aws.machine(name).id))
        aws.call("apply").must(DONE, FAILED, PARTIAL)
        aws.cloud.faults.clear()
        aws.apply()
        wanted = {("web-1", 0), ("web-2", 0), ("web-2", 1), ("db-1", 0)} - {(name, 0)}
        must(set(aws.sessions()) == wanted, lambda: sorted(aws.sessions()))
        aws.must_have_nothing_to_do()
        aws.remove()
        must(not aws.ours(), lambda: f"left over: {aws.ours()}")
        aws.judge(quiet=True)
    # The collector's interface is gone: that is said.
    aws = Aws(lab)
    aws.apply()
    sink = aws.sink()
    with aws.cloud.lock:
        aws.cloud.terminate(aws.machine("collector").id)
    answer = aws.call("plan", *[]).must(FAILED)
    must(sink in answer.err, answer.said())
    aws.remove()
    must(not aws.ours(), lambda: f"left over: {aws.ours()}")


@scenario("aws-two")
def two(lab):
    """Two mirrors with one collector: its interface is a target once, and goes with the last of them."""
    aws = Aws(lab)
    subnets = aws.cloud.all("subnet")
    aws.wish += ["--subnet", subnets[0].id]
    aws.apply()
    first = aws.wish
    aws.name, aws.wish = "other", ["--vpc", aws.vpc.id, "--to", aws.sink(), "--subnet", subnets[1].id]
    aws.apply()
    must(len(aws.cloud.all(TARGET)) == 1, f"{len(aws.cloud.all(TARGET))} targets of one interface")
    aws.must_mirror("web-1", "web-2", "web-2/1", "db-1")
    aws.must_have_nothing_to_do()
    aws.name, aws.wish = "lab", first
    aws.must_have_nothing_to_do()
    answer = aws.remove(codes=(PARTIAL,))
    must("used by the session" in answer.err, answer.said())
    aws.must_mirror("web-2/1", "db-1")
    aws.name = "other"
    must(aws.status().rows("status")[0]["state"] == "ok", "the other one is not whole any more")
    aws.remove()
    aws.name = "lab"
    aws.remove()
    aws.must_be_as_before()
    aws.judge()


@scenario("aws-refused")
def refused(lab):
    """Credentials that are none, or that AWS refuses, are no lack of a permission."""
    aws = Aws(lab)
    os.makedirs(os.path.join(aws.home, ".aws"))
    with open(os.path.join(aws.home, ".aws", "config"), "w", encoding="utf-8") as file:
        file.write("[profile empty]\ncredential_process = false\n"
                   "[profile code]\nrole_arn = arn:aws:iam::123456789012:role/x\n"
                   "source_profile = empty\nmfa_serial = arn:aws:iam::123456789012:mfa/x\n")
    for says, how in (
            (r"SignatureDoesNotMatch.*secret key", {"AWS_SECRET_ACCESS_KEY": "wrong"}),
            (r"AuthFailure.*of this account", {"AWS_ACCESS_KEY_ID": "AKIANOBODY"})):
        answer = aws.must_refuse(says, **how)
        must("IAM action" not in answer.err, answer.said())
    for says, words in ((r"role/x .*AssumeRole: AccessDenied", ["--role", "arn:aws:iam::123456789012:role/x"]),
                        (r"profile empty: false: failed", ["--profile", "empty"]),
                        (r"profile code .*MFA", ["--profile", "code"]),
                        (r"profile nobody", ["--profile", "nobody"])):
        aws.cloud.fault("AssumeRole", "AccessDenied", status=403, times=1)
        answer = aws.must_refuse(says, "plan", *words)
        must("IAM action" not in answer.err, answer.said())
    aws.judge()
