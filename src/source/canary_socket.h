/* The canary's sockets: one connected UDP socket for each probe, so that the kernel says what the
 * way there answers to this probe. */
#ifndef SOURCE_CANARY_SOCKET_H
#define SOURCE_CANARY_SOCKET_H

#include "base/err.h"
#include "net/addr.h"
#include "source/health.h"

/* Opens one from `from` (NULL: the route's source) and a port that the kernel draws. `out_fd` is
 * the caller's to close. -ENETUNREACH, -EHOSTUNREACH: there is no route. */
int canary_socket_open(const struct addr *from, const struct addr *to, uint16_t port,
                       struct addr *out_from, uint16_t *out_port, int *out_fd,
                       struct err *err) MUST_CHECK;

/* What was answered since the last call: the gravest, where there are several. `out_by`, where
 * `out_has_by` is set, is who said so, if it was not the machine. Does not block. */
enum canary_answer canary_socket_hear(int fd, struct addr *out_by, bool *out_has_by);

#endif
