/* Hidden traffic is told from lost traffic, soon, and with the name of what is hidden. */
#include "source/missing.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "source/health_bed.h"

/* Of one service: packets a second, and the shares that its mirror and the peer's do not show. */
struct service {
    uint8_t proto;
    uint16_t port;
    double rate, hidden, hidden_at_peer;
    struct health_shared counts;
};

/* web-1 and db-1: the first line is the pair, the rest its services. */
struct pair {
    struct bed bed;
    struct service services[8];
    size_t n_services;
    struct health_shared shared[9];
    double lost; /* of all alike */
    bool expects_copies, without_lines;
};

static void set_up_pair(struct pair *pair, uint64_t seed, const struct service *services, size_t n)
{
    memset(pair, 0, sizeof(*pair));
    bed_start(&pair->bed, seed, true);
    pair->bed.packets_per_second = 2000;
    memcpy(pair->services, services, n * sizeof(*services));
    pair->n_services = n;
}

static void count_one(struct pair *pair, struct service *s, int way)
{
    struct health_totals *t = &pair->bed.totals;
    bool here = bed_random(&pair->bed) >= s->hidden && bed_random(&pair->bed) >= pair->lost;
    bool there = bed_random(&pair->bed) >= s->hidden_at_peer;
    t->n_shared_here += here;
    t->n_shared_there += there;
    t->n_shared_both += here && there;
    s->counts.n_there[way] += there;
    s->counts.n_both[way] += here && there;
    s->counts.n_only_here[way] += here && !there;
}

static void tick(struct pair *pair)
{
    struct health_shared all = {.peer = "db-1", .key = 1};
    for (size_t i = 0; i < pair->n_services; i++) {
        struct service *s = &pair->services[i];
        unsigned int n = bed_poisson(&pair->bed, s->rate / 4);
        for (unsigned int k = 0; k < n; k++)
            count_one(pair, s, k & 1);
        s->counts.peer = "db-1";
        s->counts.key = (uint32_t)i + 2;
        s->counts.proto = s->proto;
        s->counts.port = s->port;
        pair->shared[i + 1] = s->counts;
        for (int way = 0; way < 2; way++) {
            all.n_there[way] += s->counts.n_there[way];
            all.n_both[way] += s->counts.n_both[way];
            all.n_only_here[way] += s->counts.n_only_here[way];
        }
    }
    pair->shared[0] = all;
    struct health_totals *t = &pair->bed.totals;
    t->peer = "db-1";
    t->shared = pair->without_lines ? NULL : pair->shared;
    t->n_shared = pair->n_services + 1;
    bed_tick(&pair->bed);
}

static void run(struct pair *pair, double seconds)
{
    for (int i = 0; i < seconds * 4; i++)
        tick(pair);
}

static double until(struct pair *pair, enum health_state state, double limit)
{
    for (int i = 1; i <= limit * 4; i++) {
        tick(pair);
        if (pair->bed.verdict.state == state)
            return i / 4.0;
    }
    return -1;
}

static const struct service usual[] = {
    {.proto = 6, .port = 22, .rate = 200},
    {.proto = 6, .port = 443, .rate = 60},
    {.proto = 6, .port = 5432, .rate = 900},
    {.proto = 1, .rate = 4},
};

static void check(struct pair *pair, double limit, const char *says)
{
    double took = until(pair, HEALTH_MUTED, limit);
    print_message("%.2f s: %s\n", took, pair->bed.verdict.reason);
    assert_true(took > 0);
    assert_non_null(strstr(pair->bed.verdict.reason, says));
}

static void test_one_port_is_hidden(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct pair pair;
        set_up_pair(&pair, seed, usual, 4);
        run(&pair, 3600);
        assert_int_equal(pair.bed.n_bad, 0);
        pair.services[1].hidden = 1; /* 5 % of what the two exchange */
        check(&pair, 5, "web-1 hides TCP port 443 from its mirror: ");
        assert_non_null(strstr(pair.bed.verdict.reason, "packets seen only from db-1"));
        pair.services[1].hidden = 0;
        assert_true(until(&pair, HEALTH_OK, 150) > 0);
        health_free(pair.bed.health);
    }
}

static void test_all_but_icmp_is_hidden(void **state)
{
    (void)state;
    struct pair pair;
    set_up_pair(&pair, 1, usual, 4);
    run(&pair, 3600);
    for (int i = 0; i < 3; i++)
        pair.services[i].hidden = 1;
    check(&pair, 3, "web-1 answers db-1 but mirrors nearly none of it (");
    health_free(pair.bed.health);
}

static void test_nothing_is_shown(void **state)
{
    (void)state;
    struct pair pair;
    set_up_pair(&pair, 1, usual, 4);
    run(&pair, 60);
    for (int i = 0; i < 4; i++)
        pair.services[i].hidden = 1;
    check(&pair, 3, "packets seen only from db-1");
    run(&pair, 5);
    assert_non_null(strstr(pair.bed.verdict.reason, "web-1 "));
    health_free(pair.bed.health);
}

/* A slow pair: few packets, from the beginning. */
static void test_the_words_of_a_muted_one(void **state)
{
    (void)state;
    struct service slow[] = {{.proto = 6, .port = 22, .rate = 20, .hidden = 1}};
    struct pair pair;
    set_up_pair(&pair, 2, slow, 1);
    check(&pair, 5, "web-1 answers db-1 but mirrors none of it (");
    health_free(pair.bed.health);
}

/* One or two in a hundred, at random, is loss; so is one in ten. Some of it comes at once. */
static void test_loss_is_not_hiding(void **state)
{
    (void)state;
    static const double losses[] = {0.0005, 0.01, 0.02, 0.1};
    for (size_t i = 0; i < 4; i++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            struct pair pair;
            set_up_pair(&pair, seed, usual, 4);
            run(&pair, 300);
            for (int minute = 0; minute < 60; minute++) {
                pair.lost = losses[i] * (minute % 3 ? 0.5 : 2);
                run(&pair, 60);
                assert_int_not_equal(pair.bed.verdict.state, HEALTH_MUTED);
            }
            assert_int_equal(pair.bed.verdict.state, i > 0 ? HEALTH_DROPPING : HEALTH_OK);
            health_free(pair.bed.health);
        }
}

/* Where nobody says what is missing, a clear step has to be enough. */
static void test_a_step_without_services(void **state)
{
    (void)state;
    struct pair pair;
    set_up_pair(&pair, 3, usual, 4);
    pair.without_lines = true;
    run(&pair, 1800);
    assert_int_equal(pair.bed.n_bad, 0);
    pair.services[1].hidden = 1;
    check(&pair, 5, "web-1 mirrors only part of what it exchanges with db-1");
    health_free(pair.bed.health);
}

/* Copies that are not recognised are missing on both sides: nobody is accused. */
static void test_both_ends_lack_some(void **state)
{
    (void)state;
    struct pair pair;
    set_up_pair(&pair, 4, usual, 4);
    for (int i = 0; i < 4; i++)
        pair.services[i].hidden = pair.services[i].hidden_at_peer = 0.5;
    run(&pair, 300);
    assert_int_not_equal(pair.bed.verdict.state, HEALTH_MUTED);
    health_free(pair.bed.health);
}

/* What this host lost is not held against the machine. */
static void test_our_own_loss(void **state)
{
    (void)state;
    struct pair pair;
    set_up_pair(&pair, 5, usual, 4);
    run(&pair, 300);
    pair.lost = 0.4;
    for (int i = 0; i < 240; i++) {
        pair.bed.totals.n_dropped += 200;
        tick(&pair);
        assert_int_not_equal(pair.bed.verdict.state, HEALTH_MUTED);
    }
    assert_int_equal(pair.bed.verdict.state, HEALTH_DROPPING);
    health_free(pair.bed.health);
}

static void test_a_filter_is_respected(void **state)
{
    (void)state;
    struct pair pair;
    set_up_pair(&pair, 6, usual, 4);
    health_free(pair.bed.health);
    struct health_options options = {.expects_both_directions = true, .seed = 1};
    pair.bed.health = health_new(&options, pair.bed.now);
    pair.services[1].hidden = 1;
    run(&pair, 300);
    assert_int_equal(pair.bed.n_bad, 0);
    health_free(pair.bed.health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_port_is_hidden),
        cmocka_unit_test(test_all_but_icmp_is_hidden),
        cmocka_unit_test(test_nothing_is_shown),
        cmocka_unit_test(test_the_words_of_a_muted_one),
        cmocka_unit_test(test_loss_is_not_hiding),
        cmocka_unit_test(test_a_step_without_services),
        cmocka_unit_test(test_both_ends_lack_some),
        cmocka_unit_test(test_our_own_loss),
        cmocka_unit_test(test_a_filter_is_respected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
