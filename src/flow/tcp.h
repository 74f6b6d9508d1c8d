/* TCP: the two ends' states, history, sizes; reassembly of the streams (RFC 9293, and Zeek's view
 * of what is seen from the side). */
#ifndef FLOW_TCP_H
#define FLOW_TCP_H

#include "flow/flow.h"
#include "net/packet.h"

/* A segment taken apart. Sequence numbers as on the wire. */
struct tcp_segment {
    uint32_t seq, ack;
    uint16_t window;
    uint8_t flags;
    int16_t window_scale; /* of the option; -1: none */
    const uint8_t *bytes; /* payload */
    uint32_t size;        /* captured */
    uint32_t len;         /* by the IP header */
};

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16, TCP_URG = 32 };

/* NULL, or Zeek's name for what is wrong: the header is cut or impossible. */
const char *tcp_read(const struct packet *p, struct tcp_segment *out);

/* The flags of a packet whose first 20 bytes are there. */
static inline uint8_t tcp_flags(const struct packet *p)
{
    return p->payload[13];
}

/* A SYN that does not belong to the connection that has this key: a new one begins. */
bool tcp_is_reuse(struct flow_context *context, struct flow *f, const struct packet *p);

/* `dir` may be changed by this: a SYN and SYN-ACK that come in the wrong order swap the roles. */
void tcp_segment_arrived(struct flow_context *context, struct flow *f, int dir,
                         const struct tcp_segment *s);

/* ---- tcp_state.c ---- */

/* What a segment does beyond changing its sender's state. */
struct tcp_outcome {
    int dir;       /* of the sender, after any swap of roles */
    bool lost_syn; /* in: a SYN-ACK without the SYN, whose roles were swapped for it */
    bool close;
    bool event; /* the close is worth telling the analyzers */
};

/* `advance`: how far the segment goes beyond all before it. */
void tcp_step(struct flow_context *context, struct flow *f, const struct tcp_segment *s,
              int32_t advance, struct tcp_outcome *out);

/* ---- stream.c: reassembly, one direction ---- */

/* Bytes with relative sequence number `begin`. */
void stream_data(struct flow_context *context, struct flow *f, int dir, uint64_t begin,
                 const uint8_t *bytes, uint32_t size);
/* The other end has acknowledged all before `upto` (relative). */
void stream_acked(struct flow_context *context, struct flow *f, int dir, uint64_t upto);
/* Whether data before the FIN is still missing. */
bool stream_waiting(const struct flow *f, int dir);

uint64_t tcp_full_seq(uint32_t seq, uint16_t wraps);
bool tcp_nothing_acked(const struct tcp_end *end);

/* Called by stream.c when all of a direction was delivered; tcp.c closes what was deferred. */
void tcp_check_eof(struct flow_context *context, struct flow *f, int dir);

#endif
