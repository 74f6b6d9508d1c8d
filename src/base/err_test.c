/* Error sentences: set, wrapped, and never longer than there is room. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void test_set_and_wrap(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, -EPERM, "interface %s: needs %d", "eth0", 5), -EPERM);
    assert_string_equal(err.text, "interface eth0: needs 5");
    err_wrap(&err, "while %s", "testing");
    assert_string_equal(err.text, "while testing: interface eth0: needs 5");
    assert_int_equal(err_set(NULL, -EIO, "nobody %s", "hears"), -EIO);
    err_wrap(NULL, "nobody");
}

static void test_long_texts(void **state)
{
    (void)state;
    char word[600];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    struct err err;
    assert_int_equal(err_set(&err, -1, "%s", word), -1);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    err_wrap(&err, "context");
    assert_memory_equal(err.text, "context: www", 12);
    assert_true(strlen(err.text) >= sizeof err.text - 4 && strlen(err.text) < sizeof err.text);
    for (size_t len = 500; len < 520; len++) { /* around the end of the room */
        word[len] = '\0';
        err_set(&err, -1, "inner");
        err_wrap(&err, "%s", word);
        assert_true(strlen(err.text) < sizeof err.text);
        assert_memory_equal(err.text, word, len < 511 ? len : 511);
        word[len] = 'w';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_wrap),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
