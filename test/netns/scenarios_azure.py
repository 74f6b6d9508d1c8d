"""`cloudspan mirror … azure` against a stand-in for Azure (test/cloud/azure_standin.py)."""
import base64
import json
import os
import subprocess

from azure_standin import CLIENT, NETWORK, SECRET, SUBSCRIPTION, TENANT, Azure
from lab import Failed, need, wait_until
from rest_bench import CHANGES, FAILED, LACKING, MISUSED, UNHEALTHY, Bench, same
from scenario import scenario


def world(cloud):
    """A network with a collector, three machines that can be mirrored, and some that can't."""
    far = cloud.vnet("net", "far")
    near = cloud.vnet("net", "near")
    secret = cloud.vnet("net", "secret", encrypted=True)
    main = cloud.vnet("net", "main")
    cloud.things[main.lower()]["properties"]["virtualNetworkPeerings"] = []
    cloud.things[near.lower()]["properties"]["virtualNetworkPeerings"] = [
        {"name": "p", "properties": {"remoteVirtualNetwork": {"id": main},
                                     "peeringState": "Connected"}}]
    names = {}
    names["col"] = cloud.nic("net", "col-nic", main, "10.0.0.4", cloud.machine("net", "col"),
                             mac="00-0D-3A-00-00-04")
    for i, (name, tags) in enumerate((("web-1", {"env": "prod"}), ("web-2", {"env": "prod"}),
                                      ("db-1", {"env": "prod", "role": "db"}))):
        names[name] = cloud.nic("RG1", f"{name}-nic", main, f"10.0.0.{10 + i}",
                                cloud.machine("RG1", name, tags=tags), mac=f"00-0D-3A-00-01-0{i}")
    names["new"] = cloud.nic("RG1", "new-nic", main, "10.0.0.20",
                             cloud.machine("RG1", "new", size="Standard_D4s_v6"))
    names["loose"] = cloud.nic("RG1", "loose-nic", main, "10.0.0.21")
    names["uk"] = cloud.nic("RG1", "uk-nic", main, "10.0.0.22",
                            cloud.machine("RG1", "uk"), location="uksouth")
    names["far"] = cloud.nic("rg2", "far-nic", far, "10.1.0.4", cloud.machine("rg2", "far"))
    names["secret"] = cloud.nic("rg2", "secret-nic", secret, "10.2.0.4",
                                cloud.machine("rg2", "secret"))
    names["near"] = cloud.nic("rg2", "near-nic", near, ["10.3.0.4", "fd00::4"],
                              cloud.machine("rg2", "near"))
    return names


def begin(lab, *wish, environment=None, **options):
    cloud = Azure(**options)
    names = world(cloud)
    default = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET,
               "AZURE_AUTHORITY_HOST": cloud.url, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
               "AZURE_POD_IDENTITY_AUTHORITY_HOST": cloud.url}
    wish = wish or ("--vnet", "main")
    name = "main" if "--vnet" in wish else "t" if "--name" in wish else "RG1"
    bench = Bench(lab, cloud, "azure", name,
                  ("--resource-group", "RG1", "--to", names["col"], "--endpoint", cloud.url, *wish),
                  ("--endpoint", cloud.url), environment or default, [SECRET])
    return bench, cloud, names


WANTED = {"web-1-nic": ["cloudspan-main"], "web-2-nic": ["cloudspan-main"],
          "db-1-nic": ["cloudspan-main"]}


@scenario("azure-life")
def azure_life(lab):
    """Plan, apply, plan again, a machine more and one less, remove: Azure is as it was."""
    bench, cloud, names = begin(lab)
    before = cloud.state()
    said = bench.plan("--detailed-exitcode", codes=(CHANGES,))
    bench.must_say(said, "virtual network TAP rg1/cloudspan-main to the interface col-nic",
                   "v6 sizes", "attached to no machine", "uksouth", "up to 60 seconds",
                   "web-1")
    bench.must_say(bench.plan("--instance", "nobody", codes=(FAILED,)), "is the selection right")
    same("after plan", before, cloud.state())
    bench.must_say(bench.plan("--print"), "az network vnet tap create", "--tags cloudspan=main",
                   "az network nic vtap-config create", "az network vnet tap delete")
    for way in ("operation", "location", "state"):
        cloud.way, cloud.polls = way, 2
        bench.apply()
        same(f"configurations ({way})", WANTED, cloud.configs())
        bench.must_have_nothing_to_do()
        bench.status()
        if way == "state":
            break
        bench.remove()
        same(f"after remove ({way})", before, cloud.state())
    cloud.short_lists = True
    bench.must_have_nothing_to_do()
    cloud.short_lists = False
    more = cloud.nic("RG1", "web-3-nic", cloud.things[names["web-1"].lower()]["properties"][
        "ipConfigurations"][0]["properties"]["subnet"]["id"].split("/subnets/")[0], "10.0.0.33",
        cloud.machine("RG1", "web-3"))
    bench.status(UNHEALTHY)
    bench.apply()
    same("one more", {**WANTED, "web-3-nic": ["cloudspan-main"]}, cloud.configs())
    cloud.drop(more)
    bench.apply()
    same("one less", WANTED, cloud.configs())
    bench.wish += ["--exclude", "role=db"]
    bench.apply()
    same("without db", {name: WANTED[name] for name in ("web-1-nic", "web-2-nic")},
         cloud.configs())
    bench.wish += ["--port", "4790"]
    bench.call("plan", "--detailed-exitcode", codes=(CHANGES,))
    bench.apply()
    same("port", [4790], [tap["properties"]["destinationPort"] for tap in cloud.taps()])
    if not any(call.method == "PUT" and "if-match" in call.headers for call in cloud.calls):
        raise Failed("a change without If-Match")
    bench.lose_journal()
    bench.remove()
    del cloud.things[f"{cloud.group('RG1')}/Microsoft.Compute/virtualMachines/web-3".lower()]
    same("after remove", before, cloud.state())


@scenario("azure-requests")
def azure_requests(lab):
    """Requests have the fields of the published examples, and no others."""
    bench, cloud, names = begin(lab, "--instance", "web-1", "--name", "t")
    cloud.count_from_now()
    bench.apply()
    puts = {call.path: call for call in cloud.calls if call.method == "PUT"}
    tap = f"{cloud.group('RG1')}/Microsoft.Network/virtualNetworkTaps/cloudspan-t"
    config = f"{names['web-1']}/tapConfigurations/cloudspan-t"
    same("what was put", sorted([tap, config]), sorted(puts))
    # VirtualNetworkTapCreate.json, with the port and our mark.
    same("the TAP", {
        "location": "eastus", "tags": {"cloudspan": "t"},
        "properties": {"destinationNetworkInterfaceIPConfiguration":
                       {"id": f"{names['col']}/ipConfigurations/ipconfig1"},
                       "destinationPort": 4789}}, puts[tap].body)
    # NetworkInterfaceTapConfigurationCreate.json
    same("the configuration", {"properties": {"virtualNetworkTap": {"id": tap}}},
         puts[config].body)
    for call in puts.values():
        same("version", {"api-version": NETWORK}, call.query)
    cloud.count_from_now()
    bench.remove()
    deletes = [call for call in cloud.calls if call.method == "DELETE"]
    same("what was deleted", [config.lower(), tap.lower()], [call.path.lower() for call in deletes])
    same("a body", [b"", b""], [call.body for call in deletes])


@scenario("azure-balancer")
def azure_balancer(lab):
    """Copies to a load balancer; machines behind one that stands in the way are known beforehand."""
    bench, cloud, names = begin(lab)
    main = f"{cloud.group('net')}/Microsoft.Network/virtualNetworks/main"
    good = cloud.balancer("net", "good", main)
    for i, lb in enumerate((good, cloud.balancer("net", "basic", main, sku="Basic"),
                            cloud.balancer("net", "float", main, floating=True))):
        name = lb.rsplit("/", 1)[1]
        cloud.nic("RG1", f"{name}-nic", main, f"10.0.0.{50 + i}", cloud.machine("RG1", name),
                  mac=f"00-0D-3A-00-05-0{i}", pools=[f"{lb}/backendAddressPools/p"])
    before = cloud.state()
    bench.must_say(bench.plan(), "behind the Basic load balancer basic",
                   "behind the load balancer float with a floating IP", "what good sends")
    bench.wish[bench.wish.index("--to") + 1] = f"lb:{good}/frontendIPConfigurations/f"
    cloud.count_from_now()
    bench.apply()
    # Those behind it receive the copies; the former collector is a machine like others.
    same("configurations", {**WANTED, "col-nic": ["cloudspan-main"]}, cloud.configs())
    put = next(call for call in cloud.calls if call.method == "PUT")
    same("destination", {"destinationLoadBalancerFrontEndIPConfiguration":
                         {"id": f"{good}/frontendIPConfigurations/f"}, "destinationPort": 4789},
         put.body["properties"])
    bench.must_have_nothing_to_do()
    bench.remove()
    same("after remove", before, cloud.state())
    bench.wish[bench.wish.index("--to") + 1] = f"lb:{good}/frontendIPConfigurations/none"
    bench.must_say(bench.plan(codes=(FAILED,)), "has no front end")


@scenario("azure-follow")
def azure_follow(lab):
    """`follow` keeps its connection and token from round to round; new ones come when it is refused,
    when a round fails, and when the mirror is applied with other words."""
    bench, cloud, _ = begin(lab)
    before = cloud.state()
    main = f"{cloud.group('net')}/Microsoft.Network/virtualNetworks/main"
    bench.apply()
    process = lab.start("follow", *bench.words("follow", "--name", "main", "--interval", "1"),
                        env=bench.environment)

    def rounds(n):
        """So many more looks begin after this one."""
        cloud.count_from_now()
        wait_until(lambda: process.must_run() and
                   sum(call.path.endswith("/virtualNetworkTaps") for call in list(cloud.calls)) > n,
                   lambda: f"no rounds:\n{process.said()}{process.printed()}", every=0.1)
    tokens = cloud.n_tokens
    rounds(3)
    same("tokens of some rounds", tokens + 1, cloud.n_tokens)
    cloud.withdraw_tokens()
    rounds(2)
    same("tokens when one was withdrawn", tokens + 2, cloud.n_tokens)
    cloud.nic("RG1", "web-3-nic", main, "10.0.0.33", cloud.machine("RG1", "web-3"))
    wait_until(lambda: process.must_run() and "web-3-nic" in cloud.configs(),
               lambda: f"web-3 is not mirrored:\n{process.said()}", every=0.1)
    same("tokens when something is made", tokens + 2, cloud.n_tokens)
    if "tried again" in process.said():
        raise Failed(f"a trouble: {process.said()}")
    cloud.fault(403, "AuthorizationFailed", when=lambda call: call.path.endswith("/virtualNetworkTaps"))
    wait_until(lambda: process.must_run() and "it works again" in process.said(),
               lambda: f"it does not go on:\n{process.said()}", every=0.1)
    same("tokens after a failure", tokens + 3, cloud.n_tokens)
    bench.wish += ["--exclude", "role=db"]
    bench.apply()
    same("tokens of follow and of apply", tokens + 4, cloud.n_tokens)
    rounds(2)
    same("tokens when there are other words", tokens + 5, cloud.n_tokens)
    same("configurations", {"web-1-nic", "web-2-nic", "web-3-nic"}, set(cloud.configs()))
    if process.stop() != 0:
        raise Failed(f"follow ended with an error: {process.said()}")
    bench.remove()
    for name in ("Network/networkInterfaces/web-3-nic", "Compute/virtualMachines/web-3"):
        del cloud.things[f"{cloud.group('RG1')}/Microsoft.{name}".lower()]
    same("after remove", before, cloud.state())


@scenario("azure-scale-set")
def azure_scale_set(lab):
    """Machines of a uniform scale set are named as such that can't be mirrored; those of a flexible
    one are machines like others."""
    bench, cloud, _ = begin(lab)
    main = f"{cloud.group('net')}/Microsoft.Network/virtualNetworks/main"
    cloud.scale_set("RG1", "pool", main, [f"10.0.0.{60 + i}" for i in range(5)], tags={"env": "prod"})
    cloud.scale_set("RG2", "far-pool", main.replace("/main", "/far"), ["10.1.0.60"])
    flexible = cloud.scale_set("RG1", "flex", main, [], mode="Flexible")
    cloud.nic("RG1", "flex_1-nic", main, "10.0.0.70", cloud.machine("RG1", "flex_1"),
              mac="00-0D-3A-00-08-01", virtualMachineScaleSet={"id": flexible})
    before = cloud.state()
    bench.must_say(bench.plan(), "uniform scale set", "5 interfaces", "pool_0")
    bench.apply()
    same("configurations", {**WANTED, "flex_1-nic": ["cloudspan-main"]}, cloud.configs())
    bench.must_have_nothing_to_do()
    rows = {row["machine"]: row for row in bench.status()["coverage"]}
    same("machines", {f"pool_{i}" for i in range(5)},
         {name for name in rows if "pool" in name})
    same("one of them", (False, False, "10.0.0.62"),
         tuple(rows["pool_2"][name] for name in ("mirrored", "wanted", "address")))
    if "uniform scale set" not in rows["pool_2"]["reason"]:
        raise Failed(f"{rows['pool_2']}")
    bench.remove()
    same("after remove", before, cloud.state())
    bench.wish += ["--exclude", "env=prod"]
    cloud.may_not_list = {"microsoft.compute/virtualmachinescalesets"}
    bench.must_say(bench.plan("--tag", "env=prod or not env=prod"),
                   "virtualMachineScaleSets may not be listed")


@scenario("azure-kill")
def azure_kill(lab):
    """Killed at any call, before or after Azure did it: apply and remove go on from there."""
    bench, cloud, _ = begin(lab, "--tag", "env=prod and not role=db")
    before = cloud.state()
    wanted = {name: ["cloudspan-RG1"] for name in ("web-1-nic", "web-2-nic")}
    cloud.polls, cloud.page = 0, 100  # few calls
    for phase in ("before", "after"):
        number = 0
        while bench.killed_at("apply", number, phase):
            cloud.advance()
            bench.apply()
            same(f"apply after a kill {phase} call {number}", wanted, cloud.configs())
            bench.remove()
            same(f"remove after a kill {phase} call {number}", before, cloud.state())
            number += 1
        if number < 8:
            raise Failed(f"only {number} calls in an apply")
        number = 0
        while bench.killed_at("remove", number, phase):
            bench.remove()
            same(f"removed after a kill {phase} call {number} of remove", before, cloud.state())
            bench.apply()
            number += 1
        if number < 6:
            raise Failed(f"only {number} calls in a remove")
        same("in the end", before, cloud.state())


@scenario("azure-faults")
def azure_faults(lab):
    """Throttling, expired tokens, 503, busy things, failed operations, conflicts."""
    bench, cloud, names = begin(lab)
    before = cloud.state()
    cloud.fault(429, "TooManyRequests", headers={"Retry-After": "1"}, n=2)
    cloud.fault(503, "ServerBusy", n=2, when=lambda call: call.method == "PUT")
    cloud.fault(409, "AnotherOperationInProgress", n=2, headers={"Retry-After": "0"},
                when=lambda call: call.method == "PUT")
    bench.apply()
    same("through faults", WANTED, cloud.configs())
    # A token that is withdrawn is renewed once; credentials that are no longer good are said.
    cloud.withdraw_tokens()
    bench.status()
    bench.environment["AZURE_CLIENT_SECRET"] = "wrong~value"
    bench.secrets.append("wrong~value")
    bench.must_say(bench.plan(codes=(FAILED,)), "AADSTS7000215", "AZURE_CLIENT_SECRET")
    bench.environment["AZURE_CLIENT_SECRET"] = SECRET
    bench.remove()
    same("removed", before, cloud.state())
    # An operation that fails later: the others are made, and it is tried again.
    cloud.failing["/networkInterfaces/web-2-nic/tapConfigurations/cloudspan-main"] = (
        "OperationNotAllowed", "The interface cannot be tapped.")
    said = bench.apply(codes=(LACKING,))
    bench.must_say(said, "OperationNotAllowed", "web-2")
    rows = bench.status(UNHEALTHY)
    if "web-2" not in str(rows):
        raise Failed(f"status does not name web-2: {rows}")
    cloud.failing.clear()
    bench.apply()
    same("tried again", WANTED, cloud.configs())
    bench.must_have_nothing_to_do()
    bench.remove()
    # Not on fastpath: explained; the others stay.
    cloud.off_fastpath.add(names["db-1"].lower())
    said = bench.apply(codes=(LACKING,))
    bench.must_say(said, "stopped (deallocated) and started")
    same("without db", ["web-1-nic", "web-2-nic"], sorted(cloud.configs()))
    cloud.off_fastpath.clear()
    bench.apply()
    same("with db", WANTED, cloud.configs())
    # Somebody changes the TAP between the look and the change.
    bench.wish += ["--port", "4790"]
    cloud.fault(412, "PreconditionFailed", when=lambda call: call.method == "PUT")
    bench.must_say(bench.apply(codes=(FAILED,)), "somebody changed it")
    bench.apply()
    bench.remove()
    # No permission.
    cloud.fault(403, "AuthorizationFailed", "The client does not have authorization to perform "
                "action 'Microsoft.Network/virtualNetworkTaps/write'", when=lambda call:
                call.method == "PUT")
    bench.must_say(bench.apply(codes=(FAILED,)), "virtualNetworkTaps/write")
    bench.remove(codes=(0, FAILED))
    same("in the end", before, cloud.state())


@scenario("azure-drift")
def azure_drift(lab):
    """What others delete or change is seen, said with who did it, and repaired; theirs stays."""
    bench, cloud, names = begin(lab)
    before = cloud.state()
    other = cloud.add(f"{cloud.group('RG1')}/Microsoft.Network/virtualNetworkTaps/theirs",
                      tags={"owner": "x"}, destinationPort=4789,
                      networkInterfaceTapConfigurations=[],
                      destinationNetworkInterfaceIPConfiguration={
                          "id": f"{names['col']}/ipConfigurations/ipconfig1"})
    cloud.things[names["web-1"].lower()]["properties"]["tapConfigurations"].append({
        "name": "theirs", "id": f"{names['web-1']}/tapConfigurations/theirs", "etag": "x",
        "type": "Microsoft.Network/networkInterfaces/tapConfigurations",
        "properties": {"provisioningState": "Succeeded", "virtualNetworkTap": {"id": other}}})
    with_theirs = cloud.state()
    bench.must_say(bench.apply(), "somebody else's")
    cloud.drop(f"{names['web-2']}/tapConfigurations/cloudspan-main", "mallory@example.com")
    rows = bench.status(UNHEALTHY)
    same("coverage", {"db-1": True, "web-1": True, "web-2": False},
         {row["machine"]: row["mirrored"] for row in rows["coverage"]
          if row["machine"] in ("db-1", "web-1", "web-2")})
    said = bench.call("status", codes=(UNHEALTHY,))
    bench.must_say(said, "mallory@example.com", "web-2")
    if not any(not row.get("mirrored", True) for row in rows.get("coverage", [])):
        raise Failed(f"coverage has no machine that is not mirrored: {rows}")
    bench.apply()
    bench.must_have_nothing_to_do()
    tap = cloud.taps()[0] if "cloudspan" in cloud.taps()[0]["tags"] else cloud.taps()[1]
    tap["properties"]["destinationPort"] = 9999
    tap["tags"]["note"] = "kept"
    bench.status(UNHEALTHY)
    bench.apply()
    same("port", 4789, cloud.get(tap["id"])["properties"]["destinationPort"])
    same("others' tags", "kept", cloud.get(tap["id"])["tags"].get("note"))
    # An interface that vanishes between the look and the call.
    bench.remove()
    same("theirs stays", with_theirs, cloud.state())
    # A TAP of that name that is not ours.
    cloud.add(f"{cloud.group('RG1')}/Microsoft.Network/virtualNetworkTaps/cloudspan-main", tags={},
              destinationPort=4789, networkInterfaceTapConfigurations=[])
    bench.must_say(bench.plan(codes=(FAILED,)), "not ours")
    if before == with_theirs:
        raise Failed("nothing of others was there")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@scenario("azure-credentials", "openssl")
def azure_credentials(lab):
    """Managed identity, workload identity, certificate, the az command; none at all; subscriptions."""
    bench, cloud, names = begin(lab)
    def environment(**more):
        return {"PATH": bench.environment["PATH"], "HOME": bench.home, "no_proxy": "*",
                "AZURE_AUTHORITY_HOST": cloud.url,
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": cloud.url, **more}
    bench.environment = environment()
    bench.must_say(bench.plan(codes=(FAILED,)), "no credentials", "managed identity", "az")
    cloud.has_identity = True
    bench.must_say(bench.plan("-v"), "web-1")
    # self: the machine that the metadata service names.
    cloud.metadata = {"compute": {"subscriptionId": SUBSCRIPTION, "location": "eastus"},
                      "network": {"interface": [{"macAddress": "000D3A000004"}]}}
    bench.wish[bench.wish.index("--to") + 1] = "self"
    bench.must_say(bench.plan(), "col-nic")
    bench.wish[bench.wish.index("--to") + 1] = names["col"]
    cloud.has_identity = False
    token = lab.path("federated")
    with open(token, "w", encoding="ascii") as file:
        file.write("federated-assertion\n")
    bench.environment = environment(AZURE_TENANT_ID=TENANT, AZURE_CLIENT_ID=CLIENT,
                                    AZURE_FEDERATED_TOKEN_FILE=token)
    bench.plan()
    same("assertion", "federated-assertion", cloud.assertions[-1])
    # The az command's login.
    tools = lab.folder("tools")
    with open(os.path.join(tools, "az"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho \"$@\" >" + lab.path("az-asked") + "\n"
                   f"echo '{{\"accessToken\": \"{cloud.new_token()}\", \"expiresOn\": "
                   f"\"2099-01-01 00:00:00.000000\", \"subscription\": \"{SUBSCRIPTION}\", "
                   "\"tenant\": \"t\", \"tokenType\": \"Bearer\"}'\n")
    os.chmod(os.path.join(tools, "az"), 0o755)
    bench.environment = environment(PATH=tools + ":" + bench.environment["PATH"])
    bench.plan()
    with open(lab.path("az-asked"), encoding="ascii") as file:
        same("az", f"account get-access-token --output json --resource {cloud.url}/",
             file.read().strip())
    # A certificate: the assertion is signed by its key, and names it.
    openssl, pem = need("openssl"), lab.path("client.pem")
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=c",
                    "-keyout", pem, "-out", lab.path("cert.pem")], check=True,
                   stderr=subprocess.DEVNULL)
    with open(lab.path("cert.pem"), encoding="ascii") as cert, \
            open(pem, "a", encoding="ascii") as file:
        file.write(cert.read())
    bench.environment = environment(AZURE_TENANT_ID=TENANT, AZURE_CLIENT_ID=CLIENT,
                                    AZURE_CLIENT_CERTIFICATE_PATH=pem,
                                    AZURE_SUBSCRIPTION_ID=SUBSCRIPTION)
    bench.plan()
    signed, _, signature = cloud.assertions[-1].rpartition(".")
    header, claims = (json.loads(decode(part)) for part in signed.split("."))
    with open(lab.path("signature"), "wb") as file:
        file.write(decode(signature))
    public = subprocess.run([openssl, "x509", "-in", pem, "-pubkey", "-noout"], check=True,
                            stdout=subprocess.PIPE).stdout
    with open(lab.path("public.pem"), "wb") as file:
        file.write(public)
    subprocess.run([openssl, "dgst", "-sha256", "-verify", lab.path("public.pem"), "-signature",
                    lab.path("signature")], input=signed.encode(), check=True,
                   stdout=subprocess.DEVNULL)
    print_ = subprocess.run([openssl, "x509", "-in", pem, "-fingerprint", "-sha1", "-noout"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    same("thumbprint", print_.strip().split("=")[1].replace(":", "").lower(),
         decode(header["x5t"]).hex())
    same("claims", (f"{cloud.url}/{TENANT}/oauth2/v2.0/token", CLIENT, CLIENT),
         (claims["aud"], claims["iss"], claims["sub"]))
    # Secrets do not go by http:// to elsewhere.
    bench.wish[bench.wish.index("--endpoint") + 1] = "http://management.example.com"
    bench.must_say(bench.plan(codes=(FAILED, MISUSED)), "https://")
