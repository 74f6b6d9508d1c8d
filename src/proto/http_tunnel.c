/* What follows a CONNECT that was granted (RFC 9110 §9.3.6), or Upgrade (§7.8): the connection is
 * another protocol's from then on, which Upgrade names, or its first bytes tell. */
#include "proto/http_state.h"

#include <stdio.h>

#include "proto/inner.h"

struct http_tunnel {
    struct inner inner;
    struct analysis *named; /* by Upgrade */
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
    h->inner = pool_get(analysis_pool(a), sizeof *h->inner);
    if (h->inner && str_eq_nocase(protocol, STR("websocket")))
        h->inner->named = analysis_start(a, &analyzer_websocket);
}

void http_tunnel_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct http_tunnel *t = http_of(a)->inner;
    if (!t || size == 0)
        return;
    if (t->named)
        analysis_feed(t->named, dir, bytes, size);
    else
        inner_data(&t->inner, a, dir, bytes, size);
}

void http_tunnel_gap(struct analysis *a, int dir, uint64_t size)
{
    struct http_tunnel *t = http_of(a)->inner;
    if (t && t->named && t->named->analyzer->gap && !t->named->finished)
        t->named->analyzer->gap(t->named, dir, size);
    else if (t && !t->named)
        inner_gap(&t->inner, a, dir, size);
}

void http_tunnel_end(struct analysis *a)
{
    struct http_tunnel *t = http_of(a)->inner;
    if (!t)
        return;
    inner_end(&t->inner, a);
    pool_put(analysis_pool(a), t, sizeof *t);
    http_of(a)->inner = NULL;
}
