/* Events of a series, packed: differences and varints, in blocks that are chained. The first block
 * holds two or three events, as most series have no more; each next one is half as large again. An
 * event is never cut by a block's end. */
#include "hunt/book_parts.h"

#define UNIT        16u
#define FIRST_UNITS 2u
#define MAX_UNITS   64u

struct block {
    uint32_t next;           /* 0: this is the last */
    uint16_t used, capacity; /* bytes behind this */
};

/* ---- one event ---- */

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static uint64_t take_varint(struct book_walk *walk)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && walk->at < walk->end; shift += 7) {
        uint8_t byte = *walk->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

size_t book_event_pack(int64_t before, const struct book_event *event, uint8_t *out)
{
    uint64_t since = (uint64_t)event->ts - (uint64_t)before; /* signed, but may wrap */
    uint64_t duration = event->duration < UINT64_MAX / 2 ? event->duration : UINT64_MAX / 2;
    uint8_t *at = put_varint(out, since << 1 ^ (since >> 63 ? UINT64_MAX : 0));
    at = put_varint(at, duration << 1 | event->failed);
    at = put_varint(at, event->up);
    return (size_t)(put_varint(at, event->down) - out);
}

/* ---- adding ---- */

static int64_t day_begins(const struct book *book)
{
    return (int64_t)((uint64_t)book->day * BOOK_MS_PER_DAY);
}

/* The block that has room for `size` bytes; NULL: no memory. */
static struct block *block_for(struct book *book, struct book_series *series, size_t size)
{
    struct block *last = series->last ? book_store_at(&book->events, series->last) : NULL;
    if (last && (size_t)last->capacity - last->used >= size)
        return last;
    uint32_t n_units = FIRST_UNITS, at;
    if (last) {
        n_units = (last->capacity + (uint32_t)sizeof *last) / UNIT;
        n_units += (n_units + 1) / 2;
    }
    if (n_units > MAX_UNITS)
        n_units = MAX_UNITS;
    while (n_units * UNIT - sizeof *last < size)
        n_units++;
    /* Number 0 says "none". */
    if ((book->events.n == 0 && !book_store_take(book, &book->events, 1, &at)) ||
        !book_store_take(book, &book->events, n_units, &at))
        return NULL;
    if (series->last) { /* the store's first slab may have moved */
        last = book_store_at(&book->events, series->last);
        last->next = at;
    } else {
        series->first = at;
    }
    series->last = at;
    struct block *block = book_store_at(&book->events, at);
    block->capacity = (uint16_t)(n_units * UNIT - sizeof *block);
    return block;
}

void book_add_event(struct book *book, struct book_series *series, const struct book_event *event)
{
    uint8_t packed[BOOK_EVENT_MAX];
    book->n_changes++;
    if (series->n >= BOOK_SERIES_MAX) {
        series->n_refused += series->n_refused < UINT32_MAX;
        book->refused.n_over++;
        return;
    }
    size_t size = book_event_pack(series->n ? series->last_ts : day_begins(book), event, packed);
    struct block *block = block_for(book, series, size);
    if (!block) {
        series->n_refused += series->n_refused < UINT32_MAX;
        book->refused.n_events++;
        return;
    }
    memcpy((uint8_t *)(block + 1) + block->used, packed, size);
    block->used = (uint16_t)(block->used + size);
    series->last_ts = event->ts;
    series->n++;
}

/* ---- reading ---- */

void book_walk_begin(struct book_walk *walk, const struct book *book,
                     const struct book_series *series)
{
    *walk = (struct book_walk){
        .book = book, .next = series->first, .left = series->n, .ts = day_begins(book)};
}

bool book_walk_next(struct book_walk *walk, struct book_event *out)
{
    if (walk->left == 0)
        return false;
    if (walk->at == walk->end) {
        if (!walk->next)
            return false;
        const struct block *block = book_store_at(&walk->book->events, walk->next);
        walk->next = block->next;
        walk->at = (const uint8_t *)(block + 1);
        walk->end = walk->at + block->used;
    }
    uint64_t since = take_varint(walk);
    walk->ts = (int64_t)((uint64_t)walk->ts + (since >> 1 ^ (since & 1 ? UINT64_MAX : 0)));
    walk->left--;
    *out = (struct book_event){.ts = walk->ts};
    uint64_t duration = take_varint(walk);
    out->duration = duration >> 1;
    out->failed = duration & 1;
    out->up = (uint32_t)take_varint(walk);
    out->down = (uint32_t)take_varint(walk);
    return true;
}

size_t book_events(const struct book *book, const struct book_series *series,
                   struct book_event *out, size_t max)
{
    struct book_walk walk;
    size_t n = 0;
    book_walk_begin(&walk, book, series);
    while (n < max && book_walk_next(&walk, &out[n]))
        n++;
    return n;
}
