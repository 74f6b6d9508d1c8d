/* The control thread's side of the witness: sums over the workers, settles what is missing, and
 * finds for each machine the lines of which most was missing lately. See witness.h.
 *
 * For one direction, let F be the first sights by one machine's mirror and C the copies that the
 * other's showed of them. Of the first sights of N_AGO collections ago every copy has come, so at
 * least F(then) - C(now) are missing for good; the most this ever was is what is counted. C cannot
 * honestly be so large that this falls below the most by more than what was first seen since: if it
 * is, one mirror shows its packets twice, and the surplus is taken off. */
#include <stdlib.h>

#include "source/witness_table.h"

#define N_LINES     8192 /* a power of two */
#define N_PROBES    16
#define N_AGO       4    /* a second: the window, and what may wait in a socket meanwhile */
#define IDLE_AFTER  2400 /* collections: ten minutes */
#define RECENT_KEPT 0.98 /* of each collection's share in the next: about 12 s */

/* Packets, or bytes. */
struct tally {
    uint64_t first[2][2]; /* [direction][by], totals */
    uint64_t copies[2][2];
    uint64_t first_ago[N_AGO][2][2]; /* the same, 1 … N_AGO collections ago */
    uint64_t copies_ago[N_AGO][2][2];
    uint64_t there[2][2]; /* [direction][machine]: what the other's mirror showed */
    uint64_t missing[2][2];
    uint64_t surplus[2][2];
};

struct line {
    uint64_t key; /* 0: free */
    struct tally packets, bytes;
    double recent[2], recent_there[2]; /* [machine]: missing, shown by the other; fading */
    uint32_t used;                     /* collection */
    uint32_t generation;
};

struct last {
    uint64_t key;
    uint32_t n[8], bytes[8];
    uint32_t generation;
};

struct of_machine {
    uint64_t here, there, both;
    uint64_t missing_bytes, alone_bytes;
    uint32_t top[HEALTH_SHARED_MAX]; /* lines */
    uint32_t n_top;
};

struct witness_book {
    size_t n_workers;
    uint16_t max_machine;
    uint32_t n_collections;
    struct last *last; /* by worker and slot */
    struct line *lines;
    struct of_machine *machines;
};

struct witness_book *witness_book_new(size_t n_workers, uint16_t max_machine)
{
    struct witness_book *book = calloc(1, sizeof(*book));
    if (!book)
        return NULL;
    book->n_workers = n_workers;
    book->max_machine = max_machine;
    book->last = calloc(n_workers * WITNESS_N_SLOTS, sizeof(*book->last));
    book->lines = calloc(N_LINES, sizeof(*book->lines));
    book->machines = calloc((size_t)max_machine + 1, sizeof(*book->machines));
    if (!book->last || !book->lines || !book->machines) {
        witness_book_free(book);
        return NULL;
    }
    return book;
}

void witness_book_free(struct witness_book *book)
{
    if (!book)
        return;
    free(book->last);
    free(book->lines);
    free(book->machines);
    free(book);
}

static struct line *line_of(struct witness_book *book, uint64_t key)
{
    size_t at = (size_t)(key * 0x9e3779b97f4a7c15ull >> 20);
    struct line *free_line = NULL;
    for (size_t i = 0; i < N_PROBES; i++) {
        struct line *line = &book->lines[(at + i) & (N_LINES - 1)];
        if (line->key == key)
            return line;
        bool idle = line->key == 0 || book->n_collections - line->used > IDLE_AFTER;
        if (idle && !free_line)
            free_line = line;
    }
    if (!free_line)
        return NULL;
    uint32_t generation = free_line->generation + 1;
    memset(free_line, 0, sizeof(*free_line));
    free_line->key = key;
    free_line->generation = generation;
    free_line->used = book->n_collections;
    return free_line;
}

/* Consistent, or it is left for the next time: the worker may be giving the slot to another key. */
static bool read_slot(const struct witness_slot *slot, struct last *out)
{
    out->key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE);
    if (out->key == 0)
        return false;
    /* Copies before first sights: what is read late may only look more complete than it is. */
    for (int i = 7; i >= 0; i--) {
        out->n[i] = __atomic_load_n(&slot->n[i], __ATOMIC_RELAXED);
        out->bytes[i] = __atomic_load_n(&slot->bytes[i], __ATOMIC_RELAXED);
    }
    out->generation = __atomic_load_n(&slot->generation, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&slot->key, __ATOMIC_RELAXED) == out->key;
}

/* `last` is all 0 for a slot that has a new key. */
static void add(struct tally *tally, const uint32_t now[8], const uint32_t last[8])
{
    for (unsigned int d = 0; d < 2; d++)
        for (unsigned int by = 0; by < 2; by++) {
            unsigned int first = witness_counter(false, d, by);
            unsigned int copy = witness_counter(true, d, by);
            tally->first[d][by] += (uint32_t)(now[first] - last[first]);
            tally->copies[d][by] += (uint32_t)(now[copy] - last[copy]);
        }
}

static void collect_slot(struct witness_book *book, const struct witness_slot *slot,
                         struct last *last)
{
    struct last now;
    if (!read_slot(slot, &now))
        return;
    if (last->key != now.key || last->generation != now.generation)
        memset(last, 0, sizeof(*last));
    else if (memcmp(last->n, now.n, sizeof now.n) == 0)
        return;
    struct line *line = line_of(book, now.key);
    if (line) {
        line->used = book->n_collections;
        add(&line->packets, now.n, last->n);
        add(&line->bytes, now.bytes, last->bytes);
    }
    *last = now;
}

/* [direction][machine] of the line; gives what is newly known to be missing. */
static uint64_t settle_missing(struct tally *tally, unsigned int d, unsigned int machine)
{
    unsigned int other = !machine;
    uint64_t then = tally->first_ago[N_AGO - 1][d][other], now = tally->first[d][other];
    int64_t open = (int64_t)(now - then);
    int64_t least =
        (int64_t)then - (int64_t)(tally->copies[d][machine] - tally->surplus[d][machine]);
    int64_t below = (int64_t)tally->missing[d][machine] - least;
    if (below > open)
        tally->surplus[d][machine] += (uint64_t)(below - open);
    if (below >= 0)
        return 0;
    tally->missing[d][machine] += (uint64_t)-below;
    return (uint64_t)-below;
}

/* Gives, for each machine, how much more is known to be shown by the other, and missing. */
static void settle_tally(struct tally *tally, uint64_t there[2], uint64_t missing[2])
{
    there[0] = there[1] = missing[0] = missing[1] = 0;
    for (unsigned int d = 0; d < 2; d++)
        for (unsigned int m = 0; m < 2; m++) {
            uint64_t now = tally->first_ago[N_AGO - 1][d][!m] + tally->copies_ago[N_AGO - 1][d][!m];
            there[m] += now - tally->there[d][m];
            tally->there[d][m] = now;
            missing[m] += settle_missing(tally, d, m);
        }
    for (unsigned int ago = N_AGO - 1; ago > 0; ago--) {
        memcpy(tally->first_ago[ago], tally->first_ago[ago - 1], sizeof tally->first);
        memcpy(tally->copies_ago[ago], tally->copies_ago[ago - 1], sizeof tally->copies);
    }
    memcpy(tally->first_ago[0], tally->first, sizeof tally->first);
    memcpy(tally->copies_ago[0], tally->copies, sizeof tally->copies);
}

static void settle(struct witness_book *book, struct line *line)
{
    uint16_t machine[2] = {(uint16_t)(line->key >> 48), (uint16_t)(line->key >> 32)};
    bool is_pair = (line->key & 0xffffff) == 0;
    uint64_t there[2], missing[2], bytes[2], missing_bytes[2];
    settle_tally(&line->packets, there, missing);
    settle_tally(&line->bytes, bytes, missing_bytes);
    for (unsigned int m = 0; m < 2; m++) {
        line->recent[m] = line->recent[m] * RECENT_KEPT + (double)missing[m];
        line->recent_there[m] = line->recent_there[m] * RECENT_KEPT + (double)there[m];
        if (!is_pair || machine[m] > book->max_machine)
            continue;
        struct of_machine *of = &book->machines[machine[m]];
        of->there += there[m];
        of->both += there[m] - missing[m];
        of->here += there[!m];
        of->missing_bytes += missing_bytes[m];
        of->alone_bytes += missing_bytes[!m];
    }
}

static bool is_before(const struct line *line, const struct line *than, uint16_t machine)
{
    unsigned int m = (uint16_t)(line->key >> 48) != machine;
    unsigned int k = (uint16_t)(than->key >> 48) != machine;
    if (line->recent[m] >= 0.5 || than->recent[k] >= 0.5)
        return line->recent[m] > than->recent[k];
    return line->recent_there[m] > than->recent_there[k];
}

static void rank(struct witness_book *book, uint32_t index, uint16_t machine)
{
    if (machine > book->max_machine)
        return;
    struct of_machine *of = &book->machines[machine];
    const struct line *line = &book->lines[index];
    uint32_t at = of->n_top;
    while (at > 0 && is_before(line, &book->lines[of->top[at - 1]], machine))
        at--;
    if (at == HEALTH_SHARED_MAX)
        return;
    if (of->n_top < HEALTH_SHARED_MAX)
        of->n_top++;
    for (uint32_t i = of->n_top - 1; i > at; i--)
        of->top[i] = of->top[i - 1];
    of->top[at] = index;
}

void witness_book_collect(struct witness_book *book, struct witness *const workers[], size_t n)
{
    book->n_collections++;
    for (size_t w = 0; w < n && w < book->n_workers; w++) {
        const struct witness_slot *slots = witness_slots(workers[w]);
        for (size_t i = 0; i < WITNESS_N_SLOTS; i++)
            collect_slot(book, &slots[i], &book->last[w * WITNESS_N_SLOTS + i]);
    }
    for (size_t m = 0; m <= book->max_machine; m++)
        book->machines[m].n_top = 0;
    for (uint32_t i = 0; i < N_LINES; i++) {
        struct line *line = &book->lines[i];
        if (line->key == 0 || book->n_collections - line->used > IDLE_AFTER)
            continue;
        settle(book, line);
        rank(book, i, (uint16_t)(line->key >> 48));
        rank(book, i, (uint16_t)(line->key >> 32));
    }
}

void witness_book_fill(const struct witness_book *book, uint16_t machine,
                       const char *(*name_of)(void *context, uint16_t machine), void *context,
                       struct health_shared shared[HEALTH_SHARED_MAX], struct health_totals *totals)
{
    totals->shared = shared;
    totals->n_shared = 0;
    totals->peer = NULL;
    if (machine > book->max_machine)
        return;
    const struct of_machine *of = &book->machines[machine];
    totals->n_shared_here = of->here;
    totals->n_shared_there = of->there;
    totals->n_shared_both = of->both;
    totals->shared_missing_bytes = of->missing_bytes;
    totals->shared_alone_bytes = of->alone_bytes;
    for (uint32_t i = 0; i < of->n_top; i++) {
        const struct line *line = &book->lines[of->top[i]];
        uint16_t a = (uint16_t)(line->key >> 48), b = (uint16_t)(line->key >> 32);
        unsigned int m = a != machine;
        struct health_shared *out = &shared[i];
        *out = (struct health_shared){
            .peer = name_of(context, m ? a : b),
            .key = (line->generation << 13 | of->top[i]) + 1,
            .proto = (uint8_t)(line->key >> 16),
            .port = (uint16_t)line->key,
        };
        for (unsigned int way = 0; way < 2; way++) { /* 0: it sent them */
            unsigned int d = way ^ m;
            const struct tally *packets = &line->packets;
            out->n_there[way] = packets->there[d][m];
            out->n_both[way] = packets->there[d][m] - packets->missing[d][m];
            out->n_only_here[way] = packets->missing[d][!m];
            out->missing_bytes[way] = line->bytes.missing[d][m];
            out->alone_bytes[way] = line->bytes.missing[d][!m];
        }
        if (!totals->peer && out->proto == 0 && line->recent[m] >= 0.5)
            totals->peer = out->peer;
    }
    totals->n_shared = of->n_top;
}

void witness_book_each(const struct witness_book *book,
                       void (*take)(void *context, const struct witness_line *line), void *context)
{
    for (size_t i = 0; i < N_LINES; i++) {
        const struct line *line = &book->lines[i];
        if (line->key == 0)
            continue;
        struct witness_line out = {
            .a = (uint16_t)(line->key >> 48),
            .b = (uint16_t)(line->key >> 32),
            .proto = (uint8_t)(line->key >> 16),
            .port = (uint16_t)line->key,
        };
        for (int d = 0; d < 2; d++) {
            out.n_seen_by_a[d] = line->packets.there[d][1];
            out.n_seen_by_b[d] = line->packets.there[d][0];
            out.n_by_both[d] = line->packets.there[d][0] - line->packets.missing[d][0];
        }
        take(context, &out);
    }
}
