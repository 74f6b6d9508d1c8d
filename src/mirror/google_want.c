/* What a mirror of Google by Packet Mirroring should consist of: see google.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/cloud_parts.h"
#include "mirror/google.h"

/* ---- the collector ---- */

static int get(struct google_place *place, const char *path, struct cloud_reply *out,
               struct err *err)
{
    char whole[GOOGLE_PATH_MAX + 1];
    (void)snprintf(whole, sizeof whole, "/%s", google_path(path));
    return google_call(place->google, GOOGLE_COMPUTE, "GET", whole, NULL, out, err);
}

/* The collector's machines: of the groups behind the load balancer. */
static int find_own(struct google_place *place, const char *service, struct err *err)
{
    struct cloud_reply reply = {0};
    int result = *service ? get(place, service, &reply, err) : 0;
    size_t i, k;
    json_t *backend, *one;
    json_array_foreach(json_object_get(reply.body, "backends"), i, backend)
    {
        char path[GOOGLE_PATH_MAX + 32];
        json_t *instances = NULL, *body = json_object();
        struct cloud_reply list = {0};
        (void)snprintf(path, sizeof path, "/%s/listInstances?maxResults=500",
                       google_path(mirror_text(backend, "group")));
        if (result == 0)
            result = google_call(place->google, GOOGLE_COMPUTE, "POST", path, body, &list, err);
        instances = json_object_get(list.body, "items");
        json_array_foreach(instances, k, one)
        {
            (void)json_object_set_new(place->own, google_path(mirror_text(one, "instance")),
                                      json_true()); /* without memory the next call fails */
        }
        cloud_reply_done(&list);
        json_decref(body);
    }
    cloud_reply_done(&reply);
    return result;
}

/* A name, a path or a URL. */
static int find_collector(struct mirror_job *job, struct err *err)
{
    const struct google_wish *wish = job->wish;
    struct google_place *place = job->state;
    struct cloud_reply reply = {0};
    char path[GOOGLE_PATH_MAX];
    if (strchr(wish->to, '/'))
        (void)snprintf(path, sizeof path, "%s", google_path(wish->to));
    else
        (void)snprintf(path, sizeof path, "projects/%s/regions/%s/forwardingRules/%s",
                       google_project(place->google), wish->region ? wish->region : "", wish->to);
    if (!google_part(path, "regions", place->region) ||
        (wish->region && strcmp(place->region, wish->region) != 0))
        return err_set(err, -EINVAL,
                       wish->region ? "--to: %.200s is not in the region %s"
                                    : "--to: in which region is %.200s? --region%s",
                       wish->to, wish->region ? wish->region : "");
    int result = get(place, path, &reply, err);
    const json_t *rule = reply.body;
    if (result == 0 && !json_is_true(json_object_get(rule, "isMirroringCollector")))
        result = err_set(err, -EINVAL,
                         "--to: the forwarding rule %.100s is none for mirrors: it has to be made "
                         "with --is-mirroring-collector",
                         google_last(path));
    else if (result == 0 && strcmp(mirror_text(rule, "loadBalancingScheme"), "INTERNAL") != 0)
        result = err_set(err, -EINVAL, "--to: %.100s is of no internal load balancer",
                         google_last(path));
    if (result == 0) {
        (void)snprintf(place->collector, sizeof place->collector, "%s", path);
        if (wish->network && strchr(wish->network, '/'))
            (void)snprintf(place->network, sizeof place->network, "%s", google_path(wish->network));
        else if (wish->network)
            (void)snprintf(place->network, sizeof place->network, "projects/%s/global/networks/%s",
                           google_project(place->google), wish->network);
        else
            (void)snprintf(place->network, sizeof place->network, "%s",
                           google_path(mirror_text(rule, "network")));
        json_decref(place->own);
        place->own = json_object();
        result = find_own(place, mirror_text(rule, "backendService"), err);
    }
    cloud_reply_done(&reply);
    return result;
}

/* ---- the inventory ---- */

static bool same_network(const struct google_place *place, const json_t *thing)
{
    return strcmp(google_path(mirror_text(thing, "network")), place->network) == 0;
}

static bool is_in_region(const char *zone, void *with)
{
    const struct google_place *place = with;
    size_t len = strlen(place->region);
    return strncmp(zone, place->region, len) == 0 && zone[len] == '-';
}

static int take_inventory(struct google_place *place, struct err *err)
{
    cloud_inventory_done(&place->inventory);
    json_decref(place->paths);
    place->paths = json_object();
    int result = google_inventory(place->google, place->network, is_in_region, place,
                                  &place->inventory, place->paths, err);
    for (size_t i = 0; i < place->inventory.n; i++) {
        struct cloud_nic *nic = &place->inventory.at[i];
        if (!json_object_get(place->own, nic->machine))
            continue;
        nic->fate = CLOUD_OWN;
        (void)snprintf(nic->why, sizeof nic->why, "receives the copies");
    }
    return result;
}

static int take_subnets(struct google_place *place, struct err *err)
{
    char path[200];
    (void)snprintf(path, sizeof path, "/projects/%s/regions/%s/subnetworks?maxResults=500",
                   google_project(place->google), place->region);
    json_decref(place->subnets);
    place->subnets = NULL;
    return google_all(place->google, GOOGLE_COMPUTE, path, "items", NULL, &place->subnets, err);
}

/* ---- what is named: subnets, machines, tags ---- */

/* Whole subnets are meant, and all that comes into them. */
static bool wants_subnets(const struct google_wish *wish)
{
    const struct cloud_select *select = &wish->select;
    if (select->n_tags || select->n_exclude || select->n_machines || select->n_zones)
        return false;
    for (size_t i = 0; i < select->n_subnets; i++)
        if (strchr(select->subnets[i], '/') && !strstr(select->subnets[i], "subnetworks/"))
            return false; /* a prefix of addresses */
    return select->n_subnets || select->all || wish->n_tags == 0;
}

static bool is_named(const struct cloud_select *select, const char *path)
{
    for (size_t i = 0; i < select->n_subnets; i++)
        if (cloud_pattern_fits(select->subnets[i], google_last(path)) ||
            cloud_pattern_fits(google_path(select->subnets[i]), path))
            return true;
    return select->n_subnets == 0;
}

static bool has_own(const struct google_place *place, const char *subnet)
{
    for (size_t i = 0; i < place->inventory.n; i++) {
        const struct cloud_nic *nic = &place->inventory.at[i];
        if (nic->fate == CLOUD_OWN && strcmp(nic->subnet, subnet) == 0)
            return true;
    }
    return false;
}

static void choose_subnets(const struct google_wish *wish, struct google_place *place,
                           json_t *subnets, struct text *remarks)
{
    size_t i;
    json_t *subnet;
    json_array_foreach(place->subnets, i, subnet)
    {
        const char *path = google_path(mirror_text(subnet, "selfLink"));
        const char *purpose = mirror_text(subnet, "purpose");
        if (!same_network(place, subnet) || !is_named(&wish->select, path) ||
            (*purpose && strcmp(purpose, "PRIVATE") != 0))
            continue;
        if (has_own(place, path))
            text_format(remarks,
                        "the collector is in the subnet %s, which would mirror it, too: its other "
                        "machines are named one by one, and later ones only by the next apply\n",
                        google_last(path));
        else
            (void)json_array_append_new(subnets, json_string(path)); /* counted below */
    }
}

static bool has_tag(const struct google_wish *wish, const struct cloud_nic *nic)
{
    for (size_t i = 0; i < wish->n_tags; i++)
        if (json_object_get(nic->tags, wish->tags[i]))
            return true;
    return false;
}

/* With --network-tag alone nothing else is meant. */
static void choose_tagged(const struct google_wish *wish, struct google_place *place)
{
    bool only = wish->n_tags && cloud_select_is_empty(&wish->select);
    for (size_t i = 0; i < place->inventory.n; i++) {
        struct cloud_nic *nic = &place->inventory.at[i];
        if (has_tag(wish, nic) && nic->fate == CLOUD_NOT_SELECTED)
            nic->fate = CLOUD_WANTED;
        else if (only && !has_tag(wish, nic) && nic->fate == CLOUD_WANTED) {
            nic->fate = CLOUD_NOT_SELECTED;
            (void)snprintf(nic->why, sizeof nic->why, "it has none of the network tags");
        }
    }
}

static void choose_instances(const struct google_wish *wish, struct google_place *place,
                             const json_t *subnets, json_t *instances)
{
    for (size_t i = 0; i < place->inventory.n; i++) {
        const struct cloud_nic *nic = &place->inventory.at[i];
        json_t *path = json_object_get(place->paths, nic->id);
        if (nic->fate == CLOUD_WANTED && path && !google_has(subnets, nic->subnet) &&
            !has_tag(wish, nic))
            (void)json_array_append(instances, path); /* counted below */
    }
}

/* ---- the policies ---- */

static json_t *list_of(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, json_string(texts[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return google_sorted(list);
}

static bool has_ipv6(const struct google_place *place)
{
    for (size_t i = 0; i < place->inventory.n; i++)
        for (size_t k = 0; k < CLOUD_ADDRESSES_MAX && place->inventory.at[i].addresses[k][0]; k++)
            if (strchr(place->inventory.at[i].addresses[k], ':'))
                return true;
    return false;
}

/* What all policies have. Without ranges Google mirrors IPv4 only. */
static json_t *new_like(const struct google_wish *wish, const struct google_place *place)
{
    static const char *const both[] = {"0.0.0.0/0", "::/0"};
    bool more = wish->n_cidrs == 0 && has_ipv6(place);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:s}", "network", place->network, "collector",
                     place->collector, "cidrs",
                     more ? list_of(both, 2) : list_of(wish->cidrs, wish->n_cidrs), "protocols",
                     list_of(wish->protocols, wish->n_protocols), "direction",
                     wish->direction ? wish->direction : "BOTH", "enable", "TRUE");
}

/* Somebody else's policy of that name would be in the way. */
static int check_names(const struct mirror_job *job, struct err *err)
{
    const struct google_place *place = job->state;
    char stem[48];
    size_t i;
    json_t *policy;
    google_put_stem(job->name, stem);
    json_array_foreach(place->policies, i, policy)
    {
        const char *name = mirror_text(policy, "name");
        size_t len = strlen(stem);
        if (strncmp(name, stem, len) == 0 && name[len] == '-' &&
            strspn(name + len + 1, "0123456789") == strlen(name + len + 1) &&
            !google_is_ours(policy, job->name))
            return err_set(err, -EEXIST,
                           "there is a policy %s already, which is not ours (its description is "
                           "not %s%s): give this mirror another --name",
                           name, GOOGLE_MARK, job->name);
    }
    return 0;
}

static int add_policies(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                        struct err *err)
{
    const struct google_wish *wish = job->wish;
    struct google_place *place = job->state;
    json_t *subnets = json_array(), *instances = json_array();
    int result = 0;
    if (wants_subnets(wish))
        choose_subnets(wish, place, subnets, remarks);
    choose_instances(wish, place, subnets, instances);
    subnets = google_sorted(subnets);
    instances = google_sorted(instances);
    json_t *tags = list_of(wish->tags, wish->n_tags), *like = new_like(wish, place);
    if (!subnets || !instances || !tags || !like)
        result = err_set(err, -ENOMEM, "out of memory");
    else if (json_array_size(subnets) + json_array_size(instances) + json_array_size(tags) == 0)
        text_put(remarks, "nothing is left to be mirrored\n");
    if (result == 0)
        result = google_pack(job, instances, subnets, tags, like, out, err);
    json_decref(subnets);
    json_decref(instances);
    json_decref(tags);
    json_decref(like);
    return result;
}

int google_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                struct err *err)
{
    const struct google_wish *wish = job->wish;
    struct google_place *place = job->state;
    int result = google_look(place, err);
    if (result == 0)
        result = check_names(job, err);
    if (result == 0)
        result = find_collector(job, err);
    if (result == 0)
        result = take_inventory(place, err);
    if (result == 0)
        result = take_subnets(place, err);
    if (result < 0)
        return result;
    cloud_select(&wish->select, &place->inventory, remarks);
    choose_tagged(wish, place);
    text_put(remarks, "copies come as they are, without a tunnel: watch has to read the "
                      "collector's interface (-i), and knows machines by their addresses\n");
    return add_policies(job, out, remarks, err);
}
