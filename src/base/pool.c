/* Budgeted memory: see pool.h. Size classes are powers of two with one step between them; blocks
 * of a class are cut from slabs of their own, large ones come from the system one by one. A slab of
 * which all blocks came back can be any class's next, so what was used once for one size is not
 * lost for the others, and slabs count as used as a whole: the pool never touches more than its
 * limit and one slab for each class. */
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

#define SLAB_SIZE   (128u << 10)
#define CLASS_MIN   64u
#define CLASS_MAX   (32u << 10)
#define N_CLASSES   19 /* 64 96 128 192 … 32 KiB */
#define NO_SLAB     UINT32_MAX
#define ARENA_FIRST 512u
#define ARENA_MAX   (1u << 20)

struct block {
    struct block *next;
};

struct slab {
    struct block *free;  /* came back */
    uint32_t n_live;     /* blocks given out */
    uint32_t at;         /* what is behind was never given out */
    uint32_t prev, next; /* in the list it is in */
    uint8_t class;
    bool listed; /* in its class's list: it has room */
};

struct pool {
    size_t limit, used;
    size_t n_large; /* bytes of large blocks */
    uint64_t n_refused;
    uint8_t *memory; /* the slabs, touched one after the other */
    struct slab *slabs;
    uint32_t n_slabs, max_slabs;   /* touched; room for */
    uint32_t n_empty, empty;       /* of no class: a list */
    uint32_t n_returned, returned; /* the same, and their memory was given back */
    uint32_t room[N_CLASSES];      /* slabs with room: lists */
    uint32_t n_of[N_CLASSES];      /* slabs of each class */
    uint32_t n_classes;            /* that have any; the last of a class stays with it */
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

/* ---- slabs ---- */

static void *map_memory(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void list_add(struct pool *pool, uint32_t *head, uint32_t i)
{
    pool->slabs[i].prev = NO_SLAB;
    pool->slabs[i].next = *head;
    if (*head != NO_SLAB)
        pool->slabs[*head].prev = i;
    *head = i;
}

static void list_remove(struct pool *pool, uint32_t *head, uint32_t i)
{
    const struct slab *slab = &pool->slabs[i];
    if (slab->prev == NO_SLAB)
        *head = slab->next;
    else
        pool->slabs[slab->prev].next = slab->next;
    if (slab->next != NO_SLAB)
        pool->slabs[slab->next].prev = slab->prev;
}

/* What counts against the limit: all but the first slab of each class. */
static size_t counted(const struct pool *pool)
{
    return pool_touched(pool) - (size_t)pool->n_classes * SLAB_SIZE;
}

size_t pool_touched(const struct pool *pool)
{
    return POOL_PLAIN ? pool->used
                      : (size_t)(pool->n_slabs - pool->n_returned) * SLAB_SIZE + pool->n_large;
}

void pool_trim(struct pool *pool)
{
    while (pool->n_empty > 0) {
        uint32_t i = pool->empty;
        list_remove(pool, &pool->empty, i);
        pool->n_empty--;
        (void)madvise(pool->memory + (size_t)i * SLAB_SIZE, SLAB_SIZE, MADV_DONTNEED);
        list_add(pool, &pool->returned, i);
        pool->n_returned++;
    }
}

/* A slab for the class, or NO_SLAB: over the limit. The first of each class is always there. */
static uint32_t take_slab(struct pool *pool, unsigned k)
{
    uint32_t i;
    if (pool->n_empty > 0) {
        i = pool->empty;
        list_remove(pool, &pool->empty, i);
        pool->n_empty--;
    } else if (pool->n_of[k] > 0 && counted(pool) + SLAB_SIZE > pool->limit) {
        return NO_SLAB;
    } else if (pool->n_returned > 0) {
        i = pool->returned;
        list_remove(pool, &pool->returned, i);
        pool->n_returned--;
    } else if (pool->n_slabs < pool->max_slabs) {
        i = pool->n_slabs++;
    } else {
        return NO_SLAB;
    }
    pool->slabs[i] = (struct slab){.class = (uint8_t)k, .listed = true};
    pool->n_classes += pool->n_of[k]++ == 0;
    list_add(pool, &pool->room[k], i);
    return i;
}

static void *slab_get(struct pool *pool, unsigned k)
{
    uint32_t i = pool->room[k] != NO_SLAB ? pool->room[k] : take_slab(pool, k);
    if (i == NO_SLAB)
        return NULL;
    struct slab *slab = &pool->slabs[i];
    uint32_t size = (uint32_t)class_size(k);
    void *p = slab->free;
    if (p) {
        slab->free = slab->free->next;
    } else {
        p = pool->memory + (size_t)i * SLAB_SIZE + slab->at;
        slab->at += size;
    }
    slab->n_live++;
    if (!slab->free && slab->at + size > SLAB_SIZE) {
        list_remove(pool, &pool->room[k], i);
        slab->listed = false;
    }
    return p;
}

static void slab_put(struct pool *pool, void *p)
{
    uint32_t i = (uint32_t)((size_t)((uint8_t *)p - pool->memory) / SLAB_SIZE);
    struct slab *slab = &pool->slabs[i];
    struct block *b = p;
    b->next = slab->free;
    slab->free = b;
    uint32_t *room = &pool->room[slab->class];
    if (--slab->n_live == 0 && pool->n_of[slab->class] > 1) {
        if (slab->listed)
            list_remove(pool, room, i);
        pool->n_of[slab->class]--;
        list_add(pool, &pool->empty, i);
        pool->n_empty++;
    } else if (!slab->listed) {
        list_add(pool, room, i);
        slab->listed = true;
    }
}

/* ---- the pool ---- */

struct pool *pool_new(size_t limit)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->limit = limit;
    pool->empty = pool->returned = NO_SLAB;
    for (unsigned k = 0; k < N_CLASSES; k++)
        pool->room[k] = NO_SLAB;
    if (POOL_PLAIN)
        return pool;
    size_t n = limit / SLAB_SIZE + N_CLASSES;
    pool->max_slabs = n < NO_SLAB ? (uint32_t)n : NO_SLAB - 1;
    pool->memory = map_memory((size_t)pool->max_slabs * SLAB_SIZE);
    pool->slabs = map_memory(pool->max_slabs * sizeof *pool->slabs);
    if (!pool->memory || !pool->slabs) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    if (pool->memory)
        munmap(pool->memory, (size_t)pool->max_slabs * SLAB_SIZE);
    if (pool->slabs)
        munmap(pool->slabs, pool->max_slabs * sizeof *pool->slabs);
    free(pool);
}

void pool_set_limit(struct pool *pool, size_t limit)
{
    pool->limit = limit;
}

static void *large_get(struct pool *pool, size_t size)
{
    if (!POOL_PLAIN && counted(pool) + size > pool->limit)
        pool_trim(pool);
    if (!POOL_PLAIN && counted(pool) + size > pool->limit)
        return NULL;
    void *p = calloc(1, size);
    if (p)
        pool->n_large += size;
    return p;
}

void *pool_get(struct pool *pool, size_t size)
{
    bool large = POOL_PLAIN || size > CLASS_MAX;
    unsigned k = large ? 0 : class_of(size);
    size_t real = large ? size : class_size(k);
    void *p = NULL;
    if (real <= pool->limit && pool->used <= pool->limit - real)
        p = large ? large_get(pool, size) : slab_get(pool, k);
    if (!p) {
        pool->n_refused++;
        return NULL;
    }
    if (!large)
        memset(p, 0, size);
    pool->used += real;
    return p;
}

void pool_put(struct pool *pool, void *block, size_t size)
{
    if (!block)
        return;
    if (POOL_PLAIN || size > CLASS_MAX) {
        pool->used -= size;
        pool->n_large -= size;
        free(block);
        return;
    }
    pool->used -= class_size(class_of(size));
    slab_put(pool, block);
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
    if (size > ARENA_MAX)
        return NULL;
    size = (size + 7) & ~(size_t)7;
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
