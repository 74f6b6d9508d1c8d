"""Mirrors of VMware NSX, at a stand-in for its manager (test/cloud/nsx_standin.py)."""
import copy
import json
import os
import subprocess

import packets as p
import senders
from collector import Watch
from lab import Failed, wait_until
from nsx_standin import Manager
from scenario import scenario
from scenarios_receive import Net

FROM = "/infra/domains/default/groups/cloudspan-hunt"
PROFILE = "/infra/port-mirroring-profiles/cloudspan-hunt"
BINDING = FROM + "/group-monitoring-profile-binding-maps/cloudspan-hunt"
WISH = ("--name", "hunt", "--to", "gre:10.9.0.2", "--id", "77", "--tag", "env=prod")

FOREIGN = {
    "/infra/domains/default/groups/web": {"expression": [
        {"resource_type": "ExternalIDExpression", "member_type": "VirtualMachine",
         "external_ids": ["5000-0002"]}], "_revision": 4, "resource_type": "Group",
        "path": "/infra/domains/default/groups/web", "id": "web"},
    "/infra/port-mirroring-profiles/theirs": {"_revision": 0, "tags": [], "id": "theirs",
                                              "resource_type": "PortMirroringProfile",
                                              "path": "/infra/port-mirroring-profiles/theirs"},
}


class Bench:
    def __init__(self, lab, token=None):
        self.lab, self.nsx = lab, Manager(token=token)
        self.state = lab.folder("state")
        self.nsx.add_machine("web", "00:50:56:00:00:01", ["10.1.0.1", "fd00::1"], [("env", "prod")])
        self.nsx.add_machine("db", "00:50:56:00:00:02", ["10.1.0.2"], [("env", "prod")])
        self.nsx.add_machine("dev", "00:50:56:00:00:03", ["10.1.0.3"], [("env", "dev")])
        self.nsx.add_machine("sensor", "00:50:56:00:00:04", ["10.9.0.2"], [("env", "prod")])
        self.nsx.add_machine("old", "00:50:56:00:00:05", ["10.1.0.5"], [("env", "prod")],
                             segment=False)
        self.nsx.objects = copy.deepcopy(FOREIGN)
        self.environment = {**os.environ, "CLOUDSPAN_STATE": self.state,
                            "NSXT_MANAGER_HOST": self.nsx.url}
        if token:
            self.environment.update(NSXT_VMC_TOKEN=token, NSXT_VMC_AUTH_HOST=self.nsx.url)
        else:
            self.environment.update(NSXT_USERNAME="admin", NSXT_PASSWORD="secret")

    def start(self, verb, *arguments):
        return subprocess.Popen([self.lab.cloudspan, "mirror", verb, "nsx", *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=self.environment)

    def call(self, verb, *arguments, codes=(0,)):
        process = self.start(verb, *arguments)
        said = process.communicate(timeout=120)[0]
        for secret in ("secret", "YWRtaW46c2VjcmV0", "access-"):
            if secret in said:
                raise Failed(f"{verb} {arguments} shows credentials: {said}")
        if codes and process.returncode not in codes:
            raise Failed(f"{verb} {arguments}: {process.returncode}, not {codes}:\n{said}")
        return said

    def must_be_clean(self):
        if self.nsx.objects != FOREIGN:
            raise Failed(f"not as it was: {json.dumps(self.nsx.objects, indent=1)}")
        self.must_be_lawful()

    def must_be_lawful(self):
        if self.nsx.violations:
            raise Failed(f"changed what is somebody else's: {self.nsx.violations}")


def must(condition, what):
    if not condition:
        raise Failed(what)


@scenario("nsx")
def nsx(lab):
    """NSX: plan, apply, again, status, drift, remove; bodies as the published schema has them."""
    bench = Bench(lab)
    plan = bench.call("plan", *WISH, "--detailed-exitcode", codes=(2,))
    must("group of 2 machines" in plan and "GRE" in plan, plan)
    must(bench.nsx.objects == FOREIGN, "plan changed something")
    bench.call("apply", *WISH, "--yes")
    objects = bench.nsx.objects
    profile = {name: objects[PROFILE].get(name) for name in
               ("profile_type", "encapsulation_type", "direction", "gre_key", "destination_group")}
    must(profile == {"profile_type": "REMOTE_L3_SPAN", "encapsulation_type": "GRE", "gre_key": 77,
                     "direction": "BIDIRECTIONAL", "destination_group": FROM + "-to"}, profile)
    must(objects[FROM]["expression"] == [{
        "resource_type": "ExternalIDExpression", "member_type": "VirtualMachine",
        "external_ids": ["5000-0001", "5000-0002"]}], objects[FROM])
    must(objects[FROM + "-to"]["expression"] == [{"resource_type": "IPAddressExpression",
                                                  "ip_addresses": ["10.9.0.2"]}], objects)
    must(objects[BINDING]["port_mirroring_profile_path"] == PROFILE, objects[BINDING])
    bench.call("plan", *WISH, "--detailed-exitcode")
    must("nothing to do" in bench.call("apply", *WISH, "--yes"), "the second apply does something")

    with open(os.path.join(bench.state, "sources", "nsx-hunt.yaml"), encoding="utf-8") as file:
        record = file.read()
    must("web" in record and "00:50:56:00:00:02" in record and "fd00::1" in record and
         "dev" not in record and "sensor" not in record, record)

    said = bench.call("status", "--name", "hunt")
    must("2 of" in said, said)
    bench.nsx.status = "ERROR"
    must("ERROR" in bench.call("status", "--name", "hunt", codes=(4,)), "an alarm is not seen")
    bench.nsx.status = "SUCCESS"

    # A machine comes, and somebody turns the direction round and takes the binding away.
    bench.nsx.add_machine("api", "00:50:56:00:00:06", ["10.1.0.6"], [("env", "prod")])
    objects[PROFILE].update(direction="INGRESS", _revision=7)
    del objects[BINDING]
    said = bench.call("status", "--name", "hunt", codes=(4,))
    must("binding" in said and "direction" in said and "api" in said, said)
    bench.call("apply", *WISH, "--yes")
    must(objects[PROFILE]["direction"] == "BIDIRECTIONAL" and BINDING in objects and
         "5000-0006" in objects[FROM]["expression"][0]["external_ids"], objects)

    # Its own words are of the switch. Somebody else changes the profile at the same time.
    bench.nsx.racing = {PROFILE: 3}
    bench.call("apply", *WISH, "--direction", "in", "--yes")
    must(any(call[0] == "PUT" and call[1].endswith(PROFILE) for call in bench.nsx.calls[-12:]) and
         bench.nsx.racing[PROFILE] == 0, f"no race: {bench.nsx.racing}")
    must(objects[PROFILE]["direction"] == "EGRESS", objects[PROFILE])
    bench.call("remove", "--name", "hunt", "--yes")
    bench.must_be_clean()


@scenario("nsx-group")
def nsx_group(lab):
    """NSX: a group of its own, ERSPAN; the journal is lost; a group that is somebody else's."""
    bench = Bench(lab)
    wish = ("--name", "hunt", "--to", "erspan3:10.9.0.2", "--id", "5", "--group", "web")
    bench.call("apply", *wish, "--yes")
    profile = bench.nsx.objects[PROFILE]
    must(profile["encapsulation_type"] == "ERSPAN_THREE" and profile["erspan_id"] == 5 and
         "gre_key" not in profile, profile)
    must("/infra/domains/default/groups/web/group-monitoring-profile-binding-maps/cloudspan-hunt"
         in bench.nsx.objects, bench.nsx.objects)
    bench.call("plan", *wish, "--detailed-exitcode")
    # The journal is lost; and somebody has written what would be another folder.
    subprocess.run(["rm", "-rf", bench.state], check=True)
    evil = "/infra/port-mirroring-profiles/evil"
    bench.nsx.objects[evil] = {"tags": [{"scope": "cloudspan:mirror", "tag": "../../../evil"}],
                               "resource_type": "PortMirroringProfile", "path": evil, "id": "evil"}
    said = bench.call("status", codes=(0, 4))
    must("hunt" in said and "evil" not in said, said)
    del bench.nsx.objects[evil]
    bench.call("remove", "--name", "hunt", "--yes")
    bench.must_be_clean()

    bench.nsx.objects[FROM + "-to"] = {**FOREIGN["/infra/domains/default/groups/web"], "path": FROM}
    said = bench.call("apply", *WISH, "--yes", codes=(1,))
    must("somebody else" in said, said)
    del bench.nsx.objects[FROM + "-to"]
    bench.call("remove", "--name", "hunt", "--yes", codes=(0, 4))
    bench.must_be_clean()


@scenario("nsx-cloud")
def nsx_cloud(lab):
    """NSX in VMware Cloud: tokens that end, throttling, a server that fails, wrong credentials."""
    bench = Bench(lab, token="refresh-me")
    calls = len(bench.nsx.calls)
    bench.nsx.refuse = {calls + 2: (401, {"error_message": "over"}), calls + 5: (429, None),
                        calls + 7: (503, None)}
    bench.call("apply", *WISH, "--yes")
    must(bench.nsx.access >= 2, "the token was not renewed")
    bench.nsx.refuse = {}
    bench.call("plan", *WISH, "--detailed-exitcode")
    bench.call("remove", "--name", "hunt", "--yes")
    bench.must_be_clean()
    bench.environment["NSXT_VMC_TOKEN"] = "wrong"
    said = bench.call("plan", *WISH, codes=(1,))
    must("NSXT_VMC_TOKEN" in said and "wrong" not in said.replace("went wrong", ""), said)


@scenario("nsx-kill")
def nsx_kill(lab):
    """NSX: killed before and after each call of apply and of remove that changes something; then
    again."""
    bench = Bench(lab)
    bench.call("apply", *WISH, "--yes")
    n_apply = len(bench.nsx.calls)
    bench.call("remove", "--name", "hunt", "--yes")
    calls = {"apply": bench.nsx.calls[:n_apply], "remove": bench.nsx.calls[n_apply:]}
    for verb in ("apply", "remove"):
        changes = [i for i, call in enumerate(calls[verb]) if call[0] in ("PUT", "DELETE")]
        must(len(changes) == 4, f"{verb} changes by {changes}")
        for number in changes:
            for after in (False, True):
                if verb == "remove":
                    bench.call("apply", *WISH, "--yes")
                killed(bench, verb, number, after)
                bench.call("apply", *WISH, "--yes")
                bench.call("plan", *WISH, "--detailed-exitcode")
                bench.call("remove", "--name", "hunt", "--yes")
                bench.must_be_clean()


def killed(bench, verb, number, after):
    wish = WISH if verb == "apply" else ("--name", "hunt")
    process = None

    def end_client():
        wait_until(lambda: process is not None, "it did not start")
        process.kill()
        process.wait()

    bench.nsx.end_client = end_client
    bench.nsx.kill = (len(bench.nsx.calls) + number, after)
    process = bench.start(verb, *wish, "--yes")
    process.communicate(timeout=60)
    bench.nsx.kill = None
    must(process.returncode == -9, f"{verb} was not killed at its call {number}")


@scenario("nsx-to-log")
def nsx_to_log(lab):
    """NSX, from the manager to the log: copies of two machines by one host under one key are told
    apart by what is inside, and a connection between the two is logged once."""
    bench, net = Bench(lab), Net(lab)
    senders.hush(net.col)
    watch = Watch(lab, net.col, "-l", "gre", env=bench.environment)
    bench.call("apply", *WISH, "--yes")
    web, db, outside = (bytes.fromhex(f"0050560000{n}") for n in ("01", "02", "ee"))
    wait_until(lambda: watch.machine("web") and watch.machine("db"), "watch does not know them")

    def exchange(a, mac_a, b, mac_b, port, turns):
        for turn in range(turns):
            for src, dst, mac, other, ports in ((a, b, mac_a, mac_b, (port, 53)),
                                                (b, a, mac_b, mac_a, (53, port))):
                yield p.ether(p.udp(src, dst, *ports, b"x" * 20, ident=100 + turn), src=mac, dst=other)

    # Each packet between the two twice, at its sender and at its receiver: that one host doubles is
    # known after 32 of them.
    between = list(exchange("10.1.0.1", web, "10.1.0.2", db, 4000, 200))
    frames = [frame for frame in between for _ in range(2)]
    frames += exchange("10.1.0.1", web, "192.0.2.9", outside, 4001, 3)
    frames += exchange("10.1.0.2", db, "192.0.2.9", outside, 4002, 3)
    senders.send_ip(net.mon, "10.9.0.1", "10.9.0.2", 47,
                    [senders.gre_header(0x6558, key=77) + frame for frame in frames], per_second=800)
    watch.settle(at_least=len(frames))
    watch.stop()
    rows = {row["id.orig_p"]: row for row in watch.logs()["conn"].dicts()}
    must(len(watch.logs()["conn"].dicts()) == 3 and set(rows) == {"4000", "4001", "4002"}, rows)
    must(rows["4001"]["source"] == "web" and rows["4002"]["source"] == "db" and
         rows["4000"]["source"] in ("web", "db"), rows)
    for port, least, most in (("4000", 200, 240), ("4001", 3, 3), ("4002", 3, 3)):
        for column in ("orig_pkts", "resp_pkts"):
            must(least <= int(rows[port][column]) <= most, f"{port}: {rows[port]}")
