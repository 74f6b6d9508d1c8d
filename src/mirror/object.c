/* Sets of what a mirror consists of: see object.h. */
#include "mirror/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mirror_set_done(struct mirror_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        json_decref(set->at[i].is);
        json_decref(set->at[i].on);
        json_decref(set->at[i].also);
    }
    free(set->at);
    free(set->slots);
    *set = (struct mirror_set){0};
}

static bool is_of(const struct mirror_object *object, const char *kind, const char *key)
{
    return strcmp(object->key, key) == 0 && strcmp(object->kind, kind) == 0;
}

/* FNV-1a: nobody who could want collisions chooses these names and ids. */
static size_t hash_of(const char *kind, const char *key)
{
    uint64_t hash = 14695981039346656037u;
    for (; *kind; kind++)
        hash = (hash ^ (unsigned char)*kind) * 1099511628211u;
    hash *= 1099511628211u;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

/* The slot of this object, or the free one where it would be; there is always a free one. */
static uint32_t *slot_of(const struct mirror_set *set, const char *kind, const char *key)
{
    for (size_t i = hash_of(kind, key);; i++) {
        uint32_t *slot = &set->slots[i & (set->n_slots - 1)];
        if (*slot == 0 || is_of(&set->at[*slot - 1], kind, key))
            return slot;
    }
}

/* Of two with the same name the first one is found. */
static void put_slot(struct mirror_set *set, size_t i)
{
    uint32_t *slot = slot_of(set, set->at[i].kind, set->at[i].key);
    if (*slot == 0)
        *slot = (uint32_t)i + 1;
}

static bool make_room(struct mirror_set *set)
{
    if (set->n < set->capacity)
        return true;
    size_t capacity = set->capacity ? set->capacity * 2 : 16;
    if (capacity > MIRROR_SET_MAX)
        return false;
    struct mirror_object *at = realloc(set->at, capacity * sizeof *at);
    if (!at)
        return false;
    set->at = at;
    set->capacity = capacity;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots); /* at most half full */
    if (!slots)
        return false;
    free(set->slots);
    set->slots = slots;
    set->n_slots = capacity * 2;
    for (size_t i = 0; i < set->n; i++)
        put_slot(set, i);
    return true;
}

struct mirror_object *mirror_set_add(struct mirror_set *set, const char *kind, const char *key,
                                     json_t *is)
{
    if (!is || strlen(key) >= MIRROR_KEY_MAX || !make_room(set)) {
        set->failed = true;
        json_decref(is);
        return NULL;
    }
    struct mirror_object *object = &set->at[set->n++];
    *object = (struct mirror_object){.is = is};
    (void)snprintf(object->kind, sizeof object->kind, "%s", kind);
    (void)snprintf(object->key, sizeof object->key, "%s", key);
    put_slot(set, set->n - 1);
    return object;
}

void mirror_object_on(struct mirror_set *set, struct mirror_object *object, const char *kind,
                      const char *key)
{
    if (!object)
        return;
    if (!object->on)
        object->on = json_array();
    if (json_array_append_new(object->on, json_pack("[ss]", kind, key)) < 0)
        set->failed = true;
}

void mirror_object_why(struct mirror_object *object, const char *format, ...)
{
    if (!object)
        return;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(object->why, sizeof object->why, format, list);
    va_end(list);
}

struct mirror_object *mirror_set_get(const struct mirror_set *set, const char *kind,
                                     const char *key)
{
    if (set->slots) {
        uint32_t position = *slot_of(set, kind, key);
        return position ? &set->at[position - 1] : NULL;
    }
    for (size_t i = 0; i < set->n; i++)
        if (is_of(&set->at[i], kind, key))
            return &set->at[i];
    return NULL;
}
