/* Segments out of order: see pending.h.
 *
 *     first --> A --> B --> C --> D --> E --> F        next
 *               A ----------> C ----------> E          next_run
 *
 * A run is halved when it has grown too long, and grows shorter only at the front of the list: with
 * the most segments that are kept, a search passes at most 2 * RUN_MAX of them or so. */
#include "flow/pending.h"

#include <string.h>

#include "base/pool.h"

#define MAX_SEGMENTS 4096
#define RUN_MAX      64 /* the square root of the most */

/* Where a search is: the last segment that begins at or before the place, and the run it is in.
 * Both NULL: none does. */
struct place {
    struct segment *run, *before;
};

static void go_on(struct place *place, struct segment *segment)
{
    place->before = segment;
    if (segment->n_run)
        place->run = segment;
}

static struct place find(const struct pending *pending, uint64_t begin)
{
    struct place place = {0};
    if (!pending->first || pending->first->begin > begin)
        return place;
    go_on(&place, pending->first);
    while (place.run->next_run && place.run->next_run->begin <= begin)
        go_on(&place, place.run->next_run);
    while (place.before->next && place.before->next->begin <= begin)
        place.before = place.before->next;
    return place;
}

static struct segment *after(const struct pending *pending, const struct place *place)
{
    return place->before ? place->before->next : pending->first;
}

static void halve(struct segment *run)
{
    struct segment *middle = run;
    uint32_t n = run->n_run / 2;
    for (uint32_t i = 0; i < n; i++)
        middle = middle->next;
    middle->next_run = run->next_run;
    middle->n_run = run->n_run - n;
    run->next_run = middle;
    run->n_run = n;
}

/* Puts it behind the place, which goes on to it. */
static void insert(struct pending *pending, struct place *place, struct segment *s)
{
    if (place->before) {
        s->next = place->before->next;
        place->before->next = s;
        place->run->n_run++;
    } else {
        struct segment *old = pending->first;
        s->next = old;
        s->n_run = 1;
        if (old) { /* the front of its run is now this one */
            s->next_run = old->next_run;
            s->n_run += old->n_run;
            old->next_run = NULL;
            old->n_run = 0;
        }
        pending->first = s;
        place->run = s;
    }
    place->before = s;
    if (place->run->n_run > RUN_MAX) {
        halve(place->run);
        *place = find(pending, s->begin);
    }
    pending->n++;
    pending->n_bytes += s->size;
}

static struct segment *make(const struct pending *pending, struct pool *pool, uint64_t begin,
                            const uint8_t *bytes, uint32_t size)
{
    struct segment *s = pending->n < MAX_SEGMENTS ? pool_get(pool, sizeof *s + size) : NULL;
    if (!s)
        return NULL;
    s->begin = begin;
    s->size = size;
    memcpy(s->bytes, bytes, size);
    return s;
}

bool pending_keep(struct pending *pending, struct pool *pool, uint64_t begin, const uint8_t *bytes,
                  uint32_t size)
{
    uint64_t at = begin, end = begin + size;
    struct place place = find(pending, at);
    while (at < end) {
        if (place.before && place.before->begin + place.before->size > at)
            at = place.before->begin + place.before->size;
        struct segment *next = after(pending, &place);
        uint64_t stop = next && next->begin < end ? next->begin : end;
        if (at < stop) {
            struct segment *s =
                make(pending, pool, at, bytes + (at - begin), (uint32_t)(stop - at));
            if (!s)
                return false;
            insert(pending, &place, s);
            at = stop;
        }
        if (at < end)
            go_on(&place, next);
    }
    return true;
}

void pending_drop(struct pending *pending, struct pool *pool)
{
    struct segment *s = pending->first, *next = s->next;
    if (next && !next->n_run) {
        next->n_run = s->n_run - 1;
        next->next_run = s->next_run;
    }
    pending->first = next;
    pending->n--;
    pending->n_bytes -= s->size;
    pool_put(pool, s, sizeof *s + s->size);
}

uint64_t pending_end(const struct pending *pending)
{
    const struct segment *s = pending->first;
    while (s && s->next_run)
        s = s->next_run;
    while (s && s->next)
        s = s->next;
    return s ? s->begin + s->size : 0;
}
