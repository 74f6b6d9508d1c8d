/* Teredo (RFC 4380): IPv6 in UDP through address translators. Before the IPv6 header there may be
 * an authentication header and, after it, an origin indication.
 *
 *      0                   1                   2                   3
 *     +---------------+---------------+---------------+---------------+
 *     :     0x00      |     0x01      | Client id size|   Auth size   :
 *     :            client id, authentication value                    :
 *     :                   nonce (8 bytes), confirmation (1)           :
 *     +---------------+---------------+-------------------------------+
 *     :     0x00      |     0x00      |   Origin port, bits flipped   :
 *     :                 Origin IPv4 address, bits flipped             :
 *     +---------------------------------------------------------------+
 *
 * A bubble is an IPv6 header alone, with nothing after it. */
#include "tunnel/tunnel.h"

#define IPV6_SIZE    40
#define IPV6_NO_NEXT 59

enum teredo_head { HEAD_ORIGIN = 0, HEAD_AUTH = 1 };

static struct tunnel_result not_mine(const char *weird)
{
    return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = weird};
}

static void skip_authentication(struct reader *r)
{
    rd_skip(r, 2);
    uint8_t id_size = rd_u8(r);
    uint8_t auth_size = rd_u8(r);
    rd_skip(r, (size_t)id_size + auth_size + 8 + 1);
}

static struct tunnel_result decode_ipv6(const struct reader *r)
{
    if (rd_left(r) < IPV6_SIZE)
        return not_mine("truncated_IPv6_in_Teredo");
    size_t size = rd_peek_be16(r, 4) + (size_t)IPV6_SIZE;
    if (rd_left(r) < size)
        return not_mine(NULL);
    if (rd_left(r) == size)
        return (struct tunnel_result){.next = TUNNEL_IP};
    if (size == IPV6_SIZE && rd_peek_u8(r, 6) == IPV6_NO_NEXT)
        return (struct tunnel_result){.next = TUNNEL_IP, .weird = "Teredo_bubble_with_payload"};
    return not_mine(NULL);
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    if (rd_left(r) >= 2 && rd_peek_be16(r, 0) == HEAD_AUTH) {
        skip_authentication(r);
        if (!rd_ok(r))
            return not_mine("truncated_Teredo_authentication");
    }
    if (rd_left(r) >= 2 && rd_peek_be16(r, 0) == HEAD_ORIGIN) {
        rd_skip(r, 8);
        if (!rd_ok(r))
            return not_mine("truncated_Teredo_origin_indication");
    }
    if (rd_left(r) < 2)
        return not_mine("truncated_Teredo");
    if (rd_peek_u8(r, 0) >> 4 != 6)
        return not_mine(NULL);
    return decode_ipv6(r);
}

/* An IPv6 header with one of Teredo's own addresses (2001::/32) in it. A line feed in the bytes
 * that are not looked at prevents it: so the pattern that Zeek uses has it. */
static bool has_teredo_address(struct reader payload)
{
    struct reader header = rd_sub(&payload, IPV6_SIZE);
    if (!rd_ok(&header) || rd_peek_u8(&header, 0) >> 4 != 6)
        return false;
    struct reader whole = header;
    if (memchr(rd_bytes(&whole, IPV6_SIZE), '\n', IPV6_SIZE))
        return false;
    rd_skip(&header, 8);
    uint32_t src = rd_be32(&header);
    rd_skip(&header, 12);
    uint32_t dst = rd_be32(&header);
    return src == 0x20010000 || dst == 0x20010000;
}

static bool detect(struct reader payload)
{
    if (rd_left(&payload) < IPV6_SIZE)
        return false;
    if (has_teredo_address(payload))
        return true;
    uint16_t head = rd_peek_be16(&payload, 0);
    if (head == HEAD_AUTH) {
        skip_authentication(&payload);
        if (rd_left(&payload) < IPV6_SIZE)
            return false;
        head = rd_peek_be16(&payload, 0);
    }
    if (head != HEAD_ORIGIN)
        return false;
    rd_skip(&payload, 8);
    return rd_left(&payload) >= IPV6_SIZE && rd_peek_u8(&payload, 0) >> 4 == 6;
}

const struct tunnel_decoder tunnel_teredo = {
    .name = "teredo",
    .title = "Teredo (RFC 4380), UDP 3544",
    .zeek_type = "TEREDO",
    .service = "teredo",
    .zeek_ports = {3544},
    .both_ways = true,
    .decode = decode,
    .detect = detect,
};
