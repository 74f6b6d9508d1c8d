/* The way of a frame, into a socket of the test's own: what the ring tells and what it does not,
 * links without a header, cutting, limiting, counting. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "carry/path.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"
#include "net/frames_bed.h"

struct bed {
    int fd;
    struct carry_options options;
    struct carry_counters counters;
    struct outlet *outlet;
    struct path *path;
    struct frame_bed frame;
    size_t size; /* of the copy received last */
    uint8_t bytes[70000];
};

static uint8_t payload[60000];

static void begin(struct bed *bed, bool is_v4)
{
    const int big = 8 << 20;
    struct err err = {""};
    memset(bed, 0, sizeof *bed);
    bed->options = (struct carry_options){.wrap = CARRY_VXLAN, .id = 101};
    bed->fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(bed->fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    if (is_v4) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof at;
        assert_int_equal(bind(bed->fd, (struct sockaddr *)&at, size), 0);
        assert_int_equal(getsockname(bed->fd, (struct sockaddr *)&at, &size), 0);
        bed->options.port = ntohs(at.sin_port);
    } else {
        struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        socklen_t size = sizeof at;
        if (bind(bed->fd, (struct sockaddr *)&at, size) < 0)
            skip();
        assert_int_equal(getsockname(bed->fd, (struct sockaddr *)&at, &size), 0);
        bed->options.port = ntohs(at.sin6_port);
    }
    assert_true(addr_parse(is_v4 ? "127.0.0.1" : "::1", &bed->options.to));
    if (outlet_open(&bed->options, &bed->counters, &bed->outlet, &err) < 0)
        fail_msg("%s", err.text);
    bed->path = calloc(1, sizeof *bed->path);
    path_init(bed->path, &bed->options, bed->outlet, &bed->counters);
}

/* Every frame is accounted for. */
static void end(struct bed *bed)
{
    const struct carry_counters *n = &bed->counters;
    assert_int_equal(n->n_seen - n->n_own - n->n_not_cut - n->n_segmented + n->n_segments,
                     n->n_sent + n->n_over_limit + n->n_full + n->n_denied + n->n_unreachable +
                         n->n_too_large + n->n_error);
    outlet_close(bed->outlet);
    free(bed->path);
    close(bed->fd);
}

/* Over the loopback a datagram is there as soon as it is sent. */
static bool receive(struct bed *bed)
{
    ssize_t n = recv(bed->fd, bed->bytes, sizeof bed->bytes, MSG_DONTWAIT);
    if (n < 0)
        return false;
    assert_true(n >= OUTER_SIZE);
    assert_memory_equal(bed->bytes, "\x08\0\0\0\0\0\x65\0", OUTER_SIZE);
    bed->size = (size_t)n - OUTER_SIZE;
    memmove(bed->bytes, bed->bytes + OUTER_SIZE, bed->size);
    return true;
}

static void make_tcp(struct bed *bed, size_t size, bool checksums)
{
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 250);
    frame_begin(&bed->frame, payload, size);
    frame_tcp(&bed->frame, 40000, 80, 1, 1, 0x18, 100, -1);
    bed->frame.checksums = checksums;
    frame_ip(&bed->frame, &src, &dst, 6);
}

/* In a block with the room that the ring gives, and not more. */
static void pass(struct bed *bed, uint16_t link, uint32_t cut, const struct ring_offload *offload)
{
    uint32_t size = (uint32_t)frame_size(&bed->frame);
    uint8_t *block = malloc(PATH_HEADROOM + size - cut);
    memcpy(block + PATH_HEADROOM, frame_bytes(&bed->frame), size - cut);
    const struct frame frame = {
        .bytes = block + PATH_HEADROOM, .size = size - cut, .wire_size = size, .link = link};
    path_frame(bed->path, &frame, offload);
    path_flush(bed->path);
    free(block);
}

static void must_come_as_it_is(struct bed *bed)
{
    assert_true(receive(bed));
    assert_int_equal(bed->size, frame_size(&bed->frame));
    assert_memory_equal(bed->bytes, frame_bytes(&bed->frame), bed->size);
    assert_false(receive(bed));
}

static void test_as_it_is(void **state)
{
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        static struct bed bed;
        const struct ring_offload nothing = {.gso = RING_GSO_NONE};
        begin(&bed, is_v4);
        for (size_t size = 0; size <= 1460; size += 73) {
            make_tcp(&bed, size, true);
            frame_ethernet(&bed.frame);
            pass(&bed, LINK_ETHERNET, 0, NULL);
            must_come_as_it_is(&bed);
            pass(&bed, LINK_ETHERNET, 0, &nothing);
            must_come_as_it_is(&bed);
        }
        frame_begin(&bed.frame, "no frame", 8); /* of whatever size */
        pass(&bed, LINK_ETHERNET, 0, &nothing);
        must_come_as_it_is(&bed);
        pass(&bed, LINK_ETHERNET, 0, NULL);
        must_come_as_it_is(&bed);
        assert_int_equal(bed.counters.n_sent, bed.counters.n_seen);
        assert_int_equal(bed.counters.bytes_sent, bed.counters.bytes_seen);
        end(&bed);
    }
}

static void test_without_link_header(void **state)
{
    static struct bed bed;
    begin(&bed, true);
    make_tcp(&bed, 100, true);
    pass(&bed, LINK_RAW, 0, NULL);
    assert_true(receive(&bed));
    assert_int_equal(bed.size, 14 + frame_size(&bed.frame));
    assert_memory_equal(bed.bytes + 12, "\x08\x00", 2);
    assert_memory_equal(bed.bytes + 14, frame_bytes(&bed.frame), frame_size(&bed.frame));
    frame_begin(&bed.frame, "\x55 is no version of IP", 20);
    pass(&bed, LINK_RAW, 0, NULL);
    assert_false(receive(&bed));
    assert_int_equal(bed.counters.n_not_cut, 1);
    end(&bed);
}

/* The pieces, put together, are the payload. */
static uint32_t collect(struct bed *bed, uint32_t largest)
{
    uint32_t at = 0;
    while (receive(bed)) {
        assert_true(bed->size <= 54 + largest);
        assert_memory_equal(bed->bytes + 54, payload + at, bed->size - 54);
        uint64_t sum = checksum_add(6 + bed->size - 34, bed->bytes + 26, 8);
        sum = checksum_add(sum, bed->bytes + 34, bed->size - 34);
        assert_int_equal(checksum_fold(sum), 0);
        at += (uint32_t)bed->size - 54;
    }
    return at;
}

static void test_super_frames(void **state)
{
    static struct bed bed;
    const struct ring_offload told = {
        .gso = RING_GSO_TCP, .gso_size = 1000, .sum_lacks = true, .sum_from = 34, .sum_at = 50};
    struct ring_offload silent = told;
    silent.sum_lacks = false; /* a card put it together, and says no more */
    silent.sum_from = silent.sum_at = 0;
    begin(&bed, true);
    make_tcp(&bed, 60000, false);
    frame_ethernet(&bed.frame);
    pass(&bed, LINK_ETHERNET, 0, NULL);
    assert_int_equal(collect(&bed, 1460), 60000);
    assert_int_equal(bed.counters.n_segments, 42);
    pass(&bed, LINK_ETHERNET, 0, &told);
    assert_int_equal(collect(&bed, 1000), 60000);
    assert_int_equal(bed.counters.n_segments, 42 + 60);
    pass(&bed, LINK_ETHERNET, 0, &silent);
    assert_int_equal(collect(&bed, 1000), 60000);
    assert_int_equal(bed.counters.n_segments, 42 + 120);
    assert_int_equal(bed.counters.n_segmented, 3);
    bed.path->mtu = 9000; /* of the interface */
    pass(&bed, LINK_ETHERNET, 0, NULL);
    assert_int_equal(collect(&bed, 8960), 60000);
    assert_int_equal(bed.counters.n_segments, 42 + 120 + 7);

    /* What cannot be cut so: UDP that is said to be TCP; what is not all there. */
    struct ring_offload wrong = told;
    wrong.gso = RING_GSO_UDP;
    pass(&bed, LINK_ETHERNET, 0, &wrong);
    wrong = told;
    wrong.sum_from = 38;
    pass(&bed, LINK_ETHERNET, 0, &wrong);
    pass(&bed, LINK_ETHERNET, 100, &told);
    pass(&bed, LINK_ETHERNET, 100, NULL);
    assert_false(receive(&bed));
    assert_int_equal(bed.counters.n_not_cut, 4);
    end(&bed);
}

/* More pieces than there is room for at once. */
static void test_many_super_frames(void **state)
{
    static struct bed bed;
    begin(&bed, true);
    make_tcp(&bed, 60000, false);
    frame_ethernet(&bed.frame);
    uint32_t size = (uint32_t)frame_size(&bed.frame);
    uint8_t *block = malloc(PATH_HEADROOM + size);
    const struct frame frame = {
        .bytes = block + PATH_HEADROOM, .size = size, .wire_size = size, .link = LINK_ETHERNET};
    uint32_t n_bytes = 0;
    for (int turn = 0; turn < 20; turn++) {
        memcpy(block + PATH_HEADROOM, frame_bytes(&bed.frame), size);
        path_frame(bed.path, &frame, NULL);
        while (receive(&bed)) {
            assert_memory_equal(bed.bytes + 54, payload + n_bytes % 60000, bed.size - 54);
            n_bytes += (uint32_t)bed.size - 54;
        }
    }
    assert_true(n_bytes > 0); /* it did not wait for the end */
    path_flush(bed.path);
    while (receive(&bed)) {
        assert_memory_equal(bed.bytes + 54, payload + n_bytes % 60000, bed.size - 54);
        n_bytes += (uint32_t)bed.size - 54;
    }
    assert_int_equal(n_bytes, 20 * 60000);
    free(block);
    end(&bed);
}

static void test_checksums(void **state)
{
    static struct bed bed;
    struct frame_bed right;
    const struct ring_offload told = {.sum_lacks = true, .sum_from = 34, .sum_at = 50};
    begin(&bed, true);
    make_tcp(&bed, 100, true);
    frame_ethernet(&bed.frame);
    right = bed.frame;
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    uint32_t sum = frame_sum(6 + 120, src.b + 12, 4);
    frame_set16(&bed.frame, 50, frame_sum(sum, dst.b + 12, 4));
    for (int turn = 0; turn < 2; turn++) {
        pass(&bed, LINK_ETHERNET, 0, turn ? &told : NULL);
        assert_true(receive(&bed));
        assert_memory_equal(bed.bytes, frame_bytes(&right), frame_size(&right));
        assert_int_equal(bed.counters.n_finished, turn + 1);
    }
    /* Where the kernel says that it is whole, it is left alone, right or wrong. */
    const struct ring_offload whole = {.gso = RING_GSO_NONE};
    pass(&bed, LINK_ETHERNET, 0, &whole);
    must_come_as_it_is(&bed);
    assert_int_equal(bed.counters.n_finished, 2);
    end(&bed);
}

static void test_snap(void **state)
{
    static struct bed bed;
    begin(&bed, true);
    bed.path->snap = 100;
    for (size_t size = 40; size < 50; size++) { /* frames of 94 to 103 bytes */
        make_tcp(&bed, size, true);
        frame_ethernet(&bed.frame);
        pass(&bed, LINK_ETHERNET, 0, NULL);
        assert_true(receive(&bed));
        assert_int_equal(bed.size, size + 54 < 100 ? size + 54 : 100);
        assert_memory_equal(bed.bytes, frame_bytes(&bed.frame), bed.size);
    }
    assert_int_equal(bed.counters.n_snapped, 3);
    assert_int_equal(bed.counters.bytes_sent, 94 + 95 + 96 + 97 + 98 + 99 + 4 * 100);
    end(&bed);
}

static void test_limit(void **state)
{
    static struct bed bed;
    begin(&bed, true);
    limit_init(&bed.path->limit, 1, 0); /* no more than what it begins with */
    make_tcp(&bed, 1000, true);
    frame_ethernet(&bed.frame);
    for (int i = 0; i < 100; i++)
        pass(&bed, LINK_ETHERNET, 0, NULL);
    assert_int_equal(bed.counters.n_sent, 65536 / 1054);
    assert_int_equal(bed.counters.n_over_limit, 100 - 65536 / 1054);
    end(&bed);
}

static void test_own(void **state)
{
    static struct bed bed;
    begin(&bed, true);
    make_tcp(&bed, 100, true);
    frame_ethernet(&bed.frame);
    frame_put(&bed.frame, bed.path->own.head, OUTER_SIZE);
    frame_udp(&bed.frame, 50000, bed.options.port);
    struct addr from = frame_addr(10, 9, 0, 1);
    frame_ip(&bed.frame, &from, &bed.options.to, 17);
    frame_ethernet(&bed.frame);
    pass(&bed, LINK_ETHERNET, 0, NULL);
    assert_false(receive(&bed));
    assert_int_equal(bed.counters.n_own, 1);
    end(&bed);
}

/* What the way out refuses is counted by its reason, and said once. */
static void test_refusals(void **state)
{
    static struct bed bed;
    char note[200];
    begin(&bed, true);
    const struct ring_offload nothing = {.gso = RING_GSO_NONE};
    make_tcp(&bed, 60000, true);
    frame_ethernet(&bed.frame);
    static uint8_t huge[65535 + PATH_HEADROOM];
    const struct frame frame = {
        .bytes = huge + PATH_HEADROOM, .size = 65535, .wire_size = 65535, .link = LINK_ETHERNET};
    path_frame(bed.path, &frame, &nothing);
    path_flush(bed.path);
    assert_int_equal(bed.counters.n_too_large, 1);
    assert_false(outlet_take_note(bed.outlet, note));
    close(bed.fd); /* nobody listens: the next is sent, and answered */
    for (int i = 0; i < 5; i++)
        pass(&bed, LINK_ETHERNET, 0, &nothing);
    outlet_listen(bed.outlet);
    assert_int_equal(bed.counters.n_sent, 5);
    assert_int_equal(bed.counters.n_unreachable, 0);
    assert_int_equal(bed.counters.n_answers, 5);
    assert_true(outlet_take_note(bed.outlet, note));
    assert_non_null(strstr(note, "127.0.0.1: nobody listens"));
    assert_false(outlet_take_note(bed.outlet, note));
    pass(&bed, LINK_ETHERNET, 0, &nothing);
    outlet_listen(bed.outlet);
    assert_int_equal(bed.counters.n_answers, 6);
    assert_false(outlet_take_note(bed.outlet, note)); /* said already */
    bed.fd = dup(0);
    end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is),     cmocka_unit_test(test_without_link_header),
        cmocka_unit_test(test_super_frames), cmocka_unit_test(test_many_super_frames),
        cmocka_unit_test(test_checksums),    cmocka_unit_test(test_snap),
        cmocka_unit_test(test_limit),        cmocka_unit_test(test_own),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
