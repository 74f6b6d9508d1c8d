/* Tables of nftables: what is printed for a shell, and what is read of what nft prints. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/nft.h"
#include "linux/nft_recorded.h"

static struct addr address(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

/* What the recorded tables are of. */
static struct linux_nft want_of(int family)
{
    bool netdev = family == LINUX_NFT_NETDEV;
    struct linux_nft want = {.mirror = "web-1.a_B",
                             .family = family,
                             .interface = "eth0",
                             .in = true,
                             .out = true,
                             .to = "cs0",
                             .rate = netdev ? 2u << 20 : 1000000,
                             .burst = netdev ? 0 : 5000,
                             .gateway = address("fe80::c5"),
                             .n_exclusions = netdev ? 1 : 2};
    want.exclusions[0] =
        (struct linux_exclusion){address(netdev ? "10.9.0.2" : "2001:db8::9"), IPPROTO_UDP, 4789};
    want.exclusions[1] = (struct linux_exclusion){address("2001:db8::b"), IPPROTO_GRE, 0};
    return want;
}

static const struct {
    const char *what, *json, *listing;
    int family;
} recorded[] = {
    {"1.0.6 netdev", nft_106_netdev, nft_106_netdev_listing, LINUX_NFT_NETDEV},
    {"1.1.3 netdev", nft_113_netdev, NULL, LINUX_NFT_NETDEV},
    {"1.0.6 ip6", nft_106_ip6, NULL, LINUX_NFT_IP6},
    {"1.1.3 ip6", nft_113_ip6, NULL, LINUX_NFT_IP6},
};
#define N_RECORDED (sizeof recorded / sizeof *recorded)

static void test_recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_RECORDED; i++) {
        struct linux_nft want = want_of(recorded[i].family);
        struct linux_nft_found found;
        char why[200] = "";
        assert_int_equal(linux_nft_parse(recorded[i].json, strlen(recorded[i].json),
                                         recorded[i].listing, &found, NULL),
                         0);
        if (!found.intact)
            fail_msg("%s: %s", recorded[i].what, found.strange);
        if (!linux_nft_same(&found.is, &want, why, sizeof why))
            fail_msg("%s: %s", recorded[i].what, why);
        bool netdev = want.family == LINUX_NFT_NETDEV;
        assert_int_equal(found.in.n_seen, netdev ? 3 : 0);
        assert_int_equal(found.in.n_copied, netdev ? 3 : 0);
        assert_int_equal(found.in.bytes_copied, netdev ? 138 : 0);
        assert_int_equal(found.out.n_copied, netdev ? 5 : 0);
        assert_int_equal(found.out.bytes_seen, netdev ? 500 : 0);
    }
}

/* Of what was cut anywhere nothing is read. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_RECORDED; i++) {
        size_t size = strlen(recorded[i].json);
        while (size > 0 && recorded[i].json[size - 1] != '}')
            size--;
        for (size_t cut = 0; cut < size; cut += 1 + cut % 5) {
            char *exact = malloc(cut ? cut : 1);
            struct linux_nft_found found;
            assert_non_null(exact);
            memcpy(exact, recorded[i].json, cut);
            assert_true(linux_nft_parse(exact, cut, NULL, &found, NULL) < 0);
            free(exact);
        }
    }
    /* A listing that was cut gives no device, or the right one. */
    for (size_t cut = 0; cut <= strlen(nft_106_netdev_listing); cut++) {
        char *listing = strndup(nft_106_netdev_listing, cut);
        struct linux_nft_found found;
        assert_non_null(listing);
        assert_int_equal(
            linux_nft_parse(nft_106_netdev, strlen(nft_106_netdev), listing, &found, NULL), 0);
        if (*found.is.interface)
            assert_string_equal(found.is.interface, "eth0");
        free(listing);
    }
}

/* Replaces the first `from` by `to` in a table that was recorded. */
static struct linux_nft_found parse_changed(const char *json, const char *from, const char *to)
{
    static char changed[20000];
    const char *at = strstr(json, from);
    struct linux_nft_found found;
    if (!at)
        fail_msg("%s", from);
    int n = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - json), json, to,
                     at + strlen(from));
    assert_int_equal(linux_nft_parse(changed, (size_t)n, nft_106_netdev_listing, &found, NULL), 0);
    return found;
}

#define PAYLOAD "{\"payload\": {\"protocol\": \"ip\", \"field\": \"protocol\"}}, \"right\": "

/* The same in other words. */
static void test_other_words(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"{\"set\": [33024, 34984, 37120]}",
         "{\"set\": [\"9\", 33024, 34984, 37120]}"}, /* is not */
        {"{\"set\": [33024, 34984, 37120]}", "{\"set\": [37120, 33024, 34984]}"},
        {"[\"8021q\", \"8021ad\", 37120]", "[33024, 34984, 37120]"},
        {"[\"8021q\", \"8021ad\", 37120]", "[\"8021ad\", \"vlan\", 37120]"},
        {PAYLOAD "\"udp\"", PAYLOAD "17"},
        {"\"destination-unreachable\"", "3"},
        {"\"rate\": 2,", "\"rate\": 2048,"}, /* with the next one */
        {"\"dev\": \"eth0\"", "\"dev\": [\"eth0\"]"},
        {"{\"payload\": {\"base\": \"ll\", \"offset\": 195, \"len\": 13}}",
         "{\"&\": [{\"payload\": {\"base\": \"ll\", \"offset\": 192, \"len\": 16}}, 8191]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_nft_found found = parse_changed(nft_113_netdev, rows[i].from, rows[i].to);
        bool is = i != 0 && strncmp(rows[i].from, "\"rate\"", 6) != 0;
        if (found.intact != is)
            fail_msg("%s: %s", rows[i].to, found.strange);
    }
}

/* One thing is another than it should be. */
static void test_changed(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"\"cs0\"", "\"cs1\"", "cs"}, /* in one direction only */
        {"\"prio\": -500", "\"prio\": -400", "-400"},
        {"\"policy\": \"accept\"", "\"policy\": \"drop\"", "drop"},
        {"\"hook\": \"egress\"", "\"hook\": \"ingress\"", "ingress"},
        {"\"dev\": \"eth0\"", "\"dev\": \"eth1\"", "eth1"},
        {"\"dev\": \"eth0\"", "\"dev\": [\"eth0\", \"eth1\"]", "chain received"},
        {"\"right\": 4789", "\"right\": 4788", "0x12b4"},
        {"8021ad", "ip", "ip"},
        {"\"rate\": 2", "\"rate\": 3", "3145728"},
        {"{\"accept\": null}", "{\"drop\": null}", "drop"},
        {"{\"accept\": null}", "null", "null"},
        {"{\"accept\": null}", "{\"accept\": null, \"log\": null}", "log"},
        {"\"op\": \"==\"", "\"op\": \"<\"", "<"},
        {"\"base\": \"ll\"", "\"base\": 7", "7"},
        {"{\"jump\": {\"target\": \"excluded\"}}", "{\"jump\": {\"target\": \"x\"}}", "jump x"},
        {"{\"jump\": {\"target\": \"excluded\"}}", "{\"jump\": 5}", "jump"},
        {"{\"dup\": {\"addr\": \"cs0\"}}", "{\"dup\": {\"addr\": \"cs0\", \"dev\": \"x\"}}",
         "device"},
        {"{\"dup\": {\"addr\": \"cs0\"}}", "{\"dup\": {\"addr\": 5}}", "dup"},
        {"{\"dup\": {\"addr\": \"cs0\"}}", "{\"dup\": {\"addr\": \"a\\\"b\"}}", "dup"},
        {"{\"table\":", "{\"set\": {}}, {\"table\":", "1 things of others"},
        {"10.9.0.2", "10.9.0.3", "0xa090003"},
        {"\"right\": 4789", "\"right\": 99999999999", "0x174876e7ff"},
        {"\"offset\": 195", "\"offset\": -1", "-1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_nft_found found = parse_changed(nft_113_netdev, rows[i].from, rows[i].to);
        if (found.intact || !strstr(found.strange, rows[i].says))
            fail_msg("%s -> %s: %s", rows[i].from, rows[i].to, found.strange);
    }
}

static void test_no_table(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "[]",
        "{\"nftables\": {}}",
        "{\"nftables\": []}",
        "{\"nftables\": [{\"table\": {\"family\": \"ip\", \"name\": \"filter\"}}]}",
        "{\"nftables\": [{\"table\": {\"family\": \"inet\", \"name\": \"cloudspan_x\"}}]}",
        "{\"nftables\": [{\"table\": {\"family\": \"ip\", \"name\": \"cloudspan_\"}}]}",
        "{\"nftables\": [{\"table\": {\"family\": \"ip\", \"name\": \"cloudspan_a b\"}}]}",
        "{\"nftables\": [{\"table\": {\"family\": \"ip\", \"name\": \"cloudspan_a; x\"}}]}",
        ("{\"nftables\": [{\"table\": {\"family\": \"ip\", \"name\": "
         "\"cloudspan_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}]}"),
        "{\"nftables\": [{\"table\": 5}, null, 7]}",
    };
    struct linux_nft_found found;
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (linux_nft_parse(rows[i], strlen(rows[i]), NULL, &found, &err) != -EBADMSG)
            fail_msg("%s", rows[i]);
    static const char empty[] =
        "{\"nftables\": [{\"table\": {\"family\": \"ip\", \"name\": \"cloudspan_x\"}}]}";
    assert_int_equal(linux_nft_parse(empty, sizeof empty - 1, NULL, &found, &err), 0);
    assert_false(found.intact);
    assert_string_equal(found.strange, "it copies nothing");
}

static void test_same(void **state)
{
    (void)state;
    struct linux_nft want = want_of(LINUX_NFT_IP6), is = want;
    char why[200];
    assert_true(linux_nft_same(&is, &want, why, sizeof why));
    /* What this family never sees may be there or not. */
    is.exclusions[is.n_exclusions++] = (struct linux_exclusion){address("10.0.0.1"), 17, 1};
    assert_true(linux_nft_same(&is, &want, why, sizeof why));
#define DIFFERS(change, says)                                                                      \
    is = want;                                                                                     \
    change;                                                                                        \
    assert_false(linux_nft_same(&is, &want, why, sizeof why));                                     \
    assert_string_equal(why, says)
    DIFFERS(is.to[0] = 'd', "to is ds0, should be cs0");
    DIFFERS(is.to[0] = 0, "to is nothing, should be cs0");
    DIFFERS(is.interface[3] = '1', "interface is eth1, should be eth0");
    DIFFERS(is.in = false, "direction is out, should be both");
    DIFFERS(is.rate = 0, "limit is none, should be 1000000 bytes/s and 5000");
    DIFFERS(is.burst = 0,
            "limit is 1000000 bytes/s and 262144, should be 1000000 bytes/s and 5000");
    DIFFERS(is.gateway = address("fe80::1"), "gateway is fe80::1, should be fe80::c5");
    DIFFERS(is.n_exclusions = 1, "excluded is nothing, should be gre 2001:db8::b");
    DIFFERS(is.exclusions[0].port = 1,
            "excluded is udp 2001:db8::9 1, should be udp 2001:db8::9 4789");
    DIFFERS(is.family = LINUX_NFT_NETDEV, "family is netdev, should be ip6");
#undef DIFFERS
}

static void test_script(void **state)
{
    (void)state;
    struct linux_nft want = want_of(LINUX_NFT_IP6);
    struct text text;
    text_init(&text, 65536);
    want.in = false;
    linux_nft_put_make(&want, &text);
    linux_nft_put_remove(want.mirror, want.family, &text);
    assert_string_equal(
        text.at,
        "nft -f - <<'END'\n"
        "add table ip6 cloudspan_web-1.a_B\n"
        "delete table ip6 cloudspan_web-1.a_B\n"
        "table ip6 cloudspan_web-1.a_B {\n"
        "\tcomment \"cloudspan web-1.a_B\"\n"
        "\tchain excluded {\n"
        "\t\tip6 daddr 2001:db8::9 udp dport 4789 accept\n"
        "\t\tip6 daddr 2001:db8::9 meta l4proto udp frag frag-off != 0 accept\n"
        "\t\ticmpv6 type 1-4 @th,112,8 0x11 @th,256,128 0x20010db8000000000000000000000009 "
        "@th,400,16 0x12b5 accept\n"
        "\t\tip6 daddr 2001:db8::b meta l4proto gre accept\n"
        "\t\ticmpv6 type 1-4 @th,112,8 0x2f @th,256,128 0x20010db800000000000000000000000b "
        "accept\n"
        "\t}\n"
        "\tchain sent {\n"
        "\t\ttype filter hook postrouting priority 300; policy accept;\n"
        "\t\toifname != \"eth0\" accept\n"
        "\t\tjump excluded\n"
        "\t\tcounter limit rate 1000000 bytes/second burst 5000 bytes counter dup to fe80::c5 "
        "device \"cs0\"\n"
        "\t}\n"
        "}\n"
        "END\n"
        "nft delete table ip6 cloudspan_web-1.a_B\n");
    text_done(&text);
    want.family = LINUX_NFT_NETDEV; /* and no exclusions: no chains for them */
    want.n_exclusions = 0;
    want.rate = 0;
    linux_nft_put_make(&want, &text);
    assert_string_equal(
        text.at, "nft -f - <<'END'\n"
                 "add table netdev cloudspan_web-1.a_B\n"
                 "delete table netdev cloudspan_web-1.a_B\n"
                 "table netdev cloudspan_web-1.a_B {\n"
                 "\tcomment \"cloudspan web-1.a_B\"\n"
                 "\tchain sent {\n"
                 "\t\ttype filter hook egress device \"eth0\" priority -500; policy accept;\n"
                 "\t\tcounter dup to \"cs0\"\n"
                 "\t}\n"
                 "}\n"
                 "END\n");
    text_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_other_words), cmocka_unit_test(test_changed),
        cmocka_unit_test(test_no_table),    cmocka_unit_test(test_same),
        cmocka_unit_test(test_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
