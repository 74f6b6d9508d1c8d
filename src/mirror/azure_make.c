/* Makes, changes and unmakes what a mirror of Azure consists of: see azure.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mirror/azure.h"

#define AZURE_PATH_MAX (2 * AZURE_ID_MAX)

/* The sentence that helps, where Azure's own does not. */
static int explain(int result, struct err *err)
{
    if (result < 0 && (strcasestr(err->text, "fastpath") || strcasestr(err->text, "fast path"))) {
        struct err said = *err;
        return err_set(err, -EOPNOTSUPP,
                       "the machine has to be stopped (deallocated) and started once, now that "
                       "there is a TAP; then apply again (%.300s)",
                       said.text);
    }
    if (result == -EAGAIN || result == -EIO || result >= 0)
        return result;
    if (strcasestr(err->text, "SubscriptionNotRegisteredForFeature") ||
        strcasestr(err->text, "FeatureNotEnabled")) {
        err_wrap(err, "the preview of TAPs is not enabled for the subscription (az feature "
                      "register, az provider register --namespace Microsoft.Network)");
        return -EOPNOTSUPP;
    }
    return result;
}

/* ---- the TAP ---- */

/* As Azure spelled it in the last look, else as we would. */
static void put_tap_path(const struct mirror_job *job, char out[AZURE_PATH_MAX])
{
    const struct azure_place *place = job->state;
    const struct azure_wish *wish = job->wish;
    char name[64];
    azure_put_name(job->name, name);
    (void)snprintf(out, AZURE_PATH_MAX,
                   "/subscriptions/%s/resourceGroups/%.90s/providers/Microsoft.Network/"
                   "virtualNetworkTaps/%s",
                   azure_subscription(place->azure), wish->group, name);
}

static const json_t *tap_of_key(const struct azure_place *place, const char *key)
{
    size_t i;
    json_t *tap;
    json_array_foreach(place->taps, i, tap)
    {
        char own[MIRROR_KEY_MAX];
        if (azure_key(mirror_text(tap, "id"), "virtualNetworkTaps", own) && strcmp(own, key) == 0)
            return tap;
    }
    return NULL;
}

/* Others' tags stay. */
static int put_tap(struct mirror_job *job, const struct mirror_object *want, const char *etag,
                   struct err *err)
{
    struct azure_place *place = job->state;
    const json_t *old = tap_of_key(place, want->key);
    char path[AZURE_PATH_MAX], id[AZURE_PATH_MAX];
    json_t *tags = json_is_object(json_object_get(old, "tags"))
                       ? json_copy(json_object_get(old, "tags"))
                       : json_object();
    put_tap_path(job, id);
    (void)snprintf(path, sizeof path, "%.900s?" AZURE_NETWORK, id);
    if (json_object_set_new(tags, AZURE_MARK, json_string(job->name)) < 0) {
        json_decref(tags);
        return err_set(err, -ENOMEM, "out of memory");
    }
    json_t *body =
        json_pack("{s:s, s:o, s:{s:{s:s}, s:O}}", "location", place->target.location, "tags", tags,
                  "properties",
                  place->target.is_balancer ? "destinationLoadBalancerFrontEndIPConfiguration"
                                            : "destinationNetworkInterfaceIPConfiguration",
                  "id", place->target.id, "destinationPort", json_object_get(want->is, "port"));
    int result = body ? azure_finish(place->azure, "PUT", path, body, etag, err)
                      : err_set(err, -ENOMEM, "out of memory");
    json_decref(body);
    return explain(result, err);
}

/* ---- tap configurations ---- */

static int put_config(struct mirror_job *job, const struct mirror_object *want, const char *etag,
                      struct err *err)
{
    struct azure_place *place = job->state;
    const json_t *nic = azure_nic_of(place, want->key);
    char path[AZURE_PATH_MAX], name[64], tap[AZURE_PATH_MAX];
    if (!nic)
        return err_set(err, -ENOENT, "the interface %s is no more", want->key);
    azure_put_name(job->name, name);
    put_tap_path(job, tap);
    (void)snprintf(path, sizeof path, "%.700s/tapConfigurations/%s?" AZURE_NETWORK,
                   mirror_text(nic, "id"), name);
    json_t *body = json_pack("{s:{s:{s:s}}}", "properties", "virtualNetworkTap", "id", tap);
    int result = body ? azure_finish(place->azure, "PUT", path, body, etag, err)
                      : err_set(err, -ENOMEM, "out of memory");
    json_decref(body);
    /* One group's interfaces may be none of these credentials' business: the others' are. */
    return explain(result == -EACCES ? -EOPNOTSUPP : result, err);
}

/* ---- both ---- */

int azure_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct azure_place *place = job->state;
    place->is_fresh = false;
    return strcmp(want->kind, "tap") == 0 ? put_tap(job, want, NULL, err)
                                          : put_config(job, want, NULL, err);
}

/* All but where it is; not what is on its way out. */
bool azure_may_change(const struct mirror_object *have, const struct mirror_object *want)
{
    if (strcmp(mirror_text(have->is, "state"), "deleting") == 0)
        return false;
    return json_equal(json_object_get(have->is, "location"),
                      json_object_get(want->is, "location")) ||
           strcmp(want->kind, "tap") != 0;
}

int azure_change(struct mirror_job *job, const struct mirror_object *have,
                 const struct mirror_object *want, struct err *err)
{
    struct azure_place *place = job->state;
    const char *etag = mirror_text(have->also, "etag");
    place->is_fresh = false;
    if (!*etag)
        etag = NULL;
    return strcmp(want->kind, "tap") == 0 ? put_tap(job, want, etag, err)
                                          : put_config(job, want, etag, err);
}

/* Objects that were found know their id; one that this run made is called as we call it. */
int azure_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    struct azure_place *place = job->state;
    char path[AZURE_PATH_MAX], name[64], id[AZURE_PATH_MAX];
    const char *known = mirror_text(have->also, "id");
    place->is_fresh = false;
    if (*known) {
        (void)snprintf(id, sizeof id, "%s", known);
    } else if (strcmp(have->kind, "tap") == 0) {
        put_tap_path(job, id);
    } else {
        const json_t *nic = azure_nic_of(place, have->key);
        azure_put_name(job->name, name);
        if (!nic)
            return 0; /* its configurations went with it */
        (void)snprintf(id, sizeof id, "%.700s/tapConfigurations/%s", mirror_text(nic, "id"), name);
    }
    (void)snprintf(path, sizeof path, "%.900s?" AZURE_NETWORK, id);
    return azure_finish(place->azure, "DELETE", path, NULL, NULL, err);
}
