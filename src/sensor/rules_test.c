/* From the text of a configuration to what becomes of channels: named machines, strangers, machines
 * in shared channels, networks, the default route's interface; the line that admits a stranger is
 * a configuration that does; machines keep their numbers when the configuration changes. */
#include "sensor/live_bed.h"

#define TWO_IN_ONE                                                                                 \
    "sources:\n"                                                                                   \
    "  - {name: web, addresses: [10.1.0.1]}\n"                                                     \
    "  - {name: db, mac: \"02:00:00:00:00:0b\"}\n"

static struct source channel_of(const struct tunnel_decoder *decoder, const char *outer, int64_t id)
{
    struct source s = {.decoder = decoder, .has_id = id >= 0, .id = id >= 0 ? (uint32_t)id : 0};
    assert_true(addr_parse(outer, &s.outer));
    return s;
}

static void ask(const struct live_rules *r, struct source *s)
{
    source_describe(&r->rules->arrival.sources, r->config->network_list, s);
}

/* ---- channels ---- */

static void named(void **state)
{
    (void)state;
    struct live_rules r;
    live_rules_init(&r,
                    "networks: {prod: {channels: [\"vxlan:7\"]}}\n"
                    "sources:\n"
                    "  - {name: web, channel: \"vxlan:7@10.9.0.1\", direction: in}\n"
                    "  - {name: db, channel: \"erspan@10.9.0.2\", drop-vlan: true}\n",
                    NULL);
    struct source web = channel_of(&tunnel_vxlan, "10.9.0.1", 7);
    ask(&r, &web);
    assert_string_equal(web.name, "web");
    assert_false(source_is_refused(&web));
    assert_string_equal(network_name(r.config->network_list, web.network), "prod");
    struct machine_want want = {.name = "x", .network = "prod"};
    assert_true(rules_want(r.rules, &web, &want));
    assert_string_equal(want.name, "web");
    assert_string_equal(want.network, "prod");
    assert_int_equal(want.overhead, 50);
    assert_false(want.health.expects_both_directions);
    assert_false(want.health.expects_copies);

    struct source db = channel_of(&tunnel_erspan2, "10.9.0.2", 3);
    ask(&r, &db);
    assert_string_equal(db.name, "db");
    assert_true(db.drop_vlan);
    assert_false(db.is_shared);

    struct source stranger = channel_of(&tunnel_vxlan, "10.9.0.1", 8);
    ask(&r, &stranger);
    assert_true(source_is_refused(&stranger));
    assert_string_equal(stranger.name, "10.9.0.1/8");
    assert_int_equal(stranger.network, 0);
    assert_false(rules_want(r.rules, &stranger, &want));
    live_rules_done(&r);
}

static void strangers(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        bool refused;
    } cases[] = {
        {"", false}, /* nobody is configured: all are learned */
        {"admit: configured\n", true},
        {"admit: all\n", false},
        {"sources: [{name: web, channel: \"7\"}]\n", true},
        {"admit: all\nsources: [{name: web, channel: \"7\"}]\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct live_rules r;
        live_rules_init(&r, cases[i].yaml, NULL);
        struct source s = channel_of(&tunnel_gre, "2001:db8::1", -1);
        ask(&r, &s);
        assert_int_equal(source_is_refused(&s), cases[i].refused);
        /* An interface that somebody named is meant; the default route's is not. */
        struct source meant = {.input = 1}, unmeant = {.input = 2};
        ask(&r, &meant);
        ask(&r, &unmeant);
        assert_false(source_is_refused(&meant));
        assert_int_equal(source_is_refused(&unmeant), cases[i].refused);
        assert_string_equal(meant.name, "eth1");
        assert_string_equal(unmeant.name, "eth0");
        live_rules_done(&r);
    }
}

static void overheads(void **state)
{
    (void)state;
    static const struct {
        const char *decoder, *outer;
        unsigned want;
    } cases[] = {{"vxlan", "10.0.0.1", 50},   {"vxlan", "2001:db8::1", 70}, {"gre", "10.0.0.1", 42},
                 {"erspan2", "10.0.0.1", 50}, {"geneve", "10.0.0.1", 50},   {NULL, "10.0.0.1", 0}};
    struct live_rules r;
    live_rules_init(&r, "", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].decoder;
        struct source s = channel_of(name ? tunnel_by_name(name, strlen(name)) : NULL,
                                     cases[i].outer, name ? 5 : -1);
        struct machine_want want = {.name = "x", .network = "default"};
        assert_false(rules_want(r.rules, &s, &want));
        assert_int_equal(want.overhead, cases[i].want);
        assert_int_equal(want.has_canary, name != NULL);
    }
    live_rules_done(&r);
}

/* ---- shared channels ---- */

static struct packet inner(const char *src, const char *dst, uint8_t src_mac, uint8_t dst_mac)
{
    struct packet p = {.kind = PACKET_IP, .has_mac = true};
    memcpy(p.src_mac, (const uint8_t[]){2, 0, 0, 0, 0, src_mac}, 6);
    memcpy(p.dst_mac, (const uint8_t[]){2, 0, 0, 0, 0, dst_mac}, 6);
    assert_true(addr_parse(src, &p.src) && addr_parse(dst, &p.dst));
    return p;
}

static const char *part_name(const struct live_rules *r, const struct source *channel,
                             const struct packet *p, struct source *out)
{
    uint16_t part = r->rules->arrival.sources.part(r->rules, channel, p);
    *out = *channel;
    out->part = part;
    ask(r, out);
    return part ? out->name : "";
}

static void shared(void **state)
{
    (void)state;
    struct live_rules r;
    live_rules_init(&r, TWO_IN_ONE, NULL);
    struct source channel = channel_of(&tunnel_vxlan, "10.9.0.1", 7), machine;
    ask(&r, &channel);
    assert_true(channel.is_shared);
    assert_false(channel.is_refused); /* its machines are not */
    assert_true(source_is_refused(&channel));
    struct packet p = inner("10.1.0.1", "10.5.5.5", 1, 2);
    assert_string_equal(part_name(&r, &channel, &p, &machine), "web");
    assert_false(source_is_refused(&machine));
    p = inner("10.5.5.5", "10.1.0.1", 1, 2);
    assert_string_equal(part_name(&r, &channel, &p, &machine), "web");
    p = inner("10.5.5.5", "10.6.6.6", 1, 0x0b);
    assert_string_equal(part_name(&r, &channel, &p, &machine), "db");
    p = inner("10.1.0.1", "10.6.6.6", 0x0b, 1); /* the MAC says more */
    assert_string_equal(part_name(&r, &channel, &p, &machine), "db");
    p.kind = PACKET_ARP;
    assert_string_equal(part_name(&r, &channel, &p, &machine), "db");
    p = inner("10.5.5.5", "10.6.6.6", 1, 2);
    assert_string_equal(part_name(&r, &channel, &p, &machine), "");
    p = inner("10.1.0.1", "10.5.5.5", 1, 2);
    p.kind = PACKET_OTHER; /* it has no addresses */
    assert_string_equal(part_name(&r, &channel, &p, &machine), "");
    struct machine_want want = {.name = "x", .network = "default"};
    p = inner("10.1.0.1", "10.5.5.5", 1, 2);
    (void)part_name(&r, &channel, &p, &machine);
    assert_true(rules_want(r.rules, &machine, &want));
    assert_string_equal(want.name, "web");
    assert_int_equal(want.n_addresses, 1);
    assert_true(addr_eq(&want.addresses[0], &p.src));
    assert_int_equal(want.overhead, 50);
    live_rules_done(&r);
}

/* The configuration is read again with its machines in another order, some gone, some new: the
 * numbers that packets' channels have are still those of the same machines. */
static void parts_stay(void **state)
{
    (void)state;
    struct live_rules one, two, three;
    struct source channel = channel_of(&tunnel_vxlan, "10.9.0.1", 7), web, db, machine;
    struct packet to_web = inner("10.1.0.1", "10.5.5.5", 1, 2);
    struct packet to_db = inner("10.5.5.5", "10.6.6.6", 1, 0x0b);
    live_rules_init(&one, TWO_IN_ONE, NULL);
    ask(&one, &channel);
    assert_string_equal(part_name(&one, &channel, &to_web, &web), "web");
    assert_string_equal(part_name(&one, &channel, &to_db, &db), "db");

    live_rules_init(&two,
                    "sources:\n"
                    "  - {name: new, addresses: [10.1.0.7]}\n"
                    "  - {name: db, mac: \"02:00:00:00:00:0b\"}\n",
                    one.rules);
    live_rules_done(&one);
    ask(&two, &web);
    ask(&two, &db);
    assert_true(source_is_refused(&web)); /* there is none of this name any more */
    assert_string_equal(db.name, "db");
    assert_false(source_is_refused(&db));
    assert_string_equal(part_name(&two, &channel, &to_db, &machine), "db");
    assert_int_equal(machine.part, db.part);
    assert_string_equal(part_name(&two, &channel, &to_web, &machine), "");
    struct packet to_new = inner("10.1.0.7", "10.5.5.5", 1, 2);
    assert_string_equal(part_name(&two, &channel, &to_new, &machine), "new");
    assert_true(machine.part != web.part && machine.part != db.part);
    struct machine_want want = {.name = "x", .network = "default"};
    assert_false(rules_want(two.rules, &web, &want));

    live_rules_init(&three, "admit: configured\n", two.rules); /* nobody is left */
    live_rules_done(&two);
    ask(&three, &web);
    ask(&three, &db);
    ask(&three, &machine);
    assert_true(source_is_refused(&db) && source_is_refused(&machine));
    live_rules_init(&one, TWO_IN_ONE, three.rules); /* they are back */
    live_rules_done(&three);
    ask(&one, &web);
    ask(&one, &db);
    assert_string_equal(web.name, "web");
    assert_string_equal(db.name, "db");
    live_rules_done(&one);
}

static void many_parts(void **state)
{
    (void)state;
    enum { N = 2000 };
    size_t size = N * 80, len = 0;
    char *yaml = malloc(size);
    len += (size_t)snprintf(yaml, size, "sources:\n");
    for (unsigned i = 0; i < N; i++)
        len += (size_t)snprintf(yaml + len, size - len,
                                "  - {name: m%u, addresses: [10.7.%u.%u]}\n", i, i >> 8, i & 255);
    struct live_rules r;
    live_rules_init(&r, yaml, NULL);
    struct source channel = channel_of(&tunnel_vxlan, "10.9.0.1", 7), machine;
    ask(&r, &channel);
    for (unsigned i = 0; i < N; i++) {
        char name[16], address[20];
        (void)snprintf(name, sizeof name, "m%u", i);
        (void)snprintf(address, sizeof address, "10.7.%u.%u", i >> 8, i & 255);
        struct packet p = inner(address, "10.5.5.5", 1, 2);
        assert_string_equal(part_name(&r, &channel, &p, &machine), name);
    }
    free(yaml);
    live_rules_done(&r);
}

/* ---- admitting ---- */

/* The line with a name in it loads, and the channel is that machine's. */
static void admit_lines(void **state)
{
    (void)state;
    static const char *const outers[] = {"10.9.0.1", "2001:db8::7"};
    struct live_rules r;
    live_rules_init(&r, "admit: configured\n", NULL);
    unsigned n = 0;
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        if (!tunnel_decoders[i]->is_mirror)
            continue;
        for (unsigned k = 0; k < 6; k++) {
            static const int64_t ids[] = {-1, 1, 1023};
            struct source s = channel_of(tunnel_decoders[i], outers[k & 1], ids[k / 2]);
            char line[200], yaml[300];
            rules_admit(r.rules, &s, line, sizeof line);
            char *at = strstr(line, "NAME");
            assert_non_null(at);
            (void)snprintf(yaml, sizeof yaml, "%.*snew%s\n", (int)(at - line), line, at + 4);
            struct live_rules later;
            live_rules_init(&later, yaml, NULL);
            struct source other = channel_of(tunnel_decoders[i], "10.9.0.2", ids[k / 2]);
            ask(&later, &s);
            ask(&later, &other);
            if (source_is_refused(&s) || strcmp(s.name, "new") != 0)
                fail_msg("does not admit it: %s", yaml);
            assert_true(source_is_refused(&other));
            live_rules_done(&later);
            n++;
        }
    }
    assert_true(n >= 6 * 5);
    struct source interface = {.input = 2};
    char line[200], yaml[300];
    rules_admit(r.rules, &interface, line, sizeof line);
    char *at = strstr(line, "ADDRESS");
    assert_non_null(at);
    (void)snprintf(yaml, sizeof yaml, "%.*s10.0.0.1%s\n", (int)(at - line), line, at + 7);
    config_free(live_config(yaml));
    live_rules_done(&r);
}

/* ---- inputs ---- */

static void inputs(void **state)
{
    (void)state;
    struct live_rules r;
    live_rules_init(&r, "", NULL);
    const struct arrival_rules *a = &r.rules->arrival;
    struct addr own = live_own(), other = frame_addr(1, 2, 3, 4);
    assert_int_equal(a->n_inputs, 3);
    assert_false(a->skip_own[0]);
    assert_true(a->skip_own[1]);
    assert_false(a->skip_own[2]);
    assert_true(addr_set_has(&a->own, &own));
    assert_false(addr_set_has(&a->own, &other));
    assert_ptr_equal(a->inputs[0].own, &a->own);
    assert_null(a->inputs[2].own); /* what comes to a socket is to this host */
    assert_int_equal(a->n_ports, 1);
    assert_int_equal(a->ports[0], 4789);
    assert_string_equal(rules_input_name(r.rules, 1), "eth1");
    assert_string_equal(rules_input_name(r.rules, 3), "udp");
    assert_string_equal(rules_input_name(r.rules, 0), "input");
    assert_string_equal(rules_input_name(r.rules, 99), "input");
    live_rules_done(&r);
    rules_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named),       cmocka_unit_test(strangers),  cmocka_unit_test(overheads),
        cmocka_unit_test(shared),      cmocka_unit_test(parts_stay), cmocka_unit_test(many_parts),
        cmocka_unit_test(admit_lines), cmocka_unit_test(inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
