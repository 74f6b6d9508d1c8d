/* What is said of a timer that was found: its period and jitter, from when to when, its pauses, its
 * sizes. */
#include <math.h>
#include <stdlib.h>

#include "hunt/timing_judging.h"

#define EVIDENCE_FOUND 5 /* what fewer than one of ten thousand others reach */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Share of the check-ins whose bytes are alike, up and down together: within 2 % and 16 bytes. */
static double share_of_sizes(const struct judging *j, const struct verdict *verdict)
{
    const struct look *look = &verdict->look;
    uint64_t *sizes = malloc(verdict->n_checkins * sizeof(*sizes));
    if (!sizes)
        return 0;
    size_t n = 0;
    for (size_t i = look->begin; i < look->end; i++) {
        if (i == look->begin || j->t[i] - j->t[i - 1] > look->merge)
            sizes[n++] = 0;
        sizes[n - 1] += (uint64_t)j->events[i].up + j->events[i].down;
    }
    qsort(sizes, n, sizeof(*sizes), compare_u64);
    size_t best = 0;
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        while (end < n && sizes[end] <= sizes[i] + sizes[i] / 50 + 16)
            end++;
        if (end - i > best)
            best = end - i;
    }
    /* All of them empty say nothing. */
    double share = sizes[n - 1] == 0 ? 0 : (double)best / (double)n;
    free(sizes);
    return share;
}

/* The bounds of an undisturbed interval, as the nth part of them suggests. */
static void describe_period(const struct judging *j, const struct verdict *verdict,
                            struct timing *out)
{
    const struct timing_fit *fit = &verdict->fit;
    double low = fit->low;
    double high = fit->high;
    size_t first = 0;
    size_t n = verdict->n_checkins - 1;
    while (first < n && j->x[first] < fit->low)
        first++;
    size_t end = first;
    while (end < n && j->x[end] <= fit->high)
        end++;
    size_t count = end - first;
    double sum = 0;
    for (size_t i = first; i < end; i++)
        sum += j->x[i];
    if (count >= 40) {
        double early = j->x[first + count / 20];
        double late = j->x[first + count - 1 - count / 20];
        double more = (late - early) / 18;
        low = early - more;
        high = late + more;
    } else if (count >= 3) {
        double more = (j->x[end - 1] - j->x[first]) / (double)(count - 1);
        low = j->x[first] - more;
        high = j->x[end - 1] + more;
    }
    out->period = count > 0 ? sum / (double)count : (low + high) / 2;
    out->jitter = fmax(fmin((high - low) / 2 / out->period, 1), 0);
    /* Below what the clock resolves there is no jitter to speak of. */
    if (high - low < 2.5 * j->resolution)
        out->jitter = 0;
}

static void describe_time(struct judging *j, const struct verdict *verdict, struct timing *out)
{
    size_t n = verdict->n_checkins;
    out->first = j->events[verdict->look.begin].ts;
    out->last = j->events[verdict->look.end - 1].ts;
    double length = j->start[n - 1] - j->start[0];
    double paused = 0;
    double pause =
        verdict->clock > 0 || verdict->ramp > 0 ? INFINITY : 4.5 * out->period * (1 + out->jitter);
    for (size_t i = n - 1; i > 0 && j->x[i - 1] > pause; i--) {
        paused += j->x[i - 1];
        out->n_pauses++;
    }
    out->active_share = length > 0 ? 1 - paused / length : 1;
    double seen = ((double)out->last - (double)out->first) / 1000;
    out->window = seen <= 3600 ? 3600000 : seen <= 86400 ? 86400000 : 7 * (int64_t)86400000;
}

/* Extra check-ins may be those of another timer, whose period is then known too. */
static void describe_second(const struct judging *j, const struct verdict *verdict,
                            struct timing *out)
{
    struct timing_fit fit = verdict->fit;
    if (fit.n_extra * 12 < verdict->n_checkins ||
        !timing_fit_second(j->start, verdict->n_checkins, j->resolution, &fit))
        return;
    out->second_period = (fit.second_low + fit.second_high) / 2;
    out->second_jitter = (fit.second_high - fit.second_low) / (2 * out->second_period);
    out->kind = TIMING_TWO_TIMERS;
}

void timing_describe(struct judging *j, const struct verdict *verdict, struct timing *out)
{
    size_t n = timing_look(j, &verdict->look);
    const struct timing_fit *fit = &verdict->fit;
    out->n_checkins = (uint32_t)n;
    out->n_per_checkin = (double)(verdict->look.end - verdict->look.begin) / (double)n;
    out->n_missed = (uint32_t)fit->n_missed;
    if (verdict->clock > 0)
        out->period = verdict->clock;
    else
        describe_period(j, verdict, out);
    describe_time(j, verdict, out);
    out->kind = verdict->clock > 0  ? TIMING_CLOCK
                : verdict->ramp > 0 ? TIMING_RAMP
                : out->period < 5   ? TIMING_FAST
                                    : TIMING_TIMER;
    if (verdict->clock <= 0 && verdict->ramp <= 0)
        describe_second(j, verdict, out);

    out->size_share = share_of_sizes(j, verdict);
    /* Equal sizes go with a timer, but say nothing alone: they make surer what the times say. */
    double most = fmax(fmin(0.15 * (verdict->evidence - EVIDENCE_FOUND), 2), 0);
    out->of_sizes = most * fmax(out->size_share - 0.3, 0) / 0.7;
    out->of_coverage = fit->coverage;
    out->of_price = fit->price - verdict->look.price;
    out->evidence = verdict->evidence + out->of_sizes;
    /* The null's likelihood is that of all intervals, so it is taken from what the timer's law says
     * of them; and the others' from what is left. */
    out->of_intervals = out->evidence - out->of_sizes - out->of_coverage - out->of_price;
}
