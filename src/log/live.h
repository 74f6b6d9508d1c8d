/* The live log folder of `cloudspan watch`:
 *
 *     DIR/current -> .live                               a symbolic link: importers demand one
 *     DIR/.live/conn.log                                 being written
 *     DIR/.live/.2026-11-22.conn.14:00:00-15:00:00.log.finished
 *     DIR/2026-11-22/conn.14:00:00-15:00:00.log.gz       the same, archived
 *     DIR/.lock                                          held while a watch writes here
 *
 * At the end of each period (an hour, by the wall clock) a live file gets its closing line and the
 * name with ".finished"; the archiver, in a thread of its own, makes the file in the day's folder
 * of it and takes it away a minute after the period's end. Shippers that have the live file open
 * and skip ".gz" read it to its end meanwhile: it is the same inode. Its name begins with a dot and
 * ends neither in .log nor in .gz, so no importer takes it for a second log: not one that looks
 * for *.log, *.log* behind a log's name, or *.gz, nor one that walks all folders and looks at the
 * suffix (RITA). It says what it becomes, so a start after a kill at any moment knows whether that
 * was made already.
 *
 * Modes: live files 0640, folders 0750, archived files 0644. The last is for RITA, which takes only
 * files that everybody may read (and so passes by the live ones when it walks all of DIR); who may
 * come near them at all is for the folders to say.
 *
 * All paths are opened beneath descriptors of DIR that log_set_open() made, and files are renamed
 * within their folder only: that works in a process which may no longer reach anything else. After
 * log_set_open() it takes openat, fcntl (F_GETFL), read, write, pread64, pwrite64, lseek,
 * ftruncate, fsync, fchmod, utimensat, fstat, newfstatat, fstatfs, getdents64, mkdirat, renameat,
 * renameat2, unlinkat and close.
 *
 * The functions below are for sets that were opened with log_live_options. */
#ifndef LOG_LIVE_H
#define LOG_LIVE_H

#include "log/record.h"

struct log_live_options {
    bool utc;       /* names by UTC instead of local time */
    int64_t period; /* seconds; divides a day; 0: 3600 */
    /* ns since the epoch; NULL: the system's clock. Called from any thread. */
    int64_t (*clock)(void *with);
    void *with;
};

/* What log_set_open() found of a run before. */
struct log_recovered {
    uint64_t n_files;     /* live files that were finished now */
    uint64_t n_cut_bytes; /* of half lines at their ends */
    uint64_t n_empty;     /* files without a record, removed */
    uint64_t n_waiting;   /* were finished then, and were not archived or not yet taken away */
};
void log_set_recovered(const struct log_set *set, struct log_recovered *out);

/* Finishes all files when the period is over, so call it once a second or so; workers may write at
 * the same time. What is in their buffers then goes to the next file. Gives 1 when the period was
 * over, 0 when not; when a file could not be finished, a negative errno: it goes on and is tried
 * again at the end of the next period. */
int log_set_rotate(struct log_set *set, struct err *err) MUST_CHECK;

/* When that will be: ns since the epoch. */
int64_t log_set_period_end(const struct log_set *set);

/* Finishes all files now: for the end of the run, after the writers were freed. The archiver may be
 * called after, until log_set_close. */
int log_set_finish(struct log_set *set, struct err *err) MUST_CHECK;

/* Of each log since the start. `n_lines` were taken by the kernel: whatever happens to this process
 * they are in a file, once. */
struct log_stats {
    const char *name; /* the schema's */
    uint64_t n_lines, n_bytes;
    uint64_t n_lost; /* lines */
    int lost_error;  /* errno of the last loss; 0: none was lost */
    bool failing;    /* the last write was refused; it is tried again at each flush */
};
size_t log_set_stats(struct log_set *set, struct log_stats *out, size_t max);

/* Whether a write was refused for want of room since the last call: time for log_retention_run. */
bool log_set_take_full(struct log_set *set);

/* Makes archived files of finished ones and takes away those whose minute is over: one file to
 * archive a call, which takes as long as packing it does. Call it in a thread of its own, about
 * once a second, and again at once while `n_pending` is above zero and no error came. `*stop`, set
 * at any time, ends it early; NULL: nothing does. -ENOSPC: there is no room; the finished file
 * stays and is tried again. */
struct log_archive_result {
    uint64_t n_archived, n_bytes_in, n_bytes_out;
    uint64_t n_removed; /* plain files, archived a minute ago */
    uint64_t n_pending; /* still to be archived */
    uint64_t n_kept;    /* archived, their minute not over */
};
int log_archive_step(struct log_set *set, const volatile int *stop, struct log_archive_result *out,
                     struct err *err) MUST_CHECK;

#endif
