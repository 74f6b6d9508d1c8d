/* The handshake message of one side, put together from CRYPTO frames: they may be cut, repeated and
 * mixed up within a packet and over packets. Only the first message of each side is wanted, the
 * hello; nothing else can be in Initial packets. It goes to the TLS code in a record of its own:
 *
 *     +----+-----------+----------+------+-----------+--------
 *     | 22 | 0x03 0x03 |  length  | type |  length   | body …
 *     | 8  |    16     |    16    |  8   |    24     |
 *     +----+-----------+----------+------+-----------+--------
 *
 * A hello that comes in one piece is not copied. */
#include "proto/quic.h"
#include "proto/tls.h"

#define HEAD_SIZE 4
#define CAPACITY_MIN                                                                               \
    1792 /* doubled until it is enough; with its bits still a block of the pool                    \
          */

void quic_stream_done(struct quic *q, struct quic_stream *stream)
{
    pool_put(analysis_pool(q->analysis), stream->block, stream->capacity + stream->capacity / 8);
    stream->block = NULL;
    stream->capacity = 0;
}

static uint8_t *bits_of(const struct quic_stream *stream)
{
    return stream->block + stream->capacity;
}

static bool reserve(struct quic *q, struct quic_stream *stream, size_t size)
{
    if (size <= stream->capacity)
        return true;
    struct quic_stream larger = {.capacity = CAPACITY_MIN, .have = stream->have};
    while (larger.capacity < size)
        larger.capacity *= 2;
    larger.block = pool_get(analysis_pool(q->analysis), larger.capacity + larger.capacity / 8);
    if (!larger.block)
        return false;
    if (stream->block) {
        memcpy(larger.block, stream->block, stream->capacity);
        memcpy(bits_of(&larger), bits_of(stream), stream->capacity / 8);
    }
    quic_stream_done(q, stream);
    *stream = larger;
    return true;
}

/* Where bytes come twice, the first ones count. */
static void keep(struct quic_stream *stream, size_t offset, struct str data)
{
    uint8_t *bits = bits_of(stream);
    for (size_t i = 0; i < data.len; i++) {
        size_t at = offset + i;
        uint8_t bit = (uint8_t)(1u << (at & 7));
        if (!(bits[at / 8] & bit))
            stream->block[at] = (uint8_t)data.at[i];
        bits[at / 8] |= bit;
    }
    while (stream->have < stream->capacity && (bits[stream->have / 8] & 1u << (stream->have & 7)))
        stream->have += bits[stream->have / 8] == 0xff ? 8 - (stream->have & 7) : 1;
}

static void forward(struct quic *q, int dir, struct str message)
{
    const uint8_t head[] = {TLS_HANDSHAKE, 3, 3, (uint8_t)(message.len >> 8), (uint8_t)message.len};
    if (!q->ssl)
        q->ssl = analysis_start(q->analysis, &analyzer_ssl);
    if (q->ssl && q->ssl->finished)
        return; /* by violation */
    if (q->ssl) {
        analysis_feed(q->ssl, dir, head, sizeof head);
        analysis_feed(q->ssl, dir, (const uint8_t *)message.at, message.len);
    }
    quic_read_hello(q, message);
}

/* Looks whether the message is complete in the first bytes of the stream. */
static void look(struct quic *q, int dir, struct quic_stream *stream, struct str bytes)
{
    struct reader r = rd_make(bytes.at, bytes.len);
    (void)rd_u8(&r);
    size_t size = HEAD_SIZE + (size_t)rd_be24(&r);
    if (!rd_ok(&r))
        return;
    if (size > QUIC_MAX_MESSAGE) {
        stream->lost = true;
        quic_stream_done(q, stream);
        return;
    }
    if (bytes.len < size)
        return;
    q->finished[dir] = true;
    stream->have = (uint32_t)size;
    forward(q, dir, str_upto(bytes, size));
    if (bytes.len > size && !q->gone)
        quic_violation(q, "more than a hello in an Initial packet");
    else if (!q->gone)
        quic_stream_done(q, stream);
}

void quic_stream_add(struct quic *q, int dir, uint64_t offset, struct str data)
{
    struct quic_stream *stream = &q->initial->stream[dir];
    if (q->finished[dir]) {
        if (offset <= stream->have && data.len > stream->have - offset)
            quic_violation(q, "more than a hello in Initial packets");
        return;
    }
    if (stream->lost || data.len == 0 || offset >= QUIC_MAX_MESSAGE)
        return;
    data = str_upto(data, QUIC_MAX_MESSAGE - offset);
    if (offset == 0 && !stream->block) {
        look(q, dir, stream, data);
        if (q->gone || q->finished[dir] || stream->lost)
            return;
    }
    if (!reserve(q, stream, (size_t)offset + data.len))
        return;
    uint32_t had = stream->have;
    keep(stream, (size_t)offset, data);
    if (stream->have > had)
        look(q, dir, stream, str_make(stream->block, stream->have));
}
