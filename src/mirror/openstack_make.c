/* Making and unmaking what a mirror in OpenStack consists of: see openstack.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/openstack.h"

#define CONFLICTS_MAX 64    /* ids that are tried */
#define GONE_MS       60000 /* until the agent says that what was deleted is gone */
#define ACTIVE_MS     90000
#define LOOK_MS       1000
/* For all that is deleted before it was ACTIVE: see wait_begun(). */
#define BEGUN_MS 20000

static const char *id_of(const struct mirror_object *object)
{
    return mirror_text(object->also, "id");
}

/* "cloudspan-NAME-PORT": no two of ours are called the same. */
static json_t *name_of(const struct mirror_job *job, const char *port)
{
    return json_sprintf("cloudspan-%s-%s", job->name, port);
}

static json_t *mark_of(const struct mirror_job *job, const char *port)
{
    return json_sprintf(OPENSTACK_MARK "%s key=%s", job->name, port);
}

/* ---- waiting ---- */

/* Until none of the list that `fits` is there. */
static int wait_gone(struct openstack *os, enum openstack_list list, const char *query,
                     bool (*fits)(const struct openstack *os, const json_t *one), const char *what,
                     struct err *err)
{
    for (uint32_t ms = 0;; ms += LOOK_MS) {
        json_t *all = NULL, *one;
        size_t i, n = 0;
        int result = neutron_all(&os->neutron, openstack_collection(list), query, &all, err);
        if (result < 0)
            return result;
        json_array_foreach(all, i, one) n += fits(os, one);
        json_decref(all);
        if (n == 0)
            return 0;
        if (ms >= GONE_MS)
            return err_set(err, -EBUSY,
                           "%s: still being deleted after %d s: does the agent with the extension "
                           "taas run on the port's host (openstack network agent list)? What is "
                           "deleted once more by hand (openstack tap flow delete) goes at once",
                           what, GONE_MS / 1000);
        if (!cloud_http_wait(os->http, LOOK_MS))
            return err_set(err, -ECANCELED, "interrupted");
    }
}

static bool is_pending(const json_t *one)
{
    return strcmp(mirror_text(one, "status"), "PENDING_DELETE") == 0;
}

static bool is_going(const struct openstack *os, const json_t *one)
{
    (void)os;
    return is_pending(one);
}

/* Nobody confirms that the flow of a port that is gone is gone: its agent does not know it. */
static bool is_going_flow(const struct openstack *os, const json_t *one)
{
    return is_pending(one) && openstack_port(os, mirror_text(one, "source_port")) != NULL;
}

static bool is_any(const struct openstack *os, const json_t *one)
{
    (void)os;
    (void)one;
    return true;
}

/* ---- port security ---- */

static int put_tag(struct openstack *os, const char *port, const char *tag, bool there,
                   struct err *err)
{
    struct cloud_reply reply = {0};
    struct text path;
    text_init(&path, 1024);
    text_format(&path, "/ports/%.80s/tags/", port);
    cloud_put_escaped(&path, tag, "");
    int result = path.failed ? err_set(err, -ENOMEM, "out of memory")
                             : cloud_rest_want(&os->neutron.rest, there ? "PUT" : "DELETE", path.at,
                                               NULL, &reply, err);
    text_done(&path);
    cloud_reply_done(&reply);
    return result == -ENOENT && !there ? 0 : result;
}

static void put_own_tag(const struct mirror_job *job, char out[64])
{
    (void)snprintf(out, 64, OPENSTACK_TAG "%s", job->name);
}

/* First the tags, from which everything can be undone, and of these the one by which the others are
 * found; then the change. */
static int open_port(struct mirror_job *job, const char *id, struct err *err)
{
    struct openstack *os = job->state;
    json_t *port = NULL, *group;
    size_t i;
    char tag[64];
    put_own_tag(job, tag);
    int result = neutron_get(&os->neutron, "ports", "port", id, &port, err);
    if (result == 0)
        result = put_tag(os, id, tag, true, err);
    json_array_foreach(json_object_get(port, "security_groups"), i, group)
    {
        char text[80];
        (void)snprintf(text, sizeof text, OPENSTACK_TAG_GROUP "%.40s",
                       json_is_string(group) ? json_string_value(group) : "");
        if (result == 0)
            result = put_tag(os, id, text, true, err);
    }
    if (result == 0)
        result =
            neutron_put(&os->neutron, "ports", "port", id,
                        json_pack("{s:b, s:[]}", "port_security_enabled", 0, "security_groups"),
                        NULL, NULL, err);
    json_decref(port);
    return result;
}

static int close_port(struct mirror_job *job, const char *id, struct err *err)
{
    struct openstack *os = job->state;
    json_t *port = NULL, *groups = json_array(), *tag;
    size_t i, len = strlen(OPENSTACK_TAG_GROUP);
    char own[64];
    put_own_tag(job, own);
    int result = neutron_get(&os->neutron, "ports", "port", id, &port, err);
    bool is_ours = openstack_has_tag(port, own);
    json_array_foreach(json_object_get(port, "tags"), i, tag)
    {
        const char *text = json_is_string(tag) ? json_string_value(tag) : "";
        if (strncmp(text, OPENSTACK_TAG_GROUP, len) == 0)
            (void)json_array_append_new(groups, json_string(text + len));
    }
    if (result == 0 && is_ours) {
        /* Somebody who switched it on again meanwhile chose groups, too. */
        if (json_is_false(json_object_get(port, "port_security_enabled")))
            result = neutron_put(
                &os->neutron, "ports", "port", id,
                json_pack("{s:b, s:O}", "port_security_enabled", 1, "security_groups", groups),
                NULL, NULL, err);
        json_array_foreach(json_object_get(port, "tags"), i, tag)
        {
            const char *text = json_is_string(tag) ? json_string_value(tag) : "";
            if (result == 0 && strncmp(text, OPENSTACK_TAG_GROUP, len) == 0)
                result = put_tag(os, id, text, false, err);
        }
        if (result == 0) /* the last: by it the others are found */
            result = put_tag(os, id, own, false, err);
    }
    json_decref(port);
    json_decref(groups);
    return result == -ENOENT ? 0 : result;
}

/* ---- making ---- */

/* The service at a port: ours before others'; asked once. */
static int find_service(struct mirror_job *job, const char *port, struct err *err)
{
    struct openstack *os = job->state;
    json_t *list = NULL, *one;
    size_t i;
    char query[160];
    bool ours = false;
    if (os->service[0] && strcmp(os->service_port, port) == 0)
        return 0;
    (void)snprintf(query, sizeof query, "port_id=%.80s", port);
    os->service[0] = '\0';
    int result =
        neutron_all(&os->neutron, openstack_collection(OPENSTACK_SERVICES), query, &list, err);
    json_array_foreach(list, i, one)
    {
        if (ours || is_pending(one) || strcmp(mirror_text(one, "port_id"), port) != 0)
            continue;
        ours = openstack_is_ours(one, job->name);
        (void)snprintf(os->service, sizeof os->service, "%s", mirror_text(one, "id"));
    }
    json_decref(list);
    (void)snprintf(os->service_port, sizeof os->service_port, "%s", port);
    if (result == 0 && !os->service[0])
        result = err_set(err, -ENOENT, "the port %s has no tap service any more", port);
    return result;
}

/* Whether a flow of the port may still be on its way out. */
static bool has_pending(const struct openstack *os, const char *port)
{
    size_t i;
    json_t *one;
    json_array_foreach(os->lists[OPENSTACK_FLOWS], i, one)
    {
        if (is_pending(one) && strcmp(mirror_text(one, "source_port"), port) == 0)
            return true;
    }
    return os->is_deleting;
}

static int make_service(struct mirror_job *job, const char *port, struct err *err)
{
    struct openstack *os = job->state;
    char query[160];
    (void)snprintf(query, sizeof query, "port_id=%.80s", port);
    int result = wait_gone(os, OPENSTACK_SERVICES, query, is_going,
                           "the tap service that was "
                           "at the port",
                           err);
    if (result < 0)
        return result;
    return neutron_put(&os->neutron, openstack_collection(OPENSTACK_SERVICES), "tap_service", NULL,
                       json_pack("{s:o, s:o, s:s}", "name", name_of(job, port), "description",
                                 mark_of(job, port), "port_id", port),
                       NULL, NULL, err);
}

static int make_flow(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct openstack *os = job->state;
    const char *port = mirror_text(want->is, "source_port");
    char query[160];
    int result = 0;
    (void)snprintf(query, sizeof query, "source_port=%.80s", port);
    /* The agent takes away by port what it was told to delete, and would take the new one, too. */
    if (has_pending(os, port))
        result = wait_gone(os, OPENSTACK_FLOWS, query, is_going_flow,
                           "the tap flow that the port had", err);
    if (result == 0)
        result = find_service(job, mirror_text(want->is, "to_port"), err);
    if (result < 0)
        return result;
    return neutron_put(&os->neutron, openstack_collection(OPENSTACK_FLOWS), "tap_flow", NULL,
                       json_pack("{s:o, s:o, s:s, s:s, s:s}", "name", name_of(job, port),
                                 "description", mark_of(job, port), "source_port", port,
                                 "tap_service_id", os->service, "direction",
                                 mirror_text(want->is, "direction")),
                       NULL, NULL, err);
}

/* Whether the message names this number: "tunnel_id 101 already exists". */
static bool says_number(const char *message, uint32_t number)
{
    for (const char *at = message; *at;) {
        size_t len = strspn(at, "0123456789");
        char text[16];
        uint64_t said;
        (void)snprintf(text, sizeof text, "%.*s", len < 15 ? (int)len : 15, at);
        if (len && options_number(text, UINT32_MAX, &said) && said == number)
            return true;
        at += len ? len : 1;
    }
    return false;
}

/* Ids that are free as far as is known here, for those that the cloud would not give: other
 * projects' are not visible. */
static void next_ids(const struct openstack *os, const char *message, uint32_t max,
                     json_t *directions, uint32_t *next)
{
    const char *name;
    json_t *id;
    void *tmp;
    bool is_said = false;
    json_object_foreach(directions, name, id)
    {
        is_said |= says_number(message, (uint32_t)json_integer_value(id));
    }
    json_object_foreach_safe(directions, tmp, name, id)
    {
        uint32_t number = *next ? *next : (uint32_t)json_integer_value(id);
        if (is_said && !says_number(message, (uint32_t)json_integer_value(id)))
            continue;
        for (bool is_taken = true; is_taken;) {
            number = number >= max ? 1 : number + 1;
            is_taken = false;
            for (size_t i = 0; i < os->directions.n && !is_taken; i++)
                is_taken = os->directions.at[i].has_id && os->directions.at[i].id_number == number;
        }
        *next = number;
        (void)json_object_set_new(directions, name, json_integer((json_int_t)number));
    }
}

/* What was really given, for the sources that the collector gets to know. */
static void note_ids(struct openstack *os, const char *port, const json_t *directions)
{
    size_t len = strlen(port);
    for (size_t i = 0; i < os->directions.n; i++) {
        struct cloud_nic *one = &os->directions.at[i];
        const json_t *id = strncmp(one->id, port, len) == 0 && one->id[len] == '/'
                               ? json_object_get(directions, one->id + len + 1)
                               : NULL;
        if (id)
            one->id_number = (uint32_t)json_integer_value(id);
    }
}

static int make_mirror(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct openstack *os = job->state;
    const char *port = mirror_text(want->is, "port_id");
    bool erspan = strcmp(mirror_text(want->is, "mirror_type"), "gre") != 0;
    uint32_t max = mirror_wrap_max_id(erspan ? MIRROR_ERSPAN2 : MIRROR_GRE), next = 0;
    json_t *directions = json_deep_copy(json_object_get(want->is, "directions"));
    int result = -EEXIST;
    for (int i = 0; result == -EEXIST && i < CONFLICTS_MAX; i++) {
        struct cloud_refusal refusal = {0};
        result =
            neutron_put(&os->neutron, openstack_collection(OPENSTACK_MIRRORS), "tap_mirror", NULL,
                        json_pack("{s:o, s:o, s:s, s:s, s:s, s:O}", "name", name_of(job, port),
                                  "description", mark_of(job, port), "port_id", port, "remote_ip",
                                  mirror_text(want->is, "remote_ip"), "mirror_type",
                                  mirror_text(want->is, "mirror_type"), "directions", directions),
                        NULL, &refusal, err);
        if (result != -EEXIST || strcmp(refusal.code, "TapMirrorTunnelConflict") != 0)
            break;
        next_ids(os, refusal.message, max, directions, &next);
    }
    if (result == 0)
        note_ids(os, port, directions);
    json_decref(directions);
    return result;
}

int openstack_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct openstack *os = job->state;
    int result = -EINVAL;
    switch (openstack_list_of(want->kind)) {
    case OPENSTACK_PORTS:
        result = open_port(job, want->key, err);
        break;
    case OPENSTACK_SERVICES:
        result = make_service(job, want->key, err);
        break;
    case OPENSTACK_FLOWS:
        result = make_flow(job, want, err);
        break;
    case OPENSTACK_MIRRORS:
        result = make_mirror(job, want, err);
        break;
    case OPENSTACK_N_LISTS:
        break;
    }
    os->is_changed |= result == 0;
    return result;
}

/* ---- unmaking ---- */

/* Flows of a service that are not this mirror's go with it: it has to stay for them. */
static int check_alone(struct mirror_job *job, const char *service, struct err *err)
{
    struct openstack *os = job->state;
    json_t *list = NULL, *one;
    size_t i, n = 0;
    char query[160];
    (void)snprintf(query, sizeof query, "tap_service_id=%.80s", service);
    int result =
        neutron_all(&os->neutron, openstack_collection(OPENSTACK_FLOWS), query, &list, err);
    json_array_foreach(list, i, one)
    {
        n += !openstack_is_ours(one, job->name) &&
             strcmp(mirror_text(one, "tap_service_id"), service) == 0;
    }
    json_decref(list);
    if (result == 0 && n > 0)
        result = err_set(err, -EBUSY,
                         "the tap service %s has %zu flows that are not this mirror's, and would "
                         "take them with it: remove those first",
                         service, n);
    return result;
}

/* What is deleted before its agent has set it up is gone from Neutron at once, and no agent is
 * told: one that is just about to do it leaves a mirror in its switch that nobody knows of. */
static int wait_begun(struct openstack *os, enum openstack_list list, const char *id,
                      struct err *err)
{
    char query[160];
    (void)snprintf(query, sizeof query, "id=%.80s", id);
    for (;;) {
        json_t *all = NULL;
        int result = neutron_all(&os->neutron, openstack_collection(list), query, &all, err);
        if (result < 0)
            return result;
        const json_t *one = json_array_get(all, 0);
        const char *port = mirror_text(one, list == OPENSTACK_FLOWS ? "source_port" : "port_id");
        bool waits = strcmp(mirror_text(one, "status"), "DOWN") == 0 && openstack_port(os, port) &&
                     !openstack_is_down(os, port);
        json_decref(all);
        if (!waits || os->begun_ms >= BEGUN_MS)
            return 0;
        os->begun_ms += LOOK_MS;
        if (!cloud_http_wait(os->http, LOOK_MS))
            return err_set(err, -ECANCELED, "interrupted");
    }
}

/* After its flows: the agent needs the service to know which they were. */
static int unmake_service(struct mirror_job *job, const char *id, struct err *err)
{
    struct openstack *os = job->state;
    char query[160];
    os->service[0] = '\0';
    int result = check_alone(job, id, err);
    (void)snprintf(query, sizeof query, "tap_service_id=%.80s", id);
    if (result == 0)
        result = wait_gone(os, OPENSTACK_FLOWS, query, is_going_flow, "tap flows", err);
    if (result == 0)
        result = neutron_delete(&os->neutron, openstack_collection(OPENSTACK_SERVICES), id, err);
    (void)snprintf(query, sizeof query, "id=%.80s", id);
    if (result == 0)
        result = wait_gone(os, OPENSTACK_SERVICES, query, is_any, "the tap service", err);
    return result;
}

/* Of what was made in this run, only the key is known: by it and the mark. */
static int find_id(struct mirror_job *job, const struct mirror_object *have, char out[64],
                   struct err *err)
{
    struct openstack *os = job->state;
    enum openstack_list list = openstack_list_of(have->kind);
    const char *name = list == OPENSTACK_FLOWS ? "source_port" : "port_id";
    json_t *all = NULL, *one;
    size_t i;
    char query[160];
    (void)snprintf(out, 64, "%s", id_of(have));
    if (out[0])
        return 0;
    (void)snprintf(query, sizeof query, "%s=%.80s", name, have->key);
    int result = neutron_all(&os->neutron, openstack_collection(list), query, &all, err);
    json_array_foreach(all, i, one)
    {
        if (!out[0] && openstack_is_ours(one, job->name) && !is_pending(one) &&
            strcmp(mirror_text(one, name), have->key) == 0)
            (void)snprintf(out, 64, "%s", mirror_text(one, "id"));
    }
    json_decref(all);
    return result;
}

int openstack_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    struct openstack *os = job->state;
    enum openstack_list list = openstack_list_of(have->kind);
    char id[64];
    if (list == OPENSTACK_PORTS)
        return close_port(job, have->key, err);
    int result = find_id(job, have, id, err);
    if (result < 0 || !id[0])
        return result;
    if (list == OPENSTACK_SERVICES || list == OPENSTACK_FLOWS)
        result = wait_begun(os, list, id, err);
    if (result < 0)
        return result;
    if (list == OPENSTACK_SERVICES)
        return unmake_service(job, id, err);
    os->is_deleting |= list == OPENSTACK_FLOWS;
    return neutron_delete(&os->neutron, openstack_collection(list), id, err);
}

void openstack_settle(struct mirror_job *job)
{
    struct openstack *os = job->state;
    char query[160];
    struct err none;
    if (!os->is_deleting)
        return;
    (void)snprintf(query, sizeof query, "project_id=%.100s", keystone_project(os->keystone));
    if (wait_gone(os, OPENSTACK_FLOWS, query, is_going_flow, "tap flows", &none) < 0)
        return; /* they were told; the next apply waits for those of its ports */
}

/* ---- proving ---- */

/* Those of ours that are not ACTIVE; the first one's name in `first`. Ports that are down have
 * agents that do nothing for them yet. */
static size_t count_waiting(const struct mirror_job *job, size_t *out_n, char first[160])
{
    static const enum openstack_list with_status[] = {OPENSTACK_SERVICES, OPENSTACK_FLOWS};
    const struct openstack *os = job->state;
    size_t n = 0;
    *out_n = 0;
    for (size_t k = 0; k < 2; k++) {
        size_t i;
        json_t *one;
        json_array_foreach(os->lists[with_status[k]], i, one)
        {
            const char *status = mirror_text(one, "status");
            const char *port = mirror_text(one, k == 0 ? "port_id" : "source_port");
            if (!openstack_is_ours(one, job->name) || is_pending(one))
                continue;
            *out_n += k;
            if (strcmp(status, "ACTIVE") == 0 || openstack_is_down(os, port))
                continue;
            if (n++ == 0)
                (void)snprintf(first, 160, "the %s of port %s is %s",
                               k == 0 ? "tap service" : "tap flow", port,
                               *status ? status : "without a status");
        }
    }
    return n;
}

int openstack_prove(struct mirror_job *job, struct text *said, struct err *err)
{
    struct openstack *os = job->state;
    char first[160] = "";
    size_t n_flows = 0, n_waiting = 0;
    if (!os->is_changed)
        return 0;
    for (uint32_t ms = 0;; ms += LOOK_MS) {
        int result = openstack_look(job, err);
        if (result < 0)
            return result;
        n_waiting = count_waiting(job, &n_flows, first);
        if (n_waiting == 0 || ms >= ACTIVE_MS)
            break;
        if (!cloud_http_wait(os->http, LOOK_MS))
            return err_set(err, -ECANCELED, "interrupted");
    }
    if (n_waiting > 0)
        return err_set(err, -ETIMEDOUT,
                       "after %d s %zu of it are not ACTIVE: %s: does the agent of the port's host "
                       "run with the extension taas (openstack network agent list)?",
                       ACTIVE_MS / 1000, n_waiting, first);
    if (n_flows)
        text_format(said,
                    n_flows == 1 ? "%zu tap flow is in place\n" : "%zu tap flows are in place\n",
                    n_flows);
    else if (json_array_size(os->lists[OPENSTACK_MIRRORS]))
        text_put(said, "Neutron has the tap mirrors; it tells nothing of whether they send\n");
    return 0;
}
