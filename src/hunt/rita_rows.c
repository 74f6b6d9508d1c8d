/* Rows of connections: by name, and by address where they are not there by name already. */
#include <stdio.h>
#include <stdlib.h>

#include "hunt/rita_parts.h"

#define UNIQUE_MIN 4
#define PORTS_MAX  20    /* of a row */
#define STROBE     86400 /* connections: one a second */
#define LONG_US    3600000000u

static const struct rita_thresholds lasting = {3600, 14400, 28800, 43200};

/* What is summed of one pair's ended connections in the window, and its events. */
struct pair_view {
    struct rita_run *run;
    const struct book_table *table;
    const void *key;
    unsigned series;
    const struct pair_sum *sum;
    struct book_event *events; /* in the window */
    size_t n_events;
    uint64_t n, bytes, duration;
    uint64_t open_n, open_bytes, open_duration;
    uint32_t n_proxied;
    uint32_t n_open_proxied; /* that are in the sum's */
    int64_t first;           /* ms */
};

void rita_run_add(struct rita_run *run, const struct rita_row *row, const struct rita_mark *mark)
{
    (void)pthread_mutex_lock(&run->lock); /* a plain mutex: it cannot fail */
    if (run->n == run->capacity) {
        size_t capacity = run->capacity ? run->capacity + run->capacity / 2 : 256;
        struct rita_row *rows = realloc(run->rows, capacity * sizeof *rows);
        if (rows)
            run->rows = rows;
        struct rita_mark *marks = rows ? realloc(run->marks, capacity * sizeof *marks) : NULL;
        if (marks) {
            run->marks = marks;
            run->capacity = capacity;
        }
    }
    if (run->n < run->capacity) {
        run->rows[run->n] = *row;
        run->marks[run->n++] = *mark;
    } else {
        rita_fail(run);
    }
    (void)pthread_mutex_unlock(&run->lock);
}

/* ---- ports ---- */

void rita_put_port(const struct rita_run *run, struct rita_row *row, const struct pair_port *port)
{
    char text[80];
    static const char *const protos[] = {
        [HUNT_ICMP] = "icmp", [HUNT_TCP] = "tcp", [HUNT_UDP] = "udp"};
    const char *proto = port->proto <= HUNT_UDP ? protos[port->proto] : NULL;
    if (port->n == 0)
        return;
    if (port->proto == HUNT_ICMP) {
        (void)snprintf(text, sizeof text, "icmp:%u/%u", port->port >> 8, port->port & 0xffu);
    } else {
        struct str service = port->service ? books_text(&run->all, port->service) : STR("");
        (void)snprintf(text, sizeof text, "%u:%s:%.*s", port->port,
                       proto ? proto : "unknown_transport",
                       (int)(service.len < 40 ? service.len : 40), service.at ? service.at : "");
    }
    size_t used = strlen(row->ports), len = strlen(text);
    const char *there = strstr(row->ports, text);
    if (there && (there == row->ports || there[-1] == ',') &&
        (there[len] == ',' || there[len] == '\0'))
        return;
    if (used + len + 2 > sizeof row->ports || row->n_ports == PORTS_MAX)
        return;
    row->n_ports++;
    if (used > 0)
        row->ports[used++] = ',';
    memcpy(row->ports + used, text, len + 1);
}

/* Of each day: put together, their three places hold fewer. */
static void put_ports(const struct pair_view *view, struct rita_row *row,
                      const struct rita_open *opens, size_t n_opens)
{
    const struct rita_run *run = view->run;
    for (size_t i = 0; i < run->recent.n; i++) {
        const void *value = book_find(run->recent.at[i], view->table, view->key);
        if (value == NULL)
            continue;
        const struct pair_sum *sum = view->table == &pair_table
                                         ? &((const struct pair_value *)value)->sum
                                         : &((const struct named_value *)value)->sum;
        for (unsigned k = 0; k < PAIR_PORTS && sum->last >= run->floor; k++)
            rita_put_port(run, row, &sum->ports[k]);
    }
    for (size_t i = 0; i < n_opens; i++)
        rita_put_port(run, row, &opens[i].port);
}

/* ---- numbers of the window ---- */

static bool view_init(struct pair_view *view, bool wants_events)
{
    const struct rita_run *run = view->run;
    const struct pair_sum *sum = view->sum;
    view->n = sum->n;
    view->bytes = sum->bytes_up + sum->bytes_down - sum->open_bytes;
    view->duration = sum->duration - sum->open_duration;
    view->first = sum->first;
    view->n_proxied = sum->n_proxied - view->n_open_proxied;
    bool is_partial = sum->first < run->floor || run->is_cut;
    if (sum->n == 0 || (!is_partial && !wants_events))
        return true;
    if (!books_events(&run->recent, view->table, view->key, view->series, INT64_MIN, INT64_MAX,
                      &view->events, &view->n_events))
        return false;
    bool all_kept = view->n_events == sum->n;
    size_t n = 0;
    uint64_t bytes = 0, duration = 0;
    for (size_t i = 0; i < view->n_events; i++) {
        const struct book_event *event = &view->events[i];
        if (event->ts < run->floor || (run->is_cut && event->ts > run->judge->to))
            continue;
        bytes += (uint64_t)event->up + event->down;
        duration += event->duration;
        view->events[n++] = *event;
    }
    view->n_events = n;
    if (is_partial && all_kept) { /* else the sums are nearer to the truth */
        view->n = n;
        view->bytes = bytes;
        view->duration = duration;
        view->first = n > 0 ? view->events[0].ts : sum->first;
        if (view->n_proxied > n)
            view->n_proxied = (uint32_t)n;
    }
    return true;
}

static void view_add_opens(struct pair_view *view, struct rita_open *opens, size_t n,
                           bool only_nameless)
{
    for (size_t i = 0; i < n; i++) {
        opens[i].is_done = true;
        if (only_nameless && opens[i].has_name)
            continue;
        view->open_n++;
        view->open_bytes += opens[i].bytes;
        view->open_duration += opens[i].duration;
        view->n_proxied += opens[i].proxied;
        if (opens[i].first < view->first)
            view->first = opens[i].first;
    }
}

static int64_t second_of(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
}

static size_t unique_seconds(const struct book_event *events, size_t n)
{
    size_t unique = 0;
    for (size_t i = 0; i < n; i++)
        unique += i == 0 || second_of(events[i].ts) != second_of(events[i - 1].ts);
    return unique;
}

/* Attempts that came to nothing are no check-ins, where others did come to something. */
static size_t without_failed(struct book_event *events, size_t n)
{
    size_t n_good = 0;
    for (size_t i = 0; i < n; i++)
        n_good += !events[i].failed;
    if (n_good < UNIQUE_MIN)
        return n;
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (!events[i].failed)
            events[k++] = events[i];
    return k;
}

/* False: there is no beacon to be scored, or no memory. */
static bool score_beacon(const struct pair_view *view, struct rita_beacon *out)
{
    const struct rita_run *run = view->run;
    size_t n = view->n_events;
    if (!run->has_window || view->n >= STROBE || n < UNIQUE_MIN)
        return false;
    if (!run->options->exact)
        n = without_failed(view->events, n);
    if (unique_seconds(view->events, n) < UNIQUE_MIN)
        return false;
    int64_t small[2 * 64];
    int64_t *ts = n <= 64 ? small : malloc(2 * n * sizeof *ts);
    if (ts == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        ts[i] = second_of(view->events[i].ts);
        ts[n + i] = view->events[i].up;
    }
    struct err err;
    int rc = rita_beacon(ts, n, ts + n, n, run->min, run->max, out, &err);
    if (ts != small)
        free(ts);
    return rc == 0;
}

/* The row's numbers; false: nothing makes it a row. */
static bool fill_row(const struct pair_view *view, struct rita_row *row, bool is_beacon)
{
    const struct rita_run *run = view->run;
    uint64_t duration = view->duration + view->open_duration;
    row->n = view->n;
    row->n_open = view->open_n;
    row->n_proxied = view->n_proxied;
    row->bytes = view->bytes + view->open_bytes;
    row->duration = (double)duration / 1e6;
    row->first_seen = second_of(view->first);
    row->strobe = view->n >= STROBE;
    row->exact = run->options->exact;
    row->rolling = run->options->rolling;
    if (is_beacon)
        row->beacon_threat = rita_bucket(row->beacon.score * 100, &run->options->beacon);
    if (duration >= LONG_US)
        row->long_score = rita_bucket(row->duration, &lasting);
    return is_beacon || row->strobe || duration >= LONG_US || (row->intel && !run->options->exact);
}

static const char *feed_of_name(const struct rita_run *run, struct str name)
{
    struct str bare = name;
    const char *colon = memchr(name.at, ':', name.len);
    if (colon)
        bare = str_upto(name, (size_t)(colon - name.at));
    const char *feed = hunt_feed_of_name(run->judge, bare);
    if (feed == NULL || !run->options->exact)
        return feed;
    /* RITA finds the name only as it stands in the feed: no port, and no domain above. */
    const char *dot = memchr(name.at, '.', name.len);
    struct str above = dot ? str_from(name, (size_t)(dot - name.at) + 1) : STR("");
    return colon || (above.len > 0 && hunt_feed_of_name(run->judge, above)) ? NULL : feed;
}

/* ---- the same connections in two tables ---- */

static int compare_events(const void *left, const void *right)
{
    const struct book_event *a = left, *b = right;
    if (a->ts != b->ts)
        return a->ts < b->ts ? -1 : 1;
    if (a->duration != b->duration)
        return a->duration < b->duration ? -1 : 1;
    if (a->up != b->up)
        return a->up < b->up ? -1 : 1;
    return (a->down > b->down) - (a->down < b->down);
}

/* Takes out of the view's connections those that another pair has as well: its events are the same.
 */
static bool without(struct pair_view *view, const struct book_table *table, const void *key,
                    unsigned series)
{
    struct book_event *others;
    size_t n_others, k = 0, n = 0;
    if (!books_events(&view->run->recent, table, key, series, INT64_MIN, INT64_MAX, &others,
                      &n_others))
        return false;
    for (size_t i = 0; i < view->n_events; i++) {
        const struct book_event *event = &view->events[i];
        while (k < n_others && compare_events(&others[k], event) < 0)
            k++;
        if (k < n_others && compare_events(&others[k], event) == 0) {
            k++;
            view->n--;
            view->bytes -= (uint64_t)event->up + event->down;
            view->duration -= event->duration;
        } else {
            view->events[n++] = *event;
        }
    }
    view->n_events = n;
    if (n > 0)
        view->first = view->events[0].ts;
    free(others);
    return true;
}

/* ---- by name ---- */

/* Of servers that are not looked at (ours, to RITA), the name has nothing but what was asked of a
 * proxy. */
static bool is_left_out(const struct pair_view *view, const struct hunt_host *src,
                        const struct hunt_host *server)
{
    return !hunt_keeps_conn(view->run->judge->scope, &src->addr, &server->addr);
}

static unsigned count_left_out(const struct pair_view *view, const struct hunt_host *src,
                               const struct named_value *value)
{
    unsigned n = 0;
    for (unsigned i = 0; i < value->n_servers && i < NAMED_SERVERS; i++)
        n += is_left_out(view, src, &value->servers[i]);
    return n;
}

static void leave_out_servers(struct pair_view *view, const struct hunt_host *src,
                              const struct named_value *value)
{
    for (unsigned i = 0; i < value->n_servers && i < NAMED_SERVERS; i++) {
        const struct hunt_host *server = &value->servers[i];
        const struct pair_key key = {.src = *src, .dst = *server};
        bool is_proxy = false;
        for (unsigned k = 0; k < value->n_proxies && k < NAMED_SERVERS; k++)
            is_proxy |= memcmp(&value->proxies[k], server, sizeof *server) == 0;
        if (is_left_out(view, src, server) && !is_proxy &&
            !without(view, &pair_table, &key, PAIR_CONNS))
            rita_fail(view->run);
    }
}

static bool is_recent(const struct rita_run *run, int64_t ms)
{
    return run->recent.n > 0 && ms >= book_day(run->recent.at[0]) * 86400000;
}

static void make_named(struct rita_run *run, const struct named_key *key,
                       const struct named_value *value)
{
    struct pair_view view = {
        .run = run, .table = &named_table, .key = key, .series = NAMED_CONNS, .sum = &value->sum};
    struct rita_mark mark = {.name = key->name, .src = rita_host_id(run->all.at[0], &key->src)};
    mark.pair = rita_pair_id(mark.src, key->name);
    size_t n_opens;
    struct rita_open *opens = rita_opens_of(run, key->name, mark.src, 0, &n_opens);
    if (run->options->exact && n_opens == 0 && value->sum.n < UNIQUE_MIN &&
        value->sum.duration < LONG_US)
        return;
    unsigned n_left_out = count_left_out(&view, &key->src, value);
    if (n_left_out > 0 && n_left_out == value->n_servers && value->n_proxies == 0 && n_opens == 0)
        return;
    for (size_t i = 0; i < n_opens; i++)
        view.n_open_proxied += opens[i].proxied && is_recent(run, opens[i].first);
    if (!view_init(&view, value->sum.n >= UNIQUE_MIN || n_left_out > 0))
        rita_fail(run);
    if (n_left_out > 0)
        leave_out_servers(&view, &key->src, value);
    view_add_opens(&view, opens, n_opens, false);
    struct str text = books_text(&run->all, key->name);

    struct rita_row row = {.type = RITA_SNI, .src = key->src};
    row.intel = str_set(text) && feed_of_name(run, text) != NULL;
    bool is_beacon = score_beacon(&view, &row.beacon);
    if (is_beacon || view.duration >= LONG_US)
        rita_set_add(&run->covering, key->name, mark.src);
    if (fill_row(&view, &row, is_beacon)) {
        text = str_upto(text, sizeof row.name - 1);
        if (str_set(text))
            memcpy(row.name, text.at, text.len);
        put_ports(&view, &row, opens, n_opens);
        rita_run_add(run, &row, &mark);
        for (unsigned i = 0; i < value->n_proxies && i < NAMED_SERVERS; i++)
            if (hunt_is_internal(run->judge->scope, &value->proxies[i].addr))
                rita_set_add(&run->contacts, key->name,
                             rita_host_tag(rita_host_id(run->all.at[0], &value->proxies[i])));
        for (size_t i = 0; i < n_opens; i++)
            if (opens[i].proxied && hunt_is_internal(run->judge->scope, &opens[i].dst_host.addr))
                rita_set_add(&run->contacts, key->name, rita_host_tag(opens[i].dst));
    }
    free(view.events);
}

static void take_named(void *with, const void *key, const void *value)
{
    make_named(with, key, value);
}

static void take_same(void *with, const void *key_bytes, const void *value_bytes)
{
    struct rita_run *run = with;
    const struct same_key *key = key_bytes;
    const struct same_value *value = value_bytes;
    uint64_t src = rita_host_id(run->all.at[0], &key->src);
    if (value->n == 0 || !rita_set_has(&run->covering, key->name, src))
        return;
    rita_set_add(&run->by_pair, rita_pair_id(src, rita_host_id(run->all.at[0], &key->dst)),
                 key->name);
}

void rita_named_rows(struct rita_run *run)
{
    unsigned n_threads = run->judge->n_threads;
    books_each(&run->recent, &named_table, n_threads, take_named, run);
    static const struct named_value none;
    for (size_t i = 0; i < run->n_opens; i++) {
        const struct rita_open *open = &run->opens[i];
        const struct named_key key = {.name = open->name, .src = open->src_host};
        if (open->name != 0 && !open->is_done)
            make_named(run, &key, &none);
    }
    rita_set_sort(&run->covering);
    books_each(&run->all, &same_table, n_threads, take_same, run);
    rita_set_sort(&run->by_pair);
}

/* ---- by address ---- */

/* Ours: what is there by name is taken out of the pair. RITA leaves out the whole pair. False: the
 * pair is left out. */
static bool leave_out_named(struct pair_view *view, const struct pair_key *key, uint64_t id,
                            const struct rita_open *opens, size_t n_opens)
{
    struct rita_run *run = view->run;
    size_t first, n_names = rita_set_count(&run->by_pair, id, &first);
    bool is_exact = run->options->exact;
    for (size_t i = 0; is_exact && i < n_opens; i++)
        if (opens[i].has_name)
            return false;
    if (n_names == 0)
        return true;
    if (is_exact || view->n_events < view->n) /* not all of its events are there to tell */
        return false;
    for (size_t i = 0; i < n_names; i++) {
        const struct named_key named = {.name = run->by_pair.at[first + i].b, .src = key->src};
        if (!without(view, &named_table, &named, NAMED_CONNS))
            rita_fail(run);
    }
    return view->n > 0 || n_opens > 0;
}

static void make_pair(struct rita_run *run, const struct pair_key *key,
                      const struct pair_value *value)
{
    const struct hunt_judge *judge = run->judge;
    if (!hunt_keeps_conn(judge->scope, &key->src.addr, &key->dst.addr))
        return;
    bool is_out = hunt_is_internal(judge->scope, &key->src.addr);
    const struct hunt_host *other = is_out ? &key->dst : &key->src;
    bool intel = hunt_feed_of(judge, &other->addr) != NULL;
    bool is_small = value->sum.n < UNIQUE_MIN && value->sum.duration < LONG_US;
    if (is_small && run->n_opens == 0 && (!intel || run->options->exact))
        return;
    uint64_t src = rita_host_id(run->all.at[0], &key->src);
    uint64_t dst = rita_host_id(run->all.at[0], &key->dst);
    uint64_t id = rita_pair_id(src, dst);
    size_t n_opens;
    struct rita_open *opens = rita_opens_of(run, 0, src, dst, &n_opens);
    if (is_small && n_opens == 0 && (!intel || run->options->exact))
        return;

    struct pair_view view = {
        .run = run, .table = &pair_table, .key = key, .series = PAIR_CONNS, .sum = &value->sum};
    bool is_covered = rita_set_count(&run->by_pair, id, NULL) > 0;
    if (!view_init(&view, value->sum.n >= UNIQUE_MIN || is_covered))
        rita_fail(run);
    bool stays = leave_out_named(&view, key, id, opens, n_opens);
    view_add_opens(&view, opens, n_opens, !run->options->exact);
    struct rita_row row = {
        .type = RITA_IP, .src = key->src, .dst = key->dst, .has_dst = true, .intel = intel};
    bool is_beacon = stays && score_beacon(&view, &row.beacon);
    if (stays && fill_row(&view, &row, is_beacon)) {
        struct rita_mark mark = {.src = src,
                                 .dst = is_out ? dst : src,
                                 .pair = id,
                                 .n_missing = value->sum.n_missing_host};
        put_ports(&view, &row, opens, n_opens);
        rita_run_add(run, &row, &mark);
    }
    free(view.events);
}

static void take_pair(void *with, const void *key, const void *value)
{
    make_pair(with, key, value);
}

void rita_pair_rows(struct rita_run *run)
{
    books_each(&run->recent, &pair_table, run->judge->n_threads, take_pair, run);
    static const struct pair_value none;
    for (size_t i = 0; i < run->n_opens; i++) {
        const struct rita_open *open = &run->opens[i];
        const struct pair_key key = {.src = open->src_host, .dst = open->dst_host};
        if (open->name == 0 && !open->is_done)
            make_pair(run, &key, &none);
    }
}
