/* Where two texts begin to differ: see differ.h. */
#include "linux/differ.h"

#include <stdio.h>
#include <string.h>

#define PIECE_MAX 64

/* A piece of a line, from the word on in which it differs where the whole is long. */
static void put_piece(const char *line, size_t at, char out[PIECE_MAX])
{
    size_t start = strspn(line, "\t"), end = strcspn(line, "\n");
    if (end - start >= PIECE_MAX) {
        while (at > start && line[at - 1] != ' ')
            at--;
        start = at < end ? at : start;
    }
    (void)snprintf(out, PIECE_MAX, "%.*s", (int)(end - start), line + start);
}

static void put_context(const char *line, size_t len, char out[PIECE_MAX])
{
    size_t start = strspn(line, "\t");
    if (len > start + 2 && line[len - 1] == '{')
        (void)snprintf(out, PIECE_MAX, "%.*s", (int)(len - start - 2), line + start);
}

bool differ_lines(const char *is, const char *should, char *out, size_t size)
{
    char context[PIECE_MAX] = "", was[PIECE_MAX], wanted[PIECE_MAX];
    while (*is || *should) {
        size_t len = strcspn(is, "\n"), n = strcspn(should, "\n"), same = 0;
        while (same < len && same < n && is[same] == should[same])
            same++;
        if (!*is || !*should || same < len || same < n) {
            put_piece(is, same, was);
            put_piece(should, same, wanted);
            const char *colon = *context ? ": " : "";
            if (!*is)
                (void)snprintf(out, size, "%s%s\"%s\" is missing", context, colon, wanted);
            else if (!*should)
                (void)snprintf(out, size, "%s%s\"%s\" should not be there", context, colon, was);
            else
                (void)snprintf(out, size, "%s%s\"%s\" is there instead of \"%s\"", context, colon,
                               was, wanted);
            return true;
        }
        put_context(is, len, context);
        is += len + (is[len] == '\n');
        should += n + (should[n] == '\n');
    }
    return false;
}

bool differ_words(const char *what, const char *is, const char *should, char *out, size_t size)
{
    if (strcmp(is, should) == 0)
        return false;
    (void)snprintf(out, size, "%s is %s, should be %s", what, *is ? is : "nothing",
                   *should ? should : "nothing");
    return true;
}
