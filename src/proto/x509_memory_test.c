/* Certificates are logged once a day; what is held back comes at the earliest of its times. */
#include "proto/x509_memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_memory(void **state)
{
    (void)state;
    static const uint8_t print[HASH_SHA256_SIZE] = {1};
    const int64_t day = 86400 * INT64_C(1000000000);
    struct pool *pool = pool_new(64u << 20);
    struct x509_memory *memory = x509_memory_new(pool);
    assert_false(x509_memory_check(memory, print, 1, 5, STR("x")));
    assert_true(x509_memory_check(memory, print, 1, 6, STR("x")));
    assert_false(x509_memory_check(memory, print, 2, 6, STR("x")));
    assert_true(x509_memory_check(memory, print, 1, 4 + day, STR("x")));
    assert_false(x509_memory_check(memory, print, 1, 5 + day, STR("x")));
    assert_true(x509_memory_check(memory, print, 1, 6 + day, STR("x")));
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t other[HASH_SHA256_SIZE];
        hash_sha256(&i, sizeof i, other);
        assert_false(x509_memory_check(memory, other, 1, 5, STR("x")));
        assert_true(x509_memory_check(memory, other, 1, 5, STR("x")));
    }
    x509_memory_free(memory);
    assert_int_equal(pool_used(pool), 0);
    pool_free(pool);
}

static void test_held_back(void **state)
{
    (void)state;
    static const uint8_t print[HASH_SHA256_SIZE] = {1};
    struct x509_memory *memory = x509_memory_new_shared(1u << 20, true);
    assert_true(x509_memory_check(memory, print, 1, 50, STR("a certificate")));
    assert_true(x509_memory_check(memory, print, 1, 20, STR("a certificate")));
    assert_true(x509_memory_check(memory, print, 2, 30, STR("a certificate")));
    x509_memory_free(memory);
    assert_null(x509_memory_new_shared(100, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
