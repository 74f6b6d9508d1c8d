/* A run over capture files: workers, their threads, what they counted. */
#ifndef SENSOR_RUN_H
#define SENSOR_RUN_H

#include "base/err.h"
#include "sensor/pipeline.h"

struct run_options {
    struct pipeline_options pipeline; /* worker, n_workers, memory: of the run, divided by it */
    unsigned n_workers;
    const char *const *files;
    size_t n_files;
    const char *folder;        /* of the logs */
    const char *packet_folder; /* packets.pcapng is written there; NULL: not */
    enum log_format format;
};

struct run_result {
    struct pipeline_counters counters; /* sums */
    uint64_t n_records, n_cut;         /* of the logs; texts in them that were cut */
    bool interrupted;
    bool partial; /* a file could not be read to its end for a reason of this machine */
};

/* `progress` is called about twice a second from the calling thread; NULL: not. `*stop` may be set
 * by a signal handler: what was read so far is then finished and logged. */
int run_captures(const struct run_options *options, const volatile int *stop,
                 void (*progress)(struct capture_progress progress, void *with), void *with,
                 void (*warn)(const char *text, void *with), struct run_result *out,
                 struct err *err) MUST_CHECK;

#endif
