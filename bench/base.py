"""Records the base capture: real servers and real clients, between two network namespaces.

Everything here is made by this run and taken away by it: two namespaces named after our process id,
a folder for the servers' files, and the processes in those namespaces, which are stopped by the ids
of the processes we started. Nothing is sent outside the two namespaces.
"""

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # Debian's own, which sees the Debian packages

# (what it is called in messages, the program that must be there)
SERVERS = [
    ("nginx", "nginx"), ("unbound", "unbound"), ("sshd", "sshd"), ("vsftpd", "vsftpd"),
    ("chronyd", "chronyd"), ("snmpd", "snmpd"), ("redis", "redis-server"), ("iperf3", "iperf3"),
]
NEEDED = ["ip", "tcpdump", "openssl", "ethtool", "nginx", "unbound"]

NGINX = """
user root; worker_processes 1; pid {w}/nginx.pid; error_log {w}/nginx.err; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000;
  client_body_temp_path {w}/t1; proxy_temp_path {w}/t2; fastcgi_temp_path {w}/t3;
  uwsgi_temp_path {w}/t4; scgi_temp_path {w}/t5;
  types {{ text/html html; image/png png; application/javascript js; }}
  server {{
    listen 80; listen [::]:80; root {w}/www;
    location /api {{ default_type application/json; return 200 '{{"ok":true,"id":"$request_id"}}'; }}
    location /old {{ return 302 /index.html; }}
  }}
  server {{
    listen 443 ssl http2; listen [::]:443 ssl http2; root {w}/www;
    ssl_certificate {w}/rsa.crt; ssl_certificate_key {w}/rsa.key; ssl_protocols TLSv1.2 TLSv1.3;
    location /api {{ return 200 '{{"ok":true}}'; }}
  }}
  server {{
    listen 8443 ssl; listen [::]:8443 ssl; root {w}/www;
    ssl_certificate {w}/ec.crt; ssl_certificate_key {w}/ec.key; ssl_protocols TLSv1.2 TLSv1.3;
    location /api {{ return 200 '{{"ok":true}}'; }}
  }}
}}
"""

UNBOUND = """
server:
  interface: 0.0.0.0
  interface: ::0
  interface-automatic: yes
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{w}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  local-zone: "bench.example." redirect
  local-data: "bench.example. 300 A 192.0.2.10"
  local-data: "bench.example. 300 A 192.0.2.11"
  local-data: "bench.example. 60 AAAA 2001:db8::10"
  local-data: 'bench.example. 60 TXT "v=spf1 include:_spf.bench.example ~all"'
  local-data: "bench.example. 60 MX 10 mx.bench.example."
  local-zone: "cdn.bench.example." redirect
  local-data: "cdn.bench.example. 20 CNAME edge.cdn-provider.example."
  local-zone: "nx.example." static
  local-data: "nx.example. 60 SOA ns.nx.example. admin.nx.example. 1 3600 600 86400 60"
  local-zone: "10.in-addr.arpa." redirect
  local-data: "10.in-addr.arpa. 60 PTR host.bench.example."
"""

SSHD = """
Port 22
HostKey {w}/hostkey
AuthorizedKeysFile {w}/userkey.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
Subsystem sftp internal-sftp
MaxStartups 100
"""

VSFTPD = """
listen=YES
anonymous_enable=YES
local_enable=NO
anon_root={w}/ftp
no_anon_password=NO
secure_chroot_dir={w}/empty
background=NO
seccomp_sandbox=NO
run_as_launching_user=NO
"""

CHRONY = """
local stratum 2
allow all
port 123
cmdport 0
pidfile {w}/chrony.pid
driftfile {w}/chrony.drift
"""

SNMPD = """
rocommunity public
agentaddress udp:161
sysLocation bench
"""


class Unavailable(Exception):
    """Namespaces, or a program that nothing can be done without, are not to be had here."""


def find_program(name):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin"
    return shutil.which(name, path=path)


def find_postgres():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return found[-1] if found else None


def run(*argv, **kwargs):
    return subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, **kwargs)


class Stage:
    """The two namespaces, the servers' folder, and what runs in them."""

    def __init__(self, say):
        self.say = say
        self.client = f"csbench-c{os.getpid()}"
        self.server = f"csbench-s{os.getpid()}"
        self.processes = []
        self.made = []
        self.folders = []
        self.files = []
        self.dir = None

    def __enter__(self):
        try:
            self.dir = tempfile.mkdtemp(prefix="cloudspan-bench-")
            os.chmod(self.dir, 0o755)
            for name in (self.client, self.server):
                run("ip", "netns", "add", name)
                self.made.append(name)
            self.wire()
        except (subprocess.CalledProcessError, OSError) as e:
            self.close()
            raise Unavailable(getattr(e, "stderr", b"").decode().strip() or str(e)) from e
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def wire(self):
        c, s = self.client, self.server
        run("ip", "link", "add", "csb0", "netns", c, "type", "veth", "peer", "name", "csb1",
            "netns", s)
        for ns, dev in ((c, "csb0"), (s, "csb1")):
            run("ip", "netns", "exec", ns, "sysctl", "-qw",
                "net.ipv6.conf.all.accept_dad=0", f"net.ipv6.conf.{dev}.accept_dad=0",
                "net.ipv4.ip_local_port_range=20000 65000", "net.ipv4.icmp_ratelimit=0")
            run("ip", "-n", ns, "link", "set", "lo", "up")
            run("ip", "-n", ns, "link", "set", dev, "up")
            # Without this the capture would hold frames no wire ever carries.
            run("ip", "netns", "exec", ns, "ethtool", "-K", dev, "tso", "off", "gso", "off",
                "gro", "off", "tx", "off", "rx", "off", "sg", "off")
        orders = {c: ["addr add 10.0.0.1/8 dev csb0", "addr add fd00::1/16 dev csb0 nodad"],
                  s: []}
        orders[c] += [f"addr add 10.0.0.{i}/8 dev csb0" for i in range(10, 60)]
        orders[c] += [f"addr add fd00::{i:x}/16 dev csb0 nodad" for i in range(16, 80)]
        orders[s] += [f"addr add 10.1.0.{i}/8 dev csb1" for i in range(1, 17)]
        orders[s] += [f"addr add fd00:1::{i:x}/16 dev csb1 nodad" for i in range(1, 17)]
        mac = subprocess.run(["ip", "netns", "exec", s, "cat", "/sys/class/net/csb1/address"],
                             check=True, capture_output=True, text=True).stdout.strip()
        # Addresses that exist on the wire but that nobody answers for.
        orders[c] += [f"neigh add 10.1.0.{i} lladdr {mac} dev csb0 nud permanent"
                      for i in range(200, 251)]
        for ns, lines in orders.items():
            run("ip", "-n", ns, "-batch", self.write("addresses", "\n".join(lines) + "\n"))

    def start(self, *argv, ns=None, log=None, **kwargs):
        """Starts a process in a namespace; it lives until close()."""
        out = open(os.path.join(self.dir, log or "servers.log"), "ab")
        process = subprocess.Popen(
            ["ip", "netns", "exec", ns or self.server, *argv], stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, cwd=self.dir, **kwargs)
        out.close()
        self.processes.append(process)
        return process

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text.format(w=self.dir) if "{w}" in text else text)
        return path

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 3
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Children of what we started (sessions, workers) live in our namespaces and nowhere else.
        for ns in self.made:
            for sig in (signal.SIGTERM, signal.SIGKILL):
                pids = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True,
                                      check=False).stdout.split()
                for pid in pids:
                    try:
                        os.kill(int(pid), sig)
                    except ProcessLookupError:
                        pass
                if pids:
                    time.sleep(0.2)
            subprocess.run(["ip", "netns", "del", ns], check=False, stderr=subprocess.DEVNULL)
        self.made = []
        for path in self.files:
            if os.path.exists(path):
                os.unlink(path)
        for folder in [*self.folders, self.dir]:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)


def make_files(stage):
    """Keys, certificates, pages."""
    w = stage.dir
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out",
        "ca.pem", "-days", "30", "-subj", "/O=Bench/CN=Bench Root", cwd=w)
    run("openssl", "ecparam", "-name", "prime256v1", "-out", "p256.pem", cwd=w)
    for name, kind in (("rsa", "rsa:2048"), ("ec", "ec:p256.pem")):
        stage.write(f"{name}.ext", "subjectAltName=DNS:*.bench.example,DNS:*.tls.bench.example,"
                                   f"DNS:{name}.bench.example\n")
        run("openssl", "req", "-newkey", kind, "-nodes", "-keyout", f"{name}.key", "-out",
            f"{name}.csr", "-subj", f"/O=Bench/CN={name}.bench.example", cwd=w)
        run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "20", "-extfile", f"{name}.ext", "-out", f"{name}.crt",
            cwd=w)
        with open(f"{w}/{name}.crt", "a", encoding="ascii") as crt, \
                open(f"{w}/ca.pem", encoding="ascii") as ca:
            crt.write(ca.read())
    os.makedirs(f"{w}/www/f")
    os.makedirs(f"{w}/ftp/pub")
    os.makedirs(f"{w}/empty")
    sizes = {"200": 200, "2k": 2048, "10k": 10240, "50k": 51200, "500k": 512000, "5m": 5000000}
    letters = bytes.maketrans(bytes(range(256)), (b"abcdefghijklmnopqrstuvwxyz 012345" * 8)[:256])
    for name, size in sizes.items():
        body = os.urandom(size).translate(letters)
        for folder in ("www/f", "ftp/pub"):
            with open(f"{w}/{folder}/{name}", "wb") as f:
                f.write(body)
    shutil.copy(f"{w}/www/f/10k", f"{w}/www/index.html")
    for i in range(1, 51):
        shutil.copy(f"{w}/www/f/" + ("2k", "10k", "2k", "50k")[i % 4], f"{w}/www/page{i}.html")
        with open(f"{w}/www/img{i}.png", "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(2032))
        shutil.copy(f"{w}/www/f/10k", f"{w}/www/app{i}.js")
    for name in ("hostkey", "userkey"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{w}/{name}")


def start_postgres(stage):
    bindir = find_postgres()
    try:
        import pwd
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = None
    if not bindir or not user or not find_program("setpriv"):
        stage.say("skipped in the base capture: postgres (not installed)")
        return
    pg = f"{stage.dir}/pg"
    os.mkdir(pg, 0o700)
    os.chown(pg, user.pw_uid, user.pw_gid)
    as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    run(*as_user, f"{bindir}/initdb", "-D", pg, "-A", "trust", "--no-sync", cwd="/")
    with open(f"{pg}/pg_hba.conf", "a", encoding="ascii") as f:
        f.write("host all all 10.0.0.0/8 scram-sha-256\n")
    with open(f"{pg}/postgresql.conf", "a", encoding="ascii") as f:
        f.write(f"listen_addresses='*'\nunix_socket_directories='{pg}'\nfsync=off\n")
    stage.start(*as_user, f"{bindir}/postgres", "-D", pg)
    psql = [*as_user, f"{bindir}/psql", "-qh", pg, "-c"]
    for _ in range(100):
        if os.path.exists(f"{pg}/.s.PGSQL.5432"):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    inside = ["ip", "netns", "exec", stage.server]
    try:
        run(*inside, *psql, "create role b login superuser password 'b'", cwd="/")
        run(*inside, *psql, "create database b owner b", cwd="/")
        run(*inside, f"{bindir}/pgbench", "-i", "-q", "-h", "127.0.0.1", "-U", "b", "b", cwd="/",
            env={**os.environ, "PGPASSWORD": "b"})
    except subprocess.CalledProcessError as e:
        stage.say("skipped in the base capture: postgres: " + e.stderr.decode().strip()[-200:])


def start_servers(stage):
    w = stage.dir
    commands = {
        "nginx": ["nginx", "-c", stage.write("nginx.conf", NGINX.format(w=w)), "-p", w],
        "unbound": ["unbound", "-c", stage.write("unbound.conf", UNBOUND)],
        "sshd": [find_program("sshd"), "-D", "-f", stage.write("sshd.conf", SSHD)],
        "vsftpd": ["vsftpd", stage.write("vsftpd.conf", VSFTPD)],
        "chronyd": ["chronyd", "-d", "-x", "-f", stage.write("chrony.conf", CHRONY)],
        "snmpd": ["snmpd", "-f", "-C", "-c", stage.write("snmpd.conf", SNMPD), "-Lf", "/dev/null"],
        "redis": ["redis-server", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no",
                  "--save", "", "--dir", w],
        "iperf3": ["iperf3", "-s", "-p", "5201"],
    }
    if not os.path.isdir("/run/sshd"):  # sshd insists on it
        os.mkdir("/run/sshd")
        stage.folders.append("/run/sshd")
    running = {}
    for name, program in SERVERS:
        if not find_program(program):
            stage.say(f"skipped in the base capture: {name} (not installed)")
            continue
        running[name] = stage.start(*commands[name])
    if "iperf3" in running:
        stage.start("iperf3", "-s", "-p", "5202")
    running["smtp"] = stage.start(PYTHON, f"{HERE}/clients.py", "smtp-server")
    start_postgres(stage)
    time.sleep(1.5)
    for name, process in running.items():
        if process.poll() is not None:
            stage.say(f"skipped in the base capture: {name} (stopped with {process.returncode})")


def record(path, say):
    """Makes the base capture at `path`. Raises Unavailable when it cannot be made here."""
    missing = [name for name in NEEDED if not find_program(name)]
    if missing:
        raise Unavailable("not installed: " + ", ".join(missing))
    if os.geteuid() != 0:
        raise Unavailable("making network namespaces needs root")
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin"
    with Stage(say) as stage:
        make_files(stage)
        start_servers(stage)
        part = path + ".part"
        stage.files.append(part)
        dump = stage.start("tcpdump", "-i", "csb1", "-s", "0", "-B", "262144", "-Z", "root", "-w",
                           part, log="tcpdump.log")
        time.sleep(1.5)
        start = time.monotonic()
        clients = stage.start(PYTHON, f"{HERE}/clients.py", "all", stage.dir,
                              find_postgres() or "", ns=stage.client, log="clients.log")
        if clients.wait(300) != 0:
            say("some clients of the base capture failed")
        took = time.monotonic() - start
        time.sleep(1)
        dump.terminate()
        dump.wait(20)
        for name in ("tcpdump.log", "clients.log"):
            with open(os.path.join(stage.dir, name), encoding="utf-8", errors="replace") as f:
                for line in f.read().splitlines()[-12:]:
                    say(f"  {name[:-4]}: {line}")
        if not os.path.exists(part) or os.path.getsize(part) < 1000000:
            raise Unavailable("the capture holds next to nothing")
        os.rename(part, path)
        say(f"base capture: {os.path.getsize(path) / 1e6:.0f} MB in {took:.1f} s")


if __name__ == "__main__":
    record(sys.argv[1], lambda line: print(line, file=sys.stderr))
