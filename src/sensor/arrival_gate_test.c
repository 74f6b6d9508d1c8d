/* Live packets of senders that are not admitted, and of machines that give way: what is counted,
 * and that connections are kept or left out as a whole. */
#include "sensor/arrival.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/tunnel.h"

#define N_INPUTS 3

static void describe(const void *with, struct source *source)
{
    (void)with;
    source->is_refused = source->outer.b[15] >= 100;
}

struct bed {
    bool flags[N_INPUTS];
    uint8_t gated[N_INPUTS];
    struct stack_options inputs[N_INPUTS];
    struct arrival_rules rules;
    struct arrival_gate gate;
    struct steer_key key;
    struct arrival arrival;
};

static void bed_open(struct bed *bed)
{
    *bed = (struct bed){.gated = {ARRIVAL_UNGATED, ARRIVAL_GATED, ARRIVAL_GATED_RING},
                        .gate = {.since = 1000, .until = 2000, .one_in = 64}};
    bed->rules = (struct arrival_rules){.sources = {.describe = describe},
                                        .inputs = bed->inputs,
                                        .n_inputs = N_INPUTS,
                                        .skip_own = bed->flags,
                                        .drop_vlan = bed->flags,
                                        .gated = bed->gated};
    steer_key_init(&bed->key, 5);
    bed->arrival = (struct arrival){.rules = &bed->rules,
                                    .sources = source_table_new(NULL),
                                    .gate = &bed->gate,
                                    .steer_key = &bed->key};
    assert_non_null(bed->arrival.sources);
    source_table_set_rules(bed->arrival.sources, &bed->rules.sources, NULL);
}

static struct packet mirrored(uint8_t sender, uint16_t input, int64_t ts)
{
    return (struct packet){
        .ts = ts,
        .kind = PACKET_IP,
        .input = input,
        .ip_proto = 6,
        .src = addr_v4((const uint8_t[]){10, 0, 0, 1}),
        .dst = addr_v4((const uint8_t[]){10, 0, 0, 2}),
        .n_layers = 1,
        .n_mirror = 1,
        .layers = {{.decoder = &tunnel_vxlan,
                    .src = addr_v4((const uint8_t[]){192, 0, 2, sender}),
                    .has_id = true,
                    .id = 7}},
    };
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        uint16_t input;
        int64_t ts;
        bool geneve, reassembled;
        uint64_t weight;
    } rows[] = {
        {2, 999, false, false, 1},  {2, 1000, false, false, 64}, {2, 1999, true, true, 64},
        {2, 2000, false, false, 1}, {1, 1500, false, false, 1},  {3, 1500, false, false, 64},
        {3, 1500, true, false, 1},  {3, 1500, false, true, 1},   {0, 1500, false, false, 1},
    };
    static struct bed bed;
    bed_open(&bed);
    uint64_t sum = 0, guessed = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct packet packet = mirrored(100, rows[i].input, rows[i].ts);
        struct arrival_found found;
        packet.reassembled = rows[i].reassembled;
        if (rows[i].geneve)
            packet.layers[0].decoder = &tunnel_geneve;
        assert_false(arrival_accept(&bed.arrival, &packet, &found));
        sum += rows[i].weight;
        guessed += rows[i].weight - 1;
        assert_int_equal(bed.arrival.counters.n_refused, sum);
        assert_int_equal(bed.arrival.counters.n_guessed, guessed);
    }
    uint64_t by_channel = 0;
    for (uint16_t i = 1; i <= source_count(bed.arrival.sources); i++)
        by_channel += source_get(bed.arrival.sources, i)->counters.n_refused;
    assert_int_equal(by_channel, sum);
    source_table_free(bed.arrival.sources);
}

/* More of them than there is room for are counted as much. */
static void test_too_many(void **state)
{
    (void)state;
    static struct bed bed;
    bed_open(&bed);
    for (uint32_t i = 0; i < 4000; i++) {
        struct packet packet = mirrored(100, 2, 1500);
        struct arrival_found found;
        packet.layers[0].id = i;
        assert_false(arrival_accept(&bed.arrival, &packet, &found));
    }
    const struct arrival_counters *c = &bed.arrival.counters;
    assert_true(c->n_unknown > 0);
    assert_int_equal(c->n_refused + c->n_unknown, 4000 * 64);
    assert_int_equal(c->n_guessed, 4000 * 63);
    source_table_free(bed.arrival.sources);
}

/* Both directions of each, and those that are kept of fewer are kept of more, too. */
static void test_kept(void **state)
{
    (void)state;
    static struct bed bed;
    bed_open(&bed);
    static bool was[4096];
    struct packet first = mirrored(1, 2, 0);
    struct arrival_found found;
    assert_true(arrival_accept(&bed.arrival, &first, &found));
    struct source *source = source_get(bed.arrival.sources, found.source);
    static const uint16_t keeps[] = {1, 64, 128, 224, 0};
    for (size_t k = 0; k < sizeof keeps / sizeof *keeps; k++) {
        source->keep = keeps[k];
        source->counters = (struct source_counters){.n_packets = 0};
        unsigned n = 0;
        for (unsigned i = 0; i < 4096; i++) {
            struct packet there = mirrored(1, 2, 5), back = there;
            there.sport = back.dport = (uint16_t)(1000 + i);
            there.dport = back.sport = 443;
            back.src = there.dst;
            back.dst = there.src;
            bool kept = arrival_accept(&bed.arrival, &there, &found);
            assert_int_equal(arrival_accept(&bed.arrival, &back, &found), kept);
            assert_true(kept || !was[i]);
            was[i] = kept;
            n += kept;
        }
        unsigned wanted = 16u * (keeps[k] ? keeps[k] : 256);
        assert_in_range(n, wanted - wanted / 8 - (wanted < 100 ? 12 : 0) * (wanted < 4096),
                        wanted < 4096 ? wanted + wanted / 8 + 20 : 4096);
        assert_int_equal(source->counters.n_packets, 2 * n);
        assert_int_equal(source->counters.n_left_out, 2 * (4096 - n));
    }
    /* What is no connection is left out by turns. */
    source->keep = 64;
    unsigned n = 0;
    for (unsigned i = 0; i < 4096; i++) {
        struct packet packet = mirrored(1, 2, 5);
        packet.kind = PACKET_OTHER;
        n += arrival_accept(&bed.arrival, &packet, &found);
    }
    assert_in_range(n, 900, 1150);
    source_table_free(bed.arrival.sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
