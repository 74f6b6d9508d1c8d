/* Puts together what is known of the world before the hunts judge: see world_parts.h. */
#include "hunt/world_parts.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_PLACES 1024

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xff51afd7ed558ccdu;
    return (x ^ (x >> 32)) * 0xc4ceb9fe1a85ec53u;
}

uint64_t world_host_hash(const struct hunt_host *host)
{
    uint64_t a[2];
    memcpy(a, host->addr.b, sizeof a);
    uint64_t hash = mix(mix(a[0], a[1]), host->network);
    return (hash ^ (hash >> 29)) | 1;
}

/* ---- counts ---- */

static struct world_count *place_of(const struct world_counts *counts, uint64_t key)
{
    size_t i = (key ^ (key >> 31)) & (counts->n_places - 1);
    while (counts->at[i].key && counts->at[i].key != key)
        i = (i + 1) & (counts->n_places - 1);
    return &counts->at[i];
}

const struct world_count *world_count_find(const struct world_counts *counts, uint64_t key)
{
    if (counts->n_places == 0 || key == 0)
        return NULL;
    const struct world_count *at = place_of(counts, key);
    return at->key ? at : NULL;
}

static bool grow(struct world_counts *counts)
{
    struct world_counts grown = {
        .n = counts->n, .n_places = counts->n_places ? counts->n_places * 2 : FIRST_PLACES};
    grown.at = calloc(grown.n_places, sizeof *grown.at);
    if (!grown.at)
        return false;
    for (size_t i = 0; i < counts->n_places; i++)
        if (counts->at[i].key)
            *place_of(&grown, counts->at[i].key) = counts->at[i];
    free(counts->at);
    *counts = grown;
    return true;
}

/* Where it is new, `first` is INT64_MAX; NULL: no memory. */
static struct world_count *count_at(struct world_counts *counts, uint64_t key)
{
    if (counts->n * 2 >= counts->n_places && !grow(counts) && counts->n + 1 >= counts->n_places) {
        counts->failed = true;
        return NULL;
    }
    struct world_count *at = place_of(counts, key);
    if (!at->key) {
        *at = (struct world_count){.key = key, .first = INT64_MAX};
        counts->n++;
    }
    return at;
}

/* ---- who knows whom ---- */

struct making {
    struct hunt_world *world;
    const struct hunt_judge *judge;
    struct world_counts hosts;  /* internal ones; `n`: 1 for those that look outside */
    uint32_t n_looking_outside; /* with RITA's meaning: that ask for names, or talk to others */
};

static bool in_window(const struct making *making, int64_t first, int64_t last)
{
    return last >= making->judge->from && first <= making->judge->to;
}

static void add_host(struct making *making, const struct hunt_host *host, bool looks_outside)
{
    struct world_count *at = count_at(&making->hosts, world_host_hash(host));
    if (!at || !looks_outside || at->n)
        return;
    at->n = 1;
    making->n_looking_outside++;
}

static void add_known(struct world_counts *counts, uint64_t key, int64_t first, bool counts_here)
{
    struct world_count *at = count_at(counts, key);
    if (!at)
        return;
    at->n += counts_here;
    if (first < at->first)
        at->first = first;
}

static void see_asked(void *with, const void *key_bytes, const void *value_bytes)
{
    struct making *making = with;
    const struct asked_key *key = key_bytes;
    const struct asked_value *value = value_bytes;
    bool ours = hunt_is_internal(making->judge->scope, &key->src.addr);
    bool now = in_window(making, value->first, value->last);
    if (ours && now)
        add_host(making, &key->src, true);
    add_known(&making->world->names, key->name, value->first, ours && now);
    if (value->n_dns)
        (void)count_at(&making->world->askers, world_host_hash(&key->src)); /* see .failed */
}

/* An external end is known to the internal one, whoever began; between two of ours the one that was
 * asked is known to the one that asked. */
static void see_pair(void *with, const void *key_bytes, const void *value_bytes)
{
    struct making *making = with;
    const struct pair_key *key = key_bytes;
    const struct pair_sum *sum = &((const struct pair_value *)value_bytes)->sum;
    bool now = sum->n_open > 0 || in_window(making, sum->first, sum->last);
    const struct hunt_host *known = sum->way == HUNT_IN ? &key->src : &key->dst;
    const struct hunt_host *knows = sum->way == HUNT_IN ? &key->dst : &key->src;
    uint64_t hash = world_host_hash(known);
    bool counts = now && sum->way != HUNT_OUTSIDE;
    /* Both ways between the same two count once. */
    if (counts && sum->way == HUNT_IN) {
        struct pair_key back = {.src = key->dst, .dst = key->src};
        struct pair_value there;
        counts = !books_find(&making->judge->books, &pair_table, &back, &there) ||
                 !in_window(making, there.sum.first, there.sum.last);
    }
    add_known(&making->world->addresses, hash, sum->first, counts);
    if (now && sum->way != HUNT_OUTSIDE)
        add_host(making, knows, sum->way != HUNT_INSIDE);
    /* An address of ours that was tried and never answered is no host: a scan would make the
     * network larger, and every destination rarer. */
    if (now && sum->way == HUNT_INSIDE && sum->n + sum->n_open > sum->n_failed)
        add_host(making, known, false);
}

/* ---- machines and networks ---- */

static struct world_machine *machine_place(const struct hunt_world *world,
                                           const struct hunt_host *host)
{
    size_t i = world_host_hash(host) & (world->n_machine_places - 1);
    while (world->machines[i].n && memcmp(&world->machines[i].host, host, sizeof *host) != 0)
        i = (i + 1) & (world->n_machine_places - 1);
    return &world->machines[i];
}

const struct world_machine *world_machine_find(const struct hunt_world *world,
                                               const struct hunt_host *host)
{
    if (world->n_machine_places == 0)
        return NULL;
    const struct world_machine *machine = machine_place(world, host);
    return machine->n ? machine : NULL;
}

struct told {
    struct machine_key key;
    uint64_t n;
};

struct gathered {
    void *at;
    size_t n, room, size;
    bool failed;
};

static void *gather(struct gathered *gathered)
{
    if (gathered->n == gathered->room) {
        size_t room = gathered->room ? gathered->room * 2 : 256;
        void *grown = realloc(gathered->at, room * gathered->size);
        if (!grown) {
            gathered->failed = true;
            return NULL;
        }
        gathered->at = grown;
        gathered->room = room;
    }
    return (char *)gathered->at + gathered->n++ * gathered->size;
}

static void see_machine(void *with, const void *key, const void *value)
{
    struct told *told = gather(with);
    if (told) {
        told->key = *(const struct machine_key *)key;
        told->n = ((const struct machine_value *)value)->n;
    }
}

/* Machines together, each with its most frequent host first. */
static int by_machine(const void *left, const void *right)
{
    const struct told *a = left, *b = right;
    if (a->key.machine != b->key.machine)
        return a->key.machine < b->key.machine ? -1 : 1;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return memcmp(&a->key.host, &b->key.host, sizeof a->key.host);
}

static void copy_text(char *out, size_t size, struct str text)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;
    if (n)
        memcpy(out, text.at, n);
    out[n] = '\0';
}

/* Of the days that the window touches. */
static double capture_lost(const struct hunt_judge *judge)
{
    struct loss_key key = {.machine = 0};
    uint64_t sum = 0, n = 0;
    for (size_t i = 0; i < judge->books.n; i++) {
        const struct loss_value *value = book_find(judge->books.at[i], &loss_table, &key);
        if (!value || value->last < judge->from || value->first > judge->to)
            continue;
        sum += value->sum;
        n += value->n;
    }
    return n ? (double)sum / (double)n / 1e6 : 0;
}

static double times_share(const struct hunt_judge *judge, int64_t from, int64_t to, uint64_t share)
{
    from = from > judge->from ? from : judge->from;
    to = to < judge->to ? to : judge->to;
    return to > from ? (double)(to - from) * (double)share : 0;
}

/* A trouble that a day leaves goes on until the next day's first word, or until now. */
static double machine_lost(const struct hunt_judge *judge, book_name machine)
{
    struct loss_key key = {.machine = machine};
    double sum = 0, of = (double)(judge->to - judge->from) * 1e6;
    uint64_t share = 0;
    int64_t since = 0;
    for (size_t i = 0; i < judge->books.n; i++) {
        const struct loss_value *value = book_find(judge->books.at[i], &loss_table, &key);
        if (!value || value->first > judge->to)
            continue;
        sum += times_share(judge, since, value->first, share);
        if (value->last >= judge->from)
            sum += (double)value->sum;
        share = value->share;
        since = value->since;
    }
    sum += times_share(judge, since, judge->to, share);
    return !(of > 0) ? 0 : sum < of ? sum / of : 1;
}

/* The name goes to the host that most of its records are about. Records of one machine are about
 * its peers, too: the most frequent one is the machine itself, as it is in all of them. */
static bool make_machines(struct hunt_world *world, const struct hunt_judge *judge)
{
    struct gathered told = {.size = sizeof(struct told)};
    books_each(&judge->books, &machine_table, 1, see_machine, &told);
    if (told.failed) {
        free(told.at);
        return false;
    }
    if (told.n == 0)
        return true;
    struct told *all = told.at;
    qsort(all, told.n, sizeof *all, by_machine);
    world->n_machine_places = 64;
    while (world->n_machine_places < told.n * 2)
        world->n_machine_places *= 2;
    world->machines = calloc(world->n_machine_places, sizeof *world->machines);
    if (!world->machines) {
        free(all);
        return false;
    }
    for (size_t i = 0; i < told.n; i++) {
        if (i > 0 && all[i].key.machine == all[i - 1].key.machine)
            continue;
        struct world_machine *machine = machine_place(world, &all[i].key.host);
        if (machine->n >= all[i].n)
            continue;
        machine->host = all[i].key.host;
        machine->n = all[i].n;
        machine->lost = machine_lost(judge, all[i].key.machine);
        copy_text(machine->name, sizeof machine->name,
                  books_text(&judge->books, all[i].key.machine));
    }
    free(all);
    return true;
}

struct naming {
    const struct hunt_judge *judge;
    struct gathered networks;
};

static void see_network(void *with, const void *key, const void *value)
{
    struct naming *naming = with;
    struct world_network *network = gather(&naming->networks);
    if (!network)
        return;
    network->network = ((const struct network_key *)key)->network;
    copy_text(network->uuid, sizeof network->uuid,
              books_text(&naming->judge->books, ((const struct network_value *)value)->uuid));
}

static int by_network(const void *left, const void *right)
{
    const struct world_network *a = left, *b = right;
    return a->network < b->network ? -1 : a->network > b->network;
}

static bool make_networks(struct hunt_world *world, const struct hunt_judge *judge)
{
    struct naming naming = {.judge = judge, .networks = {.size = sizeof(struct world_network)}};
    books_each(&judge->books, &network_table, 1, see_network, &naming);
    world->networks = naming.networks.at;
    world->n_networks = naming.networks.n;
    if (world->n_networks)
        qsort(world->networks, world->n_networks, sizeof *world->networks, by_network);
    return !naming.networks.failed;
}

/* ---- all ---- */

struct hunt_world *hunt_world_new(const struct hunt_judge *judge)
{
    struct hunt_world *world = calloc(1, sizeof *world);
    if (!world)
        return NULL;
    struct making making = {.world = world, .judge = judge};
    books_each(&judge->books, &asked_table, 1, see_asked, &making);
    books_each(&judge->books, &pair_table, 1, see_pair, &making);
    world->n_hosts = (uint32_t)making.hosts.n;
    world->n_looking_outside = making.n_looking_outside;
    world->lost = capture_lost(judge);
    bool ok = !making.hosts.failed && !world->names.failed && !world->addresses.failed &&
              !world->askers.failed && make_machines(world, judge) && make_networks(world, judge);
    free(making.hosts.at);
    if (ok)
        return world;
    hunt_world_free(world);
    return NULL;
}

void hunt_world_free(struct hunt_world *world)
{
    if (!world)
        return;
    free(world->names.at);
    free(world->addresses.at);
    free(world->askers.at);
    free(world->machines);
    free(world->networks);
    free(world);
}
