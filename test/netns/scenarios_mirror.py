"""Mirrors that `cloudspan mirror` makes on a Linux machine: what arrives at the collector is what was
on the machine's interface, and nothing stays behind."""
import mirror_lab
import mirror_talk
from lab import Failed
from mirror_lab import BY_HAND, Net, OneInterface, Trial, host_state, same_state
from scenario import scenario


@scenario("mirror-lab", "tcpdump", "nft", "ethtool", "iptables", "openssl")
def mirror_lab_itself(lab):
    """Mirrors made by hand bring what they should, and the laboratory notices where they do not."""
    import time
    for offload in (False, True):
        net = Net(lab, offload=offload, prefix="plain-"[:6 * (not offload)])
        mirror_talk.serve(net)
        before = host_state(net.mon)
        for name, (on, off, listen, whole) in BY_HAND.items():
            t=time.monotonic()
            trial = Trial(net, *listen, whole_frames=whole and not offload)
            on(net)
            trial.talk(mirror_talk.OF_IP, mirror_talk.OF_THE_LINK if whole else ())
            t2=time.monotonic()
            try: trial.compare(name)
            except Failed as f: print(f)
            t3=time.monotonic()
            off(net)
            try:same_state(name, before, host_state(net.mon))
            except Failed as f: print(f)
            print(name, offload, t2-t, t3-t2, time.monotonic()-t3)
