"""Messages of the protocols above TCP and UDP, for the test captures: DNS, HTTP, TLS, X.509."""
import struct

# --- DNS (RFC 1035) -----------------------------------------------------------------------------

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, HTTPS = 1, 2, 5, 6, 12, 15, 16, 28, 33, 65


def dns_name(name):
    out = b""
    for label in name.split("."):
        if label:
            out += bytes([len(label)]) + label.encode("latin-1")
    return out + b"\0"


def dns_record(name, kind, data, ttl=300):
    """`name`: text, or an offset to point back to."""
    owner = struct.pack("!H", 0xC000 | name) if isinstance(name, int) else dns_name(name)
    return owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def dns_query(ident, name, kind, flags=0x0100):
    return struct.pack("!HHHHHH", ident, flags, 1, 0, 0, 0) + dns_name(name) + \
        struct.pack("!HH", kind, 1)


def dns_answer(ident, name, kind, answers, rcode=0, authority=(), additional=(), flags=0x8180):
    return struct.pack("!HHHHHH", ident, flags | rcode, 1, len(answers), len(authority),
                       len(additional)) + dns_name(name) + struct.pack("!HH", kind, 1) + \
        b"".join(answers) + b"".join(authority) + b"".join(additional)


def dns_text(*texts):
    return b"".join(bytes([len(t)]) + t for t in texts)


# --- HTTP (RFC 9112) ----------------------------------------------------------------------------


def http_request(method, uri, host="www.example.net", headers=(), body=b""):
    lines = [f"{method} {uri} HTTP/1.1", f"Host: {host}", "User-Agent: test/1.0", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def http_response(status, reason, body=b"", headers=(), length=True):
    lines = [f"HTTP/1.1 {status} {reason}", "Server: test", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


# --- DER, as far as a certificate needs it ------------------------------------------------------


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def der_oid(text):
    numbers = [int(n) for n in text.split(".")]
    out = bytes([40 * numbers[0] + numbers[1]])
    for n in numbers[2:]:
        octets = [n & 0x7F]
        while n > 0x7F:
            n >>= 7
            octets.append(0x80 | n & 0x7F)
        out += bytes(reversed(octets))
    return der(6, out)


def der_integer(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def der_name(**fields):
    """CN, O, C …, in the order given."""
    oids = {"CN": "2.5.4.3", "C": "2.5.4.6", "O": "2.5.4.10", "OU": "2.5.4.11"}
    return der(0x30, *[der(0x31, der(0x30, der_oid(oids[k]), der(19 if k == "C" else 12, v.encode())))
                       for k, v in fields.items()])


def certificate(subject, issuer, names, serial=0x1234567890, ca=False, bits=2048):
    """An X.509 v3 certificate with an RSA key and a signature that are only of the right size."""
    null = der(5)
    algorithm = der(0x30, der_oid("1.2.840.113549.1.1.11"), null)
    modulus = int.from_bytes((b"\xc5" + b"\x5a" * (bits // 8 - 2) + b"\x01"), "big")
    key = der(0x30, der_integer(modulus), der_integer(65537))
    spki = der(0x30, der(0x30, der_oid("1.2.840.113549.1.1.1"), null), der(3, b"\0", key))
    extensions = []
    if names:
        extensions.append(der(0x30, der_oid("2.5.29.17"),
                              der(4, der(0x30, *[der(0x82, n.encode()) for n in names]))))
    basic = der(0x30, der(1, b"\xff")) if ca else der(0x30)
    extensions.append(der(0x30, der_oid("2.5.29.19"), der(1, b"\xff"), der(4, basic)))
    tbs = der(0x30, der(0xA0, der_integer(2)), der_integer(serial), algorithm, issuer,
              der(0x30, der(23, b"230101000000Z"), der(23, b"330101000000Z")), subject, spki,
              der(0xA3, der(0x30, *extensions)))
    return der(0x30, tbs, algorithm, der(3, b"\0" + b"\x5a" * (bits // 8)))


# --- TLS (RFC 5246, RFC 8446) -------------------------------------------------------------------


def vector(size_octets, *parts):
    body = b"".join(parts)
    return len(body).to_bytes(size_octets, "big") + body


def tls_record(kind, body, version=0x0303):
    return struct.pack("!BHH", kind, version, len(body)) + body


def tls_message(kind, body):
    return bytes([kind]) + vector(3, body)


def tls_extension(kind, body):
    return struct.pack("!H", kind) + vector(2, body)


def hello_extensions(host, alpn, tls13):
    out = []
    if host:
        out.append(tls_extension(0, vector(2, b"\0" + vector(2, host.encode()))))
    out.append(tls_extension(10, vector(2, struct.pack("!HHH", 29, 23, 24))))
    out.append(tls_extension(11, vector(1, b"\0")))
    out.append(tls_extension(13, vector(2, struct.pack("!HHH", 0x0403, 0x0804, 0x0401))))
    if alpn:
        out.append(tls_extension(16, vector(2, *[vector(1, p) for p in alpn])))
    if tls13:
        out.append(tls_extension(43, vector(1, struct.pack("!HH", 0x0304, 0x0303))))
        out.append(tls_extension(51, vector(2, struct.pack("!H", 29), vector(2, b"\x11" * 32))))
    return out


def client_hello(host="www.example.net", alpn=(b"h2", b"http/1.1"), tls13=False, session=b"",
                 version=0x0303, cookie=None):
    ciphers = [0x1301, 0x1302] if tls13 else []
    ciphers += [0xC02B, 0xC02F, 0x009C, 0x002F]
    return tls_message(1, struct.pack("!H", version) + bytes(range(32)) + vector(1, session) +
                       (b"" if cookie is None else vector(1, cookie)) +
                       vector(2, struct.pack(f"!{len(ciphers)}H", *ciphers)) + vector(1, b"\0") +
                       vector(2, *hello_extensions(host, alpn, tls13)))


def server_hello(cipher=0xC02F, alpn=None, tls13=False, session=b"", version=0x0303):
    extensions = []
    if alpn:
        extensions.append(tls_extension(16, vector(2, vector(1, alpn))))
    if tls13:
        extensions.append(tls_extension(43, struct.pack("!H", 0x0304)))
        extensions.append(tls_extension(51, struct.pack("!H", 29) + vector(2, b"\x22" * 32)))
    return tls_message(2, struct.pack("!H", version) + bytes(range(32, 64)) + vector(1, session) +
                       struct.pack("!HB", cipher, 0) + vector(2, *extensions))


def tls_certificates(*certificates):
    return tls_message(11, vector(3, *[vector(3, c) for c in certificates]))


def server_key_exchange():
    point = b"\4" + b"\x33" * 64
    return tls_message(12, struct.pack("!BH", 3, 23) + vector(1, point) +
                       struct.pack("!H", 0x0401) + vector(2, b"\x44" * 256))


def client_key_exchange():
    return tls_message(16, vector(1, b"\4" + b"\x55" * 64))


CHANGE_CIPHER = tls_record(20, b"\1")


def encrypted(size, kind=22):
    return tls_record(kind, b"\x66" * size)


def dtls_record(kind, epoch, seq, body, version=0xFEFD):
    return struct.pack("!BHHIHH", kind, version, epoch, seq >> 16, seq & 0xFFFF, len(body)) + body


def dtls_message(message, seq):
    """A TLS handshake message with DTLS's sequence number and fragment fields, in one piece."""
    return message[:4] + struct.pack("!H", seq) + b"\0\0\0" + message[1:4] + message[4:]
