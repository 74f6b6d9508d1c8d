/* Command lines: every form of an option, what is no option, what is wrong and how it is said. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

static const struct option_row table[] = {
    {'d', "dir", "DIR", false, "a folder"},
    {0, "mirror", "KIND", true, "with or without a value\nin two lines"},
    {'v', "verbose", NULL, false, "say more"},
    {'x', NULL, NULL, false, "a letter alone"},
    {0, "memory", "SIZE", false, "bytes"},
    {0},
};

static char taken[200];

static int take(int row, const char *value, void *with, struct err *err)
{
    (void)with;
    size_t at = strlen(taken);
    snprintf(taken + at, sizeof taken - at, "%s%d=%s", at ? " " : "", row, value ? value : "NULL");
    return value && strcmp(value, "bad") == 0 ? err_set(err, -ERANGE, "refused") : 0;
}

/* `line` is split at spaces. */
static int parse(const char *line, char rest_text[200], struct err *err)
{
    char copy[200], *args[20];
    const char *rest[20];
    int n = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *at = copy; *at;) {
        args[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    taken[0] = rest_text[0] = '\0';
    int n_rest = options_parse(table, args, n, rest, take, NULL, err);
    for (int i = 0; i < n_rest; i++) {
        size_t at = strlen(rest_text);
        snprintf(rest_text + at, 200 - at, "%s%s", i ? " " : "", rest[i]);
    }
    return n_rest;
}

static void test_good_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *taken, *rest;
    } rows[] = {
        {"", "", ""},
        {"a b", "", "a b"},
        {"-d x a", "0=x", "a"},
        {"-dx a", "0=x", "a"},
        {"--dir x a", "0=x", "a"},
        {"--dir=x a", "0=x", "a"},
        {"--dir= a", "0=", "a"},
        {"--dir=-v", "0=-v", ""},
        {"-d -v", "0=-v", ""},
        {"-vxv", "2=NULL 3=NULL 2=NULL", ""},
        {"-vd x", "2=NULL 0=x", ""},
        {"-vdx", "2=NULL 0=x", ""},
        {"--mirror a", "1=NULL", "a"},
        {"--mirror=vxlan a", "1=vxlan", "a"},
        {"a -v b --verbose c", "2=NULL 2=NULL", "a b c"},
        {"-", "", "-"},
        {"- -v", "2=NULL", "-"},
        {"-v -- -v --dir", "2=NULL", "-v --dir"},
        {"-- --", "", "--"},
        {"--memory 1G --memory=2G", "4=1G 4=2G", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char rest[200];
        struct err err = {{0}};
        if (parse(rows[i].line, rest, &err) < 0)
            fail_msg("'%s': %s", rows[i].line, err.text);
        assert_string_equal(taken, rows[i].taken);
        assert_string_equal(rest, rows[i].rest);
    }
}

static void test_wrong_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
        int code;
    } rows[] = {
        {"--mirorr", "did you mean --mirror?", -EINVAL},
        {"--memry=1", "did you mean --memory?", -EINVAL},
        {"--completely-different", "unknown option --completely-different", -EINVAL},
        {"--di", "did you mean --dir?", -EINVAL},
        {"-y", "unknown option -y", -EINVAL},
        {"-vy", "unknown option -y", -EINVAL},
        {"--dir", "needs a value: DIR", -EINVAL},
        {"-d", "needs a value: DIR", -EINVAL},
        {"-vd", "needs a value: DIR", -EINVAL},
        {"--verbose=1", "takes no value", -EINVAL},
        {"--dir bad", "refused", -ERANGE},
        {"-dbad x", "refused", -ERANGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char rest[200];
        struct err err = {{0}};
        assert_int_equal(parse(rows[i].line, rest, &err), rows[i].code);
        if (!strstr(err.text, rows[i].says))
            fail_msg("'%s' says '%s'", rows[i].line, err.text);
    }
}

static void test_very_long_names(void **state)
{
    (void)state;
    char arg[5000] = "--";
    memset(arg + 2, 'm', sizeof arg - 3);
    arg[sizeof arg - 1] = '\0';
    char *args[] = {arg};
    const char *rest[1];
    struct err err;
    assert_int_equal(options_parse(table, args, 1, rest, take, NULL, &err), -EINVAL);
    assert_true(strlen(err.text) < 200);
}

static void test_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_print(table, out);
    fclose(out);
    assert_string_equal(text, "  -d, --dir DIR               a folder\n"
                              "      --mirror[=KIND]         with or without a value\n"
                              "                              in two lines\n"
                              "  -v, --verbose               say more\n"
                              "  -x                          a letter alone\n"
                              "      --memory SIZE           bytes\n");
    free(text);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"65536", true, 65536},
        {"1K", true, 1024},
        {"1k", true, 1024},
        {"512M", true, 512ull << 20},
        {"2G", true, 2ull << 30},
        {"2GB", true, 2ull << 30},
        {"2GiB", true, 2ull << 30},
        {"3T", true, 3ull << 40},
        {"16777215T", true, 16777215ull << 40},
        {"16777216T", false, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"G", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 G", false, 0},
        {"1X", false, 0},
        {"1Gx", false, 0},
        {"1GBx", false, 0},
        {"1Gi", false, 0},
        {"1.5G", false, 0},
        {"0x10", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 7;
        if (options_size(rows[i].text, &value) != rows[i].ok)
            fail_msg("'%s' is %s", rows[i].text, rows[i].ok ? "refused" : "taken");
        assert_int_equal(value, rows[i].ok ? rows[i].value : 7);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(options_number("64", 64, &value));
    assert_int_equal(value, 64);
    static const char *const wrong[] = {
        "65", "", "-1", "1x", "0x1", " 1", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(options_number(wrong[i], 64, &value));
    assert_int_equal(value, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines),      cmocka_unit_test(test_wrong_lines),
        cmocka_unit_test(test_very_long_names), cmocka_unit_test(test_help),
        cmocka_unit_test(test_sizes),           cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
