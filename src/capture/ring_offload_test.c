/* A ring that hands its frames on: it tells what was left to the card, has room in front of each
 * frame, and follows an interface that was removed and made anew. */
#include "capture/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#include <cmocka.h>

#include "capture/netns_bed.h"
#include "net/frames_bed.h"

#define HEADROOM 30

static bool has_taps;

static struct ring_shape begin(const char *interface, struct live_source **out)
{
    static const struct steer_key key;
    const struct ring_options options = {.interface = interface,
                                         .group = {.key = &key, .n_workers = 1},
                                         .n_blocks = 8,
                                         .not_promiscuous = true,
                                         .tells_offloads = true,
                                         .headroom = HEADROOM};
    struct err err = {""};
    struct ring_shape shape;
    int fd;
    if (ring_open(&options, &fd, &shape, &err) < 0 || ring_attach(fd, &shape, 1, out, &err) < 0)
        fail_msg("%s", err.text);
    return shape;
}

struct taker {
    struct live_source *source;
    struct frame frames[CAPTURE_BURST];
    int n, at;
};

/* The next frame of ours, and what is said of it. */
static struct frame next_frame(struct taker *t, struct ring_offload *out)
{
    for (;;) {
        if (t->at == t->n) {
            t->at = 0;
            t->n = live_next(t->source, t->frames);
            assert_true(t->n >= 0);
            if (t->n == 0)
                bed_wait(&t->source, 1);
            continue;
        }
        struct frame frame = t->frames[t->at];
        memset(out, 0, sizeof *out);
        const struct ring_offload *offloads = ring_offloads(t->source);
        if (offloads)
            *out = offloads[t->at];
        t->at++;
        if (frame.size >= 14 && frame.bytes[0] == 2 && frame.bytes[1] == 0)
            return frame;
    }
}

static void make_frame(struct frame_bed *b, uint8_t proto, size_t size, bool is_tagged)
{
    static uint8_t payload[40000];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 250);
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    frame_begin(b, payload, size);
    if (proto == 6)
        frame_tcp(b, 40000, 80, 1, 1, 0x10, 100, -1);
    else
        frame_udp(b, 443, 40000);
    frame_ip(b, &src, &dst, proto);
    frame_ethernet(b);
    if (is_tagged) {
        uint8_t macs[12];
        memcpy(macs, frame_bytes(b), sizeof macs);
        b->at += sizeof macs;
        frame_put(b, "\x81\x00\x60\x05", 4);
        frame_put(b, macs, sizeof macs);
    }
}

/* As a virtual machine hands a frame to its host. */
static void send_to(int tap, const struct frame_bed *b, const struct virtio_net_hdr *header)
{
    static uint8_t bytes[70000];
    memcpy(bytes, header, sizeof *header);
    memcpy(bytes + sizeof *header, frame_bytes(b), frame_size(b));
    size_t size = sizeof *header + frame_size(b);
    assert_int_equal(write(tap, bytes, size), size);
}

static void test_what_was_left_to_the_card(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    int tap = bed_tap("off0", IFF_TAP | IFF_VNET_HDR);
    assert_true(tap >= 0);
    struct taker taker = {0};
    struct ring_shape shape = begin("off0", &taker.source);
    if (!shape.tells_offloads) {
        assert_null(ring_offloads(taker.source));
        live_close(taker.source);
        close(tap);
        skip();
    }
    static const struct {
        uint8_t proto, gso, flags, expected;
        size_t size;
        uint16_t gso_size;
    } cases[] = {
        {6, VIRTIO_NET_HDR_GSO_NONE, 0, RING_GSO_NONE, 100, 0},
        {6, VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_F_NEEDS_CSUM, RING_GSO_NONE, 100, 0},
        {6, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_F_NEEDS_CSUM, RING_GSO_TCP, 30000, 1300},
        {6, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_HDR_F_NEEDS_CSUM,
         RING_GSO_TCP, 30000, 1300},
        {17, VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_F_NEEDS_CSUM, RING_GSO_NONE, 200, 0},
        {17, 5, VIRTIO_NET_HDR_F_NEEDS_CSUM, RING_GSO_UDP, 30000, 1200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint32_t tag = 0; tag <= 4; tag += 4) {
            make_frame(&b, cases[i].proto, cases[i].size, tag > 0);
            const struct virtio_net_hdr header = {
                .flags = cases[i].flags,
                .gso_type = cases[i].gso,
                .hdr_len = (uint16_t)(tag + (cases[i].proto == 6 ? 54 : 42)),
                .gso_size = cases[i].gso_size,
                .csum_start = (uint16_t)(tag + 34),
                .csum_offset = cases[i].proto == 6 ? 16 : 6,
            };
            send_to(tap, &b, &header);
            struct ring_offload offload;
            struct frame frame = next_frame(&taker, &offload);
            assert_int_equal(frame.size, frame_size(&b));
            assert_memory_equal(frame.bytes, frame_bytes(&b), frame_size(&b));
            assert_int_equal(offload.gso, cases[i].expected);
            assert_int_equal(offload.gso_size, cases[i].gso_size);
            assert_int_equal(offload.sum_lacks, cases[i].flags != 0);
            if (offload.sum_lacks) {
                assert_int_equal(offload.sum_from, 34 + tag);
                assert_int_equal(offload.sum_at, 34 + tag + (cases[i].proto == 6 ? 16 : 6));
            }
        }
    live_close(taker.source);
    close(tap);
}

/* Whoever writes into the room of one frame changes no other. */
static void test_headroom(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    int tap = bed_tap("off1", IFF_TAP);
    assert_true(tap >= 0);
    struct taker taker = {0};
    (void)begin("off1", &taker.source);
    for (int i = 0; i < 100; i++) {
        make_frame(&b, 17, 10 + (size_t)i, i & 1);
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
    }
    for (int i = 0; i < 100; i++) {
        struct ring_offload offload;
        struct frame frame = next_frame(&taker, &offload);
        make_frame(&b, 17, 10 + (size_t)i, i & 1);
        memset((uint8_t *)(uintptr_t)frame.bytes - HEADROOM, 0xee, HEADROOM);
        assert_int_equal(frame.size, frame_size(&b));
        assert_memory_equal(frame.bytes, frame_bytes(&b), frame_size(&b));
    }
    live_close(taker.source);
    close(tap);
}

static void test_follows_its_interface(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    struct err err;
    int tap = bed_tap("off2", IFF_TAP);
    assert_true(tap >= 0);
    struct taker taker = {0};
    struct ring_shape shape = begin("off2", &taker.source);
    make_frame(&b, 17, 100, false);
    for (int i = 0; i < 3; i++) {
        struct ring_offload offload;
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
        assert_int_equal(next_frame(&taker, &offload).size, frame_size(&b));
        close(tap);
        int n;
        while ((n = live_next(taker.source, taker.frames)) >= 0)
            if (n == 0)
                bed_wait(&taker.source, 1);
        assert_true(ring_is_gone(taker.source));
        taker.n = taker.at = 0;
        assert_int_equal(ring_rebind(taker.source, "off2", &shape, &err), -ENODEV);
        tap = bed_tap("off2", IFF_TAP);
        assert_true(tap >= 0);
        assert_int_equal(bed_set_up("off2", false), 0);
        assert_int_equal(ring_rebind(taker.source, "off2", &shape, &err), -ENETDOWN);
        assert_int_equal(bed_set_up("off2", true), 0);
        assert_int_equal(ring_rebind(taker.source, "off2", &shape, &err), 0);
    }
    close(tap);
    tap = bed_tap("off3", IFF_TUN);
    assert_int_equal(ring_rebind(taker.source, "off3", &shape, &err), -EINVAL);
    live_close(taker.source);
    close(tap);
}

int main(void)
{
    has_taps = bed_enter_netns();
    if (has_taps) {
        int fd = bed_tap("try", IFF_TAP);
        has_taps = fd >= 0;
        if (fd < 0)
            printf("skipped: no tap: %s\n", strerror(-fd));
        else
            close(fd);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_left_to_the_card),
        cmocka_unit_test(test_headroom),
        cmocka_unit_test(test_follows_its_interface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
