/* The configuration of hunts: what a file says reaches the engine's settings, and nothing is shared
 * with the configuration, which may be freed before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sensor/config.h"

static struct config *load(const char *text)
{
    struct config *config = NULL;
    struct err err = {""};
    if (config_load_text(text, strlen(text), "f", &config, &err) < 0)
        fail_msg("%s", err.text);
    return config;
}

static bool is_internal(const struct hunt_settings *settings, const char *text)
{
    struct addr addr;
    assert_true(addr_parse(text, &addr));
    return hunt_is_internal(&settings->scope, &addr);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = load("{}");
    struct hunt_settings settings, defaults;
    struct err err;
    hunt_settings_init(&defaults);
    assert_int_equal(hunt_config_settings(&config->hunts, &settings, &err), 0);
    assert_int_equal(settings.window, defaults.window);
    assert_int_equal(settings.days, defaults.days);
    assert_int_equal(settings.scope.n_internal, defaults.scope.n_internal);
    assert_memory_equal(settings.scope.internal, defaults.scope.internal,
                        defaults.scope.n_internal * sizeof *defaults.scope.internal);
    for (size_t i = 0; hunts[i]; i++)
        assert_memory_equal(settings.blob[i], defaults.blob[i], hunts[i]->settings_size);
    hunt_settings_done(&settings);
    hunt_settings_done(&defaults);
    config_free(config);
}

static void test_said(void **state)
{
    (void)state;
    struct config *config = load("hunts:\n"
                                 "  internal: [192.0.2.0/24, \"2001:db8::/32\"]\n"
                                 "  include-inbound: yes\n"
                                 "  never: 198.51.100.7\n"
                                 "  never-domains: [\"*.example.com\"]\n"
                                 "  feeds: [a, b]\n"
                                 "  safelists: [c]\n"
                                 "  window: 7d\n"
                                 "  memory: 2G\n"
                                 "  off: [scan]\n"
                                 "  long-connection: {least: 2h}\n");
    struct hunt_settings settings, defaults;
    struct err err;
    assert_int_equal(hunt_config_settings(&config->hunts, &settings, &err), 0);
    config_free(config);
    hunt_settings_init(&defaults);
    assert_true(is_internal(&settings, "192.0.2.9"));
    assert_true(is_internal(&settings, "2001:db8::9"));
    assert_false(is_internal(&settings, "10.0.0.1")); /* the defaults were replaced */
    assert_true(settings.scope.include_inbound);
    assert_int_equal(settings.scope.n_never, 1);
    assert_false(hunt_keeps_domain(&settings.scope, STR("www.example.com")));
    assert_int_equal(settings.n_feeds, 2);
    assert_string_equal(settings.feeds[1], "b");
    assert_string_equal(settings.safelists[0], "c");
    assert_int_equal(settings.window, INT64_C(7) * 86400000);
    assert_int_equal(settings.memory, UINT64_C(2) << 30);
    assert_string_equal(settings.off[0], "scan");
    size_t n_differ = 0;
    for (size_t i = 0; hunts[i]; i++) {
        bool differs = memcmp(settings.blob[i], defaults.blob[i], hunts[i]->settings_size) != 0;
        assert_int_equal(differs, strcmp(hunts[i]->name, "long-connection") == 0);
        n_differ += differs;
    }
    assert_int_equal(n_differ, 1);
    hunt_settings_done(&settings);
    hunt_settings_done(&defaults);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"hunts: {off: [scann]}", "there is no hunt 'scann'; did you mean 'scan'"},
        {"hunts: {internal: [10.0.0.0/33]}", "'10.0.0.0/33' is no address or network"},
        {"hunts: {window: 1s}", "'window' wants"},
        {"hunts: {memory: 1M}", "'memory' wants"},
        {"hunts: {beacons: {}}", "did you mean 'beacon'"},
        {"hunts: [scan]", "keys and values"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *config = NULL;
        struct err err = {""};
        if (config_load_text(cases[i].text, strlen(cases[i].text), "f", &config, &err) == 0)
            fail_msg("%s is taken", cases[i].text);
        if (!strstr(err.text, cases[i].says) || strncmp(err.text, "f: ", 3) != 0)
            fail_msg("%s: '%s' does not say '%s'", cases[i].text, err.text, cases[i].says);
    }
}

/* Each hunt's row is there once, is described, and stays inside its place. */
static void test_rows(void **state)
{
    (void)state;
    struct hunt_config_rows *rows = hunt_config_rows_new();
    assert_non_null(rows);
    const struct yaml_row *row = hunt_config_rows_at(rows);
    for (size_t i = 0; hunts[i]; i++) {
        unsigned n = 0;
        assert_true(hunts[i]->settings_size <= HUNT_SETTINGS_MAX);
        for (const struct yaml_row *one = row; one->key; one++)
            n += strcmp(one->key, hunts[i]->name) == 0;
        assert_int_equal(n, hunts[i]->settings != NULL);
    }
    hunt_config_rows_free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_said),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
