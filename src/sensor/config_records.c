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
static bool join(struct config_source *to, const struct config_source *from)
{
    if (!make_room(&to->channels, to->n_channels, from->n_channels, sizeof *to->channels) ||
        !make_room(&to->addresses, to->n_addresses, from->n_addresses, sizeof *to->addresses) ||
        !make_room(&to->macs, to->n_macs, from->n_macs, sizeof *to->macs))
        return false;
    for (size_t i = 0; i < from->n_channels; i++)
        if (!has_channel(to, &from->channels[i]))
            to->channels[to->n_channels++] = from->channels[i];
    for (size_t i = 0; i < from->n_addresses; i++)
        if (!has_address(to, &from->addresses[i]))
            to->addresses[to->n_addresses++] = from->addresses[i];
    for (size_t i = 0; i < from->n_macs; i++)
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

/* `n_named`: how many of config's sources are of the configuration itself. */
static int take_source(struct config *config, size_t n_named, struct config_source *source,
                       struct err *err)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        struct config_source *other = &config->sources[i];
        if (i < n_named && is_same_machine(other, source))
            return 0;
        if (i >= n_named && source->name && is_same_text(other->name, source->name) &&
            is_same_text(other->network_name, source->network_name))
            return join(other, source) ? 0 : no_memory(err);
    }
    if (config->n_sources == CONFIG_MAX_SOURCES)
        return err_set(err, -E2BIG, "%s: more than %d sources", config->files[source->place.file],
                       CONFIG_MAX_SOURCES);
    if (!make_room(&config->sources, config->n_sources, 1, sizeof *config->sources))
        return no_memory(err);
    config->sources[config->n_sources++] = *source;
    *source = (struct config_source){0}; /* whose texts and lists these are now */
    return 0;
}

static int take_record(struct config *config, size_t n_named, struct config *record,
                       const char *path, const struct addr *own, size_t n_own, struct err *err)
{
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
        if (!is_own(for_whom ? for_whom : record->collector, own, n_own))
            continue;
        set_file(&record->sources[i], file);
        result = take_source(config, n_named, &record->sources[i], err);
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

static int add_record(struct config *config, size_t n_named, const char *path,
                      const struct addr *own, size_t n_own, struct err *err)
{
    struct config *record = NULL;
    int result = config_new(&record, err);
    if (result == 0)
        result = config_add_file(record, path, err);
    if (result == 0 && has_own(record, own, n_own))
        result = take_record(config, n_named, record, path, own, n_own, err);
    config_free(record);
    return result;
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
    size_t n = list_records(&paths), n_named = config->n_sources;
    struct addr *own = calloc(OWN_MAX, sizeof *own);
    int result = own ? 0 : no_memory(err);
    size_t n_own = own && n ? linux_own_addresses(own, OWN_MAX) : 0;
    for (size_t i = 0; i < n; i++) {
        if (result == 0)
            result = add_record(config, n_named, paths[i], own, n_own, err);
        free(paths[i]);
    }
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
