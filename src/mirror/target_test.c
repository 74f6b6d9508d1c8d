/* --to: every spelling, what is wrong with others, and that what is written is read again. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/target.h"

#define ALL ((1u << MIRROR_N_WRAPS) - 1)

static const struct {
    const char *text, *written; /* written NULL: the same */
    int wrap;
    const char *address;
    unsigned port, vlan;
    const char *device;
} good[] = {
    {"vxlan:10.9.0.2", "vxlan:10.9.0.2:4789", MIRROR_VXLAN, "10.9.0.2", 4789, 0, ""},
    {"vxlan:10.9.0.2:8472", NULL, MIRROR_VXLAN, "10.9.0.2", 8472, 0, ""},
    {"vxlan:10.9.0.2:65535", NULL, MIRROR_VXLAN, "10.9.0.2", 65535, 0, ""},
    {"vxlan:[10.9.0.2]:1", "vxlan:10.9.0.2:1", MIRROR_VXLAN, "10.9.0.2", 1, 0, ""},
    {"vxlan:fd00::2", "vxlan:[fd00::2]:4789", MIRROR_VXLAN, "fd00::2", 4789, 0, ""},
    {"vxlan:[fd00::2]", "vxlan:[fd00::2]:4789", MIRROR_VXLAN, "fd00::2", 4789, 0, ""},
    {"vxlan:[fd00::2]:4790", NULL, MIRROR_VXLAN, "fd00::2", 4790, 0, ""},
    /* Without brackets all of it is the address. */
    {"vxlan:fd00::2:4790", "vxlan:[fd00::2:4790]:4789", MIRROR_VXLAN, "fd00::2:4790", 4789, 0, ""},
    {"geneve:10.9.0.2", "geneve:10.9.0.2:6081", MIRROR_GENEVE, "10.9.0.2", 6081, 0, ""},
    {"gre:10.9.0.2", NULL, MIRROR_GRE, "10.9.0.2", 0, 0, ""},
    {"gretap:10.9.0.2", "gre:10.9.0.2", MIRROR_GRE, "10.9.0.2", 0, 0, ""},
    {"gre:[fd00::2]", NULL, MIRROR_GRE, "fd00::2", 0, 0, ""},
    {"gre:fd00::2", "gre:[fd00::2]", MIRROR_GRE, "fd00::2", 0, 0, ""},
    {"erspan1:10.9.0.2", NULL, MIRROR_ERSPAN1, "10.9.0.2", 0, 0, ""},
    {"erspan2:10.9.0.2", NULL, MIRROR_ERSPAN2, "10.9.0.2", 0, 0, ""},
    {"erspan:10.9.0.2", "erspan2:10.9.0.2", MIRROR_ERSPAN2, "10.9.0.2", 0, 0, ""},
    {"erspan3:[fd00::2]", NULL, MIRROR_ERSPAN3, "fd00::2", 0, 0, ""},
    {"interface:eth1", NULL, MIRROR_INTERFACE, "::", 0, 0, "eth1"},
    {"interface:eth1:0", NULL, MIRROR_INTERFACE, "::", 0, 0, "eth1:0"},
    {"port:tap \"x\"", NULL, MIRROR_PORT, "::", 0, 0, "tap \"x\""},
    {"vlan:1", NULL, MIRROR_VLAN, "::", 0, 1, ""},
    {"vlan:4094", NULL, MIRROR_VLAN, "::", 0, 4094, ""},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct mirror_target target, again;
        struct addr addr = {{0}};
        struct err err = {""};
        char text[MIRROR_TARGET_TEXT];
        if (mirror_parse_target(good[i].text, ALL, &target, &err) < 0)
            fail_msg("%s: %s", good[i].text, err.text);
        assert_int_equal(target.wrap, good[i].wrap);
        assert_true(addr_parse(good[i].address, &addr));
        assert_true(addr_eq(&target.addr, &addr));
        assert_int_equal(target.port, good[i].port);
        assert_int_equal(target.vlan, good[i].vlan);
        assert_string_equal(target.device, good[i].device);
        mirror_put_target(&target, text);
        assert_string_equal(text, good[i].written ? good[i].written : good[i].text);
        assert_int_equal(mirror_parse_target(text, ALL, &again, &err), 0);
        char second[MIRROR_TARGET_TEXT];
        mirror_put_target(&again, second);
        assert_string_equal(second, text);
    }
}

static const struct {
    const char *text, *says;
} bad[] = {
    {"",
     "begins with none of vxlan, geneve, gre, erspan1, erspan2, erspan3, interface, port, vlan"},
    {"10.9.0.2", "begins with none of"},
    {"vxla:10.9.0.2", "begins with none of"},
    {"vxlan2:10.9.0.2", "begins with none of"},
    {"VXLAN:10.9.0.2", "begins with none of"},
    {" vxlan:10.9.0.2", "begins with none of"},
    {":10.9.0.2", "begins with none of"},
    {"vxlan", "does not say where to: vxlan:"},
    {"vxlan:", "does not say where to: vxlan:"},
    {"vlan", "does not say where to: vlan:"},
    {"vxlan:collector.example", "is no IP address of a collector (names are not looked up here)"},
    {"vxlan:10.9.0", "is no IP address"},
    {"vxlan:10.9.0.256", "is no IP address"},
    {"vxlan:10.9.0.2/24", "is no IP address"},
    {"vxlan: 10.9.0.2", "is no IP address"},
    {"vxlan::4789", "is no IP address"},
    {"vxlan:[]:4789", "is no IP address"},
    {"vxlan:[fd00::2", "lacks the ']'"},
    {"vxlan:[fd00::2]4789", "lacks the ']'"},
    {"vxlan:[fd00::2]]:1", "lacks the ']'"},
    {"vxlan:fd00::2]:1", "is no IP address"},
    {"vxlan:10.9.0.2:", "'' is no port (1 to 65535)"},
    {"vxlan:10.9.0.2:0", "'0' is no port"},
    {"vxlan:10.9.0.2:65536", "is no port"},
    {"vxlan:10.9.0.2:-1", "is no port"},
    {"vxlan:10.9.0.2:+1", "is no port"},
    {"vxlan:10.9.0.2:1x", "is no port"},
    {"vxlan:10.9.0.2: 1", "is no port"},
    {"vxlan:10.9.0.2:0x10", "is no port"},
    {"vxlan:10.9.0.2:18446744073709551617", "is no port"},
    {"vxlan:[fd00::2]:", "is no port"},
    {"gre:10.9.0.2:1", "gre has no port"},
    {"erspan3:[fd00::2]:7", "erspan3 has no port"},
    {"vlan:0", "is no VLAN (1 to 4094)"},
    {"vlan:4095", "is no VLAN"},
    {"vlan:x", "is no VLAN"},
    /* Nobody has these, or everybody: copies would go nowhere, or back to this machine. */
    {"vxlan:0.0.0.0", "is no address of a collector"},
    {"vxlan:::", "is no address of a collector"},
    {"gre:224.0.0.1", "is no address of a collector"},
    {"vxlan:255.255.255.255", "is no address of a collector"},
    {"vxlan:ff02::1", "is no address of a collector"},
    {"interface:0123456789012345678901234567890123456789012345678901234567890123",
     "too long a name"},
    {"vxlan:0123456789012345678901234567890123456789012345678901234567890123",
     "has no address that can be"},
    {"vxlan:[0123456789012345678901234567890123456789012345678901234567890123]",
     "has no address that can be"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mirror_target target, before;
        struct err err = {""};
        memset(&before, 0x55, sizeof before);
        target = before;
        if (mirror_parse_target(bad[i].text, ALL, &target, &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i].text);
        if (!strstr(err.text, bad[i].says) || strncmp(err.text, "--to: ", 6) != 0)
            fail_msg("'%s': %s", bad[i].text, err.text);
        assert_memory_equal(&target, &before, sizeof target); /* left as it was */
    }
}

/* What a provider cannot do is not taken, and not named among what can be. */
static void test_allowed(void **state)
{
    (void)state;
    struct mirror_target target;
    struct err err;
    uint32_t allowed = 1u << MIRROR_GENEVE | 1u << MIRROR_VLAN;
    assert_int_equal(mirror_parse_target("vxlan:10.9.0.2", allowed, &target, &err), -EINVAL);
    assert_non_null(strstr(err.text, "begins with none of geneve, vlan ("));
}

/* A very long word makes no sentence that is cut in the middle of a buffer. */
static void test_long(void **state)
{
    (void)state;
    char text[5000];
    struct mirror_target target;
    struct err err;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(mirror_parse_target(text, ALL, &target, &err), -EINVAL);
    memcpy(text, "vxlan:", 6);
    assert_int_equal(mirror_parse_target(text, ALL, &target, &err), -EINVAL);
    memcpy(text, "vxlan:10.9.0.2:", 15);
    assert_int_equal(mirror_parse_target(text, ALL, &target, &err), -EINVAL);
}

static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < MIRROR_N_WRAPS; i++) {
        assert_non_null(mirror_wrap_name(i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(mirror_wrap_name(i), mirror_wrap_name(k));
    }
    assert_int_equal(mirror_wrap_max_id(MIRROR_VXLAN), 0xffffff);
    assert_int_equal(mirror_wrap_max_id(MIRROR_GENEVE), 0xffffff);
    assert_int_equal(mirror_wrap_max_id(MIRROR_GRE), 0xffffffff);
    assert_int_equal(mirror_wrap_max_id(MIRROR_ERSPAN1), 0);
    assert_int_equal(mirror_wrap_max_id(MIRROR_ERSPAN2), 1023);
    assert_int_equal(mirror_wrap_max_id(MIRROR_ERSPAN3), 1023);
    assert_int_equal(mirror_wrap_max_id(MIRROR_INTERFACE), 0);
    /* IP, UDP and VXLAN headers, and the frame's Ethernet header. */
    assert_int_equal(mirror_wrap_overhead(MIRROR_VXLAN, false), 20 + 8 + 8 + 14);
    assert_int_equal(mirror_wrap_overhead(MIRROR_VXLAN, true), 40 + 8 + 8 + 14);
    assert_int_equal(mirror_wrap_overhead(MIRROR_GENEVE, false), 20 + 8 + 8 + 14);
    assert_int_equal(mirror_wrap_overhead(MIRROR_GRE, false), 20 + 8 + 14); /* with a key */
    assert_int_equal(mirror_wrap_overhead(MIRROR_ERSPAN1, false), 20 + 4 + 14);
    assert_int_equal(mirror_wrap_overhead(MIRROR_ERSPAN2, false), 20 + 8 + 8 + 14);
    assert_int_equal(mirror_wrap_overhead(MIRROR_ERSPAN3, true), 40 + 8 + 12 + 14);
    assert_int_equal(mirror_wrap_overhead(MIRROR_INTERFACE, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad),   cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_long), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
