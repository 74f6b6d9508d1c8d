/* The machines of a project of Google's: see google.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/google.h"

/* Labels; and network tags, as keys without a value. */
static void put_tags(struct cloud_nic *nic, const json_t *instance)
{
    const json_t *labels = json_object_get(instance, "labels");
    size_t i;
    json_t *tag;
    if (json_is_object(labels))
        (void)json_object_update(nic->tags, (json_t *)(uintptr_t)labels);
    json_array_foreach(json_object_get(json_object_get(instance, "tags"), "items"), i, tag)
    {
        const char *key = json_string_value(tag);
        if (key && !json_object_get(nic->tags, key))
            (void)json_object_set_new(nic->tags, key, json_string(""));
    }
}

/* Ranges of one address only. */
static void put_aliases(struct cloud_nic *nic, const json_t *interface)
{
    size_t i;
    json_t *alias;
    json_array_foreach(json_object_get(interface, "aliasIpRanges"), i, alias)
    {
        char address[64];
        (void)snprintf(address, sizeof address, "%s", mirror_text(alias, "ipCidrRange"));
        char *slash = strchr(address, '/');
        if (slash && strcmp(slash, "/32") == 0) {
            *slash = '\0';
            cloud_nic_address(nic, address);
        }
    }
}

static void take_nic(const json_t *instance, const json_t *interface, uint32_t order,
                     struct cloud_inventory *inventory, json_t *paths)
{
    const char *path = google_path(mirror_text(instance, "selfLink"));
    const char *subnet = google_path(mirror_text(interface, "subnetwork"));
    char id[GOOGLE_PATH_MAX + 64];
    (void)snprintf(id, sizeof id, "%s/%s", path, mirror_text(interface, "name"));
    struct cloud_nic *nic = cloud_inventory_add(inventory, id);
    if (!nic)
        return;
    cloud_nic_text(inventory, &nic->machine, path);
    cloud_nic_text(inventory, &nic->name, mirror_text(instance, "name"));
    cloud_nic_text(inventory, &nic->network, google_last(mirror_text(interface, "network")));
    cloud_nic_text(inventory, &nic->subnet, subnet);
    cloud_nic_text(inventory, &nic->subnet_name, google_last(subnet));
    cloud_nic_text(inventory, &nic->zone, google_last(mirror_text(instance, "zone")));
    cloud_nic_text(inventory, &nic->type, google_last(mirror_text(instance, "machineType")));
    cloud_nic_address(nic, mirror_text(interface, "networkIP"));
    cloud_nic_address(nic, mirror_text(interface, "ipv6Address"));
    put_aliases(nic, interface);
    put_tags(nic, instance);
    nic->order = order;
    if (json_object_set_new(paths, id, json_string(path)) < 0)
        inventory->failed = true;
}

int google_inventory(struct google *google, const char *network,
                     bool (*wants)(const char *zone, void *with), void *with,
                     struct cloud_inventory *out, json_t *paths, struct err *err)
{
    char path[160];
    json_t *all = NULL, *instance, *interface;
    size_t i, k;
    (void)snprintf(path, sizeof path, "/projects/%s/aggregated/instances?maxResults=500",
                   google_project(google));
    int result = google_all(google, GOOGLE_COMPUTE, path, "items", "instances", &all, err);
    json_array_foreach(all, i, instance)
    {
        if (wants && !wants(google_last(mirror_text(instance, "zone")), with))
            continue;
        json_array_foreach(json_object_get(instance, "networkInterfaces"), k, interface)
        {
            if (strcmp(google_path(mirror_text(interface, "network")), network) == 0)
                take_nic(instance, interface, (uint32_t)k, out, paths);
        }
    }
    json_decref(all);
    if (result == 0 && out->failed)
        result = err_set(err, -ENOMEM, "out of memory, or more than %d interfaces", CLOUD_NICS_MAX);
    return result;
}
