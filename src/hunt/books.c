/* Several days' books as one: see book.h. Slots are sorted by hash, so that all days' entries of
 * one key are met at the same time, as when sorted lists are put together. */
#include "hunt/book_parts.h"

#include <pthread.h>
#include <stdlib.h>

#define MAX_BOOKS   400  /* days at once; older ones are not looked at */
#define N_PARTS     1024 /* of the hashes: what a thread takes at once */
#define N_AHEAD     6
#define MAX_THREADS 64

struct each {
    const struct book_table *table;
    const struct book_rows *rows[MAX_BOOKS]; /* that have the table */
    size_t n_rows;
    uint32_t next_part; /* atomic */
    books_each_fn *each;
    void *with;
};

/* The first value of a key, without its series; then the others'. */
static void put_together(const struct book_table *table, void *into, const void *from,
                         bool *is_first)
{
    if (*is_first) {
        memcpy(into, from, table->value_size);
        for (unsigned i = 0; i < table->n_series; i++)
            *book_series_of(table, into, i) = (struct book_series){0};
    } else if (table->merge) {
        table->merge(into, from);
    }
    *is_first = false;
}

/* ---- all keys ---- */

/* Where a book's slots of the part are read; the end of the part ends them. */
struct cursor {
    const struct book_rows *rows;
    uint32_t at, end;
};

static void skip_gaps(struct cursor *cursor, uint64_t tags_end)
{
    const struct book_slot *slots = cursor->rows->slots.at;
    while (cursor->at < cursor->end && !slots[cursor->at].at)
        cursor->at++;
    if (cursor->at < cursor->end && slots[cursor->at].tag >= tags_end)
        cursor->at = cursor->end;
}

static const struct book_slot *slot_of(const struct cursor *cursor)
{
    return cursor->at < cursor->end ? &cursor->rows->slots.at[cursor->at] : NULL;
}

/* The value of the key in this book, among the slots of one hash. */
static const void *same_key(const struct cursor *cursor, uint32_t tag, const void *key)
{
    const struct book_slots *slots = &cursor->rows->slots;
    for (uint32_t i = cursor->at; i < cursor->end && slots->at[i].at && slots->at[i].tag == tag;
         i++) {
        uint32_t entry = slots->at[i].at - 1;
        if (memcmp(book_rows_key(cursor->rows, entry), key, cursor->rows->table->key_size) == 0)
            return book_rows_value(cursor->rows, entry);
    }
    return NULL;
}

/* Entries lie in the order in which they came, which is none here: they are fetched beforehand. */
static void fetch_ahead(const struct cursor *cursor)
{
    uint32_t i = cursor->at + N_AHEAD;
    if (i >= cursor->end || !cursor->rows->slots.at[i].at)
        return;
    const uint8_t *entry = book_rows_key(cursor->rows, cursor->rows->slots.at[i].at - 1);
    uint32_t size = cursor->rows->entries.unit;
    for (uint32_t at = 0; at < size && at < 512; at += 64)
        __builtin_prefetch(entry + at);
}

/* All keys of one hash. Keys that an earlier book has too were given with it. */
static void do_tag(const struct each *each, struct cursor *cursors, uint32_t tag, void *value)
{
    for (size_t b = 0; b < each->n_rows; b++) {
        const struct cursor *cursor = &cursors[b];
        const struct book_slot *slots = cursor->rows->slots.at;
        for (uint32_t i = cursor->at; i < cursor->end && slots[i].at && slots[i].tag == tag; i++) {
            const void *key = book_rows_key(cursor->rows, slots[i].at - 1);
            bool is_first = true, is_done = false;
            for (size_t k = 0; k < b && !is_done; k++)
                is_done = same_key(&cursors[k], tag, key) != NULL;
            if (is_done)
                continue;
            put_together(each->table, value, book_rows_value(cursor->rows, slots[i].at - 1),
                         &is_first);
            for (size_t k = b + 1; k < each->n_rows; k++) {
                const void *more = same_key(&cursors[k], tag, key);
                if (more)
                    put_together(each->table, value, more, &is_first);
            }
            each->each(each->with, key, value);
        }
    }
}

static void do_part(const struct each *each, uint32_t part, struct cursor *cursors, void *value)
{
    uint64_t from = ((uint64_t)part << 32) / N_PARTS, to = ((uint64_t)(part + 1) << 32) / N_PARTS;
    for (size_t b = 0; b < each->n_rows; b++) {
        const struct book_slots *slots = &each->rows[b]->slots;
        cursors[b] = (struct cursor){
            .rows = each->rows[b], .at = book_seek(slots, (uint32_t)from), .end = book_end(slots)};
        skip_gaps(&cursors[b], to);
    }
    for (;;) {
        const struct book_slot *least = NULL;
        for (size_t b = 0; b < each->n_rows; b++) {
            const struct book_slot *slot = slot_of(&cursors[b]);
            if (slot && (!least || slot->tag < least->tag))
                least = slot;
        }
        if (!least)
            return;
        uint32_t tag = least->tag;
        do_tag(each, cursors, tag, value);
        for (size_t b = 0; b < each->n_rows; b++)
            while (slot_of(&cursors[b]) && slot_of(&cursors[b])->tag == tag) {
                fetch_ahead(&cursors[b]);
                cursors[b].at++;
                skip_gaps(&cursors[b], to);
            }
    }
}

static void *do_parts(void *with)
{
    struct each *each = with;
    _Alignas(16) uint8_t value[UINT16_MAX + 1];
    struct cursor cursors[MAX_BOOKS];
    for (;;) {
        uint32_t part = __atomic_fetch_add(&each->next_part, 1, __ATOMIC_RELAXED);
        if (part >= N_PARTS)
            return NULL;
        do_part(each, part, cursors, value);
    }
}

void books_each(const struct books *books, const struct book_table *table, unsigned n_threads,
                books_each_fn *function, void *with)
{
    struct each each = {.table = table, .each = function, .with = with};
    pthread_t threads[MAX_THREADS];
    unsigned n = 0;
    size_t n_keys = 0;
    for (size_t b = books->n > MAX_BOOKS ? books->n - MAX_BOOKS : 0; b < books->n; b++) {
        const struct book_rows *rows = book_rows_of(books->at[b], table);
        if (rows && rows->entries.n) {
            each.rows[each.n_rows++] = rows;
            n_keys += rows->entries.n;
        }
    }
    if (each.n_rows == 0)
        return;
    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;
    /* This thread is one of them; where another cannot be had, the others do its work. */
    while (n + 1 < n_threads && n_keys > 256 &&
           pthread_create(&threads[n], NULL, do_parts, &each) == 0)
        n++;
    (void)do_parts(&each);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL); /* fails only for what is no thread */
}

/* ---- one key ---- */

bool books_find(const struct books *books, const struct book_table *table, const void *key,
                void *out_value)
{
    bool is_first = true;
    for (size_t b = 0; b < books->n; b++) {
        const void *value = book_find(books->at[b], table, key);
        if (value)
            put_together(table, out_value, value, &is_first);
    }
    return !is_first;
}

/* By time; equal times in an order that does not depend on who came first. */
static int by_ts(const void *left, const void *right)
{
    const struct book_event *a = left, *b = right;
    if (a->ts != b->ts)
        return a->ts < b->ts ? -1 : 1;
    if (a->duration != b->duration)
        return a->duration < b->duration ? -1 : 1;
    if (a->up != b->up)
        return a->up < b->up ? -1 : 1;
    if (a->down != b->down)
        return a->down < b->down ? -1 : 1;
    return (int)a->failed - (int)b->failed;
}

static bool are_sorted(const struct book_event *events, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (by_ts(&events[i - 1], &events[i]) > 0)
            return false;
    return true;
}

bool books_events(const struct books *books, const struct book_table *table, const void *key,
                  unsigned series, int64_t from, int64_t to, struct book_event **out, size_t *out_n)
{
    size_t max = 0, n = 0;
    for (size_t b = 0; b < books->n; b++) {
        void *value = book_find(books->at[b], table, key);
        if (value && series < table->n_series)
            max += book_series_of(table, value, series)->n;
    }
    struct book_event *events = malloc((max ? max : 1) * sizeof *events);
    if (!events)
        return false;
    for (size_t b = 0; max && b < books->n; b++) {
        void *value = book_find(books->at[b], table, key);
        struct book_walk walk;
        if (!value)
            continue;
        book_walk_begin(&walk, books->at[b], book_series_of(table, value, series));
        while (n < max && book_walk_next(&walk, &events[n]))
            n += events[n].ts >= from && events[n].ts < to;
    }
    if (!are_sorted(events, n))
        qsort(events, n, sizeof *events, by_ts);
    *out = events;
    *out_n = n;
    return true;
}

struct str books_text(const struct books *books, book_name name)
{
    struct str text = {0};
    for (size_t b = books->n; b > 0 && !str_set(text); b--)
        text = book_name_text(books->at[b - 1], name);
    return text;
}

size_t books_n_days(const struct books *books)
{
    size_t n = 0;
    for (size_t b = 0; b < books->n; b++)
        n += b == 0 || books->at[b]->day != books->at[b - 1]->day;
    return n;
}
