/* Where the copies of Azure go: an interface's IP configuration, or the front end of an internal
 * load balancer. See azure.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "mirror/azure.h"

/* The primary one, else the first. */
static const json_t *main_configuration(const json_t *nic)
{
    const json_t *all = azure_property(nic, "ipConfigurations");
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one)
    {
        if (json_is_true(azure_property(one, "primary")))
            return one;
    }
    return json_array_get(all, 0);
}

const char *azure_subnet_of(const json_t *nic)
{
    return mirror_text(azure_property(main_configuration(nic), "subnet"), "id");
}

static void put_vnet(const json_t *configuration, struct azure_target *out)
{
    char vnet[AZURE_ID_MAX];
    if (azure_until(mirror_text(azure_property(configuration, "subnet"), "id"), "virtualNetworks",
                    vnet))
        azure_put_lower(out->vnet, sizeof out->vnet, vnet);
}

static int get(struct azure_place *place, const char *id, struct cloud_reply *out, struct err *err)
{
    char path[AZURE_ID_MAX + 64];
    (void)snprintf(path, sizeof path, "%s?" AZURE_NETWORK, id);
    return azure_call(place->azure, "GET", path, NULL, out, err);
}

/* `configuration`: its id; NULL: the main one. */
static int take_nic(const json_t *nic, const char *configuration, struct azure_target *out,
                    struct err *err)
{
    const json_t *one = configuration ? NULL : main_configuration(nic);
    size_t i;
    json_t *at;
    json_array_foreach(azure_property(nic, "ipConfigurations"), i, at)
    {
        if (configuration && azure_same(mirror_text(at, "id"), configuration))
            one = at;
    }
    if (!one || !*mirror_text(one, "id"))
        return err_set(err, -ENOENT, "--to: the interface %.200s has no IP configuration%s%.100s",
                       mirror_text(nic, "id"), configuration ? " " : "",
                       configuration ? configuration : "");
    if (azure_same(json_string_value(azure_property(one, "privateIPAddressVersion"))
                       ? json_string_value(azure_property(one, "privateIPAddressVersion"))
                       : "",
                   "IPv6"))
        return err_set(err, -EINVAL, "--to: %.300s is of IPv6, which a TAP can't send to",
                       mirror_text(one, "id"));
    const char *address = json_string_value(azure_property(one, "privateIPAddress"));
    (void)snprintf(out->id, sizeof out->id, "%s", mirror_text(one, "id"));
    (void)snprintf(out->location, sizeof out->location, "%s", mirror_text(nic, "location"));
    (void)snprintf(out->address, sizeof out->address, "%s", address ? address : "");
    azure_put_lower(out->owner, sizeof out->owner, mirror_text(nic, "id"));
    put_vnet(one, out);
    return 0;
}

static int find_nic(struct azure_place *place, const char *id, struct azure_target *out,
                    struct err *err)
{
    char owner[AZURE_ID_MAX];
    struct cloud_reply reply = {0};
    int result = 0;
    if (!azure_until(id, "networkInterfaces", owner))
        return err_set(err, -EINVAL, "--to: '%.200s' is no interface's id", id);
    const json_t *nic = azure_nic(place, owner);
    if (!nic) { /* of another subscription */
        result = get(place, owner, &reply, err);
        nic = reply.body;
    }
    if (result == 0)
        result = take_nic(nic, strlen(id) > strlen(owner) ? id : NULL, out, err);
    cloud_reply_done(&reply);
    return result;
}

static int find_balancer(struct azure_place *place, const char *id, struct azure_target *out,
                         struct err *err)
{
    char owner[AZURE_ID_MAX];
    struct cloud_reply reply = {0};
    const json_t *front = NULL;
    size_t i;
    json_t *at;
    if (!azure_until(id, "loadBalancers", owner))
        return err_set(err, -EINVAL, "--to: lb:'%.200s' is no front end of a load balancer", id);
    int result = get(place, owner, &reply, err);
    json_array_foreach(azure_property(reply.body, "frontendIPConfigurations"), i, at)
    {
        if (azure_same(mirror_text(at, "id"), id) || (!front && azure_same(owner, id)))
            front = at;
    }
    const char *address = json_string_value(azure_property(front, "privateIPAddress"));
    if (result == 0 && !front)
        result = err_set(err, -ENOENT, "--to: the load balancer %.200s has no front end %.200s",
                         owner, id);
    else if (result == 0 && !json_is_object(azure_property(front, "subnet")))
        result = err_set(err, -EINVAL,
                         "--to: %.300s is public; a TAP sends to an internal load balancer", id);
    if (result == 0) {
        out->is_balancer = true;
        (void)snprintf(out->id, sizeof out->id, "%s", mirror_text(front, "id"));
        (void)snprintf(out->location, sizeof out->location, "%s",
                       mirror_text(reply.body, "location"));
        (void)snprintf(out->address, sizeof out->address, "%s", address ? address : "");
        azure_put_lower(out->owner, sizeof out->owner, mirror_text(reply.body, "id"));
        put_vnet(front, out);
    }
    cloud_reply_done(&reply);
    return result;
}

/* ---- self ---- */

/* "000D3A1BC721" and "00-0D-3A-1B-C7-21" are the same. */
static bool same_mac(const char *one, const char *other)
{
    for (;; one++, other++) {
        while (*one == '-' || *one == ':')
            one++;
        while (*other == '-' || *other == ':')
            other++;
        if (!*one || !*other)
            return *one == *other;
        if (strncasecmp(one, other, 1) != 0)
            return false;
    }
}

/* The first interface that the metadata service names. */
static int find_self(struct azure_place *place, struct azure_target *out, struct err *err)
{
    json_t *metadata = NULL;
    int result = azure_metadata(place->http, &metadata, err);
    if (result < 0) {
        err_wrap(err, "--to self");
        return result;
    }
    const json_t *network = json_object_get(metadata, "network");
    const json_t *first = json_array_get(json_object_get(network, "interface"), 0);
    const char *mac = mirror_text(first, "macAddress");
    const json_t *found = NULL;
    size_t i;
    json_t *nic;
    json_array_foreach(place->nics, i, nic)
    {
        const char *own = json_string_value(azure_property(nic, "macAddress"));
        if (*mac && own && same_mac(mac, own))
            found = nic;
    }
    if (!found)
        result = err_set(err, -ENOENT,
                         "--to self: no interface of the subscription %s has this machine's MAC "
                         "address %s: give the interface's id",
                         azure_subscription(place->azure), mac);
    else
        result = take_nic(found, NULL, out, err);
    json_decref(metadata);
    return result;
}

int azure_find_target(struct mirror_job *job, struct azure_target *out, struct err *err)
{
    const struct azure_wish *wish = job->wish;
    struct azure_place *place = job->state;
    *out = (struct azure_target){0};
    if (strcmp(wish->to, "self") == 0)
        return find_self(place, out, err);
    if (strncmp(wish->to, "lb:", 3) == 0)
        return find_balancer(place, wish->to + 3, out, err);
    return find_nic(place, wish->to, out, err);
}

bool azure_is_target(const struct azure_target *target, const json_t *nic)
{
    size_t i, k;
    json_t *configuration, *pool;
    if (!target->is_balancer)
        return azure_same(target->owner, mirror_text(nic, "id"));
    json_array_foreach(azure_property(nic, "ipConfigurations"), i, configuration)
    {
        json_array_foreach(azure_property(configuration, "loadBalancerBackendAddressPools"), k,
                           pool)
        {
            char owner[AZURE_ID_MAX];
            if (azure_until(mirror_text(pool, "id"), "loadBalancers", owner) &&
                azure_same(owner, target->owner))
                return true;
        }
    }
    return false;
}
