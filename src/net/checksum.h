/* The Internet checksum (RFC 1071), and whether those of a decoded packet are right. */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include "net/packet.h"

enum checksum_result {
    CHECKSUM_GOOD,
    CHECKSUM_BAD,
    CHECKSUM_UNKNOWN, /* bytes that it covers were not captured, or the protocol has none */
};

/* Adds the bytes, as big-endian words, to a sum of earlier ones; all but the last piece that is
 * added must have an even size. checksum_fold gives the checksum of such a sum: 0 where the bytes
 * hold a right one. */
uint64_t checksum_add(uint64_t sum, const void *bytes, size_t size);
uint16_t checksum_fold(uint64_t sum);

/* Of the IPv4 header; GOOD for IPv6, which has none. */
enum checksum_result checksum_ip(const struct packet *packet);

/* Of TCP, UDP, ICMP, ICMPv6 or the mobility header, with the pseudo-header where there is one. */
enum checksum_result checksum_payload(const struct packet *packet);

#endif
