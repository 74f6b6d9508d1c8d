/* What there is in Azure, and which of it is a mirror's: see azure.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mirror/azure.h"

static int list(struct azure_place *place, const char *type, json_t **out, struct err *err)
{
    char path[256];
    json_t *all = NULL;
    (void)snprintf(path, sizeof path,
                   "/subscriptions/%s/providers/Microsoft.Network/%s?" AZURE_NETWORK,
                   azure_subscription(place->azure), type);
    int result = azure_all(place->azure, path, &all, err);
    if (result < 0)
        return result;
    json_decref(*out);
    *out = all;
    return 0;
}

static int index_nics(struct azure_place *place, struct err *err)
{
    json_t *index = json_object(), *nic;
    size_t i;
    bool ok = index != NULL;
    json_array_foreach(place->nics, i, nic)
    {
        char name[AZURE_SHORT_MAX], lower[AZURE_SHORT_MAX];
        if (!azure_short(mirror_text(nic, "id"), "networkInterfaces", name))
            continue; /* no id that Azure would give */
        azure_put_lower(lower, sizeof lower, name);
        ok = ok && json_object_set(index, lower, nic) == 0;
    }
    json_decref(place->by_name);
    place->by_name = index;
    return ok ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int azure_look(struct azure_place *place, struct err *err)
{
    int result = list(place, "virtualNetworkTaps", &place->taps, err);
    if (result == 0)
        result = list(place, "networkInterfaces", &place->nics, err);
    if (result == 0)
        result = index_nics(place, err);
    place->is_fresh = result == 0;
    return result;
}

const json_t *azure_nic_of(const struct azure_place *place, const char *name)
{
    char lower[AZURE_SHORT_MAX];
    azure_put_lower(lower, sizeof lower, name);
    return json_object_get(place->by_name, lower);
}

const json_t *azure_nic(const struct azure_place *place, const char *id)
{
    char name[AZURE_SHORT_MAX];
    const json_t *nic =
        azure_short(id, "networkInterfaces", name) ? azure_nic_of(place, name) : NULL;
    return nic && azure_same(mirror_text(nic, "id"), id) ? nic : NULL;
}

const char *azure_mark(const json_t *tap)
{
    return json_string_value(json_object_get(json_object_get(tap, "tags"), AZURE_MARK));
}

void azure_put_name(const char *mirror, char out[64])
{
    (void)snprintf(out, 64, AZURE_PREFIX "%s", mirror);
}

/* ---- the mirror's ---- */

/* What is being made or changed counts as made: who works on it waits for that. What is being
 * deleted is there until it is gone: what it hangs on can't be deleted before. */
static const char *state_of(const json_t *thing)
{
    const char *state = json_string_value(azure_property(thing, "provisioningState"));
    if (!state)
        return "ok";
    if (strcasecmp(state, "Deleting") == 0)
        return "deleting";
    return strcasecmp(state, "Failed") == 0 || strcasecmp(state, "Canceled") == 0 ? "failed" : "ok";
}

static int add_tap(const json_t *tap, struct mirror_set *out, struct err *err)
{
    char key[MIRROR_KEY_MAX], destination[AZURE_ID_MAX], location[64];
    const char *id = mirror_text(tap, "id"), *state = state_of(tap);
    const json_t *to = azure_property(tap, "destinationNetworkInterfaceIPConfiguration");
    const json_t *port = azure_property(tap, "destinationPort");
    if (!json_is_object(to))
        to = azure_property(tap, "destinationLoadBalancerFrontEndIPConfiguration");
    if (!azure_key(id, "virtualNetworkTaps", key))
        return err_set(err, -EPROTO, "Azure has a TAP with the id '%.200s'", id);
    azure_put_lower(destination, sizeof destination, mirror_text(to, "id"));
    azure_put_lower(location, sizeof location, mirror_text(tap, "location"));
    struct mirror_object *object = mirror_set_add(
        out, "tap", key,
        json_pack("{s:s, s:I, s:s, s:s}", "destination", destination, "port",
                  json_is_integer(port) ? json_integer_value(port) : (json_int_t)4789, "location",
                  location, "state", state));
    if (object)
        object->also = json_pack("{s:s, s:s}", "id", id, "etag", mirror_text(tap, "etag"));
    return 0;
}

/* Lists may have it without what it refers to. */
static int add_config(struct azure_place *place, const json_t *config, struct mirror_set *out,
                      struct err *err)
{
    char key[MIRROR_KEY_MAX], tap[AZURE_ID_MAX], path[AZURE_ID_MAX + 64];
    const char *id = mirror_text(config, "id");
    struct cloud_reply reply = {0};
    int result = 0;
    if (!azure_key(id, "networkInterfaces", key) || strlen(id) >= AZURE_ID_MAX)
        return err_set(err, -EPROTO, "Azure has a tap configuration with the id '%.200s'", id);
    if (!json_is_object(azure_property(config, "virtualNetworkTap"))) {
        (void)snprintf(path, sizeof path, "%s?" AZURE_NETWORK, id);
        result = azure_call(place->azure, "GET", path, NULL, &reply, err);
        config = reply.body;
    }
    if (result == 0) {
        azure_put_lower(tap, sizeof tap,
                        mirror_text(azure_property(config, "virtualNetworkTap"), "id"));
        struct mirror_object *object = mirror_set_add(
            out, "tap-config", key, json_pack("{s:s, s:s}", "tap", tap, "state", state_of(config)));
        if (object)
            object->also = json_pack("{s:s, s:s}", "id", id, "etag", mirror_text(config, "etag"));
    }
    cloud_reply_done(&reply);
    return result == -ENOENT ? 0 : result;
}

static bool is_called(const json_t *config, const char *name)
{
    char own[96];
    return azure_part(mirror_text(config, "id"), "tapConfigurations", own, sizeof own) &&
           azure_same(own, name);
}

/* Those that only the TAP tells of: of interfaces in other subscriptions. */
static int add_referring(struct mirror_job *job, const char *name, struct mirror_set *out,
                         struct err *err)
{
    struct azure_place *place = job->state;
    int result = 0;
    size_t i, k;
    json_t *tap, *config;
    json_array_foreach(place->taps, i, tap)
    {
        const char *mark = azure_mark(tap);
        if (!mark || strcmp(mark, job->name) != 0)
            continue;
        json_array_foreach(azure_property(tap, "networkInterfaceTapConfigurations"), k, config)
        {
            const char *id = mirror_text(config, "id");
            char key[MIRROR_KEY_MAX], nic[AZURE_ID_MAX];
            if (result == 0 && is_called(config, name) && azure_key(id, "networkInterfaces", key) &&
                azure_until(id, "networkInterfaces", nic) && !azure_nic(place, nic) &&
                !mirror_set_get(out, "tap-config", key))
                result = add_config(place, config, out, err);
        }
    }
    return result;
}

int azure_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct azure_place *place = job->state;
    int result = place->is_fresh ? 0 : azure_look(place, err);
    char name[64];
    size_t i, k;
    json_t *tap, *nic, *config;
    place->is_fresh = false;
    azure_put_name(job->name, name);
    if (result < 0)
        return result;
    json_array_foreach(place->taps, i, tap)
    {
        const char *mark = azure_mark(tap);
        if (result == 0 && mark && strcmp(mark, job->name) == 0)
            result = add_tap(tap, out, err);
    }
    json_array_foreach(place->nics, i, nic)
    {
        json_array_foreach(azure_property(nic, "tapConfigurations"), k, config)
        {
            if (result == 0 && is_called(config, name))
                result = add_config(place, config, out, err);
        }
    }
    return result == 0 ? add_referring(job, name, out, err) : result;
}

/* ---- all mirrors ---- */

int azure_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                struct err *err)
{
    struct azure_place *place = job->state;
    size_t i, n = 0;
    json_t *tap;
    *out = NULL;
    *out_n = 0;
    if (!place->azure) /* nobody asked for Azure */
        return 0;
    int result = azure_look(place, err);
    if (result < 0)
        return result;
    char(*names)[MIRROR_NAME_MAX] = calloc(json_array_size(place->taps) + 1, sizeof *names);
    if (!names)
        return err_set(err, -ENOMEM, "out of memory");
    json_array_foreach(place->taps, i, tap)
    {
        const char *mark = azure_mark(tap);
        bool is_new = mark && mirror_name_is_good(mark);
        for (size_t k = 0; is_new && k < n; k++)
            is_new = strcmp(names[k], mark) != 0;
        if (is_new)
            (void)snprintf(names[n++], MIRROR_NAME_MAX, "%s", mark);
    }
    *out = names;
    *out_n = n;
    return 0;
}
