/* Values of OVSDB in JSON, RFC 7047, section 5.1: atoms, ["uuid", …], ["set", […]],
 * ["map", [[key, value], …]]. */
#include <string.h>

#include "linux/ovsdb.h"

/* The array behind the tag "set" or "map"; NULL: it is something else. */
static const json_t *tagged(const json_t *value, const char *tag)
{
    const char *is = json_string_value(json_array_get(value, 0));
    const json_t *inner = json_array_get(value, 1);
    return is && strcmp(is, tag) == 0 && json_is_array(inner) ? inner : NULL;
}

size_t ovsdb_n(const json_t *set)
{
    const json_t *array = tagged(set, "set");
    return array ? json_array_size(array) : set && !json_is_null(set) ? 1 : 0;
}

const json_t *ovsdb_at(const json_t *set, size_t i)
{
    const json_t *array = tagged(set, "set");
    return array ? json_array_get(array, i) : i == 0 ? set : NULL;
}

bool ovsdb_has(const json_t *set, const json_t *element)
{
    for (size_t i = 0; i < ovsdb_n(set); i++)
        if (json_equal(ovsdb_at(set, i), element))
            return true;
    return false;
}

const char *ovsdb_text(const json_t *value)
{
    return json_string_value(ovsdb_at(value, 0));
}

const char *ovsdb_uuid(const json_t *value)
{
    const json_t *one = ovsdb_at(value, 0);
    const char *tag = json_string_value(json_array_get(one, 0));
    return tag && strcmp(tag, "uuid") == 0 ? json_string_value(json_array_get(one, 1)) : NULL;
}

bool ovsdb_number(const json_t *value, int64_t *out)
{
    const json_t *one = ovsdb_at(value, 0);
    if (!json_is_integer(one))
        return false;
    *out = json_integer_value(one);
    return true;
}

bool ovsdb_true(const json_t *value)
{
    return json_is_true(ovsdb_at(value, 0));
}

bool ovsdb_map_at(const json_t *map, size_t i, const char **key, const json_t **value)
{
    const json_t *pair = json_array_get(tagged(map, "map"), i);
    *key = json_string_value(json_array_get(pair, 0));
    *value = json_array_get(pair, 1);
    return *key && *value;
}

static const json_t *map_get(const json_t *map, const char *key)
{
    const json_t *value;
    const char *at;
    for (size_t i = 0; ovsdb_map_at(map, i, &at, &value); i++)
        if (strcmp(at, key) == 0)
            return value;
    return NULL;
}

const char *ovsdb_map_text(const json_t *map, const char *key)
{
    return json_string_value(map_get(map, key));
}

bool ovsdb_map_number(const json_t *map, const char *key, int64_t *out)
{
    const json_t *value = map_get(map, key);
    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return true;
}

json_t *ovsdb_new_uuid(const char *uuid)
{
    return json_pack("[s, s]", "uuid", uuid);
}

json_t *ovsdb_named(const char *name)
{
    return json_pack("[s, s]", "named-uuid", name);
}

json_t *ovsdb_new_set(json_t *array)
{
    return array ? json_pack("[s, o]", "set", array) : NULL;
}

json_t *ovsdb_new_map(json_t *object)
{
    json_t *pairs = json_array(), *value;
    const char *key;
    bool failed = !object || !pairs;
    json_object_foreach(object, key, value)
    {
        if (!failed)
            failed = json_array_append_new(pairs, json_pack("[s, O]", key, value)) < 0;
    }
    json_decref(object);
    if (!failed)
        return json_pack("[s, o]", "map", pairs);
    json_decref(pairs);
    return NULL;
}

json_t *ovsdb_where_is(const char *column, json_t *value)
{
    return value ? json_pack("[[s, s, o]]", column, "==", value) : NULL;
}

json_t *ovsdb_where_uuid(const char *uuid)
{
    return ovsdb_where_is("_uuid", ovsdb_new_uuid(uuid));
}
