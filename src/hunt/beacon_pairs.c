/* Which series of events are judged: of every name its connections, or its requests where one
 * connection carries many; of every address the connections that no name explains. So a beacon is
 * told once, and one to an address that others reach by its name is told too. */
#include <stddef.h>
#include <stdlib.h>

#include "hunt/beacon.h"
#include "hunt/gather.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_MS    INT64_C(86400000)
#define LOOK_BACK (7 * DAY_MS) /* where a day has too few check-ins */
#define NAMES_MAX 16           /* of one address, whose connections are taken off */

/* Connections by address that are the same as connections by name; by src and dst. */
struct same {
    struct same_key key;
    uint64_t n;
};

struct walk {
    const struct hunt_judge *judge;
    const struct beacon_settings *settings;
    bool failed;
    uint64_t *wanted;   /* a bit for each hash of a pair that may be judged; NULL: all may */
    struct gather same; /* struct same, of such pairs */
};

/* ---- which pairs may be judged: few, so that of few it must be known what names they have ---- */

#define WANTED_BITS (1u << 23)

static uint64_t *wanted_word(const struct walk *walk, const struct hunt_host *src,
                             const struct hunt_host *dst, uint64_t *out_bit)
{
    uint64_t hash = XXH3_64bits_withSeed(dst, sizeof(*dst), XXH3_64bits(src, sizeof(*src)));
    *out_bit = UINT64_C(1) << hash % 64;
    return &walk->wanted[(hash >> 32) % (WANTED_BITS / 64)];
}

static bool is_due(const struct walk *walk, const struct pair_sum *sum)
{
    const struct hunt_judge *judge = walk->judge;
    if (sum->last < judge->from || sum->first > judge->to || sum->touched < judge->since_round)
        return false;
    return walk->settings->inside || sum->way != HUNT_INSIDE;
}

static bool may_be_judged(const struct walk *walk, const struct pair_sum *sum)
{
    return (walk->failed ? sum->n_failed : sum->n) >= walk->settings->checkins && is_due(walk, sum);
}

static void want(void *with, const void *key, const void *value)
{
    const struct walk *walk = with;
    const struct pair_value *pair = value;
    struct pair_key ends;
    uint64_t bit;
    if (!may_be_judged(walk, &pair->sum))
        return;
    memcpy(&ends, key, sizeof(ends));
    uint64_t *word = wanted_word(walk, &ends.src, &ends.dst, &bit);
    __atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

static void same_add(void *with, const void *key, const void *value)
{
    struct walk *walk = with;
    struct same same = {.n = ((const struct same_value *)value)->n};
    uint64_t bit;
    memcpy(&same.key, key, sizeof(same.key));
    if (same.n > 0 &&
        (!walk->wanted || *wanted_word(walk, &same.key.src, &same.key.dst, &bit) & bit))
        (void)gather_add(&walk->same, &same); /* what is left out is counted by it */
}

static int by_pair(const void *a, const void *b)
{
    return memcmp(a, b, offsetof(struct same_key, name));
}

static int by_pair_and_name(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct same_key));
}

static const struct same *same_of(const struct walk *walk, const struct pair_key *key,
                                  size_t *out_n, uint64_t *out_sum)
{
    const struct same *all = (const void *)walk->same.items;
    size_t low = 0;
    size_t high = walk->same.n;
    struct same wanted = {.key = {.src = key->src, .dst = key->dst}};
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_pair(&all[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_n = 0;
    *out_sum = 0;
    while (low + *out_n < walk->same.n && by_pair(&all[low + *out_n], &wanted) == 0)
        *out_sum += all[low + (*out_n)++].n;
    return all ? all + low : NULL;
}

/* ---- events ---- */

static bool events_of(const struct walk *walk, const struct book_table *table, const void *key,
                      unsigned series, struct book_event **out, size_t *out_n)
{
    const struct hunt_judge *judge = walk->judge;
    int64_t from = judge->to - LOOK_BACK < judge->from ? judge->to - LOOK_BACK : judge->from;
    /* The newest record is of the window too. */
    return books_events(&judge->books, table, key, series, from, judge->to + 1, out, out_n);
}

static int by_event(const void *a, const void *b)
{
    const struct book_event *x = a;
    const struct book_event *y = b;
    if (x->ts != y->ts)
        return x->ts < y->ts ? -1 : 1;
    if (x->duration != y->duration)
        return x->duration < y->duration ? -1 : 1;
    if (x->up != y->up)
        return x->up < y->up ? -1 : 1;
    return (x->down > y->down) - (x->down < y->down);
}

/* Takes `less` off `events`, both by by_event; gives how many are left. */
static size_t events_without(struct book_event *events, size_t n, const struct book_event *less,
                             size_t n_less)
{
    size_t kept = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        while (k < n_less && by_event(&less[k], &events[i]) < 0)
            k++;
        if (k < n_less && by_event(&less[k], &events[i]) == 0) {
            k++;
            continue;
        }
        events[kept++] = events[i];
    }
    return kept;
}

/* Takes the connections off that are known by name. */
static size_t leave_names(const struct walk *walk, const struct pair_key *key,
                          const struct same *same, size_t n_same, struct book_event *events,
                          size_t n)
{
    qsort(events, n, sizeof(*events), by_event);
    for (size_t i = 0; i < n_same && i < NAMES_MAX; i++) {
        struct named_key named = {.name = same[i].key.name, .src = key->src};
        struct book_event *less;
        size_t n_less;
        if (!events_of(walk, &named_table, &named, NAMED_CONNS, &less, &n_less))
            continue;
        qsort(less, n_less, sizeof(*less), by_event);
        n = events_without(events, n, less, n_less);
        free(less);
    }
    return n;
}

/* ---- judging ---- */

enum choice { ANSWERED, FAILED, ALL };

static size_t choose(const struct book_event *events, size_t n, enum choice choice, int64_t from,
                     struct timing_event *out)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        bool wanted = choice == ALL || events[i].failed == (choice == FAILED);
        if (!wanted || events[i].ts < from)
            continue;
        out[n_out++] =
            (struct timing_event){.ts = events[i].ts, .up = events[i].up, .down = events[i].down};
    }
    return n_out;
}

static void judge_chosen(const struct walk *walk, const struct timing_event *chosen, size_t n,
                         int64_t from, struct beacon *out)
{
    struct timing timing;
    if (n < walk->settings->checkins)
        return;
    timing_judge(chosen, n, from, walk->judge->to, &timing);
    if (timing.score > out->timing.score) {
        out->timing = timing;
        out->from = from;
    }
}

/* The window first; where that has too little, the week. `events` by time. */
static void judge_events(const struct walk *walk, const struct book_event *events, size_t n,
                         struct beacon *out)
{
    const struct hunt_judge *judge = walk->judge;
    struct timing_event *chosen = malloc((n ? n : 1) * sizeof(*chosen));
    if (!chosen)
        return;
    double sure = walk->settings->sure / 100.0;
    /* A request that was refused is a check-in as well: many a server answers with 404. */
    enum choice choice = out->requests ? ALL : walk->failed ? FAILED : ANSWERED;
    size_t n_chosen = choose(events, n, choice, judge->from, chosen);
    judge_chosen(walk, chosen, n_chosen, judge->from, out);
    if (out->timing.score < sure && n > 0 && events[0].ts < judge->from) {
        size_t n_week = choose(events, n, choice, INT64_MIN, chosen);
        judge_chosen(walk, chosen, n_week, events[0].ts, out);
    }
    /* A server that fails now and then: neither part is regular, all of them are. */
    if (out->timing.score < sure && choice == ANSWERED && n_chosen >= 3) {
        size_t n_all = choose(events, n, ALL, judge->from, chosen);
        if (n_all > n_chosen)
            judge_chosen(walk, chosen, n_all, judge->from, out);
    }
    free(chosen);
}

static bool is_beacon(const struct walk *walk, const struct beacon *beacon)
{
    return beacon->timing.score * 100 >= walk->settings->sure &&
           beacon->timing.n_checkins >= walk->settings->checkins;
}

static void each_pair(void *with, const void *key_, const void *value_)
{
    const struct walk *walk = with;
    const struct pair_value *value = value_;
    struct pair_key key;
    memcpy(&key, key_, sizeof(key));
    if (!may_be_judged(walk, &value->sum))
        return;
    struct beacon beacon = {.sum = &value->sum, .failed = walk->failed};
    size_t n_same;
    const struct same *same = same_of(walk, &key, &n_same, &beacon.n_named);
    /* Without knowing all names, what may be known by name is not judged by address. */
    if (beacon.n_named + walk->settings->checkins > value->sum.n ||
        (beacon.n_named > 0 && walk->same.n_left_out > 0))
        return;
    struct book_event *events = NULL;
    size_t n;
    if (!events_of(walk, &pair_table, &key, PAIR_CONNS, &events, &n))
        return;
    if (n_same > 0)
        n = leave_names(walk, &key, same, n_same, events, n);
    judge_events(walk, events, n, &beacon);
    if (is_beacon(walk, &beacon)) {
        struct finding finding;
        finding_init(&finding, walk->judge->hunt);
        finding_of_pair(walk->judge, &finding, &key, value);
        beacon.events = events;
        beacon.n_events = n;
        beacon_tell(walk->judge, &beacon, &finding);
        findings_add(walk->judge->findings, &finding);
    }
    free(events);
}

static void each_named(void *with, const void *key_, const void *value_)
{
    const struct walk *walk = with;
    const struct named_value *value = value_;
    struct named_key key;
    memcpy(&key, key_, sizeof(key));
    if (!is_due(walk, &value->sum))
        return;
    uint64_t n_conns = walk->failed ? value->sum.n_failed : value->sum.n;
    struct beacon best = {.sum = &value->sum, .failed = walk->failed};
    struct book_event *best_events = NULL;
    /* Many requests to a connection: the requests are the check-ins. */
    bool many = !walk->failed && value->n_requests > value->sum.n + value->sum.n / 4 + 2;
    for (unsigned series = NAMED_CONNS; series <= NAMED_REQUESTS; series++) {
        uint64_t n_wanted = series == NAMED_CONNS ? n_conns : many ? value->n_requests : 0;
        struct book_event *events = NULL;
        size_t n;
        if (n_wanted < walk->settings->checkins ||
            !events_of(walk, &named_table, &key, series, &events, &n))
            continue;
        struct beacon beacon = {.sum = &value->sum, .failed = walk->failed, .series = series};
        beacon.requests = series == NAMED_REQUESTS;
        judge_events(walk, events, n, &beacon);
        if (beacon.timing.score > best.timing.score ||
            (beacon.timing.score == best.timing.score &&
             beacon.timing.evidence > best.timing.evidence)) {
            free(best_events);
            best = beacon;
            best_events = events;
            best.events = events;
            best.n_events = n;
        } else {
            free(events);
        }
    }
    if (is_beacon(walk, &best)) {
        struct finding finding;
        finding_init(&finding, walk->judge->hunt);
        finding_of_named(walk->judge, &finding, &key, value);
        finding.events_series = best.series;
        best.name = books_text(&walk->judge->books, key.name);
        beacon_tell(walk->judge, &best, &finding);
        findings_add(walk->judge->findings, &finding);
    }
    free(best_events);
}

void beacon_judge(const struct hunt_judge *judge, bool failed)
{
    struct walk walk = {.judge = judge, .settings = judge->settings, .failed = failed};
    walk.wanted = calloc(WANTED_BITS / 64, sizeof(*walk.wanted));
    gather_init(&walk.same, sizeof(struct same), SIZE_MAX / sizeof(struct same));
    if (walk.wanted)
        books_each(&judge->books, &pair_table, judge->n_threads, want, &walk);
    books_each(&judge->books, &same_table, judge->n_threads, same_add, &walk);
    gather_sort(&walk.same, by_pair_and_name);
    books_each(&judge->books, &named_table, judge->n_threads, each_named, &walk);
    books_each(&judge->books, &pair_table, judge->n_threads, each_pair, &walk);
    gather_done(&walk.same);
    free(walk.wanted);
}
