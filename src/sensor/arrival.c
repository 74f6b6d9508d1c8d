/* The arrival of live packets: see arrival.h. */
#include "sensor/arrival.h"

#include "source/address_book.h"
#include "source/canary_watch.h"
#include "source/witness.h"
#include "tunnel/tunnel.h"

#define PROTO_UDP 17

/* The marked packet of a mirror that is made by the IP layer: a datagram to port 9 of nobody, by
 * RFC 5737, or of a neighbour that no link has. */
static bool is_proof(const struct packet *packet)
{
    static const struct addr nobody[] = {
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}},
        {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x77, 0, 1}},
    };
    static const char mark[] = "cloudspan ";
    const size_t head = 8, len = sizeof mark - 1;
    return packet->ip_proto == PROTO_UDP && packet->dport == 9 &&
           packet->payload_size >= head + len && memcmp(packet->payload + head, mark, len) == 0 &&
           (addr_eq(&packet->dst, &nobody[0]) || addr_eq(&packet->dst, &nobody[1]));
}

static bool is_port(const struct arrival_rules *rules, uint16_t port)
{
    for (size_t i = 0; i < rules->n_ports; i++)
        if (rules->ports[i] == port)
            return true;
    return false;
}

/* A mirror's packet to this collector that somebody mirrored to this collector: followed, it would
 * be counted once more for each turn of the loop. */
static bool is_loop(const struct arrival_rules *rules, const struct packet *packet)
{
    if (packet->n_mirror == 0)
        return false;
    if (packet->n_layers > packet->n_mirror) {
        const struct packet_layer *layer = &packet->layers[packet->n_mirror];
        return layer->decoder->is_mirror && addr_set_has(&rules->own, &layer->dst);
    }
    return packet->kind == PACKET_IP && packet->ip_proto == PROTO_UDP &&
           is_port(rules, packet->dport) && addr_set_has(&rules->own, &packet->dst);
}

static bool is_own(const struct arrival_rules *rules, const struct packet *packet)
{
    return packet->n_mirror == 0 && packet->input > 0 && packet->input <= rules->n_inputs &&
           rules->skip_own[packet->input - 1] &&
           (addr_set_has(&rules->own, &packet->src) || addr_set_has(&rules->own, &packet->dst));
}

static uint64_t sent_size(const struct packet *packet)
{
    return packet->frame_wire_size > packet->frame_size ? packet->frame_wire_size
                                                        : packet->frame_size;
}

#define PROTO_TCP 6

/* To or from the machine itself: by its addresses, where they are known, or by the mirror's sender,
 * which often is the machine. */
static void count_direction(struct source *s, const struct packet *packet, uint64_t size,
                            const struct arrival_found *found)
{
    struct source_counters *c = &s->counters;
    bool is_out = found->machine && found->src == found->machine;
    bool is_in = found->machine && found->dst == found->machine;
    if (!is_out && !is_in && s->decoder) {
        is_out = addr_eq(&packet->src, &s->outer);
        is_in = addr_eq(&packet->dst, &s->outer);
    }
    bool is_tcp = packet->ip_proto == PROTO_TCP;
    if (is_out) {
        source_add(&c->n_out, 1);
        source_add(&c->n_out_bytes, size);
        source_add(&c->n_tcp_out, is_tcp);
    }
    if (is_in) {
        source_add(&c->n_in, 1);
        source_add(&c->n_in_bytes, size);
        source_add(&c->n_tcp_in, is_tcp);
    }
}

/* What an interface says by itself, and the mirror's own tunnel device as well, also when nothing
 * is mirrored: ARP and its kin, and what stays on the link (RFC 4291 ff02::/16 from a link-local
 * address: router solicitations, multicast reports; RFC 5771 224.0.0.0/24). */
static bool is_noise(const struct packet *packet)
{
    if (packet->kind != PACKET_IP)
        return packet->kind != PACKET_FRAGMENT;
    const uint8_t *src = packet->src.b, *dst = packet->dst.b;
    if (packet->ip_version == 4)
        return dst[12] == 224 && dst[13] == 0 && dst[14] == 0;
    return dst[0] == 0xff && dst[1] == 0x02 &&
           ((src[0] == 0xfe && (src[1] & 0xc0) == 0x80) || src[0] == 0);
}

static void count(struct source *s, const struct packet *packet, const struct arrival_found *found)
{
    struct source_counters *c = &s->counters;
    uint64_t size = sent_size(packet);
    source_add(&c->n_packets, 1);
    source_add(&c->n_bytes, size);
    if (is_noise(packet)) {
        source_add(&c->n_noise, 1);
        source_add(&c->noise_bytes, size);
    }
    if (packet->kind == PACKET_IP) {
        count_direction(s, packet, size, found);
        if (packet->ip_len > c->largest_size)
            __atomic_store_n(&c->largest_size, packet->ip_len, __ATOMIC_RELAXED);
    }
    bool is_cut = packet->frame_size < size ||
                  (packet->kind == PACKET_IP && packet->payload_size < packet->payload_len);
    if (is_cut) {
        source_add(&c->n_cut, 1);
        if (packet->kind == PACKET_IP && packet->ip_size > c->cut_size)
            __atomic_store_n(&c->cut_size, packet->ip_size, __ATOMIC_RELAXED);
    }
    if (packet->ts > c->last)
        __atomic_store_n(&c->last, packet->ts, __ATOMIC_RELAXED);
}

/* Every packet at first, then one in a few: addresses do not change often. */
#define LEARN_ALL    4096
#define LEARN_ONE_IN 8

static void learn(const struct arrival *a, const struct source *s, uint16_t machine,
                  const struct packet *packet)
{
    if (a->learner && machine && s->decoder &&
        (s->counters.n_packets < LEARN_ALL || s->counters.n_packets % LEARN_ONE_IN == 0))
        address_learner_see(a->learner, machine, packet);
}

/* The leaked tag of a switch: bytes are those of a live capture, and ours to move. */
static void drop_tag(struct packet *packet)
{
    struct reader r = rd_make(packet->frame, packet->frame_size);
    rd_skip(&r, 12);
    uint16_t type = rd_be16(&r);
    rd_skip(&r, 2);
    if (!rd_ok(&r) || packet->frame_link != LINK_ETHERNET ||
        (type != 0x8100 && type != 0x88a8 && type != 0x9100))
        return;
    uint8_t macs[12];
    memcpy(macs, packet->frame, sizeof macs);
    memcpy((uint8_t *)(uintptr_t)packet->frame + 4, macs, sizeof macs);
    packet->frame += 4;
    packet->frame_size -= 4;
    packet->frame_wire_size -= 4;
    packet->vlan = packet->inner_vlan;
    packet->inner_vlan = 0;
}

#define LOAD(value) __atomic_load_n(&(value), __ATOMIC_RELAXED)

/* How many packets of unknown senders this one stands for. */
static uint32_t weight_of(const struct arrival *a, const struct packet *packet)
{
    const struct arrival_rules *rules = a->rules;
    if (!a->gate || packet->n_mirror == 0 || packet->input == 0 ||
        packet->input > rules->n_inputs || packet->ts < LOAD(a->gate->since) ||
        packet->ts >= LOAD(a->gate->until))
        return 1;
    switch ((enum arrival_gate_kind)rules->gated[packet->input - 1]) {
    case ARRIVAL_UNGATED:
        return 1;
    case ARRIVAL_GATED_RING:
        if (packet->reassembled || packet->layers[0].decoder == &tunnel_geneve)
            return 1;
        break;
    case ARRIVAL_GATED:
        break;
    }
    return LOAD(a->gate->one_in);
}

/* `s`: NULL for a channel that there was no room for. */
static void count_refused(struct arrival *a, struct source *s, const struct packet *packet)
{
    uint32_t weight = weight_of(a, packet);
    a->counters.n_guessed += weight - 1;
    if (!s) {
        a->counters.n_unknown += weight;
        return;
    }
    a->counters.n_refused += weight;
    s->counters.n_refused += weight;
    s->counters.n_guessed += weight - 1;
    s->counters.last = packet->ts;
}

/* Under overload: a connection is kept or left out as a whole, in both directions. */
static bool is_kept(struct arrival *a, const struct source *s, const struct packet *packet)
{
    uint16_t keep = LOAD(s->keep);
    if (keep == 0)
        return true;
    uint32_t hash;
    if (!steer_packet(a->steer_key, packet, &hash))
        hash = a->n_without_connection++ * 0x9e3779b1u;
    return hash >> 24 < keep;
}

bool arrival_accept(struct arrival *a, struct packet *packet, struct arrival_found *out)
{
    const struct arrival_rules *rules = a->rules;
    *out = (struct arrival_found){.source = 0};
    packet->network = 0;
    bool is_ip = packet->kind == PACKET_IP;
    if (is_ip && is_own(rules, packet)) {
        a->counters.n_own++;
        return false;
    }
    out->source = source_of_live(a->sources, packet);
    struct source *s = source_get(a->sources, out->source);
    if (!s) {
        count_refused(a, s, packet);
        return false;
    }
    /* All packets of a mirror have numbers: also those that are not of its machine's traffic. */
    source_look_at_seq(s->whole ? source_get(a->sources, s->whole) : s, packet);
    if (source_is_refused(s)) {
        count_refused(a, s, packet);
        return false;
    }
    packet->network = s->network;
    out->machine = __atomic_load_n(&s->machine, __ATOMIC_RELAXED);
    if (is_loop(rules, packet)) {
        a->counters.n_loops++;
        source_add(&s->counters.n_loops, 1);
        return false;
    }
    if (is_ip && rules->canaries && canary_is(rules->canaries, packet, out->machine)) {
        a->counters.n_canaries++;
        return false;
    }
    if (is_ip && is_proof(packet)) {
        a->counters.n_proofs++;
        return false;
    }
    if (!is_kept(a, s, packet)) {
        a->counters.n_left_out++;
        s->counters.n_left_out++;
        s->counters.last = packet->ts; /* it is not silent */
        return false;
    }
    if (s->drop_vlan ||
        (packet->input && packet->input <= rules->n_inputs && rules->drop_vlan[packet->input - 1]))
        drop_tag(packet);
    if (is_ip && a->book) {
        out->src = address_book_find(a->book, s->network, &packet->src);
        out->dst = address_book_find(a->book, s->network, &packet->dst);
    }
    count(s, packet, out);
    if (is_ip)
        learn(a, s, out->machine, packet);
    return true;
}

void arrival_sighted(struct arrival *a, const struct packet *packet,
                     const struct arrival_found *found, bool is_copy)
{
    struct source *s = source_get(a->sources, found->source);
    if (!s)
        return;
    source_add(&s->counters.n_copies, is_copy);
    if (!a->witness || !found->src || !found->dst || found->src == found->dst)
        return;
    struct witness_packet sight = {.src = found->src,
                                   .dst = found->dst,
                                   .seen_by = found->machine,
                                   .is_copy = is_copy,
                                   .proto = packet->ip_proto,
                                   .sport = packet->sport,
                                   .dport = packet->dport,
                                   .size = packet->ip_len};
    witness_sight(a->witness, &sight);
}
