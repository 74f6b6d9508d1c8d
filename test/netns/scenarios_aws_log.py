"""From the cloud to the log: sessions that `cloudspan mirror apply aws` made are mirrored, and `watch`
shows the machines by their names; one that is deleted is missed by both."""
import contextlib
import os
import time

import traffic
from aws_fabric import Fabric
from aws_lab import Aws
from collector import Watch
from lab import Failed, wait_until
from mirror_command import DONE, UNHEALTHY
from scenario import scenario
from scenarios_aws import must

NAMES = ("web-1", "db-1")


def small(cloud):
    """Two machines and the collector; their networks let the canary in."""
    vpc = cloud.vpc("10.0.0.0/16", {"Name": "prod"})
    subnet = cloud.subnet(vpc.id, "10.0.1.0/24")
    group = cloud.group(vpc.id, "all")
    cloud.rule(group.id, "-1", cidr="10.0.0.0/16")
    for name in (*NAMES, "collector"):
        cloud.instance(subnet.id, name, groups=[group.id])
    return vpc


def record(aws):
    """What watch gets to know of the mirrors."""
    folder = os.path.join(aws.state, "sources")
    return "".join(open(os.path.join(folder, name), encoding="utf-8").read()
                   for name in sorted(os.listdir(folder)))


def talk(fabric, first, last):
    """db-1 asks web-1; the names of what it asked for."""
    asked = []
    for n in range(first, last):
        path = f"/talk/{n}/x"
        traffic.http_get(fabric.machines["db-1"], fabric.machines["web-1"].lan_address, path)
        asked.append(path)
    return asked


def wait_logged(watch, path):
    """What mirrors here is a thread, which gets its turn when it does."""
    def there():
        # A line may be half there, and a file on its way into the archive.
        with contextlib.suppress(Failed, OSError, EOFError, KeyError):
            return path in watch.logs()["http"].column("uri")
        return False
    wait_until(there, f"{path} is not logged", every=0.1)


def from_cloud_to_log(lab, to, listener):
    aws = Aws(lab, small)
    aws.wish = ["--vpc", aws.vpc.id, "--to", to(aws)]
    if to is gateway:
        aws.wish += ["--exclude", "Name=collector"]
    fabric = Fabric(lab, aws, *NAMES)
    fabric.add_gateway()
    web = fabric.machines["web-1"]
    traffic.servers(lab, web, web.lan_address)
    talk(fabric, 0, 2)
    must(not fabric.sent, "something is mirrored before there is a session")
    aws.apply()
    aws.must_mirror(*NAMES)
    config = record(aws)
    must(all(f"name: {name}" in config or f"name: \"{name}\"" in config for name in NAMES), config)
    watch = Watch(lab, fabric.col, "-l", listener,
                  config=config + "canary: {interval: 1s}\nadmit: configured\n")
    asked = talk(fabric, 100, 120)
    for name in NAMES:
        watch.wait_state(name, ("ok", "quiet"), limit=120)
        wait_until(lambda n=name: watch.machine(n).get("canaries_back"),
                   f"no canary came back through the session of {name}", every=0.2)
    must(watch.sources()[0] == 0, f"all is well, but {watch.sources()}")

    # Somebody deletes a session: the cloud's log says who, and watch that it is silent.
    gone = aws.sessions()[("web-1", 0)].id
    with aws.cloud.lock:
        aws.cloud.behind_our_back(gone)
    begin = time.monotonic()
    answer = aws.status().must(UNHEALTHY)
    said = " ".join(row["text"] for row in answer.rows("blame"))
    must(gone in said and "mallory" in said and aws.interface("web-1").id in said,
         f"{said}\n{answer.said()}")
    for states in (("SILENT",), ("SILENT", "MUTED")):
        machine, _ = watch.wait_state("web-1", states, limit=120)
        print(f"  {machine['state']} after {time.monotonic() - begin:.1f} s: {machine['reason']}")
        # Its peer's session bears witness of it.
        asked += talk(fabric, 200 + len(asked), 205 + len(asked))
    must(watch.machine("db-1")["state"] in ("ok", "quiet"), watch.machine("db-1"))

    # Made anew, with the same VNI, so that watch knows it again by itself.
    aws.apply()
    asked += talk(fabric, 300, 310)
    watch.wait_state("web-1", ("ok", "quiet"), limit=120)
    asked += talk(fabric, 400, 405)
    wait_logged(watch, asked[-1])
    live = watch.stop()
    fabric.close()
    rows = live["http"].dicts()
    for path in asked:
        n = sum(row["uri"] == path for row in rows)
        if n != 1:
            raise Failed(f"{path} is {n} times in http.log, not once")
    ends = (fabric.machines["db-1"].lan_address, web.lan_address)
    conns = [row for row in live["conn"].dicts()
             if (row["id.orig_h"], row["id.resp_h"], row["id.resp_p"]) == (*ends, "80")]
    must(len(conns) == len(asked), f"{len(conns)} connections in conn.log, not {len(asked)}")
    must({row["source"] for row in conns} <= set(NAMES), {row["source"] for row in conns})
    aws.remove()
    aws.must_be_as_before()
    aws.judge()


def interface(aws):
    return aws.sink()


def gateway(aws):
    endpoint = aws.cloud.endpoint(aws.interface("collector").subnet)
    aws.before = aws.cloud.state()
    return "gwlbe:" + endpoint.id


@scenario("aws-to-log", "openssl")
def to_log(lab):
    """Sessions to an interface: VXLAN; a connection between two machines is logged once."""
    from_cloud_to_log(lab, interface, "vxlan")


@scenario("aws-to-log-gwlb", "openssl")
def to_log_gwlb(lab):
    """Sessions to a Gateway Load Balancer's endpoint: VXLAN in GENEVE."""
    from_cloud_to_log(lab, gateway, "geneve+vxlan")


@scenario("aws-move", "openssl")
def move(lab):
    """The target's interface goes from one collector to another: the sessions stay, and the watch
    there picks them up."""
    def two(cloud):
        vpc = small(cloud)
        first = next(one for one in cloud.all("instance") if one.tags["Name"] == "collector")
        cloud.instance(first.subnet, "collector-2", groups=cloud.interfaces_of(first.id)[0].groups)
        return vpc
    aws = Aws(lab, two)
    subnet = aws.interface("collector").subnet
    aws.call("target", "create", subnet, "--yes").must(DONE)
    eni = next(one for one in aws.cloud.all("network-interface") if one.own)
    aws.call("target", "attach", eni.id, aws.machine("collector").id, "--yes").must(DONE)
    fabric = Fabric(lab, aws, *NAMES)
    second = fabric.add("collector-2")
    fabric.plug(fabric.col, "eth1", eni)
    web = fabric.machines["web-1"]
    traffic.servers(lab, web, web.lan_address)
    aws.wish = ["--vpc", aws.vpc.id, "--to", eni.id, "--exclude", "Name=collector*"]
    aws.apply()
    sessions = sorted(session.id for session in aws.sessions().values())
    config = record(aws) + "canary: {interval: 1s}\nadmit: configured\n"
    here, there = (Watch(lab, machine, "-l", "vxlan", config=config, name=name)
                   for machine, name in ((fabric.col, "here"), (second, "there")))
    first = talk(fabric, 0, 10)
    for name in NAMES:
        here.wait_state(name, ("ok", "quiet"), limit=120)
    aws.call("target", "move", eni.id, aws.machine("collector-2").id, "--yes").must(DONE)
    fabric.move("eth1", eni, fabric.col, second)
    later = talk(fabric, 10, 30)
    for name in NAMES:
        there.wait_state(name, ("ok", "quiet"), limit=120)
    must(sessions == sorted(session.id for session in aws.sessions().values()), "other sessions")
    aws.must_have_nothing_to_do()
    for watch, asked in ((here, first), (there, later)):
        wait_logged(watch, asked[-1])
        uris = [row["uri"] for row in watch.stop()["http"].dicts()]
        # The first ones may come before the neighbours know where the address has gone.
        must(set(asked[-5:]) <= set(uris) and len(uris) == len(set(uris)), f"{uris}, not {asked}")
    fabric.close()
    aws.remove()
    aws.call("target", "delete", eni.id, "--yes").must(DONE)
    aws.must_be_as_before()
    aws.judge()
