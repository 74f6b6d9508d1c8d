/* The way of a frame through the carrier: own copies out, super-frames cut, checksums finished, the
 * limit, the cut to --snap, the outer header, and off. */
#ifndef CARRY_PATH_H
#define CARRY_PATH_H

#include "capture/ring.h"
#include "carry/limit.h"
#include "carry/outlet.h"
#include "carry/own.h"
#include "sink/ether.h"
#include "sink/segment.h"

/* In front of each frame: the outer header, and an Ethernet header where there is none. */
#define PATH_HEADROOM (OUTER_SIZE + ETHER_HEADER_SIZE)

/* Pieces of super-frames wait here to be sent. */
#define PATH_SCRATCH (512u << 10)

struct path {
    struct carry_counters *counters;
    struct outlet *outlet;
    struct own own;
    struct limit limit;
    uint32_t snap; /* 0: all */
    uint32_t mtu;  /* of the interface; where the kernel does not say how to cut */
    uint32_t used; /* of the scratch */
    struct segmenter segmenter;
    uint8_t scratch[PATH_SCRATCH];
};

/* A burst: path_time, path_frame for each, path_flush before its frames are given back. `offload`:
 * what ring_offloads says of the frame; NULL: nothing. The frame and PATH_HEADROOM bytes in front
 * of it are written to. */
void path_init(struct path *path, const struct carry_options *options, struct outlet *outlet,
               struct carry_counters *counters);
void path_time(struct path *path);
void path_frame(struct path *path, const struct frame *frame, const struct ring_offload *offload);
void path_flush(struct path *path);

#endif
