/* For unit tests: frames to be cut, and what the rest of the program sees in the pieces. */
#ifndef SINK_SEGMENT_BED_H
#define SINK_SEGMENT_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "net/checksum.h"
#include "net/frames_bed.h"
#include "net/ip.h"
#include "net/link.h"
#include "sink/segment.h"

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_CWR 0x80
#define SEQ     0xfffffff0u /* so that it wraps */

static uint8_t payload[66000];

static inline void fill_payload(void)
{
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8));
}

static inline struct addr v6(uint8_t last)
{
    const uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = last};
    return addr_v6(bytes);
}

static inline void make_tcp(struct frame_bed *b, bool is_v4, uint32_t size, uint8_t flags)
{
    struct addr src = is_v4 ? frame_addr(10, 0, 0, 1) : v6(1);
    struct addr dst = is_v4 ? frame_addr(10, 0, 0, 2) : v6(2);
    fill_payload();
    frame_begin(b, payload, size);
    b->ip_id = 0xfffe;
    frame_tcp(b, 40000, 80, SEQ, 7, flags, 500, 7);
    frame_ip(b, &src, &dst, 6);
    frame_ethernet(b);
}

static inline void tag(struct frame_bed *b, uint16_t type)
{
    uint8_t macs[12];
    memcpy(macs, frame_bytes(b), 12);
    b->at += 12;
    const uint8_t h[4] = {(uint8_t)(type >> 8), (uint8_t)type, 0, 42};
    frame_put(b, h, 4);
    frame_put(b, macs, 12);
}

/* A piece as the rest of the program sees it; all it says has to be there. */
static inline struct packet decode(const uint8_t *piece, uint32_t size,
                                   struct ip_fragment *fragment)
{
    static struct packet_weird weirds[PACKET_MAX_WEIRDS];
    struct packet packet = {.weirds = weirds};
    struct reader r = rd_make(piece, size);
    assert_int_equal(link_decode(&r, LINK_ETHERNET, &packet), PACKET_IP);
    enum packet_kind kind = ip_decode(&r, (uint32_t)rd_left(&r), false, &packet, fragment);
    assert_true(kind == PACKET_IP || kind == PACKET_FRAGMENT);
    assert_int_equal(packet.ip + packet.ip_len - piece, size);
    assert_int_equal(checksum_ip(&packet), CHECKSUM_GOOD);
    if (kind == PACKET_IP)
        assert_int_equal(checksum_payload(&packet), packet.ip_proto == 6 || packet.ip_proto == 17
                                                        ? CHECKSUM_GOOD
                                                        : CHECKSUM_UNKNOWN);
    return packet;
}

#endif
