/* Mirrors of Azure: the provider's options. See azure.h. */
#include "mirror/azure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"

enum row {
    ROW_GROUP = CLOUD_N_SELECT,
    ROW_SUBSCRIPTION,
    ROW_VNET,
    ROW_TO,
    ROW_PORT,
    ROW_ENDPOINT,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    CLOUD_SELECT_ROWS,
    [ROW_GROUP] = {0, "resource-group", "NAME", false,
                   "the group that the TAP is made in; without --vnet, also that of the\n"
                   "interfaces that are mirrored"},
    [ROW_SUBSCRIPTION] = {0, "subscription", "ID", false,
                          "default: AZURE_SUBSCRIPTION_ID, the az command's, or the only one"},
    [ROW_VNET] = {0, "vnet", "NAME", false,
                  "interfaces in this virtual network, by name or id, of any group"},
    [ROW_TO] = {0, "to", "ID", false,
                "the collector: an interface's id, that of one of its IP configurations,\n"
                "lb:ID of an internal load balancer's front end, or self: this machine"},
    [ROW_PORT] = {0, "port", "N", false, "of VXLAN, at the collector (default 4789)"},
    [ROW_ENDPOINT] = {0, "endpoint", "URL", false,
                      "the Resource Manager, where AZURE_AUTHORITY_HOST doesn't tell it"},
    {0}};

/* ---- the wish ---- */

static int take(int row, const char *value, void *with, struct err *err)
{
    struct azure_wish *wish = with;
    uint64_t number;
    if (row < CLOUD_N_SELECT)
        return cloud_select_take(row, value, &wish->select, err);
    switch ((enum row)row) {
    case ROW_GROUP:
        if (!*value || strlen(value) > 90 || strpbrk(value, "/?#%& "))
            return err_set(err, -EINVAL, "--resource-group: '%.100s' is no group's name", value);
        wish->group = value;
        return 0;
    case ROW_SUBSCRIPTION:
        wish->subscription = value;
        return 0;
    case ROW_VNET:
        if (!*value || strlen(value) >= AZURE_ID_MAX)
            return err_set(err, -EINVAL, "--vnet: '%.100s' is no virtual network", value);
        wish->vnet = value;
        return 0;
    case ROW_TO:
        if (strcmp(value, "self") != 0 && strncmp(value, "lb:/subscriptions/", 18) != 0 &&
            strncmp(value, "/subscriptions/", 15) != 0)
            return err_set(err, -EINVAL,
                           "--to: '%.100s' is none of /subscriptions/…/networkInterfaces/…, "
                           "lb:/subscriptions/…/frontendIPConfigurations/…, self",
                           value);
        if (strlen(value) >= AZURE_ID_MAX || strpbrk(value, "?#% "))
            return err_set(err, -EINVAL, "--to: '%.100s' is no id", value);
        wish->to = value;
        return 0;
    case ROW_PORT:
        if (!options_number(value, 65535, &number) || number == 0)
            return err_set(err, -EINVAL, "--port: '%.20s' is no port (1 to 65535)", value);
        wish->port = (uint16_t)number;
        return 0;
    case ROW_ENDPOINT:
        wish->endpoint = value;
        return 0;
    case N_ROWS:
        break;
    }
    return 0;
}

/* The network's, or the group's; of an id that is its end. */
static void put_default_name(const struct azure_wish *wish, char out[MIRROR_NAME_MAX])
{
    const char *from = wish->vnet ? wish->vnet : wish->group;
    const char *slash = strrchr(from, '/');
    mirror_name_make(slash ? slash + 1 : from, out);
}

static int check(struct mirror_job *job, struct err *err)
{
    const struct azure_wish *wish = job->wish;
    if (job->partial)
        return 0;
    if (!wish->group)
        return err_set(err, -EINVAL, "which resource group? --resource-group NAME");
    if (!wish->to)
        return err_set(err, -EINVAL, "where to? --to ID of the collector's interface, or self");
    if (!wish->vnet && cloud_select_is_empty(&wish->select))
        return err_set(err, -EINVAL,
                       "what is to be mirrored? --vnet NAME, --instance, --tag, --subnet, or "
                       "--all-instances of the group");
    if (!job->name[0])
        put_default_name(wish, job->name);
    return 0;
}

/* ---- the cloud ---- */

static int ask_cli(const char *resource, char **out, struct err *err)
{
    const char *const arguments[] = {"account",    "get-access-token", "--output", "json",
                                     "--resource", resource,           NULL};
    const struct program program = {
        .name = "az", .package = "azure-cli", .arguments = arguments, .out_max = 256u << 10};
    struct program_result result = {0};
    int code = program_run(&program, &result, err);
    if (code == 0 && result.exit_code != 0)
        code = err_set(err, -EACCES, "az account get-access-token: %.200s", result.complaint);
    if (code == 0) {
        *out = result.out;
        result.out = NULL;
    } else if (result.out) {
        explicit_bzero(result.out, result.out_size);
    }
    program_done(&result);
    return code;
}

/* What the journal knows is in a subscription, whichever is the default one now. */
static void put_recorded(const struct mirror_job *job, char out[64])
{
    for (size_t i = 0; i < job->recorded.n; i++)
        if (azure_part(mirror_text(job->recorded.at[i].is, "destination"), "subscriptions", out,
                       64) ||
            azure_part(mirror_text(job->recorded.at[i].is, "tap"), "subscriptions", out, 64))
            return;
}

static int open_cloud(struct mirror_job *job, struct err *err)
{
    const struct azure_wish *wish = job->wish;
    struct azure_place *place = calloc(1, sizeof *place);
    char recorded[64] = "";
    if (!place)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = place;
    if (!wish) /* of all providers: this one is asked only by its name */
        return 0;
    put_recorded(job, recorded);
    const struct azure_options options = {
        .subscription = wish->subscription || !recorded[0] ? wish->subscription : recorded,
        .endpoint = wish->endpoint,
        .ask_cli = ask_cli};
    int result = cloud_http_open(job->world, &place->http, err);
    return result < 0 ? result : azure_open(&options, place->http, &place->azure, err);
}

static int again(struct mirror_job *job, struct err *err)
{
    struct azure_place *place = job->state;
    const struct azure_place kept = {.http = place->http, .azure = place->azure};
    (void)err;
    cloud_inventory_done(&place->inventory);
    json_decref(place->nics);
    json_decref(place->taps);
    json_decref(place->by_name);
    json_decref(place->machines);
    json_decref(place->networks);
    json_decref(place->balancers);
    *place = kept;
    return 0;
}

static void close_cloud(struct mirror_job *job)
{
    struct azure_place *place = job->state;
    if (!place)
        return;
    (void)again(job, NULL); /* it frees all else, and can't fail */
    azure_close(place->azure);
    cloud_http_close(place->http);
    free(place);
    job->state = NULL;
}

const struct mirror_provider provider_azure = {
    .name = "azure",
    .summary = "Mirrors machines of Azure by a virtual network TAP (preview)",
    .usage = "plan|apply|status|remove azure --resource-group NAME [--vnet NAME] --to ID "
             "[OPTION]…",
    .more = "Credentials are found as Azure's SDKs do. TAPs and tap configurations of others are\n"
            "left alone. cloudspan mirror plan azure … --print gives the az commands.\n",
    .options = rows,
    .wish_size = sizeof(struct azure_wish),
    .wish_take = take,
    .wish_check = check,
    .open = open_cloud,
    .close = close_cloud,
    .again = again,
    .want = azure_want,
    .find = azure_find,
    .names = azure_names,
    .make = azure_make,
    .may_change = azure_may_change,
    .change = azure_change,
    .unmake = azure_unmake,
    .keeps = true,
    .cover = azure_cover,
    .blame = azure_blame,
    .measure = azure_measure,
    .sources = azure_sources,
    .describe = azure_describe,
    .command = azure_command,
};
