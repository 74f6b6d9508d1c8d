/* Interfaces: the bytes of requests, the reading of answers, which lies upon which. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "linux/link_bed.h"
#include "linux/nl_bed.h"

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < BED_TUNNELS; i++) {
        struct linux_link_want want = bed_want_of(i, "cs0");
        struct nl_request request;
        char expected[1024];
        nl_init(&request);
        linux_link_put(&request, &want, 0x21222324);
        (void)snprintf(expected, sizeof expected,
                       "16 605 00000000242322218000000080000000 3=63733000 %s18{%s}\n"
                       "19 5 00000000242322210000000000000000 26{10{8=01}}\n"
                       "19 5 00000000242322210000000000000000 26{2{1{8=01000000}}}\n",
                       !bed_is_gre(i) ? "4=ff040000 "
                       : bed_is_v6(i) ? ""
                                      : "4=e8fd0000 ",
                       bed_tunnels[i].info);
        char *text = bed_request_text(&request, 16);
        assert_non_null(text);
        assert_string_equal(text, expected);
        free(text);
        assert_false(request.is_full);
        assert_int_equal(request.optional, 2 | 4);
    }
    struct linux_link_want want = bed_want_of(0, "cs0");
    struct nl_request request;
    want.alias = "mark";
    want.mtu = 1400;
    want.is_up = true;
    nl_init(&request);
    linux_link_put(&request, &want, 1);
    char expected[1024];
    (void)snprintf(expected, sizeof expected,
                   "16 605 00000000010000008000000080000000 3=63733000 4=78050000 18{%s}\n"
                   "19 5 00000000010000000000000000000000 20=6d61726b00\n"
                   "19 5 00000000010000000000000000000000 26{10{8=01}}\n"
                   "19 5 00000000010000000000000000000000 26{2{1{8=01000000}}}\n"
                   "19 5 00000000010000000100000001000000 \n",
                   bed_tunnels[0].info);
    char *text = bed_request_text(&request, 16);
    assert_string_equal(text, expected);
    free(text);
    assert_int_equal(request.optional, 4 | 8);
}

static void test_a_full_request(void **state)
{
    (void)state;
    struct nl_request request;
    static const unsigned char much[20000];
    struct err err;
    nl_init(&request);
    nl_put_u32(&request, 1, 1); /* without a message */
    assert_true(request.is_full);
    nl_init(&request);
    nl_message(&request, RTM_GETLINK, 0, much, 16);
    nl_put(&request, 1, much, sizeof much);
    nl_put(&request, 2, much, sizeof much);
    assert_false(request.is_full);
    nl_put(&request, 3, much, sizeof much);
    assert_true(request.is_full);
    assert_true(request.size <= sizeof request.bytes);
    assert_int_equal(nl_ask(&request, NULL, NULL, &err), -EMSGSIZE);
    nl_init(&request);
    for (int i = 0; i < NL_MESSAGES_MAX; i++)
        nl_message(&request, RTM_GETLINK, 0, much, 16);
    assert_false(request.is_full);
    nl_message(&request, RTM_GETLINK, 0, much, 16);
    assert_true(request.is_full);
    nl_init(&request); /* one that has nothing to say */
    assert_int_equal(nl_ask(&request, NULL, NULL, &err), -EMSGSIZE);
}

/* What was asked for is read back from a message that has the same attributes, as the kernel's
 * answers have. */
static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < BED_TUNNELS; i++) {
        struct linux_link_want want = bed_want_of(i, "cs0");
        struct nl_request request;
        struct linux_link link;
        nl_init(&request);
        linux_link_put(&request, &want, 77);
        struct reader r = rd_make(request.bytes, request.size);
        uint32_t size = rtnl_u32(&r);
        rd_skip(&r, 12);
        /* A block of its exact size, and all that are shorter. */
        for (size_t n = 0; n <= size - 16; n++) {
            uint8_t *copy = malloc(n + 1);
            assert_non_null(copy);
            memcpy(copy + 1, r.at, n);
            bool is_link = linux_link_read(rd_make(copy + 1, n), &link);
            assert_int_equal(is_link, n >= 16 + 4 + 4); /* with the name */
            free(copy);
        }
        assert_int_equal(link.index, 77);
        assert_string_equal(link.name, "cs0");
        const char *kind = link.kind;
        if (bed_is_v6(i) && bed_is_gre(i)) {
            assert_int_equal(strncmp(kind, "ip6", 3), 0);
            kind += 3;
        }
        assert_string_equal(kind, want.kind);
        if (strcmp(want.kind, "gretap") != 0 && link.tunnel.erspan != LINUX_ERSPAN_1)
            want.tunnel.has_id = true;
        if (strcmp(want.kind, "vxlan") == 0 || strcmp(want.kind, "geneve") == 0)
            want.tunnel.has_id = true;
        assert_memory_equal(&link.tunnel.local, &want.tunnel.local, 16);
        assert_memory_equal(&link.tunnel.remote, &want.tunnel.remote, 16);
        assert_int_equal(link.tunnel.id, want.tunnel.id);
        assert_int_equal(link.tunnel.has_id, want.tunnel.has_id);
        assert_int_equal(link.tunnel.port, want.tunnel.port);
        assert_int_equal(link.tunnel.underlay, want.tunnel.underlay);
        assert_int_equal(link.tunnel.ttl, want.tunnel.ttl);
        assert_int_equal(link.tunnel.df, want.tunnel.df);
        assert_int_equal(link.tunnel.erspan, want.tunnel.erspan);
        assert_int_equal(link.tunnel.erspan_index, want.tunnel.erspan_index);
        assert_int_equal(link.tunnel.erspan_is_egress, want.tunnel.erspan_is_egress);
        assert_int_equal(link.tunnel.erspan_hardware, want.tunnel.erspan_hardware);
        assert_false(link.is_up || link.has_arp);
    }
}

static void test_an_answer_with_all(void **state)
{
    (void)state;
    struct nl_request request;
    struct ifinfomsg head = {.ifi_type = 1, .ifi_index = 5, .ifi_flags = 0x1043};
    struct rtnl_link_stats64 stats = {.rx_packets = 1,
                                      .tx_packets = 2,
                                      .rx_bytes = 3,
                                      .tx_bytes = 4,
                                      .rx_errors = 5,
                                      .tx_errors = 6,
                                      .rx_dropped = 7,
                                      .tx_dropped = UINT64_MAX};
    nl_init(&request);
    nl_message(&request, RTM_NEWLINK, 0, &head, sizeof head);
    nl_put_text(&request, IFLA_IFNAME, "eth0");
    nl_put_text(&request, IFLA_IFALIAS, "an alias");
    nl_put_u32(&request, IFLA_MTU, 9001);
    nl_put_u32(&request, IFLA_MASTER, 8);
    nl_put_u32(&request, IFLA_LINK, 9);
    nl_put(&request, IFLA_ADDRESS, "\2\1\2\3\4\5", 6);
    nl_put(&request, IFLA_STATS64, &stats, sizeof stats);
    struct linux_link link;
    assert_true(linux_link_read(rd_make(request.bytes + 16, request.size - 16), &link));
    assert_string_equal(link.name, "eth0");
    assert_string_equal(link.alias, "an alias");
    assert_string_equal(link.kind, "");
    assert_true(link.is_up && link.has_carrier && link.has_arp && link.has_ethernet);
    assert_false(link.is_loopback || link.is_lower_elsewhere);
    assert_int_equal(link.mtu, 9001);
    assert_int_equal(link.master, 8);
    assert_int_equal(link.lower, 9);
    assert_memory_equal(link.mac, "\2\1\2\3\4\5", 6);
    assert_int_equal(link.counters.rx_packets, 1);
    assert_int_equal(link.counters.tx_packets, 2);
    assert_int_equal(link.counters.rx_bytes, 3);
    assert_int_equal(link.counters.tx_bytes, 4);
    assert_int_equal(link.counters.rx_errors, 5);
    assert_int_equal(link.counters.tx_errors, 6);
    assert_int_equal(link.counters.rx_dropped, 7);
    assert_true(link.counters.tx_dropped == UINT64_MAX);
    nl_put_u32(&request, IFLA_LINK_NETNSID, 0);
    assert_true(linux_link_read(rd_make(request.bytes + 16, request.size - 16), &link));
    assert_true(link.is_lower_elsewhere);
    assert_int_equal(link.lower, 0);
}

/* A machine with most things on it. */
static const struct linux_link machine[] = {
    {.index = 1, .name = "lo"},
    {.index = 2, .name = "eth0"},
    {.index = 3, .name = "eth1", .master = 10},
    {.index = 4, .name = "eth2", .master = 11},
    {.index = 5, .name = "eth3", .master = 11},
    {.index = 6, .name = "eth0.7", .kind = "vlan", .lower = 2},
    {.index = 7, .name = "mv0", .kind = "macvlan", .lower = 6},
    {.index = 8, .name = "bond.9", .kind = "vlan", .lower = 11},
    {.index = 9, .name = "cs0", .kind = "vxlan", .tunnel.underlay = 8},
    {.index = 10, .name = "br0", .kind = "bridge"},
    {.index = 11, .name = "bond0", .kind = "bond"},
    {.index = 12, .name = "veth0", .kind = "veth", .lower = 13},
    {.index = 13, .name = "veth1", .kind = "veth", .lower = 12, .master = 10},
    {.index = 14, .name = "other", .kind = "vlan", .is_lower_elsewhere = true},
    {.index = 15, .name = "ovs-system", .kind = "openvswitch"},
    {.index = 16, .name = "br-ext", .kind = "openvswitch"},
    {.index = 17, .name = "eth4", .master = 15},
    {.index = 18, .name = "tap0", .kind = "tun", .master = 10},
};
#define N_MACHINE (sizeof machine / sizeof *machine)

static void test_below(void **state)
{
    (void)state;
    static const struct {
        const char *upper, *reaches[10];
    } rows[] = {
        {"lo", {"lo"}},
        {"eth0", {"eth0"}},
        {"eth0.7", {"eth0.7", "eth0"}},
        {"mv0", {"mv0", "eth0.7", "eth0"}},
        {"br0", {"br0", "eth1", "veth1", "veth0", "tap0"}},
        {"eth1", {"eth1"}},
        {"tap0", {"tap0"}},
        {"bond0", {"bond0", "eth2", "eth3"}},
        {"bond.9", {"bond.9", "bond0", "eth2", "eth3"}},
        {"cs0", {"cs0", "bond.9", "bond0", "eth2", "eth3"}},
        {"veth0", {"veth0", "veth1", "br0", "eth1", "tap0"}},
        {"veth1", {"veth1", "veth0"}},
        {"other", {"other"}},
        {"br-ext", {"br-ext", "ovs-system", "eth4"}},
        {"eth4", {"eth4"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct linux_link *upper = linux_link_by_name(machine, N_MACHINE, rows[i].upper);
        assert_non_null(upper);
        for (size_t k = 0; k < N_MACHINE; k++) {
            bool is_reached = false;
            for (size_t j = 0; j < 10 && rows[i].reaches[j]; j++)
                is_reached = is_reached || strcmp(rows[i].reaches[j], machine[k].name) == 0;
            if (linux_link_below(machine, N_MACHINE, upper->index, machine[k].index) != is_reached)
                fail_msg("%s to %s", rows[i].upper, machine[k].name);
        }
    }
    assert_false(linux_link_below(machine, N_MACHINE, 99, 2));
    assert_false(linux_link_below(machine, N_MACHINE, 2, 99));
    assert_false(linux_link_below(machine, N_MACHINE, 2, 0));
    assert_false(linux_link_below(NULL, 0, 1, 2));
}

static void test_share_master(void **state)
{
    (void)state;
    assert_true(linux_link_share_master(machine, N_MACHINE, 3, 13));
    assert_true(linux_link_share_master(machine, N_MACHINE, 3, 10));
    assert_true(linux_link_share_master(machine, N_MACHINE, 10, 3));
    assert_false(linux_link_share_master(machine, N_MACHINE, 3, 4));
    assert_false(linux_link_share_master(machine, N_MACHINE, 1, 2));
    assert_false(linux_link_share_master(machine, N_MACHINE, 3, 99));
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct linux_link_want want;
        const char *local, *remote, *says;
        int code;
    } rows[] = {
        {{.name = "", .kind = "vxlan", .tunnel.port = 1}, NULL, V4_REMOTE, "no name", -EINVAL},
        {{.name = "0123456789abcdef", .kind = "vxlan", .tunnel.port = 1},
         NULL,
         V4_REMOTE,
         "no name",
         -EINVAL},
        {{.name = "a/b", .kind = "vxlan", .tunnel.port = 1}, NULL, V4_REMOTE, "no name", -EINVAL},
        {{.name = "a", .kind = "bridge"}, NULL, V4_REMOTE, "no kind of tunnel", -EINVAL},
        {{.name = "a", .kind = "gre"}, NULL, V4_REMOTE, "no kind of tunnel", -EINVAL},
        {{.name = "a", .kind = "vxlan", .tunnel.port = 1}, NULL, NULL, "remote address", -EINVAL},
        {{.name = "a", .kind = "vxlan", .tunnel.port = 1},
         V6_LOCAL,
         V4_REMOTE,
         "one family",
         -EINVAL},
        {{.name = "a", .kind = "vxlan"}, NULL, V4_REMOTE, "port", -ERANGE},
        {{.name = "a", .kind = "vxlan", .tunnel = {.port = 1, .id = 0x1000000}},
         NULL,
         V4_REMOTE,
         "VNI",
         -ERANGE},
        {{.name = "a", .kind = "geneve", .tunnel.port = 1},
         V4_LOCAL,
         V4_REMOTE,
         "route decides",
         -EINVAL},
        {{.name = "a", .kind = "geneve", .tunnel = {.port = 1, .underlay = 2}},
         NULL,
         V4_REMOTE,
         "route decides",
         -EINVAL},
        {{.name = "a", .kind = "erspan", .tunnel = {.erspan = LINUX_ERSPAN_2, .id = 1024}},
         NULL,
         V4_REMOTE,
         "session id",
         -ERANGE},
        {{.name = "a",
          .kind = "erspan",
          .tunnel = {.erspan = LINUX_ERSPAN_2, .erspan_index = 0x100000}},
         NULL,
         V4_REMOTE,
         "index",
         -ERANGE},
        {{.name = "a",
          .kind = "erspan",
          .tunnel = {.erspan = LINUX_ERSPAN_3, .erspan_hardware = 64}},
         NULL,
         V4_REMOTE,
         "hardware",
         -ERANGE},
        {{.name = "a", .kind = "erspan", .tunnel = {.erspan = LINUX_ERSPAN_1}},
         NULL,
         V6_REMOTE,
         "ERSPAN I",
         -EINVAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_link_want want = rows[i].want;
        struct err err = {""};
        uint32_t index = 5;
        if (rows[i].local)
            want.tunnel.local = bed_address(rows[i].local);
        if (rows[i].remote)
            want.tunnel.remote = bed_address(rows[i].remote);
        int code = linux_link_add(&want, &index, &err);
        if (code != rows[i].code || !strstr(err.text, rows[i].says) || index != 5)
            fail_msg("%zu: %d %s", i, code, err.text);
    }
    struct linux_link link;
    struct err err;
    assert_int_equal(linux_link_get("", &link, &err), -EINVAL);
    assert_int_equal(linux_link_get("0123456789abcdef", &link, &err), -EINVAL);
    assert_int_equal(linux_link_remove(0, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_a_full_request),
        cmocka_unit_test(test_answers),  cmocka_unit_test(test_an_answer_with_all),
        cmocka_unit_test(test_below),    cmocka_unit_test(test_share_master),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
