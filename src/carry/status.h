/* The status file: a page that the carrier has mapped and locked, and that others read. See
 * carry.h for the readers.
 *
 *     +----------+---------+--------+-------+-----------------------------+----------+
 *     | "CSCARRY"| version |  size  | state | pid, times, names, trouble  | counters |
 *     +----------+---------+--------+-------+-----------------------------+----------+
 *
 * All of it in this machine's byte order: it is read where it is written. Another layout has
 * another version. */
#ifndef CARRY_STATUS_H
#define CARRY_STATUS_H

#include "carry/carry.h"

#define STATUS_MAGIC   "CSCARRY"
#define STATUS_VERSION 1u

struct status_page {
    char magic[8];
    uint32_t version;
    uint32_t size; /* of this struct */
    int32_t state; /* enum carry_state */
    int32_t pid;
    int64_t since;
    int64_t trouble_at; /* ns since the epoch; 0: never */
    uint32_t id;
    uint32_t reserved;
    char name[CARRY_NAME_MAX];
    char interface[16];
    char to[CARRY_TARGET_MAX];
    char trouble[200];
    struct carry_counters counters;
};

struct status {
    int fd;
    bool is_new; /* nobody had left it there */
    struct status_page *page;
};

/* Makes the file, or takes over one that nobody holds, and locks it for the life of the process.
 * -EBUSY: a carrier has it. */
int status_create(const struct carry_options *options, struct status *out,
                  struct err *err) MUST_CHECK;

void status_set(struct status *status, enum carry_state state);
void status_trouble(struct status *status, const char *text); /* "": it is over */

/* The file stays, for whoever wants to know; `remove`: it goes as well. The lock is let go. */
void status_close(struct status *status, const char *path, bool remove);

/* Of a file that nobody holds, open for writing: removes it. It is left where somebody took it
 * meanwhile (-EBUSY), and where it is not ours (-EEXIST). */
int status_remove(int fd, const char *path) MUST_CHECK;

/* Whether somebody holds the lock of the file, and who; 0: one whom this process cannot see. */
int status_holder(int fd, bool *out_held, pid_t *out_pid) MUST_CHECK;

#endif
