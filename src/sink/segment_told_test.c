/* Frames of which the kernel says how they are to be cut, and which checksum lacks. */
#include "sink/segment_bed.h"

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
        /* no header ends there; nothing is no size */
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

static void cut_in_tunnel(enum wrap wrap, bool outer_v4, bool inner_v4, bool is_tcp)
{
    struct frame_bed b;
    struct segmenter s;
    make_in_tunnel(&b, wrap, outer_v4, inner_v4, is_tcp);
    struct tunnel_places places = places_of(wrap, outer_v4, inner_v4);
    uint32_t size = (uint32_t)frame_size(&b), transport = places.transport;
    assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, transport, 1200),
                     is_tcp ? SEGMENT_TCP : SEGMENT_UDP);
    check_in_tunnel(&s, wrap, &places, outer_v4, inner_v4, is_tcp ? 24 : 8, 1200);
    /* What ends elsewhere than the header says is none; and a fragment is not cut. */
    assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size - 1, transport, 1200),
                     SEGMENT_CANNOT);
    assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, transport + 4, 1200),
                     SEGMENT_CANNOT);
    if (outer_v4) {
        frame_set16(&b, 14 + 6, 0x2000);
        assert_int_equal(segment_begin_sized(&s, frame_bytes(&b), size, transport, 1200),
                         SEGMENT_CANNOT);
    }
}

static void test_in_tunnels(void **state)
{
    for (unsigned wrap = 0; wrap < N_WRAPS; wrap++)
        for (unsigned how = 0; how < 8; how++)
            if (wrap != WRAP_UDP || how & 1) /* IPv6 always has a checksum, in these frames */
                cut_in_tunnel((enum wrap)wrap, how & 1, how & 2, how & 4);
}

static void test_hostile_sizes(void **state)
{
    struct frame_bed b;
    for (uint32_t at = 12; at < 110; at++)
        for (int bit = 0; bit < 9; bit++)
            for (uint32_t transport = 30; transport < 110; transport += 4) {
                make_tcp(&b, at & 1, 700, TCP_ACK);
                if (transport > 60)
                    put_wrap(&b, transport & 8 ? WRAP_UDP_SUM : WRAP_GRE, transport & 16, at & 1);
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
        cmocka_unit_test(test_sizes_that_are_said),
        cmocka_unit_test(test_udp_becomes_datagrams),
        cmocka_unit_test(test_in_tunnels),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_checksums_where_they_are_said),
        cmocka_unit_test(test_checksum_of_sctp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
