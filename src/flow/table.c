/* The table of connections: see table.h.
 *
 * Index: open addressing, linear probing, words of {hash, flow number}, at most half full, doubled
 * when it fills. Memory short: those that would be over soonest are ended first, which takes
 * half-open and closed connections before idle ones, and idle ones before busy ones. */
#include "flow/table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "flow/conn_log.h"
#include "flow/deadline.h"
#include "flow/more.h"

#define SLOT_SHIFT  FLOW_STEP_SHIFT /* 0.27 s a slot */
#define N_SLOTS     FLOW_N_STEPS
#define FIRST_INDEX (1u << 12)
#define EVICT_TRIES 64 /* flows looked at in search of one whose time is really near */

struct entry {
    uint32_t hash;
    uint32_t flow; /* number + 1; 0: free */
};

struct flow_table {
    struct flow_context *context;
    uint64_t hash_key;
    size_t memory;

    struct flow *flows;
    uint32_t n_used, n_max; /* ever touched; room for */
    uint32_t free;          /* list by next_timer */

    struct entry *index;
    uint32_t mask, n_entries;

    uint32_t slots[N_SLOTS];     /* heads of lists */
    uint64_t busy[N_SLOTS / 64]; /* slots that have a list */
    int64_t wheel_now;           /* slot number all before which is done */
    struct flow_times times;
    struct flow_table_counters counters;
};

/* Zeroed, from the system itself, in large pages where it has them: tables that are looked into at
 * random cost a miss of the translation for every small page. NULL: no memory. */
static void *map_memory(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_HUGEPAGE); /* works without */
    return p;
}

static size_t index_size(uint32_t mask)
{
    return ((size_t)mask + 1) * sizeof(struct entry);
}

struct flow_table *flow_table_new(const struct flow_table_options *options,
                                  struct flow_context *context)
{
    struct flow_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->context = context;
    table->hash_key = options->hash_key;
    table->memory = options->memory;
    size_t n = options->memory / sizeof(struct flow);
    table->n_max = n > UINT32_MAX - 2 ? UINT32_MAX - 2 : (uint32_t)n;
    size_t size = (size_t)table->n_max * sizeof(struct flow);
    table->mask = FIRST_INDEX - 1;
    table->flows = map_memory(size);
    table->index = map_memory(index_size(table->mask));
    if (!table->flows || !table->index) {
        if (table->flows)
            munmap(table->flows, size);
        if (table->index)
            munmap(table->index, index_size(table->mask));
        free(table);
        return NULL;
    }
    table->free = FLOW_NONE;
    table->wheel_now = INT64_MIN;
    for (unsigned i = 0; i < N_SLOTS; i++)
        table->slots[i] = FLOW_NONE;
    context->table = table;
    return table;
}

static uint32_t number_of(const struct flow_table *table, const struct flow *f)
{
    return (uint32_t)(f - table->flows);
}

/* ---- index ---- */

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key)
{
    _Static_assert(sizeof *key == 40, "no padding in the key");
    return (uint32_t)XXH3_64bits_withSeed(key, sizeof *key, table->hash_key);
}

void flow_table_prefetch_index(const struct flow_table *table, uint32_t hash)
{
    __builtin_prefetch(&table->index[hash & table->mask]);
}

void flow_table_prefetch_flow(const struct flow_table *table, uint32_t hash)
{
    for (uint32_t i = hash & table->mask; table->index[i].flow; i = (i + 1) & table->mask) {
        if (table->index[i].hash != hash)
            continue;
        const char *f = (const char *)&table->flows[table->index[i].flow - 1];
        for (size_t at = 0; at < sizeof(struct flow); at += 64)
            __builtin_prefetch(f + at, 1);
        return;
    }
}

static void index_put(struct flow_table *table, uint32_t hash, uint32_t number)
{
    uint32_t i = hash & table->mask;
    while (table->index[i].flow)
        i = (i + 1) & table->mask;
    table->index[i] = (struct entry){.hash = hash, .flow = number + 1};
}

static void index_remove(struct flow_table *table, uint32_t hash, uint32_t number)
{
    uint32_t i = hash & table->mask;
    while (table->index[i].flow != number + 1)
        i = (i + 1) & table->mask;
    /* Entries behind move up, so that no search ends too early. */
    for (uint32_t j = (i + 1) & table->mask; table->index[j].flow; j = (j + 1) & table->mask) {
        uint32_t home = table->index[j].hash & table->mask;
        if (((j - home) & table->mask) >= ((j - i) & table->mask)) {
            table->index[i] = table->index[j];
            i = j;
        }
    }
    table->index[i].flow = 0;
    table->n_entries--;
}

static size_t table_size(const struct flow_table *table)
{
    return (size_t)table->n_used * sizeof(struct flow) + index_size(table->mask);
}

/* Whether `more` bytes of the budget can be had for the table. Half of it can always, a quarter is
 * the payload's, and the rest whoever comes first. What was touched counts, used or not. */
static bool has_memory(const struct flow_table *table, size_t more)
{
    struct pool *pool = table->context->pool;
    size_t size = table_size(table) + more;
    if (size <= table->memory / 2 || size > table->memory - table->memory / 4)
        return size <= table->memory / 2;
    if (size + pool_touched(pool) > table->memory)
        pool_trim(pool);
    return size + pool_touched(pool) <= table->memory;
}

/* The table has grown: the payload may take what is left. */
static void share_memory(const struct flow_table *table)
{
    size_t left = table->memory - table_size(table), most = table->memory / 2;
    if (left < most && left < pool_limit(table->context->pool))
        pool_set_limit(table->context->pool, left);
}

static bool index_grow(struct flow_table *table)
{
    uint32_t n = (table->mask + 1) * 2;
    if (n == 0 || !has_memory(table, (size_t)n * sizeof *table->index))
        return false;
    struct entry *old = table->index, *grown = map_memory(index_size(n - 1));
    if (!grown)
        return false;
    uint32_t n_old = table->mask + 1;
    table->index = grown;
    table->mask = n - 1;
    for (uint32_t i = 0; i < n_old; i++)
        if (old[i].flow)
            index_put(table, old[i].hash, old[i].flow - 1);
    munmap(old, index_size(n_old - 1));
    share_memory(table);
    return true;
}

/* ---- timers ---- */

static void wheel_remove(struct flow_table *table, struct flow *f)
{
    if (f->prev_timer != FLOW_NONE)
        table->flows[f->prev_timer].next_timer = f->next_timer;
    else
        table->slots[f->slot] = f->next_timer;
    if (f->next_timer != FLOW_NONE)
        table->flows[f->next_timer].prev_timer = f->prev_timer;
    if (table->slots[f->slot] == FLOW_NONE)
        table->busy[f->slot / 64] &= ~(1ull << (f->slot % 64));
}

static void wheel_put(struct flow_table *table, struct flow *f)
{
    int64_t tick = flow_deadline(f) >> SLOT_SHIFT;
    if (tick < table->wheel_now)
        tick = table->wheel_now;
    if (tick >= table->wheel_now + N_SLOTS)
        tick = table->wheel_now + N_SLOTS - 1;
    uint16_t slot = (uint16_t)((uint64_t)tick % N_SLOTS);
    uint32_t number = number_of(table, f);
    f->slot = slot;
    f->prev_timer = FLOW_NONE;
    f->next_timer = table->slots[slot];
    if (f->next_timer != FLOW_NONE)
        table->flows[f->next_timer].prev_timer = number;
    table->slots[slot] = number;
    table->busy[slot / 64] |= 1ull << (slot % 64);
}

void flow_table_rearm(struct flow_table *table, struct flow *f)
{
    wheel_remove(table, f);
    wheel_put(table, f);
}

/* All flows of a slot whose time has wholly passed: over, or put where they belong by now. */
static void run_slot(struct flow_table *table, uint16_t slot)
{
    uint32_t number = table->slots[slot];
    table->slots[slot] = FLOW_NONE;
    table->busy[slot / 64] &= ~(1ull << (slot % 64));
    while (number != FLOW_NONE) {
        struct flow *f = &table->flows[number];
        uint32_t next = f->next_timer;
        if (next != FLOW_NONE)
            __builtin_prefetch(&table->flows[next]);
        bool over = flow_is_over(f, &table->times);
        wheel_put(table, f);
        if (over)
            flow_table_end(table, f);
        number = next;
    }
}

void flow_table_packet(struct flow_table *table)
{
    flow_times_add(&table->times, table->context->clock);
}

void flow_table_expire(struct flow_table *table)
{
    int64_t tick = table->context->clock >> SLOT_SHIFT;
    if (tick <= table->wheel_now)
        return;
    int64_t from = table->wheel_now;
    if (from == INT64_MIN || tick - from > N_SLOTS)
        from = tick - N_SLOTS;
    table->wheel_now = tick;
    for (int64_t t = from; t < tick; t++) {
        uint16_t slot = (uint16_t)((uint64_t)t % N_SLOTS);
        if (table->busy[slot / 64] >> (slot % 64) & 1)
            run_slot(table, slot);
    }
}

/* Ends the connection that would be over soonest, or nearly. */
static bool evict_one(struct flow_table *table)
{
    for (unsigned tries = 0; tries < EVICT_TRIES; tries++) {
        uint32_t start = (uint32_t)((uint64_t)table->wheel_now % N_SLOTS);
        uint32_t found = N_SLOTS;
        for (unsigned i = 0; i <= N_SLOTS / 64 && found == N_SLOTS; i++) {
            uint32_t word = (start / 64 + i) % (N_SLOTS / 64);
            uint64_t bits = table->busy[word];
            if (i == 0)
                bits &= ~0ull << (start % 64);
            if (bits)
                found = word * 64 + (uint32_t)__builtin_ctzll(bits);
        }
        if (found == N_SLOTS)
            return false;
        struct flow *f = &table->flows[table->slots[found]];
        flow_table_rearm(table, f);
        if (f->slot != found && tries + 1 < EVICT_TRIES)
            continue; /* it was touched since: not the next to go */
        table->counters.n_evicted++;
        flow_table_end(table, f);
        return true;
    }
    return false;
}

/* ---- flows ---- */

/* A memcmp of 40 bytes, without the call. */
static inline bool has_key(const struct flow *f, const struct flow_key *key)
{
    uint64_t a[5], b[5];
    memcpy(a, f, sizeof a);
    memcpy(b, key, sizeof b);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0;
}

struct flow *flow_table_find(struct flow_table *table, const struct flow_key *key, uint32_t hash)
{
    for (uint32_t i = hash & table->mask; table->index[i].flow; i = (i + 1) & table->mask) {
        if (table->index[i].hash != hash)
            continue;
        struct flow *f = &table->flows[table->index[i].flow - 1];
        if (!has_key(f, key))
            continue;
        if (!flow_is_over(f, &table->times))
            return f;
        flow_table_end(table, f);
        return NULL;
    }
    return NULL;
}

struct flow *flow_table_add(struct flow_table *table, const struct flow_key *key, uint32_t hash)
{
    if (table->wheel_now == INT64_MIN)
        table->wheel_now = table->context->clock >> SLOT_SHIFT;
    while (table->free == FLOW_NONE && !has_memory(table, sizeof(struct flow)))
        if (!evict_one(table))
            break;
    if (table->n_entries * 2 > table->mask && !index_grow(table) &&
        table->n_entries * 8ull > table->mask * 7ull && !evict_one(table)) {
        table->counters.n_refused++;
        return NULL;
    }
    uint32_t number = table->free;
    if (number != FLOW_NONE) {
        table->free = table->flows[number].next_timer;
    } else if (table->n_used < table->n_max) {
        number = table->n_used++;
        share_memory(table);
    } else {
        table->counters.n_refused++;
        return NULL;
    }
    struct flow *f = &table->flows[number];
    memset(f, 0, sizeof *f);
    memcpy(f, key, sizeof *key);
    f->hash = hash;
    f->first = f->last = table->context->now;
    f->active = 1;
    flow_deadline_start(f);
    index_put(table, hash, number);
    table->n_entries++;
    wheel_put(table, f);
    table->counters.n_added++;
    table->counters.n_added_of[f->proto]++;
    table->counters.n_now_of[f->proto]++;
    if (++table->counters.n_now > table->counters.n_peak)
        table->counters.n_peak = table->counters.n_now;
    return f;
}

void flow_table_end(struct flow_table *table, struct flow *f)
{
    struct flow_context *context = table->context;
    if (context->payload)
        context->payload->end(context, f);
    if (context->ended)
        context->ended(context, f);
    if (!f->shadow)
        conn_log(context, f);
    flow_more_free(context, f);
    uint32_t number = number_of(table, f);
    wheel_remove(table, f);
    index_remove(table, f->hash, number);
    table->counters.n_now_of[f->proto]--;
    f->proto = FLOW_N_PROTOS; /* free */
    f->next_timer = table->free;
    table->free = number;
    table->counters.n_ended++;
    table->counters.n_now--;
}

uint32_t flow_table_size(const struct flow_table *table)
{
    return table->n_used;
}

struct flow *flow_table_at(struct flow_table *table, uint32_t number)
{
    struct flow *f = &table->flows[number];
    return f->proto != FLOW_N_PROTOS ? f : NULL;
}

void flow_table_each(struct flow_table *table, void (*visit)(struct flow *f, void *with),
                     void *with)
{
    for (uint32_t i = 0; i < table->n_used; i++)
        if (table->flows[i].proto != FLOW_N_PROTOS)
            visit(&table->flows[i], with);
}

void flow_table_free(struct flow_table *table)
{
    if (!table)
        return;
    for (uint32_t i = 0; i < table->n_used; i++)
        if (table->flows[i].proto != FLOW_N_PROTOS)
            flow_table_end(table, &table->flows[i]);
    munmap(table->flows, (size_t)table->n_max * sizeof(struct flow));
    munmap(table->index, index_size(table->mask));
    free(table);
}

const struct flow_table_counters *flow_table_counters(const struct flow_table *table)
{
    return &table->counters;
}
