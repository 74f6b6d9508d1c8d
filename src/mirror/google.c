/* Mirrors of Google by Packet Mirroring: the provider's options, its words and commands. See
 * google.h. */
#include "mirror/google.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


enum row {
    ROW_PROJECT = CLOUD_N_SELECT,
    ROW_REGION,
    ROW_NETWORK,
    ROW_TO,
    ROW_NETWORK_TAG,
    ROW_DIRECTION,
    ROW_CIDR,
    ROW_PROTOCOL,
    ROW_ENDPOINT,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    CLOUD_SELECT_ROWS,
    [ROW_PROJECT] = {0, "project", "ID", false,
                     "default: GOOGLE_CLOUD_PROJECT, or that of the credentials"},
    [ROW_REGION] = {0, "region", "NAME", false, "where the machines and the collector are"},
    [ROW_NETWORK] = {0, "vpc", "NAME", false,
                     "the network whose machines are mirrored (default: the collector's network)"},
    [ROW_TO] = {0, "to", "RULE", false,
                "the collector: the forwarding rule, made with --is-mirroring-collector, of an\n"
                "internal load balancer in the region, by name or URL"},
    [ROW_NETWORK_TAG] = {0, "network-tag", "TAG", false,
                         "all machines with this network tag, also later ones; up to 5"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false, "in, out or both (default)"},
    [ROW_CIDR] = {0, "cidr", "PREFIX", false,
                  "only traffic with these addresses; may be repeated (default: all)"},
    [ROW_PROTOCOL] = {0, "protocol", "NAME", false,
                      "only tcp, udp, icmp, …, or a number; may be repeated (default: all)"},
    [ROW_ENDPOINT] = {0, "endpoint", "URL", false, "in the place of https://….googleapis.com"},
    {0}};

/* ---- the wish ---- */

static int take(int row, const char *value, void *with, struct err *err)
{
    static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    struct google_wish *wish = with;
    int direction = 0, result;
    if (row < CLOUD_N_SELECT)
        return cloud_select_take(row, value, &wish->select, err);
    switch ((enum row)row) {
    case ROW_PROJECT:
        wish->project = value;
        return 0;
    case ROW_REGION:
        if (!*value || strspn(value, names) != strlen(value) || strlen(value) >= GOOGLE_NAME_MAX)
            return err_set(err, -EINVAL, "--region: '%.64s' is no region's name", value);
        wish->region = value;
        return 0;
    case ROW_NETWORK:
        if (!*value || strlen(value) >= GOOGLE_PATH_MAX || strpbrk(value, "?#% "))
            return err_set(err, -EINVAL, "--vpc: '%.64s' is no network", value);
        wish->network = value;
        return 0;
    case ROW_TO:
        if (!*value || strlen(value) >= GOOGLE_PATH_MAX || strpbrk(value, "?#% "))
            return err_set(err, -EINVAL, "--to: '%.64s' is no forwarding rule", value);
        wish->to = value;
        return 0;
    case ROW_NETWORK_TAG:
        if (!*value || strspn(value, names) != strlen(value))
            return err_set(err, -EINVAL, "--network-tag: '%.64s' is no tag", value);
        return mirror_option_add("--network-tag", value, wish->tags, &wish->n_tags, GOOGLE_TAGS_MAX,
                                 err);
    case ROW_DIRECTION:
        result = mirror_option_direction(value, &direction, err);
        if (result == 0)
            wish->direction = direction == MIRROR_IN    ? "INGRESS"
                              : direction == MIRROR_OUT ? "EGRESS"
                                                        : "BOTH";
        return result;
    case ROW_CIDR:
        if (!mirror_option_is_prefix(value))
            return err_set(err, -EINVAL, "--cidr: '%.64s' is no prefix: 10.1.0.0/16", value);
        return mirror_option_add("--cidr", value, wish->cidrs, &wish->n_cidrs, GOOGLE_LIST_MAX,
                                 err);
    case ROW_PROTOCOL:
        if (!*value || strspn(value, names) != strlen(value))
            return err_set(err, -EINVAL, "--protocol: '%.20s' is no protocol", value);
        return mirror_option_add("--protocol", value, wish->protocols, &wish->n_protocols,
                                 GOOGLE_LIST_MAX, err);
    case ROW_ENDPOINT:
        wish->endpoint = value;
        return 0;
    case N_ROWS:
        break;
    }
    return 0;
}

static int check(struct mirror_job *job, struct err *err)
{
    const struct google_wish *wish = job->wish;
    if (job->partial)
        return 0;
    if (!wish->to)
        return err_set(err, -EINVAL, "where to? --to RULE, the collector's forwarding rule");
    if (!wish->region && !strstr(wish->to, "/regions/"))
        return err_set(err, -EINVAL, "which region? --region NAME");
    if (!wish->network && !wish->n_tags && cloud_select_is_empty(&wish->select))
        return err_set(err, -EINVAL,
                       "what is to be mirrored? --vpc NAME, --subnet, --instance, --tag, "
                       "--network-tag or --all-instances");
    if (!job->name[0])
        (void)snprintf(job->name, sizeof job->name, "%.*s", MIRROR_NAME_MAX - 1,
                       google_last(wish->network ? wish->network : wish->to));
    return 0;
}

/* ---- the cloud ---- */

static void put_recorded(const struct mirror_job *job, char out[GOOGLE_NAME_MAX])
{
    for (size_t i = 0; i < job->recorded.n; i++)
        if (google_part(mirror_text(job->recorded.at[i].is, "collector"), "projects", out))
            return;
}

static int open_cloud(struct mirror_job *job, struct err *err)
{
    const struct google_wish *wish = job->wish;
    struct google_place *place = calloc(1, sizeof *place);
    char recorded[GOOGLE_NAME_MAX] = "";
    if (!place)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = place;
    if (!wish) /* of all providers: this one is asked only by its name */
        return 0;
    put_recorded(job, recorded);
    const struct google_options options = {.project = wish->project || !recorded[0] ? wish->project
                                                                                    : recorded,
                                           .endpoint = wish->endpoint};
    int result = cloud_http_open(job->world, &place->http, err);
    return result < 0 ? result : google_open(&options, place->http, &place->google, err);
}

static int again(struct mirror_job *job, struct err *err)
{
    struct google_place *place = job->state;
    const struct google_place kept = {.http = place->http, .google = place->google};
    (void)err;
    cloud_inventory_done(&place->inventory);
    json_decref(place->policies);
    json_decref(place->subnets);
    json_decref(place->own);
    json_decref(place->paths);
    *place = kept;
    return 0;
}

static void close_cloud(struct mirror_job *job)
{
    struct google_place *place = job->state;
    if (!place)
        return;
    (void)again(job, NULL); /* it frees all else, and can't fail */
    google_close(place->google);
    cloud_http_close(place->http);
    free(place);
    job->state = NULL;
}

static int names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                 struct err *err)
{
    struct google_place *place = job->state;
    *out = NULL;
    *out_n = 0;
    if (!place->google) /* nobody asked for Google */
        return 0;
    int result = google_look(place, err);
    return result < 0 ? result : google_marked_names(place->policies, out, out_n, err);
}

/* ---- status ---- */

struct covering {
    const struct google_place *place;
    const struct mirror_set *found;
};

static bool has_policy(const struct cloud_nic *nic, char why[200], void *with)
{
    const struct covering *covering = with;
    const char *path = json_string_value(json_object_get(covering->place->paths, nic->id));
    bool off = false;
    for (size_t i = 0; i < covering->found->n; i++) {
        const json_t *is = covering->found->at[i].is, *tags = json_object_get(is, "tags");
        bool names = google_has(json_object_get(is, "subnets"), nic->subnet) ||
                     (path && google_has(json_object_get(is, "instances"), path));
        for (size_t k = 0; !names && k < json_array_size(tags); k++)
            names = json_object_get(nic->tags, json_string_value(json_array_get(tags, k))) != NULL;
        if (names && strcmp(mirror_text(is, "enable"), "TRUE") == 0)
            return true;
        off |= names;
    }
    (void)snprintf(why, 200, "%s", off ? "its policy is switched off" : "no policy names it");
    return false;
}

static int cover(struct mirror_job *job, const struct mirror_set *found,
                 struct mirror_coverage *out, struct err *err)
{
    struct google_place *place = job->state;
    struct covering covering = {place, found};
    return cloud_cover(&place->inventory, has_policy, &covering, out, err);
}

static void put_missing(const struct mirror_object *object, char out[GOOGLE_PATH_MAX])
{
    (void)snprintf(out, GOOGLE_PATH_MAX, "/packetMirrorings/%s", google_last(object->key));
}

static int blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
                 struct err *err)
{
    struct google_place *place = job->state;
    return google_blame(place->google, "compute.packetMirrorings.delete", missing, put_missing, out,
                        err);
}

/* Google counts nothing. */
static int measure(struct mirror_job *job, const struct mirror_set *found,
                   struct mirror_measures *out, struct err *err)
{
    (void)job;
    (void)found;
    (void)err;
    *out = (struct mirror_measures){0};
    return 0;
}

static int sources(struct mirror_job *job, const struct mirror_set *wanted,
                   struct mirror_sources *out, struct err *err)
{
    const struct google_wish *wish = job->wish;
    struct google_place *place = job->state;
    const char *direction = wish->direction ? wish->direction : "BOTH";
    /* No collector: the load balancer's address is none of those behind it. */
    struct mirror_source like = {.filtered = wish->n_cidrs + wish->n_protocols > 0};
    (void)wanted;
    (void)snprintf(like.network, sizeof like.network, "%s", job->network);
    (void)snprintf(like.direction, sizeof like.direction, "%s",
                   strcmp(direction, "INGRESS") == 0  ? "in"
                   : strcmp(direction, "EGRESS") == 0 ? "out"
                                                      : "both");
    return cloud_sources(&place->inventory, NULL, &like, out, err);
}

/* ---- words ---- */

static void put_some(struct text *out, const json_t *list, const char *what)
{
    size_t n = json_array_size(list);
    if (n == 0)
        return;
    text_format(out, "%s%zu %s%s", out->size && out->at[out->size - 1] != ' ' ? ", " : "", n, what,
                n == 1 ? "" : "s");
    if (n <= 3)
        for (size_t i = 0; i < n; i++)
            text_format(out, "%s%s%s", i ? ", " : " (",
                        google_last(json_string_value(json_array_get(list, i))),
                        i + 1 == n ? ")" : "");
}

static void describe(const struct mirror_object *object, struct text *out)
{
    const json_t *is = object->is;
    text_format(out, "packet mirroring policy %s: ", object->key);
    put_some(out, json_object_get(is, "subnets"), "subnet");
    put_some(out, json_object_get(is, "instances"), "machine");
    put_some(out, json_object_get(is, "tags"), "network tag");
    text_format(out, " to %s", google_last(mirror_text(is, "collector")));
    if (strcmp(mirror_text(is, "enable"), "TRUE") != 0)
        text_put(out, ", switched off");
}

static void command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                    struct text *out)
{
    const struct google_place *place = job->state;
    const json_t *is = object->is;
    char region[GOOGLE_NAME_MAX], mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK];
    (void)snprintf(region, sizeof region, "%.*s", (int)strcspn(object->key, "/"), object->key);
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, job->name);
    text_format(out, "gcloud compute packet-mirrorings %s %s", unmake ? "delete" : "create",
                google_last(object->key));
    google_put_option(out, "project", google_project(place->google));
    google_put_option(out, "region", region);
    if (unmake) {
        text_put(out, " --quiet\n");
        return;
    }
    google_put_option(out, "description", mark);
    google_put_option(out, "network", mirror_text(is, "network"));
    google_put_option(out, "collector-ilb", mirror_text(is, "collector"));
    google_put_list(out, "mirrored-subnets", json_object_get(is, "subnets"));
    google_put_list(out, "mirrored-instances", json_object_get(is, "instances"));
    google_put_list(out, "mirrored-tags", json_object_get(is, "tags"));
    google_put_list(out, "filter-cidr-ranges", json_object_get(is, "cidrs"));
    google_put_list(out, "filter-protocols", json_object_get(is, "protocols"));
    google_put_option(out, "filter-direction", mirror_text(is, "direction"));
    text_put(out, "\n");
}

const struct mirror_provider provider_google = {
    .name = "google",
    .summary = "Mirrors machines of Google Cloud by Packet Mirroring",
    .usage = "plan|apply|status|remove google --region NAME --vpc NAME --to RULE [OPTION]…",
    .more =
        "Credentials are Google's application default ones. Policies of others are left alone.\n"
        "cloudspan mirror plan google … --print gives the gcloud commands.\n",
    .options = rows,
    .wish_size = sizeof(struct google_wish),
    .wish_take = take,
    .wish_check = check,
    .open = open_cloud,
    .close = close_cloud,
    .again = again,
    .want = google_want,
    .find = google_find,
    .names = names,
    .make = google_make,
    .may_change = google_may_change,
    .change = google_change,
    .unmake = google_unmake,
    .keeps = true,
    .cover = cover,
    .blame = blame,
    .measure = measure,
    .sources = sources,
    .describe = describe,
    .command = command,
};
