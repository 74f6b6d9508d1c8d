/* ERSPAN type II (draft-foschiano-erspan), behind a GRE header with protocol 0x88be and a sequence
 * number.
 *
 *      0                   1                   2                   3
 *     +-------+-----------------------+-----+---+-+-------------------+
 *     | Ver 1 |         VLAN          | COS |En |T|    Session id     |
 *     +-------+-----------------------+-----+---+-+-------------------+
 *     |       Reserved        |                 Index                 |
 *     +-----------------------+---------------------------------------+
 *
 * En 3 says that the frame still has its tag; with 1 and 2 (ISL, 802.1Q) the tag is gone and only
 * the VLAN above is left of it. T: the mirror cut the frame. */
#include "tunnel/tunnel.h"

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    uint16_t version_vlan = rd_be16(r);
    uint16_t session = rd_be16(r);
    rd_skip(r, 4);
    if (!rd_ok(r) || version_vlan >> 12 != 1)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = session & 0x03ff;
    layer->has_id = true;
    layer->truncated = (session & 0x0400) != 0;
    if (rd_left(r) == 0)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    return (struct tunnel_result){.next = TUNNEL_ETHERNET};
}

const struct tunnel_decoder tunnel_erspan2 = {
    .name = "erspan2",
    .title = "ERSPAN type II, in GRE; found by gre",
    .zeek_type = "GRE",
    .is_mirror = true,
    .decode = decode,
};
