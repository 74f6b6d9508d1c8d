/* Bytes to a book: see book_file.h for their form. A frame's checksum keeps accidents out, and
 * after it nothing is believed either: whoever may write the file may write checksums. */
#include "hunt/book_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"
#include "hunt/book_pack.h"
#include "hunt/book_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_MAX   1000000 /* the year 4707 */
#define ENTRY_MAX (2 * (UINT16_MAX + 9u))

struct book_loading {
    const struct book_table *const *tables;
    size_t n_tables;
    size_t memory;
    uint64_t secret;
    struct book *book; /* NULL: BEGIN was not there yet */
    uint8_t *raw;      /* BOOK_PIECE_MAX */
    uint32_t *entry;   /* ENTRY_MAX bytes */
    uint64_t n_texts, n_entries;
    bool is_ended;
    char left_out[200]; /* names of tables */
};

struct book_loading *book_load_begin(const struct book_table *const *tables, size_t n_tables,
                                     size_t memory, uint64_t secret)
{
    struct book_loading *loading = calloc(1, sizeof *loading);
    if (!loading)
        return NULL;
    *loading = (struct book_loading){
        .tables = tables, .n_tables = n_tables, .memory = memory, .secret = secret};
    loading->raw = malloc(BOOK_PIECE_MAX);
    loading->entry = malloc(ENTRY_MAX);
    if (loading->raw && loading->entry)
        return loading;
    book_load_cancel(loading);
    return NULL;
}

void book_load_cancel(struct book_loading *loading)
{
    if (!loading)
        return;
    book_free(loading->book);
    free(loading->raw);
    free(loading->entry);
    free(loading);
}

static int damaged(struct err *err, const char *what)
{
    return err_set(err, -EBADMSG, "the saved book is damaged: %s", what);
}

static uint64_t rd_varint(struct reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = rd_u8(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    rd_fail(r);
    return 0;
}

/* ---- pieces ---- */

static int take_begin(struct book_loading *l, struct reader *r, struct err *err)
{
    static const char magic[] = "cloudspan book";
    const uint32_t native = 0x01020304;
    const uint8_t *bytes = rd_bytes(r, sizeof magic - 1);
    if (!bytes || memcmp(bytes, magic, sizeof magic - 1) != 0 || l->book)
        return damaged(err, "it does not begin as one");
    uint16_t format = rd_le16(r);
    const uint8_t *order = rd_bytes(r, sizeof native);
    int64_t day = (int64_t)rd_le64(r);
    unsigned part = rd_u8(r);
    uint64_t proof = rd_le64(r);
    if (format != BOOK_FORMAT)
        return err_set(err, -EPROTO, "the saved book is of another version (%u, this one is %u)",
                       (unsigned)format, (unsigned)BOOK_FORMAT);
    if (!rd_done(r) || day < -DAY_MAX || day > DAY_MAX || part >= BOOK_PARTS)
        return damaged(err, "its beginning makes no sense");
    if (memcmp(order, &native, sizeof native) != 0)
        return err_set(err, -EPROTO, "the saved book is of a machine with another byte order");
    if (proof != XXH3_64bits_withSeed(magic, sizeof magic - 1, l->secret))
        return damaged(err, "its names were hashed with another secret");
    l->book = book_new(day, l->memory, l->secret);
    if (!l->book)
        return err_set(err, -ENOMEM, "out of memory");
    book_set_part(l->book, part);
    return 0;
}

static int take_texts(struct book_loading *l, struct reader *r, struct err *err)
{
    uint32_t n = rd_le32(r);
    for (uint32_t i = 0; i < n && rd_left(r) > 0; i++) {
        uint64_t len = rd_varint(r);
        const uint8_t *bytes = len <= BOOK_TEXT_MAX ? rd_bytes(r, (size_t)len) : NULL;
        if (bytes && len > 0)
            (void)book_text(l->book, str_make(bytes, (size_t)len)); /* its name is its hash */
        else
            rd_fail(r);
    }
    l->n_texts += n;
    return rd_done(r) ? 0 : damaged(err, "a piece of texts");
}

/* ---- rows ---- */

static void leave_out(struct book_loading *l, struct str name)
{
    char text[64];
    size_t len = strlen(l->left_out);
    (void)snprintf(text, sizeof text, "%s%.*s", len ? ", " : "",
                   (int)(name.len < 60 ? name.len : 60), name.at);
    for (char *c = text; *c; c++) /* it comes from outside, and goes into a sentence */
        *c = *c >= ' ' && *c < 127 ? *c : '?';
    if (!strstr(l->left_out, text + (len ? 2 : 0)))
        (void)snprintf(l->left_out + len, sizeof l->left_out - len, "%s", text);
}

/* Over the entry before, which is in l->entry. */
static void take_entry(struct book_loading *l, struct reader *r, uint32_t n_words)
{
    const uint8_t *codes = rd_bytes(r, (n_words + 3) / 4);
    for (uint32_t i = 0; codes && i < n_words; i++) {
        switch (codes[i / 4] >> i % 4 * 2 & 3) {
        case 0:
            break;
        case 1:
            l->entry[i] ^= rd_u8(r);
            break;
        case 2:
            l->entry[i] ^= rd_le16(r);
            break;
        default:
            l->entry[i] ^= rd_le32(r);
            break;
        }
    }
}

/* `series` NULL: no room for its key. The address of the series stays, as no key is made
 * meanwhile. */
static void take_events(struct book_loading *l, struct reader *r, struct book_series *series)
{
    uint64_t n_refused = rd_varint(r), n = rd_varint(r);
    int64_t ts = l->book->day * BOOK_MS_PER_DAY;
    if (n_refused > UINT32_MAX || n > BOOK_SERIES_MAX) {
        rd_fail(r);
        return;
    }
    for (uint64_t i = 0; i < n && rd_ok(r); i++) {
        uint64_t since = rd_varint(r), duration = rd_varint(r), up = rd_varint(r),
                 down = rd_varint(r);
        ts = (int64_t)((uint64_t)ts + (since >> 1 ^ (since & 1 ? UINT64_MAX : 0)));
        struct book_event event = {.ts = ts,
                                   .duration = duration >> 1,
                                   .failed = duration & 1,
                                   .up = (uint32_t)up,
                                   .down = (uint32_t)down};
        if (up > UINT32_MAX || down > UINT32_MAX)
            rd_fail(r);
        if (rd_ok(r) && series)
            book_add_event(l->book, series, &event);
    }
    if (series)
        series->n_refused = n_refused < UINT32_MAX - series->n_refused
                                ? series->n_refused + (uint32_t)n_refused
                                : UINT32_MAX;
}

static int take_table(struct book_loading *l, const struct book_table *table, struct reader *r,
                      uint32_t n, struct err *err)
{
    uint32_t value_at = (table->key_size + 7u) & ~7u,
             unit = (value_at + table->value_size + 7u) & ~7u;
    memset(l->entry, 0, unit);
    for (uint32_t i = 0; i < n && rd_left(r) > 0; i++) {
        uint8_t *key = (uint8_t *)l->entry, *from = key + value_at;
        bool is_new;
        take_entry(l, r, unit / 4);
        for (unsigned k = 0; k < table->n_series; k++)
            *book_series_of(table, from, k) = (struct book_series){0};
        if (!rd_ok(r) || (table->good && !table->good(key, from)))
            return err_set(err, -EBADMSG, "the saved book is damaged: an entry of table %s",
                           table->name);
        uint8_t *value = book_at(l->book, table, key, &is_new);
        if (value && is_new)
            memcpy(value, from, table->value_size);
        for (unsigned k = 0; k < table->n_series; k++)
            take_events(l, r, value ? book_series_of(table, value, k) : NULL);
    }
    return rd_done(r) ? 0
                      : err_set(err, -EBADMSG, "the saved book is damaged: a piece of table %s",
                                table->name);
}

static int take_rows(struct book_loading *l, struct reader *r, struct err *err)
{
    uint8_t len = rd_u8(r);
    const uint8_t *bytes = rd_bytes(r, len);
    struct str name = str_make(bytes ? (const char *)bytes : "", bytes ? len : 0);
    uint16_t version = rd_le16(r), key_size = rd_le16(r), value_size = rd_le16(r);
    uint8_t n_series = rd_u8(r);
    uint32_t n = rd_le32(r);
    if (!rd_ok(r))
        return damaged(err, "a piece of a table");
    l->n_entries += n;
    for (size_t i = 0; i < l->n_tables; i++) {
        const struct book_table *table = l->tables[i];
        if (str_eq(name, str_c(table->name)) && version == table->version &&
            key_size == table->key_size && value_size == table->value_size &&
            n_series == table->n_series)
            return take_table(l, table, r, n, err);
    }
    leave_out(l, name);
    return 0;
}

static int take_end(struct book_loading *l, struct reader *r, struct err *err)
{
    uint64_t n_texts = rd_le64(r), n_entries = rd_le64(r);
    struct book_refused *refused = &l->book->refused;
    refused->n_keys += rd_le64(r);
    refused->n_events += rd_le64(r);
    refused->n_texts += rd_le64(r);
    refused->n_over += rd_le64(r);
    l->is_ended = true;
    return rd_done(r) && n_texts == l->n_texts && n_entries == l->n_entries
               ? 0
               : damaged(err, "pieces of it are missing");
}

static int take_piece(struct book_loading *l, const void *raw, size_t size, struct err *err)
{
    struct reader r = rd_make(raw, size);
    uint8_t kind = rd_u8(&r);
    if (l->is_ended || (kind != BOOK_BEGIN && !l->book))
        return damaged(err, "its pieces are out of order");
    switch (kind) {
    case BOOK_BEGIN:
        return take_begin(l, &r, err);
    case BOOK_TEXTS:
        return take_texts(l, &r, err);
    case BOOK_ROWS:
        return take_rows(l, &r, err);
    case BOOK_END:
        return take_end(l, &r, err);
    default:
        return damaged(err, "a piece of unknown kind");
    }
}

/* ---- frames ---- */

int book_load_take(struct book_loading *l, const void *frames, size_t size, struct err *err)
{
    struct reader r = rd_make(frames, size);
    while (rd_left(&r) > 0) {
        uint32_t raw_size = rd_le32(&r), packed_size = rd_le32(&r);
        uint8_t how = rd_u8(&r);
        uint64_t sum = rd_le64(&r);
        const uint8_t *packed = rd_bytes(&r, packed_size);
        if (!packed)
            return damaged(err, "it ends early");
        if (raw_size == 0 || raw_size > BOOK_PIECE_MAX || how > 1 ||
            (how == 0 && packed_size != raw_size))
            return damaged(err, "a piece's head makes no sense");
        if (XXH3_64bits_withSeed(packed, packed_size, l->secret) != sum)
            return damaged(err, "a checksum does not fit");
        if (how == 1 && !book_unpack(packed, packed_size, l->raw, raw_size))
            return damaged(err, "a piece cannot be unpacked (or only in a build with zlib)");
        int result = take_piece(l, how == 1 ? l->raw : packed, raw_size, err);
        if (result < 0)
            return result;
    }
    return rd_ok(&r) ? 0 : damaged(err, "it ends early");
}

int book_load_end(struct book_loading *loading, struct book **out, struct err *err)
{
    int result = loading->is_ended ? 0 : damaged(err, "its end is missing");
    if (result == 0) {
        loading->book->n_changes = 0;
        *out = loading->book;
        loading->book = NULL;
        if (loading->left_out[0])
            result =
                err_set(err, 1, "tables of another version were left out of the book of a day: %s",
                        loading->left_out);
    }
    book_load_cancel(loading);
    return result;
}

int book_load(const void *bytes, size_t size, const struct book_table *const *tables,
              size_t n_tables, size_t memory, uint64_t secret, struct book **out, struct err *err)
{
    struct book_loading *loading = book_load_begin(tables, n_tables, memory, secret);
    if (!loading)
        return err_set(err, -ENOMEM, "out of memory");
    int result = book_load_take(loading, bytes, size, err);
    if (result < 0) {
        book_load_cancel(loading);
        return result;
    }
    return book_load_end(loading, out, err);
}
