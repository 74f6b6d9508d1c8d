/* NVGRE (RFC 7637): GRE whose key is a virtual subnet and a flow id.
 *
 *      0                   1                   2                   3
 *     +-+-+-+-+-----------------+-----+-------------------------------+
 *     |0| |1|0|    Reserved0    | Ver |    Protocol type 0x6558       |
 *     +-+-+-+-+-----------------+-----+---------------+---------------+
 *     |           Virtual subnet id (VSID)            |    Flow id    |
 *     +-----------------------------------------------+---------------+
 *
 * A GRE tunnel of Ethernet with a key looks the same, so it is read as NVGRE only when asked to. */
#include "tunnel/gre.h"
#include "tunnel/tunnel.h"

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    struct gre_header header = gre_read(r);
    if (!rd_ok(r) || header.flags & GRE_VERSION || !(header.flags & GRE_KEY) ||
        header.protocol != GRE_PROTO_ETHERNET)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = header.key >> 8;
    layer->has_id = true;
    layer->has_seq = (header.flags & GRE_SEQ) != 0;
    layer->seq = header.seq;
    if (rd_left(r) == 0)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    return (struct tunnel_result){.next = TUNNEL_ETHERNET};
}

const struct tunnel_decoder tunnel_nvgre = {
    .name = "nvgre",
    .title = "NVGRE (RFC 7637), IP protocol 47; only when named, since GRE looks the same",
    .ip_protos = {47},
    .decode = decode,
};
