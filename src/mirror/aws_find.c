/* What of a mirror is there, by tags: see aws.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

#define LATE_S    20   /* so long it may take until all of AWS knows what was made */
#define PAUSE_MAX 4000 /* ms; the pauses before it are shorter, and nobody waits longer in all */

/* id -> true, of all that the journal has. */
static json_t *recorded_ids(const struct mirror_job *job)
{
    json_t *ids = json_object();
    for (size_t i = 0; i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        const char *id = mirror_text(mirror_job_known(job, object->kind, object->key), "id");
        if (id[0])
            (void)json_object_set_new(ids, id, json_true()); /* or it is not known again */
    }
    return ids;
}

/* Whether it is one of ours that has no tag of any mirror. */
static bool is_bare(const json_t *item, const char *member, const json_t *recorded)
{
    return !aws_tag(item, AWS_TAG_MIRROR) && json_object_get(recorded, mirror_text(item, member)) &&
           strncmp(mirror_text(item, "description"), AWS_DESCRIPTION, strlen(AWS_DESCRIPTION)) == 0;
}

void aws_know_again(const struct mirror_job *job, json_t *list, const char *member)
{
    json_t *recorded = recorded_ids(job);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i), *tags = json_object_get(item, "tagSet");
        if (!is_bare(item, member, recorded))
            continue;
        if (!json_is_array(tags)) {
            tags = json_array();
            (void)json_object_set_new(item, "tagSet", tags); /* or it is somebody else's */
        }
        (void)json_array_append_new(
            tags, json_pack("{s:s, s:s}", "key", AWS_TAG_MIRROR, "value", job->name));
        (void)json_object_set_new(item, AWS_BARE, json_true());
    }
    json_decref(recorded);
}

static bool is_tagged(const json_t *item)
{
    return json_object_get(item, AWS_BARE) == NULL;
}

static int look_once(struct mirror_job *job, struct err *err)
{
    struct aws_mirror *state = job->state;
    int result = aws_mirror_all(state, "DescribeTrafficMirrorFilters", json_object(),
                                "trafficMirrorFilterSet", &state->filters, err);
    if (result == 0)
        result = aws_mirror_all(state, "DescribeTrafficMirrorTargets", json_object(),
                                "trafficMirrorTargetSet", &state->targets, err);
    if (result == 0)
        result = aws_mirror_all(state, "DescribeTrafficMirrorSessions", json_object(),
                                "trafficMirrorSessionSet", &state->sessions, err);
    if (result == 0) {
        aws_know_again(job, state->filters, "trafficMirrorFilterId");
        aws_know_again(job, state->targets, "trafficMirrorTargetId");
        aws_know_again(job, state->sessions, "trafficMirrorSessionId");
    }
    state->is_fresh = result == 0;
    return result;
}

/* The ids of all that the look shows. */
static json_t *ids_of(const struct aws_mirror *state)
{
    static const char *const rules[] = {"ingressFilterRuleSet", "egressFilterRuleSet"};
    const json_t *const lists[] = {state->filters, state->targets, state->sessions};
    static const char *const members[] = {"trafficMirrorFilterId", "trafficMirrorTargetId",
                                          "trafficMirrorSessionId"};
    json_t *ids = json_object();
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < json_array_size(lists[i]); j++) {
            const json_t *item = json_array_get(lists[i], j);
            (void)json_object_set_new(ids, mirror_text(item, members[i]), json_true());
            for (size_t k = 0; i == 0 && k < 2; k++) {
                const json_t *set = aws_list(item, rules[k]);
                for (size_t l = 0; l < json_array_size(set); l++)
                    (void)json_object_set_new(
                        ids, mirror_text(json_array_get(set, l), "trafficMirrorFilterRuleId"),
                        json_true()); /* or it is looked for again */
            }
        }
    return ids;
}

/* Whether something that was made within the last minute does not show. */
static bool is_late(const struct mirror_job *job)
{
    const struct aws_mirror *state = job->state;
    int64_t now = state->calls.now(state->calls.with) / 1000000000;
    json_t *ids = ids_of(state);
    bool late = false;
    for (size_t i = 0; !late && i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        const json_t *known = mirror_job_known(job, object->kind, object->key);
        const char *id = mirror_text(known, "id");
        int64_t age = now - aws_number(known, "at", 0);
        /* One that an interrupted removal took away may well be gone. */
        late = strcmp(mirror_text(object->also, "state"), "made") == 0 &&
               strncmp(id, "tm", 2) == 0 && age >= 0 && age < LATE_S && !json_object_get(ids, id);
    }
    json_decref(ids);
    return late;
}

int aws_mirror_look(struct mirror_job *job, struct err *err)
{
    struct aws_mirror *state = job->state;
    int result = look_once(job, err);
    for (uint32_t pause = 1000;
         result == 0 && pause <= PAUSE_MAX && !state->believes && is_late(job); pause *= 2) {
        if (!state->calls.wait(state->calls.with, pause))
            return err_set(err, -EINTR, "interrupted");
        result = look_once(job, err);
        state->believes = pause == PAUSE_MAX;
    }
    return result;
}

const char *aws_target_resource(const json_t *target)
{
    static const char *const members[] = {"networkInterfaceId", "networkLoadBalancerArn",
                                          "gatewayLoadBalancerEndpointId"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (mirror_text(target, members[i])[0])
            return mirror_text(target, members[i]);
    return "";
}

static bool put_name(const char *kind, const char *key, char out[256])
{
    return snprintf(out, 256, "%s/%s", kind, key) < 256;
}

const char *aws_id_of(const struct aws_mirror *state, const char *kind, const char *key)
{
    char name[256];
    return put_name(kind, key, name) ? json_string_value(json_object_get(state->ids, name)) : NULL;
}

void aws_keep_id(struct aws_mirror *state, const char *kind, const char *key, const char *id)
{
    char name[256];
    if (!state->ids)
        state->ids = json_object();
    if (!put_name(kind, key, name))
        return;
    if (id)
        (void)json_object_set_new(state->ids, name, json_string(id)); /* else found again later */
    else
        (void)json_object_del(state->ids, name); /* it may not be there */
}

/* Two of the same were made, by hand or by a call that was repeated: only one is kept. */
static const char *key_of(const struct mirror_set *set, const char *kind, const char *key,
                          const char *id, char out[MIRROR_KEY_MAX])
{
    if (!mirror_set_get(set, kind, key))
        return key;
    (void)snprintf(out, MIRROR_KEY_MAX, "%.100s/%.50s", key, id);
    return out;
}

/* Its id is remembered, and is good to know. */
static void found(struct aws_mirror *state, struct mirror_object *object, const char *id)
{
    if (!object)
        return;
    object->also = json_pack("{s:s}", "id", id);
    aws_keep_id(state, object->kind, object->key, id);
}

/* ---- the filter ---- */

static void put_ports(const json_t *range, char out[16])
{
    out[0] = '\0';
    if (json_is_object(range))
        (void)snprintf(out, 16, "%d-%d", (int)aws_number(range, "fromPort", 0),
                       (int)aws_number(range, "toPort", 0));
}

static void find_rules(struct aws_mirror *state, const json_t *filter, const char *under,
                       struct mirror_set *out)
{
    static const char *const sets[] = {"ingressFilterRuleSet", "egressFilterRuleSet"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *rules = aws_list(filter, sets[i]);
        for (size_t j = 0; j < json_array_size(rules); j++) {
            const json_t *rule = json_array_get(rules, j);
            char key[MIRROR_KEY_MAX], source[16], destination[16];
            (void)snprintf(key, sizeof key, "%s/%d", i ? "egress" : "ingress",
                           (int)aws_number(rule, "ruleNumber", 0));
            put_ports(json_object_get(rule, "sourcePortRange"), source);
            put_ports(json_object_get(rule, "destinationPortRange"), destination);
            struct mirror_object *object =
                mirror_set_add(out, "rule", key,
                               json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "action",
                                         mirror_text(rule, "ruleAction"), "protocol",
                                         (int)aws_number(rule, "protocol", -1), "source",
                                         mirror_text(rule, "sourceCidrBlock"), "destination",
                                         mirror_text(rule, "destinationCidrBlock"), "source_ports",
                                         source, "destination_ports", destination));
            mirror_object_on(out, object, "filter", under);
            found(state, object, mirror_text(rule, "trafficMirrorFilterRuleId"));
        }
    }
}

static void find_filters(struct mirror_job *job, struct mirror_set *out)
{
    struct aws_mirror *state = job->state;
    for (size_t i = 0; i < json_array_size(state->filters); i++) {
        const json_t *filter = json_array_get(state->filters, i);
        const char *id = mirror_text(filter, "trafficMirrorFilterId");
        const json_t *services = aws_list(filter, "networkServiceSet");
        char other[MIRROR_KEY_MAX];
        bool dns = false;
        if (!aws_is_ours(filter, job->name))
            continue;
        for (size_t j = 0; j < json_array_size(services); j++) {
            const char *name = json_string_value(json_array_get(services, j));
            dns |= name && strcmp(name, "amazon-dns") == 0;
        }
        const char *key = key_of(out, "filter", "filter", id, other);
        found(state,
              mirror_set_add(out, "filter", key,
                             json_pack("{s:b, s:b}", "dns", dns, "tagged", is_tagged(filter))),
              id);
        if (strcmp(key, "filter") == 0) /* the rules of another one go with it */
            find_rules(state, filter, key, out);
    }
}

/* ---- rules of security groups ---- */

static bool is_group_rule(const char *kind)
{
    return strcmp(kind, "opening") == 0 || strcmp(kind, "canary") == 0;
}

static void find_group_rule(struct mirror_job *job, const json_t *rule, const char *kind,
                            struct mirror_set *out)
{
    struct aws_mirror *state = job->state;
    const char *id = mirror_text(rule, "securityGroupRuleId"),
               *cidr = mirror_text(rule, "cidrIpv4");
    char key[MIRROR_KEY_MAX], other[MIRROR_KEY_MAX];
    (void)snprintf(key, sizeof key, "%.40s/%.60s", mirror_text(rule, "groupId"),
                   cidr[0] ? cidr : mirror_text(rule, "cidrIpv6"));
    struct mirror_object *object = mirror_set_add(
        out, kind, key_of(out, kind, key, id, other),
        json_pack("{s:s, s:i, s:i, s:b}", "protocol", mirror_text(rule, "ipProtocol"), "from",
                  (int)aws_number(rule, "fromPort", -1), "to", (int)aws_number(rule, "toPort", -1),
                  "tagged", is_tagged(rule)));
    found(state, object, id);
    if (object)
        (void)json_object_set_new(object->also, "group", json_string(mirror_text(rule, "groupId")));
}

/* Those of the journal that the question for tags did not bring. */
static int find_bare_rules(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct aws_mirror *state = job->state;
    json_t *rules = NULL, *ids = json_array();
    for (size_t i = 0; i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        const char *id = mirror_text(mirror_job_known(job, object->kind, object->key), "id");
        if (id[0] && is_group_rule(object->kind) && !mirror_set_get(out, object->kind, object->key))
            (void)json_array_append_new(ids, json_string(id));
    }
    if (json_array_size(ids) == 0) {
        json_decref(ids);
        return 0;
    }
    json_t *parameters = json_object();
    aws_add_filter(parameters, "security-group-rule-id", ids);
    int result = aws_mirror_all(state, "DescribeSecurityGroupRules", parameters,
                                "securityGroupRuleSet", &rules, err);
    aws_know_again(job, rules, "securityGroupRuleId");
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        bool is_canary = strcmp(mirror_text(rule, "description"), AWS_CANARY_RULE) == 0;
        if (aws_is_ours(rule, job->name))
            find_group_rule(job, rule, is_canary ? "canary" : "opening", out);
    }
    json_decref(rules);
    return result;
}

static int find_group_rules(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct aws_mirror *state = job->state;
    json_t *rules = NULL;
    int result = aws_mirror_all(state, "DescribeSecurityGroupRules",
                                aws_filter("tag:" AWS_TAG_MIRROR, job->name),
                                "securityGroupRuleSet", &rules, err);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        const char *mark = aws_tag(rule, AWS_TAG_KEY);
        if (aws_is_ours(rule, job->name))
            find_group_rule(job, rule,
                            mark && strncmp(mark, "canary/", 7) == 0 ? "canary" : "opening", out);
    }
    json_decref(rules);
    return result < 0 ? result : find_bare_rules(job, out, err);
}

/* ---- targets and sessions ---- */

static void find_targets(struct mirror_job *job, struct mirror_set *out)
{
    struct aws_mirror *state = job->state;
    for (size_t i = 0; i < json_array_size(state->targets); i++) {
        const json_t *target = json_array_get(state->targets, i);
        const char *id = mirror_text(target, "trafficMirrorTargetId");
        const char *resource = aws_target_resource(target);
        char other[MIRROR_KEY_MAX];
        if (!aws_is_ours(target, job->name))
            continue;
        found(state,
              mirror_set_add(out, "target", key_of(out, "target", resource, id, other),
                             json_pack("{s:s, s:b}", "type", mirror_text(target, "type"), "tagged",
                                       is_tagged(target))),
              id);
    }
}

/* The key of the one of ours with this id, else the id. */
static const char *name_of(const struct mirror_set *set, const char *kind, const char *id)
{
    for (size_t i = 0; i < set->n && strcmp(set->at[i].kind, "session") != 0; i++)
        if (strcmp(set->at[i].kind, kind) == 0 &&
            strcmp(mirror_text(set->at[i].also, "id"), id) == 0)
            return set->at[i].key;
    return id;
}

static void find_sessions(struct mirror_job *job, struct mirror_set *out)
{
    struct aws_mirror *state = job->state;
    json_t *seen = json_object(); /* thousands of them: no search through the set */
    for (size_t i = 0; i < json_array_size(state->sessions); i++) {
        const json_t *session = json_array_get(state->sessions, i);
        const char *id = mirror_text(session, "trafficMirrorSessionId");
        const char *target = mirror_text(session, "trafficMirrorTargetId");
        const char *interface = mirror_text(session, "networkInterfaceId");
        char key[MIRROR_KEY_MAX];
        if (!aws_is_ours(session, job->name))
            continue;
        bool again = json_object_get(seen, interface) != NULL;
        (void)snprintf(key, sizeof key, again ? "%.60s/%.60s" : "%.60s", interface, id);
        (void)json_object_set_new(seen, interface, json_true()); /* then both have the name */
        const json_t *of = aws_by_id(state->targets, "trafficMirrorTargetId", target);
        int64_t length = aws_number(session, "packetLength", 0);
        /* What AWS gives a session to a load balancer when none is asked for. */
        if (length == AWS_NLB_LENGTH && !mirror_text(of, "networkInterfaceId")[0])
            length = 0;
        found(state,
              mirror_set_add(
                  out, "session", key,
                  json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "target",
                            name_of(out, "target", target), "filter",
                            name_of(out, "filter", mirror_text(session, "trafficMirrorFilterId")),
                            "vni", (json_int_t)aws_number(session, "virtualNetworkId", 0), "length",
                            (json_int_t)length, "number",
                            (json_int_t)aws_number(session, "sessionNumber", 0), "tagged",
                            is_tagged(session))),
              id);
    }
    json_decref(seen);
}

int aws_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct aws_mirror *state = job->state;
    int result = state->is_fresh ? 0 : aws_mirror_look(job, err);
    if (result < 0)
        return result;
    state->is_fresh = false;
    json_decref(state->ids);
    state->ids = json_object();
    find_filters(job, out);
    result = find_group_rules(job, out, err);
    if (result < 0)
        return result;
    find_targets(job, out);
    find_sessions(job, out);
    return 0;
}

/* ---- all mirrors ---- */

static void add_names(const json_t *list, json_t *names)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *mark = aws_tag(json_array_get(list, i), AWS_TAG_MIRROR);
        if (mark && mirror_name_is_good(mark))
            (void)json_object_set_new(names, mark, json_true()); /* asked below */
    }
}

int aws_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n, struct err *err)
{
    struct aws_mirror *state = job->state;
    json_t *names = json_object(), *value;
    const char *name;
    size_t n = 0;
    int result = aws_mirror_look(job, err);
    if (result == 0) {
        add_names(state->filters, names);
        add_names(state->targets, names);
        add_names(state->sessions, names);
    }
    char(*list)[MIRROR_NAME_MAX] = calloc(json_object_size(names) + 1, sizeof *list);
    if (result == 0 && !list)
        result = err_set(err, -ENOMEM, "out of memory");
    if (result == 0) {
        json_object_foreach(names, name, value)(void)
            snprintf(list[n++], MIRROR_NAME_MAX, "%s", name);
        *out = list;
        *out_n = n;
    } else {
        free(list);
    }
    json_decref(names);
    return result;
}
