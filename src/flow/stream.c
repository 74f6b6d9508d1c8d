/* Reassembly of one direction of a TCP connection, with Zeek's rules for what is a gap: data is
 * given on at once when it is in order; what comes early is kept, within limits; what was
 * acknowledged but never seen is missing. Where bytes overlap, the first that came win. */
#include "flow/more.h"
#include "flow/tcp.h"
#include "flow/weird.h"

#define MAX_INITIAL_WINDOW 16384
#define MAX_ABOVE_HOLE     16384       /* bytes kept above a hole while nothing was acknowledged */
#define MAX_UNACKED        (10u << 20) /* bytes delivered or kept without an acknowledgement */

uint64_t tcp_full_seq(uint32_t seq, uint16_t wraps)
{
    return (uint64_t)wraps << 32 | seq;
}

bool tcp_nothing_acked(const struct tcp_end *end)
{
    uint32_t acked = end->ack_seq - end->start_seq;
    return acked <= 1;
}

static void deliver(struct flow_context *context, struct flow *f, int dir, const uint8_t *bytes,
                    uint32_t size)
{
    f->tcp[dir].delivered += size;
    if (context->payload && !f->tcp[dir].skip)
        context->payload->data(context, f, dir, bytes, size);
}

static bool is_clean(const struct tcp_end *end)
{
    return end->state == TCP_ESTABLISHED ||
           (end->state == TCP_CLOSED && end->prev_state == TCP_ESTABLISHED);
}

static void gap(struct flow_context *context, struct flow *f, int dir, uint64_t size)
{
    struct tcp_end *end = &f->tcp[dir];
    if (is_clean(end) && is_clean(&f->tcp[!dir])) {
        flow_history_tally(context, f, dir, TALLY_GAP, 'G');
        struct flow_more *more = flow_more(context, f);
        if (more)
            more->missed_bytes += size;
    }
    end->delivered += size;
    end->had_gap = 1;
    if (context->payload)
        context->payload->gap(context, f, dir, size);
}

static struct segment *first_kept(const struct flow *f, int dir)
{
    return more_of(f) ? more_of(f)->pending[dir].first : NULL;
}

/* Gives on what is kept and has its turn now. */
static void deliver_pending(struct flow_context *context, struct flow *f, int dir)
{
    struct tcp_end *end = &f->tcp[dir];
    struct segment *s;
    while ((s = first_kept(f, dir)) && s->begin <= end->delivered) {
        uint64_t known = end->delivered - s->begin;
        if (known < s->size)
            deliver(context, f, dir, s->bytes + known, s->size - (uint32_t)known);
        if (first_kept(f, dir) == s)
            flow_pending_drop(context, f, dir);
    }
}

static void drop_pending(struct flow_context *context, struct flow *f, int dir)
{
    while (first_kept(f, dir))
        flow_pending_drop(context, f, dir);
}

static void keep(struct flow_context *context, struct flow *f, int dir, uint64_t begin,
                 const uint8_t *bytes, uint32_t size)
{
    struct flow_more *more = flow_more(context, f);
    if (!more)
        return;
    struct pending *pending = &more->pending[dir];
    uint32_t before = pending->n_bytes;
    /* What finds no room becomes a gap; the pool counts what it refused. */
    (void)pending_keep(pending, context->pool, begin, bytes, size);
    context->counters.tcp_bytes += pending->n_bytes - before;
}

static void give_up(struct flow_context *context, struct flow *f, int dir, const char *weird)
{
    weird_flow(context, f, weird, (struct str){0}, "TCP");
    drop_pending(context, f, dir);
    f->tcp[dir].skip = 1;
}

static void check_limits(struct flow_context *context, struct flow *f, int dir)
{
    struct tcp_end *end = &f->tcp[dir];
    const struct pending *pending = more_of(f) ? &more_of(f)->pending[dir] : NULL;
    uint32_t kept = pending ? pending->n_bytes : 0;
    uint64_t unacked = end->delivered > end->trimmed ? end->delivered - end->trimmed : 0;
    if (kept && tcp_nothing_acked(end) && pending_end(pending) - end->delivered > MAX_ABOVE_HOLE)
        give_up(context, f, dir, "above_hole_data_without_any_acks");
    else if (!tcp_nothing_acked(end) && unacked + kept > MAX_UNACKED)
        give_up(context, f, dir, "excessive_data_without_further_acks");
}

void stream_data(struct flow_context *context, struct flow *f, int dir, uint64_t begin,
                 const uint8_t *bytes, uint32_t size)
{
    struct tcp_end *end = &f->tcp[dir];
    if (end->skip)
        return;
    uint64_t stop = begin + size;
    uint64_t acked = tcp_full_seq(end->ack_seq, end->ack_wraps) - end->start_seq;
    uint64_t known = acked > end->trimmed ? acked : end->trimmed;
    if (stop <= known)
        return; /* acknowledged before: seen, or counted as missing */
    if (begin < known) {
        bytes += known - begin;
        begin = known;
    }
    if (stop <= end->delivered)
        return;
    if (begin < end->delivered) {
        bytes += end->delivered - begin;
        begin = end->delivered;
    }
    if (begin == end->delivered) {
        /* Kept segments hold bytes that came first: the new ones only fill up to them. */
        uint64_t upto = stop;
        const struct segment *s = first_kept(f, dir);
        if (s && s->begin < stop) {
            upto = s->begin;
            keep(context, f, dir, upto, bytes + (upto - begin), (uint32_t)(stop - upto));
        }
        if (upto > begin)
            deliver(context, f, dir, bytes, (uint32_t)(upto - begin));
        if (first_kept(f, dir))
            deliver_pending(context, f, dir);
    } else {
        keep(context, f, dir, begin, bytes, (uint32_t)(stop - begin));
    }
    check_limits(context, f, dir);
    if (tcp_nothing_acked(end) && end->delivered > MAX_INITIAL_WINDOW)
        end->trimmed = end->delivered; /* its peer is not seen: no acknowledgement will come */
}

/* All before `upto` was acknowledged and part of it was never seen. */
static void undelivered(struct flow_context *context, struct flow *f, int dir, uint64_t upto)
{
    struct tcp_end *end = &f->tcp[dir];
    if (upto <= 2 && f->partial)
        return; /* the made-up SYN of a partial connection */
    if (!end->skip) {
        const struct segment *s;
        while ((s = first_kept(f, dir)) && s->begin < upto) {
            if (s->begin > end->delivered)
                gap(context, f, dir, s->begin - end->delivered);
            deliver_pending(context, f, dir);
        }
        if (upto > end->delivered)
            gap(context, f, dir, upto - end->delivered);
    }
    if (upto > end->delivered)
        end->delivered = upto;
}

/* Counts for capture_loss.log as Zeek does: between two ends that are established, by what the
 * acknowledgement covers that was not seen. One byte behind data that was not acknowledged before
 * is a FIN's number, more likely, whose segment was not seen. */
static void count_ack(struct flow_context *context, const struct flow *f, int dir, uint64_t upto)
{
    const struct tcp_end *end = &f->tcp[dir];
    if (end->skip || end->state != TCP_ESTABLISHED || f->tcp[!dir].state != TCP_ESTABLISHED)
        return;
    context->counters.n_acks++;
    if (upto <= end->delivered)
        return;
    const struct segment *s = first_kept(f, dir);
    bool has_hole = s && s->begin < upto;
    if (has_hole || upto - end->delivered > 1 || end->delivered == end->trimmed)
        context->counters.n_gaps++;
}

void stream_acked(struct flow_context *context, struct flow *f, int dir, uint64_t upto)
{
    struct tcp_end *end = &f->tcp[dir];
    if (end->fin_seen) {
        /* The FIN's own number is not data. */
        uint64_t fin = (upto & ~0xffffffffull) | end->fin_seq;
        if (upto >= fin)
            upto = fin - 1;
    }
    if (upto <= end->trimmed)
        return;
    count_ack(context, f, dir, upto);
    if (upto > end->delivered)
        undelivered(context, f, dir, upto);
    if (first_kept(f, dir))
        deliver_pending(context, f, dir);
    end->trimmed = upto;
    tcp_check_eof(context, f, dir);
}

bool stream_waiting(const struct flow *f, int dir)
{
    const struct tcp_end *end = &f->tcp[dir];
    if (end->skip)
        return false;
    uint64_t delivered = end->start_seq + end->delivered;
    uint64_t last = tcp_full_seq(end->last_seq, end->seq_wraps);
    if (last < delivered)
        return false;
    /* A FIN takes one number, a RST does not. */
    if (delivered != last - 1 && delivered != last)
        return true;
    /* Zeek waits until what the peer sent was acknowledged as well. */
    const struct tcp_end *peer = &f->tcp[!dir];
    return end->state != TCP_RESET && (peer->delivered > peer->trimmed || first_kept(f, !dir));
}
