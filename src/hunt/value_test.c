/* Numbers, times, addresses, escapes: what they are, and what they are not. */
#include "hunt/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* From a block of its exact size, so that a sanitizer sees a read behind it. */
static struct str exact(const char *text)
{
    size_t n = strlen(text);
    char *at = malloc(n ? n : 1);
    assert_non_null(at);
    memcpy(at, text, n);
    return str_make(at, n);
}

static void check_decimal(const char *text, unsigned scale, bool good, int64_t is)
{
    int64_t value = 4711;
    struct str s = exact(text);
    if (value_decimal(s, scale, &value) != good)
        fail_msg("%s: %s", text, good ? "refused" : "taken");
    if (good && value != is)
        fail_msg("%s: %lld instead of %lld", text, (long long)value, (long long)is);
    free((char *)(uintptr_t)s.at);
}

static void test_decimals(void **state)
{
    check_decimal("0", 0, true, 0);
    check_decimal("18446744073709551615", 0, true, INT64_MAX);
    check_decimal("-9223372036854775809", 0, true, INT64_MIN);
    check_decimal("9223372036854775807", 0, true, INT64_MAX);
    check_decimal("-1", 0, true, -1);
    check_decimal("1517336042.279652", 9, true, 1517336042279652000);
    check_decimal("1517336042.090842", 9, true, 1517336042090842000);
    check_decimal("1588205199.82437", 9, true, 1588205199824370000);
    check_decimal("0.001528024673461914", 9, true, 1528025);
    check_decimal("0.09628199999999865", 9, true, 96282000);
    check_decimal("9.5367431640625e-07", 9, true, 954);
    check_decimal("1e-09", 9, true, 1);
    check_decimal("4e-10", 9, true, 0);
    check_decimal("5E-10", 9, true, 1);
    check_decimal("1.5e3", 0, true, 1500);
    check_decimal("2.5", 0, true, 3);
    check_decimal("3600.000000", 9, true, 3600000000000);
    check_decimal("1.", 0, true, 1);
    check_decimal(".5", 9, true, 500000000);
    check_decimal("0.000", 0, true, 0);
    check_decimal("1e400", 0, true, INT64_MAX);
    check_decimal("1e-400", 9, true, 0);
    check_decimal("1e-25", 9, true, 0);
    check_decimal("123456789012345678901234567890", 0, true, INT64_MAX);
    check_decimal("99999999999999999999e-19", 0, true, 10);
    check_decimal("0.00000000000000000000000000000000000001", 9, true, 0);
    check_decimal("9223372036.854775808", 9, true, INT64_MAX);
    check_decimal("9223372035.854775808", 9, true, 9223372035854775808u);
    static const char *const bad[] = {"",      "-",   "+",    ".",   "e5",   "1e",
                                      "1e+",   "1x",  "0x10", " 1",  "1 ",   "1,5",
                                      "1.2.3", "--1", "nan",  "inf", "1e5.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_decimal(bad[i], 9, false, 0);
}

/* What the quick way says is what the long one says. */
static void test_decimals_agree(void **state)
{
    uint64_t x = 1;
    for (int i = 0; i < 20000; i++) {
        char text[40], longer[80];
        int64_t a, b;
        x = x * 6364136223846793005u + 1442695040888963407u;
        snprintf(text, sizeof text, "%llu.%0*llu", (unsigned long long)(x >> 33) % 10000000,
                 1 + i % 9, (unsigned long long)(x >> 20) % 10);
        snprintf(longer, sizeof longer, "000000000000000000000%se0", text);
        assert_true(value_decimal(str_c(text), 9, &a));
        assert_true(value_decimal(str_c(longer), 9, &b));
        if (a != b)
            fail_msg("%s: %lld and %lld", text, (long long)a, (long long)b);
    }
}

static void check_time(const char *text, bool good, int64_t is)
{
    int64_t value;
    struct str s = exact(text);
    assert_int_equal(value_time_json(s, &value), good);
    if (good && value != is)
        fail_msg("%s: %lld instead of %lld", text, (long long)value, (long long)is);
    free((char *)(uintptr_t)s.at);
}

static void test_times(void **state)
{
    check_time("1588382625.678901", true, 1588382625678901000);
    check_time("2020-05-02T01:23:45.678901Z", true, 1588382625678901000);
    check_time("2020-05-02T01:23:45Z", true, 1588382625000000000);
    check_time("2020-05-02T03:23:45.678901+02:00", true, 1588382625678901000);
    check_time("2020-05-01T20:53:45.678901-0430", true, 1588382625678901000);
    check_time("1970-01-01T00:00:00.000000Z", true, 0);
    check_time("2000-02-29T00:00:00Z", true, 951782400000000000);
    check_time("9999-12-31T23:59:59Z", true, INT64_MAX);
    check_time("0001-01-01T00:00:00Z", true, INT64_MIN);
    check_time("1588382625678", true, 1588382625678000000);
    /* Seconds, though there are many: they have a fraction. */
    check_time("253402300799.0", true, INT64_MAX);
    check_time("22.335172", true, 22335172000);
    check_time("1588382625", true, 1588382625000000000);
    static const char *const bad[] = {"2020-13-02T01:23:45Z",
                                      "2020-05-02T01:23:45.Z",
                                      "2020-05-02T01:23:45.6X",
                                      "2020/05/02T01:23:45",
                                      "2020-05-02T01:23:4",
                                      "2020-05-02T01:23:45+2",
                                      "2020-05-02T25:23:45Z",
                                      "",
                                      "yesterday"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_time(bad[i], false, 0);
}

/* The same as inet_pton says, through addr_parse. */
static void test_addresses(void **state)
{
    static const char *const good[] = {"1.2.3.4",
                                       "255.255.255.255",
                                       "0.0.0.0",
                                       "::",
                                       "::1",
                                       "1::",
                                       "fe80::1cf4:44d2:904a:14f7",
                                       "2001:718:2:1663:dc58:6d9:ef13:51a5",
                                       "::ffff:10.0.0.1",
                                       "1:2:3:4:5:6:7::",
                                       "::2:3:4:5:6:7:8",
                                       "1:2:3:4:5:6:1.2.3.4",
                                       "2001:DB8::FF"};
    static const char *const bad[] = {"",
                                      "1",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "1.2.3.1234",
                                      "1..2.3",
                                      ":",
                                      ":::",
                                      "1:2:3:4:5:6:7",
                                      "1::2::3",
                                      "12345::",
                                      "1:2:3:4:5:6:7:8:9",
                                      "::1%eth0",
                                      "g::1",
                                      "1:",
                                      ":1",
                                      "1.2.3.4 ",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "-",
                                      "::1.2.3",
                                      "1:2:3:4:5:6:7:8::"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct addr a, b;
        struct str s = exact(good[i]);
        if (!value_addr(s, &a))
            fail_msg("%s: refused", good[i]);
        assert_true(addr_parse(good[i], &b));
        if (!addr_eq(&a, &b))
            fail_msg("%s: another", good[i]);
        free((char *)(uintptr_t)s.at);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct addr a;
        struct str s = exact(bad[i]);
        if (value_addr(s, &a))
            fail_msg("%s: taken", bad[i]);
        free((char *)(uintptr_t)s.at);
    }
}

static void check_text(size_t (*unescape)(struct str, char *), const char *text, const char *is,
                       size_t n)
{
    struct str s = exact(text);
    char *out = malloc(s.len ? s.len : 1); /* it never grows */
    assert_non_null(out);
    size_t len = unescape(s, out);
    if (len != n || memcmp(out, is, n) != 0)
        fail_msg("%s: \"%.*s\"", text, (int)len, out);
    free(out);
    free((char *)(uintptr_t)s.at);
}

static void test_escapes(void **state)
{
    check_text(value_unescape_tsv, "a\\x09b", "a\tb", 3);
    check_text(value_unescape_tsv, "\\x2d", "-", 1);
    check_text(value_unescape_tsv, "O=A\\\\, Inc.", "O=A\\, Inc.", 10);
    check_text(value_unescape_tsv, "\\x00\\xff\\xFF", "\\x00\xff\xff", 6);
    check_text(value_unescape_tsv, "bank.com\\x00.evil.net", "bank.com\\x00.evil.net", 21);
    check_text(value_unescape_json, "bank.com\\u0000.evil.net", "bank.com\\x00.evil.net", 21);
    check_text(value_unescape_tsv, "\\x4", "\\x4", 3);
    check_text(value_unescape_tsv, "\\xg0\\", "\\xg0\\", 5);
    check_text(value_unescape_tsv, "\\\\x41", "\\x41", 4);
    check_text(value_unescape_json, "a\\tb\\n\\\"\\/\\\\", "a\tb\n\"/\\", 7);
    check_text(value_unescape_json, "\\u00e9\\u20ac", "\xc3\xa9\xe2\x82\xac", 5);
    check_text(value_unescape_json, "\\ud83d\\ude00", "\xf0\x9f\x98\x80", 4);
    check_text(value_unescape_json, "\\ud83dx", "\xed\xa0\xbdx", 4);
    check_text(value_unescape_json, "\\u00", "\\u00", 4);
    check_text(value_unescape_json, "\\\\xff\\\\x00", "\xff\\x00", 5);
    /* A visible character is never written so: that was text. */
    check_text(value_unescape_json, "\\\\x41", "\\x41", 4);
    check_text(value_unescape_json, "\\q\\", "\\q\\", 3);
}

static void test_hashes(void **state)
{
    assert_int_not_equal(value_hash(STR("")), 0);
    assert_int_not_equal(value_hash(STR("a")), value_hash(STR("b")));
    assert_int_not_equal(value_hash(STR("a")), value_hash(str_make("a\0", 2)));
    assert_int_equal(value_hash(STR("Ci85EB2YjUI9a2eql6")), value_hash(STR("Ci85EB2YjUI9a2eql6")));
    /* It is kept in archives: the same in every build. */
    assert_true(value_hash(STR("Ci85EB2YjUI9a2eql6")) == UINT64_C(0xcbe9dfa26c2bd3c7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimals), cmocka_unit_test(test_decimals_agree),
        cmocka_unit_test(test_times),    cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_escapes),  cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
