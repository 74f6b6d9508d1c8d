/* DTLS (RFC 6347; version 1.3: RFC 9147). Each datagram holds whole records:
 *
 *     +------+---------+-------+-------------------+--------+-----------+
 *     | type | version | epoch |  sequence number  | length | body …    |
 *     |  8   |   16    |  16   |        48         |   16   |           |
 *     +------+---------+-------+-------------------+--------+-----------+
 *
 * From epoch 1 on a record is encrypted. Handshake messages have a header of their own and may come
 * in fragments, which are put together as Zeek does: by the records' sequence numbers.
 *
 *     +------+-----------+-------------+------------------+------------------+--------+
 *     | type |  length   | message seq | fragment offset  | fragment length  | data … |
 *     |  8   |    24     |     16      |        24        |        24        |        |
 *     +------+-----------+-------------+------------------+------------------+--------+
 *
 * In version 1.3 encrypted records begin with 001CSLEE: C says that a connection id follows, S that
 * the sequence number has 16 bits, L that there is a length. */
#include "proto/file.h"
#include "proto/tls.h"
#include "proto/x509.h"

#define MAX_MESSAGE         65536u
#define MAX_VERSION_ERRORS  10 /* Zeek's SSL::dtls_max_version_errors */
#define MAX_REPORTED_ERRORS 1  /* Zeek's SSL::dtls_max_reported_version_errors */
#define MAX_FRAGMENTS       30

/* A handshake message under reassembly. */
struct fragments {
    uint8_t *bytes; /* of the pool; NULL: none */
    uint32_t size;
    uint32_t seen;        /* one bit for each record, from `first` on */
    uint64_t first, last; /* sequence numbers of records; last is 0 until it is known */
    uint16_t message;
    bool first_seen;
};

struct dtls {
    struct tls tls;
    struct fragments fragments[2];
    uint16_t n_version_errors, n_reported;
};

struct handshake_header {
    uint8_t type;
    uint32_t length;
    uint16_t message;
    uint32_t offset, size;
};

static enum analyzer_match match_direction(struct str data)
{
    /* A client hello in the first record; -1 is any byte but a line feed, as in Zeek's pattern. */
    static const int pattern[] = {0x16, 0xfe, 0xff, 0,  0,  0,  0,  0,  0,  0,  -1, -1,   -1,  1,
                                  -1,   -1,   -1,   -1, -1, -1, -1, -1, -1, -1, -1, 0xfe, 0xff};
    for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) {
        if (i == data.len)
            return i == 0 ? MATCH_MORE : MATCH_NO; /* datagrams do not grow */
        int c = (uint8_t)data.at[i];
        if (pattern[i] == 0xff ? c != 0xff && c != 0xfd
            : pattern[i] < 0   ? c == '\n'
                               : c != pattern[i])
            return MATCH_NO;
    }
    return MATCH_YES;
}

static enum analyzer_match dtls_match(const struct probe *probe)
{
    enum analyzer_match a = match_direction(probe->data[FLOW_ORIG]);
    enum analyzer_match b = match_direction(probe->data[FLOW_RESP]);
    return a > b ? a : b;
}

/* Puts the message's header before its bytes, as TLS has it, and hands both up. */
static void forward(struct dtls *d, int dir, const struct handshake_header *header,
                    const uint8_t *bytes, size_t size)
{
    const uint8_t head[4] = {header->type, (uint8_t)(header->length >> 16),
                             (uint8_t)(header->length >> 8), (uint8_t)header->length};
    tls_handshake(&d->tls, dir, head, sizeof head);
    if (size > 0 && !d->tls.gone)
        tls_handshake(&d->tls, dir, bytes, size);
}

static void drop_fragments(struct dtls *d, struct fragments *f)
{
    if (f->bytes)
        pool_put(analysis_pool(d->tls.analysis), f->bytes, f->size);
    *f = (struct fragments){0};
}

static bool complete(const struct fragments *f)
{
    uint64_t n = f->last - f->first;
    uint32_t all = (uint32_t)((UINT64_C(1) << (n + 1)) - 1);
    return (f->seen & all) == all;
}

static void add_fragment(struct dtls *d, int dir, const struct handshake_header *header,
                         uint64_t sequence, struct str data)
{
    struct fragments *f = &d->fragments[dir];
    if (header->length > MAX_MESSAGE) {
        (void)tls_violation(&d->tls, "a DTLS message is too long");
        return;
    }
    if (!f->bytes || f->message != header->message || f->size != header->length) {
        drop_fragments(d, f);
        f->bytes = header->length ? pool_get(analysis_pool(d->tls.analysis), header->length) : NULL;
        if (!f->bytes)
            return;
        f->message = header->message;
        f->size = header->length;
        f->first = sequence;
    }
    if (f->first > sequence) {
        if (f->first_seen) {
            (void)tls_violation(&d->tls, "a DTLS message has two first fragments");
            return;
        }
        uint64_t by = f->first - sequence;
        f->seen = by < 32 ? f->seen << by : 0;
        f->first = sequence;
    }
    if (header->offset == 0)
        f->first_seen = true;
    uint64_t index = sequence - f->first;
    uint32_t bit = 1u << (index & 31);
    if (f->seen & bit)
        return;
    if (data.len != header->size || (uint64_t)header->offset + header->size > header->length) {
        (void)tls_violation(&d->tls, "a DTLS fragment does not fit");
        return;
    }
    f->seen |= bit;
    if (data.len > 0)
        memcpy(f->bytes + header->offset, data.at, data.len);
    if (header->offset + header->size == header->length)
        f->last = sequence;
    if (f->last == 0 || !f->first_seen || f->last < f->first)
        return;
    if (f->last - f->first > MAX_FRAGMENTS)
        (void)tls_violation(&d->tls, "a DTLS message has too many fragments");
    else if (complete(f))
        forward(d, dir, header, f->bytes, f->size);
}

static void read_handshake(struct dtls *d, int dir, uint64_t sequence, struct reader *r)
{
    struct handshake_header header;
    header.type = rd_u8(r);
    header.length = rd_be24(r);
    header.message = rd_be16(r);
    header.offset = rd_be24(r);
    header.size = rd_be24(r);
    if (!rd_ok(r))
        return;
    struct str data = str_make(r->at, rd_left(r));
    rd_skip(r, data.len);
    if (header.offset == 0 && header.length == header.size)
        forward(d, dir, &header, (const uint8_t *)data.at, data.len);
    else
        add_fragment(d, dir, &header, sequence, data);
}

/* An encrypted record of version 1.3: all that follows belongs to it. */
static void read_unified(struct dtls *d, int dir, uint8_t first, struct reader *r)
{
    bool has_id = first & 0x10;
    if (!has_id)
        rd_skip(r, first & 0x08 ? 2 : 1);
    if (!has_id && first & 0x04)
        (void)rd_be16(r);
    if (!rd_ok(r))
        return;
    rd_skip(r, rd_left(r));
    d->tls.encrypted[dir] = true;
    tls_ciphertext(&d->tls);
}

static bool version_ok(struct dtls *d, uint16_t version)
{
    if (version == TLS_DTLS10 || version == TLS_DTLS12) {
        if (d->tls.analysis->confirmed)
            d->n_version_errors = 0;
        return true;
    }
    d->n_version_errors++;
    if (d->tls.analysis->confirmed && ++d->n_reported <= MAX_REPORTED_ERRORS &&
        tls_violation(&d->tls, "invalid version in a DTLS connection"))
        return false;
    if (d->n_version_errors > MAX_VERSION_ERRORS)
        tls_skip(&d->tls);
    return false;
}

static void read_record(struct dtls *d, int dir, struct reader *r)
{
    uint8_t type = rd_u8(r);
    if (d->tls.negotiated == TLS_DTLS13 && (type & 0xe0) == 0x20) {
        read_unified(d, dir, type, r);
        return;
    }
    uint16_t version = rd_be16(r);
    uint16_t epoch = rd_be16(r);
    uint64_t sequence = (uint64_t)rd_be16(r) << 32;
    sequence |= rd_be32(r);
    uint16_t length = rd_be16(r);
    if (!rd_ok(r))
        return;
    if (!version_ok(d, version)) {
        rd_skip(r, rd_left(r));
        return;
    }
    struct reader body = rd_sub(r, length);
    if (!rd_ok(r))
        return;
    if (type != TLS_HANDSHAKE || epoch != 0) {
        tls_record(&d->tls, dir, type, body, epoch ? TLS_CIPHERTEXT : TLS_PLAINTEXT);
    } else if (rd_left(&body) > 0) {
        read_handshake(d, dir, sequence, &body);
        if (!rd_ok(&body))
            rd_fail(r);
        else
            tls_plaintext(&d->tls, type);
    }
}

static void release(struct dtls *d)
{
    for (int dir = 0; dir < 2; dir++)
        drop_fragments(d, &d->fragments[dir]);
    tls_end(&d->tls);
}

static void dtls_start(struct analysis *a)
{
    struct dtls *d = a->state;
    tls_start(&d->tls, a);
}

static bool is_stun(struct reader r)
{
    rd_skip(&r, 4);
    return rd_left(&r) > 16 && rd_be32(&r) == 0x2112a442;
}

static void dtls_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct dtls *d = a->state;
    struct reader r = rd_make(bytes, size);
    if (d->tls.gone || is_stun(r))
        return;
    while (rd_left(&r) > 0 && !d->tls.gone)
        read_record(d, dir, &r);
    if (!rd_ok(&r) && !d->tls.gone)
        (void)tls_violation(&d->tls, "a DTLS record ends too early");
    if (d->tls.info.established && !d->tls.gone)
        tls_skip(&d->tls);
    if (d->tls.gone)
        release(d);
}

static void dtls_end(struct analysis *a)
{
    struct dtls *d = a->state;
    release(d);
    tls_log_forget(&d->tls);
}

static void dtls_open(struct analysis *a)
{
    struct dtls *d = a->state;
    tls_log_open(&d->tls);
}

const struct analyzer analyzer_dtls = {
    .name = "dtls",
    .transports = ANALYZER_UDP,
    .udp_ports = {443},
    .logs = {&tls_log, &tls_open_log, &x509_log, &file_log},
    .state_size = sizeof(struct dtls),
    .weird_source = "DTLS",
    .match = dtls_match,
    .start = dtls_start,
    .data = dtls_data,
    .end = dtls_end,
    .open = dtls_open,
};
