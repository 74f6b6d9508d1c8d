"""What is on the disk: rotation under load, kills at any moment, a full disk, a new configuration."""
import contextlib
import glob
import os
import signal
import threading
import time

import packets as p
import senders
import traffic
from collector import Watch
from lab import Failed, wait_until
from scenario import scenario
from scenarios_receive import Net


class Stream:
    """Whole TCP connections, each with ports of its own, at an even pace until it is stopped."""

    def __init__(self, net, per_second=600):
        self.net, self.per_second = net, per_second
        self.n_connections = 0
        self.n_packets = 0
        self.stopping = threading.Event()
        self.thread = net.lab.serve(self.loop)

    def loop(self):
        pace = senders.Pace(self.per_second)
        with traffic.udp_socket(self.net.mon, "10.9.0.1") as sock:
            while not self.stopping.is_set():
                n = self.n_connections
                tape = p.Tape(bytes)
                talk = p.Tcp(tape, f"10.20.{n // 50000}.1", "10.0.0.2", 1024 + n % 50000, 9000).open()
                talk.say(0, b"ask").say(1, b"answer").close()
                for _, packet in tape.frames:
                    sock.sendto(senders.vxlan_header(5) + p.ether(packet), ("10.9.0.2", 4789))
                    pace.next()
                    self.n_packets += 1
                self.n_connections += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()


def connections_of(live):
    """Both ends of each, of which none may be there twice."""
    by_ends = {}
    for row in live["conn"].dicts() if "conn" in live else ():
        if row["id.resp_p"] == "9000":
            by_ends.setdefault((row["id.orig_h"], row["id.orig_p"]), []).append(row)
    twice = [rows for rows in by_ends.values() if len(rows) > 1]
    if twice:
        said = ("ts", "uid", "id.orig_h", "id.orig_p", "duration", "conn_state", "history",
                "orig_pkts", "resp_pkts")
        raise Failed(f"{len(twice)} connections are logged twice:\n" + "\n".join(
            str([row[name] for name in said]) for rows in twice[:5] for row in rows))
    return list(by_ends)


def archived(folder):
    return [name for path, _, names in os.walk(folder) for name in names
            if name.startswith("conn.") and name.endswith(".log.gz")]


@scenario("rotation")
def rotation(lab):
    """Logs are rotated under load, at the end of a minute: no line lost, none twice."""
    net = Net(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", config="outputs: {logs: {rotate: 1m}}\n")
    stream = Stream(net)
    wait_until(lambda: len(archived(watch.folder)) >= 1,
               lambda: f"the archive has {archived(watch.folder)}", limit=120, every=0.1)
    stream.stop()
    watch.settle()
    rows = connections_of(watch.stop())
    if len(rows) != stream.n_connections:
        raise Failed(f"{len(rows)} connections logged of {stream.n_connections}")


def children(pid):
    """Its children and theirs."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError, IndexError):
                continue
            if parent == pid:
                found += [int(name)] + children(int(name))
    return found


def kill_tree(process):
    """All of it at once, as far as that can be."""
    rest = children(process.pid)
    for pid in [process.pid] + rest:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.popen.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in rest), f"processes {rest} do not end")


@scenario("kill")
def kill(lab):
    """kill -9 under load, again and again, on one folder: what was counted is there, and once."""
    net = Net(lab)
    folder = lab.folder("killed")
    stream = Stream(net)
    n_counted = 0
    for turn in range(6):
        watch = Watch(lab, net.col, "-l", "vxlan", name=f"turn{turn}", folder=folder, metrics=9464,
                      config="outputs: {logs: {rotate: 1m}}\n")
        lines = wait_until(lambda: lines_of(watch, "conn"), "no line is written", every=0.1)
        end = time.monotonic() + 0.3 * turn
        while time.monotonic() < end:
            lines = lines_of(watch, "conn")
        n_counted += int(lines)
        if turn % 2:
            kill_tree(watch.process)
        else:
            # The one that was started; what it started must not outlive it.
            rest = children(watch.process.pid)
            watch.process.kill()
            wait_until(lambda: not any(is_alive(pid) for pid in rest),
                       f"processes {rest} outlive the watch that started them")
    last = Watch(lab, net.col, "-l", "vxlan", name="last", folder=folder,
                 config="outputs: {logs: {rotate: 1m}}\n")
    wait_until(lambda: last.packets() > 100, "no packets")
    stream.stop()
    last.settle()
    rows = connections_of(last.stop())
    if len(rows) < n_counted:
        raise Failed(f"{len(rows)} connections in the logs, but {n_counted} lines were counted before "
                     "the kills")


def is_alive(pid):
    """Any of its threads: the first one may be dead while another has the files open still."""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] not in ("Z", "X"):
                    return True
        except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or read
            continue
    return False


def lines_of(watch, log):
    return watch.scrape().get(f'cloudspan_log_lines_written_total{{log="{log}"}}', 0)


@scenario("full-disk")
def full_disk(lab):
    """The disk is full: watch goes on, counts the lines that it could not write, and recovers."""
    net = Net(lab)
    folder = lab.folder("small")
    lab_mount(folder, "1m")
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb") as file:
        file.write(bytes(900 * 1024))
    watch = Watch(lab, net.col, "-l", "vxlan", folder=folder, metrics=9464)
    stream = Stream(net, per_second=3000)
    wait_until(lambda: watch.total("cloudspan_log_write_errors_total") > 0 and
               watch.process.must_run(), "the disk never gets full", limit=120, every=0.2)
    os.unlink(ballast)
    before = lines_of(watch, "conn")
    wait_until(lambda: lines_of(watch, "conn") > before and watch.process.must_run(),
               "nothing is written when there is room again", every=0.2)
    stream.stop()
    watch.settle()
    lost = watch.total("cloudspan_log_write_errors_total")
    written = lines_of(watch, "conn")
    # Lines were lost, so it says at the end that not all went well.
    live = watch.stop(codes=(0, 1))
    rows = connections_of(live)
    if len(rows) < written:
        raise Failed(f"{written} lines were counted as written, {len(rows)} are there")
    if len(rows) + lost < stream.n_connections:
        raise Failed(f"{stream.n_connections} connections: {len(rows)} logged, {lost} counted as lost")


def lab_mount(folder, size):
    import subprocess
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "small", folder], check=True)


@scenario("reload")
def reload(lab):
    """SIGHUP under load, with a changed configuration: no packet is lost."""
    net = Net(lab)
    head = "admit: all\nsources:\n"
    watch = Watch(lab, net.col, "-l", "vxlan",
                  config=head + "  - {name: five, channel: \"vxlan:5\"}\n")
    stream = Stream(net, per_second=3000)
    for turn in range(5):
        wait_until(lambda n=stream.n_packets: stream.n_packets > n + 500, "no packets are sent")
        with open(watch.config, "w", encoding="utf-8") as file:
            file.write(head + "  - {name: five, channel: \"vxlan:5\"}\n" +
                       f"  - {{name: new{turn}, channel: \"vxlan:{100 + turn}\"}}\n")
        watch.process.tell(signal.SIGHUP)
        wait_until(lambda t=turn: watch.machine(f"new{t}"),
                   lambda t=turn: f"new{t} is not known after SIGHUP:\n{watch.said()[-1500:]}")
    # What is wrong changes nothing, and is said.
    with open(watch.config, "w", encoding="utf-8") as file:
        file.write("sources: [{nam: oops}]\n")
    watch.process.tell(signal.SIGHUP)
    watch.must_say(r"nam\b")
    stream.stop()
    watch.settle(at_least=stream.n_packets)
    packets = watch.packets()
    rows = connections_of(watch.stop())
    if packets != stream.n_packets or len(rows) != stream.n_connections:
        raise Failed(f"{packets} packets of {stream.n_packets}, {len(rows)} connections of "
                     f"{stream.n_connections}")


