/* For unit tests and fuzzers: frames made of fields, from the inside to the outside.
 *
 *     struct frame_bed b;
 *     frame_begin(&b, "hello", 5);
 *     frame_udp(&b, 4000, 53);
 *     frame_ip(&b, &src, &dst, 17);
 *     frame_ethernet(&b);
 *
 * Lengths are filled in; checksums are left 0, as a sender's own capture has them, unless asked
 * for. */
#ifndef NET_FRAMES_BED_H
#define NET_FRAMES_BED_H

#include <stdlib.h>
#include <string.h>

#include "net/packet.h"

#define FRAME_BED_MAX 70000u

struct frame_bed {
    size_t at; /* bytes [at, FRAME_BED_MAX) are the frame */
    uint16_t ip_id;
    bool checksums; /* of IPv4, TCP and UDP headers, from here on */
    uint8_t bytes[FRAME_BED_MAX];
};

static inline const uint8_t *frame_bytes(const struct frame_bed *b)
{
    return b->bytes + b->at;
}

static inline size_t frame_size(const struct frame_bed *b)
{
    return FRAME_BED_MAX - b->at;
}

static inline void frame_put(struct frame_bed *b, const void *bytes, size_t size)
{
    if (size > b->at)
        abort();
    b->at -= size;
    if (size)
        memcpy(b->bytes + b->at, bytes, size);
}

static inline void frame_set16(struct frame_bed *b, size_t offset, size_t value)
{
    b->bytes[b->at + offset] = (uint8_t)(value >> 8);
    b->bytes[b->at + offset + 1] = (uint8_t)value;
}

static inline void frame_set32(struct frame_bed *b, size_t offset, uint32_t value)
{
    frame_set16(b, offset, value >> 16);
    frame_set16(b, offset + 2, value & 0xffff);
}

static inline void frame_begin(struct frame_bed *b, const void *payload, size_t size)
{
    b->at = FRAME_BED_MAX;
    b->ip_id = 0;
    b->checksums = false;
    frame_put(b, payload, size);
}

/* RFC 1071; `sum` is what came before. */
static inline uint16_t frame_sum(uint32_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* `scale` < 0: no window scale option. */
static inline void frame_tcp(struct frame_bed *b, uint16_t sport, uint16_t dport, uint32_t seq,
                             uint32_t ack, uint8_t flags, uint16_t window, int scale)
{
    size_t header = scale < 0 ? 20 : 24;
    uint8_t h[24] = {0};
    h[12] = (uint8_t)(header << 2);
    h[13] = flags;
    h[20] = 1; /* no operation */
    h[21] = 3;
    h[22] = 3;
    h[23] = (uint8_t)scale;
    frame_put(b, h, header);
    frame_set16(b, 0, sport);
    frame_set16(b, 2, dport);
    frame_set32(b, 4, seq);
    frame_set32(b, 8, ack);
    frame_set16(b, 14, window);
}

static inline void frame_udp(struct frame_bed *b, uint16_t sport, uint16_t dport)
{
    uint8_t h[8] = {0};
    frame_put(b, h, sizeof h);
    frame_set16(b, 0, sport);
    frame_set16(b, 2, dport);
    frame_set16(b, 4, frame_size(b));
}

static inline void frame_icmp(struct frame_bed *b, uint8_t type, uint8_t code)
{
    uint8_t h[8] = {type, code, 0, 0, 0x12, 0x34, 0, 1};
    frame_put(b, h, sizeof h);
}

static inline void frame_ip(struct frame_bed *b, const struct addr *src, const struct addr *dst,
                            uint8_t proto)
{
    size_t payload = frame_size(b);
    bool v4 = addr_is_v4(src);
    if (b->checksums && (proto == 6 || proto == 17)) {
        uint32_t sum = proto + (uint32_t)payload;
        sum = frame_sum(sum, src->b + (v4 ? 12 : 0), v4 ? 4 : 16);
        sum = frame_sum(sum, dst->b + (v4 ? 12 : 0), v4 ? 4 : 16);
        sum = frame_sum(sum, frame_bytes(b), payload);
        frame_set16(b, proto == 6 ? 16 : 6, (uint16_t)~sum);
    }
    if (v4) {
        uint8_t h[20] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto};
        memcpy(h + 12, src->b + 12, 4);
        memcpy(h + 16, dst->b + 12, 4);
        frame_put(b, h, sizeof h);
        frame_set16(b, 2, payload + 20);
        frame_set16(b, 4, b->ip_id);
        if (b->checksums)
            frame_set16(b, 10, (uint16_t)~frame_sum(0, frame_bytes(b), 20));
    } else {
        uint8_t h[40] = {0x60, 0, 0, 0, 0, 0, proto, 64};
        memcpy(h + 8, src->b, 16);
        memcpy(h + 24, dst->b, 16);
        frame_put(b, h, sizeof h);
        frame_set16(b, 4, payload);
    }
}

static inline void frame_ethernet(struct frame_bed *b)
{
    uint8_t h[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    bool v4 = frame_bytes(b)[0] >> 4 == 4;
    h[12] = v4 ? 0x08 : 0x86;
    h[13] = v4 ? 0x00 : 0xdd;
    frame_put(b, h, sizeof h);
}

/* VXLAN (RFC 7348) over UDP and IP, and Ethernet again: as a mirror sends it. */
static inline void frame_vxlan(struct frame_bed *b, const struct addr *src, const struct addr *dst,
                               uint32_t vni)
{
    uint8_t h[8] = {8, 0, 0, 0, (uint8_t)(vni >> 16), (uint8_t)(vni >> 8), (uint8_t)vni, 0};
    frame_put(b, h, sizeof h);
    frame_udp(b, 50000, 4789);
    frame_ip(b, src, dst, 17);
    frame_ethernet(b);
}

static inline struct addr frame_addr(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return addr_v4((const uint8_t[]){a, b, c, d});
}

#endif
