/* What is inside a struct live_source: for the files that make one. */
#ifndef CAPTURE_LIVE_KIND_H
#define CAPTURE_LIVE_KIND_H

#include "capture/live.h"

struct live_kind {
    /* As live_next, but for counting frames and bytes. */
    int (*next)(struct live_source *source, struct frame out[CAPTURE_BURST]);
    /* Brings the counters up to date; may be NULL. */
    void (*count)(struct live_source *source);
    /* Frees all but the descriptor. */
    void (*free)(struct live_source *source);
};

/* The first member of each kind's own struct. */
struct live_source {
    const struct live_kind *kind;
    int fd;
    uint16_t input; /* of its frames */
    struct live_counters counters;
    struct err problem;
};

#endif
