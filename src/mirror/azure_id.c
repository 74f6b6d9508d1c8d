/* Ids of Azure, "/subscriptions/S/resourceGroups/G/providers/P/TYPE/NAME/TYPE/NAME": see azure.h.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "mirror/azure.h"

void azure_put_lower(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++)
        out[n] = str_lower_char(text[n]);
    out[n] = '\0';
}

bool azure_same(const char *one, const char *other)
{
    return strcasecmp(one, other) == 0;
}

/* Where the name behind "/type/" begins; NULL: there is no such part. */
static const char *name_at(const char *id, const char *type)
{
    size_t len = strlen(type);
    for (const char *at = strchr(id, '/'); at; at = strchr(at + 1, '/'))
        if (strncasecmp(at + 1, type, len) == 0 && at[1 + len] == '/')
            return at + 2 + len;
    return NULL;
}

bool azure_part(const char *id, const char *type, char *out, size_t size)
{
    const char *name = name_at(id, type);
    size_t len = name ? strcspn(name, "/") : 0;
    if (len == 0 || len >= size)
        return false;
    memcpy(out, name, len);
    out[len] = '\0';
    return true;
}

bool azure_until(const char *id, const char *type, char out[AZURE_ID_MAX])
{
    const char *name = name_at(id, type);
    size_t len = name ? (size_t)(name - id) + strcspn(name, "/") : 0;
    if (len == 0 || len >= AZURE_ID_MAX)
        return false;
    memcpy(out, id, len);
    out[len] = '\0';
    return true;
}

bool azure_short(const char *id, const char *type, char out[AZURE_SHORT_MAX])
{
    char group[96], name[96];
    if (!azure_part(id, "resourceGroups", group, sizeof group) ||
        !azure_part(id, type, name, sizeof name))
        return false;
    (void)snprintf(out, AZURE_SHORT_MAX, "%s/%s", group, name);
    return true;
}

bool azure_key(const char *id, const char *type, char out[MIRROR_KEY_MAX])
{
    char both[AZURE_SHORT_MAX];
    if (!azure_short(id, type, both) || strlen(both) >= MIRROR_KEY_MAX)
        return false;
    azure_put_lower(out, MIRROR_KEY_MAX, both);
    return true;
}

const json_t *azure_property(const json_t *thing, const char *name)
{
    return json_object_get(json_object_get(thing, "properties"), name);
}
