/* The machines of an OpenStack project, by Neutron's ports and Nova's servers: see openstack.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/openstack.h"

/* Nova tells tags of servers from here on (2016). */
#define NOVA_VERSION "compute 2.26"

/* Objects of a list by their id. */
static json_t *by_id(const json_t *list)
{
    json_t *map = json_object(), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        const char *id = mirror_text(one, "id");
        if (map && *id)
            (void)json_object_set(map, id, one); /* one that lacks has no name, no more */
    }
    return map;
}

/* ---- Nova ---- */

/* Servers by their id; empty where there is no Nova, or it does not answer us: a remark then. */
static json_t *list_servers(struct openstack *os, struct text *remarks)
{
    struct cloud_rest nova;
    struct err why;
    json_t *list = NULL;
    if (keystone_service(os->keystone, "compute", "Nova", NOVA_VERSION, &nova, &why) < 0)
        return json_object(); /* a cloud without machines of its own, or a lone Neutron */
    if (neutron_servers(&nova, &list, &why) < 0)
        text_format(remarks,
                    "machines are known by their ports alone, without their names and tags: %s\n",
                    why.text);
    json_t *map = by_id(list);
    json_decref(list);
    return map;
}

/* ---- tags ---- */

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void set_tag(json_t *tags, const char *text)
{
    char key[256];
    size_t len = strcspn(text, "=");
    (void)snprintf(key, sizeof key, "%.*s", (int)(len < 255 ? len : 255), text);
    if (*key && !json_object_get(tags, key))
        (void)json_object_set_new(tags, key, json_string(text[len] ? text + len + 1 : ""));
}

/* A server's metadata and tags, then the port's: "KEY=VALUE" as such, others as keys. */
static void put_tags(const json_t *server, const json_t *port, json_t *tags)
{
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(json_object_get(server, "metadata"), key, value)
    {
        if (json_is_string(value))
            (void)json_object_set(tags, key, value);
    }
    json_array_foreach(json_object_get(server, "tags"), i, value)
    {
        if (json_is_string(value))
            set_tag(tags, json_string_value(value));
    }
    json_array_foreach(json_object_get(port, "tags"), i, value)
    {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        if (!starts(text, OPENSTACK_TAG) && !starts(text, OPENSTACK_TAG_GROUP))
            set_tag(tags, text);
    }
}

/* ---- ports ---- */

/* Of what no machine of a user sends and receives. */
static void judge(const json_t *port, struct cloud_nic *nic)
{
    const char *owner = mirror_text(port, "device_owner");
    const char *vif = mirror_text(port, "binding:vif_type");
    if (starts(owner, "network:") || starts(owner, "neutron:")) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why, "a port of the network itself (%.100s)", owner);
    } else if (!*owner && !*nic->machine && !*mirror_text(port, "binding:host_id")) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why, "no machine uses this port");
    } else if (strcmp(vif, "binding_failed") == 0) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why,
                       "its host could not bind the port (binding_failed)");
    }
}

static const char *name_of(const json_t *server, const json_t *port)
{
    const char *name = mirror_text(server, "name");
    if (!*name)
        name = mirror_text(port, "dns_name");
    return *name ? name : mirror_text(port, "name");
}

struct maps {
    json_t *servers, *subnets, *orders; /* by id; how many ports a machine has had */
};

static void add_port(struct cloud_inventory *out, const struct maps *maps, json_t *port)
{
    const char *device = mirror_text(port, "device_id");
    const json_t *server = json_object_get(maps->servers, device);
    struct cloud_nic *nic = cloud_inventory_add(out, mirror_text(port, "id"));
    size_t i;
    json_t *ip;
    if (!nic)
        return;
    cloud_nic_text(out, &nic->machine, device);
    cloud_nic_text(out, &nic->name, name_of(server, port));
    cloud_nic_text(out, &nic->network, mirror_text(port, "network_id"));
    cloud_nic_text(out, &nic->zone, mirror_text(server, "OS-EXT-AZ:availability_zone"));
    cloud_nic_text(out, &nic->type,
                   mirror_text(json_object_get(server, "flavor"), "original_name"));
    (void)snprintf(nic->mac, sizeof nic->mac, "%s", mirror_text(port, "mac_address"));
    for (char *at = nic->mac; *at; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    json_array_foreach(json_object_get(port, "fixed_ips"), i, ip)
    {
        cloud_nic_address(nic, mirror_text(ip, "ip_address"));
        if (i > 0)
            continue;
        const char *subnet = mirror_text(ip, "subnet_id");
        cloud_nic_text(out, &nic->subnet, subnet);
        cloud_nic_text(out, &nic->subnet_name,
                       mirror_text(json_object_get(maps->subnets, subnet), "name"));
    }
    put_tags(server, port, nic->tags);
    if (*device) {
        json_int_t order = json_integer_value(json_object_get(maps->orders, device));
        nic->order = (uint32_t)order;
        (void)json_object_set_new(maps->orders, device, json_integer(order + 1));
    }
    judge(port, nic);
}

int openstack_list_nics(struct openstack *os, struct cloud_inventory *out, struct text *remarks,
                        struct err *err)
{
    struct maps maps = {0};
    json_t *subnets = NULL, *port;
    size_t i;
    int result = neutron_all(&os->neutron, "subnets", NULL, &subnets, err);
    if (result < 0)
        return result;
    maps.subnets = by_id(subnets);
    maps.servers = list_servers(os, remarks);
    maps.orders = json_object();
    json_array_foreach(os->lists[OPENSTACK_PORTS], i, port) add_port(out, &maps, port);
    json_decref(subnets);
    json_decref(maps.subnets);
    json_decref(maps.servers);
    json_decref(maps.orders);
    return out->failed
               ? err_set(err, -ENOMEM, "out of memory, or more than %d ports", CLOUD_NICS_MAX)
               : 0;
}
