/* Records of mirrors as a part of the configuration: which are taken, which are left alone, and
 * what becomes of those that are broken. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state_bed.h"
#include "sensor/config.h"
#include "source/network.h"

#define OURS   "collector: \"127.0.0.1\"\n"
#define THEIRS "collector: \"192.0.2.77\"\n"

static char folder[64];

static void put_path(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    put_path(path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void set_state(const char *path)
{
    char variable[512];
    (void)snprintf(variable, sizeof variable, "CLOUDSPAN_STATE=%s", path);
    bed_set_environment((const char *const[]){variable, NULL});
}

static int make_folder(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/records-XXXXXX");
    assert_non_null(mkdtemp(folder));
    put_path(path, "state");
    assert_int_equal(mkdir(path, 0700), 0);
    set_state(path);
    put_path(path, "state/sources");
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("c.yaml", "");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return bed_remove_tree(folder);
}

static struct config *load(void)
{
    char path[128];
    struct config *config = NULL;
    struct err err = {""};
    put_path(path, "c.yaml");
    if (config_load(path, &config, &err) < 0)
        fail_msg("%s", err.text);
    return config;
}

static void refused(const char *sentence)
{
    char path[128];
    struct config *config = NULL;
    struct err err = {""};
    put_path(path, "c.yaml");
    assert_int_equal(config_load(path, &config, &err), -EINVAL);
    if (!strstr(err.text, sentence))
        fail_msg("%s", err.text);
    assert_non_null(strstr(err.text, folder)); /* which file it is */
}

/* "web-1 web-2": the names in their order. */
static void check_names(const char *expected)
{
    struct config *config = load();
    char names[512] = "";
    for (size_t i = 0; i < config->n_sources; i++)
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? " " : "",
                       config->sources[i].name);
    assert_string_equal(names, expected);
    config_free(config);
}

static void test_taken(void **state)
{
    (void)state;
    check_names("");
    write_file("state/sources/linux-b.yaml", OURS "sources:\n"
                                                  "  - {name: b, channel: vxlan:2@10.9.0.1}\n");
    write_file("state/sources/linux-a.yaml",
               OURS "sources:\n"
                    "  - {name: a, channel: vxlan:1@10.9.0.1, mac: '02:00:00:00:00:01',\n"
                    "     addresses: [10.1.0.1, 'fd00::1'], direction: in, filtered: yes,\n"
                    "     truncate: 96}\n"
                    "  - {name: c, channel: vxlan:3@10.9.0.1}\n");
    write_file("state/sources/linux-n.yaml.new", "half a fi");
    write_file("state/sources/.linux-x.yaml", "half a fi");
    check_names("a c b");
    struct config *config = load();
    const struct config_source *a = &config->sources[0];
    assert_int_equal(a->n_channels, 1);
    assert_int_equal(a->n_addresses, 2);
    assert_int_equal(a->n_macs, 1);
    assert_int_equal(a->direction, CONFIG_IN);
    assert_true(a->filtered);
    assert_int_equal(a->truncate, 96);
    struct addr outer;
    assert_true(addr_parse("10.9.0.1", &outer));
    assert_int_equal(config_source_of_channel(config, &tunnel_vxlan, true, 3, &outer), 1);
    assert_string_equal(strrchr(config->files[config->sources[2].place.file], '/'),
                        "/linux-b.yaml");
    config_free(config);
}

/* A record is for one collector: for others it says nothing; nor does one that names none, or by
 * something that is no address. */
static void test_for_others(void **state)
{
    (void)state;
    static const char *const heads[] = {THEIRS, "", "collector: me\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "%ssources:\n  - {name: a, channel: vxlan:1}\n"
                       "  - {name: b, channel: vxlan:2, network: of-theirs}\n",
                       heads[i]);
        write_file("state/sources/a.yaml", text);
        check_names("");
    }
    write_file("state/sources/b.yaml", OURS "sources: [{name: b, channel: vxlan:2}]\n");
    check_names("b");
}

/* Copies that go to a load balancer's address, and mirrors that have several collectors. */
static void test_for_any(void **state)
{
    (void)state;
    write_file("state/sources/a.yaml", "collector: any\n"
                                       "sources:\n"
                                       "  - {name: a, channel: vxlan:1}\n"
                                       "  - {name: b, channel: vxlan:2, collector: 192.0.2.77}\n"
                                       "  - {name: c, channel: vxlan:3, collector: 127.0.0.1}\n");
    write_file("state/sources/b.yaml", THEIRS "sources:\n"
                                              "  - {name: d, channel: vxlan:4, collector: any}\n"
                                              "  - {name: e, channel: vxlan:5, network: theirs}\n"
                                              "  - {name: f, channel: vxlan:6, collector: me}\n");
    check_names("a c d");
}

/* Of clouds: the id says who is who. */
static void test_machines(void **state)
{
    (void)state;
    write_file("state/sources/a.yaml",
               OURS "sources:\n"
                    "  - {name: web, channel: vxlan:1, machine: i-0123456789abcdef0}\n"
                    "  - {name: old, channel: vxlan:2, machine: i-1}\n"
                    "  - {name: db, channel: vxlan:3, machine: i-2}\n");
    write_file("state/sources/b.yaml",
               OURS "sources:\n"
                    "  - {name: web, channel: vxlan:4, machine: i-0123456789fedcba0}\n"
                    "  - {name: new, channel: vxlan:5, machine: i-1}\n"
                    "  - {name: db, channel: vxlan:6}\n");
    check_names("web old db web-9fedcba0");
    write_file("state/sources/c.yaml",
               OURS "sources:\n"
                    "  - {name: web, channel: vxlan:7, machine: i-0123456789fedcba0}\n");
    check_names("web old db web-9fedcba0");
    struct config *config = load();
    assert_int_equal(config->sources[1].n_channels, 2);
    assert_int_equal(config->sources[2].n_channels, 2);
    assert_int_equal(config->sources[3].n_channels, 2);
    config_free(config);
    /* A record that knows no id, and then one that does. */
    write_file("state/sources/c.yaml", OURS "sources:\n"
                                            "  - {name: db, channel: vxlan:7, machine: i-2}\n"
                                            "  - {name: db, channel: vxlan:8, machine: i-5}\n"
                                            "  - {name: plain, channel: vxlan:9}\n"
                                            "  - {name: plain, channel: vxlan:10, machine: i-6}\n"
                                            "  - {name: plain, channel: vxlan:11, machine: i-7}\n");
    check_names("web old db web-9fedcba0 db-i-5 plain plain-i-7");
    write_file("state/sources/c.yaml", "");
    /* As long as names may be, with a character at the end that is not to be cut in two. */
    char text[512], name[64];
    memset(name, 'x', 53);
    (void)snprintf(name + 53, sizeof name - 53, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
    (void)snprintf(text, sizeof text,
                   OURS "sources:\n  - {name: %s, channel: vxlan:8, machine: i-3}\n", name);
    write_file("state/sources/d.yaml", text);
    (void)snprintf(text, sizeof text,
                   OURS "sources:\n  - {name: %s, channel: vxlan:9, machine: i-44444444}\n", name);
    write_file("state/sources/e.yaml", text);
    config = load();
    (void)snprintf(name + 53, sizeof name - 53, "-44444444");
    assert_string_equal(config->sources[5].name, name);
    config_free(config);
}

/* Two networks with the same addresses: no reason to refuse all. */
static void test_shared(void **state)
{
    (void)state;
    write_file("c.yaml", "networks: {lab: {channels: [vxlan:70]}}\n");
    write_file("state/sources/a.yaml",
               OURS "sources:\n"
                    "  - {name: a, channel: vxlan:1, addresses: [10.0.0.1, 10.0.0.2],\n"
                    "     mac: ['02:00:00:00:00:01', '02:00:00:00:00:02']}\n");
    write_file("state/sources/b.yaml",
               OURS "sources:\n"
                    "  - {name: b, channel: vxlan:2, addresses: [10.0.0.2, 10.0.0.3],\n"
                    "     mac: ['02:00:00:00:00:03', '02:00:00:00:00:02']}\n"
                    "  - {name: c, channel: vxlan:3, addresses: [10.0.0.3, 10.0.0.1]}\n"
                    "  - {name: d, channel: vxlan:4, addresses: [10.0.0.1], network: lab}\n");
    struct config *config = load();
    assert_int_equal(config->n_sources, 4);
    static const size_t n_addresses[] = {2, 1, 0, 1}, n_macs[] = {2, 1, 0, 0};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(config->sources[i].n_addresses, n_addresses[i]);
        assert_int_equal(config->sources[i].n_macs, n_macs[i]);
    }
    char text[ADDR_TEXT_MAX + 1];
    text[addr_format(&config->sources[1].addresses[0].addr, text)] = '\0';
    assert_string_equal(text, "10.0.0.3");
    assert_int_equal(config->sources[1].macs[0].b[5], 3);
    config_free(config);
    /* Where nothing else tells them apart, it has to be said. */
    write_file("state/sources/b.yaml",
               OURS "sources:\n  - {name: b, addresses: [10.0.0.2, 10.0.0.3]}\n");
    refused("this address is also that of 'a'");
}

/* What the cloud counts goes on to the process that shows it. */
static void test_lost(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct config *config, *again = NULL;
    struct err err = {""};
    write_file("state/sources/a.yaml",
               OURS "sources:\n  - {name: a, channel: vxlan:1, lost-before: 18446744073709551615}\n"
                    "  - {name: b, channel: vxlan:2}\n"
                    "  - {name: c, channel: vxlan:3, lost-before: 0, drop-vlan: true}\n");
    write_file("state/sources/b.yaml",
               OURS "sources:\n  - {name: c, channel: vxlan:4, lost-before: 7}\n");
    config = load();
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    config_dump(config, out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(config_load_text(text, size, "again", &again, &err), 0);
    free(text);
    struct config *both[] = {config, again};
    for (size_t i = 0; i < 2; i++) {
        const struct config_source *s = both[i]->sources;
        assert_true(s[0].lost_before.has && s[0].lost_before.n == UINT64_MAX);
        assert_false(s[1].lost_before.has);
        assert_true(s[2].lost_before.has && s[2].lost_before.n == 7 && s[2].drop_vlan);
        config_free(both[i]);
    }
    write_file("state/sources/b.yaml",
               OURS "sources:\n  - {name: c, channel: vxlan:4, lost-before: -7}\n");
    refused("'-7' is no number of packets");
    write_file("state/sources/b.yaml", OURS
               "sources:\n  - {name: c, channel: vxlan:4, lost-before: 18446744073709551616}\n");
    refused("is no number of packets");
}

/* What the configuration says itself counts, by whatever the machine is known. */
static void test_named(void **state)
{
    (void)state;
    write_file("state/sources/a.yaml",
               OURS "sources:\n"
                    "  - {name: a, channel: vxlan:1@10.9.0.1, addresses: [10.1.0.1],\n"
                    "     mac: '02:00:00:00:00:01'}\n"
                    "  - {name: b, channel: vxlan:2@10.9.0.1}\n");
    write_file("c.yaml", "sources: [{name: x, channel: vxlan:9}]\n");
    check_names("x a b");
    /* The others of the same record are no less our machines for it. */
    write_file("c.yaml", "sources: [{name: a, channel: vxlan:9}]\n");
    check_names("a b");
    write_file("c.yaml", "sources: [{name: x, channel: 'vxlan:1@10.9.0.1'}]\n");
    check_names("x b");
    write_file("c.yaml", "sources: [{name: x, addresses: [10.1.0.1]}]\n");
    check_names("x b");
    write_file("c.yaml", "sources: [{name: x, mac: '02:00:00:00:00:01'}]\n");
    check_names("x b");
    /* Another way in, or another address space, is another machine. */
    write_file("c.yaml", "sources: [{name: x, channel: 'vxlan:1@10.9.0.7'}]\n");
    check_names("x a b");
    write_file("c.yaml", "networks: {lab: {channels: [vxlan:7]}}\n"
                         "sources: [{name: x, addresses: [10.1.0.1], network: lab}]\n");
    check_names("x a b");
}

/* Of a network that only this collector's configuration knows. */
static void test_network(void **state)
{
    (void)state;
    static const char record[] =
        OURS "sources:\n  - {name: a, channel: vxlan:1@10.9.0.1, network: lab}\n";
    write_file("state/sources/a.yaml", record);
    refused("there is no network 'lab'");
    write_file("c.yaml", "networks: {lab: {channels: [vxlan:7]}}\n");
    struct config *config = load();
    assert_int_equal(config->n_sources, 1);
    assert_string_equal(network_name(config->network_list, config->sources[0].network), "lab");
    config_free(config);
    write_file("c.yaml", "networks: {lab: {channels: [vxlan:7]}}\n"
                         "sources: [{name: a, channel: vxlan:9}]\n");
    check_names("a");
}

/* Two interfaces of one machine are two mirrors, and one machine. */
static void test_joined(void **state)
{
    (void)state;
    write_file("state/sources/linux-eth0.yaml",
               OURS "sources:\n"
                    "  - {name: h, channel: vxlan:1@10.9.0.1, addresses: [10.1.0.1],\n"
                    "     direction: in}\n");
    write_file("state/sources/linux-eth1.yaml",
               OURS "sources:\n"
                    "  - {name: h, channel: vxlan:2@10.9.0.1, addresses: [10.1.0.1, 10.2.0.1],\n"
                    "     mac: '02:00:00:00:00:02', filtered: yes, truncate: 128}\n");
    write_file("state/sources/linux-eth2.yaml",
               OURS "sources:\n  - {name: h, channel: vxlan:2@10.9.0.1, truncate: 96}\n");
    struct config *config = load();
    assert_int_equal(config->n_sources, 1);
    const struct config_source *h = &config->sources[0];
    assert_int_equal(h->n_channels, 2);
    assert_int_equal(h->channels[0].id, 1);
    assert_int_equal(h->channels[1].id, 2);
    assert_int_equal(h->n_addresses, 2);
    assert_int_equal(h->n_macs, 1);
    assert_int_equal(h->direction, CONFIG_BOTH);
    assert_true(h->filtered);
    assert_int_equal(h->truncate, 96);
    config_free(config);
    /* Of two networks they are two, and cannot have one name. */
    write_file("c.yaml", "networks: {lab: {channels: [vxlan:7]}}\n");
    write_file("state/sources/linux-eth3.yaml",
               OURS "sources:\n  - {name: h, channel: vxlan:3, network: lab}\n");
    refused("there is a source 'h' already");
}

/* It comes from the machines that are watched: whatever else it says is not heard. */
static void test_only_sources(void **state)
{
    (void)state;
    write_file("state/sources/a.yaml",
               OURS "on-alarm: [sh, -c, 'id >/tmp/alarm']\nuser: root\nadmit: all\nfilter: tcp\n"
                    "outputs: {logs: {folder: /tmp/elsewhere}}\nlisten: [vxlan]\n"
                    "networks: {n: {channels: [vxlan:5]}}\nsocket: /tmp/s\n"
                    "sources:\n  - {name: a, channel: vxlan:1}\n");
    struct config *config = load();
    assert_int_equal(config->n_sources, 1);
    assert_int_equal(config->n_on_alarm, 0);
    assert_null(config->user);
    assert_null(config->filter);
    assert_null(config->socket);
    assert_null(config->collector);
    assert_int_equal(config->n_listeners, 0);
    assert_int_equal(config->n_networks, 0);
    assert_string_equal(config->outputs.logs.folder, "logs");
    assert_false(config_admits_all(config)); /* who is named is known; others are not */
    config_free(config);
}

/* A broken one is said with its place, at the start and on every reload; it is not left out in
 * silence. */
static void test_broken(void **state)
{
    (void)state;
    char path[128];
    write_file("state/sources/a.yaml", OURS "sources:\n  - {name: a, channel: vxlan:1\n");
    refused("state/sources/a.yaml");
    write_file("state/sources/a.yaml", OURS "sourcs: []\n");
    refused("did you mean 'sources'?");
    write_file("state/sources/a.yaml", OURS "sources:\n  - {channel: vxlan:1}\n");
    refused("a source needs a name (line 3");
    write_file("state/sources/a.yaml", OURS "sources:\n  - {name: a}\n");
    refused("nothing says which packets are its own");
    write_file("state/sources/a.yaml", OURS "sources:\n  - {name: a, channel: vxlan:1}\n"
                                            "  - {name: b, channel: vxlan:1}\n");
    refused("this channel is also that of 'a'");
    /* Mended, or gone: all is well at the next load. */
    write_file("state/sources/a.yaml", OURS "sources:\n  - {name: a, channel: vxlan:1}\n");
    check_names("a");
    put_path(path, "state/sources/a.yaml");
    assert_int_equal(unlink(path), 0);
    check_names("");
    write_file("state/sources/a.yaml", "");
    check_names("");
}

/* More than a configuration has files of its own. */
static void test_many(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        char name[64], text[128];
        (void)snprintf(name, sizeof name, "state/sources/linux-%03d.yaml", i);
        (void)snprintf(text, sizeof text, OURS "sources:\n  - {name: m%d, channel: vxlan:%d}\n", i,
                       i);
        write_file(name, text);
    }
    struct config *config = load();
    assert_int_equal(config->n_sources, 300);
    assert_string_equal(config->sources[299].name, "m299");
    config_free(config);
}

/* No folder, an empty one, one that may not be read, or a file in its place. */
static void test_folders(void **state)
{
    (void)state;
    char path[128];
    put_path(path, "state/sources");
    assert_int_equal(rmdir(path), 0);
    check_names("");
    write_file("state/sources", "x");
    check_names("");
    set_state("/nowhere/at/all");
    check_names("");
    char long_name[400];
    memset(long_name, 'x', sizeof long_name);
    long_name[0] = '/';
    long_name[sizeof long_name - 1] = '\0';
    set_state(long_name);
    check_names("");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_taken),   TEST(test_for_any),      TEST(test_lost),   TEST(test_machines),
        TEST(test_shared),  TEST(test_for_others),   TEST(test_named),  TEST(test_network),
        TEST(test_joined),  TEST(test_only_sources), TEST(test_broken), TEST(test_many),
        TEST(test_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
