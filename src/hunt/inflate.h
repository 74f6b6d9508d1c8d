/* Reading gzip files, of several members too: with zlib (inflate_zlib.c), or refused in words
 * (inflate_none.c). */
#ifndef HUNT_INFLATE_H
#define HUNT_INFLATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct inflate;

/* NULL: no memory, or this build has no zlib. */
struct inflate *inflate_new(void);
void inflate_free(struct inflate *it);

/* Takes from `in` and gives to `out`, as much as there is of one and room in the other. False: the
 * packed bytes are damaged. */
bool inflate_step(struct inflate *it, const void *in, size_t in_size, size_t *out_taken, void *out,
                  size_t out_size, size_t *out_given);
/* The bytes so far end where a member ends. */
bool inflate_is_whole(const struct inflate *it);

#endif
