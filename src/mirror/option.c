/* Options that several providers take: see option.h. */
#include "mirror/option.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/options.h"
#include "net/addr.h"

int mirror_option_direction(const char *value, int *out, struct err *err)
{
    static const char *const names[] = {
        [MIRROR_IN] = "in", [MIRROR_OUT] = "out", [MIRROR_BOTH] = "both"};
    for (int i = MIRROR_IN; i <= MIRROR_BOTH; i++)
        if (strcmp(value, names[i]) == 0) {
            *out = i;
            return 0;
        }
    return err_set(err, -EINVAL, "--direction: '%.64s' is none of in, out, both", value);
}

int mirror_option_add(const char *option, const char *value, const char **list, size_t *n,
                      size_t most, struct err *err)
{
    if (*n == most)
        return err_set(err, -E2BIG, "%s: more than %zu", option, most);
    list[(*n)++] = value;
    return 0;
}

bool mirror_option_is_prefix(const char *value)
{
    char address[64];
    size_t len = strcspn(value, "/");
    struct addr addr;
    uint64_t bits;
    if (value[len] != '/' || len >= sizeof address)
        return false;
    memcpy(address, value, len);
    address[len] = '\0';
    return addr_parse(address, &addr) &&
           options_number(value + len + 1, strchr(address, ':') ? 128 : 32, &bits);
}
