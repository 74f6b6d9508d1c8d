/* The extension headers between an IPv6 header and its payload. */
#ifndef NET_IP6_CHAIN_H
#define NET_IP6_CHAIN_H

#include "net/packet.h"

enum ip6_header {
    IP6_HOP_BY_HOP = 0,
    IP6_ROUTING = 43,
    IP6_FRAGMENT = 44,
    IP6_ESP = 50,
    IP6_AH = 51,
    IP6_NO_NEXT = 59,
    IP6_DESTINATION = 60,
    IP6_MOBILITY = 135,
};

struct ip6_chain {
    uint8_t next;     /* what follows the headers that were read */
    uint8_t last;     /* FRAGMENT, ESP or MOBILITY: it ends the chain; 0: none of them */
    uint32_t next_at; /* where the byte is that named the last header read */
    uint32_t size;    /* of all headers so far, the IPv6 header with them */
    uint32_t jumbo_len;

    uint32_t fragment_id;
    uint32_t fragment_offset;
    bool fragment_more;

    bool has_home, has_final; /* out->src, out->dst are no longer the header's */
};

static inline bool ip6_chain_has(uint8_t next)
{
    switch (next) {
    case IP6_HOP_BY_HOP:
    case IP6_ROUTING:
    case IP6_FRAGMENT:
    case IP6_ESP:
    case IP6_AH:
    case IP6_DESTINATION:
    case IP6_MOBILITY:
        return true;
    default:
        return false;
    }
}

/* `r` is behind the IPv6 header. A header that is not whole ends the chain, and `next` is its
 * number. Replaces out->src and out->dst where a home address or a route says so. */
void ip6_chain_decode(struct reader *r, struct packet *out, struct ip6_chain *chain);

#endif
