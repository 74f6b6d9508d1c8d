#!/usr/bin/env python3
"""Writes the first inputs of the fuzzers, made of the test captures: FOLDER/fuzz_NAME/SEED.

usage: make_seeds.py FOLDER STAMP NAME...

Each NAME gets its folder, though it may stay empty.
"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test"))
import make_captures  # noqa: E402  (its folder is put on the path first)
import messages as m  # noqa: E402

# The order of `links` in fuzz_stack.c.
LINKS = [1, 101, 113, 276, 0]

# The order of proto/list.h, as fuzz_analyzer.c counts.
DNS, HTTP, SSL, DTLS = range(4)


def frames_of(data):
    """Link type and frames of a classic capture in this machine's order; nothing of another."""
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        return 0, []
    link = struct.unpack_from("<I", data, 20)[0]
    frames, at = [], 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return link, frames


def pieces(*parts):
    return b"".join(struct.pack("!H", len(part)) + part for part in parts)


def live_steps(link, frames):
    """As fuzz_live.c reads them: all inputs and both workers in turn, orders between them."""
    what = bytearray([0])
    raw, worker, end = 16, 8, 32
    for i, frame in enumerate(frames[:200]):
        what += bytes([1 + i // 3 % 7 | (i & 1 and worker) | (link != 1 and raw) | (i % 5 == 4 and end)])
        what += pieces(frame[:1500])
        if i % 7 == 6:
            what += bytes([0, i // 7 % 10, i % 256])
    return bytes(what)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out, stamp, *fuzzers = sys.argv[1:]
    for fuzzer in fuzzers:
        os.makedirs(os.path.join(out, "fuzz_" + fuzzer), exist_ok=True)

    def seed(fuzzer, name, data):
        os.makedirs(os.path.join(out, fuzzer), exist_ok=True)
        with open(os.path.join(out, fuzzer, name), "wb") as f:
            f.write(data)

    for name, make in make_captures.CAPTURES.items():
        data = make()
        seed("fuzz_capture", name, data)
        link, frames = frames_of(data)
        if frames and link in LINKS:
            for mirror in (0, 1):
                head = bytes([LINKS.index(link), mirror])
                seed("fuzz_stack", f"{name}.{mirror}", head + pieces(*frames))
                seed("fuzz_read", f"{name}.{mirror}", head + pieces(*frames))
        if frames and link in (1, 101):
            seed("fuzz_live", name, live_steps(link, frames))

    def talk(which, name, *parts, tcp=True):
        """(side, bytes) in turn."""
        said = b"".join(bytes([side]) + pieces(part) for side, part in parts)
        seed("fuzz_analyzer", name, bytes([which, tcp]) + said)
        if which == DNS:
            seed("fuzz_dns", name, bytes([0, tcp]) + said)
        elif which == HTTP:
            seed("fuzz_http", name, said)
        elif which in (SSL, DTLS):
            seed("fuzz_tls", name, bytes([which == DTLS]) + said)

    talk(HTTP, "get", (0, m.http_request("GET", "/a?b=c")),
         (1, m.http_response(200, "OK", b"hello", ["Content-Type: text/plain"])))
    talk(HTTP, "chunked", (0, m.http_request("POST", "/", body=b"x=y")),
         (1, m.http_response(200, "OK", m.chunked(b"one", b"two"),
                             ["Transfer-Encoding: chunked"], length=False)))
    talk(HTTP, "gzip", (0, m.http_request("GET", "/z")),
         (1, m.http_response(200, "OK", make_captures.p.gzipped(b"hello " * 20),
                             ["Content-Encoding: gzip"])))
    answer = m.dns_answer(7, "a.example", m.A, [m.dns_record(12, m.A, b"\1\2\3\4"),
                                                m.dns_record(12, m.CNAME, b"\1b\xc0\x0c")])
    talk(DNS, "udp", (0, m.dns_query(7, "a.example", m.A)), (1, answer), tcp=False)
    talk(DNS, "tcp", (0, m.vector(2, m.dns_query(7, "a.example", m.A))), (1, m.vector(2, answer)))
    talk(SSL, "tls12", (0, m.tls_record(22, m.client_hello(), 0x0301)),
         (1, m.tls_record(22, m.server_hello() + make_captures.tls_server())),
         (0, m.CHANGE_CIPHER + m.encrypted(40)), (1, m.CHANGE_CIPHER + m.encrypted(40)))
    talk(SSL, "tls13", (0, m.tls_record(22, m.client_hello(tls13=True), 0x0301)),
         (1, m.tls_record(22, m.server_hello(0x1301, tls13=True)) + m.CHANGE_CIPHER))
    hello = m.dtls_message(m.client_hello(cookie=b"", version=0xFEFD), 0)
    talk(DTLS, "hello", (0, m.dtls_record(22, 0, 0, hello)),
         (1, m.dtls_record(22, 0, 1, m.dtls_message(m.server_hello(version=0xFEFD), 1))), tcp=False)

    seed("fuzz_feeds", "kinds", b"# list\r\n1.2.3.4\n198.51.100.0/24 scanners\n2001:db8::/32\n"
         b"203.0.113.7:8080\n[2001:db9::5]:443\n0.0.0.0 hosts.example # x\n"
         b"hxxps://url[.]example:8443/p\n||a.example^\nco.uk\n*.b.example\n0.0.0.0/0\n"
         b"6734f37431670b3ab4292b8f60f29984,2018,Trickbot\nt13d1516h2_8daaf6152771_e5627efa2ab1 C\n")

    # The order of enum hunt_log.
    every_log = b""
    ends = b"ts uid id.orig_h id.orig_p id.resp_h id.resp_p"
    for log, name, columns, row in (
            (12, "conn", b"proto service duration orig_bytes conn_state history source agent_uuid",
             b"tcp ssl 1.5 12 SF ShADadFf web-1 u-1"),
            (5, "dns", b"proto query qtype answers AA", b"udp a\\x2db.example 16 TXT\\x201,- T"),
            (0, "http", b"method host uri status_code resp_mime_types", b"GET a.example /\\\\x 200 a/b,c/d"),
            (2, "ssl", b"server_name cert_chain_fps ja3 established", b"a.example aa,bb (empty) T"),
            (7, "smtp", b"helo last_reply", b"a 535\\x20no\\x20login"),
            (8, "tunnel", b"tunnel_type action", b"Tunnel::GRE Tunnel::DISCOVER"),
            (9, "x509", b"fingerprint certificate.not_valid_after san.dns", b"aa 1722750331.0 a,b")):
        row = b"1517336042.279652 Ca 10.0.0.1 1024 2001:db8::1 443 " + row
        tsv = (b"#separator \\x09\n#path\t" + name.encode() + b"\n#fields\t" +
               (ends + b" " + columns).replace(b" ", b"\t") + b"\n" + row.replace(b" ", b"\t") + b"\n")
        pairs = zip((ends + b" " + columns).split(), row.split())
        json = b"{" + b",".join(b'"%s":["%s",1]' % (k, v) if b"," in v else b'"%s":"%s"' % (k, v)
                                for k, v in pairs) + b',"n":{"a":[1,{}]},"u":"\\u00e9"}\n'
        seed("fuzz_hunt", name, bytes([log]) + tsv * 2 + b"#close\tx\n")
        seed("fuzz_hunt", name + ".json", bytes([log]) + json * 2)
        # Many at different times, so that there is something to judge.
        many = tsv + b"".join(
            row.replace(b"1517336042", b"%d" % (1517336042 + 60 * i)).replace(b"Ca", b"C%d" % i)
            .replace(b".example", b"%d.example.org" % i).replace(b" ", b"\t") + b"\n"
            for i in range(60))
        every_log += pieces(bytes([log]) + many)
    for first in (0, 1):
        seed("fuzz_judge", f"every.{first}", bytes([first]) + every_log)

    for name, start in (("html", b"<!-- x --> <?xml ?><html>"), ("json", b'{"a": [1, true]}'),
                        ("zip", b"PK\3\4\x14\0\6\0" + bytes(22) + b"[Content_Types].xml"),
                        ("script", b"#! /usr/bin/env python\n"), ("ini", b"[a]\nb = c\n")):
        seed("fuzz_mime", name, start)

    def crypto(message, offset=0):
        return b"\6" + struct.pack("!HH", 0x4000 | offset, 0x4000 | len(message)) + message

    CLIENT, SERVER, SEALED, VERSION_2, TAIL = 0, 1, 2, 4, 32  # as in fuzz_quic.c
    client = m.client_hello(tls13=True)
    server = m.server_hello(0x1301, tls13=True)
    retry = bytes.fromhex("f00000000103") + b"xyz" + b"\5serve" + bytes(20)
    for name, parts in {
        "hellos": ((SEALED, crypto(client)), (SEALED | SERVER, b"\2\0\0\0\0" + crypto(server))),
        "halves": ((SEALED | VERSION_2, crypto(client[20:], 20)),
                   (SEALED | VERSION_2, crypto(client[:20]) + b"\1" + bytes(9))),
        "retry": ((SEALED, crypto(client)), (SERVER, retry), (SEALED | 8 | 16, crypto(client))),
        "close": ((SEALED, b"\1" * 5), (SEALED | SERVER, b"\x1c\x41\x28\6\4text")),
        "closed": ((SEALED | TAIL, b"\xe0\0\0\0\1\0\0\2ab"), (CLIENT, b"\x40abcdefgh")),
        "unknown": ((CLIENT, b"\xc0\x0a\x1a\x2a\x3a\2ab\0"),),
    }.items():
        seed("fuzz_quic", name, b"\1" + b"".join(bytes([what]) + pieces(part)
                                                 for what, part in parts))

    seed("fuzz_log", "texts", pieces(b"", b"-", b"(empty)", b"a,b\tc\n\0\x7f", b"\\x41\\", b'"',
                                     "\u00e4\u20ac\U0001f600".encode(), b"\xe2\x82\xff\xc0\x80",
                                     b"plain text of more than sixteen\x01bytes"))

    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "doc", "cloudspan.yaml")
    with open(example, "rb") as f:
        seed("fuzz_config", "example", f.read())
    for name, text in (("aliases", "x-a: &a {network: n}\nx-b: &b [*a, *a]\nnetworks: {n: {channels: 1}}\n"
                                   "sources:\n- {<<: *b, name: a, addresses: '::1'}\n"),
                       ("listen", "listen: ['udp::[::1]:9:raw', gre, '-', {interface: e, filter: \"\\x41\"}]\n"),
                       ("short", "pcap-over-ip:[::1]:57012"),
                       ("block", "on-alarm:\n- |\n  a\n- >-\n  b\n  c\nlimits: {memory: 64M, workers: auto}\n")):
        seed("fuzz_config", name, text.encode())

    for name, text in (("words", "env=prod and not (role=db or 'a key'=\"x\\\\*\"*)\nenv=prod\nrole=web\n"
                                 "a key=x*y\n"),
                       ("patterns", "k*/?=* or Name!=w?b-* and \u00e4?\nName=web-1\n\u00e4\u00f6=\n"),
                       ("wrong", "((a and) or\na=b\n")):
        seed("fuzz_tags", name, text.encode())
    names = (b"\x11web-1\0i-1\0any\0\0\0\0\1", b"\x2e\xe4\xb8\xad \"x\" \\\0/a/b\00010.9.0.2\0\0\0\0\2\7",
             b"\x03- a: b #\xe2\x80\xa8\xff\0\0\0\0\0\0\0")
    seed("fuzz_record", "names", b"".join(names))

    RESP, FIN, ACK, OTHER = 1, 2, 4, 8  # as in fuzz_stream.c
    for name, first, options in (("order", 1000, 0), ("round", 0xFFFFFFE0, 0), ("poor", 7, 1)):
        stream = bytes([options]) + struct.pack("!IHIH", first, 999, first, 99)
        for what, at, size, ack in ((0, 0, 10, 0), (RESP | ACK, 0, 9, 10), (0, 20, 10, 0),
                                    (OTHER, 15, 30, 0), (0, 10, 7, 0), (RESP | ACK, 9, 0, 44),
                                    (ACK, 200, 255, 9), (RESP | ACK, 9, 0, 700),
                                    (FIN, 900, 0, 0), (RESP | FIN | ACK, 9, 0, 1001),
                                    (ACK | OTHER, 0, 255, 101)):
            stream += struct.pack("!BHBH", what, at, size, ack)
        seed("fuzz_stream", name, stream)

    name = m.der_name(CN="a.example", O="Test", C="NL")
    seed("fuzz_x509", "leaf", m.certificate(name, name, ["a.example", "*.b.example"]))
    seed("fuzz_x509", "root", m.certificate(name, name, [], serial=1, ca=True))

    # Ports as analyzer_starttls counts them.
    for port, name, *parts in (
            (1, "smtp", (1, b"220 a\r\n"), (0, b"EHLO b\r\nSTARTTLS\r\n"), (1, b"250 a\r\n220 go\r\n")),
            (2, "imap", (0, b"a STARTTLS\r\n"), (1, b"a OK\r\n")),
            (7, "gridftp", (1, b"220 a\r\n"), (0, b"AUTH GSSAPI\r\n"), (1, b"334 go\r\n"),
             (0, b"ADAT FgMBAAIBAA==\r\n"), (1, b"335 ADAT=FgMBAAMC\r\n")),
            (11, "xmpp", (0, b"<stream:stream xmlns='jabber:client'><starttls/>"), (1, b"<proceed/>")),
            (3, "ldap", (0, b"0\x1d\2\1\1w\x18\x80\x161.3.6.1.4.1.1466.20037"),
             (1, b"0\x0c\2\1\1x\7\x0a\1\0\4\0\4\0")),
            (9, "mysql", (1, b"\x0d\0\0\0\x0a8.0.1\0" + bytes(6)), (0, b"\x20\0\0\1\0\x08" + bytes(30))),
            (13, "postgresql", (0, b"\0\0\0\x08\x04\xd2\x16\x2f"), (1, b"S")),
            (10, "rdp", (0, b"\3\0\0\x13\x0e\xe0" + bytes(5) + b"\1\0\x08\0\3\0\0\0"),
             (1, b"\3\0\0\x13\x0e\xd0" + bytes(5) + b"\2\0\x08\0\1\0\0\0")),
            (5, "socks", (0, b"\5\1\0"), (1, b"\5\0"), (0, b"\5\1\0\1\x0a\0\0\1\0\x50"),
             (1, b"\5\0\0\1\x0a\0\0\2\4\0"))):
        parts += [(0, m.tls_record(22, m.client_hello(), 0x0301))]
        said = b"".join(bytes([side]) + pieces(part) for side, part in parts)
        seed("fuzz_starttls", name, bytes([port]) + said)
        seed("fuzz_starttls", name + ".anywhere", bytes([14]) + said)

    for name, text in (
            ("answer", '\0<?xml version="1.0"?>\n<R xmlns="x"><requestId>1</requestId><vpcSet><item><vpcId>v'
                       '</vpcId><tagSet/></item></vpcSet><nextToken>t</nextToken></R>'),
            ("members", "\0<A><B><member>1</member><member><P>&lt;&#233;</P></member></B><C/><C>2</C></A>"),
            ("refusal", "\0<Response><Errors><Error><Code>C.NotFound</Code><Message>m</Message></Error>"
                        "</Errors><RequestID>r</RequestID></Response>"),
            ("other", "\0<ErrorResponse><Error><Type>S</Type><Code>C</Code></Error></ErrorResponse>"),
            ("json", '\0{"__type": "a#B", "message": "m"}'),
            ("config", "\1[default]\nregion = r\ns3 =\n  a = b\n[profile 'x']\nrole_arn: a\n"
                       "[sso-session s]\nsso_region=r\n# c\nlong = 1\n  2\n"),
            ("credentials", "\2[default]\naws_access_key_id = A\n;\n[b]\r\nk=v\r\n")):
        seed("fuzz_aws", name, text.encode())

    def rows(name, key_size, value_size, series, entries):  # as src/hunt/book_file.h has them
        return (b"\3" + bytes([len(name)]) + name + struct.pack("<HHHBI", 1, key_size, value_size, series,
                                                               len(entries)) + b"".join(entries))

    def book_end(texts, entries):
        return b"\4" + struct.pack("<QQQQQQ", texts, entries, 0, 0, 0, 0)

    texts = b"\2" + struct.pack("<I", 2) + b"\5hello\x0bexample.com"
    small = [b"\x11a\1", b"\x33\0\0\1\2\0\1\0\7"]
    events = b"\2\x80\x80\x80\0" + b"\0\x83\x80\x80\0" + b"\x80\1\3\4\5" * 3
    large = [b"\x11\0\0\0kn" + events, b"\1\0\0\0z" + events]
    for name, parts in (
            ("small", (texts, rows(b"a", 3, 8, 0, small), book_end(2, 2))),
            ("large", (rows(b"b", 8, 56, 2, large), book_end(0, 2))),
            ("goes-on", (rows(b"b", 8, 56, 2, large), rows(b"b", 8, 56, 2, large), book_end(0, 4))),
            ("unknown", (texts, rows(b"c", 1, 8, 0, []), book_end(2, 0)))):
        seed("fuzz_book", name, b"\1" + b"".join(struct.pack("!H", len(part)) + part for part in parts))
    seed("fuzz_book", "frame", b"\0" + struct.pack("<IIBQ", 4, 4, 0, 1) + b"\1abc")

    with open(stamp, "w", encoding="ascii") as f:
        f.write("made\n")


if __name__ == "__main__":
    main()
