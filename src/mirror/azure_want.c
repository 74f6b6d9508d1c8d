/* What a mirror of Azure should consist of: see azure.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "mirror/azure.h"

/* Where the preview of TAPs was offered, as of Azure's documentation of 2025-04. */
static const char *const regions[] = {"eastasia",           "westcentralus", "uksouth",   "eastus",
                                      "germanywestcentral", "centralindia",  "centralus", NULL};

/* ---- what else is asked of Azure ---- */

/* A list as an object by id, in lower case; *out stays NULL where it may not be read. */
static int by_id(struct azure_place *place, const char *type, const char *version, json_t **out,
                 const char *without, struct text *remarks, struct err *err)
{
    char path[256];
    json_t *all = NULL, *one, *object = json_object();
    struct err why;
    size_t i;
    (void)snprintf(path, sizeof path, "/subscriptions/%s/providers/%s?%s",
                   azure_subscription(place->azure), type, version);
    int result = azure_all(place->azure, path, &all, &why);
    if (result == -EACCES) {
        text_format(remarks, "%s may not be listed: %s\n", type, without);
        json_decref(object);
        return 0;
    }
    json_array_foreach(all, i, one)
    {
        char id[AZURE_ID_MAX];
        azure_put_lower(id, sizeof id, mirror_text(one, "id"));
        if (json_object_set(object, id, one) < 0)
            result = -ENOMEM;
    }
    json_decref(all);
    if (result < 0) {
        json_decref(object);
        return err_set(err, result, "%s", result == -ENOMEM ? "out of memory" : why.text);
    }
    json_decref(*out);
    *out = object;
    return 0;
}

static const json_t *of_id(const json_t *object, const char *id)
{
    char lower[AZURE_ID_MAX];
    azure_put_lower(lower, sizeof lower, id);
    return json_object_get(object, lower);
}

/* ---- the inventory ---- */

/* "00-0D-3A-1B-C7-21" as "00:0d:3a:1b:c7:21". */
static void put_mac(char out[18], const char *mac)
{
    if (!mac || strlen(mac) != 17)
        return;
    for (size_t i = 0; i < 18; i++)
        out[i] = mac[i] == '-' ? ':' : str_lower_char(mac[i]);
}

static void put_addresses(struct cloud_nic *nic, const json_t *row)
{
    size_t i;
    json_t *one;
    json_array_foreach(azure_property(row, "ipConfigurations"), i, one)
    {
        const char *address = json_string_value(azure_property(one, "privateIPAddress"));
        if (address)
            cloud_nic_address(nic, address);
    }
}

static void put_tags(struct cloud_nic *nic, const json_t *of)
{
    const json_t *tags = json_object_get(of, "tags");
    if (json_is_object(tags))
        (void)json_object_update_missing(nic->tags, (json_t *)(uintptr_t)tags);
}

bool azure_is_in_scope(const struct azure_wish *wish, const json_t *nic)
{
    char vnet[AZURE_ID_MAX], group[96], name[96];
    const char *subnet = azure_subnet_of(nic);
    if (!wish->vnet)
        return azure_part(mirror_text(nic, "id"), "resourceGroups", group, sizeof group) &&
               azure_same(group, wish->group);
    if (wish->vnet[0] == '/')
        return azure_until(subnet, "virtualNetworks", vnet) && azure_same(vnet, wish->vnet);
    return azure_part(subnet, "virtualNetworks", name, sizeof name) && azure_same(name, wish->vnet);
}

static const char *machine_of(const json_t *nic)
{
    return mirror_text(azure_property(nic, "virtualMachine"), "id");
}

struct cloud_nic *azure_take_nic(struct azure_place *place, const char *own, const json_t *machine,
                                 const json_t *row)
{
    struct cloud_inventory *inventory = &place->inventory;
    const char *subnet = azure_subnet_of(row);
    char name[96];
    struct cloud_nic *nic = cloud_inventory_add(inventory, own);
    if (!nic)
        return NULL;
    cloud_nic_text(inventory, &nic->machine, machine_of(row));
    if (azure_part(machine_of(row), "virtualMachines", name, sizeof name))
        cloud_nic_text(inventory, &nic->name, name);
    if (azure_part(subnet, "virtualNetworks", name, sizeof name))
        cloud_nic_text(inventory, &nic->network, name);
    if (azure_part(subnet, "subnets", name, sizeof name))
        cloud_nic_text(inventory, &nic->subnet_name, name);
    cloud_nic_text(inventory, &nic->subnet, subnet);
    const char *zone = json_string_value(json_array_get(json_object_get(machine, "zones"), 0));
    if (zone)
        cloud_nic_text(inventory, &nic->zone, zone);
    const char *size = mirror_text(azure_property(machine, "hardwareProfile"), "vmSize");
    cloud_nic_text(inventory, &nic->type, size);
    put_mac(nic->mac, json_string_value(azure_property(row, "macAddress")));
    put_addresses(nic, row);
    put_tags(nic, machine);
    put_tags(nic, row);
    nic->order = json_is_false(azure_property(row, "primary")) ? 1 : 0;
    return nic;
}

static void take_nic(struct azure_place *place, const json_t *row)
{
    char own[AZURE_SHORT_MAX];
    if (azure_short(mirror_text(row, "id"), "networkInterfaces", own))
        (void)azure_take_nic(place, own, of_id(place->machines, machine_of(row)), row);
}

/* ---- which can't be ---- */

static bool is_peered(const struct azure_place *place, const char *vnet)
{
    const json_t *network = of_id(place->networks, vnet);
    size_t i;
    json_t *peering;
    if (!network || azure_same(vnet, place->target.vnet))
        return true; /* or not known: Azure says it */
    json_array_foreach(azure_property(network, "virtualNetworkPeerings"), i, peering)
    {
        const char *state = json_string_value(azure_property(peering, "peeringState"));
        if (azure_same(mirror_text(azure_property(peering, "remoteVirtualNetwork"), "id"),
                       place->target.vnet))
            return state && azure_same(state, "Connected");
    }
    return false;
}

static bool is_encrypted(const struct azure_place *place, const char *vnet)
{
    const json_t *encryption = azure_property(of_id(place->networks, vnet), "encryption");
    return json_is_true(json_object_get(encryption, "enabled"));
}

static void unfit(struct cloud_nic *nic, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void unfit(struct cloud_nic *nic, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    nic->fate = CLOUD_UNFIT;
    (void)vsnprintf(nic->why, sizeof nic->why, format, list);
    va_end(list);
}

/* ---- load balancers ---- */

/* The first pool of a load balancer that the interface is in and the test takes. */
static bool any_pool(const struct azure_place *place, const json_t *row, struct cloud_nic *nic,
                     bool (*test)(const struct azure_place *place, const char *pool,
                                  struct cloud_nic *nic))
{
    size_t i, k;
    json_t *configuration, *pool;
    json_array_foreach(azure_property(row, "ipConfigurations"), i, configuration)
    {
        json_array_foreach(azure_property(configuration, "loadBalancerBackendAddressPools"), k,
                           pool)
        {
            if (test(place, mirror_text(pool, "id"), nic))
                return true;
        }
    }
    return false;
}

static bool is_any(const struct azure_place *place, const char *pool, struct cloud_nic *nic)
{
    (void)place;
    (void)pool;
    (void)nic;
    return true;
}

/* Neither Basic ones, nor rules with a floating IP, go with a TAP. */
static bool is_in_the_way(const struct azure_place *place, const char *pool, struct cloud_nic *nic)
{
    char id[AZURE_ID_MAX];
    const json_t *balancer =
        azure_until(pool, "loadBalancers", id) ? of_id(place->balancers, id) : NULL;
    size_t i;
    json_t *rule;
    if (azure_same(mirror_text(json_object_get(balancer, "sku"), "name"), "Basic")) {
        unfit(nic, "behind the Basic load balancer %.80s, which a TAP can't go with",
              mirror_text(balancer, "name"));
        return true;
    }
    json_array_foreach(azure_property(balancer, "loadBalancingRules"), i, rule)
    {
        if (!json_is_true(azure_property(rule, "enableFloatingIP")) ||
            !azure_same(mirror_text(azure_property(rule, "backendAddressPool"), "id"), pool))
            continue;
        unfit(nic, "behind the load balancer %.80s with a floating IP, which a TAP can't go with",
              mirror_text(balancer, "name"));
        return true;
    }
    return false;
}

/* They are asked for only where something is behind one. */
static int look_for_balancers(struct azure_place *place, struct text *remarks, struct err *err)
{
    for (size_t i = 0; i < place->inventory.n; i++)
        if (any_pool(place, azure_nic_of(place, place->inventory.at[i].id), NULL, is_any))
            return by_id(place, "Microsoft.Network/loadBalancers", AZURE_NETWORK, &place->balancers,
                         "whether one stands in the way is not known", remarks, err);
    return 0;
}

/* "Standard_D4s_v6" */
static bool is_v6(const char *size)
{
    size_t len = strlen(size);
    return len > 3 && strcasecmp(size + len - 3, "_v6") == 0;
}

static void judge_nic(const struct azure_place *place, const json_t *row, struct cloud_nic *nic)
{
    char vnet[AZURE_ID_MAX] = "";
    const char *location = mirror_text(row, "location");
    (void)azure_until(azure_subnet_of(row), "virtualNetworks", vnet);
    if (azure_is_target(&place->target, row)) {
        nic->fate = CLOUD_OWN;
        (void)snprintf(nic->why, sizeof nic->why, "receives the copies");
    } else if (!*machine_of(row)) {
        unfit(nic, "%s: a TAP takes interfaces of virtual machines only",
              json_is_object(azure_property(row, "privateEndpoint")) ? "a private endpoint"
                                                                     : "attached to no machine");
    } else if (!azure_same(location, place->target.location)) {
        unfit(nic, "in the region %.40s, the collector in %.40s: both have to be in one", location,
              place->target.location);
    } else if (is_v6(nic->type)) {
        unfit(nic, "size %.60s: the preview of TAPs does not take v6 sizes", nic->type);
    } else if (is_encrypted(place, vnet)) {
        unfit(nic, "its virtual network %.60s has encryption, which a TAP can't mirror",
              nic->network);
    } else if (!is_peered(place, vnet)) {
        unfit(nic, "its virtual network %.60s is not the collector's, nor peered with it",
              nic->network);
    } else {
        (void)any_pool(place, row, nic, is_in_the_way); /* which says why */
    }
}

/* ---- remarks ---- */

static bool has_ipv6(const struct cloud_nic *nic)
{
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX && nic->addresses[i][0]; i++)
        if (strchr(nic->addresses[i], ':'))
            return true;
    return false;
}

static void remark(const struct mirror_job *job, const struct azure_place *place,
                   struct text *remarks)
{
    const struct cloud_inventory *inventory = &place->inventory;
    char name[64];
    size_t n = 0, n_ipv6 = 0, n_new = 0, k = 0;
    azure_put_name(job->name, name);
    for (size_t i = 0; i < inventory->n; i++) {
        const struct cloud_nic *nic = &inventory->at[i];
        const json_t *row = azure_nic_of(place, nic->id);
        bool has = false, other = false;
        json_t *config;
        if (nic->fate != CLOUD_WANTED)
            continue;
        json_array_foreach(azure_property(row, "tapConfigurations"), k, config)
        {
            char own[96];
            bool ours =
                azure_part(mirror_text(config, "id"), "tapConfigurations", own, sizeof own) &&
                azure_same(own, name);
            has |= ours;
            other |= !ours;
        }
        if (other && !has)
            text_format(remarks,
                        "%s has a tap configuration of somebody else's already: Azure may refuse "
                        "a second one\n",
                        cloud_nic_label(nic));
        n++;
        n_new += !has;
        n_ipv6 += has_ipv6(nic);
    }
    if (n_ipv6)
        text_format(remarks, "IPv6 is not mirrored: %zu of the interfaces have such addresses\n",
                    n_ipv6);
    if (n_new)
        text_format(remarks,
                    "each machine that comes to a TAP, or leaves it, may be without network for up "
                    "to 60 seconds; it has to have been stopped (deallocated) and started once "
                    "since the first TAP was there, else Azure says that it is not on fastpath\n");
    for (k = 0; regions[k] && !azure_same(regions[k], place->target.location);)
        k++;
    if (!regions[k])
        text_format(remarks,
                    "%s is not among the regions where TAPs were offered in 2025-04: Azure may "
                    "refuse\n",
                    place->target.location);
}

/* ---- objects ---- */

static int check_name(const struct mirror_job *job, const char *key, struct err *err)
{
    const struct azure_place *place = job->state;
    size_t i;
    json_t *tap;
    json_array_foreach(place->taps, i, tap)
    {
        char own[MIRROR_KEY_MAX];
        const char *mark = azure_mark(tap);
        if (azure_key(mirror_text(tap, "id"), "virtualNetworkTaps", own) && strcmp(own, key) == 0 &&
            (!mark || strcmp(mark, job->name) != 0))
            return err_set(err, -EEXIST,
                           "there is a TAP %s already, which is not ours (it has no tag %s=%s): "
                           "give this mirror another --name",
                           mirror_text(tap, "id"), AZURE_MARK, job->name);
    }
    return 0;
}

static int add_objects(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    const struct azure_wish *wish = job->wish;
    const struct azure_place *place = job->state;
    char id[AZURE_ID_MAX], key[MIRROR_KEY_MAX], lower[AZURE_ID_MAX], location[64], name[64];
    azure_put_name(job->name, name);
    (void)snprintf(id, sizeof id,
                   "/subscriptions/%s/resourceGroups/%.90s/providers/Microsoft.Network/"
                   "virtualNetworkTaps/%s",
                   azure_subscription(place->azure), wish->group, name);
    if (!azure_key(id, "virtualNetworkTaps", key))
        return err_set(err, -EINVAL, "--resource-group: '%.100s' is no group's name", wish->group);
    int result = check_name(job, key, err);
    if (result < 0)
        return result;
    azure_put_lower(lower, sizeof lower, place->target.id);
    azure_put_lower(location, sizeof location, place->target.location);
    struct mirror_object *tap =
        mirror_set_add(out, "tap", key,
                       json_pack("{s:s, s:I, s:s, s:s}", "destination", lower, "port",
                                 (json_int_t)(wish->port ? wish->port : 4789), "location", location,
                                 "state", "ok"));
    mirror_object_why(tap, "says where the copies go");
    azure_put_lower(lower, sizeof lower, id);
    for (size_t i = 0; i < place->inventory.n; i++) {
        const struct cloud_nic *nic = &place->inventory.at[i];
        char own[MIRROR_KEY_MAX];
        if (nic->fate != CLOUD_WANTED)
            continue;
        if (strlen(nic->id) >= sizeof own)
            return err_set(err, -ENAMETOOLONG, "the interface %.300s has too long a name", nic->id);
        azure_put_lower(own, sizeof own, nic->id);
        struct mirror_object *config = mirror_set_add(
            out, "tap-config", own, json_pack("{s:s, s:s}", "tap", lower, "state", "ok"));
        mirror_object_on(out, config, "tap", key);
        mirror_object_why(config, "copies what %s sends and receives", cloud_nic_label(nic));
        if (config)
            config->may_lack = true;
    }
    return 0;
}

int azure_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
               struct err *err)
{
    const struct azure_wish *wish = job->wish;
    struct azure_place *place = job->state;
    size_t i, n = 0;
    json_t *nic;
    int result = azure_look(place, err);
    if (result == 0)
        result = azure_find_target(job, &place->target, err);
    if (result == 0)
        result = by_id(place, "Microsoft.Compute/virtualMachines", AZURE_COMPUTE, &place->machines,
                       "sizes and tags of machines are not known (only those of interfaces are)",
                       remarks, err);
    if (result == 0)
        result = by_id(place, "Microsoft.Network/virtualNetworks", AZURE_NETWORK, &place->networks,
                       "whether networks are peered or encrypted is not known", remarks, err);
    if (result < 0)
        return result;
    cloud_inventory_done(&place->inventory);
    json_array_foreach(place->nics, i, nic)
    {
        if (azure_is_in_scope(wish, nic))
            take_nic(place, nic);
    }
    result = look_for_balancers(place, remarks, err);
    if (result < 0)
        return result;
    for (i = 0; i < place->inventory.n; i++) {
        struct cloud_nic *one = &place->inventory.at[i];
        judge_nic(place, azure_nic_of(place, one->id), one);
    }
    result = azure_take_scale_sets(place, wish, remarks, err);
    if (result < 0)
        return result;
    if (place->inventory.failed)
        return err_set(err, -ENOMEM, "out of memory, or more than %d interfaces", CLOUD_NICS_MAX);
    if (place->inventory.n == 0)
        return err_set(err, -ENOENT, "%s %s has no network interface in the subscription %s",
                       wish->vnet ? "the virtual network" : "the resource group",
                       wish->vnet ? wish->vnet : wish->group, azure_subscription(place->azure));
    cloud_select(&wish->select, &place->inventory, remarks);
    for (i = 0; i < place->inventory.n; i++)
        n += place->inventory.at[i].fate == CLOUD_WANTED;
    if (n == 0) /* a slip is more likely than a wish to have nothing */
        return err_set(err, -ENOENT,
                       "none of %zu interfaces is to be mirrored: is the selection right? (a "
                       "mirror is taken away by `remove`)",
                       place->inventory.n);
    remark(job, place, remarks);
    return add_objects(job, out, err);
}
