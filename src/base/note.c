/* Diagnostics: see note.h. One write(2) a line, so lines of several threads do not mix. */
#include "base/note.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum note_level level_shown = NOTE_WARN;

void note_set_level(enum note_level level)
{
    level_shown = level;
}

/* Control characters would let a file name or a name from the wire drive the terminal. */
static size_t escape(const char *in, size_t n, char *out, size_t max)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < n && at + 4 < max; i++) {
        unsigned char c = (unsigned char)in[i];
        /* C1 controls are 0xc2 0x80..0x9f in UTF-8; in other places these bytes are letters' tails.
         */
        bool is_c1 =
            c >= 0x80 && c < 0xa0 &&
            (i == 0 || (unsigned char)in[i - 1] == 0xc2 || (unsigned char)in[i - 1] < 0x80);
        if (c >= 0x20 && c != 0x7f && !is_c1) {
            out[at++] = (char)c;
        } else {
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = hex[c >> 4];
            out[at++] = hex[c & 15];
        }
    }
    return at;
}

/* The journal gives a service the device and inode of the stream that it reads. A service may have
 * put something else in its place, so the name alone proves nothing. */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat facts;
    if (!stream || fstat(fd, &facts) < 0)
        return false;
    char want[64];
    (void)snprintf(want, sizeof want, "%llu:%llu", (unsigned long long)facts.st_dev,
                   (unsigned long long)facts.st_ino);
    return strcmp(stream, want) == 0;
}

void note(enum note_level level, const char *format, ...)
{
    static const char *const prefix[] = {[NOTE_ERROR] = "error: ",
                                         [NOTE_WARN] = "warning: ",
                                         [NOTE_INFO] = "",
                                         [NOTE_DEBUG] = "debug: "};
    static const char *const priority[] = {
        [NOTE_ERROR] = "<3>", [NOTE_WARN] = "<4>", [NOTE_INFO] = "<6>", [NOTE_DEBUG] = "<7>"};
    if (level > level_shown)
        return;
    char text[1024], line[2200];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    int at = snprintf(line, sizeof line, "%scloudspan: %s",
                      is_journal(STDERR_FILENO) ? priority[level] : "", prefix[level]);
    size_t end = (size_t)at + escape(text, len, line + at, sizeof line - (size_t)at - 1);
    line[end++] = '\n';
    (void)!write(STDERR_FILENO, line, end); /* there is nobody left to tell */
}
