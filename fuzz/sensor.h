/* A whole pipeline for one input: from frames to log lines that go nowhere. */
#ifndef FUZZ_SENSOR_H
#define FUZZ_SENSOR_H

#include "fuzz/logs.h"
#include "sensor/pipeline.h"
#include "source/network.h"

/* The columns belong to the log files, so each choice of them has its own. */
static inline struct log_writer *sensor_writer(const struct pipeline_options *options)
{
    static struct log_writer *writers[8];
    static struct log_column extra[8][PIPELINE_MAX_EXTRA];
    unsigned choice = options->mirror | options->community_id << 1 | options->ja3 << 2;
    if (!writers[choice]) {
        uint16_t n_extra = pipeline_extra_columns(options, extra[choice]);
        writers[choice] = log_writer_new(logs_open(extra[choice], n_extra));
        if (!writers[choice])
            abort();
    }
    return writers[choice];
}

/* A new one for each input: an input must do the same each time. */
static inline struct pipeline *sensor_start(const struct pipeline_options *options)
{
    static struct network_list *networks;
    struct pipeline_options full = *options;
    struct err err;
    if (!networks && (!(networks = network_list_new()) ||
                      network_list_add(networks, "other=vxlan:1,geneve:2,3", &err) < 0))
        abort();
    full.networks = networks;
    struct pipeline *pipeline = pipeline_new(&full, sensor_writer(options));
    if (!pipeline)
        abort();
    return pipeline;
}

static inline void sensor_end(struct pipeline *pipeline)
{
    pipeline_finish(pipeline);
    pipeline_free(pipeline);
}

#endif
