"""The stand-in's Describe… calls of EC2: what each thing looks like, which filters there are, pages."""
import base64
import fnmatch
import hashlib
import re

import aws_types
from aws_state import ACCOUNT
from aws_wire import Refused, iso

FILTER = {"Name": str, "Value": [str]}
LISTED = {"Filter": [FILTER], "MaxResults": int, "NextToken": str, "DryRun": bool}


def tag_set(thing):
    return [{"key": key, "value": value} for key, value in sorted(thing.tags.items())]


def shown_vpc(cloud, vpc):
    return {"vpcId": vpc.id, "state": "available", "cidrBlock": vpc.cidr, "ownerId": ACCOUNT,
            "cidrBlockAssociationSet": [{"associationId": "vpc-cidr-assoc-" + vpc.id[4:],
                                         "cidrBlock": vpc.cidr,
                                         "cidrBlockState": {"state": "associated"}}],
            "dhcpOptionsId": "dopt-default", "instanceTenancy": "default", "isDefault": False,
            "tagSet": tag_set(vpc)}


def shown_subnet(cloud, subnet):
    v6 = [{"associationId": "subnet-cidr-assoc-" + subnet.id[7:], "ipv6CidrBlock": subnet.cidr6,
           "ipv6CidrBlockState": {"state": "associated"}}] if subnet.cidr6 else []
    return {"subnetId": subnet.id, "subnetArn": f"arn:aws:ec2:{cloud.region}:{ACCOUNT}:subnet/"
            + subnet.id, "state": "available", "ownerId": ACCOUNT, "vpcId": subnet.vpc,
            "cidrBlock": subnet.cidr, "ipv6CidrBlockAssociationSet": v6, "ipv6Native": False,
            "availableIpAddressCount": 250, "availabilityZone": subnet.zone,
            "availabilityZoneId": zone_id(subnet.zone), "defaultForAz": False,
            "mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False,
            "tagSet": tag_set(subnet)}


def zone_id(zone):
    return f"euw1-az{ord(zone[-1]) - ord('a') + 1}"


def shown_table(cloud, table):
    links = [{"routeTableAssociationId": f"rtbassoc-{table.id[4:]}{n}", "routeTableId": table.id,
              "subnetId": subnet, "main": False, "associationState": {"state": "associated"}}
             for n, subnet in enumerate(table.subnets)]
    if table.main:
        links.append({"routeTableAssociationId": f"rtbassoc-{table.id[4:]}", "main": True,
                      "routeTableId": table.id, "associationState": {"state": "associated"}})
    return {"routeTableId": table.id, "vpcId": table.vpc, "ownerId": ACCOUNT,
            "routeSet": [{"state": "active", "origin": "CreateRouteTable"
                          if route.get("gatewayId") == "local" else "CreateRoute", **route}
                         for route in table.routes],
            "associationSet": links, "propagatingVgwSet": [], "tagSet": tag_set(table)}


def shown_peering(cloud, peering):
    def side(name):
        vpc = cloud.things[name]
        return {"ownerId": ACCOUNT, "vpcId": name, "cidrBlock": vpc.cidr, "region": cloud.region,
                "cidrBlockSet": [{"cidrBlock": vpc.cidr}]}
    return {"vpcPeeringConnectionId": peering.id, "requesterVpcInfo": side(peering.requester),
            "accepterVpcInfo": side(peering.accepter), "tagSet": tag_set(peering),
            "status": {"code": peering.status, "message": peering.status.capitalize()}}


def shown_attachment(cloud, link):
    return {"transitGatewayAttachmentId": link.id, "transitGatewayId": link.gateway,
            "transitGatewayOwnerId": ACCOUNT, "resourceOwnerId": ACCOUNT, "resourceType": "vpc",
            "resourceId": link.vpc, "state": link.state, "creationTime": iso(1.7e9),
            "association": {"transitGatewayRouteTableId": "tgw-rtb-0", "state": "associated"},
            "tagSet": tag_set(link)}


def shown_rule(cloud, rule):
    group = cloud.things[rule.group]
    return {"securityGroupRuleId": rule.id, "groupId": rule.group, "groupOwnerId": ACCOUNT,
            "isEgress": rule.egress, "ipProtocol": rule.protocol, "fromPort": rule.first,
            "toPort": rule.last, "cidrIpv4": rule.cidr, "cidrIpv6": rule.cidr6,
            "prefixListId": rule.prefix, "description": rule.description,
            "referencedGroupInfo": {"groupId": rule.peer, "userId": ACCOUNT, "vpcId": group.vpc}
            if rule.peer else None, "tagSet": tag_set(rule)}


def shown_group(cloud, group):
    def permissions(egress):
        found = {}
        for rule in cloud.all("security-group-rule"):
            if rule.group != group.id or rule.egress != egress:
                continue
            key = (rule.protocol, rule.first, rule.last)
            row = found.setdefault(key, {
                "ipProtocol": rule.protocol, "fromPort": None if rule.protocol == "-1" else rule.first,
                "toPort": None if rule.protocol == "-1" else rule.last, "groups": [],
                "ipRanges": [], "ipv6Ranges": [], "prefixListIds": []})
            if rule.cidr:
                row["ipRanges"].append({"cidrIp": rule.cidr, "description": rule.description})
            if rule.cidr6:
                row["ipv6Ranges"].append({"cidrIpv6": rule.cidr6, "description": rule.description})
            if rule.peer:
                row["groups"].append({"userId": ACCOUNT, "groupId": rule.peer,
                                      "description": rule.description})
            if rule.prefix:
                row["prefixListIds"].append({"prefixListId": rule.prefix})
        return list(found.values())
    return {"ownerId": ACCOUNT, "groupId": group.id, "groupName": group.name,
            "groupDescription": group.description, "vpcId": group.vpc,
            "ipPermissions": permissions(False), "ipPermissionsEgress": permissions(True),
            "tagSet": tag_set(group)}


def shown_acl(cloud, acl):
    return {"networkAclId": acl.id, "vpcId": acl.vpc, "ownerId": ACCOUNT, "default": acl.default,
            "entrySet": acl.entries, "associationSet": [
                {"networkAclAssociationId": f"aclassoc-{n}", "networkAclId": acl.id,
                 "subnetId": subnet} for n, subnet in enumerate(acl.subnets)],
            "tagSet": tag_set(acl)}


def shown_interface(cloud, eni):
    attachment = None
    if eni.attachment:
        link = eni.attachment
        attachment = {"attachmentId": link["attachmentId"], "instanceId": link["instanceId"],
                      "instanceOwnerId": ACCOUNT, "deviceIndex": link["deviceIndex"],
                      "status": eni.transit or "attached", "attachTime": iso(link["since"]),
                      "deleteOnTermination": link["delete"], "networkCardIndex": 0}
    elif eni.interface_type not in ("interface", "efa"):
        # A service's: nobody may see its machine.
        attachment = {"attachmentId": "ela-attach-" + eni.id[4:], "instanceOwnerId": "amazon-aws",
                      "deviceIndex": 1, "status": "attached", "deleteOnTermination": False}
    groups = [{"groupId": name, "groupName": cloud.things[name].name} for name in eni.groups
              if name in cloud.things]
    managed = eni.interface_type not in ("interface", "efa", "efa-only", "trunk", "branch")
    return {"networkInterfaceId": eni.id, "subnetId": eni.subnet, "vpcId": eni.vpc,
            "availabilityZone": eni.zone, "description": eni.description, "ownerId": ACCOUNT,
            "requesterId": "amazon-elb" if managed else None, "requesterManaged": managed,
            "status": "in-use" if attachment else "available", "macAddress": eni.mac,
            "privateIpAddress": eni.addresses[0],
            "privateIpAddressesSet": [{"privateIpAddress": address, "primary": n == 0}
                                      for n, address in enumerate(eni.addresses)],
            "ipv6AddressesSet": [{"ipv6Address": address} for address in eni.v6],
            "sourceDestCheck": eni.check, "groupSet": groups, "attachment": attachment,
            "interfaceType": eni.interface_type, "tagSet": tag_set(eni)}


STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64,
          "stopped": 80}


def shown_instance(cloud, machine):
    interfaces = [shown_interface(cloud, eni) for eni in cloud.interfaces_of(machine.id)]
    for shown in interfaces:
        for extra in ("requesterId", "requesterManaged", "availabilityZone", "tagSet"):
            del shown[extra]
        del shown["attachment"]["instanceId"], shown["attachment"]["instanceOwnerId"]
    return {"instanceId": machine.id, "imageId": "ami-0123456789abcdef0",
            "instanceState": {"code": STATES[machine.state], "name": machine.state},
            "instanceType": machine.type, "launchTime": iso(machine.launched), "amiLaunchIndex": 0,
            "placement": {"availabilityZone": machine.zone, "tenancy": "default"},
            "monitoring": {"state": "disabled"}, "subnetId": machine.subnet, "vpcId": machine.vpc,
            "privateIpAddress": interfaces[0]["privateIpAddress"] if interfaces else None,
            "sourceDestCheck": True, "architecture": "x86_64", "hypervisor": "xen",
            "groupSet": interfaces[0]["groupSet"] if interfaces else [],
            "networkInterfaceSet": interfaces, "tagSet": tag_set(machine)}


def shown_endpoint(cloud, endpoint):
    return {"vpcEndpointId": endpoint.id, "vpcEndpointType": "GatewayLoadBalancer",
            "vpcId": endpoint.vpc, "serviceName": endpoint.service, "state": endpoint.state,
            "subnetIdSet": [endpoint.subnet], "networkInterfaceIdSet": [endpoint.eni],
            "creationTimestamp": iso(1.7e9), "ownerId": ACCOUNT, "tagSet": tag_set(endpoint)}


def walk(value, path):
    """All values at a path of names in what is shown; lists on the way are gone into."""
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in walk(item, path)]
    if not path:
        return [] if value is None else [value]
    return walk(value.get(path[0]), path[1:]) if isinstance(value, dict) else []


# kind: (how it is shown, the name of its set, the parameter with ids, {filter: path in what is shown})
KINDS = {
    "DescribeVpcs": ("vpc", shown_vpc, "vpcSet", "VpcId", {
        "vpc-id": "vpcId", "cidr": "cidrBlock", "state": "state", "owner-id": "ownerId",
        "is-default": "isDefault",
        "cidr-block-association.cidr-block": "cidrBlockAssociationSet.cidrBlock"}),
    "DescribeSubnets": ("subnet", shown_subnet, "subnetSet", "SubnetId", {
        "subnet-id": "subnetId", "vpc-id": "vpcId", "availability-zone": "availabilityZone",
        "availability-zone-id": "availabilityZoneId", "cidr-block": "cidrBlock", "state": "state",
        "owner-id": "ownerId"}),
    "DescribeRouteTables": ("route-table", shown_table, "routeTableSet", "RouteTableId", {
        "route-table-id": "routeTableId", "vpc-id": "vpcId", "owner-id": "ownerId",
        "association.main": "associationSet.main", "association.subnet-id":
        "associationSet.subnetId", "route.destination-cidr-block": "routeSet.destinationCidrBlock",
        "route.gateway-id": "routeSet.gatewayId",
        "route.vpc-peering-connection-id": "routeSet.vpcPeeringConnectionId"}),
    "DescribeVpcPeeringConnections": (
        "vpc-peering-connection", shown_peering, "vpcPeeringConnectionSet",
        "VpcPeeringConnectionId", {
            "vpc-peering-connection-id": "vpcPeeringConnectionId", "status-code": "status.code",
            "requester-vpc-info.vpc-id": "requesterVpcInfo.vpcId",
            "accepter-vpc-info.vpc-id": "accepterVpcInfo.vpcId",
            "requester-vpc-info.cidr-block": "requesterVpcInfo.cidrBlock",
            "accepter-vpc-info.cidr-block": "accepterVpcInfo.cidrBlock"}),
    "DescribeTransitGatewayAttachments": (
        "transit-gateway-attachment", shown_attachment, "transitGatewayAttachments",
        "TransitGatewayAttachmentIds", {
            "transit-gateway-attachment-id": "transitGatewayAttachmentId",
            "transit-gateway-id": "transitGatewayId", "resource-id": "resourceId",
            "resource-type": "resourceType", "state": "state",
            "resource-owner-id": "resourceOwnerId"}),
    "DescribeSecurityGroups": ("security-group", shown_group, "securityGroupInfo", "GroupId", {
        "group-id": "groupId", "group-name": "groupName", "vpc-id": "vpcId", "owner-id": "ownerId",
        "description": "groupDescription", "ip-permission.protocol": "ipPermissions.ipProtocol",
        "ip-permission.cidr": "ipPermissions.ipRanges.cidrIp"}),
    "DescribeSecurityGroupRules": (
        "security-group-rule", shown_rule, "securityGroupRuleSet", "SecurityGroupRuleId", {
            "group-id": "groupId", "security-group-rule-id": "securityGroupRuleId"}),
    "DescribeNetworkAcls": ("network-acl", shown_acl, "networkAclSet", "NetworkAclId", {
        "network-acl-id": "networkAclId", "vpc-id": "vpcId", "default": "default",
        "association.subnet-id": "associationSet.subnetId"}),
    "DescribeNetworkInterfaces": (
        "network-interface", shown_interface, "networkInterfaceSet", "NetworkInterfaceId", {
            "network-interface-id": "networkInterfaceId", "vpc-id": "vpcId",
            "subnet-id": "subnetId", "status": "status", "interface-type": "interfaceType",
            "availability-zone": "availabilityZone", "group-id": "groupSet.groupId",
            "group-name": "groupSet.groupName", "description": "description",
            "owner-id": "ownerId", "mac-address": "macAddress",
            "private-ip-address": "privateIpAddress", "requester-managed": "requesterManaged",
            "requester-id": "requesterId",
            "addresses.private-ip-address": "privateIpAddressesSet.privateIpAddress",
            "attachment.instance-id": "attachment.instanceId",
            "attachment.device-index": "attachment.deviceIndex",
            "attachment.status": "attachment.status",
            "attachment.attachment-id": "attachment.attachmentId",
            "attachment.instance-owner-id": "attachment.instanceOwnerId",
            "source-dest-check": "sourceDestCheck"}),
    "DescribeInstances": ("instance", shown_instance, "reservationSet", "InstanceId", {
        "instance-id": "instanceId", "vpc-id": "vpcId", "subnet-id": "subnetId",
        "instance-type": "instanceType", "instance-state-name": "instanceState.name",
        "instance-state-code": "instanceState.code",
        "availability-zone": "placement.availabilityZone", "private-ip-address": "privateIpAddress",
        "network-interface.network-interface-id": "networkInterfaceSet.networkInterfaceId",
        "network-interface.subnet-id": "networkInterfaceSet.subnetId",
        "network-interface.vpc-id": "networkInterfaceSet.vpcId"}),
    "DescribeVpcEndpoints": ("vpc-endpoint", shown_endpoint, "vpcEndpointSet", "VpcEndpointId", {
        "vpc-endpoint-id": "vpcEndpointId", "vpc-id": "vpcId", "service-name": "serviceName",
        "vpc-endpoint-type": "vpcEndpointType", "vpc-endpoint-state": "state"}),
}


def matches(filters, paths, shown, thing):
    for one in filters:
        name, patterns = one.get("Name", ""), one.get("Value", [])
        if name.startswith("tag:"):
            values = [thing.tags[name[4:]]] if name[4:] in thing.tags else []
        elif name == "tag-key":
            values = list(thing.tags)
        elif name in paths:
            values = walk(shown, paths[name].split("."))
        else:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        values = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        if not any(fits(value, pattern) for value in values for pattern in patterns):
            return False
    return True


def fits(value, pattern):
    """With * and ?; a backslash takes their meaning away."""
    if "[" not in pattern and "\\" not in pattern:
        return fnmatch.fnmatchcase(value, pattern)
    text = "".join(".*" if part == "*" else "." if part == "?" else
                   re.escape(part[1:] if part.startswith("\\") else part)
                   for part in re.findall(r"\\.|.", pattern, re.S))
    return re.fullmatch(text, value, re.S) is not None


def check_filters(filters, paths):
    if len(filters) > 50:
        raise Refused("FilterLimitExceeded", "There are more than 50 filters")
    for one in filters:
        if not one.get("Value"):
            raise Refused("InvalidParameterValue", f"The filter '{one.get('Name')}' has no value")
        if len(one["Value"]) > 200:
            raise Refused("FilterLimitExceeded", "The maximum number of filter values is 200")
        name = one.get("Name", "")
        if not name.startswith("tag:") and name != "tag-key" and name not in paths:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")


def page(cloud, action, given, found, least=5, most=1000):
    """(those of this page, the next token). A token is good for the same question only."""
    size = given.get("MaxResults")
    if size is not None and not least <= size <= most:
        raise Refused("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is "
                      f"invalid. Expecting a value between {least} and {most}.")
    question = hashlib.sha1(repr((action, given.get("Filter"))).encode()).hexdigest()[:12]
    at, empty = 0, False
    if "NextToken" in given:
        try:
            mark, at, empty = base64.b64decode(given["NextToken"], validate=True).decode().split("|")
            at, empty = int(at), empty == "1"
            if mark != question:
                raise ValueError
        except ValueError:
            raise Refused("InvalidNextToken", "The token is not valid for this request") from None
    size = min(size or cloud.page, cloud.page)
    if cloud.empty_pages and at and not empty:
        return [], base64.b64encode(f"{question}|{at}|1".encode()).decode()
    rest = at + size < len(found)
    token = base64.b64encode(f"{question}|{at + size}|0".encode()).decode() if rest else None
    return found[at:at + size], token


def chosen(cloud, kind, names):
    """Those with the ids, or all. An id that is not to be seen is an error."""
    if not names:
        return cloud.look(kind)
    return [cloud.find(kind, name) for name in names]


def settle(cloud, eni):
    """What is on its way comes nearer with each look."""
    if eni.transit and eni.transit_left > 0:
        eni.transit_left -= 1
    elif eni.transit == "detaching":
        eni.attachment, eni.transit = None, None
    elif eni.transit:
        eni.transit = None


def listed(cloud, action, given, kind, show, name_of_set, ids, paths):
    names = given.get(ids, [])
    if names and "MaxResults" in given:
        raise Refused("InvalidParameterCombination",
                      f"The parameter {ids} cannot be used with the parameter MaxResults")
    filters = given.get("Filter", [])
    check_filters(filters, paths)
    found = []
    for thing in chosen(cloud, kind, names):
        if kind == "network-interface":
            settle(cloud, thing)
        shown = show(cloud, thing)
        if matches(filters, paths, shown, thing):
            found.append(shown)
    some, token = page(cloud, action, given, found)
    return some, token, name_of_set


def describe(cloud, who, action, given):
    some, token, name_of_set = listed(cloud, action, given, *KINDS[action])
    if action == "DescribeInstances":
        some = [{"reservationId": "r-" + shown["instanceId"][2:], "ownerId": ACCOUNT,
                 "groupSet": [], "instancesSet": [shown]} for shown in some]
    return {name_of_set: some, "nextToken": token}


def describe_types(cloud, who, action, given):
    names = given.get("InstanceType", [])
    if len(names) > 100:
        raise Refused("InvalidParameterValue", "There are more than 100 instance types")
    found = []
    paths = {"instance-type": "instanceType", "hypervisor": "hypervisor", "bare-metal": "bareMetal",
             "current-generation": "currentGeneration"}
    check_filters(given.get("Filter", []), paths)
    for name in names or aws_types.KNOWN:
        shown = aws_types.shown(name)
        if matches(given.get("Filter", []), paths, shown, None):
            found.append(shown)
    some, token = page(cloud, action, given, found, most=100)
    return {"instanceTypeSet": some, "nextToken": token}


def describe_regions(cloud, who, action, given):
    names = given.get("RegionName") or ["eu-west-1", "us-east-1"]
    return {"regionInfo": [{"regionName": name, "regionEndpoint": f"ec2.{name}.amazonaws.com",
                            "optInStatus": "opt-in-not-required"} for name in names]}


def describe_zones(cloud, who, action, given):
    zones = [cloud.region + letter for letter in "abc"]
    return {"availabilityZoneInfo": [
        {"zoneName": zone, "zoneState": "available", "regionName": cloud.region,
         "zoneId": zone_id(zone), "zoneType": "availability-zone", "groupName": cloud.region,
         "networkBorderGroup": cloud.region, "optInStatus": "opt-in-not-required", "messageSet": []}
        for zone in given.get("ZoneName") or zones if zone in zones]}


def describe_tags(cloud, who, action, given):
    paths = {"key": "key", "value": "value", "resource-id": "resourceId",
             "resource-type": "resourceType"}
    found = []
    filters = given.get("Filter", [])
    check_filters(filters, paths)
    for thing in list(cloud.things.values()):
        if thing.kind in ("load-balancer", "listener", "target-group") or not cloud.seen(thing):
            continue
        for key, value in sorted(thing.tags.items()):
            shown = {"resourceId": thing.id, "resourceType": thing.kind, "key": key, "value": value}
            if matches(filters, paths, shown, thing):
                found.append(shown)
    some, token = page(cloud, action, given, found)
    return {"tagSet": some, "nextToken": token}


ACTIONS = {action: (describe, {**LISTED, ids: [str]})
           for action, (_, _, _, ids, _) in KINDS.items()}
ACTIONS["DescribeSecurityGroups"][1]["GroupName"] = [str]
ACTIONS.update({
    "DescribeInstanceTypes": (describe_types, {**LISTED, "InstanceType": [str]}),
    "DescribeRegions": (describe_regions, {"RegionName": [str], "Filter": [FILTER],
                                           "AllRegions": bool, "DryRun": bool}),
    "DescribeAvailabilityZones": (describe_zones, {
        "ZoneName": [str], "ZoneId": [str], "Filter": [FILTER], "AllAvailabilityZones": bool,
        "DryRun": bool}),
    "DescribeTags": (describe_tags, LISTED),
})
