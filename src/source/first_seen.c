/* Packets that were seen once: see first_seen.h. Lines of four, the newest first; the oldest gives
 * way. */
#include "source/first_seen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)
#define MS_MASK    0x7fffffffu

_Static_assert(sizeof(struct first_seen) * FIRST_SEEN_WAYS == 64, "one line of cache");

bool first_seen_init(struct first_seen_table *table, size_t memory)
{
    size_t n = 1;
    while (n * 2 * 64 <= memory)
        n *= 2;
    size_t size = (n * 64 + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    table->mask = n - 1;
    table->n_crowded = 0;
    /* Looked into at random: small pages would cost a miss of the address translation each time. */
    table->lines = aligned_alloc(LARGE_PAGE, size);
    if (!table->lines)
        return false;
    (void)madvise(table->lines, size, MADV_HUGEPAGE); /* works without */
    memset(table->lines, 0, n * 64);
    return true;
}

void first_seen_done(struct first_seen_table *table)
{
    free(table->lines);
    table->lines = NULL;
}

/* Milliseconds from `then` to `now`, either way; both of 31 bits. */
static uint32_t apart(uint32_t then, uint32_t now)
{
    uint32_t age = (now - then) & MS_MASK;
    return age > MS_MASK / 2 ? MS_MASK + 1 - age : age;
}

struct first_seen *first_seen_find(struct first_seen_table *table, uint64_t hash,
                                   uint16_t fingerprint, uint32_t ms, uint32_t window_ms)
{
    struct first_seen *line = first_seen_line(table, hash);
    uint32_t check = first_seen_check(hash);
    for (size_t way = 0; way < FIRST_SEEN_WAYS; way++) {
        struct first_seen *seen = &line[way];
        if (seen->check != check)
            continue;
        bool same = !seen->fingerprint || !fingerprint || seen->fingerprint == fingerprint;
        if (same && apart(seen->ms, ms) <= window_ms)
            return seen;
    }
    return NULL;
}

void first_seen_add(struct first_seen_table *table, uint64_t hash, const struct first_seen *seen,
                    uint32_t window_ms)
{
    struct first_seen *line = first_seen_line(table, hash);
    const struct first_seen *last = &line[FIRST_SEEN_WAYS - 1];
    if (last->check && apart(last->ms, seen->ms) <= window_ms)
        table->n_crowded++;
    memmove(line + 1, line, sizeof *line * (FIRST_SEEN_WAYS - 1));
    line[0] = *seen;
    line[0].check = first_seen_check(hash);
}
