"""Instance types, as far as mirroring asks: which can be a source, how many interfaces they have."""
import re

# Families that AWS lists as unable to be mirrored, though they are of the Nitro system.
UNSUPPORTED = set(
    "m6a m6i m6id m6idn m6in m7a m7g m7gd m7i m7i-flex m8g c6a c6gd c6gn c6i c6id c6in c7a c7g c7gd "
    "c7gn c7i c8g r6a r6i r6id r6idn r6in r7a r7g r7gd r7i r7iz r8g x8g x2idn x2iedn x2iezn i4g i4i "
    "im4gn is4gen inf2 p5 trn1 trn1n hpc6a hpc6id hpc7a hpc7g".split())
# Those before Nitro that can.
XEN = set("c4 d2 g3 g3s h1 i3 m4 p2 p3 r4 x1 x1e".split())
XEN_NOT = set("t2 m3 c3 r3 m1 t1".split())

KNOWN = ["t2.micro", "t3.micro", "t3.medium", "m4.large", "m5.large", "m5.xlarge", "m5.24xlarge",
         "m5.metal", "m6i.large", "m7g.large", "c5.large", "c5n.18xlarge", "r5.large", "r5.24xlarge"]
INTERFACES = {"micro": 2, "medium": 3, "large": 3, "xlarge": 4, "metal": 15}


def parts(name):
    match = re.fullmatch(r"([a-z0-9-]+)\.([a-z0-9-]+)", name)
    return match.groups() if match else ("", "")


def can_be_mirrored(name):
    family, size = parts(name)
    return not (family in UNSUPPORTED or family in XEN_NOT or size.startswith("metal"))


def n_interfaces(name):
    return INTERFACES.get(parts(name)[1], 15)


def shown(name):
    family, size = parts(name)
    bare = size.startswith("metal")
    hypervisor = None if bare else "xen" if family in XEN | XEN_NOT else "nitro"
    return {"instanceType": name, "currentGeneration": True, "freeTierEligible": False,
            "supportedUsageClasses": ["on-demand", "spot"], "supportedRootDeviceTypes": ["ebs"],
            "bareMetal": bare, "hypervisor": hypervisor, "vCpuInfo": {"defaultVCpus": 2},
            "memoryInfo": {"sizeInMiB": 8192}, "instanceStorageSupported": False,
            "networkInfo": {"networkPerformance": "Up to 10 Gigabit", "ipv6Supported": True,
                            "maximumNetworkInterfaces": n_interfaces(name),
                            "ipv4AddressesPerInterface": 10, "ipv6AddressesPerInterface": 10,
                            "maximumNetworkCards": 1, "enaSupport": "required"},
            "hibernationSupported": False, "burstablePerformanceSupported": family[:1] == "t",
            "dedicatedHostsSupported": True, "autoRecoverySupported": True}
