/* GRE version 0 (RFC 2784, keys and sequence numbers RFC 2890, routing RFC 1701): what it carries
 * is told by the protocol, and ERSPAN type II from type I by the sequence number.
 *
 *      0                   1                   2                   3
 *     +-+-+-+-+-+-----+---------+-----+-------------------------------+
 *     |C|R|K|S|s|Recur|  Flags  | Ver |        Protocol type          |
 *     +-+-+-+-+-+-----+---------+-----+-------------------------------+
 *     |      Checksum (C or R)        |       Offset (C or R)         |
 *     +-------------------------------+-------------------------------+
 *     |                            Key (K)                            |
 *     +---------------------------------------------------------------+
 *     |                      Sequence number (S)                      |
 *     +-------------------------------+---------------+---------------+
 *     :       Address family          |  SRE offset   |  SRE length   :  routing entries (R), the
 *     :                          SRE length bytes                     :  last with family and
 *     +---------------------------------------------------------------+  length 0 */
#include "tunnel/gre.h"

#include "tunnel/tunnel.h"

/* Entries need four bytes each, so a datagram bounds them. */
static void skip_routing(struct reader *r)
{
    while (rd_ok(r)) {
        uint16_t family = rd_be16(r);
        rd_skip(r, 1);
        uint8_t size = rd_u8(r);
        if (family == 0 && size == 0)
            return;
        rd_skip(r, size);
    }
}

struct gre_header gre_read(struct reader *r)
{
    struct gre_header header = {0};
    header.flags = rd_be16(r);
    header.protocol = rd_be16(r);
    unsigned int version = header.flags & GRE_VERSION;
    if (version > 1)
        return header;
    bool is_v0 = version == 0;
    if (header.flags & GRE_CHECKSUM || (is_v0 && header.flags & GRE_ROUTING))
        rd_skip(r, 4);
    if (header.flags & GRE_KEY)
        header.key = rd_be32(r);
    if (header.flags & GRE_SEQ)
        header.seq = rd_be32(r);
    if (!is_v0 && header.flags & GRE_ACK)
        rd_skip(r, 4);
    if (is_v0 && header.flags & GRE_ROUTING)
        skip_routing(r);
    return header;
}

/* Aruba's controllers put the number of the radio into the protocol; behind it is 802.11. */
static bool is_aruba(uint16_t protocol)
{
    return ((protocol & 0x8200) == 0x8200 && (protocol & 0x0f) == 0) || protocol == 0x9000;
}

static struct tunnel_result what_follows(struct reader *r, const struct gre_header *header)
{
    switch (header->protocol) {
    case GRE_PROTO_IPV4:
    case GRE_PROTO_IPV6:
        return (struct tunnel_result){.next = TUNNEL_IP};
    case GRE_PROTO_ETHERNET:
        return (struct tunnel_result){.next = TUNNEL_ETHERNET};
    case GRE_PROTO_ERSPAN:
        return (struct tunnel_result){
            .next = TUNNEL_DECODER,
            .decoder = header->flags & GRE_SEQ ? &tunnel_erspan2 : &tunnel_erspan1,
        };
    case GRE_PROTO_ERSPAN3:
        return (struct tunnel_result){.next = TUNNEL_DECODER, .decoder = &tunnel_erspan3};
    case GRE_PROTO_PPP:
        return (struct tunnel_result){.next = TUNNEL_PPP};
    case GRE_PROTO_WCCP:
        /* Version 2 has four bytes of its own before the IP header, version 1 has none. */
        if (rd_peek_u8(r, 0) >> 4 != 4)
            rd_skip(r, 4);
        return (struct tunnel_result){.next = TUNNEL_IP};
    }
    if (is_aruba(header->protocol))
        return (struct tunnel_result){.next = TUNNEL_LINK, .link = LINK_IEEE802_11};
    return (struct tunnel_result){.next = TUNNEL_ETHERTYPE, .ethertype = header->protocol};
}

static struct tunnel_result truncated(struct reader *r)
{
    rd_fail(r);
    return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "truncated_GRE"};
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    const struct reader start = *r;
    struct gre_header header = gre_read(r);
    if (rd_left(&start) < 4)
        return truncated(r);
    switch (header.flags & GRE_VERSION) {
    case 0:
        break;
    case 1:
        *r = start;
        return (struct tunnel_result){.next = TUNNEL_DECODER, .decoder = &tunnel_gre_pptp};
    default:
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "unknown_gre_version"};
    }
    if (header.flags & GRE_UNKNOWN)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "unknown_gre_flags"};
    if (!rd_ok(r))
        return truncated(r);
    layer->has_id = (header.flags & GRE_KEY) != 0;
    layer->id = header.key;
    layer->has_seq = (header.flags & GRE_SEQ) != 0;
    layer->seq = header.seq;
    if (rd_left(r) == 0) /* a keep-alive's answer, a probe */
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    struct tunnel_result result = what_follows(r, &header);
    if (header.flags & GRE_ROUTING)
        result.weird = "gre_routing";
    return result;
}

const struct tunnel_decoder tunnel_gre = {
    .name = "gre",
    .title = "GRE (RFC 2784, 2890), and the ERSPAN in it, IP protocol 47",
    .zeek_type = "GRE",
    .ip_protos = {47},
    .is_mirror = true,
    .decode = decode,
};
