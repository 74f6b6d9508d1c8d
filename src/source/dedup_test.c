/* Copies of both ends, of routers and of bridges are removed; retransmissions never are. */
#include "source/dedup.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

#include "tunnel/tunnel.h"

#define SEED 2026 /* hashes of 15 bits stand behind the answers: the same ones in each run */
#define MS   ((int64_t)1000000)
#define T0   ((int64_t)1700000000 * 1000 * MS)

/* A TCP segment as one place shows it. The bytes live in here. */
struct segment {
    struct packet packet;
    uint8_t bytes[20 + 64];
};

static void fill(struct segment *s, uint32_t seq, uint16_t ip_id)
{
    memset(s, 0, sizeof(*s));
    static const uint8_t src[4] = {10, 0, 0, 1}, dst[4] = {10, 0, 0, 2};
    struct packet *p = &s->packet;
    p->kind = PACKET_IP;
    p->src = addr_v4(src);
    p->dst = addr_v4(dst);
    p->ip_version = 4;
    p->ip_proto = 6;
    p->ttl = 64;
    p->ip_id = ip_id;
    p->has_mac = true;
    p->src_mac[5] = 1;
    p->dst_mac[5] = 2;
    s->bytes[0] = 0x9c;
    s->bytes[3] = 80;
    for (unsigned int i = 0; i < 4; i++)
        s->bytes[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
    s->bytes[12] = 0x50;
    s->bytes[13] = 0x18;
    for (unsigned int i = 0; i < 64; i++)
        s->bytes[20 + i] = (uint8_t)(i + seq);
    p->payload = s->bytes;
    p->payload_size = p->payload_len = sizeof(s->bytes);
    p->n_layers = p->n_mirror = 1;
}

static const struct packet *from(struct segment *s, uint8_t machine)
{
    struct packet_layer *layer = &s->packet.layers[0];
    uint8_t outer[4] = {192, 168, 0, machine};
    layer->decoder = &tunnel_vxlan;
    layer->src = addr_v4(outer);
    layer->id = 1000u + machine;
    layer->has_id = true;
    return &s->packet;
}

static int set_up(void **state)
{
    *state = dedup_new(&(struct dedup_options){.seed = SEED});
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    dedup_free(*state);
    return 0;
}

static void test_both_ends_are_logged_once(void **state)
{
    struct dedup *d = *state;
    for (uint32_t i = 0; i < 1000; i++) {
        struct segment s;
        fill(&s, i * 64, (uint16_t)i);
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * MS));
        assert_true(dedup_is_copy(d, from(&s, 2), T0 + i * MS + MS / 2));
    }
    assert_int_equal(dedup_counters(d)->n_kept, 1000);
    assert_int_equal(dedup_counters(d)->n_copies, 1000);
    assert_int_equal(dedup_counters(d)->n_again, 0);
}

/* What a router and two mirrors change between the copies. */
static void test_what_may_differ(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 7);
    assert_false(dedup_is_copy(d, from(&s, 1), T0));
    s.packet.ttl = 63;
    s.packet.src_mac[0] = 0x12;
    s.packet.dst_mac[0] = 0x34;
    s.packet.vlan = 5;
    s.bytes[16] = 0xab; /* a checksum that the sender's mirror saw unfinished */
    assert_true(dedup_is_copy(d, from(&s, 2), T0 + MS));
}

static void test_what_may_not_differ(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 7);
    assert_false(dedup_is_copy(d, from(&s, 1), T0));
    s.packet.ip_id = 8;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    fill(&s, 2, 7);
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    fill(&s, 1, 7);
    s.bytes[24] ^= 1;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    fill(&s, 1, 7);
    s.packet.payload_len = --s.packet.payload_size;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    fill(&s, 1, 7);
    s.packet.dst.b[15]++;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    fill(&s, 1, 7);
    s.packet.n_layers = 2; /* in a tunnel of the monitored traffic */
    s.packet.layers[1].decoder = &tunnel_gre;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    fill(&s, 1, 7);
    s.packet.network = 1;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    assert_int_equal(dedup_counters(d)->n_kept, 8);
}

static void test_retransmissions_of_one_place_are_kept(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    for (uint16_t id = 0; id < 2; id++) {
        fill(&s, 1, id);
        for (int i = 0; i < 20; i++)
            assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * 3 * MS));
    }
    assert_int_equal(dedup_counters(d)->n_again, 38);
}

static void test_the_nth_is_a_copy_of_the_nth(void **state)
{
    struct dedup *d = *state;
    static const struct {
        const char *places;
        const char *copies; /* x: a copy */
    } rows[] = {
        {"1212", ".x.x"},     /* a retransmission that both ends mirror: two of four */
        {"1122", "..xx"},     /* the other end is late */
        {"1221", ".x.x"},     /* the second end is the first with the retransmission */
        {"121", ".x."},       /* the copy of the retransmission was lost */
        {"1222", ".x.."},     /* only the second end sees it again */
        {"12221", ".x..x"},   /* and the first end sees one of these late */
        {"123123", ".xx.xx"}, /* three places */
        {"12341234", ".xxx.xxx"}, {"112233", "..xxxx"}, {"111222333", "...xxxxxx"},
    };
    uint32_t seq = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct segment s;
        fill(&s, ++seq, 0);
        for (size_t at = 0; rows[i].places[at]; at++) {
            bool is_copy = dedup_is_copy(d, from(&s, (uint8_t)(rows[i].places[at] - '0')),
                                         T0 + (int64_t)at * MS);
            if (is_copy != (rows[i].copies[at] == 'x'))
                fail_msg("%s: packet %zu", rows[i].places, at);
        }
    }
}

/* A burst of one packet, of which the other end shows nothing until it is over. */
static void test_many_at_once(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 0);
    for (int i = 0; i < 1000; i++)
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * MS / 100));
    for (int i = 0; i < 1000; i++)
        assert_true(dedup_is_copy(d, from(&s, 2), T0 + 100 * MS + i * MS / 100));
    assert_false(dedup_is_copy(d, from(&s, 2), T0 + 110 * MS));
}

/* The datagrams of a stream differ in nothing but what they carry, and that late. */
static void test_a_stream_of_datagrams(void **state)
{
    struct dedup *d = *state;
    for (int end = 1; end <= 2; end++) {
        for (int i = 0; i < 250; i++) {
            struct segment s;
            fill(&s, 1, 0);
            s.packet.ip_proto = 17;
            s.bytes[8 + 60] = (uint8_t)i;
            s.bytes[6] = (uint8_t)end; /* the checksum */
            bool is_copy = dedup_is_copy(d, from(&s, (uint8_t)end), T0 + end * 50 * MS + i * 1000);
            assert_int_equal(is_copy, end == 2);
        }
    }
    assert_int_equal(dedup_counters(d)->n_crowded, 0);
}

/* A broadcast that every machine mirrors: more places than an entry has. */
static void test_many_places(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 7);
    assert_false(dedup_is_copy(d, from(&s, 1), T0));
    for (uint8_t machine = 2; machine < 40; machine++)
        assert_true(dedup_is_copy(d, from(&s, machine), T0 + MS));
}

static void test_window(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 7);
    assert_false(dedup_is_copy(d, from(&s, 1), T0));
    assert_true(dedup_is_copy(d, from(&s, 2), T0 + 199 * MS));
    assert_false(dedup_is_copy(d, from(&s, 1), T0 + 300 * MS));
    assert_true(dedup_is_copy(d, from(&s, 2), T0 + 450 * MS));
    assert_false(dedup_is_copy(d, from(&s, 2), T0 + 700 * MS));
    assert_true(dedup_is_copy(d, from(&s, 1), T0 + 699 * MS)); /* time goes back a little */
}

/* What one place lost is not owed for ever: here it lost the first, and the next is new. */
static void test_debts_are_forgotten(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 0);
    for (int i = 0; i < 10; i++) {
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * 150 * MS));
        if (i > 0)
            assert_true(dedup_is_copy(d, from(&s, 2), T0 + i * 150 * MS + 10 * MS));
    }
    /* It lost one in ten, and owes that for two periods at most. */
    for (int i = 10; i < 12; i++) {
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * 150 * MS));
        assert_true(dedup_is_copy(d, from(&s, 2), T0 + i * 150 * MS + 10 * MS));
    }
    int64_t at = T0 + 12 * 150 * MS;
    unsigned int n_copies = 0;
    for (int i = 0; i < 4; i++)
        n_copies += dedup_is_copy(d, from(&s, 2), at + i * MS);
    assert_in_range(n_copies, 0, 2);
}

static void test_a_short_copy(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    for (uint32_t i = 0; i < 2; i++) {
        fill(&s, i, 7);
        s.packet.payload_size = i == 0 ? 20 : 84;
        assert_false(dedup_is_copy(d, from(&s, 1), T0));
        s.packet.payload_size = i == 0 ? 84 : 20;
        assert_true(dedup_is_copy(d, from(&s, 2), T0));
    }
    fill(&s, 1, 7);
    s.packet.payload_size = 12;
    assert_false(dedup_is_copy(d, from(&s, 2), T0));
    assert_int_equal(dedup_counters(d)->n_unknown, 1);
    s.packet.payload_size = 84;
    s.packet.kind = PACKET_ARP;
    assert_false(dedup_is_copy(d, from(&s, 1), T0));
    assert_int_equal(dedup_counters(d)->n_unknown, 2);
}

/* One machine routes, and mirrors both of its interfaces into one channel. */
static void test_both_sides_of_a_router(void **state)
{
    struct dedup *d = *state;
    for (uint32_t i = 0; i < 100; i++) {
        struct segment s;
        fill(&s, i, 0);
        s.packet.has_mac = i % 2;
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * MS));
        s.packet.ttl--;
        s.packet.src_mac[5] = 3;
        s.packet.dst_mac[5] = 4;
        assert_true(dedup_is_copy(d, from(&s, 1), T0 + i * MS));
    }
}

/* A sender may choose another TTL, or another gateway: that is no router's other side. */
static void test_what_is_no_router(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 0);
    assert_false(dedup_is_copy(d, from(&s, 1), T0));
    s.packet.ttl = 255;
    assert_false(dedup_is_copy(d, from(&s, 1), T0 + MS));
    fill(&s, 1, 0);
    s.packet.dst_mac[5] = 9;
    assert_false(dedup_is_copy(d, from(&s, 1), T0 + 2 * MS));
}

static void test_directions_are_places(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 0);
    from(&s, 1);
    s.packet.layers[0].direction = 1;
    assert_false(dedup_is_copy(d, &s.packet, T0));
    s.packet.layers[0].direction = 2;
    assert_true(dedup_is_copy(d, &s.packet, T0));
}

/* A bridge shows each packet twice, with nothing that differs. */
static void test_a_bridge_is_learnt(void **state)
{
    struct dedup *d = *state;
    unsigned int n_copies = 0;
    for (uint32_t i = 1; i <= 1000; i++) {
        struct segment s;
        fill(&s, i, (uint16_t)(i | 0x8000));
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * 10 * MS));
        n_copies += dedup_is_copy(d, from(&s, 1), T0 + i * 10 * MS + MS / 10);
    }
    assert_in_range(n_copies, 980, 999);
    assert_int_equal(dedup_counters(d)->n_doubled, n_copies);
    /* Of a retransmission there are four now, and two are kept. */
    struct segment s;
    fill(&s, 5000, 5000);
    assert_false(dedup_is_copy(d, from(&s, 1), T0 + 20000 * MS));
    assert_true(dedup_is_copy(d, from(&s, 1), T0 + 20000 * MS));
    assert_false(dedup_is_copy(d, from(&s, 1), T0 + 20050 * MS));
    assert_true(dedup_is_copy(d, from(&s, 1), T0 + 20050 * MS));
}

/* Both ends are bridges: one of four is kept. */
static void test_bridges_at_both_ends(void **state)
{
    struct dedup *d = *state;
    for (uint32_t i = 1; i <= 200; i++) {
        struct segment s;
        fill(&s, i, (uint16_t)i);
        unsigned int n = 0;
        for (unsigned int copy = 0; copy < 4; copy++)
            n += !dedup_is_copy(d, from(&s, copy < 2 ? 1 : 2), T0 + i * 10 * MS + copy * 1000);
        if (i > 100)
            assert_int_equal(n, 1);
    }
}

/* Tools that send the same packet over and over, under one id, are not bridges. */
static void test_a_flood_is_not_a_bridge(void **state)
{
    struct dedup *d = *state;
    struct segment s;
    fill(&s, 1, 54321);
    for (int i = 0; i < 10000; i++)
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * MS / 10));
    fill(&s, 1, 0);
    for (int i = 0; i < 10000; i++)
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i * MS / 10));
}

static void test_a_small_table_forgets_and_counts(void **state)
{
    (void)state;
    struct dedup *d = dedup_new(&(struct dedup_options){.memory = 64 * 1024, .seed = SEED});
    struct segment s;
    for (uint32_t i = 0; i < 100000; i++) {
        fill(&s, i, (uint16_t)i);
        assert_false(dedup_is_copy(d, from(&s, 1), T0 + i));
    }
    assert_in_range(dedup_counters(d)->n_crowded, 97000, 99500);
    assert_true(dedup_is_copy(d, from(&s, 2), T0 + MS));
    dedup_free(d);
}

/* Traffic with retransmissions, mirrored by three machines with their own delays and losses. What
 * is kept is what was sent, but for what no machine has seen. */
static void test_a_network(void **state)
{
    (void)state;
    /* So large that no row of it is ever full. */
    struct dedup *d = dedup_new(&(struct dedup_options){.memory = 16 << 20, .seed = SEED});
    enum { N = 20000, PLACES = 3 };
    struct event {
        int64_t at;
        uint32_t seq;
        uint8_t place;
    } *events = malloc(sizeof(*events) * N * PLACES * 2);
    size_t n_events = 0, n_sent = 0;
    uint32_t random = 1;
    for (uint32_t i = 0; i < N; i++) {
        unsigned int n_times = i % 50 == 0 ? 2 : 1;
        for (unsigned int again = 0; again < n_times; again++) {
            bool seen = false;
            for (unsigned int place = 0; place < PLACES; place++) {
                random = random * 1664525 + 1013904223;
                if (n_times == 1 && random >> 24 < 20)
                    continue; /* lost by this mirror */
                seen = true;
                int64_t at = T0 + i * MS / 10 + again * 40 * MS + (random >> 8) % 30000000;
                events[n_events++] = (struct event){at, i, (uint8_t)(place + 1)};
            }
            n_sent += seen;
        }
    }
    for (size_t gap = n_events / 2; gap > 0; gap /= 2) /* shell sort, by time */
        for (size_t i = gap; i < n_events; i++)
            for (size_t j = i; j >= gap && events[j - gap].at > events[j].at; j -= gap) {
                struct event swap = events[j];
                events[j] = events[j - gap];
                events[j - gap] = swap;
            }
    size_t n_kept = 0;
    for (size_t i = 0; i < n_events; i++) {
        struct segment s;
        fill(&s, events[i].seq, 0);
        n_kept += !dedup_is_copy(d, from(&s, events[i].place), events[i].at);
    }
    free(events);
    assert_int_equal(n_kept, n_sent);
    assert_int_equal(dedup_counters(d)->n_crowded, 0);
    dedup_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_both_ends_are_logged_once),
        TEST(test_what_may_differ),
        TEST(test_what_may_not_differ),
        TEST(test_retransmissions_of_one_place_are_kept),
        TEST(test_the_nth_is_a_copy_of_the_nth),
        TEST(test_many_at_once),
        TEST(test_a_stream_of_datagrams),
        TEST(test_many_places),
        TEST(test_window),
        TEST(test_debts_are_forgotten),
        TEST(test_a_short_copy),
        TEST(test_both_sides_of_a_router),
        TEST(test_what_is_no_router),
        TEST(test_directions_are_places),
        TEST(test_a_bridge_is_learnt),
        TEST(test_bridges_at_both_ends),
        TEST(test_a_flood_is_not_a_bridge),
        TEST(test_a_small_table_forgets_and_counts),
        TEST(test_a_network),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
