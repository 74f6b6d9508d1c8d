/* How many different things there were, in a fixed small place: exact up to DISTINCT_EXACT, then a
 * HyperLogLog of 128 registers (Flajolet and others, 2007), whose standard error is 9 %. Plain
 * bytes, so that it may be part of a book's value.
 *
 * Things are given as hashes. Whoever chooses them could choose ones that collide, so the hashes
 * are keyed (book_hash). */
#ifndef HUNT_DISTINCT_H
#define HUNT_DISTINCT_H

#include <stdbool.h>
#include <stdint.h>

enum { DISTINCT_EXACT = 32, DISTINCT_REGISTERS = 128 };

struct distinct {
    uint32_t n;         /* kept in `hashes`; meaningless once estimated */
    uint32_t estimated; /* 1: `registers` holds */
    union {
        uint32_t hashes[DISTINCT_EXACT];
        uint8_t registers[DISTINCT_REGISTERS];
    };
};

/* Whether it was new: for certain while exact; later only those that change the estimate. */
bool distinct_add(struct distinct *distinct, uint64_t hash);
double distinct_count(const struct distinct *distinct);
void distinct_merge(struct distinct *into, const struct distinct *from);

#endif
