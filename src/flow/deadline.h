/* When connections are over: Zeek's time-outs, in packet time. */
#ifndef FLOW_DEADLINE_H
#define FLOW_DEADLINE_H

#include "flow/flow.h"

/* The times at which packets came, in steps of 2^FLOW_STEP_SHIFT ns, for the last FLOW_N_STEPS of
 * them. Zeek's timers go off when a packet comes, with that packet's time: where traffic is thin,
 * when exactly a connection was looked at decides whether it was still alive. */
#define FLOW_STEP_SHIFT 28 /* 0.27 s */
#define FLOW_N_STEPS    2048

struct flow_times {
    int64_t clock; /* the latest */
    int64_t first[FLOW_N_STEPS], last[FLOW_N_STEPS];
};

/* A packet came; `clock` never goes back. */
void flow_times_add(struct flow_times *times, int64_t clock);

/* Sets up the first look at a new connection. */
void flow_deadline_start(struct flow *f);
/* DNS over UDP: looked at every ten seconds. */
void flow_deadline_tick(struct flow *f);

/* The earliest time at which it may be over if nothing more comes. */
int64_t flow_deadline(const struct flow *f);

/* Whether it is over by now. Goes through the looks that have passed, so f->look changes. */
bool flow_is_over(struct flow *f, const struct flow_times *times);

#endif
