"""A stand-in for Azure: Entra ID's token endpoint, the instance metadata service, the Resource
Manager with the parts of Microsoft.Network, Microsoft.Compute and the Activity Log that mirrors
need. Fields and answers are those of Microsoft's published schema (azure-rest-api-specs,
Microsoft.Network 2024-05-01, its examples) and of "Track asynchronous Azure operations"."""
import copy
import datetime
import re
import time
import urllib.parse

from rest_standin import Refusal, Standin, only_fields

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TENANT = "99999999-8888-7777-6666-555555555555"
CLIENT = "cccccccc-0000-0000-0000-000000000001"
SECRET = "very-secret~value"
NETWORK = "2024-05-01"

# What a PUT may have; the rest is read only, or is not in the schema.
TAP_SHAPE = {"id": str, "location": str, "tags": {"*": str}, "properties": {
    "destinationNetworkInterfaceIPConfiguration": {"id": str},
    "destinationLoadBalancerFrontEndIPConfiguration": {"id": str},
    "destinationPort": int}}
CONFIG_SHAPE = {"id": str, "name": str, "properties": {"virtualNetworkTap": {"id": str}}}

ID = re.compile(r"^/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/(.*)$", re.I)
TAP_TYPE = "microsoft.network/virtualnetworktaps"


def error(code, text, details=None):
    body = {"code": code, "message": text}
    if details:
        body["details"] = details
    return {"error": body}


class Azure(Standin):
    def __init__(self, mark="cloudspan"):
        super().__init__()
        self.mark = mark
        self.things = {}       # id in lower case: the thing
        self.scale_nics = {}   # id of a scale set in lower case: interfaces of its machines
        self.events = []       # the Activity Log
        self.operations = {}   # number: [polls that are left, what is done then, outcome]
        self.n_operations = 0
        self.way = "operation"  # how a long one is followed: operation, location, state
        self.polls = 1          # until it is done
        self.page = 3           # entries of a page
        self.off_fastpath = set()   # ids, in lower case, of interfaces that are refused
        self.failing = {}           # a key's end: (code, text) that the operation ends with
        self.short_lists = False    # lists have configurations without their properties
        self.may_not_list = set()   # types that the client may not list
        self.metadata = None        # of the machine; None: it is none of Azure's
        self.has_identity = False
        self.caller = "cloudspan@example.com"
        self.n_etags = 0
        self.assertions = []        # what clients have proved themselves with

    # ---- a world to start with ----

    def add(self, thing_id, location="eastus", tags=None, **properties):
        name = thing_id.rsplit("/", 1)[1]
        properties.setdefault("provisioningState", "Succeeded")
        thing = {"name": name, "id": thing_id, "etag": self.new_etag(), "location": location,
                 "type": self.type_of(thing_id), "properties": properties}
        if tags is not None:
            thing["tags"] = tags
        self.things[thing_id.lower()] = thing
        return thing_id

    def group(self, name):
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}/providers"

    def vnet(self, group, name, peers=(), encrypted=False):
        return self.add(f"{self.group(group)}/Microsoft.Network/virtualNetworks/{name}",
                        addressSpace={"addressPrefixes": ["10.0.0.0/16"]},
                        encryption={"enabled": encrypted, "enforcement": "AllowUnencrypted"},
                        virtualNetworkPeerings=[
                            {"name": "p", "properties": {"remoteVirtualNetwork": {"id": peer},
                                                         "peeringState": state}}
                            for peer, state in peers])

    def machine(self, group, name, size="Standard_D2s_v5", tags=None, zone="1"):
        thing = self.add(f"{self.group(group)}/Microsoft.Compute/virtualMachines/{name}", tags=tags,
                         hardwareProfile={"vmSize": size}, vmId=f"vm-{name}")
        self.things[thing.lower()]["zones"] = [zone]
        return thing

    def nic(self, group, name, vnet, address, machine=None, mac="00-0D-3A-1B-C7-21", subnet="default",
            location="eastus", primary=True, tags=None, pools=(), **more):
        own = f"{self.group(group)}/Microsoft.Network/networkInterfaces/{name}"
        addresses = address if isinstance(address, list) else [address]
        configurations = [{
            "name": f"ipconfig{i + 1}", "id": f"{own}/ipConfigurations/ipconfig{i + 1}",
            "properties": {"provisioningState": "Succeeded", "privateIPAddress": one,
                           "privateIPAllocationMethod": "Dynamic", "primary": i == 0,
                           "subnet": {"id": f"{vnet}/subnets/{subnet}"},
                           "privateIPAddressVersion": "IPv6" if ":" in one else "IPv4",
                           "loadBalancerBackendAddressPools": [{"id": pool} for pool in pools]}}
            for i, one in enumerate(addresses)]
        if machine:
            more["virtualMachine"] = {"id": machine}
        return self.add(own, location=location, tags=tags, ipConfigurations=configurations,
                        macAddress=mac, primary=primary, tapConfigurations=[], **more)

    def scale_set(self, group, name, vnet, addresses, mode="Uniform", tags=None):
        """One of this many machines, whose interfaces have one name."""
        own = self.add(f"{self.group(group)}/Microsoft.Compute/virtualMachineScaleSets/{name}",
                       tags=tags, orchestrationMode=mode, uniqueId=f"set-{name}")
        self.scale_nics[own.lower()] = [{
            "name": "nic", "id": f"{own}/virtualMachines/{i}/networkInterfaces/nic",
            "etag": self.new_etag(), "properties": {
                "provisioningState": "Succeeded", "macAddress": f"00-0D-3A-00-09-0{i}",
                "primary": True, "virtualMachine": {"id": f"{own}/virtualMachines/{i}"},
                "ipConfigurations": [{
                    "name": "ip", "id": f"{own}/virtualMachines/{i}/networkInterfaces/nic/"
                    "ipConfigurations/ip", "properties": {
                        "privateIPAddress": address, "primary": True,
                        "privateIPAddressVersion": "IPv4",
                        "subnet": {"id": f"{vnet}/subnets/default"}}}]}}
            for i, address in enumerate(addresses)]
        return own

    def list_scale_nics(self, call):
        """They are read by this version only, and there is nothing else to be done with them."""
        rows = self.scale_nics.get(call.path.lower().rpartition("/")[0])
        if rows is None:
            raise Refusal(404, error("ResourceNotFound", call.path))
        if call.method != "GET" or call.query["api-version"] != "2018-10-01":
            self.violations.append(f"{call.method} {call.path} {call.query}")
        begin = int(call.query.get("$skipToken", 0))
        answer = {"value": rows[begin:begin + self.page]}
        if begin + self.page < len(rows):
            answer["nextLink"] = (f"{self.url}{call.path}?api-version={call.query['api-version']}"
                                  f"&%24skipToken={begin + self.page}")
        return 200, answer, {}

    def balancer(self, group, name, vnet, sku="Standard", floating=False):
        """Gives its id; front end "f", pool "p"."""
        own = f"{self.group(group)}/Microsoft.Network/loadBalancers/{name}"
        self.add(own, frontendIPConfigurations=[{
            "name": "f", "id": f"{own}/frontendIPConfigurations/f", "properties": {
                "privateIPAddress": "10.0.0.5", "subnet": {"id": f"{vnet}/subnets/default"}}}],
            backendAddressPools=[{"name": "p", "id": f"{own}/backendAddressPools/p"}],
            loadBalancingRules=[{"name": "r", "properties": {
                "enableFloatingIP": floating, "protocol": "Udp", "frontendPort": 4789,
                "backendAddressPool": {"id": f"{own}/backendAddressPools/p"}}}])
        self.things[own.lower()]["sku"] = {"name": sku}
        return own

    # ---- helpers ----

    def new_etag(self):
        self.n_etags += 1
        return f'W/"etag-{self.n_etags}"'

    @staticmethod
    def type_of(thing_id):
        parts = thing_id.split("/providers/")[-1].split("/")
        return "/".join([parts[0]] + parts[1::2])

    def refusal(self, status, code, text):
        return error(code, text)

    def state(self):
        """All things, without what changes by itself."""
        out = copy.deepcopy(self.things)
        for thing in out.values():
            thing.pop("etag", None)
            thing.pop("operation", None)
        return out

    def taps(self):
        return [one for one in self.things.values() if one["type"].lower() == TAP_TYPE]

    def configs(self):
        """{interface's name: [names of its configurations]}"""
        return {one["name"]: sorted(config["name"] for config in
                                    one["properties"]["tapConfigurations"])
                for one in self.things.values()
                if one["type"].lower() == "microsoft.network/networkinterfaces" and
                one["properties"]["tapConfigurations"]}

    def log_event(self, thing_id, verb, caller=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.events.insert(0, {
            "caller": caller or self.caller,
            "eventTimestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z",
            "operationName": {"value": f"{self.type_of(thing_id)}/{verb}",
                              "localizedValue": verb},
            "resourceId": thing_id, "status": {"value": "Succeeded", "localizedValue": "Succeeded"}})

    # ---- calls ----

    def handle(self, call):
        if re.fullmatch(r"/[^/]+/oauth2/v2\.0/token", call.path):
            return self.give_token(call)
        if call.path.startswith("/metadata/"):
            return self.answer_metadata(call)
        if not self.is_authorized(call):
            raise Refusal(401, error("ExpiredAuthenticationToken",
                                     "The access token expiry UTC time is earlier than now."),
                          {"WWW-Authenticate": f'Bearer authorization_uri="{self.url}/{TENANT}"'})
        self.take_fault(call)
        if "api-version" not in call.query:
            self.violations.append(f"{call.method} {call.path}: no api-version")
            raise Refusal(400, error("MissingApiVersionParameter",
                                     "The api-version query parameter (?api-version=) is required"))
        if "/operations/" in call.path or "/operationResults/" in call.path:
            return self.poll(call)
        if call.path == "/subscriptions":
            return 200, {"value": [{"id": f"/subscriptions/{SUBSCRIPTION}", "state": "Enabled",
                                    "subscriptionId": SUBSCRIPTION}]}, {}
        if call.path.lower().endswith("/eventtypes/management/values"):
            return self.list_events(call)
        if not call.path.lower().startswith(f"/subscriptions/{SUBSCRIPTION}/"):
            raise Refusal(404, error("SubscriptionNotFound", "The subscription could not be found."))
        if not ID.match(call.path):
            return self.list_type(call)
        if re.search(r"/virtualMachineScaleSets/[^/]+/networkInterfaces$", call.path, re.I):
            return self.list_scale_nics(call)
        if call.method == "GET":
            return self.answer_get(call)
        self.must_be_ours(call)
        if call.method == "PUT":
            return self.put(call)
        if call.method == "DELETE":
            return self.delete(call)
        raise Refusal(405, error("MethodNotAllowed", call.method))

    def answer_get(self, call):
        thing = self.get(call.path)
        if self.way == "state" and thing.get("operation"):
            self.step(self.operations[thing["operation"]])
            thing = self.get(call.path)
        return 200, self.shown(thing), {}

    def give_token(self, call):
        form = {name: values[0] for name, values in
                urllib.parse.parse_qs(call.body.decode()).items()}
        good = form.get("client_secret") == SECRET
        if form.get("client_assertion_type") == \
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            self.assertions.append(form.get("client_assertion"))
            good = True
        if form.get("grant_type") != "client_credentials" or form.get("client_id") != CLIENT or \
                form.get("scope") != f"{self.url}/.default" or not good:
            raise Refusal(401, {"error": "invalid_client", "error_description":
                                "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x",
                                "error_codes": [7000215]})
        return 200, {"token_type": "Bearer", "expires_in": self.token_life,
                     "ext_expires_in": self.token_life, "access_token": self.new_token()}, {}

    def answer_metadata(self, call):
        if call.headers.get("metadata") != "true":
            raise Refusal(400, {"error": "Bad request. Required metadata header not specified"})
        if call.path == "/metadata/instance" and self.metadata:
            return 200, self.metadata, {}
        if call.path == "/metadata/identity/oauth2/token" and self.has_identity:
            if call.query.get("resource") != self.url + "/":
                raise Refusal(400, {"error": "invalid_resource"})
            return 200, {"access_token": self.new_token(), "expires_in": str(self.token_life),
                         "expires_on": str(int(time.time() + self.token_life)),
                         "resource": call.query["resource"], "token_type": "Bearer"}, {}
        raise Refusal(400, {"error": "invalid_request", "error_description": "Identity not found"})

    def get(self, path):
        thing = self.things.get(path.lower())
        if thing:
            return thing
        owner, _, name = path.rpartition("/tapConfigurations/")
        for config in self.things.get(owner.lower(), {}).get("properties", {}).get(
                "tapConfigurations", []):
            if config["name"].lower() == name.lower():
                return config
        raise Refusal(404, error("ResourceNotFound", f"The Resource '{path}' was not found."))

    def shown(self, thing, short=False):
        """As an answer has it: ids of what refers to others in somebody's own spelling."""
        out = copy.deepcopy(thing)
        out.pop("operation", None)
        configs = out["properties"].get("tapConfigurations", [])
        for config in configs:
            config.pop("operation", None)
            config["id"] = config["id"].replace("/resourceGroups/", "/resourcegroups/")
            if short:
                del config["properties"]
        return out

    def list_type(self, call):
        kind = call.path.split("/providers/")[-1].lower()
        if call.method != "GET":
            raise Refusal(405, error("MethodNotAllowed", call.method))
        if kind in self.may_not_list:
            raise Refusal(403, error("AuthorizationFailed", "The client does not have authorization "
                                     f"to perform action '{kind}/read' over scope."))
        if "microsoft.network" in kind and call.query["api-version"] != NETWORK:
            self.violations.append(f"{call.path}: version {call.query['api-version']}")
        rows = [one for _, one in sorted(self.things.items()) if one["type"].lower() == kind]
        begin = int(call.query.get("$skipToken", 0))
        answer = {"value": [self.shown(one, self.short_lists)
                            for one in rows[begin:begin + self.page]]}
        if begin + self.page < len(rows):
            answer["nextLink"] = (f"{self.url}{call.path}?api-version={call.query['api-version']}"
                                  f"&%24skipToken={begin + self.page}")
        return 200, answer, {}

    def list_events(self, call):
        """Only the published patterns of $filter are taken."""
        found = re.fullmatch(r"eventTimestamp ge '([^']+)'(?: and eventTimestamp le '([^']+)')?"
                             r"(?: and (resourceProvider|resourceUri|resourceGroupName) eq '([^']+)')?",
                             call.query.get("$filter", ""))
        if not found:
            raise Refusal(400, error("BadRequest", "The $filter is not supported."))
        return 200, {"value": [event for event in self.events
                               if event["eventTimestamp"] >= found[1]]}, {}

    # ---- changes ----

    def must_be_ours(self, call):
        """Nothing without the mark is ever changed."""
        kind = self.type_of(call.path).lower()
        if kind == TAP_TYPE:
            old = self.things.get(call.path.lower())
            if old and self.mark not in old.get("tags", {}):
                self.violations.append(f"{call.method} {call.path}: a TAP without our tag")
            if call.method == "PUT" and self.mark not in call.body.get("tags", {}):
                self.violations.append(f"PUT {call.path}: no tag")
        elif kind == "microsoft.network/networkinterfaces/tapconfigurations":
            if not call.path.rsplit("/", 1)[1].startswith("cloudspan-"):
                self.violations.append(f"{call.method} {call.path}: a configuration of others")
        else:
            self.violations.append(f"{call.method} {call.path}: is none of a mirror's")

    def must_match(self, call, thing):
        wanted = call.headers.get("if-match")
        if wanted and wanted not in ("*", thing and thing["etag"]):
            raise Refusal(412, error("PreconditionFailed", "Precondition failed."))

    def put(self, call):
        tap = self.type_of(call.path).lower() == TAP_TYPE
        wrong = only_fields(call.body, TAP_SHAPE if tap else CONFIG_SHAPE)
        if wrong:
            self.violations.append(f"PUT {call.path}: {wrong}")
            raise Refusal(400, error("InvalidRequestFormat", "Cannot parse the request.",
                                     [{"code": "InvalidJson", "message": one} for one in wrong]))
        return self.put_tap(call) if tap else self.put_config(call)

    def put_tap(self, call):
        old = self.things.get(call.path.lower())
        self.must_match(call, old)
        self.must_be_idle(old)
        properties = call.body["properties"]
        to = properties.get("destinationNetworkInterfaceIPConfiguration") or \
            properties.get("destinationLoadBalancerFrontEndIPConfiguration")
        if not to or "location" not in call.body:
            raise Refusal(400, error("InvalidRequestFormat", "location or destination is missing."))
        owner = to["id"].rsplit("/", 2)[0]
        parts = [one["id"].lower() for one in
                 self.get(owner)["properties"].get("ipConfigurations", []) +
                 self.get(owner)["properties"].get("frontendIPConfigurations", [])]
        if to["id"].lower() not in parts:
            raise Refusal(400, error("InvalidResourceReference", f"Resource {to['id']} not found."))
        if self.get(owner)["location"] != call.body["location"]:
            raise Refusal(400, error("InvalidResourceLocation", "Not in the same region."))
        tap = {"name": call.path.rsplit("/", 1)[1], "id": call.path, "etag": self.new_etag(),
               "type": "Microsoft.Network/virtualNetworkTaps", "location": call.body["location"],
               "tags": call.body.get("tags", {}),
               "properties": {**properties, "provisioningState": "Updating",
                              "resourceGuid": "6A7C139D-8B8D-499B-B7CB-4F3F02A8A44F",
                              "networkInterfaceTapConfigurations":
                                  old["properties"]["networkInterfaceTapConfigurations"]
                                  if old else []}}
        tap["properties"].setdefault("destinationPort", 4789)
        self.things[call.path.lower()] = tap
        return self.begin(call, tap, 200 if old else 201, copy.deepcopy(tap),
                          lambda outcome: self.settle(tap, outcome))

    def put_config(self, call):
        owner, _, name = call.path.rpartition("/tapConfigurations/")
        nic, tap_id = self.get(owner), call.body["properties"]["virtualNetworkTap"]["id"]
        tap = self.get(tap_id)
        configs = nic["properties"]["tapConfigurations"]
        old = next((one for one in configs if one["name"].lower() == name.lower()), None)
        self.must_match(call, old)
        self.must_be_idle(old)
        self.must_be_idle(tap)
        if owner.lower() in self.off_fastpath:
            raise Refusal(400, error("VirtualNetworkTapNicNotOnFastpath",
                                     f"NIC {nic['name']} is not on fastpath."))
        config = {"name": name, "id": f"{nic['id']}/tapConfigurations/{name}",
                  "etag": self.new_etag(), "type": "Microsoft.Network/networkInterfaces/tapConfigurations",
                  "properties": {"virtualNetworkTap": {"id": tap["id"]},
                                 "provisioningState": "Updating"}}
        configs[:] = [one for one in configs if one is not old] + [config]
        references = tap["properties"]["networkInterfaceTapConfigurations"]
        if not old:
            references.append({"id": config["id"]})
        return self.begin(call, config, 200 if old else 201, copy.deepcopy(config),
                          lambda outcome: self.settle(config, outcome))

    def settle(self, thing, outcome):
        thing["properties"]["provisioningState"] = outcome
        thing["etag"] = self.new_etag()

    def delete(self, call):
        try:
            thing = self.get(call.path)
        except Refusal:
            return 204, None, {}
        self.must_match(call, thing)
        self.must_be_idle(thing)
        if self.type_of(call.path).lower() == TAP_TYPE and \
                thing["properties"]["networkInterfaceTapConfigurations"]:
            raise Refusal(400, error("VirtualNetworkTapInUse", f"{call.path} is in use by "
                                     "tap configurations and cannot be deleted."))
        thing["properties"]["provisioningState"] = "Deleting"
        return self.begin(call, thing, 202, None,
                          lambda outcome: outcome == "Succeeded" and self.drop(call.path))

    def drop(self, path, caller=None):
        """It is gone; also by somebody else's hand."""
        path = self.get(path)["id"]
        owner, _, name = path.rpartition("/tapConfigurations/")
        self.log_event(path, "delete", caller)
        if not owner:
            thing = self.things.pop(path.lower())
            for config in thing["properties"].get("tapConfigurations", []):
                self.forget(config)
            return
        configs = self.things[owner.lower()]["properties"]["tapConfigurations"]
        for config in [one for one in configs if one["name"].lower() == name.lower()]:
            configs.remove(config)
            self.forget(config)

    def forget(self, config):
        tap = self.things.get(config["properties"]["virtualNetworkTap"]["id"].lower())
        if tap:
            references = tap["properties"]["networkInterfaceTapConfigurations"]
            references[:] = [one for one in references if one["id"].lower() != config["id"].lower()]

    def must_be_idle(self, thing):
        if thing and thing["properties"]["provisioningState"] in ("Updating", "Deleting"):
            self.step(self.operations[thing["operation"]])  # time passes
            raise Refusal(429, error("RetryableError", "A retryable error occurred.", [
                {"code": "ReferencedResourceNotProvisioned",
                 "message": f"Resource {thing['id']} is in Updating state."}]), {"Retry-After": "0"})

    # ---- operations ----

    def begin(self, call, thing, status, body, done):
        failure = next((why for end, why in self.failing.items()
                        if call.path.lower().endswith(end.lower())), None)
        self.n_operations += 1
        number = f"00000000-0000-0000-0000-{self.n_operations:012}"
        operation = [self.polls, done, failure]
        self.operations[number] = operation
        where = (f"{self.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/locations/"
                 f"eastus")
        headers = {"Retry-After": "0"}
        if self.way == "operation":
            headers["Azure-AsyncOperation"] = f"{where}/operations/{number}?api-version={NETWORK}"
        if self.way == "location" or call.method == "DELETE" and self.way == "operation":
            headers["Location"] = f"{where}/operationResults/{number}?api-version={NETWORK}"
        if self.way == "location":
            status = 202
        thing["operation"] = number
        body = {key: value for key, value in (body or {}).items() if key != "operation"} or None
        return status, body, headers

    def step(self, operation):
        """One look at it; True: it is done."""
        operation[0] -= 1
        if operation[0] >= 0:
            return False
        if operation[1]:
            operation[1]("Failed" if operation[2] else "Succeeded")
            operation[1] = None
        return True

    def poll(self, call):
        operation = self.operations[call.path.rsplit("/", 1)[1]]
        done = self.step(operation)
        if "/operationResults/" in call.path:
            if not done:
                return 202, None, {"Retry-After": "0", "Location": f"{self.url}{call.path}"
                                   f"?api-version={NETWORK}"}
            if operation[2]:
                raise Refusal(409, error(*operation[2]))
            return 204, None, {}
        if not done:
            return 200, {"status": "InProgress"}, {"Retry-After": "0"}
        if operation[2]:
            return 200, {"status": "Failed", **error(*operation[2])}, {}
        return 200, {"status": "Succeeded"}, {}

    def advance(self):
        """Time passes: what was begun comes to its end, though nobody asks."""
        for operation in self.operations.values():
            while not self.step(operation):
                pass
