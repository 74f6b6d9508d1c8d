"""The stand-in's metadata service of an instance (IMDSv2): a token by PUT, then everything by GET with
the token, nothing without."""
import ipaddress
import json
import secrets
import time

from aws_state import ACCOUNT
from aws_wire import Refused, iso


def be(cloud, instance, role="cloudspan", lasts=3600):
    """What the instance sees of itself, with credentials of the role ("": none)."""
    machine = cloud.things[instance]
    cards = cloud.interfaces_of(instance)
    first = cards[0]
    base = {"ami-id": "ami-0123456789abcdef0", "instance-id": instance, "mac": first.mac,
            "instance-type": machine.type, "local-ipv4": first.addresses[0],
            "placement/availability-zone": machine.zone, "placement/region": cloud.region,
            "network/interfaces/macs/": "\n".join(card.mac + "/" for card in cards)}
    for card in cards:
        subnet = cloud.things[card.subnet]
        root = f"network/interfaces/macs/{card.mac}/"
        base.update({root + "interface-id": card.id, root + "mac": card.mac,
                     root + "device-number": str(card.attachment["deviceIndex"]),
                     root + "subnet-id": card.subnet, root + "vpc-id": card.vpc,
                     root + "local-ipv4s": "\n".join(card.addresses),
                     root + "security-group-ids": "\n".join(card.groups),
                     root + "subnet-ipv4-cidr-block": subnet.cidr,
                     root + "vpc-ipv4-cidr-block": cloud.things[card.vpc].cidr,
                     root + "owner-id": ACCOUNT})
    cloud.metadata = {"meta-data/" + path: text for path, text in base.items()}
    cloud.metadata["dynamic/instance-identity/document"] = json.dumps({
        "accountId": ACCOUNT, "architecture": "x86_64", "availabilityZone": machine.zone,
        "imageId": "ami-0123456789abcdef0", "instanceId": instance, "instanceType": machine.type,
        "privateIp": str(ipaddress.ip_address(first.addresses[0])), "region": cloud.region,
        "version": "2017-09-30"}, indent=2)
    if role:
        cloud.metadata["meta-data/iam/security-credentials/"] = role
        cloud.metadata[f"meta-data/iam/security-credentials/{role}"] = lambda: credentials(
            cloud, f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{instance}", lasts)


def credentials(cloud, arn, lasts):
    made = cloud.session_for(arn, lasts)
    return json.dumps({"Code": "Success", "LastUpdated": iso(cloud.now())[:19] + "Z",
                       "Type": "AWS-HMAC", "AccessKeyId": made.key,
                       "SecretAccessKey": made.secret, "Token": made.token,
                       "Expiration": iso(made.expires)[:19] + "Z"})


def answer(cloud, method, path, headers):
    """(status, text) of what is asked below /latest/; None: it does not answer at all."""
    if path == "api/token":
        if method != "PUT":
            raise Refused("", "", 405)
        if cloud.hop_limit:
            return None
        lasts = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not lasts.isdigit() or not 1 <= int(lasts) <= 21600 or "x-forwarded-for" in headers:
            raise Refused("", "", 400)
        token = secrets.token_urlsafe(40) + "=="
        cloud.imds_tokens[token] = time.monotonic() + int(lasts)
        return 200, token
    if method != "GET":
        raise Refused("", "", 405)
    if cloud.imds_tokens.get(headers.get("x-aws-ec2-metadata-token"), 0) < time.monotonic():
        raise Refused("", "", 401)
    for name in (path, path.rstrip("/") + "/", path.rstrip("/")):
        if name in cloud.metadata:
            text = cloud.metadata[name]
            return 200, text() if callable(text) else text
    raise Refused("", "", 404)
