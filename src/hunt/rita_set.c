/* Sets of pairs of numbers (hashes of names and hosts): filled from many threads, sorted once, then
 * looked up. */
#include <stdlib.h>

#include "hunt/rita_parts.h"

void rita_set_init(struct rita_set *set)
{
    *set = (struct rita_set){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void rita_set_done(struct rita_set *set)
{
    free(set->at);
    free(set->bits);
    set->at = NULL;
    set->bits = NULL;
    set->n = set->capacity = 0;
}

void rita_set_add(struct rita_set *set, uint64_t a, uint64_t b)
{
    (void)pthread_mutex_lock(&set->lock); /* a plain mutex: it cannot fail */
    if (set->n == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 1024;
        struct rita_item *at = realloc(set->at, capacity * sizeof *at);
        if (at) {
            set->at = at;
            set->capacity = capacity;
        } else {
            set->failed = true;
        }
    }
    if (set->n < set->capacity)
        set->at[set->n++] = (struct rita_item){.a = a, .b = b};
    (void)pthread_mutex_unlock(&set->lock);
}

static int compare(const void *left, const void *right)
{
    const struct rita_item *x = left, *y = right;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static uint64_t bit_of(uint64_t a)
{
    return a * 0x9e3779b97f4a7c15u >> 20;
}

static void make_bits(struct rita_set *set)
{
    uint64_t n = 1024;
    while (n < 16 * set->n && n < (uint64_t)1 << 40)
        n *= 2;
    free(set->bits);
    set->bits = calloc(n / 64, sizeof *set->bits);
    set->mask = n - 1;
    for (size_t i = 0; set->bits && i < set->n; i++) {
        uint64_t bit = bit_of(set->at[i].a) & set->mask;
        set->bits[bit / 64] |= (uint64_t)1 << bit % 64;
    }
}

void rita_set_sort(struct rita_set *set)
{
    if (set->n == 0)
        return;
    qsort(set->at, set->n, sizeof *set->at, compare);
    size_t n = 1;
    for (size_t i = 1; i < set->n; i++)
        if (compare(&set->at[i], &set->at[n - 1]) != 0)
            set->at[n++] = set->at[i];
    set->n = n;
    make_bits(set);
}

static bool may_have(const struct rita_set *set, uint64_t a)
{
    uint64_t bit = bit_of(a) & set->mask;
    return set->n > 0 && (set->bits == NULL || (set->bits[bit / 64] >> bit % 64 & 1) != 0);
}

/* The first item that is not before this one. */
static size_t place_of(const struct rita_set *set, uint64_t a, uint64_t b)
{
    const struct rita_item item = {.a = a, .b = b};
    size_t from = 0, to = set->n;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (compare(&set->at[middle], &item) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool rita_set_has(const struct rita_set *set, uint64_t a, uint64_t b)
{
    if (!may_have(set, a))
        return false;
    size_t at = place_of(set, a, b);
    return at < set->n && set->at[at].a == a && set->at[at].b == b;
}

size_t rita_set_count(const struct rita_set *set, uint64_t a, size_t *out_first)
{
    if (!may_have(set, a))
        return 0;
    size_t first = place_of(set, a, 0);
    size_t end = a == UINT64_MAX ? set->n : place_of(set, a + 1, 0);
    if (out_first)
        *out_first = first;
    return end - first;
}
