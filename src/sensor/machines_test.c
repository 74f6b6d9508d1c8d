/* The monitored machines: what two workers' tables say of them together, whom a channel belongs to
 * before and after the rules change, alarms, the order in the snapshot, and what finding costs. */
#include "sensor/live_bed.h"

#include "sensor/machines_parts.h"
#include "source/address_learner.h"

#define N_TABLES 2
#define QUARTER  (SECOND / 4)

struct bed {
    struct live_rules rules;
    struct machines_workers workers;
    struct machines *machines;
    const struct address_book *book; /* what was set last */
    struct snapshot_alarm alarms[200];
    size_t n_alarms;
    int64_t now, ticks;
    struct snapshot seen;
};

static void set_book(void *with, const struct address_book *book)
{
    struct bed *b = with;
    b->book = book;
}

static void take_alarm(void *with, const struct snapshot_alarm *alarm)
{
    struct bed *b = with;
    assert_true(b->n_alarms < 200);
    b->alarms[b->n_alarms++] = *alarm;
}

static struct machines_options options_of(struct bed *b)
{
    const struct rules *rules = b->rules.rules;
    return (struct machines_options){.rules = &rules->arrival.sources,
                                     .networks = rules->arrival.networks,
                                     .want = rules_want,
                                     .admit = rules_admit,
                                     .input_name = rules_input_name,
                                     .with = rules,
                                     .workers = &b->workers,
                                     .alarm = take_alarm,
                                     .alarm_with = b};
}

static void expect_all(struct bed *b)
{
    for (size_t i = 0; i < b->rules.config->n_sources; i++) {
        struct machine_want want;
        struct addr addresses[MACHINE_WANT_ROOM];
        rules_want_configured(b->rules.rules, i, &want, addresses, MACHINE_WANT_ROOM);
        machines_expect(b->machines, &want, b->now);
    }
}

static void set_table_rules(struct bed *b)
{
    const struct arrival_rules *rules = &b->rules.rules->arrival;
    for (unsigned t = 0; t < N_TABLES; t++)
        source_table_set_rules(b->workers.sources[t], &rules->sources, rules->networks);
}

static void bed_open(struct bed *b, const char *yaml)
{
    memset(b, 0, sizeof *b);
    b->now = 1700000000 * SECOND;
    b->ticks = 1000 * SECOND;
    live_rules_init(&b->rules, yaml, NULL);
    b->workers = (struct machines_workers){.n = N_TABLES, .set_book = set_book, .with = b};
    for (unsigned t = 0; t < N_TABLES; t++) {
        b->workers.sources[t] = source_table_new(b->rules.config->network_list);
        b->workers.learners[t] = address_learner_new(MACHINES_MAX);
        b->workers.witnesses[t] = witness_new();
        assert_true(b->workers.sources[t] && b->workers.learners[t] && b->workers.witnesses[t]);
    }
    set_table_rules(b);
    struct machines_options options = options_of(b);
    b->machines = machines_new(&options);
    assert_non_null(b->machines);
    expect_all(b);
}

/* As watch does it when the configuration is read again. */
static void bed_reload(struct bed *b, const char *yaml)
{
    struct live_rules before = b->rules;
    live_rules_init(&b->rules, yaml, before.rules);
    set_table_rules(b);
    struct machines_options options = options_of(b);
    machines_set_options(b->machines, &options);
    live_rules_done(&before);
    expect_all(b);
}

static void bed_close(struct bed *b)
{
    snapshot_done(&b->seen);
    machines_free(b->machines);
    for (unsigned t = 0; t < N_TABLES; t++) {
        source_table_free(b->workers.sources[t]);
        address_learner_free(b->workers.learners[t]);
        witness_free(b->workers.witnesses[t]);
    }
    live_rules_done(&b->rules);
}

static void update(struct bed *b)
{
    b->now += QUARTER;
    b->ticks += QUARTER;
    machines_update(b->machines, b->now, b->ticks);
}

static const struct snapshot *show(struct bed *b)
{
    snapshot_done(&b->seen);
    b->seen = (struct snapshot){.now = 0};
    assert_true(machines_snapshot(b->machines, &b->seen));
    return &b->seen;
}

static const struct snapshot_machine *shown(struct bed *b, const char *name)
{
    const struct snapshot *s = show(b);
    for (size_t i = 0; i < s->n_machines; i++)
        if (strcmp(s->machines[i].name, name) == 0)
            return &s->machines[i];
    return NULL;
}

/* `n` packets of 100 bytes from this sender by VXLAN, at one worker; refused ones are counted so.
 */
static struct source *heard(struct bed *b, unsigned table, uint32_t sender, uint32_t vni,
                            uint64_t n)
{
    struct packet p = {.kind = PACKET_IP, .input = 1, .n_layers = 1, .n_mirror = 1};
    p.layers[0] =
        (struct packet_layer){.decoder = &tunnel_vxlan,
                              .src = frame_addr(10, 9, (uint8_t)(sender >> 8), (uint8_t)sender),
                              .has_id = true,
                              .id = vni};
    p.src = frame_addr(10, 0, 0, (uint8_t)sender);
    struct source_table *sources = b->workers.sources[table];
    struct source *s = source_get(sources, source_of_live(sources, &p));
    assert_non_null(s);
    struct source_counters *c = &s->counters;
    c->last = b->now;
    if (source_is_refused(s)) {
        c->n_refused += n;
        return s;
    }
    c->n_packets += n;
    c->n_bytes += 100 * n;
    c->n_in += n / 2;
    c->n_out += n - n / 2;
    c->n_in_bytes += 100 * (n / 2);
    c->n_out_bytes += 100 * (n - n / 2);
    return s;
}

/* ---- adding up ---- */

static void two_workers(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "sources: [{name: web, channels: [\"vxlan:7@10.9.0.1\", \"vxlan:8@10.9.0.1\"]}]\n"
                 "admit: all\n");
    struct source *one = heard(&b, 0, 1, 7, 10);
    struct source *two = heard(&b, 1, 2, 7, 3); /* another, with number 1 there */
    (void)heard(&b, 1, 1, 7, 20);
    (void)heard(&b, 1, 1, 8, 40);
    one->counters.cut_size = 80;
    one->counters.n_cut = 4;
    one->counters.largest_size = 900;
    update(&b);
    const struct snapshot_machine *web = shown(&b, "web"), *other;
    assert_int_equal(web->n_packets, 70);
    assert_int_equal(web->n_bytes, 7000);
    assert_int_equal(web->n_channels, 2);
    assert_int_equal(web->n_cut, 4);
    assert_int_equal(web->cut_size, 80);
    assert_true(web->configured);
    assert_int_equal(web->first_packet, b.now - QUARTER);
    other = shown(&b, "10.9.0.2/7");
    assert_non_null(other);
    assert_int_equal(other->n_packets, 3);
    assert_false(other->configured);
    assert_int_equal(one->machine, 1); /* the workers are told */
    assert_int_equal(two->machine, 2);
    assert_int_equal(b.seen.n_machines, 2);
    assert_int_equal(b.seen.n_packets, 73);
    assert_int_equal(b.seen.n_bytes, 7300);
    for (unsigned i = 0; i < 8; i++)
        update(&b);
    assert_int_equal(shown(&b, "web")->n_packets, 70); /* once */
    for (unsigned i = 0; i < 40; i++) {
        (void)heard(&b, i % 2, 1, 7, 50);
        update(&b);
    }
    assert_int_equal(shown(&b, "web")->n_packets, 2070);
    double rate = shown(&b, "web")->packets_per_second;
    assert_true(rate > 199 && rate < 201);
    (void)heard(&b, 0, 1, 7, 1);
    machines_add_up(b.machines, b.now);
    assert_int_equal(shown(&b, "web")->n_packets, 2071);
    assert_non_null(b.book);
    bed_close(&b);
}

static void expected(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "sources: [{name: web, channel: \"7\"}, {name: db, channel: \"8\"}]\n");
    update(&b);
    assert_int_equal(show(&b)->n_machines, 2); /* before they are heard */
    assert_int_equal(shown(&b, "db")->n_channels, 0);
    (void)heard(&b, 0, 1, 8, 5);
    (void)heard(&b, 0, 2, 9, 6); /* a stranger */
    (void)heard(&b, 1, 2, 9, 1);
    (void)heard(&b, 1, 3, 9, 50);
    update(&b);
    assert_int_equal(show(&b)->n_machines, 2);
    assert_int_equal(shown(&b, "db")->n_packets, 5);
    assert_int_equal(b.seen.n_refused, 2);
    assert_int_equal(b.seen.refused[0].n_packets, 50); /* who sends most */
    assert_int_equal(b.seen.refused[1].n_packets, 7);
    assert_string_equal(b.seen.refused[1].admit,
                        "sources: [{name: NAME, channel: \"vxlan:9@10.9.0.2\"}]");
    assert_string_equal(b.seen.refused[1].channel.encapsulation, "vxlan");
    bed_close(&b);
}

/* A shared channel is its machines'; what is nobody's in it is a stranger's, not a machine. */
static void shared(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "sources:\n  - {name: web, addresses: [10.0.0.1]}\n"
                 "  - {name: db, addresses: [10.0.0.2]}\n");
    struct packet p = {.kind = PACKET_IP, .input = 1, .n_layers = 1, .n_mirror = 1};
    p.layers[0] = (struct packet_layer){
        .decoder = &tunnel_vxlan, .src = frame_addr(10, 9, 0, 1), .has_id = true, .id = 7};
    for (uint8_t i = 1; i <= 3; i++) {
        p.src = frame_addr(10, 0, 0, i);
        struct source *s =
            source_get(b.workers.sources[0], source_of_live(b.workers.sources[0], &p));
        if (source_is_refused(s))
            s->counters.n_refused += 7;
        else
            s->counters.n_packets += i;
    }
    update(&b);
    assert_int_equal(show(&b)->n_machines, 2);
    assert_int_equal(shown(&b, "web")->n_packets, 1);
    assert_int_equal(shown(&b, "db")->n_packets, 2);
    assert_int_equal(b.seen.n_refused, 1);
    assert_int_equal(b.seen.refused[0].n_packets, 7);
    bed_close(&b);
}

/* ---- rules change ---- */

static void renamed(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "sources: [{name: old, channel: \"7\"}, {name: db, channel: \"8\"}]\n");
    for (unsigned i = 0; i < 20; i++) {
        (void)heard(&b, 0, 1, 7, 100);
        (void)heard(&b, 1, 1, 8, 10);
        update(&b);
    }
    bed_reload(&b, "sources: [{name: db, channel: \"8\"}, {name: new, channel: \"7\"}]\n");
    for (unsigned i = 0; i < 20; i++) {
        struct source *s = heard(&b, 0, 1, 7, 100);
        (void)heard(&b, 1, 1, 8, 10);
        update(&b);
        assert_int_equal(s->machine, 3);
    }
    assert_null(shown(&b, "old"));
    assert_int_equal(shown(&b, "new")->n_packets, 2000); /* its own, not its forerunner's */
    assert_int_equal(shown(&b, "db")->n_packets, 400);   /* as if nothing had happened */
    assert_int_equal(show(&b)->n_packets, 4400);
    double rate = shown(&b, "new")->packets_per_second;
    assert_true(rate > 399 && rate < 401);
    for (unsigned i = 0; i < 4 * 600; i++) { /* nobody misses the one that is gone */
        (void)heard(&b, 0, 1, 7, 100);
        (void)heard(&b, 1, 1, 8, 10);
        update(&b);
    }
    for (size_t i = 0; i < b.n_alarms; i++)
        assert_string_not_equal(b.alarms[i].machine, "old");

    bed_reload(&b, "sources: [{name: old, channel: \"7\"}, {name: db, channel: \"8\"}]\n");
    (void)heard(&b, 0, 1, 7, 1);
    update(&b);
    assert_int_equal(shown(&b, "old")->n_packets, 2001); /* it is the same again */
    assert_null(shown(&b, "new"));
    bed_close(&b);
}

static void refused_later(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "admit: all\n");
    (void)heard(&b, 0, 1, 7, 100);
    (void)heard(&b, 1, 1, 7, 100);
    update(&b);
    assert_int_equal(shown(&b, "10.9.0.1/7")->n_packets, 200);
    bed_reload(&b, "admit: configured\n");
    struct source *s = heard(&b, 0, 1, 7, 30);
    update(&b);
    assert_int_equal(s->machine, 0);
    assert_null(shown(&b, "10.9.0.1/7"));
    assert_int_equal(b.seen.n_refused, 1);
    assert_int_equal(b.seen.refused[0].n_packets, 30);
    assert_int_equal(b.seen.n_packets, 200); /* they were there */
    bed_reload(&b, "admit: all\n");
    (void)heard(&b, 0, 1, 7, 5);
    update(&b);
    assert_int_equal(shown(&b, "10.9.0.1/7")->n_packets, 205);
    assert_int_equal(b.seen.n_refused, 0);
    bed_close(&b);
}

/* ---- sequence numbers ---- */

static void lost(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "admit: all\n");
    struct packet p = {.kind = PACKET_IP, .input = 1, .n_layers = 1, .n_mirror = 1};
    p.layers[0] = (struct packet_layer){
        .decoder = &tunnel_gre, .src = frame_addr(10, 9, 0, 1), .has_seq = true, .seq = 0xfffffff0};
    for (unsigned i = 0; i < 40; i++) {
        for (unsigned k = 0; k < 10; k++) {
            struct source_table *table = b.workers.sources[(i + k) % N_TABLES];
            p.ts = b.now + k;
            p.layers[0].seq += i == 20 && k == 5 ? 13 : 1;
            struct source *s = source_get(table, source_of_live(table, &p));
            s->counters.n_packets++;
            source_look_at_seq(s, &p);
        }
        update(&b);
    }
    assert_int_equal(shown(&b, "10.9.0.1")->n_lost, 12);
    bed_close(&b);
}

/* ---- alarms and order ---- */

/* Many that were busy stop: an alarm for each, of which the latest are kept, newest first. */
static void alarms(void **state)
{
    (void)state;
    enum { N = 40 };
    struct bed b;
    bed_open(&b, "admit: all\ncanary: {enabled: false}\n");
    for (unsigned i = 0; i < 4 * 300; i++) {
        for (uint32_t k = 0; k < N; k++)
            (void)heard(&b, i % 2, k, 7, 200);
        update(&b);
    }
    assert_int_equal(b.n_alarms, 0);
    for (unsigned i = 0; i < 4 * 3600 && b.n_alarms < N; i++) {
        (void)heard(&b, 0, 200, 7, 200); /* something comes from somebody */
        update(&b);
    }
    assert_int_equal(b.n_alarms, N);
    const struct snapshot *s = show(&b);
    assert_int_equal(s->n_alarms, MACHINES_ALARMS);
    for (size_t i = 0; i < s->n_alarms; i++) {
        assert_string_equal(s->alarms[i].machine, b.alarms[N - 1 - i].machine);
        assert_string_equal(s->alarms[i].text, b.alarms[N - 1 - i].text);
        assert_non_null(strstr(s->alarms[i].text, s->alarms[i].machine));
    }
    /* The bad ones first, by their names. */
    assert_int_equal(s->n_machines, N + 1);
    for (size_t i = 1; i < s->n_machines; i++) {
        const struct snapshot_machine *a = &s->machines[i - 1], *z = &s->machines[i];
        assert_true(a->is_bad >= z->is_bad);
        if (a->is_bad == z->is_bad && a->state == z->state)
            assert_true(strcmp(a->name, z->name) < 0);
    }
    assert_false(s->machines[N].is_bad);
    size_t before = b.n_alarms;
    for (unsigned i = 0; i < 4 * 120; i++) { /* one comes back: all clear */
        (void)heard(&b, 0, 3, 7, 200);
        update(&b);
    }
    assert_int_equal(b.n_alarms, before + 1);
    assert_string_equal(b.alarms[before].machine, "10.9.0.3/7");
    assert_string_equal(show(&b)->alarms[0].machine, "10.9.0.3/7");
    bed_close(&b);
}

/* ---- what it costs ---- */

/* As many channels as a table has, at both workers: each is compared with a few others. */
static void many(void **state)
{
    (void)state;
    enum { N = 16384 };
    struct bed b;
    bed_open(&b, "admit: all\n");
    for (unsigned t = 0; t < N_TABLES; t++)
        for (uint32_t i = 0; i < N; i++)
            (void)heard(&b, t, i, 7, 1);
    machines_add_up(b.machines, b.now);
    assert_int_equal(b.machines->n_channels, N);
    assert_int_equal(b.machines->n_machines, N);
    assert_true(b.machines->n_compared < 4 * N);
    uint64_t before = b.machines->n_compared;
    bed_reload(&b, "admit: all\nsources: [{name: web, channel: \"vxlan:7@10.9.0.1\"}]\n");
    machines_add_up(b.machines, b.now);
    assert_true(b.machines->n_compared - before < 8 * N);
    for (uint32_t i = 0; i < N; i += 97) { /* each of them is found as itself */
        struct source *s = heard(&b, i % 2, i, 7, 0);
        char name[32];
        (void)snprintf(name, sizeof name, "10.9.%u.%u/7", i >> 8, i & 255);
        assert_string_equal(b.machines->machines[s->machine - 1].name, name);
        assert_int_equal(b.machines->machines[s->machine - 1].sum.n_packets, 2);
    }
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_workers), cmocka_unit_test(expected),      cmocka_unit_test(shared),
        cmocka_unit_test(renamed),     cmocka_unit_test(refused_later), cmocka_unit_test(lost),
        cmocka_unit_test(alarms),      cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
