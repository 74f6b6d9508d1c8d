/* Interfaces of uniform scale sets: Azure lists them apart from all others, to be read only. A TAP
 * takes interfaces that are resources of their own, and there is no tap configuration under these;
 * so that nobody believes them mirrored, they are in the inventory. See azure.h.
 *
 * Machines of flexible scale sets are machines as all others. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "mirror/azure.h"

#define SCALE_SETS "Microsoft.Compute/virtualMachineScaleSets"
#define SCALE_NICS "api-version=2018-10-01" /* the only one that has these */

static bool is_uniform(const json_t *set)
{
    const char *mode = json_string_value(azure_property(set, "orchestrationMode"));
    return !mode || strcasecmp(mode, "Flexible") != 0; /* of before there were others */
}

/* "group/set_7/nic": the machine is called set_7, and the interface's name is the same in all. */
static bool put_id(const json_t *row, char own[AZURE_SHORT_MAX], char machine[200])
{
    const char *id = mirror_text(row, "id");
    char group[96], set[96], number[32], nic[96];
    bool good = azure_part(id, "resourceGroups", group, sizeof group) &&
                azure_part(id, "virtualMachineScaleSets", set, sizeof set) &&
                azure_part(id, "virtualMachines", number, sizeof number) &&
                azure_part(id, "networkInterfaces", nic, sizeof nic);
    if (!good)
        return false;
    (void)snprintf(machine, 200, "%s_%s", set, number);
    return snprintf(own, AZURE_SHORT_MAX, "%s/%s/%s", group, machine, nic) < AZURE_SHORT_MAX;
}

static void take_row(struct azure_place *place, const json_t *set, const json_t *row)
{
    char own[AZURE_SHORT_MAX], machine[200];
    struct cloud_nic *nic = put_id(row, own, machine) ? azure_take_nic(place, own, set, row) : NULL;
    if (!nic)
        return;
    cloud_nic_text(&place->inventory, &nic->name, machine);
    if (azure_is_target(&place->target, row)) {
        nic->fate = CLOUD_OWN;
        (void)snprintf(nic->why, sizeof nic->why, "receives the copies");
        return;
    }
    nic->fate = CLOUD_UNFIT;
    (void)snprintf(nic->why, sizeof nic->why,
                   "of a uniform scale set: Azure has no tap configurations for its interfaces; "
                   "those of a flexible one can be mirrored");
}

static int take_set(struct azure_place *place, const struct azure_wish *wish, const json_t *set,
                    struct err *err)
{
    char path[AZURE_ID_MAX + 96];
    json_t *rows = NULL, *row;
    size_t i;
    const char *id = mirror_text(set, "id");
    if (id[0] != '/' || strlen(id) >= AZURE_ID_MAX || strpbrk(id, "?#% "))
        return 0; /* no id that Azure would give */
    (void)snprintf(path, sizeof path, "%s/networkInterfaces?" SCALE_NICS, id);
    int result = azure_all(place->azure, path, &rows, err);
    json_array_foreach(rows, i, row)
    {
        if (azure_is_in_scope(wish, row))
            take_row(place, set, row);
    }
    json_decref(rows);
    return result == -ENOENT ? 0 : result; /* it was deleted in the meantime */
}

int azure_take_scale_sets(struct azure_place *place, const struct azure_wish *wish,
                          struct text *remarks, struct err *err)
{
    char path[256];
    json_t *sets = NULL, *set;
    struct err why = {""};
    size_t i;
    (void)snprintf(path, sizeof path, "/subscriptions/%s/providers/" SCALE_SETS "?" AZURE_COMPUTE,
                   azure_subscription(place->azure));
    int result = azure_all(place->azure, path, &sets, &why);
    json_array_foreach(sets, i, set)
    {
        if (result == 0 && is_uniform(set))
            result = take_set(place, wish, set, &why);
    }
    json_decref(sets);
    if (result == -EACCES) {
        text_put(remarks, SCALE_SETS " may not be listed: machines of uniform scale sets, which "
                                     "can't be mirrored, are not named\n");
        return 0;
    }
    return result < 0 ? err_set(err, result, "%s", why.text) : 0;
}
