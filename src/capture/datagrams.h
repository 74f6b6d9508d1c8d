/* Mirrors that come in UDP, without any privilege: a group of sockets on one port, one for each
 * worker, between which the kernel chooses by the inner connection.
 *
 * The frames are what the datagrams were: an IP and a UDP header of the outer addresses and ports
 * in front of the payload, link type LINK_RAW. */
#ifndef CAPTURE_DATAGRAMS_H
#define CAPTURE_DATAGRAMS_H

#include "capture/live.h"
#include "capture/steer.h"

struct datagram_options {
    struct addr address; /* all zero: every address of both families; 0.0.0.0: of IPv4 */
    uint16_t port;
    const char
        *interface; /* only what comes in by it; or NULL. Of a group's address: joined there */
    enum steer_kind kind;
    struct steer_group group;       /* of workers */
    struct steer_excluded excluded; /* the port is held for these, so that nobody is told that it
                                     * is closed, but nothing of theirs is taken */
    size_t buffer_size;             /* wanted, of each socket; 0: 32 MiB */
};

/* Opens the group, of group.n_workers + 1 sockets: one for each worker, in their order, and one
 * that only holds the port, to be kept open and never read. For a multicast address there is only
 * the first worker's (the kernel would give each socket a copy); the others are -1.
 * `out_buffer_size` (may be NULL) is what the sockets got: less than was wanted where this process
 * may not pass net.core.rmem_max. Works without steering privileges; ports below 1024 do not. */
int datagrams_open(const struct datagram_options *options, int *out_fds, size_t *out_buffer_size,
                   struct err *err) MUST_CHECK;

/* Other exclusions (or another key) for a group that is open, by any of its sockets. */
int datagrams_steer(int fd, const struct datagram_options *options, struct err *err) MUST_CHECK;

/* Takes the descriptor where it succeeds. 2 MiB of buffers for each. */
int datagrams_attach(int fd, uint16_t input, struct live_source **out, struct err *err) MUST_CHECK;

/* The same with smaller buffers: larger datagrams are cut, and counted. */
int datagrams_attach_tuned(int fd, uint16_t input, uint32_t max_size, struct live_source **out,
                           struct err *err) MUST_CHECK;

#endif
