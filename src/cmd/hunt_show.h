/* Findings as text: a table, all of one, objects of JSON, comma-separated values, a report. These
 * write into a struct text; what prints it is hunt.c. */
#ifndef CMD_HUNT_SHOW_H
#define CMD_HUNT_SHOW_H

#include "cmd/hunt_pick.h"
#include "cmd/hunt_picture.h"
#include "cmd/terminal.h"
#include "hunt/rita.h"

struct hunt_show {
    const struct hunt_judge *view;
    const struct hunt_picks *picks;
    unsigned columns;
    bool color, utf8, utc;
    bool show_safelisted;
    size_t limit;             /* rows */
    const char *const *paths; /* for the command that shows the log's lines */
    size_t n_paths;
};

void hunt_table(const struct hunt_show *show, struct text *out);
void hunt_explain(const struct hunt_show *show, const struct hunt_picked *picked, struct text *out);
/* A whole page of HTML. */
void hunt_html(const struct hunt_show *show, const char *title, struct text *out);

/* One object and its newline. `alert`: "new", "graver", or NULL. */
void hunt_json(const struct finding *finding, const char *hidden_by, const char *alert,
               struct text *out);

void hunt_csv_header(struct text *out);
void hunt_csv(const struct finding *finding, struct text *out);

void hunt_rita_table(const struct hunt_show *show, const struct rita_row *rows, size_t n,
                     struct text *out);

/* ---- words that all of them use ---- */

#define HUNT_END_MAX 320
/* Who: the machine's name, else the address. Whom: the machine's, else the name, else the address;
 * "" where there is none. */
void hunt_who(const struct finding *finding, char out[HUNT_END_MAX]);
void hunt_whom(const struct finding *finding, char out[HUNT_END_MAX]);
/* The address alone; "" where there is none. */
void hunt_address(bool has, const struct hunt_host *host, char out[ADDR_TEXT_MAX + 1]);
enum style hunt_style(enum hunt_severity severity);
/* "2026-11-20 14:03:07", of ms. */
void hunt_time(int64_t ms, bool utc, char out[32]);
/* "1.24 MB" and the like. */
void hunt_bytes(uint64_t n, char out[32]);
/* The value of a number, -1 where the finding has none of this name. */
double hunt_number(const struct finding *finding, const char *name);
/* What a finding says in the place of a name, "many hosts, 445:tcp": it stands in no log. */
bool hunt_is_label(const char *name);
/* A command line for the shell that shows the lines of the log that a finding is made of. */
void hunt_lines_command(const struct hunt_show *show, const struct finding *finding,
                        struct text *out);

#endif
