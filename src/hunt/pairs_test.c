/* Putting records together: conn alone, names first and last, over hours and days, proxies, open
 * connections, and what strangers send. */
#include <stdlib.h>

#include "hunt/pairs_bed.h"

#define US  "10.0.0.5"
#define WEB "93.184.216.34"

struct bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
};

static int setup(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    bed->engine = bed_engine(&bed->settings);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    hunt_engine_free(bed->engine);
    hunt_settings_done(&bed->settings);
    free(bed);
    return 0;
}

static void test_by_address(void **state)
{
    struct bed *bed = *state;
    for (int i = 0; i < 5; i++)
        bed_take(bed->engine, bed_conn(i * 60, 0, US, WEB, 443, "ssl"));
    struct hunt_record failed = bed_conn(400, 0, US, WEB, 8080, NULL);
    failed.conn.state = HUNT_S0;
    failed.conn.duration = HUNT_UNSET;
    failed.conn.orig_bytes = failed.conn.resp_bytes = HUNT_UNSET;
    failed.conn.resp_ip_bytes = -5; /* no log says so, but a line may */
    bed_take(bed->engine, failed);

    struct pair_value pair = bed_pair(bed->engine, US, WEB);
    assert_int_equal(pair.sum.n, 6);
    assert_int_equal(pair.sum.n_failed, 1);
    assert_int_equal(pair.sum.bytes_up, 6 * 200);
    assert_int_equal(pair.sum.bytes_down, 5 * 2000);
    assert_int_equal(pair.sum.payload_up, 5 * 100);
    assert_int_equal(pair.sum.duration, 5 * 1000000);
    assert_int_equal(pair.sum.longest, 1000000);
    assert_int_equal(pair.sum.first, BED_T0 * 1000);
    assert_int_equal(pair.sum.last, (BED_T0 + 400) * 1000);
    assert_int_equal(pair.sum.way, HUNT_OUT);
    assert_int_equal(pair.sum.states, 1u << HUNT_SF | 1u << HUNT_S0);
    assert_int_equal(pair.sum.ports[0].port, 443);
    assert_int_equal(pair.sum.ports[0].n, 5);
    assert_int_equal(pair.sum.ports[1].port, 8080);
    assert_int_equal(pair.sum.ports[1].service, 0);
    struct books books = hunt_engine_books(bed->engine);
    assert_true(str_eq(books_text(&books, pair.sum.ports[0].service), STR("ssl")));

    struct pair_key key = {.src = bed_host(US), .dst = bed_host(WEB)};
    struct book_event *events;
    size_t n;
    assert_true(books_events(&books, &pair_table, &key, PAIR_CONNS, 0, INT64_MAX / 2, &events, &n));
    assert_int_equal(n, 6);
    assert_int_equal(events[1].ts, (BED_T0 + 60) * 1000);
    assert_int_equal(events[1].up, 200);
    assert_int_equal(events[1].down, 2000);
    assert_int_equal(events[1].duration, 1000000);
    assert_true(events[5].failed && !events[4].failed);
    free(events);
}

/* Three pieces in any order: the same. */
static void test_orders(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct hunt_settings settings;
        struct hunt_engine *engine = bed_engine(&settings);
        const struct hunt_record pieces[3] = {
            bed_http(10, 77, US, WEB, "GET", "A.example.com"),
            bed_http(20, 77, US, WEB, "GET", "b.example.com:8080"),
            bed_conn(5, 77, US, WEB, 80, "http"),
        };
        for (int k = 0; k < 3; k++)
            bed_take(engine, pieces[orders[i][k]]);
        /* The newest has the connection; the other has its request. */
        struct named_value a = bed_named(engine, US, "a.example.com");
        struct named_value b = bed_named(engine, US, "b.example.com:8080");
        assert_int_equal(a.sum.n, 0);
        assert_int_equal(a.n_requests, 1);
        assert_int_equal(b.sum.n, 1);
        assert_int_equal(b.n_requests, 1);
        assert_int_equal(b.sum.bytes_up, 200);
        assert_int_equal(b.sum.duration, 1000000);
        assert_int_equal(b.n_servers, 1);
        assert_int_equal(b.n_proxies, 0);
        assert_int_equal(b.sum.ports[0].port, 80);
        struct same_key same = {.src = bed_host(US), .dst = bed_host(WEB)};
        struct same_value value;
        struct books books = hunt_engine_books(engine);
        for (int k = 0; k < 2; k++) {
            same.name = bed_name(engine, k ? "b.example.com:8080" : "a.example.com");
            assert_true(books_find(&books, &same_table, &same, &value));
            assert_int_equal(value.n, 1);
        }
        struct named_key key = {.name = same.name, .src = bed_host(US)};
        assert_int_equal(bed_events(engine, &named_table, &key, NAMED_CONNS), 1);
        assert_int_equal(bed_events(engine, &named_table, &key, NAMED_REQUESTS), 1);
        assert_int_equal(bed_pair(engine, US, WEB).sum.n, 1);
        struct hunt_engine_counts counts;
        hunt_engine_count(engine, &counts);
        assert_int_equal(counts.pairs.n_unjoined, 0);
        hunt_engine_free(engine);
        hunt_settings_done(&settings);
    }
}

/* Looked at between the pieces: what was counted is not counted again. */
static void test_looked_at_between(void **state)
{
    struct bed *bed = *state;
    bed_take(bed->engine, bed_conn(5, 77, US, WEB, 443, "ssl"));
    (void)hunt_engine_books(bed->engine);
    bed_take(bed->engine, bed_ssl(6, 77, US, WEB, "example.com"));
    assert_int_equal(bed_named(bed->engine, US, "example.com").sum.n, 1);
    bed_take(bed->engine, bed_ssl(7, 77, US, WEB, "example.com"));
    assert_int_equal(bed_named(bed->engine, US, "example.com").sum.n, 1);
}

static void test_keep_alive(void **state)
{
    struct bed *bed = *state;
    for (int i = 0; i < 500; i++)
        bed_take(bed->engine, bed_http(10 + i * 60, 3, US, WEB, "GET", "c2.example.net"));
    bed_take(bed->engine, bed_conn(9, 3, US, WEB, 80, "http"));
    struct named_value value = bed_named(bed->engine, US, "c2.example.net");
    assert_int_equal(value.sum.n, 1);
    assert_int_equal(value.n_requests, 500);
    struct named_key key = {.name = bed_name(bed->engine, "c2.example.net"), .src = bed_host(US)};
    assert_int_equal(bed_events(bed->engine, &named_table, &key, NAMED_REQUESTS), 500);
    assert_int_equal(bed_events(bed->engine, &named_table, &key, NAMED_CONNS), 1);
}

/* Begun before midnight, asked and ended after it: all of it is of the first day. */
static void test_over_midnight(void **state)
{
    struct bed *bed = *state;
    for (int order = 0; order < 2; order++) {
        uint64_t uid = (uint64_t)(10 + order);
        const char *us = order ? "10.0.0.6" : "10.0.0.7";
        struct hunt_record http = bed_http(DAY_S + 100, uid, us, WEB, "GET", "late.example.com");
        struct hunt_record conn = bed_conn(DAY_S - 50, uid, us, WEB, 80, "http");
        bed_take(bed->engine, order ? conn : http);
        bed_take(bed->engine, bed_conn(DAY_S + 7200, 0, us, WEB, 22, "ssh"));
        bed_take(bed->engine, order ? http : conn);
        struct books books = hunt_engine_books(bed->engine);
        assert_int_equal(books.n, 2);
        struct named_key key = {.name = bed_name(bed->engine, "late.example.com"),
                                .src = bed_host(us)};
        const struct named_value *first = book_find(books.at[0], &named_table, &key);
        const struct named_value *second = book_find(books.at[1], &named_table, &key);
        assert_non_null(first);
        assert_int_equal(first->sum.n, 1);
        assert_int_equal(second->sum.n, 0);
        assert_int_equal(second->n_requests, 1);
        assert_true(str_eq(book_name_text(books.at[0], key.name), STR("late.example.com")));
    }
}

static void test_proxy(void **state)
{
    struct bed *bed = *state;
    const char *proxy = "10.0.0.1";
    bed_take(bed->engine, bed_http(1, 1, US, proxy, "CONNECT", "evil.example.com:443"));
    bed_take(bed->engine, bed_conn(1, 1, US, proxy, 3128, "http,ssl"));
    /* To an address inside, by way of the proxy: that is not looked at. */
    bed_take(bed->engine, bed_http(2, 2, US, proxy, "CONNECT", "10.9.9.9"));
    bed_take(bed->engine, bed_conn(2, 2, US, proxy, 3128, "http"));
    struct named_value value = bed_named(bed->engine, US, "evil.example.com:443");
    assert_int_equal(value.sum.n, 1);
    assert_int_equal(value.sum.n_proxied, 1);
    assert_int_equal(value.n_servers, 0);
    assert_int_equal(value.n_proxies, 1);
    assert_int_equal(value.sum.way, HUNT_OUT);
    assert_int_equal(value.sum.ports[0].port, 3128);
    assert_int_equal(bed_named(bed->engine, US, "10.9.9.9").sum.way, 99);
    struct pair_value pair = bed_pair(bed->engine, US, proxy);
    assert_int_equal(pair.sum.n, 2);
    assert_int_equal(pair.sum.way, HUNT_INSIDE);
}

static void test_missing_host(void **state)
{
    struct bed *bed = *state;
    bed_take(bed->engine, bed_http(1, 1, US, WEB, "GET", "a.example.com"));
    bed_take(bed->engine, bed_http(2, 1, US, WEB, "GET", NULL));
    bed_take(bed->engine, bed_conn(1, 1, US, WEB, 80, "http"));
    struct pair_value pair = bed_pair(bed->engine, US, WEB);
    assert_int_equal(pair.sum.n_missing_host, 1);
    assert_int_equal(pair.sum.n, 1);
    /* The newest request is without a name: RITA counts it for no name. */
    assert_int_equal(bed_named(bed->engine, US, "a.example.com").sum.n, 0);
}

/* ---- open connections ---- */

static void check_open(struct hunt_engine *engine, uint64_t n, uint64_t n_open, uint64_t bytes,
                       uint64_t open_seconds)
{
    struct pair_value pair = bed_pair(engine, US, WEB);
    struct named_value named = bed_named(engine, US, "long.example.com");
    const struct pair_sum *sums[2] = {&pair.sum, &named.sum};
    struct same_key key = {.src = bed_host(US), .dst = bed_host(WEB)};
    key.name = bed_name(engine, "long.example.com");
    struct same_value same;
    struct books books = hunt_engine_books(engine);
    assert_true(books_find(&books, &same_table, &key, &same));
    assert_int_equal(same.n, n);
    assert_int_equal(same.n_open, n_open);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sums[i]->n, n);
        assert_int_equal(sums[i]->n_open, n_open);
        assert_int_equal(sums[i]->bytes_up + sums[i]->bytes_down, bytes);
        assert_int_equal(sums[i]->open_duration, open_seconds * 1000000);
        assert_int_equal(sums[i]->open_bytes, open_seconds * 2);
        assert_int_equal(sums[i]->duration, (open_seconds + n) * 1000000);
        assert_int_equal(sums[i]->ports[0].n, n + n_open);
        assert_int_equal(sums[i]->ports[0].duration, (open_seconds + n) * 1000000);
    }
}

static struct hunt_record open_ssl(double s)
{
    struct hunt_record record = bed_ssl(s, 9, US, WEB, "long.example.com");
    record.log = HUNT_OPEN_SSL;
    return record;
}

static void test_open(void **state)
{
    struct bed *bed = *state;
    struct hunt_engine *engine = bed->engine;
    bed_take(engine, open_ssl(1));
    bed_take(engine, bed_open(1, 9, US, WEB, 443, "ssl", 3600));
    check_open(engine, 0, 1, 7200, 3600);
    bed_take(engine, open_ssl(1));
    bed_take(engine, bed_open(1, 9, US, WEB, 443, "ssl", 7200));
    check_open(engine, 0, 1, 14400, 7200);
    bed_take(engine, bed_open(1, 9, US, WEB, 443, "ssl", 3600)); /* an older report */
    check_open(engine, 0, 1, 14400, 7200);
    bed_take(engine, bed_conn(1, 9, US, WEB, 443, "ssl"));
    check_open(engine, 1, 0, 2200, 0);
    bed_take(engine, bed_open(1, 9, US, WEB, 443, "ssl", 9000)); /* of the hour before */
    check_open(engine, 1, 0, 2200, 0);
}

static void test_open_name_later(void **state)
{
    struct bed *bed = *state;
    bed_take(bed->engine, bed_open(1, 9, US, WEB, 443, "ssl", 3600));
    assert_int_equal(bed_pair(bed->engine, US, WEB).sum.n_open, 1);
    bed_take(bed->engine, open_ssl(2));
    check_open(bed->engine, 0, 1, 7200, 3600);
}

static void test_closed_before_open(void **state)
{
    struct bed *bed = *state;
    bed_take(bed->engine, bed_conn(1, 9, US, WEB, 443, "ssl"));
    bed_take(bed->engine, bed_open(1, 9, US, WEB, 443, "ssl", 3600));
    bed_take(bed->engine, open_ssl(1));
    check_open(bed->engine, 1, 0, 2200, 0);
}

/* ---- who is looked at ---- */

static void test_scope(void **state)
{
    struct bed *bed = *state;
    struct hunt_engine_counts counts;
    bed_take(bed->engine, bed_conn(1, 1, WEB, US, 443, "ssl"));
    bed_take(bed->engine, bed_conn(1, 2, WEB, "8.8.8.8", 443, "ssl"));
    bed_take(bed->engine, bed_conn(1, 3, US, "224.0.0.251", 5353, "dns"));
    bed_take(bed->engine, bed_conn(1, 4, US, "10.0.0.9", 445, "smb"));
    bed_take(bed->engine, bed_ssl(1, 5, WEB, US, "in.example.com"));
    assert_int_equal(bed_pair(bed->engine, WEB, US).sum.way, 99);
    assert_int_equal(bed_pair(bed->engine, WEB, "8.8.8.8").sum.way, 99);
    assert_int_equal(bed_pair(bed->engine, US, "224.0.0.251").sum.way, 99);
    assert_int_equal(bed_pair(bed->engine, US, "10.0.0.9").sum.way, HUNT_INSIDE);
    assert_int_equal(bed_named(bed->engine, WEB, "in.example.com").sum.way, 99);
    hunt_engine_count(bed->engine, &counts);
    assert_int_equal(counts.pairs.n_filtered[HUNT_IN], 1);
    assert_int_equal(counts.pairs.n_filtered[HUNT_OUTSIDE], 1);
    assert_int_equal(counts.pairs.n_never, 1);
}

static void test_flood_from_outside(void **state)
{
    struct bed *bed = *state;
    struct hunt_engine_counts before, after;
    hunt_engine_count(bed->engine, &before);
    struct hunt_record scan = bed_conn(1, 0, WEB, US, 22, NULL);
    scan.conn.state = HUNT_S0;
    scan.conn.resp_ip_bytes = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        memcpy(scan.orig.addr.b + 13, &i, 3);
        bed_take(bed->engine, scan);
    }
    hunt_engine_count(bed->engine, &after);
    assert_int_equal(after.n_pairs, 0);
    assert_int_equal(after.pairs.n_filtered[HUNT_IN], 200000);

    bed->settings.scope.include_inbound = true;
    for (uint32_t i = 0; i < 200000; i++) {
        memcpy(scan.orig.addr.b + 13, &i, 3);
        bed_take(bed->engine, scan);
    }
    bed_take(bed->engine, bed_conn(1, 0, WEB, US, 443, "ssl"));
    hunt_engine_count(bed->engine, &after);
    assert_true(after.pairs.n_inbound_refused > 100000);
    assert_true(after.n_pairs + after.pairs.n_inbound_refused == 200001);
    assert_int_equal(bed_pair(bed->engine, WEB, US).sum.n, 1);
}

static void test_ports(void **state)
{
    struct bed *bed = *state;
    for (unsigned i = 0; i < 1000; i++)
        bed_take(bed->engine, bed_conn(i, 0, US, WEB, (uint16_t)(1000 + i), NULL));
    struct pair_value pair = bed_pair(bed->engine, US, WEB);
    assert_int_equal(pair.sum.n, 1000);
    assert_int_equal(pair.sum.n_other_ports, 61);
    struct books books = hunt_engine_books(bed->engine);
    assert_int_equal(book_n(books.at[0], &port_table), 61);
    struct hunt_record ping = bed_conn(1, 0, US, "9.9.9.9", 0, NULL);
    ping.proto = HUNT_ICMP;
    ping.orig_port = 8;
    bed_take(bed->engine, ping);
    assert_int_equal(bed_pair(bed->engine, US, "9.9.9.9").sum.ports[0].port, 8 << 8);
}

/* The memory of uids is bounded: the oldest go, and are counted. */
static void test_unjoined(void **state)
{
    struct bed *bed = *state;
    struct hunt_engine_counts counts;
    for (unsigned i = 1; i <= 1000; i++)
        bed_take(bed->engine, bed_ssl(i, i, US, WEB, "x.example.com"));
    hunt_engine_count(bed->engine, &counts);
    assert_int_equal(counts.pairs.n_unjoined, 1000);
    assert_int_equal(counts.pairs.n_uids_refused, 0);
    for (unsigned i = 1001; i <= 1000000; i++)
        bed_take(bed->engine, bed_ssl(i % 80000, i, US, WEB, "x.example.com"));
    hunt_engine_count(bed->engine, &counts);
    assert_int_equal(counts.pairs.n_unjoined, 1000000);
    assert_true(counts.pairs.n_uids_refused > 500000);
    bed_take(bed->engine, bed_conn(1, 1, US, WEB, 443, "ssl"));
    assert_int_equal(bed_named(bed->engine, US, "x.example.com").sum.way, 99);
    bed_take(bed->engine, bed_conn(1, 1000000, US, WEB, 443, "ssl"));
    assert_int_equal(bed_named(bed->engine, US, "x.example.com").sum.n, 1);
}

/* What waits is kept with the books, and joined in the next run; once. */
static void test_next_run(void **state)
{
    struct bed *bed = *state;
    const struct book_table *const *tables;
    size_t n_tables = hunt_tables(&tables);
    struct err err;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    bed_take(engine, bed_http(1, 5, US, "10.0.0.1", "CONNECT", "late.example.com"));
    bed_take(engine, bed_ssl(2, 6, US, WEB, "soon.example.com"));
    for (int run = 0; run < 3; run++) {
        void *bytes;
        size_t size;
        struct book *book;
        struct books books = hunt_engine_books(engine);
        assert_int_equal(books.n, 1);
        assert_int_equal(book_save(books.at[0], tables, n_tables, &bytes, &size, &err), 0);
        assert_int_equal(book_load(bytes, size, tables, n_tables, 64 << 20, 7, &book, &err), 0);
        free(bytes);
        hunt_engine_free(engine);
        assert_int_equal(hunt_engine_new(&bed->settings, 7, &engine, &err), 0);
        hunt_engine_add_book(engine, book);
        struct hunt_engine_counts counts;
        hunt_engine_count(engine, &counts);
        assert_int_equal(counts.pairs.n_unjoined, 2 - run);
        if (run == 0)
            bed_take(engine, bed_conn(2, 6, US, WEB, 443, "ssl"));
        if (run == 1)
            bed_take(engine, bed_conn(1, 5, US, "10.0.0.1", 3128, "http"));
    }
    assert_int_equal(bed_named(engine, US, "soon.example.com").sum.n, 1);
    struct named_value late = bed_named(engine, US, "late.example.com");
    assert_int_equal(late.sum.n, 1);
    assert_int_equal(late.sum.n_proxied, 1);
    assert_int_equal(late.n_requests, 1);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_by_address),
        TEST(test_orders),
        TEST(test_looked_at_between),
        TEST(test_keep_alive),
        TEST(test_over_midnight),
        TEST(test_proxy),
        TEST(test_missing_host),
        TEST(test_open),
        TEST(test_open_name_later),
        TEST(test_closed_before_open),
        TEST(test_scope),
        TEST(test_flood_from_outside),
        TEST(test_ports),
        TEST(test_unjoined),
        TEST(test_next_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
