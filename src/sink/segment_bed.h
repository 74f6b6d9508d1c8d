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

/* The frame is in a tunnel's packet: of UDP with a checksum or without, GRE with one, IP in IP. */
enum wrap { WRAP_UDP, WRAP_UDP_SUM, WRAP_GRE, WRAP_IP, N_WRAPS };

/* Bytes of it between the outer IP header and what is inside. */
static const uint32_t wrap_sizes[N_WRAPS] = {
    [WRAP_UDP] = 16, [WRAP_UDP_SUM] = 16, [WRAP_GRE] = 8, [WRAP_IP] = 0};

static inline void put_wrap(struct frame_bed *b, enum wrap wrap, bool outer_v4, bool inner_v4)
{
    struct addr src = outer_v4 ? frame_addr(10, 9, 0, 1) : v6(8);
    struct addr dst = outer_v4 ? frame_addr(10, 9, 0, 2) : v6(9);
    uint8_t proto = wrap == WRAP_IP ? (inner_v4 ? 4 : 41) : wrap == WRAP_GRE ? 47 : 17;
    if (wrap == WRAP_IP) {
        b->at += 14; /* bare IP */
    } else if (wrap == WRAP_GRE) {
        const uint8_t gre[8] = {0x80, 0, 0x65, 0x58, 0xff, 0xff};
        frame_put(b, gre, sizeof gre);
    } else {
        const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 7, 0};
        frame_put(b, vxlan, sizeof vxlan);
        frame_udp(b, 50000, 4789);
        if (wrap == WRAP_UDP_SUM)
            frame_set16(b, 6, 0x1234);
    }
    b->ip_id = 0xffff;
    frame_ip(b, &src, &dst, proto);
    frame_ethernet(b);
}

/* Where headers are in such a frame. */
struct tunnel_places {
    uint32_t outer, inner_ip, transport; /* behind the outer IP header, … */
};

static inline struct tunnel_places places_of(enum wrap wrap, bool outer_v4, bool inner_v4)
{
    uint32_t outer = 14 + (outer_v4 ? 20 : 40);
    uint32_t inner_ip = outer + wrap_sizes[wrap] + (wrap == WRAP_IP ? 0 : 14);
    return (struct tunnel_places){outer, inner_ip, inner_ip + (inner_v4 ? 20 : 40)};
}

/* 5000 bytes of payload. */
static inline void make_in_tunnel(struct frame_bed *b, enum wrap wrap, bool outer_v4, bool inner_v4,
                                  bool is_tcp)
{
    if (is_tcp) {
        make_tcp(b, inner_v4, 5000, TCP_ACK | TCP_FIN);
    } else {
        struct addr src = inner_v4 ? frame_addr(10, 0, 0, 1) : v6(1);
        struct addr dst = inner_v4 ? frame_addr(10, 0, 0, 2) : v6(2);
        fill_payload();
        frame_begin(b, payload, 5000);
        frame_udp(b, 443, 5000);
        b->ip_id = 0xfffe;
        frame_ip(b, &src, &dst, 17);
        frame_ethernet(b);
    }
    put_wrap(b, wrap, outer_v4, inner_v4);
}

/* Pieces with `step` bytes of it, behind an inner header of `header` bytes. */
static inline void check_in_tunnel(struct segmenter *s, enum wrap wrap,
                                   const struct tunnel_places *places, bool outer_v4, bool inner_v4,
                                   uint32_t header, uint32_t step)
{
    uint8_t out[SEGMENT_MAX_HEADERS + 2000], bare[SEGMENT_MAX_HEADERS + 2000];
    uint32_t at = 0, n;
    for (unsigned i = 0; (n = segment_next(s, out)) > 0; i++) {
        /* the tunnel's packet: its lengths and sums are looked at by decode */
        struct packet packet = decode(out, n, &(struct ip_fragment){0});
        assert_int_equal(packet.payload - out, places->outer);
        if (outer_v4)
            assert_int_equal(packet.ip_id, (uint16_t)(0xffff + i));
        struct reader r = rd_make(packet.payload, packet.payload_size);
        if (wrap == WRAP_UDP || wrap == WRAP_UDP_SUM) {
            rd_skip(&r, 4);
            assert_int_equal(rd_be16(&r), packet.payload_size);
            assert_int_equal(rd_be16(&r) != 0, wrap == WRAP_UDP_SUM);
        } else if (wrap == WRAP_GRE) {
            uint64_t sum = checksum_add(0, packet.payload, packet.payload_size);
            assert_int_equal(checksum_fold(sum), 0);
        }
        /* and what is inside */
        memcpy(bare, out, 12);
        bare[12] = inner_v4 ? 0x08 : 0x86;
        bare[13] = inner_v4 ? 0x00 : 0xdd;
        memcpy(bare + 14, out + places->inner_ip, n - places->inner_ip);
        packet = decode(bare, n - places->inner_ip + 14, &(struct ip_fragment){0});
        if (inner_v4)
            assert_int_equal(packet.ip_id, (uint16_t)(0xfffe + i));
        assert_int_equal(packet.payload_size, header + (at + step < 5000 ? step : 5000 - at));
        assert_memory_equal(packet.payload + header, payload + at, packet.payload_size - header);
        at += packet.payload_size - header;
    }
    assert_int_equal(at, 5000);
}

#endif
