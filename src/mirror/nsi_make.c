/* Makes and deletes the objects of Network Security Integration: see nsi.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/nsi.h"

#define PATH_MOST 1024

static void put_mark(const struct mirror_job *job, char out[MIRROR_NAME_MAX + sizeof GOOGLE_MARK])
{
    (void)snprintf(out, MIRROR_NAME_MAX + sizeof GOOGLE_MARK, "%s%s", GOOGLE_MARK, job->name);
}

/* ---- Network Security ---- */

static json_t *security_body(const struct mirror_job *job, int kind,
                             const struct mirror_object *want)
{
    const struct nsi_place *place = job->state;
    char one[GOOGLE_PATH_MAX], two[GOOGLE_PATH_MAX];
    char mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK], label[48];
    json_t *body = NULL;
    put_mark(job, mark);
    nsi_put_label(job->name, label);
    switch ((enum nsi_kind)kind) {
    case NSI_GROUP:
        body =
            json_pack("{s:s}", "network", nsi_long(place, mirror_text(want->is, "network"), one));
        break;
    case NSI_DEPLOYMENT:
        body = json_pack(
            "{s:s, s:s}", "forwardingRule", nsi_long(place, mirror_text(want->is, "rule"), one),
            "mirroringDeploymentGroup", nsi_long(place, mirror_text(want->is, "group"), two));
        break;
    case NSI_ENDPOINT:
        body = json_pack("{s:s}", "mirroringDeploymentGroup",
                         nsi_long(place, mirror_text(want->is, "group"), one));
        break;
    case NSI_ASSOCIATION:
        body = json_pack("{s:s, s:s}", "mirroringEndpointGroup",
                         nsi_long(place, mirror_text(want->is, "endpoint"), one), "network",
                         nsi_long(place, mirror_text(want->is, "network"), two));
        break;
    case NSI_PROFILE:
        body = json_pack("{s:s, s:{s:s}}", "type", "CUSTOM_MIRRORING", "customMirroringProfile",
                         "mirroringEndpointGroup",
                         nsi_long(place, mirror_text(want->is, "endpoint"), one));
        break;
    case NSI_PROFILE_GROUP:
        body = json_pack("{s:s}", "customMirroringProfile", mirror_text(want->is, "profile"));
        break;
    case NSI_POLICY:
    case NSI_RULE:
    case NSI_ATTACHMENT:
    case NSI_N_KINDS:
        break;
    }
    /* Associations have no description. */
    bool ok = body &&
              json_object_set_new(body, "labels", json_pack("{s:s}", NSI_LABEL, label)) == 0 &&
              (kind == NSI_ASSOCIATION ||
               json_object_set_new(body, "description", json_string(mark)) == 0);
    if (!ok) {
        json_decref(body);
        return NULL;
    }
    return body;
}

static int make_security(struct mirror_job *job, int kind, const struct mirror_object *want,
                         struct err *err)
{
    const struct nsi_place *place = job->state;
    const char *type = nsi_kinds[kind].type;
    char parent[GOOGLE_PATH_MAX], path[PATH_MOST];
    nsi_put_parent(place, kind, mirror_text(want->is, "zone"), parent);
    /* "…/mirroringEndpointGroups?mirroringEndpointGroupId=NAME" */
    (void)snprintf(path, sizeof path, "/%s?%.*sId=%s", parent, (int)strlen(type) - 1, type,
                   google_last(want->key));
    json_t *body = security_body(job, kind, want);
    int result = body ? google_finish(place->google, GOOGLE_SECURITY, "POST", path, body, err)
                      : err_set(err, -ENOMEM, "out of memory");
    json_decref(body);
    return result;
}

/* ---- firewall policies ---- */

static void put_policy(const struct nsi_place *place, const char *key, const char *verb,
                       char out[PATH_MOST])
{
    char parent[GOOGLE_PATH_MAX];
    nsi_put_parent(place, NSI_POLICY, "", parent);
    (void)snprintf(out, PATH_MOST, "/%s/%.*s%s%s", parent, (int)strcspn(key, "/"), key,
                   *verb ? "/" : "", verb);
}

static json_t *rule_body(const struct mirror_job *job, const struct mirror_object *want)
{
    char mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK], profile[GOOGLE_PATH_MAX + 48];
    json_t *configs = json_array(), *one;
    size_t i;
    put_mark(job, mark);
    (void)snprintf(profile, sizeof profile, "//networksecurity.googleapis.com/%s",
                   mirror_text(want->is, "profile"));
    json_array_foreach(json_object_get(want->is, "protocols"), i, one)
    {
        if (json_array_append_new(configs, json_pack("{s:O}", "ipProtocol", one)) < 0) {
            json_decref(configs);
            return NULL;
        }
    }
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:b, s:{s:O, s:O, s:o}}", "priority",
                     (int)strtol(google_last(want->key), NULL, 10), "description", mark, "action",
                     "mirror", "direction", mirror_text(want->is, "direction"),
                     "securityProfileGroup", profile, "disabled", false, "match", "srcIpRanges",
                     json_object_get(want->is, "from"), "destIpRanges",
                     json_object_get(want->is, "to"), "layer4Configs", configs);
}

static int make_firewall(struct mirror_job *job, int kind, const struct mirror_object *want,
                         struct err *err)
{
    const struct nsi_place *place = job->state;
    char path[PATH_MOST], mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK], network[GOOGLE_PATH_MAX];
    json_t *body = NULL;
    put_mark(job, mark);
    if (kind == NSI_POLICY) {
        char parent[GOOGLE_PATH_MAX];
        nsi_put_parent(place, kind, "", parent);
        (void)snprintf(path, sizeof path, "/%s", parent);
        body = json_pack("{s:s, s:s}", "name", want->key, "description", mark);
    } else if (kind == NSI_RULE) {
        put_policy(place, want->key, "addPacketMirroringRule", path);
        body = rule_body(job, want);
    } else {
        put_policy(place, want->key, "addAssociation", path);
        body = json_pack("{s:s, s:o}", "name", google_last(want->key), "attachmentTarget",
                         google_url(nsi_long(place, mirror_text(want->is, "network"), network)));
    }
    int result = body ? google_finish(place->google, GOOGLE_COMPUTE, "POST", path, body, err)
                      : err_set(err, -ENOMEM, "out of memory");
    json_decref(body);
    return result;
}

/* ---- both ---- */

int nsi_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct nsi_place *place = job->state;
    int kind = nsi_kind_of(want);
    place->is_fresh = false;
    return nsi_kinds[kind].type ? make_security(job, kind, want, err)
                                : make_firewall(job, kind, want, err);
}

int nsi_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    struct nsi_place *place = job->state;
    int kind = nsi_kind_of(have);
    char parent[GOOGLE_PATH_MAX], path[PATH_MOST];
    place->is_fresh = false;
    if (nsi_kinds[kind].type) {
        nsi_put_parent(place, kind, mirror_text(have->is, "zone"), parent);
        (void)snprintf(path, sizeof path, "/%s/%s", parent, google_last(have->key));
        return google_finish(place->google, GOOGLE_SECURITY, "DELETE", path, NULL, err);
    }
    put_policy(place, have->key,
               kind == NSI_RULE         ? "removePacketMirroringRule?priority="
               : kind == NSI_ATTACHMENT ? "removeAssociation?name="
                                        : "",
               path);
    if (kind == NSI_POLICY)
        return google_finish(place->google, GOOGLE_COMPUTE, "DELETE", path, NULL, err);
    size_t len = strlen(path);
    (void)snprintf(path + len, sizeof path - len, "%s", google_last(have->key));
    return google_finish(place->google, GOOGLE_COMPUTE, "POST", path, NULL, err);
}
