/* The parts of timing.c: laws of intervals, fitted to the sorted intervals between check-ins. All
 * times are seconds, all likelihoods natural logarithms. For use by timing*.c only. */
#ifndef HUNT_TIMING_FIT_H
#define HUNT_TIMING_FIT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Intervals that were sorted, and what they cannot be shorter than: bursts were taken as one. */
struct timing_intervals {
    const double *x; /* ascending, all > floor */
    size_t n;
    double floor;      /* s: the gap that separates check-ins */
    double resolution; /* s: of the clock that wrote the times */
    double span;       /* s: the longest interval that there could have been */
};

/* What a law explains, and how well. */
struct timing_fit {
    double likelihood;     /* of all intervals, marginal over the law's parameters */
    double core, coverage; /* its parts: the timer's own law; missed check-ins, pauses, extras */
    double price;          /* and the priors of its parameters; the three sum to likelihood */
    double low, high;      /* s: an undisturbed interval lies between them */
    double second_low, second_high;      /* of a second timer; 0: there is none */
    size_t n_core, n_missed, n_multiple; /* intervals; check-ins that were not there */
    size_t n_pauses, n_extra;
    double extra_rate; /* foreign check-ins for each of the timer's */
};

/* Ascending; `spare` is room for n. */
void timing_sort(double *x, size_t n, double *spare);

/* The best of what makes intervals without a timer: mixtures of exponential and of wide lognormal
 * laws, whatever their number. False: no memory. */
bool timing_fit_chance(const struct timing_intervals *in, double *out_likelihood);

/* The same after a least time: a kept connection takes what comes for a minute, then the next one
 * is opened when something comes. -INFINITY: it does not apply. False: no memory. */
bool timing_fit_rest(const struct timing_intervals *in, double *out_likelihood);

/* What timing_fit_chance gives at least, for a hundredth of its cost. */
double timing_chance_least(const struct timing_intervals *in);

/* A bounded law, its multiples, pauses and extras. */
void timing_fit_timer(const struct timing_intervals *in, struct timing_fit *out);

/* A timer whose waits are normal, some of its check-ins lost; near the bounds of another fit.
 * False: there is none with a likelihood of `needed`. */
bool timing_fit_bell(const struct timing_intervals *in, const struct timing_fit *around,
                     double needed, struct timing_fit *out);

/* A timer among check-ins of others. False: there is none with a likelihood of `needed`. */
bool timing_fit_mixed(const struct timing_intervals *in, double needed, struct timing_fit *out);

/* Whether what is left of the check-ins at t (ascending), when those of the timer that was found
 * are taken out, is a timer too. */
bool timing_fit_second(const double *t, size_t n, double resolution, struct timing_fit *inout);

/* A fixed clock: phases of round periods, over check-ins at t (ascending). Gives the evidence,
 * nats, after its price; and the period. */
double timing_fit_clock(const double *t, size_t n, double resolution, double *out_period);

/* Waits that grow by a step from one check-in to the next. Gives the evidence, and the step; 0:
 * there is none. */
double timing_fit_ramp(const double *t, size_t n, double resolution, double *out_step);

/* lgamma leaves a sign in a variable that all threads share. */
static inline double timing_lgamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

#endif
