/* Channels: found again by their keys, described by rules, shared ones taken apart, as many as fit;
 * and what the mirror's sequence numbers say when several workers see some of them each. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "source/source.h"
#include "tunnel/tunnel.h"

static struct packet mirrored(uint32_t sender, uint32_t id)
{
    struct packet p = {.kind = PACKET_IP, .input = 1, .n_layers = 1, .n_mirror = 1};
    uint8_t b[4] = {10, (uint8_t)(sender >> 16), (uint8_t)(sender >> 8), (uint8_t)sender};
    p.layers[0] = (struct packet_layer){
        .decoder = &tunnel_vxlan, .src = addr_v4(b), .has_id = true, .id = id};
    return p;
}

static struct packet plain(uint16_t input)
{
    return (struct packet){.kind = PACKET_IP, .input = input};
}

/* ---- rules ---- */

struct law {
    uint32_t refused_from; /* ids from here on are not admitted */
    uint32_t shared;       /* the id of a shared channel */
    bool refuses_rest;
    unsigned n_described;
};

static void describe(const void *with, struct source *source)
{
    struct law *law = (struct law *)(uintptr_t)with;
    law->n_described++;
    source->is_refused = source->decoder && source->id >= law->refused_from;
    source->is_shared = source->part == 0 && source->has_id && source->id == law->shared;
    source->refuses_rest = source->is_shared && law->refuses_rest;
    (void)snprintf(source->name, sizeof source->name, "%s%u", source->decoder ? "id" : "input",
                   source->decoder ? source->id : source->input);
}

/* By the destination's port, where it is below 1000. */
static uint16_t part(const void *with, const struct source *channel, const struct packet *packet)
{
    (void)with;
    assert_true(channel->is_shared);
    return packet->dport < 1000 ? packet->dport : 0;
}

static struct source_rules rules_of(const struct law *law)
{
    return (struct source_rules){.with = law, .describe = describe, .part = part};
}

static void keys(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(NULL);
    struct packet a = mirrored(1, 7), b = mirrored(1, 8), c = mirrored(2, 7), d = mirrored(1, 7);
    d.layers[0].decoder = &tunnel_geneve;
    struct packet one = plain(1), two = plain(2);
    struct packet *all[] = {&a, &b, &c, &d, &one, &two};
    for (unsigned round = 0; round < 3; round++)
        for (uint16_t i = 0; i < 6; i++)
            assert_int_equal(source_of_live(table, all[i]), i + 1);
    a.input = 2; /* of what is encapsulated it does not matter */
    assert_int_equal(source_of_live(table, &a), 1);
    assert_int_equal(source_of(table, &one), 0);
    assert_int_equal(source_count(table), 6);
    assert_int_equal(source_count_shared(table), 6);
    assert_string_equal(source_get(table, 1)->name, "10.0.0.1/7");
    assert_string_equal(source_get(table, 6)->name, "input 2");
    assert_null(source_get(table, 0));
    source_table_free(table);
}

/* The inner of two layers is the machine's, the outer a balancer's. */
static void innermost_layer(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(NULL);
    struct packet p = mirrored(1, 7);
    p.n_layers = p.n_mirror = 2;
    p.layers[1] = p.layers[0];
    p.layers[1].id = 9;
    const struct source *s = source_get(table, source_of_live(table, &p));
    assert_int_equal(s->id, 9);
    source_table_free(table);
}

static void described_again(void **state)
{
    (void)state;
    struct law law = {.refused_from = 5}, later = {.refused_from = 3};
    struct source_rules rules = rules_of(&law), rules_later = rules_of(&later);
    struct source_table *table = source_table_new(NULL);
    source_table_set_rules(table, &rules, NULL);
    for (uint32_t id = 1; id < 9; id++) {
        struct packet p = mirrored(1, id);
        const struct source *s = source_get(table, source_of_live(table, &p));
        assert_int_equal(s->is_refused, id >= 5);
        assert_int_equal(source_is_refused(s), id >= 5);
    }
    assert_int_equal(law.n_described, 8);
    source_get(table, 1)->counters.n_packets = 77;
    source_get(table, 1)->machine = 4;
    source_table_set_rules(table, &rules_later, NULL);
    assert_int_equal(later.n_described, 8);
    for (uint16_t i = 1; i < 9; i++)
        assert_int_equal(source_get(table, i)->is_refused, i >= 3);
    assert_int_equal(source_get(table, 1)->counters.n_packets, 77);
    assert_int_equal(source_get(table, 1)->machine, 4);
    source_table_free(table);
}

static void shared(void **state)
{
    (void)state;
    struct law law = {.refused_from = 50, .shared = 7, .refuses_rest = true};
    struct source_rules rules = rules_of(&law);
    struct source_table *table = source_table_new(NULL);
    source_table_set_rules(table, &rules, NULL);
    struct packet p = mirrored(1, 7);
    p.dport = 5000;
    assert_int_equal(source_of_live(table, &p), 1);
    assert_true(source_is_refused(source_get(table, 1)));
    for (uint16_t round = 0; round < 2; round++)
        for (uint16_t port = 1; port < 20; port++) {
            p.dport = port;
            assert_int_equal(source_of_live(table, &p), 1 + port);
            const struct source *s = source_get(table, (uint16_t)(1 + port));
            assert_int_equal(s->part, port);
            assert_int_equal(s->whole, 1);
            assert_int_equal(s->id, 7);
            assert_false(source_is_refused(s));
        }
    struct packet other = mirrored(1, 8);
    assert_int_equal(source_of_live(table, &other), 21);
    assert_int_equal(source_get(table, 21)->whole, 0);
    source_table_free(table);
}

/* ---- limits ---- */

#define MAX_SOURCES 16384
#define MAX_REFUSED 2048

/* Strangers have their share of the table and no more, also when rules have made more of them. */
static void strangers(void **state)
{
    (void)state;
    struct law law = {.refused_from = 1000}, strict = {.refused_from = 0};
    struct source_rules rules = rules_of(&law), rules_strict = rules_of(&strict);
    struct source_table *table = source_table_new(NULL);
    source_table_set_rules(table, &rules, NULL);
    for (uint32_t sender = 0; sender < 2 * MAX_REFUSED; sender++) {
        struct packet p = mirrored(sender, 1000);
        assert_int_equal(source_of_live(table, &p) > 0, sender < MAX_REFUSED);
    }
    assert_int_equal(source_refused(table), MAX_REFUSED);
    for (uint32_t sender = 0; sender < MAX_SOURCES; sender++) {
        struct packet p = mirrored(sender, 1);
        assert_int_equal(source_of_live(table, &p) > 0, sender < MAX_SOURCES - MAX_REFUSED);
    }
    assert_int_equal(source_count(table), MAX_SOURCES);
    for (uint32_t sender = 0; sender < MAX_SOURCES - MAX_REFUSED; sender++) {
        struct packet p = mirrored(sender, 1); /* all of them are still found */
        assert_int_equal(source_of_live(table, &p), MAX_REFUSED + 1 + sender);
    }
    source_table_free(table);

    table = source_table_new(NULL);
    source_table_set_rules(table, &rules, NULL);
    for (uint32_t sender = 0; sender < MAX_REFUSED + 100; sender++) {
        struct packet p = mirrored(sender, 1);
        assert_true(source_of_live(table, &p) > 0);
    }
    source_table_set_rules(table, &rules_strict, NULL); /* now all of these are strangers */
    struct packet p = mirrored(1 << 20, 1);
    assert_int_equal(source_of_live(table, &p), 0);
    assert_int_equal(source_refused(table), 1);
    source_table_set_rules(table, &rules, NULL);
    assert_true(source_of_live(table, &p) > 0);
    source_table_free(table);
}

/* ---- sequence numbers ---- */

#define N_WORKERS 3

struct numbered {
    struct source channel[N_WORKERS];
    struct source_seq seq;
    uint32_t next; /* of the sender */
    int64_t now;
};

static void give_number(struct numbered *n, unsigned worker, uint32_t number)
{
    struct packet p = {.kind = PACKET_IP, .ts = n->now++, .n_layers = 1, .n_mirror = 1};
    p.layers[0] = (struct packet_layer){.decoder = &tunnel_gre, .has_seq = true, .seq = number};
    source_look_at_seq(&n->channel[worker], &p);
}

static void give(struct numbered *n, unsigned worker, uint32_t many)
{
    for (uint32_t i = 0; i < many; i++)
        give_number(n, worker, n->next++);
}

static uint64_t look(struct numbered *n)
{
    source_seq_begin(&n->seq);
    for (unsigned i = 0; i < N_WORKERS; i++)
        source_seq_add(&n->seq, &n->channel[i].counters);
    source_seq_end(&n->seq);
    return source_seq_lost(&n->seq);
}

/* Once all is counted. */
static uint64_t lost(struct numbered *n)
{
    for (unsigned i = 0; i < SOURCE_SEQ_SETTLE; i++)
        (void)look(n);
    return look(n);
}

static uint64_t reordered(const struct numbered *n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < N_WORKERS; i++)
        sum += n->channel[i].counters.n_reordered;
    return sum;
}

static void seq_loss(void **state)
{
    (void)state;
    static const uint32_t begins[] = {0, 1, 0x7fffff00u, 0xfffff000u, 0xffffffffu};
    for (unsigned k = 0; k < sizeof begins / sizeof *begins; k++) {
        struct numbered n = {.next = begins[k], .now = 1};
        give(&n, 0, 10);
        assert_int_equal(look(&n), 0);
        for (unsigned round = 0; round < 100; round++) { /* past the wrap as well */
            give(&n, round % N_WORKERS, 50 + round);
            give(&n, (round + 1) % N_WORKERS, 1);
            assert_int_equal(look(&n), 0);
        }
        n.next += 17;
        give(&n, 2, 5);
        assert_true(look(&n) <= 17);
        assert_int_equal(lost(&n), 17);
        n.next += 3;
        give(&n, 1, 1);
        assert_int_equal(lost(&n), 20);
        assert_int_equal(reordered(&n), 0);
    }
}

/* One worker hardly ever gets a packet: its numbers are far from one another, and nothing is lost.
 */
static void seq_rare_worker(void **state)
{
    (void)state;
    struct numbered n = {.next = 0xfff00000u, .now = 1};
    give(&n, 0, 5);
    (void)look(&n);
    for (unsigned round = 0; round < 40; round++) {
        give(&n, 0, 60000);
        if (round % 5 == 0)
            give(&n, 1, 1);
        if (round == 20) /* one that never had any, after the wrap */
            give(&n, 2, 1);
        assert_int_equal(look(&n), 0);
    }
    assert_int_equal(lost(&n), 0);
    n.next += 1000;
    give(&n, 1, 1);
    assert_int_equal(lost(&n), 1000);
}

/* What a worker has still in its queue is no loss, for however long each of them lags. */
static void seq_lag(void **state)
{
    (void)state;
    struct numbered n = {.next = 5, .now = 1};
    uint32_t queued[400], n_queued = 0;
    give(&n, 0, 100);
    (void)look(&n);
    for (unsigned round = 0; round < 60; round++) {
        while (n_queued < 20 * (round % 4))
            queued[n_queued++] = n.next++;
        give(&n, 0, 1000);
        assert_int_equal(look(&n), 0);
        if (round % 4 == 3)
            for (; n_queued > 0; n_queued--)
                give_number(&n, 1, queued[n_queued - 1]);
    }
    assert_int_equal(lost(&n), 0);
}

static void seq_restart(void **state)
{
    (void)state;
    static const uint32_t heights[] = {50, 5000, 200000, 0x90000000u, 0xf8000000u};
    for (unsigned k = 0; k < sizeof heights / sizeof *heights; k++) {
        struct numbered n = {.next = heights[k], .now = 1};
        give(&n, 0, 100);
        give(&n, 1, 100);
        (void)look(&n);
        n.next += 4;
        give(&n, 1, 10);
        assert_int_equal(lost(&n), 4);
        n.next = 0; /* it began anew */
        for (unsigned round = 0; round < 20; round++) {
            give(&n, round % 2, 100);
            (void)look(&n);
        }
        assert_int_equal(lost(&n), 4);
        n.next += 9000;
        give(&n, 0, 200000 / 2);
        /* So early that its numbers look late, it is taken for less; never for more. */
        assert_in_range(lost(&n), heights[k] < 100000 ? 4 : 9004, 9004);
    }
}

static void seq_order(void **state)
{
    (void)state;
    struct numbered n = {.next = 1000, .now = 1};
    give(&n, 0, 10);
    (void)look(&n);
    for (uint32_t i = 0; i < 100; i++) { /* in pairs, the later first */
        give_number(&n, 0, n.next + 1);
        give_number(&n, 0, n.next);
        n.next += 2;
    }
    assert_int_equal(lost(&n), 0);
    assert_int_equal(reordered(&n), 100);
    give_number(&n, 0, n.next - 1); /* the same again is neither */
    assert_int_equal(reordered(&n), 100);
    struct packet bare = {.kind = PACKET_IP};
    struct source before = n.channel[0];
    source_look_at_seq(&n.channel[0], &bare);
    bare.n_layers = bare.n_mirror = 1; /* without numbers */
    source_look_at_seq(&n.channel[0], &bare);
    assert_memory_equal(&before, &n.channel[0], sizeof before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(innermost_layer),
        cmocka_unit_test(described_again),
        cmocka_unit_test(shared),
        cmocka_unit_test(strangers),
        cmocka_unit_test(seq_loss),
        cmocka_unit_test(seq_rare_worker),
        cmocka_unit_test(seq_lag),
        cmocka_unit_test(seq_restart),
        cmocka_unit_test(seq_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
