/* GRE version 1, the data channel of PPTP (RFC 2637), and the PPP header in it (RFC 1661, with the
 * fields that HDLC framing and compression may leave out).
 *
 *      0                   1                   2                   3
 *     +-+-+-+-+-+-----+-+-------+-----+-------------------------------+
 *     |C|R|K|S|s|Recur|A| Flags | Ver |    Protocol type 0x880b       |
 *     +-+-+-+-+-+-----+-+-------+-----+-------------------------------+
 *     |        Payload length         |           Call id             |
 *     +-------------------------------+-------------------------------+
 *     |                      Sequence number (S)                      |
 *     +---------------------------------------------------------------+
 *     |                   Acknowledgment number (A)                   |
 *     +---------------+---------------+-------------------------------+
 *     : 0xff          | 0x03          |  PPP protocol, one byte when  :
 *     :               (may be missing)|  it is odd                    :
 *     +---------------+---------------+-------------------------------+ */
#include "tunnel/gre.h"
#include "tunnel/tunnel.h"

#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057

static uint16_t read_ppp_protocol(struct reader *r)
{
    if (rd_peek_be16(r, 0) == 0xff03)
        rd_skip(r, 2);
    uint16_t protocol = rd_u8(r);
    if (protocol & 1)
        return protocol;
    return (uint16_t)(protocol << 8 | rd_u8(r));
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    struct gre_header header = gre_read(r);
    if ((header.flags & GRE_VERSION) != 1)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    if (header.protocol != GRE_PROTO_PPP)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "egre_protocol_type"};
    if (header.flags & GRE_ROUTING)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "gre_routing"};
    if (header.flags & GRE_UNKNOWN)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "unknown_gre_flags"};
    if (!rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "truncated_GRE"};
    layer->has_id = (header.flags & GRE_KEY) != 0;
    layer->id = header.key & 0xffff; /* the call */
    layer->has_seq = (header.flags & GRE_SEQ) != 0;
    layer->seq = header.seq;
    if (rd_left(r) == 0) /* an acknowledgement; Zeek calls it so, too */
        return (struct tunnel_result){.next = TUNNEL_CONTROL, .weird = "truncated_GRE"};
    uint16_t protocol = read_ppp_protocol(r);
    if (!rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "truncated_GRE"};
    if (protocol == PPP_IPV4 || protocol == PPP_IPV6)
        return (struct tunnel_result){.next = TUNNEL_IP};
    return (struct tunnel_result){.next = TUNNEL_CONTROL, .weird = "non_ip_packet_in_encap"};
}

const struct tunnel_decoder tunnel_gre_pptp = {
    .name = "gre-pptp",
    .title = "PPTP's GRE (RFC 2637), IP protocol 47; found by gre",
    .zeek_type = "GRE",
    .decode = decode,
};
