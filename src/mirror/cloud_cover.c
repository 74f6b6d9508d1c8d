/* Which of a cloud's machines are mirrored, and why the others are not: see cloud.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/cloud_parts.h"

static void put_what(const struct cloud_nic *nic, char *out, size_t size)
{
    const char *where = nic->subnet_name[0] ? nic->subnet_name : nic->subnet;
    if (where[0])
        (void)snprintf(out, size, "%.120s in %.60s", nic->id, where);
    else
        (void)snprintf(out, size, "%.180s", nic->id);
}

/* Of a fate that needs no reason, and of a provider that gave none. */
static const char *reason_of(const struct cloud_nic *nic)
{
    static const char *const reasons[] = {
        [CLOUD_WANTED] = "it is not mirrored",
        [CLOUD_NOT_SELECTED] = "it was not asked for",
        [CLOUD_EXCLUDED] = "it is excluded",
        [CLOUD_UNFIT] = "it can't be mirrored",
        [CLOUD_OWN] = "it is the collector's: its copies would be mirrored again",
    };
    return nic->why[0] ? nic->why : reasons[nic->fate];
}

static void cover(const struct cloud_nic *nic, const char *name, struct mirror_covered *out)
{
    (void)snprintf(out->machine, sizeof out->machine, "%s", name);
    put_what(nic, out->what, sizeof out->what);
    memcpy(out->address, nic->addresses[0], sizeof out->address);
    out->wanted = nic->fate == CLOUD_WANTED;
}

int cloud_cover(const struct cloud_inventory *inventory,
                bool (*has)(const struct cloud_nic *nic, char why[200], void *with), void *with,
                struct mirror_coverage *out, struct err *err)
{
    struct cloud_machines machines;
    struct mirror_covered *at = calloc(inventory->n + 1, sizeof *at);
    size_t n = 0;
    if (!at || !cloud_machines_make(inventory, &machines)) {
        free(at);
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < machines.n; i++) {
        for (size_t k = 0; k < machines.at[i].n; k++) {
            const struct cloud_nic *nic = machines.at[i].nics[k];
            struct mirror_covered *to = &at[n++];
            cover(nic, machines.at[i].name, to);
            to->mirrored = has(nic, to->why, with);
            if (to->mirrored)
                to->why[0] = '\0';
            else if (!to->why[0] || !to->wanted)
                (void)snprintf(to->why, sizeof to->why, "%s", reason_of(nic));
        }
    }
    cloud_machines_done(&machines);
    *out = (struct mirror_coverage){.at = at, .n = n};
    return 0;
}
