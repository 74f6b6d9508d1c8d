/* Names in DNS messages (RFC 1035, 4.1.4): labels, each behind its length, ended by an empty label
 * or by a pointer to an earlier place in the message.
 *
 *     +---+---+---+---+---+---+---+---+      +---+---+---+---+---+---+---+---+---+-…-+
 *     | 0   0 |       length          | …    | 1   1 |  offset from the header's start |
 *     +---+---+---+---+---+---+---+---+      +---+---+---+---+---+---+---+---+---+-…-+
 *
 * Pointers only lead backwards, a part that a pointer led to ends where the pointer is, and there
 * are at most MAX_POINTERS of them in a name; a name is at most DNS_NAME_MAX characters. So the work
 * for a name has a bound, however it is twisted. */
#include "proto/dns_name.h"

#define MAX_POINTERS     20 /* dns_max_compression_chain_depth */
#define MAX_LABEL        63
#define LONG_NAME        255
#define NETBIOS_LETTERS  32
#define NETBIOS_NAME_LEN 15 /* the 16th byte is the kind of service */

/* What one step from a label to the next found. */
enum step { STEP_LABEL, STEP_POINTER, STEP_END };

/* Reads one label, or follows a pointer by setting `r` to where it leads. `r` is left behind what
 * was read. */
static enum step read_label(struct dns_message *m, struct reader *r, struct reader *after,
                            struct dns_name *out)
{
    if (rd_left(r) == 0)
        return STEP_END;
    size_t here = rd_left(&m->all) - (size_t)(m->all.end - r->at);
    uint8_t length = rd_u8(r);
    if (rd_left(r) == 0 || length == 0)
        return STEP_END;
    if ((length & 0xc0) == 0xc0) {
        size_t offset = (size_t)(length & 0x3f) << 8 | rd_u8(r);
        if (offset >= here) {
            dns_weird(m, "DNS_label_forward_compress_offset");
            return STEP_END;
        }
        struct reader from = m->all;
        rd_skip(&from, offset);
        *after = *r;
        *r = rd_sub(&from, here - offset);
        return STEP_POINTER;
    }
    if (length > rd_left(r)) {
        dns_weird(m, "DNS_label_len_gt_pkt");
        rd_skip(r, rd_left(r));
        return STEP_END;
    }
    if (length > MAX_LABEL && !m->netbios_responder) {
        dns_weird(m, "DNS_label_too_long");
        return STEP_END;
    }
    if (length >= DNS_NAME_MAX - out->len) {
        dns_weird(m, "DNS_label_len_gt_name_len");
        return STEP_END;
    }
    const uint8_t *bytes = rd_bytes(r, length);
    memcpy(out->text + out->len, bytes, length);
    out->len += length;
    out->text[out->len++] = '.';
    return STEP_LABEL;
}

static void to_lower(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        text[i] = (char)(c + ((unsigned)(c - 'A') < 26u ? 32 : 0));
    }
}

void dns_name_read(struct dns_message *m, bool keep_case, struct dns_name *out)
{
    uint32_t begin[MAX_POINTERS + 2]; /* where the text of each part begins */
    unsigned n_parts = 1;
    struct reader r = m->rest, after;
    begin[0] = 0;
    out->len = 0;
    enum step step;
    while ((step = read_label(m, &r, &after, out)) != STEP_END) {
        if (step == STEP_LABEL)
            continue;
        if (n_parts == 1)
            m->rest = after;
        if (n_parts > MAX_POINTERS) {
            dns_weird(m, "DNS_max_compression_chain_depth_exceeded");
            break;
        }
        begin[n_parts++] = out->len;
    }
    if (n_parts == 1 && step == STEP_END)
        m->rest = r;
    /* From the innermost part outwards, as each part is a name to Zeek. */
    for (unsigned i = n_parts; i-- > 0;) {
        uint32_t len = out->len - begin[i];
        if (len >= LONG_NAME)
            dns_weird(m, "DNS_NAME_too_long");
        if (len >= 2 && out->text[out->len - 1] == '.')
            out->len--;
    }
    uint32_t first = !keep_case ? 0 : n_parts > 1 ? begin[1] : out->len;
    if (first < out->len)
        to_lower(out->text + first, out->len - first);
}

static bool is_netbios_character(uint8_t c)
{
    /* The bytes 1 and 2 are around the name of the master browser. */
    return (c >= ' ' && c <= '~') || c < 3;
}

bool dns_name_decode_netbios(struct dns_name *name)
{
    if (name->len != NETBIOS_LETTERS)
        return false;
    char decoded[NETBIOS_LETTERS / 2];
    uint32_t len = 0;
    for (; len < sizeof decoded; len++) {
        unsigned high = (unsigned)(str_lower_char(name->text[2 * len]) - 'a');
        unsigned low = (unsigned)(str_lower_char(name->text[2 * len + 1]) - 'a');
        if (high > 15 || low > 15)
            return false;
        decoded[len] = (char)(high << 4 | low);
        if (!is_netbios_character((uint8_t)decoded[len]))
            break;
    }
    if (len > NETBIOS_NAME_LEN)
        len = NETBIOS_NAME_LEN;
    while (len > 0 && (decoded[len - 1] == ' ' || decoded[len - 1] == '\0'))
        len--;
    if (len == 0)
        return false;
    memcpy(name->text, decoded, len);
    name->len = len;
    return true;
}
