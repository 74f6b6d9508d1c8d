/* No header at all: a datagram that carries a frame, or a bare IP packet. For listeners that are
 * told so; it is never guessed.
 *
 * A frame whose first byte looks like an IP header's would be a MAC address that begins with 45:
 * what follows has to look like one, too. */
#include "tunnel/tunnel.h"

static bool is_ipv4(const struct reader *r)
{
    unsigned header_size = (rd_peek_u8(r, 0) & 15u) * 4;
    uint16_t len = rd_peek_be16(r, 2);
    return rd_peek_u8(r, 0) >> 4 == 4 && header_size >= 20 && len >= header_size &&
           len <= rd_left(r) + 64; /* cut a little, perhaps */
}

static bool is_ipv6(const struct reader *r)
{
    return rd_peek_u8(r, 0) >> 4 == 6 && rd_left(r) >= 40 && rd_peek_be16(r, 4) + 40u <= rd_left(r);
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    (void)layer;
    if (rd_left(r) < 14)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    bool is_ip = is_ipv4(r) || is_ipv6(r);
    return (struct tunnel_result){.next = is_ip ? TUNNEL_IP : TUNNEL_ETHERNET};
}

const struct tunnel_decoder tunnel_raw = {
    .name = "raw",
    .title = "no header: a frame or an IP packet in each UDP datagram",
    .decode = decode,
};
