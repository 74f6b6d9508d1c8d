"""`cloudspan mirror … google` against a stand-in for Google Cloud (test/cloud/google_standin.py)."""
import json
import os
import subprocess

from google_standin import ORGANIZATION, PROJECT, REGION, URL, ZONE, Google
from lab import Failed, need
from rest_bench import CHANGES, FAILED, LACKING, UNHEALTHY, Bench, same
from scenario import scenario


def world(cloud):
    main, other = cloud.network("main"), cloud.network("other")
    a = cloud.subnet("sub-a", main)
    b = cloud.subnet("sub-b", main, "10.0.1.0/24")
    cloud.subnet("proxy", main, "10.0.9.0/24", "REGIONAL_MANAGED_PROXY")
    watch = cloud.subnet("sub-watch", main, "10.0.2.0/24")
    away = cloud.subnet("sub-other", other, "10.9.0.0/24")
    col = cloud.instance("col", watch, "10.0.2.2")
    cloud.instance("web-1", a, "10.0.0.2", labels={"env": "prod"}, tags=["http"])
    cloud.instance("web-2", a, "10.0.0.3", labels={"env": "prod"})
    cloud.instance("db-1", b, "10.0.1.2", labels={"env": "prod", "role": "db"})
    cloud.instance("lone", away, "10.9.0.2")
    cloud.instance("far", a, "10.0.0.9", zone="us-east1-b")
    cloud.collector("col-rule", main, [col])
    cloud.collector("plain-rule", main, [col], mirroring=False)


def key_file(lab, cloud):
    """A service account's file, with a key of its own."""
    private, public = lab.path("key.pem"), lab.path("public.pem")
    openssl = need("openssl")
    subprocess.run([openssl, "genrsa", "-out", private, "2048"], check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run([openssl, "rsa", "-in", private, "-pubout", "-out", public], check=True,
                   stderr=subprocess.DEVNULL)
    cloud.public_key = public
    with open(private, encoding="ascii") as file:
        key = file.read()
    path = lab.path("service-account.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump({"type": "service_account", "project_id": PROJECT, "private_key_id": "k1",
                   "private_key": key, "client_email": "c@proj-1.iam.gserviceaccount.com",
                   "token_uri": cloud.url + "/token"}, file)
    return path, key.splitlines()[2]


def begin(lab, *wish):
    cloud = Google()
    world(cloud)
    path, secret = key_file(lab, cloud)
    wish = wish or ("--vpc", "main")
    bench = Bench(lab, cloud, "google", "main" if "--vpc" in wish else "col-rule",
                  ("--region", REGION, "--to", "col-rule", "--endpoint", cloud.url, *wish),
                  ("--endpoint", cloud.url),
                  {"GOOGLE_APPLICATION_CREDENTIALS": path,
                   "GCE_METADATA_HOST": cloud.url.replace("http://", "")}, [secret])
    return bench, cloud


@scenario("google-life", "openssl")
def google_life(lab):
    """Whole subnets; then machines by labels; changed in place; removed: Google is as it was."""
    bench, cloud = begin(lab, "--vpc", "main", "--all-instances")
    before = cloud.state()
    said = bench.plan("--detailed-exitcode", codes=(CHANGES,))
    bench.must_say(said, "cloudspan-main-1", "sub-a", "without a tunnel", "the collector is in")
    same("after plan", before, cloud.state())
    bench.apply()
    same("subnets", {"cloudspan-main-1": (["sub-a", "sub-b"], [], [])}, cloud.policies())
    bench.must_have_nothing_to_do()
    bench.status()
    rows = bench.status()["coverage"]
    if {row["machine"] for row in rows if row["mirrored"]} != {"web-1", "web-2", "db-1"}:
        raise Failed(f"coverage: {rows}")
    bench.must_say(bench.plan("--print"), "gcloud compute packet-mirrorings create cloudspan-main-1",
                   "--description=cloudspan=main", "gcloud compute packet-mirrorings delete")
    # By labels: machines are named, in the same policy.
    bench.wish = bench.wish[:-1] + ["--tag", "env=prod and not role=db"]
    bench.apply()
    same("machines", {"cloudspan-main-1": ([], ["web-1", "web-2"], [])}, cloud.policies())
    if not any(call.method == "PATCH" for call in cloud.calls):
        raise Failed("no change in place")
    bench.wish += ["--direction", "in", "--cidr", "10.0.0.0/8", "--protocol", "tcp"]
    bench.apply()
    policy = next(iter(cloud.of_kind("packetMirrorings").values()))
    same("filter", {"direction": "INGRESS", "cidrRanges": ["10.0.0.0/8"],
                    "IPProtocols": ["tcp"]}, policy["filter"])
    bench.must_have_nothing_to_do()
    bench.remove()
    same("after remove", before, cloud.state())
    bench.wish = bench.wish[:bench.wish.index("--tag")] + ["--network-tag", "http"]
    bench.apply()
    same("tags", {"cloudspan-main-1": ([], [], ["http"])}, cloud.policies())
    bench.must_have_nothing_to_do()
    bench.lose_journal()
    bench.remove()
    same("in the end", before, cloud.state())


@scenario("google-requests", "openssl")
def google_requests(lab):
    """The request has the fields of the reference, and no others."""
    bench, cloud = begin(lab, "--vpc", "main", "--instance", "web-1")
    cloud.count_from_now()
    bench.apply()
    posts = [call for call in cloud.calls if "packetMirrorings" in call.path and
             call.method == "POST"]
    same("path", [f"/compute/v1/projects/{PROJECT}/regions/{REGION}/packetMirrorings"],
         [call.path for call in posts])
    where = f"{URL}projects/{PROJECT}"
    same("body", {
        "name": "cloudspan-main-1", "description": "cloudspan=main", "enable": "TRUE",
        "network": {"url": f"{where}/global/networks/main"},
        "collectorIlb": {"url": f"{where}/regions/{REGION}/forwardingRules/col-rule"},
        "mirroredResources": {"subnetworks": [], "tags": [], "instances": [
            {"url": f"{where}/zones/{REGION}-a/instances/web-1"}]},
        "filter": {"cidrRanges": [], "IPProtocols": [], "direction": "BOTH"}}, posts[0].body)
    if len(posts[0].query.get("requestId", "")) != 36:
        raise Failed(f"no requestId: {posts[0].query}")
    bench.remove()


@scenario("google-pack", "openssl")
def google_pack(lab):
    """More machines than a policy takes; when some go, the others stay where they are."""
    bench, cloud = begin(lab, "--vpc", "main", "--tag", "many")
    cloud.page = 200
    subnet = f"projects/{PROJECT}/regions/{REGION}/subnetworks/sub-a"
    made = [cloud.instance(f"m-{i:03}", subnet, f"10.1.{i // 200}.{i % 200 + 2}",
                           labels={"many": "yes"}) for i in range(120)]
    bench.apply()
    sizes = {name: len(one[1]) for name, one in cloud.policies().items()}
    same("sizes", {"cloudspan-main-1": 50, "cloudspan-main-2": 50, "cloudspan-main-3": 20}, sizes)
    bench.must_have_nothing_to_do()
    for path in made[:3]:
        del cloud.things[path]
    for policy in cloud.of_kind("packetMirrorings").values():
        sources = policy["mirroredResources"]["instances"]
        sources[:] = [one for one in sources if one["url"].replace(URL, "") in cloud.things]
    cloud.count_from_now()
    bench.must_have_nothing_to_do()
    cloud.instance("m-new", subnet, "10.1.9.9", labels={"many": "yes"})
    bench.apply()
    patched = [call.path.rsplit("/", 1)[1] for call in cloud.calls if call.method == "PATCH"]
    same("only one policy is changed", ["cloudspan-main-1"], patched)
    bench.remove()
    same("removed", {}, cloud.policies())


@scenario("google-kill", "openssl")
def google_kill(lab):
    """Killed at any call, before or after Google did it: apply and remove go on from there."""
    bench, cloud = begin(lab, "--vpc", "main", "--tag", "env=prod")
    cloud.polls, cloud.page = 0, 100
    before = cloud.state()
    wanted = {"cloudspan-main-1": ([], ["db-1", "web-1", "web-2"], [])}
    for phase in ("before", "after"):
        number = 0
        while bench.killed_at("apply", number, phase):
            cloud.advance()
            bench.apply()
            same(f"apply after a kill {phase} call {number}", wanted, cloud.policies())
            bench.remove()
            same(f"remove after a kill {phase} call {number}", before, cloud.state())
            number += 1
        if number < 8:
            raise Failed(f"only {number} calls in an apply")
        number = 0
        while bench.killed_at("remove", number, phase):
            cloud.advance()
            bench.remove(codes=(0, FAILED, 2))
            same(f"removed after a kill {phase} call {number} of remove", before, cloud.state())
            bench.apply()
            number += 1
        if number < 3:
            raise Failed(f"only {number} calls in a remove")
        same("in the end", before, cloud.state())


@scenario("google-faults", "openssl")
def google_faults(lab):
    """Throttling, withdrawn tokens, 503, failed operations, quotas, foreign policies, who did it."""
    bench, cloud = begin(lab)
    other = cloud.add(f"projects/{PROJECT}/regions/{REGION}/packetMirrorings/theirs",
                      description="of others", network={"url": "x"}, collectorIlb={"url": "y"},
                      region=URL + f"projects/{PROJECT}/regions/{REGION}",
                      mirroredResources={"tags": ["x"]}, filter={}, enable="TRUE")
    before = cloud.state()
    cloud.fault(429, "rateLimitExceeded", n=1)
    cloud.fault(403, "rateLimitExceeded", "Rate Limit Exceeded", n=1)
    cloud.fault(503, "backendError", n=2)
    bench.apply()
    cloud.withdraw_tokens()
    bench.status()
    path = f"projects/{PROJECT}/regions/{REGION}/packetMirrorings/cloudspan-main-1"
    cloud.drop(path, "mallory@example.com")
    bench.must_say(bench.call("status", codes=(UNHEALTHY,)), "mallory@example.com", "web-1")
    bench.apply()
    cloud.things[path]["enable"] = "FALSE"
    bench.must_say(bench.call("status", codes=(UNHEALTHY,)), "enable")
    bench.apply()
    same("on again", "TRUE", cloud.things[path]["enable"])
    bench.remove()
    same("as before, with theirs", before, cloud.state())
    cloud.failing["cloudspan-main-1"] = ("QUOTA_EXCEEDED", "Quota 'PACKET_MIRRORINGS' exceeded.")
    bench.must_say(bench.apply(codes=(LACKING,)), "QUOTA_EXCEEDED")
    cloud.failing.clear()
    bench.apply()
    bench.remove()
    bench.wish[bench.wish.index("--to") + 1] = "plain-rule"
    bench.must_say(bench.plan(codes=(FAILED,)), "--is-mirroring-collector")
    bench.wish[bench.wish.index("--to") + 1] = "nowhere"
    bench.must_say(bench.plan(codes=(FAILED,)), "not found")
    bench.wish[bench.wish.index("--to") + 1] = "col-rule"
    cloud.things[path] = {**cloud.things[other], "name": "cloudspan-main-1"}
    bench.must_say(bench.plan(codes=(FAILED,)), "not ours")


@scenario("google-credentials", "openssl")
def google_credentials(lab):
    """gcloud's login, the metadata server, workload identity, none at all, a wrong key."""
    bench, cloud = begin(lab)
    base = dict(bench.environment)
    bench.plan()
    same("grant", "urn:ietf:params:oauth:grant-type:jwt-bearer", cloud.grants[-1]["grant_type"])
    del base["GOOGLE_APPLICATION_CREDENTIALS"]
    bench.environment = dict(base)
    bench.must_say(bench.plan(codes=(FAILED,)), "no credentials", "gcloud auth")
    cloud.has_metadata = True
    bench.plan()
    cloud.has_metadata = False
    folder = os.path.join(bench.home, ".config", "gcloud")
    os.makedirs(folder)
    user = {"type": "authorized_user", "client_id": "id", "client_secret": "client~secret",
            "refresh_token": "refresh~secret", "quota_project_id": "quota-1",
            "token_uri": cloud.url + "/token"}
    bench.secrets += ["client~secret", "refresh~secret"]
    file = os.path.join(folder, "application_default_credentials.json")

    def write(content):
        with open(file, "w", encoding="ascii") as out:
            json.dump(content, out)
    write(user)
    bench.must_say(bench.plan(codes=(FAILED, 2)), "project")
    bench.environment["GOOGLE_CLOUD_PROJECT"] = PROJECT
    bench.plan()
    if "quota-1" not in cloud.quota_projects:
        raise Failed(f"no quota project: {cloud.quota_projects}")
    write({**user, "refresh_token": "revoked~token"})
    bench.must_say(bench.plan(codes=(FAILED,)), "invalid_grant")
    with open(lab.path("subject"), "w", encoding="ascii") as out:
        json.dump({"token": "subject-token-1"}, out)
    write({"type": "external_account", "audience": "//iam.googleapis.com/x",
           "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
           "token_url": cloud.url + "/token", "credential_source": {
               "file": lab.path("subject"),
               "format": {"type": "json", "subject_token_field_name": "token"}}})
    bench.plan()
    same("subject", "subject-token-1", cloud.grants[-1]["subject_token"])
    write({**user, "token_uri": "http://oauth2.example.com/token"})
    bench.must_say(bench.plan(codes=(FAILED,)), "https://")


# ---- Network Security Integration ----

def begin_nsi(lab, *wish):
    bench, cloud = begin(lab)
    sensors = cloud.network("sensors")
    for letter in "ab":
        cloud.geneve_rule(f"geneve-{letter}", sensors)
    cloud.instance("web-b", f"projects/{PROJECT}/regions/{REGION}/subnetworks/sub-a", "10.0.0.44",
                   zone=REGION + "-b")
    bench.provider, bench.name = "google-nsi", "main"
    bench.wish = ["--organization", ORGANIZATION, "--vpc", "main", "--to", f"{ZONE}:geneve-a",
                  "--endpoint", cloud.url, *wish]
    bench.some = ["--organization", ORGANIZATION, "--endpoint", cloud.url]
    return bench, cloud


OURS = [f"organizations/{ORGANIZATION}/locations/global/securityProfileGroups/cloudspan-main",
        f"organizations/{ORGANIZATION}/locations/global/securityProfiles/cloudspan-main",
        f"projects/{PROJECT}/global/firewallPolicies/cloudspan-main",
        f"projects/{PROJECT}/locations/global/mirroringDeploymentGroups/cloudspan-main",
        f"projects/{PROJECT}/locations/global/mirroringEndpointGroupAssociations/cloudspan-main",
        f"projects/{PROJECT}/locations/global/mirroringEndpointGroups/cloudspan-main"]


def made(cloud, before):
    return sorted(set(cloud.things) - set(before))


@scenario("google-nsi-life", "openssl")
def google_nsi_life(lab):
    """The whole chain is made, kept in step with zones, and taken away again."""
    bench, cloud = begin_nsi(lab)
    before = cloud.state()
    said = bench.plan("--detailed-exitcode", codes=(CHANGES,))
    bench.must_say(said, "mirroring deployment group", "mirroring rule cloudspan-main/1000",
                   f"no collector in its zone {REGION}-b")
    same("after plan", before, cloud.state())
    bench.apply()
    deployment = f"projects/{PROJECT}/locations/{ZONE}/mirroringDeployments/cloudspan-main"
    same("made", sorted(OURS + [deployment]), made(cloud, before))
    bench.must_have_nothing_to_do()
    cloud.numbers = True
    bench.must_have_nothing_to_do()
    bench.status()
    cloud.numbers = False

    def rules():
        return [(rule["priority"], rule["direction"], rule["match"]["srcIpRanges"],
                 rule["match"]["destIpRanges"])
                for rule in cloud.things[OURS[2]]["packetMirroringRules"]]
    # IPv6 has rules of its own: when a machine has such an address, or when it is asked for.
    all4, all6 = ["0.0.0.0/0"], ["::/0"]
    four = [(1000, "INGRESS", all4, all4), (1001, "EGRESS", all4, all4)]
    same("rules of IPv4", four, rules())
    six = cloud.instance("web-6", f"projects/{PROJECT}/regions/{REGION}/subnetworks/sub-a",
                         "10.0.0.66", ipv6="fd20:1::66")
    bench.apply()
    same("rules of both", four + [(1002, "INGRESS", all6, all6), (1003, "EGRESS", all6, all6)],
         rules())
    bench.must_have_nothing_to_do()
    usual = list(bench.wish)
    bench.wish += ["--cidr", "fd20:1::/64", "--cidr", "10.0.0.0/24"]
    bench.apply()
    same("prefixes", [(1000, "INGRESS", all4, ["10.0.0.0/24"]), (1001, "EGRESS", ["10.0.0.0/24"], all4),
                      (1002, "INGRESS", all6, ["fd20:1::/64"]),
                      (1003, "EGRESS", ["fd20:1::/64"], all6)], rules())
    bench.must_have_nothing_to_do()
    bench.wish = usual + ["--cidr", "10.0.0.0/24"]
    bench.must_say(bench.plan(), "no --cidr is of IPv6")
    bench.wish = usual
    del cloud.things[six]
    bench.apply()
    same("rules of IPv4 again", four, rules())
    bench.wish += ["--to", f"{REGION}-b:geneve-b", "--cidr", "10.0.0.0/24"]
    bench.apply()
    same("another zone", sorted(OURS + [deployment, deployment.replace(ZONE, REGION + "-b")]),
         made(cloud, before))
    same("rules", [(1000, "INGRESS", all4, ["10.0.0.0/24"]),
                   (1001, "EGRESS", ["10.0.0.0/24"], all4)], rules())
    bench.must_have_nothing_to_do()
    rows = bench.status()["coverage"]
    same("coverage", {"web-1": True, "web-2": True, "web-b": True, "db-1": False, "col": False},
         {row["machine"]: row["mirrored"] for row in rows if row["machine"] != "far"})
    bench.must_say(bench.plan("--print"), "gcloud network-security mirroring-deployments create",
                   "--labels=cloudspan=main", "gcloud compute network-firewall-policies "
                   "mirroring-rules create 1001", "mirroring-endpoint-groups delete")
    bench.lose_journal()
    bench.some = bench.some[2:]
    bench.must_say(bench.remove(codes=(FAILED, LACKING)), "--organization")
    bench.some = ["--organization", ORGANIZATION] + bench.some
    bench.remove()
    same("after remove", before, cloud.state())


@scenario("google-nsi-requests", "openssl")
def google_nsi_requests(lab):
    """Requests have the fields of the reference, in an order in which each finds what it names."""
    bench, cloud = begin_nsi(lab)
    cloud.count_from_now()
    bench.apply()
    posts = [call for call in cloud.calls if call.method == "POST" and call.path != "/token"]
    where, labels = f"projects/{PROJECT}/locations", {"cloudspan": "main"}
    organization = f"organizations/{ORGANIZATION}/locations/global"
    text = {"labels": labels, "description": "cloudspan=main"}
    firewall = f"/compute/v1/projects/{PROJECT}/global/firewallPolicies"
    anywhere = ["0.0.0.0/0"]

    def rule(priority, direction):
        return {"priority": priority, "direction": direction, "action": "mirror", "disabled": False,
                "description": "cloudspan=main", "securityProfileGroup":
                f"//networksecurity.googleapis.com/{organization}/securityProfileGroups/cloudspan-main",
                "match": {"srcIpRanges": anywhere, "destIpRanges": anywhere,
                          "layer4Configs": [{"ipProtocol": "all"}]}}
    same("requests", [
        (f"/v1/{where}/global/mirroringDeploymentGroups", {
            "network": f"projects/{PROJECT}/global/networks/sensors", **text}),
        (f"/v1/{where}/{ZONE}/mirroringDeployments", {
            "forwardingRule": f"projects/{PROJECT}/regions/{REGION}/forwardingRules/geneve-a",
            "mirroringDeploymentGroup":
                f"{where}/global/mirroringDeploymentGroups/cloudspan-main", **text}),
        (f"/v1/{where}/global/mirroringEndpointGroups", {
            "mirroringDeploymentGroup":
                f"{where}/global/mirroringDeploymentGroups/cloudspan-main", **text}),
        (f"/v1/{where}/global/mirroringEndpointGroupAssociations", {
            "mirroringEndpointGroup": f"{where}/global/mirroringEndpointGroups/cloudspan-main",
            "network": f"projects/{PROJECT}/global/networks/main", "labels": labels}),
        (f"/v1/{organization}/securityProfiles", {
            "type": "CUSTOM_MIRRORING", "customMirroringProfile": {
                "mirroringEndpointGroup":
                    f"{where}/global/mirroringEndpointGroups/cloudspan-main"}, **text}),
        (f"/v1/{organization}/securityProfileGroups", {
            "customMirroringProfile": f"{organization}/securityProfiles/cloudspan-main", **text}),
        (firewall, {"name": "cloudspan-main", "description": "cloudspan=main"}),
        (f"{firewall}/cloudspan-main/addPacketMirroringRule", rule(1000, "INGRESS")),
        (f"{firewall}/cloudspan-main/addPacketMirroringRule", rule(1001, "EGRESS")),
        (f"{firewall}/cloudspan-main/addAssociation", {
            "name": "cloudspan-main",
            "attachmentTarget": f"{URL}projects/{PROJECT}/global/networks/main"}),
    ], [(call.path, call.body) for call in posts])
    same("an id", "cloudspan-main", posts[0].query["mirroringDeploymentGroupId"])
    bench.remove()


@scenario("google-nsi-kill", "openssl")
def google_nsi_kill(lab):
    """Killed at every third call, before or after Google did it: apply and remove go on from there."""
    bench, cloud = begin_nsi(lab)
    cloud.polls, cloud.page = 0, 100
    before = cloud.state()
    for phase, number in (("before", 0), ("after", 1)):
        first = number
        while bench.killed_at("apply", number, phase):
            cloud.advance()
            if number % 2 == 0:
                bench.apply()
                same(f"apply after a kill {phase} call {number}", 7, len(made(cloud, before)))
            if cloud.state() != before:
                bench.remove()
            same(f"remove after a kill {phase} call {number}", before, cloud.state())
            number += 3
        if number < 25:
            raise Failed(f"only {number} calls in an apply")
        number = first
        while bench.killed_at("remove", number, phase):
            cloud.advance()
            bench.remove(codes=(0, FAILED, 2))
            same(f"removed after a kill {phase} call {number} of remove", before, cloud.state())
            bench.apply()
            number += 5
        same("in the end", before, cloud.state())


@scenario("google-nsi-others", "openssl")
def google_nsi_others(lab):
    """A firewall policy that the network has already gets our rules, and keeps its own; faults; what
    others delete is seen, said and repaired."""
    bench, cloud = begin_nsi(lab)
    theirs = cloud.add(f"projects/{PROJECT}/global/firewallPolicies/theirs", description="of others",
                       rules=[], packetMirroringRules=[
                           {"priority": 1000, "direction": "INGRESS", "action": "do_not_mirror",
                            "description": "theirs", "securityProfileGroup": "", "match": {}}],
                       associations=[{"name": "a", "attachmentTarget":
                                      f"{URL}projects/{PROJECT}/global/networks/main"}])
    before = cloud.state()
    bench.must_say(bench.plan(codes=(FAILED,)), "--firewall-policy theirs")
    bench.wish += ["--firewall-policy", "theirs"]
    bench.must_say(bench.plan(codes=(FAILED,)), "--priority")
    bench.wish += ["--priority", "2000"]
    cloud.fault(429, "RESOURCE_EXHAUSTED")
    cloud.fault(503, "UNAVAILABLE", n=2, when=lambda call: call.method == "POST")
    cloud.fault(409, "ABORTED", n=2, when=lambda call: "securityProfiles" in call.path and
                call.method == "POST")
    bench.apply()
    same("rules", [1000, 2000, 2001],
         [rule["priority"] for rule in cloud.things[theirs]["packetMirroringRules"]])
    bench.must_have_nothing_to_do()
    cloud.withdraw_tokens()
    bench.status()
    association = OURS[4]
    cloud.drop_security(association, "mallory@example.com")
    bench.must_say(bench.call("status", codes=(UNHEALTHY,)), "mallory@example.com",
                   "there is no mirroring endpoint group association")
    bench.apply()
    bench.must_have_nothing_to_do()
    bench.remove()
    same("theirs is as it was", before, cloud.state())
    # An operation that fails, and is tried again.
    cloud.failing["mirroringEndpointGroups/cloudspan-main"] = (8, "Quota exceeded.")
    bench.must_say(bench.apply(codes=(FAILED, LACKING)), "Quota exceeded")
    cloud.failing.clear()
    bench.apply()
    bench.remove()
    same("in the end", before, cloud.state())
    # Something that is called so, without our label.
    cloud.things[OURS[3]] = {"name": OURS[3], "labels": {"owner": "x"}, "network": "y"}
    bench.must_say(bench.plan(codes=(FAILED,)), "not ours")
