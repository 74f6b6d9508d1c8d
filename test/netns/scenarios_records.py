"""Records of mirrors, as `mirror apply` writes them, while watch runs: it takes what comes, changes
and goes by itself."""
import os
import re
import subprocess
import time

import packets as p
import senders
from collector import Watch
from lab import Failed, wait_until
from scenario import scenario
from scenarios_machines import frames_below, tagged
from scenarios_receive import Net
from scenarios_storage import Stream, connections_of


class Records:
    """A state folder, and what is in it."""

    def __init__(self, lab):
        self.folder = lab.folder("state")
        self.env = {**os.environ, "CLOUDSPAN_STATE": self.folder}

    def path(self, name):
        return os.path.join(self.folder, "sources", name + ".yaml")

    def write(self, name, *sources, collector="10.9.0.2"):
        """Whole or not at all, as the program does it."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name) + ".new", "w", encoding="utf-8") as file:
            file.write(f"# Made by a test.\ncollector: {collector}\nsources:\n")
            file.writelines(f"  - {{{source}}}\n" for source in sources)
        os.rename(self.path(name) + ".new", self.path(name))

    def remove(self, name):
        os.unlink(self.path(name))


def source(name, vni, more=""):
    return f'name: {name}, channel: "vxlan:{vni}@10.9.0.1"{more}'


def names_of(watch):
    return sorted(row["source"] for row in watch.snapshot().get("sources", ()) if row["configured"])


def wait_names(watch, *names):
    wait_until(lambda: names_of(watch) == sorted(names),
               lambda: f"watch knows {names_of(watch)}, not {sorted(names)}:\n{watch.said()[-1500:]}")


def said_once(watch, pattern):
    n = len(re.findall(pattern, watch.said()))
    if n != 1:
        raise Failed(f"'{pattern}' was said {n} times:\n{watch.said()[-3000:]}")


@scenario("records-follow")
def records_follow(lab):
    """Records that come, change and go under load: known by their names at once, no packet lost."""
    net = Net(lab)
    records = Records(lab)
    config = "admit: all\nsources:\n  - {name: own, channel: \"vxlan:9\"}\n"
    watch = Watch(lab, net.col, "-l", "vxlan", config=config, env=records.env)
    stream = Stream(net, per_second=3000)
    wait_names(watch, "own")
    records.write("aws-prod", source("web", 5), source("db", 6))
    wait_names(watch, "own", "web", "db")
    said_once(watch, "records of mirrors: 2 new, 0 gone, 0 changed; 3 machines now")
    wait_until(lambda: watch.machine("web").get("packets"), "nothing is counted under the name")
    # What is edited is not taken along: it may be half done.
    with open(watch.config, "a", encoding="utf-8") as file:
        file.write("  - {name: half, channel: \"vxl")
    records.write("aws-test", source("lab", 7))
    wait_names(watch, "own", "web", "db", "lab")
    said_once(watch, "lab is new; 4 machines now")
    before = watch.machine("web")["packets"]
    records.write("aws-prod", source("web", 5, ", addresses: [10.0.0.2]"), source("cache", 8))
    wait_names(watch, "own", "web", "cache", "lab")
    said_once(watch, "1 new, 1 gone, 1 changed; 4 machines now")
    if watch.machine("db"):
        raise Failed(f"who is gone is still there: {watch.machine('db')}")
    if watch.machine("web")["packets"] < before:
        raise Failed("the count of a machine that stayed began anew")
    # For another collector, and half a file.
    records.write("theirs", source("other", 10), collector="10.9.0.77")
    with open(records.path("half") + ".new", "w", encoding="utf-8") as file:
        file.write("collector: 10.9.0.2\nsources: [{")
    # A broken one is said once, and changes nothing; mended, it counts.
    records.write("broken", "nam: oops")
    watch.must_say("the records of mirrors before stay in force")
    time.sleep(6)
    said_once(watch, "stay in force")
    records.write("broken", source("mended", 11))
    wait_names(watch, "own", "web", "cache", "lab", "mended")
    for name in ("aws-prod", "aws-test", "broken"):
        records.remove(name)
    wait_names(watch, "own")
    stream.stop()
    watch.settle(at_least=stream.n_packets)
    packets = watch.packets()
    rows = connections_of(watch.stop())
    if packets != stream.n_packets or len(rows) != stream.n_connections:
        raise Failed(f"{packets} packets of {stream.n_packets}, {len(rows)} connections of "
                     f"{stream.n_connections}")


def send(net, vni, n, tags=()):
    frames = [p.udp(f"10.20.{vni}.1", "10.0.0.2", 1024 + i, 9000, b"x" * 100) for i in range(n)]
    senders.send_udp(net.mon, "10.9.0.1", "10.9.0.2", 4789,
                     [senders.vxlan_header(vni) + p.ether(frame, tags) for frame in frames])


@scenario("records-any")
def records_any(lab):
    """From nothing: a record for any collector admits its machines, and its end lets all in again."""
    net = Net(lab)
    records = Records(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", env=records.env)
    send(net, 5, 10)
    wait_until(lambda: watch.packets() == 10, "who sends is not heard")
    records.write("aws-nlb", source("web", 5), collector="any")
    wait_names(watch, "web")
    send(net, 5, 10)
    send(net, 6, 7)
    # What came before stays with whom it was of then.
    wait_until(lambda: watch.machine("web").get("packets", 0) == 10 and
               watch.snapshot()["refused_packets"] == 7,
               lambda: f"{watch.machine('web')}, {watch.snapshot()['refused_packets']} refused")
    records.write("aws-nlb", source("web", 5, ", collector: 10.9.0.77"), source("app", 6),
                  collector="any")
    wait_names(watch, "app")
    records.remove("aws-nlb")
    wait_names(watch)
    # Another address of this machine: the records for it are ours now.
    records.write("moved", source("web", 5), source("app", 6), collector="10.9.0.88")
    time.sleep(5)
    wait_names(watch)
    net.col.address("eth0", "10.9.0.88/24")
    wait_names(watch, "app", "web")
    watch.stop()


@scenario("records-tag")
def records_tag(lab):
    """A record that says so has the leaked tag taken off, of its machine alone."""
    net = Net(lab)
    records = Records(lab)
    folder = lab.folder("packets")
    watch = Watch(lab, net.col, "-l", "vxlan", "--pcap", folder, config="admit: all\n",
                  env=records.env)
    records.write("openstack-a", source("leaky", 5, ", drop-vlan: true"), source("sound", 6))
    wait_names(watch, "leaky", "sound")
    for tag in (1, 7):
        send(net, 5, 20, [(0x8100, tag)])
    send(net, 5, 10)
    send(net, 6, 15, [(0x8100, 3)])
    watch.settle(at_least=65)
    watch.stop()
    frames = frames_below(folder)
    n = sum(tagged(frame) for frame in frames)
    if len(frames) != 65 or n != 15:
        raise Failed(f"{n} of {len(frames)} frames have a tag, not 15 of 65")


@scenario("records-lost")
def records_lost(lab):
    """What the cloud says it could not mirror stands beside what watch measures, for each machine."""
    net = Net(lab)
    records = Records(lab)
    records.write("aws-prod", source("web", 5, ", lost-before: 100"), source("db", 6))
    watch = Watch(lab, net.col, "-l", "vxlan", env=records.env, metrics=9464)
    wait_names(watch, "web", "db")
    send(net, 5, 10)

    def wait_lost(new, total):
        def there():
            row = watch.machine("web")
            return (row["cloud_counts"], row["cloud_lost"], row["cloud_lost_total"]) == \
                (True, new, total)
        wait_until(there, lambda: f"not {new}, {total}: {watch.machine('web')}")
    wait_lost(0, 100)
    records.write("aws-prod", source("web", 5, ", lost-before: 150"), source("db", 6))
    wait_lost(50, 150)
    said_once(watch, "web: its cloud could not mirror 50 packets more")
    records.write("aws-prod", source("web", 5, ", lost-before: 20"), source("db", 6))
    wait_lost(50, 20)
    records.write("aws-prod", source("web", 5, ", lost-before: 27"),
                  source("db", 6, ", lost-before: 3000"))
    wait_lost(57, 27)
    row = watch.machine("db")
    if (row["cloud_counts"], row["cloud_lost"], row["cloud_lost_total"]) != (True, 0, 3000):
        raise Failed(f"what was lost before watch knew is counted: {row}")
    records.write("aws-prod", source("web", 5, ", lost-before: 28"),
                  source("db", 6, ", lost-before: 3009"), source("app", 7))
    wait_lost(58, 28)
    watch.must_say("clouds could not mirror 10 packets more of 2 machines, 9 of db")
    said_once(watch, "app is new")  # the numbers alone are no change of the machines
    said_once(watch, "records of mirrors: ")
    wanted = {'cloudspan_source_cloud_lost_packets_total{source="web"}': 58,
              'cloudspan_source_cloud_lost_packets_ever{source="web"}': 28,
              'cloudspan_source_cloud_lost_packets_total{source="db"}': 9,
              'cloudspan_source_cloud_lost_packets_ever{source="db"}': 3009,
              'cloudspan_source_cloud_lost_packets_total{source="app"}': None,
              'cloudspan_dropped_total{stage="mirror",reason="cloud"}': 67,
              'cloudspan_lost_packets_total': 0}
    wait_until(lambda: "web" in str(watch.scrape()), "no metrics")
    got = watch.scrape()
    for key, value in wanted.items():
        if got.get(key) != value:
            raise Failed(f"{key} is {got.get(key)}, not {value}: "
                         f"{[line for line in got.items() if 'lost' in line[0] or 'dropped' in line[0]]}")
    table = net.col.run(lab.cloudspan, "sources", "--socket", watch.socket, check=False)
    if not re.search(r"not mirrored: web: 58 packets .*\(28 in all\)", table) or "app: " in table:
        raise Failed(table)
    live = watch.stop()
    notices = [(row["sub"], row["msg"]) for row in live["notice"].dicts()
               if row["note"] == "Mirror::Not_Mirrored"]
    if len(notices) != 4 or notices[0] != \
            ("web", "web: its cloud could not mirror 50 packets more (150 in all)"):
        raise Failed(f"notice.log: {notices}")
    if "67 packets were not mirrored, by the cloud's own count" not in watch.said():
        raise Failed(watch.said()[-2000:])


@scenario("records-apply")
def records_apply(lab):
    """What the program records itself, while watch runs with the same state folder."""
    net = Net(lab)
    records = Records(lab)
    watch = Watch(lab, net.col, "-l", "vxlan", env=records.env, config="sources: []\n")

    def mirror(verb, *words):
        done = subprocess.run(["ip", "netns", "exec", net.mon.name, lab.cloudspan, "mirror", verb,
                               "linux", "--name", "lab", "-y", *words], env=records.env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=120)
        if done.returncode:
            raise Failed(done.stdout)
    mirror("apply", "--interface", "eth0", "--to", "vxlan:10.9.0.2", "--id", "77", "--machine", "mon-1")
    wait_names(watch, "mon-1")
    net.talk(1)
    row = wait_until(lambda: watch.machine("mon-1").get("packets") and watch.machine("mon-1"),
                     "nothing is heard of the machine")
    if row["id"] != 77 or watch.snapshot()["refused_packets"]:
        raise Failed(f"{row}")
    mirror("apply", "--interface", "eth0", "--to", "vxlan:10.9.0.2", "--id", "78", "--machine", "mon-2")
    wait_names(watch, "mon-2")
    net.talk(1)
    wait_until(lambda: watch.machine("mon-2").get("packets"), "nothing is heard under the new name")
    mirror("remove")
    wait_names(watch)
    watch.stop()


@scenario("records-taas")
def records_taas(lab):
    """Frames of many machines at a port, as OpenStack's taps deliver them: told apart by MAC address,
    with a tag of the host's that changes when its agent starts anew."""
    net = Net(lab, col_address=None)
    records = Records(lab)
    folder = lab.folder("packets")
    watch = Watch(lab, net.col, "-i", "eth0", "--pcap", folder, env=records.env)
    records.write("openstack-tap", 'name: vm-a, mac: "02:00:0a:00:00:01", drop-vlan: true',
                  'name: vm-c, mac: "02:00:0a:00:00:03", drop-vlan: true',
                  'name: plain, mac: "02:00:0a:00:00:04"', collector="any")
    wait_names(watch, "vm-a", "vm-c", "plain")
    tape = p.Tape(bytes)
    talk = p.Tcp(tape, "10.20.0.1", "10.0.0.2", 1024, 9000).open()
    talk.say(0, b"ask").say(1, b"answer").say(0, b"more").say(1, b"of it").close()
    packets = [packet for _, packet in tape.frames]
    half = len(packets) // 2
    # One direction has the tag, the other has none: it hangs on how the switch came to the frame.
    frames = [p.ether(packet, [(0x8100, 1 if i < half else 2)] if i % 2 else [])
              for i, packet in enumerate(packets)]
    mac_c, mac_d = bytes.fromhex("02000a000003"), bytes.fromhex("02000a000004")
    other = bytes.fromhex("02000a0000ff")
    # A guest's own tag is under the host's, and stays.
    frames += [p.ether(p.udp("10.20.0.3", "10.0.0.2", 2000 + i, 9000, b"x"),
                       [(0x8100, 1), (0x8100, 44)], src=mac_c, dst=other) for i in range(8)]
    frames += [p.ether(p.udp("10.20.0.4", "10.0.0.2", 2000 + i, 9000, b"x"), [(0x8100, 44)],
                       src=other, dst=mac_d) for i in range(6)]
    senders.send_frames(net.mon, "eth1", frames, 500)
    watch.settle(at_least=len(frames))
    n = {name: watch.machine(name)["packets"] for name in ("vm-a", "vm-c", "plain")}
    if n != {"vm-a": len(packets), "vm-c": 8, "plain": 6}:
        raise Failed(f"{n}, {len(packets)} packets of a connection")
    rows = connections_of(watch.stop())
    if len(rows) != 1 + 8 + 6:
        raise Failed(f"{len(rows)} connections: {rows}")
    for frame in frames_below(folder):
        tags = (frame[12:14] == b"\x81\x00") + (frame[16:18] == b"\x81\x00")
        expected = 1 if frame[6:12] == mac_c or frame[0:6] == mac_d else 0
        if tags != expected or (tags and frame[14:16] != b"\x00\x2c"):
            raise Failed(f"a frame has {tags} tags, not {expected}: {frame[:20].hex()}")
