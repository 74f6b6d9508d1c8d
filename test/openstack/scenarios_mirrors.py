"""Tap mirrors, which send copies by GRE or ERSPAN to an address: with Neutron's own where it has them,
else with a stand-in before it, that answers as the real one does (see front.Mirrors)."""
import os

from front import Front, Mirrors, server
from lab import Failed
from mirror import CHANGES, DONE, FAILED, UNHEALTHY, Mirror, same
from scenario import scenario
from stack import FRONT, NEUTRON, Stack

# What both of them are asked, in turns: (the method, what is behind /v2.0/taas/tap_mirrors, the
# members that are not as in BODY, or no body). None takes a member out.
BODY = {"name": "m", "description": "d", "remote_ip": "10.9.0.2", "mirror_type": "gre",
        "directions": {"IN": 101, "OUT": 102}}
QUESTIONS = [
    ("POST", "", {}),
    ("POST", "", {"directions": {"IN": 101}}),
    ("POST", "", {"directions": {"OUT": 103}, "mirror_type": "erspanv1"}),
    ("POST", "", {"directions": {"IN": "104"}}),
    ("POST", "", {"directions": {"BOTH": 105}}),
    ("POST", "", {"directions": "IN"}),
    ("POST", "", {"mirror_type": "erspanv2", "directions": {"IN": 106}}),
    ("POST", "", {"remote_ip": None, "directions": {"IN": 107}}),
    ("POST", "", {"port_id": None, "directions": {"IN": 107}}),
    ("POST", "", {"mirror_type": None, "directions": {"IN": 107}}),
    ("POST", "", {"directions": None}),
    ("POST", "", {"port_id": "00000000-0000-0000-0000-000000000001", "directions": {"IN": 108}}),
    ("POST", "", {"colour": "red", "directions": {"IN": 109}}),
    ("GET", "", None),
    ("GET", "/00000000-0000-0000-0000-000000000001", None),
    ("DELETE", "/00000000-0000-0000-0000-000000000001", None),
    ("GET", "/FIRST", None),
    ("PUT", "/FIRST", {"name": "n"}),
    ("PUT", "/FIRST", {"remote_ip": "10.9.0.3"}),
    ("GET", "?name=n", None),
    ("GET", "?name=nobody", None),
    ("DELETE", "/FIRST", None),
    ("GET", "/FIRST", None),
]


def answers(stack, port, target):
    """What it is answered, without the ids that it chooses itself."""
    token, first, got = stack.token("alice", "alice-s3cret", "shop"), "", []
    status, _, answer = stack.ask(port, "GET", "/v2.0/extensions/tap-mirror", token=token)
    got.append((status, answer))
    for verb, path, change in QUESTIONS:
        body = None
        if change is not None:
            body = {**(BODY | {"port_id": target} if verb == "POST" else {}), **change}
            body = {"tap_mirror": {key: value for key, value in body.items() if value is not None}}
        status, _, answer = stack.ask(port, verb, "/v2.0/taas/tap_mirrors" +
                                      path.replace("FIRST", first or "none"), body, token=token)
        rows = [answer["tap_mirror"]] if isinstance(answer, dict) and "tap_mirror" in answer else \
            answer.get("tap_mirrors", []) if isinstance(answer, dict) else []
        first = first or (rows[0]["id"] if rows else "")
        text = repr(answer).replace(first or "none", "FIRST")
        for row in rows:
            text = text.replace(row["id"], "ID")
        got.append((status, sorted(map(repr, rows_without_ids(rows))) if rows else text))
    return got


def rows_without_ids(rows):
    return [{key: value for key, value in sorted(row.items()) if key != "id"} for row in rows]


def ids_of(rows):
    return {row["port_id"]: row["directions"] for row in rows}


@scenario("os-mirror", "ovs-vsctl")
def os_mirror(lab):
    """Tap mirrors by GRE and ERSPAN: ids of their own, conflicts, status, removal; and a stand-in that
    answers as the real ones do, where there are none."""
    stack = Stack(lab, lab.ns("cloud"))
    try:
        mirrors(lab, stack)
    finally:
        stack.stop()


def mirrors(lab, stack):
    front = Front(stack)
    front.start_nova()
    network, _ = stack.network("shop-net", "10.60.0.0/24")
    ports = {}
    for name in ("web", "db"):
        row = server(name, stack.projects["shop"], tags=["role=" + name])
        front.servers.append(row)
        ports[name] = stack.port(name, network, machine=row["id"])["id"]
    if stack.has_mirrors:
        print("note: with Neutron's own tap mirrors")
        front.mirrors = Mirrors(stack)
        told, real = answers(stack, FRONT, ports["web"]), answers(stack, NEUTRON, ports["web"])
        wrong = [f"{question}\n    {a}\n    {b}" for question, a, b in
                 zip([("GET", "extension", None)] + QUESTIONS, told, real) if a != b]
        if wrong:
            raise Failed("the stand-in does not answer as Neutron:\n" + "\n".join(wrong))
        for row in rows_of(stack):
            stack.call("DELETE", "/v2.0/taas/tap_mirrors/" + row["id"], port=FRONT)
        front.mirrors = None
        for row in rows_of(stack):
            stack.call("DELETE", "/v2.0/taas/tap_mirrors/" + row["id"], port=FRONT)
    else:
        print("note: with a stand-in, as this Neutron has no tap mirrors")
        front.mirrors = Mirrors(stack)
    for kind, wire in (("gre", "gre"), ("erspan2", "erspanv1")):
        life(lab, stack, front, ports, kind, wire)


def rows_of(stack):
    return stack.call("GET", "/v2.0/taas/tap_mirrors", port=FRONT)["tap_mirrors"]


def life(lab, stack, front, ports, kind, wire):
    mirror = Mirror(stack, "--all-instances", "--to", kind + ":203.0.113.9", name="m-" + kind,
                    front=front)
    mirror.call("plan", "--detailed-exitcode").must(CHANGES)
    if rows_of(stack):
        raise Failed("plan makes something")
    mirror.apply()
    got = rows_of(stack)
    numbers = [int(n) for row in got for n in row["directions"].values()]
    if set(ids_of(got)) != set(ports.values()) or len(numbers) != 4 or len(set(numbers)) != 4 or \
            max(numbers) > (1023 if kind == "erspan2" else 2**32 - 1) or \
            {row["mirror_type"] for row in got} != {wire} or \
            {row["remote_ip"] for row in got} != {"203.0.113.9"}:
        raise Failed(f"tap mirrors: {got}")
    answer = mirror.call("apply", "--yes").must(DONE)
    if "nothing to do" not in answer.out or rows_of(stack) != got:
        raise Failed(f"the second apply: {answer.said()}")
    mirror.call("plan", "--detailed-exitcode").must(DONE)
    mirror.status(DONE)
    with open(os.path.join(mirror.state, "sources", f"openstack-m-{kind}.yaml"),
              encoding="utf-8") as file:
        sources = file.read()
    for n in numbers:
        if str(n) not in sources:
            raise Failed(f"the record lacks the id {n}:\n{sources}")
    # The same ids when all is made anew, also by somebody who knows nothing of before.
    mirror.remove()
    if rows_of(stack):
        raise Failed(f"remove leaves {rows_of(stack)}")
    mirror.state = lab.folder("state-new-" + kind, 0o700)
    mirror.apply()
    if ids_of(rows_of(stack)) != ids_of(got):
        raise Failed(f"other ids than before: {rows_of(stack)}")
    # One that is deleted behind our back.
    gone = got[0]["port_id"]
    for row in rows_of(stack):
        if row["port_id"] == gone:
            stack.call("DELETE", "/v2.0/taas/tap_mirrors/" + row["id"], port=FRONT)
    mirror.status(FAILED, UNHEALTHY)
    # Its id is taken by somebody else just before it is made again.
    taken, made = [], []

    def snatch(call, _):
        if call.verb == "POST" and call.path.endswith("/tap_mirrors") and not made:
            made.append(None)
            taken.append(call.body["tap_mirror"]["directions"]["IN"])
            made[0] = stack.call("POST", "/v2.0/taas/tap_mirrors", {"tap_mirror": {
                "name": "theirs", "port_id": gone, "remote_ip": "203.0.113.8", "mirror_type": "gre",
                "directions": {"IN": taken[0]}}}, port=FRONT,
                token=stack.token("alice", "alice-s3cret", "shop"))["tap_mirror"]
    front.before = snatch
    mirror.apply()
    front.forget()
    theirs = made[0]
    now = ids_of([row for row in rows_of(stack) if row["id"] != theirs["id"]])
    if int(taken[0]) in [int(n) for n in now[gone].values()] or set(now) != set(ports.values()):
        raise Failed(f"an id that was taken: {now}")
    mirror.call("plan", "--detailed-exitcode").must(DONE)
    mirror.remove()
    same("remove", {"rows": [theirs["id"]]}, {"rows": [row["id"] for row in rows_of(stack)]})
    stack.call("DELETE", "/v2.0/taas/tap_mirrors/" + theirs["id"], port=FRONT)
    mirror.must_have_written_no_secret()
