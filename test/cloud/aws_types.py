"""Instance types, as far as mirroring asks: which can be a source, how many interfaces they have."""
import re

# Families of the Nitro system that AWS's guide to Traffic Mirroring does not name as sources (as it
# was changed in August 2025), and those whose bare metal it does.
UNSUPPORTED = set(
    "m8a m8azn m8g m8gb m8gd m8gn m8i m8id m8i-flex c7gn c8a c8g c8gb c8gd c8gn c8i c8id c8i-flex "
    "r7gn r8a r8g r8gb r8gd r8gn r8i r8id r8i-flex x8g x8aedz x8i i7ie i8g i8ge p5en p6-b200 p6-b300 "
    "g7e trn2 trn2u hpc7g hpc8a".split())
BARE = set("m5 m5d m6g m6gd mac1 mac2 mac2-m1ultra mac2-m2 mac2-m2pro a1 c5 c5d c6g c6gd r5 r5b r5d "
           "r6g r6gd x2gd z1d i3 g5g".split())
# Those before Nitro that can.
XEN = set("c4 d2 g3 g3s h1 i3 m4 p2 p3 r4 x1 x1e".split())
XEN_NOT = set("t2 m3 c3 r3 m1 t1".split())

KNOWN = ["t2.micro", "t3.micro", "t3.medium", "m4.large", "m5.large", "m5.xlarge", "m5.24xlarge",
         "m5.metal", "m6i.large", "m8g.large", "c5.large", "c5n.18xlarge", "r5.large", "r5.24xlarge"]
INTERFACES = {"micro": 2, "medium": 3, "large": 3, "xlarge": 4, "metal": 15}


def parts(name):
    match = re.fullmatch(r"([a-z0-9-]+)\.([a-z0-9-]+)", name)
    return match.groups() if match else ("", "")


def can_be_mirrored(name):
    family, size = parts(name)
    if size.startswith("metal"):
        return family in BARE
    return not (family in UNSUPPORTED or family in XEN_NOT)


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
