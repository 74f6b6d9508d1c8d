// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sink/segment.h"

#include "net/checksum.h"
#include "net/frames_bed.h"
#include "net/ip.h"
#include "net/link.h"

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_CWR 0x80
#define SEQ     0xfffffff0u /* so that it wraps */

static uint8_t payload[66000];

static void fill_payload(void)
{
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8));
}

static struct addr v6(uint8_t last)
{
    const uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = last};
    return addr_v6(bytes);
}

static void make_tcp(struct frame_bed *b, bool is_v4, uint32_t size, uint8_t flags)
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

static void tag(struct frame_bed *b, uint16_t type)
{
    uint8_t macs[12];
    memcpy(macs, frame_bytes(b), 12);
    b->at += 12;
    const uint8_t h[4] = {(uint8_t)(type >> 8), (uint8_t)type, 0, 42};
    frame_put(b, h, 4);
    frame_put(b, macs, 12);
}

/* A piece as the rest of the program sees it; all it says has to be there. */
static struct packet decode(const uint8_t *piece, uint32_t size, struct ip_fragment *fragment)
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
        assert_int_equal(checksum_payload(&packet), CHECKSUM_GOOD);
    return packet;
}

struct seen {
    unsigned n_pieces;
    uint32_t size; /* of the payload */
    uint8_t first_flags, middle_flags, last_flags;
};

/* Cuts the frame and puts the payload together again. */
static struct seen cut_tcp(const uint8_t *frame, uint32_t size, uint32_t mtu, uint32_t room)
{
    struct segmenter s;
    struct seen seen = {0};
    uint8_t *copy = malloc(size);
    memcpy(copy, frame, size);
    assert_int_equal(segment_begin(&s, copy, size, mtu), SEGMENT_TCP);
    uint8_t *out = malloc(mtu + 18);
    uint32_t n;
    while ((n = segment_next(&s, out)) > 0) {
        assert_true(n <= room);
        struct packet packet = decode(out, n, &(struct ip_fragment){0});
        assert_int_equal(packet.ip_proto, 6);
        if (packet.ip_version == 4)
            assert_int_equal(packet.ip_id, (uint16_t)(0xfffe + seen.n_pieces));
        struct reader tcp = rd_make(packet.payload, packet.payload_size);
        assert_int_equal(rd_be16(&tcp), 40000);
        assert_int_equal(rd_be16(&tcp), 80);
        assert_int_equal(rd_be32(&tcp), SEQ + seen.size);
        assert_int_equal(rd_be32(&tcp), 7);
        assert_int_equal(rd_u8(&tcp) >> 4, 6);
        seen.last_flags = rd_u8(&tcp);
        if (seen.n_pieces == 0)
            seen.first_flags = seen.last_flags;
        if (seen.n_pieces == 1)
            seen.middle_flags = seen.last_flags;
        assert_int_equal(rd_be16(&tcp), 500);
        rd_skip(&tcp, 4);
        assert_int_equal(rd_be32(&tcp), 0x01030307); /* the options are kept */
        uint32_t left = (uint32_t)rd_left(&tcp);
        assert_memory_equal(tcp.at, payload + seen.size, left);
        seen.size += left;
        seen.n_pieces++;
    }
    assert_int_equal(segment_next(&s, out), 0);
    free(out);
    free(copy);
    return seen;
}

static void test_tcp(void **state)
{
    struct frame_bed b;
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        uint32_t header = is_v4 ? 44 : 64;
        uint32_t sizes[] = {1457, 4000, 9000, 3 * (1500 - header), 65400};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            make_tcp(&b, is_v4, sizes[i], TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR);
            struct seen seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 1500, 1514);
            uint32_t step = 1500 - header;
            assert_int_equal(seen.size, sizes[i]);
            assert_int_equal(seen.n_pieces, (sizes[i] + step - 1) / step);
            assert_int_equal(seen.first_flags, TCP_ACK | TCP_CWR);
            assert_int_equal(seen.last_flags, TCP_ACK | TCP_PSH | TCP_FIN);
            if (seen.n_pieces > 2)
                assert_int_equal(seen.middle_flags, TCP_ACK);
        }
    }
}

static void test_what_fits_is_left_alone(void **state)
{
    struct frame_bed b;
    struct segmenter s;
    uint8_t out[1600];
    make_tcp(&b, true, 1500 - 44, TCP_ACK);
    assert_int_equal(frame_size(&b), 1514);
    assert_int_equal(segment_begin(&s, frame_bytes(&b), 1514, 1500), SEGMENT_FITS);
    assert_int_equal(segment_next(&s, out), 0);
    tag(&b, 0x8100);
    assert_int_equal(segment_begin(&s, frame_bytes(&b), 1518, 1500), SEGMENT_FITS);
    tag(&b, 0x88a8); /* the room is for one 802.1Q tag, in front */
    assert_int_equal(segment_begin(&s, frame_bytes(&b), 1522, 1500), SEGMENT_TCP);
}

static void test_tags_are_on_every_piece(void **state)
{
    struct frame_bed b;
    make_tcp(&b, true, 20000, TCP_ACK);
    tag(&b, 0x8100);
    struct seen seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 1500, 1518);
    assert_int_equal(seen.size, 20000);
    make_tcp(&b, false, 20000, TCP_ACK);
    tag(&b, 0x8100);
    tag(&b, 0x88a8);
    seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 1500, 1514);
    assert_int_equal(seen.size, 20000);
}

/* The length field is 0 in a frame of more than 64 KiB. */
static void test_length_that_is_not_said(void **state)
{
    struct frame_bed b;
    make_tcp(&b, true, 65900, TCP_ACK | TCP_FIN);
    frame_set16(&b, 16, 0);
    struct seen seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 9216, 9230);
    assert_int_equal(seen.size, 65900);
    assert_int_equal(seen.last_flags, TCP_ACK | TCP_FIN);
    make_tcp(&b, false, 65900, TCP_ACK | TCP_FIN);
    frame_set16(&b, 18, 0);
    seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 9216, 9230);
    assert_int_equal(seen.size, 65900);
}

static void test_big_tcp(void **state)
{
    struct frame_bed b;
    struct addr src = v6(1), dst = v6(2);
    fill_payload();
    frame_begin(&b, payload, 65900);
    frame_tcp(&b, 40000, 80, SEQ, 7, TCP_ACK, 500, 7);
    const uint8_t jumbo[8] = {6, 0, 0xc2, 4, 0, 1, 1, 0x8c};
    frame_put(&b, jumbo, sizeof jumbo);
    frame_ip(&b, &src, &dst, 0);
    frame_ethernet(&b);
    frame_set16(&b, 18, 0);
    struct seen seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 1500, 1514);
    assert_int_equal(seen.size, 65900);
    assert_int_equal(seen.n_pieces, (65900 + 1435) / 1436);
}

static void test_extension_headers_are_kept(void **state)
{
    struct frame_bed b;
    struct addr src = v6(1), dst = v6(2);
    fill_payload();
    frame_begin(&b, payload, 5000);
    frame_tcp(&b, 40000, 80, SEQ, 7, TCP_ACK, 500, 7);
    const uint8_t options[8] = {6, 0, 1, 4};
    frame_put(&b, options, sizeof options);
    frame_ip(&b, &src, &dst, 60);
    frame_ethernet(&b);
    struct seen seen = cut_tcp(frame_bytes(&b), (uint32_t)frame_size(&b), 1500, 1514);
    assert_int_equal(seen.size, 5000);
    assert_int_equal(seen.n_pieces, (5000 + 1427) / 1428);
}

/* Ethernet's padding, or a trailer, is no payload; what the capture cut off has no FIN. */
static void test_trailer_and_cut(void **state)
{
    struct frame_bed b;
    make_tcp(&b, true, 4000, TCP_ACK | TCP_FIN);
    uint32_t size = (uint32_t)frame_size(&b);
    uint8_t *longer = calloc(1, size + 100);
    memcpy(longer, frame_bytes(&b), size);
    struct seen seen = cut_tcp(longer, size + 100, 1500, 1514);
    assert_int_equal(seen.size, 4000);
    assert_int_equal(seen.last_flags, TCP_ACK | TCP_FIN);
    seen = cut_tcp(longer, size - 1000, 1500, 1514);
    assert_int_equal(seen.size, 3000);
    assert_int_equal(seen.last_flags, TCP_ACK);
    free(longer);
}

static void cut_fragments(uint16_t first_offset, uint16_t more_after, uint32_t lost)
{
    struct frame_bed b;
    struct segmenter s;
    uint8_t out[1518];
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    fill_payload();
    frame_begin(&b, payload, 8000);
    frame_udp(&b, 5000, 6000);
    b.ip_id = 77;
    frame_ip(&b, &src, &dst, 17);
    frame_set16(&b, 6, first_offset / 8 | more_after | (first_offset ? 0 : 0x4000));
    frame_ethernet(&b);
    const uint8_t *datagram = frame_bytes(&b) + 34;
    uint32_t size = (uint32_t)frame_size(&b) - lost;
    assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 1500), SEGMENT_FRAGMENTS);
    uint32_t at = 0, n;
    bool more = true;
    while ((n = segment_next(&s, out)) > 0) {
        struct ip_fragment fragment = {0};
        assert_true(more);
        assert_true(n <= 1514);
        struct packet packet = decode(out, n, &fragment);
        assert_int_equal(fragment.id, 77);
        assert_int_equal(fragment.offset, first_offset + at);
        assert_false(fragment.dont);
        more = fragment.more;
        assert_memory_equal(packet.payload, datagram + at, packet.payload_size);
        at += packet.payload_size;
    }
    assert_int_equal(at, 8008 - lost);
    assert_int_equal(more, more_after || lost);
}

static void test_udp_becomes_fragments(void **state)
{
    cut_fragments(0, 0, 0);
    cut_fragments(0, 0, 500);
    cut_fragments(16000, 0x2000, 0);
    cut_fragments(16000, 0, 0);
}

static void test_what_cannot_be_cut(void **state)
{
    struct frame_bed b;
    struct segmenter s;
    struct addr src = v6(1), dst = v6(2);
    uint8_t out[1518];
    fill_payload();
    frame_begin(&b, payload, 4000);
    frame_udp(&b, 5000, 6000);
    frame_ip(&b, &src, &dst, 17); /* IPv6 fragments have another header */
    frame_ethernet(&b);
    uint32_t size = (uint32_t)frame_size(&b);
    assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 1500), SEGMENT_CANNOT);
    assert_int_equal(segment_next(&s, out), 0);

    uint8_t other[2000] = {[12] = 0x88, [13] = 0xcc};
    assert_int_equal(segment_begin(&s, other, sizeof other, 1500), SEGMENT_CANNOT);
    make_tcp(&b, true, 4000, TCP_ACK);
    size = (uint32_t)frame_size(&b);
    assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 44), SEGMENT_CANNOT); /* no room */
    assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 45), SEGMENT_TCP);
    frame_set16(&b, 14 + 20 + 12, 0x1010); /* a TCP header of 4 bytes */
    assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 1500), SEGMENT_CANNOT);
}

/* Any byte of the headers may be wrong, and the frame may end anywhere: pieces stay within their
 * size, and there is an end of them. Under the sanitizers this says more. */
static void test_hostile_headers(void **state)
{
    struct frame_bed b;
    for (int kind = 0; kind < 4; kind++)
        for (uint32_t at = 12; at < 90; at++)
            for (int bit = 0; bit < 9; bit++) {
                make_tcp(&b, kind & 1, 700, TCP_ACK);
                if (kind & 2)
                    tag(&b, 0x8100);
                uint32_t size = bit == 8 ? at : (uint32_t)frame_size(&b);
                uint8_t *copy = malloc(size);
                memcpy(copy, frame_bytes(&b), size);
                if (bit < 8)
                    copy[at] ^= (uint8_t)(1u << bit);
                struct segmenter s;
                uint8_t *out = malloc(100 + 18);
                unsigned n_pieces = 0;
                uint32_t n;
                (void)segment_begin(&s, copy, size, 100);
                while ((n = segment_next(&s, out)) > 0) {
                    assert_true(n <= 118);
                    assert_true(++n_pieces <= 700);
                }
                (void)segment_finish_checksum(copy, size);
                free(out);
                free(copy);
            }
}

static void finish_one(bool is_v4, uint8_t proto)
{
    struct frame_bed b, right;
    struct addr src = is_v4 ? frame_addr(10, 0, 0, 1) : v6(1);
    struct addr dst = is_v4 ? frame_addr(10, 0, 0, 2) : v6(2);
    fill_payload();
    for (int i = 0; i < 2; i++) {
        struct frame_bed *bed = i ? &right : &b;
        frame_begin(bed, payload, 333);
        if (proto == 6)
            frame_tcp(bed, 40000, 80, SEQ, 7, TCP_ACK, 500, 7);
        else
            frame_udp(bed, 5000, 53);
        bed->checksums = i;
        frame_ip(bed, &src, &dst, proto);
        frame_ethernet(bed);
    }
    uint32_t size = (uint32_t)frame_size(&b);
    size_t field = (is_v4 ? 34 : 54) + (proto == 6 ? 16u : 6u);
    if (is_v4) /* its own checksum is not at stake */
        memcpy(b.bytes + b.at + 24, frame_bytes(&right) + 24, 2);

    /* As Linux leaves it to the card. */
    size_t transport = size - (is_v4 ? 34 : 54);
    uint32_t sum = proto + (uint32_t)transport;
    sum = frame_sum(sum, src.b + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
    sum = frame_sum(sum, dst.b + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
    frame_set16(&b, field, sum);
    assert_true(segment_finish_checksum(b.bytes + b.at, size));
    assert_memory_equal(frame_bytes(&b), frame_bytes(&right), size);
    assert_false(segment_finish_checksum(b.bytes + b.at, size)); /* it is right now */

    frame_set16(&b, field, 0);
    assert_int_equal(segment_finish_checksum(b.bytes + b.at, size), proto == 6 || !is_v4);
    frame_set16(&b, field, sum + 1); /* wrong is not unfinished */
    assert_false(segment_finish_checksum(b.bytes + b.at, size));
    frame_set16(&b, field, sum);
    assert_false(segment_finish_checksum(b.bytes + b.at, size - 1)); /* not all is there */
}

static void test_checksums_are_finished(void **state)
{
    finish_one(true, 6);
    finish_one(false, 6);
    finish_one(true, 17);
    finish_one(false, 17);
}

/* The kernel's word for it counts, not what would fit. */
static void test_sizes_that_are_said(void **state)
{
    struct frame_bed b;
    struct segmenter s;
    uint8_t out[SEGMENT_MAX_HEADERS + 1200];
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        uint32_t transport = is_v4 ? 34 : 54, at = 0, n;
        make_tcp(&b, is_v4, 5000, TCP_ACK | TCP_FIN);
        uint32_t size = (uint32_t)frame_size(&b);
        assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, transport, 1200),
                         SEGMENT_TCP);
        while ((n = segment_next(&s, out)) > 0) {
            struct packet packet = decode(out, n, &(struct ip_fragment){0});
            struct reader tcp = rd_make(packet.payload, packet.payload_size);
            rd_skip(&tcp, 4);
            assert_int_equal(rd_be32(&tcp), SEQ + at);
            assert_int_equal(packet.payload_size, 24 + (at < 4800 ? 1200 : 200));
            assert_memory_equal(packet.payload + 24, payload + at, packet.payload_size - 24);
            at += packet.payload_size - 24;
        }
        assert_int_equal(at, 5000);
        /* a tunnel's inner header is elsewhere; nothing is no size */
        assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, transport + 50, 1200),
                         SEGMENT_CANNOT);
        assert_int_equal(segment_next(&s, out), 0);
        assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, transport, 0),
                         SEGMENT_CANNOT);
    }
}

static void test_udp_becomes_datagrams(void **state)
{
    struct frame_bed b;
    struct segmenter s;
    uint8_t out[SEGMENT_MAX_HEADERS + 1200];
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        struct addr src = is_v4 ? frame_addr(10, 0, 0, 1) : v6(1);
        struct addr dst = is_v4 ? frame_addr(10, 0, 0, 2) : v6(2);
        fill_payload();
        frame_begin(&b, payload, 3000);
        frame_udp(&b, 443, 5000);
        b.ip_id = 0xffff;
        frame_ip(&b, &src, &dst, 17);
        frame_ethernet(&b);
        tag(&b, 0x8100);
        uint32_t size = (uint32_t)frame_size(&b), at = 0, n, n_pieces = 0;
        assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, is_v4 ? 38 : 58, 1200),
                         SEGMENT_UDP);
        while ((n = segment_next(&s, out)) > 0) {
            struct packet packet = decode(out, n, &(struct ip_fragment){0});
            struct reader udp = rd_make(packet.payload, packet.payload_size);
            assert_int_equal(rd_be16(&udp), 443);
            assert_int_equal(rd_be16(&udp), 5000);
            assert_int_equal(rd_be16(&udp), packet.payload_size);
            assert_int_not_equal(rd_be16(&udp), 0);
            assert_int_equal(packet.payload_size, 8 + (at < 2400 ? 1200 : 600));
            assert_memory_equal(packet.payload + 8, payload + at, packet.payload_size - 8);
            if (is_v4)
                assert_int_equal(packet.ip_id, (uint16_t)(0xffff + n_pieces));
            at += packet.payload_size - 8;
            n_pieces++;
        }
        assert_int_equal(at, 3000);
    }
}

static void test_hostile_sizes(void **state)
{
    struct frame_bed b;
    for (uint32_t at = 12; at < 60; at++)
        for (int bit = 0; bit < 9; bit++)
            for (uint32_t transport = 30; transport < 60; transport += 4) {
                make_tcp(&b, at & 1, 700, TCP_ACK);
                uint32_t size = bit == 8 ? at : (uint32_t)frame_size(&b);
                uint8_t *copy = malloc(size);
                memcpy(copy, frame_bytes(&b), size);
                if (bit < 8)
                    copy[at] ^= (uint8_t)(1u << bit);
                struct segmenter s;
                uint8_t *out = malloc(SEGMENT_MAX_HEADERS + 100);
                unsigned n_pieces = 0;
                (void)segment_begin_sized(&s, copy, size, transport, 100);
                while (segment_next(&s, out) > 0)
                    assert_true(++n_pieces <= 8);
                (void)segment_finish_at(copy, size, transport, transport + at % 20);
                free(out);
                free(copy);
            }
}

static void test_checksums_where_they_are_said(void **state)
{
    struct frame_bed b, right;
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    fill_payload();
    for (int i = 0; i < 2; i++) {
        struct frame_bed *bed = i ? &right : &b;
        frame_begin(bed, payload, 333);
        frame_tcp(bed, 40000, 80, SEQ, 7, TCP_ACK, 500, 7);
        bed->checksums = true;
        frame_ip(bed, &src, &dst, 6);
        frame_ethernet(bed);
    }
    uint32_t size = (uint32_t)frame_size(&b);
    uint32_t sum = frame_sum(6 + size - 34, src.b + 12, 4);
    frame_set16(&b, 50, frame_sum(sum, dst.b + 12, 4));
    assert_true(segment_finish_at(b.bytes + b.at, size, 34, 50));
    assert_memory_equal(frame_bytes(&b), frame_bytes(&right), size);
    assert_false(segment_finish_at(b.bytes + b.at, size, 34, size - 1));
    assert_false(segment_finish_at(b.bytes + b.at, size, size + 1, size + 17));
    assert_false(segment_finish_at(b.bytes + b.at, size, 50, 34));
    assert_memory_equal(frame_bytes(&b), frame_bytes(&right), size);
}

/* Twelve bytes whose CRC32c another program gave (it gives 0xe3069283 for the nine digits). */
static void test_checksum_of_sctp(void **state)
{
    uint8_t header[12] = "12345678old";
    for (int i = 0; i < 2; i++) { /* what was in the field is no part of it */
        assert_true(segment_finish_at(header, sizeof header, 0, 8));
        assert_memory_equal(header, "12345678\x3f\xa4\xcf\xd1", 12);
    }
    assert_false(segment_finish_at(header, 11, 0, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_what_fits_is_left_alone),
        cmocka_unit_test(test_tags_are_on_every_piece),
        cmocka_unit_test(test_length_that_is_not_said),
        cmocka_unit_test(test_big_tcp),
        cmocka_unit_test(test_extension_headers_are_kept),
        cmocka_unit_test(test_trailer_and_cut),
        cmocka_unit_test(test_udp_becomes_fragments),
        cmocka_unit_test(test_what_cannot_be_cut),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_checksums_are_finished),
        cmocka_unit_test(test_sizes_that_are_said),
        cmocka_unit_test(test_udp_becomes_datagrams),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_checksums_where_they_are_said),
        cmocka_unit_test(test_checksum_of_sctp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
