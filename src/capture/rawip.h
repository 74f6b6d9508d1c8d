/* Mirrors that come in GRE: raw IP sockets. Each of them sees every packet, so that every worker's
 * has a filter that takes what is that worker's. Needs CAP_NET_RAW to open.
 *
 * The frames begin with the outer IP header, link type LINK_RAW. Fragments have been put together
 * by the kernel. */
#ifndef CAPTURE_RAWIP_H
#define CAPTURE_RAWIP_H

#include "capture/live.h"
#include "capture/steer.h"

struct rawip_options {
    bool is_ipv6;
    struct addr address;      /* of this machine; all zero: every one */
    struct steer_group group; /* no workers: GRE is only held, so that no sender is told that
                               * nobody wants it */
    struct steer_excluded excluded;
    size_t buffer_size; /* wanted, of each socket; 0: 32 MiB */
};

/* Opens group.n_workers + 1 sockets: the last only holds the protocol, to be kept open and never
 * read. See datagrams_open for the rest. */
int rawip_open(const struct rawip_options *options, int *out_fds, size_t *out_buffer_size,
               struct err *err) MUST_CHECK;

/* Other exclusions for the socket of `worker`. */
int rawip_steer(int fd, unsigned worker, const struct rawip_options *options,
                struct err *err) MUST_CHECK;

/* Takes the descriptor where it succeeds. */
int rawip_attach(int fd, uint16_t input, struct live_source **out, struct err *err) MUST_CHECK;

#endif
