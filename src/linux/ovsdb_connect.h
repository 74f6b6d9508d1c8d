/* Where Open vSwitch's database is, and a connection to it; for ovsdb.c alone. */
#ifndef LINUX_OVSDB_CONNECT_H
#define LINUX_OVSDB_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OVSDB_WHERE_MAX 300

struct ovsdb_place {
    char where[OVSDB_WHERE_MAX]; /* "unix:/run/openvswitch/db.sock", "tcp:10.0.0.1:6640" */
    bool is_local;
};

/* A connected socket that does not block. `deadline`: of clock_ticks(). */
int ovsdb_connect(const char *where, int64_t deadline, struct ovsdb_place *out_place, int *out_fd,
                  struct err *err) MUST_CHECK;

/* Until the socket is ready for `events`; -ETIMEDOUT at the deadline. */
int ovsdb_wait_socket(int fd, short events, int64_t deadline, const char *where,
                      struct err *err) MUST_CHECK;

#endif
