/* HTTP/0.9 to 1.1 (RFC 9110, 9112): the analyzer. Here the stream is cut into lines, and into
 * pieces of bodies of a known length, which go through uncut; see http_state.h for the rest.
 *
 *     GET /index.html HTTP/1.1 CRLF        line
 *     Host: example.com CRLF               line
 *     Content-Length: 5 CRLF               line
 *     CRLF                                 line
 *     hello                                five plain bytes
 *
 * A line that lies in one piece is looked at where it lies. A line ends with CR LF, and also with
 * CR or LF alone, but within the parts of a multipart body only with CR LF. */
#include "proto/http_state.h"

#include "flow/weird.h"

static const struct str probe_methods[] = {
    {"GET", 3},
    {"POST", 4},
    {"HEAD", 4},
    {"PUT", 3},
    {"OPTIONS", 7},
    {"DELETE", 6},
    {"ACL", 3},
    {"BASELINE-CONTROL", 16},
    {"BIND", 4},
    {"CHECKIN", 7},
    {"CHECKOUT", 8},
    {"CONNECT", 7},
    {"COPY", 4},
    {"LABEL", 5},
    {"LINK", 4},
    {"LOCK", 4},
    {"MERGE", 5},
    {"MKACTIVITY", 10},
    {"MKCALENDAR", 10},
    {"MKCOL", 5},
    {"MKREDIRECTREF", 13},
    {"MOVE", 4},
    {"ORDERPATCH", 10},
    {"PATCH", 5},
    {"PROPFIND", 8},
    {"PROPPATCH", 9},
    {"REBIND", 6},
    {"REPORT", 6},
    {"SEARCH", 6},
    {"TRACE", 5},
    {"UNBIND", 6},
    {"UNCHECKOUT", 10},
    {"UNLINK", 6},
    {"UNLOCK", 6},
    {"UPDATE", 6},
    {"VERSION-CONTROL", 15},
    {"BCOPY", 5},
    {"BDELETE", 7},
    {"BMOVE", 5},
    {"BPROPFIND", 9},
    {"BPROPPATCH", 10},
    {"NOTIFY", 6},
    {"POLL", 4},
    {"SUBSCRIBE", 9},
    {"UNSUBSCRIBE", 11},
    {"X-MS-ENUMATTS", 13},
    {"MKWORKSPACE", 11},
    {"RPC_IN_DATA", 11},
    {"RPC_OUT_DATA", 12},
};

static enum analyzer_match match_request(struct str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || (s.at[0] >= '\t' && s.at[0] <= '\r')))
        s = str_from(s, 1);
    enum analyzer_match answer = s.len == 0 ? MATCH_MORE : MATCH_NO;
    for (size_t i = 0; i < sizeof probe_methods / sizeof *probe_methods; i++) {
        struct str m = probe_methods[i];
        if (str_starts(s, m))
            return MATCH_YES;
        if (s.len < m.len && str_starts(m, s))
            answer = MATCH_MORE;
    }
    return answer;
}

static enum analyzer_match match_reply(struct str s)
{
    if (!str_eq_nocase(str_upto(s, 5), str_upto(STR("http/"), s.len)))
        return MATCH_NO;
    if (s.len < 6)
        return MATCH_MORE;
    return s.at[5] >= '0' && s.at[5] <= '9' ? MATCH_YES : MATCH_NO;
}

static enum analyzer_match match(const struct probe *probe)
{
    if (!probe->is_tcp)
        return MATCH_NO;
    enum analyzer_match request = match_request(probe->data[FLOW_ORIG]);
    enum analyzer_match reply = match_reply(probe->data[FLOW_RESP]);
    return request > reply ? request : reply;
}

/* The rest of a delivery: what is left after the line or piece at hand. */
static void look_ahead(struct http_side *side, const struct reader *r)
{
    side->remaining = rd_left(r);
    side->next_known = side->remaining > 0;
    side->next = rd_peek_u8(r, 0);
}

/* Hands on a line, with what was kept of it before. */
static bool emit(struct analysis *a, int dir, struct str line, const struct reader *r)
{
    struct http_side *side = &http_of(a)->side[dir];
    look_ahead(side, r);
    if (buf_size(&side->line) == 0)
        return http_line(a, dir, line);
    bool fits = buf_add(&side->line, analysis_pool(a), line.at, line.len, HTTP_MAX_LINE);
    if (!fits)
        weird_flow(a->context, a->flow, "contentline_size_exceeded", (struct str){0},
                   "CONTENTLINE");
    struct buf whole = side->line;
    side->line = (struct buf){0};
    bool goes_on = http_line(a, dir, str_make(buf_at(&whole), buf_size(&whole)));
    buf_drop(&whole, buf_size(&whole));
    if (buf_size(&side->line) == 0) {
        buf_done(&side->line, analysis_pool(a));
        side->line = whole; /* its memory is used again */
    } else {
        buf_done(&whole, analysis_pool(a));
    }
    return goes_on;
}

/* The end of the line has not come. */
static bool keep(struct analysis *a, int dir, struct reader *r)
{
    struct http_side *side = &http_of(a)->side[dir];
    size_t size = rd_left(r);
    const uint8_t *bytes = rd_bytes(r, size);
    if (size == 0 || buf_add(&side->line, analysis_pool(a), bytes, size, HTTP_MAX_LINE))
        return true;
    /* Too long for a line: what there is goes on as one. */
    return emit(a, dir, str_make(bytes, size), r);
}

/* A line that only CR LF ends. */
static bool cut_crlf(struct analysis *a, int dir, struct reader *r)
{
    struct http_side *side = &http_of(a)->side[dir];
    const uint8_t *start = r->at;
    struct reader scan = *r;
    while (rd_left(&scan) > 0) {
        const uint8_t *lf = memchr(scan.at, '\n', rd_left(&scan));
        if (!lf)
            break;
        size_t n = (size_t)(lf - start);
        size_t kept = buf_size(&side->line);
        bool cr_before = n > 0 ? lf[-1] == '\r' : kept > 0 && buf_at(&side->line)[kept - 1] == '\r';
        if (cr_before) {
            if (n == 0)
                side->line.end--; /* the CR came before */
            rd_skip(r, n + 1);
            return emit(a, dir, str_make(start, n > 0 ? n - 1 : 0), r);
        }
        rd_skip(&scan, (size_t)(lf - scan.at) + 1);
    }
    return keep(a, dir, r);
}

/* A line that CR LF, CR or LF ends. */
static bool cut_any(struct analysis *a, int dir, struct reader *r)
{
    struct http_side *side = &http_of(a)->side[dir];
    const uint8_t *start = r->at;
    size_t left = rd_left(r);
    const uint8_t *lf = memchr(start, '\n', left);
    size_t n = lf ? (size_t)(lf - start) : left;
    const uint8_t *cr = n > 0 ? memchr(start, '\r', n) : NULL;
    if (!lf && !cr)
        return keep(a, dir, r);
    if (!cr) {
        rd_skip(r, n + 1);
        return emit(a, dir, str_make(start, n), r);
    }
    size_t line = (size_t)(cr - start);
    bool crlf = lf && line + 1 == n;
    rd_skip(r, line + (crlf ? 2 : 1));
    side->after_cr = !crlf;
    return emit(a, dir, str_make(start, line), r);
}

/* A CR that ended a line: its LF may still come, and anything else is worth a word. */
static void after_cr(struct analysis *a, struct http_side *side, struct reader *r)
{
    struct http *h = http_of(a);
    uint8_t next = rd_peek_u8(r, 0);
    if (next == '\n' && (!side->only_crlf || buf_size(&side->line) == 0)) {
        rd_skip(r, 1);
    } else if (next != '\r' && side->plain == 0 && !side->only_crlf && !h->cr_weird) {
        h->cr_weird = true;
        weird_flow(a->context, a->flow, "line_terminated_with_single_CR", (struct str){0},
                   "CONTENTLINE");
    }
    side->after_cr = false;
}

static bool cut(struct analysis *a, int dir, struct reader *r)
{
    struct http_side *side = &http_of(a)->side[dir];
    while (rd_left(r) > 0 && !side->skip) {
        if (http_of(a)->tunnel) {
            http_tunnel_data(a, dir, r->at, rd_left(r));
            return true;
        }
        if (side->lines_off) {
            http_raw(a, str_make(r->at, rd_left(r)));
            return true;
        }
        if (side->after_cr) {
            after_cr(a, side, r);
            continue;
        }
        if (side->plain > 0) {
            size_t n = rd_left(r);
            n = (int64_t)n < side->plain ? n : (size_t)side->plain;
            side->plain -= (int64_t)n;
            const uint8_t *bytes = rd_bytes(r, n);
            look_ahead(side, r);
            http_plain(a, dir, str_make(bytes, n));
        } else if (!(side->only_crlf ? cut_crlf(a, dir, r) : cut_any(a, dir, r))) {
            return false;
        }
    }
    return true;
}

static void start(struct analysis *a)
{
    struct http *h = http_of(a);
    for (int dir = 0; dir < 2; dir++)
        h->side[dir].announced = -1;
}

static void data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct http_side *side = &http_of(a)->side[dir];
    if (side->skip || a->flow->partial)
        return;
    if (side->announced > 0)
        side->announced -= (int64_t)size;
    struct reader r = rd_make(bytes, size);
    if (!cut(a, dir, &r))
        return;
    if (side->announced != 0)
        return;
    side->announced = -1;
    if (buf_size(&side->line) == 0)
        return;
    weird_flow(a->context, a->flow, "line_terminated_without_CRLF", (struct str){0}, "CONTENTLINE");
    r = rd_make("\r\n", 2);
    (void)cut(a, dir, &r);
}

static void gap(struct analysis *a, int dir, uint64_t size)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[dir];
    if (h->tunnel) {
        http_tunnel_gap(a, dir, size);
        return;
    }
    if (side->skip)
        return;
    if (side->message.exists && http_entity_gap(a, dir, size))
        return;
    /* Whether a reply has a body depends on its request: without one, stop with both. */
    if (dir == FLOW_ORIG)
        http_request_made(a, true);
    http_reply_made(a, true);
    side->skip = true;
}

static void fin(struct analysis *a, int dir)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[dir];
    if (buf_size(&side->line) > 0 && !side->lines_off && !h->tunnel) {
        struct reader r = rd_make("\n", 1);
        if (!cut(a, dir, &r))
            return;
    }
    if (dir == FLOW_ORIG)
        http_request_made(a, false);
    else
        http_reply_made(a, false);
}

static void end(struct analysis *a)
{
    struct http *h = http_of(a);
    http_request_made(a, true);
    http_reply_made(a, true);
    for (int dir = 0; dir < 2; dir++) {
        http_message_free(a, dir);
        buf_done(&h->side[dir].line, analysis_pool(a));
        buf_done(&h->side[dir].header, analysis_pool(a));
    }
    file_forget(a);
    http_trans_log_all(a);
    http_tunnel_end(a);
    pool_put(analysis_pool(a), (void *)(uintptr_t)h->upgrade_protocol.at, h->upgrade_protocol.len);
    h->upgrade_protocol = (struct str){0};
}

const struct analyzer analyzer_http = {
    .name = "http",
    .weird_source = "HTTP",
    .transports = ANALYZER_TCP,
    .tcp_ports = {80, 81, 631, 1080, 3128, 8000, 8080, 8888},
    .logs = {&http_log, &http_open_log, &file_log},
    .state_size = sizeof(struct http),
    .match = match,
    .start = start,
    .data = data,
    .gap = gap,
    .fin = fin,
    .end = end,
    .open = http_trans_log_open,
};
