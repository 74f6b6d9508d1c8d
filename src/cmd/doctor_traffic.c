/* The doctor's checks of what comes in: asked of the running watch, or heard where none runs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/doctor.h"
#include "linux/senders.h"
#include "sensor/control.h"
#include "sensor/report.h"

#define SHOWN_MAX 10

static void channel_text(const struct snapshot_channel *c, char *out, size_t size)
{
    char outer[ADDR_TEXT_MAX + 1], id[24] = "";
    outer[addr_format(&c->outer, outer)] = '\0';
    if (c->has_id)
        (void)snprintf(id, sizeof id, " %" PRIu32, c->id);
    (void)snprintf(out, size, "%s (%s%s)", c->interface[0] ? c->interface : outer, c->encapsulation,
                   id);
}

void doctor_judge_snapshot(struct doctor *d, const struct snapshot *s)
{
    size_t n_bad = 0;
    for (size_t i = 0; i < s->n_inputs; i++)
        if (!s->inputs[i].ok)
            doctor_warn(d, true, "", "%s: %s", s->inputs[i].name, s->inputs[i].state);
    for (size_t i = 0; i < s->n_drops; i++)
        if (s->drops[i].is_loss && s->drops[i].n)
            doctor_warn(d, true, "", "%" PRIu64 " %s (%s, %s)", s->drops[i].n, s->drops[i].text,
                        s->drops[i].stage, s->drops[i].reason);
    for (size_t i = 0; i < s->n_machines && n_bad < SHOWN_MAX; i++) {
        const struct snapshot_machine *m = &s->machines[i];
        bool loses = m->state == HEALTH_TRUNCATED || m->state == HEALTH_DROPPING;
        if (!loses && m->state != HEALTH_ONE_SIDED && m->state != HEALTH_MUTED &&
            m->state != HEALTH_SILENT)
            continue;
        doctor_warn(d, loses, "cloudspan sources", "%s: %s", m->name, m->reason);
        n_bad++;
    }
    for (size_t i = 0; i < s->n_refused && i < SHOWN_MAX; i++) {
        char from[128];
        channel_text(&s->refused[i].channel, from, sizeof from);
        doctor_warn(d, true, s->refused[i].admit, "refused: %s sent %s%" PRIu64 " packets", from,
                    s->refused[i].is_estimate ? "about " : "", s->refused[i].n_packets);
    }
    if (s->n_refused > SHOWN_MAX)
        doctor_warn(d, true, "cloudspan sources", "and %zu more senders are refused",
                    s->n_refused - SHOWN_MAX);
    doctor_ok(d, "the running watch hears %zu machines; %" PRIu64 " packets, %" PRIu64 " lost",
              s->n_machines, s->n_packets, s->n_lost);
}

void doctor_judge_senders(struct doctor *d, const struct linux_senders *s)
{
    if (s->hears_nothing) {
        doctor_unknown(d, "who sends cannot be heard: the ports are held by others, and listening "
                          "beside them needs CAP_NET_RAW");
        return;
    }
    for (size_t i = 0; i < s->n && i < SHOWN_MAX; i++) {
        const struct linux_sender *one = &s->list[i];
        char from[ADDR_TEXT_MAX + 1], what[48], id[32] = "";
        from[addr_format(&one->from, from)] = '\0';
        if (one->port)
            (void)snprintf(what, sizeof what, "UDP port %u", one->port);
        else
            (void)snprintf(what, sizeof what, "GRE of type %04x", one->gre_type);
        if (one->has_id)
            (void)snprintf(id, sizeof id, ", %s %" PRIu32, one->port ? "VNI" : "key", one->id);
        doctor_ok(d, "%s sends to %s%s: %" PRIu64 " packets, the largest of %" PRIu32 " bytes",
                  from, what, id, one->n_packets, one->largest);
    }
    if (s->n > SHOWN_MAX)
        doctor_ok(d, "and %zu more channels", s->n - SHOWN_MAX);
    if (s->n_more)
        doctor_ok(d, "and %" PRIu64 " packets of still others", s->n_more);
    if (s->n == 0)
        doctor_warn(d, false,
                    "cloudspan mirror plan --help    # or look at the sender's own firewall",
                    "nobody sent anything to these ports%s in %u seconds",
                    s->sees_all ? " or by GRE" : "", d->seconds);
}

#define ASK_MS 5000

/* The answer of the watch at `path`; NULL: where one is by default. */
static int ask_watch(const char *path, const char *folder, struct snapshot *out, struct err *err)
{
    char usual[CONTROL_PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    int result = 0;
    if (!path)
        result = control_path(geteuid() == 0, getenv("XDG_RUNTIME_DIR"), folder ? folder : "logs",
                              usual, err);
    if (result == 0)
        result = control_ask(path ? path : usual, "snapshot", REPORT_SIZE_MAX, ASK_MS, &text, &size,
                             err);
    if (result == 0)
        result = report_read(text, size, out, err);
    free(text);
    return result;
}

static void check_traffic(struct doctor *d)
{
    struct snapshot snapshot = {0};
    struct linux_senders senders;
    struct err err;
    if (ask_watch(d->socket, d->folder, &snapshot, &err) == 0) {
        doctor_judge_snapshot(d, &snapshot);
        snapshot_done(&snapshot);
        return;
    }
    if (d->socket)
        doctor_unknown(d, "the running watch does not say what it sees: %s", err.text);
    if (d->seconds == 0)
        return;
    linux_hear_senders(&senders, d->ports, d->seconds);
    doctor_judge_senders(d, &senders);
}

const struct doctor_check doctor_traffic_checks[] = {
    {"traffic", "who sends, and what is refused", check_traffic}, {0}};
