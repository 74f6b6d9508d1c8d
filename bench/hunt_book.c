/* What a day's book costs: time of looking up keys and adding events, bytes of a pair and of an
 * event, going through all, saving and loading.
 *
 *     bench-hunt-book [PAIRS [EVENTS]]
 *
 * Keys have 40 bytes and values 260, as pairs of hosts have; the events come in an order of
 * chance, which is the worst one for the processor's cache. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "hunt/book.h"

#define DAY       20000
#define DAY_MS    ((int64_t)DAY * 86400000)
#define N_THREADS 2

struct bench_key {
    uint8_t src[20], dst[20];
};

struct bench_value {
    uint64_t n, bytes_up, bytes_down, duration;
    int64_t first, last;
    uint8_t more[188];
    struct book_series conns;
};

static void merge(void *into, const void *from)
{
    struct bench_value *a = into;
    const struct bench_value *b = from;
    a->n += b->n;
    a->bytes_up += b->bytes_up;
    a->bytes_down += b->bytes_down;
}

static const struct book_table table = {
    .name = "bench",
    .version = 1,
    .key_size = sizeof(struct bench_key),
    .value_size = sizeof(struct bench_value),
    .series_at = {offsetof(struct bench_value, conns)},
    .n_series = 1,
    .merge = merge,
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t chance(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long all = 0, resident = 0;
    if (file && fscanf(file, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (file)
        (void)fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void make_key(uint64_t i, struct bench_key *out)
{
    *out = (struct bench_key){.src = {[10] = 0xff, [11] = 0xff, [12] = 10},
                              .dst = {[10] = 0xff, [11] = 0xff}};
    uint32_t src = (uint32_t)(i % 1000), dst = (uint32_t)(i / 1000 * 2654435761u);
    for (unsigned k = 0; k < 4; k++)
        out->dst[12 + k] = (uint8_t)(dst >> 8 * k);
    out->src[14] = (uint8_t)(src >> 8);
    out->src[15] = (uint8_t)src;
}

static void take(struct book *book, uint64_t pair, int64_t ts, uint64_t dice)
{
    struct bench_key key;
    make_key(pair, &key);
    bool is_new;
    struct bench_value *value = book_at(book, &table, &key, &is_new);
    if (!value)
        return;
    struct book_event event = {.ts = ts,
                               .duration = dice % 3000000,
                               .up = (uint32_t)(300 + dice / 64 % 4000),
                               .down = (uint32_t)(300 + dice / 4096 % 60000)};
    if (is_new)
        value->first = ts;
    value->last = ts;
    value->n++;
    value->bytes_up += event.up;
    value->bytes_down += event.down;
    value->duration += event.duration;
    book_add_event(book, &value->conns, &event);
}

/* Pairs by chance, in batches, as records come; `ahead`: what comes next is fetched. */
static double add_old(struct book *book, uint64_t n_pairs, uint64_t from, uint64_t to, bool ahead)
{
    enum { BATCH = 1024 };
    static const unsigned distance[3] = {12, 8, 4};
    uint64_t state = from, pairs[BATCH];
    double begun = now();
    for (uint64_t i = from; i < to; i += BATCH) {
        unsigned n = to - i < BATCH ? (unsigned)(to - i) : BATCH;
        for (unsigned k = 0; k < n; k++)
            pairs[k] = chance(&state) % n_pairs;
        for (unsigned k = 0; k < n; k++) {
            for (unsigned step = 0; ahead && step < 3; step++) {
                struct bench_key key;
                if (k + distance[step] >= n)
                    continue;
                make_key(pairs[k + distance[step]], &key);
                book_fetch(book, &table, &key, step);
            }
            take(book, pairs[k], DAY_MS + (int64_t)((i + k) * 86400000 / to), chance(&state));
        }
    }
    return now() - begun;
}

static void each(void *with, const void *key, const void *value)
{
    (void)key;
    __atomic_fetch_add((uint64_t *)with, ((const struct bench_value *)value)->n, __ATOMIC_RELAXED);
}

static void go_through(struct book *book)
{
    struct books books = {.at = &book, .n = 1};
    uint64_t n = 0;
    double begun = now();
    books_each(&books, &table, N_THREADS, each, &n);
    printf("books_each, %d threads:     %6.3f s (%llu events)\n", N_THREADS, now() - begun,
           (unsigned long long)n);
}

static void save_and_load(const struct book *book)
{
    static const struct book_table *const tables[] = {&table};
    struct book *loaded = NULL;
    struct err err = {""};
    void *bytes = NULL;
    size_t size = 0;
    double begun = now();
    if (book_save(book, tables, 1, &bytes, &size, &err) < 0) {
        printf("book_save: %s\n", err.text);
        return;
    }
    double saved = now();
    printf("book_save:                 %6.3f s, %.1f MB\n", saved - begun, (double)size / 1e6);
    if (book_load(bytes, size, tables, 1, SIZE_MAX, 42, &loaded, &err) != 0)
        printf("book_load: %s\n", err.text);
    else
        printf("book_load:                 %6.3f s\n", now() - saved);
    size_t used = loaded ? book_used(loaded) : 0;
    printf("book_used when loaded:     %6.1f MB\n", (double)used / 1e6);
    book_free(loaded);
    free(bytes);
}

int main(int argc, char **argv)
{
    uint64_t n_pairs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t n_events = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    uint64_t state = 1;
    size_t before = resident();
    struct book *book = book_new(DAY, SIZE_MAX, 42);
    if (!book || !n_pairs || n_events < n_pairs)
        return 1;

    double begun = now();
    for (uint64_t i = 0; i < n_pairs; i++)
        take(book, i, DAY_MS + (int64_t)(i * 86400000 / n_events), chance(&state));
    double seconds = now() - begun;
    printf("new keys, an event each:   %6.3f s, %.2f M/s\n", seconds,
           (double)n_pairs / seconds / 1e6);
    size_t used_keys = book_used(book);
    uint64_t half = n_pairs + (n_events - n_pairs) / 2;
    seconds = add_old(book, n_pairs, n_pairs, half, false);
    printf("old keys, an event each:   %6.3f s, %.2f M/s\n", seconds,
           (double)(half - n_pairs) / seconds / 1e6);
    seconds = add_old(book, n_pairs, half, n_events, true);
    printf("the same, fetched ahead:   %6.3f s, %.2f M/s\n", seconds,
           (double)(n_events - half) / seconds / 1e6);
    size_t used = book_used(book), taken = resident() - before;
    printf("book_used:                 %6.1f MB (%.0f bytes a pair with its first event, then %.1f"
           " an event)\nof the system:             %6.1f MB\n",
           (double)used / 1e6, (double)used_keys / (double)n_pairs,
           (double)(used - used_keys) / (double)(n_events - n_pairs), (double)taken / 1e6);
    go_through(book);
    save_and_load(book);
    book_free(book);
    return 0;
}
