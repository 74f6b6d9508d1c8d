"""What the catalogue of the test's cloud names: a proxy before the real Neutron, which hands through
all that it is asked, writes it down, and lets a test step in at any call. Beside it, where a test
asks for them, stand-ins for what is not there: Nova's list of servers, and tap mirrors before a
Neutron that is too old for them."""
import http.client
import http.server
import json
import re
import socket
import threading
import urllib.parse
import uuid

from stack import FRONT, HOST, KEYSTONE, NEUTRON


class Call:
    def __init__(self, verb, path, body, token):
        self.verb, self.path, self.token = verb, path, token
        self.body = json.loads(body) if body else None
        self.status, self.answer = None, None

    def changes(self):
        return self.verb != "GET"

    def __repr__(self):
        return f"{self.verb} {self.path} {self.status}"


class Front:
    """`before` and `after` are called with each Call and its number, from 0; an answer of `before`,
    (status, object), is given in the place of Neutron's, and what `after` gives is not waited for."""

    def __init__(self, stack):
        self.stack = stack
        self.calls = []
        self.before = self.after = None
        self.mirrors = None
        self.servers = None
        self.lock = threading.Lock()
        self.serve(FRONT)

    def serve(self, port):
        with self.stack.ns.inside():
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        server.front = self
        self.stack.lab.serve(server.serve_forever)

    def forget(self):
        self.calls, self.before, self.after = [], None, None

    def changes(self):
        return [call for call in self.calls if call.changes()]

    def start_nova(self, port=8774):
        """Nova's list of servers: `self.servers` is set by the test."""
        self.servers = []
        self.stack.endpoint("compute", f"http://127.0.0.1:{port}/v2.1")
        self.serve(port)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        front = self.server.front
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else b""
        call = Call(self.command, self.path, body, self.headers.get("X-Auth-Token", ""))
        with front.lock:
            number = len(front.calls)
            front.calls.append(call)
        answer = front.before(call, number) if front.before else None
        if answer is None:
            answer = self.stand_in(front, call)
        if answer is None:
            answer = self.hand_through(front, body)
        call.status, call.answer = answer[:2]
        if front.after:
            front.after(call, number)
        self.say(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_one

    def hand_through(self, front, body):
        with front.stack.ns.inside():
            sock = socket.create_connection(("127.0.0.1", NEUTRON), 60)
        connection = http.client.HTTPConnection("127.0.0.1", NEUTRON)
        connection.sock = sock
        headers = {key: value for key, value in self.headers.items()
                   if key.lower() not in ("connection", "content-length")}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read()
        more = {key: value for key, value in answer.getheaders()
                if key.lower() in ("www-authenticate", "location", "retry-after")}
        connection.close()
        return answer.status, text, answer.headers.get("Content-Type", "text/plain"), more

    def say(self, status, answer, kind="application/json", more=None):
        text = answer if isinstance(answer, bytes) else \
            b"" if answer is None else json.dumps(answer).encode()
        try:
            self.send_response(status)
            for key, value in (more or {}).items():
                self.send_header(key, value)
            if text:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            self.close_connection = True  # whoever asked is gone

    def stand_in(self, front, call):
        if front.servers is not None and call.path.startswith("/v2.1/"):
            return nova(front, call)
        if front.mirrors is not None:
            return front.mirrors.answer(call)
        return None

    def log_message(self, *_):
        pass


def allowed(stack, token):
    """The token's project and roles, as Keystone says; None: the token is no good."""
    with stack.ns.inside():
        sock = socket.create_connection(("127.0.0.1", KEYSTONE), 30)
    connection = http.client.HTTPConnection("127.0.0.1", KEYSTONE)
    connection.sock = sock
    connection.request("GET", "/v3/auth/tokens", headers={"X-Auth-Token": token,
                                                          "X-Subject-Token": token})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return json.loads(text)["token"] if answer.status == 200 else None


NO_TOKEN = (401, {"error": {"code": 401, "title": "Unauthorized",
                            "message": "The request you have made requires authentication."}})


def nova(front, call):
    """GET /v2.1/servers/detail, in pages, as the Compute API's version 2.26 has it."""
    token = allowed(front.stack, call.token)
    if not token:
        return NO_TOKEN
    path, _, query = call.path.partition("?")
    asked = urllib.parse.parse_qs(query)
    if path != "/v2.1/servers/detail":
        return 404, {"itemNotFound": {"code": 404, "message": "The resource could not be found."}}
    rows = [row for row in front.servers if row["tenant_id"] == token["project"]["id"]]
    if "marker" in asked:
        ids = [row["id"] for row in rows]
        if asked["marker"][0] not in ids:
            return 400, {"badRequest": {"code": 400, "message": "marker not found"}}
        rows = rows[ids.index(asked["marker"][0]) + 1:]
    limit = min(int(asked.get("limit", ["1000"])[0]), 1000)
    answer = {"servers": rows[:limit]}
    if len(rows) > limit:
        answer["servers_links"] = [{"rel": "next", "href": f"http://127.0.0.1:8774{path}?limit="
                                                           f"{limit}&marker={rows[limit - 1]['id']}"}]
    return 200, answer


def server(name, project, tags=(), metadata=None):
    return {"id": str(uuid.uuid4()), "name": name, "tenant_id": project, "status": "ACTIVE",
            "tags": list(tags), "metadata": metadata or {}, "OS-EXT-SRV-ATTR:host": HOST,
            "OS-EXT-AZ:availability_zone": "nova", "flavor": {"original_name": "m1.small"}}


class Mirrors:
    """Tap mirrors before a Neutron that has none: requests and answers have the shapes that TaaS 15
    has, its checks, and its refusals."""
    KEYS = {"id", "project_id", "tenant_id", "name", "description", "port_id", "remote_ip",
            "mirror_type", "directions"}

    def __init__(self, stack):
        self.stack = stack
        self.rows = {}

    def answer(self, call):
        path, _, query = call.path.partition("?")
        if path == "/v2.0/extensions" and call.verb == "GET":
            answer = self.stack.call("GET", "/v2.0/extensions", token=call.token, codes=())
            if "extensions" in answer:
                answer["extensions"].append(self.extension())
            return (200, answer) if "extensions" in answer else NO_TOKEN
        if path == "/v2.0/extensions/tap-mirror" and call.verb == "GET":
            return 200, {"extension": self.extension()}
        match = re.fullmatch(r"/v2\.0/taas/tap_mirrors(?:\.json)?(?:/([^/]+))?", path)
        if not match:
            return None
        token = allowed(self.stack, call.token)
        if not token:
            return NO_TOKEN
        project = token["project"]["id"]
        admin = any(role["name"] == "admin" for role in token["roles"])
        seen = {key: row for key, row in self.rows.items() if admin or row["project_id"] == project}
        row = seen.get(match[1]) if match[1] else None
        if match[1] and not row:
            return refuse(404, "TapMirrorNotFound", f"Tap Mirror {match[1]} does not exist")
        if call.verb == "GET":
            asked = urllib.parse.parse_qs(query)
            rows = [one for one in seen.values()
                    if all(one.get(key) in value for key, value in asked.items()
                           if key in self.KEYS)]
            return 200, {"tap_mirror": row} if row else {"tap_mirrors": rows}
        if call.verb == "DELETE":
            del self.rows[row["id"]]
            return 204, None
        body = (call.body or {}).get("tap_mirror")
        if not isinstance(body, dict):
            return bad("Resource body required")
        if call.verb == "PUT":
            for key in body:
                if key not in ("name", "description"):
                    return bad(f"Cannot update read-only attribute {key}")
            row.update(body)
            return 200, {"tap_mirror": row}
        return self.create(body, body.get("project_id", project) if admin else project, call.token,
                           seen.values())

    @staticmethod
    def extension():
        return {"name": "Tap as a Service GRE or ERSPAN mirror", "alias": "tap-mirror",
                "description": "Neutron Tap as a Service extension for GRE or ERSPAN mirroring.",
                "updated": "2023-05-05T11:45:00-00:00", "links": []}

    def create(self, body, project, token, seen):
        for key in ("port_id", "directions", "remote_ip", "mirror_type"):
            if key not in body:
                return bad(f"Failed to parse request. Required attribute '{key}' not specified")
        unknown = [key for key in body if key not in self.KEYS]
        if unknown:
            return bad(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
        if body["mirror_type"] not in ("erspanv1", "gre"):
            return bad(f"Invalid input for mirror_type. Reason: {body['mirror_type']} is not in "
                       "valid_values.")
        directions = body["directions"]
        if not isinstance(directions, dict):
            return bad(f"Invalid input for directions. Reason: '{directions}' is not a dictionary.")
        wrong = [key for key in directions if key not in ("IN", "OUT")]
        if wrong:
            return bad(f"Invalid input for directions. Reason: Unexpected keys supplied: "
                       f"{', '.join(wrong)}.")
        status, _, answer = self.stack.ask(NEUTRON, "GET", "/v2.0/ports/" + body["port_id"],
                                           token=token)
        if status != 200:
            return status, answer
        if answer["port"]["project_id"] != project:
            return refuse(403, "PortDoesNotBelongToTenant",
                          "The specified port does not belong to the tenant")
        # Among those only that whoever asks can see.
        taken = [n for row in seen for n in row["directions"].values()]
        for n in directions.values():
            if n in taken:
                return refuse(409, "TapMirrorTunnelConflict",
                              f"Tap Mirror with tunnel_id {n} already exists")
        row = {"id": str(uuid.uuid4()), "project_id": project, "name": body.get("name", ""),
               "description": body.get("description", ""), "port_id": body["port_id"],
               "directions": dict(directions),
               "remote_ip": body["remote_ip"], "mirror_type": body["mirror_type"],
               "tenant_id": project}
        self.rows[row["id"]] = row
        return 201, {"tap_mirror": row}


def bad(message):
    return refuse(400, "HTTPBadRequest", message)


def refuse(status, kind, message):
    return status, {"NeutronError": {"type": kind, "message": message, "detail": ""}}
