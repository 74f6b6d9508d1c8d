/* GTPv1 (3GPP TS 29.281, user plane; TS 29.060, the control plane on its own port): only a G-PDU
 * carries a packet.
 *
 *      0                   1                   2                   3
 *     +-----+-+-+-+-+-+---------------+-------------------------------+
 *     |Ver 1|P|*|E|S|N|  Message type |            Length             |
 *     +-----+-+-+-+-+-+---------------+-------------------------------+
 *     |                Tunnel endpoint identifier (TEID)              |
 *     +-------------------------------+---------------+---------------+
 *     :       Sequence number         |  N-PDU number |   Next type   :  with any of E, S, N
 *     +---------------+---------------+---------------+---------------+
 *     : Length (x4)   |        content                |   Next type   :  with E, the last has
 *     +---------------+-------------------------------+---------------+  next type 0
 *
 * P is set in GTP, clear in the charging protocol GTP'. */
#include "tunnel/tunnel.h"

#define MESSAGE_G_PDU 255

#define FLAG_EXTENSION 0x04
#define FLAG_SEQUENCE  0x02
#define FLAG_OPTIONAL  0x07
#define FLAG_GTP       0x10

/* Each header is at least four bytes, so a datagram bounds them. */
static void skip_extensions(struct reader *r, uint8_t next)
{
    while (next != 0 && rd_ok(r)) {
        size_t size = rd_u8(r) * (size_t)4;
        if (size == 0) {
            rd_fail(r);
            return;
        }
        rd_skip(r, size - 2);
        next = rd_u8(r);
    }
}

/* Whether these bytes are one IP packet, by its own length. */
static bool is_ip_packet(const struct reader *r)
{
    switch (rd_peek_u8(r, 0) >> 4) {
    case 4:
        return rd_left(r) >= 20 && rd_peek_be16(r, 2) == rd_left(r);
    case 6:
        return rd_left(r) >= 40 && rd_peek_be16(r, 4) + (size_t)40 == rd_left(r);
    default:
        return false;
    }
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    uint8_t flags = rd_u8(r);
    uint8_t message = rd_u8(r);
    rd_skip(r, 2);
    uint32_t teid = rd_be32(r);
    uint16_t seq = 0;
    if (flags & FLAG_OPTIONAL) {
        seq = rd_be16(r);
        rd_skip(r, 1);
        uint8_t next = rd_u8(r);
        if (flags & FLAG_EXTENSION)
            skip_extensions(r, next);
    }
    if (!rd_ok(r) || flags >> 5 != 1)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = teid;
    layer->has_id = true;
    layer->seq = seq;
    layer->has_seq = (flags & FLAG_SEQUENCE) != 0;
    if (!(flags & FLAG_GTP) || message != MESSAGE_G_PDU)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    if (!is_ip_packet(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    return (struct tunnel_result){.next = TUNNEL_IP};
}

const struct tunnel_decoder tunnel_gtpu = {
    .name = "gtpu",
    .title = "GTPv1 user plane (3GPP TS 29.281), UDP 2152",
    .zeek_type = "GTPv1",
    .service = "gtpv1",
    .zeek_ports = {2152, 2123},
    .never_nests = true,
    .decode = decode,
};
