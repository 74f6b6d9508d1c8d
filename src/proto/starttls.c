/* Protocols that begin in plain text and turn into TLS (or, through a proxy, into anything): the
 * analyzer follows them just far enough to see where that happens, and hands the rest of the
 * connection over. It names no service itself. What has not turned within a few KiB is let go. */
#include "proto/starttls.h"

#define MAX_PLAIN 8192u /* bytes, both directions together */

static const struct starttls_protocol *const protocols[] = {
    &starttls_xmpp, &starttls_ldap,  &starttls_mysql, &starttls_postgresql,
    &starttls_rdp,  &starttls_socks, &starttls_lines, /* text: when it is nothing else */
};

#define N_PROTOCOLS (sizeof protocols / sizeof *protocols)

/* Nearly all connections begin with something else, which costs one look: no protocol here that is
 * found by content begins otherwise, blanks included. */
static bool may_begin(const struct probe *probe)
{
    static const char firsts[] = "<0\0\3\4\5 \t\r\n\v\f"
                                 "AaCcEeHhSsUu"
                                 "2+";
    struct str first = probe->data[FLOW_ORIG].len ? probe->data[FLOW_ORIG] : probe->data[FLOW_RESP];
    return first.len > 0 && memchr(firsts, first.at[0], sizeof firsts - 1);
}

static enum analyzer_match starttls_match(const struct probe *probe)
{
    if (!may_begin(probe))
        return MATCH_NO;
    enum analyzer_match best = MATCH_NO;
    for (size_t i = 0; i < N_PROTOCOLS && best != MATCH_YES; i++) {
        enum analyzer_match one = protocols[i]->match ? protocols[i]->match(probe) : MATCH_NO;
        best = one > best ? one : best;
    }
    return best;
}

static bool has_port(const struct starttls_protocol *protocol, uint16_t port)
{
    for (size_t i = 0; i < sizeof protocol->ports / 2 && protocol->ports[i]; i++)
        if (protocol->ports[i] == port)
            return true;
    return false;
}

/* Not those found inside another connection, whose port is the proxy's. */
static const struct starttls_protocol *by_port(const struct analysis *a)
{
    for (size_t i = 0; i < N_PROTOCOLS && !a->parent; i++)
        if (has_port(protocols[i], flow_port(a->flow, FLOW_RESP)))
            return protocols[i];
    return NULL;
}

/* The content was recognised; the first bytes of one side tell the protocols apart. */
static const struct starttls_protocol *by_content(int dir, const uint8_t *bytes, size_t size)
{
    struct probe probe = {.is_tcp = true};
    probe.data[dir] = str_make(bytes, size);
    for (size_t i = 0; i < N_PROTOCOLS; i++)
        if (protocols[i]->match && protocols[i]->match(&probe) != MATCH_NO)
            return protocols[i];
    return &starttls_lines;
}

/* ---- handing over ---- */

void starttls_tls(struct analysis *a)
{
    struct starttls *s = starttls_of(a);
    s->tls = analysis_start(a, &analyzer_ssl);
    s->stage = STARTTLS_TLS;
    if (!s->tls)
        analysis_finish(a);
}

void starttls_inner(struct analysis *a)
{
    struct starttls *s = starttls_of(a);
    s->stage = STARTTLS_INNER;
    s->inner = (struct inner){0};
}

static void hand_on(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct starttls *s = starttls_of(a);
    if (s->stage == STARTTLS_TLS) {
        analysis_feed(s->tls, dir, bytes, size);
        if (s->tls->finished)
            analysis_finish(a);
    } else if (s->stage == STARTTLS_ADAT) {
        starttls_adat_data(a, dir, bytes, size);
    } else {
        inner_data(&s->inner, a, dir, bytes, size);
        if (inner_is_over(&s->inner))
            analysis_finish(a);
    }
}

/* ---- messages ---- */

static void keep(struct starttls_side *side, struct reader *r, size_t size)
{
    size_t room = STARTTLS_KEPT - side->n_kept;
    size_t kept = size < room ? size : room;
    if (kept > 0)
        memcpy(side->kept + side->n_kept, rd_bytes(r, kept), kept);
    side->n_kept += (uint8_t)kept;
    rd_skip(r, size - kept);
}

/* Takes what is there up to the delimiter. */
static void take_delimited(struct analysis *a, int dir, struct reader *r)
{
    struct starttls *s = starttls_of(a);
    struct starttls_side *side = &s->side[dir];
    const uint8_t *end = memchr(r->at, s->protocol->delimiter, rd_left(r));
    size_t here = end ? (size_t)(end - r->at) + 1 : rd_left(r);
    if (end && side->n_kept == 0) {
        s->protocol->message(a, dir, rd_sub(r, here));
        return;
    }
    keep(side, r, here);
    if (!end)
        return;
    struct reader message = rd_make(side->kept, side->n_kept);
    side->n_kept = 0;
    s->protocol->message(a, dir, message);
}

/* Takes what is there of the next message, up to its end or to where its size can be told. */
static void take_sized(struct analysis *a, int dir, struct reader *r)
{
    struct starttls *s = starttls_of(a);
    struct starttls_side *side = &s->side[dir];
    size_t skipped = side->skip < rd_left(r) ? side->skip : rd_left(r);
    rd_skip(r, skipped);
    side->skip -= (uint32_t)skipped;
    size_t size = 0;
    while (rd_left(r) > 0 && size == 0 && side->n_kept < STARTTLS_KEPT) {
        size = s->protocol->size(a, dir, rd_make(side->kept, side->n_kept));
        if (size == 0)
            keep(side, r, 1); /* of a header: a few bytes */
    }
    if (size == 0)
        size = s->protocol->size(a, dir, rd_make(side->kept, side->n_kept));
    if (size > MAX_PLAIN || (size == 0 && side->n_kept == STARTTLS_KEPT)) {
        analysis_finish(a);
        return;
    }
    if (size == 0)
        return;
    size_t want = size < STARTTLS_KEPT ? size : STARTTLS_KEPT;
    if (side->n_kept < want)
        keep(side, r, want - side->n_kept < rd_left(r) ? want - side->n_kept : rd_left(r));
    if (side->n_kept < want)
        return;
    struct reader message = rd_make(side->kept, side->n_kept);
    side->skip = (uint32_t)(size - want);
    side->n_kept = 0;
    s->protocol->message(a, dir, message);
}

/* ---- the analyzer ---- */

static void starttls_start(struct analysis *a)
{
    struct starttls *s = starttls_of(a);
    s->protocol = by_port(a);
}

static void starttls_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct starttls *s = starttls_of(a);
    if (s->stage != STARTTLS_PLAIN) {
        hand_on(a, dir, bytes, size);
        return;
    }
    if (a->flow->partial || size == 0) {
        a->finished = a->flow->partial;
        return;
    }
    if (!s->protocol) {
        s->protocol = by_content(dir, bytes, size);
        s->lines.by_content = s->protocol == &starttls_lines;
    }
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) > 0 && s->stage == STARTTLS_PLAIN && !a->finished) {
        if (s->protocol->delimiter)
            take_delimited(a, dir, &r);
        else
            take_sized(a, dir, &r);
    }
    s->seen += (uint32_t)(size < MAX_PLAIN ? size : MAX_PLAIN);
    if (a->finished)
        return;
    if (s->stage != STARTTLS_PLAIN && rd_left(&r) > 0)
        hand_on(a, dir, r.at, rd_left(&r));
    else if (s->stage == STARTTLS_PLAIN && s->seen >= MAX_PLAIN)
        analysis_finish(a);
}

static void starttls_gap(struct analysis *a, int dir, uint64_t size)
{
    struct starttls *s = starttls_of(a);
    switch (s->stage) {
    case STARTTLS_PLAIN:
        analysis_finish(a);
        break;
    case STARTTLS_TLS:
        if (!s->tls->finished)
            s->tls->analyzer->gap(s->tls, dir, size);
        break;
    case STARTTLS_INNER:
        inner_gap(&s->inner, a, dir, size);
        break;
    case STARTTLS_ADAT:
        starttls_adat_gap(a);
        break;
    }
}

static void starttls_end(struct analysis *a)
{
    struct starttls *s = starttls_of(a);
    if (s->stage == STARTTLS_INNER)
        inner_end(&s->inner, a);
    if (s->stage == STARTTLS_ADAT)
        starttls_adat_end(a);
}

const struct analyzer analyzer_starttls = {
    .name = "starttls", /* never in conn.log */
    .transports = ANALYZER_TCP,
    .tcp_ports = {21, 25, 143, 389, 587, 1080, 1434, 2811, 3268, 3306, 3389, 5222, 5269, 5432},
    .state_size = sizeof(struct starttls),
    .match = starttls_match,
    .start = starttls_start,
    .data = starttls_data,
    .gap = starttls_gap,
    .end = starttls_end,
};
