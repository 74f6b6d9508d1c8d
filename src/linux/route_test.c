/* Routes and addresses in a network namespace, with iproute2 to make them. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <time.h>

#include "capture/netns_bed.h"
#include "linux/interface.h"
#include "linux/link_bed.h"
#include "linux/nl_bed.h"

static void must(const char *line)
{
    if (bed_do(line) != 0)
        fail_msg("%s", line);
}

/* An IPv6 address is this machine's own a moment after the link is up. */
static void wait_for_v6(void)
{
    struct timespec pause = {0, 10000000};
    struct addr addr = bed_address("fd09::1");
    struct linux_route route = {.interface = ""};
    struct err err;
    for (int i = 0; i < 500 && strcmp(route.interface, "lo") != 0; i++) {
        if (linux_route_to(&addr, &route, &err) < 0)
            route.interface[0] = '\0';
        (void)nanosleep(&pause, NULL);
    }
}

static bool enter(void)
{
    static int entered = -1;
    if (entered < 0) {
        entered = bed_enter_with_witness();
        if (entered) {
            must("ip link add e0 type veth peer name e1");
            must("ip link add m0 type veth peer name m1");
            must("ip addr add 10.1.0.1/24 dev e0");
            must("ip addr add fd01::1/64 dev e0 nodad");
            must("ip addr add 10.9.0.1/24 dev m0");
            must("ip addr add fd09::1/64 dev m0 nodad");
            must("ip link set e0 up");
            must("ip link set e1 up");
            must("ip link set m0 up");
            must("ip link set m1 up");
            wait_for_v6();
        }
    }
    return entered;
}

/* "e0 mtu 1400 from 10.1.0.1", or "-" and why not. `by` NULL: as the routes say. */
static void check(const char *to, const char *by, const char *expected)
{
    struct addr addr = bed_address(to);
    struct linux_route route = {.interface = "before", .mtu = 77};
    struct err err = {""};
    char source[ADDR_TEXT_MAX + 1], text[300];
    int result = by ? linux_route_by(&addr, if_nametoindex(by), &route, &err)
                    : linux_route_to(&addr, &route, &err);
    if (result < 0) {
        assert_string_equal(route.interface, "before"); /* left as it was */
        assert_int_equal(route.mtu, 77);
        assert_non_null(strstr(err.text, to));
        bool none = by && (result == -ENETUNREACH || result == -EHOSTUNREACH);
        (void)snprintf(text, sizeof text, "- %s", none ? "no way" : strerror(-result));
    } else {
        source[addr_format(&route.source, source)] = '\0';
        (void)snprintf(text, sizeof text, "%s mtu %u from %s", route.interface, route.mtu, source);
    }
    if (strcmp(text, expected) != 0)
        fail_msg("to %s by %s: %s, not %s (%s)", to, by ? by : "any", text, expected, err.text);
}

#define NO_ROUTE "- Network is unreachable"
#define NO_WAY   "- no way" /* by an interface that was named */

static void test_connected(void **state)
{
    (void)state;
    if (!enter())
        skip();
    check("10.1.0.2", NULL, "e0 mtu 0 from 10.1.0.1");
    check("10.9.0.2", NULL, "m0 mtu 0 from 10.9.0.1");
    check("fd09::2", NULL, "m0 mtu 0 from fd09::1");
    check("192.0.2.1", NULL, NO_ROUTE);
    check("2001:db8::1", NULL, NO_ROUTE);
    check("10.9.0.255", NULL, "- Cannot assign requested address"); /* everybody's */
    check("10.9.0.2", "m0", "m0 mtu 0 from 10.9.0.1");
    check("fd09::2", "m0", "m0 mtu 0 from fd09::1");
    /* The kernel would take anybody for a neighbour on an interface that is named. */
    check("10.9.0.2", "e0", NO_WAY);
    check("fd09::2", "e0", NO_WAY);
    check("192.0.2.1", "e0", NO_WAY);
    check("2001:db8::1", "e0", NO_WAY);
    /* Of this machine itself. */
    check("10.9.0.1", NULL, "lo mtu 0 from 10.9.0.1");
    check("127.0.0.1", NULL, "lo mtu 0 from 127.0.0.1");
    check("fd09::1", NULL, "lo mtu 0 from fd09::1");
}

static void test_defaults(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("ip route add default via 10.1.0.254 dev e0 metric 10");
    must("ip -6 route add default via fd01::254 dev e0 metric 10");
    check("192.0.2.1", NULL, "e0 mtu 0 from 10.1.0.1");
    check("192.0.2.1", "e0", "e0 mtu 0 from 10.1.0.1");
    check("192.0.2.1", "m0", NO_WAY);
    check("2001:db8::1", "m0", NO_WAY);
    /* A way that is not the best one is a way. */
    must("ip route add default via 10.9.0.254 dev m0 metric 200");
    must("ip -6 route add default via fd09::254 dev m0 metric 200");
    check("192.0.2.1", NULL, "e0 mtu 0 from 10.1.0.1");
    check("192.0.2.1", "m0", "m0 mtu 0 from 10.9.0.1");
    check("2001:db8::1", NULL, "e0 mtu 0 from fd01::1");
    check("2001:db8::1", "m0", "m0 mtu 0 from fd09::1");
    /* By a default route a neighbour of another interface can be sent to. */
    check("10.9.0.2", "e0", "e0 mtu 0 from 10.1.0.1");
    must("ip route flush root 0/0 match 0/0");
    must("ip addr flush dev e0");
    must("ip addr flush dev m0");
    must("ip addr add 10.1.0.1/24 dev e0");
    must("ip addr add fd01::1/64 dev e0 nodad");
    must("ip addr add 10.9.0.1/24 dev m0");
    must("ip addr add fd09::1/64 dev m0 nodad");
    (void)bed_do("ip -6 route del default dev e0");
    (void)bed_do("ip -6 route del default dev m0");
}

/* Several ways at once: the kernel chooses one of them for each packet. */
static void test_multipath(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("ip route add 203.0.113.0/24 nexthop via 10.1.0.254 dev e0 nexthop via 10.9.0.254 dev m0");
    check("203.0.113.7", "e0", "e0 mtu 0 from 10.1.0.1");
    check("203.0.113.7", "m0", "m0 mtu 0 from 10.9.0.1");
    check("203.0.113.7", "m1", NO_WAY);
    must("ip route del 203.0.113.0/24");
    must("ip -6 route add 2001:db8::/32 nexthop via fd01::254 dev e0 nexthop via fd09::254 dev m0");
    check("2001:db8::7", "e0", "e0 mtu 0 from fd01::1");
    check("2001:db8::7", "m0", "m0 mtu 0 from fd09::1");
    check("2001:db8::7", "m1", NO_WAY);
    must("ip -6 route del 2001:db8::/32");
    char name[16];
    assert_false(linux_default_interface(name));
    must("ip route add default nexthop via 10.9.0.254 dev m0 nexthop via 10.1.0.254 dev e0");
    assert_true(linux_default_interface(name));
    assert_string_equal(name, "m0");
    must("ip route del default");
}

static void test_special(void **state)
{
    (void)state;
    if (!enter())
        skip();
    must("ip route add 10.9.0.7 dev m0 mtu 1400 src 10.1.0.1");
    check("10.9.0.7", NULL, "m0 mtu 1400 from 10.1.0.1");
    check("10.9.0.7", "m0", "m0 mtu 1400 from 10.1.0.1");
    must("ip -6 route add fd09::7 dev m0 mtu 1300");
    check("fd09::7", "m0", "m0 mtu 1300 from fd09::1");
    must("ip route add unreachable 198.51.100.0/24");
    must("ip route add prohibit 198.51.101.0/24");
    must("ip route add blackhole 198.51.102.0/24");
    check("198.51.100.1", NULL, "- No route to host");
    check("198.51.101.1", NULL, "- Permission denied");
    check("198.51.102.1", NULL, "- Invalid argument");
    /* In a table of its own, which a rule leads to. */
    must("ip rule add to 192.0.2.0/24 table 77");
    must("ip route add 192.0.2.0/24 via 10.9.0.254 dev m0 table 77");
    check("192.0.2.9", NULL, "m0 mtu 0 from 10.9.0.1");
    check("192.0.2.9", "m0", "m0 mtu 0 from 10.9.0.1");
    check("192.0.2.9", "e0", NO_WAY);
    must("ip rule del to 192.0.2.0/24 table 77");
    must("ip route del 10.9.0.7");
    must("ip -6 route del fd09::7");
}

static void test_gone(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct addr addr = bed_address("10.9.0.2");
    struct linux_route route;
    struct err err;
    assert_true(linux_route_by(&addr, 4711, &route, &err) < 0);
    must("ip link set m0 down");
    check("10.9.0.2", NULL, NO_ROUTE);
    assert_true(linux_route_by(&addr, if_nametoindex("m0"), &route, &err) < 0);
    must("ip link set m0 up");
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
    (void)state;
    if (!enter())
        skip();
    char texts[4][48];
    must("ip addr add 10.1.0.11/32 dev e0");
    assert_int_equal(linux_addresses_of("e0", texts, 4), 3);
    assert_string_equal(texts[0], "10.1.0.1");
    assert_string_equal(texts[1], "10.1.0.11");
    assert_string_equal(texts[2], "fd01::1"); /* and not the link-local one */
    assert_int_equal(linux_addresses_of("e0", texts, 1), 1);
    assert_int_equal(linux_addresses_of("e0", texts, 0), 0);
    assert_int_equal(linux_addresses_of("e1", texts, 4), 0);
    assert_int_equal(linux_addresses_of("none", texts, 4), 0);
    assert_int_equal(linux_addresses_of("", texts, 4), 0);
    must("ip addr del 10.1.0.11/32 dev e0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connected), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_multipath), cmocka_unit_test(test_special),
        cmocka_unit_test(test_gone),      cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
