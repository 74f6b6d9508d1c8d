/* The list of providers: see provider.h. */
#include "mirror/provider.h"

#include <string.h>

#define PROVIDER(name) &provider_##name,
static const struct mirror_provider *const providers[] = {
#include "mirror/list.h"
    NULL};
#undef PROVIDER

const struct mirror_provider *mirror_provider(const char *name)
{
    for (size_t i = 0; providers[i]; i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}

const struct mirror_provider *const *mirror_providers(void)
{
    return providers;
}
