/* Which files of log folders are logs that hunts read, in the order in which they are read. */
#ifndef HUNT_FILES_H
#define HUNT_FILES_H

#include "base/err.h"
#include "hunt/record.h"

#define FILES_DEPTH_MAX 4
#define FILES_MAX       1000000

/* What a name says. */
struct files_name {
    enum hunt_log log;
    int64_t day; /* since the epoch; FILES_NO_DAY: it does not say */
    int hour;    /* 0 where it does not say */
    bool packed;
    bool rotated;  /* it says the time: nothing is added to it any more */
    bool finished; /* of our own live folder: archived soon, under another name */
};
#define FILES_NO_DAY INT64_MAX

/* False: no log of ours. The name is without its folder. */
bool files_name_read(const char *name, struct files_name *out);
/* "conn.log.zst": a log of ours, packed as nothing here unpacks it. */
bool files_is_packed_otherwise(const char *name);
/* "conn.log" and its kin: which log. */
bool files_log_of(const char *name, enum hunt_log *out);
/* "2026-11-22" */
bool files_day_of(const char *folder, int64_t *out);

struct files_one {
    char *path; /* "-": standard input */
    /* Where a finished file's content is when its own name is gone: without and with ".gz". */
    char *later;
    struct files_name name;
    bool named;  /* the name says which log; else its beginning has to */
    bool stream; /* a pipe, given by name */
    uint64_t size;
    int64_t modified;
    uint64_t device, inode;
};

struct files {
    struct files_one *at;
    size_t n, capacity;
    uint64_t n_unreadable; /* folders and files, each said */
    uint64_t n_other;      /* not logs of ours */
    uint64_t n_odd;        /* named like logs, but neither files nor folders */
    uint64_t n_old;        /* of days before those that are wanted */
    uint64_t n_same;       /* files that were there under another name too */
    bool full;
};

struct files_want {
    const char *const *paths;
    size_t n_paths;
    uint32_t logs;
    int64_t since;
    uint32_t n_days; /* the newest day's and so many before it, less one; 0: all */
    void *with;
    void (*say)(void *with, const char *text); /* may be NULL */
};

/* What is unreadable below a given path is said and counted; a given path that is not there is an
 * error. */
int files_find(const struct files_want *want, struct files *out, struct err *err) MUST_CHECK;
void files_done(struct files *files);

#endif
