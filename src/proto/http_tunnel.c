/* What follows a CONNECT that was granted (RFC 9110 §9.3.6), or Upgrade (§7.8): the connection is
 * another protocol's from then on. Its first bytes are kept until an analyzer knows them. */
#include "proto/http_state.h"

#include <stdio.h>

struct http_tunnel {
    struct buf head[2];
    struct analysis *inner;
    bool decided;
};

static void say_remaining(struct analysis *a, const char *name)
{
    char text[24];
    size_t remaining = http_of(a)->side[FLOW_RESP].remaining;
    int n = snprintf(text, sizeof text, "%zu", remaining);
    if (remaining > 0 && n > 0)
        analysis_weird(a, name, str_make(text, (size_t)n));
}

/* `protocol` is Upgrade's; unset: CONNECT. */
void http_tunnel_start(struct analysis *a, struct str protocol)
{
    struct http *h = http_of(a);
    say_remaining(a, str_set(protocol) ? "protocol_data_with_HTTP_upgrade_reply"
                                       : "protocol_data_with_HTTP_CONNECT_reply");
    h->tunnel = true;
    if (str_eq_nocase(protocol, STR("websocket")))
        return; /* no analyzer yet */
    h->inner = pool_get(analysis_pool(a), sizeof *h->inner);
}

static void feed(struct analysis *inner, int dir, const uint8_t *bytes, size_t size)
{
    if (size > 0 && !inner->finished && !inner->failed)
        analysis_feed(inner, dir, bytes, size);
}

static enum analyzer_match ask_all(struct analysis *a, struct http_tunnel *t)
{
    struct probe probe = {
        .is_tcp = true,
        .orig_port = flow_port(a->flow, FLOW_ORIG),
        .resp_port = flow_port(a->flow, FLOW_RESP),
    };
    for (int dir = 0; dir < 2; dir++)
        if (buf_size(&t->head[dir]) > 0)
            probe.data[dir] = str_make(buf_at(&t->head[dir]), buf_size(&t->head[dir]));
    enum analyzer_match answer = MATCH_NO;
    for (const struct analyzer *const *at = analyzers; *at; at++) {
        if (*at == a->analyzer || !(*at)->match || !((*at)->transports & ANALYZER_TCP))
            continue;
        enum analyzer_match m = (*at)->match(&probe);
        if (m == MATCH_YES) {
            t->inner = analysis_start(a, *at);
            return MATCH_YES;
        }
        if (m == MATCH_MORE)
            answer = MATCH_MORE;
    }
    return answer;
}

void http_tunnel_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct http_tunnel *t = http_of(a)->inner;
    if (!t || size == 0)
        return;
    if (t->inner) {
        feed(t->inner, dir, bytes, size);
        return;
    }
    if (t->decided)
        return;
    struct pool *pool = analysis_pool(a);
    size_t had = buf_size(&t->head[dir]);
    size_t room = had < ANALYZER_PROBE_MAX ? ANALYZER_PROBE_MAX - had : 0;
    size_t kept = size < room ? size : room;
    bool fits = buf_add(&t->head[dir], pool, bytes, kept, ANALYZER_PROBE_MAX);
    enum analyzer_match answer = ask_all(a, t);
    if (answer == MATCH_MORE && fits && kept == size)
        return;
    t->decided = true;
    for (int d = 0; d < 2; d++) {
        if (t->inner)
            feed(t->inner, d, buf_at(&t->head[d]), buf_size(&t->head[d]));
        buf_done(&t->head[d], pool);
    }
    if (t->inner)
        feed(t->inner, dir, bytes + kept, size - kept);
}

void http_tunnel_end(struct analysis *a)
{
    struct http_tunnel *t = http_of(a)->inner;
    if (!t)
        return;
    for (int d = 0; d < 2; d++)
        buf_done(&t->head[d], analysis_pool(a));
    pool_put(analysis_pool(a), t, sizeof *t);
    http_of(a)->inner = NULL;
}
