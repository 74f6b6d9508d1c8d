/* Tunnel devices in a network namespace, with iproute2 as the witness. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/types.h>

#include "base/clock.h"
#include "capture/netns_bed.h"
#include "linux/link_bed.h"
#include "linux/nl_bed.h"
#include "linux/text.h"

static bool enter(void)
{
    static int entered = -1;
    if (entered < 0) {
        entered = bed_enter_with_witness();
        if (entered && (bed_do("ip link add e0 type veth peer name e1") != 0 ||
                        bed_do("ip addr add 10.9.0.1/24 dev e0") != 0 ||
                        bed_do("ip addr add fd09::1/64 dev e0 nodad") != 0 ||
                        bed_do("ip link set e0 up") != 0 || bed_do("ip link set e1 up") != 0))
            fail_msg("no veth");
    }
    return entered;
}

static struct linux_link_want vxlan_want(const char *name)
{
    struct linux_link e0;
    struct err err;
    assert_int_equal(linux_link_get("e0", &e0, &err), 0);
    struct linux_link_want want = {
        .name = name, .kind = "vxlan", .alias = "a mark: 1", .is_up = true};
    want.tunnel = (struct linux_tunnel){.id = 4242, .port = 4789, .ttl = 64, .underlay = e0.index};
    want.tunnel.local = bed_address(V4_LOCAL);
    want.tunnel.remote = bed_address(V4_REMOTE);
    return want;
}

static void test_vxlan(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err = {""};
    struct linux_link_want want = vxlan_want("cs0");
    uint32_t index = 0;
    assert_int_equal(linux_link_add(&want, &index, &err), 0);
    json_t *json = bed_json("ip -j -d link show cs0");
    assert_non_null(json);
    assert_int_equal(bed_number(json, "0.ifindex"), index);
    assert_string_equal(bed_word(json, "0.ifalias"), "a mark: 1");
    assert_string_equal(bed_word(json, "0.linkinfo.info_kind"), "vxlan");
    assert_int_equal(bed_number(json, "0.linkinfo.info_data.id"), 4242);
    assert_int_equal(bed_number(json, "0.linkinfo.info_data.port"), 4789);
    assert_int_equal(bed_number(json, "0.linkinfo.info_data.ttl"), 64);
    assert_string_equal(bed_word(json, "0.linkinfo.info_data.local"), V4_LOCAL);
    assert_string_equal(bed_word(json, "0.linkinfo.info_data.remote"), V4_REMOTE);
    assert_string_equal(bed_word(json, "0.linkinfo.info_data.link"), "e0");
    assert_int_equal(bed_number(json, "0.mtu"), LINUX_UDP_MTU);
    assert_true(json_is_false(bed_at(json, "0.linkinfo.info_data.learning")));
    char flags[256] = "";
    json_t *list = bed_at(json, "0.flags");
    for (size_t i = 0; i < json_array_size(list); i++)
        (void)snprintf(flags + strlen(flags), sizeof flags - strlen(flags), "%s ",
                       json_string_value(json_array_get(list, i)));
    assert_non_null(strstr(flags, "NOARP"));
    assert_non_null(strstr(flags, "UP "));
    json_decref(json);
    char setting[8];
    assert_int_equal(text_read("/proc/sys/net/ipv4/conf/cs0/rp_filter", setting, 8), 1);
    assert_string_equal(setting, "1");

    struct linux_link link, *links = NULL;
    size_t n = 0;
    assert_int_equal(linux_link_get("cs0", &link, &err), 0);
    assert_int_equal(link.index, index);
    assert_string_equal(link.kind, "vxlan");
    assert_string_equal(link.alias, "a mark: 1");
    assert_true(link.is_up && !link.has_arp && link.has_ethernet);
    assert_memory_equal(&link.tunnel.local, &want.tunnel.local, 16);
    assert_memory_equal(&link.tunnel.remote, &want.tunnel.remote, 16);
    assert_int_equal(link.tunnel.underlay, want.tunnel.underlay);
    assert_int_equal(link.tunnel.df, LINUX_DF_UNSET);
    assert_int_equal(linux_links(&links, &n, &err), 0);
    assert_true(n >= 4); /* and what modules bring along */
    assert_non_null(linux_link_by_name(links, n, "lo"));
    assert_non_null(linux_link_by_name(links, n, "cs0"));
    assert_true(linux_link_below(links, n, index, want.tunnel.underlay));
    assert_true(linux_link_below(links, n, index, linux_link_by_name(links, n, "e1")->index));
    assert_false(linux_link_below(links, n, want.tunnel.underlay, index));
    free(links);

    /* A name that is taken: whose it is stays as it was. */
    want.alias = "another mark";
    uint32_t other = 0;
    assert_int_equal(linux_link_add(&want, &other, &err), -EEXIST);
    assert_non_null(strstr(err.text, "cs0"));
    assert_int_equal(other, 0);
    assert_int_equal(linux_link_get("cs0", &link, &err), 0);
    assert_int_equal(link.index, index);
    assert_string_equal(link.alias, "a mark: 1");
    assert_true(link.is_up);

    assert_int_equal(linux_link_set_mtu(index, 1300, &err), 0);
    assert_int_equal(linux_link_set_alias(index, "m2", &err), 0);
    assert_int_equal(linux_link_set_up(index, false, &err), 0);
    assert_int_equal(linux_link_get("cs0", &link, &err), 0);
    assert_int_equal(link.mtu, 1300);
    assert_string_equal(link.alias, "m2");
    assert_false(link.is_up);
    assert_int_equal(linux_link_set_mtu(index, 65000, &err), -EINVAL);
    assert_non_null(strstr(err.text, "65000"));

    assert_int_equal(linux_link_remove(index, &err), 0);
    assert_int_equal(linux_link_remove(index, &err), -ENODEV);
    assert_int_equal(linux_link_get("cs0", &link, &err), -ENODEV);
    assert_int_equal(linux_link_remove_by_name("cs0", &err), -ENODEV);
    assert_string_equal(err.text, "there is no interface cs0");
}

/* A later step that fails leaves nothing behind. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    uint32_t index = 0;
    struct linux_link link;
    struct linux_link_want first = vxlan_want("cs1"), second = vxlan_want("cs2");
    first.tunnel.underlay = second.tunnel.underlay = 0;
    assert_int_equal(linux_link_add(&first, &index, &err), 0);
    /* The same VNI twice: the kernel refuses it at once. */
    assert_int_equal(linux_link_add(&second, &index, &err), -EEXIST);
    assert_non_null(strstr(err.text, "(kernel: ")); /* since 4.12 it says why */
    assert_int_equal(linux_link_get("cs2", &link, &err), -ENODEV);
    assert_int_equal(linux_link_remove_by_name("cs1", &err), 0);
    /* The port is somebody's: that is found out when the device comes up. */
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(4789)};
    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(linux_link_add(&second, &index, &err), -EADDRINUSE);
    assert_int_equal(linux_link_get("cs2", &link, &err), -ENODEV);
    close(fd);
    assert_int_equal(linux_link_add(&second, &index, &err), 0);
    assert_int_equal(linux_link_remove_by_name("cs2", &err), 0);
}

static uint64_t sent_by(const char *name)
{
    struct linux_link link;
    struct err err;
    assert_int_equal(linux_link_get(name, &link, &err), 0);
    return link.counters.tx_packets + link.counters.tx_dropped + link.counters.tx_errors;
}

static void test_silence(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    uint32_t index;
    struct linux_link_want want = vxlan_want("cs3"), with_ip6 = vxlan_want("cs6");
    with_ip6.mtu = 1400;
    with_ip6.tunnel.id = 4243;
    assert_int_equal(linux_link_add(&want, &index, &err), 0);
    assert_int_equal(linux_link_add(&with_ip6, &index, &err), 0);
    json_t *json = bed_json("ip -j -d link show cs6");
    assert_string_equal(bed_word(json, "0.inet6_addr_gen_mode"), "none");
    json_decref(json);
    /* One that is made as usual speaks within a second, where there is IPv6. */
    assert_int_equal(
        bed_do("ip link add loud type vxlan id 99 remote 10.9.0.2 dev e0 dstport 4790"), 0);
    assert_int_equal(bed_do("ip link set loud up"), 0);
    for (int i = 0; i < 40 && sent_by("loud") == 0; i++)
        (void)poll(NULL, 0, 100);
    if (sent_by("loud") == 0)
        print_message("no IPv6 here: nothing to be heard of any device\n");
    (void)poll(NULL, 0, 500);
    assert_int_equal(sent_by("cs3"), 0);
    assert_int_equal(sent_by("cs6"), 0);
    assert_int_equal(linux_link_remove_by_name("cs6", &err), 0);
    assert_int_equal(linux_link_remove_by_name("loud", &err), 0);
    assert_int_equal(linux_link_remove_by_name("cs3", &err), 0);
}

/* Every kind, as far as this kernel has it. */
static void test_kinds(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct linux_link e0;
    struct err err = {""};
    assert_int_equal(linux_link_get("e0", &e0, &err), 0);
    for (size_t i = 0; i < BED_TUNNELS; i++) {
        struct linux_link_want want = bed_want_of(i, "cs4");
        struct linux_link link;
        uint32_t index;
        want.alias = "x";
        want.is_up = true;
        if (want.tunnel.underlay)
            want.tunnel.underlay = e0.index;
        int code = linux_link_add(&want, &index, &err);
        if (code == -EOPNOTSUPP) {
            print_message("not tried: %s\n", err.text);
            assert_int_equal(linux_link_get("cs4", &link, &err), -ENODEV);
            continue;
        }
        if (code)
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(linux_link_get("cs4", &link, &err), 0);
        assert_int_equal(link.index, index);
        assert_string_equal(link.alias, "x");
        assert_true(link.is_up && !link.has_arp && link.has_ethernet);
        struct linux_tunnel *got = &link.tunnel, *asked = &want.tunnel;
        if (memcmp(&got->local, &asked->local, 16) != 0 ||
            memcmp(&got->remote, &asked->remote, 16) != 0 || got->id != asked->id ||
            got->port != asked->port || got->ttl != asked->ttl || got->df != asked->df ||
            got->erspan != asked->erspan || got->erspan_index != asked->erspan_index ||
            got->erspan_is_egress != asked->erspan_is_egress ||
            got->erspan_hardware != asked->erspan_hardware || got->underlay != asked->underlay)
            fail_msg("%zu %s: not as asked for", i, want.kind);
        if (!bed_is_gre(i))
            assert_int_equal(link.mtu, LINUX_UDP_MTU);
        else if (!bed_is_v6(i))
            assert_int_equal(link.mtu, LINUX_GRE_MTU);
        json_t *json = bed_json("ip -j -d link show cs4");
        assert_string_equal(bed_word(json, "0.linkinfo.info_kind"), link.kind);
        if (bed_is_gre(i)) /* the others have no IPv6 */
            assert_string_equal(bed_word(json, "0.inet6_addr_gen_mode"), "none");
        char *text = json_dumps(json, JSON_COMPACT);
        print_message("%s\n", text ? strstr(text, "\"linkinfo\"") : "");
        free(text);
        json_decref(json);
        assert_int_equal(linux_link_remove(index, &err), 0);
    }
}

/* Killed at any time, what makes a device leaves none, or one that is marked and up. */
static void test_killed(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct linux_link_want want = vxlan_want("cs7");
    struct err err;
    struct linux_link link;
    uint32_t index;
    int64_t start = clock_ticks();
    assert_int_equal(linux_link_add(&want, &index, &err), 0);
    int64_t lasts = clock_ticks() - start;
    assert_int_equal(linux_link_remove(index, &err), 0);
    unsigned n_made = 0;
    enum { ROUNDS = 200 };
    for (unsigned i = 0; i < ROUNDS; i++) {
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            /* By its own alarm, which is nearest to the moment. */
            int64_t us = 1 + lasts / 1000 * i / (ROUNDS / 2);
            struct itimerval moment = {
                .it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000}};
            (void)setitimer(ITIMER_REAL, &moment, NULL);
            (void)!linux_link_add(&want, &index, &err);
            (void)poll(NULL, 0, 60000);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
        int code = linux_link_get("cs7", &link, &err);
        if (code == 0) {
            n_made++;
            assert_string_equal(link.alias, want.alias);
            assert_true(link.is_up);
            assert_int_equal(linux_link_remove(link.index, &err), 0);
        } else {
            assert_int_equal(code, -ENODEV);
        }
    }
    print_message("killed %d times: %u devices\n", ROUNDS, n_made);
}

/* A packet to a port of this machine, wrapped as if the collector had sent it: it goes nowhere. */
static void test_what_comes_in(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    uint32_t index;
    struct linux_link link, e0;
    struct linux_link_want want = vxlan_want("cs8");
    assert_int_equal(linux_link_add(&want, &index, &err), 0);
    assert_int_equal(linux_link_get("cs8", &link, &err), 0);
    assert_int_equal(linux_link_get("e0", &e0, &err), 0);
    int port = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7777)};
    assert_int_equal(bind(port, (struct sockaddr *)&here, sizeof here), 0);
    int wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll e1 = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("e1")};
    assert_int_equal(bind(wire, (struct sockaddr *)&e1, sizeof e1), 0);
    uint8_t frame[] = {
        0,    0, 0, 0,  0,    0,    2,    0,    0,  0,  0,    9,    8,   0, /* to e0 */
        0x45, 0, 0, 82, 0,    0,    0,    0,    64, 17, 0x66, 0x87, 10,  9,   0,   2,
        10,   9, 0, 1,  0x30, 0,    0x12, 0xb5, 0,  62, 0,    0,            /* UDP to 4789 */
        8,    0, 0, 0,  0,    0x10, 0x92, 0,                                /* VXLAN, 4242 */
        0,    0, 0, 0,  0,    0,    2,    0,    0,  0,  0,    8,    8,   0, /* to the device */
        0x45, 0, 0, 32, 0,    0,    0,    0,    64, 17, 0x66, 0x76, 10,  77,  0,   1,
        10,   9, 0, 1,  0x30, 0,    0x1e, 0x61, 0,  12, 0,    0,    'h', 'i', '!', '!'};
    memcpy(frame, e0.mac, 6);
    memcpy(frame + 50, link.mac, 6);
    char answer[16];
    for (int is_open = 0; is_open < 2; is_open++) {
        if (is_open) { /* the control: without the filter of the reverse path it would come */
            assert_int_equal(bed_do("sysctl -qw net.ipv4.conf.cs8.rp_filter=0"), 0);
            assert_int_equal(bed_do("sysctl -qw net.ipv4.conf.all.rp_filter=0"), 0);
            assert_int_equal(bed_do("ip route add 10.77.0.0/24 dev e0"), 0);
        }
        assert_int_equal(send(wire, frame, sizeof frame, 0), sizeof frame);
        (void)poll(&(struct pollfd){.fd = port, .events = POLLIN}, 1, is_open ? 10000 : 200);
        assert_int_equal(recv(port, answer, sizeof answer, 0), is_open ? 4 : -1);
    }
    assert_int_equal(linux_link_get("cs8", &link, &err), 0);
    assert_int_equal(link.counters.rx_packets, 2);
    close(port);
    close(wire);
    assert_int_equal(linux_link_remove(index, &err), 0);
}

static void test_without_privilege(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct linux_link_want want = vxlan_want("cs5");
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err;
        uint32_t index;
        if (setresuid(65534, 65534, 65534) < 0)
            _exit(77);
        int code = linux_link_add(&want, &index, &err);
        _exit(code == -EPERM && strstr(err.text, "CAP_NET_ADMIN") && strstr(err.text, "cs5") ? 0
                                                                                             : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vxlan),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_what_comes_in),
        cmocka_unit_test(test_without_privilege),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
