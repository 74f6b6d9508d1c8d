/* Neighbours of a tunnel's device in a network namespace, with iproute2 as the witness. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "capture/netns_bed.h"
#include "linux/link_bed.h"
#include "linux/neigh.h"
#include "linux/nl_bed.h"

static const uint8_t mac1[6] = {2, 0, 0, 0, 0, 1}, mac2[6] = {2, 0, 0, 0, 0, 2};

static uint32_t enter(void)
{
    static int entered = -1;
    if (entered < 0) {
        entered = bed_enter_with_witness();
        if (entered && (bed_do("ip link add e0 type veth peer name e1") != 0 ||
                        bed_do("ip link set e0 up") != 0 || bed_do("ip link set e1 up") != 0))
            fail_msg("no veth");
    }
    return entered ? if_nametoindex("e0") : 0;
}

/* What `ip neigh` has of it: its MAC, or "". */
static void witness(const char *to, char out[32])
{
    char line[96];
    (void)snprintf(line, sizeof line, "ip -j neigh show %s dev e0 nud permanent", to);
    json_t *json = bed_json(line);
    (void)snprintf(out, 32, "%s", bed_word(json, "0.lladdr"));
    json_decref(json);
}

static void check(uint32_t link, const char *to, const uint8_t mac[6], const char *text)
{
    struct addr addr = bed_address(to);
    uint8_t got[6] = {9, 9, 9, 9, 9, 9};
    char seen[32];
    struct err err;
    int result = linux_neighbour_get(link, &addr, got, &err);
    witness(to, seen);
    assert_string_equal(seen, text);
    if (!mac) {
        assert_int_equal(result, -ENOENT);
        return;
    }
    assert_int_equal(result, 0);
    assert_memory_equal(got, mac, 6);
}

static void add(uint32_t link, const char *to, const uint8_t mac[6])
{
    struct addr addr = bed_address(to);
    struct err err = {""};
    if (linux_neighbour_add(link, &addr, mac, &err) < 0)
        fail_msg("%s", err.text);
}

static void remove_it(uint32_t link, const char *to)
{
    struct addr addr = bed_address(to);
    struct err err = {""};
    if (linux_neighbour_remove(link, &addr, &err) < 0)
        fail_msg("%s", err.text);
}

static void test_each(const char *one, const char *other)
{
    uint32_t link = enter();
    if (!link)
        skip();
    check(link, one, NULL, "");
    remove_it(link, one); /* of what is not there */
    add(link, one, mac1);
    check(link, one, mac1, "02:00:00:00:00:01");
    check(link, other, NULL, "");
    check(if_nametoindex("e1"), one, NULL, "02:00:00:00:00:01"); /* it is e0's */
    add(link, one, mac2);
    check(link, one, mac2, "02:00:00:00:00:02");
    add(link, other, mac1);
    check(link, one, mac2, "02:00:00:00:00:02");
    remove_it(link, one);
    check(link, one, NULL, "");
    check(link, other, mac1, "02:00:00:00:00:01");
    remove_it(link, other);
    remove_it(link, other);
    check(link, other, NULL, "");
}

static void test_v4(void **state)
{
    (void)state;
    test_each("169.254.77.1", "169.254.77.2");
}

static size_t routes(void)
{
    json_t *json = bed_json("ip -j -6 route show fd77::1 dev e0");
    size_t n = json_array_size(json);
    json_decref(json);
    return n;
}

/* With the route, without which the kernel would not hand it packets. */
static void test_v6(void **state)
{
    (void)state;
    test_each("fe80::77:1", "fd77::2");
    uint32_t link = enter();
    assert_int_equal(routes(), 0);
    add(link, "fd77::1", mac1);
    assert_int_equal(routes(), 1);
    add(link, "fd77::1", mac2);
    assert_int_equal(routes(), 1);
    /* Half of it is not it. */
    assert_int_equal(bed_do("ip -6 route del fd77::1 dev e0"), 0);
    check(link, "fd77::1", NULL, "02:00:00:00:00:02");
    add(link, "fd77::1", mac2);
    check(link, "fd77::1", mac2, "02:00:00:00:00:02");
    assert_int_equal(bed_do("ip -6 neigh del fd77::1 dev e0"), 0);
    check(link, "fd77::1", NULL, "");
    remove_it(link, "fd77::1");
    assert_int_equal(routes(), 0);
}

/* Somebody else's are not taken for it, and stay. */
static void test_others(void **state)
{
    (void)state;
    uint32_t link = enter();
    if (!link)
        skip();
    assert_int_equal(
        bed_do("ip neigh add 169.254.77.9 lladdr 02:00:00:00:00:09 dev e0 nud permanent"), 0);
    add(link, "169.254.77.1", mac1);
    remove_it(link, "169.254.77.1");
    char seen[32];
    witness("169.254.77.9", seen);
    assert_string_equal(seen, "02:00:00:00:00:09");
    assert_int_equal(bed_do("ip neigh del 169.254.77.9 dev e0"), 0);
}

static void test_refused(void **state)
{
    (void)state;
    uint32_t link = enter();
    if (!link)
        skip();
    struct addr v4 = bed_address("169.254.77.1"), v6 = bed_address("fd77::1");
    struct err err = {""};
    uint8_t mac[6];
    assert_int_equal(linux_neighbour_add(4711, &v4, mac1, &err), -ENODEV);
    assert_non_null(strstr(err.text, "making a neighbour"));
    assert_true(linux_neighbour_add(4711, &v6, mac1, &err) < 0);
    assert_int_equal(linux_neighbour_get(4711, &v4, mac, &err), -ENOENT);
    assert_int_equal(linux_neighbour_remove(4711, &v4, &err), 0); /* gone with its device */
    assert_int_equal(linux_neighbour_remove(4711, &v6, &err), 0);
    /* Where there is no IPv6 nothing is half made. */
    int fd = open("/proc/sys/net/ipv6/conf/e0/disable_ipv6", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    assert_int_equal(write(fd, "1", 1), 1);
    assert_true(linux_neighbour_add(link, &v6, mac1, &err) < 0);
    check(link, "fd77::1", NULL, "");
    remove_it(link, "fd77::1");
    assert_int_equal(write(fd, "0", 1), 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v4),
        cmocka_unit_test(test_v6),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
