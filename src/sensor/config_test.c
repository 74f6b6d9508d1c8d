/* The configuration as a whole: what files say together, what does not go together, and that what
 * is written back is the same. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/config.h"
#include "source/network.h"

static struct config *load(const char *text)
{
    struct config *config = NULL;
    struct err err = {{0}};
    if (config_load_text(text, strlen(text), "f", &config, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return config;
}

static char *dump(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    config_dump(config, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *c = load("");
    assert_string_equal(c->outputs.logs.folder, "logs");
    assert_int_equal(c->outputs.logs.rotate, 3600000000000);
    assert_null(c->outputs.pcap.folder);
    assert_true(c->canary.enabled);
    assert_int_equal(c->canary.interval, 30000000000);
    assert_true(c->metrics.on);
    assert_int_equal(c->metrics.port, 4790);
    assert_true(config_admits_all(c));
    assert_int_equal(c->n_listeners, 0);
    assert_int_equal(config_source_of_channel(c, &tunnel_vxlan, true, 1, &(struct addr){{0}}), -1);
    config_free(c);
    config_free(NULL);
}

static const char everything[] =
    "listen: [vxlan, \"udp::[::1]:6081:geneve+vxlan\", gre, 'pcap-over-ip:[::1]:57012', '-',\n"
    "  {interface: eth1, filter: \"not port 22\", ring: 1M, drop-vlan: yes},\n"
    "  {udp: '[fe80::1]:5000', encapsulation: raw, buffer: 1M}, {gre: '::1', encapsulation: gre},\n"
    "  {pcap-over-ip: 'a.example:1', encapsulation: none}, 'tzsp', 'gre-in-udp']\n"
    "networks:\n"
    "  prod: {channels: [vxlan:101, 7, 10.1.0.0/16, 'fd00::/8'], addresses: [10.0.0.0/8, '::1']}\n"
    "  'no': {channels: [erspan:5]}\n"
    "sources:\n"
    "- {name: 'a \"b\"', channels: [vxlan:101@10.0.1.11, any@10.2.0.0/16, '12'], network: 'no',\n"
    "   addresses: [10.0.1.11, 'fd00::11'], mac: [02-00-00-00-00-01, '02:00:00:00:00:0A'],\n"
    "   direction: out, filtered: yes, truncate: 128, canary: no, drop-vlan: yes}\n"
    "- {name: default, channel: 'geneve@fd00::1', network: default}\n"
    "- {name: '1', channel: erspan:5}\n"
    "admit: all\n"
    "filter: tcp\n"
    "canary: {enabled: no, interval: 1m30s, from: ['::1', 10.9.0.2], ports: [1, 65535]}\n"
    "duplicates: {remove: no, window: 1s}\n"
    "outputs:\n"
    "  logs: {folder: /a b, format: json, rotate: off, utc: yes, keep: 30d, disk-share: 100%,\n"
    "         community-id: yes, ja3: yes, ja4: yes}\n"
    "  pcap: {folder: /p, rotate-size: off, rotate-time: off, keep: 1h, per-source: yes,\n"
    "         snap-length: 96, disk-share: 1%}\n"
    "  tap: [cloudspan0, c1]\n"
    "  forward: [vxlan:10.0.0.9, 'vxlan:[::1]:4790']\n"
    "  stream: '-'\n"
    "limits: {memory: 2G, workers: 4, sources: 9, rate-per-source: 200000}\n"
    "metrics: off\n"
    "socket: /s\n"
    "on-alarm: [a, --b, '', 'c d']\n"
    "user: nobody\n";

static void test_everything(void **state)
{
    (void)state;
    /* An argument may be empty nowhere: the empty one of the list is refused first. */
    struct config *c = NULL;
    struct err err = {{0}};
    assert_int_equal(config_load_text(everything, sizeof everything - 1, "f", &c, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'on-alarm' wants 1 to"));
    char good[sizeof everything];
    memcpy(good, everything, sizeof good);
    memcpy(strstr(good, "''"), "xy", 2);
    c = load(good);
    assert_int_equal(c->n_listeners, 11);
    assert_int_equal(c->n_sources, 3);
    assert_int_equal(c->sources[0].direction, CONFIG_OUT);
    assert_int_equal(c->sources[0].n_macs, 2);
    assert_int_equal(c->sources[0].macs[1].b[5], 10);
    assert_string_equal(network_name(c->network_list, c->sources[0].network), "no");
    assert_int_equal(c->sources[1].network, 0);
    assert_string_equal(network_name(c->network_list, c->sources[2].network), "no");
    assert_int_equal(c->sources[1].place.line, 12);
    assert_true(config_admits_all(c));
    assert_int_equal(c->n_on_alarm, 4);
    char *first = dump(c);
    struct config *again = load(first);
    char *second = dump(again);
    assert_string_equal(first, second);
    assert_int_equal(again->sources[0].macs[1].b[5], 10);
    assert_false(again->metrics.on);
    assert_int_equal(again->canary.interval, 90000000000);
    assert_int_equal(again->listeners[1].wrap.n_layers, 2);
    free(first);
    free(second);
    config_free(again);
    config_free(c);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"networs: {}", "f: unknown key 'networs' (line 1, column 1); did you mean 'networks'?"},
        {"sources:\n- {name: a, channel: vxlan:1}\n- {name: a, channel: vxlan:2}",
         "f: there is a source 'a' already (f, line 2) (line 3, column 3)"},
        {"sources:\n- {name: a, channel: vxlan:1}\n- {name: b, channel: VXLAN:1}",
         "f: source 'b': this channel is also that of 'a' (f, line 2) (line 3, column 22)"},
        {"sources:\n- {name: a, channels: [vxlan:1, vxlan:1]}",
         "f: source 'a': this channel is there twice (line 2, column 33)"},
        {"sources:\n- {name: a, addresses: 10.0.0.1}\n- {name: b, addresses: '::ffff:10.0.0.1'}",
         "f: source 'b': this address is also that of 'a' (f, line 2) (line 3, column 24)"},
        {"sources:\n- {name: a, mac: 02:00:00:00:00:01}\n- {name: b, mac: 02-00-00-00-00-01}",
         "f: source 'b': this MAC address is also that of 'a' (f, line 2) (line 3, column 18)"},
        {"sources: [{channel: vxlan:1}]", "f: a source needs a name (line 1, column 11)"},
        {"sources: [{name: \"a\\tb\", channel: vxlan:1}]",
         "f: a source's name has no control characters (line 1, column 11)"},
        {"sources: [{name: a}]",
         "f: source 'a': nothing says which packets are its own; it needs a "
         "channel, addresses or a mac (line 1, column 11)"},
        {"networks: {prod: {}}\nsources: [{name: a, channel: vxlan:1, network: prd}]",
         "f: source 'a': there is no network 'prd' (line 2, column 11); did you mean 'prod'?"},
        {"networks: {a=b: {}}",
         "f: a network's name has no '=', ',' or control characters (line 1, column 12)"},
        {"networks: {a: {channels: ['vxlan:1@10.0.0.1']}}",
         "f: network 'a': its channels are KIND:ID, or an id, or an outer address or prefix, and "
         "not "
         "two of them at once (line 1, column 27)"},
        {"networks: {a: {channels: [vxlan]}}", "f: network 'a': its channels are KIND:ID, or an "
                                               "id, or an outer address or prefix, and not "
                                               "two of them at once (line 1, column 27)"},
        {"networks: {a: {addresses: [10.0.0.1/8]}}",
         "f: 'addresses': '10.0.0.1/8' is an address in a prefix; the prefix is 10.0.0.0/8 (line "
         "1, "
         "column 28)"},
        {"sources: [{name: a, channel: vlan:1}]",
         "f: 'channel': unknown encapsulation 'vlan'; did you mean 'vxlan'? (line 1, column 30)"},
        {"sources: [{name: a, channel: vxlan:16777216}]",
         "f: 'channel': '16777216' is not an id from 0 to 16777215 (line 1, column 30)"},
        {"sources: [{name: a, channel: 'vxlan:1@web-1'}]",
         "f: 'channel': 'web-1' is not an outer address or prefix (line 1, column 30)"},
        {"sources: [{name: a, addresses: web-1}]",
         "f: 'addresses': 'web-1' is not an IP address (line 1, column 32)"},
        {"sources: [{name: a, mac: 03:00:00:00:00:01}]",
         "f: 'mac': 03:00:00:00:00:01 is an address of a group, not of a machine (line 1, column "
         "26)"},
        {"sources: [{name: a, mac: 02:00:00:00:00}]",
         "f: 'mac': '02:00:00:00:00' is not a MAC address such as 02:00:00:00:00:01 (line 1, "
         "column "
         "26)"},
        {"listen: [{udp: 5000}]", "f: 'listen': port 5000 does not say what comes; add "
                                  "'encapsulation: vxlan' or another (line 1, column 10)"},
        {"metrics: 10.0.0.1",
         "f: 'metrics': '10.0.0.1' lacks the port, from 1 to 65535 (line 1, column 10)"},
        {"outputs: {forward: 'gre:10.0.0.1'}",
         "f: 'forward': 'gre:10.0.0.1' is not vxlan:ADDRESS[:PORT] (line 1, column 20)"},
        {"outputs: {tap: a-name-that-is-too-long}",
         "f: 'tap': 'a-name-that-is-too-long' is not the name of an interface (1 to 15 characters) "
         "(line 1, column 16)"},
        {"duplicates: {window: 31s}",
         "f: 'window' wants a time from 1ms to 30s, not '31s' (line 1, column 22)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *config = NULL;
        struct err err = {{0}};
        int result = config_load_text(cases[i].text, strlen(cases[i].text), "f", &config, &err);
        if (result == 0)
            fail_msg("taken: %s", cases[i].text);
        assert_int_equal(result, -EINVAL);
        assert_string_equal(err.text, cases[i].sentence);
        assert_null(config);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof everything - 1; size++) {
        struct config *config = NULL;
        struct err err = {{0}};
        char *exact = malloc(size ? size : 1);
        assert_non_null(exact);
        memcpy(exact, everything, size);
        int result = config_load_text(exact, size, "f", &config, &err);
        assert_true(result == 0 ? config != NULL : result == -EINVAL && err.text[0]);
        free(exact);
        config_free(config);
    }
}

/* Equal addresses are one machine's only inside one network. */
static void test_networks_apart(void **state)
{
    (void)state;
    struct config *c = load("networks: {a: {channels: [vxlan:1]}, b: {channels: [vxlan:2]}, c: }\n"
                            "sources:\n- {name: x, network: a, addresses: 10.0.0.1}\n"
                            "- {name: y, channel: vxlan:2, addresses: 10.0.0.1}\n"
                            "- {name: z, network: c, mac: '02:00:00:00:00:01'}\n");
    struct addr addr;
    assert_true(addr_parse("10.0.0.1", &addr));
    assert_int_equal(config_source_of_address(c, c->networks[0].number, &addr), 0);
    assert_int_equal(config_source_of_address(c, c->networks[1].number, &addr), 1);
    assert_int_equal(config_source_of_address(c, c->networks[2].number, &addr), -1);
    assert_int_equal(config_source_of_address(c, 0, &addr), -1);
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    assert_int_equal(config_source_of_mac(c, c->networks[2].number, mac), 2);
    assert_int_equal(config_source_of_mac(c, 0, mac), -1);
    assert_false(config_admits_all(c));
    config_free(c);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/cloudspan-config.XXXXXX", path[200], conf[200];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/main.yaml", folder);
    snprintf(conf, sizeof conf, "%s/conf.d", folder);
    struct config *c = NULL;
    struct err err = {{0}};
    assert_int_equal(config_load(path, &c, &err), -ENOENT);
    write_file(folder, "main.yaml",
               "admit: all\nuser: a\nsources:\n- {name: a, channel: vxlan:1}\n"
               "networks: {n: {channels: [1]}}\n");
    assert_int_equal(config_load(path, &c, &err), 0);
    assert_int_equal(c->n_files, 1);
    assert_int_equal(mkdir(conf, 0755), 0);
    write_file(conf, "20.yaml", "user: c\nnetworks: {n: {channels: [2]}}\n");
    write_file(conf, "10.yml", "user: b\nsources:\n- {name: b, channel: vxlan:2}\n");
    write_file(conf, "30.yaml~", "nonsense");
    write_file(conf, ".40.yaml", "nonsense");
    struct config *second = NULL;
    assert_int_equal(config_load(path, &second, &err), 0);
    assert_int_equal(second->n_files, 3);
    assert_int_equal(second->n_sources, 2);
    assert_string_equal(second->user, "c");
    assert_int_equal(second->networks[0].n_channels, 2);
    assert_int_equal(second->sources[1].place.file, 1);
    assert_int_equal(second->sources[1].network, second->networks[0].number);
    config_free(second);

    /* What is wrong between two files names both, and the old one stays. */
    write_file(conf, "30.yaml", "sources: [{name: a, channel: vxlan:3}]\n");
    struct config *before = c;
    assert_int_equal(config_load(path, &c, &err), -EINVAL);
    assert_ptr_equal(c, before);
    assert_non_null(strstr(err.text, "conf.d/30.yaml: there is a source 'a' already ("));
    assert_non_null(strstr(err.text, "main.yaml, line 4) (line 1, column 11)"));
    config_free(c);

    static const char *const names[] = {"conf.d/10.yml",   "conf.d/20.yaml",  "conf.d/30.yaml",
                                        "conf.d/30.yaml~", "conf.d/.40.yaml", "main.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(conf), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Every row can be described, read and written. */
static int check_row(const char *path, const struct yaml_row *row, void *with)
{
    if (!row->help || !row->help[0])
        fail_msg("%s has no help", path);
    for (const char *line = row->help; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strcspn(line, "\n") > 76)
            fail_msg("%s: a line of its help is too long", path);
    }
    for (const char *p = row->key; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *p))
            fail_msg("%s: keys are of lower-case letters and '-'", path);
    assert_true((row->kind == YAML_WORD) == (row->words != NULL));
    assert_true(row->kind != YAML_FORM || (row->form && row->form->take && row->form->put));
    assert_true((row->kind == YAML_MAP) == (row->rows != NULL));
    assert_true(row->max == 0 || row->min <= row->max);
    if (row->shape != YAML_ONE) {
        assert_true(row->item_size > 0 && row->max_items > 0);
        assert_true(row->count_at != row->at);
    }
    if (row->kind == YAML_MAP) {
        int n = 0;
        for (const struct yaml_row *a = row->rows; a->key; a++, n++)
            for (const struct yaml_row *b = row->rows; b != a; b++)
                assert_string_not_equal(a->key, b->key);
        assert_in_range(n, 1, 64);
    }
    ++*(int *)with;
    return 0;
}

static void test_table(void **state)
{
    (void)state;
    int n = 0;
    assert_int_equal(config_each_key(check_row, &n), 0);
    assert_in_range(n, 60, 400);
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    config_reference(f);
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(text, "disk-share: SHARE  (80%)"));
    assert_non_null(strstr(text, "metrics: ADDRESS:PORT|off  (\"127.0.0.1:4790\")"));
    assert_non_null(strstr(text, "canary: yes|no  (yes)"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),       cmocka_unit_test(test_everything),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_networks_apart), cmocka_unit_test(test_files),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
