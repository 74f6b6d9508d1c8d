/* The arrival of live packets: see arrival.h. */
#include "sensor/arrival.h"

#include "tunnel/tunnel.h"

#define PROTO_UDP 17

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

static void count(struct source *s, const struct packet *packet)
{
    struct source_counters *c = &s->counters;
    uint64_t size = sent_size(packet);
    c->n_packets++;
    c->n_bytes += size;
    if (size > c->largest_size)
        c->largest_size = size;
    bool is_cut = packet->frame_size < size ||
                  (packet->kind == PACKET_IP && packet->payload_size < packet->payload_len);
    if (is_cut) {
        c->n_cut++;
        if (packet->frame_size > c->cut_size)
            c->cut_size = packet->frame_size;
    }
    if (packet->ts > c->last)
        c->last = packet->ts;
    source_look_at_seq(s, packet);
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

bool arrival_accept(struct arrival *a, struct packet *packet, uint16_t *source)
{
    const struct arrival_rules *rules = a->rules;
    *source = 0;
    packet->network = 0;
    bool is_ip = packet->kind == PACKET_IP;
    if (is_ip && is_own(rules, packet)) {
        a->counters.n_own++;
        return false;
    }
    *source = source_of_live(a->sources, packet);
    struct source *s = source_get(a->sources, *source);
    if (!s) {
        a->counters.n_unknown++;
        return false;
    }
    if (s->is_refused || (s->refuses_rest && !s->part)) {
        a->counters.n_refused++;
        s->counters.n_refused++;
        s->counters.last = packet->ts;
        return false;
    }
    packet->network = s->network;
    if (is_loop(rules, packet)) {
        a->counters.n_loops++;
        s->counters.n_loops++;
        return false;
    }
    if (s->drop_vlan ||
        (packet->input && packet->input <= rules->n_inputs && rules->drop_vlan[packet->input - 1]))
        drop_tag(packet);
    count(s, packet);
    return true;
}

void arrival_sighted(struct arrival *a, const struct packet *packet, uint16_t source, bool is_copy)
{
    struct source *s = source_get(a->sources, source);
    if (!s)
        return;
    (void)packet;
    s->counters.n_copies += is_copy;
}
