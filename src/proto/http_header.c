/* Header fields (RFC 9110 §5): finds the ones that say where the body ends, what the connection
 * does next, or what the log has a column for. The others are passed over.
 *
 *     Content-Range: bytes 0-499/1234
 *     name           value               blanks before the value are taken off, not those after it
 */
#include "proto/http_state.h"

enum field {
    FIELD_AUTHORIZATION,
    FIELD_CONNECTION,
    FIELD_CONTENT_DISPOSITION,
    FIELD_CONTENT_ENCODING,
    FIELD_CONTENT_LENGTH,
    FIELD_CONTENT_RANGE,
    FIELD_CONTENT_TRANSFER_ENCODING,
    FIELD_CONTENT_TYPE,
    FIELD_EXPECT,
    FIELD_HOST,
    FIELD_ORIGIN,
    FIELD_PROXY,
    FIELD_RANGE,
    FIELD_REFERER,
    FIELD_TRANSFER_ENCODING,
    FIELD_UPGRADE,
    FIELD_USER_AGENT,
    FIELD_NONE,
};

static const struct {
    struct str name; /* lower case */
    enum field field;
} fields[] = {
    {{"via", 3}, FIELD_PROXY},
    {{"host", 4}, FIELD_HOST},
    {{"range", 5}, FIELD_RANGE},
    {{"origin", 6}, FIELD_ORIGIN},
    {{"expect", 6}, FIELD_EXPECT},
    {{"referer", 7}, FIELD_REFERER},
    {{"upgrade", 7}, FIELD_UPGRADE},
    {{"forwarded", 9}, FIELD_PROXY},
    {{"client-ip", 9}, FIELD_PROXY},
    {{"connection", 10}, FIELD_CONNECTION},
    {{"user-agent", 10}, FIELD_USER_AGENT},
    {{"content-type", 12}, FIELD_CONTENT_TYPE},
    {{"content-range", 13}, FIELD_CONTENT_RANGE},
    {{"authorization", 13}, FIELD_AUTHORIZATION},
    {{"content-length", 14}, FIELD_CONTENT_LENGTH},
    {{"x-forwarded-for", 15}, FIELD_PROXY},
    {{"x-forwarded-from", 16}, FIELD_PROXY},
    {{"xroxy-connection", 16}, FIELD_PROXY},
    {{"proxy-connection", 16}, FIELD_PROXY},
    {{"content-encoding", 16}, FIELD_CONTENT_ENCODING},
    {{"transfer-encoding", 17}, FIELD_TRANSFER_ENCODING},
    {{"content-disposition", 19}, FIELD_CONTENT_DISPOSITION},
    {{"proxy-authorization", 19}, FIELD_AUTHORIZATION},
    {{"content-transfer-encoding", 25}, FIELD_CONTENT_TRANSFER_ENCODING},
};

/* Where the names of a length begin in the table, and how many there are. */
static const struct {
    uint8_t first, n;
} by_len[] = {
    [3] = {0, 1},   [4] = {1, 1},   [5] = {2, 1},   [6] = {3, 2},   [7] = {5, 2},
    [9] = {7, 2},   [10] = {9, 2},  [12] = {11, 1}, [13] = {12, 2}, [14] = {14, 1},
    [15] = {15, 1}, [16] = {16, 4}, [17] = {20, 1}, [19] = {21, 2}, [25] = {23, 1},
};

static enum field field_of(struct str name)
{
    if (name.len >= sizeof by_len / sizeof *by_len)
        return FIELD_NONE;
    size_t end = by_len[name.len].first + by_len[name.len].n;
    for (size_t i = by_len[name.len].first; i < end; i++)
        if (str_lower_char(name.at[0]) == fields[i].name.at[0] &&
            str_eq_nocase(name, fields[i].name))
            return fields[i].field;
    return FIELD_NONE;
}

static bool is_name_char(char c)
{
    return c >= 33 && c <= 126 && c != ':';
}

/* False: not "name: value". */
static bool split(struct str line, struct str *name, struct str *value)
{
    line = http_skip_blanks_comments(line);
    while (line.len > 0 && !is_name_char(line.at[0])) {
        struct str skipped = http_skip_blanks_comments(line);
        line = skipped.len < line.len ? skipped : str_from(line, 1);
    }
    uint32_t n = 0;
    while (n < line.len && is_name_char(line.at[n]))
        n++;
    *name = str_upto(line, n);
    struct str rest = http_skip_blanks_comments(str_from(line, n));
    if (n == 0 || rest.len == 0 || rest.at[0] != ':')
        return false;
    rest = str_from(rest, 1);
    while (rest.len > 0 && (rest.at[0] == ' ' || (rest.at[0] >= '\t' && rest.at[0] <= '\r')))
        rest = str_from(rest, 1);
    *value = rest;
    return true;
}

static struct str token(struct str value)
{
    struct str rest = value;
    return http_token(value, &rest);
}

static void weird(struct analysis *a, const char *name)
{
    analysis_weird(a, name, (struct str){0});
}

static void content_length(struct analysis *a, struct http_entity *e, struct str value)
{
    if (e->chunks != HTTP_NOT_CHUNKED)
        weird(a, "HTTP_content_length_and_chunked");
    struct str number = token(value);
    if (!str_set(number))
        return;
    int64_t n = http_number(number, 10);
    if (n < 0) {
        analysis_weird(a, "HTTP_bad_content_length", number);
        e->content_length = 0;
        return;
    }
    if (n > 0 && number.at[0] == '0')
        analysis_weird(a, "HTTP_content_length_leading_zeros", number);
    e->content_length = n;
    if (e->partial && e->range_length != n) {
        weird(a, "HTTP_range_not_matching_len");
        if (e->range_length > n)
            e->content_length = e->range_length;
    }
    if (n == 0 && e->expect_100)
        weird(a, "HTTP_content_length_0_and_expect_100_cont");
}

/* A number with a sign; false: none, or too large. */
static bool signed_number(struct str text, int64_t *out)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    int64_t n = http_number(negative ? str_from(text, 1) : text, 10);
    *out = negative ? -n : n;
    return n >= 0;
}

/* "0-499/1234", blanks taken out, into its three numbers; false: something is wrong, and said. */
static bool range_of(struct analysis *a, struct str range, int64_t *first, int64_t *last,
                     struct str *whole)
{
    const char *slash = range.len ? memchr(range.at, '/', range.len) : NULL;
    struct str span = slash ? str_upto(range, (size_t)(slash - range.at)) : range;
    const char *dash = slash && span.len ? memchr(span.at, '-', span.len) : NULL;
    if (!dash) {
        weird(a, "HTTP_content_range_cannot_parse");
        return false;
    }
    *whole = str_from(range, span.len + 1);
    size_t at = (size_t)(dash - span.at);
    const char *wrong = NULL;
    if (!signed_number(str_upto(span, at), first) || !signed_number(str_from(span, at + 1), last))
        wrong = "HTTP_content_range_cannot_parse";
    else if (*first < 0 || *last < 0)
        wrong = "HTTP_content_range_invalid";
    else if (*last < *first)
        wrong = "HTTP_non_positive_content_range";
    else if (*last - *first == INT64_MAX)
        wrong = "HTTP_content_range_overflow";
    if (wrong)
        analysis_weird(a, wrong, range);
    return !wrong;
}

static void content_range(struct analysis *a, struct http_entity *e, struct str value)
{
    char text[128];
    uint32_t n = 0;
    if (e->chunks != HTTP_NOT_CHUNKED)
        weird(a, "HTTP_content_range_and_chunked");
    struct str rest = value;
    struct str unit = http_token(value, &rest);
    if (!str_eq(unit, STR("bytes"))) {
        weird(a, "HTTP_content_range_unknown_byte_unit");
        return;
    }
    for (uint32_t i = 0; i < rest.len && n < sizeof text; i++)
        if (rest.at[i] != ' ')
            text[n++] = rest.at[i];
    int64_t first, last;
    struct str whole;
    if (!range_of(a, str_make(text, n), &first, &last, &whole))
        return;
    if (!str_eq(whole, STR("*")) && !signed_number(whole, &e->instance_length)) {
        analysis_weird(a, "HTTP_content_range_invalid_instance", str_make(text, n));
        e->instance_length = 0;
    }
    e->partial = true;
    e->offset = (uint64_t)first;
    e->range_length = last - first + 1;
    if (e->content_length > 0 && e->content_length != e->range_length)
        weird(a, "HTTP_range_not_matching_len");
    if (e->content_length <= 0 || e->range_length > e->content_length)
        e->content_length = e->range_length;
}

static void transfer_encoding(struct analysis *a, struct http_entity *e, struct str value)
{
    const struct http *h = http_of(a);
    if (e->depth > 0) {
        weird(a, "HTTP_nested_transfer_encoding_header");
        return;
    }
    const struct http_side *side = &h->side[h->side[FLOW_ORIG].ongoing ? FLOW_ORIG : FLOW_RESP];
    struct str rest = value;
    if (!str_eq_nocase(http_token(value, &rest), STR("chunked")))
        return;
    if (side->major != 1 || side->minor != 1)
        return;
    e->chunks = HTTP_BEFORE_CHUNK;
    if (rest.len > 0)
        analysis_weird(a, "HTTP_chunked_multi", rest);
    if (e->content_length >= 0)
        weird(a, "HTTP_content_length_and_chunked");
}

static void expect(struct analysis *a, struct http_entity *e, struct str value)
{
    struct str what = token(value);
    if (!str_eq_nocase(what, STR("100-continue")))
        analysis_weird(a, "HTTP_expect_not_100_continue", str_set(what) ? what : STR(""));
    e->expect_100 = true;
    if (e->content_length == 0)
        weird(a, "HTTP_content_length_0_and_expect_100_cont");
}

static void transfer_of_part(struct http_entity *e, struct str value)
{
    struct str what = token(value);
    if (str_eq_nocase(what, STR("quoted-printable")))
        e->transfer = HTTP_QUOTED;
    else if (str_eq_nocase(what, STR("base64")))
        e->transfer = HTTP_BASE64;
    else
        e->transfer = HTTP_BINARY;
}

static void content_encoding(struct http_entity *e, struct str value)
{
    struct str what = token(value);
    if (!e->was_compressed &&
        (str_eq_nocase(what, STR("gzip")) || str_eq_nocase(what, STR("x-gzip")) ||
         str_eq_nocase(what, STR("deflate"))))
        e->coding = HTTP_COMPRESSED;
}

static void set_text(struct analysis *a, struct str *kept, struct str value)
{
    pool_put(analysis_pool(a), (void *)(uintptr_t)kept->at, kept->len);
    char *copy = value.len ? pool_get(analysis_pool(a), value.len) : NULL;
    if (copy)
        memcpy(copy, value.at, value.len);
    *kept = copy ? str_make(copy, value.len) : (struct str){0};
}

static void content_type(struct analysis *a, struct http_entity *e, struct str value)
{
    struct str boundary = {0};
    if (http_content_type(value, e, &boundary) && str_set(boundary) && boundary.len > 0)
        set_text(a, &e->boundary, boundary);
    else if (e->content == HTTP_MULTIPART && !str_set(e->boundary))
        e->content = HTTP_OTHER;
}

static void connection(struct analysis *a, int dir, struct str value)
{
    struct http *h = http_of(a);
    struct str what = token(value);
    if (dir == FLOW_ORIG)
        h->keep_alive |= str_eq_nocase(what, STR("keep-alive"));
    else if (str_eq_nocase(what, STR("close")))
        h->connection_close = true;
    else if (str_eq_nocase(what, STR("upgrade")))
        h->upgrade = true;
}

/* The user's name; the password is not kept. */
static void authorization(struct http_trans *t, struct str value)
{
    if (!str_eq_nocase(str_upto(value, 6), STR("basic ")))
        return;
    struct str code = str_from(value, 6);
    while (code.len > 0 && (code.at[0] == ' ' || code.at[0] == '\t'))
        code = str_from(code, 1);
    struct str both = http_base64(&t->arena, code);
    const char *colon = both.len ? memchr(both.at, ':', both.len) : NULL;
    if (colon) {
        t->username = str_upto(both, (size_t)(colon - both.at));
        return;
    }
    char *text = arena_get(&t->arena, value.len + 22);
    if (!text)
        return;
    memcpy(text, "<problem-decoding> (", 20);
    memcpy(text + 20, value.at, value.len);
    text[20 + value.len] = ')';
    t->username = str_make(text, value.len + 21);
}

static void proxied(struct http_trans *t, struct str name, struct str value)
{
    if (!t->proxied)
        t->proxied = arena_get(&t->arena, HTTP_MAX_PROXIED * sizeof *t->proxied);
    if (!t->proxied || t->n_proxied == HTTP_MAX_PROXIED)
        return;
    size_t len = (size_t)name.len + 4 + value.len;
    char *text = arena_get(&t->arena, len);
    if (!text)
        return;
    for (uint32_t i = 0; i < name.len; i++)
        text[i] = name.at[i] >= 'a' && name.at[i] <= 'z' ? (char)(name.at[i] - 32) : name.at[i];
    memcpy(text + name.len, " -> ", 4);
    memcpy(text + name.len + 4, value.at, value.len);
    struct str item = str_make(text, len);
    for (uint8_t i = 0; i < t->n_proxied; i++)
        if (str_eq(t->proxied[i], item))
            return;
    t->proxied[t->n_proxied++] = item;
}

static void to_log(struct http_trans *t, int dir, enum field field, struct str name,
                   struct str value)
{
    if (field == FIELD_CONTENT_DISPOSITION || field == FIELD_CONTENT_TYPE) {
        if (t->has_entity && http_names_file(name, value))
            t->file_name = http_file_name(&t->arena, value);
        return;
    }
    if (dir == FLOW_RESP)
        return;
    if (field == FIELD_HOST)
        t->host = arena_str(&t->arena, value);
    else if (field == FIELD_REFERER)
        t->referrer = arena_str(&t->arena, value);
    else if (field == FIELD_USER_AGENT)
        t->user_agent = arena_str(&t->arena, value);
    else if (field == FIELD_ORIGIN)
        t->origin = arena_str(&t->arena, value);
    else if (field == FIELD_RANGE)
        t->range_request = true;
    else if (field == FIELD_AUTHORIZATION)
        authorization(t, value);
    else if (field == FIELD_PROXY)
        proxied(t, name, value);
}

/* A header with the lines that continue it. */
void http_header(struct analysis *a, int dir, struct http_entity *e, struct str line,
                 uint32_t n_lines)
{
    struct str name, value;
    if (!split(line, &name, &value))
        return;
    enum field field = field_of(name);
    if (e->depth == 0 && n_lines > 1)
        analysis_weird(a, "HTTP_obsolete_line_folding", name);
    if (field == FIELD_CONTENT_TYPE)
        content_type(a, e, value);
    else if (field == FIELD_CONTENT_TRANSFER_ENCODING)
        transfer_of_part(e, value);
    else if (field == FIELD_CONTENT_LENGTH)
        content_length(a, e, value);
    else if (field == FIELD_CONTENT_RANGE && http_of(a)->reply_code == 206)
        content_range(a, e, value);
    else if (field == FIELD_TRANSFER_ENCODING)
        transfer_encoding(a, e, value);
    else if (field == FIELD_CONTENT_ENCODING)
        content_encoding(e, value);
    else if (field == FIELD_EXPECT)
        expect(a, e, value);
    else if (field == FIELD_CONNECTION)
        connection(a, dir, value);
    else if (field == FIELD_UPGRADE && dir == FLOW_RESP)
        set_text(a, &http_of(a)->upgrade_protocol, token(value));
    struct http_trans *t = http_trans_now(a, dir);
    if (t && !t->has_entity)
        weird(a, "missing_HTTP_entity");
    if (t && field != FIELD_NONE)
        to_log(t, dir, field, name, value);
}
