"""What watch hands on: a tap for Suricata, a pipe for tcpdump, capture files, another watch."""
import contextlib
import os
import re
import subprocess
import time

import logs
import packets as p
import senders
import traffic
from collector import Capture, Watch
from lab import Failed, need, text_of, wait_until
from scenario import scenario
from scenarios_machines import frames_below
from scenarios_receive import OF_THE_MIRROR, SOURCE_COLUMNS, Net, packets_of

SURICATA = """%YAML 1.1
---
default-log-dir: {folder}
stats: {{enabled: no}}
logging: {{default-log-level: notice, outputs: [{{console: {{enabled: yes}}}}]}}
outputs:
  - eve-log: {{enabled: yes, filetype: regular, filename: eve.json, types: [http, dns, tls, flow]}}
af-packet:
  - interface: {device}
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
    checksum-checks: no
    tpacket-v3: no
stream: {{checksum-validation: no}}
app-layer:
  protocols:
    tls: {{enabled: yes, detection-ports: {{dp: "443"}}}}
    http: {{enabled: yes}}
    dns: {{udp: {{enabled: yes, detection-ports: {{dp: 53}}}}, tcp: {{enabled: yes, detection-ports: {{dp: 53}}}}}}
unix-command: {{enabled: no}}
pid-file: {folder}/suricata.pid
"""


def events_in(eve, kinds):
    """How many of each kind; the last line may still be written."""
    found = re.findall(r'"event_type":"(\w+)"', text_of(eve))
    return {kind: found.count(kind) for kind in kinds}


@scenario("tap", "suricata", "tcpdump", "openssl")
def tap(lab):
    """--tap: Suricata reads the unwrapped packets from an interface and finds the same requests."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", "--tap", "mirror0")
    net.vxlan()
    wait_until(lambda: "mirror0" in net.col.ip("-br", "link"), "there is no interface mirror0")
    folder = lab.folder("suricata")
    config = lab.path("suricata.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(SURICATA.format(folder=folder, device="mirror0"))
    suricata = net.col.start("suricata", need("suricata"), "-c", config, "--af-packet=mirror0", "-l",
                             folder, "-S", "/dev/null", "-k", "none")
    wait_until(lambda: suricata.must_run() and "started" in (suricata.said() + suricata.printed()),
               "suricata does not start", limit=120)
    counts = net.talk()
    # Packets come in order: what is asked last is seen last.
    traffic.dns_ask(net.mon, "10.1.0.2", "the.end.example.net", 0x7777)
    counts["dns"] += 1
    eve = os.path.join(folder, "eve.json")
    wanted = {"http": counts["http"], "tls": counts["ssl"], "dns": 2 * counts["dns"]}
    wait_until(lambda: "the.end.example.net" in text_of(eve), "suricata does not see the last question")
    # Its threads write as they get along.
    with contextlib.suppress(Failed):
        wait_until(lambda: events_in(eve, wanted) == wanted, "", limit=20, every=0.2)
    suricata.stop()
    if events_in(eve, wanted) != wanted:
        raise Failed(f"suricata saw {events_in(eve, wanted)}, there were {wanted}")
    watch.settle()
    live = watch.stop()
    logs.must_have(live, counts, "watch itself")
    if "mirror0" in net.col.ip("-br", "link"):
        raise Failed("the interface outlives the watch that made it")


@scenario("pipe", "tcpdump")
def pipe(lab):
    """-w -: a capture that tcpdump reads as it is written."""
    net = Net(lab)
    read_end, write_end = os.pipe()
    reader = lab.start("tcpdump", need("tcpdump"), "-n", "-l", "-r", "-", stdin=read_end)
    watch = Watch(lab, net.col, "-l", "vxlan", "-w", "-", stdout=write_end)
    os.close(read_end)
    os.close(write_end)
    packets = packets_of()
    senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", 4789,
                     [senders.vxlan_header(5) + p.ether(packet) for packet in packets], 500)
    # The last packet is shown while watch still runs: nothing waits for a full buffer.
    wait_until(lambda: len(reader.printed().splitlines()) >= len(packets),
               lambda: f"tcpdump shows {len(reader.printed().splitlines())} of {len(packets)}")
    watch.stop()
    if reader.wait() != 0 or "VXLAN" in reader.printed():
        raise Failed(f"tcpdump: {reader.said()}\n{reader.printed()[:1000]}")


@scenario("pcap-files", "tcpdump", "openssl")
def pcap_files(lab):
    """--pcap: files that give the same logs again."""
    net = Net(lab)
    folder = lab.folder("pcap")
    hour = time.time() // 3600
    watch = Watch(lab, net.col, "-l", "vxlan", "--pcap", folder)
    net.vxlan()
    counts = net.talk()
    watch.settle()
    live = watch.stop()
    files = sorted(os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)
    if not files or not frames_below(folder):
        raise Failed(f"no packets in {files}")
    if len(files) > 1 + time.time() // 3600 - hour:
        raise Failed(f"one watch for some seconds makes one file in an hour, not {files}")
    offline = logs.read_offline(lab, *files, mirror=None)
    logs.must_have(offline, counts, "the capture file")
    # The columns that say whence it came are only live. Workers write one after the other, so packets
    # of different connections may stand in another order than they came in.
    logs.must_be_equal(live, offline, leave_out=SOURCE_COLUMNS + ("rtt",), tolerance=1)


@scenario("pcap-order", "tcpdump", "openssl")
def pcap_order(lab):
    """--pcap: one worker writes the packets in the order they came; several write in turn, and
    none of them is late by more than they hold back."""
    net = Net(lab)
    folders = {workers: lab.folder(f"pcap-{workers}") for workers in (1, 2)}
    watches = [Watch(lab, net.col, "-j", str(workers), "-i", "eth0", "--pcap", folder,
                     name=f"of-{workers}") for workers, folder in folders.items()]
    net.vxlan()
    net.talk()
    for watch in watches:
        watch.settle()
        watch.stop()
    for workers, folder in folders.items():
        worst, n = disorder(folder)
        if n == 0 or worst > (0.001 if workers == 1 else 1.5):
            raise Failed(f"{workers} workers: of {n} packets one is {worst:.3f} s older than the one "
                         "before it")


def disorder(folder):
    """How much older a packet is than the one before it, in the worst case; how many there are."""
    worst, n = 0, 0
    for path, _, names in os.walk(folder):
        for name in names:
            out = subprocess.run([need("tcpdump"), "-n", "-tt", "-r", os.path.join(path, name)],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                 check=True).stdout
            times = [float(line.split()[0]) for line in out.splitlines() if line[:1].isdigit()]
            worst = max([worst] + [a - b for a, b in zip(times, times[1:])])
            n += len(times)
    return worst, n


@scenario("forward", "tcpdump", "openssl")
def forward(lab):
    """--forward: a second watch gets the packets as VXLAN, and knows whose they are."""
    net = Net(lab)
    far = lab.ns("far")
    lab.cable(net.col, "eth1", far, "eth0")
    net.col.address("eth1", "10.11.0.1/24")
    far.address("eth0", "10.11.0.2/24")
    for own in ("10.11.0.1", "127.0.0.1", "0.0.0.0"):  # to itself: refused
        said = net.col.run(lab.cloudspan, "watch", "-l", "vxlan", "-d", lab.folder("loop"),
                           "--forward", f"vxlan:{own}", "--duration", "1", check=False)
        if "this watch itself" not in said:
            raise Failed(f"--forward to {own}: {said}")
    second = Watch(lab, far, "-l", "vxlan", name="second")
    first = Watch(lab, net.col, "-l", "vxlan", "--forward", "vxlan:10.11.0.2", name="first")
    beside = Capture(lab, net.col, "eth0")
    net.vxlan()
    counts = net.talk()
    beside.settle()
    first.settle()
    second.settle()
    live = [first.stop(), second.stop()]
    beside.stop()
    offline = logs.read_offline(lab, beside.only(OF_THE_MIRROR, "part"))
    logs.must_have(offline, counts, "the capture beside")
    logs.must_be_equal(live[0], offline)
    # Packets are sent on in batches, and stamped when they arrive there.
    logs.must_be_equal(live[1], offline, leave_out=("source", "agent_hostname", "agent_uuid"),
                       tolerance=2)
    vnis = set(live[1]["conn"].column("id.ctx.vxlan_vni"))
    if vnis != {"4242"}:
        raise Failed(f"the VNI of the second watch is {vnis}, not the mirror's 4242")


@scenario("json", "tcpdump", "openssl")
def json_logs(lab):
    """--format json: as many rows as the tables have, with the same names."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", "--format", "json")
    tables = Watch(lab, net.col, "-i", "eth0", name="tables")
    net.vxlan()
    counts = net.talk()
    watch.settle()
    tables.settle()
    as_json, as_tables = watch.stop(), tables.stop()
    logs.must_have(as_json, counts, "JSON")
    for name in counts:
        unknown = set(as_json[name].fields) - set(as_tables[name].fields)
        if unknown:
            raise Failed(f"{name}: JSON has {unknown}, which the table has not")


