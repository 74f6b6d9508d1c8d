/* The verdict over one machine: what was learned of its traffic, when a canary is due, and what
 * state follows; see health.h. What it says about each state is in health_words.c.
 *
 * All spans are measured on a clock of its own that follows `ticks`, but takes no step of more
 * than a second for more than a second: after a suspended host nobody was silent for hours. */
#include "source/health.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "source/health_state.h"

#define NS NS_PER_SECOND

#define LEARN_SPAN   (600 * NS) /* the usual rate is an average over this */
#define FAST_SPAN    (5 * NS)
#define BUSY_SPAN    (30 * NS)
#define GAP_LIFE     (6 * 3600 * NS) /* a long gap is forgotten over this */
#define FREEZE_AFTER (60 * NS)       /* a rate is not unlearned by silence */
#define MAX_STEP     NS

#define NEW_FOR       (10 * NS)
#define LITTLE_AFTER  (5 * NS) /* nothing heard for so long is too little */
#define STOPPED_AFTER (2 * NS) /* for a busy one */
#define QUIET_AFTER   (60 * NS)
#define UNKNOWN_AFTER (30 * NS)
#define LONG_UNKNOWN  (90 * NS) /* even if not enough canaries were sent meanwhile */
#define STEADY_GAP    (5 * NS)  /* who never was quiet for longer is steady */
#define STEADY_FOR    (120 * NS)
#define CLOCK_STEP    NS

/* Six probes in a row: one lost in twenty makes a false alarm in 60 million. */
#define TRY_AT_MOST 10          /* canaries that try the way to a busy machine out */
#define PROOF_LIFE  (3600 * NS) /* after so long the way to a busy machine is tried out again */
#define SERIES      6

static uint64_t random_next(struct health *health)
{
    uint64_t z = health->seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* Between `low` and `high` of the span. */
static int64_t jitter(struct health *health, int64_t span, double low, double high)
{
    double unit = (double)(random_next(health) >> 11) / (double)(1ull << 53);
    return (int64_t)((double)span * (low + (high - low) * unit));
}

struct health *health_new(const struct health_options *options, int64_t now)
{
    struct health *health = calloc(1, sizeof(*health));
    if (!health)
        return NULL;
    health->options = *options;
    if (health->options.canary_interval <= 0)
        health->options.canary_interval = 30 * NS;
    health->seed = options->seed;
    if (health->seed == 0 && getrandom(&health->seed, sizeof health->seed, 0) < 0)
        health->seed = (uint64_t)now; /* timing only */
    health->since = now;
    health->state = HEALTH_NEW;
    health->recent.lacking_since = INT64_MIN;
    health->next_canary = jitter(health, health->options.canary_interval, 0.02, 0.3);
    return health;
}

void health_free(struct health *health)
{
    free(health);
}

bool health_is_bad(enum health_state state)
{
    return state >= HEALTH_TRUNCATED;
}

int64_t health_gap(const struct health *health)
{
    return health->clock - (health->ever_heard ? health->last_heard : 0);
}

static bool was_steady(const struct health *health)
{
    return health->heard_for >= STEADY_FOR && health->was_busy &&
           health->longest_gap <= (double)STEADY_GAP;
}

/* Averages over the last `span`, and over all there is while that is less. */
static void average(double *value, double sample, int64_t age, int64_t span, int64_t step)
{
    if (age < span)
        span = age > step ? age : step;
    *value += (sample - *value) * (double)step / (double)span;
}

static void learn(struct health *health, const struct health_totals *totals, int64_t step)
{
    uint64_t packets = totals->n_packets - health->last.n_packets;
    uint64_t bytes = totals->n_bytes - health->last.n_bytes;
    bool heard = totals->n_packets > health->last.n_packets;
    health->heard_now = heard;
    health->longest_gap *= 1 - (double)step / (double)GAP_LIFE;
    if (heard) {
        double gap = (double)(health->clock - health->last_heard);
        if (health->ever_heard && gap > health->longest_gap)
            health->longest_gap = gap;
        if (!health->ever_heard)
            health->first_heard = health->clock;
        health->ever_heard = true;
        health->last_heard = health->clock;
    }
    if (!health->ever_heard || step <= 0)
        return;
    if (!heard)
        packets = bytes = 0;
    int64_t age = health->clock - health->first_heard + step;
    double seconds = (double)step / (double)NS;
    average(&health->fast_packets, (double)packets / seconds, age, FAST_SPAN, step);
    average(&health->busy, heard ? 1 : 0, BUSY_SPAN, BUSY_SPAN, step);
    if (health_gap(health) < (health->was_busy ? STOPPED_AFTER : FREEZE_AFTER)) {
        health->heard_for += step;
        int64_t learned = health->heard_for;
        average(&health->usual_bytes, (double)bytes / seconds, learned, LEARN_SPAN, step);
        average(&health->usual_packets, (double)packets / seconds, learned, LEARN_SPAN, step);
    }
    if (heard)
        health->was_busy = health->busy > 0.5;
}

/* Much less than usual counts as little, of a machine that usually says much. */
static bool is_little(const struct health *health)
{
    if (health_gap(health) >= LITTLE_AFTER)
        return true;
    return health->usual_packets > 5 && health->fast_packets < health->usual_packets / 20;
}

static int64_t spacing(struct health *health)
{
    static const int64_t idle[SERIES] = {1, 1, 2, 4, 8, 12};
    if (health->is_urgent)
        return jitter(health, NS, 0.4, 0.7);
    unsigned int n = health->n_series < SERIES ? health->n_series : SERIES - 1;
    return jitter(health, idle[n] * NS, 0.9, 1.2);
}

/* A busy machine needs no canary; but when it stops, only one that came back before proves
 * anything. So it is tried out, and again from time to time: ways and firewalls change. */
static bool is_untried(const struct health *health, const struct canary_state *canary)
{
    if (!canary->ever_came_back)
        return canary->n_missed_in_row < TRY_AT_MOST ||
               health->clock - health->last_try > PROOF_LIFE;
    return health->clock - health->last_back > PROOF_LIFE &&
           health->clock - health->last_try > PROOF_LIFE / 6;
}

/* `seen` is the canary's state at this call. Gives whether one is due; the series counts it. */
static bool canary_due(struct health *health, const struct canary_state *canary)
{
    int64_t interval = health->options.canary_interval;
    if (canary->n_back > health->n_back) {
        health->n_series = 0;
        health->next_canary = health->clock + jitter(health, interval, 0.6, 1.4);
    }
    if (!canary->enabled)
        return false;
    if (health->heard_now)
        health->stop_probed = false;
    bool stopped = health->was_busy && health->ever_heard && !health->stop_probed &&
                   health_gap(health) >= STOPPED_AFTER + (int64_t)(health->seed % (NS / 2));
    bool little = is_little(health);
    bool in_series = health->stop_probed && health_gap(health) >= STOPPED_AFTER;
    if (!little && !stopped && !in_series) {
        health->n_series = 0;
        health->was_little = false;
        if (!health->ever_heard || health->clock < health->next_canary ||
            !is_untried(health, canary))
            return false;
        health->next_canary = health->clock + jitter(health, interval, 0.6, 1.4);
        health->last_try = health->clock;
        return true;
    }
    if (little && !health->was_little && health->n_series == 0 &&
        health->next_canary < health->clock)
        health->next_canary = health->clock + jitter(health, interval, 0.05, 0.5);
    health->was_little = little;
    if (stopped) {
        health->is_urgent = true;
        health->stop_probed = true;
        health->n_series = 0;
        health->next_canary = health->clock;
    }
    if (health->clock < health->next_canary)
        return false;
    if (health->n_series == 0 && !stopped)
        health->is_urgent = false;
    health->n_series++;
    /* One that never came back proves nothing; a series of it tells at most that a host is gone. */
    bool again = (canary->ever_came_back || health->is_urgent) && health->n_series < SERIES;
    health->next_canary =
        health->clock + (again ? spacing(health) : jitter(health, interval, 0.6, 1.4));
    return true;
}

/* Counted since something was last heard: what was missed among traffic says nothing of silence. */
static uint32_t missed_in_silence(struct health *health, const struct canary_state *canary)
{
    if (health->heard_now || canary->n_missed_in_row < health->missed_before)
        health->missed_before = canary->n_missed_in_row;
    return canary->n_missed_in_row - health->missed_before;
}

static bool is_unknown(const struct health *health, const struct canary_state *canary)
{
    int64_t gap = health_gap(health);
    if (gap < UNKNOWN_AFTER && !(was_steady(health) && gap >= 2 * UNKNOWN_AFTER / 3))
        return false;
    if (!canary->enabled)
        return true;
    if (canary->ever_came_back)
        /* It is being probed, or nobody sends what is asked for. */
        return health->clock - health->last_back > 4 * health->options.canary_interval;
    if (canary->n_missed_in_row >= (was_steady(health) ? SERIES : 2u))
        return true;
    return gap >= LONG_UNKNOWN;
}

/* Latches what only traffic, or a canary, can end. */
static void update_silence(struct health *health, const struct canary_state *canary)
{
    uint32_t missed = missed_in_silence(health, canary);
    bool back = canary->n_back > health->n_back;
    if (back) {
        health->last_back = health->clock;
        health->missed_before = canary->n_missed_in_row;
        missed = 0;
    }
    if (health->heard_now || back) {
        if (health->is_silent)
            health->missed_in_silence = canary->n_missed_in_row;
        health->is_silent = health->is_unknown = health->is_stopped = false;
    } else if (canary->ever_came_back && missed >= SERIES) {
        health->is_silent = true;
        health->is_unknown = false;
    }
    if (!health->is_silent && !health->heard_now && !back && is_unknown(health, canary))
        health->is_unknown = true;
    /* Steady once, and now longer quiet than four times its longest gap. */
    int64_t silence = health_gap(health);
    double gap = (double)silence;
    if (health->is_unknown && was_steady(health) && gap > 4 * health->longest_gap)
        health->is_stopped = true;
    /* Alive, heard a little, and not the canary: its mirror lets only something through. */
    if (canary->n_missed_in_row < health->missed_in_silence)
        health->missed_in_silence = 0;
    bool filtered = canary->ever_came_back &&
                    canary->n_missed_in_row - health->missed_in_silence >= SERIES &&
                    canary->answer == CANARY_REPLIED && is_little(health);
    if (filtered && !health->is_silent && health->ever_heard && silence < QUIET_AFTER)
        health->is_filtered = true;
    else if (back || !is_little(health))
        health->is_filtered = false;
}

static enum health_state judge(struct health *health, const struct canary_state *canary)
{
    const struct health_recent *recent = &health->recent;
    health->has_finding = missing_found(&health->missing, &health->finding);
    if (health->is_silent)
        return HEALTH_SILENT;
    if (health->has_finding || health->is_filtered)
        return HEALTH_MUTED;
    if (recent->one_sided)
        return HEALTH_ONE_SIDED;
    if (recent->dropping)
        return HEALTH_DROPPING;
    if (recent->truncated)
        return HEALTH_TRUNCATED;
    if (health->is_unknown)
        return HEALTH_UNKNOWN;
    if (health_gap(health) >= QUIET_AFTER && canary->ever_came_back)
        return HEALTH_QUIET;
    if (!health->ever_heard && canary->ever_came_back)
        return HEALTH_QUIET;
    if (!health->ever_heard || health->clock - health->first_heard < NEW_FOR)
        return HEALTH_NEW;
    return HEALTH_OK;
}

static int64_t advance(struct health *health, int64_t now, int64_t ticks, int64_t *out_step)
{
    *out_step = 0;
    int64_t step = health->is_started ? ticks - health->last_ticks : 0;
    if (health->is_started) {
        int64_t off = now - health->last_now - step;
        if (off > CLOCK_STEP || off < -CLOCK_STEP)
            *out_step = off;
    }
    health->is_started = true;
    health->last_ticks = ticks;
    health->last_now = now;
    health->since += *out_step;
    step = step < 0 ? 0 : step > MAX_STEP ? MAX_STEP : step;
    health->clock += step;
    return step;
}

static uint64_t grown(uint64_t now, uint64_t last)
{
    return now > last ? now - last : 0;
}

void health_update(struct health *health, const char *name, const struct health_totals *totals,
                   const struct canary_state *canary, int64_t now, int64_t ticks,
                   struct health_verdict *out)
{
    int64_t clock_step;
    int64_t step = advance(health, now, ticks, &clock_step);
    learn(health, totals, step);
    health_recent_update(health, totals);
    if (health->options.expects_copies) {
        bool both = health->options.expects_both_directions;
        bool is_new = health->recent.out == 0 && health->recent.in == 0;
        struct missing_input input = {
            .totals = totals,
            /* A direction that its mirror never had is not missed packet by packet. */
            .expects = {both ? !health->recent.one_sided || health->recent.out > 0
                             : health->recent.out > 0 || is_new,
                        both ? !health->recent.one_sided || health->recent.in > 0
                             : health->recent.in > 0 || is_new},
            .n_dropped = grown(totals->n_dropped, health->last.n_dropped) +
                         grown(totals->n_lost, health->last.n_lost),
            .clock = health->clock,
        };
        missing_update(&health->missing, &input);
    }
    update_silence(health, canary);
    bool due = canary_due(health, canary);
    health->n_back = canary->n_back;
    health->last = *totals;
    health->last.shared = NULL;
    health->last.peer = NULL;

    enum health_state state = judge(health, canary);
    bool is_bad = health_is_bad(state) || (state == HEALTH_UNKNOWN && health->is_stopped);
    bool changed = state != health->state || is_bad != health->is_bad;
    if (state != health->state)
        health->since = now;
    health->state = state;
    health->is_bad = is_bad;
    *out = (struct health_verdict){
        .state = state,
        .since = health->since,
        .changed = changed,
        .is_bad = is_bad,
        .wants_canary = due,
        .clock_step = clock_step,
        .usual_bytes_per_second = health->usual_bytes,
    };
    health_words(health, name, totals, canary, out->reason, sizeof(out->reason));
}
