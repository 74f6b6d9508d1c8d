/* Who holds a port, and the interfaces and routes around it, in a network namespace of the test's
 * own with real devices. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/interface.h"
#include "linux/port_owner.h"

static bool run_ip(const char *const *words)
{
    static const char *const places[] = {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"};
    char *args[32], ip[] = "ip";
    size_t n = 0;
    args[n++] = ip;
    for (; *words && n < 31; words++)
        memcpy(&args[n++], words, sizeof *words); /* posix_spawn changes none of them */
    args[n] = NULL;
    pid_t pid = 0;
    int status, result = ENOENT;
    for (size_t i = 0; result && i < 4; i++)
        result = posix_spawn(&pid, places[i], NULL, NULL, args, NULL);
    return result == 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

#define IP(...) run_ip((const char *const[]){__VA_ARGS__, NULL})

/* A namespace with nothing but a loopback; false where that is not permitted. */
static bool new_network(void)
{
    if (unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: no network namespace: %s\n", strerror(errno));
        return false;
    }
    return true;
}

static int hold(uint16_t port, int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    int result = family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof in)
                                   : bind(fd, (struct sockaddr *)&in6, sizeof in6);
    assert_int_equal(result, 0);
    return fd;
}

static void test_a_program(void **state)
{
    (void)state;
    if (!new_network())
        skip();
    char text[80], want[80];
    struct linux_owner owner;
    assert_false(linux_port_owner(4789, text, sizeof text));
    assert_string_equal(text, "");
    assert_int_equal(prctl(PR_SET_NAME, "a (b) c"), 0);
    const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; i++) {
        int fd = hold(4789, families[i]);
        assert_true(linux_port_owner(4789, text, sizeof text));
        (void)snprintf(want, sizeof want, "a (b) c (pid %d)", (int)getpid());
        assert_string_equal(text, want);
        linux_find_port_owner(4789, &owner);
        assert_int_equal(owner.kind, LINUX_OWNER_PROGRAM);
        assert_int_equal(owner.pid, getpid());
        assert_false(linux_port_owner(4790, text, sizeof text));
        close(fd);
        assert_false(linux_port_owner(4789, text, sizeof text));
    }
}

static void test_a_device_of_the_kernel(void **state)
{
    (void)state;
    if (!new_network())
        skip();
    char text[80];
    struct linux_owner owner;
    if (!IP("link", "set", "lo", "up") || !IP("link", "add", "over0", "type", "vxlan", "id", "7",
                                              "local", "127.0.0.1", "dstport", "4789")) {
        print_message("skipped: no ip, or a kernel without vxlan\n");
        skip();
    }
    assert_false(linux_port_owner(4789, text, sizeof text)); /* it is down */
    assert_true(IP("link", "set", "over0", "up"));
    assert_true(linux_port_owner(4789, text, sizeof text));
    assert_string_equal(text, "the kernel's vxlan device over0");
    linux_find_port_owner(4789, &owner);
    assert_int_equal(owner.kind, LINUX_OWNER_DEVICE);
    assert_string_equal(owner.name, "over0");
    assert_false(linux_port_owner(8472, text, sizeof text));
}

static void test_interfaces_and_routes(void **state)
{
    (void)state;
    if (!new_network())
        skip();
    char name[16], names[4][16];
    struct addr addrs[8], to;
    struct linux_route route;
    struct linux_interface facts;
    struct err err;
    assert_false(linux_default_interface(name));
    assert_int_equal(linux_own_addresses(addrs, 8), 0);
    assert_true(addr_parse("192.0.2.99", &to));
    assert_true(linux_route_to(&to, &route, &err) < 0);
    assert_non_null(strstr(err.text, "192.0.2.99"));
    assert_true(linux_interface_facts("no such one", &facts, &err) < 0);
    assert_true(linux_interface_facts("../../x", &facts, &err) < 0);
    if (!IP("link", "add", "one", "mtu", "1400", "type", "veth", "peer", "name", "two")) {
        print_message("skipped: no ip, or a kernel without veth\n");
        skip();
    }
    assert_int_equal(linux_interfaces(names, 4), 0);
    assert_true(IP("link", "set", "one", "up") && IP("link", "set", "two", "up"));
    assert_true(IP("addr", "add", "198.51.100.1/24", "dev", "one"));
    assert_true(IP("route", "add", "default", "via", "198.51.100.2", "metric", "50"));
    assert_true(IP("route", "add", "default", "dev", "two", "metric", "100"));
    assert_true(IP("route", "add", "192.0.2.0/24", "via", "198.51.100.2", "mtu", "1300"));
    assert_true(linux_default_interface(name));
    assert_string_equal(name, "one");
    assert_int_equal(linux_interfaces(names, 4), 2);
    size_t n = linux_own_addresses(addrs, 8), found = 0;
    struct addr own;
    assert_true(addr_parse("198.51.100.1", &own));
    for (size_t i = 0; i < n; i++)
        found += addr_eq(&addrs[i], &own);
    assert_int_equal(found, 1);
    assert_int_equal(linux_own_addresses(addrs, 1), 1);
    assert_int_equal(linux_route_to(&to, &route, &err), 0);
    assert_string_equal(route.interface, "one");
    assert_int_equal(route.mtu, 1300);
    assert_true(addr_eq(&route.source, &own));
    assert_int_equal(linux_interface_facts("one", &facts, &err), 0);
    assert_string_equal(facts.name, "one");
    assert_int_equal(facts.mtu, 1400);
    assert_true(facts.is_up && facts.has_carrier && !facts.is_loopback);
    assert_string_equal(facts.driver, "veth");
    assert_int_equal(linux_interface_facts("lo", &facts, &err), 0);
    assert_true(facts.is_loopback && !facts.is_up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program),
        cmocka_unit_test(test_a_device_of_the_kernel),
        cmocka_unit_test(test_interfaces_and_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
