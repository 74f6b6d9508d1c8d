/* Pictures: what is counted where; times and sizes that logs may have and clocks do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/hunt_picture.h"

#define DAY  INT64_C(86400000)
#define FROM INT64_C(1763510400000) /* a full hour */

static struct picture picture;

static uint64_t sum(const struct picture_bars *bars)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < bars->n; i++)
        total += bars->at[i].n;
    return total;
}

static void test_timer(void **state)
{
    (void)state;
    enum { N = 24 * 60 };
    struct book_event *events = calloc(N, sizeof *events);
    assert_non_null(events);
    for (int i = 0; i < N; i++)
        events[i] = (struct book_event){.ts = FROM + 60000 * (int64_t)i, .up = 100};
    assert_true(picture_of_events(events, N, FROM, FROM + DAY, &picture));
    assert_int_equal(picture.n_events, N);
    for (int i = 0; i < PICTURE_BINS; i++)
        assert_int_equal(picture.bins[i], 15);
    for (int hour = 0; hour < 24; hour++)
        for (int minute = 0; minute < 60; minute++)
            assert_int_equal(picture.raster[hour][minute], 1);
    assert_int_equal(picture.raster_from, FROM);
    /* One value, one bar. */
    assert_int_equal(picture.intervals.n, 1);
    assert_true(picture.intervals.at[0].from == 60);
    assert_int_equal(picture.intervals.at[0].n, N - 1);
    assert_int_equal(picture.sizes.at[0].n, N);
    picture_done(&picture);
    free(events);
}

static void test_bars(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct book_event *events = calloc(N, sizeof *events);
    int64_t ts = FROM;
    assert_non_null(events);
    for (int i = 0; i < N; i++) {
        events[i] = (struct book_event){.ts = ts, .up = (uint32_t)(i * i), .failed = i % 4 == 0};
        ts += 48000 + i * 24;
    }
    assert_true(picture_of_events(events, N, FROM, FROM + DAY, &picture));
    /* Nobody is lost, and bars do not overlap. */
    assert_int_equal(sum(&picture.intervals), N - 1);
    assert_int_equal(sum(&picture.sizes), N);
    assert_in_range(picture.intervals.n, 10, PICTURE_BARS);
    for (unsigned i = 1; i < picture.intervals.n; i++)
        assert_true(picture.intervals.at[i].from >= picture.intervals.at[i - 1].from);
    assert_true(picture.intervals.at[0].from <= 48);
    assert_true(picture.intervals.at[picture.intervals.n - 1].to >= 71.9);
    assert_int_equal(picture.n_failed, N / 4);
    picture_done(&picture);
    free(events);
}

static void test_long(void **state)
{
    (void)state;
    /* Six hours from the beginning on. */
    struct book_event event = {.ts = FROM, .duration = UINT64_C(21600) * 1000000};
    assert_true(picture_of_events(&event, 1, FROM, FROM + DAY, &picture));
    for (int i = 0; i < PICTURE_BINS; i++)
        assert_int_equal(picture.bins[i], i <= 24);
    assert_int_equal(picture.raster[5][59], 1);
    assert_int_equal(picture.raster[6][1], 0);
    assert_int_equal(picture.intervals.n, 0);
    picture_done(&picture);
}

static void test_hostile(void **state)
{
    (void)state;
    struct book_event events[] = {
        {.ts = INT64_MIN / 2},
        {.ts = 0, .duration = UINT64_MAX},
        {.ts = FROM - 1, .up = UINT32_MAX},
        {.ts = FROM + DAY, .duration = UINT64_MAX, .up = 1},
        {.ts = FROM + DAY + 1},
        {.ts = INT64_MAX / 2},
    };
    assert_true(picture_of_events(events, 6, FROM, FROM + DAY, &picture));
    assert_int_equal(picture.n_events, 6);
    picture_done(&picture);
    assert_true(picture_of_events(events, 6, FROM, FROM, &picture));
    picture_done(&picture);
    assert_false(picture_of_events(events, 0, FROM, FROM + DAY, &picture));
    picture_done(&picture);
}

static void test_spark(void **state)
{
    (void)state;
    struct text out;
    picture = (struct picture){.n_events = 1};
    picture.bins[0] = 8;
    picture.bins[PICTURE_BINS - 1] = 1;
    text_init(&out, 1000);
    picture_spark(&picture, 12, false, &out);
    assert_string_equal(out.at, "#          .");
    text_done(&out);
    text_init(&out, 1000);
    picture_spark(&picture, 4, true, &out);
    assert_string_equal(out.at, "\xe2\x96\x88  \xe2\x96\x81");
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer),   cmocka_unit_test(test_bars),  cmocka_unit_test(test_long),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_spark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
