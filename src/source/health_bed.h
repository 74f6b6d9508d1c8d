/* A made-up machine for tests of health: it says so much a second, its mirror can be switched off,
 * its canary lost, and a clock of its own runs as fast as it is asked to. */
#ifndef SOURCE_HEALTH_BED_H
#define SOURCE_HEALTH_BED_H

#include <math.h>
#include <string.h>

#include "source/health.h"

#define BED_NS     ((int64_t)1000000000)
#define BED_TICK   (BED_NS / 4)
#define BED_PROBES 64

struct bed {
    struct health *health;
    uint64_t seed;
    int64_t ticks, now;
    struct health_totals totals;
    struct canary_state canary;
    struct health_verdict verdict;

    double packets_per_second; /* mean; Poisson */
    unsigned int burst;        /* packets that come with each */
    bool mirror_off;
    bool canary_blocked;
    double canary_loss;
    enum canary_answer answer; /* to who asks, whatever the mirror does */

    int64_t probes[BED_PROBES]; /* when each was sent; 0: over */
    uint32_t n_wanted, n_bad, n_changes;
    char bad[HEALTH_REASON_MAX]; /* the last alarm's reason */
};

static inline double bed_random(struct bed *bed)
{
    uint64_t z = bed->seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (double)((z ^ z >> 31) >> 11) / (double)(1ull << 53);
}

static inline unsigned int bed_poisson(struct bed *bed, double mean)
{
    if (mean > 50)
        return (unsigned int)(mean + (bed_random(bed) - 0.5) * 3 * sqrt(mean));
    double limit = exp(-mean), product = bed_random(bed);
    unsigned int n = 0;
    for (; product > limit; n++)
        product *= bed_random(bed);
    return n;
}

static inline void bed_start(struct bed *bed, uint64_t seed, bool expects_copies)
{
    memset(bed, 0, sizeof(*bed));
    bed->seed = seed * 7919 + 1;
    bed->now = 1700000000 * BED_NS;
    bed->ticks = 5 * BED_NS;
    bed->burst = 1;
    bed->canary.enabled = true;
    memcpy(bed->canary.from, "10.9.0.2", 9);
    struct health_options options = {
        .expects_both_directions = true, .expects_copies = expects_copies, .seed = seed + 1};
    bed->health = health_new(&options, bed->now);
}

static inline void bed_probe(struct bed *bed)
{
    bed->canary.n_sent++;
    bed->canary.last_sent = bed->now;
    for (size_t i = 0; i < BED_PROBES; i++)
        if (bed->probes[i] == 0) {
            bed->probes[i] = bed->ticks;
            return;
        }
}

/* One that comes back does so by the next update; one that does not is given up after 2 s. */
static inline void bed_canaries(struct bed *bed)
{
    for (size_t i = 0; i < BED_PROBES; i++) {
        if (bed->probes[i] == 0)
            continue;
        bool fresh = bed->ticks - bed->probes[i] <= BED_TICK;
        bool through = !bed->mirror_off && !bed->canary_blocked;
        if (fresh && through && bed_random(bed) >= bed->canary_loss) {
            bed->canary.ever_came_back = true;
            bed->canary.n_back++;
            bed->canary.n_missed_in_row = 0;
            bed->canary.last_back = bed->now;
            bed->probes[i] = 0;
        } else if (bed->ticks - bed->probes[i] >= 2 * BED_NS) {
            bed->canary.n_missed_in_row++;
            bed->canary.answer = bed->answer;
            bed->probes[i] = 0;
        }
    }
}

static inline void bed_tick(struct bed *bed)
{
    bed->now += BED_TICK;
    bed->ticks += BED_TICK;
    bed_canaries(bed);
    unsigned int n = bed->burst * bed_poisson(bed, bed->packets_per_second / 4);
    if (!bed->mirror_off) {
        bed->totals.n_packets += n;
        bed->totals.n_bytes += 800ull * n;
        bed->totals.n_in += n / 2;
        bed->totals.n_out += n - n / 2;
        if (n)
            bed->totals.last_packet = bed->now;
    }
    health_update(bed->health, "web-1", &bed->totals, &bed->canary, bed->now, bed->ticks,
                  &bed->verdict);
    if (bed->verdict.wants_canary) {
        bed->n_wanted++;
        bed_probe(bed);
    }
    if (bed->verdict.changed) {
        bed->n_changes++;
        bed->n_bad += bed->verdict.is_bad;
        if (bed->verdict.is_bad)
            memcpy(bed->bad, bed->verdict.reason, sizeof(bed->bad));
    }
}

static inline void bed_run(struct bed *bed, double seconds)
{
    for (int64_t i = 0; i < (int64_t)(seconds * 4); i++)
        bed_tick(bed);
}

/* Seconds until it is in this state; -1: not within the limit. */
static inline double bed_until(struct bed *bed, enum health_state state, double limit)
{
    for (int64_t i = 1; i <= (int64_t)(limit * 4); i++) {
        bed_tick(bed);
        if (bed->verdict.state == state)
            return (double)i / 4;
    }
    return -1;
}

#endif
