"""The state of the stand-in for AWS: its things and who may use them, what is done to make its life
hard, and a watch over its clients, that they change nothing that is not theirs.

Tests make a world by its methods (vpc, subnet, instance, interface …), which are also what its
control interface calls. Calls of the cloud's interface are in aws_mirror.py and the like."""
import hashlib
import ipaddress
import json
import threading
import time

from aws_wire import Refused, iso

ACCOUNT = "123456789012"
REGION = "eu-west-1"
MARK = "cloudspan:"  # tags that begin with it say that a thing is ours

PREFIX = {"vpc": "vpc", "subnet": "subnet", "route-table": "rtb", "network-acl": "acl",
          "vpc-peering-connection": "pcx", "transit-gateway-attachment": "tgw-attach",
          "security-group": "sg", "security-group-rule": "sgr", "instance": "i",
          "network-interface": "eni", "vpc-endpoint": "vpce", "traffic-mirror-target": "tmt",
          "traffic-mirror-filter": "tmf", "traffic-mirror-filter-rule": "tmfr",
          "traffic-mirror-session": "tms"}

# What AWS says of a thing that it does not find.
NOT_FOUND = {
    "vpc": ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "route-table": ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    "network-acl": ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist"),
    "vpc-peering-connection": ("InvalidVpcPeeringConnectionID.NotFound",
                               "The vpcPeeringConnection ID '{}' does not exist"),
    "transit-gateway-attachment": ("InvalidTransitGatewayAttachmentID.NotFound",
                                   "Transit Gateway Attachment {} was deleted or does not exist."),
    "security-group": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "security-group-rule": ("InvalidSecurityGroupRuleId.NotFound",
                            "The security group rule ID '{}' does not exist"),
    "instance": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "network-interface": ("InvalidNetworkInterfaceID.NotFound",
                          "The networkInterface ID '{}' does not exist"),
    "vpc-endpoint": ("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist"),
    "traffic-mirror-target": ("InvalidTrafficMirrorTargetId.NotFound",
                              "The TrafficMirrorTarget ID '{}' does not exist"),
    "traffic-mirror-filter": ("InvalidTrafficMirrorFilterId.NotFound",
                              "The TrafficMirrorFilter ID '{}' does not exist"),
    "traffic-mirror-filter-rule": ("InvalidTrafficMirrorFilterRuleId.NotFound",
                                   "The TrafficMirrorFilterRule ID '{}' does not exist"),
    "traffic-mirror-session": ("InvalidTrafficMirrorSessionId.NotFound",
                               "The TrafficMirrorSession ID '{}' does not exist"),
}


class Thing:
    """Anything that has an id. Its other members are what its kind needs."""

    def __init__(self, kind, thing_id, tags=None, **members):
        self.kind, self.id = kind, thing_id
        self.tags = dict(tags or {})
        self.own = False    # one of our calls made it
        self.hidden = 0     # this many looks still miss it
        self.ghost = 0      # it is gone, but this many looks still see it
        self.gone = False
        self.since = time.monotonic()
        self.__dict__.update(members)

    @property
    def marked(self):
        return any(key.startswith(MARK) for key in self.tags)


class Who:
    """Somebody with an access key."""

    def __init__(self, key, secret, arn, token=None, expires=None, own=True):
        self.key, self.secret, self.arn, self.token = key, secret, arn, token
        self.expires = expires  # seconds since the epoch
        self.own = own          # it is cloudspan, so it is watched


class Fault:
    """What goes wrong at some calls of an action ("*": any)."""

    def __init__(self, action, code=None, status=400, message=None, first=1, times=1, after=False,
                 close=False, do=None):
        self.action, self.code, self.status = action, code, status
        self.message = message or f"{code} was asked for"
        self.first, self.times = first, times
        self.after = after  # it is carried out all the same
        self.close = close  # the connection is closed in the place of an answer
        self.do = do        # a function of the cloud: somebody else does something just before
        self.seen = 0

    def hits(self, action):
        if self.action not in ("*", action):
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


class Cloud:
    # Of a source; the account's; of an interface as target, and of a large one.
    sessions_per_interface = 3
    sessions_max = targets_max = filters_max = 10000
    rules_max = 10
    sources_max, sources_max_large = 10, 100
    group_rules_max = 60
    large_types = {"m5.24xlarge", "m5d.24xlarge", "m5dn.24xlarge", "m5n.24xlarge", "c5n.18xlarge",
                   "r5.24xlarge", "r5d.24xlarge", "r5n.24xlarge", "r5dn.24xlarge"}

    def __init__(self, region=REGION):
        self.lock = threading.RLock()
        self.region = region
        self.things = {}   # id: Thing, in the order that they were made
        self.kinds = {}    # kind: {id: Thing}
        self.cards = {}    # instance: interfaces that were ever attached
        self.kind_words = {}  # id: kind in CloudTrail's words, of all that ever was
        self.who = {}      # access key: Who
        self.tokens = {}   # (action, client token): (digest of the parameters, id)
        self.events = []   # CloudTrail
        self.metrics = {}  # (namespace, metric, dimension value): [(seconds, value)]
        self.log = []      # all calls
        self.violations = []
        self.permitted = set()  # ids that the user has said may be changed
        self.faults = []
        self.page = 1000         # at most so many things in an answer
        self.empty_pages = False  # every second page has nothing in it
        self.lag = 0             # so many looks miss what was just made …
        self.ghosts = 0          # … and see what was just deleted
        self.lag_ms = 0
        self.rates = {}          # action or "*": [tokens, most, a second, when]
        self.skew = 0            # seconds that the cloud's clock is ahead
        self.transit = 0         # looks at an interface until it is attached or detached
        self.hook = None         # called with (n, "before" or "after", action) of our calls
        self.roles = {}          # ARN: seconds that its credentials last
        self.web_tokens = set()
        self.container_role = None  # ARN of what a container is, and what it has to show
        self.container_key = None
        self.metadata = {}       # path below /latest/: text
        self.hop_limit = False   # the metadata service does not answer a PUT
        self.imds_tokens = {}
        self.n = {}              # counters for ids
        self.person("AKIACLOUDSPANTEST001", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                    f"arn:aws:iam::{ACCOUNT}:user/cloudspan")
        self.person("AKIASOMEBODYELSE0001", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
                    f"arn:aws:iam::{ACCOUNT}:user/mallory", own=False)

    # --- who ---

    def person(self, key, secret, arn, **more):
        self.who[key] = Who(key, secret, arn, **more)
        return self.who[key]

    def now(self):
        return time.time() + self.skew

    def session_for(self, arn, seconds=3600, own=True):
        """Credentials that end."""
        n = self.number("credentials")
        return self.person(f"ASIA{n:016d}", hashlib.sha1(f"secret{n}".encode()).hexdigest(), arn,
                           token=f"token//{n}+" + "x" * 200, expires=self.now() + seconds, own=own)

    # --- things ---

    def number(self, what):
        self.n[what] = self.n.get(what, 0) + 1
        return self.n[what]

    def new_id(self, kind):
        n = self.number(kind)
        return f"{PREFIX[kind]}-{hashlib.sha1(f'{kind}{n}'.encode()).hexdigest()[:17]}"

    def add(self, kind, tags=None, with_id=None, **members):
        thing = Thing(kind, with_id or self.new_id(kind), tags, **members)
        self.things[thing.id] = thing
        self.kinds.setdefault(kind, {})[thing.id] = thing
        self.kind_words[thing.id] = "".join(part.capitalize() for part in kind.split("-"))
        return thing

    def forget(self, thing):
        self.things.pop(thing.id, None)
        self.kinds[thing.kind].pop(thing.id, None)

    def drop(self, thing):
        thing.gone = True
        thing.ghost = self.ghosts
        if not thing.ghost:
            self.forget(thing)

    def seen(self, thing):
        """Whether a look sees it: what is new may take a while to be there, and what is gone may
        take a while to be gone."""
        if thing.gone:
            if thing.ghost > 0:
                thing.ghost -= 1
                return True
            self.forget(thing)
            return False
        if thing.hidden > 0:
            thing.hidden -= 1
            return False
        return not (thing.own and self.lag_ms and
                    time.monotonic() < thing.since + self.lag_ms / 1000)

    def all(self, kind):
        """As they are, not as they are seen."""
        return [thing for thing in self.kinds.get(kind, {}).values() if not thing.gone]

    def look(self, kind):
        return [thing for thing in list(self.kinds.get(kind, {}).values()) if self.seen(thing)]

    def find(self, kind, name):
        """To use it: what is gone is not found, however it may be listed."""
        thing = self.things.get(name)
        if thing is None or thing.kind != kind or thing.gone or not self.seen(thing):
            code, message = NOT_FOUND[kind]
            raise Refused(code, message.format(name))
        return thing

    # --- the watch ---

    def violate(self, text):
        self.violations.append(text)

    def may_touch(self, who, action, thing):
        if who.own and not (thing.own or thing.marked or thing.id in self.permitted):
            self.violate(f"{action} of {thing.id}, which is somebody else's: tags {thing.tags}")

    def must_mark(self, who, action, tags):
        if who.own and not any(key.startswith(MARK) for key in tags):
            self.violate(f"{action} makes something without a mark: tags {tags}")

    def event(self, who, action, resources, parameters, code=None):
        at = self.now()
        n = self.number("event")
        body = {"eventVersion": "1.09", "userIdentity": {"type": "IAMUser", "arn": who.arn,
                "accountId": ACCOUNT, "accessKeyId": who.key,
                "userName": who.arn.rpartition("/")[2]}, "eventTime": iso(at)[:19] + "Z",
                "eventSource": "ec2.amazonaws.com", "eventName": action, "awsRegion": self.region,
                "sourceIPAddress": "192.0.2.7", "userAgent": "console.amazonaws.com",
                "requestParameters": {f"{action}Request": parameters} if "TrafficMirror" in action
                else parameters, "eventID": f"00000000-0000-4000-8000-{n:012d}",
                "readOnly": False, "eventType": "AwsApiCall", "recipientAccountId": ACCOUNT}
        if code:
            body["errorCode"] = code
        self.events.append({"id": body["eventID"], "name": action, "at": at,
                            "user": body["userIdentity"]["userName"], "key": who.key,
                            "resources": [(f"AWS::EC2::{kind}", name) for kind, name in resources],
                            "text": json.dumps(body)})

    def behind_our_back(self, name, who="AKIASOMEBODYELSE0001"):
        """Somebody else deletes a session, a target, a filter or an interface; CloudTrail has it."""
        thing = self.things[name]
        words = "".join(part.capitalize() for part in thing.kind.split("-"))
        self.event(self.who[who], f"Delete{words}", [(words, name)], {words + "Id": name})
        for rule in self.all("traffic-mirror-filter-rule"):
            if rule.filter == name:
                self.drop(rule)
        self.drop(thing)

    # --- what goes wrong ---

    def fault(self, action, code=None, **how):
        self.faults.append(Fault(action, code, **how))
        return self.faults[-1]

    def throttle(self, action, most, per_second):
        """A bucket of tokens for an action, for "Describe*", or for "*"."""
        self.rates[action] = [most, most, per_second, time.monotonic()]

    def has_token(self, action):
        for pattern, bucket in self.rates.items():
            if pattern in ("*", action) or (pattern.endswith("*") and
                                            action.startswith(pattern[:-1])):
                tokens, most, rate, when = bucket
                now = time.monotonic()
                tokens = min(most, tokens + (now - when) * rate)
                bucket[0], bucket[3] = tokens - (tokens >= 1), now
                return tokens >= 1
        return True

    # --- worlds ---

    def vpc(self, cidr, tags=None, **members):
        vpc = self.add("vpc", tags, cidr=cidr, **members)
        self.add("route-table", vpc=vpc.id, main=True, subnets=[],
                 routes=[{"destinationCidrBlock": cidr, "gatewayId": "local"}])
        self.add("network-acl", vpc=vpc.id, default=True, subnets=[], entries=[
            {"ruleNumber": number, "protocol": "-1", "ruleAction": action, "egress": egress,
             "cidrBlock": "0.0.0.0/0"}
            for egress in (False, True) for number, action in ((100, "allow"), (32767, "deny"))])
        self.group(vpc.id, "default")
        return vpc

    def subnet(self, vpc, cidr, zone="a", tags=None, cidr6=None):
        return self.add("subnet", tags, vpc=vpc, cidr=cidr, cidr6=cidr6, zone=self.region + zone,
                        next=4)

    def route(self, vpc, **route):
        """In the VPC's main table: destinationCidrBlock=…, vpcPeeringConnectionId=…"""
        self.main_table(vpc).routes.append(route)

    def main_table(self, vpc):
        return next(table for table in self.all("route-table") if table.vpc == vpc and table.main)

    def peer(self, a, b, status="active"):
        peering = self.add("vpc-peering-connection", requester=a, accepter=b, status=status)
        for here, there in ((a, b), (b, a)):
            self.route(here, destinationCidrBlock=self.things[there].cidr,
                       vpcPeeringConnectionId=peering.id)
        return peering

    def gateway_attachment(self, vpc, gateway="tgw-0123456789abcdef0", state="available"):
        return self.add("transit-gateway-attachment", vpc=vpc, gateway=gateway, state=state)

    def group(self, vpc, name, tags=None, description="made by hand"):
        group = self.add("security-group", tags, vpc=vpc, name=name, description=description)
        self.rule(group.id, "-1", cidr="0.0.0.0/0", egress=True)
        return group

    def rule(self, group, protocol, first=-1, last=-1, cidr=None, cidr6=None, peer=None,
             egress=False, description=None, tags=None):
        return self.add("security-group-rule", tags, group=group, protocol=protocol, first=first,
                        last=last, cidr=cidr, cidr6=cidr6, peer=peer, prefix=None, egress=egress,
                        description=description)

    def address_in(self, subnet, address=None):
        subnet = self.things[subnet]
        if address:
            if any(address in eni.addresses and eni.subnet == subnet.id
                   for eni in self.all("network-interface")):
                raise Refused("InvalidIPAddress.InUse", f"Address {address} is in use.")
            return address
        network = ipaddress.ip_network(subnet.cidr)
        subnet.next += 1
        if subnet.next >= network.num_addresses - 1:
            raise Refused("InsufficientFreeAddressesInSubnet", "There are no free addresses")
        return str(network[subnet.next])

    def interface(self, subnet, instance=None, index=0, address=None, kind="interface", tags=None,
                  groups=(), description="", more=(), v6=()):
        place = self.things[subnet]
        n = self.number("mac")
        eni = self.add("network-interface", tags, subnet=subnet, vpc=place.vpc, zone=place.zone,
                       mac=f"02:5e:{n >> 24 & 255:02x}:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:"
                           f"{n & 255:02x}",
                       addresses=[self.address_in(subnet, address), *more], v6=list(v6),
                       interface_type=kind, description=description, check=True,
                       groups=list(groups) or [group.id for group in self.all("security-group")
                                               if group.vpc == place.vpc][:1],
                       attachment=None, transit=None, transit_left=0)
        if instance:
            self.attach(eni, instance, index)
        return eni

    def attach(self, eni, instance, index):
        eni.attachment = {"attachmentId": f"eni-attach-{self.number('attach'):017x}",
                          "instanceId": instance, "deviceIndex": index, "since": self.now(),
                          "delete": index == 0}
        cards = self.cards.setdefault(instance, [])
        if eni not in cards:
            cards.append(eni)

    def instance(self, subnet, name=None, kind="m5.large", tags=None, state="running", **how):
        """A machine with its first interface."""
        tags = {**({"Name": name} if name else {}), **(tags or {})}
        place = self.things[subnet]
        machine = self.add("instance", tags, type=kind, state=state, subnet=subnet, vpc=place.vpc,
                           zone=place.zone, launched=self.now())
        self.interface(subnet, machine.id, **how)
        return machine

    def interfaces_of(self, instance):
        found = [eni for eni in self.cards.get(instance, ()) if not eni.gone and eni.attachment
                 and eni.attachment["instanceId"] == instance]
        return sorted(found, key=lambda eni: eni.attachment["deviceIndex"])

    def terminate(self, instance):
        """With its interfaces, and their sessions."""
        for eni in self.interfaces_of(instance):
            self.remove_interface(eni.id)
        self.things[instance].state = "terminated"

    def remove_interface(self, name):
        for session in self.all("traffic-mirror-session"):
            if session.interface == name:
                self.drop(session)
        self.drop(self.things[name])

    def balancer(self, name, subnets, kind="network", tags=None, listener=True, target=None,
                 health="healthy"):
        """A load balancer with its interfaces; `target`: an instance or address behind it."""
        arn = f"arn:aws:elasticloadbalancing:{self.region}:{ACCOUNT}:loadbalancer/" \
              f"{'net' if kind == 'network' else 'gwy'}/{name}/{self.number('lb'):016x}"
        vpc = self.things[subnets[0]].vpc
        balancer = self.add("load-balancer", tags, arn, name=name, type=kind, vpc=vpc, subnets=[])
        for subnet in subnets:
            eni = self.interface(subnet, kind="network_load_balancer" if kind == "network" else
                                 "gateway_load_balancer", description="ELB " + arn.split("/", 1)[1])
            balancer.subnets.append((subnet, self.things[subnet].zone, eni.addresses[0]))
        group = arn.replace(":loadbalancer/net/", ":targetgroup/").replace(":loadbalancer/gwy/",
                                                                           ":targetgroup/")
        self.add("target-group", None, group, name=name, vpc=vpc, balancer=arn,
                 protocol="UDP" if kind == "network" else "GENEVE",
                 port=4789 if kind == "network" else 6081,
                 targets=[(target, health)] if target else [])
        if listener:
            self.listener(arn)
        return balancer

    def listener(self, balancer, protocol="UDP", port=4789):
        arn = balancer.replace(":loadbalancer/", ":listener/") + f"/{self.number('listener'):016x}"
        group = next(thing for thing in self.all("target-group") if thing.balancer == balancer)
        if self.things[balancer].type == "gateway":
            protocol, port = None, None
        return self.add("listener", None, arn, balancer=balancer, protocol=protocol, port=port,
                        group=group.id)

    def endpoint(self, subnet, service="com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0"):
        eni = self.interface(subnet, kind="gateway_load_balancer_endpoint")
        return self.add("vpc-endpoint", vpc=self.things[subnet].vpc, subnet=subnet, eni=eni.id,
                        service=service, state="available")

    def state(self):
        """All that there is, to compare before and after."""
        with self.lock:
            return {thing.id: {key: json.loads(json.dumps(value, default=str))
                               for key, value in thing.__dict__.items()
                               if key not in ("hidden", "ghost", "since", "next")}
                    for thing in self.things.values() if not thing.gone}
