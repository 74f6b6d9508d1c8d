/* What is inside a struct capture: for capture.c, merge.c and their tests. */
#ifndef CAPTURE_SET_H
#define CAPTURE_SET_H

#include "capture/capture.h"
#include "capture/feed.h"
#include "capture/walk.h"

enum file_warning { FILE_ENDED_EARLY, FILE_LEFT_OUT, FILE_CUT_PACKETS, N_FILE_WARNINGS };

struct capture_file {
    const char *name; /* borrowed from `names` */
    struct feed feed;
    int64_t first_ts;                /* no frame before the file's first is earlier */
    char *warnings[N_FILE_WARNINGS]; /* under the set's lock; owned */
};

/* One worker in one file. */
struct place {
    struct walk walk;
    struct block *block;
    int64_t key;       /* the time of its next frame, or earlier */
    uint32_t file;     /* index */
    bool needs_refill; /* or has come to its end */
};

struct capture_cursor {
    struct capture *capture;
    struct place *places; /* one a file */
    struct place **heap;  /* of those not at their end; the one with the next frame first */
    uint32_t n_heap;
    int64_t limit;      /* up to this time the first of the heap stays the first */
    uint64_t n_packets; /* of which the next is the published copy */
    atomic_uint_fast64_t n_shown;
    int result; /* at the end */
} __attribute__((aligned(128)));

struct capture {
    struct feed_set set;
    struct capture_file *files;
    uint32_t n_files;
    unsigned n_workers;
    struct capture_cursor *cursors;
    uint64_t total_bytes; /* 0: not known */
};

/* Sets up a worker's cursor: needs the files' first times. */
int merge_init(struct capture_cursor *cursor, struct capture *capture, struct err *err) MUST_CHECK;
void merge_done(struct capture_cursor *cursor);

/* What tests make small. 0: as usual. */
struct capture_tuning {
    size_t block_size;
    unsigned max_open;
};

int capture_open_tuned(const char *const *names, size_t n_names, unsigned n_workers,
                       const struct capture_tuning *tuning, struct capture **out,
                       struct err *err) MUST_CHECK;

#endif
