/* Coverage on the screen and as objects: a table where it is short, else numbers and reasons. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/mirror_cover.h"

static const struct mirror_provider provider = {.name = "cloud"};
static struct mirror_covered covered[300];

static struct mirror_covered one(const char *machine, const char *what, bool mirrored, bool wanted,
                                 const char *why)
{
    struct mirror_covered made = {.mirrored = mirrored, .wanted = wanted};
    (void)snprintf(made.machine, sizeof made.machine, "%s", machine);
    (void)snprintf(made.what, sizeof made.what, "%s", what);
    (void)snprintf(made.address, sizeof made.address, "10.0.0.1");
    (void)snprintf(made.why, sizeof made.why, "%s", why);
    return made;
}

static char *show(size_t n, bool verbose, bool json)
{
    struct mirror_settings settings = {
        .job = {.provider = &provider, .name = "m"}, .verbose = verbose, .json = json};
    const struct mirror_coverage coverage = {.at = covered, .n = n};
    struct text out;
    size_t size;
    text_init(&out, 1u << 20);
    struct line line = {.out = &out, .width = 4000};
    mirror_show_coverage(&settings, &coverage, &line);
    return text_take(&out, &size);
}

static void test_table(void **state)
{
    (void)state;
    covered[0] = one("web-1", "eni-1", true, true, "");
    covered[1] = one("db", "eni-22", false, true, "interface type lambda");
    covered[2] = one("", "eni-3", false, false, "");
    char *text = show(3, false, false);
    assert_string_equal(text, "    1 of 3 interfaces are mirrored; 2 not:\n"
                              "    MACHINE  INTERFACE  ADDRESS   MIRRORED\n"
                              "    web-1    eni-1      10.0.0.1  yes\n"
                              "    db       eni-22     10.0.0.1  no: interface type lambda\n"
                              "             eni-3      10.0.0.1  no: no reason is known\n");
    free(text);
    text = show(1, false, false);
    assert_non_null(strstr(text, "    1 of 1 interface is mirrored\n"));
    free(text);
    text = show(0, true, false);
    assert_string_equal(text, "");
    free(text);
}

/* 230 interfaces: 212 mirrored; 10 for one reason, 3 for another, 5 not asked for. */
static void fill(void)
{
    for (size_t i = 0; i < 230; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%zu", i);
        covered[i] = i < 212   ? one(name, "eni", true, true, "")
                     : i < 217 ? one(name, "eni", false, false, "not asked for")
                     : i < 220 ? one(name, "eni", false, true, "quota")
                               : one(name, "eni", false, true, "type");
    }
}

static void test_reasons(void **state)
{
    (void)state;
    fill();
    char *text = show(230, false, false);
    assert_string_equal(text, "    212 of 230 interfaces are mirrored; 18 not:\n"
                              "    ! 3: quota (m217, m218, m219)\n"
                              "    ! 10: type (m220, m221, m222, m223, m224, \\xe2\\x80\\xa6)\n"
                              "      5: not asked for (m212, m213, m214, m215, m216)\n");
    free(text);
    text = show(230, true, false);
    size_t n_lines = 0;
    for (const char *at = text; *at; at++)
        n_lines += *at == '\n';
    assert_int_equal(n_lines, 230 + 2);
    free(text);
}

/* Each for a reason of its own: the list has an end, and says so. */
static void test_many_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        char why[16];
        (void)snprintf(why, sizeof why, "why %zu", i);
        covered[i] = one("m", "eni", false, true, why);
    }
    char *text = show(40, false, false);
    assert_non_null(strstr(text, "    ! 1: why 31 (m)\n"));
    assert_null(strstr(text, "why 32"));
    assert_non_null(strstr(text, "      8: other reasons (-v lists all)\n"));
    free(text);
}

static void test_objects(void **state)
{
    (void)state;
    fill();
    covered[229] = one("m\"\x1b", "eni", false, true, "so\n");
    char *text = show(230, false, true), *at = text;
    size_t n = 0, n_mirrored = 0;
    while (*at) {
        char *end = strchr(at, '\n');
        assert_non_null(end);
        *end = '\0';
        json_t *object = json_loads(at, 0, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "type")), "coverage");
        assert_string_equal(json_string_value(json_object_get(object, "mirror")), "m");
        assert_true(json_is_boolean(json_object_get(object, "wanted")));
        n_mirrored += json_is_true(json_object_get(object, "mirrored"));
        if (++n == 230) {
            assert_string_equal(json_string_value(json_object_get(object, "machine")), "m\"\x1b");
            assert_string_equal(json_string_value(json_object_get(object, "reason")), "so\n");
        }
        json_decref(object);
        at = end + 1;
    }
    assert_int_equal(n, 230);
    assert_int_equal(n_mirrored, 212);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_many_reasons),
        cmocka_unit_test(test_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
