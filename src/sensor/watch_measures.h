/* What a running watch has measured at a time, and the rows of stats.log and capture_loss.log that
 * two such times make. */
#ifndef SENSOR_WATCH_MEASURES_H
#define SENSOR_WATCH_MEASURES_H

#include "log/measures.h"
#include "sensor/pipeline.h"

/* Totals since the start, but for what is "now". */
struct watch_measured {
    int64_t ts;                        /* ns since the epoch */
    struct pipeline_counters counters; /* of all workers */
    uint64_t n_bytes, n_kernel_dropped, n_records;
    uint64_t memory; /* bytes, the most so far (as Zeek's) */
    int64_t lag;     /* ns, now */
    bool has_filter;
};

struct stats_row watch_stats_row(const struct watch_measured *before,
                                 const struct watch_measured *now);
struct capture_loss_row watch_loss_row(const struct watch_measured *before,
                                       const struct watch_measured *now);

#endif
