/* Which method is taken: the best that this kernel has for this wish, and why not a better one. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "mirror/host_bed.h"

static const struct linux_link e0 = {
    .name = "e0", .index = 4711, .has_ethernet = true, .is_up = true, .mtu = 1500};

static struct host everything(void)
{
    struct host host = {.has_features = true, .home = -1};
    for (int i = 0; i < LINUX_FEATURES; i++)
        host.features[i].answer = LINUX_FEATURE_YES;
    return host;
}

/* The method, or the refusal; `why` may be NULL. */
static void check(struct host *host, const struct host_wish *wish,
                  const struct linux_link *mirrored, const char *recorded, const char *method,
                  const char *why)
{
    struct mirror_job job = {.state = host};
    struct err err = {""};
    char said[200];
    int chosen = -1;
    if (recorded)
        job.recorded = bed_set(recorded);
    int result = host_choose(&job, wish, mirrored, &chosen, said, &err);
    mirror_set_done(&job.recorded);
    if (!method) {
        assert_int_equal(result, -EOPNOTSUPP);
        if (!strstr(err.text, why))
            fail_msg("%s, not %s", err.text, why);
        return;
    }
    if (result < 0)
        fail_msg("%s", err.text);
    assert_string_equal(host_method_name(chosen), method);
    if (why && !strstr(said, why))
        fail_msg("%s, not %s", said, why);
}

static void test_best(void **state)
{
    (void)state;
    struct host host = everything();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    check(&host, &wish, &e0, NULL, "tc", "method tc, the best of those that this kernel has");
    bed_lacks(&host, LINUX_FEATURE_CLSACT);
    check(&host, &wish, &e0, NULL, "nft", "method nft; not tc: it lacks");
    check(&host, &wish, &e0, NULL, "nft", "no clsact");
    bed_lacks(&host, LINUX_FEATURE_NFT_OUT);
    check(&host, &wish, &e0, NULL, "user", "method user; not tc: it lacks");
    wish.to.wrap = MIRROR_GRE;
    check(&host, &wish, &e0, NULL, "nft-ip", NULL);
    bed_lacks(&host, LINUX_FEATURE_NFT_IP);
    check(&host, &wish, &e0, NULL, "tee", NULL);
    bed_lacks(&host, LINUX_FEATURE_TEE);
    check(&host, &wish, &e0, NULL, NULL, "no method of this kernel can do this; tc: it lacks");
    wish.to.wrap = MIRROR_VXLAN;
    check(&host, &wish, &e0, NULL, "user", NULL); /* which needs nothing of the kernel */
    /* What is not known is tried. */
    host.features[LINUX_FEATURE_CLSACT].answer = LINUX_FEATURE_UNTRIED;
    check(&host, &wish, &e0, NULL, "tc", NULL);
}

/* Each thing that a wish needs of the kernel, and what is taken where it lacks. */
static void test_needs(void **state)
{
    (void)state;
    static const struct {
        const char *to;
        const char *filter;
        uint64_t rate;
        int direction, lacks;
        const char *method;
    } cases[] = {
        {"vxlan:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_VXLAN, "user"},
        {"geneve:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_GENEVE, "user"},
        {"vxlan:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_GENEVE, "tc"},
        {"gre:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_GRETAP, NULL},
        {"gre:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_IP6GRETAP, "tc"},
        {"erspan1:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_ERSPAN1, NULL},
        {"erspan2:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_ERSPAN2, NULL},
        {"erspan3:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_ERSPAN3, NULL},
        {"interface:m0", NULL, 0, HOST_BOTH, LINUX_FEATURE_VXLAN, "tc"},
        {"vxlan:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_MIRRED, "nft"},
        {"vxlan:10.9.0.2", "tcp", 0, HOST_BOTH, LINUX_FEATURE_BPF, "user"},
        {"vxlan:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_BPF, "tc"},
        {"vxlan:10.9.0.2", NULL, 1 << 20, HOST_BOTH, LINUX_FEATURE_POLICE, "nft"},
        {"vxlan:10.9.0.2", NULL, 0, HOST_BOTH, LINUX_FEATURE_POLICE, "tc"},
        {"vxlan:10.9.0.2", "tcp", 0, HOST_BOTH, LINUX_FEATURE_MIRRED, "user"},
        {"erspan2:10.9.0.2", "tcp", 0, HOST_BOTH, LINUX_FEATURE_MIRRED, "tee"},
        {"erspan2:10.9.0.2", NULL, 1 << 20, HOST_BOTH, LINUX_FEATURE_MIRRED, "nft"},
        {"interface:m0", NULL, 0, HOST_OUT, LINUX_FEATURE_MIRRED, "nft"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host host = everything();
        struct host_wish wish = bed_wish_to(cases[i].to);
        wish.filter = cases[i].filter;
        wish.rate = cases[i].rate;
        wish.direction = cases[i].direction;
        bed_lacks(&host, cases[i].lacks);
        check(&host, &wish, &e0, NULL, cases[i].method, cases[i].method ? NULL : "it lacks");
    }
    /* One direction needs only its own hook. */
    struct host host = everything();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    wish.method = HOST_NFT;
    bed_lacks(&host, LINUX_FEATURE_NFT_OUT);
    check(&host, &wish, &e0, NULL, NULL, "--method nft: it lacks");
    wish.direction = HOST_IN;
    check(&host, &wish, &e0, NULL, "nft", "");
    wish.direction = HOST_OUT;
    check(&host, &wish, &e0, NULL, NULL, "--method nft: it lacks");
    /* A classifier of any kind is enough. */
    host = everything();
    wish = bed_wish_to("vxlan:10.9.0.2");
    bed_lacks(&host, LINUX_FEATURE_MATCHALL);
    bed_lacks(&host, LINUX_FEATURE_U32);
    check(&host, &wish, &e0, NULL, "tc", NULL);
    bed_lacks(&host, LINUX_FEATURE_BPF);
    check(&host, &wish, &e0, NULL, "nft", "it has none of the classifiers");
}

static void test_wished(void **state)
{
    (void)state;
    struct host host = everything();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    wish.method = HOST_TEE;
    check(&host, &wish, &e0, NULL, "tee", NULL);
    bed_lacks(&host, LINUX_FEATURE_TEE);
    check(&host, &wish, &e0, NULL, NULL, "--method tee: it lacks iptables: the target TEE: no tee");
    wish.method = HOST_NFT_IP;
    wish.to.wrap = MIRROR_INTERFACE;
    check(&host, &wish, &e0, NULL, NULL,
          "--method nft-ip: copies of the IP layer need a neighbour to go to: --gateway");
    wish.has_gateway = true;
    check(&host, &wish, &e0, NULL, "nft-ip", NULL);
}

/* An interface without Ethernet headers: only the method user makes them up. */
static void test_no_ethernet(void **state)
{
    (void)state;
    struct host host = everything();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    struct linux_link tun = e0;
    tun.has_ethernet = false;
    check(&host, &wish, &tun, NULL, "user", "e0 has no Ethernet frames");
    wish.method = HOST_TC;
    check(&host, &wish, &tun, NULL, NULL, "--method tc: e0 has no Ethernet frames");
}

/* A mirror that is there stays as it is, also where a better method came to the kernel since. */
static void test_recorded(void **state)
{
    (void)state;
    static const struct {
        const char *recorded, *method;
    } cases[] = {
        {"[['link','cs-e0',{}],['nft','netdev',{}]]", "nft"},
        {"[['nft','ip',{}],['nft','ip6',{}]]", "nft-ip"},
        {"[['tee','ip',{}]]", "tee"},
        {"[['carrier','e0',{}]]", "user"},
        {"[['clsact','e0',{}],['filter','e0 in',{}]]", "tc"},
        {"[['link','cs-e0',{}]]", "tc"},
    };
    struct host host = everything();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&host, &wish, &e0, cases[i].recorded, cases[i].method, i < 5 ? "as it is" : NULL);
    /* Unless it cannot do what is wished for now. */
    wish.snap = 96;
    check(&host, &wish, &e0, cases[0].recorded, "user", "method user; not tc");
    wish.snap = 0;
    bed_lacks(&host, LINUX_FEATURE_TEE);
    check(&host, &wish, &e0, cases[2].recorded, "tc", NULL);
    wish.method = HOST_NFT;
    check(&host, &wish, &e0, cases[4].recorded, "nft", "");
}

/* An older ingress qdisc of somebody's takes the place of clsact. */
static void test_no_room(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("tc qdisc add dev e0 ingress");
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to("vxlan:10.9.0.2");
    check(&host, &wish, bed_link(&host, "e0"), NULL, "nft",
          "not tc: e0 has an ingress qdisc of somebody else's in the place of clsact");
    check(&host, &wish, bed_link(&host, "m0"), NULL, "tc", NULL);
    free(host.links);
    must("tc qdisc del dev e0 ingress");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best),     cmocka_unit_test(test_needs),
        cmocka_unit_test(test_wished),   cmocka_unit_test(test_no_ethernet),
        cmocka_unit_test(test_recorded), cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
