/* RITA's scores against the values of its own unit tests. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hunt/rita_score.h"

#define N(list) (sizeof(list) / sizeof(list)[0])
#define DAY     86400

static void near(double value, double expected, const char *what, size_t row)
{
    if (!(fabs(value - expected) < 0.001))
        fail_msg("%s, row %zu: %f instead of %f", what, row, value, expected);
}

static void test_weighted(void **state)
{
    (void)state;
    static const struct {
        double scores[4], weights[4], expected; /* below 0: an error */
    } rows[] = {
        {{.8, .7, .6, .5}, {.2, .2, .3, .3}, .630},
        {{1, 1, 1, 1}, {.25, .25, .25, .25}, 1},
        {{.1, .2, .3, .4}, {.25, .25, .25, .25}, .250},
        {{.1, .2, .3, .4}, {.1, .2, .3, .4}, .300},
        {{.111, .222, .333, .444}, {.173, .325, .299, .203}, .281},
        {{.1001, .1002, .1003, .1004}, {.249, .251, .25, .25}, .100},
        {{.25, 1, 1, 1}, {1, 0, 0, 0}, .250},
        {{-.1, 1, 1, 1}, {.25, .25, .25, .25}, -1},
        {{1, 1.1, 1, 1}, {.25, .25, .25, .25}, -1},
        {{1, 1, 1, 1}, {-.25, .75, .25, .25}, -1},
        {{1, 1, 1, 1}, {1.1, 0, 0, -.1}, -1},
        {{1, 1, 1, 1}, {.25, .25, .25, .24}, -1},
        {{1, 1, 1, 1}, {.5, .25, .25, .25}, -1},
        {{NAN, 1, 1, 1}, {.25, .25, .25, .25}, -1},
    };
    for (size_t i = 0; i < N(rows); i++) {
        double out = 7;
        struct err err;
        int rc = rita_weighted(rows[i].scores, rows[i].weights, &out, &err);
        if (rows[i].expected < 0) {
            assert_int_equal(rc, -ERANGE);
            near(out, 7, "left alone", i);
        } else {
            assert_int_equal(rc, 0);
            assert_true(out == rows[i].expected); /* rounded: the same number */
        }
    }
}

static void test_ts(void **state)
{
    (void)state;
    static const struct {
        int64_t intervals[10];
        size_t n;
        double skew, mad, score;
        int64_t mode;
        size_t n_mode;
    } rows[] = {
        {{1, 1, 1, 1, 1, 1, 1, 1, 1}, 9, 0, 0, 1, 1, 9},
        {{60, 60, 60, 60, 60, 60, 60, 60, 60}, 9, 0, 0, 1, 60, 9},
        {{98, 99, 99, 100, 100, 100, 101, 101, 102}, 9, 0, 1, .995, 100, 3},
        {{98, 300, 98, 300, 98, 300, 98, 300, 98, 300}, 10, 0, 101, .746, 98, 5},
        {{1, 299, 25, 4975, 90, 2, 42, 500, 1500}, 9, .845, 89, .083, 1, 1},
    };
    for (size_t i = 0; i < N(rows); i++) {
        /* Every second is there twice: intervals of zero say nothing. */
        int64_t ts[22] = {1517336042, 1517336042};
        for (size_t k = 0; k < rows[i].n; k++)
            ts[2 * k + 2] = ts[2 * k + 3] = ts[2 * k] + rows[i].intervals[k];
        double score, skew, mad;
        struct err err;
        assert_int_equal(rita_ts_score(ts, 2 * rows[i].n + 2, &score, &skew, &mad, &err), 0);
        near(score, rows[i].score, "score", i);
        near(skew, rows[i].skew, "skew", i);
        near(mad, rows[i].mad, "mad", i);

        int64_t sorted[10];
        memcpy(sorted, rows[i].intervals, sizeof sorted);
        for (size_t a = 0; a < rows[i].n; a++)
            for (size_t b = a + 1; b < rows[i].n; b++)
                if (sorted[b] < sorted[a]) {
                    int64_t swap = sorted[a];
                    sorted[a] = sorted[b];
                    sorted[b] = swap;
                }
        int64_t mode;
        size_t n_mode;
        assert_int_equal(rita_mode(sorted, rows[i].n, &mode, &n_mode, &err), 0);
        assert_int_equal(mode, rows[i].mode);
        assert_int_equal(n_mode, rows[i].n_mode);
    }
    static const int64_t equal[6] = {5, 5, 5, 5, 5, 5}, three[3] = {1, 2, 3},
                         two_intervals[5] = {1, 1, 2, 2, 3};
    double score, skew, mad;
    struct err err;
    assert_int_equal(rita_ts_score(equal, 6, &score, &skew, &mad, &err), -ERANGE);
    assert_int_equal(rita_ts_score(three, 3, &score, &skew, &mad, &err), -ERANGE);
    assert_int_equal(rita_ts_score(two_intervals, 5, &score, &skew, &mad, &err), -ERANGE);
    assert_int_equal(rita_ts_score(NULL, 0, &score, &skew, &mad, &err), -ERANGE);
}

static void test_ds(void **state)
{
    (void)state;
    static const struct {
        int64_t sizes[10];
        size_t n;
        double skew, mad, score;
    } rows[] = {
        {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10, 0, 2.5, .773},
        {{60, 60, 60, 60, 60, 60, 60, 60, 60}, 9, 0, 0, 1},
        {{98, 99, 99, 100, 100, 100, 101, 101, 102}, 9, 0, 1, .995},
        {{102, 98, 101, 99, 100, 101, 99, 100, 100}, 9, 0, 1, .995}, /* in any order */
        {{524885, 1, 5000, 98654, 50, 41, 965842, 3}, 8, .984, 2523, .008},
        {{0}, 10, 0, 0, .5},
    };
    double score, skew, mad;
    struct err err;
    for (size_t i = 0; i < N(rows); i++) {
        int64_t sizes[10];
        memcpy(sizes, rows[i].sizes, sizeof sizes);
        assert_int_equal(rita_ds_score(sizes, rows[i].n, &score, &skew, &mad, &err), 0);
        near(score, rows[i].score, "score", i);
        near(skew, rows[i].skew, "skew", i);
        if (fabs(mad - rows[i].mad) > 0.51) /* 2523 is 2522.5, rounded */
            fail_msg("mad, row %zu: %f", i, mad);
        for (size_t k = 1; k < rows[i].n; k++)
            assert_true(sizes[k - 1] <= sizes[k]);
    }
    int64_t two[2] = {1, 2};
    assert_int_equal(rita_ds_score(two, 2, &score, &skew, &mad, &err), -ERANGE);
}

static void test_skew_and_mad(void **state)
{
    (void)state;
    struct err err;
    double skew, score, mad;
    static const struct {
        double values[10];
        size_t n;
        double skew, score;
    } skews[] = {
        {{7, 7, 7, 7, 7, 8, 8, 8, 8}, 9, 0, 1},
        {{1, 1, 2, 2, 2, 2}, 6, 0, 1},
        {{1.1, 2.2, 3.3, 4.4, 5.5, 6.6, 7.7}, 7, 0, 1},
        {{-10, -9, -8, -7, -6, -5, -4, -3, -2, -1}, 10, 0, 1},
        {{0}, 10, 0, 1},
    };
    for (size_t i = 0; i < N(skews); i++) {
        assert_int_equal(rita_skew(skews[i].values, skews[i].n, &skew, &score, &err), 0);
        near(skew, skews[i].skew, "skew", i);
        near(score, skews[i].score, "skew score", i);
    }
    static const struct {
        double values[10];
        size_t n;
        double default_score, mad, score;
    } mads[] = {
        {{-10, -9, -8, -7, -6, -5, -4, -3, -2, -1}, 10, 0, 2.5, 0},
        {{0}, 10, 1, 0, 1},
        {{1, 2, 2, 3, 3, 3, 4, 5, 5}, 9, 0, 1, .6667},
        {{11, 12, 12, 14, 15, 16}, 6, 0, 1.5, .8846},
        {{1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, 5500}, 10, 0, 1250, .6154},
        {{1, 1, 10, 10, 10, 1000}, 6, 0, 4.5, .55},
        {{5}, 1, 0, 0, 1},
        {{1, 100}, 2, 0, 49.5, .0198},
        /* A distance above the median's own value does not make the score negative. */
        {{-100, -100, 1, 200, 300}, 5, 0, 101, 0},
    };
    for (size_t i = 0; i < N(mads); i++) {
        assert_int_equal(
            rita_mad(mads[i].values, mads[i].n, mads[i].default_score, &mad, &score, &err), 0);
        near(mad, mads[i].mad, "mad", i);
        near(score, mads[i].score, "mad score", i);
    }
    assert_int_equal(rita_skew(mads[0].values, 2, &skew, &score, &err), -ERANGE);
    assert_int_equal(rita_mad(mads[0].values, 0, 0, &mad, &score, &err), -ERANGE);

    static const int64_t wholes[7] = {1, 2, 2, 3, 3, 4, 5}; /* of 1.1, 2.2, 2.2, 3.3 ... */
    int64_t mode;
    size_t n_mode;
    assert_int_equal(rita_mode(wholes, 7, &mode, &n_mode, &err), 0);
    assert_int_equal(mode, 2);
    assert_int_equal(n_mode, 2);
    assert_int_equal(rita_mode(wholes, 1, &mode, &n_mode, &err), -ERANGE);
}

/* The median of distances by two walks, against sorting them. */
static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_mad_of_chance(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        double values[200], distances[200];
        size_t n = 1 + (size_t)rand_r(&seed) % (round < 1500 ? 9 : 200);
        for (size_t i = 0; i < n; i++)
            values[i] = rand_r(&seed) % (round % 2 ? 7 : 100000);
        qsort(values, n, sizeof *values, compare);
        double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
        for (size_t i = 0; i < n; i++)
            distances[i] = fabs(values[i] - median);
        qsort(distances, n, sizeof *distances, compare);
        double expected = n % 2 ? distances[n / 2] : (distances[n / 2 - 1] + distances[n / 2]) / 2;
        double mad, score;
        struct err err;
        assert_int_equal(rita_mad(values, n, 0, &mad, &score, &err), 0);
        assert_true(mad == expected);
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        int first, last, bars, run;
        double coverage, consistency, score;
    } rows[] = {
        {0, 24, 24, 24, 1, 1, 1},    {0, 24, 6, 0, 1, 0, 1},         {12, 24, 6, 0, .5, 0, .5},
        {0, 12, 6, 0, .5, 0, .5},    {6, 24, 6, 0, .75, 0, .75},     {12, 24, 12, 12, .5, 1, 1},
        {12, 18, 6, 6, .25, .5, .5}, {6, 18, 12, 6, .5, .5, .5},     {6, 18, 3, 1, 0, 0, 0},
        {0, 24, 5, 5, 0, 0, 0},      {0, 1, 6, 7, .042, .584, .584},
    };
    double score, coverage, consistency;
    struct err err;
    const int64_t at = 1517336042;
    for (size_t i = 0; i < N(rows); i++) {
        assert_int_equal(rita_duration_score(at, at + DAY, at + rows[i].first * 3600,
                                             at + rows[i].last * 3600, rows[i].bars, rows[i].run, 6,
                                             12, &score, &coverage, &consistency, &err),
                         0);
        near(score, rows[i].score, "score", i);
        near(coverage, rows[i].coverage, "coverage", i);
        near(consistency, rows[i].consistency, "consistency", i);
    }
    static const struct {
        int min_bars, ideal;
        int64_t max;
    } wrong[] = {{0, 12, DAY}, {-1, 12, DAY}, {6, 0, DAY}, {6, 12, -1}, {6, 12, 0}};
    for (size_t i = 0; i < N(wrong); i++)
        assert_int_equal(rita_duration_score(0, wrong[i].max, 0, 1, 9, 9, wrong[i].min_bars,
                                             wrong[i].ideal, &score, &coverage, &consistency, &err),
                         -ERANGE);
}

/* The window, the times, the bars they make, and their score. */
static void histogram_row(const int64_t *ts, size_t n, int64_t min, int64_t max, int n_bins,
                          const int *expected, int bars, int run, int min_bars, double score)
{
    int counts[RITA_BINS_MAX], out_bars, out_run;
    struct err err;
    double out;
    assert_int_equal(rita_histogram(ts, n, min, max, n_bins, counts, &out_bars, &out_run, &err), 0);
    if (expected)
        assert_memory_equal(counts, expected, (size_t)n_bins * sizeof *counts);
    assert_int_equal(out_bars, bars);
    assert_int_equal(out_run, run);
    assert_int_equal(rita_histogram_score(counts, n_bins, min_bars, &out, &err), 0);
    near(out, score, "histogram score", 0);
}

static void test_histogram(void **state)
{
    (void)state;
    int64_t ts[64];
    size_t n = 0;
    for (int k = 1; k <= 10; k++)
        for (int i = 0; i < k; i++)
            ts[n++] = k;
    histogram_row(ts, n, 1, 11, 10, (int[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10, 10, 6, .478);

    for (n = 0; n < 24; n++)
        ts[n] = 1517336042 + (int64_t)n * 3600 + 7;
    histogram_row(ts, n, 1517336042, 1517336042 + DAY, 24, NULL, 24, 24, 11, 1);

    histogram_row((int64_t[]){98, 99, 99, 100, 100, 100, 101, 101, 102}, 9, 98, 102, 8,
                  (int[]){1, 0, 2, 0, 3, 0, 2, 1}, 5, 3, 6, .064);
    histogram_row(
        (int64_t[]){524885, 1, 5000, 98654, 50, 41, 965842, 3, 12001, 200400, 104001, 199999}, 12,
        0, 1000000, 10, (int[]){7, 2, 1, 0, 0, 1, 0, 0, 0, 1}, 5, 4, 6, 0);
    n = 0;
    for (int k = 0; k < 10; k++)
        for (int i = 0; i < (k % 2 ? 1 : 4); i++)
            ts[n++] = 10 * k + i;
    histogram_row(ts, n, 0, 100, 10, (int[]){4, 1, 4, 1, 4, 1, 4, 1, 4, 1}, 10, 10, 6, 1);
    histogram_row((int64_t[]){10, 20, 100, 110, 110, 220}, 6, 0, 250, 5, (int[]){2, 0, 3, 0, 1}, 3,
                  2, 6, .028);
    for (n = 0; n < 10; n++)
        ts[n] = 5 * 3600 + (int64_t)n * 60;
    histogram_row(ts, n, 0, DAY, 24, NULL, 1, 1, 11, 0);
    histogram_row(ts, n, 0, DAY, 24, NULL, 1, 1, 1, 0);

    /* Edges are not whole: 10 s in 24 bins. What is outside is in the first or last one. */
    histogram_row((int64_t[]){-5, 0, 5, 6, 10, 12}, 6, 0, 10, 24,
                  (int[]){2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2},
                  4, 2, 6, 0);

    int counts[24], bars, run;
    struct err err;
    assert_int_equal(rita_histogram(ts, 0, 0, DAY, 24, counts, &bars, &run, &err), -ERANGE);
    assert_int_equal(rita_histogram(ts, 4, 5, 5, 24, counts, &bars, &run, &err), -ERANGE);
    assert_int_equal(rita_histogram(ts, 4, 5, 4, 24, counts, &bars, &run, &err), -ERANGE);
    assert_int_equal(rita_histogram(ts, 4, INT64_MIN, INT64_MAX, 24, counts, &bars, &run, &err),
                     -ERANGE);
}

/* Heights, each with how often it follows; a run is the longest, cyclic. */
static void test_groups(void **state)
{
    (void)state;
    static const struct {
        double sensitivity;
        int heights[24], n;
        struct rita_group groups[10];
        int n_groups, bars, run;
    } rows[] = {
        {.05, {900, 901, 899, 900, 899, 902, 900, 901}, 8, {{874, 8}}, 1, 8, 8},
        {.1, {100, 105, 100, 300, 305, 300}, 6, {{93, 3}, {279, 3}}, 2, 6, 6},
        {.1,
         {100, 105, 100, 300, 305, 300, 500, 505, 500, 700, 705, 700},
         12,
         {{71, 3}, {284, 3}, {497, 3}, {639, 3}},
         4,
         12,
         12},
        {.001,
         {100, 100, 101, 101, 102, 200, 200, 201, 201, 202, 300, 300, 301, 301, 302},
         15,
         {{100, 2}, {101, 2}, {102, 1}, {200, 2}, {201, 2}, {202, 1}, {300, 2}, {301, 2}, {302, 1}},
         9,
         15,
         15},
        {.1,
         {100, 100, 101, 101, 102, 200, 200, 201, 201, 202, 300, 300, 301, 301, 302},
         15,
         {{93, 5}, {186, 5}, {279, 5}},
         3,
         15,
         15},
        {.05, {2, 0, 2, 0, 2, 0, 2, 0, 2, 0}, 10, {{2, 5}}, 1, 5, 1},
        {.05, {2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 0}, 16, {{2, 5}, {4, 4}}, 2, 9, 5},
        {.05,
         {2002, 2000, 1999, 2005, 1990, 0, 0, 0, 0, 0, 0, 2000, 2001, 2002, 2003, 2004},
         16,
         {{1919, 10}},
         1,
         10,
         10},
        {.2, {9, 10, 11, 10, 11, 9, 10, 11, 10, 9}, 10, {{9, 10}}, 1, 10, 10},
        {.05, {9, 10, 11, 10, 11, 9, 10, 11, 10, 9}, 10, {{9, 3}, {10, 4}, {11, 3}}, 3, 10, 10},
        {.3,
         {9, 10, 11, 10, 11, 9, 10, 11, 10, 9, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2},
         20,
         {{0, 10}, {8, 10}},
         2,
         20,
         20},
    };
    for (size_t i = 0; i < N(rows); i++) {
        struct rita_group groups[24];
        int n = rita_group_bars(rows[i].heights, rows[i].n, rows[i].sensitivity, groups);
        if (n != rows[i].n_groups)
            fail_msg("row %zu: %d groups", i, n);
        for (int k = 0; k < n; k++)
            if (groups[k].height != rows[i].groups[k].height || groups[k].n != rows[i].groups[k].n)
                fail_msg("row %zu: %d:%d", i, groups[k].height, groups[k].n);
        /* The same bars as times. */
        int64_t *ts = calloc(40000, sizeof *ts);
        assert_non_null(ts);
        size_t n_ts = 0;
        for (int k = 0; k < rows[i].n; k++)
            for (int h = 0; h < rows[i].heights[k]; h++)
                ts[n_ts++] = k * 100 + h % 100;
        int counts[RITA_BINS_MAX], bars, run;
        struct err err;
        assert_int_equal(
            rita_histogram(ts, n_ts, 0, rows[i].n * 100, rows[i].n, counts, &bars, &run, &err), 0);
        free(ts);
        assert_memory_equal(counts, rows[i].heights, (size_t)rows[i].n * sizeof *counts);
        assert_int_equal(bars, rows[i].bars);
        assert_int_equal(run, rows[i].run);
    }
}

static void test_cv(void **state)
{
    (void)state;
    static const struct {
        int counts[10], n;
        double score;
    } rows[] = {
        {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10, 1},
        {{950, 970, 990, 1010, 1030, 1050, 1070}, 7, .960},
        {{1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009}, 10, .997},
        {{1, 5, 10, 50, 100, 500, 1000, 5000, 10000}, 9, 0},
        {{0}, 0, -1},
        {{1, -1, 1}, 3, -1},
        {{0, 0, 0}, 3, -1},
    };
    for (size_t i = 0; i < N(rows); i++) {
        double out;
        struct err err;
        int rc = rita_cv_score(rows[i].counts, rows[i].n, &out, &err);
        assert_int_equal(rc, rows[i].score < 0 ? -ERANGE : 0);
        if (rc == 0)
            near(out, rows[i].score, "cv", i);
    }
}

static void test_bimodal(void **state)
{
    (void)state;
    static const struct {
        struct rita_group groups[5];
        int n, bars, min_bars;
        double score;
    } rows[] = {
        {{{1, 10}}, 1, 10, 10, 1},
        {{{1, 50}, {2, 5}}, 2, 60, 10, .932},
        {{{1, 10}, {2, 1}}, 2, 11, 10, 1},
        {{{1, 50}, {2, 1}, {3, 1}}, 3, 56, 10, .927},
        {{{1, 10}, {2, 10}}, 2, 20, 10, 1},
        {{{1, 10}, {2, 10}, {3, 1}}, 3, 21, 10, 1},
        {{{1, 50}, {2, 30}, {3, 1}, {4, 2}}, 4, 83, 10, .976},
        {{{1, 50}, {2, 30}, {3, 1}, {4, 2}, {5, 1}}, 5, 84, 10, .964},
        {{{1, 2}, {2, 3}}, 2, 5, 11, 0},
        {{{1, 1}, {2, 1}}, 2, 2, 2, 0},
        {{{1, 1}, {2, 1}}, 2, 10, 5, 0}, /* 5 is taken for 11 */
        {{{1, 3}, {2, 3}}, 2, 6, 6, 1},
        {{{1, 3}}, 1, 0, 6, -1},
        {{{1, 3}}, 1, -1, 6, -1},
        {{{0, 0}}, 0, 6, 6, -1},
    };
    for (size_t i = 0; i < N(rows); i++) {
        double out;
        struct err err;
        int rc =
            rita_bimodal_fit(rows[i].groups, rows[i].n, rows[i].bars, rows[i].min_bars, &out, &err);
        assert_int_equal(rc, rows[i].score < 0 ? -ERANGE : 0);
        if (rc == 0)
            near(out, rows[i].score, "bimodal", i);
    }
}

static void test_bucket(void **state)
{
    (void)state;
    static const struct rita_thresholds beacon = {50, 75, 90, 100}, from_0 = {0, 10, 20, 30},
                                        lasting = {3600, 14400, 28800, 43200};
    static const struct {
        const struct rita_thresholds *thresholds;
        double value, score;
    } rows[] = {
        {&beacon, 0, 0},
        {&beacon, 49.9, 0},
        {&beacon, 50, .2},
        {&beacon, 62.5, .3},
        {&beacon, 75, .4},
        {&beacon, 82.5, .5},
        {&beacon, 90, .6},
        {&beacon, 95, .7},
        {&beacon, 100, .8},
        {&beacon, 1000, .8},
        {&from_0, 0, .2},
        {&from_0, 1, .22},
        {&lasting, 3599.9, 0},
        {&lasting, 7200.403186, .26667},
        {&lasting, 14737.06115, .40468},
        {&lasting, 36000, .7},
        {&lasting, 43200, .8},
    };
    for (size_t i = 0; i < N(rows); i++)
        near(rita_bucket(rows[i].value, rows[i].thresholds), rows[i].score, "bucket", i);
}

static void test_rounding(void **state)
{
    (void)state;
    near(rita_round3(.0125) * 1000, 13, "half away from zero", 0);
    near(rita_round3(-.0125) * 1000, -13, "half away from zero", 1);
    near(rita_round3(.12349) * 1000, 123, "down", 2);
}

/* Every minute with the same size, and the same with few of them. */
static void test_beacon(void **state)
{
    (void)state;
    enum { MANY = 1440 };
    int64_t ts[MANY], sizes[MANY];
    for (int i = 0; i < MANY; i++) {
        ts[i] = 1517336042 + i * 60;
        sizes[i] = 52;
    }
    struct rita_beacon beacon = {.score = 7};
    struct err err;
    assert_int_equal(rita_beacon(ts, MANY, sizes, MANY, ts[0], ts[MANY - 1], &beacon, &err), 0);
    near(beacon.score, 1, "score", 0);
    near(beacon.ts + beacon.ds + beacon.dur + beacon.hist, 4, "parts", 0);
    /* Three hours of a day: no duration, no histogram, and so no score worth the name. */
    assert_int_equal(rita_beacon(ts, 180, sizes, 180, ts[0], ts[0] + DAY, &beacon, &err), 0);
    near(beacon.score, .5, "score", 1);
    near(beacon.dur + beacon.hist, 0, "parts", 1);
    struct rita_beacon before = beacon;
    assert_int_equal(rita_beacon(ts, 3, sizes, 3, ts[0], ts[0] + DAY, &beacon, &err), -ERANGE);
    assert_int_equal(rita_beacon(ts, 4, sizes, 2, ts[0], ts[0] + DAY, &beacon, &err), -ERANGE);
    assert_memory_equal(&beacon, &before, sizeof beacon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weighted),
        cmocka_unit_test(test_ts),
        cmocka_unit_test(test_ds),
        cmocka_unit_test(test_skew_and_mad),
        cmocka_unit_test(test_mad_of_chance),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_cv),
        cmocka_unit_test(test_bimodal),
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_beacon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
