/* Who sends mirrored traffic to this machine, found out by listening for a few seconds. */
#ifndef LINUX_SENDERS_H
#define LINUX_SENDERS_H

#include "base/err.h"
#include "net/addr.h"

#define LINUX_SENDERS_MAX 32

struct linux_sender {
    struct addr from;
    uint16_t port;     /* UDP's, to which it sends; 0: GRE */
    uint16_t gre_type; /* of GRE: what is inside */
    bool has_id;
    uint32_t id; /* VNI, or key of GRE */
    uint64_t n_packets, n_bytes;
    uint32_t largest; /* the largest IP packet */
};

struct linux_senders {
    struct linux_sender list[LINUX_SENDERS_MAX];
    size_t n;
    uint64_t n_more;    /* packets of others, which did not fit */
    bool sees_all;      /* GRE and ports that others hold were heard as well */
    bool hears_nothing; /* not even one socket could be opened */
};

/* Counts one IPv4 packet. Others than UDP to one of `ports` (ended by 0) and GRE are passed over.
 */
void linux_take_sender(struct linux_senders *senders, const void *packet, size_t size,
                       const uint16_t *ports);

/* Listens for `seconds`, by raw sockets where that is permitted, else by UDP ports of its own as
 * long as nobody else has them. */
void linux_hear_senders(struct linux_senders *out, const uint16_t *ports, unsigned seconds);

#endif
