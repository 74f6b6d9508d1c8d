/* Interfaces ("links") of this process's network namespace, by rtnetlink: what there is, which of
 * them lie upon which, and the tunnel devices that a mirror's copies are given to. */
#ifndef LINUX_LINK_H
#define LINUX_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reader.h"
#include "linux/nl.h"
#include "net/addr.h"

/* An alias has at most LINUX_ALIAS_MAX - 1 characters. */
#define LINUX_ALIAS_MAX 256

enum linux_df {
    LINUX_DF_UNSET,  /* outer packets may be fragmented on their way */
    LINUX_DF_SET,    /* those that do not fit are dropped */
    LINUX_DF_INHERIT /* as the inner packet has it (not GRE over IPv4: there it is LINUX_DF_SET) */
};

enum linux_erspan {
    LINUX_ERSPAN_1, /* no ERSPAN header at all, and no session id; kernel >= 5.8 */
    LINUX_ERSPAN_2, /* the kernel calls this version 1 */
    LINUX_ERSPAN_3  /* the kernel's version 2: has a time stamp and a direction */
};

struct linux_tunnel {
    struct addr local, remote; /* all zero: none */
    uint32_t id;               /* VNI (24 bits), GRE's key (32), ERSPAN's session id (10) */
    bool has_id;               /* GRE: a key is sent at all. The others always have one */
    uint16_t port;             /* UDP's destination; vxlan and geneve */
    uint32_t underlay;         /* index of the interface it leaves by; 0: as the route says */
    uint8_t ttl;               /* 0: the inner packet's */
    enum linux_df df;

    enum linux_erspan erspan;
    uint32_t erspan_index;   /* of ERSPAN II, 20 bits */
    bool erspan_is_egress;   /* of ERSPAN III: direction */
    uint8_t erspan_hardware; /* of ERSPAN III: id of the hardware, 6 bits */
};

/* Of the interface, since it was made. */
struct linux_link_counters {
    uint64_t rx_packets, rx_bytes, rx_dropped, rx_errors;
    uint64_t tx_packets, tx_bytes, tx_dropped, tx_errors;
};

struct linux_link {
    uint32_t index;
    char name[16];
    char kind[16]; /* "vxlan", "bridge", "vlan", "veth" … as rtnetlink has it; "": hardware, lo */
    char alias[LINUX_ALIAS_MAX];
    bool is_up, has_carrier, is_loopback, has_arp;
    bool has_ethernet; /* frames begin with a MAC header */
    uint32_t mtu;
    uint32_t master;         /* the bridge, bond, team … that it is a port of; 0: none */
    uint32_t lower;          /* what it lies upon (of veth: the other end); 0: none, or not here */
    bool is_lower_elsewhere; /* it lies upon one of another namespace; `lower` is 0 then */
    uint8_t mac[6];
    struct linux_tunnel tunnel; /* all zero where `kind` is none of a tunnel's */
    struct linux_link_counters counters;
};

/* All of them, in the kernel's order; the caller frees *out. */
int linux_links(struct linux_link **out, size_t *out_n, struct err *err) MUST_CHECK;

/* -ENODEV: there is none of that name. */
int linux_link_get(const char *name, struct linux_link *out, struct err *err) MUST_CHECK;

/* In a list; NULL: not there. Index 0 is nobody's. */
const struct linux_link *linux_link_by_index(const struct linux_link *links, size_t n,
                                             uint32_t index);
const struct linux_link *linux_link_by_name(const struct linux_link *links, size_t n,
                                            const char *name);

/* Whether frames that leave by `upper` can also pass `lower`: it is the same one, or upper is a
 * VLAN or macvlan on it, a bridge, bond, team or VRF with it as a port, a tunnel bound to it, the
 * other end of a veth, a port of Open vSwitch beside it – or all that over several steps. "Can":
 * a bridge may know better, and bonds choose. What goes through another namespace, and tunnels
 * that leave by the routing table, are not seen. */
bool linux_link_below(const struct linux_link *links, size_t n, uint32_t upper, uint32_t lower);

/* Whether both are ports of one bridge (or bond, team …), or one of them is that bridge itself. */
bool linux_link_share_master(const struct linux_link *links, size_t n, uint32_t a, uint32_t b);

/* A tunnel device to be made. */
struct linux_link_want {
    const char *name;  /* at most 15 characters */
    const char *kind;  /* "vxlan", "geneve", "gretap" or "erspan"; where the remote address is an
                        * IPv6 one, the last two become ip6gretap and ip6erspan by themselves */
    const char *alias; /* its mark; NULL: none */
    struct linux_tunnel tunnel;
    uint32_t mtu; /* 0: the one that suits a mirror, see below */
    bool is_up;
};

/* Makes a device that never sends a frame of its own: no IPv6 address, no ARP, no learning.
 *
 * All or nothing, also when this process is killed within: the kernel takes an alias only for a
 * device that is there, so the request that makes it and the ones that mark it and bring it up go
 * to the kernel as one datagram, which is worked off in one system call. They name the device by an
 * index that is chosen here, at random from 2^29, so that none of them can touch somebody else's.
 * Where one fails, the device is taken away again.
 *
 * -EEXIST: the name is taken. -EOPNOTSUPP: the kernel has no such device; see linux/features.h.
 * -EPERM: needs CAP_NET_ADMIN.
 *
 * On frames that do not fit, since a mirror's often do not. Outer packets over IPv4 are fragmented
 * on their way (LINUX_DF_UNSET); over IPv6 the kernel fragments none, so that such frames are lost
 * with vxlan, geneve and gretap, and cut with erspan: a collector that has an IPv6 address needs an
 * underlay that takes the largest frame with the tunnel's headers.
 *
 * On the device's own MTU. Copies are given to it without a look at that, but
 *   - gretap drops a frame that exceeds it, and tells the frame's sender so by ICMP: LINUX_GRE_MTU
 *     keeps it quiet (over IPv6 the path's MTU counts, whatever the device's is);
 *   - erspan cuts the frame behind so many bytes of packet, and marks it as cut: to set the MTU is
 *     to set a snap length;
 *   - for vxlan and geneve it does not matter, so they get LINUX_UDP_MTU, with which a device has
 * no IPv6 of its own.
 *
 * A vxlan device takes in what anybody sends to its port, as if it had come by an interface of this
 * machine. IPv6 is off there, and IPv4 is dropped by strict reverse-path filtering, until a service
 * sets that to loose (systemd does for new interfaces where it is so configured). A filter of
 * linux/tc.h that drops all that comes in closes it wholly, where the kernel has `gact`.
 *
 * The first GRE device makes the kernel load ip_gre (or ip6_gre), whose interfaces gre0, gretap0
 * and erspan0 stay after it was removed. */
int linux_link_add(const struct linux_link_want *want, uint32_t *out_index,
                   struct err *err) MUST_CHECK;
#define LINUX_GRE_MTU 65000
#define LINUX_UDP_MTU 1279

int linux_link_set_mtu(uint32_t index, uint32_t mtu, struct err *err) MUST_CHECK;
int linux_link_set_alias(uint32_t index, const char *alias, struct err *err) MUST_CHECK;
int linux_link_set_up(uint32_t index, bool is_up, struct err *err) MUST_CHECK;

/* -ENODEV: it is gone already. */
int linux_link_remove(uint32_t index, struct err *err) MUST_CHECK;
int linux_link_remove_by_name(const char *name, struct err *err) MUST_CHECK;

/* What linux_link_add sends, and what is read from an answer (body: behind the message's header);
 * for tests. False: it is none of a link. */
void linux_link_put(struct nl_request *request, const struct linux_link_want *want, uint32_t index);
bool linux_link_read(struct reader body, struct linux_link *out);

#endif
