/* The programs against the hash in C: libpcap's interpreter runs them over thousands of packets. */
#include "capture/steer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture/steer_bed.h"
#include "tunnel/stack.h"

/* Of libpcap; its header does not go together with the kernel's. */
u_int bpf_filter(const struct sock_filter *program, const u_char *bytes, u_int wire_size,
                 u_int size);
int bpf_validate(const struct sock_filter *program, int n);

static const struct steer_excluded nothing;
/* What the program says to a packet of exactly this size. */
static unsigned run_bytes(const struct bpf_code *code, const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size + 1);
    assert_non_null(block);
    memcpy(block, bytes, size);
    unsigned result = bpf_filter(code->at, block, (u_int)size, (u_int)size);
    free(block);
    return result;
}

static unsigned run(const struct bpf_code *code, const struct frame_bed *b)
{
    return run_bytes(code, frame_bytes(b), frame_size(b));
}

static void test_hash(void **state)
{
    (void)state;
    struct steer_key key, other;
    steer_key_init(&key, 1);
    steer_key_init(&other, 2);
    uint64_t seed = 1;
    unsigned counts[8] = {0}, n_alike = 0;
    for (unsigned i = 0; i < 16000; i++) {
        struct bed_flow f = bed_flow(&seed);
        struct bed_flow back = f;
        back.src = f.dst;
        back.dst = f.src;
        back.sport = f.dport;
        back.dport = f.sport;
        uint32_t hash = bed_hash(&key, &f);
        assert_int_equal(hash, bed_hash(&key, &back));
        n_alike += hash % 64 == bed_hash(&other, &f) % 64;
        counts[steer_worker(hash, 8)]++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(counts[i], 2000 - 300, 2000 + 300);
    assert_in_range(n_alike, 16000 / 64 - 100, 16000 / 64 + 100);
    /* Neighbours, too: one client's connections in a row. */
    struct addr client = frame_addr(10, 0, 0, 1), server = frame_addr(10, 0, 0, 2);
    memset(counts, 0, sizeof counts);
    for (unsigned port = 32768; port < 32768 + 16000; port++)
        counts[steer_hash(&key, &client, &server, (uint16_t)port, 443, true) % 8]++;
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(counts[i], 2000 - 300, 2000 + 300);
}

static void test_udp(void **state)
{
    (void)state;
    static struct frame_bed b;
    uint64_t seed = 2;
    for (enum steer_kind kind = 0; kind < STEER_N_KINDS; kind++)
        for (unsigned n = 1; n <= 7; n += 3) {
            struct steer_key key;
            steer_key_init(&key, kind * 10 + n);
            const struct steer_group group = {.key = &key, .n_workers = n};
            struct bpf_code code;
            assert_int_equal(steer_program_udp(&group, kind, &nothing, &code, NULL), 0);
            assert_true(bpf_validate(code.at, code.n));
            for (unsigned i = 0; i < 6000; i++) {
                struct bed_flow f = bed_flow(&seed);
                unsigned expected = steer_worker(bed_hash(&key, &f), n);
                for (unsigned back = 0; back < 2; back++) {
                    bed_ip(&b, &f, back, bed_random(&seed, 100), &seed);
                    bed_wrap(&b, &f, kind, &seed);
                    unsigned found = run(&code, &b);
                    if (found != expected)
                        fail_msg("kind %u packet %u: worker %u, not %u", kind, i, found, expected);
                }
            }
        }
}

/* Every prefix of a packet gives a worker; where the ports are there, the right one. */
static void test_prefixes(void **state)
{
    (void)state;
    static struct frame_bed b;
    uint64_t seed = 3;
    struct steer_key key;
    steer_key_init(&key, 3);
    const struct steer_group group = {.key = &key, .n_workers = 5};
    for (enum steer_kind kind = 0; kind < STEER_N_KINDS; kind++) {
        struct bpf_code code;
        assert_int_equal(steer_program_udp(&group, kind, &nothing, &code, NULL), 0);
        for (unsigned i = 0; i < 200; i++) {
            struct bed_flow f = bed_flow(&seed);
            f.proto = 6;
            unsigned expected = steer_worker(bed_hash(&key, &f), 5);
            bed_ip(&b, &f, false, 10, &seed);
            bed_wrap(&b, &f, kind, &seed);
            size_t size = frame_size(&b);
            for (size_t cut = 0; cut <= size; cut++) {
                unsigned found = run_bytes(&code, frame_bytes(&b), cut);
                if (cut + 10 + 20 - 4 >= size)
                    assert_int_equal(found, expected);
                else
                    assert_int_equal(found, 0);
            }
        }
    }
}

static void test_ring(void **state)
{
    (void)state;
    static struct frame_bed b;
    uint64_t seed = 4;
    struct steer_key key;
    steer_key_init(&key, 4);
    const struct steer_group group = {.key = &key, .n_workers = 7};
    const struct steer_ring ring = {.link = STEER_RING_AS_WRITTEN,
                                    .ports = bed_ports,
                                    .n_ports = BED_N_PORTS,
                                    .takes_gre = true};
    struct bpf_code code;
    assert_int_equal(steer_program_ring(&group, &ring, &code, NULL), 0);
    assert_true(bpf_validate(code.at, code.n));
    for (int kind = -1; kind < STEER_N_KINDS; kind++)
        for (unsigned i = 0; i < 6000 && kind != STEER_IP; i++) {
            struct bed_flow f = bed_flow(&seed);
            if (kind < 0 && !bed_is_plain(&f))
                continue;
            unsigned expected = steer_worker(bed_hash(&key, &f), 7);
            for (unsigned back = 0; back < 2; back++) {
                bed_wire(&b, &f, kind, back, bed_random(&seed, 100), &seed);
                unsigned found = run(&code, &b);
                if (found != expected)
                    fail_msg("kind %d packet %u: worker %u, not %u", kind, i, found, expected);
            }
        }
}

/* A worker's filter takes what is its own; what cannot be read is worker 0's, at every size. */
static void test_gre(void **state)
{
    (void)state;
    static struct frame_bed b;
    uint64_t seed = 5;
    struct steer_key key;
    steer_key_init(&key, 5);
    const struct steer_group group = {.key = &key, .n_workers = 3};
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct bpf_code codes[3];
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(steer_program_gre(&group, i, v6, &nothing, &codes[i], NULL), 0);
            assert_true(bpf_validate(codes[i].at, codes[i].n));
        }
        for (unsigned i = 0; i < 4000; i++) {
            struct bed_flow f = bed_flow(&seed);
            unsigned expected = steer_worker(bed_hash(&key, &f), 3);
            bed_ip(&b, &f, i % 2, 10, &seed);
            bed_wrap_gre(&b, &f, &seed);
            if (!v6) {
                struct bed_flow outer = {.src = frame_addr(1, 2, 3, 4),
                                         .dst = frame_addr(5, 6, 7, 8)};
                frame_ip(&b, &outer.src, &outer.dst, 47);
            }
            size_t size = frame_size(&b);
            for (size_t cut = i % 100 ? size : 0; cut <= size; cut++) {
                unsigned n_takers = 0, taker = 0;
                for (unsigned j = 0; j < 3; j++)
                    if (run_bytes(&codes[j], frame_bytes(&b), cut) != 0) {
                        n_takers++;
                        taker = j;
                    }
                assert_int_equal(n_takers, 1);
                if (cut == size)
                    assert_int_equal(taker, expected);
                else
                    assert_true(taker == 0 || taker == expected);
            }
        }
    }
}

/* Noise: always a worker of the group. */
static void test_noise(void **state)
{
    (void)state;
    static struct frame_bed b;
    uint64_t seed = 6;
    struct steer_key key;
    steer_key_init(&key, 6);
    const struct steer_group group = {.key = &key, .n_workers = 3};
    for (enum steer_kind kind = 0; kind < STEER_N_KINDS; kind++) {
        struct bpf_code code;
        assert_int_equal(steer_program_udp(&group, kind, &nothing, &code, NULL), 0);
        for (unsigned i = 0; i < 20000; i++) {
            struct bed_flow f = bed_flow(&seed);
            bed_ip(&b, &f, false, bed_random(&seed, 40), &seed);
            bed_wrap(&b, &f, kind, &seed);
            for (unsigned j = bed_random(&seed, 8); j > 0; j--)
                b.bytes[b.at + bed_random(&seed, (uint32_t)frame_size(&b))] =
                    (uint8_t)bed_random(&seed, 256);
            assert_in_range(run(&code, &b), 0, 2);
        }
    }
}

/* What the decoder makes of the same frames gives the same owner. */
static void test_decoded(void **state)
{
    (void)state;
    static const enum steer_kind kinds[] = {STEER_VXLAN, STEER_GENEVE, STEER_GENEVE_VXLAN,
                                            STEER_GRE};
    static struct frame_bed b;
    uint64_t seed = 8;
    struct steer_key key;
    steer_key_init(&key, 8);
    struct pool *pool = pool_new(64 << 20);
    assert_non_null(pool);
    const struct stack_options options = {.auto_mirror = true};
    struct stack *stack = stack_new(&options, pool);
    assert_non_null(stack);
    for (unsigned i = 0; i < 4000; i++) {
        enum steer_kind kind = kinds[i % 4];
        struct bed_flow f = bed_flow(&seed);
        if (f.proto == 47)
            continue;
        struct addr src = bed_addr(&seed, false), dst = bed_addr(&seed, false);
        bed_ip(&b, &f, i & 4, 10, &seed);
        bed_wrap(&b, &f, kind, &seed);
        if (kind == STEER_GRE) {
            frame_ip(&b, &src, &dst, 47);
        } else {
            frame_udp(&b, 50000, kind == STEER_VXLAN ? 4789 : 6081);
            frame_ip(&b, &src, &dst, 17);
        }
        frame_ethernet(&b);
        const struct frame frame = {.ts = 1,
                                    .bytes = frame_bytes(&b),
                                    .size = (uint32_t)frame_size(&b),
                                    .wire_size = (uint32_t)frame_size(&b),
                                    .link = LINK_ETHERNET};
        struct packet packet;
        stack_decode(stack, &frame, &packet);
        uint32_t hash = 0;
        assert_true(packet.n_mirror > 0);
        assert_true(steer_packet(&key, &packet, &hash));
        assert_int_equal(hash, bed_hash(&key, &f));
        stack_release(stack);
    }
    /* Of a tunnel in the monitored traffic, the outside counts. */
    struct packet packet = {.kind = PACKET_OTHER, .n_layers = 2, .n_mirror = 1};
    packet.layers[1] = (struct packet_layer){.src = frame_addr(1, 2, 3, 4),
                                             .dst = frame_addr(5, 6, 7, 8),
                                             .ip_proto = 17,
                                             .sport = 1234,
                                             .dport = 6081};
    uint32_t hash = 0;
    assert_true(steer_packet(&key, &packet, &hash));
    assert_int_equal(hash,
                     steer_hash(&key, &packet.layers[1].src, &packet.layers[1].dst, 0, 0, false));
    packet.n_layers = 1;
    assert_false(steer_packet(&key, &packet, &hash));
    stack_free(stack);
    pool_free(pool);
}

static void test_limits(void **state)
{
    (void)state;
    struct steer_key key;
    steer_key_init(&key, 7);
    const struct steer_group group = {.key = &key, .n_workers = 64};
    static int ifindexes[STEER_MAX_EXCLUDED + 1];
    struct steer_excluded excluded = {.ifindexes = ifindexes, .n = STEER_MAX_EXCLUDED};
    static struct steer_port ports[STEER_MAX_PORTS + 1];
    struct steer_ring ring = {.ports = ports, .n_ports = STEER_MAX_PORTS, .takes_gre = true};
    struct bpf_code code;
    for (unsigned i = 0; i <= STEER_MAX_PORTS; i++)
        ports[i] = (struct steer_port){(uint16_t)(1 + i), i % STEER_N_KINDS};
    assert_int_equal(steer_program_udp(&group, STEER_GENEVE_VXLAN, &excluded, &code, NULL), 0);
    assert_int_equal(steer_program_gre(&group, 63, false, &excluded, &code, NULL), 0);
    assert_int_equal(steer_program_ring(&group, &ring, &code, NULL), 0);
    struct err err;
    excluded.n++;
    ring.n_ports++;
    assert_int_equal(steer_program_udp(&group, STEER_VXLAN, &excluded, &code, &err), -E2BIG);
    assert_int_equal(steer_program_gre(&group, 0, true, &excluded, &code, &err), -E2BIG);
    assert_int_equal(steer_program_ring(&group, &ring, &code, &err), -E2BIG);
}

static void test_ports(void **state)
{
    (void)state;
    for (const uint16_t *p = steer_tunnel_ports; *p; p++)
        for (const uint16_t *q = steer_tunnel_ports; q < p; q++)
            assert_int_not_equal(*p, *q);
    enum steer_kind kind;
    assert_true(steer_kind_of_port(6081, &kind) && kind == STEER_GENEVE);
    assert_true(steer_kind_of_port(37008, &kind) && kind == STEER_TZSP);
    assert_false(steer_kind_of_port(53, &kind));
    assert_false(steer_is_tunnel_port(53));
    assert_false(steer_is_tunnel_port(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),    cmocka_unit_test(test_udp),
        cmocka_unit_test(test_ring),    cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_gre),     cmocka_unit_test(test_noise),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_ports),
        cmocka_unit_test(test_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
