/* When the kernel is told to refuse unknown senders, and when no longer. While they are few, all of
 * their packets are looked at: the numbers are exact, and somebody who has just set up a mirror
 * sees it at once. Once they are many, the kernel lets one of GATE_ONE_IN through. */
#ifndef SENSOR_GATE_H
#define SENSOR_GATE_H

#include <stdbool.h>
#include <stdint.h>

#define GATE_ONE_IN 64

/* Begins zeroed: open. Times are monotonic ns. */
struct gate {
    bool is_closed;
    bool has_last;
    uint64_t last_refused, last_dropped;
    int64_t last, changed;
    int64_t hold; /* how long it stays closed after the last flood; 0: not closed yet */
    int64_t quiet_since;
    double rate; /* packets a second of unknown senders, in the last step */
};

/* A few times a second, with totals since the start: what unknown senders sent (estimated while the
 * gate is closed), and what the kernel dropped of everybody. Gives whether it should be closed. */
bool gate_step(struct gate *gate, uint64_t n_refused, uint64_t n_dropped, int64_t ticks);

#endif
