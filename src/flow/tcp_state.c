/* The state machine of a TCP end, as seen from the side:
 *
 *     INACTIVE --SYN--> SYN_SENT --SYN/ACK from the peer--> ESTABLISHED --FIN--> CLOSED
 *        |  \--SYN/ACK--> SYN_ACK_SENT (originator)              \------RST--> RESET
 *        \--anything else--> PARTIAL
 *
 * tcp_step() is the one place that changes a state. */
#include "flow/more.h"
#include "flow/tcp.h"
#include "flow/weird.h"

static void weird(struct flow_context *context, struct flow *f, const char *name)
{
    weird_flow(context, f, name, (struct str){0}, "TCP");
}

static bool seq_between(uint32_t seq, uint32_t low, uint32_t high)
{
    return (int32_t)(seq - low) >= 0 && (int32_t)(seq - high) <= 0;
}

static bool in_handshake(uint8_t state)
{
    return state == TCP_INACTIVE || state == TCP_SYN_SENT || state == TCP_SYN_ACK_SENT;
}

static void set_state(struct flow *f, int dir, enum tcp_state state)
{
    struct tcp_end *end = &f->tcp[dir];
    if (end->state == state)
        return;
    if (!in_handshake((uint8_t)state) && in_handshake(end->state) &&
        in_handshake(f->tcp[!dir].state) && f->idle != FLOW_IDLE_HOUR)
        f->idle = FLOW_IDLE_5_MINUTES;
    end->prev_state = end->state;
    end->state = (uint8_t)state;
}

static void syn_from_inactive(struct flow_context *context, struct flow *f,
                              const struct tcp_segment *s, struct tcp_outcome *out)
{
    int dir = out->dir;
    struct tcp_end *end = &f->tcp[dir], *peer = &f->tcp[!dir];
    bool ack = s->flags & TCP_ACK;
    if (dir == FLOW_ORIG || out->lost_syn) {
        set_state(f, dir, ack ? TCP_SYN_ACK_SENT : TCP_SYN_SENT);
        return;
    }
    if (ack) {
        if (peer->state != TCP_INACTIVE && peer->state != TCP_PARTIAL &&
            !seq_between(s->ack, peer->start_seq, peer->last_seq))
            weird(context, f, "bad_SYN_ack");
    } else if (peer->state == TCP_SYN_ACK_SENT && s->seq == end->start_seq) {
        /* SYN and SYN-ACK came in the wrong order: this end is the originator. */
        f->partial = 0;
        flow_flip(context, f);
        out->dir = dir = FLOW_ORIG;
        set_state(f, FLOW_RESP, TCP_ESTABLISHED);
        f->first_seen |= 1 << FLOW_ORIG;
    } else {
        weird(context, f, "simultaneous_open");
    }
    peer = &f->tcp[!dir];
    if (peer->state == TCP_SYN_SENT)
        set_state(f, !dir, TCP_ESTABLISHED);
    else if (peer->state == TCP_INACTIVE)
        weird(context, f, "unsolicited_SYN_response");
    set_state(f, dir, TCP_ESTABLISHED);
}

static void rst_from_inactive(struct flow_context *context, struct flow *f, struct tcp_outcome *out)
{
    const struct tcp_end *peer = &f->tcp[!out->dir];
    set_state(f, out->dir, TCP_RESET);
    bool reject = out->dir == FLOW_ORIG
                      ? peer->state == TCP_ESTABLISHED
                      : peer->state == TCP_SYN_SENT || peer->state == TCP_SYN_ACK_SENT;
    out->close = true;
    out->event = !reject;
    if (!reject && peer->state == TCP_INACTIVE)
        weird(context, f, "spontaneous_RST");
}

static void step_inactive(struct flow_context *context, struct flow *f, const struct tcp_segment *s,
                          struct tcp_outcome *out)
{
    if (s->flags & TCP_SYN)
        syn_from_inactive(context, f, s, out);
    if (s->flags & TCP_FIN) {
        set_state(f, out->dir, TCP_CLOSED);
        out->close = out->event = true;
        if (f->tcp[!out->dir].state != TCP_PARTIAL && !(s->flags & TCP_SYN))
            weird(context, f, "spontaneous_FIN");
    }
    if (s->flags & TCP_RST)
        rst_from_inactive(context, f, out);
    struct tcp_end *end = &f->tcp[out->dir], *peer = &f->tcp[!out->dir];
    if (end->state != TCP_INACTIVE)
        return;
    if (out->dir == FLOW_RESP && s->len == 0 && peer->state == TCP_SYN_SENT)
        return; /* some stacks acknowledge a SYN before they answer it */
    if (s->flags & TCP_ACK && peer->state == TCP_ESTABLISHED) {
        /* The SYN was missed: SYN-ACK and now the ACK. */
        set_state(f, out->dir, TCP_ESTABLISHED);
        f->partial = 0;
        f->first_seen |= (uint8_t)(1 << out->dir);
        return;
    }
    set_state(f, out->dir, TCP_PARTIAL);
}

static void step_syn_sent(struct flow_context *context, struct flow *f, const struct tcp_segment *s,
                          struct tcp_outcome *out)
{
    uint8_t state = f->tcp[out->dir].state, peer = f->tcp[!out->dir].state;
    if (s->flags & TCP_SYN) {
        bool ack = s->flags & TCP_ACK;
        if (out->dir == FLOW_ORIG && ack && !(s->flags & (TCP_FIN | TCP_RST)) &&
            state != TCP_SYN_ACK_SENT)
            weird(context, f, "repeated_SYN_with_ack");
        else if (out->dir == FLOW_RESP && !ack && state != TCP_SYN_SENT)
            weird(context, f, "repeated_SYN_reply_wo_ack");
    }
    if (s->flags & TCP_FIN) {
        if (peer == TCP_INACTIVE || peer == TCP_SYN_SENT)
            weird(context, f, "inappropriate_FIN");
        set_state(f, out->dir, TCP_CLOSED);
        out->close = out->event = true;
    }
    if (s->flags & TCP_RST) {
        set_state(f, out->dir, TCP_RESET);
        f->active = 0;
        out->close = true;
    } else if (s->len > 0) {
        weird(context, f, "data_before_established");
    }
}

static void step_established(struct flow_context *context, struct flow *f,
                             const struct tcp_segment *s, struct tcp_outcome *out)
{
    struct tcp_end *end = &f->tcp[out->dir], *peer = &f->tcp[!out->dir];
    if (s->flags & TCP_SYN && !(s->flags & TCP_ACK) && end->state == TCP_PARTIAL &&
        peer->state == TCP_INACTIVE) {
        weird(context, f, "SYN_after_partial");
        set_state(f, out->dir, TCP_SYN_SENT);
    }
    if (s->flags & TCP_FIN && !(s->flags & TCP_RST)) {
        set_state(f, out->dir, TCP_CLOSED);
        /* The peer's FIN and then RST were a normal end after all. */
        if (peer->state == TCP_RESET && peer->prev_state == TCP_CLOSED)
            set_state(f, !out->dir, TCP_CLOSED);
        out->close = out->event = true;
    }
    if (s->flags & TCP_RST) {
        set_state(f, out->dir, TCP_RESET);
        out->close = true;
        if (peer->state != TCP_RESET || peer->prev_state != TCP_ESTABLISHED)
            f->active = 0;
    }
}

static void step_closed(struct flow_context *context, struct flow *f, const struct tcp_segment *s,
                        int32_t advance, struct tcp_outcome *out)
{
    if (s->flags & TCP_SYN)
        weird(context, f, "SYN_after_close");
    if (s->flags & TCP_FIN && advance > 0)
        weird(context, f, "FIN_advanced_last_seq");
    if (s->flags & TCP_RST && f->tcp[!out->dir].state != TCP_CLOSED) {
        set_state(f, out->dir, TCP_RESET);
        out->close = !f->tcp[out->dir].did_close;
    }
}

static void step_reset(struct flow_context *context, struct flow *f, const struct tcp_segment *s)
{
    if (s->flags & TCP_SYN)
        weird(context, f, "SYN_after_reset");
    if (s->flags & TCP_FIN)
        weird(context, f, "FIN_after_reset");
    if (s->len > 0 && !(s->flags & TCP_RST))
        weird(context, f, "data_after_reset");
}

void tcp_step(struct flow_context *context, struct flow *f, const struct tcp_segment *s,
              int32_t advance, struct tcp_outcome *out)
{
    switch ((enum tcp_state)f->tcp[out->dir].state) {
    case TCP_INACTIVE:
        step_inactive(context, f, s, out);
        break;
    case TCP_SYN_SENT:
    case TCP_SYN_ACK_SENT:
        step_syn_sent(context, f, s, out);
        break;
    case TCP_ESTABLISHED:
    case TCP_PARTIAL:
        step_established(context, f, s, out);
        break;
    case TCP_CLOSED:
        step_closed(context, f, s, advance, out);
        break;
    case TCP_RESET:
        step_reset(context, f, s);
        break;
    }
}
