/* What is added up of all channels: of more machines than there is room for, and of those that new
 * rules refuse. Nobody sends to the workers, so their tables are this test's. */
#include "sensor/machines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/record_bed.h"
#include "sensor/snapshot.h"
#include "sensor/workers.h"
#include "source/network.h"
#include "tunnel/tunnel.h"

#define N_WORKERS 2
#define SECOND    1000000000ll

struct bed {
    struct log_bed logs;
    struct network_list *networks;
    struct arrival_rules rules;
    struct source_rules admits;
    bool refuses;
    struct workers *workers;
    struct machines_options options;
    struct machines *machines;
    int64_t now;
};

static void describe(const void *with, struct source *source)
{
    const struct bed *bed = with;
    source->is_refused = bed->refuses;
}

static void bed_open(struct bed *bed)
{
    struct err err;
    struct log_column extra[PIPELINE_MAX_EXTRA];
    *bed = (struct bed){.networks = network_list_new(), .now = 1700000000 * SECOND};
    struct workers_options options = {
        .n_workers = N_WORKERS,
        .pipeline = {.mirror = true, .networks = bed->networks, .memory = 16u << 20},
        .rules = &bed->rules,
        .max_machine = MACHINES_MAX,
    };
    log_bed_open(&bed->logs, LOG_FORMAT_TSV, extra,
                 pipeline_extra_columns(&options.pipeline, extra));
    bed->admits = (struct source_rules){.with = bed, .describe = describe};
    bed->rules = (struct arrival_rules){.sources = bed->admits};
    options.logs = bed->logs.set;
    if (workers_start(&options, &bed->workers, &err) < 0)
        fail_msg("%s", err.text);
    bed->options = (struct machines_options){
        .rules = &bed->admits, .networks = bed->networks, .workers = bed->workers};
    bed->machines = machines_new(&bed->options);
    assert_non_null(bed->machines);
}

static void bed_close(struct bed *bed)
{
    struct pipeline_counters counters;
    struct arrival_counters arrival;
    workers_stop(bed->workers, &counters, &arrival);
    machines_free(bed->machines);
    network_list_free(bed->networks);
    log_bed_close(&bed->logs);
    log_bed_remove(&bed->logs);
}

static void hear(struct bed *bed, unsigned worker, uint8_t sender, uint32_t id)
{
    struct packet packet = {
        .kind = PACKET_IP,
        .n_layers = 1,
        .n_mirror = 1,
        .layers = {{.decoder = &tunnel_vxlan,
                    .src = addr_v4((const uint8_t[]){192, 0, 2, sender}),
                    .has_id = true,
                    .id = id}},
    };
    struct source_table *table = workers_sources(bed->workers, worker);
    struct source *source = source_get(table, source_of(table, &packet));
    assert_non_null(source);
    source->counters.n_packets++;
    source->counters.n_bytes += 100;
    source->counters.last = bed->now;
}

static void check(struct bed *bed, size_t n_machines, uint64_t n_packets)
{
    struct snapshot shown = {.now = 0};
    bed->now += SECOND;
    machines_update(bed->machines, bed->now, bed->now);
    assert_true(machines_snapshot(bed->machines, &shown));
    assert_int_equal(shown.n_machines, n_machines);
    assert_int_equal(shown.n_packets, n_packets);
    assert_int_equal(shown.n_bytes, 100 * n_packets);
    snapshot_done(&shown);
}

static void test_too_many(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed);
    for (uint32_t id = 0; id < 12000; id++) {
        hear(&bed, 0, 1, id);
        hear(&bed, 1, 1, id); /* the same machine */
        hear(&bed, 1, 2, id / 3);
    }
    check(&bed, 16000, 36000);
    for (uint32_t id = 0; id < 4000; id++)
        hear(&bed, 0, 3, id);
    check(&bed, MACHINES_MAX, 40000);
    machines_set_options(bed.machines, &bed.options); /* the same again */
    check(&bed, MACHINES_MAX, 40000);
    bed_close(&bed);
}

static void test_refused_later(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed);
    hear(&bed, 0, 1, 7);
    hear(&bed, 1, 1, 7);
    check(&bed, 1, 2);
    bed.refuses = true;
    machines_set_options(bed.machines, &bed.options);
    check(&bed, 1, 2);
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_refused_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
