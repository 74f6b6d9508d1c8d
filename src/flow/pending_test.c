/* Segments out of order: what is kept, in which order, and how many steps that takes. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "flow/pending.h"

#define SPACE 20000u
#define MOST  4096u

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Steps to the last segment that begins at or before `begin`; every run is checked. */
static uint32_t check(const struct pending *pending)
{
    uint32_t n = 0, n_bytes = 0, n_runs = 0, longest = 0, left = 0;
    const struct segment *run = pending->first;
    uint64_t end = 0;
    for (const struct segment *s = pending->first; s; s = s->next) {
        assert_true(s->size > 0);
        assert_true(n == 0 || s->begin >= end);
        end = s->begin + s->size;
        n++;
        n_bytes += s->size;
        if (left == 0) {
            assert_ptr_equal(s, run);
            assert_true(s->n_run > 0);
            left = s->n_run;
            longest = left > longest ? left : longest;
            run = s->next_run;
            n_runs++;
        } else {
            assert_int_equal(s->n_run, 0);
        }
        left--;
    }
    assert_int_equal(left, 0);
    assert_null(run);
    assert_int_equal(n, pending->n);
    assert_int_equal(n_bytes, pending->n_bytes);
    assert_int_equal(pending_end(pending), end);
    return n_runs + longest;
}

static void drop_all(struct pending *pending, struct pool *pool)
{
    while (pending->first) {
        pending_drop(pending, pool);
        if (pending->n % 64 == 0)
            check(pending);
    }
    assert_int_equal(pending->n_bytes, 0);
    assert_int_equal(pool_used(pool), 0);
}

/* Against bytes in an array, of which the first that came win. */
static void test_any_order_and_size(void **state)
{
    (void)state;
    static uint8_t model[SPACE], there[SPACE], data[600];
    struct pool *pool = pool_new(64u << 20);
    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct pending pending = {0};
        uint32_t random = seed, most = seed % 3 == 0 ? 3 : seed % 3 == 1 ? 40 : sizeof data;
        memset(there, 0, sizeof there);
        for (unsigned i = 0; i < 600; i++) {
            uint32_t size = 1 + next_random(&random) % most,
                     begin = next_random(&random) % (SPACE - size);
            memset(data, (int)i, size);
            assert_true(pending_keep(&pending, pool, begin, data, size));
            for (uint32_t at = begin; at < begin + size; at++) {
                if (!there[at])
                    model[at] = (uint8_t)i;
                there[at] = 1;
            }
            if (i % 50 == 0)
                check(&pending);
        }
        check(&pending);
        uint32_t n_there = 0;
        for (uint32_t at = 0; at < SPACE; at++)
            n_there += there[at];
        assert_int_equal(pending.n_bytes, n_there);
        for (const struct segment *s = pending.first; s; s = s->next)
            assert_memory_equal(s->bytes, model + s->begin, s->size);
        drop_all(&pending, pool);
    }
    pool_free(pool);
}

/* Upwards, downwards, by chance: a place is found in few steps, also among the most segments. */
static void test_few_steps(void **state)
{
    (void)state;
    struct pool *pool = pool_new(64u << 20);
    static uint32_t order[MOST];
    for (unsigned kind = 0; kind < 3; kind++) {
        struct pending pending = {0};
        uint32_t random = 7;
        for (uint32_t i = 0; i < MOST; i++)
            order[i] = kind == 1 ? MOST - 1 - i : i;
        for (uint32_t i = MOST - 1; kind == 2 && i > 0; i--) {
            uint32_t j = next_random(&random) % (i + 1), kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        for (uint32_t i = 0; i < MOST; i++)
            assert_true(pending_keep(&pending, pool, order[i] * 2ull, (const uint8_t *)"x", 1));
        assert_int_equal(pending.n, MOST);
        assert_true(check(&pending) <= 200);
        assert_false(pending_keep(&pending, pool, MOST * 2ull, (const uint8_t *)"x", 1));
        assert_true(pending_keep(&pending, pool, 2, (const uint8_t *)"x", 1));
        drop_all(&pending, pool);
    }
    pool_free(pool);
}

static void test_no_memory(void **state)
{
    (void)state;
    static uint8_t data[1000];
    struct pool *pool = pool_new(4096);
    struct pending pending = {0};
    unsigned n_kept = 0;
    for (uint32_t i = 0; i < 50; i++)
        n_kept += pending_keep(&pending, pool, i * 2000ull, data, sizeof data);
    assert_true(n_kept > 0 && n_kept < 5);
    assert_int_equal(pending.n, n_kept);
    check(&pending);
    drop_all(&pending, pool);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_and_size),
        cmocka_unit_test(test_few_steps),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
