// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sink/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/frames_bed.h"
#include "net/ip.h"
#include "net/link.h"
#include "net/origin.h"

struct bed {
    int fd; /* of the other end */
    uint16_t port;
    struct sink *sink;
    struct sink_writer *writer;
    struct sink_counters counters;
    uint16_t sender; /* port of the datagram received last */
    size_t size;
    uint8_t bytes[70000];
};

static void begin(struct bed *bed, const char *kind)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    struct forward_options options;
    struct err err;
    char text[64];
    const int big = 4 << 20;
    bed->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(bed->fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(bed->fd, (struct sockaddr *)&at, &size), 0);
    (void)setsockopt(bed->fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    bed->port = ntohs(at.sin_port);
    (void)snprintf(text, sizeof text, "%s:127.0.0.1:%u", kind, bed->port);
    assert_int_equal(forward_parse(text, &options, &err), 0);
    assert_int_equal(forward_open(&options, &bed->sink, &err), 0);
    assert_int_equal(sink_attach(bed->sink, &bed->writer, &err), 0);
}

static void end(struct bed *bed)
{
    sink_detach(bed->writer);
    assert_int_equal(sink_close(bed->sink, NULL), 0);
    if (bed->fd >= 0)
        close(bed->fd);
}

/* Over the loopback a datagram is there as soon as it is sent. */
static bool receive(struct bed *bed)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(bed->fd, bed->bytes, sizeof bed->bytes, MSG_DONTWAIT,
                         (struct sockaddr *)&from, &size);
    bed->size = n > 0 ? (size_t)n : 0;
    bed->sender = n > 0 ? ntohs(from.sin_port) : 0;
    return n > 0;
}

static void make_frame(struct frame_bed *b, uint16_t sport, bool reply, uint32_t size)
{
    static const uint8_t payload[66000];
    struct addr one = frame_addr(10, 0, 0, 1), two = frame_addr(10, 0, 0, 2);
    frame_begin(b, payload, size);
    frame_tcp(b, reply ? 80 : sport, reply ? sport : 80, 1, 1, 0x10, 100, -1);
    frame_ip(b, reply ? &two : &one, reply ? &one : &two, 6);
    frame_ethernet(b);
}

static struct sink_packet packet_of(const struct frame_bed *b)
{
    return (struct sink_packet){.bytes = frame_bytes(b),
                                .size = (uint32_t)frame_size(b),
                                .wire_size = (uint32_t)frame_size(b),
                                .link = LINK_ETHERNET,
                                .source = "web-1",
                                .encapsulation = "vxlan",
                                .has_id = true,
                                .id = 0x123456};
}

static void test_vxlan(void **state)
{
    struct bed bed = {0};
    struct frame_bed b;
    begin(&bed, "vxlan");
    make_frame(&b, 4000, false, 100);
    struct sink_packet packet = packet_of(&b);
    sink_write(bed.writer, &packet);
    assert_false(receive(&bed)); /* they go together */
    packet.bytes += 14;
    packet.size -= 14;
    packet.link = LINK_RAW;
    sink_write(bed.writer, &packet);
    sink_burst(bed.writer);
    for (int i = 0; i < 2; i++) {
        assert_true(receive(&bed));
        assert_int_equal(bed.size, 8 + frame_size(&b));
        assert_memory_equal(bed.bytes, "\x08\0\0\0\x12\x34\x56\0", 8);
        assert_memory_equal(bed.bytes + 8 + 12, frame_bytes(&b) + 12, frame_size(&b) - 12);
    }
    assert_false(receive(&bed));
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_written, 2);
    assert_int_equal(bed.counters.n_bytes, 2 * frame_size(&b) - 14);
    end(&bed);
}

static void test_geneve(void **state)
{
    struct bed bed = {0};
    struct frame_bed b;
    struct addr outer = frame_addr(192, 0, 2, 7);
    begin(&bed, "geneve");
    make_frame(&b, 4000, false, 100);
    for (int raw = 0; raw < 2; raw++) {
        struct sink_packet packet = packet_of(&b);
        packet.outer = &outer;
        packet.direction = 1;
        if (raw) {
            packet.bytes += 14;
            packet.size -= 14;
            packet.link = LINK_RAW;
        }
        sink_write(bed.writer, &packet);
        sink_burst(bed.writer);
        assert_true(receive(&bed));
        struct reader r = rd_make(bed.bytes, bed.size);
        struct origin origin;
        uint8_t options = rd_u8(&r);
        assert_int_equal(rd_u8(&r), 0);
        assert_int_equal(rd_be16(&r), raw ? 0x0800 : 0x6558);
        assert_int_equal(rd_be32(&r), 0x12345600);
        assert_int_equal(rd_be16(&r), ORIGIN_CLASS);
        assert_int_equal(rd_u8(&r), ORIGIN_TYPE);
        assert_int_equal(rd_u8(&r), options - 1);
        assert_true(origin_decode(rd_sub(&r, (options - 1u) * 4), &origin));
        assert_true(addr_eq(&origin.sender, &outer));
        assert_true(str_eq(origin.name, STR("web-1")));
        assert_true(str_eq(origin.how, STR("vxlan")));
        assert_true(origin.has_id);
        assert_int_equal(origin.id, 0x123456);
        assert_int_equal(origin.direction, 1);
        assert_int_equal(rd_left(&r), packet.size);
        assert_memory_equal(r.at, packet.bytes, packet.size);
    }
    end(&bed);
}

static void test_vni(void **state)
{
    struct sink_packet packet = {.has_id = true, .id = 0};
    assert_int_equal(forward_vni(&packet), 0);
    packet.id = 0xffffff;
    assert_int_equal(forward_vni(&packet), 0xffffff);
    packet.id = 0x1000000;
    uint32_t one = forward_vni(&packet);
    assert_in_range(one, 0x800000, 0xffffff);
    packet.id = 0x1000001;
    assert_int_not_equal(forward_vni(&packet), one);
    packet.has_id = false;
    packet.source = "web-1";
    one = forward_vni(&packet);
    assert_int_equal(one, forward_vni(&packet));
    packet.source = "web-2";
    assert_int_not_equal(forward_vni(&packet), one);
}

/* Both directions of a connection have one port, and connections are spread. */
static void test_ports(void **state)
{
    struct bed bed = {0};
    struct frame_bed b;
    uint16_t seen[300];
    unsigned n_seen = 0;
    begin(&bed, "vxlan");
    for (uint16_t i = 0; i < 300; i++) {
        for (int reply = 0; reply < 2; reply++) {
            make_frame(&b, (uint16_t)(20000 + i), reply, 10);
            struct sink_packet packet = packet_of(&b);
            sink_write(bed.writer, &packet);
        }
        sink_burst(bed.writer);
        assert_true(receive(&bed));
        uint16_t port = bed.sender;
        assert_true(receive(&bed));
        assert_int_equal(bed.sender, port);
        unsigned j = 0;
        while (j < n_seen && seen[j] != port)
            j++;
        if (j == n_seen)
            seen[n_seen++] = port;
    }
    assert_int_equal(n_seen, 8);
    end(&bed);
}

static void test_large(void **state)
{
    struct bed bed = {0};
    struct frame_bed b;
    begin(&bed, "vxlan");
    make_frame(&b, 4000, false, 9000); /* more than an Ethernet frame, less than a datagram */
    struct sink_packet packet = packet_of(&b);
    sink_write(bed.writer, &packet);
    sink_burst(bed.writer);
    assert_true(receive(&bed));
    assert_int_equal(bed.size, 8 + packet.size);

    make_frame(&b, 4000, false, 65490); /* more than a datagram */
    packet = packet_of(&b);
    sink_write(bed.writer, &packet);
    sink_burst(bed.writer);
    size_t payload = 0;
    while (receive(&bed)) {
        assert_memory_equal(bed.bytes, "\x08\0\0\0\x12\x34\x56\0", 8);
        assert_true(bed.size <= 8 + 14 + 9000);
        payload += bed.size - 8 - 54;
    }
    assert_int_equal(payload, 65490);

    struct sink_packet other = packet; /* nothing that can be cut */
    uint8_t *bytes = calloc(1, other.size);
    other.bytes = bytes;
    sink_write(bed.writer, &other);
    sink_burst(bed.writer);
    assert_false(receive(&bed));
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_written, 2);
    assert_int_equal(bed.counters.n_cut, 1);
    assert_int_equal(bed.counters.n_refused[SINK_TOO_LARGE], 1);
    free(bytes);
    end(&bed);
}

static void test_more_than_a_batch(void **state)
{
    struct bed bed = {0};
    struct frame_bed b;
    unsigned n = 0;
    begin(&bed, "vxlan");
    for (uint16_t i = 0; i < 600; i++) {
        make_frame(&b, (uint16_t)(20000 + i), false, 10);
        struct sink_packet packet = packet_of(&b);
        sink_write(bed.writer, &packet);
    }
    sink_flush(bed.writer);
    while (receive(&bed))
        n++;
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(n, bed.counters.n_written);
    assert_int_equal(n, 600);
    end(&bed);
}

static void test_nobody_there(void **state)
{
    struct bed bed = {0};
    struct frame_bed b;
    char note[SINK_NOTE_MAX];
    begin(&bed, "vxlan");
    close(bed.fd);
    bed.fd = -1;
    make_frame(&b, 4000, false, 10);
    struct sink_packet packet = packet_of(&b);
    for (int i = 0; i < 50; i++) {
        sink_write(bed.writer, &packet);
        sink_burst(bed.writer);
    }
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_written + bed.counters.n_refused[SINK_GONE], 50);
    assert_true(sink_take_note(bed.sink, note));
    assert_non_null(strstr(note, strerror(ECONNREFUSED)));
    assert_false(sink_take_note(bed.sink, note)); /* said once */
    packet.link = LINK_SLL;
    sink_write(bed.writer, &packet);
    sink_burst(bed.writer);
    sink_count(bed.sink, &bed.counters);
    assert_int_equal(bed.counters.n_refused[SINK_LINK], 1);
    end(&bed);
}

static void test_own(void **state)
{
    static const struct {
        const char *to;
        bool own;
    } cases[] = {{"vxlan:127.0.0.1:7", true},
                 {"vxlan:127.9.9.9", true},
                 {"geneve:0.0.0.0", true},
                 {"vxlan:192.0.2.1", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct forward_options options;
        struct sink *sink = NULL;
        struct err err;
        struct addr addr;
        uint16_t port = 0;
        assert_int_equal(forward_parse(cases[i].to, &options, &err), 0);
        if (forward_open(&options, &sink, &err) < 0)
            continue; /* there is no way to there: then there is nothing to tell */
        if (forward_is_own(sink, &addr, &port) != cases[i].own)
            fail_msg("%s", cases[i].to);
        assert_int_equal(port, atoi(options.port));
        assert_int_equal(sink_close(sink, &err), 0);
    }
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        enum forward_kind kind;
        const char *host, *port;
    } good[] = {
        {"vxlan:collector", FORWARD_VXLAN, "collector", "4789"},
        {"vxlan:192.0.2.1", FORWARD_VXLAN, "192.0.2.1", "4789"},
        {"vxlan:192.0.2.1:8472", FORWARD_VXLAN, "192.0.2.1", "8472"},
        {"geneve:collector", FORWARD_GENEVE, "collector", "6081"},
        {"geneve:2001:db8::1", FORWARD_GENEVE, "2001:db8::1", "6081"},
        {"geneve:[2001:db8::1]", FORWARD_GENEVE, "2001:db8::1", "6081"},
        {"geneve:[2001:db8::1]:65535", FORWARD_GENEVE, "2001:db8::1", "65535"},
    };
    static const char *const bad[] = {
        "",         "collector",       "vxlan",         "vxlan:",    "vxlan:a:0", "vxlan:a:65536",
        "vxlan:a:", "vxlan:a:1x",      "vxlan:[::1",    "vxlan:[]",  "gre:a",     "vxlan::1",
        "VXLAN:a",  "vxlan:[::1]1234", "vxlan:[::1]:x", "vxlan:a:-1"};
    struct forward_options options;
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(forward_parse(good[i].text, &options, &err), 0);
        assert_int_equal(options.kind, good[i].kind);
        assert_string_equal(options.host, good[i].host);
        assert_string_equal(options.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(forward_parse(bad[i], &options, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vxlan), cmocka_unit_test(test_geneve),
        cmocka_unit_test(test_vni),   cmocka_unit_test(test_ports),
        cmocka_unit_test(test_large), cmocka_unit_test(test_more_than_a_batch),
        cmocka_unit_test(test_parse), cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
