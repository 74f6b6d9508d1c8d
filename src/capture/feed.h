/* One file's bytes in large blocks, read once and walked by every worker.
 *
 * Whichever worker first needs the next block reads it, without a lock, while the others go on in
 * the blocks that are there. A block begins with what the walk left of the one before it (all walks
 * leave the same), so that every record is in one piece. It goes back when all workers have left
 * it; a worker may be only so many blocks ahead of the last one. Whoever made a block for several
 * workers reads on for the next one before it walks: the others have something to do meanwhile, and
 * nobody waits for the kernel when all come to the end at the same time. One worker alone has one
 * block, which is filled again and again and stays in the processor's cache. */
#ifndef CAPTURE_FEED_H
#define CAPTURE_FEED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "capture/input.h"

struct block {
    const uint8_t *bytes;
    size_t size;
    uint64_t offset; /* of bytes[0] in the unpacked file */
    bool last;       /* the file ended before the block had as much as was needed */

    /* Of the feed. */
    struct block *next;
    uint8_t *buffer;
    size_t buffer_size;
    unsigned n_holders; /* workers that have not left it */
};

/* What the feeds of one capture share. */
struct feed_set {
    pthread_mutex_t lock; /* for all below but the atomics, and for what feeds say is locked */
    pthread_cond_t change;
    unsigned n_waiting;
    unsigned n_workers;
    unsigned n_active;   /* feeds between their first byte and their last */
    unsigned n_open;     /* descriptors */
    unsigned max_open;   /* a feed with more than these gives its own back between reads */
    size_t block_size;   /* of one read */
    struct block *spare; /* blocks that nobody has */
    unsigned n_spare;
    atomic_uint_fast64_t n_read; /* bytes as they lie on disk */
    atomic_bool stopped;
    struct input_watch watch;
};

struct feed {
    const char *name;  /* of the file; borrowed */
    const char *shown; /* the same for people */
    struct input input;
    uint8_t *head; /* what was read of a pipe to see what it is; owned, given first */
    size_t head_size, head_at;
    bool opened; /* and not closed yet; it may be paused */

    /* Locked. */
    bool started;
    bool reading;        /* a worker makes the next block, or reads ahead */
    struct block *ahead; /* read for the next block already, without what is left of the last one */
    bool at_end;         /* the input is closed */
    unsigned n_blocks;
    struct block *first;
    int code; /* why it ended early; 0: it did not */
    int ahead_code;
    struct err ahead_failure;
    struct err failure;
};

int feed_set_init(struct feed_set *set, unsigned n_workers, struct err *err) MUST_CHECK;
void feed_set_done(struct feed_set *set);

/* `name` must stay. */
void feed_init(struct feed *feed, const char *name);

/* Takes the open input, and a copy of what was read from it and cannot be read again. */
int feed_take(struct feed *feed, struct feed_set *set, const struct input *input,
              const uint8_t *head, size_t head_size, struct err *err) MUST_CHECK;
void feed_done(struct feed *feed);

/* Leaves *held (NULL: at the start) and gives the block that begins at `consumed` in it, or `skip`
 * bytes past its end, and has at least `need` bytes unless the file ends. 0; -ENOMEM; -ECANCELED
 * when the set was stopped. After a failure *held is as before. */
int feed_next(struct feed *feed, struct feed_set *set, struct block **held, size_t consumed,
              uint64_t skip, size_t need) MUST_CHECK;

/* Leaves *held for good. */
void feed_leave(struct feed *feed, struct feed_set *set, struct block **held);

#endif
