/* What several providers take: the three directions and no others, lists that end, prefixes. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <string.h>

#include "mirror/option.h"

static void test_direction(void **state)
{
    static const char *const wrong[] = {"", "In", "in ", "inout", "BOTH", NULL};
    struct err err;
    int direction = 7;
    (void)state;
    for (size_t i = 0; wrong[i]; i++) {
        assert_int_equal(mirror_option_direction(wrong[i], &direction, &err), -EINVAL);
        assert_non_null(strstr(err.text, "--direction"));
        assert_int_equal(direction, 7);
    }
    assert_int_equal(mirror_option_direction("in", &direction, &err), 0);
    assert_int_equal(direction, MIRROR_IN);
    assert_int_equal(mirror_option_direction("out", &direction, &err), 0);
    assert_int_equal(direction, MIRROR_OUT);
    assert_int_equal(mirror_option_direction("both", &direction, &err), 0);
    assert_int_equal(direction, MIRROR_IN | MIRROR_OUT);
}

static void test_add(void **state)
{
    const char *list[2] = {NULL};
    size_t n = 0;
    struct err err;
    (void)state;
    assert_int_equal(mirror_option_add("--x", "a", list, &n, 2, &err), 0);
    assert_int_equal(mirror_option_add("--x", "b", list, &n, 2, &err), 0);
    assert_int_equal(mirror_option_add("--x", "c", list, &n, 2, &err), -E2BIG);
    assert_string_equal(err.text, "--x: more than 2");
    assert_int_equal(n, 2);
    assert_string_equal(list[1], "b");
}

static void test_prefix(void **state)
{
    static const char *const good[] = {
        "10.1.0.0/16", "0.0.0.0/0", "192.0.2.1/32", "::/0", "fd00::/8", "fd00::1/128", NULL};
    static const char *const bad[] = {
        "",   "10.1.0.0",    "10.1.0.0/",   "10.1.0.0/33", "10.1.0/16", "fd00::/129",
        "/8", "10.1.0.0/-1", "10.1.0.0/8x", "a/8",         NULL};
    (void)state;
    for (size_t i = 0; good[i]; i++)
        if (!mirror_option_is_prefix(good[i]))
            fail_msg("'%s' is a prefix", good[i]);
    for (size_t i = 0; bad[i]; i++)
        if (mirror_option_is_prefix(bad[i]))
            fail_msg("'%s' is no prefix", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
