/* What is said of a cloud's machines: names that no two have, sources for watch with nothing lost,
 * coverage with its reasons, prices. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "mirror/cloud_bed.h"
#include "mirror/record.h"
#include "sensor/config.h"

static const struct mirror_source like = {.network = "",
                                          .filtered = true,
                                          .truncate = 200,
                                          .direction = "in",
                                          .collector = "10.9.0.2",
                                          .channels = {"vxlan:1"},
                                          .macs = {"02:00:00:00:00:99"},
                                          .addresses = {"9.9.9.9"},
                                          .has_lost = true,
                                          .n_lost = 3};

/* As watch would have them: what it refuses is no good. */
static struct config *as_config(const struct mirror_sources *sources)
{
    struct text text;
    struct config *config = NULL;
    struct err err = {""};
    text_init(&text, 1u << 24);
    mirror_record_text(sources, "t", &text);
    assert_false(text.failed);
    if (config_load_text(text.at, text.size, "record", &config, &err) < 0)
        fail_msg("%s", err.text);
    text_done(&text);
    return config;
}

static struct cloud_nic *add(struct cloud_inventory *world, const char *id, const char *machine,
                             const char *name, const char *address, uint32_t number)
{
    struct cloud_nic *nic = bed_nic(world, id, machine, name, address, NULL);
    (void)snprintf(nic->mac, sizeof nic->mac, "02:00:00:%02x:%02x:%02x", number >> 16 & 255,
                   number >> 8 & 255, number & 255);
    nic->id_number = number;
    nic->has_id = true;
    return nic;
}

static void test_sources(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct mirror_sources out;
    struct err err;
    struct cloud_nic *second = add(&world, "eni-2", "i-1", "web", "10.0.0.2", 102);
    second->order = 1;
    cloud_nic_text(&world, &second->outer, "fd00::2");
    struct cloud_nic *first = add(&world, "eni-9", "i-1", "web", "10.0.0.1", 101);
    cloud_nic_address(first, "fd00::1");
    cloud_nic_text(&world, &first->outer, "10.0.0.1");
    add(&world, "eni-3", "i-2", "", "10.0.0.3", 103);
    add(&world, "eni-4", "", "", "10.0.0.4", 104)->has_id = false;
    add(&world, "eni-5", "i-5", "gone", "10.0.0.5", 105)->fate = CLOUD_EXCLUDED;
    assert_int_equal(cloud_sources(&world, "vxlan", &like, &out, &err), 0);
    assert_int_equal(out.n, 2); /* "eni-4" sends nothing */
    const struct mirror_source *s = &out.at[0];
    assert_string_equal(s->name, "web");
    assert_string_equal(s->machine, "i-1");
    assert_string_equal(s->channels[0], "vxlan:101@10.0.0.1");
    assert_string_equal(s->channels[1], "vxlan:102@fd00::2");
    assert_string_equal(s->channels[2], "");
    assert_string_equal(s->macs[0], "02:00:00:00:00:65");
    assert_string_equal(s->macs[1], "02:00:00:00:00:66");
    assert_string_equal(s->macs[2], "");
    assert_string_equal(s->addresses[0], "10.0.0.1");
    assert_string_equal(s->addresses[1], "10.0.0.2");
    assert_string_equal(s->addresses[2], "fd00::1");
    assert_string_equal(s->addresses[3], "");
    assert_string_equal(s->collector, "10.9.0.2");
    assert_string_equal(s->direction, "in");
    assert_int_equal(s->truncate, 200);
    assert_true(s->filtered);
    assert_false(s->has_lost);
    assert_string_equal(out.at[1].name, "i-2");
    config_free(as_config(&out));
    free(out.at);
    assert_int_equal(cloud_sources(&world, NULL, NULL, &out, &err), 0);
    assert_int_equal(out.n, 3);
    assert_string_equal(out.at[0].name, "eni-4"); /* the first machine by its id */
    assert_string_equal(out.at[0].machine, "eni-4");
    assert_string_equal(out.at[0].channels[0], "");
    assert_string_equal(out.at[0].addresses[0], "10.0.0.4");
    assert_string_equal(out.at[1].direction, "both");
    assert_string_equal(out.at[1].collector, "any");
    config_free(as_config(&out));
    free(out.at);
    cloud_inventory_done(&world);
}

/* Names, however alike and however long. */
static void test_names(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct cloud_machines machines;
    char longest[100];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    static const struct {
        const char *machine, *name, *is;
    } rows[] = {
        /* By the machine's id, as they come out. */
        {"/a/vm/web", "other", NULL},
        {"/b/vm/web", "other", NULL}, /* their ids end alike */
        {"i-0123456789abcdef0", "web", "web-9abcdef0"},
        {"i-1", "solo", "solo"},
        {"i-2", "a\nb", "a_b"},
        {"i-3", "\xff", "_"},
        {"i-5123456789abcdef1", "web", "web-9abcdef1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        (void)bed_nic(&world, rows[i].machine, rows[i].machine, rows[i].name, NULL, NULL);
    (void)bed_nic(&world, "j-1", "j-1", longest, NULL, NULL);
    (void)bed_nic(&world, "j-2", "j-2", longest, NULL, NULL);
    assert_true(cloud_machines_make(&world, &machines));
    assert_int_equal(machines.n, 9);
    assert_int_equal(strlen(machines.at[0].name), strlen("other-") + 8);
    assert_string_not_equal(machines.at[0].name, machines.at[1].name);
    for (size_t i = 2; i < 7; i++)
        assert_string_equal(machines.at[i].name, rows[i].is);
    assert_int_equal(strlen(machines.at[7].name), 63);
    assert_string_equal(machines.at[7].name + 59, "-j-1");
    cloud_machines_done(&machines);
    cloud_inventory_done(&world);
}

/* A machine's name may be what another one's becomes. */
static void test_unlucky_names(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct cloud_machines machines;
    (void)bed_nic(&world, "i-1", "i-1", "web", NULL, NULL);
    (void)bed_nic(&world, "i-2", "i-2", "web", NULL, NULL);
    (void)bed_nic(&world, "i-3", "i-3", "web-i-1", NULL, NULL);
    assert_true(cloud_machines_make(&world, &machines));
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(machines.at[i].name, machines.at[k].name);
    cloud_machines_done(&machines);
    cloud_inventory_done(&world);
}

/* Two networks with the same addresses; watch would refuse both machines. */
static void test_shared(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct mirror_sources out;
    struct err err;
    add(&world, "eni-1", "i-1", "a", "10.0.0.1", 1);
    add(&world, "eni-2", "i-2", "b", "10.0.0.1", 2);
    cloud_nic_address(&world.at[1], "10.0.0.2");
    add(&world, "eni-3", "i-2", "b", "10.0.0.2", 3); /* the same machine's: no matter */
    memcpy(world.at[1].mac, world.at[0].mac, sizeof world.at[1].mac);
    add(&world, "eni-4", "i-3", "c", "10.0.0.2", 4)->fate = CLOUD_UNFIT; /* it does not count */
    assert_int_equal(cloud_sources(&world, "vxlan", NULL, &out, &err), 0);
    assert_string_equal(out.at[0].addresses[0], "");
    assert_string_equal(out.at[0].macs[0], "");
    assert_string_equal(out.at[1].addresses[0], "10.0.0.2");
    assert_string_equal(out.at[1].addresses[1], "");
    assert_string_equal(out.at[1].macs[0], "02:00:00:00:00:03");
    config_free(as_config(&out));
    free(out.at);
    /* Nothing tells it apart: then it is no source. */
    assert_int_equal(cloud_sources(&world, NULL, NULL, &out, &err), 0);
    assert_int_equal(out.n, 1);
    free(out.at);
    cloud_inventory_done(&world);
}

/* Random worlds: every channel is there once, under its machine. */
static void test_random(void **state)
{
    (void)state;
    uint64_t random = 5;
    struct err err;
    for (int round = 0; round < 30; round++) {
        struct cloud_inventory world = {0};
        struct mirror_sources out;
        const char *kind = round % 2 ? "vxlan" : NULL;
        uint32_t n_machines = 1 + bed_random(&random) % 20, number = 0;
        size_t n = 0;
        for (uint32_t m = 0; m < n_machines; m++) {
            char id[32], machine[32], name[32], address[32];
            uint32_t n_nics = 1 + bed_random(&random) % (m % 7 == 3 ? 90 : 4);
            (void)snprintf(machine, sizeof machine, "i-%u", m);
            (void)snprintf(name, sizeof name, "n%u", bed_random(&random) % 8);
            for (uint32_t i = 0; i < n_nics; i++, number++) {
                (void)snprintf(id, sizeof id, "eni-%u", number);
                (void)snprintf(address, sizeof address, "10.0.%u.%u", number / 250, number % 250);
                struct cloud_nic *nic = add(&world, id, machine, name, address, number);
                if (bed_random(&random) % 6 == 0)
                    nic->fate = CLOUD_EXCLUDED;
                nic->has_id = bed_random(&random) % 5 > 0;
                n += nic->fate == CLOUD_WANTED && (!kind || nic->has_id);
            }
        }
        assert_int_equal(cloud_sources(&world, kind, NULL, &out, &err), 0);
        struct config *config = as_config(&out);
        struct cloud_machines machines;
        assert_int_equal(config->n_sources, out.n);
        assert_true(cloud_machines_make(&world, &machines));
        for (size_t i = 0; i < machines.n; i++) {
            for (size_t k = 0; k < machines.at[i].n; k++) {
                const struct cloud_nic *nic = machines.at[i].nics[k];
                struct addr own, nobody = {{0}};
                assert_true(addr_parse(nic->addresses[0], &own));
                int source = kind ? config_source_of_channel(config, &tunnel_vxlan, true,
                                                             nic->id_number, &nobody)
                                  : config_source_of_address(config, 0, &own);
                if (nic->fate != CLOUD_WANTED || (kind && !nic->has_id)) {
                    assert_int_equal(source, -1);
                    continue;
                }
                assert_true(source >= 0);
                const char *is = config->sources[source].name;
                size_t len = strlen(machines.at[i].name);
                assert_int_equal(strncmp(is, machines.at[i].name, len), 0);
                assert_true(!is[len] || is[len] == '#');
                n--;
            }
        }
        assert_int_equal(n, 0);
        cloud_machines_done(&machines);
        config_free(config);
        free(out.at);
        cloud_inventory_done(&world);
    }
}

static bool has(const struct cloud_nic *nic, char why[200], void *with)
{
    (void)with;
    if (strcmp(nic->id, "eni-2") == 0)
        (void)snprintf(why, 200, "its session was deleted");
    return strcmp(nic->id, "eni-1") == 0;
}

static void test_cover(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct mirror_coverage out;
    struct err err;
    cloud_nic_text(&world, &add(&world, "eni-1", "i-1", "a", "10.0.0.1", 1)->subnet, "subnet-a");
    add(&world, "eni-2", "i-2", "b", "10.0.0.2", 2);
    add(&world, "eni-3", "i-3", "c", NULL, 3);
    add(&world, "eni-4", "i-4", "d", NULL, 4)->fate = CLOUD_NOT_SELECTED;
    struct cloud_nic *unfit = add(&world, "eni-5", "i-5", "e", NULL, 5);
    unfit->fate = CLOUD_UNFIT;
    (void)snprintf(unfit->why, sizeof unfit->why, "interface type lambda");
    add(&world, "eni-6", "i-6", "f", NULL, 6)->fate = CLOUD_OWN;
    assert_int_equal(cloud_cover(&world, has, NULL, &out, &err), 0);
    assert_int_equal(out.n, 6);
    assert_string_equal(out.at[0].machine, "a");
    assert_string_equal(out.at[0].what, "eni-1 in subnet-a");
    assert_string_equal(out.at[0].address, "10.0.0.1");
    assert_true(out.at[0].mirrored && out.at[0].wanted && !out.at[0].why[0]);
    assert_false(out.at[1].mirrored);
    assert_string_equal(out.at[1].why, "its session was deleted");
    assert_string_equal(out.at[2].why, "it is not mirrored");
    assert_true(out.at[2].wanted);
    assert_string_equal(out.at[3].why, "it was not asked for");
    assert_false(out.at[3].wanted);
    assert_string_equal(out.at[4].why, "interface type lambda");
    assert_false(out.at[4].wanted);
    assert_non_null(strstr(out.at[5].why, "the collector's"));
    free(out.at);
    cloud_inventory_done(&world);
}

static void test_cost(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 4096);
    cloud_put_cost(&text, 60, "session", 0.015, "us-east-1 as of 2026-11");
    cloud_put_cost(&text, 1, "session", 0.015, "2026-11");
    cloud_put_cost(&text, 0, "session", 0.015, "2026-11");
    cloud_put_cost(&text, 5, "session", 0, "2026-11");
    assert_string_equal(text.at,
                        "about 22 USD a day (60 sessions, 0.015 USD an hour each; prices of "
                        "us-east-1 as of 2026-11)\n"
                        "about 0.36 USD a day (1 session, 0.015 USD an hour; prices as of "
                        "2026-11)\n");
    text_done(&text);
}

/* Interfaces of one machine that are packed to several collectors: each expects its own. */
static void test_collectors(void **state)
{
    struct cloud_inventory world = {0};
    struct mirror_sources out;
    struct err err;
    static const char *const to[] = {"10.9.0.1", "10.9.0.2", "10.9.0.1", "any"};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        char id[16], address[32];
        (void)snprintf(id, sizeof id, "eni-%u", i);
        (void)snprintf(address, sizeof address, "10.0.0.%u", i + 1);
        struct cloud_nic *nic = add(&world, id, "i-1", "web", address, 100 + i);
        nic->order = i;
        cloud_nic_text(&world, &nic->collector, to[i]);
    }
    assert_int_equal(cloud_sources(&world, "vxlan", NULL, &out, &err), 0);
    assert_int_equal(out.n, 3);
    assert_string_equal(out.at[0].name, "web");
    assert_string_equal(out.at[0].collector, "10.9.0.1");
    assert_string_equal(out.at[0].channels[0], "vxlan:100");
    assert_string_equal(out.at[0].channels[1], "vxlan:102");
    assert_string_equal(out.at[0].addresses[1], "10.0.0.3");
    assert_string_equal(out.at[0].addresses[2], "");
    assert_string_equal(out.at[1].name, "web#2");
    assert_string_equal(out.at[1].collector, "10.9.0.2");
    assert_string_equal(out.at[1].channels[0], "vxlan:101");
    assert_string_equal(out.at[1].channels[1], "");
    assert_string_equal(out.at[2].collector, "any");
    assert_string_equal(out.at[2].channels[0], "vxlan:103");
    config_free(as_config(&out));
    free(out.at);
    cloud_inventory_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_unlucky_names), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_random),        cmocka_unit_test(test_cover),
        cmocka_unit_test(test_cost),          cmocka_unit_test(test_collectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
