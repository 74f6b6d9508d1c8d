/* The headers of IPv4 (RFC 791) and IPv6 (RFC 8200); IPv6's extension headers are in ip6_chain.c.
 *
 *      0               8               16              24            31
 *     +-------+-------+---------------+-------------------------------+
 *     |   4   | words |    service    |         total length          |
 *     +-------+-------+---------------+-----+-------------------------+
 *     |        identification         |0 D M|    fragment offset      |
 *     +---------------+---------------+-----+-------------------------+
 *     |      TTL      |   protocol    |        header checksum        |
 *     +---------------+---------------+-------------------------------+
 *     |                        source address                         |
 *     +---------------------------------------------------------------+
 *     |                     destination address                       |
 *     +---------------------------------------------------------------+
 *
 *     +-------+---------------+---------------------------------------+
 *     |   6   | traffic class |              flow label               |
 *     +-------+---------------+-------+---------------+---------------+
 *     |        payload length         |  next header  |   hop limit   |
 *     +-------------------------------+---------------+---------------+
 *     |            source address, destination address (16 each)      |
 *     +---------------------------------------------------------------+
 *
 * What is refused, and under which name, is as in Zeek. */
#include "net/ip.h"

#include "net/ip6_chain.h"
#include "net/weird.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define IP4_MIN 20
#define IP6_MIN 40

static enum packet_kind refuse(struct packet *out, const char *weird, enum packet_kind kind)
{
    weird_add(out, weird, "IP", false);
    return kind;
}

/* Sets the sizes: `r` is at the header, and `header_size` bytes of it are before the payload. */
static inline void set_payload(struct reader r, uint32_t total, uint32_t header_size,
                               struct packet *out)
{
    struct reader packet = rd_sub_upto(&r, total);
    out->ip_size = (uint32_t)rd_left(&packet);
    out->ip_len = total;
    out->payload_len = total - header_size;
    rd_skip(&packet, header_size);
    out->payload = packet.at;
    out->payload_size = (uint32_t)rd_left(&packet);
}

/* A fragment that is not whole cannot be put together; but the first says whose it is. */
static enum packet_kind fragment_kind(struct packet *out, const struct ip_fragment *fragment)
{
    if (out->payload_size >= out->payload_len)
        return PACKET_FRAGMENT;
    weird_add(out, "incompletely_captured_fragment", "IP", true);
    return fragment->offset == 0 ? PACKET_IP : PACKET_TRUNCATED;
}

static inline enum packet_kind ip4(const struct reader *r, uint32_t wire, bool lenient,
                                   struct packet *out, struct ip_fragment *fragment)
{
    uint32_t captured = (uint32_t)rd_left(r);
    out->ip = r->at;

    struct reader packet = *r;
    struct reader h = rd_sub(&packet, IP4_MIN);
    uint32_t header_size = (rd_u8(&h) & 15u) * 4;
    rd_skip(&h, 1);
    uint32_t total = rd_be16(&h);
    uint16_t id = rd_be16(&h);
    uint16_t flags = rd_be16(&h);
    uint8_t ttl = rd_u8(&h);
    uint8_t proto = rd_u8(&h);
    rd_skip(&h, 2);
    const uint8_t *src = rd_bytes(&h, 4);
    const uint8_t *dst = rd_bytes(&h, 4);
    if (unlikely(!rd_ok(&h)))
        return refuse(out, "truncated_IP", PACKET_TRUNCATED);

    if (unlikely(total < header_size || total > wire || header_size != IP4_MIN)) {
        if (total == 0) { /* segmentation offload, or more than 64 KiB of it */
            weird_add(out, "ip_hdr_len_zero", "IP", false);
            total = captured;
        }
        if (total > wire && !lenient)
            return refuse(out, "truncated_IP_len", PACKET_MALFORMED);
        if (header_size > total)
            return refuse(out, "invalid_IP_header_size", PACKET_MALFORMED);
        if (header_size > captured)
            return refuse(out, "internally_truncated_header", PACKET_TRUNCATED);
        if (header_size < IP4_MIN)
            return refuse(out, "IPv4_min_header_size", PACKET_MALFORMED);
    }

    out->src = addr_v4(src);
    out->dst = addr_v4(dst);
    out->ip_version = 4;
    out->ip_proto = proto;
    out->ttl = ttl;
    out->ip_id = id;
    set_payload(*r, total, header_size, out);

    if (likely((flags & 0x3fff) == 0))
        return PACKET_IP;
    *fragment = (struct ip_fragment){
        .id = id,
        .offset = (flags & 0x1fffu) * 8,
        .more = flags & 0x2000,
        .dont = flags & 0x4000,
        .next = proto,
        .header_size = (uint16_t)header_size,
    };
    return fragment_kind(out, fragment);
}

static enum packet_kind ip6(const struct reader *r, uint32_t wire, bool lenient, struct packet *out,
                            struct ip_fragment *fragment)
{
    struct reader packet = *r;
    out->ip = r->at;
    struct reader h = rd_sub(&packet, IP6_MIN);
    rd_skip(&h, 4);
    uint32_t payload_len = rd_be16(&h);
    uint8_t next = rd_u8(&h);
    uint8_t ttl = rd_u8(&h);
    const uint8_t *src = rd_bytes(&h, 16);
    const uint8_t *dst = rd_bytes(&h, 16);
    if (unlikely(!rd_ok(&h)))
        return refuse(out, "truncated_IP", PACKET_TRUNCATED);

    out->src = addr_v6(src);
    out->dst = addr_v6(dst);
    out->ip_version = 6;
    out->ttl = ttl;
    out->ip_id = 0;

    struct ip6_chain chain = {.next = next, .next_at = 6, .size = IP6_MIN};
    if (unlikely(ip6_chain_has(next)))
        ip6_chain_decode(&packet, out, &chain);
    out->ip_proto = chain.next;

    if (unlikely(payload_len == 0)) {
        if (chain.jumbo_len > 0) /* RFC 2675 */
            payload_len = chain.jumbo_len;
        else if (next == 6 && wire > IP6_MIN + UINT16_MAX) /* segments too large for the field */
            payload_len = wire - IP6_MIN;
    }
    if (unlikely(payload_len > UINT32_MAX - IP6_MIN))
        return refuse(out, "truncated_IP_len", PACKET_MALFORMED);
    uint32_t total = payload_len + IP6_MIN;
    if (unlikely(total > wire && !lenient))
        return refuse(out, "truncated_IP_len", PACKET_MALFORMED);
    if (unlikely(chain.size > total))
        return refuse(out, "invalid_IP_header_size", PACKET_MALFORMED);
    set_payload(*r, total, chain.size, out);

    if (likely(chain.last == 0))
        return PACKET_IP;
    switch (chain.last) {
    case IP6_FRAGMENT:
        *fragment = (struct ip_fragment){
            .id = chain.fragment_id,
            .offset = chain.fragment_offset,
            .more = chain.fragment_more,
            .next = chain.next,
            .next_at = chain.next_at <= UINT8_MAX ? (uint8_t)chain.next_at : 0,
            .header_size = (uint16_t)(chain.size - 8),
        };
        return fragment_kind(out, fragment);
    case IP6_MOBILITY:
        if (chain.next != IP6_NO_NEXT)
            weird_add(out, "mobility_piggyback", "IP", true);
        return PACKET_OTHER;
    default: /* ESP: what is behind is encrypted */
        return PACKET_OTHER;
    }
}

enum packet_kind ip_decode(const struct reader *r, uint32_t wire, bool lenient, struct packet *out,
                           struct ip_fragment *fragment)
{
    if (unlikely(rd_left(r) < IP4_MIN))
        return refuse(out, "truncated_IP", PACKET_TRUNCATED);
    switch (rd_peek_u8(r, 0) >> 4) {
    case 4:
        return ip4(r, wire, lenient, out, fragment);
    case 6:
        return ip6(r, wire, lenient, out, fragment);
    default:
        return refuse(out, "unknown_ip_version", PACKET_MALFORMED);
    }
}
