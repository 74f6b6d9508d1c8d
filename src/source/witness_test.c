/* From the sights of workers to what is missing: late copies, several workers, crowds, and a
 * machine that shows its packets twice. */
#include "source/witness.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { A = 3, B = 7, C = 5 };

static const char *name_of(void *context, uint16_t machine)
{
    (void)context;
    static const char *const names[] = {"", "", "", "a", "", "c", "", "b", ""};
    return names[machine];
}

struct bench {
    struct witness *workers[2];
    struct witness_book *book;
    struct health_shared shared[HEALTH_SHARED_MAX];
    struct health_totals totals;
};

static int set_up(void **state)
{
    static struct bench bench;
    memset(&bench, 0, sizeof bench);
    bench.workers[0] = witness_new();
    bench.workers[1] = witness_new();
    bench.book = witness_book_new(2, 8);
    *state = &bench;
    return bench.workers[0] && bench.workers[1] && bench.book ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    witness_free(b->workers[0]);
    witness_free(b->workers[1]);
    witness_book_free(b->book);
    return 0;
}

static void sight(struct bench *b, int worker, uint16_t src, uint16_t dst, uint16_t seen_by,
                  bool is_copy, uint16_t port)
{
    struct witness_packet p = {
        .src = src, .dst = dst, .seen_by = seen_by, .is_copy = is_copy, .proto = 6};
    p.size = 100;
    p.sport = src < dst ? 50000 : port;
    p.dport = src < dst ? port : 50000;
    witness_sight(b->workers[worker], &p);
}

static void collect(struct bench *b, int times)
{
    for (int i = 0; i < times; i++)
        witness_book_collect(b->book, b->workers, 2);
}

static const struct health_shared *line(struct bench *b, uint16_t machine, uint8_t proto,
                                        uint16_t port)
{
    witness_book_fill(b->book, machine, name_of, NULL, b->shared, &b->totals);
    for (size_t i = 0; i < b->totals.n_shared; i++)
        if (b->shared[i].proto == proto && b->shared[i].port == port)
            return &b->shared[i];
    fail_msg("no line for %u/%u", proto, port);
    return NULL;
}

static void test_all_is_seen_twice(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 1000; i++) {
        int worker = i & 1;
        uint16_t src = i % 3 ? A : B, dst = src == A ? B : A, first = i % 5 ? A : B;
        sight(b, worker, src, dst, first, false, 443);
        sight(b, worker, src, dst, first == A ? B : A, true, 443);
        if (i % 50 == 0)
            collect(b, 1);
    }
    collect(b, 5);
    for (int m = 0; m < 2; m++) {
        const struct health_shared *l = line(b, m ? A : B, 6, 443);
        assert_string_equal(l->peer, m ? "b" : "a");
        assert_int_equal(l->n_there[0] + l->n_there[1], 1000);
        assert_int_equal(l->n_both[0] + l->n_both[1], 1000);
        assert_int_equal(l->n_only_here[0] + l->n_only_here[1], 0);
        assert_int_equal(b->totals.n_shared_here, 1000);
        assert_int_equal(b->totals.n_shared_there, 1000);
        assert_int_equal(b->totals.n_shared_both, 1000);
        assert_null(b->totals.peer);
    }
    assert_int_equal(line(b, A, 6, 443)->n_there[0], 666); /* what A sent */
    assert_int_equal(line(b, B, 6, 443)->n_there[1], 666);
}

static void test_one_port_is_hidden(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 1000; i++) {
        bool hides = i % 20 == 0;
        sight(b, 0, B, A, B, false, hides ? 443 : 22);
        if (!hides)
            sight(b, 0, B, A, A, true, 22);
    }
    collect(b, 5);
    const struct health_shared *l = line(b, A, 6, 443);
    assert_int_equal(l->n_there[1], 50);
    assert_int_equal(l->n_both[1], 0);
    assert_int_equal(line(b, A, 6, 22)->n_both[1], 950);
    assert_int_equal(line(b, A, 0, 0)->n_there[1], 1000);
    assert_int_equal(b->totals.n_shared_both, 950);
    assert_string_equal(b->totals.peer, "b");
    assert_int_equal(line(b, B, 6, 443)->n_only_here[0], 50);
    assert_int_equal(line(b, B, 6, 443)->n_there[0], 0);
}

/* Copies that come as late as the next collection are not missed at any time. */
static void test_late_copies(void **state)
{
    struct bench *b = *state;
    int late = 0;
    for (int round = 0; round < 200; round++) {
        for (; late > 0; late--)
            sight(b, 0, A, B, B, true, 22);
        late = round * 37 % 100 + 1;
        for (int i = 0; i < late; i++)
            sight(b, 0, A, B, A, false, 22);
        collect(b, 1);
        const struct health_shared *l = line(b, B, 6, 22);
        assert_int_equal(l->n_there[1], l->n_both[1]);
    }
}

/* The counts of what was shown never go back, and what is missing is caught up. */
static void test_muted_in_the_middle(void **state)
{
    struct bench *b = *state;
    uint64_t both = 0, there = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 50; i++) {
            sight(b, 0, A, B, B, false, 22);
            if (round < 200)
                sight(b, 0, A, B, A, true, 22);
        }
        collect(b, 1);
        const struct health_shared *l = line(b, A, 6, 22);
        assert_true(l->n_both[0] >= both && l->n_there[0] >= there);
        both = l->n_both[0];
        there = l->n_there[0];
        if (round == 207) /* two seconds later */
            assert_true(there - both >= 100);
    }
    collect(b, 5);
    const struct health_shared *l = line(b, A, 6, 22);
    assert_int_equal(l->n_there[0], 20000);
    assert_int_equal(l->n_both[0], 10000);
}

/* One mirror shows segments of 64 KB, the other what the wire had. */
static void test_pieces(void **state)
{
    struct bench *b = *state;
    struct health_options options = {
        .expects_both_directions = true, .expects_copies = true, .seed = 1};
    struct health *health = health_new(&options, 0);
    struct canary_state canary = {.enabled = false};
    struct health_verdict verdict;
    int64_t now = 0;
    for (int round = 0; round < 400; round++) {
        struct witness_packet p = {.src = A, .dst = B, .seen_by = A, .proto = 6};
        p.sport = 50000;
        p.dport = 443;
        p.size = 45 * 1448 + 52;
        witness_sight(b->workers[0], &p);
        for (int i = 0; i < 45; i++) {
            p.seen_by = B;
            p.size = 1500;
            witness_sight(b->workers[0], &p);
        }
        collect(b, 1);
        b->totals.n_packets += 1;
        witness_book_fill(b->book, A, name_of, NULL, b->shared, &b->totals);
        now += 250000000;
        health_update(health, "a", &b->totals, &canary, now, now, &verdict);
        assert_false(verdict.is_bad);
    }
    assert_true(b->totals.n_shared_there > 10000);
    health_free(health);
}

/* From the packets to the verdict: A begins to hide a port, after a good hour. */
static void test_the_verdict(void **state)
{
    struct bench *b = *state;
    struct health_options options = {
        .expects_both_directions = true, .expects_copies = true, .seed = 1};
    struct health *health = health_new(&options, 0);
    struct canary_state canary = {.enabled = false};
    struct health_verdict verdict;
    int64_t now = 0;
    const int begin = 4 * 3600;
    int took = 0;
    for (int round = 0; took == 0 && round < begin + 40; round++) {
        for (int i = 0; i < 60; i++) {
            uint16_t port = i % 20 == 0 ? 443 : 22;
            bool hides = round >= begin && port == 443;
            uint16_t src = i & 1 ? A : B, dst = i & 1 ? B : A;
            sight(b, i & 1, src, dst, B, false, port);
            if (!hides)
                sight(b, i & 1, src, dst, A, true, port);
        }
        collect(b, 1);
        b->totals.n_packets += 60;
        witness_book_fill(b->book, A, name_of, NULL, b->shared, &b->totals);
        now += 250000000;
        health_update(health, "a", &b->totals, &canary, now, now, &verdict);
        if (round < begin)
            assert_false(verdict.is_bad);
        else if (verdict.state == HEALTH_MUTED)
            took = round - begin + 1;
    }
    print_message("%.2f s: %s\n", took / 4.0, verdict.reason);
    assert_true(took > 0);
    assert_non_null(strstr(verdict.reason, "a hides TCP port 443 from its mirror: "));
    health_free(health);
}

/* B's mirror shows all twice: that makes up for nothing that A's does not show. */
static void test_one_that_doubles(void **state)
{
    struct bench *b = *state;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 50; i++) {
            sight(b, 0, A, B, A, false, 22);
            sight(b, 0, A, B, B, true, 22);
            sight(b, 0, A, B, B, true, 22);
        }
        collect(b, 1);
    }
    for (int round = 0; round < 100; round++) { /* then only A's mirror works */
        for (int i = 0; i < 50; i++)
            sight(b, 0, A, B, A, false, 22);
        collect(b, 1);
    }
    collect(b, 5);
    const struct health_shared *l = line(b, B, 6, 22);
    uint64_t missing = l->n_there[1] - l->n_both[1];
    assert_true(missing >= 4800 && missing <= 5000);
    l = line(b, A, 6, 22);
    assert_int_equal(l->n_there[0], l->n_both[0]);
}

/* A scan of all ports pushes out neither the pair nor a busy service. */
static void test_a_scan(void **state)
{
    struct bench *b = *state;
    for (uint32_t port = 1; port < 40000; port++) {
        sight(b, 0, A, B, A, false, (uint16_t)port);
        sight(b, 0, A, B, B, true, (uint16_t)port);
        for (int i = 0; i < 2; i++)
            sight(b, 0, B, A, B, false, 443); /* which A hides */
        if (port % 100 == 0)
            collect(b, 1);
    }
    collect(b, 5);
    const struct health_shared *l = line(b, A, 6, 443);
    assert_true(l->n_there[1] > 79000);
    assert_true(l->n_both[1] < 1000);
    assert_int_equal(line(b, A, 0, 0)->n_there[1], 79998);
    assert_true(witness_crowded(b->workers[0]) > 0);
}

static void test_what_is_ignored(void **state)
{
    struct bench *b = *state;
    sight(b, 0, A, A, A, false, 22);
    sight(b, 0, A, B, C, false, 22);
    sight(b, 0, 0, B, B, false, 22);
    collect(b, 5);
    witness_book_fill(b->book, A, name_of, NULL, b->shared, &b->totals);
    assert_int_equal(b->totals.n_shared, 0);
    assert_int_equal(b->totals.n_shared_there, 0);
}

struct racer {
    struct bench *bench;
    atomic_bool stop;
    atomic_uint n;
};

static void *race(void *context)
{
    struct racer *racer = context;
    for (uint32_t n = 0; !atomic_load(&racer->stop); n++) {
        uint16_t port = (uint16_t)(n % 3000 + 1); /* slots change hands all the time */
        sight(racer->bench, 0, A, B, A, false, port);
        sight(racer->bench, 0, A, B, B, true, port);
        atomic_store(&racer->n, n + 1);
    }
    return NULL;
}

/* Collected while a worker counts: nothing is ever said to be missing. The worker gets on between
 * two collections, as it does in a quarter of a second. */
static void test_a_worker_that_counts_meanwhile(void **state)
{
    struct bench *b = *state;
    struct racer racer = {.bench = b};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, race, &racer), 0);
    for (int i = 0; i < 300; i++) {
        uint32_t n = atomic_load(&racer.n);
        while (atomic_load(&racer.n) - n < 2)
            sched_yield();
        collect(b, 1);
        witness_book_fill(b->book, B, name_of, NULL, b->shared, &b->totals);
        assert_int_equal(b->totals.n_shared_there, b->totals.n_shared_both);
    }
    atomic_store(&racer.stop, true);
    pthread_join(thread, NULL);
    collect(b, 5);
    assert_int_equal(line(b, B, 0, 0)->n_both[1], atomic_load(&racer.n));
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void test_cost(void **state)
{
    struct bench *b = *state;
    double start = now_ns();
    for (int i = 0; i < 2000000; i++)
        sight(b, 0, A, B, i & 1 ? A : B, i & 1, (uint16_t)(i % 97));
    print_message("a sight takes %.1f ns\n", (now_ns() - start) / 2e6);
    start = now_ns();
    collect(b, 100);
    print_message("a collection takes %.0f us\n", (now_ns() - start) / 1e5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_is_seen_twice),
        TEST(test_one_port_is_hidden),
        TEST(test_late_copies),
        TEST(test_muted_in_the_middle),
        TEST(test_pieces),
        TEST(test_the_verdict),
        TEST(test_one_that_doubles),
        TEST(test_a_scan),
        TEST(test_what_is_ignored),
        TEST(test_a_worker_that_counts_meanwhile),
        TEST(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
