/* Lines of tab-separated values. Where the tabs are is found for 64 bytes at once; only wanted
 * columns are looked at. */
#include "hunt/parse.h"

#include <errno.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct masks {
    uint64_t separators, newlines, slashes; /* bit i: of byte i */
};

#ifdef __SSE2__
static uint64_t equal_16(__m128i bytes, char c)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));
}

static struct masks masks_of(const char *at, char separator)
{
    struct masks m = {0};
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i * 16));
        m.separators |= equal_16(bytes, separator) << i * 16;
        m.newlines |= equal_16(bytes, '\n') << i * 16;
        m.slashes |= equal_16(bytes, '\\') << i * 16;
    }
    return m;
}
#else
static struct masks masks_of(const char *at, char separator)
{
    struct masks m = {0};
    for (int i = 0; i < 64; i++) {
        m.separators |= (uint64_t)(at[i] == separator) << i;
        m.newlines |= (uint64_t)(at[i] == '\n') << i;
        m.slashes |= (uint64_t)(at[i] == '\\') << i;
    }
    return m;
}
#endif

/* Where one line's columns end. */
struct line {
    const char *at;
    uint32_t ends[COLUMNS_MAX + 1];
    uint32_t n; /* may be more than have a place in `ends` */
    bool escaped;
};

static bool is_mark(struct str value, const char *mark, size_t len)
{
    return value.len == len && (len == 0 || value.at[0] == mark[0]) &&
           memcmp(value.at, mark, len) == 0;
}

static bool take_list(struct parse *parse, const struct columns *columns, const struct field *field,
                      struct str list, bool escaped)
{
    if (!parse_list_begin(parse, field))
        return true;
    for (bool more = true; more;) {
        const char *end = memchr(list.at, columns->set_separator, list.len);
        more = end != NULL;
        struct str element = end ? str_upto(list, (size_t)(end - list.at)) : list;
        parse_list_add(parse, field, element, escaped);
        if (more)
            list = str_from(list, element.len + 1);
    }
    return true;
}

static bool take_line(struct parse *parse, const struct columns *columns, const struct line *line)
{
    for (unsigned i = 0; i < columns->n_wanted; i++) {
        unsigned column = columns->wanted[i].column;
        if (column >= line->n)
            break;
        uint32_t start = column ? line->ends[column - 1] + 1 : 0;
        struct str value = str_make(line->at + start, line->ends[column] - start);
        if (is_mark(value, columns->unset, columns->unset_len) ||
            is_mark(value, columns->empty, columns->empty_len))
            continue;
        const struct field *field = &parse->fields->at[columns->wanted[i].field];
        bool escaped = line->escaped && memchr(value.at, '\\', value.len);
        if (parse_is_list(field)) {
            if (!take_list(parse, columns, field, value, escaped))
                return false;
            continue;
        }
        if (escaped)
            value = parse_text(parse, value);
        if (!parse_value(parse, field, value))
            return false;
    }
    return true;
}

/* 1: it is the header's. */
static int end_line(struct columns *columns, struct parse *parse, struct line *line, size_t size,
                    struct err *err)
{
    struct parsed *out = parse->out;
    out->n_physical++;
    if (size && line->at[0] == '#')
        return 1;
    if (size && line->at[size - 1] == '\r') {
        size--;
        if (line->n <= COLUMNS_MAX)
            line->ends[line->n - 1] = (uint32_t)size;
    }
    if (size == 0)
        return 0;
    if (!columns->named)
        return err_set(err, -EINVAL, "its header has no #fields line");
    out->n_lines++;
    if (size > HUNT_LINE_MAX) {
        out->n_long++;
        (void)parse_bad(parse, NULL, "is longer than a mebibyte");
        out->n_bad--;
        return 0;
    }
    /* A last column that is missing is unset: some shippers and scripts lose it. */
    if (line->n != columns->n && (line->n + 1 != columns->n || columns->strict)) {
        (void)parse_bad(parse, NULL,
                        line->n < columns->n ? "has too few columns" : "has too many columns");
        return 0;
    }
    if (!parse_begin(parse))
        return err_set(err, -ENOMEM, "no memory for lines of a log");
    if (take_line(parse, columns, line))
        (void)parse_end(parse);
    return 0;
}

/* Up to the end, or behind a header line that changed the separator; gives how far it came. */
static long some_lines(struct columns *columns, struct parse *parse, struct line *line,
                       const char *text, size_t size, struct err *err)
{
    char tail[64] = {0};
    char separator = columns->separator;
    *line = (struct line){.at = text};
    for (size_t base = 0; base < size; base += 64) {
        const char *at = text + base;
        if (size - base < 64) {
            memcpy(tail, at, size - base);
            at = tail;
        }
        struct masks m = masks_of(at, separator);
        line->escaped |= m.slashes != 0;
        for (uint64_t both = m.separators | m.newlines; both; both &= both - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(both);
            size_t stop = base + bit;
            if (stop >= size)
                break; /* the padding, if NUL is the separator */
            if (line->n <= COLUMNS_MAX)
                line->ends[line->n] = (uint32_t)(text + stop - line->at);
            line->n++;
            if (!(m.newlines >> bit & 1))
                continue;
            size_t line_size = (size_t)(text + stop - line->at);
            int result = end_line(columns, parse, line, line_size, err);
            if (result > 0) {
                struct str header = str_make(line->at, line_size);
                result = columns_header(columns, parse->fields, header, err);
                if (result == 0 && columns->separator != separator)
                    return (long)stop + 1;
            }
            if (result < 0)
                return result;
            line->at = text + stop + 1;
            line->n = 0;
            line->escaped = m.slashes != 0;
        }
    }
    return (long)size;
}

int tsv_lines(struct columns *columns, struct parse *parse, const char *text, size_t size,
              struct err *err)
{
    struct line line;
    size_t at = 0;
    while (at < size) {
        long n = some_lines(columns, parse, &line, text + at, size - at, err);
        if (n < 0)
            return (int)n;
        at += (size_t)n;
    }
    return 0;
}
