/* The rare parts of connections, history and services: see more.h. */
#include "flow/more.h"

#define HISTORY_MAX                                                                                \
    4096 /* letters; a connection that flips flags for ever must not grow for ever */

struct flow_more *flow_more(struct flow_context *context, struct flow *f)
{
    struct flow_more *more = more_of(f);
    if (more || !(more = pool_get(context->pool, sizeof *more)))
        return more;
    arena_init(&more->arena, context->pool);
    if (f->is_early) {
        more->early = f->early;
        f->is_early = 0;
    }
    f->more = more;
    return more;
}

void flow_pending_drop(struct flow_context *context, struct flow *f, int dir)
{
    struct pending *pending = &more_of(f)->pending[dir];
    context->counters.tcp_bytes -= pending->first->size;
    pending_drop(pending, context->pool);
}

void flow_more_free(struct flow_context *context, struct flow *f)
{
    flow_early_free(context, f);
    struct flow_more *more = more_of(f);
    if (!more)
        return;
    for (int dir = 0; dir < 2; dir++)
        while (more->pending[dir].first)
            flow_pending_drop(context, f, dir);
    pool_put(context->pool, more->history, more->history_size);
    arena_clear(&more->arena);
    pool_put(context->pool, more, sizeof *more);
    f->more = NULL;
}

static struct flow_early **early_place(struct flow *f)
{
    return f->is_early || !f->more ? &f->early : &f->more->early;
}

const struct flow_early *flow_early(const struct flow *f)
{
    return f->is_early ? f->early : f->more ? f->more->early : NULL;
}

static struct flow_early *early_grow(struct flow_context *context, struct flow *f, size_t size)
{
    struct flow_early **place = early_place(f), *old = *place;
    size_t capacity = old ? old->capacity : 64;
    while (capacity < size && capacity <= 1u << 15)
        capacity += capacity / 2;
    struct flow_early *grown =
        capacity >= size && capacity <= UINT16_MAX ? pool_get(context->pool, capacity) : NULL;
    if (!grown)
        return NULL;
    if (old) {
        memcpy(grown, old, sizeof *old + old->size[0] + old->size[1]);
        context->counters.early_bytes -= old->capacity;
        pool_put(context->pool, old, old->capacity);
    }
    context->counters.early_bytes += capacity;
    grown->capacity = (uint16_t)capacity;
    *place = grown;
    if (place == &f->early)
        f->is_early = 1;
    return grown;
}

bool flow_early_add(struct flow_context *context, struct flow *f, int dir, const uint8_t *bytes,
                    size_t size)
{
    struct flow_early *early = *early_place(f);
    size_t need = sizeof *early + size + (early ? (size_t)early->size[0] + early->size[1] : 0);
    if ((!early || early->capacity < need) && !(early = early_grow(context, f, need)))
        return false;
    uint8_t *at = early->bytes + early->size[0];
    if (dir == FLOW_ORIG)
        memmove(at + size, at, early->size[1]);
    else
        at += early->size[1];
    memcpy(at, bytes, size);
    early->size[dir] = (uint16_t)(early->size[dir] + size);
    return true;
}

void flow_early_free(struct flow_context *context, struct flow *f)
{
    struct flow_early **place = early_place(f);
    if (*place) {
        context->counters.early_bytes -= (*place)->capacity;
        pool_put(context->pool, *place, (*place)->capacity);
    }
    *place = NULL;
    f->is_early = 0;
}

void flow_add_service(struct flow_context *context, struct flow *f, const char *name)
{
    struct flow_more *more = flow_more(context, f);
    if (!more)
        return;
    for (unsigned i = 0; i < more->n_services; i++)
        if (strcmp(more->services[i], name) == 0)
            return;
    if (more->n_services < FLOW_MAX_SERVICES)
        more->services[more->n_services++] = name;
}

void flow_remove_service(struct flow *f, const char *name)
{
    struct flow_more *more = more_of(f);
    if (!more)
        return;
    unsigned kept = 0;
    for (unsigned i = 0; i < more->n_services; i++)
        if (strcmp(more->services[i], name) != 0)
            more->services[kept++] = more->services[i];
    more->n_services = (uint8_t)kept;
}

void flow_add_parent(struct flow_context *context, struct flow *f, const struct flow_uid *parent)
{
    struct flow_more *more = flow_more(context, f);
    if (!more)
        return;
    for (unsigned i = 0; i < more->n_parents; i++)
        if (memcmp(&more->parents[i], parent, sizeof *parent) == 0)
            return;
    if (more->n_parents < FLOW_MAX_PARENTS)
        more->parents[more->n_parents++] = *parent;
}

/* Moves the history to the pool, or doubles it there. */
static bool history_grow(struct flow_context *context, struct flow *f)
{
    struct flow_more *more = flow_more(context, f);
    uint32_t size = more && more->history ? more->history_size * 2 : 64;
    char *grown = more && size <= HISTORY_MAX ? pool_get(context->pool, size) : NULL;
    if (!grown)
        return false;
    if (more->history) {
        memcpy(grown, more->history, more->n_history);
        pool_put(context->pool, more->history, more->history_size);
    } else {
        memcpy(grown, f->history, f->n_history);
        more->n_history = f->n_history;
    }
    more->history = grown;
    more->history_size = size;
    return true;
}

void flow_history_add(struct flow_context *context, struct flow *f, int dir, char letter)
{
    if (dir == FLOW_RESP)
        letter = str_lower_char(letter);
    bool outgrown = more_of(f) && more_of(f)->history;
    if (!outgrown && f->n_history < sizeof f->history) {
        f->history[f->n_history++] = letter;
        return;
    }
    if ((!outgrown || more_of(f)->n_history == more_of(f)->history_size) &&
        !history_grow(context, f))
        return;
    more_of(f)->history[more_of(f)->n_history++] = letter;
}

bool flow_history_check(struct flow_context *context, struct flow *f, int dir, uint8_t bit,
                        char letter)
{
    if (f->hist_seen[dir] & bit)
        return true;
    f->hist_seen[dir] |= bit;
    flow_history_add(context, f, dir, letter);
    return false;
}

void flow_history_tally(struct flow_context *context, struct flow *f, int dir, enum flow_tally what,
                        char letter)
{
    struct flow_more *more = flow_more(context, f);
    if (!more)
        return;
    uint32_t n = ++more->tally[dir][what];
    while (n >= 10 && n % 10 == 0)
        n /= 10;
    if (n == 1)
        flow_history_add(context, f, dir, letter);
}

struct str flow_history(const struct flow *f)
{
    if (more_of(f) && more_of(f)->history)
        return str_make(more_of(f)->history, more_of(f)->n_history);
    return str_make(f->history, f->n_history);
}

void flow_flip(struct flow_context *context, struct flow *f)
{
    f->orig_is_1 ^= 1;
    if (f->proto == FLOW_TCP) {
        struct tcp_end end = f->tcp[0];
        f->tcp[0] = f->tcp[1];
        f->tcp[1] = end;
        uint8_t seen = f->hist_seen[0];
        f->hist_seen[0] = f->hist_seen[1];
        f->hist_seen[1] = seen;
        struct flow_more *more = more_of(f);
        if (more) {
            struct pending pending = more->pending[0];
            more->pending[0] = more->pending[1];
            more->pending[1] = pending;
        }
    } /* the others' payload and history stay with the role, as in Zeek */
    uint32_t packets = f->n_packets[0];
    f->n_packets[0] = f->n_packets[1];
    f->n_packets[1] = packets;
    uint64_t bytes = f->ip_bytes[0];
    f->ip_bytes[0] = f->ip_bytes[1];
    f->ip_bytes[1] = bytes;
    flow_history_add(context, f, FLOW_ORIG, '^');
}

uint64_t flow_n_packets(const struct flow *f, int dir)
{
    return f->n_packets[dir] + (more_of(f) ? more_of(f)->n_packets_more[dir] : 0);
}
