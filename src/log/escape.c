/* Text from the wire, made safe for TSV and JSON lines, byte for byte as Zeek writes it: printable
 * ASCII and valid UTF-8 as they are, the backslash twice, everything else as \xNN. */
#include "log/writer.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const char hex[] = "0123456789abcdef";

/* Length of the valid UTF-8 sequence of two bytes or more at `p`, or 0 (RFC 3629). */
static unsigned utf8_size(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    unsigned n = c >= 0xc2 && c <= 0xdf   ? 2
                 : c >= 0xe0 && c <= 0xef ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (n == 0 || left < n)
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* How many bytes from `p` on need no look: printable ASCII without `a` and `b`. */
static size_t plain_prefix(const uint8_t *p, size_t n, char a, char b)
{
    size_t i = 0;
#ifdef __SSE2__
    const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b);
    const __m128i low = _mm_set1_epi8(0x1f), high = _mm_set1_epi8(0x7f);
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        /* Signed compare: bytes from 0x80 on are negative, so they fail "greater than 0x1f". */
        __m128i ok = _mm_and_si128(_mm_cmpgt_epi8(v, low), _mm_cmplt_epi8(v, high));
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(bad, ok));
        if (mask != 0xffff)
            return i + (size_t)__builtin_ctz(~mask);
    }
#endif
    while (i < n && p[i] > 0x1f && p[i] < 0x7f && p[i] != (uint8_t)a && p[i] != (uint8_t)b)
        i++;
    return i;
}

static char *put_hex(char *at, uint8_t c)
{
    at[0] = '\\';
    at[1] = 'x';
    at[2] = hex[c >> 4];
    at[3] = hex[c & 15];
    return at + 4;
}

/* Zeek keeps UTF-8 in TSV only where all of the text is valid. */
static bool all_utf8(struct str text)
{
    const uint8_t *p = (const uint8_t *)text.at, *end = p + text.len;
    while (p < end) {
        unsigned size = *p < 0x80 ? 1 : utf8_size(p, (size_t)(end - p));
        if (size == 0)
            return false;
        p += size;
    }
    return true;
}

char *log_escape_tsv(char *at, struct str text, bool in_set)
{
    enum { UNKNOWN, VALID, INVALID } utf8 = UNKNOWN;
    const uint8_t *p = (const uint8_t *)text.at;
    size_t left = text.len;
    /* A value that reads like a marker has its first character escaped. */
    if (str_eq(text, STR("-")) || str_eq(text, STR("(empty)"))) {
        at = put_hex(at, *p++);
        left--;
    }
    while (left > 0) {
        size_t n = plain_prefix(p, left, '\\', in_set ? ',' : '\\');
        memcpy(at, p, n);
        at += n;
        p += n;
        left -= n;
        if (left == 0)
            break;
        if (*p >= 0x80 && utf8 == UNKNOWN)
            utf8 = all_utf8(text) ? VALID : INVALID;
        unsigned size = *p >= 0x80 && utf8 == VALID ? utf8_size(p, left) : 0;
        if (size) {
            memcpy(at, p, size);
            at += size;
        } else if (*p == '\\') {
            *at++ = '\\';
            *at++ = '\\';
            size = 1;
        } else {
            at = put_hex(at, *p);
            size = 1;
        }
        p += size;
        left -= size;
    }
    return at;
}

static char *json_char(char *at, uint8_t c)
{
    static const char short_name[256] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                         ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
    *at++ = '\\';
    if (!short_name[c])
        return put_hex(at, c);
    *at++ = short_name[c];
    return at;
}

char *log_escape_json(char *at, struct str text)
{
    const uint8_t *p = (const uint8_t *)text.at;
    size_t left = text.len;
    while (left > 0) {
        size_t n = plain_prefix(p, left, '\\', '"');
        memcpy(at, p, n);
        at += n;
        p += n;
        left -= n;
        if (left == 0)
            break;
        unsigned size = *p >= 0x80 ? utf8_size(p, left) : 0;
        if (size) {
            memcpy(at, p, size);
            at += size;
        } else {
            at = json_char(at, *p);
            size = 1;
        }
        p += size;
        left -= size;
    }
    return at;
}
