/* A stream inside another: see inner.h. */
#include "proto/inner.h"

/* An analyzer that knows the first bytes is started. */
static enum analyzer_match ask_all(struct inner *inner, struct analysis *outer)
{
    struct probe probe = {
        .is_tcp = true,
        .orig_port = flow_port(outer->flow, FLOW_ORIG),
        .resp_port = flow_port(outer->flow, FLOW_RESP),
    };
    for (int dir = 0; dir < 2; dir++)
        if (buf_size(&inner->head[dir]) > 0)
            probe.data[dir] = str_make(buf_at(&inner->head[dir]), buf_size(&inner->head[dir]));
    enum analyzer_match answer = MATCH_NO;
    for (const struct analyzer *const *at = analyzers; *at; at++) {
        if (*at == outer->analyzer || !(*at)->match || !((*at)->transports & ANALYZER_TCP))
            continue;
        enum analyzer_match one = (*at)->match(&probe);
        if (one == MATCH_YES) {
            inner->found = analysis_start(outer, *at);
            return MATCH_YES;
        }
        if (one == MATCH_MORE)
            answer = MATCH_MORE;
    }
    return answer;
}

static void feed(struct inner *inner, int dir, const uint8_t *bytes, size_t size)
{
    if (inner->found && size > 0)
        analysis_feed(inner->found, dir, bytes, size);
}

void inner_data(struct inner *inner, struct analysis *outer, int dir, const uint8_t *bytes,
                size_t size)
{
    if (inner->decided) {
        feed(inner, dir, bytes, size);
        return;
    }
    struct pool *pool = analysis_pool(outer);
    size_t had = buf_size(&inner->head[dir]);
    size_t room = had < ANALYZER_PROBE_MAX ? ANALYZER_PROBE_MAX - had : 0;
    size_t kept = size < room ? size : room;
    bool fits = buf_add(&inner->head[dir], pool, bytes, kept, ANALYZER_PROBE_MAX);
    if (ask_all(inner, outer) == MATCH_MORE && fits && kept == size)
        return;
    inner->decided = true;
    for (int d = 0; d < 2; d++)
        feed(inner, d, buf_at(&inner->head[d]), buf_size(&inner->head[d]));
    if (fits)
        feed(inner, dir, bytes + kept, size - kept);
    inner_end(inner, outer);
}

void inner_gap(struct inner *inner, struct analysis *outer, int dir, uint64_t size)
{
    if (!inner->decided) {
        inner->decided = true;
        inner_end(inner, outer);
    } else if (inner->found && !inner->found->finished && inner->found->analyzer->gap) {
        inner->found->analyzer->gap(inner->found, dir, size);
    }
}

void inner_end(struct inner *inner, struct analysis *outer)
{
    for (int dir = 0; dir < 2; dir++)
        buf_done(&inner->head[dir], analysis_pool(outer));
}
