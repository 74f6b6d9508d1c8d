/* MIME as HTTP uses it (RFC 2045, 2046, 2183), read as leniently as Zeek does: tokens, the
 * boundaries of parts, transfer encodings, the names of files.
 *
 *     Content-Type: multipart/form-data; boundary="xyz"
 *                   `-------------------'          `-'
 *                      type / subtype          boundary
 */
#include "proto/http_state.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_token_char(char c)
{
    /* Bits of the two words: ()<>@,;:\"/[]?= */
    static const uint64_t specials[2] = {
        1ull << '(' | 1ull << ')' | 1ull << '<' | 1ull << '>' | 1ull << ',' | 1ull << ';' |
            1ull << ':' | 1ull << '"' | 1ull << '/' | 1ull << '?' | 1ull << '=',
        1ull << ('@' - 64) | 1ull << ('\\' - 64) | 1ull << ('[' - 64) | 1ull << (']' - 64),
    };
    return c >= 33 && c <= 126 && !(specials[c >> 6] >> (c & 63) & 1);
}

/* In a boundary all goes but quotes. */
static bool is_boundary_char(char c)
{
    return c >= 33 && c <= 126 && c != '"';
}

static uint32_t comment_len(struct str text)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.at[i] == '(') {
            depth++;
        } else if (text.at[i] == ')') {
            if (--depth == 0)
                return i + 1;
        } else if (text.at[i] == '\\') {
            i++;
        }
    }
    return text.len;
}

struct str http_skip_blanks_comments(struct str text)
{
    while (text.len > 0) {
        if (is_blank(text.at[0]))
            text = str_from(text, 1);
        else if (text.at[0] == '(')
            text = str_from(text, comment_len(text));
        else
            break;
    }
    return text;
}

static struct str token_of(struct str text, bool (*is_char)(char), struct str *rest)
{
    while (text.len > 0 && !is_char(text.at[0])) {
        struct str skipped = http_skip_blanks_comments(text);
        text = skipped.len < text.len ? skipped : str_from(text, 1);
    }
    uint32_t n = 0;
    while (n < text.len && is_char(text.at[n]))
        n++;
    if (n == 0)
        return (struct str){0};
    *rest = str_from(text, n);
    return str_upto(text, n);
}

/* The first token, unset when there is none; `rest` is what follows it. */
struct str http_token(struct str text, struct str *rest)
{
    return token_of(http_skip_blanks_comments(text), is_token_char, rest);
}

static int digit_of(char c, unsigned base)
{
    int d = -1;
    if (c >= '0' && c <= '9')
        d = c - '0';
    else if (str_lower_char(c) >= 'a' && str_lower_char(c) <= 'z')
        d = str_lower_char(c) - 'a' + 10;
    return d < (int)base ? d : -1;
}

/* Leading digits; what follows them is ignored. */
int64_t http_number(struct str text, unsigned base)
{
    int64_t n = 0;
    uint32_t i = 0;
    for (; i < text.len; i++) {
        int d = digit_of(text.at[i], base);
        if (d < 0)
            break;
        if (n > (INT64_MAX - d) / (int64_t)base)
            return -1;
        n = n * (int64_t)base + d;
    }
    return i > 0 ? n : -1;
}

/* A quoted string or a token; with `boundary` what may stand in one. Unset when neither. */
static struct str parameter_value(struct str text, bool boundary, struct str *rest)
{
    if (!boundary)
        text = http_skip_blanks_comments(text);
    if (text.len == 0 || text.at[0] != '"')
        return boundary ? token_of(text, is_boundary_char, rest) : http_token(text, rest);
    for (uint32_t i = 1; i < text.len; i++) {
        if (text.at[i] == '"') {
            *rest = str_from(text, i + 1);
            return str_make(text.at + 1, i - 1);
        }
        if (text.at[i] == '\\')
            i++;
    }
    return (struct str){0};
}

/* Walks "; name=value" to the boundary. What is wrong in between is passed over. */
static struct str find_boundary(struct str text)
{
    struct str found = {0};
    for (;;) {
        text = http_skip_blanks_comments(text);
        if (text.len == 0 || text.at[0] != ';')
            return found;
        text = str_from(text, 1);
        struct str name = http_token(text, &text);
        if (!str_set(name))
            return found;
        struct str after = http_skip_blanks_comments(text);
        if (after.len == 0 || after.at[0] != '=')
            continue;
        text = str_from(after, 1);
        bool wanted = str_eq_nocase(name, STR("boundary"));
        struct str value = parameter_value(text, wanted, &text);
        if (wanted && str_set(value))
            found = value;
    }
}

/* False: not a content type. `boundary` is borrowed from the value; quoted pairs stay as they are.
 */
bool http_content_type(struct str value, struct http_entity *e, struct str *boundary)
{
    struct str rest = value;
    struct str type = http_token(value, &rest);
    if (!str_set(type))
        return false;
    rest = http_skip_blanks_comments(rest);
    if (rest.len == 0 || rest.at[0] != '/')
        return false;
    struct str subtype = http_token(str_from(rest, 1), &rest);
    if (!str_set(subtype))
        return false;
    if (str_eq_nocase(type, STR("multipart"))) {
        *boundary = find_boundary(rest);
        e->content = str_set(*boundary) || str_set(e->boundary) ? HTTP_MULTIPART : HTTP_OTHER;
    } else if (str_eq_nocase(type, STR("message"))) {
        e->content = HTTP_MESSAGE;
    } else if (str_eq_nocase(type, STR("text"))) {
        e->content = HTTP_TEXT;
    } else {
        e->content = HTTP_OTHER;
    }
    return true;
}

enum http_boundary http_is_boundary(struct str boundary, struct str line)
{
    if (line.len < boundary.len + 2 || line.at[0] != '-' || line.at[1] != '-')
        return HTTP_NOT_BOUNDARY;
    struct str rest = str_from(line, 2);
    if (!str_starts(rest, boundary))
        return HTTP_NOT_BOUNDARY;
    return str_starts(str_from(rest, boundary.len), STR("--")) ? HTTP_LAST_BOUNDARY : HTTP_BOUNDARY;
}

/* -1: not of the alphabet. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void decode_base64(struct analysis *a, int dir, struct http_entity *e, struct str data)
{
    char out[512];
    uint32_t n = 0;
    for (uint32_t i = 0; i < data.len; i++) {
        int v = base64_value(data.at[i]);
        if (data.at[i] == '=' || v < 0)
            continue;
        if (e->base64 == 0)
            e->base64 = 1;
        e->base64 = e->base64 << 6 | (uint32_t)v;
        if (!(e->base64 & 1u << 24))
            continue;
        out[n++] = (char)(e->base64 >> 16);
        out[n++] = (char)(e->base64 >> 8);
        out[n++] = (char)e->base64;
        e->base64 = 0;
        if (n > sizeof out - 3) {
            http_entity_bytes(a, dir, e, str_make(out, n));
            n = 0;
        }
    }
    http_entity_bytes(a, dir, e, str_make(out, n));
}

/* The bytes that a group cut short by padding still holds. */
void http_decode_end(struct analysis *a, int dir, struct http_entity *e)
{
    char out[2];
    uint32_t n = 0;
    if (e->base64 & 1u << 12) { /* two characters: one byte */
        out[n++] = (char)(e->base64 >> 4);
    } else if (e->base64 & 1u << 18) {
        out[n++] = (char)(e->base64 >> 10);
        out[n++] = (char)(e->base64 >> 2);
    }
    e->base64 = 0;
    http_entity_bytes(a, dir, e, str_make(out, n));
}

static void decode_quoted(struct analysis *a, int dir, struct http_entity *e, struct str data)
{
    char out[512];
    uint32_t n = 0;
    uint32_t len = data.len;
    while (len > 0 && is_blank(data.at[len - 1]))
        len--;
    bool soft_break = false;
    for (uint32_t i = 0; i < len; i++) {
        char c = data.at[i];
        if (c == '=' && i + 1 == len) {
            soft_break = true;
            break;
        }
        if (c == '=' && i + 2 < data.len) {
            int high = digit_of(data.at[i + 1], 16), low = digit_of(data.at[i + 2], 16);
            if (high >= 0 && low >= 0) {
                c = (char)(high << 4 | low);
                i += 2;
            }
        }
        out[n++] = c;
        if (n == sizeof out) {
            http_entity_bytes(a, dir, e, str_make(out, n));
            n = 0;
        }
    }
    http_entity_bytes(a, dir, e, str_make(out, n));
    if (!soft_break)
        http_entity_bytes(a, dir, e, STR("\r\n"));
}

/* A line of a body, or a piece of one, taken out of its transfer encoding. */
void http_decode(struct analysis *a, int dir, struct http_entity *e, struct str data, bool crlf)
{
    switch ((enum http_transfer)e->transfer) {
    case HTTP_BASE64:
        decode_base64(a, dir, e, data);
        return;
    case HTTP_QUOTED:
        decode_quoted(a, dir, e, data);
        return;
    case HTTP_BINARY:
        break;
    }
    /* The last line end before a boundary belongs to the boundary, so each waits for more. */
    if (e->crlf_owed)
        http_entity_bytes(a, dir, e, STR("\r\n"));
    e->crlf_owed = crlf && e->parent && e->parent->content == HTTP_MULTIPART;
    http_entity_bytes(a, dir, e, data);
    if (crlf && !e->crlf_owed)
        http_entity_bytes(a, dir, e, STR("\r\n"));
}

/* Unset when a character is not base64, or padding stands where it may not. */
struct str http_base64(struct arena *arena, struct str text)
{
    char *out = arena_get(arena, (size_t)text.len / 4 * 3 + 4);
    if (!out)
        return (struct str){0};
    uint32_t n = 0, bits = 0, n_chars = 0, n_pads = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        int v = text.at[i] == '=' ? 0 : base64_value(text.at[i]);
        if (text.at[i] == '=' ? ++n_pads > 2 : v < 0 || n_pads > 0)
            return (struct str){0};
        bits = bits << 6 | (uint32_t)v;
        if (++n_chars % 4 != 0)
            continue;
        for (uint32_t k = 0; k < 3 - n_pads; k++)
            out[n++] = (char)(bits >> (16 - 8 * k));
        if (n_pads > 0 && i + 1 < text.len)
            return (struct str){0};
    }
    if (n_chars % 4 != 0)
        return (struct str){0};
    return str_make(out, n);
}

static void weird(struct analysis *a, const char *name)
{
    if (a)
        analysis_weird(a, name, (struct str){0});
}

/* %41 and %u0041 as what they stand for; `a` may be NULL: then nothing is said of what is wrong. */
struct str http_unescape(struct arena *arena, struct str uri, struct analysis *a)
{
    if (!memchr(uri.at, '%', uri.len))
        return arena_str(arena, uri);
    char *out = arena_get(arena, uri.len);
    if (!out)
        return STR("");
    uint32_t n = 0;
    for (uint32_t i = 0; i < uri.len; i++) {
        if (uri.at[i] != '%') {
            out[n++] = uri.at[i];
            continue;
        }
        struct str code = str_from(uri, i + 1);
        if (code.len < 2) {
            weird(a, code.len == 0 ? "illegal_%_at_end_of_URI" : "partial_escape_at_end_of_URI");
            memcpy(out + n, uri.at + i, uri.len - i);
            n += uri.len - i;
            break;
        }
        int d[5] = {0};
        for (uint32_t k = 0; k < 5; k++)
            d[k] = k < code.len ? digit_of(code.at[k], 16) : -1;
        if (code.at[0] == '%') {
            weird(a, "double_%_in_URI"); /* the first is dropped */
        } else if (d[0] >= 0 && d[1] >= 0) {
            out[n++] = (char)(d[0] << 4 | d[1]);
            i += 2;
        } else if (code.at[0] == 'u' && d[1] >= 0 && d[2] >= 0 && d[3] >= 0 && d[4] >= 0) {
            if (d[1] != 0 || d[2] != 0)
                out[n++] = (char)(d[1] << 4 | d[2]);
            out[n++] = (char)(d[3] << 4 | d[4]);
            i += 5;
        } else {
            weird(a, "unescaped_%_in_URI");
            out[n++] = '%';
            out[n++] = code.at[0];
            i++;
        }
    }
    return str_make(out, n);
}

/* Where "NAME *=" ends, the last one or the first; NULL: there is none. With `star` NAME*= too. */
static const char *find_name_is(struct str value, struct str name, bool star, bool last)
{
    const char *found = NULL;
    for (uint32_t i = 0; i + name.len < value.len; i++) {
        if (str_lower_char(value.at[i]) != name.at[0] ||
            !str_eq_nocase(str_make(value.at + i, name.len), name))
            continue;
        uint32_t k = i + name.len;
        while (k < value.len && is_blank(value.at[k]))
            k++;
        if (star && k < value.len && value.at[k] == '*')
            k++;
        if (k >= value.len || value.at[k] != '=')
            continue;
        found = value.at + k + 1;
        if (!last)
            break;
    }
    return found;
}

/* Does this header field name a file? */
bool http_names_file(struct str name, struct str value)
{
    if (str_eq_nocase(name, STR("content-disposition")))
        return find_name_is(value, STR("filename"), true, false) != NULL;
    return find_name_is(value, STR("name"), false, false) != NULL;
}

/* charset'language'name: what comes before the name. */
static uint32_t language_len(struct str s)
{
    uint32_t i = 0, quotes = 0, last = 0;
    for (; i < s.len && quotes < 2; i++) {
        char c = s.at[i];
        if (c == '\'')
            quotes++;
        else if (!((c >= '#' && c <= '&') || (c >= '+' && c <= '^') || c == '!' || c == '_' ||
                   c == '`' || (c >= 'a' && c <= '~' && c != '|')))
            return 0;
        if (i == 0 && quotes > 0)
            return 0;
    }
    if (quotes < 2)
        return 0;
    for (i = 0; i < s.len; i++)
        if (s.at[i] == '\'')
            last = i + 1;
    return last;
}

struct str http_file_name(struct arena *arena, struct str value)
{
    const char *from = find_name_is(value, STR("name"), true, true);
    struct str name = from ? str_from(value, (size_t)(from - value.at)) : value;
    while (from && name.len > 0 && is_blank(name.at[0]))
        name = str_from(name, 1);
    if (name.len > 0 && name.at[0] == '"') {
        name = str_from(name, 1);
        const char *quote = memchr(name.at, '"', name.len);
        if (quote)
            name = str_upto(name, (size_t)(quote - name.at));
    }
    name = str_from(name, language_len(name));
    return http_unescape(arena, name, NULL);
}
