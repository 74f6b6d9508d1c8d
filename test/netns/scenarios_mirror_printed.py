"""Printed commands, and cloudspan on the same machine later: the mirror is one of its own."""
import os
import re

from lab import Failed
from mirror_command import UNHEALTHY, Mirror, target_of
from mirror_lab import Net, host_state, same_state
from scenario import scenario
from scenarios_mirror import NEEDS, methods_for


@scenario("mirror-printed", *NEEDS)
def mirror_printed(lab):
    """What printed commands made is known by its marks, is not made twice, and is taken away."""
    net = Net(lab, offload=False)
    before = host_state(net.mon)
    for method in methods_for(lab, "vxlan"):
        if method in ("user", "tee"):
            continue  # a process of ours; iptables' own tables stay
        mirror = Mirror(net, target_of(net, "vxlan"), "--method", method)
        make = mirror.plan("--print").out.partition("# To take it away again:\n")[0]
        net.mon.run("sh", "-e", input=make)
        mirror.must_have_nothing_to_do()
        mirror.remove()
        same_state(f"{method}: printed, applied, removed", before, host_state(net.mon))
        net.mon.run("sh", "-e", input=make)
        if "UNRECORDED" not in mirror.status(UNHEALTHY).out:
            raise Failed(f"{method}: the printed mirror is not known by its marks")
        mirror.remove()
        same_state(f"{method}: printed, removed", before, host_state(net.mon))
        script = re.search("(?s)<<'END_OF_SCRIPT'\n(.*?)END_OF_SCRIPT\n",
                           mirror.plan("--print=systemd").out)[1]
        path = os.path.join(lab.folder("unit"), "mirror")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        for word in ("start", "start", "stop"):  # also over what an earlier start has left
            net.mon.run("sh", path, word)
        same_state(f"{method}: the script of the unit, stopped", before, host_state(net.mon))


@scenario("mirror-shared-hook", *NEEDS)
def mirror_shared_hook(lab):
    """A clsact of ours on which others have put filters since stays, and is said to."""
    net = Net(lab, offload=False)
    mirror = Mirror(net, target_of(net, "vxlan"), "--method", "tc")
    mirror.apply()
    said = mirror.remove().out
    if "stays" in said or "clsact" not in said:
        raise Failed("remove says of a hook that nobody else uses:\n" + said)
    mirror.apply()
    net.mon.tc("filter", "add", "dev", net.device, "ingress", "protocol", "ip", "prio", "49152",
               "u32", "match", "ip", "dport", "9999", "0xffff", "flowid", "1:1")
    mirror.status()
    said = mirror.remove().out
    if not re.search("clsact qdisc of .*, which stays: there are filters of others on it", said):
        raise Failed("remove says of the hook:\n" + said)
    left = net.mon.tc("filter", "show", "dev", net.device, "ingress")
    if "pref 49152" not in left or "mirred" in left:
        raise Failed("not just the other's filter is left:\n" + left)
    net.mon.tc("qdisc", "del", "dev", net.device, "clsact")
