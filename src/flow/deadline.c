/* When connections are over: Zeek's time-outs (scripts/base/init-bare.zeek), as one pure function.
 *
 * Where Zeek looks at a connection every so often and ends it if it has been silent for long enough,
 * the time of that look is computed here, so no connection needs more than one timer. */
#include "flow/table.h"

#define SECOND 1000000000ll

#define TCP_ATTEMPT  (5 * SECOND) /* tcp_attempt_delay: a SYN without an answer */
#define TCP_LINGER   (5 * SECOND) /* tcp_connection_linger */
#define TCP_FIRST    (5 * SECOND) /* tcp_SYN_timeout: the first look */
#define TCP_EVERY    (6 * SECOND) /* tcp_session_timer: further looks */
#define DNS_EVERY    (10 * SECOND) /* dns_session_timeout */

static const int64_t idle_time[] = {
    [FLOW_IDLE_MINUTE] = 60 * SECOND,
    [FLOW_IDLE_5_MINUTES] = 300 * SECOND,
    [FLOW_IDLE_HOUR] = 3600 * SECOND,
};

/* The first of start, start + every, … that is later than `after`. */
static int64_t next_look(int64_t start, int64_t every, int64_t after)
{
    if (start > after)
        return start;
    return start + ((after - start) / every + 1) * every;
}

static bool half_closed_for_good(const struct flow *f)
{
    const struct tcp_end *o = &f->tcp[FLOW_ORIG], *r = &f->tcp[FLOW_RESP];
    if (!o->did_close && !r->did_close)
        return o->state == TCP_INACTIVE && r->state == TCP_INACTIVE;
    return (o->did_close && r->did_close) || o->state == TCP_RESET || r->state == TCP_RESET ||
           o->state == TCP_INACTIVE || r->state == TCP_INACTIVE;
}

static int64_t min_time(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t flow_deadline(const struct flow *f)
{
    if (f->closing)
        return f->closing;
    int64_t idle = f->last + idle_time[f->idle];
    if (f->ticks)
        return min_time(idle, next_look(f->first + DNS_EVERY, DNS_EVERY, f->last + DNS_EVERY - 1));
    if (f->proto != FLOW_TCP || !f->active)
        return idle;
    const struct tcp_end *o = &f->tcp[FLOW_ORIG], *r = &f->tcp[FLOW_RESP];
    if ((o->state == TCP_SYN_SENT || o->state == TCP_SYN_ACK_SENT) && r->state == TCP_INACTIVE)
        return min_time(idle, f->first + TCP_ATTEMPT);
    if (half_closed_for_good(f))
        return min_time(idle, next_look(f->first + TCP_FIRST, TCP_EVERY, f->last + TCP_LINGER));
    return idle;
}
