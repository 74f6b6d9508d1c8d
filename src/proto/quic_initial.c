/* Initial packets of QUIC: the protection of their headers (RFC 9001, 5.4), their encryption (5.3),
 * and the frames in them (RFC 9000, 19) that a handshake needs:
 *
 *     CRYPTO            6 | offset* | n* | data …
 *     ACK           2, 3 | largest* | delay* | count* | first* | count times gap*, length* | ECN*
 *     CONNECTION_CLOSE 1c | error* | frame type* | n* | reason …
 *     PADDING 0, PING 1
 *
 * Numbers marked * have variable length. A packet that has another frame is none, as in Zeek. */
#include "proto/quic.h"

enum {
    FRAME_PADDING = 0x00,
    FRAME_PING = 0x01,
    FRAME_ACK = 0x02,
    FRAME_ACK_ECN = 0x03,
    FRAME_CRYPTO = 0x06,
    FRAME_CONNECTION_CLOSE = 0x1c,
};

#define PACKET_NUMBER_MAX 4

bool quic_can_decrypt(const struct quic *q, int dir)
{
    if (q->finished[dir] || q->n_initials >= QUIC_MAX_INITIALS)
        return false;
    return dir == FLOW_ORIG || q->initial;
}

void quic_forget_initial(struct quic *q)
{
    if (!q->initial)
        return;
    quic_stream_done(q, &q->initial->stream[FLOW_ORIG]);
    quic_stream_done(q, &q->initial->stream[FLOW_RESP]);
    pool_put(analysis_pool(q->analysis), q->initial, sizeof *q->initial);
    q->initial = NULL;
}

/* ---- frames ---- */

static void skip_zeros(struct reader *r)
{
    for (struct reader ahead = *r; rd_left(&ahead) >= 8 && rd_be64(&ahead) == 0;)
        *r = ahead;
    while (rd_left(r) > 0 && rd_peek_u8(r, 0) == 0)
        rd_skip(r, 1);
}

static void read_ack(struct reader *r, bool has_ecn)
{
    (void)quic_read_varint(r); /* largest acknowledged */
    (void)quic_read_varint(r); /* delay */
    uint64_t n = quic_read_varint(r);
    (void)quic_read_varint(r); /* first range */
    for (; n > 0 && rd_ok(r); n--) {
        (void)quic_read_varint(r); /* gap */
        (void)quic_read_varint(r); /* length */
    }
    for (int i = 0; has_ecn && i < 3; i++)
        (void)quic_read_varint(r);
}

static void read_close(struct quic *q, int dir, struct reader *r)
{
    (void)quic_read_varint(r); /* error */
    (void)quic_read_varint(r); /* type of the frame that was wrong */
    (void)quic_read_str(r, quic_read_varint(r));
    if (!rd_ok(r) || !q->row.begun)
        return;
    quic_log_history(q, dir == FLOW_ORIG, 'c');
    quic_log_write(q);
}

static void read_crypto(struct quic *q, int dir, struct reader *r)
{
    uint64_t offset = quic_read_varint(r);
    struct str data = quic_read_str(r, quic_read_varint(r));
    if (rd_ok(r))
        quic_stream_add(q, dir, offset, data);
}

static void read_frames(struct quic *q, int dir, struct reader r)
{
    while (rd_left(&r) > 0 && !q->gone) {
        uint8_t type = rd_u8(&r);
        switch (type) {
        case FRAME_PADDING:
            skip_zeros(&r);
            break;
        case FRAME_PING:
            break;
        case FRAME_ACK:
        case FRAME_ACK_ECN:
            read_ack(&r, type == FRAME_ACK_ECN);
            break;
        case FRAME_CRYPTO:
            read_crypto(q, dir, &r);
            break;
        case FRAME_CONNECTION_CLOSE:
            read_close(q, dir, &r);
            break;
        default:
            quic_violation(q, "a frame that Initial packets do not have");
        }
    }
    if (!rd_ok(&r) && !q->gone)
        quic_violation(q, "a QUIC frame ends too early");
}

/* ---- decryption ---- */

static const struct quic_keys *keys_of(struct quic_initial *initial, int dir, uint32_t version)
{
    if (initial->version[dir] != version) {
        quic_derive_keys(version, str_make(initial->id, initial->id_size), dir == FLOW_ORIG,
                         &initial->keys[dir]);
        initial->version[dir] = version;
    }
    return &initial->keys[dir];
}

/* Takes the protection off the first byte and the packet number, then opens the packet. False: it
 * was not sealed with these keys. */
static bool decrypt(struct aead *aead, const struct quic_keys *keys,
                    const struct quic_packet *packet, uint8_t *out, size_t *out_size)
{
    struct reader r = rd_make(packet->payload.at, packet->payload.len);
    struct reader sample = r;
    rd_skip(&sample, PACKET_NUMBER_MAX);
    const uint8_t *block = rd_bytes(&sample, AEAD_BLOCK_SIZE);
    uint8_t mask[AEAD_BLOCK_SIZE];
    if (!block || !aead_block(aead, keys->mask, block, mask))
        return false;
    uint8_t first = packet->first ^ (mask[0] & 0x0f);
    size_t n = (first & 3u) + 1;
    uint8_t number[PACKET_NUMBER_MAX], nonce[AEAD_NONCE_SIZE];
    memcpy(nonce, keys->nonce, sizeof nonce);
    for (size_t i = 0; i < n; i++) {
        number[i] = rd_u8(&r) ^ mask[1 + i];
        nonce[sizeof nonce - n + i] ^= number[i];
    }
    const struct str parts[] = {
        str_make(&first, 1),
        str_from(packet->header, 1),
        str_make(number, n),
    };
    struct str sealed = str_make(r.at, rd_left(&r));
    if (sealed.len < AEAD_TAG_SIZE)
        return false;
    *out_size = sealed.len - AEAD_TAG_SIZE;
    return aead_open(aead, keys->key, nonce, parts, sizeof parts / sizeof *parts, sealed, out);
}

void quic_read_initial(struct quic *q, int dir, const struct quic_packet *packet)
{
    struct flow_context *context = q->analysis->context;
    if (!context->aead)
        context->aead = aead_new();
    if (!q->initial) {
        q->initial = context->aead ? pool_get(context->pool, sizeof *q->initial) : NULL;
        if (!q->initial)
            return; /* no memory, which is counted where it is missing: the hello is lost */
        q->initial->id_size = (uint8_t)packet->dcid.len;
        if (packet->dcid.len > 0)
            memcpy(q->initial->id, packet->dcid.at, packet->dcid.len);
    }
    q->client_id_size = (uint8_t)(dir == FLOW_ORIG ? packet->scid.len : packet->dcid.len);
    uint8_t text[QUIC_MAX_PAYLOAD];
    size_t size = 0;
    if (packet->payload.len > QUIC_MAX_PAYLOAD ||
        !decrypt(context->aead, keys_of(q->initial, dir, packet->version), packet, text, &size) ||
        size == 0) {
        quic_violation(q, "an Initial packet cannot be decrypted");
        return;
    }
    q->n_initials++;
    analysis_confirm(q->analysis);
    read_frames(q, dir, rd_make(text, size));
    if (q->finished[FLOW_ORIG] && q->finished[FLOW_RESP])
        quic_forget_initial(q);
}
