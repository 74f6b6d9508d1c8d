"""A stand-in for an NSX manager: the part of its policy API that port mirroring needs, with the rules
that its users meet. Built from the published schema of NSX (PortMirroringProfile, Group,
GroupMonitoringProfileBindingMap, VirtualMachine, VirtualNetworkInterface, ListResult, ApiError).

- a PUT of what is there needs its current _revision, else 412; members that a type has not are
  refused, as are values that are none of an enumeration
- what is referred to can't be deleted; a path that does not exist can't be referred to
- pages of PAGE entries; basic authorization, or a bearer that VMware Cloud's console gave
- changing or deleting what lacks the mark is a violation, which the test asks for at its end
- it can refuse the n-th call, and kill the client before or after it has carried one out"""
import base64
import http.server
import json
import threading
import urllib.parse

PREFIX = "/policy/api/v1"
PAGE = 3
MARK = "cloudspan:mirror"
COMMON = {"display_name", "description", "tags", "_revision", "id", "path", "resource_type"}
MEMBERS = {
    "PortMirroringProfile": COMMON | {"profile_type", "encapsulation_type", "direction",
                                      "snap_length", "destination_group", "gre_key", "erspan_id"},
    "Group": COMMON | {"expression"},
    "GroupMonitoringProfileBindingMap": COMMON | {"port_mirroring_profile_path"},
}
WORDS = {"profile_type": ("REMOTE_L3_SPAN", "LOGICAL_SPAN"),
         "encapsulation_type": ("GRE", "ERSPAN_TWO", "ERSPAN_THREE"),
         "direction": ("INGRESS", "EGRESS", "BIDIRECTIONAL")}


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.answer = status, {"httpStatus": "REFUSED", "error_code": code, "module_name": "policy",
                               "error_message": message}


def type_of(path):
    words = path.split("/")
    if path.startswith("/infra/port-mirroring-profiles/") and len(words) == 4:
        return "PortMirroringProfile"
    if path.startswith("/infra/domains/") and len(words) == 6 and words[4] == "groups":
        return "Group"
    if len(words) == 8 and words[6] == "group-monitoring-profile-binding-maps":
        return "GroupMonitoringProfileBindingMap"
    raise Refused(404, 404, f"no such path: {path}")


def is_marked(body):
    return any(tag.get("scope") == MARK for tag in body.get("tags", []))


class Manager:
    def __init__(self, users=("admin", "secret"), token=None):
        self.objects, self.machines, self.cards = {}, {}, []
        self.user, self.token, self.access = users, token, 0
        self.calls, self.violations = [], []
        self.refuse = {}  # number of a call -> (status, body)
        self.racing = {}  # path -> how often somebody changes it as soon as it was read
        self.kill = None  # (number of a call, whether after it)
        self.end_client = None
        self.status = "SUCCESS"
        self.lock = threading.Lock()
        manager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                with manager.lock:
                    status, body = manager.call(self.command, self.path, self.rfile.read(size),
                                                self.headers)
                text = json.dumps(body).encode() if body is not None else b""
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_DELETE = do_POST = do_PATCH = answer

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda request, address: None  # clients are killed
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add_machine(self, name, mac, addresses, tags=(), segment=True):
        number = len(self.machines) + 1
        machine = {"external_id": f"5000-{number:04}", "display_name": name, "type": "REGULAR",
                   "power_state": "VM_RUNNING", "compute_ids": [], "host_id": "h1", "source": {},
                   "tags": [{"scope": scope, "tag": tag} for scope, tag in tags]}
        self.machines[machine["external_id"]] = machine
        card = {"external_id": f"{machine['external_id']}-4000",
                "owner_vm_id": machine["external_id"], "mac_address": mac.upper(),
                "device_key": "4000", "device_name": "Network adapter 1", "host_id": "h1",
                "ip_address_info": [{"source": "VM_TOOLS", "ip_addresses": addresses}]}
        if segment:
            card["lport_attachment_id"] = f"port-{number}"
        self.cards.append(card)
        return machine["external_id"]

    # ---- calls ----

    def call(self, method, url, body, headers):
        number = len(self.calls)
        self.calls.append((method, url, json.loads(body) if body[:1] == b"{" else None))
        if self.kill == (number, False):
            self.end_client()
            return 500, None
        if number in self.refuse:
            return self.refuse[number]
        try:
            answer = self.carry_out(method, url, body, headers)
        except Refused as refused:
            answer = refused.answer
        if self.kill == (number, True):
            self.end_client()
        return answer

    def carry_out(self, method, url, body, headers):
        parts = urllib.parse.urlsplit(url)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/csp/gateway/am/api/auth/api-tokens/authorize":
            given = dict(urllib.parse.parse_qsl(body.decode()))
            if given != {"refresh_token": self.token}:
                return 400, {"message": "invalid_grant"}
            self.access += 1
            return 200, {"access_token": f"access-{self.access}", "expires_in": 1799}
        good = (f"Bearer access-{self.access}" if self.token else
                "Basic " + base64.b64encode(":".join(self.user).encode()).decode())
        if headers.get("Authorization") != good:
            return 401 if self.token else 403, {"error_code": 403, "error_message":
                                                "The credentials were incorrect"}
        if not parts.path.startswith(PREFIX):
            raise Refused(404, 404, f"no such path: {parts.path}")
        path = urllib.parse.unquote(parts.path[len(PREFIX):])
        if method == "GET":
            return 200, self.get(path, query)
        if method == "PUT":
            return 200, self.put(path, json.loads(body))
        if method == "DELETE":
            return self.delete(path)
        raise Refused(405, 405, method)

    def page(self, results, query):
        at = int(query.get("cursor", "0"))
        size = min(int(query.get("page_size", PAGE)), PAGE)
        answer = {"results": results[at:at + size], "result_count": len(results)}
        if at + size < len(results):
            answer["cursor"] = str(at + size)
        return answer

    def get(self, path, query):
        if path == "/infra/realized-state/virtual-machines":
            return self.page(list(self.machines.values()), query)
        if path == "/infra/realized-state/enforcement-points/default/vifs":
            return self.page(self.cards, query)
        if path == "/infra/realized-state/status":
            if query["intent_path"] not in self.objects:
                raise Refused(404, 404, "no such intent")
            return {"consolidated_status": {"consolidated_status": self.status}}
        if path == "/search/query":
            return self.page(self.search(query["query"]), query)
        if path.endswith("/members/virtual-machines"):
            return self.page(self.members(path[:-len("/members/virtual-machines")]), query)
        if path not in self.objects:
            raise Refused(404, 500090, f"The path=[{path}] is invalid")
        body = dict(self.objects[path])
        if self.racing.get(path):
            self.racing[path] -= 1
            self.objects[path]["_revision"] += 1
        return body

    def search(self, query):
        words = {name: value.strip('"') for name, value in
                 (word.split(":", 1) for word in query.split(" AND "))}
        return [body for body in self.objects.values()
                if body["resource_type"] == words["resource_type"] and any(
                    tag["scope"] == words["tags.scope"] and
                    words.get("tags.tag", tag["tag"]) == tag["tag"]
                    for tag in body.get("tags", []))]

    def members(self, path):
        ids = [one for part in self.get(path, {})["expression"]
               for one in part.get("external_ids", [])]
        return [self.machines[one] for one in ids if one in self.machines]

    def put(self, path, body):
        kind, there = type_of(path), self.objects.get(path)
        unknown = set(body) - MEMBERS[kind]
        if unknown:
            raise Refused(400, 220, f"unrecognized fields {sorted(unknown)} in {kind}")
        for name, words in WORDS.items():
            if name in body and body[name] not in words:
                raise Refused(400, 255, f"{name}: {body[name]} is none of {words}")
        for name in ("destination_group", "port_mirroring_profile_path"):
            if name in body and body[name] not in self.objects:
                raise Refused(400, 500012, f"The path=[{body[name]}] is invalid")
        if kind == "GroupMonitoringProfileBindingMap" and path.rsplit("/", 2)[0] not in self.objects:
            raise Refused(404, 500090, "the group is not there")
        if any(len(part.get("ip_addresses", [])) > 3 for part in body.get("expression", [])):
            raise Refused(400, 524012, "a destination group has three addresses at most")
        if body.get("erspan_id", 0) > 1023:
            raise Refused(400, 255, "erspan_id: maximum is 1023")
        if there is not None and body.get("_revision") != there["_revision"]:
            raise Refused(412, 604, "The object was modified by somebody else, please retry")
        if (there is not None and not is_marked(there)) or not is_marked(body):
            self.violations.append(("PUT", path))
        self.objects[path] = {**body, "_revision": there["_revision"] + 1 if there else 0,
                              "id": path.rsplit("/", 1)[1], "path": path, "resource_type": kind}
        return self.objects[path]

    def delete(self, path):
        there = self.objects.get(path)
        if there is None:
            raise Refused(404, 500090, f"The path=[{path}] is invalid")
        users = [name for name, body in self.objects.items()
                 if path in (body.get("destination_group"), body.get("port_mirroring_profile_path"))
                 or name.startswith(path + "/")]
        if users:
            raise Refused(400, 500030, f"The object path=[{path}] cannot be deleted as either it "
                                       f"has children or it is being referenced by {users}")
        if not is_marked(there):
            self.violations.append(("DELETE", path))
        del self.objects[path]
        return 200, None
