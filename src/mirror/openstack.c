/* Mirrors of OpenStack: the provider's options. See openstack.h. */
#include "mirror/openstack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS (1u << MIRROR_GRE | 1u << MIRROR_ERSPAN2 | 1u << MIRROR_PORT)

enum row {
    ROW_CLOUD = CLOUD_N_SELECT,
    ROW_REGION,
    ROW_PROJECT,
    ROW_TO,
    ROW_METHOD,
    ROW_ID,
    ROW_DIRECTION,
    ROW_PORT_SECURITY,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    CLOUD_SELECT_ROWS,
    [ROW_CLOUD] = {0, "cloud", "NAME", false, "which cloud of clouds.yaml (default: $OS_CLOUD)"},
    [ROW_REGION] = {0, "region", "NAME", false, "default: $OS_REGION_NAME, or clouds.yaml's"},
    [ROW_PROJECT] = {0, "project", "NAME", false,
                     "the project whose machines they are, by name or id (default:\n"
                     "$OS_PROJECT_NAME, or clouds.yaml's)"},
    [ROW_TO] = {0, "to", "WHERE", false,
                "the collector: port:ID, a port of the same project, by id or name; self, the\n"
                "port of the machine this runs on; gre:ADDR or erspan2:ADDR, an address that the\n"
                "cloud's hosts reach, [ADDR6] in brackets"},
    [ROW_METHOD] = {0, "method", "HOW", false,
                    "flow (a tap service and tap flows, to a port), mirror (tap mirrors, to an\n"
                    "address) or auto (default): what --to needs"},
    [ROW_ID] = {0, "id", "N", false,
                "gre, erspan2: the first GRE key or ERSPAN session that may be used; each\n"
                "direction of each port has one of its own (default: from the port's id)"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false,
                       "in, out or both (default), as the machine sees it"},
    [ROW_PORT_SECURITY] = {0, "disable-port-security", NULL, false,
                           "switch port security of the collector's port off, which drops copies\n"
                           "otherwise; remove switches it on again"},
    {0}};

/* ---- taking ---- */

static int take_word(const char *option, const char *value, const char *const *names, int n,
                     int *out, struct err *err)
{
    char list[64] = "";
    for (int i = 0; i < n; i++) {
        size_t len = strlen(list);
        if (strcmp(value, names[i]) == 0) {
            *out = i;
            return 0;
        }
        (void)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", names[i]);
    }
    return err_set(err, -EINVAL, "%s: '%s' is none of %s", option, value, list);
}

static int take_to(const char *value, struct openstack_wish *wish, struct err *err)
{
    wish->has_to = true;
    wish->is_self = strcmp(value, "self") == 0;
    wish->port = NULL;
    if (wish->is_self)
        return 0;
    if (strncmp(value, "port:", 5) == 0) {
        if (!value[5] || strlen(value) > 255)
            return err_set(err, -EINVAL, "--to: '%s' names no port", value);
        wish->port = value + 5;
        wish->to = (struct mirror_target){.wrap = MIRROR_PORT};
        return 0;
    }
    return mirror_parse_target(value, TARGETS, &wish->to, err);
}

static int take(int row, const char *value, void *with, struct err *err)
{
    static const char *const directions[] = {"both", "in", "out"};
    static const char *const methods[] = {"auto", "flow", "mirror"};
    struct openstack_wish *wish = with;
    uint64_t number;
    if (row < CLOUD_N_SELECT)
        return cloud_select_take(row, value, &wish->select, err);
    switch ((enum row)row) {
    case ROW_CLOUD:
        wish->cloud = value;
        return 0;
    case ROW_REGION:
        wish->region = value;
        return 0;
    case ROW_PROJECT:
        wish->project = value;
        return 0;
    case ROW_TO:
        return take_to(value, wish, err);
    case ROW_METHOD:
        return take_word("--method", value, methods, 3, &wish->method, err);
    case ROW_ID:
        if (!options_number(value, UINT32_MAX, &number) || number == 0)
            return err_set(err, -EINVAL, "--id: '%s' is no number (1 to 4294967295)", value);
        wish->id = (uint32_t)number;
        wish->has_id = true;
        return 0;
    case ROW_DIRECTION:
        return take_word("--direction", value, directions, 3, &wish->direction, err);
    case ROW_PORT_SECURITY:
        wish->opens_port = true;
        return 0;
    case N_ROWS:
        break;
    }
    return 0;
}

/* ---- checking ---- */

static int check_target(const struct openstack_wish *wish, struct err *err)
{
    bool port = wish->is_self || wish->port;
    uint32_t max = port ? 0 : mirror_wrap_max_id(wish->to.wrap);
    if (!wish->has_to)
        return err_set(err, -EINVAL,
                       "where to? --to port:ID or self, a port in the cloud; or gre:ADDR, "
                       "erspan2:ADDR");
    if (port && wish->method == OPENSTACK_BY_MIRROR)
        return err_set(err, -EINVAL,
                       "--method mirror sends to an address: --to gre:ADDR or erspan2:ADDR");
    if (!port && wish->method == OPENSTACK_BY_FLOW)
        return err_set(err, -EINVAL, "--method flow gives copies to a port: --to port:ID or self");
    if (port && wish->has_id)
        return err_set(err, -EINVAL, "--id: copies to a port carry no id");
    if (!port && wish->opens_port)
        return err_set(err, -EINVAL, "--disable-port-security is of a port (--to port:ID or self)");
    if (!port && wish->has_id && wish->id > max)
        return err_set(err, -EINVAL, "--id: %u is too large: %s has 1 to %u", wish->id,
                       mirror_wrap_name(wish->to.wrap), max);
    return 0;
}

static int check(struct mirror_job *job, struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    if (job->partial)
        return 0;
    int result = check_target(wish, err);
    if (result < 0)
        return result;
    if (cloud_select_is_empty(&wish->select))
        return err_set(err, -EINVAL,
                       "what is to be mirrored? --instance NAME, --tag EXPR, --subnet NAME, --zone "
                       "NAME or --all-instances");
    if (!job->name[0])
        (void)snprintf(job->name, sizeof job->name, "%.31s",
                       wish->cloud && strspn(wish->cloud,
                                             "abcdefghijklmnopqrstuvwxyz0123456789"
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(wish->cloud)
                           ? wish->cloud
                           : "openstack");
    return 0;
}

/* ---- the cloud ---- */

static int open_cloud(struct mirror_job *job, struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    struct keystone_options options = {0};
    struct cloud_rest rest;
    struct openstack *os = calloc(1, sizeof *os);
    if (!os)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = os;
    if (wish)
        options = (struct keystone_options){wish->cloud, wish->region, wish->project};
    int result = cloud_http_open(job->world, &os->http, err);
    if (result == 0)
        result = keystone_open(&options, os->http, &os->keystone, err);
    if (result == 0)
        result = keystone_service(os->keystone, "network", "Neutron", NULL, &rest, err);
    if (result == 0)
        result = neutron_init(&os->neutron, &rest, err);
    if (result == 0)
        result = neutron_extensions(&os->neutron, &os->extensions, err);
    if (result == 0 && !openstack_has(os, "taas") && !openstack_has(os, "tap-mirror"))
        result = err_set(err, -EOPNOTSUPP,
                         "this cloud has no Tap as a Service (Neutron's extensions taas and "
                         "tap-mirror): whoever runs it can add it, or the machines can mirror "
                         "themselves (cloudspan mirror apply linux)");
    return result;
}

static int again(struct mirror_job *job, struct err *err)
{
    struct openstack *os = job->state;
    (void)err;
    openstack_settle(job);
    const struct openstack kept = {.http = os->http,
                                   .keystone = os->keystone,
                                   .neutron = os->neutron,
                                   .extensions = os->extensions};
    for (int i = 0; i < OPENSTACK_N_LISTS; i++)
        json_decref(os->lists[i]);
    json_decref(os->target);
    json_decref(os->ports_by_id);
    cloud_inventory_done(&os->inventory);
    cloud_inventory_done(&os->directions);
    *os = kept;
    return 0;
}

static void close_cloud(struct mirror_job *job)
{
    struct openstack *os = job->state;
    if (!os)
        return;
    (void)again(job, NULL); /* it frees all else, and can't fail */
    json_decref(os->extensions);
    keystone_close(os->keystone);
    cloud_http_close(os->http);
    free(os);
    job->state = NULL;
}

bool openstack_has(const struct openstack *os, const char *extension)
{
    return json_object_get(os->extensions, extension) != NULL;
}

const struct mirror_provider provider_openstack = {
    .name = "openstack",
    .summary = "Mirrors machines of an OpenStack cloud (Tap as a Service)",
    .usage = "plan|apply|status|remove openstack --to WHERE SELECTION [OPTION]…",
    .more =
        "Who asks, and where the cloud is, is taken from OS_* of the environment and from\n"
        "clouds.yaml, as openstackclient does. cloudspan mirror plan openstack … --print gives\n"
        "its commands.\n",
    .options = rows,
    .wish_size = sizeof(struct openstack_wish),
    .wish_take = take,
    .wish_check = check,
    .open = open_cloud,
    .close = close_cloud,
    .again = again,
    .want = openstack_want,
    .find = openstack_find,
    .names = openstack_names,
    .make = openstack_make,
    .unmake = openstack_unmake,
    .prove = openstack_prove,
    .keeps = true,
    .cover = openstack_cover,
    .measure = openstack_measure,
    .sources = openstack_sources,
    .describe = openstack_describe,
    .command = openstack_command,
};
