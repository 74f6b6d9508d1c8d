/* The books by day: see engine_days.h. */
#include "hunt/engine_days.h"

#include <stdlib.h>

#define MS_PER_DAY 86400000

/* In each book one entry: when its records were, ms, and how many. */
struct day_value {
    int64_t min, max;
    uint64_t weight;
};
static const uint64_t the_key = 1;

static void merge_day(void *into, const void *from)
{
    struct day_value *a = into;
    const struct day_value *b = from;
    a->min = b->min < a->min ? b->min : a->min;
    a->max = b->max > a->max ? b->max : a->max;
    a->weight += b->weight;
}

static bool good_day(const void *key, const void *value)
{
    const struct day_value *day = value;
    (void)key;
    return day->min <= day->max && day->weight > 0 && day->weight < (uint64_t)1 << 48;
}

const struct book_table day_table = {
    .name = "day",
    .version = 2,
    .key_size = sizeof the_key,
    .value_size = sizeof(struct day_value),
    .merge = merge_day,
    .good = good_day,
};

#define SIZE_EVERY 16

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
        for (unsigned part = 0; part < BOOK_PARTS; part++)
            book_free(days->at[i].parts[part]);
    days->n = 0;
}

static void drop_book(struct days *days, struct book *book)
{
    struct book_refused refused;
    if (!book)
        return;
    book_count(book, &refused);
    days->refused.n_keys += refused.n_keys;
    days->refused.n_events += refused.n_events;
    days->refused.n_texts += refused.n_texts;
    days->refused.n_over += refused.n_over;
    book_free(book);
}

static void drop(struct days *days, unsigned i)
{
    struct day *day = &days->at[i];
    for (unsigned part = 0; part < BOOK_PARTS && days->forget; part++)
        if (day->parts[part])
            days->forget(days->with, day->parts[part]);
    for (unsigned part = 0; part < BOOK_PARTS; part++)
        drop_book(days, day->parts[part]);
    days->n--;
    memmove(day, day + 1, (days->n - i) * sizeof *day);
}

static size_t used_of(const struct day *day)
{
    size_t used = 0;
    for (unsigned part = 0; part < BOOK_PARTS; part++)
        used += day->parts[part] ? book_used(day->parts[part]) : 0;
    return used;
}

size_t days_used(const struct days *days)
{
    size_t used = 0;
    for (unsigned i = 0; i < days->n; i++)
        used += used_of(&days->at[i]);
    return used;
}

/* ---- which are judged ---- */

static uint64_t share_of(const struct days *days)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < days->n; i++)
        total += days->at[i].n;
    return total < 400 ? 4 : total > 25600 ? 256 : total / 100;
}

/* Whether the next day is one of the logs', too: it has a thousandth of the bulk, or is at least a
 * hundredth as dense, as when it has just begun. Wrong times are few, and anywhere in the day. */
static bool goes_on(const struct day *bulk, const struct day *before, const struct day *next)
{
    return next->n > 0 && next->day == before->day + 1 &&
           (next->n * 1000 >= bulk->n || (double)next->n * 100 * MS_PER_DAY >=
                                             (double)bulk->n * (double)(next->max - next->min));
}

/* The newest that is judged, by index. Only what this run read is weighed: days of an archive were
 * judged before, and of the day that goes on an hourly run has but a little. */
static unsigned newest(const struct days *days, uint64_t share)
{
    unsigned bulk = 0;
    for (unsigned i = 0; i < days->n; i++)
        if (days->at[i].n > days->at[bulk].n)
            bulk = i;
    unsigned at = bulk;
    for (unsigned i = at + 1; i < days->n; i++) {
        const struct day *day = &days->at[i];
        uint64_t together = day->n;
        for (unsigned k = i + 1; k < days->n && days->at[k].day == days->at[k - 1].day + 1; k++)
            together += days->at[k].n;
        if (day->weight > day->n || together >= share ||
            goes_on(&days->at[bulk], &days->at[at], day))
            at = i;
    }
    return at;
}

unsigned days_judged(const struct days *days, bool out[DAYS_MAX + DAYS_SPARE + 1],
                     unsigned *out_newest)
{
    unsigned n = 0;
    memset(out, 0, (DAYS_MAX + DAYS_SPARE + 1) * sizeof *out);
    *out_newest = 0;
    if (days->n == 0)
        return 0;
    uint64_t share = share_of(days);
    *out_newest = newest(days, share);
    int64_t last = days->at[*out_newest].day;
    for (unsigned i = *out_newest + 1; i > 0 && n < days->max; i--) {
        const struct day *day = &days->at[i - 1];
        out[i - 1] = last - day->day < days->max || day->weight >= share;
        n += out[i - 1];
    }
    return n;
}

void days_strays(const struct days *days, uint64_t *out_early, uint64_t *out_late)
{
    bool judged[DAYS_MAX + DAYS_SPARE + 1];
    unsigned last;
    (void)days_judged(days, judged, &last);
    *out_early = days->n_early;
    *out_late = days->n_late;
    for (unsigned i = 0; i < days->n; i++) {
        if (judged[i])
            continue;
        if (i < last)
            *out_early += days->at[i].n;
        else
            *out_late += days->at[i].n;
    }
}

/* ---- room ---- */

/* One that is not judged: with the fewest records, or the first. */
static unsigned victim_of(const struct days *days, bool smallest, bool *out_judged)
{
    bool judged[DAYS_MAX + DAYS_SPARE + 1];
    unsigned last, victim = UINT32_MAX;
    (void)days_judged(days, judged, &last);
    for (unsigned i = 0; i < days->n; i++)
        if (!judged[i] &&
            (victim == UINT32_MAX || (smallest && days->at[i].weight < days->at[victim].weight)))
            victim = i;
    *out_judged = victim == UINT32_MAX;
    return *out_judged ? 0 : victim;
}

static void drop_counted(struct days *days, unsigned i)
{
    bool judged[DAYS_MAX + DAYS_SPARE + 1];
    unsigned last;
    (void)days_judged(days, judged, &last);
    if (i < last)
        days->n_early += days->at[i].n;
    else
        days->n_late += days->at[i].n;
    drop(days, i);
}

static void make_place(struct days *days)
{
    bool judged;
    while (days->n >= days->max + DAYS_SPARE)
        drop_counted(days, victim_of(days, true, &judged));
}

/* What a part may take of the memory that is left, until sizes are looked at again: all of them
 * grow. */
static size_t share_of_part(const struct days *days, size_t used)
{
    return days->memory > used ? (days->memory - used) / BOOK_PARTS : 0;
}

/* The newest grow first: where there is no room for them the oldest goes, and is said. */
static void share_memory(struct days *days)
{
    size_t used = days_used(days);
    while (days->n > 1 && used > days->memory - days->memory / 8) {
        bool judged;
        unsigned victim = victim_of(days, false, &judged);
        used -= used_of(&days->at[victim]);
        days->n_dropped += judged;
        drop_counted(days, victim);
    }
    size_t share = share_of_part(days, used);
    for (unsigned i = 0; i < days->n; i++)
        for (unsigned part = 0; part < BOOK_PARTS; part++) {
            struct book *book = days->at[i].parts[part];
            if (book)
                book_set_memory(book, book_used(book) + share);
        }
}

static struct day *insert(struct days *days, int64_t day)
{
    unsigned i = days->n;
    for (; i > 0 && days->at[i - 1].day > day; i--)
        days->at[i] = days->at[i - 1];
    days->at[i] = (struct day){.day = day};
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

/* To make and to throw away a book for each line of a log that is full of wrong times would take
 * long: where there is no free place, a day far from the others gets one with its fourth record. */
static bool is_welcome(struct days *days, int64_t day)
{
    bool judged[DAYS_MAX + DAYS_SPARE + 1];
    unsigned last;
    if (days->n < days->max + DAYS_SPARE)
        return true;
    (void)days_judged(days, judged, &last);
    int64_t away = day - days->at[last].day;
    if (away > -(int64_t)days->max && away <= days->max)
        return true;
    unsigned slot = (unsigned)((uint64_t)day % DAYS_FAR);
    if (days->far[slot].day != day)
        days->far[slot].n = 0;
    days->far[slot].day = day;
    if (++days->far[slot].n >= 4)
        return true;
    if (away > 0)
        days->n_late++;
    else
        days->n_early++;
    return false;
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
    if (!is_welcome(days, day))
        return NULL;
    make_place(days);
    return insert(days, day);
}

struct book *days_book(struct days *days, struct day *day, unsigned part)
{
    struct book *book = day->parts[part];
    if (book)
        return book;
    book = book_new(day->day, share_of_part(days, days_used(days)), days->secret);
    if (book)
        book_set_part(book, part);
    else
        days->n_late++;
    day->parts[part] = book;
    return book;
}

void days_add(struct days *days, struct book *book)
{
    struct day *day = days_find(days, book_day(book));
    if (day && day->n > 0) {
        book_free(book);
        return;
    }
    if (!day) {
        make_place(days);
        day = insert(days, book_day(book));
        day->min = day->max = day->day * MS_PER_DAY;
        day->weight = 1000; /* only days that were judged are in an archive */
    }
    struct book **place = &day->parts[book_part(book)];
    if (*place && days->forget)
        days->forget(days->with, *place);
    drop_book(days, *place);
    *place = book;
    const struct day_value *value = book_find(book, &day_table, &the_key);
    int64_t begin = day->day * MS_PER_DAY;
    if (value && value->min >= begin && value->max < begin + MS_PER_DAY) {
        day->min = value->min;
        day->max = value->max;
    }
    if (value)
        day->weight = value->weight;
}

/* The one in which something was noted, or else the first. */
static struct book *noted_in(const struct day *day)
{
    struct book *first = NULL;
    for (unsigned part = 0; part < BOOK_PARTS; part++) {
        struct book *book = day->parts[part];
        if (book && book_find(book, &day_table, &the_key))
            return book;
        first = first ? first : book;
    }
    return first;
}

void days_note(struct days *days)
{
    for (unsigned i = 0; i < days->n; i++) {
        const struct day *day = &days->at[i];
        struct book *book = noted_in(day);
        struct day_value *value = book ? book_find(book, &day_table, &the_key) : NULL;
        if (!book || day->weight == 0 || (value && value->weight == day->weight))
            continue; /* a book without change stays so */
        value = book_at(book, &day_table, &the_key, NULL);
        if (value)
            *value = (struct day_value){day->min, day->max, day->weight};
    }
}

void days_count(struct day *day, int64_t ts)
{
    if (day->weight == 0 || ts < day->min)
        day->min = ts;
    if (day->weight == 0 || ts > day->max)
        day->max = ts;
    day->n++;
    day->weight++;
}

void days_count_aside(struct day *day, int64_t ts)
{
    if (day->n_aside == 0 || ts < day->aside_min)
        day->aside_min = ts;
    if (day->n_aside == 0 || ts > day->aside_max)
        day->aside_max = ts;
    day->n_aside++;
}

void days_settle(struct days *days)
{
    bool has_others = false;
    for (unsigned i = 0; i < days->n; i++) {
        struct day *day = &days->at[i];
        if (day->weight == 0)
            continue;
        has_others = true;
        if (day->n_aside && day->aside_min < day->min)
            day->min = day->aside_min;
        if (day->n_aside && day->aside_max > day->max)
            day->max = day->aside_max;
    }
    if (has_others)
        return;
    for (unsigned i = 0; i < days->n; i++) {
        struct day *day = &days->at[i];
        if (day->n_aside == 0)
            continue;
        day->n = day->weight = day->n_aside;
        day->min = day->aside_min;
        day->max = day->aside_max;
    }
}
