/* When connections are over: see deadline.h. The times are those of Zeek's defaults.
 *
 * A connection has at most one chain of looks: TCP 5 s after its start and then every 6 s, DNS over
 * UDP every 10 s. A look matters only in some states, so the chain is gone through only then. */
#include "flow/deadline.h"

#define SECOND 1000000000ll

#define TCP_ATTEMPT (5 * SECOND)  /* tcp_attempt_delay: a SYN without an answer */
#define TCP_LINGER  (5 * SECOND)  /* tcp_connection_linger */
#define TCP_FIRST   (5 * SECOND)  /* tcp_SYN_timeout: the first look */
#define TCP_EVERY   (6 * SECOND)  /* tcp_session_timer: further looks */
#define DNS_EVERY   (10 * SECOND) /* dns_session_timeout */
#define DNS_SILENT  (9 * SECOND)  /* and one second less, for an answer that took its time */

static const int64_t idle_time[] = {
    [FLOW_IDLE_MINUTE] = 60 * SECOND,
    [FLOW_IDLE_5_MINUTES] = 300 * SECOND,
    [FLOW_IDLE_HOUR] = 3600 * SECOND,
};

void flow_times_add(struct flow_times *times, int64_t clock)
{
    size_t i = (uint64_t)(clock >> FLOW_STEP_SHIFT) % FLOW_N_STEPS;
    if (times->last[i] >> FLOW_STEP_SHIFT != clock >> FLOW_STEP_SHIFT)
        times->first[i] = clock;
    times->last[i] = clock;
    times->clock = clock;
}

/* When a timer for `t` (not later than now) went off: with the first packet from then on. Within a
 * step that has both earlier and later packets, traffic is dense: at its time. */
static int64_t fired_at(const struct flow_times *times, int64_t t)
{
    int64_t step = t >> FLOW_STEP_SHIFT, now = times->clock >> FLOW_STEP_SHIFT;
    if (now - step >= FLOW_N_STEPS)
        return t; /* forgotten */
    for (; step <= now; step++) {
        size_t i = (uint64_t)step % FLOW_N_STEPS;
        if (times->last[i] >> FLOW_STEP_SHIFT != step || times->last[i] < t)
            continue;
        return times->first[i] > t ? times->first[i] : t;
    }
    return times->clock;
}

void flow_deadline_start(struct flow *f)
{
    f->look = f->first + TCP_FIRST;
}

void flow_deadline_tick(struct flow *f)
{
    f->ticks = 1;
    f->look = f->first + DNS_EVERY;
}

static bool half_closed_for_good(const struct flow *f)
{
    const struct tcp_end *o = &f->tcp[FLOW_ORIG], *r = &f->tcp[FLOW_RESP];
    if (!o->did_close && !r->did_close)
        return o->state == TCP_INACTIVE && r->state == TCP_INACTIVE;
    return (o->did_close && r->did_close) || o->state == TCP_RESET || r->state == TCP_RESET ||
           o->state == TCP_INACTIVE || r->state == TCP_INACTIVE;
}

static bool is_attempt(const struct flow *f)
{
    const struct tcp_end *o = &f->tcp[FLOW_ORIG], *r = &f->tcp[FLOW_RESP];
    return (o->state == TCP_SYN_SENT || o->state == TCP_SYN_ACK_SENT) && r->state == TCP_INACTIVE;
}

/* Whether a look would find it over once it has been silent for long enough. */
static bool looks_matter(const struct flow *f)
{
    return f->ticks || (f->proto == FLOW_TCP && f->active && half_closed_for_good(f));
}

int64_t flow_deadline(const struct flow *f)
{
    if (f->is_closing)
        return f->look;
    int64_t at = f->last + idle_time[f->idle];
    if (f->proto == FLOW_TCP && f->active && is_attempt(f) && f->first + TCP_ATTEMPT < at)
        at = f->first + TCP_ATTEMPT;
    if (looks_matter(f) && f->look < at)
        at = f->look;
    return at;
}

bool flow_is_over(struct flow *f, const struct flow_times *times)
{
    if (flow_deadline(f) > times->clock)
        return false;
    if (f->is_closing || !looks_matter(f))
        return true;
    while (f->look <= times->clock) {
        int64_t at = fired_at(times, f->look);
        if (f->ticks ? at - f->last >= DNS_SILENT : f->last + TCP_LINGER < at)
            return true;
        f->look = at + (f->ticks ? DNS_EVERY : TCP_EVERY);
    }
    return flow_deadline(f) <= times->clock;
}
