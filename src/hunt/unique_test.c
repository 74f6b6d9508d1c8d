/* Counts of what is different are exact to 256, and near after that. */
#include "hunt/unique.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A hash of the number: any mixing of 32 bits serves. */
static uint32_t mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

static void test_exact(void **state)
{
    (void)state;
    struct unique d = {0};
    for (unsigned round = 0; round < 3; round++)
        for (uint32_t i = 0; i < 256; i++)
            assert_int_equal(unique_add(&d, mixed(i)), round == 0);
    assert_int_equal(unique_count(&d), 256);
    assert_false(d.is_rounded);
}

static void test_rounded(void **state)
{
    (void)state;
    static const uint32_t counts[] = {300, 1000, 5000, 60000, 1000000};
    for (unsigned k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        struct unique d = {0};
        for (uint32_t i = 0; i < counts[k]; i++)
            (void)unique_add(&d, mixed(i + 77));
        for (uint32_t i = 0; i < counts[k]; i++)
            (void)unique_add(&d, mixed(i + 77));
        assert_in_range(unique_count(&d), counts[k] - counts[k] / 10, counts[k] + counts[k] / 10);
    }
}

static void test_merge(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        /* Exact or rounded on either side, half of it the same. */
        uint32_t n = way & 1 ? 2000 : 100, m = way & 2 ? 2000 : 100;
        struct unique a = {0}, b = {0}, both = {0};
        for (uint32_t i = 0; i < n; i++) {
            (void)unique_add(&a, mixed(i));
            (void)unique_add(&both, mixed(i));
        }
        for (uint32_t i = n / 2; i < n / 2 + m; i++) {
            (void)unique_add(&b, mixed(i));
            (void)unique_add(&both, mixed(i));
        }
        unique_merge(&a, &b);
        assert_int_equal(unique_count(&a), unique_count(&both));
    }
}

static void test_hostile_count(void **state)
{
    (void)state;
    struct unique d = {.n = 60000};
    assert_int_equal(unique_count(&d), 256);
    (void)unique_add(&d, 5);
    struct unique into = {0};
    d = (struct unique){.n = 60000};
    unique_merge(&into, &d);
    assert_in_range(unique_count(&into), 1, 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_rounded),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_hostile_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
