/* RITA's rows as a table, with the columns of its own view. */
#include <stdio.h>
#include <string.h>

#include "cmd/hunt_show.h"

static void put_end(struct line *line, bool has, const struct hunt_host *host, const char *name,
                    unsigned width)
{
    char addr[ADDR_TEXT_MAX + 1];
    hunt_address(has, host, addr);
    const char *text = name[0] ? name : addr;
    line_field(line, STYLE_PLAIN, text[0] ? text : "-", width, false);
    line_space(line, 1);
}

static void put_row(struct line *line, const struct rita_row *row, unsigned src, unsigned dst)
{
    char text[32];
    line_field(line, hunt_style(row->severity), hunt_severity_name(row->severity), 9, false);
    put_end(line, row->type != RITA_DNS, &row->src, "", src);
    put_end(line, row->has_dst, &row->dst, row->name, dst);
    (void)snprintf(text, sizeof text, "%.2f %%", row->beacon.score * 100);
    line_field(line, STYLE_PLAIN, row->beacon.score > 0 ? text : "-", 8, true);
    terminal_duration((int64_t)(row->duration * 1e9), text);
    line_field(line, STYLE_PLAIN, text, 9, true);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)row->subdomains);
    line_field(line, STYLE_PLAIN, row->subdomains ? text : "-", 8, true);
    line_field(line, row->intel ? STYLE_RED : STYLE_PLAIN, row->intel ? "yes" : "no", 7, true);
    (void)snprintf(text, sizeof text, "%.3f", row->final);
    line_field(line, STYLE_PLAIN, text, 7, true);
    line_end(line);
}

void hunt_rita_table(const struct hunt_show *show, const struct rita_row *rows, size_t n,
                     struct text *out)
{
    struct line line = {
        .out = out, .width = show->columns, .color = show->color, .utf8 = show->utf8};
    unsigned room = show->columns > 50 + 20 ? show->columns - 50 : 20;
    unsigned src = 6; /* "Source" */
    for (size_t i = 0; i < n && i < show->limit; i++) {
        char addr[ADDR_TEXT_MAX + 1];
        hunt_address(rows[i].type != RITA_DNS, &rows[i].src, addr);
        src = strlen(addr) > src ? (unsigned)strlen(addr) : src;
    }
    src = src > room / 2 ? room / 2 : src;
    unsigned dst = room - src;
    static const struct {
        const char *name;
        unsigned width;
    } columns[] = {{"Beacon", 8}, {"Duration", 9}, {"Subdom.", 8}, {"Intel", 7}, {"Score", 7}};
    if (n == 0) {
        text_put(out, "Nothing was found.\n");
        return;
    }
    line_field(&line, STYLE_DIM, "Severity", 9, false);
    line_field(&line, STYLE_DIM, "Source", src + 1, false);
    line_field(&line, STYLE_DIM, "Destination", dst + 1, false);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        line_field(&line, STYLE_DIM, columns[i].name, columns[i].width, true);
    line_end(&line);
    for (size_t i = 0; i < n && i < show->limit; i++)
        put_row(&line, &rows[i], src, dst);
    if (n > show->limit) {
        line_format(&line, STYLE_DIM, "%zu more: -n %zu", n - show->limit, n);
        line_end(&line);
    }
}
