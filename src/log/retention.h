/* Taking away old archived logs: those beyond an age, and the oldest ones where they take too much
 * of the disk or leave too little of it free. Only files whose names are those of finished logs
 * (DIR/YYYY-MM-DD/NAME.HH:MM:SS-HH:MM:SS[-n].log[.gz], see period.h) are counted and taken away,
 * and the day's folder with its last one; live files never. */
#ifndef LOG_RETENTION_H
#define LOG_RETENTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include "base/err.h"
#include "log/live.h"
#include "log/period.h"

struct log_retention_options {
    bool utc;          /* what the files' names mean: as log_live_options */
    int64_t max_age;   /* seconds since the end of a file's period; 0: any */
    double max_share;  /* of the disk's size, 0..1, that archived logs may take; 0: any */
    uint64_t min_free; /* bytes that shall be free on the disk; 0: any */
    /* Instead of fstatvfs(), for tests; NULL: that. */
    int (*statvfs)(int fd, struct statvfs *out, void *with);
    void *with;
};

struct log_retention_result {
    uint64_t n_files, n_bytes;       /* taken away */
    uint64_t n_folders;              /* days that got empty */
    uint64_t n_failed;               /* could not be taken away: err has the first */
    uint64_t n_left, n_bytes_left;   /* archived files that stay */
    uint64_t free_bytes, disk_bytes; /* after it, by what was taken away */
    bool short_of_room;              /* min_free is not reached though nothing is left to take */
    struct log_archived oldest;      /* that stays; name is "" when none does */
};

/* Beneath the folder that `dir_fd` is open on. `now`: seconds since the epoch. A negative errno,
 * and err, when the folder cannot be read or some file could not be taken away; the others were. */
int log_retention_run(int dir_fd, const struct log_retention_options *options, int64_t now,
                      struct log_retention_result *out, struct err *err) MUST_CHECK;

/* The same for a live set's folder, with its clock and zone. May run in any thread. */
int log_set_retain(struct log_set *set, const struct log_retention_options *options,
                   struct log_retention_result *out, struct err *err) MUST_CHECK;

#endif
