/* In a network namespace of its own; skipped where it may not have one. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sink/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/frames_bed.h"

static bool may;

/* A command line of words between single spaces; its exit code. */
static int run(const char *line)
{
    char copy[256], *words[24];
    size_t n = 0;
    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *at = copy; at && n < 23; n++) {
        words[n] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = 0;
    }
    words[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, 2);
        (void)execvp(words[0], words);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int enter(void **state)
{
    may = unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 &&
          run("ip link set lo up") == 0;
    return 0;
}

#define NEED()                                                                                     \
    if (!may) {                                                                                    \
        print_message("skipped: needs a network namespace, /dev/net/tun and ip\n");                \
        skip();                                                                                    \
    }

static struct sink *open_tap(const char *name, uint32_t mtu, struct sink_writer **out)
{
    struct sink *sink;
    struct err err = {""};
    if (tap_open(&(struct tap_options){.name = name, .mtu = mtu, .n_workers = 2}, &sink, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(sink_start(sink, &err), 0);
    assert_int_equal(sink_attach(sink, out, &err), 0);
    return sink;
}

static void close_tap(struct sink *sink, struct sink_writer *writer)
{
    sink_detach(writer);
    assert_int_equal(sink_close(sink, NULL), 0);
}

/* What a sensor has: every frame of the interface. */
static int listen_on(const char *name)
{
    const int big = 8 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    assert_true(fd >= 0);
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(0x0003),
                             .sll_ifindex = (int)if_nametoindex(name)};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static uint8_t heard[70000];

/* The next frame's size; 0: none. What was written before has been received by now. */
static size_t hear(int fd)
{
    ssize_t n = recv(fd, heard, sizeof heard, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

static const uint8_t zeros[66000];

static void make_frame(struct frame_bed *b, uint32_t size)
{
    struct addr one = frame_addr(10, 8, 8, 8), two = frame_addr(10, 9, 9, 9);
    frame_begin(b, zeros, size);
    b->checksums = true;
    frame_tcp(b, 4000, 80, 1, 1, 0x18, 100, -1);
    frame_ip(b, &one, &two, 6);
    frame_ethernet(b);
}

static struct sink_packet packet_of(const struct frame_bed *b)
{
    return (struct sink_packet){.bytes = frame_bytes(b),
                                .size = (uint32_t)frame_size(b),
                                .wire_size = (uint32_t)frame_size(b),
                                .link = 1};
}

static void listen_and_write(const char *name, const char *listener, uint32_t mtu)
{
    struct sink_writer *writer;
    struct sink_counters counters;
    struct frame_bed b;
    struct sink *sink = open_tap(name, mtu, &writer);
    int fd = listen_on(listener);
    make_frame(&b, 100);
    struct sink_packet packet = packet_of(&b);
    sink_write(writer, &packet);
    sink_burst(writer);
    assert_int_equal(hear(fd), packet.size);
    assert_memory_equal(heard, packet.bytes, packet.size);

    packet.bytes += 14;
    packet.size -= 14;
    packet.link = 101;
    sink_write(writer, &packet);
    sink_burst(writer);
    assert_int_equal(hear(fd), packet.size + 14);
    assert_memory_equal(heard + 12, frame_bytes(&b) + 12, frame_size(&b) - 12);

    make_frame(&b, 65000);
    packet = packet_of(&b);
    sink_write(writer, &packet);
    sink_burst(writer);
    size_t payload = 0, n;
    unsigned n_pieces = 0;
    while ((n = hear(fd)) > 0) {
        assert_true(n <= mtu + 14);
        payload += n - 54;
        n_pieces++;
    }
    assert_int_equal(payload, 65000);
    assert_int_equal(n_pieces, (65000 + mtu - 41) / (mtu - 40));

    uint8_t other[12000] = {[12] = 0x88, [13] = 0xcc};
    packet.bytes = other;
    packet.size = mtu + 15;
    sink_write(writer, &packet);
    packet.size = 13;
    sink_write(writer, &packet);
    packet.link = 113;
    sink_write(writer, &packet);
    sink_flush(writer);
    assert_int_equal(hear(fd), 0);
    sink_count(sink, &counters);
    assert_int_equal(counters.n_written, 3);
    assert_int_equal(counters.n_cut, 1);
    assert_int_equal(counters.n_refused[SINK_TOO_LARGE], 1);
    assert_int_equal(counters.n_refused[SINK_LINK], 2);
    close(fd);
    close_tap(sink, writer);
}

static void test_new_tap(void **state)
{
    NEED();
    listen_and_write("mirror0", "mirror0", 9216);
    assert_int_equal(if_nametoindex("mirror0"), 0); /* gone with it */
    listen_and_write("mirror0", "mirror0", 1500);
}

static void test_tap_that_is_there(void **state)
{
    NEED();
    assert_int_equal(run("ip tuntap add dev mirror1 mode tap"), 0);
    listen_and_write("mirror1", "mirror1", 1500);
    assert_int_not_equal(if_nametoindex("mirror1"), 0);
    assert_int_equal(run("ip tuntap add dev mirror2 mode tap multi_queue"), 0);
    listen_and_write("mirror2", "mirror2", 1500);
}

static void test_veth(void **state)
{
    NEED();
    if (run("ip link add veth0 type veth peer name veth1") != 0) {
        print_message("skipped: this kernel has no veth\n");
        skip();
    }
    assert_int_equal(run("ip link set veth1 up"), 0);
    assert_int_equal(run("ip link set veth0 up"), 0);
    listen_and_write("veth0", "veth1", 1500);
}

static void refused(const char *name, const char *why)
{
    struct sink *sink;
    struct err err = {""};
    assert_true(tap_open(&(struct tap_options){.name = name}, &sink, &err) < 0);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void test_refused(void **state)
{
    NEED();
    refused("lo", "no tap, veth or dummy");
    refused("", "not a name");
    refused("sixteencharacter", "not a name");
    refused("a/b", "not a name");
    assert_int_equal(run("ip tuntap add dev own0 mode tap"), 0);
    assert_int_equal(run("ip address add 10.9.9.1/24 dev own0"), 0);
    refused("own0", "has an IP address");
    assert_int_equal(run("ip tuntap add dev own1 mode tap"), 0);
    if (run("ip link add br0 type bridge") == 0) {
        assert_int_equal(run("ip link set own1 master br0"), 0);
        refused("own1", "belongs to a bridge");
    }
    if (run("ip link add own2 type veth peer name own3") == 0) {
        assert_int_equal(run("ip address add 2001:db8::1/64 dev own3 nodad"), 0);
        refused("own2", "interface own2: its other end: interface own3 has an IP address");
    }
    assert_int_equal(run("ip tuntap add dev own4 mode tun"), 0);
    refused("own4", "own4");
}

/* A UDP packet to an address of this machine, in a frame to the tap's own MAC. */
static void write_to_own_address(struct sink_writer *writer, const char *name, uint8_t last)
{
    struct frame_bed b;
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &request), 0);
    close(fd);
    struct addr one = frame_addr(10, 9, 9, 77), two = frame_addr(10, 9, 9, last);
    frame_begin(&b, "hello", 5);
    b.checksums = true;
    frame_udp(&b, 4000, 5000);
    frame_ip(&b, &one, &two, 17);
    frame_ethernet(&b);
    memcpy(b.bytes + b.at, request.ifr_hwaddr.sa_data, 6);
    struct sink_packet packet = packet_of(&b);
    sink_write(writer, &packet);
    sink_flush(writer);
}

static void put_value(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, value, 1), 1);
    close(fd);
}

static void test_this_machine_does_not_listen(void **state)
{
    NEED();
    struct sink_writer *writer;
    assert_int_equal(run("ip tuntap add dev uplink0 mode tap"), 0);
    assert_int_equal(run("ip address add 10.9.9.9/24 dev uplink0"), 0);
    assert_int_equal(run("ip link set uplink0 up"), 0);
    put_value("/proc/sys/net/ipv4/ip_forward", "1"); /* of this namespace */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5000)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    struct sink *sink = open_tap("mirror5", 1500, &writer);
    write_to_own_address(writer, "mirror5", 9);
    assert_int_equal(hear(fd), 0);

    /* The same is taken where nothing forbids it: so the test can fail. */
    put_value("/proc/sys/net/ipv4/conf/mirror5/rp_filter", "0");
    put_value("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
    write_to_own_address(writer, "mirror5", 9);
    assert_int_equal(hear(fd), 5);
    close(fd);
    close_tap(sink, writer);
}

static void test_interface_goes(void **state)
{
    NEED();
    struct sink_writer *writer;
    struct sink_counters counters;
    struct frame_bed b;
    char note[SINK_NOTE_MAX];
    struct sink *sink = open_tap("mirror6", 1500, &writer);
    make_frame(&b, 100);
    struct sink_packet packet = packet_of(&b);
    assert_int_equal(run("ip link set mirror6 down"), 0);
    for (int i = 0; i < 3; i++) {
        sink_write(writer, &packet);
        sink_burst(writer);
    }
    sink_count(sink, &counters);
    assert_int_equal(counters.n_refused[SINK_GONE], 3);
    assert_true(sink_take_note(sink, note));
    assert_non_null(strstr(note, "mirror6"));
    assert_false(sink_take_note(sink, note));
    close_tap(sink, writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_tap),
        cmocka_unit_test(test_tap_that_is_there),
        cmocka_unit_test(test_veth),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_this_machine_does_not_listen),
        cmocka_unit_test(test_interface_goes),
    };
    return cmocka_run_group_tests(tests, enter, NULL);
}
