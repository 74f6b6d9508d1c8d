/* Whom a running watch tells what it noticed: notice.log, the screen, the journal, a hook; and its
 * own measures, into stats.log. */
#include <stdio.h>
#include <string.h>

#include "flow/notice.h"
#include "log/measures.h"
#include "sensor/watch_parts.h"

#define HOOK_ALARM 0

/* The extra columns of a row that is about no connection. */
struct about {
    const struct watch *watch;
    const char *machine;
};

static void put_extra(struct flow_context *context, const struct flow *flow, struct rec *rec)
{
    (void)flow;
    const struct about *about = context->owner;
    rec_str(rec, str_c(about->machine));
    rec_unset(rec);
    rec_unset(rec);
    rec_str(rec, str_c(about->machine));
    rec_unset(rec);
    if (about->watch->config->outputs.logs.community_id)
        rec_unset(rec);
}

/* "Mirror::Silent": the kind of notice, as Zeek spells such. */
static const char *note_of(enum health_state state)
{
    switch (state) {
    case HEALTH_SILENT:
        return "Mirror::Silent";
    case HEALTH_MUTED:
        return "Mirror::Muted";
    case HEALTH_ONE_SIDED:
        return "Mirror::One_Sided";
    case HEALTH_TRUNCATED:
        return "Mirror::Truncated";
    case HEALTH_DROPPING:
        return "Mirror::Dropping";
    case HEALTH_UNKNOWN:
        return "Mirror::Unknown";
    case HEALTH_NEW:
    case HEALTH_OK:
    case HEALTH_QUIET:
    case HEALTH_N_STATES:
        break;
    }
    return "Mirror::All_Clear";
}

void watch_alarm(void *with, const struct snapshot_alarm *alarm)
{
    struct watch *w = with;
    if (w->log) {
        struct about about = {w, alarm->machine};
        struct flow_context context = {.log = w->log,
                                       .clock = alarm->ts,
                                       .now = alarm->ts,
                                       .extra = put_extra,
                                       .owner = &about};
        notice(&context, NULL, note_of(alarm->state), alarm->text, str_c(alarm->machine));
        log_writer_flush(w->log);
    }
    if (w->options.screen->alarm)
        w->options.screen->alarm(w->options.screen->with, alarm);
    if (w->config->n_on_alarm == 0)
        return;
    struct parent_alarm hook = {.ts = alarm->ts};
    struct err err;
    (void)snprintf(hook.machine, sizeof hook.machine, "%s", alarm->machine);
    (void)snprintf(hook.state, sizeof hook.state, "%s", health_state_name(alarm->state));
    (void)snprintf(hook.text, sizeof hook.text, "%s", alarm->text);
    if (parent_run_hook(w->options.parent, HOOK_ALARM, &hook, &err) < 0)
        watch_say(w, NOTE_WARN, "%s", err.text);
}

void watch_log_measures(struct watch *w)
{
    if (!w->options.logs)
        return;
    const struct snapshot *s = &w->current;
    uint64_t n_records = log_set_n_records(w->options.logs);
    struct stats_row row = {
        .ts = watch_now(),
        .peer = "cloudspan",
        .memory = s->memory_used >> 20,
        .n_packets = s->n_packets - w->stats_packets,
        .n_bytes = s->n_bytes - w->stats_bytes,
        .live = true,
        .n_dropped = w->n_kernel_dropped - w->stats_dropped,
        .n_seen = s->n_packets - w->stats_packets + w->n_kernel_dropped - w->stats_dropped,
        .n_events = n_records - w->stats_records,
        .n_events_queued = n_records - w->stats_records,
        .n_tcp_now = w->counters.flows.n_now,
    };
    stats_write(w->log, &row);
    w->stats_ts = row.ts;
    w->stats_packets = s->n_packets;
    w->stats_bytes = s->n_bytes;
    w->stats_dropped = w->n_kernel_dropped;
    w->stats_records = n_records;
}
