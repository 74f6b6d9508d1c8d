/* What the programs of steer.h are made of: for steer_inner.c, steer_kinds.c and steer_program.c.
 *
 * Programs only jump forward, so that the pieces lie in the order in which headers come: the outer
 * link and IP header, GENEVE, VXLAN and the others, the inner link header, the inner IP header, the
 * hash. In all of them X is the offset of the header that comes next, and what lies in M is named
 * below. A load past the packet's end ends a program with 0: right where that means worker 0, wrong
 * in a filter, where it means "not taken"; there, pieces ask for the size first. */
#ifndef CAPTURE_STEER_MAKER_H
#define CAPTURE_STEER_MAKER_H

#include "capture/steer.h"

/* Words of M. */
enum slot {
    SLOT_SCRATCH,
    SLOT_TYPE,  /* EtherType, or GRE's protocol */
    SLOT_FLAGS, /* of GRE */
    SLOT_SIZE,  /* of the header that is being read */
    SLOT_BASE,  /* X, while X is needed */
    SLOT_SRC,   /* sums of the ends */
    SLOT_DST,
    SLOT_SPORT, /* products */
    SLOT_DPORT,
    SLOT_WORDS, /* four products */
};

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, TYPE_ETHERNET = 0x6558 };
enum { TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8, TYPE_QINQ_OLD = 0x9100 };
enum { TYPE_ERSPAN = 0x88be, TYPE_ERSPAN3 = 0x22eb };
enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_GRE = 47, PROTO_SCTP = 132 };

/* Labels of a program's pieces. */
struct maker {
    struct bpf_asm *b;
    const struct steer_key *key;
    bool checks_size;
    unsigned unread; /* worker 0 */
    unsigned ether, ip;
    unsigned kinds[STEER_N_KINDS]; /* 0: not needed */
};

static inline void load(struct maker *m, unsigned size, uint32_t offset)
{
    bpf_put(m->b, BPF_LD | size | BPF_IND, offset);
}

static inline void store(struct maker *m, enum slot slot)
{
    bpf_put(m->b, BPF_ST, slot);
}

static inline void recall(struct maker *m, enum slot slot)
{
    bpf_put(m->b, BPF_LD | BPF_MEM, slot);
}

static inline void recall_x(struct maker *m, enum slot slot)
{
    bpf_put(m->b, BPF_LDX | BPF_MEM, slot);
}

static inline void alu(struct maker *m, unsigned op, uint32_t k)
{
    bpf_put(m->b, BPF_ALU | op | BPF_K, k);
}

static inline void if_equal(struct maker *m, uint32_t value, unsigned yes, unsigned no)
{
    bpf_if(m->b, BPF_JEQ, value, yes, no);
}

static inline void if_bits(struct maker *m, uint32_t bits, unsigned yes, unsigned no)
{
    bpf_if(m->b, BPF_JSET, bits, yes, no);
}

/* X += A */
static inline void advance_by_a(struct maker *m)
{
    bpf_put(m->b, BPF_ALU | BPF_ADD | BPF_X, 0);
    bpf_put(m->b, BPF_MISC | BPF_TAX, 0);
}

/* X += size; A is lost. */
static inline void advance(struct maker *m, uint32_t size)
{
    bpf_put(m->b, BPF_LD | BPF_IMM, size);
    advance_by_a(m);
}

/* A filter goes on only where `size` bytes are there at X. A is lost. */
static inline void need(struct maker *m, uint32_t size)
{
    if (!m->checks_size)
        return;
    bpf_put(m->b, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_if(m->b, BPF_JGE | BPF_X, 0, 0, m->unread);
    bpf_put(m->b, BPF_ALU | BPF_SUB | BPF_X, 0);
    bpf_if(m->b, BPF_JGE, size, 0, m->unread);
}

/* In the order in which they may stand in a program. Each falls through, unless it says where it
 * goes. */
void steer_put_ether(struct maker *m);             /* A: the type; X behind the header */
void steer_put_type(struct maker *m, unsigned ip); /* A: the type; goes to `ip` */
void steer_put_version(struct maker *m,
                       unsigned v4);       /* X: an IP header; goes to `v4`, or it is 6 */
void steer_put_ipv4_size(struct maker *m); /* into its slot, and A */
void steer_put_kinds(
    struct maker *m); /* those that have labels, and the inner packet: A the hash */
void steer_put_inner(struct maker *m);

/* A label for the kind's header, with X at its first byte. */
unsigned steer_kind_label(struct maker *m, enum steer_kind kind);

#endif
