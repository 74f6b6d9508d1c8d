/* cloudspan sources: the monitored machines and how they are, asked of the running watch. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"
#include "base/version.h"
#include "cmd/command.h"
#include "cmd/machines.h"
#include "cmd/plain.h"
#include "cmd/terminal.h"
#include "sensor/control.h"
#include "sensor/report.h"

#define WAIT_MS     5000
#define WIDE        4000 /* columns where nothing has to be cut */
#define REFUSED_MAX 20   /* that the table shows; --json has all */

enum row {
    ROW_JSON,
    ROW_SOCKET,
    ROW_FOLDER,
    ROW_COLOR,
    ROW_VERBOSE,
    ROW_QUIET,
    ROW_HELP,
    ROW_VERSION
};

static const struct option_row rows[] = {
    [ROW_JSON] = {0, "json", NULL, false,
                  "one JSON object a line, of a machine or a refused sender"},
    [ROW_SOCKET] = {0, "socket", "PATH", false, "where the watch answers (default: its default)"},
    [ROW_FOLDER] = {'d', "dir", "DIR", false,
                    "the log folder of the watch: where its socket may be (default: logs)"},
    [ROW_COLOR] = {0, "color", "WHEN", false, "auto (default), always or never"},
    [ROW_VERBOSE] = {'v', "verbose", NULL, false,
                     "also say what is listened on, and what was lost"},
    [ROW_QUIET] = {'q', "quiet", NULL, false, "print nothing: only the exit code"},
    [ROW_HELP] = {'h', "help", NULL, false, "print this and exit"},
    [ROW_VERSION] = {0, "version", NULL, false, "print the version and exit"},
    {0},
};

struct settings {
    bool json, help, version, verbose, quiet;
    const char *socket, *folder, *color;
};

static int take(int row, const char *value, void *with, struct err *err)
{
    struct settings *s = with;
    switch ((enum row)row) {
    case ROW_JSON:
        s->json = true;
        return 0;
    case ROW_SOCKET:
        s->socket = value;
        return 0;
    case ROW_FOLDER:
        s->folder = value;
        return 0;
    case ROW_COLOR:
        s->color = value;
        if (terminal_color(value, STDOUT_FILENO) < 0)
            return err_set(err, -EINVAL, "--color: '%s' is none of auto, always, never", value);
        return 0;
    case ROW_VERBOSE:
        s->verbose = true;
        return 0;
    case ROW_QUIET:
        s->quiet = true;
        return 0;
    case ROW_HELP:
        s->help = true;
        return 0;
    case ROW_VERSION:
        s->version = true;
        return 0;
    }
    return 0;
}

/* ---- the table ---- */

/* In as many lines as it takes. */
static void put_words(struct line *line, const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    line_space(line, 2);
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, ' ', len - at);
        size_t word = end ? (size_t)(end - text) - at : len - at;
        if (line->used > 2 &&
            line->used + 1 + terminal_width(text + at, word, line->utf8) > line->width) {
            line_end(line);
            line_space(line, 2);
        }
        if (line->used > 2)
            line_space(line, 1);
        line_put_upto(line, STYLE_PLAIN, text + at, word);
        at += word + 1;
    }
    line_end(line);
}

static void put_refused(const struct snapshot *s, struct line *line)
{
    for (size_t i = 0; i < s->n_refused && i < REFUSED_MAX; i++) {
        const struct snapshot_refused *refused = &s->refused[i];
        char channel[128], number[16], ago[16];
        machines_channel(&refused->channel, channel);
        terminal_number((double)refused->n_packets, number);
        terminal_duration(s->now - refused->last_packet, ago);
        line_put(line, STYLE_YELLOW, "refused: ");
        line_put(line, STYLE_PLAIN, channel);
        line_format(line, STYLE_PLAIN, ", %s%s packets, the last %s ago",
                    refused->is_estimate ? "about " : "", number, ago);
        line_end(line);
        size_t len = strnlen(refused->admit, sizeof refused->admit);
        for (size_t at = 0; at < len;) {
            const char *end = memchr(refused->admit + at, '\n', len - at);
            size_t part = end ? (size_t)(end - refused->admit) - at : len - at;
            line_put(line, STYLE_DIM, at == 0 ? "  admit it:  " : "             ");
            line_put_upto(line, STYLE_PLAIN, refused->admit + at, part);
            line_end(line);
            at += part + 1;
        }
    }
    if (s->n_refused > REFUSED_MAX) {
        line_format(line, STYLE_PLAIN, "refused: %zu more, see --json", s->n_refused - REFUSED_MAX);
        line_end(line);
    }
}

/* What the cloud says that it could not mirror; `all`: also where nothing came lately. */
static void put_cloud_lost(const struct snapshot *s, bool all, struct line *line)
{
    for (size_t i = 0; i < s->n_machines; i++) {
        const struct snapshot_machine *m = &s->machines[i];
        if (!m->has_cloud_lost || (!all && m->n_cloud_lost == 0))
            continue;
        line_put(line, STYLE_YELLOW, "not mirrored: ");
        line_put_upto(line, STYLE_PLAIN, m->name, sizeof m->name);
        line_format(line, STYLE_PLAIN,
                    ": %llu packets since this watch knows of it, by the cloud's own count (%llu "
                    "in all)",
                    (unsigned long long)m->n_cloud_lost, (unsigned long long)m->n_cloud_lost_total);
        line_end(line);
    }
}

static void put_more(const struct snapshot *s, struct line *line)
{
    for (size_t i = 0; i < s->n_inputs; i++) {
        line_put(line, STYLE_DIM, "input: ");
        line_put_upto(line, STYLE_PLAIN, s->inputs[i].name, sizeof s->inputs[i].name);
        line_put(line, STYLE_PLAIN, ": ");
        line_put_upto(line, s->inputs[i].ok ? STYLE_PLAIN : STYLE_YELLOW, s->inputs[i].state,
                      sizeof s->inputs[i].state);
        line_end(line);
    }
    for (size_t i = 0; i < s->n_drops; i++) {
        const struct snapshot_drop *drop = &s->drops[i];
        if (drop->n == 0)
            continue;
        line_put(line, STYLE_DIM, drop->is_loss ? "lost: " : "left out: ");
        line_format(line, STYLE_PLAIN, "%llu ", (unsigned long long)drop->n);
        line_put(line, STYLE_PLAIN, drop->text);
        line_put(line, STYLE_PLAIN, " (");
        line_put(line, STYLE_PLAIN, drop->stage);
        line_put(line, STYLE_PLAIN, ", ");
        line_put(line, STYLE_PLAIN, drop->reason);
        line_put(line, STYLE_PLAIN, ")");
        line_end(line);
    }
}

static void put_table(const struct settings *settings, const struct snapshot *s, struct text *out)
{
    struct machines_layout layout;
    struct line line = {.out = out,
                        .width = WIDE,
                        .color = terminal_color(settings->color, STDOUT_FILENO) == 1,
                        .utf8 = terminal_utf8()};
    if (isatty(STDOUT_FILENO)) {
        unsigned n_rows;
        terminal_size(STDOUT_FILENO, &n_rows, &line.width);
    }
    machines_fit(&layout, s, line.width, line.utf8);
    if (s->n_machines) {
        machines_head(&layout, &line);
        line_end(&line);
    } else {
        line_put(&line, STYLE_PLAIN, "no machine was heard yet");
        line_end(&line);
    }
    for (size_t i = 0; i < s->n_machines; i++) {
        const struct snapshot_machine *machine = &s->machines[i];
        bool below = machines_is_cut(&layout, machine);
        machines_row(&layout, machine, s->now, !below, &line);
        line_end(&line);
        if (!below)
            continue;
        put_words(&line, machine->reason, sizeof machine->reason);
    }
    put_cloud_lost(s, settings->verbose, &line);
    put_refused(s, &line);
    if (s->learning && s->n_machines) {
        line_put(&line, STYLE_DIM, "everybody who sends is accepted: no source is configured");
        line_end(&line);
    }
    if (settings->verbose)
        put_more(s, &line);
}

/* ---- the run ---- */

static bool is_unhealthy(const struct snapshot *s)
{
    for (size_t i = 0; i < s->n_machines; i++)
        if (snapshot_is_bad(&s->machines[i]))
            return true;
    return false;
}

static int show(const struct settings *settings, const struct snapshot *s)
{
    struct text out;
    text_init(&out, REPORT_SIZE_MAX);
    if (settings->json) {
        size_t size = 0;
        char *json = report_sources(s, &size);
        if (json)
            text_add(&out, json, size);
        else
            out.failed = true;
        free(json);
    } else if (!settings->quiet) {
        put_table(settings, s, &out);
    }
    int result = is_unhealthy(s) ? EXIT_UNHEALTHY : EXIT_DONE;
    if (out.failed) {
        note(NOTE_ERROR, "out of memory");
        result = EXIT_FAILED;
    } else if (out.size && (fwrite(out.at, 1, out.size, stdout) != out.size || fflush(stdout))) {
        note(NOTE_ERROR, "standard output: %s", strerror(errno));
        result = EXIT_FAILED;
    }
    text_done(&out);
    return result;
}

static int ask(const struct settings *settings)
{
    char path[CONTROL_PATH_MAX], *reply = NULL;
    const char *socket = settings->socket;
    size_t size = 0;
    struct err err;
    struct snapshot snapshot = {0};
    int failed = 0;
    if (!socket) {
        failed = control_path(geteuid() == 0, getenv("XDG_RUNTIME_DIR"),
                              settings->folder ? settings->folder : "logs", path, &err);
        socket = path;
    }
    if (failed == 0)
        failed = control_ask(socket, "snapshot", REPORT_SIZE_MAX, WAIT_MS, &reply, &size, &err);
    if (failed == 0)
        failed = report_read(reply, size, &snapshot, &err);
    int result = EXIT_FAILED;
    if (failed < 0)
        note(NOTE_ERROR, "%s", err.text);
    else
        result = show(settings, &snapshot);
    snapshot_done(&snapshot);
    free(reply);
    return result;
}

static int run(const struct command *command, char **args, int n_args)
{
    struct settings s = {0};
    struct err err;
    const char **rest = calloc((size_t)n_args + 1, sizeof *rest);
    int n_rest = rest ? options_parse(command->options, args, n_args, rest, take, &s, &err) : -1;
    int result = EXIT_DONE;
    if (!rest)
        result = command_misused(command, "out of memory");
    else if (n_rest < 0)
        result = command_misused(command, err.text);
    else if (s.help)
        command_help(command);
    else if (s.version)
        printf("cloudspan %s\n", VERSION_TEXT);
    else if (n_rest > 0)
        result = command_misused(command, "takes no arguments");
    else
        result = ask(&s);
    free(rest);
    return result;
}

const struct command command_sources = {
    .name = "sources",
    .summary = "Shows the monitored machines and how they are, asked of the running watch",
    .usage = "[OPTION]…",
    .options = rows,
    .more =
        "Exit codes: 0 all is well; 1 no watch could be asked; 4 a machine is in a bad state.\n",
    .run = run,
};
