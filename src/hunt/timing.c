/* The judgement: which events are one check-in, which part of the time is looked at, which law fits
 * best, and what that is worth. The laws are in timing_chance.c (nothing waits), timing_timer.c,
 * timing_bell.c, timing_mixed.c and timing_clock.c (something does); doc/beacons.md says how often it
 * is wrong. */
#include "hunt/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hunt/timing_judging.h"

/* The evidence at which a pair is as likely a timer as not, and how fast that changes; from the
 * curves of bench/hunt_curves. */
#define EVIDENCE_EVEN  3.7
#define FEW            28    /* check-ins; each one less has its price */
#define FEW_PRICE      0.1   /* nats */
#define FALSE_AT_ZERO  0.015 /* share of pairs without a timer that reach an evidence of 0 */
#define EVIDENCE_LEAST 1     /* with less it is none: a score below 0.07 */
#define EVIDENCE_SURE  25    /* no better explanation is looked for */

#define MERGES_MAX    6
#define MERGE_MAX     1800 /* s */
#define SLICES_MAX    160  /* parts of the time that are looked at, by their length */
#define SLICE_LEAST   16   /* check-ins; of fewer, a part is found by chance */
#define SLICES_JUDGED 3

static int compare_event(const void *a, const void *b)
{
    const struct timing_event *x = a;
    const struct timing_event *y = b;
    return (x->ts > y->ts) - (x->ts < y->ts);
}

static bool judging_sort(struct judging *j)
{
    bool sorted = true;
    for (size_t i = 1; i < j->n && sorted; i++)
        sorted = j->events[i].ts >= j->events[i - 1].ts;
    if (sorted)
        return true;
    j->sorted = malloc(j->n * sizeof(*j->sorted));
    if (!j->sorted)
        return false;
    memcpy(j->sorted, j->events, j->n * sizeof(*j->sorted));
    qsort(j->sorted, j->n, sizeof(*j->sorted), compare_event);
    j->events = j->sorted;
    return true;
}

/* Whole seconds, or what else the writer rounded to. */
static double resolution_of(const struct timing_event *events, size_t n)
{
    static const int steps[] = {1000, 100, 10};
    for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
        size_t i = 0;
        while (i < n && events[i].ts % steps[k] == 0)
            i++;
        if (i == n)
            return steps[k] / 1000.0;
    }
    return 0.001;
}

/* Times that were rounded fall on few values, which no law expects: what rounding took is given
 * back, by a number that looks random and is the same in the next run. */
static double dither(size_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static bool judging_init(struct judging *j, const struct timing_event *events, size_t n)
{
    *j = (struct judging){.events = events, .n = n};
    if (!judging_sort(j))
        return false;
    j->t = malloc(4 * n * sizeof(*j->t));
    if (!j->t)
        return false;
    j->start = j->t + n;
    j->x = j->start + n;
    j->spare = j->x + n;
    j->resolution = resolution_of(j->events, n);
    double last = 0;
    for (size_t i = 0; i < n; i++) {
        /* Doubles hold ms to the year 287396, and do not overflow before. */
        double t = ((double)j->events[i].ts - (double)j->events[0].ts) / 1000;
        t += dither(i) * j->resolution;
        if (t < last)
            t = last; /* two events of one tick */
        j->t[i] = last = t;
    }
    return true;
}

static void judging_done(struct judging *j)
{
    free(j->t);
    free(j->sorted);
}

static size_t count_checkins(const struct judging *j, const struct look *look)
{
    size_t n = look->end > look->begin;
    for (size_t i = look->begin + 1; i < look->end; i++)
        n += j->t[i] - j->t[i - 1] > look->merge;
    return n;
}

size_t timing_look(struct judging *j, const struct look *look)
{
    size_t n = 0;
    if (j->n_checkins && j->begin == look->begin && j->end == look->end && j->merge == look->merge)
        return j->n_checkins;
    for (size_t i = look->begin; i < look->end; i++)
        if (i == look->begin || j->t[i] - j->t[i - 1] > look->merge)
            j->start[n++] = j->t[i];
    for (size_t i = 1; i < n; i++)
        j->x[i - 1] = j->start[i] - j->start[i - 1];
    if (n > 1)
        timing_sort(j->x, n - 1, j->spare);
    j->begin = look->begin;
    j->end = look->end;
    j->merge = look->merge;
    j->n_checkins = n;
    return n;
}

static struct timing_intervals look_intervals(const struct judging *j, const struct look *look,
                                              size_t n_checkins)
{
    return (struct timing_intervals){.x = j->x,
                                     .n = n_checkins - 1,
                                     .floor = look->merge,
                                     .resolution = j->resolution,
                                     .span = fmax(j->span, j->start[n_checkins - 1])};
}

/* A timer in name only: what is explained must be most of it. */
static bool fit_is_regular(const struct timing_fit *fit, size_t n_intervals)
{
    size_t regular = fit->n_core + fit->n_multiple;
    return fit->likelihood > -INFINITY && (double)fit->n_pauses <= 0.25 * (double)n_intervals &&
           (regular * 2 >= n_intervals || fit->extra_rate > 0);
}

/* Small effects in large numbers are not timers but laws that nobody thought of: each interval has
 * to bring its part. A sleep with 90 % jitter brings 0.45 nats. */
static double evidence_of(double difference, size_t n_intervals)
{
    double each = difference / (double)n_intervals;
    return each >= 0.12 || each <= 0 ? difference : difference * each / 0.12;
}

/* By a law that is no law of single intervals: its evidence is against chance already. */
static void verdict_replace(struct verdict *verdict, double evidence, double low, double high)
{
    double core = evidence + verdict->look.price;
    verdict->fit = (struct timing_fit){.core = core, .likelihood = core, .low = low, .high = high};
    verdict->chance = 0;
    verdict->evidence = evidence;
}

/* Replaces the fit by another law's that is better by more than a little. */
static bool try_more_laws(const struct timing_intervals *in, bool regular, double least,
                          double needed, struct timing_fit *inout)
{
    struct timing_fit other;
    if (inout->likelihood > -INFINITY &&
        timing_fit_bell(in, inout, regular ? fmax(needed, inout->likelihood + 1) : needed,
                        &other) &&
        fit_is_regular(&other, in->n)) {
        *inout = other;
        regular = true;
    }
    if (!(regular && inout->likelihood - least > 3 * EVIDENCE_SURE) &&
        timing_fit_mixed(in, regular ? fmax(needed, inout->likelihood + 1) : needed, &other) &&
        fit_is_regular(&other, in->n)) {
        *inout = other;
        regular = true;
    }
    return regular;
}

/* False: no memory. */
static bool look_judge(struct judging *j, const struct look *look, bool thorough,
                       struct verdict *out)
{
    *out = (struct verdict){.look = *look, .evidence = -INFINITY};
    size_t n = timing_look(j, look);
    out->n_checkins = n;
    if (n < TIMING_MIN_CHECKINS)
        return true;
    struct timing_intervals in = look_intervals(j, look, n);
    timing_fit_timer(&in, &out->fit);
    double least = timing_chance_least(&in);
    double needed = least + look->price + EVIDENCE_LEAST;
    bool regular = fit_is_regular(&out->fit, in.n);
    if (thorough)
        regular = try_more_laws(&in, regular, least, needed, &out->fit);
    if (regular && out->fit.likelihood > needed) {
        double rest = -INFINITY;
        if (!timing_fit_chance(&in, &out->chance) || !timing_fit_rest(&in, &rest))
            return false;
        /* What would be a timer otherwise. Parts of it, and other ways to look at it, have too few
         * check-ins to show that it rests. */
        j->rests = j->rests || (out->fit.likelihood > out->chance && out->fit.likelihood < rest);
        out->evidence =
            fmin(evidence_of(out->fit.likelihood - out->chance, in.n), out->fit.likelihood - rest) -
            look->price;
        out->chance = fmax(out->chance, rest);
    }
    if (!thorough || out->evidence > EVIDENCE_SURE)
        return true;
    double period;
    double clock = timing_fit_clock(j->start, n, j->resolution, &period) - look->price;
    if (period > 0 && clock > out->evidence + 3) {
        verdict_replace(out, clock, period, period);
        out->clock = period;
    }
    double step;
    double ramp = timing_fit_ramp(j->start, n, j->resolution, &step) - look->price;
    if (step > 0 && ramp > out->evidence) {
        verdict_replace(out, ramp, step * 0.9, step * 1.1);
        out->clock = 0;
        out->ramp = step;
    }
    return true;
}

/* ---- which events are one check-in ---- */

#define VALLEY_BINS 96 /* of a third of ln x, from 1 ms on */

/* How many intervals are in each bin, of those sorted in x and of none in between events of one
 * tick. */
static void count_bins(const struct judging *j, size_t n_ticks, size_t n_events, double *out)
{
    double edge = 0;
    size_t bin = 0;
    out[0] = (double)(n_events - n_ticks);
    for (size_t i = 0; i + 1 < n_ticks; i++) {
        double x = j->x[i] * 1000;
        if (x >= edge) {
            bin = x > 1 ? (size_t)(3 * log(x)) : 0;
            bin = bin < VALLEY_BINS ? bin : VALLEY_BINS - 1;
            edge = bin < VALLEY_BINS - 1 ? exp((double)(bin + 1) / 3) : INFINITY;
        }
        out[bin]++;
    }
}

/* Gaps at which few intervals are, between two heaps: inside a check-in, and between check-ins.
 * The check-ins are those without a gap. */
static size_t find_valleys(const struct judging *j, const struct look *look, size_t n_ticks,
                           double *out, size_t max)
{
    double counts[VALLEY_BINS] = {0};
    count_bins(j, n_ticks, look->end - look->begin, counts);
    double left[VALLEY_BINS];
    double right[VALLEY_BINS];
    double before = 0;
    double after = 0;
    for (int i = 0; i < VALLEY_BINS; i++)
        left[i] = before = fmax(before, counts[i]);
    for (int i = VALLEY_BINS - 1; i >= 0; i--)
        right[i] = after = fmax(after, counts[i]);
    size_t n = 0;
    double total = (double)(look->end - look->begin);
    for (int i = 1; i + 1 < VALLEY_BINS && n < max; i++) {
        double heaps = fmin(left[i - 1], right[i + 1]);
        if (heaps < fmax(2, 0.02 * total) || counts[i] > 0.1 * heaps)
            continue;
        int end = i;
        while (end + 1 < VALLEY_BINS && counts[end + 1] <= 0.1 * heaps)
            end++;
        if (end + 1 == VALLEY_BINS)
            break;
        /* What takes longer is a day's work, not a check-in. */
        double gap = exp((i + end + 1) / 6.0) / 1000;
        if (gap > MERGE_MAX)
            break;
        out[n++] = gap;
        i = end;
    }
    return n;
}

static size_t find_merges(struct judging *j, const struct look *look, double *out)
{
    size_t n = 0;
    struct look plain = *look;
    plain.merge = 0;
    size_t n_ticks = timing_look(j, &plain);
    out[n++] = 0;
    n += find_valleys(j, look, n_ticks, out + n, MERGES_MAX - 2);
    /* Sessions of connections without a valley: what is within a tenth of the longer intervals. */
    if (n_ticks > 4) {
        double usual = j->x[(n_ticks - 1) * 3 / 4];
        if (usual > 10)
            out[n++] = fmin(1, usual / 10);
    }
    return n;
}

/* The best way to see these events; `out` stays what it is where none is better. */
static bool judge_merges(struct judging *j, struct look look, bool thorough, struct verdict *out)
{
    double merges[MERGES_MAX];
    size_t n = find_merges(j, &look, merges);
    size_t seen[MERGES_MAX];
    double price = look.price;
    for (size_t k = 0; k < n; k++) {
        struct verdict verdict;
        look.merge = merges[k];
        look.price = price + (k == 0 ? 0.1 : 1.5 + log((double)n - 1));
        seen[k] = count_checkins(j, &look);
        bool again = false;
        for (size_t i = 0; i < k; i++)
            again = again || seen[i] == seen[k];
        if (again)
            continue;
        if (!look_judge(j, &look, thorough, &verdict))
            return false;
        if (verdict.evidence > out->evidence)
            *out = verdict;
        if (j->rests ||
            (out->evidence > EVIDENCE_SURE && out->fit.n_core * 10 > out->n_checkins * 9))
            break;
    }
    return true;
}

/* Retries that wait twice as long each time are regular, but no timer. */
static bool is_back_off(const struct judging *j)
{
    size_t n_doubled = 0;
    double before = 0;
    for (size_t i = 2; i < j->n; i++) {
        double ratio = (j->t[i] - j->t[i - 1]) / fmax(j->t[i - 1] - j->t[i - 2], 0.001);
        n_doubled += ratio > 1.8 && ratio < 2.3 && before > 1.8 && before < 2.3;
        before = ratio;
    }
    return n_doubled > 2 && n_doubled * 6 > j->n;
}

/* ---- which part of the time ---- */

struct slice {
    size_t begin, end;
    double promise;
};

static void slices_keep(struct slice *best, const struct slice *slice)
{
    for (int i = 0; i < SLICES_JUDGED; i++) {
        if (slice->promise <= best[i].promise)
            continue;
        for (int k = SLICES_JUDGED - 1; k > i; k--)
            best[k] = best[k - 1];
        best[i] = *slice;
        return;
    }
}

/* A timer that lived for an hour or a day on a pair that is used otherwise too. */
static bool judge_slices(struct judging *j, struct verdict *out)
{
    static const double lengths[] = {86400, 10800, 3600};
    struct slice best[SLICES_JUDGED] = {0};
    double all = j->t[j->n - 1];
    double merge = out->look.merge;
    size_t n_tried = 0;
    for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
        if (all < lengths[k] * 1.3 || all / lengths[k] * 2 > SLICES_MAX)
            continue;
        size_t begin = 0;
        size_t end = 0;
        for (double at = 0; at < all; at += lengths[k] / 2) {
            while (begin < j->n && j->t[begin] < at)
                begin++;
            while (end < j->n && j->t[end] < at + lengths[k])
                end++;
            struct slice slice = {.begin = begin, .end = end};
            struct look look = {.begin = begin, .end = end, .merge = merge};
            if (end - begin < SLICE_LEAST)
                continue;
            n_tried++;
            size_t n = timing_look(j, &look);
            if (n < SLICE_LEAST)
                continue;
            struct timing_intervals in = look_intervals(j, &look, n);
            struct timing_fit fit;
            timing_fit_timer(&in, &fit);
            double sum = 0;
            for (size_t i = 0; i < in.n; i++)
                sum += in.x[i];
            double plain = timing_lgamma((double)in.n) - (double)in.n * log(sum);
            slice.promise = fit.likelihood - plain;
            if (slice.promise > EVIDENCE_EVEN + 2)
                slices_keep(best, &slice);
        }
    }
    for (int i = 0; i < SLICES_JUDGED && best[i].promise > 0; i++) {
        struct look look = {.begin = best[i].begin, .end = best[i].end};
        look.price = 2.5 + log((double)n_tried);
        if (!judge_merges(j, look, true, out))
            return false;
    }
    return true;
}

/* ---- all of it ---- */

void timing_judge(const struct timing_event *events, size_t n, int64_t from, int64_t to,
                  struct timing *out)
{
    *out = (struct timing){.n_events = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n};
    out->false_rate = 1e6;
    if (n < TIMING_MIN_CHECKINS)
        return;
    struct judging j;
    struct verdict best = {.evidence = -INFINITY};
    if (!judging_init(&j, events, n))
        goto out;
    j.span = to > from ? ((double)to - (double)from) / 1000 : 0;
    struct look whole = {.end = n, .price = 0.1};
    if (!judge_merges(&j, whole, true, &best))
        goto out;
    if (!j.rests && best.evidence < EVIDENCE_EVEN + 6 && n >= 2 * SLICE_LEAST &&
        !judge_slices(&j, &best))
        goto out;
    if (best.evidence > 0 && best.ramp <= 0 && is_back_off(&j))
        best.evidence = 0;
    if (best.evidence > -INFINITY) {
        timing_describe(&j, &best, out);
        /* Few check-ins have more ways to look regular than the laws know. */
        double few = FEW_PRICE * fmax(FEW - (double)out->n_checkins, 0);
        out->score = 1 / (1 + exp(EVIDENCE_EVEN + few - out->evidence));
        out->false_rate = 1e6 * fmin(1, FALSE_AT_ZERO * exp(few - out->evidence));
    }
out:
    judging_done(&j);
}
