/* The firewall's rules as nft prints them: which would drop mirrored packets. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "linux/firewall.h"

#define CHAIN(policy)                                                                              \
    "{\"metainfo\": {\"version\": \"1.0.6\"}}, {\"table\": {\"family\": \"inet\", \"name\": "      \
    "\"f\"}}, "                                                                                    \
    "{\"chain\": {\"family\": \"inet\", \"table\": \"f\", \"name\": \"in\", \"type\": "            \
    "\"filter\", "                                                                                 \
    "\"hook\": \"input\", \"prio\": 0, \"policy\": \"" policy "\"}}"
#define RULE(expr)                                                                                 \
    ", {\"rule\": {\"family\": \"inet\", \"table\": \"f\", \"chain\": \"in\", \"expr\": [" expr    \
    "]}}"
#define PORT(right)                                                                                \
    "{\"match\": {\"op\": \"==\", \"left\": {\"payload\": {\"protocol\": \"udp\", \"field\": "     \
    "\"dport\"}}, \"right\": " right "}}"
#define SADDR                                                                                      \
    "{\"match\": {\"op\": \"==\", \"left\": {\"payload\": {\"protocol\": \"ip\", \"field\": "      \
    "\"saddr\"}}, \"right\": \"10.0.0.1\"}}"
#define STATE                                                                                      \
    "{\"match\": {\"op\": \"in\", \"left\": {\"ct\": {\"key\": \"state\"}}, \"right\": "           \
    "\"established\"}}"
#define ACCEPT "{\"accept\": null}"
#define DROP   "{\"counter\": {\"packets\": 0, \"bytes\": 0}}, {\"drop\": null}"
#define REJECT "{\"reject\": {\"type\": \"icmpx\"}}"

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        enum linux_verdict want;
    } rows[] = {
        {CHAIN("accept"), LINUX_FIREWALL_OPEN},
        {CHAIN("drop"), LINUX_FIREWALL_CLOSED},
        {CHAIN("drop") RULE(PORT("4789") ", " ACCEPT), LINUX_FIREWALL_OPEN},
        {CHAIN("drop") RULE(PORT("{\"set\": [22, 4789]}") ", " ACCEPT), LINUX_FIREWALL_OPEN},
        {CHAIN("drop") RULE(PORT("{\"set\": [22, {\"range\": [4000, 5000]}]}") ", " ACCEPT),
         LINUX_FIREWALL_OPEN},
        {CHAIN("drop") RULE(PORT("{\"range\": [5000, 6000]}") ", " ACCEPT), LINUX_FIREWALL_CLOSED},
        {CHAIN("drop") RULE(PORT("22") ", " ACCEPT), LINUX_FIREWALL_CLOSED},
        {CHAIN("drop") RULE(SADDR ", " PORT("4789") ", " ACCEPT), LINUX_FIREWALL_OPEN},
        {CHAIN("drop") RULE(STATE ", " ACCEPT), LINUX_FIREWALL_CLOSED},
        {CHAIN("drop") RULE(ACCEPT), LINUX_FIREWALL_OPEN},
        {CHAIN("accept") RULE(PORT("4789") ", " DROP), LINUX_FIREWALL_DROPS},
        {CHAIN("accept") RULE(PORT("4789") ", " REJECT), LINUX_FIREWALL_DROPS},
        {CHAIN("accept") RULE(PORT("6081") ", " DROP), LINUX_FIREWALL_OPEN},
        {CHAIN("accept") RULE(SADDR ", " PORT("4789") ", " DROP), LINUX_FIREWALL_OPEN},
        {CHAIN("accept") RULE(PORT("4789") ", " ACCEPT) RULE(PORT("4789") ", " DROP),
         LINUX_FIREWALL_OPEN},
        {"{\"table\": {\"family\": \"ip\"}}", LINUX_FIREWALL_OPEN},
        {"null, 1, [], {\"chain\": 5}, {\"rule\": []}", LINUX_FIREWALL_OPEN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[2000];
        int n = snprintf(json, sizeof json, "{\"nftables\": [%s]}", rows[i].rules);
        struct linux_firewall out;
        assert_int_equal(linux_parse_firewall(json, (size_t)n, 4789, &out, NULL), 0);
        if (out.verdict != rows[i].want)
            fail_msg("row %zu: %d", i, (int)out.verdict);
        assert_string_equal(out.table, out.verdict == LINUX_FIREWALL_OPEN ? "" : "f");
        assert_string_equal(out.chain, out.verdict == LINUX_FIREWALL_OPEN ? "" : "in");
    }
}

static void test_no_rules(void **state)
{
    (void)state;
    static const char whole[] = "{\"nftables\": [" CHAIN("drop") "]}";
    struct linux_firewall out;
    struct err err;
    for (size_t n = 0; n < sizeof whole - 1; n++)
        assert_true(linux_parse_firewall(whole, n, 4789, &out, &err) < 0);
    assert_int_equal(linux_parse_firewall(whole, sizeof whole - 1, 4789, &out, &err), 0);
    assert_true(linux_parse_firewall("{}", 2, 4789, &out, &err) < 0);
    assert_true(linux_parse_firewall("{\"nftables\":{}}", 15, 4789, &out, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_no_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
