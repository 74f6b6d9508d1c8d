"""A stand-in for Google Cloud: OAuth's token endpoint, the metadata server, Compute Engine with what
Packet Mirroring and mirroring rules need, Network Security's mirroring objects, the audit log. Fields,
operations and errors are those of Google's published reference of compute v1, networksecurity v1 and
logging v2."""
import base64
import copy
import datetime
import json
import re
import subprocess
import tempfile
import urllib.parse

from rest_standin import Refusal, Standin, only_fields

PROJECT = "proj-1"
REGION = "europe-west3"
ZONE = REGION + "-a"
ORGANIZATION = "123456789"
URL = "https://www.googleapis.com/compute/v1/"

POLICY_SHAPE = {"name": str, "description": str, "network": {"url": str}, "priority": int,
                "collectorIlb": {"url": str}, "enable": str,
                "mirroredResources": {"subnetworks": [{"url": str}], "instances": [{"url": str}],
                                      "tags": [str]},
                "filter": {"cidrRanges": [str], "IPProtocols": [str], "direction": str}}
LABELS = {"labels": {"*": str}, "description": str}
# Of Network Security: what an object may have, and which of it is another object.
SECURITY = {
    "mirroringDeploymentGroups": ({"network": str, **LABELS}, []),
    "mirroringDeployments": ({"forwardingRule": str, "mirroringDeploymentGroup": str, **LABELS},
                             ["mirroringDeploymentGroup"]),
    "mirroringEndpointGroups": ({"mirroringDeploymentGroup": str, "type": str, **LABELS},
                                ["mirroringDeploymentGroup"]),
    "mirroringEndpointGroupAssociations": ({"mirroringEndpointGroup": str, "network": str,
                                            "labels": {"*": str}}, ["mirroringEndpointGroup"]),
    "securityProfiles": ({"type": str, "customMirroringProfile": {"mirroringEndpointGroup": str},
                          **LABELS}, ["customMirroringProfile.mirroringEndpointGroup"]),
    "securityProfileGroups": ({"customMirroringProfile": str, **LABELS},
                              ["customMirroringProfile"]),
}
FIREWALL_SHAPE = {"name": str, "description": str}
RULE_SHAPE = {"priority": int, "ruleName": str, "description": str, "action": str, "direction": str,
              "securityProfileGroup": str, "disabled": bool,
              "match": {"srcIpRanges": [str], "destIpRanges": [str],
                        "layer4Configs": [{"ipProtocol": str, "ports": [str]}]}}
KINDS = ("packetMirrorings", "instances", "subnetworks", "forwardingRules", "firewallPolicies",
         "networks")
ASSOCIATION_SHAPE = {"name": str, "attachmentTarget": str}


def id_of(kind):
    """The query parameter that names a new object of Network Security."""
    return kind[:-1] + "Id"


class Google(Standin):
    def __init__(self):
        super().__init__()
        self.things = {}      # path from "projects/" or "organizations/" on: the thing
        self.operations = {}
        self.n_operations = 0
        self.polls = 1
        self.page = 2
        self.failing = {}     # a path's end: (code, text) that the operation ends with
        self.requests = {}    # requestId: the answer that was given
        self.entries = []     # of the audit log
        self.caller = "cloudspan@proj-1.iam.gserviceaccount.com"
        self.public_key = None    # of the service account
        self.has_metadata = False
        self.grants = []
        self.quota_projects = set()
        self.numbers = False

    # ---- a world to start with ----

    def add(self, path, **fields):
        self.things[path] = {"name": path.rsplit("/", 1)[1], "selfLink": URL + path, **fields}
        return path

    def network(self, name):
        return self.add(f"projects/{PROJECT}/global/networks/{name}", kind="compute#network")

    def subnet(self, name, network, prefix="10.0.0.0/24", purpose="PRIVATE"):
        return self.add(f"projects/{PROJECT}/regions/{REGION}/subnetworks/{name}",
                        network=URL + network, ipCidrRange=prefix, purpose=purpose,
                        region=URL + f"projects/{PROJECT}/regions/{REGION}")

    def instance(self, name, subnet, address, zone=ZONE, labels=None, tags=(), ipv6=None):
        one = {"name": "nic0", "network": self.things[subnet]["network"],
               "subnetwork": URL + subnet, "networkIP": address}
        if ipv6:
            one["ipv6Address"] = ipv6
        return self.add(f"projects/{PROJECT}/zones/{zone}/instances/{name}",
                        zone=URL + f"projects/{PROJECT}/zones/{zone}", status="RUNNING",
                        machineType=URL + f"projects/{PROJECT}/zones/{zone}/machineTypes/e2-small",
                        labels=labels or {}, tags={"items": list(tags), "fingerprint": "x"},
                        networkInterfaces=[one])

    def geneve_rule(self, name, network):
        return self.add(f"projects/{PROJECT}/regions/{REGION}/forwardingRules/{name}",
                        IPAddress="10.8.0.100", loadBalancingScheme="INTERNAL", IPProtocol="UDP",
                        ports=["6081"], network=URL + network)

    def collector(self, name, network, instances, mirroring=True):
        group = self.add(f"projects/{PROJECT}/zones/{ZONE}/instanceGroups/{name}-group",
                         members=[URL + one for one in instances])
        service = self.add(f"projects/{PROJECT}/regions/{REGION}/backendServices/{name}-service",
                           backends=[{"group": URL + group}])
        return self.add(f"projects/{PROJECT}/regions/{REGION}/forwardingRules/{name}",
                        IPAddress="10.0.0.100", loadBalancingScheme="INTERNAL",
                        isMirroringCollector=mirroring, network=URL + network,
                        backendService=URL + service)

    # ---- helpers ----

    def refusal(self, status, code, text):
        return {"error": {"code": status, "message": text, "errors": [
            {"message": text, "domain": "global", "reason": code}]}}

    def refuse(self, status, code, text, security=False):
        if security:
            raise Refusal(status, {"error": {"code": status, "message": text, "status": code}})
        raise Refusal(status, self.refusal(status, code, text))

    def state(self):
        out = copy.deepcopy(self.things)
        for thing in out.values():
            for name in ("id", "creationTimestamp", "updateTime", "createTime", "fingerprint"):
                thing.pop(name, None)
        return out

    def of_kind(self, kind):
        return {path: one for path, one in self.things.items() if path.split("/")[-2] == kind}

    def policies(self):
        """{name: (subnets, machines, tags)}, by their names alone."""
        out = {}
        for path, one in self.of_kind("packetMirrorings").items():
            sources = one["mirroredResources"]
            out[path.rsplit("/", 1)[1]] = (
                sorted(x["url"].rsplit("/", 1)[1] for x in sources.get("subnetworks", [])),
                sorted(x["url"].rsplit("/", 1)[1] for x in sources.get("instances", [])),
                sorted(sources.get("tags", [])))
        return out

    # ---- calls ----

    def handle(self, call):
        if call.path == "/token":
            return self.give_token(call)
        if call.path.startswith("/computeMetadata/"):
            return self.answer_metadata(call)
        if not self.is_authorized(call):
            raise Refusal(401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message":
                                "Request had invalid authentication credentials."}},
                          {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'})
        self.quota_projects.add(call.headers.get("x-goog-user-project"))
        self.take_fault(call)
        if call.path == "/v2/entries:list":
            return self.list_entries(call)
        request = call.query.get("requestId")
        if request and request in self.requests:
            return self.requests[request]
        for prefix, serve in (("/compute/v1/", self.compute), ("/v1/", self.security)):
            if call.path.startswith(prefix):
                answer = serve(call, call.path[len(prefix):])
                if request:
                    self.requests[request] = answer
                return answer
        return self.refuse(404, "notFound", call.path)

    def give_token(self, call):
        form = {name: values[0] for name, values in
                urllib.parse.parse_qs(call.body.decode()).items()}
        self.grants.append(form)
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            self.must_be_signed(form["assertion"])
        elif form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") != "refresh~secret":
                raise Refusal(400, {"error": "invalid_grant",
                                    "error_description": "Token has been expired or revoked."})
        elif form.get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        return 200, {"access_token": self.new_token(), "expires_in": self.token_life,
                     "token_type": "Bearer"}, {}

    def must_be_signed(self, assertion):
        """By the key of the service account, for this endpoint, for an hour at most."""
        signed, _, signature = assertion.rpartition(".")

        def decode(text):
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        header, claims = (json.loads(decode(part)) for part in signed.split("."))
        with tempfile.NamedTemporaryFile() as file:
            file.write(decode(signature))
            file.flush()
            good = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public_key,
                                   "-signature", file.name], input=signed.encode(),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  check=False).returncode == 0
        if not good or header.get("alg") != "RS256" or claims.get("aud") != self.url + "/token" or \
                claims["exp"] - claims["iat"] > 3600 or \
                "https://www.googleapis.com/auth/cloud-platform" not in claims.get("scope", ""):
            raise Refusal(400, {"error": "invalid_grant", "error_description":
                                "Invalid JWT Signature."})

    def answer_metadata(self, call):
        if call.headers.get("metadata-flavor") != "Google":
            raise Refusal(403, "Missing Metadata-Flavor:Google header.")
        if not self.has_metadata:
            raise Refusal(404, "not found")
        if call.path.endswith("/project/project-id"):
            return 200, PROJECT, {}
        return 200, {"access_token": self.new_token(), "expires_in": self.token_life,
                     "token_type": "Bearer"}, {}

    def list_entries(self, call):
        wrong = only_fields(call.body, {"resourceNames": [str], "filter": str, "orderBy": str,
                                        "pageSize": int, "pageToken": str})
        if wrong:
            self.violations.append(str(wrong))
        method = re.search(r'methodName:"([^"]+)"', call.body["filter"])[1]
        return 200, {"entries": [entry for entry in self.entries
                                 if method.lower() in
                               entry["protoPayload"]["methodName"].lower()]}, {}

    def log(self, method, path, caller=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.entries.insert(0, {
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "protoPayload": {"methodName": method, "resourceName": path, "authenticationInfo":
                             {"principalEmail": caller or self.caller}}})

    # ---- lists ----

    def pages(self, call, rows):
        begin = int(call.query.get("pageToken", "p0")[1:])
        more = f"p{begin + self.page}" if begin + self.page < len(rows) else None
        return rows[begin:begin + self.page], more

    def list_compute(self, call, path):
        kind, scoped = path.rsplit("/", 1)[1], "/aggregated/" in path
        where = path + "/"
        rows = [(name, one) for name, one in sorted(self.things.items())
                if name.split("/")[-2] == kind and (scoped or name.startswith(where))]
        rows, more = self.pages(call, rows)
        answer = {"kind": f"compute#{kind}List"}
        if scoped:
            scopes = {f"zones/{REGION}-c": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}}
            for name, one in rows:
                scopes.setdefault("/".join(name.split("/")[2:4]), {}).setdefault(
                    kind, []).append(one)
            answer["items"] = scopes
        elif rows:
            answer["items"] = [one for _, one in rows]
        if more:
            answer["nextPageToken"] = more
        return 200, answer, {}

    # ---- Compute Engine ----

    def compute(self, call, path):
        verb = path.rsplit("/", 1)[1]
        if "/operations/" in path:
            return self.poll(path)
        if call.method == "POST" and verb == "listInstances":
            group = self.things[path.rsplit("/", 1)[0]]
            return 200, {"items": [{"instance": one, "status": "RUNNING"}
                                   for one in group["members"]]}, {}
        if "/firewallPolicies" in path and call.method != "GET":
            return self.change_firewall(call, path)
        if path in self.things and call.method == "GET":
            return 200, self.things[path], {}
        if call.method == "GET" and verb in KINDS:
            return self.list_compute(call, path)
        if call.method == "GET":
            self.refuse(404, "notFound", f"The resource '{path}' was not found")
        if "/packetMirrorings" not in path:
            self.violations.append(f"{call.method} {path}: is none of a mirror's")
            self.refuse(403, "forbidden", "Required permission")
        return self.change_policy(call, path)

    def change_policy(self, call, path):
        old = self.things.get(path)
        if call.method in ("PATCH", "DELETE"):
            if not old:
                self.refuse(404, "notFound", f"The resource '{path}' was not found")
            if not old.get("description", "").startswith("cloudspan="):
                self.violations.append(f"{call.method} {path}: a policy of others")
        if call.method == "DELETE":
            return self.begin(path, "delete", lambda: self.drop(path))
        wrong = only_fields(call.body, POLICY_SHAPE)
        if wrong:
            self.violations.append(f"{call.method} {path}: {wrong}")
            self.refuse(400, "invalid", f"Invalid value for field: {wrong}")
        if not call.body.get("description", "").startswith("cloudspan="):
            self.violations.append(f"{call.method} {path}: no mark")
        policy = {**(old or {}), **copy.deepcopy(call.body)}
        name = policy["name"]
        if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
            self.refuse(400, "invalid", "Invalid value for field 'resource.name'")
        self.must_fit(policy)
        if call.method == "POST":
            path = f"{path}/{name}"
            if path in self.things:
                self.refuse(409, "alreadyExists", f"The resource '{path}' already exists")
        policy.update(selfLink=URL + path, region=URL + "/".join(path.split("/")[:4]))
        policy.setdefault("priority", 1000)
        return self.begin(path, call.method, lambda: self.things.__setitem__(path, policy))

    def must_fit(self, policy):
        sources = policy["mirroredResources"]
        for field, most in (("instances", 50), ("subnetworks", 5), ("tags", 5)):
            if len(sources.get(field, [])) > most:
                self.refuse(400, "invalid", f"mirroredResources.{field}: more than {most}")
        if not any(sources.get(field) for field in ("instances", "subnetworks", "tags")):
            self.refuse(400, "invalid", "mirroredResources is empty")
        rule = self.things.get(policy["collectorIlb"]["url"].replace(URL, ""))
        if not rule or not rule.get("isMirroringCollector"):
            self.refuse(400, "invalid", "collectorIlb is no mirroring collector")
        for one in sources.get("instances", []) + sources.get("subnetworks", []):
            if one["url"].replace(URL, "") not in self.things:
                self.refuse(400, "invalid", f"The referenced resource {one['url']} is not found")
        if policy["filter"].get("direction", "BOTH") not in ("BOTH", "INGRESS", "EGRESS") or \
                policy["enable"] not in ("TRUE", "FALSE"):
            self.refuse(400, "invalid", "no such direction, or enable")

    def drop(self, path, caller=None):
        kind = path.split("/")[-2]
        self.log(f"v1.compute.{kind}.delete", path, caller)
        self.things.pop(path, None)

    # ---- firewall policies ----

    def change_firewall(self, call, path):
        base, _, verb = path.partition("/firewallPolicies")
        name, _, verb = verb.strip("/").partition("/")
        whole = f"{base}/firewallPolicies/{name}"
        if call.method == "POST" and not name:
            self.must_have(call, FIREWALL_SHAPE)
            whole = f"{base}/firewallPolicies/{call.body['name']}"
            if whole in self.things:
                self.refuse(409, "alreadyExists", f"The resource '{whole}' already exists")
            policy = {**call.body, "selfLink": URL + whole, "rules": [], "associations": [],
                      "packetMirroringRules": []}
            return self.begin(whole, "insert", lambda: self.things.__setitem__(whole, policy))
        policy = self.things.get(whole)
        if not policy:
            self.refuse(404, "notFound", f"The resource '{whole}' was not found")
        ours = policy.get("description", "").startswith("cloudspan=")
        rules, associations = policy["packetMirroringRules"], policy["associations"]
        if verb == "addPacketMirroringRule":
            self.must_have(call, RULE_SHAPE)
            rule = copy.deepcopy(call.body)
            match = rule["match"]
            if len({":" in one for one in match["srcIpRanges"] + match["destIpRanges"]}) != 1:
                self.refuse(400, "invalid", "A rule has IPv4 or IPv6 ranges, not both")
            if any(one["priority"] == rule["priority"] for one in rules):
                self.refuse(400, "invalid", "Same priorities for two rules")
            self.must_be_there(rule["securityProfileGroup"].replace(
                "//networksecurity.googleapis.com/", ""))
            return self.begin(whole, verb, lambda: rules.append(rule))
        if verb == "removePacketMirroringRule":
            rule = next((one for one in rules
                         if one["priority"] == int(call.query["priority"])), None)
            if not rule:
                self.refuse(400, "invalid", "The firewall policy does not contain a rule at it")
            if not rule.get("description", "").startswith("cloudspan="):
                self.violations.append(f"{path}: a rule of others")
            return self.begin(whole, verb, lambda: rules.remove(rule))
        if verb == "addAssociation":
            self.must_have(call, ASSOCIATION_SHAPE)
            target = call.body["attachmentTarget"]
            if any(one["attachmentTarget"] == target for other in
                   self.of_kind("firewallPolicies").values() for one in other["associations"]):
                self.refuse(409, "alreadyExists", "The network has a policy already")
            return self.begin(whole, verb, lambda: associations.append(dict(call.body)))
        if not ours:
            self.violations.append(f"{call.method} {path}: a policy of others")
        if verb == "removeAssociation":
            gone = [one for one in associations if one["name"] == call.query["name"]]
            return self.begin(whole, verb, lambda: [associations.remove(one) for one in gone])
        if call.method == "DELETE" and not verb:
            if associations:
                self.refuse(400, "resourceInUseByAnotherResource", "It is associated")
            return self.begin(whole, "delete", lambda: self.drop(whole))
        self.violations.append(f"{call.method} {path}: not known")
        return self.refuse(404, "notFound", path)

    def must_have(self, call, shape, security=False):
        wrong = only_fields(call.body, shape)
        if wrong:
            self.violations.append(f"{call.method} {call.path}: {wrong}")
            self.refuse(400, "INVALID_ARGUMENT" if security else "invalid", str(wrong), security)

    # ---- Network Security ----

    def must_be_there(self, path):
        if path not in self.things:
            self.refuse(404, "NOT_FOUND", f"Resource '{path}' was not found", True)

    def security(self, call, path):
        parts = path.split("/")
        if "/operations/" in path:
            return self.poll(path)
        if call.method == "GET" and len(parts) % 2 == 1:
            return self.list_security(call, path)
        if call.method == "GET":
            self.must_be_there(path)
            return 200, self.things[path], {}
        if call.method == "POST" and parts[-1] in SECURITY:
            return self.create_security(call, path, parts[-1])
        kind = parts[-2]
        self.must_be_there(path)
        if "cloudspan" not in self.things[path].get("labels", {}):
            self.violations.append(f"{call.method} {path}: it has no label of ours")
        if call.method != "DELETE" or kind not in SECURITY:
            self.violations.append(f"{call.method} {path}: not known")
            self.refuse(404, "NOT_FOUND", path, True)
        self.must_know(call, {"requestId"} if kind.startswith("mirroring") else set())
        users = [name for name in self.things if path in self.references_of(name)]
        users += [name for name, one in self.of_kind("firewallPolicies").items()
                  if any(rule["securityProfileGroup"].endswith("/" + path)
                         for rule in one["packetMirroringRules"])]
        if users:
            self.refuse(400, "FAILED_PRECONDITION", f"{path} is used by {users}", True)
        return self.begin(path, "delete", lambda: self.drop_security(path), True)

    def must_know(self, call, known):
        """Google refuses parameters that a method does not have."""
        for name in set(call.query) - known:
            self.violations.append(f"{call.method} {call.path}: parameter {name}")

    def drop_security(self, path, caller=None):
        kind = path.split("/")[-2]
        self.log(f"google.cloud.networksecurity.v1.Delete{kind[0].upper()}{kind[1:-1]}", path, caller)
        self.things.pop(path, None)

    def references_of(self, path):
        kind = path.split("/")[-2]
        out = []
        for field in SECURITY.get(kind, ({}, []))[1]:
            value = self.things[path]
            for part in field.split("."):
                value = value.get(part, {})
            out.append(value)
        return out

    def list_security(self, call, path):
        kind = path.rsplit("/", 1)[1]
        where = re.escape(path).replace(r"/locations/\-/", r"/locations/[^/]+/")
        rows = [one for name, one in sorted(self.things.items())
                if re.fullmatch(where + "/[^/]+", name)]
        rows, more = self.pages(call, rows)
        answer = {kind: rows} if rows else {}
        if self.numbers:  # Google may write the project's number where we wrote its id
            answer = json.loads(json.dumps(answer).replace(f"projects/{PROJECT}/",
                                                           "projects/424242/"))
        if more:
            answer["nextPageToken"] = more
        return 200, answer, {}

    def create_security(self, call, path, kind):
        shape, _ = SECURITY[kind]
        self.must_have(call, shape, True)
        known = {id_of(kind)} | ({"requestId"} if kind.startswith("mirroring") else set())
        self.must_know(call, known)
        name = call.query.get(id_of(kind))
        if not name or not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
            self.refuse(400, "INVALID_ARGUMENT", f"{id_of(kind)} '{name}'", True)
        whole = f"{path}/{name}"
        if whole in self.things:
            self.refuse(409, "ALREADY_EXISTS", f"Resource '{whole}' already exists", True)
        if "cloudspan" not in call.body.get("labels", {}):
            self.violations.append(f"POST {whole}: no label")
        thing = {**copy.deepcopy(call.body), "name": whole, "state": "ACTIVE"}
        self.things[whole] = thing
        try:
            for other in self.references_of(whole):
                self.must_be_there(other)
        finally:
            del self.things[whole]
        return self.begin(whole, "create", lambda: self.things.__setitem__(whole, thing), True)

    # ---- operations ----

    def begin(self, path, verb, done, security=False):
        failure = next((why for end, why in self.failing.items() if path.endswith(end)), None)
        self.n_operations += 1
        if security:
            name = "/".join(path.split("/")[:4]) + f"/operations/operation-{self.n_operations}"
        else:
            name = f"{path.rsplit('/', 2)[0]}/operations/operation-{self.n_operations}"
        self.operations[name] = [self.polls, None if failure else done, failure, security, verb]
        return 200, self.shown(name), {}

    def shown(self, name):
        left, _, failure, security, verb = self.operations[name]
        done = left < 0
        if security:
            answer = {"name": name, "done": done, "metadata": {"verb": verb}}
            if done:
                answer.update({"error": {"code": failure[0], "message": failure[1]}} if failure
                              else {"response": {}})
            return answer
        answer = {"kind": "compute#operation", "name": name.rsplit("/", 1)[1],
                  "operationType": verb, "status": "DONE" if done else "RUNNING",
                  "progress": 100 if done else 0, "selfLink": f"{self.url}/compute/v1/{name}"}
        if done and failure:
            answer.update(httpErrorStatusCode=400, error={"errors": [
                {"code": failure[0], "message": failure[1]}]})
        return answer

    def step(self, operation):
        operation[0] -= 1
        if operation[0] < 0 and operation[1]:
            operation[1]()
            operation[1] = None

    def poll(self, path):
        if path not in self.operations:
            self.refuse(404, "notFound", path)
        self.step(self.operations[path])
        return 200, self.shown(path), {}

    def advance(self):
        """Time passes: what was begun comes to its end, though nobody asks."""
        for operation in self.operations.values():
            while operation[0] >= 0:
                self.step(operation)
