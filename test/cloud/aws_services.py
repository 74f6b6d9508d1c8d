"""The stand-in's other services: STS, Elastic Load Balancing v2, CloudWatch, CloudTrail."""
import base64

from aws_state import ACCOUNT
from aws_wire import Refused, iso, seconds_of

# --- STS --------------------------------------------------------------------------------------------


def assume(cloud, who, action, given):
    arn = given["RoleArn"]
    seconds = given.get("DurationSeconds", 3600)
    if arn not in cloud.roles:
        raise Refused("AccessDenied", f"User: {who.arn if who else 'anonymous'} is not authorized "
                      f"to perform: sts:{action} on resource: {arn}", 403)
    if not 900 <= seconds <= 43200:
        raise Refused("ValidationError", f"DurationSeconds {seconds} is out of range")
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.rpartition('/')[2]}/" \
              f"{given['RoleSessionName']}"
    made = cloud.session_for(session, min(seconds, cloud.roles[arn] or seconds))
    return {"Credentials": {"AccessKeyId": made.key, "SecretAccessKey": made.secret,
                            "SessionToken": made.token, "Expiration": iso(made.expires)},
            "AssumedRoleUser": {"AssumedRoleId": "AROA0123456789EXAMPLE:" +
                                given["RoleSessionName"], "Arn": session}}


def assume_web(cloud, who, action, given):
    if given["WebIdentityToken"] not in cloud.web_tokens:
        raise Refused("InvalidIdentityToken", "The token can not be validated")
    return {**assume(cloud, who, action, given), "SubjectFromWebIdentityToken": "system:cloudspan",
            "Provider": "oidc.example", "Audience": "sts.amazonaws.com"}


def caller(cloud, who, action, given):
    return {"Arn": who.arn, "UserId": "AIDA0123456789EXAMPLE", "Account": ACCOUNT}


STS = {
    "AssumeRole": (assume, {"RoleArn!": str, "RoleSessionName!": str, "DurationSeconds": int,
                            "ExternalId": str, "Policy": str, "SerialNumber": str,
                            "TokenCode": str}),
    "AssumeRoleWithWebIdentity": (assume_web, {
        "RoleArn!": str, "RoleSessionName!": str, "WebIdentityToken!": str, "ProviderId": str,
        "Policy": str, "DurationSeconds": int}),
    "GetCallerIdentity": (caller, {}),
}

# --- Load balancers -----------------------------------------------------------------------------------


def elb_page(cloud, given, rows):
    at = 0
    if "Marker" in given:
        try:
            at = int(base64.b64decode(given["Marker"], validate=True))
        except ValueError:
            raise Refused("ValidationError", "Marker is not valid") from None
    size = min(given.get("PageSize", 400), cloud.page)
    more = base64.b64encode(str(at + size).encode()).decode() if at + size < len(rows) else None
    return rows[at:at + size], more


def named(cloud, kind, arns, code, message):
    found = {thing.id: thing for thing in cloud.all(kind)}
    for arn in arns:
        if arn not in found:
            raise Refused(code, message)
    return [found[arn] for arn in arns]


def shown_balancer(cloud, one):
    return {"LoadBalancerArn": one.id, "DNSName": f"{one.name}-0.elb.{cloud.region}.amazonaws.com",
            "CanonicalHostedZoneId": "Z0", "CreatedTime": iso(1.7e9), "LoadBalancerName": one.name,
            "Scheme": "internal", "VpcId": one.vpc, "State": {"Code": "active"}, "Type": one.type,
            "AvailabilityZones": [{"ZoneName": zone, "SubnetId": subnet, "LoadBalancerAddresses": [
                {"PrivateIPv4Address": address}]} for subnet, zone, address in one.subnets],
            "IpAddressType": "ipv4"}


def balancers(cloud, who, action, given):
    rows = named(cloud, "load-balancer", given["LoadBalancerArns"], "LoadBalancerNotFound",
                 "One or more load balancers not found") if "LoadBalancerArns" in given else \
        cloud.all("load-balancer")
    if "Names" in given:
        rows = [row for row in rows if row.name in given["Names"]]
        if not rows:
            raise Refused("LoadBalancerNotFound", "One or more load balancers not found")
    rows, more = elb_page(cloud, given, rows)
    return {"LoadBalancers": [shown_balancer(cloud, row) for row in rows], "NextMarker": more}


def shown_listener(one):
    return {"ListenerArn": one.id, "LoadBalancerArn": one.balancer, "Port": one.port,
            "Protocol": one.protocol,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": one.group}]}


def listeners(cloud, who, action, given):
    rows = named(cloud, "listener", given.get("ListenerArns", []), "ListenerNotFound",
                 "One or more listeners not found")
    if "LoadBalancerArn" in given:
        named(cloud, "load-balancer", [given["LoadBalancerArn"]], "LoadBalancerNotFound",
              "One or more load balancers not found")
        rows += [one for one in cloud.all("listener") if one.balancer == given["LoadBalancerArn"]]
    elif "ListenerArns" not in given:
        raise Refused("ValidationError", "Neither LoadBalancerArn nor ListenerArns")
    rows, more = elb_page(cloud, given, rows)
    return {"Listeners": [shown_listener(row) for row in rows], "NextMarker": more}


def groups(cloud, who, action, given):
    rows = named(cloud, "target-group", given["TargetGroupArns"], "TargetGroupNotFound",
                 "One or more target groups not found") if "TargetGroupArns" in given else \
        [group for group in cloud.all("target-group")
         if given.get("LoadBalancerArn") in (None, group.balancer)
         and group.name in given.get("Names", [group.name])]
    rows, more = elb_page(cloud, given, rows)
    return {"TargetGroups": [
        {"TargetGroupArn": row.id, "TargetGroupName": row.name, "Protocol": row.protocol,
         "Port": row.port, "VpcId": row.vpc, "HealthCheckProtocol": "TCP",
         "HealthCheckPort": "4790", "HealthCheckEnabled": True, "HealthCheckIntervalSeconds": 10,
         "HealthCheckTimeoutSeconds": 10, "HealthyThresholdCount": 3, "UnhealthyThresholdCount": 3,
         "LoadBalancerArns": [row.balancer], "TargetType": "instance", "IpAddressType": "ipv4"}
        for row in rows], "NextMarker": more}


def health(cloud, who, action, given):
    group = named(cloud, "target-group", [given["TargetGroupArn"]], "TargetGroupNotFound",
                  "One or more target groups not found")[0]
    return {"TargetHealthDescriptions": [
        {"Target": {"Id": target, "Port": group.port}, "HealthCheckPort": "4790",
         "TargetHealth": {"State": state, "Reason": None if state == "healthy" else
                          "Target.FailedHealthChecks", "Description": None if state == "healthy"
                          else "Health checks failed"}} for target, state in group.targets]}


def create_listener(cloud, who, action, given):
    balancer = named(cloud, "load-balancer", [given["LoadBalancerArn"]], "LoadBalancerNotFound",
                     "One or more load balancers not found")[0]
    tags = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", [])}
    if any(one.balancer == balancer.id and one.port == given.get("Port")
           for one in cloud.all("listener")):
        raise Refused("DuplicateListener", "A listener already exists on this port")
    cloud.may_touch(who, action, balancer)
    cloud.must_mark(who, action, tags)
    made = cloud.listener(balancer.id, given.get("Protocol"), given.get("Port"))
    made.tags, made.own = tags, who.own
    made.group = given["DefaultActions"][0].get("TargetGroupArn")
    return {"Listeners": [shown_listener(made)]}


def delete_listener(cloud, who, action, given):
    one = named(cloud, "listener", [given["ListenerArn"]], "ListenerNotFound",
                "One or more listeners not found")[0]
    cloud.may_touch(who, action, one)
    cloud.drop(one)
    return {}


def elb_tags(cloud, who, action, given):
    return {"TagDescriptions": [
        {"ResourceArn": arn, "Tags": [{"Key": key, "Value": value}
                                      for key, value in sorted(cloud.things[arn].tags.items())]}
        for arn in given["ResourceArns"] if arn in cloud.things]}


PAGE = {"Marker": str, "PageSize": int}
ELB = {
    "DescribeLoadBalancers": (balancers, {"LoadBalancerArns": [str], "Names": [str], **PAGE}),
    "DescribeListeners": (listeners, {"LoadBalancerArn": str, "ListenerArns": [str], **PAGE}),
    "DescribeTargetGroups": (groups, {"LoadBalancerArn": str, "TargetGroupArns": [str],
                                      "Names": [str], **PAGE}),
    "DescribeTargetHealth": (health, {"TargetGroupArn!": str,
                                      "Targets": [{"Id!": str, "Port": int}]}),
    "DescribeTags": (elb_tags, {"ResourceArns!": [str]}),
    "CreateListener": (create_listener, {
        "LoadBalancerArn!": str, "Protocol": str, "Port": int,
        "DefaultActions!": [{"Type!": str, "TargetGroupArn": str}],
        "Tags": [{"Key!": str, "Value": str}]}),
    "DeleteListener": (delete_listener, {"ListenerArn!": str}),
}

# --- CloudWatch -------------------------------------------------------------------------------------

DIMENSION = {"Name!": str, "Value!": str}
METRIC = {"Namespace": str, "MetricName": str, "Dimensions": [DIMENSION]}


def points(cloud, metric, start, end, period, way):
    """[(seconds, value)] of each period that has any, the oldest first."""
    name = metric["Dimensions"][0]["Value"] if metric.get("Dimensions") else None
    rows = cloud.metrics.get((metric.get("Namespace"), metric.get("MetricName"), name), [])
    found = {}
    for when, value in rows:
        if start <= when < end:
            found.setdefault(when // period * period, []).append(value)
    work = {"Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": len,
            "Average": lambda values: sum(values) / len(values)}
    if way not in work:
        raise Refused("InvalidParameterValue", f"The value {way} is no statistic")
    return [(when, float(work[way](values))) for when, values in sorted(found.items())]


def span(given):
    try:
        start, end = seconds_of(given["StartTime"]), seconds_of(given["EndTime"])
    except ValueError:
        raise Refused("MalformedInput", "timestamp must follow ISO8601") from None
    if start >= end:
        raise Refused("ValidationError", "StartTime must be less than EndTime")
    return start, end


def metric_data(cloud, who, action, given):
    start, end = span(given)
    queries = given["MetricDataQueries"]
    if not 1 <= len(queries) <= 500:
        raise Refused("ValidationError", "There are no queries, or more than 500")
    ids = [query["Id"] for query in queries]
    if len(set(ids)) != len(ids) or not all(name[:1].islower() and name.replace("_", "").isalnum()
                                            for name in ids):
        raise Refused("ValidationError", "Ids have to begin with a small letter and to differ")
    results = []
    for query in queries:
        stat = query.get("MetricStat")
        if stat is None:
            raise Refused("ValidationError", "Expressions are not for this cloud")
        if stat["Period"] % 60 or stat["Period"] <= 0:
            raise Refused("ValidationError", f"Period {stat['Period']} is no multiple of 60")
        found = points(cloud, stat["Metric"], start, end, stat["Period"], stat["Stat"])
        if given.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        results.append({"Id": query["Id"], "Label": query.get("Label") or
                        stat["Metric"]["MetricName"],
                        "Timestamps": [iso(when) for when, _ in found],
                        "Values": [value for _, value in found], "StatusCode": "Complete"})
    at = int(given.get("NextToken", "0"))
    size = min(cloud.page, 500)
    more = str(at + size) if at + size < len(results) else None
    return {"MetricDataResults": results[at:at + size], "NextToken": more, "Messages": []}


def metric_statistics(cloud, who, action, given):
    start, end = span(given)
    found = {}
    for way in given.get("Statistics", []):
        for when, value in points(cloud, given, start, end, given["Period"], way):
            found.setdefault(when, {})[way] = value
    if len(found) > 1440:
        raise Refused("InvalidParameterCombination", "You have requested too many datapoints")
    return {"Label": given["MetricName"], "Datapoints": [
        {"Timestamp": iso(when), "Unit": "Count", **row} for when, row in found.items()]}


WATCH = {
    "GetMetricData": (metric_data, {
        "MetricDataQueries!": [{"Id!": str, "Label": str, "ReturnData": bool, "Period": int,
                                "Expression": str, "MetricStat": {
                                    "Metric!": METRIC, "Period!": int, "Stat!": str,
                                    "Unit": str}}],
        "StartTime!": str, "EndTime!": str, "NextToken": str, "MaxDatapoints": int,
        "ScanBy": ("TimestampDescending", "TimestampAscending")}),
    "GetMetricStatistics": (metric_statistics, {
        "Namespace!": str, "MetricName!": str, "Dimensions": [DIMENSION], "StartTime!": str,
        "EndTime!": str, "Period!": int, "Statistics": [str], "Unit": str}),
}

# --- CloudTrail (JSON 1.1) ----------------------------------------------------------------------------

KEYS = {"EventId": lambda event: [event["id"]], "EventName": lambda event: [event["name"]],
        "Username": lambda event: [event["user"]], "ReadOnly": lambda event: ["false"],
        "AccessKeyId": lambda event: [event["key"]],
        "EventSource": lambda event: ["ec2.amazonaws.com"],
        "ResourceType": lambda event: [kind for kind, _ in event["resources"]],
        "ResourceName": lambda event: [name for _, name in event["resources"]]}


def lookup(cloud, who, action, given):
    for name in given:
        if name not in ("LookupAttributes", "StartTime", "EndTime", "MaxResults", "NextToken",
                        "EventCategory"):
            raise Refused("InvalidParameterCombinationException", f"{name} is not known")
    attributes = given.get("LookupAttributes", [])
    if len(attributes) > 1 or any(one.get("AttributeKey") not in KEYS for one in attributes):
        raise Refused("InvalidLookupAttributesException", "The lookup attribute is not valid")
    size = given.get("MaxResults", 50)
    if not isinstance(size, int) or not 1 <= size <= 50:
        raise Refused("InvalidMaxResultsException", "MaxResults is out of range")
    start, end = given.get("StartTime", 0), given.get("EndTime", 1e12)
    for when in (start, end):
        if not isinstance(when, (int, float)):
            raise Refused("InvalidTimeRangeException", "Times are seconds since 1970")
    if start > end:
        raise Refused("InvalidTimeRangeException", "The start is after the end")
    found = [event for event in reversed(cloud.events) if start <= event["at"] <= end and
             all(one["AttributeValue"] in KEYS[one["AttributeKey"]](event) for one in attributes)]
    try:
        at = int(given.get("NextToken", "0"))
    except ValueError:
        raise Refused("InvalidNextTokenException", "The token is not valid") from None
    size = min(size, cloud.page)
    answer = {"Events": [
        {"EventId": event["id"], "EventName": event["name"], "ReadOnly": "false",
         "AccessKeyId": event["key"], "EventTime": round(event["at"], 3),
         "EventSource": "ec2.amazonaws.com", "Username": event["user"],
         "Resources": [{"ResourceType": kind, "ResourceName": name}
                       for kind, name in event["resources"]],
         "CloudTrailEvent": event["text"]} for event in found[at:at + size]]}
    if at + size < len(found):
        answer["NextToken"] = str(at + size)
    return answer


TRAIL = {"LookupEvents": (lookup, None)}
