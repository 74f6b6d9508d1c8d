/* The plain case in one piece: a whole Ethernet, IPv4 and TCP or UDP header, no tag, no option, no
 * fragment. link_decode and ip_decode do all of this, and everything else, too; this is the same
 * with one check of the size instead of one for each header, for the nine packets of ten that
 * are so. For the drawings see link.c and ip.c. */
#ifndef NET_PLAIN_H
#define NET_PLAIN_H

#include "net/packet.h"

enum {
    PLAIN_ETHERNET = 14,
    PLAIN_IP = 20,
    PLAIN_TCP = 20,
    PLAIN_UDP = 8,
    PLAIN_SIZE = PLAIN_ETHERNET + PLAIN_IP + PLAIN_UDP,
};

/* `frame` is at an Ethernet header; `wire` bytes were sent from there on. False: not so plain, and
 * link_decode has to be asked; what was set in `out` until then means nothing. */
__attribute__((always_inline)) static inline bool plain_decode(struct reader frame, uint32_t wire,
                                                               struct packet *out)
{
    size_t captured = rd_left(&frame);
    struct reader h = rd_sub(&frame, PLAIN_SIZE);
    if (!rd_ok(&h))
        return false;

    const uint8_t *dst_mac = rd_bytes(&h, 6);
    const uint8_t *src_mac = rd_bytes(&h, 6);
    uint16_t type = rd_be16(&h);
    out->ip = h.at;
    uint8_t version_and_size = rd_u8(&h);
    rd_skip(&h, 1);
    uint32_t total = rd_be16(&h);
    uint16_t id = rd_be16(&h);
    uint16_t flags = rd_be16(&h);
    uint8_t ttl = rd_u8(&h);
    uint8_t proto = rd_u8(&h);
    rd_skip(&h, 2);
    const uint8_t *src = rd_bytes(&h, 4);
    const uint8_t *dst = rd_bytes(&h, 4);

    uint32_t least = PLAIN_IP + (proto == 6 ? PLAIN_TCP : PLAIN_UDP);
    if (type != 0x0800 || version_and_size != 0x45 || (flags & 0x3fff) != 0 ||
        (proto != 6 && proto != 17) || total < least || captured < PLAIN_ETHERNET + least ||
        total > wire - PLAIN_ETHERNET)
        return false;

    memcpy(out->dst_mac, dst_mac, 6);
    memcpy(out->src_mac, src_mac, 6);
    out->has_mac = true;
    out->src = addr_v4(src);
    out->dst = addr_v4(dst);
    out->ip_version = 4;
    out->ip_proto = proto;
    out->ttl = ttl;
    out->ip_id = id;
    uint32_t size = (uint32_t)captured - PLAIN_ETHERNET;
    out->ip_size = total < size ? total : size;
    out->ip_len = total;
    out->payload = h.at;
    out->payload_size = out->ip_size - PLAIN_IP;
    out->payload_len = total - PLAIN_IP;
    out->sport = rd_be16(&h);
    out->dport = rd_be16(&h);
    return true;
}

#endif
