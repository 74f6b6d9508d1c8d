/* open_conn.log and its kin: connections that are open for another full hour. Without these rows a
 * connection that lasts for days is not seen before it ends.
 *
 * A round goes through the whole table, a bounded piece at each step, between which packets are
 * looked at: the memory of a million connections, and a row for each of them, would hold packets up
 * for too long. Nothing is kept for each connection: a round reports those that passed a full hour
 * between the time of the round before and its own. */
#ifndef FLOW_OPEN_REPORT_H
#define FLOW_OPEN_REPORT_H

#include "flow/context.h"

/* All zero at first. */
struct open_report {
    int64_t before, upto; /* context->clock of the round before, and of this one */
    uint32_t at;          /* the number of the next connection to look at */
    bool running;
};

/* Begins a round; one that is still running goes on instead. */
void open_report_begin(struct open_report *report, const struct flow_context *context);

/* Does a piece of it, if there is one. */
void open_report_step(struct open_report *report, struct flow_context *context);

#endif
