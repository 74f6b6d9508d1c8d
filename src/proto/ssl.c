/* TLS and SSL over TCP: the record layer (RFC 8446, 5.1), and the messages of SSLv2, which is also
 * what old clients begin with.
 *
 *     +------+---------+----------+-----------+
 *     | type | version |  length  | body …    |     TLS, SSLv3
 *     |  8   |   16    |    16    |           |
 *     +------+---------+----------+-----------+
 *     |1 length (15)   | type | 16 bits of body … |  SSLv2; "head" below means the first five bytes
 *     +----------------+------+------------------+
 *
 * Records that will not be read (application data, all that is encrypted) are counted, not kept.
 * Once the handshake is done, the analyzer wants no more data. */
#include "proto/file.h"
#include "proto/tls.h"
#include "proto/x509.h"

#define HEAD_SIZE 5u

/* SSLv2's message types, out of the way of TLS's content types, as Zeek numbers them. */
enum { V2_ERROR = 300, V2_CLIENT_HELLO = 301, V2_CLIENT_MASTER_KEY = 302, V2_SERVER_HELLO = 304 };

struct record {
    bool known; /* the head was read */
    bool is_v2;
    bool is_opaque; /* its body is not looked at */
    uint16_t type;
    uint32_t left;           /* of the body */
    uint8_t head[HEAD_SIZE]; /* SSLv2 has data in it */
};

struct ssl {
    struct tls tls;
    uint16_t layer; /* version of the records so far; TLS_UNKNOWN_VERSION: none */
    bool gap;
    struct record record[2];
    struct buf kept[2]; /* the head, then the body of the record that has not come in full */
};

/* ---- recognition: the signatures that Zeek has for TLS ---- */

/* One byte of a pattern: a range, or ANY, which as in Zeek's patterns does not match a line feed.
 */
struct byte_class {
    uint8_t low, high;
};
#define ANY                                                                                        \
    {                                                                                              \
        1, 0                                                                                       \
    }
#define BYTE(b)                                                                                    \
    {                                                                                              \
        b, b                                                                                       \
    }
#define FROM(a, b)                                                                                 \
    {                                                                                              \
        a, b                                                                                       \
    }

static const struct byte_class client_hello[] = {
    BYTE(0x16), BYTE(3), FROM(0, 3), ANY, ANY, BYTE(1), ANY, ANY, ANY, BYTE(3), FROM(0, 3),
};
static const struct byte_class server_hello[] = {
    BYTE(0x16), BYTE(3), FROM(0, 3), ANY, ANY, BYTE(2), ANY, ANY, ANY, BYTE(3), FROM(0, 4),
};
static const struct byte_class server_draft[] = {
    BYTE(0x16), BYTE(3), FROM(0, 3), ANY, ANY, BYTE(2), ANY, ANY, ANY, BYTE(0x7f), FROM(0, 0x50),
};
static const struct byte_class warning[] = {
    BYTE(0x15), BYTE(3), FROM(0, 3), ANY, ANY, ANY, ANY,
};

#define PATTERN_SIZE(p) (sizeof(p) / sizeof *(p))

static enum analyzer_match match_bytes(struct str data, const struct byte_class *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i == data.len)
            return MATCH_MORE;
        uint8_t c = (uint8_t)data.at[i];
        bool any = pattern[i].low > pattern[i].high;
        if (any ? c == '\n' : c < pattern[i].low || c > pattern[i].high)
            return MATCH_NO;
    }
    return MATCH_YES;
}

static enum analyzer_match best(enum analyzer_match a, enum analyzer_match b)
{
    return a > b ? a : b;
}

static enum analyzer_match match_server(struct str data)
{
    return best(match_bytes(data, server_hello, PATTERN_SIZE(server_hello)),
                match_bytes(data, server_draft, PATTERN_SIZE(server_draft)));
}

static enum analyzer_match match_direction(struct str data)
{
    enum analyzer_match found =
        best(match_bytes(data, client_hello, PATTERN_SIZE(client_hello)), match_server(data));
    enum analyzer_match alert = match_bytes(data, warning, PATTERN_SIZE(warning));
    if (alert == MATCH_YES) /* one may come before the server's hello */
        alert = match_server(str_from(data, PATTERN_SIZE(warning)));
    return best(found, alert);
}

static enum analyzer_match ssl_match(const struct probe *probe)
{
    return best(match_direction(probe->data[FLOW_ORIG]), match_direction(probe->data[FLOW_RESP]));
}

/* ---- SSLv2 ---- */

static uint16_t head_value(const struct record *record)
{
    return (uint16_t)(record->head[3] << 8 | record->head[4]);
}

static void read_v2_client_hello(struct ssl *s, struct reader *r)
{
    uint16_t ciphers_size = rd_be16(r);
    uint16_t id_size = rd_be16(r);
    uint16_t challenge_size = rd_be16(r);
    rd_skip(r, ciphers_size / 3u * 3u);
    struct str id = str_make(rd_bytes(r, id_size), id_size);
    rd_skip(r, challenge_size);
    if (!rd_ok(r))
        return;
    analysis_confirm(s->tls.analysis);
    tls_log_client_hello(&s->tls, id);
    tls_history(&s->tls, true, 'c');
}

static void read_v2_server_hello(struct ssl *s, int dir, struct reader *r)
{
    uint16_t version = rd_be16(r);
    uint16_t certificate_size = rd_be16(r);
    uint16_t ciphers_size = rd_be16(r);
    uint16_t id_size = rd_be16(r);
    struct str certificate = str_make(rd_bytes(r, certificate_size), certificate_size);
    struct reader ciphers = rd_sub(r, ciphers_size / 3u * 3u);
    rd_skip(r, id_size);
    if (!rd_ok(r))
        return;
    if (version != TLS_SSLV2) {
        if (!tls_violation(&s->tls, "invalid version in the hello of an SSLv2 server"))
            tls_skip(&s->tls);
        return;
    }
    uint32_t cipher = rd_left(&ciphers) ? rd_be24(&ciphers) : 0;
    tls_log_server_hello(&s->tls, version, (struct str){NULL, 0}, cipher, false);
    tls_history(&s->tls, false, 's');
    tls_certificate(&s->tls, tls_is_client(&s->tls, dir), true, certificate);
}

static void read_v2_master_key(struct ssl *s, struct reader *r)
{
    (void)rd_u8(r); /* third byte of the cipher's kind */
    size_t size = rd_be16(r);
    size += rd_be16(r);
    size += rd_be16(r);
    rd_skip(r, size);
    if (!rd_ok(r))
        return;
    s->tls.encrypted[FLOW_ORIG] = s->tls.encrypted[FLOW_RESP] = true;
    tls_log_established(&s->tls);
}

static void read_v2(struct ssl *s, int dir, const struct record *record, struct reader body)
{
    struct tls *tls = &s->tls;
    if (tls->encrypted[dir]) {
        tls_ciphertext(tls);
        return;
    }
    switch (record->type) {
    case V2_ERROR:
        tls_alert(tls, dir, head_value(record));
        break;
    case V2_CLIENT_HELLO:
        read_v2_client_hello(s, &body);
        break;
    case V2_CLIENT_MASTER_KEY:
        read_v2_master_key(s, &body);
        break;
    case V2_SERVER_HELLO:
        read_v2_server_hello(s, dir, &body);
        break;
    default:
        (void)tls_violation(tls, "unknown SSLv2 record type");
    }
    if (!rd_ok(&body))
        (void)tls_violation(tls, "an SSLv2 record ends too early");
    else
        tls_plaintext(tls, record->type);
}

/* ---- the record layer ---- */

static bool is_record_version(uint16_t version)
{
    return version >= TLS_SSLV3 && version <= TLS_V12;
}

/* Which kind of record begins with this head; TLS_UNKNOWN_VERSION: none. */
static uint16_t find_layer(struct ssl *s, int dir, const uint8_t head[HEAD_SIZE],
                           const char **reason)
{
    uint16_t version = (uint16_t)(head[1] << 8 | head[2]);
    if (s->layer == TLS_SSLV2)
        return s->layer;
    if (s->layer != TLS_UNKNOWN_VERSION) {
        *reason = "invalid version late in a TLS connection";
        return is_record_version(version) ? s->layer : TLS_UNKNOWN_VERSION;
    }
    if (head[0] & 0x80) {
        uint16_t hello = (uint16_t)(head[3] << 8 | head[4]);
        *reason = "not the head of an SSLv2 message";
        if (head[2] == 1 && dir == FLOW_ORIG)
            return hello == TLS_SSLV2 || is_record_version(hello) ? TLS_SSLV2 : TLS_UNKNOWN_VERSION;
        if (head[2] == 4 && head[4] < 2 && dir == FLOW_RESP) {
            s->layer = TLS_SSLV2;
            return TLS_SSLV2;
        }
        return TLS_UNKNOWN_VERSION;
    }
    *reason = "invalid version in a TLS connection";
    if (!is_record_version(version))
        return TLS_UNKNOWN_VERSION;
    *reason = "invalid type in a TLS connection";
    if (head[0] < 20 || head[0] > 30)
        return TLS_UNKNOWN_VERSION;
    s->layer = version;
    return version;
}

/* Reads the head of the next record. False: it is none. */
static bool read_head(struct ssl *s, int dir, const uint8_t head[HEAD_SIZE])
{
    const char *reason = NULL;
    uint16_t layer = find_layer(s, dir, head, &reason);
    if (layer == TLS_UNKNOWN_VERSION) {
        if (!tls_violation(&s->tls, reason))
            tls_skip(&s->tls);
        return false;
    }
    struct record *record = &s->record[dir];
    *record = (struct record){.known = true, .is_v2 = layer == TLS_SSLV2};
    memcpy(record->head, head, HEAD_SIZE);
    if (record->is_v2) {
        uint32_t size = (uint32_t)(head[0] & 0x7f) << 8 | head[1];
        if (size < 3) {
            if (!tls_violation(&s->tls, "an SSLv2 record is too short"))
                tls_skip(&s->tls);
            return false;
        }
        record->type = (uint16_t)(V2_ERROR + head[2]);
        record->left = size - 3;
    } else {
        record->type = head[0];
        record->left = (uint32_t)(head[3] << 8 | head[4]);
        record->is_opaque = record->type == TLS_APPLICATION_DATA || s->tls.encrypted[dir];
    }
    return true;
}

static void end_record(struct ssl *s, int dir, struct reader body)
{
    struct record *record = &s->record[dir];
    record->known = false;
    if (record->is_v2)
        read_v2(s, dir, record, body);
    else
        tls_record(&s->tls, dir, record->type, body, TLS_BY_STATE);
}

static void end_opaque_record(struct ssl *s, int dir)
{
    struct record *record = &s->record[dir];
    record->known = false;
    if (tls_is_encrypted(&s->tls, dir, record->type))
        tls_ciphertext(&s->tls);
    else
        tls_plaintext(&s->tls, record->type);
}

/* Takes bytes of the body; ends the record when it is complete. */
static void read_body(struct ssl *s, int dir, struct reader *r)
{
    struct record *record = &s->record[dir];
    struct buf *kept = &s->kept[dir];
    size_t here = rd_left(r) < record->left ? rd_left(r) : record->left;
    if (record->is_opaque) {
        rd_skip(r, here);
        record->left -= (uint32_t)here;
        if (record->left == 0)
            end_opaque_record(s, dir);
        return;
    }
    if (here == record->left && buf_size(kept) == 0) {
        end_record(s, dir, rd_sub(r, here));
        return;
    }
    struct pool *pool = analysis_pool(s->tls.analysis);
    if (!buf_add(kept, pool, rd_bytes(r, here), here, 65536)) {
        tls_skip(&s->tls);
        return;
    }
    record->left -= (uint32_t)here;
    if (record->left > 0)
        return;
    struct buf whole = *kept; /* the messages in it may end the analysis, and with it `kept` */
    *kept = (struct buf){0};
    end_record(s, dir, rd_make(buf_at(&whole), buf_size(&whole)));
    buf_done(&whole, pool);
}

/* Gathers the five bytes of the head and reads them. */
static void gather_head(struct ssl *s, int dir, struct reader *r)
{
    struct buf *kept = &s->kept[dir];
    struct pool *pool = analysis_pool(s->tls.analysis);
    const uint8_t *head;
    if (buf_size(kept) == 0 && rd_left(r) >= HEAD_SIZE) {
        head = rd_bytes(r, HEAD_SIZE);
        if (!read_head(s, dir, head))
            return;
    } else {
        size_t need = HEAD_SIZE - buf_size(kept);
        size_t here = rd_left(r) < need ? rd_left(r) : need;
        if (!buf_add(kept, pool, rd_bytes(r, here), here, HEAD_SIZE)) {
            tls_skip(&s->tls);
            return;
        }
        if (here < need)
            return;
        bool ok = read_head(s, dir, buf_at(kept));
        buf_done(kept, pool);
        if (!ok)
            return;
    }
    if (s->record[dir].left == 0)
        s->record[dir].known = false; /* an empty record says nothing */
}

static void release(struct ssl *s)
{
    struct pool *pool = analysis_pool(s->tls.analysis);
    for (int dir = 0; dir < 2; dir++)
        buf_done(&s->kept[dir], pool);
    tls_end(&s->tls);
}

static void ssl_start(struct analysis *a)
{
    struct ssl *s = a->state;
    tls_start(&s->tls, a);
}

static void ssl_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct ssl *s = a->state;
    if (s->gap || s->tls.gone || (a->flow->partial && a->flow->proto == FLOW_TCP))
        return;
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) > 0 && !s->tls.gone) {
        if (s->record[dir].known)
            read_body(s, dir, &r);
        else
            gather_head(s, dir, &r);
    }
    /* All of these bytes are looked at even when the handshake was done in their midst. */
    if (s->tls.info.established && !s->tls.gone)
        tls_skip(&s->tls);
    if (s->tls.gone)
        release(s);
}

static void ssl_gap(struct analysis *a, int dir, uint64_t size)
{
    (void)dir;
    (void)size;
    struct ssl *s = a->state;
    s->gap = true;
}

static void ssl_end(struct analysis *a)
{
    struct ssl *s = a->state;
    release(s);
    tls_log_forget(&s->tls);
}

static void ssl_open(struct analysis *a)
{
    struct ssl *s = a->state;
    tls_log_open(&s->tls);
}

const struct analyzer analyzer_ssl = {
    .name = "ssl",
    .transports = ANALYZER_TCP,
    .tcp_ports = {443, 563, 585, 614, 636, 989, 990, 992, 993, 995, 5223},
    .logs = {&tls_log, &tls_open_log, &x509_log, &file_log},
    .state_size = sizeof(struct ssl),
    .weird_source = "SSL",
    .match = ssl_match,
    .start = ssl_start,
    .data = ssl_data,
    .gap = ssl_gap,
    .end = ssl_end,
    .open = ssl_open,
};
