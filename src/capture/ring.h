/* An interface's traffic, by AF_PACKET and a ring that the kernel and the worker share: with
 * promiscuous mode, the kernel's times in ns, and the VLAN tags put back that the kernel took off.
 * Several workers' rings are one fanout group, between which the kernel chooses by the inner
 * connection. Needs CAP_NET_RAW to open, and nothing to read. */
#ifndef CAPTURE_RING_H
#define CAPTURE_RING_H

#include "capture/live.h"
#include "capture/steer.h"

struct ring_options {
    const char *interface;
    struct steer_group group;       /* of workers */
    const struct steer_port *ports; /* mirrors in UDP that this interface may carry */
    unsigned n_ports;
    bool takes_gre;
    bool ignores_outgoing; /* what this machine sends is left out; always so on loopback, where it
                            * comes in again */
    bool not_promiscuous;
    uint16_t fanout_id;              /* of the group; 0: one that is free */
    uint32_t block_size;             /* of 4 KiB pages; 0: 1 MiB. No frame is larger. */
    uint32_t n_blocks;               /* of each worker's ring; 0: 64 */
    const struct sock_fprog *filter; /* what it does not take is not seen; or NULL */
};

/* What a worker has to know about its ring. */
struct ring_shape {
    uint32_t block_size, n_blocks;
    uint16_t link; /* LINK_ETHERNET, LINK_IEEE802_11 …, or LINK_RAW where there is no header */
    int ifindex;
};

/* Opens group.n_workers rings, in their order. -ENODEV: there is no such interface; -ENETDOWN: it
 * is down: wait for it and open again. */
int ring_open(const struct ring_options *options, int *out_fds, struct ring_shape *out_shape,
              struct err *err) MUST_CHECK;

/* Maps the ring; takes the descriptor where it succeeds. A burst is of one block, which goes back
 * to the kernel at the next call after its last frame. */
int ring_attach(int fd, const struct ring_shape *shape, uint16_t input, struct live_source **out,
                struct err *err) MUST_CHECK;

/* The interface was removed: what comes back under its name is another one. */
bool ring_is_gone(const struct live_source *source);

#endif
