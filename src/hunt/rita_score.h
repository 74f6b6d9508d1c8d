/* RITA's scores, to their third decimal: the formulas of its version 5. All values are rounded half
 * away from zero. */
#ifndef HUNT_RITA_SCORE_H
#define HUNT_RITA_SCORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RITA_BINS     24
#define RITA_BINS_MAX 64

struct rita_beacon {
    double score, ts, ds, dur, hist;
};

/* `ts`: whole seconds, sorted; `sizes`: IP bytes sent, in any order (sorted here, in place);
 * `min_ts`, `max_ts`: the data set's window. -ERANGE with a reason where there are too few. */
int rita_beacon(const int64_t *ts, size_t n, int64_t *sizes, size_t n_sizes, int64_t min_ts,
                int64_t max_ts, struct rita_beacon *out, struct err *err) MUST_CHECK;

/* The pieces, as its own unit tests ask for them. */
int rita_ts_score(const int64_t *ts, size_t n, double *out_score, double *out_skew, double *out_mad,
                  struct err *err) MUST_CHECK;
int rita_ds_score(int64_t *sizes, size_t n, double *out_score, double *out_skew, double *out_mad,
                  struct err *err) MUST_CHECK;
/* `min_bars` and `ideal_run`: 6 and 12 of the 24 hours. */
int rita_duration_score(int64_t min_ts, int64_t max_ts, int64_t first, int64_t last, int bars,
                        int longest_run, int min_bars, int ideal_run, double *out_score,
                        double *out_coverage, double *out_consistency, struct err *err) MUST_CHECK;
int rita_histogram(const int64_t *ts, size_t n, int64_t min_ts, int64_t max_ts, int n_bins,
                   int *out_counts, int *out_bars, int *out_run, struct err *err) MUST_CHECK;
int rita_cv_score(const int *counts, int n, double *out, struct err *err) MUST_CHECK;
int rita_histogram_score(const int *counts, int n, int min_bars, double *out,
                         struct err *err) MUST_CHECK;
int rita_weighted(const double scores[4], const double weights[4], double *out,
                  struct err *err) MUST_CHECK;

/* Of sorted numbers: Bowley's skewness, and the median of the distances from the median. The scores
 * are 1 for what is even. */
int rita_skew(const double *values, size_t n, double *out_skew, double *out_score,
              struct err *err) MUST_CHECK;
int rita_mad(const double *values, size_t n, double default_score, double *out_mad,
             double *out_score, struct err *err) MUST_CHECK;

/* Bars of about the same height: groups by ascending height, at most `n`; gives their number. */
struct rita_group {
    int height, n;
};
int rita_group_bars(const int *counts, int n, double sensitivity, struct rita_group *out);
/* How well two heights describe all `bars`. */
int rita_bimodal_fit(const struct rita_group *groups, int n, int bars, int min_bars, double *out,
                     struct err *err) MUST_CHECK;

/* The most frequent whole number of sorted ones (the smallest of equally frequent), and how often
 * it is there: the interval or size that a beacon is said to have. */
int rita_mode(const int64_t *values, size_t n, int64_t *out_mode, size_t *out_n,
              struct err *err) MUST_CHECK;

struct rita_thresholds {
    double base, low, medium, high;
};
double rita_bucket(double value, const struct rita_thresholds *thresholds);

double rita_round3(double value); /* half away from zero */

#endif
