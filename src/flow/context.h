/* What a worker's flow code and analyzers share: time, output, memory, settings. */
#ifndef FLOW_CONTEXT_H
#define FLOW_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

struct log_writer;
struct pool;

struct flow_context {
    int64_t now; /* packet time, ns: of the packet that is being looked at */
    struct log_writer *log;
    struct pool *pool;
    uint64_t uid_seed; /* of the run: uids are stable for one input, and differ between sensors */
    bool validate_checksums;
    bool community_id; /* extra columns asked for */
    bool ja3, ja4;
};

#endif
