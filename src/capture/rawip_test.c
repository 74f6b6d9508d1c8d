/* GRE over loopback, of both families: who gets what, and what it looks like. */
#include "capture/rawip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "capture/netns_bed.h"
#include "capture/steer_bed.h"
#include "net/ip.h"

#define N_WORKERS 4
#define N_FLOWS   2000

static bool has_netns;

static int sender(bool v6)
{
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_GRE);
    assert_true(fd >= 0);
    struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog program = {.len = 1, .filter = none};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &a.sin_addr), 1);
    assert_int_equal(inet_pton(AF_INET6, "::1", &b.sin6_addr), 1);
    assert_int_equal(v6 ? connect(fd, (struct sockaddr *)&b, sizeof b)
                        : connect(fd, (struct sockaddr *)&a, sizeof a),
                     0);
    return fd;
}

static void check_outer(const struct frame *frame, bool v6, size_t size)
{
    struct addr loopback;
    assert_true(addr_parse(v6 ? "::1" : "127.0.0.1", &loopback));
    uint8_t *block = malloc(frame->size);
    assert_non_null(block);
    memcpy(block, frame->bytes, frame->size);
    struct reader r = rd_make(block, frame->size);
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    struct packet packet = {.weirds = weirds};
    struct ip_fragment fragment;
    assert_int_equal(frame->link, LINK_RAW);
    assert_int_equal(ip_decode(&r, frame->wire_size, false, &packet, &fragment), PACKET_IP);
    assert_int_equal(packet.ip_proto, 47);
    assert_int_equal(packet.payload_size, size);
    assert_int_equal(packet.ip_len, frame->size);
    assert_true(addr_eq(&packet.src, &loopback) && addr_eq(&packet.dst, &loopback));
    free(block);
}

static void test_group(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    static struct frame_bed b;
    static struct bed_flow flows[N_FLOWS];
    static size_t sizes[2 * N_FLOWS];
    uint64_t seed = 9;
    struct steer_key key;
    steer_key_init(&key, 9);
    for (unsigned v6 = 0; v6 < 2; v6++) {
        const struct rawip_options options = {.is_ipv6 = v6,
                                              .group = {.key = &key, .n_workers = N_WORKERS}};
        int fds[N_WORKERS + 1];
        struct live_source *sources[N_WORKERS];
        struct err err = {""};
        size_t got = 0;
        if (rawip_open(&options, fds, &got, &err) < 0)
            fail_msg("%s", err.text);
        assert_true(got > 0);
        for (unsigned w = 0; w < N_WORKERS; w++)
            assert_int_equal(rawip_attach(fds[w], 5, &sources[w], NULL), 0);
        int fd = sender(v6);
        for (unsigned i = 0; i < 2 * N_FLOWS; i++) {
            if (i % 2 == 0)
                flows[i / 2] = bed_flow(&seed);
            size_t size = i == 1 ? 1400 : 4 + bed_random(&seed, 60);
            bed_ip(&b, &flows[i / 2], i % 2, size, &seed);
            memcpy(b.bytes + FRAME_BED_MAX - 4, &i, 4);
            bed_wrap_gre(&b, &flows[i / 2], &seed);
            sizes[i] = frame_size(&b);
            assert_int_equal(send(fd, frame_bytes(&b), sizes[i], 0), sizes[i]);
        }
        unsigned n_seen = 0;
        while (n_seen < 2 * N_FLOWS) {
            bed_wait(sources, N_WORKERS);
            for (unsigned w = 0; w < N_WORKERS; w++) {
                struct frame frames[CAPTURE_BURST];
                int n = live_next(sources[w], frames);
                assert_true(n >= 0);
                for (int j = 0; j < n; j++) {
                    unsigned id;
                    memcpy(&id, frames[j].bytes + frames[j].size - 4, 4);
                    assert_true(id < 2 * N_FLOWS);
                    assert_int_equal(w, steer_worker(bed_hash(&key, &flows[id / 2]), N_WORKERS));
                    check_outer(&frames[j], v6, sizes[id]);
                }
                n_seen += (unsigned)n;
            }
        }
        /* Too short to be anybody's: the first worker's, and only there. */
        assert_int_equal(send(fd, "\x00", 1, 0), 1);
        struct frame frames[CAPTURE_BURST];
        int n;
        while ((n = live_next(sources[0], frames)) == 0)
            bed_wait(sources, 1);
        assert_int_equal(n, 1);
        check_outer(&frames[0], v6, 1);
        for (unsigned w = 0; w < N_WORKERS; w++) {
            struct live_counters counters;
            assert_int_equal(live_next(sources[w], frames), 0);
            live_count(sources[w], &counters);
            assert_int_equal(counters.n_kernel_dropped, 0);
            live_close(sources[w]);
        }
        close(fds[N_WORKERS]);
        close(fd);
    }
}

/* Held, or excluded: nothing is taken, nothing is refused to the sender, nothing counts as lost. */
static void test_held(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    struct steer_key key;
    steer_key_init(&key, 9);
    const int lo = (int)if_nametoindex("lo");
    struct rawip_options options = {.group = {.key = &key, .n_workers = 0}};
    int fds[2];
    assert_int_equal(rawip_open(&options, fds, NULL, NULL), 0);
    close(fds[0]);
    options.group.n_workers = 1;
    options.excluded = (struct steer_excluded){.ifindexes = &lo, .n = 1};
    assert_int_equal(rawip_open(&options, fds, NULL, NULL), 0);
    struct live_source *source;
    struct frame frames[CAPTURE_BURST];
    assert_int_equal(rawip_attach(fds[0], 1, &source, NULL), 0);
    int fd = sender(false);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(send(fd, "\0\0\x08\0", 4, 0), 4);
    options.excluded.n = 0;
    assert_int_equal(rawip_steer(fds[0], 0, &options, NULL), 0);
    assert_int_equal(send(fd, "\0\0\x65\x58!", 5, 0), 5);
    int n;
    while ((n = live_next(source, frames)) == 0)
        bed_wait(&source, 1);
    assert_int_equal(n, 1);
    check_outer(&frames[0], false, 5);
    struct live_counters counters;
    live_count(source, &counters);
    assert_int_equal(counters.n_kernel_dropped, 0);
    assert_int_equal(counters.n_frames, 1);
    close(fd);
    close(fds[1]);
    live_close(source);
}

int main(void)
{
    has_netns = bed_enter_netns();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
