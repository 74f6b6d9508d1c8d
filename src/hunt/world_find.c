/* The questions that hunts ask of the world, and the findings made of pairs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/engine.h"
#include "hunt/world_parts.h"

struct hunt_prevalence hunt_prevalence_of(const struct hunt_judge *judge,
                                          const struct hunt_host *dst)
{
    const struct world_count *count =
        world_count_find(&judge->world->addresses, world_host_hash(dst));
    return (struct hunt_prevalence){count ? count->n : 0, hunt_is_internal(judge->scope, &dst->addr)
                                                              ? judge->world->n_hosts
                                                              : judge->world->n_looking_outside};
}

struct hunt_prevalence hunt_prevalence_of_name(const struct hunt_judge *judge, book_name name)
{
    const struct world_count *count = world_count_find(&judge->world->names, name);
    return (struct hunt_prevalence){count ? count->n : 0, judge->world->n_looking_outside};
}

const char *hunt_machine_of(const struct hunt_judge *judge, const struct hunt_host *host)
{
    const struct world_machine *machine = world_machine_find(judge->world, host);
    return machine ? machine->name : "";
}

const char *hunt_network_of(const struct hunt_judge *judge, uint32_t network)
{
    const struct hunt_world *world = judge->world;
    size_t low = 0, high = world->n_networks;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (world->networks[middle].network < network)
            low = middle + 1;
        else
            high = middle;
    }
    return low < world->n_networks && world->networks[low].network == network
               ? world->networks[low].uuid
               : "";
}

double hunt_loss_of(const struct hunt_judge *judge, const struct hunt_host *host)
{
    const struct world_machine *machine = world_machine_find(judge->world, host);
    return machine && machine->lost > judge->world->lost ? machine->lost : judge->world->lost;
}

uint64_t hunt_first_seen_key(uint64_t secret, const struct hunt_host *host)
{
    uint64_t hash = (world_host_hash(host) ^ secret) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

/* What an archive remembers is older than what the books have, or not there. */
static int64_t first_seen(const struct hunt_judge *judge, const struct world_count *count,
                          uint64_t key)
{
    const struct hunt_world *world = judge->world;
    int64_t first = count ? count->first : HUNT_UNSET;
    if (!world->first_seen)
        return first;
    pthread_mutex_lock(world->lock);
    int64_t before = world->first_seen(world->with, key);
    pthread_mutex_unlock(world->lock);
    return before != HUNT_UNSET && (first == HUNT_UNSET || before < first) ? before : first;
}

int64_t hunt_remembered(const struct hunt_judge *judge, uint64_t key)
{
    return first_seen(judge, NULL, key);
}

uint64_t hunt_secret(const struct hunt_judge *judge)
{
    return judge->world->secret;
}

int64_t hunt_first_seen_of_name(const struct hunt_judge *judge, book_name name)
{
    return first_seen(judge, world_count_find(&judge->world->names, name), name);
}

int64_t hunt_first_seen_of(const struct hunt_judge *judge, const struct hunt_host *dst)
{
    return first_seen(judge, world_count_find(&judge->world->addresses, world_host_hash(dst)),
                      hunt_first_seen_key(judge->world->secret, dst));
}

int64_t hunt_history_from(const struct hunt_judge *judge)
{
    const struct hunt_world *world = judge->world;
    return world->first_seen && world->history_since < world->oldest ? world->history_since
                                                                     : world->oldest;
}

size_t hunt_names_of(const struct hunt_judge *judge, const struct addr *addr, book_name *out,
                     size_t max)
{
    struct resolved_key key = {.addr = *addr};
    struct resolved_value value;
    size_t n = 0;
    if (!books_find(&judge->books, &resolved_table, &key, &value))
        return 0;
    while (n < max && n < RESOLVED_NAMES && value.names[n]) {
        out[n] = value.names[n];
        n++;
    }
    return n;
}

bool hunt_asks_dns(const struct hunt_judge *judge, const struct hunt_host *host)
{
    return world_count_find(&judge->world->askers, world_host_hash(host)) != NULL;
}

book_name hunt_name_for(const struct hunt_judge *judge, const struct hunt_host *src,
                        const struct addr *addr)
{
    book_name names[RESOLVED_NAMES];
    size_t n = hunt_names_of(judge, addr, names, RESOLVED_NAMES);
    for (size_t i = 0; i < n; i++) {
        struct asked_key key = {.name = names[i], .src = *src};
        struct asked_value value;
        if (books_find(&judge->books, &asked_table, &key, &value))
            return names[i];
    }
    return n > 0 && !hunt_asks_dns(judge, src) ? names[0] : 0;
}

const struct feeds *hunt_feeds(const struct hunt_judge *judge)
{
    return judge->world ? judge->world->feeds : NULL;
}

/* ---- findings of pairs ---- */

static const char *name_of_proto(uint8_t proto)
{
    return proto == HUNT_TCP ? "tcp" : proto == HUNT_UDP ? "udp" : proto == HUNT_ICMP ? "icmp" : "";
}

/* "443:tcp:ssl"; of ICMP type and code, "icmp:8/0". */
static void put_ports(const struct hunt_judge *judge, char *out, size_t size,
                      const struct pair_sum *sum)
{
    static const struct pair_port none;
    size_t used = 0;
    for (unsigned i = 0; i < PAIR_PORTS; i++) {
        const struct pair_port *port = &sum->ports[i];
        if (memcmp(port, &none, sizeof none) == 0 || used + 1 >= size)
            continue;
        struct str service = books_text(&judge->books, port->service);
        const char *comma = used ? "," : "";
        int n = port->proto == HUNT_ICMP
                    ? snprintf(out + used, size - used, "%sicmp:%u/%u", comma, port->port >> 8,
                               port->port & 0xffu)
                    : snprintf(out + used, size - used, "%s%u:%s:%.*s", comma, port->port,
                               name_of_proto(port->proto), service.len < 24 ? (int)service.len : 24,
                               service.at ? service.at : "");
        if (n > 0)
            used += (size_t)n < size - used ? (size_t)n : size - used - 1;
    }
    if (sum->n_other_ports && used + 24 < size)
        (void)snprintf(out + used, size - used, " and %u more", sum->n_other_ports);
}

static void put_machine(const struct hunt_judge *judge, char *out, size_t size,
                        const struct hunt_host *host)
{
    (void)snprintf(out, size, "%s", hunt_machine_of(judge, host)); /* cut where it is longer */
}

static void lower_by_loss(const struct hunt_judge *judge, struct finding *finding,
                          const struct hunt_host *host, const char *machine)
{
    double lost = hunt_loss_of(judge, host);
    if (lost < 0.005)
        return;
    finding->confidence *= 1 - (lost < 0.9 ? lost : 0.9);
    if (*machine)
        finding_because(finding, "%.1f %% of the packets of %s were lost: it is less sure by that.",
                        100 * lost, machine);
    else
        finding_because(finding, "%.1f %% of the packets were lost: it is less sure by that.",
                        100 * lost);
    finding_number(finding, "lost_share", lost);
}

static void put_sum(const struct hunt_judge *judge, struct finding *finding,
                    const struct pair_sum *sum)
{
    put_ports(judge, finding->ports, sizeof finding->ports, sum);
    finding->first = sum->first;
    finding->last = sum->last;
    finding->n = sum->n + sum->n_open;
    finding->bytes_up = sum->bytes_up;
    finding->bytes_down = sum->bytes_down;
    if (finding->confidence == 0)
        finding->confidence = 1;
}

static void put_src(const struct hunt_judge *judge, struct finding *finding,
                    const struct hunt_host *src)
{
    finding->src = *src;
    finding->has_src = true;
    put_machine(judge, finding->src_machine, sizeof finding->src_machine, src);
    (void)snprintf(finding->src_network, sizeof finding->src_network, "%s",
                   hunt_network_of(judge, src->network));
    lower_by_loss(judge, finding, src, finding->src_machine);
}

static void put_name(const struct hunt_judge *judge, struct finding *finding, book_name name)
{
    struct str text = books_text(&judge->books, name);
    size_t n = text.len < sizeof finding->name - 1 ? text.len : sizeof finding->name - 1;
    if (n)
        memcpy(finding->name, text.at, n);
    finding->name[n] = '\0';
}

void finding_of_pair(const struct hunt_judge *judge, struct finding *finding,
                     const struct pair_key *key, const struct pair_value *value)
{
    put_sum(judge, finding, &value->sum);
    put_src(judge, finding, &key->src);
    finding->dst = key->dst;
    finding->has_dst = true;
    put_machine(judge, finding->dst_machine, sizeof finding->dst_machine, &key->dst);
    book_name name = hunt_name_for(judge, &key->src, &key->dst.addr);
    if (name)
        put_name(judge, finding, name);
    _Static_assert(sizeof *key <= sizeof finding->events_key, "a key that is too long");
    finding->events_of = &pair_table;
    memcpy(finding->events_key, key, sizeof *key);
    finding->events_series = PAIR_CONNS;
}

void finding_of_named(const struct hunt_judge *judge, struct finding *finding,
                      const struct named_key *key, const struct named_value *value)
{
    put_sum(judge, finding, &value->sum);
    put_src(judge, finding, &key->src);
    if (value->n_servers == 1 && value->n_proxies == 0) {
        finding->dst = value->servers[0];
        finding->has_dst = true;
        put_machine(judge, finding->dst_machine, sizeof finding->dst_machine, &finding->dst);
    }
    put_name(judge, finding, key->name);
    finding->events_of = &named_table;
    memcpy(finding->events_key, key, sizeof *key);
    finding->events_series = NAMED_CONNS;
}
