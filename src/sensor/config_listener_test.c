/* Listeners: every spelling, and how wrong ones are refused. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>

#include "sensor/config.h"

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum config_listener_kind kind;
        const char *addr;
        uint16_t port;
        enum config_wrap_kind wrap;
        const char *first, *second;
    } cases[] = {
        {"vxlan", CONFIG_LISTEN_UDP, "::", 4789, CONFIG_WRAP_LAYERS, "vxlan", NULL},
        {"geneve:6082", CONFIG_LISTEN_UDP, "::", 6082, CONFIG_WRAP_LAYERS, "geneve", NULL},
        {"geneve+vxlan", CONFIG_LISTEN_UDP, "::", 6081, CONFIG_WRAP_LAYERS, "geneve", "vxlan"},
        {"vxlan-gpe", CONFIG_LISTEN_UDP, "::", 4790, CONFIG_WRAP_LAYERS, "vxlan-gpe", NULL},
        {"gre-in-udp", CONFIG_LISTEN_UDP, "::", 4754, CONFIG_WRAP_LAYERS, "gre-udp", NULL},
        {"tzsp", CONFIG_LISTEN_UDP, "::", 37008, CONFIG_WRAP_LAYERS, "tzsp", NULL},
        {"raw:5000", CONFIG_LISTEN_UDP, "::", 5000, CONFIG_WRAP_RAW, NULL, NULL},
        {"udp::0.0.0.0:4789:vxlan", CONFIG_LISTEN_UDP, "0.0.0.0", 4789, CONFIG_WRAP_LAYERS, "vxlan",
         NULL},
        {"udp::10.0.0.1:9000:geneve+vxlan", CONFIG_LISTEN_UDP, "10.0.0.1", 9000, CONFIG_WRAP_LAYERS,
         "geneve", "vxlan"},
        {"udp::[fd00::1]:9000:raw", CONFIG_LISTEN_UDP, "fd00::1", 9000, CONFIG_WRAP_RAW, NULL,
         NULL},
        {"udp::10.0.0.1:8472", CONFIG_LISTEN_UDP, "10.0.0.1", 8472, CONFIG_WRAP_LAYERS, "vxlan",
         NULL},
        {"udp:6081", CONFIG_LISTEN_UDP, "::", 6081, CONFIG_WRAP_LAYERS, "geneve", NULL},
        {"gre", CONFIG_LISTEN_GRE, "::", 0, CONFIG_WRAP_LAYERS, "gre", NULL},
        {"erspan", CONFIG_LISTEN_GRE, "::", 0, CONFIG_WRAP_LAYERS, "gre", NULL},
        {"gre:10.0.0.1", CONFIG_LISTEN_GRE, "10.0.0.1", 0, CONFIG_WRAP_LAYERS, "gre", NULL},
        {"interface:eth1", CONFIG_LISTEN_INTERFACE, "::", 0, CONFIG_WRAP_AUTO, NULL, NULL},
        {"pcap-over-ip:host:57012", CONFIG_LISTEN_PCAP_OVER_IP, "::", 57012, CONFIG_WRAP_AUTO, NULL,
         NULL},
        {"pcap-over-ip:[::1]:57012", CONFIG_LISTEN_PCAP_OVER_IP, "::", 57012, CONFIG_WRAP_AUTO,
         NULL, NULL},
        {"-", CONFIG_LISTEN_STDIN, "::", 0, CONFIG_WRAP_AUTO, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_listener l;
        struct err err = {{0}};
        struct addr addr;
        if (config_parse_listener(cases[i].text, &l, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(l.kind, cases[i].kind);
        assert_true(addr_parse(cases[i].addr, &addr));
        assert_memory_equal(&l.addr, &addr, sizeof addr);
        assert_int_equal(l.port, cases[i].port);
        assert_int_equal(l.wrap.kind, cases[i].wrap);
        assert_int_equal(l.wrap.n_layers, !!cases[i].first + !!cases[i].second);
        if (cases[i].first)
            assert_string_equal(l.wrap.layers[0]->name, cases[i].first);
        if (cases[i].second)
            assert_string_equal(l.wrap.layers[1]->name, cases[i].second);
        if (l.kind == CONFIG_LISTEN_PCAP_OVER_IP)
            assert_string_equal(l.host, strchr(cases[i].text, '[') ? "::1" : "host");
        if (l.kind == CONFIG_LISTEN_INTERFACE)
            assert_string_equal(l.interface, "eth1");
        assert_int_equal(l.buffer != 0, l.kind == CONFIG_LISTEN_UDP || l.kind == CONFIG_LISTEN_GRE);
        config_listener_done(&l);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"vxlam", "listener 'vxlam': unknown encapsulation 'vxlam'; did you mean 'vxlan'?"},
        {"geneve+vxln", "listener 'geneve+vxln': unknown encapsulation 'vxln'; did you mean "
                        "'vxlan'?"},
        {"", "listener '': unknown encapsulation ''"},
        {"vxlan+", "listener 'vxlan+': unknown encapsulation ''"},
        {"vxlan:0", "listener 'vxlan:0': '0' is not a port from 1 to 65535"},
        {"vxlan:65536", "listener 'vxlan:65536': '65536' is not a port from 1 to 65535"},
        {"vxlan:", "listener 'vxlan:': '' is not a port from 1 to 65535"},
        {"raw", "listener 'raw': 'raw' needs a port: raw:PORT"},
        {"ipip:4789", "listener 'ipip:4789': ipip does not come in UDP"},
        {"auto:4789", "listener 'auto:4789': a UDP port needs its encapsulation by name; raw is a "
                      "frame and no more"},
        {"udp::1.2.3.4:5000",
         "listener 'udp::1.2.3.4:5000': port 5000 does not say what comes; add "
         "'encapsulation: vxlan' or another"},
        {"udp::1.2.3.4", "listener 'udp::1.2.3.4': 'udp::1.2.3.4' is not "
                         "udp::ADDRESS:PORT:ENCAPSULATION"},
        {"udp::[::1:4789", "listener 'udp::[::1:4789': 'udp::[::1:4789' is not "
                           "udp::ADDRESS:PORT:ENCAPSULATION"},
        {"udp::host:4789:vxlan", "listener 'udp::host:4789:vxlan': 'host' is not an IP address"},
        {"udp::1.2.3.4:x:vxlan",
         "listener 'udp::1.2.3.4:x:vxlan': '1.2.3.4:x' is not ADDRESS:PORT"},
        {"udp::1.2.3.4:4789:gre",
         "listener 'udp::1.2.3.4:4789:gre': gre does not come in UDP; gre-in-udp does"},
        {"gre:host", "listener 'gre:host': 'host' is neither an IP address of this host nor 'any'"},
        {"interface:", "listener 'interface:': '' is not the name of an interface (1 to 15 "
                       "characters)"},
        {"interface:a/b",
         "listener 'interface:a/b': 'a/b' is not the name of an interface (1 to 15 "
         "characters)"},
        {"pcap-over-ip:host", "listener 'pcap-over-ip:host': 'host' is not HOST:PORT"},
        {"pcap-over-ip:::1:5", "listener 'pcap-over-ip:::1:5': '::1:5': an IPv6 address stands in "
                               "[ ] before its port"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_listener l;
        struct err err = {{0}};
        if (config_parse_listener(cases[i].text, &l, &err) != -EINVAL)
            fail_msg("taken: %s", cases[i].text);
        assert_string_equal(err.text, cases[i].sentence);
    }
}

/* Keys that do not go together. */
static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"{}", "a listener has one of the keys udp, interface, gre and pcap-over-ip"},
        {"{udp: 4789, interface: a}", "not two"},
        {"{udp: 4789, ring: 1M}", "'ring' is for interfaces; the key here is 'buffer'"},
        {"{interface: a, buffer: 1M}", "'buffer' is for udp and gre; the key here is 'ring'"},
        {"{pcap-over-ip: 'a:1', buffer: 1M}", "here it means nothing"},
        {"{udp: 4789, filter: tcp}", "'filter' of a listener is for interfaces"},
        {"{interface: a, encapsulation: raw}", "'raw' is for UDP; plain traffic is 'none'"},
        {"{gre: any, encapsulation: vxlan}", "here the encapsulation is gre, or begins with it"},
        {"{udp: 4789, encapsulation: none}", "a UDP port needs its encapsulation by name"},
        {"{udp: 4789, buffer: 5}", "'5' is not a size from 64K to 16G"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        struct config *config = NULL;
        struct err err = {{0}};
        int size = snprintf(text, sizeof text, "listen: [%s]", cases[i].text);
        assert_int_equal(config_load_text(text, (size_t)size, "f", &config, &err), -EINVAL);
        if (!strstr(err.text, cases[i].sentence))
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
