/* RITA's rows of records made by hand. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "hunt/rita_bed.h"

static uint64_t next_uid;

static void take_conn(struct hunt_engine *engine, double s, const char *src, const char *dst,
                      const char *name, enum hunt_state conn_state)
{
    uint64_t uid = ++next_uid * 0x9e3779b97f4a7c15u;
    if (name)
        bed_take(engine, bed_ssl(s, uid, src, dst, name));
    struct hunt_record conn = bed_conn(s, uid, src, dst, 443, name ? "ssl" : "");
    conn.conn.state = conn_state;
    bed_take(engine, conn);
}

/* An address is used by name and without: RITA hides the second, we do not. */
static void test_hidden_by_name(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    for (int i = 0; i < 100; i++) {
        take_conn(engine, 600 * i, "10.0.0.1", "198.51.100.1", "cdn.example.com", HUNT_SF);
        if (i % 2 == 0)
            take_conn(engine, 600 * i + 77, "10.0.0.1", "198.51.100.1", NULL, HUNT_SF);
        take_conn(engine, 600 * i + 5, "10.0.0.1", "198.51.100.2", "other.example.com", HUNT_SF);
    }
    struct rita_options options;
    rita_options_init(&options);
    options.exact = true;
    struct rows exact = rows_of(engine, &options);
    assert_null(row_of(&exact, "10.0.0.1", "198.51.100.1"));
    assert_int_equal(row_of(&exact, "10.0.0.1", "cdn.example.com")->n, 100);
    assert_int_equal(exact.n, 2);
    options.exact = false;
    struct rows ours = rows_of(engine, &options);
    const struct rita_row *row = row_of(&ours, "10.0.0.1", "198.51.100.1");
    assert_non_null(row);
    assert_int_equal(row->n, 50);
    assert_int_equal(row->bytes, 50 * 2200);
    assert_true(fabs(row->duration - 50) < 1e-6);
    assert_true(fabs(row->beacon.ts - 1) < 1e-6);
    assert_null(row_of(&ours, "10.0.0.1", "198.51.100.2")); /* all of it has a name */
    free(exact.at);
    free(ours.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

/* Asked of a proxy inside, ended and not; and of a server inside, which is none of RITA's rows. */
static void test_proxied(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    for (int i = 0; i < 10; i++) {
        uint64_t uid = ++next_uid * 0x9e3779b97f4a7c15u;
        bed_take(engine,
                 bed_http(600 * i, uid, "10.0.0.1", "10.0.0.9", "CONNECT", "a.example.com"));
        bed_take(engine, bed_conn(600 * i, uid, "10.0.0.1", "10.0.0.9", 3128, "http"));
        take_conn(engine, 600 * i + 1, "10.0.0.1", "10.0.0.8", "a.example.com", HUNT_SF);
        take_conn(engine, 600 * i + 2, "10.0.0.1", "10.0.0.8", "b.example.com", HUNT_SF);
    }
    uint64_t uid = ++next_uid * 0x9e3779b97f4a7c15u;
    struct hunt_record http =
        bed_http(7000, uid, "10.0.0.1", "10.0.0.9", "CONNECT", "a.example.com");
    http.log = HUNT_OPEN_HTTP;
    bed_take(engine, http);
    bed_take(engine, bed_open(7000, uid, "10.0.0.1", "10.0.0.9", 3128, "http", 5000));
    struct rita_options options;
    rita_options_init(&options);
    options.exact = true;
    struct rows rows = rows_of(engine, &options);
    assert_int_equal(rows.n, 1);
    const struct rita_row *row = row_of(&rows, "10.0.0.1", "a.example.com");
    assert_non_null(row);
    assert_int_equal(row->n, 10);
    assert_int_equal(row->n_open, 1);
    assert_int_equal(row->n_proxied, 11);
    assert_int_equal(row->bytes, 10 * 2200 + 10000);
    assert_true(fabs(row->duration - 5010) < 1e-6);
    /* The proxy is one of the hosts that know the name: RITA has it so. */
    assert_int_equal(row->prevalence.n, 2);
    assert_int_equal(row->prevalence.of, 2);
    free(rows.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

/* Attempts between the check-ins: they are counted, and no check-ins. */
static void test_failed(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    for (int i = 0; i < 140; i++) {
        take_conn(engine, 600 * i, "10.0.0.1", "198.51.100.1", NULL, HUNT_SF);
        for (int k = 1; k < 1 + i % 5; k++)
            take_conn(engine, 600 * i + 3 * k * k, "10.0.0.1", "198.51.100.1", NULL, HUNT_S0);
        take_conn(engine, 600 * i, "10.0.0.1", "198.51.100.9", NULL, HUNT_S0);
    }
    struct rita_options options;
    rita_options_init(&options);
    struct rows ours = rows_of(engine, &options);
    options.exact = true;
    struct rows exact = rows_of(engine, &options);
    assert_true(row_of(&ours, "10.0.0.1", "198.51.100.1")->beacon.ts > 0.999);
    assert_true(row_of(&exact, "10.0.0.1", "198.51.100.1")->beacon.ts < 0.9);
    assert_int_equal(row_of(&ours, "10.0.0.1", "198.51.100.1")->n, 420);
    /* All of them failed: a timer, anyway. */
    assert_true(row_of(&ours, "10.0.0.1", "198.51.100.9")->beacon.ts > 0.999);
    free(exact.at);
    free(ours.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

static void write_feed(char *path, const char *text)
{
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(file), 0);
}

/* A single connection to what is on a feed: no row in RITA, one in ours. Sub-domains, and names
 * with a port, are found by ours alone. */
static void test_intel(void **state)
{
    (void)state;
    char path[] = "/tmp/rita_test.XXXXXX";
    write_feed(path, "198.51.100.7\nbad.example.com\n");
    struct hunt_settings settings;
    hunt_settings_init(&settings);
    settings.memory = (uint64_t)64 << 20;
    settings.feeds = calloc(1, sizeof *settings.feeds);
    assert_non_null(settings.feeds);
    settings.feeds[0] = strdup(path);
    settings.n_feeds = 1;
    struct hunt_engine *engine;
    struct err err;
    assert_int_equal(hunt_engine_new(&settings, 7, &engine, &err), 0);
    take_conn(engine, 10, "10.0.0.1", "198.51.100.7", NULL, HUNT_SF);
    for (int i = 0; i < 5; i++) {
        take_conn(engine, 100 * i, "10.0.0.1", "198.51.100.1", "bad.example.com", HUNT_SF);
        take_conn(engine, 100 * i, "10.0.0.1", "198.51.100.1", "a.bad.example.com", HUNT_SF);
        take_conn(engine, 100 * i, "10.0.0.1", "198.51.100.1", "good.example.com", HUNT_SF);
        take_conn(engine, 100 * i, "10.0.0.2", "198.51.100.1", NULL, HUNT_SF);
    }
    struct rita_options options;
    rita_options_init(&options);
    struct rows ours = rows_of(engine, &options);
    options.exact = true;
    struct rows exact = rows_of(engine, &options);
    assert_null(row_of(&exact, "10.0.0.1", "198.51.100.7"));
    const struct rita_row *row = row_of(&ours, "10.0.0.1", "198.51.100.7");
    assert_non_null(row);
    assert_true(row->intel && row->n == 1);
    assert_true(row_of(&exact, "10.0.0.1", "bad.example.com")->intel);
    assert_false(row_of(&exact, "10.0.0.1", "a.bad.example.com")->intel);
    assert_true(row_of(&ours, "10.0.0.1", "a.bad.example.com")->intel);
    assert_false(row_of(&ours, "10.0.0.1", "good.example.com")->intel);
    assert_false(row_of(&ours, "10.0.0.2", "198.51.100.1")->intel);
    /* 0.8 of the hit, and a host out of two knows the name. */
    assert_true(fabs(row_of(&exact, "10.0.0.1", "bad.example.com")->final - 0.65) < 1e-9);
    assert_int_equal(row_of(&exact, "10.0.0.1", "bad.example.com")->severity, HUNT_HIGH);
    free(exact.at);
    free(ours.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
    assert_int_equal(unlink(path), 0);
}

/* The domain under which RITA counts. */
static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *name, *cut;
    } rows[] = {
        {"www.example.com", "example.com"},
        {"example.com", "example.com"},
        {"com", "com"},
        {"a.b.example.co.uk", "example.co.uk"},
        {"www.example.com.tr", "example.com.tr"},
        {"example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        /* Suffixes of companies are none to it. */
        {"x.d1.cloudfront.net", "cloudfront.net"},
        {"a.b.s3.amazonaws.com", "amazonaws.com"},
        {"a.b.wpad.home", "wpad.home"},
        {"", ""},
        {"...", "."},
    };
    for (size_t i = 0; i < N(rows); i++) {
        struct str part = rita_cut(str_c(rows[i].name));
        if (!str_eq(part, str_c(rows[i].cut)))
            fail_msg("%s: %.*s", rows[i].name, (int)part.len, part.at);
    }
}

/* Bytes from the wire break no line and no field. */
static void test_csv(void **state)
{
    (void)state;
    struct rita_row rows[3] = {
        {.type = RITA_SNI,
         .src = bed_host("10.0.0.1"),
         .name = "a,b\"c\nd",
         .severity = HUNT_CRITICAL,
         .beacon = {.score = .98},
         .duration = 14737.06115,
         .long_score = .40468140486111115,
         .n = 357,
         .bytes = UINT64_MAX,
         .prevalence = {2, 3},
         .first_seen = BED_T0 - 3 * DAY_S,
         .exact = true,
         .ports = "3128:tcp:http,ssl",
         .modifiers = "rare_signature:x\"y"},
        {.type = RITA_DNS, .name = "=1+1", .subdomains = 1300, .dns_score = .8, .intel = true},
        {.type = RITA_IP,
         .src = bed_host("fd00::1"),
         .dst = bed_host("198.51.100.1"),
         .has_dst = true,
         .severity = HUNT_LOW,
         .strobe = true,
         .n_missing_host = 2,
         .first_seen = BED_T0,
         .prevalence = {1, 15}},
    };
    const struct hunt_judge judge = {.newest = BED_T0 * 1000 + 500};
    struct text out;
    text_init(&out, 1 << 20);
    rita_csv(&out, &judge, rows, 3);
    assert_false(out.failed);
    assert_string_equal(
        out.at,
        "Severity,Source IP,Destination IP,FQDN,Beacon Score,Strobe,Total Duration,Long Connection "
        "Score,Subdomains,C2 Over DNS Score,Threat Intel,Prevalence,First Seen,Missing Host "
        "Header,Connection Count,Total Bytes,Port:Proto:Service,Modifiers\n"
        "Critical,10.0.0.1,::,\"a,b\"\"c\\x0ad\",0.98,false,14737.06115,0.4046814049,0,0,false,"
        "0.6666666667,3 days ago,false,357,18446744073709551615,\"3128:tcp:http,ssl\","
        "\"rare_signature:x\"\"y\"\n"
        "None,::,::,'=1+1,0,false,0,0,1300,0.8,true,0,,false,0,0,\"\",\"\"\n"
        "Low,fd00::1,198.51.100.1,,0,true,0,0,0,0,false,0.06666666667,2022-01-08T00:00:00Z,true,0,"
        "0,\"\",\"\"\n");
    text_done(&out);
}

static void test_nothing(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    struct rita_options options;
    rita_options_init(&options);
    struct rows rows = rows_of(engine, &options);
    assert_int_equal(rows.n, 0);
    free(rows.at);
    /* Only between ours, only to nobody, and only DNS. */
    for (int i = 0; i < 50; i++) {
        take_conn(engine, 60 * i, "10.0.0.1", "10.0.0.2", NULL, HUNT_SF);
        take_conn(engine, 60 * i, "10.0.0.1", "224.0.0.251", NULL, HUNT_SF);
        take_conn(engine, 60 * i, "198.51.100.1", "10.0.0.1", NULL, HUNT_SF);
        bed_take(engine, bed_dns(60 * i, "10.0.0.1", "10.0.0.53", "a.example.com", "198.51.100.1"));
    }
    rows = rows_of(engine, &options);
    assert_int_equal(rows.n, 0);
    free(rows.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden_by_name),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_proxied),
        cmocka_unit_test(test_intel),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
