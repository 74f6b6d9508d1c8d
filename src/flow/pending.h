/* The segments of one direction that came before their turn: in order of their bytes, without
 * overlaps. Whoever sends them may send them in any order and in any size, so a place is found in
 * far fewer steps than there are segments: the list has runs, whose first segments are a list of
 * their own. */
#ifndef FLOW_PENDING_H
#define FLOW_PENDING_H

#include <stdbool.h>
#include <stdint.h>

struct pool;

struct segment {
    struct segment *next;
    struct segment *next_run; /* of the first of a run */
    uint64_t begin;           /* relative sequence number */
    uint32_t size;
    uint32_t n_run; /* segments of the run that begins here; 0: none does */
    uint8_t bytes[];
};

struct pending {
    struct segment *first;
    uint32_t n, n_bytes;
};

/* Keeps a copy of those bytes that are not kept already. False: not all, there was no memory or
 * there are too many segments. */
bool pending_keep(struct pending *pending, struct pool *pool, uint64_t begin, const uint8_t *bytes,
                  uint32_t size);

/* The first goes; there must be one. */
void pending_drop(struct pending *pending, struct pool *pool);

/* Behind the last byte; 0: there is none. */
uint64_t pending_end(const struct pending *pending);

#endif
