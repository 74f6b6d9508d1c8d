/* Text for people: how wide it is, how it is made safe, in which colour, and the terminal itself.
 *
 * All that may come from the wire goes through line_put: control characters, bytes that are no
 * UTF-8, and every character whose width or direction a terminal may see differently are written as
 * \xNN, so that nothing can drive the terminal, hide, or push a column aside. */
#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* As `max`: up to the NUL. */
#define TERMINAL_WHOLE (SIZE_MAX / 2)

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_YELLOW, STYLE_GREEN };

/* One line that is being written; a step's. */
struct line {
    struct text *out;
    unsigned width; /* columns it may have */
    unsigned used;
    bool color;
    bool utf8; /* the terminal shows it; false: all that is not ASCII is escaped, but the sign +- */
};

/* Appends the text, of `max` bytes at most, up to its NUL. What does not fit is cut, and a mark
 * says so. */
void line_put_upto(struct line *line, enum style style, const char *text, size_t max);
void line_put(struct line *line, enum style style, const char *text);
void line_format(struct line *line, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* In a column of `width`, filled with spaces. */
void line_field(struct line *line, enum style style, const char *text, unsigned width, bool right);

void line_space(struct line *line, unsigned n);
void line_to(struct line *line, unsigned column); /* spaces up to there */
void line_end(struct line *line);                 /* newline; the line is empty again */

/* The columns that the text takes once it is safe. */
unsigned terminal_width(const char *text, size_t max, bool utf8);

/* "1.24G": at most five characters. */
void terminal_number(double value, char out[16]);
/* "0.4s", "12s", "4m03s", "2h05m", "3d04h": at most six characters. */
void terminal_duration(int64_t ns, char out[16]);
/* "03:12:45"; "21 03:12" (day of the month) when it is older than 20 hours. */
void terminal_time(int64_t ts, int64_t now, bool utc, char out[16]);

/* "always", "never", "auto" (NULL: that): whether to colour. `auto` is for terminals, and not where
 * NO_COLOR is set or TERM is "dumb". -1: none of these words. */
int terminal_color(const char *word, int fd);

/* Whether the locale's characters are UTF-8. */
bool terminal_utf8(void);

/* Of the terminal; where it does not say, COLUMNS and LINES, or 80 and 24. */
void terminal_size(int fd, unsigned *out_rows, unsigned *out_columns);

#endif
