#!/usr/bin/env python3
"""Suricata listens on the tap, and sees the connections inside of mirrored traffic.

usage: tap_suricata.py CLOUDSPAN SINK-WRITER CAPTURES

In a network namespace of its own: captures of DNS and HTTP, and a download in frames of 30000 bytes
as a host with segmentation offload sends them, are wrapped in VXLAN as a mirror does; `cloudspan
read` takes that off, and the packets go to a tap where a real Suricata listens. Its eve.json has to
have the connections of conn.log, the questions of dns.log and the requests of http.log.

Exit code 77 (skipped) where there is no Suricata 7, or no right to make a namespace or a tap.
"""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import messages as m
import packets as p

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "mirror0"
LARGE = 100_000  # bytes of the download
TIMEOUT = 60  # of any of the programs; a test that hangs fails

CONFIG = f"""%YAML 1.1
---
vars:
  address-groups: {{ HOME_NET: "any", EXTERNAL_NET: "any" }}
stats: {{ enabled: no }}
logging: {{ default-log-level: notice, outputs: [ {{ console: {{ enabled: yes }} }} ] }}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types: [ flow, dns: {{ version: 2 }}, http: {{ extended: yes }} ]
af-packet:
  - interface: {NAME}
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
    defrag: yes
    use-mmap: yes
    tpacket-v3: yes
    checksum-checks: yes
app-layer:
  protocols:
    http: {{ enabled: yes }}
    dns: {{ tcp: {{ enabled: yes }}, udp: {{ enabled: yes, detection-ports: {{ dp: 53 }} }} }}
stream: {{ checksum-validation: yes, reassembly: {{ depth: 1mb }} }}
unix-command: {{ enabled: no }}
"""


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def enter_namespace():
    if not shutil.which("suricata"):
        skip("suricata is not installed")
    version = subprocess.run(["suricata", "-V"], stdout=subprocess.PIPE, text=True).stdout
    if "version 7" not in version:
        skip(f"not Suricata 7: {version.strip()}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
        skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        skip("/dev/net/tun cannot be opened")


def make_download(path):
    tape = p.Tape()
    talk = p.Tcp(tape, src="10.0.0.9", dst="10.0.0.2", sport=41000, mss=30000).open()
    talk.say(0, m.http_request("GET", "/large", host="large.example.net"))
    talk.say(1, m.http_response(200, "OK", bytes(i * 7 % 251 for i in range(LARGE)),
                                headers=["Content-Type: application/octet-stream"]))
    talk.close()
    with open(path, "wb") as f:
        f.write(p.pcap(tape.frames))


def read_log(path):
    rows, fields = [], []
    with open(path, encoding="latin-1") as f:
        for line in f:
            if line.startswith("#fields"):
                fields = line.rstrip("\n").split("\t")[1:]
            elif not line.startswith("#"):
                rows.append(dict(zip(fields, line.rstrip("\n").split("\t"))))
    return rows


def wait_for(stream, word):
    """Reads lines until one has the word; gives it."""
    said = []
    for line in stream:
        said.append(line)
        if word in line:
            return line
    sys.exit(f"\"{word}\" was not said, but:\n{''.join(said)}")


def read_eve(path):
    """The whole records so far."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def request_of(record):
    http = record["http"]
    return (http.get("http_method"), http.get("hostname"), http.get("url"), http.get("status"))


def end_of(a, pa, b, pb, proto):
    return (proto.lower(), *sorted([(a, int(pa)), (b, int(pb))]))


def compare(what, wanted, got):
    if wanted != got:
        sys.exit(f"{what}: not in eve.json: {sorted(map(str, wanted - got))}; "
                 f"only there: {sorted(map(str, got - wanted))}")
    print(f"{what}: {len(wanted)} as wanted")


def main():
    cloudspan, writer, captures = (os.path.abspath(a) for a in sys.argv[1:4])
    enter_namespace()
    with tempfile.TemporaryDirectory() as folder:
        test(cloudspan, writer, captures, folder)


def test(cloudspan, writer, captures, folder):
    def at(name):
        return os.path.join(folder, name)

    make_download(at("download.pcap"))
    plain = [os.path.join(captures, "dns.pcap"), os.path.join(captures, "http.pcap"),
             at("download.pcap")]
    mirrored = []
    for i, path in enumerate(plain):
        mirrored.append(at(f"mirrored-{i}.pcap"))
        subprocess.run([sys.executable, "-B", os.path.join(HERE, "rewrap.py"), path, mirrored[-1],
                        "--encap", "vxlan", "--vni", "7"], check=True)
    subprocess.run([cloudspan, "read", "-q", "-d", at("logs"), "--mirror=vxlan", "--pcap",
                    at("inner"), *mirrored], check=True, timeout=TIMEOUT)
    conns, dns, http = (read_log(at(f"logs/{name}.log")) for name in ("conn", "dns", "http"))
    with open(at("suricata.yaml"), "w", encoding="utf-8") as f:
        f.write(CONFIG)

    env = dict(os.environ, LSAN_OPTIONS="detect_leaks=0")
    tap = subprocess.Popen([writer, "tap", NAME, at("inner/packets.pcapng")], env=env, text=True,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    suricata = None
    try:
        wait_for(tap.stdout, "ready")
        suricata = subprocess.Popen(["suricata", "-c", at("suricata.yaml"), f"--af-packet={NAME}",
                                     "-l", folder, "--pidfile", at("pid")],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(suricata.stdout, "Engine started")
        tap.stdin.write("go\n")
        tap.stdin.flush()
        print("sink:", wait_for(tap.stdout, "written").strip())

        # Its packet threads may be behind: the last of the requests says that they are not.
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until and suricata.poll() is None:
            seen = [r for r in read_eve(at("eve.json")) if r["event_type"] == "http"]
            if any(request_of(r)[2] == "/large" for r in seen) and len(seen) >= len(http):
                break
            time.sleep(0.05)
        suricata.send_signal(signal.SIGINT)  # it writes all flows, and ends
        suricata.communicate(timeout=TIMEOUT)
    finally:
        for process in (suricata, tap):
            if process and process.poll() is None:
                process.kill()
        for process in (suricata, tap):
            if process:
                process.communicate()

    eve = read_eve(at("eve.json"))
    compare("connections",
            {end_of(c["id.orig_h"], c["id.orig_p"], c["id.resp_h"], c["id.resp_p"], c["proto"])
             for c in conns if c["proto"] in ("tcp", "udp")},
            {end_of(r["src_ip"], r["src_port"], r["dest_ip"], r["dest_port"], r["proto"])
             for r in eve if r["event_type"] == "flow" and r["proto"] in ("TCP", "UDP")})
    compare("requests",
            {(r["method"], r["host"], r["uri"], int(r["status_code"])) for r in http},
            {request_of(r) for r in eve if r["event_type"] == "http"})
    compare("names that were asked for",
            {r["query"].lower() for r in dns if r["query"] != "-"},
            {r["dns"]["rrname"].lower() for r in eve
             if r["event_type"] == "dns" and r["dns"]["type"] == "query" and r["dns"]["rrname"]})
    large = [r["http"]["length"] for r in eve
             if r["event_type"] == "http" and r["http"].get("url") == "/large"]
    if large != [LARGE]:
        sys.exit(f"the download of {LARGE} bytes: {large}")
    print(f"the download: {LARGE} bytes")


if __name__ == "__main__":
    main()
