/* WebSocket (RFC 6455 §5.2), to which HTTP connections are upgraded: the frames are walked, so that
 * conn.log can name the service; what is in them is passed over.
 *
 *      0               1               2               3
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| length      | length, 16 or 64 bits, where  |
 *     |I|S|S|S|       |A|             | the first is 126 or 127       |
 *     |N|V|V|V|       |S|             |                               |
 *     | |1|2|3|       |K|             |                               |
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     | masking key, 32 bits, where M is set | payload ...            |
 *     +--------------------------------------+------------------------+ */
#include "proto/analyzer.h"

#define HEADER_MAX 14

struct websocket_side {
    uint64_t payload; /* bytes still to come */
    uint8_t n_header;
    uint8_t header[HEADER_MAX];
};

struct websocket {
    struct websocket_side side[2];
};

/* Bytes that the header has, as far as its first two tell. */
static size_t header_size(const struct websocket_side *side)
{
    if (side->n_header < 2)
        return 2;
    uint8_t length = side->header[1] & 0x7f;
    return 2u + (length == 126 ? 2 : length == 127 ? 8 : 0) + (side->header[1] & 0x80 ? 4 : 0);
}

/* Data, and control frames that are short and whole. */
static bool is_frame(uint8_t first, uint64_t length)
{
    uint8_t opcode = first & 15;
    return opcode <= 2 || (opcode >= 8 && opcode <= 10 && length < 126 && first & 0x80);
}

static bool read_header(struct analysis *a, struct websocket_side *side)
{
    struct reader r = rd_make(side->header, side->n_header);
    uint8_t first = rd_u8(&r);
    uint64_t length = rd_u8(&r) & 0x7f;
    if (length == 126)
        length = rd_be16(&r);
    else if (length == 127)
        length = rd_be64(&r);
    side->n_header = 0;
    side->payload = length;
    if (!rd_ok(&r) || !is_frame(first, length) || length >> 63)
        return false;
    analysis_confirm(a);
    return true;
}

static void data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct websocket_side *side = &((struct websocket *)a->state)->side[dir];
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) > 0) {
        if (side->payload > 0) {
            size_t n = side->payload < rd_left(&r) ? (size_t)side->payload : rd_left(&r);
            rd_skip(&r, n);
            side->payload -= n;
            continue;
        }
        side->header[side->n_header++] = rd_u8(&r);
        if (side->n_header < header_size(side))
            continue;
        if (!read_header(a, side)) {
            if (!analysis_violation(a, "not a WebSocket frame"))
                analysis_finish(a);
            return;
        }
    }
}

static void gap(struct analysis *a, int dir, uint64_t size)
{
    struct websocket_side *side = &((struct websocket *)a->state)->side[dir];
    if (side->payload >= size)
        side->payload -= size;
    else
        analysis_finish(a);
}

const struct analyzer analyzer_websocket = {
    .name = "websocket",
    .weird_source = "WEBSOCKET",
    .transports = ANALYZER_TCP,
    .state_size = sizeof(struct websocket),
    .data = data,
    .gap = gap,
};
