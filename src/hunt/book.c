/* One day's tables, texts and events in memory: see book.h and book_parts.h. */
#include "hunt/book_file.h"
#include "hunt/book_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_HOMES 32
#define TEXT_UNIT   16
#define TEXT_SHIFT  10 /* slabs of 16 KiB */

/* ---- the book ---- */

struct book *book_new(int64_t day, size_t memory, uint64_t secret)
{
    struct book *book = calloc(1, sizeof *book);
    if (!book)
        return NULL;
    book->day = day;
    book->secret = secret;
    book->memory = memory;
    book->used = sizeof *book;
    /* Texts are lent out by their address, so that their first slab may not grow: it is whole. */
    book->texts =
        (struct book_store){.unit = TEXT_UNIT, .shift = TEXT_SHIFT, .n_first = 1u << TEXT_SHIFT};
    book->events = (struct book_store){.unit = 8, .shift = 13};
    return book;
}

static void free_store(struct book_store *store)
{
    if (store->n_slabs)
        free(store->slabs[0]);
    free(store->slabs);
}

void book_free(struct book *book)
{
    if (!book)
        return;
    for (uint32_t i = 0; i < book->n_tables; i++) {
        free_store(&book->rows[i]->entries);
        book_slots_done(book, &book->rows[i]->slots);
        free(book->rows[i]);
    }
    free_store(&book->texts);
    free_store(&book->events);
    book_slots_done(book, &book->text_slots);
    for (size_t i = 0; i < book->n_regions; i++)
        (void)munmap(book->regions[i], book->region_sizes[i]); /* they were mapped so */
    free(book->regions);
    free(book->region_sizes);
    free(book);
}

int64_t book_day(const struct book *book)
{
    return book->day;
}

unsigned book_part(const struct book *book)
{
    return book->part;
}

void book_set_part(struct book *book, unsigned part)
{
    book->part = part;
}

size_t book_used(const struct book *book)
{
    return book->used;
}

uint64_t book_changes(const struct book *book)
{
    return book->n_changes;
}

void book_set_memory(struct book *book, size_t memory)
{
    book->memory = memory;
}

void book_count(const struct book *book, struct book_refused *out)
{
    *out = book->refused;
}

/* ---- slots ---- */

/* Puts the new one at `place`; those from there to the next gap move up. False: there is no gap. */
static bool put_slot(struct book_slots *slots, uint32_t place, uint32_t tag, uint32_t at)
{
    uint32_t gap = place, end = book_end(slots);
    while (gap < end && slots->at[gap].at)
        gap++;
    if (gap >= end)
        return false;
    memmove(&slots->at[place + 1], &slots->at[place], (gap - place) * sizeof *slots->at);
    slots->at[place] = (struct book_slot){.tag = tag, .at = at + 1};
    slots->n++;
    return true;
}

/* False: no room. The sorted order makes it one sweep over both arrays. */
static bool grow_slots(struct book *book, struct book_slots *slots)
{
    uint64_t wanted = slots->n_homes ? (uint64_t)slots->n_homes * 3 / 2 : FIRST_HOMES;
    struct book_slots grown;
    if (wanted > UINT32_MAX / 2 || !book_slots_make(book, (uint32_t)wanted, &grown))
        return false;
    uint32_t place = 0, end = book_end(&grown);
    for (uint32_t i = 0; i < book_end(slots); i++) {
        if (!slots->at[i].at)
            continue;
        uint32_t home = book_home(&grown, slots->at[i].tag);
        place = place > home ? place : home;
        if (place == end) {
            book_slots_done(book, &grown);
            return false;
        }
        grown.at[place++] = slots->at[i];
    }
    grown.n = slots->n;
    book_slots_done(book, slots);
    *slots = grown;
    return true;
}

/* Three quarters full they grow; where the budget is spent, they are filled to nine tenths. */
static bool make_place(struct book *book, struct book_slots *slots)
{
    if ((uint64_t)slots->n * 4 < (uint64_t)slots->n_homes * 3)
        return true;
    return grow_slots(book, slots) || (uint64_t)slots->n * 10 < (uint64_t)slots->n_homes * 9;
}

/* ---- tables ---- */

static uint32_t pointer_home(const struct book_table *table)
{
    return (uint32_t)(((uintptr_t)table >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

struct book_rows *book_rows_of(const struct book *book, const struct book_table *table)
{
    _Static_assert(sizeof book->by_pointer == 256, "a hash of 8 bits");
    for (uint32_t i = pointer_home(table);; i = (i + 1) & 255) {
        if (!book->by_pointer[i])
            return NULL;
        struct book_rows *rows = book->rows[book->by_pointer[i] - 1];
        if (rows->table == table)
            return rows;
    }
}

struct book_rows *book_rows_at(struct book *book, const struct book_table *table)
{
    struct book_rows *rows = book_rows_of(book, table);
    if (rows)
        return rows;
    assert(book->n_tables < BOOK_MAX_TABLES && table->key_size && table->n_series <= 4);
    if (book->n_tables >= BOOK_MAX_TABLES || !book_take_memory(book, sizeof *rows + 16))
        return NULL;
    rows = calloc(1, sizeof *rows);
    if (!rows) {
        book_give_memory(book, sizeof *rows + 16);
        return NULL;
    }
    rows->table = table;
    rows->value_at = (table->key_size + 7u) & ~7u;
    rows->entries.unit = (rows->value_at + table->value_size + 7u) & ~7u;
    while (rows->entries.shift < 12 && (rows->entries.unit << (rows->entries.shift + 1)) <= 65536)
        rows->entries.shift++;
    book->rows[book->n_tables++] = rows;
    uint32_t i = pointer_home(table);
    while (book->by_pointer[i])
        i = (i + 1) & 255;
    book->by_pointer[i] = (uint8_t)book->n_tables;
    return rows;
}

uint64_t book_key_hash(const struct book *book, const struct book_table *table, const void *key)
{
    return XXH3_64bits_withSeed(key, table->key_size, book->secret);
}

/* Keys are short, and their sizes multiples of four: a call costs more than the comparing. */
static inline bool same_key(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint64_t x, y, differ = 0;
    uint32_t v, w;
    for (; size >= 8; size -= 8, a += 8, b += 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        differ |= x ^ y;
    }
    if (size >= 4) {
        memcpy(&v, a, 4);
        memcpy(&w, b, 4);
        differ |= v ^ w;
        size -= 4, a += 4, b += 4;
    }
    while (size-- > 0)
        differ |= (uint64_t)(*a++ ^ *b++);
    return differ == 0;
}

/* Where the key is, or (with NULL) where it would be put in. */
static void *find_place(const struct book_rows *rows, const void *key, uint32_t tag,
                        uint32_t *out_place)
{
    const struct book_slots *slots = &rows->slots;
    uint32_t end = book_end(slots), i = book_home(slots, tag);
    for (; i < end && slots->at[i].at && slots->at[i].tag <= tag; i++) {
        if (slots->at[i].tag != tag)
            continue;
        uint8_t *entry = book_store_at(&rows->entries, slots->at[i].at - 1);
        /* What is read next, while the key is compared. */
        __builtin_prefetch(entry + rows->value_at);
        if (rows->table->n_series)
            __builtin_prefetch(entry + rows->value_at + rows->table->series_at[0]);
        if (same_key(entry, key, rows->table->key_size))
            return entry + rows->value_at;
    }
    *out_place = i;
    return NULL;
}

void *book_rows_find(const struct book_rows *rows, const void *key, uint64_t hash)
{
    uint32_t place;
    return find_place(rows, key, (uint32_t)(hash >> 32), &place);
}

void *book_at(struct book *book, const struct book_table *table, const void *key, bool *out_new)
{
    struct book_rows *rows = book_rows_at(book, table);
    uint32_t tag = (uint32_t)(book_key_hash(book, table, key) >> 32), place, entry;
    if (out_new)
        *out_new = false;
    book->n_changes++;
    void *value = rows ? find_place(rows, key, tag, &place) : NULL;
    if (value)
        return value;
    if (!rows || !make_place(book, &rows->slots)) {
        book->refused.n_keys++;
        return NULL;
    }
    (void)find_place(rows, key, tag, &place); /* it is not there; the slots may have grown */
    if (!book_store_take(book, &rows->entries, 1, &entry)) {
        book->refused.n_keys++;
        return NULL;
    }
    if (!put_slot(&rows->slots, place, tag, entry)) {
        rows->entries.n--;
        book->refused.n_keys++;
        return NULL;
    }
    uint8_t *bytes = book_store_at(&rows->entries, entry);
    memcpy(bytes, key, table->key_size);
    if (out_new)
        *out_new = true;
    return bytes + rows->value_at;
}

void *book_find(const struct book *book, const struct book_table *table, const void *key)
{
    const struct book_rows *rows = book_rows_of(book, table);
    return rows ? book_rows_find(rows, key, book_key_hash(book, table, key)) : NULL;
}

size_t book_n(const struct book *book, const struct book_table *table)
{
    const struct book_rows *rows = book_rows_of(book, table);
    return rows ? rows->entries.n : 0;
}

/* Steps as what they need is there by then: the slot, the entry, the series' last block. Slots of
 * equal hash are not told apart, since the wrong entry costs nothing but the time. */
void book_fetch(const struct book *book, const struct book_table *table, const void *key,
                unsigned step)
{
    const struct book_rows *rows = book_rows_of(book, table);
    if (!rows || !rows->slots.n)
        return;
    uint32_t tag = (uint32_t)(book_key_hash(book, table, key) >> 32);
    uint32_t i = book_home(&rows->slots, tag), end = book_end(&rows->slots);
    if (step == 0) {
        __builtin_prefetch(&rows->slots.at[i]);
        return;
    }
    while (i < end && rows->slots.at[i].at && rows->slots.at[i].tag < tag)
        i++;
    if (i == end || !rows->slots.at[i].at || rows->slots.at[i].tag != tag)
        return;
    uint8_t *entry = book_store_at(&rows->entries, rows->slots.at[i].at - 1);
    if (step == 1) {
        for (uint32_t at = 0; at < rows->entries.unit && at < 1024; at += 64)
            __builtin_prefetch(entry + at);
        return;
    }
    for (unsigned s = 0; s < table->n_series; s++) {
        uint32_t last = book_series_of(table, entry + rows->value_at, s)->last;
        if (last)
            __builtin_prefetch(book_store_at(&book->events, last));
    }
}

/* ---- texts ---- */

book_name book_hash(const struct book *book, struct str text)
{
    if (!text.at || text.len == 0)
        return 0;
    book_name name = XXH3_64bits_withSeed(
        text.at, text.len < BOOK_TEXT_MAX ? text.len : BOOK_TEXT_MAX, book->secret);
    return name ? name : 1; /* 0 is taken */
}

static const struct book_text *find_text(const struct book *book, book_name name,
                                         uint32_t *out_place)
{
    const struct book_slots *slots = &book->text_slots;
    uint32_t tag = (uint32_t)(name >> 32), end = book_end(slots), i = book_home(slots, tag);
    for (; i < end && slots->at[i].at && slots->at[i].tag <= tag; i++) {
        if (slots->at[i].tag != tag)
            continue;
        const struct book_text *text = book_store_at(&book->texts, slots->at[i].at - 1);
        if (text->name == name)
            return text;
    }
    *out_place = i;
    return NULL;
}

void book_fetch_text(const struct book *book, book_name name, unsigned step)
{
    const struct book_slots *slots = &book->text_slots;
    uint32_t tag = (uint32_t)(name >> 32);
    if (!slots->n)
        return;
    if (step == 0) {
        __builtin_prefetch(&slots->at[book_home(slots, tag)]);
        return;
    }
    uint32_t i = book_seek(slots, tag);
    if (step == 1 && i < book_end(slots) && slots->at[i].at && slots->at[i].tag == tag)
        __builtin_prefetch(book_store_at(&book->texts, slots->at[i].at - 1));
}

book_name book_text(struct book *book, struct str text)
{
    book_name name = book_hash(book, text);
    uint32_t place, at;
    if (!name || find_text(book, name, &place))
        return name;
    struct book_text head = {.name = name,
                             .len = text.len < BOOK_TEXT_MAX ? text.len : BOOK_TEXT_MAX};
    uint32_t n_units = (uint32_t)(sizeof head + head.len + TEXT_UNIT - 1) / TEXT_UNIT;
    if (make_place(book, &book->text_slots) && book_store_take(book, &book->texts, n_units, &at)) {
        (void)find_text(book, name, &place); /* it is not there; the slots may have grown */
        if (put_slot(&book->text_slots, place, (uint32_t)(name >> 32), at)) {
            struct book_text *kept = book_store_at(&book->texts, at);
            *kept = head;
            memcpy(kept + 1, text.at, head.len);
            book->n_changes++;
            return name;
        }
        book->texts.n -= n_units;
    }
    book->refused.n_texts++;
    return name;
}

struct str book_name_text(const struct book *book, book_name name)
{
    uint32_t place;
    const struct book_text *text = name ? find_text(book, name, &place) : NULL;
    return text ? str_make(text + 1, text->len) : (struct str){0};
}
