/* weird.log: what should not happen and does, with Zeek's names, actions and limits. */
#ifndef FLOW_WEIRD_H
#define FLOW_WEIRD_H

#include "flow/flow.h"
#include "net/packet.h"

extern const struct log_schema weird_schema;

struct weird_memory; /* what was said already, bounded */

struct weird_memory *weird_memory_new(void);
void weird_memory_free(struct weird_memory *memory);

/* Rows that are written once for each originator, whose connections several workers have: kept
 * back, so that the earliest is the one that is written, whatever order the workers come in. */
struct weird_held;

struct weird_held *weird_held_new(void);
/* Writes them, in the order of their times: after all workers have ended. */
void weird_held_write(struct weird_held *held, struct log_writer *writer);
void weird_held_free(struct weird_held *held);

/* About a connection. `name` must be a string constant. `addl` may be unset; `source` is the
 * protocol that noticed ("TCP", "DNS" …) or NULL. */
void weird_flow(struct flow_context *context, struct flow *f, const char *name, struct str addl,
                const char *source);

/* About a packet for which there is no connection (yet). */
void weird_packet(struct flow_context *context, const struct packet_weird *w);

#endif
