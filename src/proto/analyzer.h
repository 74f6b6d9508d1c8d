/* Protocol analyzers. One file each exports a `const struct analyzer analyzer_<name>`, and has one
 * line in proto/list.h.
 *
 * An analyzer is attached to a connection when the responder's port is one of its ports, as Zeek
 * does, or when its `match` recognises the first bytes. It is then given the bytes of both
 * directions in order: for TCP the reassembled stream, in pieces of any size; for UDP one datagram
 * a call. It keeps state in `analysis->state`, which comes zeroed and goes with the connection;
 * it takes memory only from the pool (base/pool.h), and whatever a stranger can make it keep has a
 * maximum. It never sees the packets of another connection. */
#ifndef PROTO_ANALYZER_H
#define PROTO_ANALYZER_H

#include "base/pool.h"
#include "base/reader.h"
#include "base/str.h"
#include "flow/flow.h"
#include "log/record.h"

enum analyzer_match {
    MATCH_NO,   /* never, whatever follows */
    MATCH_MORE, /* perhaps: more bytes, or the other direction, must say */
    MATCH_YES,
};

/* The first bytes of a connection (at most ANALYZER_PROBE_MAX in each direction). */
#define ANALYZER_PROBE_MAX 2048
struct probe {
    struct str data[2]; /* [FLOW_ORIG], [FLOW_RESP] */
    bool is_tcp;
    uint16_t orig_port, resp_port;
};

enum { ANALYZER_TCP = 1, ANALYZER_UDP = 2 };

struct analysis;

struct analyzer {
    const char *name; /* as conn.log's service has it: lower case */
    uint8_t transports;
    uint16_t tcp_ports[24]; /* of the responder; 0 ends */
    uint16_t udp_ports[12];
    const struct log_schema *logs[6]; /* NULL ends */
    uint32_t state_size;
    bool udp_ticks;           /* over UDP the connection ends after 10 s of silence (Zeek: DNS) */
    const char *weird_source; /* weird.log's source: "DNS" */

    /* May be NULL: by port, or by another analyzer, only. */
    enum analyzer_match (*match)(const struct probe *probe);

    /* Any of these may be NULL. `dir` is FLOW_ORIG or FLOW_RESP. */
    void (*start)(struct analysis *a);
    void (*data)(struct analysis *a, int dir, const uint8_t *bytes, size_t size);
    void (*gap)(struct analysis *a, int dir, uint64_t size); /* TCP: that many bytes are missing */
    void (*fin)(struct analysis *a, int dir);                /* TCP: no more in this direction */
    void (*end)(struct analysis *a); /* the connection is over: log what is pending, free */
    /* The connection has been open for another hour: the row that its log has last for it (or the
     * one in the making), into a log of the same columns whose name has "open_" in front. Where the
     * row is not known any more, context->reports_open says to keep it. */
    void (*open)(struct analysis *a);
};

/* One analyzer at work on one connection. Flow lifetime. */
struct analysis {
    const struct analyzer *analyzer;
    struct flow_context *context; /* of the worker: time, log writer, pool */
    struct flow *flow;
    struct analysis *next;
    struct analysis *parent; /* that started it (TLS in SMTP), or NULL */
    void *state;             /* analyzer->state_size bytes, zeroed at the start */
    bool confirmed;
    bool finished;    /* wants no more data */
    bool failed;      /* by violation */
    uint32_t n_files; /* made so far: proto/file.c numbers their ids with it */
};

/* The time that protocol logs carry. */
static inline int64_t analysis_now(const struct analysis *a)
{
    return flow_context_time(a->context);
}

static inline struct pool *analysis_pool(const struct analysis *a)
{
    return a->context->pool;
}

/* It is this protocol: the name goes into conn.log's service. Later calls do nothing. */
void analysis_confirm(struct analysis *a);

/* It is not, after all: as in Zeek the analyzer is taken off and its service removed, unless more
 * than 10 KiB of the connection have passed. True when it was taken off: return at once. `end` is
 * then called by the driver, once. */
bool analysis_violation(struct analysis *a, const char *reason);

/* The originator is the responder: who is who was guessed, and the protocol tells otherwise. */
void analysis_flip(struct analysis *a);

/* Wants no more data; `end` is still called when the connection is over. */
void analysis_finish(struct analysis *a);

/* Hands the rest of the connection to another protocol as well (STARTTLS, CONNECT, WebSocket). The
 * caller then passes bytes on with analysis_feed, or calls analysis_finish for itself and lets the
 * driver feed the new one. NULL: no memory, or it has started one of that kind already. */
struct analysis *analysis_start(struct analysis *a, const struct analyzer *analyzer);
void analysis_feed(struct analysis *to, int dir, const uint8_t *bytes, size_t size);

/* A line in weird.log about this connection; `addl` may be unset. */
void analysis_weird(struct analysis *a, const char *name, struct str addl);

#define ANALYZER(name) extern const struct analyzer analyzer_##name;
#include "proto/list.h"
#undef ANALYZER

/* All analyzers, ended by NULL, in the order of list.h. */
extern const struct analyzer *const analyzers[];

#endif
