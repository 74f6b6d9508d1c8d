/* The columns of log records, written straight into the output buffer: see record.h. */
#include "log/writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/number.h"

#define LINE_RESERVE (64u << 10)
#define TEXT_MAX     (64u << 10)

/* Separator, and in JSON the column's name, before a value. False: no room, write nothing. */
static bool begin_value(struct rec *rec, size_t size)
{
    uint16_t index = rec->column++;
    assert(index < log_stream_n_columns(rec->stream));
    if (!rec->json) {
        if (!rec_room(rec, size + 1))
            return false;
        if (index > 0)
            *rec->at++ = '\t';
        return true;
    }
    const char *name = log_stream_column(rec->stream, index)->name;
    size_t len = strlen(name);
    if (!rec_room(rec, size + len + 6))
        return false;
    if (rec->comma)
        *rec->at++ = ',';
    rec->comma = true;
    *rec->at++ = '"';
    memcpy(rec->at, name, len);
    rec->at += len;
    *rec->at++ = '"';
    *rec->at++ = ':';
    return true;
}

static void put_raw(struct rec *rec, const char *text, size_t len)
{
    memcpy(rec->at, text, len);
    rec->at += len;
}

#ifndef NDEBUG
static bool is_type(const struct rec *rec, unsigned long types)
{
    return 1ul << log_stream_column(rec->stream, rec->column)->type & types;
}
#endif
#define IS(type) (1ul << (type))

void rec_unset(struct rec *rec)
{
    if (rec->json)
        rec->column++; /* left out */
    else if (begin_value(rec, 1))
        *rec->at++ = '-';
}

/* Zeek's writer changes to the shortest scientific form here (a TTL of 2^32 - 1 s, say). */
static void put_long_seconds(struct rec *rec, int64_t ns)
{
    double s = (double)ns / 1e9;
    for (int digits = 6; digits <= 17; digits++) {
        int n = snprintf(rec->at, 40, "%.*e", digits, s);
        if (strtod(rec->at, NULL) == s || digits == 17) {
            rec->at += n;
            return;
        }
    }
}

/* Seconds with six decimals; JSON without the zeros at the end. */
static void put_seconds(struct rec *rec, int64_t ns)
{
    uint64_t abs = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    uint64_t us = (abs + 500) / 1000;
    if (ns < 0 && us)
        *rec->at++ = '-';
    rec->at = number_put(rec->at, us / 1000000);
    *rec->at++ = '.';
    rec->at = number_put6(rec->at, (uint32_t)(us % 1000000));
    if (rec->json)
        while (rec->at[-1] == '0' && rec->at[-2] != '.')
            rec->at--;
}

static void put_interval(struct rec *rec, int64_t ns)
{
    if (ns >= (1ll << 31) * 1000000000 && !rec->json)
        put_long_seconds(rec, ns);
    else
        put_seconds(rec, ns);
}

void rec_time(struct rec *rec, int64_t ns)
{
    assert(is_type(rec, IS(LOG_TIME)));
    if (begin_value(rec, 40))
        put_seconds(rec, ns);
}

void rec_time_seconds(struct rec *rec, int64_t seconds)
{
    assert(is_type(rec, IS(LOG_TIME)));
    if (!begin_value(rec, 40))
        return;
    if (seconds < 0)
        *rec->at++ = '-';
    rec->at = number_put(rec->at, seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds);
    if (rec->json)
        put_raw(rec, ".0", 2);
    else
        put_raw(rec, ".000000", 7);
}

void rec_interval(struct rec *rec, int64_t ns)
{
    assert(is_type(rec, IS(LOG_INTERVAL)));
    if (begin_value(rec, 40))
        put_interval(rec, ns);
}

static void put_str(struct rec *rec, struct str text)
{
    if (rec->json) {
        *rec->at++ = '"';
        rec->at = log_escape_json(rec->at, text);
        *rec->at++ = '"';
    } else if (text.len == 0) {
        put_raw(rec, "(empty)", 7);
    } else {
        rec->at = log_escape_tsv(rec->at, text, rec->in_set);
    }
}

/* Text that would make the line too long is cut: what is left of the line, at the most bytes that
 * escaping can make of one, but for a reserve that all other columns fit into. */
static struct str fitting(const struct rec *rec, struct str text)
{
    size_t used = rec_mark(rec);
    size_t room = used < LOG_LINE_MAX - LINE_RESERVE ? LOG_LINE_MAX - LINE_RESERVE - used : 0;
    size_t most = room / 6 < TEXT_MAX ? room / 6 : TEXT_MAX;
    if (text.len > most)
        log_stream_cut(rec->stream);
    return str_upto(text, most);
}

void rec_str(struct rec *rec, struct str text)
{
    assert(is_type(rec, IS(LOG_STRING) | IS(LOG_ENUM)));
    if (!str_set(text)) {
        rec_unset(rec);
        return;
    }
    text = fitting(rec, text);
    if (begin_value(rec, (size_t)text.len * 6 + 10))
        put_str(rec, text);
}

void rec_text(struct rec *rec, const char *text)
{
    assert(is_type(rec, IS(LOG_STRING) | IS(LOG_ENUM)));
    if (!text) {
        rec_unset(rec);
        return;
    }
    size_t len = strlen(text);
    if (!begin_value(rec, len + 2))
        return;
    if (rec->json)
        *rec->at++ = '"';
    put_raw(rec, text, len);
    if (rec->json)
        *rec->at++ = '"';
}

static void put_addr(struct rec *rec, const struct addr *addr)
{
    if (rec->json)
        *rec->at++ = '"';
    rec->at += addr_format(addr, rec->at);
    if (rec->json)
        *rec->at++ = '"';
}

void rec_addr(struct rec *rec, const struct addr *addr)
{
    assert(is_type(rec, IS(LOG_ADDR)));
    if (begin_value(rec, ADDR_TEXT_MAX + 2))
        put_addr(rec, addr);
}

void rec_port(struct rec *rec, uint16_t port)
{
    assert(is_type(rec, IS(LOG_PORT)));
    if (begin_value(rec, 20))
        rec->at = number_put(rec->at, port);
}

void rec_count(struct rec *rec, uint64_t value)
{
    assert(is_type(rec, IS(LOG_COUNT)));
    if (begin_value(rec, 20))
        rec->at = number_put(rec->at, value);
}

void rec_int(struct rec *rec, int64_t value)
{
    assert(is_type(rec, IS(LOG_INT)));
    if (!begin_value(rec, 21))
        return;
    if (value < 0)
        *rec->at++ = '-';
    rec->at = number_put(rec->at, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void rec_double(struct rec *rec, double value)
{
    assert(is_type(rec, IS(LOG_DOUBLE)));
    if (!begin_value(rec, 400))
        return;
    char *end = rec->at + snprintf(rec->at, 400, "%.6f", value);
    while (end[-1] == '0' && end[-2] >= '0' && end[-2] <= '9') /* as Zeek: one at least stays */
        end--;
    rec->at = end;
}

void rec_bool(struct rec *rec, bool value)
{
    assert(is_type(rec, IS(LOG_BOOL)));
    if (!begin_value(rec, 5))
        return;
    if (!rec->json)
        *rec->at++ = value ? 'T' : 'F';
    else if (value)
        put_raw(rec, "true", 4);
    else
        put_raw(rec, "false", 5);
}

size_t rec_mark(const struct rec *rec)
{
    return log_stream_offset(rec->stream);
}

void rec_keep(const struct rec *rec, size_t mark, uint16_t n_columns, struct rec_kept *out)
{
    size_t size = rec_mark(rec) - mark;
    out->size = 0;
    if (size > REC_KEPT_MAX)
        return;
    memcpy(out->bytes, rec->at - size, size);
    out->size = (uint16_t)size;
    out->n_columns = n_columns;
}

void rec_put_kept(struct rec *rec, const struct rec_kept *kept)
{
    rec->column = (uint16_t)(rec->column + kept->n_columns);
    if (!rec_room(rec, kept->size))
        return;
    memcpy(rec->at, kept->bytes, kept->size);
    rec->at += kept->size;
}

void rec_set_begin(struct rec *rec)
{
    assert(log_stream_column(rec->stream, rec->column)->type >= LOG_SET_STRING);
    rec->in_set = true;
    rec->set_first = true;
    if (begin_value(rec, 1) && rec->json)
        *rec->at++ = '[';
}

static bool begin_item(struct rec *rec, size_t size)
{
    assert(rec->in_set);
    if (rec_mark(rec) > LOG_LINE_MAX - LINE_RESERVE / 2 || !rec_room(rec, size + 1)) {
        log_stream_cut(rec->stream); /* the set goes without the rest */
        return false;
    }
    if (!rec->set_first)
        *rec->at++ = ',';
    rec->set_first = false;
    return true;
}

void rec_item_str(struct rec *rec, struct str text)
{
    text = fitting(rec, text);
    if (!str_set(text))
        rec_item_text(rec, NULL);
    else if (begin_item(rec, (size_t)text.len * 6 + 10))
        put_str(rec, text);
}

void rec_item_text(struct rec *rec, const char *text)
{
    if (text)
        rec_item_str(rec, str_c(text));
    else if (begin_item(rec, 4))
        put_raw(rec, rec->json ? "null" : "-", rec->json ? 4 : 1);
}

void rec_item_interval(struct rec *rec, int64_t ns)
{
    if (begin_item(rec, 40))
        put_interval(rec, ns);
}

void rec_item_addr(struct rec *rec, const struct addr *addr)
{
    if (begin_item(rec, ADDR_TEXT_MAX + 2))
        put_addr(rec, addr);
}

void rec_item_count(struct rec *rec, uint64_t value)
{
    if (begin_item(rec, 20))
        rec->at = number_put(rec->at, value);
}

void rec_set_end(struct rec *rec)
{
    assert(rec->in_set);
    rec->in_set = false;
    if (rec->json) {
        if (rec_room(rec, 1))
            *rec->at++ = ']';
    } else if (rec->set_first && rec_room(rec, 7)) {
        put_raw(rec, "(empty)", 7);
    }
}
