/* What a mirror must not copy: the packets that carry the copies. Where a mirror leaves by the
 * interface that it copies, each copy would be copied again, without end. It is also no use to tell
 * the collector of the errors that its own tunnel makes, and where those errors are copied, each
 * copy may bring another error.
 *
 * And which packets the user wants to have: one program for the kernel that asks both. */
#ifndef LINUX_EXCLUSION_H
#define LINUX_EXCLUSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

#define LINUX_EXCLUSIONS_MAX 8

/* A tunnel to a collector. Left out are
 *   - its packets: to the address, with the protocol, and of UDP to the port;
 *   - the later fragments of such packets, which carry no port: all of that protocol that go there;
 *   - errors of ICMP and ICMPv6 (destination unreachable, too big, time exceeded, parameter
 *     problem) that quote such a packet, whoever sends them. */
struct linux_exclusion {
    struct addr collector;
    uint8_t protocol; /* IPPROTO_UDP or IPPROTO_GRE */
    uint16_t port;    /* the destination port, of UDP; 0 of GRE */
};

bool linux_exclusion_eq(const struct linux_exclusion *a, const struct linux_exclusion *b);

/* "udp 10.9.0.2 4789", "gre 2001:db8::9". */
#define LINUX_EXCLUSION_TEXT 64
void linux_exclusion_put(const struct linux_exclusion *exclusion, char out[LINUX_EXCLUSION_TEXT]);

/* One instruction of classic BPF; laid out as the kernel's struct sock_filter, whose header does
 * not go together with libpcap's. */
struct linux_bpf_line {
    uint16_t code;
    uint8_t yes, no;
    uint32_t k;
};

/* A program on the heap that gives 0 for packets that are to be left alone, else 0xffffffff. */
struct linux_bpf {
    struct linux_bpf_line *at;
    size_t n; /* at most 4096, what the kernel takes */
};
void linux_bpf_done(struct linux_bpf *bpf);

enum linux_packet {
    LINUX_PACKET_ETHERNET, /* of tc: a frame from its MAC addresses on */
    LINUX_PACKET_IP        /* of xt_bpf: a packet from its IP header on */
};

/* Builds the program that says which packets are mirrored: not those of `exclusions`, and of the
 * others those that `expression` (of pcap-filter(7); NULL or "": all) describes.
 *
 * Of VLAN tags. The exclusions look past up to two of them. Mostly the kernel has taken the outer
 * tag out of the frame's bytes (always before tc sees a received frame, and as long as a frame of a
 * VLAN device was not sent), and what the program sees begins behind it. For the user's expression
 * there is the rule that tcpdump has when it captures live: an expression without the word `vlan`
 * looks past that tag, and one with it sees the tag where it would be in the frame ("vlan 5 and tcp
 * port 80"). A tag that is still in the bytes has to be named, as with tcpdump.
 *
 * -EINVAL: the expression is wrong, with libpcap's words; -E2BIG: the program is longer than the
 * kernel takes. */
int linux_exclusion_filter(const struct linux_exclusion *exclusions, size_t n,
                           const char *expression, enum linux_packet packet, struct linux_bpf *out,
                           struct err *err) MUST_CHECK;

/* Puts in front of a program of LINUX_PACKET_ETHERNET that packets which this machine sent to all,
 * and which come by once more for its own ears (PACKET_LOOPBACK), are left alone: they have no
 * Ethernet header any more. A program that was empty takes everything else. */
int linux_exclude_loopback(struct linux_bpf *bpf, struct err *err) MUST_CHECK;

/* Only whether the expression is right; for the options. */
int linux_check_filter(const char *expression, enum linux_packet packet,
                       struct err *err) MUST_CHECK;

#endif
