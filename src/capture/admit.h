/* Who may send: a list of address prefixes, and the pieces of programs that refuse all others in
 * the kernel, before they take room in a buffer. One refused packet of many is let through, so that
 * an unknown sender is still seen, and what it sends can be estimated. */
#ifndef CAPTURE_ADMIT_H
#define CAPTURE_ADMIT_H

#include "capture/bpf.h"
#include "net/addr.h"

/* That many of IPv4 always fit in a program; of IPv6, unless hardly two begin alike. */
#define ADMIT_MAX 400

struct admit_prefix {
    struct addr net; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;    /* of 128 */
};

/* Begins zeroed: nobody. */
struct admit_list {
    struct admit_prefix at[ADMIT_MAX];
    unsigned n;
};

/* False: it is full. */
bool admit_add(struct admit_list *list, const struct addr *net, unsigned bits);
/* To be called when all are added: brings them in order, and takes out those that others cover. */
void admit_finish(struct admit_list *list);
/* Of a finished list. */
bool admit_has(const struct admit_list *list, const struct addr *addr);

struct admit {
    const struct admit_list *senders; /* finished */
    uint32_t one_in;                  /* of those refused, so many are one that passes; 0: none */
};

/* Where a program finds an IP header. The network header is what sockets of UDP and raw IP have in
 * front of their data: only the kernel's own interpreter reads that. */
#define ADMIT_AT_NETWORK ((uint32_t)SKF_NET_OFF)

/* Goes to `refused` unless the sender of the IP packet `at` that offset from the packet's begin is
 * in the list, or chance lets it through; else falls through. Both addresses must be there. A is
 * lost, X is kept. */
void admit_put_sender(struct bpf_asm *b, const struct admit *admit, uint32_t at, unsigned refused);

/* What of an interface's packets is a mirror's. */
struct admit_ring {
    struct admit admit;
    const struct admit_list *own; /* finished: mirrors send to these addresses of this host */
    const uint16_t *ports;        /* UDP ports of mirrors */
    unsigned n_ports;
    bool has_ethernet; /* packets begin with an Ethernet header, else with an IP header */
};

/* For SO_ATTACH_FILTER of a ring: mirror packets of others than the senders are refused; everything
 * else is up to `base` (the filter without this; none: it is taken). What cannot be told (another
 * protocol, fragments, IPv6 with extension headers, a cut header) is up to it, too. */
int admit_program_ring(const struct admit_ring *ring, const struct sock_filter *base,
                       unsigned n_base, struct bpf_code *out, struct err *err) MUST_CHECK;

/* The filter that a ring's descriptor has: `out` has room for BPF_CODE_MAX; gives their number, 0:
 * it has none. Needs no privilege, as the next one. */
int admit_get_filter(int fd, struct sock_filter *out, struct err *err) MUST_CHECK;
/* Sets it, or takes it away where `n` is 0. The one before holds until this one does. -ENOMEM: the
 * kernel has no room for one as long as this (net.core.optmem_max). */
int admit_set_filter(int fd, const struct sock_filter *filter, unsigned n,
                     struct err *err) MUST_CHECK;

#endif
