/* An index of an array: see places.h. Open addressing, with the hashes kept, so that growing and
 * searching look at the elements as little as possible. */
#include "base/places.h"

#include <stdlib.h>

#define LEAST 64

void places_free(struct places *places)
{
    free(places->entries);
    *places = (struct places){.n = 0};
}

uint32_t places_find(const struct places *places, uint64_t hash,
                     bool (*same)(const void *with, uint32_t place, const void *key),
                     const void *with, const void *key)
{
    if (places->size == 0)
        return 0;
    for (size_t i = hash & (places->size - 1);; i = (i + 1) & (places->size - 1)) {
        const struct places_entry *entry = &places->entries[i];
        if (entry->place == 0)
            return 0;
        if (entry->hash == hash && same(with, entry->place - 1, key))
            return entry->place;
    }
}

static void put(struct places *places, const struct places_entry *entry)
{
    size_t i = entry->hash & (places->size - 1);
    while (places->entries[i].place)
        i = (i + 1) & (places->size - 1);
    places->entries[i] = *entry;
}

bool places_add(struct places *places, uint64_t hash, uint32_t place)
{
    if (2 * (places->n + 1) > places->size) {
        struct places more = {.n = places->n, .size = places->size ? 2 * places->size : LEAST};
        more.entries = calloc(more.size, sizeof *more.entries);
        if (!more.entries)
            return false;
        for (size_t i = 0; i < places->size; i++)
            if (places->entries[i].place)
                put(&more, &places->entries[i]);
        free(places->entries);
        *places = more;
    }
    put(places, &(struct places_entry){hash, place + 1});
    places->n++;
    return true;
}
