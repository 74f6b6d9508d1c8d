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
    bool tells_offloads;             /* where it can: see ring_offloads */
    uint32_t headroom;               /* bytes in front of each frame that may be written to */
};

/* What a worker has to know about its ring. */
struct ring_shape {
    uint32_t block_size, n_blocks;
    uint16_t link; /* LINK_ETHERNET, LINK_IEEE802_11 …, or LINK_RAW where there is no header */
    int ifindex;
    bool tells_offloads;
};

/* What a frame's sender left to the network card, which this machine's own capture sees undone.
 * Offsets are counted from the frame's first byte. */
enum ring_gso { RING_GSO_NONE, RING_GSO_TCP, RING_GSO_UDP, RING_GSO_OTHER };
struct ring_offload {
    uint8_t gso;       /* enum ring_gso: it stands for several frames */
    bool sum_lacks;    /* the checksum over what follows sum_from, whose place is sum_at */
    uint16_t gso_size; /* payload bytes of each of them */
    uint32_t sum_from; /* of a TCP or UDP frame that stands for several: its header */
    uint32_t sum_at;
};

/* What frames of the interface begin with: as ring_shape says it, for a filter that has to be there
 * before. */
int ring_find_link(const char *interface, uint16_t *out, struct err *err) MUST_CHECK;

/* Opens group.n_workers rings, in their order. -ENODEV: there is no such interface; -ENETDOWN: it
 * is down: wait for it and open again. */
int ring_open(const struct ring_options *options, int *out_fds, struct ring_shape *out_shape,
              struct err *err) MUST_CHECK;

/* Maps the ring; takes the descriptor where it succeeds. A burst is of one block, which goes back
 * to the kernel at the next call after its last frame. */
int ring_attach(int fd, const struct ring_shape *shape, uint16_t input, struct live_source **out,
                struct err *err) MUST_CHECK;

/* One for each frame of the last burst; NULL where the ring does not tell. Kernels before 6.2 would
 * throw away what they have no word for (segments of UDP), and are not asked. */
const struct ring_offload *ring_offloads(const struct live_source *source);

/* The interface is up again, whatever it is called now, or, where it was removed, another one under
 * its name: from now on the ring is bound to that. Needs no privileges; not in a group, and without
 * promiscuous mode. As ring_open: -ENODEV, -ENETDOWN: wait. */
int ring_rebind(const struct live_source *source, const char *interface,
                const struct ring_shape *shape, struct err *err) MUST_CHECK;

/* The interface was removed: what comes back under its name is another one. */
bool ring_is_gone(const struct live_source *source);

#endif
