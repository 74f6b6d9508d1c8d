/* The hash that decides, in C. Each end of the connection is a sum of products with secret odd
 * numbers, then mixed by itself, so that adding the two (which makes both directions alike) does
 * not cancel what they have in common. Only operations that classic BPF has are used. */
#include "capture/steer.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_SCTP = 132 };

/* VXLAN (and Linux's old port), VXLAN-GPE, GENEVE, GTP-U, Teredo, AYIYA, GRE in UDP. */
const uint16_t steer_tunnel_ports[] = {4789, 8472, 4790, 6081, 2152, 3544, 5072, 4754, 0};

bool steer_is_tunnel_port(uint16_t port)
{
    for (const uint16_t *p = steer_tunnel_ports; *p; p++)
        if (*p == port)
            return true;
    return false;
}

bool steer_kind_of_port(uint16_t port, enum steer_kind *out)
{
    static const struct steer_port usual[] = {
        {4789, STEER_VXLAN},  {8472, STEER_VXLAN}, {4790, STEER_VXLAN_GPE},
        {6081, STEER_GENEVE}, {4754, STEER_GRE},   {37008, STEER_TZSP},
    };
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].port == port) {
            *out = usual[i].kind;
            return true;
        }
    return false;
}

/* splitmix64: every bit of the secret reaches every bit of the numbers. */
static uint32_t next_odd(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)(z >> 32) | 1;
}

void steer_key_init(struct steer_key *key, uint64_t secret)
{
    for (size_t i = 0; i < 4; i++)
        key->words[i] = next_odd(&secret);
    key->port = next_odd(&secret);
    key->mix[0] = next_odd(&secret);
    key->mix[1] = next_odd(&secret);
}

static uint32_t end_hash(const struct steer_key *key, const struct addr *addr, uint32_t port)
{
    struct reader r = rd_make(addr->b, sizeof addr->b);
    uint32_t sum = port * key->port;
    if (addr_is_v4(addr)) {
        rd_skip(&r, 12);
        sum += rd_be32(&r) * key->words[3];
    } else {
        for (size_t i = 0; i < 4; i++)
            sum += rd_be32(&r) * key->words[i];
    }
    return (sum ^ sum >> 15) * key->mix[0];
}

uint32_t steer_hash(const struct steer_key *key, const struct addr *src, const struct addr *dst,
                    uint16_t sport, uint16_t dport, bool has_ports)
{
    uint32_t hash =
        end_hash(key, src, has_ports ? sport : 0) + end_hash(key, dst, has_ports ? dport : 0);
    hash = (hash ^ hash >> 16) * key->mix[1];
    return hash ^ hash >> 15;
}

bool steer_packet(const struct steer_key *key, const struct packet *packet, uint32_t *out_hash)
{
    const struct addr *src = &packet->src, *dst = &packet->dst;
    uint16_t sport = packet->sport, dport = packet->dport;
    uint8_t proto = packet->ip_proto;
    if (packet->n_layers > packet->n_mirror) {
        const struct packet_layer *layer = &packet->layers[packet->n_mirror];
        src = &layer->src;
        dst = &layer->dst;
        sport = layer->sport;
        dport = layer->dport;
        proto = layer->ip_proto;
    } else if (packet->kind != PACKET_IP) {
        return false;
    }
    bool has_ports =
        proto == PROTO_TCP || proto == PROTO_SCTP ||
        (proto == PROTO_UDP && !steer_is_tunnel_port(sport) && !steer_is_tunnel_port(dport));
    *out_hash = steer_hash(key, src, dst, sport, dport, has_ports);
    return true;
}
