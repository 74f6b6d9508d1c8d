/* The id that each interface's copies carry: see cloud.h.
 *
 * A number follows from the mirror's name and the interface's id alone, so that a collector that
 * lost its records, or a mirror that is made anew, finds the same ones. Where two would get the
 * same, the one whose id comes first keeps it, and the other takes the next free number; from then
 * on it is kept, whoever comes or goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "mirror/cloud.h"

/* Numbers that are in use: open addressing, never more than half full. */
struct numbers {
    uint64_t *at; /* a number plus 1; 0: empty */
    size_t mask, n;
};

static bool numbers_init(struct numbers *numbers, size_t max)
{
    size_t size = 16;
    while (size < max * 2)
        size *= 2;
    *numbers = (struct numbers){.at = calloc(size, sizeof(uint64_t)), .mask = size - 1};
    return numbers->at != NULL;
}

static uint64_t *numbers_place(const struct numbers *numbers, uint32_t number)
{
    size_t i = (number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & numbers->mask;
    while (numbers->at[i] && numbers->at[i] != (uint64_t)number + 1)
        i = (i + 1) & numbers->mask;
    return &numbers->at[i];
}

static bool numbers_has(const struct numbers *numbers, uint32_t number)
{
    return *numbers_place(numbers, number) != 0;
}

/* False: it was there. */
static bool numbers_add(struct numbers *numbers, uint32_t number)
{
    uint64_t *place = numbers_place(numbers, number);
    if (*place)
        return false;
    *place = (uint64_t)number + 1;
    numbers->n++;
    return true;
}

static bool kept_number(const json_t *kept, const struct cloud_nic *nic,
                        const struct cloud_ids *ids, uint32_t *out)
{
    const json_t *number = json_object_get(kept, nic->id);
    json_int_t value = json_integer_value(number);
    if (!json_is_integer(number) || value < (json_int_t)ids->min || value > (json_int_t)ids->max)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* Where the search for an interface's number begins. */
static uint64_t first_place(const char *mirror, const struct cloud_nic *nic, uint64_t range)
{
    uint8_t digest[HASH_SHA256_SIZE];
    uint64_t value = 0;
    size_t name = strlen(mirror) + 1, id = strlen(nic->id);
    char *both = malloc(name + id + 1);
    if (!both)
        return 0; /* any place will do, and the lack of memory shows elsewhere */
    memcpy(both, mirror, name);
    memcpy(both + name, nic->id, id + 1);
    hash_sha256(both, name + id, digest);
    free(both);
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | digest[i];
    return value % range;
}

/* False: all are in use. Among n numbers in use, the n + 1st try is a free one at the latest. */
static bool find_free(const struct numbers *used, const struct cloud_ids *ids, uint64_t first,
                      uint32_t *out)
{
    uint64_t range = (uint64_t)ids->max - ids->min + 1;
    for (uint64_t i = 0; i < range && i <= used->n; i++) {
        *out = ids->min + (uint32_t)((first + i) % range);
        if (!numbers_has(used, *out))
            return true;
    }
    return false;
}

static int id_order(const void *left, const void *right)
{
    const struct cloud_nic *const *a = left, *const *b = right;
    int order = strcmp((*a)->id, (*b)->id);
    return order ? order : (*a > *b) - (*a < *b);
}

/* Sorted by id: what comes out does not depend on the order in which the cloud lists them. */
static struct cloud_nic **sort_wanted(struct cloud_inventory *inventory, size_t *out_n)
{
    struct cloud_nic **sorted = calloc(inventory->n + 1, sizeof(struct cloud_nic *));
    size_t n = 0;
    for (size_t i = 0; sorted && i < inventory->n; i++) {
        inventory->at[i].has_id = false;
        if (inventory->at[i].fate == CLOUD_WANTED)
            sorted[n++] = &inventory->at[i];
    }
    if (sorted)
        qsort(sorted, n, sizeof(struct cloud_nic *), id_order);
    *out_n = n;
    return sorted;
}

static void give(struct cloud_nic *nic, uint32_t number)
{
    nic->id_number = number;
    nic->has_id = true;
}

/* `used` also has the numbers of what is to be unmade: its copies may still be on their way, and
 * some clouds want a number to be free before it is given again. Only when there are no others are
 * they taken: `needed` is without them. */
static int give_new(const char *mirror, const struct cloud_ids *ids, struct numbers *used,
                    struct numbers *needed, struct cloud_nic *nic)
{
    uint32_t number;
    uint64_t first = first_place(mirror, nic, (uint64_t)ids->max - ids->min + 1);
    if (!find_free(used, ids, first, &number) && !find_free(needed, ids, first, &number))
        return -ENOSPC;
    (void)numbers_add(used, number);
    (void)numbers_add(needed, number);
    give(nic, number);
    return 0;
}

static int give_all(const char *mirror, const json_t *kept, const struct cloud_ids *ids,
                    struct numbers *used, struct numbers *needed, struct cloud_nic **nics, size_t n)
{
    uint32_t number;
    const char *id;
    json_t *value;
    for (size_t i = 0; i < ids->n_taken; i++) {
        (void)numbers_add(used, ids->taken[i]);
        (void)numbers_add(needed, ids->taken[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (kept_number(kept, nics[i], ids, &number) && numbers_add(needed, number))
            give(nics[i], number);
    for (size_t i = 0; i < n; i++)
        if (nics[i]->has_id)
            (void)numbers_add(used, nics[i]->id_number);
    json_object_foreach((json_t *)(uintptr_t)kept, id, value)
    {
        json_int_t is = json_integer_value(value);
        if (json_is_integer(value) && is >= 0 && is <= UINT32_MAX)
            (void)numbers_add(used, (uint32_t)is);
    }
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++)
        if (!nics[i]->has_id)
            result = give_new(mirror, ids, used, needed, nics[i]);
    return result;
}

int cloud_give_ids(const char *mirror, const json_t *kept, const struct cloud_ids *ids,
                   struct cloud_inventory *inventory, struct err *err)
{
    struct numbers used = {0}, needed = {0};
    size_t n = 0, max = ids->n_taken + json_object_size(kept) + inventory->n;
    if (ids->min > ids->max)
        return err_set(err, -EINVAL, "the ids from %u to %u are none", ids->min, ids->max);
    struct cloud_nic **nics = sort_wanted(inventory, &n);
    int result = 0;
    if (!nics || !numbers_init(&used, max) || !numbers_init(&needed, max))
        result = err_set(err, -ENOMEM, "out of memory");
    else
        result = give_all(mirror, kept, ids, &used, &needed, nics, n);
    if (result == -ENOSPC)
        result = err_set(err, -ENOSPC,
                         "there are %zu interfaces to be mirrored, and among the ids from %u to %u "
                         "are not so many that are free (%zu are taken by others)",
                         n, ids->min, ids->max, ids->n_taken);
    free(used.at);
    free(needed.at);
    free(nics);
    return result;
}
