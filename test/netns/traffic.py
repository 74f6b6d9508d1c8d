"""Traffic for the laboratory: small servers and clients of our own, whose sockets live in the
namespaces. What is said comes back as the number of rows that each log must get of it."""
import contextlib
import itertools
import os
import socket
import ssl
import struct
import subprocess
import time

import messages as m
import packets as p
from lab import Failed, need

echo_idents = itertools.count(0x5000)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_socket(ns, address, port, backlog=512):
    with ns.inside():
        sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(backlog)
    return sock


def udp_socket(ns, address, port=0):
    with ns.inside():
        sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def connect(ns, address, port, source="", limit=30):
    with ns.inside():
        sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.settimeout(limit)
    if source:
        sock.bind((source, 0))
    sock.connect((address, port))
    return sock


def read_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece
    return data


def answer_http(sock):
    """GET /bytes/N gives N bytes; the server closes after the answer."""
    with sock:
        head = read_head(sock)
        if not head:
            return
        path = head.split(b" ")[1]
        n = int(path.rsplit(b"/", 1)[1]) if path.startswith(b"/bytes/") else 30
        body = (b"0123456789abcdef" * (n // 16 + 1))[:n]
        sock.sendall(m.http_response(200, "OK", body, ["Content-Type: text/plain",
                                                       "Connection: close"]))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def accept_for_ever(lab, listening, handle):
    def loop():
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            sock.settimeout(60)
            lab.serve(guard, handle, sock)
    lab.serve(loop)


def guard(handle, sock):
    try:
        handle(sock)
    except (OSError, ValueError, IndexError):
        sock.close()


def http_server(lab, ns, address, port=80):
    accept_for_ever(lab, tcp_socket(ns, address, port), answer_http)


def http_get(ns, address, path="/", port=80, source="", host="www.example.net"):
    with connect(ns, address, port, source) as sock:
        sock.sendall(m.http_request("GET", path, host=host))
        n = 0
        while piece := sock.recv(65536):
            n += len(piece)
        return n


def dns_server(lab, ns, address):
    sock = udp_socket(ns, address, 53)

    def loop():
        while True:
            query, who = sock.recvfrom(4096)
            if len(query) < 17:
                continue
            ident = int.from_bytes(query[:2], "big")
            record = m.dns_record(12, m.A, p.ip4("192.0.2.80"))
            with contextlib.suppress(ValueError):  # of a canary, whose bytes are no question
                sock.sendto(m.dns_answer(ident, name_of(query), m.A, [record]), who)
    lab.serve(loop)


def name_of(query):
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
        at += 1 + query[at]
    return ".".join(labels)


def dns_ask(ns, address, name, ident, source=""):
    with ns.inside():
        sock = socket.socket(family(address), socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(10)
        if source:
            sock.bind((source, 0))
        sock.connect((address, 53))
        sock.send(m.dns_query(ident, name, m.A))
        return sock.recv(4096)


def certificate(lab):
    path = lab.path("tls.pem")
    if not os.path.exists(path):
        subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3", "-subj",
                        "/CN=www.example.net/O=Example", "-keyout", path, "-out", path + ".crt"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(path, "a", encoding="ascii") as file, open(path + ".crt", encoding="ascii") as crt:
            file.write(crt.read())
    return path


def tls_server(lab, ns, address, port=443):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(lab))

    def answer(sock):
        with context.wrap_socket(sock, server_side=True) as secure:
            answer_http(secure)
    accept_for_ever(lab, tcp_socket(ns, address, port), answer)


def tls_get(ns, address, port=443, version=ssl.TLSVersion.TLSv1_2, path="/bytes/3000"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    with context.wrap_socket(connect(ns, address, port), server_hostname="www.example.net") as sock:
        sock.sendall(m.http_request("GET", path))
        n = 0
        while piece := sock.recv(65536):
            n += len(piece)
        return n


def echo_request(address, ident, number, size):
    rest = struct.pack("!HH", ident, number) + bytes(i & 255 for i in range(size))
    if ":" in address:
        return bytes([128, 0, 0, 0]) + rest  # its checksum is the kernel's business
    return struct.pack("!BBH", 8, 0, p.checksum(bytes([8, 0, 0, 0]) + rest)) + rest


def echo_answers(sock, ident, until):
    """The numbers of those that are answered to this socket, one after the other."""
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data = sock.recv(65536)
        except TimeoutError:
            return
        if sock.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4:]
        if data[0] in (0, 129) and len(data) >= 8 and data[4:6] == ident.to_bytes(2, "big"):
            yield int.from_bytes(data[6:8], "big")


def ping(ns, address, count=2, size=56, check=True):
    """As ping does; but that gives up on an answer that takes longer than twice the one before it,
    and here the machine may be busy. Gives how many were answered; if checked, that is all."""
    with ns.inside():
        sock = socket.socket(family(address), socket.SOCK_RAW, socket.IPPROTO_ICMPV6
                             if ":" in address else socket.IPPROTO_ICMP)
    ident = next(echo_idents)
    answered, trouble = set(), "no answer"
    with sock:
        try:
            sock.connect((address, 0))
            for number in range(count):
                sock.send(echo_request(address, ident, number, size))
                if number + 1 < count:
                    answered.update(echo_answers(sock, ident, time.monotonic() + 0.05))
            answers = echo_answers(sock, ident, time.monotonic() + (60 if check else 5))
            while len(answered) < count:
                answered.add(next(answers))
        except StopIteration:
            pass
        except OSError as error:
            trouble = error
    if check and len(answered) < count:
        raise Failed(f"ping {address} in {ns.name}: {len(answered)} of {count} were answered: {trouble}")
    return len(answered)


def servers(lab, ns, *addresses):
    """All of them at once, on each of the addresses."""
    for address in addresses:
        http_server(lab, ns, address)
        tls_server(lab, ns, address)
        dns_server(lab, ns, address)


def exchange(ns, address, turn=0):
    """A bit of everything between ns and the servers at the address. Gives the rows that http.log,
    dns.log and ssl.log get of it."""
    ping(ns, address)
    dns_ask(ns, address, f"turn{turn}.example.net", 0x1000 + turn)
    http_get(ns, address, f"/turn/{turn}/bytes")
    http_get(ns, address, "/bytes/4000")
    tls_get(ns, address)
    return {"http": 2, "dns": 1, "ssl": 1}


def sum_of(*counts):
    total = {}
    for part in counts:
        for name, n in part.items():
            total[name] = total.get(name, 0) + n
    return total
