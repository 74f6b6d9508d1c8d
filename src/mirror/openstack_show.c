/* A mirror in OpenStack in words, as commands, and as sources for `watch`: see openstack.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/interface.h"
#include "mirror/openstack.h"

/* ---- words ---- */

void openstack_describe(const struct mirror_object *object, struct text *out)
{
    const json_t *is = object->is;
    const char *direction = mirror_text(is, "direction");
    switch (openstack_list_of(object->kind)) {
    case OPENSTACK_PORTS:
        text_format(out, "port security of port %s switched off", object->key);
        break;
    case OPENSTACK_SERVICES:
        text_format(out, "tap service at port %s", mirror_text(is, "port_id"));
        break;
    case OPENSTACK_FLOWS:
        text_format(out, "tap flow from port %s%s%s to port %s", mirror_text(is, "source_port"),
                    strcmp(direction, "BOTH") == 0 ? "" : ", ",
                    strcmp(direction, "BOTH") == 0 ? ""
                    : strcmp(direction, "IN") == 0 ? "what it receives,"
                                                   : "what it sends,",
                    mirror_text(is, "to_port"));
        break;
    case OPENSTACK_MIRRORS: {
        const json_t *ids = json_object_get(is, "directions");
        const char *name;
        json_t *id;
        text_format(out, "tap mirror of port %s by %s to %s", mirror_text(is, "port_id"),
                    strcmp(mirror_text(is, "mirror_type"), "gre") == 0 ? "GRE" : "ERSPAN type II",
                    mirror_text(is, "remote_ip"));
        json_object_foreach((json_t *)(uintptr_t)ids, name, id)
            text_format(out, ", %s %" JSON_INTEGER_FORMAT, name, json_integer_value(id));
        break;
    }
    case OPENSTACK_N_LISTS:
        break;
    }
}

/* ---- commands ---- */

static void put_option(const char *option, const char *value, struct text *out)
{
    if (!value)
        return;
    text_format(out, " %s ", option);
    text_shell(out, value);
}

static void put_head(const struct mirror_job *job, const char *words, struct text *out)
{
    const struct openstack_wish *wish = job->wish;
    text_put(out, "openstack");
    if (wish) {
        put_option("--os-cloud", wish->cloud, out);
        put_option("--os-region-name", wish->region, out);
        put_option("--os-project-name", wish->project, out);
    }
    text_format(out, " %s", words);
}

static void put_security(const struct mirror_job *job, const char *port, bool unmake,
                         struct text *out)
{
    put_head(job, "port set", out);
    text_format(out,
                unmake ? " --enable-port-security %s # and its --security-group\n"
                       : " --no-security-group --disable-port-security %s\n",
                port);
}

/* Ours by the name that it has, or will have. */
static void put_service(const struct mirror_job *job, const char *port, struct text *out)
{
    const struct openstack *os = job->state;
    bool ours = false;
    const json_t *service = os ? openstack_service_at(os, port, job->name, &ours) : NULL;
    if (service && !ours)
        put_option("--tap-service", mirror_text(service, "id"), out);
    else
        text_format(out, " --tap-service cloudspan-%s-%s", job->name, port);
}

void openstack_command(const struct mirror_job *job, const struct mirror_object *object,
                       bool unmake, struct text *out)
{
    static const char *const words[OPENSTACK_N_LISTS] = {[OPENSTACK_SERVICES] = "tap service",
                                                         [OPENSTACK_FLOWS] = "tap flow",
                                                         [OPENSTACK_MIRRORS] = "tap mirror"};
    enum openstack_list list = openstack_list_of(object->kind);
    const json_t *is = object->is;
    char head[48];
    if (list == OPENSTACK_PORTS) {
        put_security(job, object->key, unmake, out);
        return;
    }
    (void)snprintf(head, sizeof head, "%s %s", words[list] ? words[list] : "",
                   unmake ? "delete" : "create");
    put_head(job, head, out);
    if (unmake) {
        text_format(out, " cloudspan-%s-%s\n", job->name, object->key);
        return;
    }
    text_format(out, " --name cloudspan-%s-%s", job->name, object->key);
    text_format(out, " --description '" OPENSTACK_MARK "%s key=%s'", job->name, object->key);
    text_format(out, " --port %s", object->key);
    if (list == OPENSTACK_FLOWS) {
        put_service(job, mirror_text(is, "to_port"), out);
        text_format(out, " --direction %s", mirror_text(is, "direction"));
    } else if (list == OPENSTACK_MIRRORS) {
        char *ids = json_dumps(json_object_get(is, "directions"), JSON_COMPACT | JSON_SORT_KEYS);
        text_format(out, " --directions '%s' --remote-ip %s --mirror-type %s", ids ? ids : "",
                    mirror_text(is, "remote_ip"), mirror_text(is, "mirror_type"));
        free(ids);
    }
    text_put(out, "\n");
}

/* ---- status ---- */

struct known {
    const struct openstack *os;
    json_t *by_port; /* of what is mirrored: its status */
};

static bool is_mirrored(const struct cloud_nic *nic, char why[200], void *with)
{
    const struct known *known = with;
    const char *status = mirror_text(known->by_port, nic->id);
    /* Of a machine that is off there is nothing to copy, and its agent waits until it runs. */
    if (strcmp(status, "ACTIVE") == 0 || (*status && openstack_is_down(known->os, nic->id)))
        return true;
    if (*status)
        (void)snprintf(why, 200, "its tap flow is %.40s", status);
    return false;
}

static json_t *statuses(const struct mirror_set *found)
{
    json_t *map = json_object();
    for (size_t i = 0; map && i < found->n; i++) {
        const struct mirror_object *object = &found->at[i];
        enum openstack_list list = openstack_list_of(object->kind);
        if (list == OPENSTACK_FLOWS)
            (void)json_object_set_new(map, mirror_text(object->is, "source_port"),
                                      json_string(mirror_text(object->also, "status")));
        else if (list == OPENSTACK_MIRRORS) /* they have none */
            (void)json_object_set_new(map, mirror_text(object->is, "port_id"),
                                      json_string("ACTIVE"));
    }
    return map;
}

int openstack_cover(struct mirror_job *job, const struct mirror_set *found,
                    struct mirror_coverage *out, struct err *err)
{
    const struct openstack *os = job->state;
    struct known known = {os, statuses(found)};
    if (!known.by_port)
        return err_set(err, -ENOMEM, "out of memory");
    int result = cloud_cover(&os->inventory, is_mirrored, &known, out, err);
    json_decref(known.by_port);
    return result;
}

/* What a port is called; its id where nothing is known of it. */
static const char *label_of(const struct openstack *os, const char *port)
{
    for (size_t i = 0; i < os->inventory.n; i++)
        if (strcmp(os->inventory.at[i].id, port) == 0)
            return cloud_nic_label(&os->inventory.at[i]);
    return port;
}

/* Neutron counts nothing; it only knows whether its agents did what they were told. */
int openstack_measure(struct mirror_job *job, const struct mirror_set *found,
                      struct mirror_measures *out, struct err *err)
{
    const struct openstack *os = job->state;
    struct mirror_measures measures = {.at = calloc(found->n + 1, sizeof *measures.at)};
    if (!measures.at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < found->n; i++) {
        const struct mirror_object *object = &found->at[i];
        const char *status = mirror_text(object->also, "status");
        enum openstack_list list = openstack_list_of(object->kind);
        if (list != OPENSTACK_SERVICES && list != OPENSTACK_FLOWS)
            continue;
        struct mirror_measure *one = &measures.at[measures.n++];
        *one = (struct mirror_measure){
            .n_seen = UINT64_MAX, .n_mirrored = UINT64_MAX, .is_judged = true};
        (void)snprintf(one->what, sizeof one->what, "%s %.48s",
                       list == OPENSTACK_SERVICES ? "service at" : "flow of",
                       list == OPENSTACK_SERVICES
                           ? mirror_text(object->is, "port_id")
                           : label_of(os, mirror_text(object->is, "source_port")));
        bool is_off = openstack_is_down(
            os, mirror_text(object->is, list == OPENSTACK_SERVICES ? "port_id" : "source_port"));
        if (strcmp(status, "ACTIVE") != 0 && (list == OPENSTACK_SERVICES || !is_off))
            (void)snprintf(one->trouble, sizeof one->trouble,
                           "it is %.40s: the agent of the port's host did not set it up (is the "
                           "machine running, and the agent's extension taas on?)",
                           *status ? status : "without a status");
    }
    *out = measures;
    return 0;
}

/* ---- sources ---- */

/* The address by which a watch that reads the port knows that the record is for it. */
static void put_collector(const struct openstack *os, char out[48])
{
    char interface[16], addresses[1][48] = {""};
    struct addr own;
    const json_t *ip = json_array_get(json_object_get(os->target, "fixed_ips"), 0);
    bool local = openstack_local(mirror_text(os->target, "mac_address"), interface);
    (void)snprintf(out, 48, "%s", ip ? mirror_text(ip, "ip_address") : "any");
    if (local && linux_addresses_of(interface, addresses, 1) > 0)
        (void)snprintf(out, 48, "%s", addresses[0]);
    else if (local && linux_own_addresses(&own, 1) > 0) /* the interface has none: any of ours */
        out[addr_format(&own, out)] = '\0';
}

/* Those that the cloud refused have no copies. "PORT/IN" is of the port. */
static void leave_out(struct cloud_inventory *inventory, const struct mirror_set *made)
{
    json_t *ports = json_object();
    for (size_t i = 0; i < made->n; i++)
        if (strcmp(made->at[i].kind, OPENSTACK_FLOW) == 0 ||
            strcmp(made->at[i].kind, OPENSTACK_MIRROR) == 0)
            (void)json_object_set_new(ports, made->at[i].key, json_true());
    for (size_t i = 0; i < inventory->n; i++) {
        struct cloud_nic *nic = &inventory->at[i];
        char port[80];
        size_t len = strcspn(nic->id, "/");
        (void)snprintf(port, sizeof port, "%.*s", len < 80 ? (int)len : 79, nic->id);
        if (nic->fate == CLOUD_WANTED && !json_object_get(ports, port))
            nic->fate = CLOUD_UNFIT;
    }
    json_decref(ports);
}

int openstack_sources(struct mirror_job *job, const struct mirror_set *wanted,
                      struct mirror_sources *out, struct err *err)
{
    static const char *const directions[] = {
        [OPENSTACK_BOTH] = "both", [OPENSTACK_IN] = "in", [OPENSTACK_OUT] = "out"};
    const struct openstack_wish *wish = job->wish;
    struct openstack *os = job->state;
    struct mirror_source like = {0};
    leave_out(&os->inventory, wanted);
    leave_out(&os->directions, wanted);
    (void)snprintf(like.network, sizeof like.network, "%s", job->network);
    (void)snprintf(like.direction, sizeof like.direction, "%s", directions[wish->direction]);
    if (os->target) {
        like.leaks_tag = true; /* the switch leaves the VLAN in that it has them in inside */
        put_collector(os, like.collector);
        return cloud_sources(&os->inventory, NULL, &like, out, err);
    }
    like.collector[addr_format(&wish->to.addr, like.collector)] = '\0';
    return cloud_sources(&os->directions, wish->to.wrap == MIRROR_GRE ? "gre" : "erspan", &like,
                         out, err);
}
