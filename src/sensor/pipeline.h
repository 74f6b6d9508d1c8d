/* The way of a packet, on one page:
 *
 *     capture -> tunnel -> source -> flow -> proto -> log -> sink
 *
 * One pipeline belongs to one worker and shares nothing with the others but the log files. */
#ifndef SENSOR_PIPELINE_H
#define SENSOR_PIPELINE_H

#include "capture/capture.h"
#include "flow/table.h"
#include "log/record.h"
#include "tunnel/stack.h"

struct pipeline;
struct filter;
struct network_list;
struct arrival;
struct pcapng_sink;
struct source;
struct x509_memory;
struct weird_held;

struct pipeline_options {
    struct stack_options stack;
    bool mirror;                         /* the capture was taken at a collector */
    const struct network_list *networks; /* with `mirror` */
    size_t memory;                       /* of this worker */
    uint64_t hash_key;                   /* the same for all workers of a run */
    uint64_t uid_seed;
    unsigned worker, n_workers;
    bool validate_checksums;
    bool community_id, ja3, ja4;      /* extra columns */
    const struct filter *filter;      /* or NULL; shared, read only */
    struct pcapng_sink *packets;      /* where what passes is written to, or NULL; of one worker */
    struct x509_memory *certificates; /* of all workers; NULL: each has its own */
    struct weird_held *held;          /* the same */
    const struct pipeline_live *live; /* packets come as they happen; NULL: from files */
};

/* Of live packets. */
struct pipeline_live {
    void *with; /* of the calls */
    /* The worker that the packet belongs to; NULL: there is one. */
    unsigned (*owner)(void *with, const struct packet *packet);
    unsigned worker;
    /* The packet is another worker's. */
    void (*hand_on)(void *with, unsigned worker, const struct packet *packet);
    /* Each packet that goes on to its connection, once: for who writes packets. May be NULL. */
    void (*packet)(void *with, const struct packet *packet, const struct source *source);
    struct arrival *arrival; /* its table of sources is set by the pipeline */
    int64_t dedup_window;    /* ns; 0: the default */
    bool keep_copies;        /* nothing is left out as a copy */
};

/* NULL: out of memory. */
struct pipeline *pipeline_new(const struct pipeline_options *options, struct log_writer *log);

/* Ends all connections, which logs them. */
void pipeline_finish(struct pipeline *p);
void pipeline_free(struct pipeline *p);

/* At most CAPTURE_BURST frames, borrowed for the call. */
void pipeline_frames(struct pipeline *p, const struct frame *frames, unsigned n);

/* Live: packets that other workers handed on. At most CAPTURE_BURST. */
void pipeline_packets(struct pipeline *p, const struct packet *packets, unsigned n);

/* Live: it is `now` (ns since the epoch), whether packets come or not. */
void pipeline_tick(struct pipeline *p, int64_t now);

/* Live: the rules that live->arrival points to are new ones. False: no memory. */
bool pipeline_set_rules(struct pipeline *p);

/* Live: open_conn.log and its kin for what has been open for another hour since the last call. Of
 * many connections the rows come bit by bit, with the next ticks. */
void pipeline_report_open(struct pipeline *p);

struct pipeline_counters {
    struct stack_counters stack;
    struct flow_table_counters flows;
    struct flow_counters payload;
    uint64_t n_packets, n_filtered, n_copies, n_no_connection;
    uint64_t n_sources, n_sources_refused;
    uint64_t n_pool_refused;
};
void pipeline_count(const struct pipeline *p, struct pipeline_counters *out);

/* Writes the columns after Zeek's for these options into `out` (room for PIPELINE_MAX_EXTRA); gives
 * their number. What the pipeline adds to each row of a connection. */
#define PIPELINE_MAX_EXTRA 8
uint16_t pipeline_extra_columns(const struct pipeline_options *options,
                                struct log_column out[PIPELINE_MAX_EXTRA]);

#endif
