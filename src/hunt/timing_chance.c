/* What intervals look like where nothing waits on a timer.
 *
 * A process without memory gives exponential intervals; day and night, sessions, and think times
 * give mixtures of many such rates and of wide lognormal laws. So the null hypothesis is not one
 * law: it is the best mixture of all exponential laws and of all lognormal laws with sigma 1 (a
 * person's intervals spread by a factor of e and more), its weights by expectation-maximisation.
 * Its likelihood is that of the best fit, so that what it can explain is never a timer. */
#include "hunt/timing_fit.h"

#include <math.h>
#include <stdlib.h>

#define CHANCE_BIN        0.1 /* of ln x: far narrower than any of the laws */
#define CHANCE_STEP       0.7 /* of ln x between the laws of one kind */
#define CHANCE_MAX        80  /* laws */
#define CHANCE_ITERATIONS 12
#define CHANCE_POINTS     512
#define BINS_FROM         100 /* fewer are taken one by one */
/* Random times after a rest of at least this share of it: with less, the rest is a timer, and what
 * follows a delay. With few intervals the two are not told apart, and a timer is the surer guess.
 */
#define REST_SHARE           0.4
#define REST_PRICE           12.0 /* nats */
#define REST_LEAST           96   /* intervals */
#define CHANCE_MIXTURE_PRICE 1.0  /* nats: for its weights */

struct chance {
    double y[CHANCE_POINTS], weight[CHANCE_POINTS];
    size_t n_points;
    double mean[CHANCE_MAX]; /* of an exponential law; 0: a lognormal one */
    double mu[CHANCE_MAX];
    size_t n_laws;
};

static const double root_two_pi = 2.5066282746310002;

/* Intervals above the floor, in bins of ln y. */
static void chance_points(struct chance *c, const struct timing_intervals *in)
{
    double smallest = in->resolution / 4;
    double range =
        log(fmax(in->x[in->n - 1] - in->floor, smallest) / fmax(in->x[0] - in->floor, smallest));
    double bin = fmax(CHANCE_BIN, range / (CHANCE_POINTS - 2));
    double edge = 0;
    for (size_t i = 0; i < in->n; i++) {
        double y = fmax(in->x[i] - in->floor, smallest);
        if (c->n_points == 0 || (y > edge && c->n_points < CHANCE_POINTS)) {
            edge = in->n <= BINS_FROM ? y : y * exp(bin);
            c->weight[c->n_points] = 0;
            c->y[c->n_points++] = 0;
        }
        c->y[c->n_points - 1] += y;
        c->weight[c->n_points - 1] += 1;
    }
    for (size_t i = 0; i < c->n_points; i++)
        c->y[i] /= c->weight[i];
}

static void chance_laws(struct chance *c)
{
    double sum = 0;
    double logs = 0;
    double n = 0;
    for (size_t i = 0; i < c->n_points; i++) {
        sum += c->weight[i] * c->y[i];
        logs += c->weight[i] * log(c->y[i]);
        n += c->weight[i];
    }
    c->mean[0] = sum / n; /* the one law of a process without memory, at its best */
    c->mu[1] = logs / n;
    c->n_laws = 2;
    double low = log(c->y[0]);
    double high = log(c->y[c->n_points - 1]);
    double step = fmax(CHANCE_STEP, (high - low) / (CHANCE_MAX / 2.0 - 4));
    for (double at = low; at < high + step && c->n_laws + 2 <= CHANCE_MAX; at += step) {
        c->mean[c->n_laws++] = exp(at);
        c->mu[c->n_laws++] = at;
    }
}

static double chance_density(double mean, double mu, double y)
{
    if (mean > 0)
        return exp(-y / mean) / mean;
    double z = log(y) - mu;
    return exp(-z * z / 2) / (y * root_two_pi);
}

static void chance_densities(const struct chance *c, double *out)
{
    for (size_t i = 0; i < c->n_points; i++)
        for (size_t k = 0; k < c->n_laws; k++)
            out[i * c->n_laws + k] = chance_density(c->mean[k], c->mu[k], c->y[i]);
}

static double chance_maximise(const struct chance *c, double *densities, double *weights)
{
    double total = 0;
    for (size_t i = 0; i < c->n_points; i++)
        total += c->weight[i];
    for (size_t k = 0; k < c->n_laws; k++)
        weights[k] = k < 2 ? 0.25 : 0.5 / (double)(c->n_laws - 2 > 0 ? c->n_laws - 2 : 1);
    double likelihood = 0;
    for (int turn = 0; turn <= CHANCE_ITERATIONS; turn++) {
        double next[CHANCE_MAX] = {0};
        likelihood = 0;
        for (size_t i = 0; i < c->n_points; i++) {
            const double *row = densities + i * c->n_laws;
            double density = 1e-300;
            for (size_t k = 0; k < c->n_laws; k++)
                density += weights[k] * row[k];
            if (turn == CHANCE_ITERATIONS)
                likelihood += c->weight[i] * log(density);
            double share = c->weight[i] / density / total;
            for (size_t k = 0; k < c->n_laws; k++)
                next[k] += weights[k] * row[k] * share;
        }
        for (size_t k = 0; k < c->n_laws; k++)
            weights[k] = next[k];
    }
    return likelihood;
}

/* One law alone needs no weights. */
static double chance_of_one(const struct chance *c, const double *densities, size_t law)
{
    double likelihood = 0;
    for (size_t i = 0; i < c->n_points; i++)
        likelihood += c->weight[i] * log(densities[i * c->n_laws + law] + 1e-300);
    return likelihood;
}

double timing_chance_least(const struct timing_intervals *in)
{
    double smallest = in->resolution / 4;
    double n = (double)in->n;
    double sum = 0;
    double logs = 0;
    double squares = 0;
    for (size_t i = 0; i < in->n; i++) {
        double y = fmax(in->x[i] - in->floor, smallest);
        double log_y = log(y);
        sum += y;
        logs += log_y;
        squares += log_y * log_y;
    }
    double exponential = -n * log(sum / n) - n;
    /* In bins it may be a little less. */
    double lognormal = -(squares - logs * logs / n) / 2 - logs - n * log(root_two_pi) -
                       (n > BINS_FROM ? 0.001 * n : 0);
    return fmax(exponential, lognormal) - 0.5 * log(fmax(n, 7) / 6.28);
}

bool timing_fit_chance(const struct timing_intervals *in, double *out_likelihood)
{
    struct chance *c = calloc(1, sizeof(*c));
    double *densities = NULL;
    bool done = false;
    if (!c)
        goto out;
    chance_points(c, in);
    chance_laws(c);
    densities = malloc(c->n_points * c->n_laws * sizeof(*densities));
    if (!densities)
        goto out;
    chance_densities(c, densities);
    double weights[CHANCE_MAX];
    double best = chance_maximise(c, densities, weights) - CHANCE_MIXTURE_PRICE;
    best = fmax(best, chance_of_one(c, densities, 0));
    best = fmax(best, chance_of_one(c, densities, 1));
    /* What the scale of the law would cost a law that was not fitted. */
    *out_likelihood = best - 0.5 * log(fmax((double)in->n, 7) / 6.28);
    done = true;
out:
    free(densities);
    free(c);
    return done;
}

bool timing_fit_rest(const struct timing_intervals *in, double *out_likelihood)
{
    *out_likelihood = -INFINITY;
    if (in->n < REST_LEAST)
        return true;
    /* A few may be shorter: of connections that broke. */
    double least = in->x[in->n / 50] * (1 - 1 / (double)in->n);
    double sum = 0;
    for (size_t i = 0; i < in->n; i++)
        sum += fmax(in->x[i] - least, 0);
    if (least <= in->floor || sum / (double)in->n < REST_SHARE * least)
        return true;
    struct chance *c = calloc(1, sizeof(*c));
    if (!c)
        return false;
    struct timing_intervals rest = *in;
    rest.floor = least;
    chance_points(c, &rest);
    /* Exponential laws alone, none of them sharp: any law could be put together of sharp ones. */
    c->mean[c->n_laws++] = sum / (double)in->n;
    for (double mean = REST_SHARE * least; mean < 2 * in->x[in->n - 1] && c->n_laws < CHANCE_MAX;
         mean *= 2)
        c->mean[c->n_laws++] = mean;
    double *densities = malloc(c->n_points * c->n_laws * sizeof(*densities));
    double weights[CHANCE_MAX];
    bool done = densities != NULL;
    if (done) {
        chance_densities(c, densities);
        *out_likelihood =
            chance_maximise(c, densities, weights) - REST_PRICE - 0.5 * log((double)in->n);
    }
    free(densities);
    free(c);
    return done;
}
