/* All that is known of one finding, as text: who and whom, why, the numbers, and the pictures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/hunt_show.h"

#define HEAD_WIDTH  14
#define NAMES_SHOWN 8
#define MS          INT64_C(1000000) /* ns */

static struct line line_of(const struct hunt_show *show, struct text *out)
{
    return (struct line){
        .out = out, .width = show->columns, .color = show->color, .utf8 = show->utf8};
}

static void put_title(struct line *line, const char *title)
{
    line_end(line);
    line_put(line, STYLE_BOLD, title);
    line_end(line);
}

static void put_head(struct line *line, const char *head)
{
    line_space(line, 2);
    line_field(line, STYLE_DIM, head, HEAD_WIDTH, false);
}

/* A text of any length, broken between words where it has to be; bytes from the wire are escaped by
 * the line. */
static void put_long(struct line *line, unsigned indent, const char *text)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len;) {
        line_to(line, indent);
        size_t end = at, next = at;
        while (next < len) {
            size_t word = strcspn(text + next + (text[next] == ' '), " ") + (text[next] == ' ');
            if (end > at &&
                terminal_width(text + at, next + word - at, line->utf8) > line->width - indent)
                break;
            end = next = next + word;
        }
        line_put_upto(line, STYLE_PLAIN, text + at, end - at);
        line_end(line);
        at = end + strspn(text + end, " ");
    }
}

static void put_time_field(const struct hunt_show *show, struct line *line, const char *head,
                           int64_t ms)
{
    char text[32];
    hunt_time(ms, show->utc, text);
    put_head(line, head);
    line_put(line, STYLE_PLAIN, text);
    line_end(line);
}

/* ---- who and whom ---- */

static void put_end(const struct hunt_show *show, struct line *line, const char *head, bool has,
                    const struct hunt_host *host, const char *machine, const char *name)
{
    char addr[ADDR_TEXT_MAX + 1];
    const char *network = has ? hunt_network_of(show->view, host->network) : "";
    hunt_address(has, host, addr);
    if (strcmp(name, addr) == 0) /* as in a certificate's or a request's own words */
        name = "";
    if (!has && !machine[0] && !name[0])
        return;
    put_head(line, head);
    const char *parts[] = {machine, name, addr};
    const char *gap = "";
    for (size_t i = 0; i < 3; i++) {
        if (!parts[i][0])
            continue;
        line_put(line, STYLE_PLAIN, gap);
        line_put(line, i == 2 && gap[0] ? STYLE_DIM : STYLE_PLAIN, parts[i]);
        gap = "  ";
    }
    if (network[0]) {
        line_put(line, STYLE_DIM, "  network ");
        line_put(line, STYLE_DIM, network);
    }
    line_end(line);
}

static book_name name_hash(const struct hunt_judge *view, const char *name)
{
    return view->books.n && name[0] ? book_hash(view->books.at[0], str_c(name)) : 0;
}

static void put_names(const struct hunt_show *show, struct line *line, const struct finding *f)
{
    book_name names[NAMES_SHOWN];
    size_t n = f->has_dst ? hunt_names_of(show->view, &f->dst.addr, names, NAMES_SHOWN) : 0;
    if (n > NAMES_SHOWN)
        n = NAMES_SHOWN;
    for (size_t i = 0; i < n; i++) {
        struct str text = books_text(&show->view->books, names[i]);
        put_head(line, i == 0 ? "asked for as" : "");
        line_put_upto(line, STYLE_PLAIN, text.at ? text.at : "?", text.at ? text.len : 1);
        line_end(line);
    }
}

static void put_world(const struct hunt_show *show, struct line *line, const struct finding *f)
{
    book_name name = hunt_is_label(f->name) ? 0 : name_hash(show->view, f->name);
    struct hunt_prevalence known = {0, 0};
    int64_t first = HUNT_UNSET;
    if (name) {
        known = hunt_prevalence_of_name(show->view, name);
        first = hunt_first_seen_of_name(show->view, name);
    } else if (f->has_dst) {
        known = hunt_prevalence_of(show->view, &f->dst);
        first = hunt_first_seen_of(show->view, &f->dst);
    }
    /* A domain of which only names below were asked for is known to somebody all the same. */
    if (known.of && known.n) {
        put_head(line, "known to");
        line_format(line, STYLE_PLAIN, "%u of %u of our hosts (%.3g %%)", known.n, known.of,
                    100.0 * known.n / known.of);
        line_end(line);
    }
    if (first != HUNT_UNSET)
        put_time_field(show, line, "first seen", first);
}

static void put_facts(const struct hunt_show *show, struct line *line, const struct finding *f)
{
    char up[32], down[32], length[16];
    put_end(show, line, "who", f->has_src, &f->src, f->src_machine, "");
    put_end(show, line, "whom", f->has_dst, &f->dst, f->dst_machine, f->name);
    put_names(show, line, f);
    if (f->ports[0]) {
        put_head(line, "ports");
        line_put(line, STYLE_PLAIN, f->ports);
        line_end(line);
    }
    put_world(show, line, f);
    put_time_field(show, line, "from", f->first);
    terminal_duration((f->last - f->first) * MS, length);
    put_time_field(show, line, "to", f->last);
    put_head(line, "that is");
    hunt_bytes(f->bytes_up, up);
    hunt_bytes(f->bytes_down, down);
    if (f->last > f->first)
        line_format(line, STYLE_PLAIN, "%s, ", length);
    line_format(line, STYLE_PLAIN, "%llu time%s, %s sent, %s received", (unsigned long long)f->n,
                f->n == 1 ? "" : "s", up, down);
    line_end(line);
    put_head(line, "confidence");
    line_format(line, STYLE_PLAIN, "%.0f %%", f->confidence * 100);
    line_end(line);
}

/* ---- numbers ---- */

static void put_numbers(struct line *line, const struct finding *f)
{
    unsigned widest = 0;
    for (unsigned i = 0; i < f->n_numbers; i++) {
        unsigned width = terminal_width(f->numbers[i].name, TERMINAL_WHOLE, true);
        widest = width > widest ? width : widest;
    }
    for (unsigned i = 0; i < f->n_numbers; i++) {
        line_space(line, 2);
        line_field(line, STYLE_DIM, f->numbers[i].name, widest + 2, false);
        line_format(line, STYLE_PLAIN, "%.6g", f->numbers[i].value);
        line_end(line);
    }
}

static void put_rita(struct line *line, const struct picture *p)
{
    struct rita_beacon beacon = {0};
    struct err err;
    char text[200] = "none";
    put_title(line, "RITA's beacon score");
    if (p->seconds && rita_beacon(p->seconds, p->n_events, p->sizes_up, p->n_events, p->from / 1000,
                                  p->to / 1000, &beacon, &err) == 0)
        (void)snprintf(text, sizeof text,
                       "%.3f: times %.3f, sizes %.3f, duration %.3f, histogram %.3f, a quarter of "
                       "each",
                       beacon.score, beacon.ts, beacon.ds, beacon.dur, beacon.hist);
    else if (p->seconds)
        (void)snprintf(text, sizeof text, "none: %.180s", err.text);
    put_long(line, 2, text);
}

/* ---- pictures ---- */

/* "58-60", or "60" where a bar is one value. */
static void bar_name(const struct picture_bar *bar, const char *unit, char out[48])
{
    if (bar->from == bar->to)
        (void)snprintf(out, 48, "%.10g %s", bar->from, unit);
    else
        (void)snprintf(out, 48, "%.6g - %.6g %s", round(bar->from * 100) / 100,
                       round(bar->to * 100) / 100, unit);
}

static void put_bars(struct line *line, const struct picture_bars *bars, const char *unit)
{
    unsigned room = line->width > 40 ? line->width - 36 : 4;
    for (unsigned i = 0; i < bars->n; i++) {
        char name[48];
        bar_name(&bars->at[i], unit, name);
        line_space(line, 2);
        line_field(line, STYLE_PLAIN, name, 22, true);
        line_space(line, 1);
        uint64_t len = ((uint64_t)bars->at[i].n * room + bars->most - 1) / bars->most;
        for (uint64_t column = 0; column < len; column++)
            line_put(line, STYLE_PLAIN, line->utf8 ? "\xe2\x96\x88" : "#");
        line_format(line, STYLE_DIM, " %u", bars->at[i].n);
        line_end(line);
    }
}

static const char *shade(uint32_t n, uint32_t most, bool utf8)
{
    static const char *const blocks[] = {"\xe2\x96\x91", "\xe2\x96\x92", "\xe2\x96\x93",
                                         "\xe2\x96\x88"};
    static const char *const ascii[] = {".", ":", "+", "#"};
    size_t level = most > 1 ? (size_t)(3 * log(n) / log(most)) : 3;
    return utf8 ? blocks[level < 4 ? level : 3] : ascii[level < 4 ? level : 3];
}

static void put_raster(const struct hunt_show *show, struct line *line, const struct picture *p)
{
    line_space(line, 2);
    line_put(line, STYLE_DIM, "      00        10        20        30        40        50");
    line_end(line);
    for (int hour = 0; hour < PICTURE_HOURS; hour++) {
        char at[32];
        hunt_time(p->raster_from + hour * INT64_C(3600000), show->utc, at);
        line_space(line, 2);
        line_put_upto(line, STYLE_DIM, at + 11, 5);
        line_space(line, 1);
        for (int minute = 0; minute < 60; minute++) {
            uint32_t n = p->raster[hour][minute];
            line_put(line, STYLE_PLAIN,
                     n            ? shade(n, p->raster_most, show->utf8)
                     : show->utf8 ? "\xc2\xb7"
                                  : " ");
        }
        line_end(line);
    }
}

static void put_pictures(const struct hunt_show *show, struct line *line, const struct finding *f)
{
    struct picture picture;
    if (!picture_make(show->view, f, &picture)) {
        picture_done(&picture);
        return;
    }
    char from[32], to[32];
    unsigned width = show->columns > 4 ? show->columns - 4 : 1;
    struct text spark;
    text_init(&spark, 4096);
    picture_spark(&picture, width, show->utf8, &spark);
    put_rita(line, &picture);
    hunt_time(picture.from, show->utc, from);
    hunt_time(picture.to, show->utc, to);
    put_title(line, "When");
    line_space(line, 2);
    line_put(line, STYLE_PLAIN, spark.at ? spark.at : "");
    line_end(line);
    line_format(line, STYLE_DIM, "  %s  to  %s", from, to);
    line_end(line);
    text_done(&spark);
    if (picture.n_failed) {
        line_format(line, STYLE_PLAIN, "  %u of %zu failed: nothing answered, or it was refused",
                    picture.n_failed, picture.n_events);
        line_end(line);
    }
    if (picture.partial) {
        line_format(line, STYLE_PLAIN, "  the pictures are of the last %d", PICTURE_EVENTS);
        line_end(line);
    }
    if (picture.intervals.n) {
        put_title(line, "Time from one to the next");
        put_bars(line, &picture.intervals, "s");
    }
    put_title(line, "Bytes sent in each");
    put_bars(line, &picture.sizes, "B");
    put_title(line, "Minutes of each hour of the last day");
    put_raster(show, line, &picture);
    picture_done(&picture);
}

/* ---- what to do with it ---- */

static void put_safelist(struct line *line, const struct hunt_picked *picked)
{
    char entry[HUNT_END_MAX * 2];
    put_title(line, "Safelist");
    if (picked->hidden_by) {
        line_put(line, STYLE_PLAIN, "  hidden by ");
        line_put(line, STYLE_PLAIN, picked->hidden_by);
    } else {
        hunt_safelist_line(picked->finding, entry, sizeof entry);
        line_put(line, STYLE_PLAIN, "  this line would hide it: ");
        line_put(line, STYLE_PLAIN, entry);
    }
    line_end(line);
}

/* Longer than a line: it is to be copied whole. */
static void put_command(const struct hunt_show *show, struct line *line, const struct finding *f)
{
    struct text command;
    text_init(&command, 8192);
    hunt_lines_command(show, f, &command);
    put_title(line, "Lines of the logs");
    line->width = UINT32_MAX / 2;
    line_put(line, STYLE_PLAIN, "  ");
    line_put(line, STYLE_PLAIN, command.at ? command.at : "");
    line_end(line);
    line->width = show->columns;
    text_done(&command);
}

void hunt_explain(const struct hunt_show *show, const struct hunt_picked *picked, struct text *out)
{
    const struct finding *f = picked->finding;
    struct line line = line_of(show, out);
    char id[HUNT_ID_MAX];
    hunt_id_text(f->id, HUNT_ID_MAX - 1, id);
    line_format(&line, hunt_style(f->severity), "%s %.2f", hunt_severity_name(f->severity),
                f->score);
    line_put(&line, STYLE_PLAIN, "  ");
    line_put(&line, STYLE_BOLD, f->hunt->title);
    line_format(&line, STYLE_DIM, "  %s", id);
    line_end(&line);
    put_long(&line, 0, f->title);
    line_end(&line);
    put_facts(show, &line, f);
    if (f->n_reasons)
        put_title(&line, "Why");
    for (unsigned i = 0; i < f->n_reasons; i++) {
        line_put(&line, STYLE_PLAIN, "  - ");
        put_long(&line, 4, f->reasons[i]);
    }
    if (f->n_numbers)
        put_title(&line, "Numbers");
    put_numbers(&line, f);
    put_pictures(show, &line, f);
    put_safelist(&line, picked);
    put_command(show, &line, f);
}
