/* Traffic control of this process's network namespace, by rtnetlink: the clsact qdisc, whose two
 * hooks see every frame of an interface, and the filters there that copy frames elsewhere. */
#ifndef LINUX_TC_H
#define LINUX_TC_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reader.h"
#include "linux/nl.h"

#define LINUX_TC_COOKIE_MAX 16
#define LINUX_TC_KEYS_MAX   8
#define LINUX_TC_PRIO_MAX   0xffff

enum linux_tc_hook {
    LINUX_TC_NONE,
    LINUX_TC_CLSACT,
    LINUX_TC_INGRESS /* the older one: only what comes in, and it is in clsact's place */
};

int linux_tc_get_hook(uint32_t link, enum linux_tc_hook *out, struct err *err) MUST_CHECK;

/* -EEXIST: there is one, or an `ingress` one in its place. It is never replaced. */
int linux_tc_add_clsact(uint32_t link, struct err *err) MUST_CHECK;

/* With all filters in it, whosever they are: ask linux_tc_list for both directions first. -ENOENT:
 * there is none (an `ingress` one is left alone). */
int linux_tc_remove_clsact(uint32_t link, struct err *err) MUST_CHECK;

enum linux_tc_direction {
    LINUX_TC_IN, /* what comes in by the interface; also from an `ingress` qdisc */
    LINUX_TC_OUT /* what leaves by it */
};

/* A filter that is there, its own or somebody else's. */
struct linux_tc_filter {
    uint16_t prio;     /* the least is asked first */
    uint16_t protocol; /* ETH_P_ALL, ETH_P_IP … */
    uint32_t chain;    /* only what others jump to is in another than 0 */
    uint32_t handle;
    char kind[16];    /* "matchall", "u32", "bpf", "flower" … */
    bool is_table;    /* of u32: a table of filters, none itself */
    uint32_t classid; /* 0: none */

    /* Of its actions. */
    unsigned n_actions;
    char action[16];                     /* the kind of the first */
    uint8_t cookie[LINUX_TC_COOKIE_MAX]; /* of the first that has one */
    uint8_t cookie_size;                 /* 0: none has */
    uint32_t mirror_to; /* index of the interface that mirred sends a copy out of; 0: none */
    bool redirects;     /* mirred sends there, and no copy: the packet itself */
    bool drops;         /* gact does away with the packet */
    bool has_police;
    uint64_t n_limited; /* packets that police found to be too many */

    /* Of mirred where there is one, else of the first action; of a filter without actions, of the
     * filter, where its kind counts (u32: packets, if the kernel counts; bpf does not). */
    uint64_t n_packets, n_bytes;
    uint64_t n_dropped;
    uint64_t n_overlimits; /* mirred: copies that could not be sent, its target being down */
};

/* All of one interface and direction, in the order of prio; the caller frees *out. None where there
 * is no such qdisc. Of u32, those of the other direction with the same prio are listed too: the
 * kernel keeps them together. (linux_tc_add makes no such pair.) */
int linux_tc_list(uint32_t link, enum linux_tc_direction direction, struct linux_tc_filter **out,
                  size_t *out_n, struct err *err) MUST_CHECK;

enum linux_tc_match {
    LINUX_TC_MATCHALL, /* every frame; the cheapest, where the kernel has it */
    LINUX_TC_U32,      /* where all keys match; no keys: every frame */
    LINUX_TC_BPF       /* where the program gives another number than 0 */
};

/* Four bytes at `offset`, counted from the network header (behind all MAC and VLAN headers that
 * the card or kernel has taken off; -14 is the MAC header's begin), and'ed with `mask`, equal
 * `value`: both as one reads them, the first byte being the highest. Offsets are multiples of four,
 * but those below 0 may be -14, -10 … */
struct linux_tc_key {
    uint32_t mask, value;
    int32_t offset;
};

/* What a filter does with the frames that it matches. */
enum linux_tc_verdict {
    LINUX_TC_MIRROR, /* sends a copy out of `mirror_to`; filters of higher prio see the frame too,
                      * so that other people's go on working */
    LINUX_TC_ACCEPT, /* no filter of higher prio sees the frame; nothing happens to it */
    LINUX_TC_DROP /* the frame is gone: for what comes in by the mirror's own device. Needs gact */
};

/* A filter to be made. Its mark is the cookie, which goes with its actions (kernel >= 4.12). One
 * that accepts has no action: every kernel can do that, where not all have `gact`; so it has no
 * cookie, and `classid` is what it is known by. That should be a number that nobody else uses, not
 * 1:1. The kernel writes its lower half into the frame's tc_index, which only the long forgotten
 * tcindex classifier reads. */
struct linux_tc_want {
    uint32_t link;
    enum linux_tc_direction direction;
    uint16_t prio; /* 1 …; one that no filter of the interface has, in either direction: a prio
                    * is for filters of one kind and protocol only, and u32 keeps those of one
                    * prio in one table for both directions */
    uint16_t protocol; /* ETH_P_ALL; 0: the same. A tagged frame is ETH_P_8021Q, so the exclusion of
                        * the mirror's own packets is better ETH_P_ALL and a key for IP's version */
    uint32_t handle;   /* 0: the kernel's choice; u32: at most 0xfff */
    uint32_t classid;  /* 0: none */
    bool skip_hw; /* never to be done by the card; not known to kernels < 4.6, which ignore it */

    enum linux_tc_match match;
    struct linux_tc_key keys[LINUX_TC_KEYS_MAX];
    size_t n_keys;
    const struct sock_filter *program; /* sees the frame from its MAC header on */
    size_t n_instructions;             /* 1 … 4096 */

    enum linux_tc_verdict verdict;
    uint8_t cookie[LINUX_TC_COOKIE_MAX];
    uint8_t cookie_size;
    uint32_t mirror_to; /* index of the interface; of LINUX_TC_MIRROR, as all that follows */

    /* Takes the route off the frame before it is copied (by the action `tunnel_key`, kernel >=
     * 4.9). Why: a copy has the route of the frame that this machine sends. Where it does not fit
     * with the tunnel's headers, the kernel lowers the path MTU of that route, and so of the
     * machine's own traffic: for IPv6 with vxlan and geneve, for both with GRE over IPv6. By then
     * the route has done its work: all but virtual interfaces have it taken off a moment later. */
    bool forgets_route;

    /* Copies at most; 0: no limit. Frames beyond it pass unharmed, without a copy. `burst` is in
     * bytes, LINUX_TC_BURST_MIN at least: a super-frame larger than the burst would never pass.
     * Beyond 200 seconds' worth the kernel does not count. */
    uint64_t rate; /* bytes a second, LINUX_TC_RATE_MIN at least */
    uint32_t burst;
};
#define LINUX_TC_BURST_MIN 131072
#define LINUX_TC_RATE_MIN  1000

/* -ENOENT or -EOPNOTSUPP: the kernel has no such classifier or action; see linux/features.h.
 * -EEXIST: that prio and handle are taken. -EINVAL: also where the hook is missing. */
int linux_tc_add(const struct linux_tc_want *want, struct err *err) MUST_CHECK;

/* Exactly the one that was listed: by prio, protocol, handle, kind and chain. -ENOENT: it is gone.
 */
int linux_tc_remove(uint32_t link, enum linux_tc_direction direction,
                    const struct linux_tc_filter *filter, struct err *err) MUST_CHECK;

/* The least prio from `from` on that no filter of the list has; 0: there is none. The list should
 * be that of both directions, put together. */
uint16_t linux_tc_free_prio(const struct linux_tc_filter *filters, size_t n, uint16_t from);

/* What linux_tc_add sends, and what is read from an answer (body: behind the message's header); for
 * tests. False: it is no filter (kernels tell of each prio too). */
void linux_tc_put(struct nl_request *request, const struct linux_tc_want *want);
bool linux_tc_read(struct reader body, struct linux_tc_filter *out);

#endif
