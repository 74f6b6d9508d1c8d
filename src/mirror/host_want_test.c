/* What a mirror of this machine's interfaces consists of, by method, target and way; in a network
 * namespace. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "mirror/host_bed.h"

static char remarks[4096];

/* "link cs-e0; guard cs-e0; …" of e0, or the refusal. The set is the caller's. */
static int want(struct host *host, const struct host_wish *wish, struct mirror_set *out,
                char said[1024])
{
    struct mirror_job job = {.state = host, .name = "e0"};
    (void)snprintf(host->mark, sizeof host->mark, "e0");
    struct host_tap tap = {.interface = "e0", .id = wish->id};
    struct text text;
    struct err err = {""};
    text_init(&text, sizeof remarks - 1);
    *out = (struct mirror_set){0};
    int result = host_want(&job, wish, &tap, 1, out, &text, &err);
    (void)snprintf(remarks, sizeof remarks, "%s", text.at ? text.at : "");
    text_done(&text);
    assert_false(out->failed);
    said[0] = '\0';
    for (size_t i = 0; result == 0 && i < out->n; i++)
        (void)snprintf(said + strlen(said), 1024 - strlen(said), "%s%s %s", i ? "; " : "",
                       out->at[i].kind, out->at[i].key);
    if (result < 0)
        (void)snprintf(said, 1024, "%s", err.text);
    return result;
}

static void check(struct host *host, const struct host_wish *wish, const char *expected)
{
    struct mirror_set set;
    char said[1024];
    want(host, wish, &set, said);
    assert_string_equal(said, expected);
    /* Everything stands on what comes before it. */
    for (size_t i = 0; i < set.n; i++) {
        size_t k;
        json_t *on;
        assert_true(set.at[i].why[0] != '\0');
        json_array_foreach(set.at[i].on, k, on)
        {
            const struct mirror_object *base =
                mirror_set_get(&set, json_string_value(json_array_get(on, 0)),
                               json_string_value(json_array_get(on, 1)));
            assert_non_null(base);
            assert_true(base < &set.at[i]);
        }
    }
    mirror_set_done(&set);
}

static const char *value(const struct mirror_set *set, const char *kind, const char *key,
                         const char *name)
{
    static char text[512];
    struct mirror_object *object = mirror_set_get(set, kind, key);
    assert_non_null(object);
    json_t *value = json_object_get(object->is, name);
    char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    (void)snprintf(text, sizeof text, "%s", dumped ? dumped : "-");
    free(dumped);
    return text;
}

static void test_methods(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    check(&host, &wish, "link cs-e0; guard cs-e0; clsact e0; filter e0 in; filter e0 out");
    wish.direction = HOST_OUT;
    check(&host, &wish, "link cs-e0; guard cs-e0; clsact e0; filter e0 out");
    wish.direction = HOST_IN;
    wish.method = HOST_NFT;
    check(&host, &wish, "link cs-e0; guard cs-e0; nft netdev");
    wish.method = HOST_NFT_IP;
    check(&host, &wish,
          "link cs-e0; guard cs-e0; neighbour cs-e0 169.254.77.1; nft ip; "
          "neighbour cs-e0 fe80::77:1; nft ip6");
    assert_non_null(strstr(remarks, "MAC addresses, VLAN tags and ARP are lost"));
    bed_lacks(&host, LINUX_FEATURE_TEE6);
    wish.method = HOST_TEE;
    check(&host, &wish, "link cs-e0; guard cs-e0; neighbour cs-e0 169.254.77.1; tee ip");
    assert_non_null(strstr(remarks, "IPv6 is not mirrored: no "));
    wish.method = HOST_USER;
    check(&host, &wish, "carrier e0");
    free(host.links);
}

static void test_interface(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("interface:m0");
    check(&host, &wish, "clsact e0; filter e0 in; filter e0 out");
    wish.method = HOST_NFT;
    check(&host, &wish, "nft netdev");
    wish.method = HOST_NFT_IP;
    wish.has_gateway = true;
    wish.gateway = bed_address("10.9.0.2");
    check(&host, &wish, "nft ip");
    assert_non_null(strstr(remarks, "IPv6 is not mirrored: the gateway is an IPv4 one"));
    wish.method = HOST_TEE;
    wish.gateway = bed_address("fd09::2");
    check(&host, &wish, "tee ip6");
    assert_non_null(strstr(remarks, "IPv4 is not mirrored: the gateway is an IPv6 one"));
    free(host.links);
}

static void test_links(void **state)
{
    (void)state;
    if (!enter())
        skip();
    static const struct {
        const char *to, *kind;
        bool has_id, bound;
        const char *mtu, *erspan, *keyed;
    } cases[] = {
        {"vxlan:10.9.0.2:4790", "\"vxlan\"", true, true, "-", "-", "true"},
        {"vxlan:[fd09::2]", "\"vxlan\"", true, true, "-", "-", "true"},
        {"geneve:10.9.0.2", "\"geneve\"", true, false, "-", "-", "true"},
        {"gre:10.9.0.2", "\"gretap\"", false, true, "65000", "-", "false"},
        {"gre:10.9.0.2", "\"gretap\"", true, true, "65000", "-", "true"},
        {"erspan1:10.9.0.2", "\"erspan\"", false, true, "65000", "0", "false"},
        {"erspan2:10.9.0.2", "\"erspan\"", true, true, "65000", "1", "true"},
        {"erspan3:10.9.0.2", "\"erspan\"", true, true, "65000", "2", "true"},
    };
    struct host host = bed_host();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_wish wish = bed_wish_to(cases[i].to);
        struct mirror_set set;
        char said[1024];
        wish.has_id = cases[i].has_id;
        wish.method = HOST_TC; /* auto takes another one where copies over IPv6 do not fit */
        if (want(&host, &wish, &set, said) < 0)
            fail_msg("%s: %s", cases[i].to, said);
        assert_string_equal(value(&set, "link", "cs-e0", "kind"), cases[i].kind);
        assert_string_equal(value(&set, "link", "cs-e0", "underlay"),
                            cases[i].bound ? "\"m0\"" : "-");
        assert_string_equal(value(&set, "link", "cs-e0", "mtu"), cases[i].mtu);
        assert_string_equal(value(&set, "link", "cs-e0", "erspan"), cases[i].erspan);
        assert_string_equal(value(&set, "link", "cs-e0", "keyed"), cases[i].keyed);
        assert_string_equal(value(&set, "link", "cs-e0", "up"), "true");
        assert_string_equal(value(&set, "link", "cs-e0", "alias"), "\"cloudspan e0 clsact\"");
        mirror_set_done(&set);
    }
    free(host.links);
}

/* A program of the filter lets nothing of the collector's pass twice. */
static bool excludes(const struct mirror_set *set, const char *key)
{
    const struct mirror_object *filter = mirror_set_get(set, "filter", key);
    assert_non_null(filter);
    char *program = json_dumps(json_object_get(filter->also, "program"), JSON_COMPACT);
    /* 10.1.0.2 as a number of the program. */
    bool found = program && strstr(program, "167837698") != NULL;
    free(program);
    return found && strstr(filter->why, "never the copies themselves");
}

static void test_exclusion(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("vxlan:10.1.0.2");
    struct mirror_set set;
    char said[1024];
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_true(excludes(&set, "e0 in"));
    assert_true(excludes(&set, "e0 out"));
    assert_string_equal(value(&set, "filter", "e0 out", "match"), "\"bpf\"");
    assert_non_null(strstr(remarks, "copies leave by e0, which carries the mirrored traffic too"));
    assert_non_null(strstr(remarks, "go out in IP fragments"));
    mirror_set_done(&set);
    wish.filter = "tcp port 80";
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_true(excludes(&set, "e0 out"));
    mirror_set_done(&set);
    wish.filter = NULL;
    wish.method = HOST_NFT;
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_string_equal(value(&set, "nft", "netdev", "exclusions"), "[\"udp 10.1.0.2 4789\"]");
    mirror_set_done(&set);
    /* By another interface nothing has to be left out, unless the device may follow other routes.
     */
    wish = bed_wish_to("vxlan:10.9.0.2");
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_string_equal(value(&set, "filter", "e0 out", "match"), "\"matchall\"");
    mirror_set_done(&set);
    wish = bed_wish_to("geneve:10.9.0.2");
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_string_equal(value(&set, "filter", "e0 out", "match"), "\"bpf\"");
    mirror_set_done(&set);
    /* Without what it takes to leave them out there is no such mirror. */
    wish = bed_wish_to("vxlan:10.1.0.2");
    wish.method = HOST_TC;
    bed_lacks(&host, LINUX_FEATURE_BPF);
    check(&host, &wish,
          "copies would pass e0 again, and this kernel lacks cls_bpf to leave them out: --method "
          "nft, or another way (--via)");
    free(host.links);
}

/* The hook of somebody else is used, and is not ours to take away. */
static void test_clsact(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    struct mirror_set set;
    char said[1024];
    must("tc qdisc add dev e0 clsact");
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_string_equal(said, "link cs-e0; guard cs-e0; filter e0 in; filter e0 out");
    assert_string_equal(value(&set, "link", "cs-e0", "alias"), "\"cloudspan e0\"");
    assert_string_equal(value(&set, "filter", "e0 in", "clsact"), "false");
    mirror_set_done(&set);
    must("tc qdisc del dev e0 clsact");
    free(host.links);
}

static void test_refused(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct host host = bed_host();
    struct mirror_job job = {.state = &host, .name = "m"};
    (void)snprintf(host.mark, sizeof host.mark, "m");
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    struct host_tap taps[2] = {{.interface = "none"}, {.interface = "m1"}};
    struct mirror_set set = {0};
    struct text text;
    struct err err;
    text_init(&text, 4096);
    assert_int_equal(host_want(&job, &wish, taps, 1, &set, &text, &err), -ENODEV);
    assert_string_equal(err.text, "there is no interface none here (ip link lists them)");
    taps[0] = (struct host_tap){.interface = "e0", .id = 7};
    wish.method = HOST_NFT;
    wish.may_grow = true;
    assert_int_equal(host_want(&job, &wish, taps, 2, &set, &text, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "--method nft: it has one interface in a mirror"));
    wish.method = HOST_NFT_IP;
    wish.may_grow = false;
    wish.is_bridged = true;
    assert_int_equal(host_want(&job, &wish, taps, 1, &set, &text, &err), -EOPNOTSUPP);
    assert_non_null(
        strstr(err.text, "--method nft-ip: it sees what passes this machine's IP layer"));
    mirror_set_done(&set);
    text_done(&text);
    free(host.links);
}

/* A device of somebody's has the VNI: the kernel would refuse ours. */
static void test_vni(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("ip link add vx0 type vxlan id 7 remote 192.0.2.9 dev m0 dstport 4789");
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    check(&host, &wish,
          "--id: VNI 7 is that of the device vx0, and the kernel has only one of each: "
          "another --id, or another port");
    wish.method = HOST_USER;
    check(&host, &wish, "carrier e0");
    wish.method = HOST_TC;
    wish.id = 8;
    check(&host, &wish, "link cs-e0; guard cs-e0; clsact e0; filter e0 in; filter e0 out");
    wish.id = 7;
    wish.to.port = 4790;
    check(&host, &wish, "link cs-e0; guard cs-e0; clsact e0; filter e0 in; filter e0 out");
    must("ip link del vx0");
    free(host.links);
}

/* Several taps: each its device, its id and its filters. */
static void test_taps(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct host host = bed_host();
    struct mirror_job job = {.state = &host, .name = "vm"};
    (void)snprintf(host.mark, sizeof host.mark, "vm");
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    struct host_tap taps[2] = {{.interface = "e0", .id = 7}, {.interface = "e1", .id = 8}};
    struct mirror_set set = {0};
    struct text text;
    struct err err = {""};
    char a[16], b[16];
    text_init(&text, 4096);
    if (host_want(&job, &wish, taps, 2, &set, &text, &err) < 0)
        fail_msg("%s", err.text);
    host_device_name("vm", "e0", a);
    host_device_name("vm", "e1", b);
    assert_string_equal(value(&set, "link", a, "id"), "7");
    assert_string_equal(value(&set, "link", b, "id"), "8");
    assert_non_null(mirror_set_get(&set, "filter", "e1 out"));
    assert_non_null(mirror_set_get(&set, "clsact", "e0"));
    mirror_set_done(&set);
    text_done(&text);
    free(host.links);
}

static void test_size(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("ip link set m0 mtu 1558");
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    struct mirror_set set;
    char said[1024];
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_null(strstr(remarks, "fragments")); /* 1500 + 50, and a VLAN tag */
    mirror_set_done(&set);
    free(host.links);
    must("ip link set m0 mtu 1553");
    host = bed_host();
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_non_null(strstr(remarks, "frames of more than 1517 bytes go out in IP fragments"));
    assert_non_null(strstr(remarks, "whole frames of e0 take 1554"));
    mirror_set_done(&set);
    wish.method = HOST_USER;
    wish.snap = 1400;
    assert_int_equal(want(&host, &wish, &set, said), 0);
    assert_null(strstr(remarks, "fragments"));
    mirror_set_done(&set);
    free(host.links);
    must("ip link set m0 mtu 1500");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods), cmocka_unit_test(test_interface),
        cmocka_unit_test(test_links),   cmocka_unit_test(test_exclusion),
        cmocka_unit_test(test_clsact),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_taps),    cmocka_unit_test(test_vni),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
