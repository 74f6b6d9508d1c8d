/* Puts fragmented IP datagrams together (RFC 791, RFC 8200), in bounded memory.
 *
 * What came first wins where fragments overlap. A datagram is known by its addresses, protocol and
 * identification, and by the layers around it: equal ones of two tenants never mix. The oldest is
 * given up where there is no room for a new one. */
#ifndef TUNNEL_FRAGMENT_H
#define TUNNEL_FRAGMENT_H

#include "base/pool.h"
#include "net/ip.h"

struct fragments;

#define FRAGMENT_TIMEOUT     (300ll * 1000000000)
#define FRAGMENT_MAX_PENDING 4096

/* `max_size`: bytes to keep at most. NULL: no memory. */
struct fragments *fragments_new(struct pool *pool, size_t max_size);
void fragments_free(struct fragments *fragments);

enum fragment_result {
    FRAGMENT_KEPT,
    FRAGMENT_WHOLE,   /* the datagram is complete */
    FRAGMENT_REFUSED, /* no memory, or it would be longer than a datagram can be */
};

/* Keeps the fragment that was decoded into `packet`, or completes its datagram: `out_bytes` is
 * then the IP packet, valid until fragments_release. Notes in `packet` what is odd. */
enum fragment_result fragments_add(struct fragments *fragments, struct packet *packet,
                                   const struct ip_fragment *fragment, const uint8_t **out_bytes,
                                   uint32_t *out_size);

/* Gives back what was handed out. */
void fragments_release(struct fragments *fragments);

/* Drops what has waited longer than FRAGMENT_TIMEOUT; gives how many. */
uint64_t fragments_expire(struct fragments *fragments, int64_t now);

/* Bytes of memory that fragments take now. */
uint64_t fragments_size(const struct fragments *fragments);

/* Datagrams that were given up for want of room, since the start. */
uint64_t fragments_evicted(const struct fragments *fragments);

#endif
