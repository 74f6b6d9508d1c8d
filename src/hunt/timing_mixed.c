/* A timer that is not alone on its pair.
 *
 * A timer's interval, uniform on [a, b], has survival S(x) and, seen from anywhere in it, residual
 * survival R(x) = integral of S from x on, over the mean. Where check-ins of two independent
 * processes with rates p and q are mixed, an interval's density is
 *
 *     (p f1 R2 + q f2 R1 + 2 p q S1 S2) / (p + q)
 *
 * in which a process without memory has S = R = exp(-q x) and f = q S: other connections between
 * the same two, a person's for example, and nearly those of a slower timer. The fit takes intervals
 * as if they were independent. Whether the others are a timer too is seen when the first one's are
 * taken out. */
#include "hunt/timing_fit.h"

#include <math.h>
#include <stdlib.h>

#define MIXED_POINTS 400 /* of more intervals every k-th is taken */
#define MIXED_FIRST  80  /* and so many, to see which of the laws are worth more */
#define MIXED_TRIED  6   /* laws that are worth more */
#define MIXED_LEAST  20

#define SUCCESSORS      32 /* that are looked at */
#define SECOND_LEAST    12 /* check-ins */
#define SECOND_EVIDENCE 8

static const double widths[] = {0.004, 0.02, 0.06, 0.12, 0.2, 0.3, 0.42, 0.55, 0.7, 0.82, 0.9};
static const double rates[] = {0.04, 0.1, 0.2, 0.35, 0.6, 1, 1.5};
#define N_OF(table) (sizeof(table) / sizeof(*(table)))

struct timer {
    double low, high, mean;
};

static struct timer timer_of(double low, double high)
{
    return (struct timer){.low = low, .high = high, .mean = (low + high) / 2};
}

static double timer_density(const struct timer *t, double x)
{
    return x >= t->low && x <= t->high ? 1 / (t->high - t->low) : 0;
}

static double timer_survival(const struct timer *t, double x)
{
    if (x <= t->low)
        return 1;
    return x >= t->high ? 0 : (t->high - x) / (t->high - t->low);
}

static double timer_residual(const struct timer *t, double x)
{
    if (x <= t->low)
        return 1 - x / t->mean;
    if (x >= t->high)
        return 0;
    return (t->high - x) * (t->high - x) / (2 * (t->high - t->low) * t->mean);
}

static double mixed_density(const struct timer *t, double rate, double x)
{
    double by = rate / t->mean;
    return exp(-by * x) / (1 + rate) *
           (timer_density(t, x) + 2 * by * timer_survival(t, x) +
            by * by * t->mean * timer_residual(t, x));
}

/* The likelihood of a mixed law for x up to `longest`; what is longer is a pause. */
static double likelihood_of(const struct timing_intervals *in, const struct timer *timer,
                            double rate, size_t max)
{
    size_t step = in->n / max + 1;
    double longest = timer->high;
    double room = fmax(log(in->span / longest), 1);
    size_t n_above = 0;
    size_t n = 0;
    for (size_t i = step / 2; i < in->n; i += step, n++)
        n_above += in->x[i] > longest;
    double share = ((double)n_above + 0.5) / ((double)n + 1);
    if (share > 0.3)
        return -INFINITY;
    double sum = 0;
    for (size_t i = step / 2; i < in->n; i += step) {
        double x = in->x[i];
        double density = mixed_density(timer, rate, x);
        density = (1 - share) * density + share / (x * room) * (x > longest ? 1 : 0.01);
        sum += log(density);
    }
    return sum * (double)in->n / (double)n;
}

/* One law of the tables, and how good it looked at first. */
struct candidate {
    struct timer timer;
    double rate, likelihood;
    size_t n_core;
    size_t n_below, n_above; /* intervals shorter, longer than the timer's */
    double sum;              /* s: of all that are not longer */
};

/* Where most intervals lie within the ratio of each other. */
static void candidate_place(struct candidate *c, const struct timing_intervals *in, double ratio)
{
    double low = 0;
    c->n_core = 0;
    for (size_t i = 0; i + c->n_core < in->n; i++) {
        size_t end = i + c->n_core;
        double limit = in->x[i] + in->resolution;
        while (end < in->n && (end == i || in->x[end] * ratio <= limit))
            end++;
        if (end - i > c->n_core) {
            c->n_core = end - i;
            low = in->x[i];
        }
    }
    c->timer =
        timer_of(low * 0.9995 - in->resolution / 2, low / ratio * 1.0005 + in->resolution / 2);
    c->n_below = c->n_above = 0;
    c->sum = 0;
    for (size_t i = 0; i < in->n; i++) {
        c->n_below += in->x[i] < c->timer.low;
        c->n_above += in->x[i] > c->timer.high;
        c->sum += in->x[i] > c->timer.high ? 0 : in->x[i];
    }
}

/* More than likelihood_of gives: each interval at the place of its kind where the density is the
 * greatest, but for the others' exponential, which is known for all together. */
static double likelihood_bound(const struct candidate *c, const struct timing_intervals *in)
{
    double n = (double)in->n;
    double n_inside = n - (double)c->n_below - (double)c->n_above;
    double by = c->rate / c->timer.mean;
    double room = fmax(log(in->span / c->timer.high), 1);
    double share = ((double)c->n_above + 0.5) / (n + 1);
    double pause = 0.01 * share / room * exp(by * c->timer.high);
    double both = 2 * by + by * by * c->timer.mean;
    double inside = (1 - share) / (1 + c->rate) * (1 / (c->timer.high - c->timer.low) + both);
    double below = (1 - share) / (1 + c->rate) * both;
    double bound = n_inside * log(inside + pause / c->timer.low) - by * c->sum;
    if (c->n_below)
        bound += (double)c->n_below * log(below + pause / fmax(in->x[0], in->resolution / 4));
    if (c->n_above)
        bound += (double)c->n_above * log(share / (c->timer.high * room));
    /* What is said of some of them is less sure. */
    return bound + (in->n > MIXED_POINTS ? 0.05 * n : 0);
}

static void candidates_keep(struct candidate *best, struct candidate candidate)
{
    for (int i = 0; i < MIXED_TRIED; i++) {
        if (candidate.likelihood > best[i].likelihood) {
            struct candidate other = best[i];
            best[i] = candidate;
            candidate = other;
        }
    }
}

bool timing_fit_mixed(const struct timing_intervals *in, double needed, struct timing_fit *out)
{
    if (in->n < MIXED_LEAST)
        return false;
    struct candidate best[MIXED_TRIED];
    for (int i = 0; i < MIXED_TRIED; i++)
        best[i].likelihood = -INFINITY;
    double price = 2.5 * log((double)in->n) + log((double)(N_OF(widths) * N_OF(rates)));
    for (size_t k = 0; k < N_OF(widths); k++) {
        struct candidate candidate;
        candidate_place(&candidate, in, 1 - widths[k]);
        if (candidate.n_core < 5 || candidate.timer.low <= 0)
            continue;
        for (size_t r = 0; r < N_OF(rates); r++) {
            candidate.rate = rates[r];
            if (likelihood_bound(&candidate, in) - price < needed)
                continue;
            candidate.likelihood = likelihood_of(in, &candidate.timer, rates[r], MIXED_FIRST);
            candidates_keep(best, candidate);
        }
    }
    double most = -INFINITY;
    for (int i = 0; i < MIXED_TRIED && best[i].likelihood > -INFINITY; i++) {
        double rate = best[i].rate;
        double likelihood = likelihood_of(in, &best[i].timer, rate, MIXED_POINTS);
        if (likelihood <= most)
            continue;
        most = likelihood;
        *out = (struct timing_fit){.low = best[i].timer.low, .high = best[i].timer.high};
        out->n_core = best[i].n_core;
        out->extra_rate = rate;
        out->n_extra = (size_t)((double)in->n * rate / (1 + rate));
    }
    if (most - price <= needed)
        return false;
    for (size_t i = in->n; i > 0 && in->x[i - 1] > out->high; i--)
        out->n_pauses++;
    out->price = -price;
    out->core = most;
    out->likelihood = out->core + out->price;
    return true;
}

/* An event in the window after `t[at]`, the one that has a successor itself where there are
 * several; `n`: there is none. */
static size_t successor(const double *t, size_t n, size_t at, double low, double high, bool look)
{
    size_t best = n;
    size_t end = n - at > SUCCESSORS ? at + SUCCESSORS : n;
    for (size_t i = at + 1; i < end && t[i] <= t[at] + high; i++) {
        if (t[i] < t[at] + low)
            continue;
        if (best == n)
            best = i;
        if (look && successor(t, n, i, low, high, false) < n)
            return i;
    }
    return best;
}

/* Follows the first timer from event to event; those that are passed over are left. */
static size_t left_over(const double *t, size_t n, double low, double high, double *out)
{
    size_t n_left = 0;
    for (size_t at = 0; at < n;) {
        size_t next = successor(t, n, at, low, high, true);
        size_t end = next < n ? next : at + 1;
        for (size_t i = at + 1; i < end; i++)
            out[n_left++] = t[i];
        at = end;
    }
    return n_left;
}

bool timing_fit_second(const double *t, size_t n, double resolution, struct timing_fit *inout)
{
    double slack = 0.02 * (inout->high - inout->low) + 2 * resolution;
    double *left = malloc(2 * n * sizeof(*left));
    if (!left)
        return false;
    size_t n_left = left_over(t, n, inout->low - slack, inout->high + slack, left);
    bool found = false;
    if (n_left >= SECOND_LEAST) {
        for (size_t i = 0; i + 1 < n_left; i++)
            left[i] = fmax(left[i + 1] - left[i], resolution);
        timing_sort(left, n_left - 1, left + n);
        struct timing_intervals in = {.x = left, .n = n_left - 1, .resolution = resolution};
        in.span = t[n - 1] - t[0] + 1;
        struct timing_fit fit;
        double chance;
        timing_fit_timer(&in, &fit);
        found = timing_fit_chance(&in, &chance) && fit.likelihood > chance + SECOND_EVIDENCE;
        if (found) {
            inout->second_low = fit.low;
            inout->second_high = fit.high;
        }
    }
    free(left);
    return found;
}
