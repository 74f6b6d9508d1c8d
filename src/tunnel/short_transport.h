/* Packets that are too short for their transport header: which are, and what weird.log says. */
#ifndef TUNNEL_SHORT_TRANSPORT_H
#define TUNNEL_SHORT_TRANSPORT_H

#include "net/ip.h"
#include "net/packet.h"
#include "net/weird.h"

enum {
    PROTO_ICMP = 1,
    PROTO_IPV4 = 4,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_IPV6 = 41,
    PROTO_ICMP6 = 58,
    PROTO_SCTP = 132,
};

/* The least a transport header has; shorter ones make no connection. */
static inline uint32_t min_header(uint8_t proto)
{
    switch (proto) {
    case PROTO_TCP:
        return 20;
    case PROTO_UDP:
    case PROTO_ICMP:
    case PROTO_ICMP6:
        return 8;
    default:
        return 0;
    }
}

static inline enum packet_kind short_transport(struct packet *out, uint32_t need)
{
    const char *source = out->ip_proto == PROTO_TCP   ? "TCP"
                         : out->ip_proto == PROTO_UDP ? "UDP"
                                                      : "ICMP";
    bool is_wrong = out->payload_len > 0 && out->payload_len < need;
    weird_add(out, is_wrong ? "truncated_header" : "internally_truncated_header", source, true);
    return is_wrong ? PACKET_MALFORMED : PACKET_TRUNCATED;
}

#endif
