/* tunnel.log: see tunnels.h. */
#include "sensor/tunnels.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "flow/more.h"
#include "tunnel/tunnel.h"

#define SECOND    1000000000ll
#define EXPIRY    (3600 * SECOND)
#define N_TUNNELS 4096 /* over IP, at a time; the longest silent one gives way */
#define N_PROBES  8

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,
    {"tunnel_type", LOG_ENUM},
    {"action", LOG_ENUM},
};

const struct log_schema tunnel_schema = {
    .name = "tunnel", LOG_COLUMNS(columns), .of_connection = true};

/* The key of a tunnel over IP, both directions of which are one, or of a proxy: client, server. */
struct pair {
    struct addr low, high;
    const struct tunnel_decoder *decoder; /* NULL: a SOCKS proxy */
    uint16_t port;                        /* the proxy's */
};

struct entry {
    struct pair pair;
    struct addr src, dst; /* as first seen */
    struct flow_uid uid;
    bool owned;
    int64_t last; /* 0: free */
};

struct tunnels {
    int64_t next_sweep;
    struct entry entries[N_TUNNELS];
};

struct tunnels *tunnels_new(void)
{
    return calloc(1, sizeof(struct tunnels));
}

void tunnels_free(struct tunnels *tunnels)
{
    free(tunnels);
}

static void put_type(struct rec *rec, const struct tunnel_decoder *decoder)
{
    const char *type = !decoder ? "SOCKS" : decoder->zeek_type ? decoder->zeek_type : "NONE";
    char text[40];
    snprintf(text, sizeof text, "Tunnel::%s", type);
    rec_text(rec, text);
}

static void log_over_ip(struct flow_context *context, const struct entry *e, const char *action)
{
    struct rec *rec = log_begin(context->log, &tunnel_schema);
    rec_time(rec, context->clock);
    if (e->pair.decoder)
        rec_str(rec, str_make(e->uid.text, FLOW_UID_LEN));
    else
        rec_unset(rec);
    rec_addr(rec, &e->src);
    rec_port(rec, 0);
    rec_addr(rec, &e->dst);
    rec_port(rec, e->pair.port);
    put_type(rec, e->pair.decoder);
    rec_text(rec, action);
    if (context->extra)
        context->extra(context, NULL, rec);
    log_end(rec);
}

static struct flow_uid make_uid(const struct flow_context *context, const struct pair *pair)
{
    struct flow like = {.first = context->now};
    like.addr[0] = pair->low;
    like.addr[1] = pair->high;
    like.proto = FLOW_N_PROTOS;
    like.network = (uint16_t)XXH3_64bits(pair->decoder->name, strlen(pair->decoder->name));
    return flow_uid(context, &like);
}

/* The entry of this key, or the one that gives way to it: with another key. */
static struct entry *find(struct tunnels *tunnels, const struct pair *pair)
{
    size_t home = XXH3_64bits(pair, sizeof *pair) & (N_TUNNELS - 1);
    struct entry *oldest = NULL;
    for (size_t i = 0; i < N_PROBES; i++) {
        struct entry *e = &tunnels->entries[(home + i) & (N_TUNNELS - 1)];
        if (e->last && memcmp(&e->pair, pair, sizeof *pair) == 0)
            return e;
        if (!oldest || e->last < oldest->last)
            oldest = e;
    }
    return oldest;
}

/* True: it was there already. */
static bool touch(struct entry *e, const struct flow_context *context, const struct pair *pair)
{
    bool known = e->last && memcmp(&e->pair, pair, sizeof *pair) == 0;
    if (!known) {
        memset(e, 0, sizeof *e);
        memcpy(&e->pair, pair, sizeof *pair);
    }
    e->last = context->now ? context->now : 1;
    return known;
}

struct flow_uid tunnels_over_ip(struct tunnels *tunnels, struct flow_context *context,
                                const struct packet_layer *layer, bool owned)
{
    bool swap = memcmp(layer->src.b, layer->dst.b, 16) > 0;
    struct pair pair;
    memset(&pair, 0, sizeof pair);
    pair.low = swap ? layer->dst : layer->src;
    pair.high = swap ? layer->src : layer->dst;
    pair.decoder = layer->decoder;
    struct entry *e = find(tunnels, &pair);
    if (touch(e, context, &pair))
        return e->uid;
    e->src = layer->src;
    e->dst = layer->dst;
    e->uid = make_uid(context, &pair);
    e->owned = owned;
    if (owned)
        log_over_ip(context, e, "Tunnel::DISCOVER");
    return e->uid;
}

void tunnels_proxied(struct tunnels *tunnels, struct flow_context *context, const struct flow *f)
{
    struct pair pair;
    memset(&pair, 0, sizeof pair);
    pair.low = *flow_addr(f, FLOW_ORIG);
    pair.high = *flow_addr(f, FLOW_RESP);
    pair.port = flow_port(f, FLOW_RESP);
    struct entry *e = find(tunnels, &pair);
    if (f->shadow || touch(e, context, &pair))
        return;
    e->src = pair.low;
    e->dst = pair.high;
    e->owned = true;
    log_over_ip(context, e, "Tunnel::DISCOVER");
}

void tunnels_expire(struct tunnels *tunnels, struct flow_context *context)
{
    if (context->clock < tunnels->next_sweep)
        return;
    tunnels->next_sweep = context->clock + 60 * SECOND;
    for (size_t i = 0; i < N_TUNNELS; i++) {
        struct entry *e = &tunnels->entries[i];
        if (!e->last || e->last + EXPIRY > context->clock)
            continue;
        if (e->owned)
            log_over_ip(context, e, "Tunnel::EXPIRE");
        e->last = 0;
    }
}

static void log_connection(struct flow_context *context, const struct flow *outer,
                           const struct tunnel_decoder *decoder, const char *action)
{
    struct rec *rec = flow_log_begin(context, outer, &tunnel_schema, context->clock);
    put_type(rec, decoder);
    rec_text(rec, action);
    flow_log_end(context, outer, rec);
}

void tunnels_discovered(struct flow_context *context, struct flow *outer,
                        const struct tunnel_decoder *decoder)
{
    struct flow_more *more = flow_more(context, outer);
    if (!more || more->carries)
        return;
    more->carries = decoder;
    if (!outer->shadow)
        log_connection(context, outer, decoder, "Tunnel::DISCOVER");
}

void tunnels_closed(struct flow_context *context, const struct flow *outer)
{
    if (more_of(outer) && more_of(outer)->carries && !outer->shadow)
        log_connection(context, outer, more_of(outer)->carries, "Tunnel::CLOSE");
}
