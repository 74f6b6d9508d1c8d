/* What a mirror in OpenStack should consist of: see openstack.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/openstack.h"

/* ---- loops ---- */

/* The port that an address belongs to, which is no machine's own: a floating one. */
static void put_floating(struct openstack *os, const char *address, char out[64])
{
    char query[96];
    json_t *list = NULL;
    struct err none;
    (void)snprintf(query, sizeof query, "floating_ip_address=%s", address);
    out[0] = '\0';
    if (!openstack_has(os, "router") ||
        neutron_all(&os->neutron, "floatingips", query, &list, &none) < 0)
        return;
    (void)snprintf(out, 64, "%s", mirror_text(json_array_get(list, 0), "port_id"));
    json_decref(list);
}

static bool has_address(const struct cloud_nic *nic, const struct addr *wanted)
{
    struct addr addr;
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX && nic->addresses[i][0]; i++)
        if (addr_parse(nic->addresses[i], &addr) && addr_eq(&addr, wanted))
            return true;
    return false;
}

/* The collector's port, whose copies would be copied again; and its machine's other ones, by which
 * it may hand them on. */
static void mark_own(struct openstack *os, const struct openstack_wish *wish)
{
    char address[ADDR_TEXT_MAX + 1], port[64], machine[64] = "";
    address[addr_format(&wish->to.addr, address)] = '\0';
    if (os->target)
        (void)snprintf(port, sizeof port, "%s", mirror_text(os->target, "id"));
    else
        put_floating(os, address, port);
    for (size_t i = 0; i < os->inventory.n; i++) {
        const struct cloud_nic *nic = &os->inventory.at[i];
        if (strcmp(nic->id, port) == 0 || (!os->target && has_address(nic, &wish->to.addr))) {
            (void)snprintf(port, sizeof port, "%s", nic->id);
            (void)snprintf(machine, sizeof machine, "%s", nic->machine);
        }
    }
    for (size_t i = 0; i < os->inventory.n; i++) {
        struct cloud_nic *nic = &os->inventory.at[i];
        if (strcmp(nic->id, port) != 0 && (!machine[0] || strcmp(nic->machine, machine) != 0))
            continue;
        nic->fate = CLOUD_OWN;
        (void)snprintf(nic->why, sizeof nic->why, "it is the collector's");
    }
}

/* The flows of ports, this mirror's or others'. */
static json_t *flows_by_port(const struct openstack *os, const char *mirror, bool ours)
{
    json_t *map = json_object(), *one;
    size_t i;
    json_array_foreach(os->lists[OPENSTACK_FLOWS], i, one)
    {
        if (map && openstack_is_ours(one, mirror) == ours &&
            strcmp(mirror_text(one, "status"), "PENDING_DELETE") != 0)
            (void)json_object_set(map, mirror_text(one, "source_port"), one);
    }
    return map;
}

/* Ports that somebody else copies: the agent keeps one flow of a port, the newest, and takes it
 * away with whichever of the two is deleted first, while Neutron goes on calling the other one
 * ACTIVE. Where both are there already, the user has to choose. */
static void mark_taken(struct openstack *os, const char *mirror, struct text *remarks)
{
    json_t *taken = flows_by_port(os, mirror, false), *ours = flows_by_port(os, mirror, true);
    for (size_t i = 0; i < os->inventory.n; i++) {
        struct cloud_nic *nic = &os->inventory.at[i];
        const json_t *flow = json_object_get(taken, nic->id);
        if (!flow || nic->fate != CLOUD_WANTED)
            continue;
        if (json_object_get(ours, nic->id)) {
            text_format(remarks,
                        "the port %s of %s also has the tap flow %s (%.60s), not of this mirror: "
                        "the cloud copies for one of the two, and for none when one is deleted\n",
                        nic->id, cloud_nic_label(nic), mirror_text(flow, "id"),
                        mirror_text(flow, "name"));
            continue;
        }
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why,
                       "the tap flow %.40s (%.60s), not of this mirror, copies it, and a port can "
                       "have one",
                       mirror_text(flow, "id"), mirror_text(flow, "name"));
    }
    json_decref(taken);
    json_decref(ours);
}

/* ---- limits ---- */

static int check_quota(struct openstack *os, const char *resource, enum openstack_list list,
                       size_t n_wanted, size_t n_ours, struct err *err)
{
    int64_t limit, used;
    if (n_wanted <= n_ours)
        return 0;
    neutron_quota(&os->neutron, keystone_project(os->keystone), resource, &limit, &used);
    if (used < 0)
        used = (int64_t)json_array_size(os->lists[list]);
    if (limit < 0 || used + (int64_t)(n_wanted - n_ours) <= limit)
        return 0;
    return err_set(err, -EDQUOT,
                   "the project may have %" PRId64 " objects %s, has %" PRId64
                   ", and this needs %zu more: whoever runs the cloud can raise its quota "
                   "(openstack quota set), or select fewer machines",
                   limit, resource, used, n_wanted - n_ours);
}

static size_t count_ours(const struct openstack *os, enum openstack_list list, const char *mirror)
{
    size_t i, n = 0;
    json_t *one;
    json_array_foreach(os->lists[list], i, one)
    {
        n += openstack_is_ours(one, mirror) &&
             strcmp(mirror_text(one, "status"), "PENDING_DELETE") != 0;
    }
    return n;
}

/* ---- to a port ---- */

/* Port security at the collector's port, which knows neither the addresses nor the security groups
 * of what is copied. */
static int want_open_port(struct openstack *os, const struct mirror_job *job,
                          struct mirror_set *out, struct text *remarks, struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    const char *id = mirror_text(os->target, "id");
    const json_t *enabled = json_object_get(os->target, "port_security_enabled");
    char tag[MIRROR_NAME_MAX + 16];
    (void)snprintf(tag, sizeof tag, OPENSTACK_TAG "%s", job->name);
    bool ours = openstack_has_tag(os->target, tag);
    if (!ours && !json_is_true(enabled))
        return 0;
    if (!wish->opens_port) {
        if (!ours)
            text_format(remarks,
                        "the collector's port %s has port security, by which most clouds drop the "
                        "copies: --disable-port-security switches it off for this port (and its "
                        "security groups with it)\n",
                        id);
        return 0;
    }
    if (!openstack_has(os, "standard-attr-tag"))
        return err_set(err, -EOPNOTSUPP,
                       "--disable-port-security: this Neutron has no tags, by which it would be "
                       "known what to undo; do it by hand: openstack port set --no-security-group "
                       "--disable-port-security %s",
                       id);
    struct mirror_object *object =
        mirror_set_add(out, OPENSTACK_SECURITY, id, json_pack("{s:b}", "port_security_enabled", 0));
    mirror_object_why(object, "lets copies reach the collector's port");
    return 0;
}

static const char *const neutron_directions[] = {
    [OPENSTACK_BOTH] = "BOTH", [OPENSTACK_IN] = "IN", [OPENSTACK_OUT] = "OUT"};

static void put_why(const struct openstack_wish *wish, const struct cloud_nic *nic,
                    struct mirror_object *object)
{
    static const char *const words[] = {[OPENSTACK_BOTH] = "receives and sends",
                                        [OPENSTACK_IN] = "receives",
                                        [OPENSTACK_OUT] = "sends"};
    mirror_object_why(object, "copies what %.60s %s%s%.48s%s", cloud_nic_label(nic),
                      words[wish->direction], nic->addresses[0][0] ? " (" : "", nic->addresses[0],
                      nic->addresses[0][0] ? ")" : "");
}

static int want_flows(struct mirror_job *job, size_t n_wanted, struct mirror_set *out,
                      struct text *remarks, struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    struct openstack *os = job->state;
    const char *id = mirror_text(os->target, "id");
    bool ours;
    const json_t *service = openstack_service_at(os, id, job->name, &ours);
    if (!openstack_has(os, "taas"))
        return err_set(err, -EOPNOTSUPP,
                       "this cloud has no tap services (Neutron's extension taas): copies can only "
                       "go to an address, --to gre:ADDR or erspan2:ADDR");
    int result = want_open_port(os, job, out, remarks, err);
    /* A second service at a port is accepted, and gets nothing. */
    bool own_service = ours || !service;
    if (result == 0 && own_service)
        result = check_quota(os, "tap_service", OPENSTACK_SERVICES, 1, ours, err);
    if (result == 0)
        result = check_quota(os, "tap_flow", OPENSTACK_FLOWS, n_wanted,
                             count_ours(os, OPENSTACK_FLOWS, job->name), err);
    if (result < 0)
        return result;
    if (!own_service)
        text_format(remarks,
                    "the port has a tap service already, %s (%s), which is not this mirror's: it "
                    "is used, and stays when the mirror is removed\n",
                    mirror_text(service, "id"), mirror_text(service, "name"));
    else
        mirror_object_why(
            mirror_set_add(out, OPENSTACK_SERVICE, id, json_pack("{s:s}", "port_id", id)),
            "gives copies to the collector's port");
    for (size_t i = 0; i < os->inventory.n; i++) {
        const struct cloud_nic *nic = &os->inventory.at[i];
        if (nic->fate != CLOUD_WANTED)
            continue;
        struct mirror_object *object =
            mirror_set_add(out, OPENSTACK_FLOW, nic->id,
                           json_pack("{s:s, s:s, s:s, s:i}", "source_port", nic->id, "to_port", id,
                                     "direction", neutron_directions[wish->direction], "flows", 1));
        put_why(wish, nic, object);
        if (own_service)
            mirror_object_on(out, object, OPENSTACK_SERVICE, id);
        if (object)
            object->may_lack = true;
    }
    return 0;
}

/* ---- to an address ---- */

static int want_mirrors(struct mirror_job *job, size_t n_wanted, struct mirror_set *out,
                        struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    struct openstack *os = job->state;
    char address[ADDR_TEXT_MAX + 1];
    address[addr_format(&wish->to.addr, address)] = '\0';
    if (!openstack_has(os, "tap-mirror"))
        return err_set(err, -EOPNOTSUPP,
                       "this cloud has no tap mirrors (Neutron's extension tap-mirror, of 2023): "
                       "copies can only go to a port of it, --to port:ID or self");
    int result = check_quota(os, "tap_mirror", OPENSTACK_MIRRORS, n_wanted,
                             count_ours(os, OPENSTACK_MIRRORS, job->name), err);
    if (result == 0)
        result = openstack_give_ids(job, err);
    for (size_t i = 0; result == 0 && i < os->inventory.n; i++) {
        const struct cloud_nic *nic = &os->inventory.at[i];
        if (nic->fate != CLOUD_WANTED)
            continue;
        struct mirror_object *object = mirror_set_add(
            out, OPENSTACK_MIRROR, nic->id,
            json_pack("{s:s, s:s, s:s, s:o}", "port_id", nic->id, "remote_ip", address,
                      "mirror_type", wish->to.wrap == MIRROR_GRE ? "gre" : "erspanv1", "directions",
                      openstack_ids_of(os, nic->id)));
        put_why(wish, nic, object);
        if (object)
            object->may_lack = true;
    }
    return result;
}

/* ---- all of it ---- */

/* What was asked for first, so that of what was not nobody has to read why it could not be; then
 * what can't be, of that. False: no memory. */
static bool choose(const struct openstack_wish *wish, struct openstack *os, struct text *remarks)
{
    struct cloud_inventory *nics = &os->inventory;
    enum cloud_fate *fates = calloc(nics->n + 1, sizeof *fates);
    for (size_t i = 0; fates && i < nics->n; i++) {
        fates[i] = nics->at[i].fate;
        nics->at[i].fate = CLOUD_WANTED;
    }
    if (fates)
        cloud_select(&wish->select, nics, remarks);
    for (size_t i = 0; fates && i < nics->n; i++)
        if (nics->at[i].fate == CLOUD_WANTED)
            nics->at[i].fate = fates[i];
    free(fates);
    return fates != NULL;
}

/* Why the first of those that were asked for can't be, or what was said of the selection. */
static void put_first_reason(const struct openstack *os, const struct text *remarks, char out[300])
{
    out[0] = '\0';
    if (remarks->size)
        (void)snprintf(out, 300, ": %.*s", (int)strcspn(remarks->at, "\n"), remarks->at);
    for (size_t i = 0; i < os->inventory.n && !out[0]; i++) {
        const struct cloud_nic *nic = &os->inventory.at[i];
        if (nic->fate == CLOUD_UNFIT || nic->fate == CLOUD_OWN)
            (void)snprintf(out, 300, ": %.64s: %s", cloud_nic_label(nic), nic->why);
    }
}

static int check_some(const struct mirror_job *job, size_t n_wanted, struct text *remarks,
                      struct err *err)
{
    const struct openstack *os = job->state;
    char why[300];
    if (n_wanted > 0)
        return 0;
    put_first_reason(os, remarks, why);
    if (count_ours(os, OPENSTACK_FLOWS, job->name) + count_ours(os, OPENSTACK_MIRRORS, job->name) ==
        0)
        return err_set(err, -ENOENT,
                       "no port of the project fulfils the selection and can be mirrored (%zu "
                       "were looked at)%s",
                       os->inventory.n, why);
    text_put(remarks, "no machine fulfils the selection any more\n");
    return 0;
}

int openstack_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                   struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    struct openstack *os = job->state;
    size_t n_wanted = 0, n_down = 0;
    cloud_inventory_done(&os->inventory);
    os->inventory = (struct cloud_inventory){0};
    int result = openstack_look(job, err);
    if (result == 0)
        result = openstack_list_nics(os, &os->inventory, remarks, err);
    if (result == 0 && (wish->is_self || wish->port))
        result = openstack_find_target(os, wish, err);
    if (result < 0)
        return result;
    mark_own(os, wish);
    if (os->target)
        mark_taken(os, job->name, remarks);
    if (!choose(wish, os, remarks))
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < os->inventory.n; i++)
        n_wanted += os->inventory.at[i].fate == CLOUD_WANTED;
    result = check_some(job, n_wanted, remarks, err);
    if (result == 0)
        result = os->target ? want_flows(job, n_wanted, out, remarks, err)
                            : want_mirrors(job, n_wanted, out, err);
    for (size_t i = 0; i < os->inventory.n; i++)
        n_down += os->inventory.at[i].fate == CLOUD_WANTED &&
                  openstack_is_down(os, os->inventory.at[i].id);
    if (result == 0 && n_down)
        text_format(
            remarks,
            n_down == 1
                ? "%zu port is down: nothing of it is copied until its machine runs\n"
                : "%zu ports are down: nothing of them is copied until their machines run\n",
            n_down);
    if (result == 0 && os->target && strcmp(mirror_text(os->target, "status"), "DOWN") == 0)
        text_put(remarks, "the collector's port is down: no copy arrives until its machine runs\n");
    return result;
}
