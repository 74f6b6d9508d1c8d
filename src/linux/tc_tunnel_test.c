/* Full frames into tunnels: what arrives, and what the monitored machine notices of it. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "linux/link_bed.h"
#include "linux/tc_bed.h"

static struct err err;

/* The tunnel's underlay is m0, the other end of which is the collector; behind e0 is a peer. */
static bool enter_tunnel(void)
{
    static bool is_made;
    static const char *const lines[] = {"ip addr add 10.9.0.1/24 dev m0",
                                        "ip addr add fd09::1/64 dev m0 nodad",
                                        "ip addr add 10.1.0.2/24 dev e0",
                                        "ip addr add fd01::1/64 dev e0 nodad",
                                        "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev m0",
                                        "ip neigh add fd09::2 lladdr 02:00:00:00:00:01 dev m0",
                                        "ip neigh add 10.1.0.1 lladdr 02:00:00:00:00:02 dev e0",
                                        "ip neigh add fd01::2 lladdr 02:00:00:00:00:02 dev e0"};
    if (!enter())
        return false;
    for (size_t i = 0; i < sizeof lines / sizeof *lines && !is_made; i++)
        assert_int_equal(bed_do(lines[i]), 0);
    is_made = true;
    return true;
}

/* False: this kernel has no such device. */
static bool make(const char *kind, const char *remote, enum linux_erspan erspan, uint32_t mtu,
                 uint32_t *out)
{
    struct linux_link_want want = {.name = "cs0", .kind = kind, .mtu = mtu, .is_up = true};
    want.tunnel = (struct linux_tunnel){.id = 7, .ttl = 64, .erspan = erspan};
    want.tunnel.remote = bed_address(remote);
    if (strcmp(kind, "vxlan") == 0 || strcmp(kind, "geneve") == 0)
        want.tunnel.port = 4789;
    if (strcmp(kind, "geneve") != 0)
        want.tunnel.local = bed_address(strchr(remote, ':') ? V6_LOCAL : V4_LOCAL);
    int left = linux_link_remove_by_name("cs0", &err); /* by a test that failed */
    assert_true(left == 0 || left == -ENODEV);
    int code = linux_link_add(&want, out, &err);
    if (code == -EOPNOTSUPP) {
        print_message("not tried: %s\n", err.text);
        return false;
    }
    must(code, &err);
    return true;
}

static size_t last_size; /* of an outer frame */

/* Outer packets on the wire, fragments each for itself; small whole ones are what IPv6 says by
 * itself, unless they carry the sender's frames. */
static unsigned outer(void)
{
    uint8_t frame[2048];
    unsigned n = 0;
    struct pollfd p = {.fd = bed.at_m1, .events = POLLIN};
    while (poll(&p, 1, 50) > 0) {
        ssize_t size = recv(bed.at_m1, frame, sizeof frame, 0);
        bool is_v4 = frame[12] == 8 && frame[13] == 0 && (frame[23] == 17 || frame[23] == 47);
        bool is_v6 = frame[12] == 0x86 && (frame[20] == 17 || frame[20] == 47 || frame[20] == 44);
        bool is_fragment = is_v4 ? (frame[20] & 0x3f) || frame[21] : is_v6 && frame[20] == 44;
        if ((is_v4 || is_v6) &&
            (is_fragment || size > 1000 || memmem(frame, (size_t)size, sender_mac, 6))) {
            last_size = (size_t)size;
            n++;
        }
    }
    return n;
}

/* Errors of ICMP and ICMPv6 that the peer was sent. */
static unsigned errors_sent(void)
{
    uint8_t frame[2048];
    unsigned n = 0;
    struct pollfd p = {.fd = bed.at_e1, .events = POLLIN};
    while (poll(&p, 1, 50) > 0)
        if (recv(bed.at_e1, frame, sizeof frame, 0) > 54)
            n += (frame[12] == 8 && frame[13] == 0 && frame[23] == 1 && frame[34] == 3) ||
                 (frame[12] == 0x86 && frame[20] == 58 && frame[54] == 2);
    return n;
}

/* The same over IPv6, from the peer to this machine. */
static void send_frame6(int fd, size_t size)
{
    uint8_t frame[2048] = {0};
    struct linux_link e0;
    must(linux_link_get("e0", &e0, &err), &err);
    memcpy(frame, e0.mac, 6);
    memcpy(frame + 6, sender_mac, 6);
    static const uint8_t ip[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17, 64, 0xfd, 1, 0,    0,
                                 0,    0,    0,    0, 0, 0, 0, 0, 0,  0,  0,    2, 0xfd, 1,
                                 0,    0,    0,    0, 0, 0, 0, 0, 0,  0,  0,    0, 0,    1};
    memcpy(frame + 12, ip, sizeof ip);
    frame[18] = (uint8_t)((size - 54) >> 8);
    frame[19] = (uint8_t)(size - 54);
    assert_int_equal(send(fd, frame, size, 0), size);
}

/* What came in, of full size and not to be fragmented, is copied. */
static void test_received(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *remote;
        enum linux_erspan erspan;
        uint32_t mtu;
        unsigned n_outer; /* 2: in two fragments; 0: it is lost */
        bool tells_the_peer;
    } rows[] = {
        {"vxlan", V4_REMOTE, 0, 0, 2, false},
        {"vxlan", V6_REMOTE, 0, 0, 0, false},
        {"geneve", V4_REMOTE, 0, 0, 2, false},
        {"geneve", V6_REMOTE, 0, 0, 0, false},
        {"gretap", V4_REMOTE, 0, 0, 2, false},
        {"erspan", V4_REMOTE, LINUX_ERSPAN_1, 0, 2, false},
        {"erspan", V4_REMOTE, LINUX_ERSPAN_2, 0, 2, false},
        {"erspan", V4_REMOTE, LINUX_ERSPAN_3, 0, 2, false},
        {"gretap", V4_REMOTE, 0, 1400, 0, true}, /* why it gets a large MTU */
        {"gretap", V6_REMOTE, 0, 0, 0, true},    /* why it is for large underlays alone */
        {"erspan", V6_REMOTE, LINUX_ERSPAN_2, 0, 1, false}, /* it cuts them */
        {"erspan", V4_REMOTE, LINUX_ERSPAN_2, 300, 1, false},
    };
    if (!enter_tunnel())
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t tunnel;
        if (!make(rows[i].kind, rows[i].remote, rows[i].erspan, rows[i].mtu, &tunnel))
            continue;
        begin_clsact();
        struct linux_tc_want copy = mirror_want();
        copy.direction = LINUX_TC_IN;
        copy.mirror_to = tunnel;
        must(linux_tc_add(&copy, &err), &err);
        (void)outer();
        send_frame(bed.from_e1, 53, 100);
        unsigned n_small = outer(), n_told = errors_sent();
        if (n_small != 1 || n_told != 0)
            fail_msg("%zu %s: a small one: %u outer, %u errors", i, rows[i].kind, n_small, n_told);
        send_frame(bed.from_e1, 53, 1514);
        unsigned n4 = outer(), n_told4 = errors_sent();
        send_frame6(bed.from_e1, 1514);
        unsigned n6 = outer(), n_told6 = errors_sent();
        print_message("%s to %s, MTU %u: outer packets %u of IPv4, %u of IPv6; the peer is told "
                      "%u, %u errors\n",
                      rows[i].kind, rows[i].remote, rows[i].mtu, n4, n6, n_told4, n_told6);
        if (n4 != rows[i].n_outer || n6 != rows[i].n_outer ||
            (n_told4 + n_told6 > 0) != rows[i].tells_the_peer)
            fail_msg("%zu: not as was said", i);
        /* Outer MAC, IPv4, GRE, ERSPAN; and what was left of the frame. */
        if (rows[i].mtu == 300)
            assert_int_equal(last_size, 14 + 20 + 8 + 8 + 14 + 300);
        end_clsact();
        must(linux_link_remove(tunnel, &err), &err);
    }
}

static bool is_mtu_less(const char *to)
{
    char line[64];
    (void)snprintf(line, sizeof line, "ip -j route get %s", to);
    json_t *json = bed_json(line);
    assert_non_null(json);
    bool is_less =
        bed_number(json, "0.metrics.0.mtu") > 0 && bed_number(json, "0.metrics.0.mtu") < 1500;
    json_decref(json);
    return is_less;
}

static void send_datagram(int family, const char *to, size_t size)
{
    static const uint8_t bytes[2048];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(9)};
    bool is_six = family == AF_INET6;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), probe = IP_PMTUDISC_DO;
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(family, to, is_six ? (void *)&six.sin6_addr : &four.sin_addr), 1);
    if (!is_six)
        (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
    assert_int_equal(sendto(fd, bytes, size, 0,
                            is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four,
                            is_six ? sizeof six : sizeof four),
                     size);
    close(fd);
}

/* What the machine itself sends, of full size: its routes must stay as they are. */
static void test_sent(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *remote;
        enum linux_erspan erspan;
        uint32_t mtu;
        bool forgets;
        unsigned n_outer;
        bool harms_ip4, harms_ip6;
    } rows[] = {
        {"vxlan", V4_REMOTE, 0, 0, true, 2, false, false},
        {"vxlan", V6_REMOTE, 0, 0, true, 0, false, false},
        {"geneve", V4_REMOTE, 0, 0, true, 2, false, false},
        {"gretap", V4_REMOTE, 0, 0, true, 2, false, false},
        {"gretap", V4_REMOTE, 0, 0, false, 2, false, false},
        {"erspan", V4_REMOTE, LINUX_ERSPAN_2, 0, false, 2, false, false},
        {"erspan", V4_REMOTE, LINUX_ERSPAN_3, 0, true, 2, false, false},
        {"erspan", V4_REMOTE, LINUX_ERSPAN_2, 1000, false, 1, false, false},
        {"erspan", V6_REMOTE, LINUX_ERSPAN_2, 0, true, 1, false, false},
        /* And what is to be avoided. */
        {"vxlan", V4_REMOTE, 0, 0, false, 2, false, true},
        {"vxlan", V6_REMOTE, 0, 0, false, 0, false, true},
        {"geneve", V4_REMOTE, 0, 0, false, 2, false, true},
        {"gretap", V4_REMOTE, 0, 1400, true, 0, false, true},
        {"gretap", V6_REMOTE, 0, 0, false, 0, true, true},
        {"gretap", V6_REMOTE, 0, 0, true, 0, false, true},
        {"erspan", V6_REMOTE, LINUX_ERSPAN_2, 0, false, 1, false, true},
    };
    if (!enter_tunnel())
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t tunnel;
        if (!make(rows[i].kind, rows[i].remote, rows[i].erspan, rows[i].mtu, &tunnel))
            continue;
        begin_clsact();
        struct linux_tc_want copy = mirror_want();
        copy.mirror_to = tunnel;
        copy.forgets_route = rows[i].forgets;
        if (is_had(linux_tc_add(&copy, &err), &err)) {
            (void)outer();
            send_datagram(AF_INET, "10.1.0.1", 1472);
            unsigned n4 = outer();
            send_datagram(AF_INET6, "fd01::2", 1452);
            unsigned n6 = outer();
            bool is_less4 = is_mtu_less("10.1.0.1"), is_less6 = is_mtu_less("fd01::2");
            print_message(
                "%s to %s%s: %u and %u outer packets; the MTU of IPv4 is %s, of IPv6 %s\n",
                rows[i].kind, rows[i].remote, rows[i].forgets ? ", route forgotten" : "", n4, n6,
                is_less4 ? "less" : "the same", is_less6 ? "less" : "the same");
            if (n4 != rows[i].n_outer || n6 != rows[i].n_outer || is_less4 != rows[i].harms_ip4 ||
                is_less6 != rows[i].harms_ip6)
                fail_msg("%zu: not as was said", i);
        }
        end_clsact();
        must(linux_link_remove(tunnel, &err), &err);
        assert_int_equal(bed_do("ip -6 route flush cache"), 0);
        assert_int_equal(bed_do("ip -4 route flush cache"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
