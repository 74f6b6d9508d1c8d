/* Text for people: see terminal.h. */
#include "cmd/terminal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"

/* ---- characters ---- */

/* What every terminal shows in the same width: letters that stand alone, and plain signs. All else
 * (combining, right-to-left, invisible, emoji, private, not assigned) is escaped. */
static const struct {
    uint32_t first, last;
    uint8_t width;
} shown[] = {
    {0x20, 0x7e, 1},       {0xa1, 0xac, 1},     {0xae, 0x2ff, 1},    {0x370, 0x377, 1},
    {0x37a, 0x37f, 1},     {0x384, 0x38a, 1},   {0x38e, 0x3a1, 1},   {0x3a3, 0x482, 1},
    {0x48a, 0x52f, 1},     {0x10d0, 0x10fa, 1}, {0x1e00, 0x1eff, 1}, {0x2010, 0x2015, 1},
    {0x2018, 0x2027, 1},   {0x2030, 0x205e, 1}, {0x20a0, 0x20bf, 1}, {0x2190, 0x21ff, 1},
    {0x2200, 0x22ff, 1},   {0x2500, 0x259f, 1}, {0x3001, 0x3029, 2}, {0x3030, 0x303d, 2},
    {0x3041, 0x3096, 2},   {0x309b, 0x30ff, 2}, {0x3105, 0x312f, 2}, {0x3400, 0x4dbf, 2},
    {0x4e00, 0x9ffc, 2},   {0xac00, 0xd7a3, 2}, {0xf900, 0xfa6d, 2}, {0xff01, 0xff60, 2},
    {0x20000, 0x2a6d6, 2},
};

static unsigned width_of(uint32_t code)
{
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if (code <= shown[i].last)
            return code >= shown[i].first ? shown[i].width : 0;
    return 0;
}

/* The character (or byte that is none) at `at`: its bytes, and its columns. */
struct glyph {
    size_t size;
    unsigned width;
    bool safe;
    const char *ascii; /* in its place; NULL: itself */
};

static struct glyph glyph_at(const char *at, size_t left, bool utf8)
{
    uint32_t code = 0;
    size_t size = text_utf8(at, left, &code);
    unsigned width = size && (utf8 || code < 0x80) ? width_of(code) : 0;
    if (width)
        return (struct glyph){size, width, true, NULL};
    if (code == 0xb1) /* our own sentences have it */
        return (struct glyph){size, 2, true, "+-"};
    return (struct glyph){1, 4, false, NULL}; /* \xNN; the rest of the character follows likewise */
}

unsigned terminal_width(const char *text, size_t max, bool utf8)
{
    size_t len = max == TERMINAL_WHOLE ? strlen(text) : strnlen(text, max);
    unsigned width = 0;
    for (size_t at = 0; at < len;) {
        struct glyph glyph = glyph_at(text + at, len - at, utf8);
        at += glyph.size;
        width += glyph.width;
    }
    return width;
}

static void put_glyph(struct text *out, const char *at, struct glyph glyph)
{
    if (glyph.ascii)
        text_put(out, glyph.ascii);
    else if (glyph.safe)
        text_add(out, at, glyph.size);
    else
        text_format(out, "\\x%02x", (unsigned)(uint8_t)*at);
}

/* ---- lines ---- */

static const char *const style_on[] = {
    [STYLE_PLAIN] = "",         [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
    [STYLE_RED] = "\033[1;31m", [STYLE_YELLOW] = "\033[33m", [STYLE_GREEN] = "\033[32m",
};

void line_put_upto(struct line *line, enum style style, const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    unsigned left = line->width - line->used;
    if (len == 0 || left == 0)
        return;
    bool cut = terminal_width(text, len, line->utf8) > left;
    unsigned room = cut ? left - 1 : left;
    bool styled = line->color && style != STYLE_PLAIN;
    if (styled)
        text_put(line->out, style_on[style]);
    for (size_t at = 0; at < len;) {
        struct glyph glyph = glyph_at(text + at, len - at, line->utf8);
        if (glyph.width > room)
            break;
        put_glyph(line->out, text + at, glyph);
        at += glyph.size;
        room -= glyph.width;
        line->used += glyph.width;
    }
    if (cut) {
        text_put(line->out, line->utf8 ? "\xe2\x80\xa6" : "~");
        line->used++;
    }
    if (styled)
        text_put(line->out, "\033[0m");
}

void line_put(struct line *line, enum style style, const char *text)
{
    line_put_upto(line, style, text, TERMINAL_WHOLE);
}

void line_format(struct line *line, enum style style, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    line_put(line, style, text);
}

void line_space(struct line *line, unsigned n)
{
    for (; n > 0 && line->used < line->width; n--) {
        text_put(line->out, " ");
        line->used++;
    }
}

void line_to(struct line *line, unsigned column)
{
    if (column > line->used)
        line_space(line, column - line->used);
}

void line_field(struct line *line, enum style style, const char *text, unsigned width, bool right)
{
    unsigned end = line->used + width, whole = line->width;
    unsigned needed = terminal_width(text, TERMINAL_WHOLE, line->utf8);
    if (end > whole)
        end = whole;
    if (right && needed < width)
        line_to(line, end > needed ? end - needed : 0);
    line->width = end;
    line_put(line, style, text);
    line->width = whole;
    line_to(line, end);
}

void line_end(struct line *line)
{
    text_put(line->out, "\n");
    line->used = 0;
}

/* ---- numbers and times ---- */

void terminal_number(double value, char out[16])
{
    static const char units[] = " kMGTPE";
    size_t unit = 0;
    if (!isfinite(value) || value < 0)
        value = 0;
    while (value >= 999.5 && units[unit + 1]) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        (void)snprintf(out, 16, "%.0f", value);
    else if (value > 999.5)
        (void)snprintf(out, 16, ">999E");
    else
        (void)snprintf(out, 16, "%.*f%c",
                       value < 9.995   ? 2
                       : value < 99.95 ? 1
                                       : 0,
                       value, units[unit]);
}

void terminal_duration(int64_t ns, char out[16])
{
    long long s = (ns < 0 ? 0 : ns) / 1000000000;
    if (s < 10)
        (void)snprintf(out, 16, "%.1fs", floor((double)(ns < 0 ? 0 : ns) / 1e8) / 10);
    else if (s < 60)
        (void)snprintf(out, 16, "%llds", s);
    else if (s < 3600)
        (void)snprintf(out, 16, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, 16, "%lldh%02lldm", s / 3600, s / 60 % 60);
    else if (s < 100 * 86400)
        (void)snprintf(out, 16, "%lldd%02lldh", s / 86400, s / 3600 % 24);
    else
        (void)snprintf(out, 16, "%lldd", s / 86400 > 99999 ? 99999 : s / 86400);
}

void terminal_time(int64_t ts, int64_t now, bool utc, char out[16])
{
    time_t seconds = (time_t)(ts / 1000000000);
    struct tm tm = {0};
    (void)(utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm));
    bool old = now - ts > 20ll * 3600 * 1000000000;
    if (strftime(out, 16, old ? "%d %H:%M" : "%H:%M:%S", &tm) == 0)
        out[0] = '\0';
}

/* ---- the terminal ---- */

int terminal_color(const char *word, int fd)
{
    if (word && strcmp(word, "always") == 0)
        return 1;
    if (word && strcmp(word, "never") == 0)
        return 0;
    if (word && strcmp(word, "auto") != 0)
        return -1;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
}

bool terminal_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static unsigned size_from(const char *name, unsigned otherwise)
{
    const char *value = getenv(name);
    uint64_t n;
    return value && options_number(value, 10000, &n) && n > 0 ? (unsigned)n : otherwise;
}

void terminal_size(int fd, unsigned *out_rows, unsigned *out_columns)
{
    struct winsize size;
    bool said = ioctl(fd, TIOCGWINSZ, &size) == 0;
    *out_rows = said && size.ws_row ? size.ws_row : size_from("LINES", 24);
    *out_columns = said && size.ws_col ? size.ws_col : size_from("COLUMNS", 80);
}
