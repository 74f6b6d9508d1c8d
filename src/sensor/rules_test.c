/* Who may send, as far as that can be told in the kernel: of configurations. */
#include "sensor/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sensor/parts.h"
#include "tunnel/tunnel.h"

static bool senders_of(const char *text, struct admit_list *out)
{
    struct config *config = NULL;
    struct err err = {""};
    if (config_load_text(text, strlen(text), "f", &config, &err) < 0)
        fail_msg("%s", err.text);
    static const struct rules_input none[1];
    struct parts *parts = parts_new();
    struct rules *rules = rules_new(config, none, 0, NULL, 0, NULL, parts);
    assert_non_null(rules);
    bool found = rules_senders(rules, out);
    rules_free(rules);
    parts_free(parts);
    config_free(config);
    return found;
}

static bool has(const struct admit_list *list, const char *text)
{
    struct addr addr;
    assert_true(addr_parse(text, &addr));
    return admit_has(list, &addr);
}

static void test_senders(void **state)
{
    (void)state;
    static struct admit_list list;
    assert_true(senders_of("networks: {n: {channels: ['vxlan:5', 192.0.2.99]}}\n"
                           "sources:\n"
                           "- {name: a, network: n, channel: vxlan:101@10.0.1.11}\n"
                           "- {name: b, channels: ['erspan:12@192.0.2.0/28', '2001:db8::/32']}\n"
                           "- {name: c, channel: 7@10.0.1.11, addresses: [10.1.1.1]}\n",
                           &list));
    assert_true(has(&list, "10.0.1.11"));
    assert_false(has(&list, "10.0.1.12"));
    assert_true(has(&list, "192.0.2.1") && has(&list, "192.0.2.15"));
    assert_false(has(&list, "192.0.2.16"));
    assert_true(has(&list, "2001:db8:ffff::"));
    assert_false(has(&list, "2001:db9::"));
    assert_int_equal(list.n, 3);
    assert_true(senders_of("admit: configured\n", &list)); /* nobody */
    assert_int_equal(list.n, 0);
}

static void test_unknown(void **state)
{
    (void)state;
    static struct admit_list list;
    static const char *const texts[] = {
        "{}\n",
        "admit: all\nsources: [{name: a, channel: vxlan@10.0.0.1}]\n",
        "sources: [{name: a, channel: vxlan@10.0.0.1}, {name: b, channel: vxlan:7}]\n",
        /* Whoever mirrors this machine's traffic is admitted. */
        "sources: [{name: a, channel: vxlan@10.0.0.1}, {name: b, addresses: [10.1.1.1]}]\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(senders_of(texts[i], &list));
    static char many[64 * (ADMIT_MAX + 2)];
    for (int more = 0; more < 2; more++) {
        size_t len = (size_t)snprintf(many, sizeof many, "sources:\n");
        for (int i = 0; i < ADMIT_MAX + more; i++)
            len +=
                (size_t)snprintf(many + len, sizeof many - len,
                                 "- {name: m%d, channel: vxlan@10.0.%d.%d}\n", i, i / 200, i % 200);
        assert_int_equal(senders_of(many, &list), !more);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum arrival_gate_kind kind;
    } rows[] = {
        {"vxlan", ARRIVAL_GATED},
        {"geneve", ARRIVAL_GATED},
        {"gre", ARRIVAL_GATED},
        {"geneve+vxlan", ARRIVAL_UNGATED}, /* the channel's sender is inside */
        {"udp::0.0.0.0:5000:raw", ARRIVAL_GATED},
        {"udp::239.1.1.1:4789:vxlan", ARRIVAL_UNGATED}, /* one socket: it would count as dropped */
        {"interface:eth0", ARRIVAL_GATED_RING},
        {"-", ARRIVAL_UNGATED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        struct config *config = NULL;
        struct err err = {""};
        (void)snprintf(text, sizeof text, "listen: ['%s']\n", rows[i].text);
        if (config_load_text(text, strlen(text), "f", &config, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(rules_gate_kind(&config->listeners[0]), rows[i].kind);
        config_free(config);
    }
}

/* A machine in a shared channel is the same one in each configuration that has it, wherever. */
static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has_b;
    } rows[] = {
        {"sources: [{name: a, addresses: [10.0.0.1]}, {name: b, addresses: [10.0.0.2]}]\n", true},
        {"sources: [{name: a, addresses: [10.0.0.1]}]\n", false},
        {"{}\n", false},
        {"sources: [{name: c, addresses: [10.0.0.3]}, {name: b, addresses: [10.0.0.2]},\n"
         " {name: a, addresses: [10.0.0.1]}]\n",
         true},
        {"sources: [{name: b, addresses: [10.0.0.2]}]\n", true},
        {"sources: [{name: c, addresses: [10.0.0.2]}]\n", false}, /* his address is another's */
    };
    struct parts *parts = parts_new();
    struct packet packet = {.kind = PACKET_IP};
    assert_true(addr_parse("10.0.0.2", &packet.src));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config *config = NULL;
        struct err err = {""};
        if (config_load_text(rows[i].text, strlen(rows[i].text), "f", &config, &err) < 0)
            fail_msg("%s", err.text);
        static const struct rules_input none[1];
        struct rules *rules = rules_new(config, none, 0, NULL, 0, NULL, parts);
        assert_non_null(rules);
        struct source key = {.decoder = &tunnel_vxlan, .has_id = true, .id = 7};
        bool is_b = rules->arrival.sources.part(rules, &key, &packet) == 2;
        assert_int_equal(is_b, rows[i].has_b);
        key.part = 2;
        struct machine_want want = {.name = "?"};
        source_describe(&rules->arrival.sources, config->network_list, &key);
        assert_int_equal(key.is_refused, !rows[i].has_b);
        assert_int_equal(rules_want(rules, &key, &want), rows[i].has_b);
        assert_string_equal(want.name, rows[i].has_b ? "b" : "?");
        rules_free(rules);
        config_free(config);
    }
    parts_free(parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_senders),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
