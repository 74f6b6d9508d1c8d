/* What a mirror of NSX should consist of. See nsx.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/nsx.h"

#define GROUP_MACHINES_MAX 500 /* named one by one in a group */

/* NSX's words are of the switch: ingress is what comes into it from the machine. */
static const char *direction_of(int direction)
{
    return direction == NSX_IN ? "EGRESS" : direction == NSX_OUT ? "INGRESS" : "BIDIRECTIONAL";
}

static const char *wrap_of(int wrap)
{
    return wrap == MIRROR_ERSPAN2 ? "ERSPAN_TWO" : wrap == MIRROR_ERSPAN3 ? "ERSPAN_THREE" : "GRE";
}

static int order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Ids of machines of which at least one card is wanted, in order, each once. */
static json_t *wanted_machines(const struct cloud_inventory *inventory)
{
    const char **ids = calloc(inventory->n + 1, sizeof *ids);
    json_t *list = json_array();
    size_t n = 0;
    for (size_t i = 0; ids && i < inventory->n; i++)
        if (inventory->at[i].fate == CLOUD_WANTED && inventory->at[i].machine[0])
            ids[n++] = inventory->at[i].machine;
    if (ids && n)
        qsort(ids, n, sizeof *ids, order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(ids[i], ids[i - 1]) != 0)
            (void)json_array_append_new(list, json_string(ids[i]));
    free(ids);
    return list;
}

static json_t *collectors(const struct nsx_wish *wish)
{
    json_t *list = json_array();
    for (size_t i = 0; i < wish->n_to; i++) {
        char text[ADDR_TEXT_MAX];
        size_t len = addr_format(&wish->to[i].addr, text);
        (void)json_array_append_new(list, json_stringn(text, len));
    }
    return list;
}

/* A card of a machine that is mirrored as a whole, though it is not wanted itself. */
static void warn_of_others(const struct cloud_inventory *inventory, struct text *remarks)
{
    for (size_t i = 0; i < inventory->n; i++) {
        const struct cloud_nic *nic = &inventory->at[i];
        for (size_t k = 0; nic->fate == CLOUD_OWN && k < inventory->n; k++)
            if (inventory->at[k].fate == CLOUD_WANTED &&
                strcmp(inventory->at[k].machine, nic->machine) == 0) {
                text_format(remarks,
                            "%s: NSX mirrors whole machines, and one card of this one is "
                            "the collector's: leave it out\n",
                            cloud_nic_label(nic));
                return;
            }
    }
}

static int check_machines(const struct nsx *nsx, const struct nsx_wish *wish,
                          const json_t *machines, struct text *remarks, struct err *err)
{
    size_t n = json_array_size(machines);
    if (n == 0)
        return err_set(err, -ENOENT, "no machine is what was asked for (of %zu network cards)",
                       nsx->inventory.n);
    if (n > GROUP_MACHINES_MAX && !wish->group)
        return err_set(
            err, -E2BIG,
            "%zu machines are too many to name one by one (%d): let NSX choose them by a "
            "group of its own, --group",
            n, GROUP_MACHINES_MAX);
    if (nsx_is_cloud(nsx->api) && n > NSX_CLOUD_MACHINES)
        text_format(remarks,
                    "%zu machines: VMware recommends to mirror no more than %d at a time in its "
                    "cloud, and not for long\n",
                    n, NSX_CLOUD_MACHINES);
    warn_of_others(&nsx->inventory, remarks);
    text_put(remarks,
             "the copies come from the ESXi hosts: a firewall (in VMware Cloud that of the "
             "management gateway) has to let GRE from them to the collector\n");
    return 0;
}

int nsx_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err)
{
    const struct nsx_wish *wish = job->wish;
    struct nsx *nsx = job->state;
    char from[NSX_PATH_MAX], to[NSX_PATH_MAX], profile[NSX_PATH_MAX], binding[2 * NSX_PATH_MAX];
    struct mirror_object *object;
    int result = nsx_take_inventory(job, remarks, err);
    if (result == 0)
        result = nsx_group_path(wish, job->name, from, err);
    if (result < 0)
        return result;
    (void)snprintf(to, sizeof to, "/infra/domains/%s/groups/cloudspan-%s-to",
                   wish->domain ? wish->domain : "default", job->name);
    (void)snprintf(profile, sizeof profile, "/infra/port-mirroring-profiles/cloudspan-%s",
                   job->name);
    (void)snprintf(binding, sizeof binding, "%s/group-monitoring-profile-binding-maps/cloudspan-%s",
                   from, job->name);

    json_t *machines = wanted_machines(&nsx->inventory);
    result = check_machines(nsx, wish, machines, remarks, err);
    if (result < 0) {
        json_decref(machines);
        return result;
    }
    object = mirror_set_add(out, "group", "to",
                            json_pack("{s:s, s:o}", "path", to, "addresses", collectors(wish)));
    if (object)
        mirror_object_why(object, "where the copies go");
    object = mirror_set_add(out, "profile", job->name,
                            json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "path", profile, "to", to,
                                      "encapsulation", wrap_of(wish->to[0].wrap), "direction",
                                      direction_of(wish->direction), "id", (json_int_t)wish->id,
                                      "snap", (json_int_t)wish->snap));
    if (object) {
        mirror_object_why(object, "how they get there");
        mirror_object_on(out, object, "group", "to");
    }
    if (!wish->group) {
        object = mirror_set_add(out, "group", "from",
                                json_pack("{s:s, s:O}", "path", from, "machines", machines));
        if (object)
            mirror_object_why(object, "what is mirrored");
    }
    object = mirror_set_add(out, "binding", job->name,
                            json_pack("{s:s, s:s}", "path", binding, "profile", profile));
    if (object) {
        mirror_object_why(object, "with it the mirror begins");
        mirror_object_on(out, object, "profile", job->name);
        if (!wish->group)
            mirror_object_on(out, object, "group", "from");
    }
    json_decref(machines);
    return out->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}
