/* A whole pipeline for one input: from frames to log lines, in a folder of the memory file system. */
#ifndef FUZZ_SENSOR_H
#define FUZZ_SENSOR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log/record.h"
#include "sensor/pipeline.h"

#define SENSOR_INPUTS_A_SET 2000 /* then the logs are made anew, so that they stay small */

static char sensor_folder[64];

static inline void sensor_remove_logs(void)
{
    DIR *folder = opendir(sensor_folder);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    (void)rmdir(sensor_folder);
}

struct sensor {
    struct log_set *set;
    struct log_writer *writer;
    struct pipeline *pipeline;
};

static inline void sensor_close_logs(struct log_set **set, struct log_writer **writer)
{
    struct err err;
    log_writer_free(*writer);
    if (*set && log_set_close(*set, &err) < 0)
        abort();
    *set = NULL;
    *writer = NULL;
}

/* The pipeline is new for each input; the log files are kept for many. */
static inline struct sensor sensor_start(const struct pipeline_options *options)
{
    static struct log_set *set;
    static struct log_writer *writer;
    static struct log_column extra[PIPELINE_MAX_EXTRA];
    static unsigned n_inputs;
    static bool had_community_id, had_ja3, had_ja4, had_mirror;

    /* The columns belong to the log files. */
    bool other = had_community_id != options->community_id || had_ja3 != options->ja3 ||
                 had_ja4 != options->ja4 || had_mirror != options->mirror;
    if (set && (other || n_inputs++ % SENSOR_INPUTS_A_SET == 0))
        sensor_close_logs(&set, &writer);
    if (!set) {
        if (!sensor_folder[0]) {
            snprintf(sensor_folder, sizeof(sensor_folder), "/dev/shm/cloudspan-fuzz-%d",
                     (int)getpid());
            if (atexit(sensor_remove_logs) != 0)
                abort();
        }
        struct log_set_options logs = {.folder = sensor_folder, .extra = extra};
        logs.n_extra = pipeline_extra_columns(options, extra);
        struct err err;
        if (log_set_open(&logs, &set, &err) < 0 || !(writer = log_writer_new(set)))
            abort();
        had_community_id = options->community_id;
        had_ja3 = options->ja3;
        had_ja4 = options->ja4;
        had_mirror = options->mirror;
    }
    struct sensor sensor = {.set = set, .writer = writer};
    sensor.pipeline = pipeline_new(options, writer);
    if (!sensor.pipeline)
        abort();
    return sensor;
}

static inline void sensor_frame(struct sensor *sensor, const struct frame *frame)
{
    pipeline_frames(sensor->pipeline, frame, 1);
}

static inline void sensor_end(struct sensor *sensor)
{
    pipeline_finish(sensor->pipeline);
    pipeline_free(sensor->pipeline);
}

#endif
