/* Options of hunts: spans of time, and what does not go together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/hunt_settings.h"

#define HOUR INT64_C(3600000)

static void test_spans(void **state)
{
    (void)state;
    static const struct {
        const char *since, *until;
        int64_t from, length, to;
    } cases[] = {
        {NULL, NULL, HUNT_UNSET, 24 * HOUR, HUNT_UNSET},
        {"7d", NULL, HUNT_UNSET, 168 * HOUR, HUNT_UNSET},
        {"90m", "2026-11-20", HUNT_UNSET, 3 * HOUR / 2, INT64_C(1795132800000)},
        {"2026-11-20", "2026-11-21", INT64_C(1795132800000), 24 * HOUR, INT64_C(1795219200000)},
        {"2026-11-20T06:30", "2026-11-20 07:30:30", INT64_C(1795156200000), HOUR + 30000,
         INT64_C(1795159830000)},
        {"1795132800", "2026-11-20T01:00Z", INT64_C(1795132800000), HOUR, INT64_C(1795136400000)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hunt_span span;
        struct err err = {""};
        if (hunt_span_parse(cases[i].since, cases[i].until, true, &span, &err) < 0)
            fail_msg("%s: %s", cases[i].since, err.text);
        assert_int_equal(span.from, cases[i].from);
        assert_int_equal(span.length, cases[i].length);
        assert_int_equal(span.to, cases[i].to);
    }
}

static void test_bad_spans(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"yesterday", NULL},
        {"2026-13-01", NULL},
        {"2026-02-30", NULL},
        {"2026-11-20T25:00", NULL},
        {"2026-11-20x", NULL},
        {"12", NULL},
        {"1s", NULL},
        {"200d", NULL},
        {NULL, "24h"},
        {"2026-11-21", "2026-11-20"},
        {"2026-11", NULL},
        {"", NULL},
        {"99999999999999999999", NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hunt_span span;
        struct err err = {""};
        if (hunt_span_parse(bad[i][0], bad[i][1], true, &span, &err) == 0)
            fail_msg("%s %s is taken", bad[i][0] ? bad[i][0] : "", bad[i][1] ? bad[i][1] : "");
        assert_non_null(strchr(err.text, ' '));
    }
}

static void test_together(void **state)
{
    (void)state;
    struct err err;
    struct hunt_options o = {.output = HUNT_TABLE};
    assert_int_equal(hunt_options_check(&o, 1, &err), 0);
    assert_true(hunt_options_check(&o, 0, &err) < 0);
    o = (struct hunt_options){.state = "x", .no_state = true};
    assert_true(hunt_options_check(&o, 1, &err) < 0);
    o = (struct hunt_options){.rita = true, .output = HUNT_CSV};
    assert_int_equal(hunt_options_check(&o, 1, &err), 0);
    o.output = HUNT_JSON;
    assert_true(hunt_options_check(&o, 1, &err) < 0);
    o = (struct hunt_options){.explain = "1", .interval = 1};
    assert_true(hunt_options_check(&o, 1, &err) < 0);
}

static void test_apply(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_options o = {.memory = 1u << 30, .include_inbound = true, .since = "20d"};
    struct hunt_span span;
    struct err err;
    struct addr addr;
    hunt_settings_init(&settings);
    assert_int_equal(hunt_span_parse(o.since, NULL, true, &span, &err), 0);
    assert_true(addr_parse("100.64.1.1", &addr));
    assert_false(hunt_is_internal(&settings.scope, &addr));
    for (int row = 0; hunt_rows[row].letter || hunt_rows[row].name; row++)
        if (strcmp(hunt_rows[row].name, "internal") == 0) {
            assert_int_equal(hunt_take(row, "100.64.0.0/10", &o, &err), 0);
            assert_true(hunt_take(row, "100.64.0.0/99", &o, &err) < 0);
        }
    assert_int_equal(hunt_options_apply(&o, &span, &settings, &err), 0);
    assert_true(hunt_is_internal(&settings.scope, &addr));
    assert_true(addr_parse("10.1.1.1", &addr));
    assert_true(hunt_is_internal(&settings.scope, &addr)); /* the defaults stay */
    assert_true(settings.scope.include_inbound);
    assert_int_equal(settings.window, 20 * 24 * HOUR);
    assert_true(settings.days >= 21);
    hunt_settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_bad_spans),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
