/* Growing text: its limit, JSON strings, and which bytes are a UTF-8 character. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void test_limit(void **state)
{
    (void)state;
    struct text text;
    size_t size = 7;
    text_init(&text, 5000);
    for (int i = 0; i < 500; i++)
        text_put(&text, "0123456789");
    assert_false(text.failed);
    assert_int_equal(text.size, 5000);
    assert_int_equal(strlen(text.at), 5000);
    text_put(&text, "x");
    assert_true(text.failed);
    text_add(&text, "", 0); /* nothing helps it any more */
    assert_null(text_take(&text, &size));
    assert_int_equal(size, 7);
    text_put(&text, "again");
    char *taken = text_take(&text, &size);
    assert_string_equal(taken, "again");
    assert_int_equal(size, 5);
    free(taken);
    taken = text_take(&text, &size);
    assert_string_equal(taken, "");
    assert_int_equal(size, 0);
    free(taken);
    text_done(&text);
}

static void test_shell(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"tap7", "tap7"},       {"", "''"},
        {"a b", "'a b'"},       {"$(x)`y`\\", "'$(x)`y`\\'"},
        {"it's", "'it'\\''s'"}, {"eni-1,tmt-2:/@=.", "eni-1,tmt-2:/@=."},
        {"[a]*", "'[a]*'"},     {"a\nb", "'a\nb'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text text;
        text_init(&text, 1000);
        text_shell(&text, rows[i].in);
        assert_string_equal(text.at, rows[i].out);
        text_done(&text);
    }
}

static void test_json(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"web-1", "\"web-1\""},
        {"", "\"\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\t\033\177", "\"\\u000a\\u0009\\u001b\\u007f\""},
        {"\xc3\xa9", "\"\\u00e9\""},
        {"\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\""},
        {"a\xff\xc3", "\"a\\\\xff\\\\xc3\""},
        {"\xe2\x80\xae", "\"\\u202e\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text text;
        text_init(&text, 1000);
        text_json(&text, rows[i].in, 100);
        assert_string_equal(text.at, rows[i].out);
        text_done(&text);
    }
    struct text text;
    static const char no_nul[3] = {'a', 'b',
                                   (char)0xc3}; /* a character cut at the end of its room */
    text_init(&text, 1000);
    text_json(&text, no_nul, sizeof no_nul);
    assert_string_equal(text.at, "\"ab\\\\xc3\"");
    text_done(&text);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint32_t code;
    } rows[] = {
        {"A", 1, 'A'},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\x80", 0, 0},     /* a tail alone */
        {"\xc0\x80", 0, 0}, /* longer than needed */
        {"\xc1\xbf", 0, 0},
        {"\xe0\x9f\xbf", 0, 0},
        {"\xf0\x8f\xbf\xbf", 0, 0},
        {"\xed\xa0\x80", 0, 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0, 0}, /* past the last */
        {"\xf5\x80\x80\x80", 0, 0},
        {"\xc3(", 0, 0},
        {"\xe2\x82", 0, 0}, /* cut */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t code = 0;
        size_t left = strlen(rows[i].bytes);
        char *exact = malloc(left);
        memcpy(exact, rows[i].bytes, left);
        assert_int_equal(text_utf8(exact, left, &code), rows[i].size);
        assert_int_equal(code, rows[i].code);
        for (size_t cut = 0; cut < rows[i].size; cut++)
            assert_int_equal(text_utf8(exact, cut, &code), 0);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_shell),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
