/* Reads the header of an IP packet, with all its extension headers. */
#ifndef NET_IP_H
#define NET_IP_H

#include "net/packet.h"

/* What is needed to put a datagram together of which this is a part. */
struct ip_fragment {
    uint32_t id;
    uint32_t offset;      /* of packet.payload in the datagram's payload */
    bool more;            /* it is not the last */
    bool dont;            /* IPv4's DF */
    uint8_t next;         /* protocol of the payload, as this fragment says */
    uint8_t next_at;      /* IPv6: offset of the byte of the header that names the fragment header;
                           * 0 where that is past 255, and no sane packet */
    uint16_t header_size; /* of the part in front that every fragment has, at packet.ip */
};

/* `r` is at the first byte of the header; `wire` says how many bytes were sent from there on, of
 * which the capture may have kept fewer. `lenient`: a header that claims more than was sent is
 * believed, since a mirror may have cut the packet.
 *
 * PACKET_IP: all of `out` that belongs to IP is set but the ports. PACKET_FRAGMENT: so is
 * `fragment`, and the payload is the fragment's own. PACKET_OTHER: nothing that has connections
 * (ESP, mobility). PACKET_TRUNCATED: not whole, for whatever reason. PACKET_MALFORMED. */
enum packet_kind ip_decode(const struct reader *r, uint32_t wire, bool lenient, struct packet *out,
                           struct ip_fragment *fragment);

#endif
