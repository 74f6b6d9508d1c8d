#!/usr/bin/env python3
"""Proves the stand-in for AWS by AWS's own clients: botocore drives all of it, and each answer is
compared with botocore's description of the service; Debian's aws does a few calls, too.

usage: aws_standin_test.py

Exit code 77: botocore is not installed."""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import botocore.exceptions
    from botocore.config import Config
except ImportError:
    # Not each Python at hand has Debian's packages.
    if sys.executable != "/usr/bin/python3" and os.path.exists(
            "/usr/lib/python3/dist-packages/botocore"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])
    print("skipped: botocore is not installed")
    sys.exit(77)

import aws_metadata  # noqa: E402
import aws_model  # noqa: E402
import aws_standin  # noqa: E402
from aws_state import Cloud  # noqa: E402

KEY, OTHER = "AKIACLOUDSPANTEST001", "AKIASOMEBODYELSE0001"
OURS = [{"Key": "cloudspan:mirror", "Value": "lab"}]
TESTS = []
ANSWERED = set()  # (service, action) with a good answer that was compared


def test(function):
    TESTS.append(function)
    return function


def must(condition, what):
    if not condition:
        raise AssertionError(what() if callable(what) else what)


class Bed:
    """A cloud with a VPC, two machines, and clients."""

    def __init__(self):
        self.cloud = Cloud()
        self.url = aws_standin.serve(self.cloud)
        self.vpc = self.cloud.vpc("10.0.0.0/16", {"Name": "web"})
        self.subnet = self.cloud.subnet(self.vpc.id, "10.0.1.0/24")
        self.a = self.cloud.instance(self.subnet.id, "a")
        self.b = self.cloud.instance(self.subnet.id, "b")
        self.eni = self.cloud.interfaces_of(self.a.id)[0]
        self.sink = self.cloud.interfaces_of(self.b.id)[0]

    def client(self, service="ec2", who=KEY, attempts=1, **more):
        person = self.cloud.who[who]
        client = aws_model.SESSION.create_client(
            service, region_name=self.cloud.region, endpoint_url=self.url,
            aws_access_key_id=more.pop("key", person.key),
            aws_secret_access_key=more.pop("secret", person.secret),
            aws_session_token=person.token, config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                parameter_validation=more.pop("validate", True)), **more)
        client.meta.events.register("after-call", self.compare)
        return client

    def compare(self, http_response, parsed, model, **rest):
        """Each answer with the model."""
        service = model.service_model.signing_name
        if http_response.status_code != 200:
            must("Error" in parsed and parsed["Error"].get("Code"), lambda: f"no code: {parsed}")
            return
        if service != "cloudtrail":
            wrong = aws_model.check_answer(service, model.name, http_response.content)
            must(not wrong, lambda: f"{model.name}: {wrong}\n{http_response.content.decode()[:2000]}")
        ANSWERED.add((service, model.name))

    def refused(self, code, call, **parameters):
        try:
            got = call(**parameters)
        except botocore.exceptions.ClientError as error:
            must(error.response["Error"]["Code"] == code, f"{error}, not {code}")
            return error.response
        raise AssertionError(f"not {code}, but {got}")

    def made(self, client):
        """A target, a filter and a session of ours."""
        def spec(kind):
            return [{"ResourceType": kind, "Tags": OURS}]
        target = client.create_traffic_mirror_target(
            NetworkInterfaceId=self.sink.id, TagSpecifications=spec("traffic-mirror-target"))
        one = client.create_traffic_mirror_filter(TagSpecifications=spec("traffic-mirror-filter"))
        target = target["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
        one = one["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
        session = client.create_traffic_mirror_session(
            NetworkInterfaceId=self.eni.id, TrafficMirrorTargetId=target, SessionNumber=1,
            TrafficMirrorFilterId=one, VirtualNetworkId=42,
            TagSpecifications=spec("traffic-mirror-session"))
        return target, one, session["TrafficMirrorSession"]["TrafficMirrorSessionId"]


@test
def parameters(bed):
    """The stand-in's tables say what the model says."""
    wrong = [text for service, actions in aws_standin.ACTIONS.items()
             for action, (_, spec) in actions.items() if spec is not None
             for text in aws_model.spec_strangers(service, action, spec)]
    must(not wrong, "\n".join(wrong))


@test
def mirrors(bed):
    """Create, describe, modify, delete all of a mirror."""
    ec2 = bed.client()
    target, one, session = bed.made(ec2)
    rule = {}
    for way in ("ingress", "egress"):
        rule = ec2.create_traffic_mirror_filter_rule(
            TrafficMirrorFilterId=one, TrafficDirection=way, RuleNumber=100, RuleAction="accept",
            DestinationCidrBlock="0.0.0.0/0", SourceCidrBlock="0.0.0.0/0", Protocol=6,
            DestinationPortRange={"FromPort": 80, "ToPort": 90})["TrafficMirrorFilterRule"]
    ec2.modify_traffic_mirror_filter_network_services(TrafficMirrorFilterId=one,
                                                      AddNetworkServices=["amazon-dns"])
    shown = ec2.describe_traffic_mirror_filters(TrafficMirrorFilterIds=[one])
    shown = shown["TrafficMirrorFilters"][0]
    must(shown["NetworkServices"] == ["amazon-dns"] and len(shown["IngressFilterRules"]) == 1 and
         shown["EgressFilterRules"][0]["DestinationPortRange"] == {"FromPort": 80, "ToPort": 90},
         lambda: shown)
    got = ec2.modify_traffic_mirror_filter_rule(
        TrafficMirrorFilterRuleId=rule["TrafficMirrorFilterRuleId"], RuleNumber=7,
        RemoveFields=["destination-port-range", "protocol"])["TrafficMirrorFilterRule"]
    must(got["RuleNumber"] == 7 and "Protocol" not in got, lambda: got)
    got = ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, PacketLength=128,
                                            SessionNumber=5)["TrafficMirrorSession"]
    must(got["PacketLength"] == 128 and got["SessionNumber"] == 5 and got["VirtualNetworkId"] == 42,
         lambda: got)
    got = ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session,
                                            RemoveFields=["packet-length"])["TrafficMirrorSession"]
    must("PacketLength" not in got, lambda: got)
    got = ec2.describe_traffic_mirror_sessions(Filters=[
        {"Name": "tag:cloudspan:mirror", "Values": ["l*"]},
        {"Name": "session-number", "Values": ["5"]}])["TrafficMirrorSessions"]
    must([row["TrafficMirrorSessionId"] for row in got] == [session], lambda: got)
    bed.refused("TrafficMirrorTargetInUseException", ec2.delete_traffic_mirror_target,
                TrafficMirrorTargetId=target)
    bed.refused("TrafficMirrorFilterInUse", ec2.delete_traffic_mirror_filter,
                TrafficMirrorFilterId=one)
    must(ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"][0]["Type"] ==
         "network-interface", "the target's type")
    if hasattr(ec2, "describe_traffic_mirror_filter_rules"):
        got = ec2.describe_traffic_mirror_filter_rules(TrafficMirrorFilterId=one)
        must(len(got["TrafficMirrorFilterRules"]) == 2, lambda: got)
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
    ec2.delete_traffic_mirror_filter_rule(
        TrafficMirrorFilterRuleId=rule["TrafficMirrorFilterRuleId"])
    ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=one)
    ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)
    bed.refused("InvalidTrafficMirrorSessionId.NotFound", ec2.delete_traffic_mirror_session,
                TrafficMirrorSessionId=session)
    must(not bed.cloud.violations, bed.cloud.violations)


@test
def limits(bed):
    """What AWS refuses is refused, with AWS's code."""
    ec2 = bed.client()
    target, one, session = bed.made(ec2)
    old = bed.cloud.instance(bed.subnet.id, "old", "t2.micro")

    def session_of(eni, number=1, **more):
        return {"NetworkInterfaceId": eni, "TrafficMirrorTargetId": target, "SessionNumber": number,
                "TrafficMirrorFilterId": one, **more}
    create = ec2.create_traffic_mirror_session
    bed.refused("NetworkInterfaceNotSupported", create,
                **session_of(bed.cloud.interfaces_of(old.id)[0].id))
    bed.refused("NetworkInterfaceNotSupported", create,
                **session_of(bed.cloud.interface(bed.subnet.id, kind="lambda").id))
    bed.refused("InvalidParameterValue", create, **session_of(bed.sink.id))
    bed.refused("InvalidParameterValue", create, **session_of(bed.eni.id, 1))
    bed.refused("InvalidParameterValue", create, **session_of(bed.eni.id, 32767))
    bed.refused("InvalidParameterValue", create, **session_of(bed.eni.id, 9, VirtualNetworkId=1 << 24))
    bed.refused("InvalidNetworkInterfaceID.NotFound", create, **session_of("eni-1"))
    for number in (2, 3):
        create(**session_of(bed.eni.id, number))
    bed.refused("TrafficMirrorSessionsPerInterfaceLimitExceeded", create, **session_of(bed.eni.id, 4))
    for n in range(9):
        create(**session_of(bed.cloud.interfaces_of(
            bed.cloud.instance(bed.subnet.id, f"m{n}").id)[0].id))
    bed.refused("TrafficMirrorSourcesPerTargetLimitExceeded", create, **session_of(
        bed.cloud.interfaces_of(bed.cloud.instance(bed.subnet.id, "more").id)[0].id))
    rule = {"TrafficMirrorFilterId": one, "TrafficDirection": "ingress", "RuleAction": "accept",
            "DestinationCidrBlock": "0.0.0.0/0", "SourceCidrBlock": "0.0.0.0/0"}
    for number in range(1, 11):
        ec2.create_traffic_mirror_filter_rule(RuleNumber=number, **rule)
    bed.refused("TrafficMirrorFilterRuleAlreadyExists", ec2.create_traffic_mirror_filter_rule,
                RuleNumber=1, **rule)
    bed.refused("TrafficMirrorFilterRuleLimitExceeded", ec2.create_traffic_mirror_filter_rule,
                RuleNumber=11, **rule)
    bed.refused("InvalidParameterValue", ec2.create_traffic_mirror_filter_rule, RuleNumber=12,
                **{**rule, "SourceCidrBlock": "::/0"})
    bed.refused("DryRunOperation", ec2.delete_traffic_mirror_session,
                TrafficMirrorSessionId=session, DryRun=True)
    bed.refused("InvalidParameterValue", bed.client(validate=False).describe_vpcs, MaxResults=4)
    bed.refused("InvalidParameterValue", ec2.describe_vpcs,
                Filters=[{"Name": "no-such-filter", "Values": ["1"]}])
    bed.refused("MissingParameter", bed.client(validate=False).create_traffic_mirror_session,
                NetworkInterfaceId=bed.eni.id)


@test
def tokens(bed):
    """A create that is told twice happens once."""
    ec2 = bed.client()
    spec = [{"ResourceType": "traffic-mirror-filter", "Tags": OURS}]
    ids = {ec2.create_traffic_mirror_filter(ClientToken="t1", TagSpecifications=spec)
           ["TrafficMirrorFilter"]["TrafficMirrorFilterId"] for _ in range(3)}
    must(len(ids) == 1 and len(bed.cloud.all("traffic-mirror-filter")) == 1, lambda: ids)
    bed.refused("IdempotentParameterMismatch", ec2.create_traffic_mirror_filter, ClientToken="t1",
                Description="other", TagSpecifications=spec)
    # An answer that gets lost: botocore asks again, with the same token.
    bed.cloud.fault("CreateTrafficMirrorFilter", after=True, close=True)
    bed.client(attempts=3).create_traffic_mirror_filter(TagSpecifications=spec)
    must(len(bed.cloud.all("traffic-mirror-filter")) == 2, "the lost answer made two")


@test
def pages(bed):
    """Pages by botocore's paginators: all there is, once."""
    bed.cloud.page = 7
    bed.cloud.empty_pages = True
    for n in range(40):
        bed.cloud.instance(bed.subnet.id, f"m{n}", groups=None or ())
    ec2 = bed.client()
    for action, key in (("describe_network_interfaces", "NetworkInterfaces"),
                        ("describe_instances", "Reservations"), ("describe_tags", "Tags")):
        rows = [json.dumps(row, default=str) for page in ec2.get_paginator(action).paginate()
                for row in page[key]]
        must(len(rows) == len(set(rows)) >= 42, f"{action}: {len(rows)}")
    token = ec2.describe_network_interfaces()["NextToken"]
    bed.refused("InvalidNextToken", ec2.describe_instances, NextToken=token)


@test
def everything(bed):
    """All the other describes and changes."""
    cloud, ec2 = bed.cloud, bed.client()
    other = cloud.vpc("10.1.0.0/16")
    cloud.peer(bed.vpc.id, other.id)
    cloud.gateway_attachment(bed.vpc.id)
    cloud.endpoint(bed.subnet.id)
    cloud.subnet(other.id, "10.1.1.0/24", cidr6="2001:db8::/64")
    group = cloud.group(bed.vpc.id, "collector")
    cloud.rule(group.id, "tcp", 22, 22, peer=group.id, description="ssh")
    cloud.permitted.add(group.id)
    must(ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [bed.vpc.id]}])
         ["RouteTables"][0]["Routes"][1]["VpcPeeringConnectionId"].startswith("pcx-"), "no route")
    for call, key in ((ec2.describe_vpcs, "Vpcs"), (ec2.describe_subnets, "Subnets"),
                      (ec2.describe_route_tables, "RouteTables"),
                      (ec2.describe_vpc_peering_connections, "VpcPeeringConnections"),
                      (ec2.describe_transit_gateway_attachments, "TransitGatewayAttachments"),
                      (ec2.describe_security_groups, "SecurityGroups"),
                      (ec2.describe_security_group_rules, "SecurityGroupRules"),
                      (ec2.describe_network_acls, "NetworkAcls"),
                      (ec2.describe_instances, "Reservations"),
                      (ec2.describe_instance_types, "InstanceTypes"),
                      (ec2.describe_network_interfaces, "NetworkInterfaces"),
                      (ec2.describe_vpc_endpoints, "VpcEndpoints"), (ec2.describe_tags, "Tags"),
                      (ec2.describe_regions, "Regions"),
                      (ec2.describe_availability_zones, "AvailabilityZones")):
        must(call()[key], f"{key}: nothing")
    permission = [{"IpProtocol": "udp", "FromPort": 4789, "ToPort": 4789,
                   "IpRanges": [{"CidrIp": "10.0.0.0/16", "Description": "mirrors"}]}]
    spec = [{"ResourceType": "security-group-rule", "Tags": OURS}]
    made = ec2.authorize_security_group_ingress(GroupId=group.id, IpPermissions=permission,
                                                TagSpecifications=spec)["SecurityGroupRules"][0]
    bed.refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress,
                GroupId=group.id, IpPermissions=permission)
    ec2.revoke_security_group_ingress(GroupId=group.id,
                                      SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    made = ec2.create_security_group(GroupName="ours", Description="d", VpcId=bed.vpc.id,
                                     TagSpecifications=[{"ResourceType": "security-group",
                                                         "Tags": OURS}])["GroupId"]
    bed.refused("InvalidGroup.Duplicate", ec2.create_security_group, GroupName="ours",
                Description="d", VpcId=bed.vpc.id)
    bed.refused("DependencyViolation", ec2.delete_security_group,
                GroupId=bed.eni.groups[0])
    ec2.delete_security_group(GroupId=made)
    cloud.transit = 2
    eni = ec2.create_network_interface(SubnetId=bed.subnet.id, Groups=[group.id], TagSpecifications=[
        {"ResourceType": "network-interface", "Tags": OURS}])["NetworkInterface"]
    name = eni["NetworkInterfaceId"]
    attachment = ec2.attach_network_interface(NetworkInterfaceId=name, InstanceId=bed.b.id,
                                              DeviceIndex=1)["AttachmentId"]
    bed.refused("InvalidParameterValue", ec2.delete_network_interface, NetworkInterfaceId=name)
    bed.refused("InvalidParameterValue", ec2.attach_network_interface,
                NetworkInterfaceId=cloud.interface(bed.subnet.id).id, InstanceId=bed.b.id,
                DeviceIndex=1)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=name, SourceDestCheck={"Value": False})
    ec2.modify_network_interface_attribute(NetworkInterfaceId=name, Attachment={
        "AttachmentId": attachment, "DeleteOnTermination": True})
    ec2.detach_network_interface(AttachmentId=attachment)
    ec2.get_waiter("network_interface_available").wait(
        NetworkInterfaceIds=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    ec2.delete_network_interface(NetworkInterfaceId=name)
    ec2.get_waiter("instance_running").wait(InstanceIds=[bed.a.id])
    _, one, _ = bed.made(ec2)
    ec2.create_tags(Resources=[one], Tags=[{"Key": "Name", "Value": "x"}])
    ec2.delete_tags(Resources=[one], Tags=[{"Key": "Name"}])
    must(not cloud.violations, cloud.violations)


@test
def services(bed):
    """STS, load balancers, CloudWatch, CloudTrail."""
    cloud = bed.cloud
    balancer = cloud.balancer("nlb", [bed.subnet.id], target=bed.b.id, listener=False)
    elb = bed.client("elbv2")
    must(elb.describe_load_balancers()["LoadBalancers"][0]["Type"] == "network", "no balancer")
    group = elb.describe_target_groups(LoadBalancerArn=balancer.id)["TargetGroups"][0]
    must(elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
         ["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy", "not healthy")
    must(not elb.describe_listeners(LoadBalancerArn=balancer.id)["Listeners"], "a listener")
    cloud.permitted.add(balancer.id)
    made = elb.create_listener(LoadBalancerArn=balancer.id, Protocol="UDP", Port=4789, Tags=OURS,
                               DefaultActions=[{"Type": "forward", "TargetGroupArn":
                                                group["TargetGroupArn"]}])["Listeners"][0]
    elb.describe_tags(ResourceArns=[made["ListenerArn"]])
    elb.describe_listeners(LoadBalancerArn=balancer.id)
    elb.delete_listener(ListenerArn=made["ListenerArn"])
    bed.refused("LoadBalancerNotFound", elb.describe_load_balancers, Names=["none"])
    sts = bed.client("sts")
    must(sts.get_caller_identity()["Account"] == "123456789012", "another account")
    role = "arn:aws:iam::123456789012:role/mirror"
    bed.refused("AccessDenied", sts.assume_role, RoleArn=role, RoleSessionName="lab")
    cloud.roles[role] = 0
    got = sts.assume_role(RoleArn=role, RoleSessionName="lab")["Credentials"]
    bed.client(who=got["AccessKeyId"]).describe_vpcs()
    cloud.who[got["AccessKeyId"]].expires = time.time() - 1
    bed.refused("RequestExpired", bed.client(who=got["AccessKeyId"]).describe_vpcs)
    cloud.web_tokens.add("a.jwt")
    sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="lab", WebIdentityToken="a.jwt")
    now = time.time()
    key = ("AWS/EC2", "NetworkPacketsMirrorOut", bed.a.id)
    cloud.metrics[key] = [(now - 400, 5), (now - 390, 7), (now - 40, 9)]
    watch = bed.client("cloudwatch")
    if watch.meta.service_model.resolved_protocol == "query" if hasattr(
            watch.meta.service_model, "resolved_protocol") else True:
        metric = {"Namespace": key[0], "MetricName": key[1],
                  "Dimensions": [{"Name": "InstanceId", "Value": bed.a.id}]}
        got = watch.get_metric_data(
            MetricDataQueries=[{"Id": "a", "MetricStat": {"Metric": metric, "Period": 86400,
                                                          "Stat": "Sum"}}],
            StartTime=now - 86400 * 2, EndTime=now)["MetricDataResults"][0]
        must(sum(got["Values"]) == 21, lambda: got)
        got = watch.get_metric_statistics(**metric, StartTime=now - 3600, EndTime=now, Period=60,
                                          Statistics=["Sum", "Maximum"])["Datapoints"]
        must(sum(point["Sum"] for point in got) == 21, lambda: got)
    _, _, session = bed.made(bed.client())
    cloud.behind_our_back(session)
    trail = bed.client("cloudtrail")
    got = trail.lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName",
                                                 "AttributeValue": session}])["Events"]
    must(got[0]["EventName"] == "DeleteTrafficMirrorSession" and got[0]["Username"] == "mallory" and
         json.loads(got[0]["CloudTrailEvent"])["requestParameters"]
         ["DeleteTrafficMirrorSessionRequest"]["TrafficMirrorSessionId"] == session, lambda: got)
    must(got[1]["EventName"] == "CreateTrafficMirrorSession", lambda: got)


@test
def signatures(bed):
    """Signatures, dates and credentials are verified."""
    bed.refused("SignatureDoesNotMatch", bed.client(secret="wrong").describe_vpcs)
    bed.refused("AuthFailure", bed.client(key="AKIANOBODY").describe_vpcs)
    for skew in (-600, 600):
        bed.cloud.skew = skew
        try:
            bed.client().describe_vpcs()
            raise AssertionError(f"{skew} s were not seen")
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            must(code == ("SignatureDoesNotMatch" if skew < 0 else "RequestExpired"), code)
    bed.cloud.skew = 0
    row = next(row for row in bed.cloud.log if row["action"] == "DescribeVpcs")
    for name, value, body, code in (
            ("content-type", "application/x-www-form-urlencoded", row["body"], "SignatureDoesNot"),
            ("x-amz-date", "20200101T000000Z", row["body"], "SignatureDoesNot"),
            ("authorization", "AWS4-HMAC-SHA256 x", row["body"], "IncompleteSignature"),
            ("x-other", "1", row["body"] + "&MaxResults=5", "SignatureDoesNot")):
        headers = {**row["headers"], name: value}
        _, _, text = aws_standin.work_on(bed.cloud, "POST", "/", headers, body.encode())
        must(code in text.decode(), f"{name}: {text}")


@test
def hardships(bed):
    """Throttling, faults, things that are late to be there or to be gone."""
    cloud = bed.cloud
    cloud.throttle("DescribeVpcs", 1, 5)
    patient = bed.client(attempts=8)
    for _ in range(3):
        patient.describe_vpcs()
    hits = [row["status"] for row in cloud.log if row["action"] == "DescribeVpcs"]
    must(hits.count(503) >= 1 and hits.count(200) == 3, lambda: hits)
    bed.refused("RequestLimitExceeded", lambda: [bed.client().describe_vpcs() for _ in range(3)])
    cloud.rates.clear()
    for code, status in (("InternalError", 500), ("Unavailable", 503), ("UnauthorizedOperation", 403)):
        fault = cloud.fault("DescribeSubnets", code, status=status, first=2)
        bed.client().describe_subnets()
        bed.refused(code, bed.client().describe_subnets)
        cloud.faults.remove(fault)
    cloud.lag = 2
    made = bed.client().create_traffic_mirror_filter(TagSpecifications=[
        {"ResourceType": "traffic-mirror-filter", "Tags": OURS}])["TrafficMirrorFilter"]
    name = made["TrafficMirrorFilterId"]
    for _ in range(2):
        bed.refused("InvalidTrafficMirrorFilterId.NotFound",
                    bed.client().describe_traffic_mirror_filters, TrafficMirrorFilterIds=[name])
    bed.client().describe_traffic_mirror_filters(TrafficMirrorFilterIds=[name])
    cloud.lag, cloud.ghosts = 0, 1
    bed.client().delete_traffic_mirror_filter(TrafficMirrorFilterId=name)
    sizes = [len(bed.client().describe_traffic_mirror_filters()["TrafficMirrorFilters"])
             for _ in range(2)]
    must(sizes == [1, 0], lambda: sizes)


@test
def the_watch(bed):
    """A violation is recorded when one of ours changes what is not ours, and only then."""
    cloud = bed.cloud
    _, _, theirs = bed.made(bed.client(who=OTHER))
    for thing in cloud.all("traffic-mirror-session") + cloud.all("traffic-mirror-filter") + \
            cloud.all("traffic-mirror-target"):
        thing.tags = {}
    must(not cloud.violations, cloud.violations)
    wanted = 0
    for call, parameters in (
            ("modify_traffic_mirror_session", {"TrafficMirrorSessionId": theirs, "PacketLength": 9}),
            ("create_tags", {"Resources": [bed.a.id], "Tags": OURS[:1]}),
            ("create_traffic_mirror_filter", {}),
            ("delete_traffic_mirror_session", {"TrafficMirrorSessionId": theirs}),
            ("detach_network_interface", {"AttachmentId": cloud.interface(
                bed.subnet.id, bed.a.id, 1).attachment["attachmentId"]})):
        getattr(bed.client(), call)(**parameters)
        wanted += 1
        must(len(cloud.violations) == wanted, lambda: f"{call}: {cloud.violations}")


@test
def the_referee(bed):
    """Good requests pass, and each kind of wrong one is found."""
    bed.made(bed.client())
    bed.cloud.balancer("x", [bed.subnet.id])
    bed.client("elbv2").describe_load_balancers(Names=["x"])
    bed.client("cloudtrail").lookup_events(MaxResults=5)
    bed.client().describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": ["a", "b c/+"]}])
    for row in bed.cloud.log:
        wrong = aws_model.judge(bed.cloud, row)
        must(not wrong, lambda: wrong)
    row = next(row for row in bed.cloud.log if row["action"] == "CreateTrafficMirrorSession")
    for old, new in (("SessionNumber", "Sessionnumber"), ("SessionNumber=1", "SessionNumber=one"),
                     ("TagSpecification.1.Tag", "TagSpecification.1.Tags"),
                     ("SessionNumber=1&", ""), ("&ClientToken=", "&Description="),
                     ("NetworkInterfaceId=e", "NetworkInterfaceId=f")):
        must(old in row["body"], old)
        must(aws_model.judge(bed.cloud, {**row, "body": row["body"].replace(old, new)}),
             f"{old} -> {new} is not seen")


@test
def metadata(bed):
    """IMDSv2: nothing without a token, and credentials that work."""
    def ask(path, method="GET", **headers):
        request = urllib.request.Request(f"{bed.url}/latest/{path}", method=method, headers={
            name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
    aws_metadata.be(bed.cloud, bed.a.id)
    must(ask("meta-data/mac")[0] == 401, "without a token")
    must(ask("api/token", "PUT")[0] == 400, "a token for no time")
    token = ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")[1]
    must(ask("meta-data/mac", X_aws_ec2_metadata_token=token) == (200, bed.eni.mac), "the MAC")
    base = "meta-data/iam/security-credentials/"
    role = ask(base, X_aws_ec2_metadata_token=token)[1]
    got = json.loads(ask(base + role, X_aws_ec2_metadata_token=token)[1])
    bed.client(who=got["AccessKeyId"]).describe_vpcs()
    os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = bed.url
    from botocore.utils import InstanceMetadataFetcher
    found = InstanceMetadataFetcher(base_url=bed.url + "/").retrieve_iam_role_credentials()
    must(found["role_name"] == "cloudspan", lambda: found)


@test
def command_line(bed):
    """Debian's aws."""
    program = "/usr/bin/aws"
    if not os.path.exists(program):
        print("  (aws is not installed)")
        return
    person = bed.cloud.who[KEY]
    with tempfile.TemporaryDirectory() as home:
        def aws(*words):
            done = subprocess.run(
                [program, "--endpoint-url", bed.url, "--region", bed.cloud.region, "--output",
                 "json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                check=False, timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": home,
                                              "AWS_ACCESS_KEY_ID": person.key,
                                              "AWS_SECRET_ACCESS_KEY": person.secret})
            return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr
        bed.cloud.page = 5
        code, got, said = aws("ec2", "create-traffic-mirror-target", "--network-interface-id",
                              bed.sink.id, "--tag-specifications",
                              "ResourceType=traffic-mirror-target,Tags=[{Key=cloudspan:mirror,"
                              "Value=lab}]")
        must(code == 0, said)
        name = got["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
        code, got, said = aws("ec2", "describe-network-interfaces", "--filters",
                              f"Name=vpc-id,Values={bed.vpc.id}")
        must(code == 0 and len(got["NetworkInterfaces"]) == 2, said)
        code, _, said = aws("ec2", "create-traffic-mirror-target", "--network-interface-id",
                            "eni-0")
        must(code != 0 and "InvalidNetworkInterfaceID.NotFound" in said, said)
        must(aws("ec2", "delete-traffic-mirror-target", "--traffic-mirror-target-id", name)[0] == 0,
             "delete")


@test
def from_outside(bed):
    """The control interface."""
    def do(**asked):
        request = urllib.request.Request(bed.url + "/_standin", json.dumps(asked).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())
    vpc = do(do="vpc", cidr="10.9.0.0/16")
    subnet = do(do="subnet", vpc=vpc["id"], cidr="10.9.1.0/24")
    do(do="instance", subnet=subnet["id"], name="outside")
    do(set={"lag": 3})
    must(bed.cloud.lag == 3 and do(get="violations") == [], "set and get")


def main():
    failed = 0
    for function in TESTS:
        begin = time.monotonic()
        bed = Bed()
        try:
            function(bed)
            print(f"ok   {function.__name__} ({time.monotonic() - begin:.2f} s)")
        except Exception as wrong:  # the others shall run, too
            failed += 1
            import traceback
            traceback.print_exc(limit=-4)
            print(f"FAIL {function.__name__}: {wrong}")
    missing = {(service, action) for service, actions in aws_standin.ACTIONS.items()
               for action in actions if aws_model.operation(service, action)} - ANSWERED
    if aws_model.SESSION.get_service_model("cloudwatch").metadata["protocol"] != "query":
        missing = {row for row in missing if row[0] != "monitoring"}
    print(f"botocore {botocore.__version__}: {len(ANSWERED)} actions answered and compared"
          + (f", not {sorted(missing)}" if missing else ""))
    assert threading.active_count() > 1
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
