/* Shares under overload: see fairness.h. The kernel's drops say that there is too much, and what
 * was taken meanwhile, how much is possible: the budget is somewhat less than that. Without drops
 * it grows slowly, until it drops again (then the next try comes twice as late) or all fits in. */
#include "sensor/fairness.h"

#define SECOND         1000000000ll
#define SMOOTH         (SECOND / 2)
#define SHARE_BEGIN    0.01 /* of what comes: two steps of that are an overload */
#define SHARE_AT_ONCE  0.10 /* or one of that */
#define SHARE_MORE     0.002
#define CUT            0.80   /* of what could be taken */
#define CUT_AGAIN      SECOND /* buffers run empty first */
#define MATTERS        8      /* known ones cost so many times as much as others */
#define LEAST          0.05   /* of what comes is taken, whatever happens */
#define GROWTH         0.10   /* a second */
#define FITS           1.25   /* times what comes: it is over */
#define PATIENCE_FIRST (2 * SECOND)
#define PATIENCE_LAST  (60 * SECOND)
#define RAISE_EVERY    (SECOND / 2)
#define RAISE_OVER     1.05 /* times the next step: that is not left again at once */

/* Steps, so that few connections change sides when a rate wavers. */
static const uint16_t levels[] = {256, 224, 192, 160, 128, 96, 64, 48, 32,
                                  24,  16,  12,  8,   6,   4,  3,  2,  1};
#define N_LEVELS (sizeof levels / sizeof *levels)

static double grown(uint64_t now, uint64_t before)
{
    return now > before ? (double)(now - before) : 0;
}

struct sums {
    double seen, taken, rate; /* packets a second */
    double others, dropped;   /* of nobody known, and by the kernel, of all */
};

/* What the kernel dropped was everybody's, as what is seen is. */
static void update_rates(struct fairness_sender *senders, size_t n, double seconds,
                         struct sums *sums)
{
    double all = sums->others;
    for (size_t i = 0; i < n; i++)
        if (senders[i].has_last)
            all += grown(senders[i].n_seen, senders[i].last_seen) / seconds;
    double sent = all > 0 ? 1 + sums->dropped / all : 1; /* times what is seen */
    double weight = seconds / (seconds + (double)SMOOTH / SECOND);
    for (size_t i = 0; i < n; i++) {
        struct fairness_sender *s = &senders[i];
        if (s->has_last) {
            double seen = grown(s->n_seen, s->last_seen) / seconds;
            double left_out = grown(s->n_left_out, s->last_left_out) / seconds;
            s->rate += (seen * sent - s->rate) * weight;
            sums->seen += seen;
            sums->taken += seen > left_out ? seen - left_out : 0;
        }
        s->has_last = true;
        s->last_seen = s->n_seen;
        s->last_left_out = s->n_left_out;
        sums->rate += s->rate;
    }
}

/* ---- how much is taken together ---- */

static void begin_overload(struct fairness *f, const struct sums *sums, int64_t ticks)
{
    f->is_overloaded = true;
    f->budget = CUT * sums->taken;
    f->cut = f->dropped = ticks;
    f->grew = false;
    if (f->patience == 0)
        f->patience = PATIENCE_FIRST;
}

static void go_on(struct fairness *f, const struct sums *sums, double share, double seconds,
                  int64_t ticks)
{
    if (share > SHARE_MORE) {
        f->dropped = ticks;
        if (ticks - f->cut < CUT_AGAIN)
            return;
        if (f->grew)
            f->patience = 2 * f->patience < PATIENCE_LAST ? 2 * f->patience : PATIENCE_LAST;
        f->grew = false;
        f->budget = CUT * (sums->taken < f->budget ? sums->taken : f->budget);
        f->cut = ticks;
    } else if (ticks - f->dropped >= f->patience) {
        f->budget *= 1 + GROWTH * seconds;
        f->grew = true;
    }
    if (f->budget < LEAST * sums->rate)
        f->budget = LEAST * sums->rate;
    if (f->budget >= FITS * sums->rate)
        f->is_overloaded = false;
}

/* Where nearly all that comes is of nobody known, it would not help if known ones gave way. */
static void update_budget(struct fairness *f, const struct sums *sums, double seconds,
                          int64_t ticks)
{
    double all = sums->dropped + sums->seen + sums->others;
    bool helps = MATTERS * sums->seen >= sums->others;
    double share = helps && sums->dropped > 0 ? sums->dropped / all : 0;
    if (f->is_overloaded) {
        go_on(f, sums, share, seconds, ticks);
        return;
    }
    f->n_steps_dropping = share > SHARE_BEGIN ? f->n_steps_dropping + 1 : 0;
    if (f->n_steps_dropping >= 2 || share > SHARE_AT_ONCE)
        begin_overload(f, sums, ticks);
    else if (ticks - f->dropped >= PATIENCE_LAST)
        f->patience = 0; /* long ago */
}

/* ---- and of whom ---- */

/* The level to which the largest are brought down, so that all together fit in. */
static double level_of(const struct fairness_sender *senders, size_t n, double budget)
{
    double low = 0, high = budget;
    for (int turn = 0; turn < 40; turn++) {
        double level = (low + high) / 2, sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += senders[i].rate < level ? senders[i].rate : level;
        if (sum > budget)
            high = level;
        else
            low = level;
    }
    return low;
}

static void set_keep(struct fairness_sender *s, double share, int64_t ticks)
{
    uint16_t now = s->keep ? s->keep : FAIRNESS_ALL;
    size_t at = 0;
    while (at + 1 < N_LEVELS && levels[at] > share * FAIRNESS_ALL)
        at++;
    if (levels[at] < now) {
        now = levels[at];
        s->changed = ticks;
    } else if (levels[at] > now && ticks - s->changed >= RAISE_EVERY) {
        size_t next = N_LEVELS - 1;
        while (levels[next] <= now)
            next--;
        if (share < 1 && share * FAIRNESS_ALL < RAISE_OVER * levels[next])
            return;
        now = levels[next]; /* a step at a time */
        s->changed = ticks;
    }
    s->keep = now;
}

void fairness_step(struct fairness *f, struct fairness_sender *senders, size_t n, uint64_t n_others,
                   uint64_t n_dropped, int64_t ticks)
{
    int64_t span = ticks - f->last;
    if (f->has_last && span <= 0)
        return;
    double seconds = f->has_last ? (double)span / SECOND : 1;
    struct sums sums = {.others = 0};
    if (f->has_last) {
        sums.others = grown(n_others, f->last_others) / seconds;
        sums.dropped = grown(n_dropped, f->last_dropped) / seconds;
    }
    update_rates(senders, n, seconds, &sums);
    if (f->has_last)
        update_budget(f, &sums, seconds, ticks);
    f->has_last = true;
    f->last = ticks;
    f->last_others = n_others;
    f->last_dropped = n_dropped;
    double level = f->is_overloaded ? level_of(senders, n, f->budget) : 0;
    for (size_t i = 0; i < n; i++) {
        struct fairness_sender *s = &senders[i];
        double share = f->is_overloaded && s->rate > level ? level / s->rate : 1;
        if (f->rate_limit > 0 && share * s->rate > f->rate_limit) {
            share = f->rate_limit / s->rate;
            s->by_limit = true;
        } else if (share < 1) {
            s->by_limit = false;
        }
        set_keep(s, share, ticks);
        s->by_limit = s->by_limit && s->keep < FAIRNESS_ALL;
    }
}
