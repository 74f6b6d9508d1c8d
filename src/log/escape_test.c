/* Text from the wire in log lines. Inputs lie in heap blocks of their exact size, at every
 * alignment of the sixteen bytes that are looked at together. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>

#include "log/writer.h"

enum form { TSV, IN_SET, JSON };

static void escape(const char *text, size_t len, enum form form, char *out, size_t max)
{
    char *block = malloc(len ? len : 1);
    assert_non_null(block);
    memcpy(block, text, len);
    struct str s = str_make(block, len);
    char *end = form == JSON ? log_escape_json(out, s) : log_escape_tsv(out, s, form == IN_SET);
    assert_true(end >= out && end <= out + (form == JSON ? 6 : 4) * len &&
                (size_t)(end - out) < max);
    *end = '\0';
    free(block);
}

static void check(const char *text, size_t len, enum form form, const char *want)
{
    /* With plain text before and behind, so that the fast and the slow path both meet it. */
    for (size_t before = 0; before < 34; before++) {
        char in[200], out[1200], wanted[1200];
        memset(in, 'p', before);
        memcpy(in + before, text, len);
        memset(in + before + len, 'q', before / 2);
        size_t want_len = strlen(want);
        memset(wanted, 'p', before);
        memcpy(wanted + before, want, want_len);
        memset(wanted + before + want_len, 'q', before / 2);
        wanted[before + want_len + before / 2] = '\0';
        escape(in, before + len + before / 2, form, out, sizeof out);
        assert_string_equal(out, wanted);
    }
}

#define CHECK(text, form, want) check(text, sizeof(text) - 1, form, want)

static void test_plain(void **state)
{
    (void)state;
    char all[96], out[200];
    size_t n = 0;
    for (char c = ' '; c < 0x7f; c++)
        if (c != '\\' && c != '"' && c != ',')
            all[n++] = c;
    for (int form = TSV; form <= JSON; form++) {
        escape(all, n, form, out, sizeof out);
        assert_int_equal(strlen(out), n);
        assert_memory_equal(out, all, n);
    }
}

static void test_separators(void **state)
{
    (void)state;
    CHECK("a\tb", TSV, "a\\x09b");
    CHECK("a\nb", TSV, "a\\x0ab");
    CHECK("\r", TSV, "\\x0d");
    CHECK("\0", TSV, "\\x00");
    CHECK("\x7f", TSV, "\\x7f");
    CHECK("a\\b", TSV, "a\\\\b");
    CHECK("\\x41", TSV, "\\\\x41");
    CHECK("a,b", TSV, "a,b");
    CHECK("a,b", IN_SET, "a\\x2cb");
    CHECK("\"", TSV, "\"");
}

static void test_json(void **state)
{
    (void)state;
    CHECK("\"", JSON, "\\\"");
    CHECK("\\", JSON, "\\\\");
    CHECK("/", JSON, "/");
    CHECK("\b\f\n\r\t", JSON, "\\b\\f\\n\\r\\t");
    CHECK("\xff", JSON, "\\\\xff");
    CHECK("\x7f", JSON, "\\\\x7f");
    CHECK("a,b", JSON, "a,b");
}

/* What would read like "unset" or "empty" must not. */
static void test_markers(void **state)
{
    (void)state;
    char out[40];
    static const char *const rows[][2] = {
        {"-", "\\x2d"},
        {"(empty)", "\\x28empty)"},
        {"--", "--"},
        {"-1", "-1"},
        {"(empty", "(empty"},
        {"", ""},
        {"(empty)x", "(empty)x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int in_set = 0; in_set < 2; in_set++) {
            escape(rows[i][0], strlen(rows[i][0]), in_set ? IN_SET : TSV, out, sizeof out);
            assert_string_equal(out, rows[i][1]);
        }
    }
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"\xc2\x80",         "\xc3\xa4",        "\xdf\xbf",
                                       "\xe0\xa0\x80",     "\xe2\x82\xac",    "\xed\x9f\xbf",
                                       "\xee\x80\x80",     "\xef\xbf\xbf",    "\xf0\x90\x80\x80",
                                       "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (int form = TSV; form <= JSON; form++)
            check(good[i], strlen(good[i]), form, good[i]);
        /* Every cut of it is invalid. */
        for (size_t len = 1; len < strlen(good[i]); len++) {
            char want[20] = "", json[24] = "", out[40];
            for (size_t k = 0; k < len; k++) {
                snprintf(want + 4 * k, 5, "\\x%02x", (uint8_t)good[i][k]);
                snprintf(json + 5 * k, 6, "\\\\x%02x", (uint8_t)good[i][k]);
            }
            escape(good[i], len, TSV, out, sizeof out);
            assert_string_equal(out, want);
            escape(good[i], len, JSON, out, sizeof out);
            assert_string_equal(out, json);
        }
    }
}

/* Too long, surrogates, beyond the last, lonely. */
static void test_invalid_utf8(void **state)
{
    (void)state;
    CHECK("\xc0\x80", TSV, "\\xc0\\x80");
    CHECK("\xc1\xbf", TSV, "\\xc1\\xbf");
    CHECK("\xe0\x9f\xbf", TSV, "\\xe0\\x9f\\xbf");
    CHECK("\xed\xa0\x80", TSV, "\\xed\\xa0\\x80");
    CHECK("\xf0\x8f\xbf\xbf", TSV, "\\xf0\\x8f\\xbf\\xbf");
    CHECK("\xf4\x90\x80\x80", TSV, "\\xf4\\x90\\x80\\x80");
    CHECK("\xf8\x88\x80\x80\x80", TSV, "\\xf8\\x88\\x80\\x80\\x80");
    CHECK("\x80", TSV, "\\x80");
    CHECK("\xc3(", TSV, "\\xc3(");
    CHECK("\xff\xfe", TSV, "\\xff\\xfe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_separators),
        cmocka_unit_test(test_json),  cmocka_unit_test(test_markers),
        cmocka_unit_test(test_utf8),  cmocka_unit_test(test_invalid_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
