/* Datagrams taken from a socket many at a time, each with room in front for a header that the
 * kernel took off, and with what the kernel says about it. */
#ifndef CAPTURE_BATCH_H
#define CAPTURE_BATCH_H

#include <sys/socket.h>

#include "capture/live_kind.h"

#define BATCH_HEADROOM 64
#define BATCH_MAX_SIZE 65536u /* of a datagram: no IP packet is larger */

struct batch; /* CAPTURE_BURST buffers: 2 MiB of address space, of which what was used is memory */

struct batch_item {
    uint8_t *bytes;     /* BATCH_HEADROOM more may be written in front */
    uint32_t size;      /* of what is there */
    uint32_t wire_size; /* of what came */
    int64_t ts;
    struct addr src, dst; /* dst: all zero where the kernel did not say */
    uint16_t sport;
    uint8_t hops; /* what is left of the hop limit; 64 where the kernel did not say */
};

/* `max_size` of a datagram; 0: BATCH_MAX_SIZE. NULL: no memory. */
struct batch *batch_new(uint32_t max_size);
void batch_free(struct batch *batch);

/* Asks the kernel to say what an item holds. `family`: of the socket. */
int batch_prepare(int fd, int family, struct err *err) MUST_CHECK;

/* The number of items, which are valid until the next call; 0: nothing is there; or a negative
 * errno. */
int batch_receive(struct batch *batch, int fd) MUST_CHECK;
struct batch_item *batch_item(struct batch *batch, unsigned i);

/* Asks for a receive buffer of `size` bytes, past the system's limit where that is allowed; gives
 * what was got. */
size_t batch_grow(int fd, size_t size);

/* What the kernel dropped at this socket since it was made; false: it does not say. */
bool batch_dropped(int fd, uint32_t *out);

/* Adds what was dropped since the last call. */
void batch_count_dropped(int fd, uint32_t *last, uint64_t *total);

/* Writes an IP header in front of the item: of IPv4 where both addresses are; gives the item's new
 * beginning in it. The total length says 0 where it does not fit in 16 bits. */
void batch_wrap_ip(struct batch_item *item, uint8_t proto);
/* The same with a UDP header first. */
void batch_wrap_udp(struct batch_item *item, uint16_t dport);

#endif
