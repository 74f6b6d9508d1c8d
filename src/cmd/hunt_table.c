/* The table of findings. One row for the same two ends: the gravest finding, and which other hunts
 * found something about them. What finds no room in a narrow terminal goes into a second line. */
#include <stdio.h>
#include <string.h>

#include "cmd/hunt_show.h"

#define SEVERITY_WIDTH 8
#define SCORE_WIDTH    5
#define END_LEAST      10
#define WHO_MOST       24
#define WHOM_MOST      48
#define ONE_LINE       140 /* columns from which on a row has one line */

struct layout {
    unsigned who, whom, spark, what, id; /* widths; 0: there is no such column */
};

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Who and whom, and how many others there are like this. */
static void row_ends(const struct hunt_picked *picked, char who[HUNT_END_MAX],
                     char whom[HUNT_END_MAX])
{
    hunt_who(picked->finding, who);
    hunt_whom(picked->finding, whom);
    char *many = picked->folded_src ? who : whom;
    size_t len = strlen(many);
    if (picked->n_folded)
        (void)snprintf(many + len, HUNT_END_MAX - len, " +%u", picked->n_folded);
}

static struct layout make_layout(const struct hunt_show *show, size_t n_rows)
{
    unsigned who = 3, whom = 4;
    for (size_t i = 0; i < show->picks->n; i++) {
        const struct hunt_picked *picked = &show->picks->at[i];
        char who_text[HUNT_END_MAX], whom_text[HUNT_END_MAX];
        if (!picked->is_head || picked->row >= n_rows)
            continue;
        row_ends(picked, who_text, whom_text);
        unsigned width = terminal_width(who_text, sizeof who_text, show->utf8);
        who = width > who ? width : who;
        width = terminal_width(whom_text, sizeof whom_text, show->utf8);
        whom = width > whom ? width : whom;
    }
    struct layout layout = {.id = hunt_id_len(show->picks)};
    unsigned fixed = SEVERITY_WIDTH + 1 + SCORE_WIDTH + 2 + 2 + 1 + layout.id;
    unsigned room = show->columns > fixed ? show->columns - fixed : 0;
    layout.spark = show->columns >= ONE_LINE ? 24 : show->columns >= 72 ? 12 : 0;
    room = room > layout.spark + 1 ? room - layout.spark - 1 : 0;
    layout.who = least(who, least(WHO_MOST, room / 2));
    room -= layout.who;
    layout.whom = least(whom, show->columns >= ONE_LINE ? WHOM_MOST : room);
    layout.whom = least(layout.whom, room);
    room -= layout.whom;
    layout.what = show->columns >= ONE_LINE && room > 30 ? room - 2 : 0;
    return layout;
}

static void put_head(struct line *line, const struct layout *l)
{
    line_field(line, STYLE_DIM, "SEVERITY", SEVERITY_WIDTH, false);
    line_space(line, 1);
    line_field(line, STYLE_DIM, "SCORE", SCORE_WIDTH, true);
    line_space(line, 2);
    line_field(line, STYLE_DIM, "WHO", l->who, false);
    line_space(line, 2);
    line_field(line, STYLE_DIM, "WHOM", l->whom, false);
    line_space(line, 1);
    if (l->what) {
        line_space(line, 1);
        line_field(line, STYLE_DIM, "WHAT", l->what, false);
        line_space(line, 1);
    }
    if (l->spark) {
        line_field(line, STYLE_DIM, "WHEN", l->spark, false);
        line_space(line, 1);
    }
    line_put(line, STYLE_DIM, "ID");
    line_end(line);
}

/* "beacon: every 60 s; also exfiltration 0.71". */
static void put_what(struct text *out, const struct hunt_picked *picked)
{
    const struct finding *f = picked->finding;
    text_put(out, f->hunt->name);
    for (const struct hunt_picked *other = picked->next; other; other = other->next)
        text_format(out, " + %s %.2f", other->finding->hunt->name, other->finding->score);
    text_put(out, ": ");
    text_put(out, f->title);
    if (f->is_new)
        text_put(out, " (new)");
    if (picked->hidden_by) {
        text_put(out, " [safelisted by ");
        text_put(out, picked->hidden_by);
        text_put(out, "]");
    }
}

static void put_spark(const struct hunt_show *show, struct line *line, const struct finding *f,
                      unsigned width)
{
    struct picture picture;
    if (picture_make(show->view, f, &picture)) {
        struct text spark;
        text_init(&spark, 1024);
        picture_spark(&picture, width, show->utf8, &spark);
        line_put(line, STYLE_PLAIN, spark.at ? spark.at : "");
        text_done(&spark);
    }
    picture_done(&picture);
}

static void put_row(const struct hunt_show *show, struct line *line, const struct layout *l,
                    const struct hunt_picked *picked)
{
    const struct finding *f = picked->finding;
    enum style style = picked->hidden_by ? STYLE_DIM : hunt_style(f->severity);
    char text[HUNT_END_MAX], who[HUNT_END_MAX], whom[HUNT_END_MAX];
    struct text what;
    row_ends(picked, who, whom);
    text_init(&what, 4096);
    put_what(&what, picked);
    line_field(line, style, hunt_severity_name(f->severity), SEVERITY_WIDTH, false);
    line_space(line, 1);
    (void)snprintf(text, sizeof text, "%.2f", f->score);
    line_field(line, style, text, SCORE_WIDTH, true);
    line_space(line, 2);
    line_field(line, STYLE_PLAIN, who[0] ? who : "-", l->who, false);
    line_space(line, 2);
    line_field(line, STYLE_PLAIN, whom[0] ? whom : "-", l->whom, false);
    line_space(line, 1);
    if (l->what) {
        line_space(line, 1);
        line_field(line, STYLE_PLAIN, what.at ? what.at : "", l->what, false);
        line_space(line, 1);
    }
    unsigned end = line->used + l->spark;
    if (l->spark) {
        put_spark(show, line, f, l->spark);
        line_to(line, end);
        line_space(line, 1);
    }
    hunt_id_text(f->id, l->id, text);
    line_put(line, STYLE_DIM, text);
    line_end(line);
    if (!l->what) {
        line_space(line, 2);
        line_put(line, picked->hidden_by ? STYLE_DIM : STYLE_PLAIN, what.at ? what.at : "");
        line_end(line);
    }
    text_done(&what);
}

void hunt_table(const struct hunt_show *show, struct text *out)
{
    struct line line = {
        .out = out, .width = show->columns, .color = show->color, .utf8 = show->utf8};
    size_t n = show->picks->n_rows < show->limit ? show->picks->n_rows : show->limit;
    if (show->picks->n_rows == 0)
        return;
    struct layout layout = make_layout(show, n);
    put_head(&line, &layout);
    for (size_t i = 0; i < show->picks->n; i++)
        if (show->picks->at[i].is_head && show->picks->at[i].row < n)
            put_row(show, &line, &layout, &show->picks->at[i]);
    if (n < show->picks->n_rows)
        line_format(&line, STYLE_DIM, "%zu more: -n %zu", show->picks->n_rows - n,
                    show->picks->n_rows);
    if (line.used)
        line_end(&line);
    if (show->picks->n_hidden && !show->show_safelisted) {
        line_format(&line, STYLE_DIM, "%zu hidden by a safelist: --show-safelisted",
                    show->picks->n_hidden);
        line_end(&line);
    }
}
