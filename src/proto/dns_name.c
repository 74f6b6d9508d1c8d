/* Names in DNS messages (RFC 1035, 4.1.4): labels, each behind its length, ended by an empty label
 * or by a pointer to an earlier place in the message.
 *
 *     +---+---+---+---+---+---+---+---+      +---+---+---+---+---+---+---+---+---+-…-+
 *     | 0   0 |       length          | …    | 1   1 |  offset from the header's start |
 *     +---+---+---+---+---+---+---+---+      +---+---+---+---+---+---+---+---+---+-…-+
 *
 * Pointers only lead backwards, a part that a pointer led to ends where the pointer is, and there
 * are at most MAX_POINTERS of them in a name; a name is at most DNS_NAME_MAX characters. So the
 * work for a name has a bound, however it is twisted. */
#include "proto/dns_name.h"

#define MAX_POINTERS     20 /* dns_max_compression_chain_depth */
#define MAX_LABEL        63
#define LONG_NAME        255
#define NETBIOS_LETTERS  32
#define NETBIOS_NAME_LEN 15 /* the 16th byte is the kind of service */

/* Eight characters at once. */
static uint64_t to_lower(uint64_t w)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t low7 = w & 0x7f * each;
    uint64_t from_a = low7 + (0x80 - 'A') * each, past_z = low7 + (0x7f - 'Z') * each;
    return w | ((from_a & ~past_z & ~w & 0x80 * each) >> 2);
}

/* Copies a label and puts a dot behind it; up to seven characters more may be overwritten. */
static void copy_label(char *to, struct reader label, struct reader with_more, bool lower)
{
    size_t len = rd_left(&label);
    bool by_eight = rd_left(&with_more) >= ((len + 7) & ~(size_t)7);
    for (size_t i = 0; by_eight && i < len; i += 8) {
        uint64_t w = rd_le64(&with_more);
        w = lower ? to_lower(w) : w;
        memcpy(to + i, &w, sizeof w);
    }
    for (size_t i = 0; !by_eight && i < len; i++) {
        char c = (char)rd_u8(&label);
        to[i] = lower ? str_lower_char(c) : c;
    }
    to[len] = '.';
}

/* Reads labels as far as they go. Gives the byte that ended them: of a pointer, or zero, also when
 * there was nothing more or something was wrong. */
static uint8_t read_labels(struct dns_message *m, struct reader *r, struct dns_name *out,
                           uint32_t *io_len, bool lower)
{
    while (rd_left(r) > 0) {
        uint8_t len = rd_u8(r);
        if (rd_left(r) == 0 || len == 0)
            return 0;
        if ((len & 0xc0) == 0xc0)
            return len;
        if (len > rd_left(r)) {
            dns_weird(m, "DNS_label_len_gt_pkt");
            rd_skip(r, rd_left(r));
            return 0;
        }
        if (len > MAX_LABEL && !m->netbios_responder) {
            dns_weird(m, "DNS_label_too_long");
            return 0;
        }
        if (len >= DNS_NAME_MAX - *io_len) {
            dns_weird(m, "DNS_label_len_gt_name_len");
            return 0;
        }
        struct reader with_more = *r;
        struct reader label = rd_sub(r, len);
        if (out)
            copy_label(out->text + *io_len, label, with_more, lower);
        *io_len += len + 1u;
    }
    return 0;
}

/* Goes where a pointer leads: what is there ends where the pointer is. False when that is not
 * backwards. `r` is behind the pointer, whose offset is given. */
static bool follow(struct dns_message *m, struct reader *r, size_t offset)
{
    size_t here = rd_left(&m->all) - (size_t)(m->all.end - r->at) - 2;
    if (offset >= here) {
        dns_weird(m, "DNS_label_forward_compress_offset");
        return false;
    }
    *r = m->all;
    rd_skip(r, offset);
    *r = rd_sub(r, here - offset);
    return true;
}

void dns_name_read(struct dns_message *m, enum dns_name_use use, struct dns_name *out)
{
    uint32_t begin[MAX_POINTERS + 2]; /* where the text of each part begins */
    unsigned n_parts = 0;
    struct reader r = m->rest;
    uint32_t len = 0;
    if (use == DNS_NAME_SKIP)
        out = NULL;
    for (;;) {
        begin[n_parts++] = len;
        uint8_t end = read_labels(m, &r, out, &len, use == DNS_NAME_LOWER || n_parts > 1);
        size_t offset = end ? (size_t)(end & 0x3f) << 8 | rd_u8(&r) : 0;
        if (n_parts == 1)
            m->rest = r;
        if (end == 0 || !follow(m, &r, offset))
            break;
        if (n_parts > MAX_POINTERS) {
            dns_weird(m, "DNS_max_compression_chain_depth_exceeded");
            break;
        }
    }
    /* From the innermost part outwards, as each part is a name to Zeek, ended by a dot. */
    for (unsigned i = n_parts; i-- > 0;) {
        if (len - begin[i] >= LONG_NAME)
            dns_weird(m, "DNS_NAME_too_long");
        if (out && len - begin[i] >= 2 && out->text[len - 1] == '.')
            len--;
    }
    if (out)
        out->len = len;
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
