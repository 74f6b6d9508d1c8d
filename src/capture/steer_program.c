/* The programs that the kernel runs to choose a worker. */
#include <assert.h>
#include <errno.h>

#include "capture/steer_maker.h"

static void begin(struct maker *m, struct bpf_asm *b, const struct steer_group *group)
{
    assert(group->n_workers > 0);
    bpf_begin(b);
    *m = (struct maker){.b = b, .key = group->key};
    m->unread = bpf_label(b);
    m->ether = bpf_label(b);
    m->ip = bpf_label(b);
}

/* The worker is what the program gives. */
static int finish_choice(struct maker *m, unsigned n_workers, struct bpf_code *out, struct err *err)
{
    alu(m, BPF_MOD, n_workers);
    bpf_put(m->b, BPF_RET | BPF_A, 0);
    bpf_here(m->b, m->unread);
    bpf_put(m->b, BPF_RET | BPF_K, 0);
    return bpf_finish(m->b, out, err);
}

static int refuse_many(struct err *err, const char *what, unsigned n, unsigned max)
{
    return err_set(err, -E2BIG, "%u %s at once: at most %u can be told apart", n, what, max);
}

/* What came in by one of these, or from somebody else, ends with `result`. */
static void put_excluded(struct maker *m, const struct steer_excluded *excluded, uint32_t result)
{
    if (excluded->n == 0 && !excluded->admit)
        return;
    unsigned wanted = bpf_label(m->b), unwanted = bpf_label(m->b);
    if (excluded->n > 0)
        bpf_put(m->b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX));
    for (unsigned i = 0; i < excluded->n; i++)
        if_equal(m, (uint32_t)excluded->ifindexes[i], unwanted, 0);
    if (excluded->admit)
        admit_put_sender(m->b, excluded->admit, ADMIT_AT_NETWORK, unwanted);
    bpf_go(m->b, wanted);
    bpf_here(m->b, unwanted);
    bpf_put(m->b, BPF_RET | BPF_K, result);
    bpf_here(m->b, wanted);
}

int steer_program_udp(const struct steer_group *group, enum steer_kind kind,
                      const struct steer_excluded *excluded, struct bpf_code *out, struct err *err)
{
    struct bpf_asm b;
    struct maker m;
    if (excluded->n > STEER_MAX_EXCLUDED)
        return refuse_many(err, "interfaces", excluded->n, STEER_MAX_EXCLUDED);
    begin(&m, &b, group);
    put_excluded(&m, excluded, group->n_workers);
    bpf_put(&b, BPF_LDX | BPF_W | BPF_IMM, 0);
    bpf_go(&b, steer_kind_label(&m, kind));
    steer_put_kinds(&m);
    return finish_choice(&m, group->n_workers, out, err);
}

int steer_program_gre(const struct steer_group *group, unsigned worker, bool is_ipv6,
                      const struct steer_excluded *excluded, struct bpf_code *out, struct err *err)
{
    struct bpf_asm b;
    struct maker m;
    if (excluded->n > STEER_MAX_EXCLUDED)
        return refuse_many(err, "interfaces", excluded->n, STEER_MAX_EXCLUDED);
    begin(&m, &b, group);
    m.checks_size = true;
    put_excluded(&m, excluded, 0);
    bpf_put(&b, BPF_LDX | BPF_W | BPF_IMM, 0);
    if (!is_ipv6) {
        need(&m, 20);
        bpf_put(&b, BPF_LDX | BPF_B | BPF_MSH, 0);
    }
    bpf_go(&b, steer_kind_label(&m, STEER_GRE));
    steer_put_kinds(&m);
    unsigned mine = bpf_label(&b), not_mine = bpf_label(&b);
    alu(&m, BPF_MOD, group->n_workers);
    if_equal(&m, worker, mine, not_mine);
    if (worker == 0)
        bpf_here(&b, m.unread);
    bpf_here(&b, mine);
    bpf_put(&b, BPF_RET | BPF_K, UINT32_MAX);
    if (worker != 0)
        bpf_here(&b, m.unread);
    bpf_here(&b, not_mine);
    bpf_put(&b, BPF_RET | BPF_K, 0);
    return bpf_finish(&b, out, err);
}

int steer_program_excluded(const struct steer_excluded *excluded, struct bpf_code *out,
                           struct err *err)
{
    static const struct steer_group nobody = {.n_workers = 1};
    struct bpf_asm b;
    struct maker m;
    if (excluded->n > STEER_MAX_EXCLUDED)
        return refuse_many(err, "interfaces", excluded->n, STEER_MAX_EXCLUDED);
    begin(&m, &b, &nobody);
    put_excluded(&m, excluded, 0);
    bpf_put(&b, BPF_RET | BPF_K, UINT32_MAX);
    return bpf_finish(&b, out, err);
}

/* The outer IP header at X: to the kind that its port or protocol says, or it is plain traffic and
 * the inner packet itself. */
static void put_outer_ip(struct maker *m, const struct steer_ring *ring, unsigned ip)
{
    unsigned v4 = bpf_label(m->b), known = bpf_label(m->b), udp = bpf_label(m->b);
    unsigned gre = bpf_label(m->b), plain = bpf_label(m->b);
    bpf_here(m->b, ip);
    bpf_put(m->b, BPF_STX, SLOT_BASE);
    steer_put_version(m, v4);
    bpf_put(m->b, BPF_LD | BPF_IMM, 40);
    store(m, SLOT_SIZE);
    load(m, BPF_B, 6);
    bpf_go(m->b, known);
    bpf_here(m->b, v4);
    load(m, BPF_H, 6);
    if_bits(m, 0x3fff, m->unread, 0); /* a fragment: worker 0 puts it together */
    steer_put_ipv4_size(m);
    load(m, BPF_B, 9);
    bpf_here(m->b, known);
    if_equal(m, PROTO_UDP, udp, 0);
    if_equal(m, PROTO_GRE, ring->takes_gre ? gre : m->ip, m->ip);
    bpf_here(m->b, udp);
    recall(m, SLOT_SIZE);
    advance_by_a(m);
    load(m, BPF_H, 2);
    for (unsigned i = 0; i < ring->n_ports; i++) {
        unsigned other = bpf_label(m->b);
        if_equal(m, ring->ports[i].port, 0, other);
        advance(m, 8);
        bpf_go(m->b, steer_kind_label(m, ring->ports[i].kind));
        bpf_here(m->b, other);
    }
    bpf_go(m->b, plain);
    bpf_here(m->b, plain);
    recall_x(m, SLOT_BASE);
    bpf_go(m->b, m->ip);
    bpf_here(m->b, gre);
    if (ring->takes_gre) {
        recall(m, SLOT_SIZE);
        advance_by_a(m);
        bpf_go(m->b, steer_kind_label(m, STEER_GRE));
    }
}

int steer_program_ring(const struct steer_group *group, const struct steer_ring *ring,
                       struct bpf_code *out, struct err *err)
{
    struct bpf_asm b;
    struct maker m;
    if (ring->n_ports > STEER_MAX_PORTS)
        return refuse_many(err, "ports", ring->n_ports, STEER_MAX_PORTS);
    begin(&m, &b, group);
    unsigned type = bpf_label(&b), ether = bpf_label(&b), ip = bpf_label(&b);
    bpf_put(&b, BPF_LDX | BPF_W | BPF_IMM, 0);
    if (ring->link != STEER_RING_AS_WRITTEN) {
        /* The kernel shows what comes in from its network header on, and what goes out from its
         * link header on, where it has one. */
        if (ring->link == STEER_RING_ETHERNET) {
            bpf_put(&b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
            if_equal(&m, 4, ether, 0); /* PACKET_OUTGOING */
        }
        bpf_put(&b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
        bpf_go(&b, type);
    }
    bpf_here(&b, ether);
    steer_put_ether(&m);
    bpf_here(&b, type);
    steer_put_type(&m, ip);
    put_outer_ip(&m, ring, ip);
    steer_put_kinds(&m);
    return finish_choice(&m, group->n_workers, out, err);
}
