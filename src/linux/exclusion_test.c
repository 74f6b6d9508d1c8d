/* Which packets are mirrored: libpcap's interpreter runs the programs over packets with no tag, one
 * and two in their bytes; the kernel runs them over frames whose tag it has taken out. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/netns_bed.h"
#include "linux/exclusion_bed.h"

/* Of libpcap; its header does not go together with the kernel's. */
u_int bpf_filter(const struct linux_bpf_line *program, const u_char *bytes, u_int wire_size,
                 u_int size);
int bpf_validate(const struct linux_bpf_line *program, int n);

/* From a block of its exact size. */
static bool passes(const struct linux_bpf *bpf, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, bytes, size);
    u_int result = bpf_filter(bpf->at, copy, (u_int)size, (u_int)size);
    assert_true(result == 0 || result == 0xffffffff);
    free(copy);
    return result != 0;
}

static void test_exclusions(void **state)
{
    (void)state;
    static struct frame_bed b;
    struct linux_exclusion exclusions[4];
    struct linux_bpf ethernet, ip;
    size_t n = bed_fill_exclusions(exclusions);
    assert_int_equal(
        linux_exclusion_filter(exclusions, n, NULL, LINUX_PACKET_ETHERNET, &ethernet, NULL), 0);
    assert_int_equal(linux_exclusion_filter(exclusions, n, "", LINUX_PACKET_IP, &ip, NULL), 0);
    assert_true(bpf_validate(ethernet.at, (int)ethernet.n));
    assert_true(bpf_validate(ip.at, (int)ip.n));
    for (size_t i = 0; i < BED_ROWS; i++) {
        const struct bed_row *row = &bed_rows[i];
        bed_make_packet(&b, row);
        if (passes(&ip, frame_bytes(&b), frame_size(&b)) != row->mirrored)
            fail_msg("ip: %s, %s", row->dst, row->what);
        for (unsigned tags = 0; tags < 4; tags++) {
            bed_make_packet(&b, row);
            bed_put_tags(&b, tags);
            bool expected = tags == 3 || row->mirrored; /* nobody looks behind three */
            if (passes(&ethernet, frame_bytes(&b), frame_size(&b)) != expected)
                fail_msg("%u tags: %s, %s", tags, row->dst, row->what);
            /* What is cut off is mirrored as the whole is: nothing is lost by reading too far. */
            for (size_t cut = 14 + 4 * tags; row->mirrored && cut < frame_size(&b); cut++)
                if (!passes(&ethernet, frame_bytes(&b), cut) && strcmp(row->dst, C4) != 0 &&
                    strcmp(row->dst, C6) != 0)
                    fail_msg("%u tags, cut to %zu: %s, %s", tags, cut, row->dst, row->what);
        }
    }
    linux_bpf_done(&ethernet);
    linux_bpf_done(&ip);
}

/* What is neither IPv4 nor IPv6 is mirrored; so are frames shorter than their header. */
static void test_other_frames(void **state)
{
    (void)state;
    static const uint8_t arp[60] = {[0] = 0xff, [12] = 0x08, [13] = 0x06, [15] = 1};
    struct linux_exclusion exclusions[4];
    struct linux_bpf bpf;
    size_t n = bed_fill_exclusions(exclusions);
    assert_int_equal(linux_exclusion_filter(exclusions, n, " ", LINUX_PACKET_ETHERNET, &bpf, NULL),
                     0);
    for (size_t cut = 14; cut <= sizeof arp; cut++)
        assert_true(passes(&bpf, arp, cut));
    linux_bpf_done(&bpf);
    assert_int_equal(linux_exclusion_filter(NULL, 0, NULL, LINUX_PACKET_IP, &bpf, NULL), 0);
    assert_int_equal(bpf.n, 1);
    assert_true(passes(&bpf, arp, 0));
    linux_bpf_done(&bpf);
}

static void test_expressions(void **state)
{
    (void)state;
    static struct frame_bed b;
    static const struct {
        const char *expression;
        uint16_t port;
        bool mirrored, mirrored_ip;
    } list[] = {
        {"udp port 53", 53, true, true},       {"udp port 53", 54, false, false},
        {"not udp port 53", 53, false, false}, {"not udp port 53", 54, true, true},
        {"udp", 4789, false, false},           {"ether host 02:00:00:00:00:01", 53, true, false},
        {"len > 40", 53, true, false},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (int kind = LINUX_PACKET_ETHERNET; kind <= LINUX_PACKET_IP; kind++) {
            const struct bed_row row = {"", A4, C4, UDP, list[i].port, true};
            struct linux_exclusion exclusions[4];
            struct linux_bpf bpf;
            struct err err;
            size_t n = bed_fill_exclusions(exclusions);
            int code = linux_exclusion_filter(exclusions, n, list[i].expression,
                                              (enum linux_packet)kind, &bpf, &err);
            if (kind == LINUX_PACKET_IP && strstr(list[i].expression, "ether")) {
                assert_int_equal(code, -EINVAL);
                continue;
            }
            assert_int_equal(code, 0);
            bed_make_packet(&b, &row);
            bool expected = list[i].mirrored_ip;
            if (kind == LINUX_PACKET_ETHERNET) {
                bed_put_tags(&b, 0);
                expected = list[i].mirrored;
            }
            if (passes(&bpf, frame_bytes(&b), frame_size(&b)) != expected)
                fail_msg("%s, kind %d, port %u", list[i].expression, kind, list[i].port);
            linux_bpf_done(&bpf);
        }
}

static void test_wrong_expressions(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(linux_check_filter("tcp port", LINUX_PACKET_ETHERNET, &err), -EINVAL);
    assert_non_null(strstr(err.text, "filter \"tcp port\": "));
    assert_non_null(strstr(err.text, "syntax error"));
    assert_int_equal(linux_check_filter("vlan 5", LINUX_PACKET_IP, &err), -EINVAL);
    assert_int_equal(linux_check_filter("ether host 02::1", LINUX_PACKET_IP, &err), -EINVAL);
    assert_int_equal(linux_check_filter("vlan and ether[13] = 1", LINUX_PACKET_ETHERNET, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "apart from"));
    assert_int_equal(linux_check_filter("ether [11:4] = 1 or vlan", LINUX_PACKET_ETHERNET, &err),
                     -EINVAL);
    assert_int_equal(linux_check_filter("ether src 2:0:0:0:0:1 and vlan and ip[1] = 0",
                                        LINUX_PACKET_ETHERNET, &err),
                     0);
    assert_int_equal(linux_check_filter("ether[13] = 1", LINUX_PACKET_ETHERNET, &err), 0);
    assert_int_equal(linux_check_filter(NULL, LINUX_PACKET_IP, &err), 0);
    static char many[60000] = "ip[0]";
    size_t at = strlen(many);
    for (unsigned i = 1; i < 1500; i++)
        at += (size_t)snprintf(many + at, sizeof many - at, " + ip[%u]", i % 60);
    (void)snprintf(many + at, sizeof many - at, " = 5");
    assert_int_equal(linux_check_filter(many, LINUX_PACKET_ETHERNET, &err), -E2BIG);
    assert_non_null(strstr(err.text, "4096"));
}

static void test_words(void **state)
{
    (void)state;
    struct linux_exclusion e[4];
    char text[LINUX_EXCLUSION_TEXT];
    bed_fill_exclusions(e);
    linux_exclusion_put(&e[0], text);
    assert_string_equal(text, "udp 10.9.0.2 4789");
    linux_exclusion_put(&e[3], text);
    assert_string_equal(text, "gre 2001:db8::b");
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            assert_int_equal(linux_exclusion_eq(&e[i], &e[j]), i == j);
    struct linux_exclusion other = e[0];
    other.port++;
    assert_false(linux_exclusion_eq(&e[0], &other));
}

/* A socket that gets the frames of the interface that the program lets pass; -1: refused. */
static int open_filtered(const char *interface, const struct linux_bpf *bpf)
{
    struct {
        unsigned short n;
        const struct linux_bpf_line *at;
    } program = {(unsigned short)bpf->n, bpf->at};
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(interface)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ||
        bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        printf("%s\n", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* The kernel takes the outer tag out before anybody sees the frame. */
static void test_tags_taken_out(void **state)
{
    (void)state;
    static struct frame_bed b;
    static const struct {
        const char *expression;
        uint8_t passes; /* bits: with no tag, one, two; the outermost is VLAN 5, 6, in it 5 */
    } list[] = {
        {"", 7},
        {"udp port 53", 3},
        {"not udp port 53", 4},
        {"vlan", 6},
        {"vlan 5", 2},
        {"vlan 6", 4},
        {"not vlan 5", 5},
        {"vlan 5 and udp port 53", 2},
        {"vlan 5 and udp port 54", 0},
        {"vlan and udp port 53", 2},
        {"vlan 6 and vlan 5 and udp port 53", 4},
        {"vlan 6 and vlan 5 and udp[10] = 0x6d", 4}, /* "some" */
        {"host 10.1.0.1 and ip[0] = 0x45", 3},
        {"tcp port 443 or vlan 5", 2},
        {"udp port 53 or vlan 6", 5},
        {"(ip[0] = 0x45 and ip[2:4] != 0) or vlan 5", 3},
    };
    if (!bed_enter_netns())
        skip();
    int tap = bed_tap("t0", IFF_TAP);
    if (tap < 0)
        skip();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct linux_exclusion exclusions[4];
        struct linux_bpf bpf;
        (void)bed_fill_exclusions(exclusions); /* a socket takes no program of all of them */
        assert_int_equal(linux_exclusion_filter(exclusions, 1, list[i].expression,
                                                LINUX_PACKET_ETHERNET, &bpf, NULL),
                         0);
        int fd = open_filtered("t0", &bpf);
        assert_true(fd >= 0);
        unsigned passed = 0;
        for (unsigned tags = 0; tags < 3; tags++)
            for (unsigned port = 53; port <= 4789; port += 4789 - 53) {
                const struct bed_row row = {"", A4, C4, UDP, (uint16_t)port, true};
                bed_make_packet(&b, &row);
                bed_put_tags(&b, tags);
                assert_true(write(tap, frame_bytes(&b), frame_size(&b)) > 0);
                struct pollfd wait = {.fd = fd, .events = POLLIN};
                uint8_t bytes[2000];
                (void)poll(&wait, 1, 20);
                ssize_t size;
                while ((size = recv(fd, bytes, sizeof bytes, 0)) > 0) {
                    /* of the kernel's own, as neighbours are looked for, none is our UDP */
                    if (memmem(bytes, (size_t)size, "some payload", 12))
                        passed |= port == 53 ? 1u << tags : 8;
                }
            }
        if (passed != list[i].passes)
            fail_msg("%s: %u", list[i].expression, passed);
        close(fd);
        linux_bpf_done(&bpf);
    }
    close(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclusions),  cmocka_unit_test(test_other_frames),
        cmocka_unit_test(test_expressions), cmocka_unit_test(test_wrong_expressions),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_tags_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
