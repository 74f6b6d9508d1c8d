/* What a worker's flow code and analyzers share: time, output, memory, settings. */
#ifndef FLOW_CONTEXT_H
#define FLOW_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aead;
struct file_memory;
struct flow;
struct flow_context;
struct flow_table;
struct log_writer;
struct pool;
struct rec;
struct weird_memory;
struct x509_memory;

/* Whoever looks at what connections say (proto/attach.h): the way forward along the data path. */
struct flow_payload_ops {
    void (*data)(struct flow_context *context, struct flow *flow, int dir, const uint8_t *bytes,
                 size_t size);
    void (*gap)(struct flow_context *context, struct flow *flow, int dir, uint64_t size);
    void (*fin)(struct flow_context *context, struct flow *flow, int dir);
    void (*end)(struct flow_context *context, struct flow *flow); /* before conn.log's row */
    /* It has been open for another hour: rows beside that of open_conn.log. */
    void (*open)(struct flow_context *context, struct flow *flow);
};

/* What a worker's connections have done, and what they keep in wait for what has not come yet. All
 * are 64 bits, so that those of several workers can be added up. */
struct flow_counters {
    uint64_t n_acks, n_gaps; /* acknowledgements of new data; those of data that was not seen */
    uint64_t n_files, n_files_now;
    uint64_t tcp_bytes, early_bytes, file_bytes; /* kept now */
};

struct flow_context {
    int64_t now;   /* packet time, ns: of the packet that is being looked at */
    int64_t clock; /* the latest packet time so far: what timers go by; never goes back */
    struct log_writer *log;
    struct pool *pool;
    struct flow_table *table;
    struct weird_memory *weirds;
    struct weird_held *held;                /* of all workers; NULL: this is the only one */
    struct x509_memory *certificates;       /* proto/x509_memory.h; NULL until the first one */
    struct file_memory *files;              /* proto/file.h; NULL until the first one */
    struct aead *aead;                      /* base/aead.h; NULL until the first one */
    const struct flow_payload_ops *payload; /* NULL: nobody looks */
    struct flow_counters counters;
    uint64_t uid_seed; /* of the run: uids are stable for one input, and differ between sensors */

    /* Writes the extra columns of a connection's row; NULL: there are none. */
    void (*extra)(struct flow_context *context, const struct flow *flow, struct rec *rec);
    /* Before a connection goes: tunnel.log. NULL: nobody wants to know. */
    void (*ended)(struct flow_context *context, const struct flow *flow);
    /* A proxy was asked to open this connection's tunnel: tunnel.log. NULL: nobody wants to know.
     */
    void (*proxied)(struct flow_context *context, const struct flow *flow);
    void *owner; /* of the calls above */

    bool validate_checksums;
    bool own_times;         /* rows carry their packet's own time, not the latest so far */
    bool deliver_truncated; /* mirrors cut frames: what is there is looked at */
    bool ja3, ja4;          /* extra columns asked for */
    bool reports_open; /* rows of connections that stay open are written: keep what they need */
};

/* The time that rows carry: that of the packet at hand, or of an earlier one that was later
 * (captures are not always in order, and Zeek's clock never goes back). Live, another worker may
 * have handed the packet on, late: its own time is right. */
static inline int64_t flow_context_time(const struct flow_context *context)
{
    return context->own_times && context->now ? context->now : context->clock;
}

#endif
