/* Events of a series, packed: differences and varints, in blocks that are chained. Most series have
 * few events, so the first block holds little more than one, and each next one is 8 bytes larger:
 * what is left over at the end, and what the blocks' heads take, stay about equal. Events run on
 * from one block into the next. */
#include "hunt/book_parts.h"

#define UNIT        8u
#define FIRST_UNITS 3u
#define MAX_UNITS   128u

/* A block is a word and bytes. The word of all but the last is the next one's number; the last has
 * IS_LAST, how many units it has (8 bits), and how many of its bytes are used (16 bits). */
#define IS_LAST 0x80000000u

static uint32_t n_units_of(uint32_t word)
{
    return word >> 16 & 0xff;
}

/* Of the block behind one of `n_units`. */
static uint32_t next_units(uint32_t n_units)
{
    return n_units < MAX_UNITS ? n_units + 1 : MAX_UNITS;
}

static uint32_t capacity(uint32_t n_units)
{
    return n_units * UNIT - (uint32_t)sizeof(uint32_t);
}

/* ---- adding ---- */

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
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

static int64_t day_begins(const struct book *book)
{
    return (int64_t)((uint64_t)book->day * BOOK_MS_PER_DAY);
}

/* An empty block of so many units; NULL: no memory. */
static uint32_t *new_block(struct book *book, uint32_t n_units, uint32_t *out)
{
    /* Number 0 says "none". */
    if ((book->events.n == 0 && !book_store_take(book, &book->events, 1, out)) ||
        book->events.n >= IS_LAST - 2 * MAX_UNITS ||
        !book_store_take(book, &book->events, n_units, out))
        return NULL;
    uint32_t *block = book_store_at(&book->events, *out);
    *block = IS_LAST | n_units << 16;
    return block;
}

/* All of it, or nothing (false: no memory; the block that was made is lost, then). */
static bool put_bytes(struct book *book, struct book_series *series, const uint8_t *bytes,
                      uint32_t size)
{
    struct book_series before = *series;
    uint32_t *last = series->last ? book_store_at(&book->events, series->last) : NULL;
    uint32_t word = last ? *last : 0;
    for (;;) {
        uint32_t n_units = last ? n_units_of(*last) : 0, used = last ? *last & 0xffff : 0;
        uint32_t left = last ? capacity(n_units) - used : 0, n = left < size ? left : size, number;
        if (n > 0) {
            memcpy((uint8_t *)(last + 1) + used, bytes, n);
            *last += n;
        }
        bytes += n;
        size -= n;
        if (size == 0)
            return true;
        uint32_t *block = new_block(book, last ? next_units(n_units) : FIRST_UNITS, &number);
        if (!block)
            break;
        if (last) /* again by its number: its store's first slab may have moved */
            *(uint32_t *)book_store_at(&book->events, series->last) = number;
        else
            series->first = number;
        series->last = number;
        last = block;
    }
    *series = before;
    if (series->last)
        *(uint32_t *)book_store_at(&book->events, series->last) = word;
    return false;
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
    if (!put_bytes(book, series, packed, (uint32_t)size)) {
        series->n_refused += series->n_refused < UINT32_MAX;
        book->refused.n_events++;
        return;
    }
    series->last_ts = event->ts;
    series->n++;
}

/* ---- reading ---- */

/* Where a full block's bytes end is known by its size, and that by the one before. */
static bool next_block(struct book_walk *walk)
{
    if (!walk->next)
        return false;
    const uint32_t *block = book_store_at(&walk->book->events, walk->next);
    bool is_last = *block & IS_LAST;
    walk->at = (const uint8_t *)(block + 1);
    walk->end = walk->at + (is_last ? *block & 0xffff : capacity(walk->n_units));
    walk->next = is_last ? 0 : *block;
    walk->n_units = next_units(walk->n_units);
    return true;
}

static uint64_t take_varint(struct book_walk *walk)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (walk->at == walk->end && !next_block(walk))
            break;
        uint8_t byte = *walk->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

void book_walk_begin(struct book_walk *walk, const struct book *book,
                     const struct book_series *series)
{
    *walk = (struct book_walk){.book = book,
                               .next = series->first,
                               .n_units = FIRST_UNITS,
                               .left = series->n,
                               .ts = day_begins(book)};
}

bool book_walk_next(struct book_walk *walk, struct book_event *out)
{
    if (walk->left == 0)
        return false;
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
