/* Takes frames apart: see stack.h. Link headers, the IP header and tunnels follow each other in one
 * loop, until a packet is found that is neither a fragment nor a tunnel over IP.
 *
 * The plain case, Ethernet with TCP or UDP over IPv4, goes straight through: every line of it is
 * paid for by every packet. */
#include "tunnel/stack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/ip.h"
#include "net/link.h"
#include "net/plain.h"
#include "net/weird.h"
#include "tunnel/fragment.h"
#include "tunnel/plain_vxlan.h"
#include "tunnel/short_transport.h"
#include "tunnel/way.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* More IP headers, fragments and tunnels than a frame can mean. */
#define MAX_TURNS 32

/* Faults are noted in a ring: those of the last 32 packets must be there still. */
#define N_WEIRDS (64 * PACKET_MAX_WEIRDS)

#define N_PORTS 65536

/* Of the budget, what datagrams under reassembly may take: one part of so many. */
#define FRAGMENT_SHARE 8

struct stack {
    const struct way *way; /* of the frame that is being decoded */
    struct way *ways;      /* by the input; the first is that of files */
    size_t n_ways;
    struct stack_counters counters;
    struct fragments *fragments;
    const struct tunnel_decoder *by_proto[256]; /* over IP, of the monitored traffic */
    uint32_t at_weird;
    struct packet_weird weirds[N_WEIRDS];
    uint8_t mirror_port[N_PORTS]; /* 1 + index in tunnel_decoders of what mirrors send there */
};

/* Where in the frame the decoding is, and how much of the frame was sent from `start` on. */
struct walk {
    struct reader r;
    const uint8_t *start;
    uint32_t wire;
    bool is_cut;  /* bytes are missing because a capture or a mirror left them away */
    bool resumed; /* the mirror's layers are off: this is the monitored traffic */
    bool decoded; /* the IP header was read and is in the packet */
};

static void add_ports(uint8_t table[N_PORTS], const uint16_t *ports, size_t n_ports, size_t i)
{
    for (size_t p = 0; p < n_ports && ports[p] != 0; p++)
        if (table[ports[p]] == 0)
            table[ports[p]] = (uint8_t)(i + 1);
}

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

bool stack_set_inputs(struct stack *s, const struct stack_options *inputs, size_t n_inputs)
{
    struct way *ways = calloc(n_inputs + 1, sizeof *ways);
    if (!ways)
        return false;
    ways[0] = s->ways[0];
    for (size_t i = 0; i < n_inputs; i++)
        ways[i + 1] = way_make(&inputs[i]);
    free(s->ways);
    s->ways = ways;
    s->n_ways = n_inputs + 1;
    s->way = &s->ways[0];
    return true;
}

struct stack *stack_new(const struct stack_options *options, struct pool *pool)
{
    struct stack *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fragments = fragments_new(pool, pool_limit(pool) / FRAGMENT_SHARE);
    s->ways = calloc(1, sizeof *s->ways);
    if (!s->fragments || !s->ways) {
        stack_free(s);
        return NULL;
    }
    s->n_ways = 1;
    s->ways[0] = way_make(options);
    s->way = &s->ways[0];
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        const struct tunnel_decoder *d = tunnel_decoders[i];
        assert(i < UINT8_MAX);
        if (d->is_mirror)
            add_ports(s->mirror_port, d->udp_ports, N_OF(d->udp_ports), i);
        for (size_t p = 0; p < N_OF(d->ip_protos) && d->ip_protos[p] != 0; p++)
            if (!s->by_proto[d->ip_protos[p]])
                s->by_proto[d->ip_protos[p]] = d;
    }
    return s;
}

void stack_free(struct stack *s)
{
    if (!s)
        return;
    fragments_free(s->fragments);
    free(s->ways);
    free(s);
}

/* Headers that are not there were cut off by the capture, or never sent. */
static enum packet_kind count(struct stack *s, const struct walk *w, enum packet_kind kind)
{
    if (kind == PACKET_TRUNCATED && !w->is_cut)
        kind = PACKET_MALFORMED;
    switch (kind) {
    case PACKET_TRUNCATED:
        s->counters.n_truncated++;
        break;
    case PACKET_MALFORMED:
        s->counters.n_malformed++;
        break;
    case PACKET_ARP:
    case PACKET_OTHER:
        s->counters.n_not_ip++;
        break;
    case PACKET_IP:
    case PACKET_FRAGMENT:
    case PACKET_REFUSED:
        break;
    }
    return kind;
}

/* Starts a walk over what is left of the reader, of which `wire` bytes were sent. */
static inline void begin(struct walk *w, struct reader r, uint32_t wire)
{
    uint32_t size = (uint32_t)rd_left(&r);
    w->r = r;
    w->start = r.at;
    w->wire = wire > size ? wire : size;
    w->is_cut |= wire > size;
}

static inline uint32_t wire_left(const struct walk *w)
{
    return w->wire - (uint32_t)(w->r.at - w->start);
}

static inline void use_frame(struct packet *out, const struct walk *w, uint16_t link)
{
    out->frame = w->r.at;
    out->frame_size = (uint32_t)rd_left(&w->r);
    out->frame_wire_size = wire_left(w);
    out->frame_link = link;
}

/* What weird.log calls the source of a decoder's complaint. */
static const char *weird_source(const struct tunnel_decoder *decoder)
{
    if (!decoder->zeek_type)
        return NULL;
    return strcmp(decoder->zeek_type, "IP") == 0 ? "IPTUNNEL" : decoder->zeek_type;
}

static bool in_chain(const struct tunnel_decoder *wanted, const struct tunnel_decoder *decoder)
{
    return !wanted || wanted == decoder;
}

struct taken {
    bool is_tunnel;  /* the layer was taken off, or is a tunnel's own talk */
    bool has_wanted; /* the decoder that was asked for took part */
    bool confirmed;
    enum packet_kind kind; /* PACKET_IP: the walk is at an IP header */
    const char *weird;
    const struct tunnel_decoder *decoder;
};

/* Lets a decoder take off what `w` is at: the payload of the IP or UDP header in `out`. */
static struct taken take_off(struct walk *w, struct packet *out,
                             const struct tunnel_decoder *decoder,
                             const struct tunnel_decoder *wanted, bool is_mirror)
{
    struct packet_layer *layer = &out->layers[out->n_layers];
    layer->src = out->src;
    layer->dst = out->dst;
    layer->sport = out->sport;
    layer->dport = out->dport;
    layer->ip_proto = out->ip_proto;
    layer->has_id = layer->has_seq = layer->truncated = false;
    layer->direction = 0;
    layer->id = layer->seq = 0;
    layer->options = NULL;
    layer->options_size = 0;

    struct taken taken = {.has_wanted = in_chain(wanted, decoder), .kind = PACKET_OTHER};
    struct tunnel_result result = decoder->decode(&w->r, layer);
    for (int n = 0; unlikely(result.next == TUNNEL_DECODER) && n < PACKET_MAX_LAYERS; n++) {
        decoder = result.decoder;
        const char *weird = result.weird;
        taken.has_wanted |= in_chain(wanted, decoder);
        result = decoder->decode(&w->r, layer);
        if (!result.weird)
            result.weird = weird;
    }
    if (!rd_ok(&w->r))
        result.next = TUNNEL_NOT_MINE;
    layer->decoder = decoder;
    taken.decoder = decoder;
    taken.weird = result.weird;
    taken.confirmed = result.confirmed;
    if (result.next == TUNNEL_NOT_MINE || result.next == TUNNEL_DECODER || !taken.has_wanted)
        return taken;
    taken.is_tunnel = true;
    if (result.next == TUNNEL_CONTROL)
        return taken;

    taken.confirmed = true;
    w->is_cut |= layer->truncated;
    out->n_layers++;
    uint16_t link = result.next == TUNNEL_ETHERNET ? LINK_ETHERNET
                    : result.next == TUNNEL_LINK   ? result.link
                                                   : LINK_RAW;
    if (is_mirror) {
        out->n_mirror++;
        out->has_mac = false;
        out->vlan = out->inner_vlan = 0;
        use_frame(out, w, link);
    }

    switch (result.next) {
    case TUNNEL_ETHERNET:
        if (likely(plain_decode(w->r, wire_left(w), out))) {
            w->decoded = true;
            taken.kind = PACKET_IP;
            return taken;
        }
        taken.kind = link_decode(&w->r, link, out);
        return taken;
    case TUNNEL_LINK:
        taken.kind = link_decode(&w->r, link, out);
        return taken;
    case TUNNEL_IP:
        taken.kind = PACKET_IP;
        return taken;
    case TUNNEL_ETHERTYPE:
        taken.kind = link_decode_ethertype(&w->r, result.ethertype, out);
        break;
    case TUNNEL_PPP:
        taken.kind = link_decode_ppp(&w->r, out);
        break;
    case TUNNEL_NOT_MINE:
    case TUNNEL_CONTROL:
    case TUNNEL_DECODER:
        break;
    }
    /* No link type says what these begin with: the frame is the IP packet in them. */
    if (is_mirror)
        use_frame(out, w, link);
    return taken;
}

/* The walk goes on in the payload of the packet; for UDP, behind the UDP header. */
static inline void enter_payload(struct walk *w, const struct packet *out)
{
    begin(w, rd_make(out->payload, out->payload_size), out->payload_len);
    if (out->ip_proto == PROTO_UDP)
        rd_skip(&w->r, 8);
}

/* The decoder that a packet of a mirror begins with, or NULL. Where the user named the layers,
 * GRE is also the way to the ERSPAN in it. */
static const struct tunnel_decoder *mirror_decoder(const struct stack *s, const struct packet *out,
                                                   const struct tunnel_decoder *wanted)
{
    if (out->n_mirror == 0 && s->way->options.any_port)
        return out->ip_proto == PROTO_UDP ? wanted : NULL;
    if (out->ip_proto == PROTO_UDP) {
        if (wanted)
            for (size_t i = 0; i < N_OF(wanted->udp_ports) && wanted->udp_ports[i] != 0; i++)
                if (wanted->udp_ports[i] == out->dport)
                    return wanted;
        uint8_t i = s->mirror_port[out->dport];
        return i ? tunnel_decoders[i - 1] : NULL;
    }
    if (wanted)
        for (size_t i = 0; i < N_OF(wanted->ip_protos) && wanted->ip_protos[i] != 0; i++)
            if (wanted->ip_protos[i] == out->ip_proto)
                return wanted;
    const struct tunnel_decoder *decoder = s->by_proto[out->ip_proto];
    return decoder && (wanted || decoder->is_mirror) ? decoder : NULL;
}

/* Not told otherwise, a mirror has one layer, or a balancer's GENEVE around its VXLAN. */
static bool may_follow(const struct packet *out, const struct tunnel_decoder *decoder)
{
    return out->n_mirror == 0 || (out->n_mirror == 1 && decoder == &tunnel_vxlan &&
                                  out->layers[0].decoder == &tunnel_geneve);
}

/* True: a layer of the mirror is off, or the packet is the mirror's own talk; see `kind`. */
static bool take_mirror(struct stack *s, struct walk *w, struct packet *out, enum packet_kind *kind)
{
    if (out->n_mirror == 0 && !way_is_to_us(s->way, out))
        return false;
    const struct tunnel_decoder *wanted =
        s->way->options.auto_mirror ? NULL : s->way->options.mirror[out->n_mirror];
    const struct tunnel_decoder *decoder = mirror_decoder(s, out, wanted);
    if (!decoder || (!wanted && !may_follow(out, decoder)))
        return false; /* the rest is the monitored traffic's own */
    if (out->n_layers == PACKET_MAX_LAYERS) {
        s->counters.n_too_deep++;
        *kind = PACKET_REFUSED;
        return true;
    }
    enter_payload(w, out);
    struct taken taken = take_off(w, out, decoder, wanted, true);
    if (!taken.is_tunnel)
        return false;   /* what is tried next begins with the payload, too */
    *kind = taken.kind; /* a weird of the mirror's own tunnel is nothing for the logs */
    return true;
}

/* True: the packet is a tunnel over IP, and was taken off or refused; see `kind`. */
static bool take_tunnel(struct stack *s, struct walk *w, struct packet *out, enum packet_kind *kind)
{
    const struct tunnel_decoder *decoder = s->by_proto[out->ip_proto];
    if (likely(!decoder))
        return false;
    if (out->n_layers == PACKET_MAX_LAYERS) {
        weird_add(out, "exceeded_tunnel_max_depth", weird_source(decoder), true);
        s->counters.n_too_deep++;
        *kind = PACKET_REFUSED;
        return true;
    }
    uint8_t n_layers = out->n_layers;
    struct walk outer = *w;
    struct taken taken = {0};
    if (out->ip_proto == PROTO_IPV4 || out->ip_proto == PROTO_IPV6) {
        /* Zeek measures the inner packet against all that was captured, and so do we; a frame
         * with padding or a checksum behind is then measured against the outer header. */
        struct reader rest = w->r;
        rd_skip(&rest, out->ip_len - out->payload_len);
        begin(w, rest, out->payload_len);
        taken = take_off(w, out, decoder, NULL, false);
    }
    if (!taken.is_tunnel && !taken.weird) {
        *w = outer;
        enter_payload(w, out);
        taken = take_off(w, out, decoder, NULL, false);
    }
    if (taken.weird) {
        /* It is about the outer packet, whose addresses the inner one's have not replaced yet. */
        uint8_t n_inner = out->n_layers;
        out->n_layers = n_layers;
        weird_add(out, taken.weird, weird_source(taken.decoder), true);
        out->n_layers = n_inner;
    }
    *kind = taken.is_tunnel ? taken.kind : PACKET_MALFORMED;
    return true;
}

static inline void read_ports(struct packet *out)
{
    out->sport = out->dport = 0;
    if (out->ip_proto != PROTO_TCP && out->ip_proto != PROTO_UDP && out->ip_proto != PROTO_SCTP)
        return;
    struct reader r = rd_make(out->payload, out->payload_size);
    out->sport = rd_be16(&r);
    out->dport = rd_be16(&r);
}

static enum packet_kind reassemble(struct stack *s, struct walk *w, struct packet *out,
                                   const struct ip_fragment *fragment)
{
    const uint8_t *bytes = NULL;
    uint32_t size = 0;
    s->counters.n_fragments++;
    enum fragment_result result = fragments_add(s->fragments, out, fragment, &bytes, &size);
    s->counters.n_fragments_evicted = fragments_evicted(s->fragments);
    switch (result) {
    case FRAGMENT_KEPT:
        return PACKET_FRAGMENT;
    case FRAGMENT_REFUSED:
        s->counters.n_fragments_refused++;
        return PACKET_REFUSED;
    case FRAGMENT_WHOLE:
        break;
    }
    s->counters.n_reassembled++;
    begin(w, rd_make(bytes, size), size);
    out->reassembled = true;
    return PACKET_IP;
}

static inline bool mirror_pending(const struct stack *s, const struct walk *w,
                                  const struct packet *out)
{
    return s->way->has_mirror && !w->resumed && out->n_layers == out->n_mirror &&
           (s->way->options.auto_mirror || out->n_mirror < s->way->options.n_mirror ||
            way_is_balanced(s->way, out));
}

/* From an IP header on, until there is nothing more to take off. */
static enum packet_kind unwrap(struct stack *s, struct walk *w, struct packet *out,
                               enum packet_kind kind)
{
    for (int turn = 0; kind == PACKET_IP; turn++) {
        if (unlikely(turn == MAX_TURNS)) {
            s->counters.n_too_deep++;
            return PACKET_REFUSED;
        }
        if (!w->decoded) {
            struct ip_fragment fragment;
            kind = ip_decode(&w->r, wire_left(w), s->way->has_mirror, out, &fragment);
            if (unlikely(kind != PACKET_IP)) {
                if (kind == PACKET_FRAGMENT)
                    kind = reassemble(s, w, out, &fragment);
                continue;
            }
            read_ports(out);
        }
        w->decoded = false;
        if (likely(!mirror_pending(s, w, out) || out->ip_proto == PROTO_TCP)) {
            if (likely(out->ip_proto == PROTO_TCP || out->ip_proto == PROTO_UDP))
                break;
        } else if (take_mirror(s, w, out, &kind))
            continue;
        if (take_tunnel(s, w, out, &kind))
            continue;
        break;
    }
    if (unlikely(kind != PACKET_IP))
        return count(s, w, kind);

    uint32_t need = min_header(out->ip_proto);
    if (unlikely(out->payload_size < need || out->payload_len < need))
        return count(s, w, short_transport(out, need));
    if (unlikely(out->ip_proto == 59)) { /* IPv6's "no next header" */
        const struct tunnel_decoder *around =
            out->n_layers ? out->layers[out->n_layers - 1].decoder : NULL;
        if (!around || !around->zeek_type || strcmp(around->zeek_type, "TEREDO") != 0)
            weird_add(out, "ipv6_no_next", "IP", true);
        return count(s, w, PACKET_OTHER);
    }
    return PACKET_IP;
}

/* Where mirrors were named, what does not come through all of them is somebody else's. */
static inline enum packet_kind check_mirror(struct stack *s, struct packet *out,
                                            enum packet_kind kind)
{
    if (likely(s->way->options.auto_mirror || out->n_mirror >= s->way->options.n_mirror))
        return kind;
    if (kind == PACKET_FRAGMENT || kind == PACKET_REFUSED)
        return kind;
    s->counters.n_not_mirror++;
    return PACKET_OTHER;
}

static inline void clear(struct stack *s, struct packet *out)
{
    if (unlikely(s->at_weird > N_WEIRDS - PACKET_MAX_WEIRDS))
        s->at_weird = 0;
    out->weirds = s->weirds + s->at_weird;
    out->n_weirds = 0;
    out->weird = NULL;
    out->has_mac = false;
    out->vlan = out->inner_vlan = 0;
    out->reassembled = false;
    out->more_size = 0;
}

void stack_decode(struct stack *s, const struct frame *frame, struct packet *out)
{
    s->counters.n_frames++;
    s->way = &s->ways[frame->input < s->n_ways ? frame->input : 0];
    clear(s, out);
    out->input = frame->input;
    out->ts = frame->ts;
    out->n_layers = out->n_mirror = 0;

    uint32_t wire = frame->wire_size > frame->size ? frame->wire_size : frame->size;
    out->frame = frame->bytes;
    out->frame_size = frame->size;
    out->frame_wire_size = wire;
    out->frame_link = frame->link;

    struct reader r = rd_make(frame->bytes, frame->size);
    struct walk w = {.wire = wire};
    enum packet_kind kind = PACKET_IP;
    if (likely(frame->link == LINK_ETHERNET && plain_decode(r, wire, out))) {
        if (likely(!s->way->has_mirror || out->ip_proto == PROTO_TCP) ||
            (s->way->is_vxlan && way_is_to_us(s->way, out) &&
             plain_mirror(s->mirror_port, frame, out))) {
            out->kind = check_mirror(s, out, kind);
            return;
        }
        w.decoded = true;
    } else {
        begin(&w, r, wire);
        if (unlikely(!link_known(frame->link)))
            s->counters.n_unknown_link++;
        kind = link_decode(&w.r, frame->link, out);
    }
    kind = likely(kind == PACKET_IP) ? unwrap(s, &w, out, kind) : count(s, &w, kind);
    out->kind = check_mirror(s, out, kind);
    s->at_weird += out->n_weirds;
}

/* A packet of the same frame as another, or inside another: what is common is copied. */
static void inherit(struct stack *s, const struct packet *from, uint8_t n_layers,
                    struct packet *out)
{
    clear(s, out);
    out->ts = from->ts;
    out->input = from->input;
    out->frame = from->frame;
    out->frame_size = from->frame_size;
    out->frame_wire_size = from->frame_wire_size;
    out->frame_link = from->frame_link;
    out->has_mac = from->has_mac;
    memcpy(out->src_mac, from->src_mac, sizeof out->src_mac);
    memcpy(out->dst_mac, from->dst_mac, sizeof out->dst_mac);
    out->vlan = from->vlan;
    out->inner_vlan = from->inner_vlan;
    out->n_layers = n_layers;
    out->n_mirror = from->n_mirror < n_layers ? from->n_mirror : n_layers;
    memcpy(out->layers, from->layers, n_layers * sizeof out->layers[0]);
}

bool stack_more(struct stack *s, const struct packet *packet, struct packet *out)
{
    if (likely(packet->more_size == 0))
        return false;
    inherit(s, packet, packet->more_layers, out);
    struct walk w = {.is_cut = false};
    begin(&w, rd_make(packet->more, packet->more_size), packet->more_size);
    enum packet_kind kind = link_decode_subframe(&w.r, out);
    kind = kind == PACKET_IP ? unwrap(s, &w, out, kind) : count(s, &w, kind);
    out->kind = check_mirror(s, out, kind);
    s->at_weird += out->n_weirds;
    return true;
}

enum stack_resumed stack_resume(struct stack *s, const struct packet *outer,
                                const struct tunnel_decoder *decoder, struct packet *out,
                                const char **weird)
{
    *weird = NULL;
    if (outer->n_layers == PACKET_MAX_LAYERS) {
        s->counters.n_too_deep++;
        *weird = "exceeded_tunnel_max_depth";
        return STACK_UNSURE;
    }
    inherit(s, outer, outer->n_layers, out);
    out->src = outer->src;
    out->dst = outer->dst;
    out->sport = outer->sport;
    out->dport = outer->dport;
    out->ip_proto = outer->ip_proto;
    out->ip_version = outer->ip_version;

    struct walk w = {.resumed = true};
    enter_payload(&w, outer);
    struct taken taken = take_off(&w, out, decoder, NULL, false);
    *weird = taken.weird;
    if (!taken.is_tunnel)
        return STACK_NO_TUNNEL;
    if (!taken.confirmed)
        return STACK_UNSURE;
    out->kind = taken.kind == PACKET_IP ? unwrap(s, &w, out, PACKET_IP) : count(s, &w, taken.kind);
    s->at_weird += out->n_weirds;
    return STACK_TUNNEL;
}

void stack_release(struct stack *s)
{
    fragments_release(s->fragments);
    s->counters.fragment_bytes = fragments_size(s->fragments);
}

void stack_expire(struct stack *s, int64_t now)
{
    s->counters.n_fragments_expired += fragments_expire(s->fragments, now);
}

const struct stack_counters *stack_counters(const struct stack *s)
{
    return &s->counters;
}
