/* How many different things there were, in a place of a fixed size: exact up to 256, then a
 * HyperLogLog of 1024 registers (some 3 % off). It has no pointers, so it can be a book's value. */
#ifndef HUNT_UNIQUE_H
#define HUNT_UNIQUE_H

#include <stdbool.h>
#include <stdint.h>

#define UNIQUE_EXACT     256
#define UNIQUE_REGISTERS 1024

struct unique {
    uint16_t n;         /* hashes kept, while it is exact */
    uint8_t is_rounded; /* the registers are in use */
    uint8_t is_parted;  /* for who keeps several: its hashes are now in others */
    union {
        uint32_t hash[UNIQUE_EXACT];
        uint8_t rank[UNIQUE_REGISTERS];
    };
};

/* True where it is new; once rounded, where it changed a register. */
bool unique_add(struct unique *unique, uint32_t hash);
uint32_t unique_count(const struct unique *unique);
void unique_merge(struct unique *into, const struct unique *from);

#endif
