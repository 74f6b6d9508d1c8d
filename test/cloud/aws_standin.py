#!/usr/bin/env python3
"""A stand-in for AWS, for tests: EC2 as far as traffic mirroring needs it, STS, load balancers,
CloudWatch, CloudTrail and the metadata service, on one port.

It verifies signatures, enforces limits, gives pages, throttles, is late to be consistent, and does
what it is told to do wrong. It records a violation when one of our calls changes something that has
no mark of ours. aws_standin_test.py drives it with AWS's own client libraries.

usage: aws_standin.py [--port N] [--world FILE]

Within a test: `cloud = Cloud(); url = serve(cloud)`. From outside: POST /_standin, {"do": "vpc",
"cidr": "10.0.0.0/16"} calls a method of Cloud; {"set": {"lag": 2}} sets members; {"get": "log"}."""
import argparse
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import aws_describe  # noqa: E402
import aws_metadata  # noqa: E402
import aws_mirror  # noqa: E402
import aws_network  # noqa: E402
import aws_services  # noqa: E402
import aws_wire  # noqa: E402
from aws_state import Cloud, Thing  # noqa: E402
from aws_wire import Refused  # noqa: E402

ACTIONS = {"ec2": {**aws_describe.ACTIONS, **aws_mirror.ACTIONS, **aws_network.ACTIONS},
           "sts": aws_services.STS, "elasticloadbalancing": aws_services.ELB,
           "monitoring": aws_services.WATCH, "cloudtrail": aws_services.TRAIL}
TRAIL = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
JSON = "application/x-amz-json-1.1"
BODY_MAX = 1 << 20
CONTROL = {"vpc", "subnet", "route", "peer", "gateway_attachment", "group", "rule", "interface",
           "instance", "terminate", "remove_interface", "balancer", "listener", "endpoint",
           "behind_our_back", "fault", "throttle", "state", "person", "session_for", "main_table"}


class Closed(Exception):
    """The connection is closed without an answer."""


class Call:
    """One request on its way through the cloud."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.service, self.space, self.action, self.given = "ec2", aws_wire.EC2, "", {}
        self.who = None
        self.is_json = False

    def understand(self):
        """Which action of which service."""
        if self.method not in ("POST", "GET"):
            raise Refused("MalformedHTTPRequest", f"Method {self.method}", 405)
        wanted = self.headers.get("x-amz-target")
        if wanted:
            self.service, self.is_json = "cloudtrail", True
            if not wanted.startswith(TRAIL) or self.headers.get("content-type") != JSON:
                raise Refused("UnknownOperationException", wanted)
            self.action = wanted[len(TRAIL):]
            try:
                self.given = json.loads(self.body)
            except ValueError:
                raise Refused("SerializationException", "The body is no JSON") from None
            return
        kind = self.headers.get("content-type", "")
        if self.method == "POST" and not kind.startswith("application/x-www-form-urlencoded"):
            raise Refused("MalformedHTTPRequest", f"Content-Type {kind!r}", 415)
        pairs = aws_wire.form_of(self.body if self.method == "POST" else
                                 self.target.partition("?")[2].encode())
        names = dict(pairs)
        if names.get("Version") not in aws_wire.QUERY:
            raise Refused("NoSuchVersion", f"Version {names.get('Version')!r} is not valid")
        self.service, self.space = aws_wire.QUERY[names["Version"]]
        self.action = names.get("Action", "")
        self.given = aws_wire.tree_of([pair for pair in pairs if pair[0] not in
                                       ("Action", "Version")], self.service != "ec2")

    def authenticate(self, cloud):
        ec2 = self.service == "ec2"
        if self.action == "AssumeRoleWithWebIdentity" and "authorization" not in self.headers:
            return
        if "authorization" not in self.headers:
            raise Refused("MissingAuthenticationToken", "Request is missing Authentication Token",
                          403)
        key, scope, _, _ = aws_wire.parse_authorization(self.headers["authorization"])
        who = cloud.who.get(key)
        if who is None:
            raise Refused(*(("AuthFailure", "AWS was not able to validate the provided access "
                             "credentials", 401) if ec2 else
                            ("InvalidClientTokenId", "The security token included in the request is "
                             "invalid", 403)))
        if scope[1:3] != [cloud.region, self.service]:
            raise Refused("SignatureDoesNotMatch", f"Credential should be scoped to {cloud.region} "
                          f"and {self.service}, not {scope[1]} and {scope[2]}", 403)
        must = ("x-amz-target",) if self.is_json else ()
        if who.token:
            must += ("x-amz-security-token",)
        aws_wire.verify(who.secret, cloud.now(), self.method, self.target, self.headers, self.body,
                        must)
        if who.token and self.headers.get("x-amz-security-token") != who.token or \
                not who.token and "x-amz-security-token" in self.headers:
            raise Refused(*(("AuthFailure", "AWS was not able to validate the provided access "
                             "credentials", 401) if ec2 else
                            ("InvalidClientTokenId", "The security token included in the request is "
                             "invalid", 403)))
        if who.expires is not None and cloud.now() > who.expires:
            raise Refused(*(("RequestExpired", "Request has expired.") if ec2 else
                            ("ExpiredTokenException" if self.is_json else "ExpiredToken",
                             "The security token included in the request is expired", 400)))
        self.who = who

    def answer(self, cloud):
        """The bytes of the answer, or Refused, or Closed."""
        if self.action not in ACTIONS[self.service]:
            raise Refused("InvalidAction", f"The action {self.action} is not valid for this web "
                          "service.")
        work, spec = ACTIONS[self.service][self.action]
        if not cloud.has_token(self.action):
            raise Refused("RequestLimitExceeded", "Request limit exceeded.", 503) \
                if self.service == "ec2" else Refused("Throttling", "Rate exceeded", 400) \
                if not self.is_json else Refused("ThrottlingException", "Rate exceeded", 400)
        faults = [fault for fault in cloud.faults if fault.hits(self.action)]
        for fault in faults:
            if fault.do:
                fault.do(cloud)
            if fault.close and not fault.after:
                raise Closed
            if fault.code and not fault.after:
                raise Refused(fault.code, fault.message, fault.status)
        given = aws_wire.take(spec, self.given) if spec is not None else self.given
        if given.pop("DryRun", False):
            raise Refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.",
                          412)
        value = work(cloud, self.who, self.action, given)
        if not self.action.startswith(("Describe", "Get", "Assume", "Lookup")):
            names = [found for found in ids_in(value) + ids_in(self.given) if found in cloud.kind_words]
            cloud.event(self.who, self.action, [(cloud.kind_words[found], found) for found in names],
                        self.given)
        for fault in faults:
            if fault.close:
                raise Closed
            if fault.code:
                raise Refused(fault.code, fault.message, fault.status)
        return value


def ids_in(value):
    if isinstance(value, dict):
        return [found for child in value.values() for found in ids_in(child)]
    if isinstance(value, (list, tuple)):
        return [found for child in value for found in ids_in(child)]
    return [value] if isinstance(value, str) else []


def work_on(cloud, method, target, headers, body):
    """(status, content type, bytes)"""
    call = Call(method, target, headers, body)
    row = {"at": time.monotonic(), "method": method, "target": target, "headers": headers,
           "body": body.decode("latin-1")}
    with cloud.lock:
        number = cloud.number("request")
        row["n"] = number
        request = f"00000000-0000-4000-9000-{number:012d}"
        cloud.log.append(row)
        code = 200
        try:
            try:
                call.understand()
                row.update(service=call.service, action=call.action, given=call.given)
                call.authenticate(cloud)
                row["who"] = call.who.key if call.who else None
                if cloud.hook:
                    cloud.hook(number, "before", call.action)
                value = call.answer(cloud)
            except Refused as refused:
                code, row["code"] = refused.status, refused.code
                if call.is_json:
                    return code, JSON, json.dumps({"__type": refused.code,
                                                   "message": refused.message}).encode()
                return code, "text/xml;charset=UTF-8", aws_wire.bad(call.service, call.space,
                                                                    refused, request)
            if cloud.hook:
                cloud.hook(number, "after", call.action)
            if call.is_json:
                return 200, JSON, json.dumps(value).encode()
            return 200, "text/xml;charset=UTF-8", aws_wire.good(call.service, call.space,
                                                                call.action, value, request)
        except Closed:
            code, row["code"] = 0, "closed"
            raise
        finally:
            row["status"] = code


def control(cloud, text):
    """What a test asks for from outside."""
    asked = json.loads(text)
    with cloud.lock:
        if "set" in asked:
            for name, value in asked["set"].items():
                if not hasattr(cloud, name):
                    raise ValueError(name)
                setattr(cloud, name, value)
            return {}
        if "get" in asked:
            return getattr(cloud, asked["get"])
        name = asked.pop("do")
        if name == "be":
            return aws_metadata.be(cloud, **asked)
        if name not in CONTROL:
            raise ValueError(name)
        got = getattr(cloud, name)(**asked)
        return got.__dict__ if isinstance(got, Thing) or hasattr(got, "__dict__") else got


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud = None
    disable_nagle_algorithm = True

    def handle_one(self):
        size = int(self.headers.get("content-length") or 0)
        if size > BODY_MAX:
            return self.reply(413, "text/plain", b"")
        body = self.rfile.read(size)
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = headers[name] + "," + value if name in headers else value
        path = self.path.partition("?")[0]
        try:
            if path == "/_standin":
                try:
                    answer = json.dumps(control(self.cloud, body), default=str)
                    return self.reply(200, "application/json", answer.encode())
                except (ValueError, KeyError, TypeError, AttributeError) as wrong:
                    return self.reply(400, "application/json", json.dumps(repr(wrong)).encode())
            if path == "/container":
                return self.container(headers)
            if path.startswith("/latest/"):
                return self.metadata(urllib.parse.unquote(path[8:]), headers)
            return self.reply(*work_on(self.cloud, self.command, self.path, headers, body))
        except Closed:
            self.close_connection = True
            return None

    def container(self, headers):
        """Credentials as a container gets them."""
        if not self.cloud.container_role or headers.get("authorization") != self.cloud.container_key:
            return self.reply(401, "text/plain", b"")
        with self.cloud.lock:
            text = aws_metadata.credentials(self.cloud, self.cloud.container_role, 3600)
        return self.reply(200, "application/json", text.encode())

    def metadata(self, path, headers):
        try:
            with self.cloud.lock:
                got = aws_metadata.answer(self.cloud, self.command, path, headers)
        except Refused as refused:
            return self.reply(refused.status, "text/plain", b"")
        if got is None:  # what a hop limit of 1 does to whoever is two hops away
            threading.Event().wait(10)
            raise Closed
        return self.reply(got[0], "text/plain", got[1].encode())

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp=None):
        """By the cloud's clock, which clients may set theirs by."""
        return super().date_time_string(self.cloud.now())

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            self.cloud.violate(f"the stand-in itself: {sys.exc_info()[1]!r}")
            super().handle_error(request, client_address)


def serve(cloud, address="127.0.0.1", port=0, sock=None):
    """Its URL. `sock`: one that listens already, of another namespace."""
    handler = type("AwsHandler", (Handler,), {"cloud": cloud})
    server = Server((address, port), handler, bind_and_activate=sock is None)
    if sock is not None:
        server.socket.close()
        server.socket = sock
        address, port = sock.getsockname()[:2]
    server.cloud = cloud
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{address}:{server.socket.getsockname()[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--world", help="a file with one request of the control interface a line")
    options = parser.parse_args()
    cloud = Cloud()
    if options.world:
        with open(options.world, encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    control(cloud, line)
    print(serve(cloud, port=options.port), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
