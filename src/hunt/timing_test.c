/* What the judgement finds in made-up check-ins, what it does not, and what it says of them. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "hunt/timing_bed.h"

#define EVENTS_MAX 100000
#define FOUND      0.8

static struct timing_event events[EVENTS_MAX];

static struct timing judge(const struct bed_kind *kind, uint64_t seed, size_t n_checkins)
{
    int64_t from;
    int64_t to;
    size_t n = bed_make(kind, seed, n_checkins, events, EVENTS_MAX, &from, &to);
    struct timing timing;
    timing_judge(events, n, from, to, &timing);
    return timing;
}

static struct timing judge_named(const char *name, uint64_t seed, size_t n_checkins)
{
    const struct bed_kind *kind = bed_kind_of(name);
    assert_non_null(kind);
    return judge(kind, seed, n_checkins);
}

/* How many of a hundred runs may be missed, where it is not one. */
static const struct {
    const char *name;
    unsigned missed;
} harder[] = {
    /* 24 check-ins of this cannot be told from chance better: see doc/beacons.md. */
    {"sleep, jitter 90 %", 31},
    {"10 to 30 % missed, jitter 50 %", 25}, /* a quarter less of half as much to see */
    {"3 hours of 60 s, browsed all day", 6},
    {"two timers, 60 and 300 s, 20 %", 37}, /* 14 check-ins of both */
    {0},
};

static void test_timers_are_found(void **state)
{
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        if (!kind->is_timer)
            continue;
        unsigned n_missed = 0;
        unsigned allowed = 1;
        unsigned runs = kind->whole ? 40 : 200;
        for (int i = 0; harder[i].name; i++)
            if (kind == bed_kind_of(harder[i].name))
                allowed = harder[i].missed;
        for (unsigned seed = 1; seed <= runs; seed++)
            n_missed += judge(kind, seed, 24).score < FOUND;
        if (n_missed * 100 > allowed * runs)
            fail_msg("%s: %u of %u were missed", kind->name, n_missed, runs);
    }
}

static void test_high_jitter_is_found_with_more(void **state)
{
    unsigned n_missed = 0;
    for (unsigned seed = 1; seed <= 300; seed++)
        n_missed += judge_named("sleep, jitter 90 %", seed, 40).score < FOUND;
    assert_in_range(n_missed, 0, 3);
}

/* What a law says roughly is seen where there are many: none of these is lost by having more. */
static void test_more_is_not_less(void **state)
{
    static const char *const names[] = {"normal, sigma 15 %", "10 to 30 % missed, jitter 50 %",
                                        "sleep, jitter 80 %", "asleep now and then, jitter 50 %"};
    static const size_t sizes[] = {150, 400, 1000};
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
        for (size_t i = 0; i < 3; i++) {
            unsigned n_found = 0;
            for (unsigned seed = 1; seed <= 60; seed++)
                n_found += judge_named(names[k], seed, sizes[i]).score >= FOUND;
            if (n_found < 55)
                fail_msg("%s: of %zu check-ins %u of 60 are found", names[k], sizes[i], n_found);
        }
}

static void test_more_of_others_is_nothing(void **state)
{
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        unsigned n_found = 0;
        if (kind->is_timer || kind->borderline)
            continue;
        for (unsigned seed = 1; seed <= 60; seed++)
            n_found += judge(kind, seed, 200 + 10 * seed).score >= FOUND;
        if (n_found > 0)
            fail_msg("%s: of many events %u of 60 are found", kind->name, n_found);
    }
}

static void test_few_checkins_suffice_where_they_are_regular(void **state)
{
    unsigned n_found = 0;
    for (unsigned seed = 1; seed <= 100; seed++)
        n_found += judge_named("sleep, jitter 25 %", seed, 9).score >= FOUND;
    assert_in_range(n_found, 99, 100);
}

static void test_others_are_not_found(void **state)
{
    unsigned n_all = 0;
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        if (kind->is_timer || kind->borderline)
            continue;
        static const size_t sizes[] = {8, 12, 24, 60};
        unsigned n_found = 0;
        for (unsigned seed = 1; seed <= 1200; seed++)
            n_found += judge(kind, seed, sizes[seed % 4]).score >= FOUND;
        n_all += n_found;
        if (n_found > 2)
            fail_msg("%s: %u of 1200 were found", kind->name, n_found);
    }
    assert_in_range(n_all, 0, 5); /* of 14400 */
}

static void test_whole_days(void **state)
{
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        if (kind->borderline)
            continue;
        for (unsigned seed = 1; seed <= 8; seed++) {
            struct timing timing = judge(kind, seed, 0);
            if ((timing.score >= FOUND) != kind->is_timer)
                fail_msg("%s: seed %u has %g", kind->name, seed, timing.score);
        }
    }
}

static void test_says_what_it_saw(void **state)
{
    struct timing timing = judge_named("plus or minus 20 %", 5, 200);
    int64_t from;
    int64_t to;
    size_t n = bed_make(bed_kind_of("plus or minus 20 %"), 5, 200, events, EVENTS_MAX, &from, &to);
    double mean = (double)(events[n - 1].ts - events[0].ts) / 199000;
    assert_true(fabs(timing.period / mean - 1) < 0.05);
    assert_true(fabs(timing.jitter - 0.2) < 0.03);
    assert_int_equal(timing.kind, TIMING_TIMER);
    assert_int_equal(timing.n_events, 200);
    assert_int_equal(timing.n_checkins, 200);
    assert_int_equal(timing.first, events[0].ts);
    assert_int_equal(timing.last, events[n - 1].ts);
    assert_int_equal(timing.n_pauses, 0);
    assert_true(timing.active_share > 0.999);
    assert_true(timing.size_share > 0.999);
    assert_true(timing.false_rate < 1e-3);
    assert_true(fabs(timing.of_intervals + timing.of_sizes + timing.of_coverage + timing.of_price -
                     timing.evidence) < 1e-6);

    timing = judge_named("three connections each, jitter 25 %", 7, 50);
    assert_int_equal(timing.n_checkins, 50);
    assert_int_equal(timing.n_events, 150);
    assert_true(fabs(timing.n_per_checkin - 3) < 1e-9);
    assert_true(fabs(timing.period - 262.5) < 8);

    timing = judge_named("asleep now and then, jitter 25 %", 3, 0);
    assert_in_range(timing.n_pauses, 1, 2);
    assert_true(fabs(timing.active_share - 0.55) < 0.15);

    timing = judge_named("10 to 30 % missed, no jitter", 3, 100);
    assert_in_range(timing.n_missed, 5, 50);
    assert_true(timing.jitter < 0.02);

    timing = judge_named("two timers, 60 and 300 s, 20 %", 3, 0);
    assert_int_equal(timing.kind, TIMING_TWO_TIMERS);
    assert_true(fabs(timing.period - 54) < 2);
    assert_true(fabs(timing.second_period - 270) < 15);

    timing = judge_named("clock, a third of its turns", 3, 0);
    assert_int_equal(timing.kind, TIMING_CLOCK);

    timing = judge_named("every 0.5 s, jitter 10 %", 3, 0);
    assert_int_equal(timing.kind, TIMING_FAST);
    assert_int_equal(timing.window, 3600000);

    timing = judge_named("waits that grow by 0.1 s", 3, 0);
    assert_int_equal(timing.kind, TIMING_RAMP);
    assert_true(fabs(timing.period - 0.1) < 0.01);

    timing = judge_named("4 h sleep, 7 days, jitter 20 %", 3, 0);
    assert_int_equal(timing.window, 7 * INT64_C(86400000));
}

/* Three hours of it, and only these, though the pair is used all day. */
static void test_finds_the_part(void **state)
{
    struct timing timing = judge_named("3 hours of 60 s, browsed all day", 11, 0);
    assert_true(timing.score > 0.99);
    assert_true(fabs(timing.period - 52.5) < 4);
}

static void test_equal_sizes_are_not_a_timer(void **state)
{
    double most = 0;
    for (unsigned seed = 1; seed <= 200; seed++)
        most = fmax(most, judge_named("random, constant sizes", seed, 100).score);
    assert_true(most < 0.5);
}

static void test_sizes_add_a_little(void **state)
{
    struct timing same = judge_named("sleep, jitter 70 %", 4, 24);
    struct timing other = {0};
    int64_t from;
    int64_t to;
    size_t n = bed_make(bed_kind_of("sleep, jitter 70 %"), 4, 24, events, EVENTS_MAX, &from, &to);
    for (size_t i = 0; i < n; i++)
        events[i].up = (uint32_t)(100 + i * i * 50);
    timing_judge(events, n, from, to, &other);
    assert_true(same.evidence > other.evidence + 0.2);
    assert_true(same.evidence < other.evidence + 2.1);
}

static void test_order_does_not_matter(void **state)
{
    int64_t from;
    int64_t to;
    size_t n = bed_make(bed_kind_of("sleep, jitter 50 %"), 9, 40, events, EVENTS_MAX, &from, &to);
    struct timing forward;
    struct timing backward;
    timing_judge(events, n, from, to, &forward);
    for (size_t i = 0; i < n / 2; i++) {
        struct timing_event other = events[i];
        events[i] = events[n - 1 - i];
        events[n - 1 - i] = other;
    }
    timing_judge(events, n, from, to, &backward);
    assert_true(fabs(forward.evidence - backward.evidence) < 1e-9);
}

static void test_too_few(void **state)
{
    struct timing timing;
    for (size_t n = 0; n < TIMING_MIN_CHECKINS; n++) {
        for (size_t i = 0; i < n; i++)
            events[i] = (struct timing_event){.ts = (int64_t)i * 60000};
        timing_judge(events, n, 0, 86400000, &timing);
        assert_true(timing.score == 0);
        assert_int_equal(timing.n_events, n);
    }
    /* Ten connections that are two check-ins. */
    for (size_t i = 0; i < 10; i++)
        events[i] = (struct timing_event){.ts = (int64_t)i / 5 * 60000};
    timing_judge(events, 10, 0, 86400000, &timing);
    assert_true(timing.score < 0.1);
}

/* Times that nobody meant: the same, far apart, at the ends of what there is. */
static void test_odd_times(void **state)
{
    struct timing timing;
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < 500; i++) {
            int64_t ts = kind == 0   ? 5
                         : kind == 1 ? (i < 250 ? INT64_MIN : INT64_MAX)
                         : kind == 2 ? (int64_t)i * (INT64_MAX / 500)
                                     : (i == 499 ? INT64_MAX / 2 : (int64_t)i);
            events[i] = (struct timing_event){.ts = ts, .up = UINT32_MAX, .down = UINT32_MAX};
        }
        timing_judge(events, 500, INT64_MIN, INT64_MAX, &timing);
        assert_true(timing.score >= 0 && timing.score <= 1);
        assert_false(isnan(timing.period) || isnan(timing.jitter) || isnan(timing.evidence));
        if (kind != 2)
            continue;
        assert_true(timing.score > 0.9); /* a very slow timer */
    }
}

/* More than a strobe has in a day, and its cost stays in bounds: this takes a moment at most. */
static void test_many(void **state)
{
    struct timing timing;
    for (size_t i = 0; i < EVENTS_MAX; i++)
        events[i] = (struct timing_event){.ts = (int64_t)i * 864 + (int64_t)(i * 7919 % 200)};
    timing_judge(events, EVENTS_MAX, 0, 86400000, &timing);
    assert_true(timing.score > 0.99);
    assert_int_equal(timing.kind, TIMING_FAST);
    assert_true(fabs(timing.period - 0.864) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_are_found),
        cmocka_unit_test(test_high_jitter_is_found_with_more),
        cmocka_unit_test(test_few_checkins_suffice_where_they_are_regular),
        cmocka_unit_test(test_more_is_not_less),
        cmocka_unit_test(test_more_of_others_is_nothing),
        cmocka_unit_test(test_others_are_not_found),
        cmocka_unit_test(test_whole_days),
        cmocka_unit_test(test_says_what_it_saw),
        cmocka_unit_test(test_finds_the_part),
        cmocka_unit_test(test_equal_sizes_are_not_a_timer),
        cmocka_unit_test(test_sizes_add_a_little),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_odd_times),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
