/* The two clocks, in ns. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* cannot fail with a clock that exists */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Since the epoch; may be stepped. */
static inline int64_t clock_now(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* Since some moment; never goes back. */
static inline int64_t clock_ticks(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

#endif
