/* Addresses as text: what inet_ntop writes is the measure; and every row of the private networks at
 * both its ends. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

static void check_text(const struct addr *a)
{
    char want[INET6_ADDRSTRLEN], got[ADDR_TEXT_MAX + 1];
    if (addr_is_v4(a))
        inet_ntop(AF_INET, a->b + 12, want, sizeof want);
    else
        inet_ntop(AF_INET6, a->b, want, sizeof want);
    char *block = malloc(ADDR_TEXT_MAX);
    size_t len = addr_format(a, block);
    assert_true(len <= ADDR_TEXT_MAX);
    memcpy(got, block, len);
    got[len] = '\0';
    free(block);
    assert_string_equal(got, want);

    struct addr back;
    assert_true(addr_parse(got, &back));
    assert_true(addr_eq(a, &back));
}

static void text_is_as_inet_ntop(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "255.255.255.255",
        "1.20.99.100",
        "10.200.0.9",
        "::",
        "::1",
        "1::",
        "::1:0:0",
        "2001:db8::1",
        "2001:0:0:1::",
        "1:0:0:2:0:0:0:3",
        "1:0:0:2:3:0:0:4",
        "0:1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:0",
        "::1.2.3.4",
        "::ffff:0:1.2.3.4",
        "64:ff9b::1.2.3.4",
        "1:0:2:0:3:0:4:0",
        "fe80::a667:6ff:fef7:ec54",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "0:0:1::",
        "::1:0",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct addr a;
        assert_true(addr_parse(texts[i], &a));
        check_text(&a);
    }
}

/* Every pattern of zero groups, with groups of one to four digits between. */
static void every_pattern_of_zeros(void **state)
{
    (void)state;
    for (unsigned pattern = 0; pattern < 256; pattern++)
        for (unsigned digits = 0; digits < 4; digits++) {
            struct addr a = {{0}};
            for (unsigned i = 0; i < 8; i++)
                if (pattern >> i & 1) {
                    unsigned v = 0x1234u >> (4 * ((i + digits) % 4));
                    a.b[2 * i] = (uint8_t)(v >> 8);
                    a.b[2 * i + 1] = (uint8_t)v;
                }
            check_text(&a);
        }
}

static void every_v4_byte(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t b[4] = {(uint8_t)v, (uint8_t)(255 - v), 7, (uint8_t)v};
        struct addr a = addr_v4(b);
        check_text(&a);
    }
}

static void nonsense_is_no_address(void **state)
{
    (void)state;
    struct addr a;
    assert_false(addr_parse("", &a));
    assert_false(addr_parse("1.2.3", &a));
    assert_false(addr_parse("1.2.3.256", &a));
    assert_false(addr_parse("1::2::3", &a));
    assert_false(addr_parse("example.org", &a));
}

static void private_networks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool local;
    } rows[] = {
        {"0.0.0.0", true},
        {"0.255.255.255", true},
        {"1.0.0.0", false},
        {"9.255.255.255", false},
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"11.0.0.0", false},
        {"100.63.255.255", false},
        {"100.64.0.0", true},
        {"100.127.255.255", true},
        {"100.128.0.0", false},
        {"126.255.255.255", false},
        {"127.0.0.1", true},
        {"128.0.0.0", false},
        {"169.253.255.255", false},
        {"169.254.169.254", true},
        {"169.255.0.0", false},
        {"172.15.255.255", false},
        {"172.16.0.0", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.0.0.8", true},
        {"192.0.1.0", false},
        {"192.0.2.1", true},
        {"192.0.3.0", false},
        {"192.167.255.255", false},
        {"192.168.0.0", true},
        {"192.169.0.0", false},
        {"198.17.255.255", false},
        {"198.18.0.0", true},
        {"198.19.255.255", true},
        {"198.20.0.0", false},
        {"198.51.100.9", true},
        {"198.51.101.0", false},
        {"203.0.113.9", true},
        {"203.0.114.0", false},
        {"224.0.0.251", true},
        {"224.0.1.0", false},
        {"238.255.255.255", false},
        {"239.0.0.1", true},
        {"240.0.0.0", true},
        {"255.255.255.255", true},
        {"8.8.8.8", false},
        {"::", true},
        {"::1", true},
        {"::2", false},
        {"64:ff9b::1", false},
        {"64:ff9b:1::1", true},
        {"100::1", true},
        {"100:0:0:1::", false},
        {"2001::1", true},
        {"2001:1ff::", true},
        {"2001:200::", false},
        {"2001:db8:1::", true},
        {"2001:db9::", false},
        {"fbff::", false},
        {"fc00::1", true},
        {"fdff::", true},
        {"fe80::1", true},
        {"febf::1", true},
        {"fec0::1", true},
        {"224.0.0.251", true},
        {"224.0.1.1", false},
        {"239.255.255.250", true},
        {"ff02::1", false},
        {"ff02::1", false},
        {"2600::1", false},
        {"2002:a00::1", true},
        {"2002:aff:ffff::", true},
        {"2002:b00::", false},
        {"2002:c0a8:101::", true},
        {"2002:808:808::", false},
        {"2003::", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a;
        assert_true(addr_parse(rows[i].text, &a));
        if (addr_is_local(&a) != rows[i].local)
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_as_inet_ntop), cmocka_unit_test(every_pattern_of_zeros),
        cmocka_unit_test(every_v4_byte),        cmocka_unit_test(nonsense_is_no_address),
        cmocka_unit_test(private_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
