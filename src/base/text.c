/* Text that grows: see text.h. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text *text, size_t max)
{
    *text = (struct text){.max = max};
}

void text_done(struct text *text)
{
    free(text->at);
    *text = (struct text){.max = text->max};
}

char *text_take(struct text *text, size_t *out_size)
{
    text_add(text, "", 0);
    if (text->failed) {
        text_done(text);
        return NULL;
    }
    char *taken = text->at;
    *out_size = text->size;
    *text = (struct text){.max = text->max};
    return taken;
}

static bool grow(struct text *text, size_t needed)
{
    size_t capacity = text->capacity ? text->capacity : 1024;
    while (capacity < needed)
        capacity *= 2;
    char *at = realloc(text->at, capacity);
    if (!at)
        return false;
    text->at = at;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const void *bytes, size_t size)
{
    if (text->failed)
        return;
    if (size > text->max - text->size ||
        (text->size + size + 1 > text->capacity && !grow(text, text->size + size + 1))) {
        text->failed = true;
        return;
    }
    if (size)
        memcpy(text->at + text->size, bytes, size);
    text->size += size;
    text->at[text->size] = '\0';
}

void text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        text_add(text, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* RFC 3629, table 3-7 of Unicode: no surrogates, nothing longer than needed. */
size_t text_utf8(const char *at, size_t left, uint32_t *out_code)
{
    const uint8_t *p = (const uint8_t *)at;
    if (left == 0)
        return 0;
    size_t size = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (size == 0 || size > left || p[0] > 0xf4)
        return 0;
    uint32_t code = size == 1 ? p[0] : p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *out_code = code;
    return size;
}

static void json_code(struct text *text, uint32_t code)
{
    if (code == '"' || code == '\\')
        text_format(text, "\\%c", (char)code);
    else if (code >= 0x20 && code < 0x7f)
        text_add(text, &(char){(char)code}, 1);
    else if (code < 0x10000)
        text_format(text, "\\u%04x", code);
    else
        text_format(text, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                    0xdc00 + ((code - 0x10000) & 0x3ff));
}

void text_json(struct text *text, const char *string, size_t max)
{
    size_t len = strnlen(string, max);
    text_put(text, "\"");
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t size = text_utf8(string + at, len - at, &code);
        if (size)
            json_code(text, code);
        else
            text_format(text, "\\\\x%02x", (unsigned)(uint8_t)string[at]);
        at += size ? size : 1;
    }
    text_put(text, "\"");
}

void text_shell(struct text *text, const char *word)
{
    size_t len = strlen(word);
    if (len > 0 && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.:@=/,") == len) {
        text_put(text, word);
        return;
    }
    text_put(text, "'");
    for (const char *at = word; *at; at++)
        if (*at == '\'')
            text_put(text, "'\\''");
        else
            text_add(text, at, 1);
    text_put(text, "'");
}

size_t text_put_utf8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}
