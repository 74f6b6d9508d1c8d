/* The canary: a small harmless datagram to an inner address of a monitored machine, which has to
 * come back through its mirror. Its port, size, bytes and source port are random, and nothing in it
 * tells that it is one. Whether it is time for one says health; what it proves says health too.
 *
 * The control thread, four times a second:
 *
 *     canary_poll(canary, ticks, now);
 *     for each machine m:
 *         canary_enable(canary, m, on by configuration && an address of it is known);
 *         health_update(..., canary_state(canary, m), ...);
 *         if (verdict.wants_canary)
 *             canary_send(canary, m, &its address, ticks, now, &err)
 *
 * and the workers canary_is(canary_watch(canary), ...), see canary_watch.h.
 *
 * Needs no privilege. Of system calls: socket (AF_INET and AF_INET6, SOCK_DGRAM), bind, connect,
 * getsockname, getpeername, setsockopt (IP_RECVERR, IPV6_RECVERR), send, recvmsg (MSG_ERRQUEUE),
 * recv, close, getrandom. Nothing here blocks. */
#ifndef SOURCE_CANARY_H
#define SOURCE_CANARY_H

#include "base/err.h"
#include "source/canary_watch.h"
#include "source/health.h"

#define CANARY_MAX_FROM 8

struct canary_options {
    struct addr from[CANARY_MAX_FROM]; /* source addresses to choose from; none: the route's */
    size_t n_from;
    uint16_t port_low, port_high; /* destination ports; 0 and 0: common and high ones */
    int64_t timeout;              /* ns; 0: 2 s */
    uint32_t max_sockets;         /* 0: 128 */
    uint16_t max_machine;         /* the highest number of a machine */
};

struct canary;

/* NULL when the system has no memory. */
struct canary *canary_new(const struct canary_options *options);
void canary_free(struct canary *canary);

/* Other addresses and ports for those that are sent from now on; the rest stays. */
void canary_change(struct canary *canary, const struct canary_options *options);

/* For the workers; lives as long as the canary. */
struct canary_watch *canary_watch(struct canary *canary);

void canary_enable(struct canary *canary, uint16_t machine, bool enabled);

/* Sends one. 0: it is out, or this host says at once that there is no way, which counts as a probe
 * that was missed and answered so. Negative errno: none was sent and none is counted: -EAGAIN, too
 * many are out; -EPERM, this host's own firewall refuses it; or a socket was refused. */
int canary_send(struct canary *canary, uint16_t machine, const struct addr *to, int64_t ticks,
                int64_t now, struct err *err) MUST_CHECK;

/* Takes what came back and what was answered, and gives up what is too old. */
void canary_poll(struct canary *canary, int64_t ticks, int64_t now);

const struct canary_state *canary_state(const struct canary *canary, uint16_t machine);

/* Who said that nobody is there, or that there is no way: the last of such, for `machine`. False:
 * nobody did. */
bool canary_router(const struct canary *canary, uint16_t machine, struct addr *out);

#endif
