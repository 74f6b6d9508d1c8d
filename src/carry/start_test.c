/* Carriers that really run: in a network namespace of the test's own, from taps to a UDP socket of
 * ours on the loopback. carry_start starts this program anew, which then is the carrier. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "carry/carry.h"

#include <dirent.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "capture/netns_bed.h"
#include "net/frames_bed.h"

#define PORT 4789
#define VNI  0x10203

static bool has_taps;
static char folder[] = "/tmp/start_test.XXXXXX";
static int collector = -1;

static struct carry_options options_of(const char *interface)
{
    struct carry_options o = {.wrap = CARRY_VXLAN, .port = PORT, .id = VNI, .memory = 4 << 20};
    (void)snprintf(o.interface, sizeof o.interface, "%s", interface);
    (void)snprintf(o.status, sizeof o.status, "%s/status", folder);
    assert_true(addr_parse("127.0.0.1", &o.to));
    return o;
}

static void start(const struct carry_options *options)
{
    struct err err = {""};
    if (carry_start(options, &err) < 0)
        fail_msg("%s", err.text);
}

static struct carry_status status_of(const struct carry_options *options)
{
    struct carry_status status;
    struct err err = {""};
    if (carry_status_read(options->status, &status, &err) < 0)
        fail_msg("%s", err.text);
    return status;
}

static void rest(void)
{
    const struct timespec little = {.tv_nsec = 2000000};
    (void)nanosleep(&little, NULL);
}

/* They are counted when they have left, which may be after they have come. */
static struct carry_status wait_for_sent(const struct carry_options *options, uint64_t at_least)
{
    while (status_of(options).counters.n_sent < at_least)
        rest();
    return status_of(options);
}

/* There is nobody whose command line has the test's folder in it, but the test. */
static unsigned count_carriers(void)
{
    DIR *processes = opendir("/proc");
    assert_non_null(processes);
    unsigned n = 0;
    for (struct dirent *one; (one = readdir(processes));) {
        char path[300], line[4096];
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", one->d_name);
        int fd = one->d_name[0] >= '0' && one->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
        if (fd < 0)
            continue;
        ssize_t size = read(fd, line, sizeof line);
        close(fd);
        n += size > 0 && memmem(line, (size_t)size, folder, strlen(folder));
    }
    closedir(processes);
    return n;
}

static void stop(const struct carry_options *options)
{
    struct err err = {""};
    if (carry_stop(options->status, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(access(options->status, F_OK), -1);
    assert_int_equal(count_carriers(), 0);
}

/* The next datagram of ours (this kernel says things by a new interface as well): the frame that is
 * in it. */
static const uint8_t *next_copy(uint32_t *out_size)
{
    static uint8_t bytes[70000];
    for (;;) {
        ssize_t n = recv(collector, bytes, sizeof bytes, 0);
        assert_true(n > 8);
        assert_memory_equal(bytes, "\x08\0\0\0\x01\x02\x03\0", 8);
        if (bytes[8] == 2 && bytes[9] == 0) {
            *out_size = (uint32_t)n - 8;
            return bytes + 8;
        }
    }
}

static void empty_collector(void)
{
    char byte;
    while (recv(collector, &byte, 1, MSG_DONTWAIT) >= 0)
        ;
}

static void make_frame(struct frame_bed *b, uint8_t proto, size_t size)
{
    static uint8_t payload[60000];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 250);
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    frame_begin(b, payload, size);
    if (proto == 6)
        frame_tcp(b, 40000, 80, 1, 1, 0x18, 100, -1);
    else
        frame_udp(b, 443, 40000);
    b->checksums = true;
    frame_ip(b, &src, &dst, proto);
    frame_ethernet(b);
}

static void test_a_life(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    int tap = bed_tap("life0", IFF_TAP);
    struct carry_options options = options_of("life0");
    start(&options);
    struct carry_status status = status_of(&options);
    assert_true(status.alive);
    assert_int_equal(status.state, CARRY_RUNNING);
    assert_int_equal(getpgid(status.pid), getsid(status.pid));
    assert_int_not_equal(getsid(status.pid), getsid(0));
    struct err err;
    assert_int_equal(carry_start(&options, &err), -EBUSY); /* one has it */
    for (size_t size = 20; size < 1400; size += 60) {
        make_frame(&b, 17, size);
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
    }
    for (size_t size = 20; size < 1400; size += 60) {
        uint32_t got;
        make_frame(&b, 17, size);
        const uint8_t *frame = next_copy(&got);
        assert_int_equal(got, frame_size(&b));
        assert_memory_equal(frame, frame_bytes(&b), got);
    }
    status = wait_for_sent(&options, 23);
    assert_int_equal(status.counters.n_seen, status.counters.n_sent);
    assert_int_equal(carry_lost(&status.counters), 0);
    stop(&options);
    close(tap);
}

/* Nothing stays of what could not begin, and the sentence says why. */
static void test_refusals(void **state)
{
    if (!has_taps)
        skip();
    int tap = bed_tap("ref0", IFF_TAP);
    assert_int_equal(bed_set_up("ref0", false), 0);
    int up = bed_tap("ref1", IFF_TAP);
    static const struct {
        const char *interface, *to, *from, *filter, *user, *status, *says;
        int direction;
    } cases[] = {
        {"nobody0", "127.0.0.1", NULL, "", "", NULL, "nobody0: there is none", CARRY_BOTH},
        {"ref0", "127.0.0.1", NULL, "", "", NULL, "is down", CARRY_BOTH},
        {"ref1", "192.0.2.9", NULL, "", "", NULL, "no way to the collector 192.0.2.9", CARRY_BOTH},
        {"ref1", "127.0.0.1", "192.0.2.1", "", "", NULL, "none of this machine's", CARRY_BOTH},
        {"ref1", "127.0.0.1", NULL, "tcp and", "", NULL, "filter 'tcp and'", CARRY_BOTH},
        {"ref1", "127.0.0.1", NULL, "", "no-such-user-here", NULL, "there is no user", CARRY_BOTH},
        {"ref1", "127.0.0.1", NULL, "", "", "/proc/no/folder", "/proc/no/folder", CARRY_BOTH},
        {"lo", "127.0.0.1", NULL, "", "", NULL, "--direction in", CARRY_OUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct carry_options options = options_of(cases[i].interface);
        struct err err = {""};
        assert_true(addr_parse(cases[i].to, &options.to));
        options.has_from = cases[i].from != NULL;
        if (cases[i].from)
            assert_true(addr_parse(cases[i].from, &options.from));
        (void)snprintf(options.filter, sizeof options.filter, "%s", cases[i].filter);
        (void)snprintf(options.user, sizeof options.user, "%s", cases[i].user);
        if (cases[i].status)
            (void)snprintf(options.status, sizeof options.status, "%s", cases[i].status);
        options.direction = cases[i].direction;
        assert_true(carry_start(&options, &err) < 0);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(access(options.status, F_OK), -1);
    }
    while (count_carriers() > 0) /* they said it before they ended */
        rest();
    close(tap);
    close(up);
}

static void test_killed_and_again(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    int tap = bed_tap("kill0", IFF_TAP);
    struct carry_options options = options_of("kill0");
    make_frame(&b, 17, 100);
    for (int turn = 0; turn < 3; turn++) {
        uint32_t size;
        start(&options);
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
        (void)next_copy(&size);
        struct carry_status status = status_of(&options);
        assert_int_equal(kill(status.pid, SIGKILL), 0);
        while (status_of(&options).alive)
            rest();
        assert_int_equal(status_of(&options).pid, status.pid);
        empty_collector();
    }
    stop(&options);
    close(tap);
}

/* What the killed leave becomes ours (see main). */
static bool has_children(void)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        ;
    return pid == 0;
}

/* Whenever the caller is killed: there is no carrier, or one that runs and can be found. */
static void test_caller_killed(void **state)
{
    if (!has_taps)
        skip();
    int tap = bed_tap("call0", IFF_TAP);
    struct carry_options options = options_of("call0");
    unsigned n_running = 0, n_none = 0;
    int turn = 0;
    for (; turn < 60 || (n_running == 0 && turn < 70); turn++) {
        struct err err;
        pid_t caller = fork();
        if (caller == 0)
            _exit(carry_start(&options, &err) < 0);
        /* At last, where all others came too early, longer ones: up to five seconds. */
        long us = turn < 60 ? turn * 150l : 10000l << (turn - 60);
        const struct timespec wait = {us / 1000000, us % 1000000 * 1000};
        (void)nanosleep(&wait, NULL);
        assert_int_equal(kill(caller, SIGKILL), 0);
        struct carry_status status = {.state = CARRY_STARTING};
        while (status.state == CARRY_STARTING && has_children())
            if (carry_status_read(options.status, &status, &err) < 0)
                rest();
        unsigned n = count_carriers();
        n_running += n == 1;
        n_none += n == 0;
        assert_true(n <= 1);
        stop(&options);
    }
    printf("the caller was killed %d times: %u carriers ran, %u never began\n", turn, n_running,
           n_none);
    assert_true(n_running > 0);
    close(tap);
}

static void rename_interface(const char *from, const char *to)
{
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", from);
    (void)snprintf(request.ifr_newname, sizeof request.ifr_newname, "%s", to);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFNAME, &request), 0);
    close(fd);
}

/* What it is called does not matter to what is bound to it. */
static void test_interface_renamed(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    uint32_t size;
    make_frame(&b, 17, 100);
    int tap = bed_tap("name0", IFF_TAP);
    struct carry_options options = options_of("name0");
    start(&options);
    assert_int_equal(bed_set_up("name0", false), 0);
    while (status_of(&options).state != CARRY_WAITING)
        rest();
    rename_interface("name0", "name1");
    assert_int_equal(bed_set_up("name1", true), 0);
    while (status_of(&options).state != CARRY_RUNNING)
        rest();
    empty_collector();
    assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
    (void)next_copy(&size);
    close(tap); /* and when it is gone, the name counts again */
    while (status_of(&options).state != CARRY_WAITING)
        rest();
    tap = bed_tap("name0", IFF_TAP);
    while (status_of(&options).state != CARRY_RUNNING)
        rest();
    stop(&options);
    close(tap);
}

/* Removed, and made anew: another interface of that name. Frames of before may still be in the ring
 * when it goes. */
static void test_interface_comes_and_goes(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    make_frame(&b, 17, 100);
    int tap = bed_tap("gone0", IFF_TAP);
    struct carry_options options = options_of("gone0");
    start(&options);
    for (uint64_t turn = 1; turn < 4; turn++) {
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
        if (turn & 1) {
            close(tap);
        } else {
            assert_int_equal(bed_set_up("gone0", false), 0);
        }
        while (status_of(&options).state != CARRY_WAITING)
            rest();
        struct carry_status status = status_of(&options);
        assert_true(status.counters.n_interface_losses >= turn);
        assert_non_null(strstr(status.trouble, "gone0"));
        if (turn & 1)
            tap = bed_tap("gone0", IFF_TAP);
        else
            assert_int_equal(bed_set_up("gone0", true), 0);
        while (status_of(&options).state != CARRY_RUNNING)
            rest();
        assert_string_equal(status_of(&options).trouble, "");
        empty_collector();
        uint32_t size;
        assert_int_equal(write(tap, frame_bytes(&b), frame_size(&b)), frame_size(&b));
        (void)next_copy(&size);
        assert_int_equal(size, frame_size(&b));
    }
    stop(&options);
    close(tap);
}

/* The mirror leaves by the interface that it mirrors: each packet is copied once. */
static void test_no_copy_of_a_copy(void **state)
{
    if (!has_taps)
        skip();
    struct carry_options options = options_of("lo");
    start(&options);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof to;
    int there = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(there, (struct sockaddr *)&to, size), 0);
    assert_int_equal(getsockname(there, (struct sockaddr *)&to, &size), 0);
    static const uint8_t payload[30000]; /* its copy has to go in fragments, as lo's MTU is 65536 */
    for (int i = 0; i < 50; i++)
        assert_true(sendto(fd, payload, i & 1 ? sizeof payload : 10, 0, (struct sockaddr *)&to,
                           sizeof to) > 0);
    (void)wait_for_sent(&options, 50);
    for (int i = 0; i < 50; i++)
        rest();
    struct carry_status status = status_of(&options);
    assert_int_equal(status.counters.n_seen, 50);
    assert_int_equal(status.counters.n_sent, 50);
    assert_int_equal(status.counters.n_own, 0);
    stop(&options);
    empty_collector();
    close(fd);
    close(there);
}

static void send_gso(int tap, const struct frame_bed *b, uint8_t kind, uint16_t gso_size,
                     uint16_t sum_offset)
{
    static uint8_t bytes[70000];
    const struct virtio_net_hdr header = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = kind,
        .hdr_len = sum_offset == 16 ? 54 : 42,
        .gso_size = gso_size,
        .csum_start = 34,
        .csum_offset = sum_offset,
    };
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, frame_bytes(b), frame_size(b));
    assert_int_equal(write(tap, bytes, sizeof header + frame_size(b)),
                     sizeof header + frame_size(b));
}

/* A virtual machine's super-frames: as many frames as the wire has, with lengths of their own. */
static void test_super_frames(void **state)
{
    if (!has_taps)
        skip();
    static struct frame_bed b;
    int tap = bed_tap("gso0", IFF_TAP | IFF_VNET_HDR);
    struct carry_options options = options_of("gso0");
    start(&options);
    make_frame(&b, 6, 50000);
    send_gso(tap, &b, VIRTIO_NET_HDR_GSO_TCPV4, 1300, 16);
    const uint8_t *payload = frame_bytes(&b) + 54;
    for (uint32_t at = 0; at < 50000;) {
        uint32_t size;
        const uint8_t *frame = next_copy(&size);
        uint32_t n = at + 1300 < 50000 ? 1300 : 50000 - at;
        assert_int_equal(size, 54 + n);
        assert_int_equal(frame[16] << 8 | frame[17], 40 + n);
        assert_memory_equal(frame + 54, payload + at, n);
        at += n;
    }
    struct carry_status status = wait_for_sent(&options, 39);
    assert_int_equal(status.counters.n_segmented, 1);
    assert_int_equal(status.counters.n_segments, 39);
    assert_int_equal(status.counters.n_sent, status.counters.n_seen - 1 + 39);
    stop(&options);
    close(tap);
}

/* A test that failed leaves none behind. */
static int clear(void **state)
{
    struct carry_options options = options_of("lo");
    struct err err;
    return carry_stop(options.status, &err);
}

static void say(const char *text, void *with)
{
    fprintf(stderr, "%s\n", text);
}

/* What carry_start starts. */
static int be_a_carrier(char **args, int n_args)
{
    struct carry_options options = {0};
    struct err err = {""};
    const char *rest_of_them[CARRY_MAX_ARGUMENTS];
    int result = options_parse(carry_rows, args, n_args, rest_of_them, carry_take, &options, &err);
    if (result >= 0)
        result = carry_run(&options, say, NULL, &err);
    return result < 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "mirror") == 0)
        return be_a_carrier(argv + 3, argc - 3);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    has_taps = bed_enter_netns();
    int fd = has_taps ? bed_tap("try", IFF_TAP) : -1;
    if (has_taps && fd < 0)
        printf("skipped: no tap: %s\n", strerror(-fd));
    has_taps = fd >= 0;
    if (fd >= 0)
        close(fd);
    const struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (has_taps) {
        collector = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (bind(collector, (const struct sockaddr *)&here, sizeof here) < 0)
            return 1;
    }
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_life, clear),
        cmocka_unit_test_teardown(test_refusals, clear),
        cmocka_unit_test_teardown(test_killed_and_again, clear),
        cmocka_unit_test_teardown(test_caller_killed, clear),
        cmocka_unit_test_teardown(test_interface_comes_and_goes, clear),
        cmocka_unit_test_teardown(test_interface_renamed, clear),
        cmocka_unit_test_teardown(test_no_copy_of_a_copy, clear),
        cmocka_unit_test_teardown(test_super_frames, clear),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
