/* Finds, makes and unmakes what a mirror of NSX consists of. Everything is at a path that follows
 * from the mirror's name, and has the mirror's tag; what has the path and not the tag is somebody
 * else's, and left alone. See nsx.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/nsx.h"

#define SEARCH "/search/query?query="
#define TURNS  5 /* so often a thing is read again that others change at the same time */

const char *nsx_path_of(const struct mirror_object *object)
{
    return mirror_text(object->is, "path");
}

static json_t *mark(const char *name)
{
    return json_pack("[{s:s, s:s}]", "scope", NSX_TAG, "tag", name);
}

static bool has_mark(const json_t *body, const char *name)
{
    const json_t *tags = json_object_get(body, "tags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *one = json_array_get(tags, i);
        if (strcmp(mirror_text(one, "scope"), NSX_TAG) == 0 &&
            strcmp(mirror_text(one, "tag"), name) == 0)
            return true;
    }
    return false;
}

/* ---- what is there ---- */

/* Of a group with one expression, as ours are; an empty list else. */
static json_t *expression_of(const json_t *body, const char *member)
{
    const json_t *list = json_object_get(body, "expression");
    json_t *values =
        json_array_size(list) == 1 ? json_object_get(json_array_get(list, 0), member) : NULL;
    return values ? json_incref(values) : json_array();
}

static int by_text(const void *a, const void *b)
{
    const json_t *const *left = a, *const *right = b;
    const char *one = json_string_value(*left), *other = json_string_value(*right);
    return strcmp(one ? one : "", other ? other : "");
}

/* NSX keeps no order. */
static json_t *sorted(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **at = calloc(n + 1, sizeof(json_t *)), *out = json_array();
    for (size_t i = 0; at && i < n; i++)
        at[i] = json_array_get(list, i);
    if (at && n)
        qsort(at, n, sizeof(json_t *), by_text);
    for (size_t i = 0; at && i < n; i++)
        (void)json_array_append(out, at[i]);
    free(at);
    json_decref(list);
    return out;
}

static json_t *is_of(const char *kind, const char *key, const char *path, const json_t *body)
{
    if (strcmp(kind, "profile") == 0) {
        const char *wrap = mirror_text(body, "encapsulation_type");
        const json_t *id =
            json_object_get(body, strcmp(wrap, "GRE") == 0 ? "gre_key" : "erspan_id");
        return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "path", path, "to",
                         mirror_text(body, "destination_group"), "encapsulation", wrap, "direction",
                         mirror_text(body, "direction"), "id", json_integer_value(id), "snap",
                         json_integer_value(json_object_get(body, "snap_length")));
    }
    if (strcmp(kind, "binding") == 0)
        return json_pack("{s:s, s:s}", "path", path, "profile",
                         mirror_text(body, "port_mirroring_profile_path"));
    if (strcmp(key, "to") == 0)
        return json_pack("{s:s, s:o}", "path", path, "addresses",
                         expression_of(body, "ip_addresses"));
    return json_pack("{s:s, s:o}", "path", path, "machines",
                     sorted(expression_of(body, "external_ids")));
}

/* Adds it, where it is there and ours. */
static int look(struct mirror_job *job, const char *kind, const char *key, const char *path,
                struct mirror_set *out, struct err *err)
{
    const struct nsx *nsx = job->state;
    struct cloud_reply reply = {0};
    struct err why;
    if (mirror_set_get(out, kind, key))
        return 0;
    int result = cloud_rest_want(nsx_rest(nsx->api), "GET", path, NULL, &reply, &why);
    if (result == 0 && has_mark(reply.body, job->name)) {
        struct mirror_object *object =
            mirror_set_add(out, kind, key, is_of(kind, key, path, reply.body));
        if (object)
            object->also = json_pack("{s:I}", "_revision",
                                     json_integer_value(json_object_get(reply.body, "_revision")));
    } else if (result < 0 && result != -ENOENT) {
        *err = why;
    }
    cloud_reply_done(&reply);
    return result == -ENOENT ? 0 : result;
}

/* Of the tag, wherever it is: NSX's index knows of a change after some seconds. `name`: NULL is
 * any. */
static int search(struct mirror_job *job, const char *type, const char *name, json_t **out,
                  struct err *err)
{
    struct nsx *nsx = job->state;
    struct text query, path;
    text_init(&query, 1024);
    text_init(&path, 4096);
    text_format(&query, "resource_type:%s AND tags.scope:\"" NSX_TAG "\"", type);
    if (name)
        text_format(&query, " AND tags.tag:\"%s\"", name);
    text_put(&path, SEARCH);
    if (query.at)
        cloud_put_escaped(&path, query.at, "");
    int result = query.failed || path.failed ? err_set(err, -ENOMEM, "out of memory")
                                             : nsx_list(nsx->api, path.at, out, err);
    text_done(&query);
    text_done(&path);
    return result;
}

/* On a group that --group named, which a later call may not do. */
static int find_binding(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    const struct nsx_wish *wish = job->wish;
    char group[NSX_PATH_MAX], path[2 * NSX_PATH_MAX];
    json_t *list = NULL;
    int result = nsx_group_path(wish, job->name, group, err);
    if (result < 0)
        return result;
    (void)snprintf(path, sizeof path, "%s/group-monitoring-profile-binding-maps/cloudspan-%s",
                   group, job->name);
    result = look(job, "binding", job->name, path, out, err);
    const struct mirror_object *known = mirror_set_get(&job->recorded, "binding", job->name);
    if (result == 0 && known)
        result = look(job, "binding", job->name, nsx_path_of(known), out, err);
    if (result < 0 || mirror_set_get(out, "binding", job->name))
        return result;
    result = search(job, "GroupMonitoringProfileBindingMap", job->name, &list, err);
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        const char *where = mirror_text(json_array_get(list, i), "path");
        if (where[0] == '/')
            result = look(job, "binding", job->name, where, out, err);
    }
    json_decref(list);
    return result;
}

int nsx_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    const struct nsx_wish *wish = job->wish;
    const struct mirror_object *known = mirror_set_get(&job->recorded, "group", "to");
    const char *domain = wish && wish->domain ? wish->domain : "default";
    char to[NSX_PATH_MAX], from[NSX_PATH_MAX], profile[NSX_PATH_MAX];
    size_t len = 0;
    (void)snprintf(to, sizeof to, "/infra/domains/%s/groups/cloudspan-%s-to", domain, job->name);
    if (known && !(wish && wish->domain)) /* in whichever domain it was made */
        (void)snprintf(to, sizeof to, "%s", nsx_path_of(known));
    len = strlen(to);
    (void)snprintf(from, sizeof from, "%.*s", len > 3 ? (int)len - 3 : 0, to);
    (void)snprintf(profile, sizeof profile, "/infra/port-mirroring-profiles/cloudspan-%s",
                   job->name);
    int result = look(job, "group", "to", to, out, err);
    if (result == 0)
        result = look(job, "profile", job->name, profile, out, err);
    if (result == 0)
        result = look(job, "group", "from", from, out, err);
    return result < 0 ? result : find_binding(job, out, err);
}

int nsx_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n, struct err *err)
{
    json_t *list = NULL;
    int result = search(job, "PortMirroringProfile", NULL, &list, err);
    if (result < 0)
        return result;
    size_t n = json_array_size(list);
    *out_n = 0;
    *out = calloc(n + 1, sizeof **out);
    for (size_t i = 0; *out && i < n; i++) {
        const json_t *tags = json_object_get(json_array_get(list, i), "tags");
        for (size_t k = 0; k < json_array_size(tags); k++) {
            const json_t *one = json_array_get(tags, k);
            const char *tag = mirror_text(one, "tag");
            if (strcmp(mirror_text(one, "scope"), NSX_TAG) == 0 && mirror_name_is_good(tag)) {
                (void)snprintf((*out)[(*out_n)++], MIRROR_NAME_MAX, "%s", tag);
                break;
            }
        }
    }
    json_decref(list);
    return *out ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* ---- making it ---- */

json_t *nsx_body(const struct mirror_job *job, const struct mirror_object *want)
{
    const json_t *is = want->is;
    json_t *body;
    if (strcmp(want->kind, "profile") == 0) {
        const char *wrap = mirror_text(is, "encapsulation");
        json_t *id = json_object_get(is, "id");
        json_int_t snap = json_integer_value(json_object_get(is, "snap"));
        body = json_pack("{s:s, s:s, s:s, s:s}", "profile_type", "REMOTE_L3_SPAN",
                         "encapsulation_type", wrap, "direction", mirror_text(is, "direction"),
                         "destination_group", mirror_text(is, "to"));
        (void)json_object_set(body, strcmp(wrap, "GRE") == 0 ? "gre_key" : "erspan_id", id);
        if (snap)
            (void)json_object_set_new(body, "snap_length", json_integer(snap));
    } else if (strcmp(want->kind, "binding") == 0) {
        body = json_pack("{s:s}", "port_mirroring_profile_path", mirror_text(is, "profile"));
    } else if (strcmp(want->key, "to") == 0) {
        body = json_pack("{s:[{s:s, s:O}]}", "expression", "resource_type", "IPAddressExpression",
                         "ip_addresses", json_object_get(is, "addresses"));
    } else {
        body = json_pack("{s:[{s:s, s:s, s:O}]}", "expression", "resource_type",
                         "ExternalIDExpression", "member_type", "VirtualMachine", "external_ids",
                         json_object_get(is, "machines"));
    }
    char name[MIRROR_NAME_MAX + 16];
    (void)snprintf(name, sizeof name, "cloudspan-%s%s", job->name,
                   strcmp(want->kind, "group") == 0 && strcmp(want->key, "to") == 0 ? "-to" : "");
    if (json_object_set_new(body, "display_name", json_string(name)) < 0 ||
        json_object_set_new(body, "tags", mark(job->name)) < 0) {
        json_decref(body);
        return NULL;
    }
    return body;
}

static int put(struct mirror_job *job, const struct mirror_object *want, const json_t *revision,
               struct err *err)
{
    const struct nsx *nsx = job->state;
    struct cloud_reply reply = {0};
    json_t *body = nsx_body(job, want);
    if (body && revision)
        (void)json_object_set(body, "_revision", (json_t *)(uintptr_t)revision);
    int result =
        body ? cloud_rest_want(nsx_rest(nsx->api), "PUT", nsx_path_of(want), body, &reply, err)
             : err_set(err, -ENOMEM, "out of memory");
    if (result < 0 && reply.status == 412)
        result = -ESTALE; /* somebody has changed it since it was read */
    json_decref(body);
    cloud_reply_done(&reply);
    return result;
}

/* Something of that path may be there, without our mark: a PUT without its revision is refused by
 * NSX, but not by all its versions. */
static int read_and_put(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    const struct nsx *nsx = job->state;
    struct cloud_reply reply = {0};
    int result = cloud_rest_call(nsx_rest(nsx->api), "GET", nsx_path_of(want), NULL, &reply, err);
    bool there = result == 0 && reply.status == 200;
    bool ours = there && has_mark(reply.body, job->name);
    json_t *revision = ours ? json_incref(json_object_get(reply.body, "_revision")) : NULL;
    cloud_reply_done(&reply);
    if (result == 0 && there && !ours)
        result = err_set(err, -EEXIST,
                         "%s is somebody else's: it lacks the tag " NSX_TAG "; call this mirror "
                         "otherwise (--name)",
                         nsx_path_of(want));
    if (result == 0)
        result = put(job, want, revision, err);
    json_decref(revision);
    return result;
}

int nsx_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    int result = -ESTALE;
    for (int i = 0; i < TURNS && result == -ESTALE; i++)
        result = read_and_put(job, want, err);
    return result;
}

int nsx_change(struct mirror_job *job, const struct mirror_object *have,
               const struct mirror_object *want, struct err *err)
{
    (void)have;
    return nsx_make(job, want, err); /* with the revision that it has by now */
}

/* What is still used by somebody is refused by NSX for some seconds after it was let go. */
int nsx_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    const struct nsx *nsx = job->state;
    for (uint32_t ms = 500;; ms *= 2) {
        struct cloud_reply reply = {0};
        int result =
            cloud_rest_want(nsx_rest(nsx->api), "DELETE", nsx_path_of(have), NULL, &reply, err);
        bool in_use = result == -EINVAL || result == -EBUSY || result == -EEXIST;
        cloud_reply_done(&reply);
        if (result == -ENOENT)
            return 0;
        if (result == 0 || !in_use || ms > 8000 || !cloud_http_wait(nsx->http, ms))
            return result;
    }
}
