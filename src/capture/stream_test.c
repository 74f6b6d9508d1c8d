/* Captures that come over a connection, in pieces of every size, and how they end. */
#include "capture/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/build.h"
#include "capture/netns_bed.h"
#include "capture/pcap_over_ip.h"

static void pair_open(int fds[2], struct live_source **source)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(stream_attach(fds[0], 3, source, NULL), 0);
}

static void check_frames(struct frame *frames, int n, unsigned *n_seen, unsigned step)
{
    for (int i = 0; i < n; i++, (*n_seen)++) {
        struct build expected = {0};
        build_frame(&expected, *n_seen, *n_seen * step % 1600);
        assert_int_equal(frames[i].size, expected.size);
        if (expected.size > 0)
            assert_memory_equal(frames[i].bytes, expected.bytes, expected.size);
        assert_int_equal(frames[i].input, 3);
        assert_int_equal(frames[i].link, 1);
        build_done(&expected);
    }
}

/* Sends `bytes` in pieces, reading all that can be had after each. Gives the last result. */
static int feed(struct live_source *source, int fd, const struct build *bytes, size_t piece,
                unsigned *n_seen, unsigned step)
{
    struct frame frames[CAPTURE_BURST];
    int n = 0;
    for (size_t at = 0; at < bytes->size && n >= 0; at += piece) {
        size_t size = bytes->size - at < piece ? bytes->size - at : piece;
        assert_int_equal(write(fd, bytes->bytes + at, size), size);
        while ((n = live_next(source, frames)) > 0)
            check_frames(frames, n, n_seen, step);
    }
    return n;
}

static void build_capture(struct build *build, bool ng, unsigned n, unsigned step)
{
    if (ng) {
        build_section(build);
        build_interface(build, 1, 0, 9, 0);
        struct build body = {.big = build->big};
        build_frame(&body, 1, 5000);
        build_block(build, 0x0bad, &body); /* to be skipped, larger than most pieces */
        build_done(&body);
    } else {
        build_pcap_header(build, 0xa1b23c4d, 65535, 1);
    }
    for (unsigned i = 0; i < n; i++)
        if (ng)
            build_packet(build, 0, 1000 + i, i, i * step % 1600, i * step % 1600);
        else
            build_pcap_record(build, 1000, i, i, i * step % 1600, i * step % 1600);
}

static void test_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 3, 16, 100, 1500, 20000};
    for (unsigned kind = 0; kind < 4; kind++)
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            struct build build = {.big = kind & 1};
            build_capture(&build, kind & 2, 120, 37);
            int fds[2];
            struct live_source *source;
            struct frame frames[CAPTURE_BURST];
            pair_open(fds, &source);
            assert_int_equal(live_next(source, frames), 0);
            unsigned n_seen = 0;
            assert_int_equal(feed(source, fds[1], &build, pieces[i], &n_seen, 37), 0);
            assert_int_equal(n_seen, 120);
            close(fds[1]);
            assert_int_equal(live_next(source, frames), -EPIPE);
            assert_null(strstr(live_problem(source), "middle"));
            struct live_counters counters;
            live_count(source, &counters);
            assert_int_equal(counters.n_frames, 120);
            live_close(source);
            build_done(&build);
        }
}

/* Cut anywhere: all before it is given, and where it was cut is said. */
static void test_cut(void **state)
{
    (void)state;
    for (unsigned ng = 0; ng < 2; ng++) {
        struct build build = {0};
        build_capture(&build, ng, 4, 11);
        for (size_t cut = 0; cut <= build.size; cut++) {
            struct build head = {.bytes = build.bytes, .size = cut};
            int fds[2];
            struct live_source *source;
            struct frame frames[CAPTURE_BURST];
            pair_open(fds, &source);
            unsigned n_seen = 0;
            assert_int_equal(feed(source, fds[1], &head, 64, &n_seen, 11), 0);
            close(fds[1]);
            assert_int_equal(live_next(source, frames), -EPIPE);
            if (cut == build.size)
                assert_int_equal(n_seen, 4);
            else
                assert_true(n_seen < 4);
            if (cut == 0 || cut == build.size)
                assert_null(strstr(live_problem(source), "middle"));
            else if (cut < 24)
                assert_non_null(strstr(live_problem(source), "middle"));
            live_close(source);
        }
        build_done(&build);
    }
}

static void test_large(void **state)
{
    (void)state;
    struct build build = {0};
    build_pcap_header(&build, 0xa1b23c4d, 0, 1);
    build_pcap_record(&build, 1, 0, 1, 3000000, 3000000);
    build_pcap_record(&build, 1, 1, 2, 40, 40);
    int fds[2];
    struct live_source *source;
    struct frame frames[CAPTURE_BURST];
    pair_open(fds, &source);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    size_t at = 0;
    unsigned n_seen = 0;
    while (n_seen < 2) {
        if (at < build.size) {
            ssize_t n = write(fds[1], build.bytes + at, build.size - at);
            at += n > 0 ? (size_t)n : 0;
        }
        int n = live_next(source, frames);
        assert_true(n >= 0);
        for (int i = 0; i < n; i++, n_seen++)
            assert_int_equal(frames[i].size, n_seen == 0 ? 3000000 : 40);
    }
    close(fds[1]);
    live_close(source);
    build_done(&build);
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET / HTTP/1.1\r\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00"};
    for (size_t i = 0; i < 2; i++) {
        int fds[2];
        struct live_source *source;
        struct frame frames[CAPTURE_BURST];
        pair_open(fds, &source);
        assert_int_equal(write(fds[1], texts[i], 8), 8);
        assert_int_equal(live_next(source, frames), -EBADMSG);
        assert_non_null(strstr(live_problem(source), "not a capture"));
        assert_int_equal(live_next(source, frames), -EBADMSG);
        close(fds[1]);
        live_close(source);
    }
    /* A packet that is larger than any: after those before it. */
    struct build build = {0};
    build_pcap_header(&build, 0xa1b23c4d, 0, 1);
    build_pcap_record(&build, 1, 0, 0, 0, 0);
    build_u64(&build, 0);
    build_u64(&build, UINT64_MAX);
    int fds[2];
    struct live_source *source;
    pair_open(fds, &source);
    unsigned n_seen = 0;
    assert_int_equal(feed(source, fds[1], &build, 4096, &n_seen, 0), -EBADMSG);
    assert_int_equal(n_seen, 1);
    close(fds[1]);
    live_close(source);
    build_done(&build);
}

static void test_tcp(void **state)
{
    (void)state;
    if (!bed_enter_netns())
        skip();
    struct err err = {""};
    int fd = -1;
    struct pcap_over_ip_options options = {.host = "127.0.0.1"};
    assert_int_equal(pcap_over_ip_open(&options, &fd, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, "57012"));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(57012)};
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(pcap_over_ip_open(&options, &fd, &err), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int peer = accept(listener, NULL, NULL);
    struct build build = {0};
    build_capture(&build, true, 50, 37);
    assert_int_equal(write(peer, build.bytes, build.size), build.size);
    close(peer);
    struct live_source *source;
    assert_int_equal(stream_attach(fd, 3, &source, NULL), 0);
    unsigned n_seen = 0;
    int n;
    do {
        struct frame frames[CAPTURE_BURST];
        bed_wait(&source, 1);
        n = live_next(source, frames);
        check_frames(frames, n, &n_seen, 37);
    } while (n >= 0);
    assert_int_equal(n, -EPIPE);
    assert_int_equal(n_seen, 50);
    live_close(source);
    close(listener);
    build_done(&build);
    options.host = "no such host.invalid";
    assert_true(pcap_over_ip_open(&options, &fd, &err) < 0);
    /* Nobody answers: black hole in a namespace without routes is refused, not waited for. */
    options.host = "192.0.2.1";
    assert_true(pcap_over_ip_open(&options, &fd, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces), cmocka_unit_test(test_cut), cmocka_unit_test(test_large),
        cmocka_unit_test(test_bad),    cmocka_unit_test(test_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
