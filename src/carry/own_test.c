/* What the carrier sends is known in whatever way it comes back, and nothing else is taken for it:
 * by the program that the kernel runs, and by the second look. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "carry/own.h"

#include <errno.h>
#include <stdlib.h>

#include "net/frames_bed.h"
#include "net/packet.h"

/* libpcap's interpreter of the same instructions. */
u_int bpf_filter(const struct sock_filter *program, const u_char *bytes, u_int wire_size,
                 u_int size);

#define PORT 4789
#define VNI  101

struct bed {
    struct addr col, mon, peer;
    struct own own;
    struct bpf_code ethernet, raw;
};

static struct addr v6(uint8_t last)
{
    const uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, last};
    return addr_v6(bytes);
}

static void begin(struct bed *bed, bool is_v4, int wrap)
{
    struct carry_options options = {.wrap = wrap, .port = PORT, .id = VNI};
    struct err err;
    bed->col = is_v4 ? frame_addr(10, 9, 0, 2) : v6(2);
    bed->mon = is_v4 ? frame_addr(10, 9, 0, 1) : v6(1);
    bed->peer = is_v4 ? frame_addr(10, 9, 0, 3) : v6(3);
    options.to = bed->col;
    own_init(&bed->own, &options);
    assert_int_equal(
        own_program(&bed->own, LINK_ETHERNET, CARRY_BOTH, NULL, 0, &bed->ethernet, &err), 0);
    assert_int_equal(own_program(&bed->own, LINK_RAW, CARRY_BOTH, NULL, 0, &bed->raw, &err), 0);
}

/* From a block of its exact size. */
static bool takes(const struct bpf_code *code, const struct frame_bed *b)
{
    uint32_t size = (uint32_t)frame_size(b);
    uint8_t *block = malloc(size);
    memcpy(block, frame_bytes(b), size);
    u_int got = bpf_filter(code->at, block, size, size);
    free(block);
    assert_true(got == 0 || got == UINT32_MAX);
    return got != 0;
}

static void put_tag(struct frame_bed *b, uint16_t type)
{
    uint8_t macs[12];
    memcpy(macs, frame_bytes(b), sizeof macs);
    b->at += sizeof macs;
    const uint8_t tag[4] = {(uint8_t)(type >> 8), (uint8_t)type, 0, 7};
    frame_put(b, tag, sizeof tag);
    frame_put(b, macs, sizeof macs);
}

static void put_pppoe(struct frame_bed *b, bool is_v4)
{
    const uint8_t head[22] = {2, 0,    0,    0,    0, 2, 2, 0, 0, 0, 0,
                              1, 0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, is_v4 ? 0x21 : 0x57};
    frame_put(b, head, sizeof head);
}

/* Bare, and under everything that can be around an IP packet. */
static void expect(const struct bed *bed, const struct frame_bed *ip, bool taken)
{
    static const uint16_t types[] = {0x8100, 0x88a8, 0x9100, 0x8100};
    bool is_v4 = frame_bytes(ip)[0] >> 4 == 4;
    struct frame_bed b = *ip;
    assert_int_equal(takes(&bed->raw, &b), taken);
    frame_ethernet(&b);
    assert_int_equal(takes(&bed->ethernet, &b), taken);
    for (int i = 0; i < 4; i++) {
        put_tag(&b, types[i]);
        assert_int_equal(takes(&bed->ethernet, &b), taken);
    }
    b = *ip;
    put_pppoe(&b, is_v4);
    assert_int_equal(takes(&bed->ethernet, &b), taken);
    put_tag(&b, 0x8100);
    assert_int_equal(takes(&bed->ethernet, &b), taken);
}

/* `id` and a multiple of 8: the fragment at `offset` of what is in the bed. */
static void put_fragment(struct frame_bed *b, const struct addr *src, const struct addr *dst,
                         uint32_t offset, bool more)
{
    uint16_t field = (uint16_t)(offset | more);
    if (!addr_is_v4(src)) {
        const uint8_t head[8] = {17, 0, (uint8_t)(field >> 8), (uint8_t)field, 0, 0, 0, 9};
        frame_put(b, head, sizeof head);
        frame_ip(b, src, dst, 44);
    } else {
        frame_ip(b, src, dst, 17);
        frame_set16(b, 6, offset / 8 | (more ? 0x2000 : 0));
    }
}

static const uint8_t payload[1480];

/* UDP, from the payload outwards. */
static void make_udp(struct frame_bed *b, const struct addr *src, const struct addr *dst,
                     uint16_t sport, uint16_t dport)
{
    frame_begin(b, payload, 100);
    frame_udp(b, sport, dport);
    frame_ip(b, src, dst, 17);
}

static void direct(bool is_v4)
{
    struct bed bed;
    struct frame_bed b;
    begin(&bed, is_v4, CARRY_VXLAN);
    make_udp(&b, &bed.mon, &bed.col, 50000, PORT);
    expect(&bed, &b, false);
    make_udp(&b, &bed.peer, &bed.col, 50000, PORT); /* translated, or another machine's copies */
    expect(&bed, &b, false);
    make_udp(&b, &bed.mon, &bed.col, 50000, PORT + 1);
    expect(&bed, &b, true);
    make_udp(&b, &bed.mon, &bed.col, PORT, 50000);
    expect(&bed, &b, true);
    make_udp(&b, &bed.col, &bed.mon, 50000, PORT); /* somebody else's VXLAN */
    expect(&bed, &b, true);
    make_udp(&b, &bed.mon, &bed.peer, 50000, PORT);
    expect(&bed, &b, true);
    for (int word = 0; word < 4 && !is_v4; word++) { /* all of the address counts */
        struct addr other = bed.col;
        other.b[4 * word + 1] ^= 1;
        make_udp(&b, &bed.mon, &other, 50000, PORT);
        expect(&bed, &b, true);
    }
    frame_begin(&b, payload, 100);
    frame_tcp(&b, 50000, PORT, 1, 1, 0x10, 100, -1);
    frame_ip(&b, &bed.mon, &bed.col, 6);
    expect(&bed, &b, true);
}

static void test_direct(void **state)
{
    direct(true);
    direct(false);
}

static void test_ipv4_options(void **state)
{
    struct bed bed;
    struct frame_bed b;
    begin(&bed, true, CARRY_VXLAN);
    for (uint16_t port = PORT; port <= PORT + 1; port++) {
        frame_begin(&b, payload, 100);
        frame_udp(&b, 50000, port);
        const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
        frame_put(&b, options, sizeof options);
        frame_ip(&b, &bed.mon, &bed.col, 17);
        b.bytes[b.at] = 0x47;
        expect(&bed, &b, port != PORT);
    }
}

static void fragments(bool is_v4)
{
    struct bed bed;
    struct frame_bed b;
    begin(&bed, is_v4, CARRY_VXLAN);
    for (uint16_t port = PORT; port <= PORT + 1; port++) {
        frame_begin(&b, payload, 1400);
        frame_udp(&b, 50000, port);
        put_fragment(&b, &bed.mon, &bed.col, 0, true);
        expect(&bed, &b, port != PORT);
    }
    frame_begin(&b, payload, 200);
    put_fragment(&b, &bed.mon, &bed.col, 1408, true);
    expect(&bed, &b, false);
    frame_begin(&b, payload, 1);
    put_fragment(&b, &bed.mon, &bed.col, 1408, false);
    expect(&bed, &b, false);
    frame_begin(&b, payload, 200);
    put_fragment(&b, &bed.mon, &bed.peer, 1408, false);
    expect(&bed, &b, true);
    if (!is_v4) { /* of another protocol */
        frame_begin(&b, payload, 200);
        const uint8_t head[8] = {6, 0, 0x05, 0x80, 0, 0, 0, 9};
        frame_put(&b, head, sizeof head);
        frame_ip(&b, &bed.mon, &bed.col, 44);
        expect(&bed, &b, true);
    }
}

static void test_fragments(void **state)
{
    fragments(true);
    fragments(false);
}

/* An error of this type about what is in the bed. */
static void put_error(struct frame_bed *b, const struct bed *bed, bool is_v4, uint8_t type)
{
    frame_icmp(b, type, 0);
    frame_ip(b, &bed->peer, &bed->mon, is_v4 ? 1 : 58);
}

static void errors(bool is_v4)
{
    struct bed bed;
    struct frame_bed b;
    begin(&bed, is_v4, CARRY_VXLAN);
    for (unsigned type = 0; type < 256; type++) {
        bool is_error = is_v4 ? type == 3 || type == 4 || type == 5 || type == 11 || type == 12
                              : type >= 1 && type <= 4;
        make_udp(&b, &bed.mon, &bed.col, 50000, PORT);
        put_error(&b, &bed, is_v4, (uint8_t)type);
        expect(&bed, &b, !is_error);
    }
    make_udp(&b, &bed.mon, &bed.col, 50000, PORT + 1);
    put_error(&b, &bed, is_v4, is_v4 ? 3 : 1);
    expect(&bed, &b, true);
    make_udp(&b, &bed.mon, &bed.peer, 50000, PORT);
    put_error(&b, &bed, is_v4, is_v4 ? 3 : 1);
    expect(&bed, &b, true);
    frame_begin(&b, payload, 200); /* reassembly took too long */
    put_fragment(&b, &bed.mon, &bed.col, 1408, false);
    put_error(&b, &bed, is_v4, is_v4 ? 11 : 3);
    expect(&bed, &b, false);
    make_udp(&b, &bed.mon, &bed.col, 50000, PORT); /* no error of an error */
    put_error(&b, &bed, is_v4, is_v4 ? 3 : 1);
    put_error(&b, &bed, is_v4, is_v4 ? 3 : 1);
    expect(&bed, &b, true);
}

static void test_errors(void **state)
{
    errors(true);
    errors(false);
}

/* A frame may end anywhere: what has not all the headers is not ours, and is not lost. */
static void test_short_frames(void **state)
{
    struct frame_bed b;
    for (int kind = 0; kind < 4; kind++) {
        struct bed bed;
        bool is_v4 = kind & 1;
        begin(&bed, is_v4, CARRY_VXLAN);
        make_udp(&b, &bed.mon, &bed.col, 50000, PORT);
        uint32_t needed = (uint32_t)frame_size(&b) - 100 - 4; /* the port is the last that counts */
        if (kind & 2) {
            put_error(&b, &bed, is_v4, is_v4 ? 3 : 1);
            needed += is_v4 ? 28 : 48;
        }
        frame_ethernet(&b);
        put_tag(&b, 0x8100);
        needed += 18;
        for (uint32_t size = 1; size <= frame_size(&b); size++) {
            uint8_t *block = malloc(size);
            memcpy(block, frame_bytes(&b), size);
            assert_int_equal(bpf_filter(bed.ethernet.at, block, size, size) != 0, size < needed);
            free(block);
        }
    }
}

/* The other family's traffic is not looked at, and other protocols neither. */
static void test_others(void **state)
{
    struct bed bed, other;
    struct frame_bed b;
    begin(&bed, true, CARRY_VXLAN);
    begin(&other, false, CARRY_VXLAN);
    make_udp(&b, &other.mon, &other.col, 50000, PORT);
    expect(&bed, &b, true);
    make_udp(&b, &bed.mon, &bed.col, 50000, PORT);
    expect(&other, &b, true);
    const uint8_t arp[42] = {[12] = 0x08, [13] = 0x06};
    frame_begin(&b, arp, sizeof arp);
    assert_true(takes(&bed.ethernet, &b));
    assert_true(takes(&other.ethernet, &b));
}

/* The user's filter is behind, whole; what it takes is not cut. */
static void test_filter(void **state)
{
    struct sock_filter only_small[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 150, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 96),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    static struct sock_filter long_one[BPF_CODE_MAX];
    struct bed bed;
    struct frame_bed b;
    struct err err;
    begin(&bed, true, CARRY_VXLAN);
    assert_int_equal(
        own_program(&bed.own, LINK_ETHERNET, CARRY_BOTH, only_small, 4, &bed.ethernet, &err), 0);
    for (uint16_t port = PORT; port <= PORT + 1; port++)
        for (size_t size = 50; size < 200; size += 100) {
            frame_begin(&b, payload, size);
            frame_udp(&b, 50000, port);
            frame_ip(&b, &bed.mon, &bed.col, 17);
            frame_ethernet(&b);
            assert_int_equal(takes(&bed.ethernet, &b), port != PORT && size == 50);
        }
    assert_int_equal(own_program(&bed.own, LINK_ETHERNET, CARRY_BOTH, long_one, BPF_CODE_MAX,
                                 &bed.ethernet, &err),
                     -E2BIG);
}

/* --- The second look ----------------------------------------------------------------------------
 */

static bool is_copy(const struct bed *bed, const struct frame_bed *b)
{
    uint32_t size = (uint32_t)frame_size(b);
    uint8_t *block = malloc(size);
    memcpy(block, frame_bytes(b), size);
    bool got = own_is_copy(&bed->own, block, size);
    free(block);
    return got;
}

/* A copy as the carrier sends it, up to its IP header. */
static void make_copy(struct frame_bed *b, const struct bed *bed, const struct addr *to,
                      uint16_t port)
{
    make_udp(b, &bed->peer, &bed->mon, 5000, 6000);
    frame_ethernet(b);
    frame_put(b, bed->own.head, OUTER_SIZE);
    frame_udp(b, 50000, port);
    frame_ip(b, &bed->mon, to, 17);
}

static void nested(bool is_v4, int wrap)
{
    struct bed bed;
    struct frame_bed b;
    begin(&bed, is_v4, wrap);
    make_copy(&b, &bed, &bed.col, PORT);
    frame_ethernet(&b);
    assert_true(is_copy(&bed, &b));
    frame_vxlan(&b, &bed.mon, &bed.peer, 5); /* in another mirror's copy */
    assert_true(is_copy(&bed, &b));
    put_tag(&b, 0x8100);
    assert_true(is_copy(&bed, &b));
    frame_vxlan(&b, &bed.mon, &bed.peer, 6); /* and in that of a third */
    assert_true(is_copy(&bed, &b));

    make_copy(&b, &bed, &bed.col, PORT); /* in a tunnel: IP in IP */
    frame_ip(&b, &bed.mon, &bed.peer, is_v4 ? 4 : 41);
    frame_ethernet(&b);
    assert_true(is_copy(&bed, &b));

    make_copy(&b, &bed, &bed.peer, PORT); /* to somebody else */
    frame_ethernet(&b);
    assert_false(is_copy(&bed, &b));
    make_copy(&b, &bed, &bed.col, PORT + 1);
    frame_ethernet(&b);
    assert_false(is_copy(&bed, &b));
    make_udp(&b, &bed.mon, &bed.col, 50000, PORT); /* without the header */
    frame_ethernet(&b);
    assert_false(is_copy(&bed, &b));

    make_copy(&b, &bed, &bed.col, PORT); /* in a stream it is data */
    frame_tcp(&b, 50000, 80, 1, 1, 0x10, 100, -1);
    frame_ip(&b, &bed.mon, &bed.peer, 6);
    frame_ethernet(&b);
    assert_false(is_copy(&bed, &b));
    put_tag(&b, 0x8100);
    assert_false(is_copy(&bed, &b));
}

static void test_nested(void **state)
{
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        nested(is_v4, CARRY_VXLAN);
        nested(is_v4, CARRY_GENEVE);
    }
}

/* The header at every place, with nothing in front of it that could be read. */
static void test_header_at_the_edge(void **state)
{
    struct bed bed;
    begin(&bed, false, CARRY_VXLAN);
    for (uint32_t size = OUTER_SIZE; size < 100; size++) {
        uint8_t *block = calloc(1, size);
        for (uint32_t at = 0; at + OUTER_SIZE <= size; at++) {
            memset(block, 0, size);
            memcpy(block + at, bed.own.head, OUTER_SIZE);
            assert_false(own_is_copy(&bed.own, block, size));
        }
        free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_ipv4_options),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_short_frames),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_header_at_the_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
