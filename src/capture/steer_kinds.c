/* The pieces of programs for the mirrors' encapsulations: what src/tunnel/ draws, in classic BPF.
 */
#include <assert.h>

#include "capture/steer_maker.h"

#define MAX_TZSP_TAGS 6

enum { PORT_VXLAN = 4789 };

/* IP around UDP around VXLAN at X, to VXLAN with X behind the UDP header; anything else is the
 * inner packet itself. */
static void put_ip_vxlan(struct maker *m)
{
    unsigned v4 = bpf_label(m->b), port = bpf_label(m->b), found = bpf_label(m->b);
    unsigned udp4 = bpf_label(m->b), udp6 = bpf_label(m->b), back = bpf_label(m->b);
    bpf_put(m->b, BPF_STX, SLOT_BASE);
    steer_put_version(m, v4);
    load(m, BPF_B, 6);
    if_equal(m, PROTO_UDP, udp6, m->ip);
    bpf_here(m->b, udp6);
    advance(m, 40);
    bpf_go(m->b, port);
    bpf_here(m->b, v4);
    load(m, BPF_H, 6);
    if_bits(m, 0x3fff, m->unread, 0);
    load(m, BPF_B, 9);
    if_equal(m, PROTO_UDP, udp4, m->ip);
    bpf_here(m->b, udp4);
    steer_put_ipv4_size(m);
    advance_by_a(m);
    bpf_here(m->b, port);
    need(m, 8);
    load(m, BPF_H, 2);
    if_equal(m, PORT_VXLAN, found, back);
    bpf_here(m->b, back);
    recall_x(m, SLOT_BASE);
    bpf_go(m->b, m->ip);
    bpf_here(m->b, found);
    advance(m, 8);
    bpf_go(m->b, m->kinds[STEER_VXLAN]);
}

static void put_geneve(struct maker *m, bool has_vxlan)
{
    need(m, 8);
    load(m, BPF_H, 0);
    if_bits(m, 0xc080, m->unread, 0); /* another version, or control */
    load(m, BPF_H, 2);
    store(m, SLOT_TYPE);
    load(m, BPF_B, 0);
    alu(m, BPF_AND, 0x3f);
    alu(m, BPF_LSH, 2);
    alu(m, BPF_ADD, 8);
    advance_by_a(m);
    recall(m, SLOT_TYPE);
    unsigned ip = has_vxlan ? bpf_label(m->b) : m->ip;
    if_equal(m, TYPE_ETHERNET, m->ether, 0);
    if_equal(m, TYPE_IPV4, ip, 0);
    if_equal(m, TYPE_IPV6, ip, m->unread);
    if (has_vxlan) {
        bpf_here(m->b, ip);
        put_ip_vxlan(m);
    }
}

static void put_vxlan(struct maker *m)
{
    need(m, 8);
    load(m, BPF_B, 0);
    if_bits(m, 0x08, 0, m->unread);
    advance(m, 8);
    bpf_go(m->b, m->ether);
}

static void put_vxlan_gpe(struct maker *m)
{
    unsigned plain = bpf_label(m->b);
    need(m, 8);
    load(m, BPF_B, 3);
    store(m, SLOT_TYPE);
    load(m, BPF_B, 0);
    if_bits(m, 0x08, 0, m->unread);
    store(m, SLOT_FLAGS);
    advance(m, 8);
    recall(m, SLOT_FLAGS);
    if_bits(m, 0x04, 0, plain);
    recall(m, SLOT_TYPE);
    if_equal(m, 1, m->ip, 0);
    if_equal(m, 2, m->ip, 0);
    if_equal(m, 3, m->ether, m->unread);
    bpf_here(m->b, plain);
    bpf_go(m->b, m->ether);
}

static void put_tzsp(struct maker *m)
{
    unsigned data = bpf_label(m->b), end = bpf_label(m->b);
    need(m, 4);
    load(m, BPF_B, 1);
    bpf_if(m->b, BPF_JGT, 1, m->unread, 0); /* neither received nor sent */
    load(m, BPF_H, 2);
    if_equal(m, 1, data, m->unread); /* not Ethernet */
    bpf_here(m->b, data);
    advance(m, 4);
    for (unsigned i = 0; i < MAX_TZSP_TAGS; i++) {
        unsigned padding = bpf_label(m->b), next = bpf_label(m->b);
        need(m, 1);
        load(m, BPF_B, 0);
        if_equal(m, 1, end, 0);
        if_equal(m, 0, padding, 0);
        need(m, 2);
        load(m, BPF_B, 1);
        alu(m, BPF_ADD, 2);
        advance_by_a(m);
        bpf_go(m->b, next);
        bpf_here(m->b, padding);
        advance(m, 1);
        bpf_here(m->b, next);
    }
    bpf_go(m->b, m->unread);
    bpf_here(m->b, end);
    advance(m, 1);
    bpf_go(m->b, m->ether);
}

/* GRE's header, which has four bytes for each of its flags; ends with X behind it. */
static void put_gre_header(struct maker *m)
{
    static const uint16_t flags[] = {0x8000, 0x2000, 0x1000};
    need(m, 4);
    load(m, BPF_H, 0);
    if_bits(m, 0x407f, m->unread, 0); /* routing, unknown flags, another version */
    store(m, SLOT_FLAGS);
    load(m, BPF_H, 2);
    store(m, SLOT_TYPE);
    advance(m, 4);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        unsigned without = bpf_label(m->b);
        recall(m, SLOT_FLAGS);
        if_bits(m, flags[i], 0, without);
        advance(m, 4);
        bpf_here(m->b, without);
    }
}

static void put_gre(struct maker *m)
{
    unsigned erspan = bpf_label(m->b), erspan3 = bpf_label(m->b), no_more = bpf_label(m->b);
    unsigned v2 = bpf_label(m->b), v3 = bpf_label(m->b);
    put_gre_header(m);
    recall(m, SLOT_TYPE);
    if_equal(m, TYPE_ETHERNET, m->ether, 0);
    if_equal(m, TYPE_IPV4, m->ip, 0);
    if_equal(m, TYPE_IPV6, m->ip, 0);
    if_equal(m, TYPE_ERSPAN, erspan, 0);
    if_equal(m, TYPE_ERSPAN3, erspan3, m->unread);

    bpf_here(m->b, erspan); /* with a sequence number it is type II, with a header */
    recall(m, SLOT_FLAGS);
    if_bits(m, 0x1000, 0, m->ether);
    need(m, 8);
    load(m, BPF_B, 0);
    alu(m, BPF_AND, 0xf0);
    if_equal(m, 0x10, v2, m->unread);
    bpf_here(m->b, v2);
    advance(m, 8);
    bpf_go(m->b, m->ether);

    bpf_here(m->b, erspan3);
    need(m, 12);
    load(m, BPF_B, 0);
    alu(m, BPF_AND, 0xf0);
    if_equal(m, 0x20, v3, m->unread);
    bpf_here(m->b, v3);
    load(m, BPF_H, 10);
    store(m, SLOT_FLAGS);
    advance(m, 12);
    recall(m, SLOT_FLAGS);
    if_bits(m, 1, 0, no_more);
    advance(m, 8); /* the platform's part */
    bpf_here(m->b, no_more);
    recall(m, SLOT_FLAGS);
    alu(m, BPF_RSH, 10);
    alu(m, BPF_AND, 0x1f);
    if_equal(m, 0, m->ether, 0);
    if_equal(m, 2, m->ip, m->unread);
}

/* A label for the kind's header, with X at its first byte. */
unsigned steer_kind_label(struct maker *m, enum steer_kind kind)
{
    switch (kind) {
    case STEER_ETHERNET:
        return m->ether;
    case STEER_IP:
        return m->ip;
    case STEER_GENEVE_VXLAN:
        (void)steer_kind_label(m, STEER_VXLAN);
        break;
    case STEER_VXLAN:
    case STEER_VXLAN_GPE:
    case STEER_GENEVE:
    case STEER_GRE:
    case STEER_TZSP:
    case STEER_N_KINDS:
        break;
    }
    assert(kind < STEER_N_KINDS);
    if (m->kinds[kind] == 0)
        m->kinds[kind] = bpf_label(m->b);
    return m->kinds[kind];
}

/* The headers of all kinds that were asked for, and the inner packet; ends with the hash in A. */
void steer_put_kinds(struct maker *m)
{
    static const enum steer_kind order[] = {STEER_GENEVE,    STEER_GENEVE_VXLAN, STEER_VXLAN,
                                            STEER_VXLAN_GPE, STEER_GRE,          STEER_TZSP};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (m->kinds[order[i]] == 0)
            continue;
        bpf_here(m->b, m->kinds[order[i]]);
        if (order[i] == STEER_GENEVE || order[i] == STEER_GENEVE_VXLAN)
            put_geneve(m, order[i] == STEER_GENEVE_VXLAN);
        else if (order[i] == STEER_VXLAN)
            put_vxlan(m);
        else if (order[i] == STEER_VXLAN_GPE)
            put_vxlan_gpe(m);
        else if (order[i] == STEER_GRE)
            put_gre(m);
        else
            put_tzsp(m);
    }
    steer_put_inner(m);
}
