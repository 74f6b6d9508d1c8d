/* TLS inside FTP's own lines (RFC 2228): after AUTH GSSAPI was agreed to, both sides send the
 * tokens of the mechanism in base64. Those of the Grid Security Infrastructure are the bytes of
 * TLS:
 *
 *     AUTH GSSAPI        334 go ahead
 *     ADAT FgMBAHsB…     335 ADAT=FgMBADEC…
 *     ADAT FgMBB2…       235 ADAT=FAMBAAE…       the last: more is not to be read */
#include "proto/starttls.h"

#define MAX_LINE (64u << 10)

void starttls_adat(struct analysis *a)
{
    struct starttls *s = starttls_of(a);
    starttls_tls(a);
    if (a->finished)
        return;
    s->stage = STARTTLS_ADAT;
    s->adat = (struct starttls_adat_state){0};
}

static void finish(struct analysis *a)
{
    analysis_finish(starttls_of(a)->tls); /* or it would be given the lines as they are */
    analysis_finish(a);
}

/* ---- base64 ---- */

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes up to `room` bytes and takes what they were made of; 0: that was all. */
static size_t decode(struct str *text, uint8_t *out, size_t room)
{
    size_t n = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    uint32_t taken = 0;
    for (; taken < text->len && n < room; taken++) {
        int digit = digit_of(text->at[taken]);
        if (digit < 0) {
            text->len = taken;
            break;
        }
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    *text = str_from(*text, taken);
    return n;
}

static size_t decoded_size(struct str text)
{
    while (text.len > 0 && text.at[text.len - 1] == '=')
        text.len--;
    return (size_t)text.len * 3 / 4;
}

/* One handshake record of TLS, and nothing more. */
static bool is_tls(struct str token)
{
    uint8_t head[6];
    struct str rest = token;
    if (decode(&rest, head, sizeof head) < 5)
        return false;
    struct reader r = rd_make(head, 5);
    bool is_handshake = rd_u8(&r) == 0x16;
    rd_skip(&r, 2);
    return is_handshake && rd_be16(&r) + (size_t)5 == decoded_size(token);
}

/* ---- lines ---- */

static void feed(struct analysis *a, int dir, struct str token)
{
    uint8_t bytes[768]; /* of whole groups of four characters */
    size_t n;
    struct analysis *tls = starttls_of(a)->tls;
    while (!tls->finished && (n = decode(&token, bytes, sizeof bytes)) > 0)
        analysis_feed(tls, dir, bytes, n);
}

static void read_command(struct analysis *a, struct str line)
{
    struct starttls_adat_state *adat = &starttls_of(a)->adat;
    if (str_starts(line, STR("ADAT "))) {
        struct str token = str_trim(str_from(line, 5));
        if (!adat->begun && !is_tls(token)) {
            finish(a);
            return;
        }
        adat->begun = true;
        feed(a, FLOW_ORIG, token);
    } else if (str_starts(line, STR("AUTH "))) {
        finish(a);
    }
}

static void read_reply(struct analysis *a, struct str line)
{
    static const struct str last[] = {STR("232"), STR("234"), STR("235"), STR("421"),
                                      STR("431"), STR("500"), STR("501"), STR("503"),
                                      STR("535"), STR("631"), STR("632"), STR("633")};
    struct str code = str_upto(line, 3);
    struct str rest = str_from(line, 3);
    if (rest.len > 0 && rest.at[0] == '-')
        rest = str_from(rest, 1);
    rest = str_trim(rest);
    bool has_token =
        str_eq(code, STR("334")) || str_eq(code, STR("335")) || str_eq(code, STR("235"));
    if (has_token && str_starts(rest, STR("ADAT=")))
        feed(a, FLOW_RESP, str_from(rest, 5));
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        if (str_eq(code, last[i])) {
            finish(a);
            return;
        }
    }
}

static void read_line(struct analysis *a, int dir, struct str line)
{
    while (line.len > 0 && (line.at[line.len - 1] == '\r' || line.at[line.len - 1] == '\n'))
        line.len--;
    if (dir == FLOW_ORIG)
        read_command(a, line);
    else
        read_reply(a, line);
}

void starttls_adat_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct pool *pool = analysis_pool(a);
    struct buf *kept = &starttls_of(a)->adat.line[dir];
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) > 0 && !a->finished) {
        const uint8_t *end = memchr(r.at, '\n', rd_left(&r));
        size_t here = end ? (size_t)(end - r.at) + 1 : rd_left(&r);
        const uint8_t *part = rd_bytes(&r, here);
        if (end && buf_size(kept) == 0) {
            read_line(a, dir, str_make(part, here));
            continue;
        }
        if (!buf_add(kept, pool, part, here, MAX_LINE)) {
            finish(a);
        } else if (end) {
            read_line(a, dir, str_make(buf_at(kept), buf_size(kept)));
            buf_done(kept, pool);
        }
    }
    if (!a->finished && starttls_of(a)->tls->finished)
        finish(a);
}

void starttls_adat_gap(struct analysis *a)
{
    finish(a);
}

void starttls_adat_end(struct analysis *a)
{
    for (int dir = 0; dir < 2; dir++)
        buf_done(&starttls_of(a)->adat.line[dir], analysis_pool(a));
}
