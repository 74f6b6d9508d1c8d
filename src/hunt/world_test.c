/* What is known of the world: who knows whom, machines' names, losses, first times, and findings
 * made of pairs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/pairs_bed.h"

#define US   "10.0.0.5"
#define THEM "10.0.0.6"
#define WEB  "93.184.216.34"

struct bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct findings *findings;
    const struct hunt_judge *view;
};

static int setup(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    bed->engine = bed_engine(&bed->settings);
    bed->findings = findings_new(1000);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    findings_free(bed->findings);
    hunt_engine_free(bed->engine);
    hunt_settings_done(&bed->settings);
    free(bed);
    return 0;
}

static void judge(struct bed *bed)
{
    struct err err;
    assert_int_equal(hunt_engine_judge(bed->engine, 0, false, 2, bed->findings, &err), 0);
    bed->view = hunt_engine_view(bed->engine);
}

static void check_prevalence(struct hunt_prevalence prevalence, unsigned n, unsigned of)
{
    assert_int_equal(prevalence.n, n);
    assert_int_equal(prevalence.of, of);
}

static void test_prevalence(void **state)
{
    struct bed *bed = *state;
    char host[32];
    /* Ten hosts ask for one name, two of them talk to its address, on two days. */
    for (int i = 0; i < 10; i++) {
        (void)snprintf(host, sizeof host, "10.0.1.%d", i);
        bed_take(bed->engine, bed_dns(i, host, "10.0.0.53", "www.Example.com", "x\n" WEB));
        for (int k = 0; k < 3 && i < 2; k++)
            bed_take(bed->engine, bed_conn(k * 20000, 0, host, WEB, 443, "ssl"));
    }
    bed_take(bed->engine, bed_http(5, 9, US, WEB, "GET", "www.example.com"));
    bed_take(bed->engine, bed_conn(6, 0, US, THEM, 445, "smb"));
    /* Before the window: they do not count. */
    bed_take(bed->engine, bed_conn(-2 * DAY_S, 0, "10.0.2.1", WEB, 443, "ssl"));
    bed_take(bed->engine, bed_dns(-2 * DAY_S, "10.0.2.1", "10.0.0.53", "www.example.com", ""));
    judge(bed);
    struct hunt_host web = bed_host(WEB), them = bed_host(THEM), no = bed_host("9.9.9.9");
    check_prevalence(hunt_prevalence_of(bed->view, &web), 2, 11);
    check_prevalence(hunt_prevalence_of_name(bed->view, bed_name(bed->engine, "www.example.com")),
                     11, 11);
    check_prevalence(hunt_prevalence_of(bed->view, &no), 0, 11);
    /* Of those inside, all are asked: with the two that talk among themselves. */
    check_prevalence(hunt_prevalence_of(bed->view, &them), 1, 12);
    book_name names[4];
    assert_int_equal(hunt_names_of(bed->view, &web.addr, names, 4), 1);
    assert_true(str_eq(books_text(&bed->view->books, names[0]), STR("www.example.com")));
    assert_int_equal(hunt_names_of(bed->view, &no.addr, names, 4), 0);
}

/* Begun by either side: it is one host that knows. */
static void test_prevalence_of_inbound(void **state)
{
    struct bed *bed = *state;
    bed->settings.scope.include_inbound = true;
    bed_take(bed->engine, bed_conn(1, 0, WEB, US, 443, "ssl"));
    bed_take(bed->engine, bed_conn(1, 0, US, WEB, 443, "ssl"));
    bed_take(bed->engine, bed_conn(1, 0, WEB, THEM, 443, "ssl"));
    judge(bed);
    struct hunt_host web = bed_host(WEB);
    check_prevalence(hunt_prevalence_of(bed->view, &web), 2, 2);
}

static struct hunt_record of_machine(struct hunt_record record, const char *machine)
{
    record.machine = str_c(machine);
    record.network = STR("vpc-1");
    record.orig.network = 77;
    return record;
}

static void test_machines(void **state)
{
    struct bed *bed = *state;
    char host[32];
    /* A server that a hundred hosts talk to, one more than with others; and a client. */
    for (int i = 0; i < 100; i++) {
        (void)snprintf(host, sizeof host, "10.0.1.%d", i);
        for (int k = 0; k < 3; k++)
            bed_take(bed->engine, of_machine(bed_conn(i, 0, host, "10.0.9.9", 443, "ssl"), "db-1"));
    }
    for (int i = 0; i < 5; i++)
        bed_take(bed->engine, of_machine(bed_conn(i, 0, "10.0.1.3", WEB, 443, "ssl"), "web-3"));
    judge(bed);
    struct hunt_host server = bed_host("10.0.9.9"), client = bed_host("10.0.1.3");
    struct hunt_host other = bed_host("10.0.1.4"), web = bed_host(WEB);
    client.network = other.network = 77;
    assert_string_equal(hunt_machine_of(bed->view, &server), "db-1");
    assert_string_equal(hunt_machine_of(bed->view, &client), "web-3");
    assert_string_equal(hunt_machine_of(bed->view, &other), "");
    assert_string_equal(hunt_machine_of(bed->view, &web), "");
    assert_string_equal(hunt_network_of(bed->view, 77), "vpc-1");
    assert_string_equal(hunt_network_of(bed->view, 78), "");
}

static struct hunt_record notice(double s, const char *note, const char *machine, const char *text)
{
    struct hunt_record record = {.log = HUNT_NOTICE};
    record.ts = BED_T0 * SECOND + (int64_t)(s * 1e9);
    record.notice.note = str_c(note);
    record.notice.msg = str_c(text);
    record.machine = str_c(machine);
    return record;
}

static void check_near(double is, double wanted)
{
    if (fabs(is - wanted) > 1e-6)
        fail_msg("%g, not %g", is, wanted);
}

static void test_loss(void **state)
{
    struct bed *bed = *state;
    struct hunt_record loss = {.log = HUNT_CAPTURE_LOSS, .ts = BED_T0 * SECOND};
    static const double lost[] = {2, NAN, -4, 0, -INFINITY};
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        loss.capture_loss.percent_lost = lost[i];
        bed_take(bed->engine, loss);
    }
    /* An eighth for six of 24 hours, over midnight; another day's is not of the window. */
    bed_take(bed->engine, notice(-3 * DAY_S, "Mirror::Silent", "web-3", ""));
    bed_take(bed->engine, notice(-3 * DAY_S + 9000, "Mirror::All_Clear", "web-3", ""));
    bed_take(bed->engine, notice(-7200, "Mirror::Dropping", "web-3",
                                 "17 packets (12.5 %) of the last minute were lost in this host"));
    bed_take(bed->engine, notice(4 * 3600, "Mirror::All_Clear", "web-3", "again"));
    /* Since an hour, and still. */
    bed_take(bed->engine, notice(13 * 3600, "Mirror::Silent", "db-1", "% ("));
    bed_take(bed->engine, notice(14 * 3600, "Mirror::Dropping", "db-1", "1 packets (1e9 %) of"));
    bed_take(bed->engine, notice(1, "Mirror::Silent", "", "of nobody"));
    bed_take(bed->engine, notice(1, "Scan::Port_Scan", "db-1", "another notice (50 %)"));
    static const char *const machines[][2] = {{"web-3", "10.0.1.3"}, {"db-1", "10.0.1.4"}};
    for (int i = 0; i < 2; i++) {
        struct hunt_record conn = bed_conn(1, 0, machines[i][1], WEB, 443, "ssl");
        conn.machine = str_c(machines[i][0]);
        bed_take(bed->engine, conn);
    }
    bed_take(bed->engine, bed_conn(-4 * DAY_S, 0, US, WEB, 443, "ssl"));
    bed_take(bed->engine, bed_conn(14 * 3600, 0, US, WEB, 443, "ssl"));
    judge(bed);
    struct hunt_host host = bed_host("10.0.1.3"), still = bed_host("10.0.1.4");
    struct hunt_host other = bed_host(US);
    check_near(hunt_loss_of(bed->view, &host), 0.125 * 6 / 24);
    check_near(hunt_loss_of(bed->view, &still), 1.0 / 24);
    check_near(hunt_loss_of(bed->view, &other), 0.01);

    struct finding finding;
    struct pair_key key = {.src = still, .dst = bed_host(WEB)};
    struct pair_value value = bed_pair(bed->engine, "10.0.1.4", WEB);
    finding_init(&finding, hunts[0]);
    finding_of_pair(bed->view, &finding, &key, &value);
    check_near(finding.confidence, 1 - 1.0 / 24);
    assert_int_equal(finding.n_reasons, 1);
    assert_non_null(strstr(finding.reasons[0], "4.2 % of the packets of db-1 were lost"));
    assert_string_equal(finding.src_machine, "db-1");
}

static int64_t first_seen(void *with, uint64_t key)
{
    return key == *(const uint64_t *)with ? 1000 : HUNT_UNSET;
}

static void test_first_seen(void **state)
{
    struct bed *bed = *state;
    bed_take(bed->engine, bed_conn(50, 0, US, WEB, 443, "ssl"));
    bed_take(bed->engine, bed_conn(20, 0, THEM, WEB, 443, "ssl"));
    bed_take(bed->engine, bed_dns(7, US, "10.0.0.53", "a.example.com", ""));
    judge(bed);
    struct hunt_host web = bed_host(WEB), no = bed_host("9.9.9.9");
    assert_int_equal(hunt_first_seen_of(bed->view, &web), (BED_T0 + 20) * 1000);
    assert_int_equal(hunt_first_seen_of(bed->view, &no), HUNT_UNSET);
    book_name name = bed_name(bed->engine, "a.example.com");
    assert_int_equal(hunt_first_seen_of_name(bed->view, name), (BED_T0 + 7) * 1000);
    assert_int_equal(hunt_history_from(bed->view), (BED_T0 + 7) * 1000);

    uint64_t key = hunt_first_seen_key(hunt_engine_secret(bed->engine), &web);
    hunt_engine_history(bed->engine, 500, first_seen, &key);
    judge(bed);
    assert_int_equal(hunt_first_seen_of(bed->view, &web), 1000);
    assert_int_equal(hunt_first_seen_of_name(bed->view, name), (BED_T0 + 7) * 1000);
    assert_int_equal(hunt_history_from(bed->view), 500);
}

static void test_finding_of_named(void **state)
{
    struct bed *bed = *state;
    for (unsigned i = 1; i <= 6; i++) {
        bed_take(bed->engine, bed_ssl(i, i, US, WEB, "c2.example.net"));
        bed_take(bed->engine,
                 bed_conn(i, i, US, WEB, (uint16_t)(440 + i), i % 2 ? "ssl" : "http,ssl"));
    }
    struct hunt_record ping = bed_conn(1, 0, US, "9.9.9.9", 0, NULL);
    ping.proto = HUNT_ICMP;
    ping.orig_port = 8;
    bed_take(bed->engine, ping);
    judge(bed);
    struct named_key key = {.name = bed_name(bed->engine, "c2.example.net"), .src = bed_host(US)};
    struct named_value value = bed_named(bed->engine, US, "c2.example.net");
    struct finding finding;
    finding_init(&finding, hunts[0]);
    finding_of_named(bed->view, &finding, &key, &value);
    assert_string_equal(finding.name, "c2.example.net");
    assert_string_equal(finding.ports, "441:tcp:ssl,442:tcp:http,ssl,443:tcp:ssl and 3 more");
    assert_true(finding.has_src && finding.has_dst);
    assert_int_equal(finding.n, 6);
    assert_int_equal(finding.bytes_up, 1200);
    assert_int_equal(finding.first, (BED_T0 + 1) * 1000);
    assert_int_equal(finding.last, (BED_T0 + 6) * 1000);
    check_near(finding.confidence, 1);
    assert_int_equal(
        bed_events(bed->engine, finding.events_of, finding.events_key, finding.events_series), 6);
    struct pair_key pair = {.src = bed_host(US), .dst = bed_host("9.9.9.9")};
    struct pair_value pings = bed_pair(bed->engine, US, "9.9.9.9");
    finding_init(&finding, hunts[0]);
    finding_of_pair(bed->view, &finding, &pair, &pings);
    assert_string_equal(finding.ports, "icmp:8/0");
}

/* A tunnel asks for names without end: of each domain so many are kept of each host. */
static void test_many_names(void **state)
{
    struct bed *bed = *state;
    struct hunt_engine_counts counts;
    char name[64];
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(name, sizeof name, "%08x.%d.tunnel.example", i * 7919, i % 3);
        bed_take(bed->engine, bed_dns(i, US, "10.0.0.53", name, ""));
    }
    bed_take(bed->engine, bed_dns(1, US, "10.0.0.53", "www.example.com", ""));
    hunt_engine_count(bed->engine, &counts);
    assert_int_equal(counts.pairs.n_asked_refused, 20000 - 4096);
    struct books books = hunt_engine_books(bed->engine);
    assert_int_equal(book_n(books.at[0], &asked_table), 4097);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_prevalence), TEST(test_prevalence_of_inbound),
        TEST(test_machines),   TEST(test_loss),
        TEST(test_first_seen), TEST(test_finding_of_named),
        TEST(test_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
