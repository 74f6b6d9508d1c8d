#!/usr/bin/env python3
"""Writes the captures that the tests read.

usage: make_captures.py FOLDER [STAMP]

Each function below with the mark @capture is one file; its first line of text says what is in it.
test/cases.txt says with which options each is read, test/expected/ what must come out.
"""
import os
import struct
import sys

import messages as m
import packets as p

CAPTURES = {}


def capture(name):
    def add(function):
        CAPTURES[name] = function
        return function
    return add


# --- What is said; used with many wrappings -----------------------------------------------------


def http_talk(tape, src="10.0.0.1", dst="10.0.0.2", sport=40000):
    talk = p.Tcp(tape, src, dst, sport, 80).open()
    talk.say(0, m.http_request("GET", "/index.html?q=1", headers=["Accept: */*"]))
    talk.say(1, m.http_response(200, "OK", b"<html><body>hello</body></html>\n",
                                ["Content-Type: text/html"]))
    return talk.close()


def dns_talk(tape, src="10.0.0.1", dst="10.0.0.53", sport=41000, ident=0x1001):
    tape.add(p.udp(src, dst, sport, 53, m.dns_query(ident, "www.example.net", m.A)))
    answer = m.dns_record(12, m.A, p.ip4("192.0.2.80"))
    tape.add(p.udp(dst, src, 53, sport, m.dns_answer(ident, "www.example.net", m.A, [answer])))


def both(tape):
    dns_talk(tape)
    http_talk(tape)


def frames_of(talk, wrap=p.ether):
    tape = p.Tape(wrap)
    talk(tape)
    return tape.frames


# --- Protocols ----------------------------------------------------------------------------------


@capture("http.pcap")
def http():
    """GET, HEAD, POST and a chunked answer, two of them on one connection, and a 404."""
    tape = p.Tape()
    talk = p.Tcp(tape).open()
    talk.say(0, m.http_request("GET", "/index.html?q=1", headers=["Referer: http://a.example/"]))
    talk.say(1, m.http_response(200, "OK", b"<html><body>hello</body></html>\n",
                                ["Content-Type: text/html"]))
    talk.say(0, m.http_request("HEAD", "/big.iso"))
    talk.say(1, b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
    talk.say(0, m.http_request("POST", "/form", body=b"name=value&other=%41"))
    talk.say(1, m.http_response(200, "OK", m.chunked(b"part one, ", b"part two\n"),
                                ["Transfer-Encoding: chunked", "Content-Type: text/plain"],
                                length=False))
    talk.close()
    talk = p.Tcp(tape, sport=40001).open()
    talk.say(0, m.http_request("GET", "/none", headers=["Authorization: Basic dXNlcjpwYXNz"]))
    talk.say(1, m.http_response(404, "Not Found", b"no such thing\n"))
    talk.close(first=1)
    return p.pcap(tape.frames)


@capture("http-disorder.pcap")
def http_disorder():
    """A body whose segments come late, twice and overlapping; in another one a segment is missing."""
    tape = p.Tape()
    body = b"".join(b"line %04d of the body\n" % i for i in range(300))
    for lost, sport in ((False, 40010), (True, 40011)):
        talk = p.Tcp(tape, sport=sport, mss=500).open()
        talk.say(0, m.http_request("GET", "/file.txt"))
        data = m.http_response(200, "OK", body, ["Content-Type: text/plain"])
        pieces = []
        for at in range(0, len(data), 500):
            pieces.append(talk.segment(1, p.ACK, data[at:at + 500]))
        order = list(range(len(pieces)))
        order[3], order[4] = order[4], order[3]
        order.insert(7, 2)
        if lost:
            order.remove(9)
        for i in order:
            tape.add(pieces[i])
        talk.send(0, p.ACK)
        talk.close()
    return p.pcap(tape.frames)


@capture("dns.pcap")
def dns():
    """Answers of many types, NXDOMAIN, a question without answer, one repeated, and one over TCP."""
    tape = p.Tape()
    a, b = "10.0.0.1", "10.0.0.53"

    def ask(ident, sport, name, kind, answers, rcode=0, **more):
        tape.add(p.udp(a, b, sport, 53, m.dns_query(ident, name, kind)))
        tape.add(p.udp(b, a, 53, sport, m.dns_answer(ident, name, kind, answers, rcode, **more)))

    dns_talk(tape)
    ask(2, 41001, "www.example.org", m.AAAA, [
        m.dns_record(12, m.CNAME, m.dns_name("web.example.org")),
        m.dns_record("web.example.org", m.AAAA, p.ip6("2001:db8::80"), 60)])
    ask(3, 41002, "none.example.org", m.A, [], rcode=3)
    ask(4, 41003, "example.org", m.TXT, [m.dns_record(12, m.TXT, m.dns_text(b"v=spf1 -all", b"x\x01y"))])
    ask(5, 41004, "example.org", m.MX,
        [m.dns_record(12, m.MX, struct.pack("!H", 10) + m.dns_name("mail.example.org"))])
    ask(6, 41005, "2.0.0.10.in-addr.arpa", m.PTR,
        [m.dns_record(12, m.PTR, m.dns_name("host.example.org"))])
    ask(7, 41006, "_sip._udp.example.org", m.SRV,
        [m.dns_record(12, m.SRV, struct.pack("!HHH", 1, 2, 5060) + m.dns_name("sip.example.org"))])
    soa = m.dns_name("ns.example.org") + m.dns_name("admin.example.org") + \
        struct.pack("!IIIII", 1, 2, 3, 4, 5)
    ask(8, 41007, "example.org", m.SOA, [m.dns_record(12, m.SOA, soa)])
    for _ in range(2):
        tape.add(p.udp(a, b, 41008, 53, m.dns_query(9, "silent.example.org", m.A)), 2000 * p.MS)
    talk = p.Tcp(tape, a, b, 41009, 53).open()
    talk.say(0, m.vector(2, m.dns_query(10, "www.example.net", m.A)))
    talk.say(1, m.vector(2, m.dns_answer(10, "www.example.net", m.A,
                                         [m.dns_record(12, m.A, p.ip4("192.0.2.81"))])))
    talk.close()
    return p.pcap(tape.frames)


def tls_server(tls13=False):
    leaf = m.certificate(m.der_name(CN="www.example.net", O="Example"),
                         m.der_name(CN="Test CA", O="Test", C="NL"), ["www.example.net", "example.net"])
    root = m.certificate(m.der_name(CN="Test CA", O="Test", C="NL"),
                         m.der_name(CN="Test CA", O="Test", C="NL"), [], serial=1, ca=True)
    return m.tls_certificates(leaf, root)


@capture("tls12.pcap")
def tls12():
    """TLS 1.2 with a chain of two certificates, and a connection that resumes a session."""
    tape = p.Tape()
    talk = p.Tcp(tape, dport=443).open()
    talk.say(0, m.tls_record(22, m.client_hello(), 0x0301))
    talk.say(1, m.tls_record(22, m.server_hello(alpn=b"http/1.1") + tls_server()) +
             m.tls_record(22, m.server_key_exchange()) + m.tls_record(22, m.tls_message(14, b"")))
    talk.say(0, m.tls_record(22, m.client_key_exchange()) + m.CHANGE_CIPHER + m.encrypted(40))
    talk.say(1, m.CHANGE_CIPHER + m.encrypted(40))
    talk.say(0, m.encrypted(300, 23))
    talk.say(1, m.encrypted(3000, 23))
    talk.close()
    session = bytes(range(32))
    talk = p.Tcp(tape, sport=40001, dport=443).open()
    talk.say(0, m.tls_record(22, m.client_hello(session=session), 0x0301))
    talk.say(1, m.tls_record(22, m.server_hello(session=session)) + m.CHANGE_CIPHER + m.encrypted(40))
    talk.say(0, m.CHANGE_CIPHER + m.encrypted(40) + m.encrypted(100, 23))
    talk.say(1, m.encrypted(100, 23))
    talk.close()
    return p.pcap(tape.frames)


@capture("tls13.pcap")
def tls13():
    """TLS 1.3 on a port of its own, so that the first bytes must tell."""
    tape = p.Tape()
    talk = p.Tcp(tape, dport=10443).open()
    session = b"\x77" * 32
    talk.say(0, m.tls_record(22, m.client_hello(tls13=True, session=session), 0x0301))
    talk.say(1, m.tls_record(22, m.server_hello(0x1301, tls13=True, session=session)) +
             m.CHANGE_CIPHER + m.encrypted(900, 23))
    talk.say(0, m.CHANGE_CIPHER + m.encrypted(74, 23) + m.encrypted(200, 23))
    talk.say(1, m.encrypted(2000, 23))
    talk.close()
    return p.pcap(tape.frames)


@capture("dtls.pcap")
def dtls():
    """DTLS 1.2 with a cookie."""
    tape = p.Tape()
    a, b = ("10.0.0.1", "10.0.0.2"), (45000, 4433)

    def say(side, *records):
        tape.add(p.udp(a[side], a[1 - side], b[side], b[1 - side], b"".join(records)))

    hello = {"alpn": (), "version": 0xFEFD}
    say(0, m.dtls_record(22, 0, 0, m.dtls_message(m.client_hello(cookie=b"", **hello), 0)))
    verify = m.tls_message(3, b"\xfe\xfd" + m.vector(1, b"\x99" * 16))
    say(1, m.dtls_record(22, 0, 0, m.dtls_message(verify, 0)))
    say(0, m.dtls_record(22, 0, 1, m.dtls_message(m.client_hello(cookie=b"\x99" * 16, **hello), 1)))
    say(1, m.dtls_record(22, 0, 1, m.dtls_message(m.server_hello(version=0xFEFD), 1)),
        m.dtls_record(22, 0, 2, m.dtls_message(m.tls_message(14, b""), 2)))
    say(0, m.dtls_record(22, 0, 2, m.dtls_message(m.client_key_exchange(), 2)),
        m.dtls_record(20, 0, 3, b"\1"), m.dtls_record(22, 1, 0, b"\x66" * 48))
    say(1, m.dtls_record(20, 0, 3, b"\1"), m.dtls_record(22, 1, 0, b"\x66" * 48))
    say(0, m.dtls_record(23, 1, 1, b"\x66" * 100))
    return p.pcap(tape.frames)


@capture("states.pcap")
def states():
    """TCP connections that end in every way there is; UDP and ICMP with and without answer."""
    tape = p.Tape()

    def talk(n):
        return p.Tcp(tape, sport=42000 + n, dport=9000)

    talk(0).send(0, p.SYN)  # S0
    t = talk(1)  # REJ
    t.send(0, p.SYN)
    t.send(1, p.RST | p.ACK)
    t = talk(2).open()  # S1
    t.say(0, b"hello")
    t = talk(3).open().say(0, b"hello")  # RSTO
    t.send(0, p.RST | p.ACK)
    t = talk(4).open().say(1, b"hello")  # RSTR
    t.send(1, p.RST)
    t = talk(5).open().say(0, b"hello")  # S2
    t.send(0, p.FIN | p.ACK)
    t = talk(6).open().say(0, b"hello")  # S3
    t.send(1, p.FIN | p.ACK)
    t = talk(7)  # RSTOS0
    t.send(0, p.SYN)
    t.send(0, p.RST)
    t = talk(8)  # SH
    t.send(0, p.SYN)
    t.send(0, p.FIN)
    t = talk(9)  # SHR: the first half is missing
    t.send(1, p.SYN | p.ACK)
    t.send(1, p.FIN | p.ACK)
    t = talk(10)  # OTH: seen from the middle
    t.send(0, p.ACK | p.PSH, b"in the middle")
    t.send(1, p.ACK | p.PSH, b"of a talk")
    tape.add(p.udp("10.0.0.1", "10.0.0.9", 43000, 9001, b"anyone?"))
    tape.add(p.udp("10.0.0.1", "10.0.0.9", 43001, 9001, b"anyone?"))
    tape.add(p.udp("10.0.0.9", "10.0.0.1", 9001, 43001, b"yes"))
    echo = struct.pack("!HH", 5, 1) + b"abcdefgh"
    tape.add(p.icmp("10.0.0.1", "10.0.0.9", 8, 0, echo))
    tape.add(p.icmp("10.0.0.9", "10.0.0.1", 0, 0, echo))
    quoted = p.udp("10.0.0.1", "10.0.0.9", 43000, 9001, b"anyone?")
    tape.add(p.icmp("10.0.0.9", "10.0.0.1", 3, 3, b"\0\0\0\0" + quoted))
    tape.add(p.icmp("2001:db8::1", "2001:db8::9", 128, 0, echo))
    tape.add(p.icmp("2001:db8::9", "2001:db8::1", 129, 0, echo))
    return p.pcap(tape.frames)


# --- Link and network layers --------------------------------------------------------------------


@capture("vlan.pcap")
def vlan():
    """One talk in a VLAN, one in a VLAN within another."""
    tape = p.Tape(lambda packet: p.ether(packet, [(0x8100, 100)]))
    dns_talk(tape)
    tape.wrap = lambda packet: p.ether(packet, [(0x88A8, 200), (0x8100, 300)])
    dns_talk(tape, src="10.0.1.1", sport=41001, ident=2)
    return p.pcap(tape.frames)


@capture("ipv6.pcap")
def ipv6():
    """DNS and HTTP over IPv6; then behind hop-by-hop and destination options."""
    tape = p.Tape()
    dns_talk(tape, "2001:db8::1", "2001:db8::53")
    http_talk(tape, "2001:db8::1", "2001:db8::2")
    a, b = "2001:db8::1", "2001:db8::53"
    datagram = p.udp_datagram(a, b, 41002, 53, m.dns_query(3, "www.example.net", m.AAAA))
    options = bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([17, 0, 1, 4, 0, 0, 0, 0])
    tape.add(p.ipv6(a, b, 0, options + datagram))
    return p.pcap(tape.frames)


@capture("fragments.pcap")
def fragments():
    """A DNS answer in fragments: in order, backwards and twice, over IPv6, and one that misses some."""
    tape = p.Tape()
    texts = [m.dns_record(12, m.TXT, m.dns_text(b"%03d " % i * 50)) for i in range(12)]
    for n, order in enumerate((lambda f: f, lambda f: f[::-1] + f[:1], lambda f: f[:1] + f[2:])):
        sport, ident = 41000 + n, 0x2000 + n
        tape.add(p.udp("10.0.0.1", "10.0.0.53", sport, 53, m.dns_query(ident, "big.example.net", m.TXT)))
        answer = p.udp("10.0.0.53", "10.0.0.1", 53, sport,
                       m.dns_answer(ident, "big.example.net", m.TXT, texts))
        for fragment in order(list(p.fragments4(answer, 800, ident=100 + n))):
            tape.add(fragment)
    a, b = "2001:db8::1", "2001:db8::53"
    tape.add(p.udp(a, b, 41003, 53, m.dns_query(9, "big.example.net", m.TXT)))
    answer = p.udp_datagram(b, a, 53, 41003, m.dns_answer(9, "big.example.net", m.TXT, texts))
    for fragment in p.fragments6(b, a, 17, answer, 1000):
        tape.add(fragment)
    return p.pcap(tape.frames)


for _name, _wrap, _link in (("sll", p.sll, p.SLL), ("sll2", p.sll2, p.SLL2),
                            ("raw", bytes, p.RAW), ("null", p.null, p.NULL)):
    capture(_name + ".pcap")(lambda wrap=_wrap, link=_link: p.pcap(frames_of(both, wrap), link))


@capture("checksums.pcap")
def checksums():
    """A UDP datagram and a TCP talk whose checksums are wrong, as when the card was to fill them in."""
    def spoil(packet):
        at = 20 + (6 if packet[9] == 17 else 16)
        return p.ether(packet[:at] + b"\xde\xad" + packet[at + 2:])
    return p.pcap(frames_of(both, spoil))


@capture("broken.pcap")
def broken():
    """Frames that are too short or lie about themselves, between two good talks."""
    tape = p.Tape()
    dns_talk(tape)
    good = p.udp("10.0.0.1", "10.0.0.2", 1, 2, b"payload")
    tape.raw(b"")
    tape.raw(p.ether(good)[:9])
    tape.raw(p.ether(good)[:20])
    tape.raw(p.ether(b"\x45\x00\x00\x10" + good[4:]))  # says 16 bytes in all
    tape.raw(p.ether(b"\x4f" + good[1:]))  # options that are not there
    tape.raw(p.ether(b"\x41" + good[1:]))  # a header of 4 bytes
    tape.raw(p.ether(b"\x55" + good[1:]))  # version 5
    tape.raw(p.ether(p.ipv4("10.0.0.1", "10.0.0.2", 6, b"\0\1\0\2\0\0")))  # half a TCP header
    tape.raw(p.ether(p.ipv4("10.0.0.1", "10.0.0.2", 17, b"\0\1\0\2\0\3\0\0")))  # UDP length 3
    tape.raw(p.ether(p.ipv4("10.0.0.1", "10.0.0.2", 253, b"what is this")))
    tape.raw(p.ether(b"\x60\0\0\0\0\x08\0\x40" + bytes(32) + b"\0" * 8))
    tape.raw(p.ether(b"hello world", ethertype=0x1234))
    tape.raw(p.ether(b"\0\1\x08\0\6\4\0\1" + bytes(20), ethertype=0x0806))
    http_talk(tape)
    return p.pcap(tape.frames)


# --- Mirrors, and tunnels in what is monitored --------------------------------------------------

MIRRORS = {
    "vxlan": lambda packet: p.ether(p.vxlan(p.ether(packet))),
    "geneve": lambda packet: p.ether(p.geneve(p.ether(packet), options=bytes.fromhex("0108000100000001"))),
    "gre": lambda packet: p.ether(p.gre(p.ether(packet), 0x6558, key=9)),
    "gre-ip": lambda packet: p.ether(p.gre(packet, p.ethertype_of(packet))),
    "erspan2": lambda packet: p.ether(p.erspan2(p.ether(packet))),
    "erspan3": lambda packet: p.ether(p.erspan3(p.ether(packet))),
    "vxlan-geneve": lambda packet: p.ether(p.vxlan(p.ether(p.geneve(p.ether(packet))))),
    "gtpu": lambda packet: p.ether(p.gtpu(packet)),
    "6in4": lambda packet: p.ether(p.ipv4(p.OUTER_A, p.OUTER_B, 41, packet)),
    "ipip": lambda packet: p.ether(p.ipv4(p.OUTER_A, p.OUTER_B, 4, packet)),
}

for _name, _wrap in MIRRORS.items():
    if _name == "6in4":
        capture("in-6in4.pcap")(lambda wrap=_wrap: p.pcap(frames_of(
            lambda tape: http_talk(tape, "2001:db8::1", "2001:db8::2"), wrap)))
    else:
        capture(f"in-{_name}.pcap")(lambda wrap=_wrap: p.pcap(frames_of(both, wrap)))


@capture("both-ends.pcap")
def both_ends():
    """As a cloud mirrors two machines that talk to each other: every packet comes from both ends."""
    tape = p.Tape(bytes)
    both(tape)
    frames = []
    for ns, packet in tape.frames:
        for vni, source, late in ((42, "172.31.0.1", 0), (43, "172.31.0.2", 40_000)):
            frames.append((ns + late, p.ether(p.vxlan(p.ether(packet), vni, source, p.OUTER_B))))
    return p.pcap(frames)


@capture("two-networks.pcap")
def two_networks():
    """Two clouds' networks that use the same addresses, at the same time."""
    frames = []
    for vni, source, late in ((42, "172.31.0.1", 0), (43, "172.31.0.2", 200_000)):
        tape = p.Tape(lambda packet: p.ether(p.vxlan(p.ether(packet), vni, source, p.OUTER_B)),
                      p.T0 + late)
        dns_talk(tape)
        talk = p.Tcp(tape).open()
        talk.say(0, m.http_request("GET", f"/of-vni-{vni}"))
        talk.say(1, m.http_response(200, "OK", b"answer of vni %d" % vni))
        talk.close()
        frames += tape.frames
    return p.pcap(sorted(frames))


# --- Capture formats ----------------------------------------------------------------------------


@capture("ns.pcap")
def nano():
    """Nanosecond time stamps."""
    return p.pcap([(ns + 123, f) for ns, f in frames_of(both)], nano=True)


@capture("big-endian.pcap")
def big_endian():
    """Written on a machine of the other byte order."""
    return p.pcap(frames_of(both), order=">")


@capture("snapped.pcap")
def snapped():
    """Every frame cut to 70 bytes."""
    return p.pcap(frames_of(both), snap=70)


@capture("empty.pcap")
def empty():
    """A header and no packet."""
    return p.pcap([])


@capture("cut.pcap")
def cut():
    """The file ends inside a frame."""
    return p.pcap(frames_of(both))[:-20]


@capture("plain.pcapng")
def plain_ng():
    """One section, one interface, microseconds."""
    return p.pcapng(frames_of(both))


@capture("big-endian.pcapng")
def big_endian_ng():
    """The other byte order, nanoseconds."""
    return p.pcapng(frames_of(both), order=">", tsresol=9)


@capture("many.pcapng")
def many_ng():
    """Two sections, three interfaces with different links and clocks, blocks that are skipped."""
    first, second = frames_of(dns_talk), frames_of(dns_talk, bytes)
    out = p.pcapng_section() + p.pcapng_interface(p.ETHERNET) + p.pcapng_interface(p.RAW, tsresol=0x94)
    out += p.pcapng_block(4, struct.pack("<HH", 0, 0))  # name resolution
    for (ns, a), (_, b) in zip(first, second):
        out += p.pcapng_packet(0, ns, a)
        renamed = b.replace(p.ip4("10.0.0.1"), p.ip4("10.0.0.3"))
        out += p.pcapng_packet(1, ns + 500_000, renamed, tsresol=0x94)
    out += p.pcapng_block(0x0BAD, b"of a private enterprise, perhaps")
    out += p.pcapng_block(5, struct.pack("<III", 0, 0, 0))  # statistics
    out += p.pcapng_section(">") + p.pcapng_interface(p.ETHERNET, ">", 9)
    for ns, frame in frames_of(http_talk):
        out += p.pcapng_packet(0, ns + 1_000_000_000, frame, ">", 9)
    return out


@capture("cut.pcapng")
def cut_ng():
    """The file ends inside a block."""
    return p.pcapng(frames_of(both))[:-20]


@capture("plain.pcap.gz")
def gz():
    """Compressed with gzip."""
    return p.gzipped(p.pcap(frames_of(both)))


@capture("plain.pcap.zst")
def zst():
    """In a zstd frame."""
    return p.zstd_stored(p.pcap(frames_of(both)))


@capture("not-a-capture.txt")
def not_a_capture():
    """Text."""
    return b"this is not a capture file\n" * 4


def write_all(folder):
    os.makedirs(folder, exist_ok=True)
    for name, make in CAPTURES.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(make())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    write_all(sys.argv[1])
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w", encoding="ascii") as stamp:
            stamp.write("made\n")
