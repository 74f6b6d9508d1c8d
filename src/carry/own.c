/* Leaving out what the carrier itself sends: see own.h.
 *
 *     Ethernet, up to four tags, PPPoE │ IPv4 │ UDP to the collector's port           left out
 *                                      │      │ later fragment of UDP to the collector left out
 *                                      │      │ ICMP error │ IPv4 │ either of them     left out
 *                                      │ IPv6, with a fragment header or without: as IPv4
 *
 * Later fragments have no ports: all of UDP to the collector are taken for ours. The sender's
 * address is not looked at, since it may be translated on the way out.
 *
 * The program only jumps forward. X is where the header begins that comes next. A load behind the
 * frame's end would end the program with "not taken": what is too short for a header is not ours,
 * and goes on to the user's filter. */
#include "carry/own.h"

#include <errno.h>
#include <linux/if_packet.h>

#include "base/reader.h"
#include "net/packet.h"

#define LOOKED_AT 512 /* bytes of a frame in which a nested copy is looked for */
#define MAX_TAGS  4

enum {
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_PPPOE = 0x8864,
    PPP_IPV4 = 0x21,
    PPP_IPV6 = 0x57
};
enum { TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8, TYPE_QINQ_OLD = 0x9100 };
enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_FRAGMENT = 44, PROTO_ICMP6 = 58 };

void own_init(struct own *own, const struct carry_options *options)
{
    *own = (struct own){.to = options->to, .port = options->port};
    if (options->wrap == CARRY_GENEVE)
        outer_put_geneve(options->id, OUTER_TYPE_BRIDGE, 0, own->head);
    else
        outer_put_vxlan(options->id, own->head);
}

/* The program in the making. */
struct maker {
    struct bpf_asm b;
    const struct own *own;
    unsigned other, mine; /* labels: not ours, ours */
};

static void load(struct maker *m, unsigned size, uint32_t offset)
{
    bpf_put(&m->b, BPF_LD | size | BPF_IND, offset);
}

static void if_equal(struct maker *m, uint32_t value, unsigned yes, unsigned no)
{
    bpf_if(&m->b, BPF_JEQ, value, yes, no);
}

/* X += A */
static void advance_by_a(struct maker *m)
{
    bpf_put(&m->b, BPF_ALU | BPF_ADD | BPF_X, 0);
    bpf_put(&m->b, BPF_MISC | BPF_TAX, 0);
}

static void advance(struct maker *m, uint32_t size)
{
    bpf_put(&m->b, BPF_LD | BPF_IMM, size);
    advance_by_a(m);
}

/* Goes on only where `size` bytes are there at X; else the frame is not ours. A is lost. */
static void need(struct maker *m, uint32_t size)
{
    bpf_put(&m->b, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_if(&m->b, BPF_JGE | BPF_X, 0, 0, m->other);
    bpf_put(&m->b, BPF_ALU | BPF_SUB | BPF_X, 0);
    bpf_if(&m->b, BPF_JGE, size, 0, m->other);
}

/* X: a UDP header. */
static void put_udp(struct maker *m)
{
    need(m, 4);
    load(m, BPF_H, 2);
    if_equal(m, m->own->port, m->mine, m->other);
}

static uint32_t word_of(const struct addr *addr, unsigned at)
{
    struct reader r = rd_make(addr->b + at, 4);
    return rd_be32(&r);
}

/* X: the IPv4 header of a packet that may be ours. With `errors` ICMP is looked into. */
static void put_v4(struct maker *m, bool errors)
{
    unsigned icmp = bpf_label(&m->b);
    need(m, 20);
    load(m, BPF_B, 9);
    if (errors)
        if_equal(m, PROTO_ICMP, icmp, 0);
    if_equal(m, PROTO_UDP, 0, m->other);
    load(m, BPF_W, 16);
    if_equal(m, word_of(&m->own->to, 12), 0, m->other);
    load(m, BPF_H, 6);
    bpf_if(&m->b, BPF_JSET, 0x1fff, m->mine, 0);
    load(m, BPF_B, 0);
    bpf_put(&m->b, BPF_ALU | BPF_AND | BPF_K, 0xf);
    bpf_put(&m->b, BPF_ALU | BPF_LSH | BPF_K, 2);
    advance_by_a(m);
    put_udp(m);
    bpf_here(&m->b, icmp);
    if (!errors)
        return;
    static const uint8_t types[] = {3, 4, 5, 11}; /* and 12 */
    unsigned inner = bpf_label(&m->b);
    load(m, BPF_H, 6);
    bpf_if(&m->b, BPF_JSET, 0x1fff, m->other, 0);
    load(m, BPF_B, 0);
    bpf_put(&m->b, BPF_ALU | BPF_AND | BPF_K, 0xf);
    bpf_put(&m->b, BPF_ALU | BPF_LSH | BPF_K, 2);
    advance_by_a(m);
    need(m, 8);
    load(m, BPF_B, 0);
    for (unsigned i = 0; i < sizeof types; i++)
        if_equal(m, types[i], inner, 0);
    if_equal(m, 12, 0, m->other);
    bpf_here(&m->b, inner);
    advance(m, 8);
    put_v4(m, false);
}

/* The same of IPv6. */
static void put_v6(struct maker *m, bool errors)
{
    unsigned icmp = bpf_label(&m->b), ours = bpf_label(&m->b), plain = bpf_label(&m->b);
    need(m, 40);
    load(m, BPF_B, 6);
    if (errors)
        if_equal(m, PROTO_ICMP6, icmp, 0);
    if_equal(m, PROTO_UDP, ours, 0);
    if_equal(m, PROTO_FRAGMENT, 0, m->other);
    bpf_here(&m->b, ours);
    for (unsigned i = 0; i < 4; i++) {
        load(m, BPF_W, 24 + 4 * i);
        if_equal(m, word_of(&m->own->to, 4 * i), 0, m->other);
    }
    load(m, BPF_B, 6);
    if_equal(m, PROTO_UDP, plain, 0);
    need(m, 48);
    load(m, BPF_B, 40);
    if_equal(m, PROTO_UDP, 0, m->other);
    load(m, BPF_H, 42);
    bpf_if(&m->b, BPF_JSET, 0xfff8, m->mine, 0);
    advance(m, 8);
    bpf_here(&m->b, plain);
    advance(m, 40);
    put_udp(m);
    bpf_here(&m->b, icmp);
    if (!errors)
        return;
    advance(m, 40);
    need(m, 8);
    load(m, BPF_B, 0);
    if_equal(m, 0, m->other, 0);
    bpf_if(&m->b, BPF_JGT, 4, m->other, 0);
    advance(m, 8);
    put_v6(m, false);
}

/* Ethernet at X = 0: X at the IP header of the collector's family, or it is not ours. */
static void put_ethernet(struct maker *m, bool is_v4)
{
    unsigned ip = bpf_label(&m->b);
    for (unsigned i = 0;; i++) {
        unsigned tag = bpf_label(&m->b);
        need(m, 14);
        load(m, BPF_H, 12);
        if_equal(m, is_v4 ? TYPE_IPV4 : TYPE_IPV6, ip, 0);
        if (i == MAX_TAGS)
            break;
        unsigned pppoe = bpf_label(&m->b);
        if_equal(m, TYPE_PPPOE, pppoe, 0);
        if_equal(m, TYPE_VLAN, tag, 0);
        if_equal(m, TYPE_QINQ, tag, 0);
        if_equal(m, TYPE_QINQ_OLD, tag, m->other);
        bpf_here(&m->b, pppoe);
        need(m, 22);
        load(m, BPF_H, 20);
        if_equal(m, is_v4 ? PPP_IPV4 : PPP_IPV6, 0, m->other);
        advance(m, 8);
        bpf_go(&m->b, ip);
        bpf_here(&m->b, tag);
        advance(m, 4);
    }
    bpf_go(&m->b, m->other);
    bpf_here(&m->b, ip);
    advance(m, 14);
}

/* No header in front: the version says what it is. */
static void put_version(struct maker *m, bool is_v4)
{
    need(m, 1);
    load(m, BPF_B, 0);
    bpf_put(&m->b, BPF_ALU | BPF_RSH | BPF_K, 4);
    if_equal(m, is_v4 ? 4 : 6, 0, m->other);
}

static void put_direction(struct maker *m, int direction)
{
    if (direction == CARRY_BOTH)
        return;
    unsigned wanted = bpf_label(&m->b), unwanted = bpf_label(&m->b);
    bpf_put(&m->b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
    if_equal(m, PACKET_OUTGOING, direction == CARRY_OUT ? wanted : unwanted,
             direction == CARRY_OUT ? unwanted : wanted);
    bpf_here(&m->b, unwanted);
    bpf_put(&m->b, BPF_RET | BPF_K, 0);
    bpf_here(&m->b, wanted);
}

/* The filter comes last: its jumps are relative. What it takes it takes whole. */
static int append(const struct sock_filter *filter, unsigned n, struct bpf_code *code,
                  struct err *err)
{
    static const struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    if (!filter) {
        filter = &all;
        n = 1;
    }
    if (n + code->n > BPF_CODE_MAX)
        return err_set(err, -E2BIG, "the filter is too long: %u instructions", n);
    for (unsigned i = 0; i < n; i++) {
        struct sock_filter one = filter[i];
        if (one.code == (BPF_RET | BPF_K) && one.k > 0)
            one.k = UINT32_MAX;
        code->at[code->n++] = one;
    }
    return 0;
}

int own_program(const struct own *own, uint16_t link, int direction,
                const struct sock_filter *filter, unsigned n_filter, struct bpf_code *out,
                struct err *err)
{
    struct maker m = {.own = own};
    bool is_v4 = addr_is_v4(&own->to);
    bpf_begin(&m.b);
    m.other = bpf_label(&m.b);
    m.mine = bpf_label(&m.b);
    put_direction(&m, direction);
    bpf_put(&m.b, BPF_LDX | BPF_W | BPF_IMM, 0);
    if (link == LINK_ETHERNET)
        put_ethernet(&m, is_v4);
    else
        put_version(&m, is_v4);
    if (is_v4)
        put_v4(&m, true);
    else
        put_v6(&m, true);
    bpf_here(&m.b, m.mine);
    bpf_put(&m.b, BPF_RET | BPF_K, 0);
    bpf_here(&m.b, m.other);
    int result = bpf_finish(&m.b, out, err);
    return result < 0 ? result : append(filter, n_filter, out, err);
}

/* The protocol in the outermost IP header, or 0. */
static uint8_t protocol_of(const uint8_t *frame, uint32_t size)
{
    struct reader r = rd_make(frame, size);
    rd_skip(&r, 12);
    uint16_t type = rd_be16(&r);
    for (int i = 0; i < MAX_TAGS && (type == TYPE_VLAN || type == TYPE_QINQ); i++) {
        rd_skip(&r, 2);
        type = rd_be16(&r);
    }
    return type == TYPE_IPV4 ? rd_peek_u8(&r, 9) : type == TYPE_IPV6 ? rd_peek_u8(&r, 6) : 0;
}

/* Whether the collector's address is the destination of the IP header in front of the UDP header
 * that begins at `udp`. */
static bool goes_to(const struct own *own, const uint8_t *frame, size_t udp)
{
    if (addr_is_v4(&own->to))
        return udp >= 4 && memcmp(frame + udp - 4, own->to.b + 12, 4) == 0;
    return (udp >= 16 && memcmp(frame + udp - 16, own->to.b, 16) == 0) ||
           (udp >= 24 && memcmp(frame + udp - 24, own->to.b, 16) == 0); /* of a first fragment */
}

bool own_is_copy(const struct own *own, const uint8_t *frame, uint32_t size)
{
    if (size > LOOKED_AT)
        size = LOOKED_AT;
    if (protocol_of(frame, size) == PROTO_TCP)
        return false;
    const uint8_t *at = frame;
    const uint8_t *end = frame + size;
    while ((at = memmem(at, (size_t)(end - at), own->head, OUTER_SIZE))) {
        size_t head = (size_t)(at - frame);
        if (head >= 8) {
            struct reader port = rd_make(frame + head - 6, 2);
            if (rd_be16(&port) == own->port && goes_to(own, frame, head - 8))
                return true;
        }
        at++;
    }
    return false;
}
