/* The tables of pairs.h, and how the values of two days become one. */
#include "hunt/pairs.h"

static void merge_times(int64_t *first, int64_t *last, int64_t from_first, int64_t from_last)
{
    if (from_first == 0 && from_last == 0)
        return;
    if ((*first == 0 && *last == 0) || from_first < *first)
        *first = from_first;
    if (from_last > *last)
        *last = from_last;
}

/* The three with the most connections stay. */
static void merge_port(struct pair_sum *into, struct pair_port port)
{
    static const struct pair_port none;
    if (memcmp(&port, &none, sizeof port) == 0)
        return;
    struct pair_port *least = &into->ports[0];
    for (unsigned i = 0; i < PAIR_PORTS; i++) {
        struct pair_port *at = &into->ports[i];
        if (memcmp(at, &none, sizeof none) == 0) {
            *at = port;
            return;
        }
        if (at->service == port.service && at->port == port.port && at->proto == port.proto) {
            at->n += port.n;
            at->duration += port.duration;
            return;
        }
        if (at->n < least->n)
            least = at;
    }
    into->n_other_ports++;
    if (port.n > least->n)
        *least = port;
}

static void merge_sum(struct pair_sum *into, const struct pair_sum *from)
{
    bool is_new = into->first == 0 && into->last == 0;
    merge_times(&into->first, &into->last, from->first, from->last);
    into->n += from->n;
    into->n_failed += from->n_failed;
    into->n_open += from->n_open;
    into->bytes_up += from->bytes_up;
    into->bytes_down += from->bytes_down;
    into->payload_up += from->payload_up;
    into->payload_down += from->payload_down;
    into->duration += from->duration;
    if (from->longest > into->longest)
        into->longest = from->longest;
    into->open_duration += from->open_duration;
    into->open_bytes += from->open_bytes;
    into->missed += from->missed;
    into->n_other_ports += from->n_other_ports;
    into->states |= from->states;
    into->n_missing_host += from->n_missing_host;
    into->n_proxied += from->n_proxied;
    if (from->touched > into->touched)
        into->touched = from->touched;
    if (is_new || from->way < into->way)
        into->way = from->way;
    for (unsigned i = 0; i < PAIR_PORTS; i++)
        merge_port(into, from->ports[i]);
}

static void merge_pair(void *into, const void *from)
{
    merge_sum(&((struct pair_value *)into)->sum, &((const struct pair_value *)from)->sum);
}

static void merge_hosts(struct hunt_host *into, uint8_t *n, const struct hunt_host *from,
                        uint8_t n_from)
{
    for (unsigned i = 0; i < n_from && i < NAMED_SERVERS; i++) {
        unsigned k = 0;
        while (k < *n && memcmp(&into[k], &from[i], sizeof from[i]) != 0)
            k++;
        if (k == *n && *n < NAMED_SERVERS)
            into[(*n)++] = from[i];
    }
}

static void merge_named(void *into_value, const void *from_value)
{
    struct named_value *into = into_value;
    const struct named_value *from = from_value;
    merge_sum(&into->sum, &from->sum);
    merge_hosts(into->servers, &into->n_servers, from->servers, from->n_servers);
    merge_hosts(into->proxies, &into->n_proxies, from->proxies, from->n_proxies);
    into->n_requests += from->n_requests;
}

static void merge_port_value(void *into_value, const void *from_value)
{
    struct port_value *into = into_value;
    const struct port_value *from = from_value;
    into->n += from->n;
    into->duration += from->duration;
}

static void merge_same(void *into_value, const void *from_value)
{
    struct same_value *into = into_value;
    const struct same_value *from = from_value;
    into->n += from->n;
    into->n_open += from->n_open;
}

static void merge_asked(void *into_value, const void *from_value)
{
    struct asked_value *into = into_value;
    const struct asked_value *from = from_value;
    into->n = from->n < UINT32_MAX - into->n ? into->n + from->n : UINT32_MAX;
    into->n_dns = from->n_dns < UINT32_MAX - into->n_dns ? into->n_dns + from->n_dns : UINT32_MAX;
    merge_times(&into->first, &into->last, from->first, from->last);
}

static void merge_machine(void *into, const void *from)
{
    ((struct machine_value *)into)->n += ((const struct machine_value *)from)->n;
}

static void merge_network(void *into, const void *from)
{
    ((struct network_value *)into)->uuid = ((const struct network_value *)from)->uuid;
}

/* A uid is of one day. */
static void merge_open(void *into, const void *from)
{
    memcpy(into, from, sizeof(struct open_value));
}

static void merge_waiting(void *into, const void *from)
{
    ((struct waiting_value *)into)->gone |= ((const struct waiting_value *)from)->gone;
}

static void merge_resolved(void *into_value, const void *from_value)
{
    struct resolved_value *into = into_value;
    const struct resolved_value *from = from_value;
    for (unsigned i = 0; i < RESOLVED_NAMES && from->names[i] != 0; i++) {
        unsigned k = 0;
        while (k < RESOLVED_NAMES && into->names[k] != 0 && into->names[k] != from->names[i])
            k++;
        if (k < RESOLVED_NAMES)
            into->names[k] = from->names[i];
    }
    if (from->n > into->n)
        into->n = from->n;
}

static void merge_loss(void *into_value, const void *from_value)
{
    struct loss_value *into = into_value;
    const struct loss_value *from = from_value;
    into->n += from->n;
    into->sum += from->sum;
    if (from->since > into->since) {
        into->since = from->since;
        into->share = from->share;
    }
    merge_times(&into->first, &into->last, from->first, from->last);
}

/* Bytes of a file: what is an index or a count must be one. */

static bool good_sum(const struct pair_sum *sum)
{
    return sum->way <= HUNT_OUTSIDE;
}

static bool good_pair(const void *key, const void *value)
{
    (void)key;
    return good_sum(&((const struct pair_value *)value)->sum);
}

static bool good_named(const void *key, const void *value)
{
    const struct named_value *named = value;
    (void)key;
    return good_sum(&named->sum) && named->n_servers <= NAMED_SERVERS &&
           named->n_proxies <= NAMED_SERVERS;
}

static bool good_open(const void *key, const void *value)
{
    const uint8_t *bytes = value;
    (void)key;
    return ((const struct open_value *)value)->way <= HUNT_OUTSIDE &&
           bytes[offsetof(struct open_value, in_pairs)] <= 1 &&
           bytes[offsetof(struct open_value, proxied)] <= 1 &&
           bytes[offsetof(struct open_value, closed)] <= 1;
}

static bool good_waiting(const void *key, const void *value)
{
    const struct waiting_key *waiting = key;
    return waiting->kind <= 1 && waiting->way <= HUNT_OUTSIDE &&
           ((const uint8_t *)key)[offsetof(struct waiting_key, proxied)] <= 1 &&
           ((const uint8_t *)value)[offsetof(struct waiting_value, gone)] <= 1;
}

#define SIZES(key, value) .key_size = sizeof(struct key), .value_size = sizeof(struct value)

const struct book_table pair_table = {
    .name = "pair",
    .version = 1,
    SIZES(pair_key, pair_value),
    .series_at = {offsetof(struct pair_value, conns)},
    .n_series = 1,
    .merge = merge_pair,
    .good = good_pair,
};

const struct book_table port_table = {
    .name = "port",
    .version = 1,
    SIZES(port_key, port_value),
    .merge = merge_port_value,
};

const struct book_table named_table = {
    .name = "named",
    .version = 1,
    SIZES(named_key, named_value),
    .series_at = {offsetof(struct named_value, conns), offsetof(struct named_value, requests)},
    .n_series = 2,
    .merge = merge_named,
    .good = good_named,
};

const struct book_table same_table = {
    .name = "same",
    .version = 1,
    SIZES(same_key, same_value),
    .merge = merge_same,
};

const struct book_table asked_table = {
    .name = "asked",
    .version = 2,
    SIZES(asked_key, asked_value),
    .merge = merge_asked,
};

const struct book_table machine_table = {
    .name = "machine",
    .version = 1,
    SIZES(machine_key, machine_value),
    .merge = merge_machine,
};

const struct book_table network_table = {
    .name = "network",
    .version = 1,
    SIZES(network_key, network_value),
    .merge = merge_network,
};

const struct book_table open_table = {
    .name = "open",
    .version = 1,
    SIZES(open_key, open_value),
    .merge = merge_open,
    .good = good_open,
};

const struct book_table waiting_table = {
    .name = "waiting",
    .version = 1,
    SIZES(waiting_key, waiting_value),
    .merge = merge_waiting,
    .good = good_waiting,
};

const struct book_table resolved_table = {
    .name = "resolved",
    .version = 1,
    SIZES(resolved_key, resolved_value),
    .merge = merge_resolved,
};

const struct book_table loss_table = {
    .name = "loss",
    .version = 1,
    SIZES(loss_key, loss_value),
    .merge = merge_loss,
};

const struct book_table *const pairs_tables[] = {
    &pair_table,    &port_table, &named_table,   &same_table,     &asked_table, &machine_table,
    &network_table, &open_table, &waiting_table, &resolved_table, &loss_table,  NULL,
};
