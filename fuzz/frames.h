/* How fuzz inputs hold several frames: each is two bytes of length and that many bytes (fewer at
 * the end). make_seeds.py writes the same. */
#ifndef FUZZ_FRAMES_H
#define FUZZ_FRAMES_H

#include <stdlib.h>

#include "base/reader.h"

/* The next frame in a heap block of its exact size, so that a read past its end is seen; NULL at the
 * end. The caller frees it. */
static inline uint8_t *frames_next(struct reader *r, size_t *out_size)
{
    if (rd_left(r) < 2)
        return NULL;
    size_t size = rd_be16(r);
    struct reader frame = rd_sub_upto(r, size);
    uint8_t *block = malloc(rd_left(&frame) ? rd_left(&frame) : 1);
    if (!block)
        abort();
    if (rd_left(&frame))
        memcpy(block, frame.at, rd_left(&frame));
    *out_size = rd_left(&frame);
    return block;
}

#endif
