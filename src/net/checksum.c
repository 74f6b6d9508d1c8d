/* The Internet checksum (RFC 1071), with the pseudo-headers of RFC 9293, RFC 768, RFC 8200. */
#include "net/checksum.h"

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) >= 8) {
        uint64_t v = rd_be64(&r);
        sum += (v >> 32) + (uint32_t)v;
    }
    if (rd_left(&r) >= 4)
        sum += rd_be32(&r);
    if (rd_left(&r) >= 2)
        sum += rd_be16(&r);
    if (rd_left(&r) > 0)
        sum += (uint64_t)rd_u8(&r) << 8;
    return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

enum checksum_result checksum_ip(const struct packet *packet)
{
    if (packet->ip_version != 4)
        return CHECKSUM_GOOD;
    size_t size = packet->ip_len - packet->payload_len;
    if (size > packet->ip_size)
        return CHECKSUM_UNKNOWN;
    return checksum_fold(checksum_add(0, packet->ip, size)) == 0 ? CHECKSUM_GOOD : CHECKSUM_BAD;
}

static uint64_t pseudo_header(const struct packet *packet)
{
    uint64_t sum = packet->ip_proto;
    if (packet->ip_version == 4) {
        sum = checksum_add(sum, packet->src.b + 12, 4);
        sum = checksum_add(sum, packet->dst.b + 12, 4);
    } else {
        sum = checksum_add(sum, packet->src.b, 16);
        sum = checksum_add(sum, packet->dst.b, 16);
    }
    return sum + packet->payload_len;
}

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, MOBILITY = 135 };

enum checksum_result checksum_payload(const struct packet *packet)
{
    if (packet->payload_size < packet->payload_len)
        return CHECKSUM_UNKNOWN;

    uint64_t sum = 0;
    switch (packet->ip_proto) {
    case UDP: {
        struct reader r = rd_make(packet->payload, packet->payload_size);
        rd_skip(&r, 6);
        if (rd_be16(&r) == 0 && packet->ip_version == 4 && rd_ok(&r))
            return CHECKSUM_GOOD; /* the sender computed none */
        sum = pseudo_header(packet);
        break;
    }
    case TCP:
    case ICMP6:
    case MOBILITY:
        sum = pseudo_header(packet);
        break;
    case ICMP:
        break;
    default:
        return CHECKSUM_UNKNOWN;
    }
    sum = checksum_add(sum, packet->payload, packet->payload_size);
    return checksum_fold(sum) == 0 ? CHECKSUM_GOOD : CHECKSUM_BAD;
}
