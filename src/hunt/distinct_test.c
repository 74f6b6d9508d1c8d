/* Different things are counted: exactly while few, within four standard errors when many, and the
 * same whether they came in one piece or in two. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <string.h>

#include "hunt/distinct.h"

/* splitmix64: well spread, as a keyed hash is. */
static uint64_t hash_of(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void test_exact(void **state)
{
    (void)state;
    struct distinct distinct = {0};
    assert_true(distinct_count(&distinct) == 0);
    for (uint64_t i = 0; i < DISTINCT_EXACT; i++) {
        assert_true(distinct_add(&distinct, hash_of(i)));
        assert_false(distinct_add(&distinct, hash_of(i)));
        assert_true(distinct_count(&distinct) == (double)(i + 1));
    }
    assert_int_equal(distinct.estimated, 0);
}

static void test_estimate(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {33, 100, 300, 1000, 10000, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct distinct distinct = {0};
        for (uint64_t k = 0; k < 2 * sizes[i]; k++)
            distinct_add(&distinct, hash_of((i << 40) + k % sizes[i]));
        double off = fabs(distinct_count(&distinct) / (double)sizes[i] - 1);
        assert_true(off < 4 * 1.04 / sqrt(DISTINCT_REGISTERS));
    }
}

static void test_merge(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {5, 20, 40, 5000};
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++) {
            struct distinct one = {0}, first = {0}, second = {0};
            for (uint64_t k = 0; k < sizes[a]; k++) {
                distinct_add(&one, hash_of(k));
                distinct_add(&first, hash_of(k));
            }
            for (uint64_t k = 3; k < 3 + sizes[b]; k++) {
                distinct_add(&one, hash_of(k));
                distinct_add(&second, hash_of(k));
            }
            distinct_merge(&first, &second);
            assert_true(fabs(distinct_count(&first) - distinct_count(&one)) < 1e-9);
        }
    }
}

/* Bytes of an archive that are nonsense do not lead outside the arrays. */
static void test_nonsense(void **state)
{
    (void)state;
    struct distinct bad, other = {0};
    memset(&bad, 0xff, sizeof(bad));
    bad.estimated = 0;
    assert_true(distinct_count(&bad) == DISTINCT_EXACT);
    distinct_merge(&other, &bad);
    distinct_add(&bad, 7);
    bad.estimated = 0xffffffff;
    memset(bad.registers, 0xff, sizeof(bad.registers));
    assert_true(isfinite(distinct_count(&bad)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
