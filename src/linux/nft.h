/* Mirrors made by nftables: one table each, which is made, changed and removed in one transaction.
 * The program nft is run for it: its library may not be linked.
 *
 * table netdev: hooks of the interface itself, before and behind everything else that the kernel
 *   does with its frames. Copies are frames as they were: with their MAC addresses, their VLAN tag,
 *   and ARP, and all protocols. The copy is handed to another device and leaves it as it is:
 *   straight out of another card, or out of a tunnel's device, which wraps it up.
 *   Super-frames: what the kernel has put together on reception (GRO), or not yet cut up for
 *   sending (GSO, TSO), is copied as one. The device that the copy leaves by, or the card behind
 *   it, cuts it up again; a device that takes super-frames (veth, tap) hands them on.
 *   Needs Linux 5.16 and nft 1.0.1 for what is sent, older ones copy what is received only.
 *
 * table ip, table ip6: hooks of the routing, one table per protocol. Copies are packets: without
 *   the MAC addresses and the VLAN tag that they had, and without ARP and all else that is not IP.
 *   They are routed to a gateway, that is to a neighbour on a device, and get new MAC addresses on
 *   the way there. Copies of received packets have one hop less to live, and of IPv4 the mark "do
 *   not fragment": where they do not fit through the device, their *sender* is told so by ICMP,
 *   and then sends smaller packets. The device's MTU must therefore not be less than the
 *   interface's. Fragments are copied as one packet where connection tracking is in use, which
 *   puts them together before. What passes a bridge is not seen.
 *   Super-frames: as above; the routing's own devices cut them up.
 *   The kernel resolves the gateway's address on the device as usual: at a tunnel whose other end
 *   answers no ARP a permanent neighbour has to be there, and for IPv6 a route to the gateway.
 *
 * In all of them: what this machine itself sends to all (broadcasts, multicast) comes by again as
 * if it had been received. It is copied once, as sent: received packets with an address of this
 * machine as their source are left out.
 *
 * There is no user's filter and no snap length: nft has no way to run either. */
#ifndef LINUX_NFT_H
#define LINUX_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "linux/exclusion.h"

#define LINUX_NFT_RATE_MAX 16000000000u /* the kernel counts no more */
#define LINUX_NFT_BURST    262144u

enum linux_nft_family { LINUX_NFT_NETDEV, LINUX_NFT_IP, LINUX_NFT_IP6, LINUX_NFT_N_FAMILIES };

/* "netdev", "ip", "ip6": nft's words. */
const char *linux_nft_family_name(int family);

/* A mirror's table of one family; it is called cloudspan_NAME. */
struct linux_nft {
    char mirror[32]; /* its name: letters, digits, '-', '_', '.' */
    int family;      /* enum linux_nft_family */
    char interface[16];
    bool in, out;        /* which directions; at least one */
    char to[16];         /* the device that the copies leave by */
    struct addr gateway; /* of ip and ip6: the neighbour on it */

    /* Bytes per second that are copied of each direction; 0: all; up to LINUX_NFT_RATE_MAX. What is
     * above it is not copied. `burst`: bytes that may come at once beside a second's, which always
     * may; 0: LINUX_NFT_BURST, which has room for super-frames. */
    uint64_t rate;
    uint32_t burst;

    struct linux_exclusion exclusions[LINUX_EXCLUSIONS_MAX];
    size_t n_exclusions;
};

/* Since the table was made; without what is excluded. */
struct linux_nft_count {
    uint64_t n_seen, bytes_seen;     /* packets that could have been copied */
    uint64_t n_copied, bytes_copied; /* those that the limit let through */
};

/* A table as it is. */
struct linux_nft_found {
    struct linux_nft is; /* as far as its rules could be understood */

    /* Its chains and rules are exactly those that linux_nft_make would make of `is`. If not, `is`
     * tells what was understood, and `strange` what is not right, as a sentence. */
    bool intact;
    char strange[200];

    struct linux_nft_count in, out;
};

struct linux_nft_list {
    struct linux_nft_found *at;
    size_t n;
};

/* Makes the table, or makes it anew where it is: there is no moment at which neither is. Whatever
 * is in the way of that leaves everything as it was.
 * -ENOENT: nft is missing; -EOPNOTSUPP: this kernel cannot do it; -ENODEV: no such device. */
int linux_nft_make(const struct linux_nft *want, struct err *err) MUST_CHECK;

/* All tables of `mirror`, or of all mirrors (NULL). Where nft is missing there are none. */
int linux_nft_find(const char *mirror, struct linux_nft_list *out, struct err *err) MUST_CHECK;
void linux_nft_list_done(struct linux_nft_list *list);

/* What `nft -j list table` printed. `listing`: what `nft list table` printed, of which the devices
 * of a table netdev are read where the other does not tell them (nft before 1.0.7); may be NULL. */
int linux_nft_parse(const char *json, size_t size, const char *listing, struct linux_nft_found *out,
                    struct err *err) MUST_CHECK;

/* Removes the table; one that is not there: 0. */
int linux_nft_remove(const char *mirror, int family, struct err *err) MUST_CHECK;

/* Whether both are the same table, and if not what differs first: "to is eth1, should be eth2". */
bool linux_nft_same(const struct linux_nft *is, const struct linux_nft *want, char *out_why,
                    size_t size);

/* The same as commands for a shell: a script in nft's own words, and how the table is removed. */
void linux_nft_put_make(const struct linux_nft *want, struct text *out);
void linux_nft_put_remove(const char *mirror, int family, struct text *out);

enum linux_nft_feature {
    LINUX_NFT_CAN_NETDEV_IN,  /* table netdev, ingress */
    LINUX_NFT_CAN_NETDEV_OUT, /* table netdev, egress */
    LINUX_NFT_CAN_IP,
    LINUX_NFT_CAN_IP6,
    LINUX_NFT_N_FEATURES
};

/* Tries it with a table for the loopback device, which it removes again. Only for a network
 * namespace that was made for such trials. 0, or why not, as a sentence. */
int linux_nft_can(int feature, struct err *err) MUST_CHECK;

#endif
