/* Hunts in a running watch: whom to tell what they found, and what of it snapshots have. The
 * hunting itself is hunter.c's, in a thread of its own. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/watch_parts.h"

#define MEMORY_MOST  (1ull << 30) /* unless the configuration says otherwise */
#define SHOWN_MAX    50
#define HOOK_ALARM   0
#define TOLD_AT_ONCE 20 /* a second; the others wait */
#define ARCHIVE_NAME ".hunts.db"

/* ---- settings ---- */

/* Of the configuration, on the heap, with what the parent says the lists hold. */
static int make_settings(struct watch *w, struct hunt_settings **out, int *out_lists,
                         struct err *err)
{
    struct hunt_settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return err_set(err, -ENOMEM, "out of memory");
    int result = hunt_config_settings(&w->config->hunts, settings, err);
    if (result < 0) {
        free(settings);
        return result;
    }
    if (settings->memory == 0) {
        uint64_t half = w->config->limits.memory / 2;
        settings->memory = half < MEMORY_MOST ? half : MEMORY_MOST;
    }
    *out_lists = -1;
    if (settings->n_feeds || settings->n_safelists)
        result = services_lists(w->options.parent, out_lists, err);
    if (result < 0) {
        err_wrap(err, "hunts");
        hunt_settings_done(settings);
        free(settings);
        return result;
    }
    *out = settings;
    return 0;
}

int watch_start_hunts(struct watch *w, struct err *err)
{
    char archive[4096];
    if (!w->options.logs || !w->config->hunts.common.live)
        return 0;
    (void)snprintf(archive, sizeof archive, "%s/" ARCHIVE_NAME, w->options.folder);
    struct hunter_options options = {.logs = w->options.logs, .archive = archive};
    int result = make_settings(w, &options.settings, &options.lists, err);
    return result < 0 ? result : hunter_start(&options, &w->hunter, err);
}

void watch_change_hunts(struct watch *w, const struct hunt_settings *was)
{
    const struct hunt_settings *is = &w->config->hunts.common;
    struct hunt_settings *settings = NULL;
    struct err err;
    int lists = -1;
    if (w->options.logs &&
        (was->live != is->live || was->days != is->days || was->memory != is->memory))
        watch_say(w, NOTE_WARN, "hunts: live, days and memory are taken at the next start");
    if (!w->hunter)
        return;
    if (make_settings(w, &settings, &lists, &err) < 0)
        watch_say(w, NOTE_ERROR, "%s; their settings before stay in force", err.text);
    else
        hunter_change(w->hunter, settings, lists);
}

/* ---- words ---- */

static void put_host(const struct hunt_host *host, bool has, const char *machine, char *out,
                     size_t size)
{
    char text[ADDR_TEXT_MAX];
    if (machine[0])
        (void)snprintf(out, size, "%s", machine);
    else if (has)
        (void)snprintf(out, size, "%.*s", (int)addr_format(&host->addr, text), text);
    else
        out[0] = '\0';
}

static void put_source(const struct finding *f, char *out, size_t size)
{
    put_host(&f->src, f->has_src, f->src_machine, out, size);
}

static void put_destination(const struct finding *f, char *out, size_t size)
{
    if (f->name[0])
        (void)snprintf(out, size, "%s", f->name);
    else
        put_host(&f->dst, f->has_dst, f->dst_machine, out, size);
}

/* "Hunt::Dns_Tunnel" of "dns-tunnel", as Zeek spells kinds of notices. */
static void put_note(const struct finding *f, char *out, size_t size)
{
    bool begins = true;
    size_t at = (size_t)snprintf(out, size, "Hunt::");
    for (const char *c = f->hunt->name; *c && at + 1 < size; c++) {
        out[at++] = *c == '-' ? '_' : begins ? (char)toupper((unsigned char)*c) : *c;
        begins = *c == '-';
    }
    out[at] = '\0';
}

/* "web-1 -> evil.example: every 60 s, 20 check-ins" */
static void put_text(const struct finding *f, char *out, size_t size)
{
    char source[64], destination[sizeof f->name];
    put_source(f, source, sizeof source);
    put_destination(f, destination, sizeof destination);
    (void)snprintf(out, size, "%s%s%s%s%s", source, destination[0] ? " -> " : "", destination,
                   source[0] || destination[0] ? ": " : "", f->title);
}

/* ---- telling ---- */

static void run_hook(struct watch *w, const struct finding *f, int64_t now, const char *text)
{
    struct parent_alarm hook = {.ts = now};
    struct err err;
    put_source(f, hook.machine, sizeof hook.machine);
    (void)snprintf(hook.state, sizeof hook.state, "%s", hunt_severity_name(f->severity));
    (void)snprintf(hook.text, sizeof hook.text, "%.20s: %.290s", f->hunt->name, text);
    if (parent_run_hook(w->options.parent, HOOK_ALARM, &hook, &err) < 0)
        watch_say(w, NOTE_WARN, "%s", err.text);
}

static void tell(struct watch *w, const struct finding *f)
{
    char text[600], note[64];
    int64_t now = clock_now();
    put_text(f, text, sizeof text);
    put_note(f, note, sizeof note);
    watch_say(w, NOTE_WARN, "%s %.2f %s: %s", hunt_severity_name(f->severity), f->score,
              f->hunt->name, text);
    watch_notice_about(w, now, f->src_machine, note, text, f->has_src ? &f->src.addr : NULL,
                       f->has_dst ? &f->dst.addr : NULL);
    if (w->config->n_on_alarm)
        run_hook(w, f, now, text);
}

void watch_take_hunts(struct watch *w)
{
    struct finding finding;
    char note[HUNTER_NOTE_MAX];
    if (!w->hunter)
        return;
    for (int i = 0; i < TOLD_AT_ONCE && hunter_take(w->hunter, &finding); i++)
        tell(w, &finding);
    if (hunter_take_note(w->hunter, note))
        watch_say(w, NOTE_WARN, "%s", note);
}

void watch_stop_hunts(struct watch *w)
{
    struct finding finding;
    if (!w->hunter)
        return;
    hunter_stop(w->hunter);
    watch_take_hunts(w);
    while (hunter_take(w->hunter, &finding))
        tell(w, &finding);
}

void watch_free_hunts(struct watch *w)
{
    hunter_free(w->hunter);
    w->hunter = NULL;
}

/* ---- snapshots ---- */

static void put_finding(const struct finding *f, struct snapshot_finding *out)
{
    (void)snprintf(out->id, sizeof out->id, "%016llx", (unsigned long long)f->id);
    (void)snprintf(out->hunt, sizeof out->hunt, "%s", f->hunt->name);
    (void)snprintf(out->severity, sizeof out->severity, "%s", hunt_severity_name(f->severity));
    (void)snprintf(out->title, sizeof out->title, "%s", f->title);
    put_source(f, out->source, sizeof out->source);
    put_destination(f, out->destination, sizeof out->destination);
    out->score = f->score;
    out->first = f->first * 1000000;
    out->last = f->last * 1000000;
    out->n = f->n;
}

void watch_show_hunts(struct watch *w, struct snapshot *s, struct hunter_counts *out)
{
    *out = (struct hunter_counts){0};
    if (!w->hunter)
        return;
    hunter_count(w->hunter, out);
    s->n_critical = out->n_of[HUNT_CRITICAL];
    s->n_high = out->n_of[HUNT_HIGH];
    s->n_medium = out->n_of[HUNT_MEDIUM];
    s->n_low = out->n_of[HUNT_LOW];
    s->n_hunted = out->n_lines;
    struct finding *found = calloc(SHOWN_MAX, sizeof *found);
    s->findings = calloc(SHOWN_MAX, sizeof *s->findings);
    if (found && s->findings)
        s->n_findings = hunter_findings(w->hunter, found, SHOWN_MAX);
    for (size_t i = 0; i < s->n_findings; i++)
        put_finding(&found[i], &s->findings[i]);
    free(found);
}
