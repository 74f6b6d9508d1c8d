/* Numbers of machines in shared channels: see parts.h. */
#include "sensor/parts.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/places.h"

struct parts {
    struct places index;
    char **names;
    size_t n, capacity;
};

struct parts *parts_new(void)
{
    return calloc(1, sizeof(struct parts));
}

void parts_free(struct parts *parts)
{
    if (!parts)
        return;
    for (size_t i = 0; i < parts->n; i++)
        free(parts->names[i]);
    free(parts->names);
    places_free(&parts->index);
    free(parts);
}

static bool is_same(const void *with, uint32_t place, const void *key)
{
    return strcmp(((char *const *)with)[place], key) == 0;
}

uint16_t parts_number(struct parts *parts, const char *name)
{
    uint64_t hash = XXH3_64bits(name, strlen(name)); /* names are the operator's: no secret */
    uint32_t known = places_find(&parts->index, hash, is_same, parts->names, name);
    if (known || parts->n == UINT16_MAX)
        return (uint16_t)known;
    if (parts->n == parts->capacity) {
        size_t capacity = parts->capacity ? 2 * parts->capacity : 16;
        char **names = realloc(parts->names, capacity * sizeof *names);
        if (!names)
            return 0;
        parts->names = names;
        parts->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy || !places_add(&parts->index, hash, (uint32_t)parts->n)) {
        free(copy);
        return 0;
    }
    parts->names[parts->n++] = copy;
    return (uint16_t)parts->n;
}

size_t parts_count(const struct parts *parts)
{
    return parts->n;
}
