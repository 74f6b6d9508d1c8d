/* UDP listeners on loopback: what they give at every size, who of a group gets what, and what they
 * do not take. */
#include "capture/datagrams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "capture/batch.h"
#include "capture/netns_bed.h"
#include "capture/steer_bed.h"
#include "net/checksum.h"
#include "net/ip.h"

#define PORT      4789
#define N_WORKERS 4

static bool has_netns;

static const struct steer_key *bed_key(void)
{
    static struct steer_key key;
    steer_key_init(&key, 77);
    return &key;
}

static struct datagram_options options_of(enum steer_kind kind, unsigned n_workers)
{
    return (struct datagram_options){
        .port = PORT, .kind = kind, .group = {.key = bed_key(), .n_workers = n_workers}};
}

struct group {
    int fds[N_WORKERS + 1];
    struct live_source *sources[N_WORKERS];
    unsigned n;
};

static void group_open(struct group *group, const struct datagram_options *options)
{
    struct err err = {""};
    size_t got = 0;
    group->n = options->group.n_workers;
    if (datagrams_open(options, group->fds, &got, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(got > 0);
    for (unsigned i = 0; i < group->n; i++)
        assert_int_equal(
            datagrams_attach(group->fds[i], (uint16_t)(7 + i), &group->sources[i], NULL), 0);
}

static void group_close(struct group *group)
{
    for (unsigned i = 0; i < group->n; i++)
        live_close(group->sources[i]);
    close(group->fds[group->n]);
}

/* A socket that sends to PORT from this address. */
static int sender_from(const char *from)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6};
    bool v6 = inet_pton(AF_INET, from, &a.sin_addr) != 1;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int size = 1 << 20;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    if (v6) {
        assert_int_equal(inet_pton(AF_INET6, from, &b.sin6_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&b, sizeof b), 0);
        b.sin6_port = htons(PORT);
        assert_int_equal(inet_pton(AF_INET6, "::1", &b.sin6_addr), 1);
        assert_int_equal(connect(fd, (struct sockaddr *)&b, sizeof b), 0);
    } else {
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
        a.sin_port = htons(PORT);
        assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &a.sin_addr), 1);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    }
    return fd;
}

static uint16_t local_port(int fd)
{
    struct sockaddr_in6 a;
    socklen_t size = sizeof a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    return ntohs(a.sin6_port);
}

static struct frame next_frame(struct live_source *source)
{
    struct frame frames[CAPTURE_BURST];
    int n;
    while ((n = live_next(source, frames)) == 0)
        bed_wait(&source, 1);
    assert_int_equal(n, 1);
    return frames[0];
}

static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The frame decodes to the datagram that was sent. */
static void check_frame(const struct frame *frame, const char *from, const char *to, uint16_t sport,
                        const uint8_t *payload, size_t size)
{
    struct addr src, dst;
    assert_true(addr_parse(from, &src) && addr_parse(to, &dst));
    uint8_t *block = malloc(frame->size);
    assert_non_null(block);
    memcpy(block, frame->bytes, frame->size);
    struct reader r = rd_make(block, frame->size);
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    struct packet packet = {.weirds = weirds};
    struct ip_fragment fragment;
    assert_int_equal(frame->link, LINK_RAW);
    assert_int_equal(frame->size, frame->wire_size);
    assert_int_equal(ip_decode(&r, frame->wire_size, false, &packet, &fragment), PACKET_IP);
    assert_int_equal(packet.n_weirds, 0);
    assert_int_equal(packet.ip_version, addr_is_v4(&src) ? 4 : 6);
    assert_true(addr_eq(&packet.src, &src) && addr_eq(&packet.dst, &dst));
    assert_int_equal(packet.ip_proto, 17);
    assert_int_equal(packet.ip_len, frame->size);
    assert_int_equal(packet.payload_size, size + 8);
    assert_int_equal(checksum_ip(&packet), CHECKSUM_GOOD);
    struct reader u = rd_make(packet.payload, packet.payload_size);
    assert_int_equal(rd_be16(&u), sport);
    assert_int_equal(rd_be16(&u), PORT);
    assert_int_equal(rd_be16(&u), size + 8);
    rd_skip(&u, 2);
    assert_int_equal(rd_left(&u), size);
    assert_memory_equal(rd_bytes(&u, size), payload, size);
    free(block);
}

static void test_sizes(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    static uint8_t payload[65536];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    static const struct {
        const char *from, *to;
        size_t max;
    } ways[] = {{"127.0.0.9", "127.0.0.1", 65507}, {"::1", "::1", 65527}};
    struct group group;
    const struct datagram_options options = options_of(STEER_VXLAN, 1);
    group_open(&group, &options);
    for (unsigned way = 0; way < 2; way++) {
        int fd = sender_from(ways[way].from);
        for (size_t size = 0; size <= ways[way].max;
             size += size < 200 || size + 40 > ways[way].max ? 1 : 997) {
            int64_t before = clock_now();
            assert_int_equal(send(fd, payload, size, 0), size);
            struct frame frame = next_frame(group.sources[0]);
            assert_int_equal(frame.input, 7);
            assert_in_range(frame.ts, before, clock_now());
            check_frame(&frame, ways[way].from, ways[way].to, local_port(fd), payload, size);
        }
        close(fd);
    }
    struct live_counters counters;
    live_count(group.sources[0], &counters);
    assert_int_equal(counters.n_kernel_dropped, 0);
    assert_int_equal(counters.n_truncated, 0);
    assert_true(counters.n_frames > 400);
    group_close(&group);
}

/* A payload that no IPv4 datagram can have: the length says "unknown", as offloads do. */
static void test_wrap_limits(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {65507, 65508, 65527, 65528, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned v6 = 0; v6 < 2; v6++) {
            uint8_t *memory = calloc(1, BATCH_HEADROOM + sizes[i]);
            assert_non_null(memory);
            struct batch_item item = {.bytes = memory + BATCH_HEADROOM,
                                      .size = sizes[i],
                                      .wire_size = sizes[i],
                                      .hops = 9,
                                      .sport = 1};
            uint64_t seed = 1;
            item.src = bed_addr(&seed, v6);
            item.dst = bed_addr(&seed, v6);
            batch_wrap_udp(&item, PORT);
            assert_int_equal(item.size, sizes[i] + 8 + (v6 ? 40 : 20));
            struct reader r = rd_make(item.bytes, item.size);
            uint32_t total = v6 ? sizes[i] + 8 : sizes[i] + 28;
            rd_skip(&r, v6 ? 4 : 2);
            assert_int_equal(rd_be16(&r), total > 65535 ? 0 : total);
            r = rd_make(item.bytes, item.size);
            rd_skip(&r, (v6 ? 40 : 20) + 4);
            assert_int_equal(rd_be16(&r), sizes[i] + 8 > 65535 ? 0 : sizes[i] + 8);
            free(memory);
        }
}

#define N_FLOWS 2000

/* All packets of a connection on one worker, whatever port and address they come from; and the one
 * that C says. */
static void test_group(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    static struct frame_bed b;
    static uint8_t owners[N_FLOWS];
    uint64_t seed = 5;
    for (enum steer_kind kind = 0; kind < STEER_N_KINDS; kind++) {
        struct group group;
        struct datagram_options options = options_of(kind, N_WORKERS);
        group_open(&group, &options);
        unsigned n_sent = 0, n_seen = 0, counts[N_WORKERS] = {0};
        for (unsigned i = 0; i < N_FLOWS; i++) {
            struct bed_flow f = bed_flow(&seed);
            owners[i] = (uint8_t)steer_worker(bed_hash(bed_key(), &f), N_WORKERS);
            for (unsigned back = 0; back < 2; back++) {
                bed_ip(&b, &f, back, 4 + bed_random(&seed, 60), &seed);
                memcpy(b.bytes + FRAME_BED_MAX - 4, &i, 4);
                bed_wrap(&b, &f, kind, &seed);
                int fd = sender_from(back                   ? "127.0.0.3"
                                     : bed_random(&seed, 2) ? "127.0.0.2"
                                                            : "::1");
                assert_int_equal(send(fd, frame_bytes(&b), frame_size(&b), 0), frame_size(&b));
                close(fd);
                n_sent++;
            }
        }
        while (n_seen < n_sent) {
            bed_wait(group.sources, N_WORKERS);
            for (unsigned w = 0; w < N_WORKERS; w++) {
                struct frame frames[CAPTURE_BURST];
                int n = live_next(group.sources[w], frames);
                assert_true(n >= 0);
                for (int i = 0; i < n; i++) {
                    unsigned id;
                    memcpy(&id, frames[i].bytes + frames[i].size - 4, 4);
                    assert_true(id < N_FLOWS);
                    assert_int_equal(w, owners[id]);
                    assert_int_equal(frames[i].input, 7 + w);
                    counts[w]++;
                }
                n_seen += (unsigned)n;
            }
        }
        for (unsigned w = 0; w < N_WORKERS; w++)
            assert_true(counts[w] > n_sent / N_WORKERS / 2);
        group_close(&group);
    }
}

static void test_excluded(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    const int lo = (int)if_nametoindex("lo");
    struct datagram_options options = options_of(STEER_VXLAN, 2);
    options.excluded = (struct steer_excluded){.ifindexes = &lo, .n = 1};
    struct group group;
    group_open(&group, &options);
    int fd = sender_from("127.0.0.1"), fd6 = sender_from("::1");
    for (unsigned i = 0; i < 100; i++) {
        /* A refusal, were there one, would come back as the next send's error. */
        assert_int_equal(send(fd, "outside", 7, 0), 7);
        assert_int_equal(send(fd6, "outside", 7, 0), 7);
    }
    options.excluded.n = 0;
    assert_int_equal(datagrams_steer(group.fds[1], &options, NULL), 0);
    assert_int_equal(send(fd, "inside", 6, 0), 6); /* no VXLAN: the first worker's */
    struct frame frame = next_frame(group.sources[0]);
    check_frame(&frame, "127.0.0.1", "127.0.0.1", local_port(fd), (const uint8_t *)"inside", 6);
    for (unsigned i = 0; i < 2; i++) {
        struct live_counters counters;
        live_count(group.sources[i], &counters);
        assert_int_equal(counters.n_frames, i == 0);
        assert_int_equal(counters.n_kernel_dropped, 0);
    }
    close(fd);
    close(fd6);
    group_close(&group);
}

static void test_drops(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    struct datagram_options options = options_of(STEER_VXLAN, 1);
    options.buffer_size = 20000;
    struct group group;
    group_open(&group, &options);
    int fd = sender_from("127.0.0.1");
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(send(fd, "0123456789", 10, 0), 10);
    struct frame frames[CAPTURE_BURST];
    while (live_next(group.sources[0], frames) > 0)
        ;
    struct live_counters counters;
    live_count(group.sources[0], &counters);
    assert_true(counters.n_kernel_dropped > 0);
    assert_int_equal(counters.n_frames + counters.n_kernel_dropped, 1000);
    live_count(group.sources[0], &counters);
    assert_int_equal(counters.n_frames + counters.n_kernel_dropped, 1000);
    close(fd);
    group_close(&group);
}

static void test_truncated(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    struct datagram_options options = options_of(STEER_VXLAN, 1);
    int fds[2];
    struct live_source *source;
    assert_int_equal(datagrams_open(&options, fds, NULL, NULL), 0);
    assert_int_equal(datagrams_attach_tuned(fds[0], 1, 100, &source, NULL), 0);
    static const uint8_t payload[300];
    int fd = sender_from("127.0.0.1");
    for (size_t size = 99; size <= 300; size += 67) {
        assert_int_equal(send(fd, payload, size, 0), size);
        struct frame frame = next_frame(source);
        assert_int_equal(frame.size, 28 + (size < 100 ? size : 100));
        assert_int_equal(frame.wire_size, 28 + size);
        struct reader r = rd_make(frame.bytes, frame.size);
        rd_skip(&r, 2);
        assert_int_equal(rd_be16(&r), 28 + size);
    }
    struct live_counters counters;
    live_count(source, &counters);
    assert_int_equal(counters.n_truncated, 3);
    close(fd);
    close(fds[1]);
    live_close(source);
}

static void test_multicast(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    struct datagram_options options = options_of(STEER_VXLAN, 3);
    assert_true(addr_parse("239.1.2.3", &options.address));
    options.interface = "lo";
    int fds[4];
    struct err err = {""};
    if (datagrams_open(&options, fds, NULL, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(fds[1] == -1 && fds[2] == -1 && fds[3] == -1);
    struct live_source *source;
    assert_int_equal(datagrams_attach(fds[0], 1, &source, NULL), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ip_mreqn out = {.imr_ifindex = (int)if_nametoindex("lo")};
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out), 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    assert_int_equal(inet_pton(AF_INET, "239.1.2.3", &to.sin_addr), 1);
    assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
    struct frame frame = next_frame(source);
    assert_int_equal(frame.size, 28 + 5);
    assert_memory_equal(frame.bytes + 16, (&(uint8_t[]){239, 1, 2, 3}), 4);
    close(fd);
    live_close(source);
}

static void test_refusals(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    struct err err = {""};
    int fds[2] = {-7, -7};
    struct datagram_options options = options_of(STEER_VXLAN, 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(datagrams_open(&options, fds, NULL, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "4789"));
    close(fd);
    options.interface = "nowhere";
    assert_int_equal(datagrams_open(&options, fds, NULL, &err), -ENODEV);
    options.interface = NULL;
    assert_true(addr_parse("192.0.2.1", &options.address));
    assert_int_equal(datagrams_open(&options, fds, NULL, &err), -EADDRNOTAVAIL);
    assert_true(fds[0] == -7 && fds[1] == -7);
    live_close(NULL);
}

int main(void)
{
    has_netns = bed_enter_netns();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_wrap_limits),
        cmocka_unit_test(test_group),     cmocka_unit_test(test_excluded),
        cmocka_unit_test(test_drops),     cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_multicast), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
