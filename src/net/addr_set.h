/* A small set of addresses that is asked for every packet: this host's own, those of listeners. Put
 * together once, then only read. */
#ifndef NET_ADDR_SET_H
#define NET_ADDR_SET_H

#include "net/addr.h"

#define ADDR_SET_PLACES 256 /* power of two; half of them are used at most */

struct addr_set {
    uint16_t n;
    bool used[ADDR_SET_PLACES];
    struct addr place[ADDR_SET_PLACES];
};

static inline uint32_t addr_set_home(const struct addr *a)
{
    uint64_t low, high;
    memcpy(&low, a->b, 8);
    memcpy(&high, a->b + 8, 8);
    return (uint32_t)((low * 0x9e3779b97f4a7c15ull ^ high * 0xff51afd7ed558ccdull) >> 32) &
           (ADDR_SET_PLACES - 1);
}

static inline bool addr_set_has(const struct addr_set *set, const struct addr *a)
{
    for (uint32_t i = addr_set_home(a); set->used[i]; i = (i + 1) & (ADDR_SET_PLACES - 1))
        if (addr_eq(&set->place[i], a))
            return true;
    return false;
}

/* False: it is full. */
static inline bool addr_set_add(struct addr_set *set, const struct addr *a)
{
    if (addr_set_has(set, a))
        return true;
    if (set->n == ADDR_SET_PLACES / 2)
        return false;
    uint32_t i = addr_set_home(a);
    while (set->used[i])
        i = (i + 1) & (ADDR_SET_PLACES - 1);
    set->used[i] = true;
    set->place[i] = *a;
    set->n++;
    return true;
}

#endif
