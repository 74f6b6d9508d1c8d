/* The books by day: see engine_days.h. */
#include "hunt/engine_days.h"

#include <stdlib.h>

#define SIZE_EVERY 4096

void days_init(struct days *days, unsigned max, size_t memory, uint64_t secret)
{
    *days = (struct days){.max = max < 1          ? 1
                                 : max > DAYS_MAX ? DAYS_MAX
                                                  : max,
                          .memory = memory,
                          .secret = secret};
}

void days_done(struct days *days)
{
    for (unsigned i = 0; i < days->n; i++)
        book_free(days->at[i].book);
    days->n = 0;
}

static void drop(struct days *days, unsigned i)
{
    struct book_refused refused;
    if (days->forget)
        days->forget(days->with, days->at[i].book);
    book_count(days->at[i].book, &refused);
    days->refused.n_keys += refused.n_keys;
    days->refused.n_events += refused.n_events;
    days->refused.n_texts += refused.n_texts;
    days->refused.n_over += refused.n_over;
    book_free(days->at[i].book);
    days->n--;
    memmove(&days->at[i], &days->at[i + 1], (days->n - i) * sizeof days->at[i]);
}

size_t days_used(const struct days *days)
{
    size_t used = 0;
    for (unsigned i = 0; i < days->n; i++)
        used += book_used(days->at[i].book);
    return used;
}

/* ---- which are judged ---- */

/* The newest that is judged, by index. */
static unsigned newest(const struct days *days)
{
    uint64_t total = 0;
    unsigned at = 0;
    for (unsigned i = 0; i < days->n; i++) {
        total += days->at[i].weight;
        if (days->at[i].weight > days->at[at].weight)
            at = i;
    }
    uint64_t share = total / 100;
    share = share < 4 ? 4 : share > 256 ? 256 : share;
    for (unsigned i = at + 1; i < days->n; i++) {
        uint64_t together = days->at[i].weight;
        for (unsigned k = i + 1; k < days->n && days->at[k].day == days->at[k - 1].day + 1; k++)
            together += days->at[k].weight;
        if (days->at[i].day == days->at[at].day + 1 || together >= share)
            at = i;
    }
    return at;
}

unsigned days_judged(const struct days *days, unsigned *out_first)
{
    *out_first = 0;
    if (days->n == 0)
        return 0;
    unsigned last = newest(days), first = last;
    while (first > 0 && days->at[last].day - days->at[first - 1].day < days->max)
        first--;
    *out_first = first;
    return last - first + 1;
}

void days_strays(const struct days *days, uint64_t *out_early, uint64_t *out_late)
{
    unsigned first, n = days_judged(days, &first);
    *out_early = days->n_early;
    *out_late = days->n_late;
    for (unsigned i = 0; i < first; i++)
        *out_early += days->at[i].n;
    for (unsigned i = first + n; i < days->n; i++)
        *out_late += days->at[i].n;
}

/* ---- room ---- */

static void drop_counted(struct days *days, unsigned i, bool early)
{
    if (early)
        days->n_early += days->at[i].n;
    else
        days->n_late += days->at[i].n;
    drop(days, i);
}

/* Days that went by are not early: their records were judged. What nobody judged is counted. */
static void make_place(struct days *days)
{
    while (days->n >= days->max + DAYS_SPARE) {
        unsigned first, n = days_judged(days, &first), least = UINT32_MAX;
        for (unsigned i = 0; i < days->n; i++)
            if ((i < first || i >= first + n) &&
                (least == UINT32_MAX || days->at[i].n < days->at[least].n))
                least = i;
        if (least == UINT32_MAX)
            least = 0;
        drop_counted(days, least, least < first);
    }
}

/* The newest grow first: where there is no room for them the oldest goes, and is said. */
static void share_memory(struct days *days)
{
    size_t used = days_used(days);
    while (days->n > 1 && used > days->memory - days->memory / 8) {
        unsigned first, n = days_judged(days, &first);
        unsigned victim = first > 0 || n == 1 ? (first > 0 ? 0 : days->n - 1) : first;
        days->n_dropped += victim == first;
        used -= book_used(days->at[victim].book);
        drop(days, victim);
    }
    size_t left = days->memory > used ? days->memory - used : 0;
    for (unsigned i = 0; i < days->n; i++)
        book_set_memory(days->at[i].book, book_used(days->at[i].book) + left);
}

static struct day *insert(struct days *days, struct book *book)
{
    unsigned i = days->n;
    for (; i > 0 && days->at[i - 1].day > book_day(book); i--)
        days->at[i] = days->at[i - 1];
    days->at[i] = (struct day){.book = book, .day = book_day(book)};
    days->n++;
    days->until_size = 0;
    return &days->at[i];
}

struct day *days_find(struct days *days, int64_t day)
{
    for (unsigned i = days->n; i > 0; i--)
        if (days->at[i - 1].day == day)
            return &days->at[i - 1];
    return NULL;
}

struct day *days_at(struct days *days, int64_t day)
{
    if (days->until_size == 0) {
        share_memory(days);
        days->until_size = SIZE_EVERY;
    }
    days->until_size--;
    struct day *found = days_find(days, day);
    if (found)
        return found;
    make_place(days);
    size_t used = days_used(days);
    struct book *book = book_new(day, days->memory > used ? days->memory - used : 0, days->secret);
    return book ? insert(days, book) : NULL;
}

void days_add(struct days *days, struct book *book)
{
    struct day *there = days_find(days, book_day(book));
    if (there && there->n > 0) {
        book_free(book);
        return;
    }
    if (there)
        drop(days, (unsigned)(there - days->at));
    make_place(days);
    struct day *day = insert(days, book);
    day->min = day->day * 86400000;
    day->max = day->min;
    day->weight = 1000; /* only days that were judged are in an archive */
}

void days_count(struct day *day, int64_t ts)
{
    if (day->n == 0 || ts < day->min)
        day->min = ts;
    if (day->n == 0 || ts > day->max)
        day->max = ts;
    day->n++;
    day->weight++;
}
