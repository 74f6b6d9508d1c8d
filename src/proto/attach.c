/* Attaching analyzers to connections and feeding them: see attach.h and analyzer.h.
 *
 * Bytes go to the analyzers that are attached. While it is not known whose they are, the first ones
 * are kept (a kilobyte, both directions together, as Zeek's PIA does), so that an analyzer that is
 * recognised late gets all from the beginning. */
#include "proto/attach.h"

#include "flow/deadline.h"
#include "flow/more.h"
#include "flow/table.h"
#include "flow/weird.h"
#include "proto/analyzer.h"

#define PROBE_LIMIT     1024  /* bytes of both directions after which nobody is asked any more */
#define VIOLATION_LIMIT 10240 /* bytes of a connection after which a violation is overlooked */
#define MAX_ANALYSES    8     /* on one connection */

#define ANALYZER(name) &analyzer_##name,
const struct analyzer *const analyzers[] = {
#include "proto/list.h"
    NULL};
#undef ANALYZER

static bool has_port(const uint16_t *ports, size_t n, uint16_t port)
{
    for (size_t i = 0; i < n && ports[i]; i++)
        if (ports[i] == port)
            return true;
    return false;
}

static uint8_t transport_of(const struct flow *f)
{
    return f->proto == FLOW_TCP ? ANALYZER_TCP : f->proto == FLOW_UDP ? ANALYZER_UDP : 0;
}

static bool by_port(const struct analyzer *analyzer, const struct flow *f)
{
    uint16_t port = flow_port(f, FLOW_RESP);
    if (!(analyzer->transports & transport_of(f)))
        return false;
    if (f->proto == FLOW_TCP)
        return has_port(analyzer->tcp_ports, sizeof analyzer->tcp_ports / 2, port);
    return has_port(analyzer->udp_ports, sizeof analyzer->udp_ports / 2, port);
}

static struct analysis *find(const struct flow *f, const struct analyzer *analyzer)
{
    struct analysis *a = more_of(f) ? more_of(f)->analyses : NULL;
    while (a && a->analyzer != analyzer)
        a = a->next;
    return a;
}

static struct analysis *attach(struct flow_context *context, struct flow *f,
                               const struct analyzer *analyzer, struct analysis *parent)
{
    struct flow_more *more = flow_more(context, f);
    if (!more)
        return NULL;
    unsigned n = 0;
    struct analysis **last = &more->analyses;
    for (; *last; last = &(*last)->next)
        n++;
    size_t head = (sizeof(struct analysis) + 15) & ~(size_t)15;
    struct analysis *a =
        n < MAX_ANALYSES ? arena_get(&more->arena, head + analyzer->state_size) : NULL;
    if (!a)
        return NULL;
    a->analyzer = analyzer;
    a->context = context;
    a->flow = f;
    a->parent = parent;
    a->state = (uint8_t *)a + head;
    *last = a;
    if (analyzer->udp_ticks && f->proto == FLOW_UDP) {
        flow_deadline_tick(f);
        flow_table_rearm(context->table, f);
    }
    if (analyzer->start)
        analyzer->start(a);
    return a;
}

/* ---- data ---- */

static void feed_all(struct flow *f, int dir, const uint8_t *bytes, size_t size)
{
    for (struct analysis *a = more_of(f)->analyses; a; a = a->next)
        if (!a->finished && (!a->parent || a->parent->finished) && a->analyzer->data)
            a->analyzer->data(a, dir, bytes, size);
}

static void stop_probing(struct flow_context *context, struct flow *f)
{
    f->probed = 3;
    flow_early_free(context, f);
}

/* What an analyzer that came late has missed. The order between the directions is not kept: the
 * originator's bytes go first, as it is the one that begins in nearly every protocol. */
static void replay(struct analysis *a, const struct probe *probe)
{
    for (int dir = 0; dir < 2; dir++)
        if (probe->data[dir].len && !a->finished && a->analyzer->data)
            a->analyzer->data(a, dir, (const uint8_t *)probe->data[dir].at, probe->data[dir].len);
}

/* Asks every analyzer that is not attached. True: somebody may still want it. */
static bool ask(struct flow_context *context, struct flow *f, const struct probe *probe)
{
    bool more = false;
    uint8_t transport = transport_of(f);
    for (size_t i = 0; analyzers[i]; i++) {
        const struct analyzer *analyzer = analyzers[i];
        if (!analyzer->match || !(analyzer->transports & transport) || find(f, analyzer))
            continue;
        switch (analyzer->match(probe)) {
        case MATCH_NO:
            break;
        case MATCH_MORE:
            more = true;
            break;
        case MATCH_YES: {
            struct analysis *a = attach(context, f, analyzer, NULL);
            if (a)
                replay(a, probe);
            break;
        }
        }
    }
    return more;
}

static void probe(struct flow_context *context, struct flow *f, int dir, const uint8_t *bytes,
                  size_t size)
{
    struct probe p = {.is_tcp = f->proto == FLOW_TCP,
                      .orig_port = flow_port(f, FLOW_ORIG),
                      .resp_port = flow_port(f, FLOW_RESP)};
    const struct flow_early *early = flow_early(f);
    if (early) {
        if (!flow_early_add(context, f, dir, bytes, size)) {
            stop_probing(context, f);
            return;
        }
        early = flow_early(f);
        if (early->size[0])
            p.data[0] = str_make(early->bytes, early->size[0]);
        if (early->size[1])
            p.data[1] = str_make(early->bytes + early->size[0], early->size[1]);
    } else {
        p.data[dir] = str_make(bytes, size);
    }
    bool more = ask(context, f, &p);
    if (!more || p.data[0].len + p.data[1].len > PROBE_LIMIT ||
        (!early && !flow_early_add(context, f, dir, bytes, size)))
        stop_probing(context, f);
}

/* The first payload of the connection. */
static void begin(struct flow_context *context, struct flow *f)
{
    f->attached = 1;
    for (size_t i = 0; analyzers[i]; i++)
        if (by_port(analyzers[i], f))
            (void)attach(context, f, analyzers[i], NULL); /* no memory: the pool has counted it */
}

static void on_data(struct flow_context *context, struct flow *f, int dir, const uint8_t *bytes,
                    size_t size)
{
    if (!f->attached)
        begin(context, f);
    /* Those attached before get these bytes now; those recognised by them get all from probe(). */
    struct analysis *last = more_of(f) ? more_of(f)->analyses : NULL;
    while (last && last->next)
        last = last->next;
    if (last)
        feed_all(f, dir, bytes, size);
    if (f->probed != 3)
        probe(context, f, dir, bytes, size);
}

static void on_gap(struct flow_context *context, struct flow *f, int dir, uint64_t size)
{
    if (f->probed != 3 && (!more_of(f) || !more_of(f)->analyses))
        stop_probing(context, f);
    if (!more_of(f))
        return;
    for (struct analysis *a = more_of(f)->analyses; a; a = a->next)
        if (!a->finished && (!a->parent || a->parent->finished) && a->analyzer->gap)
            a->analyzer->gap(a, dir, size);
}

static void on_fin(struct flow_context *context, struct flow *f, int dir)
{
    (void)context;
    if (!more_of(f))
        return;
    for (struct analysis *a = more_of(f)->analyses; a; a = a->next)
        if (!a->finished && a->analyzer->fin)
            a->analyzer->fin(a, dir);
}

static void on_end(struct flow_context *context, struct flow *f)
{
    (void)context;
    if (!more_of(f))
        return;
    for (struct analysis *a = more_of(f)->analyses; a; a = a->next)
        if (a->analyzer->end)
            a->analyzer->end(a);
    more_of(f)->analyses = NULL;
}

static void on_open(struct flow_context *context, struct flow *f)
{
    (void)context;
    for (struct analysis *a = more_of(f) ? more_of(f)->analyses : NULL; a; a = a->next)
        if (a->analyzer->open)
            a->analyzer->open(a);
}

const struct flow_payload_ops attach_ops = {
    .data = on_data,
    .gap = on_gap,
    .fin = on_fin,
    .end = on_end,
    .open = on_open,
};

/* ---- what analyzers call ---- */

void analysis_confirm(struct analysis *a)
{
    if (a->confirmed || a->failed)
        return;
    a->confirmed = true;
    flow_add_service(a->context, a->flow, a->analyzer->name);
}

bool analysis_violation(struct analysis *a, const char *reason)
{
    (void)reason;
    if (flow_size(a->flow) > VIOLATION_LIMIT)
        return false;
    a->failed = true;
    a->finished = true;
    if (a->confirmed)
        flow_remove_service(a->flow, a->analyzer->name);
    return true;
}

void analysis_flip(struct analysis *a)
{
    flow_flip(a->context, a->flow);
}

void analysis_finish(struct analysis *a)
{
    a->finished = true;
}

struct analysis *analysis_start(struct analysis *a, const struct analyzer *analyzer)
{
    const struct flow_more *more = more_of(a->flow);
    for (struct analysis *other = more ? more->analyses : NULL; other; other = other->next)
        if (other->analyzer == analyzer && other->parent == a)
            return NULL;
    return attach(a->context, a->flow, analyzer, a);
}

void analysis_feed(struct analysis *to, int dir, const uint8_t *bytes, size_t size)
{
    if (!to->finished && to->analyzer->data)
        to->analyzer->data(to, dir, bytes, size);
}

void analysis_weird(struct analysis *a, const char *name, struct str addl)
{
    weird_flow(a->context, a->flow, name, addl, a->analyzer->weird_source);
}
