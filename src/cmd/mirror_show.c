/* Plans, steps and states of mirrors on the screen: see mirror_show.h. */
#include "cmd/mirror_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/mirror_cover.h"
#include "cmd/terminal.h"

#define LINE_WIDE 4000 /* nothing is cut */

static struct line line_of(const struct mirror_settings *settings, struct text *out)
{
    return (struct line){.out = out,
                         .width = LINE_WIDE,
                         .color = terminal_color(settings->color, STDOUT_FILENO) == 1,
                         .utf8 = terminal_utf8()};
}

static void describe(const struct mirror_job *job, const struct mirror_object *object, char *out,
                     size_t size)
{
    struct text text;
    text_init(&text, size - 1);
    job->provider->describe(object, &text);
    (void)snprintf(out, size, "%s", text.at ? text.at : object->key);
    text_done(&text);
}

static const char *word_of(int action)
{
    switch ((enum mirror_action)action) {
    case MIRROR_KEEP:
        return "keep";
    case MIRROR_MAKE:
        return "make";
    case MIRROR_CHANGE:
        return "change";
    case MIRROR_REMAKE:
        return "remake";
    case MIRROR_UNMAKE:
        return "unmake";
    }
    return "";
}

static enum style style_of(int action)
{
    return action == MIRROR_MAKE     ? STYLE_GREEN
           : action == MIRROR_UNMAKE ? STYLE_RED
           : action == MIRROR_KEEP   ? STYLE_DIM
                                     : STYLE_YELLOW;
}

/* ,"name":"value" */
static void json_text(struct text *out, const char *name, const char *value)
{
    text_format(out, ",\"%s\":", name);
    text_json(out, value, strlen(value));
}

static void json_count(struct text *out, const char *name, uint64_t n)
{
    if (n == UINT64_MAX)
        text_format(out, ",\"%s\":null", name);
    else
        text_format(out, ",\"%s\":%" PRIu64, name, n);
}

static void json_head(const struct mirror_settings *settings, const char *type, struct text *out)
{
    text_format(out, "{\"type\":\"%s\"", type);
    json_text(out, "provider", settings->job.provider->name);
    json_text(out, "mirror", settings->job.name);
}

/* ---- plan ---- */

static void json_step(const struct mirror_settings *settings, const struct mirror_step *step,
                      struct text *out)
{
    const struct mirror_object *object = step->want ? step->want : step->have;
    char what[512];
    describe(&settings->job, object, what, sizeof what);
    json_head(settings, "step", out);
    json_text(out, "action", word_of(step->action));
    json_text(out, "kind", object->kind);
    json_text(out, "key", object->key);
    json_text(out, "what", what);
    json_text(out, "why", object->why);
    json_text(out, "reason", step->reason);
    text_put(out, "}\n");
}

static void json_remarks(const struct mirror_settings *settings,
                         const struct mirror_planned *planned, struct text *out)
{
    const char *at = planned->remarks.at;
    while (at && *at) {
        size_t len = strcspn(at, "\n");
        json_head(settings, "remark", out);
        text_put(out, ",\"text\":");
        text_json(out, at, len);
        text_put(out, "}\n");
        at += len + (at[len] == '\n');
    }
}

static void show_step(const struct mirror_settings *settings, const struct mirror_step *step,
                      struct line *line)
{
    const struct mirror_object *object = step->want ? step->want : step->have;
    char what[512];
    describe(&settings->job, object, what, sizeof what);
    line_format(line, style_of(step->action), "  %c ", mirror_action_sign(step->action));
    line_put(line, STYLE_PLAIN, what);
    line_end(line);
    if (!step->reason[0] && !object->why[0])
        return;
    line_put(line, STYLE_DIM, "      ");
    line_put(line, STYLE_DIM, object->why);
    if (step->reason[0] && object->why[0])
        line_put(line, STYLE_DIM, "; ");
    line_put(line, STYLE_DIM, step->reason);
    line_end(line);
}

static void show_remarks(const struct mirror_planned *planned, struct line *line)
{
    const char *at = planned->remarks.at;
    while (at && *at) {
        size_t len = strcspn(at, "\n");
        line_put(line, STYLE_YELLOW, "  ! ");
        line_put_upto(line, STYLE_PLAIN, at, len);
        line_end(line);
        at += len + (at[len] == '\n');
    }
}

/* A cloud's, whose machines are named one by one. */
static bool is_of_many(const struct mirror_settings *settings)
{
    return settings->job.provider->cover != NULL;
}

void mirror_show_plan(const struct mirror_settings *settings, const struct mirror_planned *planned,
                      struct text *out)
{
    const struct mirror_plan *plan = &planned->plan;
    size_t n[MIRROR_UNMAKE + 1] = {0};
    for (size_t i = 0; i < plan->n; i++)
        n[plan->at[i].action]++;
    if (settings->json) {
        for (size_t i = 0; i < plan->n; i++)
            json_step(settings, &plan->at[i], out);
        json_remarks(settings, planned, out);
        json_head(settings, "plan", out);
        json_text(out, "machine", settings->job.machine);
        json_count(out, "changes", plan->n_changes);
        text_put(out, "}\n");
        return;
    }
    struct line line = line_of(settings, out);
    line_format(&line, STYLE_BOLD, "mirror %s", settings->job.name);
    if (is_of_many(settings))
        line_format(&line, STYLE_PLAIN, " (%s)", settings->job.provider->name);
    else
        line_format(&line, STYLE_PLAIN, " (%s), machine %s", settings->job.provider->name,
                    settings->job.machine);
    line_end(&line);
    for (size_t i = 0; i < plan->n; i++)
        if (plan->at[i].action != MIRROR_KEEP || settings->verbose)
            show_step(settings, &plan->at[i], &line);
    show_remarks(planned, &line);
    if (plan->n_changes)
        line_format(&line, STYLE_PLAIN, "%zu to make, %zu to change, %zu to take away",
                    n[MIRROR_MAKE], n[MIRROR_CHANGE] + n[MIRROR_REMAKE], n[MIRROR_UNMAKE]);
    else
        line_put(&line, STYLE_PLAIN, "nothing to do: all is as it should be");
    line_end(&line);
}

void mirror_show_remarks(const struct mirror_settings *settings,
                         const struct mirror_planned *planned, struct text *out)
{
    struct line line = line_of(settings, out);
    if (settings->json)
        json_remarks(settings, planned, out);
    else
        show_remarks(planned, &line);
}

void mirror_show_lacks(const struct mirror_settings *settings, const struct mirror_outcome *outcome,
                       struct text *out)
{
    struct line line = line_of(settings, out);
    for (size_t i = 0; i < outcome->n_lack; i++) {
        const struct mirror_lack *lack = &outcome->lack[i];
        char what[512];
        describe(&settings->job, lack->want, what, sizeof what);
        if (settings->json) {
            json_head(settings, "lack", out);
            json_text(out, "kind", lack->want->kind);
            json_text(out, "key", lack->want->key);
            json_text(out, "what", what);
            json_text(out, "reason", lack->reason);
            text_put(out, "}\n");
            continue;
        }
        line_put(&line, STYLE_RED, lack->is_there ? "  not changed: " : "  not made: ");
        line_put(&line, STYLE_PLAIN, what);
        line_put(&line, STYLE_PLAIN, ": ");
        line_put(&line, STYLE_PLAIN, lack->reason);
        line_end(&line);
    }
    if (!settings->json && outcome->n_lack) {
        line_format(&line, STYLE_PLAIN, "%zu of %zu could not be made; the next apply tries again",
                    outcome->n_lack, outcome->n_lack + outcome->n_done);
        line_end(&line);
    }
}

void mirror_show_applied(const struct mirror_settings *settings,
                         const struct mirror_applied *applied, struct text *out)
{
    const char *said = applied->outcome.said.at ? applied->outcome.said.at : "";
    size_t len = strlen(said);
    mirror_show_lacks(settings, &applied->outcome, out);
    if (settings->json) {
        json_head(settings, "apply", out);
        json_text(out, "machine", settings->job.machine);
        json_count(out, "changes", applied->n_changes);
        json_count(out, "lacking", applied->outcome.n_lack);
        json_text(out, "record", applied->record);
        json_text(out, "collector", applied->collector);
        text_put(out, ",\"proof\":");
        text_json(out, said, len && said[len - 1] == '\n' ? len - 1 : len);
        text_put(out, "}\n");
        return;
    }
    if (applied->record[0]) {
        text_put(out, "recorded for watch: ");
        text_put(out, applied->record);
        if (applied->collector[0])
            text_format(out, ", to be copied to %s", applied->collector);
        text_put(out, "\n");
    }
    text_put(out, said);
}

/* ---- steps ---- */

void mirror_show_step(void *with, const struct mirror_object *object, int action, bool done,
                      const char *failed)
{
    const struct mirror_settings *settings = with;
    if (!done || failed || settings->quiet)
        return;
    char what[512];
    struct text out;
    describe(&settings->job, object, what, sizeof what);
    text_init(&out, 4096);
    if (settings->json) {
        struct mirror_step step = {.action = action, .want = object};
        json_step(settings, &step, &out);
    } else {
        struct line line = line_of(settings, &out);
        line_format(&line, style_of(action), "  %c ", mirror_action_sign(action));
        line_put(&line, STYLE_PLAIN, what);
        line_end(&line);
    }
    (void)fwrite(out.at, 1, out.size, stdout); /* the end asks for errors of standard output */
    (void)fflush(stdout);
    text_done(&out);
}

/* ---- status ---- */

static const char *state_of(const struct mirror_status *status)
{
    if (status->trouble[0])
        return status->known ? "UNKNOWN" : "UNRECORDED";
    if (status->n_missing && status->n_missing == status->planned.plan.n)
        return "GONE";
    if (status->n_missing > status->n_lacking || status->n_different)
        return "BROKEN";
    if (status->n_missing || status->n_uncovered)
        return "PARTIAL";
    if (status->n_troubles)
        return "TROUBLE";
    return status->applied ? "ok" : "UNFINISHED";
}

static void json_status(const struct mirror_settings *settings, const struct mirror_status *status,
                        struct text *out)
{
    for (size_t i = 0; i < status->planned.plan.n; i++)
        json_step(settings, &status->planned.plan.at[i], out);
    for (size_t i = 0; i < status->measures.n; i++) {
        const struct mirror_measure *one = &status->measures.at[i];
        json_head(settings, "counters", out);
        json_text(out, "what", one->what);
        json_count(out, "seen", one->n_seen);
        json_count(out, "mirrored", one->n_mirrored);
        json_count(out, "bytes", one->bytes);
        json_count(out, "lost", one->n_lost);
        json_text(out, "trouble", one->trouble);
        text_put(out, "}\n");
    }
    struct line line = line_of(settings, out);
    mirror_show_coverage(settings, &status->coverage, &line);
    for (const char *at = status->blame.at; at && *at;) {
        size_t len = strcspn(at, "\n");
        json_head(settings, "blame", out);
        text_put(out, ",\"text\":");
        text_json(out, at, len);
        text_put(out, "}\n");
        at += len + (at[len] == '\n');
    }
    json_head(settings, "status", out);
    json_text(out, "machine", settings->job.machine);
    json_text(out, "state", state_of(status));
    json_text(out, "reason", status->trouble);
    json_count(out, "objects", status->planned.found.n);
    json_count(out, "missing", status->n_missing);
    json_count(out, "lacking", status->n_lacking);
    json_count(out, "uncovered", status->n_uncovered);
    json_count(out, "different", status->n_different);
    json_count(out, "troubles", status->n_troubles);
    text_put(out, "}\n");
}

static void show_number(struct line *line, uint64_t n, const char *after)
{
    char text[16];
    if (n == UINT64_MAX)
        return;
    terminal_number((double)n, text);
    line_format(line, STYLE_PLAIN, ", %s %s", text, after);
}

static bool has_nothing_to_say(const struct mirror_measure *one)
{
    return one->n_seen == UINT64_MAX && one->n_mirrored == UINT64_MAX && !one->n_lost &&
           !one->trouble[0];
}

static void show_counters(const struct mirror_measures *measures, struct line *line)
{
    for (size_t i = 0; i < measures->n; i++) {
        const struct mirror_measure *one = &measures->at[i];
        if (has_nothing_to_say(one))
            continue;
        line_put(line, STYLE_DIM, "    ");
        line_put(line, STYLE_PLAIN, one->what);
        show_number(line, one->n_seen, "packets passed");
        show_number(line, one->n_mirrored, "mirrored");
        show_number(line, one->n_mirrored == UINT64_MAX ? UINT64_MAX : one->bytes, "bytes");
        if (one->n_lost)
            show_number(line, one->n_lost, "copies lost");
        line_end(line);
        if (one->trouble[0]) {
            line_put(line, STYLE_YELLOW, "    ! ");
            line_put(line, STYLE_PLAIN, one->trouble);
            line_end(line);
        }
    }
}

void mirror_show_status(const struct mirror_settings *settings, const struct mirror_status *status,
                        bool head, unsigned name_width, struct text *out)
{
    if (settings->json) {
        json_status(settings, status, out);
        return;
    }
    struct line line = line_of(settings, out);
    const char *state = state_of(status);
    if (head) {
        line_format(&line, STYLE_BOLD, "%-*s %-9s %-20s %s", (int)name_width, "MIRROR", "PROVIDER",
                    "MACHINE", "STATE");
        line_end(&line);
    }
    line_field(&line, STYLE_PLAIN, settings->job.name, name_width, false);
    line_field(&line, STYLE_PLAIN, "", 1, false);
    line_field(&line, STYLE_PLAIN, settings->job.provider->name, 9, false);
    line_field(&line, STYLE_PLAIN, "", 1, false);
    line_field(&line, STYLE_PLAIN, is_of_many(settings) ? "see below" : settings->job.machine, 20,
               false);
    line_field(&line, STYLE_PLAIN, "", 1, false);
    line_put(&line, strcmp(state, "ok") == 0 ? STYLE_GREEN : STYLE_RED, state);
    line_end(&line);
    if (status->trouble[0]) {
        line_put(&line, STYLE_YELLOW, "    ! ");
        line_put(&line, STYLE_PLAIN, status->trouble);
        line_end(&line);
    }
    if (!status->applied && status->known) {
        line_put(&line, STYLE_YELLOW, "    ! ");
        line_put(&line, STYLE_PLAIN, "its last apply was interrupted: apply or remove it");
        line_end(&line);
    }
    for (size_t i = 0; i < status->planned.plan.n; i++) {
        const struct mirror_step *step = &status->planned.plan.at[i];
        const struct mirror_object *object = step->want ? step->want : step->have;
        if (step->action == MIRROR_KEEP)
            continue;
        char what[512];
        describe(&settings->job, object, what, sizeof what);
        line_put(&line, STYLE_RED,
                 step->action == MIRROR_MAKE     ? "    missing: "
                 : step->action == MIRROR_UNMAKE ? "    not wanted: "
                                                 : "    different: ");
        line_put(&line, STYLE_PLAIN, what);
        if (step->reason[0] && step->action != MIRROR_UNMAKE) {
            line_put(&line, STYLE_PLAIN, ": ");
            line_put(&line, STYLE_PLAIN, step->reason);
        }
        line_end(&line);
    }
    for (const char *at = status->blame.at; at && *at;) {
        size_t len = strcspn(at, "\n");
        line_put(&line, STYLE_YELLOW, "    ! ");
        line_put_upto(&line, STYLE_PLAIN, at, len);
        line_end(&line);
        at += len + (at[len] == '\n');
    }
    mirror_show_coverage(settings, &status->coverage, &line);
    show_counters(&status->measures, &line);
}
