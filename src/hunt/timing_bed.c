/* Made-up check-ins: see timing_bed.h. */
#include "hunt/timing_bed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY        86400.0
#define BED_ORIGIN 1700000000000 /* ms */

/* The kind's numbers reach its function behind the bed. */
struct run {
    struct bed bed; /* first */
    const struct bed_kind *kind;
};

double bed_uniform(struct bed *bed)
{
    bed->random += 0x9e3779b97f4a7c15u;
    uint64_t z = bed->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double between(struct bed *bed, double low, double high)
{
    return low + (high - low) * bed_uniform(bed);
}

static double log_between(struct bed *bed, double low, double high)
{
    return exp(between(bed, log(low), log(high)));
}

static double exponential(struct bed *bed, double mean)
{
    return -mean * log(bed_uniform(bed));
}

/* A number of things, `least` and `mean` more. */
static int some(struct bed *bed, int least, double mean)
{
    double more = exponential(bed, mean);
    return least + (int)more;
}

static double normal(struct bed *bed)
{
    return sqrt(-2 * log(bed_uniform(bed))) * cos(6.283185307179586 * bed_uniform(bed));
}

static double pareto(struct bed *bed, double least, double shape)
{
    return least * pow(bed_uniform(bed), -1 / shape);
}

/* False: there is no more to make. */
static bool put(struct bed *bed, double t, uint32_t up, uint32_t down)
{
    if (bed->n == bed->max || (!bed->wanted && t > bed->length))
        return false;
    bed->events[bed->n++] =
        (struct timing_event){.ts = BED_ORIGIN + (int64_t)(t * 1000), .up = up, .down = down};
    return bed->n < bed->max;
}

static const struct bed_kind *kind_of(const struct bed *bed)
{
    return ((const struct run *)(const void *)bed)->kind;
}

static bool enough(const struct bed *bed, size_t n)
{
    return bed->wanted && n >= bed->wanted;
}

static double sleep_of(struct bed *bed, double period)
{
    return period * (1 - kind_of(bed)->jitter * bed_uniform(bed));
}

static double delay(struct bed *bed)
{
    return 0.02 + exponential(bed, 0.05); /* what asking and answering takes */
}

static uint32_t some_size(struct bed *bed)
{
    double size = fmin(exp(7 + 1.5 * normal(bed)), 4e9);
    return (uint32_t)size;
}

/* ---- timers ---- */

static void make_sleep(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    for (size_t n = 0; !enough(bed, n) && put(bed, t, 512, 1024); n++)
        t += sleep_of(bed, bed->period) + delay(bed);
}

static void make_random_sizes(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    for (size_t n = 0; !enough(bed, n) && put(bed, t, some_size(bed), some_size(bed)); n++)
        t += sleep_of(bed, bed->period) + delay(bed);
}

static void make_plus_minus(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    double jitter = kind_of(bed)->jitter;
    for (size_t n = 0; !enough(bed, n) && put(bed, t, 512, 1024); n++)
        t += bed->period * between(bed, 1 - jitter, 1 + jitter) + delay(bed);
}

static void make_normal(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    for (size_t n = 0; !enough(bed, n) && put(bed, t, 512, 1024); n++)
        t += fmax(bed->period * (1 + kind_of(bed)->jitter * normal(bed)), 0.05);
}

static void make_whole_seconds(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    for (size_t n = 0; !enough(bed, n) && put(bed, floor(t), 512, 1024); n++)
        t += sleep_of(bed, bed->period) + delay(bed);
}

static void make_three_each(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    for (size_t n = 0; !enough(bed, n); n++) {
        double at = t;
        for (int i = 0; i < 3; i++) {
            if (!put(bed, at, 512, 1024))
                return;
            at += between(bed, 0.005, 0.5);
        }
        t += sleep_of(bed, bed->period) + delay(bed);
    }
}

/* Tasks and their results: a random number of requests over the kept connection. */
static void make_many_requests(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    for (size_t n = 0; !enough(bed, n); n++) {
        double at = t;
        int requests = some(bed, 1, 3);
        for (int i = 0; i < requests; i++) {
            if (!put(bed, at, 300, 700))
                return;
            at += 0.02 + exponential(bed, 0.1);
        }
        t = fmax(t + sleep_of(bed, bed->period), at);
    }
}

static void make_missed(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    double share = between(bed, 0.1, 0.3);
    for (size_t n = 0; !enough(bed, n);) {
        if (bed_uniform(bed) >= share) {
            if (!put(bed, t, 512, 1024))
                return;
            n++;
        } else if (t > bed->length * 100) {
            return;
        }
        t += sleep_of(bed, bed->period) + delay(bed);
    }
}

/* Twelve hours of each day, or a few pauses. */
static void make_asleep(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    double night = bed->wanted ? bed->period * between(bed, 10, 30) : DAY / 2;
    double awake = bed->wanted ? bed->period * (double)bed->wanted / 3 : DAY / 2;
    double until = t + awake * bed_uniform(bed);
    for (size_t n = 0; !enough(bed, n) && put(bed, t, 512, 1024); n++) {
        t += sleep_of(bed, bed->period) + delay(bed);
        if (t > until) {
            t += night;
            until = t + awake;
        }
    }
}

static void make_clock(struct bed *bed)
{
    double offset = between(bed, 0, bed->period);
    size_t n = 0;
    for (size_t turn = 0; !enough(bed, n) && turn < 1000000; turn++) {
        if (bed_uniform(bed) < kind_of(bed)->jitter)
            continue;
        if (!put(bed, offset + (double)turn * bed->period + between(bed, 0, 1.5), 512, 1024))
            return;
        n++;
    }
}

/* Sorted by bed_make. */
static void make_two(struct bed *bed)
{
    size_t half = bed->wanted / 2;
    double t = between(bed, 0, bed->period);
    double end = bed->length;
    for (size_t n = 0; (!half || n < half) && put(bed, t, 512, 1024); n++) {
        end = t;
        t += sleep_of(bed, bed->period) + delay(bed);
    }
    double slow = bed->period * 5;
    for (t = between(bed, 0, slow); t < end && put(bed, t, 700, 900);)
        t += sleep_of(bed, slow) + delay(bed);
}

static void make_noisy(struct bed *bed)
{
    double t = between(bed, 0, bed->period);
    double end = bed->length;
    for (size_t n = 0; !enough(bed, n) && put(bed, t, 512, 1024); n++) {
        end = t;
        t += sleep_of(bed, bed->period) + delay(bed);
    }
    double mean = bed->period * 200 / 60;
    for (t = exponential(bed, mean); t < end && put(bed, t, some_size(bed), some_size(bed));)
        t += exponential(bed, mean);
}

/* A wait that grows by a step while there is nothing to do, up to a limit. */
static void make_ramp(struct bed *bed)
{
    double t = 0;
    int step = 1;
    for (size_t n = 0; !enough(bed, n) && put(bed, t, 1289, 2075); n++) {
        t += bed->period * step + 0.008 * bed_uniform(bed);
        step = bed_uniform(bed) < 0.05 || step >= 100 ? 1 : step + 1;
    }
}

/* ---- people ---- */

static void browse(struct bed *bed, double end, double think, double sigma, double apart)
{
    double t = exponential(bed, apart / 2);
    size_t n = 0;
    while (t < end) {
        int pages = some(bed, 1, 8);
        for (int page = 0; page < pages; page++) {
            int parts = some(bed, 1, 4);
            double at = t;
            for (int i = 0; i < parts; i++) {
                if (enough(bed, n++) || !put(bed, at, some_size(bed), some_size(bed)))
                    return;
                at += exponential(bed, 0.15);
            }
            t = fmax(at, t + think * exp(sigma * normal(bed)));
        }
        t += fmin(pareto(bed, apart / 4, 1.2), DAY);
    }
}

static void make_browsing(struct bed *bed)
{
    double end = bed->wanted ? INFINITY : bed->length;
    browse(bed, end, log_between(bed, 8, 60), between(bed, 1, 1.6), log_between(bed, 600, 14400));
}

/* An hour or three of a timer, on a name that is browsed all day. */
static void make_among_browsing(struct bed *bed)
{
    double t = between(bed, 0, bed->length - 3 * 3600);
    double end = t + 3 * 3600;
    while (t < end && put(bed, t, 512, 1024))
        t += sleep_of(bed, bed->period) + delay(bed);
    browse(bed, bed->length, 20, 1.3, 5400);
}

static void make_mail(struct bed *bed)
{
    double median = log_between(bed, 300, 3600);
    double sigma = between(bed, 1, 1.3);
    double t = 0;
    for (size_t n = 0; !enough(bed, n); n++) {
        t += median * exp(sigma * normal(bed));
        if (fmod(t, DAY) > DAY / 2.4)
            t += DAY * 0.58 + exponential(bed, 3600);
        if (!put(bed, t, some_size(bed), some_size(bed)))
            return;
    }
}

static void make_reloads(struct bed *bed)
{
    double t = 0;
    for (size_t n = 0; !enough(bed, n);) {
        t += exponential(bed, 5400);
        int times = some(bed, 1, 6);
        for (int i = 0; i < times && !enough(bed, n); i++, n++) {
            if (!put(bed, t, 600, 4000))
                return;
            t += 3 * exp(1.2 * normal(bed));
        }
    }
}

/* ---- machines without a timer ---- */

static void poisson(struct bed *bed, double mean, bool sized)
{
    double t = exponential(bed, mean);
    for (size_t n = 0; !enough(bed, n); n++) {
        if (!put(bed, t, sized ? 512 : some_size(bed), sized ? 1024 : some_size(bed)))
            return;
        t += exponential(bed, mean);
    }
}

static void make_poisson(struct bed *bed)
{
    poisson(bed, bed->period, false);
}

static void make_poisson_sized(struct bed *bed)
{
    poisson(bed, bed->period, true);
}

static void make_poisson_seconds(struct bed *bed)
{
    poisson(bed, bed->period, true);
    for (size_t i = 0; i < bed->n; i++)
        bed->events[i].ts -= bed->events[i].ts % 1000;
}

static void make_day_night(struct bed *bed)
{
    double depth = between(bed, 0.7, 0.99);
    double t = between(bed, 0, DAY);
    double start = t;
    for (size_t n = 0; !enough(bed, n);) {
        t += exponential(bed, bed->period / 2);
        if (!bed->wanted && t - start > bed->length)
            return;
        if (bed_uniform(bed) > (1 + depth * sin(t / DAY * 6.283185307179586)) / 2)
            continue;
        if (!put(bed, t - start, some_size(bed), some_size(bed)))
            return;
        n++;
    }
}

static void make_random_walk(struct bed *bed)
{
    double level = 0;
    double t = 0;
    for (size_t n = 0; !enough(bed, n); n++) {
        double step = exponential(bed, bed->period * exp(level));
        level += 0.15 * normal(bed);
        level = fmax(fmin(level, 2), -2);
        t += step;
        if (!put(bed, t, 512, 1024))
            return;
    }
}

static void make_heavy_tails(struct bed *bed)
{
    double shape = between(bed, 0.7, 1.2);
    double t = 0;
    for (size_t n = 0; !enough(bed, n); n++) {
        t += pareto(bed, bed->period / 10, shape) - bed->period / 10 * bed_uniform(bed);
        if (!put(bed, t, some_size(bed), some_size(bed)))
            return;
    }
}

static void make_bursts(struct bed *bed)
{
    double t = 0;
    for (size_t n = 0; !enough(bed, n);) {
        t += exponential(bed, 2 * 3600);
        int times = some(bed, 5, 25);
        for (int i = 0; i < times && !enough(bed, n); i++, n++) {
            if (!put(bed, t, some_size(bed), some_size(bed)))
                return;
            t += exponential(bed, 0.1);
        }
    }
}

/* One, two, four, eight seconds ... until it works or is given up. */
static void make_back_off(struct bed *bed)
{
    double t = 0;
    for (size_t n = 0; !enough(bed, n);) {
        t += exponential(bed, 3600);
        double wait = 1;
        int times = 3 + (int)(6 * bed_uniform(bed));
        for (int i = 0; i < times && !enough(bed, n); i++, n++) {
            if (!put(bed, t, 60, 0))
                return;
            t += wait * between(bed, 1, 1.02);
            wait *= 2;
        }
    }
}

/* Jobs at random times, each a run of files of all sizes, one after the other. */
static void make_batch(struct bed *bed)
{
    double t = 0;
    for (size_t n = 0; !enough(bed, n);) {
        t += exponential(bed, 3 * 3600);
        int files = some(bed, 3, 30);
        for (int i = 0; i < files && !enough(bed, n); i++, n++) {
            if (!put(bed, t, some_size(bed), some_size(bed)))
                return;
            t += 0.1 + 2 * exp(1.3 * normal(bed));
        }
    }
}

/* A player fetches ahead, waits till there is room, fetches again; films last minutes to hours. */
static void make_video(struct bed *bed)
{
    double t = 0;
    double segment = between(bed, 2, 10);
    for (size_t n = 0; !enough(bed, n);) {
        t += exponential(bed, 4 * 3600);
        double end = t + log_between(bed, 120, 7200);
        for (int i = 0; t < end && !enough(bed, n); i++, n++) {
            if (!put(bed, t, 600, 400000 + (some_size(bed) % 1000000)))
                return;
            t += i < 6 ? between(bed, 0.2, 1) : segment * between(bed, 0.8, 1.2);
        }
    }
}

/* A kept connection takes all requests until it was idle for a while; then the next one opens
 * another: a least time, and a random rest. `jitter` is the mean of the rest in least times. */
static void make_rest(struct bed *bed)
{
    double t = 0;
    for (size_t n = 0; !enough(bed, n); n++) {
        if (!put(bed, t, some_size(bed), some_size(bed)))
            return;
        t += bed->period + exponential(bed, bed->period * kind_of(bed)->jitter);
    }
}

/* Pages of up to twelve connections, seconds apart, and a time to think in between: more than a
 * page each time the minute changes. */
static void make_pages(struct bed *bed)
{
    double t = 0;
    for (size_t n = 0; !enough(bed, n);) {
        int n_connections = 1 + (int)(12 * bed_uniform(bed));
        for (int i = 0; i < n_connections && !enough(bed, n); i++, n++) {
            if (!put(bed, t, some_size(bed), some_size(bed)))
                return;
            t += exponential(bed, 1.5);
        }
        t += exp(5 + 1.5 * normal(bed));
    }
}

#define H 3600.0

const struct bed_kind bed_kinds[] = {
    {"sleep, no jitter", true, make_sleep, 0},
    {"sleep, jitter 25 %", true, make_sleep, 0.25},
    {"sleep, jitter 50 %", true, make_sleep, 0.5},
    {"sleep, jitter 70 %", true, make_sleep, 0.7},
    {"sleep, jitter 80 %", true, make_sleep, 0.8},
    {"sleep, jitter 90 %", true, make_sleep, 0.9},
    {"jitter 25 %, random sizes", true, make_random_sizes, 0.25},
    {"plus or minus 20 %", true, make_plus_minus, 0.2},
    {"plus or minus 50 %", true, make_plus_minus, 0.5},
    {"normal, sigma 10 %", true, make_normal, 0.1},
    {"normal, sigma 15 %", true, make_normal, 0.15},
    {"every 2 s, jitter 20 %", true, make_sleep, 0.2, 2, 1200},
    {"every 0.5 s, jitter 10 %", true, make_sleep, 0.1, 0.5, 600},
    {"whole seconds, 60 s, jitter 25 %", true, make_whole_seconds, 0.25, 60},
    {"whole seconds, 10 s, no jitter", true, make_whole_seconds, 0, 10},
    {"three connections each, jitter 25 %", true, make_three_each, 0.25, 300},
    {"many requests each, jitter 25 %", true, make_many_requests, 0.25, 300},
    {"10 to 30 % missed, jitter 25 %", true, make_missed, 0.25},
    {"10 to 30 % missed, jitter 50 %", true, make_missed, 0.5},
    {"10 to 30 % missed, no jitter", true, make_missed, 0},
    {"asleep now and then, jitter 25 %", true, make_asleep, 0.25, 60},
    {"asleep now and then, jitter 50 %", true, make_asleep, 0.5, 60},
    {"clock, half its turns", true, make_clock, 0.5, 600},
    {"clock, a third of its turns", true, make_clock, 0.67, 3600, 7 * DAY},
    {"two timers, 60 and 300 s, 20 %", true, make_two, 0.2, 60},
    {"random noise, jitter 25 %", true, make_noisy, 0.25, 60},
    {"random noise, no jitter", true, make_noisy, 0, 60},
    {"3 hours, 60 s, jitter 25 %", true, make_sleep, 0.25, 60, 3 * H, true},
    {"3 hours of 60 s, browsed all day", true, make_among_browsing, 0.25, 60, DAY, true},
    {"4 h sleep, 7 days, jitter 20 %", true, make_sleep, 0.2, 4 * H, 7 * DAY, true},
    {"waits that grow by 0.1 s", true, make_ramp, 0, 0.1, 600},
    {"random, random sizes", false, make_poisson, 0},
    {"random, constant sizes", false, make_poisson_sized, 0},
    {"random, whole seconds", false, make_poisson_seconds, 0},
    {"random, day and night", false, make_day_night, 0},
    {"random, rate wanders", false, make_random_walk, 0},
    {"random, heavy tails", false, make_heavy_tails, 0},
    {"browsing", false, make_browsing, 0},
    {"pages, connections seconds apart", false, make_pages, 0},
    {"reading mail", false, make_mail, 0},
    {"reloading pages", false, make_reloads, 0},
    {"bursts", false, make_bursts, 0},
    {"back-off", false, make_back_off, 0},
    {"batch jobs", false, make_batch, 0},
    {"video", false, make_video, 0, .borderline = true},
    {"kept 60 s, then random, mean 240 s", false, make_rest, 4, 60, .borderline = true},
    {"kept 60 s, then random, mean 120 s", false, make_rest, 2, 60, .borderline = true},
    {"kept 60 s, then random, mean 60 s", false, make_rest, 1, 60, .borderline = true},
    {0},
};

const struct bed_kind *bed_kind_of(const char *name)
{
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return NULL;
}

static int compare_events(const void *a, const void *b)
{
    const struct timing_event *x = a;
    const struct timing_event *y = b;
    return (x->ts > y->ts) - (x->ts < y->ts);
}

size_t bed_make(const struct bed_kind *kind, uint64_t seed, size_t n_checkins,
                struct timing_event *out, size_t max, int64_t *out_from, int64_t *out_to)
{
    struct run run = {.kind = kind};
    struct bed *bed = &run.bed;
    bed->random = seed * 0x2545f4914f6cdd1du + 77;
    bed->events = out;
    bed->max = max;
    bed->wanted = kind->whole ? 0 : n_checkins;
    bed->length = kind->length > 0 ? kind->length : DAY;
    bed->period = kind->period > 0 ? kind->period : log_between(bed, 30, 4 * H);
    /* A day has room for twenty of them. */
    if (!bed->wanted && kind->period <= 0)
        bed->period = log_between(bed, 30, bed->length / 25);
    kind->make(bed);
    qsort(out, bed->n, sizeof(*out), compare_events);
    *out_from = BED_ORIGIN;
    *out_to = BED_ORIGIN + (int64_t)(bed->length * 1000);
    if (bed->n > 0 && out[bed->n - 1].ts >= *out_to)
        *out_to = out[bed->n - 1].ts + 1;
    return bed->n;
}
