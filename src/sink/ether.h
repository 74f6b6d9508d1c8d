/* Any packet as an Ethernet frame: sinks whose other side knows nothing else use it. Bare IP gets a
 * header with addresses that are made up (and locally administered, so nobody's). */
#ifndef SINK_ETHER_H
#define SINK_ETHER_H

#include "net/packet.h"
#include "sink/sink.h"

#define ETHER_HEADER_SIZE 14

/* The bytes that have to be put in front of the packet's: 0 or ETHER_HEADER_SIZE; -1: it is of a
 * link type that cannot be an Ethernet frame. */
static inline int ether_header(const struct sink_packet *packet, uint8_t out[ETHER_HEADER_SIZE])
{
    static const uint8_t made_up[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    struct reader r = rd_make(packet->bytes, packet->size);
    uint8_t version = rd_peek_u8(&r, 0) >> 4;
    switch (packet->link) {
    case LINK_ETHERNET:
        return 0;
    case LINK_RAW:
    case LINK_RAW_BSD:
    case LINK_RAW_OPENBSD:
    case LINK_IPV4:
    case LINK_IPV6:
        if (version != 4 && version != 6)
            return -1;
        memcpy(out, made_up, sizeof made_up);
        out[12] = version == 4 ? 0x08 : 0x86;
        out[13] = version == 4 ? 0x00 : 0xdd;
        return ETHER_HEADER_SIZE;
    default:
        return -1;
    }
}

#endif
