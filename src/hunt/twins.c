/* Walking pairs by name and by address together. */
#include "hunt/twins.h"

#include <string.h>

struct twins_walk {
    const struct hunt_judge *judge;
    twins_wants_fn *wants;
    struct gather named, pairs;
};

static bool twins_is_due(const struct twins_walk *walk, const struct pair_sum *sum)
{
    const struct hunt_judge *judge = walk->judge;
    return sum->last >= judge->from &&
           (judge->since_round == 0 || sum->touched >= judge->since_round) &&
           walk->wants(judge, sum);
}

static void twins_each_named(void *with, const void *key, const void *bytes)
{
    struct twins_walk *walk = with;
    const struct named_value *value = bytes;
    if (!twins_is_due(walk, &value->sum))
        return;
    struct twin twin;
    memset(&twin, 0, sizeof(twin));
    twin.is_named = true;
    memcpy(&twin.key.named, key, sizeof(twin.key.named));
    twin.sum = value->sum;
    memcpy(twin.servers, value->servers, sizeof(twin.servers));
    twin.n_servers = value->n_servers < NAMED_SERVERS ? value->n_servers : NAMED_SERVERS;
    (void)gather_add(&walk->named, &twin); /* what is left out is counted by it */
}

static void twins_each_pair(void *with, const void *key, const void *bytes)
{
    struct twins_walk *walk = with;
    const struct pair_value *value = bytes;
    if (!twins_is_due(walk, &value->sum))
        return;
    struct twin twin;
    memset(&twin, 0, sizeof(twin));
    memcpy(&twin.key.pair, key, sizeof(twin.key.pair));
    twin.sum = value->sum;
    (void)gather_add(&walk->pairs, &twin); /* what is left out is counted by it */
}

const struct hunt_host *twin_src(const struct twin *twin)
{
    return twin->is_named ? &twin->key.named.src : &twin->key.pair.src;
}

static int twins_order(const void *a, const void *b)
{
    const struct twin *x = a, *y = b;
    int order = gather_order_host(twin_src(x), twin_src(y));
    if (order != 0)
        return order;
    if (!x->is_named)
        return gather_order_host(&x->key.pair.dst, &y->key.pair.dst);
    return x->key.named.name < y->key.named.name ? -1 : x->key.named.name > y->key.named.name;
}

static size_t twins_first_of(const struct gather *named, const struct hunt_host *src)
{
    const struct twin *twins = (const struct twin *)(const void *)named->items;
    size_t low = 0, high = named->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (gather_order_host(twin_src(&twins[middle]), src) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Connections of the pair that the source's names have with this server. */
static bool twins_is_told(const struct hunt_judge *judge, const struct gather *named,
                          const struct twin *pair)
{
    const struct twin *twins = (const struct twin *)(const void *)named->items;
    struct books window = gather_window(judge);
    uint64_t n = 0, all = pair->sum.n + pair->sum.n_open;
    unsigned n_looked_at = 0;
    for (size_t i = twins_first_of(named, &pair->key.pair.src);
         i < named->n && n_looked_at < 1000 &&
         gather_order_host(twin_src(&twins[i]), &pair->key.pair.src) == 0;
         i++, n_looked_at++) {
        struct same_key key;
        memset(&key, 0, sizeof(key));
        key.src = pair->key.pair.src;
        key.dst = pair->key.pair.dst;
        key.name = twins[i].key.named.name;
        struct same_value same;
        if (books_find(&window, &same_table, &key, &same))
            n += same.n + same.n_open;
    }
    return n * 2 > all;
}

void twins_gather(const struct hunt_judge *judge, twins_wants_fn *wants, struct gather *out)
{
    struct twins_walk walk = {.judge = judge, .wants = wants};
    gather_init(&walk.named, sizeof(struct twin), 100000);
    gather_init(&walk.pairs, sizeof(struct twin), 100000);
    gather_init(out, sizeof(struct twin), 200000);
    struct books window = gather_window(judge);
    books_each(&window, &named_table, judge->n_threads, twins_each_named, &walk);
    books_each(&window, &pair_table, judge->n_threads, twins_each_pair, &walk);
    gather_sort(&walk.named, twins_order);
    gather_sort(&walk.pairs, twins_order);
    const struct twin *twins = (const struct twin *)(const void *)walk.named.items;
    for (size_t i = 0; i < walk.named.n; i++)
        (void)gather_add(out, &twins[i]); /* what is left out is counted by it */
    twins = (const struct twin *)(const void *)walk.pairs.items;
    for (size_t i = 0; i < walk.pairs.n; i++)
        if (!twins_is_told(judge, &walk.named, &twins[i]))
            (void)gather_add(out, &twins[i]);
    gather_done(&walk.named);
    gather_done(&walk.pairs);
}

void twin_fill(const struct hunt_judge *judge, struct finding *finding, const struct twin *twin)
{
    if (twin->is_named) {
        struct named_value value;
        memset(&value, 0, sizeof(value));
        value.sum = twin->sum;
        memcpy(value.servers, twin->servers, sizeof(value.servers));
        value.n_servers = twin->n_servers;
        finding_of_named(judge, finding, &twin->key.named, &value);
        finding->events_of = &named_table;
        finding->events_series = NAMED_CONNS;
        memcpy(finding->events_key, &twin->key.named, sizeof(twin->key.named));
        return;
    }
    struct pair_value value;
    memset(&value, 0, sizeof(value));
    value.sum = twin->sum;
    finding_of_pair(judge, finding, &twin->key.pair, &value);
    finding->events_of = &pair_table;
    finding->events_series = PAIR_CONNS;
    memcpy(finding->events_key, &twin->key.pair, sizeof(twin->key.pair));
}

bool twin_events(const struct hunt_judge *judge, const struct twin *twin, struct book_event **out,
                 size_t *out_n)
{
    /* The window's last millisecond is part of it. */
    if (twin->is_named)
        return books_events(&judge->books, &named_table, &twin->key.named, NAMED_CONNS, judge->from,
                            judge->to + 1, out, out_n);
    return books_events(&judge->books, &pair_table, &twin->key.pair, PAIR_CONNS, judge->from,
                        judge->to + 1, out, out_n);
}

static bool is_answered_with(const struct hunt_judge *judge, book_name name,
                             const struct hunt_host *server)
{
    book_name names[RESOLVED_NAMES];
    size_t n = hunt_names_of(judge, &server->addr, names, RESOLVED_NAMES);
    for (size_t i = 0; i < n; i++)
        if (names[i] == name)
            return true;
    return n == RESOLVED_NAMES; /* there may be more */
}

bool named_is_pretended(const struct hunt_judge *judge, const struct named_key *key,
                        const struct hunt_host *servers, unsigned n_servers)
{
    for (unsigned i = 0; i < n_servers; i++)
        if (!hunt_is_public(&servers[i].addr) || is_answered_with(judge, key->name, &servers[i]) ||
            hunt_prevalence_of(judge, &servers[i]).n > 1)
            return false;
    return n_servers > 0 && hunt_asks_dns(judge, &key->src);
}

bool twin_is_pretended(const struct hunt_judge *judge, const struct twin *twin)
{
    return twin->is_named && twin->n_servers <= NAMED_SERVERS &&
           named_is_pretended(judge, &twin->key.named, twin->servers, twin->n_servers);
}

struct hunt_prevalence twin_prevalence(const struct hunt_judge *judge, const struct twin *twin)
{
    if (twin_is_pretended(judge, twin))
        return hunt_prevalence_of(judge, &twin->servers[0]);
    return twin->is_named ? hunt_prevalence_of_name(judge, twin->key.named.name)
                          : hunt_prevalence_of(judge, &twin->key.pair.dst);
}

const char *twin_service(const struct hunt_judge *judge, const struct twin *twin)
{
    uint16_t port = twin->sum.ports[0].port;
    uint8_t proto = twin->sum.ports[0].proto;
    if (twin_is_pretended(judge, twin))
        return NULL;
    if (twin->is_named)
        return hunt_known_service(books_text(&judge->books, twin->key.named.name), port, proto);
    book_name names[8];
    size_t n = hunt_names_of(judge, &twin->key.pair.dst.addr, names, 8);
    for (size_t i = 0; i < n; i++) {
        const char *known = hunt_known_service(books_text(&judge->books, names[i]), port, proto);
        if (known)
            return known;
    }
    return hunt_known_service((struct str){0}, port, proto);
}
