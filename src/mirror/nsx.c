/* Mirrors of VMware NSX: the provider's options. See nsx.h. */
#include "mirror/nsx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS (1u << MIRROR_GRE | 1u << MIRROR_ERSPAN2 | 1u << MIRROR_ERSPAN3)

enum row {
    ROW_MANAGER = CLOUD_N_SELECT,
    ROW_DOMAIN,
    ROW_GROUP,
    ROW_TO,
    ROW_ID,
    ROW_DIRECTION,
    ROW_SNAP,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    CLOUD_SELECT_ROWS,
    [ROW_MANAGER] = {0, "manager", "HOST", false,
                     "the NSX manager, or the URL of VMware Cloud's reverse proxy (default:\n"
                     "$NSXT_MANAGER_HOST)"},
    [ROW_DOMAIN] = {0, "domain", "NAME", false,
                    "of the groups (default: default; in VMware Cloud cgw)"},
    [ROW_GROUP] = {0, "group", "ID", false,
                   "the machines of this group of NSX, which keeps it in step itself; instead of\n"
                   "a selection"},
    [ROW_TO] = {0, "to", "KIND:ADDR", false,
                "the collector: gre:ADDR, erspan2:ADDR or erspan3:ADDR; up to three"},
    [ROW_ID] = {0, "id", "N", false, "GRE key or ERSPAN session id that the copies carry"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false,
                       "in, out or both (default), as the machine sees it: NSX's own words mean\n"
                       "the opposite"},
    [ROW_SNAP] = {0, "snap", "N", false, "only the first N bytes of a frame (60 to 65535)"},
    {0}};

static int take_to(const char *value, struct nsx_wish *wish, struct err *err)
{
    if (wish->n_to == NSX_COLLECTORS_MAX)
        return err_set(err, -E2BIG, "--to: NSX copies to %d collectors at most",
                       NSX_COLLECTORS_MAX);
    int result = mirror_parse_target(value, TARGETS, &wish->to[wish->n_to], err);
    if (result == 0)
        wish->n_to++;
    return result;
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct nsx_wish *wish = with;
    uint64_t number;
    if (row < CLOUD_N_SELECT)
        return cloud_select_take(row, value, &wish->select, err);
    switch ((enum row)row) {
    case ROW_MANAGER:
        wish->manager = value;
        return 0;
    case ROW_DOMAIN:
    case ROW_GROUP:
        if (!*value || strpbrk(value, "?#") || strlen(value) > 250)
            return err_set(err, -EINVAL, "--%s: '%.60s' is no name of one", rows[row].name, value);
        *(row == ROW_DOMAIN ? &wish->domain : &wish->group) = value;
        return 0;
    case ROW_TO:
        return take_to(value, wish, err);
    case ROW_ID:
        if (!options_number(value, UINT32_MAX, &number))
            return err_set(err, -EINVAL, "--id: '%s' is no number up to 4294967295", value);
        wish->id = (uint32_t)number;
        wish->has_id = true;
        return 0;
    case ROW_DIRECTION:
        return mirror_option_direction(value, &wish->direction, err);
    case ROW_SNAP:
        if (!options_number(value, 65535, &number) || number < 60)
            return err_set(err, -EINVAL, "--snap: '%s' is no number of bytes (60 to 65535)", value);
        wish->snap = (uint32_t)number;
        return 0;
    case N_ROWS:
        break;
    }
    return 0;
}

static int check_to(const struct nsx_wish *wish, struct err *err)
{
    if (wish->n_to == 0)
        return err_set(err, -EINVAL, "where to? --to gre:ADDR, the collector's address");
    uint32_t max = mirror_wrap_max_id(wish->to[0].wrap);
    for (size_t i = 1; i < wish->n_to; i++)
        if (wish->to[i].wrap != wish->to[0].wrap)
            return err_set(err, -EINVAL, "--to: one mirror of NSX wraps all its copies alike");
    if (!wish->has_id && wish->to[0].wrap != MIRROR_GRE)
        return err_set(err, -EINVAL, "--id: %s needs one (0 to %u)",
                       mirror_wrap_name(wish->to[0].wrap), max);
    if (wish->has_id && wish->id > max)
        return err_set(err, -EINVAL, "--id: %u is too large: %s has 0 to %u", wish->id,
                       mirror_wrap_name(wish->to[0].wrap), max);
    return 0;
}

static int check(struct mirror_job *job, struct err *err)
{
    struct nsx_wish *wish = job->wish;
    if (!wish->direction)
        wish->direction = NSX_BOTH;
    if (job->partial)
        return 0;
    int result = check_to(wish, err);
    if (result < 0)
        return result;
    if (wish->group && !cloud_select_is_empty(&wish->select))
        return err_set(err, -EINVAL, "--group says which machines: leave the selection out");
    if (!wish->group && cloud_select_is_empty(&wish->select))
        return err_set(err, -EINVAL,
                       "which machines? --group ID, --tag EXPR, --instance NAME or "
                       "--all-instances");
    if (!job->name[0])
        (void)snprintf(job->name, sizeof job->name, "nsx");
    return 0;
}

static int open_manager(struct mirror_job *job, struct err *err)
{
    const struct nsx_wish *wish = job->wish;
    struct nsx *nsx = calloc(1, sizeof *nsx);
    if (!nsx)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = nsx;
    int result = cloud_http_open(job->world, &nsx->http, err);
    if (result == 0)
        result = nsx_open(wish ? wish->manager : NULL, nsx->http, &nsx->api, err);
    return result;
}

/* What want() filled, it fills anew. */
static int again(struct mirror_job *job, struct err *err)
{
    struct nsx *nsx = job->state;
    (void)err;
    cloud_inventory_done(&nsx->inventory);
    return 0;
}

static void close_manager(struct mirror_job *job)
{
    struct nsx *nsx = job->state;
    if (!nsx)
        return;
    nsx_close(nsx->api);
    cloud_http_close(nsx->http);
    cloud_inventory_done(&nsx->inventory);
    free(nsx);
    job->state = NULL;
}

/* All of them are replaced by a PUT; where they are never changes. */
static bool may_change(const struct mirror_object *have, const struct mirror_object *want)
{
    return strcmp(nsx_path_of(have), nsx_path_of(want)) == 0;
}

const struct mirror_provider provider_nsx = {
    .name = "nsx",
    .summary = "Mirrors machines of VMware NSX and VMware Cloud to a collector",
    .usage = "plan|apply|status|remove nsx --to KIND:ADDR [--id N] [--group ID | SELECTION] "
             "[OPTION]…",
    .more = "The copies come from the ESXi hosts. Who asks: NSXT_USERNAME and NSXT_PASSWORD, or\n"
            "NSXT_VMC_TOKEN in VMware Cloud.\n",
    .options = rows,
    .wish_size = sizeof(struct nsx_wish),
    .wish_take = take,
    .wish_check = check,
    .open = open_manager,
    .close = close_manager,
    .again = again,
    .want = nsx_want,
    .find = nsx_find,
    .names = nsx_names,
    .make = nsx_make,
    .may_change = may_change,
    .change = nsx_change,
    .unmake = nsx_unmake,
    .keeps = true,
    .cover = nsx_cover,
    .measure = nsx_measure,
    .sources = nsx_sources,
    .describe = nsx_describe,
    .command = nsx_command,
};
