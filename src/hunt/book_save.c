/* A book to bytes: see book_file.h for their form. */
#include "hunt/book_file.h"

#include <errno.h>
#include <stdlib.h>

#include "hunt/book_pack.h"
#include "hunt/book_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PIECE_FULL (192u << 10) /* raw: no new entry is begun behind this */
#define EVENTS_END (640u << 10) /* raw: nor another event */

struct saving {
    const struct book *book;
    book_sink_fn *sink;
    void *with;
    uint8_t *raw, *frame;   /* BOOK_PIECE_MAX each, and a head */
    uint32_t *entry, *last; /* of the row that is saved */
    size_t size;            /* of raw */
    size_t n_at;            /* where the number of entries is to be put */
    uint32_t n;
    uint64_t n_texts, n_entries;
    struct err *err;
};

/* ---- numbers ---- */

static void put_le(struct saving *s, uint64_t value, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++)
        s->raw[s->size++] = (uint8_t)(value >> 8 * i);
}

static void put_bytes(struct saving *s, const void *bytes, size_t size)
{
    memcpy(s->raw + s->size, bytes, size);
    s->size += size;
}

static void put_varint(struct saving *s, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        s->raw[s->size++] = (uint8_t)(value | 0x80);
    s->raw[s->size++] = (uint8_t)value;
}

/* ---- pieces ---- */

size_t book_frame(uint64_t secret, const uint8_t *raw, size_t size, uint8_t *out)
{
    uint8_t *body = out + BOOK_FRAME_HEAD;
    size_t packed = book_pack(raw, size, body, size);
    out[8] = packed != 0;
    if (!packed) {
        memcpy(body, raw, size);
        packed = size;
    }
    uint64_t sum = XXH3_64bits_withSeed(body, packed, secret);
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)((i < 4 ? size : packed) >> 8 * (i & 3));
        out[9 + i] = (uint8_t)(sum >> 8 * i);
    }
    return BOOK_FRAME_HEAD + packed;
}

static int end_piece(struct saving *s)
{
    for (unsigned i = 0; s->n_at && i < 4; i++)
        s->raw[s->n_at + i] = (uint8_t)(s->n >> 8 * i);
    size_t size = book_frame(s->book->secret, s->raw, s->size, s->frame);
    s->size = s->n_at = s->n = 0;
    return s->sink(s->with, s->frame, size, s->err);
}

static int save_begin(struct saving *s)
{
    static const char magic[] = "cloudspan book";
    const uint32_t order = 0x01020304;
    put_le(s, BOOK_BEGIN, 1);
    put_bytes(s, magic, sizeof magic - 1);
    put_le(s, BOOK_FORMAT, 2);
    put_bytes(s, &order, sizeof order);
    put_le(s, (uint64_t)s->book->day, 8);
    put_le(s, s->book->part, 1);
    put_le(s, XXH3_64bits_withSeed(magic, sizeof magic - 1, s->book->secret), 8);
    return end_piece(s);
}

static int save_texts(struct saving *s)
{
    const struct book_store *store = &s->book->texts;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < store->n;) {
        const struct book_text *text = book_store_at(store, i);
        if (!text->name) { /* left over at a slab's end */
            i++;
            continue;
        }
        if (s->size == 0) {
            put_le(s, BOOK_TEXTS, 1);
            s->n_at = s->size;
            put_le(s, 0, 4);
        }
        put_varint(s, text->len);
        put_bytes(s, text + 1, text->len);
        s->n++;
        s->n_texts++;
        i += (uint32_t)((sizeof *text + text->len + store->unit - 1) / store->unit);
        if (s->size >= PIECE_FULL)
            result = end_piece(s);
    }
    return result == 0 && s->size ? end_piece(s) : result;
}

/* ---- rows ---- */

static void begin_rows(struct saving *s, const struct book_table *table)
{
    size_t len = strlen(table->name);
    put_le(s, BOOK_ROWS, 1);
    put_le(s, len, 1);
    put_bytes(s, table->name, len & 0xff);
    put_le(s, table->version, 2);
    put_le(s, table->key_size, 2);
    put_le(s, table->value_size, 2);
    put_le(s, table->n_series, 1);
    s->n_at = s->size;
    put_le(s, 0, 4);
}

static void put_entry(struct saving *s, const uint32_t *words, uint32_t *before, uint32_t n_words)
{
    uint8_t *codes = s->raw + s->size;
    size_t n_codes = (n_words + 3) / 4;
    memset(codes, 0, n_codes);
    s->size += n_codes;
    for (uint32_t i = 0; i < n_words; i++) {
        uint32_t word = words[i] ^ before[i];
        unsigned code = word == 0 ? 0 : word < 0x100 ? 1 : word < 0x10000 ? 2 : 3;
        before[i] = words[i];
        codes[i / 4] |= (uint8_t)(code << i % 4 * 2);
        put_le(s, word, code == 3 ? 4 : code);
    }
}

/* As many of the events as fit the piece. */
static void put_events(struct saving *s, struct book_walk *walk)
{
    struct book_event event;
    size_t n_at = s->size;
    uint32_t n = 0;
    int64_t before = s->book->day * BOOK_MS_PER_DAY;
    s->size += 4; /* a varint of always 4 bytes, since the number is known at the end only */
    while (s->size < EVENTS_END && book_walk_next(walk, &event)) {
        s->size += book_event_pack(before, &event, s->raw + s->size);
        before = event.ts;
        n++;
    }
    for (unsigned i = 0; i < 4; i++)
        s->raw[n_at + i] = (uint8_t)((n >> 7 * i & 0x7f) | (i < 3 ? 0x80 : 0));
}

static int save_entry(struct saving *s, const struct book_rows *rows, uint32_t i)
{
    const struct book_table *table = rows->table;
    struct book_walk walks[4];
    uint32_t n_refused[4];
    memcpy(s->entry, book_rows_key(rows, i), rows->entries.unit);
    for (unsigned k = 0; k < table->n_series; k++) {
        struct book_series *series = book_series_of(table, (uint8_t *)s->entry + rows->value_at, k);
        book_walk_begin(&walks[k], s->book, series);
        n_refused[k] = series->n_refused;
        *series = (struct book_series){0};
    }
    for (bool is_done = false; !is_done;) {
        if (s->size == 0) {
            begin_rows(s, table);
            memset(s->last, 0, rows->entries.unit);
        }
        put_entry(s, s->entry, s->last, rows->entries.unit / 4);
        is_done = true;
        for (unsigned k = 0; k < table->n_series; k++) {
            put_varint(s, n_refused[k]);
            n_refused[k] = 0;
            put_events(s, &walks[k]);
            is_done = is_done && walks[k].left == 0;
        }
        s->n++;
        s->n_entries++;
        int result = s->size >= PIECE_FULL || !is_done ? end_piece(s) : 0;
        if (result != 0)
            return result;
    }
    return 0;
}

static int save_rows(struct saving *s, const struct book_rows *rows)
{
    int result = 0;
    s->entry = malloc(2 * (size_t)rows->entries.unit);
    if (!s->entry)
        return err_set(s->err, -ENOMEM, "out of memory");
    s->last = s->entry + rows->entries.unit / 4;
    for (uint32_t i = 0; result == 0 && i < rows->entries.n; i++)
        result = save_entry(s, rows, i);
    if (result == 0 && s->size)
        result = end_piece(s);
    free(s->entry);
    return result;
}

static int save_end(struct saving *s)
{
    const struct book_refused *refused = &s->book->refused;
    put_le(s, BOOK_END, 1);
    put_le(s, s->n_texts, 8);
    put_le(s, s->n_entries, 8);
    put_le(s, refused->n_keys, 8);
    put_le(s, refused->n_events, 8);
    put_le(s, refused->n_texts, 8);
    put_le(s, refused->n_over, 8);
    return end_piece(s);
}

int book_save_to(const struct book *book, const struct book_table *const *tables, size_t n_tables,
                 book_sink_fn *sink, void *with, struct err *err)
{
    struct saving s = {.book = book, .sink = sink, .with = with, .err = err};
    s.raw = malloc(BOOK_PIECE_MAX);
    s.frame = malloc(BOOK_FRAME_HEAD + BOOK_PIECE_MAX);
    int result = s.raw && s.frame ? save_begin(&s) : err_set(err, -ENOMEM, "out of memory");
    if (result == 0)
        result = save_texts(&s);
    for (size_t i = 0; result == 0 && i < n_tables; i++) {
        const struct book_rows *rows = book_rows_of(book, tables[i]);
        if (rows)
            result = save_rows(&s, rows);
    }
    if (result == 0)
        result = save_end(&s);
    free(s.raw);
    free(s.frame);
    return result;
}

/* ---- in one block ---- */

struct block {
    uint8_t *bytes;
    size_t size, room;
};

static int keep_frame(void *with, const void *frame, size_t size, struct err *err)
{
    struct block *block = with;
    if (size > block->room - block->size) {
        size_t room = block->size + size + block->size / 2;
        uint8_t *bytes = realloc(block->bytes, room);
        if (!bytes)
            return err_set(err, -ENOMEM, "out of memory");
        block->bytes = bytes;
        block->room = room;
    }
    memcpy(block->bytes + block->size, frame, size);
    block->size += size;
    return 0;
}

int book_save(const struct book *book, const struct book_table *const *tables, size_t n_tables,
              void **out, size_t *out_size, struct err *err)
{
    struct block block = {0};
    int result = book_save_to(book, tables, n_tables, keep_frame, &block, err);
    if (result < 0) {
        free(block.bytes);
        return result;
    }
    *out = block.bytes;
    *out_size = block.size;
    return 0;
}
