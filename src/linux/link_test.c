/* Interfaces: the bytes of requests, the reading of answers, which lies upon which, and tunnel
 * devices in a network namespace, with iproute2 as the witness. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/types.h>

#include "capture/netns_bed.h"
#include "linux/link.h"
#include "linux/nl_bed.h"
#include "linux/text.h"

static struct addr address(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

static const char V4_LOCAL[] = "10.9.0.1", V4_REMOTE[] = "10.9.0.2";
static const char V6_LOCAL[] = "fd09::1", V6_REMOTE[] = "fd09::2";

/* Every kind, the number of its first message's fixed header and attributes, and what is read back
 * of them. Index 0x21222324. */
static const struct {
    const char *kind, *local, *remote;
    struct linux_tunnel tunnel;
    const char *info;
} requests[] = {
    {"vxlan",
     V4_LOCAL,
     V4_REMOTE,
     {.id = 0x1092, .port = 4789, .underlay = 3, .ttl = 64},
     "1=76786c616e00 2{2=0a090002 4=0a090001 3=03000000 5=40 1=92100000 15=12b5 18=00 7=00}"},
    {"vxlan",
     V6_LOCAL,
     V6_REMOTE,
     {.id = 7, .port = 8472, .ttl = 64, .df = LINUX_DF_SET},
     "1=76786c616e00 2{16=fd090000000000000000000000000002 17=fd090000000000000000000000000001 "
     "5=40 1=07000000 15=2118 29=01 18=00 7=00}"},
    {"geneve",
     NULL,
     V4_REMOTE,
     {.id = 0xffffff, .port = 6081, .ttl = 1, .df = LINUX_DF_INHERIT},
     "1=67656e65766500 2{2=0a090002 3=01 1=ffffff00 5=17c1 13=02 8=00}"},
    {"geneve",
     NULL,
     V6_REMOTE,
     {.id = 1, .port = 6081, .ttl = 64},
     "1=67656e65766500 2{7=fd090000000000000000000000000002 3=40 1=01000000 5=17c1 8=00}"},
    {"gretap",
     V4_LOCAL,
     V4_REMOTE,
     {.ttl = 64},
     "1=67726574617000 2{7=0a090002 6=0a090001 8=40 2=0000 3=0000 10=00 19=01}"},
    {"gretap",
     V4_LOCAL,
     V4_REMOTE,
     {.id = 0x01020304, .has_id = true, .ttl = 64, .underlay = 2, .df = LINUX_DF_SET},
     "1=67726574617000 2{7=0a090002 6=0a090001 1=02000000 8=40 2=2000 3=2000 4=01020304 "
     "5=01020304 10=01 19=00}"},
    {"gretap",
     V4_LOCAL,
     V4_REMOTE,
     {.ttl = 64, .df = LINUX_DF_INHERIT},
     "1=67726574617000 2{7=0a090002 6=0a090001 8=40 2=0000 3=0000 10=00 19=00}"},
    {"gretap",
     V6_LOCAL,
     V6_REMOTE,
     {.id = 5, .has_id = true, .ttl = 64},
     "1=69703667726574617000 2{7=fd090000000000000000000000000002 "
     "6=fd090000000000000000000000000001 8=40 2=2000 3=2000 4=00000005 5=00000005 13=01000000}"},
    {"erspan",
     V4_LOCAL,
     V4_REMOTE,
     {.erspan = LINUX_ERSPAN_1, .ttl = 64},
     "1=65727370616e00 2{7=0a090002 6=0a090001 8=40 2=0000 3=0000 10=00 19=01 22=00}"},
    {"erspan",
     V4_LOCAL,
     V4_REMOTE,
     {.erspan = LINUX_ERSPAN_2, .id = 1023, .has_id = true, .ttl = 64, .erspan_index = 0xabcde},
     "1=65727370616e00 2{7=0a090002 6=0a090001 8=40 2=3000 3=3000 4=000003ff 5=000003ff 10=00 "
     "19=01 22=01 21=debc0a00}"},
    {"erspan",
     V4_LOCAL,
     V4_REMOTE,
     {.erspan = LINUX_ERSPAN_3,
      .id = 1,
      .has_id = true,
      .ttl = 64,
      .erspan_is_egress = true,
      .erspan_hardware = 7},
     "1=65727370616e00 2{7=0a090002 6=0a090001 8=40 2=3000 3=3000 4=00000001 5=00000001 10=00 "
     "19=01 22=02 23=01 24=0700}"},
    {"erspan",
     V6_LOCAL,
     V6_REMOTE,
     {.erspan = LINUX_ERSPAN_2, .id = 9, .has_id = true, .ttl = 64, .erspan_index = 1},
     "1=6970366572737061"
     "6e00 2{7=fd090000000000000000000000000002 "
     "6=fd090000000000000000000000000001 8=40 2=3000 3=3000 4=00000009 5=00000009 13=01000000 "
     "22=01 21=01000000}"},
};
#define N_REQUESTS (sizeof requests / sizeof *requests)

static struct linux_link_want want_of(size_t i, const char *name)
{
    struct linux_link_want want = {.name = name, .kind = requests[i].kind};
    want.tunnel = requests[i].tunnel;
    want.tunnel.remote = address(requests[i].remote);
    if (requests[i].local)
        want.tunnel.local = address(requests[i].local);
    return want;
}

static bool is_gre(size_t i)
{
    return strcmp(requests[i].kind, "gretap") == 0 || strcmp(requests[i].kind, "erspan") == 0;
}

static bool has_remote_of_v6(size_t i)
{
    return strchr(requests[i].remote, ':') != NULL;
}

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_REQUESTS; i++) {
        struct linux_link_want want = want_of(i, "cs0");
        struct nl_request request;
        char expected[1024];
        nl_init(&request);
        linux_link_put(&request, &want, 0x21222324);
        (void)snprintf(expected, sizeof expected,
                       "16 605 00000000242322218000000080000000 3=63733000 %s18{%s}\n"
                       "19 5 00000000242322210000000000000000 26{10{8=01}}\n"
                       "19 5 00000000242322210000000000000000 26{2{1{8=01000000}}}\n",
                       !is_gre(i)            ? "4=ff040000 "
                       : has_remote_of_v6(i) ? ""
                                             : "4=e8fd0000 ",
                       requests[i].info);
        char *text = bed_request_text(&request, 16);
        assert_non_null(text);
        assert_string_equal(text, expected);
        free(text);
        assert_false(request.is_full);
        assert_int_equal(request.optional, 2 | 4);
    }
    struct linux_link_want want = want_of(0, "cs0");
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
                   requests[0].info);
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
    for (size_t i = 0; i < N_REQUESTS; i++) {
        struct linux_link_want want = want_of(i, "cs0");
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
        if (has_remote_of_v6(i) && is_gre(i)) {
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

/* In the kernel */

static bool enter(void)
{
    static int entered = -1;
    if (entered < 0) {
        entered = bed_enter_netns();
        int code = -1;
        char *version = entered ? bed_run("ip -V", &code) : NULL;
        if (entered && !version) {
            printf("skipped: no iproute2 to look with\n");
            entered = 0;
        }
        free(version);
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
    want.tunnel.local = address(V4_LOCAL);
    want.tunnel.remote = address(V4_REMOTE);
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
    assert_int_equal(n, 4); /* lo, e0, e1, cs0 */
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
    for (size_t i = 0; i < N_REQUESTS; i++) {
        struct linux_link_want want = want_of(i, "cs4");
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
        if (!is_gre(i))
            assert_int_equal(link.mtu, LINUX_UDP_MTU);
        else if (!has_remote_of_v6(i))
            assert_int_equal(link.mtu, LINUX_GRE_MTU);
        json_t *json = bed_json("ip -j -d link show cs4");
        assert_string_equal(bed_word(json, "0.linkinfo.info_kind"), link.kind);
        if (is_gre(i)) /* the others have no IPv6 */
            assert_string_equal(bed_word(json, "0.inet6_addr_gen_mode"), "none");
        char *text = json_dumps(json, JSON_COMPACT);
        print_message("%s\n", text ? strstr(text, "\"linkinfo\"") : "");
        free(text);
        json_decref(json);
        assert_int_equal(linux_link_remove(index, &err), 0);
    }
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
            want.tunnel.local = address(rows[i].local);
        if (rows[i].remote)
            want.tunnel.remote = address(rows[i].remote);
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
        cmocka_unit_test(test_requests),       cmocka_unit_test(test_a_full_request),
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_an_answer_with_all),
        cmocka_unit_test(test_below),          cmocka_unit_test(test_share_master),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_vxlan),
        cmocka_unit_test(test_all_or_nothing), cmocka_unit_test(test_silence),
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_without_privilege),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
