/* A timer of which some check-ins are lost, and whose waits spread evenly between two bounds, or as
 * a bell: what timing_timer.c says of both is rough, which is seen where there are many intervals.
 * An interval of k waits is normal with mean k m and variance k s^2, and k is geometric; what is
 * none of these has a density of 1/x. The parameters are those of the greatest likelihood, by
 * expectation-maximisation, and pay for it. */
#include <math.h>

#include "hunt/timing_fit.h"

#define BELL_LEAST  40   /* intervals */
#define BELL_POINTS 400  /* of more every k-th is taken */
#define BELL_WAITS  6    /* more than that is a pause */
#define BELL_SPREAD 0.35 /* s / m: wider is not narrow enough to be a timer's */
#define BELL_TURNS  15
#define BELL_PRICE  6 /* nats, and half a logarithm for each parameter */

struct bell {
    double mean, spread;
    double low, high; /* a single wait is even between them; both 0: it is a bell too */
    double lost;      /* share of check-ins */
    double others;    /* share of intervals */
};

/* Densities of k waits at out[k], and of what is none at out[0]; gives their sum. */
static double bell_densities(const struct bell *b, double x, double room, double *out)
{
    double share = (1 - b->others) * (1 - b->lost);
    double sum = out[0] = b->others / (x * room);
    for (int k = 1; k <= BELL_WAITS; k++) {
        double sigma = b->spread * sqrt(k);
        double z = (x - k * b->mean) / sigma;
        if (k == 1 && b->high > 0)
            out[k] = x >= b->low && x <= b->high ? share / (b->high - b->low) : 0;
        else
            out[k] = fabs(z) < 8 ? share * exp(-z * z / 2) / (sigma * 2.5066282746310002) : 0;
        sum += out[k];
        share *= b->lost;
    }
    return sum;
}

/* One turn; gives the likelihood of what it began with. */
static double bell_turn(const struct timing_intervals *in, size_t step, double room, struct bell *b)
{
    double likelihood = 0;
    double n = 0;
    double n_timer = 0;
    double n_waits = 0;
    double sum = 0;
    double squares = 0;
    for (size_t i = step / 2; i < in->n; i += step) {
        double of[BELL_WAITS + 1];
        double x = fmax(in->x[i], in->resolution / 4);
        double all = fmax(bell_densities(b, x, room, of), 1e-300);
        likelihood += log(all);
        n++;
        for (int k = 1; k <= BELL_WAITS; k++) {
            double share = of[k] / all;
            double off = x - k * b->mean;
            n_timer += share;
            n_waits += share * k;
            sum += share * x;
            squares += share * off * off / k;
        }
    }
    if (n_timer > 1) {
        if (b->high == 0) {
            b->mean = sum / n_waits;
            b->spread = fmax(sqrt(squares / n_timer), fmax(in->resolution / 2, b->mean / 1000));
        }
        b->lost = fmin(1 - n_timer / n_waits, 0.6);
        b->others = fmax(1 - n_timer / n, 0.5 / n);
    }
    return likelihood * (double)in->n / n;
}

/* False: what lies within the bounds spreads too far to become one. */
static bool bell_begin(const struct timing_intervals *in, const struct timing_fit *around,
                       struct bell *out)
{
    double n = 0;
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < in->n && in->x[i] <= around->high; i++) {
        if (in->x[i] < around->low)
            continue;
        n++;
        sum += in->x[i];
        squares += in->x[i] * in->x[i];
    }
    if (n < 2)
        return false;
    double mean = sum / n;
    double spread = sqrt(fmax(squares / n - mean * mean, 0));
    *out = (struct bell){.mean = mean,
                         .spread = fmax(spread, fmax(in->resolution / 2, mean / 1000)),
                         .lost = 0.1,
                         .others = 0.05};
    return spread < 1.4 * BELL_SPREAD * mean;
}

/* The likelihood at its greatest, less the price. */
static double bell_maximise(const struct timing_intervals *in, struct bell *b)
{
    size_t step = in->n / BELL_POINTS + 1;
    double shortest = fmax(fmax(in->floor, in->resolution / 4), 0.001);
    double room = fmax(log(in->span / shortest), 1);
    double likelihood = 0;
    for (int turn = 0; turn < BELL_TURNS; turn++)
        likelihood = bell_turn(in, step, room, b);
    /* A bound is as near to the outermost interval as it can be, and costs twice as much. */
    return likelihood - BELL_PRICE - (b->high > 0 ? 3 : 2) * log((double)in->n);
}

static void bell_describe(const struct timing_intervals *in, const struct bell *b,
                          struct timing_fit *out)
{
    bool even = b->high > 0;
    out->low = even ? b->low : fmax(b->mean - 2 * b->spread, b->mean / 10);
    out->high = even ? b->high : b->mean + 2 * b->spread;
    for (size_t i = 0; i < in->n; i++) {
        double waits = fmax(floor(in->x[i] / b->mean + 0.5), 1);
        double off = fabs(in->x[i] - waits * b->mean) / (b->spread * sqrt(waits));
        if (waits > BELL_WAITS) {
            out->n_pauses++;
        } else if (off > 4) {
            out->n_extra++;
        } else if (waits < 1.5) {
            out->n_core++;
        } else {
            out->n_multiple++;
            out->n_missed += (size_t)waits - 1;
        }
    }
}

bool timing_fit_bell(const struct timing_intervals *in, const struct timing_fit *around,
                     double needed, struct timing_fit *out)
{
    struct bell bell;
    if (in->n < BELL_LEAST || !bell_begin(in, around, &bell))
        return false;
    struct bell even = bell;
    even.low = around->low;
    even.high = around->high;
    even.mean = (even.low + even.high) / 2;
    even.spread = (even.high - even.low) / sqrt(12);
    double likelihood = bell_maximise(in, &bell);
    if (bell.spread > BELL_SPREAD * bell.mean)
        likelihood = -INFINITY;
    double of_even = bell_maximise(in, &even);
    if (fmax(likelihood, of_even) <= needed)
        return false;
    *out = (struct timing_fit){.likelihood = fmax(likelihood, of_even)};
    out->core = out->likelihood;
    bell_describe(in, of_even > likelihood ? &even : &bell, out);
    return true;
}
