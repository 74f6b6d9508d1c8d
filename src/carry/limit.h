/* A token bucket: so many bytes a second, and a tenth of a second's worth at once. */
#ifndef CARRY_LIMIT_H
#define CARRY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct limit {
    uint64_t rate;   /* bytes a second; 0: no limit */
    uint64_t burst;  /* bytes */
    uint64_t tokens; /* bytes * 1e9, so that a slow rate loses nothing between two looks */
    int64_t last;    /* ns, of the monotonic clock */
};

#define LIMIT_LEAST_BURST 65536 /* the largest frame passes at any rate */
#define LIMIT_UNIT        1000000000u
#define LIMIT_MAX_RATE    (UINT64_C(1) << 33) /* 64 Gbit a second; the products fit 64 bits */

static inline void limit_init(struct limit *limit, uint64_t rate, int64_t now)
{
    uint64_t burst = rate / 10 > LIMIT_LEAST_BURST ? rate / 10 : LIMIT_LEAST_BURST;
    *limit =
        (struct limit){.rate = rate, .burst = burst, .tokens = burst * LIMIT_UNIT, .last = now};
}

/* Before each look: time has gone on. */
static inline void limit_refill(struct limit *limit, int64_t now)
{
    uint64_t passed = now > limit->last ? (uint64_t)(now - limit->last) : 0;
    uint64_t full = limit->burst * LIMIT_UNIT;
    limit->last = now;
    if (limit->rate == 0)
        return;
    if (passed / LIMIT_UNIT > limit->burst / limit->rate) { /* else the product may not fit */
        limit->tokens = full;
        return;
    }
    limit->tokens += passed * limit->rate;
    if (limit->tokens > full)
        limit->tokens = full;
}

static inline bool limit_takes(struct limit *limit, uint32_t size)
{
    uint64_t cost = (uint64_t)size * LIMIT_UNIT;
    if (limit->rate == 0)
        return true;
    if (limit->tokens < cost)
        return false;
    limit->tokens -= cost;
    return true;
}

#endif
