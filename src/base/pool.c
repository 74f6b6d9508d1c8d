/* Budgeted memory: see pool.h. Size classes are powers of two with one step between them; blocks
 * of a class are cut from slabs, large ones come from the system one by one. */
#include "base/pool.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Under a sanitizer every block comes from the system, so that a byte too far is seen. */
#if defined(__SANITIZE_ADDRESS__)
#define POOL_PLAIN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_PLAIN true
#endif
#endif
#ifndef POOL_PLAIN
#define POOL_PLAIN false
#endif

#define SLAB_SIZE   (256u << 10)
#define CLASS_MIN   64u
#define CLASS_MAX   (32u << 10)
#define N_CLASSES   19 /* 64 96 128 192 … 32 KiB */
#define ARENA_FIRST 512u
#define ARENA_MAX   (1u << 20)

struct block {
    struct block *next;
};

struct slab {
    struct slab *next;
};

struct pool {
    size_t limit, used;
    uint64_t n_refused;
    struct block *free[N_CLASSES];
    struct slab *slabs;
    uint8_t *at, *end; /* of the newest slab */
};

struct arena_chunk {
    struct arena_chunk *older;
    uint32_t size;
    uint32_t unused;
};

/* Class k: 64 << k/2, times 1.5 when k is odd. */
static unsigned class_of(size_t size)
{
    if (size <= CLASS_MIN)
        return 0;
    unsigned top = 63u - (unsigned)__builtin_clzll(size - 1); /* 2^top < size <= 2^(top+1) */
    unsigned k = (top - 6) * 2;
    return size <= (size_t)3 << (top - 1) ? k + 1 : k + 2;
}

static size_t class_size(unsigned k)
{
    size_t base = (size_t)CLASS_MIN << (k / 2);
    return k & 1 ? base + base / 2 : base;
}

struct pool *pool_new(size_t limit)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool)
        pool->limit = limit;
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (struct slab *slab = pool->slabs; slab;) {
        struct slab *next = slab->next;
        free(slab);
        slab = next;
    }
    free(pool);
}

static void *cut(struct pool *pool, size_t size)
{
    if ((size_t)(pool->end - pool->at) < size) {
        struct slab *slab = aligned_alloc(64, SLAB_SIZE);
        if (!slab)
            return NULL;
        slab->next = pool->slabs;
        pool->slabs = slab;
        pool->at = (uint8_t *)slab + 64;
        pool->end = (uint8_t *)slab + SLAB_SIZE;
    }
    void *p = pool->at;
    pool->at += size;
    return p;
}

void *pool_get(struct pool *pool, size_t size)
{
    bool large = POOL_PLAIN || size > CLASS_MAX;
    unsigned k = large ? 0 : class_of(size);
    size_t real = large ? size : class_size(k);
    if (real > pool->limit || pool->used > pool->limit - real) {
        pool->n_refused++;
        return NULL;
    }
    void *p;
    if (large) {
        p = calloc(1, size);
    } else if (pool->free[k]) {
        p = pool->free[k];
        pool->free[k] = pool->free[k]->next;
        memset(p, 0, size);
    } else if ((p = cut(pool, real))) {
        memset(p, 0, size);
    }
    if (!p) {
        pool->n_refused++;
        return NULL;
    }
    pool->used += real;
    return p;
}

void pool_put(struct pool *pool, void *block, size_t size)
{
    if (!block)
        return;
    if (POOL_PLAIN || size > CLASS_MAX) {
        pool->used -= size;
        free(block);
        return;
    }
    unsigned k = class_of(size);
    pool->used -= class_size(k);
    struct block *b = block;
    b->next = pool->free[k];
    pool->free[k] = b;
}

size_t pool_used(const struct pool *pool)
{
    return pool->used;
}

size_t pool_limit(const struct pool *pool)
{
    return pool->limit;
}

uint64_t pool_refused(const struct pool *pool)
{
    return pool->n_refused;
}

void arena_init(struct arena *arena, struct pool *pool)
{
    *arena = (struct arena){.pool = pool};
}

static bool arena_grow(struct arena *arena, size_t size)
{
    size_t want = arena->chunk ? (size_t)arena->chunk->size * 2 : ARENA_FIRST;
    if (want > CLASS_MAX)
        want = CLASS_MAX;
    if (want < size + sizeof(struct arena_chunk))
        want = size + sizeof(struct arena_chunk);
    struct arena_chunk *chunk = pool_get(arena->pool, want);
    if (!chunk)
        return false;
    chunk->older = arena->chunk;
    chunk->size = (uint32_t)want;
    arena->chunk = chunk;
    arena->at = sizeof *chunk;
    return true;
}

void *arena_get(struct arena *arena, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if (size > ARENA_MAX)
        return NULL;
    if ((!arena->chunk || arena->chunk->size - arena->at < size) && !arena_grow(arena, size))
        return NULL;
    void *p = (uint8_t *)arena->chunk + arena->at;
    arena->at += (uint32_t)size;
    arena->n_bytes += (uint32_t)size;
    return p;
}

struct str arena_str(struct arena *arena, struct str text)
{
    if (!str_set(text))
        return text;
    char *copy = text.len ? arena_get(arena, text.len) : NULL;
    if (!copy)
        return STR("");
    memcpy(copy, text.at, text.len);
    return (struct str){.at = copy, .len = text.len};
}

void arena_clear(struct arena *arena)
{
    while (arena->chunk) {
        struct arena_chunk *chunk = arena->chunk;
        arena->chunk = chunk->older;
        pool_put(arena->pool, chunk, chunk->size);
    }
    arena->at = 0;
    arena->n_bytes = 0;
}

bool buf_add(struct buf *buf, struct pool *pool, const void *bytes, size_t size, size_t max)
{
    size_t live = buf_size(buf);
    if (size == 0)
        return true;
    if (size > max || live > max - size || max > UINT32_MAX / 4)
        return false;
    if (buf->capacity - buf->end < size && buf->start > 0) {
        memmove(buf->bytes, buf->bytes + buf->start, live);
        buf->start = 0;
        buf->end = (uint32_t)live;
    }
    if (buf->capacity - buf->end < size) {
        size_t capacity = buf->capacity ? buf->capacity : 256;
        while (capacity < live + size)
            capacity *= 2;
        uint8_t *grown = pool_get(pool, capacity);
        if (!grown)
            return false;
        if (live)
            memcpy(grown, buf->bytes + buf->start, live);
        pool_put(pool, buf->bytes, buf->capacity);
        *buf = (struct buf){.bytes = grown, .capacity = (uint32_t)capacity, .end = (uint32_t)live};
    }
    memcpy(buf->bytes + buf->end, bytes, size);
    buf->end += (uint32_t)size;
    return true;
}

void buf_drop(struct buf *buf, size_t size)
{
    size_t live = buf_size(buf);
    buf->start += (uint32_t)(size < live ? size : live);
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

void buf_done(struct buf *buf, struct pool *pool)
{
    pool_put(pool, buf->bytes, buf->capacity);
    *buf = (struct buf){0};
}
