// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "carry/limit.h"

#define SECOND INT64_C(1000000000)

/* What passes in `time`, of frames of `size` that come every `step` ns, more than may pass. */
static uint64_t passed(uint64_t rate, uint32_t size, int64_t step, int64_t time)
{
    struct limit limit;
    uint64_t bytes = 0;
    limit_init(&limit, rate, 0);
    for (int64_t now = 0; now < time; now += step) {
        limit_refill(&limit, now);
        bytes += limit_takes(&limit, size) ? size : 0;
    }
    return bytes;
}

static void test_rate(void **state)
{
    static const uint64_t rates[] = {20000, 1000000, 125000000};
    for (size_t i = 0; i < 3; i++) {
        uint64_t rate = rates[i], burst = rate / 10 > 65536 ? rate / 10 : 65536;
        uint64_t bytes = passed(rate, 1500, 5000, 10 * SECOND);
        assert_true(bytes <= 10 * rate + burst);
        assert_true(bytes >= 10 * rate + burst - 3000);
    }
}

static void test_no_limit(void **state)
{
    struct limit limit;
    limit_init(&limit, 0, 0);
    limit_refill(&limit, INT64_MAX);
    for (int i = 0; i < 1000; i++)
        assert_true(limit_takes(&limit, UINT32_MAX));
}

/* However long the pause, and at any rate, it is full then and not fuller. */
static void test_pauses(void **state)
{
    static const uint64_t rates[] = {1, 999, 65536, 1000000, LIMIT_MAX_RATE};
    static const int64_t pauses[] = {100000 * SECOND, INT64_MAX / 2};
    for (size_t i = 0; i < 5; i++)
        for (size_t p = 0; p < 2; p++) {
            struct limit limit;
            limit_init(&limit, rates[i], 0);
            uint64_t burst = limit.burst, left = burst;
            while (left > 0) {
                uint32_t size = left > 1500 ? 1500 : (uint32_t)left;
                assert_true(limit_takes(&limit, size));
                left -= size;
            }
            assert_false(limit_takes(&limit, 1));
            limit_refill(&limit, pauses[p]);
            assert_int_equal(limit.tokens, burst * LIMIT_UNIT);
        }
}

/* A slow rate loses nothing by being asked often; a clock that stands still gives nothing. */
static void test_small_steps(void **state)
{
    struct limit limit;
    limit_init(&limit, 10, 0);
    while (limit_takes(&limit, 1))
        ;
    for (int64_t now = 1; now <= SECOND / 10000; now++)
        limit_refill(&limit, now * 1000);
    assert_true(limit_takes(&limit, 1));
    assert_false(limit_takes(&limit, 1));
    limit_refill(&limit, SECOND / 10);
    limit_refill(&limit, 0);
    assert_false(limit_takes(&limit, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_small_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
