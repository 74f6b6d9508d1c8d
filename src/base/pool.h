/* Memory that strangers can make us keep: one pool a worker, with a budget.
 *
 * Blocks come in size classes and go back to a free list, to the system only when the memory is
 * needed elsewhere, so a flood costs first-touch once. When the budget is spent, allocation gives
 * NULL: the caller drops what it wanted to keep and the refusal is counted here. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct pool;

/* `limit` in bytes. NULL when the system has no memory. */
struct pool *pool_new(size_t limit);
void pool_free(struct pool *pool);

/* Zeroed memory aligned to 16 bytes, or NULL: over budget. Give back with the same size. */
void *pool_get(struct pool *pool, size_t size);
void pool_put(struct pool *pool, void *block, size_t size);

size_t pool_used(const struct pool *pool);    /* by what was asked for */
size_t pool_touched(const struct pool *pool); /* of the system's: with what is between and free */
void pool_trim(struct pool *pool);            /* gives the system back what is wholly free */

/* Not more than it was made with; what is kept beyond stays until it comes back. */
void pool_set_limit(struct pool *pool, size_t limit);
size_t pool_limit(const struct pool *pool);
uint64_t pool_refused(const struct pool *pool);

/* A region that goes all at once: the memory of one connection or of one transaction. */
struct arena {
    struct pool *pool;
    struct arena_chunk *chunk; /* newest first */
    uint32_t at;               /* bytes used in the newest chunk */
    uint32_t n_bytes;          /* asked for so far, for limits */
};

void arena_init(struct arena *arena, struct pool *pool);

/* Zeroed, aligned to 8 bytes; NULL over budget. One allocation is at most 1 MiB. */
void *arena_get(struct arena *arena, size_t size);

/* A copy of the text; an empty string when there is no memory for it. */
struct str arena_str(struct arena *arena, struct str text);

/* Gives all of it back to the pool; the arena can be used again. */
void arena_clear(struct arena *arena);

/* A buffer that grows to `max` bytes: for a line or a message that arrives in pieces.
 * Bytes [start, end) are live. */
struct buf {
    uint8_t *bytes;
    uint32_t capacity;
    uint32_t start;
    uint32_t end;
};

/* False, and nothing is kept of it, when it would grow past `max` or over the budget. */
bool buf_add(struct buf *buf, struct pool *pool, const void *bytes, size_t size, size_t max);
void buf_drop(struct buf *buf, size_t size); /* from the front */
void buf_done(struct buf *buf, struct pool *pool);

static inline size_t buf_size(const struct buf *buf)
{
    return buf->end - buf->start;
}

static inline const uint8_t *buf_at(const struct buf *buf)
{
    return buf->bytes ? buf->bytes + buf->start : NULL;
}

#endif
