/* A stream inside another (a proxied connection), whose protocol is found by its content: its first
 * bytes are kept until an analyzer knows them, which is then given everything. */
#ifndef PROTO_INNER_H
#define PROTO_INNER_H

#include "proto/analyzer.h"

struct inner {
    struct buf head[2];
    struct analysis *found;
    bool decided; /* nobody else is asked */
};

void inner_data(struct inner *inner, struct analysis *outer, int dir, const uint8_t *bytes,
                size_t size);
void inner_gap(struct inner *inner, struct analysis *outer, int dir, uint64_t size);

/* Gives memory back. What was found ends by itself. */
void inner_end(struct inner *inner, struct analysis *outer);

/* More bytes would be for nobody. */
static inline bool inner_is_over(const struct inner *inner)
{
    return inner->decided && (!inner->found || inner->found->finished);
}

#endif
