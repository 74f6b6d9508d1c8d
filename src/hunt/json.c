/* Lines of JSON, one flat object each. What is nested is passed over, to a depth that is bounded;
 * the values that are wanted are found by their names. */
#include "hunt/parse.h"

#include <errno.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define DEPTH_MAX 32

struct json {
    const char *at, *end; /* of the line */
};

static inline void skip_space(struct json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

static inline bool take_char(struct json *j, char c)
{
    skip_space(j);
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

/* The first quote or backslash; the end, if there is none. */
static const char *find_quote(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash));
        int mask = _mm_movemask_epi8(hit);
        if (mask)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* What stands between quotes, behind the first of them. */
static bool take_string(struct json *j, struct str *out, bool *out_escaped)
{
    const char *start = j->at;
    *out_escaped = false;
    for (;;) {
        j->at = find_quote(j->at, j->end);
        if (j->at == j->end)
            return false;
        if (*j->at == '"')
            break;
        *out_escaped = true;
        if (j->end - j->at < 2)
            return false;
        j->at += 2;
    }
    *out = str_make(start, (size_t)(j->at - start));
    j->at++;
    return true;
}

/* A number, true, false, null. */
static bool take_bare(struct json *j, struct str *out)
{
    const char *start = j->at;
    while (j->at < j->end && *j->at != ',' && *j->at != '}' && *j->at != ']' && *j->at != ' ' &&
           *j->at != '\t' && *j->at != '\r' && *j->at != '"' && *j->at != '{' && *j->at != '[')
        j->at++;
    *out = str_make(start, (size_t)(j->at - start));
    return out->len > 0;
}

static bool is_null(struct str bare)
{
    return str_eq(bare, STR("null"));
}

/* An object or a list, from its bracket on. */
static bool skip_nested(struct json *j)
{
    char closing[DEPTH_MAX];
    int depth = 0;
    struct str text;
    bool escaped;
    do {
        if (j->at == j->end)
            return false;
        char c = *j->at++;
        if (c == '"') {
            if (!take_string(j, &text, &escaped))
                return false;
        } else if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return false;
            closing[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (closing[--depth] != c)
                return false;
        }
    } while (depth > 0);
    return true;
}

/* Behind the '['. Elements that are objects or lists are passed over; `field` NULL: all are. */
static bool take_list(struct json *j, struct parse *parse, const struct field *field)
{
    bool wanted = field && parse_is_list(field) && parse_list_begin(parse, field);
    if (take_char(j, ']'))
        return true;
    do {
        struct str value;
        bool escaped = false, text = false;
        skip_space(j);
        if (j->at < j->end && *j->at == '"') {
            j->at++;
            if (!take_string(j, &value, &escaped))
                return false;
            text = true;
        } else if (j->at < j->end && (*j->at == '{' || *j->at == '[')) {
            if (!skip_nested(j))
                return false;
            continue;
        } else if (!take_bare(j, &value)) {
            return false;
        }
        if (wanted && (text || !is_null(value)))
            parse_list_add(parse, field, value, escaped);
    } while (take_char(j, ','));
    return take_char(j, ']');
}

/* Behind the ':'. */
enum taken { TAKEN, NOT_JSON, REFUSED };
static enum taken take_value(struct json *j, struct parse *parse, const struct field *field)
{
    struct str value;
    bool escaped = false;
    skip_space(j);
    if (j->at == j->end)
        return NOT_JSON;
    if (*j->at == '"') {
        j->at++;
        if (!take_string(j, &value, &escaped))
            return NOT_JSON;
    } else if (*j->at == '[') {
        j->at++;
        return take_list(j, parse, field) ? TAKEN : NOT_JSON;
    } else if (*j->at == '{') {
        return skip_nested(j) ? TAKEN : NOT_JSON;
    } else if (!take_bare(j, &value)) {
        return NOT_JSON;
    } else if (is_null(value)) {
        return TAKEN;
    }
    if (!field)
        return TAKEN;
    if (parse_is_list(field)) {
        /* A single value is a list of one. */
        if (parse_list_begin(parse, field))
            parse_list_add(parse, field, value, escaped);
        return TAKEN;
    }
    if (escaped)
        value = parse_text(parse, value);
    return parse_value(parse, field, value) ? TAKEN : REFUSED;
}

static bool take_line(struct parse *parse, const char *line, const char *end)
{
    struct json j = {line, end};
    if (!take_char(&j, '{'))
        return parse_bad(parse, NULL, "is no JSON object");
    if (!take_char(&j, '}')) {
        do {
            struct str key;
            bool escaped;
            if (!take_char(&j, '"') || !take_string(&j, &key, &escaped) || !take_char(&j, ':'))
                return parse_bad(parse, NULL, "is no whole JSON object");
            const struct field *field = fields_find(parse->fields, key.at, key.len);
            enum taken taken = take_value(&j, parse, field);
            if (taken == NOT_JSON)
                return parse_bad(parse, NULL, "is no whole JSON object");
            if (taken == REFUSED)
                return false;
        } while (take_char(&j, ','));
        if (!take_char(&j, '}'))
            return parse_bad(parse, NULL, "is no whole JSON object");
    }
    skip_space(&j);
    if (j.at != end)
        return parse_bad(parse, NULL, "goes on behind its JSON object");
    return parse_end(parse);
}

int json_lines(struct parse *parse, const char *text, size_t size, struct err *err)
{
    struct parsed *out = parse->out;
    const char *at = text, *end = text + size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        const char *line = at;
        at = stop < end ? stop + 1 : end;
        out->n_physical++;
        while (line < stop && (*line == ' ' || *line == '\t' || *line == '\r'))
            line++;
        if (line == stop)
            continue;
        out->n_lines++;
        if (stop - line > HUNT_LINE_MAX) {
            out->n_long++;
            (void)parse_bad(parse, NULL, "is longer than a mebibyte");
            out->n_bad--;
            continue;
        }
        if (!parse_begin(parse))
            return err_set(err, -ENOMEM, "no memory for lines of a log");
        (void)take_line(parse, line, stop);
    }
    return 0;
}
