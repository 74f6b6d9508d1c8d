/* Books by day: order, gaps, wrong clocks; rounds; what is counted. */
#include <errno.h>
#include <stdlib.h>

#include "hunt/engine_days.h"
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

static void take_day(struct hunt_engine *engine, int64_t day, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        bed_take(engine, bed_conn((double)(day * DAY_S + i), 0, US, WEB, 443, "ssl"));
}

static void check_days(struct hunt_engine *engine, int64_t first, unsigned n)
{
    struct books books = hunt_engine_books(engine);
    assert_int_equal(books.n, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(book_day(books.at[i]), 19000 + first + i);
}

static void check_strays(struct hunt_engine *engine, uint64_t early, uint64_t late)
{
    struct hunt_engine_counts counts;
    hunt_engine_count(engine, &counts);
    assert_int_equal(counts.n_early, early);
    assert_int_equal(counts.n_late, late);
}

static void test_days_in_order(void **state)
{
    struct bed *bed = *state;
    for (int day = 0; day < 30; day++) {
        take_day(bed->engine, day, 5);
        check_days(bed->engine, day < 8 ? 0 : day - 7, day < 8 ? (unsigned)day + 1 : 8);
    }
    check_strays(bed->engine, 22 * 5, 0);
}

static void test_days_in_no_order(void **state)
{
    static const int days[] = {3, 1, 4, 0, 2, 6, 5, 1, 3};
    struct bed *bed = *state;
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++)
        take_day(bed->engine, days[i], 10);
    check_days(bed->engine, 0, 7);
    check_strays(bed->engine, 0, 0);
    assert_int_equal(bed_pair(bed->engine, US, WEB).sum.n, 90);
    struct pair_key key = {.src = bed_host(US), .dst = bed_host(WEB)};
    assert_int_equal(bed_events(bed->engine, &pair_table, &key, PAIR_CONNS), 90);
}

/* Lines of other centuries before, between and after: nothing of the good days goes, and the
 * window ends where it did. */
static void test_wrong_clocks(void **state)
{
    static const int64_t seconds[] = {-9000000000, -1, 0, 4000000000, 9000000000, 253402300799};
    struct bed *bed = *state;
    struct err err;
    struct findings *findings = findings_new(10);
    uint64_t n = 0;
    for (int day = 0; day < 4; day++) {
        for (int i = 0; i < 20; i++)
            for (size_t k = 0; k < sizeof seconds / sizeof seconds[0]; k++) {
                struct hunt_record record = bed_conn(0, 0, US, "8.8.8.8", 1, NULL);
                record.ts = seconds[k] > 9223372036 ? INT64_MAX - i : seconds[k] * SECOND;
                record.ts += (record.ts < 0 ? 1 : -1) * (int64_t)(n % 300) * 300 * DAY_S * SECOND;
                bed_take(bed->engine, record);
                n++;
            }
        take_day(bed->engine, day, 30000);
    }
    check_days(bed->engine, 0, 4);
    struct hunt_engine_counts counts;
    hunt_engine_count(bed->engine, &counts);
    /* Of the first good day, which comes when the place is full of wrong ones, three are lost. */
    assert_int_equal(counts.n_early + counts.n_late, n + 3);
    assert_true(counts.n_early > 0 && counts.n_late > 0);
    assert_int_equal(hunt_engine_judge(bed->engine, 0, false, 1, findings, &err), 0);
    const struct hunt_judge *view = hunt_engine_view(bed->engine);
    assert_int_equal(view->newest, (BED_T0 + 3 * DAY_S + 29999) * 1000);
    assert_int_equal(view->to - view->from, DAY_S * 1000);
    assert_int_equal(bed_pair(bed->engine, US, WEB).sum.n, 120000 - 3);
    assert_int_equal(bed_pair(bed->engine, US, "8.8.8.8").sum.way, 99);
    findings_free(findings);
}

/* A file full of wrong times, read first: of all days, those next to the good ones as well. */
static void test_wrong_times_near(void **state)
{
    struct bed *bed = *state;
    struct err err;
    struct findings *findings = findings_new(10);
    uint32_t random = 1;
    for (int i = 0; i < 3000; i++) {
        random = random * 1103515245 + 12345;
        double s = (double)(random >> 8) / (1 << 24) * 1000 - 500;
        bed_take(bed->engine, bed_conn(s * DAY_S, 0, US, "8.8.8.8", 1, NULL));
    }
    take_day(bed->engine, 0, 80000);
    take_day(bed->engine, 1, 40000);
    assert_int_equal(hunt_engine_judge(bed->engine, 0, false, 1, findings, &err), 0);
    int64_t newest = hunt_engine_view(bed->engine)->newest;
    /* A wrong time within the good days is as good as theirs. */
    assert_true(newest >= (BED_T0 + DAY_S + 39999) * 1000 && newest < (BED_T0 + 2 * DAY_S) * 1000);
    findings_free(findings);
}

static void test_midnight(void **state)
{
    struct bed *bed = *state;
    for (int i = 0; i < 20000; i++)
        bed_take(bed->engine, bed_conn(i * 4.3, 0, US, WEB, 443, "ssl"));
    check_days(bed->engine, 0, 1);
    bed_take(bed->engine, bed_conn(DAY_S + 0.5, 0, US, WEB, 443, "ssl"));
    check_days(bed->engine, 0, 2);
    check_strays(bed->engine, 0, 0);
}

/* Four days of few records, a weekend between them: that is no wrong clock. */
static void test_gaps(void **state)
{
    struct bed *bed = *state;
    take_day(bed->engine, 0, 50);
    take_day(bed->engine, 3, 10);
    take_day(bed->engine, 700, 20);
    struct books books = hunt_engine_books(bed->engine);
    assert_int_equal(books.n, 3);
    take_day(bed->engine, 900, 1); /* alone it is one */
    books = hunt_engine_books(bed->engine);
    assert_int_equal(books.n, 3);
    check_strays(bed->engine, 0, 1);
}

static void test_rounds(void **state)
{
    struct bed *bed = *state;
    struct err err;
    struct findings *findings = findings_new(10);
    take_day(bed->engine, 0, 1);
    assert_int_equal(hunt_engine_judge(bed->engine, 0, true, 1, findings, &err), 0);
    assert_true(bed_pair(bed->engine, US, WEB).sum.touched >=
                hunt_engine_view(bed->engine)->since_round);
    bed_take(bed->engine, bed_conn(5, 0, US, "8.8.8.8", 443, NULL));
    assert_int_equal(hunt_engine_judge(bed->engine, 0, true, 1, findings, &err), 0);
    uint32_t since = hunt_engine_view(bed->engine)->since_round;
    assert_true(bed_pair(bed->engine, US, WEB).sum.touched < since);
    assert_true(bed_pair(bed->engine, US, "8.8.8.8").sum.touched >= since);
    assert_int_equal(hunt_engine_judge(bed->engine, 0, false, 1, findings, &err), 0);
    assert_int_equal(hunt_engine_view(bed->engine)->since_round, 0);
    /* A later end of the window. */
    assert_int_equal(hunt_engine_judge(bed->engine, (BED_T0 + 99) * 1000, false, 1, findings, &err),
                     0);
    assert_int_equal(hunt_engine_view(bed->engine)->to, (BED_T0 + 99) * 1000);
    findings_free(findings);
}

static void test_memory(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct hunt_engine_counts counts;
    struct err err;
    hunt_settings_init(&settings);
    settings.memory = 16 << 20;
    assert_int_equal(hunt_engine_new(&settings, 7, &engine, &err), 0);
    for (int day = 0; day < 4; day++)
        for (uint32_t i = 0; i < 30000; i++) {
            struct hunt_record record = bed_conn(day * DAY_S + 1, 0, US, WEB, 443, NULL);
            uint32_t to = __builtin_bswap32(0x2d000000u + i * 7);
            memcpy(record.resp.addr.b + 12, &to, 4);
            bed_take(engine, record);
            if (i % 1000 == 0) {
                hunt_engine_count(engine, &counts);
                assert_true(counts.memory_used <= 16 << 20);
            }
        }
    hunt_engine_count(engine, &counts);
    assert_true(counts.n_days_dropped >= 2);
    /* The newest is whole. */
    struct books books = hunt_engine_books(engine);
    assert_int_equal(book_n(books.at[books.n - 1], &pair_table), 30000);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

/* Two days that grow by turns, in large batches: together they stay within the memory. */
static void test_memory_of_two_days(void **state)
{
    (void)state;
    static struct hunt_record records[4096];
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct hunt_engine_counts counts;
    struct err err;
    hunt_settings_init(&settings);
    settings.memory = 16 << 20;
    assert_int_equal(hunt_engine_new(&settings, 7, &engine, &err), 0);
    for (uint32_t i = 0; i < 50 * 4096; i++) {
        struct hunt_record *record = &records[i % 4096];
        *record = bed_conn(i / 64 % 2 * DAY_S + 1, 0, US, WEB, 443, NULL);
        uint32_t to = __builtin_bswap32(0x2d000000u + i * 7);
        memcpy(record->resp.addr.b + 12, &to, 4);
        if (i % 4096 != 4095)
            continue;
        hunt_engine_take(engine, records, 4096);
        hunt_engine_count(engine, &counts);
        assert_true(counts.memory_used <= 16 << 20);
    }
    assert_true(counts.refused.n_keys > 0);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

static void test_unknown_hunt(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct err err;
    hunt_settings_init(&settings);
    settings.off = calloc(1, sizeof *settings.off);
    settings.off[0] = strdup("no-such-hunt");
    settings.n_off = 1;
    assert_int_equal(hunt_engine_new(&settings, 7, &engine, &err), -EINVAL);
    assert_non_null(strstr(err.text, "no-such-hunt"));
    hunt_settings_done(&settings);
}

static void test_tables(void **state)
{
    const struct book_table *const *tables;
    (void)state;
    size_t n = hunt_tables(&tables);
    assert_null(tables[n]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tables[i]->name, tables[k]->name);
    for (size_t i = 0; hunts[i]; i++) {
        assert_true(hunts[i]->settings_size <= HUNT_SETTINGS_MAX);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(hunts[i]->name, hunts[k]->name);
    }
}

/* Of too many the worst are kept, and they come in order. */
static void test_findings(void **state)
{
    (void)state;
    struct findings *findings = findings_new(100);
    uint32_t random = 1;
    for (int i = 0; i < 1000; i++) {
        struct finding finding;
        random = random * 1103515245 + 12345;
        finding_init(&finding, hunts[0]);
        finding.score = (random >> 8) % 1000 / 1000.0;
        finding.n = (uint64_t)i;
        (void)findings_add(findings, &finding);
        size_t n;
        if (i % 301 == 0) /* looked at between */
            (void)findings_sorted(findings, &n);
    }
    size_t n;
    const struct finding *sorted = findings_sorted(findings, &n);
    assert_int_equal(n, 100);
    assert_int_equal(findings_n_left_out(findings), 900);
    for (size_t i = 1; i < n; i++)
        assert_true(sorted[i].score <= sorted[i - 1].score);
    random = 1;
    unsigned n_better = 0;
    for (int i = 0; i < 1000; i++) {
        random = random * 1103515245 + 12345;
        n_better += (random >> 8) % 1000 / 1000.0 > sorted[n - 1].score;
    }
    assert_true(n_better < 100);
    assert_int_equal(hunt_severity_of(0.8), HUNT_HIGH);
    assert_int_equal(hunt_severity_of(0.8001), HUNT_CRITICAL);
    assert_int_equal(hunt_severity_of(0.1999), HUNT_NONE);
    findings_free(findings);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_days_in_order),
        TEST(test_days_in_no_order),
        TEST(test_wrong_clocks),
        TEST(test_wrong_times_near),
        TEST(test_midnight),
        TEST(test_gaps),
        TEST(test_rounds),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_two_days),
        cmocka_unit_test(test_unknown_hunt),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_findings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
