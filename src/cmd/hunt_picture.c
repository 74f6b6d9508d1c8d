/* Counting what pictures show: see hunt_picture.h. */
#include "cmd/hunt_picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS   INT64_C(3600000)
#define MINUTE_MS INT64_C(60000)
#define STEPS_MAX 5000000

void picture_done(struct picture *picture)
{
    free(picture->seconds);
    free(picture->sizes_up);
    *picture = (struct picture){0};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Few values that come again and again: a bar for each. */
static bool bars_of_values(const double *sorted, size_t n, struct picture_bars *out)
{
    struct picture_bars bars = {.n = 0};
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1]) {
            if (bars.n == PICTURE_BARS)
                return false;
            bars.at[bars.n++] = (struct picture_bar){.from = sorted[i], .to = sorted[i]};
        }
        bars.at[bars.n - 1].n++;
    }
    *out = bars;
    return true;
}

/* Round steps: 1, 2, 5 and their tens. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value)));
    double steps = value / power;
    return power * (steps <= 1 ? 1 : steps <= 2 ? 2 : steps <= 5 ? 5 : 10);
}

/* Equal bars where the values are near each other, growing ones where they are not; the two ends
 * hold what is beyond. */
static void bars_of_ranges(const double *sorted, size_t n, struct picture_bars *out)
{
    double low = sorted[n / 50], high = sorted[n - 1 - n / 50];
    bool grows = low > 0 && high / low > 20;
    double width = high > low ? round_up((high - low) / (PICTURE_BARS - 4)) : 1;
    double ratio = grows ? pow(high / low, 1.0 / (PICTURE_BARS - 2)) : 0;
    double begin = grows ? low : floor(low / width) * width;
    out->n = PICTURE_BARS;
    for (unsigned i = 0; i < PICTURE_BARS; i++) {
        out->at[i].n = 0;
        out->at[i].from = grows ? low * pow(ratio, i) : begin + width * i;
        out->at[i].to = grows ? low * pow(ratio, i + 1) : begin + width * (i + 1);
    }
    for (size_t i = 0, bar = 0; i < n; i++) {
        while (bar + 1 < PICTURE_BARS && sorted[i] >= out->at[bar].to)
            bar++;
        out->at[bar].n++;
    }
    if (sorted[0] < out->at[0].from)
        out->at[0].from = sorted[0];
    while (out->n > 1 && out->at[out->n - 1].n == 0)
        out->n--;
    if (sorted[n - 1] > out->at[out->n - 1].to)
        out->at[out->n - 1].to = sorted[n - 1];
}

static void make_bars(double *values, size_t n, struct picture_bars *out)
{
    *out = (struct picture_bars){.n = 0};
    if (n == 0)
        return;
    qsort(values, n, sizeof *values, by_value);
    if (!bars_of_values(values, n, out))
        bars_of_ranges(values, n, out);
    for (unsigned i = 0; i < out->n; i++)
        if (out->at[i].n > out->most)
            out->most = out->at[i].n;
}

static void count_in(uint32_t *count, uint32_t *most)
{
    if (++*count > *most)
        *most = *count;
}

/* An event is where it began, and as long as it lasted: a long connection is a line, not a dot.
 * `steps` bounds the work. */
static void count_bins(struct picture *p, int64_t begin, int64_t end, size_t *steps)
{
    double length = p->to > p->from ? (double)(p->to - p->from) : 1;
    if (end < p->from)
        return;
    if (begin < p->from)
        begin = p->from;
    int first = (int)((double)(begin - p->from) / length * PICTURE_BINS);
    int last = (int)((double)(end - p->from) / length * PICTURE_BINS);
    for (int bin = first; bin <= last || bin == first; bin++) {
        count_in(&p->bins[bin < PICTURE_BINS ? bin : PICTURE_BINS - 1], &p->bins_most);
        if (bin + 1 >= PICTURE_BINS || *steps == 0)
            break;
        --*steps;
    }
}

static void count_minutes(struct picture *p, int64_t begin, int64_t end, size_t *steps)
{
    int64_t first = (begin - p->raster_from) / MINUTE_MS, last = (end - p->raster_from) / MINUTE_MS;
    if (end < p->raster_from)
        return;
    for (int64_t minute = begin < p->raster_from ? 0 : first;
         minute <= last && minute < PICTURE_HOURS * 60; minute++) {
        count_in(&p->raster[minute / 60][minute % 60], &p->raster_most);
        if (*steps == 0)
            break;
        --*steps;
    }
}

static void count_times(const struct book_event *events, size_t n, struct picture *p)
{
    size_t steps = STEPS_MAX;
    p->raster_from = (p->to - 1) / HOUR_MS * HOUR_MS - (PICTURE_HOURS - 1) * HOUR_MS;
    for (size_t i = 0; i < n; i++) {
        int64_t begin = events[i].ts, left = p->to > begin ? p->to - begin : 0;
        /* The duration is of the logs: it may be of years. */
        bool beyond = events[i].duration / 1000 > (uint64_t)left;
        int64_t end = begin + (beyond ? left : (int64_t)(events[i].duration / 1000));
        if (begin > p->to)
            continue;
        p->n_failed += events[i].failed;
        count_bins(p, begin, end, &steps);
        count_minutes(p, begin, end, &steps);
    }
}

bool picture_of_events(const struct book_event *events, size_t n, int64_t from, int64_t to,
                       struct picture *out)
{
    *out = (struct picture){.from = from, .to = to};
    if (n == 0)
        return false;
    if (n > PICTURE_EVENTS) {
        events += n - PICTURE_EVENTS;
        n = PICTURE_EVENTS;
        out->partial = true;
    }
    double *values = calloc(n, sizeof *values);
    out->seconds = calloc(n, sizeof *out->seconds);
    out->sizes_up = calloc(n, sizeof *out->sizes_up);
    if (!values || !out->seconds || !out->sizes_up) {
        free(values);
        picture_done(out);
        return false;
    }
    out->n_events = n;
    count_times(events, n, out);
    for (size_t i = 0; i < n; i++) {
        out->seconds[i] = events[i].ts / 1000;
        out->sizes_up[i] = (int64_t)events[i].up;
        values[i] = (double)events[i].up;
    }
    make_bars(values, n, &out->sizes);
    for (size_t i = 1; i < n; i++)
        values[i - 1] = round((double)(events[i].ts - events[i - 1].ts) / 10) / 100;
    make_bars(values, n - 1, &out->intervals);
    free(values);
    return true;
}

bool picture_make(const struct hunt_judge *view, const struct finding *f, struct picture *out)
{
    struct book_event *events = NULL;
    size_t n = 0;
    *out = (struct picture){.from = view->from, .to = view->to};
    /* A window's end is its newest record, which is in it. */
    if (!f->events_of || !books_events(&view->books, f->events_of, f->events_key, f->events_series,
                                       view->from, view->to + 1, &events, &n))
        return false;
    bool made = picture_of_events(events, n, view->from, view->to, out);
    free(events);
    return made;
}

void picture_spark(const struct picture *p, unsigned columns, bool utf8, struct text *out)
{
    static const char *const blocks[] = {" ",
                                         "\xe2\x96\x81",
                                         "\xe2\x96\x82",
                                         "\xe2\x96\x83",
                                         "\xe2\x96\x84",
                                         "\xe2\x96\x85",
                                         "\xe2\x96\x86",
                                         "\xe2\x96\x87",
                                         "\xe2\x96\x88"};
    static const char *const ascii[] = {" ", ".", ".", ":", ":", "-", "=", "#", "#"};
    double means[PICTURE_BINS] = {0}, most = 0;
    if (columns > PICTURE_BINS)
        columns = PICTURE_BINS;
    /* A column may stand for one bin more than its neighbour: their mean, not their sum. */
    for (unsigned i = 0; i < columns; i++) {
        unsigned first = i * PICTURE_BINS / columns, end = (i + 1) * PICTURE_BINS / columns;
        for (unsigned bin = first; bin < end; bin++)
            means[i] += (double)p->bins[bin] / (end - first);
        if (means[i] > most)
            most = means[i];
    }
    for (unsigned i = 0; i < columns; i++) {
        size_t level = means[i] > 0 ? 1 + (size_t)(means[i] / most * 7.0) : 0;
        text_put(out, utf8 ? blocks[level] : ascii[level]);
    }
}
