/* The nearest word: what is near, what is not. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/nearest.h"

static const char *nearest_of(const char *asked)
{
    static const char *const words[] = {"udp", "gre", "interface", "networks", "network", NULL};
    struct nearest nearest = nearest_begin(asked);
    for (int i = 0; words[i]; i++)
        nearest_try(&nearest, words[i]);
    return nearest.word ? nearest.word : "";
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("networs"), "networks");
    assert_string_equal(nearest_of("netwrk"), "network");
    assert_string_equal(nearest_of("upd"), "");
    assert_string_equal(nearest_of("ud"), "udp");
    assert_string_equal(nearest_of("intreface"), "interface");
    assert_string_equal(nearest_of("xyz"), "");
    assert_string_equal(nearest_of(""), "");
    char long_word[200];
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    assert_string_equal(nearest_of(long_word), "");
}

static void test_text(void **state)
{
    (void)state;
    char text[NEAREST_TEXT_MAX];
    struct nearest nearest = nearest_begin("networs");
    assert_string_equal(nearest_text(&nearest, text), "");
    nearest_try(&nearest, "networks");
    assert_string_equal(nearest_text(&nearest, text), "; did you mean 'networks'?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
