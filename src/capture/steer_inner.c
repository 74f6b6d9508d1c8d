/* The pieces of programs for link and IP headers, and for the hash: steer.c's, in classic BPF. */
#include "capture/steer_maker.h"

#define MAX_TAGS 2

/* An Ethernet header at X: A is its type, X behind it. */
void steer_put_ether(struct maker *m)
{
    need(m, 14);
    load(m, BPF_H, 12);
    store(m, SLOT_TYPE);
    advance(m, 14);
    recall(m, SLOT_TYPE);
}

/* A is an EtherType, X behind it: tags are skipped, and only IP goes on, to `ip`. */
void steer_put_type(struct maker *m, unsigned ip)
{
    unsigned untagged = bpf_label(m->b);
    for (unsigned i = 0; i < MAX_TAGS; i++) {
        unsigned tagged = bpf_label(m->b);
        if_equal(m, TYPE_IPV4, ip, 0);
        if_equal(m, TYPE_VLAN, tagged, 0);
        if_equal(m, TYPE_QINQ, tagged, 0);
        if_equal(m, TYPE_QINQ_OLD, tagged, untagged);
        bpf_here(m->b, tagged);
        need(m, 4);
        load(m, BPF_H, 2);
        store(m, SLOT_TYPE);
        advance(m, 4);
        recall(m, SLOT_TYPE);
    }
    bpf_here(m->b, untagged);
    if_equal(m, TYPE_IPV4, ip, 0);
    if_equal(m, TYPE_IPV6, ip, m->unread);
}

/* The IP header at X: to `v4` or, by falling through, IPv6. Afterwards 20 or 40 bytes are there. */
void steer_put_version(struct maker *m, unsigned v4)
{
    unsigned v6 = bpf_label(m->b);
    need(m, 20);
    load(m, BPF_B, 0);
    alu(m, BPF_AND, 0xf0);
    if_equal(m, 0x40, v4, 0);
    if_equal(m, 0x60, v6, m->unread);
    bpf_here(m->b, v6);
    need(m, 40);
}

/* Of the IPv4 header at X; ends with the header's size in its slot. */
void steer_put_ipv4_size(struct maker *m)
{
    load(m, BPF_B, 0);
    alu(m, BPF_AND, 0x0f);
    alu(m, BPF_LSH, 2);
    store(m, SLOT_SIZE);
}

/* The sum of the address's products, at X. X is restored. */
static void put_ipv6_end(struct maker *m, uint32_t offset, enum slot sum)
{
    for (unsigned i = 0; i < 4; i++) {
        load(m, BPF_W, offset + 4 * i);
        alu(m, BPF_MUL, m->key->words[i]);
        store(m, SLOT_WORDS + i);
    }
    for (unsigned i = 0; i < 3; i++) { /* the last one is in A */
        recall_x(m, SLOT_WORDS + i);
        bpf_put(m->b, BPF_ALU | BPF_ADD | BPF_X, 0);
    }
    store(m, sum);
    recall_x(m, SLOT_BASE);
}

static void put_ipv4_end(struct maker *m, uint32_t offset, enum slot sum)
{
    load(m, BPF_W, offset);
    alu(m, BPF_MUL, m->key->words[3]);
    store(m, sum);
}

/* A ^= A >> bits; X is lost. */
static void put_fold(struct maker *m, uint32_t bits)
{
    bpf_put(m->b, BPF_MISC | BPF_TAX, 0);
    alu(m, BPF_RSH, bits);
    bpf_put(m->b, BPF_ALU | BPF_XOR | BPF_X, 0);
}

static void put_end_hash(struct maker *m, enum slot sum, enum slot port)
{
    recall(m, sum);
    recall_x(m, port);
    bpf_put(m->b, BPF_ALU | BPF_ADD | BPF_X, 0);
    put_fold(m, 15);
    alu(m, BPF_MUL, m->key->mix[0]);
}

/* One port of the transport header at X. Those of UDP may say that ports do not count. */
static void put_port(struct maker *m, uint32_t offset, enum slot slot, unsigned no_ports)
{
    load(m, BPF_H, offset);
    if (no_ports > 0)
        for (const uint16_t *p = steer_tunnel_ports; *p; p++)
            if_equal(m, *p, no_ports, 0);
    alu(m, BPF_MUL, m->key->port);
    store(m, slot);
}

/* The ports behind the IP header at X, of the protocol in A; falls through to what comes next. */
static void put_ports(struct maker *m)
{
    unsigned udp = bpf_label(m->b), other = bpf_label(m->b), done = bpf_label(m->b);
    unsigned no_ports = bpf_label(m->b);
    if_equal(m, PROTO_UDP, udp, 0);
    if_equal(m, PROTO_TCP, other, 0);
    if_equal(m, PROTO_SCTP, other, no_ports);
    for (unsigned i = 0; i < 2; i++) {
        bpf_here(m->b, i == 0 ? udp : other);
        recall(m, SLOT_SIZE);
        advance_by_a(m);
        need(m, 4);
        put_port(m, 0, SLOT_SPORT, i == 0 ? no_ports : 0);
        put_port(m, 2, SLOT_DPORT, i == 0 ? no_ports : 0);
        bpf_go(m->b, done);
    }
    bpf_here(m->b, no_ports);
    bpf_put(m->b, BPF_LD | BPF_IMM, 0);
    store(m, SLOT_SPORT);
    store(m, SLOT_DPORT);
    bpf_here(m->b, done);
}

/* The inner IP header at X: falls through with the hash in A. */
static void put_hash(struct maker *m)
{
    static const uint8_t extensions[] = {0, 43, 44, 51, 60, 135, 139, 140};
    unsigned v4 = bpf_label(m->b), ports = bpf_label(m->b);
    bpf_here(m->b, m->ip);
    steer_put_version(m, v4);
    bpf_put(m->b, BPF_STX, SLOT_BASE);
    load(m, BPF_B, 6);
    for (size_t i = 0; i < sizeof extensions; i++)
        if_equal(m, extensions[i], m->unread, 0);
    put_ipv6_end(m, 8, SLOT_SRC);
    put_ipv6_end(m, 24, SLOT_DST);
    bpf_put(m->b, BPF_LD | BPF_IMM, 40);
    store(m, SLOT_SIZE);
    load(m, BPF_B, 6);
    bpf_go(m->b, ports);

    bpf_here(m->b, v4);
    load(m, BPF_H, 6);
    if_bits(m, 0x3fff, m->unread, 0); /* a fragment */
    steer_put_ipv4_size(m);
    put_ipv4_end(m, 12, SLOT_SRC);
    put_ipv4_end(m, 16, SLOT_DST);
    load(m, BPF_B, 9);

    bpf_here(m->b, ports);
    put_ports(m);
    put_end_hash(m, SLOT_SRC, SLOT_SPORT);
    store(m, SLOT_SRC);
    put_end_hash(m, SLOT_DST, SLOT_DPORT);
    recall_x(m, SLOT_SRC);
    bpf_put(m->b, BPF_ALU | BPF_ADD | BPF_X, 0);
    put_fold(m, 16);
    alu(m, BPF_MUL, m->key->mix[1]);
    put_fold(m, 15);
}

/* The inner link header at X, or its type in A, then the IP header and the hash. */
void steer_put_inner(struct maker *m)
{
    bpf_here(m->b, m->ether);
    steer_put_ether(m);
    steer_put_type(m, m->ip);
    put_hash(m);
}
