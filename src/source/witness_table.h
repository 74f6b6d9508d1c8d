/* The counters that a worker's witness writes and the control thread's book reads. */
#ifndef SOURCE_WITNESS_TABLE_H
#define SOURCE_WITNESS_TABLE_H

#include "source/witness.h"

#define WITNESS_WAYS         4
#define WITNESS_PAIR_SETS    128
#define WITNESS_SERVICE_SETS 256
#define WITNESS_N_SLOTS      ((WITNESS_PAIR_SETS + WITNESS_SERVICE_SETS) * WITNESS_WAYS)

struct witness_slot {
    _Alignas(64) uint64_t key; /* 0: free */
    uint32_t n[8];             /* packets, by witness_counter(); they wrap */
    uint32_t bytes[8];         /* the same in bytes */
    uint32_t generation;       /* how many keys it had */
    uint32_t weight;           /* the worker's own */
};

static inline uint64_t witness_key(uint16_t a, uint16_t b, uint8_t proto, uint16_t port)
{
    return (uint64_t)a << 48 | (uint64_t)b << 32 | (uint64_t)proto << 16 | port;
}

/* `direction` 0: the machine with the lower number sent it; `by` 0: its mirror showed it. */
static inline unsigned int witness_counter(bool is_copy, unsigned int direction, unsigned int by)
{
    return (unsigned int)is_copy * 4 + direction * 2 + by;
}

const struct witness_slot *witness_slots(const struct witness *witness);

#endif
