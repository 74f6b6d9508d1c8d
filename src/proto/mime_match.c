/* Matches the patterns of mime_table.c, without recursion: a star is tried at each later place, and
 * of two stars only the last is gone back to, which finds a match wherever there is one. */
#include "proto/mime_match.h"

/* The byte a pattern begins with, or -1: one of several. */
static int first_byte(struct str pattern)
{
    if (pattern.len == 0)
        return -1;
    uint8_t c = (uint8_t)pattern.at[0];
    if (c == '\\')
        return (uint8_t)pattern.at[1];
    return c == '.' || c == '[' || c == '*' ? -1 : c;
}

/* Bytes of the pattern that the next element takes, its repetition not counted. */
static uint32_t element_len(struct str pattern)
{
    if (pattern.at[0] == '\\')
        return 2;
    if (pattern.at[0] != '[')
        return 1;
    uint32_t n = 1;
    while (pattern.at[n] != ']')
        n += pattern.at[n] == '\\' ? 2 : 1;
    return n + 1;
}

static bool in_set(struct str set, uint8_t c)
{
    for (uint32_t i = 1; set.at[i] != ']'; i++) {
        if (set.at[i] == '\\')
            i++;
        uint8_t low = (uint8_t)set.at[i], high = low;
        if (set.at[i + 1] == '-') {
            i += 2;
            if (set.at[i] == '\\')
                i++;
            high = (uint8_t)set.at[i];
        }
        if (c >= low && c <= high)
            return true;
    }
    return false;
}

static bool element_is(struct str element, uint8_t c)
{
    if (element.at[0] == '[')
        return in_set(element, c);
    if (element.len == 1 && element.at[0] == '.')
        return true;
    return (uint8_t)element.at[element.len - 1] == c;
}

static uint32_t repetition(struct str *rest)
{
    if (rest->len == 0 || rest->at[0] != '{')
        return 1;
    uint32_t n = 0;
    *rest = str_from(*rest, 1);
    for (; rest->at[0] != '}'; *rest = str_from(*rest, 1))
        n = n * 10 + (uint32_t)(rest->at[0] - '0');
    *rest = str_from(*rest, 1);
    return n;
}

/* All up to the next star or the end. The rest of both through the pointers. */
static bool match_piece(struct str *pattern, struct str *text)
{
    struct str p = *pattern, t = *text;
    while (p.len > 0 && p.at[0] != '*') {
        struct str element = str_upto(p, element_len(p));
        p = str_from(p, element.len);
        uint32_t n = repetition(&p);
        if (t.len < n)
            return false;
        bool any = element.len == 1 && element.at[0] == '.';
        for (uint32_t i = 0; i < n && !any; i++)
            if (!element_is(element, (uint8_t)t.at[i]))
                return false;
        t = str_from(t, n);
    }
    *pattern = p;
    *text = t;
    return true;
}

bool mime_match(struct str pattern, struct str text)
{
    if (!match_piece(&pattern, &text))
        return false;
    while (pattern.len > 0) { /* at a star */
        pattern = str_from(pattern, 1);
        int first = first_byte(pattern);
        bool found = false;
        while (!found) {
            const char *at =
                first < 0 || text.len == 0 ? text.at : memchr(text.at, first, text.len);
            if (!at)
                return false;
            text = str_from(text, (size_t)(at - text.at));
            found = match_piece(&pattern, &text);
            if (!found && text.len == 0)
                return false;
            if (!found)
                text = str_from(text, 1);
        }
    }
    return true;
}
