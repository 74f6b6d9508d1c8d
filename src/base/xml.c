/* XML, read piece by piece: see xml.h. */
#include "base/xml.h"

#include <string.h>

#include "base/text.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Whatever ends a name in XML; what a name may begin with is not looked at. */
static bool ends_name(uint8_t c)
{
    return is_space(c) || c == '/' || c == '>' || c == '=' || c == '<' || c == '"' || c == '\'' ||
           c == '\0';
}

static void skip_space(struct reader *r)
{
    while (rd_left(r) > 0 && is_space(rd_peek_u8(r, 0)))
        rd_skip(r, 1);
}

static struct reader read_name(struct reader *r)
{
    size_t size = 0;
    while (size < rd_left(r) && !ends_name(rd_peek_u8(r, size)))
        size++;
    if (size == 0)
        rd_fail(r);
    return rd_sub(r, size);
}

static bool is_text(const struct reader *piece, const char *text, size_t len)
{
    return rd_left(piece) == len && (len == 0 || memcmp(piece->at, text, len) == 0);
}

static bool is_same(const struct reader *a, const struct reader *b)
{
    return rd_left(a) == rd_left(b) && memcmp(a->at, b->at, rd_left(a)) == 0;
}

static bool begins(const struct reader *r, const char *text)
{
    size_t len = strlen(text);
    return rd_left(r) >= len && memcmp(r->at, text, len) == 0;
}

/* What comes before `end`, which is passed over; fails where it does not come. */
static struct reader read_until(struct reader *r, const char *end)
{
    const uint8_t *at =
        rd_left(r) ? (const uint8_t *)memmem(r->at, rd_left(r), end, strlen(end)) : NULL;
    if (!at) {
        rd_fail(r);
        return *r;
    }
    struct reader before = rd_sub(r, (size_t)(at - r->at));
    rd_skip(r, strlen(end));
    return before;
}

struct xml xml_make(const void *bytes, size_t size)
{
    struct xml xml = {.left = rd_make(bytes, size)};
    if (begins(&xml.left, "\xef\xbb\xbf"))
        rd_skip(&xml.left, 3);
    return xml;
}

static int bad(struct xml *xml)
{
    xml->is_bad = true;
    return XML_BAD;
}

/* ---- attributes ---- */

/* NAME="VALUE"; false: there is no further one, or what is there is none (and *r has failed). */
static bool next_attribute(struct reader *r, struct reader *out_name, struct reader *out_value)
{
    skip_space(r);
    if (rd_left(r) == 0)
        return false;
    *out_name = read_name(r);
    skip_space(r);
    if (rd_u8(r) != '=')
        rd_fail(r);
    skip_space(r);
    uint8_t quote = rd_u8(r);
    char end[2] = {(char)quote, '\0'};
    if (quote != '"' && quote != '\'')
        rd_fail(r);
    *out_value = read_until(r, end);
    return rd_ok(r);
}

static bool check_attributes(struct reader attributes)
{
    struct reader name, value;
    while (next_attribute(&attributes, &name, &value))
        if (rd_left(&value) && memchr(value.at, '<', rd_left(&value)))
            return false;
    return rd_ok(&attributes);
}

/* ---- elements ---- */

/* Behind "<NAME": a '>' in quotation marks ends nothing. */
static struct reader read_attributes(struct reader *r, bool *out_closes)
{
    uint8_t quote = 0;
    for (size_t size = 0; size < rd_left(r); size++) {
        uint8_t c = rd_peek_u8(r, size);
        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            *out_closes = size > 0 && rd_peek_u8(r, size - 1) == '/';
            struct reader attributes = rd_sub(r, size - *out_closes);
            rd_skip(r, 1u + *out_closes);
            return attributes;
        }
    }
    rd_fail(r);
    return *r;
}

static int open_element(struct xml *xml)
{
    struct reader name = read_name(&xml->left);
    xml->attributes = read_attributes(&xml->left, &xml->closes);
    if (!rd_ok(&xml->left) || xml->depth == XML_DEPTH_MAX || (xml->depth == 0 && xml->had_root) ||
        !check_attributes(xml->attributes))
        return bad(xml);
    xml->path[xml->depth++] = name;
    xml->had_root = true;
    return XML_OPEN;
}

static int close_element(struct xml *xml)
{
    struct reader name = read_name(&xml->left);
    skip_space(&xml->left);
    if (rd_u8(&xml->left) != '>' || xml->depth == 0 || !is_same(&name, &xml->path[xml->depth - 1]))
        return bad(xml);
    xml->closed = true;
    return XML_CLOSE;
}

/* ---- text ---- */

static int take_text(struct xml *xml, struct reader text, bool is_raw)
{
    xml->text = text;
    xml->is_raw = is_raw;
    return rd_ok(&xml->left) && xml->depth > 0 ? XML_TEXT : bad(xml);
}

/* Up to the next '<', or to the end. */
static struct reader read_characters(struct reader *r)
{
    size_t size = 0;
    while (size < rd_left(r) && rd_peek_u8(r, size) != '<')
        size++;
    return rd_sub(r, size);
}

int xml_next(struct xml *xml)
{
    struct reader *r = &xml->left;
    if (xml->is_bad)
        return XML_BAD;
    if (xml->closed) {
        xml->closed = false;
        xml->depth--;
    }
    if (xml->closes) {
        xml->closes = false;
        xml->closed = true;
        return XML_CLOSE;
    }
    while (rd_left(r) > 0) {
        if (xml->depth == 0)
            skip_space(r); /* between elements there is nothing else */
        if (rd_left(r) == 0)
            break;
        if (rd_peek_u8(r, 0) != '<') {
            return take_text(xml, read_characters(r), false);
        } else if (begins(r, "<![CDATA[")) {
            rd_skip(r, 9);
            return take_text(xml, read_until(r, "]]>"), true);
        } else if (begins(r, "<!--")) {
            rd_skip(r, 4);
            (void)read_until(r, "-->"); /* a missing end is seen by what is left */
        } else if (begins(r, "<?")) {
            rd_skip(r, 2);
            (void)read_until(r, "?>");
        } else if (begins(r, "<!")) {
            return bad(xml);
        } else if (begins(r, "</")) {
            rd_skip(r, 2);
            return close_element(xml);
        } else {
            rd_skip(r, 1);
            return open_element(xml);
        }
    }
    return rd_ok(r) && xml->depth == 0 && xml->had_root ? XML_END : bad(xml);
}

bool xml_is_at(const struct xml *xml, size_t depth, const char *names)
{
    for (; depth < xml->depth; depth++) {
        size_t len = strcspn(names, "/");
        if (!is_text(&xml->path[depth], names, len))
            return false;
        names += len;
        if (depth + 1 == xml->depth)
            return !*names;
        if (*names++ != '/')
            return false;
    }
    return false;
}

/* ---- values ---- */

static bool read_number(struct reader name, uint32_t *out)
{
    uint32_t base = 10, code = 0;
    if (rd_peek_u8(&name, 0) == 'x') {
        base = 16;
        rd_skip(&name, 1);
    }
    if (rd_left(&name) == 0 || rd_left(&name) > 7)
        return false;
    while (rd_left(&name) > 0) {
        uint8_t c = rd_u8(&name);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)c - '0'
                         : c >= 'a' && c <= 'f' ? (uint32_t)c - 'a' + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)c - 'A' + 10
                                                : 99;
        if (digit >= base)
            return false;
        code = code * base + digit;
    }
    *out = code;
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/* Behind the '&'. */
static size_t read_entity(struct reader *r, char out[4])
{
    static const struct {
        const char *name;
        char is;
    } entities[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    uint32_t code;
    struct reader name = read_until(r, ";");
    if (!rd_ok(r))
        return 0;
    if (rd_peek_u8(&name, 0) == '#') {
        rd_skip(&name, 1);
        return read_number(name, &code) ? text_put_utf8(code, out) : 0;
    }
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        if (is_text(&name, entities[i].name, strlen(entities[i].name))) {
            out[0] = entities[i].is;
            return 1;
        }
    }
    return 0;
}

static bool decode(struct reader r, bool is_raw, char *out, size_t size)
{
    size_t n = 0;
    while (rd_left(&r) > 0) {
        char character[4] = {(char)rd_u8(&r)};
        size_t len = character[0] == '&' && !is_raw ? read_entity(&r, character) : 1;
        if (len == 0 || n + len >= size || character[0] == '\0') {
            out[0] = '\0';
            return false;
        }
        memcpy(out + n, character, len);
        n += len;
    }
    out[n] = '\0';
    return true;
}

bool xml_attribute(const struct xml *xml, const char *name, char *out, size_t size)
{
    struct reader attributes = xml->attributes, is, value;
    out[0] = '\0';
    while (next_attribute(&attributes, &is, &value))
        if (is_text(&is, name, strlen(name)))
            return decode(value, false, out, size);
    return false;
}

bool xml_text(const struct xml *xml, char *out, size_t size)
{
    return decode(xml->text, xml->is_raw, out, size);
}
