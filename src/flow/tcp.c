/* The segments of a TCP connection, as seen from the side: see tcp.h.
 *
 * Each segment: numbers first (where is it in the stream), then history and window, then the state
 * of its sender, then data, then what a close brings. The order matters: an acknowledgement that
 * shows a gap is judged by the states after the segment. */
#include "flow/tcp.h"

#include <stdio.h>

#include "flow/more.h"
#include "flow/table.h"
#include "flow/weird.h"

#define SECOND         1000000000ll
#define CLOSE_DELAY    (5 * SECOND)
#define TCP_LINGER     (5 * SECOND)
#define MAX_SCALE      14      /* RFC 7323 */
#define SEQ_JUMP_LIMIT 1048576 /* further away, a number of a SYN or RST is not believed */
#define STORM_COUNT    1000
#define STORM_INTERVAL SECOND

enum {
    HIST_SYN = 1,
    HIST_FIN = 2,
    HIST_RST = 4,
    HIST_DATA = 8,
    HIST_ACK = 16,
    HIST_MULTI = 32,
    HIST_FIN_RST = 64
};

static void weird(struct flow_context *context, struct flow *f, const char *name)
{
    weird_flow(context, f, name, (struct str){0}, "TCP");
}

/* Zeek names no analyzer for some of them. */
static void weird_unsigned(struct flow_context *context, struct flow *f, const char *name)
{
    weird_flow(context, f, name, (struct str){0}, NULL);
}

static int32_t seq_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

const char *tcp_read(const struct packet *p, struct tcp_segment *out)
{
    struct reader r = rd_make(p->payload, p->payload_size);
    rd_skip(&r, 4);
    out->seq = rd_be32(&r);
    out->ack = rd_be32(&r);
    unsigned header = (unsigned)(rd_u8(&r) >> 4) * 4;
    out->flags = rd_u8(&r);
    out->window = rd_be16(&r);
    rd_skip(&r, 4);
    if (!rd_ok(&r) || header < 20)
        return "bad_TCP_header_len";
    struct reader options = rd_sub(&r, header - 20);
    if (!rd_ok(&r) || header > p->payload_len)
        return "truncated_header";
    out->window_scale = -1;
    if (out->flags & TCP_SYN) {
        while (rd_left(&options) > 0) {
            uint8_t kind = rd_u8(&options);
            if (kind == 0)
                break;
            if (kind == 1)
                continue;
            uint8_t len = rd_u8(&options);
            if (len < 2)
                break;
            struct reader option = rd_sub(&options, len - 2u);
            if (kind == 3 && rd_left(&option) > 0)
                out->window_scale = rd_u8(&option);
        }
    }
    out->len = p->payload_len - header;
    out->size = (uint32_t)rd_left(&r);
    if (out->size > out->len)
        out->size = out->len;
    out->bytes = r.at;
    return NULL;
}

/* ---- sequence numbers ---- */

static void set_start(struct tcp_end *end, uint32_t seq)
{
    end->start_seq = seq;
    end->ack_seq = seq;
}

/* What a segment from this end says about where its numbers begin. */
static void begin_numbers(struct flow_context *context, struct flow *f, int dir,
                          const struct tcp_segment *s, uint32_t past)
{
    struct tcp_end *end = &f->tcp[dir];
    bool syn = s->flags & TCP_SYN;
    switch ((enum tcp_state)end->state) {
    case TCP_INACTIVE:
        /* Without a SYN, numbers are counted as if there had been one just before. */
        set_start(end, syn ? s->seq : s->seq - 1);
        end->last_seq = syn ? past : s->seq;
        break;
    case TCP_SYN_SENT:
    case TCP_SYN_ACK_SENT:
        if (syn && s->seq != end->start_seq) {
            weird_unsigned(context, f, "SYN_seq_jump");
            set_start(end, s->seq);
            end->last_seq = past;
        }
        break;
    case TCP_ESTABLISHED:
    case TCP_PARTIAL:
        if (syn) {
            if (tcp_full_seq(end->last_seq, end->seq_wraps) - end->start_seq > 1)
                weird_unsigned(context, f, "SYN_inside_connection");
            if (s->seq != end->start_seq)
                weird_unsigned(context, f, "SYN_seq_jump");
            set_start(end, s->seq);
            end->last_seq = past;
        }
        break;
    case TCP_RESET:
        if (syn && end->prev_state == TCP_INACTIVE) {
            set_start(end, s->seq);
            end->last_seq = past;
        }
        break;
    case TCP_CLOSED:
        break;
    }
    if (!end->seen) {
        end->delivered = end->trimmed = 1;
        end->seen = 1;
    }
}

/* Relative number of `seq`, judged from the nearest known one; below the start: `*below`. */
static uint64_t relative(const struct tcp_end *end, uint32_t seq, uint32_t near, uint16_t wraps,
                         bool *below)
{
    int32_t diff = seq_diff(seq, near);
    if (diff < 0 && wraps && seq > near)
        wraps--;
    else if (diff > 0 && seq < near)
        wraps++;
    if (wraps == 0) {
        diff = seq_diff(seq, end->start_seq);
        *below = diff < 0;
        return (uint64_t)(int64_t)diff;
    }
    return tcp_full_seq(seq, wraps) - end->start_seq;
}

static void advance_ack(struct tcp_end *end, uint32_t ack)
{
    int32_t diff = seq_diff(ack, end->ack_seq);
    if (diff <= 0 || (ack == 0 && diff > SEQ_JUMP_LIMIT))
        return;
    if (ack < end->ack_seq)
        end->ack_wraps++;
    end->ack_seq = ack;
}

/* How far the segment goes beyond all before it. */
static int32_t advance_last(struct flow_context *context, struct flow *f, int dir,
                            const struct tcp_segment *s, uint32_t past)
{
    struct tcp_end *end = &f->tcp[dir];
    int32_t diff = seq_diff(past, end->last_seq);
    bool far = diff > SEQ_JUMP_LIMIT || diff < -SEQ_JUMP_LIMIT;
    if (s->flags & (TCP_SYN | TCP_RST) && far)
        return diff;
    bool first_fin = s->flags & TCP_FIN && end->last_seq == end->start_seq + 1;
    if (first_fin || (end->state != TCP_RESET && diff > 0)) {
        if (past < end->last_seq)
            end->seq_wraps++;
        end->last_seq = past;
    } else if (end->state != TCP_RESET && s->len > 0) {
        flow_history_tally(context, f, dir, TALLY_RETRANSMIT, 'T');
    }
    return diff;
}

/* ---- history, window ---- */

static void repeat_history(struct flow_context *context, struct flow *f, int dir, uint8_t bit,
                           char letter, uint64_t number, uint64_t *last)
{
    if (flow_history_check(context, f, dir, bit, letter) && number != *last)
        flow_history_add(context, f, dir, letter);
    *last = number;
}

static void note_history(struct flow_context *context, struct flow *f, int dir,
                         const struct tcp_segment *s, uint64_t rel)
{
    struct tcp_end *end = &f->tcp[dir];
    uint8_t flags = s->flags & (TCP_SYN | TCP_FIN | TCP_RST);
    switch (flags) {
    case 0:
        if (s->len)
            flow_history_check(context, f, dir, HIST_DATA, 'D');
        else if (s->flags & TCP_ACK)
            flow_history_check(context, f, dir, HIST_ACK, 'A');
        break;
    case TCP_SYN: {
        uint64_t last = more_of(f) ? more_of(f)->hist_last_syn[dir] : 0;
        repeat_history(context, f, dir, HIST_SYN, s->flags & TCP_ACK ? 'H' : 'S', rel, &last);
        if ((last || more_of(f)) && flow_more(context, f))
            more_of(f)->hist_last_syn[dir] = last;
        break;
    }
    case TCP_FIN: {
        uint64_t last = end->fin_seq - 1u; /* its number is one past the data */
        repeat_history(context, f, dir, HIST_FIN, 'F', (uint32_t)(rel + s->len), &last);
        break;
    }
    case TCP_RST: {
        uint64_t last = more_of(f) ? more_of(f)->hist_last_rst[dir] : 0;
        repeat_history(context, f, dir, HIST_RST, 'R', rel, &last);
        if (flow_more(context, f))
            more_of(f)->hist_last_rst[dir] = last;
        break;
    }
    default:
        if ((flags & (TCP_FIN | TCP_RST)) == (TCP_FIN | TCP_RST))
            flow_history_check(context, f, dir, HIST_FIN_RST, 'I');
        else
            flow_history_check(context, f, dir, HIST_MULTI, 'Q');
        break;
    }
}

static void note_window(struct flow_context *context, struct flow *f, int dir,
                        const struct tcp_segment *s)
{
    struct tcp_end *end = &f->tcp[dir];
    uint32_t window = (uint32_t)s->window << end->window_scale;
    if (window == 0 && !(s->flags & TCP_RST) && f->tcp[!dir].state != TCP_CLOSED &&
        end->state != TCP_RESET)
        flow_history_tally(context, f, dir, TALLY_ZERO_WINDOW, 'W');
    if (s->flags & (TCP_SYN | TCP_FIN | TCP_RST) || end->state == TCP_CLOSED ||
        end->state == TCP_RESET)
        return;
    if (seq_diff(s->seq, end->window_seq) < 0 || seq_diff(s->ack, end->window_ack_seq) < 0)
        return;
    int32_t advance = seq_diff(s->ack + window, end->window_ack_seq + end->window);
    if (advance < 0 && -(int64_t)advance >= 1ll << end->window_scale)
        weird_unsigned(context, f, "window_recision");
    end->window = window;
    end->window_ack_seq = s->ack;
    end->window_seq = s->seq;
}

static void note_scale(struct flow_context *context, struct flow *f, int dir,
                       const struct tcp_segment *s)
{
    struct tcp_end *end = &f->tcp[dir], *peer = &f->tcp[!dir];
    if (s->window_scale < 0) {
        end->window_scale = 0;
        if (s->flags & TCP_ACK) /* not agreed on */
            peer->window_scale = 0;
        return;
    }
    if (s->window_scale > MAX_SCALE && !f->did_weird) {
        char text[8];
        int n = snprintf(text, sizeof text, "%d", s->window_scale);
        weird_flow(context, f, "TCP_scale_range", str_make(text, (size_t)n), "TCP");
    }
    end->window_scale = (uint8_t)(s->window_scale > MAX_SCALE ? MAX_SCALE : s->window_scale);
    end->window_seq = s->seq;
    end->window_ack_seq = s->ack;
    peer->window_seq = s->ack;
    peer->window_ack_seq = s->seq;
}

static void note_flags(struct flow_context *context, struct flow *f, int dir,
                       const struct tcp_segment *s)
{
    if (s->flags & TCP_SYN) {
        if (s->flags & TCP_RST)
            weird(context, f, "TCP_christmas");
        if (s->flags & TCP_URG)
            weird(context, f, "baroque_SYN");
        if (s->len > 0)
            weird(context, f, "SYN_with_data");
        note_scale(context, f, dir, s);
    }
    for (int k = 0; k < 2; k++) {
        if (!(s->flags & (k ? TCP_RST : TCP_FIN)) || !more_of(f))
            continue;
        if (++more_of(f)->n_flags[dir][k] >= STORM_COUNT && context->now < f->last + STORM_INTERVAL)
            weird(context, f, k ? "RST_storm" : "FIN_storm");
    }
}

/* ---- closing ---- */

static void closed(struct flow_context *context, struct flow *f, int dir, bool event)
{
    struct tcp_end *end = &f->tcp[dir], *peer = &f->tcp[!dir];
    if (stream_waiting(f, dir)) {
        f->close_deferred = 1;
        f->deferred_event |= event;
        return;
    }
    f->close_deferred = 0;
    if (end->did_close)
        return;
    end->did_close = 1;
    if (end->state == TCP_RESET || peer->did_close || peer->state == TCP_INACTIVE) {
        if ((event || f->deferred_event) &&
            (end->prev_state != TCP_INACTIVE || peer->state != TCP_INACTIVE))
            f->active = 0;
        if (!f->is_closing) {
            f->is_closing = 1;
            f->look = f->last + CLOSE_DELAY;
        }
    }
    flow_table_rearm(context->table, f);
}

void tcp_check_eof(struct flow_context *context, struct flow *f, int dir)
{
    struct tcp_end *end = &f->tcp[dir];
    if (end->did_eof || !(end->fin_seen || end->state == TCP_CLOSED || end->state == TCP_RESET) ||
        stream_waiting(f, dir))
        return;
    end->did_eof = 1;
    if (context->payload)
        context->payload->fin(context, f, dir);
    if (f->close_deferred) {
        closed(context, f, dir, f->deferred_event);
        f->close_deferred = 0;
    }
}

static bool still_open(const struct tcp_end *end)
{
    return end->state != TCP_INACTIVE && end->state != TCP_RESET && !end->did_close;
}

bool tcp_is_reuse(struct flow_context *context, struct flow *f, const struct packet *p)
{
    uint8_t flags = tcp_flags(p);
    if (!(flags & TCP_SYN) || p->payload[12] >> 4 < 5)
        return false;
    const struct tcp_end *o = &f->tcp[FLOW_ORIG], *r = &f->tcp[FLOW_RESP];
    const struct tcp_end *starter = o;
    if (flags & TCP_ACK) {
        if (o->state != TCP_INACTIVE)
            return false;
        starter = r;
    }
    struct reader at = rd_make(p->payload + 4, 4);
    uint32_t seq = rd_be32(&at);
    bool reset = o->state == TCP_RESET || r->state == TCP_RESET;
    if (!o->did_close && !r->did_close) {
        if (seq == starter->start_seq)
            return false;
        if (!(flags & TCP_ACK) && starter->state == TCP_SYN_ACK_SENT && r->state == TCP_INACTIVE &&
            seq == r->start_seq)
            return false; /* SYN and SYN-ACK in the wrong order */
        weird(context, f,
              starter->state == TCP_SYN_SENT ? "SYN_seq_jump" : "active_connection_reuse");
    } else if (!reset && (still_open(o) || still_open(r))) {
        weird(context, f, "active_connection_reuse");
    } else if (!reset && context->now - f->last < TCP_LINGER) {
        weird(context, f, "premature_connection_reuse");
    }
    return true;
}

static void first_of_direction(struct flow *f, int dir, uint8_t flags)
{
    if (f->first_seen >> dir & 1)
        return;
    bool syn = flags & TCP_SYN;
    if (dir == FLOW_ORIG)
        f->partial = !syn || flags & TCP_ACK;
    else if (!f->partial)
        f->partial = !syn;
}

/* Numbers of the other end, as far as this acknowledgement tells; gives its relative number. */
static uint64_t take_ack(struct flow_context *context, struct flow *f, int dir,
                         const struct tcp_segment *s)
{
    struct tcp_end *peer = &f->tcp[!dir];
    if (peer->state == TCP_INACTIVE) {
        if (!(s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) && !f->did_weird) {
            uint8_t state = f->tcp[dir].state;
            if (state == TCP_SYN_SENT || state == TCP_SYN_ACK_SENT || state == TCP_ESTABLISHED)
                weird_unsigned(context, f, "possible_split_routing");
        }
        set_start(peer, s->ack - 1);
        peer->last_seq = s->ack - 1;
        if (!peer->seen) {
            peer->delivered = peer->trimmed = 1;
            peer->seen = 1;
        }
        return 1;
    }
    bool below = false;
    uint64_t rel = relative(peer, s->ack, peer->ack_seq, peer->ack_wraps, &below);
    if (below) {
        weird(context, f, "TCP_ack_underflow_or_misorder");
        return 0;
    }
    if (!(s->flags & TCP_RST)) /* a RST's number is not trusted */
        advance_ack(peer, s->ack);
    return rel;
}

/* The connection begins with a SYN-ACK: its sender is the responder, whatever the ports say. */
static bool is_first_syn_ack(const struct flow *f, int dir, const struct tcp_segment *s)
{
    return dir == FLOW_ORIG && !f->first_seen &&
           (s->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

void tcp_segment_arrived(struct flow_context *context, struct flow *f, int dir,
                         const struct tcp_segment *s)
{
    bool lost_syn = is_first_syn_ack(f, dir, s);
    if (lost_syn) {
        weird(context, f, "connection_originator_SYN_ack");
        flow_flip(context, f);
        dir = FLOW_RESP;
        f->first_seen = 3; /* not taken for partial: all of the data will be there */
    }
    struct tcp_end *end = &f->tcp[dir];
    first_of_direction(f, dir, s->flags);
    uint32_t len =
        (s->flags & TCP_RST ? 0 : s->len) + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
    uint32_t past = s->seq + len;
    begin_numbers(context, f, dir, s, past);
    bool below = false;
    uint64_t rel = relative(end, s->seq, end->last_seq, end->seq_wraps, &below);
    if (below && !(s->flags & TCP_RST))
        weird(context, f, "TCP_seq_underflow_or_misorder");
    note_history(context, f, dir, s, rel);
    note_window(context, f, dir, s);
    if (!f->tcp[0].did_close || !f->tcp[1].did_close)
        f->last = context->now;
    note_flags(context, f, dir, s);
    if (s->flags & TCP_FIN) {
        end->fin_seen = 1;
        end->fin_seq = (uint32_t)(rel + len);
    }
    if (s->flags & TCP_RST)
        end->rst_seen = 1;
    uint64_t rel_ack = s->flags & TCP_ACK ? take_ack(context, f, dir, s) : 0;
    int32_t advance = advance_last(context, f, dir, s, past);
    struct tcp_outcome out = {.dir = dir, .lost_syn = lost_syn};
    tcp_step(context, f, s, advance, &out);
    if (out.dir != dir) {
        dir = out.dir;
        end = &f->tcp[dir];
    }
    if (s->flags & TCP_ACK)
        stream_acked(context, f, !dir, rel_ack);
    f->first_seen |= (uint8_t)(1 << dir);
    if (s->len > 0 && !(s->flags & TCP_RST) && !below) {
        if (s->size >= s->len || context->deliver_truncated)
            stream_data(context, f, dir, s->flags & TCP_SYN ? rel + 1 : rel, s->bytes, s->size);
        else
            weird(context, f, "truncated_tcp_payload");
    }
    tcp_check_eof(context, f, dir);
    if (out.close)
        closed(context, f, dir, out.event);
}
