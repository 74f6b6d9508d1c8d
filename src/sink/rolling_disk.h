/* The half of rolling.h that writes: buffers into files. One thread uses it. */
#ifndef SINK_ROLLING_DISK_H
#define SINK_ROLLING_DISK_H

#include "sink/rolling.h"

#define ROLLING_BUFFER_SIZE (256u << 10)
#define ROLLING_MAX_SLOTS   128

/* A source's packets of one link type in a buffer. */
struct rolling_slot {
    uint16_t link;
    uint32_t hash;
    char source[SINK_NAME_MAX]; /* empty: not known */
    char how[96];               /* "vxlan 5 from 10.0.0.9" */
};

/* Whole blocks of packets, whose interface numbers are those of slots here. */
struct rolling_buffer {
    struct rolling_buffer *next;
    uint32_t used;
    uint32_t n_slots;
    struct rolling_slot slots[ROLLING_MAX_SLOTS];
    uint8_t bytes[ROLLING_BUFFER_SIZE];
};

struct rolling_disk;

/* Counts in `sink`, and says there what the user should know. Both outlive it. */
int rolling_disk_open(const struct rolling_options *options, struct sink *sink,
                      struct rolling_disk **out, struct err *err) MUST_CHECK;

/* `now`: ns since the epoch. */
void rolling_disk_write(struct rolling_disk *disk, struct rolling_buffer *buffer, int64_t now);

/* Once a second: finishes files whose time is over, and removes old ones. */
void rolling_disk_tick(struct rolling_disk *disk, int64_t now);

/* Finishes all files; frees it. */
void rolling_disk_close(struct rolling_disk *disk);

#endif
