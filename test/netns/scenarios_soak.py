"""Mixed load from several senders for minutes: memory stays flat, and no packet is unaccounted for."""
import contextlib
import os
import random
import threading
import time

import logs
import packets as p
import senders
import traffic
from collector import Watch
from lab import Failed, Skip, wait_until
from lan import COLLECTOR, Lan
from scenario import scenario
from scenarios_receive import packets_of
from scenarios_storage import children


def memory_of(process):
    """Resident bytes of the process and its children, each page shared among them counted once."""
    total = 0
    for pid in [process.pid] + children(process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    return total


class Generator:
    """One sender: wraps made-up conversations, and counts every mirrored packet that it sent."""

    def __init__(self, lab, machine, number, kind, per_second):
        self.machine, self.number, self.kind, self.per_second = machine, number, kind, per_second
        self.n_sent = 0
        self.stopping = threading.Event()
        self.thread = lab.serve(self.loop)

    def wrap(self, packet):
        if self.kind == "vxlan":
            return senders.vxlan_header(1000 + self.number) + p.ether(packet)
        if self.kind == "geneve":
            return senders.geneve_header(0x6558, 1000 + self.number) + p.ether(packet)
        return senders.gre_header(0x6558, key=1000 + self.number) + p.ether(packet)

    def loop(self):
        rng = random.Random(self.number)
        pace = senders.Pace(self.per_second)
        port = {"vxlan": 4789, "geneve": 6081, "gre": 0}[self.kind]
        if self.kind == "gre":
            import socket
            with self.machine.inside():
                sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
        else:
            sock = traffic.udp_socket(self.machine, self.machine.lan_address)
        with sock:
            while not self.stopping.is_set():
                # Ports come again after a while, addresses too, as they do in life.
                packets = packets_of(rng.randint(1024, 60000), f"10.{40 + self.number}.0.{rng.randint(1, 250)}",
                                     f"10.{60 + self.number}.0.{rng.randint(1, 20)}")
                for packet in packets:
                    sock.sendto(self.wrap(packet), (COLLECTOR, port))
                    self.n_sent += 1
                    pace.next()

    def stop(self):
        self.stopping.set()
        self.thread.join()


@scenario("soak")
def soak(lab):
    """Two minutes of mixed load (CLOUDSPAN_SOAK: minutes): memory flat, the counters add up."""
    seconds = float(os.environ.get("CLOUDSPAN_SOAK", "2")) * 60
    if seconds <= 0:
        raise Skip("CLOUDSPAN_SOAK is 0 minutes")
    lan = Lan(lab, offload=True)
    watch = Watch(lab, lan.col, "-l", "vxlan", "-l", "geneve", "-l", "gre", "--memory", "128M",
                  metrics=9464, config="outputs: {logs: {rotate: 1m}}\ncanary: {enabled: false}\n")
    generators = []
    for number, (kind, pace) in enumerate((("vxlan", 700), ("vxlan", 400), ("geneve", 500),
                                           ("gre", 400))):
        machine = lan.add(f"m{number}", 20 + number)
        generators.append(Generator(lab, machine, number, kind, pace))
    begin = time.monotonic()
    samples = []  # (seconds, bytes)
    while time.monotonic() < begin + seconds:
        watch.process.must_run()
        samples.append((time.monotonic() - begin, memory_of(watch.process)))
        time.sleep(min(1.0, seconds / 60))  # the pace of the samples
    for generator in generators:
        generator.stop()
    n_sent = sum(generator.n_sent for generator in generators)

    def accounted():
        values = watch.scrape()
        received = total(values, "cloudspan_packets_received_total")
        lost = total(values, "cloudspan_dropped_total")
        copies = total(values, "cloudspan_source_copies_total")
        return received, lost, copies
    wait_until(lambda: sum(accounted()[:2]) >= n_sent,
               lambda: f"{n_sent} packets were sent; received, lost, copies: {accounted()}", every=1)
    received, lost, copies = accounted()
    print(f"{n_sent} packets sent: {received:.0f} received, {lost:.0f} counted as lost; "
          f"memory from {samples[len(samples) // 4][1] >> 20} to {samples[-1][1] >> 20} MiB")
    if received + lost != n_sent:
        raise Failed(f"{n_sent} packets were sent, {received} received and {lost} counted as lost")
    if lost > n_sent / 100:
        raise Failed(f"{lost} of {n_sent} packets were lost at a pace of 2000 a second")
    flat(samples)
    live = watch.stop()
    if not logs.rows_of(live, "http"):
        raise Failed("nothing was logged")


def total(values, metric):
    return sum(value for key, value in values.items()
               if key == metric or key.startswith(metric + "{"))


def flat(samples):
    """After the first half, in which tables and buffers fill, the level no longer rises: the last
    quarter's is at most a little above the third's."""
    quarter = len(samples) // 4
    third = sorted(size for _, size in samples[2 * quarter:3 * quarter])
    last = sorted(size for _, size in samples[3 * quarter:])
    before, after = third[len(third) // 2], last[len(last) // 2]
    if after > before * 1.03 + (2 << 20):
        raise Failed(f"memory grows: {before >> 10} KiB in the third quarter, {after >> 10} KiB in the "
                     "last")
