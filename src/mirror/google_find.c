/* Policies of Packet Mirroring as Google has them, and how they are made, changed and deleted: see
 * google.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/google.h"

int google_look(struct google_place *place, struct err *err)
{
    char path[160];
    json_t *all = NULL;
    (void)snprintf(path, sizeof path, "/projects/%s/aggregated/packetMirrorings",
                   google_project(place->google));
    int result =
        google_all(place->google, GOOGLE_COMPUTE, path, "items", "packetMirrorings", &all, err);
    if (result < 0)
        return result;
    json_decref(place->policies);
    place->policies = all;
    place->is_fresh = true;
    return 0;
}

/* ---- as objects ---- */

static json_t *paths_of(const json_t *list)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        if (json_array_append_new(out, json_string(google_path(mirror_text(one, "url")))) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return google_sorted(out);
}

static json_t *texts_of(const json_t *list)
{
    return google_sorted(json_is_array(list) ? json_copy((json_t *)(uintptr_t)list) : json_array());
}

json_t *google_object_of(const json_t *policy)
{
    const json_t *sources = json_object_get(policy, "mirroredResources");
    const json_t *filter = json_object_get(policy, "filter");
    const char *direction = mirror_text(filter, "direction"), *on = mirror_text(policy, "enable");
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:s}", "network",
                     google_path(mirror_text(json_object_get(policy, "network"), "url")),
                     "collector",
                     google_path(mirror_text(json_object_get(policy, "collectorIlb"), "url")),
                     "subnets", paths_of(json_object_get(sources, "subnetworks")), "instances",
                     paths_of(json_object_get(sources, "instances")), "tags",
                     texts_of(json_object_get(sources, "tags")), "cidrs",
                     texts_of(json_object_get(filter, "cidrRanges")), "protocols",
                     texts_of(json_object_get(filter, "IPProtocols")), "direction",
                     *direction ? direction : "BOTH", "enable", *on ? on : "TRUE");
}

int google_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct google_place *place = job->state;
    int result = place->is_fresh ? 0 : google_look(place, err);
    size_t i;
    json_t *policy;
    place->is_fresh = false;
    if (result < 0)
        return result;
    json_array_foreach(place->policies, i, policy)
    {
        char key[2 * GOOGLE_NAME_MAX];
        if (!google_is_ours(policy, job->name))
            continue;
        (void)snprintf(key, sizeof key, "%.63s/%.63s", google_last(mirror_text(policy, "region")),
                       mirror_text(policy, "name"));
        (void)mirror_set_add(out, "policy", key, google_object_of(policy)); /* the set says it */
    }
    return 0;
}

/* ---- doing ---- */

static json_t *infos_of(const json_t *paths)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)paths, i, one)
    {
        if (json_array_append_new(
                out, json_pack("{s:o}", "url", google_url(json_string_value(one)))) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *filter_of(const json_t *is)
{
    json_t *filter = json_pack("{s:O}", "direction", json_object_get(is, "direction"));
    const json_t *cidrs = json_object_get(is, "cidrs");
    const json_t *protocols = json_object_get(is, "protocols");
    /* Empty ones are said, too: a change may take them away. */
    if (filter && (json_object_set(filter, "cidrRanges", (json_t *)(uintptr_t)cidrs) < 0 ||
                   json_object_set(filter, "IPProtocols", (json_t *)(uintptr_t)protocols) < 0)) {
        json_decref(filter);
        return NULL;
    }
    return filter;
}

static json_t *body_of(const struct mirror_job *job, const struct mirror_object *want)
{
    const json_t *is = want->is;
    char mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK];
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, job->name);
    return json_pack(
        "{s:s, s:s, s:{s:o}, s:{s:o}, s:{s:o, s:o, s:O}, s:o, s:O}", "name", google_last(want->key),
        "description", mark, "network", "url", google_url(mirror_text(is, "network")),
        "collectorIlb", "url", google_url(mirror_text(is, "collector")), "mirroredResources",
        "subnetworks", infos_of(json_object_get(is, "subnets")), "instances",
        infos_of(json_object_get(is, "instances")), "tags", json_object_get(is, "tags"), "filter",
        filter_of(is), "enable", json_object_get(is, "enable"));
}

/* ".../regions/R/packetMirrorings[/NAME]" */
static void put_path(const struct google_place *place, const char *key, bool whole, char out[400])
{
    int region = (int)strcspn(key, "/");
    (void)snprintf(out, 400, "/projects/%s/regions/%.*s/packetMirrorings%s%s",
                   google_project(place->google), region, key, whole ? "/" : "",
                   whole ? google_last(key) : "");
}

static int send(struct mirror_job *job, const struct mirror_object *want, const char *method,
                struct err *err)
{
    struct google_place *place = job->state;
    char path[400];
    put_path(place, want->key, strcmp(method, "POST") != 0, path);
    place->is_fresh = false;
    json_t *body = body_of(job, want);
    int result = body ? google_finish(place->google, GOOGLE_COMPUTE, method, path, body, err)
                      : err_set(err, -ENOMEM, "out of memory");
    json_decref(body);
    return result;
}

int google_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    return send(job, want, "POST", err);
}

/* All but the network, which a policy keeps. */
bool google_may_change(const struct mirror_object *have, const struct mirror_object *want)
{
    return json_equal(json_object_get(have->is, "network"), json_object_get(want->is, "network"));
}

int google_change(struct mirror_job *job, const struct mirror_object *have,
                  const struct mirror_object *want, struct err *err)
{
    (void)have;
    return send(job, want, "PATCH", err);
}

int google_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    struct google_place *place = job->state;
    char path[400];
    put_path(place, have->key, true, path);
    place->is_fresh = false;
    return google_finish(place->google, GOOGLE_COMPUTE, "DELETE", path, NULL, err);
}
