/* The sensor's own measures: see watch_measures.h; and when a running watch logs them. The times
 * are those of Zeek's scripts: stats.log every five minutes; capture_loss.log every 15, but first
 * after one, so that a bad mirror is soon known. As there, each begins after its interval, and at
 * the end there is a row for the part of an interval that is left. */
#include "sensor/watch_measures.h"

#include <sys/resource.h>

#include "sensor/watch_parts.h"

#define SECOND      1000000000ll
#define STATS_EVERY (300 * SECOND)
#define LOSS_FIRST  (60 * SECOND)
#define LOSS_EVERY  (900 * SECOND)
#define PEER        "cloudspan"

/* What is summed over machines or inputs grows smaller when one of them goes. */
static uint64_t grown(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

struct stats_row watch_stats_row(const struct watch_measured *before,
                                 const struct watch_measured *now)
{
    const struct pipeline_counters *b = &before->counters, *n = &now->counters;
    uint64_t n_packets = grown(b->n_packets, n->n_packets);
    uint64_t n_dropped = grown(before->n_kernel_dropped, now->n_kernel_dropped);
    uint64_t n_records = grown(before->n_records, now->n_records);
    return (struct stats_row){
        .ts = now->ts,
        .peer = PEER,
        .memory = now->memory >> 20,
        .n_packets = n_packets,
        .n_bytes = grown(before->n_bytes, now->n_bytes),
        .live = true,
        .n_dropped = n_dropped,
        .n_seen = n_packets + n_dropped,
        .lag = now->lag,
        .has_filtered = now->has_filter,
        .n_filtered = grown(b->n_filtered, n->n_filtered),
        .n_events = n_records,
        .n_events_queued = n_records,
        .n_tcp_now = n->flows.n_now_of[FLOW_TCP],
        .n_udp_now = n->flows.n_now_of[FLOW_UDP],
        .n_icmp_now = n->flows.n_now_of[FLOW_ICMP],
        .n_tcp = grown(b->flows.n_added_of[FLOW_TCP], n->flows.n_added_of[FLOW_TCP]),
        .n_udp = grown(b->flows.n_added_of[FLOW_UDP], n->flows.n_added_of[FLOW_UDP]),
        .n_icmp = grown(b->flows.n_added_of[FLOW_ICMP], n->flows.n_added_of[FLOW_ICMP]),
        .n_timers = grown(b->flows.n_added, n->flows.n_added), /* each connection has one */
        .n_timers_now = n->flows.n_now,
        .n_files = grown(b->payload.n_files, n->payload.n_files),
        .n_files_now = n->payload.n_files_now,
        .tcp_bytes = n->payload.tcp_bytes,
        .file_bytes = n->payload.file_bytes,
        .fragment_bytes = n->stack.fragment_bytes,
        .other_bytes = n->payload.early_bytes,
    };
}

struct capture_loss_row watch_loss_row(const struct watch_measured *before,
                                       const struct watch_measured *now)
{
    const struct flow_counters *b = &before->counters.payload, *n = &now->counters.payload;
    return (struct capture_loss_row){
        .ts = now->ts,
        .ts_delta = now->ts - before->ts,
        .peer = PEER,
        .n_gaps = grown(b->n_gaps, n->n_gaps),
        .n_acks = grown(b->n_acks, n->n_acks),
    };
}

static void measure(const struct watch *w, struct watch_measured *out)
{
    struct rusage usage;
    bool has_usage = getrusage(RUSAGE_SELF, &usage) == 0;
    *out = (struct watch_measured){
        .ts = clock_now(),
        .counters = w->counters,
        .n_bytes = w->current.n_bytes,
        .n_kernel_dropped = w->n_kernel_dropped,
        .n_records = log_set_n_records(w->options.logs),
        .memory = has_usage ? (uint64_t)usage.ru_maxrss << 10 : 0,
        .lag = w->workers ? workers_lag(w->workers) : 0,
        .has_filter = w->options.filter != NULL,
    };
}

static void log_stats(struct watch *w, const struct watch_measured *now)
{
    struct stats_row row = watch_stats_row(&w->stats, now);
    stats_write(w->log, &row);
    w->stats = *now;
}

static void log_loss(struct watch *w, const struct watch_measured *now)
{
    struct capture_loss_row row = watch_loss_row(&w->loss, now);
    capture_loss_write(w->log, &row);
    w->loss = *now;
}

void watch_start_measures(struct watch *w)
{
    w->stats.ts = w->loss.ts = clock_now();
    w->next_stats = clock_ticks() + STATS_EVERY;
    w->next_loss = clock_ticks() + LOSS_FIRST;
}

void watch_log_measures(struct watch *w, bool is_end)
{
    int64_t ticks = clock_ticks();
    bool stats_due = is_end || ticks >= w->next_stats;
    bool loss_due = is_end || ticks >= w->next_loss;
    if (!w->options.logs || (!stats_due && !loss_due))
        return;
    struct watch_measured now;
    measure(w, &now);
    if (stats_due) {
        log_stats(w, &now);
        w->next_stats = ticks + STATS_EVERY;
    }
    if (loss_due) {
        log_loss(w, &now);
        w->next_loss = ticks + LOSS_EVERY;
    }
}
