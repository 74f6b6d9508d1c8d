/* What there is of a mirror in OpenStack, found by its marks: see openstack.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/openstack.h"

static const struct {
    const char *collection, *resource, *extension, *kind;
} lists[OPENSTACK_N_LISTS] = {
    [OPENSTACK_SERVICES] = {"taas/tap_services", "tap_service", "taas", OPENSTACK_SERVICE},
    [OPENSTACK_FLOWS] = {"taas/tap_flows", "tap_flow", "taas", OPENSTACK_FLOW},
    [OPENSTACK_MIRRORS] = {"taas/tap_mirrors", "tap_mirror", "tap-mirror", OPENSTACK_MIRROR},
    [OPENSTACK_PORTS] = {"ports", "port", NULL, OPENSTACK_SECURITY},
};

const char *openstack_collection(enum openstack_list list)
{
    return lists[list].collection;
}

const char *openstack_resource(enum openstack_list list)
{
    return lists[list].resource;
}

enum openstack_list openstack_list_of(const char *kind)
{
    int list = 0;
    while (list + 1 < OPENSTACK_N_LISTS && strcmp(lists[list].kind, kind) != 0)
        list++;
    return (enum openstack_list)list;
}

/* ---- marks ---- */

/* The name of the mirror that a text says it is part of: up to a space; 0: it says none. */
static size_t mark_of(const char *text, const char *before, const char **out)
{
    size_t len = strlen(before);
    if (strncmp(text, before, len) != 0)
        return 0;
    *out = text + len;
    return strcspn(*out, " ");
}

static bool is_mark(const char *text, const char *before, const char *mirror)
{
    const char *at = "";
    size_t len = mark_of(text, before, &at);
    return len > 0 && (!mirror || (strlen(mirror) == len && memcmp(mirror, at, len) == 0));
}

bool openstack_is_ours(const json_t *object, const char *mirror)
{
    return is_mark(mirror_text(object, "description"), OPENSTACK_MARK, mirror);
}

static const char *tag_of(const json_t *port, const char *before, const char *mirror)
{
    size_t i;
    json_t *tag;
    json_array_foreach(json_object_get(port, "tags"), i, tag)
    {
        const char *text = json_string_value(tag);
        if (text && is_mark(text, before, mirror))
            return text;
    }
    return NULL;
}

const json_t *openstack_service_at(const struct openstack *os, const char *port, const char *mirror,
                                   bool *out_ours)
{
    const json_t *found = NULL;
    size_t i;
    json_t *one;
    *out_ours = false;
    json_array_foreach(os->lists[OPENSTACK_SERVICES], i, one)
    {
        if (*out_ours || strcmp(mirror_text(one, "port_id"), port) != 0 ||
            strcmp(mirror_text(one, "status"), "PENDING_DELETE") == 0)
            continue;
        *out_ours = openstack_is_ours(one, mirror);
        found = one;
    }
    return found;
}

bool openstack_has_tag(const json_t *port, const char *tag)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(port, "tags"), i, one)
    {
        const char *text = json_string_value(one);
        if (text && strcmp(text, tag) == 0)
            return true;
    }
    return false;
}

/* ---- looking ---- */

static int index_ports(struct openstack *os, struct err *err)
{
    json_t *map = json_object(), *port;
    size_t i;
    bool ok = map != NULL;
    json_array_foreach(os->lists[OPENSTACK_PORTS], i, port)
    {
        ok = ok && json_object_set(map, mirror_text(port, "id"), port) == 0;
    }
    json_decref(os->ports_by_id);
    os->ports_by_id = map;
    return ok ? 0 : err_set(err, -ENOMEM, "out of memory");
}

const json_t *openstack_port(const struct openstack *os, const char *id)
{
    return json_object_get(os->ports_by_id, id);
}

int openstack_look(struct mirror_job *job, struct err *err)
{
    struct openstack *os = job->state;
    char query[160];
    int result = 0;
    (void)snprintf(query, sizeof query, "project_id=%.100s", keystone_project(os->keystone));
    for (int i = 0; result == 0 && i < OPENSTACK_N_LISTS; i++) {
        json_t *list = NULL;
        if (!lists[i].extension || openstack_has(os, lists[i].extension))
            result = neutron_all(&os->neutron, lists[i].collection, query, &list, err);
        else
            list = json_array();
        if (result < 0)
            return result;
        json_decref(os->lists[i]);
        os->lists[i] = list;
    }
    return result < 0 ? result : index_ports(os, err);
}

json_t *openstack_directions(const json_t *mirror)
{
    static const char *const names[] = {"IN", "OUT", "BOTH"};
    json_t *out = json_object();
    const json_t *directions = json_object_get(mirror, "directions");
    for (size_t i = 0; out && i < sizeof names / sizeof *names; i++) {
        json_t *id = json_object_get(directions, names[i]);
        /* Some answers have numbers as texts. */
        if (json_is_string(id)) {
            uint64_t number;
            if (options_number(json_string_value(id), UINT32_MAX, &number))
                (void)json_object_set_new(out, names[i], json_integer((json_int_t)number));
        } else if (json_is_integer(id)) {
            (void)json_object_set(out, names[i], id);
        }
    }
    return out;
}

/* ---- finding ---- */

/* As it is written here, however somebody wrote it. */
static void put_address(const char *text, char out[ADDR_TEXT_MAX + 1])
{
    struct addr addr;
    if (addr_parse(text, &addr))
        out[addr_format(&addr, out)] = '\0';
    else
        (void)snprintf(out, ADDR_TEXT_MAX + 1, "%s", text);
}

/* The port that a flow's service gives to; "": there is no such service. */
static const char *service_port(const struct openstack *os, const char *service)
{
    size_t i;
    json_t *one;
    json_array_foreach(os->lists[OPENSTACK_SERVICES], i, one)
    {
        if (strcmp(mirror_text(one, "id"), service) == 0)
            return mirror_text(one, "port_id");
    }
    return "";
}

static json_t *is_of(const struct openstack *os, enum openstack_list list, const json_t *one)
{
    char address[ADDR_TEXT_MAX + 1];
    switch (list) {
    case OPENSTACK_SERVICES:
        return json_pack("{s:s}", "port_id", mirror_text(one, "port_id"));
    case OPENSTACK_FLOWS:
        return json_pack("{s:s, s:s, s:s, s:i}", "source_port", mirror_text(one, "source_port"),
                         "to_port", service_port(os, mirror_text(one, "tap_service_id")),
                         "direction", mirror_text(one, "direction"), "flows", 1);
    case OPENSTACK_MIRRORS:
        put_address(mirror_text(one, "remote_ip"), address);
        return json_pack("{s:s, s:s, s:s, s:o}", "port_id", mirror_text(one, "port_id"),
                         "remote_ip", address, "mirror_type", mirror_text(one, "mirror_type"),
                         "directions", openstack_directions(one));
    case OPENSTACK_PORTS:
        return json_pack("{s:b}", "port_security_enabled",
                         !json_is_false(json_object_get(one, "port_security_enabled")));
    case OPENSTACK_N_LISTS:
        break;
    }
    return NULL;
}

static const char *key_of(enum openstack_list list, const json_t *one)
{
    return mirror_text(one, list == OPENSTACK_FLOWS   ? "source_port"
                            : list == OPENSTACK_PORTS ? "id"
                                                      : "port_id");
}

static void add(const struct openstack *os, enum openstack_list list, const json_t *one,
                struct mirror_set *out)
{
    char key[MIRROR_KEY_MAX];
    (void)snprintf(key, sizeof key, "%.80s", key_of(list, one));
    /* What was made twice, as after an answer that was lost: only one is wanted. Of a port's flows
     * the agent takes away all with any, so the other one has to be made anew. */
    struct mirror_object *first = mirror_set_get(out, lists[list].kind, key);
    if (first && list == OPENSTACK_FLOWS)
        (void)json_object_set_new(first->is, "flows", json_integer(2));
    if (first)
        (void)snprintf(key, sizeof key, "%.80s#%.60s", key_of(list, one), mirror_text(one, "id"));
    struct mirror_object *object = mirror_set_add(out, lists[list].kind, key, is_of(os, list, one));
    if (object)
        object->also = json_pack("{s:s, s:s}", "id", mirror_text(one, "id"), "status",
                                 mirror_text(one, "status"));
}

int openstack_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    static const enum openstack_list order[] = {OPENSTACK_PORTS, OPENSTACK_SERVICES,
                                                OPENSTACK_FLOWS, OPENSTACK_MIRRORS};
    struct openstack *os = job->state;
    int result = openstack_look(job, err);
    for (size_t k = 0; result == 0 && k < sizeof order / sizeof *order; k++) {
        size_t i;
        json_t *one;
        json_array_foreach(os->lists[order[k]], i, one)
        {
            bool ours = order[k] == OPENSTACK_PORTS ? tag_of(one, OPENSTACK_TAG, job->name) != NULL
                                                    : openstack_is_ours(one, job->name);
            /* What is being deleted is gone as soon as the agent says so; of a port that is gone it
             * never does, and who deletes it once more is rid of it. */
            bool is_going = strcmp(mirror_text(one, "status"), "PENDING_DELETE") == 0;
            if (ours && (!is_going || (order[k] == OPENSTACK_FLOWS &&
                                       !openstack_port(os, mirror_text(one, "source_port")))))
                add(os, order[k], one, out);
        }
    }
    return result;
}

/* ---- names ---- */

struct names {
    char (*at)[MIRROR_NAME_MAX];
    size_t n, capacity;
};

static int add_name(struct names *names, const char *text, const char *before, struct err *err)
{
    const char *mark = "";
    char name[MIRROR_NAME_MAX];
    size_t len = mark_of(text, before, &mark);
    if (len >= sizeof name)
        return 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)len, mark);
    if (!mirror_name_is_good(name))
        return 0;
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i], name) == 0)
            return 0;
    if (names->n == names->capacity) {
        char(*more)[MIRROR_NAME_MAX] = realloc(names->at, (names->n + 16) * sizeof *more);
        if (!more)
            return err_set(err, -ENOMEM, "out of memory");
        names->at = more;
        names->capacity = names->n + 16;
    }
    memcpy(names->at[names->n++], name, sizeof name);
    return 0;
}

int openstack_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                    struct err *err)
{
    const struct openstack *os = job->state;
    struct names names = {0};
    int result = openstack_look(job, err);
    for (int list = 0; result == 0 && list < OPENSTACK_N_LISTS; list++) {
        size_t i;
        json_t *one;
        json_array_foreach(os->lists[list], i, one)
        {
            const char *tag = list == OPENSTACK_PORTS ? tag_of(one, OPENSTACK_TAG, NULL) : NULL;
            if (result == 0 && list != OPENSTACK_PORTS)
                result = add_name(&names, mirror_text(one, "description"), OPENSTACK_MARK, err);
            else if (result == 0 && tag)
                result = add_name(&names, tag, OPENSTACK_TAG, err);
        }
    }
    if (result < 0) {
        free(names.at);
        return result;
    }
    *out = names.at;
    *out_n = names.n;
    return 0;
}
