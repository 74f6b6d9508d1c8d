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
    set->at = NULL;
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
    size_t at = place_of(set, a, b);
    return at < set->n && set->at[at].a == a && set->at[at].b == b;
}

size_t rita_set_count(const struct rita_set *set, uint64_t a, size_t *out_first)
{
    size_t first = place_of(set, a, 0);
    size_t end = a == UINT64_MAX ? set->n : place_of(set, a + 1, 0);
    if (out_first)
        *out_first = first;
    return end - first;
}
