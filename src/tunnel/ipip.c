/* IP in IP (RFC 2003, RFC 2473, RFC 4213): the inner header directly behind the outer one, whose
 * protocol is 4 for an IPv4 packet and 41 for an IPv6 packet. There is no header between them.
 *
 * As in Zeek, the inner packet must fill the outer one exactly. */
#include "tunnel/tunnel.h"

#define PROTO_IPV4 4
#define PROTO_IPV6 41

/* What the inner header says of its packet's size; 0: it is not one that this protocol carries. */
static size_t inner_size(const struct reader *r, uint8_t ip_proto)
{
    uint8_t version = rd_peek_u8(r, 0) >> 4;
    if (version == 4 && ip_proto != PROTO_IPV6 && rd_left(r) >= 20)
        return rd_peek_be16(r, 2);
    if (version == 6 && ip_proto != PROTO_IPV4 && rd_left(r) >= 40)
        return rd_peek_be16(r, 4) + (size_t)40;
    return 0;
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    if (layer->ip_proto == PROTO_IPV6 && rd_left(r) < 40)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    size_t size = inner_size(r, layer->ip_proto);
    if (size == 0)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "invalid_inner_IP_version"};
    if (size != rd_left(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    return (struct tunnel_result){.next = TUNNEL_IP};
}

const struct tunnel_decoder tunnel_ipip = {
    .name = "ipip",
    .title = "IP in IP (RFC 2003, 2473, 4213), IP protocols 4 and 41",
    .zeek_type = "IP",
    .ip_protos = {PROTO_IPV4, PROTO_IPV6},
    .decode = decode,
};
