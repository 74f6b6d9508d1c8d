/* One picture of the live view: a snapshot as lines of text. It draws nothing by itself. */
#ifndef CMD_SCREEN_H
#define CMD_SCREEN_H

#include "cmd/terminal.h"
#include "sensor/snapshot.h"

struct screen_options {
    unsigned rows, columns;
    bool color, utf8;
    bool utc;
    bool paused, help;
    bool padded;   /* every line has all columns: nothing has to be cleared behind it */
    size_t scroll; /* machines above the first that is shown */
};

/* Appends at most `rows` lines, none wider than `columns`, each ended by a newline. `out_scroll`:
 * what `scroll` is, not past the end; `out_page`: how many machines are on the picture. */
void screen_draw(const struct screen_options *options, const struct snapshot *snapshot,
                 struct text *out, size_t *out_scroll, size_t *out_page);

#endif
