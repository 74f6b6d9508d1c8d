/* RITA's beacon score and its four parts: are the intervals alike, are the sizes alike, does it
 * last, is it spread evenly over the hours? */
#include "hunt/rita_score.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MIN_TS          4
#define MIN_INTERVALS   3
#define MIN_SIZES       3
#define MIN_RANGE       10 /* of the quartiles, for a skewness that says something */
#define MIN_BARS        6  /* hours, for a score of duration */
#define IDEAL_RUN       12
#define MODAL_MIN_BARS  11
#define MODAL_LEAST     6 /* a smaller setting is taken for none */
#define MODAL_TOLERANCE 0.05
#define MODAL_OUTLIERS  1 /* bars that need not fit */

double rita_round3(double value)
{
    return round(value * 1000) / 1000;
}

static double ceil3(double value)
{
    return ceil(value * 1000) / 1000;
}

static double at_most_1(double value)
{
    return value > 1 ? 1 : value;
}

/* ---- sorted numbers ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Most lists are short, and many are sorted already. */
static void sort_doubles(double *values, size_t n)
{
    if (n > 48) {
        qsort(values, n, sizeof *values, compare_doubles);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        double value = values[i];
        size_t k = i;
        for (; k > 0 && values[k - 1] > value; k--)
            values[k] = values[k - 1];
        values[k] = value;
    }
}

static double median_of(const double *values, size_t n)
{
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int rita_skew(const double *values, size_t n, double *out_skew, double *out_score, struct err *err)
{
    if (n < 3)
        return err_set(err, -ERANGE, "skewness needs three numbers, here are %zu", n);
    double q1 = median_of(values, n / 2);
    double q2 = median_of(values, n);
    double q3 = median_of(values + (n + 1) / 2, n / 2);
    double range = q3 - q1;
    bool says_something = range >= MIN_RANGE && q2 != q1 && q2 != q3;
    *out_skew = says_something ? (q1 + q3 - 2 * q2) / range : 0;
    *out_score = 1 - fabs(*out_skew);
    return 0;
}

/* The k-th smallest distances from the median are met by walking away from it on both sides. */
static double median_distance(const double *values, size_t n, double median)
{
    size_t above = n / 2, below = n / 2; /* next on each side: values[above], values[below - 1] */
    double distance = 0, before = 0;
    for (size_t i = 0; i <= n / 2; i++) {
        before = distance;
        double up = above < n ? fabs(values[above] - median) : INFINITY;
        double down = below > 0 ? fabs(median - values[below - 1]) : INFINITY;
        if (up <= down) {
            distance = up;
            above++;
        } else {
            distance = down;
            below--;
        }
    }
    return n % 2 ? distance : (before + distance) / 2;
}

int rita_mad(const double *values, size_t n, double default_score, double *out_mad,
             double *out_score, struct err *err)
{
    if (n == 0)
        return err_set(err, -ERANGE, "there are no numbers to take the median of");
    double median = median_of(values, n);
    double mad = median_distance(values, n, median);
    double score = median >= 1 ? (median - mad) / median : default_score;
    *out_mad = mad;
    *out_score = score < 0 ? 0 : score;
    return 0;
}

static int statistical_score(const double *values, size_t n, double default_mad_score,
                             double *out_score, double *out_skew, double *out_mad, struct err *err)
{
    double skew, skew_score, mad, mad_score;
    int rc = rita_skew(values, n, &skew, &skew_score, err);
    if (rc == 0)
        rc = rita_mad(values, n, default_mad_score, &mad, &mad_score, err);
    if (rc < 0)
        return rc;
    *out_score = rita_round3((skew_score + mad_score) / 2);
    *out_skew = skew;
    *out_mad = mad;
    return 0;
}

int rita_mode(const int64_t *values, size_t n, int64_t *out_mode, size_t *out_n, struct err *err)
{
    if (n < 2)
        return err_set(err, -ERANGE, "the most frequent of %zu numbers is not to be said", n);
    size_t best = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && values[end] == values[i])
            end++;
        if (end - i > best) {
            best = end - i;
            *out_mode = values[i];
        }
        i = end;
    }
    *out_n = best;
    return 0;
}

/* Room for a list of numbers: short ones take no memory from the heap. */
struct room {
    double small[128];
    double *at;
};

static bool room_init(struct room *room, size_t n)
{
    room->at = room->small;
    if (n > sizeof room->small / sizeof room->small[0])
        room->at = malloc(n * sizeof *room->at);
    return room->at != NULL;
}

static void room_done(struct room *room)
{
    if (room->at != room->small)
        free(room->at);
}

int rita_ts_score(const int64_t *ts, size_t n, double *out_score, double *out_skew, double *out_mad,
                  struct err *err)
{
    if (n < MIN_TS)
        return err_set(err, -ERANGE, "intervals need %d times, here are %zu", MIN_TS, n);
    struct room room;
    if (!room_init(&room, n))
        return err_set(err, -ENOMEM, "no memory for %zu intervals", n);
    size_t n_intervals = 0;
    for (size_t i = 1; i < n; i++)
        if (ts[i] > ts[i - 1])
            room.at[n_intervals++] = (double)(ts[i] - ts[i - 1]);
    int rc;
    if (n_intervals < MIN_INTERVALS) {
        rc = err_set(err, -ERANGE, "there are %zu intervals above 0 s, %d are needed", n_intervals,
                     MIN_INTERVALS);
    } else {
        sort_doubles(room.at, n_intervals);
        rc = statistical_score(room.at, n_intervals, 1, out_score, out_skew, out_mad, err);
    }
    room_done(&room);
    return rc;
}

int rita_ds_score(int64_t *sizes, size_t n, double *out_score, double *out_skew, double *out_mad,
                  struct err *err)
{
    if (n < MIN_SIZES)
        return err_set(err, -ERANGE, "sizes need %d connections, here are %zu", MIN_SIZES, n);
    struct room room;
    if (!room_init(&room, n))
        return err_set(err, -ENOMEM, "no memory for %zu sizes", n);
    for (size_t i = 0; i < n; i++)
        room.at[i] = (double)sizes[i];
    sort_doubles(room.at, n);
    for (size_t i = 0; i < n; i++)
        sizes[i] = (int64_t)room.at[i];
    int rc = statistical_score(room.at, n, 0, out_score, out_skew, out_mad, err);
    room_done(&room);
    return rc;
}

/* ---- the hours ---- */

int rita_duration_score(int64_t min_ts, int64_t max_ts, int64_t first, int64_t last, int bars,
                        int longest_run, int min_bars, int ideal_run, double *out_score,
                        double *out_coverage, double *out_consistency, struct err *err)
{
    if (min_bars < 1 || ideal_run < 1)
        return err_set(err, -ERANGE, "at least one bar is needed, and a run of one");
    if (max_ts <= min_ts || last < first)
        return err_set(err, -ERANGE, "the window's end is not after its beginning");
    double coverage = 0, consistency = 0;
    if (bars >= min_bars) {
        coverage = at_most_1(ceil3((double)(last - first) / (double)(max_ts - min_ts)));
        consistency = at_most_1(ceil3((double)longest_run / (double)ideal_run));
    }
    *out_coverage = coverage;
    *out_consistency = consistency;
    *out_score = coverage > consistency ? coverage : consistency;
    return 0;
}

/* The longest run of bars that are not empty, the last hour being next to the first. */
static int longest_run(const int *counts, int n)
{
    int longest = 0, run = 0;
    for (int i = 0; i < 2 * n; i++) {
        run = counts[i % n] > 0 ? run + 1 : 0;
        if (run > longest)
            longest = run;
    }
    return longest > n ? n : longest;
}

int rita_histogram(const int64_t *ts, size_t n, int64_t min_ts, int64_t max_ts, int n_bins,
                   int *out_counts, int *out_bars, int *out_run, struct err *err)
{
    if (n == 0)
        return err_set(err, -ERANGE, "there are no times to count");
    if (max_ts <= min_ts)
        return err_set(err, -ERANGE, "the window's end is not after its beginning");
    assert(n_bins > 0 && n_bins <= RITA_BINS_MAX);
    /* A window of ages, made of broken times, must not overflow the product below. */
    if (max_ts > INT64_MAX / 4 / n_bins || min_ts < INT64_MIN / 4 / n_bins)
        return err_set(err, -ERANGE, "the window is longer than time lasts");
    memset(out_counts, 0, (size_t)n_bins * sizeof *out_counts);
    for (size_t i = 0; i < n; i++) {
        int bin = n_bins - 1; /* the last edge, too */
        if (ts[i] < min_ts)
            bin = 0;
        else if (ts[i] < max_ts)
            bin = (int)((ts[i] - min_ts) * n_bins / (max_ts - min_ts));
        out_counts[bin]++;
    }
    int bars = 0;
    for (int i = 0; i < n_bins; i++)
        bars += out_counts[i] > 0;
    *out_bars = bars;
    *out_run = longest_run(out_counts, n_bins);
    return 0;
}

int rita_cv_score(const int *counts, int n, double *out, struct err *err)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (counts[i] < 0)
            return err_set(err, -ERANGE, "a bar cannot be below zero");
        sum += counts[i];
    }
    if (n <= 0 || sum <= 0)
        return err_set(err, -ERANGE, "all bars are empty");
    double mean = sum / n, squares = 0;
    for (int i = 0; i < n; i++)
        squares += (counts[i] - mean) * (counts[i] - mean);
    double variation = sqrt(squares / n) / mean;
    *out = variation > 1 ? 0 : rita_round3(1 - variation);
    return 0;
}

int rita_group_bars(const int *counts, int n, double sensitivity, struct rita_group *out)
{
    int highest = 0;
    for (int i = 0; i < n; i++)
        if (counts[i] > highest)
            highest = counts[i];
    double least = ceil(highest * sensitivity);
    int width = least < 1 ? 1 : (int)least;
    int n_groups = 0;
    for (int i = 0; i < n; i++) {
        if (counts[i] <= 0)
            continue;
        int height = counts[i] / width * width, k = 0;
        while (k < n_groups && out[k].height < height)
            k++;
        if (k == n_groups || out[k].height != height) {
            memmove(&out[k + 1], &out[k], (size_t)(n_groups - k) * sizeof *out);
            out[k] = (struct rita_group){.height = height};
            n_groups++;
        }
        out[k].n++;
    }
    return n_groups;
}

int rita_bimodal_fit(const struct rita_group *groups, int n, int bars, int min_bars, double *out,
                     struct err *err)
{
    if (n <= 0 || bars <= 0)
        return err_set(err, -ERANGE, "there are no bars to compare");
    if (min_bars < MODAL_LEAST)
        min_bars = MODAL_MIN_BARS;
    int first = 0, second = 0;
    for (int i = 0; i < n; i++) {
        if (groups[i].n > first) {
            second = first;
            first = groups[i].n;
        } else if (groups[i].n > second) {
            second = groups[i].n;
        }
    }
    int others = bars - MODAL_OUTLIERS;
    double fit = (double)(first + second) / (others < 1 ? 1 : others);
    *out = bars < min_bars ? 0 : at_most_1(rita_round3(fit));
    return 0;
}

int rita_histogram_score(const int *counts, int n, int min_bars, double *out, struct err *err)
{
    double even, fit;
    int rc = rita_cv_score(counts, n, &even, err);
    if (rc < 0)
        return rc;
    struct rita_group groups[RITA_BINS_MAX];
    assert(n <= RITA_BINS_MAX);
    int bars = 0;
    for (int i = 0; i < n; i++)
        bars += counts[i] > 0;
    int n_groups = rita_group_bars(counts, n, MODAL_TOLERANCE, groups);
    rc = rita_bimodal_fit(groups, n_groups, bars, min_bars, &fit, err);
    if (rc == 0)
        *out = even > fit ? even : fit;
    return rc;
}

/* ---- all together ---- */

int rita_weighted(const double scores[4], const double weights[4], double *out, struct err *err)
{
    double sum = 0, weight = 0;
    for (int i = 0; i < 4; i++) {
        if (!(scores[i] >= 0 && scores[i] <= 1 && weights[i] >= 0 && weights[i] <= 1))
            return err_set(err, -ERANGE, "scores and weights are from 0 to 1");
        sum += scores[i] * weights[i];
        weight += weights[i];
    }
    if (fabs(weight - 1) > 1e-9)
        return err_set(err, -ERANGE, "the weights' sum is %g instead of 1", weight);
    *out = rita_round3(sum);
    return 0;
}

int rita_beacon(const int64_t *ts, size_t n, int64_t *sizes, size_t n_sizes, int64_t min_ts,
                int64_t max_ts, struct rita_beacon *out, struct err *err)
{
    struct rita_beacon beacon = {0};
    double skew, mad, coverage, consistency;
    int counts[RITA_BINS], bars, run;
    int rc = rita_ts_score(ts, n, &beacon.ts, &skew, &mad, err);
    if (rc == 0)
        rc = rita_ds_score(sizes, n_sizes, &beacon.ds, &skew, &mad, err);
    if (rc == 0)
        rc = rita_histogram(ts, n, min_ts, max_ts, RITA_BINS, counts, &bars, &run, err);
    if (rc == 0)
        rc = rita_duration_score(min_ts, max_ts, ts[0], ts[n - 1], bars, run, MIN_BARS, IDEAL_RUN,
                                 &beacon.dur, &coverage, &consistency, err);
    if (rc == 0)
        rc = rita_histogram_score(counts, RITA_BINS, MODAL_MIN_BARS, &beacon.hist, err);
    if (rc < 0)
        return rc;
    const double scores[4] = {beacon.ts, beacon.ds, beacon.dur, beacon.hist};
    static const double weights[4] = {0.25, 0.25, 0.25, 0.25};
    rc = rita_weighted(scores, weights, &beacon.score, err);
    if (rc == 0)
        *out = beacon;
    return rc;
}

static double part(double value, double from, double to)
{
    return to > from ? (value - from) / (to - from) : 0;
}

double rita_bucket(double value, const struct rita_thresholds *thresholds)
{
    const struct rita_thresholds *t = thresholds;
    if (value < t->base)
        return 0;
    if (value >= t->high)
        return 0.8;
    if (value >= t->medium)
        return 0.6 + 0.2 * part(value, t->medium, t->high);
    if (value >= t->low)
        return 0.4 + 0.2 * part(value, t->low, t->medium);
    return 0.2 + 0.2 * part(value, t->base, t->low);
}
