/* The machines of a cloud, put together of their interfaces, and what each is called:
 * cloud_parts.h.
 *
 * The collector tells machines apart by name, and clouds let several have the same. Each of those
 * gets a part of its id: also the first one, because which is the first changes with every machine
 * that comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "mirror/cloud_parts.h"

#define TRIES_MAX 7

/* Control characters, and what is refused in a configuration: it would be written at more length
 * than a name may have. */
static bool is_good(uint32_t c)
{
    return c >= 0x20 && (c < 0x7f || c > 0x9f) && c != 0x2028 && c != 0x2029 && c != 0xfeff &&
           (c & 0xfffe) != 0xfffe;
}

/* At most `max` bytes, and no half of a character. What a name must not have becomes '_'. */
static void put_label(const char *label, size_t max, char *out)
{
    size_t len = strlen(label), at = 0;
    while (at < len) {
        uint32_t code;
        size_t size = text_utf8(label + at, len - at, &code);
        bool good = size && is_good(code);
        size += size == 0;
        if (at + size > max)
            break;
        memcpy(out + at, label + at, size);
        if (!good)
            memset(out + at, '_', size);
        at += size;
    }
    out[at] = '\0';
}

/* The last letters of the id, as people compare them; from the second try on, of its digest. */
static void put_suffix(const char *id, unsigned try, char out[16])
{
    uint8_t digest[HASH_SHA256_SIZE];
    const char *last = strrchr(id, '/');
    last = last && last[1] ? last + 1 : id;
    size_t len = strlen(last);
    if (try == 0) {
        put_label(last + (len > 8 ? len - 8 : 0), 15, out);
        return;
    }
    hash_sha256(id, strlen(id), digest);
    hash_hex(digest + 4 * (size_t)(try - 1), 4, out);
    out[8] = '\0';
}

static void put_longer(struct cloud_machine *machine, unsigned try)
{
    char suffix[16];
    put_suffix(machine->id, try, suffix);
    put_label(machine->label, CLOUD_NAME_MAX - 2 - strlen(suffix), machine->name);
    size_t len = strlen(machine->name);
    (void)snprintf(machine->name + len, CLOUD_NAME_MAX - len, "-%s", suffix);
}

static int name_order(const void *left, const void *right)
{
    const struct cloud_machine *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

/* True: some were the same. */
static bool part_names(struct cloud_machine **sorted, size_t n, unsigned try)
{
    bool any = false;
    qsort(sorted, n, sizeof(struct cloud_machine *), name_order);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && strcmp(sorted[end]->name, sorted[i]->name) == 0;)
            end++;
        for (size_t k = i; end - i > 1 && k < end; k++) {
            put_longer(sorted[k], try);
            any = true;
        }
    }
    return any;
}

static bool give_names(struct cloud_machines *machines)
{
    struct cloud_machine **sorted = calloc(machines->n + 1, sizeof(struct cloud_machine *));
    if (!sorted)
        return false;
    for (size_t i = 0; i < machines->n; i++) {
        sorted[i] = &machines->at[i];
        put_label(sorted[i]->label, CLOUD_NAME_MAX - 1, sorted[i]->name);
    }
    for (unsigned try = 0; try < TRIES_MAX && part_names(sorted, machines->n, try); try++)
        ;
    free(sorted);
    return true;
}

static const char *machine_of(const struct cloud_nic *nic)
{
    return nic->machine[0] ? nic->machine : nic->id;
}

static int nic_order(const void *left, const void *right)
{
    const struct cloud_nic *const *a = left, *const *b = right;
    int order = strcmp(machine_of(*a), machine_of(*b));
    if (order == 0)
        order = ((*a)->order > (*b)->order) - ((*a)->order < (*b)->order);
    if (order == 0)
        order = strcmp((*a)->id, (*b)->id);
    return order ? order : (*a > *b) - (*a < *b);
}

/* Of the first interface that has one. */
static const char *label_of(const struct cloud_machine *machine)
{
    for (size_t i = 0; i < machine->n; i++)
        if (machine->nics[i]->name[0])
            return machine->nics[i]->name;
    return cloud_nic_label(machine->nics[0]);
}

bool cloud_machines_make(const struct cloud_inventory *inventory, struct cloud_machines *out)
{
    size_t n = inventory->n;
    *out = (struct cloud_machines){
        .nics = calloc(n + 1, sizeof(struct cloud_nic *)),
        .at = calloc(n + 1, sizeof(struct cloud_machine)),
    };
    if (!out->nics || !out->at) {
        cloud_machines_done(out);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        out->nics[i] = &inventory->at[i];
    qsort(out->nics, n, sizeof(struct cloud_nic *), nic_order);
    for (size_t i = 0; i < n; i++) {
        struct cloud_machine *last = out->n ? &out->at[out->n - 1] : NULL;
        if (!last || strcmp(last->id, machine_of(out->nics[i])) != 0)
            out->at[out->n++] =
                (struct cloud_machine){.id = machine_of(out->nics[i]), .nics = &out->nics[i]};
        out->at[out->n - 1].n++;
    }
    for (size_t i = 0; i < out->n; i++)
        out->at[i].label = label_of(&out->at[i]);
    if (give_names(out))
        return true;
    cloud_machines_done(out);
    return false;
}

void cloud_machines_done(struct cloud_machines *machines)
{
    free(machines->nics);
    free(machines->at);
    *machines = (struct cloud_machines){0};
}
