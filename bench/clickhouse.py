"""ClickHouse as the peer of `cloudspan hunt`: a server of its own in a folder that exists only for
the measurement, on a port of loopback; stopped by the id of the process that was started."""

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from base import Unavailable

CONFIG = """<yandex>
  <logger><level>warning</level><log>{folder}/server.log</log><errorlog>{folder}/errors.log</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <tcp_port>{other}</tcp_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <user_files_path>{folder}/user_files/</user_files_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>5368709120</mark_cache_size>
  <max_concurrent_queries>8</max_concurrent_queries>
</yandex>
"""

USERS = """<yandex>
  <profiles><default><max_memory_usage>8000000000</max_memory_usage><max_threads>{threads}</max_threads>
  </default></profiles>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
  <profile>default</profile><quota>default</quota></default></users>
  <quotas><default></default></quotas>
</yandex>
"""

# conn.log's columns, in its order; times as Zeek writes them.
COLUMNS = [("ts", "Float64"), ("uid", "String"), ("orig_h", "String"), ("orig_p", "UInt16"),
           ("resp_h", "String"), ("resp_p", "UInt16"), ("proto", "String"), ("service", "String"),
           ("duration", "String"), ("orig_bytes", "String"), ("resp_bytes", "String"),
           ("conn_state", "String"), ("local_orig", "String"), ("local_resp", "String"),
           ("missed_bytes", "UInt64"), ("history", "String"), ("orig_pkts", "UInt64"),
           ("orig_ip_bytes", "UInt64"), ("resp_pkts", "UInt64"), ("resp_ip_bytes", "UInt64")]

GROUPING = """SELECT count(), sum(n) FROM (
  SELECT orig_h, resp_h, count() AS n, groupArray(86400)(toUInt32(ts)) AS times,
         groupArray(86400)(orig_ip_bytes) AS sizes, sum(orig_ip_bytes + resp_ip_bytes) AS bytes,
         min(ts) AS first, max(ts) AS last
  FROM conn GROUP BY orig_h, resp_h)"""


class ClickHouse:
    def __init__(self, folder, port=18123, threads=0):
        self.program = shutil.which("clickhouse-server") or "/usr/sbin/clickhouse-server"
        if not os.access(self.program, os.X_OK):
            raise Unavailable("clickhouse-server is not installed (bench/install)")
        self.folder, self.port = folder, port
        for name in ("data", "tmp", "user_files"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        with open(os.path.join(folder, "config.xml"), "w", encoding="utf-8") as f:
            f.write(CONFIG.format(folder=folder, port=port, other=port + 1))
        with open(os.path.join(folder, "users.xml"), "w", encoding="utf-8") as f:
            f.write(USERS.format(threads=threads or os.cpu_count()))
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.program, "--config-file=" + os.path.join(self.folder, "config.xml")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=2):
                    return self
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None:
                    raise Unavailable("clickhouse-server does not start: see its errors.log") from None
                time.sleep(0.05)
        raise Unavailable("clickhouse-server does not answer")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, query, body=None):
        url = f"http://127.0.0.1:{self.port}/?" + urllib.parse.urlencode({"query": query} if body is not None
                                                                        else {})
        request = urllib.request.Request(url, data=body if body is not None else query.encode())
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            raise Unavailable("clickhouse: " + e.read().decode(errors="replace")[:400]) from None

    def load(self, files):
        """The lines of conn.log files, as they are, without their headers."""
        self.ask("DROP TABLE IF EXISTS conn")
        self.ask("CREATE TABLE conn (" + ", ".join(f"{n} {t}" for n, t in COLUMNS) +
                 ") ENGINE = MergeTree PARTITION BY tuple() ORDER BY (orig_h, resp_h)")
        names = ", ".join(n for n, _ in COLUMNS)
        for path in files:
            with open(path, "rb") as f:
                self.ask(f"INSERT INTO conn ({names}) FORMAT TabSeparated", lines_of(f, len(COLUMNS)))

    def group(self):
        pairs, lines = self.ask(GROUPING).split()
        return int(pairs), int(lines)

    def peak(self):
        """Bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
        return 0

    def cpu(self):
        """Seconds so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lines_of(file, n_columns):
    """What follows the header; its first `n_columns` columns, where there are more."""
    header = b""
    while True:
        line = file.readline()
        if not line.startswith(b"#"):
            break
        header = line if line.startswith(b"#fields") else header
    body = line + file.read()
    if body.rstrip(b"\n").rpartition(b"\n")[2].startswith(b"#close"):
        body = body.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"
    if len(header.split(b"\t")) - 1 == n_columns:
        return body
    return b"".join(b"\t".join(row.split(b"\t")[:n_columns]) + b"\n" for row in body.splitlines())
