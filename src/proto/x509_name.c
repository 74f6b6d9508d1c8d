/* Distinguished names (RFC 5280, 4.1.2.4) as text in the manner of RFC 2253: attributes from the
 * last to the first, "," between sets of them and "+" within one.
 *
 *     Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
 *
 * Escapes and conversions are those of OpenSSL's X509_NAME_print_ex with XN_FLAG_RFC2253: text is
 * turned into UTF-8, bytes that are not printable ASCII are written \XX, and values of unknown
 * attributes or of types that are not text are dumped as #hex. */
#include "proto/oid.h"
#include "proto/x509.h"

/* Attributes looked at in one name, the last of them: more text than a log line takes. */
#define NAME_MAX_ATTRIBUTES 256u

struct attribute {
    struct str type;
    struct der value;
    uint32_t set; /* its number: those of one set are joined by + */
};

struct attributes {
    uint32_t n; /* seen; the last NAME_MAX_ATTRIBUTES are kept */
    struct attribute at[NAME_MAX_ATTRIBUTES];
};

/* How many bytes a character of a string type has; 0: it is not text. UTF-8 counts as bytes. */
static unsigned character_size(uint8_t tag)
{
    switch (tag) {
    case DER_UTF8_STRING:
    case DER_NUMERIC_STRING:
    case DER_PRINTABLE_STRING:
    case DER_T61_STRING:
    case DER_IA5_STRING:
        return 1;
    case DER_BMP_STRING:
        return 2;
    case DER_UNIVERSAL_STRING:
        return 4;
    default:
        return 0;
    }
}

static uint32_t next_character(struct reader *r, unsigned size)
{
    return size == 1 ? rd_u8(r) : size == 2 ? rd_be16(r) : rd_be32(r);
}

static bool is_unicode(uint32_t c)
{
    return c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

static bool utf8_valid(struct reader r)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    while (rd_left(&r) > 0) {
        uint8_t first = rd_u8(&r);
        unsigned n = first < 0x80             ? 0
                     : (first & 0xe0) == 0xc0 ? 1
                     : (first & 0xf0) == 0xe0 ? 2
                     : (first & 0xf8) == 0xf0 ? 3
                                              : 4;
        if (n == 4)
            return false;
        uint32_t c = n == 0 ? first : first & (0x3fu >> n);
        for (unsigned i = 0; i < n; i++) {
            uint8_t b = rd_u8(&r);
            if ((b & 0xc0) != 0x80)
                return false;
            c = c << 6 | (b & 0x3f);
        }
        if (!rd_ok(&r) || c < smallest[n] || !is_unicode(c))
            return false;
    }
    return true;
}

static bool text_valid(const struct der *value)
{
    struct reader r = value->content;
    unsigned size = character_size(value->tag);
    if (value->tag == DER_UTF8_STRING)
        return utf8_valid(r);
    if (size < 2)
        return true;
    if (rd_left(&r) % size != 0)
        return false;
    while (rd_left(&r) > 0)
        if (!is_unicode(next_character(&r, size)))
            return false;
    return true;
}

/* Types that OpenSSL lets an attribute have (B_ASN1_PRINTABLE). */
static bool value_valid(const struct der *value)
{
    if (value->tag == DER_SEQUENCE)
        return true;
    if (value->tag & 0xe0)
        return false; /* constructed, or not universal */
    if (value->tag == DER_BIT_STRING)
        return der_bits_valid(value->content);
    if (value->tag == DER_ENUMERATED)
        return der_integer_valid(der_rest(&value->content));
    if (character_size(value->tag))
        return text_valid(value);
    return (value->tag >= 7 && value->tag <= 15) || value->tag == 29;
}

static bool read_attribute(struct reader *set, struct attribute *out)
{
    struct reader pair = der_expect(set, DER_SEQUENCE);
    out->type = der_oid(&pair);
    out->value = der_next(&pair);
    return rd_done(&pair) && rd_ok(set) && value_valid(&out->value);
}

bool x509_name_valid(struct str name)
{
    struct reader sets = rd_make(name.at, name.len);
    while (rd_left(&sets) > 0) {
        struct reader set = der_expect(&sets, DER_SET);
        struct attribute attribute;
        while (rd_left(&set) > 0)
            if (!read_attribute(&set, &attribute))
                return false;
        if (!rd_ok(&set))
            return false;
    }
    return rd_ok(&sets);
}

static void collect(struct str name, struct attributes *out)
{
    out->n = 0;
    struct reader sets = rd_make(name.at, name.len);
    for (uint32_t n_set = 0; rd_left(&sets) > 0; n_set++) {
        struct reader set = der_expect(&sets, DER_SET);
        while (rd_left(&set) > 0) {
            struct attribute *attribute = &out->at[out->n % NAME_MAX_ATTRIBUTES];
            if (!read_attribute(&set, attribute))
                return;
            attribute->set = n_set;
            out->n++;
        }
    }
}

/* Text that stops growing when it is full. */
struct text {
    char *at, *end;
};

static void put(struct text *text, char c)
{
    if (text->at < text->end)
        *text->at++ = c;
}

static void put_hex(struct text *text, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    put(text, digits[byte >> 4]);
    put(text, digits[byte & 15]);
}

static void put_all(struct text *text, const char *from, size_t len)
{
    size_t room = (size_t)(text->end - text->at);
    if (len > room)
        len = room;
    memcpy(text->at, from, len);
    text->at += len;
}

enum place { PLACE_FIRST, PLACE_MIDDLE, PLACE_LAST };

static void put_escaped(struct text *text, uint8_t c, enum place place)
{
    if (c < 0x20 || c >= 0x7f) {
        put(text, '\\');
        put_hex(text, c);
        return;
    }
    if (memchr("\"+,;<>\\", c, 7) || (c == '#' && place == PLACE_FIRST) ||
        (c == ' ' && place != PLACE_MIDDLE))
        put(text, '\\');
    put(text, (char)c);
}

static void put_utf8(struct text *text, uint32_t c, enum place place)
{
    if (c < 0x80) {
        put_escaped(text, (uint8_t)c, place);
        return;
    }
    if (c >= 0x10000) {
        put_escaped(text, (uint8_t)(0xf0 | c >> 18), place);
        put_escaped(text, (uint8_t)(0x80 | (c >> 12 & 0x3f)), place);
    } else if (c >= 0x800) {
        put_escaped(text, (uint8_t)(0xe0 | c >> 12), place);
    }
    put_escaped(text, c >= 0x800 ? (uint8_t)(0x80 | (c >> 6 & 0x3f)) : (uint8_t)(0xc0 | c >> 6),
                place);
    put_escaped(text, (uint8_t)(0x80 | (c & 0x3f)), place);
}

static void put_value(struct text *text, const struct der *value, bool dump)
{
    unsigned size = character_size(value->tag);
    if (dump || size == 0) {
        put(text, '#');
        for (uint32_t i = 0; i < value->whole.len && text->at < text->end; i++)
            put_hex(text, (uint8_t)value->whole.at[i]);
        return;
    }
    struct reader r = value->content;
    enum place place = PLACE_FIRST;
    while (rd_left(&r) > 0 && text->at < text->end) {
        uint32_t c = next_character(&r, size);
        if (rd_left(&r) == 0)
            place = PLACE_LAST;
        if (value->tag == DER_UTF8_STRING)
            put_escaped(text, (uint8_t)c, place);
        else
            put_utf8(text, c, place);
        place = PLACE_MIDDLE;
    }
}

size_t x509_name_format(struct str name, char *out, size_t size)
{
    struct attributes all;
    collect(name, &all);
    struct text text = {.at = out, .end = out + size};
    uint32_t n = all.n < NAME_MAX_ATTRIBUTES ? all.n : NAME_MAX_ATTRIBUTES;
    for (uint32_t i = 0; i < n && text.at < text.end; i++) {
        uint32_t index = all.n - 1 - i;
        const struct attribute *attribute = &all.at[index % NAME_MAX_ATTRIBUTES];
        if (i > 0) {
            const struct attribute *before = &all.at[(index + 1) % NAME_MAX_ATTRIBUTES];
            put(&text, before->set == attribute->set ? '+' : ',');
        }
        const struct oid *oid = oid_find(attribute->type);
        if (oid) {
            put_all(&text, oid->short_name, strlen(oid->short_name));
        } else {
            char numbers[79];
            put_all(&text, numbers, oid_format(attribute->type, numbers, sizeof numbers));
        }
        put(&text, '=');
        put_value(&text, &attribute->value, !oid);
    }
    return (size_t)(text.at - out);
}

/* After 35 bytes stand a backslash and the end of a line, as i2a_ASN1_INTEGER has it. */
size_t x509_serial_format(struct str integer, char *out, size_t size)
{
    struct text text = {.at = out, .end = out + size};
    bool negative = (uint8_t)integer.at[0] & 0x80;
    uint32_t zeros = integer.len; /* at the end: there the negation carries through */
    while (zeros > 0 && integer.at[zeros - 1] == 0)
        zeros--;
    if (negative)
        put(&text, '-');
    uint32_t n = 0;
    for (uint32_t i = 0; i < integer.len && text.at < text.end; i++) {
        uint8_t byte = (uint8_t)integer.at[i];
        if (negative && i < zeros)
            byte = (uint8_t)(i + 1 == zeros ? 0 - byte : ~byte);
        if (n == 0 && byte == 0 && i + 1 < integer.len)
            continue;
        if (n > 0 && n % 35 == 0)
            put_all(&text, "\\\n", 2);
        put_hex(&text, byte);
        n++;
    }
    return (size_t)(text.at - out);
}

/* As ASN1_STRING_print and a read of one line do: bytes that are not printable become dots. */
bool x509_name_common(struct str name, char *out, size_t size, size_t *out_len)
{
    struct str text = {NULL, 0};
    struct reader sets = rd_make(name.at, name.len);
    while (rd_left(&sets) > 0) {
        struct reader set = der_expect(&sets, DER_SET);
        struct attribute attribute;
        while (rd_left(&set) > 0 && read_attribute(&set, &attribute))
            if (str_eq(attribute.type, STR("\x55\x04\x03")))
                text = attribute.value.tag == DER_SEQUENCE ? attribute.value.whole
                                                           : der_rest(&attribute.value.content);
    }
    if (!str_set(text))
        return false;
    size_t n = 0;
    for (uint32_t i = 0; i < text.len && n < size; i++) {
        char c = text.at[i];
        if ((c > '~' || c < ' ') && c != '\n' && c != '\r')
            c = '.';
        out[n++] = c;
        if (c == '\n')
            break;
    }
    *out_len = n;
    return true;
}
