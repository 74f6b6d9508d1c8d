// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sink/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reader.h"

#define TS 1790000000123456789ll

static const uint8_t ip_bytes[3000] = {0x45, 1, 2, 3};
static const uint8_t ip6_bytes[60] = {0x60, 1, 2, 3};

static struct sink_packet packet_of(uint16_t link, const uint8_t *bytes, uint32_t size)
{
    return (struct sink_packet){
        .ts = TS, .bytes = bytes, .size = size, .wire_size = size + 5, .link = link};
}

struct got {
    size_t size;
    uint8_t bytes[8 << 20];
};

static struct got *got_new(void)
{
    struct got *got = calloc(1, sizeof *got);
    assert_non_null(got);
    return got;
}

/* What is there now. */
static void read_now(int fd, struct got *got)
{
    ssize_t n;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    while ((n = read(fd, got->bytes + got->size, sizeof got->bytes - got->size)) > 0)
        got->size += (size_t)n;
}

static struct reader take_header(struct got *got, uint32_t magic)
{
    struct reader r = rd_make(got->bytes, got->size);
    assert_int_equal(rd_le32(&r), magic);
    assert_int_equal(rd_le16(&r), 2);
    assert_int_equal(rd_le16(&r), 4);
    rd_skip(&r, 8);
    assert_int_equal(rd_le32(&r), STREAM_MAX_PACKET);
    assert_int_equal(rd_le32(&r), 1);
    assert_true(rd_ok(&r));
    return r;
}

/* The next packet's size and bytes. */
static const uint8_t *take_packet(struct reader *r, uint32_t part, uint32_t *out_size)
{
    assert_int_equal(rd_le32(r), 1790000000);
    assert_int_equal(rd_le32(r), part);
    *out_size = rd_le32(r);
    assert_true(rd_le32(r) >= *out_size);
    const uint8_t *bytes = rd_bytes(r, *out_size);
    assert_non_null(bytes);
    return bytes;
}

struct bed {
    int fds[2];
    struct sink *sink;
    struct sink_writer *writer;
    struct sink_counters counters;
    char note[SINK_NOTE_MAX];
};

static void begin(struct bed *bed, struct stream_options options)
{
    struct err err;
    memset(bed, 0, sizeof *bed);
    assert_int_equal(pipe(bed->fds), 0);
    options.fd = bed->fds[1];
    assert_int_equal(stream_open(&options, &bed->sink, &err), 0);
    assert_int_equal(sink_start(bed->sink, &err), 0);
    assert_int_equal(sink_attach(bed->sink, &bed->writer, &err), 0);
}

static void test_packets(void **state)
{
    struct bed bed;
    struct got *got = got_new();
    begin(&bed, (struct stream_options){.snap_size = 100});
    read_now(bed.fds[0], got);
    assert_int_equal(got->size, 24); /* the header is there before any packet */
    const struct sink_packet packets[] = {
        packet_of(1, ip_bytes, 60),     packet_of(101, ip_bytes, 60), packet_of(229, ip6_bytes, 60),
        packet_of(113, ip_bytes, 60),   packet_of(1, ip_bytes, 3000), packet_of(12, ip_bytes, 3000),
        packet_of(101, ip_bytes + 1, 0)};
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++)
        sink_write(bed.writer, &packets[i]);
    sink_burst(bed.writer);
    read_now(bed.fds[0], got);
    struct reader r = take_header(got, 0xa1b2c3d4);
    uint32_t size;
    assert_memory_equal(take_packet(&r, 123456, &size), ip_bytes, 60);
    assert_int_equal(size, 60);
    const uint8_t *bytes = take_packet(&r, 123456, &size);
    assert_int_equal(size, 74);
    assert_memory_equal(bytes + 12, "\x08\x00\x45\x01", 4);
    bytes = take_packet(&r, 123456, &size);
    assert_int_equal(size, 74);
    assert_memory_equal(bytes + 12, "\x86\xdd\x60\x01", 4);
    (void)take_packet(&r, 123456, &size);
    assert_int_equal(size, 100);
    (void)take_packet(&r, 123456, &size);
    assert_int_equal(size, 100);
    assert_true(rd_done(&r));
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_written, 5);
    assert_int_equal(bed.counters.n_cut, 2);
    assert_int_equal(bed.counters.n_bytes, 60 * 3 + 100 + 86);
    assert_int_equal(bed.counters.n_refused[SINK_LINK], 2); /* cooked; empty */
    sink_detach(bed.writer);
    assert_int_equal(sink_close(bed.sink, NULL), 0);
    close(bed.fds[0]);
    close(bed.fds[1]);
    free(got);
}

static void test_nanoseconds(void **state)
{
    struct bed bed;
    struct got *got = got_new();
    begin(&bed, (struct stream_options){.nanoseconds = true});
    struct sink_packet packet = packet_of(1, ip_bytes, 60);
    sink_write(bed.writer, &packet);
    sink_detach(bed.writer);
    read_now(bed.fds[0], got);
    struct reader r = take_header(got, 0xa1b23c4d);
    uint32_t size;
    (void)take_packet(&r, 123456789, &size);
    assert_true(rd_done(&r));
    assert_int_equal(sink_close(bed.sink, NULL), 0);
    close(bed.fds[0]);
    close(bed.fds[1]);
    free(got);
}

/* A reader that sleeps costs packets, not time; when it reads on, the stream is still whole. */
static void test_slow_reader(void **state)
{
    struct bed bed;
    struct got *got = got_new();
    uint64_t n_given = 0;
    begin(&bed, (struct stream_options){.memory = 2 << 20});
    struct sink_packet packet = packet_of(1, ip_bytes, 1500);
    for (int i = 0; i < 20000; i++, n_given++) {
        sink_write(bed.writer, &packet);
        if (i % 16 == 15)
            sink_burst(bed.writer);
    }
    sink_flush(bed.writer);
    sink_count(bed.sink, &bed.counters);
    assert_true(bed.counters.n_refused[SINK_FULL] > 10000);
    assert_int_equal(bed.counters.n_written + bed.counters.n_refused[SINK_FULL], n_given);
    size_t before;
    do {
        before = got->size;
        read_now(bed.fds[0], got);
        sink_flush(bed.writer);
    } while (got->size > before);
    struct reader r = take_header(got, 0xa1b2c3d4);
    uint64_t n = 0;
    for (uint32_t size; rd_left(&r) > 0; n++)
        (void)take_packet(&r, 123456, &size);
    assert_int_equal(n, bed.counters.n_written);
    sink_detach(bed.writer);
    assert_int_equal(sink_close(bed.sink, NULL), 0);
    close(bed.fds[0]);
    close(bed.fds[1]);
    free(got);
}

static void test_reader_goes(void **state)
{
    struct bed bed;
    begin(&bed, (struct stream_options){0});
    struct sink_packet packet = packet_of(1, ip_bytes, 1500);
    sink_write(bed.writer, &packet);
    sink_burst(bed.writer);
    assert_false(sink_take_note(bed.sink, bed.note));
    close(bed.fds[0]);
    for (int i = 0; i < 5; i++) {
        sink_write(bed.writer, &packet);
        sink_flush(bed.writer);
    }
    assert_true(sink_take_note(bed.sink, bed.note));
    assert_non_null(strstr(bed.note, "the reader is gone"));
    assert_false(sink_take_note(bed.sink, bed.note)); /* said once */
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_refused[SINK_GONE], 4);
    sink_detach(bed.writer);
    assert_int_equal(sink_close(bed.sink, NULL), 0);
    close(bed.fds[1]);
}

/* A FIFO: readers come and go, and each finds a header. */
static void test_fifo(void **state)
{
    char folder[] = "/tmp/cloudspan-stream-XXXXXX", path[64];
    struct bed bed = {0};
    struct err err;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(stream_open(&(struct stream_options){.path = path}, &bed.sink, &err), 0);
    assert_int_equal(sink_attach(bed.sink, &bed.writer, &err), 0);
    struct sink_packet packet = packet_of(1, ip_bytes, 60);
    sink_write(bed.writer, &packet);
    sink_burst(bed.writer);
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_refused[SINK_GONE], 1);
    for (int i = 0; i < 2; i++) {
        struct got *got = got_new();
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        assert_true(fd >= 0);
        sink_flush(bed.writer);
        sink_write(bed.writer, &packet);
        sink_burst(bed.writer);
        read_now(fd, got);
        struct reader r = take_header(got, 0xa1b2c3d4);
        uint32_t size;
        (void)take_packet(&r, 123456, &size);
        assert_true(rd_done(&r));
        close(fd);
        sink_write(bed.writer, &packet);
        sink_burst(bed.writer);
        assert_true(sink_take_note(bed.sink, bed.note));
        free(got);
    }
    sink_detach(bed.writer);
    assert_int_equal(sink_close(bed.sink, &err), 0);
    unlink(path);
    rmdir(folder);
}

/* Neither the caller's pipe nor his socket becomes non-blocking for him. */
static void test_other_descriptors(void **state)
{
    struct sink *sink;
    struct sink_writer *writer;
    struct err err;
    int fds[2];
    struct got *got = got_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(stream_open(&(struct stream_options){.fd = fds[1]}, &sink, &err), 0);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(sink_attach(sink, &writer, &err), 0);
    struct sink_packet packet = packet_of(1, ip_bytes, 60);
    for (int i = 0; i < 100000; i++) { /* more than a socket holds */
        sink_write(writer, &packet);
        if (i % 100 == 0)
            sink_burst(writer);
    }
    sink_burst(writer);
    read_now(fds[0], got);
    (void)take_header(got, 0xa1b2c3d4);
    close(fds[0]);
    sink_detach(writer);
    assert_int_equal(sink_close(sink, NULL), 0);
    close(fds[1]);

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(stream_open(&(struct stream_options){.fd = fds[1]}, &sink, &err), 0);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(sink_close(sink, NULL), 0);
    close(fds[0]);
    close(fds[1]);

    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0) {
        assert_int_equal(stream_open(&(struct stream_options){.fd = terminal}, &sink, &err),
                         -EINVAL);
        assert_non_null(strstr(err.text, "terminal"));
        close(terminal);
    }
    assert_int_equal(stream_open(&(struct stream_options){.path = "/nowhere/x"}, &sink, &err),
                     -ENOENT);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),     cmocka_unit_test(test_nanoseconds),
        cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_reader_goes),
        cmocka_unit_test(test_fifo),        cmocka_unit_test(test_other_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
