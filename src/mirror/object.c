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
    *set = (struct mirror_set){0};
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
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->at[i].kind, kind) == 0 && strcmp(set->at[i].key, key) == 0)
            return &set->at[i];
    return NULL;
}
