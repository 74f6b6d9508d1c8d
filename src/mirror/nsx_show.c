/* A mirror of NSX in words, as commands, as coverage, and as sources for `watch`. See nsx.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/nsx.h"

/* ---- words ---- */

void nsx_describe(const struct mirror_object *object, struct text *out)
{
    const json_t *is = object->is, *addresses = json_object_get(is, "addresses");
    if (strcmp(object->kind, "profile") == 0) {
        const char *direction = mirror_text(is, "direction");
        text_format(out, "port mirroring profile %s: %s, id %lld, %s", object->key,
                    mirror_text(is, "encapsulation"),
                    (long long)json_integer_value(json_object_get(is, "id")),
                    strcmp(direction, "INGRESS") == 0  ? "what the machines send"
                    : strcmp(direction, "EGRESS") == 0 ? "what the machines get"
                                                       : "both directions");
        return;
    }
    if (strcmp(object->kind, "binding") == 0) {
        text_format(out, "binding of the profile: %s", mirror_text(is, "path"));
        return;
    }
    if (strcmp(object->key, "to") != 0) {
        text_format(out, "group of %zu machines", json_array_size(json_object_get(is, "machines")));
        return;
    }
    text_put(out, "group of collectors: ");
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        const char *address = json_string_value(json_array_get(addresses, i));
        text_format(out, "%s%s", i ? ", " : "", address ? address : "");
    }
}

void nsx_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out)
{
    static const char call[] = "curl -fsS -K ~/.nsx.curl"; /* who asks is in a file, not in ps */
    static const char base[] = "https://$NSXT_MANAGER_HOST/policy/api/v1";
    if (unmake) {
        text_format(out, "%s -X DELETE \"%s%s\"\n", call, base, nsx_path_of(object));
        return;
    }
    json_t *body = nsx_body(job, object);
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    text_format(out, "%s -X PUT \"%s%s\" -H 'Content-Type: application/json' -d ", call, base,
                nsx_path_of(object));
    text_shell(out, text ? text : "");
    text_put(out, "\n");
    free(text);
    json_decref(body);
}

/* ---- coverage ---- */

struct covering {
    const json_t *machines; /* of the group that we made; NULL: NSX's own group */
    bool bound;
};

static bool has(const struct cloud_nic *nic, char why[200], void *with)
{
    const struct covering *covering = with;
    bool member = !covering->machines;
    for (size_t i = 0; !member && i < json_array_size(covering->machines); i++) {
        const char *id = json_string_value(json_array_get(covering->machines, i));
        member = id && strcmp(id, nic->machine) == 0;
    }
    if (nic->fate == CLOUD_NOT_SELECTED && !covering->machines)
        return false;
    if (!covering->bound)
        (void)snprintf(why, 200, "the profile is bound to no group");
    else if (!member)
        (void)snprintf(why, 200, "it is not in the group: apply again");
    return covering->bound && member && nic->fate != CLOUD_UNFIT;
}

int nsx_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
              struct err *err)
{
    const struct nsx *nsx = job->state;
    const struct mirror_object *from = mirror_set_get(found, "group", "from");
    struct covering covering = {.bound = mirror_set_get(found, "binding", job->name) != NULL};
    json_t *none = json_array();
    const struct nsx_wish *wish = job->wish;
    if (!(wish && wish->group))
        covering.machines = from ? json_object_get(from->is, "machines") : none;
    int result = cloud_cover(&nsx->inventory, has, &covering, out, err);
    json_decref(none);
    return result;
}

/* Whether NSX's hosts have carried it out; packets are not counted where its API could be asked. */
int nsx_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err)
{
    const struct nsx *nsx = job->state;
    const struct mirror_object *binding = mirror_set_get(found, "binding", job->name);
    struct cloud_reply reply = {0};
    struct text path;
    *out = (struct mirror_measures){.at = calloc(1, sizeof *out->at)};
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    if (!binding)
        return 0;
    text_init(&path, 4096);
    text_put(&path, "/infra/realized-state/status?intent_path=");
    cloud_put_escaped(&path, nsx_path_of(binding), "/");
    int result = path.failed
                     ? err_set(err, -ENOMEM, "out of memory")
                     : cloud_rest_call(nsx_rest(nsx->api), "GET", path.at, NULL, &reply, err);
    text_done(&path);
    if (result < 0)
        return result;
    const json_t *status = json_object_get(reply.body, "consolidated_status");
    const char *state = mirror_text(status, "consolidated_status");
    struct mirror_measure *measure = &out->at[out->n++];
    (void)snprintf(measure->what, sizeof measure->what, "%.63s", job->name);
    measure->n_seen = measure->n_mirrored = UINT64_MAX;
    measure->is_judged = true;
    if (reply.status == 404 || strcmp(state, "UNINITIALIZED") == 0 ||
        strcmp(state, "IN_PROGRESS") == 0)
        (void)snprintf(measure->trouble, sizeof measure->trouble,
                       "NSX has not told its hosts yet; look again in a minute");
    else if (reply.status >= 400)
        (void)snprintf(measure->trouble, sizeof measure->trouble, "NSX does not say: %.120s",
                       reply.refusal.message);
    else if (strcmp(state, "SUCCESS") != 0)
        (void)snprintf(measure->trouble, sizeof measure->trouble,
                       "NSX says %.40s: see the alarms of %.100s", state, nsx_path_of(binding));
    cloud_reply_done(&reply);
    return 0;
}

/* ---- for watch ---- */

int nsx_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err)
{
    static const char *const directions[] = {
        [NSX_BOTH] = "both", [NSX_IN] = "in", [NSX_OUT] = "out"};
    const struct nsx_wish *wish = job->wish;
    const struct nsx *nsx = job->state;
    struct mirror_source like = {.truncate = wish->snap};
    char address[ADDR_TEXT_MAX];
    (void)wanted;
    (void)snprintf(like.network, sizeof like.network, "%s", job->network);
    (void)snprintf(like.direction, sizeof like.direction, "%s", directions[wish->direction]);
    size_t len = addr_format(&wish->to[0].addr, address);
    (void)snprintf(like.collector, sizeof like.collector, "%.*s", (int)len, address);
    /* Many machines behind one ESXi host, all with one id: no channel is any one's. */
    return cloud_sources(&nsx->inventory, NULL, &like, out, err);
}
