/* Mirrors made by the TEE target of iptables and ip6tables: the oldest way, and on old kernels the
 * only one beside a program's. Works the same with both of iptables' forms (-legacy and -nft).
 *
 * What is kept and what is lost is as with table ip and table ip6 of nftables (linux/nft.h), of
 * which this is the ancestor: copies are IP packets without the MAC addresses and the VLAN tag that
 * they had, and without ARP; those of received packets have one hop less to live, and of IPv4 the
 * mark "do not fragment", so that the device's MTU must not be less than the interface's;
 * super-frames are copied as one. There is a filter, where the kernel has xt_bpf; there is neither
 * a limit nor a snap length.
 *
 * A mirror has two chains of its own in the table mangle, for what comes in and what goes out; each
 * is jumped to by the first rule of PREROUTING and of POSTROUTING, for the interface only. All
 * rules have the comment "cloudspan NAME".
 *
 *     -A PREROUTING -i eth0 … -j CSPN-NAME-I      -A CSPN-NAME-I -d COLLECTOR -p udp … -j RETURN
 *     -A POSTROUTING -o eth0 … -j CSPN-NAME-O     -A CSPN-NAME-I … -j TEE --gateway GATEWAY
 *
 * Received packets with an address of this machine as their source are left out, as there.
 *
 * The exclusions are coarser than in exclusion.h: iptables has no match on what an ICMP error
 * quotes, so that all errors "destination unreachable" of the collector itself are left out, and
 * no others; and of IPv6 all fragments of the protocol that go to the collector.
 *
 * iptables-nft makes the table mangle and its chains where they are not there. So that these can go
 * with the last mirror, empty chains called CSPN.made-… say what was made; they are made where nft
 * is there to look and to remove with. */
#ifndef LINUX_IPTABLES_H
#define LINUX_IPTABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "linux/exclusion.h"

#define LINUX_TEE_FILTER_MAX 64 /* instructions; what xt_bpf takes */

enum linux_tee_family { LINUX_TEE_4, LINUX_TEE_6, LINUX_TEE_N_FAMILIES };

/* A mirror's rules of one protocol. */
struct linux_tee {
    char mirror[32]; /* its name: letters, digits, '-', '_', '.' */
    int family;      /* enum linux_tee_family */
    char interface[16];
    bool in, out; /* which directions; at least one */

    /* Copies are handed to this neighbour. By which device: `to`, where it is set; else by that of
     * the route to the gateway. */
    struct addr gateway;
    char to[16];

    struct linux_exclusion exclusions[LINUX_EXCLUSIONS_MAX];
    size_t n_exclusions;

    /* The user's filter of LINUX_PACKET_IP, without exclusions; n is 0: all packets. */
    struct linux_bpf_line filter[LINUX_TEE_FILTER_MAX];
    size_t n_filter;
};

/* Compiles the user's filter into `tee`. NULL or "": none. -E2BIG: iptables takes no program that
 * long. */
int linux_tee_filter(const char *expression, struct linux_tee *tee, struct err *err) MUST_CHECK;

/* Since the rules were made. */
struct linux_tee_count {
    uint64_t n_seen, bytes_seen;     /* through the interface, IP, also what is excluded */
    uint64_t n_copied, bytes_copied; /* given to TEE */
};

/* Rules as they are. */
struct linux_tee_found {
    struct linux_tee is; /* as far as they could be understood */

    /* They are exactly those that linux_tee_make would make of `is`, and no rule in front of them
     * keeps packets of the interface away. If not, `strange` says what is not right. */
    bool intact;
    char strange[200];

    struct linux_tee_count in, out;
};

struct linux_tee_list {
    struct linux_tee_found *at;
    size_t n;
};

/* Makes the rules, or makes them anew where they are, in one transaction.
 * -ENOENT: iptables is missing; -EOPNOTSUPP: this kernel cannot do it. */
int linux_tee_make(const struct linux_tee *want, struct err *err) MUST_CHECK;

/* All rules of `mirror`, or of all mirrors (NULL). Where iptables is missing there are none. */
int linux_tee_find(const char *mirror, struct linux_tee_list *out, struct err *err) MUST_CHECK;
void linux_tee_list_done(struct linux_tee_list *list);

/* What `iptables-save -c -t mangle` printed of one family, ended by a NUL; adds to `out`. */
int linux_tee_parse(const char *saved, int family, const char *mirror, struct linux_tee_list *out,
                    struct err *err) MUST_CHECK;

/* Removes the rules and the chains of a family; where there are none: 0. With the last mirror goes
 * what linux_tee_make had to make for the first one, the table mangle or chains of it, where nobody
 * has put anything into it since (iptables-nft only; of iptables-legacy the empty table stays, as
 * with everything that ever used it). */
int linux_tee_remove(const char *mirror, int family, struct err *err) MUST_CHECK;

/* Whether both are the same rules, and if not what differs first. */
bool linux_tee_same(const struct linux_tee *is, const struct linux_tee *want, char *out_why,
                    size_t size);

/* The same as commands for a shell. */
void linux_tee_put_make(const struct linux_tee *want, struct text *out);
void linux_tee_put_remove(const struct linux_tee *is, struct text *out);

enum linux_tee_feature {
    LINUX_TEE_CAN_4,
    LINUX_TEE_CAN_6,
    LINUX_TEE_CAN_FILTER_4, /* xt_bpf */
    LINUX_TEE_CAN_FILTER_6,
    LINUX_TEE_N_FEATURES
};

/* Tries it for the loopback device and removes it again. Only for a network namespace that was made
 * for such trials. 0, or why not, as a sentence. */
int linux_tee_can(int feature, struct err *err) MUST_CHECK;

#endif
