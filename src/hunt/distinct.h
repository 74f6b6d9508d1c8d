/* How many different things there were, in a place of a fixed size: exact up to 256, then a
 * HyperLogLog of 1024 registers (some 3 % off). It has no pointers, so it can be a book's value. */
#ifndef HUNT_DISTINCT_H
#define HUNT_DISTINCT_H

#include <stdbool.h>
#include <stdint.h>

#define DISTINCT_EXACT     256
#define DISTINCT_REGISTERS 1024

struct distinct {
    uint16_t n;         /* hashes kept, while it is exact */
    uint8_t is_rounded; /* the registers are in use */
    uint8_t is_parted;  /* for who keeps several: its hashes are now in others */
    union {
        uint32_t hash[DISTINCT_EXACT];
        uint8_t rank[DISTINCT_REGISTERS];
    };
};

/* True where it is new; once rounded, where it changed a register. */
bool distinct_add(struct distinct *distinct, uint32_t hash);
uint32_t distinct_count(const struct distinct *distinct);
void distinct_merge(struct distinct *into, const struct distinct *from);

#endif
