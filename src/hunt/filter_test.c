/* Filters: every key with what fits and what does not, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hunt/filter.h"

static const struct hunt *hunt_named(const char *name)
{
    for (size_t i = 0; hunts[i]; i++)
        if (strcmp(hunts[i]->name, name) == 0)
            return hunts[i];
    fail_msg("there is no hunt %s", name);
    return NULL;
}

static struct finding make(void)
{
    struct finding f = {.hunt = hunt_named("long-connection"),
                        .id = 0x3a36e22cef3b5524,
                        .has_src = true,
                        .has_dst = true,
                        .name = "cdn.evil.example",
                        .src_machine = "web-1",
                        .src_network = "vpc-7",
                        .ports = "443:tcp:ssl,8080:tcp:http",
                        .score = 0.8,
                        .confidence = 0.5,
                        .severity = HUNT_HIGH,
                        .first = 1000,
                        .last = 7200000 + 1000,
                        .n = 100,
                        .bytes_up = 1 << 20,
                        .bytes_down = 3 << 20,
                        .title = "one connection of 2 h",
                        .reasons = {"nobody else knows it"},
                        .n_reasons = 1,
                        .numbers = {{"period_s", 60}, {"names", 500}},
                        .n_numbers = 2};
    assert_true(addr_parse("10.1.2.3", &f.src.addr));
    assert_true(addr_parse("203.0.113.7", &f.dst.addr));
    return f;
}

static bool fits(const char *text, const struct finding *finding)
{
    struct hunt_filter *filter = NULL;
    struct err err = {""};
    if (hunt_filter_parse(text, &filter, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    bool result = hunt_filter_fits(filter, finding);
    hunt_filter_free(filter);
    return result;
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
    } cases[] = {
        {"", true},
        {"severity:high", true},
        {"severity:HIGH", true},
        {"severity:critical", false},
        {"severity:>=medium", true},
        {"severity:>high", false},
        {"severity:<critical", true},
        {"src:10.1.2.3", true},
        {"src:10.0.0.0/8", true},
        {"src:10.2.0.0/16", false},
        {"src:web-1", true},
        {"src:web-*", true},
        {"src:web-2", false},
        {"dst:203.0.113.0/24", true},
        {"dst:10.1.2.3", false},
        {"dst:cdn.evil.example", true},
        {"dst:*.evil.example", true},
        {"dst:*.good.example", false},
        {"ip:10.1.2.3", true},
        {"ip:203.0.113.7", true},
        {"ip:2001:db8::/32", false},
        {"name:*.example", true},
        {"name:evil.example", false},
        {"machine:web-1", true},
        {"network:vpc-7", true},
        {"network:vpc-8", false},
        {"hunt:long-connection", true},
        {"hunt:scan", false},
        {"port:443", true},
        {"port:8080", true},
        {"port:80", false},
        {"port:>8000", true},
        {"id:3a36", true},
        {"id:3A36E22CEF3B5524", true},
        {"id:36", false},
        {"score:80", true},
        {"score:>79", true},
        {"score:>80", false},
        {"score:>=80", true},
        {"score:<=80", true},
        {"beacon:>10", false}, /* it is no beacon */
        {"confidence:<51", true},
        {"confidence:>50", false},
        {"duration:2h", true},
        {"duration:>1h59m", true},
        {"duration:>2h", false},
        {"duration:<1d", true},
        {"duration:>=1.5h", true},
        {"period:1m", true},
        {"period:>1m", false},
        {"count:100", true},
        {"count:<100", false},
        {"subdomains:>234", true},
        {"subdomains:<=64", false},
        {"bytes:>3M", true},
        {"bytes:>4M", false},
        {"up:1M", true},
        {"down:3M", true},
        {"threat_intel:false", true},
        {"threat_intel:1", false},
        {"evil", true},
        {"EVIL", true},
        {"nobody", true},
        {"\"nobody else\"", true},
        {"absent", false},
        {"203.0.113.7", true},
        {"-hunt:scan", true},
        {"-severity:high", false},
        {"-evil", false},
        {"severity:high src:10.0.0.0/8 evil", true},
        {"severity:high src:10.0.0.0/8 absent", false},
        {"sort:duration-asc", true},
    };
    struct finding f = make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (fits(cases[i].text, &f) != cases[i].fits)
            fail_msg("%s: %s", cases[i].text, cases[i].fits ? "should fit" : "should not fit");
}

static void test_absent(void **state)
{
    (void)state;
    struct finding f = {.hunt = hunt_named("intel"), .severity = HUNT_LOW, .score = 0.2};
    assert_false(fits("src:10.0.0.0/8", &f));
    assert_false(fits("src:0.0.0.0/0", &f));
    assert_false(fits("dst:::/0", &f));
    assert_false(fits("name:*.example", &f));
    assert_false(fits("period:<1h", &f));
    assert_false(fits("port:0", &f));
    assert_true(fits("threat_intel:true", &f));
    assert_true(fits("-src:0.0.0.0/0", &f));
}

/* What is refused, and a word that the sentence has. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"sevrity:high", "did you mean 'severity'"},
        {"colour:red", "there are severity, src"},
        {"severity:urgent", "critical"},
        {"severity:", "wants none, low"},
        {"beacon:800", "from 0 to 100"},
        {"beacon:0.8", "from 0 to 100"},
        {"beacon:=80", "from 0 to 100"},
        {"beacon:80%", "from 0 to 100"},
        {"duration:1000", "2h45m"},
        {"duration:1y", "2h45m"},
        {"duration:1h1h", "2h45m"},
        {"duration:0x5h", "2h45m"},
        {"duration:1e300h", "2h45m"},
        {"threat_intel:ture", "true or false"},
        {"src:300.1.2.3", "an address"},
        {"src:10.0.0.0/33", "an address"},
        {"src:10.1.2.3,10.1.2.4", "an address"},
        {"ip:example.com", "an address"},
        {"hunt:beacons-and-more", "there is no hunt"},
        {"port:65536", "65535"},
        {"count:-1", "whole number"},
        {"sort:duration-up", "-asc or -desc"},
        {"sort:colour-asc", "-asc or -desc"},
        {"count>100", "follows a ':'"},
        {"\"open", "not closed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hunt_filter *filter = NULL;
        struct err err = {""};
        if (hunt_filter_parse(cases[i].text, &filter, &err) == 0)
            fail_msg("%s is taken", cases[i].text);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: '%s' does not say '%s'", cases[i].text, err.text, cases[i].says);
        assert_null(filter);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    char text[HUNT_FILTER_MAX + 2];
    struct hunt_filter *filter = NULL;
    struct err err = {""};
    memset(text, 'a', sizeof text);
    text[HUNT_FILTER_MAX] = '\0';
    assert_true(hunt_filter_parse(text, &filter, &err) < 0);
    text[HUNT_FILTER_MAX - 1] = '\0';
    assert_int_equal(hunt_filter_parse(text, &filter, &err), 0);
    hunt_filter_free(filter);
    for (size_t i = 1; i + 1 < HUNT_FILTER_MAX; i += 2)
        text[i] = ' ';
    assert_true(hunt_filter_parse(text, &filter, &err) < 0);
    assert_non_null(strstr(err.text, "more than"));
}

static void test_sort(void **state)
{
    (void)state;
    struct finding a = make(), b = make(), c = make();
    const struct finding *order[] = {&a, &b, &c};
    struct hunt_filter *filter = NULL;
    struct err err;
    a.n = 5;
    b.n = 7;
    c.n = 6;
    assert_int_equal(hunt_filter_parse("sort:count-desc", &filter, &err), 0);
    hunt_filter_sort(filter, order, 3);
    assert_ptr_equal(order[0], &b);
    assert_ptr_equal(order[1], &c);
    assert_ptr_equal(order[2], &a);
    hunt_filter_free(filter);
    assert_int_equal(hunt_filter_parse("sort:count-asc", &filter, &err), 0);
    hunt_filter_sort(filter, order, 3);
    assert_ptr_equal(order[0], &a);
    hunt_filter_free(filter);
    /* Without such a word nothing moves. */
    order[0] = &c;
    order[2] = &a;
    assert_int_equal(hunt_filter_parse("evil", &filter, &err), 0);
    hunt_filter_sort(filter, order, 3);
    assert_ptr_equal(order[0], &c);
    hunt_filter_free(filter);
}

static void test_durations(void **state)
{
    (void)state;
    int64_t ns = 0;
    assert_true(hunt_filter_duration("2h45m", &ns));
    assert_int_equal(ns, INT64_C(9900) * 1000000000);
    assert_true(hunt_filter_duration("7d", &ns));
    assert_int_equal(ns, INT64_C(604800) * 1000000000);
    assert_true(hunt_filter_duration("1.5h", &ns));
    assert_int_equal(ns, INT64_C(5400) * 1000000000);
    static const char *const bad[] = {"",    "h",   "5",     "-1h",  "1h30",        "30m1h",
                                      " 1h", "1 h", "inf h", "nanh", "99999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hunt_filter_duration(bad[i], &ns))
            fail_msg("'%s' is taken for a time", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),   cmocka_unit_test(test_absent),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_sort),    cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
