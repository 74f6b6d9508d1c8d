/* ERSPAN type III (draft-foschiano-erspan), behind a GRE header with protocol 0x22eb.
 *
 *      0                   1                   2                   3
 *     +-------+-----------------------+-----+---+-+-------------------+
 *     | Ver 2 |         VLAN          | COS |BSO|T|    Session id     |
 *     +-------+-----------------------+-----+---+-+-------------------+
 *     |                           Timestamp                           |
 *     +-------------------------------+-+---------+-----------+-+---+-+
 *     |     Security group tag        |P|   FT    |   Hw id   |D|Gra|O|
 *     +-------------------------------+-+---------+-----------+-+---+-+
 *     :  Platf id |        Platform specific subheader, 8 bytes (O)   :
 *     +-----------+---------------------------------------------------+
 *
 * FT: the frame's type, 0 Ethernet, 2 a bare IP packet. D: 0 the port received it, 1 it sent it.
 * T: the mirror cut the frame. The timestamp (100 µs, 100 ns or IEEE 1588's ns by Gra, its upper
 * half in some subheaders) is the switch's own clock and not used: ours is when the frame came. */
#include "tunnel/tunnel.h"

enum frame_type { FRAME_ETHERNET = 0, FRAME_IP = 2 };

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    uint16_t version_vlan = rd_be16(r);
    uint16_t session = rd_be16(r);
    rd_skip(r, 4 + 2);
    uint16_t flags = rd_be16(r);
    if (flags & 1)
        rd_skip(r, 8);
    if (!rd_ok(r) || version_vlan >> 12 != 2)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = session & 0x03ff;
    layer->has_id = true;
    layer->truncated = (session & 0x0400) != 0;
    layer->direction = flags & 0x0008 ? 2 : 1;
    if (rd_left(r) == 0)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    switch (flags >> 10 & 0x1f) {
    case FRAME_ETHERNET:
        return (struct tunnel_result){.next = TUNNEL_ETHERNET};
    case FRAME_IP:
        return (struct tunnel_result){.next = TUNNEL_IP};
    default:
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    }
}

const struct tunnel_decoder tunnel_erspan3 = {
    .name = "erspan3",
    .title = "ERSPAN type III, in GRE; found by gre",
    .zeek_type = "GRE",
    .is_mirror = true,
    .decode = decode,
};
