/* Finds the elements of a growing array by a hash: an index beside the array, which only grows. */
#ifndef BASE_PLACES_H
#define BASE_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct places_entry {
    uint64_t hash;
    uint32_t place; /* + 1; 0: free */
};

/* Zeroed: empty. */
struct places {
    struct places_entry *entries;
    size_t n, size; /* a power of two, twice n at least */
};

void places_free(struct places *places);

/* The place + 1 of the element that is `same`; 0: there is none. `hash` should be a secret one
 * where strangers choose what is found. */
uint32_t places_find(const struct places *places, uint64_t hash,
                     bool (*same)(const void *with, uint32_t place, const void *key),
                     const void *with, const void *key);

/* An element that is not there yet. False: no memory. */
bool places_add(struct places *places, uint64_t hash, uint32_t place);

#endif
