"""What else of EC2 may be changed in the stand-in: tags, rules of security groups, interfaces."""
import ipaddress

import aws_types
from aws_describe import settle, shown_rule, tag_set
from aws_mirror import SPEC, check_tags, once, tags_of
from aws_wire import Refused

TAG = {"Key!": str, "Value": str}
PERMISSION = {"IpProtocol": str, "FromPort": int, "ToPort": int,
              "IpRanges": [{"CidrIp": str, "Description": str}],
              "Ipv6Ranges": [{"CidrIpv6": str, "Description": str}],
              "Groups": [{"GroupId": str, "UserId": str, "Description": str}],
              "PrefixListIds": [{"PrefixListId": str, "Description": str}]}
PROTOCOLS = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}


# --- Tags -------------------------------------------------------------------------------------------


def tagged(cloud, who, action, given):
    """The things, after the watch has looked whether they are ours."""
    if not given["ResourceId"] or len(given["ResourceId"]) > 1000:
        raise Refused("InvalidParameterValue", "There are no resources, or too many")
    things = []
    for name in given["ResourceId"]:
        thing = cloud.things.get(name)
        if thing is None or thing.gone or not cloud.seen(thing):
            raise Refused("InvalidID", f"The ID '{name}' is not valid")
        things.append(thing)
    for thing in things:
        cloud.may_touch(who, action, thing)
    return things


def create_tags(cloud, who, action, given):
    tags = {tag["Key"]: tag.get("Value", "") for tag in given["Tag"]}
    things = tagged(cloud, who, action, given)
    for thing in things:
        check_tags({**thing.tags, **tags})
    for thing in things:
        thing.tags.update(tags)
    return {"return": True}


def delete_tags(cloud, who, action, given):
    for thing in tagged(cloud, who, action, given):
        for tag in given.get("Tag") or [{"Key": key} for key in thing.tags]:
            if "Value" not in tag or thing.tags.get(tag["Key"]) == tag["Value"]:
                thing.tags.pop(tag["Key"], None)
    return {"return": True}


# --- Security groups ----------------------------------------------------------------------------------


def flat(given):
    """[(protocol, first, last, what, value, description)] of the permissions."""
    permissions = list(given.get("IpPermissions", []))
    if "IpProtocol" in given:
        permissions.append({"IpProtocol": given["IpProtocol"], "FromPort": given.get("FromPort", -1),
                            "ToPort": given.get("ToPort", -1),
                            "IpRanges": [{"CidrIp": given.get("CidrIp", "")}]})
    rules = []
    for one in permissions:
        protocol = one.get("IpProtocol", "")
        protocol = {number: name for name, number in PROTOCOLS.items()}.get(protocol, protocol)
        if protocol not in PROTOCOLS and protocol != "-1" and not protocol.isdigit():
            raise Refused("InvalidParameterValue", f"Invalid value '{protocol}' for protocol.")
        first, last = one.get("FromPort", -1), one.get("ToPort", -1)
        if protocol == "-1":
            first = last = -1
        elif protocol in ("tcp", "udp") and not 0 <= first <= last <= 65535:
            raise Refused("InvalidParameterValue", f"Invalid value '{first}-{last}' for ports.")
        for what, key, rows in (("cidr", "CidrIp", one.get("IpRanges", [])),
                                ("cidr6", "CidrIpv6", one.get("Ipv6Ranges", [])),
                                ("peer", "GroupId", one.get("Groups", []))):
            for row in rows:
                value = row.get(key, "")
                try:
                    if what != "peer":
                        value = str(ipaddress.ip_network(value))
                except ValueError:
                    raise Refused("InvalidParameterValue",
                                  f"CIDR block {value} is malformed") from None
                rules.append((protocol, first, last, what, value, row.get("Description")))
    if not rules:
        raise Refused("MissingParameter", "There is no permission")
    return rules


def same(rule, wanted):
    protocol, first, last, what, value, _ = wanted
    return (rule.protocol, rule.first, rule.last) == (protocol, first, last) and \
        getattr(rule, what) == value


def rules_of(cloud, group):
    return [rule for rule in cloud.all("security-group-rule")
            if rule.group == group.id and not rule.egress]


def authorize(cloud, who, action, given):
    group = cloud.find("security-group", given["GroupId"])
    tags = tags_of(given, "security-group-rule")
    wanted = flat(given)
    there = rules_of(cloud, group)
    for one in wanted:
        if any(same(rule, one) for rule in there):
            raise Refused("InvalidPermission.Duplicate", f'the specified rule "peer: {one[4]}, '
                          f'{one[0].upper()}, from port: {one[1]}, to port: {one[2]}, ALLOW" '
                          "already exists")
        if one[3] == "peer":
            cloud.find("security-group", one[4])
    if len(there) + len(wanted) > cloud.group_rules_max:
        raise Refused("RulesPerSecurityGroupLimitExceeded", f"{group.id} has too many rules")
    cloud.may_touch(who, action, group)
    cloud.must_mark(who, action, tags)
    made = []
    for protocol, first, last, what, value, description in wanted:
        rule = cloud.rule(group.id, protocol, first, last, description=description, tags=tags,
                          **{what: value})
        rule.own = who.own
        made.append(rule)
    return {"return": True, "securityGroupRuleSet": [shown_rule(cloud, rule) for rule in made]}


def revoke(cloud, who, action, given):
    group = cloud.find("security-group", given["GroupId"])
    if "SecurityGroupRuleId" in given:
        gone = [cloud.find("security-group-rule", name) for name in given["SecurityGroupRuleId"]]
        if any(rule.group != group.id or rule.egress for rule in gone):
            raise Refused("InvalidSecurityGroupRuleId.NotFound", "The rule is of another group")
    else:
        gone = [rule for one in flat(given) for rule in rules_of(cloud, group) if same(rule, one)]
        if len(gone) != len(flat(given)):
            raise Refused("InvalidPermission.NotFound", "The specified rule does not exist in this "
                          "security group.")
    for rule in gone:
        cloud.may_touch(who, action, rule)
        cloud.drop(rule)
    return {"return": True, "revokedSecurityGroupRuleSet": [
        {"securityGroupRuleId": rule.id, "groupId": rule.group, "isEgress": False,
         "ipProtocol": rule.protocol, "fromPort": rule.first, "toPort": rule.last,
         "cidrIpv4": rule.cidr, "cidrIpv6": rule.cidr6, "referencedGroupId": rule.peer,
         "description": rule.description} for rule in gone]}


def create_group(cloud, who, action, given):
    cloud.find("vpc", given.get("VpcId", ""))
    tags = tags_of(given, "security-group")
    if not 1 <= len(given["GroupName"]) <= 255 or given["GroupName"].startswith("sg-"):
        raise Refused("InvalidParameterValue", f"Invalid value '{given['GroupName']}' for groupName")
    if any(group.vpc == given["VpcId"] and group.name == given["GroupName"]
           for group in cloud.all("security-group")):
        raise Refused("InvalidGroup.Duplicate", f"The security group '{given['GroupName']}' already "
                      f"exists for VPC '{given['VpcId']}'")
    cloud.must_mark(who, action, tags)
    group = cloud.group(given["VpcId"], given["GroupName"], tags, given["GroupDescription"])
    group.own, group.hidden = who.own, cloud.lag if who.own else 0
    return {"groupId": group.id, "tagSet": tag_set(group)}


def delete_group(cloud, who, action, given):
    group = cloud.find("security-group", given["GroupId"])
    if any(group.id in eni.groups for eni in cloud.all("network-interface")) or \
            any(rule.peer == group.id and rule.group != group.id
                for rule in cloud.all("security-group-rule")):
        raise Refused("DependencyViolation", f"resource {group.id} has a dependent object")
    if group.name == "default":
        raise Refused("CannotDelete", "the specified group: \"default\" name cannot be deleted by a "
                      "user")
    cloud.may_touch(who, action, group)
    for rule in cloud.all("security-group-rule"):
        if rule.group == group.id:
            cloud.drop(rule)
    cloud.drop(group)
    return {"return": True}


# --- Interfaces -------------------------------------------------------------------------------------


@once
def create_interface(cloud, who, action, given):
    subnet = cloud.find("subnet", given["SubnetId"])
    tags = tags_of(given, "network-interface")
    for name in given.get("SecurityGroupId", []):
        if cloud.find("security-group", name).vpc != subnet.vpc:
            raise Refused("InvalidParameterValue", f"{name} is not of the VPC of {subnet.id}")
    cloud.must_mark(who, action, tags)
    return cloud.interface(subnet.id, address=given.get("PrivateIpAddress"), tags=tags,
                           groups=given.get("SecurityGroupId", ()),
                           description=given.get("Description", ""))


def attach(cloud, who, action, given):
    eni = cloud.find("network-interface", given["NetworkInterfaceId"])
    machine = cloud.find("instance", given["InstanceId"])
    index = given["DeviceIndex"]
    settle(cloud, eni)
    if eni.attachment:
        raise Refused("InvalidNetworkInterface.InUse",
                      f"Interface: [{eni.id}] in use.")
    if machine.state not in ("running", "stopped"):
        raise Refused("IncorrectState", f"Instance '{machine.id}' is '{machine.state}'.")
    if eni.zone != machine.zone:
        raise Refused("InvalidParameterCombination", "You may not attach a network interface to an "
                      "instance if they are not in the same availability zone")
    cards = cloud.interfaces_of(machine.id)
    if any(card.attachment["deviceIndex"] == index for card in cards):
        raise Refused("InvalidParameterValue", f"Instance '{machine.id}' already has an interface "
                      f"attached at device index '{index}'.")
    if len(cards) >= aws_types.n_interfaces(machine.type):
        raise Refused("AttachmentLimitExceeded", f"Interface count {len(cards) + 1} exceeds the "
                      f"limit for {machine.type}")
    cloud.may_touch(who, action, eni)
    cloud.attach(eni, machine.id, index)
    eni.transit, eni.transit_left = "attaching", cloud.transit
    return {"attachmentId": eni.attachment["attachmentId"], "networkCardIndex": 0}


def attached(cloud, name):
    for eni in cloud.all("network-interface"):
        if eni.attachment and eni.attachment["attachmentId"] == name:
            return eni
    raise Refused("InvalidAttachmentID.NotFound", f"The attachment ID '{name}' does not exist")


def detach(cloud, who, action, given):
    eni = attached(cloud, given["AttachmentId"])
    if eni.attachment["deviceIndex"] == 0:
        raise Refused("OperationNotPermitted", "The network interface at device index 0 cannot be "
                      "detached.")
    cloud.may_touch(who, action, eni)
    eni.transit, eni.transit_left = "detaching", cloud.transit
    return {"return": True}


def delete_interface(cloud, who, action, given):
    eni = cloud.find("network-interface", given["NetworkInterfaceId"])
    settle(cloud, eni)
    if eni.attachment or eni.interface_type != "interface":
        raise Refused("InvalidParameterValue", f"Network interface '{eni.id}' is currently in use.")
    cloud.may_touch(who, action, eni)
    cloud.remove_interface(eni.id)
    return {"return": True}


def modify_interface(cloud, who, action, given):
    eni = cloud.find("network-interface", given["NetworkInterfaceId"])
    for name in given.get("SecurityGroupId", []):
        cloud.find("security-group", name)
    cloud.may_touch(who, action, eni)
    if "SecurityGroupId" in given:
        eni.groups = given["SecurityGroupId"]
    if "Description" in given:
        eni.description = given["Description"].get("Value", "")
    if "SourceDestCheck" in given:
        eni.check = given["SourceDestCheck"]["Value"]
    if "Attachment" in given:
        link = eni.attachment
        if not link or link["attachmentId"] != given["Attachment"].get("AttachmentId"):
            raise Refused("InvalidAttachmentID.NotFound", "The attachment does not exist")
        link["delete"] = given["Attachment"].get("DeleteOnTermination", link["delete"])
    return {"return": True}


ACTIONS = {
    "CreateTags": (create_tags, {"ResourceId!": [str], "Tag!": [TAG], "DryRun": bool}),
    "DeleteTags": (delete_tags, {"ResourceId!": [str], "Tag": [TAG], "DryRun": bool}),
    "AuthorizeSecurityGroupIngress": (authorize, {
        "GroupId!": str, "IpPermissions": [PERMISSION], "TagSpecification": [SPEC],
        "IpProtocol": str, "FromPort": int, "ToPort": int, "CidrIp": str, "DryRun": bool}),
    "RevokeSecurityGroupIngress": (revoke, {
        "GroupId!": str, "IpPermissions": [PERMISSION], "SecurityGroupRuleId": [str],
        "IpProtocol": str, "FromPort": int, "ToPort": int, "CidrIp": str, "DryRun": bool}),
    "CreateSecurityGroup": (create_group, {
        "GroupName!": str, "GroupDescription!": str, "VpcId": str, "TagSpecification": [SPEC],
        "DryRun": bool}),
    "DeleteSecurityGroup": (delete_group, {"GroupId!": str, "DryRun": bool}),
    "CreateNetworkInterface": (create_interface, {
        "SubnetId!": str, "Description": str, "PrivateIpAddress": str, "SecurityGroupId": [str],
        "TagSpecification": [SPEC], "ClientToken": str, "DryRun": bool}),
    "AttachNetworkInterface": (attach, {"NetworkInterfaceId!": str, "InstanceId!": str,
                                        "DeviceIndex!": int, "NetworkCardIndex": int,
                                        "DryRun": bool}),
    "DetachNetworkInterface": (detach, {"AttachmentId!": str, "Force": bool, "DryRun": bool}),
    "DeleteNetworkInterface": (delete_interface, {"NetworkInterfaceId!": str, "DryRun": bool}),
    "ModifyNetworkInterfaceAttribute": (modify_interface, {
        "NetworkInterfaceId!": str, "SecurityGroupId": [str], "Description": {"Value": str},
        "SourceDestCheck": {"Value!": bool}, "DryRun": bool,
        "Attachment": {"AttachmentId": str, "DeleteOnTermination": bool}}),
}
