/* What a mirror by Network Security Integration should consist of: see nsi.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/nsi.h"

#define EVERYWHERE4 "0.0.0.0/0"
#define EVERYWHERE6 "::/0"

/* ---- collectors ---- */

/* "europe-west3-a:rule"; false: it is none. */
static bool split(const char *to, char zone[GOOGLE_NAME_MAX], char region[GOOGLE_NAME_MAX],
                  const char **out_rule)
{
    size_t len = strcspn(to, ":");
    if (len == 0 || len >= GOOGLE_NAME_MAX || to[len] != ':' || !to[len + 1])
        return false;
    memcpy(zone, to, len);
    zone[len] = '\0';
    const char *dash = strrchr(zone, '-');
    if (!dash || dash == zone)
        return false;
    (void)snprintf(region, GOOGLE_NAME_MAX, "%.*s", (int)(dash - zone), zone);
    *out_rule = to + len + 1;
    return true;
}

static int check_rule(const json_t *rule, const char *name, struct err *err)
{
    if (strcmp(mirror_text(rule, "loadBalancingScheme"), "INTERNAL") != 0)
        return err_set(err, -EINVAL, "--to: %.100s is of no internal load balancer", name);
    if (strcmp(mirror_text(rule, "IPProtocol"), "UDP") != 0 ||
        (!google_has(json_object_get(rule, "ports"), NSI_GENEVE) &&
         !json_is_true(json_object_get(rule, "allPorts"))))
        return err_set(
            err, -EINVAL,
            "--to: the forwarding rule %.100s does not take UDP at port %s, by which the "
            "copies come (GENEVE)",
            name, NSI_GENEVE);
    return 0;
}

/* The forwarding rule's path; what it says of the collectors' network. */
static int find_collector(struct nsi_place *place, const char *to, char out[GOOGLE_PATH_MAX],
                          struct err *err)
{
    char zone[GOOGLE_NAME_MAX], region[GOOGLE_NAME_MAX], path[GOOGLE_PATH_MAX + 1];
    const char *name;
    struct cloud_reply reply = {0};
    if (!split(to, zone, region, &name))
        return err_set(err, -EINVAL, "--to: '%.100s' is no ZONE:RULE: europe-west3-a:collector",
                       to);
    if (strchr(name, '/'))
        (void)snprintf(out, GOOGLE_PATH_MAX, "%.*s", GOOGLE_PATH_MAX - 1, google_path(name));
    else
        (void)snprintf(out, GOOGLE_PATH_MAX, "projects/%s/regions/%s/forwardingRules/%.120s",
                       google_project(place->google), region, name);
    (void)snprintf(path, sizeof path, "/%.318s", out);
    int result = google_call(place->google, GOOGLE_COMPUTE, "GET", path, NULL, &reply, err);
    if (result == 0)
        result = check_rule(reply.body, google_last(out), err);
    const char *network = google_path(mirror_text(reply.body, "network"));
    if (result == 0 && place->collector[0] && strcmp(place->collector, network) != 0)
        result = err_set(err, -EINVAL, "--to: the collectors are in several networks: %s and %s",
                         google_last(place->collector), google_last(network));
    if (result == 0)
        (void)snprintf(place->collector, sizeof place->collector, "%s", network);
    cloud_reply_done(&reply);
    return result;
}

/* ---- the inventory ---- */

static bool has_zone(const struct nsi_wish *wish, const char *zone)
{
    size_t len = strlen(zone);
    for (size_t i = 0; i < wish->n_to; i++)
        if (strncmp(wish->to[i], zone, len) == 0 && wish->to[i][len] == ':')
            return true;
    return false;
}

/* Those of --cidr that are of this family. */
static size_t prefixes_of(const struct nsi_wish *wish, bool is_v6, const char *out[GOOGLE_LIST_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < wish->n_cidrs; i++)
        if ((strchr(wish->cidrs[i], ':') != NULL) == is_v6)
            out[n++] = wish->cidrs[i];
    return n;
}

/* What the rules leave out; and which of the others are unfit is said. */
static void select_machines(const struct nsi_wish *wish, struct nsi_place *place,
                            struct text *remarks)
{
    struct cloud_select select = {.all = wish->n_cidrs == 0, .n_subnets = wish->n_cidrs};
    for (size_t i = 0; i < wish->n_cidrs; i++)
        select.subnets[i] = wish->cidrs[i];
    cloud_select(&select, &place->inventory, remarks);
    for (size_t i = 0; i < place->inventory.n; i++) {
        struct cloud_nic *nic = &place->inventory.at[i];
        if (nic->fate == CLOUD_NOT_SELECTED)
            (void)snprintf(nic->why, sizeof nic->why, "its address is in no prefix of --cidr");
    }
}

static int take_inventory(const struct mirror_job *job, struct text *remarks, struct err *err)
{
    const struct nsi_wish *wish = job->wish;
    struct nsi_place *place = job->state;
    const char *prefixes[GOOGLE_LIST_MAX];
    size_t n_ipv6 = 0;
    cloud_inventory_done(&place->inventory);
    json_decref(place->paths);
    place->paths = json_object();
    place->has_ipv6 = false;
    int result = google_inventory(place->google, place->vpc, NULL, NULL, &place->inventory,
                                  place->paths, err);
    for (size_t i = 0; i < place->inventory.n; i++) {
        struct cloud_nic *nic = &place->inventory.at[i];
        bool is_v6 = strchr(nic->addresses[0], ':') || strchr(nic->addresses[1], ':');
        n_ipv6 += is_v6;
        place->has_ipv6 |= is_v6 && has_zone(wish, nic->zone);
        if (has_zone(wish, nic->zone))
            continue;
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why, "no collector in its zone %.40s: --to %.40s:RULE",
                       nic->zone, nic->zone);
    }
    if (result == 0 && n_ipv6 && wish->n_cidrs && prefixes_of(wish, true, prefixes) == 0)
        text_format(remarks,
                    "no --cidr is of IPv6: what %zu machines send and receive over that is not "
                    "mirrored\n",
                    n_ipv6);
    if (result == 0)
        select_machines(wish, place, remarks);
    return result;
}

/* ---- the firewall policy ---- */

static const json_t *policy_of(const struct nsi_place *place, const char *network)
{
    size_t i, k;
    json_t *policy, *one;
    json_array_foreach(place->things[NSI_POLICY], i, policy)
    {
        json_array_foreach(json_object_get(policy, "associations"), k, one)
        {
            if (strcmp(nsi_short(place, mirror_text(one, "attachmentTarget")),
                       nsi_short(place, network)) == 0)
                return policy;
        }
    }
    return NULL;
}

static int check_priorities(const struct mirror_job *job, const json_t *policy, uint32_t first,
                            struct err *err)
{
    char mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK];
    size_t i;
    json_t *rule;
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, job->name);
    json_array_foreach(json_object_get(policy, "packetMirroringRules"), i, rule)
    {
        json_int_t priority = json_integer_value(json_object_get(rule, "priority"));
        if (priority >= first && priority < (json_int_t)first + NSI_RULES &&
            strcmp(mirror_text(rule, "description"), mark) != 0)
            return err_set(err, -EEXIST,
                           "the firewall policy %s has a mirroring rule of somebody else's with "
                           "the priority %d: give another --priority",
                           mirror_text(policy, "name"), (int)priority);
    }
    return 0;
}

/* The policy's name; *out_ours: it is made by us. */
static int choose_policy(const struct mirror_job *job, char out[GOOGLE_NAME_MAX], bool *out_ours,
                         struct err *err)
{
    const struct nsi_wish *wish = job->wish;
    const struct nsi_place *place = job->state;
    const json_t *policy = policy_of(place, place->vpc);
    const char *name = mirror_text(policy, "name");
    *out_ours = !policy || google_is_ours(policy, job->name);
    if (policy && !*out_ours && (!wish->policy || strcmp(wish->policy, name) != 0))
        return err_set(err, -EEXIST,
                       "the network %s has the firewall policy %s, and can have no second one: "
                       "--firewall-policy %s puts the mirroring rules into that",
                       google_last(place->vpc), name, name);
    if (*out_ours && wish->policy)
        return err_set(err, -EINVAL,
                       "--firewall-policy: %.64s is not associated with the network "
                       "%s",
                       wish->policy, google_last(place->vpc));
    if (*out_ours)
        google_put_stem(job->name, out);
    else
        (void)snprintf(out, GOOGLE_NAME_MAX, "%.63s", name);
    return check_priorities(job, policy, wish->priority ? wish->priority : NSI_PRIORITY, err);
}

/* ---- objects ---- */

/* One that is called as ours would be, and lacks our label. */
static int check_names(const struct mirror_job *job, struct err *err)
{
    const struct nsi_place *place = job->state;
    char label[48], stem[48];
    size_t i;
    json_t *thing;
    google_put_stem(job->name, stem);
    nsi_put_label(job->name, label);
    for (int kind = 0; kind <= NSI_POLICY; kind++)
        json_array_foreach(place->things[kind], i, thing)
        {
            bool ours =
                kind == NSI_POLICY
                    ? google_is_ours(thing, job->name)
                    : strcmp(mirror_text(json_object_get(thing, "labels"), NSI_LABEL), label) == 0;
            if (strcmp(google_last(mirror_text(thing, "name")), stem) == 0 && !ours)
                return err_set(err, -EEXIST,
                               "there is a %s %s already, which is not ours: give this mirror "
                               "another --name",
                               nsi_kinds[kind].word, stem);
        }
    return 0;
}

static struct mirror_object *add(struct mirror_set *out, int kind, const char *key, json_t *is,
                                 const char *why)
{
    struct mirror_object *object = mirror_set_add(out, nsi_kinds[kind].name, key, is);
    mirror_object_why(object, "%s", why);
    return object;
}

/* `otherwise`: where there is none of them. */
static json_t *texts_of(const char *const *texts, size_t n, const char *otherwise)
{
    json_t *list = json_array();
    bool ok = list && (n || json_array_append_new(list, json_string(otherwise)) == 0);
    for (size_t i = 0; ok && i < n; i++)
        ok = json_array_append_new(list, json_string(texts[i])) == 0;
    if (!ok) {
        json_decref(list);
        return NULL;
    }
    return google_sorted(list);
}

/* A rule has prefixes of one family. Where they are given they are the machines': the destination
 * of what comes in. */
static void add_rule(struct mirror_job *job, const char *policy, const char *profile, bool in,
                     bool is_v6, struct mirror_set *out)
{
    const struct nsi_wish *wish = job->wish;
    uint32_t priority =
        (wish->priority ? wish->priority : NSI_PRIORITY) + (in ? 0 : 1) + (is_v6 ? 2 : 0);
    const char *everywhere = is_v6 ? EVERYWHERE6 : EVERYWHERE4, *prefixes[GOOGLE_LIST_MAX];
    size_t n = prefixes_of(wish, is_v6, prefixes);
    char key[2 * GOOGLE_NAME_MAX], stem[48];
    json_t *own = texts_of(prefixes, n, everywhere), *others = texts_of(NULL, 0, everywhere);
    google_put_stem(job->name, stem);
    (void)snprintf(key, sizeof key, "%.63s/%u", policy, priority);
    struct mirror_object *rule =
        add(out, NSI_RULE, key,
            json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "action", "mirror", "direction",
                      in ? "INGRESS" : "EGRESS", "profile", profile, "from", in ? others : own,
                      "to", in ? own : others, "protocols",
                      texts_of(wish->protocols, wish->n_protocols, "all"), "disabled", false),
            in ? "copies what machines receive" : "copies what machines send");
    /* Nobody asked for it in so many words: what Google says to it must not cost the rest. */
    if (rule && is_v6 && n == 0)
        rule->may_lack = true;
    mirror_object_on(out, rule, nsi_kinds[NSI_PROFILE_GROUP].name, stem);
    if (strcmp(policy, stem) == 0)
        mirror_object_on(out, rule, nsi_kinds[NSI_POLICY].name, policy);
}

static void add_firewall(struct mirror_job *job, const char *policy, bool ours,
                         struct mirror_set *out)
{
    const struct nsi_wish *wish = job->wish;
    const struct nsi_place *place = job->state;
    char profile[GOOGLE_PATH_MAX], key[2 * GOOGLE_NAME_MAX], stem[48];
    google_put_stem(job->name, stem);
    nsi_put_name(job, NSI_PROFILE_GROUP, "", profile);
    if (ours)
        (void)add(out, NSI_POLICY, policy, json_object(), "has the mirroring rules");
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        const char *prefixes[GOOGLE_LIST_MAX];
        bool all = is_v6 ? place->has_ipv6 : true;
        if (wish->n_cidrs ? prefixes_of(wish, is_v6, prefixes) == 0 : !all)
            continue;
        if (!wish->no_in)
            add_rule(job, policy, profile, true, is_v6, out);
        if (!wish->no_out)
            add_rule(job, policy, profile, false, is_v6, out);
    }
    if (!ours)
        return;
    (void)snprintf(key, sizeof key, "%.63s/%s", policy, stem);
    struct mirror_object *attachment =
        add(out, NSI_ATTACHMENT, key, json_pack("{s:s}", "network", nsi_short(place, place->vpc)),
            "makes the rules those of the network");
    mirror_object_on(out, attachment, nsi_kinds[NSI_POLICY].name, policy);
}

static int add_objects(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    const struct nsi_wish *wish = job->wish;
    struct nsi_place *place = job->state;
    char stem[48], group[GOOGLE_PATH_MAX], endpoint[GOOGLE_PATH_MAX], profile[GOOGLE_PATH_MAX];
    char rule[GOOGLE_PATH_MAX], key[2 * GOOGLE_NAME_MAX];
    char rules[NSI_ZONES_MAX][GOOGLE_PATH_MAX];
    int result = 0;
    place->collector[0] = '\0';
    for (size_t i = 0; result == 0 && i < wish->n_to; i++)
        result = find_collector(place, wish->to[i], rules[i], err);
    if (result < 0)
        return result;
    google_put_stem(job->name, stem);
    nsi_put_name(job, NSI_GROUP, "", group);
    nsi_put_name(job, NSI_ENDPOINT, "", endpoint);
    nsi_put_name(job, NSI_PROFILE, "", profile);
    (void)add(out, NSI_GROUP, stem,
              json_pack("{s:s, s:s}", "network", nsi_short(place, place->collector), "project",
                        google_project(place->google)),
              "the collectors of all zones");
    for (size_t i = 0; i < wish->n_to; i++) {
        char zone[GOOGLE_NAME_MAX];
        (void)snprintf(zone, sizeof zone, "%.*s", (int)strcspn(wish->to[i], ":"), wish->to[i]);
        (void)snprintf(key, sizeof key, "%s/%s", zone, stem);
        (void)snprintf(rule, sizeof rule, "%s", nsi_short(place, rules[i]));
        struct mirror_object *deployment = add(out, NSI_DEPLOYMENT, key,
                                               json_pack("{s:s, s:s, s:s}", "zone", zone, "rule",
                                                         rule, "group", nsi_short(place, group)),
                                               "the collector of the zone");
        mirror_object_on(out, deployment, nsi_kinds[NSI_GROUP].name, stem);
    }
    mirror_object_on(out,
                     add(out, NSI_ENDPOINT, stem,
                         json_pack("{s:s}", "group", nsi_short(place, group)),
                         "the collectors as networks know them"),
                     nsi_kinds[NSI_GROUP].name, stem);
    mirror_object_on(out,
                     add(out, NSI_ASSOCIATION, stem,
                         json_pack("{s:s, s:s}", "endpoint", nsi_short(place, endpoint), "network",
                                   nsi_short(place, place->vpc)),
                         "lets the network use them"),
                     nsi_kinds[NSI_ENDPOINT].name, stem);
    mirror_object_on(out,
                     add(out, NSI_PROFILE, stem,
                         json_pack("{s:s}", "endpoint", nsi_short(place, endpoint)),
                         "says where mirroring rules send"),
                     nsi_kinds[NSI_ENDPOINT].name, stem);
    mirror_object_on(out,
                     add(out, NSI_PROFILE_GROUP, stem,
                         json_pack("{s:s}", "profile", nsi_short(place, profile)),
                         "what mirroring rules name"),
                     nsi_kinds[NSI_PROFILE].name, stem);
    return 0;
}

int nsi_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err)
{
    const struct nsi_wish *wish = job->wish;
    struct nsi_place *place = job->state;
    char policy[GOOGLE_NAME_MAX] = "";
    bool ours = true;
    if (strchr(wish->vpc, '/'))
        (void)snprintf(place->vpc, sizeof place->vpc, "%s", google_path(wish->vpc));
    else
        (void)snprintf(place->vpc, sizeof place->vpc, "projects/%s/global/networks/%s",
                       google_project(place->google), wish->vpc);
    int result = nsi_look(place, err);
    if (result == 0)
        result = check_names(job, err);
    if (result == 0)
        result = choose_policy(job, policy, &ours, err);
    if (result == 0)
        result = add_objects(job, out, err);
    if (result < 0)
        return result;
    result = take_inventory(job, remarks, err); /* whether machines have IPv6 */
    if (result < 0)
        return result;
    add_firewall(job, policy, ours, out);
    if (strcmp(place->vpc, place->collector) == 0 && wish->n_cidrs == 0)
        text_put(remarks, "the collectors are in the network that is mirrored, and what they do "
                          "themselves is mirrored as well: --cidr leaves them out\n");
    return 0;
}
