#!/usr/bin/env python3
"""A day of a small office as Zeek logs, made up, with or without a threat in it.

usage: make_logs.py [--seed N] [--days N] [--threat NAME]... [--json] DIR
       make_logs.py --list

Thirty machines in 192.168.10.0/24: desktops that browse, read mail, ask the time, get updates, work
on a file server and are backed up at night; a domain controller that resolves names, a file server,
a backup server, a printer, and a system that watches them. Nothing in it is a threat. `--threat`
plants one (several if given several times): see THREATS for what it is, and who does it.

The same seed gives the same bytes. Names are under reserved domains, or such that everybody's
machines ask for; addresses of the outside are from 198.18.0.0/15 (benchmarks), those of threats from
the documentation networks. `--days` puts quieter days before, as a history. Other scripts import
Office and THREATS.
"""
import argparse
import bisect
import hashlib
import json
import math
import os
import random
import sys
import time

DAY = 86400
BEGIN = 1741046400  # 2025-03-04 00:00 UTC, a Tuesday

CONN = ("ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes"
        " conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts"
        " resp_ip_bytes tunnel_parents").split()
DNS = ("ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qclass qclass_name"
       " qtype qtype_name rcode rcode_name AA TC RD RA Z answers TTLs rejected").split()
HTTP = ("ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri referrer version"
        " user_agent request_body_len response_body_len status_code status_msg resp_mime_types"
        ).split()
SSL = ("ts uid id.orig_h id.orig_p id.resp_h id.resp_p version cipher curve server_name resumed"
       " last_alert next_protocol established ssl_history cert_chain_fps client_cert_chain_fps"
       " sni_matches_cert validation_status ja3 ja4").split()
SSH = ("ts uid id.orig_h id.orig_p id.resp_h id.resp_p version auth_success auth_attempts direction"
       " client server").split()
X509 = ("ts fingerprint certificate.version certificate.serial certificate.subject"
        " certificate.issuer certificate.not_valid_before certificate.not_valid_after"
        " certificate.key_alg certificate.sig_alg certificate.key_type certificate.key_length"
        " san.dns").split()
COLUMNS = {"conn": CONN, "dns": DNS, "http": HTTP, "ssl": SSL, "ssh": SSH, "x509": X509}

TYPES = {
    "ts": "time", "id.orig_h": "addr", "id.resp_h": "addr", "id.orig_p": "port",
    "id.resp_p": "port", "proto": "enum", "duration": "interval", "rtt": "interval",
    "tunnel_parents": "set[string]", "answers": "vector[string]", "TTLs": "vector[interval]",
    "cert_chain_fps": "vector[string]", "client_cert_chain_fps": "vector[string]",
    "resp_mime_types": "vector[string]", "san.dns": "vector[string]",
    "certificate.not_valid_before": "time", "certificate.not_valid_after": "time",
}
for counted in ("orig_bytes resp_bytes missed_bytes orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes"
                " trans_id qclass qtype rcode Z trans_depth request_body_len response_body_len"
                " status_code version_count auth_attempts certificate.version"
                " certificate.key_length").split():
    TYPES[counted] = "count"
for yes_or_no in ("local_orig local_resp AA TC RD RA rejected resumed established sni_matches_cert"
                  " auth_success").split():
    TYPES[yes_or_no] = "bool"

QTYPES = {"A": 1, "AAAA": 28, "TXT": 16, "PTR": 12, "NULL": 10, "SRV": 33}
BROWSERS = (
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
     " Chrome/133.0.0.0 Safari/537.36", "t13d1516h2_8daaf6152771_02713d6af862"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:135.0) Gecko/20100101 Firefox/135.0",
     "t13d1715h2_5b57614c22b0_5c2c66f702b0"),
)
SYSTEM_AGENT = ("Microsoft-CryptoAPI/10.0", "t12d1909h2_d83cc789557e_7af1ed941c26")

DC, FILES, BACKUP, WATCHER, PRINTER = (f"192.168.10.{n}" for n in (2, 5, 6, 7, 9))
DESKTOPS = [f"192.168.10.{n}" for n in range(20, 45)]
ADMIN = DESKTOPS[0]
RESOLVER = "198.18.0.53"


def value_text(value):
    """As Zeek writes it in TSV."""
    if value is None:
        return "-"
    if value is True or value is False:
        return "T" if value else "F"
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, (list, tuple)):
        return ",".join(value_text(item) for item in value) or "(empty)"
    return str(value).replace("\\", "\\\\").replace("\t", "\\x09").replace("\n", "\\x0a") or "(empty)"


class Office:
    """Collects rows; `write` sorts them into files. `begin` is the last day's midnight."""

    def __init__(self, seed=1, days=1, quiet=False):
        self.seed = seed
        self.begin = BEGIN
        self.quiet = quiet  # only the days before
        self.random = random.Random(f"office {seed}")
        self.rows = {log: [] for log in COLUMNS}
        self.n_uids = 0
        self.sites = self.make_sites()
        self.known = {}   # (host, name): until when its address is remembered
        self.cached = {}  # the same of the domain controller
        self.lines = None
        for before in range(days - 1, 0, -1):
            self.day(BEGIN - before * DAY, 0.25)
        if not quiet:
            self.day(BEGIN, 1.0)

    # ---- pieces ----

    def make_sites(self):
        """Names and addresses of the outside, the most visited first."""
        self.addresses = {}
        sites = [f"www.site{n:03d}.example" for n in range(300)]
        self.thirds = [f"{word}{n}.tracker{n % 7}.example" for n in range(40)
                       for word in (("cdn", "ads", "fonts", "api")[n % 4],)]
        weights = [1 / (n + 1) ** 0.9 for n in range(len(sites))]
        self.site_sums = []
        for weight in weights:
            self.site_sums.append((self.site_sums[-1] if self.site_sums else 0) + weight)
        for n, name in enumerate(sites + self.thirds):
            self.addresses[name] = f"198.18.{1 + n // 200}.{1 + n % 200}"
        services = ("imap.mail.example", "client.wns.windows.com", "time.windows.com",
                    "pool.ntp.org", "fe2.update.microsoft.com", "ocsp.digicert.com",
                    "definitionupdates.microsoft.com", "vault.offsite-backup.example",
                    "wss.teamchat.example", "smtp.mail.example", "settings-win.data.microsoft.com")
        for n, name in enumerate(services):
            self.addresses[name] = f"198.19.0.{10 + n}"
        return sites

    def uid(self):
        self.n_uids += 1
        digest = hashlib.md5(f"{self.seed} {self.n_uids}".encode()).hexdigest()
        return "C" + digest[:17]

    def row(self, log, ts, **values):
        self.rows[log].append((ts, values))

    def conn(self, ts, src, dst, port, proto="tcp", service=None, duration=0.1, up=500, down=5000,
             state="SF", sport=None, uid=None):
        """A conn row; gives its uid and source port."""
        uid = uid or self.uid()
        sport = sport or self.random.randrange(49152, 65535)
        header = 40 if proto == "tcp" else 28
        if state in ("S0", "REJ", "RSTOS0"):
            if proto == "tcp":
                up = down = 0 if state == "REJ" else None
            n_up, n_down = 1, int(state == "REJ")
            history = {"S0": "S", "REJ": "Sr", "RSTOS0": "SR"}[state] if proto == "tcp" else "D"
            if proto != "tcp":
                down = None
            duration = None if n_down == 0 else duration
        else:
            n_up = 1 + (up or 0) // 1400 + (4 if proto == "tcp" else 0)
            n_down = 1 + (down or 0) // 1400 + (3 if proto == "tcp" else 0)
            n_up = max(n_up, n_down // 2)
            history = {"SF": "ShADadfF", "S1": "ShADad", "RSTO": "ShADadR", "RSTR": "ShADadr"}[state] \
                if proto == "tcp" else "Dd"
        self.row("conn", ts, uid=uid, orig=src, orig_p=sport, resp=dst, resp_p=port, proto=proto,
                 service=service, duration=None if duration is None else float(duration),
                 orig_bytes=up, resp_bytes=down, conn_state=state,
                 local_orig=src.startswith("192.168."), local_resp=dst.startswith("192.168."),
                 missed_bytes=0, history=history, orig_pkts=n_up,
                 orig_ip_bytes=(up or 0) + n_up * header, resp_pkts=n_down,
                 resp_ip_bytes=(down or 0) + n_down * header, tunnel_parents=[])
        return uid, sport

    def ask(self, ts, src, name, server=DC, qtype="A", answers=None, rcode="NOERROR", force=False,
            ttl=300.0):
        """A DNS query, unless its answer is still remembered. Gives the time of the answer."""
        if not force and self.known.get((src, name), 0) > ts:
            return ts
        rtt = self.random.uniform(0.0005, 0.03)
        if answers is None:
            answers = [self.addresses[name]] if name in self.addresses else []
        self.known[src, name] = ts + ttl
        size = 17 + len(name)
        up, down = size, size + 16 * len(answers) + sum(len(a) for a in answers if qtype == "TXT")
        uid, sport = self.conn(ts, src, server, 53, "udp", "dns", rtt, up, down)
        self.row("dns", ts, uid=uid, orig=src, orig_p=sport, resp=server, resp_p=53, proto="udp",
                 trans_id=self.random.randrange(65536), rtt=rtt, query=name, qclass=1,
                 qclass_name="C_INTERNET", qtype=QTYPES[qtype], qtype_name=qtype,
                 rcode={"NOERROR": 0, "NXDOMAIN": 3}[rcode], rcode_name=rcode, AA=False, TC=False,
                 RD=True, RA=True, Z=0, answers=answers or None,
                 TTLs=[ttl] * len(answers) or None, rejected=False)
        if server == DC and (force or self.cached.get(name, 0) <= ts):
            self.cached[name] = ts + ttl
            self.ask(ts + 0.0001, DC, name, RESOLVER, qtype, answers, rcode, True, ttl)
        return ts + rtt

    def certificate(self, ts, name, issuer="CN=Common CA,O=Common Trust,C=US", days=(-60, 30),
                    key=("ecdsa", 256), subject=None):
        subject = subject or f"CN={name}"
        fingerprint = hashlib.sha256(f"{subject} {issuer}".encode()).hexdigest()
        self.row("x509", ts, fingerprint=fingerprint, version=3, serial=fingerprint[:16].upper(),
                 subject=subject, issuer=issuer, not_before=float(BEGIN + days[0] * DAY),
                 not_after=float(BEGIN + days[1] * DAY), key_alg="id-ecPublicKey",
                 sig_alg="ecdsa-with-SHA256", key_type=key[0], key_length=key[1], san=[name])
        return fingerprint

    def tls(self, ts, src, name, duration=5.0, up=2000, down=20000, port=443, dst=None, agent=None,
            state="SF", lookup=True):
        """A TLS connection to a name: query, conn and ssl rows."""
        dst = dst or self.addresses[name]
        if lookup:
            ts = self.ask(ts, src, name, answers=[dst])
        uid, sport = self.conn(ts, src, dst, port, "tcp", "ssl", duration, up, down, state)
        ja4 = (agent or self.agent(src))[1]
        is_13 = self.random.random() < 0.85
        chain = [] if is_13 else [self.certificate(ts + 0.05, name)]
        self.row("ssl", ts + 0.03, uid=uid, orig=src, orig_p=sport, resp=dst, resp_p=port,
                 version="TLSv13" if is_13 else "TLSv12",
                 cipher="TLS_AES_128_GCM_SHA256" if is_13 else
                 "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", curve="x25519", server_name=name,
                 resumed=False, next_protocol="h2", established=True, ssl_history="CsiI",
                 cert_chain_fps=chain or None, sni_matches_cert=None if is_13 else True,
                 validation_status=None if is_13 else "ok",
                 ja3=hashlib.md5(ja4.encode()).hexdigest(), ja4=ja4)
        return uid, sport

    def http(self, ts, src, name, uri="/", up=400, down=3000, agent=None, dst=None, mime=None,
             method="GET", duration=0.3, status=200, port=80):
        """A plain HTTP connection with one request."""
        dst = dst or self.addresses[name]
        if name in self.addresses:
            ts = self.ask(ts, src, name, answers=[dst])
        uid, sport = self.conn(ts, src, dst, port, "tcp", "http", duration, up, down)
        self.row("http", ts + 0.01, uid=uid, orig=src, orig_p=sport, resp=dst, resp_p=port,
                 trans_depth=1, method=method, host=name, uri=uri, referrer=None, version="1.1",
                 user_agent=(agent or self.agent(src))[0], request_body_len=0 if method == "GET" else up,
                 response_body_len=max(0, down - 300), status_code=status, status_msg="OK",
                 resp_mime_types=[mime or "text/html"])

    def agent(self, src):
        return BROWSERS[0 if int(src.rsplit(".", 1)[1]) % 3 else 1]

    def poisson(self, begin, end, mean):
        ts = begin + self.random.expovariate(1 / mean)
        while ts < end:
            yield ts
            ts += self.random.expovariate(1 / mean)

    def around(self, mean, spread=0.8):
        return mean * math.exp(self.random.gauss(0, spread))

    # ---- what an office does ----

    def day(self, begin, much):
        """`much`: of the browsing; what is regular is always there."""
        for n, host in enumerate(DESKTOPS):
            self.person(begin, host, much)
            self.desktop(begin, host, n)
        self.servers(begin)

    def person(self, begin, host, much):
        come = begin + 8 * 3600 + self.random.uniform(0, 5400)
        leave = begin + 16.5 * 3600 + self.random.uniform(0, 7200)
        lunch = begin + 12 * 3600 + self.random.uniform(0, 3600)
        favourites = [self.random.randrange(len(self.sites)) for _ in range(12)]
        for ts in self.poisson(come, leave, 1500 / much):
            if lunch < ts < lunch + 2400:
                continue
            for _ in range(self.random.randrange(2, 14)):
                ts += self.around(25, 1.0)
                if self.random.random() < 0.5:
                    site = self.sites[self.random.choice(favourites)]
                else:
                    pick = self.random.random() * self.site_sums[-1]
                    site = self.sites[bisect.bisect(self.site_sums, pick)]
                self.page(ts, host, site)
        # Files on the server, while somebody is there.
        ts = come
        while ts < leave:
            last = self.around(2400, 0.6)
            self.conn(ts, host, FILES, 445, service="gssapi,smb,krb", duration=min(last, leave - ts),
                      up=int(self.around(200000, 1.5)), down=int(self.around(3000000, 1.5)))
            ts += last + self.around(300)
        # A team's chat stays open while somebody is there, with a reconnection now and then.
        ts = come + 60
        while ts < leave:
            last = min(self.around(5000, 0.7), leave - ts)
            self.tls(ts, host, "wss.teamchat.example", last, int(40 * last / 10), int(90 * last / 10))
            ts += last + self.around(20)
        # Some mails with attachments.
        for ts in self.poisson(come, leave, 7000):
            self.tls(ts, host, "smtp.mail.example", self.around(2), int(self.around(200000, 1.2)),
                     3000, 587)

    def page(self, ts, host, site):
        n_conns = self.random.choice((1, 1, 1, 2))
        for _ in range(n_conns):
            if int(site[8:11]) % 11 == 5:
                self.http(ts + self.random.uniform(0, 0.3), host, site,
                          f"/page{self.random.randrange(400)}.html", 500,
                          int(self.around(20000, 1.2)), duration=self.around(1))
            else:
                self.tls(ts + self.random.uniform(0, 0.3), host, site, self.around(12, 1.2),
                         int(self.around(2500)), int(self.around(60000, 1.3)))
        for _ in range(self.random.randrange(0, 4)):
            third = self.random.choice(self.thirds)
            at = ts + self.random.uniform(0.2, 3)
            if self.random.random() < 0.02:
                # Some of these servers never answer.
                self.ask(at, host, third)
                self.conn(at + 0.02, host, self.addresses[third], 443, state="S0")
            else:
                self.tls(at, host, third, self.around(8, 1.2), int(self.around(1500)),
                         int(self.around(15000, 1.2)))

    def desktop(self, begin, host, n):
        """What it does by itself, day and night."""
        ts = begin + self.random.uniform(0, 600)
        while ts < begin + DAY:  # mail is looked for every ten minutes
            self.tls(ts, host, "imap.mail.example", 1 + self.random.random(), 900,
                     int(self.around(2500, 0.7)), 993)
            ts += 600 + self.random.uniform(0, 15)
        ts = begin + self.random.uniform(0, 3600)
        while ts < begin + DAY:  # push messages wait in one connection, renewed now and then
            last = min(self.around(14000, 0.5), begin + DAY - ts - 1)
            if last > 0:
                self.tls(ts, host, "client.wns.windows.com", last, int(100 + last / 10),
                         int(300 + last / 8), agent=SYSTEM_AGENT)
            ts += last + 5
        at = self.ask(begin + 60 + n, host, "time.windows.com")
        for ts in (at, at + 6 * 3600, at + 12 * 3600, at + 18 * 3600):
            self.conn(ts, host, self.addresses["time.windows.com"], 123, "udp", "ntp", 0.03, 48, 48)
        for ts in self.poisson(begin, begin + DAY, 9000):
            self.tls(ts, host, "settings-win.data.microsoft.com", self.around(3), 3000, 5000,
                     agent=SYSTEM_AGENT)
        at = begin + self.random.uniform(1, 5) * 3600
        self.tls(at, host, "fe2.update.microsoft.com", self.around(60), 20000,
                 int(self.around(40e6, 1.0)), agent=SYSTEM_AGENT)
        for ts in self.poisson(begin, begin + DAY, 20000):
            self.http(ts, host, "ocsp.digicert.com", "/MFEwTzBNMEswSTAJ", 300, 1200, SYSTEM_AGENT,
                      mime="application/ocsp-response")
        # The domain: tickets, directory, policies.
        for ts in self.poisson(begin, begin + DAY, 5400):
            self.conn(ts, host, DC, 88, service="krb_tcp", duration=0.01, up=1500, down=1600)
            self.conn(ts + 0.1, host, DC, 389, service="ldap_tcp", duration=0.2, up=2000, down=4000)
            if self.random.random() < 0.5:
                self.conn(ts + 0.2, host, DC, 135, service="dce_rpc", duration=2, up=600, down=500)
                self.conn(ts + 0.4, host, DC, 445, service="gssapi,smb,krb", duration=12, up=6000,
                          down=9000)
        # Announcements and the printer.
        for ts in self.poisson(begin, begin + DAY, 3000):
            self.conn(ts, host, "192.168.10.255", 137, "udp", "dns", state="S0", up=50)
            self.conn(ts + 1, host, "224.0.0.252", 5355, "udp", "dns", state="S0", up=30)
            self.conn(ts + 2, host, PRINTER, 161, "udp", "snmp", 0.01, 60, 60)
        # The nightly backup.
        self.conn(begin + 22 * 3600 + n * 240, host, BACKUP, 8443, service="ssl",
                  duration=self.around(180, 0.4), up=int(self.around(300e6, 0.7)), down=200000)
        # A query that nobody can answer, now and then.
        for ts in self.poisson(begin, begin + DAY, 20000):
            self.ask(ts, host, self.random.choice(("wpad.office.example", "isatap.office.example",
                                                   "old-server.office.example")), rcode="NXDOMAIN")

    def servers(self, begin):
        for n in range(4):
            ts = begin + 4 * n
            self.ask(ts, DC, "pool.ntp.org", RESOLVER, answers=[f"198.19.1.{n}"], force=True)
        ts = begin + 30
        while ts < begin + DAY:
            self.conn(ts, DC, f"198.19.1.{self.random.randrange(4)}", 123, "udp", "ntp", 0.04, 48, 48)
            ts += 1024
        # What was backed up goes to another site before the morning.
        self.tls(begin + 2 * 3600 + self.random.uniform(0, 600), BACKUP,
                 "vault.offsite-backup.example", 3000 + self.random.uniform(0, 600),
                 int(2.0e9 * self.random.uniform(0.85, 1.15)), 3000000)
        # The watcher asks everybody whether it is there.
        for host in DESKTOPS + [DC, FILES, BACKUP, PRINTER]:
            ts = begin + self.random.uniform(0, 900)
            while ts < begin + DAY:
                self.conn(ts, WATCHER, host, 0, "icmp", None, 0.001, 56, 56, sport=8)
                ts += 900
        for host in (FILES, BACKUP):
            ts = begin + self.random.uniform(0, 300)
            while ts < begin + DAY:
                uid, sport = self.conn(ts, WATCHER, host, 22, service="ssh", duration=1.2, up=3200,
                                       down=4100)
                self.row("ssh", ts + 0.1, uid=uid, orig=WATCHER, orig_p=sport, resp=host, resp_p=22,
                         version=2, auth_success=True, auth_attempts=1, direction="INBOUND",
                         client="SSH-2.0-libssh2_1.11.0", server="SSH-2.0-OpenSSH_9.2")
                ts += 600
        for host, hour in ((FILES, 9.3), (BACKUP, 11.1), (DESKTOPS[7], 14.4)):
            ts = begin + hour * 3600 + self.random.uniform(0, 900)
            port, service = (3389, "rdp,ssl") if host in DESKTOPS else (22, "ssh")
            self.conn(ts, ADMIN, host, port, service=service, duration=self.around(900, 0.3),
                      up=200000, down=3000000)

    # ---- out ----

    def values(self, log, ts, row):
        """In the columns' order."""
        ends = {"id.orig_h": "orig", "id.orig_p": "orig_p", "id.resp_h": "resp", "id.resp_p": "resp_p",
                "certificate.not_valid_before": "not_before", "certificate.not_valid_after": "not_after",
                "san.dns": "san"}
        out = []
        for column in COLUMNS[log]:
            key = ends.get(column, column.replace("certificate.", ""))
            out.append(float(ts) if column == "ts" else row.get(key))
        return out

    def ready(self):
        """Makes lines of what is there; rows that come later are put among them."""
        self.lines = self.made_lines()
        self.rows = {log: [] for log in COLUMNS}

    def made_lines(self):
        lines = {}
        for log, rows in self.rows.items():
            lines[log] = [(ts, "\t".join(map(value_text, self.values(log, ts, row))))
                          for ts, row in rows]
        return lines

    def with_threats(self, names):
        """A copy of these days with threats in them; `ready` was called. Gives it and what each
        planted."""
        other = Office.__new__(Office)
        other.__dict__.update(self.__dict__)
        other.rows = {log: [] for log in COLUMNS}
        other.random = random.Random(f"threats {self.seed} {names}")
        other.known, other.cached = dict(self.known), dict(self.cached)
        other.n_uids = self.n_uids + 10_000_000
        other.addresses = dict(self.addresses)
        return other, [THREATS[name](other) for name in names]

    def write(self, folder, as_json=False):
        """conn.log, dns.log and so on; one folder a day when there are several days."""
        made = self.made_lines()
        days = {}
        end = BEGIN + DAY - (DAY if self.quiet else 0)
        for log in COLUMNS:
            lines = made[log] + (self.lines[log] if self.lines else [])
            lines.sort(key=lambda line: (line[0], line[1]))
            for ts, line in lines:
                if ts >= end:  # what goes on past midnight is another day's
                    break
                days.setdefault(int(ts // DAY), {}).setdefault(log, []).append(line)
        for day, logs in days.items():
            at = folder
            if len(days) > 1 or self.quiet:
                at = os.path.join(folder, time.strftime("%Y-%m-%d", time.gmtime(day * DAY)))
            os.makedirs(at, exist_ok=True)
            for log, lines in logs.items():
                with open(os.path.join(at, log + ".log"), "w", encoding="utf-8") as out:
                    if as_json:
                        for line in lines:
                            out.write(json_of(log, line))
                        continue
                    types = "\t".join(TYPES.get(column, "string") for column in COLUMNS[log])
                    out.write("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n"
                              f"#unset_field\t-\n#path\t{log}\n#open\t2025-03-04-00-00-00\n"
                              "#fields\t" + "\t".join(COLUMNS[log]) + f"\n#types\t{types}\n")
                    out.write("\n".join(lines))
                    out.write("\n#close\t2025-03-05-00-00-00\n")


def json_of(log, line):
    """The same row as Zeek writes it in JSON."""
    out = {}
    for column, text in zip(COLUMNS[log], line.split("\t")):
        kind = TYPES.get(column, "string")
        if text == "-":
            continue
        if kind.startswith(("vector", "set")):
            items = [] if text == "(empty)" else text.split(",")
            out[column] = [float(item) for item in items] if "interval" in kind else items
        elif kind in ("count", "port"):
            out[column] = int(text)
        elif kind in ("time", "interval"):
            out[column] = float(text)
        elif kind == "bool":
            out[column] = text == "T"
        else:
            out[column] = text
    return json.dumps(out) + "\n"


# ---- threats: each gives what has to be found ----

def planted(hunt, src, dst=None, name=None, port=None, others=()):
    """`hunt`: its name in findings; `dst` and `name`: either end that a finding may have; `others`:
    machines that take part in it, about which there may be findings, too."""
    return {"hunt": hunt, "src": src, "dst": dst, "name": name, "port": port,
            "others": tuple(others)}


def threat_beacon(o):
    """An implant calls home every 60 s +-20 %, over TLS with a name."""
    src, dst, name = DESKTOPS[13], "203.0.113.77", "telemetry.cdn-sync.example"
    o.addresses[name] = dst
    ts = o.begin + 10 * 3600
    while ts < o.begin + DAY:
        o.tls(ts, src, name, 0.4, 900 + o.random.randrange(40), 1100)
        ts += 60 * o.random.uniform(0.8, 1.2)
    return planted("beacon", src, dst, name)


def threat_beacon_by_address(o):
    """The same without a name, every 5 min with half of it by chance, for three hours."""
    src, dst = DESKTOPS[14], "203.0.113.78"
    ts = o.begin + 13 * 3600
    while ts < o.begin + 16 * 3600:
        o.conn(ts, src, dst, 8443, service="ssl", duration=0.3, up=620, down=380)
        ts += 300 * (1 - 0.5 * o.random.random())
    return planted("beacon", src, dst)


def threat_long(o):
    """One connection of eleven hours, of no protocol that is known."""
    src, dst = DESKTOPS[7], "198.51.100.23"
    o.conn(o.begin + 9 * 3600, src, dst, 4433, duration=11 * 3600.0, up=4000000, down=9000000)
    return planted("long-connection", src, dst, port=4433)


def threat_long_renewed(o):
    """Connected for fourteen hours, in connections of half an hour."""
    src, dst = DESKTOPS[8], "198.51.100.24"
    ts = o.begin + 6 * 3600
    while ts < o.begin + 20 * 3600:
        last = o.random.uniform(1500, 2100)
        o.conn(ts, src, dst, 8080, duration=last, up=300000, down=200000)
        ts += last + 2
    return planted("long-connection", src, dst, port=8080)


def threat_dns_tunnel(o):
    """A megabyte leaves in the labels of TXT queries, through the resolver."""
    src = DESKTOPS[11]
    ts = o.begin + 11 * 3600
    for _ in range(2500):
        labels = ".".join("".join(o.random.choice("abcdefghijklmnopqrstuvwxyz234567")
                                  for _ in range(56)) for _ in range(3))
        answer = "".join(o.random.choice("0123456789abcdef") for _ in range(60))
        o.ask(ts, src, f"{labels}.t.relay.example.org", qtype="TXT", answers=[answer], force=True,
              ttl=0.0)
        ts += o.random.uniform(0.1, 1.0)
    return planted("dns-tunnel", src, name="example.org", others=[DC])


def threat_dga(o):
    """Made-up names are tried until one exists."""
    src = DESKTOPS[9]
    ts = o.begin + 15 * 3600
    for _ in range(240):
        length = o.random.randrange(11, 19)
        name = "".join(o.random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(length))
        o.ask(ts, src, name + o.random.choice((".com", ".net", ".info")), rcode="NXDOMAIN",
              answers=[], force=True)
        ts += o.random.uniform(0.2, 1.5)
    return planted("dga", src, others=[DC])  # which asks for it


def threat_scan_horizontal(o):
    """Who has SMB open?"""
    src = DESKTOPS[15]
    ts = o.begin + 14 * 3600
    used = {host for host in DESKTOPS + [DC, FILES, BACKUP]}
    for n in range(1, 255):
        dst = f"192.168.10.{n}"
        if dst != src:
            state = "S0" if dst not in used else "REJ"
            o.conn(ts, src, dst, 445, state=state, duration=0.001)
        ts += o.random.uniform(0.01, 0.2)
    return planted("scan", src, port=445)


def threat_scan_vertical(o):
    """What does the file server offer?"""
    src = DESKTOPS[16]
    ts = o.begin + 10.5 * 3600
    for port in range(1, 1025):
        if port not in (22, 445):
            o.conn(ts, src, FILES, port, state="REJ", duration=0.0005)
        ts += o.random.uniform(0.001, 0.02)
    return planted("scan", src, FILES)


def threat_scan_slow(o):
    """A host every five minutes, all day, in the networks around."""
    src = DESKTOPS[17]
    for n in range(280):
        dst = f"192.168.{11 + n // 100}.{1 + n % 100}"
        o.conn(o.begin + n * 300 + o.random.uniform(0, 60), src, dst, 3389, state="S0")
    return planted("scan", src, port=3389)


def threat_lateral(o):
    """One machine copies itself to a dozen desktops by SMB and starts itself by WinRM."""
    src = DESKTOPS[18]
    ts = o.begin + 13.2 * 3600
    for dst in DESKTOPS[1:7] + DESKTOPS[19:25]:
        o.conn(ts, src, dst, 445, service="gssapi,smb,ntlm", duration=4, up=900000, down=40000)
        o.conn(ts + 6, src, dst, 5985, service="http", duration=2, up=12000, down=9000)
        ts += o.random.uniform(30, 120)
    return planted("lateral-movement", src)


def threat_lateral_chain(o):
    """From one desktop to the next, and from there to a third, by RDP."""
    one, two, three = DESKTOPS[4], DESKTOPS[19], DESKTOPS[23]
    o.conn(o.begin + 20 * 3600, one, two, 3389, service="rdp,ssl", duration=1500, up=300000,
           down=7000000)
    o.conn(o.begin + 20.4 * 3600, two, three, 3389, service="rdp,ssl", duration=900, up=200000,
           down=5000000)
    return planted("lateral-movement", two, three, port=3389, others=[one])


def threat_ssh_logins(o):
    """Passwords are tried on the backup server."""
    src = DESKTOPS[19]
    ts = o.begin + 3 * 3600
    for _ in range(150):
        uid, sport = o.conn(ts, src, BACKUP, 22, service="ssh", duration=2.5,
                            up=1800 + o.random.randrange(60), down=2400)
        o.row("ssh", ts + 0.1, uid=uid, orig=src, orig_p=sport, resp=BACKUP, resp_p=22, version=2,
              auth_success=False, auth_attempts=1, direction="INBOUND",
              client="SSH-2.0-libssh2_1.11.0", server="SSH-2.0-OpenSSH_9.2")
        ts += o.random.uniform(2, 5)
    return planted("lateral-movement", src, BACKUP, port=22)


def threat_exfiltration(o):
    """Three gigabytes leave in an evening, to where nobody else goes."""
    src, dst, name = DESKTOPS[20], "203.0.113.99", "files.drop-share.example"
    o.addresses[name] = dst
    ts = o.begin + 19 * 3600
    for _ in range(12):
        o.tls(ts, src, name, 200, 250000000, 400000)
        ts += 260
    return planted("exfiltration", src, dst, name)


def threat_strobe(o):
    """Three connections a second, without a pause, for twenty minutes."""
    src, dst = DESKTOPS[21], "203.0.113.50"
    ts = o.begin + 9 * 3600
    while ts < o.begin + 9 * 3600 + 1200:
        o.conn(ts, src, dst, 8081, duration=0.05, up=200, down=150)
        ts += o.random.expovariate(3)
    return planted("strobe", src, dst)


THREATS = {name[len("threat_"):].replace("_", "-"): what for name, what in list(globals().items())
           if name.startswith("threat_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=1, help="with quieter ones before")
    parser.add_argument("--threat", action="append", default=[], choices=sorted(THREATS))
    parser.add_argument("--json", action="store_true", help="logs as JSON, not as TSV")
    parser.add_argument("--list", action="store_true", help="what threats there are")
    parser.add_argument("folder", nargs="?")
    args = parser.parse_args()
    if args.list:
        for name, what in THREATS.items():
            print(f"{name:20} {what.__doc__}")
        return 0
    if not args.folder:
        parser.error("a folder is needed")
    office = Office(args.seed, args.days)
    office.ready()
    office, wanted = office.with_threats(args.threat)
    office.write(args.folder, args.json)
    for want in wanted:
        print(json.dumps(want))
    return 0


if __name__ == "__main__":
    sys.exit(main())
