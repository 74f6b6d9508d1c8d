/* Counting different things: a short list, then HyperLogLog. */
#include "hunt/distinct.h"

#include <math.h>
#include <string.h>

/* The index is the hash's lowest 7 bits, the rank that of the first bit set in the 25 above. */
static bool distinct_raise(struct distinct *distinct, uint32_t hash)
{
    uint32_t rest = hash >> 7;
    uint8_t rank = rest ? (uint8_t)(__builtin_ctz(rest) + 1) : 26;
    uint8_t *at = &distinct->registers[hash % DISTINCT_REGISTERS];
    if (rank <= *at)
        return false;
    *at = rank;
    return true;
}

static void distinct_estimate(struct distinct *distinct)
{
    uint32_t hashes[DISTINCT_EXACT];
    uint32_t n = distinct->n < DISTINCT_EXACT ? distinct->n : DISTINCT_EXACT;
    memcpy(hashes, distinct->hashes, sizeof(hashes));
    memset(distinct->registers, 0, sizeof(distinct->registers));
    distinct->estimated = 1;
    for (uint32_t i = 0; i < n; i++)
        distinct_raise(distinct, hashes[i]);
}

static bool distinct_add_short(struct distinct *distinct, uint32_t hash)
{
    if (distinct->estimated)
        return distinct_raise(distinct, hash);
    for (uint32_t i = 0; i < distinct->n && i < DISTINCT_EXACT; i++)
        if (distinct->hashes[i] == hash)
            return false;
    if (distinct->n < DISTINCT_EXACT) {
        distinct->hashes[distinct->n++] = hash;
        return true;
    }
    distinct_estimate(distinct);
    return distinct_raise(distinct, hash);
}

bool distinct_add(struct distinct *distinct, uint64_t hash)
{
    return distinct_add_short(distinct, (uint32_t)(hash >> 32) ^ (uint32_t)hash);
}

double distinct_count(const struct distinct *distinct)
{
    if (!distinct->estimated)
        return distinct->n < DISTINCT_EXACT ? distinct->n : DISTINCT_EXACT;
    const double m = DISTINCT_REGISTERS;
    double sum = 0;
    unsigned n_zero = 0;
    for (unsigned i = 0; i < DISTINCT_REGISTERS; i++) {
        sum += 1.0 / (double)(1u << distinct->registers[i] % 32);
        n_zero += distinct->registers[i] == 0;
    }
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && n_zero > 0)
        estimate = m * log(m / n_zero);
    return estimate;
}

void distinct_merge(struct distinct *into, const struct distinct *from)
{
    if (!from->estimated) {
        for (uint32_t i = 0; i < from->n && i < DISTINCT_EXACT; i++)
            distinct_add_short(into, from->hashes[i]);
        return;
    }
    if (!into->estimated)
        distinct_estimate(into);
    for (unsigned i = 0; i < DISTINCT_REGISTERS; i++)
        if (from->registers[i] > into->registers[i])
            into->registers[i] = from->registers[i];
}
