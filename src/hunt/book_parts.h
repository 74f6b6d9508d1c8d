/* Inside a book: only book*.c and books.c include this.
 *
 * Keys with their values, texts and packed events lie in stores: slabs that do not move, cut into
 * units that are known by a number. Over keys, and over texts, there are slots: an array sorted by
 * the upper half of the hash, with gaps, in which a key is near the place that its hash names. As
 * it is sorted, it grows in one sweep, and several days' slots are put together as sorted lists. */
#ifndef HUNT_BOOK_PARTS_H
#define HUNT_BOOK_PARTS_H

#include "hunt/book.h"

#define BOOK_TEXT_MAX   1024
#define BOOK_MAX_TABLES 128
#define BOOK_MS_PER_DAY 86400000

struct book_store {
    uint8_t **slabs;
    uint32_t n_slabs, room; /* of `slabs` */
    uint32_t unit;          /* bytes */
    uint32_t shift;         /* 1 << shift units in a slab */
    uint32_t n;             /* units given out, with those that were left over at slabs' ends */
    uint32_t n_first;       /* units that the first slab has by now: it begins small */
};

struct book_slot {
    uint32_t tag; /* upper half of the hash */
    uint32_t at;  /* 1 + its number in the store; 0: a gap */
};

struct book_slots {
    struct book_slot *at;
    uint32_t n_homes; /* places that hashes name; behind them BOOK_TAIL more */
    uint32_t n;       /* that are taken */
};
#define BOOK_TAIL 128

struct book_rows {
    const struct book_table *table;
    uint32_t value_at; /* offset in an entry: behind the key, aligned */
    struct book_store entries;
    struct book_slots slots;
};

struct book {
    int64_t day;
    unsigned part;
    uint64_t secret;
    size_t memory, used;
    uint64_t n_changes;
    struct book_refused refused;
    uint32_t n_tables;
    struct book_rows *rows[BOOK_MAX_TABLES];
    uint8_t by_pointer[2 * BOOK_MAX_TABLES]; /* 1 + number; found by the table's address */
    struct book_store texts, events;
    struct book_slots text_slots;
    uint8_t *region; /* the newest, of which slabs are cut */
    size_t region_left;
    void **regions;
    size_t *region_sizes;
    size_t n_regions;
};

/* ---- memory ---- */

/* False, and nothing is changed: over the budget. */
bool book_take_memory(struct book *book, size_t size);
void book_give_memory(struct book *book, size_t size);

/* `n` units in one piece, zeroed; false: no room. */
bool book_store_take(struct book *book, struct book_store *store, uint32_t n, uint32_t *out);

static inline void *book_store_at(const struct book_store *store, uint32_t i)
{
    uint32_t mask = (1u << store->shift) - 1;
    return store->slabs[i >> store->shift] + (size_t)(i & mask) * store->unit;
}

/* ---- slots ---- */

bool book_slots_make(struct book *book, uint32_t n_homes, struct book_slots *out);
void book_slots_done(struct book *book, struct book_slots *slots);

static inline uint32_t book_home(const struct book_slots *slots, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * slots->n_homes >> 32);
}

static inline uint32_t book_end(const struct book_slots *slots)
{
    return slots->n_homes ? slots->n_homes + BOOK_TAIL : 0;
}

/* The first place at or behind which `tag` may be. */
static inline uint32_t book_seek(const struct book_slots *slots, uint32_t tag)
{
    uint32_t i = book_home(slots, tag), end = book_end(slots);
    while (i < end && (!slots->at[i].at || slots->at[i].tag < tag))
        i++;
    return i;
}

/* ---- rows ---- */

/* NULL: the book has none of this table. */
struct book_rows *book_rows_of(const struct book *book, const struct book_table *table);
/* Makes them; NULL: no memory. */
struct book_rows *book_rows_at(struct book *book, const struct book_table *table);

uint64_t book_key_hash(const struct book *book, const struct book_table *table, const void *key);

/* `hash` is the key's. */
void *book_rows_find(const struct book_rows *rows, const void *key, uint64_t hash);

static inline const void *book_rows_key(const struct book_rows *rows, uint32_t i)
{
    return book_store_at(&rows->entries, i);
}

static inline void *book_rows_value(const struct book_rows *rows, uint32_t i)
{
    return (uint8_t *)book_store_at(&rows->entries, i) + rows->value_at;
}

/* As it lies in the store: its text follows. */
struct book_text {
    book_name name;
    uint32_t len;
    uint32_t unused;
};

/* ---- series ---- */

static inline struct book_series *book_series_of(const struct book_table *table, void *value,
                                                 unsigned i)
{
    return (struct book_series *)(void *)((uint8_t *)value + table->series_at[i]);
}

/* One event as varints: time since the one before (zigzag), duration with `failed` in its lowest
 * bit, bytes up, bytes down. */
#define BOOK_EVENT_MAX 30
size_t book_event_pack(int64_t before, const struct book_event *event, uint8_t *out);

/* Goes through a series' packed events. */
struct book_walk {
    const struct book *book;
    const uint8_t *at, *end;
    uint32_t next, n_units; /* of the next block */
    uint32_t left;          /* events */
    int64_t ts;
};
void book_walk_begin(struct book_walk *walk, const struct book *book,
                     const struct book_series *series);
bool book_walk_next(struct book_walk *walk, struct book_event *out);

#endif
