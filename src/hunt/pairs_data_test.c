/* Sums of pairs on data sets whose results are known. The environment variable
 * CLOUDSPAN_CONFORMANCE names a folder beside which data/rita lies; without it nothing is asked. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "hunt/hunt.h"
#include "hunt/pairs_bed.h"
#include "hunt/read.h"

struct bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct findings *findings;
};

static void take(void *with, const struct hunt_record *records, size_t n)
{
    hunt_engine_take(((struct bed *)with)->engine, records, n);
}

/* False: the data are not here. */
static bool begin(struct bed *bed, const char *const *sets, size_t n_sets)
{
    const char *folder = getenv("CLOUDSPAN_CONFORMANCE");
    struct stat stat_of;
    char paths[4][512];
    const char *path[4];
    struct hunt_read_counts counts;
    struct hunt_mark *marks = NULL;
    size_t n_marks = 0;
    struct err err;
    for (size_t i = 0; i < n_sets; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/../data/rita/%s", folder ? folder : "",
                       sets[i]);
        path[i] = paths[i];
        if (!folder || stat(path[i], &stat_of) < 0) {
            print_message("skipped: CLOUDSPAN_CONFORMANCE has no ../data/rita/%s\n", sets[i]);
            return false;
        }
    }
    bed->engine = bed_engine(&bed->settings);
    bed->findings = findings_new(100000);
    struct hunt_reading reading = {
        .paths = path, .n_paths = n_sets, .n_threads = 2, .with = bed, .records = take};
    assert_int_equal(hunt_read(&reading, &counts, &marks, &n_marks, &err), 0);
    hunt_marks_free(marks, n_marks);
    assert_int_equal(hunt_engine_judge(bed->engine, 0, false, 2, bed->findings, &err), 0);
    return true;
}

static void end(struct bed *bed)
{
    findings_free(bed->findings);
    hunt_engine_free(bed->engine);
    hunt_settings_done(&bed->settings);
}

static void check_sum(const struct pair_sum *sum, uint64_t n, uint64_t n_open, uint64_t bytes,
                      double duration)
{
    assert_int_equal(sum->n, n);
    assert_int_equal(sum->n_open, n_open);
    assert_int_equal(sum->bytes_up + sum->bytes_down, bytes);
    /* Each connection's part of a microsecond is cut off. */
    assert_true(fabs((double)sum->duration / 1e6 - duration) < 1e-6 * (double)(n + n_open + 1));
}

/* Of the last 24 hours and the rest of the hour before, as RITA has it. */
static void check_window(struct bed *bed, const struct named_key *key, size_t n, uint64_t bytes,
                         double duration)
{
    const struct hunt_judge *judge = hunt_engine_view(bed->engine);
    struct book_event *events;
    size_t n_events;
    uint64_t sum = 0, us = 0;
    int64_t to = (int64_t)1672944522 * 1000, from = to - 86400000;
    from -= from % 3600000;
    assert_true(books_events(&judge->books, &named_table, key, NAMED_CONNS, from, to + 1000,
                             &events, &n_events));
    for (size_t i = 0; i < n_events; i++) {
        sum += events[i].up + events[i].down;
        us += events[i].duration;
    }
    free(events);
    assert_int_equal(n_events, n);
    assert_int_equal(sum, bytes);
    assert_true(fabs((double)us / 1e6 - duration) < 1e-6 * (double)(n + 1));
}

static void check_ports(struct bed *bed, const struct named_key *key,
                        const struct named_value *value, const char *ports)
{
    struct finding finding;
    finding_init(&finding, NULL);
    finding_of_named(hunt_engine_view(bed->engine), &finding, key, value);
    assert_string_equal(finding.ports, ports);
}

static void test_proxy(void **state)
{
    static const char *const set[] = {"proxy"};
    struct bed bed;
    (void)state;
    if (!begin(&bed, set, 1))
        skip();
    const char *src = "10.136.0.18";
    struct named_value evil = bed_named(bed.engine, src, "www.honestimnotevil.com");
    struct named_value google = bed_named(bed.engine, src, "www.google.com");
    assert_int_equal(evil.sum.n_proxied, evil.sum.n);
    assert_int_equal(evil.n_proxies, 1);
    assert_int_equal(google.sum.n_proxied, google.sum.n);
    struct named_key key = {.name = bed_name(bed.engine, "www.honestimnotevil.com"),
                            .src = bed_host(src)};
    check_ports(&bed, &key, &evil, "3128:tcp:http,ssl");
    check_window(&bed, &key, 357, 963595, 12.454628);
    struct hunt_prevalence prevalence =
        hunt_prevalence_of_name(hunt_engine_view(bed.engine), key.name);
    /* Only one host has anything in the window: its DNS is two years older, a day that is kept. */
    assert_int_equal(prevalence.n, 1);
    assert_int_equal(prevalence.of, 1);
    assert_int_equal(bed_n_days(hunt_engine_view(bed.engine)->books), 3);
    key.name = bed_name(bed.engine, "www.google.com");
    check_window(&bed, &key, 6, 139385, .725752);
    end(&bed);
}

static void test_open_sni(void **state)
{
    static const char *const set[] = {"open_sni"};
    struct bed bed;
    (void)state;
    if (!begin(&bed, set, 1))
        skip();
    const char *src = "10.0.0.238";
    struct named_value one = bed_named(bed.engine, src, "ce7.stearns.org");
    struct named_value two = bed_named(bed.engine, src, "ce7.stearns.org:8000");
    check_sum(&one.sum, 0, 2, 24106, 14737.06115);
    check_sum(&two.sum, 0, 1, 8144, 7376.718848);
    assert_int_equal(one.n_servers, 1);
    struct hunt_host server = bed_host("104.131.28.214");
    assert_memory_equal(&one.servers[0], &server, sizeof server);
    struct named_key key = {.name = bed_name(bed.engine, "ce7.stearns.org"), .src = bed_host(src)};
    check_ports(&bed, &key, &one, "8443:tcp:ssl");
    struct pair_value three = bed_pair(bed.engine, src, "34.222.122.143");
    struct pair_value four = bed_pair(bed.engine, src, "52.33.59.39");
    check_sum(&three.sum, 0, 1, 2715618, 7200.403186);
    check_sum(&four.sum, 0, 1, 4593763, 7200.169165);
    struct hunt_prevalence prevalence = hunt_prevalence_of(hunt_engine_view(bed.engine), &server);
    assert_int_equal(prevalence.n, 1);
    assert_int_equal(prevalence.of, 1);
    end(&bed);
}

struct total {
    uint64_t n, n_open, bytes, duration;
};

static void add(void *with, const void *key, const void *value)
{
    const struct pair_sum *sum = &((const struct pair_value *)value)->sum;
    struct total *total = with;
    (void)key;
    total->n += sum->n;
    total->n_open += sum->n_open;
    total->bytes += sum->bytes_up + sum->bytes_down;
    total->duration += sum->duration;
}

static struct total total_of(struct bed *bed)
{
    struct total total = {0};
    struct books books = hunt_engine_books(bed->engine);
    books_each(&books, &pair_table, 1, add, &total);
    return total;
}

/* What was open and is closed now: as if it never had been open. */
static void test_open_then_closed(void **state)
{
    static const char *const both[] = {"open_conns/open", "open_conns/closed"};
    static const char *const json[] = {"json_with_all_fields"};
    struct bed bed;
    (void)state;
    if (!begin(&bed, both, 1))
        skip();
    struct total open = total_of(&bed);
    assert_true(open.n_open > 0);
    end(&bed);
    assert_true(begin(&bed, json, 1));
    struct total same = total_of(&bed);
    assert_memory_equal(&open, &same, sizeof open);
    end(&bed);
    assert_true(begin(&bed, both + 1, 1));
    struct total closed = total_of(&bed);
    end(&bed);
    assert_int_equal(closed.n_open, 0);
    print_message("open: %lu and %lu open; closed: %lu\n", (unsigned long)open.n,
                  (unsigned long)open.n_open, (unsigned long)closed.n);
    assert_true(begin(&bed, both, 2));
    struct total all = total_of(&bed);
    assert_int_equal(all.n_open, 0);
    assert_int_equal(all.n, open.n + closed.n);
    end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_open_sni),
        cmocka_unit_test(test_open_then_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
