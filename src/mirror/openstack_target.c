/* The collector's port, and the ids that copies to an address carry: see openstack.h. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "mirror/openstack.h"

/* Without --id they stay below what people, and 24 bits, are used to. */
#define ID_MAX 0xffffff

/* ---- this machine ---- */

static bool has_mac(const char *interface, const char *mac)
{
    char path[64], text[32] = "";
    (void)snprintf(path, sizeof path, "/sys/class/net/%.15s/address", interface);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n >= 17 && strlen(mac) == 17 && strncasecmp(text, mac, 17) == 0;
}

bool openstack_local(const char *mac, char out[16])
{
    struct if_nameindex *all = if_nameindex();
    bool found = false;
    for (struct if_nameindex *at = all; at && at->if_index && !found; at++) {
        found = has_mac(at->if_name, mac);
        if (found)
            (void)snprintf(out, 16, "%s", at->if_name);
    }
    if (all)
        if_freenameindex(all);
    return found;
}

/* ---- the collector's port ---- */

static void set_target(struct openstack *os, json_t *port)
{
    json_decref(os->target);
    os->target = json_incref(port);
}

static bool has_service(const struct openstack *os, const json_t *port)
{
    size_t i;
    json_t *one;
    json_array_foreach(os->lists[OPENSTACK_SERVICES], i, one)
    {
        if (strcmp(mirror_text(one, "port_id"), mirror_text(port, "id")) == 0)
            return true;
    }
    return false;
}

/* Of several the one that gets copies already. */
static int find_self(struct openstack *os, struct err *err)
{
    json_t *port, *found = NULL, *tapped = NULL;
    size_t i, n = 0, n_tapped = 0, len = 0;
    char list[200] = "", interface[16];
    json_array_foreach(os->lists[OPENSTACK_PORTS], i, port)
    {
        if (!openstack_local(mirror_text(port, "mac_address"), interface))
            continue;
        int wrote = len < sizeof list ? snprintf(list + len, sizeof list - len, "%sport:%s (%s)",
                                                 n ? ", " : "", mirror_text(port, "id"), interface)
                                      : 0;
        len += wrote > 0 ? (size_t)wrote : 0;
        found = port;
        n++;
        if (has_service(os, port)) {
            tapped = port;
            n_tapped++;
        }
    }
    if (n == 1)
        set_target(os, found);
    else if (n > 1 && n_tapped == 1)
        set_target(os, tapped);
    else if (n > 1)
        return err_set(err, -EINVAL,
                       "--to self: this machine has several ports: which one? --to %s", list);
    else
        return err_set(err, -ENOENT,
                       "--to self: no port of the project has the MAC address of an interface of "
                       "this machine: it is no machine of this project; name the collector's port: "
                       "--to port:ID (openstack port list)");
    return 0;
}

/* Of no port of ours: of another project's, perhaps. */
static int no_port(struct openstack *os, const char *wanted, struct err *err)
{
    json_t *port = NULL;
    struct err none;
    char query[64];
    bool plain = strlen(wanted) < 48 && strspn(wanted, "0123456789abcdef-") == strlen(wanted);
    (void)snprintf(query, sizeof query, "id=%s", plain ? wanted : "");
    if (plain && neutron_all(&os->neutron, "ports", query, &port, &none) == 0 &&
        json_array_size(port) == 1) {
        int result = err_set(err, -EACCES,
                             "--to: the port %s is of the project %.64s, and TaaS wants the "
                             "collector's port in the project of the machines (%s)",
                             wanted, mirror_text(json_array_get(port, 0), "project_id"),
                             keystone_project(os->keystone));
        json_decref(port);
        return result;
    }
    json_decref(port);
    return err_set(err, -ENOENT,
                   "--to: the project has no port '%.100s' (openstack port list shows them)",
                   wanted);
}

int openstack_find_target(struct openstack *os, const struct openstack_wish *wish, struct err *err)
{
    json_t *port, *found = NULL;
    size_t i, n = 0;
    if (wish->is_self)
        return find_self(os, err);
    json_array_foreach(os->lists[OPENSTACK_PORTS], i, port)
    {
        if (strcmp(mirror_text(port, "id"), wish->port) == 0) {
            set_target(os, port);
            return 0;
        }
        if (strcmp(mirror_text(port, "name"), wish->port) == 0) {
            found = port;
            n++;
        }
    }
    if (n > 1)
        return err_set(err, -EINVAL, "--to: %zu ports are called '%.100s': name one by its id", n,
                       wish->port);
    if (n == 0)
        return no_port(os, wish->port, err);
    set_target(os, found);
    return 0;
}

bool openstack_is_down(const struct openstack *os, const char *port)
{
    return strcmp(mirror_text(openstack_port(os, port), "status"), "DOWN") == 0;
}

/* ---- ids ---- */

static const char *const names[] = {"IN", "OUT"};

static bool is_asked(const struct openstack_wish *wish, int direction)
{
    return wish->direction == OPENSTACK_BOTH ||
           wish->direction == (direction == 0 ? OPENSTACK_IN : OPENSTACK_OUT);
}

/* One entry for each direction of each wanted port. */
static int add_directions(const struct openstack_wish *wish, struct openstack *os, struct err *err)
{
    cloud_inventory_done(&os->directions);
    os->directions = (struct cloud_inventory){0};
    for (size_t i = 0; i < os->inventory.n; i++) {
        const struct cloud_nic *nic = &os->inventory.at[i];
        for (int d = 0; d < 2 && nic->fate == CLOUD_WANTED; d++) {
            char id[96];
            if (!is_asked(wish, d))
                continue;
            (void)snprintf(id, sizeof id, "%.80s/%s", nic->id, names[d]);
            struct cloud_nic *one = cloud_inventory_add(&os->directions, id);
            if (!one)
                break;
            cloud_nic_text(&os->directions, &one->machine,
                           nic->machine[0] ? nic->machine : nic->id);
            cloud_nic_text(&os->directions, &one->name, nic->name);
            cloud_nic_text(&os->directions, &one->network, nic->network);
            memcpy(one->mac, nic->mac, sizeof one->mac);
            memcpy(one->addresses, nic->addresses, sizeof one->addresses);
            one->order = nic->order * 2 + (uint32_t)d;
        }
    }
    return os->directions.failed
               ? err_set(err, -ENOMEM, "out of memory, or more than %d ports", CLOUD_NICS_MAX / 2)
               : 0;
}

/* Ids of a mirror, into `kept` as "PORT/IN": 101. */
static void keep(const char *port, const json_t *directions, uint32_t min, uint32_t max,
                 json_t *kept)
{
    for (int d = 0; d < 2; d++) {
        json_int_t id = json_integer_value(json_object_get(directions, names[d]));
        char key[96];
        (void)snprintf(key, sizeof key, "%.80s/%s", port, names[d]);
        if (id >= min && id <= max && !json_object_get(kept, key))
            (void)json_object_set_new(kept, key, json_integer(id));
    }
}

struct numbers {
    uint32_t *at;
    size_t n;
};

static bool has_number(const struct numbers *numbers, uint32_t number)
{
    for (size_t i = 0; i < numbers->n; i++)
        if (numbers->at[i] == number)
            return true;
    return false;
}

/* What exists, and what the journal knows; the ids of others. */
static bool read_ids(const struct mirror_job *job, const struct cloud_ids *range, json_t *kept,
                     struct numbers *taken)
{
    const struct openstack *os = job->state;
    size_t i;
    json_t *one;
    taken->at = calloc(json_array_size(os->lists[OPENSTACK_MIRRORS]) * 3 + 1, sizeof *taken->at);
    if (!taken->at)
        return false;
    json_array_foreach(os->lists[OPENSTACK_MIRRORS], i, one)
    {
        json_t *directions = openstack_directions(one), *id;
        const char *name;
        if (openstack_is_ours(one, job->name))
            keep(mirror_text(one, "port_id"), directions, range->min, range->max, kept);
        else
            json_object_foreach(directions, name, id) taken->at[taken->n++] =
                (uint32_t)json_integer_value(id);
        json_decref(directions);
    }
    for (i = 0; i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        if (strcmp(object->kind, OPENSTACK_MIRROR) == 0)
            keep(object->key, json_object_get(object->is, "directions"), range->min, range->max,
                 kept);
    }
    return true;
}

/* With --id the lowest free ones from there on, port by port. */
static void count_up(const struct openstack *os, const struct cloud_ids *range,
                     struct numbers *taken, json_t *kept)
{
    uint64_t next = range->min;
    const char *key;
    json_t *id;
    json_object_foreach(kept, key, id)
    {
        uint32_t *more = realloc(taken->at, (taken->n + 1) * sizeof *more);
        if (!more)
            return; /* what is given twice, the cloud refuses */
        taken->at = more;
        more[taken->n++] = (uint32_t)json_integer_value(id);
    }
    for (size_t i = 0; i < os->directions.n && next <= range->max; i++) {
        if (json_object_get(kept, os->directions.at[i].id))
            continue;
        while (next <= range->max && has_number(taken, (uint32_t)next))
            next++;
        if (next <= range->max)
            (void)json_object_set_new(kept, os->directions.at[i].id,
                                      json_integer((json_int_t)next));
        next++;
    }
}

int openstack_give_ids(struct mirror_job *job, struct err *err)
{
    const struct openstack_wish *wish = job->wish;
    struct openstack *os = job->state;
    uint32_t max = mirror_wrap_max_id(wish->to.wrap);
    struct cloud_ids range = {.min = wish->has_id ? wish->id : 1,
                              .max = !wish->has_id && max > ID_MAX ? ID_MAX : max};
    struct numbers taken = {0};
    json_t *kept = json_object();
    int result = add_directions(wish, os, err);
    if (result == 0 && (!kept || !read_ids(job, &range, kept, &taken)))
        result = err_set(err, -ENOMEM, "out of memory");
    if (result == 0) {
        size_t n_others = taken.n;
        if (wish->has_id)
            count_up(os, &range, &taken, kept);
        range.taken = taken.at;
        range.n_taken = n_others;
        result = cloud_give_ids(job->name, kept, &range, &os->directions, err);
    }
    free(taken.at);
    json_decref(kept);
    return result;
}

json_t *openstack_ids_of(const struct openstack *os, const char *port)
{
    json_t *out = json_object();
    size_t len = strlen(port);
    for (size_t i = 0; out && i < os->directions.n; i++) {
        const struct cloud_nic *one = &os->directions.at[i];
        if (strncmp(one->id, port, len) == 0 && one->id[len] == '/' && one->has_id)
            (void)json_object_set_new(out, one->id + len + 1,
                                      json_integer((json_int_t)one->id_number));
    }
    return out;
}
