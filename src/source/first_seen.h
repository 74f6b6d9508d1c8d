/* Packets that were seen once: most are never seen again, so one line of cache is all that they
 * cost. What is seen a second time goes on to the table of copies (dedup.c). */
#ifndef SOURCE_FIRST_SEEN_H
#define SOURCE_FIRST_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIRST_SEEN_WAYS 4

struct first_seen {
    uint32_t check; /* half of the packet's hash; 0: free */
    uint32_t channel_and_ttl;
    uint16_t macs;
    uint16_t fingerprint;
    uint32_t ms : 31;
    uint32_t again : 1; /* it was seen again, and is in the other table as well */
};

struct first_seen_table {
    struct first_seen (*lines)[FIRST_SEEN_WAYS];
    size_t mask;
    uint64_t n_crowded; /* forgotten before their time */
};

/* `memory` in bytes, rounded down to a power of two. False: the system has none. */
bool first_seen_init(struct first_seen_table *table, size_t memory);
void first_seen_done(struct first_seen_table *table);

static inline struct first_seen *first_seen_line(const struct first_seen_table *table,
                                                 uint64_t hash)
{
    return table->lines[hash & table->mask];
}

static inline void first_seen_prefetch(const struct first_seen_table *table, uint64_t hash)
{
    __builtin_prefetch(first_seen_line(table, hash), 1);
}

static inline uint32_t first_seen_check(uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

/* The entry of this packet, not older than `window_ms`; NULL: there is none. */
struct first_seen *first_seen_find(struct first_seen_table *table, uint64_t hash,
                                   uint16_t fingerprint, uint32_t ms, uint32_t window_ms);

/* Puts a new one; its check is set here. */
void first_seen_add(struct first_seen_table *table, uint64_t hash, const struct first_seen *seen,
                    uint32_t window_ms);

#endif
