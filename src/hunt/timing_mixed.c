/* A timer that is not alone on its pair.
 *
 * A timer's interval, uniform on [a, b], has survival S(x) and, seen from anywhere in it, residual
 * survival R(x) = integral of S from x on, over the mean. Where check-ins of two independent
 * processes with rates p and q are mixed, an interval's density is
 *
 *     (p f1 R2 + q f2 R1 + 2 p q S1 S2) / (p + q)
 *
 * in which a process without memory has S = R = exp(-q x) and f = q S: other connections between
 * the same two, a person's for example. The fit takes intervals as if they were independent. */
#include "hunt/timing_fit.h"

#include <math.h>

#define MIXED_POINTS 400 /* of more intervals every k-th is taken */
#define MIXED_LEAST  20

static const double widths[] = {0.004, 0.02, 0.06, 0.12, 0.2, 0.3, 0.42, 0.55, 0.7, 0.82, 0.9};
static const double rates[] = {0.04, 0.1, 0.2, 0.35, 0.6, 1, 1.5};
static const double ratios[] = {1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30};
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

static double two_density(const struct timer *a, const struct timer *b, double x)
{
    double p = 1 / a->mean;
    double q = 1 / b->mean;
    return (p * timer_density(a, x) * timer_residual(b, x) +
            q * timer_density(b, x) * timer_residual(a, x) +
            2 * p * q * timer_survival(a, x) * timer_survival(b, x)) /
           (p + q);
}

/* The likelihood of a mixed law for x up to `longest`; what is longer is a pause. */
static double likelihood_of(const struct timing_intervals *in, const struct timer *a,
                            const struct timer *b, double rate)
{
    size_t step = in->n / MIXED_POINTS + 1;
    double longest = b ? fmin(a->high, b->high) : a->high;
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
        double density = b ? two_density(a, b, x) : mixed_density(a, rate, x);
        density = (1 - share) * density + share / (x * room) * (x > longest ? 1 : 0.01);
        sum += log(density);
    }
    return sum * (double)in->n / (double)n;
}

static size_t fullest(const struct timing_intervals *in, double ratio, double *out_low)
{
    size_t best = 0;
    size_t end = 0;
    for (size_t i = 0; i < in->n; i++) {
        if (end < i + 1)
            end = i + 1;
        while (end < in->n && in->x[end] * ratio <= in->x[i] + in->resolution)
            end++;
        if (end - i > best) {
            best = end - i;
            *out_low = in->x[i];
        }
    }
    return best;
}

bool timing_fit_mixed(const struct timing_intervals *in, struct timing_fit *out)
{
    double best = -INFINITY;
    if (in->n < MIXED_LEAST)
        return false;
    for (size_t k = 0; k < N_OF(widths); k++) {
        double low = 0;
        double ratio = 1 - widths[k];
        size_t n = fullest(in, ratio, &low);
        struct timer timer = timer_of(low * 0.9995 - in->resolution / 2,
                                      low / ratio * 1.0005 + in->resolution / 2);
        if (n < 5 || timer.low <= 0)
            continue;
        for (size_t r = 0; r < N_OF(rates); r++) {
            double likelihood = likelihood_of(in, &timer, NULL, rates[r]);
            if (likelihood <= best)
                continue;
            best = likelihood;
            *out = (struct timing_fit){.low = timer.low, .high = timer.high, .n_core = n};
            out->extra_rate = rates[r];
            out->n_extra = (size_t)((double)in->n * rates[r] / (1 + rates[r]));
        }
    }
    if (best == -INFINITY)
        return false;
    for (size_t i = in->n; i > 0 && in->x[i - 1] > out->high; i--)
        out->n_pauses++;
    out->price = -2.5 * log((double)in->n) - log((double)(N_OF(widths) * N_OF(rates)));
    out->core = best;
    out->likelihood = out->core + out->price;
    return true;
}

bool timing_fit_two(const struct timing_intervals *in, struct timing_fit *inout)
{
    struct timer first = timer_of(inout->low, inout->high);
    double jitter = first.low / first.high;
    double best = inout->likelihood + 6;
    bool found = false;
    double price = inout->price - log((double)in->n) - log((double)N_OF(ratios));
    for (size_t k = 0; k < N_OF(ratios); k++) {
        struct timer second = timer_of(first.low * ratios[k], first.high * ratios[k]);
        /* The slower one's own jitter may be another: the same, or hardly any. */
        for (int narrow = 0; narrow < 2; narrow++) {
            if (narrow)
                second = timer_of(second.mean * (0.97 + 0.02 * jitter), second.mean * 1.03);
            double likelihood = likelihood_of(in, &first, &second, 0) + price;
            if (likelihood <= best)
                continue;
            best = likelihood;
            found = true;
            inout->likelihood = likelihood;
            inout->core = likelihood - price;
            inout->second_low = second.low;
            inout->second_high = second.high;
            inout->extra_rate = first.mean / second.mean;
        }
    }
    if (found)
        inout->price = price;
    return found;
}
