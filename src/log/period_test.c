/* Periods and names, in UTC and across the clock changes of Berlin, Lord Howe and Kathmandu. */
#include "log/live_bed.h"
#include "log/period.h"

static void zone(const char *name)
{
    setenv("TZ", name, 1); /* allowed: the zone of this test, which has one thread */
    tzset();
}

static int64_t at(int month, int day, int hour, int minute, int second)
{
    return live_at(2026, month, day, hour, minute, second) / LIVE_SECOND;
}

static void check(int64_t now, int64_t period, bool utc, int64_t begin, int64_t end)
{
    assert_int_equal(log_period_begin(now, period, utc), begin);
    assert_int_equal(log_period_end(now, period, utc), end);
}

static void test_utc(void **state)
{
    (void)state;
    zone("Europe/Berlin");
    check(at(11, 22, 13, 20, 5), 3600, true, at(11, 22, 13, 0, 0), at(11, 22, 14, 0, 0));
    check(at(11, 22, 13, 0, 0), 3600, true, at(11, 22, 13, 0, 0), at(11, 22, 14, 0, 0));
    check(at(11, 22, 13, 59, 59), 300, true, at(11, 22, 13, 55, 0), at(11, 22, 14, 0, 0));
    check(at(11, 22, 13, 0, 0), 86400, true, at(11, 22, 0, 0, 0), at(11, 23, 0, 0, 0));
    check(at(12, 31, 23, 59, 59), 3600, true, at(12, 31, 23, 0, 0), at(12, 31, 24, 0, 0));
}

static void test_zones_off_the_hour(void **state)
{
    (void)state;
    zone("Asia/Kathmandu"); /* 5:45 */
    check(at(11, 22, 13, 20, 0), 3600, false, at(11, 22, 13, 15, 0), at(11, 22, 14, 15, 0));
    check(at(11, 22, 13, 20, 0), 86400, false, at(11, 21, 18, 15, 0), at(11, 22, 18, 15, 0));
}

static void test_end_of_summer_time(void **state)
{
    (void)state;
    zone("Europe/Berlin"); /* on 25 October, 3:00 becomes 2:00 at 1:00 UTC */
    check(at(10, 25, 0, 30, 0), 3600, false, at(10, 25, 0, 0, 0), at(10, 25, 1, 0, 0));
    check(at(10, 25, 1, 30, 0), 3600, false, at(10, 25, 1, 0, 0), at(10, 25, 2, 0, 0));
    check(at(10, 25, 0, 58, 0), 300, false, at(10, 25, 0, 55, 0), at(10, 25, 1, 0, 0));
    check(at(10, 25, 1, 0, 0), 300, false, at(10, 25, 1, 0, 0), at(10, 25, 1, 5, 0));
    /* The day has 25 hours. */
    check(at(10, 25, 12, 0, 0), 86400, false, at(10, 24, 22, 0, 0), at(10, 25, 23, 0, 0));
    check(at(10, 24, 22, 0, 0), 86400, false, at(10, 24, 22, 0, 0), at(10, 25, 23, 0, 0));
    /* Two hours, from 2:00 to 4:00 by the clock, are three. */
    check(at(10, 25, 0, 30, 0), 7200, false, at(10, 25, 0, 0, 0), at(10, 25, 3, 0, 0));
}

static void test_begin_of_summer_time(void **state)
{
    (void)state;
    zone("Europe/Berlin"); /* on 29 March, 2:00 becomes 3:00 at 1:00 UTC */
    check(at(3, 29, 0, 30, 0), 3600, false, at(3, 29, 0, 0, 0), at(3, 29, 1, 0, 0));
    check(at(3, 29, 1, 30, 0), 3600, false, at(3, 29, 1, 0, 0), at(3, 29, 2, 0, 0));
    check(at(3, 29, 12, 0, 0), 86400, false, at(3, 28, 23, 0, 0), at(3, 29, 22, 0, 0));
    zone("Australia/Lord_Howe"); /* half an hour: on 5 April, 2:00 becomes 1:30 at 15:00 UTC */
    int64_t now = at(4, 4, 14, 45, 0); /* 1:45, for the first time */
    int64_t end = log_period_end(now, 3600, false);
    assert_int_equal(log_period_begin(now, 3600, false), at(4, 4, 14, 0, 0));
    assert_int_equal(end, at(4, 4, 15, 30, 0)); /* 2:00, when it comes and stays */
}

/* Periods follow one another without a hole, and end on the clock, over a year of each zone. */
static void test_periods_follow_one_another(void **state)
{
    (void)state;
    static const char *const zones[] = {"UTC",
                                        "Europe/Berlin",
                                        "America/New_York",
                                        "Asia/Kathmandu",
                                        "America/Havana",
                                        "Australia/Lord_Howe",
                                        "America/St_Johns",
                                        "Asia/Beirut"};
    static const int64_t periods[] = {300, 3600, 7200, 86400};
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        zone(zones[z]);
        for (size_t p = 0; p < sizeof periods / sizeof *periods; p++) {
            int64_t now = at(1, 1, 0, 0, 7), until = at(12, 31, 0, 0, 0);
            while (now < until) {
                int64_t end = log_period_end(now, periods[p], false);
                assert_true(end > now && end - now <= periods[p] + 7200);
                assert_true(log_period_begin(end, periods[p], false) == end);
                assert_true(log_period_begin(now, periods[p], false) <= now);
                struct tm tm = log_period_tm(end, false);
                int64_t into = (tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) % periods[p];
                /* But where the clock passes over the moment. */
                assert_true(into == 0 || into == 3600 || into == 1800);
                now = end;
            }
        }
    }
}

static void test_what_fits(void **state)
{
    (void)state;
    assert_true(log_period_fits(60) && log_period_fits(300) && log_period_fits(86400));
    assert_false(log_period_fits(0) || log_period_fits(59) || log_period_fits(-3600));
    assert_false(log_period_fits(7000) || log_period_fits(2 * 86400));
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *day, *file, *suffix;
        bool ok;
        unsigned repeat;
    } cases[] = {
        {"2026-11-22", "conn.14:00:00-15:00:00.log", "", true, 1},
        {"2026-11-22", "conn.14:00:00-15:00:00.log.gz", ".gz", true, 1},
        {"2026-11-22", "open_conn.02:00:00-02:05:00-2.log.gz", ".gz", true, 2},
        {"2026-11-22", "x509.02:00:00-02:05:00-9999.log", "", true, 9999},
        {"2026-11-22", "conn.02:00:00-02:05:00-10000.log", "", false, 0},
        {"2026-11-22", "conn.02:00:00-02:05:00-1.log", "", false, 0},
        {"2026-11-22", "conn.02:00:00-02:05:00-02.log", "", false, 0},
        {"2026-11-22", "conn.02:00:00-02:05:00-.log", "", false, 0},
        {"2026-11-22", "conn.14:00:00-15:00:00.log.gz", "", false, 0},
        {"2026-11-22", "conn.14:00:00-15:00:00.log", ".gz", false, 0},
        {"2026-11-22", "conn.14:00:00-15:00:00.log.gzz", ".gz", false, 0},
        {"2026-11-22", "conn.24:00:00-15:00:00.log", "", false, 0},
        {"2026-11-22", "conn.14:60:00-15:00:00.log", "", false, 0},
        {"2026-11-22", "conn.1:00:00-15:00:00.log", "", false, 0},
        {"2026-11-22", "conn.14:00:00.log", "", false, 0},
        {"2026-11-22", ".14:00:00-15:00:00.log", "", false, 0},
        {"2026-11-22", "conn.log", "", false, 0},
        {"2026-11-22", "co/nn.14:00:00-15:00:00.log", "", false, 0},
        {"2026-11-22", ".conn.14:00:00-15:00:00.log", "", false, 0},
        {"2026-11-22", "", "", false, 0},
        {"2026-02-29", "conn.14:00:00-15:00:00.log", "", false, 0},
        {"2024-02-29", "conn.14:00:00-15:00:00.log", "", true, 1},
        {"2026-13-01", "conn.14:00:00-15:00:00.log", "", false, 0},
        {"2026-00-10", "conn.14:00:00-15:00:00.log", "", false, 0},
        {"2026-11-2", "conn.14:00:00-15:00:00.log", "", false, 0},
        {"2026-11-222", "conn.14:00:00-15:00:00.log", "", false, 0},
        {"current", "conn.14:00:00-15:00:00.log", "", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_archived a = {{0}};
        if (log_archived_parse(cases[i].day, cases[i].file, cases[i].suffix, &a) != cases[i].ok)
            fail_msg("%s/%s", cases[i].day, cases[i].file);
        if (!cases[i].ok)
            continue;
        char again[LOG_ARCHIVED_SIZE];
        log_archived_format(&a, cases[i].suffix, again);
        assert_string_equal(again, cases[i].file);
        assert_string_equal(a.day, cases[i].day);
        assert_int_equal(a.repeat, cases[i].repeat);
    }
    char long_name[100];
    memset(long_name, 'a', sizeof long_name);
    snprintf(long_name + LOG_NAME_MAX, 30, ".14:00:00-15:00:00.log");
    struct log_archived a;
    assert_true(log_archived_parse("2026-11-22", long_name, "", &a));
    memset(long_name, 'a', sizeof long_name);
    snprintf(long_name + LOG_NAME_MAX + 1, 30, ".14:00:00-15:00:00.log");
    assert_false(log_archived_parse("2026-11-22", long_name, "", &a));
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int day, hour, minute;
    } cases[] = {
        {"conn.14:00:00-15:00:00.log", 22, 15, 0}, {"conn.23:00:00-00:00:00.log", 23, 0, 0},
        {"conn.00:00:00-00:00:00.log", 23, 0, 0},  {"conn.14:00:00-14:00:00.log", 22, 14, 0},
        {"conn.22:30:00-03:00:00.log", 23, 3, 0},
    };
    zone("Europe/Berlin");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_archived a;
        assert_true(log_archived_parse("2026-11-22", cases[i].file, "", &a));
        int64_t utc = at(11, cases[i].day, cases[i].hour, cases[i].minute, 0);
        assert_int_equal(log_archived_ended(&a, true), utc);
        assert_int_equal(log_archived_ended(&a, false), utc - 3600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utc),
        cmocka_unit_test(test_zones_off_the_hour),
        cmocka_unit_test(test_end_of_summer_time),
        cmocka_unit_test(test_begin_of_summer_time),
        cmocka_unit_test(test_periods_follow_one_another),
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
