/* The way out: UDP sockets to the collector, one for each of a few source ports, and datagrams that
 * are collected and sent with few calls. */
#ifndef CARRY_OUTLET_H
#define CARRY_OUTLET_H

#include <poll.h>

#include "carry/carry.h"

#define OUTLET_SOCKETS 8

struct outlet;

/* Counts in `counters`, which outlives it. Refused where there is no way to the collector, or
 * options->from is no address of this machine. */
int outlet_open(const struct carry_options *options, struct carry_counters *counters,
                struct outlet **out, struct err *err) MUST_CHECK;
void outlet_close(struct outlet *outlet);

/* One datagram: `size` bytes, of which OUTER_SIZE are the header. It stays borrowed until
 * outlet_flush. `hash`: what has the same stays in order. */
void outlet_put(struct outlet *outlet, uint32_t hash, const uint8_t *datagram, uint32_t size);

/* Sends all. Waits for room for some milliseconds at most. */
void outlet_flush(struct outlet *outlet);

/* For poll: errors of these have something to say, which outlet_listen takes. */
void outlet_fds(const struct outlet *outlet, struct pollfd out[OUTLET_SOCKETS]);
void outlet_listen(struct outlet *outlet);

/* Something that the user should read: "10.9.0.2 answers …". Each kind once in ten minutes. False:
 * nothing new. */
bool outlet_take_note(struct outlet *outlet, char out[200]);

#endif
