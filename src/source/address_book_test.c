/* Own addresses are learned, a peer's never is, and what is uncertain is nobody's. */
#include "source/address_book.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <time.h>

#define MAX_MACHINE 8

static const uint16_t networks[MAX_MACHINE + 1];

static struct addr make(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

struct seen {
    const char *a, *b;    /* addresses; packets go both ways in turn */
    uint8_t mac_a, mac_b; /* last byte; 0: no MAC addresses */
    const char *outer;
};

static void see(struct address_learner *l, uint16_t machine, const struct seen *s, int n)
{
    for (int i = 0; i < n; i++) {
        struct packet p = {.kind = PACKET_IP, .src = make(i & 1 ? s->b : s->a)};
        p.dst = make(i & 1 ? s->a : s->b);
        p.ip_version = addr_is_v4(&p.src) ? 4 : 6;
        p.has_mac = s->mac_a != 0;
        p.src_mac[5] = i & 1 ? s->mac_b : s->mac_a;
        p.dst_mac[5] = i & 1 ? s->mac_a : s->mac_b;
        if (s->outer) {
            p.n_layers = p.n_mirror = 1;
            p.layers[0].src = make(s->outer);
        }
        address_learner_see(l, machine, &p);
    }
}

static void see_many_peers(struct address_learner *l, uint16_t machine, const char *own,
                           uint8_t mac)
{
    for (unsigned int i = 0; i < 60; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "192.0.2.%u", i + 1);
        see(l, machine, &(struct seen){own, peer, mac, mac ? 99 : 0, "172.16.0.1"}, 10);
    }
}

static uint16_t find(struct address_book *book, const char *text)
{
    struct addr a = make(text);
    return address_book_find(book, 0, &a);
}

static struct address_book *book_of(struct address_learner *l)
{
    struct address_book *book = address_book_make(NULL, 0, &l, 1, networks, MAX_MACHINE);
    assert_non_null(book);
    return book;
}

static int set_up(void **state)
{
    *state = address_learner_new(MAX_MACHINE);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    address_learner_free(*state);
    return 0;
}

static void test_configured(void **state)
{
    (void)state;
    struct address_entry entries[] = {
        {.addr = make("10.0.0.1"), .network = 0, .machine = 1},
        {.addr = make("10.0.0.1"), .network = 1, .machine = 2},
        {.addr = make("2001:db8::1"), .network = 0, .machine = 1},
        {.addr = make("10.0.0.1"), .network = 0, .machine = 3},
    };
    struct address_book *book = address_book_make(entries, 4, NULL, 0, networks, MAX_MACHINE);
    assert_int_equal(address_book_count(book), 3);
    assert_int_equal(find(book, "10.0.0.1"), 1); /* the first that says so */
    assert_int_equal(address_book_find(book, 1, &entries[0].addr), 2);
    assert_int_equal(find(book, "2001:db8::1"), 1);
    assert_int_equal(find(book, "10.0.0.2"), 0);
    assert_true(address_book_entry(book, 0)->configured);
    unsigned int n_v6 = 0;
    for (uint64_t i = 0; i < 10; i++) {
        struct addr a;
        assert_true(address_book_pick(book, 1, i, &a));
        assert_int_equal(address_book_find(book, 0, &a), 1);
        assert_false(address_book_pick(book, 3, i, &a));
        n_v6 += !addr_is_v4(&a);
    }
    assert_int_equal(n_v6, 5);
    address_book_free(book);
}

static void test_many_peers(void **state)
{
    see_many_peers(*state, 1, "10.0.0.1", 0);
    struct address_book *book = book_of(*state);
    assert_int_equal(find(book, "10.0.0.1"), 1);
    assert_int_equal(find(book, "192.0.2.1"), 0);
    assert_int_equal(address_book_count(book), 1);
    address_book_free(book);
}

/* Nothing tells which of the two is whose, whether there are MAC addresses or not. */
static void test_one_peer_alone(void **state)
{
    see(*state, 1, &(struct seen){"10.0.0.1", "10.0.0.2", 0, 0, "172.16.0.1"}, 5000);
    see(*state, 2, &(struct seen){"10.0.0.3", "10.0.0.2", 3, 2, "172.16.0.1"}, 5000);
    struct address_book *book = book_of(*state);
    assert_int_equal(address_book_count(book), 0);
    address_book_free(book);
}

/* A backup that runs for hours, with a little else: both addresses are in nearly every packet. */
static void test_nearly_one_peer(void **state)
{
    see_many_peers(*state, 1, "10.0.0.1", 0);
    see(*state, 1, &(struct seen){"10.0.0.1", "10.0.0.2", 0, 0, "172.16.0.1"}, 20000);
    struct address_book *book = book_of(*state);
    assert_int_equal(find(book, "10.0.0.2"), 0);
    address_book_free(book);
}

static void test_outer_address(void **state)
{
    see(*state, 1, &(struct seen){"10.0.0.1", "10.0.0.2", 0, 0, "10.0.0.1"}, 300);
    see(*state, 2, &(struct seen){"10.0.0.1", "10.0.0.2", 0, 0, "10.0.0.2"}, 300);
    struct address_book *book = book_of(*state);
    assert_int_equal(find(book, "10.0.0.1"), 1);
    assert_int_equal(find(book, "10.0.0.2"), 2);
    address_book_free(book);
}

/* Two addresses on one card: neither is in nearly every packet, the MAC address is. */
static void test_several_addresses(void **state)
{
    struct address_learner *l = *state;
    for (int i = 0; i < 20; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "192.0.2.%d", i + 1);
        uint8_t mac = (uint8_t)(100 + i % 3); /* of neighbours and gateways */
        see(l, 1, &(struct seen){"10.0.0.1", peer, 7, mac, "172.16.0.1"}, 20);
        see(l, 1, &(struct seen){"10.0.0.8", peer, 7, mac, "172.16.0.1"}, 20);
    }
    see(l, 1, &(struct seen){"2001:db8::1", "2001:db8::2", 7, 100, "172.16.0.1"}, 400);
    struct address_book *book = book_of(l);
    assert_int_equal(find(book, "10.0.0.1"), 1);
    assert_int_equal(find(book, "10.0.0.8"), 1);
    assert_int_equal(find(book, "2001:db8::1"), 1); /* by its MAC, though it has but one peer */
    assert_int_equal(find(book, "2001:db8::2"), 0);
    assert_int_equal(address_book_count(book), 3);
    address_book_free(book);
}

static void test_router(void **state)
{
    struct address_learner *l = *state;
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < 12; i++) {
            char inside[32], outside[32];
            snprintf(inside, sizeof inside, "10.0.7.%d", i + 1);
            snprintf(outside, sizeof outside, "192.0.2.%d", (i * 7 + round) % 50 + 1);
            see(l, 1, &(struct seen){inside, outside, 7, (uint8_t)(100 + i % 3), "172.16.0.1"}, 4);
        }
    struct address_book *book = book_of(l);
    assert_int_equal(address_book_count(book), 0);
    address_book_free(book);
}

static void test_claims(void **state)
{
    struct address_learner *l = *state;
    see_many_peers(l, 1, "10.0.0.1", 0);
    see_many_peers(l, 2, "10.0.0.1", 0);
    see_many_peers(l, 3, "10.0.0.3", 0);
    see_many_peers(l, 4, "10.0.0.4", 0);
    struct address_entry configured = {.addr = make("10.0.0.3"), .machine = 5};
    struct address_book *book = address_book_make(&configured, 1, &l, 1, networks, MAX_MACHINE);
    assert_int_equal(find(book, "10.0.0.1"), 0); /* both show it */
    assert_int_equal(find(book, "10.0.0.3"), 5); /* the configuration stands */
    assert_int_equal(find(book, "10.0.0.4"), 4);
    address_book_free(book);
}

/* Half of the packets on one worker, half on another. */
static void test_workers_are_summed(void **state)
{
    struct address_learner *two[2] = {*state, address_learner_new(MAX_MACHINE)};
    for (unsigned int i = 0; i < 30; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "192.0.2.%u", i + 1);
        see(two[i & 1], 1, &(struct seen){"10.0.0.1", peer, 0, 0, NULL}, 8);
    }
    struct address_book *book = address_book_make(NULL, 0, two, 1, networks, MAX_MACHINE);
    assert_int_equal(find(book, "10.0.0.1"), 0);
    address_book_free(book);
    book = address_book_make(NULL, 0, two, 2, networks, MAX_MACHINE);
    assert_int_equal(find(book, "10.0.0.1"), 1);
    address_book_free(book);
    address_learner_free(two[1]);
}

static void test_a_new_address_is_learned(void **state)
{
    see_many_peers(*state, 1, "10.0.0.1", 0);
    for (int i = 0; i < 40; i++)
        see_many_peers(*state, 1, "10.0.0.9", 0);
    struct address_book *book = book_of(*state);
    assert_int_equal(find(book, "10.0.0.9"), 1);
    assert_int_equal(find(book, "10.0.0.1"), 0);
    address_book_free(book);
}

static void test_no_hosts(void **state)
{
    static const char *const none[] = {"127.0.0.1", "0.0.0.0", "fe80::1", "::1"};
    for (int i = 0; i < 4; i++)
        see(*state, 1, &(struct seen){none[i], i < 2 ? "10.0.0.1" : "2001:db8::9", 0, 0, none[i]},
            300);
    struct address_book *book = book_of(*state);
    assert_int_equal(address_book_count(book), 0);
    address_book_free(book);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* No limit: the machine may be busy with other things. */
static void test_cost(void **state)
{
    enum { N = 1000, TURNS = 2000 };
    static struct address_entry entries[N];
    for (uint32_t i = 0; i < N; i++) {
        uint8_t four[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        entries[i] = (struct address_entry){.addr = addr_v4(four), .machine = (uint16_t)(i + 1)};
    }
    struct address_book *book = address_book_make(entries, N, NULL, 0, networks, MAX_MACHINE);
    double start = now_ns();
    uint64_t sum = 0;
    for (int turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < N; i++)
            sum += address_book_find(book, 0, &entries[i].addr);
    print_message("a look-up takes %.1f ns\n", (now_ns() - start) / (N * TURNS));
    assert_int_equal(sum, (uint64_t)TURNS * N * (N + 1) / 2);
    address_book_free(book);

    struct packet p = {.kind = PACKET_IP, .src = make("10.0.0.1"), .dst = make("192.0.2.1")};
    p.ip_version = 4;
    p.has_mac = true;
    start = now_ns();
    for (int i = 0; i < 2000000; i++) {
        p.dst.b[15] = (uint8_t)(i * 7);
        p.dst_mac[5] = (uint8_t)(i & 1);
        address_learner_see(*state, 1, &p);
    }
    print_message("learning takes %.1f ns a packet\n", (now_ns() - start) / 2e6);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_configured),
        TEST(test_many_peers),
        TEST(test_one_peer_alone),
        TEST(test_nearly_one_peer),
        TEST(test_outer_address),
        TEST(test_several_addresses),
        TEST(test_router),
        TEST(test_claims),
        TEST(test_workers_are_summed),
        TEST(test_a_new_address_is_learned),
        TEST(test_no_hosts),
        TEST(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
