/* A worker's connections: found by key, and taken off when their time is over or memory is short.
 *
 * Flows lie in one region that is reserved once and touched as it fills; an index of eight bytes a
 * flow finds them. Time-outs are those of Zeek, in packet time. One timer wheel holds every flow
 * once; its slots are coarse, so a look-up also checks the exact time. */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include "flow/flow.h"
#include "net/packet.h"

#define FLOW_NONE UINT32_MAX

struct flow_key {
    struct addr addr[2]; /* lower (address, port) first, unless one_way */
    uint16_t port[2];
    uint8_t proto, ip_proto;
    uint16_t network;
};

struct flow_table_options {
    size_t memory;     /* for flows, index and pool together */
    uint64_t hash_key; /* random, the same for all workers of a run */
};

/* `context` must have its pool; the table is put into context->table. NULL: out of memory. */
struct flow_table *flow_table_new(const struct flow_table_options *options,
                                  struct flow_context *context);
/* Ends all connections first: every one is logged. */
void flow_table_free(struct flow_table *table);

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key);

/* Two steps of prefetching, for packets that come in bursts. */
void flow_table_prefetch_index(const struct flow_table *table, uint32_t hash);
void flow_table_prefetch_flow(const struct flow_table *table, uint32_t hash);

/* NULL when there is none, or when its time was over (it is then ended, and logged). */
struct flow *flow_table_find(struct flow_table *table, const struct flow_key *key, uint32_t hash);

/* A new one; it must not be there. Ends others when memory is short; NULL only when nothing is left
 * to end. `first` and `last` are set to the context's now. */
struct flow *flow_table_add(struct flow_table *table, const struct flow_key *key, uint32_t hash);

/* Ends the connection: analyzers, conn.log's row, memory. */
void flow_table_end(struct flow_table *table, struct flow *f);

/* To be called after anything that may bring its end nearer (a close); later ends are noticed. */
void flow_table_rearm(struct flow_table *table, struct flow *f);

/* A packet came, of whatever connection: context->clock is its time, or a later one's before. Or no
 * packet came, and the clock went on. */
void flow_table_packet(struct flow_table *table);

/* Ends what is over by context->clock. */
void flow_table_expire(struct flow_table *table);

/* Walks all connections; `visit` must not add or end any. */
void flow_table_each(struct flow_table *table, void (*visit)(struct flow *f, void *with),
                     void *with);

/* The same a piece at a time, while packets come in between: numbers below the size are looked at
 * one after the other. NULL: nobody has this number. */
uint32_t flow_table_size(const struct flow_table *table);
struct flow *flow_table_at(struct flow_table *table, uint32_t number);

struct flow_table_counters {
    uint64_t n_added, n_ended, n_evicted, n_refused;
    uint64_t n_now, n_peak;
    uint64_t n_added_of[FLOW_N_PROTOS], n_now_of[FLOW_N_PROTOS];
};
const struct flow_table_counters *flow_table_counters(const struct flow_table *table);

#endif
