/* Mirrors of Google by Network Security Integration: the provider's options, its words and
 * commands. See nsi.h. */
#include "mirror/nsi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


enum row {
    ROW_PROJECT,
    ROW_ORGANIZATION,
    ROW_VPC,
    ROW_TO,
    ROW_CIDR,
    ROW_PROTOCOL,
    ROW_DIRECTION,
    ROW_POLICY,
    ROW_PRIORITY,
    ROW_ENDPOINT,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    [ROW_PROJECT] = {0, "project", "ID", false,
                     "default: GOOGLE_CLOUD_PROJECT, or that of the credentials"},
    [ROW_ORGANIZATION] = {0, "organization", "NUMBER", false,
                          "that the project belongs to: security profiles are the organization's"},
    [ROW_VPC] = {0, "vpc", "NAME", false, "the network whose machines are mirrored"},
    [ROW_TO] =
        {0, "to", "ZONE:RULE", false,
         "the collector of a zone: the forwarding rule, for UDP at port 6081, of an internal\n"
         "load balancer; may be repeated. Zones without one are not mirrored"},
    [ROW_CIDR] = {0, "cidr", "PREFIX", false,
                  "only machines with addresses in these prefixes, IPv4 or IPv6; may be\n"
                  "repeated (default: all)"},
    [ROW_PROTOCOL] = {0, "protocol", "NAME", false,
                      "only tcp, udp, icmp, …, or a number; may be repeated (default: all)"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false, "in, out or both (default)"},
    [ROW_POLICY] = {0, "firewall-policy", "NAME", false,
                    "puts the mirroring rules into this one, which the network has already"},
    [ROW_PRIORITY] = {0, "priority", "N", false,
                      "of the rule for what comes in (default 1000); the other has N + 1"},
    [ROW_ENDPOINT] = {0, "endpoint", "URL", false, "in the place of https://….googleapis.com"},
    {0}};

/* ---- the wish ---- */

static bool is_word(const char *value, size_t most)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    return *value && strlen(value) < most && strspn(value, letters) == strlen(value);
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct nsi_wish *wish = with;
    int direction = 0, result;
    uint64_t number;
    switch ((enum row)row) {
    case ROW_PROJECT:
        wish->project = value;
        return 0;
    case ROW_ORGANIZATION:
        if (!*value || strspn(value, "0123456789") != strlen(value) || strlen(value) > 20)
            return err_set(err, -EINVAL,
                           "--organization: '%.40s' is no number (gcloud organizations list)",
                           value);
        wish->organization = value;
        return 0;
    case ROW_VPC:
        if (!*value || strlen(value) >= GOOGLE_PATH_MAX || strpbrk(value, "?#% "))
            return err_set(err, -EINVAL, "--vpc: '%.64s' is no network", value);
        wish->vpc = value;
        return 0;
    case ROW_TO:
        if (!strchr(value, ':') || strlen(value) >= GOOGLE_PATH_MAX || strpbrk(value, "?#% "))
            return err_set(err, -EINVAL, "--to: '%.100s' is no ZONE:RULE: europe-west3-a:collector",
                           value);
        return mirror_option_add("--to", value, wish->to, &wish->n_to, NSI_ZONES_MAX, err);
    case ROW_CIDR:
        if (!mirror_option_is_prefix(value))
            return err_set(err, -EINVAL, "--cidr: '%.64s' is no prefix: 10.1.0.0/16", value);
        return mirror_option_add("--cidr", value, wish->cidrs, &wish->n_cidrs, GOOGLE_LIST_MAX,
                                 err);
    case ROW_PROTOCOL:
        if (!is_word(value, 20))
            return err_set(err, -EINVAL, "--protocol: '%.20s' is no protocol", value);
        return mirror_option_add("--protocol", value, wish->protocols, &wish->n_protocols,
                                 GOOGLE_LIST_MAX, err);
    case ROW_DIRECTION:
        result = mirror_option_direction(value, &direction, err);
        wish->no_in = result == 0 && direction == MIRROR_OUT;
        wish->no_out = result == 0 && direction == MIRROR_IN;
        return result;
    case ROW_POLICY:
        if (!is_word(value, GOOGLE_NAME_MAX))
            return err_set(err, -EINVAL, "--firewall-policy: '%.64s' is no policy's name", value);
        wish->policy = value;
        return 0;
    case ROW_PRIORITY:
        if (!options_number(value, 2147483547 - NSI_RULES + 1, &number) || number == 0)
            return err_set(err, -EINVAL, "--priority: '%.20s' is no priority", value);
        wish->priority = (uint32_t)number;
        return 0;
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
    const struct nsi_wish *wish = job->wish;
    if (job->partial)
        return 0;
    if (!wish->vpc)
        return err_set(err, -EINVAL, "which network is to be mirrored? --vpc NAME");
    if (wish->n_to == 0)
        return err_set(err, -EINVAL,
                       "where to? --to ZONE:RULE, the forwarding rule of a collector");
    if (!wish->organization)
        return err_set(err, -EINVAL, "which organization? --organization NUMBER");
    if (!job->name[0])
        (void)snprintf(job->name, sizeof job->name, "%.*s", MIRROR_NAME_MAX - 1,
                       google_last(wish->vpc));
    return 0;
}

/* ---- the cloud ---- */

/* What the journal knows is in an organization. */
static void put_organization(const struct mirror_job *job, char out[GOOGLE_NAME_MAX])
{
    const struct nsi_wish *wish = job->wish;
    if (wish->organization) {
        (void)snprintf(out, GOOGLE_NAME_MAX, "%s", wish->organization);
        return;
    }
    for (size_t i = 0; i < job->recorded.n; i++)
        if (google_part(mirror_text(job->recorded.at[i].is, "profile"), "organizations", out))
            return;
}

static int open_cloud(struct mirror_job *job, struct err *err)
{
    const struct nsi_wish *wish = job->wish;
    struct nsi_place *place = calloc(1, sizeof *place);
    if (!place)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = place;
    if (!wish) /* of all providers: this one is asked only by its name */
        return 0;
    put_organization(job, place->organization);
    const char *recorded = NULL;
    for (size_t i = 0; !recorded && i < job->recorded.n; i++)
        recorded = json_string_value(json_object_get(job->recorded.at[i].is, "project"));
    const struct google_options options = {.project = wish->project ? wish->project : recorded,
                                           .endpoint = wish->endpoint};
    int result = cloud_http_open(job->world, &place->http, err);
    return result < 0 ? result : google_open(&options, place->http, &place->google, err);
}

static int again(struct mirror_job *job, struct err *err)
{
    struct nsi_place *place = job->state;
    const struct nsi_place kept = {.http = place->http, .google = place->google};
    (void)err;
    cloud_inventory_done(&place->inventory);
    for (int i = 0; i < NSI_N_KINDS; i++)
        json_decref(place->things[i]);
    json_decref(place->paths);
    *place = kept;
    if (job->wish)
        put_organization(job, place->organization);
    return 0;
}

static void close_cloud(struct mirror_job *job)
{
    struct nsi_place *place = job->state;
    if (!place)
        return;
    (void)again(job, NULL); /* it frees all else, and can't fail */
    google_close(place->google);
    cloud_http_close(place->http);
    free(place);
    job->state = NULL;
}

/* By the descriptions of deployment groups: labels have no capital letters. Their names are
 * "projects/…", of which the last part counts. */
static int names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                 struct err *err)
{
    struct nsi_place *place = job->state;
    size_t i;
    json_t *group;
    *out = NULL;
    *out_n = 0;
    if (!place->google) /* nobody asked for Google */
        return 0;
    int result = nsi_look(place, err);
    if (result < 0)
        return result;
    json_t *groups = json_array();
    json_array_foreach(place->things[NSI_GROUP], i, group)
    {
        if (json_array_append_new(
                groups, json_pack("{s:s, s:s}", "name", google_last(mirror_text(group, "name")),
                                  "description", mirror_text(group, "description"))) < 0)
            result = err_set(err, -ENOMEM, "out of memory");
    }
    if (result == 0)
        result = google_marked_names(groups, out, out_n, err);
    json_decref(groups);
    return result;
}

const struct mirror_provider provider_google_nsi = {
    .name = "google-nsi",
    .summary = "Mirrors a network of Google Cloud by Network Security Integration",
    .usage = "plan|apply|status|remove google-nsi --organization NUMBER --vpc NAME --to ZONE:RULE "
             "[OPTION]…",
    .more =
        "Copies come as GENEVE. Credentials are Google's application default ones. What others\n"
        "made is left alone. cloudspan mirror plan google-nsi … --print gives the gcloud "
        "commands.\n",
    .options = rows,
    .wish_size = sizeof(struct nsi_wish),
    .wish_take = take,
    .wish_check = check,
    .open = open_cloud,
    .close = close_cloud,
    .again = again,
    .want = nsi_want,
    .find = nsi_find,
    .names = names,
    .make = nsi_make,
    .unmake = nsi_unmake,
    .keeps = true,
    .cover = nsi_cover,
    .blame = nsi_blame,
    .measure = nsi_measure,
    .sources = nsi_sources,
    .describe = nsi_describe,
    .command = nsi_command,
};
