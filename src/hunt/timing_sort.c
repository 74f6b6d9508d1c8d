/* Sorting intervals: the most frequent step of the judgement. A merge sort, so that no order of
 * times makes it slow; without a call for each comparison. */
#include <string.h>

#include "hunt/timing_fit.h"

#define RUN 12 /* so many are sorted by insertion */

static void sort_run(double *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double value = x[i];
        size_t k = i;
        for (; k > 0 && x[k - 1] > value; k--)
            x[k] = x[k - 1];
        x[k] = value;
    }
}

static void merge(const double *a, size_t n_a, const double *b, size_t n_b, double *out)
{
    const double *end_a = a + n_a;
    const double *end_b = b + n_b;
    while (a < end_a && b < end_b) {
        /* No branch: which one is the smaller cannot be foreseen. */
        bool second = *b < *a;
        *out++ = second ? *b : *a;
        b += second;
        a += !second;
    }
    memcpy(out, a, (size_t)(end_a - a) * sizeof(*a));
    memcpy(out + (end_a - a), b, (size_t)(end_b - b) * sizeof(*b));
}

void timing_sort(double *x, size_t n, double *spare)
{
    double *from = x;
    double *to = spare;
    for (size_t i = 0; i < n; i += RUN)
        sort_run(x + i, n - i < RUN ? n - i : RUN);
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t n_a = n - i < width ? n - i : width;
            size_t n_b = n - i - n_a < width ? n - i - n_a : width;
            merge(from + i, n_a, from + i + n_a, n_b, to + i);
        }
        double *other = from;
        from = to;
        to = other;
    }
    if (from != x)
        memcpy(x, from, n * sizeof(*x));
}
