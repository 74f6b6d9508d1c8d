/* Made-up check-ins for the unit tests of timing.c and for bench/hunt_curves: timers of all sorts,
 * and what is none. The same seed gives the same events. */
#ifndef HUNT_TIMING_BED_H
#define HUNT_TIMING_BED_H

#include "hunt/timing.h"

struct bed {
    uint64_t random;
    struct timing_event *events;
    size_t n, max;
    size_t wanted; /* check-ins, or events of what has none; 0: those of `length` */
    double length; /* s */
    double period; /* s: of this run, drawn by the kind */
};

struct bed_kind {
    const char *name;
    bool is_timer;
    void (*make)(struct bed *bed);
    double jitter;   /* Cobalt Strike's: a sleep is T * (1 - jitter * U) */
    double period;   /* s; 0: log-uniform from 30 s to 4 h */
    double length;   /* s; 0: a day */
    bool whole;      /* makes sense only for its length, not for a number of check-ins */
    bool borderline; /* a timer that is nobody's implant: judged, and counted as neither */
};

extern const struct bed_kind bed_kinds[]; /* ended by a NULL name */
const struct bed_kind *bed_kind_of(const char *name);

/* Fills at most `max` events, sorted; gives their number, and what was looked at (ms). */
size_t bed_make(const struct bed_kind *kind, uint64_t seed, size_t n_checkins,
                struct timing_event *out, size_t max, int64_t *out_from, int64_t *out_to);

double bed_uniform(struct bed *bed); /* 0 to 1, both left out */

#endif
