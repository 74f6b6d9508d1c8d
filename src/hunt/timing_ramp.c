/* Waits that grow by the same step each time there is nothing to do, and begin anew when there is
 * something: a ramp, as some implants have one (0.1 s, 0.2 s, 0.3 s ... 10 s). No two intervals are
 * alike, and yet each says what the next will be. The evidence is that of so many hits and misses
 * of the step, against the chance to hit it where intervals are drawn at random. */
#include <math.h>
#include <stdlib.h>

#include "hunt/timing_fit.h"

#define RAMP_LEAST 16 /* check-ins */
#define RAMP_PRICE 8  /* nats: the step is taken from the data */

double timing_fit_ramp(const double *t, size_t n, double resolution, double *out_step)
{
    *out_step = 0;
    if (n < RAMP_LEAST)
        return 0;
    double *up = malloc(2 * n * sizeof(*up));
    if (!up)
        return 0;
    size_t n_up = 0;
    double usual = 0;
    for (size_t i = 2; i < n; i++) {
        double step = (t[i] - t[i - 1]) - (t[i - 1] - t[i - 2]);
        usual += fabs(step) / (double)(n - 2);
        if (step > 2 * resolution)
            up[n_up++] = step;
    }
    double evidence = 0;
    if (n_up * 2 > n) {
        timing_sort(up, n_up, up + n);
        double step = up[n_up / 2];
        double width = fmax(0.3 * step, resolution);
        double hits = 0;
        for (size_t i = 2; i < n; i++)
            hits += fabs((t[i] - t[i - 1]) - (t[i - 1] - t[i - 2]) - step) <= width;
        double all = (double)(n - 2);
        double share = fmin(hits / all, 1 - 1 / all);
        /* Differences of random intervals fall off from zero on, as exp(-x / usual) / (2 usual). */
        double chance = fmin(width / usual, 0.9);
        /* A wait that hardly grows is a timer that drifts, and seen as one. */
        double mean = (t[n - 1] - t[0]) / (double)(n - 1);
        if (share > chance && share > 0.5 && step > 0.02 * mean) {
            evidence = all * (share * log(share / chance) +
                              (1 - share) * log((1 - share) / (1 - chance))) -
                       RAMP_PRICE;
            *out_step = step;
        }
    }
    free(up);
    return evidence;
}
