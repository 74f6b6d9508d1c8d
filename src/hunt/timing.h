/* Is this a timer? Our own judgement of a series of check-ins: a likelihood ratio between machines
 * that wait (a period with jitter, gaps, several timers) and everything else (memoryless, human,
 * day and night, bursts). See doc/beacons.md for the model, and the curves. */
#ifndef HUNT_TIMING_H
#define HUNT_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timing_event {
    int64_t ts; /* ms */
    uint32_t up, down;
};

enum timing_kind {
    TIMING_NONE,
    TIMING_TIMER,
    TIMING_TWO_TIMERS,
    TIMING_CLOCK, /* the same minute of the hour, though not of every hour */
    TIMING_FAST,  /* a period below 5 s */
    TIMING_RAMP,  /* each wait is longer than the last by a step, `period` */
};

struct timing {
    double score;      /* 0 to 1: 1 is a timer beyond doubt */
    double evidence;   /* log likelihood ratio, nats, after the price of the model's parameters */
    double false_rate; /* how many of a million pairs of other kinds would reach this evidence */
    enum timing_kind kind;
    double period, jitter; /* s; share of the period: 0.2 is +-20 % or sleep*(1-0.2..1) */
    double second_period, second_jitter; /* of two timers */
    uint32_t n_events, n_checkins;       /* before and after bursts are taken as one */
    double n_per_checkin;                /* events */
    int64_t first, last;                 /* ms: of the regular part */
    double active_share;                 /* of first..last: without the pauses */
    uint32_t n_pauses;                   /* e.g. asleep at night */
    uint32_t n_missed; /* check-ins that were not there: multiples of the period */
    int64_t window;    /* ms: the window that showed it: 1 h, 24 h, 7 d */
    /* Where the score comes from; they sum to `evidence`. */
    double of_intervals, of_sizes, of_coverage, of_price;
    double size_share; /* share of check-ins with the most frequent sizes */
};

/* Events by ts; `from`, `to` (ms): what was looked at. Below TIMING_MIN_CHECKINS the score is 0. */
#define TIMING_MIN_CHECKINS 6
void timing_judge(const struct timing_event *events, size_t n, int64_t from, int64_t to,
                  struct timing *out);

#endif
