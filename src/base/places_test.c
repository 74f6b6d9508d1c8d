/* What was put is found, among others with the same hash, while the index grows. */
#include "base/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N 5000

static bool is_same(const void *with, uint32_t place, const void *key)
{
    return ((const uint32_t *)with)[place] == *(const uint32_t *)key;
}

static void check(uint64_t mask)
{
    static uint32_t array[N];
    struct places places = {.n = 0};
    uint32_t key = 7;
    assert_int_equal(places_find(&places, 7, is_same, array, &key), 0);
    for (uint32_t i = 0; i < N; i++) {
        key = array[i] = i * 3;
        uint64_t hash = key * 0x9e3779b97f4a7c15ull & mask;
        assert_int_equal(places_find(&places, hash, is_same, array, &key), 0);
        assert_true(places_add(&places, hash, i));
    }
    for (uint32_t i = 0; i < N; i++) {
        key = i * 3;
        uint64_t hash = key * 0x9e3779b97f4a7c15ull & mask;
        assert_int_equal(places_find(&places, hash, is_same, array, &key), i + 1);
    }
    assert_int_equal(places.n, N);
    places_free(&places);
}

static void test_find(void **state)
{
    (void)state;
    check(UINT64_MAX);
    check(0xf00); /* nearly all have the hash of others */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
