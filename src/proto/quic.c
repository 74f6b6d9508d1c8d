/* QUIC (RFC 9000, RFC 9369) as far as it can be read without keys. A datagram holds one or more
 * packets; those with a long header say how long they are:
 *
 *     +-+-+--+----+---------+---+---------+---+---------+
 *     |1|1|ty| .. | version | n | dcid …  | n | scid …  | …
 *     | | | 2| 4  |   32    | 8 |         | 8 |         |
 *     +-+-+--+----+---------+---+---------+---+---------+
 *       Initial:           … | n* | token … | length* | packet number (1 to 4), text, tag
 *       0-RTT, Handshake:  … | length* | packet number, text, tag
 *       Retry:             … | token … | tag (16)
 *
 *     +-+-+------+---------+----
 *     |0|1|  ..  | dcid …  | …        short header: goes on to the end of the datagram
 *     +-+-+------+---------+----
 *
 * Sizes marked * have variable length. Where the second bit is not set, it is something else than
 * QUIC that shares the ports, and not looked at. Version 2 has turned the types by one. */
#include "proto/quic.h"
#include "proto/file.h"
#include "proto/tls.h"

enum { TYPE_INITIAL, TYPE_0_RTT, TYPE_HANDSHAKE, TYPE_RETRY };
enum { BIT_LONG = 0x80, BIT_FIXED = 0x40 };

#define RETRY_TAG_SIZE   16
#define INITIAL_SIZE_MIN 20 /* the longest packet number, and the sample for header protection */

/* ---- recognition: the signatures that Zeek has ---- */

static bool is_initial(struct str data)
{
    static const char version_1[] = {0, 0, 0, 1};
    static const char version_2[] = {0x6b, 0x33, 0x43, (char)0xcf};
    if (data.len < 5)
        return false;
    struct str version = str_upto(str_from(data, 1), 4);
    uint8_t kind = (uint8_t)data.at[0] & 0xf0;
    return (kind == 0xc0 && str_eq(version, str_make(version_1, 4))) ||
           (kind == 0xd0 && str_eq(version, str_make(version_2, 4)));
}

static enum analyzer_match quic_match(const struct probe *probe)
{
    const struct str *data = probe->data;
    if (is_initial(data[FLOW_ORIG]) || is_initial(data[FLOW_RESP]))
        return MATCH_YES;
    return data[FLOW_ORIG].len > 0 && data[FLOW_RESP].len > 0 ? MATCH_NO : MATCH_MORE;
}

/* ---- packets ---- */

void quic_violation(struct quic *q, const char *reason)
{
    q->gone = true;
    (void)analysis_violation(q->analysis, reason);
    analysis_finish(q->analysis);
    if (q->ssl)
        analysis_finish(q->ssl);
    quic_forget_initial(q);
}

static void read_initial(struct quic *q, int dir, struct quic_packet *packet, struct reader whole,
                         struct reader *r)
{
    (void)quic_read_str(r, quic_read_varint(r)); /* token */
    uint64_t size = quic_read_varint(r);
    packet->header = str_make(whole.at, rd_left(&whole) - rd_left(r));
    packet->payload = quic_read_str(r, size);
    if (size < INITIAL_SIZE_MIN)
        rd_fail(r);
    if (!rd_ok(r))
        return;
    quic_log_packet(q, dir, packet);
    quic_log_history(q, dir == FLOW_ORIG, 'i');
    if (quic_can_decrypt(q, dir))
        quic_read_initial(q, dir, packet);
}

/* A packet of which nothing but the size can be told. */
static void read_closed(struct quic *q, int dir, const struct quic_packet *packet, char letter,
                        struct reader *r)
{
    (void)quic_read_str(r, quic_read_varint(r));
    if (!rd_ok(r))
        return;
    quic_log_packet(q, dir, packet);
    quic_log_history(q, dir == FLOW_ORIG, letter);
}

/* The client begins again, with keys of the connection id that it will choose now. */
static void read_retry(struct quic *q, int dir, const struct quic_packet *packet, struct reader *r)
{
    if (!rd_need(r, RETRY_TAG_SIZE))
        return;
    rd_skip(r, rd_left(r));
    if (!q->row.begun)
        quic_log_packet(q, dir, packet);
    quic_log_history(q, dir == FLOW_ORIG, 'r');
    quic_log_write(q);
    quic_forget_initial(q);
    q->finished[FLOW_ORIG] = q->finished[FLOW_RESP] = false;
}

static void read_unknown_version(struct quic *q, int dir, const struct quic_packet *packet)
{
    if (!q->row.begun)
        quic_log_packet(q, dir, packet);
    quic_log_history(q, dir == FLOW_ORIG, 'u');
    quic_log_write(q);
    quic_violation(q, "unknown version of QUIC");
}

static void read_long(struct quic *q, int dir, struct reader *r)
{
    struct reader whole = *r;
    struct quic_packet packet = {.first = rd_u8(r)};
    packet.version = rd_be32(r);
    packet.dcid = quic_read_str(r, rd_u8(r));
    packet.scid = quic_read_str(r, rd_u8(r));
    if (!rd_ok(r))
        return;
    if (!quic_version_name(packet.version)) {
        read_unknown_version(q, dir, &packet);
        return;
    }
    unsigned type = packet.first >> 4 & 3;
    if (packet.version == QUIC_VERSION_2)
        type = (type + 3) & 3;
    switch (type) {
    case TYPE_INITIAL:
        read_initial(q, dir, &packet, whole, r);
        break;
    case TYPE_0_RTT:
        read_closed(q, dir, &packet, 'z', r);
        break;
    case TYPE_HANDSHAKE:
        read_closed(q, dir, &packet, 'h', r);
        break;
    case TYPE_RETRY:
        read_retry(q, dir, &packet, r);
        break;
    }
}

/* ---- the analyzer ---- */

static void quic_start(struct analysis *a)
{
    struct quic *q = a->state;
    q->analysis = a;
    arena_init(&q->row.arena, analysis_pool(a));
}

static void quic_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct quic *q = a->state;
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) > 0 && !q->gone) {
        uint8_t first = rd_peek_u8(&r, 0);
        if (!(first & BIT_FIXED))
            return;
        if (first & BIT_LONG) {
            read_long(q, dir, &r);
        } else {
            rd_skip(&r, 1u + q->client_id_size);
            rd_skip(&r, rd_left(&r));
        }
    }
    if (!rd_ok(&r) && !q->gone)
        quic_violation(q, "a QUIC packet ends too early");
}

static void quic_end(struct analysis *a)
{
    struct quic *q = a->state;
    quic_log_write(q);
    quic_forget_initial(q);
}

const struct analyzer analyzer_quic = {
    .name = "quic",
    .transports = ANALYZER_UDP,
    .udp_ports = {443, 784, 853},
    .logs = {&quic_log, &tls_log},
    .state_size = sizeof(struct quic),
    .match = quic_match,
    .start = quic_start,
    .data = quic_data,
    .end = quic_end,
};
