/* The beacon hunts over records: who is told, who is not, and how it is weighed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hunt/pairs_bed.h"

#define IMPLANT "10.0.0.5"
#define SERVER  "203.0.113.9"
#define MINUTE  60.0

struct bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct findings *findings;
    uint64_t uid, random;
};

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.uid = 1, .random = 12345};
    bed->engine = bed_engine(&bed->settings);
    bed->findings = findings_new(1000);
    assert_non_null(bed->findings);
}

static void bed_done(struct bed *bed)
{
    findings_free(bed->findings);
    hunt_engine_free(bed->engine);
    hunt_settings_done(&bed->settings);
}

static double uniform(struct bed *bed)
{
    bed->random = bed->random * 6364136223846793005u + 1442695040888963407u;
    return ((double)(bed->random >> 11) + 0.5) / 9007199254740992.0;
}

static void say_name(struct bed *bed, double s, const char *src, const char *dst, const char *name)
{
    if (name)
        bed_take(bed->engine, bed_ssl(s, bed->uid, src, dst, name));
}

/* Connections at the pace of a timer, +-20 %; gives when the last one was. */
static double put_timer(struct bed *bed, const char *src, const char *dst, const char *name,
                        double period, int n)
{
    double s = 100 + 10 * uniform(bed);
    for (int i = 0; i < n; i++) {
        say_name(bed, s, src, dst, name);
        bed_take(bed->engine, bed_conn(s, bed->uid++, src, dst, 443, "ssl"));
        s += period * (0.8 + 0.4 * uniform(bed));
    }
    return s;
}

static void put_random(struct bed *bed, const char *src, const char *dst, const char *name,
                       double mean, int n)
{
    double s = 100;
    for (int i = 0; i < n; i++) {
        s -= mean * log(uniform(bed));
        say_name(bed, s, src, dst, name);
        bed_take(bed->engine, bed_conn(s, bed->uid++, src, dst, 443, "ssl"));
    }
}

static void judge(struct bed *bed, bool only_changed)
{
    struct err err;
    findings_free(bed->findings);
    bed->findings = findings_new(1000);
    assert_int_equal(hunt_engine_judge(bed->engine, 0, only_changed, 2, bed->findings, &err), 0);
}

static size_t count(const struct bed *bed, const char *hunt)
{
    size_t n;
    size_t n_of = 0;
    const struct finding *found = findings_sorted(bed->findings, &n);
    for (size_t i = 0; i < n; i++)
        n_of += strcmp(found[i].hunt->name, hunt) == 0;
    return n_of;
}

/* The one finding of the hunt; there has to be one. */
static const struct finding *only(const struct bed *bed, const char *hunt)
{
    size_t n;
    const struct finding *found = findings_sorted(bed->findings, &n);
    const struct finding *of = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(found[i].hunt->name, hunt) != 0)
            continue;
        if (of)
            fail_msg("two findings: %s, and %s", of->title, found[i].title);
        of = &found[i];
    }
    if (!of)
        fail_msg("no finding of %s", hunt);
    return of;
}

static double number(const struct finding *finding, const char *name)
{
    for (unsigned i = 0; i < finding->n_numbers; i++)
        if (strcmp(finding->numbers[i].name, name) == 0)
            return finding->numbers[i].value;
    fail_msg("no number %s", name);
    return 0;
}

static bool says(const struct finding *finding, const char *words)
{
    for (unsigned i = 0; i < finding->n_reasons; i++)
        if (strstr(finding->reasons[i], words))
            return true;
    return false;
}

static void test_a_timer_and_nothing_else(void **state)
{
    struct bed bed;
    bed_init(&bed);
    put_timer(&bed, IMPLANT, SERVER, "c2.example.net", MINUTE, 40);
    put_random(&bed, IMPLANT, "203.0.113.20", "www.example.org", MINUTE, 60);
    put_random(&bed, "10.0.0.6", "203.0.113.21", NULL, 2 * MINUTE, 60);
    judge(&bed, false);
    const struct finding *found = only(&bed, "beacon");
    assert_string_equal(found->name, "c2.example.net");
    assert_true(found->has_dst && found->has_src);
    assert_true(found->score >= 0.6);
    assert_true(fabs(number(found, "period_s") - 60) < 4);
    assert_true(fabs(number(found, "jitter") - 0.2) < 0.05);
    assert_true(number(found, "checkins") == 40);
    assert_true(number(found, "timer_score") > 0.99);
    assert_true(number(found, "false_per_million") < 1);
    assert_non_null(strstr(found->title, "40 check-ins"));
    assert_true(found->events_of == &named_table);
    assert_int_equal(count(&bed, "failed-beacon"), 0);
    bed_done(&bed);
}

/* The address of a server that many names share: the implant uses it without a name. */
static void test_an_address_that_has_names_too(void **state)
{
    struct bed bed;
    bed_init(&bed);
    put_random(&bed, IMPLANT, SERVER, "cdn.example.org", 20, 150);
    put_timer(&bed, IMPLANT, SERVER, NULL, MINUTE, 40);
    judge(&bed, false);
    const struct finding *found = only(&bed, "beacon");
    assert_true(found->events_of == &pair_table);
    assert_true(number(found, "checkins") == 40);
    assert_true(says(found, "150 other connections"));
    bed_done(&bed);
}

static void test_requests_over_one_connection(void **state)
{
    struct bed bed;
    bed_init(&bed);
    double s = 100;
    for (int i = 0; i < 50; i++) {
        bed_take(bed.engine, bed_http(s, 7, IMPLANT, SERVER, "GET", "c2.example.net"));
        s += 30 * (0.8 + 0.4 * uniform(&bed));
    }
    struct hunt_record conn = bed_conn(99, 7, IMPLANT, SERVER, 80, "http");
    conn.conn.duration = (int64_t)(s * 1e9);
    bed_take(bed.engine, conn);
    judge(&bed, false);
    const struct finding *found = only(&bed, "beacon");
    assert_int_equal(found->events_series, NAMED_REQUESTS);
    assert_true(number(found, "checkins") == 50);
    assert_true(says(found, "in its requests"));
    bed_done(&bed);
}

static void test_failed_ones_are_their_own(void **state)
{
    struct bed bed;
    bed_init(&bed);
    double s = 100;
    for (int i = 0; i < 60; i++) {
        struct hunt_record record = bed_conn(s, bed.uid++, IMPLANT, SERVER, 443, NULL);
        record.conn.state = HUNT_S0;
        record.conn.resp_bytes = record.conn.resp_ip_bytes = record.conn.resp_pkts = 0;
        bed_take(bed.engine, record);
        s += 60 * (0.8 + 0.4 * uniform(&bed));
    }
    judge(&bed, false);
    assert_int_equal(count(&bed, "beacon"), 0);
    const struct finding *found = only(&bed, "failed-beacon");
    assert_true(found->score > 0.2 && found->score < 0.6);
    assert_true(says(found, "Nothing came of"));
    bed_done(&bed);
}

static void test_a_server_that_fails_now_and_then(void **state)
{
    struct bed bed;
    bed_init(&bed);
    double s = 100;
    for (int i = 0; i < 60; i++) {
        struct hunt_record record = bed_conn(s, bed.uid++, IMPLANT, SERVER, 443, NULL);
        record.conn.state = uniform(&bed) < 0.5 ? HUNT_S0 : HUNT_SF;
        bed_take(bed.engine, record);
        s += 60 * (0.5 + uniform(&bed));
    }
    judge(&bed, false);
    assert_true(number(only(&bed, "beacon"), "checkins") == 60);
    bed_done(&bed);
}

static void test_known_and_common_ones_weigh_less(void **state)
{
    struct bed bed;
    bed_init(&bed);
    put_timer(&bed, IMPLANT, SERVER, "download.windowsupdate.com", MINUTE, 40);
    judge(&bed, false);
    const struct finding *known = only(&bed, "beacon");
    assert_true(says(known, "known service"));
    assert_true(known->score < 0.4);
    bed_done(&bed);

    bed_init(&bed);
    for (int host = 1; host <= 12; host++) {
        char src[32];
        (void)snprintf(src, sizeof src, "10.0.1.%d", host);
        put_timer(&bed, src, "203.0.113.30", "status.example.com", MINUTE, 40);
    }
    put_timer(&bed, "10.0.1.3", SERVER, "c2.example.net", MINUTE, 40);
    judge(&bed, false);
    assert_int_equal(count(&bed, "beacon"), 13);
    size_t n;
    const struct finding *found = findings_sorted(bed.findings, &n);
    size_t at = 0;
    while (strcmp(found[at].hunt->name, "beacon") != 0)
        at++;
    assert_string_equal(found[at].name, "c2.example.net");
    assert_true(says(&found[at], "Only 1 of 12"));
    assert_true(found[at].score > 0.8);
    assert_true(found[at + 1].score < 0.6);
    assert_true(says(&found[at + 1], "12 of 12"));
    bed_done(&bed);
}

static void test_inside_weighs_less(void **state)
{
    struct bed bed;
    bed_init(&bed);
    put_timer(&bed, IMPLANT, "10.0.0.9", NULL, MINUTE, 40);
    judge(&bed, false);
    const struct finding *found = only(&bed, "beacon");
    assert_true(found->score < 0.6);
    assert_true(says(found, "internal"));
    bed_done(&bed);
}

/* As a running watch does it: a dozen check-ins are enough, and it is said again only when there
 * are more of them. */
static void test_live(void **state)
{
    struct bed bed;
    bed_init(&bed);
    put_random(&bed, "10.0.0.6", "203.0.113.21", NULL, 20, 60);
    judge(&bed, true);
    assert_int_equal(count(&bed, "beacon"), 0);
    double s = put_timer(&bed, IMPLANT, SERVER, "c2.example.net", MINUTE, 12);
    judge(&bed, true);
    assert_true(number(only(&bed, "beacon"), "checkins") == 12);
    uint64_t id = only(&bed, "beacon")->id;
    judge(&bed, true);
    assert_int_equal(count(&bed, "beacon"), 0);
    say_name(&bed, s, IMPLANT, SERVER, "c2.example.net");
    bed_take(bed.engine, bed_conn(s, bed.uid++, IMPLANT, SERVER, 443, "ssl"));
    judge(&bed, true);
    assert_true(number(only(&bed, "beacon"), "checkins") == 13);
    assert_true(only(&bed, "beacon")->id == id);
    bed_done(&bed);
}

/* Four hours between check-ins: a day has six of them, a week has enough. */
static void test_slow_ones_over_a_week(void **state)
{
    struct bed bed;
    bed_init(&bed);
    double s = 1000;
    for (int i = 0; i < 36; i++) {
        bed_take(bed.engine, bed_conn(s, bed.uid++, IMPLANT, SERVER, 443, "ssl"));
        s += 4 * 3600 * (0.9 + 0.2 * uniform(&bed));
    }
    judge(&bed, false);
    const struct finding *found = only(&bed, "beacon");
    assert_true(number(found, "window_h") == 168);
    assert_true(fabs(number(found, "period_s") / 14400 - 1) < 0.05);
    bed_done(&bed);
}

/* An address has names that others ask for: what they make of it says nothing of a machine that goes
 * there without one. */
static void test_names_of_others(void **state)
{
    for (int asks = 0; asks < 2; asks++) {
        struct bed bed;
        bed_init(&bed);
        put_timer(&bed, IMPLANT, SERVER, NULL, 5 * MINUTE, 60);
        for (int i = 0; i < 12; i++) {
            char host[32];
            snprintf(host, sizeof(host), "10.0.0.%d", 20 + i);
            bed_take(bed.engine, bed_dns(100 + i, host, "10.0.0.2", "www.example.org", SERVER));
            put_random(&bed, host, SERVER, "www.example.org", MINUTE, 5);
        }
        if (asks)
            bed_take(bed.engine,
                     bed_dns(90, IMPLANT, "10.0.0.2", "other.example.org", "203.0.113.77"));
        judge(&bed, false);
        const struct finding *found = only(&bed, "beacon");
        /* Whose questions are not seen may have asked for it as all others do. */
        assert_string_equal(found->name, asks ? "" : "www.example.org");
        assert_true(says(found, "others know it as www.example.org") == (asks == 1));
        assert_true(says(found, "a common service") == (asks == 0));
        assert_true((found->score >= 0.6) == (asks == 1));
        bed_done(&bed);
    }
}

/* "Nobody asked DNS" is for those that are seen asking. */
static void test_nobody_asks_where_no_dns_is_seen(void **state)
{
    for (int asks = 0; asks < 2; asks++) {
        struct bed bed;
        bed_init(&bed);
        put_timer(&bed, IMPLANT, SERVER, NULL, MINUTE, 60);
        if (asks)
            bed_take(bed.engine,
                     bed_dns(90, IMPLANT, "10.0.0.2", "other.example.org", "203.0.113.77"));
        judge(&bed, false);
        assert_true(says(only(&bed, "beacon"), "nobody asked DNS") == (asks == 1));
        bed_done(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_and_nothing_else),
        cmocka_unit_test(test_an_address_that_has_names_too),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_nobody_asks_where_no_dns_is_seen),
        cmocka_unit_test(test_requests_over_one_connection),
        cmocka_unit_test(test_failed_ones_are_their_own),
        cmocka_unit_test(test_a_server_that_fails_now_and_then),
        cmocka_unit_test(test_known_and_common_ones_weigh_less),
        cmocka_unit_test(test_inside_weighs_less),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_slow_ones_over_a_week),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
