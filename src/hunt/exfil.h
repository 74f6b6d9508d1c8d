/* What is kept of a host's traffic to outside, by hour; shared with the unit test. */
#ifndef HUNT_EXFIL_H
#define HUNT_EXFIL_H

#include "hunt/gather.h"

struct exfil_key {
    struct hunt_host src;
};

/* Of one day. Payload bytes, put into the hours that the connection lasted. */
struct exfil_value {
    int64_t first, last; /* ms */
    uint64_t n;
    uint64_t up[24], down[24];
    struct book_series conns; /* of those that sent EXFIL_EVENT or more */
};

#define EXFIL_EVENT 1000000 /* bytes */

struct exfil_settings {
    uint64_t least;   /* bytes in the window: below, nothing is told */
    uint64_t alone;   /* bytes to one destination that are told without a history */
    uint32_t samples; /* days of history that make a mean */
    uint8_t rare;     /* percent of the internal hosts: fewer know a rare destination */
    uint8_t unused[3];
};

extern const struct book_table exfil_table;

/* Mean and standard deviation of the samples; false: there are fewer than `least`. */
bool exfil_normal(const double *samples, size_t n, size_t least, double *out_mean, double *out_sd);

#endif
