/* Numbers as text, against the C library's. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <inttypes.h>
#include <stdio.h>

#include "log/number.h"

static void check(uint64_t value)
{
    char want[24], got[24];
    int len = snprintf(want, sizeof want, "%" PRIu64, value);
    memset(got, '#', sizeof got);
    assert_ptr_equal(number_put(got, value), got + len);
    assert_memory_equal(got, want, (size_t)len);
    assert_int_equal(got[len], '#');
}

static void test_decimal(void **state)
{
    (void)state;
    for (uint64_t v = 0; v < 12345; v++)
        check(v);
    for (uint64_t p = 1; p <= UINT64_MAX / 10; p *= 10)
        for (uint64_t d = 0; d < 3; d++)
            check(p * 10 + d - 1);
    for (unsigned bit = 0; bit < 64; bit++) {
        check(1ull << bit);
        check((1ull << bit) - 1);
    }
    check(UINT64_MAX);
}

static void test_six_digits(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 1000000; v += v < 200 || v > 999800 ? 1 : 37) {
        char want[8], got[8];
        snprintf(want, sizeof want, "%06" PRIu32, v);
        assert_ptr_equal(number_put6(got, v), got + 6);
        assert_memory_equal(got, want, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_six_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
