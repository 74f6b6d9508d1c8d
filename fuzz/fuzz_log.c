/* Text in log lines, read back: an escaped value gives its bytes again, and nothing in it can be
 * taken for a separator, a marker or the end of a line.
 *
 * Input: texts, each behind two bytes of its size: each is escaped as TSV, in a set, and as JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/frames.h"
#include "log/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* A decoder of UTF-8 of its own: the size of the sequence, or 0 (table 3-7 of the standard). */
static size_t utf8_at(const uint8_t *p, size_t left)
{
    static const uint8_t rows[][6] = {
        {2, 0xc2, 0xdf, 0x80, 0xbf}, {3, 0xe0, 0xe0, 0xa0, 0xbf}, {3, 0xe1, 0xec, 0x80, 0xbf},
        {3, 0xed, 0xed, 0x80, 0x9f}, {3, 0xee, 0xef, 0x80, 0xbf}, {4, 0xf0, 0xf0, 0x90, 0xbf},
        {4, 0xf1, 0xf3, 0x80, 0xbf}, {4, 0xf4, 0xf4, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = rows[i][0];
        if (p[0] < rows[i][1] || p[0] > rows[i][2] || left < n || p[1] < rows[i][3] ||
            p[1] > rows[i][4])
            continue;
        for (size_t k = 2; k < n; k++)
            if (p[k] >> 6 != 2)
                return 0;
        return n;
    }
    return 0;
}

/* Printable ASCII and whole UTF-8 sequences, no more. */
static void check_clean(const uint8_t *p, size_t size, const char *forbidden)
{
    while (size > 0) {
        size_t n = *p >= 0x20 && *p < 0x7f ? 1 : *p >= 0x80 ? utf8_at(p, size) : 0;
        CHECK(n > 0);
        CHECK(!strchr(forbidden, *p));
        p += n;
        size -= n;
    }
}

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What a reader of TSV makes of a value; gives its size. */
static size_t tsv_back(const uint8_t *p, size_t size, uint8_t *out)
{
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        if (p[i] != '\\') {
            out[at++] = p[i];
            continue;
        }
        CHECK(i + 1 < size);
        if (p[i + 1] == '\\') {
            out[at++] = '\\';
            i++;
            continue;
        }
        CHECK(i + 3 < size && p[i + 1] == 'x' && hex_value(p[i + 2]) >= 0 &&
              hex_value(p[i + 3]) >= 0);
        out[at++] = (uint8_t)(hex_value(p[i + 2]) << 4 | hex_value(p[i + 3]));
        i += 3;
    }
    return at;
}

static void check_tsv(const uint8_t *escaped, size_t escaped_size, struct str text, bool in_set)
{
    uint8_t *back = malloc(escaped_size + 1);
    CHECK(back);
    check_clean(escaped, escaped_size, in_set ? ",\t" : "\t");
    CHECK(tsv_back(escaped, escaped_size, back) == text.len);
    CHECK(text.len == 0 || memcmp(back, text.at, text.len) == 0);
    CHECK(escaped_size != 1 || escaped[0] != '-');
    CHECK(escaped_size != 7 || memcmp(escaped, "(empty)", 7) != 0);
    free(back);
}

/* What is not UTF-8 has no form in JSON: it stands there as the text \xNN. */
static size_t json_model(struct str text, uint8_t *out)
{
    const uint8_t *p = (const uint8_t *)text.at;
    size_t at = 0;
    for (size_t i = 0; i < text.len;) {
        size_t n = p[i] >= 0x80 ? utf8_at(p + i, text.len - i) : 1;
        bool is_short = p[i] && strchr("\b\f\n\r\t", p[i]);
        if (n == 0 || p[i] == 0x7f || (p[i] < 0x20 && !is_short)) {
            char hex[5];
            snprintf(hex, sizeof hex, "\\x%02x", p[i]);
            memcpy(out + at, hex, 4);
            at += 4;
            i++;
        } else {
            memcpy(out + at, p + i, n);
            at += n;
            i += n;
        }
    }
    return at;
}

/* What stands between the quotes of a JSON string, read back. */
static void check_json(const uint8_t *p, size_t size, struct str text)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint8_t *back = malloc(size + 1), *model = malloc((size_t)text.len * 4 + 1);
    CHECK(back && model);
    check_clean(p, size, "");
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        CHECK(p[i] != '"');
        if (p[i] != '\\') {
            back[at++] = p[i];
            continue;
        }
        i++;
        const char *letter = i < size && p[i] ? strchr(letters, p[i]) : NULL;
        CHECK(letter);
        back[at++] = (uint8_t)values[letter - letters];
    }
    CHECK(json_model(text, model) == at);
    CHECK(at == 0 || memcmp(model, back, at) == 0);
    free(back);
    free(model);
}

static void escape_one(struct str text)
{
    for (int form = 0; form < 3; form++) {
        size_t most = (size_t)text.len * (form == 2 ? 6 : 4);
        uint8_t *out = malloc(most ? most : 1);
        CHECK(out);
        char *end = form == 2 ? log_escape_json((char *)out, text)
                              : log_escape_tsv((char *)out, text, form);
        size_t size = (size_t)(end - (char *)out);
        CHECK(size <= most);
        if (form == 2)
            check_json(out, size, text);
        else
            check_tsv(out, size, text, form);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    uint8_t *block;
    size_t block_size;
    while ((block = frames_next(&r, &block_size))) {
        escape_one(str_make(block, block_size));
        free(block);
    }
    return 0;
}
