/* Structs that are nothing but counters of 64 bits. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* Adds each of the counters of `one` to that of `sum`; both are of `size` bytes. */
static inline void counters_add(void *sum, const void *one, size_t size)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;
    for (size_t i = 0; i < size / sizeof *to; i++)
        to[i] += from[i];
}

#endif
