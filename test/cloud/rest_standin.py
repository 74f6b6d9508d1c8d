"""What stand-ins for clouds with JSON interfaces have in common: a server that writes down every
call, tokens that end and can be withdrawn, and faults on demand. Nothing of it leaves this machine."""
import collections
import http.server
import json
import threading
import time
import urllib.parse

Call = collections.namedtuple("Call", "method path query headers body")


class Refusal(Exception):
    """An answer that is no success: `body` as the cloud writes it."""

    def __init__(self, status, body=None, headers=None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class Standin:
    """A subclass has handle(call) -> (status, body, headers), and refusal(status, code, text)."""

    def __init__(self):
        self.lock = threading.RLock()
        self.calls = []       # all that were made
        self.violations = []  # things of others that somebody tried to change, and broken rules
        self.tokens = {}      # token: when it ends
        self.token_life = 3600
        self.n_tokens = 0
        self.faults = []      # [status, headers, body, condition]: each is used up by one call
        self.kill_at = None   # (the number of a call from 0, "before" or "after", what kills)
        self.n_counted = 0    # calls since count_from_now()
        standin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def serve(self):
                standin.serve(self)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # the client was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- tokens ----

    def new_token(self):
        self.n_tokens += 1
        token = f"secret-token-{self.n_tokens}"
        self.tokens[token] = time.time() + self.token_life
        return token

    def withdraw_tokens(self):
        self.tokens.clear()

    def is_authorized(self, call):
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and self.tokens.get(token, 0) > time.time()

    # ---- faults ----

    def fault(self, status, code="Fault", text="a fault on demand", n=1, headers=None, when=None):
        """The next n calls that fulfil when(call) are answered with this."""
        for _ in range(n):
            self.faults.append((status, headers or {}, self.refusal(status, code, text), when))

    def take_fault(self, call):
        for i, (status, headers, body, when) in enumerate(self.faults):
            if when is None or when(call):
                del self.faults[i]
                raise Refusal(status, body, headers)

    def count_from_now(self):
        self.n_counted = 0
        self.calls.clear()

    # ---- one call ----

    def serve(self, handler):
        size = int(handler.headers.get("content-length") or 0)
        raw = handler.rfile.read(size) if size else b""
        where = urllib.parse.urlsplit(handler.path)
        query = {name: values[-1] for name, values in
                 urllib.parse.parse_qs(where.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = raw
        if "json" in headers.get("content-type", ""):
            body = json.loads(raw)
        call = Call(handler.command, urllib.parse.unquote(where.path), query, headers, body)
        with self.lock:
            number = self.n_counted
            self.n_counted += 1
            self.calls.append(call)
            if self.kill_at and self.kill_at[:2] == (number, "before"):
                self.kill_at[2]()
                return
            try:
                status, answer, more = self.handle(call)
            except Refusal as refused:
                status, answer, more = refused.status, refused.body, refused.headers
            if self.kill_at and self.kill_at[:2] == (number, "after"):
                self.kill_at[2]()
                return
        text = b"" if answer is None else \
            answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in more.items():
            handler.send_header(name, str(value))
        if answer is not None:
            handler.send_header("Content-Type", "text/plain" if isinstance(answer, str)
                                else "application/json; charset=utf-8")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(text)


def only_fields(body, shape, where="body"):
    """Sentences about fields of `body` that a published schema has not, or has with another type.
    shape: {field: type or shape or [shape]}."""
    wrong = []
    if not isinstance(body, dict):
        return [f"{where} is no object"]
    for name, value in body.items():
        want = shape.get(name)
        if want is None:
            wrong.append(f"{where} has no field {name}")
        elif isinstance(want, dict):
            if "*" in want:
                if not isinstance(value, dict) or \
                        not all(isinstance(one, want["*"]) for one in value.values()):
                    wrong.append(f"{where}.{name} is no map of {want['*'].__name__}")
            else:
                wrong += only_fields(value, want, f"{where}.{name}")
        elif isinstance(want, list):
            if not isinstance(value, list):
                wrong.append(f"{where}.{name} is no list")
                continue
            for one in value:
                if isinstance(want[0], dict):
                    wrong += only_fields(one, want[0], f"{where}.{name}[]")
                elif not isinstance(one, want[0]):
                    wrong.append(f"{where}.{name}[] is no {want[0].__name__}")
        elif not isinstance(value, want) or (want is int and isinstance(value, bool)):
            wrong.append(f"{where}.{name} is no {want.__name__}")
    return wrong
