/* Calls of Networking API v2.0: see neutron.h. */
#include "cloud/neutron.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE          500
#define PAGES         400
#define PATH_MAX_SIZE 2048

int neutron_init(struct neutron *neutron, const struct cloud_rest *rest, struct err *err)
{
    static const char version[] = "/v2.0";
    size_t len = strlen(rest->base), n = sizeof version - 1;
    neutron->rest = *rest;
    if (len >= n && strcmp(rest->base + len - n, version) == 0)
        return 0;
    if (len + n >= sizeof neutron->rest.base)
        return err_set(err, -E2BIG, "%s: its address is too long", rest->name);
    (void)snprintf(neutron->rest.base + len, sizeof neutron->rest.base - len, "%s", version);
    return 0;
}

/* ---- refusals ---- */

/* What the user can do about it; "": nothing that is known here. */
static const char *advice(const struct cloud_refusal *refusal)
{
    static const struct {
        const char *code, *text;
    } known[] = {
        {"OverQuota", "; whoever runs the cloud can raise the project's quota (quota_tap_service "
                      "and quota_tap_flow in neutron.conf; the defaults are 1 and 10)"},
        {"PortDoesNotBelongToTenant", "; TaaS wants the port in the project that asks: take "
                                      "credentials of the port's project"},
        {"TapServiceNotBelongToTenant",
         "; the tap service and its flows have to be of one project"},
        {"PolicyNotAuthorized", "; the cloud's policy does not let this user do it: ask whoever "
                                "runs it for the role that may use tap-as-a-service"},
        {"TapServiceLimitReached", "; the project has all the tap services it may have"},
        {"TaasVlanIdRangeExhausted", "; all VLAN ids that the cloud has for tap services are used"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(refusal->code, known[i].code) == 0)
            return known[i].text;
    return "";
}

static int call(struct cloud_rest *rest, const char *method, const char *path, const json_t *body,
                struct cloud_reply *out, struct err *err)
{
    int result = cloud_rest_want(rest, method, path, body, out, err);
    const char *more = result < 0 ? advice(&out->refusal) : "";
    size_t len = err ? strlen(err->text) : 0;
    if (*more && err)
        (void)snprintf(err->text + len, sizeof err->text - len, "%s", more);
    return result;
}

/* ---- lists ---- */

/* Where "next" leads, as a path here: a proxy in front may have other names than the server
 * believes. NULL: there is no more. */
static const char *next_query(const json_t *body, const char *name)
{
    char links[80];
    size_t i;
    json_t *link;
    (void)snprintf(links, sizeof links, "%s_links", name);
    json_array_foreach(json_object_get(body, links), i, link)
    {
        const char *rel = json_string_value(json_object_get(link, "rel"));
        const char *href = json_string_value(json_object_get(link, "href"));
        if (rel && href && strcmp(rel, "next") == 0)
            return strchr(href, '?');
    }
    return NULL;
}

static const char *last_id(const json_t *list)
{
    size_t n = json_array_size(list);
    return n ? json_string_value(json_object_get(json_array_get(list, n - 1), "id")) : NULL;
}

/* Adds what is not there yet (`seen` has the ids): a server that knows no markers gives the same
 * again. Gives how many were new; negative: too many. */
static int add_page(json_t *all, json_t *seen, const json_t *page)
{
    size_t i;
    json_t *one;
    int n = 0;
    json_array_foreach((json_t *)(uintptr_t)page, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        if (!id || json_object_get(seen, id))
            continue;
        if (json_array_size(all) >= NEUTRON_LIST_MAX ||
            json_object_set_new(seen, id, json_true()) < 0 || json_array_append(all, one) < 0)
            return -1;
        n++;
    }
    return n;
}

/* `path` holds the first page's; `name` is what the list is called in the answer. */
static int all_pages(struct cloud_rest *rest, const char *base, char path[PATH_MAX_SIZE],
                     const char *name, json_t **out, struct err *err)
{
    json_t *all = json_array(), *seen = json_object();
    int result = all && seen ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (int page = 0; result == 0; page++) {
        struct cloud_reply reply = {0};
        result = call(rest, "GET", path, NULL, &reply, err);
        const json_t *list = json_object_get(reply.body, name);
        if (result == 0 && !json_is_array(list))
            result = err_set(err, -EPROTO, "%s: GET %.100s: the answer has no list %s", rest->name,
                             base, name);
        int n = result == 0 ? add_page(all, seen, list) : 0;
        const char *next = result == 0 ? next_query(reply.body, name) : NULL;
        if (n < 0 || page == PAGES)
            result =
                err_set(err, -E2BIG, "%s: more than %d %s", rest->name, NEUTRON_LIST_MAX, name);
        bool ended = result < 0 || n == 0 || !next || !last_id(list);
        if (!ended)
            ended = snprintf(path, PATH_MAX_SIZE, "%s%s", base, next) >= PATH_MAX_SIZE;
        cloud_reply_done(&reply);
        if (ended)
            break;
    }
    json_decref(seen);
    if (result < 0) {
        json_decref(all);
        return result;
    }
    *out = all;
    return 0;
}

int neutron_all(struct neutron *neutron, const char *collection, const char *query, json_t **out,
                struct err *err)
{
    const char *slash = strrchr(collection, '/');
    char path[PATH_MAX_SIZE], base[96];
    (void)snprintf(base, sizeof base, "/%s", collection);
    (void)snprintf(path, sizeof path, "%s?%s%slimit=%d", base, query ? query : "", query ? "&" : "",
                   PAGE);
    return all_pages(&neutron->rest, base, path, slash ? slash + 1 : collection, out, err);
}

int neutron_servers(struct cloud_rest *nova, json_t **out, struct err *err)
{
    char path[PATH_MAX_SIZE];
    (void)snprintf(path, sizeof path, "/servers/detail?limit=%d", PAGE);
    return all_pages(nova, "/servers/detail", path, "servers", out, err);
}

/* ---- one ---- */

static int take_resource(const char *resource, struct cloud_reply *reply, json_t **out,
                         const char *what, struct err *err)
{
    json_t *object = json_object_get(reply->body, resource);
    if (!json_is_object(object))
        return err_set(err, -EPROTO, "Neutron: %s: the answer has no %s", what, resource);
    if (out)
        *out = json_incref(object);
    return 0;
}

int neutron_get(struct neutron *neutron, const char *collection, const char *resource,
                const char *id, json_t **out, struct err *err)
{
    struct cloud_reply reply = {0};
    char path[256];
    (void)snprintf(path, sizeof path, "/%s/%.100s", collection, id);
    int result = call(&neutron->rest, "GET", path, NULL, &reply, err);
    if (result == 0)
        result = take_resource(resource, &reply, out, path, err);
    cloud_reply_done(&reply);
    return result;
}

int neutron_put(struct neutron *neutron, const char *collection, const char *resource,
                const char *id, json_t *attributes, json_t **out, struct cloud_refusal *refusal,
                struct err *err)
{
    struct cloud_reply reply = {0};
    char path[256];
    json_t *body = json_pack("{s:o}", resource, attributes);
    if (refusal)
        *refusal = (struct cloud_refusal){0};
    if (!body)
        return err_set(err, -ENOMEM, "out of memory");
    (void)snprintf(path, sizeof path, "/%s%s%.100s", collection, id ? "/" : "", id ? id : "");
    int result = call(&neutron->rest, id ? "PUT" : "POST", path, body, &reply, err);
    if (result == 0)
        result = take_resource(resource, &reply, out, path, err);
    if (refusal)
        *refusal = reply.refusal;
    cloud_reply_done(&reply);
    json_decref(body);
    return result;
}

int neutron_delete(struct neutron *neutron, const char *collection, const char *id, struct err *err)
{
    struct cloud_reply reply = {0};
    char path[256];
    (void)snprintf(path, sizeof path, "/%s/%.100s", collection, id);
    int result = call(&neutron->rest, "DELETE", path, NULL, &reply, err);
    cloud_reply_done(&reply);
    return result == -ENOENT ? 0 : result;
}

/* ---- what there is ---- */

int neutron_extensions(struct neutron *neutron, json_t **out, struct err *err)
{
    struct cloud_reply reply = {0};
    json_t *aliases = json_object(), *one;
    size_t i;
    int result = aliases ? call(&neutron->rest, "GET", "/extensions", NULL, &reply, err)
                         : err_set(err, -ENOMEM, "out of memory");
    json_array_foreach(json_object_get(reply.body, "extensions"), i, one)
    {
        const char *alias = json_string_value(json_object_get(one, "alias"));
        if (result == 0 && alias && json_object_set_new(aliases, alias, json_true()) < 0)
            result = err_set(err, -ENOMEM, "out of memory");
    }
    if (result == 0 && !json_is_array(json_object_get(reply.body, "extensions")))
        result = err_set(err, -EPROTO, "%s: GET /extensions: the answer has no list of them",
                         neutron->rest.name);
    cloud_reply_done(&reply);
    if (result < 0) {
        json_decref(aliases);
        return result;
    }
    *out = aliases;
    return 0;
}

/* One answer: {"quota": {"tap_flow": 10}}, or with details {"tap_flow": {"limit": 10, "used": 1}}.
 */
static bool read_quota(struct neutron *neutron, const char *path, const char *resource,
                       int64_t *limit, int64_t *used)
{
    struct cloud_reply reply = {0};
    struct err none;
    bool is_known = false;
    if (cloud_rest_want(&neutron->rest, "GET", path, NULL, &reply, &none) == 0) {
        const json_t *value = json_object_get(json_object_get(reply.body, "quota"), resource);
        const json_t *n = json_is_object(value) ? json_object_get(value, "limit") : value;
        is_known = json_is_integer(n);
        *limit = is_known ? json_integer_value(n) : -1;
        n = json_object_get(value, "used");
        *used = json_is_integer(n) ? json_integer_value(n) : -1;
    }
    cloud_reply_done(&reply);
    return is_known;
}

void neutron_quota(struct neutron *neutron, const char *project, const char *resource,
                   int64_t *limit, int64_t *used)
{
    char path[160];
    *limit = *used = -1;
    (void)snprintf(path, sizeof path, "/quotas/%.80s/details.json", project);
    if (read_quota(neutron, path, resource, limit, used))
        return;
    (void)snprintf(path, sizeof path, "/quotas/%.80s", project);
    if (!read_quota(neutron, path, resource, limit, used))
        *limit = *used = -1;
}
