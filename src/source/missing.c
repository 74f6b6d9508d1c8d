/* The statistics of copies that did not come; see missing.h. */
#include "source/missing.h"

#include <math.h>
#include <string.h>

#define NS 1000000000ll

/* A service that somebody hides is missing wholly or for a good part; loss is a few in a hundred,
 * of all services alike. Over all peers together less is enough, where it is not known what. */
#define SHARE_LOST      0.03
#define SHARE_HIDDEN    0.30
#define SHARE_LOST_ALL  0.01
#define SHARE_STEP_ALL  0.05
#define SCORE_FOUND     20.0 /* chance alone gets there once in e^20 packets */
#define SCORE_MAX       40.0 /* so that it comes back down soon */
#define SCORE_OVER      10.0
#define MIN_MISSING     30.0
#define MIN_SHARE       0.20
#define MIN_SHARE_ALL   0.03
#define SHARE_WHOLE     0.6 /* more than this is no loss, even if it is missing of everything */
#define LEARN_PACKETS   2000.0
#define FORGET_AFTER    (120 * NS) /* nothing was missed for so long: it is over */
#define SLOT_IDLE_AFTER (600 * NS)

struct shares {
    double lost, hidden, least;
};

static struct shares shares_of(const struct missing_slot *slot, bool is_all)
{
    double lost = is_all ? SHARE_LOST_ALL : SHARE_LOST;
    double hidden = is_all ? SHARE_STEP_ALL : SHARE_HIDDEN;
    if (lost < 2 * slot->usual)
        lost = 2 * slot->usual;
    if (hidden < 3 * lost)
        hidden = 3 * lost;
    double least = is_all ? MIN_SHARE_ALL : MIN_SHARE;
    return (struct shares){.lost = lost, .hidden = hidden, .least = least < lost ? lost : least};
}

static void start_over(struct missing_slot *slot)
{
    slot->score = 0;
    slot->n_there = slot->n_alone = slot->n_dropped = 0;
    slot->n_missing[0] = slot->n_missing[1] = 0;
    slot->missing_bytes = slot->alone_bytes = 0;
    slot->found = false;
}

/* Since the last call; what goes back (a worker's table was made anew) counts as nothing. */
static double take(uint64_t now, uint64_t *last)
{
    uint64_t grown = now > *last ? now - *last : 0;
    *last = now;
    return (double)grown;
}

static bool is_hidden(const struct missing_slot *slot, const struct shares *shares)
{
    double n = slot->n_missing[0] + slot->n_missing[1];
    return slot->score > SCORE_FOUND && n >= MIN_MISSING && n >= shares->least * slot->n_there &&
           slot->n_dropped < n / 2 && /* else we lost it ourselves */
           /* Else both ends lack some: copies are not recognised, since they are in other pieces
            * (bytes tell) or too many. */
           slot->n_alone < n / 3 && slot->alone_bytes <= slot->missing_bytes / 3;
}

static void judge(struct missing_slot *slot, bool is_all, double there, double missing,
                  int64_t clock)
{
    struct shares shares = shares_of(slot, is_all);
    if (missing > there)
        missing = there;
    double shown = there - missing;
    slot->score += missing * log(shares.hidden / shares.lost) +
                   shown * log((1 - shares.hidden) / (1 - shares.lost));
    if (slot->score > SCORE_MAX)
        slot->score = SCORE_MAX;
    if (missing > 0)
        slot->last_missed = clock;
    if (slot->score <= 0 || (slot->found && slot->score < SCORE_OVER) ||
        (slot->score > 0 && clock - slot->last_missed > FORGET_AFTER))
        start_over(slot);
    else if (is_hidden(slot, &shares))
        slot->found = true;
    if (!slot->found && there > 0 && slot->score < SCORE_OVER) {
        double weight = there / (there + LEARN_PACKETS);
        slot->usual += weight * (missing / there - slot->usual);
        if (slot->usual > 0.1)
            slot->usual = 0.1;
    }
}

static void update_slot(struct missing_slot *slot, bool is_all, const struct health_shared *shared,
                        const struct missing_input *input)
{
    double there = 0, missing = 0;
    bool was_primed = slot->is_primed;
    for (int d = 0; d < 2; d++) {
        uint64_t n_there = shared->n_there[d];
        uint64_t n_both = shared->n_both[d] < n_there ? shared->n_both[d] : n_there;
        double seen = take(n_there, &slot->last_there[d]);
        double missed = take(n_there - n_both, &slot->last_missing[d]);
        double alone = take(shared->n_only_here[d], &slot->last_alone[d]);
        double missed_bytes = take(shared->missing_bytes[d], &slot->last_missing_bytes[d]);
        double alone_bytes = take(shared->alone_bytes[d], &slot->last_alone_bytes[d]);
        if (!was_primed || !input->expects[d])
            continue;
        slot->missing_bytes += missed_bytes;
        slot->alone_bytes += alone_bytes;
        there += seen;
        missing += missed;
        slot->n_missing[d] += missed;
        slot->n_alone += alone;
    }
    slot->is_primed = true;
    slot->last_update = input->clock;
    if (!was_primed)
        return;
    slot->n_there += there;
    slot->n_dropped += (double)input->n_dropped;
    judge(slot, is_all, there, missing, input->clock);
}

static struct missing_slot *slot_of(struct missing *missing, const struct health_shared *shared,
                                    int64_t clock)
{
    struct missing_slot *free_slot = NULL;
    for (size_t i = 0; i < HEALTH_SHARED_MAX; i++) {
        struct missing_slot *slot = &missing->slots[i];
        if (slot->key == shared->key)
            return slot;
        if (slot->key == 0 || (!slot->found && slot->last_update < clock))
            if (!free_slot ||
                (free_slot->key && (slot->key == 0 || slot->last_update < free_slot->last_update)))
                free_slot = slot;
    }
    if (!free_slot)
        return NULL;
    memset(free_slot, 0, sizeof(*free_slot));
    free_slot->key = shared->key;
    free_slot->proto = shared->proto;
    free_slot->port = shared->port;
    free_slot->last_missed = clock;
    return free_slot;
}

static void name_peer(struct missing_slot *slot, const char *peer)
{
    size_t size = peer ? strnlen(peer, sizeof(slot->peer) - 1) : 0;
    if (size)
        memcpy(slot->peer, peer, size);
    slot->peer[size] = '\0';
}

void missing_update(struct missing *missing, const struct missing_input *input)
{
    const struct health_totals *totals = input->totals;
    size_t n = totals->n_shared < HEALTH_SHARED_MAX ? totals->n_shared : HEALTH_SHARED_MAX;
    if (!totals->shared)
        n = 0;
    /* The sums have no directions: they say nothing of a mirror that has one. */
    if (input->expects[0] && input->expects[1]) {
        uint64_t both = totals->n_shared_both;
        struct health_shared all = {
            .n_there = {totals->n_shared_there},
            .n_both = {both},
            .n_only_here = {totals->n_shared_here > both ? totals->n_shared_here - both : 0},
            .missing_bytes = {totals->shared_missing_bytes},
            .alone_bytes = {totals->shared_alone_bytes},
        };
        update_slot(&missing->all, true, &all, input);
        if (missing->all.score == 0 || totals->peer)
            name_peer(&missing->all, totals->peer);
    } else {
        start_over(&missing->all);
        missing->all.is_primed = false;
    }
    for (size_t i = 0; i < n; i++) {
        struct missing_slot *slot = slot_of(missing, &totals->shared[i], input->clock);
        if (!slot)
            continue;
        name_peer(slot, totals->shared[i].peer);
        update_slot(slot, false, &totals->shared[i], input);
    }
    for (size_t i = 0; i < HEALTH_SHARED_MAX; i++) {
        struct missing_slot *slot = &missing->slots[i];
        if (slot->key && input->clock - slot->last_missed > FORGET_AFTER)
            slot->found = false;
        if (slot->key && input->clock - slot->last_update > SLOT_IDLE_AFTER)
            memset(slot, 0, sizeof(*slot));
    }
}

static double n_missing(const struct missing_slot *slot)
{
    return slot->n_missing[0] + slot->n_missing[1];
}

/* A peer of whose packets nearly none are shown says more than one of its services; else the
 * service says what is hidden. */
static bool is_graver(const struct missing_slot *slot, const struct missing_slot *than)
{
    bool whole = slot->proto == 0 && n_missing(slot) >= 0.9 * slot->n_there;
    bool than_whole = than->proto == 0 && n_missing(than) >= 0.9 * than->n_there;
    if (whole != than_whole)
        return whole;
    if (!whole && (slot->proto != 0) != (than->proto != 0))
        return slot->proto != 0;
    return n_missing(slot) > n_missing(than);
}

static double share_of(const struct missing_slot *slot)
{
    return slot->n_there > 0 ? n_missing(slot) / slot->n_there : 0;
}

/* As much is missing of everything: a mirror that has too little room, not one that hides. */
static bool is_like_all(const struct missing *missing, const struct missing_slot *slot)
{
    double all = share_of(&missing->all), share = share_of(slot);
    return share < SHARE_WHOLE && all < SHARE_WHOLE && share < 3 * all;
}

bool missing_found(const struct missing *missing, struct missing_finding *out)
{
    const struct missing_slot *worst = NULL;
    bool knows_services = false;
    for (size_t i = 0; i < HEALTH_SHARED_MAX; i++) {
        const struct missing_slot *slot = &missing->slots[i];
        knows_services = knows_services || slot->key != 0;
        if (slot->key && slot->found && !is_like_all(missing, slot) &&
            (!worst || is_graver(slot, worst)))
            worst = slot;
    }
    /* Some of everything is loss; where nobody says of what, a clear step has to be enough. */
    if (!worst && missing->all.found && !knows_services)
        worst = &missing->all;
    if (!worst)
        return false;
    double n = n_missing(worst);
    *out = (struct missing_finding){
        .peer = worst->peer,
        .proto = worst->proto,
        .port = worst->port,
        .n_missing = (uint64_t)n,
        .n_there = (uint64_t)worst->n_there,
        .sends = worst->n_missing[0] > 0,
    };
    return true;
}
