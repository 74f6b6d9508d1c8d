#!/usr/bin/env python3
"""The AWS client against botocore, AWS's own: the same signatures, the same forms, the same hosts, and
the same credentials out of the same environments and files.

usage: aws_botocore.py AWS_CLIENT [SEED]

AWS_CLIENT is test/cloud/aws_client.c. Skipped (exit code 77) where python3-botocore is missing.
"""
import contextlib
import datetime
import hashlib
import http.server
import json
import os
import random
import shutil
import ssl
import string
import subprocess
import sys
import tempfile
import threading
import unittest.mock
import urllib.parse
import xml.etree.ElementTree

# botocore looks where the sign-ins are when it is loaded.
HOME = tempfile.mkdtemp(prefix="cloudspan-aws-")
for name in list(os.environ):
    if name.startswith("AWS_") or name.endswith("_proxy") or name.endswith("_PROXY"):
        del os.environ[name]
os.environ["HOME"] = HOME
try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.config
    import botocore.credentials
    import botocore.endpoint_provider
    import botocore.exceptions
    import botocore.loaders
    import botocore.model
    import botocore.serialize
    import botocore.session
except ImportError:
    print("botocore is not installed")
    sys.exit(77)

OLD = tuple(int(part) for part in botocore.__version__.split(".")[:2]) < (1, 40)
LOADER = botocore.loaders.Loader()


class Client:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8")

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the client is gone: {question}")
        return json.loads(line)


def fail(what, **more):
    sys.exit("\n".join([f"FAILED: {what}", *(f"  {name}: {value}" for name, value in more.items())]))


# ---- signatures ----

@contextlib.contextmanager
def clock_at(seconds):
    """botocore's signer at that time."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    if hasattr(botocore.auth, "get_current_datetime"):
        with unittest.mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: when):
            yield
    else:
        with unittest.mock.patch.object(botocore.auth, "datetime") as module:
            module.datetime.utcnow.return_value = when.replace(tzinfo=None)
            yield


def some_text(rng, letters=string.ascii_letters + string.digits + " -._~/%&=+:;,äß€\U0001f600", most=30):
    return "".join(rng.choice(letters) for _ in range(rng.randrange(most)))


def check_signatures(client, rng):
    plain = string.ascii_letters + string.digits
    for _ in range(400):
        pairs = [(some_text(rng) or "k", some_text(rng)) for _ in range(rng.randrange(5))]
        query = "&".join(urllib.parse.quote(k, safe="-_.~") + "=" + urllib.parse.quote(v, safe="-_.~")
                         for k, v in pairs)
        scheme = rng.choice(["http", "https"])
        port = rng.choice(["", ":80", ":443", ":8443"])
        host = rng.choice(["ec2.eu-west-1.amazonaws.com", "127.0.0.1", "localhost", "[::1]"])
        path = "/" + "/".join(urllib.parse.quote(some_text(rng, plain + " ~é", 8)) or "x"
                              for _ in range(rng.randrange(3)))
        url = f"{scheme}://{host}{port}{path}" + (f"?{query}" if query else "")
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        for number in range(rng.randrange(4)):
            headers[rng.choice(["X-Amz-", "x-", "A"]) + some_text(rng, plain, 6) + str(number)] = \
                some_text(rng, plain + "  ,;=\"", 20).strip() or "v"
        if rng.random() < 0.3:
            headers["User-Agent"] = "Botocore/1"
        key = ("AK" + some_text(rng, plain), some_text(rng, plain + "/+") or "s",
               some_text(rng, plain + "/+=", 400) or None)
        region = rng.choice(["eu-west-1", "us-gov-east-1", "cn-north-1"])
        service = rng.choice(["ec2", "sts", "elasticloadbalancing", "monitoring"])
        body = some_text(rng, most=300)
        now = rng.randrange(1, 4102444800)
        method = rng.choice(["POST", "GET", "PUT"])
        with clock_at(now):
            request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers,
                                                     data=body.encode())
            credentials = botocore.credentials.Credentials(*key)
            botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
        ours = client.ask(do="sign", method=method, url=url, headers=headers, body=body, id=key[0],
                          secret=key[1], token=key[2], region=region, service=service, now=now)
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
            if ours.get("headers", {}).get(name) != request.headers.get(name):
                fail("another signature", url=url, headers=headers, ours=ours,
                     botocore=dict(request.headers))
    print("signatures: 400 alike")


# ---- forms ----

CALLS = {
    "ec2": ["CreateTrafficMirrorTarget", "CreateTrafficMirrorFilter", "CreateTrafficMirrorFilterRule",
            "CreateTrafficMirrorSession", "ModifyTrafficMirrorFilterNetworkServices",
            "ModifyTrafficMirrorSession", "ModifyTrafficMirrorFilterRule", "DeleteTrafficMirrorSession",
            "DeleteTrafficMirrorTarget", "DeleteTrafficMirrorFilter", "DeleteTrafficMirrorFilterRule",
            "DescribeTrafficMirrorSessions", "DescribeTrafficMirrorTargets",
            "DescribeTrafficMirrorFilters", "DescribeTrafficMirrorFilterRules",
            "DescribeNetworkInterfaces", "DescribeInstances", "DescribeInstanceTypes", "DescribeVpcs",
            "DescribeSubnets", "DescribeSecurityGroups", "DescribeRouteTables", "DescribeVpcEndpoints",
            "CreateTags", "DeleteTags", "CreateNetworkInterface", "AttachNetworkInterface",
            "DetachNetworkInterface", "DeleteNetworkInterface", "AuthorizeSecurityGroupIngress",
            "DescribeRegions"],
    "elbv2": ["DescribeLoadBalancers", "DescribeListeners", "DescribeTargetGroups",
              "DescribeTargetHealth", "CreateListener"],
    "sts": ["AssumeRole", "GetCallerIdentity", "AssumeRoleWithWebIdentity"],
    "cloudwatch": ["GetMetricData"],
}


def some_value(rng, shape, depth=0):
    """A value for botocore; without blobs and maps, which no call of ours has."""
    if shape.type_name == "structure":
        return {name: some_value(rng, member, depth + 1) for name, member in shape.members.items()
                if rng.random() < (0.7 if depth < 3 else 0.3) and not has_unusual(member)}
    if shape.type_name == "list":
        return [some_value(rng, shape.member, depth + 1) for _ in range(rng.randrange(4))]
    if shape.type_name == "boolean":
        return rng.random() < 0.5
    if shape.type_name in ("integer", "long"):
        return rng.randrange(-2, 70000)
    if shape.type_name == "timestamp":
        return datetime.datetime(2026, 1, rng.randrange(1, 28), 1, 2, 3, tzinfo=datetime.timezone.utc)
    if shape.type_name in ("double", "float"):
        return rng.randrange(100)
    if shape.type_name == "string":
        return some_text(rng)
    return None


def as_asked(value, shape, ec2):
    """The same as whoever calls aws_call() writes it: by the names of the form."""
    if shape.type_name == "structure":
        out = {}
        for name, inner in value.items():
            member = shape.members[name]
            if ec2:
                said = member.serialization
                name = said.get("queryName") or (said["name"][0].upper() + said["name"][1:]
                                                 if "name" in said else name)
            out[name] = as_asked(inner, member, ec2)
        return out
    if shape.type_name == "list":
        return [as_asked(inner, shape.member, ec2) for inner in value]
    if shape.type_name == "timestamp":
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def has_unusual(shape, seen=()):
    if shape.name in seen:
        return False
    seen = (*seen, shape.name)
    if shape.type_name == "structure":
        return any(has_unusual(member, seen) for member in shape.members.values())
    return has_unusual(shape.member, seen) if shape.type_name == "list" \
        else shape.type_name in ("blob", "map")


def check_forms(client, rng):
    n = 0
    for service, actions in CALLS.items():
        model = botocore.model.ServiceModel(LOADER.load_service_model(service, "service-2"), service)
        ec2 = service == "ec2"
        serializer = botocore.serialize.create_serializer("ec2" if ec2 else "query", False)
        for action in actions:
            if action not in model.operation_names:
                print(f"forms: this botocore does not know {action}")
                continue
            operation = model.operation_model(action)
            shape = operation.input_shape
            if shape is None:
                shape_of, values = None, [{}]
            else:
                shape_of, values = shape, [some_value(rng, shape) for _ in range(12)]
            for value in values:
                form = serializer.serialize_to_request(value, operation)["body"]
                form = urllib.parse.urlencode(form, doseq=True)
                ours = client.ask(do="query", ec2=ec2, action=action,
                                  version=model.metadata["apiVersion"],
                                  parameters=as_asked(value, shape_of, ec2) if shape_of else {})
                if ours.get("body") != form:
                    fail(f"another form of {action}", ours=ours, botocore=form)
                n += 1
    print(f"forms: {n} alike")


# ---- answers ----

def some_element(rng, depth=0):
    element = xml.etree.ElementTree.Element(rng.choice(["item", "member", "a", "vpcSet", "Name"]))
    if depth == 0:
        element.tag = "AnswerResponse"
    kind = rng.random()
    if depth < 5 and kind < 0.5:
        for _ in range(rng.randrange(4)):
            element.append(some_element(rng, depth + 1))
    elif kind < 0.9:
        element.text = some_text(rng, string.printable[:95] + "äß€\U0001f600")
    return element


def value_of(element):
    if len(element) == 0:
        return element.text or None
    if all(child.tag in ("item", "member") for child in element):
        return [value_of(child) for child in element]
    out, lists, last = {}, [], ""
    for child in element:
        value = value_of(child)
        if child.tag in ("item", "member"):
            lists.append(value)
            last = child.tag
        elif child.tag not in out:
            out[child.tag] = value
        elif isinstance(out[child.tag], list):
            out[child.tag].append(value)
        else:
            out[child.tag] = [out[child.tag], value]
    if lists:
        out[last] = lists
    return out


def check_answers(client, rng):
    for _ in range(400):
        tree = some_element(rng)
        body = '<?xml version="1.0" encoding="UTF-8"?>\n' + \
            xml.etree.ElementTree.tostring(tree, encoding="unicode")
        ours = client.ask(do="read", body=body)
        if ours.get("value") != value_of(tree) or ours.get("name") != tree.tag:
            fail("another reading", body=body, ours=ours, theirs=value_of(tree))
    print("answers: 400 alike")


# ---- hosts ----

SERVICES = {"ec2": "ec2", "elbv2": "elasticloadbalancing", "sts": "sts", "cloudwatch": "monitoring",
            "cloudtrail": "cloudtrail", "sso": "portal.sso",
            "sso-oidc": "oidc"}


def check_hosts(client):
    partitions = LOADER.load_data("partitions")
    regions = [region for partition in partitions["partitions"] for region in partition["regions"]
               if not region.endswith("-global")]
    n, others = 0, set()
    for theirs, ours in SERVICES.items():
        rules = LOADER.load_service_model(theirs, "endpoint-rule-set-1")
        provider = botocore.endpoint_provider.EndpointProvider(rules, partitions)
        for region in regions:
            for fips in (False, True):
                for dual in (False, True):
                    more = {"UseGlobalEndpoint": False} if theirs == "sts" else {}
                    try:
                        url = provider.resolve_endpoint(Region=region, UseFIPS=fips,
                                                        UseDualStack=dual, **more).url
                    except botocore.exceptions.BotoCoreError:
                        url = None
                    env = {"HOME": HOME, "AWS_USE_FIPS_ENDPOINT": str(fips).lower(),
                           "AWS_USE_DUALSTACK_ENDPOINT": str(dual).lower()}
                    said = client.ask(do="endpoint", env=env, service=ours, region=region)
                    n += 1
                    if url is None and dual:
                        continue  # an older botocore knows fewer of them
                    if OLD and fips and region.startswith("us-gov-") and \
                            (ours in ("portal.sso", "oidc") or (ours == "monitoring" and dual)):
                        continue  # they were named otherwise
                    if (said.get("url") or "").rstrip("/") != (url or ""):
                        others.add((ours, region, fips, dual, said.get("url"), url))
    if others:
        fail(f"{len(others)} of {n} other hosts", **{str(i): other
                                                      for i, other in enumerate(sorted(others, key=str)[:40])})
    print(f"hosts: {n} alike")


# ---- credentials ----

LATER = "2099-01-01T00:00:00Z"


class Giver(http.server.BaseHTTPRequestHandler):
    """STS, the portal, a container's agent and the metadata service. Whose credentials are given is
    told by the key's id."""
    asked = []  # of SSO OIDC
    renewed = {}

    def log_message(self, *_):
        pass

    def say(self, text, status=200):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def keys(self, name, **more):
        self.say(json.dumps({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": "s", "Token": "t",
                             "Expiration": LATER, **more}))

    def do_PUT(self):
        self.say("metadata-token")

    def do_GET(self):
        if self.path.startswith("/federation"):
            self.say(json.dumps({"roleCredentials": {
                "accessKeyId": "ASIASSO", "secretAccessKey": "s", "sessionToken": "t",
                "expiration": 4070908800000}}))
        elif self.path.startswith("/container"):
            self.keys("ASIACONTAINER")
        elif self.path == "/latest/meta-data/iam/security-credentials/":
            self.say("role")
        elif self.path.startswith("/latest/meta-data/iam/security-credentials/role"):
            self.keys("ASIAINSTANCE")
        else:
            self.say("", 404)

    def do_POST(self):
        if self.path == "/token":
            self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.say(json.dumps(self.renewed))
            return
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        action = form["Action"]
        role = form["RoleArn"].rpartition("/")[2]
        signer = self.headers.get("Authorization", "=WEB/").partition("=")[2].partition("/")[0]
        self.say(f"<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result>"
                 f"<Credentials><AccessKeyId>ASIA-{role}-{signer}</AccessKeyId><SecretAccessKey>s"
                 f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{LATER}</Expiration>"
                 f"</Credentials></{action}Result></{action}Response>")


class Session(botocore.session.Session):
    """One whose clients all ask the giver."""
    url = None

    def create_client(self, *args, **kwargs):
        kwargs["endpoint_url"] = self.url
        return super().create_client(*args, **kwargs)


def theirs(env, profile, url):
    """The id of the key that botocore finds; None: it finds none, or refuses."""
    with unittest.mock.patch.dict(os.environ, env):
        try:
            session = Session(profile=profile)
            session.url = url
            found = session.get_credentials()
            return found.get_frozen_credentials().access_key if found else None
        except Exception as error:  # its refusals have many classes, some of them Python's own
            return f"refused: {type(error).__name__}: {error}"


def some_profile(rng, names, config):
    lines = []
    if rng.random() < 0.3:
        lines.append(f"aws_access_key_id = AKIA{rng.randrange(1000)}")
        if rng.random() < 0.9:
            lines.append("aws_secret_access_key = x")
    if config and rng.random() < 0.35:
        lines.append(f"role_arn = arn:aws:iam::123456789012:role/r{rng.randrange(100)}")
        if rng.random() < 0.75:
            lines.append(f"source_profile = {rng.choice(names)}")
        if rng.random() < 0.2:
            lines.append("credential_source = " + rng.choice(["Environment", "EcsContainer",
                                                              "Ec2InstanceMetadata", "Odd"]))
    if config and rng.random() < 0.15:
        lines.append(f"web_identity_token_file = {HOME}/token")
    if config and rng.random() < 0.15:
        lines.append(f"credential_process = sh -c 'cat {HOME}/\"process\".json'")
    if config and rng.random() < 0.2:
        lines += ["sso_account_id = 123456789012"] * (rng.random() < 0.9)
        lines += ["sso_role_name = r"] * (rng.random() < 0.9)
        if rng.random() < 0.5:
            lines.append("sso_session = " + rng.choice(["corp", "corp", "corp", "gone"]))
        else:
            lines += ["sso_start_url = https://start", "sso_region = us-east-1"]
    rng.shuffle(lines)
    if rng.random() < 0.2:
        lines.append("s3 =\n  max_concurrent_requests = 20\n  role_arn = arn:inner")
    if rng.random() < 0.2:
        lines.insert(0, "# a comment = [x]")
    return lines or ["output = json"]


def write_files(rng):
    names = ["default", "one", "two", "three"]
    with open(f"{HOME}/.aws/config", "w", encoding="utf-8") as f:
        for name in names:
            if rng.random() < 0.8:
                head = name if name == "default" and rng.random() < 0.7 else f"profile {name}"
                f.write("\n".join([f"[{head}]", *some_profile(rng, names, True), ""]))
        f.write("[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://start\n"
                "[preview]\ncloudfront = true\n")
    with open(f"{HOME}/.aws/credentials", "w", encoding="utf-8") as f:
        for name in names:
            if rng.random() < 0.4:
                f.write("\n".join([f"[{name}]", *some_profile(rng, names, False), ""]))


def some_environment(rng, url):
    env = {"HOME": HOME, "PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "eu-west-1"}
    if rng.random() < 0.15:
        env["AWS_ACCESS_KEY_ID"] = "AKIAENV"
        if rng.random() < 0.9:
            env["AWS_SECRET_ACCESS_KEY"] = "x"
    if rng.random() < 0.4:
        env[rng.choice(["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])] = rng.choice(["one", "two", "three", "gone"])
    if rng.random() < 0.15:
        env["AWS_WEB_IDENTITY_TOKEN_FILE"] = f"{HOME}/token"
        if rng.random() < 0.9:
            env["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/env"
    if rng.random() < 0.3:
        env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{url}/container"
    if rng.random() < 0.5:
        env["AWS_EC2_METADATA_DISABLED"] = "true"
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = url + "/"
    return env


@contextlib.contextmanager
def giver(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Giver)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def check_trust(client):
    """A certificate that nobody signed is taken where AWS_CA_BUNDLE or ca_bundle has it."""
    if not shutil.which("openssl"):
        print("trust: openssl is not installed")
        return
    for name in ("one", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", f"{HOME}/{name}.key", "-out", f"{HOME}/{name}.pem", "-subj",
                        "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{HOME}/one.pem", f"{HOME}/one.key")
    with open(f"{HOME}/trusting", "w", encoding="utf-8") as f:
        f.write(f"[default]\nca_bundle = {HOME}/one.pem\n")
    with giver(context) as url:
        env = {"HOME": f"{HOME}/empty", "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true",
               "AWS_MAX_ATTEMPTS": "1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": url + "/container"}
        for more, good in (({}, False), ({"AWS_CA_BUNDLE": f"{HOME}/one.pem"}, True),
                           ({"AWS_CA_BUNDLE": f"{HOME}/other.pem"}, False),
                           ({"AWS_CONFIG_FILE": f"{HOME}/trusting"}, True),
                           ({"AWS_CA_BUNDLE": f"{HOME}/gone.pem"}, False)):
            said = client.ask(do="find", env={**env, **more})
            if (said.get("id") == "ASIACONTAINER") != good or \
                    not (good or "certificate" in said["error"] or "gone.pem" in said["error"]):
                fail("trust", env=more, ours=said)
    print("trust: 5 as they have to be")


def check_credentials(client, rng):
    with giver() as url:
        compare_credentials(client, rng, url)
        compare_renewal(client, url)


def compare_renewal(client, url):
    """A sign-in that is about to be over is renewed, with the same request, and kept alike."""
    path = f"{HOME}/.aws/sso/cache/{hashlib.sha1(b'corp').hexdigest()}.json"
    with open(f"{HOME}/.aws/config", "w", encoding="utf-8") as f:
        f.write("[profile renews]\nsso_session = corp\nsso_account_id = 123456789012\n"
                "sso_role_name = r\n[sso-session corp]\nsso_region = us-east-1\n"
                "sso_start_url = https://start\n")
    now = datetime.datetime.now(datetime.timezone.utc)

    def at(minutes):
        return (now + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    whole = {"accessToken": "token", "startUrl": "https://start", "region": "us-east-1",
             "clientId": "id", "clientSecret": "secret", "refreshToken": "again",
             "registrationExpiresAt": at(9999), "expiresAt": at(10)}
    n, env = 0, {"HOME": HOME, "AWS_DEFAULT_REGION": "eu-west-1"}
    for change in ({}, {"expiresAt": at(20)}, {"expiresAt": at(-5)}, {"registrationExpiresAt": at(-5)},
                   {"refreshToken": None}, {"clientSecret": None}):
        for renewed in ({"accessToken": "new", "expiresIn": 1234, "tokenType": "Bearer"},
                        {"accessToken": "new", "expiresIn": 1234, "refreshToken": "next"}):
            kept = {name: value for name, value in {**whole, **change}.items() if value}
            both = []
            for run in (lambda: theirs(env, "renews", url),
                        lambda: client.ask(do="find", env={**env, "AWS_ENDPOINT_URL": url},
                                           profile="renews").get("id")):
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(kept, f)
                Giver.asked, Giver.renewed = [], renewed
                found = run()
                with open(path, encoding="utf-8") as f:
                    left = json.load(f)
                until = datetime.datetime.fromisoformat(left.pop("expiresAt").replace("Z", "+00:00"))
                both.append((found, Giver.asked, left, until))
            if both[0][:3] != both[1][:3] or abs((both[0][3] - both[1][3]).total_seconds()) > 60:
                fail("another renewal", botocore=both[0], ours=both[1], change=change)
            n += 1
    print(f"renewals: {n} alike")


def compare_credentials(client, rng, url):
    os.makedirs(f"{HOME}/.aws/sso/cache")
    with open(f"{HOME}/token", "w", encoding="utf-8") as f:
        f.write("web.identity")
    with open(f"{HOME}/process.json", "w", encoding="utf-8") as f:
        json.dump({"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "x"}, f)
    for key in ("corp", "https://start"):
        name = hashlib.sha1(key.encode()).hexdigest()
        with open(f"{HOME}/.aws/sso/cache/{name}.json", "w", encoding="utf-8") as f:
            json.dump({"accessToken": "token", "expiresAt": LATER, "region": "us-east-1",
                       "startUrl": "https://start"}, f)
    seen, refused = {}, 0
    for _ in range(600):
        write_files(rng)
        env = some_environment(rng, url)
        profile = rng.choice([None, None, "default", "one", "two", "gone"])
        expected = theirs(env, profile, url)
        said = client.ask(do="find", env={**env, "AWS_ENDPOINT_URL": url}, profile=profile)
        if expected is None or expected.startswith("refused"):
            refused += 1
            # A sign-in that is not asked for here: botocore makes ready to authorise calls by it; and
            # an older one does so with none.
            if "error" in said or any(text in (expected or "") for text in
                                      ("SSO token provider", "'get_frozen_token'")):
                continue
        elif said.get("id") == expected:
            kind = expected.rstrip("0123456789")
            seen[kind] = seen.get(kind, 0) + 1
            continue
        with open(f"{HOME}/.aws/config", encoding="utf-8") as f, \
                open(f"{HOME}/.aws/credentials", encoding="utf-8") as g:
            fail("other credentials", ours=said, botocore=expected, env=env, profile=profile,
                 config="\n" + f.read(), credentials="\n" + g.read())
    for kind in ("AKIAENV", "AKIA", "ASIASSO", "AKIAPROCESS", "ASIACONTAINER", "ASIAINSTANCE"):
        if kind not in seen:
            fail(f"no case came to {kind}", seen=seen)
    if not any(kind.startswith("ASIA-r") for kind in seen):
        fail("no case came to a role", seen=seen)
    print(f"credentials: {sum(seen.values())} alike, {refused} refused by both")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    seed = int(sys.argv[2]) if len(sys.argv) == 3 else 20150830
    client = Client(sys.argv[1])
    print(f"botocore {botocore.__version__}, seed {seed}")
    try:
        check_signatures(client, random.Random(seed))
        check_forms(client, random.Random(seed))
        check_answers(client, random.Random(seed))
        check_hosts(client)
        check_credentials(client, random.Random(seed))
        check_trust(client)
    finally:
        client.process.stdin.close()
        client.process.wait()
        shutil.rmtree(HOME)


if __name__ == "__main__":
    main()
