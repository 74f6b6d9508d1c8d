/* Names of mirrors: which are good, and what becomes of those that are not. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "mirror/name.h"

static void test_good(void **state)
{
    static const char *const good[] = {"web-1", "vpc-0a1b", "_x", "1", "a.b", "Web_2.old", NULL};
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "../x",
                                      "a/b",
                                      "-x",
                                      ".x",
                                      "a b",
                                      "\xc3\xa9",
                                      "a\n",
                                      "abcdefghijklmnopqrstuvwxyz123456",
                                      NULL};
    (void)state;
    for (size_t i = 0; good[i]; i++)
        assert_true(mirror_name_is_good(good[i]));
    for (size_t i = 0; bad[i]; i++)
        assert_false(mirror_name_is_good(bad[i]));
}

static void test_made(void **state)
{
    static const struct {
        const char *from, *name;
    } rows[] = {
        {"web-1", "web-1"},
        {"web 1 (old)", "web-1--old-"},
        {"../../etc", "etc"},
        {"-.x", "x"},
        {"", ""},
        {"--", ""},
        {"\xc3\xa9t\xc3", "t-"},
        {"abcdefghijklmnopqrstuvwxyz1234567", "abcdefghijklmnopqrstuvwxyz12345"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[MIRROR_NAME_MAX];
        mirror_name_make(rows[i].from, name);
        assert_string_equal(name, rows[i].name);
        assert_true(!name[0] || mirror_name_is_good(name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
