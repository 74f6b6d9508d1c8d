/* Ways to the collector, and what would be copied twice, in a network namespace. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "mirror/host_bed.h"

/* "m0 from 10.9.0.1 mtu 1500", with "!" where copies pass what is mirrored; or the refusal. */
static void check_way(const char *to, const char *via, bool can_bind, const char *expected)
{
    struct host host = bed_host();
    struct host_wish wish = bed_wish_to(to);
    struct host_way way = {.out = "before"};
    struct err err = {""};
    char source[ADDR_TEXT_MAX + 1], text[600];
    wish.via = via;
    int result = host_find_way(&host, &wish, bed_link(&host, "e0"), can_bind, &way, &err);
    source[addr_format(&way.source, source)] = '\0';
    if (result < 0)
        (void)snprintf(text, sizeof text, "%s", err.text);
    else
        (void)snprintf(text, sizeof text, "%s from %s mtu %u%s", way.out, source, way.mtu,
                       way.passes_mirrored ? " !" : "");
    if (result < 0 ? !strstr(text, expected) : strcmp(text, expected) != 0)
        fail_msg("to %s: %s, not %s", to, text, expected);
    if (result < 0)
        assert_string_equal(way.out, "before");
    else
        assert_int_equal(way.out_index, if_nametoindex(way.out));
    free(host.links);
}

static void test_ways(void **state)
{
    (void)state;
    if (!enter())
        skip();
    check_way("vxlan:10.9.0.2", NULL, true, "m0 from 10.9.0.1 mtu 1500");
    check_way("vxlan:[fd09::2]", NULL, true, "m0 from fd09::1 mtu 1500");
    check_way("vxlan:10.1.0.2", NULL, true, "e0 from 10.1.0.1 mtu 1500 !");
    check_way("vxlan:192.0.2.1", NULL, true, "--to: there is no route to 192.0.2.1");
    check_way("vxlan:10.9.0.1", NULL, true,
              "--to: 10.9.0.1 is this machine itself: cloudspan watch -i e0 sees its traffic");
    check_way("vxlan:127.0.0.1", NULL, true, "is this machine itself");
    check_way("vxlan:[::1]", NULL, true, "is this machine itself");
    check_way("vxlan:10.9.0.2", "e0", true, "--via: no route leads to 10.9.0.2 by e0");
    check_way("vxlan:10.9.0.2", "none", true, "--via: there is no interface none");
    check_way("vxlan:192.0.2.1", "m0", true, "--via: no route leads to 192.0.2.1 by m0");
    check_way("geneve:10.9.0.2", "m0", false, "m0 from 10.9.0.1 mtu 1500");
    must("ip link set m0 mtu 1400");
    check_way("vxlan:10.9.0.2", NULL, true, "m0 from 10.9.0.1 mtu 1400");
    must("ip route add 10.9.0.7 dev m0 mtu 1300");
    check_way("vxlan:10.9.0.7", NULL, true, "m0 from 10.9.0.1 mtu 1300");
    must("ip route del 10.9.0.7");
    must("ip link set m0 mtu 1500");
}

/* The kernel says a little later that a cable was pulled, or put in. */
static void wait_running(const char *device, bool running)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};
    assert_true(fd >= 0);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
        if (!(request.ifr_flags & IFF_RUNNING) == !running)
            break;
        (void)usleep(10000);
    }
    assert_int_equal(!(request.ifr_flags & IFF_RUNNING), !running);
    close(fd);
}

/* Where the best way passes what is mirrored, another one is taken, if there is one. */
static void test_other_way(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("ip route add default via 10.1.0.254 dev e0 metric 10");
    check_way("vxlan:192.0.2.1", NULL, true, "e0 from 10.1.0.1 mtu 1500 !");
    must("ip route add default via 10.9.0.254 dev m0 metric 100");
    check_way("vxlan:192.0.2.1", NULL, true, "m0 from 10.9.0.1 mtu 1500");
    /* A device that follows the routes cannot take it. */
    check_way("geneve:192.0.2.1", NULL, false, "e0 from 10.1.0.1 mtu 1500 !");
    check_way("geneve:192.0.2.1", "m0", false,
              "--via: copies in geneve by this method go as the routes say, which is not by m0: "
              "ip route add 192.0.2.1 dev m0");
    check_way("vxlan:192.0.2.1", "e0", true, "e0 from 10.1.0.1 mtu 1500 !"); /* as was asked for */
    must("ip link set m1 down");
    wait_running("m0", false); /* it has no carrier */
    check_way("vxlan:192.0.2.1", NULL, true, "e0 from 10.1.0.1 mtu 1500 !");
    must("ip link set m1 up");
    wait_running("m0", true);
    /* A VLAN on what is mirrored is no other way. */
    must("ip link set m0 down");
    must("ip link set m0 up");
    wait_running("m0", true);
    if (bed_do("ip link add link e0 name e0.7 type vlan id 7") == 0) {
        must("ip addr add 10.7.0.1/24 dev e0.7");
        must("ip link set e0.7 up");
        must("ip route add default via 10.7.0.254 dev e0.7 metric 50");
        check_way("vxlan:192.0.2.1", NULL, true, "e0 from 10.1.0.1 mtu 1500 !");
        check_way("vxlan:10.7.0.2", NULL, true, "e0.7 from 10.7.0.1 mtu 1500 !");
        must("ip link del e0.7");
    } else {
        printf("no VLAN devices here\n");
    }
    must("ip route flush scope global");
}

/* ---- loops ---- */

/* NULL: it is none. `by_routes`: as host_want asks, with the way; else interface: is the target. */
static void check_loop(const char *mirrored, const char *to, const char *filter,
                       const char *expected)
{
    struct host host = bed_host();
    (void)snprintf(host.mark, sizeof host.mark, "m");
    struct host_wish wish = bed_wish_to(to);
    struct host_way way = {{0}};
    struct err err = {""};
    const struct linux_link *link = bed_link(&host, mirrored);
    bool tunnel = wish.to.wrap != MIRROR_INTERFACE;
    wish.filter = filter;
    if (tunnel && host_find_way(&host, &wish, link, true, &way, &err) < 0)
        fail_msg("%s", err.text);
    int result = host_check_loops(&host, &wish, link, tunnel ? &way : NULL, &err);
    if (!expected) {
        if (result < 0)
            fail_msg("%s to %s: %s", mirrored, to, err.text);
    } else {
        if (result == 0 || !strstr(err.text, expected))
            fail_msg("%s to %s: %s", mirrored, to, result == 0 ? "nothing said" : err.text);
    }
    free(host.links);
}

static void test_interfaces(void **state)
{
    (void)state;
    if (!enter())
        skip();
    check_loop("e0", "interface:m0", NULL, NULL);
    check_loop("e0", "interface:none", NULL, "--to: there is no interface none");
    check_loop("e0", "interface:e0", NULL, "--to: e0 is what is mirrored: its copies would be");
    check_loop("e0", "interface:lo", NULL, "--to: lo carries no Ethernet frames");
    must("ip link set m0 down");
    check_loop("e0", "interface:m0", NULL, "--to: m0 is down: ip link set m0 up");
    must("ip link set m0 up");
    /* What leaves by the one comes in by the other. */
    check_loop("e0", "interface:e1", NULL, "the copies would be copied");
    if (bed_do("ip link add br0 type bridge") == 0) {
        must("ip link set br0 up");
        must("ip link set e0 master br0");
        check_loop("e0", "interface:br0", NULL, "--to: br0 and e0 are of one bridge or bond");
        check_loop("br0", "interface:e0", NULL, "are of one bridge or bond");
        must("ip link set m0 master br0");
        check_loop("e0", "interface:m0", NULL, "--to: m0 and e0 are of one bridge or bond");
        must("ip link del br0");
    }
    must("ip route flush scope global");
}

static void test_carries_copies(void **state)
{
    (void)state;
    if (!enter())
        skip();
    /* A tunnel of ours is not mirrored. */
    must("ip link set m0 alias cloudspan~web");
    check_loop("m0", "interface:e0", NULL, "--interface: m0 carries the copies of the mirror web");
    must("ip link set m0 alias uplink");
    check_loop("m0", "interface:e0", NULL, NULL);
    /* Copies of another mirror that pass here go to another collector; to the same one they are
     * left out by the same rule. */
    must("ip link add cs-w type vxlan id 1 remote 10.9.0.2 dev m0 dstport 4789");
    must("ip link set cs-w alias cloudspan~web");
    check_loop("m0", "vxlan:10.1.0.2", NULL,
               "copies of the mirror web pass m0 and would be copied");
    check_loop("m0", "vxlan:10.9.0.2", NULL, NULL);
    check_loop("m0", "vxlan:10.9.0.2:4790", NULL, "copies of the mirror web pass m0");
    check_loop("e0", "vxlan:10.9.0.3", NULL, NULL); /* they do not pass e0 */
    must("ip link set cs-w alias cloudspan~m");     /* our own: it is made anew */
    check_loop("m0", "vxlan:10.1.0.2", NULL, NULL);
    must("ip link del cs-w");
    must("ip link set m0 alias ~");
}

/* Somebody copies what leaves where our copies would. */
static void test_copier(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("tc qdisc add dev m0 clsact");
    must("tc filter add dev m0 egress prio 3 u32 match u32 0 0 action mirred egress mirror dev e1");
    check_loop("e0", "vxlan:10.9.0.2", NULL,
               "copies of e0 would leave by m0, and what leaves there is copied to e1 already");
    check_loop("e0", "interface:m0", NULL, "is copied to e1 already");
    must("tc filter del dev m0 egress");
    must(
        "tc filter add dev m0 ingress prio 3 u32 match u32 0 0 action mirred egress mirror dev e1");
    check_loop("e0", "vxlan:10.9.0.2", NULL, NULL); /* only what comes in there is */
    must("tc qdisc del dev m0 clsact");
}

/* The way leads by a tunnel of somebody's, whose packets leave by what is mirrored – or may. */
static void test_by_tunnel(void **state)
{
    (void)state;
    if (!enter())
        skip();
    int tun = bed_tap("vpn0", IFF_TUN);
    if (tun < 0) {
        printf("skipped: no tun devices\n");
        skip();
    }
    must("ip addr add 10.8.0.1/24 dev vpn0");
    check_loop("e0", "vxlan:10.8.0.2", NULL,
               "copies would leave by vpn0, a tunnel whose own packets may leave by e0");
    check_loop("e0", "vxlan:10.8.0.2", "not udp port 51820", NULL);
    check_loop("vpn0", "vxlan:10.8.0.2", NULL, NULL); /* copies are left out by the usual rule */
    check_loop("vpn0", "vxlan:10.9.0.2", NULL, NULL);
    /* Nor is it taken for another way by itself. */
    must("ip route add default via 10.1.0.254 dev e0 metric 10");
    must("ip route add default dev vpn0 metric 100");
    check_way("vxlan:192.0.2.1", NULL, true, "e0 from 10.1.0.1 mtu 1500 !");
    must("ip route flush scope global");
    must("ip route flush dev vpn0 table main");
    close(tun);
    /* Of those that say where they lead it is known. */
    must("ip link add vx0 type vxlan id 9 remote 10.1.0.9 dstport 4790");
    must("ip addr add 10.6.0.1/24 dev vx0");
    must("ip link set vx0 up");
    check_loop("e0", "vxlan:10.6.0.2", NULL,
               "copies would leave by vx0, a tunnel whose own packets leave by e0");
    check_loop("m0", "vxlan:10.6.0.2", NULL, NULL);
    check_loop("e0", "interface:vx0", NULL, "a tunnel whose own packets leave by e0");
    check_loop("m0", "interface:vx0", NULL, NULL);
    must("ip link del vx0");
    /* A tap leads to a virtual machine. */
    int tap = bed_tap("vm0", IFF_TAP);
    assert_true(tap >= 0);
    check_loop("e0", "interface:vm0", NULL, NULL);
    must("ip addr add 10.5.0.1/24 dev vm0");
    check_loop("e0", "vxlan:10.5.0.2", NULL, NULL);
    close(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways),       cmocka_unit_test(test_other_way),
        cmocka_unit_test(test_interfaces), cmocka_unit_test(test_carries_copies),
        cmocka_unit_test(test_copier),     cmocka_unit_test(test_by_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
