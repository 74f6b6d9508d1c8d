/* A clock on the wall: check-ins at the same minute of the hour, though not in every hour, so that
 * the intervals are all kinds of multiples. The phases of a round period are put on a circle; where
 * there is no clock, n of them have a mean vector of squared length Z / n, and Z is above z with
 * probability exp(-z) (Rayleigh), if they are independent. So check-ins within half a period count
 * as one, at their mean: what a person does within a few minutes is not many witnesses. Half, and
 * not all that lie in one turn of the clock: a page that is loaded while the minute changes would
 * be two, of the same phase. */
#include "hunt/timing_fit.h"

#include <math.h>

/* Longer ones would find that people sleep at night and work by day: 8 h, or 3 h, are parts of 24.
 */
static const double periods[] = {30, 60, 120, 180, 240, 300, 600, 720, 900, 1200, 1800, 3600, 7200};
#define N_PERIODS    (sizeof(periods) / sizeof(*periods))
#define CLOCK_LEAST  8 /* of them apart */
#define CLOCK_ANGLES 128
#define CLOCK_POINTS 4000 /* check-ins that are looked at */
/* A probability is not a likelihood ratio: what the unknown phase and width would cost. */
#define CLOCK_PRICE 6

/* Sines of all angles to a 128th of a turn, which is finer than what is told apart. */
struct circle {
    float x[CLOCK_ANGLES], y[CLOCK_ANGLES];
};

/* Each by turning the one before: a call for each would cost more than what is done with them. */
static void circle_init(struct circle *circle)
{
    static const double turn_x = 0.99879545620517239271; /* of one 128th */
    static const double turn_y = 0.04906767432741801426;
    double x = 1;
    double y = 0;
    for (int i = 0; i < CLOCK_ANGLES; i++) {
        circle->x[i] = (float)x;
        circle->y[i] = (float)y;
        double next = x * turn_x - y * turn_y;
        y = x * turn_y + y * turn_x;
        x = next;
    }
}

static double clock_evidence(const struct circle *circle, const double *t, size_t n, double period)
{
    double x = 0;
    double y = 0;
    double n_witnesses = 0;
    double each = 1 / period;
    for (size_t i = 0; i < n;) {
        double end = t[i] + period / 2;
        double of_x = 0;
        double of_y = 0;
        size_t first = i;
        for (; i < n && t[i] < end; i++) {
            double phase = t[i] * each;
            size_t angle = (size_t)((phase - (double)(int64_t)phase) * CLOCK_ANGLES) % CLOCK_ANGLES;
            of_x += (double)circle->x[angle];
            of_y += (double)circle->y[angle];
        }
        if (i - first > 1) {
            double length = fmax(sqrt(of_x * of_x + of_y * of_y), 1);
            of_x /= length;
            of_y /= length;
        }
        x += of_x;
        y += of_y;
        n_witnesses++;
    }
    if (n_witnesses < CLOCK_LEAST)
        return 0;
    double z = (x * x + y * y) / n_witnesses;
    /* The second term of the series: exp(-z) is too small for few. */
    return z - log1p(fmax((2 * z - z * z) / (4 * n_witnesses), -0.5));
}

double timing_fit_clock(const double *t, size_t n, double resolution, double *out_period)
{
    double best = 0;
    *out_period = 0;
    if (n < CLOCK_LEAST)
        return 0;
    if (n > CLOCK_POINTS)
        n = CLOCK_POINTS;
    struct circle circle;
    circle_init(&circle);
    for (size_t k = 0; k < N_PERIODS; k++) {
        if (periods[k] < 20 * resolution || t[n - 1] - t[0] < CLOCK_LEAST * periods[k])
            continue;
        double evidence = clock_evidence(&circle, t, n, periods[k]);
        if (evidence > best) {
            best = evidence;
            *out_period = periods[k];
        }
    }
    return best > 0 ? best - log((double)N_PERIODS) - CLOCK_PRICE : 0;
}
