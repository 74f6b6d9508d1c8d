/* What intervals look like where something waits: an undisturbed one lies between two bounds.
 * Sleeps with jitter (T*(1 - j*U), T*(1 +- j*U)), and clocks with a little delay, are all bounded;
 * what differs is how far apart the bounds are.
 *
 * The law of an interval is uniform on [r*T, T]. For r given, the likelihood of the c intervals
 * that lie in such a window, over all T with the prior dT/T, is closed:
 *
 *     integral ((1-r) T)^-c dT/T  from max to min/r  =  (1-r)^-c (max^-c - (min/r)^-c) / c
 *
 * Intervals above the window are multiples (check-ins that are missing) or pauses, those below it
 * come of check-ins that are not the timer's. How many there are of each is given its price by a
 * Dirichlet prior. The sum over a row of r is the evidence for any jitter. */
#include "hunt/timing_fit.h"

#include <math.h>

/* 1 - r: the widths of jitter that are tried, and how much of them is expected. Where there is
 * little jitter, evidence is plenty and can pay; where there is much, each part of it counts. */
static const struct {
    double width, prior;
} widths[] = {
    {0.002, 0.02}, {0.006, 0.02}, {0.015, 0.02}, {0.035, 0.02}, {0.07, 0.02},
    {0.12, 0.03},  {0.2, 0.03},   {0.3, 0.04},   {0.42, 0.05},  {0.55, 0.08},
    {0.68, 0.12},  {0.8, 0.2},    {0.9, 0.27},   {0.95, 0.08},
};
#define N_WIDTHS (sizeof(widths) / sizeof(*widths))

#define REFINE_LEAST 48 /* intervals */
#define REFINE_STEPS 4  /* to each side */

#define MULTIPLES 6 /* five missing check-ins in a row are a pause */

/* Dirichlet: most intervals are undisturbed, a few are not. */
enum { KIND_CORE, KIND_MULTIPLE, KIND_PAUSE, KIND_EXTRA, N_KINDS };
static const double expected[N_KINDS] = {12, 1, 0.5, 0.7};

static double core_likelihood(double n, double low, double high, double ratio)
{
    double room = log(low / ratio) - log(high);
    if (room <= 0)
        return -INFINITY;
    return -n * log(1 - ratio) - log(n) - n * log(high) + log1p(-exp(-n * room));
}

static double multiple_density(double x, double low, double high, unsigned times)
{
    double width = high - low;
    double middle = times * (low + high) / 2;
    static const double shares[MULTIPLES - 1] = {0.6, 0.24, 0.096, 0.0384, 0.01536};
    double share = shares[times - 2];
    if (times == 2) {
        double off = fabs(x - middle);
        return off < width ? share * (width - off) / (width * width) : 0;
    }
    double variance = times * width * width / 12;
    return share * exp(-(x - middle) * (x - middle) / (2 * variance)) / sqrt(6.2831853 * variance);
}

/* The best number of times that the wait fits into x, with its density; 0: none. */
static unsigned best_multiple(double x, double low, double high, double *out_density)
{
    unsigned best = 0;
    *out_density = 0;
    double middle = (low + high) / 2;
    if (x > (MULTIPLES + 1) * high)
        return 0;
    for (unsigned times = 2; times <= MULTIPLES; times++) {
        if (fabs(x - times * middle) > times * (high - low))
            continue;
        double density = multiple_density(x, low, high, times);
        if (density > *out_density) {
            *out_density = density;
            best = times;
        }
    }
    return best;
}

/* What all assignments of n intervals have in common. */
static double assignment_base(double n)
{
    double sum = 0;
    double value = 0;
    for (int k = 0; k < N_KINDS; k++) {
        sum += expected[k];
        value -= timing_lgamma(expected[k]);
    }
    return value + timing_lgamma(sum) - timing_lgamma(sum + n);
}

static double assignment_prior(const double counts[N_KINDS], double n, double base)
{
    double value = base;
    for (int k = 0; k < N_KINDS; k++)
        value += timing_lgamma(expected[k] + counts[k]);
    /* Two in three timers are alone and undisturbed. */
    double disturbed = value + log(1.0 / 3);
    return counts[KIND_CORE] >= n ? fmax(disturbed, log(2.0 / 3)) : disturbed;
}

/* All intervals, of which [first, first + n_core) are undisturbed ones. */
static void whole_likelihood(const struct timing_intervals *in, size_t first, size_t n_core,
                             double ratio, double base, struct timing_fit *out)
{
    double low = fmax(in->x[first] - in->resolution / 2, in->x[first] * 0.5);
    double high = in->x[first + n_core - 1] + in->resolution / 2;
    double counts[N_KINDS] = {0};
    *out = (struct timing_fit){.low = low, .high = high, .n_core = n_core};
    out->core = core_likelihood((double)n_core, low, high, fmin(ratio, low / high * 0.9999));
    counts[KIND_CORE] = (double)n_core;

    double shortest = fmax(in->floor, in->resolution / 4);
    double room_below = fmax(log(low / shortest), 1);
    double room_above = fmax(log(in->span / high), 1);
    out->coverage -= (double)first * log(room_below);
    for (size_t i = 0; i < first; i++)
        out->coverage -= log(in->x[i]);
    counts[KIND_EXTRA] = (double)first;
    out->n_extra = first;
    for (size_t i = first + n_core; i < in->n; i++) {
        double x = in->x[i];
        double pause = 1 / (x * room_above);
        double multiple;
        unsigned times = best_multiple(x, low, high, &multiple);
        if (times && multiple > pause) {
            out->coverage += log(multiple);
            out->n_multiple++;
            out->n_missed += times - 1;
            counts[KIND_MULTIPLE]++;
        } else {
            out->coverage += log(pause);
            out->n_pauses++;
            counts[KIND_PAUSE]++;
        }
    }
    out->price = assignment_prior(counts, (double)in->n, base);
    out->likelihood = out->core + out->coverage + out->price;
}

/* Where most intervals lie within the ratio of each other. */
static size_t fullest_window(const struct timing_intervals *in, double ratio, size_t *out_first)
{
    size_t best = 0;
    double half = in->resolution / 2;
    double each = 1 / ratio;
    *out_first = 0;
    /* Only a fuller one is looked for, so that its end never goes back. */
    for (size_t i = 0; i + best < in->n; i++) {
        double x = in->x[i];
        double limit = (x - half) * each - half;
        size_t end = i + best;
        while (end < in->n && (in->x[end] <= limit || in->x[end] <= x))
            end++;
        if (end - i > best) {
            best = end - i;
            *out_first = i;
        }
    }
    return best;
}

/* What is mostly pauses is no timer, however well the rest of it fits. */
static bool is_explained(const struct timing_intervals *in, const struct timing_fit *fit)
{
    return fit->n_pauses * 4 <= in->n;
}

/* The best fit so far, and the sum of all likelihoods relative to it, by their priors. */
struct widths_sum {
    struct timing_fit best;
    double sum, best_with_prior;
};

static void sum_add(struct widths_sum *all, const struct timing_fit *fit, double prior)
{
    double with_prior = fit->likelihood + log(prior);
    if (with_prior > all->best_with_prior) {
        all->sum *= exp(all->best.likelihood - fit->likelihood);
        all->best_with_prior = with_prior;
        all->best = *fit;
    }
    all->sum += prior * exp(fit->likelihood - all->best.likelihood);
}

/* Where there are many intervals, each pays for a window that is wider than need be: widths between
 * that of the table and its neighbours. */
static void refine(const struct timing_intervals *in, size_t at, double base,
                   struct widths_sum *all)
{
    for (int k = -REFINE_STEPS; k <= REFINE_STEPS; k++) {
        size_t to = k < 0 ? (at > 0 ? at - 1 : 0) : at + 1 < N_WIDTHS ? at + 1 : at;
        size_t first;
        struct timing_fit fit;
        if (k == 0 || to == at)
            continue;
        double width = widths[at].width * pow(widths[to].width / widths[at].width,
                                              fabs((double)k) / (REFINE_STEPS + 1));
        size_t n_core = fullest_window(in, 1 - width, &first);
        if (n_core * 2 < in->n)
            continue;
        whole_likelihood(in, first, n_core, 1 - width, base, &fit);
        if (is_explained(in, &fit))
            sum_add(all, &fit, widths[at].prior / (4 * REFINE_STEPS));
    }
}

void timing_fit_timer(const struct timing_intervals *in, struct timing_fit *out)
{
    struct widths_sum all = {.best = {.likelihood = -INFINITY}, .best_with_prior = -INFINITY};
    double base = 0;
    size_t at = N_WIDTHS;
    /* From the widest on: where that has too few of the intervals, a narrower one has no more. */
    for (size_t k = N_WIDTHS; k > 0; k--) {
        size_t first;
        struct timing_fit fit;
        double ratio = 1 - widths[k - 1].width;
        size_t n_core = fullest_window(in, ratio, &first);
        if (n_core * 2 < in->n)
            break;
        if (k == N_WIDTHS)
            base = assignment_base((double)in->n);
        whole_likelihood(in, first, n_core, ratio, base, &fit);
        if (!is_explained(in, &fit))
            continue;
        double before = all.best_with_prior;
        sum_add(&all, &fit, widths[k - 1].prior);
        at = all.best_with_prior > before ? k - 1 : at;
    }
    if (at < N_WIDTHS && in->n >= REFINE_LEAST)
        refine(in, at, base, &all);
    *out = all.best;
    if (at == N_WIDTHS)
        return;
    double prior = log(all.sum);
    out->price += prior;
    out->likelihood += prior;
}
