"""AWS's own description of its services, as botocore carries it: the referee between us, the stand-in
and AWS. Nothing here runs in the stand-in itself."""
import datetime
import urllib.parse
import xml.etree.ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
from botocore import serialize

import aws_wire

SERVICES = {"ec2": "ec2", "sts": "sts", "elasticloadbalancing": "elbv2", "monitoring": "cloudwatch",
            "cloudtrail": "cloudtrail"}
SESSION = botocore.session.Session()
MODELS = {}
# Members that came after the model of Debian 12; an older model does not know them.
NEWER = {("TrafficMirrorFilterRule", "tagSet"), ("CreateTrafficMirrorFilterRule", "TagSpecification"),
         ("RevokeSecurityGroupIngressResult", "revokedSecurityGroupRuleSet")}
# Lists of values that grow with each year; State is of endpoints, and written small in answers.
GROWING = {"InstanceType", "NetworkInterfaceType", "State"}


def model_of(service):
    if service not in MODELS:
        MODELS[service] = SESSION.get_service_model(SERVICES[service])
    return MODELS[service]


def operation(service, action):
    """None: this model has no such operation (DescribeTrafficMirrorFilterRules is newer)."""
    model = model_of(service)
    return model.operation_model(action) if action in model.operation_names else None


# --- Names on the wire --------------------------------------------------------------------------------


def query_name(service, member, shape):
    """What a member of an input is called in a form."""
    if service != "ec2":
        return shape.serialization.get("name", member)
    if "queryName" in shape.serialization:
        return shape.serialization["queryName"]
    name = shape.serialization.get("name", member)
    return name[0].upper() + name[1:]


def inputs(service, shape):
    """{name in the form: (member, its shape)}"""
    return {query_name(service, member, child): (member, child)
            for member, child in shape.members.items()} if shape is not None else {}


def parameters_of(service, shape, given):
    """The parameters for botocore that the form's tree stands for; KeyError or ValueError where the
    model has no such name or type."""
    if shape.type_name == "structure":
        known = inputs(service, shape)
        return {known[name][0]: parameters_of(service, known[name][1], value)
                for name, value in given.items()}
    if shape.type_name == "list":
        return [parameters_of(service, shape.member, item) for item in given]
    if shape.type_name in ("integer", "long"):
        return int(given)
    if shape.type_name in ("float", "double"):
        return float(given)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[given]
    if shape.type_name == "timestamp":
        return datetime.datetime.fromtimestamp(aws_wire.seconds_of(given), datetime.timezone.utc)
    if getattr(shape, "enum", None) and given not in shape.enum and shape.name not in GROWING:
        raise ValueError(f"{given} is no {shape.name}")
    return given


def serialized(service, action, parameters):
    """{name: value} of the form that botocore makes, as text."""
    model = model_of(service)
    made = serialize.create_serializer("ec2" if service == "ec2" else "query", False)
    request = made.serialize_to_request(parameters, model.operation_model(action))
    return {name: value if isinstance(value, str) else str(value)
            for name, value in request["body"].items()}


def required_missing(shape, parameters, path=""):
    """Members that the model wants and that are not there."""
    if shape is None:
        return []
    if shape.type_name == "list":
        return [name for item in parameters for name in required_missing(shape.member, item, path)]
    if shape.type_name != "structure":
        return []
    missing = [path + name for name in shape.required_members if name not in parameters]
    for name, value in parameters.items():
        missing += required_missing(shape.members[name], value, f"{path}{name}.")
    return missing


# --- Answers --------------------------------------------------------------------------------------


def local(tag):
    return tag.rpartition("}")[2]


def strangers(service, shape, node, path=""):
    """Elements of an answer that the model does not have, or that are not what it says."""
    wrong = []
    if shape.type_name == "structure":
        known = {child.serialization.get("name", member): child
                 for member, child in shape.members.items()}
        seen = set()
        for child in node:
            name = local(child.tag)
            if name in seen and not known.get(name, shape).serialization.get("flattened"):
                wrong.append(f"{path}/{name} is there twice")
            seen.add(name)
            if name in known:
                wrong += strangers(service, known[name], child, f"{path}/{name}")
            elif (shape.name, name) not in NEWER:
                wrong.append(f"{path}/{name} is not in {shape.name}")
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "item" if service == "ec2" else "member")
        for child in node:
            if local(child.tag) != item:
                wrong.append(f"{path}: <{local(child.tag)}> for <{item}>")
            else:
                wrong += strangers(service, shape.member, child, f"{path}/{item}")
    elif len(node):
        wrong.append(f"{path} has children")
    elif shape.type_name == "boolean" and node.text not in ("true", "false"):
        wrong.append(f"{path}: {node.text!r} is no boolean")
    elif shape.type_name in ("integer", "long") and not (node.text or "").lstrip("-").isdigit():
        wrong.append(f"{path}: {node.text!r} is no integer")
    elif getattr(shape, "enum", None) and node.text not in shape.enum and \
            shape.name not in GROWING:
        wrong.append(f"{path}: {node.text!r} is no {shape.name}")
    return wrong


def check_answer(service, action, text):
    """What is wrong with the XML of a good answer."""
    root = xml.etree.ElementTree.fromstring(text)
    shape = model_of(service).operation_model(action).output_shape
    if local(root.tag) != action + "Response":
        return [f"the root is {root.tag}"]
    nodes = {local(node.tag): node for node in root}
    if service == "ec2":
        if "requestId" not in nodes:
            return ["there is no requestId"]
        root.remove(nodes["requestId"])
        if shape is None:
            return [f"/{name} is not expected" for name in nodes if name not in
                    ("requestId", "return")]
        return strangers(service, shape, root)
    result = nodes.get(action + "Result")
    if shape is None or result is None:
        return [] if shape is None else ["there is no result"]
    return strangers(service, shape, result)


# --- Requests -------------------------------------------------------------------------------------


def credentials_of(who):
    return botocore.credentials.Credentials(who.key, who.secret, who.token)


def resign(who, service, region, row):
    """The Authorization header that botocore makes for the recorded request."""
    headers = row["headers"]
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    kept = {name: headers[name] for name in signed if name not in ("host", "x-amz-date",
                                                                   "x-amz-security-token")}
    url = f"http://{headers['host']}{row['target']}"
    request = botocore.awsrequest.AWSRequest(row["method"], url, kept,
                                             row["body"].encode("latin-1"))
    when = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    signer = botocore.auth.SigV4Auth(credentials_of(who), service, region)
    # As add_auth() does, with the request's own time in the place of now.
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    if "X-Amz-Date" in request.headers:
        del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    canonical = signer.canonical_request(request)
    signer._inject_signature_to_request(
        request, signer.signature(signer.string_to_sign(request, canonical), request))
    return request.headers["Authorization"]


def judge(cloud, row):
    """What is wrong with a recorded request of ours, compared with botocore's for the same thing."""
    service, action = row.get("service"), row.get("action")
    if service is None or action is None:
        return [f"not understood: {row['method']} {row['target']} {row['body'][:200]}"]
    wrong = []
    found = operation(service, action)
    if found is None and action != "DescribeTrafficMirrorFilterRules":
        return [f"{service} has no {action}"]
    if service == "cloudtrail":
        wrong += judge_json(found, row)
    elif found is not None:
        wrong += judge_form(service, action, found, row)
    if row.get("who") and not wrong:
        ours = row["headers"]["authorization"].replace(", ", ",")
        theirs = resign(cloud.who[row["who"]], service, cloud.region, row).replace(", ", ",")
        if ours != theirs:
            wrong.append(f"signature: {ours}\nbotocore:  {theirs}")
    return [f"{action}: {text}" for text in wrong]


def judge_form(service, action, found, row):
    body = row["body"] if row["method"] == "POST" else row["target"].partition("?")[2]
    ours = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
    given = aws_wire.tree_of([pair for pair in ours.items() if pair[0] not in ("Action", "Version")],
                             service != "ec2")
    newer = [name for name in given if (action, name) in NEWER and
             name not in inputs(service, found.input_shape)]
    for name in newer:
        del given[name]
        ours = {key: value for key, value in ours.items() if not key.startswith(name + ".")}
    try:
        parameters = parameters_of(service, found.input_shape, given) if found.input_shape else {}
    except (KeyError, ValueError, TypeError) as wrong:
        return [f"the model does not have {wrong!r} in {given}"]
    missing = required_missing(found.input_shape, parameters)
    # botocore puts a token of its own where none is given, so that a call can be told again.
    missing += [name for name, child in (found.input_shape.members if found.input_shape else
                                         {}).items()
                if child.metadata.get("idempotencyToken") and name not in parameters]
    theirs = serialized(service, action, parameters)
    wrong = [f"{name} is missing" for name in missing]
    for name in sorted(set(ours) | set(theirs)):
        a, b = ours.get(name), theirs.get(name)
        if a != b and not same_time(a, b):
            wrong.append(f"{name}: {a!r}, botocore has {b!r}")
    return wrong


def same_time(a, b):
    """2026-11-22T10:00:00Z and 2026-11-22T10:00:00.000Z are one time."""
    try:
        return aws_wire.seconds_of(a) == aws_wire.seconds_of(b)
    except (ValueError, TypeError, AttributeError):
        return False


def judge_json(found, row):
    if row["headers"].get("x-amz-target", "").rpartition(".")[2] != found.name:
        return ["X-Amz-Target is of another operation"]
    shape = found.input_shape
    wrong = []
    for name, value in row["given"].items():
        if name not in shape.members:
            wrong.append(f"the model does not have {name}")
        elif shape.members[name].type_name == "timestamp" and not isinstance(value, (int, float)):
            wrong.append(f"{name} is no number of seconds")
        elif shape.members[name].type_name == "list":
            for item in value:
                for key, text in item.items():
                    child = shape.members[name].member.members.get(key)
                    if child is None or (getattr(child, "enum", None) and text not in child.enum):
                        wrong.append(f"the model does not have {name}.{key} = {text}")
    return wrong


def spec_strangers(service, action, spec):
    """Where the stand-in's own table of parameters differs from the model."""
    found = operation(service, action)
    if found is None:
        return []
    return differing(service, found.input_shape, spec, action)


def differing(service, shape, spec, path):
    known = inputs(service, shape)
    wrong = []
    required = {query_name(service, name, shape.members[name])
                for name in shape.required_members} if shape is not None else set()
    for raw, kind in spec.items():
        name = raw.rstrip("!")
        if name not in known:
            if (path, name) not in NEWER:
                wrong.append(f"{path}: the model has no {name}")
            continue
        child = known[name][1]
        if isinstance(kind, dict):
            wrong += differing(service, child, kind, f"{path}.{name}")
        elif isinstance(kind, list):
            if child.type_name != "list":
                wrong.append(f"{path}.{name} is a {child.type_name}")
            elif isinstance(kind[0], dict):
                wrong += differing(service, child.member, kind[0], f"{path}.{name}")
        elif kind in (int, bool, float):
            expected = {int: ("integer", "long"), bool: ("boolean",),
                        float: ("double", "float")}[kind]
            if child.type_name not in expected:
                wrong.append(f"{path}.{name} is a {child.type_name}")
        elif isinstance(kind, tuple):
            if not set(kind) <= set(child.enum):
                wrong.append(f"{path}.{name} has the values {child.enum}")
    for name in required:
        if name + "!" not in spec and not path.startswith(("Authorize", "Revoke")):
            wrong.append(f"{path}: {name} is required")
    return wrong
