/* What a service manager is told, in the protocol of sd_notify(3): datagrams to the socket that
 * NOTIFY_SOCKET names. Where there is no manager, all of this does nothing. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct notify {
    int fd;           /* connected; -1: nobody wants to know */
    int64_t watchdog; /* ns within which notify_watchdog must be called again; 0: never */
};

/* Reads the environment and connects. Call it before forking and before a sandbox: the process that
 * the manager started is the one that WATCHDOG_PID names, and a sandbox makes no sockets.
 * Refused when the environment names a socket that cannot be reached; `out` then does nothing. */
int notify_init(struct notify *out, struct err *err) MUST_CHECK;
void notify_done(struct notify *notify);

/* A telling that is refused (the manager is not there for a moment) is dropped: the next one says
 * the same. They may be called from any thread. `status` is one line; what follows a line end is
 * cut off, since it would be another message. */
void notify_ready(const struct notify *notify, const char *status);
void notify_status(const struct notify *notify, const char *status);
void notify_reloading(const struct notify *notify); /* notify_ready says that it is over */
void notify_stopping(const struct notify *notify);
void notify_watchdog(const struct notify *notify);

#endif
