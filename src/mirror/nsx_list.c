/* The machines of NSX and their network cards, from what its hypervisors report. See nsx.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/nsx.h"

#define MACHINES "/infra/realized-state/virtual-machines"
#define CARDS    "/infra/realized-state/enforcement-points/default/vifs"

int nsx_group_path(const struct nsx_wish *wish, const char *name, char out[NSX_PATH_MAX],
                   struct err *err)
{
    const char *domain = wish && wish->domain ? wish->domain : "default";
    int n;
    if (wish && wish->group && wish->group[0] == '/')
        n = snprintf(out, NSX_PATH_MAX, "%s", wish->group);
    else if (wish && wish->group)
        n = snprintf(out, NSX_PATH_MAX, "/infra/domains/%s/groups/%s", domain, wish->group);
    else
        n = snprintf(out, NSX_PATH_MAX, "/infra/domains/%s/groups/cloudspan-%s", domain, name);
    return n < NSX_PATH_MAX ? 0 : err_set(err, -EINVAL, "--group: the name is too long");
}

/* [{"scope": "env", "tag": "prod"}] as {"env": "prod"}; without a scope the tag is the key. */
static json_t *take_tags(const json_t *list)
{
    json_t *tags = json_object();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *scope = mirror_text(one, "scope"), *tag = mirror_text(one, "tag");
        (void)json_object_set_new(tags, *scope ? scope : tag, json_string(*scope ? tag : ""));
    }
    return tags;
}

static void take_mac(const char *text, char out[18])
{
    size_t len = strlen(text);
    for (size_t i = 0; i < 17 && len == 17; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
}

/* Whether the address is a collector's: its own copies would come back to it. */
static bool is_collector(const struct nsx_wish *wish, const char *address)
{
    struct addr addr;
    if (!addr_parse(address, &addr))
        return false;
    for (size_t i = 0; wish && i < wish->n_to; i++)
        if (addr_eq(&addr, &wish->to[i].addr))
            return true;
    return false;
}

static void take_addresses(const struct nsx_wish *wish, const json_t *card, struct cloud_nic *nic)
{
    const json_t *infos = json_object_get(card, "ip_address_info");
    for (size_t i = 0; i < json_array_size(infos); i++) {
        const json_t *list = json_object_get(json_array_get(infos, i), "ip_addresses");
        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *address = json_string_value(json_array_get(list, k));
            if (!address)
                continue;
            cloud_nic_address(nic, address);
            if (is_collector(wish, address) && nic->fate == CLOUD_WANTED) {
                nic->fate = CLOUD_OWN;
                (void)snprintf(nic->why, sizeof nic->why, "%s is the collector's", address);
            }
        }
    }
}

static void take_card(const struct nsx_wish *wish, const json_t *machine, const json_t *card,
                      struct cloud_inventory *inventory)
{
    const char *id = mirror_text(card, "external_id");
    struct cloud_nic *nic =
        cloud_inventory_add(inventory, *id ? id : mirror_text(card, "mac_address"));
    if (!nic)
        return;
    cloud_nic_text(inventory, &nic->machine, mirror_text(machine, "external_id"));
    cloud_nic_text(inventory, &nic->name, mirror_text(machine, "display_name"));
    json_decref(nic->tags);
    nic->tags = take_tags(json_object_get(machine, "tags"));
    nic->order = (uint32_t)json_integer_value(json_object_get(card, "device_key"));
    take_mac(mirror_text(card, "mac_address"), nic->mac);
    take_addresses(wish, card, nic);
    if (!*mirror_text(card, "lport_attachment_id")) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why, "%s is on no segment of NSX",
                       mirror_text(card, "device_name"));
    }
}

/* Of --group: those that are no members were not asked for. */
static int keep_members(struct nsx *nsx, const char *path, struct err *err)
{
    char url[NSX_PATH_MAX + 32];
    json_t *members = NULL, *ids = json_object();
    (void)snprintf(url, sizeof url, "%s/members/virtual-machines", path);
    int result = nsx_list(nsx->api, url, &members, err);
    for (size_t i = 0; result == 0 && i < json_array_size(members); i++)
        (void)json_object_set_new(ids, mirror_text(json_array_get(members, i), "external_id"),
                                  json_true());
    for (size_t i = 0; result == 0 && i < nsx->inventory.n; i++) {
        struct cloud_nic *nic = &nsx->inventory.at[i];
        if (nic->fate == CLOUD_WANTED && !json_object_get(ids, nic->machine))
            nic->fate = CLOUD_NOT_SELECTED;
    }
    json_decref(members);
    json_decref(ids);
    return result;
}

int nsx_take_inventory(struct mirror_job *job, struct text *remarks, struct err *err)
{
    const struct nsx_wish *wish = job->wish;
    struct nsx *nsx = job->state;
    json_t *machines = NULL, *cards = NULL, *by_id = json_object();
    cloud_inventory_done(&nsx->inventory);
    int result = nsx_list(nsx->api, MACHINES, &machines, err);
    if (result == 0)
        result = nsx_list(nsx->api, CARDS, &cards, err);
    for (size_t i = 0; result == 0 && i < json_array_size(machines); i++) {
        json_t *one = json_array_get(machines, i);
        (void)json_object_set(by_id, mirror_text(one, "external_id"), one);
    }
    for (size_t i = 0; result == 0 && i < json_array_size(cards); i++) {
        const json_t *card = json_array_get(cards, i);
        take_card(wish, json_object_get(by_id, mirror_text(card, "owner_vm_id")), card,
                  &nsx->inventory);
    }
    json_decref(machines);
    json_decref(cards);
    json_decref(by_id);
    if (result == 0 && nsx->inventory.failed)
        result = err_set(err, -E2BIG,
                         "NSX has too many network cards for one mirror, or there is "
                         "no memory for them");
    if (result < 0)
        return result;
    if (wish && wish->group) {
        char path[NSX_PATH_MAX];
        result = nsx_group_path(wish, job->name, path, err);
        return result < 0 ? result : keep_members(nsx, path, err);
    }
    if (wish)
        cloud_select(&wish->select, &nsx->inventory, remarks);
    return 0;
}
