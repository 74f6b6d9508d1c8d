/* A connection: its key, its counters, its times, and what hangs on it.
 *
 * Two parts: `struct flow`, a few cache lines for each connection there is, and `struct flow_more`
 * (flow/more.h) for those that have payload to look at or something unusual to remember. Both
 * belong to the worker whose table holds them, and go when the connection ends. */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include "base/pool.h"
#include "base/str.h"
#include "flow/context.h"
#include "log/record.h"
#include "net/addr.h"

enum { FLOW_ORIG = 0, FLOW_RESP = 1 };

/* "C" and 17 characters of base 62, as Zeek's; not NUL-ended. */
#define FLOW_UID_LEN 18
struct flow_uid {
    char text[FLOW_UID_LEN];
};

/* What both ends' TCP state machines can be in; names are Zeek's. */
enum tcp_state {
    TCP_INACTIVE,
    TCP_SYN_SENT,
    TCP_SYN_ACK_SENT,
    TCP_PARTIAL,
    TCP_ESTABLISHED,
    TCP_CLOSED,
    TCP_RESET,
};

/* One end of a TCP connection. start, last and ack are as on the wire, and wraps count how often
 * they have gone round; `delivered` and `trimmed` are relative to start_seq (1: the first byte). */
struct tcp_end {
    uint64_t delivered; /* all before this was given to the analyzers, or is known to be missing */
    uint64_t trimmed;   /* all before this was acknowledged */
    uint32_t start_seq, last_seq, ack_seq;
    uint16_t seq_wraps, ack_wraps;
    uint32_t window, window_seq, window_ack_seq;
    uint32_t fin_seq;          /* of the last FIN, relative, one past it; low 32 bits */
    uint8_t state, prev_state; /* enum tcp_state */
    uint8_t window_scale;
    uint8_t did_close : 1, did_eof : 1, skip : 1, had_gap : 1, fin_seen : 1, rst_seen : 1, seen : 1;
};

enum flow_idle {
    FLOW_IDLE_MINUTE, /* not TCP, or no handshake yet */
    FLOW_IDLE_5_MINUTES,
    FLOW_IDLE_HOUR, /* logins, where silence is normal */
};

struct flow {
    /* The key, in canonical order: the lower (address, port) first. */
    struct addr addr[2];
    uint16_t port[2];
    uint8_t proto;    /* enum flow_proto */
    uint8_t ip_proto; /* number in the IP header */
    uint16_t network; /* the address space (a VPC, a site); 0 where nothing is configured */

    uint32_t hash;
    uint32_t next_timer, prev_timer; /* in the list of the timer wheel's slot */
    uint16_t slot;
    uint16_t source; /* the monitored machine, as the source layer numbers it; 0: none */

    int64_t first, last; /* packet time, ns */
    int64_t look;        /* when it is looked at next (deadline.c); once is_closing: when it goes */
    uint32_t n_packets[2];
    uint64_t ip_bytes[2]; /* by the IP headers */

    uint8_t orig_is_1 : 1; /* the originator is addr[1], port[1] */
    uint8_t one_way : 1;   /* ICMP without an answer: only this direction is it */
    uint8_t partial : 1;
    uint8_t active : 1;
    uint8_t shadow : 1; /* another worker logs it: kept only for what is tunnelled in it */
    uint8_t did_weird : 1;
    uint8_t close_deferred : 1, deferred_event : 1;
    uint8_t idle : 2;      /* enum flow_idle */
    uint8_t ticks : 1;     /* goes when silent for 10 s, looked at every 10 s (DNS over UDP) */
    uint8_t probed : 2;    /* payload seen in that direction and known to be nobody's */
    uint8_t tunnel_ok : 2; /* directions in which a tunnel inside was valid */
    uint8_t tunnel_off : 1;
    uint8_t is_early : 1;   /* nothing but the first bytes are kept */
    uint8_t is_closing : 1; /* both ends have closed */
    uint8_t attached : 1;   /* analyzers were looked for by port */
    uint8_t first_seen : 2; /* TCP: directions whose first segment was seen */
    uint8_t hist_seen[2];
    uint8_t n_history; /* characters in history; longer ones move to more */
    char history[10];
    union {
        struct flow_more *more;   /* NULL until there is payload of interest or something unusual */
        struct flow_early *early; /* where is_early */
    };

    union {
        struct tcp_end tcp[2]; /* by FLOW_ORIG, FLOW_RESP */
        uint64_t payload_bytes[2];
    };
};

_Static_assert(sizeof(struct flow) <= 248, "memory for each idle connection");

enum flow_proto { FLOW_TCP, FLOW_UDP, FLOW_ICMP, FLOW_UNKNOWN, FLOW_N_PROTOS };

static inline const struct addr *flow_addr(const struct flow *f, int dir)
{
    return &f->addr[dir ^ f->orig_is_1];
}

static inline uint16_t flow_port(const struct flow *f, int dir)
{
    return f->port[dir ^ f->orig_is_1];
}

/* The same from every number of workers: made of the key and the first packet's time. */
struct flow_uid flow_uid(const struct flow_context *context, const struct flow *f);

/* An id for a file of this connection ("F" and 17 characters), from a number the caller keeps. */
struct flow_uid flow_file_id(const struct flow_context *context, const struct flow *f, uint64_t n);

/* Begins a record with ts, uid and id.*; flow_log_end adds the extra columns (source, community_id
 * …) where the schema is of_connection. Between them: the other columns. */
struct rec *flow_log_begin(struct flow_context *context, const struct flow *f,
                           const struct log_schema *schema, int64_t ts);
void flow_log_end(struct flow_context *context, const struct flow *f, struct rec *rec);

/* The extra columns alone: for who ends the record himself. `f` may be NULL. */
void flow_log_extra(struct flow_context *context, const struct flow *f, struct rec *rec);

/* Bytes of payload so far, in both directions. */
uint64_t flow_size(const struct flow *f);

/* "tcp", "udp", "icmp", "unknown_transport". */
const char *flow_proto_name(const struct flow *f);

#endif
