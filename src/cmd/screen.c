/* One picture of the live view: see screen.h.
 *
 *     totals                     3 lines
 *     table of the machines      what is left
 *     refused senders            up to 3, with what would admit them
 *     lost, left out             by stage and reason
 *     findings                   of hunts, the worst
 *     alarms                     the newest
 *
 * What is below the table stays at the bottom, so that it keeps its place while machines come and
 * go. */
#include "cmd/screen.h"

#include <stdio.h>
#include <string.h>

#include "cmd/machines.h"
#include "cmd/plain.h"

#define HEAD_WIDTH 10 /* "left out  " */

struct screen {
    const struct screen_options *options;
    const struct snapshot *s;
    struct line line;
    unsigned n_lines;
    size_t kept; /* bytes of these lines */
    struct machines_layout layout;
};

/* How many lines each part has. */
struct parts {
    unsigned top, gap, machines, refused, lost, left_out, findings, alarms;
    bool with_reasons; /* a line below each machine whose reason is cut */
};

/* What finds no room is taken back. */
static void end(struct screen *screen)
{
    struct text *out = screen->line.out;
    if (screen->n_lines < screen->options->rows) {
        if (screen->options->padded)
            line_to(&screen->line, screen->options->columns);
        line_end(&screen->line);
        screen->n_lines++;
        screen->kept = out->size;
    } else if (out->size > screen->kept) {
        out->size = screen->kept;
        out->at[out->size] = '\0';
    }
    screen->line.used = 0;
}

static bool is_full(const struct screen *screen)
{
    return screen->n_lines >= screen->options->rows;
}

static void put_rate(struct line *line, double value, const char *unit)
{
    char number[16];
    terminal_number(value, number);
    size_t len = strlen(number);
    char letter = len && strchr("kMGTPE", number[len - 1]) ? number[len - 1] : '\0';
    line_format(line, STYLE_BOLD, "%.*s", (int)(letter ? len - 1 : len), number);
    line_format(line, STYLE_PLAIN, " %.1s%s", letter ? &letter : "", unit);
}

/* ---- totals ---- */

static void put_title(struct screen *screen)
{
    const struct snapshot *s = screen->s;
    struct line *line = &screen->line;
    char up[16], right[64];
    terminal_duration(s->now - s->started, up);
    int n = snprintf(right, sizeof right, "%sup %s   q quit  ? help",
                     screen->options->paused ? "PAUSED   " : "", up);
    line_put(line, STYLE_BOLD, "cloudspan ");
    line_put_upto(line, STYLE_PLAIN, s->version, sizeof s->version);
    line_space(line, 3);
    unsigned from = line->width > (unsigned)n ? line->width - (unsigned)n : line->width;
    if (from > line->used + 4) {
        line->width = from - 2;
        line_put_upto(line, STYLE_PLAIN, s->host, sizeof s->host);
        line->width = screen->options->columns;
        line_to(line, from);
        if (screen->options->paused) {
            line_put(line, STYLE_YELLOW, "PAUSED");
            line_put(line, STYLE_DIM, right + 6);
        } else {
            line_put(line, STYLE_DIM, right);
        }
    } else if (screen->options->paused) {
        line_put(line, STYLE_YELLOW, "PAUSED");
    } else {
        line_format(line, STYLE_DIM, "up %s", up);
    }
    end(screen);
}

static void put_totals(struct screen *screen)
{
    const struct snapshot *s = screen->s;
    struct line *line = &screen->line;
    double loss = s->loss_share > 0 && s->loss_share <= 1 ? s->loss_share * 100 : 0;
    char number[16];
    put_rate(line, s->bits_per_second, "b/s");
    line_space(line, 3);
    put_rate(line, s->packets_per_second, "pps");
    line_space(line, 3);
    line_put(line, STYLE_PLAIN, "loss ");
    line_format(line, loss >= 0.005 ? STYLE_YELLOW : STYLE_PLAIN, "%.2f %%", loss);
    line_space(line, 3);
    terminal_number((double)s->n_connections_now, number);
    line_put(line, STYLE_BOLD, number);
    line_put(line, STYLE_PLAIN, " connections");
    if (s->memory_budget) {
        line_space(line, 3);
        line_format(line, STYLE_PLAIN, "memory %.0f %%",
                    (double)s->memory_used * 100 / (double)s->memory_budget);
    }
    end(screen);
}

static void put_states(struct screen *screen)
{
    const struct snapshot *s = screen->s;
    struct line *line = &screen->line;
    machines_count(s, line);
    if (s->learning)
        line_put(line, STYLE_DIM, "   everybody is accepted: none is configured");
    else if (s->n_refused)
        line_format(line, STYLE_YELLOW, "   %zu sender%s refused", s->n_refused,
                    s->n_refused == 1 ? "" : "s");
    end(screen);
}

static void put_folder(struct screen *screen)
{
    struct line *line = &screen->line;
    uint64_t n = 0;
    char number[16];
    for (size_t i = 0; i < screen->s->n_logs; i++)
        n += screen->s->logs[i].n_lines;
    terminal_number((double)n, number);
    line_format(line, STYLE_PLAIN, "%s log lines in ", number);
    line_put_upto(line, STYLE_PLAIN, screen->s->folder, sizeof screen->s->folder);
    end(screen);
}

/* ---- below the table ---- */

static void put_head(struct screen *screen, const char *head)
{
    line_field(&screen->line, STYLE_DIM, head, HEAD_WIDTH, false);
}

static void put_refused(struct screen *screen, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct snapshot_refused *refused = &screen->s->refused[i];
        char channel[128], number[16];
        put_head(screen, i == 0 ? "refused" : "");
        machines_channel(&refused->channel, channel);
        line_put(&screen->line, STYLE_YELLOW, channel);
        terminal_number((double)refused->n_packets, number);
        line_format(&screen->line, STYLE_PLAIN, "  %s%s packets",
                    refused->is_estimate ? "about " : "", number);
        if (refused->admit[0]) {
            char admit[sizeof refused->admit];
            memcpy(admit, refused->admit, sizeof admit);
            for (size_t j = 0; j < sizeof admit && admit[j]; j++)
                if (admit[j] == '\n')
                    admit[j] = ' ';
            line_put(&screen->line, STYLE_DIM, "  admit: ");
            line_put_upto(&screen->line, STYLE_PLAIN, admit, sizeof admit);
        }
        end(screen);
    }
}

#define DROPS_MAX 64

/* Indexes of the drops of a kind that are not zero, the most first. */
static size_t order_drops(const struct snapshot *s, bool is_loss, size_t out[DROPS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_drops; i++) {
        if (s->drops[i].is_loss != is_loss || s->drops[i].n == 0)
            continue;
        size_t at = n < DROPS_MAX ? n++ : DROPS_MAX;
        while (at > 0 && s->drops[out[at - 1]].n < s->drops[i].n) {
            if (at < DROPS_MAX)
                out[at] = out[at - 1];
            at--;
        }
        if (at < DROPS_MAX)
            out[at] = i;
    }
    return n;
}

static void put_drops(struct screen *screen, bool is_loss, unsigned n_lines)
{
    size_t order[DROPS_MAX], n = order_drops(screen->s, is_loss, order), i = 0;
    for (unsigned at = 0; at < n_lines; at++) {
        put_head(screen, at ? "" : is_loss ? "lost" : "left out");
        if (n == 0 && at == 0)
            line_put(&screen->line, STYLE_PLAIN, "nothing");
        for (; i < n; i++) {
            const struct snapshot_drop *drop = &screen->s->drops[order[i]];
            char text[160], number[16];
            terminal_number((double)drop->n, number);
            (void)snprintf(text, sizeof text, "%s%.60s %.60s %s",
                           screen->line.used > HEAD_WIDTH ? ", " : "", drop->stage, drop->reason,
                           number);
            bool fits =
                screen->line.used + terminal_width(text, sizeof text, screen->options->utf8) <=
                screen->line.width;
            if (!fits && at + 1 < n_lines && screen->line.used > HEAD_WIDTH)
                break;
            line_put(&screen->line, is_loss ? STYLE_YELLOW : STYLE_PLAIN, text);
        }
        end(screen);
    }
}

static enum style severity_style(const char *severity)
{
    return strcmp(severity, "critical") == 0 || strcmp(severity, "high") == 0 ? STYLE_RED
           : strcmp(severity, "medium") == 0                                  ? STYLE_YELLOW
                                                                              : STYLE_PLAIN;
}

static void put_findings(struct screen *screen, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct snapshot_finding *f = &screen->s->findings[i];
        put_head(screen, i == 0 ? "findings" : "");
        line_field(&screen->line, severity_style(f->severity), f->severity, 10, false);
        line_put_upto(&screen->line, STYLE_BOLD, f->source, sizeof f->source);
        if (f->destination[0]) {
            line_put(&screen->line, STYLE_PLAIN, screen->options->utf8 ? " → " : " -> ");
            line_put_upto(&screen->line, STYLE_BOLD, f->destination, sizeof f->destination);
        }
        line_space(&screen->line, 2);
        line_put_upto(&screen->line, STYLE_PLAIN, f->hunt, sizeof f->hunt);
        line_put(&screen->line, STYLE_PLAIN, ": ");
        line_put_upto(&screen->line, STYLE_PLAIN, f->title, sizeof f->title);
        end(screen);
    }
}

static void put_alarms(struct screen *screen, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put_head(screen, i == 0 ? "alarms" : "");
        if (i >= screen->s->n_alarms) {
            if (i == 0)
                line_put(&screen->line, STYLE_PLAIN, "none");
            end(screen);
            continue;
        }
        const struct snapshot_alarm *alarm = &screen->s->alarms[i];
        char at[16];
        terminal_time(alarm->ts, screen->s->now, screen->options->utc, at);
        line_format(&screen->line, STYLE_PLAIN, "%s  ", at);
        line_put_upto(&screen->line,
                      health_is_bad(alarm->state) ? machines_style(alarm->state, true)
                                                  : STYLE_GREEN,
                      alarm->text, sizeof alarm->text);
        end(screen);
    }
}

/* ---- the table ---- */

static void put_machine(struct screen *screen, const struct snapshot_machine *m, bool with_reason)
{
    bool below = with_reason && machines_is_cut(&screen->layout, m);
    machines_row(&screen->layout, m, screen->s->now, !below, &screen->line);
    end(screen);
    if (!below)
        return;
    line_space(&screen->line, 2);
    line_put_upto(&screen->line, STYLE_PLAIN, m->reason, sizeof m->reason);
    end(screen);
}

/* `last`: the line that the table ends before. Gives how many machines are shown. */
static size_t put_machines(struct screen *screen, size_t *scroll, unsigned last, bool with_reasons)
{
    const struct snapshot *s = screen->s;
    machines_head(&screen->layout, &screen->line);
    end(screen);
    size_t room = last > screen->n_lines ? last - screen->n_lines : 0;
    if (with_reasons || s->n_machines <= room) {
        *scroll = 0;
        for (size_t i = 0; i < s->n_machines; i++)
            put_machine(screen, &s->machines[i], with_reasons);
        return s->n_machines;
    }
    size_t n = room > 1 ? room - 1 : 0;
    if (*scroll > s->n_machines - n)
        *scroll = s->n_machines - n;
    for (size_t i = 0; i < n; i++)
        put_machine(screen, &s->machines[*scroll + i], false);
    line_format(&screen->line, STYLE_DIM, "%zu to %zu of %zu, arrows or j k scroll", *scroll + 1,
                *scroll + n, s->n_machines);
    end(screen);
    return n;
}

static void put_lines(struct screen *screen, const char *text, unsigned last)
{
    while (*text && screen->n_lines < last) {
        size_t len = strcspn(text, "\n");
        line_put_upto(&screen->line, STYLE_PLAIN, text, len);
        end(screen);
        text += len + (text[len] == '\n');
    }
}

static const char help_text[] =
    "q, Ctrl-C   end: all is flushed, a summary is printed\n"
    "p, space    hold the picture; packets are taken and logged all the same\n"
    "j k, arrows, PgUp PgDn, g G    scroll the machines\n"
    "?           this; any key goes back\n"
    "\n"
    "SILENT      a machine that usually talks is not heard, or its canary is lost\n"
    "MUTED       others hear it talk, its own mirror shows less\n"
    "ONE-SIDED   only what it sends, or only what it gets, is mirrored\n"
    "DROPPING    packets of it are lost on the way, or here\n"
    "TRUNCATED   its packets arrive cut: the MTU of the mirror's path\n"
    "UNKNOWN     nothing is heard, and nothing proves anything\n"
    "quiet       alive, nothing to mirror        NEW   heard a moment ago\n";

/* ---- the whole ---- */

static unsigned least(size_t a, size_t b)
{
    return (unsigned)(a < b ? a : b);
}

static unsigned count_drops(const struct screen *screen, bool is_loss)
{
    size_t order[DROPS_MAX];
    return (unsigned)order_drops(screen->s, is_loss, order);
}

static struct parts divide(const struct screen *screen)
{
    const struct snapshot *s = screen->s;
    unsigned rows = screen->options->rows;
    bool small = rows < 16;
    struct parts parts = {
        .top = small ? 3 : 4,
        .gap = small ? 0 : 1,
        .refused = least(s->n_refused, rows < 12 ? 0
                                       : small   ? 1
                                                 : 3),
        .lost = rows < 8                                  ? 0
                : count_drops(screen, true) > 4 && !small ? 2
                                                          : 1,
        .findings = least(s->n_findings, rows < 12 ? 0
                                         : small   ? 1
                                                   : 4),
        .left_out = small || count_drops(screen, false) == 0 ? 0 : 1,
        .alarms = rows < 8    ? 0
                  : rows < 12 ? 1
                              : least(s->n_alarms ? s->n_alarms : 1, small ? 2 : 4),
    };
    unsigned fixed = parts.top + 2 * parts.gap + 1 + parts.refused + parts.lost + parts.left_out +
                     parts.findings + parts.alarms;
    parts.machines = rows > fixed ? rows - fixed : 0;
    size_t needed = s->n_machines;
    for (size_t i = 0; i < s->n_machines && needed <= parts.machines; i++)
        needed += machines_is_cut(&screen->layout, &s->machines[i]);
    parts.with_reasons = needed <= parts.machines;
    /* What the machines do not need, older alarms may have. */
    if (needed < parts.machines && s->n_alarms > parts.alarms) {
        unsigned more = least(parts.machines - needed, s->n_alarms - parts.alarms);
        more = least(more, 6);
        parts.alarms += more;
        parts.machines -= more;
    }
    return parts;
}

void screen_draw(const struct screen_options *options, const struct snapshot *s, struct text *out,
                 size_t *out_scroll, size_t *out_page)
{
    struct screen screen = {
        .options = options,
        .s = s,
        .kept = out->size,
        .line = {.out = out,
                 .width = options->columns,
                 .color = options->color,
                 .utf8 = options->utf8},
    };
    machines_fit(&screen.layout, s, options->columns, options->utf8);
    struct parts parts = divide(&screen);
    size_t scroll = options->scroll, page = 0;
    unsigned below =
        parts.gap + parts.refused + parts.lost + parts.left_out + parts.findings + parts.alarms;
    unsigned last = options->rows > below ? options->rows - below : options->rows;
    put_title(&screen);
    put_totals(&screen);
    put_states(&screen);
    if (parts.top > 3)
        put_folder(&screen);
    if (parts.gap)
        end(&screen);
    bool is_quiet = checklist_quiet(s) >= CHECKLIST_AFTER;
    if (options->help)
        put_lines(&screen, help_text, last);
    else if (s->n_machines || !is_quiet)
        page = put_machines(&screen, &scroll, last, parts.with_reasons);
    if (!options->help && is_quiet && screen.n_lines + 3 < last) {
        struct text list;
        text_init(&list, 65536);
        checklist_text(s, options->utf8, &list);
        if (s->n_machines)
            end(&screen);
        put_lines(&screen, list.at ? list.at : "", last);
        text_done(&list);
    }
    while (screen.n_lines < last + parts.gap && !is_full(&screen))
        end(&screen);
    put_refused(&screen, parts.refused);
    put_drops(&screen, true, parts.lost);
    put_drops(&screen, false, parts.left_out);
    put_findings(&screen, parts.findings);
    put_alarms(&screen, parts.alarms);
    *out_scroll = scroll;
    *out_page = page;
}
