/* What `cloudspan mirror apply` recorded, here or on the machines that are mirrored, as a part of
 * the configuration: see config.h. Only the sources of a record are taken, whatever else is in it:
 * it comes from the machines that are watched. Left alone are records for another collector, and
 * machines that the configuration names itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/state.h"
#include "linux/interface.h"
#include "sensor/config_parts.h"

#define OWN_MAX 256

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "no memory for the configuration");
}

/* "any": whoever made the record does not know which of this machine's addresses the copies go to;
 * a load balancer's is none of them. */
static bool is_own(const char *text, const struct addr *own, size_t n)
{
    struct addr addr;
    if (text && strcmp(text, CONFIG_ANY_COLLECTOR) == 0)
        return true;
    if (!text || !addr_parse(text, &addr))
        return false;
    for (size_t i = 0; i < n; i++)
        if (addr_eq(&own[i], &addr))
            return true;
    return false;
}

/* ---- which machine ---- */

static bool is_same_channel(const struct config_channel *a, const struct config_channel *b)
{
    return a->decoder == b->decoder && a->erspan == b->erspan && a->has_id == b->has_id &&
           a->id == b->id && a->has_outer == b->has_outer && a->outer.bits == b->outer.bits &&
           addr_eq(&a->outer.net, &b->outer.net);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool has_channel(const struct config_source *source, const struct config_channel *channel)
{
    for (size_t i = 0; i < source->n_channels; i++)
        if (is_same_channel(&source->channels[i], channel))
            return true;
    return false;
}

static bool has_address(const struct config_source *source, const struct config_address *address)
{
    for (size_t i = 0; i < source->n_addresses; i++)
        if (addr_eq(&source->addresses[i].addr, &address->addr))
            return true;
    return false;
}

static bool has_mac(const struct config_source *source, const struct config_mac *mac)
{
    for (size_t i = 0; i < source->n_macs; i++)
        if (memcmp(source->macs[i].b, mac->b, sizeof mac->b) == 0)
            return true;
    return false;
}

/* By name, or by what its packets are known by; an address may be another machine's in another
 * network. */
static bool is_same_machine(const struct config_source *a, const struct config_source *b)
{
    bool same = is_same_text(a->name, b->name);
    for (size_t i = 0; i < b->n_channels; i++)
        same |= has_channel(a, &b->channels[i]);
    if (same || !is_same_text(a->network_name, b->network_name))
        return same;
    for (size_t i = 0; i < b->n_addresses; i++)
        same |= has_address(a, &b->addresses[i]);
    for (size_t i = 0; i < b->n_macs; i++)
        same |= has_mac(a, &b->macs[i]);
    return same;
}

/* ---- taking it over ---- */

/* A list of structs with room for `more`; false: no memory. */
static bool make_room(void *list, size_t n, size_t more, size_t size)
{
    void **at = list;
    void *grown = reallocarray(*at, n + more + 1, size);
    if (grown)
        *at = grown;
    return grown != NULL;
}

/* One more mirror of a machine that another record names: what it is known by is put together. */
static bool join(struct config_source *to, struct config_source *from)
{
    if (!to->machine) {
        to->machine = from->machine;
        from->machine = NULL;
    }
    if (!make_room(&to->channels, to->n_channels, from->n_channels, sizeof *to->channels) ||
        !make_room(&to->addresses, to->n_addresses, from->n_addresses, sizeof *to->addresses) ||
        !make_room(&to->macs, to->n_macs, from->n_macs, sizeof *to->macs))
        return false;
    for (size_t i = 0; i < from->n_channels && to->n_channels < CONFIG_MAX_OF_SOURCE; i++)
        if (!has_channel(to, &from->channels[i]))
            to->channels[to->n_channels++] = from->channels[i];
    for (size_t i = 0; i < from->n_addresses && to->n_addresses < CONFIG_MAX_OF_SOURCE; i++)
        if (!has_address(to, &from->addresses[i]))
            to->addresses[to->n_addresses++] = from->addresses[i];
    for (size_t i = 0; i < from->n_macs && to->n_macs < CONFIG_MAX_OF_SOURCE; i++)
        if (!has_mac(to, &from->macs[i]))
            to->macs[to->n_macs++] = from->macs[i];
    if (to->direction != from->direction)
        to->direction = CONFIG_BOTH;
    to->filtered |= from->filtered;
    to->lost_before.has |= from->lost_before.has;
    to->lost_before.n += from->lost_before.n;
    if (!to->truncate || (from->truncate && from->truncate < to->truncate))
        to->truncate = from->truncate;
    return true;
}

/* Sentences about it name this file. */
static void set_file(struct config_source *source, uint16_t file)
{
    source->place.file = file;
    for (size_t i = 0; i < source->n_channels; i++)
        source->channels[i].place.file = file;
    for (size_t i = 0; i < source->n_addresses; i++)
        source->addresses[i].place.file = file;
    for (size_t i = 0; i < source->n_macs; i++)
        source->macs[i].place.file = file;
}

static bool is_rest_of_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Another machine has the name: a part of its id is put behind it. False: no memory. */
static bool set_apart(struct config_source *source)
{
    char *name = NULL;
    size_t len = strlen(source->machine), most = CONFIG_NAME_MAX - 1 - 9;
    const char *end = source->machine + (len > 8 ? len - 8 : 0);
    while (is_rest_of_character(*end))
        end++;
    if (strlen(source->name) < most)
        most = strlen(source->name);
    while (most && is_rest_of_character(source->name[most]))
        most--;
    if (asprintf(&name, "%.*s-%s", (int)most, source->name, end) < 0)
        return false;
    free(source->name);
    source->name = name;
    return true;
}

/* ---- machines that records said already ---- */

struct taking {
    struct config *config;
    size_t n_named;   /* so many of config's sources are of the configuration itself */
    uint32_t *places; /* of the others, by name and by id: place + 1, open addressing */
    size_t capacity;  /* a power of two, or 0 */
    const struct addr *own;
    size_t n_own;
};

static const char *text_of(const struct config_source *source, bool by_id)
{
    return by_id ? source->machine : source->name;
}

/* Where the machine with this name, or with this id, in this network is, or would be. */
static uint32_t *place_of(const struct taking *t, const struct config_source *source, bool by_id)
{
    const char *text = text_of(source, by_id), *network = source->network_name;
    uint64_t seed = network ? XXH3_64bits_withSeed(network, strlen(network), by_id) : by_id;
    size_t i = XXH3_64bits_withSeed(text, strlen(text), seed) & (t->capacity - 1);
    for (; t->places[i]; i = (i + 1) & (t->capacity - 1)) {
        const struct config_source *there = &t->config->sources[t->places[i] - 1];
        if (is_same_text(text_of(there, by_id), text) && is_same_text(there->network_name, network))
            break;
    }
    return &t->places[i];
}

static struct config_source *find(const struct taking *t, const struct config_source *source,
                                  bool by_id)
{
    uint32_t place = t->capacity && text_of(source, by_id) ? *place_of(t, source, by_id) : 0;
    return place ? &t->config->sources[place - 1] : NULL;
}

static void remember(struct taking *t, size_t i)
{
    const struct config_source *source = &t->config->sources[i];
    for (int by_id = 0; by_id < 2; by_id++) {
        uint32_t *place = text_of(source, by_id) ? place_of(t, source, by_id) : NULL;
        if (place && !*place)
            *place = (uint32_t)i + 1;
    }
}

/* For one source more. False: no memory. */
static bool make_places(struct taking *t)
{
    size_t n = t->config->n_sources - t->n_named, capacity = t->capacity ? t->capacity : 64;
    if (t->capacity && 4 * (n + 2) < t->capacity)
        return true;
    while (4 * (n + 2) >= capacity)
        capacity *= 2;
    uint32_t *places = calloc(capacity, sizeof *places);
    if (!places)
        return false;
    free(t->places);
    t->places = places;
    t->capacity = capacity;
    for (size_t i = t->n_named; i < t->config->n_sources; i++)
        remember(t, i);
    return true;
}

/* Two mirrors of one machine, which one record may call otherwise than the other; or two machines
 * of a cloud that have one name. Where ids are not known the name decides. */
static int take_source(struct taking *t, struct config_source *source, struct err *err)
{
    struct config *config = t->config;
    for (size_t i = 0; i < t->n_named; i++)
        if (is_same_machine(&config->sources[i], source))
            return 0;
    struct config_source *same = find(t, source, true), *namesake = find(t, source, false);
    bool is_other = namesake && namesake->machine && source->machine;
    if (!same && namesake && !is_other)
        same = namesake;
    if (same) {
        if (!join(same, source))
            return no_memory(err);
        remember(t, (size_t)(same - config->sources)); /* its id may be known now */
        return 0;
    }
    if (is_other && !set_apart(source))
        return no_memory(err);
    if (config->n_sources == CONFIG_MAX_SOURCES)
        return err_set(err, -E2BIG, "%s: more than %d sources", config->files[source->place.file],
                       CONFIG_MAX_SOURCES);
    if (!make_places(t) ||
        !make_room(&config->sources, config->n_sources, 1, sizeof *config->sources))
        return no_memory(err);
    config->sources[config->n_sources] = *source;
    *source = (struct config_source){0}; /* whose texts and lists these are now */
    remember(t, config->n_sources++);
    return 0;
}

static int take_record(struct taking *t, struct config *record, const char *path, struct err *err)
{
    struct config *config = t->config;
    if (config->n_files == UINT16_MAX)
        return err_set(err, -E2BIG, "%s: there are too many records", path);
    if (!make_room(&config->files, config->n_files, 1, sizeof *config->files))
        return no_memory(err);
    config->files[config->n_files] = strdup(path);
    if (!config->files[config->n_files])
        return no_memory(err);
    uint16_t file = (uint16_t)config->n_files++;
    int result = 0;
    for (size_t i = 0; i < record->n_sources && result == 0; i++) {
        const char *for_whom = record->sources[i].collector;
        if (!is_own(for_whom ? for_whom : record->collector, t->own, t->n_own))
            continue;
        set_file(&record->sources[i], file);
        result = take_source(t, &record->sources[i], err);
    }
    return result;
}

static bool has_own(const struct config *record, const struct addr *own, size_t n_own)
{
    bool any = is_own(record->collector, own, n_own);
    for (size_t i = 0; i < record->n_sources && !any; i++)
        any = is_own(record->sources[i].collector, own, n_own);
    return any;
}

static int add_record(struct taking *t, const char *path, struct err *err)
{
    struct config *record = NULL;
    int result = config_new(&record, err);
    if (result == 0)
        result = config_add_file(record, path, err);
    if (result == 0 && has_own(record, t->own, t->n_own))
        result = take_record(t, record, path, err);
    config_free(record);
    return result;
}

/* ---- what two records say is of two machines ---- */

/* An address or a MAC of a machine. */
struct claim {
    const char *network; /* "": not said */
    struct addr addr;    /* a MAC: its bytes, and zeros */
    bool is_mac;
    size_t source;
};

static int claim_key_order(const struct claim *a, const struct claim *b)
{
    int order = strcmp(a->network, b->network);
    if (order == 0)
        order = (int)a->is_mac - (int)b->is_mac;
    return order ? order : memcmp(&a->addr, &b->addr, sizeof a->addr);
}

static int claim_order(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;
    int order = claim_key_order(a, b);
    return order ? order : (a->source > b->source) - (a->source < b->source);
}

static struct claim claim_of(const struct config *config, size_t source, const void *bytes,
                             bool is_mac)
{
    const char *network = config->sources[source].network_name;
    struct claim claim = {.network = network ? network : "", .is_mac = is_mac, .source = source};
    memcpy(claim.addr.b, bytes, is_mac ? 6 : sizeof claim.addr.b);
    return claim;
}

/* Whether a source before this one has it. */
static bool is_claimed(const struct claim *claims, size_t n, const struct claim *claim)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (claim_key_order(&claims[middle], claim) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && claims[low].source < claim->source &&
           claim_key_order(&claims[low], claim) == 0;
}

static void drop_claimed(struct config *config, size_t i, const struct claim *claims, size_t n)
{
    struct config_source *source = &config->sources[i];
    size_t n_addresses = 0, n_macs = 0;
    for (size_t k = 0; k < source->n_addresses; k++) {
        struct claim claim = claim_of(config, i, &source->addresses[k].addr, false);
        if (!is_claimed(claims, n, &claim))
            source->addresses[n_addresses++] = source->addresses[k];
    }
    for (size_t k = 0; k < source->n_macs; k++) {
        struct claim claim = claim_of(config, i, source->macs[k].b, true);
        if (!is_claimed(claims, n, &claim))
            source->macs[n_macs++] = source->macs[k];
    }
    source->n_addresses = n_addresses;
    source->n_macs = n_macs;
}

/* Networks of a cloud that know nothing of each other may have the same addresses. Where channels
 * tell the copies of their machines apart, that is no reason to refuse all of the configuration:
 * the address is then the first one's. */
static bool drop_shared(struct config *config, size_t n_named)
{
    size_t n = 0, most = 0;
    for (size_t i = 0; i < config->n_sources; i++)
        most += config->sources[i].n_addresses + config->sources[i].n_macs;
    struct claim *claims = calloc(most + 1, sizeof *claims);
    if (!claims)
        return false;
    for (size_t i = 0; i < config->n_sources; i++) {
        const struct config_source *source = &config->sources[i];
        for (size_t k = 0; k < source->n_addresses; k++)
            claims[n++] = claim_of(config, i, &source->addresses[k].addr, false);
        for (size_t k = 0; k < source->n_macs; k++)
            claims[n++] = claim_of(config, i, source->macs[k].b, true);
    }
    qsort(claims, n, sizeof *claims, claim_order);
    for (size_t i = n_named; i < config->n_sources; i++)
        if (config->sources[i].n_channels)
            drop_claimed(config, i, claims, n);
    free(claims);
    return true;
}

/* Who has no state folder has no mirrors; and one may not be ours to read. */
static size_t list_records(char ***out)
{
    char state[STATE_FOLDER_MAX], folder[STATE_FOLDER_MAX + 16];
    size_t n = 0;
    struct err none;
    *out = NULL;
    if (state_folder(NULL, state, &none) < 0)
        return 0;
    (void)snprintf(folder, sizeof folder, "%s/" CONFIG_RECORDS, state);
    return config_list_files(folder, out, &n, &none) < 0 ? 0 : n;
}

int config_add_records(struct config *config, struct err *err)
{
    char **paths;
    size_t n = list_records(&paths);
    struct taking t = {.config = config, .n_named = config->n_sources};
    struct addr *own = calloc(OWN_MAX, sizeof *own);
    int result = own ? 0 : no_memory(err);
    t.own = own;
    t.n_own = own && n ? linux_own_addresses(own, OWN_MAX) : 0;
    for (size_t i = 0; i < n; i++) {
        if (result == 0)
            result = add_record(&t, paths[i], err);
        free(paths[i]);
    }
    if (result == 0 && n && !drop_shared(config, t.n_named))
        result = no_memory(err);
    free(t.places);
    free(paths);
    free(own);
    return result;
}

/* ---- changes ---- */

static uint64_t mark_of(uint64_t mark, const char *path)
{
    struct stat st;
    struct {
        uint64_t mark, device, inode, size, seconds, nanoseconds;
    } all = {.mark = XXH3_64bits_withSeed(path, strlen(path), mark)};
    if (stat(path, &st) == 0) {
        all.device = st.st_dev;
        all.inode = st.st_ino;
        all.size = (uint64_t)st.st_size;
        all.seconds = (uint64_t)st.st_mtim.tv_sec;
        all.nanoseconds = (uint64_t)st.st_mtim.tv_nsec;
    }
    return XXH3_64bits(&all, sizeof all);
}

uint64_t config_records_mark(void)
{
    char **paths;
    size_t n = list_records(&paths);
    uint64_t mark = n;
    for (size_t i = 0; i < n; i++) {
        mark = mark_of(mark, paths[i]);
        free(paths[i]);
    }
    free(paths);
    struct addr own[OWN_MAX];
    size_t n_own = n ? linux_own_addresses(own, OWN_MAX) : 0;
    return XXH3_64bits_withSeed(own, n_own * sizeof own[0], mark);
}

bool config_source_is_same(const struct config_source *a, const struct config_source *b)
{
    bool same = a->n_channels == b->n_channels && a->n_addresses == b->n_addresses &&
                a->n_macs == b->n_macs && is_same_text(a->network_name, b->network_name) &&
                a->direction == b->direction && a->filtered == b->filtered &&
                a->truncate == b->truncate && a->drop_vlan == b->drop_vlan &&
                a->canary == b->canary;
    for (size_t i = 0; same && i < b->n_channels; i++)
        same = has_channel(a, &b->channels[i]);
    for (size_t i = 0; same && i < b->n_addresses; i++)
        same = has_address(a, &b->addresses[i]);
    for (size_t i = 0; same && i < b->n_macs; i++)
        same = has_mac(a, &b->macs[i]);
    return same;
}
