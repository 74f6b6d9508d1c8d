/* Frames that are larger than the MTU, with nobody who says how they are to be cut. */
#include "sink/segment_bed.h"

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

/* IPv6 has a header of its own for that, behind the others. */
static void test_udp_becomes_fragments_of_ipv6(void **state)
{
    for (uint32_t more = 0; more <= 16; more += 8) {
        struct frame_bed b;
        struct segmenter s;
        struct addr src = v6(1), dst = v6(2);
        uint8_t out[1518];
        fill_payload();
        frame_begin(&b, payload, 8000);
        frame_udp(&b, 5000, 6000);
        const uint8_t options[16] = {17, (uint8_t)(more / 8 - 1), 1, 4};
        frame_put(&b, options, more);
        frame_ip(&b, &src, &dst, more ? 60 : 17);
        frame_ethernet(&b);
        const uint8_t *datagram = frame_bytes(&b) + 54 + more;
        uint32_t size = (uint32_t)frame_size(&b), at = 0, n, id = 0;
        bool is_last = false;
        assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 1500), SEGMENT_FRAGMENTS);
        while ((n = segment_next(&s, out)) > 0) {
            struct ip_fragment fragment = {0};
            assert_false(is_last);
            assert_true(n <= 1514);
            struct packet packet = decode(out, n, &fragment);
            assert_int_equal(fragment.offset, at);
            assert_true(at == 0 || fragment.id == id);
            id = fragment.id;
            is_last = !fragment.more;
            assert_memory_equal(packet.payload, datagram + at, packet.payload_size);
            at += packet.payload_size;
        }
        assert_true(is_last && id != 0);
        assert_int_equal(at, 8008);
    }
}

/* What a machine's overlay hands to its card: as many bytes fit as the outer packet leaves. */
static void test_tcp_in_tunnels(void **state)
{
    for (unsigned wrap = 0; wrap < N_WRAPS; wrap++)
        for (unsigned how = 0; how < 4; how++) {
            bool outer_v4 = how & 1, inner_v4 = how & 2;
            if (wrap == WRAP_UDP && !outer_v4)
                continue; /* without a checksum, decode would complain */
            struct frame_bed b;
            struct segmenter s;
            make_in_tunnel(&b, (enum wrap)wrap, outer_v4, inner_v4, true);
            struct tunnel_places places = places_of((enum wrap)wrap, outer_v4, inner_v4);
            uint32_t size = (uint32_t)frame_size(&b);
            assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 1500), SEGMENT_TCP);
            check_in_tunnel(&s, (enum wrap)wrap, &places, outer_v4, inner_v4, 24,
                            1514 - places.transport - 24);
            /* A datagram whose bytes only look so is one. */
            if (wrap == WRAP_UDP && outer_v4) {
                frame_set16(&b, places.inner_ip + (inner_v4 ? 2 : 4), 4999);
                assert_int_equal(segment_begin(&s, frame_bytes(&b), size, 1500), SEGMENT_FRAGMENTS);
            }
        }
}

/* An inner checksum that was left to the card, and an outer one that is not there. */
static void test_checksums_in_tunnels(void **state)
{
    for (unsigned how = 0; how < 4; how++) {
        bool outer_v4 = how & 1, inner_v4 = how & 2;
        struct frame_bed b;
        make_tcp(&b, inner_v4, 300, TCP_ACK); /* a sum of 0: none is there yet */
        put_wrap(&b, WRAP_UDP, outer_v4, inner_v4);
        struct tunnel_places places = places_of(WRAP_UDP, outer_v4, inner_v4);
        uint32_t size = (uint32_t)frame_size(&b), transport = places.transport;
        assert_true(segment_finish_checksum(b.bytes + b.at, size));
        assert_false(segment_finish_checksum(b.bytes + b.at, size));
        const uint8_t *frame = frame_bytes(&b), *ip = frame + places.inner_ip;
        uint64_t sum = 6 + size - transport;
        sum = inner_v4 ? checksum_add(sum, ip + 12, 8) : checksum_add(sum, ip + 8, 32);
        assert_int_equal(checksum_fold(checksum_add(sum, frame + transport, size - transport)), 0);
        assert_memory_equal(frame + places.outer + 6, "\0\0", 2);
    }
}

static void test_what_cannot_be_cut(void **state)
{
    struct frame_bed b;
    struct segmenter s;
    struct addr src = v6(1), dst = v6(2);
    uint8_t out[1518];
    fill_payload();
    frame_begin(&b, payload, 4000);
    frame_icmp(&b, 128, 0);
    frame_ip(&b, &src, &dst, 58); /* no card would have done that */
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
    for (int kind = 0; kind < 16; kind++)
        for (uint32_t at = 12; at < 130; at++)
            for (int bit = 0; bit < 9; bit++) {
                make_tcp(&b, kind & 1, 700, TCP_ACK);
                if (kind & 4)
                    put_wrap(&b, (enum wrap)(kind >> 2 & 2) + (kind >> 1 & 1), kind & 8, kind & 1);
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
        cmocka_unit_test(test_udp_becomes_fragments_of_ipv6),
        cmocka_unit_test(test_tcp_in_tunnels),
        cmocka_unit_test(test_checksums_in_tunnels),
        cmocka_unit_test(test_what_cannot_be_cut),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_checksums_are_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
