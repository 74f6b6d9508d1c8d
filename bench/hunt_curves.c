/* How often the judgement of beacons is right: made-up timers of all sorts that are found, and
 * other traffic that is, by the number of check-ins. Prints the tables of doc/beacons.md.
 *
 *     hunt_curves found RUNS      timers: share that is found
 *     hunt_curves false RUNS      other traffic: found of 10,000, and how sure that is
 *     hunt_curves days RUNS       whole days: ours, RITA's beacon score, and the index B
 *     hunt_curves limit RUNS      what any test can tell of a sleep with 90 % jitter
 *     hunt_curves cost RUNS       microseconds for a pair */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hunt/rita_score.h"
#include "hunt/timing_bed.h"

#define EVENTS_MAX 200000
#define FOUND      0.8
#define FIRST_SEED 1000000 /* not those that the unit tests use */

static struct timing_event events[EVENTS_MAX];

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Clopper and Pearson's upper bound (97.5 %) of k of n, by bisection. */
static double upper_of(double k, double n)
{
    double low = k / n;
    double high = 1;
    for (int turn = 0; turn < 60; turn++) {
        double p = (low + high) / 2;
        double sum = 0;
        for (double i = 0; i <= k; i++)
            sum += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) +
                       (n - i) * log1p(-p));
        if (sum > 0.025)
            low = p;
        else
            high = p;
    }
    return high;
}

static const size_t sizes[] = {6, 8, 12, 16, 24, 32, 40, 48, 96, 200, 600};
#define MANY    24 /* with more check-ins, a quarter of the runs */
#define N_SIZES (sizeof(sizes) / sizeof(*sizes))

static void print_head(const char *what)
{
    printf("| %s |", what);
    for (size_t i = 0; i < N_SIZES; i++)
        printf(" %zu |", sizes[i]);
    printf("\n|---|");
    for (size_t i = 0; i < N_SIZES; i++)
        printf("---|");
    printf("\n");
}

static long n_found(const struct bed_kind *kind, size_t n_checkins, long runs)
{
    long found = 0;
    for (long run = 0; run < runs; run++) {
        int64_t from;
        int64_t to;
        uint64_t seed = FIRST_SEED + (uint64_t)run;
        size_t n = bed_make(kind, seed, n_checkins, events, EVENTS_MAX, &from, &to);
        struct timing timing;
        timing_judge(events, n, from, to, &timing);
        found += timing.score >= FOUND;
    }
    return found;
}

static void print_found(long runs)
{
    print_head("timers: % found, by check-ins");
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        if (!kind->is_timer || kind->whole)
            continue;
        printf("| %s |", kind->name);
        for (size_t i = 0; i < N_SIZES; i++) {
            long found = n_found(kind, sizes[i], runs);
            printf(" %.4g |", 100.0 * (double)found / (double)runs);
        }
        printf("\n");
        fflush(stdout);
    }
}

static void print_false(long runs)
{
    long sums[N_SIZES] = {0};
    long all[N_SIZES] = {0};
    print_head("others: found of 10,000 (at most, 97.5 % sure)");
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        if (kind->is_timer || kind->whole)
            continue;
        printf("| %s%s |", kind->name, kind->borderline ? " (borderline)" : "");
        for (size_t i = 0; i < N_SIZES; i++) {
            long turns = sizes[i] <= MANY ? runs : runs / 4;
            long found = n_found(kind, sizes[i], turns);
            sums[i] += kind->borderline ? 0 : found;
            all[i] += kind->borderline ? 0 : turns;
            printf(" %.2g (%.2g) |", 1e4 * (double)found / (double)turns,
                   1e4 * upper_of((double)found, (double)turns));
            fflush(stdout);
        }
        printf("\n");
    }
    printf("| all of them |");
    for (size_t i = 0; i < N_SIZES; i++)
        printf(" %.2g (%.2g) |", 1e4 * (double)sums[i] / (double)all[i],
               1e4 * upper_of((double)sums[i], (double)all[i]));
    printf("\n");
}

/* The index B: how far intervals stay within a quarter and twice of their median. */
static double index_b(size_t n)
{
    double *x = malloc((n + 1) * sizeof(*x));
    size_t n_x = 0;
    if (!x || n < 3) {
        free(x);
        return 0;
    }
    for (size_t i = 1; i < n; i++)
        x[i - 1] = (double)(events[i].ts - events[i - 1].ts) / 1000;
    qsort(x, n - 1, sizeof(*x), compare_double);
    double gap = fmax(1, 0.1 * x[(n - 1) * 3 / 4]);
    int64_t last = events[0].ts;
    for (size_t i = 1; i < n; i++) {
        if ((double)(events[i].ts - events[i - 1].ts) / 1000 <= gap)
            continue;
        x[n_x++] = (double)(events[i].ts - last) / 1000;
        last = events[i].ts;
    }
    double low = 0;
    double high = 0;
    qsort(x, n_x, sizeof(*x), compare_double);
    for (size_t i = 0; i < n_x; i++) {
        low += x[i] < x[n_x / 2] / 4;
        high += x[i] > 2 * x[n_x / 2];
    }
    free(x);
    if (n_x < 5)
        return 0;
    return fmax(0, 1 - (low / (double)n_x / 0.159 + high / (double)n_x / 0.25) / 2);
}

static double rita_of(size_t n, int64_t from, int64_t to)
{
    int64_t *ts = malloc(2 * (n + 1) * sizeof(*ts));
    if (!ts)
        return 0;
    int64_t *bytes = ts + n;
    for (size_t i = 0; i < n; i++) {
        ts[i] = events[i].ts / 1000;
        bytes[i] = events[i].up;
    }
    qsort(ts, n, sizeof(*ts), compare_i64);
    struct rita_beacon rita = {0};
    struct err err;
    if (rita_beacon(ts, n, bytes, n, from / 1000, to / 1000, &rita, &err) != 0)
        rita.score = 0;
    free(ts);
    return rita.score;
}

static void print_days(long runs)
{
    printf("| traffic | events | found: ours | RITA's >= 0.8 | B >= 0.8 | RITA's, mean | B, mean "
           "|\n|---|---|---|---|---|---|---|\n");
    for (const struct bed_kind *kind = bed_kinds; kind->name; kind++) {
        double found[3] = {0};
        double sum[3] = {0};
        for (long run = 0; run < runs; run++) {
            int64_t from;
            int64_t to;
            uint64_t seed = FIRST_SEED + (uint64_t)run;
            size_t n = bed_make(kind, seed, 0, events, EVENTS_MAX, &from, &to);
            struct timing timing;
            timing_judge(events, n, from, to, &timing);
            /* RITA looks at one day, ending with the newest. */
            int64_t begin = to - from > 86400000 ? to - 86400000 : from;
            size_t old = 0;
            while (old < n && events[old].ts < begin)
                old++;
            double b = index_b(n);
            n -= old;
            memmove(events, events + old, n * sizeof(*events));
            /* What it sees is a day of a network, not the life of the pair. */
            double rita = rita_of(n, begin, begin + 86400000);
            sum[0] += (double)n;
            sum[1] += rita;
            sum[2] += b;
            found[0] += timing.score >= FOUND;
            found[1] += rita >= FOUND;
            found[2] += b >= FOUND;
        }
        double all = (double)runs;
        printf("| %s%s | %.0f | %.4g %% | %.4g %% | %.4g %% | %.2f | %.2f |\n", kind->name,
               kind->is_timer     ? ""
               : kind->borderline ? " (borderline)"
                                  : " (none)",
               sum[0] / all, 100 * found[0] / all, 100 * found[1] / all, 100 * found[2] / all,
               sum[1] / all, sum[2] / all);
        fflush(stdout);
    }
}

/* The most powerful test that does not know the scale: the likelihood of U[T/10, T] against that of
 * an exponential law, both over all scales. */
static double best_statistic(const double *x, size_t n)
{
    double most = 0;
    double least = INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, x[i]);
        least = fmin(least, x[i]);
        sum += x[i];
    }
    double k = (double)n;
    double room = 1 - exp(k * (log(most) - log(least / 0.1)));
    if (room <= 0)
        return -INFINITY;
    return -k * log(0.9) - log(k) - k * log(most) + log(room) + k * log(sum) - lgamma(k);
}

static void print_limit(long runs)
{
    struct bed bed = {.random = FIRST_SEED};
    double *values = malloc((size_t)runs * sizeof(*values));
    if (!values)
        return;
    printf("| check-ins | found at 1 false of 10,000, at most |\n|---|---|\n");
    for (size_t checkins = 12; checkins <= 40; checkins += 4) {
        double x[64];
        for (long run = 0; run < runs; run++) {
            for (size_t i = 0; i + 1 < checkins; i++)
                x[i] = -log(bed_uniform(&bed));
            values[run] = best_statistic(x, checkins - 1);
        }
        qsort(values, (size_t)runs, sizeof(*values), compare_double);
        double bound = values[runs - 1 - runs / 10000];
        long found = 0;
        for (long run = 0; run < runs; run++) {
            for (size_t i = 0; i + 1 < checkins; i++)
                x[i] = 1 - 0.9 * bed_uniform(&bed);
            found += best_statistic(x, checkins - 1) > bound;
        }
        printf("| %zu | %.2f %% |\n", checkins, 100.0 * (double)found / (double)runs);
    }
    free(values);
}

static void print_cost(long runs)
{
    static const size_t counts[] = {5, 12, 24, 100, 1000, 10000, 86400};
    printf("| traffic, us for a pair with events |");
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        printf(" %zu |", counts[i]);
    printf("\n");
    static const char *const names[] = {"sleep, jitter 25 %", "sleep, jitter 90 %",
                                        "random, random sizes", "browsing"};
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        printf("| %s |", names[k]);
        for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
            long turns = counts[i] > 1000 ? 3 : runs;
            double spent = 0;
            for (long run = 0; run < turns; run++) {
                int64_t from;
                int64_t to;
                size_t n = bed_make(bed_kind_of(names[k]), FIRST_SEED + (uint64_t)run, counts[i],
                                    events, EVENTS_MAX, &from, &to);
                struct timing timing;
                clock_t begin = clock();
                timing_judge(events, n, from, to, &timing);
                spent += (double)(clock() - begin) / CLOCKS_PER_SEC;
            }
            printf(" %.3g |", spent * 1e6 / (double)turns);
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    long runs = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
    if (argc > 1 && runs > 0 && strcmp(argv[1], "found") == 0)
        print_found(runs);
    else if (argc > 1 && runs > 0 && strcmp(argv[1], "false") == 0)
        print_false(runs);
    else if (argc > 1 && runs > 0 && strcmp(argv[1], "days") == 0)
        print_days(runs);
    else if (argc > 1 && runs >= 10000 && strcmp(argv[1], "limit") == 0)
        print_limit(runs);
    else if (argc > 1 && runs > 0 && strcmp(argv[1], "cost") == 0)
        print_cost(runs);
    else
        return fprintf(stderr, "usage: hunt_curves found|false|days|limit|cost RUNS\n"), 2;
    return 0;
}
