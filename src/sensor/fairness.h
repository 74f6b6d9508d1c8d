/* Who gives way when more comes than can be worked on. The machines that send most do, down to the
 * same level for all of them (max-min fairness); whoever sends less than that loses nothing. What
 * is left out are whole connections, so that those which are kept stay whole. Pure arithmetic: who
 * counts and who leaves out is told, or asked, by its caller. */
#ifndef SENSOR_FAIRNESS_H
#define SENSOR_FAIRNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of so many connections, `keep` are kept. */
#define FAIRNESS_ALL 256

struct fairness_sender {
    uint64_t n_seen;     /* packets since the start, kept or not */
    uint64_t n_left_out; /* of them */

    uint16_t keep; /* 1 to FAIRNESS_ALL; 0, as at the begin, is FAIRNESS_ALL too */
    bool by_limit; /* it was brought down to the limit for each, whatever the others send */

    /* fairness_step's own. */
    bool has_last;
    uint64_t last_seen, last_left_out;
    double rate; /* packets a second that come, of the last second or so */
    int64_t changed;
};

/* Begins zeroed, but for `rate_limit`. */
struct fairness {
    double rate_limit; /* packets a second of one sender; 0: none */

    bool is_overloaded;
    double budget; /* packets a second of all senders together, while it is overloaded */
    bool has_last, grew;
    uint64_t last_others, last_dropped;
    unsigned n_steps_dropping;
    int64_t last, cut, dropped, patience;
};

/* A few times a second, with totals since the start: `n_others` packets of nobody known were looked
 * at, and `n_dropped` of all were dropped by the kernel. `ticks`: monotonic ns. Sets keep and
 * by_limit of each. A sender stays at its place in the array. */
void fairness_step(struct fairness *fairness, struct fairness_sender *senders, size_t n,
                   uint64_t n_others, uint64_t n_dropped, int64_t ticks);

#endif
