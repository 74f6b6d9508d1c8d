/* Counting what is different: see unique.h. HyperLogLog as in Flajolet, Fusy, Gandouet, Meunier
 * (2007), with their linear counting where few registers are used. */
#include "hunt/unique.h"

#include <math.h>
#include <string.h>

#define REGISTER_BITS 10

static bool rank_add(struct unique *unique, uint32_t hash)
{
    uint32_t rest = hash >> REGISTER_BITS | 1u << (32 - REGISTER_BITS);
    uint8_t rank = (uint8_t)(__builtin_ctz(rest) + 1);
    uint8_t *at = &unique->rank[hash & (UNIQUE_REGISTERS - 1)];
    if (rank <= *at)
        return false;
    *at = rank;
    return true;
}

static void become_rounded(struct unique *unique)
{
    struct unique exact = *unique;
    memset(unique->rank, 0, sizeof unique->rank);
    unique->n = 0;
    unique->is_rounded = 1;
    for (unsigned i = 0; i < exact.n && i < UNIQUE_EXACT; i++)
        (void)rank_add(unique, exact.hash[i]);
}

bool unique_add(struct unique *unique, uint32_t hash)
{
    if (unique->is_rounded)
        return rank_add(unique, hash);
    /* What was loaded from a file may say anything. */
    unsigned n = unique->n < UNIQUE_EXACT ? unique->n : UNIQUE_EXACT;
    for (unsigned i = 0; i < n; i++)
        if (unique->hash[i] == hash)
            return false;
    if (n < UNIQUE_EXACT) {
        unique->hash[n] = hash;
        unique->n = (uint16_t)(n + 1);
        return true;
    }
    become_rounded(unique);
    return rank_add(unique, hash);
}

uint32_t unique_count(const struct unique *unique)
{
    if (!unique->is_rounded)
        return unique->n < UNIQUE_EXACT ? unique->n : UNIQUE_EXACT;
    double sum = 0;
    unsigned n_empty = 0;
    for (unsigned i = 0; i < UNIQUE_REGISTERS; i++) {
        sum += ldexp(1, -(int)unique->rank[i]);
        n_empty += unique->rank[i] == 0;
    }
    const double m = UNIQUE_REGISTERS;
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && n_empty > 0)
        estimate = m * log(m / n_empty);
    return estimate < UINT32_MAX ? (uint32_t)(estimate + 0.5) : UINT32_MAX;
}

void unique_merge(struct unique *into, const struct unique *from)
{
    into->is_parted |= from->is_parted;
    if (!from->is_rounded) {
        for (unsigned i = 0; i < from->n && i < UNIQUE_EXACT; i++)
            (void)unique_add(into, from->hash[i]);
        return;
    }
    if (!into->is_rounded)
        become_rounded(into);
    for (unsigned i = 0; i < UNIQUE_REGISTERS; i++)
        if (into->rank[i] < from->rank[i])
            into->rank[i] = from->rank[i];
}
