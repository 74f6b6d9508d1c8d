/* Messages: request and reply lines (RFC 9112 §3, §4), where a message begins, and that it ends.
 * What passes for a request is as lenient as in Zeek.
 *
 *     GET /path?query HTTP/1.1        method, URI, version; without a version it is HTTP/0.9
 *     HTTP/1.1 200 OK                 version, code, reason
 */
#include "proto/http_state.h"

/* What a byte may stand in. */
enum { IN_METHOD = 1, IN_URI = 2 };

/* Of a method all but separators; of a URI what RFC 3986 has, '%', and a NUL as in Zeek. */
static const uint8_t chars[256] = {
    [0] = 2,   ['!'] = 3,  ['"'] = 0, ['#'] = 3, ['$'] = 3,         ['%'] = 3,
    ['&'] = 3, ['\''] = 3, ['('] = 2, [')'] = 2, ['*'] = 3,         ['+'] = 3,
    [','] = 2, ['-'] = 3,  ['.'] = 3, ['/'] = 2, ['0' ... '9'] = 3, [':'] = 2,
    [';'] = 2, ['='] = 2,  ['?'] = 2, ['@'] = 2, ['A' ... 'Z'] = 3, ['['] = 2,
    [']'] = 2, ['^'] = 1,  ['_'] = 3, ['`'] = 1, ['a' ... 'z'] = 3, ['|'] = 1,
    ['~'] = 3,
};

static bool is_method_char(char c)
{
    return chars[(uint8_t)c] & IN_METHOD;
}

static bool is_uri_char(char c)
{
    return chars[(uint8_t)c] & IN_URI;
}

static struct str skip_blanks(struct str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = str_from(s, 1);
    return s;
}

static void weird(struct analysis *a, const char *name)
{
    analysis_weird(a, name, (struct str){0});
}

/* "HTTP/"; in small letters it is said, and goes as well. */
static bool is_http_slash(struct analysis *a, struct str s)
{
    if (!str_eq_nocase(str_upto(s, 5), STR("http/")))
        return false;
    if (!str_starts(s, STR("HTTP/")))
        weird(a, "lowercase_HTTP_keyword");
    return true;
}

static void set_version(struct analysis *a, int dir, uint8_t major, uint8_t minor)
{
    struct http_side *side = &http_of(a)->side[dir];
    if ((side->major || side->minor) && (side->major != major || side->minor != minor))
        weird(a, "HTTP_version_mismatch");
    side->major = major;
    side->minor = minor;
    if (major > 1 || (major == 1 && minor > 0))
        http_of(a)->keep_alive = true;
}

/* What follows "HTTP/": a digit, a dot and a digit; else it is 0.0. */
static void read_version(struct analysis *a, int dir, struct str s)
{
    bool good = s.len >= 3 && s.at[0] >= '0' && s.at[0] <= '9' && s.at[1] == '.' &&
                s.at[2] >= '0' && s.at[2] <= '9';
    set_version(a, dir, good ? (uint8_t)(s.at[0] - '0') : 0, good ? (uint8_t)(s.at[2] - '0') : 0);
}

/* The URI, and the version into the side. */
static struct str read_uri(struct analysis *a, struct str rest)
{
    uint32_t n = 0;
    while (n < rest.len && is_uri_char(rest.at[n]))
        n++;
    if (is_http_slash(a, rest) && n == rest.len) {
        weird(a, "missing_HTTP_uri");
        n = 0;
    }
    struct str version = str_from(rest, n);
    for (; version.len > 0; version = str_from(version, 1)) {
        n = rest.len - version.len;
        version = skip_blanks(version);
        if (is_http_slash(a, version))
            break;
    }
    if (version.len == 0)
        set_version(a, FLOW_ORIG, 0, 9);
    else if (version.len >= 8)
        read_version(a, FLOW_ORIG, str_from(version, 5));
    return str_upto(rest, n);
}

/* False: no request line. */
static bool read_request(struct analysis *a, struct str line, struct str *method, struct str *uri)
{
    uint32_t n = 0;
    while (n < line.len && is_method_char(line.at[n]))
        n++;
    *method = str_upto(line, n);
    if (n == 0 && line.len >= 9 &&
        str_eq_nocase(str_make(line.at + line.len - 9, 6), STR(" HTTP/"))) {
        weird(a, "bad_HTTP_request_with_version");
        return false;
    }
    struct str rest = skip_blanks(str_from(line, n));
    bool good = n > 0 && rest.len < line.len - n;
    if (good) {
        *uri = read_uri(a, rest);
        const struct http_side *side = &http_of(a)->side[FLOW_ORIG];
        if (side->major == 0 && side->minor == 9)
            good = method->len >= 3 && uri->len > 0;
    }
    if (!good)
        weird(a, "bad_HTTP_request");
    return good;
}

/* Zeek compares as many characters as the method has. */
static bool begins_method(struct str whole, struct str method)
{
    return method.len <= whole.len && str_eq_nocase(str_upto(whole, method.len), method);
}

void http_message_free(struct analysis *a, int dir)
{
    struct http_message *m = &http_of(a)->side[dir].message;
    if (!m->exists)
        return;
    http_inflate_end(a, &m->top);
    for (struct http_entity *e = m->top.child; e;) {
        struct http_entity *child = e->child;
        http_inflate_end(a, e);
        http_entity_end_file(a, e, dir == FLOW_RESP);
        pool_put(analysis_pool(a), (void *)(uintptr_t)e->boundary.at, e->boundary.len);
        pool_put(analysis_pool(a), e, sizeof *e);
        e = child;
    }
    http_entity_end_file(a, &m->top, dir == FLOW_RESP);
    pool_put(analysis_pool(a), (void *)(uintptr_t)m->top.boundary.at, m->top.boundary.len);
    m->exists = false;
    m->current = NULL;
    m->top = (struct http_entity){0};
}

static void begin_message(struct analysis *a, int dir, enum http_expect expect)
{
    struct http_side *side = &http_of(a)->side[dir];
    struct http_message *m = &side->message;
    if (m->exists && !m->done)
        weird(a, "HTTP_overlapping_messages");
    http_message_free(a, dir);
    buf_drop(&side->header, buf_size(&side->header));
    side->n_folds = 0;
    m->exists = true;
    m->done = false;
    http_entity_init(&m->top, NULL, expect);
    m->current = &m->top;
    http_entity_say_began(a, dir);
}

void http_message_done(struct analysis *a, int dir)
{
    struct http_message *m = &http_of(a)->side[dir].message;
    if (!m->exists || m->done)
        return;
    m->done = true;
    http_entity_end(a, dir, &m->top);
    http_trans_done(a, dir, (uint64_t)m->top.body_length);
    if (dir == FLOW_ORIG)
        http_request_made(a, false);
    else
        http_reply_made(a, false);
}

void http_request_made(struct analysis *a, bool interrupted)
{
    struct http_side *side = &http_of(a)->side[FLOW_ORIG];
    if (!side->ongoing)
        return;
    side->ongoing = false;
    http_message_done(a, FLOW_ORIG);
    side->state = interrupted ? HTTP_EXPECT_NOTHING : HTTP_EXPECT_LINE;
}

static void forget_waiting(struct http *h)
{
    if (h->n_waiting == 0)
        return;
    h->n_waiting--;
    h->first_waiting++;
}

void http_reply_made(struct analysis *a, bool interrupted)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[FLOW_RESP];
    if (!side->ongoing)
        return;
    side->ongoing = false;
    http_message_done(a, FLOW_RESP);
    if (h->reply_code < 100 || h->reply_code >= 200)
        forget_waiting(h);
    if (h->reply_code == 101 && h->n_waiting == 1 && h->upgrade && h->upgrade_protocol.len > 0)
        http_tunnel_start(a, h->upgrade_protocol);
    h->reply_code = 0;
    h->upgrade = false;
    pool_put(analysis_pool(a), (void *)(uintptr_t)h->upgrade_protocol.at, h->upgrade_protocol.len);
    h->upgrade_protocol = (struct str){0};
    side->state = interrupted || h->tunnel ? HTTP_EXPECT_NOTHING : HTTP_EXPECT_LINE;
}

/* HTTP/0.9: the reply is a body and nothing else. */
static void expect_09(struct analysis *a, struct str method)
{
    struct http_side *reply = &http_of(a)->side[FLOW_RESP];
    if (!str_eq(method, STR("GET")))
        analysis_weird(a, "invalid_http_09_request_method", method);
    if (reply->message.exists) {
        weird(a, "http_09_reply_before_request");
        http_message_done(a, FLOW_RESP);
        http_message_free(a, FLOW_RESP);
    }
    reply->state = HTTP_EXPECT_09;
    reply->lines_off = true;
}

static bool request_line(struct analysis *a, struct str line)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[FLOW_ORIG];
    struct str method, uri;
    if (!read_request(a, line, &method, &uri)) {
        if (h->n_requests > 0 && !h->keep_alive)
            return true;
        if (line.len == 0) {
            weird(a, "empty_http_request");
            return true;
        }
        side->state = HTTP_EXPECT_NOTHING;
        return !a->confirmed || !analysis_violation(a, "not a http request line");
    }
    if (++h->n_requests > 1 && !h->keep_alive)
        weird(a, "unexpected_multiple_HTTP_requests");
    side->state = HTTP_EXPECT_MESSAGE;
    side->ongoing = true;
    if (h->n_waiting < HTTP_MAX_METHODS)
        h->waiting_head[(h->first_waiting + h->n_waiting++) % HTTP_MAX_METHODS] =
            begins_method(STR("HEAD"), method);
    analysis_confirm(a);
    if (begins_method(STR("CONNECT"), method))
        h->connect = true;
    http_trans_request(a, method, uri);
    begin_message(a, FLOW_ORIG, HTTP_MAYBE_BODY);
    if (side->major == 0 && side->minor == 9)
        expect_09(a, method);
    return true;
}

/* False: no reply line. */
static bool read_reply(struct analysis *a, struct str line)
{
    struct http *h = http_of(a);
    if (!is_http_slash(a, line))
        return false;
    struct str rest = str_from(line, 5);
    read_version(a, FLOW_RESP, rest);
    while (rest.len > 0 && rest.at[0] != ' ' && rest.at[0] != '\t')
        rest = str_from(rest, 1);
    rest = skip_blanks(rest);
    if (rest.len < 3)
        return false;
    h->reply_code = 0;
    bool digits = true;
    for (uint32_t i = 0; i < 3; i++) {
        digits &= rest.at[i] >= '0' && rest.at[i] <= '9';
        h->reply_code = (uint16_t)(h->reply_code * 10 + (rest.at[i] - '0'));
    }
    if (!digits)
        h->reply_code = 0;
    rest = str_from(rest, 3);
    while (rest.len > 0 && rest.at[0] != ' ' && rest.at[0] != '\t')
        rest = str_from(rest, 1);
    h->reason = rest.len > 0 ? skip_blanks(rest) : (struct str){0};
    return true;
}

static enum http_expect reply_body(const struct http *h)
{
    if (h->n_waiting > 0 && h->waiting_head[h->first_waiting % HTTP_MAX_METHODS])
        return HTTP_NO_BODY;
    bool none = (h->reply_code >= 100 && h->reply_code < 200) || h->reply_code == 204 ||
                h->reply_code == 304;
    return none ? HTTP_NO_BODY : HTTP_BODY;
}

static void begin_reply(struct analysis *a)
{
    struct http *h = http_of(a);
    h->side[FLOW_RESP].ongoing = true;
    http_trans_reply(a);
    h->reason = (struct str){0};
}

static bool reply_line(struct analysis *a, struct str line)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[FLOW_RESP];
    if (!read_reply(a, line)) {
        if (line.len == 0)
            return true;
        side->state = HTTP_EXPECT_NOTHING;
        return !a->confirmed || !analysis_violation(a, "not a http reply line");
    }
    h->n_replies++;
    if (h->n_waiting > 0)
        analysis_confirm(a);
    side->state = HTTP_EXPECT_MESSAGE;
    begin_reply(a);
    if (h->reply_code != 200)
        h->connect = false;
    begin_message(a, FLOW_RESP, reply_body(h));
    return true;
}

bool http_line(struct analysis *a, int dir, struct str line)
{
    struct http *h = http_of(a);
    switch ((enum http_expect_line)h->side[dir].state) {
    case HTTP_EXPECT_LINE:
        return dir == FLOW_ORIG ? request_line(a, line) : reply_line(a, line);
    case HTTP_EXPECT_MESSAGE:
        http_entity_deliver(a, dir, line, true);
        if (dir == FLOW_RESP && h->connect && line.len == 0 && !h->tunnel)
            http_tunnel_start(a, (struct str){0});
        return true;
    case HTTP_EXPECT_NOTHING:
    case HTTP_EXPECT_09:
        return true;
    }
    return true;
}

/* Bytes of a body whose length is known. */
void http_plain(struct analysis *a, int dir, struct str bytes)
{
    if (http_of(a)->side[dir].message.exists)
        http_entity_deliver(a, dir, bytes, false);
    else
        weird(a, dir == FLOW_ORIG ? "unexpected_client_HTTP_data" : "unexpected_server_HTTP_data");
}

/* Bytes of an HTTP/0.9 reply. */
void http_raw(struct analysis *a, struct str bytes)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[FLOW_RESP];
    if (!side->message.exists) {
        set_version(a, FLOW_RESP, 0, 9);
        if (h->n_waiting > 0) {
            analysis_confirm(a);
            forget_waiting(h);
        }
        h->connection_close = true;
        begin_reply(a);
        begin_message(a, FLOW_RESP, reply_body(h));
        http_entity_deliver(a, FLOW_RESP, STR(""), true);
    }
    http_entity_deliver(a, FLOW_RESP, bytes, false);
}
