/* Counting what is different: see distinct.h. HyperLogLog as in Flajolet, Fusy, Gandouet, Meunier
 * (2007), with their linear counting where few registers are used. */
#include "hunt/distinct.h"

#include <math.h>
#include <string.h>

#define REGISTER_BITS 10

static bool rank_add(struct distinct *distinct, uint32_t hash)
{
    uint32_t rest = hash >> REGISTER_BITS | 1u << (32 - REGISTER_BITS);
    uint8_t rank = (uint8_t)(__builtin_ctz(rest) + 1);
    uint8_t *at = &distinct->rank[hash & (DISTINCT_REGISTERS - 1)];
    if (rank <= *at)
        return false;
    *at = rank;
    return true;
}

static void become_rounded(struct distinct *distinct)
{
    struct distinct exact = *distinct;
    memset(distinct->rank, 0, sizeof distinct->rank);
    distinct->n = 0;
    distinct->is_rounded = 1;
    for (unsigned i = 0; i < exact.n && i < DISTINCT_EXACT; i++)
        (void)rank_add(distinct, exact.hash[i]);
}

bool distinct_add(struct distinct *distinct, uint32_t hash)
{
    if (distinct->is_rounded)
        return rank_add(distinct, hash);
    /* What was loaded from a file may say anything. */
    unsigned n = distinct->n < DISTINCT_EXACT ? distinct->n : DISTINCT_EXACT;
    for (unsigned i = 0; i < n; i++)
        if (distinct->hash[i] == hash)
            return false;
    if (n < DISTINCT_EXACT) {
        distinct->hash[n] = hash;
        distinct->n = (uint16_t)(n + 1);
        return true;
    }
    become_rounded(distinct);
    return rank_add(distinct, hash);
}

uint32_t distinct_count(const struct distinct *distinct)
{
    if (!distinct->is_rounded)
        return distinct->n < DISTINCT_EXACT ? distinct->n : DISTINCT_EXACT;
    double sum = 0;
    unsigned n_empty = 0;
    for (unsigned i = 0; i < DISTINCT_REGISTERS; i++) {
        sum += ldexp(1, -(int)distinct->rank[i]);
        n_empty += distinct->rank[i] == 0;
    }
    const double m = DISTINCT_REGISTERS;
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && n_empty > 0)
        estimate = m * log(m / n_empty);
    return estimate < UINT32_MAX ? (uint32_t)(estimate + 0.5) : UINT32_MAX;
}

void distinct_merge(struct distinct *into, const struct distinct *from)
{
    into->is_parted |= from->is_parted;
    if (!from->is_rounded) {
        for (unsigned i = 0; i < from->n && i < DISTINCT_EXACT; i++)
            (void)distinct_add(into, from->hash[i]);
        return;
    }
    if (!into->is_rounded)
        become_rounded(into);
    for (unsigned i = 0; i < DISTINCT_REGISTERS; i++)
        if (into->rank[i] < from->rank[i])
            into->rank[i] = from->rank[i];
}
