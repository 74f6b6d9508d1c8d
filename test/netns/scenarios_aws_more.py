"""`cloudspan mirror … aws`: credentials from each place that AWS's own tools know, what CloudWatch
counts, and tags that are gone."""
import os
import time

import aws_lab
from aws_lab import FILTER, PARTIAL, SESSION, TARGET, Aws
from lab import Failed
from mirror_command import DONE, KILLED, UNHEALTHY
from scenario import scenario
from scenarios_aws import must

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ROLE = "arn:aws:iam::123456789012:role/mirror"


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


@scenario("aws-credentials")
def credentials(lab):
    """The environment, files, roles, a program, web identity, a container, the instance: each is found,
    and nothing of it is said."""
    aws = Aws(lab)
    cloud, home = aws.cloud, aws.home
    cloud.roles[ROLE] = 0
    cloud.web_tokens.add("a.web.token")
    cloud.container_role, cloud.container_key = ROLE, "let me in"

    def person(n):
        return cloud.person(f"AKIAFILE{n:012d}", f"secret/of+{n}" + "x" * 26, f"arn:aws:iam::1:user/u{n}")
    default, web, source, program = (person(n) for n in range(1, 5))

    def keys(who):
        return f"aws_access_key_id = {who.key}\naws_secret_access_key = {who.secret}\n"
    tool = os.path.join(home, "tool")
    write(tool, "#!/bin/sh\n[ \"$1\" = 'two words' ] || exit 1\n"
          f"echo '{{\"Version\": 1, \"AccessKeyId\": \"{program.key}\", "
          f"\"SecretAccessKey\": \"{program.secret}\"}}'\n", 0o700)
    token = os.path.join(home, "token")
    write(token, "a.web.token")
    write(os.path.join(home, ".aws", "credentials"),
          f"[default]\n{keys(default)}\n[web]\n{keys(web)}\n[source]\n{keys(source)}\n")
    write(os.path.join(home, ".aws", "config"),
          f"[default]\nregion = {cloud.region}\n\n[profile web]\nregion = {cloud.region}\n\n"
          f"[profile role]\nregion = {cloud.region}\nrole_arn = {ROLE}\nsource_profile = source\n\n"
          f"[profile tool]\ncredential_process = {tool} \"two words\"\n\n"
          f"[profile id]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n")

    def who(*options, unset=KEYS, **environment):
        """Whose key the calls to EC2 are signed with; the assumed calls before."""
        cloud.log.clear()
        aws.call("plan", *options, unset=unset, **environment).must(DONE)
        used = {row["who"] for row in cloud.log if row.get("service") == "ec2"}
        must(len(used) == 1, f"{used}")
        return cloud.who[used.pop()], [row["action"] for row in cloud.log
                                       if row.get("service") == "sts"]

    def of_role(found):
        return found[0].arn.startswith("arn:aws:sts::123456789012:assumed-role/mirror/")
    must(who(unset=())[0].key == aws.environment["AWS_ACCESS_KEY_ID"], "not the environment")
    must(who()[0] is default, "not the default profile")
    must(who(unset=(*KEYS, "AWS_REGION"))[0] is default, "not the profile's region")
    must(who(AWS_PROFILE="web")[0] is web, "not AWS_PROFILE")
    must(who("--profile", "web", unset=())[0] is web, "--profile does not outweigh the environment")
    found = who("--profile", "role")
    must(of_role(found) and found[1] == ["AssumeRole"], found[1])
    must(who("--profile", "tool")[0] is program, "not the program")
    found = who("--profile", "id")
    must(of_role(found) and found[1] == ["AssumeRoleWithWebIdentity"], found[1])
    found = who("--role", ROLE)
    must(of_role(found) and found[1] == ["AssumeRole"], found[1])
    os.unlink(os.path.join(home, ".aws", "credentials"))
    found = who(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ROLE)
    must(of_role(found) and found[1] == ["AssumeRoleWithWebIdentity"], found[1])
    found = who(AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/container",
                AWS_CONTAINER_AUTHORIZATION_TOKEN="let me in")
    must(found[0].arn == ROLE, "not the container's")
    must("assumed-role/cloudspan/" in who()[0].arn, "not the instance's")
    # What is wrong with one place is said, and no other is taken in its stead.
    aws.must_refuse(r"profile nobody", "plan", "--profile", "nobody")
    write(token, "another")
    aws.must_refuse(r"token", "plan", "--profile", "id")
    aws.must_refuse(r"container|401", "plan", unset=KEYS,
                    AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/container")
    cloud.roles.clear()
    aws.must_refuse(r"AccessDenied", "plan", "--role", ROLE)
    aws.judge()


@scenario("aws-loss")
def loss(lab):
    """Packets that AWS could not mirror are in status, and in what watch gets to know."""
    aws = Aws(lab)
    aws.apply()
    web = aws.machine("web-1")
    now = time.time()
    for metric, rows in (("NetworkPacketsMirrorOut", [(now - 7200, 1000), (now - 600, 500)]),
                         ("NetworkPacketsMirrorIn", [(now - 600, 300)]),
                         ("NetworkPacketsSkipMirrorOut", [(now - 7200, 40), (now - 600, 2)]),
                         ("NetworkPacketsSkipMirrorIn", [(now - 600, 1)])):
        aws.cloud.metrics[("AWS/EC2", metric, web.id)] = rows
    answer = aws.status()
    rows = [row for row in answer.rows("counters") if row["what"].startswith("web-1")]
    must(rows and rows[0]["lost"] == 43 and rows[0]["mirrored"] == 1800, answer.said())
    must(rows[0]["trouble"], f"what is lost now is no trouble: {rows}")
    aws.apply()
    folder = os.path.join(aws.state, "sources")
    text = "".join(open(os.path.join(folder, name), encoding="utf-8").read()
                   for name in os.listdir(folder))
    must("43" in text, f"watch does not get to know what was lost:\n{text}")
    # Where CloudWatch may not be asked, all else works.
    aws.cloud.fault("GetMetricData", "AccessDenied", status=403, times=1000)
    aws.status().must(DONE)
    aws.must_have_nothing_to_do()
    aws.cloud.faults.clear()
    aws.judge()


@scenario("aws-target-kill")
def target_kill(lab):
    """`target create` is killed before or after each change, and goes on: one group, one interface."""
    calm = Aws(lab)
    subnet = calm.interface("collector").subnet
    calm.call("target", "create", subnet, "--yes").must(DONE)
    n = len(calm.changes())
    print(f"  {n} changes")
    for at in range(n):
        for when in ("before", "after"):
            aws = Aws(lab)
            aws.kill_at(at, when)
            aws.call("target", "create", subnet, "--yes").must(KILLED)
            aws.cloud.hook = None
            aws.call("target", "create", subnet, "--yes").must(DONE)
            made = [thing for thing in aws.cloud.things.values() if thing.own and not thing.gone]
            kinds = sorted(thing.kind for thing in made)
            if kinds != ["network-interface", "security-group", "security-group-rule"]:
                raise Failed(f"killed {when} change {at}: {kinds}")
            eni = next(thing for thing in made if thing.kind == "network-interface")
            aws.call("target", "delete", eni.id, "--yes").must(DONE, PARTIAL)
            aws.must_be_as_before()
            aws.judge(quiet=True)


@scenario("aws-stripped")
def stripped(lab):
    """Somebody takes the tags away: what is ours is known by the journal, and gets them again; no
    second one is made, and all of it goes."""
    def closed(cloud):
        vpc = aws_lab.world(cloud)
        for rule in cloud.all("security-group-rule"):
            if rule.first == 4789:
                cloud.drop(rule)
        return vpc
    aws = Aws(lab, closed)
    aws.cloud.permitted |= {group.id for group in aws.cloud.all("security-group")}
    aws.wish += ["--open-security-group", "--allow-canary=20000-20010"]
    aws.apply()
    aws.must_have_nothing_to_do()
    tags = {name: dict(aws.cloud.things[name].tags) for name in aws.ours()
            if aws.cloud.things[name].tags}
    must({aws.cloud.things[name].kind for name in tags} ==
         {SESSION, TARGET, FILTER, "security-group-rule"}, tags)

    def strip():
        with aws.cloud.lock:
            for name in tags:
                aws.cloud.things[name].tags.clear()
    strip()
    answer = aws.status().must(UNHEALTHY)
    must(not any(row["action"] == "make" for row in answer.rows("step")), answer.said())
    aws.apply()
    aws.must_be_whole()
    now = {name: dict(aws.cloud.things[name].tags) for name in tags}
    must(now == tags, f"{now}\nnot {tags}")
    aws.must_have_nothing_to_do()
    # One that somebody gave to another mirror is not ours any more, whatever the journal says.
    session = aws.sessions()["web-1", 0]
    with aws.cloud.lock:
        session.tags["cloudspan:mirror"] = "theirs"
    answer = aws.plan("--json")
    must({row["action"] for row in answer.rows("step")} <= {"keep", "make"}, answer.said())
    with aws.cloud.lock:
        session.tags.update(tags[session.id])
    strip()
    aws.remove()
    aws.must_be_as_before()
    aws.judge()
