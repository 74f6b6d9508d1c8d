"""`cloudspan mirror … openstack` against the interfaces of a real Keystone and a real Neutron: who may,
what is made and taken away again, limits, and what others do at the same time."""
import json
import os
import re

from front import Front, server
from lab import Failed, wait_until
from mirror import CHANGES, DONE, FAILED, PARTIAL, UNHEALTHY, Mirror, same
from scenario import scenario
from stack import Stack

NEEDS = ("ovs-vswitchd", "ovsdb-server", "ethtool", "erl")


class Project:
    """Ports of machines that need not send anything: three of one project, with a collector, and one
    of another's."""

    def __init__(self, lab):
        self.lab = lab
        self.stack = stack = Stack(lab, lab.ns("cloud"), agent=True)
        self.front = Front(stack)
        self.front.start_nova()
        self.network, self.subnet = stack.network("shop-net", "10.60.0.0/24")
        self.others_network, _ = stack.network("other-net", "10.61.0.0/24", "other")
        self.ports = {}
        for name, role in (("web-1", "web"), ("web-2", "web"), ("db", "db"), ("sensor", "sensor")):
            self.machine(name, role)
        for name in ("other", "other-sensor"):
            self.ports[name] = stack.port(name, self.others_network, project="other")
            stack.plug_alone(self.ports[name])
        stack.wait_active(*self.ports.values())

    def machine(self, name, role, **more):
        row = server(name, self.stack.projects["shop"], tags=["role=" + role])
        self.front.servers.append(row)
        if name == "sensor":
            more["port_security_enabled"] = False
        self.ports[name] = self.stack.port(name, self.network, machine=row["id"], **more)
        self.stack.plug_alone(self.ports[name])

    def id(self, name):
        return self.ports[name]["id"]

    def mirror(self, *selection, to="sensor", **more):
        return Mirror(self.stack, *(selection or ("--all-instances",)), "--to",
                      "port:" + self.id(to), front=self.front, **more)

    def flows(self, project="shop"):
        """{the port that is mirrored: the row}"""
        return {row["source_port"]: row for row in self.stack.taas()["tap_flows"]
                if row["project_id"] == self.stack.projects[project]}

    def must_mirror(self, *names):
        got, wanted = set(self.flows()), {self.id(name) for name in names}
        if got != wanted:
            raise Failed(f"tap flows of {got}, not of {wanted} ({names})")


def in_a_project(function):
    def run(lab):
        project = Project(lab)
        try:
            function(project)
        finally:
            project.stack.stop()
    run.__doc__ = function.__doc__
    return run


# --- Who asks -------------------------------------------------------------------------------------


def application_credential(stack):
    made = stack.identity("POST", f"/users/{stack.users['alice']}/application_credentials", {
        "application_credential": {"name": "mirrors", "secret": "application-s3cret"}},
        token=stack.token("alice", "alice-s3cret", "shop"))
    return made["application_credential"]["id"]


def write_clouds(mirror, **auth):
    folder = os.path.join(mirror.home, ".config", "openstack")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "clouds.yaml"), "w", encoding="utf-8") as file:
        json.dump({"clouds": {"lab": {"region_name": "RegionOne", **auth}}}, file)


def who(project):
    stack = project.stack
    mirror = project.mirror("--instance", "web-1")
    mirror.call("plan", "--detailed-exitcode").must(CHANGES)

    by_password = mirror.credentials
    url = {"OS_AUTH_URL": stack.url}
    mirror.credentials = url | {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
                                "OS_USERNAME": "alice", "OS_PASSWORD": "alice-s3cret",
                                "OS_PROJECT_ID": stack.projects["shop"]}
    mirror.plan()
    mirror.credentials = {"OS_AUTH_URL": stack.url[:-3]} | by_password  # without the version
    mirror.plan()
    mirror.credentials = url | {"OS_AUTH_TYPE": "v3token", "OS_PROJECT_NAME": "shop",
                                "OS_PROJECT_DOMAIN_ID": "default",
                                "OS_TOKEN": stack.token("alice", "alice-s3cret", "shop")}
    mirror.plan()
    ident = application_credential(stack)
    secret = {"OS_AUTH_TYPE": "v3applicationcredential",
              "OS_APPLICATION_CREDENTIAL_SECRET": "application-s3cret"}
    mirror.credentials = url | secret | {"OS_APPLICATION_CREDENTIAL_ID": ident}
    mirror.plan()
    mirror.credentials = url | secret | {"OS_APPLICATION_CREDENTIAL_NAME": "mirrors",
                                         "OS_USERNAME": "alice", "OS_USER_DOMAIN_ID": "default"}
    mirror.plan()

    mirror.credentials = {}
    write_clouds(mirror, auth_type="v3applicationcredential", auth={
        "auth_url": stack.url, "application_credential_id": ident,
        "application_credential_secret": "application-s3cret"})
    mirror.plan("--cloud", "lab")
    mirror.credentials = {"OS_CLOUD": "lab"}
    mirror.plan()
    write_clouds(mirror, auth={"auth_url": stack.url, "username": "alice", "project_name": "shop",
                               "user_domain_id": "default", "project_domain_id": "default",
                               "password": "alice-s3cret"})
    mirror.plan()
    mirror.must_refuse(["nope"], "plan", "--cloud", "nope")
    mirror.credentials = {}
    os.unlink(os.path.join(mirror.home, ".config", "openstack", "clouds.yaml"))
    mirror.must_refuse(["OS_"], "plan")

    for change, says in (({"OS_PASSWORD": "wrong-s3cret"}, "does not accept"),
                         ({"OS_USERNAME": "nobody"}, "does not accept"),
                         ({"OS_PROJECT_NAME": "other"}, "does not accept"),
                         ({"OS_AUTH_URL": "http://127.0.0.1:1/v3"}, "127.0.0.1"),
                         ({"OS_REGION_NAME": "Nowhere"}, "Nowhere")):
        mirror.credentials = by_password | change
        answer = mirror.must_refuse([says], "apply")
        if "wrong-s3cret" in answer.said():
            raise Failed(answer.said())
    # Of no project: which there are.
    mirror.credentials = {key: value for key, value in by_password.items()
                          if not key.startswith("OS_PROJECT")}
    mirror.must_refuse(["project", "shop"], "plan")
    mirror.credentials = by_password | {"OS_PROJECT_NAME": "nope"}
    mirror.plan("--project", "shop")
    mirror.must_have_written_no_secret()


def tokens_end(project):
    """A token that is revoked between two calls is replaced, once; also while copies are made."""
    stack, front = project.stack, project.front
    for verb, call_number in (("plan", 2), ("apply", None), ("remove", None)):
        mirror = project.mirror("--instance", "web-1", "--instance", "db", name="tokens")
        front.forget()
        revoked = []

        def revoke(call, number, call_number=call_number):
            fits = number == call_number if call_number else call.changes()
            if fits and not revoked:
                revoked.append(call.token)
                status, _, _ = stack.revoke(call.token)
                if status != 204:
                    revoked.append(f"not revoked: {status}")
        front.before = revoke
        mirror.call(verb, *([] if verb == "plan" else ["--yes"])).must(DONE)
        refused = [i for i, call in enumerate(front.calls) if call.status == 401]
        later = {call.token for call in front.calls[refused[0] + 1:]} if refused else set()
        if len(revoked) != 1 or len(refused) != 1 or len(later) != 1 or revoked[0] in later:
            raise Failed(f"{verb}: {len(later)} tokens after {len(refused)} refused calls\n"
                         f"{front.calls}")
        front.forget()
        if verb == "apply":
            project.must_mirror("web-1", "db")
    project.must_mirror()
    # One that is refused for ever ends in a sentence.
    refused = []

    def refuse(call, number):
        refused.append(number)
        return 401, {"error": {"code": 401, "title": "Unauthorized", "message": "no"}}
    front.before = refuse
    project.mirror().call("plan").must(FAILED)
    front.forget()
    if len(refused) > 4:
        raise Failed(f"asked {len(refused)} times with tokens that are refused")


# --- What is made ---------------------------------------------------------------------------------


def life(project):
    stack = project.stack
    before = stack.shape()
    mirror = project.mirror("--tag", "role=web")
    mirror.call("plan", "--detailed-exitcode").must(CHANGES)
    same("plan", before, stack.shape())
    mirror.apply()
    project.must_mirror("web-1", "web-2")
    got = stack.taas()
    if [row["port_id"] for row in got["tap_services"]] != [project.id("sensor")]:
        raise Failed(f"tap services: {got['tap_services']}")
    for row in got["tap_services"] + got["tap_flows"]:
        if row["status"] != "ACTIVE" or "cloudspan:mirror=web" not in row["description"] or \
                row.get("direction", "BOTH") != "BOTH":
            raise Failed(f"not as it should be: {row}")
    mirror.must_have_nothing_to_do()
    mirror.status(DONE)

    # More machines, others, another direction: what need not change stays.
    service = stack.taas()["tap_services"][0]["id"]
    kept = project.flows()[project.id("web-1")]["id"]
    mirror.wish[:2] = ["--tag", "role=web or role=db"]
    mirror.apply()
    project.must_mirror("web-1", "web-2", "db")
    mirror.wish[:2] = ["--instance", "web-1", "--instance", "db"]
    mirror.apply()
    project.must_mirror("web-1", "db")
    if project.flows()[project.id("web-1")]["id"] != kept or \
            [row["id"] for row in stack.taas()["tap_services"]] != [service]:
        raise Failed("what need not change was made anew")
    mirror.wish += ["--direction", "in"]
    mirror.apply()
    if {row["direction"] for row in project.flows().values()} != {"IN"}:
        raise Failed(f"--direction in: {project.flows()}")
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same("remove", before, stack.shape())
    mirror.remove()
    same("remove once more", before, stack.shape())
    # By marks alone: the journal is lost.
    mirror.apply()
    mirror.state = project.lab.folder("state-new", 0o700)
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same("remove without a journal", before, stack.shape())


def port_security(project):
    """The collector's port lets copies in when it is asked to, and is as it was afterwards."""
    stack = project.stack
    mirror = project.mirror("--instance", "web-1", to="db", name="security")
    before = stack.shape()
    said = mirror.plan().out
    if "--disable-port-security" not in said:
        raise Failed(f"port security is no remark:\n{said}")
    mirror.wish.append("--disable-port-security")
    mirror.apply()
    port = stack.call("GET", "/v2.0/ports/" + project.id("db"))["port"]
    if port["port_security_enabled"] or port["security_groups"]:
        raise Failed(f"port security is on: {port}")
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same("remove with port security", before, stack.shape())


def loops(project):
    """The collector's own port is never mirrored."""
    mirror = project.mirror("--all-instances", name="loop")
    mirror.apply()
    project.must_mirror("web-1", "web-2", "db")
    rows = [row for row in mirror.status().rows("machine") if row.get("machine") == "sensor"]
    if rows and rows[0].get("mirrored"):
        raise Failed(f"the collector mirrors itself: {rows}")
    mirror.remove()
    project.mirror("--instance", "sensor", name="loop").must_refuse(["can be mirrored"], "apply")


@scenario("os-api", *NEEDS)
@in_a_project
def os_api(project):
    """Credentials of all kinds, tokens that end; plan, apply, change, status, remove."""
    who(project)
    tokens_end(project)
    life(project)
    port_security(project)
    loops(project)


# --- Others ---------------------------------------------------------------------------------------


def others_stay(project):
    """What has not our mark is never changed, be it of our project or of another's."""
    stack = project.stack
    alice, bob = stack.token("alice", "alice-s3cret", "shop"), stack.token("bob", "bob-s3cret", "other")
    made = []
    for token, collector, source in ((alice, "db", "web-2"), (bob, "other-sensor", "other")):
        service = stack.call("POST", "/v2.0/taas/tap_services", {"tap_service": {
            "name": "by hand", "port_id": project.id(collector)}}, token=token)["tap_service"]
        flow = stack.call("POST", "/v2.0/taas/tap_flows", {"tap_flow": {
            "name": "by hand", "source_port": project.id(source), "tap_service_id": service["id"],
            "direction": "IN"}}, token=token)["tap_flow"]
        made += [("tap_services", service["id"], token), ("tap_flows", flow["id"], token)]
    stack.wait_taas()
    before = stack.shape()
    mirror = project.mirror("--instance", "web-1", name="beside")
    project.front.forget()
    mirror.apply()
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same("beside what others made", before, stack.shape())
    ids = {ident for _, ident, _ in made}
    touched = [call for call in project.front.changes() if any(ident in call.path for ident in ids)]
    if touched:
        raise Failed(f"others' things are touched: {touched}")
    # Somebody else's tap service at the collector's port.
    mirror = project.mirror("--instance", "web-1", to="db", name="shared")
    mirror.apply()
    mirror.must_have_nothing_to_do()
    mirror.remove()
    same("at a port that has a tap service", before, stack.shape())
    # A port that somebody else's flow copies: Neutron would take a second one, and copy for one of the
    # two only.
    project.mirror("--instance", "web-2", name="second").must_refuse(["by hand", "copies"], "apply")
    mirror = project.mirror("--tag", "role=web", name="first")
    mirror.apply()
    copied = [row for row in mirror.call("status", "--json").rows("coverage")
              if row["machine"] == "web-2"]
    if len(copied) != 1 or copied[0]["mirrored"] or "by hand" not in copied[0]["reason"]:
        raise Failed(f"web-2 is copied already: {copied}")
    mirror.remove()
    same("beside a flow of the same machine", before, stack.shape())
    # Another project's port is not to be had.
    project.mirror("--instance", "web-1", to="other-sensor").must_refuse([], "apply")
    for kind, ident, token in reversed(made):
        stack.call("DELETE", f"/v2.0/taas/{kind}/{ident}", token=token)
    stack.wait_taas()


def behind_our_back(project):
    """A flow that is deleted, a service that is, and a machine that is: seen, said and put right."""
    stack = project.stack
    before = stack.shape()
    mirror = project.mirror("--tag", "role=web", name="back")
    mirror.apply()
    mirror.status(DONE)
    gone = project.flows()[project.id("web-2")]["id"]
    stack.call("DELETE", "/v2.0/taas/tap_flows/" + gone)
    stack.wait_taas()
    answer = mirror.status(FAILED, UNHEALTHY)
    if project.id("web-2") not in answer.out:
        raise Failed(f"status does not say what is gone:\n{answer.said()}")
    mirror.call("plan", "--detailed-exitcode").must(CHANGES)
    mirror.apply()
    project.must_mirror("web-1", "web-2")
    mirror.status(DONE)
    # The service takes its flows along.
    for row in stack.taas()["tap_services"]:
        stack.call("DELETE", "/v2.0/taas/tap_services/" + row["id"])
    wait_until(lambda: not stack.taas()["tap_services"], "the tap service stays", 120, 0.2)
    mirror.status(FAILED, UNHEALTHY)
    mirror.apply()
    project.must_mirror("web-1", "web-2")
    # A machine that goes.
    stack.unplug(project.ports["web-2"])
    stack.call("DELETE", "/v2.0/ports/" + project.id("web-2"))
    mirror.apply()  # Neutron itself never ends the deletion of the flow then
    wait_until(lambda: len(project.flows()) == 1, "the flow of a port that is gone", 120, 0.2)
    project.must_mirror("web-1")
    mirror.status(DONE)
    # One that comes.
    project.front.servers = [row for row in project.front.servers if row["name"] != "web-2"]
    project.machine("web-2", "web")
    stack.wait_active(project.ports["web-2"])
    mirror.apply()
    project.must_mirror("web-1", "web-2")
    # And one that goes while its flow is about to be made.
    mirror.remove()
    project.machine("short", "web")
    stack.wait_active(project.ports["short"])
    doomed = project.ports["short"]

    def delete(call, number):
        if call.verb == "POST" and (call.body or {}).get("tap_flow", {}).get("source_port") == \
                doomed["id"]:
            stack.unplug(doomed)
            stack.call("DELETE", "/v2.0/ports/" + doomed["id"], codes=())
    project.front.before = delete
    mirror.call("apply", "--yes").must(DONE, PARTIAL)
    project.front.forget()
    mirror.apply()
    project.must_mirror("web-1", "web-2")
    # The collector's port.
    mirror.remove()
    after = stack.shape()
    for key in ("tap_services", "tap_flows"):
        if after[key] != before[key]:
            raise Failed(f"{key} stay: {after[key]}")


def quotas(project):
    """Limits are known before anything is made; one that shows later is said in the cloud's words,
    and what was made goes on from there."""
    stack = project.stack
    path = "/v2.0/quotas/" + stack.projects["shop"]
    before = stack.shape()
    listed = stack.call("GET", path)["quota"]
    mirror = project.mirror("--all-instances", name="quota")
    if "tap_flow" in listed:
        stack.call("PUT", path, {"quota": {"tap_flow": 1}})
        mirror.must_refuse(["tap_flow", "quota"], "plan")
        mirror.must_refuse(["tap_flow", "quota"], "apply")
        stack.call("PUT", path, {"quota": {"tap_flow": 10, "tap_service": 0}})
        mirror.must_refuse(["tap_service", "quota"], "apply")
        stack.call("DELETE", path)
    # The cloud did not say so before.
    count = []

    def full(call, number):
        if call.verb == "POST" and call.path.endswith("/tap_flows"):
            count.append(number)
            if len(count) > 1:
                return 409, {"NeutronError": {"type": "OverQuota", "detail": "", "message":
                                              "Quota exceeded for resources: ['tap_flow']."}}
        return None
    project.front.before = full
    answer = mirror.call("apply", "--yes").must(PARTIAL)
    project.front.forget()
    if not re.search("quota", answer.said(), re.I):
        raise Failed(f"not said that it is the quota:\n{answer.said()}")
    mirror.apply()
    project.must_mirror("web-1", "web-2", "db")
    mirror.remove()
    same("quotas", before, stack.shape())


@scenario("os-others", *NEEDS)
@in_a_project
def os_others(project):
    """Others' mirrors stay as they are; what is deleted behind our back is seen; quotas."""
    others_stay(project)
    quotas(project)
    behind_our_back(project)


# --- Killed ---------------------------------------------------------------------------------------


def killed_at(project, mirror, verb, moment, number):
    """Runs it and kills it at the call that changes something for the time `number`, from 0: before
    Neutron gets it, or when it is done but not answered. False: there was no such call."""
    front = project.front
    front.forget()
    process = None
    seen, hit = [], []

    def at(call, _):
        if not call.changes():
            return None
        seen.append(call)
        if len(seen) != number + 1:
            return None
        process.kill()
        process.wait()
        hit.append(call)
        return (503, None) if moment == "before" else None
    setattr(front, moment, at)
    process = mirror.start(verb, "--yes")
    answer = mirror.end(process)
    front.forget()
    if not hit:
        answer.must(DONE)
    return bool(hit)


@scenario("os-kill", *NEEDS)
@in_a_project
def os_kill(project):
    """Killed before and after each call that changes something: the next apply ends it, the next
    remove takes all away."""
    stack = project.stack
    before = stack.shape()
    mirror = project.mirror("--instance", "web-1", to="db", name="kill")
    mirror.wish.append("--disable-port-security")
    # What is not done of one call is what is there before the next.
    n_killed = 0
    for moment, number in [("before", 0)] + [("after", n) for n in range(20)]:
        if not killed_at(project, mirror, "apply", moment, number):
            break
        n_killed += 1
        if n_killed % 2:  # in turns: go on, or take it away
            mirror.apply()
            project.must_mirror("web-1")
            if len(stack.taas()["tap_services"]) != 1:
                raise Failed(f"killed {moment} call {number}: {stack.taas()['tap_services']}")
        mirror.remove()
        same(f"killed {moment} call {number} of apply", before, stack.shape())
    project.must_mirror("web-1")
    for moment, number in [("before", 0)] + [("after", n) for n in range(20)]:
        if not killed_at(project, mirror, "remove", moment, number):
            break
        n_killed += 1
        mirror.remove()
        same(f"killed {moment} call {number} of remove", before, stack.shape())
        mirror.apply()
    same("remove", before, stack.shape())
    if n_killed < 10:
        raise Failed(f"killed {n_killed} times only")
    mirror.must_have_written_no_secret()


# --- By hand --------------------------------------------------------------------------------------


@scenario("os-print", *NEEDS)
@in_a_project
def os_print(project):
    """The printed commands make what apply makes, and take it away again."""
    stack = project.stack
    before = stack.shape()
    mirror = project.mirror("--tag", "role=web", name="hand")
    said = mirror.plan("--print").out
    make, undo = said.split("# To take it away again:")
    stack.shell(make, mirror.credentials)
    stack.wait_taas()
    project.must_mirror("web-1", "web-2")
    mirror.call("plan", "--detailed-exitcode").must(DONE)
    stack.shell(undo.replace("# ", ""), mirror.credentials)
    stack.wait_taas()
    same("the printed commands", before, stack.shape())
    # And with the collector's port security, of which a group is chosen again by hand.
    mirror.wish = ["--instance", "web-1", "--to", "port:" + project.id("db"),
                   "--disable-port-security"]
    stack.shell(mirror.plan("--print").out.split("# To take it away again:")[0], mirror.credentials)
    port = stack.call("GET", "/v2.0/ports/" + project.id("db"))["port"]
    if port["port_security_enabled"] or port["security_groups"]:
        raise Failed(f"port security is on: {port}")
