/* A mirror by Network Security Integration in words, as commands, and as sources for `watch`: see
 * nsi.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/nsi.h"

/* ---- words ---- */

static void put_list(const json_t *list, struct text *out)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        text_format(out, "%s%s", i ? ", " : "", json_string_value(json_array_get(list, i)));
}

void nsi_describe(const struct mirror_object *object, struct text *out)
{
    int kind = nsi_kind_of(object);
    if (kind == NSI_N_KINDS) {
        text_put(out, object->key);
        return;
    }
    text_format(out, "%s %s", nsi_kinds[kind].word, object->key);
    if (kind == NSI_DEPLOYMENT) {
        text_format(out, " with the forwarding rule %s",
                    google_last(mirror_text(object->is, "rule")));
    } else if (kind == NSI_GROUP || kind == NSI_ASSOCIATION || kind == NSI_ATTACHMENT) {
        text_format(out, ", network %s", google_last(mirror_text(object->is, "network")));
    } else if (kind == NSI_RULE) {
        text_format(out, ": %s ",
                    strcmp(mirror_text(object->is, "direction"), "INGRESS") == 0
                        ? "what comes in, from"
                        : "what goes out, from");
        put_list(json_object_get(object->is, "from"), out);
        text_put(out, " to ");
        put_list(json_object_get(object->is, "to"), out);
        text_put(out, ", protocols: ");
        put_list(json_object_get(object->is, "protocols"), out);
    }
}

/* ---- commands ---- */

static void put_reference(const struct nsi_place *place, struct text *out, const char *option,
                          const char *name)
{
    char full[GOOGLE_PATH_MAX];
    if (*name)
        google_put_option(out, option, nsi_long(place, name, full));
}

static void command_security(const struct mirror_job *job, int kind,
                             const struct mirror_object *object, bool unmake, struct text *out)
{
    const struct nsi_place *place = job->state;
    const struct nsi_kind_row *row = &nsi_kinds[kind];
    char label[48], pair[80], mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK];
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, job->name);
    nsi_put_label(job->name, label);
    (void)snprintf(pair, sizeof pair, "%s=%s", NSI_LABEL, label);
    text_format(out, "gcloud network-security %s %s %s", row->command, unmake ? "delete" : "create",
                google_last(object->key));
    if (row->of_organization)
        google_put_option(out, "organization", place->organization);
    else
        google_put_option(out, "project", google_project(place->google));
    google_put_option(out, "location", row->is_zonal ? mirror_text(object->is, "zone") : "global");
    if (unmake) {
        text_put(out, " --quiet\n");
        return;
    }
    put_reference(place, out, "network", mirror_text(object->is, "network"));
    put_reference(place, out, "forwarding-rule", mirror_text(object->is, "rule"));
    put_reference(place, out, "mirroring-deployment-group", mirror_text(object->is, "group"));
    put_reference(place, out, "mirroring-endpoint-group", mirror_text(object->is, "endpoint"));
    put_reference(place, out, "custom-mirroring-profile", mirror_text(object->is, "profile"));
    google_put_option(out, "labels", pair);
    if (kind != NSI_ASSOCIATION)
        google_put_option(out, "description", mark);
    text_put(out, "\n");
}

static void command_firewall(const struct mirror_job *job, int kind,
                             const struct mirror_object *object, bool unmake, struct text *out)
{
    const struct nsi_place *place = job->state;
    char policy[2 * GOOGLE_NAME_MAX], mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK];
    (void)snprintf(policy, sizeof policy, "%.*s", (int)strcspn(object->key, "/"), object->key);
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, job->name);
    text_format(out, "gcloud compute network-firewall-policies %s%s%s%s",
                kind == NSI_RULE         ? "mirroring-rules "
                : kind == NSI_ATTACHMENT ? "associations "
                                         : "",
                unmake ? "delete" : "create", kind == NSI_ATTACHMENT ? "" : " ",
                kind == NSI_RULE         ? google_last(object->key)
                : kind == NSI_ATTACHMENT ? ""
                                         : policy);
    google_put_option(out, "project", google_project(place->google));
    if (kind != NSI_POLICY)
        google_put_option(out, "firewall-policy", policy);
    if (kind == NSI_ATTACHMENT)
        google_put_option(out, "name", google_last(object->key));
    text_put(out, kind == NSI_POLICY ? " --global" : " --global-firewall-policy");
    if (!unmake && kind == NSI_ATTACHMENT)
        put_reference(place, out, "network", mirror_text(object->is, "network"));
    if (!unmake && kind != NSI_ATTACHMENT)
        google_put_option(out, "description", mark);
    if (!unmake && kind == NSI_RULE) {
        text_put(out, " --action=mirror");
        google_put_option(out, "direction", mirror_text(object->is, "direction"));
        google_put_option(out, "security-profile-group", mirror_text(object->is, "profile"));
        google_put_list(out, "src-ip-ranges", json_object_get(object->is, "from"));
        google_put_list(out, "dest-ip-ranges", json_object_get(object->is, "to"));
        google_put_list(out, "layer4-configs", json_object_get(object->is, "protocols"));
    }
    text_put(out, unmake ? " --quiet\n" : "\n");
}

void nsi_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out)
{
    int kind = nsi_kind_of(object);
    if (kind == NSI_N_KINDS)
        return;
    if (nsi_kinds[kind].type)
        command_security(job, kind, object, unmake, out);
    else
        command_firewall(job, kind, object, unmake, out);
}

/* ---- status ---- */

/* All of the chain has to be there; which link is missing is said. */
static bool is_whole(const struct cloud_nic *nic, char why[200], void *with)
{
    const struct mirror_set *found = with;
    size_t n[NSI_N_KINDS + 1] = {0};
    bool in_zone = false;
    if (nic->fate != CLOUD_WANTED) { /* no rule is for it */
        (void)snprintf(why, 200, "%s", nic->why);
        return false;
    }
    for (size_t i = 0; i < found->n; i++) {
        const struct mirror_object *object = &found->at[i];
        n[nsi_kind_of(object)]++;
        in_zone |= nsi_kind_of(object) == NSI_DEPLOYMENT &&
                   strcmp(mirror_text(object->is, "zone"), nic->zone) == 0;
    }
    for (int kind = 0; kind < NSI_POLICY; kind++)
        if (n[kind] == 0) {
            (void)snprintf(why, 200, "there is no %s", nsi_kinds[kind].word);
            return false;
        }
    if (n[NSI_RULE] == 0 || (n[NSI_POLICY] && n[NSI_ATTACHMENT] == 0))
        (void)snprintf(why, 200, "the network has no mirroring rule");
    else if (!in_zone)
        (void)snprintf(why, 200, "there is no deployment in its zone %.60s", nic->zone);
    else
        return true;
    return false;
}

int nsi_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
              struct err *err)
{
    struct nsi_place *place = job->state;
    return cloud_cover(&place->inventory, is_whole, (void *)(uintptr_t)found, out, err);
}

static void put_missing(const struct mirror_object *object, char out[GOOGLE_PATH_MAX])
{
    int kind = nsi_kind_of(object);
    const char *type = kind < NSI_POLICY ? nsi_kinds[kind].type : "firewallPolicies";
    (void)snprintf(out, GOOGLE_PATH_MAX, "%s/%.*s", type,
                   kind < NSI_POLICY ? (int)strlen(google_last(object->key))
                                     : (int)strcspn(object->key, "/"),
                   kind < NSI_POLICY ? google_last(object->key) : object->key);
}

int nsi_blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
              struct err *err)
{
    struct nsi_place *place = job->state;
    /* "…DeleteMirroringDeployment", "….firewallPolicies.delete": the search takes both. */
    return google_blame(place->google, "delete", missing, put_missing, out, err);
}

/* Google counts nothing. */
int nsi_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err)
{
    (void)job;
    (void)found;
    (void)err;
    *out = (struct mirror_measures){0};
    return 0;
}

/* All copies have VNI 0, and no Ethernet header: machines are known by their addresses. */
int nsi_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err)
{
    const struct nsi_wish *wish = job->wish;
    struct nsi_place *place = job->state;
    struct mirror_source like = {.filtered = wish->n_cidrs + wish->n_protocols > 0};
    (void)wanted;
    (void)snprintf(like.network, sizeof like.network, "%s", job->network);
    (void)snprintf(like.direction, sizeof like.direction, "%s",
                   wish->no_out  ? "in"
                   : wish->no_in ? "out"
                                 : "both");
    return cloud_sources(&place->inventory, NULL, &like, out, err);
}
