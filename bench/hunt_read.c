/*
 * How fast logs are read: files or folders, with the threads that are asked for; what is read is
 * counted and forgotten.
 *
 *   bench-hunt-read [--threads N] [--runs N] PATH...
 *
 * One line of JSON a run. `mb_per_s` is of text, unpacked; `cpu` is all threads' time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hunt/read.h"

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Something that looks at each record, so that it has to be there. */
static void take(void *with, const struct hunt_record *records, size_t n)
{
    uint64_t *sum = with;
    for (size_t i = 0; i < n; i++)
        *sum += records[i].uid + (uint64_t)records[i].ts;
}

static void say(void *with, const char *text)
{
    (void)with;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    unsigned n_threads = 1, n_runs = 1;
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        unsigned value = (unsigned)strtoul(argv[at + 1], NULL, 10);
        if (strcmp(argv[at], "--threads") == 0)
            n_threads = value;
        else
            n_runs = value;
    }
    if (at >= argc) {
        fprintf(stderr, "usage: bench-hunt-read [--threads N] [--runs N] PATH...\n");
        return 2;
    }
    for (unsigned run = 0; run < n_runs; run++) {
        uint64_t sum = 0;
        struct hunt_reading reading = {.paths = (const char *const *)argv + at,
                                       .n_paths = (size_t)(argc - at),
                                       .n_threads = n_threads,
                                       .with = &sum,
                                       .records = take,
                                       .say = say};
        struct hunt_read_counts counts = {0};
        struct hunt_mark *marks = NULL;
        size_t n_marks = 0;
        struct err err = {""};
        double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (hunt_read(&reading, &counts, &marks, &n_marks, &err) < 0) {
            fprintf(stderr, "bench-hunt-read: %s\n", err.text);
            return 1;
        }
        wall = seconds(CLOCK_MONOTONIC) - wall;
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        hunt_marks_free(marks, n_marks);
        printf("{\"threads\": %u, \"files\": %" PRIu64 ", \"lines\": %" PRIu64
               ", \"bytes\": %" PRIu64 ", \"bad\": %" PRIu64 ", \"wall\": %.3f, \"cpu\": %.3f, "
               "\"mb_per_s\": %.1f, \"mlines_per_s\": %.2f, \"sum\": \"%016" PRIx64 "\"}\n",
               n_threads, counts.n_files, counts.n_lines, counts.n_bytes, counts.n_bad_lines, wall,
               cpu, (double)counts.n_bytes / wall / 1e6, (double)counts.n_lines / wall / 1e6, sum);
    }
    return 0;
}
