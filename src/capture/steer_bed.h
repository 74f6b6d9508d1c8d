/* For unit tests: connections made of a seed, their packets in both directions, and the mirrors'
 * wrappings around them with whatever a sender may put into the headers. */
#ifndef CAPTURE_STEER_BED_H
#define CAPTURE_STEER_BED_H

#include "capture/steer.h"
#include "net/frames_bed.h"

static inline uint32_t bed_random(uint64_t *state, uint32_t below)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z >> 32) % below);
}

struct bed_flow {
    struct addr src, dst;
    uint16_t sport, dport;
    uint8_t proto;
    uint8_t n_tags;
};

static inline struct addr bed_addr(uint64_t *state, bool v6)
{
    struct addr a = frame_addr(10, (uint8_t)bed_random(state, 2), (uint8_t)bed_random(state, 4),
                               (uint8_t)bed_random(state, 250));
    if (v6) {
        memset(a.b, 0, 12);
        a.b[0] = 0x20;
        a.b[1] = 1;
        for (unsigned i = 4; i < 10; i++)
            a.b[i] = (uint8_t)bed_random(state, 256);
    }
    return a;
}

static inline struct bed_flow bed_flow(uint64_t *state)
{
    static const uint8_t protos[] = {6, 6, 6, 17, 17, 132, 1, 47};
    static const uint16_t ports[] = {53, 443, 4789, 3544, 80, 8472, 6081, 40000};
    struct bed_flow flow;
    bool v6 = bed_random(state, 3) == 0;
    flow.src = bed_addr(state, v6);
    flow.dst = bed_addr(state, v6);
    flow.proto = protos[bed_random(state, sizeof protos)];
    flow.sport = (uint16_t)(1024 + bed_random(state, 60000));
    flow.dport = ports[bed_random(state, sizeof ports / sizeof *ports)];
    flow.n_tags = (uint8_t)bed_random(state, 3);
    return flow;
}

/* What the mirror's programs and everybody else must make of it. */
static inline uint32_t bed_hash(const struct steer_key *key, const struct bed_flow *f)
{
    bool tunnel = steer_is_tunnel_port(f->sport) || steer_is_tunnel_port(f->dport);
    bool has_ports = f->proto == 6 || f->proto == 132 || (f->proto == 17 && !tunnel);
    return steer_hash(key, &f->src, &f->dst, f->sport, f->dport, has_ports);
}

static inline void bed_tag(struct frame_bed *b, uint16_t tpid, uint16_t tci)
{
    memmove(b->bytes + b->at - 4, b->bytes + b->at, 12);
    b->at -= 4;
    frame_set16(b, 12, tpid);
    frame_set16(b, 14, tci);
}

/* A bare IP packet of the flow, with IPv4 options now and then. `size` bytes of payload. */
static inline void bed_ip(struct frame_bed *b, const struct bed_flow *f, bool back, size_t size,
                          uint64_t *state)
{
    static const uint8_t payload[1500];
    uint16_t sport = back ? f->dport : f->sport, dport = back ? f->sport : f->dport;
    const struct addr *src = back ? &f->dst : &f->src, *dst = back ? &f->src : &f->dst;
    frame_begin(b, payload, size);
    if (f->proto == 6) {
        frame_tcp(b, sport, dport, 1, 2, 0x18, 1000, -1);
    } else if (f->proto == 17) {
        frame_udp(b, sport, dport);
    } else if (f->proto == 132) {
        uint8_t h[12] = {0};
        frame_put(b, h, sizeof h);
        frame_set16(b, 0, sport);
        frame_set16(b, 2, dport);
    } else if (f->proto == 1) {
        frame_icmp(b, back ? 0 : 8, 0);
    } else {
        uint8_t h[4] = {0, 0, 0x88, 0x0b};
        frame_put(b, h, sizeof h);
    }
    bool v4 = addr_is_v4(src);
    size_t options = v4 ? 4 * bed_random(state, 11) : 0;
    uint8_t none[40];
    memset(none, 1, sizeof none);
    frame_put(b, none, options);
    frame_ip(b, src, dst, f->proto);
    if (options > 0) { /* behind the header, not in front of it */
        uint8_t header[20];
        memcpy(header, frame_bytes(b), 20);
        memmove(b->bytes + b->at, header, 20);
        b->bytes[b->at] = (uint8_t)(0x45 + options / 4);
    }
}

static inline void bed_ethernet(struct frame_bed *b, const struct bed_flow *f)
{
    static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};
    frame_ethernet(b);
    for (unsigned i = 0; i < f->n_tags; i++)
        bed_tag(b, i == 0 ? 0x8100 : tpids[f->sport % 3], (uint16_t)(100 + i));
}

static inline void bed_gre(struct frame_bed *b, uint16_t proto, uint64_t *state, uint16_t flags)
{
    static const uint8_t noise[12] = {0xde, 0xad, 0xbe, 0xef, 8, 0, 0x45, 0, 0x65, 0x58, 1, 2};
    flags |= (uint16_t)(bed_random(state, 2) << 15 | bed_random(state, 2) << 13);
    size_t size = 4u * ((flags >> 15 & 1) + (flags >> 13 & 1) + (flags >> 12 & 1));
    frame_put(b, noise, size);
    uint8_t h[4] = {0};
    frame_put(b, h, 4);
    frame_set16(b, 0, flags);
    frame_set16(b, 2, proto);
}

/* GRE, with anything that the programs know in it; `b` holds the bare IP packet. */
static inline void bed_wrap_gre(struct frame_bed *b, const struct bed_flow *f, uint64_t *state)
{
    uint8_t h[20] = {0};
    bool v4 = addr_is_v4(&f->src);
    switch (bed_random(state, 6)) {
    case 0:
        bed_gre(b, v4 ? 0x0800 : 0x86dd, state, 0);
        break;
    case 1:
        bed_ethernet(b, f);
        bed_gre(b, 0x6558, state, bed_random(state, 2) ? 0x1000 : 0);
        break;
    case 2: /* ERSPAN I */
        bed_ethernet(b, f);
        bed_gre(b, 0x88be, state, 0);
        break;
    case 3: /* II */
        bed_ethernet(b, f);
        h[0] = 0x10;
        frame_put(b, h, 8);
        bed_gre(b, 0x88be, state, 0x1000);
        break;
    case 4: /* III */
        bed_ethernet(b, f);
        h[0] = 0x20;
        h[11] = (uint8_t)bed_random(state, 2);
        frame_put(b, h, 12 + 8u * h[11]);
        bed_gre(b, 0x22eb, state, 0x1000);
        break;
    case 5: /* III, with a bare IP packet */
        h[0] = 0x20;
        h[10] = 2 << 2;
        h[11] = (uint8_t)bed_random(state, 2);
        frame_put(b, h, 12 + 8u * h[11]);
        bed_gre(b, 0x22eb, state, 0x1000);
        break;
    }
}

static inline void bed_wrap_geneve(struct frame_bed *b, uint16_t type, uint64_t *state)
{
    uint8_t options[252];
    size_t size = 4 * bed_random(state, 64);
    for (size_t i = 0; i < size; i++)
        options[i] = (uint8_t)bed_random(state, 256);
    frame_put(b, options, size);
    uint8_t h[8] = {(uint8_t)(size / 4), bed_random(state, 2) ? 0x40 : 0};
    frame_put(b, h, sizeof h);
    frame_set16(b, 2, type);
}

/* What a mirror of this kind sends as UDP payload; `b` holds the bare IP packet. */
static inline void bed_wrap(struct frame_bed *b, const struct bed_flow *f, enum steer_kind kind,
                            uint64_t *state)
{
    uint8_t h[8] = {0};
    bool v4 = addr_is_v4(&f->src);
    switch (kind) {
    case STEER_GENEVE_VXLAN:
    case STEER_VXLAN:
        bed_ethernet(b, f);
        for (unsigned i = 0; i < 8; i++)
            h[i] = (uint8_t)bed_random(state, 256);
        h[0] |= 8;
        frame_put(b, h, 8);
        if (kind == STEER_VXLAN)
            break;
        frame_udp(b, (uint16_t)bed_random(state, 65536), 4789);
        struct addr src = bed_addr(state, v4), dst = bed_addr(state, v4);
        frame_ip(b, &src, &dst, 17);
        bed_wrap_geneve(b, v4 ? 0x86dd : 0x0800, state);
        break;
    case STEER_VXLAN_GPE:
        h[0] = 0x0c;
        h[3] = (uint8_t)(v4 ? 1 : 2);
        if (bed_random(state, 2)) {
            bed_ethernet(b, f);
            h[0] = bed_random(state, 2) ? 0x0c : 0x08;
            h[3] = h[0] == 0x0c ? 3 : 1;
        }
        frame_put(b, h, 8);
        break;
    case STEER_GENEVE:
        if (bed_random(state, 2)) {
            bed_ethernet(b, f);
            bed_wrap_geneve(b, 0x6558, state);
        } else {
            bed_wrap_geneve(b, v4 ? 0x0800 : 0x86dd, state);
        }
        break;
    case STEER_GRE:
        bed_wrap_gre(b, f, state);
        break;
    case STEER_TZSP:
        bed_ethernet(b, f);
        h[0] = 1;
        frame_put(b, h, 1);
        for (unsigned i = bed_random(state, 5); i > 0; i--) {
            h[0] = (uint8_t)(10 + i);
            h[1] = (uint8_t)(i % 5);
            frame_put(b, h, i % 2 ? 2u + h[1] : 0);
            h[0] = 0;
            frame_put(b, h, i % 2 ? 0 : 1);
        }
        h[0] = 1;
        h[1] = (uint8_t)bed_random(state, 2);
        h[2] = 0;
        h[3] = 1;
        frame_put(b, h, 4);
        break;
    case STEER_ETHERNET:
        bed_ethernet(b, f);
        break;
    case STEER_IP:
    case STEER_N_KINDS:
        break;
    }
}

static const struct steer_port bed_ports[] = {
    {4789, STEER_VXLAN},  {8472, STEER_VXLAN},        {4790, STEER_VXLAN_GPE},
    {6081, STEER_GENEVE}, {6082, STEER_GENEVE_VXLAN}, {4754, STEER_GRE},
    {37008, STEER_TZSP},  {9999, STEER_ETHERNET},
};
#define BED_N_PORTS (sizeof bed_ports / sizeof *bed_ports)

static inline uint16_t bed_port(enum steer_kind kind)
{
    for (size_t i = 0; i < BED_N_PORTS; i++)
        if (bed_ports[i].kind == kind)
            return bed_ports[i].port;
    return 0;
}

/* False: as plain traffic it would look like a mirror's. */
static inline bool bed_is_plain(const struct bed_flow *f)
{
    return f->proto != 47 && !steer_is_tunnel_port(f->sport) && !steer_is_tunnel_port(f->dport);
}

/* An IP packet on the wire, without a link header: a mirror's, or (kind -1) the flow's own. */
static inline void bed_wire_ip(struct frame_bed *b, const struct bed_flow *f, int kind, bool back,
                               size_t size, uint64_t *seed)
{
    bed_ip(b, f, back, size, seed);
    if (kind < 0)
        return;
    bool v6 = bed_random(seed, 3) == 0;
    struct addr src = bed_addr(seed, v6), dst = bed_addr(seed, v6);
    if (kind == STEER_GRE && bed_random(seed, 2)) {
        bed_wrap_gre(b, f, seed);
        frame_ip(b, &src, &dst, 47);
    } else {
        bed_wrap(b, f, (enum steer_kind)kind, seed);
        frame_udp(b, (uint16_t)bed_random(seed, 65536), bed_port((enum steer_kind)kind));
        frame_ip(b, &src, &dst, 17);
    }
}

/* The same with an Ethernet header and up to two tags. */
static inline void bed_wire(struct frame_bed *b, const struct bed_flow *f, int kind, bool back,
                            size_t size, uint64_t *seed)
{
    struct bed_flow outer = *f;
    bed_wire_ip(b, f, kind, back, size, seed);
    if (kind >= 0)
        outer.n_tags = (uint8_t)bed_random(seed, 3);
    bed_ethernet(b, &outer);
}

#endif
