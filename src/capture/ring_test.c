/* Rings on taps of a namespace of our own: frames come out as they went in, tags and all; each
 * worker gets its own; nothing is lost without being counted. */
#include "capture/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <cmocka.h>

#include "capture/netns_bed.h"
#include "capture/steer_bed.h"

#define N_WORKERS 4

static bool has_taps;
static struct steer_key key;

static struct ring_options options_of(const char *interface, unsigned n_workers)
{
    return (struct ring_options){.interface = interface,
                                 .group = {.key = &key, .n_workers = n_workers},
                                 .ports = bed_ports,
                                 .n_ports = BED_N_PORTS,
                                 .takes_gre = true,
                                 .n_blocks = 16};
}

static struct ring_shape rings_open(const struct ring_options *options,
                                    struct live_source **sources)
{
    struct err err = {""};
    int fds[N_WORKERS];
    struct ring_shape shape;
    if (ring_open(options, fds, &shape, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned i = 0; i < options->group.n_workers; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        if (ring_attach(fds[i], &shape, (uint16_t)(i + 1), &sources[i], &err) < 0)
            fail_msg("%s", err.text);
    }
    return shape;
}

static void rings_close(struct live_source **sources, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        live_close(sources[i]);
}

/* What this kernel itself sends by a new interface (neighbours, groups) is not ours. */
static bool is_ours(const struct frame *frame)
{
    return frame->size >= 14 && frame->bytes[0] == 2 && frame->bytes[1] == 0;
}

/* One source, read frame by frame. */
struct taker {
    struct live_source *source;
    struct frame frames[CAPTURE_BURST];
    int n, at;
};

/* The next of our frames; valid until the next call. */
static struct frame next_frame(struct taker *taker)
{
    for (;;) {
        while (taker->at == taker->n) {
            taker->at = 0;
            taker->n = live_next(taker->source, taker->frames);
            assert_true(taker->n >= 0);
            if (taker->n == 0)
                bed_wait(&taker->source, 1);
        }
        struct frame frame = taker->frames[taker->at++];
        if (is_ours(&frame))
            return frame;
    }
}

static int packet_socket(const char *interface)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct sockaddr_ll to = {.sll_family = AF_PACKET,
                                   .sll_ifindex = (int)if_nametoindex(interface)};
    assert_int_equal(bind(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Every size, with and without tags, coming in and going out: byte for byte what was sent. */
static void test_sizes(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    static uint8_t bytes[65000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13 + i / 255);
    static const uint16_t tags[][2] = {
        {0, 0}, {0x8100, 0}, {0x88a8, 0}, {0x88a8, 0x8100}, {0x8100, 0x8100}};
    int tap = bed_tap("cap0", IFF_TAP);
    int out = packet_socket("cap0");
    struct live_source *source;
    const struct ring_options options = options_of("cap0", 1);
    struct ring_shape shape = rings_open(&options, &source);
    assert_int_equal(shape.link, LINK_ETHERNET);
    struct taker taker = {.source = source};
    uint64_t n_seen = 0;
    for (unsigned way = 0; way < 2; way++)
        for (size_t t = 0; t < sizeof tags / sizeof *tags; t++) {
            uint8_t header[22] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
            size_t at = 12;
            for (unsigned i = 0; i < 2 && tags[t][i]; i++) {
                header[at++] = (uint8_t)(tags[t][i] >> 8);
                header[at++] = (uint8_t)tags[t][i];
                header[at++] = (uint8_t)(i == 0 ? 0x60 : 0); /* priority 3; and none */
                header[at++] = (uint8_t)(i == 0 ? 0 : 0x2a);
            }
            header[at++] = 0x08;
            header[at++] = 0x06; /* ARP: the host does not answer what is no ARP */
            memcpy(bytes, header, at);
            size_t max = way == 0 ? 60000 : 1500;
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            for (size_t size = at + 2; size <= max; size += size < 300 ? 1 : 1777)
                assert_int_equal(way == 0 ? write(tap, bytes, size) : send(out, bytes, size, 0),
                                 size);
            for (size_t size = at + 2; size <= max; size += size < 300 ? 1 : 1777) {
                struct frame frame = next_frame(&taker);
                assert_int_equal(frame.size, size);
                assert_int_equal(frame.wire_size, size);
                assert_int_equal(frame.link, LINK_ETHERNET);
                assert_int_equal(frame.input, 1);
                assert_memory_equal(frame.bytes, bytes, size);
                assert_true(frame.ts >= (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
                n_seen++;
            }
        }
    struct live_counters counters;
    live_count(source, &counters);
    assert_true(counters.n_frames >= n_seen);
    assert_int_equal(counters.n_kernel_dropped, 0);
    assert_int_equal(counters.n_truncated, 0);
    live_close(source);
    close(out);
    close(tap);
}

#define N_FLOWS 1500

/* All in one group: else each would see everything. */
static void check_one_group(struct live_source **sources)
{
    unsigned ids[N_WORKERS];
    for (unsigned i = 0; i < N_WORKERS; i++) {
        socklen_t size = sizeof ids[i];
        assert_int_equal(getsockopt(live_fd(sources[i]), SOL_PACKET, PACKET_FANOUT, &ids[i], &size),
                         0);
        assert_int_equal(ids[i] & 0xffff, ids[0] & 0xffff);
    }
}

/* Both directions of a connection, one coming in and one going out, meet; with Ethernet, and
 * without. */
static void group_run(const char *name, bool is_tun)
{
    static struct frame_bed b;
    static uint8_t owners[N_FLOWS];
    int tap = bed_tap(name, is_tun ? IFF_TUN : IFF_TAP);
    assert_true(tap >= 0);
    int out = packet_socket(name);
    struct live_source *sources[N_WORKERS];
    const struct ring_options options = options_of(name, N_WORKERS);
    struct ring_shape shape = rings_open(&options, sources);
    assert_int_equal(shape.link, is_tun ? LINK_RAW : LINK_ETHERNET);
    check_one_group(sources);
    uint64_t seed = 11;
    for (int kind = -1; kind < STEER_IP; kind++) {
        unsigned n_sent = 0, n_seen = 0, counts[N_WORKERS] = {0};
        for (unsigned i = 0; i < N_FLOWS; i++) {
            struct bed_flow f = bed_flow(&seed);
            if (kind < 0 && !bed_is_plain(&f))
                continue;
            owners[i] = (uint8_t)steer_worker(bed_hash(&key, &f), N_WORKERS);
            for (unsigned back = 0; back < 2; back++) {
                const uint32_t marks[2] = {i, 0xfeedbeef};
                size_t size = 8 + bed_random(&seed, 60);
                if (is_tun)
                    bed_wire_ip(&b, &f, kind, back, size, &seed);
                else
                    bed_wire(&b, &f, kind, back, size, &seed);
                memcpy(b.bytes + FRAME_BED_MAX - 8, marks, 8);
                ssize_t sent = back && !is_tun ? send(out, frame_bytes(&b), frame_size(&b), 0)
                                               : write(tap, frame_bytes(&b), frame_size(&b));
                assert_int_equal(sent, frame_size(&b));
                uint8_t sink[2048];
                while (read(tap, sink, sizeof sink) > 0) /* or its queue would be full */
                    ;
                n_sent++;
            }
        }
        while (n_seen < n_sent) {
            bed_wait(sources, N_WORKERS);
            for (unsigned w = 0; w < N_WORKERS; w++) {
                struct frame frames[CAPTURE_BURST];
                int n = live_next(sources[w], frames);
                assert_true(n >= 0);
                for (int i = 0; i < n; i++) {
                    uint32_t marks[2];
                    assert_true(frames[i].size >= 8);
                    memcpy(marks, frames[i].bytes + frames[i].size - 8, 8);
                    if (marks[1] != 0xfeedbeef)
                        continue;
                    assert_true(marks[0] < N_FLOWS);
                    if (w != owners[marks[0]])
                        fail_msg("kind %d flow %u: worker %u, not %u", kind, marks[0], w,
                                 owners[marks[0]]);
                    counts[w]++;
                    n_seen++;
                }
            }
        }
        for (unsigned w = 0; w < N_WORKERS; w++)
            assert_true(counts[w] > n_sent / N_WORKERS / 2);
    }
    rings_close(sources, N_WORKERS);
    close(out);
    close(tap);
}

static void test_group(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    group_run("cap1", false);
}

static void test_group_without_link(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    group_run("cap2", true);
}

static void test_drops(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    static struct frame_bed b;
    int tap = bed_tap("cap3", IFF_TAP);
    struct ring_options options = options_of("cap3", 1);
    options.n_blocks = 2;
    options.block_size = 1 << 16;
    options.ignores_outgoing = true;
    struct live_source *source;
    (void)rings_open(&options, &source);
    static const uint8_t payload[1000];
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    frame_begin(&b, payload, sizeof payload);
    frame_udp(&b, 1, 2);
    frame_ip(&b, &src, &dst, 17);
    frame_ethernet(&b);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
    struct live_counters counters;
    live_count(source, &counters);
    assert_true(counters.n_kernel_dropped > 0 && counters.n_freezes > 0);
    uint64_t n_dropped = counters.n_kernel_dropped;
    unsigned n_seen = 0;
    struct taker taker = {.source = source};
    while (n_seen + n_dropped < 1000) {
        (void)next_frame(&taker);
        n_seen++;
    }
    live_count(source, &counters);
    assert_int_equal(counters.n_frames + counters.n_kernel_dropped, 1000);
    live_close(source);
    close(tap);
}

/* A frame that no block can hold is cut, and says how long it was. */
static void test_cut(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    static uint8_t big[65000] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6};
    int tap = bed_tap("cap6", IFF_TAP);
    struct ring_options options = options_of("cap6", 1);
    options.block_size = 1 << 15;
    struct live_source *source;
    (void)rings_open(&options, &source);
    struct taker taker = {.source = source};
    assert_int_equal(write(tap, big, sizeof big), sizeof big);
    struct frame frame = next_frame(&taker);
    assert_int_equal(frame.wire_size, sizeof big);
    assert_true(frame.size > 32000 && frame.size < 1 << 15);
    struct live_counters counters;
    live_count(source, &counters);
    assert_int_equal(counters.n_truncated, 1);
    live_close(source);
    close(tap);
}

/* The filter leaves out; what goes out is left out on demand. */
static void test_filter(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    struct sock_filter no_nines[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 11),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 9, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
    };
    const struct sock_fprog filter = {.len = 4, .filter = no_nines};
    int tap = bed_tap("cap4", IFF_TAP);
    int out = packet_socket("cap4");
    for (unsigned way = 0; way < 4; way++) {
        struct ring_options options = options_of("cap4", way & 1 ? 1 : 2);
        options.filter = &filter;
        options.ignores_outgoing = way & 2;
        struct live_source *sources[2];
        (void)rings_open(&options, sources);
        uint8_t frame[60] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 9, 8, 6}; /* the first worker's */
        assert_int_equal(write(tap, frame, sizeof frame), sizeof frame);
        frame[11] = 8;
        assert_int_equal(send(out, frame, sizeof frame, 0), sizeof frame);
        frame[11] = 7;
        assert_int_equal(write(tap, frame, sizeof frame), sizeof frame);
        struct taker taker = {.source = sources[0]};
        if (!options.ignores_outgoing)
            assert_int_equal(next_frame(&taker).bytes[11], 8);
        assert_int_equal(next_frame(&taker).bytes[11], 7);
        rings_close(sources, options.group.n_workers);
    }
    close(out);
    close(tap);
}

static void test_loopback(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    struct live_source *source;
    const struct ring_options options = options_of("lo", 1);
    (void)rings_open(&options, &source);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5)};
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
    unsigned n_datagrams = 0, n_answers = 0; /* nobody listens: each is answered by ICMP */
    while (n_answers < 5) {
        struct frame frames[CAPTURE_BURST];
        bed_wait(&source, 1);
        int n = live_next(source, frames);
        for (int i = 0; i < n; i++) {
            n_datagrams += frames[i].bytes[14 + 9] == 17;
            n_answers += frames[i].bytes[14 + 9] == 1;
        }
    }
    assert_int_equal(n_datagrams, 5);
    assert_int_equal(n_answers, 5);
    close(fd);
    live_close(source);
}

static int wait_broken(struct live_source *source)
{
    struct frame frames[CAPTURE_BURST];
    int n;
    while ((n = live_next(source, frames)) >= 0)
        if (n == 0)
            bed_wait(&source, 1);
    return n;
}

/* Down: said once. Up again: goes on. Removed: gone. */
static void test_states(void **state)
{
    (void)state;
    if (!has_taps)
        skip();
    static const uint8_t bytes[60] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6};
    struct err err = {""};
    int fds[2] = {-7, -7};
    struct ring_shape shape;
    struct ring_options options = options_of("cap5", 2);
    assert_int_equal(ring_open(&options, fds, &shape, &err), -ENODEV);
    assert_non_null(strstr(err.text, "cap5"));
    int tap = bed_tap("cap5", IFF_TAP);
    assert_int_equal(bed_set_up("cap5", false), 0);
    assert_int_equal(ring_open(&options, fds, &shape, &err), -ENETDOWN);
    assert_int_equal(fds[0], -7);
    assert_int_equal(bed_set_up("cap5", true), 0);
    struct live_source *sources[2];
    (void)rings_open(&options, sources);
    assert_int_equal(write(tap, bytes, sizeof bytes), sizeof bytes);
    struct taker taker = {.source = sources[0]};
    (void)next_frame(&taker);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bed_set_up("cap5", false), 0);
        struct frame frames[CAPTURE_BURST];
        for (unsigned w = 0; w < 2; w++) {
            assert_int_equal(wait_broken(sources[w]), -ENETDOWN);
            assert_string_equal(live_problem(sources[w]), "the interface is down");
            assert_int_equal(live_next(sources[w], frames), 0);
            assert_false(ring_is_gone(sources[w]));
        }
        assert_int_equal(bed_set_up("cap5", true), 0);
        assert_int_equal(write(tap, bytes, sizeof bytes), sizeof bytes);
        (void)next_frame(&taker);
    }
    close(tap);
    for (unsigned w = 0; w < 2; w++) {
        int code = wait_broken(sources[w]);
        assert_true(code == -ENODEV || code == -ENETDOWN);
        assert_true(ring_is_gone(sources[w]));
    }
    rings_close(sources, 2);
}

int main(void)
{
    steer_key_init(&key, 99);
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
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_group_without_link),
        cmocka_unit_test(test_drops),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
