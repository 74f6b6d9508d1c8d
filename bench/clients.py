"""The clients of the base capture; runs inside the client namespace (see base.py).

usage: clients.py all DIR PGBIN     everything, at once; DIR holds the servers' files
       clients.py smtp-server       the one server that no package brings

Every choice comes from a fixed seed, so that the mix is the same each time.
"""

import errno
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time


def client4(rng):
    return f"10.0.0.{rng.randint(10, 59)}"


def server4(rng):
    return f"10.1.0.{rng.randint(1, 16)}"


def client6(i):
    return f"fd00::{16 + i % 60:x}"


def have(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        print("skipped: clients", *missing, "(not installed)", flush=True)
    return not missing


def do(*argv, timeout=60, **kwargs):
    try:
        subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=timeout, check=False, **kwargs)
    except subprocess.TimeoutExpired:
        print("timeout:", *argv, flush=True)


# --- web

def web_ab(w, _):
    if not have("ab"):
        return
    for i in range(1, 13):
        do("ab", "-q", "-n", 110, "-c", 3, "-B", f"10.0.0.{10 + i}", "-H",
           f"User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench/{i}",
           f"http://10.1.0.{i}/page{i}.html")
        do("ab", "-q", "-n", 70, "-c", 2, "-B", f"10.0.0.{20 + i}",
           f"http://10.1.0.{1 + i % 16}/api/v1/item?id={i}")
        do("ab", "-q", "-n", 50, "-B", f"10.0.0.{30 + i}", "-p", f"{w}/www/f/2k", "-T",
           "application/x-www-form-urlencoded", f"http://10.1.0.{i}/api/post")


def web_keepalive(w, _):
    if have("h2load"):
        for i in range(1, 7):
            do("h2load", "--h1", "-n", 320, "-c", 8, f"http://10.1.0.{i}/img{i}.png")


def tls_ab(w, _):
    if not have("ab"):
        return
    for i in range(1, 11):
        do("ab", "-q", "-f", "TLS1.2", "-n", 130, "-c", 2, "-B", f"10.0.0.{40 + i}",
           f"https://10.1.0.{i}/img{i}.png")
        do("ab", "-q", "-f", "TLS1.3", "-n", 190, "-c", 2, "-B", f"10.0.0.{10 + i}",
           f"https://10.1.0.{i}:8443/api")


def tls_h2(w, _):
    if have("h2load"):
        for i in range(1, 7):
            do("h2load", "-n", 100, "-c", 25, f"https://10.1.0.{i}/page{i}.html")


def tls_names(w, _):
    """Many server names, both versions, some sessions taken up again."""
    rng = random.Random(11)
    session = None
    for i in range(900):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if i % 3 == 0:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        request = (f"GET /f/{rng.choice(('200', '2k', '10k'))} HTTP/1.1\r\nHost: x.bench.example\r\n"
                   f"Connection: close\r\nUser-Agent: svc/{i % 7}\r\n\r\n").encode()
        address = (server4(rng), rng.choice((443, 8443)))
        source = (client4(rng), 0)
        name = f"s{rng.randint(0, 2000):04d}.tls.bench.example"
        for turn in range(2 if i % 12 == 0 else 1):
            try:
                with socket.create_connection(address, timeout=5, source_address=source) as plain, \
                        context.wrap_socket(plain, server_hostname=name,
                                            session=session if turn else None) as s:
                    s.sendall(request)
                    while s.recv(65536):
                        pass
                    session = s.session
            except OSError as e:
                print("tls", e, flush=True)


def web_curl(w, _):
    """One curl, hundreds of hosts, HTTP and HTTPS, hits and misses."""
    if not have("curl"):
        return
    rng = random.Random(5)
    agents = ["curl/7.88", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
              "apt/2.6", "Go-http-client/1.1", "python-requests/2.31"]
    path = f"{w}/curl.cfg"
    with open(path, "w", encoding="ascii") as f:
        for i in range(900):
            tls = rng.random() < .6
            host = f"w{i:04d}.{'tls.' if tls else ''}bench.example"
            port = (443 if rng.random() < .6 else 8443) if tls else 80
            page = rng.choice([f"/page{rng.randint(1, 50)}.html", f"/img{rng.randint(1, 50)}.png",
                               "/f/200", "/f/50k", "/old", f"/missing{i}", f"/api/{i}"])
            f.write("next\n" if i else "")
            f.write(f'url = "{"https" if tls else "http"}://{host}:{port}{page}"\n'
                    f'connect-to = "{host}:{port}:{server4(rng)}:{port}"\n'
                    f'interface = "{client4(rng)}"\nuser-agent = "{rng.choice(agents)}"\n'
                    f'referer = "http://portal.bench.example/{i}"\n'
                    'insecure\nsilent\noutput = "/dev/null"\n')
    do("curl", "-K", path, timeout=120)


def web_ipv6(w, _):
    if not have("curl"):
        return
    for i in range(1, 5):
        host = f"[fd00:1::{i:x}]"
        do("curl", "-gsko", "/dev/null", f"http://{host}/f/500k")
        for k in range(60):
            do("curl", "-gsko", "/dev/null", "--interface", client6(k),
               f"http://{host}/page{k % 50 + 1}.html", "--next", "-gsko", "/dev/null",
               f"https://{host}/img1.png")


def web_large(w, _):
    if not have("curl"):
        return
    time.sleep(2)
    do("curl", "-so", "/dev/null", "http://10.1.0.1/f/5m")
    do("curl", "-sko", "/dev/null", "https://10.1.0.2/f/5m")


# --- names

def dns_query(rng, name, qtype, edns):
    head = struct.pack("!6H", rng.randint(0, 65535), 0x0120 if edns else 0x0100, 1, 0, 0, edns)
    labels = b"".join(bytes([len(p)]) + p for p in name.split(b".")) + b"\0"
    option = struct.pack("!BHHIH", 0, 41, 1232, 0x8000 if rng.random() < .3 else 0, 0)
    return head + labels + struct.pack("!2H", qtype, 1) + (option if edns else b"")


def dns_sockets(count, seed):
    """A socket for each query, as resolvers have it. The mark -c00 is changed in each copy."""
    rng = random.Random(seed)
    bag = [t for t, w in ((1, 62), (28, 22), (16, 3), (15, 3), (65, 6), (12, 2), (2, 2))
           for _ in range(w)]
    zones = [b"bench.example", b"cdn.bench.example", b"api.bench.example", b"corp.nx.example"]
    lost = 0
    for _ in range(count):
        qtype = rng.choice(bag)
        name = b"h%05d-c00.%s.%s" % (rng.randint(0, 99999), rng.choice((b"eu", b"us", b"ap")),
                                     rng.choices(zones, (40, 25, 25, 10))[0])
        if qtype == 12:
            name = b"%d.%d.1.10.in-addr.arpa" % (rng.randint(1, 254), rng.randint(0, 3))
        query = dns_query(rng, name, qtype, rng.random() < .6)
        if rng.random() < .12:
            source, server = client6(rng.randint(0, 59)), f"fd00:1::{rng.randint(1, 4):x}"
        else:
            source, server = client4(rng), f"10.1.0.{rng.randint(1, 4)}"
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET,
                           socket.SOCK_DGRAM) as s:
            s.bind((source, 0))
            s.settimeout(.5)
            try:
                s.connect((server, 53))
                s.send(query)
                s.recv(4096)
            except OSError:
                lost += 1
    if lost:
        print("dns:", lost, "of", count, "without an answer", flush=True)


def dns_perf(w, _):
    if not have("dnsperf"):
        return
    rng = random.Random(9)
    path = f"{w}/names"
    with open(path, "w", encoding="ascii") as f:
        for _ in range(1200):
            f.write(f"h{rng.randint(0, 99999):05d}-c00.{rng.choice(['eu', 'us'])}.bench.example "
                    f"{rng.choice(['A', 'A', 'AAAA', 'TXT'])}\n")
    do("dnsperf", "-s", "10.1.0.1", "-d", path, "-n", 1, "-c", 20, "-q", 40, "-Q", 400)


def dns_dig(w, _):
    if not have("dig"):
        return
    for i in range(60):
        do("dig", "+tries=1", "+time=1", "-b", f"10.0.0.{10 + i % 40}", "@10.1.0.2",
           f"h{i}-c00.bench.example", "A")
        do("dig", "+tcp", "+tries=1", "+time=1", "@10.1.0.2", f"t{i}.bench.example", "TXT")


# --- the rest of a network

def ntp(w, _):
    rng = random.Random(3)
    for _ in range(350):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((client4(rng), 0))
            s.settimeout(.2)
            try:
                s.sendto(b"\x23" + bytes(39) + struct.pack("!Q", rng.getrandbits(64)),
                         (f"10.1.0.{rng.randint(1, 4)}", 123))
                s.recv(200)
            except OSError:
                pass


def syslog(w, _):
    rng = random.Random(4)
    sockets = []
    for _ in range(40):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((client4(rng), 0))
        sockets.append(s)
    for i in range(700):
        line = (f"<{rng.randint(0, 191)}>1 2024-05-01T00:00:{i % 60:02d}Z host{rng.randint(0, 40)} "
                f"app {rng.randint(1, 9999)} - - request {i} took {rng.randint(1, 10**6)} us")
        rng.choice(sockets).sendto(line.encode(), (server4(rng), 514))


def scan(w, _):
    """Connection attempts: some refused, some that nobody answers."""
    rng = random.Random(6)
    ports = (23, 445, 3389, 8081, 9200, 5900, 1433)
    for i in range(600):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.bind((client4(rng), 0))
            s.setblocking(False)
            host = rng.randint(1, 16) if i % 3 else rng.randint(200, 250)
            try:
                s.connect((f"10.1.0.{host}", rng.choice((*ports, rng.randint(10000, 19999)))))
            except OSError as e:
                if e.errno != errno.EINPROGRESS and e.errno != errno.ECONNREFUSED:
                    raise
            time.sleep(.0008)


def smtp(w, _):
    import smtplib
    rng = random.Random(7)
    for i in range(120):
        try:
            c = smtplib.SMTP(server4(rng), 25, f"ws{rng.randint(1, 50)}.corp.example",
                             timeout=5, source_address=(client4(rng), 0))
            for _ in range(rng.choice((1, 1, 1, 2))):
                body = "\r\n".join(f"line {j} " + "x" * rng.randint(5, 70)
                                   for j in range(rng.choice((5, 20, 80, 400))))
                c.sendmail(f"u{rng.randint(1, 99)}@corp.example",
                           [f"r{rng.randint(1, 99)}@bench.example"],
                           "From: <u@corp.example>\r\nTo: <r@bench.example>\r\n"
                           f"Subject: report {i}\r\nMessage-ID: <{i}@corp.example>\r\n"
                           "Date: Wed, 01 May 2024 00:00:00 +0000\r\n\r\n" + body)
            c.quit()
        except OSError as e:
            print("smtp", e, flush=True)


def smtp_server():
    import asyncio
    from aiosmtpd.smtp import SMTP

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            return "250 queued"

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(Handler(), hostname="mx.bench.example"),
                                          "0.0.0.0", 25)
        await server.serve_forever()
    asyncio.run(main())


def snmp(w, _):
    if not have("snmpget", "snmpwalk", "snmpbulkwalk"):
        return
    system = "1.3.6.1.2.1.1"
    for i in range(40):
        do("snmpget", "-v2c", "-c", "public", f"10.1.0.{1 + i % 16}", system + ".1.0",
           system + ".3.0")
    do("snmpwalk", "-v2c", "-c", "public", "10.1.0.3", system)
    do("snmpbulkwalk", "-v2c", "-c", "public", "10.1.0.4", "1.3.6.1.2.1.2")


def ssh(w, _):
    if not have("ssh", "scp"):
        return
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
               "UserKnownHostsFile=/dev/null"]
    for i in range(1, 13):
        do("ssh", *options, "-i", f"{w}/userkey", f"root@10.1.0.{i}",
           "uname -a; ls -l /usr/share/doc | head -200")
    do("scp", "-q", *options, "-i", f"{w}/userkey", f"root@10.1.0.1:{w}/www/f/5m", f"{w}/scp.out")
    for i in range(1, 7):  # these are turned away
        do("ssh", *options, "-i", f"{w}/hostkey", f"nobody@10.1.0.{i}", "true")


def ftp(w, _):
    if not have("curl"):
        return
    for i in range(1, 16):
        do("curl", "-s", "-o", "/dev/null", f"ftp://10.1.0.{i}/pub/10k")
        do("curl", "-s", "--disable-epsv", "-o", "/dev/null", f"ftp://10.1.0.{i}/pub/")
    do("curl", "-s", "-o", "/dev/null", "ftp://10.1.0.1/pub/5m")


def redis(w, _):
    if have("redis-benchmark"):
        do("redis-benchmark", "-h", "10.1.0.5", "-n", 350, "-c", 5, "-t", "set,get,lpush,mset",
           "-q")
        do("redis-benchmark", "-h", "10.1.0.5", "-n", 2000, "-P", 16, "-c", 4, "-d", 200, "-t",
           "set,get", "-q")


def postgres(w, pgbin):
    if not pgbin:
        return
    env = {**os.environ, "PGPASSWORD": "b"}
    base = [f"{pgbin}/pgbench", "-n", "-h", "10.1.0.6", "-U", "b", "-S"]
    do(*base, "-c", 4, "-t", 100, "b", env=env)
    do(*base, "-C", "-c", 1, "-t", 40, "b", env=env)


def ping(w, _):
    if have("ping"):
        for i in range(1, 17):
            do("ping", "-q", "-c", 8, "-i", 0.05, "-I", f"10.0.0.{10 + i}", f"10.1.0.{i}")
            do("ping", "-q", "-6", "-c", 4, "-i", 0.05, f"fd00:1::{i:x}")


def bulk(w, _):
    if not have("iperf3"):
        return
    time.sleep(2)
    do("iperf3", "-c", "10.1.0.7", "-p", 5201, "-n", "11M")
    time.sleep(.5)
    do("iperf3", "-R", "-c", "10.1.0.8", "-p", 5201, "-n", "6M")
    do("iperf3", "-u", "-c", "10.1.0.1", "-p", 5202, "-b", "60M", "-n", "5M", "-l", 1350)
    time.sleep(.5)
    do("iperf3", "-u", "-c", "10.1.0.1", "-p", 5202, "-b", "3M", "-n", "400K", "-l", 172)


def dns_many(w, _):
    dns_sockets(6500, 1)


def dns_more(w, _):
    dns_sockets(5000, 2)


CLIENTS = [web_ab, web_keepalive, tls_ab, tls_h2, tls_names, web_curl, web_ipv6, web_large,
           dns_perf, dns_many, dns_more, dns_dig, ntp, syslog, scan, smtp, snmp, ssh, ftp, redis,
           postgres, ping, bulk]


def run_all(w, pgbin):
    children = {}
    for client in CLIENTS:
        pid = os.fork()
        if pid == 0:
            try:
                client(w, pgbin)
            except Exception as e:  # one client less; the others go on
                print(f"{client.__name__}: {e}", flush=True)
            os._exit(0)
        children[pid] = client.__name__
    while children:
        pid, _ = os.wait()
        children.pop(pid, None)


if __name__ == "__main__":
    if sys.argv[1] == "smtp-server":
        smtp_server()
    elif sys.argv[1] == "all":
        run_all(sys.argv[2], sys.argv[3])
