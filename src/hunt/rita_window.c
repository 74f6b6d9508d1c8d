/* From when to when RITA looks, and the connections that are not ended.
 *
 * The window of connections ends with the newest one that is kept (or went to a proxy), that of
 * everything else with the newest record. Both begin 24 hours earlier; what is of the hour in which
 * they begin belongs to them, too. */
#include <stdlib.h>

#include "hunt/rita_parts.h"

#define DAY_S   86400
#define HOUR_MS 3600000

static int64_t floor_to(int64_t value, int64_t unit)
{
    int64_t rest = value % unit;
    return value - (rest < 0 ? rest + unit : rest);
}

struct finding_window {
    struct rita_run *run;
    const struct book_table *table;
    unsigned series;
    int64_t min, max; /* ms */
    bool any;
    pthread_mutex_t lock;
};

/* Looks at the events only where the sum says that they would move the window. */
static void widen(struct finding_window *window, const void *key, const struct pair_sum *sum)
{
    int64_t min = __atomic_load_n(&window->min, __ATOMIC_RELAXED);
    int64_t max = __atomic_load_n(&window->max, __ATOMIC_RELAXED);
    bool is_older = sum->first < min && min > max - DAY_S * 1000;
    if (sum->n == 0 || (sum->last <= max && !is_older))
        return;
    struct book_event *events;
    size_t n;
    int64_t to = window->run->is_cut ? window->run->judge->to + 1 : INT64_MAX;
    if (!books_events(&window->run->all, window->table, key, window->series, INT64_MIN, to, &events,
                      &n))
        return;
    if (n > 0) {
        (void)pthread_mutex_lock(&window->lock); /* a plain mutex: it cannot fail */
        if (events[0].ts < window->min)
            __atomic_store_n(&window->min, events[0].ts, __ATOMIC_RELAXED);
        if (events[n - 1].ts > window->max)
            __atomic_store_n(&window->max, events[n - 1].ts, __ATOMIC_RELAXED);
        __atomic_store_n(&window->any, true, __ATOMIC_RELAXED);
        (void)pthread_mutex_unlock(&window->lock);
    }
    free(events);
}

static void widen_by_pair(void *with, const void *key, const void *value)
{
    struct finding_window *window = with;
    const struct pair_key *pair = key;
    const struct hunt_scope *scope = window->run->judge->scope;
    if (hunt_keeps_conn(scope, &pair->src.addr, &pair->dst.addr))
        widen(window, key, &((const struct pair_value *)value)->sum);
}

static void widen_by_proxy(void *with, const void *key, const void *value)
{
    const struct named_value *named = value;
    if (named->sum.n_proxied > 0)
        widen(with, key, &named->sum);
}

/* The newest name in DNS. */
static void newest_name(void *with, const void *key, const void *value)
{
    (void)key;
    int64_t *newest = with, last = ((const struct rita_name_value *)value)->last;
    int64_t now = __atomic_load_n(newest, __ATOMIC_RELAXED);
    while (last > now && !__atomic_compare_exchange_n(newest, &now, last, true, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED))
        ;
}

void rita_find_window(struct rita_run *run)
{
    const struct hunt_judge *judge = run->judge;
    struct finding_window window = {.run = run,
                                    .table = &pair_table,
                                    .series = PAIR_CONNS,
                                    .min = INT64_MAX,
                                    .max = INT64_MIN / 2,
                                    .lock = PTHREAD_MUTEX_INITIALIZER};
    books_each(&run->all, &pair_table, judge->n_threads, widen_by_pair, &window);
    window.table = &named_table;
    window.series = NAMED_CONNS;
    books_each(&run->all, &named_table, judge->n_threads, widen_by_proxy, &window);

    int64_t newest = run->is_cut ? judge->to : judge->newest;
    int64_t all = floor_to(newest, 1000) / 1000 - DAY_S;
    run->floor_all = floor_to(all * 1000, HOUR_MS);
    run->floor = run->floor_all;
    if (window.any) {
        run->has_window = true;
        run->max = floor_to(window.max, 1000) / 1000;
        run->min = floor_to(window.min, 1000) / 1000;
        if (run->min < run->max - DAY_S)
            run->min = run->max - DAY_S;
        run->floor = floor_to(run->min * 1000, HOUR_MS);
    }

    /* Names of quite another time (put together from two captures, say) have their own window. */
    run->dns_newest = INT64_MIN;
    run->dns_floor = run->floor_all;
    books_each(&run->all, &rita_name_table, judge->n_threads, newest_name, &run->dns_newest);
    if (run->dns_newest != INT64_MIN && run->dns_newest < run->floor_all)
        run->dns_floor = floor_to(run->dns_newest - DAY_S * 1000, HOUR_MS);

    int64_t day = floor_to(run->floor, (int64_t)DAY_S * 1000) / (DAY_S * 1000);
    size_t first = 0;
    while (first < run->all.n && book_day(run->all.at[first]) < day)
        first++;
    run->recent = (struct books){.at = run->all.at + first, .n = run->all.n - first};
}

bool rita_in_window(const struct rita_run *run, int64_t last)
{
    return last >= run->floor_all || (last >= run->dns_floor && last <= run->dns_newest);
}

/* ---- connections that are not ended ---- */

struct finding_opens {
    struct rita_run *run;
    size_t capacity;
};

static void add_open(struct finding_opens *finding, const struct rita_open *open)
{
    struct rita_run *run = finding->run;
    if (run->n_opens == finding->capacity) {
        size_t capacity = finding->capacity ? 2 * finding->capacity : 256;
        struct rita_open *opens = realloc(run->opens, capacity * sizeof *opens);
        if (opens == NULL) {
            rita_fail(run);
            return;
        }
        run->opens = opens;
        finding->capacity = capacity;
    }
    run->opens[run->n_opens++] = *open;
}

/* From one thread: they are few. */
static void take_open(void *with, const void *key, const void *value)
{
    (void)key;
    struct finding_opens *finding = with;
    struct rita_run *run = finding->run;
    const struct open_value *from = value;
    if (from->closed)
        return;
    struct rita_open open = {
        .src = rita_host_id(run->all.at[0], &from->src),
        .dst = rita_host_id(run->all.at[0], &from->dst),
        .src_host = from->src,
        .dst_host = from->dst,
        .first = from->ts,
        .duration = from->duration,
        .bytes = from->up + from->down,
        .has_name = from->names[0] != 0 || from->names[1] != 0,
        .port = {.service = from->service, .port = from->port, .proto = from->proto, .n = 1},
    };
    bool kept = hunt_keeps_conn(run->judge->scope, &from->src.addr, &from->dst.addr);
    if (from->in_pairs && kept)
        add_open(finding, &open);
    open.has_name = true;
    for (unsigned i = 0; i < 2; i++) {
        if (from->names[i] == 0 || (i == 1 && from->names[1] == from->names[0]))
            continue;
        open.name = from->names[i];
        open.proxied = i == 0 && from->proxied;
        if (open.proxied || kept)
            add_open(finding, &open);
    }
}

static int order_of(const struct rita_open *open, book_name name, uint64_t src, uint64_t dst)
{
    if (open->name != name)
        return open->name < name ? -1 : 1;
    if (open->src != src)
        return open->src < src ? -1 : 1;
    if (name != 0 || open->dst == dst)
        return 0;
    return open->dst < dst ? -1 : 1;
}

static int compare_opens(const void *left, const void *right)
{
    const struct rita_open *other = right;
    return order_of(left, other->name, other->src, other->dst);
}

void rita_find_opens(struct rita_run *run)
{
    struct finding_opens finding = {.run = run};
    if (run->all.n > 0)
        books_each(&run->all, &open_table, 1, take_open, &finding);
    if (run->n_opens > 0)
        qsort(run->opens, run->n_opens, sizeof *run->opens, compare_opens);
}

struct rita_open *rita_opens_of(const struct rita_run *run, book_name name, uint64_t src,
                                uint64_t dst, size_t *out_n)
{
    size_t from = 0, to = run->n_opens;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (order_of(&run->opens[middle], name, src, dst) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    size_t n = 0;
    while (from + n < run->n_opens && order_of(&run->opens[from + n], name, src, dst) == 0)
        n++;
    *out_n = n;
    return run->n_opens ? run->opens + from : NULL;
}
