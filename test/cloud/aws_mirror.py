"""Traffic mirroring in the stand-in: targets, filters, rules, sessions, with AWS's limits.

Where AWS documents no code for a refusal (a session number that is taken, an interface that is both
source and target), it is InvalidParameterValue here."""
import functools
import ipaddress
import json
import hashlib

import aws_describe
import aws_types
from aws_state import ACCOUNT
from aws_wire import Refused

SPEC = {"ResourceType!": str, "Tag!": [{"Key!": str, "Value": str}]}
PORTS = {"FromPort": int, "ToPort": int}
WAYS = ("ingress", "egress")
TARGET, FILTER, RULE, SESSION = ("traffic-mirror-target", "traffic-mirror-filter",
                                 "traffic-mirror-filter-rule", "traffic-mirror-session")


def check_tags(tags):
    for key in tags:
        if key.lower().startswith("aws:"):
            raise Refused("InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved: {key}")
        if not 1 <= len(key) <= 127 or len(tags[key]) > 255:
            raise Refused("InvalidParameterValue", f"Tag {key!r} is too long, or has no key")
    if len(tags) > 50:
        raise Refused("TagLimitExceeded", "The maximum number of Tags for a resource is 50")


def tags_of(given, kind):
    tags = {}
    for spec in given.get("TagSpecification", []):
        if spec["ResourceType"] != kind:
            raise Refused("InvalidParameterValue", f"'{spec['ResourceType']}' is not a valid "
                          "taggable resource type for this operation.")
        for tag in spec["Tag"]:
            if tag["Key"] in tags:
                raise Refused("InvalidParameterValue", f"Duplicate tag key '{tag['Key']}' specified.")
            tags[tag["Key"]] = tag.get("Value", "")
    check_tags(tags)
    return tags


def once(make):
    """The same client token gives the same thing, and no second one."""
    @functools.wraps(make)
    def made(cloud, who, action, given):
        token = given.get("ClientToken")
        what = {name: value for name, value in given.items() if name != "ClientToken"}
        digest = hashlib.sha1(json.dumps(what, sort_keys=True).encode()).hexdigest()
        if token is not None and (len(token) > 64 or not token.isascii()):
            raise Refused("InvalidParameterValue", "ClientToken is longer than 64 ASCII characters")
        before = cloud.tokens.get((action, token)) if token else None
        if before:
            if before[0] != digest:
                raise Refused("IdempotentParameterMismatch", "The client token was used before "
                              "with other parameters")
            thing = cloud.things.get(before[1])
            if thing is not None and not thing.gone:
                return answer(cloud, thing, token)
        thing = make(cloud, who, action, given)
        thing.own = who.own
        thing.hidden = cloud.lag if who.own else 0
        if token:
            cloud.tokens[(action, token)] = (digest, thing.id)
        return answer(cloud, thing, token)
    return made


def answer(cloud, thing, token):
    name, show = SHOWN[thing.kind]
    return {name: show(cloud, thing), "clientToken": token}


# --- What they look like ----------------------------------------------------------------------------


def shown_target(cloud, target):
    return {"trafficMirrorTargetId": target.id, "networkInterfaceId": target.interface,
            "networkLoadBalancerArn": target.balancer,
            "gatewayLoadBalancerEndpointId": target.endpoint, "type": target.type,
            "description": target.description, "ownerId": ACCOUNT,
            "tagSet": aws_describe.tag_set(target)}


def shown_ports(ports):
    return {"fromPort": ports["FromPort"], "toPort": ports["ToPort"]} if ports else None


def shown_rule(cloud, rule):
    return {"trafficMirrorFilterRuleId": rule.id, "trafficMirrorFilterId": rule.filter,
            "trafficDirection": rule.way, "ruleNumber": rule.number, "ruleAction": rule.action,
            "protocol": rule.protocol, "destinationPortRange": shown_ports(rule.to_ports),
            "sourcePortRange": shown_ports(rule.from_ports), "destinationCidrBlock": rule.to,
            "sourceCidrBlock": rule.source, "description": rule.description,
            "tagSet": aws_describe.tag_set(rule)}


def rules_of(cloud, name, way=None):
    rules = [rule for rule in cloud.all(RULE)
             if rule.filter == name and way in (None, rule.way)]
    return sorted(rules, key=lambda rule: rule.number)


def shown_filter(cloud, one):
    return {"trafficMirrorFilterId": one.id,
            "ingressFilterRuleSet": [shown_rule(cloud, rule)
                                     for rule in rules_of(cloud, one.id, "ingress")],
            "egressFilterRuleSet": [shown_rule(cloud, rule)
                                    for rule in rules_of(cloud, one.id, "egress")],
            "networkServiceSet": one.services, "description": one.description,
            "tagSet": aws_describe.tag_set(one)}


def shown_session(cloud, session):
    return {"trafficMirrorSessionId": session.id, "trafficMirrorTargetId": session.target,
            "trafficMirrorFilterId": session.filter, "networkInterfaceId": session.interface,
            "ownerId": ACCOUNT, "packetLength": session.length, "sessionNumber": session.number,
            "virtualNetworkId": session.vni, "description": session.description,
            "tagSet": aws_describe.tag_set(session)}


SHOWN = {TARGET: ("trafficMirrorTarget", shown_target), FILTER: ("trafficMirrorFilter", shown_filter),
         RULE: ("trafficMirrorFilterRule", shown_rule),
         SESSION: ("trafficMirrorSession", shown_session),
         "network-interface": ("networkInterface", aws_describe.shown_interface)}

DESCRIBED = {
    "DescribeTrafficMirrorTargets": (
        TARGET, shown_target, "trafficMirrorTargetSet", "TrafficMirrorTargetId", {
            "traffic-mirror-target-id": "trafficMirrorTargetId", "owner-id": "ownerId",
            "network-interface-id": "networkInterfaceId", "description": "description",
            "network-load-balancer-arn": "networkLoadBalancerArn"}),
    "DescribeTrafficMirrorFilters": (
        FILTER, shown_filter, "trafficMirrorFilterSet", "TrafficMirrorFilterId", {
            "traffic-mirror-filter-id": "trafficMirrorFilterId", "description": "description"}),
    "DescribeTrafficMirrorSessions": (
        SESSION, shown_session, "trafficMirrorSessionSet", "TrafficMirrorSessionId", {
            "traffic-mirror-session-id": "trafficMirrorSessionId", "owner-id": "ownerId",
            "traffic-mirror-target-id": "trafficMirrorTargetId", "packet-length": "packetLength",
            "traffic-mirror-filter-id": "trafficMirrorFilterId", "description": "description",
            "network-interface-id": "networkInterfaceId", "session-number": "sessionNumber",
            "virtual-network-id": "virtualNetworkId"}),
    "DescribeTrafficMirrorFilterRules": (
        RULE, shown_rule, "trafficMirrorFilterRuleSet", "TrafficMirrorFilterRuleId", {
            "traffic-mirror-filter-rule-id": "trafficMirrorFilterRuleId",
            "traffic-mirror-filter-id": "trafficMirrorFilterId",
            "traffic-mirror-rule-number": "ruleNumber", "rule-action": "ruleAction",
            "traffic-direction": "trafficDirection", "protocol": "protocol",
            "source-cidr-block": "sourceCidrBlock", "description": "description",
            "destination-cidr-block": "destinationCidrBlock"}),
}


def describe(cloud, who, action, given):
    wanted = given.get("TrafficMirrorFilterId") if action.endswith("FilterRules") else None
    some, token, name = aws_describe.listed(cloud, action, given, *DESCRIBED[action])
    return {name: [shown for shown in some
                   if wanted in (None, shown.get("trafficMirrorFilterId"))], "nextToken": token}


# --- Targets ----------------------------------------------------------------------------------------


@once
def create_target(cloud, who, action, given):
    ways = [name for name in ("NetworkInterfaceId", "NetworkLoadBalancerArn",
                              "GatewayLoadBalancerEndpointId") if name in given]
    if len(ways) != 1:
        raise Refused("MissingParameter" if not ways else "InvalidParameterCombination",
                      "Exactly one of NetworkInterfaceId, NetworkLoadBalancerArn and "
                      "GatewayLoadBalancerEndpointId has to be there")
    tags = tags_of(given, TARGET)
    interface = balancer = endpoint = None
    if ways == ["NetworkInterfaceId"]:
        interface = given["NetworkInterfaceId"]
        cloud.find("network-interface", interface)
        if any(target.interface == interface for target in cloud.all(TARGET)):
            raise Refused("InvalidParameterValue", f"{interface} is a traffic mirror target already")
        if any(session.interface == interface for session in cloud.all(SESSION)):
            raise Refused("InvalidParameterValue", f"{interface} is a traffic mirror source")
        kind = "network-interface"
    elif ways == ["NetworkLoadBalancerArn"]:
        balancer = given["NetworkLoadBalancerArn"]
        found = cloud.things.get(balancer)
        if not found or found.kind != "load-balancer" or found.type != "network":
            raise Refused("InvalidParameterValue", f"{balancer} is no network load balancer")
        kind = "network-load-balancer"
    else:
        endpoint = given["GatewayLoadBalancerEndpointId"]
        cloud.find("vpc-endpoint", endpoint)
        kind = "gateway-load-balancer-endpoint"
    if len(cloud.all(TARGET)) >= cloud.targets_max:
        raise Refused("TrafficMirrorTargetLimitExceeded", "There are too many targets")
    cloud.must_mark(who, action, tags)
    return cloud.add(TARGET, tags, type=kind, interface=interface, balancer=balancer,
                     endpoint=endpoint, description=given.get("Description"))


def delete_target(cloud, who, action, given):
    target = cloud.find(TARGET, given["TrafficMirrorTargetId"])
    if any(session.target == target.id for session in cloud.all(SESSION)):
        raise Refused("TrafficMirrorTargetInUseException", f"{target.id} has sessions")
    cloud.may_touch(who, action, target)
    cloud.drop(target)
    return {"trafficMirrorTargetId": target.id}


# --- Filters ----------------------------------------------------------------------------------------


@once
def create_filter(cloud, who, action, given):
    tags = tags_of(given, FILTER)
    if len(cloud.all(FILTER)) >= cloud.filters_max:
        raise Refused("TrafficMirrorFilterLimitExceeded", "There are too many filters")
    cloud.must_mark(who, action, tags)
    return cloud.add(FILTER, tags, services=[], description=given.get("Description"))


def delete_filter(cloud, who, action, given):
    one = cloud.find(FILTER, given["TrafficMirrorFilterId"])
    if any(session.filter == one.id for session in cloud.all(SESSION)):
        raise Refused("TrafficMirrorFilterInUse", f"{one.id} has sessions")
    cloud.may_touch(who, action, one)
    for rule in rules_of(cloud, one.id):
        cloud.drop(rule)
    cloud.drop(one)
    return {"trafficMirrorFilterId": one.id}


def modify_services(cloud, who, action, given):
    one = cloud.find(FILTER, given["TrafficMirrorFilterId"])
    if "AddNetworkService" not in given and "RemoveNetworkService" not in given:
        raise Refused("MissingParameter", "Neither AddNetworkService nor RemoveNetworkService")
    cloud.may_touch(who, action, one)
    services = set(one.services) | set(given.get("AddNetworkService", []))
    one.services = sorted(services - set(given.get("RemoveNetworkService", [])))
    return {"trafficMirrorFilter": shown_filter(cloud, one)}


RULE_FIELDS = {"TrafficDirection": "way", "RuleNumber": "number", "RuleAction": "action",
               "Protocol": "protocol", "DestinationPortRange": "to_ports",
               "SourcePortRange": "from_ports", "DestinationCidrBlock": "to",
               "SourceCidrBlock": "source", "Description": "description"}


def check_rule(cloud, one, values, but=None):
    if not 1 <= values["number"] <= 32766:
        raise Refused("InvalidParameterValue", f"Rule number {values['number']} is out of range")
    families = set()
    for name in ("to", "source"):
        try:
            families.add(ipaddress.ip_network(values[name]).version)
        except ValueError:
            raise Refused("InvalidParameterValue",
                          f"Value ({values[name]}) is no valid CIDR block") from None
    if len(families) != 1:
        raise Refused("InvalidParameterValue", "Source and destination are of two families")
    for name in ("to_ports", "from_ports"):
        ports = values[name]
        if ports is None:
            continue
        if values["protocol"] not in (6, 17):
            raise Refused("InvalidParameterCombination", "Ports are of TCP and UDP only")
        if not 0 <= ports.get("FromPort", -1) <= ports.get("ToPort", -1) <= 65535:
            raise Refused("InvalidParameterValue", f"{ports} is no range of ports")
    if values["protocol"] is not None and not 0 <= values["protocol"] <= 255:
        raise Refused("InvalidParameterValue", f"Protocol {values['protocol']} is out of range")
    if any(rule.number == values["number"] and rule is not but
           for rule in rules_of(cloud, one.id, values["way"])):
        raise Refused("TrafficMirrorFilterRuleAlreadyExists",
                      f"{one.id} has an {values['way']} rule {values['number']}")


@once
def create_rule(cloud, who, action, given):
    one = cloud.find(FILTER, given["TrafficMirrorFilterId"])
    tags = tags_of(given, RULE)
    values = {field: given.get(name) for name, field in RULE_FIELDS.items()}
    check_rule(cloud, one, values)
    if len(rules_of(cloud, one.id)) >= cloud.rules_max:
        raise Refused("TrafficMirrorFilterRuleLimitExceeded", f"{one.id} has too many rules")
    cloud.may_touch(who, action, one)
    return cloud.add(RULE, tags, filter=one.id, **values)


def modify_rule(cloud, who, action, given):
    rule = cloud.find(RULE, given["TrafficMirrorFilterRuleId"])
    one = cloud.find(FILTER, rule.filter)
    values = {field: given.get(name, getattr(rule, field)) for name, field in RULE_FIELDS.items()}
    for name in given.get("RemoveField", []):
        values[{"destination-port-range": "to_ports", "source-port-range": "from_ports"}
               .get(name, name)] = None
    check_rule(cloud, one, values, rule)
    cloud.may_touch(who, action, one)
    rule.__dict__.update(values)
    return {"trafficMirrorFilterRule": shown_rule(cloud, rule)}


def delete_rule(cloud, who, action, given):
    rule = cloud.find(RULE, given["TrafficMirrorFilterRuleId"])
    if not rule.own:
        cloud.may_touch(who, action, cloud.things[rule.filter])
    cloud.drop(rule)
    return {"trafficMirrorFilterRuleId": rule.id}


# --- Sessions ---------------------------------------------------------------------------------------


def check_source(cloud, interface):
    eni = cloud.find("network-interface", interface)
    machine = cloud.things.get(eni.attachment["instanceId"]) if eni.attachment else None
    if eni.interface_type != "interface" or machine is None or \
            not aws_types.can_be_mirrored(machine.type):
        raise Refused("NetworkInterfaceNotSupported",
                      f"{interface} must be attached to a supported instance")
    if any(target.interface == interface for target in cloud.all(TARGET)):
        raise Refused("InvalidParameterValue",
                      f"{interface} can't be used as a source, because it is a target")


def check_session(cloud, values, but=None):
    if not 1 <= values["number"] <= 32766:
        raise Refused("InvalidParameterValue", f"Session number {values['number']} is out of range")
    if values["vni"] is not None and not 0 <= values["vni"] <= 0xFFFFFF:
        raise Refused("InvalidParameterValue", f"Virtual network {values['vni']} is out of range")
    target = cloud.find(TARGET, values["target"])
    cloud.find(FILTER, values["filter"])
    most = 8500 if target.type == "network-load-balancer" else 9001
    if values["length"] is not None and not 1 <= values["length"] <= most:
        raise Refused("InvalidParameterValue", f"Packet length {values['length']} is out of range")
    others = [session for session in cloud.all(SESSION) if session is not but]
    mine = [session for session in others if session.interface == values["interface"]]
    if any(session.number == values["number"] for session in mine):
        raise Refused("InvalidParameterValue", f"Session number {values['number']} is in use on "
                      f"{values['interface']}")
    if len(mine) >= cloud.sessions_per_interface:
        raise Refused("TrafficMirrorSessionsPerInterfaceLimitExceeded",
                      f"{values['interface']} has {len(mine)} sessions")
    if target.type == "network-interface":
        sources = {session.interface for session in others if session.target == target.id}
        sources.add(values["interface"])
        if len(sources) > room(cloud, target):
            raise Refused("TrafficMirrorSourcesPerTargetLimitExceeded",
                          f"Sources per interface-target limit reached ({len(sources)})")


def room(cloud, target):
    """How many sources an interface may have as target."""
    eni = cloud.things.get(target.interface)
    link = eni.attachment if eni else None
    machine = cloud.things.get(link["instanceId"]) if link else None
    large = machine is not None and machine.type in cloud.large_types
    return cloud.sources_max_large if large else cloud.sources_max


SESSION_FIELDS = {"TrafficMirrorTargetId": "target", "TrafficMirrorFilterId": "filter",
                  "PacketLength": "length", "SessionNumber": "number", "VirtualNetworkId": "vni",
                  "Description": "description"}


@once
def create_session(cloud, who, action, given):
    values = {field: given.get(name) for name, field in SESSION_FIELDS.items()}
    values["interface"] = given["NetworkInterfaceId"]
    tags = tags_of(given, SESSION)
    check_source(cloud, values["interface"])
    check_session(cloud, values)
    if len(cloud.all(SESSION)) >= cloud.sessions_max:
        raise Refused("TrafficMirrorSessionLimitExceeded", "There are too many sessions")
    cloud.must_mark(who, action, tags)
    if cloud.things[values["target"]].type == "network-load-balancer":
        values["length"] = values["length"] or 8500
    if values["vni"] is None:
        values["vni"] = 9000000 + cloud.number("vni")
    return cloud.add(SESSION, tags, **values)


def modify_session(cloud, who, action, given):
    session = cloud.find(SESSION, given["TrafficMirrorSessionId"])
    values = {field: given.get(name, getattr(session, field))
              for name, field in SESSION_FIELDS.items()}
    values["interface"] = session.interface
    for name in given.get("RemoveField", []):
        if name == "virtual-network-id":
            values["vni"] = 9000000 + cloud.number("vni")
        else:
            values[{"packet-length": "length"}.get(name, name)] = None
    check_session(cloud, values, session)
    cloud.may_touch(who, action, session)
    session.__dict__.update(values)
    return {"trafficMirrorSession": shown_session(cloud, session)}


def delete_session(cloud, who, action, given):
    session = cloud.find(SESSION, given["TrafficMirrorSessionId"])
    cloud.may_touch(who, action, session)
    cloud.drop(session)
    return {"trafficMirrorSessionId": session.id}


NEW = {"Description": str, "TagSpecification": [SPEC], "ClientToken": str, "DryRun": bool}
RULE_PARAMETERS = {"DestinationPortRange": PORTS, "SourcePortRange": PORTS, "Protocol": int,
                   "Description": str, "DryRun": bool}
SESSION_PARAMETERS = {"PacketLength": int, "VirtualNetworkId": int}

ACTIONS = {action: (describe, {**aws_describe.LISTED, row[3]: [str]})
           for action, row in DESCRIBED.items()}
ACTIONS["DescribeTrafficMirrorFilterRules"][1]["TrafficMirrorFilterId"] = str
ACTIONS.update({
    "CreateTrafficMirrorTarget": (create_target, {
        "NetworkInterfaceId": str, "NetworkLoadBalancerArn": str,
        "GatewayLoadBalancerEndpointId": str, **NEW}),
    "DeleteTrafficMirrorTarget": (delete_target, {"TrafficMirrorTargetId!": str, "DryRun": bool}),
    "CreateTrafficMirrorFilter": (create_filter, NEW),
    "DeleteTrafficMirrorFilter": (delete_filter, {"TrafficMirrorFilterId!": str, "DryRun": bool}),
    "ModifyTrafficMirrorFilterNetworkServices": (modify_services, {
        "TrafficMirrorFilterId!": str, "AddNetworkService": [("amazon-dns",)],
        "RemoveNetworkService": [("amazon-dns",)], "DryRun": bool}),
    "CreateTrafficMirrorFilterRule": (create_rule, {
        "TrafficMirrorFilterId!": str, "TrafficDirection!": WAYS, "RuleNumber!": int,
        "RuleAction!": ("accept", "reject"), "DestinationCidrBlock!": str, "SourceCidrBlock!": str,
        "TagSpecification": [SPEC], "ClientToken": str, **RULE_PARAMETERS}),
    "ModifyTrafficMirrorFilterRule": (modify_rule, {
        "TrafficMirrorFilterRuleId!": str, "TrafficDirection": WAYS, "RuleNumber": int,
        "RuleAction": ("accept", "reject"), "DestinationCidrBlock": str, "SourceCidrBlock": str,
        "RemoveField": [("destination-port-range", "source-port-range", "protocol",
                         "description")], **RULE_PARAMETERS}),
    "DeleteTrafficMirrorFilterRule": (delete_rule, {"TrafficMirrorFilterRuleId!": str,
                                                    "DryRun": bool}),
    "CreateTrafficMirrorSession": (create_session, {
        "NetworkInterfaceId!": str, "TrafficMirrorTargetId!": str, "TrafficMirrorFilterId!": str,
        "SessionNumber!": int, **SESSION_PARAMETERS, **NEW}),
    "ModifyTrafficMirrorSession": (modify_session, {
        "TrafficMirrorSessionId!": str, "TrafficMirrorTargetId": str, "TrafficMirrorFilterId": str,
        "SessionNumber": int, "Description": str, **SESSION_PARAMETERS, "DryRun": bool,
        "RemoveField": [("packet-length", "description", "virtual-network-id")]}),
    "DeleteTrafficMirrorSession": (delete_session, {"TrafficMirrorSessionId!": str,
                                                    "DryRun": bool}),
})
