/* What there is of Network Security Integration, and which of it is a mirror's: see nsi.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/nsi.h"

const struct nsi_kind_row nsi_kinds[NSI_N_KINDS] = {
    [NSI_GROUP] = {"group", "mirroringDeploymentGroups", "mirroring deployment group",
                   "mirroring-deployment-groups", false, false},
    [NSI_DEPLOYMENT] = {"deployment", "mirroringDeployments", "mirroring deployment",
                        "mirroring-deployments", false, true},
    [NSI_ENDPOINT] = {"endpoint", "mirroringEndpointGroups", "mirroring endpoint group",
                      "mirroring-endpoint-groups", false, false},
    [NSI_ASSOCIATION] = {"association", "mirroringEndpointGroupAssociations",
                         "mirroring endpoint group association",
                         "mirroring-endpoint-group-associations", false, false},
    [NSI_PROFILE] = {"profile", "securityProfiles", "security profile",
                     "security-profiles custom-mirroring", true, false},
    [NSI_PROFILE_GROUP] = {"profile-group", "securityProfileGroups", "security profile group",
                           "security-profile-groups", true, false},
    [NSI_POLICY] = {"policy", NULL, "network firewall policy", NULL, false, false},
    [NSI_RULE] = {"rule", NULL, "mirroring rule", NULL, false, false},
    [NSI_ATTACHMENT] = {"attachment", NULL, "association of the firewall policy", NULL, false,
                        false},
};

int nsi_kind_of(const struct mirror_object *object)
{
    int kind = 0;
    while (kind < NSI_N_KINDS && strcmp(nsi_kinds[kind].name, object->kind) != 0)
        kind++;
    return kind;
}

void nsi_put_label(const char *mirror, char out[48])
{
    char stem[48];
    google_put_stem(mirror, stem);
    (void)snprintf(out, 48, "%s", stem + sizeof GOOGLE_PREFIX - 1);
}

void nsi_put_parent(const struct nsi_place *place, int kind, const char *location,
                    char out[GOOGLE_PATH_MAX])
{
    const struct nsi_kind_row *row = &nsi_kinds[kind];
    if (!row->type)
        (void)snprintf(out, GOOGLE_PATH_MAX, "projects/%s/global/firewallPolicies",
                       google_project(place->google));
    else
        (void)snprintf(out, GOOGLE_PATH_MAX, "%s/%s/locations/%s/%s",
                       row->of_organization ? "organizations" : "projects",
                       row->of_organization ? place->organization : google_project(place->google),
                       row->is_zonal ? location : "global", row->type);
}

void nsi_put_name(const struct mirror_job *job, int kind, const char *location,
                  char out[GOOGLE_PATH_MAX])
{
    char parent[GOOGLE_PATH_MAX], stem[48];
    nsi_put_parent(job->state, kind, location, parent);
    google_put_stem(job->name, stem);
    if (strlen(parent) + strlen(stem) + 2 < GOOGLE_PATH_MAX)
        (void)snprintf(out, GOOGLE_PATH_MAX, "%.*s/%s", GOOGLE_PATH_MAX - 50, parent, stem);
    else
        out[0] = '\0';
}

/* ---- looking ---- */

static int list(struct nsi_place *place, int kind, struct err *err)
{
    const struct nsi_kind_row *row = &nsi_kinds[kind];
    char parent[GOOGLE_PATH_MAX], path[GOOGLE_PATH_MAX + 1];
    json_t *all = NULL;
    if (row->of_organization && !place->organization[0])
        return 0;
    nsi_put_parent(place, kind, "-", parent);
    (void)snprintf(path, sizeof path, "/%s", parent);
    int result = row->type
                     ? google_all(place->google, GOOGLE_SECURITY, path, row->type, NULL, &all, err)
                     : google_all(place->google, GOOGLE_COMPUTE, path, "items", NULL, &all, err);
    if (result < 0)
        return result;
    json_decref(place->things[kind]);
    place->things[kind] = all;
    return 0;
}

int nsi_look(struct nsi_place *place, struct err *err)
{
    int result = 0;
    for (int kind = 0; result == 0 && kind <= NSI_POLICY; kind++)
        result = list(place, kind, err);
    place->is_fresh = result == 0;
    return result;
}

/* ---- the mirror's ---- */

const char *nsi_short(const struct nsi_place *place, const char *name)
{
    const char *organization = strstr(name, "organizations/");
    const char *path = organization ? organization : google_path(name);
    const char *project = strncmp(path, "projects/", 9) == 0 ? path + 9 : NULL;
    size_t len = project ? strcspn(project, "/") : 0;
    if (!len || !project[len])
        return path;
    bool own = strlen(google_project(place->google)) == len &&
               strncmp(project, google_project(place->google), len) == 0;
    return own || strspn(project, "0123456789") == len ? project + len + 1 : path;
}

const char *nsi_long(const struct nsi_place *place, const char *name, char out[GOOGLE_PATH_MAX])
{
    if (strncmp(name, "projects/", 9) == 0 || strncmp(name, "organizations/", 14) == 0)
        return name;
    (void)snprintf(out, GOOGLE_PATH_MAX, "projects/%s/%s", google_project(place->google), name);
    return out;
}

static json_t *security_object(const struct nsi_place *place, int kind, const json_t *thing)
{
    const json_t *profile = json_object_get(thing, "customMirroringProfile");
    char zone[GOOGLE_NAME_MAX] = "";
    switch ((enum nsi_kind)kind) {
    case NSI_GROUP:
        return json_pack("{s:s, s:s}", "network", nsi_short(place, mirror_text(thing, "network")),
                         "project", google_project(place->google));
    case NSI_DEPLOYMENT:
        (void)google_part(mirror_text(thing, "name"), "locations", zone);
        return json_pack("{s:s, s:s, s:s}", "zone", zone, "rule",
                         nsi_short(place, mirror_text(thing, "forwardingRule")), "group",
                         nsi_short(place, mirror_text(thing, "mirroringDeploymentGroup")));
    case NSI_ENDPOINT:
        return json_pack("{s:s}", "group",
                         nsi_short(place, mirror_text(thing, "mirroringDeploymentGroup")));
    case NSI_ASSOCIATION:
        return json_pack("{s:s, s:s}", "endpoint",
                         nsi_short(place, mirror_text(thing, "mirroringEndpointGroup")), "network",
                         nsi_short(place, mirror_text(thing, "network")));
    case NSI_PROFILE:
        return json_pack("{s:s}", "endpoint",
                         nsi_short(place, mirror_text(profile, "mirroringEndpointGroup")));
    case NSI_PROFILE_GROUP:
        return json_pack("{s:s}", "profile",
                         nsi_short(place, mirror_text(thing, "customMirroringProfile")));
    case NSI_POLICY:
    case NSI_RULE:
    case NSI_ATTACHMENT:
    case NSI_N_KINDS:
        break;
    }
    return NULL;
}

static void add_security(struct mirror_job *job, int kind, struct mirror_set *out)
{
    struct nsi_place *place = job->state;
    char label[48];
    size_t i;
    json_t *thing;
    nsi_put_label(job->name, label);
    json_array_foreach(place->things[kind], i, thing)
    {
        const char *name = google_last(mirror_text(thing, "name"));
        char key[2 * GOOGLE_NAME_MAX], zone[GOOGLE_NAME_MAX] = "";
        if (strcmp(mirror_text(json_object_get(thing, "labels"), NSI_LABEL), label) != 0 ||
            strncmp(name, GOOGLE_PREFIX, sizeof GOOGLE_PREFIX - 1) != 0)
            continue;
        (void)google_part(mirror_text(thing, "name"), "locations", zone);
        (void)snprintf(key, sizeof key, "%.63s%s%.63s", nsi_kinds[kind].is_zonal ? zone : "",
                       nsi_kinds[kind].is_zonal ? "/" : "", name);
        (void)mirror_set_add(out, nsi_kinds[kind].name, key, security_object(place, kind, thing));
    }
}

static json_t *texts_of(const json_t *texts)
{
    return google_sorted(json_is_array(texts) ? json_copy((json_t *)(uintptr_t)texts)
                                              : json_array());
}

static json_t *protocols_of(const json_t *rule)
{
    const json_t *configs = json_object_get(json_object_get(rule, "match"), "layer4Configs");
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)configs, i, one)
    {
        if (json_array_append_new(out, json_string(mirror_text(one, "ipProtocol"))) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return google_sorted(out);
}

static void add_rules(const struct mirror_job *job, const json_t *policy, struct mirror_set *out)
{
    const struct nsi_place *place = job->state;
    char mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK], key[2 * GOOGLE_NAME_MAX];
    size_t i;
    json_t *rule;
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, job->name);
    json_array_foreach(json_object_get(policy, "packetMirroringRules"), i, rule)
    {
        const json_t *match = json_object_get(rule, "match");
        if (strcmp(mirror_text(rule, "description"), mark) != 0)
            continue;
        (void)snprintf(key, sizeof key, "%.63s/%" JSON_INTEGER_FORMAT, mirror_text(policy, "name"),
                       json_integer_value(json_object_get(rule, "priority")));
        (void)mirror_set_add(out, "rule", key,
                             json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "action",
                                       mirror_text(rule, "action"), "direction",
                                       mirror_text(rule, "direction"), "profile",
                                       nsi_short(place, mirror_text(rule, "securityProfileGroup")),
                                       "from", texts_of(json_object_get(match, "srcIpRanges")),
                                       "to", texts_of(json_object_get(match, "destIpRanges")),
                                       "protocols", protocols_of(rule), "disabled",
                                       json_is_true(json_object_get(rule, "disabled"))));
    }
}

static void add_attachments(const struct nsi_place *place, const json_t *policy,
                            struct mirror_set *out)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(policy, "associations"), i, one)
    {
        char key[2 * GOOGLE_NAME_MAX];
        (void)snprintf(key, sizeof key, "%.63s/%.63s", mirror_text(policy, "name"),
                       mirror_text(one, "name"));
        (void)mirror_set_add(
            out, "attachment", key,
            json_pack("{s:s}", "network", nsi_short(place, mirror_text(one, "attachmentTarget"))));
    }
}

int nsi_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct nsi_place *place = job->state;
    int result = place->is_fresh ? 0 : nsi_look(place, err);
    size_t i;
    json_t *policy;
    place->is_fresh = false;
    if (result < 0)
        return result;
    for (int kind = 0; kind < NSI_POLICY; kind++)
        add_security(job, kind, out);
    json_array_foreach(place->things[NSI_POLICY], i, policy)
    {
        if (google_is_ours(policy, job->name))
            (void)mirror_set_add(out, "policy", mirror_text(policy, "name"), json_object());
    }
    json_array_foreach(place->things[NSI_POLICY], i, policy) add_rules(job, policy, out);
    json_array_foreach(place->things[NSI_POLICY], i, policy)
    {
        if (google_is_ours(policy, job->name))
            add_attachments(place, policy, out);
    }
    if (out->n && !place->organization[0])
        return err_set(err, -EINVAL,
                       "which organization? --organization NUMBER: the security profiles of the "
                       "mirror %s are there",
                       job->name);
    return 0;
}
