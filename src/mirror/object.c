/* Sets of what a mirror consists of: see object.h. */
#include "mirror/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mirror_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

void mirror_set_done(struct mirror_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        json_decref(set->at[i].is);
        json_decref(set->at[i].on);
        json_decref(set->at[i].also);
    }
    free(set->at);
    free(set->index);
    *set = (struct mirror_set){0};
}

/* ---- the index ---- */

/* FNV-1a, whose weakness to chosen keys is no harm here: the set is bounded. */
static uint32_t hash_of(const char *kind, const char *key)
{
    uint32_t hash = 2166136261u;
    for (const char *at = kind; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    hash *= 16777619u; /* the end of the kind */
    for (const char *at = key; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash ^ hash >> 15;
}

static bool is_called(const struct mirror_object *object, const char *kind, const char *key)
{
    return strcmp(object->kind, kind) == 0 && strcmp(object->key, key) == 0;
}

/* Of several with one key the first is found. */
static void put_in_index(struct mirror_set *set, size_t number)
{
    const struct mirror_object *object = &set->at[number];
    size_t i = hash_of(object->kind, object->key) & (set->index_size - 1);
    for (; set->index[i]; i = (i + 1) & (set->index_size - 1))
        if (set->index[i] <= number &&
            is_called(&set->at[set->index[i] - 1], object->kind, object->key))
            return;
    set->index[i] = (uint32_t)number + 1;
}

static bool make_index(struct mirror_set *set, size_t size)
{
    uint32_t *index = calloc(size, sizeof *index);
    if (!index)
        return false;
    free(set->index);
    set->index = index;
    set->index_size = size;
    for (size_t i = 0; i < set->n; i++)
        put_in_index(set, i);
    return true;
}

/* ---- objects ---- */

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
    return make_index(set, 4 * capacity);
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
    put_in_index(set, set->n - 1);
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
    if (!set->index)
        return NULL;
    for (size_t i = hash_of(kind, key) & (set->index_size - 1); set->index[i];
         i = (i + 1) & (set->index_size - 1)) {
        struct mirror_object *object = &set->at[set->index[i] - 1];
        /* The last ones may have been taken out again. */
        if (set->index[i] <= set->n && is_called(object, kind, key))
            return object;
    }
    return NULL;
}
