/* For unit tests: a table, what its values should be by a simple model, and chance by a seed. */
#ifndef HUNT_BOOK_BED_H
#define HUNT_BOOK_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hunt/book_parts.h"

#define SECRET 0x1234567890abcdef
#define DAY    20000
#define DAY_MS ((int64_t)DAY * BOOK_MS_PER_DAY)

static inline uint64_t chance(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Values of all tables here: a sum, and two series. */
struct bed_value {
    uint64_t sum;
    struct book_series first, second;
    uint32_t mark;
    uint32_t unused;
};

static inline void bed_merge(void *into, const void *from)
{
    struct bed_value *a = into;
    const struct bed_value *b = from;
    a->sum += b->sum;
    a->mark |= b->mark;
}

static inline struct book_event bed_event(uint64_t *state, int64_t ts)
{
    uint64_t dice = chance(state);
    struct book_event event = {.ts = ts,
                               .duration = chance(state) >> (24 + dice % 40),
                               .up = (uint32_t)(chance(state) >> (32 + dice / 64 % 32)),
                               .down = (uint32_t)(chance(state) >> (32 + dice / 4096 % 32)),
                               .failed = dice >> 63};
    return event;
}

static inline bool bed_same(const struct book_event *a, const struct book_event *b)
{
    return a->ts == b->ts && a->duration == b->duration && a->up == b->up && a->down == b->down &&
           a->failed == b->failed;
}

#endif
