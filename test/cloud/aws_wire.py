"""What goes over the wire to AWS, seen from its side: forms of the Query protocol become objects and
are checked against what an action takes, answers become XML, signatures of version 4 are verified.
All of it by the published description of the protocols, not with anybody's client library."""
import datetime
import hashlib
import hmac
import re
import urllib.parse
from xml.sax.saxutils import escape

EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"
# Version in the form: the service that signs, its XML namespace.
QUERY = {
    "2016-11-15": ("ec2", EC2),
    "2011-06-15": ("sts", "https://sts.amazonaws.com/doc/2011-06-15/"),
    "2015-12-01": ("elasticloadbalancing",
                   "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"),
    "2010-08-01": ("monitoring", "http://monitoring.amazonaws.com/doc/2010-08-01/"),
}
SKEW = 300  # seconds that a request's date may be off
ALGORITHM = "AWS4-HMAC-SHA256"


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, code, message, status=400):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


# --- Forms ----------------------------------------------------------------------------------------


def form_of(body):
    """[(name, value)] in the order of the form, or Refused."""
    try:
        text = body.decode("ascii")
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise Refused("MalformedQueryString", "The query string contains a syntax error.") from None
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Refused("InvalidParameterCombination", "A parameter is there twice")
    return pairs


def tree_of(pairs, member):
    """{"Filter": [{"Name": …, "Value": […]}]} of Filter.1.Name, Filter.1.Value.1 …; `member`: of
    Filters.member.1…"""
    root = {}
    for name, value in pairs:
        node, parts = root, name.split(".")
        if member:
            parts = [part for at, part in enumerate(parts)
                     if not (part == "member" and parts[at + 1:at + 2] and parts[at + 1].isdigit())]
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise Refused("InvalidParameterCombination", f"{name} is both value and structure")
        if isinstance(node.get(parts[-1]), dict):
            raise Refused("InvalidParameterCombination", f"{name} is both value and structure")
        node[parts[-1]] = value
    return lists_in(root)


def lists_in(node):
    """Objects whose names are 1, 2, 3 … become lists."""
    if not isinstance(node, dict):
        return node
    node = {name: lists_in(value) for name, value in node.items()}
    if node and all(name.isdigit() for name in node):
        if sorted(map(int, node)) != list(range(1, len(node) + 1)):
            raise Refused("InvalidParameterValue", f"List indices {sorted(node)} are not 1, 2, 3 …")
        return [node[str(n)] for n in range(1, len(node) + 1)]
    return node


def take(spec, given, path=""):
    """The parameters with their types, or Refused. `spec`: {name: type}, a "!" behind the name of
    one that is required. Types: str, int, bool, [type], {…}, a tuple of the values it may have."""
    known = {name.rstrip("!"): kind for name, kind in spec.items()}
    for name in given:
        if name not in known:
            raise Refused("UnknownParameter", f"The parameter {path}{name} is not recognized")
    for name in spec:
        if name.endswith("!") and name[:-1] not in given:
            raise Refused("MissingParameter",
                          f"The request must contain the parameter {path}{name[:-1]}")
    return {name: typed(known[name], value, path + name) for name, value in given.items()}


def typed(kind, value, name):
    wrong = Refused("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid.")
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise wrong
        return take(kind, value, name + ".")
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise wrong
        return [typed(kind[0], item, f"{name}.{n}") for n, item in enumerate(value, 1)]
    if isinstance(value, (dict, list)):
        raise wrong
    if kind is int:
        if not re.fullmatch(r"-?\d{1,10}", value):
            raise wrong
        return int(value)
    if kind is float:
        return float(value)
    if kind is bool:
        if value not in ("true", "false"):
            raise wrong
        return value == "true"
    if isinstance(kind, tuple) and value not in kind:
        raise wrong
    return value


# --- Answers --------------------------------------------------------------------------------------


def element(name, value, item="item"):
    """None is left out. A list has its items in <item>, or <member>."""
    if value is None:
        return ""
    if isinstance(value, dict):
        inner = "".join(element(key, child, item) for key, child in value.items())
    elif isinstance(value, (list, tuple)):
        inner = "".join(element(item, child, item) for child in value)
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def document(text):
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + text).encode()


def good(service, space, action, value, request):
    if service == "ec2":
        inner = "".join(element(key, child) for key, child in value.items())
        return document(f'<{action}Response xmlns="{space}"><requestId>{request}</requestId>'
                        f'{inner}</{action}Response>')
    return document(f'<{action}Response xmlns="{space}">'
                    f'{element(action + "Result", value, "member")}<ResponseMetadata>'
                    f'<RequestId>{request}</RequestId></ResponseMetadata></{action}Response>')


def bad(service, space, refused, request):
    code, message = escape(refused.code), escape(refused.message)
    if service == "ec2":
        return document(f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>"
                        f"</Error></Errors><RequestID>{request}</RequestID></Response>")
    kind = "Sender" if refused.status < 500 else "Receiver"
    return document(f'<ErrorResponse xmlns="{space}"><Error><Type>{kind}</Type><Code>{code}</Code>'
                    f"<Message>{message}</Message></Error><RequestId>{request}</RequestId>"
                    "</ErrorResponse>")


def iso(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def seconds_of(text):
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return when.replace(tzinfo=when.tzinfo or datetime.timezone.utc).timestamp()


# --- Signatures -----------------------------------------------------------------------------------


def hashed(data):
    return hashlib.sha256(data).hexdigest()


def keyed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def quote(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return "&".join(sorted(f"{quote(name)}={quote(value)}" for name, value in pairs))


def signature(secret, date, scope, method, path, query, headers, signed, body):
    """What the signature must be. `headers`: {name in lower case: value}; `scope`: [day, region,
    service, "aws4_request"]."""
    canonical = "\n".join([method, quote(path, "/"), canonical_query(query),
                           *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
                           "", ";".join(signed), hashed(body)])
    to_sign = "\n".join([ALGORITHM, date, "/".join(scope), hashed(canonical.encode())])
    key = ("AWS4" + secret).encode()
    for part in scope:
        key = keyed(key, part)
    return keyed(key, to_sign).hex()


def parse_authorization(text):
    """(access key, scope, signed headers, signature) or Refused."""
    match = re.fullmatch(ALGORITHM + r" Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,"
                         r" ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})", text)
    if not match:
        raise Refused("IncompleteSignature", "Authorization header is not as it has to be")
    key, day, region, service, signed, given = match.groups()
    return key, [day, region, service, "aws4_request"], signed.split(";"), given


def verify(secret, now, method, target, headers, body, must_sign=()):
    """Refused where date or signature are wrong."""
    path, _, query = target.partition("?")
    _, scope, signed, given = parse_authorization(headers.get("authorization", ""))
    date = headers.get("x-amz-date", "")
    if not re.fullmatch(r"\d{8}T\d{6}Z", date) or date[:8] != scope[0]:
        raise Refused("SignatureDoesNotMatch", "Date in Credential scope does not match", 403)
    if signed != sorted(signed):
        raise Refused("SignatureDoesNotMatch", "The signed headers are not sorted", 403)
    for name in ("host", "x-amz-date", *must_sign):
        if name not in signed:
            raise Refused("SignatureDoesNotMatch", f"'{name}' must be a 'SignedHeader'", 403)
    sent = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if sent.timestamp() < now - SKEW:
        raise Refused("RequestExpired", "Request has expired.")
    if sent.timestamp() > now + SKEW:
        raise Refused("SignatureDoesNotMatch", f"Signature not yet current: {date} is still later "
                      "than " + iso(now + SKEW), 403)
    if signature(secret, date, scope, method, path, query, headers, signed, body) != given:
        raise Refused("SignatureDoesNotMatch", "The request signature we calculated does not match "
                      "the signature you provided. Check your key and signing method.", 403)
