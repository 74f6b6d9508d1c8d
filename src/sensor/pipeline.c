/* The way of a packet: see pipeline.h. Frames come in bursts, and are taken through the stages one
 * stage at a time, so that the memory of each connection is on its way before it is needed. */
#include "sensor/pipeline.h"

#include <stdlib.h>

#include "base/aead.h"
#include "flow/handle.h"
#include "flow/more.h"
#include "flow/open_report.h"
#include "flow/weird.h"
#include "proto/attach.h"
#include "proto/file.h"
#include "proto/x509_memory.h"
#include "sensor/arrival.h"
#include "sensor/columns.h"
#include "sensor/filter.h"
#include "sensor/tunnels.h"
#include "sink/pcapng.h"
#include "source/dedup.h"
#include "source/source.h"

/* Times beyond this (the year 2116) are a capture's mistake; sums of times must not overflow. */
#define TIME_LIMIT (1ll << 62)

/* A packet of the burst, between the stages. */
struct parcel {
    struct packet packet;
    struct flow_lookup lookup;
    uint16_t source;
    struct arrival_found found; /* of live packets */
    const char *weird;          /* why there is no connection */
    struct dedup_sight sight;
    bool has_sight;
    bool wanted;
    bool has_lookup;
};

struct pipeline {
    struct pipeline_options options;
    struct flow_context context;
    struct stack *stack;
    struct source_table *sources; /* NULL without a mirror */
    struct columns *columns;      /* the same */
    struct dedup *dedup;          /* the same */
    struct tunnels *tunnels;
    struct pipeline_counters counters;
    struct open_report open;
    struct packet inner[2]; /* of tunnels, while they are gone through */
    struct parcel parcels[CAPTURE_BURST];
};

static void put_extra(struct flow_context *context, const struct flow *f, struct rec *rec)
{
    struct pipeline *p = context->owner;
    if (p->options.mirror)
        columns_put_source(rec, p->columns, f ? f->source : 0);
    if (p->options.community_id)
        columns_put_community_id(rec, f);
}

uint16_t pipeline_extra_columns(const struct pipeline_options *options,
                                struct log_column out[PIPELINE_MAX_EXTRA])
{
    uint16_t n = 0;
    if (options->mirror) {
        out[n++] = (struct log_column){"source", LOG_STRING};
        out[n++] = (struct log_column){"id.ctx.vxlan_vni", LOG_COUNT};
        out[n++] = (struct log_column){"id.ctx.geneve_vni", LOG_COUNT};
        out[n++] = (struct log_column){"agent_hostname", LOG_STRING};
        out[n++] = (struct log_column){"agent_uuid", LOG_STRING};
    }
    if (options->community_id)
        out[n++] = (struct log_column){"community_id", LOG_STRING};
    return n;
}

static void log_proxied(struct flow_context *context, const struct flow *f)
{
    const struct pipeline *p = context->owner;
    tunnels_proxied(p->tunnels, context, f);
}

struct pipeline *pipeline_new(const struct pipeline_options *options, struct log_writer *log)
{
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->options = *options;
    p->context = (struct flow_context){
        .log = log,
        .clock = 1000000000, /* where Zeek's begins: rows made before say so */
        .payload = &attach_ops,
        .uid_seed = options->uid_seed,
        .extra = options->mirror || options->community_id ? put_extra : NULL,
        .ended = tunnels_closed,
        .proxied = log_proxied,
        .owner = p,
        .validate_checksums = options->validate_checksums,
        .deliver_truncated = options->mirror,
        .own_times = options->live != NULL,
        .ja3 = options->ja3,
        .ja4 = options->ja4,
        .reports_open = options->live != NULL,
        .certificates = options->certificates,
        .held = options->held,
    };
    p->context.pool = pool_new(options->memory / 2);
    p->context.weirds = weird_memory_new();
    p->tunnels = tunnels_new();
    struct flow_table_options table = {.memory = options->memory, .hash_key = options->hash_key};
    bool ok = p->context.pool && p->context.weirds && p->tunnels &&
              flow_table_new(&table, &p->context) &&
              (p->stack = stack_new(&options->stack, p->context.pool));
    const struct pipeline_live *live = options->live;
    if (ok && options->mirror) {
        struct dedup_options dedup = {.window = live ? live->dedup_window : 0};
        ok = (p->sources = source_table_new(options->networks)) && (p->dedup = dedup_new(&dedup)) &&
             (p->columns = columns_new(p->sources));
    }
    if (ok && live) {
        live->arrival->sources = p->sources;
        ok = pipeline_set_rules(p);
    }
    if (!ok) {
        pipeline_free(p);
        return NULL;
    }
    return p;
}

void pipeline_finish(struct pipeline *p)
{
    pipeline_count(p, &p->counters);
    flow_table_free(p->context.table);
    p->context.table = NULL;
    file_memory_end(&p->context);
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    if (p->context.table)
        pipeline_finish(p);
    stack_free(p->stack);
    dedup_free(p->dedup);
    columns_free(p->columns);
    source_table_free(p->sources);
    tunnels_free(p->tunnels);
    weird_memory_free(p->context.weirds);
    if (p->context.certificates != p->options.certificates)
        x509_memory_free(p->context.certificates);
    aead_free(p->context.aead);
    pool_free(p->context.pool);
    free(p);
}

/* Whether the connection with this hash is this worker's. The index uses the low bits. */
static bool is_mine(const struct pipeline *p, uint32_t hash)
{
    return p->options.n_workers <= 1 ||
           (uint64_t)hash * p->options.n_workers >> 32 == p->options.worker;
}

static void log_weirds(struct pipeline *p, const struct packet *packet)
{
    if (p->options.worker != 0)
        return; /* every worker sees the packet: one says it */
    for (unsigned i = 0; i < packet->n_weirds; i++)
        weird_packet(&p->context, &packet->weirds[i]);
}

static void packet_weird(struct pipeline *p, const struct packet *packet, const char *name,
                         const char *source)
{
    struct packet_weird w = {.name = name,
                             .source = source,
                             .in_tunnel = packet->n_layers > packet->n_mirror,
                             .has_addr = true,
                             .src = packet->src,
                             .dst = packet->dst};
    weird_packet(&p->context, &w);
}

static void no_connection(struct pipeline *p, const struct packet *packet, const char *weird)
{
    static const char *const sources[256] = {
        [1] = "ICMP", [6] = "TCP", [17] = "UDP", [58] = "ICMP"};
    p->counters.n_no_connection++;
    if (weird && p->options.worker == 0)
        packet_weird(p, packet, weird, sources[packet->ip_proto]);
}

/* The uid of the innermost tunnel over IP that the layers from `first` on name, or of `parent`. */
static bool name_tunnels(struct pipeline *p, const struct packet *packet, unsigned first,
                         struct flow_uid *parent)
{
    bool any = false;
    for (unsigned i = first; i < packet->n_layers; i++) {
        const struct packet_layer *layer = &packet->layers[i];
        if (layer->sport || layer->dport)
            continue; /* over UDP: it has a connection */
        *parent = tunnels_over_ip(p->tunnels, &p->context, layer, p->options.worker == 0);
        any = true;
    }
    return any;
}

/* The tunnel of the monitored traffic that a UDP packet may be: by port, or by how it looks. */
static const struct tunnel_decoder *guess_tunnel(const struct packet *packet, uint16_t sport,
                                                 uint16_t dport)
{
    const struct tunnel_decoder *decoder = stack_udp_tunnel(sport, dport);
    if (decoder)
        return decoder;
    struct str payload = flow_udp_payload(packet);
    if (payload.len < 40)
        return NULL; /* shorter than any that can be guessed */
    for (size_t i = 0; tunnel_decoders[i]; i++)
        if (tunnel_decoders[i]->detect &&
            tunnel_decoders[i]->detect(rd_make(payload.at, payload.len)))
            return tunnel_decoders[i];
    return NULL;
}

/* A UDP connection carries a valid tunnel, in this direction at least. */
static void confirm_tunnel(struct pipeline *p, struct flow *f, const struct packet *packet,
                           const struct tunnel_decoder *decoder)
{
    bool from_orig =
        addr_eq(&packet->src, flow_addr(f, FLOW_ORIG)) && packet->sport == flow_port(f, FLOW_ORIG);
    f->tunnel_ok |= from_orig ? 1 : 2;
    if (decoder->service && (!decoder->both_ways || f->tunnel_ok == 3))
        flow_add_service(&p->context, f, decoder->service);
}

/* Takes off what the UDP packet of `f` carries. False: nothing that is followed. */
static bool enter_tunnel(struct pipeline *p, struct flow *f, const struct packet *packet, bool mine,
                         struct packet *inner)
{
    const struct tunnel_decoder *decoder =
        guess_tunnel(packet, flow_port(f, FLOW_RESP), flow_port(f, FLOW_RESP));
    if (!decoder || f->tunnel_off)
        return false;
    const char *weird = NULL;
    enum stack_resumed found = stack_resume(p->stack, packet, decoder, inner, &weird);
    if (found == STACK_TUNNEL)
        confirm_tunnel(p, f, packet, decoder);
    else if (found == STACK_NO_TUNNEL)
        f->tunnel_off = 1;
    if (weird && mine && !decoder->both_ways)
        packet_weird(p, packet, weird, decoder->zeek_type);
    else if (weird && mine && (found != STACK_NO_TUNNEL || f->tunnel_ok == 3))
        weird_flow(&p->context, f, weird, (struct str){0}, decoder->zeek_type);
    if (found != STACK_TUNNEL)
        return false;
    log_weirds(p, inner);
    return inner->kind == PACKET_IP;
}

/* A packet and, one after the other, what is tunnelled in it. */
static void follow(struct pipeline *p, const struct packet *packet, const struct flow_lookup *first,
                   uint16_t source)
{
    struct flow_uid parent;
    bool has_parent = false;
    unsigned n_named = packet->n_mirror;
    struct flow_lookup lookup = *first;
    for (;;) {
        if (packet->n_layers > n_named && name_tunnels(p, packet, n_named, &parent))
            has_parent = true;
        n_named = packet->n_layers;
        bool mine = is_mine(p, lookup.hash);
        bool is_udp = packet->ip_proto == 17;
        if (!mine && !(is_udp && guess_tunnel(packet, packet->sport, packet->dport)))
            return;
        struct flow *f = flow_handle(&p->context, packet, &lookup, source, !mine);
        if (!f)
            return;
        if (has_parent)
            flow_add_parent(&p->context, f, &parent);
        struct packet *next = packet == &p->inner[0] ? &p->inner[1] : &p->inner[0];
        if (!is_udp || !enter_tunnel(p, f, packet, mine, next))
            return;
        const char *weird = NULL;
        if (!flow_lookup(p->context.table, next, packet->network, &lookup, &weird)) {
            no_connection(p, next, weird);
            return;
        }
        tunnels_discovered(&p->context, f, next->layers[next->n_layers - 1].decoder);
        parent = flow_uid(&p->context, f);
        has_parent = true;
        next->network = packet->network;
        packet = next;
    }
}

/* Whether this worker has anything to do with the packet: its own connection, or one that may have
 * another's inside, or all packets where they are written to a file. */
static bool is_handled(const struct pipeline *p, const struct parcel *parcel)
{
    const struct packet *packet = &parcel->packet;
    return is_mine(p, parcel->lookup.hash) || p->options.packets ||
           packet->n_layers != packet->n_mirror || packet->ip_proto == 17;
}

/* Whether the packet stays with this worker, and is one of an admitted machine. */
static bool accept(struct pipeline *p, struct parcel *parcel, bool was_handed_on)
{
    const struct pipeline_live *live = p->options.live;
    struct packet *packet = &parcel->packet;
    if (!was_handed_on && packet->kind == PACKET_IP && live->owner) {
        unsigned owner = live->owner(live->with, packet);
        if (owner != live->worker) {
            live->hand_on(live->with, owner, packet);
            return false;
        }
    }
    bool is_accepted = arrival_accept(live->arrival, packet, &parcel->found);
    parcel->source = parcel->found.source;
    return is_accepted;
}

/* Stage one: everything that needs no memory of connections. */
static void prepare(struct pipeline *p, struct parcel *parcel, bool was_handed_on)
{
    struct packet *packet = &parcel->packet;
    parcel->wanted = false;
    parcel->has_lookup = parcel->has_sight = false;
    if (p->options.live && !accept(p, parcel, was_handed_on))
        return;
    p->counters.n_packets++;
    if (packet->ts > TIME_LIMIT || packet->ts < -TIME_LIMIT)
        packet->ts = packet->ts > 0 ? TIME_LIMIT : -TIME_LIMIT;
    if (p->options.filter && packet->kind != PACKET_FRAGMENT &&
        !filter_passes(p->options.filter, packet)) {
        p->counters.n_filtered++;
        return;
    }
    parcel->wanted = true;
    if (!p->options.live) {
        parcel->source = p->sources ? source_of(p->sources, packet) : 0;
        packet->network = parcel->source ? source_get(p->sources, parcel->source)->network : 0;
    }
    if (packet->kind != PACKET_IP)
        return;
    parcel->has_lookup =
        flow_lookup(p->context.table, packet, packet->network, &parcel->lookup, &parcel->weird);
    if (!parcel->has_lookup)
        return;
    flow_table_prefetch_index(p->context.table, parcel->lookup.hash);
    if (!p->dedup || !is_handled(p, parcel))
        return;
    uint32_t one_way_hash = parcel->lookup.hash ^ (parcel->lookup.swapped ? 0x9e3779b9u : 0);
    parcel->has_sight =
        dedup_look(p->dedup, packet, one_way_hash, parcel->source, packet->ts, &parcel->sight);
}

static void keep_packet(struct pipeline *p, const struct packet *packet, uint16_t source)
{
    const struct pipeline_live *live = p->options.live;
    if (live && live->packet && packet->kind != PACKET_FRAGMENT)
        live->packet(live->with, packet, source_get(p->sources, source));
    if (p->options.packets && packet->frame)
        pcapng_write(p->options.packets, packet->ts, packet->frame_link, packet->frame,
                     packet->frame_size, packet->frame_wire_size);
}

/* Stage three: the packets in their order. */
static void process(struct pipeline *p, struct parcel *parcel)
{
    const struct packet *packet = &parcel->packet;
    p->context.now = packet->ts - packet->ts % 1000; /* Zeek's times are whole microseconds */
    if (p->context.now > p->context.clock)
        p->context.clock = p->context.now;
    flow_table_packet(p->context.table);
    if (packet->n_weirds)
        log_weirds(p, packet);
    if (packet->kind != PACKET_IP) {
        keep_packet(p, packet, parcel->source);
        return;
    }
    if (!parcel->has_lookup) {
        keep_packet(p, packet, parcel->source);
        no_connection(p, packet, parcel->weird);
        return;
    }
    if (!is_handled(p, parcel))
        return;
    bool is_copy = parcel->has_sight && dedup_ask(p->dedup, &parcel->sight);
    if (p->options.live) {
        if (parcel->has_sight)
            arrival_sighted(p->options.live->arrival, packet, &parcel->found, is_copy);
        is_copy = is_copy && !p->options.live->keep_copies;
    }
    if (is_copy) {
        if (is_mine(p, parcel->lookup.hash))
            p->counters.n_copies++;
        return;
    }
    keep_packet(p, packet, parcel->source);
    follow(p, packet, &parcel->lookup, parcel->source);
}

/* Stage two. */
static void prefetch(const struct pipeline *p, const struct parcel *parcel)
{
    if (parcel->has_lookup && is_mine(p, parcel->lookup.hash))
        flow_table_prefetch_flow(p->context.table, parcel->lookup.hash);
}

/* The further packets of a frame that aggregates several. */
static void process_more(struct pipeline *p, const struct parcel *first)
{
    struct parcel parcel;
    struct packet before = first->packet;
    while (stack_more(p->stack, &before, &parcel.packet)) {
        parcel.source = first->source;
        parcel.has_sight = false;
        parcel.has_lookup = parcel.packet.kind == PACKET_IP &&
                            flow_lookup(p->context.table, &parcel.packet, first->packet.network,
                                        &parcel.lookup, &parcel.weird);
        if (parcel.packet.kind == PACKET_IP)
            process(p, &parcel);
        before = parcel.packet;
    }
}

static void handle_parcels(struct pipeline *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        prefetch(p, &p->parcels[i]);
    for (unsigned i = 0; i < n; i++)
        if (p->parcels[i].wanted) {
            process(p, &p->parcels[i]);
            if (p->parcels[i].packet.more)
                process_more(p, &p->parcels[i]);
        }
}

static void expire(struct pipeline *p)
{
    flow_table_expire(p->context.table);
    tunnels_expire(p->tunnels, &p->context);
    stack_expire(p->stack, p->context.clock);
    stack_release(p->stack);
}

void pipeline_frames(struct pipeline *p, const struct frame *frames, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        stack_decode(p->stack, &frames[i], &p->parcels[i].packet);
        prepare(p, &p->parcels[i], false);
    }
    handle_parcels(p, n);
    expire(p);
}

void pipeline_packets(struct pipeline *p, const struct packet *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p->parcels[i].packet = packets[i];
        prepare(p, &p->parcels[i], true);
    }
    handle_parcels(p, n);
    expire(p);
}

void pipeline_tick(struct pipeline *p, int64_t now)
{
    if (now > p->context.clock) {
        p->context.clock = now;
        flow_table_packet(p->context.table); /* timers go by the clock, packets or not */
    }
    expire(p);
    open_report_step(&p->open, &p->context);
}

bool pipeline_set_rules(struct pipeline *p)
{
    const struct arrival_rules *rules = p->options.live->arrival->rules;
    source_table_set_rules(p->sources, &rules->sources, rules->networks);
    columns_forget(p->columns);
    return stack_set_inputs(p->stack, rules->inputs, rules->n_inputs);
}

void pipeline_count(const struct pipeline *p, struct pipeline_counters *out)
{
    *out = p->counters;
    if (!p->context.table)
        return; /* finished: counted then */
    out->stack = *stack_counters(p->stack);
    out->flows = *flow_table_counters(p->context.table);
    out->payload = p->context.counters;
    out->n_pool_refused = pool_refused(p->context.pool);
    if (p->sources) {
        out->n_sources = source_count(p->sources);
        out->n_sources_refused = source_refused(p->sources);
    }
}

void pipeline_report_open(struct pipeline *p)
{
    open_report_begin(&p->open, &p->context);
    open_report_step(&p->open, &p->context);
}
