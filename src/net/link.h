/* Takes link headers off, however many there are, until an IP packet is found. */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "net/packet.h"

/* How many headers one frame may have before it is taken for an attack; Zeek's number. */
#define LINK_MAX_HEADERS 25

/* `r` holds a frame of this link type. PACKET_IP: it is now at the IP header, whose version the
 * first nibble says. PACKET_ARP, PACKET_OTHER; PACKET_TRUNCATED: a header was not whole, for
 * whatever reason. PACKET_MALFORMED, PACKET_REFUSED (too many headers).
 *
 * Sets the addresses and tags of `out`, and notes what is odd. */
enum packet_kind link_decode(struct reader *r, uint16_t link, struct packet *out);

/* The same where an EtherType, or a PPP packet, follows. */
enum packet_kind link_decode_ethertype(struct reader *r, uint16_t ethertype, struct packet *out);
enum packet_kind link_decode_ppp(struct reader *r, struct packet *out);

/* The next packet of an 802.11 A-MSDU: `r` is where packet.more began. */
enum packet_kind link_decode_subframe(struct reader *r, struct packet *out);

/* False: no such link type is known here; link_decode takes its frames for raw IP. */
bool link_known(uint16_t link);

#endif
