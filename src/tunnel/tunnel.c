/* The table of decoders, and finding one by the name a user gave. */
#include "tunnel/tunnel.h"

#include "base/str.h"

const struct tunnel_decoder *const tunnel_decoders[] = {
#define TUNNEL(name) &tunnel_##name,
#include "tunnel/list.h"
#undef TUNNEL
    NULL,
};

/* '-' and '_' are one, as are the cases: vxlan-gpe, VXLAN_GPE. */
static bool same_name(const char *name, const char *asked, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = asked[i] == '_' ? '-' : str_lower_char(asked[i]);
        if (name[i] == '\0' || name[i] != c)
            return false;
    }
    return name[len] == '\0';
}

const struct tunnel_decoder *tunnel_by_name(const char *name, size_t len)
{
    for (size_t i = 0; tunnel_decoders[i]; i++)
        if (same_name(tunnel_decoders[i]->name, name, len))
            return tunnel_decoders[i];
    return NULL;
}
