/* Names of mirrors: see name.h. */
#include "mirror/name.h"

#include <stddef.h>
#include <string.h>

/* Whatever the locale says. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool mirror_name_is_good(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!is_plain(name[i]) && !strchr("-_.", name[i]))
            return false;
    return len > 0 && len < MIRROR_NAME_MAX && name[0] != '-' && name[0] != '.';
}

void mirror_name_make(const char *from, char out[MIRROR_NAME_MAX])
{
    size_t n = 0;
    for (; *from && n + 1 < MIRROR_NAME_MAX; from++)
        if (is_plain(*from))
            out[n++] = *from;
        else if (n > 0)
            out[n++] = strchr("-_.", *from) ? *from : '-';
    out[n] = '\0';
}
