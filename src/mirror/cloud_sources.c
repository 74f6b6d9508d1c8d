/* What the collector's watch gets to know of a cloud's machines: see cloud.h.
 *
 * A source has room for so many channels, MACs and addresses. A machine with more interfaces than
 * that becomes several sources, "web", "web#2" …, so that none of its copies comes from somebody
 * unknown. Addresses beyond the room are left out where the channels tell the copies apart; so are
 * addresses and MACs that two machines have, in networks that know nothing of each other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "mirror/cloud_parts.h"

#define ADDRESSES_MAX (sizeof((struct mirror_source *)0)->addresses / 48)

/* ---- what several machines have ---- */

struct used {
    const char *text; /* borrowed of the interface */
    const char *machine;
};

struct uses {
    struct used *at;
    size_t n;
};

static int used_order(const void *left, const void *right)
{
    const struct used *a = left, *b = right;
    int order = strcmp(a->text, b->text);
    return order ? order : strcmp(a->machine, b->machine);
}

struct making {
    const char *kind;
    const struct mirror_source *like;
    struct uses uses;
    struct mirror_sources sources;
};

/* Where copies carry ids, an interface that has none sends no copies: no place was left for it. */
static bool is_there(const struct making *m, const struct cloud_nic *nic)
{
    return nic->fate == CLOUD_WANTED && (!m->kind || nic->has_id);
}

static bool uses_make(struct making *m, const struct cloud_machines *machines)
{
    struct uses *out = &m->uses;
    size_t n = 0;
    for (size_t i = 0; i < machines->n; i++)
        n += machines->at[i].n * (CLOUD_ADDRESSES_MAX + 1);
    *out = (struct uses){.at = calloc(n + 1, sizeof(struct used))};
    if (!out->at)
        return false;
    for (size_t i = 0; i < machines->n; i++) {
        const struct cloud_machine *machine = &machines->at[i];
        for (size_t k = 0; k < machine->n; k++) {
            const struct cloud_nic *nic = machine->nics[k];
            if (!is_there(m, nic))
                continue;
            if (nic->mac[0])
                out->at[out->n++] = (struct used){nic->mac, machine->id};
            for (size_t j = 0; j < CLOUD_ADDRESSES_MAX && nic->addresses[j][0]; j++)
                out->at[out->n++] = (struct used){nic->addresses[j], machine->id};
        }
    }
    qsort(out->at, out->n, sizeof *out->at, used_order);
    return true;
}

static int text_order(const void *key, const void *element)
{
    return strcmp(key, ((const struct used *)element)->text);
}

/* Whether no other machine has it, too. */
static bool is_alone(const struct uses *uses, const char *text)
{
    const struct used *found = bsearch(text, uses->at, uses->n, sizeof *uses->at, text_order);
    if (!found)
        return true;
    const struct used *first = found, *last = found;
    while (first > uses->at && strcmp(first[-1].text, text) == 0)
        first--;
    while (last + 1 < uses->at + uses->n && strcmp(last[1].text, text) == 0)
        last++;
    return strcmp(first->machine, last->machine) == 0; /* they are sorted by machine, too */
}

/* ---- sources ---- */

static bool put_text(char *list, size_t size, size_t max, const char *text)
{
    for (size_t i = 0; i < max; i++) {
        if (strcmp(list + i * size, text) == 0)
            return true;
        if (!list[i * size]) {
            (void)snprintf(list + i * size, size, "%s", text);
            return true;
        }
    }
    return false;
}

static bool has_room(const char *list, size_t size, size_t max, size_t n)
{
    size_t used = 0;
    while (used < max && list[used * size])
        used++;
    return used + n <= max;
}

static bool is_plain(const char *id)
{
    size_t n = 0;
    while (id[n] > ' ' && id[n] < 0x7f)
        n++;
    return !id[n] && n <= 48;
}

/* Ids that are paths are long: then a digest does. Each part of a machine is one for itself. */
static void put_id(const char *id, unsigned number, char out[64])
{
    uint8_t digest[HASH_SHA256_SIZE];
    char end[16] = "";
    if (number > 1)
        (void)snprintf(end, sizeof end, "#%u", number);
    if (is_plain(id)) {
        (void)snprintf(out, 64, "%.48s%s", id, end);
        return;
    }
    hash_sha256(id, strlen(id), digest);
    hash_hex(digest, 16, out);
    (void)snprintf(out + 32, 32, "%s", end);
}

/* A new one of the machine's: the first one has its name, the others also a number. */
static struct mirror_source *begin(struct making *m, const struct cloud_machine *machine,
                                   const struct cloud_nic *nic, unsigned number)
{
    struct mirror_source *source = &m->sources.at[m->sources.n++];
    *source = m->like ? *m->like : (struct mirror_source){.direction = "both"};
    memset(source->channels, 0, sizeof source->channels);
    memset(source->macs, 0, sizeof source->macs);
    memset(source->addresses, 0, sizeof source->addresses);
    if (nic->collector[0])
        (void)snprintf(source->collector, sizeof source->collector, "%s", nic->collector);
    if (!source->collector[0]) /* a load balancer's: none of this machine's own */
        (void)snprintf(source->collector, sizeof source->collector, "any");
    put_id(machine->id, number, source->machine);
    source->has_lost = false;
    source->n_lost = 0;
    if (number > 1)
        (void)snprintf(source->name, sizeof source->name, "%.50s#%u", machine->name, number);
    else
        (void)snprintf(source->name, sizeof source->name, "%s", machine->name);
    return source;
}

static size_t n_own_addresses(const struct making *m, const struct cloud_nic *nic)
{
    size_t n = 0;
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX && nic->addresses[i][0]; i++)
        n += is_alone(&m->uses, nic->addresses[i]);
    return n;
}

/* Whether what tells the interface's packets apart fits, too. */
static bool fits(const struct making *m, const struct mirror_source *source,
                 const struct cloud_nic *nic)
{
    return has_room(source->channels[0], sizeof source->channels[0], MIRROR_CHANNELS_MAX, 1) &&
           has_room(source->macs[0], sizeof source->macs[0], MIRROR_CHANNELS_MAX, 1) &&
           (m->kind || has_room(source->addresses[0], sizeof source->addresses[0], ADDRESSES_MAX,
                                n_own_addresses(m, nic)));
}

static void put_nic(const struct making *m, const struct cloud_nic *nic,
                    struct mirror_source *source)
{
    char channel[MIRROR_CHANNEL_MAX];
    if (m->kind) {
        (void)snprintf(channel, sizeof channel, "%.20s:%u%s%.60s", m->kind, nic->id_number,
                       nic->outer[0] ? "@" : "", nic->outer);
        (void)put_text(source->channels[0], sizeof source->channels[0], MIRROR_CHANNELS_MAX,
                       channel);
    } else {
        for (size_t i = 0; i < CLOUD_ADDRESSES_MAX && nic->addresses[i][0]; i++)
            if (is_alone(&m->uses, nic->addresses[i]))
                (void)put_text(source->addresses[0], sizeof source->addresses[0], ADDRESSES_MAX,
                               nic->addresses[i]);
    }
    if (nic->mac[0] && is_alone(&m->uses, nic->mac))
        (void)put_text(source->macs[0], sizeof source->macs[0], MIRROR_CHANNELS_MAX, nic->mac);
}

/* As many as fit, the first one of every interface before the second one of any. */
static void put_addresses(const struct making *m, const struct cloud_nic *const *nics, size_t n,
                          struct mirror_source *source)
{
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX; i++)
        for (size_t k = 0; k < n; k++)
            if (is_there(m, nics[k]) && nics[k]->addresses[i][0] &&
                is_alone(&m->uses, nics[k]->addresses[i]))
                (void)put_text(source->addresses[0], sizeof source->addresses[0], ADDRESSES_MAX,
                               nics[k]->addresses[i]);
}

/* One that nothing is known of tells nothing apart, and a configuration with it is refused. */
static void end(struct making *m, const struct cloud_nic *const *nics, size_t n,
                struct mirror_source *source)
{
    put_addresses(m, nics, n, source);
    if (!source->channels[0][0] && !source->macs[0][0] && !source->addresses[0][0])
        m->sources.n--;
}

/* Those of one collector stand together, and keep their order else. */
static void sort_by_collector(const struct cloud_machine *machine)
{
    for (size_t begin = 0, end; begin < machine->n; begin = end) {
        const char *collector = machine->nics[begin]->collector;
        for (end = begin + 1;
             end < machine->n && strcmp(machine->nics[end]->collector, collector) == 0;)
            end++;
        for (size_t i = end; i < machine->n; i++) {
            const struct cloud_nic *nic = machine->nics[i];
            if (strcmp(nic->collector, collector) != 0)
                continue;
            memmove(&machine->nics[end + 1], &machine->nics[end],
                    (i - end) * sizeof *machine->nics);
            machine->nics[end++] = nic;
        }
    }
}

static void put_machine(struct making *m, const struct cloud_machine *machine)
{
    struct mirror_source *source = NULL;
    const char *collector = "";
    unsigned number = 0;
    size_t first = 0;
    sort_by_collector(machine);
    for (size_t i = 0; i < machine->n; i++) {
        if (!is_there(m, machine->nics[i]))
            continue;
        if (source && (strcmp(machine->nics[i]->collector, collector) != 0 ||
                       !fits(m, source, machine->nics[i]))) {
            end(m, machine->nics + first, i - first, source);
            source = NULL;
        }
        if (!source) {
            source = begin(m, machine, machine->nics[i], ++number);
            collector = machine->nics[i]->collector;
            first = i;
        }
        put_nic(m, machine->nics[i], source);
    }
    if (source)
        end(m, machine->nics + first, machine->n - first, source);
}

int cloud_sources(const struct cloud_inventory *inventory, const char *kind,
                  const struct mirror_source *like, struct mirror_sources *out, struct err *err)
{
    struct making m = {.kind = kind, .like = like};
    struct cloud_machines machines;
    if (!cloud_machines_make(inventory, &machines))
        return err_set(err, -ENOMEM, "out of memory");
    m.sources.at = calloc(inventory->n + 1, sizeof *m.sources.at);
    int result = 0;
    if (!m.sources.at || !uses_make(&m, &machines))
        result = err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < machines.n && result == 0; i++)
        put_machine(&m, &machines.at[i]);
    free(m.uses.at);
    cloud_machines_done(&machines);
    if (result < 0)
        free(m.sources.at);
    else
        *out = m.sources;
    return result;
}
