/* Whom a running watch tells what it noticed: notice.log, the screen, the journal, a hook. */
#include <stdio.h>
#include <string.h>

#include "flow/notice.h"
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

void watch_notice_about(struct watch *w, int64_t now, const char *machine, const char *note,
                        const char *text, const struct addr *src, const struct addr *dst)
{
    struct about about = {w, machine};
    struct flow_context context = {
        .log = w->log, .clock = now, .now = now, .extra = put_extra, .owner = &about};
    if (!w->log)
        return;
    notice_about(&context, note, text, str_c(machine), src, dst);
    log_writer_flush(w->log);
}

void watch_notice(struct watch *w, int64_t now, const char *machine, const char *note,
                  const char *text)
{
    watch_notice_about(w, now, machine, note, text, NULL, NULL);
}

void watch_alarm(void *with, const struct snapshot_alarm *alarm)
{
    struct watch *w = with;
    watch_notice(w, alarm->ts, alarm->machine, note_of(alarm->state), alarm->text);
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
