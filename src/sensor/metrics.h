/* Snapshots for Prometheus: the text exposition format 0.0.4. The families and their help are the
 * table in metrics.c.
 *
 * Only machines of the configuration have their names in labels; all others are summed under
 * source="unknown", so that a stranger who sends cannot make series. Machines of one name (in
 * several networks) are one series: sums, the latest packet, the gravest state. */
#ifndef SENSOR_METRICS_H
#define SENSOR_METRICS_H

#include "sensor/snapshot.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* More configured machines than these are summed under "unknown", too. */
#define METRICS_SOURCES_MAX 4096
#define METRICS_SIZE_MAX    (16u << 20)

/* The page, ended by a NUL; the caller frees it. NULL: there is no memory. */
char *metrics_text(const struct snapshot *snapshot, size_t *out_size);

#endif
