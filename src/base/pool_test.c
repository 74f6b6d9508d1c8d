/* Budgeted memory: zeroed, aligned, apart from each other, counted, and refused when it is spent.
 */
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

static bool all_are(const uint8_t *bytes, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* Blocks of all sizes come and go; each keeps what was written into it. */
static void test_blocks(void **state)
{
    (void)state;
    enum { N = 300 };
    struct {
        uint8_t *at;
        size_t size;
    } blocks[N] = {{0}};
    struct pool *pool = pool_new(64u << 20);
    uint32_t seed = 1;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1103515245 + 12345;
        size_t i = (seed >> 8) % N;
        if (blocks[i].at) {
            assert_true(all_are(blocks[i].at, blocks[i].size, (uint8_t)i));
            pool_put(pool, blocks[i].at, blocks[i].size);
            blocks[i].at = NULL;
            continue;
        }
        blocks[i].size = 1 + (seed >> 4) % (1u << (seed % 17));
        blocks[i].at = pool_get(pool, blocks[i].size);
        assert_non_null(blocks[i].at);
        assert_int_equal((uintptr_t)blocks[i].at % 16, 0);
        assert_true(all_are(blocks[i].at, blocks[i].size, 0));
        memset(blocks[i].at, (int)i, blocks[i].size);
    }
    for (size_t i = 0; i < N; i++)
        pool_put(pool, blocks[i].at, blocks[i].size);
    assert_int_equal(pool_used(pool), 0);
    assert_int_equal(pool_refused(pool), 0);
    pool_free(pool);
}

static void test_budget(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 65, 100, 1000, 4096, 32768, 32769, 100000};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        enum { LIMIT = 300000 };
        struct pool *pool = pool_new(LIMIT);
        assert_int_equal(pool_limit(pool), LIMIT);
        static void *blocks[LIMIT + 1];
        size_t n = 0;
        while ((blocks[n] = pool_get(pool, sizes[k]))) {
            n++;
            assert_true(pool_used(pool) <= LIMIT);
            assert_true(pool_used(pool) >= n * sizes[k]);
        }
        assert_true(n >= LIMIT / (sizes[k] * 3 / 2 + 64)); /* not much is wasted */
        assert_int_equal(pool_refused(pool), 1);
        pool_put(pool, blocks[--n], sizes[k]);
        assert_non_null(blocks[n] = pool_get(pool, sizes[k])); /* what came back can be had again */
        n++;
        while (n > 0)
            pool_put(pool, blocks[--n], sizes[k]);
        assert_int_equal(pool_used(pool), 0);
        pool_free(pool);
    }
}

/* Used once for one size, then for another …: what is free serves every size, and the limit holds
 * for all that was ever touched, but one slab for each of the classes. */
static void test_sizes_in_turn(void **state)
{
    (void)state;
    enum { LIMIT = 16 << 20, FIRSTS = 19 * (128 << 10) };
    static void *blocks[LIMIT / 64 + 1];
    struct pool *pool = pool_new(LIMIT);
    for (int round = 0; round < 2; round++)
        for (size_t size = 64; size <= 200000; size = size * 5 / 4) {
            size_t n = 0;
            while ((blocks[n] = pool_get(pool, size)))
                n++;
            assert_true(n * size >= LIMIT / 2); /* all of it, but for rounding */
            assert_true(pool_touched(pool) <= LIMIT + FIRSTS);
            while (n > 0)
                pool_put(pool, blocks[--n], size);
        }
    assert_int_equal(pool_used(pool), 0);
    pool_trim(pool);
    assert_true(pool_touched(pool) <= FIRSTS);
    pool_free(pool);
}

static void test_lower_limit(void **state)
{
    (void)state;
    struct pool *pool = pool_new(8 << 20);
    static void *blocks[4096];
    size_t n = 0;
    while (n < 2000 && (blocks[n] = pool_get(pool, 2000)))
        n++;
    assert_int_equal(n, 2000);
    pool_set_limit(pool, 1 << 20);
    assert_int_equal(pool_limit(pool), 1 << 20);
    assert_null(pool_get(pool, 2000));
    while (n > 0)
        pool_put(pool, blocks[--n], 2000);
    while ((blocks[n] = pool_get(pool, 2000)))
        n++;
    assert_true(n > 200 && n * 2000 <= 1 << 20);
    while (n > 0)
        pool_put(pool, blocks[--n], 2000);
    pool_free(pool);
}

static void test_impossible_sizes(void **state)
{
    (void)state;
    struct pool *pool = pool_new(1 << 20);
    assert_null(pool_get(pool, SIZE_MAX));
    assert_null(pool_get(pool, SIZE_MAX / 2));
    assert_null(pool_get(pool, (1 << 20) + 1));
    pool_put(pool, NULL, 5);
    assert_int_equal(pool_used(pool), 0);
    assert_int_equal(pool_refused(pool), 3);
    pool_free(pool);
    pool_free(NULL);
    pool = pool_new(0);
    assert_null(pool_get(pool, 1));
    pool_free(pool);
}

static void test_arena(void **state)
{
    (void)state;
    struct pool *pool = pool_new(8u << 20);
    struct arena arena;
    arena_init(&arena, pool);
    for (int round = 0; round < 3; round++) {
        uint8_t *at[500];
        for (size_t i = 0; i < 500; i++) {
            at[i] = arena_get(&arena, 1 + i * 7 % 3000);
            assert_non_null(at[i]);
            assert_int_equal((uintptr_t)at[i] % 8, 0);
            assert_true(all_are(at[i], 1 + i * 7 % 3000, 0));
            memset(at[i], (int)i, 1 + i * 7 % 3000);
        }
        for (size_t i = 0; i < 500; i++)
            assert_true(all_are(at[i], 1 + i * 7 % 3000, (uint8_t)i));
        assert_non_null(arena_get(&arena, 1u << 20));
        assert_null(arena_get(&arena, (1u << 20) + 1));
        assert_null(arena_get(&arena, SIZE_MAX / 2));
        arena_clear(&arena);
        assert_int_equal(pool_used(pool), 0);
    }
    pool_free(pool);
}

static void test_arena_strings(void **state)
{
    (void)state;
    struct pool *pool = pool_new(4096);
    struct arena arena;
    arena_init(&arena, pool);
    char text[] = "hello";
    struct str copy = arena_str(&arena, str_c(text));
    text[0] = 'j';
    assert_true(str_eq(copy, STR("hello")));
    assert_false(str_set(arena_str(&arena, (struct str){0})));
    assert_true(str_set(arena_str(&arena, STR(""))));
    static char large[5000];
    copy = arena_str(&arena, str_make(large, sizeof large)); /* no memory */
    assert_true(str_set(copy));
    assert_int_equal(copy.len, 0);
    arena_clear(&arena);
    assert_int_equal(pool_used(pool), 0);
    pool_free(pool);
}

/* Against a plain array. */
static void test_buf(void **state)
{
    (void)state;
    enum { MAX = 5000 };
    struct pool *pool = pool_new(1 << 20);
    struct buf buf = {0};
    static uint8_t model[MAX];
    size_t n = 0;
    uint32_t seed = 3;
    assert_null(buf_at(&buf));
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1103515245 + 12345;
        size_t size = (seed >> 8) % 700;
        if (seed >> 30 == 0) {
            buf_drop(&buf, size);
            size = size < n ? size : n;
            memmove(model, model + size, n - size);
            n -= size;
        } else {
            uint8_t piece[700];
            memset(piece, (int)(seed >> 16), size);
            bool fits = n + size <= MAX;
            assert_int_equal(buf_add(&buf, pool, piece, size, MAX), fits || size == 0);
            if (fits) {
                memcpy(model + n, piece, size);
                n += size;
            }
        }
        assert_int_equal(buf_size(&buf), n);
        assert_true(buf.capacity <= 2 * MAX + 256);
        if (n)
            assert_memory_equal(buf_at(&buf), model, n);
    }
    buf_done(&buf, pool);
    assert_int_equal(pool_used(pool), 0);
    buf_done(&buf, pool);
    pool_free(pool);
}

static void test_buf_without_memory(void **state)
{
    (void)state;
    struct pool *pool = pool_new(2048);
    struct buf buf = {0};
    static uint8_t bytes[4096];
    memset(bytes, 'x', sizeof bytes);
    assert_true(buf_add(&buf, pool, bytes, 500, 4096));
    assert_false(buf_add(&buf, pool, bytes, 3000, 4096));
    assert_int_equal(buf_size(&buf), 500); /* what was there stays */
    assert_true(all_are(buf_at(&buf), 500, 'x'));
    assert_false(buf_add(&buf, pool, bytes, 1, SIZE_MAX));
    buf_done(&buf, pool);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_sizes_in_turn),
        cmocka_unit_test(test_lower_limit),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_strings),
        cmocka_unit_test(test_buf),
        cmocka_unit_test(test_buf_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
